import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  CODE_MASK_BYTES,
  CODE_MASKS,
  INDEX_BYTES,
  REC_BYTECODE,
  REC_TABLE,
  runningTag,
  TABLE_INTERPRETER,
  TABLE_UNLINKED,
} from "../exec/layout.ts";
import {
  ArenaFull,
  Block,
  BlockCache,
  HIT_BLOCK,
  HIT_REGION,
  HIT_RUNNING,
  type Region,
} from "./block_cache.ts";

const MASKS = CODE_MASKS * CODE_MASK_BYTES;

function cache(bytes = INDEX_BYTES + (1 << 16)): {
  c: BlockCache;
  i32: Int32Array;
  dead: Region[];
} {
  const i32 = new Int32Array((bytes + MASKS + 4096) >> 2);
  const dead: Region[] = [];
  return {
    c: new BlockCache(i32, MASKS + 4096, bytes, 0, (r) => dead.push(r)),
    i32,
    dead,
  };
}

function put(c: BlockCache, physical: number, length: number): Block {
  const b = new Block();
  b.physical = physical;
  b.pcLo = physical;
  b.byteLength = length;
  c.reserve(b);
  c.store(b, new Int32Array(8), 4, new Int32Array(3), 1, 100);
  c.insert(b);
  return b;
}

Deno.test("blocks are found by address, program counter and key", () => {
  const { c } = cache();
  const b = put(c, 0x1000, 8);
  assertEquals(c.find(0x1000, 0x1000, 0, 0), b);
  assertEquals(c.find(0x1000, 0x2000, 0, 0), undefined);
  assertEquals(c.find(0x1000, 0x1000, 0, 1), undefined);
  assertEquals(c.find(0x1004, 0x1000, 0, 0), undefined);
});

Deno.test("only blocks whose bytes are written are forgotten", () => {
  const { c, i32 } = cache();
  const a = put(c, 0x1000, 8);
  const b = put(c, 0x1008, 8);
  const other = put(c, 0x3000, 8);
  assertEquals(c.invalidate(0x1010, 4), 0);
  assertEquals(c.invalidate(0x1007, 1), HIT_BLOCK | HIT_RUNNING);
  assertEquals([a.valid, b.valid, other.valid], [false, true, true]);
  assertEquals(i32[(a.record + REC_BYTECODE) >> 2], 0);
  assertEquals(i32[(a.record + REC_TABLE) >> 2], TABLE_UNLINKED);
  assert(c.hasCode(1));
  c.invalidate(0x0, 0x2000);
  assertEquals([c.hasCode(1), c.hasCode(3)], [false, true]);
  assertEquals(c.find(0x1008, 0x1008, 0, 0), undefined);
});

Deno.test("a block across two pages goes with either", () => {
  for (const [at, length] of [[0x1ffe, 1], [0x7000, 2]]) {
    const { c } = cache();
    const b = new Block();
    b.physical = 0x1ffc;
    b.byteLength = 6;
    b.secondPage = 0x7000;
    c.reserve(b);
    c.store(b, new Int32Array(8), 4, new Int32Array(3), 1, 100);
    assertEquals(c.insert(b), [1, 7]);
    assertEquals(c.invalidate(0x7002, 4), 0);
    assertEquals(c.invalidate(at, length), HIT_BLOCK | HIT_RUNNING);
    assertEquals(b.valid, false);
  }
});

Deno.test("a region dies with any of its blocks, and its entry is interpreted again", () => {
  const { c, i32, dead } = cache();
  const a = put(c, 0x1000, 8);
  const b = put(c, 0x1008, 8);
  const region: Region = {
    lookups: 1,
    id: 1,
    blocks: [a, b],
    tableIndex: 7,
    codeBytes: 0,
    faults: new Int32Array(0),
    valid: true,
  };
  c.installRegion(region);
  assertEquals(i32[(a.record + REC_TABLE) >> 2], 7);
  assertEquals(
    c.invalidate(0x1008, 1, runningTag(a.id)),
    HIT_BLOCK | HIT_REGION,
  );
  assertEquals(dead, [region]);
  assertEquals(i32[(a.record + REC_BYTECODE) >> 2], a.bytecode);
  assertEquals(a.regions, []);
});

Deno.test("a full arena throws, and a flush takes everything back", () => {
  const { c } = cache(INDEX_BYTES + 4096);
  assertThrows(() => {
    for (let i = 0;; i++) put(c, 0x1000 + 16 * i, 8);
  }, ArenaFull);
  const before = c.size;
  assert(before > 10);
  c.flush();
  assertEquals([c.size, c.hasCode(1)], [0, false]);
  put(c, 0x1000, 8);
});

