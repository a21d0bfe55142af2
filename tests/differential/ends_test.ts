/**
 * Memory operands at the end of the addresses, on the host CPU and in Rhea: of
 * the canonical ones in 64-bit mode, of 4 GiB in 32-bit code. There the check of
 * the end comes before what the page tables say. Every form with an operand in
 * memory, that many bytes before the end, string instructions with each operand
 * somewhere else, and the stack.
 */

import { assert, assertEquals } from "@std/assert";
import { type Form, parseForms } from "./forms.ts";
import { GROUPS64 } from "./forms64.ts";
import { GROUPS, placeCode } from "./generate.ts";
import { place64 } from "./generate64.ts";
import { endsApart, isIntel } from "./host_cpu.ts";
import { Oracle } from "./oracle.ts";
import { CaseRecord, DATA } from "./record.ts";
import { CaseRecord64 } from "./record64.ts";
import { RheaSubject } from "./rhea.ts";
import { RheaSubject64 } from "./rhea64.ts";

const EAX = 0, ECX = 1, EDX = 2, EBX = 3, ESP = 4, EBP = 5, ESI = 6, EDI = 7;
/** How far before the end operands begin. */
const DISTANCES = [1, 2, 3, 7, 8, 9, 15, 16, 31, 32, 64];
/** Cases that the compiler runs as well: each so many. */
const COMPILED = 29;
/** Differences that are reported. */
const REPORTED = 20;

/** Instructions that the random tests do not have, for an operand at EBX. */
const MORE = parseForms(`
db /5 |
d9 /4 | v
d9 /6 | v
dd /4 | v
dd /6 | v
df /4 |
df /6 |
0f ae /0 |
0f ae /1 |
0f ae /4 |
0f ae /5 |
0f b2 /r | v
0f b4 /r | v
ff /2 |
ff /3 | v
ff /4 |
ff /5 | v
8e /3 |
0f 00 /4 |
`);

/** A case: its code and what is not in a register by default. */
interface End {
  readonly name: string;
  readonly code: readonly number[];
  readonly registers: readonly (readonly [number, bigint])[];
  /** A byte for each double word of XMM2 or YMM2 that masks; all are 1 when absent. */
  readonly mask?: readonly number[];
}

/** The encodings of a form with the operand at [EBX]; the register operand is ECX. */
function encodings(form: Form, isLong: boolean): number[][] {
  const { attributes: has, vex } = form;
  if (form.modrm === undefined || has.has("reg") || has.has("vsib")) return [];
  const modrm = (form.modrm < 0 ? ECX : form.modrm) << 3 | EBX;
  const tail = (wordBytes: number): number[] =>
    form.tail.flatMap((t) =>
      Array<number>(t === "iz" ? wordBytes : t === "iw" ? 2 : 1).fill(0)
    );
  if (vex !== undefined) {
    const lengths = has.has("l1") ? [4] : has.has("l") ? [0, 4] : [0];
    const v = has.has("h") ? EDX : 0;
    const last = Math.max(vex.wide, 0) << 7 | (~v & 15) << 3 | vex.pp;
    return lengths.map((l) => [
      ...[0xc4, 0xe0 | vex.map, last | l],
      ...[...form.opcode, modrm, ...tail(4)],
    ]);
  }
  const [first, ...rest] = form.opcode;
  const isPrefix = rest.length > 0 && [0x66, 0xf2, 0xf3].includes(first);
  const mandatory = isPrefix ? [first] : [];
  const opcode = isPrefix ? rest : form.opcode;
  const out = [[...mandatory, ...opcode, modrm, ...tail(4)]];
  if (!has.has("v")) return out;
  out.push([0x66, ...opcode, modrm, ...tail(2)]);
  if (isLong) out.push([0x48, ...opcode, modrm, ...tail(4)]);
  return out;
}

function* operands(isLong: boolean, end: bigint): Generator<End> {
  const known = new Map<string, Form>();
  const groups = Object.values(isLong ? GROUPS64 : GROUPS);
  for (const form of [...groups.flat(), ...MORE]) known.set(form.text, form);
  for (const form of known.values()) {
    // AMD's far pointers have no offset of 64 bits.
    const isFar = /^(0f b[245]|ff .[35])/.test(form.text);
    for (const code of encodings(form, isLong && !isFar)) {
      for (const distance of DISTANCES) {
        yield {
          name: `${form.text} at the end - ${distance}`,
          code,
          registers: [[EBX, end - BigInt(distance)]],
        };
      }
    }
  }
}

