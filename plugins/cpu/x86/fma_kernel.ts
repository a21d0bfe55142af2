/**
 * Fused multiply-adds in WebAssembly, two lanes at a time, for the default mode
 * of MXCSR: the quick algorithms of fma.ts, which explains them. Where a lane is
 * out of their range, or PE is to be set, TypeScript does it all again.
 *
 * Unlike there, factors may be 0: the sum is then the addend, exactly.
 *
 * @module
 */

import {
  asm,
  type Code,
  get,
  i32,
  i64,
  leave,
  load,
  set,
  when,
} from "./float80_emit.ts";
import { type Native, native } from "./integer_kernel.ts";
import { RESULT, W_PREDICATE, X, Y, Z } from "./sse_helpers.ts";
import { OFF_MXCSR } from "./state.ts";
import {
  byteShuffle,
  plain,
  simd,
  V128,
  v128Const,
  v128Load,
  v128Store,
} from "./vector_emit.ts";

const add = simd(0xf0), sub = simd(0xf1), mul = simd(0xf2), abs = simd(0xec);
const eq = simd(0x47), ne = simd(0x48), lt = simd(0x49);
const gt = simd(0x4a), ge = simd(0x4c);
const and = simd(0x4e), or = simd(0x50), xor = simd(0x51);
/** Bits of the first where the third has ones, of the second elsewhere. */
const choose = simd(0x52);
const addBits = simd(0xce), equalBits = simd(0xd6), shiftBits = simd(0xcc);
const splat = simd(0x12), allTrue = simd(0xc3);
const promote = simd(0x5f), demote = simd(0x5e);
const wrapShl = plain(0x86), extendU = plain(0xad), eqz = plain(0x45);
const andWord = plain(0x71), shrWord = plain(0x76);

/** MXCSR.PE. */
const PE = 0x20;

