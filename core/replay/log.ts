/**
 * The file of a recording.
 *
 * After eight bytes of magic come records: the length of the payload (32 bits,
 * little-endian like everything), a type, the payload, and the hash of type and
 * payload. A record is written whole, so that what a host that crashed has left
 * is a recording of the run up to there. The first record is the header; the
 * others stand at a position of the run, which is given as the difference from
 * the position of the record before.
 *
 * @module
 */

import { ReplayError } from "./error.ts";
import { hash32 } from "./hash.ts";

/** "RHEAREC" and the version of the format. */
export const MAGIC: Uint8Array = Uint8Array.of(
  ...new TextEncoder().encode("RHEAREC"),
  1,
);
/** Where in the magic the version is. */
export const VERSION: number = MAGIC.length - 1;
/** Length and type before a payload, and the hash behind it. */
export const BEFORE = 5, BEHIND = 4;
/** A record has no more; a batch of inputs is far from it. */
export const MOST_BYTES: number = 2 ** 28;

/**
 * The types of records. A run ends by the guest, which is to end itself again,
 * or from outside: at a slice's end or, `CUT_END`, where a debugger has stopped
 * it. There nothing is compared: an interrupt may have been taken since the last
 * instruction.
 */
export const HEADER = 1, INPUTS = 2, CHECK = 3, END = 4, OWN_END = 5;
/** See `HEADER`. */
export const CUT_END = 6;

/**
 * A place in a run. While the guest runs its time follows from the count, and
 * is compared; while all CPUs wait, the time alone says when what comes then
 * does.
 */
export interface Position {
  /** Instructions that all CPUs have executed. */
  readonly count: number;
  /** Virtual time in nanoseconds. */
  readonly time: number;
}

/** What comes from outside, through a channel. */
export interface LoggedEvent {
  /** The channel's number. */
  readonly channel: number;
  /** It is what was refused before, and there are no bytes. */
  readonly again: boolean;
  /** What it is, as the channel writes it. */
  readonly bytes: Uint8Array;
}

/** Hashes of a machine. */
export interface Digest {
  /** CPUs and devices. */
  readonly state: number;
  /** A part of memory, or all of it at the end. */
  readonly memory: number;
  /** What was read from disks so far. */
  readonly disks: number;
  /** What the guest has sent so far. */
  readonly sent: number;
}

/** A record at a position. */
export type Entry =
  & Position
  & (
    | { readonly type: typeof INPUTS; readonly events: readonly LoggedEvent[] }
    | {
      readonly type:
        | typeof CHECK
        | typeof END
        | typeof OWN_END
        | typeof CUT_END;
      readonly digest: Digest;
    }
  );

/** What was recorded, in its order. */
export interface Entries {
  /** How many there are. */
  readonly length: number;
  /** How many channels there must be at least. */
  readonly channels: number;
  /** One by its number; undefined behind the last. */
  at(number: number): Entry | undefined;
  /** Nobody asks for more. */
  close(): void;
}

/** Bytes of a record, gathered. */
export class Writer {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** A view of what was gathered. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(bytes: number): void {
    const end = this.#length + bytes;
    if (end <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }

  /** Start anew. */
  clear(): void {
    this.#length = 0;
  }

  /** 7 bits a byte, the lowest first. */
  varint(value: number): void {
    this.#room(8);
    while (value > 0x7f) {
      this.#bytes[this.#length++] = value % 128 | 128;
      value = Math.floor(value / 128);
    }
    this.#bytes[this.#length++] = value;
  }

  /** 32 bits. */
  u32(value: number): void {
    this.#room(4);
    for (let i = 0; i < 32; i += 8) {
      this.#bytes[this.#length++] = value >>> i & 0xff;
    }
  }

