/**
 * The guest's memory in a file: an ELF core file, as QEMU's
 * `dump-guest-memory` makes it (System V ABI; `dump/dump.c`), which gdb and
 * crash open. Its segments are the physical addresses where RAM and ROM are,
 * its notes say what the CPUs' plugin knows of each CPU.
 *
 * @module
 */

import type { CoreNote } from "../cpu/inspector.ts";
import type { AddressSpace } from "../bus/address_space.ts";
import type { Machine } from "../machine/machine.ts";
import type { Parts } from "../machine/parts.ts";
import { flatView } from "./hmp/info_machine.ts";
import { GenericError } from "./qmp/error.ts";
import { createFile } from "./qmp/files.ts";

/** The states of a dump. */
export const DUMP_STATES = ["none", "active", "completed", "failed"] as const;

/** How far a dump is: the last one's end, or the present one. */
export interface DumpState {
  /** Its state. */
  readonly status: typeof DUMP_STATES[number];
  /** Bytes of memory that are written. */
  readonly completed: number;
  /** Of how many. */
  readonly total: number;
}

/** What to dump. */
export interface DumpRequest {
  /** The file's name. */
  readonly path: string;
  /** Physical addresses alone from here on. */
  readonly begin?: number;
  /** So many bytes of them; there when `begin` is. */
  readonly length?: number;
}

/** Bytes read and written at once. */
const PIECE_BYTES = 1 << 20;
const ELF_CLASS = { 32: 1, 64: 2 } as const;
const ELF_DATA_LITTLE = 1, ELF_VERSION = 1, ET_CORE = 4;
const PT_LOAD = 1, PT_NOTE = 4;
/** Bytes of the file's header, and of a segment's. */
const HEADER_BYTES = { 32: 52, 64: 64 } as const;
const SEGMENT_BYTES = { 32: 32, 64: 56 } as const;

/** Memory that stands together. */
interface Stretch {
  readonly start: number;
  readonly end: number;
}

const dumps = new WeakMap<Machine, MemoryDump>();

/** The dumps of a machine, which all its monitors know. */
export function dumpOf(machine: Machine, parts: Parts): MemoryDump {
  let found = dumps.get(machine);
  if (found === undefined) {
    found = new MemoryDump(machine, parts);
    dumps.set(machine, found);
  }
  return found;
}

/** Dumps of one machine, one at a time. */
export class MemoryDump {
  readonly #machine: Machine;
  readonly #parts: Parts;
  #state: DumpState = { status: "none", completed: 0, total: 0 };

  /** None yet. */
  constructor(machine: Machine, parts: Parts) {
    this.#machine = machine;
    this.#parts = parts;
  }

  /** How far it is. */
  get state(): DumpState {
    return this.#state;
  }

