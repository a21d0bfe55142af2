/**
 * Makes random and edge-case user-mode instruction sequences, each with the
 * state it starts from, and keeps track of which flags the architecture leaves
 * undefined after which instruction.
 *
 * @module
 */

import {
  ARITHMETIC_FLAGS,
  type Form,
  INTEGER,
  MMX,
  parseForms,
  SSE,
  X87,
} from "./forms.ts";
import { CRYPTO, EXTENSIONS, SSE4, SSSE3_MMX } from "./forms_sse4.ts";
import { VEX } from "./forms_vex.ts";
import { hasResultOfMaker } from "./host_cpu.ts";
import type { Prng } from "./prng.ts";
import { CaseRecord, CODE_BYTES, DATA, LOW, PAGES } from "./record.ts";

const OF = 0x800, AF = 0x10, CF = 1;

/** The groups of forms. */
export const GROUPS: Readonly<Record<string, readonly Form[]>> = {
  integer: parseForms(INTEGER),
  x87: parseForms(X87),
  mmx: parseForms(MMX),
  sse: parseForms(SSE),
  ssse3: parseForms(SSSE3_MMX),
  sse4: parseForms(SSE4),
  rounding: parseForms(SSE4).filter((f) =>
    /^66 0f 3a (0[89ab]|4[01])/.test(f.text)
  ),
  crypto: parseForms(CRYPTO),
  extensions: parseForms(EXTENSIONS),
  vex: parseForms(VEX),
};

/** One instruction of a case. */
export interface Piece {
  /** Its bytes. */
  readonly bytes: readonly number[];
  /** The form it was made from. */
  readonly form: string;
  /** Flags that are undefined before it. */
  readonly undefinedBefore: number;
  /** Flags that are undefined after it: `undefinedBefore & keeps | sets`. */
  readonly undefinedAfter: number;
  /** Flags that it leaves as undefined as they are; all when absent. */
  readonly keeps?: number;
  /** Flags that it makes undefined. */
  readonly sets?: number;
  /** Flags that it reads. */
  readonly reads?: number;
  /** Where in it a displacement of 32 bits stands that counts from its end, to `target`. */
  readonly relativeAt?: number;
  /** Where that leads. */
  readonly target?: number;
}

/** A test case. */
export interface Case<R = CaseRecord> {
  /** Number in its run. */
  readonly index: number;
  /** The instructions. */
  readonly pieces: readonly Piece[];
  /** State to start from. */
  readonly record: R;
}

const EDGES = [
  0,
  1,
  2,
  0x7f,
  0x80,
  0xff,
  0x100,
  0x7fff,
  0x8000,
  0xffff,
  0x10000,
  0x7fffffff,
  0x80000000,
  0x80000001,
  0xfffffffe,
  0xffffffff,
  0xffffff80,
  0xffff8000,
  0x55555555,
  0xaaaaaaaa,
  0x00990099,
];

/** 32 bits worth computing with. */
export function value32(p: Prng): number {
  switch (p.below(4)) {
    case 0:
      return p.u32();
    case 1:
      return p.below(64);
    default:
      return p.pick(EDGES);
  }
}

const SINGLES = [
  0x00000000,
  0x80000000,
  0x3f800000,
  0xbf800000,
  0x7f800000,
  0xff800000,
  0x7fc00000,
  0xffc00000,
  0x7f800001,
  0xffa12345,
  0x7fd54321,
  0x00000001,
  0x807fffff,
  0x00800000,
  0x7f7fffff,
  0x4f000000,
  0xcf000000,
  0x4effffff,
  0x3f000000,
  0x3fc00000,
  0x4b7fffff,
  0x33800000,
  0x1f800000,
  0x60000000,
  0x7e967699,
];

function single(p: Prng): number {
  switch (p.below(6)) {
    case 0:
      return p.u32();
    case 1:
      return (0x3f000000 + p.below(0x02000000)) >>> 0;
    case 2: // a small integer
      return new Uint32Array(new Float32Array([p.below(200) - 100]).buffer)[0];
    default:
      return p.pick(SINGLES);
  }
}

