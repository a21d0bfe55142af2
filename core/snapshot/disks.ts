/**
 * The disks' part of a snapshot: that they are what they were when memory is.
 *
 * @module
 */

import type { BlockBackend, BlockTogether } from "../backend/block.ts";
import { BlockError } from "../backend/block.ts";
import type { Media, Medium } from "../machine/media.ts";
import type { Parts } from "../machine/parts.ts";
import type { JsonObject } from "../machine/schema_types.ts";
import {
  StateError,
  type StateRecord,
  type StateValue,
} from "../state/state.ts";
import { SnapshotError } from "./error.ts";
import { asRecord } from "./machine_state.ts";

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

/** A disk of which a load would last, and its record. */
interface LastingDisk extends SavedDisk {
  readonly together: BlockTogether;
}

/**
 * Make all disks what they were; if the process ends meanwhile, those whose
 * content lasts are all what they were when they are opened next, or none is.
 * Throws a `SnapshotError`.
 */
export async function loadDisks(
  parts: Parts,
  saved: readonly SavedDisk[],
): Promise<void> {
  const disks = disksOf(parts);
  const lasting: LastingDisk[] = [];
  for (const one of saved) {
    const together = disks.get(one.backend)?.machineSnapshots?.together;
    if (together !== undefined) lasting.push({ ...one, together });
  }
  if (lasting.length < 2) return await eachDisk(parts, saved, "load");
  const id = crypto.randomUUID();
  await beginTogether(lasting, id);
  try {
    await eachDisk(parts, saved, "load");
  } finally {
    // After an error, too: the guest goes on with what there is.
    await forgetLoad(lasting.reverse(), id);
  }
}

/** Decide that all disks are loaded; when one fails, none is. */
async function beginTogether(
  [decider, ...others]: readonly LastingDisk[],
  id: string,
): Promise<void> {
  const begun: LastingDisk[] = [];
  // It decides when all others know whom to ask.
  for (const disk of [...others, decider]) {
    const { backend, record, together } = disk;
    begun.push(disk);
    try {
      await together.begin(record, {
        id,
        decider: disk === decider ? undefined : decider.together.place,
      });
    } catch (error) {
      await forgetLoad(begun.reverse(), id);
      throw diskError(`Cannot load the disk "${backend}"`, error);
    }
  }
}

/** Notes that cannot be taken out lead to what has been decided. */
async function forgetLoad(
  disks: readonly LastingDisk[],
  id: string,
): Promise<void> {
  for (const { together } of disks) {
    try {
      await together.forget(id);
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
    }
  }
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
export interface SavedMedia {
  /** By drive: null where nothing is. */
  readonly contents: StateRecord;
  /** The drives with what the definition and the options put there. */
  readonly planned: readonly StateValue[];
}

/** What is in the drives now. */
export function mediaIn(media: Media): SavedMedia {
  const all = [...media.contents];
  const contents: StateRecord = JSON.parse(
    jsonOf(Object.fromEntries(all.map(([name, one]) => [name, one ?? null]))),
  );
  const planned = Object.keys(contents).filter((n) => !media.isChanged(n));
  return { contents, planned };
}

/** The drives in which is something else, and what was in them then. */
function changedMedia(
  media: Media,
  { contents, planned }: SavedMedia,
): [drive: string, medium: StateValue][] {
  const here = mediaIn(media).contents;
  const found: [string, StateValue][] = [];
  for (const [drive, was] of Object.entries(contents)) {
    // Where that is now the machine's definition and options say.
    const isPlanned = planned.includes(drive) && media.drives.has(drive);
    const medium = isPlanned ? media.planned(drive) ?? null : was;
    const text = jsonOf(medium);
    if (jsonOf(here[drive]) === text) continue;
    found.push([drive, JSON.parse(text)]);
  }
  return found;
}

/** A value as JSON, which has none of what is text here then. */
function jsonOf(value: unknown): string {
  return JSON.stringify(value ?? null, (_, inner) => {
    if (inner instanceof Uint8Array) return "bytes";
    return typeof inner === "bigint" ? `${inner}` : inner;
  });
}

/** Whether `restoreMedia` would change anything. */
export function isMediaOther(media: Media, saved: SavedMedia): boolean {
  return changedMedia(media, saved).length > 0;
}

/**
 * Put in each drive what was in it, where that is not there; what is read from
 * it then is checked with all disks. Throws a `SnapshotError`.
 */
export async function restoreMedia(
  media: Media,
  saved: SavedMedia,
): Promise<void> {
  for (const [drive, medium] of changedMedia(media, saved)) {
    try {
      const options = { force: true, bySnapshot: true };
      if (medium === null) await media.eject(drive, options);
      else await media.insert(drive, mediumOf(medium), options);
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

/** A medium of a snapshot, of which the plugin's schema says what it may be. */
function mediumOf(value: StateValue): Medium {
  const { plugin, config = {} } = asRecord(value, "media");
  if (typeof plugin !== "string") throw new StateError("media", "no plugin");
  return { plugin, config: asRecord(config, "media") as JsonObject };
}
