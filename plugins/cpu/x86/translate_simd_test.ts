/** When MMX, SSE and x87 instructions are available, and what becomes of them in IR. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { TranslateContext } from "../../../core/cpu/frontend.ts";
import { IrBlock } from "../../../core/ir/block.ts";
import { IrBuilder } from "../../../core/ir/builder.ts";
import { OPS } from "../../../core/ir/ops.ts";
import { createTranslator } from "./mod.ts";
import { MODELS } from "./models.ts";
import {
  GLOBALS,
  KEY_AVX,
  KEY_CODE32,
  KEY_EM,
  KEY_FLAT_CS,
  KEY_FLAT_DATA,
  KEY_MXCSR_DEFAULT,
  KEY_MXCSR_PE,
  KEY_NE,
  KEY_OSFXSR,
  KEY_PROTECTED,
  KEY_STACK32,
  KEY_TS,
} from "./state.ts";

const BASE = KEY_CODE32 | KEY_STACK32 | KEY_PROTECTED | KEY_FLAT_CS |
  KEY_FLAT_DATA | KEY_OSFXSR;
const NATIVE = BASE | KEY_MXCSR_DEFAULT | KEY_MXCSR_PE;

/** The operations of one instruction, and the codes of its traps that always fire. */
function translate(
  code: number[],
  key: number,
  model = "max",
): { ops: string[]; traps: number[] } {
  const block = new IrBlock(GLOBALS);
  const builder = new IrBuilder(block);
  builder.start(block, 0x1000, 0);
  const context: TranslateContext = {
    builder,
    code: Uint8Array.from(code),
    start: 0,
    limit: code.length,
    pcLo: 0x1000,
    pcHi: 0,
    key,
    maxInsns: 1,
    entryFacts: -1,
    exitFacts: -1,
    wantsFacts: false,
    compiled: false,
    stepping: false,
    elements: 0,
    mutableWord: () => -1,
    cross: () => {
      throw new Error("runs past its page");
    },
  };
  createTranslator(MODELS[model]).translate(context);
  const ops: string[] = [], traps: number[] = [];
  for (let n = 0; n < block.length; n++) {
    const { name } = OPS[block.op[n]];
    ops.push(name);
    if (name === "trap" && builder.isConst(block.a[n])) {
      traps.push(block.lo[n]);
    }
  }
  return { ops, traps };
}

const ADDSD = [0xf2, 0x0f, 0x58, 0xc1];
const PADDB = [0x0f, 0xfc, 0xc1];
const FADD = [0xd8, 0xc1];
const PSHUFB = [0x0f, 0x38, 0x00, 0xc1];
const AESENC = [0x66, 0x0f, 0x38, 0xdc, 0xc1];
const SHA1NEXTE = [0x0f, 0x38, 0xc8, 0xc1];
const CRC32 = [0xf2, 0x0f, 0x38, 0xf1, 0xc1];
const UD = 6, NM = 7;

Deno.test("SSE, MMX and x87 are there by CR0 and CR4", () => {
  const traps = (code: number[], key: number): number[] =>
    translate(code, key).traps;
  assertEquals(traps(ADDSD, NATIVE), []);
  assertEquals(traps(ADDSD, NATIVE & ~KEY_OSFXSR), [UD]);
  assertEquals(traps(ADDSD, NATIVE | KEY_EM | KEY_TS), [UD]);
  assertEquals(traps(ADDSD, NATIVE | KEY_TS), [NM]);
  assertEquals(traps(PADDB, BASE & ~KEY_OSFXSR), []);
  assertEquals(traps(PADDB, BASE | KEY_EM), [UD]);
  assertEquals(traps(PADDB, BASE | KEY_TS), [NM]);
  assertEquals(traps(FADD, BASE | KEY_EM), [NM]);
  assertEquals(traps(FADD, BASE | KEY_TS), [NM]);
});

