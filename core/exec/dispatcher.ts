/**
 * The dispatcher: enters translated code, and does what the reason says with
 * which that comes back: a link that leads nowhere yet, a fault, a hot block,
 * the end of the budget.
 *
 * @module
 */

import {
  EXIT_BUDGET,
  EXIT_FAULT,
  EXIT_FORBIDDEN,
  EXIT_HALT,
  EXIT_HOT,
  EXIT_INDIRECT,
  EXIT_LOOKUP,
  EXIT_MODIFIED,
  EXIT_TRAP,
  EXIT_UNLINKED,
  type Frontend,
} from "../cpu/frontend.ts";
import type { CpuExit } from "../machine/cpu.ts";
import type { SoftMmu } from "../mmu/soft_mmu.ts";
import type { Block, BlockCache } from "../translate/block_cache.ts";
import {
  type BlockTranslator,
  NEVER_HOT,
} from "../translate/block_translator.ts";
import type { BlockLinks } from "./block_links.ts";
import type { EngineDebug } from "./engine_debug.ts";
import type { ExitPoints } from "./exit_points.ts";
import type { JumpModes } from "./jump_modes.ts";
import {
  CELL_PC_LO,
  OFF_FAULT_REGION,
  OFF_HALTED,
  OFF_LINK,
  OFF_RECORD,
  OFF_TARGET,
  OFF_TRAP,
  REC_BLOCK,
  REC_INSNS,
  REC_PC_LO,
} from "./layout.ts";
import type { Regions } from "./regions.ts";
import type { RunBudget } from "./run_budget.ts";
import type { Statistics } from "./statistics.ts";

/**
 * Faults in one run after which it ends: a guest whose handler faults at its
 * first instruction executes none, and would never use up a budget.
 */
const MAX_FAULTS = 10_000;

/** What runs a CPU's code. */
export interface DispatcherParts {
  /** The ISA. */
  readonly frontend: Frontend;
  /** The CPU's MMU. */
  readonly mmu: SoftMmu;
  /** Its blocks. */
  readonly cache: BlockCache;
  /** Makes them. */
  readonly translator: BlockTranslator;
  /** Finds and links them. */
  readonly links: BlockLinks;
  /** Its jump cache. */
  readonly jumps: JumpModes;
  /** Its regions. */
  readonly regions: Regions;
  /** Where they and blocks are left. */
  readonly exits: ExitPoints;
  /** Enters translated code through the word that `OFF_LINK` says; gives the reason why it was left. */
  readonly enter: (cpu: number) => number;
  /** The shared memory, as words. */
  readonly i32: Int32Array;
  /** Offset of the CPU's area. */
  readonly base: number;
  /** The instructions that it has executed, and may. */
  readonly budget: RunBudget;
  /** The counters. */
  readonly statistics: Statistics;
  /** Whether hot blocks are compiled. */
  readonly compiles: boolean;
  /** Executions that make a block hot. */
  readonly threshold: number;
  /** Whether a run stops exactly at the end of its budget. */
  readonly exact: boolean;
}

/** Runs the code of one CPU. */
export class Dispatcher {
  /** See `CpuCore.quiet`. */
  quiet = false;
  /** Translations are forgotten before the next block. */
  flushSoon = false;
  /** The debugging part of the engine, once there is one. */
  debug: EngineDebug | undefined;
  readonly #frontend: Frontend;
  readonly #mmu: SoftMmu;
  readonly #cache: BlockCache;
  readonly #translator: BlockTranslator;
  readonly #links: BlockLinks;
  readonly #jumps: JumpModes;
  readonly #regions: Regions;
  readonly #exits: ExitPoints;
  readonly #enter: (cpu: number) => number;
  readonly #i32: Int32Array;
  readonly #base: number;
  readonly #budget: RunBudget;
  readonly #statistics: Statistics;
  readonly #counts: Statistics["counts"];
  readonly #compiles: boolean;
  readonly #threshold: number;
  readonly #exact: boolean;
  /** Translated code runs. */
  #inCode = false;
  /** Whether translated code runs that is not an instruction alone. */
  #mayNotReach = false;
  /** It came to an instruction that reaches a device. */
  #deferred = false;

  /** Makes that of a CPU. */
  constructor(parts: DispatcherParts) {
    this.#frontend = parts.frontend;
    this.#mmu = parts.mmu;
    this.#cache = parts.cache;
    this.#translator = parts.translator;
    this.#links = parts.links;
    this.#jumps = parts.jumps;
    this.#regions = parts.regions;
    this.#exits = parts.exits;
    this.#enter = parts.enter;
    this.#i32 = parts.i32;
    this.#base = parts.base;
    this.#budget = parts.budget;
    this.#statistics = parts.statistics;
    this.#counts = parts.statistics.counts;
    this.#compiles = parts.compiles;
    this.#threshold = parts.threshold;
    this.#exact = parts.exact;
  }

