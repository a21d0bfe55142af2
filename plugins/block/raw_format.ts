/**
 * Raw images for the tools.
 *
 * @module
 */

import { BlockError, SECTOR_BYTES } from "../../core/backend/block.ts";
import type {
  ImageFormat,
  NewImage,
  Preallocation,
} from "../../core/backend/image_format.ts";
import { FileStore, fill } from "./byte_store.ts";
import { openStore, probeAt } from "./location.ts";
import { openRaw, refuseWithSnapshots } from "./undo_files.ts";

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

async function resize(
  file: string,
  size: number,
  preallocation: Preallocation,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  if (preallocation === "metadata") {
    throw new BlockError("unsupported", "Raw images have no metadata");
  }
  await refuseWithSnapshots(file, "resize");
  const store = await FileStore.open(file, false);
  try {
    if (preallocation === "off") await store.truncate(sectors(size));
    else await fill(store, store.size, sectors(size), onProgress);
  } finally {
    await store.close();
  }
}

/** Raw images for the tools. */
export const RAW_FORMAT: ImageFormat = {
  options: {
    preallocation: {
      type: "string",
      description: "Room from the start",
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
    const { undoInfo } = await import("./undo_report.ts");
    const undo = await undoInfo(location);
    return { size, dirty: false, snapshots: [], undo };
  },
  create,
  async open(location, { readOnly, lock }) {
    const store = await openStore(location, readOnly, { lock });
    return await openRaw(location, store, readOnly);
  },
  resize,
  async check(file, _repair, lock = true) {
    const { checkUndo } = await import("./undo_report.ts");
    return await checkUndo(file, lock);
  },
  mayReplace: (file) => refuseWithSnapshots(file, "replace"),
};
