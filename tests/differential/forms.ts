/**
 * The instruction forms that the differential test generates, independent of
 * the frontend's own table: a second opinion on lengths and operands.
 *
 * A line is `encoding | attributes`. Encoding: hexadecimal opcode bytes, then
 *
 * - `/r` any ModRM, `/0`-`/7` ModRM with that reg field,
 * - `ib` `iw` `iz` an immediate of 1, 2, or 2/4 bytes by operand size,
 * - `+r` a register in the opcode's low bits, `+cc` a condition there,
 * - `vex.pp.map[.w0|.w1]` a VEX prefix in front of the opcode, `is4` a register
 *   in an immediate's upper half,
 * - `rel8` a short jump forward, `rz` a near one, `mo` a moffs address.
 *
 * Attributes:
 *
 * - `v` the operand size may be changed by 66h,
 * - `mem` or `reg`: only that kind of ModRM operand,
 * - `lock`: LOCK is legal with a memory destination,
 * - `w:` flags always written, `r:` flags read, `u:` flags left undefined
 *   (letters OSZAPC, `*` for all),
 * - `count`: shift count by immediate (`ib`), 1 or CL, with its own flag rules,
 * - `rep`: REP and REPNE may precede,
 * - `a16` an aligned 16-byte operand is expected (32 bytes with a VEX prefix),
 * - `h` VEX.vvvv is an operand; `l1` VEX.L is 1, `l` it is either; `vsib` the
 *   index is a vector register,
 * - `x`: ends the sequence when it does not fault.
 *
 * @module
 */

