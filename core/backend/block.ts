/**
 * Block backends: disk images. Asynchronous, in bytes.
 *
 * Several requests may be outstanding at once. Requests that overlap are
 * ordered only when one is awaited before the next is made; each is atomic as
 * far as an image's metadata go. What a resolved `flush` covers survives the
 * end of the process, however it ends.
 *
 * @module
 */

import type { StateRecord } from "../state/state.ts";

/** Bytes of a sector: the unit in which an image's size is counted. */
export const SECTOR_BYTES = 512;

/**
 * Why a request failed.
 *
 * - `range`: it lies outside the image.
 * - `read-only`: the image takes no writes.
 * - `corrupt`: the image contradicts its format.
 * - `no-space`: the host or the format has no room left.
 * - `io`: the host failed.
 * - `unsupported`: the image needs something that the format's code does not
 *   do.
 */
export type BlockErrorKind =
  | "range"
  | "read-only"
  | "corrupt"
  | "no-space"
  | "io"
  | "unsupported";

/** A disk image cannot be opened, or a request failed. */
export class BlockError extends Error {
  /** The name of the error's class. */
  override readonly name = "BlockError";
  /** Why. */
  readonly kind: BlockErrorKind;

  /** An error of a kind, with a message for the user. */
  constructor(kind: BlockErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/**
 * How a disk takes part in snapshots of its machine: it can be kept as it is
 * and become that again. No request is under way when any of this is called, and
 * none is made before it is done. All methods reject with `BlockError`.
 */
export interface BlockSnapshots {
  /**
   * Keep the disk as it is now under a name; gives back what the other methods
   * need. `put` takes what the machine's snapshot is to hold for it: bytes, and
   * where on the disk they are. The machine's snapshot will be the file `file`:
   * what is kept for one that never comes to be may go.
   */
  save(
    name: string,
    put: (offset: number, bytes: Uint8Array) => Promise<void>,
    file: string,
  ): Promise<StateRecord>;
  /** The machine's snapshot is there, for which `save` kept the disk. */
  complete?(record: StateRecord): Promise<void>;
  /**
   * The machine's snapshot in this file is about to go, and `remove` follows:
   * if that never comes, what is kept is needed while the file is there.
   */
  leave?(record: StateRecord, file: string): Promise<void>;
  /**
   * Why the disk cannot become what `save` kept, as the end of a sentence that
   * begins with the disk; undefined when it can.
   */
  check(record: StateRecord): Promise<string | undefined>;
  /**
   * Make sure that `load` has room and finds everything whole, after `check`
   * has; requests may be under way.
   */
  prepare?(record: StateRecord): Promise<void>;
  /** Become it, but for what `put` is given next. */
  load(record: StateRecord): Promise<void>;
  /** Takes what `save` had put, where it puts anything. */
  put?(offset: number, bytes: Uint8Array): Promise<void>;
  /** Give up what `save` kept. */
  remove(record: StateRecord): Promise<void>;
  /** How it is loaded with others; absent where nothing of a load would last. */
  readonly together?: BlockTogether;
  /**
   * Of an image that is only read: what it was when a machine that wrote to it
   * was saved. Absent where it keeps nothing of that.
   */
  readonly past?: BlockPast;
}

/**
 * What an image was at snapshots of machines that wrote to it, while it stays
 * what it is: for throw-away overlays. All methods reject with `BlockError`.
 */
export interface BlockPast {
  /** As `BlockSnapshots.check`. */
  check(record: StateRecord): Promise<string | undefined>;
  /**
   * The image as `save` kept it, which can only be read; rejects when not all
   * of it is whole. It is to be closed before the image is.
   */
  open(record: StateRecord): Promise<BlockBackend>;
}

/**
 * How disks become what `save` kept together: all or none, however the process
 * ends. One of them decides. The others note that they are to be loaded if it
 * says so, then it says so, and then all are loaded; who opens one of them next
 * and finds a note asks the one that decides. All methods reject with
 * `BlockError`.
 */
export interface BlockTogether {
  /** The path at which others find what this disk has decided. */
  readonly place: string;
  /**
   * Note that the disk is to be loaded with others. With the place of another
   * as `decider`, when that says so; without, it is what this disk says.
   */
  begin(
    record: StateRecord,
    load: { readonly id: string; readonly decider?: string },
  ): Promise<void>;
  /** The load is done with all disks, or is not to be: its note goes. */
  forget(id: string): Promise<void>;
}

/** A disk image, as its device sees it. All methods reject with `BlockError`. */
export interface BlockBackend {
  /** Its size in bytes, a multiple of `SECTOR_BYTES`. */
  readonly size: number;
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  /**
   * The image's format, as `raw`, for who looks at the machine: without, the
   * plugin is named after it.
   */
  readonly format?: string;
  /**
   * How it takes part in snapshots; without, a disk that is written to cannot.
   */
  readonly machineSnapshots?: BlockSnapshots;
  /**
   * Read `length` bytes at byte `offset`; both lie within the image. Given
   * `room` for just so many, a backend may put them there and resolve to that:
   * it is nobody else's until the promise resolves, and if it rejects it may be
   * written to for ever.
   *
   * To have room pays for much: with Deno 2.9.6 a read of 128 KiB from the
   * host's page cache takes 35 to 40 us of CPU time into bytes that were there
   * and 75 to 110 into new ones, one of 4 KiB 20 either way.
   */
  read(
    offset: number,
    length: number,
    room?: Uint8Array,
  ): Promise<Uint8Array>;
  /**
   * Write bytes at byte `offset`; they lie within the image and do not change
   * until the promise is settled.
   */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /**
   * The guest needs these bytes no more: each reads as before or as zero
   * afterwards.
   */
  discard(offset: number, length: number): Promise<void>;
  /** Make these bytes read as zero, without writing them where that works. */
  writeZeroes(offset: number, length: number): Promise<void>;
  /** Resolves when everything written would survive a power cut. */
  flush(): Promise<void>;
  /** Flush and let go of the image, which may not be used any more. */
  close(): Promise<void>;
}

/** Fill `into` from byte `offset` on; see `BlockBackend.read`. */
export async function readInto(
  backend: BlockBackend,
  offset: number,
  into: Uint8Array,
): Promise<void> {
  const bytes = await backend.read(offset, into.length, into);
  if (bytes !== into) into.set(bytes);
}

/** Throws a `BlockError` unless the bytes lie within `size`. */
export function checkRange(offset: number, length: number, size: number): void {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) &&
    offset >= 0 && length >= 0 && offset + length <= size;
  if (!inside) {
    throw new BlockError(
      "range",
      `Cannot reach ${length} bytes at ${offset}: the image has ${size}`,
    );
  }
}
