/**
 * Access to registers, memory operands and the stack in IR: the lower half of
 * the {@linkcode "./translate.ts".Translator}.
 *
 * Values narrower than 32 bits are zero-extended when read; on writing only
 * their low bits count.
 *
 * @module
 */

import type { TranslateContext } from "../../../core/cpu/frontend.ts";
import type { Value } from "../../../core/ir/block.ts";
import type { Helper, IrBuilder } from "../../../core/ir/builder.ts";
import { Op, OPS } from "../../../core/ir/ops.ts";
import { I64 } from "../../../core/ir/types.ts";
import type { X86 } from "./cpu.ts";
import { Insn } from "./decode.ts";
import { define } from "./helpers.ts";
import { SEGMENT } from "./integer_kernel.ts";
import {
  IMM_O,
  IMM_V,
  IMM_Z,
  KIND_B,
  KIND_E,
  KIND_G,
  KIND_I,
  KIND_M,
  KIND_O,
  KIND_ONE,
  KIND_R,
  KIND_REG,
  KIND_Z,
  SIZE_Y,
} from "./rows.ts";
import {
  ATTR,
  BASE,
  BASE64,
  CS,
  FS,
  GPR,
  GPR64,
  GS,
  isRelocatable,
  KEY_ALIGN,
  KEY_CODE32,
  KEY_CPL_SHIFT,
  KEY_DEBUG,
  KEY_FLAT_CS,
  KEY_FLAT_DATA,
  KEY_LIMIT_64K,
  KEY_LONG,
  KEY_OPEN_FS,
  KEY_OPEN_GS,
  KEY_PROTECTED,
  KEY_STACK32,
  KEY_V86,
  LIMIT,
  OFF_SEG,
  PC_BASE,
  PC_BASE64,
  SCRATCH,
  SEG_ATTR,
  SEG_LIMIT,
  SS,
} from "./state.ts";

/** Exception vectors that instructions raise by themselves. */
export const DE = 0, DB = 1, UD = 6, NM = 7, GP = 13, MF = 16, AC = 17;
/** #SS. */
export const SS_FAULT = 12;

/** The code for {@linkcode IrBuilder.trap}: a vector without error code, or with one. */
export function trapCode(vector: number, error = -1): number {
  return error < 0 ? vector : vector | 0x100 | (error << 16);
}
/** The vector of a trap code. */
export function trapVector(code: number): number {
  return code & 0xff;
}
/** The error code of a trap code, or -1. */
export function trapError(code: number): number {
  return (code & 0x100) !== 0 ? code >>> 16 : -1;
}

/** Attribute bits of a segment register: executable, conforming or expand-down, readable or writable, code or data, present. */
const ATTR_CODE = 0x800,
  ATTR_DOWN = 0x400,
  ATTR_RW = 0x200,
  ATTR_S = 0x1000,
  ATTR_P = 0x8000,
  ATTR_BIG = 0x400000;

/**
 * Whether an access to the bytes at offsets `first` to `last` of a segment is
 * allowed: null, type, limit (SDM volume 3, sections 5.3 to 5.5).
 */
export function segmentAllows(
  cpu: X86,
  segment: number,
  first: number,
  last: number,
  write: boolean,
): boolean {
  const at = (OFF_SEG + 32 * segment) >> 2;
  const attr = cpu.state[at + (SEG_ATTR >> 2)];
  const limit = cpu.state[at + (SEG_LIMIT >> 2)] >>> 0;
  if ((cpu.key() & KEY_PROTECTED) !== 0) {
    if ((attr & (ATTR_P | ATTR_S)) !== (ATTR_P | ATTR_S)) return false;
    if ((attr & ATTR_CODE) !== 0) {
      if (write || (attr & ATTR_RW) === 0) return false;
    } else {
      if (write && (attr & ATTR_RW) === 0) return false;
      if ((attr & ATTR_DOWN) !== 0) {
        const top = (attr & ATTR_BIG) !== 0 ? 0xffffffff : 0xffff;
        return first > limit && last <= top;
      }
    }
  }
  // An access may wrap around the end of a 4 GiB segment.
  return last <= limit || limit === 0xffffffff;
}

