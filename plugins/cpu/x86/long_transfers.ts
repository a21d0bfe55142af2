/**
 * Far transfers in IA-32e mode: between 64-bit and compatibility mode, through
 * call gates of 16 bytes, and returns (SDM volume 3, sections 5.8.3.1 and
 * 6.14; volume 2, JMP, CALL, RET, IRET).
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { EXC_GP, EXC_NP, EXC_SS, EXC_TS } from "./exceptions.ts";
import {
  addressOf,
  ATTR_LONG,
  highWord,
  isCanonical,
  isCanonicalAddress,
  WORD,
} from "./long_mode.ts";
import {
  applyCode,
  applyDescriptor,
  ATTR_BIG,
  ATTR_CD,
  ATTR_CODE,
  ATTR_P,
  ATTR_S,
  checkStackSegment,
  type Descriptor,
  dplOf,
  limitOf,
  markAccessed,
  needDescriptor,
  secondHalf,
  Stack,
  TYPE_CALL32,
} from "./segments.ts";
import {
  CS,
  DS,
  ES,
  FS,
  GS,
  OFF_EIP,
  OFF_GPR,
  OFF_SEG,
  SEG_BASE,
  SS,
  TR,
} from "./state.ts";
import {
  checkDirectCode,
  checkReturnCode,
  dropInaccessible,
} from "./transfer_checks.ts";

const W_EIP = OFF_EIP >> 2;
const W_CS_BASE = (OFF_SEG + 32 * CS + SEG_BASE) >> 2;
const W_RSP = (OFF_GPR >> 2) + 8;
/** RSP0 in a TSS of IA-32e mode; RSP1 and RSP2 follow (SDM volume 3, figure 8-11). */
const TSS_RSP = 4;

/** A stack as 64-bit mode has it: no segment, canonical addresses. */
class FlatStack {
  /** RSP. */
  rsp: number;
  /** High word of what was popped. */
  hi = 0;
  /** Error code of #SS. */
  error = 0;
  /** MMU index of accesses. */
  mmu: number;
  readonly #cpu: X86;
  /** RSP was a canonical address, or near one. */
  readonly #valid: boolean;

  /** The stack at the RSP that has these words, of privilege level `cpl`. */
  constructor(cpu: X86, lo: number, hi: number, cpl: number) {
    this.#cpu = cpu;
    this.#valid = isCanonical(hi) || isCanonical(hi - 1 | 0);
    this.rsp = addressOf(lo, hi);
    this.mmu = cpl === 3 ? 1 : 0;
  }

  #check(address: number, size: number): number {
    if (
      !this.#valid || !isCanonicalAddress(address) ||
      !isCanonicalAddress(address + size - 1)
    ) this.#cpu.raise(EXC_SS, this.error);
    return address;
  }

  /** Pushes `size` (2, 4, 8) bytes of a value of two words. */
  push(size: number, lo: number, hi = 0): void {
    const memory = this.#cpu.tables;
    const at = this.#check(this.rsp - size, size);
    if (size === 2) memory.write16(at, lo & 0xffff, this.mmu);
    else {
      memory.write32(at, lo, this.mmu);
      if (size === 8) memory.write32(at + 4, hi, this.mmu);
    }
    this.rsp = at;
  }

  /** Pops `size` (2, 4, 8) bytes: the low word, unsigned when 2; `hi` is the high one. */
  pop(size: number): number {
    const memory = this.#cpu.tables;
    const at = this.#check(this.rsp, size);
    const lo = size === 2
      ? memory.read16(at, this.mmu)
      : memory.read32(at, this.mmu);
    this.hi = size === 8 ? memory.read32(at + 4, this.mmu) : 0;
    this.rsp = at + size;
    return lo;
  }

  /** Moves the stack pointer. */
  move(bytes: number): void {
    this.rsp += bytes;
  }

  /** Makes RSP the CPU's. */
  commit(): void {
    this.#cpu.setReg64(4, this.rsp);
  }
}

/** The present stack: in compatibility mode its segment counts. */
function presentStack(cpu: X86): FlatStack | Stack {
  return cpu.long ? presentFlat(cpu) : new Stack(cpu);
}

/** The present stack as 64-bit mode sees it. */
export function presentFlat(cpu: X86): FlatStack {
  const s = cpu.state;
  return new FlatStack(cpu, s[W_RSP], cpu.long ? s[W_RSP + 1] : 0, cpu.cpl);
}

/** The stack at byte `at` of the TSS, for level `cpl`; raises #TS if the TSS is too short. */
export function tssStackLong(
  cpu: X86,
  at: number,
  cpl: number,
  ext: number,
): FlatStack {
  if (at + 7 > cpu.segLimit(TR)) {
    cpu.raise(EXC_TS, cpu.selector(TR) & 0xfffc | ext);
  }
  const address = cpu.tableAddress(cpu.longBase(TR) + at);
  const lo = cpu.tables.read32(address, 0);
  const hi = cpu.tables.read32(cpu.tableAddress(address + 4), 0);
  if (!isCanonical(hi)) cpu.raise(EXC_SS, ext);
  const stack = new FlatStack(cpu, lo, hi, cpl);
  stack.error = ext;
  return stack;
}

