/**
 * The snapshot file: tagged blocks behind a magic number, in the manner of PNG.
 *
 * | bytes | what |
 * |---|---|
 * | 8 | the magic number: 89h "RHS", CR LF, 1Ah, LF |
 * | 4 | the format's version |
 * | then | blocks: tag (4), length (4), the payload's CRC-32 (4), payload |
 *
 * Numbers are little-endian. A tag has four letters; one whose first letter is
 * small may be skipped by who does not know it. The last block, `END.`, has the
 * CRC-32 of all heads of blocks before it: none is missing, doubled or elsewhere.
 *
 * A file is written under another name in the same folder, synced and renamed:
 * under its own name there is a whole snapshot or what was there before. What a
 * process that was killed has left of one goes when the next is begun.
 *
 * @module
 */

import { syncFolder } from "../backend/sync_folder.ts";
import { basename, dirname, resolve } from "../machine/path.ts";
import { SnapshotError } from "./error.ts";
import { crc32 } from "./node.ts";

/** Starts every snapshot file. */
const MAGIC = new Uint8Array([
  0x89,
  0x52,
  0x48,
  0x53,
  0x0d,
  0x0a,
  0x1a,
  0x0a,
]);
/** The version of the format. */
export const FORMAT_VERSION = 1;
const FILE_HEAD_BYTES = 12;
const HEAD_BYTES = 12;
/** The most bytes that a block may have: no record of a machine is so long. */
export const MAX_BLOCK_BYTES: number = 8 << 20;
const END = "END.";

/** A block. */
export interface FileBlock {
  /** Its tag. */
  readonly tag: string;
  /** Its payload: only until the next block is read. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The pages in it are in memory already: `bytes` has only its head. */
  readonly isAhead: boolean;
}

/** Where a block's payload is. */
export interface BlockPlace {
  /** The block's tag. */
  readonly tag: string;
  /** Offset of its payload in the file. */
  readonly at: number;
  /** Bytes of its payload. */
  readonly length: number;
}

/** The payload of a block that was read before its turn. */
export interface ReadAhead {
  /** Its first bytes. */
  readonly head: Uint8Array<ArrayBuffer>;
  /** The checksum of all of it. */
  readonly checksum: number;
}

/** Payloads that were read, by their offsets in the file. */
export type ReadAheads = ReadonlyMap<number, ReadAhead>;

const NONE_AHEAD: ReadAheads = new Map();

/** Writes a snapshot file. */
export class BlockFileWriter {
  readonly #file: Deno.FsFile;
  readonly #path: string;
  readonly #partial: string;
  readonly #head = new Uint8Array(HEAD_BYTES);
  readonly #view = new DataView(this.#head.buffer);
  #check = 0;
  #isOpen = true;
  /** Bytes written. */
  bytes = 0;

  private constructor(file: Deno.FsFile, path: string, partial: string) {
    this.#file = file;
    this.#path = path;
    this.#partial = partial;
  }

  /** Begin the file that will have this path. Throws a `SnapshotError`. */
  static async create(path: string): Promise<BlockFileWriter> {
    await removeAbandoned(path);
    const writer = await reported(path, () => BlockFileWriter.#begin(path));
    try {
      const head = new Uint8Array(FILE_HEAD_BYTES);
      head.set(MAGIC);
      new DataView(head.buffer).setUint32(MAGIC.length, FORMAT_VERSION, true);
      await writer.#write(head);
    } catch (error) {
      await writer.abandon();
      throw error;
    }
    return writer;
  }

  static async #begin(path: string): Promise<BlockFileWriter> {
    for (;;) {
      const partial = `${path}.${Deno.pid}.${crypto.randomUUID()}.part`;
      const file = await Deno.open(partial, { write: true, createNew: true });
      // Says that it is being written; where there are no locks, nothing does.
      const isLocked = await file.tryLock(true).catch(() => true);
      if (isLocked && await exists(partial)) {
        return new BlockFileWriter(file, path, partial);
      }
      // Another one was quicker, and has taken it for abandoned.
      file.close();
    }
  }

