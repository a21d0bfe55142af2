/**
 * The x87 unit (SDM volume 1, chapter 8): register stack, tags, status and
 * control word, exceptions. Numbers themselves are Float80's affair.
 *
 * Everything works on the CPU's state in the shared memory. FSW there lacks
 * TOP, which has a word of its own; the tag word has one bit a physical
 * register, 1 for one that is not empty.
 *
 * Numeric exceptions are never raised by the instruction that causes them: an
 * unmasked one sets FSW.ES, and the next waiting instruction raises #MF (its
 * translation tests ES). With CR0.NE clear the machine is told by FERR#, and that
 * instruction waits for an interrupt until IGNNE# is active.
 *
 * @module
 */

import { ACCESS_WRITE } from "../../../core/cpu/frontend.ts";
import type { X86 } from "./cpu.ts";
import { C0, C1, C2, C3, Float80, IE, NOT_WRITTEN } from "./float80.ts";
import {
  CF,
  OFF_CR,
  OFF_FCW,
  OFF_FPR,
  OFF_FSW,
  OFF_FTAG,
  OFF_FTOP,
  OFF_X87_TEMP,
  PF,
  ZF,
} from "./state.ts";

const FCW = OFF_FCW >> 2,
  FSW = OFF_FSW >> 2,
  TOP = OFF_FTOP >> 2,
  TAG = OFF_FTAG >> 2,
  FPR = OFF_FPR >> 2,
  TEMP = OFF_X87_TEMP >> 2;
const CR0 = OFF_CR >> 2;
const CR0_NE = 0x20;

/** FSW: stack fault. */
const SF = 0x40;
/** FSW: error summary and its copy, busy. */
const ES = 0x8080;
/** The six exceptions. */
const EXCEPTIONS = 0x3f;
/** The four condition codes. */
const CODES = C3 | C2 | C1 | C0;
/** Control word: round to zero. */
const CHOP = 0xc00;

/** Formats in memory. */
export type Format = 0 | 1 | 2 | 3 | 4 | 5 | 6;
/** Single precision. */
export const FORMAT_F32 = 0;
/** Double precision. */
export const FORMAT_F64 = 1;
/** Extended precision. */
export const FORMAT_F80 = 2;
/** 16-bit integer. */
export const FORMAT_I16 = 3;
/** 32-bit integer. */
export const FORMAT_I32 = 4;
/** 64-bit integer. */
export const FORMAT_I64 = 5;
/** Packed BCD. */
export const FORMAT_BCD = 6;
/** In a store's `what`: pop afterwards. */
export const STORE_POP = 8;
/** In a store's `what`: truncate (FISTTP). */
export const STORE_TRUNCATE = 16;
/** Bytes of each format. */
const SIZES = [4, 8, 10, 2, 4, 8, 10];

/** For two-register arithmetic: the result goes to ST(i), not ST(0). */
export const TO_OPERAND = 1;
/** For two-register arithmetic: pop afterwards. */
export const POP = 2;

// Arithmetic by ModRM's reg field.
const ADD = 0, MUL = 1, COM = 2, COMP = 3, SUB = 4, SUBR = 5, DIV = 6, DIVR = 7;

// One-operand functions on ST(0).
/** FCHS. */
export const CHS = 0;
/** FABS. */
export const ABS = 1;
/** FSQRT. */
export const SQRT = 2;
/** FRNDINT. */
export const RNDINT = 3;
/** F2XM1. */
export const F2XM1 = 4;
/** FSIN. */
export const SIN = 5;
/** FCOS. */
export const COS = 6;
// Two-operand functions on ST(0) and ST(1).
/** FSCALE. */
export const SCALE = 7;
/** FPREM. */
export const PREM = 8;
/** FPREM1. */
export const PREM1 = 9;
// The same with the result in ST(1) and a pop.
/** FYL2X. */
export const YL2X = 10;
/** FYL2XP1. */
export const YL2XP1 = 11;
/** FPATAN. */
export const PATAN = 12;
// Functions that replace ST(0) and push.
/** FPTAN. */
export const PTAN = 13;
/** FSINCOS. */
export const SINCOS = 14;
/** FXTRACT. */
export const XTRACT = 15;

