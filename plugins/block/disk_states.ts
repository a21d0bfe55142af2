/**
 * How disk images take part in snapshots of the machine.
 *
 * @module
 */

import {
  BlockError,
  type BlockPast,
  type BlockSnapshots,
} from "../../core/backend/block.ts";
import type { StateRecord, StateValue } from "../../core/state/state.ts";
import type { ByteStore } from "./byte_store.ts";
import {
  isDecided,
  noteIn,
  noteName,
  type Qcow2LoadNote,
} from "./load_notes.ts";
import type { Qcow2Block, Qcow2Snapshot } from "./qcow2_image.ts";

/** An image that nobody writes to: it must still be what it was. */
export function fixedImage(
  size: number,
  store: ByteStore,
  past?: BlockPast,
): BlockSnapshots {
  const save = (): StateRecord => {
    const { stamp } = store.identity?.() ?? { stamp: "an unknown date" };
    return { kind: "fixed", size, stamp };
  };
  return {
    save: () => Promise.resolve(save()),
    check: (record) => Promise.resolve(differs(record, save())),
    load: async () => {},
    remove: async () => {},
    past,
  };
}

/** What a disk is in a snapshot, by the kind of its record. */
const KINDS: Readonly<Record<string, string>> = {
  fixed: "an image that is only read",
  overlay: "a throw-away overlay",
  qcow2: "a qcow2 image that is written to",
  undo: "a raw image that is written to",
};

/** Why a disk of this kind is not what a record of another one says. */
export function otherKind(
  { kind: before }: StateRecord,
  here: string,
): string | undefined {
  if (before === here) return undefined;
  const known = typeof before === "string" && Object.hasOwn(KINDS, before);
  return `was ${known ? KINDS[before] : "of an unknown kind"} when the ` +
    `snapshot was saved, here it is ${KINDS[here]}`;
}

/** Why an image is not what a record says. */
function differs(record: StateRecord, here: StateRecord): string | undefined {
  const other = otherKind(record, "fixed");
  if (other !== undefined) return other;
  if (record.size !== here.size) {
    return `has ${here.size} bytes, it had ${record.size}`;
  }
  return record.stamp === here.stamp
    ? undefined
    : `has changed since: it is of ${here.stamp}, it was of ${record.stamp}`;
}

/** The snapshot in a qcow2 image that a record is of. */
function findIn(
  image: Qcow2Block,
  { kind, id, name, date, dateNs }: StateRecord,
): Qcow2Snapshot | undefined {
  if (kind !== "qcow2") return undefined;
  return image.snapshots.find((one) =>
    one.id === id && one.name === name && one.date === date &&
    one.dateNs === dateNs
  );
}

/** The same; throws a `BlockError` when there is none. */
function mustFindIn(image: Qcow2Block, record: StateRecord): Qcow2Snapshot {
  const found = findIn(image, record);
  if (found !== undefined) return found;
  throw new BlockError("unsupported", `The image ${gone(record.name)}`);
}

/** Why a qcow2 image cannot become what a record is of. */
function checkIn(image: Qcow2Block, record: StateRecord): string | undefined {
  const other = otherKind(record, "qcow2");
  if (other !== undefined) return other;
  if (findIn(image, record) === undefined) return gone(record.name);
  return record.size === image.size
    ? undefined
    : `has ${image.size} bytes, it had ${record.size}`;
}

/** What a qcow2 image that is only read was at the snapshots in it. */
export function qcow2Past(image: Qcow2Block): BlockPast {
  return {
    check: (record) => Promise.resolve(checkIn(image, record)),
    open: async (record) =>
      await image.openSnapshot(mustFindIn(image, record).id),
  };
}

/** A qcow2 image that is written to: a snapshot in it, as QEMU's `savevm`. */
export function qcow2Snapshots(image: Qcow2Block): BlockSnapshots {
  const { path } = image;
  const must = (record: StateRecord) => mustFindIn(image, record);
  return {
    async save(name) {
      await dropNotes(image);
      const id = await image.createSnapshot({ name, date: Date.now() });
      const made = image.snapshots.find((one) => one.id === id)!;
      const { date, dateNs } = made;
      return { kind: "qcow2", size: image.size, id, name, date, dateNs };
    },
    check: (record) => Promise.resolve(checkIn(image, record)),
    load: (record) => image.applySnapshot(must(record).id),
    async remove(record) {
      const found = findIn(image, record);
      if (found !== undefined) await image.deleteSnapshot(found.id);
    },
    together: path === undefined ? undefined : {
      place: path,
      async begin(record, { id: load, decider = "" }) {
        await dropNotes(image);
        const { id: target } = must(record);
        const name = noteName({ load, target, decider });
        await image.createSnapshot({ name, date: Date.now() });
      },
      forget: (load) => dropNotes(image, load),
    },
  };
}

/** Take out notes of a load, or of all: none is under way. */
async function dropNotes(image: Qcow2Block, load?: string): Promise<void> {
  for (const { id, name } of image.snapshots) {
    const note = noteIn(name);
    if (note === undefined) continue;
    if (load === undefined || note.load === load) {
      await image.deleteSnapshot(id);
    }
  }
}

/**
 * A load together with others was under way when Rhea was ended: it is done, or
 * is not to be. Rejects with a `BlockError`.
 */
export async function endLoads(image: Qcow2Block): Promise<void> {
  for (const { id, name } of image.snapshots) {
    const note = noteIn(name);
    if (note?.target === undefined) continue;
    if (await isUnfinished(image, id, note)) {
      await image.applySnapshot(note.target);
    }
    // The others may come to ask; this disk has its answer.
    const done = { ...note, target: undefined };
    if (note.decider === "" && !await isNoted(image, done)) continue;
    await image.deleteSnapshot(id);
  }
}

/** Make a note; without room for it the one before stays, and says enough. */
async function isNoted(
  image: Qcow2Block,
  note: Qcow2LoadNote,
): Promise<boolean> {
  try {
    const name = noteName(note);
    await image.createSnapshot({ name, date: Date.now() });
    return true;
  } catch (error) {
    if (error instanceof BlockError && error.kind === "no-space") return false;
    throw error;
  }
}

/** Whether a note says that the disk is to become what it is not yet. */
async function isUnfinished(
  image: Qcow2Block,
  before: string,
  { load, target, decider }: Qcow2LoadNote,
): Promise<boolean> {
  const isThere = image.snapshots.some(({ id }) => id === target);
  if (!isThere) return false;
  const { comparedTo } = await import("./qcow2_snapshot_changes.ts");
  const here = await image.maintain((parts) =>
    comparedTo(parts, [before, target!])
  );
  if (here === "second" || here === "other") return false;
  if (here === "between" || decider === "") return true;
  try {
    return await isDecided(decider, load);
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    throw new BlockError(
      error.kind,
      "Rhea was ended while it loaded a snapshot to this disk and others, " +
        `and cannot tell whether that was to be: ${error.message}; ` +
        `"qemu-img snapshot -d ${before}" takes the image as it is`,
      { cause: error },
    );
  }
}

function gone(name: StateValue): string {
  return `has no snapshot "${name}" any more that was made with it`;
}
