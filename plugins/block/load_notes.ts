/**
 * Notes of loads of snapshots to several disks at once, of which all are done or
 * none (`BlockTogether`): what they look like in qcow2 images, and asking the
 * disk that decides.
 *
 * In an undo log a note is an entry. In a qcow2 image it is a snapshot within
 * the image, of the disk as it is, whose name says it: any other program leaves
 * it alone or deletes it as it does others. With it there, whatever is written
 * to the disk changes the L1 table, as the clusters are the snapshot's too. So
 * it tells whether the disk is still what it was, is what it was to become
 * already, or has been written to since and is to stay as it is.
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import { FileStore } from "./byte_store.ts";
import { probe } from "./probe.ts";

/** A note in a qcow2 image. */
export interface Qcow2LoadNote {
  /** The load's name: the same in all of its disks. */
  readonly load: string;
  /** The id of the snapshot to load; undefined when it has been. */
  readonly target: string | undefined;
  /** The path at which it stands whether it is to be; none: it is. */
  readonly decider: string;
}

/** What names of notes begin with: no snapshot of a machine has a colon. */
const START = "rhea-load:";

/** A note as a snapshot's name. */
export function noteName({ load, target, decider }: Qcow2LoadNote): string {
  return `${START}${load}:${target ?? ""}:${decider}`;
}

/** The note that a snapshot's name is; undefined for any other. */
export function noteIn(name: string): Qcow2LoadNote | undefined {
  const parts = /^([-0-9a-f]{36}):(\d*):(.*)$/s.exec(
    name.startsWith(START) ? name.slice(START.length) : "",
  );
  if (parts === null) return undefined;
  const [, load, target, decider] = parts;
  return { load, target: target === "" ? undefined : target, decider };
}

/**
 * Whether the disk that decides, at this path, says that a load is to be.
 * Rejects with a `BlockError` when there is no telling.
 */
export async function isDecided(path: string, load: string): Promise<boolean> {
  const state = Deno.permissions.querySync({ name: "read", path }).state;
  if (state !== "granted") {
    throw new BlockError("io", `"${path}" may not be read, where it stands`);
  }
  const store = await FileStore.open(path, true, { lock: false });
  try {
    if (await probe(store) === "qcow2") {
      const { readHeader } = await import("./qcow2_header.ts");
      const { readSnapshots } = await import("./qcow2_snapshots.ts");
      const table = await readSnapshots(store, await readHeader(store));
      return table.snapshots.some(({ name }) => {
        const note = noteIn(name);
        return note?.load === load && note.decider === "";
      });
    }
    const { UndoLog } = await import("./undo_log.ts");
    const { note } = await UndoLog.open(store);
    return note.load === load && note.decider === "";
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    throw new BlockError(error.kind, `"${path}": ${error.message}`, {
      cause: error,
    });
  } finally {
    await store.close();
  }
}
