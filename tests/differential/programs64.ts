/**
 * Random programs of 64-bit mode for the host CPU and Rhea: procedures that
 * call each other, directly and through tables, loops, branches on what they
 * compute, and stores into the immediates of their own code.
 *
 * A program is one case (`record64.ts`). R15 is its fuel: at each procedure and
 * each pass of a loop it goes down, and below 0 it ends at an INT3, which says
 * where. Procedures call only those behind them. RBP leads to the data, R14 is
 * a random number; the other registers are what is computed with.
 *
 * @module
 */

import { ARITHMETIC_FLAGS } from "./forms.ts";
import { floatModes, type Piece, scatter, value32 } from "./generate.ts";
import { type Case64, place64 } from "./generate64.ts";
import type { Prng } from "./prng.ts";
import { CODE, DATA, PAGES } from "./record.ts";
import {
  CaseRecord64,
  CODE64_BYTES,
  HIGH_CODE,
  HIGH_DATA,
} from "./record64.ts";

const RCX = 1, RSP = 4, RBP = 5, R14 = 14, R15 = 15;
/** What is computed with; RAX and RCX are scratch for addresses and counts. */
const VALUES = [2, 3, 6, 7, 8, 9, 10, 11, 12, 13];
/** Offsets from RBP, which is in the middle of the data: variables, counters of loops, tables. */
const VARIABLES = -64, COUNTERS = 256, TABLES = 512;
/** Bytes that a program leaves for its last instructions. */
const RESERVE = 24;

/** A pointer in a table, to a place in the code that is not known yet. */
interface Pointer {
  /** Where it stands, from RBP. */
  readonly at: number;
  /** The procedure that it leads to, or -1. */
  readonly procedure: number;
  /** The offset in the code that it leads to instead. */
  readonly offset: number;
}

/** Makes one program. */
class Maker {
  readonly code: number[] = [];
  readonly pointers: Pointer[] = [];
  readonly #calls: { at: number; procedure: number }[] = [];
  readonly starts: number[] = [];
  /** Offsets of immediates of four bytes that may be anything. */
  readonly #immediates: number[] = [];
  /** Displacements of stores into immediates; where the instruction ends. */
  readonly #stores: { at: number; end: number }[] = [];
  #counter = COUNTERS;
  #table = TABLES;
  #procedure = 0;
  readonly #count: number;
  #isTooLong = false;

  constructor(readonly p: Prng) {
    this.#count = 3 + p.below(5);
  }

  /** Whether it has been made: it may have become too long. */
  make(): boolean {
    const room = Math.floor((CODE64_BYTES - RESERVE) / (this.#count + 1));
    for (let i = 0; i <= this.#count; i++) {
      this.#procedure = i;
      this.starts.push(this.code.length);
      this.#fuel();
      if (i === 0) this.#random();
      const end = Math.min(
        CODE64_BYTES - RESERVE,
        this.code.length + room - this.p.below(24),
      );
      if (i > 0) {
        this.#body(end, 0);
        this.#emit(0xc3);
      } else {
        for (let n = 0; n < this.#count; n++) {
          this.#body(this.code.length + 40 + this.p.below(30), 1);
          this.#call();
        }
        // The first one is done over and over.
        this.#emit(0xe9);
        this.#long(-this.code.length - 4);
      }
    }
    for (const { at, procedure } of this.#calls) {
      this.#patch(at, this.starts[procedure] - at - 4);
    }
    for (const { at, end } of this.#stores) {
      this.#patch(at, this.p.pick(this.#immediates) - end);
    }
    return !this.#isTooLong && this.code.length <= CODE64_BYTES;
  }

  #emit(...bytes: number[]): void {
    this.code.push(...bytes.map((x) => x & 0xff));
  }

  #long(v: number): void {
    this.#emit(v, v >> 8, v >> 16, v >> 24);
  }

