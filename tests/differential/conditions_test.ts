/**
 * Every condition after every operation that sets flags, in the same block or in
 * the next one: SETcc, which the translator makes of the operands, against
 * PUSHF, which computes the flags themselves. Operands are the edges of their
 * sizes, where random ones seldom are.
 */

import { assert, assertEquals } from "@std/assert";
import { condition } from "../../plugins/cpu/x86/flags.ts";
import { CODE, DATA, PAGES } from "./record.ts";
import { CaseRecord64 } from "./record64.ts";
import { RheaSubject64 } from "./rhea64.ts";

/** INT3 ends a case. */
const BREAKPOINT = 3;
const RBX = 3, RSP = 4, RSI = 6;
/** A slot: two operands and a carry; then 16 conditions and the flags. */
const SLOT = 24;

/** An operation on RAX, with RCX: its bytes for bytes and for what is wider. */
type Operation = readonly [
  name: string,
  bytes: readonly number[] | undefined,
  wide: readonly number[],
];

const OPERATIONS: readonly Operation[] = [
  ..."add or adc sbb and sub xor cmp".split(" ").map((name, i): Operation => [
    name,
    [8 * i, 0xc8],
    [8 * i + 1, 0xc8],
  ]),
  ["test", [0x84, 0xc8], [0x85, 0xc8]],
  ["inc", [0xfe, 0xc0], [0xff, 0xc0]],
  ["dec", [0xfe, 0xc8], [0xff, 0xc8]],
  ["neg", [0xf6, 0xd8], [0xf7, 0xd8]],
  ["shl 1", [0xd0, 0xe0], [0xd1, 0xe0]],
  ["shr 1", [0xd0, 0xe8], [0xd1, 0xe8]],
  ["sar 1", [0xd0, 0xf8], [0xd1, 0xf8]],
  ["shl 5", [0xc0, 0xe0, 5], [0xc1, 0xe0, 5]],
  ["sar 5", [0xc0, 0xf8, 5], [0xc1, 0xf8, 5]],
  ["shl cl", [0xd2, 0xe0], [0xd3, 0xe0]],
  ["rol 1", [0xd0, 0xc0], [0xd1, 0xc0]],
  ["ror 1", [0xd0, 0xc8], [0xd1, 0xc8]],
  ["mul", [0xf6, 0xe1], [0xf7, 0xe1]],
  ["imul", undefined, [0x0f, 0xaf, 0xc1]],
  ["add; inc", [0, 0xc8, 0xfe, 0xc0], [1, 0xc8, 0xff, 0xc0]],
  ["and; bt 3", undefined, [0x21, 0xc8, 0x0f, 0xba, 0xe0, 3]],
];

/** What makes an instruction one of 16, 32 and 64 bits. */
const PREFIXES: Readonly<Record<number, readonly number[]>> = {
  8: [],
  16: [0x66],
  32: [],
  64: [0x48],
};

/** The operation's bytes with a prefix before each of its instructions. */
function withPrefix(
  code: readonly number[],
  prefix: readonly number[],
): number[] {
  const second = code.length > 3 ? 2 : code.length;
  return [...prefix, ...code.slice(0, second)]
    .concat(second < code.length ? [...prefix, ...code.slice(second)] : []);
}

/** Edges of numbers with so many bits. */
function edges(bits: number): bigint[] {
  const top = 1n << BigInt(bits - 1);
  return [0n, 1n, 0xfn, 0x10n, top - 1n, top, top + 1n, 2n * top - 1n];
}

/** Between the operation and the conditions: nothing, or the end of a block. */
const BETWEEN: Readonly<Record<string, readonly number[]>> = {
  "in one block": [],
  "in the next block": [0xeb, 0x00], // jmp to what follows
};

/** A loop over the slots, RBX of them at RSI. */
function program(operation: readonly number[]): number[] {
  const body = [
    ...[0x48, 0x8b, 0x06], // mov rax, [rsi]
    ...[0x48, 0x8b, 0x4e, 0x08], // mov rcx, [rsi + 8]
    ...[0x8b, 0x56, 0x10], // mov edx, [rsi + 16]
    ...[0x0f, 0xba, 0xe2, 0x00], // bt edx, 0
    ...operation,
  ];
  for (let cc = 0; cc < 16; cc++) body.push(0x0f, 0x90 + cc, 0x46, cc); // setcc [rsi + cc]
  body.push(
    ...[0x9c, 0x8f, 0x46, 0x10], // pushfq; pop qword [rsi + 16]
    ...[0x48, 0x83, 0xc6, SLOT], // add rsi, 24
    ...[0x48, 0xff, 0xcb], // dec rbx
  );
  body.push(0x75, -(body.length + 2) & 0xff); // jnz
  return [...body, 0xcc];
}

/** Compares all operations of all sizes. */
function compare(accel: "interp" | "jit", between: readonly number[]): void {
  const subject = new RheaSubject64(accel);
  for (const [name, bytes, wide] of OPERATIONS) {
    for (const bits of [8, 16, 32, 64]) {
      const code = bits === 8 ? bytes : wide;
      if (code === undefined) continue;
      const test = new CaseRecord64();
      const whole = program([
        ...withPrefix(code, PREFIXES[bits]),
        ...between,
      ]);
      assert(whole.length < 128, "the loop is out of a short jump's reach");
      test.code.set(whole);
      test.codeLength = whole.length;
      test.rip = BigInt(CODE);
      const data = new DataView(test.data.buffer, test.data.byteOffset);
      const operands: [bigint, bigint, number][] = edges(bits).flatMap((a) =>
        edges(bits).flatMap((b): [bigint, bigint, number][] => [
          [a, b, 0],
          [a, b, 1],
        ])
      );
      for (const [i, [a, b, carry]] of operands.entries()) {
        data.setBigUint64(SLOT * i, a, true);
        data.setBigUint64(SLOT * i + 8, b, true);
        data.setUint32(SLOT * i + 16, carry, true);
      }
      test.setGpr(RSI, BigInt(DATA));
      test.setGpr(RBX, BigInt(operands.length));
      test.setGpr(RSP, BigInt(DATA + PAGES));
      const result = subject.run(test);
      assertEquals(result.vector, BREAKPOINT);
      const seen = new DataView(result.data.buffer, result.data.byteOffset);
      for (const [i, [a, b, carry]] of operands.entries()) {
        const flags = seen.getUint32(SLOT * i + 16, true);
        for (let cc = 0; cc < 16; cc++) {
          assertEquals(
            seen.getUint8(SLOT * i + cc) !== 0,
            condition(cc, flags),
            `${name}, ${bits} bits, ${a} ${b} carry ${carry}: condition ${cc}`,
          );
        }
      }
    }
  }
}

for (const accel of ["interp", "jit"] as const) {
  for (const [where, between] of Object.entries(BETWEEN)) {
    Deno.test(
      `conditions are those of the flags, ${where}: ${accel}`,
      () => compare(accel, between),
    );
  }
}
