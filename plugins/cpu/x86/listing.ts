/**
 * Guest code and mode keys in words, for traces and dumps. Loaded when one is
 * asked for.
 *
 * @module
 */

import type { Disassembler } from "../../../core/cpu/disassembler.ts";
import { disassemble } from "./disassemble.ts";
import {
  KEY_ALIGN,
  KEY_AVX,
  KEY_CODE32,
  KEY_CPL_SHIFT,
  KEY_DEBUG,
  KEY_EM,
  KEY_FLAT_CS,
  KEY_FLAT_DATA,
  KEY_IOPL_OK,
  KEY_LIMIT_64K,
  KEY_LONG,
  KEY_MP,
  KEY_MXCSR_DEFAULT,
  KEY_MXCSR_PE,
  KEY_NE,
  KEY_OPEN_FS,
  KEY_OPEN_GS,
  KEY_OSFXSR,
  KEY_PROTECTED,
  KEY_STACK32,
  KEY_TF,
  KEY_TS,
  KEY_UNPAGED,
  KEY_V86,
} from "./state.ts";

/** Bits of the key that are said when they are set. */
const WORDS: readonly [number, string][] = [
  [KEY_FLAT_CS, "flat-cs"],
  [KEY_FLAT_DATA, "flat-data"],
  [KEY_OPEN_FS, "open-fs"],
  [KEY_OPEN_GS, "open-gs"],
  [KEY_LIMIT_64K, "limit-64k"],
  [KEY_UNPAGED, "unpaged"],
  [KEY_IOPL_OK, "io"],
  [KEY_TF, "tf"],
  [KEY_DEBUG, "debug"],
  [KEY_ALIGN, "align"],
  [KEY_EM, "em"],
  [KEY_TS, "ts"],
  [KEY_MP, "mp"],
  [KEY_NE, "ne"],
  [KEY_OSFXSR, "osfxsr"],
  [KEY_AVX, "avx"],
  [KEY_MXCSR_DEFAULT, "mxcsr-default"],
  [KEY_MXCSR_PE, "mxcsr-pe"],
];

/** x86 in words. */
export const LISTING: Disassembler = {
  insn: (code, start, pcLo, key) =>
    disassemble(
      code,
      start,
      pcLo,
      (key & KEY_CODE32) !== 0,
      (key & KEY_PROTECTED) !== 0,
      (key & KEY_LONG) !== 0,
    ).text,
  mode: (key) => {
    const level = (key & KEY_V86) !== 0
      ? "v86"
      : (key & KEY_PROTECTED) !== 0
      ? `protected cpl${(key >> KEY_CPL_SHIFT) & 3}`
      : "real";
    const words = [
      level,
      ...(key & KEY_LONG) !== 0 ? ["code64"] : [
        (key & KEY_CODE32) !== 0 ? "code32" : "code16",
        (key & KEY_STACK32) !== 0 ? "stack32" : "stack16",
      ],
    ];
    for (const [bit, word] of WORDS) if ((key & bit) !== 0) words.push(word);
    return words.join(" ");
  },
};