/** Integer instructions. INT1 is left out: hypervisors intercept it, and some report it as a fault. */
export const INTEGER = `
00 /r | lock w:*
01 /r | v lock w:*
02 /r | w:*
03 /r | v w:*
04 ib | w:*
05 iz | v w:*
08 /r | lock w:OSZPC u:A
09 /r | v lock w:OSZPC u:A
0a /r | w:OSZPC u:A
0b /r | v w:OSZPC u:A
0c ib | w:OSZPC u:A
0d iz | v w:OSZPC u:A
10 /r | lock r:C w:*
11 /r | v lock r:C w:*
12 /r | r:C w:*
13 /r | v r:C w:*
14 ib | r:C w:*
15 iz | v r:C w:*
18 /r | lock r:C w:*
19 /r | v lock r:C w:*
1a /r | r:C w:*
1b /r | v r:C w:*
1c ib | r:C w:*
1d iz | v r:C w:*
20 /r | lock w:OSZPC u:A
21 /r | v lock w:OSZPC u:A
22 /r | w:OSZPC u:A
23 /r | v w:OSZPC u:A
24 ib | w:OSZPC u:A
25 iz | v w:OSZPC u:A
27 | r:AC w:SZAPC u:O
28 /r | lock w:*
29 /r | v lock w:*
2a /r | w:*
2b /r | v w:*
2c ib | w:*
2d iz | v w:*
2f | r:AC w:SZAPC u:O
30 /r | lock w:OSZPC u:A
31 /r | v lock w:OSZPC u:A
32 /r | w:OSZPC u:A
33 /r | v w:OSZPC u:A
34 ib | w:OSZPC u:A
35 iz | v w:OSZPC u:A
37 | r:AC w:AC u:OSZP
38 /r | w:*
39 /r | v w:*
3a /r | w:*
3b /r | v w:*
3c ib | w:*
3d iz | v w:*
3f | r:AC w:AC u:OSZP
40 +r | v w:OSZAP
48 +r | v w:OSZAP
50 +r | v
58 +r | v
60 | v
61 | v
62 /r | v mem
68 iz | v
69 /r iz | v w:OC u:SZAP
6a ib | v
6b /r ib | v w:OC u:SZAP
6c |
6e |
70 +cc rel8 | r:*
80 /0 ib | lock w:*
80 /1 ib | lock w:OSZPC u:A
80 /2 ib | lock r:C w:*
80 /3 ib | lock r:C w:*
80 /4 ib | lock w:OSZPC u:A
80 /5 ib | lock w:*
80 /6 ib | lock w:OSZPC u:A
80 /7 ib | w:*
81 /0 iz | v lock w:*
81 /1 iz | v lock w:OSZPC u:A
81 /2 iz | v lock r:C w:*
81 /3 iz | v lock r:C w:*
81 /4 iz | v lock w:OSZPC u:A
81 /5 iz | v lock w:*
81 /6 iz | v lock w:OSZPC u:A
81 /7 iz | v w:*
82 /0 ib | lock w:*
82 /7 ib | w:*
83 /0 ib | v lock w:*
83 /1 ib | v lock w:OSZPC u:A
83 /2 ib | v lock r:C w:*
83 /3 ib | v lock r:C w:*
83 /4 ib | v lock w:OSZPC u:A
83 /5 ib | v lock w:*
83 /6 ib | v lock w:OSZPC u:A
83 /7 ib | v w:*
84 /r | w:OSZPC u:A
85 /r | v w:OSZPC u:A
86 /r | lock
87 /r | v lock
88 /r |
89 /r | v
8a /r |
8b /r | v
8c /r | v
8d /r | v mem
8f /0 | v
90 +r | v
98 | v
99 | v
9c | v r:*
9d | v w:*
9e | w:SZAPC
9f | r:SZAPC
a0 mo |
a1 mo | v
a2 mo |
a3 mo | v
a4 | rep
a5 | v rep
a6 | rep
a7 | v rep
a8 ib | w:OSZPC u:A
a9 iz | v w:OSZPC u:A
aa | rep
ab | v rep
ac | rep
ad | v rep
ae | rep
af | v rep
b0 +r ib |
b8 +r iz | v
c0 /0 ib | count
c0 /1 ib | count
c0 /2 ib | count r:C
c0 /3 ib | count r:C
c0 /4 ib | count
c0 /5 ib | count
c0 /6 ib | count
c0 /7 ib | count
c1 /0 ib | v count
c1 /1 ib | v count
c1 /2 ib | v count r:C
c1 /3 ib | v count r:C
c1 /4 ib | v count
c1 /5 ib | v count
c1 /6 ib | v count
c1 /7 ib | v count
d0 /0 | count
d0 /1 | count
d0 /2 | count r:C
d0 /3 | count r:C
d0 /4 | count
d0 /5 | count
d0 /7 | count
d1 /0 | v count
d1 /1 | v count
d1 /2 | v count r:C
d1 /3 | v count r:C
d1 /4 | v count
d1 /5 | v count
d1 /7 | v count
d2 /0 | count
d2 /1 | count
d2 /2 | count r:C
d2 /3 | count r:C
d2 /4 | count
d2 /5 | count
d2 /7 | count
d3 /0 | v count
d3 /1 | v count
d3 /2 | v count r:C
d3 /3 | v count r:C
d3 /4 | v count
d3 /5 | v count
d3 /7 | v count
c6 /0 ib |
c7 /0 iz | v
c8 iw ib | v
c9 | v
cc |
cd ib | x
ce | r:O
d4 ib | w:SZP u:OAC
d5 ib | w:SZP u:OAC
d6 | r:C
d7 |
e0 rel8 | r:Z
e1 rel8 | r:Z
e2 rel8 |
e3 rel8 |
e4 ib |
e6 ib |
e8 rz |
e9 rz |
eb rel8 |
ec |
ee |
f4 |
f5 | r:C w:C
f6 /0 ib | w:OSZPC u:A
f6 /1 ib | w:OSZPC u:A
f6 /2 | lock
f6 /3 | lock w:*
f6 /4 | w:OC u:SZAP
f6 /5 | w:OC u:SZAP
f6 /6 | u:*
f6 /7 | u:*
f7 /0 iz | v w:OSZPC u:A
f7 /1 iz | v w:OSZPC u:A
f7 /2 | v lock
f7 /3 | v lock w:*
f7 /4 | v w:OC u:SZAP
f7 /5 | v w:OC u:SZAP
f7 /6 | v u:*
f7 /7 | v u:*
f8 | w:C
f9 | w:C
fa |
fb |
fc |
fd |
fe /0 | lock w:OSZAP
fe /1 | lock w:OSZAP
ff /0 | v lock w:OSZAP
ff /1 | v lock w:OSZAP
ff /6 | v
0f 06 |
0f 08 |
0f 09 |
0f 0b |
0f 18 /0 | mem
0f 1f /0 | v
0f 20 /0 | reg
0f 30 |
0f 40 +cc /r | v r:*
0f 80 +cc rz | r:*
0f 90 +cc /0 | r:*
0f a3 /r | v w:C u:OSAP bitmem
0f a4 /r ib | v count
0f a5 /r | v count
0f ab /r | v lock w:C u:OSAP bitmem
0f ac /r ib | v count
0f ad /r | v count
0f af /r | v w:OC u:SZAP
0f b0 /r | lock w:*
0f b1 /r | v lock w:*
0f b3 /r | v lock w:C u:OSAP bitmem
0f b6 /r | v
0f b7 /r | v
0f b9 /r |
0f ba /4 ib | v w:C u:OSAP
0f ba /5 ib | v lock w:C u:OSAP
0f ba /6 ib | v lock w:C u:OSAP
0f ba /7 ib | v lock w:C u:OSAP
0f bb /r | v lock w:C u:OSAP bitmem
0f bc /r | v w:Z u:OSAPC
0f bd /r | v w:Z u:OSAPC
0f be /r | v
0f bf /r | v
0f c0 /r | lock w:*
0f c1 /r | v lock w:*
0f c3 /r | mem
0f c7 /1 | mem lock w:Z
0f c8 +r |
`;