  /** Append a block. Throws a `SnapshotError`. */
  async block(tag: string, bytes: Uint8Array): Promise<void> {
    if (bytes.length > MAX_BLOCK_BYTES) {
      throw new SnapshotError(
        "io",
        `Cannot save the snapshot: its block "${tag}" would have ` +
          `${bytes.length} bytes, ${MAX_BLOCK_BYTES} are the most`,
      );
    }
    for (let i = 0; i < 4; i++) this.#head[i] = tag.charCodeAt(i);
    this.#view.setUint32(4, bytes.length, true);
    this.#view.setUint32(8, crc32(bytes), true);
    this.#check = crc32(this.#head, this.#check);
    await this.#write(this.#head);
    await this.#write(bytes);
  }

  /** End the file, and give it its name. Throws a `SnapshotError`. */
  async finish(): Promise<void> {
    const check = new Uint8Array(4);
    new DataView(check.buffer).setUint32(0, this.#check, true);
    await this.block(END, check);
    await reported(this.#path, async () => {
      await this.#file.sync();
      // While it is locked: nobody is to take it for abandoned.
      await Deno.rename(this.#partial, this.#path);
      this.#close();
    });
    await syncFolder(dirname(this.#path));
  }

  /** Leave nothing of it. */
  async abandon(): Promise<void> {
    this.#close();
    // Whatever stopped it says more than that this fails too.
    await Deno.remove(this.#partial).catch(() => {});
  }

  #close(): void {
    if (this.#isOpen) this.#file.close();
    this.#isOpen = false;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await reported(this.#path, async () => {
      for (let done = 0; done < bytes.length;) {
        done += await this.#file.write(bytes.subarray(done));
      }
    });
    this.bytes += bytes.length;
  }
}

/** Whether there is a file at a path, as far as can be told. */
async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/** Remove what was begun under a snapshot's name and is written by nobody. */
async function removeAbandoned(path: string): Promise<void> {
  const folder = dirname(path);
  const start = `${basename(path)}.`;
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      const isOne = isFile && name.startsWith(start) &&
        /^\d+\.[-0-9a-f]{36}\.part$/.test(name.slice(start.length));
      if (!isOne) continue;
      const partial = resolve(folder, name);
      using file = await Deno.open(partial, { write: true });
      if (await file.tryLock(true)) await Deno.remove(partial);
    }
  } catch {
    // They only take room; whoever writes here next says what is wrong.
  }
}

/** What the host refuses, as a `SnapshotError`. */
async function reported<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : `${cause}`;
    throw new SnapshotError("io", `Cannot write "${path}": ${reason}`, {
      cause,
    });
  }
}

/** Reads a snapshot file. */
export class BlockFileReader {
  /** The file's path. */
  readonly path: string;
  readonly #file: Deno.FsFile;
  #buffer = new Uint8Array(64 << 10);

  private constructor(file: Deno.FsFile, path: string) {
    this.#file = file;
    this.path = path;
  }

  /** Open a file. Throws a `SnapshotError`. */
  static open(path: string): BlockFileReader {
    let file: Deno.FsFile;
    try {
      // Before it is opened: a pipe would wait for its other end.
      if (!Deno.statSync(path).isFile) {
        throw new SnapshotError("io", `Cannot open "${path}": it is no file`);
      }
      file = Deno.openSync(path);
    } catch (cause) {
      if (cause instanceof SnapshotError) throw cause;
      if (cause instanceof Deno.errors.NotFound) {
        throw new SnapshotError("missing", `There is no snapshot "${path}"`);
      }
      const reason = cause instanceof Error ? cause.message : `${cause}`;
      throw new SnapshotError("io", `Cannot open "${path}": ${reason}`, {
        cause,
      });
    }
    return new BlockFileReader(file, path);
  }

  /** Bytes of the file. */
  get size(): number {
    return this.#file.statSync().size;
  }

  /** Whether it begins as snapshots do. */
  get hasMagic(): boolean {
    this.#file.seekSync(0, Deno.SeekMode.Start);
    const head = this.#read(MAGIC.length);
    return MAGIC.every((byte, i) => head?.[i] === byte);
  }