  get #space(): AddressSpace {
    const { plan } = this.#machine;
    return this.#machine.space(plan.definition.cpu.physical);
  }

  /**
   * Begin one. What cannot be is thrown, a `GenericError`; what it gives back
   * resolves at the end, while the guest has stood still, and rejects when it
   * fails.
   */
  async start(request: DumpRequest): Promise<{ readonly done: Promise<void> }> {
    if (this.#state.status === "active") {
      throw new GenericError("There is a dump in process, please wait.");
    }
    const memory = this.#stretches(request);
    const total = memory.reduce((sum, { start, end }) => sum + end - start, 0);
    if (total === 0) throw new GenericError("dump: no guest memory to dump");
    this.#state = { status: "active", completed: 0, total };
    let file: Deno.FsFile;
    try {
      file = await createFile(request.path);
    } catch (error) {
      this.#end("failed");
      throw error;
    }
    return { done: this.#run(file, memory) };
  }

  async #run(file: Deno.FsFile, memory: readonly Stretch[]): Promise<void> {
    using _file = file;
    try {
      await this.#machine.whileStill(() => this.#writeStill(file, memory));
    } finally {
      // The machine was closed.
      if (this.#state.status === "active") this.#end("failed");
    }
  }

  /** Write it all, while the guest stands still, and tell of the end. */
  async #writeStill(
    file: Deno.FsFile,
    memory: readonly Stretch[],
  ): Promise<void> {
    const { events } = this.#machine;
    try {
      await this.#write(file, memory);
      this.#end("completed");
      events.emit({ type: "dump", state: this.#state, error: undefined });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : `${cause}`;
      const error = new GenericError(`dump: failed to save memory: ${reason}`);
      this.#end("failed");
      events.emit({ type: "dump", state: this.#state, error });
      throw error;
    }
  }

  #end(status: "completed" | "failed"): void {
    this.#state = { ...this.#state, status };
  }

  /** Where RAM and ROM are, of what was asked for. */
  #stretches({ begin = 0, length = Infinity }: DumpRequest): Stretch[] {
    const found: { start: number; end: number }[] = [];
    for (const { start, end, region: { kind } } of flatView(this.#space)) {
      if (kind !== "ram" && kind !== "rom") continue;
      const from = Math.max(start, begin), to = Math.min(end, begin + length);
      if (from >= to) continue;
      const last = found.at(-1);
      if (last?.end === from) last.end = to;
      else found.push({ start: from, end: to });
    }
    return found;
  }

  async #write(file: Deno.FsFile, memory: readonly Stretch[]): Promise<void> {
    await writeAll(file, await this.#head(memory));
    const space = this.#space;
    const piece = new Uint8Array(PIECE_BYTES);
    for (const { start, end } of memory) {
      for (let at = start; at < end;) {
        const part = piece.subarray(0, Math.min(end - at, PIECE_BYTES));
        const got = space.peek(at, part);
        part.fill(0, got);
        await writeAll(file, part);
        at += part.length;
        const completed = this.#state.completed + part.length;
        this.#state = { ...this.#state, completed };
      }
    }
  }

  /** All that stands before the memory. */
  async #head(memory: readonly Stretch[]): Promise<Uint8Array> {
    const { cpus } = this.#parts;
    const formats = await Promise.all(cpus.map(async (cpu) => {
      const inspector = await cpu.inspect?.((at, into) =>
        this.#space.peek(at, into)
      );
      if (inspector?.core !== undefined) return inspector.core;
      throw new Error("the CPU has nothing for core files");
    }));
    const isWide = formats.some((format) => format.bits === 64) ||
      memory.at(-1)!.end > 2 ** 32;
    const bits = isWide ? 64 : 32;
    // Of a 32-bit system the registers are those of one, whatever the file is.
    const threads = formats.some((format) => format.bits === 64) ? 64 : 32;
    const all = formats.map((format, i) => format.notes(i, threads));
    const notes = all[0].flatMap((_, n) => all.map((of) => noteBytes(of[n])));
    const noteSize = notes.reduce((sum, { length }) => sum + length, 0);
    const header = HEADER_BYTES[bits], entry = SEGMENT_BYTES[bits];
    let offset = header + entry * (1 + memory.length);
    const out = new Uint8Array(offset + noteSize);
    writeHeader(out, bits, formats[0].machine(threads), 1 + memory.length);
    const segment = (i: number): DataView =>
      new DataView(out.buffer, header + entry * i, entry);
    writeSegment(segment(0), bits, PT_NOTE, offset, 0, noteSize);
    for (const note of notes) {
      out.set(note, offset);
      offset += note.length;
    }
    for (const [i, { start, end }] of memory.entries()) {
      writeSegment(segment(1 + i), bits, PT_LOAD, offset, start, end - start);
      offset += end - start;
    }
    return out;
  }
}

function writeHeader(
  out: Uint8Array,
  bits: 32 | 64,
  machine: number,
  segments: number,
): void {
  const view = new DataView(out.buffer);
  const ident = [0x7f, 0x45, 0x4c, 0x46, ELF_CLASS[bits], ELF_DATA_LITTLE];
  out.set([...ident, ELF_VERSION]);
  view.setUint16(16, ET_CORE, true);
  view.setUint16(18, machine, true);
  view.setUint32(20, ELF_VERSION, true);
  // e_phoff, then behind e_shoff and e_flags the sizes.
  view.setUint32(bits === 64 ? 32 : 28, HEADER_BYTES[bits], true);
  const sizes = bits === 64 ? 52 : 40;
  view.setUint16(sizes, HEADER_BYTES[bits], true);
  view.setUint16(sizes + 2, SEGMENT_BYTES[bits], true);
  view.setUint16(sizes + 4, segments, true);
}

/** A program header: memory is at its own address. */
function writeSegment(
  view: DataView,
  bits: 32 | 64,
  type: number,
  offset: number,
  address: number,
  size: number,
): void {
  view.setUint32(0, type, true);
  // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz.
  [offset, address, address, size, size].forEach((value, i) => {
    if (bits === 32) view.setUint32(4 + 4 * i, value, true);
    else view.setBigUint64(8 + 8 * i, BigInt(value), true);
  });
}

/** A note: sizes, type, the name with its NUL, what it says; all in words. */
function noteBytes({ name, type, data }: CoreNote): Uint8Array {
  const words = (bytes: number): number => Math.ceil(bytes / 4) * 4;
  const room = words(name.length + 1);
  const out = new Uint8Array(12 + room + words(data.length));
  const view = new DataView(out.buffer);
  view.setUint32(0, name.length + 1, true);
  view.setUint32(4, data.length, true);
  view.setUint32(8, type, true);
  out.set(new TextEncoder().encode(name), 12);
  out.set(data, 12 + room);
  return out;
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += await file.write(bytes.subarray(done));
  }
}
