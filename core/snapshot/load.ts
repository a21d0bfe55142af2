/**
 * Loads a snapshot file, into the machine it is of or as a new one.
 *
 * Nothing of a machine is changed before all of the file has been read and
 * found to be whole and of this machine.
 *
 * @module
 */

import { at } from "../machine/document.ts";
import type { LoadOptions } from "../machine/options.ts";
import { planLocated } from "../machine/options.ts";
import type { BareMachine } from "../machine/builder.ts";
import { GuestMemory, MemoryError } from "../machine/memory.ts";
import type { Media } from "../machine/media.ts";
import type { Parts } from "../machine/parts.ts";
import { wholePages } from "../machine/plan_memory.ts";
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
import { decodeLayout, LAYOUT, layoutOf } from "./layout.ts";
import { MemoryAhead, type Range } from "./memory_ahead.ts";
import { clear, MemoryBlockError, MemoryLoader } from "./memory_blocks.ts";
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

  /** Bytes of it. */
  get size(): number {
    return this.#reader.size;
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

/**
 * What of the guest memory of a machine that has not run may not be zero: all
 * but RAM without a file.
 */
function writtenRanges(plan: MachinePlan, memory: GuestMemory): Range[] {
  const ranges: Range[] = [];
  let at = memory.guestStart;
  for (const { size, kind, file } of plan.memories) {
    const end = at + wholePages(size);
    if (kind !== "ram" || file !== undefined) ranges.push([at, end]);
    at = end;
  }
  ranges.push([at, memory.guestEnd]);
  return ranges;
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
export interface BareSteps extends BareMachine {
  /** The snapshot's. */
  readonly path: string;
  /** To be called when all is built: gives it its state. */
  readonly fill: (parts: Parts, media: Media) => Promise<void>;
}

/** How such a machine is made. */
export type BuildBare<M> = (
  plan: MachinePlan,
  steps: BareSteps,
) => Promise<M>;

/** What machine a snapshot is loaded into. */
export interface RestoreOptions {
  /** The one of which it must be; that in the file when absent. */
  readonly plan?: MachinePlan;
  /**
   * Whether a first serial port that was a program's is this terminal, unless
   * other options say what serial ports are.
   */
  readonly terminal?: boolean;
}

/**
 * The machine of a snapshot, with what the options lay over its definition.
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
    return await planSaved(file.document(file.start()), options, terminal);
  } finally {
    file.close();
  }
}

async function planSaved(
  document: ReturnType<typeof documentOf>,
  options: LoadOptions,
  terminal: boolean,
): Promise<MachinePlan> {
  const plugin = at(document, ["backends", "serial0", "plugin"]);
  const isProgram = plugin.kind === "value" && plugin.value === "memory";
  return await planLocated(
    document,
    terminal && isProgram && (options.serial?.length ?? 0) === 0
      ? { ...options, serial: ["stdio"] }
      : options,
    true,
  );
}

/** A memory that is there before its machine is known for certain. */
interface EarlyMemory {
  readonly memory: GuestMemory;
  /** Whether it is what a machine needs, and was filled as far as it may be. */
  isOf(plan: MachinePlan): boolean;
}

/** Begin to fill the memory that a file speaks of; undefined where it cannot be. */
function fillEarly(
  { layout }: StateRecord,
  ahead: MemoryAhead,
): EarlyMemory | undefined {
  const saved = decodeLayout(layout);
  if (saved === undefined) return undefined;
  let memory: GuestMemory;
  try {
    memory = new GuestMemory(saved);
  } catch (error) {
    // Said by who makes the machine, if it needs one like that.
    if (error instanceof MemoryError) return undefined;
    throw error;
  }
  ahead.into(memory, saved.guestBytes, saved.untouched);
  return {
    memory,
    isOf: (plan) => {
      const here = layoutOf(plan);
      return LAYOUT.every((key) => here[key] === saved[key]);
    },
  };
}

/**
 * A new machine from a snapshot. Throws what `planSnapshot` does.
 */
export async function restoreSnapshot<M>(
  nameOrPath: string,
  options: LoadOptions,
  { plan: known, terminal = false }: RestoreOptions,
  build: BuildBare<M>,
): Promise<M> {
  const path = snapshotPath(nameOrPath, options.snapshots ?? ".");
  const file = SnapshotFile.open(path);
  let ahead: MemoryAhead | undefined;
  try {
    ahead = MemoryAhead.begin(path, file.size);
    const machine = file.start();
    const early = ahead && fillEarly(machine, ahead);
    const plan = known ??
      await planSaved(file.document(machine), options, terminal);
    const isTimed = options.record !== undefined ||
      options.replay !== undefined;
    file.checkMachine(machine, plan, isTimed);
    const memory = early?.isOf(plan) ? early.memory : undefined;
    // What it reads would be for nobody.
    if (memory === undefined) ahead?.close();
    let written: readonly Range[] = [];
    let rest: ReturnType<MemoryAhead["finish"]> | undefined;
    return await build(plan, {
      path,
      memory,
      onDevices: (its) => {
        written = writtenRanges(plan, its);
        if (memory !== undefined) rest = ahead?.finish(written);
      },
      fill: async (parts, media) => {
        try {
          const read = await rest;
          if (read === undefined) {
            for (const [from, to] of written) clear(parts.memory.u8, from, to);
          }
          const data: [number, number, Uint8Array][] = [];
          const contents = file.read(loaderOf(parts, data), read);
          await restoreMedia(media, contents.media);
          await checkSavedDisks(parts, contents.disks);
          await apply(parts, contents, data);
        } catch (error) {
          throw file.misfit(error);
        }
      },
    });
  } finally {
    ahead?.close();
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
