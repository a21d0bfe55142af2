/**
 * The model-specific registers that are mere storage: where each stands in the
 * state, and what it has after a reset.
 *
 * @module
 */

import type { Registers } from "./registers.ts";
import { MSRS_BYTES, OFF_MSRS, OFF_MTRR_DEF_TYPE } from "./state.ts";

/** Default type write-back, MTRRs on: as firmware leaves it, for there may be none. */
const MTRR_DEF_TYPE = 0x806;
/** PAT's reset value (SDM volume 3, table 11-12). */
const PAT_LO = 0x00070406, PAT_HI = 0x00070406;
/** IA32_MISC_ENABLE: fast strings; no BTS, no PEBS. */
const MISC_ENABLE = 0x1801;

/** IA32_TSC_AUX, what RDTSCP gives in ECX: its address as a signed number. */
export const TSC_AUX: number = 0xc0000103 | 0;

/** The MTRRs of fixed ranges. */
const MTRR_FIXED: readonly number[] = [
  0x250,
  0x258,
  0x259,
  0x268,
  0x269,
  0x26a,
  0x26b,
  0x26c,
  0x26d,
  0x26e,
  0x26f,
];

/** Whether an MSR describes a fixed range of memory. */
export function isFixedMtrr(address: number): boolean {
  return MTRR_FIXED.includes(address);
}

/** Whether an MSR is one of the eight pairs that describe a variable range. */
export function isVariableMtrr(address: number): boolean {
  return address >= 0x200 && address <= 0x20f;
}

/** Addresses (signed), in the order in which they stand in the state. */
const STORED: readonly number[] = [
  0x00, // P5_MC_ADDR
  0x01, // P5_MC_TYPE
  0x2a, // EBL_CR_POWERON
  0x48, // IA32_SPEC_CTRL
  0x8b, // IA32_BIOS_SIGN_ID
  0x119, // BBL_CR_CTL
  0x11e, // BBL_CR_CTL3
  0x17a, // IA32_MCG_STATUS
  0x19a, // IA32_CLOCK_MODULATION
  0x19b, // IA32_THERM_INTERRUPT
  0x1a0, // IA32_MISC_ENABLE
  0x1d9, // IA32_DEBUGCTL
  0x1db, // LASTBRANCHFROMIP
  0x1dc, // LASTBRANCHTOIP
  0x1dd, // LASTINTFROMIP
  0x1de, // LASTINTTOIP
  ...Array.from({ length: 16 }, (_, i) => 0x200 + i),
  ...MTRR_FIXED,
  0x277, // IA32_PAT
  TSC_AUX,
];
if (8 * STORED.length > MSRS_BYTES) throw new Error("no room for the MSRs");

const WORDS: ReadonlyMap<number, number> = new Map(
  STORED.map((address, i) => [address, (OFF_MSRS >> 2) + 2 * i]),
);

/** Word of the state at which a stored MSR stands, low half first; -1: none of them. */
export function msrWord(address: number): number {
  return WORDS.get(address | 0) ?? -1;
}

function initial(address: number): readonly [number, number] {
  if (address === 0x277) return [PAT_LO, PAT_HI];
  if (address === 0x1a0) return [MISC_ENABLE, 0];
  // Write-back, as MTRR_DEF_TYPE.
  return isFixedMtrr(address) ? [0x06060606, 0x06060606] : [0, 0];
}

/** The stored MSRs after a reset. */
export function resetMsrs({ state }: Registers): void {
  state[OFF_MTRR_DEF_TYPE >> 2] = MTRR_DEF_TYPE;
  for (const [address, word] of WORDS) {
    const [lo, hi] = initial(address);
    state[word] = lo;
    state[word + 1] = hi;
  }
}

/** Address, low and high word of each stored MSR that has another value than after a reset. */
export function changedMsrs({ state }: Registers): number[][] {
  const changed: number[][] = [];
  for (const [address, word] of WORDS) {
    const [lo, hi] = initial(address);
    if (state[word] !== lo || state[word + 1] !== hi) {
      changed.push([address, state[word], state[word + 1]]);
    }
  }
  return changed;
}
