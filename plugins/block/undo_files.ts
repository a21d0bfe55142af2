/**
 * Undo logs in files beside their images, and raw images that have one.
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import { dirname } from "../../core/machine/path.ts";
import { isUrl } from "../../core/machine/schema.ts";
import { syncFolder } from "../../core/backend/sync_folder.ts";
import { type ByteStore, FileStore } from "./byte_store.ts";
import { RawBlock } from "./raw_image.ts";
import { undoPast } from "./undo_past.ts";
import { type UndoFiles, UndoStore } from "./undo_store.ts";

/** What an image's name and this is its undo log's. */
const EXTENSION = ".rhea-undo";

function undoPaths(image: string): { path: string; part: string } {
  const path = image + EXTENSION;
  return { path, part: `${path}.part` };
}

/** The undo log of an image, and what it is while it is written. */
export async function undoFilesOf(location: string): Promise<string[]> {
  const image = await Deno.realPath(location).catch(() => location);
  return Object.values(undoPaths(image));
}

/** A raw image in a store of its location, which is closed on failure. */
export async function openRaw(
  location: string,
  store: ByteStore,
  readOnly: boolean,
): Promise<RawBlock> {
  if (isUrl(location) || !(store instanceof FileStore)) {
    return new RawBlock(store, readOnly);
  }
  try {
    const files = new FilesBeside(await Deno.realPath(location));
    if (!readOnly) {
      const kept = await UndoStore.open(store, files);
      return new RawBlock(kept, false, kept);
    }
    await refuseHalfLoaded(location, files);
    return new RawBlock(store, true, { past: undoPast(store, files) });
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The undo log of an image, to look at; undefined where there is none, or it may not be read. */
export async function lookAtUndo(
  location: string,
): Promise<{ path: string; log: ByteStore } | undefined> {
  if (isUrl(location)) return undefined;
  const files = new FilesBeside(await Deno.realPath(location));
  const log = await files.look();
  return log && { path: files.path, log };
}

/** Throws a `BlockError` when an image is between two of its states. */
async function refuseHalfLoaded(
  location: string,
  files: FilesBeside,
): Promise<void> {
  const log = await files.look();
  if (log === undefined) return;
  try {
    const { UndoLog } = await import("./undo_log.ts");
    const { loading } = await UndoLog.imageState(log).catch((error) => {
      // What is wrong with a log is of no importance to who only reads.
      if (error instanceof BlockError) return { loading: 0 };
      throw error;
    });
    if (loading === 0) return;
  } finally {
    await log.close();
  }
  throw new BlockError(
    "unsupported",
    `Cannot open image "${location}": Rhea was ended while it loaded a ` +
      "snapshot; open it once for writing, which completes that",
  );
}

/** Throws a `BlockError` when snapshots of machines need an image as it is. */
export async function refuseWithSnapshots(
  location: string,
  what: string,
): Promise<void> {
  const { path } = undoPaths(await Deno.realPath(location));
  if (!isGranted("read", path) || !await isFile(path)) return;
  throw new BlockError(
    "unsupported",
    `Cannot ${what} "${location}": machines have snapshots with it; delete ` +
      `them, or "${path}" to give them up`,
  );
}

class FilesBeside implements UndoFiles {
  readonly path: string;
  readonly #part: string;

  constructor(image: string) {
    const { path, part } = undoPaths(image);
    this.path = path;
    this.#part = part;
  }

  async open(): Promise<ByteStore | undefined> {
    if (!isGranted("read", this.path) || !await isFile(this.path)) {
      return undefined;
    }
    if (isGranted("write", this.#part)) await this.discard();
    return await FileStore.open(this.path, false);
  }

  /** Open it to look at, when there is one. */
  async look(): Promise<ByteStore | undefined> {
    if (!isGranted("read", this.path) || !await isFile(this.path)) {
      return undefined;
    }
    return await FileStore.open(this.path, true, { lock: false });
  }

  async create(): Promise<ByteStore> {
    await reported("create", this.#part, async () => {
      const options = { write: true, create: true, truncate: true };
      (await Deno.open(this.#part, options)).close();
    });
    return await FileStore.open(this.#part, false);
  }

  async publish(): Promise<void> {
    await reported(
      "create",
      this.path,
      () => Deno.rename(this.#part, this.path),
    );
    await syncFolder(dirname(this.path));
  }

  async discard(): Promise<void> {
    // It is there only if something went wrong before.
    await Deno.remove(this.#part).catch(() => {});
  }

  async remove(): Promise<void> {
    await reported("delete", this.path, () => Deno.remove(this.path));
  }

  async isThere(path: string): Promise<boolean> {
    try {
      await Deno.stat(path);
    } catch (error) {
      return !(error instanceof Deno.errors.NotFound);
    }
    return true;
  }

  async isDecided(path: string, load: string): Promise<boolean> {
    const { isDecided } = await import("./load_notes.ts");
    return await isDecided(path, load);
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}

/** Whether something may be done without asking. */
function isGranted(name: "read" | "write", path: string): boolean {
  return Deno.permissions.querySync({ name, path }).state === "granted";
}

async function reported(
  what: string,
  path: string,
  action: () => Promise<unknown>,
): Promise<void> {
  try {
    await action();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : `${cause}`;
    throw new BlockError("io", `Cannot ${what} "${path}": ${reason}`, {
      cause,
    });
  }
}