const DOUBLE_HIGHS = [
  0x00000000,
  0x80000000,
  0x3ff00000,
  0xbff00000,
  0x7ff00000,
  0xfff00000,
  0x7ff80000,
  0xfff80000,
  0x7ff00001,
  0xfff40000,
  0x00100000,
  0x000fffff,
  0x7fefffff,
  0x41e00000,
  0xc1e00000,
  0x41dfffff,
  0x43e00000,
  0xc3e00000,
  0x3fe00000,
  0x3ff80000,
  0x47efffff,
  0x36a00000,
  0x38100000,
  0x1ff00000,
  0x5ff00000,
];

function double(p: Prng): [number, number] {
  switch (p.below(6)) {
    case 0:
      return [p.u32(), p.u32()];
    case 1:
      return [p.u32(), (0x3fe00000 + p.below(0x00400000)) >>> 0];
    case 2: {
      const w = new Uint32Array(
        new Float64Array([(p.below(2000) - 1000) / 4]).buffer,
      );
      return [w[0], w[1]];
    }
    default:
      return [
        p.pick([0, 0, 0, 1, 0xffffffff, 0x80000000, 0xffe00000, 0xffc00000]),
        p.pick(DOUBLE_HIGHS),
      ];
  }
}

const EXTENDED_EXPONENTS = [
  0,
  1,
  2,
  0x3ffe,
  0x3fff,
  0x4000,
  0x400e,
  0x401e,
  0x403e,
  0x403f,
  0x3f81,
  0x3f6a,
  0x407e,
  0x3c01,
  0x3bcd,
  0x43fe,
  0x7ffe,
  0x7fff,
];

/** Writes a random 80-bit value, at times an unnormal or pseudo one. */
export function extended(p: Prng, into: Uint8Array): void {
  const v = new DataView(into.buffer, into.byteOffset, 10);
  let exponent = p.pick(EXTENDED_EXPONENTS);
  let low = p.pick([0, 0, 0, 1, 0xffffffff, 0x400, 0x800, p.u32()]);
  let high = p.pick(
    [0x80000000, 0x80000000, 0xffffffff, 0xc0000000, 0x80000100, p.u32()],
  );
  switch (p.below(4)) {
    case 0:
      exponent = 0x3ff0 + p.below(0x40);
      high = p.u32();
      low = p.u32();
      break;
    case 1: // a small integer
      high = 0x80000000 | (p.below(256) << 23);
      low = 0;
      exponent = 0x3fff + p.below(8);
      break;
  }
  if (exponent === 0) high &= p.oneIn(4) ? -1 : 0x7fffffff;
  else if (!p.oneIn(24)) high |= 0x80000000;
  v.setUint32(0, low >>> 0, true);
  v.setUint32(4, high >>> 0, true);
  v.setUint16(8, exponent | (p.oneIn(2) ? 0x8000 : 0), true);
}

/** Fills 4 or 8 bytes with something worth computing with. */
export function scatter(p: Prng, view: DataView, at: number): void {
  switch (p.below(3)) {
    case 0:
      view.setUint32(at, value32(p), true);
      view.setUint32(at + 4, value32(p), true);
      break;
    case 1:
      view.setUint32(at, single(p), true);
      view.setUint32(at + 4, single(p), true);
      break;
    default: {
      const [lo, hi] = double(p);
      view.setUint32(at, lo, true);
      view.setUint32(at + 4, hi, true);
    }
  }
}

/** Sets x87's and SSE's control and status registers to something allowed. */
export function floatModes(
  p: Prng,
  r: Pick<CaseRecord, "fcw" | "fsw" | "ftw" | "mxcsr">,
): void {
  if (p.oneIn(5)) {
    r.fcw = 0x40 | (p.oneIn(3) ? p.below(64) : 63) | (p.below(16) << 8);
  }
  if (p.oneIn(4)) {
    r.mxcsr = (p.oneIn(3) ? p.below(64) << 7 : 0x1f80) |
      (p.below(4) << 13) | (p.oneIn(3) ? 0x8000 : 0) |
      (p.oneIn(3) ? 0x40 : 0) | (p.oneIn(3) ? p.below(64) : 0);
  }
  r.fsw = (p.below(8) << 11) | (p.u32() & 0x4700) |
    (p.oneIn(8) ? p.below(128) : 0);
  // ES and B follow from unmasked exceptions.
  if ((r.fsw & ~r.fcw & 0x3f) !== 0) r.fsw |= 0x8080;
  r.ftw = p.oneIn(3) ? p.below(256) : p.oneIn(2) ? 0xff : 0x3f;
}

