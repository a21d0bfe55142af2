/**
 * Instruction forms of 64-bit mode that `forms.ts` has not, in its language,
 * and those of its forms that are other instructions there.
 *
 * @module
 */

import { CRYPTO, EXTENSIONS, SSE4, SSSE3_MMX } from "./forms_sse4.ts";
import { VEX } from "./forms_vex.ts";
import { type Form, INTEGER, MMX, parseForms, SSE, X87 } from "./forms.ts";

/** Forms that exist in 64-bit mode alone, or take a REX.W that changes them. */
const LONG = `
63 /r | v
50 +r | v
58 +r | v
8d /r | v mem
b8 +r iz | v
99 | v
98 | v
0f a3 /r | v w:C u:OSAP bitmem
0f ab /r | v lock w:C u:OSAP bitmem
0f b1 /r | v lock w:*
0f c3 /r | v mem
0f c7 /1 | v mem lock w:Z a16
0f c8 +r | v
f7 /4 | v w:OC u:SZAP
f7 /5 | v w:OC u:SZAP
f7 /6 | v u:*
f7 /7 | v u:*
f3 0f ae /0 | reg w
f3 0f ae /1 | reg w
f3 0f ae /2 | reg w
f3 0f ae /3 | reg w
0f 22 /0 | reg
0f 23 /7 | reg
`;

/** String instructions, which INTEGER has as well: for cases of their own. */
const STRINGS = `
a4 | rep
a5 | v rep
a6 | rep
a7 | v rep
aa | rep
ab | v rep
ac | rep
ad | v rep
ae | rep
af | v rep
`;

/** Opcodes that are not valid in 64-bit mode. Left out: 27 and its kind as REX forms change nothing; D6 (SALC), C4, C5 and 62 are others' or prefixes. */
const INVALID = `
06 |
07 |
0e |
16 |
17 |
1e |
1f |
27 |
2f |
37 |
3f |
60 |
61 |
82 /0 ib |
9a |
ce |
d4 ib |
d5 ib |
d6 |
ea |
`;

/** SSE and MMX forms that REX.W makes others of. */
const SSE_LONG = `
66 0f 6e /r | w
66 0f 7e /r | w
f3 0f 2a /r | w
f2 0f 2a /r | w
f3 0f 2c /r | w
f2 0f 2c /r | w
f3 0f 2d /r | w
f2 0f 2d /r | w
0f 50 /r | reg w
66 0f 50 /r | reg w
66 0f c4 /r ib | w
66 0f c5 /r ib | reg w
66 0f d7 /r | reg w
`;

/** With a VEX prefix, in 64-bit mode alone, and what forms_vex.ts leaves out. */
const VEX_LONG = `
vex.np.0f ae /2 | mem
vex.66.0f f7 /r | reg
vex.66.0f3a.w1 16 /r ib |
vex.66.0f3a.w1 22 /r ib | h
`;

/** The first byte is a prefix in 64-bit mode, or the opcode does not exist there. */
const GONE = /^(27|2f|37|3f|40|48|60|61|62|82|ce|d4|d5|d6)\b|^0f 01\b|^0f b9\b/;

function formsOf(...tables: string[]): Form[] {
  return parseForms(
    tables.flatMap((t) => t.trim().split("\n")).filter((line) =>
      !GONE.test(line)
    ).join("\n"),
  );
}

/** The groups of forms of 64-bit mode. */
export const GROUPS64: Readonly<Record<string, readonly Form[]>> = {
  integer: [...formsOf(INTEGER, LONG), ...parseForms(INVALID)],
  long: formsOf(LONG),
  strings: formsOf(STRINGS),
  x87: formsOf(X87),
  mmx: formsOf(MMX, "0f 6e /r | w\n0f 7e /r | w"),
  sse: formsOf(SSE, SSE_LONG),
  conversions: formsOf(SSE_LONG),
  sse4: formsOf(SSSE3_MMX, SSE4, CRYPTO),
  extensions: formsOf(EXTENSIONS),
  vex: formsOf(VEX, VEX_LONG),
};
