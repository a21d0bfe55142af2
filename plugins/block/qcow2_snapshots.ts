/**
 * The snapshot table of a qcow2 image (QEMU, docs/interop/qcow2.txt,
 * "Snapshots").
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import type { ImageSnapshot } from "../../core/backend/image_format.ts";
import type { ByteStore } from "./byte_store.ts";
import { entriesPerTable, type Qcow2Header } from "./qcow2_header.ts";

const ENTRY_BYTES = 40;
/** QEMU's limits of what one entry carries beside, and of an L1 table. */
const MAX_EXTRA_BYTES = 1024;
const MAX_TABLE_BYTES = 64 << 20;
const MAX_L1_ENTRIES = (32 << 20) / 8;

/** A snapshot within an image. */
export interface Qcow2Snapshot extends ImageSnapshot {
  /** Where its L1 table is. */
  readonly l1Offset: number;
  /** The entries of its L1 table. */
  readonly l1Size: number;
  /** Bytes of the disk then; version 3 has it, version 2 may not. */
  readonly diskSize: number | undefined;
  /** Where its entry is in the table, and how many bytes up to the next one. */
  readonly entry: { readonly at: number; readonly length: number };
}

/** The snapshots, and how many bytes their table has. */
export interface SnapshotTable {
  /** In the table's order. */
  readonly snapshots: readonly Qcow2Snapshot[];
  /** Bytes of the table. */
  readonly bytes: number;
}

/** Read the snapshot table. Throws a `BlockError`. */
export async function readSnapshots(
  store: ByteStore,
  header: Qcow2Header,
): Promise<SnapshotTable> {
  const snapshots: Qcow2Snapshot[] = [];
  const corrupt = (message: string): never => {
    throw new BlockError(
      "corrupt",
      `Damaged qcow2 snapshot ${snapshots.length}: ${message}`,
    );
  };
  if (header.snapshotCount > 0 && header.snapshotsOffset === 0) {
    corrupt("the table lies on the header");
  }
  let at = header.snapshotsOffset;
  const read = async (length: number): Promise<Uint8Array> => {
    const used = at - header.snapshotsOffset + length;
    if (at + length > store.size || used > MAX_TABLE_BYTES) {
      corrupt("it is outside the file");
    }
    const bytes = new Uint8Array(length);
    await store.read(at, bytes);
    at += length;
    return bytes;
  };
  for (let i = 0; i < header.snapshotCount; i++) {
    const start = at - header.snapshotsOffset;
    const fixed = new DataView((await read(ENTRY_BYTES)).buffer);
    const l1Offset = Number(fixed.getBigUint64(0));
    const l1Size = fixed.getUint32(8);
    const idLength = fixed.getUint16(12);
    const extraLength = fixed.getUint32(36);
    if (extraLength > MAX_EXTRA_BYTES) {
      throw new BlockError(
        "unsupported",
        `Cannot read qcow2 snapshot ${i}: it has ${extraLength} extra bytes`,
      );
    }
    if (
      l1Size > MAX_L1_ENTRIES || l1Offset % header.clusterSize !== 0 ||
      l1Offset + l1Size * 8 > store.size
    ) corrupt(`an L1 table of ${l1Size} entries at ${l1Offset}`);
    const rest = await read(extraLength + idLength + fixed.getUint16(14));
    const extra = new DataView(rest.buffer, 0, extraLength);
    const text = new TextDecoder();
    at = Math.ceil(at / 8) * 8;
    snapshots.push({
      id: text.decode(rest.subarray(extraLength, extraLength + idLength)),
      name: text.decode(rest.subarray(extraLength + idLength)),
      date: fixed.getUint32(16),
      dateNs: fixed.getUint32(20),
      guestTime: Number(fixed.getBigUint64(24)),
      stateSize: extraLength >= 8
        ? Number(extra.getBigUint64(0))
        : fixed.getUint32(32),
      icount: extraLength >= 24 ? icountOf(extra) : undefined,
      l1Offset,
      l1Size,
      diskSize: extraLength >= 16 ? Number(extra.getBigUint64(8)) : undefined,
      entry: { at: start, length: at - header.snapshotsOffset - start },
    });
  }
  return { snapshots, bytes: at - header.snapshotsOffset };
}

/** The instruction count; all ones where there was none. */
function icountOf(extra: DataView): number | undefined {
  const count = extra.getBigInt64(16);
  return count < 0n ? undefined : Number(count);
}

/** The header of a disk as it was at a snapshot. Throws a `BlockError`. */
export function snapshotHeader(
  header: Qcow2Header,
  { snapshots }: SnapshotTable,
  id: string,
): Qcow2Header {
  const snapshot = snapshots.find((one) => one.id === id);
  if (snapshot === undefined) {
    throw new BlockError(
      "unsupported",
      `There is no snapshot with the id ${id}`,
    );
  }
  const { l1Offset, l1Size, diskSize: size = header.size } = snapshot;
  if (l1Size < Math.ceil(size / header.clusterSize / entriesPerTable(header))) {
    throw new BlockError(
      "corrupt",
      `Damaged qcow2 snapshot ${id}: ${l1Size} L1 entries for ${size} bytes`,
    );
  }
  return { ...header, l1Offset, l1Size, size };
}
