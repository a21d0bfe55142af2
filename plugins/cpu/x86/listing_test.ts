import { assertEquals } from "@std/assert";
import { LISTING } from "./listing.ts";
import {
  KEY_CODE32,
  KEY_CPL_SHIFT,
  KEY_FLAT_CS,
  KEY_LIMIT_64K,
  KEY_PROTECTED,
  KEY_STACK32,
  KEY_V86,
} from "./state.ts";

Deno.test("modes in words", () => {
  const { mode } = LISTING;
  assertEquals(mode(KEY_LIMIT_64K), "real code16 stack16 limit-64k");
  assertEquals(
    mode(
      KEY_PROTECTED | 3 << KEY_CPL_SHIFT | KEY_CODE32 | KEY_STACK32 |
        KEY_FLAT_CS,
    ),
    "protected cpl3 code32 stack32 flat-cs",
  );
  assertEquals(mode(KEY_V86 | 3 << KEY_CPL_SHIFT), "v86 code16 stack16");
});

Deno.test("code by the mode's size", () => {
  const code = Uint8Array.of(0x90, 0xb8, 1, 2, 3, 4);
  assertEquals(LISTING.insn(code, 1, 0x1001, KEY_CODE32), "mov eax,0x4030201");
  assertEquals(LISTING.insn(code, 1, 0x1001, 0), "mov ax,0x201");
  assertEquals(
    LISTING.insn(Uint8Array.of(0xeb, 0xfe), 0, 0x1000, 0),
    "jmp 0x1000",
  );
});
