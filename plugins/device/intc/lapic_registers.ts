/**
 * The registers of a local APIC: where they are, and which there are.
 *
 * Source: Intel SDM volume 3, chapter 10.
 *
 * @module
 */

/** The version register: six LVT entries, an integrated APIC. */
export const VERSION = 0x00050014;

/** A register, by its offset / 16 (SDM table 10-1). */
export const ID = 0x02,
  VER = 0x03,
  TPR = 0x08,
  APR = 0x09,
  PPR = 0x0a,
  EOI = 0x0b,
  RRD = 0x0c,
  LDR = 0x0d,
  DFR = 0x0e,
  SVR = 0x0f,
  ISR = 0x10,
  TMR = 0x18,
  IRR = 0x20,
  ESR = 0x28,
  ICRL = 0x30,
  ICRH = 0x31,
  LVT = 0x32,
  INITIAL_COUNT = 0x38,
  CURRENT_COUNT = 0x39,
  DCR = 0x3e,
  SELF_IPI = 0x3f;

/** Whether there is a register (SDM table 10-1). */
export function isRegister(register: number): boolean {
  return register === ID || register === VER ||
    register >= TPR && register <= ESR ||
    register >= ICRL && register <= CURRENT_COUNT || register === DCR;
}

/** Whether a register is an MSR in x2APIC mode (SDM table 10-6). */
export function isMsr(register: number): boolean {
  switch (register) {
    case APR:
    case RRD:
    case DFR:
    case ICRH:
      return false;
  }
  return register === SELF_IPI || isRegister(register);
}
