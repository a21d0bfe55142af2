/**
 * Loads a snapshot file, into the machine it is of or as a new one.
 *
 * Nothing of a machine is changed before all of the file has been read and
 * found to be whole and of this machine.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { at } from "../machine/document.ts";
import type { LoadOptions } from "../machine/options.ts";
import { planLocated } from "../machine/options.ts";
import { type GuestMemory, PAGE_BYTES } from "../machine/memory.ts";
import type { Media } from "../machine/media.ts";
import type { Parts } from "../machine/parts.ts";
import type { MachinePlan } from "../machine/plan_types.ts";
import { BlockError } from "../backend/block.ts";
import { encodeRecord } from "../state/record_codec.ts";
import { StateError, type StateRecord } from "../state/state.ts";
import { VERSION } from "../version.ts";
import { BlockFileReader, type ReadAheads } from "./block_file.ts";
import {
  checkSavedDisks,
  completeDisks,
  disksOf,
  isMediaOther,
  leaveDisks,
  loadDisks,
  mediaIn,
  removeDisks,
  restoreMedia,
  returnMedia,
} from "./disks.ts";
import type { SavedDisk, SavedMedia } from "./disks.ts";
import { documentOf, DocumentRecordError } from "./document_record.ts";
import { SnapshotError } from "./error.ts";
import {
  mustBeSnapshot,
  readRecord,
  snapshotPath,
  snapshotsBeside,
} from "./folder.ts";
import { differences, identityOf } from "./identity.ts";
import { readAhead, untouchedBytes } from "./memory_ahead.ts";
import { MemoryBlockError, MemoryLoader } from "./memory_blocks.ts";
import { asRecord, loadMachine, saveMachine } from "./machine_state.ts";

/** Bytes before those of a disk in a block of them. */
const DATA_HEAD = 12;

/** What a file has beside memory and bytes of disks. */
interface Contents {
  readonly head: StateRecord;
  readonly machine: StateRecord;
  readonly state: StateRecord;
  readonly disks: readonly SavedDisk[];
  readonly media: SavedMedia;
}

/** What is done with blocks of memory and disks. */
interface Sink {
  /** Bytes of the memory that there is; what the file says when absent. */
  readonly size?: number;
  memory(loader: MemoryLoader, bytes: Uint8Array<ArrayBuffer>): void;
  data?(index: number, offset: number, bytes: Uint8Array): void;
}

/** Only looks whether they are right. */
const CHECK: Sink = { memory: (loader, bytes) => loader.load(bytes) };

/** A snapshot file that is open. */
export class SnapshotFile {
  readonly #reader: BlockFileReader;

  private constructor(reader: BlockFileReader) {
    this.#reader = reader;
  }

  /** Open a file. Throws a `SnapshotError`. */
  static open(path: string): SnapshotFile {
    return new SnapshotFile(BlockFileReader.open(path));
  }

  /** Let go of it. */
  close(): void {
    this.#reader.close();
  }

