/**
 * Where translated code was left within a block: which instruction it was, and
 * the state at its start.
 *
 * A region leaves with a number, by which its table of faults knows the
 * instruction; the interpreter with the place in the block's bytecode, which
 * the block's instruction table leads back from.
 *
 * @module
 */

import type { Frontend } from "../cpu/frontend.ts";
import type { Block, BlockCache } from "../translate/block_cache.ts";
import { OFF_FAULT, OFF_PC_BASE, OFF_RECORD, REC_BLOCK } from "./layout.ts";
import type { Regions } from "./regions.ts";

/** What knows of the blocks that a CPU may leave. */
export interface ExitPointsParts {
  /** The ISA. */
  readonly frontend: Frontend;
  /** The blocks. */
  readonly cache: BlockCache;
  /** The regions. */
  readonly regions: Regions;
  /** The shared memory, as words. */
  readonly i32: Int32Array;
  /** Offset of the CPU's area. */
  readonly base: number;
}

/** What the sum of two words carries. */
export function carryOf(a: number, b: number): number {
  return (a >>> 0) + (b >>> 0) > 0xffffffff ? 1 : 0;
}

/** Finds where a CPU left translated code. */
export class ExitPoints {
  readonly #frontend: Frontend;
  readonly #cache: BlockCache;
  readonly #regions: Regions;
  readonly #i32: Int32Array;
  readonly #base: number;

  /** Makes that of a CPU. */
  constructor(parts: ExitPointsParts) {
    this.#frontend = parts.frontend;
    this.#cache = parts.cache;
    this.#regions = parts.regions;
    this.#i32 = parts.i32;
    this.#base = parts.base;
  }

  /**
   * Makes the state that of the start of the instruction that left the block,
   * which is `single` if that runs once and is in no cache. Returns the
   * instructions from there to the block's end: they were paid for and not
   * done.
   */
  restore(single: Block | undefined): number {
    const region = this.#regions.leaving;
    if (region === undefined) return this.#inBytecode(single ?? this.#block());
    const { blocks, faults } = region;
    const at = this.#i32[(this.#base + OFF_FAULT) >> 2] * 4;
    const block = blocks[faults[at]];
    return this.#restore(block, faults[at + 1], faults[at + 2], faults[at + 3]);
  }

  /** The block whose bytecode ran. */
  #block(): Block {
    const record = this.#i32[(this.#base + OFF_RECORD) >> 2];
    return this.#cache.block(this.#i32[(record + REC_BLOCK) >> 2]);
  }

  #inBytecode(block: Block): number {
    const i32 = this.#i32;
    const table = block.insnTable >> 2;
    const pc = i32[(this.#base + OFF_FAULT) >> 2];
    const word = (pc - block.bytecode) >> 2;
    let lo = 0;
    let hi = block.insns - 1;
    while (lo < hi) {
      const mid = (lo + hi + 1) >> 1;
      if (i32[table + mid * 3] <= word) lo = mid;
      else hi = mid - 1;
    }
    const at = table + lo * 3;
    return this.#restore(block, lo, i32[at + 1], i32[at + 2]);
  }

  /** `pc` is the instruction's program counter less `OFF_PC_BASE`. */
  #restore(block: Block, index: number, pc: number, aux: number): number {
    const at = (this.#base + OFF_PC_BASE) >> 2;
    const pcBase = this.#i32[at];
    const lo = (pc + pcBase) | 0;
    const hi = this.#frontend.wide(block.key)
      ? block.pcHi + this.#i32[at + 1] + carryOf(pc, pcBase)
      : block.pcHi;
    this.#frontend.restore(lo, hi | 0, aux);
    return block.insns - index;
  }
}