  /** The error of a file that is damaged. */
  damaged(message: string): SnapshotError {
    return new SnapshotError(
      "damaged",
      `The snapshot "${this.path}" is damaged: ${message}`,
    );
  }

  /**
   * Where the blocks are, with nothing checked, as far as there are any; at
   * each the file is to be read from its payload on.
   */
  *places(): Generator<BlockPlace> {
    const { size } = this;
    for (let at = FILE_HEAD_BYTES; at + HEAD_BYTES <= size;) {
      this.#file.seekSync(at, Deno.SeekMode.Start);
      const head = this.#read(HEAD_BYTES);
      if (head === undefined) return;
      const length = wordAt(head, 4);
      at += HEAD_BYTES;
      yield { tag: tagOf(head), at, length };
      at += length;
    }
  }

  /**
   * The payload at a place, until anything else is read; undefined when the file
   * has not all of it.
   */
  payload({ length }: BlockPlace): Uint8Array<ArrayBuffer> | undefined {
    return length > MAX_BLOCK_BYTES ? undefined : this.#read(length);
  }

  /**
   * All blocks in order, from the first one on, each checked; those in `ahead`
   * are not read again.
   */
  *blocks(ahead: ReadAheads = NONE_AHEAD): Generator<FileBlock> {
    this.#file.seekSync(0, Deno.SeekMode.Start);
    let at = FILE_HEAD_BYTES;
    const head = this.#read(FILE_HEAD_BYTES);
    if (!MAGIC.every((byte, i) => head?.[i] === byte)) {
      throw new SnapshotError(
        "damaged",
        `"${this.path}" is no snapshot of Rhea's`,
      );
    }
    const version = wordAt(head!, MAGIC.length);
    if (version !== FORMAT_VERSION) {
      throw new SnapshotError(
        "version",
        `The snapshot "${this.path}" has the format ${version}, expected ` +
          `${FORMAT_VERSION}`,
      );
    }
    let check = 0;
    for (;;) {
      const head = this.#read(HEAD_BYTES);
      if (head === undefined) throw this.damaged("it ends too early");
      const tag = tagOf(head);
      const length = wordAt(head, 4);
      const sum = wordAt(head, 8);
      if (length > MAX_BLOCK_BYTES) {
        throw this.damaged(`a block has ${length} bytes`);
      }
      const before = check;
      check = crc32(head, check);
      at += HEAD_BYTES;
      const read = ahead.get(at);
      if (read !== undefined) {
        this.#file.seekSync(at + length, Deno.SeekMode.Start);
      }
      at += length;
      const bytes = read?.head ?? this.#read(length);
      if (bytes === undefined) throw this.damaged("it ends too early");
      if ((read?.checksum ?? crc32(bytes)) !== sum) {
        throw this.damaged(`the checksum of the block "${tag}" is wrong`);
      }
      if (tag === END) {
        if (length !== 4 || wordAt(bytes, 0) !== before) {
          throw this.damaged("a block is missing");
        }
        if (this.#file.readSync(new Uint8Array(1)) !== null) {
          throw this.damaged("something follows its end");
        }
        return;
      }
      yield { tag, bytes, isAhead: read !== undefined };
    }
  }

  /** Let go of the file. */
  close(): void {
    this.#file.close();
  }

  /** So many bytes; undefined when there are not as many. */
  #read(length: number): Uint8Array<ArrayBuffer> | undefined {
    if (length > this.#buffer.length) {
      // Not for a length that only a damaged head says.
      const at = this.#file.seekSync(0, Deno.SeekMode.Current);
      if (at + length > this.size) return undefined;
      this.#buffer = new Uint8Array(length);
    }
    const bytes = this.#buffer.subarray(0, length);
    for (let done = 0; done < length;) {
      const count = this.#file.readSync(bytes.subarray(done));
      if (count === null) return undefined;
      done += count;
    }
    return bytes;
  }
}

function tagOf(head: Uint8Array): string {
  return String.fromCharCode(...head.subarray(0, 4));
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 |
    bytes[at + 3] << 24) >>> 0;
}
