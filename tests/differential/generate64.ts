/**
 * Makes random instruction sequences of 64-bit mode, each with the state it
 * starts from: what `generate.ts` is for 32-bit code.
 *
 * @module
 */

import { ARITHMETIC_FLAGS, type Form } from "./forms.ts";
import { GROUPS64 } from "./forms64.ts";
import {
  type Case,
  extended,
  floatModes,
  linkJumps,
  pickForm,
  type Piece,
  placeCode,
  scatter,
  shiftEffect,
  value32,
} from "./generate.ts";
import { isIntel } from "./host_cpu.ts";
import type { Prng } from "./prng.ts";
import { CODE, DATA, PAGES } from "./record.ts";
import {
  CaseRecord64,
  CODE64_BYTES,
  FS_BASE,
  GS_BASE,
  HIGH_CODE,
  HIGH_DATA,
} from "./record64.ts";

/** A case of 64-bit mode. */
export type Case64 = Case<CaseRecord64>;

const EDGES = [
  0n,
  1n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x1_00000000n,
  0x7fffffff_ffffffffn,
  0x80000000_00000000n,
  0x80000000_00000001n,
  0xffffffff_ffffffffn,
  0xffffffff_80000000n,
  0xffffffff_7fffffffn,
  0x7fff_fffffff0n,
  0x8000_00000000n,
  0xffff8000_00000000n,
  0xffff7fff_ffffffffn,
  0x43e0000000000000n,
  0x001fffff_ffffffffn,
  0x00200000_00000001n,
  0x7fffffff_fffffc00n,
  0x7fffffff_fffffbffn,
  0x00000001_fffffffdn,
];

function value64(p: Prng): bigint {
  switch (p.below(5)) {
    case 0:
      return BigInt(p.u32()) << 32n | BigInt(p.u32());
    case 1:
      return BigInt(p.below(64));
    case 2:
      return BigInt(value32(p)) << 32n | BigInt(value32(p));
    case 3:
      return BigInt(value32(p));
    default:
      return p.pick(EDGES);
  }
}

/** Prefixes that one instruction takes. */
interface Prefixes {
  /** Operand size in bytes, of forms with `v`. */
  size: number;
  /** REX, or 0. */
  rex: number;
  /** 67h is there. */
  short: boolean;
  /** Added to the operand's offset. */
  base: number;
  /** The vector register that is the index, or -1. */
  vector: number;
}

/** Makes cases of chosen groups of 64-bit mode. */
export class Generator64 {
  readonly #p: Prng;
  readonly #groups: readonly string[];
  readonly #maxInsns: number;
  #out: number[] = [];
  #relativeAt = -1;
  #target = 0;
  /** What each register probably holds. */
  readonly #guess = new BigUint64Array(16);
  #data = DATA;
  #index = 0;

  /** Makes a generator; `groups` are names of {@linkcode GROUPS64}, by weight. */
  constructor(p: Prng, groups: readonly string[], maxInsns = 8) {
    this.#p = p;
    this.#groups = groups;
    this.#maxInsns = maxInsns;
  }

