/**
 * The instructions that the decoders are compared on: every opcode of the maps
 * of one to three bytes with prefixes and forms of ModRM, and VEX prefixes.
 *
 * @module
 */

import type { Bits } from "./decode_subject.ts";

/** Bytes of a case: as many as an instruction has at most. */
export const CASE_BYTES = 15;
/** What follows where nothing else does: displacements and immediates that lead nowhere. */
const FILL = 0x7b;

/** A set of cases, each of which has a number. */
export interface Space {
  /** What is in it. */
  readonly name: string;
  /** How many cases. */
  readonly size: number;
  /** Writes case `n`. */
  write(n: number, into: Uint8Array): void;
}

/** A choice of byte sequences. */
type Choice = readonly (readonly number[])[];

/** All sequences of one from each choice, one after the other. */
function space(name: string, ...choices: Choice[]): Space {
  return {
    name,
    size: choices.reduce((n, c) => n * c.length, 1),
    write(n, into): void {
      into.fill(FILL);
      let at = 0;
      // The last choice changes the fastest.
      let place = this.size;
      for (const choice of choices) {
        place /= choice.length;
        for (const byte of choice[Math.floor(n / place)]) {
          if (at < CASE_BYTES) into[at++] = byte;
        }
        n %= place;
      }
    },
  };
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);
const each = (bytes: readonly number[]): Choice => bytes.map((x) => [x]);

/** Opcodes that are prefixes, or of other spaces. */
const NOT_OPCODES = new Set([
  ...[0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3],
]);
const ONE: Choice = each(range(0, 256).filter((x) => !NOT_OPCODES.has(x)));
const LONG_ONE: Choice = ONE.filter(([x]) => (x & 0xf0) !== 0x40);
const TWO: Choice = range(0, 256).filter((x) => x !== 0x38 && x !== 0x3a)
  .map((x) => [0x0f, x]);
const THREE: Choice = [0x38, 0x3a].flatMap((map) =>
  range(0, 256).map((x) => [0x0f, map, x])
);

/** ModRM: every one; with a SIB byte that has no base. */
const MODRM: Choice = [
  ...each(range(0, 256)),
  ...range(0, 192).filter((x) => (x & 7) === 4).map((x) => [x, 0x25]),
];
/** Each mod and reg, with operands of every shape. */
const MODRM_SOME: Choice = MODRM.filter(([x, sib]) =>
  [0, 1, 4, 5, 6].includes(x & 7) && (sib === undefined || x < 0x40)
);
/** The same for memory and registers alone. */
const MODRM_FEW: Choice = range(0, 8).flatMap((reg) => [
  [0x01 | reg << 3],
  [0x44 | reg << 3],
  [0x04 | reg << 3, 0x25],
  [0x05 | reg << 3],
  [0xc1 | reg << 3],
  [0xc4 | reg << 3],
]);

const PREFIXES: Choice = [[], [0x66], [0xf2], [0xf3]];
const MORE_PREFIXES: Choice = [
  ...[[0x67], [0xf0], [0x2e], [0x64], [0x66, 0xf2], [0xf3, 0x66]],
  ...[[0xf2, 0xf3], [0xf3, 0xf2], [0x66, 0x67], [0x67, 0xf3], [0xf0, 0x66]],
  ...[[0xf0, 0xf2], [0xf0, 0xf3], [0x66, 0xf0, 0xf3], [0x67, 0xf0]],
];
const REX: Choice = [
  ...each(range(0x40, 0x50)),
  ...[[0x66, 0x48], [0xf2, 0x48], [0xf3, 0x48], [0xf0, 0x48], [0x67, 0x48]],
  ...[[0x66, 0x4f], [0xf2, 0x45], [0xf3, 0x4f], [0xf0, 0x41]],
  // One that does not come last.
  ...[[0x48, 0x66], [0x48, 0xf3], [0x4f, 0x64]],
];

/** What is behind C4 or C5 but for the opcode map, inverted: R, X and B, then W, vvvv, L and pp. */
const RXB = [7, 0, 3, 5, 6];
const LAST: number[] = range(0, 256).filter((x) =>
  [15, 10, 5, 0].includes(x >> 3 & 15)
);

/** The maps of VEX prefixes that no CPU has. */
const NO_MAPS = [0, ...range(4, 32)];

