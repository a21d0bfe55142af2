/**
 * The `qcow2` block backend: QEMU's disk images, versions 2 and 3.
 *
 * @module
 */

import type { BlockPlugin } from "../../core/machine/plugin.ts";
import {
  checkImageFile,
  IMAGE_CONFIG,
  type ImageConfig,
} from "./image_config.ts";
import { openQcow2 } from "./qcow2_chain.ts";

export type { ImageConfig } from "./image_config.ts";

/** The `qcow2` plugin. */
const plugin: BlockPlugin<ImageConfig> = {
  type: "block",
  name: "qcow2",
  version: "1.0.0",
  description: "A disk in QEMU's image format, with its backing files",
  config: IMAGE_CONFIG,
  check: (config) => checkImageFile(config.file),
  permissions: ({ file, readOnly }) => ({
    read: [file],
    write: readOnly ? [] : [file],
  }),
  parse: (argument) => ({ file: argument }),
  create: ({ file, readOnly }) => openQcow2(file, readOnly),
};
export default plugin;
