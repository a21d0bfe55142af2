/**
 * A raw image: bytes that are the disk.
 *
 * @module
 */

import {
  type BlockBackend,
  BlockError,
  type BlockPast,
  type BlockSnapshots,
  checkRange,
  SECTOR_BYTES,
} from "../../core/backend/block.ts";
import type { Extent } from "../../core/backend/image_format.ts";
import type { ByteStore } from "./byte_store.ts";
import { fixedImage } from "./disk_states.ts";

/** The most zeroes written at once. */
const ZEROES_BYTES = 1 << 20;

/** A raw image. */
export class RawBlock implements BlockBackend {
  /**
   * The store's size when it was opened. As in QEMU, a last sector that is
   * there in part counts, and its rest reads as zero.
   */
  readonly size: number;
  /** See `BlockBackend.format`. */
  readonly format = "raw";
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  readonly #store: ByteStore;
  readonly #snapshots: BlockSnapshots | undefined;
  readonly #past: BlockPast | undefined;

  /**
   * A raw image in a store, which may keep what it was: for who writes to it,
   * or who only reads.
   */
  constructor(
    store: ByteStore,
    readOnly: boolean,
    { snapshots, past }: {
      readonly snapshots?: BlockSnapshots;
      readonly past?: BlockPast;
    } = {},
  ) {
    this.#store = store;
    this.#snapshots = snapshots;
    this.#past = past;
    this.readOnly = readOnly;
    this.size = Math.ceil(store.size / SECTOR_BYTES) * SECTOR_BYTES;
  }

  /** One that nobody writes to is as it was; another needs a store for it. */
  get machineSnapshots(): BlockSnapshots | undefined {
    return this.readOnly
      ? fixedImage(this.size, this.#store, this.#past)
      : this.#snapshots;
  }

  /** See `BlockBackend.read`. */
  async read(
    offset: number,
    length: number,
    room?: Uint8Array,
  ): Promise<Uint8Array> {
    checkRange(offset, length, this.size);
    const bytes = room ?? new Uint8Array(length);
    await this.#store.read(offset, bytes);
    return bytes;
  }

  /** What the bytes at `offset` are; see `ByteStore.extent`. */
  // deno-lint-ignore require-await
  async extent(offset: number, length: number): Promise<Extent> {
    const most = Math.min(length, this.size - offset);
    return this.#store.extent?.(offset, most) ?? { kind: "data", length: most };
  }

  /** See `BlockBackend.write`. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#checkWrite(offset, bytes.length);
    await this.#store.write(offset, bytes);
  }

  /** Does nothing: the bytes stay. */
  // deno-lint-ignore require-await
  async discard(offset: number, length: number): Promise<void> {
    this.#checkWrite(offset, length);
  }

  /** Writes zeroes. */
  async writeZeroes(offset: number, length: number): Promise<void> {
    this.#checkWrite(offset, length);
    const zeroes = new Uint8Array(Math.min(length, ZEROES_BYTES));
    for (let done = 0; done < length; done += zeroes.length) {
      const rest = Math.min(zeroes.length, length - done);
      await this.#store.write(offset + done, zeroes.subarray(0, rest));
    }
  }

  /** See `BlockBackend.flush`. */
  async flush(): Promise<void> {
    if (!this.readOnly) await this.#store.sync();
  }

  /** See `BlockBackend.close`. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#store.close();
    }
  }

  #checkWrite(offset: number, length: number): void {
    if (this.readOnly) {
      throw new BlockError("read-only", "Cannot write: the image is read-only");
    }
    checkRange(offset, length, this.size);
  }
}
