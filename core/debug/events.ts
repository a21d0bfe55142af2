/**
 * What programs hear of a running machine (`Machine.on`, `Machine.watch`).
 *
 * Listeners are called in the midst of the guest's run, between two
 * instructions or while one reaches a device. They may read registers and
 * memory, remove hooks, and ask for what comes when the guest stands still next
 * (`pause`, `stop`, `saveSnapshot`, a new hook): it does so as soon as the
 * instruction is done, and they must not wait for it. What they throw ends the
 * run: `Machine.run` and `wait` reject with a `HookError`, after which `run`
 * goes on.
 *
 * Listeners to watched memory may write, too, by `Machine.debug`: memory, code,
 * registers and the program counter are what the next instruction finds. What
 * other listeners write to registers may be lost. Recorded and replayed machines
 * refuse both.
 *
 * Linear addresses are numbers, those of the upper half of 64 bits negative:
 * `linearAddress("ffffffff81000000")` and `addressText` convert them.
 *
 * Hooks do not change what the guest does, but when: an instruction that
 * accesses a device for `port` and `mmio` is run alone, so that under the
 * instruction count a run is the same with and without them if
 * `time.precise` is set.
 *
 * @module
 */

import type { DeviceFilter, ToldEvent } from "../machine/device_events.ts";
import type { MachineEvent } from "../machine/events.ts";
import type { WatchAccess } from "./contract.ts";

/** Ends what it was given for: by `remove`, or by `using`. */
export interface Hook extends Disposable {
  /** Hear no more. */
  remove(): void;
}

/**
 * A CPU delivers an exception. If that fails, what comes of it is told next:
 * another exception or, where these two make one, a double fault. What comes of
 * that shuts the CPU down, and is not told.
 */
export interface ExceptionEvent {
  /** The CPU's number. */
  readonly cpu: number;
  /** The exception's number: on x86 14 is a page fault. */
  readonly vector: number;
  /** Its error code, if it pushes one. */
  readonly error: number | undefined;
  /** Of a page fault: the linear address that could not be accessed (x86: CR2). */
  readonly address: number | undefined;
  /** The linear address of the instruction that the handler will return to. */
  readonly pc: number;
}

/** A CPU takes an interrupt from a device or another CPU. */
export interface InterruptEvent {
  /** The CPU's number. */
  readonly cpu: number;
  /** The vector. */
  readonly vector: number;
  /** The linear address of the instruction before which it is taken. */
  readonly pc: number;
}

/** An instruction has called a handler: INT n on x86. */
export interface SoftwareInterruptEvent {
  /** The CPU's number. */
  readonly cpu: number;
  /** The vector. */
  readonly vector: number;
  /** The linear address of the instruction that the handler will return to. */
  readonly pc: number;
}

/** Who accesses memory or a device. */
export interface Accessor {
  /** The CPU's number; undefined when it is no CPU. */
  readonly cpu: number | undefined;
  /**
   * The linear address of the CPU's instruction; undefined when it is no CPU. Of
   * a watched access by one that an interrupt or exception came to, where its
   * handler pushed.
   */
  readonly pc: number | undefined;
  /** The device that does, as a bus master or as firmware; undefined when it is a CPU. */
  readonly device: string | undefined;
}

/**
 * A device answers an access to its registers, as wide as it implements it. A
 * write is told before the device has it, a read when it has answered: the
 * registers of the CPU are those from before the instruction or, of one that is
 * repeated (REP INS), before its next element.
 */
export interface BusAccessEvent extends Accessor {
  /** The device's region. */
  readonly region: string;
  /** The port or the physical address. */
  readonly address: number;
  /** Bytes. */
  readonly width: 1 | 2 | 4;
  /** What is written or was read, unsigned. */
  readonly value: number;
  /** Which of them. */
  readonly access: "read" | "write";
}

/** A CPU begins to execute instructions that follow each other. */
export interface BlockEvent {
  /** The CPU's number. */
  readonly cpu: number;
  /** The linear address of the first one. */
  readonly address: number;
  /** Its physical address. */
  readonly physical: number;
  /** How many. One that faults ends it early. */
  readonly instructions: number;
  /** Their bytes. */
  readonly bytes: number;
}

/** What the machine tells its monitors of, by its type. */
export type OfMachine<T extends MachineEvent["type"]> = Extract<
  MachineEvent,
  { readonly type: T }
