/**
 * Region forming: which blocks go into one function, and their IR.
 *
 * A region is the hot blocks that control reaches from its entry: by jumps, on
 * the entry's page and on others; by calls, whose callee is taken in if it also
 * comes back; by computed jumps, to where the interpreter's profile saw them
 * go. A return goes to where the region's own calls of its procedure go on. That
 * of a procedure which nothing in the region calls goes to where it was seen to
 * go, so that a loop which calls a small procedure becomes one region even if
 * the procedure was hot first.
 *
 * Blocks are translated once more, because a frontend can do better when it
 * knows how control came: what all predecessors agree on at their ends (the
 * *facts*; on x86 the operation of the lazy flags) is known at a block's start.
 *
 * @module
 */

import type { Frontend } from "../cpu/frontend.ts";
import {
  CELL_BYTES,
  CELL_PC_LO,
  PROFILE_TARGETS,
  REC_COUNT,
} from "../exec/layout.ts";
import {
  FLOW_CALL,
  FLOW_FAR,
  FLOW_PLAIN,
  FLOW_RETURN,
  IrBlock,
  TERM_BRANCH,
  TERM_INDIRECT,
  TERM_JUMP,
} from "../ir/block.ts";
import { IrBuilder } from "../ir/builder.ts";
import { Forwarding } from "../ir/passes/forward.ts";
import { I64 } from "../ir/types.ts";
import { Liveness } from "../ir/passes/liveness.ts";
import type { SoftMmu } from "../mmu/soft_mmu.ts";
import { analyse, hasCycle, type Structure } from "../wasm/structure.ts";
import type { Block, BlockCache } from "./block_cache.ts";
import { NEVER_HOT } from "./block_translator.ts";

/** Blocks of a region at most. */
const MAX_BLOCKS = 48;
/** Guest instructions of a region at most. */
const MAX_INSNS = 400;
/** Nodes of a region at most, copies of blocks counted. */
const MAX_NODES = 64;
/** Copies of a block with different facts at most. */
const MAX_COPIES = 3;
/** Targets of a call or return that a region tests for at most. */
const MAX_RETURNS = 4;
/** Of the remembered targets of a call or return, a target must be so many to count. */
const MIN_SHARE = 3;
/**
 * Blocks of a region up to which it is taken into others (a small procedure, the
 * end of a loop). Beyond, control goes over to it. In a Linux boot, taking in
 * all, 4, 0: 24,300, 8,600, 7,600 blocks compiled (3,900 different ones); CPU
 * time of all threads 16, 10.8, 9.6-12 s; entries to regions 14, 40, 52 million.
 * 2 against 4 in another run: 8.8 against 10.0 s, and nothing between them in
 * benchmarks.
 */
const SMALL_REGION = 2;
/**
 * A _leaf_: a procedure of up to so many blocks and instructions that calls
 * nothing. It is taken in where it is called even if a large region starts with
 * it, one that was formed for another caller's loop. (Of 420 entries to regions
 * for each page that Linux writes to a disk, 43 were to the two procedures of
 * RCU's sections alone; 298 are left.)
 */
const LEAF_BLOCKS = 3, LEAF_INSNS = 24;
/**
 * Of the executions that make a block hot, another block must have had one in so
 * many to be taken in, 75 of 1,500 (23 of them: gzip 1.38, awk 1.1; 310:
 * quicksort 1.3).
 */
const WARM_SHARE = 20;
/**
 * Work of the blocks of a region without a loop until now that pays for
 * compiling it, for each execution that makes a block hot: guest instructions,
 * and `BLOCK_WORK` more for each block. Half of the regions of a Linux boot and
 * of 500 forks were one or two blocks of ten instructions between two other
 * regions; to enter such a one takes as long as to interpret it, and a module
 * takes 0.4 ms or more. Half of it or three times as much were no better. A
 * loop does not wait: which of its blocks is hot first says where it is entered
 * (with a wait a guest took 2.4 times as long, because its loop was compiled
 * from the middle, and again from other blocks of it).
 */
const WORTH_COMPILING = 60;
/** What going over to a block is, in instructions interpreted. */
const BLOCK_WORK = 3;
/** With a lower threshold everything that is hot is compiled: for tests. */
const LOWEST_TO_WAIT = 100;
const PAGE = 4096;

/**
 * Translates a block again as if it stood at `pcLo`, into `ir`, with what is
 * known at its start; gives the facts at its end, or undefined if it is not the
 * same block any more.
 */
export type Retranslate = (
  block: Block,
  pcLo: number,
  ir: IrBlock,
  builder: IrBuilder,
  entryFacts: number,
) => { readonly exitFacts: number; readonly wantsFacts: boolean } | undefined;

