/**
 * What programs hear of a running machine (`Machine.on`, `Machine.watch`).
 *
 * Listeners are called in the midst of the guest's run: they should only take
 * notes. What they throw is reported as an uncaught error.
 *
 * @module
 */

import type { MachineEvent } from "../machine/events.ts";
import type { WatchAccess } from "./contract.ts";

/** Ends what it was given for: by `remove`, or by `using`. */
export interface Hook extends Disposable {
  /** Hear no more. */
  remove(): void;
}

/** A CPU delivers an exception. */
export interface ExceptionEvent {
  /** The CPU's number. */
  readonly cpu: number;
  /** The exception's number: on x86 14 is a page fault. */
  readonly vector: number;
  /** Its error code, if it has one. */
  readonly error: number | undefined;
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

/** A device answers an access to its registers, as wide as it implements it. */
export interface BusAccessEvent {
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
  /** An exception is delivered. (Software interrupts are none.) */
  exception: ExceptionEvent;
  /** An interrupt is taken. */
  interrupt: InterruptEvent;
  /** A device answers at a port. */
  port: BusAccessEvent;
  /** A device answers at a physical address. */
  mmio: BusAccessEvent;
  /** A block is executed. */
  block: BlockEvent;
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

/** Hears of an event. */
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

/** Which accesses to devices. */
export interface BusFilter extends AddressFilter {
  /** Only reads, or only writes. */
  readonly access?: WatchAccess;
}

/** What an event can be filtered by. */
export type HookFilter<E extends keyof HookEvents> = E extends
  "exception" | "interrupt" ? VectorFilter
  : E extends "port" | "mmio" ? BusFilter
  : E extends "block" ? AddressFilter
  : undefined;

/** Memory that is watched. */
export interface MemoryWatch {
  /** The first address. */
  readonly address: number;
  /** Bytes, 1 to 2^20. */
  readonly size: number;
  /** Which accesses. */
  readonly access: WatchAccess;
  /** What the address is; `linear` when absent. */
  readonly space?: "linear" | "physical";
}

/** An instruction has accessed watched memory. */
export interface WatchedAccess {
  /** The CPU's number. */
  readonly cpu: number;
  /** The first watched address that it accessed. */
  readonly address: number;
  /** How many of the watched bytes. */
  readonly size: number;
  /** What it did. */
  readonly access: "read" | "write";
  /** The linear address of the instruction; of one that an interrupt or exception came to, where its handler pushed. */
  readonly pc: number;
}
