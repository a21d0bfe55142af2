/**
 * The registers' bits of a local APIC, and the record of its state.
 *
 * Source: Intel SDM volume 3, chapter 10.
 *
 * @module
 */

import { noVectors } from "./vector_set.ts";

/** Where the registers are after reset. */
export const APIC_DEFAULT_BASE = 0xfee00000;

/** LVT entries, in the order of their registers (320h to 370h). */
export const LVT_TIMER = 0,
  LVT_THERMAL = 1,
  LVT_PERFORMANCE = 2,
  LVT_LINT0 = 3,
  LVT_LINT1 = 4,
  LVT_ERROR = 5;

/** LVT: delivery mode. */
export const LVT_MODE_SHIFT = 8;
/** LVT: the interrupt has been accepted and not ended (level triggered). */
export const LVT_REMOTE_IRR = 0x4000;
/** LVT: what software cannot write, though it is there: also the delivery status. */
export const LVT_READ_ONLY: number = 0x1000 | LVT_REMOTE_IRR;
/** LVT: level triggered. */
export const LVT_LEVEL = 0x8000;
/** LVT: masked. */
export const LVT_MASKED = 0x10000;
/** LVT of the timer: TSC deadline. */
export const LVT_DEADLINE = 0x40000;
/** LVT of the timer: periodic. */
export const LVT_PERIODIC = 0x20000;

/**
 * The bits of each LVT entry that software writes. The lines carry what they
 * mean and no voltage, so that the polarity bit only keeps what is written.
 */
export const LVT_WRITABLE: readonly number[] = [
  0x300ff,
  0x107ff,
  0x107ff,
  0x1a7ff,
  0x1a7ff,
  0x100ff,
];

/** SVR: enabled by software. */
export const SVR_ENABLE = 0x100;
/** SVR: the bits that are there: vector, enable, focus check. */
export const SVR_BITS = 0x3ff;

/** ESR: a vector below 16 was to be sent. */
export const ESR_SEND_ILLEGAL = 0x20;
/** ESR: one was received. */
export const ESR_RECEIVE_ILLEGAL = 0x40;
/** ESR: a register that does not exist was accessed. */
export const ESR_REGISTER = 0x80;

/** The first legal vector. */
export const FIRST_VECTOR = 16;

/** The state of the timer: part of its local APIC's. */
export interface ApicTimerRecord {
  /** Initial count register. */
  initial: number;
  /** Divide configuration register. */
  DCR: number;
  /** What the current count was at the time `since`. */
  count: number;
  /** A virtual time in nanoseconds. */
  since: number;
  /** In TSC-deadline mode: the virtual time of the tick; 0: there is none. */
  deadline: number;
}

/** The state of a local APIC. */
export interface LocalApicRecord {
  /** IA32_APIC_BASE. */
  base: number;
  /** The APIC ID. */
  id: number;
  /** Task priority register. */
  TPR: number;
  /** Logical destination register: the ID, bits 24 to 31. */
  LDR: number;
  /** Destination format register: the model, bits 28 to 31. */
  DFR: number;
  /** Spurious-interrupt vector register. */
  SVR: number;
  /** In-service register. */
  ISR: number[];
  /** Trigger mode register. */
  TMR: number[];
  /** Interrupt request register. */
  IRR: number[];
  /** Error status register. */
  ESR: number;
  /** Errors that the next write to ESR shows there. */
  errors: number;
  /** Interrupt command register, low. */
  ICRL: number;
  /** Interrupt command register, high. */
  ICRH: number;
  /** The local vector table. */
  LVT: number[];
  /** The timer. */
  timer: ApicTimerRecord;
  /** Levels of LINT0 and LINT1. */
  lint: number;
  /** A message asked for an interrupt of the 8259A. */
  extint: boolean;
}

/** The state after power-up (SDM 10.4.7.1). */
export function freshLocalApic(base: number, id: number): LocalApicRecord {
  return {
    base,
    id,
    TPR: 0,
    LDR: 0,
    DFR: 15,
    SVR: 0xff,
    ISR: noVectors(),
    TMR: noVectors(),
    IRR: noVectors(),
    ESR: 0,
    errors: 0,
    ICRL: 0,
    ICRH: 0,
    LVT: LVT_WRITABLE.map(() => LVT_MASKED),
    timer: { initial: 0, DCR: 0, count: 0, since: 0, deadline: 0 },
    lint: 0,
    extint: false,
  };
}