/** A region before it is compiled. Its arrays are used again for the next. */
export interface FormedRegion {
  /** The blocks; the first is the entry. A block may stand twice. */
  readonly blocks: readonly Block[];
  /**
   * Low half of each one's program counter, less the base with which control
   * enters the region. On the entry's page that is the block's own; on another
   * page it differs as the two pages' bases do.
   */
  readonly pcs: readonly number[];
  /** The IR of each block, after dead code elimination. */
  readonly ir: readonly IrBlock[];
  /** The uses of each block's values. */
  readonly liveness: readonly Liveness[];
  /**
   * Control flow: successors, -1 for outside. Of a branch: taken, other; of a
   * computed jump: any number of blocks where it may go.
   */
  readonly structure: Structure;
}

/** What a former works with. */
export interface RegionFormerParts {
  /** The ISA. */
  readonly frontend: Frontend;
  /** Finds the pages of blocks elsewhere. */
  readonly mmu: SoftMmu;
  /** The blocks. */
  readonly cache: BlockCache;
  /** The shared memory, as words: the records' counts and the profiles. */
  readonly i32: Int32Array;
  /** Executions that make a block hot. */
  readonly threshold: number;
  /** Translates a block again. */
  readonly retranslate: Retranslate;
}

/** Forms regions for one frontend. */
export class RegionFormer {
  readonly #frontend: Frontend;
  readonly #mmu: SoftMmu;
  readonly #cache: BlockCache;
  readonly #i32: Int32Array;
  readonly #threshold: number;
  readonly #retranslate: Retranslate;
  readonly #builder: IrBuilder;
  readonly #ir: IrBlock[] = [];
  readonly #liveness: Liveness[] = [];
  readonly #forwarding = new Forwarding();
  readonly #exitFacts: number[] = [];
  readonly #wantsFacts: boolean[] = [];
  readonly #index = new Map<Block, number>();
  /** The blocks of leaves that are called. */
  readonly #leaves = new Set<Block>();
  /** By calls whose callee is in the region: the nodes where they go on, or -1. */
  readonly #backs = new Map<number, number>();
  #blocks: Block[] = [];
  #pcs: number[] = [];
  #pcBase = 0;
  #targets: number[][] = [];
  #insns = 0;

  /** Makes the former of a CPU. */
  constructor(parts: RegionFormerParts) {
    this.#frontend = parts.frontend;
    this.#mmu = parts.mmu;
    this.#cache = parts.cache;
    this.#i32 = parts.i32;
    this.#threshold = parts.threshold;
    this.#retranslate = parts.retranslate;
    this.#builder = new IrBuilder(new IrBlock(parts.frontend.globals));
  }

