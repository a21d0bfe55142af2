/**
 * What the machine needs of a CPU, whatever executes it.
 *
 * @module
 */

import type { CpuInspector, PhysicalReader } from "../cpu/inspector.ts";
import type { DebugPort } from "../exec/debug_port.ts";
import type { StateRecord } from "../state/state.ts";

/** Why `CpuCore.run` came back. */
export type CpuExit =
  /** The instruction budget is used up. */
  | "budget"
  /** The CPU waits for an interrupt (HLT) and would accept one. */
  | "halted"
  /** The CPU waits with interrupts disabled: only NMI or reset helps. */
  | "dead"
  /** The CPU has shut down (on x86, a triple fault). */
  | "shutdown"
  /** `requestStop` was called. */
  | "stop"
  /** A debugger wants the guest to stand still. */
  | "debug";

/**
 * The registers with which a loader starts a CPU: names that the CPU plugin
 * documents (on x86 `eip`, `esi`, `cr0`, `cs.selector`, `cs.base`, ...).
 */
export type EntryState = Readonly<Record<string, number>>;

/** A CPU in execution: a frontend wrapped by an accelerator. */
export interface CpuCore {
  /** Instructions retired since the machine was created; never reset. */
  readonly instructions: number;
  /**
   * Whether the guest has done nothing but handle timer ticks for a while: set
   * by the run loop, for a CPU that would spend time to make it faster.
   */
  quiet?: boolean;
  /** Put every register in its state after a hardware reset. */
  reset(): void;
  /** Start again as the line `init` says, where that is less than `reset`. */
  init?(): void;
  /** Set registers by name; the others keep what reset gave them. */
  enter(state: EntryState): void;
  /**
   * Execute at most about `maxInstructions` (to the end of the current block;
   * exactly, when `icount` asks for it) and say why execution ended.
   */
  run(maxInstructions: number): CpuExit;
  /** Make a `run` in progress come back at the next block boundary. */
  requestStop(): void;
  /** The level of the maskable interrupt line. */
  setIrq(level: boolean): void;
  /** An edge on the non-maskable interrupt line. */
  nmi(): void;
  /**
   * The level of another input line that the CPU plugin declares, for example
   * `a20`.
   */
  setInput(name: string, level: boolean): void;
  /** Code at these physical addresses was changed by something else (DMA). */
  invalidate(physical: number, length: number): void;
  /**
   * Call `changed` once at the next store, or invalidation, that changes any of
   * these bytes' pages, or when `flushMapping` is called. It is called in the
   * midst of an instruction, before the store is done. The same bytes have one
   * watcher, the last one.
   */
  watchWrites?(physical: number, length: number, changed: () => void): void;
  /** The physical address map has changed: flush what was derived from it. */
  flushMapping(): void;
  /** What debuggers and observers work with; absent if the CPU has nothing for them. */
  debug?(): Promise<DebugPort>;
  /** The CPU's state. */
  save(): StateRecord;
  /** Restore the CPU's state; throws a `StateError` when it does not fit. */
  load(record: StateRecord): void;
  /** Counters, by name, for `--stats`. */
  stats(): Readonly<Record<string, number>>;
  /** Where the CPU is, for humans: `cs:eip 0010:c0101234, cr0 ...`. */
  describe(): string;
  /** Somebody wants to look at it: absent where the plugin has nothing to show. */
  inspect?(memory: PhysicalReader): Promise<CpuInspector> | undefined;
}

/** Has a CPU start again as the line `init` says. */
export function initialize(cpu: CpuCore): void {
  if (cpu.init === undefined) cpu.reset();
  else cpu.init();
}

/** What gives the CPU an interrupt's vector. */
export interface InterruptController {
  /**
   * The CPU accepts the interrupt: gives back its vector and does what the
   * acknowledge cycle does to the controller.
   */
  acknowledge(): number;
}