  #patch(at: number, v: number): void {
    for (let k = 0; k < 4; k++) this.code[at + k] = v >> 8 * k & 0xff;
  }

  /** An instruction with registers in ModRM. */
  #registers(wide: boolean, opcode: number[], reg: number, rm: number): void {
    const rex = 0x40 | (wide ? 8 : 0) | reg >> 3 << 2 | rm >> 3;
    this.#emit(rex, ...opcode, 0xc0 | (reg & 7) << 3 | rm & 7);
  }

  /** The same with memory at RBP and a displacement. */
  #memory(wide: boolean, opcode: number[], reg: number, disp: number): void {
    this.#emit(0x40 | (wide ? 8 : 0) | reg >> 3 << 2, ...opcode);
    this.#emit(0x80 | (reg & 7) << 3 | RBP);
    this.#long(disp);
  }

  /** DEC R15; INT3 when it is below 0. */
  #fuel(): void {
    this.#emit(0x49, 0xff, 0xc8 | R15 & 7, 0x79, 1, 0xcc);
  }

  /** Instructions up to an offset. */
  #body(end: number, depth: number): void {
    const { p } = this;
    while (this.code.length < end - 40) {
      switch (p.below(10)) {
        case 0:
        case 1:
          this.#arithmetic();
          break;
        case 2:
          this.#access();
          break;
        case 3:
          this.#vector();
          break;
        case 4:
          this.#modify();
          break;
        case 5:
        case 6:
          this.#branch(end, depth);
          break;
        case 7:
          if (depth < 3) this.#loop(end, depth);
          break;
        case 8:
          this.#call();
          break;
        case 9:
          this.#random();
      }
    }
    while (this.code.length < end - 8) this.#arithmetic();
  }

  /** Something that computes; some of it with an immediate that may change. */
  #arithmetic(): void {
    const { p } = this;
    const wide = p.oneIn(2), r = p.pick(VALUES), s = p.pick(VALUES);
    switch (p.below(8)) {
      case 0:
      case 1: { // ALU with an immediate
        this.#registers(wide, [0x81], p.below(8), r);
        this.#immediates.push(this.code.length);
        this.#long(value32(p));
        break;
      }
      case 2:
        this.#registers(wide, [p.below(8) << 3 | 1], s, r);
        break;
      case 3: // MOV r, imm32 or imm64
        if (wide) {
          this.#emit(0x48 | r >> 3, 0xb8 | r & 7);
          this.#immediates.push(this.code.length);
          this.#long(value32(p));
          this.#immediates.push(this.code.length);
          this.#long(value32(p));
        } else {
          this.#emit(0x40 | r >> 3, 0xb8 | r & 7);
          this.#immediates.push(this.code.length);
          this.#long(value32(p));
        }
        break;
      case 4: // LEA r, [s + s * 4 + disp8]
        this.#emit(0x48 | r >> 3 << 2 | s >> 3 << 1 | s >> 3, 0x8d);
        this.#emit(0x44 | (r & 7) << 3, 0x80 | (s & 7) << 3 | s & 7);
        this.#emit(p.below(256));
        break;
      case 5: // ROL, SHL, SHR, SAR by a constant
        this.#registers(wide, [0xc1], p.pick([0, 4, 5, 7]), r);
        this.#emit(p.below(64));
        break;
      case 6:
        this.#registers(wide, p.pick([[0x0f, 0xaf], [0x63]]), r, s);
        break;
      default:
        this.#registers(
          wide,
          [0x0f, p.pick([0xb6, 0xb7, 0xbe, 0xbf])],
          r,
          s,
        );
    }
  }

  /** Sets all flags. */
  #compare(): void {
    const { p } = this;
    const r = p.pick(VALUES), s = p.pick(VALUES);
    this.#registers(p.oneIn(2), [p.pick([0x39, 0x29, 0x01, 0x85])], r, s);
    // Something between them that leaves the flags alone.
    if (p.oneIn(3)) this.#registers(true, [0x89], s, p.pick(VALUES));
    if (p.oneIn(4)) this.#memory(p.oneIn(2), [0x8b], r, this.#variable());
  }

  #variable(): number {
    return VARIABLES + this.p.below(120);
  }

  /** A load, a store, or both. */
  #access(): void {
    const { p } = this;
    const wide = p.oneIn(2), r = p.pick(VALUES);
    if (p.oneIn(2)) {
      const op = p.pick([0x8b, 0x89, 0x03, 0x01, 0x33, 0x31, 0x88, 0x8a]);
      return this.#memory(wide, [op], r, this.#variable());
    }
    // MOV EAX, r; AND EAX, mask; OP [RBP + RAX + disp8]
    this.#emit(0x40 | r >> 3 << 2, 0x89, 0xc0 | (r & 7) << 3);
    this.#emit(0x25);
    this.#long(p.pick([0x78, 0x3f, 0x7c]));
    this.#emit(0x40 | (wide ? 8 : 0) | r >> 3 << 2);
    this.#emit(p.pick([0x8b, 0x89, 0x03, 0x01]));
    this.#emit(0x44 | (r & 7) << 3, 0x05, VARIABLES);
  }

  /** On vector registers. */
  #vector(): void {
    const { p } = this;
    const x = p.below(16), y = p.below(16), r = p.pick(VALUES);
    const rex = (reg: number, rm: number): number =>
      0x40 | reg >> 3 << 2 | rm >> 3;
    const modrm = (reg: number, rm: number): number =>
      0xc0 | (reg & 7) << 3 | rm & 7;
    switch (p.below(5)) {
      case 0: // PADDD, PXOR, PSUBQ, PMULUDQ
        this.#emit(0x66, rex(x, y), 0x0f, p.pick([0xfe, 0xef, 0xfb, 0xf4]));
        this.#emit(modrm(x, y));
        break;
      case 1: // CVTSI2SD, ADDSD, MULSD, SUBSD, DIVSD
        this.#emit(0xf2, rex(x, y), 0x0f, p.pick([0x2a, 0x58, 0x59, 0x5c]));
        this.#emit(modrm(x, y));
        break;
      case 2: // MOVDQU, both ways
        this.#emit(0xf3, rex(x, 0), 0x0f, p.pick([0x6f, 0x7f]));
        this.#emit(0x80 | (x & 7) << 3 | RBP);
        this.#long(this.#variable());
        break;
      case 3: // MOVQ, both ways
        this.#emit(0x66, rex(x, r) | 8, 0x0f, p.pick([0x6e, 0x7e]));
        this.#emit(modrm(x, r));
        break;
      default: // VPADDQ of 256 bits
        this.#emit(0xc4, (~x >> 3 & 1) << 7 | 0x41 | (~y >> 3 & 1) << 5);
        this.#emit((~p.below(16) & 15) << 3 | 5, 0xd4, modrm(x, y));
    }
  }

  /** A store into the immediate of an instruction of this program. */
  #modify(): void {
    const { p } = this;
    const r = p.pick(VALUES);
    // A byte or four, as far as they stay in it: MOV, ADD or XOR.
    const byte = p.oneIn(2);
    this.#emit(0x40 | r >> 3 << 2);
    this.#emit(byte ? p.pick([0x88, 0x00, 0x30]) : p.pick([0x89, 0x01, 0x31]));
    this.#emit((r & 7) << 3 | 5);
    this.#stores.push({ at: this.code.length, end: this.code.length + 4 });
    this.#long(0);
  }

  /** Over some instructions, perhaps; or a value of a condition. */
  #branch(end: number, depth: number): void {
    const { p } = this;
    this.#compare();
    const cc = p.below(16), r = p.pick(VALUES);
    switch (p.below(4)) {
      case 0: // SETcc
        return this.#registers(false, [0x0f, 0x90 | cc], 0, r);
      case 1: // CMOVcc
        return this.#registers(p.oneIn(2), [0x0f, 0x40 | cc], r, 2);
      case 2: // Jcc rel8
        this.#emit(0x70 | cc, 0);
        break;
      default: // BT R14, n; Jcc on CF
        this.#emit(0x49, 0x0f, 0xba, 0xe0 | R14 & 7, p.below(64));
        this.#emit(0x72 | p.below(2), 0);
    }
    const from = this.code.length;
    if (p.oneIn(6) && this.#procedure > 0 && depth === 0) this.#emit(0xc3);
    else this.#body(Math.min(end - 10, from + 40 + p.below(40)), depth);
    if (this.code.length === from) this.#arithmetic();
    const distance = this.code.length - from;
    if (distance > 127) this.#isTooLong = true;
    this.code[from - 1] = distance;
  }

  /** A loop; its counter is in memory, or RCX where nothing within calls. */
  #loop(end: number, depth: number): void {
    const { p } = this;
    const counter = this.#counter;
    this.#counter += 4;
    this.#emit(0xc7, 0x80 | RBP); // MOV [counter], n
    this.#long(counter);
    this.#long(1 + p.below(p.oneIn(4) ? 60 : 8));
    const top = this.code.length;
    this.#fuel();
    this.#body(Math.min(end - 16, top + 60 + p.below(60)), depth + 1);
    this.#emit(0xff, 0x88 | RBP); // DEC [counter]
    this.#long(counter);
    this.#emit(0x0f, 0x8f); // JG
    this.#long(top - this.code.length - 4);
  }

  /** A call: direct, or through a table; or a jump through one. */
  #call(): void {
    const { p } = this;
    const left = this.#count - this.#procedure;
    const later = (): number => this.#procedure + 1 + p.below(left);
    const how = left > 0 ? p.below(4) : 3;
    if (how === 0) {
      this.#emit(0xe8);
      this.#calls.push({ at: this.code.length, procedure: later() });
      return this.#long(0);
    }
    // MOV EAX, R14D; SHR EAX, n; AND EAX, 3
    this.#emit(0x44, 0x89, 0xf0, 0xc1, 0xe8, p.below(30), 0x83, 0xe0, 3);
    const table = this.#table;
    this.#table += 32;
    // CALL or JMP [RBP + RAX * 8 + table]
    this.#emit(0xff, how < 3 ? 0x94 : 0xa4, 0xc5);
    this.#long(table);
    if (how < 3) {
      for (let k = 0; k < 4; k++) {
        this.pointers.push({
          at: table + 8 * k,
          procedure: later(),
          offset: 0,
        });
      }
      return;
    }
    for (let k = 0; k < 4; k++) {
      const offset = this.code.length;
      this.pointers.push({ at: table + 8 * k, procedure: -1, offset });
      if (k < 3) this.#arithmetic();
    }
  }

  /** The next random number. */
  #random(): void {
    this.#emit(0x4d, 0x69, 0xf6); // IMUL R14, R14, imm32
    this.#long(0x5851f42d);
    this.#emit(0x49, 0x81, 0xc6); // ADD R14, imm32
    this.#immediates.push(this.code.length);
    this.#long(this.p.u32());
  }
}