/** The x87 unit of one CPU. */
export class X87 {
  /** The CPU. */
  readonly cpu: X86;
  /** The state, as words; another one than the CPU's before {@linkcode ready}. */
  protected s: Int32Array = new Int32Array(0);
  /** Byte offset of the state in its buffer. */
  protected base = 0;
  /** The arithmetic. */
  protected f!: Float80;

  /** Makes the unit of a CPU. */
  constructor(cpu: X86) {
    this.cpu = cpu;
  }

  /** To be called first by whoever is called from outside: follows the CPU's state to the engine's memory. */
  ready(): this {
    const s = this.cpu.state;
    if (this.s !== s) {
      this.s = s;
      this.base = s.byteOffset;
      this.f = new Float80(s.buffer);
    }
    return this;
  }

  /** Offset of the slot of ST(i). */
  protected slot(i: number): number {
    return this.base + OFF_FPR + (((this.s[TOP] + i) & 7) << 4);
  }

  /** Offset of the slot for operands. */
  protected get temp(): number {
    return this.base + OFF_X87_TEMP;
  }

  /** Whether ST(i) is empty. */
  protected empty(i: number): boolean {
    return ((this.s[TAG] >> ((this.s[TOP] + i) & 7)) & 1) === 0;
  }

  /** Marks ST(i) as not empty. */
  protected fill(i: number): void {
    this.s[TAG] |= 1 << ((this.s[TOP] + i) & 7);
  }

  /** Pops the stack. */
  protected pop(): void {
    const s = this.s, top = s[TOP];
    s[TAG] &= ~(1 << top);
    s[TOP] = (top + 1) & 7;
  }

  /** Pushes a register whose slot has been written. */
  protected push(): void {
    const s = this.s, top = (s[TOP] - 1) & 7;
    s[TOP] = top;
    s[TAG] |= 1 << top;
  }

  /** Records exceptions and condition codes; unmasked exceptions become pending. */
  protected raise(flags: number): void {
    const s = this.s;
    s[FSW] |= flags & (EXCEPTIONS | SF | CODES);
    if ((flags & EXCEPTIONS & ~s[FCW]) !== 0) {
      s[FSW] |= ES;
      if ((s[CR0] & CR0_NE) === 0) this.cpu.ferr?.(true);
    }
  }

  /** Ends an operation: C1 and the exceptions from `flags`. */
  protected finish(flags: number): void {
    this.s[FSW] &= ~C1;
    if (flags !== 0) this.raise(flags);
  }

  /** Writes the indefinite NaN to ST(i). */
  protected indefinite(i: number): void {
    const s = this.s, w = FPR + (((s[TOP] + i) & 7) << 2);
    s[w] = 0;
    s[w + 1] = 0xc000_0000 | 0;
    s[w + 2] = 0xffff;
    s[w + 3] = 0;
  }

  /** Stack underflow. Whether it is masked, so that the instruction goes on with the indefinite NaN. */
  protected underflow(): boolean {
    this.s[FSW] &= ~C1;
    this.raise(IE | SF);
    return (this.s[FCW] & IE) !== 0;
  }

  /** Stack overflow. Whether it is masked. */
  protected overflow(): boolean {
    this.raise(IE | SF | C1);
    return (this.s[FCW] & IE) !== 0;
  }

  /** Whether a push overflows; if that is masked, the indefinite NaN is pushed. */
  protected pushFaults(): boolean {
    if (this.empty(7)) return false;
    if (this.overflow()) {
      this.push();
      this.indefinite(0);
    }
    return true;
  }

  // Arithmetic.

