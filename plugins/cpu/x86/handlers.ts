/**
 * The translate function of each row of the instruction table.
 *
 * @module
 */

import { ROWS } from "./insns.ts";
import type { Translate } from "./translate.ts";
import { AES } from "./translate_aes.ts";
import { ALU } from "./translate_alu.ts";
import { BCD } from "./translate_bcd.ts";
import { BIT } from "./translate_bit.ts";
import { CONTROL } from "./translate_control.ts";
import { EXTENSIONS } from "./translate_extensions.ts";
import { MMX } from "./translate_mmx.ts";
import { MOVE } from "./translate_move.ts";
import { SHA } from "./translate_sha.ts";
import { SHIFT } from "./translate_shift.ts";
import { SSE } from "./translate_sse.ts";
import { SSE4 } from "./translate_sse4.ts";
import { SSE4_FLOAT } from "./translate_sse4_float.ts";
import { SSSE3 } from "./translate_ssse3.ts";
import { STRING_COMPARE } from "./translate_pcmpstr.ts";
import { STRING } from "./translate_string.ts";
import { SYSTEM } from "./translate_system.ts";
import { VEX } from "./translate_vex.ts";
import { X87 } from "./translate_x87.ts";
import { XSAVE } from "./translate_xsave.ts";

const ALL: Readonly<Record<string, Translate>> = {
  ...AES,
  ...ALU,
  ...BCD,
  ...BIT,
  ...CONTROL,
  ...EXTENSIONS,
  ...MMX,
  ...MOVE,
  ...SHA,
  ...SHIFT,
  ...SSE,
  ...SSE4,
  ...SSE4_FLOAT,
  ...SSSE3,
  ...STRING,
  ...STRING_COMPARE,
  ...SYSTEM,
  ...VEX,
  ...X87,
  ...XSAVE,
};

/** Names of translate functions that the table names and nobody has written. */
export const MISSING: readonly string[] = [
  ...new Set(ROWS.map((r) => r.handler).filter((h) => !(h in ALL))),
];

/** The translate function of each row, by its index. */
export const HANDLERS: readonly Translate[] = ROWS.map((r) =>
  ALL[r.handler] ?? (() => {
    throw new Error(`${r.name}: no translate function ${r.handler}`);
  })
);
