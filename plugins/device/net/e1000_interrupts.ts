/**
 * Interrupts of the 82540EM: causes and mask, the throttle, and the timers that
 * gather what is received and transmitted.
 *
 * Source: the Software Developer's Manual (317453), 3.2.7, 3.4.3 and 13.4.17 to
 * 13.4.21.
 *
 * @module
 */

import type { Clock, Timer } from "../../../core/time/clock.ts";
import {
  CAUSES,
  ICR,
  ICR_RXT0,
  ICR_TXDW,
  IMS,
  ITR,
  RADV,
  RDTR,
  TADV,
  TIDV,
} from "./e1000_registers.ts";

/** The unit of ITR, in nanoseconds. */
const ITR_NS = 256;
/** The unit of the delays, in nanoseconds. */
const DELAY_NS = 1024;

/** When things are due, in virtual nanoseconds; 0: not at all. */
export interface InterruptState {
  /** The pin's level. */
  level: boolean;
  /** Before this time there is no other interrupt. */
  quietUntil: number;
  /** The end of RDTR. */
  receivePacket: number;
  /** The end of RADV. */
  receiveAbsolute: number;
  /** The end of TIDV. */
  transmitPacket: number;
  /** The end of TADV. */
  transmitAbsolute: number;
}

/** The state after reset. */
export function freshInterrupts(): InterruptState {
  return {
    level: false,
    quietUntil: 0,
    receivePacket: 0,
    receiveAbsolute: 0,
    transmitPacket: 0,
    transmitAbsolute: 0,
  };
}

/** The earlier of two times of which 0 is none. */
function earlier(a: number, b: number): number {
  return a === 0 || b !== 0 && b < a ? b : a;
}

/** The interrupts of a card. */
export class Interrupts {
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #drive: (level: boolean) => void;
  #regs: Uint32Array;
  #state = freshInterrupts();

  /** Interrupts that drive a pin; `adopt` gives the state. */
  constructor(
    clock: Clock,
    regs: Uint32Array,
    drive: (level: boolean) => void,
  ) {
    this.#clock = clock;
    this.#regs = regs;
    this.#drive = drive;
    this.#timer = clock.timer(() => this.#expire());
  }

  /** Go on from this state: drives the pin and arms the timer. */
  adopt(regs: Uint32Array, state: InterruptState): void {
    this.#regs = regs;
    this.#state = state;
    this.#drive(state.level);
    this.#arm();
  }

  /** There are these causes. */
  raise(causes: number): void {
    this.#regs[ICR >> 2] |= causes & CAUSES;
    this.update();
  }

  /** Read ICR: what it reads is gone. */
  acknowledge(): number {
    const causes = this.#regs[ICR >> 2];
    this.#regs[ICR >> 2] = 0;
    this.update();
    return causes;
  }

  /** These causes are gone. */
  clear(causes: number): void {
    this.#regs[ICR >> 2] &= ~causes;
    this.update();
  }

  /** Change the mask: set bits, then clear bits. */
  mask(set: number, clear: number): void {
    const ims = this.#regs[IMS >> 2];
    this.#regs[IMS >> 2] = (ims | set & CAUSES) & ~clear;
    this.update();
  }

  /** ITR was written: the time that is under way is no longer than it says. */
  throttle(): void {
    const state = this.#state;
    const end = this.#clock.now() + this.#regs[ITR >> 2] * ITR_NS;
    if (state.quietUntil > end) state.quietUntil = end;
    this.update();
  }

  /** A frame was received: RXT0, now or later. */
  received(): void {
    const delay = this.#regs[RDTR >> 2];
    if (delay === 0) return this.flushReceive();
    const state = this.#state;
    const now = this.#clock.now();
    const most = this.#regs[RADV >> 2];
    state.receivePacket = now + delay * DELAY_NS;
    if (state.receiveAbsolute === 0 && most !== 0) {
      state.receiveAbsolute = now + most * DELAY_NS;
    }
    this.#arm();
  }

  /** RXT0 without any more delay. */
  flushReceive(): void {
    this.#state.receivePacket = this.#state.receiveAbsolute = 0;
    this.raise(ICR_RXT0);
  }

  /** A descriptor was written back: TXDW, now or, if it may be, later. */
  transmitted(isDelayed: boolean): void {
    const state = this.#state;
    const delay = this.#regs[TIDV >> 2];
    if (!isDelayed || delay === 0) {
      state.transmitPacket = state.transmitAbsolute = 0;
      return this.raise(ICR_TXDW);
    }
    const now = this.#clock.now();
    const most = this.#regs[TADV >> 2];
    state.transmitPacket = now + delay * DELAY_NS;
    if (state.transmitAbsolute === 0 && most !== 0) {
      state.transmitAbsolute = now + most * DELAY_NS;
    }
    this.#arm();
  }

  /** Bring the pin in line with causes and mask, as the throttle allows. */
  update(): void {
    const state = this.#state;
    const pending = (this.#regs[ICR >> 2] & this.#regs[IMS >> 2]) !== 0;
    if (pending && !state.level) {
      const now = this.#clock.now();
      if (now < state.quietUntil) return this.#arm();
      const interval = this.#regs[ITR >> 2] * ITR_NS;
      state.quietUntil = interval === 0 ? 0 : now + interval;
    }
    if (pending !== state.level) {
      state.level = pending;
      this.#drive(pending);
    }
    // What it waited for may be no more, too.
    this.#arm();
  }

  #arm(): void {
    const state = this.#state;
    const isHeld = !state.level &&
      (this.#regs[ICR >> 2] & this.#regs[IMS >> 2]) !== 0;
    let due = isHeld ? state.quietUntil : 0;
    due = earlier(due, earlier(state.receivePacket, state.receiveAbsolute));
    due = earlier(due, earlier(state.transmitPacket, state.transmitAbsolute));
    if (due === 0) this.#timer.cancel();
    else this.#timer.arm(due);
  }

  #expire(): void {
    const state = this.#state;
    const now = this.#clock.now();
    let causes = 0;
    const receive = earlier(state.receivePacket, state.receiveAbsolute);
    if (receive !== 0 && receive <= now) {
      state.receivePacket = state.receiveAbsolute = 0;
      causes |= ICR_RXT0;
    }
    const transmit = earlier(state.transmitPacket, state.transmitAbsolute);
    if (transmit !== 0 && transmit <= now) {
      state.transmitPacket = state.transmitAbsolute = 0;
      causes |= ICR_TXDW;
    }
    this.raise(causes);
    this.#arm();
  }
}
