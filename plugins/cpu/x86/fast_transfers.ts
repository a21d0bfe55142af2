/**
 * The common case of interrupts and IRET, without the many small steps of
 * interrupts.ts: 32-bit gates to flat level 0 code, flat stacks, a frame that
 * lies in one page of plain memory, descriptors that need no accessed bit.
 * That is every system call, page fault and timer interrupt of a flat kernel.
 *
 * Each function looks at everything before it changes anything; it answers
 * false where the case is not the common one, and then nothing has happened
 * and the full path does it all. So nothing here raises a fault.
 *
 * [measured] INT and IRET of a round trip from level 3, together: 730 ns by the
 * full path, 190 ns here.
 *
 * @module
 */

import {
  OFF_TLB,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  TLB_READ,
  TLB_WRITE,
} from "../../../core/exec/layout.ts";
import type { X86 } from "./cpu.ts";
import {
  AC,
  ARITH_FLAGS,
  CS,
  DF,
  DS,
  ES,
  FS,
  GS,
  ID,
  IF,
  IOPL_MASK,
  KEY_ALIGN,
  KEY_CODE32,
  KEY_CPL_SHIFT,
  KEY_DEBUG,
  KEY_FLAT_CS,
  KEY_FLAT_DATA,
  KEY_IOPL_OK,
  KEY_OPEN_FS,
  KEY_OPEN_GS,
  KEY_PROTECTED,
  KEY_STACK32,
  KEY_TF,
  NT,
  OFF_CC_OP,
  OFF_CC_SRC,
  OFF_CPL,
  OFF_EIP,
  OFF_FLAGS,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_GPR,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  OFF_SEG,
  RF,
  SS,
  TF,
  TR,
  VIF,
  VIP,
  VM,
} from "./state.ts";

const W_EIP = OFF_EIP >> 2;
const W_ESP = (OFF_GPR >> 2) + 8;
const W_FLAGS = OFF_FLAGS >> 2;
const W_CC_OP = OFF_CC_OP >> 2;
const W_CC_SRC = OFF_CC_SRC >> 2;
const W_CPL = OFF_CPL >> 2;
const W_SEG = OFF_SEG >> 2;
const W_CS = W_SEG + CS * 8;
const W_SS = W_SEG + SS * 8;
const W_TR = W_SEG + TR * 8;
const W_GDT_BASE = OFF_GDT_BASE >> 2;
const W_GDT_LIMIT = OFF_GDT_LIMIT >> 2;
const W_IDT_BASE = OFF_IDT_BASE >> 2;
const W_IDT_LIMIT = OFF_IDT_LIMIT >> 2;
const TLB_INDEX = TLB_ENTRIES - 1;
const TLB_WORDS = TLB_ENTRY_BYTES >> 2;
const SECOND_TLB = TLB_BYTES;
const AT_READ = TLB_READ >> 2;
const AT_WRITE = TLB_WRITE >> 2;
const AT_HOST = TLB_HOST >> 2;
const PAGE = 4096;

/** Low word of a flat descriptor: limit bits 0-15, base bits 0-15. */
const FLAT_LO = 0xffff;
/** High word: base bits 16-31, limit bits 16-19, D/B, G. */
const FLAT_HI_MASK = 0xffcf00ff | 0;
const FLAT_HI = 0x00cf0000;
/** Attributes of code: present, code, not conforming, accessed (readable or not). */
const CODE_MASK = 0x9d00, CODE_BITS = 0x9900;
/** Attributes of a stack: present, data, expand-up, writable, accessed. */
const STACK_MASK = 0x9f00, STACK_BITS = 0x9300;
/** The attributes that a segment register keeps. */
const ATTR_MASK = 0xf0ff00;

/** Key bits that depend on CS, SS, CPL and the flags that a transfer changes. */
const KEY_TRANSFER = KEY_CODE32 | KEY_STACK32 | (3 << KEY_CPL_SHIFT) |
  KEY_FLAT_CS | KEY_FLAT_DATA | KEY_TF | KEY_IOPL_OK | KEY_ALIGN | KEY_OPEN_GS;
const KEY_FLAT = KEY_CODE32 | KEY_STACK32 | KEY_FLAT_CS;

