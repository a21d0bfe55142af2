/**
 * Which opcodes behind a VEX prefix raise #UD, by prefix, W, L, VEX.vvvv and
 * kind of operand, and which prefixes may stand before it: as on the host, but
 * for what the host alone has.
 */

import { assertEquals } from "@std/assert";
import { placeCode } from "./generate.ts";
import { Oracle } from "./oracle.ts";
import { casesFrom, Prng, seedFrom } from "./prng.ts";
import { CaseRecord, DATA } from "./record.ts";
import { RheaSubject } from "./rhea.ts";

const directory = await Deno.makeTempDir();
const oracle = await Oracle.build(directory);
if (typeof oracle === "string") {
  console.log(`undefined VEX opcodes: skipped, ${oracle}`);
}

/** What newer hosts have and the model has not, by map, pp and opcode. */
const NEWER: readonly [RegExp, string][] = [
  [/^0f [0-3] (4[1-7ab]|9[0-3]|9[89])/, "AVX-512 mask registers"],
  [/^0f3a 1 3[0-3]/, "AVX-512 mask registers"],
  [/^0f38 1 cf|^0f3a 1 c[ef]/, "GFNI"],
  [/^0f38 1 d[c-f]|^0f3a 1 44/, "VAES, VPCLMULQDQ"],
  [/^0f38 1 5[0-3]/, "AVX-VNNI"],
  [/^0f38 [0-3] (5[0-3]|d[23])/, "AVX-VNNI-INT"],
  [/^0f38 1 b[45]/, "AVX-IFMA"],
  [/^0f38 [0-3] (b[01]|72)/, "AVX-NE-CONVERT"],
  [/^0f38 [0-3] (49|4b|5c|5e)/, "AMX"],
  [/^0f38 [0-3] (c[b-d]|da)|^0f3a 3 de/, "SHA512, SM3, SM4"],
  // The manual wants W to be 1, and so does QEMU; Zen 4 does not.
  [/^0f3a 1 0[01]: c4 e3 7d/, "VPERMQ, VPERMPD without W"],
];

interface Case {
  readonly name: string;
  readonly record: CaseRecord;
}

function make(name: string, bytes: number[]): Case {
  const record = new CaseRecord();
  for (let n = 0; n < 8; n++) record.setGpr(n, DATA + 0x800);
  const piece = { bytes, form: name, undefinedBefore: 0, undefinedAfter: 0 };
  placeCode(record, [piece], 0);
  const hex = bytes.map((x) => x.toString(16).padStart(2, "0")).join(" ");
  return { name: `${name}: ${hex}`, record };
}

const MAPS = ["", "0f", "0f38", "0f3a"];

function* opcodes(): Generator<Case> {
  for (let n = 0; n < 3 * 256 * 4 * 4 * 4; n++) {
    const map = 1 + Math.floor(n / (256 * 64)), opcode = n >> 6 & 255;
    const pp = n & 3, w = n >> 2 & 1, l = n >> 3 & 1;
    const named = (n >> 4 & 1) !== 0, memory = (n >> 5 & 1) !== 0;
    const vvvv = named ? 5 : 0;
    const code = opcode.toString(16).padStart(2, "0");
    // [EBX+...], aligned; a register for all that have a group in reg.
    const operand = memory ? [0x1b | 0x10] : [0xd1];
    yield make(`${MAPS[map]} ${pp} ${code}`, [
      0xc4,
      0xe0 | map,
      w << 7 | (~vvvv & 15) << 3 | l << 2 | pp,
      opcode,
      ...operand,
    ]);
  }
}

/** The prefix itself: what stands before it, and its fields that 32-bit code has no use for. */
function* prefixes(): Generator<Case> {
  for (const before of [[], [0x66], [0xf2], [0xf3], [0xf0], [0x64], [0x3e]]) {
    yield make("VADDPS", [...before, 0xc5, 0xe8, 0x58, 0xd9]);
    yield make("ANDN", [...before, 0xc4, 0xe2, 0x68, 0xf2, 0xd9]);
  }
  for (let map = 0; map < 32; map++) {
    yield make("map", [0xc4, 0xe0 | map, 0x68, 0x58, 0xd9, 0]);
  }
  yield make("VEX.B", [0xc4, 0xc1, 0x68, 0x58, 0xd9]);
  yield make("VEX.vvvv bit 3", [0xc4, 0xe1, 0x28, 0x58, 0xd9]);
  yield make("no VEX.vvvv, bit 3 clear", [0xc4, 0xe1, 0x38, 0x28, 0xd9]);
  yield make("bit 7 of a register immediate", [
    ...[0xc4, 0xe3, 0x69, 0x4a, 0xd9],
    0xd0,
  ]);
}

async function compare(cases: readonly Case[]): Promise<string[]> {
  const expected = await (oracle as Oracle).run(cases.map((c) => c.record));
  const subject = new RheaSubject("interp");
  const wrong: string[] = [];
  cases.forEach(({ name, record }, n) => {
    const found = subject.run(record), host = expected[n];
    const isUd = found.vector === 6, hostUd = host.vector === 6;
    if (isUd === hostUd && found.eip === host.eip) return;
    if (isUd && NEWER.some(([pattern]) => pattern.test(name))) return;
    wrong.push(
      `${name}: ${host.vector} at ${host.eip.toString(16)} on the host, ` +
        `${found.vector} at ${found.eip.toString(16)} here`,
    );
  });
  return wrong;
}

Deno.test({
  name: "undefined opcodes behind a VEX prefix are those of the host",
  ignore: typeof oracle === "string",
  fn: async () => {
    const all = [...opcodes()];
    const p = new Prng(seedFrom(1));
    const count = Math.min(casesFrom(6000), all.length);
    const chosen = count === all.length
      ? all
      : Array.from({ length: count }, () => p.pick(all));
    assertEquals(await compare(chosen), []);
  },
});

Deno.test({
  name: "a VEX prefix is taken as the host takes it",
  ignore: typeof oracle === "string",
  fn: async () => assertEquals(await compare([...prefixes()]), []),
});

Deno.test({
  name: "remove the oracle",
  fn: () => Deno.removeSync(directory, { recursive: true }),
});
