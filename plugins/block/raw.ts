/**
 * The `raw` block backend: a file that is the disk, byte by byte.
 *
 * @module
 */

import type { BlockPlugin } from "../../core/machine/plugin.ts";
import { type ImageConfig, imagePlugin } from "./image_config.ts";
import { openStore } from "./location.ts";
import { openRaw, undoFilesOf } from "./undo_files.ts";

export type { ImageConfig } from "./image_config.ts";

/** The `raw` plugin. */
const plugin: BlockPlugin<ImageConfig> = imagePlugin({
  name: "raw",
  description: "A disk in a file, byte by byte",
  open: async (location, readOnly) =>
    openRaw(location, await openStore(location, readOnly), readOnly),
  undo: undoFilesOf,
  format: async () => (await import("./raw_format.ts")).RAW_FORMAT,
});
export default plugin;