  /** The next case. */
  next(): Case64 {
    const p = this.#p;
    const r = new CaseRecord64();
    const isHigh = p.oneIn(2);
    this.#data = isHigh ? HIGH_DATA : DATA;
    this.#state(r);
    const forms = 1 + p.below(this.#maxInsns);
    const pieces: Piece[] = [];
    let open = 0; // undefined flags
    let length = 0;
    const add = (
      form: string,
      [keeps, sets]: readonly [number, number],
      reads: number,
    ): void => {
      const undefinedAfter = open & keeps | sets;
      pieces.push({
        bytes: this.#out,
        form,
        undefinedBefore: open,
        undefinedAfter,
        keeps,
        sets,
        reads,
        relativeAt: this.#relativeAt,
        target: this.#target,
      });
      open = undefinedAfter;
      length += this.#out.length;
    };
    for (let n = 0; n < forms && length < 300; n++) {
      const form = pickForm(p, GROUPS64[p.pick(this.#groups)]);
      const jump = form.tail.some((t) => t[0] === "r");
      this.#relativeAt = -1;
      if ((form.reads & open) !== 0 || jump && open !== 0) {
        this.#out = [0x39, 0xc0 | p.below(64)];
        add("39 /r", [0, 0], 0);
      }
      this.#out = [];
      const size = form.attributes.has("v") ? p.pick([2, 4, 4, 8, 8, 8]) : 4;
      const count = form.attributes.has("count") ? this.#count(form, size) : -1;
      const vector = form.attributes.has("vsib") ? this.#vector(form) : -1;
      const prefixes = this.#prefixes(form, size, vector);
      this.#body(form, prefixes, count);
      const effect: [number, number] = count >= 0
        ? shiftEffect(form, prefixes.size, count)
        : [~form.writes, form.undefined];
      add(form.text, effect, jump ? ARITHMETIC_FLAGS : form.reads);
      if (form.attributes.has("x")) break;
    }
    linkJumps(p, pieces);
    r.rip = BigInt(isHigh ? HIGH_CODE : CODE);
    place64(r, pieces, p.oneIn(4) ? PAGES / 2 - p.below(24) : 0);
    if (p.oneIn(16)) {
      place64(r, pieces, PAGES - CODE64_BYTES); // up against the end
    }
    return { index: this.#index++, pieces, record: r };
  }

  #state(r: CaseRecord64): void {
    const p = this.#p;
    for (let i = 0; i < 16; i++) {
      let v = value64(p);
      const isPointer = i === 3 || i === 5 || i === 6 || i === 7 ||
        (i & 9) === 9;
      if (i === 4 || isPointer && !p.oneIn(6)) {
        const at = (p.oneIn(3) ? DATA : this.#data) + PAGES / 2 +
          (p.below(1024) - 512);
        v = BigInt(i === 4 && !p.oneIn(8) ? at - at % 8 : at);
      }
      r.setGpr(i, v);
      this.#guess[i] = v;
    }
    // RSI and RDI in one mapping: a CPU that copies more than an element at a
    // time does not see that two addresses are of the same memory.
    const rsi = BigInt(this.#data + PAGES / 2 + p.below(1024) - 512);
    if (this.#isElsewhere(this.#guess[6])) r.setGpr(6, this.#guess[6] = rsi);
    if (this.#isElsewhere(this.#guess[7])) {
      r.setGpr(7, this.#guess[7] = rsi + BigInt(p.below(100)) - 50n);
    }
    if (p.oneIn(2)) r.setGpr(1, BigInt(p.below(40))); // a count
    // Dividends that fit.
    if (p.oneIn(3)) {
      r.setGpr(2, p.pick([0n, 0n, 1n, 0xffffffff_ffffffffn, value64(p) >> 8n]));
    }
    r.eflags = 0x202 | (p.u32() & ARITHMETIC_FLAGS) |
      (p.oneIn(4) ? 0x400 : 0) | (p.oneIn(30) ? 0x40000 : 0);
    const view = new DataView(r.data.buffer, r.data.byteOffset);
    for (let i = 0; i < PAGES; i += 8) {
      if (p.oneIn(4)) view.setBigUint64(i, value64(p), true);
      else scatter(p, view, i);
    }
    for (let i = 0; i < 16; i++) {
      const x = r.xmm(i);
      const v = new DataView(x.buffer, x.byteOffset);
      scatter(p, v, 0);
      scatter(p, v, 8);
      const h = r.ymmh(i);
      const w = new DataView(h.buffer, h.byteOffset);
      scatter(p, w, 0);
      scatter(p, w, 8);
      if (i < 8) extended(p, r.st(i));
    }
    floatModes(p, r);
  }

  /** Whether an address is of the data pages, but not where most of the case's are. */
  #isElsewhere(at: bigint): boolean {
    const data = this.#data === DATA ? HIGH_DATA : DATA;
    return at >= BigInt(data) && at < BigInt(data + PAGES);
  }

  /** Chooses the count of a shift; puts it into CL if it goes there. */
  #count(form: Form, size: number): number {
    const p = this.#p;
    const op = form.opcode.at(-1)!;
    const double = form.opcode.length === 2;
    if (!double && (op & ~1) === 0xd0) return 1;
    let count = p.oneIn(3) ? p.below(256) : p.below(size === 8 ? 66 : 34);
    // SHLD and SHRD by more than the operand's size have no defined result.
    if (double && size === 2 && (count & 31) > 16) count &= 0xef;
    if (form.tail.length === 0) {
      this.#out.push(0xb1, count); // MOV CL, count: one piece with the shift
      this.#guess[1] = this.#guess[1] & ~0xffn | BigInt(count);
    }
    return count;
  }

  /** Chooses the vector of a gather's indices and makes them small: one piece with it. */
  #vector(form: Form): number {
    const index = this.#p.below(16);
    const qwords = (form.opcode.at(-1)! & 1) !== 0;
    // VPSRLD or VPSRLQ of the whole register.
    this.#out.push(
      ...[0xc4, index < 8 ? 0xe1 : 0xc1, (~index & 15) << 3 | 5],
      ...[qwords ? 0x73 : 0x72, 0xd0 | index & 7, qwords ? 55 : 23],
    );
    return index;
  }

  #prefixes(form: Form, wanted: number, vector: number): Prefixes {
    const p = this.#p;
    const out = this.#out;
    const { attributes } = form;
    const isString = /^(6[ce]|a[4-7a-f])$/.test(form.text);
    const isMemory = form.modrm !== undefined && !attributes.has("reg") ||
      form.tail[0] === "mo" || isString;
    const prefixes: Prefixes = {
      size: wanted,
      rex: 0,
      short: false,
      base: 0,
      vector,
    };
    if (
      (isMemory || /^e[0-3] rel8$/.test(form.text)) &&
      p.oneIn(isString ? 4 : 10)
    ) {
      prefixes.short = true;
      out.push(0x67);
    }
    if (wanted === 2 || wanted === 8 && p.oneIn(12)) out.push(0x66);
    // Where REP does nothing, or faults at once, Intel clears the high halves
    // of the registers that addresses of 32 bits are made of.
    const mayRepeat = !(isIntel && prefixes.short);
    if (attributes.has("rep") && mayRepeat && p.oneIn(2)) {
      out.push(p.oneIn(2) ? 0xf2 : 0xf3);
    }
    // LOCK MOV from CR0 is another instruction on AMD (CR8).
    const illegal = /^0f 2[023] /.test(form.text) ? false : p.oneIn(200);
    if (attributes.has("lock") ? p.oneIn(6) : illegal) out.push(0xf0);
    if (p.oneIn(10)) {
      const override = p.pick([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x64, 0x65]);
      if (p.oneIn(8)) out.push(0x48 | p.below(16)); // means nothing there
      out.push(override);
      prefixes.base = override === 0x64
        ? FS_BASE
        : override === 0x65
        ? GS_BASE
        : 0;
    }
    let rex = p.oneIn(3) ? 0 : 0x40 | p.below(8);
    const isWide = wanted === 8 || attributes.has("w") && !p.oneIn(4) ||
      !attributes.has("v") && form.tail[0] !== "rz" && p.oneIn(8);
    if (isWide) rex |= 0x48;
    if (vector >= 0) rex = rex & ~2 | vector >> 2 & 2;
    // With REX.B it is XCHG of R8 on AMD.
    if (isIntel && form.text === "f3 90") rex = 0;
    prefixes.rex = rex;
    return prefixes;
  }

  /** REX and everything after it. */
  #body(form: Form, prefixes: Prefixes, count: number): void {
    const p = this.#p;
    const out = this.#out;
    const { size, rex, short } = prefixes;
    const opcode = [...form.opcode];
    if (form.spread > 1) opcode[opcode.length - 1] += p.below(form.spread);
    const isMandatory = opcode.length > 1 &&
      [0x66, 0xf2, 0xf3].includes(opcode[0]);
    if (isMandatory) out.push(opcode.shift()!);
    if (form.vex !== undefined) this.#vexPrefix(form, rex);
    else if (rex !== 0) out.push(rex);
    out.push(...opcode);
    if (form.modrm !== undefined) this.#modrm(form, prefixes);
    for (const t of form.tail) {
      switch (t) {
        case "is4":
          out.push(p.below(256));
          break;
        case "ib":
          out.push(
            count >= 0
              ? count
              : p.oneIn(2)
              ? p.below(256)
              : p.pick([0, 1, 0x7f, 0x80, 0xff, 4, 8, 0x10, 0x3f, 0x40]),
          );
          // INT 80h is a system call; none of the others must be one either.
          if (form.opcode[0] === 0xcd && out.at(-1) === 0x80) {
            out[out.length - 1] = 3;
          }
          break;
        case "iw":
          this.#word(p.below(64));
          break;
        case "iz":
          this.#immediate(form, size, opcode[0] & 7 | (rex & 1) << 3);
          break;
        case "mo": {
          const at = (short || p.oneIn(2) ? DATA : HIGH_DATA) +
            p.below(PAGES - 8) - prefixes.base;
          if (short) this.#long(at);
          else this.#quad(BigInt(p.oneIn(30) ? p.u32() * 2 ** 31 : at));
          break;
        }
        case "rel8":
          out.push(0);
          break;
        case "rz":
          this.#long(0);
          break;
      }
    }
  }

  /** C5 and a byte, or C4 and two. */
  #vexPrefix(form: Form, rex: number): void {
    const p = this.#p, out = this.#out, { map, pp, wide } = form.vex!;
    const long = form.attributes.has("l1") ||
      form.attributes.has("l") && p.oneIn(2);
    const vvvv = form.attributes.has("h") ? p.below(16) : 0;
    const last = (~vvvv & 15) << 3 | (long ? 4 : 0) | pp;
    if (map === 1 && wide <= 0 && (rex & 3) === 0 && p.oneIn(2)) {
      return void out.push(0xc5, (~rex & 4) << 5 | last);
    }
    const w = wide < 0 ? p.below(2) : wide;
    out.push(0xc4, (~rex & 7) << 5 | map, w << 7 | last);
  }

  #immediate(form: Form, size: number, register: number): void {
    const p = this.#p;
    if (size === 2) return this.#word(value32(p));
    const v = p.oneIn(4) ? BigInt(DATA + p.below(PAGES)) : value64(p);
    if (form.opcode[0] !== 0xb8) return this.#long(Number(v & 0xffffffffn));
    if (size === 4) {
      this.#long(Number(v & 0xffffffffn));
      this.#guess[register] = v & 0xffffffffn;
      return;
    }
    const at = p.oneIn(4) ? BigInt(HIGH_DATA + p.below(PAGES)) : v;
    this.#quad(at);
    this.#guess[register] = at;
  }

