/**
 * Saves a machine as a snapshot file.
 *
 * | block | has |
 * |---|---|
 * | `HEAD` | what a list of snapshots shows |
 * | `MACH` | the machine's definition, and what must be the same |
 * | `STAT` | CPUs, devices, time (`machine_state.ts`) |
 * | `DISK` | the disks, each with what its backend keeps |
 * | `DATA` | bytes of disks: index (4), offset (8), bytes |
 * | `MEMO` | memory (`memory_blocks.ts`) |
 *
 * @module
 */

import type { Media } from "../machine/media.ts";
import type { Parts } from "../machine/parts.ts";
import { PAGE_BYTES } from "../machine/memory.ts";
import { encodeRecord } from "../state/record_codec.ts";
import type { StateRecord } from "../state/state.ts";
import { VERSION } from "../version.ts";
import { BlockFileWriter } from "./block_file.ts";
import {
  checkDisks,
  completeDisks,
  leaveDisks,
  mediaIn,
  removeDisks,
  saveDisks,
} from "./disks.ts";
import { documentRecord } from "./document_record.ts";
import {
  mustBeFree,
  mustBeSnapshot,
  snapshotName,
  snapshotPath,
} from "./folder.ts";
import { identityOf } from "./identity.ts";
import { savedDisksIn } from "./load.ts";
import { layoutOf } from "./layout.ts";
import { memoryBlocks, usedPages } from "./memory_blocks.ts";
import { saveMachine } from "./machine_state.ts";

/** How a snapshot is saved. */
export interface SaveOptions {
  /** Called now and then with how many bytes of memory are done, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Whether one of the same name is replaced, as it is unless this is false. */
  readonly replace?: boolean;
}

/** What was saved. */
export interface SavedSnapshot {
  /** The snapshot's name. */
  readonly name: string;
  /** Its file. */
  readonly path: string;
  /** Bytes of the file. */
  readonly bytes: number;
}

/**
 * Save a machine that stands still. One of the same name is replaced when the
 * new one is complete, if it may be. Throws a `SnapshotError`, and nothing has changed then.
 */
export async function saveSnapshot(
  parts: Parts,
  media: Media,
  nameOrPath: string,
  { onProgress, replace = true }: SaveOptions = {},
): Promise<SavedSnapshot> {
  const { plan, clock, cpu, memory, options, blocks } = parts;
  const path = snapshotPath(nameOrPath, options.snapshots ?? ".");
  const name = snapshotName(path);
  if (!replace) mustBeFree(path);
  mustBeSnapshot(path, "replace");
  checkDisks(parts);
  await blocks.settle();
  const replaced = savedDisksIn(path);
  const writer = await BlockFileWriter.create(path);
  let kept: Awaited<ReturnType<typeof saveDisks>> = [];
  try {
    const record = (tag: string, value: StateRecord): Promise<void> =>
      writer.block(tag, encodeRecord(value));
    await record("HEAD", {
      rhea: VERSION,
      date: Date.now(),
      machine: plan.definition.name ?? "",
      time: clock.now(),
      instructions: cpu.instructions,
    });
    await record("MACH", {
      identity: identityOf(plan),
      memory: memory.guestEnd - memory.guestStart,
      layout: { ...layoutOf(plan) },
      ...documentRecord(plan.document),
    });
    await record("STAT", saveMachine(parts));
    kept = await saveDisks(
      parts,
      { name, path },
      async (index, offset, bytes) => {
        const head = new Uint8Array(12 + bytes.length);
        const view = new DataView(head.buffer);
        view.setUint32(0, index, true);
        view.setFloat64(4, offset, true);
        head.set(bytes, 12);
        await writer.block("DATA", head);
      },
    );
    const { contents, planned } = mediaIn(media);
    await record("DISK", {
      disks: kept.map(({ backend, record }) => ({ backend, record })),
      media: contents,
      planned,
    });
    const used = usedPages(memory);
    const total = used.reduce((sum, isUsed) => sum + isUsed, 0) * PAGE_BYTES;
    let done = 0;
    onProgress?.(0, total);
    for (const { bytes, pages } of memoryBlocks(memory, used)) {
      await writer.block("MEMO", bytes);
      onProgress?.(done += pages * PAGE_BYTES, total);
    }
    await leaveDisks(parts, replaced, path);
    await writer.finish();
  } catch (error) {
    await writer.abandon();
    await removeDisks(parts, kept);
    await completeDisks(parts, replaced);
    throw error;
  }
  await completeDisks(parts, kept);
  await removeDisks(parts, replaced);
  return { name, path, bytes: writer.bytes };
}
