/**
 * From a program counter to a block: fetches guest code, has the frontend
 * translate it, lowers the IR to bytecode and stores it in the cache.
 *
 * @module
 */

import {
  type Frontend,
  GUEST_FAULT,
  type TranslateContext,
} from "../cpu/frontend.ts";
import { BytecodeWriter, TooManyTemps } from "../exec/bytecode.ts";
import type { Opcodes } from "../exec/interpreter.ts";
import {
  CELL_BYTES,
  REC_HOST,
  REC_INSNS,
  REC_PC_HI,
  REC_PC_LO,
  RECORD_BYTES,
} from "../exec/layout.ts";
import { IrBlock, TERM_INDIRECT } from "../ir/block.ts";
import { IrBuilder } from "../ir/builder.ts";
import { CALLS, Op, OPS, STORES } from "../ir/ops.ts";
import { Liveness } from "../ir/passes/liveness.ts";
import type { SoftMmu } from "../mmu/soft_mmu.ts";
import { Block, type BlockCache } from "./block_cache.ts";
import type { CutPoints } from "./cut_points.ts";
import type { Retranslate } from "./region_former.ts";

/** Count of a block that must not become hot again. */
export const NEVER_HOT = 0x7fffffff;
/** Arena bytes set aside for blocks that run once. */
export const SCRATCH_BYTES = 65536;
/** Bytes looked at to translate one instruction in a device's memory. */
const IO_CODE_BYTES = 32;
/**
 * Each time that a block or its region is forgotten, it must run twice as often
 * before it is compiled again; up to 2 to this power.
 */
export const MAX_BACKOFF = 6;
const PAGE = 4096;
const INSN = Op["insn"];

/** What a translator works with. */
export interface BlockTranslatorParts {
  /** The ISA. */
  readonly frontend: Frontend;
  /** For instruction fetch. */
  readonly mmu: SoftMmu;
  /** Where blocks go. */
  readonly cache: BlockCache;
  /** The interpreter's opcodes. */
  readonly opcodes: Opcodes;
  /** The shared memory, as bytes. */
  readonly u8: Uint8Array;
  /** The shared memory, as words. */
  readonly i32: Int32Array;
  /** Offset of `SCRATCH_BYTES` for blocks that run once. */
  readonly scratch: number;
  /** Guest instructions in a block at most. */
  readonly maxInsns: number;
  /** Executions that make a block hot. */
  readonly threshold: number;
}

/** Translates the blocks of one CPU. */
export class BlockTranslator {
  readonly #frontend: Frontend;
  readonly #mmu: SoftMmu;
  readonly #cache: BlockCache;
  readonly #u8: Uint8Array;
  readonly #i32: Int32Array;
  readonly #scratch: number;
  readonly #maxInsns: number;
  readonly #threshold: number;
  readonly #writer: BytecodeWriter;
  readonly #liveness: Liveness;
  readonly #block: IrBlock;
  readonly #builder: IrBuilder;
  readonly #context: TranslateContext;
  /** Copy of the end of a page and the start of the next. */
  readonly #crossing = new Uint8Array(64);
  /** Code read from a device, where it stands in its page. */
  readonly #ioCode = new Uint8Array(PAGE);
  #secondPage = -1;
  /** The block that is translated, if values in it change. */
  #patched: Block | undefined;
  /** Where it starts in the shared memory. */
  #blockStart = 0;
  #fetchAddress = 0;
  /** The second page of a block that is translated again, or -1. */
  #knownSecond = -1;
  /** Where blocks must end, while there are breakpoints. */
  cuts: CutPoints | undefined;
  /** All blocks come to the dispatcher whenever they are executed. */
  isObserved = false;

