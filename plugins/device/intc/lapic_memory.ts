/**
 * Where the registers of a local APIC stand in the shared memory: in the area
 * of its CPU, so that any thread can read them there and deliver to them.
 *
 * @module
 */

import { LOCAL_APIC_BYTES } from "../../../core/bus/apic.ts";
import type { ApicTimerRecord, LocalApicRecord } from "./lapic_state.ts";

// Offsets in bytes from where the registers begin. First what a double holds:
// addresses of more than 32 bits, and times.

/** IA32_APIC_BASE. */
const OFF_BASE = 0x00;
/** The timer: since when it counts. */
const OFF_SINCE = 0x08;
/** The timer: its deadline. */
const OFF_DEADLINE = 0x10;
/** The timer: initial count register. */
const OFF_INITIAL = 0x18;
/** The timer: the count. */
const OFF_COUNT = 0x1c;
/** The timer: divide configuration register. */
const OFF_DCR = 0x20;
/** The APIC ID. */
const OFF_ID = 0x24;
/** Task priority register. */
const OFF_TPR = 0x28;
/** Logical destination register. */
const OFF_LDR = 0x2c;
/** Destination format register. */
const OFF_DFR = 0x30;
/** Spurious-interrupt vector register. */
const OFF_SVR = 0x34;
/** Error status register. */
const OFF_ESR = 0x38;
/** Errors that are not shown yet. */
const OFF_ERRORS = 0x3c;
/** Interrupt command register, low and high. */
const OFF_ICRL = 0x40, OFF_ICRH = 0x44;
/** Levels of LINT0 and LINT1. */
const OFF_LINT = 0x48;
/** 1: a message asked for an interrupt of the 8259A. */
const OFF_EXTINT = 0x4c;
/** The local vector table: six words. */
const OFF_LVT = 0x50, LVT_BYTES = 24;
/** In-service, trigger mode and interrupt request register: 256 bits each. */
const OFF_ISR = 0x80, OFF_TMR = 0xa0, OFF_IRR = 0xc0, SET_BYTES = 32;
/** End of the registers. */
const STATE_END = OFF_IRR + SET_BYTES;
if (STATE_END > LOCAL_APIC_BYTES) throw new Error("no room for the registers");

// Word indices, as constants of this file: they are hot.

const W_INITIAL = OFF_INITIAL >> 2;
const W_COUNT = OFF_COUNT >> 2;
const W_DCR = OFF_DCR >> 2;
const W_ID = OFF_ID >> 2;
const W_TPR = OFF_TPR >> 2;
const W_LDR = OFF_LDR >> 2;
const W_DFR = OFF_DFR >> 2;
const W_SVR = OFF_SVR >> 2;
const W_ESR = OFF_ESR >> 2;
const W_ERRORS = OFF_ERRORS >> 2;
const W_ICRL = OFF_ICRL >> 2;
const W_ICRH = OFF_ICRH >> 2;
const W_LINT = OFF_LINT >> 2;
const W_EXTINT = OFF_EXTINT >> 2;
const D_BASE = OFF_BASE >> 3;
const D_SINCE = OFF_SINCE >> 3;
const D_DEADLINE = OFF_DEADLINE >> 3;

/** The registers of the timer, as {@linkcode ApicTimerRecord} describes them. */
export class ApicTimerState implements ApicTimerRecord {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;

  /** Those in these words and doubles of a local APIC. */
  constructor(words: Int32Array, doubles: Float64Array) {
    this.#words = words;
    this.#doubles = doubles;
  }

  /** Initial count register. */
  get initial(): number {
    return this.#words[W_INITIAL] >>> 0;
  }

  set initial(value: number) {
    this.#words[W_INITIAL] = value;
  }

  /** Divide configuration register. */
  get DCR(): number {
    return this.#words[W_DCR];
  }

  set DCR(value: number) {
    this.#words[W_DCR] = value;
  }

  /** What the current count was at the time `since`. */
  get count(): number {
    return this.#words[W_COUNT] >>> 0;
  }

  set count(value: number) {
    this.#words[W_COUNT] = value;
  }

  /** A virtual time in nanoseconds. */
  get since(): number {
    return this.#doubles[D_SINCE];
  }

  set since(value: number) {
    this.#doubles[D_SINCE] = value;
  }

  /** In TSC-deadline mode: the virtual time of the tick; 0: there is none. */
  get deadline(): number {
    return this.#doubles[D_DEADLINE];
  }

  set deadline(value: number) {
    this.#doubles[D_DEADLINE] = value;
  }
}

