/**
 * What a CPU has for debuggers and for programs that observe it. Nothing of it
 * is there until it is asked for (`CpuCore.debug`).
 *
 * @module
 */

import type { EventObserver } from "../cpu/frontend.ts";
import type { DebugRegisters } from "../debug/contract.ts";
import type { GuardedRange, GuardHit } from "../mmu/access_guard.ts";

/** Why a CPU stopped for a debugger. */
export type CpuStop =
  | { readonly kind: "breakpoint" }
  | { readonly kind: "step" }
  | { readonly kind: "watch" };

/** A range of memory that somebody watches. */
export interface WatchedRange extends GuardedRange {
  /**
   * Called after an instruction that accessed it. Whether the guest is to stand
   * still.
   */
  hit(hit: GuardHit<WatchedRange>): boolean;
}

/** A block that is about to be executed. */
export interface ExecutedBlock {
  /** Its first instruction's linear address. */
  readonly address: number;
  /** The physical address of its first instruction; all of them begin on that page. */
  readonly physical: number;
  /** Bytes of guest code. */
  readonly bytes: number;
  /** The distance of each of its instructions from the first. */
  readonly offsets: readonly number[];
}

/** Is told of blocks. */
export interface BlockObserver {
  /** A block begins. */
  begins(block: ExecutedBlock): void;
  /** The last `left` instructions of the block that began last are not executed: one before them faulted. */
  leaves(left: number): void;
}

/** A CPU as debuggers and observers have it. All of it is for when the CPU does not run. */
export interface DebugPort {
  /** The linear address of the next instruction. */
  readonly pc: number;
  /** It waits for an event. */
  readonly isWaiting: boolean;
  /** Why it stopped last. */
  readonly stop: CpuStop | undefined;
  /** The registers; undefined when the CPU plugin has none for debuggers. */
  registers(): Promise<DebugRegisters | undefined>;
  /** The physical address of a linear one, whatever the privilege; -1 if nothing is mapped there. */
  translate(linear: number): number;
  /**
   * Asked before an instruction at an address of `setBreakpoints` is executed:
   * whether the CPU is to stop there. It always does when this is undefined.
   */
  reached: ((pc: number) => boolean) | undefined;
  /** Stop before the instructions at these linear addresses. */
  setBreakpoints(addresses: ReadonlySet<number>): void;
  /** Watch these ranges. */
  setWatches(ranges: readonly WatchedRange[]): void;
  /**
   * Before the CPU at which a debugger stands still goes on: a breakpoint at
   * the program counter is gone over; or it is a step, which takes no interrupt
   * if it `holdsInterrupts`.
   */
  arm(what: "run" | "step", holdsInterrupts?: boolean): void;
  /** End a step that has not come to its end. */
  disarm(): void;
  /** Tell an observer of all blocks that are executed; nobody when it is undefined. */
  observeBlocks(observer: BlockObserver | undefined): void;
  /**
   * Somebody observes accesses to devices, or does not any more: an instruction
   * that makes one is run alone meanwhile, so that program counter and registers
   * are those before it.
   */
  observeDevices(isObserved: boolean): void;
  /** Tell an observer of exceptions and interrupts; false if the CPU plugin cannot. */
  observeEvents(observer: EventObserver | undefined): boolean;
}
