/**
 * FMA3: the forms 132, 213 and 231 of the fused multiply-adds (SDM volume 1,
 * 14.5). The number says which operands are the factors and which is added.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Fused, NEGATE_ADDEND, NEGATE_PRODUCT } from "./fma.ts";
import { FMA_KERNELS } from "./fma_kernel.ts";
import {
  type Computation,
  computation,
  RESULT,
  type Run,
  type Unit,
  W_PREDICATE,
  X,
  Y,
  Z,
} from "./sse_helpers.ts";
import {
  KEY_MXCSR_DEFAULT,
  SCRATCH128,
  SCRATCH32,
  XMM,
  YMMH,
} from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import {
  lanes,
  LOW_THEN_HIGH,
  readWd,
  readWq,
  shuffle,
  zero,
} from "./translate_simd.ts";
import { readWide, register } from "./vex_operands.ts";

const fused = new WeakMap<Unit["f"], Fused>();

function fusedOf(u: Unit): Fused {
  let f = fused.get(u.f);
  if (f === undefined) fused.set(u.f, f = new Fused(u.s.buffer, u.f));
  return f;
}

/** Which signs are changed, in even lanes and (shifted by 2) in odd ones; in the word of CMPPS's predicate. */
function run(width: 4 | 8, isScalar: boolean): Run {
  const end = isScalar ? width : 16;
  return (u, mxcsr) => {
    const { base } = u, f = fusedOf(u);
    const signs = u.s[W_PREDICATE];
    let raised = 0;
    for (let k = 0; k < end; k += width) {
      const negate = ((k & width) === 0 ? signs : signs >> 2) & 3;
      raised |= f.compute(
        width,
        base + RESULT + k,
        base + X + k,
        base + Y + k,
        base + Z + k,
        negate,
        mxcsr,
      );
    }
    return raised;
  };
}

const helper = (suffix: string, f: Run): Computation =>
  computation(
    "fma_" + suffix,
    f,
    true,
    true,
    (cpu) =>
      cpu.model.features.has("fma") ? FMA_KERNELS[suffix](cpu) : undefined,
  );

const HELPERS: Readonly<Record<string, Computation>> = {
  ps: helper("ps", run(4, false)),
  pd: helper("pd", run(8, false)),
  ss: helper("ss", run(4, true)),
  sd: helper("sd", run(8, true)),
};

function compute(
  t: Translator,
  helper: Computation,
  signs: number,
  [a, x, c]: readonly Value[],
  isFirst: boolean,
): Value {
  const b = t.b;
  b.set(SCRATCH32[1], b.i32(signs));
  b.set(SCRATCH128[1], a);
  b.set(SCRATCH128[2], x);
  b.set(SCRATCH128[3], c);
  const isDefault = (t.key & KEY_MXCSR_DEFAULT) !== 0;
  b.call(isDefault ? helper.masked : isFirst ? helper.first : helper.unmasked);
  return b.get(SCRATCH128[0]);
}

/** By form: factors and addend among destination (0), VEX.vvvv (1) and source (2). */
const ORDER: Readonly<Record<string, readonly [number, number, number]>> = {
  132: [0, 2, 1],
  213: [1, 0, 2],
  231: [1, 2, 0],
};

const FIRST_SINGLE = lanes(4, [0, 5, 6, 7]);

function instruction(form: string, suffix: string, signs: number): Translate {
  const order = ORDER[form];
  const helper = HELPERS[suffix];
  const pick = (operands: readonly Value[]): Value[] =>
    order.map((n) => operands[n]);
  if (suffix[0] === "s") {
    const single = suffix === "ss";
    const read = single ? readWd : readWq;
    const merge = single ? FIRST_SINGLE : LOW_THEN_HIGH;
    return (t, i) => {
      const b = t.b;
      const source = read(t, i);
      const old = b.get(XMM[i.reg]);
      const operands = pick([old, b.get(XMM[i.vvvv]), source]);
      const r = compute(t, helper, signs, operands, false);
      b.set(XMM[i.reg], shuffle(b, r, old, merge));
      b.set(YMMH[i.reg], zero(b));
    };
  }
  return (t, i) => {
    const b = t.b;
    const y = readWide(t, i);
    const x = register(t, i, i.vvvv), d = register(t, i, i.reg);
    const long = i.vexL !== 0;
    const lo = compute(t, helper, signs, pick([d.lo, x.lo, y.lo]), long);
    const hi = long
      ? compute(t, helper, signs, pick([d.hi, x.hi, y.hi]), false)
      : zero(b);
    b.set(XMM[i.reg], lo);
    b.set(YMMH[i.reg], hi);
  };
}

/** By name: which signs change, in even and odd lanes. */
const KINDS: Readonly<Record<string, readonly [number, number]>> = {
  vfmadd: [0, 0],
  vfmsub: [NEGATE_ADDEND, NEGATE_ADDEND],
  vfnmadd: [NEGATE_PRODUCT, NEGATE_PRODUCT],
  vfnmsub: [
    NEGATE_PRODUCT | NEGATE_ADDEND,
    NEGATE_PRODUCT | NEGATE_ADDEND,
  ],
  vfmaddsub: [NEGATE_ADDEND, 0],
  vfmsubadd: [0, NEGATE_ADDEND],
};

const table: Record<string, Translate> = {};
for (const [name, [even, odd]] of Object.entries(KINDS)) {
  for (const form of Object.keys(ORDER)) {
    for (const suffix of Object.keys(HELPERS)) {
      table[name + form + suffix] = instruction(form, suffix, even | odd << 2);
    }
  }
}

/** The functions, by the names that the instruction table uses. */
export const FMA: Readonly<Record<string, Translate>> = table;
