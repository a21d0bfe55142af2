import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { GuestMemory, PAGE_BYTES } from "../machine/memory.ts";
import { BlockFileReader, BlockFileWriter } from "./block_file.ts";
import { readAhead } from "./memory_ahead.ts";
import { memoryBlocks, MemoryLoader } from "./memory_blocks.ts";

/** Five blocks: the third can be compressed well, the others cannot. */
const PAGES = 1100;
const BYTES = PAGES * PAGE_BYTES;

function emptyMemory(): GuestMemory {
  const memory = new GuestMemory({ arenaBytes: 65536, guestBytes: BYTES });
  memory.alloc(BYTES);
  return memory;
}

function guestBytes({ u8, guestStart, guestEnd }: GuestMemory): Uint8Array {
  return u8.subarray(guestStart, guestEnd);
}

/** Noise, a hole, what is alike, noise with holes. */
function fullMemory(): GuestMemory {
  const memory = emptyMemory();
  const bytes = guestBytes(memory);
  let seed = 1;
  for (let page = 0; page < PAGES; page++) {
    if (page === 300 || page > 900 && page % 3 === 0) continue;
    const isNoise = page < 500 || page > 900;
    for (let i = page * PAGE_BYTES; i < (page + 1) * PAGE_BYTES; i++) {
      seed = Math.imul(seed, 1103515245) + 12345 | 0;
      bytes[i] = isNoise ? seed >>> 16 : page;
    }
  }
  return memory;
}

async function savedMemory(path: string): Promise<GuestMemory> {
  const memory = fullMemory();
  const writer = await BlockFileWriter.create(path);
  for (const { bytes } of memoryBlocks(memory)) {
    await writer.block("MEMO", bytes);
  }
  await writer.finish();
  return memory;
}

/** As a machine gets its memory, `ahead` bytes of it early. */
async function loaded(
  path: string,
  ahead: number,
): Promise<{ memory: GuestMemory; isAhead: boolean[] }> {
  const memory = emptyMemory();
  const reader = BlockFileReader.open(path);
  try {
    const read = await readAhead(reader, memory, ahead);
    const loader = new MemoryLoader(BYTES);
    const early: boolean[] = [];
    for (const { bytes, isAhead } of reader.blocks(read)) {
      if (isAhead) loader.head(bytes);
      else loader.load(bytes, memory);
      early.push(isAhead);
    }
    return { memory, isAhead: early };
  } finally {
    reader.close();
  }
}

async function withFile(
  action: (path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await action(join(folder, "memory"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("what is not compressed is read ahead, as far as it may be", () =>
  withFile(async (path) => {
    const saved = guestBytes(await savedMemory(path));
    for (
      const { ahead, expected } of [
        { ahead: BYTES, expected: [true, true, false, true, true] },
        {
          ahead: 600 * PAGE_BYTES,
          expected: [true, true, false, false, false],
        },
        { ahead: 0, expected: [false, false, false, false, false] },
      ]
    ) {
      const { memory, isAhead } = await loaded(path, ahead);
      assertEquals(isAhead, expected);
      assert(saved.every((byte, i) => byte === guestBytes(memory)[i]));
    }
  }));

Deno.test("what has been read ahead is checked like all else", () =>
  withFile(async (path) => {
    await savedMemory(path);
    const good = await Deno.readFile(path);
    const refuse = async (bytes: Uint8Array): Promise<void> => {
      await Deno.writeFile(path, bytes);
      await assertRejects(() => loaded(path, BYTES));
    };
    const heads = Array.from({ length: 60 }, (_, i) => i);
    const bodies = Array.from({ length: 40 }, (_, i) => i * 70_001);
    for (const at of [...heads, ...bodies]) {
      if (at >= good.length) break;
      const bytes = good.slice();
      bytes[at] ^= 1 << at % 8;
      await refuse(bytes);
      await refuse(good.subarray(0, at));
    }
  }));
