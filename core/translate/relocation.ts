/**
 * Blocks of the same bytes at other addresses.
 *
 * Position-independent code (shared libraries, programs whose place the guest
 * draws at random) stands at another address in each process, and a block has
 * its program counter built in. The second time that the same bytes are
 * translated, the two translations are compared: words that differ as the
 * program counters do, or as the link cells do, are all that depends on where
 * the block stands. From then on such blocks are copied and those words
 * changed, which takes a tenth of the time. If anything else differs, they are
 * translated as before.
 *
 * @module
 */

import { CELL_BYTES, CELL_PC_LO } from "../exec/layout.ts";
import type { Block } from "./block_cache.ts";

/** Which words of a block's bytecode and instruction table depend on its place. */
export interface Relocation {
  /** Indices of words that hold program counters. */
  readonly pcs: readonly number[];
  /** Indices of words that hold offsets of link cells or of the profile. */
  readonly cells: readonly number[];
  /** Of each link cell: whether it leads to a place relative to the block's. */
  readonly links: readonly [boolean, boolean];
}

/** Words of a block's bytecode and instruction table, which follow each other. */
export function wordsOf(b: Block): number {
  return ((b.insnTable - b.bytecode) >> 2) + 3 * b.insns;
}

/**
 * Compares two translations of the same bytes in the same mode, at different
 * program counters; undefined if they do not differ by their places alone.
 */
export function compareBlocks(
  i32: Int32Array,
  a: Block,
  b: Block,
): Relocation | undefined {
  const moved = (b.pcLo - a.pcLo) | 0;
  const cellsMoved = (b.cells - a.cells) | 0;
  const words = wordsOf(a);
  if (
    // A multiple of 64 KiB would hide that a word holds 16 bits of an address.
    (moved & 0xffff) === 0 || cellsMoved === 0 || moved === cellsMoved ||
    words !== wordsOf(b) || a.insns !== b.insns ||
    a.byteLength !== b.byteLength ||
    a.insnTable - a.bytecode !== b.insnTable - b.bytecode ||
    (a.profile !== 0) !== (b.profile !== 0) ||
    (a.profile !== 0 && b.profile - a.profile !== cellsMoved)
  ) return undefined;
  const pcs: number[] = [];
  const cells: number[] = [];
  const at = a.bytecode >> 2;
  const bt = b.bytecode >> 2;
  for (let i = 0; i < words; i++) {
    const difference = (i32[bt + i] - i32[at + i]) | 0;
    if (difference === 0) continue;
    if (difference === moved) pcs.push(i);
    else if (difference === cellsMoved) cells.push(i);
    else return undefined;
  }
  const links: [boolean, boolean] = [false, false];
  for (const n of [0, 1]) {
    const cell = n * CELL_BYTES + CELL_PC_LO;
    const difference =
      (i32[(b.cells + cell) >> 2] - i32[(a.cells + cell) >> 2]) | 0;
    if (difference === moved) links[n] = true;
    else if (difference !== 0) return undefined;
  }
  return { pcs, cells, links };
}