/** Makes programs. */
export class ProgramGenerator64 {
  readonly #p: Prng;
  #index = 0;

  /** Makes a generator. */
  constructor(p: Prng) {
    this.#p = p;
  }

  /** The next program. */
  next(): Case64 {
    const p = this.#p;
    let maker: Maker;
    do maker = new Maker(p); while (!maker.make());
    const r = new CaseRecord64();
    const isHigh = p.oneIn(2);
    const [code, data] = isHigh ? [HIGH_CODE, HIGH_DATA] : [CODE, DATA];
    const rbp = data + PAGES / 2 + (p.oneIn(3) ? p.below(64) : 0);
    const view = new DataView(r.data.buffer, r.data.byteOffset);
    for (let i = 0; i < PAGES; i += 8) scatter(p, view, i);
    for (let i = 0; i < 16; i++) {
      r.setGpr(i, BigInt(p.u32()) << 32n | BigInt(value32(p)));
      const x = r.xmm(i);
      scatter(p, new DataView(x.buffer, x.byteOffset), 0);
    }
    floatModes(p, r);
    r.mxcsr |= 0x1f80;
    r.setGpr(RCX, 0n);
    r.setGpr(RSP, BigInt(data + 0xc00 - 8 * p.below(8)));
    r.setGpr(RBP, BigInt(rbp));
    r.setGpr(R15, BigInt(p.pick([10, 200, 1000, 3000])));
    // Mostly across the border of two pages.
    const offset = p.oneIn(4) ? 0 : PAGES / 2 - p.below(maker.code.length);
    r.rip = BigInt(code);
    for (const { at, procedure, offset: to } of maker.pointers) {
      const target = procedure < 0 ? to : maker.starts[procedure];
      view.setBigUint64(
        rbp - data + at,
        BigInt(code + offset + target),
        true,
      );
    }
    const piece: Piece = {
      bytes: maker.code,
      form: "program",
      // Some instructions leave some undefined; none reads those.
      undefinedBefore: ARITHMETIC_FLAGS,
      undefinedAfter: ARITHMETIC_FLAGS,
    };
    place64(r, [piece], offset);
    return { index: this.#index++, pieces: [piece], record: r };
  }
}