const STRINGS = [
  ...[[0xa4], [0x66, 0xa5], [0xa5], [0xa6], [0x66, 0xa7], [0xa7]],
  ...[[0xad], [0xab], [0xaf], [0x48, 0xa5], [0x48, 0xa7], [0xac], [0xae]],
];
const STACK = [
  ...[[0xff, 0x33], [0x8f, 0x03], [0xff, 0x13], [0x53], [0x5b], [0xc3], [0xc9]],
  ...[[0xc8, 0, 0, 0], [0xc8, 0, 0, 1], [0xc8, 0, 0, 2], [0x9c], [0x9d]],
  ...[[0xc2, 4, 0], [0xe8, 0, 0, 0, 0], [0x0f, 0xa0], [0x01, 0x04, 0x24]],
  ...[[0x01, 0x45, 0], [0xff, 0x34, 0x24], [0x8f, 0x04, 0x24]],
  ...[[0x66, 0x0f, 0xf7, 0xc1], [0x0f, 0xf7, 0xc1]],
];
const STACK32 = [[0x60], [0x61], [0x06], [0x07]];

function* pairs(isLong: boolean, end: bigint): Generator<End> {
  const places: [string, bigint][] = [
    ["data", BigInt(DATA + 0x800)],
    ["no page", 0x30000000n],
    ["the end - 1", end - 1n],
    ["the end - 3", end - 3n],
    ["-1", -1n],
  ];
  if (isLong) places.push(["no address", 1n << 60n]);
  if (isLong) places.push(["the supervisor's", -0x100000n]);
  const above = [2, 4, 8, -5, -9, -17].map((x): [string, bigint] => [
    `the end + ${x}`,
    end + BigInt(x),
  ]);
  // A REX prefix is no instruction of 64-bit mode.
  const strings = isLong ? STRINGS : STRINGS.filter(([x]) => x !== 0x48);
  for (const prefix of [[], [0xf3], [0xf2]]) {
    for (const code of strings) {
      for (const [si, source] of places) {
        for (const [di, target] of places) {
          yield {
            name: `ESI: ${si}, EDI: ${di}`,
            code: [...prefix, ...code],
            registers: [[ECX, 3n], [ESI, source], [EDI, target]],
          };
        }
      }
    }
  }
  for (const code of isLong ? STACK : [...STACK, ...STACK32]) {
    for (const [bx, operand] of places) {
      for (const [sp, stack] of [...places, ...above]) {
        yield {
          name: `EBX: ${bx}, ESP, EBP and EDI: ${sp}`,
          code,
          registers: [
            ...[[EBX, operand], [ESP, stack], [EBP, stack]] as const,
            [EDI, stack],
          ],
        };
      }
    }
  }
}

/** VMASKMOVPS and its kin, with each lane alone, two of them, and none. */
function* masked(end: bigint): Generator<End> {
  const moves = [[0x2c, 0], [0x2d, 0], [0x2e, 0], [0x2f, 0]];
  moves.push([0x8c, 0], [0x8c, 0x80], [0x8e, 0], [0x8e, 0x80]);
  for (const [opcode, w] of moves) {
    for (const l of [0, 4]) {
      const size = 16 << l / 4;
      for (let distance = 1; distance <= size; distance += 3) {
        for (let one = 0; one <= size / 4; one++) {
          const other = (one + distance) % (size / 4);
          const mask = Array.from(
            { length: 8 },
            (_, n) => n === one - 1 || n === other && one % 2 === 0 ? 0xff : 0,
          );
          yield {
            name: `lanes ${mask.map((x) => x & 1).join("")}, -${distance}`,
            code: [0xc4, 0xe2, w | 0x69 | l, opcode, ECX << 3 | EBX],
            registers: [[EBX, end - BigInt(distance)]],
            mask,
          };
        }
      }
    }
  }
}

/** What a record of either mode can do. */
type Record = CaseRecord | CaseRecord64;