  /**
   * The region of a hot block; undefined if its bytes have changed, or if it has
   * too little work: then the block is to become hot once more. The CPU is in
   * the block's mode and at it, which gives `pcBase`. With `isMemory`, its
   * accesses are to memory, or control leaves it before they are done.
   */
  form(
    entry: Block,
    pcBase: number,
    isMemory: boolean,
  ): FormedRegion | undefined {
    this.#pcBase = pcBase;
    if (!this.#collect(entry)) return undefined;
    if (this.#isPremature(entry)) return undefined;
    this.#prune();
    this.#propagateFacts();
    this.#splitByFacts();
    const structure = analyse(this.#targets);
    // Every global is live at a block's end. To call those dead that all
    // successors overwrite saved nothing that could be measured (locals are
    // values to V8, not stores), and an interrupt between two blocks would
    // show the guest's handler flags and registers of long ago.
    for (const n of structure.order) {
      if (isMemory) this.#forwarding.run(this.#ir[n]);
      this.#liveness[n].run(this.#ir[n], this.#frontend.helpers);
    }
    return {
      blocks: this.#blocks,
      pcs: this.#pcs,
      ir: this.#ir,
      liveness: this.#liveness,
      structure,
    };
  }

  /**
   * The node of a block at a program counter, made if there is room; -1 if
   * there is none, or if the block is already here at another place.
   */
  #add(b: Block, pcLo: number): number {
    const known = this.#index.get(b);
    if (known !== undefined) return this.#pcs[known] === pcLo ? known : -1;
    const i = this.#blocks.length;
    if (i >= MAX_BLOCKS || this.#insns + b.insns > MAX_INSNS) return -1;
    this.#room(i);
    const ir = this.#ir[i];
    const result = this.#retranslate(b, pcLo, ir, this.#builder, -1);
    if (result === undefined) return -1;
    this.#exitFacts[i] = result.exitFacts;
    this.#wantsFacts[i] = result.wantsFacts;
    this.#insns += b.insns;
    this.#index.set(b, i);
    this.#blocks.push(b);
    this.#pcs.push(pcLo);
    this.#targets.push([]);
    return i;
  }

  #room(nodes: number): void {
    while (this.#ir.length <= nodes) {
      this.#ir.push(new IrBlock(this.#frontend.globals));
      this.#liveness.push(new Liveness(this.#frontend.globals.length));
    }
  }

  /** The block at a program counter that control reaches from a node, if it is hot enough to be compiled. */
  #successor(node: number, lo: number, hi: number): Block | undefined {
    const b = this.#blocks[node];
    if (hi !== b.pcHi) return undefined;
    const at = (b.physical % PAGE) + ((lo - this.#pcs[node]) | 0);
    const f = this.#frontend;
    const physical = at >= 0 && at < PAGE && b.secondPage < 0
      ? b.physical - (b.physical % PAGE) + at
      : this.#mmu.peekFetch(
        f.wide(b.key)
          ? f.linear(lo, hi) + this.#pcBase
          : f.linear((lo + this.#pcBase) | 0, hi),
        f.fetchMmu(),
      );
    if (physical < 0) return undefined;
    const pc = f.relocatable(b.key) ? physical | 0 : lo;
    const t = this.#cache.find(physical, pc, hi, b.key);
    if (t === undefined || this.#index.has(t)) return t;
    const worth = t.region === undefined
      ? this.#isWarm(t)
      : t.region.blocks.length <= SMALL_REGION || this.#leaves.has(t) ||
        b.flow === FLOW_CALL && lo === this.#ir[node].takenLo &&
          this.#isLeaf(t);
    return worth ? t : undefined;
  }

  #isWarm(b: Block): boolean {
    return this.#executions(b) * WARM_SHARE >= this.#threshold;
  }

  /** Whether a leaf starts with a block, whose blocks are then to be taken in. */
  #isLeaf(entry: Block): boolean {
    const blocks = new Set([entry]);
    let insns = 0;
    for (const b of blocks) {
      insns += b.insns;
      if (insns > LEAF_INSNS || blocks.size > LEAF_BLOCKS) return false;
      if (b.term === TERM_INDIRECT && b.flow === FLOW_RETURN) continue;
      const jumps = b.term === TERM_BRANCH ? 2 : b.term === TERM_JUMP ? 1 : 0;
      if (jumps === 0 || b.flow === FLOW_CALL) return false;
      for (let i = 0; i < jumps; i++) {
        const lo = this.#i32[(b.cells + i * CELL_BYTES + CELL_PC_LO) >> 2];
        if (!b.isNear(lo, b.pcHi)) return false;
        const physical = b.physical + ((lo - b.pcLo) | 0);
        const t = this.#cache.find(physical, lo, b.pcHi, b.key);
        if (t === undefined) continue;
        if (t.region !== undefined || this.#isWarm(t)) blocks.add(t);
      }
    }
    for (const b of blocks) this.#leaves.add(b);
    return true;
  }

  /** The node of a successor, or -1. */
  #node(from: number, lo: number, hi: number): number {
    const t = this.#successor(from, lo, hi);
    return t === undefined ? -1 : this.#add(t, lo);
  }

  /**
   * Collects blocks: jumps first, breadth first; then, as there is room, call
   * by call, each callee with all that it jumps to; at last where returns and
   * indirect calls were seen to go.
   */
  #collect(entry: Block): boolean {
    this.#blocks = [];
    this.#pcs = [];
    this.#targets = [];
    this.#index.clear();
    this.#leaves.clear();
    this.#backs.clear();
    this.#insns = 0;
    if (this.#add(entry, entry.pcLo) < 0) return false;
    const calls: number[] = [];
    const computed: number[] = [];
    for (let i = 0;;) {
      for (; i < this.#blocks.length; i++) {
        const k = this.#ir[i];
        if (k.term === TERM_JUMP && k.flow === FLOW_CALL) calls.push(i);
        else if (k.term === TERM_INDIRECT && k.flow !== FLOW_PLAIN) {
          computed.push(i);
        } else this.#follow(i);
      }
      const call = calls.shift();
      if (call !== undefined) {
        const k = this.#ir[call];
        const callee = this.#node(call, k.takenLo, k.takenHi);
        this.#targets[call] = [callee];
        this.#goOn(call);
        continue;
      }
      // What was seen comes last: the returns of the calls within are known
      // by then, and nothing else may take their room.
      const jump = computed.shift();
      if (jump === undefined) break;
      if (this.#ir[jump].flow !== FLOW_RETURN || this.#leadsOut(jump)) {
        this.#targets[jump] = this.#seen(jump, MIN_SHARE, MAX_RETURNS);
      }
      if (this.#ir[jump].flow === FLOW_CALL) this.#goOn(jump);
    }
    this.#joinReturns();
    return true;
  }

  /** Takes in where a call goes on whose callee was taken in. */
  #goOn(call: number): void {
    if (!this.#targets[call].some((t) => t >= 0)) return;
    const { returnLo } = this.#ir[call];
    this.#backs.set(call, this.#node(call, returnLo, this.#blocks[call].pcHi));
  }

  /**
   * Whether a return is of the procedure that the region starts in, or of one
   * that called it. Of a procedure that is called in the region it would only
   * bring in what follows calls elsewhere.
   */
  #leadsOut(jump: number): boolean {
    const frame = new Set([0]);
    for (const n of frame) {
      const back = this.#backs.get(n);
      const next = back === undefined ? this.#targets[n] : [back];
      for (const t of next) if (t >= 0) frame.add(t);
    }
    return frame.has(jump);
  }

  /** Takes in where a block jumps to. */
  #follow(i: number): void {
    const k = this.#ir[i];
    if (k.term === TERM_JUMP) {
      this.#targets[i] = [this.#node(i, k.takenLo, k.takenHi)];
    } else if (k.term === TERM_BRANCH) {
      this.#targets[i] = [
        this.#node(i, k.takenLo, k.takenHi),
        this.#node(i, k.otherLo, k.otherHi),
      ];
    } else if (k.term === TERM_INDIRECT) {
      this.#targets[i] = this.#seen(i, 1, PROFILE_TARGETS);
    }
  }

  /** The nodes where a computed jump was seen to go `share` times or more, most frequent first. */
  #seen(i: number, share: number, most: number): number[] {
    const b = this.#blocks[i];
    // Where program counters have 32 bits, one of 64 leads to another mode.
    const k = this.#ir[i];
    const isWide = k.typeOf(k.termValue) === I64;
    if (
      b.profile === 0 || k.flow === FLOW_FAR ||
      isWide && !this.#frontend.wide(b.key)
    ) return [];
    const counts = new Map<number, number>();
    const at = b.profile >> 2;
    for (const lo of this.#i32.subarray(at, at + PROFILE_TARGETS)) {
      counts.set(lo, (counts.get(lo) ?? 0) + 1);
    }
    // An empty place of the ring holds 0.
    counts.delete(0);
    const nodes: number[] = [];
    const sorted = [...counts].sort((x, y) => y[1] - x[1]);
    const moved = this.#pcs[i] - b.pcLo;
    for (const [lo, count] of sorted) {
      if (count < share || nodes.length >= most) break;
      const t = this.#node(i, (lo + moved) | 0, b.pcHi);
      if (t >= 0 && !nodes.includes(t)) nodes.push(t);
    }
    return nodes;
  }

