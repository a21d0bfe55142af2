/**
 * Segmentation: descriptors, loading of segment registers with all of the
 * hardware's checks, and stacks as far transfers see them (SDM volume 3,
 * chapter 5; volume 2, the instructions' operation sections).
 *
 * All functions check everything, and touch all memory, before they change
 * the state, so that a fault leaves the instruction restartable.
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { EXC_GP, EXC_NP, EXC_SS } from "./exceptions.ts";
import { loadDataFast } from "./fast_transfers.ts";
import { isCanonical, isCanonicalAddress } from "./long_mode.ts";
import {
  CS,
  FS,
  GS,
  LDTR,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  SS,
  TR,
} from "./state.ts";

/** Present. */
export const ATTR_P = 0x8000;
/** Code or data, not system. */
export const ATTR_S = 0x1000;
/** Code. */
export const ATTR_CODE = 0x800;
/** Conforming code, or expand-down data. */
export const ATTR_CD = 0x400;
/** Readable code, or writable data. */
export const ATTR_RW = 0x200;
/** Accessed. */
export const ATTR_A = 0x100;
/** D/B: 32-bit code or stack. */
export const ATTR_BIG = 0x400000;
/** The bits of a descriptor's high word that a segment register keeps. */
const ATTR_MASK = 0xf0ff00;

/** System descriptor types. */
export const TYPE_TSS16 = 1,
  TYPE_LDT = 2,
  TYPE_TSS16_BUSY = 3,
  TYPE_CALL16 = 4,
  TYPE_TASK = 5,
  TYPE_INTERRUPT16 = 6,
  TYPE_TRAP16 = 7,
  TYPE_TSS32 = 9,
  TYPE_TSS32_BUSY = 11,
  TYPE_CALL32 = 12,
  TYPE_INTERRUPT32 = 14,
  TYPE_TRAP32 = 15;

/** The privilege level in a descriptor's high word. */
export function dplOf(hi: number): number {
  return (hi >> 13) & 3;
}

/** The base in a descriptor. */
export function baseOf(lo: number, hi: number): number {
  return (lo >>> 16) | (hi & 0xff) << 16 | hi & 0xff000000;
}

/** The limit in a descriptor, in bytes, as a signed word. */
export function limitOf(lo: number, hi: number): number {
  const limit = lo & 0xffff | hi & 0xf0000;
  return (hi & 0x800000) !== 0 ? limit << 12 | 0xfff : limit;
}

/** The attributes that a segment register keeps of a descriptor. */
function attrOf(hi: number): number {
  return hi & ATTR_MASK;
}

/** A descriptor as read from its table. */
export interface Descriptor {
  /** Low word. */
  lo: number;
  /** High word. */
  hi: number;
  /** Linear address of the descriptor. */
  address: number;
  /** Limit of its table. */
  limit: number;
}

/** A descriptor to be read. */
function emptyDescriptor(): Descriptor {
  return { lo: 0, hi: 0, address: 0, limit: 0 };
}

/** Reads the descriptor of a selector; false when it is outside its table. Null is the caller's affair. */
function fetchDescriptor(
  cpu: X86,
  selector: number,
  out: Descriptor,
): boolean {
  let base: number, limit: number;
  if ((selector & 4) !== 0) {
    if ((cpu.segAttr(LDTR) & ATTR_P) === 0) return false;
    base = cpu.lma ? cpu.longBase(LDTR) : cpu.segBase(LDTR);
    limit = cpu.segLimit(LDTR);
  } else {
    base = cpu.tableBase(OFF_GDT_BASE >> 2);
    limit = cpu.state[OFF_GDT_LIMIT >> 2] >>> 0;
  }
  if ((selector | 7) > limit) return false;
  out.limit = limit;
  out.address = cpu.tableAddress(base + (selector & 0xfff8));
  out.lo = cpu.tables.read32(out.address, 0);
  out.hi = cpu.tables.read32(cpu.tableAddress(out.address + 4), 0);
  return true;
}

