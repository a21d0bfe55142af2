/**
 * From program counters to blocks, and from block to block: finds or makes the
 * block at which the dispatcher enters translated code, and has words that led
 * nowhere lead to it.
 *
 * @module
 */

import { type Frontend, GUEST_FAULT } from "../cpu/frontend.ts";
import type { SoftMmu } from "../mmu/soft_mmu.ts";
import {
  ArenaFull,
  type Block,
  type BlockCache,
} from "../translate/block_cache.ts";
import type { BlockTranslator } from "../translate/block_translator.ts";
import type { EngineDebug } from "./engine_debug.ts";
import { carryOf } from "./exit_points.ts";
import type { JumpModes } from "./jump_modes.ts";
import {
  CELL_BLOCK,
  CELL_PC_HI,
  CELL_PC_LO,
  CELL_RECORD,
  OFF_ENTER,
  OFF_PC_BASE,
  REC_KEY,
  REC_PHYSICAL,
  REC_SELF,
} from "./layout.ts";
import type { RunBudget } from "./run_budget.ts";
import type { CodeOwner, SharedCode } from "./shared_code.ts";
import type { Statistics } from "./statistics.ts";
import type { TranslationObserver, TranslatorView } from "./trace.ts";

const PAGE = 4096;
/** One in so many translations is timed: to ask for the time takes a thirtieth of one. */
const TIMED = 8;

/** What finds, makes and links the blocks of a CPU. */
export interface BlockLinksParts {
  /** The ISA. */
  readonly frontend: Frontend;
  /** The CPU's MMU. */
  readonly mmu: SoftMmu;
  /** Its blocks. */
  readonly cache: BlockCache;
  /** Makes them. */
  readonly translator: BlockTranslator;
  /** Its jump cache. */
  readonly jumps: JumpModes;
  /** The shared memory, as words. */
  readonly i32: Int32Array;
  /** Offset of the CPU's area. */
  readonly base: number;
  /** The instructions that it has executed. */
  readonly budget: RunBudget;
  /** The counters. */
  readonly statistics: Statistics;
  /** What an observer can ask. */
  readonly view: TranslatorView;
  /** Where there are several CPUs: what their engines know together. */
  readonly shared: SharedCode | undefined;
  /** The engine, for that. */
  readonly owner: CodeOwner;
}

/** Finds and links the blocks of one CPU. */
export class BlockLinks {
  /** What is to be entered is `BlockTranslator.singleBlock`: stores do not stop at code. */
  isSingle = false;
  /** Is told of blocks. */
  observer: TranslationObserver | undefined;
  /** The debugging part of the engine, once there is one. */
  debug: EngineDebug | undefined;
  readonly #frontend: Frontend;
  readonly #mmu: SoftMmu;
  readonly #cache: BlockCache;
  readonly #translator: BlockTranslator;
  readonly #jumps: JumpModes;
  readonly #i32: Int32Array;
  readonly #base: number;
  readonly #budget: RunBudget;
  readonly #statistics: Statistics;
  readonly #counts: Statistics["counts"];
  readonly #view: TranslatorView;
  readonly #shared: SharedCode | undefined;
  readonly #owner: CodeOwner;

  /** Makes that of a CPU. */
  constructor(parts: BlockLinksParts) {
    this.#frontend = parts.frontend;
    this.#mmu = parts.mmu;
    this.#cache = parts.cache;
    this.#translator = parts.translator;
    this.#jumps = parts.jumps;
    this.#i32 = parts.i32;
    this.#base = parts.base;
    this.#budget = parts.budget;
    this.#statistics = parts.statistics;
    this.#counts = parts.statistics.counts;
    this.#view = parts.view;
    this.#shared = parts.shared;
    this.#owner = parts.owner;
  }

  /** The link to the block at the present program counter; -1 after a fetch fault. */
  link(): number {
    const f = this.#frontend;
    const block = this.find(f.pcLo(), f.pcHi(), true);
    return block === undefined ? -1 : this.enterWord(block);
  }