/** Makes cases of chosen groups. */
export class Generator {
  readonly #p: Prng;
  readonly #groups: readonly string[];
  readonly #maxInsns: number;
  #out: number[] = [];
  /** What each register probably holds. */
  readonly #guess = new Uint32Array(8);
  #index = 0;

  /** Makes a generator; `groups` are names of {@linkcode GROUPS}, by weight. */
  constructor(p: Prng, groups: readonly string[], maxInsns = 8) {
    this.#p = p;
    this.#groups = groups;
    this.#maxInsns = maxInsns;
  }

  /** The next case. */
  next(): Case {
    const p = this.#p;
    const r = new CaseRecord();
    this.#state(r);
    const forms = 1 + p.below(this.#maxInsns);
    const pieces: Piece[] = [];
    let open = 0; // undefined flags
    let length = 0;
    const add = (
      form: string,
      bytes: number[],
      [keeps, sets]: readonly [number, number],
      reads: number,
    ): void => {
      const undefinedAfter = open & keeps | sets;
      pieces.push({
        bytes,
        form,
        undefinedBefore: open,
        undefinedAfter,
        keeps,
        sets,
        reads,
      });
      open = undefinedAfter;
      length += bytes.length;
    };
    for (let n = 0; n < forms && length < 300; n++) {
      const form = pickForm(p, GROUPS[p.pick(this.#groups)]);
      const jump = form.tail.some((t) => t[0] === "r");
      // Where undefined flags would be read, or may meet defined ones at a
      // jump's target, a CMP defines them all.
      if ((form.reads & open) !== 0 || jump && open !== 0) {
        add("39 /r", [0x39, 0xc0 | p.below(64)], [0, 0], 0);
      }
      const wide = !(form.attributes.has("v") && p.oneIn(4));
      this.#out = [];
      let count = -1;
      if (form.attributes.has("count")) count = this.#count(form, wide);
      this.#prefixes(form, wide);
      this.#body(form, wide, count);
      const effect: [number, number] = count >= 0
        ? shiftEffect(form, wide ? 4 : 2, count)
        : [~form.writes, form.undefined];
      // At a jump's target all flags must be defined.
      const reads = jump ? ARITHMETIC_FLAGS : form.reads;
      add(form.text, this.#out, effect, reads);
      if (form.attributes.has("x")) break;
    }
    linkJumps(p, pieces);
    this.#place(r, pieces);
    return { index: this.#index++, pieces, record: r };
  }

  /** Writes the pieces into the record. */
  #place(r: CaseRecord, pieces: readonly Piece[]): void {
    placeCode(r, pieces, this.#p.oneIn(4) ? PAGES / 2 - this.#p.below(24) : 0);
    if (this.#p.oneIn(16)) {
      // Up against the end of the code pages.
      placeCode(r, pieces, PAGES - CODE_BYTES);
    }
  }

  #state(r: CaseRecord): void {
    const p = this.#p;
    for (let i = 0; i < 8; i++) {
      let v = value32(p);
      if (i === 4 || (i === 3 || i > 4) && !p.oneIn(6)) {
        v = DATA + PAGES / 2 + (p.below(1024) - 512);
        if (i === 4 && !p.oneIn(8)) v &= ~3;
      }
      r.setGpr(i, v);
      this.#guess[i] = v;
    }
    if (p.oneIn(2)) r.setGpr(1, p.below(40)); // a count
    r.eflags = 0x202 | (p.u32() & ARITHMETIC_FLAGS) |
      (p.oneIn(4) ? 0x400 : 0) | (p.oneIn(30) ? 0x40000 : 0);
    const view = new DataView(r.data.buffer, r.data.byteOffset);
    for (let i = 0; i < PAGES; i += 8) scatter(p, view, i);
    for (let i = 0; i < 8; i++) {
      const x = r.xmm(i);
      const v = new DataView(x.buffer, x.byteOffset);
      scatter(p, v, 0);
      scatter(p, v, 8);
      const h = r.ymmh(i);
      const w = new DataView(h.buffer, h.byteOffset);
      scatter(p, w, 0);
      scatter(p, w, 8);
      extended(p, r.st(i));
    }
    floatModes(p, r);
  }

  /** Chooses the count of a shift; puts it into CL if it goes there. */
  #count(form: Form, wide: boolean): number {
    const p = this.#p;
    const op = form.opcode.at(-1)!;
    const double = form.opcode.length === 2;
    if (!double && (op & ~1) === 0xd0) return 1;
    let count = p.oneIn(3) ? p.below(256) : p.below(34);
    // SHLD and SHRD by more than the operand's size have no defined result.
    if (double && !wide && (count & 31) > 16) count &= 0xef;
    if (form.tail.length === 0) {
      this.#out.push(0xb1, count); // MOV CL, count: one piece with the shift
      this.#guess[1] = (this.#guess[1] & ~0xff) | count;
    }
    return count;
  }

  #prefixes(form: Form, wide: boolean): void {
    const p = this.#p;
    if (!wide) this.#out.push(0x66);
    if (form.attributes.has("rep") && p.oneIn(2)) {
      this.#out.push(p.oneIn(2) ? 0xf2 : 0xf3);
    }
    // LOCK MOV from CR0 is another instruction on AMD (CR8).
    const illegal = form.text.startsWith("0f 20") ? false : p.oneIn(200);
    if (form.attributes.has("lock") ? p.oneIn(6) : illegal) {
      this.#out.push(0xf0);
    }
    if (p.oneIn(24)) {
      this.#out.push(p.pick([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]));
    }
  }

  /** Everything after the prefixes. */
  #body(form: Form, wide: boolean, count: number): void {
    const p = this.#p;
    const short = form.modrm !== undefined && !form.attributes.has("reg") &&
      p.oneIn(16);
    if (short) this.#out.push(0x67);
    const opcode = [...form.opcode];
    if (form.spread > 1) {
      opcode[opcode.length - 1] += p.below(form.spread);
    }
    if (form.vex !== undefined) this.#vexPrefix(form);
    // A mandatory prefix stands last of the prefixes: legal in any order.
    this.#out.push(...opcode);
    if (form.modrm !== undefined) this.#modrm(form, short);
    for (const t of form.tail) {
      switch (t) {
        case "is4":
          this.#out.push(p.below(256));
          break;
        case "ib":
          this.#out.push(
            count >= 0
              ? count
              : p.oneIn(2)
              ? p.below(256)
              : p.pick([0, 1, 0x7f, 0x80, 0xff, 4, 8, 0x10]),
          );
          // INT 80h is a system call; none of the others must be one either.
          if (form.opcode[0] === 0xcd && this.#out.at(-1) === 0x80) {
            this.#out[this.#out.length - 1] = 3;
          }
          break;
        case "iw":
          this.#word(p.below(64));
          break;
        case "iz":
          if (wide) this.#long(this.#immediate());
          else this.#word(value32(p));
          break;
        case "mo":
          this.#long(DATA + p.below(PAGES - 8));
          break;
        case "rel8":
          this.#out.push(0);
          break;
        case "rz":
          this.#long(0);
          break;
      }
    }
    if (form.text === "b8 +r iz" && wide) {
      const o = this.#out;
      this.#guess[opcode[0] & 7] = (o.at(-1)! << 24 | o.at(-2)! << 16 |
        o.at(-3)! << 8 | o.at(-4)!) >>> 0;
    }
  }

