/**
 * The compiled regions of a CPU: where they stand in the function table, when
 * one is compiled, and when one is to be compiled anew because the way in which
 * it looks accesses up does not suit them.
 *
 * A region that dies keeps its number until nothing runs: the function that
 * came back last may be its own.
 *
 * @module
 */

import type { Frontend } from "../cpu/frontend.ts";
import type { SoftMmu } from "../mmu/soft_mmu.ts";
import type { Block, BlockCache, Region } from "../translate/block_cache.ts";
import { MAX_BACKOFF, NEVER_HOT } from "../translate/block_translator.ts";
import {
  OFF_FAULT_REGION,
  OFF_TARGET,
  REC_BLOCK,
  REC_COUNT,
  TABLE_REGIONS,
} from "./layout.ts";
import {
  LOOK_NARROW,
  LOOK_ONCE,
  LOOK_TWICE,
  type Lookups,
} from "./region_accesses.ts";
import type { RegionCompiler } from "./region_compiler.ts";
import { type RegionFunction, warmUp } from "./warm_up.ts";

/**
 * Guest instructions from one execution to the next with which a block is in
 * use now: what a kernel does for each page that a program writes, what a
 * compiler does for each word. Such a block is compiled after the threshold;
 * one that is executed as often in the course of a day asks for `PATIENCE`
 * times that. V8's optimising compiler, in its threads, is what a low threshold
 * pays for: with 1,500 executions for all, a boot's regions are a half more and
 * tcc takes 1.3 times the time. Against 5,000 for all, CPU time of the guest's
 * thread, medians of three or four runs on a busy host where the first 1,500
 * were not timed yet: the first 160 MB written to a disk 0.87, a boot 0.95, awk
 * 0.8, tcc 0.87, 500 forks 0.9; with 500 at the same pace 0.8, 1.03, 0.97, 0.95,
 * 1.0. On a quiet host, with the first ones timed but regions that still took
 * in colder blocks: 160 MB to virtio 0.93, 64-bit awk 0.65.
 */
const PACE = 16_667;
/** Thresholds after which the slowest block is hot. */
const PATIENCE = 10 / 3;
/**
 * Passes through code whose accesses are calls after which a region is compiled
 * again. What is slow for another reason (a device, a TLB that is too small)
 * is so once more, and stays as it is then.
 */
const SLOW_PASSES = 20_000;
/**
 * What counts as so many passes for a region whose accesses stand there once:
 * to be left because a lookup failed (10 us or more, 30 while the host's caches
 * are cold), and so that it will fail again (a device, a page with code). To fill
 * an entry of the TLB is one: the other kind swaps two pages that share an entry
 * without TypeScript.
 *
 * 25 times take about what compiling it once more does. (i386 Linux: one in a
 * hundred of its 40-byte descriptors of pages lies across two pages. With 200, a
 * hundred times, dozens of regions were left some 2,800 times while 160 MB were
 * written to a disk; boots are left half as often, for ten regions more.)
 */
const LEFT_PASSES = 800;
const REFUSED_PASSES = 4_000;
/** A region takes 12 to 25 KB in V8, so that this many take up to 400 MB. */
const DEFAULT_MAX_REGIONS = 16384;

/** What the regions of a CPU are kept with. */
export interface RegionsParts {
  /** The ISA. */
  readonly frontend: Frontend;
  /** Fills the TLB for regions. */
  readonly mmu: SoftMmu;
  /** Where regions and their blocks are found. */
  readonly cache: BlockCache;
  /** Compiles them. */
  readonly compiler: RegionCompiler;
  /** Where their functions stand. */
  readonly table: WebAssembly.Table;
  /** The shared memory, as words. */
  readonly i32: Int32Array;
  /** Offset of the CPU's area. */
  readonly base: number;
  /** Executions that make a block hot. */
  readonly threshold: number;
  /** Whether they must come at a pace, or there must be more of them. */
  readonly isPaced: boolean;
  /** Regions alive at most; 16384 when absent. */
  readonly maxRegions?: number;
  /** How they look accesses up at first; `LOOK_ONCE` when absent. */
  readonly lookups?: Lookups;
  /** Makes running code come back at the next block boundary. */
  readonly attention: () => void;
}

/** The compiled regions of one CPU. */
export class Regions {
  /** Regions that were to look accesses up in another way, and exits for a failed lookup. */
  readonly counts = { doubled: 0, narrowed: 0, forbidden: 0 };

  readonly #parts: RegionsParts;
  readonly #cache: BlockCache;
  readonly #i32: Int32Array;
  readonly #maxRegions: number;
  readonly #lookups: Lookups;
  readonly #regions = new Map<number, Region>();
  /** Regions that died while their code may still be running. */
  readonly #graveyard: number[] = [];
  readonly #freeTable: number[] = [];
  #tableNext = TABLE_REGIONS;
  /** The lookup for which a region is left will fail again. */
  #refused = false;

  /** Makes those of a CPU, of which there are none yet. */
  constructor(parts: RegionsParts) {
    this.#parts = parts;
    this.#cache = parts.cache;
    this.#i32 = parts.i32;
    this.#maxRegions = parts.maxRegions ?? DEFAULT_MAX_REGIONS;
    this.#lookups = parts.lookups ?? LOOK_ONCE;
  }

