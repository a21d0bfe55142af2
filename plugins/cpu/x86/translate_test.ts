import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { TranslateContext } from "../../../core/cpu/frontend.ts";
import { IrBlock } from "../../../core/ir/block.ts";
import { IrBuilder } from "../../../core/ir/builder.ts";
import { Liveness } from "../../../core/ir/passes/liveness.ts";
import { printBlock } from "../../../core/ir/printer.ts";
import { X86 } from "./cpu.ts";
import { createTranslator } from "./mod.ts";
import { MODELS } from "./models.ts";
import {
  CC_SUB,
  GLOBALS,
  KEY_CODE32,
  KEY_FLAT_CS,
  KEY_FLAT_DATA,
  KEY_IOPL_OK,
  KEY_LIMIT_64K,
  KEY_PROTECTED,
  KEY_STACK32,
  KEY_TF,
} from "./state.ts";

const FLAT = KEY_CODE32 | KEY_STACK32 | KEY_PROTECTED | KEY_FLAT_CS |
  KEY_FLAT_DATA;
const helpers = new X86({ model: MODELS.max }).helpers;

interface Translated {
  text: string;
  block: IrBlock;
  context: TranslateContext;
}

/** Translates a block; dead operations are removed. */
function translate(
  code: string,
  key = FLAT,
  entryFacts = -1,
  model = "max",
): Translated {
  const bytes = Uint8Array.from(code.split(" "), (x) => parseInt(x, 16));
  const block = new IrBlock(GLOBALS);
  const builder = new IrBuilder(block);
  builder.start(block, 0x1000, 0);
  const context: TranslateContext = {
    builder,
    code: bytes,
    start: 0,
    limit: bytes.length,
    pcLo: 0x1000,
    pcHi: 0,
    key,
    maxInsns: 32,
    entryFacts,
    exitFacts: -1,
    wantsFacts: false,
    compiled: false,
    stepping: false,
    elements: 0,
    mutableWord: () => -1,
    cross: () => {
      throw new Error("ran past the code");
    },
  };
  createTranslator(MODELS[model]).translate(context);
  new Liveness(GLOBALS.length).run(block, helpers);
  return { text: printBlock(block, helpers), block, context };
}

Deno.test("a compare and its jump are one comparison of the operands", () => {
  const { text, context } = translate("39 d5 7f f9");
  assertStringIncludes(text, "i32.gt_s");
  assert(!text.includes("call"), text);
  assertEquals(context.exitFacts, CC_SUB + 2);
  assertEquals(context.wantsFacts, false);
});

Deno.test("bytes compare as unsigned without sign extension", () => {
  const { text } = translate("3c 05 72 f9");
  assertStringIncludes(text, "i32.lt_u");
  assert(!text.includes("extend"), text);
});

Deno.test("flags of another block: a helper, or the fact that is known", () => {
  const unknown = translate("7c f9");
  assertStringIncludes(unknown.text, "cc_condition");
  assertEquals(unknown.context.wantsFacts, true);
  const known = translate("7c f9", FLAT, CC_SUB + 2);
  assertStringIncludes(known.text, "i32.lt_s");
  assert(!known.text.includes("call"), known.text);
  assertEquals(known.context.exitFacts, CC_SUB + 2);
});

Deno.test("flags that nothing sees are not computed", () => {
  // add, inc, imul, cmp
  const { text } = translate("01 d8 40 0f af c3 39 c8");
  assert(!text.includes("call"), text);
  assertEquals(text.match(/cc_dst = /g)?.length, 1);
  assertEquals(text.match(/cc_src = /g)?.length, 1);
  assert(!text.includes("i64"), text);
});

Deno.test("flat memory operands are one access with a displacement", () => {
  const { text } = translate("8b 44 8d 10 89 43 fc");
  assertStringIncludes(text, "+ 0x10] mmu 0");
  assertStringIncludes(text, "- 0x4]");
  assert(!text.includes("trap"), text);
  assert(!text.includes("base"), text);
});

Deno.test("real mode adds the base; only words check the limit", () => {
  const byte = translate("8a 07", KEY_LIMIT_64K);
  assertStringIncludes(byte.text, "ds.base");
  assert(!byte.text.includes("trap"), byte.text);
  const word = translate("8b 07", KEY_LIMIT_64K);
  assertStringIncludes(word.text, "trap");
});

Deno.test("other segments are checked by the helper", () => {
  const { text } = translate("64 a1 00 00 00 00");
  assertStringIncludes(text, "check_segment");
  assertStringIncludes(text, "fs.base");
});

Deno.test("stores come before registers change", () => {
  const { text } = translate("50");
  assert(text.indexOf("st32") < text.indexOf("esp = v"), text);
});

Deno.test("an instruction of another model is undefined", () => {
  const { text } = translate("0f 44 c1", FLAT, -1, "486");
  assertStringIncludes(text, "trap 0x6");
  assert(!translate("0f 44 c1").text.includes("trap"));
});

Deno.test("single-stepping ends the block after one instruction", () => {
  const { text, block } = translate("40 40 40", FLAT | KEY_TF);
  assertEquals(block.insns, 1);
  assertStringIncludes(text, "eip = ");
});

Deno.test("STI shields the next instruction in the same block", () => {
  const { block } = translate("fb 90 90 90", FLAT | KEY_IOPL_OK);
  assertEquals(block.insns, 2);
});
