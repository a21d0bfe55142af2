/**
 * What a debugger needs of a machine: CPUs with named registers, memory as a
 * CPU sees it, breakpoints, watchpoints, steps, and why the guest stands still.
 * The gdb server, the monitor and programs stand on this, and a CPU plugin
 * fulfils its part of it.
 *
 * @module
 */

import type { RunResult } from "../machine/run_result.ts";

/** A register as a debugger sees it. */
export interface DebugRegister {
  /** Its name, as gdb's standard target descriptions have it: `eip`, `xmm0`. */
  readonly name: string;
  /** Its size in bits. */
  readonly bits: number;
  /** Its type in a target description: `int32`, `code_ptr`, `i387_ext`, `vec128`. */
  readonly type: string;
  /** gdb's register group, where it is not that of the type: `general`, `float`. */
  readonly group?: string;
}

/** Registers that a target description has together. */
export interface DebugFeature {
  /** The feature's name, as in `org.gnu.gdb.i386.core`. */
  readonly name: string;
  /** XML that defines the types that its registers use beyond gdb's own. */
  readonly types?: string;
  /** The registers, in the order of their numbers. */
  readonly registers: readonly DebugRegister[];
}

/** The registers of a CPU for debuggers: what a frontend gives. */
export interface DebugRegisters {
  /** gdb's name of the architecture: `i386`, `i386:x86-64`. */
  readonly architecture: string;
  /** The features that this CPU model has. */
  readonly features: readonly DebugFeature[];
  /** A register's bytes, little-endian. Throws a `RangeError` for a name that is not there. */
  read(name: string): Uint8Array;
  /**
   * Set a register, as if the guest's most privileged code had done it; what
   * the hardware would not take (a reserved bit) throws a `RangeError` and
   * changes nothing.
   */
  write(name: string, bytes: Uint8Array): void;
}

/** A CPU that stands still, as a debugger sees it. */
export interface DebugCpu {
  /** Its number. */
  readonly index: number;
  /** Its registers. */
  readonly registers: DebugRegisters;
  /**
   * The linear address of the next instruction. All linear addresses here are
   * unsigned numbers of 32 bits or, in 64-bit mode, the signed numbers from
   * -2^47 to 2^47 - 1 that canonical addresses are.
   */
  readonly pc: number;
  /** Whether it waits for an interrupt (HLT), or for another CPU to start it. */
  readonly isWaiting: boolean;
  /** The physical address of a linear one, whatever the privilege; undefined when nothing is mapped there. */
  translate(linear: number): number | undefined;
  /**
   * Read linear memory, without a fault or a side effect of a device; gives
   * back how many bytes from the first could be read.
   */
  read(linear: number, into: Uint8Array): number;
  /** Write linear memory, read-only pages too; gives back how many bytes. Translated code stays coherent. */
  write(linear: number, bytes: Uint8Array): number;
}

/** What a watchpoint waits for. */
export type WatchAccess = "read" | "write" | "access";

/** A breakpoint or watchpoint that was set. */
export interface DebugPoint {
  /** Take it away. */
  remove(): void;
}

/** A watchpoint. */
export interface WatchSpec {
  /** The first linear address. */
  readonly address: number;
  /** How many bytes, 1 to 2^20. */
  readonly size: number;
  /** Which accesses stop the guest. */
  readonly access: WatchAccess;
}

/** Why the guest stands still. */
export type StopEvent =
  /** Before an instruction that has a breakpoint. */
  | { readonly kind: "breakpoint"; readonly cpu: number }
  /** After an instruction that accessed what is watched. */
  | {
    readonly kind: "watchpoint";
    readonly cpu: number;
    /** The watchpoint's address that was accessed, and how. */
    readonly address: number;
    readonly access: WatchAccess;
  }
  /** After a step. */
  | { readonly kind: "step"; readonly cpu: number }
  /** `pause` was called. */
  | { readonly kind: "pause"; readonly cpu: number }
  /** The run has ended, as `Machine.wait` says; the machine can still be looked at. */
  | { readonly kind: "end"; readonly cpu: number; readonly result: RunResult };

/**
 * A machine under a debugger, which it has from `Machine.debug` to `detach`.
 * Several debuggers (gdb, a monitor) may have one machine: each has its own
 * points, and all that wait in `resume` or `step` hear of every stop.
 *
 * To attach changes nothing. The registers and memory may be looked at whenever
 * the event loop runs; they make sense together while the guest stands still.
 */
export interface MachineDebugger {
  /** The CPUs. */
  readonly cpus: readonly DebugCpu[];
  /** Whether the guest is running now. */
  readonly isRunning: boolean;
  /** Stop before the instruction at a linear address, on any CPU. */
  setBreakpoint(address: number): DebugPoint;
  /** Stop after an instruction that accesses linear memory, on any CPU. */
  setWatchpoint(spec: WatchSpec): DebugPoint;
  /**
   * Run all CPUs until there is a reason to stop. A breakpoint where a CPU is
   * now does not stop it again before it comes there anew. Starts the machine
   * if it was not started; if it runs already, this only waits.
   */
  resume(): Promise<StopEvent>;
  /**
   * Run one instruction of one CPU while the others stand still. An interrupt
   * or exception that it meets is delivered: the step ends at the handler's
   * first instruction, unless interrupts are held off meanwhile. A REP
   * instruction is one iteration at a time.
   */
  step(cpu: number, holdsInterrupts?: boolean): Promise<StopEvent>;
  /**
   * Whether CPUs execute in the order of a recording, whatever a debugger wants:
   * while one steps the others go on until its turn has come.
   */
  readonly keepsOrder?: boolean;
  /** Do several steps that are one run to whoever watches the machine. */
  asOne<T>(steps: () => Promise<T>): Promise<T>;
  /**
   * Let the guest stand still, whoever has let it run; `resume` and `step` in
   * progress end. A machine that was not started stands before its first
   * instruction when it is (`start`, `run`), until `resume`.
   */
  pause(): void;
  /** Read physical memory without a device's side effects; gives back how many bytes. */
  readPhysical(address: number, into: Uint8Array): number;
  /** Write physical memory. */
  writePhysical(address: number, bytes: Uint8Array): number;
  /** Take away all points, and let the machine go on if it stood still for the debugger. */
  detach(): void;
}