  /** Head and machine, which come first. */
  start(): StateRecord {
    for (const { tag, bytes } of this.#reader.blocks()) {
      if (tag === "MACH") return readRecord(this.#reader, bytes);
    }
    throw this.#reader.damaged("it has no machine");
  }

  /**
   * Begin to read what belongs to the first `bytes` of guest memory: for
   * `read`, which must wait for it.
   */
  ahead(memory: GuestMemory, bytes: number): Promise<ReadAheads> {
    return readAhead(this.#reader, memory, bytes);
  }

  /**
   * Read all of it but what was read ahead; memory and disks' bytes go to the
   * sink as they come.
   */
  read(sink: Sink = CHECK, ahead?: ReadAheads): Contents {
    const reader = this.#reader;
    const records = new Map<string, StateRecord>();
    let loader: MemoryLoader | undefined;
    for (const { tag, bytes, isAhead } of reader.blocks(ahead)) {
      switch (tag) {
        case "HEAD":
        case "MACH":
        case "STAT":
        case "DISK":
          if (records.has(tag)) throw reader.damaged(`"${tag}" is there twice`);
          records.set(tag, readRecord(reader, bytes));
          break;
        case "DATA": {
          if (bytes.length < DATA_HEAD) throw reader.damaged("a disk has none");
          const view = new DataView(bytes.buffer, bytes.byteOffset, DATA_HEAD);
          sink.data?.(
            view.getUint32(0, true),
            view.getFloat64(4, true),
            bytes.subarray(DATA_HEAD),
          );
          break;
        }
        case "MEMO":
          try {
            loader ??= new MemoryLoader(
              sink.size ?? this.#memoryOf(records.get("MACH")),
            );
            if (isAhead) loader.head(bytes);
            else sink.memory(loader, bytes);
          } catch (error) {
            if (!(error instanceof MemoryBlockError)) throw error;
            throw reader.damaged(
              `a block of memory is wrong: ${error.message}`,
            );
          }
          break;
        default:
          if (/^[a-z]/.test(tag)) break;
          throw new SnapshotError(
            "version",
            `The snapshot "${reader.path}" needs what this version of Rhea ` +
              `does not know: ${JSON.stringify(tag)}`,
          );
      }
    }
    const must = (tag: string): StateRecord => {
      const record = records.get(tag);
      if (record === undefined) throw reader.damaged(`"${tag}" is missing`);
      return record;
    };
    return {
      head: must("HEAD"),
      machine: must("MACH"),
      state: must("STAT"),
      disks: this.#disksOf(must("DISK")),
      media: this.#mediaOf(must("DISK")),
    };
  }

  /** The disks, which come before memory: nothing behind them is read. */
  disks(): readonly SavedDisk[] {
    for (const { tag, bytes } of this.#reader.blocks()) {
      if (tag === "DISK") return this.#disksOf(readRecord(this.#reader, bytes));
    }
    throw this.#reader.damaged('"DISK" is missing');
  }

  #mediaOf({ media = {}, planned = [] }: StateRecord): SavedMedia {
    const bad = (): never => {
      throw this.#reader.damaged("its list of media is none");
    };
    if (!Array.isArray(planned)) return bad();
    try {
      return { contents: asRecord(media, "media"), planned };
    } catch {
      return bad();
    }
  }

  #memoryOf(machine: StateRecord | undefined): number {
    const bytes = machine?.memory;
    if (typeof bytes === "number" && bytes >= 0) return bytes;
    throw this.#reader.damaged("it does not say how much memory there is");
  }

  #disksOf({ disks }: StateRecord): SavedDisk[] {
    const bad = (): never => {
      throw this.#reader.damaged("its list of disks is none");
    };
    if (!Array.isArray(disks)) return bad();
    return disks.map((disk) => {
      try {
        const { backend, record } = asRecord(disk, "disks");
        if (typeof backend !== "string") return bad();
        return { backend, record: asRecord(record, "disks") };
      } catch (error) {
        if (error instanceof StateError) return bad();
        throw error;
      }
    });
  }

  /**
   * Throws a `SnapshotError` unless it is of this machine. With `anyTime` that
   * may have had another kind of time: a run that is recorded has that of the
   * instruction count, from where the saved one is on.
   */
  checkMachine(
    machine: StateRecord,
    plan: MachinePlan,
    anyTime = false,
  ): void {
    let saved: StateRecord;
    try {
      saved = asRecord(machine.identity, "identity");
    } catch {
      throw this.#reader.damaged("it does not say what machine it is of");
    }
    const here = identityOf(plan);
    const difference = differences(
      anyTime ? { ...saved, time: here.time } : saved,
      here,
    );
    if (difference === undefined) return;
    throw new SnapshotError(
      "machine",
      `The snapshot "${this.#reader.path}" is of another machine: ` +
        difference + this.#otherVersion(),
    );
  }

  /** That another version of Rhea has saved it, where that is so. */
  #otherVersion(): string {
    for (const { tag, bytes } of this.#reader.blocks()) {
      if (tag !== "HEAD") break;
      const { rhea } = readRecord(this.#reader, bytes);
      return rhea === VERSION || typeof rhea !== "string"
        ? ""
        : `; it was saved by Rhea ${rhea}, this is ${VERSION}`;
    }
    return "";
  }

  /** The machine's definition. */
  document(machine: StateRecord): ReturnType<typeof documentOf> {
    try {
      return documentOf(machine);
    } catch (error) {
      if (error instanceof DocumentRecordError) {
        throw this.#reader.damaged(error.message);
      }
      throw error;
    }
  }

  /**
   * The error of a state that a machine cannot take though it is the same
   * machine: whatever a device makes of what cannot be.
   */
  misfit(error: unknown): SnapshotError {
    if (error instanceof SnapshotError) return error;
    const reason = error instanceof Error ? error.message : `${error}`;
    return new SnapshotError(
      "damaged",
      `The snapshot "${this.#reader.path}" is damaged: ${reason}`,
      { cause: error },
    );
  }
}