/** x87 instructions: whole opcode rows; excluded: what stores pointers, and transcendental functions. */
export const X87 = `
d8 /0 | fp
d8 /1 | fp
d8 /2 | fp
d8 /3 | fp
d8 /4 | fp
d8 /5 | fp
d8 /6 | fp
d8 /7 | fp
d9 /0 | fp
d9 /2 | fp mem
d9 d0 | fp
d9 /3 | fp mem
d9 /1 | fp reg
d9 /5 | mem
d9 /7 | mem
d9 e0 | fp
d9 e1 | fp
d9 e4 | fp
d9 e5 | fp
d9 e8 | fp
d9 e9 | fp
d9 ea | fp
d9 eb | fp
d9 ec | fp
d9 ed | fp
d9 ee | fp
d9 f4 | fp
d9 f5 | fp
d9 f6 | fp
d9 f7 | fp
d9 f8 | fp
d9 fa | fp
d9 fc | fp
d9 fd | fp
da /0 | fp mem
da /1 | fp mem
da /2 | fp mem
da /3 | fp mem
da /0 | fp reg r:C
da /1 | fp reg r:Z
da /2 | fp reg r:CZ
da /3 | fp reg r:P
da /4 | fp mem
da /5 | fp mem
da /6 | fp mem
da /7 | fp mem
da e9 | fp
db /0 | fp mem
db /1 | fp mem
db /2 | fp mem
db /3 | fp mem
db /5 | fp mem
db /7 | fp mem
db /0 | fp reg r:C
db /1 | fp reg r:Z
db /2 | fp reg r:CZ
db /3 | fp reg r:P
db e2 | fp
db e3 |
db /5 | fp reg w:*
db /6 | fp reg w:*
dc /0 | fp
dc /1 | fp
dc /2 | fp mem
dc /3 | fp mem
dc /4 | fp
dc /5 | fp
dc /6 | fp
dc /7 | fp
dd /0 | fp
dd /1 | fp mem
dd /2 | fp
dd /3 | fp
dd /4 | fp reg
dd /5 | fp reg
dd /7 | mem
de /0 | fp
de /1 | fp
de /2 | fp mem
de /3 | fp mem
de d9 | fp
de /4 | fp
de /5 | fp
de /6 | fp
de /7 | fp
df /0 | fp mem
df /1 | fp mem
df /2 | fp mem
df /3 | fp mem
df /4 | fp mem
df /5 | fp mem
df /6 | fp mem
df /7 | fp mem
df e0 |
df /5 | fp reg w:*
df /6 | fp reg w:*
9b |
`;