  /** Makes the translator of a CPU. */
  constructor(parts: BlockTranslatorParts) {
    const { frontend } = parts;
    this.#frontend = frontend;
    this.#mmu = parts.mmu;
    this.#cache = parts.cache;
    this.#u8 = parts.u8;
    this.#i32 = parts.i32;
    this.#scratch = parts.scratch;
    this.#maxInsns = parts.maxInsns;
    this.#threshold = parts.threshold;
    this.#writer = new BytecodeWriter(parts.opcodes, frontend.globals);
    this.#liveness = new Liveness(frontend.globals.length);
    this.#block = new IrBlock(frontend.globals);
    this.#builder = new IrBuilder(this.#block);
    this.#context = {
      builder: this.#builder,
      code: this.#u8,
      start: 0,
      limit: 0,
      pcLo: 0,
      pcHi: 0,
      key: 0,
      maxInsns: this.#maxInsns,
      entryFacts: -1,
      exitFacts: -1,
      wantsFacts: false,
      compiled: false,
      stepping: false,
      elements: 0,
      mutableWord: (at) => this.#mutableWord(at),
      cross: () => this.#cross(),
    };
  }

  #mutableWord(at: number): number {
    const b = this.#patched;
    if (b === undefined || this.#context.code !== this.#u8) return -1;
    const word = at - this.#blockStart;
    if (!this.#context.compiled && b.words.at(-1) !== word) b.words.push(word);
    return b.mutable.includes(word) ? at : -1;
  }

  #fetchSource(physical: number, host: number): void {
    const c = this.#context;
    if (host >= 0) {
      c.code = this.#u8;
      c.start = host + (physical % PAGE);
      c.limit = host + PAGE;
      return;
    }
    // Code in a device's memory: what the bus gives, byte by byte.
    const from = physical % PAGE;
    const limit = Math.min(from + IO_CODE_BYTES, PAGE);
    for (let i = from; i < limit; i++) {
      this.#ioCode[i] = this.#mmu.readCode(physical - from + i);
    }
    c.code = this.#ioCode;
    c.start = from;
    c.limit = limit;
  }

  /** Replaces the context's code by a copy that goes on with the next page. */
  #cross(): void {
    const c = this.#context;
    const rest = c.limit - c.start;
    const f = this.#frontend;
    let second = this.#knownSecond;
    let host = -1;
    if (second >= 0) host = this.#mmu.hostOf(second);
    else {
      const linear = this.#fetchAddress;
      const next = linear - (linear & (PAGE - 1)) + PAGE;
      second = this.#mmu.fetch(next, f.fetchMmu());
      if (second < 0) throw GUEST_FAULT;
      host = this.#mmu.fetchHost;
    }
    const copy = this.#crossing;
    const n = Math.min(rest, 32);
    for (let i = 0; i < n; i++) copy[i] = c.code[c.start + i];
    for (let i = 0; i < 32; i++) {
      copy[n + i] = host >= 0
        ? this.#u8[host + i]
        : this.#mmu.readCode(second + i);
    }
    this.#secondPage = second - (second % PAGE);
    c.code = copy;
    c.start = 0;
    c.limit = n + 32;
  }

  /** Runs the frontend: the block's IR is in `#block` after liveness. */
  #toIr(
    linear: number,
    lo: number,
    hi: number,
    key: number,
    maxInsns: number,
  ): void {
    const c = this.#context;
    this.#secondPage = -1;
    this.#fetchAddress = linear;
    c.pcLo = lo;
    c.pcHi = hi;
    c.key = key;
    c.maxInsns = maxInsns;
    c.entryFacts = -1;
    this.#builder.start(this.#block, lo, hi);
    this.#frontend.translate(c);
    this.#liveness.run(this.#block, this.#frontend.helpers);
  }

  /**
   * The mix of what was translated: instructions in a block, and accesses to
   * guest memory in an instruction, on average.
   */
  get mix(): { insnsInBlock: number; accessesInInsn: number } {
    const { totalInsns, totalBlocks, totalAccesses } = this.#writer;
    return {
      insnsInBlock: totalInsns / Math.max(totalBlocks, 1),
      accessesInInsn: totalAccesses / Math.max(totalInsns, 1),
    };
  }

  /**
   * Translates the block at a program counter whose code stands at a physical
   * address, and at `host` in memory, and enters it into the cache. Throws
   * `ArenaFull`, and `GUEST_FAULT` if the first instruction runs into a page
   * that faults.
   */
  translate(physical: number, host: number, lo: number, hi: number): Block {
    const key = this.#frontend.key();
    const linear = this.#frontend.linear(lo, hi);
    const isRelocatable = this.#frontend.relocatable(key);
    const pc = isRelocatable ? physical | 0 : lo;
    const pcHi = isRelocatable && this.#frontend.wide(key) ? 0 : hi;
    const cache = this.#cache;
    const from = host + (physical % PAGE);
    const old = cache.takeVersion(physical, from, pc, pcHi, key);
    const { cuts } = this;
    if (
      old !== undefined &&
      (cuts === undefined || !cuts.isWithin(physical, old.byteLength))
    ) {
      this.#protect(cache.revive(old, this.#thresholdOf(old)));
      return old;
    }
    const block = new Block();
    let maxInsns = this.#maxInsns;
    const wasForgotten = cache.wasForgotten(physical);
    const mutable = wasForgotten ? cache.mutable.slice() : cache.mutable;
    for (;;) {
      if (wasForgotten) {
        this.#patched = block;
        this.#blockStart = from;
        block.words = [];
        block.mutable = mutable;
      }
      this.#fetchSource(physical, host);
      try {
        this.#toIr(linear, pc, pcHi, key, maxInsns);
      } finally {
        this.#patched = undefined;
      }
      if (cuts !== undefined) {
        const insns = cuts.insnsBefore(this.#block, physical);
        if (insns < this.#block.insns) {
          maxInsns = insns;
          continue;
        }
      }
      block.physical = physical;
      block.pcLo = pc;
      block.pcHi = pcHi;
      block.address = linear;
      block.key = key;
      block.byteLength = this.#block.byteLength;
      block.term = this.#block.term;
      block.flow = this.#block.flow;
      block.secondPage = this.#secondPage;
      try {
        cache.reserve(block);
        if (this.#block.term === TERM_INDIRECT) cache.reserveProfile(block);
        this.#lower(block);
        break;
      } catch (e) {
        if (!(e instanceof TooManyTemps) || maxInsns === 1) throw e;
        maxInsns >>= 1;
      }
    }
    if (block.secondPage < 0 && wasForgotten) {
      cache.keepCopy(block, from);
    }
    cache.store(
      block,
      this.#writer.words,
      this.#writer.length,
      this.#writer.insnTable,
      this.#writer.insns,
      this.#thresholdOf(block),
    );
    this.#i32[(block.record + REC_HOST) >> 2] = block.secondPage < 0 ? host : 0;
    this.#protect(cache.insert(block));
    return block;
  }

  #protect(pages: readonly number[]): void {
    for (let i = 0; i < pages.length; i++) this.#mmu.protect(pages[i]);
  }

  /** Executions that make a block hot: the more, the more often it was forgotten. */
  #thresholdOf(block: Block): number {
    if (this.isObserved) return 1;
    if (this.#threshold === NEVER_HOT) return NEVER_HOT;
    const factor = 2 ** Math.min(block.kills, MAX_BACKOFF);
    return Math.min(this.#threshold * factor, NEVER_HOT);
  }

  /**
   * Lowers `#block`, whose record and cells are reserved. A block that is
   * `alone` never goes on to another: its cells are not linked.
   */
  #lower(block: Block, alone = false): void {
    const k = this.#block;
    this.#cache.initCell(block.cells, k.takenLo, k.takenHi, 0);
    this.#cache.initCell(block.cells + CELL_BYTES, k.otherLo, k.otherHi, 0);
    this.#writer.write(k, this.#liveness.uses, {
      cells: block.cells,
      takenNear: alone || block.isNear(k.takenLo, k.takenHi),
      otherNear: alone || block.isNear(k.otherLo, k.otherHi),
      profile: block.profile,
      alone,
      wide: this.#frontend.wide(this.#context.key),
    });
  }

  /**
   * If the last single block is a repeated instruction: how many elements one
   * execution does at most if nobody steps; else 0.
   */
  get elements(): number {
    return this.#context.elements;
  }

  /** The distances of a block's instructions from its first byte. */
  offsetsOf(block: Block): number[] {
    const table = block.insnTable >> 2;
    return Array.from(
      { length: block.insns },
      (_, i) => (this.#i32[table + 3 * i + 1] - block.pcLo) | 0,
    );
  }

  /** The block that {@linkcode BlockTranslator.single} made last. */
  readonly singleBlock: Block = new Block();

  /**
   * Translates up to `insns` instructions at the program counter into a block
   * that is run once and not entered into the cache; undefined after a fetch
   * fault. `stepping`: of a repeated instruction one element.
   */
  single(insns: number, stepping = false): Block | undefined {
    const f = this.#frontend;
    const lo = f.pcLo();
    const hi = f.pcHi();
    const linear = f.linear(lo, hi);
    const physical = this.#mmu.fetch(linear, f.fetchMmu());
    if (physical < 0) return undefined;
    const block = this.singleBlock;
    try {
      this.#fetchSource(physical, this.#mmu.fetchHost);
      this.#context.stepping = stepping;
      this.#context.elements = 0;
      this.#toIr(linear, lo, hi, f.key(), insns);
    } catch (e) {
      if (e === GUEST_FAULT) return undefined;
      throw e;
    } finally {
      this.#context.stepping = false;
    }
    // Nobody tells when such a block changes itself.
    const alone = Math.min(
      this.#insnsToStore(),
      this.cuts?.insnsBefore(this.#block, physical) ?? Infinity,
    );
    if (alone < this.#block.insns) return this.single(alone, stepping);
    block.physical = physical;
    block.pcLo = lo;
    block.pcHi = hi;
    block.key = f.key();
    block.record = this.#scratch;
    block.cells = this.#scratch + RECORD_BYTES;
    block.byteLength = this.#block.byteLength;
    block.insns = this.#block.insns;
    this.#lower(block, true);
    const w = this.#writer;
    block.bytecode = block.cells + 2 * CELL_BYTES;
    const size = RECORD_BYTES + 2 * CELL_BYTES + 4 * (w.length + 3 * w.insns);
    if (size > SCRATCH_BYTES) {
      if (insns > 1) return this.single(insns >> 1, stepping);
      throw new Error(`an instruction became ${size} bytes of bytecode`);
    }
    block.insnTable = block.bytecode + w.length * 4;
    this.#i32.set(w.words.subarray(0, w.length), block.bytecode >> 2);
    this.#i32.set(w.insnTable.subarray(0, 3 * w.insns), block.insnTable >> 2);
    const r = block.record >> 2;
    this.#i32[r] = block.bytecode;
    this.#i32[r + 1] = 1;
    this.#i32[r + 2] = NEVER_HOT;
    this.#i32[r + (REC_INSNS >> 2)] = w.insns;
    this.#i32[r + (REC_PC_LO >> 2)] = lo;
    this.#i32[r + (REC_PC_HI >> 2)] = hi;
    return block;
  }

  /** Instructions of `#block` up to the first that may write memory. */
  #insnsToStore(): number {
    const k = this.#block;
    let insns = 0;
    for (let i = 0; i < k.length; i++) {
      if (k.op[i] === INSN) insns++;
      else if ((OPS[k.op[i]].effects & (STORES | CALLS)) !== 0) break;
    }
    return insns;
  }

  /** Translates a block of a region again: {@linkcode Retranslate}. */
  readonly retranslate: Retranslate = (b, pcLo, ir, builder, facts) => {
    const f = this.#frontend;
    const host = this.#mmu.hostOf(b.physical);
    if (host < 0) return undefined;
    this.#fetchSource(b.physical, host);
    const c = this.#context;
    this.#knownSecond = b.secondPage;
    if (b.mutable.length > 0) {
      this.#patched = b;
      this.#blockStart = host + (b.physical % PAGE);
    }
    c.pcLo = pcLo;
    c.pcHi = b.pcHi;
    c.key = b.key;
    c.maxInsns = b.insns;
    c.entryFacts = facts;
    c.exitFacts = -1;
    c.wantsFacts = false;
    c.builder = builder;
    c.compiled = true;
    builder.start(ir, pcLo, b.pcHi);
    try {
      f.translate(c);
    } finally {
      this.#knownSecond = -1;
      this.#patched = undefined;
      c.compiled = false;
      c.builder = this.#builder;
    }
    return ir.insns === b.insns ? c : undefined;
  };
}