  /** `dst = a op b` by the reg field; gives back the flags. */
  #arithmetic(
    op: number,
    dst: number,
    a: number,
    b: number,
    cw: number,
  ): number {
    const f = this.f;
    switch (op) {
      case ADD:
        return f.add(dst, a, b, cw);
      case MUL:
        return f.mul(dst, a, b, cw);
      case SUB:
        return f.sub(dst, a, b, cw);
      case SUBR:
        return f.sub(dst, b, a, cw);
      case DIV:
        return f.div(dst, a, b, cw);
      case DIVR:
        return f.div(dst, b, a, cw);
    }
    throw new Error(`x87 operation ${op}`);
  }

  /** Arithmetic of ST(0) and ST(i): `how` is a sum of TO_OPERAND and POP. */
  registers(op: number, i: number, how: number): void {
    const target = (how & TO_OPERAND) !== 0 ? i : 0;
    if (this.empty(0) || this.empty(i)) {
      if (!this.underflow()) return;
      this.indefinite(target);
      this.fill(target);
    } else {
      const flags = this.#arithmetic(
        op,
        this.slot(target),
        this.slot(0),
        this.slot(i),
        this.s[FCW],
      );
      this.finish(flags);
      if ((flags & NOT_WRITTEN) !== 0) return;
    }
    if ((how & POP) !== 0) this.pop();
  }

  /** Arithmetic or comparison of ST(0) and the number in the operand slot, which `cw` goes with. */
  #operand(op: number, cw: number): void {
    if (op === COM || op === COMP) {
      this.#compareSlot(this.temp, cw, op === COMP ? 1 : 0, false);
      return;
    }
    if (this.empty(0)) {
      if (this.underflow()) {
        this.indefinite(0);
        this.fill(0);
      }
      return;
    }
    const slot = this.slot(0);
    this.finish(this.#arithmetic(op, slot, slot, this.temp, cw));
  }

  /** Arithmetic with a single in memory. */
  operandF32(op: number, bits: number): void {
    this.s[TEMP + 4] = bits;
    const temp = this.temp;
    this.#operand(op, this.s[FCW] | this.f.rawF32(temp, temp + 16));
  }

  /** Arithmetic with a double in memory. */
  operandF64(op: number, lo: number, hi: number): void {
    const s = this.s;
    s[TEMP + 4] = lo;
    s[TEMP + 5] = hi;
    const temp = this.temp;
    this.#operand(op, s[FCW] | this.f.rawF64(temp, temp + 16));
  }

  /** Arithmetic with an integer in memory. */
  operandInteger(op: number, value: number): void {
    this.s[TEMP + 4] = value;
    this.f.loadI32(this.temp, this.temp + 16);
    this.#operand(op, this.s[FCW]);
  }

  // Comparison.

  /** Compares ST(0) with a slot; pops `pops` times. */
  #compareSlot(
    slot: number,
    cw: number,
    pops: number,
    quiet: boolean,
  ): void {
    const s = this.s;
    if (this.empty(0)) return this.#compareUnderflow(pops);
    const a = this.slot(0);
    const flags = quiet
      ? this.f.compareQuiet(a, slot, cw)
      : this.f.compare(a, slot, cw);
    s[FSW] &= ~CODES;
    if (flags !== 0) this.raise(flags);
    if ((flags & NOT_WRITTEN) !== 0) return;
    for (let k = 0; k < pops; k++) this.pop();
  }

  #compareUnderflow(pops: number): void {
    this.s[FSW] |= C3 | C2 | C0;
    if (!this.underflow()) return;
    for (let k = 0; k < pops; k++) this.pop();
  }

  /** FCOM, FUCOM and their popping forms. */
  compare(i: number, pops: number, quiet: boolean): void {
    if (this.empty(i)) return this.#compareUnderflow(pops);
    this.#compareSlot(this.slot(i), this.s[FCW], pops, quiet);
  }

  /** FCOMI, FUCOMI: ZF, PF and CF, which are set even when an exception is unmasked. */
  compareFlags(i: number, pop: boolean, quiet: boolean): number {
    let flags = C3 | C2 | C0;
    if (this.empty(0) || this.empty(i)) {
      if (!this.underflow()) flags |= NOT_WRITTEN;
    } else {
      const a = this.slot(0), b = this.slot(i), cw = this.s[FCW];
      flags = quiet ? this.f.compareQuiet(a, b, cw) : this.f.compare(a, b, cw);
      this.raise(flags & EXCEPTIONS); // C1 stays
    }
    if (pop && (flags & NOT_WRITTEN) === 0) this.pop();
    return ((flags & C0) !== 0 ? CF : 0) | ((flags & C2) !== 0 ? PF : 0) |
      ((flags & C3) !== 0 ? ZF : 0);
  }

  /** FTST. */
  test(): void {
    if (this.empty(0)) return this.#compareUnderflow(0);
    const flags = this.f.test(this.slot(0), this.s[FCW]);
    this.s[FSW] &= ~CODES;
    if (flags !== 0) this.raise(flags);
  }

  /** FXAM. */
  examine(): void {
    const s = this.s;
    let codes = this.f.examine(this.slot(0));
    if (this.empty(0)) codes = codes & C1 | C3 | C0;
    s[FSW] = s[FSW] & ~CODES | codes;
  }

  // Loads, moves.

  /** FLD m32. */
  loadF32(bits: number): void {
    if (this.pushFaults()) return;
    this.s[TEMP] = bits;
    const flags = this.f.loadF32(this.slot(7), this.temp, this.s[FCW]);
    this.finish(flags);
    if ((flags & NOT_WRITTEN) === 0) this.push();
  }

  /** FLD m64. */
  loadF64(lo: number, hi: number): void {
    if (this.pushFaults()) return;
    const s = this.s;
    s[TEMP] = lo;
    s[TEMP + 1] = hi;
    const flags = this.f.loadF64(this.slot(7), this.temp, s[FCW]);
    this.finish(flags);
    if ((flags & NOT_WRITTEN) === 0) this.push();
  }

  /** FLD m80, FILD and FBLD: from the operand slot, where `format` is F80, I32, I64 or BCD. */
  load(format: Format, a: number, b: number, c: number): void {
    if (this.pushFaults()) return;
    const s = this.s, slot = this.slot(7), temp = this.temp;
    s[TEMP] = a;
    s[TEMP + 1] = b;
    s[TEMP + 2] = c;
    if (format === FORMAT_F80) this.f.copy(slot, temp);
    else if (format === FORMAT_I32) this.f.loadI32(slot, temp);
    else if (format === FORMAT_I64) this.f.loadI64(slot, temp);
    else this.f.loadBcd(slot, temp);
    this.finish(0);
    this.push();
  }

  /** FLD ST(i). */
  loadRegister(i: number): void {
    // Of both stack faults, underflow is reported.
    const isEmpty = this.empty(i);
    if (!isEmpty && this.pushFaults()) return;
    if (isEmpty) {
      if (!this.underflow()) return;
      this.push();
      this.indefinite(0);
      return;
    }
    this.f.copy(this.slot(7), this.slot(i));
    this.finish(0);
    this.push();
  }

  /** FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ, in opcode order. */
  loadConstant(n: number): void {
    if (this.pushFaults()) return;
    const f = this.f, slot = this.slot(7), cw = this.s[FCW];
    switch (n) {
      case 0:
        f.one(slot);
        break;
      case 1:
        f.log2Ten(slot, cw);
        break;
      case 2:
        f.log2E(slot, cw);
        break;
      case 3:
        f.pi(slot, cw);
        break;
      case 4:
        f.log10Two(slot, cw);
        break;
      case 5:
        f.lnTwo(slot, cw);
        break;
      default:
        f.zero(slot);
    }
    this.finish(0);
    this.push();
  }

  /** FST ST(i), FSTP ST(i). */
  storeRegister(i: number, pop: boolean): void {
    if (this.empty(0)) {
      if (!this.underflow()) return;
      this.indefinite(i);
    } else {
      this.f.copy(this.slot(i), this.slot(0));
      this.finish(0);
    }
    this.fill(i);
    if (pop) this.pop();
  }

  /** The alias D9 /3 of FSTP ST(i): an empty ST(0) is not moved, raises nothing, and is popped. */
  moveRegister(i: number): void {
    if (!this.empty(0)) {
      this.f.copy(this.slot(i), this.slot(0));
      this.fill(i);
    }
    this.finish(0);
    this.pop();
  }

  /** FXCH. */
  exchange(i: number): void {
    if (this.empty(0) || this.empty(i)) {
      if (!this.underflow()) return;
      if (this.empty(0)) this.indefinite(0);
      if (this.empty(i)) this.indefinite(i);
      this.fill(0);
      this.fill(i);
    } else {
      this.finish(0);
    }
    const f = this.f, a = this.slot(0), b = this.slot(i), temp = this.temp;
    f.copy(temp, a);
    f.copy(a, b);
    f.copy(b, temp);
  }

  /** FCMOVcc. */
  moveIf(i: number, condition: boolean): void {
    if (this.empty(0) || this.empty(i)) {
      if (!this.underflow()) return;
      this.indefinite(0);
      this.fill(0);
      return;
    }
    if (condition) this.f.copy(this.slot(0), this.slot(i)); // C1 stays
  }

  // Stores to memory.

  /**
   * FST, FSTP, FIST, FISTP, FISTTP, FBSTP: `what` is a format with STORE_POP
   * and STORE_TRUNCATE. Nothing has changed when the store faults.
   */
  store(address: number, what: number, mmu: number): void {
    const s = this.s, format = what & 7;
    const pop = (what & STORE_POP) !== 0;
    let flags = 0;
    const isEmpty = this.empty(0);
    if (isEmpty) {
      if ((s[FCW] & IE) === 0) flags = NOT_WRITTEN;
      else this.#storeIndefinite(format);
    } else {
      const cw = s[FCW] | ((what & STORE_TRUNCATE) !== 0 ? CHOP : 0);
      flags = this.#convert(format, cw);
    }
    const memory = this.cpu.engine.mmu, size = SIZES[format];
    // A memory fault comes first even when nothing is stored.
    if ((flags & NOT_WRITTEN) !== 0 || (address & 0xfff) + size > 0x1000) {
      // Ten bytes are two stores.
      if (size === 10) memory.probe(address, 8, ACCESS_WRITE, mmu);
      memory.probe(address, size, ACCESS_WRITE, mmu);
    }
    if ((flags & NOT_WRITTEN) === 0) {
      if (size === 2) memory.write16(address, s[TEMP] & 0xffff, mmu);
      else {
        memory.write32(address, s[TEMP], mmu);
        if (size >= 8) memory.write32(address + 4, s[TEMP + 1], mmu);
        if (size === 10) {
          memory.write16(address + 8, s[TEMP + 2] & 0xffff, mmu);
        }
      }
    }
    if (isEmpty) this.underflow();
    else this.finish(flags);
    if (pop && (flags & NOT_WRITTEN) === 0) this.pop();
  }

  /** Converts ST(0) into the operand slot. */
  #convert(format: number, cw: number): number {
    const f = this.f, temp = this.temp, slot = this.slot(0);
    switch (format) {
      case FORMAT_F32:
        return f.storeF32(temp, slot, cw);
      case FORMAT_F64:
        return f.storeF64(temp, slot, cw);
      case FORMAT_I16:
        return f.storeI16(temp, slot, cw);
      case FORMAT_I32:
        return f.storeI32(temp, slot, cw);
      case FORMAT_I64:
        return f.storeI64(temp, slot, cw);
      case FORMAT_BCD:
        return f.storeBcd(temp, slot, cw);
    }
    f.copy(temp, slot);
    return 0;
  }

  /** The indefinite value of a format, in the operand slot. */
  #storeIndefinite(format: number): void {
    const s = this.s;
    let a = 0, b = 0, c = 0;
    switch (format) {
      case FORMAT_F32:
        a = 0xffc0_0000 | 0;
        break;
      case FORMAT_F64:
        b = 0xfff8_0000 | 0;
        break;
      case FORMAT_I16:
        a = 0x8000;
        break;
      case FORMAT_I32:
        a = -0x8000_0000;
        break;
      case FORMAT_I64:
        b = -0x8000_0000;
        break;
      default: // extended precision and BCD share it
        b = 0xc000_0000 | 0;
        c = 0xffff;
    }
    s[TEMP] = a;
    s[TEMP + 1] = b;
    s[TEMP + 2] = c;
  }

  // Functions.

  /** FCHS to FXTRACT. */
  compute(what: number): void {
    if (what <= COS) this.#unary(what);
    else if (what <= PATAN) this.#binary(what);
    else this.#pushing(what);
  }

  #unary(what: number): void {
    const s = this.s, f = this.f;
    // FSIN and FCOS report in C2 whether the operand was in range.
    if (what >= SIN) s[FSW] &= ~C2;
    if (this.empty(0)) {
      if (this.underflow()) {
        this.indefinite(0);
        this.fill(0);
      }
      return;
    }
    const slot = this.slot(0), cw = s[FCW];
    let flags = 0;
    switch (what) {
      case CHS:
        f.negate(slot, slot);
        break;
      case ABS:
        f.absolute(slot, slot);
        break;
      case SQRT:
        flags = f.sqrt(slot, slot, cw);
        break;
      case RNDINT:
        flags = f.roundToInteger(slot, slot, cw);
        break;
      case F2XM1:
        flags = f.exp2Minus1(slot, slot, cw);
        break;
      case SIN:
        flags = f.sine(slot, slot, cw);
        break;
      default:
        flags = f.cosine(slot, slot, cw);
    }
    this.finish(flags);
  }

  #isNan(slot: number): boolean {
    return (this.f.examine(slot) & (C0 | C2 | C3)) === C0;
  }

  #binary(what: number): void {
    const s = this.s, f = this.f;
    const pops = what >= YL2X;
    if (what === PREM || what === PREM1) s[FSW] &= ~(C1 | C2);
    if (this.empty(0) || this.empty(1)) {
      if (!this.underflow()) return;
      this.indefinite(pops ? 1 : 0);
      this.fill(pops ? 1 : 0);
      if (pops) this.pop();
      return;
    }
    const a = this.slot(0), b = this.slot(1), cw = s[FCW];
    let flags = 0;
    switch (what) {
      case SCALE:
        flags = f.scale(a, a, b, cw);
        break;
      case PREM:
      case PREM1:
        flags = what === PREM
          ? f.remainder(a, a, b, cw)
          : f.remainderNearest(a, a, b, cw);
        // C0 and C3 stay unless there is a quotient.
        if ((flags & (IE | NOT_WRITTEN)) === 0 && !this.#isNan(a)) {
          s[FSW] &= ~(C0 | C3);
        }
        break;
      case YL2X:
        flags = f.yLog2X(b, a, b, cw);
        break;
      case YL2XP1:
        flags = f.yLog2XPlus1(b, a, b, cw);
        break;
      default:
        flags = f.arctangent(b, a, b, cw);
    }
    this.finish(flags);
    if (pops && (flags & NOT_WRITTEN) === 0) this.pop();
  }

  #pushing(what: number): void {
    const s = this.s, f = this.f;
    if (what !== XTRACT) s[FSW] &= ~C2;
    if (this.empty(0) || !this.empty(7)) {
      const masked = this.empty(0) ? this.underflow() : this.overflow();
      if (!masked) return;
      this.indefinite(0);
      this.fill(0);
      this.push();
      this.indefinite(0);
      return;
    }
    const a = this.slot(0), pushed = this.slot(7), cw = s[FCW];
    let flags = 0;
    switch (what) {
      case PTAN:
        flags = f.tangent(a, pushed, a, cw);
        break;
      case SINCOS:
        flags = f.sineCosine(a, pushed, a, cw);
        break;
      default:
        flags = f.extract(a, pushed, a, cw);
    }
    this.finish(flags);
    if ((flags & (NOT_WRITTEN | C2)) === 0) this.push();
  }

  // Control.

  /** Loads the control word; exceptions that it unmasks become pending. */
  setControl(value: number): void {
    this.s[FCW] = value & 0x1f7f | 0x40;
    this.summarize();
  }

  /** Sets or clears ES by the exceptions and their masks. */
  protected summarize(): void {
    const s = this.s;
    const pending = (s[FSW] & EXCEPTIONS & ~s[FCW]) !== 0;
    s[FSW] = pending ? s[FSW] | ES : s[FSW] & ~ES;
    if ((s[CR0] & CR0_NE) === 0) this.cpu.ferr?.(pending);
  }

  /** FNCLEX. */
  clearExceptions(): void {
    this.s[FSW] &= CODES;
    this.summarize();
  }
}