/** The registers of a local APIC, as {@linkcode LocalApicRecord} describes them. */
export class LocalApicState {
  /** In-service register. */
  readonly ISR: Int32Array;
  /** Trigger mode register. */
  readonly TMR: Int32Array;
  /** Interrupt request register. */
  readonly IRR: Int32Array;
  /** The local vector table. */
  readonly LVT: Int32Array;
  /** The timer. */
  readonly timer: ApicTimerState;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;

  /** What stands in a memory from an offset on, which is a multiple of 8. */
  constructor(memory: ArrayBufferLike, offset: number) {
    const words = new Int32Array(memory, offset, STATE_END >> 2);
    const part = (at: number, bytes: number): Int32Array =>
      words.subarray(at >> 2, (at + bytes) >> 2);
    this.#words = words;
    this.#doubles = new Float64Array(memory, offset, STATE_END >> 3);
    this.ISR = part(OFF_ISR, SET_BYTES);
    this.TMR = part(OFF_TMR, SET_BYTES);
    this.IRR = part(OFF_IRR, SET_BYTES);
    this.LVT = part(OFF_LVT, LVT_BYTES);
    this.timer = new ApicTimerState(words, this.#doubles);
  }

  /** IA32_APIC_BASE. */
  get base(): number {
    return this.#doubles[D_BASE];
  }

  set base(value: number) {
    this.#doubles[D_BASE] = value;
  }

  /** The APIC ID. */
  get id(): number {
    return this.#words[W_ID];
  }

  set id(value: number) {
    this.#words[W_ID] = value;
  }

  /** Task priority register. */
  get TPR(): number {
    return this.#words[W_TPR];
  }

  set TPR(value: number) {
    this.#words[W_TPR] = value;
  }

  /** Logical destination register: the ID, bits 24 to 31. */
  get LDR(): number {
    return this.#words[W_LDR];
  }

  set LDR(value: number) {
    this.#words[W_LDR] = value;
  }

  /** Destination format register: the model, bits 28 to 31. */
  get DFR(): number {
    return this.#words[W_DFR];
  }

  set DFR(value: number) {
    this.#words[W_DFR] = value;
  }

  /** Spurious-interrupt vector register. */
  get SVR(): number {
    return this.#words[W_SVR];
  }

  set SVR(value: number) {
    this.#words[W_SVR] = value;
  }

  /** Error status register. */
  get ESR(): number {
    return this.#words[W_ESR];
  }

  set ESR(value: number) {
    this.#words[W_ESR] = value;
  }

  /** Errors that the next write to ESR shows there. */
  get errors(): number {
    return this.#words[W_ERRORS];
  }

  set errors(value: number) {
    this.#words[W_ERRORS] = value;
  }

  /** Interrupt command register, low. */
  get ICRL(): number {
    return this.#words[W_ICRL];
  }

  set ICRL(value: number) {
    this.#words[W_ICRL] = value;
  }

  /** Interrupt command register, high. */
  get ICRH(): number {
    return this.#words[W_ICRH];
  }

  set ICRH(value: number) {
    this.#words[W_ICRH] = value;
  }

  /** Levels of LINT0 and LINT1. */
  get lint(): number {
    return this.#words[W_LINT];
  }

  set lint(value: number) {
    this.#words[W_LINT] = value;
  }

  /** A message asked for an interrupt of the 8259A. */
  get extint(): boolean {
    return this.#words[W_EXTINT] !== 0;
  }

  set extint(value: boolean) {
    this.#words[W_EXTINT] = value ? 1 : 0;
  }

  /** All of it as a record. */
  record(): LocalApicRecord {
    const { initial, DCR, count, since, deadline } = this.timer;
    return {
      base: this.base,
      id: this.id,
      TPR: this.TPR,
      LDR: this.LDR,
      DFR: this.DFR,
      SVR: this.SVR,
      ISR: Array.from(this.ISR),
      TMR: Array.from(this.TMR),
      IRR: Array.from(this.IRR),
      ESR: this.ESR,
      errors: this.errors,
      ICRL: this.ICRL,
      ICRH: this.ICRH,
      LVT: Array.from(this.LVT),
      timer: { initial, DCR, count, since, deadline },
      lint: this.lint,
      extint: this.extint,
    };
  }

  /** The reverse of `record`. */
  assign(record: LocalApicRecord): void {
    const { ISR, TMR, IRR, LVT, timer, ...rest } = record;
    this.ISR.set(ISR);
    this.TMR.set(TMR);
    this.IRR.set(IRR);
    this.LVT.set(LVT);
    Object.assign(this.timer, timer);
    Object.assign(this, rest);
  }
}