  /** As they are. */
  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}

/** Reads what {@linkcode Writer} wrote; throws a `ReplayError` at its end. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  /** From the first byte on. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Whether nothing is left. */
  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** See {@linkcode Writer.varint}. */
  varint(): number {
    let value = 0;
    for (let unit = 1; unit <= 2 ** 49; unit *= 128) {
      const byte = this.#take(1)[0];
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw new ReplayError("damaged", "a number is too large");
  }

  /** See {@linkcode Writer.u32}. */
  u32(): number {
    const [a, b, c, d] = this.#take(4);
    return (a | b << 8 | c << 16 | d << 24) >>> 0;
  }

  /** So many bytes: a view. */
  raw(length: number): Uint8Array {
    return this.#take(length);
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) {
      throw new ReplayError("damaged", "a record is too short");
    }
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

/** The beginning of a recording: the magic and the header. */
export function writeHeader(header: object): Uint8Array {
  const payload = new TextEncoder().encode(JSON.stringify(header));
  const record = frame(HEADER, payload);
  const bytes = new Uint8Array(MAGIC.length + record.length);
  bytes.set(MAGIC);
  bytes.set(record, MAGIC.length);
  return bytes;
}

function frame(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(BEFORE + payload.length + BEHIND);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length, true);
  bytes[4] = type;
  bytes.set(payload, BEFORE);
  const body = bytes.subarray(4, BEFORE + payload.length);
  view.setUint32(BEFORE + payload.length, hash32(body), true);
  return bytes;
}

/** Writes the records after the header. */
export class EntryWriter {
  readonly #writer = new Writer();
  #count: number;
  #time: number;

  /** For a run that begins there. */
  constructor({ count, time }: Position) {
    this.#count = count;
    this.#time = time;
  }

  /** A record's bytes: entries come in the order of their positions. */
  write(entry: Entry): Uint8Array {
    const { type, count, time } = entry;
    const writer = this.#writer;
    writer.clear();
    writer.varint(count - this.#count);
    writer.varint(time - this.#time);
    [this.#count, this.#time] = [count, time];
    if (type === INPUTS) {
      for (const { channel, again, bytes } of entry.events) {
        writer.varint(channel * 2 + (again ? 1 : 0));
        if (again) continue;
        writer.varint(bytes.length);
        writer.raw(bytes);
      }
    } else {
      const { state, memory, disks, sent } = entry.digest;
      for (const hash of [state, memory, disks, sent]) writer.u32(hash);
    }
    return frame(type, writer.bytes);
  }
}

/** What is wrong at a byte of a recording. */
export function damaged(at: number, message: string): ReplayError {
  return new ReplayError("damaged", `it is damaged at byte ${at}: ${message}`);
}

/** The header in a record's payload; throws a `ReplayError`. */
export function readHeader(type: number, payload: Uint8Array): unknown {
  if (type !== HEADER) throw damaged(0, "the header is missing");
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
    return JSON.parse(text) ?? {};
  } catch {
    throw new ReplayError("damaged", "the header is not JSON");
  }
}

/**
 * The entry in a record's payload, behind one at a position: with views of the
 * payload. Throws a `ReplayError`.
 */
export function readEntry(
  type: number,
  payload: Uint8Array,
  from: Position,
): Entry {
  const reader = new Reader(payload);
  const count = from.count + reader.varint();
  const time = from.time + reader.varint();
  if (!Number.isSafeInteger(count) || !Number.isSafeInteger(time)) {
    throw new ReplayError("damaged", "a position is too large");
  }
  if (type === INPUTS) {
    const events: LoggedEvent[] = [];
    while (!reader.atEnd) {
      const head = reader.varint();
      const again = head % 2 === 1;
      const bytes = again ? new Uint8Array() : reader.raw(reader.varint());
      events.push({ channel: Math.floor(head / 2), again, bytes });
    }
    return { type, count, time, events };
  }
  if (
    type !== CHECK && type !== END && type !== OWN_END && type !== CUT_END
  ) {
    throw new ReplayError("damaged", `there is no record of type ${type}`);
  }
  const [state, memory, disks, sent] = [1, 2, 3, 4].map(() => reader.u32());
  if (!reader.atEnd) throw new ReplayError("damaged", "a record is too long");
  return { type, count, time, digest: { state, memory, disks, sent } };
}
