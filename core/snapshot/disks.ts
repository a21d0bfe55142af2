/**
 * The disks' part of a snapshot: that they are what they were when memory is.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";
import { BlockError } from "../backend/block.ts";
import type { Media, Medium } from "../machine/media.ts";
import type { Parts } from "../machine/parts.ts";
import type { StateRecord } from "../state/state.ts";
import { SnapshotError } from "./error.ts";

/** A disk's record in a snapshot. */
export interface SavedDisk {
  /** The backend's name. */
  readonly backend: string;
  /** What its backend keeps. */
  readonly record: StateRecord;
}

/** The machine's disks by the names of their backends. */
export function disksOf(parts: Parts): Map<string, BlockBackend> {
  const disks = new Map<string, BlockBackend>();
  for (const [name, backend] of parts.backends) {
    if ("writeZeroes" in backend) disks.set(name, backend);
  }
  return disks;
}

/** Throws a `SnapshotError` when a disk cannot be part of a snapshot. */
export function checkDisks(parts: Parts): void {
  for (const [name, disk] of disksOf(parts)) {
    if (disk.readOnly || disk.machineSnapshots !== undefined) continue;
    throw new SnapshotError(
      "disk",
      `Cannot save a snapshot: the image of the disk "${name}" is written to ` +
        "and has no snapshots of its own: use a raw or qcow2 image, or the " +
        "option snapshot",
    );
  }
}

/**
 * Keep all disks as they are now under a name, for the snapshot that will be in
 * a file; `put` takes bytes of the disk number `index` for it. When one fails,
 * nothing is kept.
 */
export async function saveDisks(
  parts: Parts,
  { name, path }: { readonly name: string; readonly path: string },
  put: (index: number, offset: number, bytes: Uint8Array) => Promise<void>,
): Promise<SavedDisk[]> {
  const saved: SavedDisk[] = [];
  for (const [backend, disk] of disksOf(parts)) {
    const index = saved.length;
    try {
      const record = await disk.machineSnapshots?.save(
        name,
        (offset, bytes) => put(index, offset, bytes),
        path,
      );
      saved.push({ backend, record: record ?? { size: disk.size } });
    } catch (error) {
      await removeDisks(parts, saved);
      throw diskError(`Cannot save the disk "${backend}"`, error);
    }
  }
  return saved;
}

/** Throws a `SnapshotError` unless all disks can be as they were. */
export async function checkSavedDisks(
  parts: Parts,
  saved: readonly SavedDisk[],
): Promise<void> {
  const disks = disksOf(parts);
  for (const { backend, record } of saved) {
    const disk = disks.get(backend);
    const fail = (message: string): never => {
      throw new SnapshotError(
        "disk",
        `Cannot load the snapshot: the disk "${backend}" ${message}`,
      );
    };
    if (disk === undefined) return fail("is not there");
    const problem = disk.machineSnapshots === undefined
      ? record.size === disk.size
        ? undefined
        : `has ${disk.size} bytes, it had ${record.size}`
      : await disk.machineSnapshots.check(record);
    if (problem !== undefined) fail(problem);
    disks.delete(backend);
  }
  for (const backend of disks.keys()) {
    throw new SnapshotError(
      "disk",
      `Cannot load the snapshot: it has no disk "${backend}"`,
    );
  }
  await eachDisk(parts, saved, "prepare");
}

/** Make all disks what they were. Throws a `SnapshotError`. */
export async function loadDisks(
  parts: Parts,
  saved: readonly SavedDisk[],
): Promise<void> {
  await eachDisk(parts, saved, "load");
}

async function eachDisk(
  parts: Parts,
  saved: readonly SavedDisk[],
  action: "prepare" | "load",
): Promise<void> {
  const disks = disksOf(parts);
  for (const { backend, record } of saved) {
    try {
      await disks.get(backend)!.machineSnapshots?.[action]?.(record);
    } catch (error) {
      throw diskError(`Cannot load the disk "${backend}"`, error);
    }
  }
}

/** The snapshot is there for which these were kept. */
export async function completeDisks(
  parts: Parts,
  saved: readonly SavedDisk[],
): Promise<void> {
  await onEach(parts, saved, "complete");
}

/** The snapshot in a file is about to go for which these were kept. */
export async function leaveDisks(
  parts: Parts,
  saved: readonly SavedDisk[],
  file: string,
): Promise<void> {
  await onEach(parts, saved, "leave", file);
}

/** Give up what was kept; what cannot be given up stays. */
export async function removeDisks(
  parts: Parts,
  saved: readonly SavedDisk[],
): Promise<void> {
  await onEach(parts, saved, "remove");
}

/** Whatever fails of it is as good. */
async function onEach(
  parts: Parts,
  saved: readonly SavedDisk[],
  action: "complete" | "leave" | "remove",
  file = "",
): Promise<void> {
  const disks = disksOf(parts);
  for (const { backend, record } of saved) {
    try {
      await disks.get(backend)?.machineSnapshots?.[action]?.(record, file);
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
    }
  }
}

function diskError(what: string, error: unknown): unknown {
  if (!(error instanceof BlockError)) return error;
  return new SnapshotError("disk", `${what}: ${error.message}`, {
    cause: error,
  });
}

/** What is in the drives whose media can be changed. */
export function mediaRecord({ contents }: Media): StateRecord {
  return JSON.parse(JSON.stringify(
    Object.fromEntries([...contents].map(([n, medium]) => [n, medium ?? null])),
  ));
}

/**
 * Put in each drive what was in it, where that is not there; what is read from
 * it then is checked with all disks. Throws a `SnapshotError`.
 */
export async function restoreMedia(
  media: Media,
  saved: StateRecord,
): Promise<void> {
  const here = mediaRecord(media);
  for (const [drive, medium] of Object.entries(saved)) {
    if (JSON.stringify(here[drive]) === JSON.stringify(medium)) continue;
    try {
      const force = { force: true };
      if (medium === null) await media.eject(drive, force);
      else await media.insert(drive, medium as unknown as Medium, force);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : `${cause}`;
      throw new SnapshotError(
        "disk",
        `Cannot load the snapshot: what was in the drive "${drive}" is not ` +
          `to be had: ${reason}`,
        { cause },
      );
    }
  }
}
