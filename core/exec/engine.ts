/**
 * The `jit` accelerator: runs a frontend's CPU with the interpreter and, for
 * hot code, with compiled regions.
 *
 * `run` is the dispatcher. It enters translated code through a record; control
 * then goes from block to block inside WebAssembly and comes back here with a
 * reason: a link that leads nowhere yet, a fault, a hot block, the end of the
 * budget. The program counter is not kept up to date in between: each reason
 * says where it can be found (a link cell, a record, the fault's instruction).
 *
 * @module
 */

import type { CpuInspector, PhysicalReader } from "../cpu/inspector.ts";
import type { CpuCore, CpuExit, EntryState } from "../machine/cpu.ts";
import { StateError, type StateRecord } from "../state/state.ts";
import {
  type CpuEngine,
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
  GUEST_FAULT,
} from "../cpu/frontend.ts";
import type { GuestMemory } from "../machine/memory.ts";
import type { PhysicalSpace } from "../mmu/physical_access.ts";
import { SoftMmu } from "../mmu/soft_mmu.ts";
import {
  ArenaFull,
  type Block,
  BlockCache,
  HIT_REGION,
  HIT_RUNNING,
} from "../translate/block_cache.ts";
import type { DebugPort } from "./debug_port.ts";
import type { EngineDebug } from "./engine_debug.ts";
import { carryOf, ExitPoints } from "./exit_points.ts";
import { helperImports } from "./helper_imports.ts";
import { InterpreterGenerator } from "./interpreter.ts";
import { JumpModes } from "./jump_modes.ts";
import {
  CELL_BLOCK,
  CELL_PC_HI,
  CELL_PC_LO,
  CELL_RECORD,
  OFF_BUDGET,
  OFF_CODE_MASKS,
  OFF_ENTER,
  OFF_FAULT_REGION,
  OFF_HALTED,
  OFF_INDEX,
  OFF_LINK,
  OFF_OWN_CODE_MASKS,
  OFF_PC_BASE,
  OFF_RECORD,
  OFF_TARGET,
  OFF_TRAP,
  REC_BLOCK,
  REC_INSNS,
  REC_KEY,
  REC_PC_LO,
  REC_PHYSICAL,
  REC_SELF,
} from "./layout.ts";
import { RegionCompiler } from "./region_compiler.ts";
import type { SharedCode } from "./shared_code.ts";
import type { Lookups } from "./region_accesses.ts";
import { Regions } from "./regions.ts";
import { Statistics } from "./statistics.ts";
import type {
  Traceable,
  TranslationObserver,
  TranslatorView,
} from "./trace.ts";
import { translatorView } from "./translator_view.ts";
import {
  BlockTranslator,
  NEVER_HOT,
  SCRATCH_BYTES,
} from "../translate/block_translator.ts";

/** How an engine is set up. */
export interface EngineOptions {
  /** The machine's memory. */
  readonly memory: GuestMemory;
  /** The physical address space. */
  readonly space: PhysicalSpace;
  /** Number of the CPU; 0 when absent. */
  readonly cpu?: number;
  /** Where there are several CPUs: what their engines know together. */
  readonly shared?: SharedCode;
  /** `jit` compiles hot blocks, `interp` never does. */
  readonly accel?: "jit" | "interp";
  /** Executions that make a block hot; when absent, `DEFAULT_THRESHOLD` at a pace. */
  readonly threshold?: number;
  /** Guest instructions in a block at most. */
  readonly maxInsns?: number;
  /** Stop exactly at the end of a budget (for `icount`). */
  readonly exact?: boolean;
  /**
   * What an instruction that reaches a device sees and leads to does not depend
   * on where blocks begin and end: it is the last one of its block. So a run
   * may be cut anywhere (to look at it, for a breakpoint) and stays the same.
   */
  readonly precise?: boolean;
  /** Compiled regions alive at most: beyond that, all translations are forgotten. */
  readonly maxRegions?: number;
  /** How regions look accesses up at first; for tests. */
  readonly lookups?: Lookups;
  /** Tags of the jump cache before they start again; for tests. */
  readonly maxJumpTags?: number;
}

/**
 * Executions that make a block hot if they come fast, one after the other
 * (`Regions.hot`).
 */
const DEFAULT_THRESHOLD = 1500;
const DEFAULT_MAX_INSNS = 64;
/**
 * Faults in one run after which it ends: a guest whose handler faults at its
 * first instruction executes none, and would never use up a budget.
 */
