/**
 * What plugins of image formats have in common.
 *
 * @module
 */

import type { BlockBackend } from "../../core/backend/block.ts";
import type { BlockPlugin, ConfigSchema } from "../../core/machine/plugin.ts";

/** Configuration of a backend on an image file. */
export interface ImageConfig {
  /** The image. */
  readonly file: string;
  /** Refuse writes, and share the file with other readers. */
  readonly readOnly: boolean;
}

/** Its schema. */
const IMAGE_CONFIG: ConfigSchema = {
  type: "object",
  properties: {
    file: { type: "string", format: "path", description: "The image" },
    readOnly: {
      type: "boolean",
      description: "Refuse writes, and share the file with other readers",
      default: false,
    },
  },
  required: ["file"],
};

/** What is wrong with an image's path: messages, or none. */
async function checkImageFile(file: string): Promise<string[]> {
  try {
    const { isFile } = await Deno.stat(file);
    return isFile ? [] : [`"${file}" is not a regular file`];
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      return [`there is no file "${file}"`];
    }
    return [`cannot look at "${file}": ${(cause as Error).message}`];
  }
}

/** The plugin of a format whose images `open` opens. */
export function imagePlugin(
  name: string,
  description: string,
  open: (file: string, readOnly: boolean) => Promise<BlockBackend>,
): BlockPlugin<ImageConfig> {
  return {
    type: "block",
    name,
    version: "1.0.0",
    description,
    config: IMAGE_CONFIG,
    check: (config) => checkImageFile(config.file),
    permissions: ({ file, readOnly }) => ({
      read: [file],
      write: readOnly ? [] : [file],
    }),
    parse: (argument) => ({ file: argument }),
    create: ({ file, readOnly }) => open(file, readOnly),
  };
}