/** Host word index of `bytes` aligned bytes at a linear address in one page, or 0 if the TLB does not say. */
function hostWord(
  cpu: X86,
  address: number,
  bytes: number,
  tlb: number,
  tag: number,
): number {
  const i32 = cpu.engine.i32;
  const entry = ((cpu.engine.base + OFF_TLB + tlb) >> 2) +
    ((address >>> 12) & TLB_INDEX) * TLB_WORDS;
  const offset = (address ^ i32[entry + tag]) >>> 0;
  if (offset > PAGE - bytes || (offset & 3) !== 0) return 0;
  // Unsigned: the memory may reach beyond 2 GiB.
  return (i32[entry + tag + AT_HOST] + offset) >>> 2;
}

/** Host word index of a GDT descriptor, or 0. */
function descriptorWord(cpu: X86, selector: number): number {
  const s = cpu.state;
  if (
    (selector & 4) !== 0 || selector < 4 ||
    (selector | 7) > (s[W_GDT_LIMIT] >>> 0)
  ) return 0;
  return hostWord(cpu, s[W_GDT_BASE] + (selector & 0xfff8), 8, 0, AT_READ);
}

/** Enters the handler of `vector` at level 0: see `enterHandler`. */
export function enterFast(
  cpu: X86,
  vector: number,
  software: boolean,
  next: number,
  error: number,
  resume: boolean,
): boolean {
  const key = cpu.key();
  if (
    (key & (KEY_PROTECTED | KEY_FLAT_DATA | KEY_DEBUG)) !==
      (KEY_PROTECTED | KEY_FLAT_DATA)
  ) return false;
  const s = cpu.state;
  const i32 = cpu.engine.i32;
  if (vector * 8 + 7 > (s[W_IDT_LIMIT] >>> 0)) return false;
  const gate = hostWord(cpu, s[W_IDT_BASE] + vector * 8, 8, 0, AT_READ);
  if (gate === 0) return false;
  const gateLo = i32[gate];
  const gateHi = i32[gate + 1];
  // A present 32-bit interrupt or trap gate.
  if ((gateHi & 0x9e00) !== 0x8e00) return false;
  const cpl = s[W_CPL];
  if (software && ((gateHi >> 13) & 3) < cpl) return false;
  const selector = gateLo >>> 16;
  const code = descriptorWord(cpu, selector);
  if (code === 0) return false;
  const codeHi = i32[code + 1];
  if (
    i32[code] !== FLAT_LO || (codeHi & FLAT_HI_MASK) !== FLAT_HI ||
    (codeHi & (CODE_MASK | 0x6000)) !== CODE_BITS
  ) return false;

  let esp = s[W_ESP];
  let bytes = error === -1 ? 12 : 16;
  let ss = s[W_SS];
  let ssAttr = s[W_SS + 6];
  if (cpl !== 0) {
    // The stack of the TSS, a 32-bit one.
    if ((s[W_TR + 6] & 0x800) === 0 || (s[W_TR + 4] >>> 0) < 0x67) return false;
    const at = hostWord(cpu, s[W_TR + 2] + 4, 8, 0, AT_READ);
    if (at === 0) return false;
    esp = i32[at];
    ss = i32[at + 1] & 0xffff;
    if ((ss & 3) !== 0) return false;
    const stack = descriptorWord(cpu, ss);
    if (stack === 0) return false;
    const stackHi = i32[stack + 1];
    if (
      i32[stack] !== FLAT_LO || (stackHi & FLAT_HI_MASK) !== FLAT_HI ||
      (stackHi & (STACK_MASK | 0x6000)) !== STACK_BITS
    ) return false;
    ssAttr = stackHi & ATTR_MASK;
    bytes += 8;
  } else if ((key & KEY_STACK32) === 0) return false;
  const frame = hostWord(cpu, esp - bytes, bytes, 0, AT_WRITE);
  if (frame === 0) return false;

  const flags = cpu.getEflags();
  let w = frame;
  if (error !== -1) i32[w++] = error;
  i32[w] = next;
  i32[w + 1] = s[W_CS];
  i32[w + 2] = resume ? flags | RF : flags;
  if (cpl !== 0) {
    i32[w + 3] = s[W_ESP];
    i32[w + 4] = s[W_SS];
    s[W_SS] = ss;
    s[W_SS + 2] = 0;
    s[W_SS + 4] = -1;
    s[W_SS + 6] = ssAttr;
    s[W_CPL] = 0;
  }
  s[W_ESP] = esp - bytes;
  s[W_CS] = selector & 0xfffc;
  s[W_CS + 2] = 0;
  s[W_CS + 4] = -1;
  s[W_CS + 6] = codeHi & ATTR_MASK;
  s[W_EIP] = gateLo & 0xffff | gateHi & 0xffff0000;
  s[W_FLAGS] &= (gateHi & 0x100) === 0
    ? ~(TF | NT | RF | VM | IF)
    : ~(TF | NT | RF | VM);
  // DS and ES were flat, so that the key says all of the rest.
  cpu.setKey(key & ~KEY_TRANSFER | KEY_FLAT | KEY_FLAT_DATA | KEY_IOPL_OK);
  return true;
}

