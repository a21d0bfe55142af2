/**
 * The `jit` accelerator: runs a frontend's CPU with the interpreter and, for
 * hot code, with compiled regions.
 *
 * An engine is what the machine sees of it. `run` is the dispatcher's
 * (dispatcher.ts): it enters translated code through a record; control then
 * goes from block to block inside WebAssembly and comes back there with a
 * reason. The program counter is not kept up to date in between: each reason
 * says where it can be found (a link cell, a record, the fault's instruction).
 *
 * @module
 */

import type { CpuEngine, Frontend } from "../cpu/frontend.ts";
import type { CpuInspector, PhysicalReader } from "../cpu/inspector.ts";
import type { CpuCore, CpuExit, EntryState } from "../machine/cpu.ts";
import { SoftMmu } from "../mmu/soft_mmu.ts";
import { StateError, type StateRecord } from "../state/state.ts";
import {
  BlockCache,
  HIT_REGION,
  HIT_RUNNING,
} from "../translate/block_cache.ts";
import {
  type BlockTranslator,
  SCRATCH_BYTES,
} from "../translate/block_translator.ts";
import { BlockLinks } from "./block_links.ts";
import type { DebugPort } from "./debug_port.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { EngineDebug } from "./engine_debug.ts";
import type { EngineOptions } from "./engine_options.ts";
import { createExecutors, thresholdOf } from "./executors.ts";
import { ExitPoints } from "./exit_points.ts";
import { JumpModes } from "./jump_modes.ts";
import { OFF_CODE_MASKS, OFF_INDEX, OFF_OWN_CODE_MASKS } from "./layout.ts";
import type { RegionCompiler } from "./region_compiler.ts";
import type { Regions } from "./regions.ts";
import { RunBudget } from "./run_budget.ts";
import type { SharedCode } from "./shared_code.ts";
import { Statistics } from "./statistics.ts";
import type {
  Traceable,
  TranslationObserver,
  TranslatorView,
} from "./trace.ts";
import { translatorView } from "./translator_view.ts";

