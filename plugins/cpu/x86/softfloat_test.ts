/**
 * SoftFloat on values recorded from hardware. The thorough comparison with
 * the host CPU is tests/differential/x87_oracle_test.ts.
 */

import { assertEquals } from "@std/assert";
import { Float80 } from "./float80.ts";
import { Fused } from "./fma.ts";
import { settle, SoftFloat } from "./softfloat.ts";

const A = 0, B = 8, R = 16;
const view = new DataView(new ArrayBuffer(32));
const s = new SoftFloat(view.buffer);

function mul32(a: number, b: number, mxcsr: number): [number, number] {
  view.setUint32(A, a, true);
  view.setUint32(B, b, true);
  const flags = settle(s.mul32(R, A, B, mxcsr), mxcsr);
  return [flags, view.getUint32(R, true)];
}

Deno.test("underflow: masked, unmasked, flushed to zero", () => {
  const half = 0x3f000000;
  assertEquals(mul32(0x00800001, half, 0x1f80), [0x30, 0x00400000]);
  assertEquals(mul32(0x00800002, half, 0x1f80), [0, 0x00400001]);
  assertEquals(mul32(0x00800002, half, 0x9f80), [0x30, 0]);
  assertEquals(mul32(0x00800001, half, 0x1780)[0], 0x10);
});

Deno.test("overflow, denormals as zeros, NaNs", () => {
  assertEquals(mul32(0x7f7fffff, 0x7f7fffff, 0x1f80), [0x28, 0x7f800000]);
  assertEquals(mul32(0x7f7fffff, 0x7f7fffff, 0x7f80), [0x28, 0x7f7fffff]);
  assertEquals(mul32(1, 0x7f800000, 0x1f80), [2, 0x7f800000]);
  assertEquals(mul32(1, 0x7f800000, 0x1fc0), [1, 0xffc00000]);
  assertEquals(mul32(0x7f800001, 0x7fc00005, 0x1f80), [1, 0x7fc00001]);
  assertEquals(mul32(0x3f800000, 0x7fc00005, 0x1f80), [0, 0x7fc00005]);
});

Deno.test("an unmasked invalid keeps later flags back", () => {
  assertEquals(settle(0x31, 0x1f00), 0x01);
  assertEquals(settle(0x31, 0x1f80), 0x31);
  assertEquals(settle(0x30, 0x0f80), 0x30);
});

Deno.test("binary64: rounding modes and exactness", () => {
  view.setFloat64(A, 1, true);
  view.setFloat64(B, 3, true);
  const quotients = [0, 1, 2, 3].map((rc) => {
    assertEquals(s.div64(R, A, B, 0x1f80 | rc << 13), 0x20);
    return view.getBigUint64(R, true) & 0xffn;
  });
  assertEquals(quotients, [0x55n, 0x55n, 0x56n, 0x55n]);
  assertEquals(s.add64(R, A, B, 0x1f80), 0);
  assertEquals(view.getFloat64(R, true), 4);
});

Deno.test("in the largest WebAssembly memory, whose bytes 32 bits do not count", () => {
  const { buffer } = new WebAssembly.Memory({
    initial: 65536,
    maximum: 65536,
    shared: true,
  });
  assertEquals(buffer.byteLength, 2 ** 32);
  const at = 65536;
  const numbers = new DataView(buffer, at);
  const soft = new SoftFloat(buffer);
  numbers.setFloat32(A, 1.5, true);
  numbers.setFloat32(B, 2, true);
  assertEquals(settle(soft.mul32(at + R, at + A, at + B, 0x1f80), 0x1f80), 0);
  assertEquals(numbers.getFloat32(R, true), 3);
  new Fused(buffer, soft).compute(4, at + R, at + A, at + B, at + A, 0, 0x1f80);
  assertEquals(numbers.getFloat32(R, true), 4.5);
  const x87 = new Float80(buffer);
  x87.one(at + R);
  assertEquals(numbers.getUint16(R + 8, true), 0x3fff);
});
