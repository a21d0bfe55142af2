/**
 * Floating point of SSE4.1, natively as translate_sse_checks.ts explains.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { ROUND_BY_MXCSR, ROUND_SILENT, SSE4_HELPERS } from "./sse4_helpers.ts";
import { SCRATCH32, XMM } from "./state.ts";
import type { Translate } from "./translate.ts";
import {
  first,
  lanes,
  readW,
  readWd,
  readWq,
  shuffle,
} from "./translate_simd.ts";
import { type Packed, product, sum } from "./translate_sse.ts";
import {
  and,
  both,
  compute,
  DOUBLE,
  extract,
  type Format,
  notNan,
  replace,
  SINGLE,
  vop,
} from "./translate_sse_checks.ts";

const packed: Record<string, Packed> = {};
/** The packed instructions of two operands, by mnemonic. */
export const SSE4_PACKED: Readonly<Record<string, Packed>> = packed;

/** By the rounding control; MXCSR's default is to nearest. */
const ROUNDING = ["nearest", "floor", "ceil", "trunc"];

function round(
  name: "roundps" | "roundpd" | "roundss" | "roundsd",
  f: Format,
  isScalar: boolean,
): Translate {
  const helper = SSE4_HELPERS[name];
  const run: Packed = (t, x, y, isFirst) => {
    const b = t.b, i = t.insn;
    b.set(SCRATCH32[1], b.i32(i.imm));
    const control = (i.imm & ROUND_BY_MXCSR) !== 0 ? 0 : i.imm & 3;
    return compute(t, helper, x, y, f, isScalar, () => {
      const whole = b.op(vop(f, ROUNDING[control]), y);
      return {
        r: isScalar ? b.op(replace(f), x, b.op(extract(f), whole)) : whole,
        ok: notNan(b, f, y),
        exact: (i.imm & ROUND_SILENT) !== 0
          ? undefined
          : () => b.op(vop(f, "eq"), whole, y),
      };
    }, isFirst);
  };
  if (!isScalar) packed[name] = run;
  return (t, i) => {
    const y = !isScalar
      ? readW(t, i)
      : f === SINGLE
      ? readWd(t, i)
      : readWq(t, i);
    t.b.set(XMM[i.reg], run(t, first(t, i), y, false));
  };
}

/** A vector with ones in the lanes whose bits are set in the immediate. */
function laneMask(f: Format, imm: number): number[] {
  return Array.from(
    { length: 16 },
    (_, k) => (imm >> Math.floor(k / f.width) & 1) !== 0 ? 0xff : 0,
  );
}

/** DPPS, DPPD. */
function dotProduct(name: "dpps" | "dppd", f: Format): Translate {
  const helper = SSE4_HELPERS[name];
  // Who is added to whom: neighbours, then halves.
  const partners = f === SINGLE
    ? [lanes(4, [1, 0, 3, 2]), lanes(4, [2, 3, 0, 1])]
    : [lanes(8, [1, 0])];
  const run: Packed = (t, x, y, isFirst) => {
    const b = t.b, i = t.insn;
    b.set(SCRATCH32[1], b.i32(i.imm));
    return compute(t, helper, x, y, f, false, () => {
      const chosen = b.v128(laneMask(f, i.imm >> 4));
      const steps = [
        product(b, f, and(b, x, chosen), and(b, y, chosen), false),
      ];
      for (const partner of partners) {
        const v = steps[steps.length - 1].r;
        steps.push(sum("add")(b, f, v, shuffle(b, v, v, partner), false));
      }
      const all = (checks: Value[]): Value =>
        checks.reduce((p, q) => both(b, p, q));
      return {
        r: and(b, steps[steps.length - 1].r, b.v128(laneMask(f, i.imm))),
        ok: all(steps.map((s) => s.ok!)),
        exact: () => all(steps.map((s) => s.exact!())),
      };
    }, isFirst);
  };
  packed[name] = run;
  return (t, i) => {
    const y = readW(t, i);
    t.b.set(XMM[i.reg], run(t, first(t, i), y, false));
  };
}

/** SSE4.1 floating point, by mnemonic. */
export const SSE4_FLOAT: Readonly<Record<string, Translate>> = {
  roundps: round("roundps", SINGLE, false),
  roundpd: round("roundpd", DOUBLE, false),
  roundss: round("roundss", SINGLE, true),
  roundsd: round("roundsd", DOUBLE, true),
  dpps: dotProduct("dpps", SINGLE),
  dppd: dotProduct("dppd", DOUBLE),
};