  /**
   * The block at a program counter (which is in the state), translated if
   * needed; undefined after a fetch fault, and where a debugger is to be asked
   * (`wasAsked`: it was).
   */
  find(lo: number, hi: number, wasAsked = false): Block | undefined {
    const f = this.#frontend;
    const key = f.key();
    const linear = f.linear(lo, hi);
    const mmu = f.fetchMmu();
    const physical = this.#mmu.fetch(linear, mmu);
    if (physical < 0) return undefined;
    const isCut = this.#translator.cuts?.has(physical) === true;
    const host = this.#mmu.fetchHost;
    if (host < 0 || physical > 0xffffffff) {
      if (isCut && !wasAsked) return undefined;
      // Nobody tells when code in a device's memory changes, and some pages
      // are not watched: each instruction is translated when it runs.
      return this.prepareSingle(1) < 0
        ? undefined
        : this.#translator.singleBlock;
    }
    if (isCut) return undefined;
    const isRelocatable = f.relocatable(key);
    const pc = isRelocatable ? physical | 0 : lo;
    const pcHi = isRelocatable && f.wide(key) ? 0 : hi;
    const block = this.#cache.find(physical, pc, pcHi, key);
    if (block !== undefined) {
      if (block.secondPage < 0) return block;
      const next = linear - (linear & (PAGE - 1)) + PAGE;
      const second = this.#mmu.fetch(next, mmu);
      if (second < 0) return undefined;
      if (second === block.secondPage) return block;
      // Another page stands behind this one now.
      this.#cache.invalidate(block.physical, 1);
      return this.find(lo, hi, wasAsked);
    }
    for (;;) {
      try {
        const isTimed = this.#cache.translated % TIMED === 0;
        const started = isTimed ? performance.now() : 0;
        const made = this.#translator.translate(physical, host, lo, hi);
        if (isTimed) {
          this.#statistics.translateMs += TIMED * (performance.now() - started);
        }
        made.asked = this.#budget.instructions;
        this.#shared?.made(this.#owner, made);
        this.observer?.block(made, this.#view);
        return made;
      } catch (e) {
        if (e === GUEST_FAULT) return undefined;
        if (!(e instanceof ArenaFull)) throw e;
        this.flush();
      }
    }
  }

  /** Translates up to `insns` instructions at the program counter to run once; -1 after a fetch fault. */
  prepareSingle(insns: number, stepping = false): number {
    this.#counts.singles++;
    const block = this.#translator.single(insns, stepping);
    if (block === undefined) return -1;
    this.isSingle = true;
    this.debug?.enters(block);
    return this.enterWord(block);
  }
  /** The word through which the dispatcher enters a block, which is at the present program counter. */
  enterWord(block: Block): number {
    const f = this.#frontend;
    const at = (this.#base + OFF_PC_BASE) >> 2;
    const lo = f.pcLo();
    this.#i32[at] = (lo - block.pcLo) | 0;
    if (f.wide(block.key)) {
      const borrow = lo >>> 0 < block.pcLo >>> 0 ? 1 : 0;
      this.#i32[at + 1] = f.pcHi() - block.pcHi - borrow;
    }
    this.#i32[(this.#base + OFF_ENTER) >> 2] = block.record;
    return this.#base + OFF_ENTER;
  }

  /** Makes the program counter the one in two words of a record or link cell. */
  setPcAt(word: number): void {
    const f = this.#frontend;
    const at = (this.#base + OFF_PC_BASE) >> 2;
    const pc = this.#i32[word];
    const pcBase = this.#i32[at];
    const hi = f.wide(f.key())
      ? this.#i32[word + 1] + this.#i32[at + 1] + carryOf(pc, pcBase)
      : this.#i32[word + 1];
    f.setPc((pc + pcBase) | 0, hi | 0);
  }

  /**
   * Makes the word that led nowhere lead to a block: a link cell, or an entry
   * of the jump cache whose block is gone. Not from a cell to another mode,
   * when a helper has changed the key and the block went on, or to another
   * page, when it has changed the mapping. A cell that leads to a block across
   * two pages, which depends on the second page's mapping, becomes a lookup in
   * the jump cache.
   */
  patch(at: number, block: Block, lo: number, hi: number): void {
    const across = block.secondPage >= 0;
    if (at < this.#cache.unlinked) {
      if (across) this.#jumps.enter(block, lo, hi);
      else this.#i32[(at + CELL_RECORD) >> 2] = block.record;
      return;
    }
    if ((at & 15) === (REC_SELF & 15)) {
      const dead = at - REC_SELF;
      const page = Math.floor(
        (this.#i32[(dead + REC_PHYSICAL) >> 2] >>> 0) / PAGE,
      );
      if (
        !across && this.#i32[(dead + REC_KEY) >> 2] === (block.key | 0) &&
        page === Math.floor(block.physical / PAGE)
      ) this.#i32[at >> 2] = block.record;
      return;
    }
    const owner = this.#cache.block(this.#i32[(at + CELL_BLOCK) >> 2]);
    if (owner.key !== block.key) return;
    // What goes through the cell of a jump to another page looks where it is.
    if (
      this.isNear(at) &&
      Math.floor(owner.physical / PAGE) !== Math.floor(block.physical / PAGE)
    ) return;
    this.#i32[(at + CELL_RECORD) >> 2] = across
      ? this.#frontend.wide(block.key) ? this.#cache.farWide : this.#cache.far
      : block.record;
  }

  /** Whether a link cell is that of a jump within its block's page. */
  isNear(cell: number): boolean {
    const at = cell >> 2;
    return this.#cache.block(this.#i32[at + (CELL_BLOCK >> 2)]).isNear(
      this.#i32[at + (CELL_PC_LO >> 2)],
      this.#i32[at + (CELL_PC_HI >> 2)],
    );
  }

  /** Forgets all translations. Must not be called while translated code runs. */
  flush(): void {
    this.#cache.flush();
    this.#shared?.flushed();
    this.#mmu.flat.resume();
    this.#jumps.clear();
  }
}
