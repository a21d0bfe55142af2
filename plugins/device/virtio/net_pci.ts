/**
 * The `virtio-net-pci` plugin.
 *
 * @module
 */

import type { DevicePlugin } from "../../../core/machine/plugin.ts";
import { NET, type VirtioNetConfig } from "./net.ts";
import { pciPlugin, type PciTransportConfig } from "./pci_plugin.ts";

export type { VirtioNetConfig } from "./net.ts";
export type { PciTransportConfig } from "./pci_plugin.ts";

/** The plugin. */
const plugin: DevicePlugin<VirtioNetConfig & PciTransportConfig> = pciPlugin(
  NET,
);
export default plugin;