/** The end of what 32 bits reach. */
const FOUR_GIB = 2 ** 32;
const DEFAULT_MAX_JUMP_TAGS = 0x7fffffff;

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
  /** The region compiler: for dumps and statistics. */
  readonly compiler: RegionCompiler;

  readonly #frontend: Frontend;
  readonly #translator: BlockTranslator;
  readonly #jumps: JumpModes;
  readonly #regions: Regions;
  readonly #links: BlockLinks;
  readonly #dispatcher: Dispatcher;
  readonly #budget: RunBudget;
  readonly #shared: SharedCode | undefined;
  readonly #view: TranslatorView;
  readonly #isPrecise: boolean;
  readonly #statistics = new Statistics();
  #debug: EngineDebug | undefined;

  /** Makes the engine of a CPU and attaches the frontend to it. */
  constructor(frontend: Frontend, options: EngineOptions) {
    const memory = options.memory;
    const cpu = options.cpu ?? 0;
    this.#frontend = frontend;
    this.base = memory.cpuArea(cpu);
    this.u8 = memory.u8;
    this.u16 = memory.u16;
    this.i32 = memory.i32;
    this.f64 = memory.f64;
    this.#shared = options.shared;
    this.#budget = new RunBudget(this.i32, this.f64, this.base);
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
    this.#isPrecise = options.precise ?? false;
    this.#runOutwardAlone(this.#isPrecise);
    this.#view = translatorView(frontend, this.mmu, this.u8);
    const arena = memory.cpuArena(cpu);
    this.cache = new BlockCache(
      this.i32,
      arena,
      memory.cpuArenaBytes - SCRATCH_BYTES,
      this.base +
        (this.#shared === undefined ? OFF_CODE_MASKS : OFF_OWN_CODE_MASKS),
      (region) => {
        this.#links.observer?.regionDied(region, this.#view);
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
          return (hit & HIT_RUNNING) !== 0 && !this.#links.isSingle;
        },
      },
      (address, mmus) => this.#jumps.flush(address, mmus),
    );
    const common = {
      frontend,
      mmu: this.mmu,
      cache: this.cache,
      i32: this.i32,
      base: this.base,
      budget: this.#budget,
      jumps: this.#jumps,
      statistics: this.#statistics,
    };
    const { enter, translator, compiler, regions } = createExecutors({
      ...common,
      memory,
      options,
    });
    this.#translator = translator;
    this.compiler = compiler;
    this.#regions = regions;
    this.#links = new BlockLinks({
      ...common,
      translator,
      view: this.#view,
      shared: this.#shared,
      owner: this,
    });
    this.#dispatcher = new Dispatcher({
      ...common,
      translator,
      links: this.#links,
      regions,
      exits: new ExitPoints({ ...common, regions }),
      enter,
      compiles: options.accel !== "interp",
      threshold: thresholdOf(options),
      exact: options.exact ?? false,
    });
    this.#shared?.join(this);
    frontend.attach(this);
  }

  /**
   * The guest only handles its ticks, and nothing is compiled for it: what a
   * kernel does at each tick becomes hot in the end, and compiling that takes
   * more time than it will save for minutes.
   */
  get quiet(): boolean {
    return this.#dispatcher.quiet;
  }

  set quiet(value: boolean) {
    this.#dispatcher.quiet = value;
  }

  /** Instructions executed since the engine was made. */
  get instructions(): number {
    return this.#budget.instructions;
  }

  requestStop(): void {
    this.attention();
    this.#budget.isStopped = true;
  }

  /** Makes running code come back at the next block boundary. */
  attention(): void {
    this.#budget.attention();
  }

  /** Tells the engine that the static mode key has changed. */
  keyChanged(): void {
    this.#jumps.keyChanged();
  }

  /** Executes about `maxInstructions` (exactly, with `exact`). */
  run(maxInstructions: number): CpuExit {
    return this.#dispatcher.run(maxInstructions);
  }

  reset(): void {
    this.#dispatcher.isHalted = false;
    this.#links.flush();
    this.#regions.bury();
    this.mmu.flush(false);
    this.#frontend.reset();
    this.keyChanged();
  }

  init(): void {
    if (this.#frontend.init === undefined) return this.reset();
    this.#dispatcher.isHalted = false;
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
    this.#dispatcher.isHalted = true;
  }

  /** Ends the wait of a halted CPU: it goes on at the program counter. */
  resume(): void {
    this.#dispatcher.isHalted = false;
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
    if (!this.#budget.isRunning) this.#links.flush();
    else this.#dispatcher.flushSoon = true;
    this.attention();
  }

  forgetMappings(): void {
    this.mmu.flush(false);
  }

  save(): StateRecord {
    const state = this.#frontend.save() as StateRecord;
    return {
      ...state,
      halted: this.#dispatcher.isHalted,
      instructions: this.instructions,
    };
  }

  load(record: Record<string, unknown>): void {
    // Records of before had no count.
    const { halted, instructions = this.#budget.total, ...rest } = record;
    if (typeof halted !== "boolean") {
      throw new StateError("cpu.halted", "expected a boolean");
    }
    if (!Number.isSafeInteger(instructions)) {
      throw new StateError("cpu.instructions", "expected a count");
    }
    this.#budget.total = instructions as number;
    this.#frontend.load(rest);
    this.#dispatcher.isHalted = halted;
    // Memory is restored behind the translator's back.
    this.#links.flush();
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
    this.#links.observer = observer;
    this.compiler.onRegion = observer &&
      ((region) => observer.region(region, this.#view));
  }

  /** Has an instruction that reaches a device be run alone, or with others. */
  #runOutwardAlone(isOn: boolean): void {
    this.mmu.defers = isOn ? () => this.#dispatcher.defers() : () => false;
  }

  /** See {@linkcode CpuEngine.defers}. */
  defers(): boolean {
    return this.mmu.defers();
  }

  /** See `CpuCore.debug`. */
  async debug(): Promise<DebugPort> {
    const { EngineDebug } = await import("./engine_debug.ts");
    const dispatcher = this.#dispatcher;
    const budget = this.#budget;
    this.#debug ??= new EngineDebug({
      frontend: this.#frontend,
      mmu: this.mmu,
      cache: this.cache,
      translator: this.#translator,
      counts: this.#statistics.counts,
      mayRun: () => {
        budget.restore();
        return !budget.isStopped && budget.left > 0;
      },
      isAskedToStop: () => budget.isStopped,
      mustRunAlone: () => dispatcher.mustRunAlone,
      runAlone: (stepping) => dispatcher.runAlone(stepping),
      uncount: () => dispatcher.uncount(),
      halted: () => dispatcher.haltExit(),
      isHalted: () => dispatcher.isHalted,
      dropTranslations: () => this.#dropTranslations(),
      runOutwardAlone: (isOn) => this.#runOutwardAlone(isOn || this.#isPrecise),
      attention: () => this.attention(),
    });
    dispatcher.debug = this.#links.debug = this.#debug;
    return this.#debug;
  }
}
