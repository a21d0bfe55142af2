/**
 * Watching what a machine's translator does.
 *
 * @module
 */

import { RegionDump } from "../exec/dump.ts";
import {
  BlockTrace,
  type Traceable,
  type TranslationObserver,
} from "../exec/trace.ts";
import { FunctionPrinter } from "../wasm/text.ts";
import type { CpuCore } from "./cpu.ts";
import type { CpuPlugin } from "./plugin.ts";
import { PluginError } from "./registry.ts";

/** What to write of the translator's doings. */
export interface TraceOptions {
  /**
   * A line for each block when it is translated, and for each region when it
   * is compiled or dies. Blocks that were translated before are not told.
   */
  readonly blocks?: boolean;
  /**
   * For each region with code at one of these linear addresses, when it is
   * compiled: guest assembly, IR and WebAssembly text side by side.
   */
  readonly regions?: readonly number[];
  /** Takes the text, in whole lines. Called while the guest stands still. */
  readonly write: (text: string) => void;
}

/** A trace that was started. */
export interface Trace {
  /** Those of the addresses asked for that no compiled region has held yet. */
  readonly missing: readonly number[];
  /** End it. */
  stop(): void;
}

function isTraceable(cpu: CpuCore): cpu is CpuCore & Traceable {
  return "observe" in cpu && typeof cpu.observe === "function";
}

/** Start a trace of a machine's CPUs. Throws a `PluginError` for one that translates nothing. */
export async function startTrace(
  cpus: readonly CpuCore[],
  plugin: CpuPlugin,
  options: TraceOptions,
): Promise<Trace> {
  const traceable = cpus.filter(isTraceable);
  if (traceable.length < cpus.length) {
    throw new PluginError(
      `the CPU plugin "${plugin.name}" cannot be traced: it translates nothing`,
    );
  }
  const { blocks = false, regions = [], write } = options;
  const disassembler = await plugin.disassembler?.();
  const trace = blocks
    ? new BlockTrace((line) => write(`${line}\n`), disassembler)
    : undefined;
  const dump = regions.length > 0
    ? new RegionDump(
      regions,
      write,
      await FunctionPrinter.load(),
      disassembler,
    )
    : undefined;
  const observer: TranslationObserver = {
    block: (block, view) => trace?.block(block, view),
    region: (region, view) => {
      trace?.region(region, view);
      dump?.region(region, view);
    },
    regionDied: (region, view) => trace?.regionDied(region, view),
  };
  for (const cpu of traceable) cpu.observe(observer);
  return {
    get missing(): readonly number[] {
      return dump?.missing ?? [];
    },
    stop: () => {
      for (const cpu of traceable) cpu.observe(undefined);
    },
  };
}