  /** The CPU waits for an event: in its area, where others can see it. */
  get isHalted(): boolean {
    return this.#i32[(this.#base + OFF_HALTED) >> 2] !== 0;
  }

  set isHalted(value: boolean) {
    this.#i32[(this.#base + OFF_HALTED) >> 2] = value ? 1 : 0;
  }

  /** Whether translated code runs that is not an instruction alone. */
  get mustRunAlone(): boolean {
    return this.#inCode && !this.#links.isSingle && !this.#mmu.retries;
  }

  /**
   * An instruction is about to reach a device: whether it is to be begun again
   * alone.
   */
  defers(): boolean {
    if (!this.#mayNotReach) return false;
    return this.#deferred = true;
  }

  /** If the CPU waits: why `run` ends. */
  haltExit(): CpuExit | undefined {
    if (!this.isHalted) return undefined;
    const f = this.#frontend;
    if (!f.wakes()) return f.wakeable() ? "halted" : "dead";
    this.isHalted = false;
    return undefined;
  }

  /** Executes about `maxInstructions` (exactly, with `exact`). */
  run(maxInstructions: number): CpuExit {
    const exit = this.haltExit();
    if (exit !== undefined) return exit;
    this.#budget.begin(maxInstructions);
    const started = performance.now();
    try {
      return this.#dispatch();
    } finally {
      this.#statistics.runMs += performance.now() - started;
      this.#budget.end();
    }
  }

  #dispatch(): CpuExit {
    const f = this.#frontend;
    const i32 = this.#i32;
    const base = this.#base;
    let faults = 0;
    for (;;) {
      this.#budget.restore();
      this.#regions.bury();
      this.#links.isSingle = false;
      if (this.flushSoon) {
        this.flushSoon = false;
        this.#links.flush();
      }
      if (this.debug !== undefined) {
        const exit = this.debug.turn();
        if (exit === "again") continue;
        if (exit !== undefined) return exit;
      }
      if (this.#budget.isStopped) return "stop";
      // Before `takeSingle`, which ends an interrupt shadow.
      if (this.#budget.left <= 0 || faults > MAX_FAULTS) return "budget";
      let link = 0;
      if (f.takeSingle()) {
        link = this.#links.prepareSingle(1);
      } else {
        if (f.interruptible()) {
          this.#counts.interrupts++;
          if (!f.interrupt()) return "shutdown";
          const exit = this.debug?.entered();
          if (exit === "again") continue;
          if (exit !== undefined) return exit;
        }
        link = this.#links.link();
      }
      if (link < 0) {
        // The fetch faulted.
        faults++;
        if (!f.deliver()) return "shutdown";
        continue;
      }
      // Control may go on without new questions: EXIT_UNLINKED and
      // EXIT_INDIRECT come back here with the link to follow.
      const reason = this.#execute(link);
      if (reason === EXIT_BUDGET) {
        const { samples } = this.#statistics;
        if (i32[(base + OFF_FAULT_REGION) >> 2] !== 0) samples.region++;
        else samples.interpreter++;
        const record = i32[(base + OFF_RECORD) >> 2] >> 2;
        this.#links.setPcAt(record + (REC_PC_LO >> 2));
        this.#budget.restore();
        const left = this.#budget.left;
        if (
          left > 0 && !this.#budget.isStopped &&
          left < i32[record + (REC_INSNS >> 2)] &&
          !f.interruptible()
        ) {
          // Too little for the next block; but a run must not do nothing.
          if (!this.#exact && left < this.#budget.granted) return "budget";
          if (this.#mmu.guard !== undefined) {
            const before = this.#counts.faults;
            if (!this.#retry()) return "shutdown";
            faults += this.#counts.faults - before;
            const exit = this.haltExit();
            if (exit !== undefined) return exit;
            continue;
          }
          const single = this.#links.prepareSingle(left);
          if (single < 0) {
            faults++;
            if (!f.deliver()) return "shutdown";
            continue;
          }
          const after = this.#execute(single);
          if (this.#isFault(after)) faults++;
          if (!this.#after(after)) return "shutdown";
          const exit = this.haltExit();
          if (exit !== undefined) return exit;
        }
        continue;
      }
      if (this.#isFault(reason)) faults++;
      if (!this.#after(reason)) return "shutdown";
      const exit = this.haltExit();
      if (exit !== undefined) return exit;
    }
  }

  /** Enters translated code and follows links until there is something else to do. */
  #execute(link: number): number {
    const i32 = this.#i32;
    const base = this.#base;
    const f = this.#frontend;
    for (;;) {
      this.#counts.dispatches++;
      i32[(base + OFF_LINK) >> 2] = link;
      this.#deferred = false;
      this.#mayNotReach = !this.#links.isSingle ||
        this.#translator.singleBlock.insns > 1;
      this.#inCode = true;
      const reason = this.#enter(base);
      this.#inCode = false;
      this.#mayNotReach = false;
      if (reason === EXIT_UNLINKED) {
        this.#counts.unlinked++;
        const at = i32[(base + OFF_LINK) >> 2];
        const record = i32[at >> 2];
        const target = record === this.#cache.unlinked
          ? at + CELL_PC_LO
          : record + REC_PC_LO;
        this.#links.setPcAt(target >> 2);
        const lo = f.pcLo();
        const hi = f.pcHi();
        if (this.#links.isSingle) return this.#leaveSingle();
        // All jumps to other pages translate the target's address before they
        // stop, so that accessed bits do not tell which cells are linked.
        if (record === this.#cache.unlinked && !this.#links.isNear(at)) {
          this.#mmu.fetch(f.linear(lo, hi), f.fetchMmu());
        }
        this.#budget.restore();
        if (
          this.#budget.isStopped || this.flushSoon || this.#budget.left <= 0 ||
          f.interruptible()
        ) return EXIT_LOOKUP;
        const flushes = this.#cache.flushes;
        const block = this.#links.find(lo, hi);
        if (block === undefined) return EXIT_LOOKUP; // the outer loop meets the fault again
        if (this.#cache.flushes === flushes && !this.#links.isSingle) {
          this.#links.patch(at, block, lo, hi);
        }
        link = this.#links.enterWord(block);
        continue;
      }
      if (reason === EXIT_INDIRECT) {
        this.#counts.indirect++;
        const lo = i32[(base + OFF_TARGET) >> 2];
        const hi = i32[(base + OFF_TARGET + 4) >> 2];
        f.setPc(lo, hi);
        if (this.#links.isSingle) return this.#leaveSingle();
        this.#budget.restore();
        if (
          this.#budget.isStopped || this.flushSoon || this.#budget.left <= 0 ||
          f.interruptible()
        ) return EXIT_LOOKUP;
        const block = this.#links.find(lo, hi);
        if (block === undefined) return EXIT_LOOKUP;
        if (!this.#links.isSingle) this.#jumps.enter(block, lo, hi);
        link = this.#links.enterWord(block);
        continue;
      }
      if (reason === EXIT_HOT) {
        this.#counts.hot++;
        const record = i32[(base + OFF_RECORD) >> 2];
        const block = this.#cache.block(i32[(record + REC_BLOCK) >> 2]);
        this.#links.setPcAt((record + REC_PC_LO) >> 2);
        if (this.debug?.enters(block) === true) {
          // It comes here again when it has been executed once.
          this.#cache.setCount(block, 2);
        } else if (this.quiet) this.#cache.setCount(block, this.#threshold);
        else if (
          this.#compiles &&
          !this.#regions.hot(block, this.#budget.instructions)
        ) {
          this.flushSoon = true;
        }
        this.#budget.restore();
        if (this.flushSoon) return EXIT_LOOKUP;
        link = this.#links.enterWord(block);
        continue;
      }
      // A watched access was refused: the instruction is run alone.
      return reason === EXIT_FAULT && this.#mmu.retries
        ? EXIT_MODIFIED
        : reason;
    }
  }

  /** Whether the guest has an exception. */
  #isFault(reason: number): boolean {
    return reason === EXIT_TRAP || reason === EXIT_FAULT && !this.#deferred;
  }

  /** What follows an exit of translated code; false: the CPU shuts down. */
  #after(reason: number): boolean {
    const f = this.#frontend;
    const single = this.#links.isSingle;
    this.#links.isSingle = false;
    switch (reason) {
      case EXIT_BUDGET: {
        const record = this.#i32[(this.#base + OFF_RECORD) >> 2] >> 2;
        this.#links.setPcAt(record + (REC_PC_LO >> 2));
        return true;
      }
      case EXIT_LOOKUP:
        return true;
      case EXIT_HALT:
        this.isHalted = true;
        return true;
      case EXIT_FAULT:
        if (this.#deferred) {
          this.#deferred = false;
          this.#restoreFault(single);
          this.#budget.restore();
          return this.#runSingle(1);
        }
        this.#counts.faults++;
        this.#mmu.guard?.drop();
        this.#restoreFault(single);
        return f.deliver();
      case EXIT_TRAP:
        this.#counts.faults++;
        this.#mmu.guard?.drop();
        this.#restoreFault(single);
        f.trap(this.#i32[(this.#base + OFF_TRAP) >> 2]);
        return f.deliver();
      case EXIT_FORBIDDEN:
        return this.#finishBlock(this.#restoreFault(single));
      case EXIT_MODIFIED:
        this.#counts.modified++;
        this.#restoreFault(single);
        this.#budget.restore();
        if (this.#mmu.retries) return this.#retry();
        return this.#runSingle(1);
      default:
        throw new Error(
          `translated code returned the unknown reason ${reason}`,
        );
    }
  }

  /** Runs up to so many instructions at the program counter, the first that stores being the last; false: the CPU shuts down. */
  #runSingle(insns: number): boolean {
    const link = this.#links.prepareSingle(insns);
    if (link < 0) return this.#frontend.deliver();
    return this.#after(this.#execute(link));
  }

  /**
   * A region was left because a lookup failed, `insns` before the end of a
   * block; false: the CPU shuts down. The interpreter does those: interrupts
   * come where they would if the lookup had not failed.
   */
  #finishBlock(insns: number): boolean {
    this.#budget.restore();
    this.#regions.forbidden();
    const rest = this.#rest(insns);
    if (rest !== undefined) {
      // It comes back behind the block.
      this.#budget.keep(insns);
      const { region } = rest;
      const link = this.#links.enterWord(rest);
      if (region === undefined) return this.#after(this.#execute(link));
      const left = this.#cache.suspendRegion(region, NEVER_HOT);
      const reason = this.#execute(link);
      this.#cache.resumeRegion(region, left);
      return this.#after(reason);
    }
    const counts = this.#counts;
    const { faults } = counts;
    for (let left = insns; left > 0 && counts.faults === faults;) {
      // What they do may ask for attention: later.
      this.#budget.restore();
      const before = this.#budget.instructions;
      const isRun = this.#mmu.guard === undefined
        ? this.#runSingle(left)
        : this.#retry();
      if (!isRun) return false;
      if (this.isHalted || this.#budget.instructions === before) break;
      // What it accessed is told before the next one.
      if (this.#mmu.guard?.isHit === true) break;
      left -= this.#budget.instructions - before;
    }
    return true;
  }

  /**
   * The block that is the next so many instructions. To translate each of them
   * to run once took 4 % of a boot's time.
   */
  #rest(insns: number): Block | undefined {
    const f = this.#frontend;
    const block = this.#links.find(f.pcLo(), f.pcHi());
    const isSingle = this.#links.isSingle;
    this.#links.isSingle = false;
    return !isSingle && block?.insns === insns ? block : undefined;
  }

  /**
   * Makes the state that of the start of the instruction that left the block.
   * Returns the instructions from there to the block's end.
   */
  #restoreFault(single: boolean): number {
    this.#budget.restore();
    const insns = this.#exits.restore(
      single ? this.#translator.singleBlock : undefined,
    );
    this.#budget.left += insns;
    this.debug?.leaves(insns);
    return insns;
  }

  /**
   * For debuggers: runs one instruction, of a repeated one one element if
   * `stepping`. Gives the reason with which it was left, or -1 when the CPU
   * shuts down.
   */
  runAlone(stepping: boolean): number {
    this.#budget.restore();
    const link = this.#links.prepareSingle(1, stepping);
    if (link < 0) {
      this.#counts.faults++;
      return this.#frontend.deliver() ? EXIT_FAULT : -1;
    }
    const reason = this.#execute(link);
    return this.#after(reason) ? reason : -1;
  }

  /**
   * What ran alone has jumped. The target's address is translated, as that of
   * a jump in a block is: accessed bits do not tell why an instruction ran alone.
   */
  #leaveSingle(): number {
    const f = this.#frontend;
    this.#mmu.fetch(f.linear(f.pcLo(), f.pcHi()), f.fetchMmu());
    return EXIT_LOOKUP;
  }

  /** An instruction that was counted is not done yet. */
  uncount(): void {
    this.#budget.restore();
    this.#budget.left++;
  }

  /** Runs an instruction alone because an access of it is watched; false: the CPU shuts down. */
  #retry(): boolean {
    this.#mmu.retries = false;
    const f = this.#frontend;
    const at = f.pcLo();
    const before = this.#budget.instructions;
    if (this.runAlone(true) < 0) return false;
    const isDone = this.#translator.elements === 0 || f.pcLo() !== at;
    if (!isDone && this.#budget.instructions !== before) this.uncount();
    return true;
  }
}