/**
 * After a transfer to flat code and stack segments at `cpl` by an instruction
 * that leaves the data segments alone: the key. `key` is the one before.
 */
export function transferKey(cpu: X86, key: number): void {
  if ((key & KEY_FLAT_DATA) === 0) return cpu.updateKey();
  const s = cpu.state;
  const cpl = s[W_CPL];
  if ((s[W_FLAGS] & (TF | AC | VM)) !== 0) return cpu.updateKey();
  let k = key & ~KEY_TRANSFER | KEY_FLAT | KEY_FLAT_DATA |
    (cpl << KEY_CPL_SHIFT);
  if (cpl <= ((s[W_FLAGS] & IOPL_MASK) >> 12)) k |= KEY_IOPL_OK;
  if (cpl === 3 && isOpen(s, W_SEG + GS * 8)) k |= KEY_OPEN_GS;
  cpu.setKey(k);
}

/**
 * Loads ES, DS, FS or GS in protected mode with a GDT selector that is null,
 * or names a present, accessed segment that the level may have: see
 * `loadSegment`.
 */
export function loadDataFast(cpu: X86, seg: number, selector: number): boolean {
  const key = cpu.key();
  if ((key & (KEY_PROTECTED | KEY_DEBUG)) !== KEY_PROTECTED) return false;
  if (cpu.lma) return false;
  const s = cpu.state;
  const w = W_SEG + seg * 8;
  let base = 0, limit = 0, attr = 0;
  if (selector > 3) {
    const d = descriptorWord(cpu, selector);
    if (d === 0) return false;
    const i32 = cpu.engine.i32;
    const lo = i32[d];
    const hi = i32[d + 1];
    // Present, code or data, accessed; of code only what is readable and not conforming.
    if ((hi & 0x9100) !== 0x9100) return false;
    if ((hi & 0x800) !== 0 && (hi & 0x600) !== 0x200) return false;
    const dpl = (hi >> 13) & 3;
    if ((selector & 3) > dpl || s[W_CPL] > dpl) return false;
    base = (lo >>> 16) | (hi & 0xff) << 16 | hi & 0xff000000;
    limit = lo & 0xffff | hi & 0xf0000;
    if ((hi & 0x800000) !== 0) limit = limit << 12 | 0xfff;
    attr = hi & ATTR_MASK;
  }
  s[w] = selector;
  s[w + 2] = base;
  s[w + 3] = 0;
  s[w + 4] = limit;
  s[w + 6] = attr;
  if (seg === FS) {
    cpu.setKey(
      limit === -1 && (attr & 0x9e00) === 0x9200
        ? key | KEY_OPEN_FS
        : key & ~KEY_OPEN_FS,
    );
  } else if (seg === GS) {
    if (s[W_CPL] === 3) {
      cpu.setKey(isOpen(s, w) ? key | KEY_OPEN_GS : key & ~KEY_OPEN_GS);
    }
  } else if (
    (key & KEY_FLAT_DATA) === 0 || base !== 0 || limit !== -1 ||
    (attr & 0x9e00) !== 0x9200
  ) cpu.updateKey();
  return true;
}

