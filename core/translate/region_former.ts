/**
 * Region forming: which blocks go into one function, and their IR.
 *
 * A region is the hot blocks reachable from its entry by static jumps on the
 * entry's page. They are translated once more, because a frontend can do better
 * when it knows how control came: what all predecessors agree on at their ends
 * (the *facts*; on x86 the operation of the lazy flags) is known at a block's
 * start.
 *
 * @module
 */

import type { Frontend } from "../cpu/frontend.ts";
import { REC_COUNT } from "../exec/layout.ts";
import { IrBlock, TERM_BRANCH, TERM_JUMP } from "../ir/block.ts";
import { IrBuilder } from "../ir/builder.ts";
import { Liveness } from "../ir/passes/liveness.ts";
import { analyse, type Structure } from "../wasm/structure.ts";
import type { Block, BlockCache } from "./block_cache.ts";

/** Blocks of a region at most. */
const MAX_BLOCKS = 32;
/** Guest instructions of a region at most. */
const MAX_INSNS = 300;

/**
 * Translates a block again, into `ir`, with what is known at its start; gives
 * the facts at its end, or undefined if it is not the same block any more.
 */
export type Retranslate = (
  block: Block,
  ir: IrBlock,
  builder: IrBuilder,
  entryFacts: number,
) => { readonly exitFacts: number; readonly wantsFacts: boolean } | undefined;

/** A region before it is compiled. Its arrays are used again for the next. */
export interface FormedRegion {
  /** The blocks; the first is the entry. A block may stand twice. */
  readonly blocks: readonly Block[];
  /** The IR of each block, after dead code elimination. */
  readonly ir: readonly IrBlock[];
  /** The uses of each block's values. */
  readonly liveness: readonly Liveness[];
  /** Control flow: successors in the order taken, other; -1 for outside. */
  readonly structure: Structure;
}

/** Forms regions for one frontend. */
export class RegionFormer {
  readonly #frontend: Frontend;
  readonly #i32: Int32Array;
  readonly #threshold: number;
  readonly #builder: IrBuilder;
  readonly #ir: IrBlock[] = [];
  readonly #liveness: Liveness[] = [];
  readonly #exitFacts: number[] = [];
  readonly #wantsFacts: boolean[] = [];
  #blocks: Block[] = [];
  #targets: number[][] = [];

  /** A former that reads the records' counts through `i32`; `threshold` executions make a block hot. */
  constructor(frontend: Frontend, i32: Int32Array, threshold: number) {
    this.#frontend = frontend;
    this.#i32 = i32;
    this.#threshold = threshold;
    this.#builder = new IrBuilder(new IrBlock(frontend.globals));
  }

