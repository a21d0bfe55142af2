/**
 * The configuration that image formats have in common.
 *
 * @module
 */

import type { ConfigSchema } from "../../core/machine/plugin.ts";

/** Configuration of a backend on an image file. */
export interface ImageConfig {
  /** The image. */
  readonly file: string;
  /** Refuse writes, and share the file with other readers. */
  readonly readOnly: boolean;
}

/** Its schema. */
export const IMAGE_CONFIG: ConfigSchema = {
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
export async function checkImageFile(file: string): Promise<string[]> {
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