  #immediate(): number {
    const p = this.#p;
    return p.oneIn(4) ? DATA + p.below(PAGES) : value32(p);
  }

  #word(v: number): void {
    this.#out.push(v & 0xff, (v >>> 8) & 0xff);
  }

  #long(v: number): void {
    this.#word(v);
    this.#word(v >>> 16);
  }

  /** An offset in the data pages for an operand. */
  #offset(form: Form): number {
    const p = this.#p;
    let at = 64 + p.below(PAGES - 640);
    if (p.oneIn(6)) at = PAGES / 2 - p.below(17); // across the page boundary
    if (p.oneIn(60)) at = PAGES - p.below(16); // across the end
    if (form.attributes.has("a16") && !p.oneIn(12)) {
      at &= form.vex === undefined ? ~15 : ~31;
    } else if (p.oneIn(2)) at &= ~7;
    return at;
  }

  /** C5 and a byte, or C4 and two; registers by VEX.vvvv are chosen at random. */
  #vexPrefix(form: Form): void {
    const p = this.#p, { map, pp, wide } = form.vex!;
    const long = form.attributes.has("l1") ||
      form.attributes.has("l") && p.oneIn(2);
    const vvvv = form.attributes.has("h") ? p.below(8) : 0;
    const last = (~vvvv & 15) << 3 | (long ? 4 : 0) | pp;
    if (map === 1 && wide === 0 && p.oneIn(2)) {
      return void this.#out.push(0xc5, 0x80 | last);
    }
    const w = wide < 0 ? p.below(2) : wide;
    this.#out.push(0xc4, 0xe0 | map, w << 7 | last);
  }

  /** An operand whose index is a vector, made small by a shift before it. */
  #vsib(reg: number): void {
    const p = this.#p;
    const index = p.below(8), qwords = (this.#out.at(-1)! & 1) !== 0;
    const vex = this.#out.splice(this.#out.lastIndexOf(0xc4));
    // VPSRLD or VPSRLQ of the whole register.
    this.#out.push(0xc5, ((~index & 15) << 3) | 0x85);
    this.#out.push(qwords ? 0x73 : 0x72, 0xd0 | index, qwords ? 55 : 23);
    this.#out.push(...vex);
    this.#out.push(reg << 3 | 4, p.below(4) << 6 | index << 3 | 5);
    this.#long(DATA + p.below(PAGES));
  }

  #modrm(form: Form, short: boolean): void {
    const p = this.#p;
    let reg = form.modrm! >= 0 ? form.modrm! : p.below(8);
    // A bit offset: ECX is likely to be small.
    if (form.attributes.has("bitmem") && !p.oneIn(3)) reg = 1;
    if (form.attributes.has("vsib")) return this.#vsib(reg);
    const register = form.attributes.has("reg") ||
      !form.attributes.has("mem") && p.oneIn(2);
    if (register) {
      this.#out.push(0xc0 | (reg << 3) | p.below(8));
      return;
    }
    const target = this.#offset(form);
    if (short) {
      const mod = p.below(3);
      const rm = p.below(8);
      this.#out.push((mod << 6) | (reg << 3) | rm);
      const g = this.#guess;
      const base = [
        g[3] + g[6],
        g[3] + g[7],
        g[5] + g[6],
        g[5] + g[7],
        g[6],
        g[7],
        g[5],
        g[3],
      ][
        rm
      ];
      if (mod === 1) this.#out.push(p.below(256));
      else if (mod === 2) this.#word(LOW + target - base);
      else if (rm === 6) this.#word(LOW + target);
      return;
    }
    const address = DATA + target;
    switch (p.below(8)) {
      case 0:
      case 1:
      case 2: // absolute
        this.#out.push((reg << 3) | 5);
        this.#long(address);
        return;
      case 3: { // anything
        const m = p.below(192);
        this.#out.push((m & 0xc0) | (reg << 3) | (m & 7));
        const mod = m >> 6;
        let base = m & 7;
        if (base === 4) {
          const sib = p.below(256);
          this.#out.push(sib);
          base = sib & 7;
        }
        if (mod === 1) this.#out.push(p.below(256));
        else if (mod === 2 || base === 5 && mod === 0) {
          this.#long(address - this.#guess[base]);
        }
        return;
      }
      case 4:
      case 5: { // base and displacement
        const base = p.pick([3, 5, 6, 7, 0, 1, 2]);
        const d = address - this.#guess[base];
        if (p.oneIn(2)) {
          this.#out.push(0x40 | (reg << 3) | base, p.below(256));
        } else {
          this.#out.push(0x80 | (reg << 3) | base);
          this.#long(d);
        }
        return;
      }
      default: { // base, index, scale and displacement
        const base = p.below(8);
        const index = p.below(8);
        const scale = p.below(4);
        this.#out.push(
          0x80 | (reg << 3) | 4,
          (scale << 6) | (index << 3) | base,
        );
        const scaled = index === 4 ? 0 : this.#guess[index] << scale;
        this.#long(address - this.#guess[base] - scaled);
      }
    }
  }
}