/** MMX instructions. */
export const MMX = `
0f 60 /r |
0f 61 /r |
0f 62 /r |
0f 63 /r |
0f 64 /r |
0f 65 /r |
0f 66 /r |
0f 67 /r |
0f 68 /r |
0f 69 /r |
0f 6a /r |
0f 6b /r |
0f 6e /r |
0f 6f /r |
0f 70 /r ib |
0f 71 /2 ib | reg
0f 71 /4 ib | reg
0f 71 /6 ib | reg
0f 72 /2 ib | reg
0f 72 /4 ib | reg
0f 72 /6 ib | reg
0f 73 /2 ib | reg
0f 73 /6 ib | reg
0f 74 /r |
0f 75 /r |
0f 76 /r |
0f 77 |
0f 7e /r |
0f 7f /r |
0f c4 /r ib |
0f c5 /r ib | reg
0f d1 /r |
0f d2 /r |
0f d3 /r |
0f d4 /r |
0f d5 /r |
0f d7 /r | reg
0f d8 /r |
0f d9 /r |
0f da /r |
0f db /r |
0f dc /r |
0f dd /r |
0f de /r |
0f df /r |
0f e0 /r |
0f e1 /r |
0f e2 /r |
0f e3 /r |
0f e4 /r |
0f e5 /r |
0f e7 /r | mem
0f e8 /r |
0f e9 /r |
0f ea /r |
0f eb /r |
0f ec /r |
0f ed /r |
0f ee /r |
0f ef /r |
0f f1 /r |
0f f2 /r |
0f f3 /r |
0f f4 /r |
0f f5 /r |
0f f6 /r |
0f f7 /r | reg
0f f8 /r |
0f f9 /r |
0f fa /r |
0f fb /r |
0f fc /r |
0f fd /r |
0f fe /r |
`;

