import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { GuestMemory, PAGE_BYTES } from "../machine/memory.ts";
import { AheadReader } from "./ahead_reader.ts";
import { BlockFileReader, BlockFileWriter } from "./block_file.ts";
import { SnapshotError } from "./error.ts";
import { MemoryAhead } from "./memory_ahead.ts";
import {
  MemoryBlockError,
  memoryBlocks,
  MemoryLoader,
} from "./memory_blocks.ts";

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

/** As a machine gets its memory, `early` bytes of it while it is made. */
function loaded(
  path: string,
  early: number,
  spoil: (memory: GuestMemory) => void = () => {},
): { memory: GuestMemory; isAhead: boolean[]; count: number } {
  const memory = emptyMemory();
  const ahead = new AheadReader(path, memory, BYTES);
  const reader = BlockFileReader.open(path);
  try {
    const count = ahead.read(early).size;
    spoil(memory);
    const { guestStart, guestEnd } = memory;
    const read = ahead.finish([[guestStart + early, guestEnd]]);
    const loader = new MemoryLoader(BYTES);
    const isAhead: boolean[] = [];
    for (const block of reader.blocks(read)) {
      if (block.isAhead) loader.head(block.bytes);
      else loader.load(block.bytes, memory);
      isAhead.push(block.isAhead);
    }
    return { memory, isAhead, count };
  } finally {
    reader.close();
    ahead.close();
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

Deno.test("as much is read early as may be, and the rest at the end", () =>
  withFile(async (path) => {
    const saved = guestBytes(await savedMemory(path));
    const cases = [
      { early: BYTES, expected: 5 },
      { early: 600 * PAGE_BYTES, expected: 2 },
      { early: 0, expected: 0 },
    ];
    for (const { early, expected } of cases) {
      // Who makes the machine writes what lies behind.
      const { memory, isAhead, count } = loaded(path, early, (memory) => {
        guestBytes(memory).subarray(early).fill(0xa5);
      });
      assertEquals(count, expected);
      assertEquals(isAhead, [true, true, true, true, true]);
      assert(saved.every((byte, i) => byte === guestBytes(memory)[i]));
    }
  }));

Deno.test("what was read ahead is checked like all else", () =>
  withFile(async (path) => {
    await savedMemory(path);
    const good = await Deno.readFile(path);
    const refuse = async (bytes: Uint8Array): Promise<void> => {
      await Deno.writeFile(path, bytes);
      let error: unknown;
      try {
        loaded(path, BYTES);
      } catch (thrown) {
        error = thrown;
      }
      const isOurs = error instanceof SnapshotError ||
        error instanceof MemoryBlockError;
      assert(isOurs, `${error}`);
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

/** A file that is worth a thread. */
async function longFile(path: string): Promise<GuestMemory> {
  const bytes = 12 << 20;
  const memory = new GuestMemory({ arenaBytes: 65536, guestBytes: bytes });
  memory.alloc(bytes);
  const guest = guestBytes(memory);
  for (let at = 0; at < bytes; at += 65536) {
    crypto.getRandomValues(new Uint8Array(65536)).forEach((byte, i) =>
      guest[at + i] = byte
    );
  }
  const writer = await BlockFileWriter.create(path);
  for (const { bytes } of memoryBlocks(memory)) {
    await writer.block("MEMO", bytes);
  }
  await writer.finish();
  return memory;
}

Deno.test("a long file is read by another thread", () =>
  withFile(async (path) => {
    const saved = await longFile(path);
    const size = Deno.statSync(path).size;
    assertEquals(MemoryAhead.begin(path, 1 << 20), undefined);
    const read = async (file: string) => {
      const memory = new GuestMemory({
        arenaBytes: 65536,
        guestBytes: 12 << 20,
      });
      memory.alloc(12 << 20);
      const ahead = MemoryAhead.begin(file, size);
      if (navigator.hardwareConcurrency === 1) {
        assertEquals(ahead, undefined);
        return undefined;
      }
      try {
        ahead!.into(memory, 12 << 20, 6 << 20);
        return { memory, read: await ahead!.finish([]) };
      } finally {
        ahead!.close();
      }
    };
    const good = await read(path);
    if (good !== undefined) {
      assertEquals(good.read?.size, 12);
      const guest = guestBytes(good.memory);
      assert(guestBytes(saved).every((byte, i) => byte === guest[i]));
    }
    // Whoever asks then reads it himself, and finds out why.
    const none = await read(`${path}.none`);
    assertEquals(none?.read, undefined);
  }));

Deno.test({
  name: "where the thread's module may not be read there is none",
  permissions: { read: false },
  fn: () => assertEquals(MemoryAhead.begin("snapshot", 1 << 30), undefined),
});
