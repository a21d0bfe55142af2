import { assertEquals } from "@std/assert";
import {
  A_BY,
  AFFINE,
  INVERSE_SUBSTITUTION,
  RECIPROCAL,
  SUBSTITUTION,
  type SubstitutionTables,
} from "./aes_tables.ts";

/** As a vector look-up has it: 0 for what is no index. */
const look = (table: readonly number[], at: number): number => table[at] ?? 0;

/** What translate_aes.ts does, on one byte. */
function substitute(tables: SubstitutionTables, x: number): number {
  const pair = look(tables.low, x & 15) ^ look(tables.high, x >> 4);
  const k = pair & 15, i = pair >> 4, j = i ^ k, ak = look(A_BY, k);
  const part = (n: number, other: number): number =>
    look(RECIPROCAL, look(RECIPROCAL, n) ^ ak) ^ other;
  return look(tables.u, part(i, j)) ^ look(tables.v, part(j, i));
}

/** A product in AES's field: FIPS 197, 4.2. */
function product(x: number, y: number): number {
  let r = 0;
  for (let n = 0; n < 8; n++) {
    if ((y >> n & 1) !== 0) r ^= x;
    x = x << 1 ^ ((x & 0x80) !== 0 ? 0x11b : 0);
  }
  return r;
}

/** The S-box by its definition: FIPS 197, 5.1.1. */
function sBox(x: number): number {
  let inverse = 0;
  for (let y = 1; y < 256; y++) if (product(x, y) === 1) inverse = y;
  let r = 0;
  for (let n = 0; n < 8; n++) {
    const bits = [0, 4, 5, 6, 7].map((k) => inverse >> (n + k) % 8 & 1);
    r |= bits.reduce((p, q) => p ^ q) << n;
  }
  return r ^ 0x63;
}

Deno.test("the tables make the S-box and its inverse", () => {
  assertEquals(sBox(0x53), 0xed); // the standard's example
  for (let x = 0; x < 256; x++) {
    assertEquals(substitute(SUBSTITUTION, x) ^ AFFINE, sBox(x));
    assertEquals(substitute(INVERSE_SUBSTITUTION, sBox(x)), x);
  }
});