/** SSE to SSE3; reciprocal approximations are left out (they differ by maker). */
export const SSE = `
0f 10 /r |
66 0f 10 /r |
f3 0f 10 /r |
f2 0f 10 /r |
0f 11 /r |
66 0f 11 /r |
f3 0f 11 /r |
f2 0f 11 /r |
0f 12 /r |
66 0f 12 /r | mem
f3 0f 12 /r | a16
f2 0f 12 /r |
0f 13 /r | mem
66 0f 13 /r | mem
0f 14 /r | a16
66 0f 14 /r | a16
0f 15 /r | a16
66 0f 15 /r | a16
0f 16 /r |
66 0f 16 /r | mem
f3 0f 16 /r | a16
0f 17 /r | mem
66 0f 17 /r | mem
0f 28 /r | a16
66 0f 28 /r | a16
0f 29 /r | a16
66 0f 29 /r | a16
0f 2a /r |
66 0f 2a /r |
f3 0f 2a /r |
f2 0f 2a /r |
0f 2b /r | a16 mem
66 0f 2b /r | a16 mem
0f 2c /r |
66 0f 2c /r | a16
f3 0f 2c /r |
f2 0f 2c /r |
0f 2d /r |
66 0f 2d /r | a16
f3 0f 2d /r |
f2 0f 2d /r |
0f 2e /r | w:*
66 0f 2e /r | w:*
0f 2f /r | w:*
66 0f 2f /r | w:*
0f 50 /r | reg
66 0f 50 /r | reg
0f 51 /r | a16
66 0f 51 /r | a16
f3 0f 51 /r |
f2 0f 51 /r |
0f 54 /r | a16
66 0f 54 /r | a16
0f 55 /r | a16
66 0f 55 /r | a16
0f 56 /r | a16
66 0f 56 /r | a16
0f 57 /r | a16
66 0f 57 /r | a16
0f 58 /r | a16
66 0f 58 /r | a16
f3 0f 58 /r |
f2 0f 58 /r |
0f 59 /r | a16
66 0f 59 /r | a16
f3 0f 59 /r |
f2 0f 59 /r |
0f 5a /r |
66 0f 5a /r | a16
f3 0f 5a /r |
f2 0f 5a /r |
0f 5b /r | a16
66 0f 5b /r | a16
f3 0f 5b /r | a16
0f 5c /r | a16
66 0f 5c /r | a16
f3 0f 5c /r |
f2 0f 5c /r |
0f 5d /r | a16
66 0f 5d /r | a16
f3 0f 5d /r |
f2 0f 5d /r |
0f 5e /r | a16
66 0f 5e /r | a16
f3 0f 5e /r |
f2 0f 5e /r |
0f 5f /r | a16
66 0f 5f /r | a16
f3 0f 5f /r |
f2 0f 5f /r |
66 0f 60 /r | a16
66 0f 61 /r | a16
66 0f 62 /r | a16
66 0f 63 /r | a16
66 0f 64 /r | a16
66 0f 65 /r | a16
66 0f 66 /r | a16
66 0f 67 /r | a16
66 0f 68 /r | a16
66 0f 69 /r | a16
66 0f 6a /r | a16
66 0f 6b /r | a16
66 0f 6c /r | a16
66 0f 6d /r | a16
66 0f 6e /r |
66 0f 6f /r | a16
f3 0f 6f /r |
66 0f 70 /r ib | a16
f3 0f 70 /r ib | a16
f2 0f 70 /r ib | a16
66 0f 71 /2 ib | reg
66 0f 71 /4 ib | reg
66 0f 71 /6 ib | reg
66 0f 72 /2 ib | reg
66 0f 72 /4 ib | reg
66 0f 72 /6 ib | reg
66 0f 73 /2 ib | reg
66 0f 73 /3 ib | reg
66 0f 73 /6 ib | reg
66 0f 73 /7 ib | reg
66 0f 74 /r | a16
66 0f 75 /r | a16
66 0f 76 /r | a16
66 0f 7c /r | a16
f2 0f 7c /r | a16
66 0f 7d /r | a16
f2 0f 7d /r | a16
66 0f 7e /r |
f3 0f 7e /r |
66 0f 7f /r | a16
f3 0f 7f /r |
0f ae /2 | mem
0f ae /3 | mem
0f ae e8 |
0f ae f0 |
0f ae f8 |
0f c2 /r ib | a16
66 0f c2 /r ib | a16
f3 0f c2 /r ib |
f2 0f c2 /r ib |
66 0f c4 /r ib |
66 0f c5 /r ib | reg
0f c6 /r ib | a16
66 0f c6 /r ib | a16
66 0f d0 /r | a16
f2 0f d0 /r | a16
66 0f d1 /r | a16
66 0f d2 /r | a16
66 0f d3 /r | a16
66 0f d4 /r | a16
66 0f d5 /r | a16
66 0f d6 /r |
f3 0f d6 /r | reg
f2 0f d6 /r | reg
66 0f d7 /r | reg
66 0f d8 /r | a16
66 0f d9 /r | a16
66 0f da /r | a16
66 0f db /r | a16
66 0f dc /r | a16
66 0f dd /r | a16
66 0f de /r | a16
66 0f df /r | a16
66 0f e0 /r | a16
66 0f e1 /r | a16
66 0f e2 /r | a16
66 0f e3 /r | a16
66 0f e4 /r | a16
66 0f e5 /r | a16
66 0f e6 /r | a16
f3 0f e6 /r |
f2 0f e6 /r | a16
66 0f e7 /r | a16 mem
66 0f e8 /r | a16
66 0f e9 /r | a16
66 0f ea /r | a16
66 0f eb /r | a16
66 0f ec /r | a16
66 0f ed /r | a16
66 0f ee /r | a16
66 0f ef /r | a16
f2 0f f0 /r | mem
66 0f f1 /r | a16
66 0f f2 /r | a16
66 0f f3 /r | a16
66 0f f4 /r | a16
66 0f f5 /r | a16
66 0f f6 /r | a16
66 0f f7 /r | reg
66 0f f8 /r | a16
66 0f f9 /r | a16
66 0f fa /r | a16
66 0f fb /r | a16
66 0f fc /r | a16
66 0f fd /r | a16
66 0f fe /r | a16
`;

