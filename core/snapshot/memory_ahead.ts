/**
 * Reads a snapshot's memory while its machine is being built: the blocks that
 * are not compressed, straight to where their pages belong. The host does that
 * on threads of its own, and gives the memory its pages there, which takes
 * longer than to read them. So something is read also to where compressed
 * blocks will be unpacked: that takes half as long when the pages are there.
 *
 * Nothing is believed of it: the file is then read as ever, and what has come
 * already stands for the bytes of its block, with their checksum. Whatever is
 * wrong is left for that to find.
 *
 * @module
 */

import { type GuestMemory, PAGE_BYTES } from "../machine/memory.ts";
import type { MachinePlan } from "../machine/plan_types.ts";
import type { BlockFileReader, ReadAhead, ReadAheads } from "./block_file.ts";
import { MAX_HEAD_BYTES, MemoryLoader } from "./memory_blocks.ts";

/**
 * Bytes at the start of guest memory that nobody writes while the machine is
 * built: RAM without a file. ROMs and video memory come after it.
 */
export function untouchedBytes({ memories }: MachinePlan): number {
  let bytes = 0;
  for (const { kind, file, size } of memories) {
    if (kind !== "ram" || file !== undefined) break;
    bytes += Math.ceil(size / PAGE_BYTES) * PAGE_BYTES;
  }
  return bytes;
}

/** Files that are open for it at most: each reads one block after another. */
const LANES = 16;

/** Runs of so many pages are worth a read that only makes them be there. */
const LEAST_PAGES = 64;

/** A block whose pages are to be there. */
interface Wanted {
  /** Offset of its payload in the file. */
  readonly at: number;
  readonly head: Uint8Array<ArrayBuffer>;
  /** Whether they are what follows in the file; else anything will do. */
  readonly isPlain: boolean;
  /** Where they are. */
  readonly parts: readonly Uint8Array[];
}

/**
 * Begin to read the blocks of a file that belong to the first `bytes` of guest
 * memory as they are. What has come when all is done or has failed; it never
 * rejects, and the machine must not run before.
 */
export async function readAhead(
  reader: BlockFileReader,
  memory: GuestMemory,
  bytes: number,
): Promise<ReadAheads> {
  const read = new Map<number, ReadAhead>();
  const blocks = wantedBlocks(reader, memory, bytes);
  const lanes = Math.min(LANES, blocks.length);
  await Promise.all(Array.from({ length: lanes }, async (_, lane) => {
    try {
      using file = Deno.openSync(reader.path);
      for (let i = lane; i < blocks.length; i += lanes) {
        const { at, head, isPlain, parts } = blocks[i];
        if (!isPlain) {
          for (const part of parts) {
            file.seekSync(0, Deno.SeekMode.Start);
            await file.read(part);
          }
          continue;
        }
        file.seekSync(at + head.length, Deno.SeekMode.Start);
        for (const part of parts) {
          for (let done = 0; done < part.length;) {
            const count = await file.read(part.subarray(done));
            if (count === null) return;
            done += count;
          }
        }
        read.set(at, { head, parts });
      }
    } catch {
      // What has come has come.
    }
  }));
  return read;
}

/** The blocks of the first `bytes`, as far as the file makes sense. */
function wantedBlocks(
  reader: BlockFileReader,
  memory: GuestMemory,
  bytes: number,
): Wanted[] {
  const blocks: Wanted[] = [];
  const loader = new MemoryLoader(bytes);
  try {
    for (const { tag, at, length } of reader.places()) {
      if (tag !== "MEMO") continue;
      const start = reader.peek(Math.min(length, MAX_HEAD_BYTES));
      const { isPlain, bytes, runs, total } = loader.head(start);
      if (isPlain && bytes + total !== length) continue;
      const taken = isPlain
        ? runs
        : runs.filter(({ pages }) => pages >= LEAST_PAGES);
      const parts = taken.map(({ page, pages }) => {
        const to = memory.guestStart + page * PAGE_BYTES;
        return memory.u8.subarray(to, to + pages * PAGE_BYTES);
      });
      blocks.push({ at, head: start.subarray(0, bytes), isPlain, parts });
    }
  } catch {
    // Damaged, or it belongs to what comes after those bytes.
  }
  return blocks;
}