  #word(v: number): void {
    this.#out.push(v & 0xff, (v >>> 8) & 0xff);
  }

  #long(v: number): void {
    this.#word(v);
    this.#word(v >>> 16);
  }

  #quad(v: bigint): void {
    this.#long(Number(v & 0xffffffffn));
    this.#long(Number(v >> 32n & 0xffffffffn));
  }

  /** An offset in the data pages for an operand. */
  #offset(form: Form): number {
    const p = this.#p;
    let at = 64 + p.below(PAGES - 640);
    if (p.oneIn(6)) at = PAGES / 2 - p.below(17); // across the page boundary
    if (p.oneIn(60)) at = PAGES - p.below(16); // across the end
    if (form.attributes.has("a16") && !p.oneIn(12)) {
      at -= at % (form.vex === undefined ? 16 : 32);
    } else if (p.oneIn(2)) at -= at % 8;
    return at;
  }

  #modrm(form: Form, prefixes: Prefixes): void {
    const { rex, short, base: segment, vector } = prefixes;
    const p = this.#p;
    const out = this.#out;
    let field = form.modrm! >= 0 ? form.modrm! : p.below(8);
    // A bit offset: RCX is likely to be small.
    if (form.attributes.has("bitmem") && !p.oneIn(3)) field = 1;
    const reg = field << 3;
    if (vector >= 0) {
      out.push(reg | 4, p.below(4) << 6 | (vector & 7) << 3 | 5);
      return this.#long(DATA + p.below(PAGES) - segment);
    }
    const register = form.attributes.has("reg") ||
      !form.attributes.has("mem") && p.oneIn(2);
    if (register) {
      out.push(0xc0 | reg | p.below(8));
      return;
    }
    const rexB = (rex & 1) << 3, rexX = (rex & 2) << 2;
    const offset = this.#offset(form);
    const guess = (n: number): bigint =>
      short ? this.#guess[n] & 0xffffffffn : this.#guess[n];
    /** What to add to `sum` for an address in the data pages. */
    const distance = (sum: bigint): bigint | undefined => {
      for (const data of short ? [DATA] : [this.#data, DATA, HIGH_DATA]) {
        const d = BigInt.asIntN(
          short ? 32 : 64,
          BigInt(data + offset - segment) - sum,
        );
        if (d === BigInt.asIntN(32, d)) return d;
      }
      return undefined;
    };
    const kind = p.below(9);
    if (kind < 3 && segment === 0) {
      out.push(reg | 5);
      this.#relativeAt = out.length;
      this.#target = (short ? DATA : this.#data) + offset;
      this.#long(0);
      return;
    }
    if (kind === 3) { // absolute, or the end of the address space
      out.push(reg | 4, 0x25);
      const d = distance(0n);
      this.#long(d === undefined ? p.u32() : Number(d & 0xffffffffn));
      return;
    }
    if (kind === 4) { // anything
      const m = p.below(192);
      out.push((m & 0xc0) | reg | (m & 7));
      let base = m & 7;
      if (base === 4) {
        const sib = p.below(256);
        out.push(sib);
        base = sib & 7;
      }
      if (m >> 6 === 1) out.push(p.below(256));
      else if (m >> 6 === 2 || base === 5 && m >> 6 === 0) {
        this.#long(p.u32());
      }
      return;
    }
    for (let tries = 0; tries < 12; tries++) {
      const base = p.pick([3, 5, 6, 7, 3, 1, 0, 2]);
      if (kind < 7) { // base and displacement
        const d = distance(guess(base | rexB));
        if (d === undefined) continue;
        if (p.oneIn(3)) out.push(0x40 | reg | base, p.below(256));
        else {
          out.push(0x80 | reg | base);
          this.#long(Number(d & 0xffffffffn));
        }
        return;
      }
      const index = p.below(8);
      const scale = p.below(4);
      const full = index | rexX;
      const scaled = full === 4 ? 0n : guess(full) << BigInt(scale);
      const without = p.oneIn(4); // no base: mod 0 with base 5
      const d = distance((without ? 0n : guess(base | rexB)) + scaled);
      if (d === undefined) continue;
      out.push(
        (without ? 0 : 0x80) | reg | 4,
        (scale << 6) | (index << 3) | (without ? 5 : base),
      );
      this.#long(Number(d & 0xffffffffn));
      return;
    }
    out.push(0x80 | reg | 3);
    this.#long(p.u32());
  }
}

/** Writes the pieces into the record at an offset of the code pages that it starts in. */
export function place64(
  r: CaseRecord64,
  pieces: readonly Piece[],
  offset: number,
): void {
  const start = Number(r.rip) >= HIGH_CODE ? HIGH_CODE : CODE;
  r.rip = BigInt(start + offset);
  let at = start + offset;
  for (const { bytes, relativeAt = -1, target = 0 } of pieces) {
    at += bytes.length;
    if (relativeAt < 0) continue;
    const d = (target - at) | 0;
    for (let k = 0; k < 4; k++) {
      (bytes as number[])[relativeAt + k] = (d >> 8 * k) & 0xff;
    }
  }
  placeCode(r, pieces, offset);
}
