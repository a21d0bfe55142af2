/**
 * The static mode key of a state: everything beside the program counter that
 * the translation of an instruction depends on (the `KEY_` bits of state.ts).
 *
 * @module
 */

import { ATTR_LONG, EFER_LMA } from "./long_mode.ts";
import {
  AC,
  CS,
  DS,
  ES,
  FS,
  GS,
  IOPL_MASK,
  KEY_ALIGN,
  KEY_AVX,
  KEY_CODE32,
  KEY_CPL_SHIFT,
  KEY_DEBUG,
  KEY_EM,
  KEY_FLAT_CS,
  KEY_FLAT_DATA,
  KEY_IOPL_OK,
  KEY_LIMIT_64K,
  KEY_LONG,
  KEY_MP,
  KEY_MXCSR_DEFAULT,
  KEY_MXCSR_PE,
  KEY_NE,
  KEY_OPEN_FS,
  KEY_OPEN_GS,
  KEY_OSFXSR,
  KEY_PROTECTED,
  KEY_STACK32,
  KEY_TF,
  KEY_TS,
  KEY_UNPAGED,
  KEY_V86,
  OFF_CPL,
  OFF_CR,
  OFF_DR,
  OFF_EFER,
  OFF_FLAGS,
  OFF_MXCSR,
  OFF_SEG,
  OFF_XCR0,
  SS,
  TF,
  VM,
} from "./state.ts";

const W_FLAGS = OFF_FLAGS >> 2;
const W_SEG = OFF_SEG >> 2;
const W_CR0 = OFF_CR >> 2;
const W_CR4 = (OFF_CR >> 2) + 8;
const W_DR = OFF_DR >> 2;
const W_CPL = OFF_CPL >> 2;
const W_MXCSR = OFF_MXCSR >> 2;
const W_XCR0 = OFF_XCR0 >> 2;
const W_EFER = OFF_EFER >> 2;
/** Words of a segment register. */
const SEG_WORDS = 8;
// CR0 bits.
const CR0_PE = 1,
  CR0_MP = 2,
  CR0_EM = 4,
  CR0_TS = 8,
  CR0_NE = 0x20,
  CR0_PG = 0x80000000 | 0,
  CR0_AM = 0x40000;

/** The mode key of the state in these words. */
export function modeKey(s: Int32Array): number {
  const cr0 = s[W_CR0];
  const flags = s[W_FLAGS];
  const cpl = s[W_CPL];
  let k = cpl << KEY_CPL_SHIFT;
  if (
    (s[W_EFER] & EFER_LMA) !== 0 &&
    (s[W_SEG + CS * SEG_WORDS + 6] & ATTR_LONG) !== 0
  ) k |= KEY_LONG | KEY_FLAT_CS | KEY_FLAT_DATA;
  else k |= segmentKey(s, cpl);
  const iopl = (flags & IOPL_MASK) >> 12;
  if ((k & KEY_FLAT_DATA) === 0 && isLimit64K(s)) k |= KEY_LIMIT_64K;
  if ((cr0 & CR0_PE) === 0) k |= KEY_IOPL_OK;
  else if ((flags & VM) !== 0) {
    k |= KEY_V86;
    if (iopl === 3) k |= KEY_IOPL_OK;
  } else {
    k |= KEY_PROTECTED;
    if (cpl <= iopl) k |= KEY_IOPL_OK;
  }
  if ((flags & TF) !== 0) k |= KEY_TF;
  if ((cr0 & CR0_EM) !== 0) k |= KEY_EM;
  if ((cr0 & CR0_TS) !== 0) k |= KEY_TS;
  if ((cr0 & CR0_MP) !== 0) k |= KEY_MP;
  if ((s[W_CR4] & 0x200) !== 0) k |= KEY_OSFXSR;
  if ((s[W_CR4] & 0x40000) !== 0 && (s[W_XCR0] & 6) === 6) k |= KEY_AVX;
  if ((cr0 & CR0_AM) !== 0 && (flags & AC) !== 0 && cpl === 3) k |= KEY_ALIGN;
  const mxcsr = s[W_MXCSR];
  if ((mxcsr & 0xffc0) === 0x1f80) k |= KEY_MXCSR_DEFAULT;
  if ((mxcsr & 0x20) !== 0) k |= KEY_MXCSR_PE;
  if ((s[W_DR + 14] & 0xff) !== 0) k |= KEY_DEBUG;
  if ((cr0 & CR0_NE) !== 0) k |= KEY_NE;
  if ((cr0 & CR0_PG) === 0) k |= KEY_UNPAGED;
  return k;
}

/** The bits of the mode key that segments are in, outside 64-bit mode. */
function segmentKey(s: Int32Array, cpl: number): number {
  let k = 0;
  if ((s[W_SEG + CS * SEG_WORDS + 6] & 0x400000) !== 0) k |= KEY_CODE32;
  if ((s[W_SEG + SS * SEG_WORDS + 6] & 0x400000) !== 0) k |= KEY_STACK32;
  if (isFlat(s, CS, 0)) k |= KEY_FLAT_CS;
  if (
    isFlat(s, DS, 0x200) && isFlat(s, ES, 0x200) &&
    isFlat(s, SS, 0x200)
  ) k |= KEY_FLAT_DATA;
  if (isOpen(s, FS)) k |= KEY_OPEN_FS;
  if (cpl === 3 && isOpen(s, GS)) k |= KEY_OPEN_GS;
  return k;
}

/** Base 0, limit 4 GiB, present; for data (`type` 0x200) also expand-up and writable. */
function isFlat(s: Int32Array, seg: number, type: number): boolean {
  const w = W_SEG + seg * SEG_WORDS;
  if (s[w + 2] !== 0 || s[w + 4] !== -1) return false;
  // P, S, code bit, expand-down bit (code: ignored), writable bit.
  return type === 0
    ? (s[w + 6] & 0x8000) !== 0
    : (s[w + 6] & 0x9e00) === 0x9200;
}

/** Not in protected mode proper, and all segments as real mode has them. */
function isLimit64K(s: Int32Array): boolean {
  if ((s[W_CR0] & CR0_PE) !== 0 && (s[W_FLAGS] & VM) === 0) return false;
  for (let seg = ES; seg <= GS; seg++) {
    const w = W_SEG + seg * SEG_WORDS;
    if (s[w + 4] !== 0xffff) return false;
    if (seg !== CS && (s[w + 6] & 0x9e00) !== 0x9200) return false;
  }
  return true;
}

/** As flat, with any base. */
function isOpen(s: Int32Array, seg: number): boolean {
  const w = W_SEG + seg * SEG_WORDS;
  return s[w + 4] === -1 && (s[w + 6] & 0x9e00) === 0x9200;
}
