/**
 * The `virtio-blk-pci` plugin.
 *
 * @module
 */

import type { DevicePlugin } from "../../../core/machine/plugin.ts";
import { BLK, type VirtioBlkConfig } from "./blk.ts";
import { pciPlugin, type PciTransportConfig } from "./pci_plugin.ts";

export type { VirtioBlkConfig } from "./blk.ts";
export type { PciTransportConfig } from "./pci_plugin.ts";

/** The plugin. */
const plugin: DevicePlugin<VirtioBlkConfig & PciTransportConfig> = pciPlugin(
  BLK,
);
export default plugin;