/** One of the forms whose results can be compared on this host. */
export function pickForm(p: Prng, forms: readonly Form[]): Form {
  for (;;) {
    const form = p.pick(forms);
    if (!hasResultOfMaker(form.text)) return form;
  }
}

/** Gives forward jumps their distances: over up to three of the pieces that follow. */
export function linkJumps(p: Prng, pieces: readonly Piece[]): void {
  pieces.forEach((piece, i) => {
    const near = / rz$/.test(piece.form);
    if (!near && !/ rel8$/.test(piece.form)) return;
    const over = p.below(Math.min(3, pieces.length - 1 - i) + 1);
    let distance = 0;
    for (let k = 1; k <= over; k++) distance += pieces[i + k].bytes.length;
    const bytes = piece.bytes as number[];
    bytes[bytes.length - (near ? 4 : 1)] = distance;
    // 127 bytes are more than three instructions have, 255 are not.
    if (near) bytes[bytes.length - 3] = distance >> 8;
  });
}

/** Whether a shift's operand is of the operand size, not a byte. */
function isSized(form: Form): boolean {
  return form.opcode.length === 2 || (form.opcode[0] & 1) !== 0;
}

/**
 * Which flags a shift or rotate by a known count keeps and which it leaves
 * undefined (SDM volume 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD).
 * `size`: bytes of an operand that is not one of bytes.
 */
