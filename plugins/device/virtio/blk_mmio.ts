/**
 * The `virtio-blk-mmio` plugin.
 *
 * @module
 */

import type { DevicePlugin } from "../../../core/machine/plugin.ts";
import { BLK, type VirtioBlkConfig } from "./blk.ts";
import { mmioPlugin } from "./virtio_mmio.ts";

export type { VirtioBlkConfig } from "./blk.ts";

/** The plugin. */
const plugin: DevicePlugin<VirtioBlkConfig> = mmioPlugin(BLK);
export default plugin;