/** IRET with 32-bit operands, in protected mode: see `interruptReturn`. */
export function returnFast(cpu: X86): boolean {
  const key = cpu.key();
  if (
    (key &
      (KEY_PROTECTED | KEY_FLAT_DATA | KEY_STACK32 | KEY_DEBUG | KEY_TF)) !==
      (KEY_PROTECTED | KEY_FLAT_DATA | KEY_STACK32)
  ) return false;
  const s = cpu.state;
  if ((s[W_FLAGS] & NT) !== 0) return false;
  const i32 = cpu.engine.i32;
  const cpl = s[W_CPL];
  const tlb = cpl === 3 ? SECOND_TLB : 0;
  const esp = s[W_ESP];
  const frame = hostWord(cpu, esp, 12, tlb, AT_READ);
  if (frame === 0) return false;
  const image = i32[frame + 2];
  if ((image & (VM | TF | AC)) !== 0) return false;
  const cs = i32[frame + 1] & 0xffff;
  const rpl = cs & 3;
  if (rpl < cpl) return false;
  const code = descriptorWord(cpu, cs);
  if (code === 0) return false;
  const codeHi = i32[code + 1];
  if (
    i32[code] !== FLAT_LO || (codeHi & FLAT_HI_MASK) !== FLAT_HI ||
    (codeHi & CODE_MASK) !== CODE_BITS || ((codeHi >> 13) & 3) !== rpl
  ) return false;
  let flat = true;
  if (rpl !== cpl) {
    if (hostWord(cpu, esp, 20, tlb, AT_READ) === 0) return false;
    const ss = i32[frame + 4] & 0xffff;
    if ((ss & 3) !== rpl) return false;
    const stack = descriptorWord(cpu, ss);
    if (stack === 0) return false;
    const stackHi = i32[stack + 1];
    if (
      i32[stack] !== FLAT_LO || (stackHi & FLAT_HI_MASK) !== FLAT_HI ||
      (stackHi & STACK_MASK) !== STACK_BITS || ((stackHi >> 13) & 3) !== rpl
    ) return false;
    s[W_ESP] = i32[frame + 3];
    s[W_SS] = ss;
    s[W_SS + 2] = 0;
    s[W_SS + 4] = -1;
    s[W_SS + 6] = stackHi & ATTR_MASK;
    s[W_CPL] = rpl;
    flat = dropSegment(s, W_SEG + ES * 8, rpl) && flat;
    flat = dropSegment(s, W_SEG + DS * 8, rpl) && flat;
    dropSegment(s, W_SEG + FS * 8, rpl);
    dropSegment(s, W_SEG + GS * 8, rpl);
  } else {
    s[W_ESP] = esp + 12;
  }
  s[W_CS] = cs;
  s[W_CS + 2] = 0;
  s[W_CS + 4] = -1;
  s[W_CS + 6] = codeHi & ATTR_MASK;
  s[W_EIP] = i32[frame];
  // What may change is decided by the level before the return.
  let mask = TF | DF | NT | AC | ID;
  const old = s[W_FLAGS];
  if (cpl <= ((old & IOPL_MASK) >> 12)) mask |= IF;
  if (cpl === 0) mask |= IOPL_MASK | VIF | VIP;
  const flags = old & ~mask | image & mask | 2;
  s[W_FLAGS] = flags;
  if ((flags & AC) === 0) cpu.userAccessEnded();
  s[W_CC_OP] = 0; // CC_EFLAGS
  s[W_CC_SRC] = image & ARITH_FLAGS;
  if (flat) {
    let k = key & ~(KEY_TRANSFER | KEY_OPEN_FS) | KEY_FLAT | KEY_FLAT_DATA |
      (rpl << KEY_CPL_SHIFT);
    if (rpl <= ((flags & IOPL_MASK) >> 12)) k |= KEY_IOPL_OK;
    if (isOpen(s, W_SEG + FS * 8)) k |= KEY_OPEN_FS;
    if (rpl === 3 && isOpen(s, W_SEG + GS * 8)) k |= KEY_OPEN_GS;
    cpu.setKey(k);
  } else cpu.updateKey();
  cpu.checkInterrupt();
  return true;
}

/** Whether a segment register needs no checks: see KEY_OPEN_FS. */
function isOpen(s: Int32Array, w: number): boolean {
  return s[w + 4] === -1 && (s[w + 6] & 0x9e00) === 0x9200;
}

/** Empties a segment register that the outer level may not have, but for its base; false if it did. */
function dropSegment(s: Int32Array, w: number, rpl: number): boolean {
  const attr = s[w + 6];
  if (((attr >> 13) & 3) >= rpl || (attr & 0xc00) === 0xc00) return true;
  s[w] = 0;
  s[w + 4] = 0;
  s[w + 6] = 0;
  return false;
}