/** A double in both lanes. */
function double(x: number): Code {
  const bytes = new Uint8Array(new Float64Array([x, x]).buffer);
  return v128Const(Array.from(bytes));
}
const ZERO = double(0);
const ONES = v128Const([1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);

/** A value that is used more than once. */
function keep(v: Code): Code {
  const local = asm.local(0, V128);
  set(local, v);
  return get(local);
}

/** The rest of the rounded sum `s = x + y`. */
function restOfSum(s: Code, x: Code, y: Code): Code {
  const t = keep(sub(s, x));
  return keep(add(sub(x, sub(s, t)), sub(y, t)));
}

/** The rest of the rounded product `p = x * y`. */
function restOfProduct(p: Code, x: Code, y: Code): Code {
  const split = (v: Code): [Code, Code] => {
    const t = keep(mul(v, double(134217729)));
    const high = keep(sub(t, sub(t, v)));
    return [high, keep(sub(v, high))];
  };
  const [x1, x0] = split(x), [y1, y0] = split(y);
  const sum = add(
    add(sub(mul(x1, y1), p), mul(x1, y0)),
    mul(x0, y1),
  );
  return keep(add(sum, mul(x0, y0)));
}

/** The rounded sum `s` with the rest `e`, rounded to odd instead. */
function toOdd(s: Code, e: Code): Code {
  const isEven = equalBits(and(s, ONES), ZERO);
  const inexact = ne(e, ZERO);
  // Away from 0 where the rest has the sum's sign, else towards it.
  const step = or(shiftBits(xor(s, e), i32(63)), ONES);
  return keep(addBits(s, and(step, and(isEven, inexact))));
}

/** What two lanes give: the sum in the format, that it is right, that it was not rounded. */
interface Lanes {
  readonly r: Code;
  readonly ok: Code;
  readonly exact: Code;
}

/** 0, or a magnitude of `least` or more; of infinities and NaNs the result tells. */
const ordinary = (v: Code, least: number): Code =>
  or(ge(abs(v), double(least)), eq(v, ZERO));

const LEAST_SINGLE = 2 ** -126, LEAST_DOUBLE = 2 ** -1022;

/** Singles, made doubles; `r` are singles in the low half. */
function singles(x: Code, y: Code, z: Code): Lanes {
  const p = keep(mul(x, y));
  const s = keep(add(p, z));
  const e = restOfSum(s, p, z);
  const r = keep(demote(toOdd(s, e)));
  const back = keep(promote(r));
  const m = keep(abs(back));
  const large = or(gt(m, double(LEAST_SINGLE)), eq(s, ZERO));
  const operands = and(
    and(ordinary(x, LEAST_SINGLE), ordinary(y, LEAST_SINGLE)),
    ordinary(z, LEAST_SINGLE),
  );
  const ok = keep(and(and(operands, large), lt(m, double(Infinity))));
  return { r, ok, exact: keep(and(eq(e, ZERO), eq(back, s))) };
}

const LOW = 2 ** -400, HIGH = 2 ** 400, LOW_SUM = 2 ** -700;

/** Doubles, by Boldo and Melquiond. */
function doubles(x: Code, y: Code, z: Code): Lanes {
  const uh = keep(mul(x, y)), ul = restOfProduct(uh, x, y);
  const th = keep(add(z, ul)), tl = restOfSum(th, z, ul);
  const vh = keep(add(uh, th)), vl = restOfSum(vh, uh, th);
  const s = keep(add(tl, vl)), e = restOfSum(s, tl, vl);
  const w = toOdd(s, e);
  const sum = keep(add(vh, w));
  const rest = restOfSum(sum, vh, w);
  const within = (v: Code, low: number): Code => {
    const m = keep(abs(v));
    return and(gt(m, double(low)), lt(m, double(HIGH)));
  };
  const general = keep(
    and(
      and(within(x, LOW), within(y, LOW)),
      and(
        or(within(z, LOW_SUM), eq(z, ZERO)),
        gt(abs(sum), double(LOW_SUM)),
      ),
    ),
  );
  // A factor is 0, the others are ordinary and the sum is finite.
  const zero = keep(or(eq(x, ZERO), eq(y, ZERO)));
  const plainSum = keep(add(uh, z));
  const trivial = and(
    and(zero, ordinary(z, LEAST_DOUBLE)),
    and(
      and(ordinary(x, LEAST_DOUBLE), ordinary(y, LEAST_DOUBLE)),
      lt(abs(plainSum), double(Infinity)),
    ),
  );
  return {
    r: keep(choose(plainSum, sum, zero)),
    ok: keep(or(general, trivial)),
    exact: keep(or(zero, and(eq(e, ZERO), eq(rest, ZERO)))),
  };
}

/** A sign for even and one for odd lanes: bits `bit` and `bit + 2` of the helper's word. */
function signs(word: Code, bit: number): Code {
  const sign = (shift: number): Code =>
    wrapShl(
      extendU(andWord(shrWord(word, i32(shift)), i32(1))),
      i64(63),
    );
  const both = splat(sign(bit));
  return keep(() => {
    both();
    sign(bit + 2)();
    asm.e.u8(0xfd);
    asm.e.u8(0x1e);
    asm.e.u8(1);
  });
}

const HIGH_HALF = [8, 9, 10, 11, 12, 13, 14, 15];
const LOW_HALF = [0, 1, 2, 3, 4, 5, 6, 7];
const LANE0 = [0, 1, 2, 3];

/** The WebAssembly form of the helper of one format. */
function kernel(width: 4 | 8, isScalar: boolean): Native {
  return native((f) => {
    const at = i32(f.base);
    const word = load(at, 4 * W_PREDICATE);
    const negateProduct = signs(word, 0), negateAddend = signs(word, 1);
    const compute = (arrange: (v: Code) => Code): Lanes => {
      const read = (from: number): Code =>
        keep(arrange(keep(v128Load(at, from))));
      const x = keep(xor(read(X), negateProduct)), y = read(Y);
      const z = keep(xor(read(Z), negateAddend));
      return width === 4 ? singles(x, y, z) : doubles(x, y, z);
    };
    let lanes: Lanes;
    if (width === 8) {
      // Of a scalar both lanes are the first.
      lanes = compute((v) =>
        isScalar ? byteShuffle(v, v, [...LOW_HALF, ...LOW_HALF]) : v
      );
    } else if (isScalar) {
      const first = [...LANE0, ...LANE0, ...LANE0, ...LANE0];
      lanes = compute((v) => promote(byteShuffle(v, v, first)));
    } else {
      const low = compute((v) => promote(v));
      const high = compute((v) =>
        promote(byteShuffle(v, v, [...HIGH_HALF, ...HIGH_HALF]))
      );
      lanes = {
        r: byteShuffle(low.r, high.r, [
          ...LOW_HALF,
          ...LOW_HALF.map((n) => n + 16),
        ]),
        ok: and(low.ok, high.ok),
        exact: and(low.exact, high.exact),
      };
    }
    const { r, ok, exact } = lanes;
    when(eqz(allTrue(ok)), () => f.slow());
    when(
      eqz(andWord(load(at, OFF_MXCSR), i32(PE))),
      () => when(eqz(allTrue(exact)), () => f.slow()),
    );
    v128Store(at, r, RESULT);
    leave(i32(0));
  }, 0);
}

/** By suffix of the mnemonic. */
export const FMA_KERNELS: Readonly<Record<string, Native>> = {
  ps: kernel(4, false),
  pd: kernel(8, false),
  ss: kernel(4, true),
  sd: kernel(8, true),
};
