/**
 * The executors of a CPU: the interpreter's WebAssembly instance, and what
 * translates blocks and compiles regions for it.
 *
 * @module
 */

import type { Frontend } from "../cpu/frontend.ts";
import type { GuestMemory } from "../machine/memory.ts";
import type { SoftMmu } from "../mmu/soft_mmu.ts";
import type { BlockCache } from "../translate/block_cache.ts";
import {
  BlockTranslator,
  NEVER_HOT,
  SCRATCH_BYTES,
} from "../translate/block_translator.ts";
import type { EngineOptions } from "./engine_options.ts";
import { helperImports } from "./helper_imports.ts";
import { InterpreterGenerator } from "./interpreter.ts";
import { RegionCompiler } from "./region_compiler.ts";
import { Regions } from "./regions.ts";
import type { RunBudget } from "./run_budget.ts";

/**
 * Executions that make a block hot if they come fast, one after the other
 * (`Regions.hot`).
 */
const DEFAULT_THRESHOLD = 1500;
const DEFAULT_MAX_INSNS = 64;

/** Executions that make a block of an engine with these options hot. */
export function thresholdOf({ threshold }: EngineOptions): number {
  return threshold ?? DEFAULT_THRESHOLD;
}

/** What the executors of a CPU work on. */
export interface ExecutorsParts {
  /** The ISA. */
  readonly frontend: Frontend;
  /** The machine's memory. */
  readonly memory: GuestMemory;
  /** The CPU's MMU. */
  readonly mmu: SoftMmu;
  /** Its blocks. */
  readonly cache: BlockCache;
  /** Offset of the CPU's area. */
  readonly base: number;
  /** The instructions that it may execute. */
  readonly budget: RunBudget;
  /** How the engine is set up. */
  readonly options: EngineOptions;
}

/** The executors of a CPU. */
export interface Executors {
  /** Enters translated code; gives the reason why it was left. */
  readonly enter: (cpu: number) => number;
  /** Makes blocks. */
  readonly translator: BlockTranslator;
  /** Compiles regions. */
  readonly compiler: RegionCompiler;
  /** The regions. */
  readonly regions: Regions;
}

/** What translated code calls. `regions` gives those that there will be. */
function codeImports(
  { frontend, memory, mmu, budget }: ExecutorsParts,
  table: WebAssembly.Table,
  regions: () => Regions,
): Record<string, WebAssembly.ImportValue> {
  return {
    memory: memory.memory,
    table,
    slowLoad: (address: number, width: number, tlb: number): number =>
      mmu.slowLoad(address, width, tlb),
    slowStore: (address: number, width: number, from: number): number =>
      mmu.slowStore(address, width, from),
    slowLoadWide: (address: number, width: number, tlb: number): number =>
      mmu.slowLoadWide(address, width, tlb),
    slowStoreWide: (address: number, width: number, from: number): number =>
      mmu.slowStoreWide(address, width, from),
    narrow: (record: number): void => regions().narrow(record),
    refill: (
      address: number,
      what: number,
      record: number,
      left: number,
    ): number => {
      budget.left = left;
      return regions().refill(mmu.refill(address, what), record);
    },
    refillWide: (
      address: number,
      what: number,
      record: number,
      left: number,
    ): number => {
      budget.left = left;
      return regions().refill(mmu.refillWide(address, what), record);
    },
    // A fault is met again by the dispatcher, which delivers it.
    fetchMiss: (address: number): void => {
      mmu.fetch(address, frontend.fetchMmu());
    },
    fetchMissWide: (address: number): void => {
      mmu.fetch(address, frontend.fetchMmu());
    },
  };
}

/** Makes the executors of a CPU. */
export function createExecutors(parts: ExecutorsParts): Executors {
  const { frontend, memory, mmu, cache, base, budget, options } = parts;
  const { u8, i32 } = memory;
  const generator = new InterpreterGenerator(frontend.helpers);
  const pages = memory.memory.buffer.byteLength / 65536;
  const { forRegions, forInterpreter } = helperImports(
    frontend.helpers,
    memory.memory,
    base,
    options.accel === "interp",
  );
  const table = new WebAssembly.Table({ element: "anyfunc", initial: 1024 });
  const env = codeImports(parts, table, () => regions);
  const module = new WebAssembly.Module(generator.build(pages));
  const { exports } = new WebAssembly.Instance(module, {
    env,
    helper: forInterpreter,
  });
  const cpu = options.cpu ?? 0;
  const threshold = thresholdOf(options);
  const common = { frontend, mmu, cache, u8, i32, base, threshold };
  const translator = new BlockTranslator({
    ...common,
    opcodes: generator.opcodes,
    scratch: memory.cpuArena(cpu) + memory.cpuArenaBytes - SCRATCH_BYTES,
    maxInsns: options.maxInsns ?? DEFAULT_MAX_INSNS,
    threshold: options.accel === "interp" ? NEVER_HOT : threshold,
  });
  const compiler = new RegionCompiler(
    { ...common, retranslate: translator.retranslate },
    { env: { ...env, ...exports }, helper: forRegions },
    pages,
  );
  const regions = new Regions({
    ...common,
    isPaced: options.threshold === undefined,
    compiler,
    table,
    maxRegions: options.maxRegions,
    lookups: options.lookups,
    attention: () => budget.attention(),
  });
  return {
    enter: exports.enter as (cpu: number) => number,
    translator,
    compiler,
    regions,
  };
}
