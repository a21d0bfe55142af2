/**
 * The translate function of each row of the instruction table.
 *
 * @module
 */

import { ROWS } from "./rows.ts";
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

const ALL = new Map<string, Translate>();
for (
  const record of [
    AES,
    ALU,
    BCD,
    BIT,
    CONTROL,
    EXTENSIONS,
    MMX,
    MOVE,
    SHA,
    SHIFT,
    SSE,
    SSE4,
    SSE4_FLOAT,
    SSSE3,
    STRING,
    STRING_COMPARE,
    SYSTEM,
    VEX,
    X87,
    XSAVE,
  ]
) {
  // (A few hundred names as one object take V8 far longer.)
  for (const name of Object.keys(record)) ALL.set(name, record[name]);
}

/** Names of translate functions that the table names and nobody has written. */
export function missing(): string[] {
  return [...new Set(ROWS.map((r) => r.handler).filter((h) => !ALL.has(h)))];
}

/** The translate function of each row, by its index. */
export const HANDLERS: readonly Translate[] = ROWS.map((r) =>
  ALL.get(r.handler) ?? (() => {
    throw new Error(`${r.name}: no translate function ${r.handler}`);
  })
);
