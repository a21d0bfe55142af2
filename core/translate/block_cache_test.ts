import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  CODE_MASK_BYTES,
  CODE_MASKS,
  INDEX_BYTES,
  REC_BYTECODE,
  REC_TABLE,
  runningTag,
  TABLE_STUB,
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
  assertEquals(i32[(a.record + REC_TABLE) >> 2], TABLE_STUB);
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
