/**
 * A recording as it is read: however long it is, little of it is in memory.
 *
 * When it is opened all of it is read once, to know whether it is whole; what
 * is kept of that is where every so many entries stand. Then entries are read
 * as they are asked for, one after the other or, when a replay has gone back,
 * from the place before.
 *
 * @module
 */

import { resolve } from "../machine/path.ts";
import { ReplayError } from "./error.ts";
import { hash32 } from "./hash.ts";
import {
  BEFORE,
  BEHIND,
  CUT_END,
  damaged,
  END,
  type Entries,
  type Entry,
  INPUTS,
  MAGIC,
  MOST_BYTES,
  OWN_END,
  type Position,
  readEntry,
  readHeader,
  VERSION,
} from "./log.ts";

/** Bytes that are read at once. */
const WINDOW = 262_144;
/** Of one in so many entries it is kept where it stands. */
const EVERY = 256;

/** What a recording's bytes are read from. */
export interface LogSource {
  /** How many there are. */
  readonly size: number;
  /** Read so many from an offset on: fewer when there are no more. */
  read(offset: number, length: number): Uint8Array;
  /** Let go of them; they may be read again later. */
  close(): void;
}

/** A file, which is open as long as it is read. */
class FileSource implements LogSource {
  readonly size: number;
  readonly #path: string;
  #file: Deno.FsFile | undefined;

  constructor(path: string, size: number) {
    this.#path = path;
    this.size = size;
  }

  read(offset: number, length: number): Uint8Array {
    this.#file ??= Deno.openSync(this.#path);
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    const bytes = new Uint8Array(Math.min(length, this.size - offset));
    let at = 0;
    while (at < bytes.length) {
      const more = this.#file.readSync(bytes.subarray(at));
      if (more === null) break;
      at += more;
    }
    return bytes.subarray(0, at);
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}

/** Where the bytes of a file are read; what cannot be sought in is in memory. */
export async function logSource(path: string): Promise<LogSource> {
  const { isFile, size } = await Deno.stat(path);
  // The program may be in another folder when more of it is read.
  if (isFile) return new FileSource(resolve(path), size);
  return bytesSource(await Deno.readFile(path));
}

/** Bytes in memory. */
function bytesSource(bytes: Uint8Array): LogSource {
  return {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
    close: () => {},
  };
}

/** A record as it stands in the file. */
interface RawRecord {
  readonly type: number;
  readonly payload: Uint8Array;
  /** Where the next one begins. */
  readonly end: number;
}

/** An entry's place, and what stands before it. */
interface Mark {
  readonly offset: number;
  readonly from: Position;
}

const BEGINNING: Position = { count: 0, time: 0 };

/** A recording that was read. */
export class LogFile implements Entries, Iterable<Entry> {
  readonly #source: LogSource;
  #window: Uint8Array = new Uint8Array();
  #windowAt = 0;
  /** Where the entries 0, EVERY, 2 * EVERY and so on stand. */
  readonly #marks: Mark[] = [];
  #header: unknown;
  #length = 0;
  #channels = 0;
  #isTruncated = true;
  /** The entry that was read last, and its number. */
  #entry: Entry | undefined;
  #number = -1;
  /** Where the one behind it stands. */
  #next: Mark = { offset: MAGIC.length, from: BEGINNING };

  /**
   * Understand a recording. An incomplete record at the end, as a host that
   * crashed leaves it, ends the recording; anything else that is wrong throws a
   * `ReplayError`.
   */
  constructor(source: LogSource | Uint8Array) {
    this.#source = source instanceof Uint8Array ? bytesSource(source) : source;
    try {
      this.#scan();
    } finally {
      this.close();
    }
  }

  /** The header. */
  get header(): unknown {
    return this.#header;
  }

  /** How many entries there are. */
  get length(): number {
    return this.#length;
  }

  /** Whether the end is missing. */
  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  /** How many channels there must be at least for what is in it. */
  get channels(): number {
    return this.#channels;
  }

