/**
 * Reads from a qcow2 image: the file, its compressed clusters, what lies
 * behind.
 *
 * @module
 */

import { type BlockBackend, readInto } from "../../core/backend/block.ts";
import type { ByteStore } from "./byte_store.ts";
import { decompress } from "./qcow2_compression.ts";
import type { Qcow2Header } from "./qcow2_header.ts";
import {
  type CompressedBytes,
  damaged,
  type Tables,
  UNALLOCATED,
} from "./qcow2_tables.ts";

/** A stretch of the disk that comes from one place. */
interface Segment {
  readonly from: "file" | "backing" | CompressedBytes;
  /** Where in the file, in the backing image or in the cluster. */
  readonly at: number;
  /** Where in what is read. */
  readonly into: number;
  length: number;
}

/** Reads clusters. */
export class ClusterReader {
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #tables: Tables;
  readonly #shown: number;
  readonly #backing: BlockBackend | undefined;
  /** The last cluster decompressed: guests read less than that at once. */
  #last: { offset: number; bytes: Uint8Array } | undefined;

  /** A reader of a disk of `size` bytes. */
  constructor(
    store: ByteStore,
    header: Qcow2Header,
    tables: Tables,
    size: number,
    backing: BlockBackend | undefined,
  ) {
    this.#store = store;
    this.#header = header;
    this.#tables = tables;
    this.#shown = Math.min(size, backing?.size ?? 0);
    this.#backing = backing;
  }

  /**
   * Fill `into`, which is all zero, from `offset` on: up to the end of the
   * disk's last cluster.
   */
  async read(offset: number, into: Uint8Array): Promise<void> {
    const segments = await this.#segments(offset, into.length);
    await Promise.all(segments.map(async ({ from, at, into: to, length }) => {
      const part = into.subarray(to, to + length);
      if (from === "file") await this.#store.read(at, part);
      else if (from === "backing") {
        const rest = Math.min(length, this.#shown - at);
        if (rest > 0) {
          await readInto(this.#backing!, at, part.subarray(0, rest));
        }
      } else part.set((await this.#decompress(from)).subarray(at, at + length));
    }));
  }

  /** A compressed cluster was written: there may have been another. */
  forget(): void {
    this.#last = undefined;
  }

  async #segments(offset: number, length: number): Promise<Segment[]> {
    const { clusterSize, extendedL2 } = this.#header;
    const subSize = clusterSize / (extendedL2 ? 32 : 1);
    const segments: Segment[] = [];
    const { perTable } = this.#tables;
    let index = -1;
    let table: Awaited<ReturnType<Tables["get"]>>;
    for (let done = 0; done < length;) {
      const at = offset + done;
      const cluster = Math.floor(at / clusterSize);
      const wanted = Math.floor(cluster / perTable);
      if (wanted !== index) {
        index = wanted;
        table = await this.#tables.get(index);
      }
      const mapping = table?.get(cluster % perTable) ?? UNALLOCATED;
      const within = at - cluster * clusterSize;
      const { compressed, host, alloc, zero } = mapping;
      const sub = Math.floor(within / subSize);
      const unit = compressed === undefined ? subSize : clusterSize;
      const rest = Math.min(unit - within % unit, length - done);
      const segment = { into: done, length: rest };
      done += rest;
      if (compressed !== undefined) {
        segments.push({ ...segment, from: compressed, at: within });
      } else if ((alloc >>> sub & 1) !== 0) {
        if (host >= this.#store.size) {
          damaged(`a cluster of data at ${host} is not in the file`);
        }
        addSegment(segments, { ...segment, from: "file", at: host + within });
      } else if ((zero >>> sub & 1) === 0 && this.#backing !== undefined) {
        addSegment(segments, { ...segment, from: "backing", at });
      }
    }
    return segments;
  }

  async #decompress({ offset, length }: CompressedBytes): Promise<Uint8Array> {
    if (this.#last?.offset === offset) return this.#last.bytes;
    if (offset >= this.#store.size) {
      damaged(`a compressed cluster at ${offset} is not in the file`);
    }
    const compressed = new Uint8Array(length);
    await this.#store.read(offset, compressed);
    const { compression, clusterSize } = this.#header;
    const bytes = decompress(compression, compressed, clusterSize);
    this.#last = { offset, bytes };
    return bytes;
  }
}

/** Add a segment, joined with the one before where they meet. */
function addSegment(segments: Segment[], segment: Segment): void {
  const last = segments.at(-1);
  if (
    last !== undefined && last.from === segment.from &&
    last.at + last.length === segment.at &&
    last.into + last.length === segment.into
  ) last.length += segment.length;
  else segments.push(segment);
}