function recordOf({ code, registers, mask }: End, isLong: boolean): Record {
  const r = isLong ? new CaseRecord64() : new CaseRecord();
  const set = (n: number, v: bigint): void => {
    if (r instanceof CaseRecord64) r.setGpr(n, BigInt.asUintN(64, v));
    else r.setGpr(n, Number(BigInt.asUintN(32, v)));
  };
  for (let n = 0; n < (isLong ? 16 : 8); n++) set(n, BigInt(DATA + 0x800));
  for (const n of [ECX, EDX]) set(n, 0n);
  set(EAX, 7n);
  for (const [n, v] of registers) set(n, v);
  for (let n = 0; n < 8; n++) {
    r.xmm(n).fill(0xff); // masks
    r.ymmh(n).fill(0xff);
  }
  mask?.forEach((byte, n) => {
    const half = n < 4 ? r.xmm(2) : r.ymmh(2);
    half.fill(byte, 4 * (n & 3), 4 * (n & 3) + 4);
  });
  const piece = {
    bytes: code,
    form: "",
    undefinedBefore: 0,
    undefinedAfter: 0,
  };
  if (r instanceof CaseRecord64) place64(r, [piece], 0);
  else placeCode(r, [piece], 0);
  return r;
}

/**
 * What CPUs of Intel look at otherwise, each with the code of its cases: which
 * operand of CMPS comes first; which bytes of MASKMOVQ and MASKMOVDQU, and of
 * masked moves, are looked at; that MOVSXD with 66 reads 16 bits (AMD's reads
 * 32); which byte of XSAVE's area is told.
 */
const OTHERWISE = [
  /^(f[23] )?(66 |48 )?a[67]$/,
  /^(66 )?0f f7 /,
  /^c4 e2 .. (2[c-f]|8[ce]) /,
  /^66 63 /,
  /^0f ae 2[3b]$/,
];

/** Whether the host is Intel's, and the two differ for a reason that is the maker's. */
function isOfMaker(code: string, host: Record, here: Record): boolean {
  const isFault = [host, here].every((r) => [12, 13, 14].includes(r.vector));
  if (isIntel && isFault && OTHERWISE.some((x) => x.test(code))) return true;
  const ending = ({ vector, address }: Record) => ({
    vector,
    address,
    form: `${code} `,
  });
  return endsApart(ending(host), ending(here));
}

/** The exception, and where a page fault was. */
function outcome({ vector, address }: Record): string {
  return vector === 14 ? `14 at ${address.toString(16)}` : `${vector}`;
}

const directory = await Deno.makeTempDir();

for (const isLong of [false, true]) {
  const oracle = isLong
    ? await Oracle.build64(directory)
    : await Oracle.build(directory);
  if (typeof oracle === "string") console.log(`skipped: ${oracle}`);
  Deno.test({
    name: `operands at the end of addresses, ${isLong ? 64 : 32} bits`,
    ignore: typeof oracle === "string",
    fn: async () => {
      const end = isLong ? 1n << 47n : 1n << 32n;
      const cases = [
        ...[...operands(isLong, end), ...pairs(isLong, end)],
        ...masked(end),
      ];
      const records = cases.map((c) => recordOf(c, isLong));
      const expected = await (oracle as Oracle<Record>).run(records);
      const wrong: string[] = [];
      for (const [accel, each] of [["interp", 1], ["jit", COMPILED]] as const) {
        const subject = (isLong
          ? new RheaSubject64(accel, 1)
          : new RheaSubject(accel, 1)) as { run(r: Record): Record };
        for (let n = 0; n < cases.length; n += each) {
          const result = subject.run(records[n]);
          const here = outcome(result);
          const host = outcome(expected[n]);
          if (here === host) {
            continue;
          }
          const { name, code } = cases[n];
          const bytes = code.map((x) =>
            x.toString(16).padStart(2, "0")
          )
            .join(" ");
          if (isOfMaker(bytes, expected[n], result)) continue;
          wrong.push(
            `${accel}, ${name}: ${bytes}: the host ${host}, here ${here}`,
          );
        }
      }
      assert(cases.length > 10_000);
      assertEquals(wrong.slice(0, REPORTED), [], `${wrong.length} differ`);
    },
  });
}

Deno.test({
  name: "remove the oracles",
  fn: () => Deno.removeSync(directory, { recursive: true }),
});