const MAX_FAULTS = 10_000;
const PAGE = 4096;
/** The end of what 32 bits reach. */
const FOUR_GIB = 2 ** 32;
/** One in so many translations is timed: to ask for the time takes a thirtieth of one. */
const TIMED = 8;
const DEFAULT_MAX_JUMP_TAGS = 0x7fffffff;
type Enter = (cpu: number) => number;

/** Runs one CPU. */
export class Engine implements CpuCore, CpuEngine, Traceable {
  readonly base: number;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly mmu: SoftMmu;
  /** The block cache: for statistics and tests. */
  readonly cache: BlockCache;

  readonly #frontend: Frontend;
  readonly #accel: "jit" | "interp";
  readonly #threshold: number;
  readonly #exact: boolean;
  readonly #enter: Enter;
  readonly #translator: BlockTranslator;
  /** The region compiler: for dumps and statistics. */
  readonly compiler: RegionCompiler;
  readonly #budget: number;

  /** Instructions executed before the current run. */
  #total = 0;
  /** Budget given to the current run. */
  #granted = 0;
  /** Budget taken away by `requestStop`. */
  #stolen = 0;
  #stop = false;
  #running = false;
  /** Running one instruction alone: stores do not stop at code. */
  #single = false;
  readonly #isPrecise: boolean;
  /** Whether translated code runs that is not an instruction alone. */
  #mayNotReach = false;
  /** It came to an instruction that reaches a device. */
  #deferred = false;
  readonly #jumps: JumpModes;
  readonly #regions: Regions;
  readonly #exits: ExitPoints;
  readonly #shared: SharedCode | undefined;
  #observer: TranslationObserver | undefined;
  #debug: EngineDebug | undefined;
  /** Translated code runs. */
  #inCode = false;
  /** The linear address of the instruction that runs alone for a debugger; else not a number. */
  #aloneAt = NaN;
  readonly #view: TranslatorView;
  /**
   * The guest only handles its ticks, and nothing is compiled for it: what a
   * kernel does at each tick becomes hot in the end, and compiling that takes
   * more time than it will save for minutes.
   */
  quiet = false;
  readonly #statistics = new Statistics();
  readonly #counts = this.#statistics.counts;

