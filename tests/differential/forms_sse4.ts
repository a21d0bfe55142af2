/**
 * The forms of forms.ts for instructions since SSSE3, in the same notation.
 *
 * @module
 */

/** SSSE3 on MMX registers. */
export const SSSE3_MMX = `
0f 38 00 /r |
0f 38 01 /r |
0f 38 02 /r |
0f 38 03 /r |
0f 38 04 /r |
0f 38 05 /r |
0f 38 06 /r |
0f 38 07 /r |
0f 38 08 /r |
0f 38 09 /r |
0f 38 0a /r |
0f 38 0b /r |
0f 38 1c /r |
0f 38 1d /r |
0f 38 1e /r |
0f 3a 0f /r ib |
`;

/** SSSE3 to SSE4.2 on XMM registers. */
export const SSE4 = `
66 0f 38 00 /r | a16
66 0f 38 01 /r | a16
66 0f 38 02 /r | a16
66 0f 38 03 /r | a16
66 0f 38 04 /r | a16
66 0f 38 05 /r | a16
66 0f 38 06 /r | a16
66 0f 38 07 /r | a16
66 0f 38 08 /r | a16
66 0f 38 09 /r | a16
66 0f 38 0a /r | a16
66 0f 38 0b /r | a16
66 0f 38 1c /r | a16
66 0f 38 1d /r | a16
66 0f 38 1e /r | a16
66 0f 3a 0f /r ib | a16
66 0f 38 10 /r | a16
66 0f 38 14 /r | a16
66 0f 38 15 /r | a16
66 0f 38 17 /r | a16 w:*
66 0f 38 20 /r |
66 0f 38 21 /r |
66 0f 38 22 /r |
66 0f 38 23 /r |
66 0f 38 24 /r |
66 0f 38 25 /r |
66 0f 38 30 /r |
66 0f 38 31 /r |
66 0f 38 32 /r |
66 0f 38 33 /r |
66 0f 38 34 /r |
66 0f 38 35 /r |
66 0f 38 28 /r | a16
66 0f 38 29 /r | a16
66 0f 38 2a /r | a16 mem
66 0f 38 2b /r | a16
66 0f 38 37 /r | a16
66 0f 38 38 /r | a16
66 0f 38 39 /r | a16
66 0f 38 3a /r | a16
66 0f 38 3b /r | a16
66 0f 38 3c /r | a16
66 0f 38 3d /r | a16
66 0f 38 3e /r | a16
66 0f 38 3f /r | a16
66 0f 38 40 /r | a16
66 0f 38 41 /r | a16
66 0f 3a 08 /r ib | a16
66 0f 3a 09 /r ib | a16
66 0f 3a 0a /r ib |
66 0f 3a 0b /r ib |
66 0f 3a 0c /r ib | a16
66 0f 3a 0d /r ib | a16
66 0f 3a 0e /r ib | a16
66 0f 3a 14 /r ib |
66 0f 3a 15 /r ib |
66 0f 3a 16 /r ib |
66 0f 3a 17 /r ib |
66 0f 3a 20 /r ib |
66 0f 3a 21 /r ib |
66 0f 3a 22 /r ib |
66 0f 3a 40 /r ib | a16
66 0f 3a 41 /r ib | a16
66 0f 3a 42 /r ib | a16
66 0f 3a 60 /r ib | w:*
66 0f 3a 61 /r ib | w:*
66 0f 3a 62 /r ib | w:*
66 0f 3a 63 /r ib | w:*
`;

/** AES, PCLMULQDQ and SHA. */
export const CRYPTO = `
66 0f 3a 44 /r ib | a16
66 0f 3a df /r ib | a16
66 0f 38 db /r | a16
66 0f 38 dc /r | a16
66 0f 38 dd /r | a16
66 0f 38 de /r | a16
66 0f 38 df /r | a16
0f 3a cc /r ib |
0f 38 c8 /r |
0f 38 c9 /r |
0f 38 ca /r |
0f 38 cb /r |
0f 38 cc /r |
0f 38 cd /r |
`;

/** On general registers: counts of bits, CRC32, MOVBE, ADX; and what only touches memory. */
export const EXTENSIONS = `
f3 0f b8 /r | v w:*
f3 0f bc /r | v w:ZC u:OSAP
f3 0f bd /r | v w:ZC u:OSAP
f2 0f 38 f0 /r |
f2 0f 38 f1 /r | v
0f 38 f0 /r | v mem
0f 38 f1 /r | v mem
66 0f 38 f6 /r | r:C w:C
f3 0f 38 f6 /r | r:O w:O
0f 0d /0 | mem
0f 0d /1 | mem
66 0f ae /6 | mem
66 0f ae /7 | mem
0f ae /7 | mem
f3 90 |
`;