  /** The region that translated code was left from; undefined if that was the interpreter. */
  get leaving(): Region | undefined {
    const id = this.#i32[(this.#parts.base + OFF_FAULT_REGION) >> 2];
    if (id === 0) return undefined;
    const region = this.#regions.get(id);
    if (region === undefined) throw new Error(`left the unknown region ${id}`);
    return region;
  }

  /**
   * A block, which is at the present program counter, was executed as often as
   * was asked, and the CPU has done so many instructions: its region is
   * compiled if it came to that fast. False: there are too many regions.
   */
  hot(block: Block, instructions: number): boolean {
    const { isPaced, threshold } = this.#parts;
    if (
      isPaced && block.region === undefined && block.deaths === 0 &&
      threshold + block.waited < threshold * PATIENCE &&
      instructions - block.asked > threshold * PACE
    ) {
      block.asked = instructions;
      this.#cache.wait(block, threshold);
      return true;
    }
    return this.#compile(block);
  }

  /**
   * Forms and compiles the region that starts with a hot block, which is at the
   * present program counter; false: there are too many.
   */
  #compile(entry: Block): boolean {
    const { compiler, frontend, table } = this.#parts;
    this.#cache.setCount(entry, NEVER_HOT);
    if (!entry.valid || entry.region !== undefined) return true;
    const alive = this.#regions.size - this.#graveyard.length;
    if (alive >= this.#maxRegions) return false;
    if (entry.lookups < this.#lookups) entry.lookups = this.#lookups;
    const tableIndex = this.#freeTable.pop() ?? this.#tableNext++;
    if (tableIndex >= table.length) table.grow(table.length);
    // (Where program counters have 64 bits: of linear addresses.)
    const pcBase = frontend.wide(entry.key)
      ? frontend.linear(frontend.pcLo(), frontend.pcHi()) -
        frontend.linear(entry.pcLo, entry.pcHi)
      : (frontend.pcLo() - entry.pcLo) | 0;
    const region = compiler.compile(entry, pcBase, tableIndex);
    if (region === undefined) {
      this.#freeTable.push(tableIndex);
      return true;
    }
    this.#regions.set(region.id, region);
    this.#cache.installRegion(region);
    if (region.lookups !== LOOK_NARROW) {
      this.#cache.setCount(entry, SLOW_PASSES);
    }
    warmUp(table.get(tableIndex) as RegionFunction, region.codeBytes);
    return true;
  }

  /** The cache has forgotten a region, which may be running. */
  died(region: Region): void {
    const { table, threshold } = this.#parts;
    this.#graveyard.push(region.id);
    const entry = region.blocks[0];
    if (entry.valid) {
      const backoff = Math.min(entry.deaths++, MAX_BACKOFF);
      this.#cache.setCount(entry, threshold << backoff);
    }
    table.set(region.tableIndex, table.get(0));
    this.#freeTable.push(region.tableIndex);
  }

  /** No translated code runs: regions that have died are forgotten. */
  bury(): void {
    if (this.#graveyard.length === 0) return;
    for (const id of this.#graveyard) this.#regions.delete(id);
    this.#graveyard.length = 0;
  }

  /** The TLB was filled for a region: what `SoftMmu.refill` gave, but 3 whenever the region is to be left. */
  refill(result: number, record: number): number {
    this.#refused = result === 4;
    if (this.#refused) return 3;
    if (result !== 1 && result !== 3) this.#pass(record, 1);
    return result;
  }

  /** A region was left because a lookup failed. */
  forbidden(): void {
    const { base, frontend, mmu } = this.#parts;
    const region = this.leaving!;
    const entry = region.blocks[0];
    const isFlat = frontend.flat(entry.key);
    // Without paging it may have the permission now.
    if (isFlat && mmu.allowFlat(this.#i32[(base + OFF_TARGET) >> 2])) return;
    this.counts.forbidden++;
    if (!region.valid) return;
    const isRefused = this.#refused || isFlat;
    this.#pass(entry.record, isRefused ? REFUSED_PASSES : LEFT_PASSES);
  }

  /** Takes down what is left to a region until it is compiled anew. */
  #pass(record: number, passes: number): void {
    const count = (record + REC_COUNT) >> 2;
    const left = this.#i32[count] - passes;
    this.#i32[count] = left;
    if (left <= 0 && left + passes > 0) this.narrow(record);
  }

  /**
   * A region, by its entry's record, does so many accesses by calls, or is left
   * so often for want of a permission, that it is to look accesses up in
   * another way. It may be running, and run on for some accesses more.
   */
  narrow(record: number): void {
    const entry = this.#cache.block(this.#i32[(record + REC_BLOCK) >> 2]);
    const { region } = entry;
    if (region !== undefined) {
      if (region.lookups === LOOK_ONCE) {
        this.counts.doubled++;
        entry.lookups = LOOK_TWICE;
      } else {
        this.counts.narrowed++;
        entry.lookups = LOOK_NARROW;
      }
      this.#cache.killRegion(region);
    }
    this.#cache.setCount(entry, 1);
    this.#parts.attention();
  }
}