/**
 * Reads the second half of a system descriptor of IA-32e mode, which has 16
 * bytes; raises #GP with the selector if it is beyond the table or its type
 * field is not 0. Gives back the high word of the base or offset.
 */
export function secondHalf(
  cpu: X86,
  selector: number,
  d: Descriptor,
): number {
  const error = selector & 0xfffc;
  if ((selector & 0xfff8) + 15 > d.limit) cpu.gp(error);
  const at = d.address + 8;
  const hi = cpu.tables.read32(cpu.tableAddress(at), 0);
  const type = cpu.tables.read32(cpu.tableAddress(at + 4), 0);
  if ((type & 0x1f00) !== 0) cpu.gp(error);
  return hi;
}

/** Reads the descriptor of a selector that must be there, or raises `vector` with the selector. */
export function needDescriptor(
  cpu: X86,
  selector: number,
  vector: number,
  ext: number,
): Descriptor {
  const d = emptyDescriptor();
  if (!fetchDescriptor(cpu, selector, d)) {
    cpu.raise(vector, selector & 0xfffc | ext);
  }
  return d;
}

/** Sets the accessed bit of a descriptor in its table. */
export function markAccessed(cpu: X86, d: Descriptor): void {
  if ((d.hi & ATTR_A) !== 0) return;
  d.hi |= ATTR_A;
  cpu.tables.write8(cpu.tableAddress(d.address + 5), (d.hi >> 8) & 0xff, 0);
}

/** Puts a descriptor into a segment register. */
export function applyDescriptor(
  cpu: X86,
  seg: number,
  selector: number,
  d: Descriptor,
): void {
  cpu.setSeg(
    seg,
    selector,
    baseOf(d.lo, d.hi),
    limitOf(d.lo, d.hi),
    attrOf(d.hi),
  );
}

/** Loads a segment register as real and virtual-8086 mode do. */
export function loadRealSegment(cpu: X86, seg: number, selector: number): void {
  if (cpu.v86) return loadV86Segment(cpu, seg, selector);
  // Limit and size stay as protected mode left them ("unreal mode").
  const attr = cpu.segAttr(seg) & ~ATTR_MASK | 0x9300 |
    cpu.segAttr(seg) & 0xd00000;
  cpu.setSeg(seg, selector, selector << 4, cpu.segLimit(seg) | 0, attr);
}

/** Loads a segment register with what virtual-8086 mode has. */
export function loadV86Segment(cpu: X86, seg: number, selector: number): void {
  cpu.setSeg(seg, selector, selector << 4, 0xffff, 0xf300);
}

/** A null selector in ES, DS, FS or GS. */
export function loadNull(cpu: X86, seg: number, selector: number): void {
  cpu.setSeg(seg, selector, 0, 0, 0);
}

/** MOV, POP and L-sreg: loads ES, SS, DS, FS or GS with all checks of the present mode. */
export function loadSegment(cpu: X86, seg: number, selector: number): void {
  if (seg !== SS && loadDataFast(cpu, seg, selector)) return;
  if (!cpu.protectedMode || cpu.v86) {
    loadRealSegment(cpu, seg, selector);
  } else if (seg === SS) {
    const { cpl } = cpu;
    if ((selector & 0xfffc) === 0 && cpu.long && cpl < 3) {
      // 64-bit mode needs no stack segment below level 3.
      if ((selector & 3) !== cpl) cpu.gp();
      return loadNull(cpu, SS, selector);
    }
    loadStackSegment(cpu, selector, cpl, EXC_GP, 0);
  } else {
    loadDataSegment(cpu, seg, selector, cpu.cpl, EXC_GP);
  }
  cpu.updateKey();
}

/** Loads ES, DS, FS or GS in protected mode; `vector` is #GP, or #TS in a task switch. */
export function loadDataSegment(
  cpu: X86,
  seg: number,
  selector: number,
  cpl: number,
  vector: number,
): void {
  if ((selector & 0xfffc) === 0) return loadNull(cpu, seg, selector);
  const d = needDescriptor(cpu, selector, vector, 0);
  const error = selector & 0xfffc;
  const code = (d.hi & ATTR_CODE) !== 0;
  if ((d.hi & ATTR_S) === 0 || code && (d.hi & ATTR_RW) === 0) {
    cpu.raise(vector, error);
  }
  // Conforming code may be read from any level.
  if (!code || (d.hi & ATTR_CD) === 0) {
    const dpl = dplOf(d.hi);
    if ((selector & 3) > dpl || cpl > dpl) cpu.raise(vector, error);
  }
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, error);
  markAccessed(cpu, d);
  applyDescriptor(cpu, seg, selector, d);
}

