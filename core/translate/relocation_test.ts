import { assertEquals } from "@std/assert";
import { CELL_BYTES, CELL_PC_LO, INDEX_BYTES } from "../exec/layout.ts";
import { Block, BlockCache } from "./block_cache.ts";
import { compareBlocks, wordsOf } from "./relocation.ts";

/** What a translator makes of the same bytes at any place: a program counter, link cells, a plain word. */
function translate(c: BlockCache, pc: number, plain = 7): Block {
  const b = new Block();
  b.physical = 0x5010;
  b.pcLo = pc;
  b.byteLength = 6;
  c.reserve(b);
  c.reserveProfile(b);
  c.initCell(b.cells, (pc + 0x20) | 0, 0, 0);
  c.initCell(b.cells + CELL_BYTES, 0x1234, 0, 0);
  const words = [plain, (pc + 3) | 0, b.cells, b.profile, b.cells + CELL_BYTES];
  c.store(
    b,
    Int32Array.from(words),
    words.length,
    Int32Array.of(0, pc, -1, 2, pc + 3, -1),
    2,
    100,
  );
  c.insert(b);
  return b;
}

function cache(): { c: BlockCache; i32: Int32Array } {
  const i32 = new Int32Array((INDEX_BYTES + (1 << 20)) >> 2);
  return {
    c: new BlockCache(i32, 4096, INDEX_BYTES + 65536, 1 << 19, () => {}),
    i32,
  };
}

Deno.test("a copied block is what a translation there would have been", () => {
  const { c, i32 } = cache();
  const a = translate(c, 0x40001010);
  const b = translate(c, 0xb7710010 | 0);
  b.relocation = compareBlocks(i32, a, b);
  assertEquals(c.sibling(0x5010, 0, 0), b);
  const copy = c.copyTo(b, 0x08048010, 55);
  c.insert(copy);
  const fresh = translate(cache().c, 0x08048010);
  assertEquals(
    [copy.insns, copy.byteLength, wordsOf(copy)],
    [2, 6, wordsOf(fresh)],
  );
  const at = copy.bytecode >> 2;
  assertEquals([...i32.subarray(at, at + wordsOf(copy))], [
    ...[7, 0x08048013, copy.cells, copy.profile, copy.cells + CELL_BYTES],
    ...[0, 0x08048010, -1, 2, 0x08048013, -1],
  ]);
  const link = (n: number): number =>
    i32[(copy.cells + n * CELL_BYTES + CELL_PC_LO) >> 2];
  assertEquals([link(0), link(1)], [0x08048030, 0x1234]);
  assertEquals(c.find(0x5010, 0x08048010, 0, 0), copy);
});

Deno.test("what differs by more than its place is not copied", () => {
  const { c, i32 } = cache();
  const a = translate(c, 0x40001010);
  assertEquals(
    compareBlocks(i32, a, translate(c, 0x50003010, 8)),
    undefined,
  );
  // Places 64 KiB apart do not tell a 16-bit address from a constant.
  assertEquals(compareBlocks(i32, a, translate(c, 0x40011010)), undefined);
  // Nothing can be told from two translations for the same place.
  assertEquals(compareBlocks(i32, a, translate(c, 0x40001010)), undefined);
});
