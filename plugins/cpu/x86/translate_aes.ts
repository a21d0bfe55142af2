/**
 * AES-NI (SDM volume 2; FIPS 197), as vector operations: a round is some 40,
 * without memory and without a call, and takes the same time for all data. And
 * PCLMULQDQ, which comes with them.
 *
 * [measured] Four blocks at a time, a round of one takes 7 ns (QEMU 7.2's TCG:
 * 10 ns).
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { IrBuilder } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import {
  A_BY,
  AFFINE,
  INVERSE_SUBSTITUTION,
  RECIPROCAL,
  SUBSTITUTION,
  type SubstitutionTables,
} from "./aes_tables.ts";
import { CLMUL } from "./clmul.ts";
import { SCRATCH128, XMM } from "./state.ts";
import type { Translate } from "./translate.ts";
import {
  type Binary,
  first,
  lanes,
  pattern,
  readW,
  shuffle,
  sse,
  zero,
} from "./translate_simd.ts";

const xor = (b: IrBuilder, x: Value, y: Value): Value =>
  b.op(Op["v128.xor"], x, y);
/** Look-ups in a table of 16 bytes. */
const look = (b: IrBuilder, table: readonly number[], at: Value): Value =>
  b.op(Op["i8x16.swizzle"], b.v128(table), at);

/** The halves of all bytes: low, high. */
function halves(b: IrBuilder, x: Value): [Value, Value] {
  const mask = pattern(b, 15);
  const high = b.op(Op["i16x8.shr_u"], x, b.i32(4));
  return [b.op(Op["v128.and"], x, mask), b.op(Op["v128.and"], high, mask)];
}

/** The S-box or its inverse on all bytes: see aes_tables.ts for the names. */
function substitute(b: IrBuilder, tables: SubstitutionTables, x: Value): Value {
  const [low, high] = halves(b, x);
  const pairs = xor(b, look(b, tables.low, low), look(b, tables.high, high));
  const [k, i] = halves(b, pairs);
  const j = xor(b, i, k);
  const ak = look(b, A_BY, k);
  const part = (n: Value, other: Value): Value =>
    xor(
      b,
      look(b, RECIPROCAL, xor(b, look(b, RECIPROCAL, n), ak)),
      other,
    );
  return xor(b, look(b, tables.u, part(i, j)), look(b, tables.v, part(j, i)));
}

/** Byte r of column c from column `c + direction * r`. */
const rows = (direction: 1 | -1): number[] =>
  Array.from(
    { length: 16 },
    (_, n) => (n + 4 * direction * (n & 3)) & 12 | n & 3,
  );
const SHIFT_ROWS = rows(1), INVERSE_SHIFT_ROWS = rows(-1);

/** Each column turned by so many bytes. */
const turned = (count: number): number[] =>
  Array.from({ length: 16 }, (_, n) => n & 12 | (n + count) & 3);
const TURNED1 = turned(1), TURNED2 = turned(2);

/** All bytes times 2. */
function double(b: IrBuilder, x: Value): Value {
  const overflow = b.op(
    Op["v128.and"],
    b.op(Op["i8x16.gt_s"], zero(b), x),
    pattern(b, 0x1b),
  );
  return xor(b, b.op(Op["i8x16.add"], x, x), overflow);
}

/** 2 3 1 1 in a circle: with `u` the sum of neighbours, twice that, the next byte and the two behind it. */
function mixColumns(b: IrBuilder, x: Value): Value {
  const next = shuffle(b, x, x, TURNED1);
  const u = xor(b, x, next);
  return xor(b, xor(b, double(b, u), next), shuffle(b, u, u, TURNED2));
}

/** 14 11 13 9 is 2 3 1 1 times 5 0 4 0. */
function inverseMixColumns(b: IrBuilder, x: Value): Value {
  const u = xor(b, x, shuffle(b, x, x, TURNED2));
  return mixColumns(b, xor(b, x, double(b, double(b, u))));
}

/** SubBytes' constant and the round key. MixColumns leaves the constant as it is. */
const addKey = (b: IrBuilder, x: Value, key: Value): Value =>
  xor(b, x, xor(b, key, pattern(b, AFFINE)));

const subBytes = (b: IrBuilder, x: Value): Value =>
  substitute(b, SUBSTITUTION, shuffle(b, x, x, SHIFT_ROWS));
const inverseSubBytes = (b: IrBuilder, x: Value): Value =>
  substitute(b, INVERSE_SUBSTITUTION, shuffle(b, x, x, INVERSE_SHIFT_ROWS));

const aesenc: Binary = (b, x, y) => addKey(b, mixColumns(b, subBytes(b, x)), y);
const aesenclast: Binary = (b, x, y) => addKey(b, subBytes(b, x), y);
const aesdec: Binary = (b, x, y) =>
  xor(b, inverseMixColumns(b, inverseSubBytes(b, x)), y);
const aesdeclast: Binary = (b, x, y) => xor(b, inverseSubBytes(b, x), y);
const aesimc: Binary = (b, _x, y) => inverseMixColumns(b, y);

/** Words 1 and 3, each as it is and turned by a byte. */
const KEY_WORDS = [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12];

const aeskeygenassist: Translate = (t, i) => {
  const b = t.b;
  const y = readW(t, i);
  const constant = new Array(16).fill(AFFINE);
  constant[4] ^= i.imm;
  constant[12] ^= i.imm;
  const words = shuffle(b, y, y, KEY_WORDS);
  b.set(
    XMM[i.reg],
    xor(b, substitute(b, SUBSTITUTION, words), b.v128(constant)),
  );
};

const pclmulqdq: Translate = (t, i) => {
  const b = t.b;
  const y = readW(t, i);
  const halves = lanes(8, [i.imm & 1, 2 + (i.imm >> 4 & 1)]);
  b.set(SCRATCH128[1], shuffle(b, first(t, i), y, halves));
  b.call(CLMUL);
  b.set(XMM[i.reg], b.get(SCRATCH128[0]));
};

/** AES-NI and PCLMULQDQ, by mnemonic. */
export const AES: Readonly<Record<string, Translate>> = {
  aesenc: sse(aesenc),
  aesenclast: sse(aesenclast),
  aesdec: sse(aesdec),
  aesdeclast: sse(aesdeclast),
  aesimc: sse(aesimc),
  aeskeygenassist,
  pclmulqdq,
};