/** All memory is zero: what a snapshot leaves out is. */
function clearMemory({ memory }: Parts): void {
  memory.u8.fill(0, memory.guestStart, memory.guestEnd);
}

/** The same for a machine that has not run: RAM is zero, and costs nothing then. */
function clearNewMemory({ memory, plan }: Parts): void {
  let at = memory.guestStart;
  for (const { size, kind, file } of plan.memories) {
    const end = at + Math.ceil(size / PAGE_BYTES) * PAGE_BYTES;
    if (kind !== "ram" || file !== undefined) clear(memory.u8, at, end);
    at = end;
  }
  clear(memory.u8, at, memory.guestEnd);
}

/** Bytes that are compared at once. */
const CHUNK_BYTES = 65536;

/**
 * Make bytes zero, most of which are: the host has not given that memory its
 * pages yet, and to write to them would make it.
 */
function clear(bytes: Uint8Array, from: number, to: number): void {
  const zeros = new Uint8Array(CHUNK_BYTES);
  for (let at = from; at < to; at += CHUNK_BYTES) {
    const chunk = bytes.subarray(at, Math.min(at + CHUNK_BYTES, to));
    if (Buffer.compare(chunk, zeros.subarray(0, chunk.length)) !== 0) {
      chunk.fill(0);
    }
  }
}

/** A sink that puts everything where it belongs. */
function loaderOf(parts: Parts, data: [number, number, Uint8Array][]): Sink {
  const { memory } = parts;
  return {
    size: memory.guestEnd - memory.guestStart,
    memory: (loader, bytes) => loader.load(bytes, memory),
    // Until it is known which disks there are.
    data: (index, offset, bytes) => data.push([index, offset, bytes.slice()]),
  };
}

async function apply(
  parts: Parts,
  { state, disks }: Contents,
  data: readonly [number, number, Uint8Array][],
): Promise<void> {
  await loadDisks(parts, disks);
  const backends = disksOf(parts);
  for (const [index, offset, bytes] of data) {
    const { machineSnapshots } = backends.get(disks[index]?.backend) ?? {};
    if (machineSnapshots?.put === undefined) {
      throw new StateError("disks", `there are bytes for the disk ${index}`);
    }
    try {
      await machineSnapshots.put(offset, bytes);
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      throw new SnapshotError("disk", error.message, { cause: error });
    }
  }
  loadMachine(parts, state);
  for (const backend of parts.backends.values()) {
    if ("attach" in backend) backend.guestReplaced?.();
  }
  if (parts.plan.definition.time.mode === "icount") return;
  // When what devices do in microtasks is done.
  await new Promise<void>((done) => queueMicrotask(done));
  for (const device of parts.devices.values()) device.announce?.();
}

/**
 * Load a snapshot into a machine that stands still. Throws a `SnapshotError`;
 * `spoilt` is called before when the machine is not what it was.
 */
export async function loadSnapshot(
  parts: Parts,
  media: Media,
  nameOrPath: string,
  spoilt: () => void,
): Promise<void> {
  const path = snapshotPath(nameOrPath, parts.options.snapshots ?? ".");
  const file = SnapshotFile.open(path);
  try {
    const contents = file.read();
    file.checkMachine(contents.machine, parts.plan);
    const before = mediaIn(media);
    let state: StateRecord | undefined;
    if (isMediaOther(media, contents.media)) {
      // What devices have done by then they do not do again, nor undo.
      await parts.blocks.settle(true);
      state = saveMachine(parts);
    }
    try {
      await restoreMedia(media, contents.media);
      await checkSavedDisks(parts, contents.disks);
    } catch (error) {
      await returnMedia(media, before);
      if (state !== undefined) {
        // The guest has seen nothing of it.
        await parts.blocks.settle(true);
        loadMachine(parts, state);
      }
      throw file.misfit(error);
    }
    await parts.blocks.settle(true);
    try {
      clearMemory(parts);
      const data: [number, number, Uint8Array][] = [];
      await apply(parts, file.read(loaderOf(parts, data)), data);
    } catch (error) {
      spoilt();
      throw file.misfit(error);
    }
  } finally {
    file.close();
  }
}