/** Checks a stack segment for a privilege level; raises `vector`, or #SS when it is not present. */
export function checkStackSegment(
  cpu: X86,
  selector: number,
  cpl: number,
  vector: number,
  ext: number,
): Descriptor {
  const error = selector & 0xfffc | ext;
  if ((selector & 0xfffc) === 0) cpu.raise(vector, ext);
  if ((selector & 3) !== cpl) cpu.raise(vector, error);
  const d = needDescriptor(cpu, selector, vector, ext);
  if (
    (d.hi & (ATTR_S | ATTR_CODE | ATTR_RW)) !== (ATTR_S | ATTR_RW) ||
    dplOf(d.hi) !== cpl
  ) cpu.raise(vector, error);
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_SS, error);
  return d;
}

/** Loads SS in protected mode. */
export function loadStackSegment(
  cpu: X86,
  selector: number,
  cpl: number,
  vector: number,
  ext: number,
): void {
  const d = checkStackSegment(cpu, selector, cpl, vector, ext);
  markAccessed(cpu, d);
  applyDescriptor(cpu, SS, selector, d);
}

/** Whether `size` bytes at `offset` are within a data segment. */
function inLimit(
  attr: number,
  limit: number,
  offset: number,
  size: number,
): boolean {
  const last = (offset >>> 0) + size - 1;
  if ((attr & (ATTR_CODE | ATTR_CD)) === ATTR_CD) {
    const top = (attr & ATTR_BIG) !== 0 ? 0xffffffff : 0xffff;
    return (offset >>> 0) > (limit >>> 0) && last <= top;
  }
  // A flat segment wraps.
  return last <= (limit >>> 0) || limit === -1;
}

/** A stack that a far transfer pushes to or pops from, present or new. */
export class Stack {
  /** Base of its segment. */
  base = 0;
  /** Limit of its segment. */
  limit = 0;
  /** Attributes of its segment. */
  attr = 0;
  /** ESP. */
  esp = 0;
  /** MMU index of accesses. */
  mmu = 0;
  /** Error code of #SS. */
  error = 0;
  /** 0xffff or -1: the bits of ESP that move. */
  mask: number = -1;
  /** High word of what was popped. */
  readonly hi = 0;
  readonly #cpu: X86;

  /** The present stack of a CPU. */
  constructor(cpu: X86) {
    this.#cpu = cpu;
    this.base = cpu.segBase(SS);
    this.limit = cpu.segLimit(SS) | 0;
    this.attr = cpu.segAttr(SS);
    this.esp = cpu.reg32(4);
    this.mmu = cpu.dataMmu;
    this.mask = (this.attr & ATTR_BIG) !== 0 ? -1 : 0xffff;
  }

  /** Makes it the stack of another segment. */
  replace(d: Descriptor, esp: number, cpl: number, error: number): void {
    this.base = baseOf(d.lo, d.hi);
    this.limit = limitOf(d.lo, d.hi);
    this.attr = attrOf(d.hi);
    this.esp = esp;
    this.mmu = cpl === 3 ? 1 : 0;
    this.mask = (this.attr & ATTR_BIG) !== 0 ? -1 : 0xffff;
    this.error = error;
  }