  /** Lets the returns of each procedure that is called in the region go to where the calls go on. */
  #joinReturns(): void {
    for (const [call, back] of this.#backs) {
      this.#targets[call] = this.#targets[call].map((callee) => {
        if (callee < 0) return -1;
        const returns = back < 0 ? [] : this.#returnsOf(callee);
        for (const r of returns) {
          const targets = this.#targets[r];
          if (targets.includes(back)) continue;
          if (targets.length < 2 * MAX_RETURNS) targets.push(back);
        }
        // A callee that does not come back here (it is too large, or returns
        // where it is not hot) would only be a copy of its code.
        return returns.length > 0 || callee <= call ? callee : -1;
      });
    }
  }

  /** The nodes at which the procedure that starts with a node returns. */
  #returnsOf(callee: number): number[] {
    const seen = new Set([callee]);
    const returns: number[] = [];
    for (const n of seen) {
      const k = this.#ir[n];
      if (k.term === TERM_INDIRECT && k.flow === FLOW_RETURN) returns.push(n);
      else if (k.flow === FLOW_CALL) {
        const back = this.#backs.get(n) ?? -1;
        if (back >= 0) seen.add(back);
      } else {
        for (const t of this.#targets[n]) if (t >= 0) seen.add(t);
      }
    }
    return returns;
  }

  /** Takes out what nothing leads to. */
  #prune(): void {
    const reached = new Set([0]);
    for (const n of reached) {
      for (const t of this.#targets[n]) if (t >= 0) reached.add(t);
    }
    if (reached.size === this.#blocks.length) return;
    const number = new Map<number, number>();
    for (const n of [...reached].sort((a, b) => a - b)) {
      number.set(n, number.size);
    }
    const old = this.#ir.slice(0, this.#blocks.length);
    const spare = old.filter((_, n) => !number.has(n));
    const kept = [...number.keys()];
    this.#ir.splice(
      0,
      old.length,
      ...kept.map((n) => old[n]),
      ...spare,
    );
    for (const [n, m] of number) {
      this.#exitFacts[m] = this.#exitFacts[n];
      this.#wantsFacts[m] = this.#wantsFacts[n];
    }
    this.#targets = kept.map((n) =>
      this.#targets[n].map((t) => t < 0 ? -1 : number.get(t)!)
    );
    this.#blocks = kept.map((n) => this.#blocks[n]);
    this.#pcs = kept.map((n) => this.#pcs[n]);
  }

  /**
   * Translates blocks again whose predecessors, all in the region, agree on
   * what is known at their ends. It starts from "nothing is known", so every
   * round is sound; what a block passes on may reach its successors in the
   * second.
   */
  #propagateFacts(): void {
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
        const result = this.#retranslate(
          this.#blocks[i],
          this.#pcs[i],
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
   * Gives copies of a block that wants facts to predecessors that disagree, one
   * for each of their facts: a loop's back edges, say, get a head that knows
   * them, while it is also reached from elsewhere. Not if that would give a
   * loop a second entry.
   */
  #splitByFacts(): void {
    const count = this.#blocks.length;
    for (let n = 0; n < count; n++) {
      if (!this.#wantsFacts[n]) continue;
      const sources = new Map<number, number[]>();
      this.#targets.forEach((targets, i) => {
        if (!targets.includes(n)) return;
        const facts = this.#exitFacts[i];
        const list = sources.get(facts);
        if (list === undefined) sources.set(facts, [i]);
        else list.push(i);
      });
      let copies = 0;
      for (const [facts, from] of sources) {
        if (facts < 0) continue;
        if (++copies > MAX_COPIES || this.#blocks.length >= MAX_NODES) break;
        this.#split(n, facts, from);
      }
    }
    // What only the copies are reached by is gone.
    this.#prune();
  }

  /** Lets the nodes `from` go to a copy of node n that knows their facts. */
  #split(n: number, facts: number, from: readonly number[]): void {
    const copy = this.#blocks.length;
    const graph = this.#targets.map((targets, i) =>
      from.includes(i) ? targets.map((t) => t === n ? copy : t) : targets
    );
    // A block that goes to itself: its copy goes to what it went to.
    graph.push([...graph[n]]);
    const cuts = (g: readonly (readonly number[])[]): number =>
      g.flat().filter((t) => t < 0).length;
    const analysed = analyse(graph);
    if (cuts(analysed.graph) !== cuts(graph)) return;
    this.#room(copy);
    const ir = this.#ir[copy];
    const result = this.#retranslate(
      this.#blocks[n],
      this.#pcs[n],
      ir,
      this.#builder,
      facts,
    );
    if (result === undefined) {
      throw new Error("a block changed while its region was formed");
    }
    if (graph[copy].length === 2 && ir.term === TERM_JUMP) {
      const taken = ir.takenLo === this.#ir[n].takenLo;
      graph[copy] = [graph[copy][taken ? 0 : 1]];
    }
    this.#exitFacts[copy] = result.exitFacts;
    this.#wantsFacts[copy] = false;
    this.#blocks.push(this.#blocks[n]);
    this.#pcs.push(this.#pcs[n]);
    this.#targets = graph;
  }

  #executions(b: Block): number {
    if (b.deaths > 0) return this.#threshold;
    const left = this.#i32[(b.record + REC_COUNT) >> 2];
    const asked = this.#threshold + b.waited;
    // After the threshold the count starts again from a large number. What was
    // forgotten often is asked for more than the threshold.
    return left > 0x3fffffff
      ? NEVER_HOT - left + asked
      : Math.max(asked - left, 0);
  }

  /** The collected blocks have done too little; if so, sets when to look again. */
  #isPremature(entry: Block): boolean {
    if (this.#threshold < LOWEST_TO_WAIT || entry.deaths > 0) return false;
    let work = 0;
    for (const b of this.#blocks) {
      work += this.#executions(b) * (b.insns + BLOCK_WORK);
    }
    const asked = WORTH_COMPILING * this.#threshold;
    if (work >= asked || hasCycle(this.#targets)) return false;
    const executions = this.#executions(entry);
    this.#cache.wait(entry, Math.ceil(executions * (asked / work - 1)));
    return true;
  }
}
