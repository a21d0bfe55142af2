/**
 * The VEX prefix (SDM volume 2, 2.3): `C5` and one byte, or `C4` and two, which
 * stand for a mandatory prefix, an opcode map, REX, the vector length and one
 * more register operand.
 *
 * @module
 */

import type { Insn } from "./decode.ts";
import { MAP_NONE, MAP_VEX } from "./rows.ts";

/** The repeat prefix that VEX.pp stands for. */
const REPEAT = [0, 0, 0xf3, 0xf2];

/**
 * Whether the byte `op` in front of `code[p]` begins a VEX prefix rather than LES
 * or LDS: those have no register form, and are not there in 64-bit mode.
 */
export function isVex(
  op: number,
  code: Uint8Array,
  p: number,
  end: number,
  long: boolean,
): boolean {
  return (op & 0xfe) === 0xc4 && (long || p < end && code[p] >= 0xc0);
}

/**
 * Takes the prefix that begins with `op` and goes on at `code[p]`; gives back
 * the opcode map. `i.rex` becomes the REX prefix that it stands for, which
 * outside 64-bit mode is of no account.
 */
export function decodeVex(
  i: Insn,
  op: number,
  code: Uint8Array,
  p: number,
): number {
  const three = op === 0xc4;
  const last = three ? code[p + 1] : code[p];
  const map = three ? code[p] & 31 : 1;
  const pp = last & 3;
  i.vex = true;
  i.vexW = three ? last >> 7 : 0;
  // R, X and B are inverted; two bytes have only R.
  const rxb = ~code[p] >> 5 & (three ? 7 : 4);
  i.rex = 0x40 | i.vexW << 3 | rxb;
  i.vexL = (last >> 2) & 1;
  i.vvvv = (~last >> 3) & 15;
  i.has66 = pp === 1 ? 1 : 0;
  i.rep = REPEAT[pp];
  return map >= 1 && map <= 3
    ? MAP_VEX + map - 1 + 3 * i.vexW + 6 * i.vexL
    : MAP_NONE;
}