>;

/** What can be heard, by name. */
export interface HookEvents {
  /** An exception is delivered: a fault, or a trap (x86: INT3, INTO, INT1 too). */
  exception: ExceptionEvent;
  /** An interrupt is taken, from a device or another CPU. */
  interrupt: InterruptEvent;
  /** An instruction calls a handler. */
  "software-interrupt": SoftwareInterruptEvent;
  /** A device answers at a port. */
  port: BusAccessEvent;
  /** A device answers at a physical address. */
  mmio: BusAccessEvent;
  /** A block is executed. */
  block: BlockEvent;
  /** A device tells of what it does (`DevicePlugin.events`, `COMMON_EVENTS`). */
  device: ToldEvent;
  /** The machine was reset. */
  reset: OfMachine<"reset">;
  /** The run has ended, or is about to. */
  shutdown: OfMachine<"shutdown">;
  /** The guest stands still, for a debugger or a monitor. */
  pause: OfMachine<"stop">;
  /** It goes on. */
  resume: OfMachine<"resume">;
  /** The power button was pressed. */
  powerdown: OfMachine<"powerdown">;
  /** A drive's tray moved. */
  tray: OfMachine<"tray">;
  /** A disk failed a request. */
  "block-error": OfMachine<"block-error">;
  /** A viewer of a display came or went. */
  viewer: OfMachine<"viewer">;
  /** The guest set its clock. */
  rtc: OfMachine<"rtc">;
}

/** Hears of an event. A promise that it gives back is not waited for. */
export type HookListener<E extends keyof HookEvents> = (
  event: HookEvents[E],
) => void;

/** Which exceptions or interrupts. */
export interface VectorFilter {
  /** Only these. */
  readonly vector?: number | readonly number[];
  /** Only those of this CPU. */
  readonly cpu?: number;
}

/** Which addresses. */
export interface AddressFilter {
  /** The first address. */
  readonly address: number;
  /** How many; 1 when absent. */
  readonly size?: number;
}

/** Which blocks. */
export interface BlockFilter {
  /** Those that begin at this linear address, or among so many from it (`size`). */
  readonly address?: number;
  /** How many addresses; 1 when absent. */
  readonly size?: number;
  /** Only those of this CPU. */
  readonly cpu?: number;
}

/** Which accesses to devices: all of what it does not say. */
export interface BusFilter {
  /** Those that reach this address, or one of so many from it (`size`). */
  readonly address?: number;
  /** How many addresses; 1 when absent. */
  readonly size?: number;
  /** Only reads, or only writes. */
  readonly access?: WatchAccess;
  /** Only those of this CPU. */
  readonly cpu?: number;
}

/** What an event can be filtered by. */
export type HookFilter<E extends keyof HookEvents> = E extends
  "exception" | "interrupt" | "software-interrupt" ? VectorFilter
  : E extends "port" | "mmio" ? BusFilter
  : E extends "block" ? BlockFilter
  : E extends "device" ? DeviceFilter
  : undefined;

/**
 * Memory that is watched.
 *
 * By a CPU: loads and stores of instructions, of what they push, and of
 * descriptor tables and the like, but neither instruction fetches nor what the
 * page walk reads and sets in page tables. By a device: what it reads and
 * writes as a bus master, guest RAM, not its own memory; it knows physical
 * addresses alone.
 */
export interface MemoryWatch {
  /** The first address. */
  readonly address: number;
  /** Bytes, 1 to 2^20; 1 to 2^16 of those that are executed. */
  readonly size: number;
  /** Which accesses. `execute`: an instruction that begins there, before it is executed. */
  readonly access: WatchAccess | "execute";
  /** What the address is; `linear` when absent, in whatever address space a CPU has then. */
  readonly space?: "linear" | "physical";
  /**
   * Whose accesses; when absent `cpu`, and `any` of physical memory that is not
   * executed.
   */
  readonly by?: "cpu" | "device" | "any";
}

/**
 * Watched memory was accessed. Of a CPU's instruction it is told when that is
 * done (it must not have faulted), of a device when the transfer is.
 */
export interface WatchedAccess extends Accessor {
  /** The first watched address that was accessed. */
  readonly address: number;
  /** How many of the watched bytes; 1 of what is executed. */
  readonly size: number;
  /** What was done. An instruction that does both is told twice, `read` first. */
  readonly access: "read" | "write" | "execute";
}
