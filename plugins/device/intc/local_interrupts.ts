/**
 * How a local APIC takes interrupts, from its timer, its pins and messages,
 * orders them by priority and gives them to the CPU: all but its registers.
 *
 * Source: Intel SDM volume 3, 10.5 (local interrupts) and 10.8 (handling).
 *
 * @module
 */

import {
  APIC_BASE_ENABLE,
  type ApicBus,
  DELIVER_EXTINT,
  DELIVER_FIXED,
  DELIVER_INIT,
  DELIVER_LOWEST,
  DELIVER_NMI,
  DELIVER_SMI,
  DELIVER_STARTUP,
} from "../../../core/bus/apic.ts";
import type { IrqLine } from "../../../core/bus/irq_line.ts";
import type { InterruptController } from "../../../core/machine/cpu.ts";
import type { Logger } from "../../../core/machine/plugin.ts";
import type { Clock } from "../../../core/time/clock.ts";
import { ApicTimer } from "./apic_timer.ts";
import type { LocalApicState } from "./lapic_memory.ts";
import {
  ESR_RECEIVE_ILLEGAL,
  FIRST_VECTOR,
  LVT_DEADLINE,
  LVT_ERROR,
  LVT_LEVEL,
  LVT_LINT0,
  LVT_LINT1,
  LVT_MASKED,
  LVT_MODE_SHIFT,
  LVT_REMOTE_IRR,
  LVT_TIMER,
  LVT_WRITABLE,
  SVR_ENABLE,
} from "./lapic_state.ts";
import { hasVector, highestVector, putVector } from "./vector_set.ts";

/** What a local APIC is wired to. */
export interface LocalApicWires {
  /** Virtual time. */
  readonly clock: Clock;
  /** The log. */
  readonly log: Logger;
  /** What carries the end of an interrupt to the I/O APICs. */
  readonly bus: ApicBus;
  /** The 8259A behind LINT0. */
  readonly pic: InterruptController;
  /** To the CPU's INTR. */
  readonly intr: IrqLine;
  /** To the CPU's NMI. */
  readonly nmi: IrqLine;
  /** An INIT has come. */
  readonly init: () => void;
  /** A start-up message has come. */
  readonly startup: (page: number) => void;
}

/** The interrupts of a local APIC. */
export class LocalInterrupts {
  /** The timer. */
  readonly timer: ApicTimer;
  /** Whether software may choose the timer's TSC-deadline mode. */
  hasDeadline = false;
  #state: LocalApicState;
  readonly #wires: LocalApicWires;