  #at(offset: number, size: number): number {
    if (!inLimit(this.attr, this.limit, offset, size)) {
      this.#cpu.raise(EXC_SS, this.error);
    }
    const linear = this.base + offset;
    return this.#cpu.lma ? linear >>> 0 : linear | 0;
  }

  /** Moves the stack pointer. */
  move(bytes: number): void {
    this.esp = this.esp & ~this.mask | (this.esp + bytes) & this.mask;
  }

  /** Pushes 16 bits. */
  push16(value: number): void {
    const offset = (this.esp - 2) & this.mask;
    this.#cpu.mmu.write16(this.#at(offset, 2), value & 0xffff, this.mmu);
    this.move(-2);
  }

  /** Pushes 32 bits. */
  push32(value: number): void {
    const offset = (this.esp - 4) & this.mask;
    this.#cpu.mmu.write32(this.#at(offset, 4), value | 0, this.mmu);
    this.move(-4);
  }

  /** Pushes `size` (2 or 4) bytes. */
  push(size: number, value: number): void {
    if (size === 4) this.push32(value);
    else this.push16(value);
  }

  /** Pops `size` (2 or 4) bytes, unsigned when 2. */
  pop(size: number): number {
    const v = this.peek(size, 0);
    this.move(size);
    return v;
  }

  /** Makes ESP the CPU's. */
  commit(): void {
    this.#cpu.setReg64(4, this.esp >>> 0);
  }

  /** Reads `size` (2 or 4) bytes at ESP plus `delta`. */
  peek(size: number, delta: number): number {
    const at = this.#at((this.esp + delta) & this.mask, size);
    return size === 4
      ? this.#cpu.mmu.read32(at, this.mmu)
      : this.#cpu.mmu.read16(at, this.mmu);
  }
}

/** Makes a code segment with this privilege level the present one. Call `updateKey` afterwards. */
export function applyCode(
  cpu: X86,
  selector: number,
  d: Descriptor,
  cpl: number,
  eip: number,
): void {
  applyDescriptor(cpu, CS, selector & 0xfffc | cpl, d);
  cpu.setCpl(cpl);
  cpu.eip = eip;
}

/** Raises #GP unless `eip` is within the limit of a code segment. */
export function checkEip(cpu: X86, d: Descriptor, eip: number): void {
  if ((eip >>> 0) > (limitOf(d.lo, d.hi) >>> 0)) cpu.gp(0);
}

/** The offset in a gate: 16-bit gates have no high half. */
export function gateOffset(gate: Descriptor): number {
  return (gate.hi & 0x800) !== 0
    ? gate.lo & 0xffff | gate.hi & 0xffff0000
    : gate.lo & 0xffff;
}

/** LLDT. */
export function loadLdt(cpu: X86, selector: number): void {
  if ((selector & 0xfffc) === 0) {
    cpu.setSeg(LDTR, selector, 0, 0, 0);
    return;
  }
  const error = selector & 0xfffc;
  if ((selector & 4) !== 0) cpu.gp(error);
  const d = needDescriptor(cpu, selector, EXC_GP, 0);
  if (((d.hi >> 8) & 31) !== TYPE_LDT) cpu.gp(error);
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, error);
  const high = cpu.lma ? systemBase(cpu, selector, d) : 0;
  applyDescriptor(cpu, LDTR, selector, d);
  cpu.setBaseHigh(LDTR, high);
}

/** High word of the base in a 16-byte descriptor; #GP with the selector unless it is canonical. */
function systemBase(cpu: X86, selector: number, d: Descriptor): number {
  const high = secondHalf(cpu, selector, d);
  if (!isCanonical(high)) cpu.gp(selector & 0xfffc);
  return high;
}

/** LTR: the TSS becomes busy. */
export function loadTr(cpu: X86, selector: number): void {
  if ((selector & 0xfffc) === 0) cpu.gp(0);
  const error = selector & 0xfffc;
  if ((selector & 4) !== 0) cpu.gp(error);
  const d = needDescriptor(cpu, selector, EXC_GP, 0);
  const type = (d.hi >> 8) & 31;
  const { lma } = cpu;
  if ((lma || type !== TYPE_TSS16) && type !== TYPE_TSS32) cpu.gp(error);
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, error);
  const high = lma ? systemBase(cpu, selector, d) : 0;
  d.hi |= 0x200;
  cpu.tables.write8(cpu.tableAddress(d.address + 5), (d.hi >> 8) & 0xff, 0);
  applyDescriptor(cpu, TR, selector, d);
  cpu.setBaseHigh(TR, high);
}