  /**
   * The entry of a number from 0 on; undefined behind the last. Throws a
   * `ReplayError` when the file is not any more what it was.
   */
  at(number: number): Entry | undefined {
    if (number === this.#number) return this.#entry;
    if (number >= this.#length) return undefined;
    if (
      this.#number < 0 || number <= this.#number ||
      number > this.#number + EVERY
    ) {
      const mark = Math.floor(number / EVERY);
      this.#next = this.#marks[mark];
      this.#number = mark * EVERY - 1;
    }
    while (this.#number < number) {
      const { offset, from } = this.#next;
      const record = this.#record(offset);
      if (record === undefined) throw damaged(offset, "the rest is missing");
      // A view of the window would be another entry's soon.
      const entry = readEntry(record.type, record.payload.slice(), from);
      this.#next = { offset: record.end, from: entry };
      this.#entry = entry;
      this.#number++;
    }
    return this.#entry;
  }

  /** All entries. */
  *[Symbol.iterator](): Iterator<Entry> {
    for (let i = 0; i < this.#length; i++) yield this.at(i)!;
  }

  /** Let go of the file; it is opened again for what is asked for later. */
  close(): void {
    this.#window = new Uint8Array();
    this.#source.close();
  }

  #scan(): void {
    const magic = this.#bytes(0, MAGIC.length);
    if (!MAGIC.subarray(0, VERSION).every((byte, i) => byte === magic[i])) {
      throw new ReplayError("damaged", "it is not a recording");
    }
    if (magic[VERSION] !== MAGIC[VERSION]) {
      const found = magic[VERSION] ?? "none";
      throw new ReplayError(
        "version",
        `it has format ${found}, expected ${MAGIC[VERSION]}`,
      );
    }
    let from = BEGINNING;
    for (let offset = MAGIC.length;;) {
      const record = this.#record(offset);
      if (record === undefined) break;
      try {
        from = this.#take(record, { offset, from });
      } catch (error) {
        if (!(error instanceof ReplayError)) throw error;
        throw damaged(offset, error.message);
      }
      offset = record.end;
      if (!this.#isTruncated && offset !== this.#source.size) {
        throw damaged(offset, "there is something behind its end");
      }
    }
    if (this.#header === undefined) {
      throw new ReplayError("damaged", "its header is missing");
    }
  }

  /** The next record has been read: gives its position. */
  #take({ type, payload }: RawRecord, mark: Mark): Position {
    if (this.#header === undefined) {
      this.#header = readHeader(type, payload);
      return BEGINNING;
    }
    const entry = readEntry(type, payload, mark.from);
    if (this.#length++ % EVERY === 0) this.#marks.push(mark);
    if (entry.type === INPUTS) {
      for (const { channel } of entry.events) {
        this.#channels = Math.max(this.#channels, channel + 1);
      }
    }
    this.#isTruncated = type !== END && type !== OWN_END && type !== CUT_END;
    return { count: entry.count, time: entry.time };
  }

  /** The record at an offset; undefined where the recording breaks off. */
  #record(offset: number): RawRecord | undefined {
    const { size } = this.#source;
    if (offset + BEFORE + BEHIND > size) return undefined;
    const head = this.#bytes(offset, BEFORE);
    if (head.length < BEFORE) return undefined;
    const length = wordAt(head, 0);
    const type = head[4];
    // A file system may leave zeros where a host crashed.
    if (type === 0 && this.#isZero(offset)) return undefined;
    if (length > MOST_BYTES) throw damaged(offset, "a record is too long");
    const end = offset + BEFORE + length + BEHIND;
    if (end > size) return undefined;
    const all = this.#bytes(offset, end - offset);
    if (all.length < end - offset) return undefined;
    const body = all.subarray(4, BEFORE + length);
    if (wordAt(all, BEFORE + length) !== hash32(body)) {
      throw damaged(offset, "a checksum is wrong");
    }
    return { type, payload: body.subarray(1), end };
  }

  /** Whether there is nothing but zeros from an offset on. */
  #isZero(offset: number): boolean {
    const { size } = this.#source;
    for (let at = offset; at < size; at += WINDOW) {
      const bytes = this.#bytes(at, Math.min(WINDOW, size - at));
      if (!bytes.every((byte) => byte === 0)) return false;
    }
    return true;
  }

  /** Bytes from an offset on: a view of the window. */
  #bytes(offset: number, length: number): Uint8Array {
    const start = offset - this.#windowAt;
    if (start >= 0 && start + length <= this.#window.length) {
      return this.#window.subarray(start, start + length);
    }
    try {
      this.#window = this.#source.read(offset, Math.max(length, WINDOW));
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause;
      throw new ReplayError("io", cause.message, { cause });
    }
    this.#windowAt = offset;
    return this.#window.subarray(0, length);
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 |
    bytes[at + 3] << 24) >>> 0;
}
