/**
 * Float80 and SoftFloat against the host CPU: random and edge-case operands
 * for every operation, all rounding and precision controls and masks. Results,
 * flags, condition codes, pushes and pops must agree to the bit;
 * transcendental results to one unit in the last place.
 * `RHEA_X87_CASES` sets the cases an operation (default 4000).
 */

import { assertEquals } from "@std/assert";
import { Float80, NOT_WRITTEN } from "../../plugins/cpu/x86/float80.ts";
import {
  type Predicate,
  settle,
  SoftFloat,
} from "../../plugins/cpu/x86/softfloat.ts";
import { RECORD, X87Oracle } from "./x87_oracle.ts";

const env = await Deno.permissions.query({
  name: "env",
  variable: "RHEA_X87_CASES",
});
const CASES = Number(
  env.state === "granted" && Deno.env.get("RHEA_X87_CASES") || 4000,
);

// Offsets in a record: ST(0) or xmm0, ST(1) or xmm1, memory; results.
const A = 16, B = 32, M = 48, R = 64, R2 = 80, T = 96;

/** A small reproducible generator (xorshift32, Marsaglia 2003). */
class Random {
  constructor(private state: number) {}
  next(): number {
    let s = this.state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.state = s;
    return s >>> 0;
  }
  below(n: number): number {
    return this.next() % n;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

// deno-fmt-ignore
const EXPONENTS = [
  0, 0, 1, 2, 0x3ffe, 0x3fff, 0x4000, 0x3fc0, 0x3fbf, 0x403d, 0x403e, 0x7ffd,
  0x7ffe, 0x7fff, 0x401e, 0x401f, 0x3f80, 0x407f, 0x3c00, 0x43ff, 0x5fff,
  0x1fff, 0x2000, 0x6000, 0x400e, 0x400f, 63, 64, 70,
];
// deno-fmt-ignore
const HIGHS = [
  0x80000000, 0xffffffff, 0xc0000000, 0x80000001, 0xfffffffe, 0xaaaaaaaa,
  0x40000000, 0, 1, 0x7fffffff, 0xffffff00, 0xffffff80, 0x80000080, 0x80000100,
];
// deno-fmt-ignore
const LOWS = [
  0, 1, 0xffffffff, 0x80000000, 0x7fffffff, 0x400, 0x800, 0xfffff800,
  0xfffffc00, 0x300, 0xfffffbff,
];
// deno-fmt-ignore
const SINGLES = [
  0, 1, 0x7fffff, 0x800000, 0x7f800000, 0x7f800001, 0x7fc00000, 0x7fffffff,
  0x3f800000, 0x7f7fffff, 0x400000, 0x4f000000, 0x5f000000, 0x4effffff,
  0x34000000, 0x00800001,
];
// deno-fmt-ignore
const DOUBLE_HIGHS = [
  0, 1, 0xfffff, 0x100000, 0x7ff00000, 0x7ff00001, 0x7ff80000, 0x3ff00000,
  0x7fefffff, 0x41dfffff, 0x41e00000, 0x43e00000, 0x3ff80000, 0x80000,
  0x38000000, 0x36900000, 0x36a00000, 0x380fffff, 0x47efffff,
];

/** Puts an 80-bit operand, often near another's exponent; gives its own. */
function put80(r: Random, d: DataView, at: number, near: number): number {
  const kind = r.below(16);
  const e = kind < 5
    ? r.pick(EXPONENTS)
    : kind < 7
    ? r.below(0x8000)
    : near >= 0 && kind < 13
    ? Math.max(0, Math.min(0x7fff, near + r.below(140) - 70))
    : 0x3fff - 40 + r.below(80);
  let hi = r.below(3) ? r.next() : r.pick(HIGHS);
  let lo = r.below(3) ? r.next() : r.pick(LOWS);
  if (e !== 0 && r.below(16) !== 0) hi |= 0x80000000;
  if (e === 0 && r.below(4) !== 0) hi &= 0x7fffffff;
  if (e === 0 && r.below(3) === 0) hi = lo = 0;
  if (e === 0x7fff && r.below(2) === 0) {
    hi = 0x80000000;
    lo = 0;
  }
  d.setUint32(at, lo, true);
  d.setUint32(at + 4, hi, true);
  d.setUint16(at + 8, e | (r.below(2) << 15), true);
  return e;
}

function put32(r: Random, d: DataView, at: number): void {
  const kind = r.below(8), sign = r.below(2) << 31;
  let bits = r.next();
  if (kind < 2) bits = r.pick(SINGLES) | sign;
  else if (kind < 6) {
    bits = bits & 0x807fffff | (127 - 12 + r.below(24)) << 23;
  } else if (kind === 6) bits &= 0xffff0000;
  d.setUint32(at, bits, true);
}

function put64(r: Random, d: DataView, at: number): void {
  const kind = r.below(8);
  let hi = r.next(), lo = r.below(3) ? r.next() : r.pick(LOWS);
  if (kind < 2) {
    hi = r.pick(DOUBLE_HIGHS);
    if (r.below(2) === 0) lo = r.pick([0, 1, 0xffffffff, 0xe0000000]);
  } else if (kind < 7) {
    const span = kind < 6 ? 40 : 300;
    hi = hi & 0xfffff | (1023 - span / 2 + r.below(span)) << 20;
  }
  d.setUint32(at, lo, true);
  d.setUint32(at + 4, hi | r.below(2) << 31, true);
}

/** The oracle, built for the first test; skipping is said once. */
let oracle: X87Oracle | undefined;
const built = await X87Oracle.build();
if (typeof built === "string") {
  console.log(`Host floating point not compared: ${built}`);
} else oracle = built;
const ignore = oracle === undefined;

/** What is compared of an x87 instruction. */
const enum Kind {
  /** ST(0) and C1. */
  Result,
  /** The condition codes. */
  Codes,
  /** ST(0) and the condition codes (remainders). */
  Remainder,
  /** ST(0), which was pushed from memory or a constant. */
  Push,
  /** ST(0), which was pushed, and the new ST(1). */
  Split,
  /** Memory. */
  Store,
  /** Memory, and a pop. */
  StorePop,
  /** ST(0) to one ulp. */
  Ulp,
  /** ST(0) to one ulp, after a pop. */
  UlpPop,
  /** ST(0) and ST(1) to one ulp, after a push. */
  UlpPush,
}

type X87Case = [
  name: string,
  kind: Kind,
  run: (f: Float80, cw: number) => number | void,
];

const X87: readonly X87Case[] = [
  ["fadd", Kind.Result, (f, c) => f.add(R, A, B, c)],
  ["fsub", Kind.Result, (f, c) => f.sub(R, A, B, c)],
  ["fsubr", Kind.Result, (f, c) => f.sub(R, B, A, c)],
  ["fmul", Kind.Result, (f, c) => f.mul(R, A, B, c)],
  ["fdiv", Kind.Result, (f, c) => f.div(R, A, B, c)],
  ["fdivr", Kind.Result, (f, c) => f.div(R, B, A, c)],
  ["fsqrt", Kind.Result, (f, c) => f.sqrt(R, A, c)],
  ["fcom", Kind.Codes, (f, c) => f.compare(A, B, c)],
  ["fucom", Kind.Codes, (f, c) => f.compareQuiet(A, B, c)],
  ["ftst", Kind.Codes, (f, c) => f.test(A, c)],
  ["fxam", Kind.Codes, (f) => f.examine(A)],
  ["frndint", Kind.Result, (f, c) => f.roundToInteger(R, A, c)],
  ["fscale", Kind.Result, (f, c) => f.scale(R, A, B, c)],
  ["fxtract", Kind.Split, (f, c) => f.extract(R2, R, A, c)],
  ["fprem", Kind.Remainder, (f, c) => f.remainder(R, A, B, c)],
  ["fprem1", Kind.Remainder, (f, c) => f.remainderNearest(R, A, B, c)],
  ["fchs", Kind.Result, (f) => f.negate(R, A)],
  ["fabs", Kind.Result, (f) => f.absolute(R, A)],
  ["fld1", Kind.Push, (f) => f.one(R)],
  ["fldz", Kind.Push, (f) => f.zero(R)],
  ["fldl2t", Kind.Push, (f, c) => f.log2Ten(R, c)],
  ["fldl2e", Kind.Push, (f, c) => f.log2E(R, c)],
  ["fldpi", Kind.Push, (f, c) => f.pi(R, c)],
  ["fldlg2", Kind.Push, (f, c) => f.log10Two(R, c)],
  ["fldln2", Kind.Push, (f, c) => f.lnTwo(R, c)],
  ["fld_m32", Kind.Push, (f, c) => f.loadF32(R, M, c)],
  ["fld_m64", Kind.Push, (f, c) => f.loadF64(R, M, c)],
  ["fld_m80", Kind.Push, (f) => f.copy(R, M)],
  ["fild_m16", Kind.Push, (f) => f.loadI16(R, M)],
  ["fild_m32", Kind.Push, (f) => f.loadI32(R, M)],
  ["fild_m64", Kind.Push, (f) => f.loadI64(R, M)],
  ["fbld", Kind.Push, (f) => f.loadBcd(R, M)],
  ["fstp_m32", Kind.StorePop, (f, c) => f.storeF32(M, A, c)],
  ["fstp_m64", Kind.StorePop, (f, c) => f.storeF64(M, A, c)],
  ["fist_m16", Kind.Store, (f, c) => f.storeI16(M, A, c)],
  ["fist_m32", Kind.Store, (f, c) => f.storeI32(M, A, c)],
  ["fistp_m64", Kind.StorePop, (f, c) => f.storeI64(M, A, c)],
  ["fbstp", Kind.StorePop, (f, c) => f.storeBcd(M, A, c)],
  ["fisttp_m16", Kind.StorePop, (f, c) => f.storeI16(M, A, c | 0xc00)],
  ["fisttp_m32", Kind.StorePop, (f, c) => f.storeI32(M, A, c | 0xc00)],
  ["fisttp_m64", Kind.StorePop, (f, c) => f.storeI64(M, A, c | 0xc00)],
  ["fadd_m32", Kind.Result, (f, c) => f.add(R, A, T, c | f.rawF32(T, M))],
  ["fmul_m64", Kind.Result, (f, c) => f.mul(R, A, T, c | f.rawF64(T, M))],
  ["fdivr_m32", Kind.Result, (f, c) => f.div(R, T, A, c | f.rawF32(T, M))],
  ["fcom_m32", Kind.Codes, (f, c) => f.compare(A, T, c | f.rawF32(T, M))],
  ["fcom_m64", Kind.Codes, (f, c) => f.compare(A, T, c | f.rawF64(T, M))],
  ["fisub_m16", Kind.Result, (f, c) => {
    f.loadI16(T, M);
    return f.sub(R, A, T, c);
  }],
  ["fidiv_m32", Kind.Result, (f, c) => {
    f.loadI32(T, M);
    return f.div(R, A, T, c);
  }],
  ["f2xm1", Kind.Ulp, (f, c) => f.exp2Minus1(R, A, c)],
  ["fyl2x", Kind.UlpPop, (f, c) => f.yLog2X(R, A, B, c)],
  ["fyl2xp1", Kind.UlpPop, (f, c) => f.yLog2XPlus1(R, A, B, c)],
  ["fpatan", Kind.UlpPop, (f, c) => f.arctangent(R, A, B, c)],
  ["fsin", Kind.Ulp, (f, c) => f.sine(R, A, c)],
  ["fcos", Kind.Ulp, (f, c) => f.cosine(R, A, c)],
  ["fsincos", Kind.UlpPush, (f, c) => f.sineCosine(R2, R, A, c)],
  ["fptan", Kind.UlpPush, (f, c) => f.tangent(R2, R, A, c)],
];

/** Is the operand where the result is undefined, and so differs by maker? */
function undefinedDomain(name: string, e: number): boolean {
  return name === "f2xm1" && e >= 0x3fff && e < 0x7fff ||
    name === "fyl2xp1" && e >= 0x3ffd && e < 0x7fff;
}

/** A request with operands for the instruction. */
function fillX87(r: Random, d: DataView, p: number, kind: Kind): void {
  const masks = r.below(3) ? 0x3f : r.below(64);
  d.setUint16(p + 2, 0x40 | masks | r.next() & 0xf00, true);
  d.setUint32(p + 4, 0x1f80, true);
  const e = put80(r, d, p + A, -1);
  put80(r, d, p + B, e);
  if (r.below(40) === 0) {
    d.setBigUint64(p + B, d.getBigUint64(p + A, true), true);
  }
  if (kind === Kind.Store || kind === Kind.StorePop) {
    for (let k = 0; k < 16; k++) d.setUint8(p + M + k, 0xee);
  }
}

/** Operands in memory. */
function fillMemory(r: Random, d: DataView, p: number, name: string): void {
  if (name === "fbld") {
    for (let k = 0; k < 9; k++) {
      d.setUint8(p + M + k, r.below(10) << 4 | r.below(10));
    }
    d.setUint8(p + M + 9, r.next());
  } else if (name === "fld_m80") put80(r, d, p + M, -1);
  else if (/f(add|divr|com|ld)_m32/.test(name)) put32(r, d, p + M);
  else if (/f(mul|com|ld)_m64/.test(name)) put64(r, d, p + M);
  else {
    d.setUint32(p + M, r.below(3) ? r.next() : r.pick(LOWS), true);
    d.setUint32(p + M + 4, r.below(3) ? r.next() : r.pick(LOWS), true);
  }
}

function show(d: DataView, at: number): string {
  return d.getUint16(at + 8, true).toString(16) + ":" +
    d.getBigUint64(at, true).toString(16).padStart(16, "0");
}

function same(a: DataView, p: number, b: DataView, q: number): boolean {
  return a.getBigUint64(p, true) === b.getBigUint64(q, true) &&
    a.getUint16(p + 8, true) === b.getUint16(q + 8, true);
}

/** Are two numbers of one sign equal or, if they are numbers, neighbours? */
function close(a: DataView, p: number, b: DataView, q: number): boolean {
  if (
    (a.getUint16(p + 8, true) & 0x7fff) === 0x7fff ||
    a.getBigUint64(p, true) === 0n
  ) return same(a, p, b, q);
  const order = (d: DataView, at: number): bigint => {
    const hi = d.getBigUint64(at, true) & 0x7fff_ffff_ffff_ffffn;
    return BigInt(d.getUint16(at + 8, true)) << 63n | hi;
  };
  const distance = order(a, p) - order(b, q);
  return distance >= -1n && distance <= 1n;
}

for (const [name, kind, run] of X87) {
  Deno.test({ name: `x87 against the host: ${name}`, ignore }, async () => {
    const o = oracle!, op = o.ops.get(name);
    if (op === undefined) throw new Error(`the oracle has no ${name}`);
    const requests = new Uint8Array(CASES * RECORD);
    const d = new DataView(requests.buffer);
    const r = new Random(0x9e3779b9 ^ op * 0x10001);
    for (let i = 0; i < CASES; i++) {
      const p = i * RECORD;
      d.setUint16(p, op, true);
      fillX87(r, d, p, kind);
      if (kind !== Kind.Store && kind !== Kind.StorePop) {
        fillMemory(r, d, p, name);
      }
    }
    const answers = await o.run(requests), ad = new DataView(answers.buffer);
    const bytes = new Uint8Array(128), fd = new DataView(bytes.buffer);
    const f = new Float80(bytes.buffer);
    const codes = kind === Kind.Codes || kind === Kind.Remainder
      ? 0x4700
      : kind >= Kind.Ulp
      ? 0x400 // an ulp may turn C1
      : 0x600;
    const wrong: string[] = [];
    for (let i = 0; i < CASES; i++) {
      const p = i * RECORD, cw = d.getUint16(p + 2, true);
      bytes.set(requests.subarray(p, p + 64));
      bytes.copyWithin(R, A, A + 16);
      bytes.copyWithin(R2, A, A + 16);
      const result = run(f, cw) ?? 0, sw = ad.getUint16(p, true);
      const written = (result & NOT_WRITTEN) === 0;
      const done = written && (kind < Kind.Ulp || (result & 0x400) === 0);
      const tag = ad.getUint16(p + 2, true);
      let ok = ((sw ^ result) & (0x3f | codes)) === 0;
      switch (kind) {
        case Kind.Codes:
          break;
        case Kind.Result:
        case Kind.Remainder:
          ok &&= same(ad, p + A, fd, R);
          break;
        case Kind.Push:
          ok &&= (tag === 0xe0) === done && same(ad, p + A, fd, R);
          break;
        case Kind.Split:
          ok &&= (tag === 0xe0) === done && same(ad, p + A, fd, R) &&
            (!done || same(ad, p + B, fd, R2));
          break;
        case Kind.Store:
        case Kind.StorePop:
          ok &&= (tag === 0x80) === (kind === Kind.StorePop && done);
          for (let k = 0; k < 16; k++) {
            ok &&= answers[p + M + k] === bytes[M + k];
          }
          break;
        case Kind.Ulp:
          ok &&= close(ad, p + A, fd, R);
          break;
        case Kind.UlpPop:
          ok &&= (tag === 0x80) === done && close(ad, p + A, fd, R);
          break;
        case Kind.UlpPush:
          ok &&= (tag === 0xe0) === done && close(ad, p + A, fd, R) &&
            (!done || close(ad, p + B, fd, R2));
          break;
      }
      const e = d.getUint16(p + A + 8, true) & 0x7fff;
      if (!ok && !undefinedDomain(name, e) && wrong.length < 5) {
        wrong.push(
          `cw ${cw.toString(16)} ${show(d, p + A)} ${show(d, p + B)} ` +
            `${show(d, p + M)}: host ${sw.toString(16)} ${show(ad, p + A)} ` +
            `${show(ad, p + B)} ${show(ad, p + M)}, ` +
            `here ${result.toString(16)} ` +
            `${show(fd, R)} ${show(fd, R2)} ${show(fd, M)}`,
        );
      }
    }
    assertEquals(wrong, []);
  });
}

type SseCase = [
  name: string,
  bits: 32 | 64,
  out: number,
  run: (s: SoftFloat, mxcsr: number) => number | void,
];

/** Bytes of the result; 0: EFLAGS; negative: in EAX or RAX. */
const SSE: SseCase[] = [
  ["add32", 32, 4, (s, m) => s.add32(R, A, B, m)],
  ["sub32", 32, 4, (s, m) => s.sub32(R, A, B, m)],
  ["mul32", 32, 4, (s, m) => s.mul32(R, A, B, m)],
  ["div32", 32, 4, (s, m) => s.div32(R, A, B, m)],
  ["sqrt32", 32, 4, (s, m) => s.sqrt32(R, B, m)],
  ["min32", 32, 4, (s, m) => s.min32(R, A, B, m)],
  ["max32", 32, 4, (s, m) => s.max32(R, A, B, m)],
  ["comi32", 32, 0, (s, m) => s.comi32(A, B, m)],
  ["ucomi32", 32, 0, (s, m) => s.ucomi32(A, B, m)],
  ["add64", 64, 8, (s, m) => s.add64(R, A, B, m)],
  ["sub64", 64, 8, (s, m) => s.sub64(R, A, B, m)],
  ["mul64", 64, 8, (s, m) => s.mul64(R, A, B, m)],
  ["div64", 64, 8, (s, m) => s.div64(R, A, B, m)],
  ["sqrt64", 64, 8, (s, m) => s.sqrt64(R, B, m)],
  ["min64", 64, 8, (s, m) => s.min64(R, A, B, m)],
  ["max64", 64, 8, (s, m) => s.max64(R, A, B, m)],
  ["comi64", 64, 0, (s, m) => s.comi64(A, B, m)],
  ["ucomi64", 64, 0, (s, m) => s.ucomi64(A, B, m)],
  ["f32_to_i32", 32, -4, (s, m) => s.f32ToI32(R, B, m)],
  ["f32_to_i32t", 32, -4, (s, m) => s.f32ToI32Truncate(R, B, m)],
  ["f32_to_i64", 32, -8, (s, m) => s.f32ToI64(R, B, m)],
  ["f32_to_i64t", 32, -8, (s, m) => s.f32ToI64Truncate(R, B, m)],
  ["f64_to_i32", 64, -4, (s, m) => s.f64ToI32(R, B, m)],
  ["f64_to_i32t", 64, -4, (s, m) => s.f64ToI32Truncate(R, B, m)],
  ["f64_to_i64", 64, -8, (s, m) => s.f64ToI64(R, B, m)],
  ["f64_to_i64t", 64, -8, (s, m) => s.f64ToI64Truncate(R, B, m)],
  ["i32_to_f32", 32, 4, (s, m) => s.i32ToF32(R, M, m)],
  ["i64_to_f32", 32, 4, (s, m) => s.i64ToF32(R, M, m)],
  ["i32_to_f64", 64, 8, (s) => s.i32ToF64(R, M)],
  ["i64_to_f64", 64, 8, (s, m) => s.i64ToF64(R, M, m)],
  ["f32_to_f64", 32, 8, (s, m) => s.f32ToF64(R, B, m)],
  ["f64_to_f32", 64, 4, (s, m) => s.f64ToF32(R, B, m)],
];
for (const k of [0, 1, 2, 3, 4, 5, 6, 7] as Predicate[]) {
  SSE.push([`cmp${k}_32`, 32, 4, (s, m) => s.cmp32(R, A, B, k, m)]);
  SSE.push([`cmp${k}_64`, 64, 8, (s, m) => s.cmp64(R, A, B, k, m)]);
}

for (const [name, bits, out, run] of SSE) {
  Deno.test({ name: `SSE against the host: ${name}`, ignore }, async () => {
    const o = oracle!, op = o.ops.get(name);
    if (op === undefined) throw new Error(`the oracle has no ${name}`);
    const requests = new Uint8Array(CASES * RECORD);
    const d = new DataView(requests.buffer);
    const r = new Random(0x85ebca6b ^ op * 0x10001);
    for (let i = 0; i < CASES; i++) {
      const p = i * RECORD;
      d.setUint16(p, op, true);
      d.setUint16(p + 2, 0x37f, true);
      const masks = r.below(8) ? 0x3f : r.below(64);
      const rounding = r.below(2) ? r.below(4) : 0;
      const zeros = (r.below(4) ? 0 : 0x40) | (r.below(4) ? 0 : 0x8000);
      d.setUint32(p + 4, masks << 7 | rounding << 13 | zeros, true);
      for (const at of [A, B]) {
        if (bits === 32) put32(r, d, p + at);
        else put64(r, d, p + at);
      }
      if (r.below(50) === 0) {
        d.setBigUint64(p + B, d.getBigUint64(p + A, true), true);
      }
      d.setUint32(p + M, r.below(3) ? r.next() : r.pick(LOWS), true);
      d.setInt32(p + M + 4, r.below(3) ? r.next() : -r.below(2), true);
    }
    const answers = await o.run(requests), ad = new DataView(answers.buffer);
    const bytes = new Uint8Array(128), fd = new DataView(bytes.buffer);
    const s = new SoftFloat(bytes.buffer);
    const wrong: string[] = [];
    for (let i = 0; i < CASES; i++) {
      const p = i * RECORD, mxcsr = d.getUint32(p + 4, true);
      bytes.set(requests.subarray(p, p + 64));
      const result = run(s, mxcsr) ?? 0;
      const flags = settle(result & 0x3f, mxcsr);
      const faults = (flags & ~(mxcsr >> 7)) !== 0;
      let ok = (ad.getUint32(p + 4, true) & 0x3f) === flags &&
        (ad.getUint32(p + 12, true) !== 0) === faults;
      if (!faults && out === 0) {
        ok &&= (ad.getUint32(p + 8, true) & 0x45) === (result >> 8 & 0x45);
      } else if (!faults) {
        const at = out < 0 ? M : A;
        for (let k = 0; k < Math.abs(out); k++) {
          ok &&= answers[p + at + k] === bytes[R + k];
        }
      }
      if (!ok && wrong.length < 5) {
        wrong.push(
          `mxcsr ${mxcsr.toString(16)} ${show(d, p + A)} ${show(d, p + B)} ` +
            `${show(d, p + M)}: host ${ad.getUint32(p + 4, true) & 0x3f} ` +
            `${show(ad, p + A)} ${show(ad, p + M)}, ` +
            `here ${flags} ${show(fd, R)}`,
        );
      }
    }
    assertEquals(wrong, []);
  });
}

Deno.test({
  name: "SSE against the host: flags of a vector's elements",
  ignore,
  fn: async () => {
    const o = oracle!;
    const names = ["add_ps", "mul_ps", "div_ps", "mul_pd", "div_pd"];
    const requests = new Uint8Array(CASES * RECORD);
    const d = new DataView(requests.buffer);
    const r = new Random(4711);
    for (let i = 0; i < CASES; i++) {
      const p = i * RECORD, name = names[i % names.length];
      d.setUint16(p, o.ops.get(name)!, true);
      d.setUint16(p + 2, 0x37f, true);
      d.setUint32(p + 4, r.below(64) << 7, true);
      for (let k = 0; k < 32; k += 4) put32(r, d, p + A + k);
    }
    const answers = await o.run(requests), ad = new DataView(answers.buffer);
    const bytes = new Uint8Array(128);
    const s = new SoftFloat(bytes.buffer);
    for (let i = 0; i < CASES; i++) {
      const p = i * RECORD, mxcsr = d.getUint32(p + 4, true);
      bytes.set(requests.subarray(p, p + 64));
      let flags = 0;
      for (let k = 0; k < 16; k += i % names.length < 3 ? 4 : 8) {
        const [x, a, b] = [R + k, A + k, B + k];
        switch (i % names.length) {
          case 0:
            flags |= s.add32(x, a, b, mxcsr);
            break;
          case 1:
            flags |= s.mul32(x, a, b, mxcsr);
            break;
          case 2:
            flags |= s.div32(x, a, b, mxcsr);
            break;
          case 3:
            flags |= s.mul64(x, a, b, mxcsr);
            break;
          default:
            flags |= s.div64(x, a, b, mxcsr);
        }
      }
      const host = ad.getUint32(p + 4, true) & 0x3f;
      assertEquals(settle(flags, mxcsr), host, show(d, p + A));
    }
  },
});

addEventListener("unload", () => oracle?.dispose());