/** What a VEX prefix says. */
export interface VexForm {
  /** The opcode map: 1 `0F`, 2 `0F 38`, 3 `0F 3A`. */
  readonly map: number;
  /** VEX.pp. */
  readonly pp: number;
  /** VEX.W; -1: either. */
  readonly wide: number;
}

/** A form, parsed. */
export interface Form {
  /** The encoding as written, to name the form. */
  readonly text: string;
  /** Mandatory prefix and opcode bytes (a fixed second byte of x87 included). */
  readonly opcode: readonly number[];
  /** Its VEX prefix, if it has one. */
  readonly vex?: VexForm;
  /** Reg field of ModRM, -1 for any; undefined: no ModRM. */
  readonly modrm?: number;
  /** Immediates and displacements that follow, in order. */
  readonly tail: readonly string[];
  /** `+r`: 8, `+cc`: 16, else 1: how many values the last opcode byte takes. */
  readonly spread: number;
  /** Attributes without a value. */
  readonly attributes: ReadonlySet<string>;
  /** Flags that it reads. */
  readonly reads: number;
  /** Flags that it always writes. */
  readonly writes: number;
  /** Flags that it leaves undefined. */
  readonly undefined: number;
}

const FLAG_BITS: Record<string, number> = {
  C: 1,
  P: 4,
  A: 0x10,
  Z: 0x40,
  S: 0x80,
  O: 0x800,
  "*": 0x8d5,
};
/** CF, PF, AF, ZF, SF and OF. */
export const ARITHMETIC_FLAGS = 0x8d5;

function flags(attributes: string[], key: string): number {
  let bits = 0;
  for (const a of attributes) {
    if (a.startsWith(key)) {
      for (const letter of a.slice(key.length)) bits |= FLAG_BITS[letter];
    }
  }
  return bits;
}

/** Parses one of the tables. */
export function parseForms(table: string): Form[] {
  return table.trim().split("\n").map((line) => {
    const [text, rest] = line.split("|").map((s) => s.trim());
    const attributes = rest.split(" ").filter((s) => s !== "");
    const opcode: number[] = [];
    const tail: string[] = [];
    let modrm: number | undefined;
    let vex: VexForm | undefined;
    let spread = 1;
    for (const token of text.split(" ")) {
      if (/^[0-9a-f]{2}$/.test(token)) opcode.push(parseInt(token, 16));
      else if (token.startsWith("vex.")) {
        const [, pp, map, w] = token.split(".");
        vex = {
          pp: ["np", "66", "f3", "f2"].indexOf(pp),
          map: ["0f", "0f38", "0f3a"].indexOf(map) + 1,
          wide: w === "w0" ? 0 : w === "w1" ? 1 : -1,
        };
      } else if (token === "/r") modrm = -1;
      else if (token[0] === "/") modrm = Number(token[1]);
      else if (token === "+r") spread = 8;
      else if (token === "+cc") spread = 16;
      else tail.push(token);
    }
    return {
      text,
      opcode,
      vex,
      modrm,
      tail,
      spread,
      attributes: new Set(attributes.filter((a) => !a.includes(":"))),
      reads: flags(attributes, "r:"),
      writes: flags(attributes, "w:"),
      undefined: flags(attributes, "u:"),
    };
  });
}