/** The stack of an inner level from the TSS. */
export function innerStackLong(cpu: X86, cpl: number, ext: number): FlatStack {
  return tssStackLong(cpu, TSS_RSP + 8 * cpl, cpl, ext);
}

/** Raises #GP(0) unless code may begin at an address. */
function checkTarget(cpu: X86, d: Descriptor, lo: number, hi: number): void {
  if ((d.hi & ATTR_LONG) !== 0) {
    if (!isCanonical(hi)) cpu.gp();
  } else if (hi !== 0 || (lo >>> 0) > (limitOf(d.lo, d.hi) >>> 0)) cpu.gp();
}

/**
 * Makes a code segment the present one and RIP these words. The lazy flags
 * become explicit, for 64-bit mode has another view of their operands.
 */
export function enterCode(
  cpu: X86,
  selector: number,
  d: Descriptor,
  cpl: number,
  lo: number,
  hi: number,
): void {
  markAccessed(cpu, d); // the last that may fault
  cpu.setArithFlags(cpu.arithFlags());
  // What code of 32 bits leaves in these halves when it comes back is what it
  // would have written to them. (They are undefined: SDM volume 1, 3.4.1.1.)
  if (cpu.long && (d.hi & ATTR_LONG) === 0) {
    for (let r = 0; r < 8; r++) cpu.state[(OFF_GPR >> 2) + 2 * r + 1] = 0;
  }
  applyCode(cpu, selector, d, cpl, lo);
  setPcHigh(cpu, (d.hi & ATTR_LONG) !== 0, hi);
}

/**
 * Completes a far transfer: RIP's high word. The block that made it goes on
 * where its own mode has a program counter: at RIP, or at EIP in the segment at
 * CS's base; so each has what the other means. (64-bit mode has no base of CS,
 * and 32-bit code no high half.)
 */
export function setPcHigh(cpu: X86, to64: boolean, hi: number): void {
  const s = cpu.state;
  if (to64) s[W_CS_BASE] = s[W_EIP + 1] = hi;
  else s[W_EIP + 1] = s[W_CS_BASE];
}

/** The program counter of the following instruction; a helper of 64-bit code finds it in the state. */
export function nextPc(cpu: X86, next: number): number {
  return cpu.long ? cpu.pc : cpu.lma ? next >>> 0 : next;
}

/** A call gate of 16 bytes that passed its checks. */
interface LongGate {
  selector: number;
  d: Descriptor;
  lo: number;
  hi: number;
}

/** Reads a call gate and the code it leads to; `jump`: that may not be of an inner level. */
function gateOf(
  cpu: X86,
  selector: number,
  d: Descriptor,
  jump: boolean,
): LongGate {
  const error = selector & 0xfffc;
  if (((d.hi >> 8) & 31) !== TYPE_CALL32) cpu.gp(error);
  const gateDpl = dplOf(d.hi);
  if (gateDpl < cpu.cpl || gateDpl < (selector & 3)) cpu.gp(error);
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, error);
  const hi = secondHalf(cpu, selector, d);
  const target = d.lo >>> 16;
  if ((target & 0xfffc) === 0) cpu.gp(0);
  const t = needDescriptor(cpu, target, EXC_GP, 0);
  const dpl = dplOf(t.hi);
  const conforming = (t.hi & ATTR_CD) !== 0;
  if (
    (t.hi & (ATTR_S | ATTR_CODE)) !== (ATTR_S | ATTR_CODE) ||
    (jump && !conforming ? dpl !== cpu.cpl : dpl > cpu.cpl) ||
    (t.hi & (ATTR_LONG | ATTR_BIG)) !== ATTR_LONG
  ) cpu.gp(target & 0xfffc);
  if ((t.hi & ATTR_P) === 0) cpu.raise(EXC_NP, target & 0xfffc);
  const lo = d.lo & 0xffff | d.hi & 0xffff0000;
  if (!isCanonical(hi)) cpu.gp();
  return { selector: target, d: t, lo, hi };
}

/** Far jump in IA-32e mode; the offset as two words. */
export function farJumpLong(
  cpu: X86,
  selector: number,
  lo: number,
  hi: number,
): void {
  if ((selector & 0xfffc) === 0) cpu.gp();
  const d = needDescriptor(cpu, selector, EXC_GP, 0);
  if ((d.hi & ATTR_S) !== 0) {
    if ((d.hi & ATTR_CODE) === 0) cpu.gp(selector & 0xfffc);
    checkDirectCode(cpu, selector, d);
    checkTarget(cpu, d, lo, hi);
    enterCode(cpu, selector, d, cpu.cpl, lo, hi);
  } else {
    const gate = gateOf(cpu, selector, d, true);
    enterCode(cpu, gate.selector, gate.d, cpu.cpl, gate.lo, gate.hi);
  }
  cpu.updateKey();
}

