/**
 * The `qcow2` block backend: QEMU's disk images, versions 2 and 3.
 *
 * @module
 */

import type { BlockPlugin } from "../../core/machine/plugin.ts";
import { type ImageConfig, imagePlugin } from "./image_config.ts";
import { backingChain, openQcow2 } from "./qcow2_chain.ts";

export type { ImageConfig } from "./image_config.ts";

/** The `qcow2` plugin. */
const plugin: BlockPlugin<ImageConfig> = imagePlugin({
  name: "qcow2",
  description: "A disk in QEMU's image format, with its backing files",
  open: openQcow2,
  backing: backingChain,
});
export default plugin;