/** The spaces of one mode. */
export function spaces(bits: Bits): Space[] {
  const opcodes = [...(bits === 64 ? LONG_ONE : ONE), ...TWO, ...THREE];
  const vex3 = (rxb: readonly number[], maps: readonly number[]): Choice =>
    rxb.flatMap((x) => maps.map((map) => [0xc4, x << 5 | map]));
  const all = each(range(0, 256));
  return [
    space("opcodes", PREFIXES, opcodes, MODRM),
    space("prefixes", MORE_PREFIXES, opcodes, MODRM_SOME),
    ...(bits === 64 ? [space("REX", REX, opcodes, MODRM_FEW)] : []),
    space(
      "SIB",
      [[], [0x67], [0x2e], ...(bits === 64 ? [[0x41], [0x42], [0x4f]] : [])],
      [[0x8b], [0x0f, 0xb6], [0x66, 0x0f, 0x38, 0x17], [0x81]],
      each([0x04, 0x44, 0x84]),
      each(range(0, 256)),
    ),
    space("VEX of three bytes", vex3([7], [1, 2, 3]), each(LAST), all, [
      ...each([0x01, 0x44, 0xc1]),
    ]),
    space(
      "groups behind VEX",
      vex3([7], [1, 2, 3]),
      each([0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d, 0x68, 0x69, 0xf8, 0xe9]),
      all,
      MODRM_FEW,
    ),
    space(
      "VEX.R, X, B",
      vex3(RXB, [1, 2, 3]),
      each([0x79, 0x7d, 0xf9, 0x51, 0x55, 0x78, 0x03, 0x82]),
      all,
      each([0x01, 0x04, 0x85, 0xc1, 0xfe]),
    ),
    space(
      "maps of VEX",
      vex3([7, 5], NO_MAPS),
      each([0x79, 0x51, 0xf8, 0x04]),
      all,
      each([0x01, 0xc1]),
    ),
    space(
      "VEX of two bytes",
      [[0xc5]],
      each(range(bits === 64 ? 0 : 0xc0, 256)),
      all,
      each([0x01, 0x44, 0xc1]),
    ),
    space(
      "EVEX and XOP",
      [
        ...[0xf1, 0xf2, 0xf3, 0xf5, 0xf6, 0x61].flatMap((p0) =>
          [0x7c, 0x7d, 0xfd, 0xfe, 0x6f].flatMap((p1) =>
            [0x08, 0x28, 0x48, 0x18].map((p2) => [0x62, p0, p1, p2])
          )
        ),
        ...[0xe8, 0xe9, 0xea].flatMap((map) =>
          [0x78, 0x7c, 0xf8].map((last) => [0x8f, map, last])
        ),
      ],
      all,
      each([0x01, 0x44, 0xc1]),
    ),
    space(
      "the longest",
      range(9, 15).flatMap((n) =>
        [0x66, 0x67, 0x2e, 0xf3, 0xf0, ...(bits === 64 ? [0x40] : [])]
          .map((x) => Array<number>(n).fill(x))
      ),
      [
        ...[[0x90], [0x81, 0xc0], [0x81, 0x05], [0x01, 0x05], [0xe8]],
        ...[[0x01, 0x84, 0x25], [0x0f, 0xc8], [0x0f, 0x38, 0xf1, 0x01]],
        ...[[0xb8], [0xa1], [0x0f, 0x0b], [0xc5, 0xf8, 0x58, 0x05], [0x6a]],
      ],
    ),
    space(
      "prefixes before VEX",
      [[0x66], [0xf2], [0xf3], [0xf0], [0x67], [0x2e], [0x64]].concat(
        bits === 64 ? [[0x40], [0x48], [0x48, 0x67]] : [],
      ),
      [[0xc5, 0xf8], [0xc5, 0xf9], [0xc4, 0xe2, 0x79], [0xc4, 0xe3, 0x7d]],
      all,
      each([0x01, 0xc1]),
    ),
  ];
}

/** Opcodes of which ModRM says what they do, or that have something to do with the system. */
const SYSTEM: Choice = [
  ...[0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x20, 0x21],
  ...[0x22, 0x23, 0x24, 0x26, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37],
  ...[0x78, 0x79, 0xaa, 0xae, 0xc7, 0xff],
].map((x) => [0x0f, x]);

/** The spaces for guests at level 0 and in virtual-8086 mode. */
export function systemSpaces(bits: Bits): Space[] {
  const opcodes = [...(bits === 64 ? LONG_ONE : ONE), ...TWO, ...THREE];
  return [
    space("opcodes", PREFIXES, opcodes, MODRM_FEW),
    space("prefixes", MORE_PREFIXES, opcodes, each([0x01, 0x44, 0xc1, 0xfe])),
    space("system", [...PREFIXES, ...MORE_PREFIXES], SYSTEM, MODRM),
    ...(bits === 64 ? [space("REX", REX, [...TWO, ...SYSTEM], MODRM_FEW)] : []),
  ];
}

/** One case of a space. */
export function caseOf(space: Space, n: number): Uint8Array {
  const code = new Uint8Array(CASE_BYTES);
  space.write(n, code);
  return code;
}