/** Far call in IA-32e mode. `size`: operand size; `next`: see {@linkcode nextPc}. */
export function farCallLong(
  cpu: X86,
  selector: number,
  lo: number,
  hi: number,
  size: number,
  next: number,
): void {
  if ((selector & 0xfffc) === 0) cpu.gp();
  const pc = nextPc(cpu, next);
  const cs = cpu.selector(CS);
  const d = needDescriptor(cpu, selector, EXC_GP, 0);
  if ((d.hi & ATTR_S) !== 0) {
    if ((d.hi & ATTR_CODE) === 0) cpu.gp(selector & 0xfffc);
    checkDirectCode(cpu, selector, d);
    const stack = presentStack(cpu);
    stack.push(size, cs);
    stack.push(size, pc | 0, highWord(pc));
    checkTarget(cpu, d, lo, hi);
    enterCode(cpu, selector, d, cpu.cpl, lo, hi);
    stack.commit();
    cpu.updateKey();
    return;
  }
  const gate = gateOf(cpu, selector, d, false);
  const dpl = dplOf(gate.d.hi);
  const inner = (gate.d.hi & ATTR_CD) === 0 && dpl < cpu.cpl;
  const cpl = inner ? dpl : cpu.cpl;
  const stack = inner ? innerStackLong(cpu, dpl, 0) : presentFlat(cpu);
  if (inner) {
    stack.push(8, cpu.selector(SS));
    stack.push(8, cpu.reg32(4), cpu.long ? cpu.state[W_RSP + 1] : 0);
  }
  stack.push(8, cs);
  stack.push(8, pc | 0, highWord(pc));
  enterCode(cpu, gate.selector, gate.d, cpl, gate.lo, gate.hi);
  if (inner) cpu.setSeg(SS, dpl, 0, 0, dpl << 13);
  stack.commit();
  cpu.updateKey();
}

/**
 * RETF and IRET in IA-32e mode. `extra`: bytes of parameters to release. Gives
 * back the flags' image of IRET, which the caller writes.
 */
export function returnLong(
  cpu: X86,
  size: number,
  extra: number,
  iret: boolean,
): number {
  const from64 = cpu.long;
  const stack = presentStack(cpu);
  const lo = stack.pop(size);
  const hi = stack.hi;
  const cs = stack.pop(size) & 0xffff;
  const image = iret ? stack.pop(size) : 0;
  const d = checkReturnCode(cpu, cs);
  const { cpl } = cpu;
  const rpl = cs & 3;
  if (rpl !== cpl || iret && from64) {
    stack.move(extra);
    const spLo = stack.pop(size);
    const spHi = stack.hi;
    const ss = stack.pop(size) & 0xffff;
    const sd = returnStack(cpu, ss, rpl, d);
    checkTarget(cpu, d, lo, hi);
    if (sd !== undefined) markAccessed(cpu, sd);
    enterCode(cpu, cs, d, rpl, lo, hi);
    if (sd !== undefined) applyDescriptor(cpu, SS, ss, sd);
    else cpu.setSeg(SS, ss, 0, 0, rpl << 13);
    setStackPointer(cpu, d, sd, spLo, spHi, extra);
    if (rpl !== cpl) {
      for (const seg of [ES, DS, FS, GS]) dropInaccessible(cpu, seg, rpl);
    }
  } else {
    checkTarget(cpu, d, lo, hi);
    enterCode(cpu, cs, d, cpl, lo, hi);
    stack.move(extra);
    stack.commit();
    if ((d.hi & ATTR_LONG) === 0) cpu.state[W_RSP + 1] = 0;
  }
  cpu.updateKey();
  return image;
}

/** The stack segment that a return goes to; none is needed by 64-bit code below level 3. */
function returnStack(
  cpu: X86,
  ss: number,
  rpl: number,
  code: Descriptor,
): Descriptor | undefined {
  const to64 = (code.hi & ATTR_LONG) !== 0;
  if ((ss & 0xfffc) === 0 && to64 && rpl !== 3) {
    if ((ss & 3) !== rpl) cpu.gp();
    return undefined;
  }
  return checkStackSegment(cpu, ss, rpl, EXC_GP, 0);
}

/** RSP, ESP or SP, with the parameters released from the outer stack as well. */
function setStackPointer(
  cpu: X86,
  code: Descriptor,
  stack: Descriptor | undefined,
  lo: number,
  hi: number,
  extra: number,
): void {
  if ((code.hi & ATTR_LONG) !== 0) {
    const sum = (lo >>> 0) + extra;
    cpu.setReg32(4, sum | 0);
    cpu.state[W_RSP + 1] = sum >= WORD ? hi + 1 : hi;
  } else if (stack !== undefined && (stack.hi & ATTR_BIG) !== 0) {
    cpu.setReg32(4, (lo + extra) | 0);
    cpu.state[W_RSP + 1] = 0;
  } else cpu.setReg16(4, lo + extra);
}