/** Whether LAR (or LSL with `lsl`) accepts a system descriptor type. */
function queryable(type: number, lsl: boolean): boolean {
  switch (type) {
    case TYPE_TSS16:
    case TYPE_LDT:
    case TYPE_TSS16_BUSY:
    case TYPE_TSS32:
    case TYPE_TSS32_BUSY:
      return true;
    case TYPE_CALL16:
    case TYPE_TASK:
    case TYPE_CALL32:
      return !lsl;
    default:
      return false;
  }
}

/** The same in IA-32e mode, where 16-bit types and task gates are reserved. */
function queryableLong(type: number, lsl: boolean): boolean {
  return type === TYPE_LDT || type === TYPE_TSS32 ||
    type === TYPE_TSS32_BUSY || !lsl && type === TYPE_CALL32;
}

/** LAR and LSL: the descriptor if the selector is visible, else null. */
export function queryDescriptor(
  cpu: X86,
  selector: number,
  lsl: boolean,
): Descriptor | null {
  if ((selector & 0xfffc) === 0) return null;
  const d = emptyDescriptor();
  if (!fetchDescriptor(cpu, selector, d)) return null;
  if ((d.hi & ATTR_S) === 0) {
    const type = (d.hi >> 8) & 15;
    if (!(cpu.lma ? queryableLong(type, lsl) : queryable(type, lsl))) {
      return null;
    }
  } else if ((d.hi & (ATTR_CODE | ATTR_CD)) === (ATTR_CODE | ATTR_CD)) {
    return d; // conforming: any level
  }
  const dpl = dplOf(d.hi);
  return cpu.cpl > dpl || (selector & 3) > dpl ? null : d;
}

/** VERR and VERW: whether the segment can be read (or written). */
export function verify(cpu: X86, selector: number, write: boolean): boolean {
  if ((selector & 0xfffc) === 0) return false;
  const d = emptyDescriptor();
  if (!fetchDescriptor(cpu, selector, d)) return false;
  if ((d.hi & ATTR_S) === 0) return false;
  const code = (d.hi & ATTR_CODE) !== 0;
  const dpl = dplOf(d.hi);
  const visible = cpu.cpl <= dpl && (selector & 3) <= dpl;
  if (write) return !code && (d.hi & ATTR_RW) !== 0 && visible;
  if (code) {
    return (d.hi & ATTR_RW) !== 0 && ((d.hi & ATTR_CD) !== 0 || visible);
  }
  return visible;
}

/**
 * Linear address of `size` bytes at `offset` in a segment, after all checks of
 * the present mode: for helpers that access operands.
 */
export function segmentAddress(
  cpu: X86,
  seg: number,
  offset: number,
  size: number,
  write: boolean,
): number {
  if (cpu.long) return longAddress(cpu, seg, offset, size);
  const attr = cpu.segAttr(seg);
  let ok = inLimit(attr, cpu.segLimit(seg) | 0, offset, size);
  if (cpu.protectedMode && !cpu.v86) {
    if ((attr & ATTR_P) === 0) ok = false;
    else if ((attr & ATTR_CODE) !== 0) {
      if (write || (attr & ATTR_RW) === 0) ok = false;
    } else if (write && (attr & ATTR_RW) === 0) ok = false;
  }
  if (!ok) cpu.raise(seg === SS ? EXC_SS : EXC_GP, 0);
  const linear = cpu.segBase(seg) + offset;
  // Compatibility mode's are zero-extended.
  return cpu.lma ? linear >>> 0 : linear | 0;
}

/** The same in 64-bit mode: only FS and GS have a base, and there are no limits. */
function longAddress(
  cpu: X86,
  seg: number,
  offset: number,
  size: number,
): number {
  const address = seg === FS || seg === GS
    ? cpu.longBase(seg) + offset
    : offset;
  if (!isCanonicalAddress(address) || !isCanonicalAddress(address + size - 1)) {
    cpu.raise(seg === SS ? EXC_SS : EXC_GP, 0);
  }
  return address;
}
