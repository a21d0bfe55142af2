/**
 * Raw images for the tools.
 *
 * @module
 */

import { SECTOR_BYTES } from "../../core/backend/block.ts";
import type {
  Extent,
  ImageFormat,
  NewImage,
  OpenImage,
} from "../../core/backend/image_format.ts";
import { FileStore, fill } from "./byte_store.ts";
import { openStore, probeAt } from "./location.ts";
import { RawBlock } from "./raw_image.ts";

/** A raw image for the tools: all of it is data. */
class RawTool extends RawBlock implements OpenImage {
  /** All that is asked for. */
  extent(offset: number, length: number): Promise<Extent> {
    return Promise.resolve({
      length: Math.min(length, this.size - offset),
      kind: "data",
    });
  }
}

function sectors(size: number): number {
  return Math.ceil(size / SECTOR_BYTES) * SECTOR_BYTES;
}

async function create(
  file: string,
  { size, options }: NewImage,
): Promise<void> {
  const store = await FileStore.open(file, false);
  try {
    if (options.preallocation === "off") await store.truncate(sectors(size));
    else await fill(store, 0, sectors(size));
  } finally {
    await store.close();
  }
}

async function resize(file: string, size: number): Promise<void> {
  const store = await FileStore.open(file, false);
  try {
    await store.truncate(sectors(size));
  } finally {
    await store.close();
  }
}

/** Raw images for the tools. */
export const RAW_FORMAT: ImageFormat = {
  options: {
    preallocation: {
      type: "string",
      enum: ["off", "falloc", "full"],
      default: "off",
    },
  },
  backing: false,
  probe: async (location) => await probeAt(location) === "raw",
  async info(location) {
    const store = await openStore(location, true, { lock: false });
    const size = sectors(store.size);
    await store.close();
    return { size, dirty: false, snapshots: [] };
  },
  create,
  async open(location, { readOnly }) {
    return new RawTool(await openStore(location, readOnly), readOnly);
  },
  resize,
};
