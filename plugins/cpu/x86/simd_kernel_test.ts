/** Helpers that have a WebAssembly form: both forms give the same. */

import { assertEquals } from "@std/assert";
import type { Helper } from "../../../core/ir/builder.ts";
import { CLMUL } from "./clmul.ts";
import { X86 } from "./cpu.ts";
import { CRC32, crc32c } from "./crc32_kernel.ts";
import { MODELS } from "./models.ts";
import { COMPARE_STRINGS } from "./pcmpstr.ts";
import { OFF_SCRATCH, STATE_END } from "./state.ts";

const BASE = 0x10000;
const memory = new WebAssembly.Memory({
  initial: 16,
  maximum: 16,
  shared: true,
});
const cpu = new X86({ model: MODELS.max });
const area = new Uint8Array(memory.buffer, BASE, STATE_END);

/** A helper's two forms. */
function forms({ index }: Helper): Record<"plain" | "native", Helper["fn"]> {
  const { fn, native } = cpu.helpers[index];
  const refuse = (): number => {
    throw new Error("left to the TypeScript");
  };
  return { plain: fn, native: native!(memory, BASE, refuse) };
}

let seed = 1;
function random(n: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
  return (seed >>> 8) % n;
}

/** Fills the operand vectors with bytes below `limit`. */
function operands(limit: number): void {
  for (let k = 64; k < 112; k++) cpu.state8[OFF_SCRATCH + k] = random(limit);
  area.set(cpu.state8.subarray(OFF_SCRATCH, OFF_SCRATCH + 112), OFF_SCRATCH);
}

Deno.test("carry-less products", () => {
  const { plain, native } = forms(CLMUL);
  const result = (state: Uint8Array): Uint8Array =>
    state.slice(OFF_SCRATCH + 64, OFF_SCRATCH + 80);
  for (let n = 0; n < 2000; n++) {
    operands(256);
    plain(0, 0, 0);
    native(0, 0, 0);
    assertEquals(result(area), result(cpu.state8));
  }
});

Deno.test("comparisons of strings, all immediates and lengths", () => {
  const { plain, native } = forms(COMPARE_STRINGS);
  for (let imm = 0; imm < 64; imm++) {
    const count = (imm & 1) !== 0 ? 8 : 16;
    for (let la = 0; la <= count; la++) {
      for (let lb = 0; lb <= count; lb++) {
        operands(lb % 3 === 0 ? 256 : 3);
        assertEquals(
          native(imm, la, lb),
          plain(imm, la, lb),
          `${imm} ${la} ${lb}`,
        );
      }
    }
  }
});

Deno.test("CRC-32C", () => {
  const { plain, native } = forms(CRC32);
  for (const size of [1, 2, 4]) {
    for (let n = 0; n < 2000; n++) {
      const crc = random(1 << 24) << 8 ^ random(256);
      const value = (random(1 << 24) << 8 ^ random(256)) >>> 32 - 8 * size;
      assertEquals(native(crc, value | 0, size), plain(crc, value | 0, size));
    }
  }
  // The check value of the catalogue of CRCs, of "123456789".
  let crc = -1;
  for (const c of "123456789") crc = crc32c(crc, c.charCodeAt(0), 1);
  assertEquals(~crc >>> 0, 0xe3069283);
});
