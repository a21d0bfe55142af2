import { assertEquals } from "@std/assert";
import { arithFlags, condition } from "./flags.ts";
import {
  AF,
  CC_ADC,
  CC_ADD,
  CC_DEC,
  CC_EFLAGS,
  CC_INC,
  CC_LOGIC,
  CC_MUL,
  CC_SAR,
  CC_SBB,
  CC_SHL,
  CC_SUB,
  CF,
  OF,
  PF,
  SF,
  ZF,
} from "./state.ts";

/** The flags of a sum a + b + c (or difference), from first principles. */
function reference(
  bits: number,
  a: number,
  b: number,
  c: number,
  subtract: boolean,
): number {
  const mask = 2 ** bits - 1;
  const signed = (v: number): number => v > mask / 2 ? v - mask - 1 : v;
  const exact = subtract ? a - b - c : a + b + c;
  const exactSigned = subtract
    ? signed(a) - signed(b) - c
    : signed(a) + signed(b) + c;
  const r = ((exact % (mask + 1)) + mask + 1) % (mask + 1);
  const low = subtract ? (a & 15) - (b & 15) - c : (a & 15) + (b & 15) + c;
  let flags = 0;
  if (exact < 0 || exact > mask) flags |= CF;
  if (low < 0 || low > 15) flags |= AF;
  if (r === 0) flags |= ZF;
  if (r > mask / 2) flags |= SF;
  if (exactSigned !== signed(r)) flags |= OF;
  let ones = 0;
  for (let k = 0; k < 8; k++) ones += (r >> k) & 1;
  if (ones % 2 === 0) flags |= PF;
  return flags;
}

Deno.test("sums and differences of all bytes", () => {
  for (let a = 0; a < 256; a++) {
    for (let b = 0; b < 256; b++) {
      for (const c of [0, 1]) {
        const sum = reference(8, a, b, c, false);
        const difference = reference(8, a, b, c, true);
        if (c === 0) {
          assertEquals(arithFlags(CC_ADD, a + b, b, 0, 0), sum);
          assertEquals(arithFlags(CC_SUB, a - b, b, 0, 0), difference);
        }
        assertEquals(arithFlags(CC_ADC, a + b + c, b, c, 0), sum);
        assertEquals(arithFlags(CC_SBB, a - b - c, b, c, 0), difference);
      }
    }
  }
});

Deno.test("wider sums and differences at the edges", () => {
  const edges = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff];
  edges.push(0x7fffffff, 0x80000000, 0xffffffff, 0x12345678);
  for (const [size, bits] of [[1, 16], [2, 32]]) {
    const mask = 2 ** bits - 1;
    for (const a of edges.filter((v) => v <= mask)) {
      for (const b of edges.filter((v) => v <= mask)) {
        for (const c of [0, 1]) {
          const word = size === 2 ? b | 0 : b;
          assertEquals(
            arithFlags(CC_ADC + size, (a + b + c) | 0, word, c, 0),
            reference(bits, a, b, c, false),
          );
          assertEquals(
            arithFlags(CC_SBB + size, (a - b - c) | 0, word, c, 0),
            reference(bits, a, b, c, true),
          );
        }
      }
    }
  }
});

Deno.test("increments keep CF", () => {
  for (let a = 0; a < 256; a++) {
    for (const carry of [0, 1]) {
      assertEquals(
        arithFlags(CC_INC, a + 1, carry, 0, 0),
        (reference(8, a, 1, 0, false) & ~CF) | carry,
      );
      assertEquals(
        arithFlags(CC_DEC, a - 1, carry, 0, 0),
        (reference(8, a, 1, 0, true) & ~CF) | carry,
      );
    }
  }
});

Deno.test("logic, shifts, products", () => {
  assertEquals(arithFlags(CC_LOGIC + 2, 0, 0, 0, 0), ZF | PF);
  assertEquals(arithFlags(CC_LOGIC + 1, 0x8000, 0, 0, 0), SF | PF);
  // SHL by 1 of 0x40 and 0x80; the source is what the last step shifts.
  assertEquals(arithFlags(CC_SHL, 0x80, 0x40, 0, 0), SF | OF);
  assertEquals(arithFlags(CC_SHL, 0x100, 0x80, 0, 0), ZF | PF | CF | OF);
  assertEquals(arithFlags(CC_SAR, 0x40, 0x81, 0, 0), CF | OF); // SHR
  assertEquals(
    arithFlags(CC_SAR, 0xffffffc0, 0xffffff81 | 0, 0, 0),
    SF | CF | PF,
  );
  assertEquals(arithFlags(CC_MUL + 2, 1, 0, 0, 0), 0);
  assertEquals(arithFlags(CC_MUL + 2, 1, 1, 0, 0), CF | OF);
  assertEquals(arithFlags(CC_EFLAGS, 5, 0xffff, 0, 0), 0x8d5);
});

Deno.test("conditions", () => {
  const names = "o no b ae e ne be a s ns p np l ge le g".split(" ");
  const holds = (flags: number): string =>
    names.filter((_, cc) => condition(cc, flags)).join(" ");
  assertEquals(holds(0), "no ae ne a ns np ge g");
  assertEquals(holds(ZF | PF), "no ae e be ns p ge le");
  assertEquals(holds(CF | SF), "no b ne be s np l le");
  assertEquals(holds(SF | OF), "o ae ne a s np ge g");
});