Deno.test("AVX is there by XCR0 and CR0.TS; in real mode its prefix is LDS", () => {
  const code = [0xc5, 0xf4, 0x58, 0xc2]; // vaddps ymm0, ymm1, ymm2
  const traps = (key: number): number[] => translate(code, key).traps;
  assertEquals(traps(NATIVE | KEY_AVX), []);
  assertEquals(traps(NATIVE), [UD]);
  // CR0.EM and CR4.OSFXSR say nothing of it.
  assertEquals(traps(NATIVE & ~KEY_OSFXSR | KEY_AVX | KEY_EM), []);
  assertEquals(traps(NATIVE | KEY_AVX | KEY_TS), [NM]);
  assertEquals(traps(NATIVE & ~KEY_PROTECTED | KEY_AVX), [UD]);
  // BMI needs neither.
  const andn = [0xc4, 0xe2, 0x78, 0xf2, 0xc0];
  assertEquals(translate(andn, NATIVE | KEY_TS).traps, []);
  assertEquals(translate(code, NATIVE | KEY_AVX, "pentium4").traps, [UD]);
});

Deno.test("later instructions are there by CR0 and CR4 as well", () => {
  const traps = (code: number[], key: number): number[] =>
    translate(code, key).traps;
  // On MMX registers CR4 does not matter.
  assertEquals(traps(PSHUFB, NATIVE & ~KEY_OSFXSR), []);
  assertEquals(traps(PSHUFB, NATIVE | KEY_EM), [UD]);
  assertEquals(traps(PSHUFB, NATIVE | KEY_TS), [NM]);
  for (const code of [[0x66, ...PSHUFB], AESENC, SHA1NEXTE]) {
    assertEquals(traps(code, NATIVE), []);
    assertEquals(traps(code, NATIVE & ~KEY_OSFXSR), [UD]);
    assertEquals(traps(code, NATIVE | KEY_EM | KEY_TS), [UD]);
    assertEquals(traps(code, NATIVE | KEY_TS), [NM]);
  }
  // On general registers neither does.
  const off = NATIVE & ~KEY_OSFXSR | KEY_EM | KEY_TS;
  assertEquals(traps(CRC32, off), []);
});

Deno.test("a model without the feature raises #UD", () => {
  assertEquals(translate(ADDSD, NATIVE, "pentium3").traps, [UD]);
  assertEquals(translate(PADDB, BASE, "pentium").traps, [UD]);
});

Deno.test("LZCNT and TZCNT are BSR and BSF without the feature", () => {
  for (const opcode of [0xbc, 0xbd]) {
    const code = [0x0f, opcode, 0xc1];
    const scan = translate(code, BASE, "pentium4").ops;
    assertEquals(translate([0xf3, ...code], BASE, "pentium4").ops, scan);
    assertNotEquals(translate([0xf3, ...code], BASE).ops, scan);
    assertEquals(translate(code, BASE).ops, scan);
  }
});

Deno.test("SSE arithmetic is native in the default mode, a helper in others", () => {
  const called = (key: number): string[] =>
    translate(ADDSD, key).ops.filter((o) => /^call/.test(o));
  assertEquals(called(NATIVE), ["callif"]);
  assertEquals(called(NATIVE & ~KEY_MXCSR_PE), ["callif"]);
  assertEquals(called(BASE), ["call0"]);
  assert(translate(ADDSD, NATIVE).ops.includes("f64.add"));
});

Deno.test("a pending x87 exception is tested where CR0.NE is set", () => {
  const tests = (code: number[], key: number): number =>
    translate(code, key).ops.filter((o) => o === "trap").length;
  assertEquals(tests(FADD, BASE), 0);
  assertEquals(tests(FADD, BASE | KEY_NE), 1);
  assertEquals(tests(PADDB, BASE | KEY_NE), 1);
  assertEquals(tests([0x9b], BASE | KEY_NE), 1);
  // Not by instructions that do not wait, nor by SSE2's integer ones.
  assertEquals(tests([0xdf, 0xe0], BASE | KEY_NE), 0);
  assertEquals(tests([0xdb, 0xe2], BASE | KEY_NE), 0);
  assertEquals(tests([0x66, ...PADDB], BASE | KEY_NE), 0);
  // Where it is clear, a helper asks for IGNNE#.
  assert(translate(FADD, BASE).ops.includes("callif"));
});

Deno.test("MMX makes the x87 registers valid, EMMS empties them", () => {
  const sets = (code: number[]): number =>
    translate(code, BASE).ops.filter((o) => o === "set32").length;
  assertEquals(sets(PADDB), 2);
  assertEquals(sets([0x0f, 0x77]), 2);
  assertEquals(sets([0x66, ...PADDB]), 0);
});