  /** The region of a hot block; undefined if its bytes have changed. */
  form(
    entry: Block,
    cache: BlockCache,
    retranslate: Retranslate,
  ): FormedRegion | undefined {
    if (!this.#collect(entry, cache, retranslate)) return undefined;
    this.#propagateFacts(retranslate);
    this.#peelEntry(retranslate);
    const structure = analyse(this.#targets);
    // Every global is live at a block's end. To call those dead that all
    // successors overwrite saved nothing that could be measured (locals are
    // values to V8, not stores), and an interrupt between two blocks would
    // show the guest's handler flags and registers of long ago.
    for (const n of structure.order) {
      this.#liveness[n].run(this.#ir[n], this.#frontend.helpers);
    }
    return {
      blocks: this.#blocks,
      ir: this.#ir,
      liveness: this.#liveness,
      structure,
    };
  }

  /** The hot blocks reachable from `entry` by static jumps on its page. */
  #collect(entry: Block, cache: BlockCache, retranslate: Retranslate): boolean {
    this.#blocks = [];
    this.#targets = [];
    const index = new Map<Block, number>();
    let insns = 0;
    const add = (b: Block): number => {
      const known = index.get(b);
      if (known !== undefined) return known;
      const i = this.#blocks.length;
      if (i >= MAX_BLOCKS || insns + b.insns > MAX_INSNS) return -1;
      if (this.#ir.length <= i) {
        this.#ir.push(new IrBlock(this.#frontend.globals));
        this.#liveness.push(new Liveness(this.#frontend.globals.length));
      }
      const result = retranslate(b, this.#ir[i], this.#builder, -1);
      if (result === undefined) return -1;
      this.#exitFacts[i] = result.exitFacts;
      this.#wantsFacts[i] = result.wantsFacts;
      insns += b.insns;
      index.set(b, i);
      this.#blocks.push(b);
      this.#targets.push([]);
      return i;
    };
    if (add(entry) < 0) return false;
    for (let i = 0; i < this.#blocks.length; i++) {
      const b = this.#blocks[i];
      const k = this.#ir[i];
      const successor = (lo: number, hi: number): number => {
        const at = (b.physical % 4096) + ((lo - b.pcLo) | 0);
        if (at < 0 || at >= 4096 || hi !== b.pcHi) return -1;
        const t = cache.find(
          b.physical - (b.physical % 4096) + at,
          lo,
          hi,
          b.key,
        );
        if (t === undefined || t.secondPage >= 0) return -1;
        // Only what runs often enough is worth compiling.
        if (
          index.get(t) === undefined && t.region === undefined &&
          this.#executions(t) < this.#threshold >> 6
        ) return -1;
        return add(t);
      };
      if (k.term === TERM_JUMP) {
        this.#targets[i].push(successor(k.takenLo, k.takenHi));
      } else if (k.term === TERM_BRANCH) {
        this.#targets[i].push(
          successor(k.takenLo, k.takenHi),
          successor(k.otherLo, k.otherHi),
        );
      }
    }
    return true;
  }

  /**
   * Translates blocks again whose predecessors, all in the region, agree on
   * what is known at their ends. It starts from "nothing is known", so every
   * round is sound; what a block passes on may reach its successors in the
   * second.
   */
  #propagateFacts(retranslate: Retranslate): void {
    for (let round = 0; round < 2; round++) {
      const entry: number[] = this.#blocks.map((_, i) => i === 0 ? -1 : -2);
      this.#targets.forEach((targets, i) => {
        for (const t of targets) {
          if (t < 0) continue;
          if (entry[t] === -2) entry[t] = this.#exitFacts[i];
          else if (entry[t] !== this.#exitFacts[i]) entry[t] = -1;
        }
      });
      for (let i = 1; i < this.#blocks.length; i++) {
        if (entry[i] < 0 || !this.#wantsFacts[i]) continue;
        const branch = this.#ir[i].takenLo;
        const result = retranslate(
          this.#blocks[i],
          this.#ir[i],
          this.#builder,
          entry[i],
        );
        if (result === undefined) {
          throw new Error("a block changed while its region was formed");
        }
        this.#exitFacts[i] = result.exitFacts;
        this.#wantsFacts[i] = false;
        // A branch whose condition the facts decide is a jump now.
        const targets = this.#targets[i];
        if (targets.length === 2 && this.#ir[i].term === TERM_JUMP) {
          const taken = this.#ir[i].takenLo === branch;
          this.#targets[i] = [targets[taken ? 0 : 1]];
        }
      }
    }
  }

  /**
   * Where the entry is a loop's head and its back edges agree on facts that it
   * wants, the back edges get a copy of it that knows them: the entry itself is
   * also reached from elsewhere, where nothing is known. Not if that would give
   * the loop a second entry.
   */
  #peelEntry(retranslate: Retranslate): void {
    if (!this.#wantsFacts[0]) return;
    const n = this.#blocks.length;
    let facts = -2;
    this.#targets.forEach((targets, i) => {
      if (!targets.includes(0)) return;
      facts = facts === -2 || facts === this.#exitFacts[i]
        ? this.#exitFacts[i]
        : -1;
    });
    if (facts < 0 || n >= MAX_BLOCKS) return;
    const peeled = this.#targets.map((targets) =>
      targets.map((t) => t === 0 ? n : t)
    );
    peeled.push([...peeled[0]]);
    const cuts = (graph: number[][]): number =>
      graph.flat().filter((t) => t < 0).length;
    if (cuts(analyse(peeled).graph) !== cuts(peeled)) return;
    if (this.#ir.length <= n) {
      this.#ir.push(new IrBlock(this.#frontend.globals));
      this.#liveness.push(new Liveness(this.#frontend.globals.length));
    }
    const ir = this.#ir[n];
    if (
      retranslate(this.#blocks[0], ir, this.#builder, facts) === undefined
    ) throw new Error("a block changed while its region was formed");
    if (peeled[n].length === 2 && ir.term === TERM_JUMP) {
      const taken = ir.takenLo === this.#ir[0].takenLo;
      peeled[n] = [peeled[n][taken ? 0 : 1]];
    }
    this.#blocks.push(this.#blocks[0]);
    this.#targets = peeled;
  }

  #executions(b: Block): number {
    if (b.deaths > 0) return this.#threshold;
    const left = this.#i32[(b.record + REC_COUNT) >> 2];
    // After the threshold the count starts again from a large number.
    return left > 0x3fffffff
      ? 0x7fffffff - left + this.#threshold
      : this.#threshold - left;
  }
}