export function shiftEffect(
  form: Form,
  size: number,
  count: number,
): [number, number] {
  const n = count & (size === 8 && isSized(form) ? 63 : 31);
  if (n === 0) return [~0, 0];
  const double = form.opcode.length === 2;
  const bits = isSized(form) ? 8 * size : 8;
  const rotate = !double && form.modrm! < 4;
  // A rotate: CF is defined; OF for a count of 1 alone; the others stay.
  if (rotate) return [~(CF | OF), n === 1 ? 0 : OF];
  let sets = AF | (n === 1 ? 0 : OF);
  if (n >= bits && form.modrm !== 7) sets |= CF;
  if (double && n > bits) sets = ARITHMETIC_FLAGS;
  return [0, sets];
}

/** Writes the pieces into the record at an offset of the code pages. */
export function placeCode(
  r: Pick<CaseRecord, "codeOffset" | "codeLength" | "code">,
  pieces: readonly Piece[],
  offset: number,
): void {
  const bytes = pieces.flatMap((x) => x.bytes);
  if (offset + r.code.length > PAGES) {
    throw new RangeError("code out of its pages");
  }
  r.codeOffset = offset;
  r.codeLength = bytes.length;
  r.code.fill(0xcc);
  r.code.set(bytes);
}

/** The flags to leave out when the results of a case are compared that ended `offset` bytes behind its start. */
export function undefinedFlags(c: Case<unknown>, offset: number): number {
  let at = 0;
  let all = 0;
  for (const piece of c.pieces) {
    if (at === offset) {
      // A fault in the middle of a repeated CMPS or SCAS: Intel restores the
      // flags from before (SDM volume 2, REP), AMD does not.
      return /^(a6|a7|ae|af)\b/.test(piece.form)
        ? ARITHMETIC_FLAGS
        : piece.undefinedBefore;
    }
    at += piece.bytes.length;
    all |= piece.undefinedAfter;
  }
  // At the INT3 behind the last one (EIP is past it), or somewhere else.
  return offset === at + 1 ? (c.pieces.at(-1)?.undefinedAfter ?? 0) : all;
}