/**
 * The full check of one access to a segment. Arguments: the offset, and
 * segment | size << 4 | write << 12.
 */
export const CHECK_SEGMENT: Helper = define(
  "check_segment",
  2,
  {
    faults: true,
    reads: [...ATTR, ...LIMIT],
    writes: [],
    native: SEGMENT,
  },
  (cpu) => (offset, what) => {
    const segment = what & 15;
    const first = offset >>> 0;
    const last = first + ((what >> 4) & 0xff) - 1;
    if (!segmentAllows(cpu, segment, first, last, (what & 0x1000) !== 0)) {
      cpu.raise(segment === SS ? SS_FAULT : GP, 0);
    }
    return 0;
  },
);

/** What the machine around the translator gives it. */
export interface TranslatorOptions {
  /** The model's features; instructions that need others raise #UD. */
  readonly features: ReadonlySet<string>;
  /** Called with the EIP before each instruction while KEY_DEBUG is set: instruction breakpoints. Faulting. */
  readonly debugFetch: Helper;
  /** Called with linear address and size | write << 8 for each data access while KEY_DEBUG is set: notes data breakpoints. */
  readonly debugData: Helper;
  /** Called at the end of each instruction while KEY_TF or KEY_DEBUG is set, with EIP in the state; argument: key & KEY_TF. */
  readonly debugTrap: Helper;
  /** There are other CPUs, to which PAUSE gives the turn. */
  readonly yields?: boolean;
  /** See `CpuContext.precise`. */
  readonly precise?: boolean;
}

const LOAD = [0, Op["ld8u"], Op["ld16u"], 0, Op["ld32"], 0, 0, 0, Op["ld64"]];
const STORE = [0, Op["st8"], Op["st16"], 0, Op["st32"], 0, 0, 0, Op["st64"]];
/** Bytes that each memory operation accesses. */
const WIDTH = Uint8Array.from(OPS, (o) => o.width);
const RSP = 4;

/** Registers, operands, memory and stack in IR. */
export class Operands {
  /** Where the IR goes. */
  b!: IrBuilder;
  /** The instruction being translated. */
  readonly insn: Insn = new Insn();
  /** Hooks and features. */
  readonly options: TranslatorOptions;
  /** The static mode key. */
  key = 0;
  /** MMU index of data accesses: 1 at CPL 3. */
  mmu = 0;
  /** CPL. */
  cpl = 0;
  /** 64-bit mode: registers and addresses are i64. */
  long = false;
  /** The code segment's D bit. */
  code32 = false;
  /** The stack segment's B bit. */
  stack32 = false;
  /** Protected mode, not virtual-8086 mode. */
  protected = false;
  /** Virtual-8086 mode. */
  v86 = false;
  /** The code may stand elsewhere: `pc` makes of an EIP here what the guest sees. */
  relocatable = false;
  /** EIP of the instruction being translated. */
  eip = 0;
  /** EIP of the following instruction. */
  nextEip = 0;
  /** In 64-bit mode: the high half of RIP. */
  ripHi = 0;
  /** Added to ESP where it is the base of an address (POP to memory). */
  espBias = 0;
  /** Linear address of the instruction's memory operand without {@linkcode Operands.eaDisp}; 0 while not computed. */
  /** A displacement that is read when the block runs, or 0. */
  #disp: Value = 0;
  #context!: TranslateContext;
  /** Where the instruction stands in the context's code. */
  #position = 0;
  #ea: Value = 0;
  #eaDisp = 0;
  #eaWritable = false;
  // Narrow registers that have been read or written in this block, so that
  // they are not cut out again: AL to BH (0-7), AX to DI (8-15). A part is
  // right as long as the whole register's value is the one beside it.
  readonly #wholes = new Int32Array(16);
  readonly #parts = new Int32Array(16);

