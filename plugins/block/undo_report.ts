/**
 * What the tools say of an undo log, and whether all of it is as it was written.
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import type { ImageCheck, ImageUndo } from "../../core/backend/image_format.ts";
import { type ByteStore, FileStore } from "./byte_store.ts";
import { lookAtUndo } from "./undo_files.ts";
import { UndoLog } from "./undo_log.ts";
import { foreignChange } from "./undo_store.ts";

/** The most clusters that are named. */
const MOST_NAMED = 20;

/** What there is of a log: it, or a sentence that says why not. */
async function opened(
  store: ByteStore,
  path: string,
): Promise<UndoLog | string> {
  try {
    return await UndoLog.open(store);
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    return `"${path}" ${error.message}`;
  }
}

/** Why an image's snapshots cannot be loaded as it is now: a sentence. */
async function problemOf(
  location: string,
  log: UndoLog,
  lock: boolean,
): Promise<string | undefined> {
  const disk = await FileStore.open(location, true, { lock });
  try {
    const change = await foreignChange(disk, log);
    if (change !== undefined) {
      return `The image ${change}: they cannot be loaded`;
    }
  } finally {
    await disk.close();
  }
  return log.image.loading === 0
    ? undefined
    : "Rhea was ended while it loaded one: the image is not to be read before " +
      "it was opened for writing, which completes that";
}

/** Does something with an image's log, or what is wrong with it; undefined where there is none. */
async function withLog<T>(
  location: string,
  action: (log: UndoLog | string, path: string, size: number) => Promise<T>,
): Promise<T | undefined> {
  const found = await lookAtUndo(location);
  if (found === undefined) return undefined;
  try {
    const log = await opened(found.log, found.path);
    return await action(log, found.path, found.log.size);
  } finally {
    await found.log.close();
  }
}

/** What lies beside an image; undefined where there is nothing. Rejects with a `BlockError`. */
export function undoInfo(location: string): Promise<ImageUndo | undefined> {
  return withLog<ImageUndo>(location, async (log, file, size) => {
    if (typeof log === "string") {
      return { file, size, snapshots: [], problem: log };
    }
    const snapshots = log.snapshots.map(({ name, date, file, complete }) => ({
      name,
      date,
      file,
      complete,
    }));
    const problem = await problemOf(location, log, false);
    return { file, size, snapshots, problem };
  });
}

/**
 * Reads all of an image's undo log; undefined where there is none. Nothing of it
 * can be repaired: the image is the disk without it. Rejects with a `BlockError`.
 */
export function checkUndo(
  location: string,
  lock: boolean,
): Promise<ImageCheck | undefined> {
  return withLog<ImageCheck>(location, async (log, path, size) => {
    const problems: string[] = [];
    let corruptions = 0;
    if (typeof log === "string") {
      problems.push(log);
      corruptions = 1;
    } else {
      const bad = await log.damagedClusters();
      for (const cluster of bad.slice(0, MOST_NAMED)) {
        problems.push(
          `"${path}" has another cluster ${cluster} of the disk than was ` +
            "written",
        );
      }
      const problem = await problemOf(location, log, lock);
      if (problem !== undefined) problems.push(problem);
      corruptions = bad.length + (problem === undefined ? 0 : 1);
    }
    return {
      problems,
      corruptions,
      leaks: 0,
      corruptionsFixed: 0,
      leaksFixed: 0,
      endOffset: size,
      totalClusters: 0,
      allocatedClusters: 0,
      fragmentedClusters: 0,
      compressedClusters: 0,
    };
  });
}