  /** The interrupts of a local APIC in this state. */
  constructor(state: LocalApicState, wires: LocalApicWires) {
    this.#state = state;
    this.#wires = wires;
    this.timer = new ApicTimer(
      state,
      wires.clock,
      () => hasVector(this.#state.IRR, this.#state.LVT[LVT_TIMER] & 0xff),
      () => this.#request(this.#state.LVT[LVT_TIMER] & 0xff, false),
    );
  }

  /** Go on from this state; `update` must follow. */
  adopt(state: LocalApicState): void {
    this.#state = state;
    this.timer.adopt(state);
  }

  /** Whether IA32_APIC_BASE enables it. */
  get isEnabled(): boolean {
    return (this.#state.base & APIC_BASE_ENABLE) !== 0;
  }

  /** Whether it takes vectors from others: software has enabled it. */
  get accepts(): boolean {
    return (this.#state.SVR & SVR_ENABLE) !== 0;
  }

  /** The processor priority register. */
  get priority(): number {
    const { TPR } = this.#state;
    const inService = Math.max(highestVector(this.#state.ISR), 0);
    return TPR >> 4 >= inService >> 4 ? TPR : inService & 0xf0;
  }

  /** See `ApicReceiver.receive`. */
  receive(mode: number, vector: number, level: boolean): boolean {
    switch (mode) {
      case DELIVER_FIXED:
      case DELIVER_LOWEST:
        return this.accepts && this.#request(vector, level);
      case DELIVER_NMI:
        this.#wires.nmi.pulse();
        return true;
      case DELIVER_INIT:
        this.#wires.init();
        return true;
      case DELIVER_EXTINT:
        this.#state.extint = true;
        this.update();
        return true;
      case DELIVER_SMI:
        this.#wires.log.guest("a system management interrupt");
        return true;
      case DELIVER_STARTUP:
        this.#wires.startup(vector);
        return true;
      default:
        this.#wires.log.guest("a reserved delivery mode");
        return false;
    }
  }

  /** Put a vector into IRR, unless it is illegal. */
  #request(vector: number, level: boolean): boolean {
    if (vector < FIRST_VECTOR) {
      this.error(ESR_RECEIVE_ILLEGAL);
      return false;
    }
    putVector(this.#state.IRR, vector, true);
    putVector(this.#state.TMR, vector, level);
    this.update();
    return true;
  }

  /** The vector that is of a higher priority than what the CPU does, or -1. */
  #pending(): number {
    // "Held", SDM 10.4.7.2: as in QEMU and KVM, until it is enabled again.
    if (!this.accepts) return -1;
    const vector = highestVector(this.#state.IRR);
    return vector >= 0 && vector >> 4 > this.priority >> 4 ? vector : -1;
  }

  /** Whether the 8259A's request goes to the CPU. */
  #isExternal(): boolean {
    const { LVT, lint, extint } = this.#state;
    if (!this.isEnabled) return (lint & 1) !== 0;
    for (let pin = 0; pin < 2; pin++) {
      const entry = LVT[LVT_LINT0 + pin];
      if (
        (lint >> pin & 1) !== 0 && (entry & LVT_MASKED) === 0 &&
        (entry >> LVT_MODE_SHIFT & 7) === DELIVER_EXTINT
      ) return true;
    }
    return extint;
  }

  /** Ask the CPU, or no longer: after any change of the state. */
  update(): void {
    this.#wires.intr.set(this.#pending() >= 0 || this.#isExternal());
  }

  /** The CPU takes an interrupt: its vector, the local ones first. */
  acknowledge(): number {
    const s = this.#state;
    const vector = this.#pending();
    if (vector >= 0) {
      putVector(s.IRR, vector, false);
      putVector(s.ISR, vector, true);
      if (vector === (s.LVT[LVT_TIMER] & 0xff)) this.timer.taken();
      this.update();
      this.#wires.bus.take(vector);
      return vector;
    }
    if (this.#isExternal()) {
      s.extint = false;
      const external = this.#wires.pic.acknowledge();
      this.update();
      return external;
    }
    return s.SVR & 0xff;
  }

  /** EOI: the interrupt of the highest priority in service has ended. */
  end(): void {
    const s = this.#state;
    const vector = highestVector(s.ISR);
    if (vector < 0) return;
    putVector(s.ISR, vector, false);
    if (hasVector(s.TMR, vector)) {
      for (let i = LVT_LINT0; i <= LVT_LINT1; i++) {
        if ((s.LVT[i] & 0xff) === vector) s.LVT[i] &= ~LVT_REMOTE_IRR;
      }
      this.#wires.bus.end(vector);
      this.#levels();
    }
    this.update();
  }

  /** Something was wrong; the guest sees it when it has written to ESR. */
  error(bit: number): void {
    const s = this.#state;
    const known = (s.errors & bit) !== 0;
    s.errors |= bit;
    const entry = s.LVT[LVT_ERROR];
    // An illegal vector here too would be an error again.
    if (known || (entry & LVT_MASKED) !== 0) return;
    if ((entry & 0xff) >= FIRST_VECTOR) this.#request(entry & 0xff, false);
    else s.errors |= ESR_RECEIVE_ILLEGAL;
  }

  // Pins.

  /** LINT0 or LINT1 changes. */
  setPin(pin: number, level: boolean): void {
    const s = this.#state;
    const bit = 1 << pin;
    const rises = level && (s.lint & bit) === 0;
    s.lint = level ? s.lint | bit : s.lint & ~bit;
    if (!this.isEnabled) {
      if (pin === 1 && rises) this.#wires.nmi.pulse();
    } else if (rises) {
      this.#raised(s.LVT[LVT_LINT0 + pin]);
      this.#levels();
    }
    this.update();
  }

  /** A pin with this LVT entry has risen. */
  #raised(entry: number): void {
    if ((entry & LVT_MASKED) !== 0) return;
    const mode = entry >> LVT_MODE_SHIFT & 7;
    switch (mode) {
      case DELIVER_EXTINT: // its level counts
        return;
      case DELIVER_FIXED:
        if ((entry & LVT_LEVEL) === 0) this.#request(entry & 0xff, false);
        return;
      default:
        this.receive(mode, entry & 0xff, false);
    }
  }

  /** Level-triggered pins that are high and whose interrupt is not served. */
  #levels(): void {
    const { LVT, lint } = this.#state;
    for (let pin = 0; pin < 2; pin++) {
      const entry = LVT[LVT_LINT0 + pin];
      if ((lint >> pin & 1) === 0 || (entry & LVT_LEVEL) === 0) continue;
      if ((entry & (LVT_MASKED | LVT_REMOTE_IRR)) !== 0) continue;
      if ((entry >> LVT_MODE_SHIFT & 7) !== DELIVER_FIXED) continue;
      if (this.#request(entry & 0xff, true)) {
        LVT[LVT_LINT0 + pin] |= LVT_REMOTE_IRR;
      }
    }
  }

  /** The bits of an entry of the local vector table that software writes. */
  writable(index: number): number {
    const deadline = index === LVT_TIMER && this.hasDeadline;
    return LVT_WRITABLE[index] | (deadline ? LVT_DEADLINE : 0);
  }

  /** Write an entry of the local vector table. */
  writeLvt(index: number, value: number): void {
    const s = this.#state;
    let entry = s.LVT[index] & LVT_REMOTE_IRR | value & this.writable(index);
    // While it is disabled by software, the mask bits cannot be cleared.
    if (!this.accepts) entry |= LVT_MASKED;
    if ((entry & LVT_LEVEL) === 0) entry &= ~LVT_REMOTE_IRR;
    if (index === LVT_TIMER) this.#writeTimer(entry);
    else s.LVT[index] = entry;
    this.#levels();
    this.update();
  }

  /** Software has disabled the APIC: what the table says is masked. */
  maskAll(): void {
    const { LVT } = this.#state;
    this.#writeTimer(LVT[LVT_TIMER] | LVT_MASKED);
    for (let i = 0; i < LVT.length; i++) LVT[i] |= LVT_MASKED;
  }

  /** The LVT entry of the timer. */
  #writeTimer(entry: number): void {
    this.timer.writeEntry(entry);
    const masked = (entry & LVT_MASKED) !== 0;
    const illegal = (entry & 0xff) < FIRST_VECTOR;
    if (!masked && illegal) this.error(ESR_RECEIVE_ILLEGAL);
  }
}