/** What a machine is made with that has not been reset. */
export interface BareSteps {
  /** The snapshot's. */
  readonly path: string;
  /** To be called when there is a memory, before anything else is built. */
  readonly onMemory: (memory: GuestMemory) => void;
  /** To be called when all is built: gives it its state. */
  readonly fill: (parts: Parts, media: Media) => Promise<void>;
}

/** How such a machine is made. */
export type BuildBare<M> = (
  plan: MachinePlan,
  steps: BareSteps,
) => Promise<M>;

/**
 * The machine of a snapshot, with what the options lay over its definition.
 * With `terminal` a first serial port that was a program's is this terminal,
 * unless the options say what serial ports are.
 * Throws a `SnapshotError`, and a `DefinitionError` for what the options say.
 */
export async function planSnapshot(
  nameOrPath: string,
  options: LoadOptions,
  terminal = false,
): Promise<MachinePlan> {
  const file = SnapshotFile.open(
    snapshotPath(nameOrPath, options.snapshots ?? "."),
  );
  try {
    const document = file.document(file.start());
    const plugin = at(document, ["backends", "serial0", "plugin"]);
    const isProgram = plugin.kind === "value" && plugin.value === "memory";
    return await planLocated(
      document,
      terminal && isProgram && (options.serial?.length ?? 0) === 0
        ? { ...options, serial: ["stdio"] }
        : options,
      true,
    );
  } finally {
    file.close();
  }
}

/**
 * A new machine from a snapshot: the one in it, or `plan`, of which it must be.
 * Throws what `planSnapshot` does.
 */
export async function restoreSnapshot<M>(
  { nameOrPath, plan: known }: {
    readonly nameOrPath: string;
    readonly plan?: MachinePlan;
  },
  options: LoadOptions,
  build: BuildBare<M>,
): Promise<M> {
  const path = snapshotPath(nameOrPath, options.snapshots ?? ".");
  const file = SnapshotFile.open(path);
  let ahead: Promise<ReadAheads> | undefined;
  try {
    const machine = file.start();
    const plan = known ??
      await planLocated(file.document(machine), options, true);
    const isTimed = options.record !== undefined ||
      options.replay !== undefined;
    file.checkMachine(machine, plan, isTimed);
    return await build(plan, {
      path,
      onMemory: (memory) => ahead = file.ahead(memory, untouchedBytes(plan)),
      fill: async (parts, media) => {
        try {
          clearNewMemory(parts);
          const data: [number, number, Uint8Array][] = [];
          const contents = file.read(loaderOf(parts, data), await ahead);
          await restoreMedia(media, contents.media);
          await checkSavedDisks(parts, contents.disks);
          await apply(parts, contents, data);
        } catch (error) {
          throw file.misfit(error);
        }
      },
    });
  } finally {
    await ahead;
    file.close();
  }
}

/** The disks of a snapshot; none when it cannot be read. */
function disksIn(path: string): readonly SavedDisk[] {
  try {
    const file = SnapshotFile.open(path);
    try {
      return file.disks();
    } finally {
      file.close();
    }
  } catch (error) {
    if (error instanceof SnapshotError) return [];
    throw error;
  }
}

/**
 * The disks of a snapshot that is about to go, but for what a copy of its file
 * in the same folder needs, too; none when it cannot be read.
 */
export function savedDisksIn(path: string): readonly SavedDisk[] {
  const all = disksIn(path);
  if (all.length === 0) return all;
  const key = ({ backend, record }: SavedDisk): string =>
    encodeRecord({ backend, record }).toHex();
  const needed = new Set(
    snapshotsBeside(path).flatMap((other) => disksIn(other).map(key)),
  );
  return all.filter((disk) => !needed.has(key(disk)));
}

/** Delete a snapshot, and what the machine's disks keep for it. */
export async function deleteSnapshot(
  parts: Parts,
  nameOrPath: string,
): Promise<void> {
  const path = snapshotPath(nameOrPath, parts.options.snapshots ?? ".");
  mustBeSnapshot(path, "delete");
  const disks = savedDisksIn(path);
  await leaveDisks(parts, disks, path);
  try {
    await Deno.remove(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new SnapshotError("missing", `There is no snapshot "${path}"`);
    }
    await completeDisks(parts, disks);
    const reason = cause instanceof Error ? cause.message : `${cause}`;
    throw new SnapshotError("io", `Cannot delete "${path}": ${reason}`, {
      cause,
    });
  }
  await removeDisks(parts, disks);
}