/** A block with a copy, whose frontend asked for the words at `words`. */
function putVersion(
  c: BlockCache,
  physical: number,
  host: number,
  words: number[],
  mutable: number[],
): Block {
  const b = new Block();
  b.physical = physical;
  b.pcLo = physical;
  b.byteLength = 12;
  b.words = words;
  b.mutable = mutable;
  c.reserve(b);
  c.keepCopy(b, host);
  c.store(b, new Int32Array(8), 4, new Int32Array(3), 1, 100);
  c.insert(b);
  return b;
}

Deno.test("a forgotten block comes back with its bytes", () => {
  const { c, i32 } = cache();
  const u8 = new Uint8Array(i32.buffer);
  const host = u8.length - 16;
  put(c, 0x1000, 12);
  c.invalidate(0x1000, 1);
  assert(c.wasForgotten(0x1000));
  const first = putVersion(c, 0x1000, host, [], []);
  u8[host + 3] = 7;
  c.invalidate(0x1003, 1);
  assertEquals(c.takeVersion(0x1000, host, 0x1000, 0, 0), undefined);
  const second = putVersion(c, 0x1000, host, [], []);
  assertEquals([first.kills, second.kills], [2, 2]);
  c.invalidate(0x1003, 1);
  u8[host + 3] = 0;
  assertEquals(c.takeVersion(0x1000, host, 0x1000, 0, 1), undefined);
  assertEquals(c.takeVersion(0x1000, host, 0x1000, 0, 0), first);
  c.revive(first, 5);
  assertEquals(c.find(0x1000, 0x1000, 0, 0), first);
  assertEquals(i32[(first.record + REC_TABLE) >> 2], TABLE_INTERPRETER);
  assertEquals([c.revived, c.invalidate(0x1000, 12)], [
    1,
    HIT_BLOCK | HIT_RUNNING,
  ]);
});

Deno.test("values that change are told, and then stores to them change nothing", () => {
  const { c, i32 } = cache();
  const u8 = new Uint8Array(i32.buffer);
  const host = u8.length - 16;
  const before = putVersion(c, 0x1000, host, [1, 6], []);
  c.invalidate(0x1000, 12);
  u8[host + 8] = 1;
  assertEquals(c.takeVersion(0x1000, host, 0x1000, 0, 0), undefined);
  assertEquals(c.mutable, [6]);
  const b = putVersion(c, 0x1000, host, [1, 6], [...c.mutable]);
  assertEquals(c.invalidate(0x1006, 4), 0);
  assertEquals(c.invalidate(0x1009, 1), 0);
  assertEquals([before.valid, b.valid], [false, true]);
  // One byte further is another instruction.
  assertEquals(c.invalidate(0x1007, 4), HIT_BLOCK | HIT_RUNNING);
  u8[host + 9] = 9;
  assertEquals(c.takeVersion(0x1000, host, 0x1000, 0, 0), b);
  u8[host + 11] = 9;
  assertEquals(c.takeVersion(0x1000, host, 0x1000, 0, 0), undefined);
  assertEquals(c.mutable, []);
});

Deno.test("pages that share a mask: it has the granules of both", () => {
  const { c, i32 } = cache();
  const masks = (): number[] => [i32[2], i32[3]];
  put(c, 0x1000, 65);
  put(c, 0x1000 + 4096 * CODE_MASKS + 0x840, 1);
  assertEquals(masks(), [3, 2]);
  c.invalidate(0x1040, 1);
  assertEquals(masks(), [0, 2]);
  put(c, 0x1840, 1);
  c.invalidate(0x1000 + 4096 * CODE_MASKS, 4096);
  assertEquals(masks(), [0, 2]);
  c.invalidate(0x1840, 1);
  assertEquals(masks(), [0, 0]);
});

Deno.test("code that is new each time takes the place of the oldest version", () => {
  const { c, i32 } = cache();
  const u8 = new Uint8Array(i32.buffer);
  const host = u8.length - 16;
  put(c, 0x1000, 12);
  const round = (n: number): Block => {
    c.invalidate(0x1000, 1);
    u8[host] = n;
    assertEquals(c.takeVersion(0x1000, host, 0x1000, 0, 0), undefined);
    return putVersion(c, 0x1000, host, [], []);
  };
  const first = round(1);
  for (let n = 2; n <= 4; n++) round(n);
  const { used, size } = c;
  const fifth = round(5);
  assertEquals([fifth.record, fifth.id], [first.record, first.id]);
  assertEquals(c.block(first.id), fifth);
  assertEquals([first.valid, fifth.valid], [false, true]);
  for (let n = 6; n < 100; n++) round(n);
  assertEquals([c.used, c.size], [used, size]);
  // The newest four are still there.
  c.invalidate(0x1000, 1);
  u8[host] = 96;
  assert(c.takeVersion(0x1000, host, 0x1000, 0, 0) !== undefined);
  u8[host] = 95;
  assertEquals(c.takeVersion(0x1000, host, 0x1000, 0, 0), undefined);
});
