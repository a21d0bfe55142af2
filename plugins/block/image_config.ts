/**
 * What plugins of image formats have in common.
 *
 * @module
 */

import { type BlockBackend, BlockError } from "../../core/backend/block.ts";
import type { ImageFormat } from "../../core/backend/image_format.ts";
import type {
  BlockPlugin,
  ConfigSchema,
  PermissionNeeds,
} from "../../core/machine/plugin.ts";
import { isUrl } from "../../core/machine/schema.ts";
import { hostsOf } from "./http_store.ts";
import { OverlayBlock } from "./overlay.ts";

/** Configuration of a backend on an image. */
export interface ImageConfig {
  /** The image: a file, or an `http:` or `https:` URL. */
  readonly file: string;
  /** Refuse writes, and share the file with other readers. */
  readonly readOnly: boolean;
  /** Writes go to a throw-away overlay: the image stays as it is. */
  readonly snapshot: boolean;
}

/** Its schema. */
const IMAGE_CONFIG: ConfigSchema = {
  type: "object",
  properties: {
    file: {
      type: "string",
      format: "location",
      description: "The image: a file, or an http: or https: URL",
    },
    readOnly: {
      type: "boolean",
      description: "Refuse writes, and share the file with other readers",
      default: false,
    },
    snapshot: {
      type: "boolean",
      description:
        "Writes go to a throw-away overlay: the image stays as it is",
      default: false,
    },
  },
  required: ["file"],
};

/** What is different in each format. */
export interface ImageKind {
  /** The plugin's name. */
  readonly name: string;
  /** One line about it. */
  readonly description: string;
  /** Opens an image at a location. */
  open(location: string, readOnly: boolean): Promise<BlockBackend>;
  /** The locations of what lies behind an image; throws a `BlockError`. */
  backing?(location: string): Promise<readonly string[]>;
  /**
   * The file beside an image that its snapshots need, and the one that it is
   * while it is written, whether they are there or not.
   */
  undo?(location: string): Promise<readonly string[]>;
  /** The format for the tools. */
  format?(): Promise<ImageFormat>;
}

/** What is wrong with an image's location: messages, or none. */
async function checkLocation(
  location: string,
  what = "",
): Promise<string[]> {
  // What lies elsewhere is looked at when it is opened.
  if (isUrl(location)) {
    return URL.canParse(location) ? [] : [`"${location}" is not a URL`];
  }
  try {
    const { isFile } = await Deno.stat(location);
    return isFile ? [] : [`${what}"${location}" is not a regular file`];
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      return [
        what === ""
          ? `there is no file "${location}"`
          : `there is no ${what}"${location}"`,
      ];
    }
    return [`cannot look at ${what}"${location}": ${(cause as Error).message}`];
  }
}

/** The files that there are beside an image, as far as can be told now. */
async function besides(
  find: () => Promise<readonly string[]> | undefined,
): Promise<readonly string[]> {
  try {
    return await find() ?? [];
  } catch (error) {
    // Opening it says what is wrong.
    if (error instanceof BlockError) return [];
    throw error;
  }
}

async function imagePermissions(
  kind: ImageKind,
  { file, readOnly, snapshot }: ImageConfig,
): Promise<PermissionNeeds> {
  if (isUrl(file)) return { net: hostsOf(file) };
  const isWritten = !readOnly && !snapshot;
  const [log, part] = await besides(() => kind.undo?.(file));
  const own = [file, log, isWritten ? part : undefined]
    .filter((path) => path !== undefined);
  return {
    read: [...own, ...await besides(() => kind.backing?.(file))],
    write: isWritten ? own : [],
  };
}

/** The plugin of a format. */
export function imagePlugin(kind: ImageKind): BlockPlugin<ImageConfig> {
  return {
    type: "block",
    name: kind.name,
    version: "1.1.0",
    description: kind.description,
    config: IMAGE_CONFIG,
    format: kind.format,
    async check({ file }) {
      const problems = await checkLocation(file);
      if (problems.length > 0) return problems;
      const behind = isUrl(file)
        ? []
        : await besides(() => kind.backing?.(file));
      for (const path of behind) {
        problems.push(...await checkLocation(path, "backing file "));
      }
      return problems;
    },
    permissions: (config) => imagePermissions(kind, config),
    parse: (argument) => ({ file: argument }),
    async create({ file, readOnly, snapshot }) {
      // What a server has is only read.
      const image = await kind.open(file, readOnly || snapshot || isUrl(file));
      return snapshot && !readOnly ? new OverlayBlock(image) : image;
    },
  };
}