  /** The CPU waits for an event: in its area, where others can see it. */
  get #halted(): boolean {
    return this.i32[(this.base + OFF_HALTED) >> 2] !== 0;
  }

  set #halted(value: boolean) {
    this.i32[(this.base + OFF_HALTED) >> 2] = value ? 1 : 0;
  }

  /** Makes the engine of a CPU and attaches the frontend to it. */
  constructor(frontend: Frontend, options: EngineOptions) {
    const memory = options.memory;
    this.#frontend = frontend;
    this.#accel = options.accel ?? "jit";
    this.#threshold = options.threshold ?? DEFAULT_THRESHOLD;
    this.#exact = options.exact ?? false;
    this.#isPrecise = options.precise ?? false;
    this.base = memory.cpuArea(options.cpu ?? 0);
    this.u8 = memory.u8;
    this.u16 = memory.u16;
    this.i32 = memory.i32;
    this.f64 = memory.f64;
    this.#shared = options.shared;
    const arena = memory.cpuArena(options.cpu ?? 0);
    const arenaBytes = memory.cpuArenaBytes;
    this.#budget = (this.base + OFF_BUDGET) >> 2;
    this.#jumps = new JumpModes({
      frontend,
      u8: this.u8,
      i32: this.i32,
      base: this.base,
      maxTags: options.maxJumpTags ?? DEFAULT_MAX_JUMP_TAGS,
    });
    this.mmu = new SoftMmu(
      frontend,
      options.space,
      memory.memory.buffer,
      this.base,
    );
    if (options.precise === true) this.mmu.defers = this.#defers;
    this.#view = translatorView(frontend, this.mmu, this.u8);
    this.cache = new BlockCache(
      this.i32,
      arena,
      arenaBytes - SCRATCH_BYTES,
      this.base +
        (this.#shared === undefined ? OFF_CODE_MASKS : OFF_OWN_CODE_MASKS),
      (region) => {
        this.#observer?.regionDied(region, this.#view);
        this.#regions.died(region);
      },
    );
    this.i32[(this.base + OFF_INDEX) >> 2] = arena;
    this.mmu.connect(
      {
        hasCode: this.#shared?.hasCode ?? ((page) => this.cache.hasCode(page)),
        written: (physical, length, running) => {
          const hit = this.cache.invalidate(physical, length, running);
          this.#shared?.written(this, physical, length);
          if (hit === 0) return false;
          // A region may go on to the block that is gone. (The interpreter
          // does not: that block's record leads nowhere.)
          if ((hit & HIT_REGION) !== 0) this.attention();
          return (hit & HIT_RUNNING) !== 0 && !this.#single;
        },
      },
      (address, mmus) => this.#jumps.flush(address, mmus),
    );

    const generator = new InterpreterGenerator(frontend.helpers);
    const pages = memory.memory.buffer.byteLength / 65536;
    const helper = helperImports(frontend.helpers, memory.memory, this.base);
    const table = new WebAssembly.Table({ element: "anyfunc", initial: 1024 });
    const imports = {
      env: {
        memory: memory.memory,
        table,
        slowLoad: (address: number, width: number, mmu: number): number =>
          this.mmu.slowLoad(address, width, mmu),
        slowStore: (address: number, width: number, from: number): number =>
          this.mmu.slowStore(address, width, from),
        slowLoadWide: (address: number, width: number, mmu: number): number =>
          this.mmu.slowLoadWide(address, width, mmu),
        slowStoreWide: (address: number, width: number, from: number): number =>
          this.mmu.slowStoreWide(address, width, from),
        narrow: (record: number): void => this.#regions.narrow(record),
        refill: (
          address: number,
          what: number,
          record: number,
          budget: number,
        ): number => {
          this.i32[this.#budget] = budget;
          return this.#regions.refill(
            this.mmu.refill(address, what),
            record,
          );
        },
        refillWide: (
          address: number,
          what: number,
          record: number,
          budget: number,
        ): number => {
          this.i32[this.#budget] = budget;
          return this.#regions.refill(
            this.mmu.refillWide(address, what),
            record,
          );
        },
        // A fault is met again by the dispatcher, which delivers it.
        fetchMiss: (address: number): void => {
          this.mmu.fetch(address, this.#frontend.fetchMmu());
        },
        fetchMissWide: (address: number): void => {
          this.mmu.fetch(address, this.#frontend.fetchMmu());
        },
      },
      helper,
    };
    const module = new WebAssembly.Module(generator.build(pages));
    const instance = new WebAssembly.Instance(module, imports);
    this.#enter = instance.exports.enter as Enter;
    const parts = {
      frontend,
      mmu: this.mmu,
      cache: this.cache,
      u8: this.u8,
      i32: this.i32,
      base: this.base,
      threshold: this.#threshold,
    };
    this.#translator = new BlockTranslator({
      ...parts,
      opcodes: generator.opcodes,
      scratch: arena + arenaBytes - SCRATCH_BYTES,
      maxInsns: options.maxInsns ?? DEFAULT_MAX_INSNS,
      threshold: this.#accel === "jit" ? this.#threshold : NEVER_HOT,
    });
    this.compiler = new RegionCompiler(
      { ...parts, retranslate: this.#translator.retranslate },
      { env: { ...imports.env, ...instance.exports }, helper },
      pages,
    );
    this.#regions = new Regions({
      ...parts,
      isPaced: options.threshold === undefined,
      compiler: this.compiler,
      table,
      maxRegions: options.maxRegions,
      lookups: options.lookups,
      attention: () => this.attention(),
    });
    this.#exits = new ExitPoints({ ...parts, regions: this.#regions });
    this.#shared?.join(this);
    frontend.attach(this);
  }

  /** Instructions executed since the engine was made. */
  get instructions(): number {
    return this.#running
      ? this.#total + this.#granted - this.#stolen - this.i32[this.#budget]
      : this.#total;
  }

  requestStop(): void {
    this.attention();
    this.#stop = true;
  }

  /** Makes running code come back at the next block boundary. */
  attention(): void {
    const left = this.i32[this.#budget];
    if (this.#running && left >= 0) {
      this.#stolen += left + 1;
      this.i32[this.#budget] = -1;
    }
  }

  /** Has an instruction that reaches a device be run alone. */
  readonly #defers = (): boolean => {
    if (!this.#mayNotReach) return false;
    return this.#deferred = true;
  };

  defers(): boolean {
    return this.mmu.defers();
  }

  /** Tells the engine that the static mode key has changed. */
  keyChanged(): void {
    this.#jumps.keyChanged();
  }

  reset(): void {
    this.#halted = false;
    this.#flushCache();
    this.#regions.bury();
    this.mmu.flush(false);
    this.#frontend.reset();
    this.keyChanged();
  }

  init(): void {
    if (this.#frontend.init === undefined) return this.reset();
    this.#halted = false;
    this.mmu.flush(false);
    this.#frontend.init();
    this.keyChanged();
  }

  enter(state: EntryState): void {
    this.#frontend.enter(state);
    this.keyChanged();
  }

  setIrq(level: boolean): void {
    this.#frontend.setIrq(level);
    if (level) this.attention();
  }

  nmi(): void {
    this.#frontend.nmi();
    this.attention();
  }

  setInput(name: string, level: boolean): void {
    this.#frontend.setInput(name, level);
  }

  /** Has the CPU wait for an event where it is: the frontend's `deliver` may. */
  halt(): void {
    this.#halted = true;
  }

  /** Ends the wait of a halted CPU: it goes on at the program counter. */
  resume(): void {
    this.#halted = false;
  }

  invalidate(physical: number, length: number): void {
    const below = FOUR_GIB - physical;
    if (below > 0 && length > below) {
      this.invalidate(FOUR_GIB, length - below);
      length = below;
    }
    this.mmu.noteWrite(physical, length);
    const start = this.mmu.codeAddress(physical);
    if (this.cache.invalidate(start, length) === 0) return;
    // A region that is running may loop over what has changed.
    this.attention();
    this.#shared?.changed(start, length);
  }

  watchWrites(physical: number, length: number, changed: () => void): void {
    this.mmu.watchWrites(physical, length, changed);
  }

  flushMapping(): void {
    this.mmu.remap();
    // Blocks are known by physical addresses, which now mean something else.
    this.#dropTranslations();
  }

  #dropTranslations(): void {
    if (!this.#running) this.#flushCache();
    else this.#flushSoon = true;
    this.attention();
  }

  forgetMappings(): void {
    this.mmu.flush(false);
  }

  #flushSoon = false;

  save(): StateRecord {
    const state = this.#frontend.save() as StateRecord;
    return {
      ...state,
      halted: this.#halted,
      instructions: this.instructions,
    };
  }

  load(record: Record<string, unknown>): void {
    // Records of before had no count.
    const { halted, instructions = this.#total, ...rest } = record;
    if (typeof halted !== "boolean") {
      throw new StateError("cpu.halted", "expected a boolean");
    }
    if (!Number.isSafeInteger(instructions)) {
      throw new StateError("cpu.instructions", "expected a count");
    }
    this.#total = instructions as number;
    this.#frontend.load(rest);
    this.#halted = halted;
    // Memory is restored behind the translator's back.
    this.#flushCache();
    this.mmu.flush(false);
    this.keyChanged();
  }

  describe(): string {
    return this.#frontend.describe();
  }

  /** See `CpuCore.inspect`. */
  inspect(memory: PhysicalReader): Promise<CpuInspector> | undefined {
    return this.#frontend.inspect?.(memory);
  }

  stats(): Readonly<Record<string, number>> {
    return this.#statistics.report(this.instructions, {
      translator: this.#translator,
      compiler: this.compiler,
      regions: this.#regions,
      cache: this.cache,
      mmu: this.mmu,
    });
  }

  observe(observer: TranslationObserver | undefined): void {
    this.#observer = observer;
    this.compiler.onRegion = observer &&
      ((region) => observer.region(region, this.#view));
  }

  /** See `CpuCore.debug`. */
  async debug(): Promise<DebugPort> {
    const { EngineDebug } = await import("./engine_debug.ts");
    this.#debug ??= new EngineDebug({
      frontend: this.#frontend,
      mmu: this.mmu,
      cache: this.cache,
      translator: this.#translator,
      counts: this.#counts,
      mayRun: () => {
        this.#restoreBudget();
        return !this.#stop && this.i32[this.#budget] > 0;
      },
      mustRunAlone: () => this.#inCode && !this.#single && !this.mmu.retries,
      runAlone: (stepping) => this.#runAlone(stepping),
      uncount: () => this.#uncount(),
      halted: () => this.#haltExit(),
      isHalted: () => this.#halted,
      dropTranslations: () => this.#dropTranslations(),
      runOutwardAlone: (isOn) => {
        if (isOn) this.mmu.defers = this.#defers;
        else if (!this.#isPrecise) this.mmu.defers = () => false;
      },
      attention: () => this.attention(),
    });
    return this.#debug;
  }

  /**
   * For debuggers: runs one instruction, of a repeated one one element if
   * `stepping`. Gives the reason with which it was left, or -1 when the CPU
   * shuts down.
   */
  #runAlone(stepping: boolean): number {
    this.#restoreBudget();
    const link = this.#prepareSingle(1, stepping);
    if (link < 0) {
      this.#counts.faults++;
      return this.#frontend.deliver() ? EXIT_FAULT : -1;
    }
    this.#aloneAt = this.#linearPc();
    const reason = this.#execute(link);
    this.#aloneAt = NaN;
    return this.#after(reason) ? reason : -1;
  }

  /** An instruction that was run alone has jumped. For a debugger, accessed bits are to be those of a run without. */
  #leaveSingle(): number {
    const from = Math.floor(this.#aloneAt / PAGE);
    const to = this.#linearPc();
    if (from !== Math.floor(to / PAGE) && !Number.isNaN(from)) {
      this.mmu.fetch(to, this.#frontend.fetchMmu());
    }
    return EXIT_LOOKUP;
  }

  #linearPc(): number {
    const f = this.#frontend;
    return f.linear(f.pcLo(), f.pcHi());
  }

  /** An instruction that was counted is not done yet. */
  #uncount(): void {
    this.#restoreBudget();
    this.i32[this.#budget]++;
  }

  /** Runs an instruction alone because an access of it is watched; false: the CPU shuts down. */
  #retry(): boolean {
    this.mmu.retries = false;
    const f = this.#frontend;
    const at = f.pcLo();
    const before = this.instructions;
    if (this.#runAlone(true) < 0) return false;
    const isDone = this.#translator.elements === 0 || f.pcLo() !== at;
    if (!isDone && this.instructions !== before) this.#uncount();
    return true;
  }

  /** If the CPU waits: why `run` ends. */
  #haltExit(): CpuExit | undefined {
    if (!this.#halted) return undefined;
    const f = this.#frontend;
    if (!f.wakes()) return f.wakeable() ? "halted" : "dead";
    this.#halted = false;
    return undefined;
  }

  /** Executes about `maxInstructions` (exactly, with `exact`). */
  run(maxInstructions: number): CpuExit {
    if (this.#halted) {
      if (!this.#frontend.wakes()) {
        return this.#frontend.wakeable() ? "halted" : "dead";
      }
      this.#halted = false;
    }
    const grant = Math.min(maxInstructions, 0x3fffffff);
    this.#granted = grant;
    this.#stolen = 0;
    this.i32[this.#budget] = grant;
    this.#running = true;
    this.#stop = false;
    const started = performance.now();
    try {
      return this.#dispatch();
    } finally {
      this.#statistics.runMs += performance.now() - started;
      this.#restoreBudget();
      this.#total += this.#granted - this.i32[this.#budget];
      this.#running = false;
    }
  }

  #restoreBudget(): void {
    if (this.#stolen !== 0) {
      this.i32[this.#budget] += this.#stolen;
      this.#stolen = 0;
    }
  }

  #dispatch(): CpuExit {
    const f = this.#frontend;
    const i32 = this.i32;
    const base = this.base;
    let faults = 0;
    for (;;) {
      this.#restoreBudget();
      this.#regions.bury();
      this.#single = false;
      if (this.#flushSoon) {
        this.#flushSoon = false;
        this.#flushCache();
      }
      if (this.#debug !== undefined) {
        const exit = this.#debug.turn();
        if (exit === "again") continue;
        if (exit !== undefined) return exit;
      }
      if (this.#stop) return "stop";
      // Before `takeSingle`, which ends an interrupt shadow.
      if (i32[this.#budget] <= 0 || faults > MAX_FAULTS) return "budget";
      let link = 0;
      if (f.takeSingle()) {
        link = this.#prepareSingle(1);
      } else {
        if (f.interruptible()) {
          this.#counts.interrupts++;
          if (!f.interrupt()) return "shutdown";
          const exit = this.#debug?.entered();
          if (exit === "again") continue;
          if (exit !== undefined) return exit;
        }
        link = this.#link();
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
        this.#setPcAt(record + (REC_PC_LO >> 2));
        this.#restoreBudget();
        const left = i32[this.#budget];
        if (
          left > 0 && !this.#stop && left < i32[record + (REC_INSNS >> 2)] &&
          !f.interruptible()
        ) {
          // Too little for the next block; but a run must not do nothing.
          if (!this.#exact && left < this.#granted) return "budget";
          if (this.mmu.guard !== undefined) {
            const before = this.#counts.faults;
            if (!this.#retry()) return "shutdown";
            faults += this.#counts.faults - before;
            const exit = this.#haltExit();
            if (exit !== undefined) return exit;
            continue;
          }
          const single = this.#prepareSingle(left);
          if (single < 0) {
            faults++;
            if (!f.deliver()) return "shutdown";
            continue;
          }
          const after = this.#execute(single);
          if (this.#isFault(after)) faults++;
          if (!this.#after(after)) return "shutdown";
          if (this.#halted && !f.wakes()) {
            return f.wakeable() ? "halted" : "dead";
          }
          this.#halted = false;
        }
        continue;
      }
      if (this.#isFault(reason)) faults++;
      if (!this.#after(reason)) return "shutdown";
      if (this.#halted && !f.wakes()) return f.wakeable() ? "halted" : "dead";
      this.#halted = false;
    }
  }

  /** Enters translated code and follows links until there is something else to do. */
  #execute(link: number): number {
    const i32 = this.i32;
    const base = this.base;
    const f = this.#frontend;
    for (;;) {
      this.#counts.dispatches++;
      i32[(base + OFF_LINK) >> 2] = link;
      this.#deferred = false;
      this.#mayNotReach = !this.#single ||
        this.#translator.singleBlock.insns > 1;
      this.#inCode = true;
      const reason = this.#enter(base);
      this.#inCode = false;
      this.#mayNotReach = false;
      if (reason === EXIT_UNLINKED) {
        this.#counts.unlinked++;
        const at = i32[(base + OFF_LINK) >> 2];
        const record = i32[at >> 2];
        const target = record === this.cache.unlinked
          ? at + CELL_PC_LO
          : record + REC_PC_LO;
        this.#setPcAt(target >> 2);
        const lo = f.pcLo();
        const hi = f.pcHi();
        if (this.#single) return this.#leaveSingle();
        // All jumps to other pages translate the target's address before they
        // stop, so that accessed bits do not tell which cells are linked.
        if (record === this.cache.unlinked && !this.#isNear(at)) {
          this.mmu.fetch(f.linear(lo, hi), f.fetchMmu());
        }
        this.#restoreBudget();
        if (
          this.#stop || this.#flushSoon || i32[this.#budget] <= 0 ||
          f.interruptible()
        ) return EXIT_LOOKUP;
        const flushes = this.cache.flushes;
        const block = this.#find(lo, hi);
        if (block === undefined) return EXIT_LOOKUP; // the outer loop meets the fault again
        if (this.cache.flushes === flushes && !this.#single) {
          this.#patch(at, block, lo, hi);
        }
        link = this.#enterWord(block);
        continue;
      }
      if (reason === EXIT_INDIRECT) {
        this.#counts.indirect++;
        const lo = i32[(base + OFF_TARGET) >> 2];
        const hi = i32[(base + OFF_TARGET + 4) >> 2];
        f.setPc(lo, hi);
        if (this.#single) return this.#leaveSingle();
        this.#restoreBudget();
        if (
          this.#stop || this.#flushSoon || i32[this.#budget] <= 0 ||
          f.interruptible()
        ) return EXIT_LOOKUP;
        const block = this.#find(lo, hi);
        if (block === undefined) return EXIT_LOOKUP;
        if (!this.#single) this.#jumps.enter(block, lo, hi);
        link = this.#enterWord(block);
        continue;
      }
      if (reason === EXIT_HOT) {
        this.#counts.hot++;
        const record = i32[(base + OFF_RECORD) >> 2];
        const block = this.cache.block(i32[(record + REC_BLOCK) >> 2]);
        this.#setPcAt((record + REC_PC_LO) >> 2);
        if (this.#debug?.enters(block) === true) {
          // It comes here again when it has been executed once.
          this.cache.setCount(block, 2);
        } else if (this.quiet) this.cache.setCount(block, this.#threshold);
        else if (
          this.#accel === "jit" &&
          !this.#regions.hot(block, this.instructions)
        ) {
          this.#flushSoon = true;
        }
        this.#restoreBudget();
        if (this.#flushSoon) return EXIT_LOOKUP;
        link = this.#enterWord(block);
        continue;
      }
      // A watched access was refused: the instruction is run alone.
      return reason === EXIT_FAULT && this.mmu.retries ? EXIT_MODIFIED : reason;
    }
  }

  /** Whether the guest has an exception. */
  #isFault(reason: number): boolean {
    return reason === EXIT_TRAP || reason === EXIT_FAULT && !this.#deferred;
  }

  /** What follows an exit of translated code; false: the CPU shuts down. */
  #after(reason: number): boolean {
    const f = this.#frontend;
    const single = this.#single;
    this.#single = false;
    switch (reason) {
      case EXIT_BUDGET: {
        const record = this.i32[(this.base + OFF_RECORD) >> 2] >> 2;
        this.#setPcAt(record + (REC_PC_LO >> 2));
        return true;
      }
      case EXIT_LOOKUP:
        return true;
      case EXIT_HALT:
        this.#halted = true;
        return true;
      case EXIT_FAULT:
        if (this.#deferred) {
          this.#deferred = false;
          this.#restoreFault(single);
          this.#restoreBudget();
          return this.#runSingle(1);
        }
        this.#counts.faults++;
        this.mmu.guard?.drop();
        this.#restoreFault(single);
        return f.deliver();
      case EXIT_TRAP:
        this.#counts.faults++;
        this.mmu.guard?.drop();
        this.#restoreFault(single);
        f.trap(this.i32[(this.base + OFF_TRAP) >> 2]);
        return f.deliver();
      case EXIT_FORBIDDEN:
        return this.#finishBlock(this.#restoreFault(single));
      case EXIT_MODIFIED:
        this.#counts.modified++;
        this.#restoreFault(single);
        this.#restoreBudget();
        if (this.mmu.retries) return this.#retry();
        return this.#runSingle(1);
      default:
        throw new Error(
          `translated code returned the unknown reason ${reason}`,
        );
    }
  }

  /** Runs up to so many instructions at the program counter, the first that stores being the last; false: the CPU shuts down. */
  #runSingle(insns: number): boolean {
    const link = this.#prepareSingle(insns);
    if (link < 0) return this.#frontend.deliver();
    return this.#after(this.#execute(link));
  }

  /**
   * A region was left because a lookup failed, `insns` before the end of a
   * block; false: the CPU shuts down. The interpreter does those: interrupts
   * come where they would if the lookup had not failed.
   */
  #finishBlock(insns: number): boolean {
    this.#restoreBudget();
    this.#regions.forbidden();
    const rest = this.#rest(insns);
    if (rest !== undefined) {
      // It comes back behind the block.
      const left = this.i32[this.#budget] - insns;
      this.i32[this.#budget] = insns;
      this.#stolen += left;
      return this.#after(this.#execute(this.#enterWord(rest)));
    }
    const counts = this.#counts;
    const { faults } = counts;
    for (let left = insns; left > 0 && counts.faults === faults;) {
      // What they do may ask for attention: later.
      this.#restoreBudget();
      const before = this.instructions;
      const isRun = this.mmu.guard === undefined
        ? this.#runSingle(left)
        : this.#retry();
      if (!isRun) return false;
      if (this.#halted || this.instructions === before) break;
      // What it accessed is told before the next one.
      if (this.mmu.guard?.isHit === true) break;
      left -= this.instructions - before;
    }
    return true;
  }

  /**
   * The block that is the next so many instructions, if the interpreter will
   * run it. To translate each of them to run once took 4 % of a boot's time.
   */
  #rest(insns: number): Block | undefined {
    const f = this.#frontend;
    const block = this.#find(f.pcLo(), f.pcHi());
    const isSingle = this.#single;
    this.#single = false;
    return !isSingle && block?.insns === insns && block.region === undefined
      ? block
      : undefined;
  }

  /**
   * Makes the state that of the start of the instruction that left the block.
   * Returns the instructions from there to the block's end.
   */
  #restoreFault(single: boolean): number {
    this.#restoreBudget();
    const insns = this.#exits.restore(
      single ? this.#translator.singleBlock : undefined,
    );
    this.i32[this.#budget] += insns;
    this.#debug?.leaves(insns);
    return insns;
  }

  /**
   * Makes the word that led nowhere lead to a block: a link cell, or an entry
   * of the jump cache whose block is gone. Not from a cell to another mode,
   * when a helper has changed the key and the block went on, or to another
   * page, when it has changed the mapping. A cell that leads to a block across
   * two pages, which depends on the second page's mapping, becomes a lookup in
   * the jump cache.
   */
  #patch(at: number, block: Block, lo: number, hi: number): void {
    const across = block.secondPage >= 0;
    if (at < this.cache.unlinked) {
      if (across) this.#jumps.enter(block, lo, hi);
      else this.i32[(at + CELL_RECORD) >> 2] = block.record;
      return;
    }
    if ((at & 15) === (REC_SELF & 15)) {
      const dead = at - REC_SELF;
      const page = Math.floor(
        (this.i32[(dead + REC_PHYSICAL) >> 2] >>> 0) / PAGE,
      );
      if (
        !across && this.i32[(dead + REC_KEY) >> 2] === (block.key | 0) &&
        page === Math.floor(block.physical / PAGE)
      ) this.i32[at >> 2] = block.record;
      return;
    }
    const owner = this.cache.block(this.i32[(at + CELL_BLOCK) >> 2]);
    if (owner.key !== block.key) return;
    // What goes through the cell of a jump to another page looks where it is.
    if (
      this.#isNear(at) &&
      Math.floor(owner.physical / PAGE) !== Math.floor(block.physical / PAGE)
    ) return;
    this.i32[(at + CELL_RECORD) >> 2] = across
      ? this.#frontend.wide(block.key) ? this.cache.farWide : this.cache.far
      : block.record;
  }

  /** Whether a link cell is that of a jump within its block's page. */
  #isNear(cell: number): boolean {
    const at = cell >> 2;
    return this.cache.block(this.i32[at + (CELL_BLOCK >> 2)]).isNear(
      this.i32[at + (CELL_PC_LO >> 2)],
      this.i32[at + (CELL_PC_HI >> 2)],
    );
  }

  /** Forgets all translations. Must not be called while translated code runs. */
  #flushCache(): void {
    this.cache.flush();
    this.#shared?.flushed();
    this.mmu.flat.resume();
    this.#jumps.clear();
  }

  /** Makes the program counter the one in two words of a record or link cell. */
  #setPcAt(word: number): void {
    const f = this.#frontend;
    const at = (this.base + OFF_PC_BASE) >> 2;
    const [pc, pcBase] = [this.i32[word], this.i32[at]];
    const hi = f.wide(f.key())
      ? this.i32[word + 1] + this.i32[at + 1] + carryOf(pc, pcBase)
      : this.i32[word + 1];
    f.setPc((pc + pcBase) | 0, hi | 0);
  }

  /** The word through which the dispatcher enters a block, which is at the present program counter. */
  #enterWord(block: Block): number {
    const f = this.#frontend;
    const at = (this.base + OFF_PC_BASE) >> 2;
    const lo = f.pcLo();
    this.i32[at] = (lo - block.pcLo) | 0;
    if (f.wide(block.key)) {
      const borrow = lo >>> 0 < block.pcLo >>> 0 ? 1 : 0;
      this.i32[at + 1] = f.pcHi() - block.pcHi - borrow;
    }
    this.i32[(this.base + OFF_ENTER) >> 2] = block.record;
    return this.base + OFF_ENTER;
  }

  /** The link to the block at the present program counter; -1 after a fetch fault. */
  #link(): number {
    const f = this.#frontend;
    const block = this.#find(f.pcLo(), f.pcHi(), true);
    return block === undefined ? -1 : this.#enterWord(block);
  }

  /**
   * The block at a program counter (which is in the state), translated if
   * needed; undefined after a fetch fault, and where a debugger is to be asked
   * (`wasAsked`: it was).
   */
  #find(lo: number, hi: number, wasAsked = false): Block | undefined {
    const f = this.#frontend;
    const key = f.key();
    const linear = f.linear(lo, hi);
    const mmu = f.fetchMmu();
    const physical = this.mmu.fetch(linear, mmu);
    if (physical < 0) return undefined;
    const isCut = this.#translator.cuts?.has(physical) === true;
    const host = this.mmu.fetchHost;
    if (host < 0 || physical > 0xffffffff) {
      if (isCut && !wasAsked) return undefined;
      // Nobody tells when code in a device's memory changes, and some pages
      // are not watched: each instruction is translated when it runs.
      return this.#prepareSingle(1) < 0
        ? undefined
        : this.#translator.singleBlock;
    }
    if (isCut) return undefined;
    const isRelocatable = f.relocatable(key);
    const pc = isRelocatable ? physical | 0 : lo;
    const pcHi = isRelocatable && f.wide(key) ? 0 : hi;
    const block = this.cache.find(physical, pc, pcHi, key);
    if (block !== undefined) {
      if (block.secondPage < 0) return block;
      const next = linear - (linear & (PAGE - 1)) + PAGE;
      const second = this.mmu.fetch(next, mmu);
      if (second < 0) return undefined;
      if (second === block.secondPage) return block;
      // Another page stands behind this one now.
      this.cache.invalidate(block.physical, 1);
      return this.#find(lo, hi, wasAsked);
    }
    for (;;) {
      try {
        const isTimed = this.cache.translated % TIMED === 0;
        const started = isTimed ? performance.now() : 0;
        const made = this.#translator.translate(physical, host, lo, hi);
        if (isTimed) {
          this.#statistics.translateMs += TIMED * (performance.now() - started);
        }
        made.asked = this.instructions;
        this.#shared?.made(this, made);
        this.#observer?.block(made, this.#view);
        return made;
      } catch (e) {
        if (e === GUEST_FAULT) return undefined;
        if (!(e instanceof ArenaFull)) throw e;
        this.#flushCache();
      }
    }
  }

  /** Translates up to `insns` instructions at the program counter to run once; -1 after a fetch fault. */
  #prepareSingle(insns: number, stepping = false): number {
    this.#counts.singles++;
    const block = this.#translator.single(insns, stepping);
    if (block === undefined) return -1;
    this.#single = true;
    this.#debug?.enters(block);
    return this.#enterWord(block);
  }
}