  /** Makes the translator of one CPU. */
  constructor(options: TranslatorOptions) {
    this.options = options;
  }

  /** Starts a block: takes the mode from the static key. */
  protected setKey(key: number): void {
    this.#wholes.fill(0);
    this.key = key;
    this.cpl = (key >> KEY_CPL_SHIFT) & 3;
    this.mmu = this.cpl === 3 ? 1 : 0;
    this.long = (key & KEY_LONG) !== 0;
    this.code32 = (key & KEY_CODE32) !== 0;
    this.stack32 = (key & KEY_STACK32) !== 0;
    this.protected = (key & KEY_PROTECTED) !== 0;
    this.v86 = (key & KEY_V86) !== 0;
    this.relocatable = isRelocatable(key);
  }

  /** Forgets the memory operand of the last instruction; this one stands at `code[position]`. */
  protected startOperands(context: TranslateContext, position: number): void {
    this.#ea = 0;
    this.espBias = 0;
    this.#context = context;
    this.#position = position;
    const i = this.insn;
    this.#disp = 0;
    if (i.dispAt >= 0) {
      const host = context.mutableWord(position + i.dispAt);
      if (host >= 0) {
        this.#disp = this.b.code32(host);
        i.disp = 0;
      }
    }
  }

  /** The immediate of an instruction, of `size` bytes. */
  #immediate(size: number): Value {
    const i = this.insn;
    if (size === 8) return this.b.i64(i.imm, i.immHi);
    if (size === 4 && (i.row.imm === IMM_Z || i.row.imm === IMM_V)) {
      const host = this.#context.mutableWord(this.#position + i.length - 4);
      if (host >= 0) return this.b.code32(host);
    }
    return this.zext(size, this.b.i32(i.imm));
  }

  // Registers. Values of up to 4 bytes are i32, those of 8 i64.

  /** A constant. */
  imm(v: number): Value {
    return this.b.i32(v);
  }

  /** A constant of `size` bytes, sign-extended. */
  constant(size: number, v: number): Value {
    return size === 8 ? this.b.i64(v) : this.b.i32(v);
  }

  /** An EIP of this block as the guest sees it; in 64-bit mode an i64. */
  pc(eip: number): Value {
    const b = this.b;
    if (this.long) {
      const rip = b.i64(eip, this.highOf(eip));
      return this.relocatable ? b.add(b.get(PC_BASE64), rip) : rip;
    }
    return this.relocatable ? b.add(b.get(PC_BASE), b.i32(eip)) : b.i32(eip);
  }

  /** In 64-bit mode: the high half of the RIP near this instruction whose low half is `eip`. */
  highOf(eip: number): number {
    // Less than 4 GiB away: the distance as a signed number tells.
    const distance = (eip - this.eip) | 0;
    const sum = (this.eip >>> 0) + distance;
    return (this.ripHi + Math.floor(sum / 0x1_0000_0000)) | 0;
  }

  /** General register `n` of `size` bytes (for 1, without REX: AL CL DL BL AH CH DH BH), zero-extended. */
  reg(size: number, n: number): Value {
    const b = this.b;
    if (this.long) return this.#longReg(size, n);
    if (size === 4) return b.get(GPR[n]);
    const slot = size === 2 ? 8 + n : n;
    const full = b.get(GPR[size === 1 ? n & 3 : n]);
    if (this.#wholes[slot] === full) return this.#parts[slot];
    const part = size === 2
      ? b.zext16(full)
      : b.zext8(n < 4 ? full : b.shrU(full, b.i32(8)));
    this.#wholes[slot] = full;
    this.#parts[slot] = part;
    return part;
  }

  /** The same in 64-bit mode. */
  #longReg(size: number, n: number): Value {
    const b = this.b;
    const high = size === 1 && n >= 4 && n < 8 && this.insn.rex === 0;
    const whole = b.get(GPR64[high ? n & 3 : n]);
    if (size === 8) return whole;
    const low = b.low(whole);
    if (size === 4) return low;
    if (size === 2) return b.zext16(low);
    return b.zext8(high ? b.shrU(low, b.i32(8)) : low);
  }

  /** Writes general register `n` of `size` bytes; the bits above stay, but 4 bytes clear those of 64-bit mode. */
  setReg(size: number, n: number, v: Value): void {
    const b = this.b;
    if (this.long) return this.#setLongReg(size, n, v);
    if (size === 4) return b.set(GPR[n], v);
    const g = GPR[size === 1 ? n & 3 : n];
    const old = b.get(g);
    const part = this.zext(size, v);
    const slot = size === 2 ? 8 + n : n;
    const rest = size === 2 ? 0xffff0000 : n < 4 ? 0xffffff00 : 0xffff00ff;
    const full = b.or(
      b.and(old, b.i32(rest)),
      size === 1 && n >= 4 ? b.shl(part, b.i32(8)) : part,
    );
    b.set(g, full);
    this.#wholes[slot] = full;
    this.#parts[slot] = part;
  }

  #setLongReg(size: number, n: number, v: Value): void {
    const b = this.b;
    if (size === 8) return b.set(GPR64[n], v);
    if (size === 4) return b.set(GPR64[n], b.zext32(v));
    const high = size === 1 && n >= 4 && n < 8 && this.insn.rex === 0;
    const g = GPR64[high ? n & 3 : n];
    const mask = size === 2 ? 0xffff : high ? 0xff00 : 0xff;
    const part = this.zext(size, v);
    const placed = b.zext32(high ? b.shl(part, b.i32(8)) : part);
    b.set(g, b.or(b.and(b.get(g), b.i64(~mask, -1)), placed));
  }

  /** `v` without the bits above `size` bytes. */
  zext(size: number, v: Value): Value {
    return size >= 4
      ? v
      : this.b.and(v, this.b.i32(size === 2 ? 0xffff : 0xff));
  }

  /** `v` sign-extended from `size` bytes. */
  sext(size: number, v: Value): Value {
    return size >= 4 ? v : size === 2 ? this.b.sext16(v) : this.b.sext8(v);
  }

  /** `v` as a value of `size` bytes: an i32 becomes an i64 by zero extension, an i64 loses its high half. */
  resize(size: number, v: Value): Value {
    const isWide = this.b.typeOf(v) === I64;
    if (size === 8) return isWide ? v : this.b.zext32(v);
    return isWide ? this.b.low(v) : v;
  }

  // Operands by the table's letters.

  /** Size in bytes of operand `k` (0-2) of the instruction. */
  size(k: number): number {
    const s = this.insn.row.sizes[k];
    if (s === SIZE_Y) return this.insn.opSize === 8 ? 8 : 4;
    return s !== 0 ? s : this.insn.opSize;
  }

  /** Whether the ModRM operand is in memory. */
  get isMemory(): boolean {
    return this.insn.mod !== 3;
  }

  /** Reads operand `k`, zero-extended. */
  read(k: number): Value {
    const i = this.insn;
    const size = this.size(k);
    switch (i.row.kinds[k]) {
      case KIND_E:
        return i.mod === 3 ? this.reg(size, i.rm) : this.load(LOAD[size], i);
      case KIND_M:
      case KIND_O:
        return this.load(LOAD[size], i);
      case KIND_G:
        return this.reg(size, i.reg);
      case KIND_R:
        return this.reg(size, i.rm);
      case KIND_B:
        return this.reg(size, i.vvvv);
      case KIND_Z:
        return this.reg(size, i.rm);
      case KIND_REG:
        return this.reg(size, i.row.fixed[k]);
      case KIND_I:
        return this.#immediate(size);
      case KIND_ONE:
        return this.b.i32(1);
    }
    throw new Error(`${i.row.name}: operand ${k} cannot be read`);
  }

  /** Writes operand `k`. */
  write(k: number, v: Value): void {
    const i = this.insn;
    const size = this.size(k);
    switch (i.row.kinds[k]) {
      case KIND_E:
        return i.mod === 3
          ? this.setReg(size, i.rm, v)
          : this.store(STORE[size], i, v);
      case KIND_M:
      case KIND_O:
        return this.store(STORE[size], i, v);
      case KIND_G:
        return this.setReg(size, i.reg, v);
      case KIND_R:
        return this.setReg(size, i.rm, v);
      case KIND_B:
        return this.setReg(size, i.vvvv, v);
      case KIND_Z:
        return this.setReg(size, i.rm, v);
      case KIND_REG:
        return this.setReg(size, i.row.fixed[k], v);
    }
    throw new Error(`${i.row.name}: operand ${k} cannot be written`);
  }

  // Memory.

  /**
   * Effective offset of the memory operand, without the segment's base; LEA's
   * result. An i64 in 64-bit mode.
   */
  offset(i: Insn): Value {
    const b = this.b;
    if (this.long) {
      if (i.row.imm === IMM_O && i.addrSize === 8) {
        return b.i64(i.disp, i.dispHi);
      }
      const v = this.#longOffset(i);
      return i.addrSize === 4 ? b.zext32(b.low(v)) : v;
    }
    const v = this.#offsetWithoutDisp(i);
    const sum = b.add(v, b.i32(i.disp));
    return i.addrSize === 2 ? b.zext16(sum) : sum;
  }

  /** The same in 64-bit mode, not yet cut to the address size. */
  #longOffset(i: Insn): Value {
    const b = this.b;
    if (i.ripRelative) {
      const next = this.pc(this.nextEip);
      return this.#disp === 0
        ? b.add(next, b.i64(i.disp))
        : b.add(b.sext32(this.#disp), next);
    }
    let v: Value = 0;
    if (i.base >= 0) {
      v = b.get(GPR64[i.base]);
      if (i.base === RSP) v = b.add(v, b.i64(this.espBias));
    }
    if (i.index >= 0) {
      const scaled = b.shl(b.get(GPR64[i.index]), b.i64(i.scale));
      v = v === 0 ? scaled : b.add(v, scaled);
    }
    if (this.#disp !== 0) {
      const disp = b.sext32(this.#disp);
      return v === 0 ? disp : b.add(v, disp);
    }
    return v === 0 ? b.i64(i.disp) : b.add(v, b.i64(i.disp));
  }

  #offsetWithoutDisp(i: Insn): Value {
    const b = this.b;
    let v: Value = 0;
    if (i.base >= 0) {
      v = b.get(GPR[i.base]);
      if (i.base === RSP && this.espBias !== 0) {
        v = b.add(v, b.i32(this.espBias));
      }
    }
    if (i.index >= 0) {
      const x = b.get(GPR[i.index]);
      const scaled = i.scale === 0 ? x : b.shl(x, b.i32(i.scale));
      v = v === 0 ? scaled : b.add(v, scaled);
    }
    if (this.#disp !== 0) v = v === 0 ? this.#disp : b.add(v, this.#disp);
    return v === 0 ? b.i32(0) : v;
  }

  /** Linear address of the memory operand after the segment's checks for `size` bytes. */
  ea(i: Insn, size: number, write: boolean): Value {
    this.#resolve(i, size, write);
    return this.b.add(this.#ea, this.b.like(this.#ea, this.#eaDisp));
  }

  #resolve(i: Insn, size: number, write: boolean): void {
    if (this.#ea !== 0) {
      if (write && !this.#eaWritable) {
        this.#checkWritable(i, size);
        this.#eaWritable = true;
      }
      return;
    }
    this.#eaWritable = write;
    if (
      !this.long && i.addrSize === 4 && this.isFlat(i.segment) &&
      !(write && i.segment === CS && this.protected)
    ) {
      this.#ea = this.#offsetWithoutDisp(i);
      this.#eaDisp = i.disp;
      if ((this.key & (KEY_ALIGN | KEY_DEBUG)) !== 0) {
        this.#watch(this.b.add(this.#ea, this.b.i32(i.disp)), size, write);
      }
    } else {
      this.#eaDisp = 0;
      this.#ea = this.linear(i.segment, this.offset(i), size, write);
    }
  }

  /** The memory operand was checked for reading and is to be written as well. */
  #checkWritable(i: Insn, size: number): void {
    if (this.long) {
      // Nothing is checked but the page.
    } else if (
      !this.isFlat(i.segment) || (i.segment === CS && this.protected)
    ) {
      if ((this.key & KEY_LIMIT_64K) === 0) {
        this.#check(i.segment, this.offset(i), size, true);
      }
    }
    if ((this.key & KEY_DEBUG) !== 0) {
      this.#watch(
        this.b.add(this.#ea, this.b.like(this.#ea, this.#eaDisp)),
        size,
        true,
      );
    }
  }

  /** Whether a segment needs neither base nor checks. */
  isFlat(segment: number): boolean {
    if (this.long) return segment !== FS && segment !== GS;
    if (segment === CS) return (this.key & KEY_FLAT_CS) !== 0;
    if (segment === FS || segment === GS) return false;
    return (this.key & KEY_FLAT_DATA) !== 0;
  }

  /** Linear address of `offset` in a segment, after its checks for `size` bytes. */
  linear(segment: number, offset: Value, size: number, write: boolean): Value {
    let address = offset;
    if (this.long) {
      if (!this.isFlat(segment)) {
        address = this.b.add(this.b.get(BASE64[segment]), offset);
      }
    } else if (
      !this.isFlat(segment) || (write && segment === CS && this.protected)
    ) {
      this.#check(segment, offset, size, write);
      address = this.b.add(this.b.get(BASE[segment]), offset);
    }
    if ((this.key & (KEY_ALIGN | KEY_DEBUG)) !== 0) {
      this.#watch(address, size, write);
    }
    return address;
  }

  #check(segment: number, offset: Value, size: number, write: boolean): void {
    const b = this.b;
    if (segment === FS && (this.key & KEY_OPEN_FS) !== 0) return;
    if (segment === GS && (this.key & KEY_OPEN_GS) !== 0) return;
    if ((this.key & KEY_LIMIT_64K) !== 0) {
      const code = trapCode(segment === SS ? SS_FAULT : GP, 0);
      // `and x, 0xffff` and loads of 16 bits cannot be above 0xffff.
      if (size > 1 || !this.#fits16(offset)) {
        b.trap(b.op(Op["i32.gt_u"], offset, b.i32(0x10000 - size)), code);
      }
      return;
    }
    b.call(
      CHECK_SEGMENT,
      offset,
      b.i32(segment | (size << 4) | (write ? 0x1000 : 0)),
    );
  }

  #fits16(v: Value): boolean {
    const b = this.b;
    if (b.isConst(v)) return b.constOf(v) >>> 0 <= 0xffff;
    if (b.opOf(v) !== Op["i32.and"]) return false;
    const mask = b.block.b[b.block.valueDef[v]];
    return b.isConst(mask) && b.constOf(mask) === 0xffff;
  }

  #watch(address: Value, size: number, write: boolean): void {
    const b = this.b;
    if (size === 2 || size === 4 || size === 8) {
      this.checkAligned(address, size);
    }
    if ((this.key & KEY_DEBUG) !== 0) {
      b.call(
        this.options.debugData,
        this.addressArgument(address),
        b.i32(size | (write ? 0x100 : 0)),
      );
    }
  }

  /** Raises #AC where alignment is checked and an address is not a multiple of `size`. */
  checkAligned(address: Value, size: number): void {
    if ((this.key & KEY_ALIGN) === 0) return;
    this.b.trap(this.misaligned(address, size), trapCode(AC, 0));
  }

  /**
   * Not 0 if the address of an operand of `bytes` is not a multiple of `size`.
   * If it is not canonical, or goes past the end, that is a fault that comes first.
   */
  misaligned(address: Value, size: number, bytes = size): Value {
    const b = this.b;
    const odd = b.and(b.low(address), b.i32(size - 1));
    const last = b.add(address, b.like(address, bytes - 1));
    const isAcross = this.long
      ? b.or(this.notCanonical(address), this.notCanonical(last))
      : b.ltU(last, address);
    return b.select(isAcross, b.i32(0), odd);
  }

  /** Not 0 if an i64 is no canonical address. */
  notCanonical(address: Value): Value {
    const b = this.b;
    const top = b.op(Op["i64.shr_s"], address, b.i64(47));
    return b.op(Op["i64.gt_u"], b.add(top, b.i64(1)), b.i64(1));
  }

  /** A linear address as a helper's argument: see `X86.addressArgument`. */
  addressArgument(address: Value): Value {
    if (this.long) this.b.set(SCRATCH[0], address);
    return this.b.low(address);
  }

  /**
   * Loads the memory operand by one of the IR's `ld*`, or what is `from` bytes
   * into it: of an operand for which {@linkcode Operands.ea} has been called.
   */
  load(op: number, i: Insn, from = 0): Value {
    this.#resolve(i, WIDTH[op], i.row.modifies);
    return this.b.load(op, this.#ea, this.#eaDisp + from, this.mmu);
  }

  /** Stores to the memory operand by one of the IR's `st*`; see {@linkcode Operands.load}. */
  store(op: number, i: Insn, v: Value, from = 0): void {
    this.#resolve(i, WIDTH[op], true);
    this.b.store(op, this.#ea, this.#eaDisp + from, v, this.mmu);
  }

  /** Raises #GP(0) unless the memory operand is aligned to `size` bytes (a power of two). */
  alignEa(i: Insn, size: number, write: boolean): void {
    const b = this.b;
    const address = this.ea(i, size, write);
    b.trap(b.and(b.low(address), b.i32(size - 1)), trapCode(GP, 0));
  }

  /** Loads `size` (1, 2, 4, 8) bytes at a linear address that has been checked, zero-extended. */
  loadLinear(size: number, address: Value, disp = 0): Value {
    return this.b.load(LOAD[size], address, disp, this.mmu);
  }

  /** Stores `size` (1, 2, 4, 8) bytes at a linear address that has been checked. */
  storeLinear(size: number, address: Value, v: Value, disp = 0): void {
    this.b.store(STORE[size], address, disp, v, this.mmu);
  }

  // The stack.

  /** The stack pointer plus `delta`, wrapped to the stack's size: an offset in SS. */
  stackPointer(delta: number): Value {
    const b = this.b;
    if (this.long) return b.add(b.get(GPR64[RSP]), b.i64(delta));
    const v = b.add(b.get(GPR[RSP]), b.i32(delta));
    return this.stack32 ? v : b.zext16(v);
  }

  /** Linear address of `size` bytes at the stack pointer plus `delta`. */
  stackAddress(delta: number, size: number, write: boolean): Value {
    return this.linear(SS, this.stackPointer(delta), size, write);
  }

  /** Writes RSP, ESP or SP. */
  setStackPointer(v: Value): void {
    this.setReg(this.long ? 8 : this.stack32 ? 4 : 2, RSP, v);
  }

  /** Pushes `size` bytes of `v`. The stack pointer changes after the store. */
  push(size: number, v: Value): void {
    const pointer = this.stackPointer(-size);
    this.storeLinear(size, this.linear(SS, pointer, size, true), v);
    this.setStackPointer(pointer);
  }

  /** Reads `size` bytes at the stack pointer plus `delta`; changes nothing. */
  peek(size: number, delta = 0): Value {
    return this.loadLinear(size, this.stackAddress(delta, size, false));
  }

  /** Pops `size` bytes; must be the last thing of its instruction that can fault. */
  pop(size: number): Value {
    const v = this.peek(size);
    this.setStackPointer(this.stackPointer(size));
    return v;
  }
}
