/**
 * The `virtio-net-mmio` plugin.
 *
 * @module
 */

import type { DevicePlugin } from "../../../core/machine/plugin.ts";
import { NET, type VirtioNetConfig } from "./net.ts";
import { mmioPlugin } from "./virtio_mmio.ts";

export type { VirtioNetConfig } from "./net.ts";

/** The plugin. */
const plugin: DevicePlugin<VirtioNetConfig> = mmioPlugin(NET);
export default plugin;
