/**
 * Float80 on values recorded from hardware. The thorough comparison with the
 * host CPU is tests/differential/x87_oracle_test.ts.
 */

import { assertEquals } from "@std/assert";
import {
  C0,
  C1,
  C2,
  C3,
  DE,
  Float80,
  IE,
  NOT_WRITTEN,
  OE,
  PE,
  UE,
  ZE,
} from "./float80.ts";

const A = 0, B = 16, R = 32, R2 = 48;
const bytes = new Uint8Array(64), view = new DataView(bytes.buffer);
const f = new Float80(bytes.buffer);

/** Puts "se:significand". */
function put(at: number, text: string): void {
  const [se, significand] = text.split(":");
  view.setUint16(at + 8, parseInt(se, 16), true);
  view.setBigUint64(at, BigInt("0x" + significand), true);
}

function get(at: number): string {
  return view.getUint16(at + 8, true).toString(16).padStart(4, "0") + ":" +
    view.getBigUint64(at, true).toString(16).padStart(16, "0");
}

const ONE = "3fff:8000000000000000", THREE = "4000:c000000000000000";
const ZERO = "0000:0000000000000000", INFINITY = "7fff:8000000000000000";
const INDEFINITE = "ffff:c000000000000000", TINY = "0000:0000000000000005";

/** Runs a two-operand operation; gives flags and result. */
function two(
  op: "add" | "sub" | "mul" | "div" | "scale" | "remainder" | "arctangent",
  a: string,
  b: string,
  cw = 0x37f,
): [number, string] {
  put(A, a);
  put(B, b);
  put(R, ONE);
  return [f[op](R, A, B, cw), get(R)];
}

Deno.test("precision and rounding control", () => {
  assertEquals(two("div", ONE, THREE), [PE | C1, "3ffd:aaaaaaaaaaaaaaab"]);
  const third: [number, string][] = [
    [0x27f, "3ffd:aaaaaaaaaaaaa800"],
    [0x07f, "3ffd:aaaaab0000000000"],
    [0x77f, "3ffd:aaaaaaaaaaaaaaaa"],
    [0x17f, "3ffd:aaaaaaaaaaaaaaab"],
  ];
  for (const [cw, result] of third) {
    assertEquals(two("div", ONE, THREE, cw)[1], result);
  }
});

Deno.test("masked and unmasked exceptions", () => {
  const huge = "7ffe:8000000000000000", small = "0001:8000000000000000";
  const half = "3ffe:8000000000000000";
  assertEquals(two("mul", huge, huge), [OE | PE | C1, INFINITY]);
  assertEquals(two("mul", huge, huge, 0x377), [OE, "5ffd:8000000000000000"]);
  assertEquals(two("mul", small, half), [0, "0000:4000000000000000"]);
  assertEquals(two("mul", small, half, 0x36f), [UE, "6000:8000000000000000"]);
  assertEquals(two("div", ONE, ZERO), [ZE, INFINITY]);
  assertEquals(two("div", ONE, ZERO, 0x37b), [ZE | NOT_WRITTEN, ONE]);
  assertEquals(two("div", ZERO, ZERO), [IE, INDEFINITE]);
  assertEquals(two("div", ZERO, ZERO, 0x37e), [IE | NOT_WRITTEN, ONE]);
  assertEquals(two("add", INFINITY, TINY), [DE, INFINITY]);
  assertEquals(two("add", INFINITY, TINY, 0x37d), [DE | NOT_WRITTEN, ONE]);
  assertEquals(two("add", "3fff:0000000000000005", ONE), [IE, INDEFINITE]);
});

Deno.test("NaNs: the larger significand, made quiet", () => {
  const q = "7fff:c000000000000005", s = "ffff:8000000000000009";
  assertEquals(two("add", s, q), [IE, q]);
  assertEquals(two("add", q, s), [IE, q]);
  assertEquals(two("add", s, ONE), [IE, "ffff:c000000000000009"]);
  assertEquals(two("add", "ffff:c000000000000005", q), [0, q]);
});

Deno.test("comparison", () => {
  put(A, ONE);
  put(B, THREE);
  assertEquals(f.compare(A, B, 0x37f), C0);
  assertEquals(f.compare(B, A, 0x37f), 0);
  assertEquals(f.compare(A, A, 0x37f), C3);
  put(B, INDEFINITE);
  assertEquals(f.compareQuiet(A, B, 0x37f), C3 | C2 | C0);
  assertEquals(f.compare(A, B, 0x37f), C3 | C2 | C0 | IE);
  assertEquals(f.compare(A, B, 0x37e), C3 | C2 | C0 | IE | NOT_WRITTEN);
});

Deno.test("partial remainder: quotient bits and incomplete reduction", () => {
  const b = "3fff:8000000000000003";
  const cases: [string, number, string][] = [
    ["403b:fedcba9876543211", C1, "3ffd:c1b4e81b4e81b4f4"],
    ["403d:fedcba9876543211", C0 | C1, "3ffe:8369d0369d0369e2"],
    ["403f:fedcba9876543211", C2, "401e:eca864160da740e0"],
    ["4063:fedcba9876543211", C2, "403e:ca864160da740dac"],
  ];
  for (const [a, flags, result] of cases) {
    assertEquals(two("remainder", a, b), [flags, result]);
  }
});

Deno.test("angles: 66-bit pi, range, tiny operands", () => {
  put(A, "4000:c90fdaa22168c235");
  assertEquals(f.sine(R, A, 0x37f) & PE, PE);
  assertEquals(get(R), "bfbf:8000000000000000");
  put(A, "403e:8000000000000000");
  put(R, ONE);
  assertEquals([f.cosine(R, A, 0x37f), get(R)], [C2, ONE]);
  put(A, "3f9b:8000000000000005");
  f.sine(R, A, 0x77f);
  assertEquals(get(R), "3f9b:8000000000000004");
  put(A, ONE);
  f.sineCosine(R, R2, A, 0x37f);
  assertEquals(get(R), "3ffe:d76aa47848677021");
  assertEquals(get(R2), "3ffe:8a51407da8345c92");
  assertEquals(
    two("arctangent", "ffff:8000000000000000", INFINITY)[1],
    "4000:96cbe3f9990e91a8",
  );
});

Deno.test("packed BCD there and back", () => {
  bytes.set([0x90, 0x78, 0x56, 0x34, 0x12, 0, 0, 0x21, 0x43, 0x80], B);
  f.loadBcd(A, B);
  assertEquals(f.storeBcd(R, A, 0x37f), 0);
  assertEquals(bytes.slice(R, R + 10), bytes.slice(B, B + 10));
  put(A, "403b:de0b6b3a76400000"); // 10^18 - 1 is the largest
  assertEquals(f.storeBcd(R, A, 0x37f), IE);
});
