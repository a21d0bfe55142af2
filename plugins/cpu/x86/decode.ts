/**
 * Guest bytes to one {@linkcode Insn} record. The record is used again for
 * every instruction, so that decoding allocates nothing.
 *
 * @module
 */

import {
  IMM_AP,
  IMM_B,
  IMM_BS,
  IMM_NONE,
  IMM_O,
  IMM_W,
  IMM_WB,
  IMM_Z,
  MODRM,
  type Row,
  rowOf,
  ROWS,
  UD_ROW,
} from "./insns.ts";
import { decodeVex, isVex } from "./decode_vex.ts";
import { CS, DS, ES, FS, GS, SS } from "./state.ts";

/** One decoded instruction. */
export class Insn {
  /** Its row in the instruction table. */
  row: Row = ROWS[UD_ROW];
  /** Length in bytes, prefixes included. */
  length = 0;
  /** Opcode map: 0 one byte, 1 `0F`, 2 `0F 38`, 3 `0F 3A`; from `MAP_VEX` on those with a VEX prefix. */
  map = 0;
  /** Last opcode byte. */
  opcode = 0;
  /** Operand size of `v` operands in bytes: 2 or 4 (8 in 64-bit mode). */
  opSize = 4;
  /** Address size in bytes: 2 or 4 (8 in 64-bit mode). */
  addrSize = 4;
  /** 1 if there is an operand size prefix. */
  has66 = 0;
  /** The last repeat prefix: 0, 0xf2 or 0xf3. */
  rep = 0;
  /** There is a LOCK prefix. */
  lock = false;
  /** REX prefix (64-bit mode only), or 0. */
  rex = 0;
  /** There is a VEX prefix. */
  vex = false;
  /** VEX.L: 1 for vectors of 256 bits. */
  vexL = 0;
  /** VEX.W. */
  vexW = 0;
  /** VEX.vvvv: the register that it names. */
  vvvv = 0;
  /** The register that the immediate's upper half names. */
  immRegister = 0;
  /** Segment override, or -1. */
  override: number = -1;
  /** Segment of the memory operand: the override, or the default of its base register. */
  segment = 0;
  /** ModRM: 3 for a register operand. */
  mod = 3;
  /** ModRM's reg field. */
  reg = 0;
  /** ModRM's rm field: the register when `mod` is 3. */
  rm = 0;
  /** Base register of the memory operand, or -1. */
  base: number = -1;
  /** Index register of the memory operand, or -1. */
  index: number = -1;
  /** SIB's index field, also where it names no register; -1 without a SIB byte. */
  sibIndex: number = -1;
  /** Shift of the index: 0-3. */
  scale = 0;
  /** Displacement, sign-extended; for moffs operands the offset. */
  disp = 0;
  /** Immediate, sign-extended as the operand's letters say (unsigned for Ib, Iw); a jump's displacement; a far pointer's offset. */
  imm = 0;
  /** Where a displacement of 32 bits stands in the instruction, or -1. */
  dispAt: number = -1;
  /** Second immediate: a far pointer's selector, ENTER's level. */
  imm2 = 0;
}

/** The instruction has been decoded. */
export const DECODE_OK = 0;
/** The bytes ran out at `limit`. */
export const DECODE_SHORT = 1;
/** Longer than 15 bytes: #GP(0). */
export const DECODE_LONG = 2;

/** Vector registers outside 64-bit mode: the fourth bit of their numbers is of no account. */
const REGISTERS = 8;
/** Instruction length limit. */
const MAX_LENGTH = 15;
// Base and index of the 16-bit addressing forms by rm: SDM volume 2, table 2-1.
const BASE16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX16 = [6, 7, 6, 7, -1, -1, -1, -1];

/**
 * Decodes the instruction at `code[start]` into `i`, using no byte at or past
 * `limit`. `code32`: the code segment's D bit. `vex`: C4 and C5 may begin a VEX
 * prefix, as they do in protected mode.
 */
export function decode(
  i: Insn,
  code: Uint8Array,
  start: number,
  limit: number,
  code32: boolean,
  vex = true,
): 0 | 1 | 2 {
  const long = start + MAX_LENGTH;
  const end = limit < long ? limit : long;
  const fail = limit < long ? DECODE_SHORT : DECODE_LONG;
  let p = start;
  let opSize = code32 ? 4 : 2;
  let addrSize = opSize;
  i.has66 = 0;
  i.rep = 0;
  i.lock = false;
  i.vex = false;
  i.rex = 0;
  i.override = -1;
  i.mod = 3;
  i.base = -1;
  i.index = -1;
  i.sibIndex = -1;
  i.scale = 0;
  i.disp = 0;
  i.dispAt = -1;
  i.imm = 0;
  i.imm2 = 0;
  let op = 0;
  prefixes: for (;;) {
    if (p >= end) return fail;
    op = code[p++];
    switch (op) {
      case 0x26:
        i.override = ES;
        break;
      case 0x2e:
        i.override = CS;
        break;
      case 0x36:
        i.override = SS;
        break;
      case 0x3e:
        i.override = DS;
        break;
      case 0x64:
        i.override = FS;
        break;
      case 0x65:
        i.override = GS;
        break;
      case 0x66:
        i.has66 = 1;
        opSize = code32 ? 2 : 4;
        break;
      case 0x67:
        addrSize = code32 ? 2 : 4;
        break;
      case 0xf0:
        i.lock = true;
        break;
      case 0xf2:
      case 0xf3:
        i.rep = op;
        break;
      default:
        break prefixes;
    }
  }
  let map = 0;
  if (op === 0x0f) {
    if (p >= end) return fail;
    op = code[p++];
    map = 1;
    if (op === 0x38 || op === 0x3a) {
      map = op === 0x38 ? 2 : 3;
      if (p >= end) return fail;
      op = code[p++];
    }
  }
  let legal = true;
  if (vex && map === 0 && isVex(op, code, p, end)) {
    const bytes = op === 0xc4 ? 2 : 1;
    if (p + bytes >= end) return fail;
    // After LOCK, 66, F2, F3 and REX it is undefined.
    legal = !i.lock && (i.has66 | i.rep | i.rex) === 0;
    map = decodeVex(i, op, code, p);
    p += bytes;
    op = code[p++];
    opSize = 4;
  }
  i.map = map;
  i.opcode = op;
  i.opSize = opSize;
  i.addrSize = addrSize;
  i.reg = 0;
  i.rm = op & 7;
  let segment: number = DS;
  if (MODRM[(map << 8) | op] !== 0) {
    if (p >= end) return fail;
    const m = code[p++];
    // MOV to and from control and debug registers ignore mod.
    const mod = map === 1 && (op & 0xfc) === 0x20 ? 3 : m >> 6;
    let rm = m & 7;
    i.mod = mod;
    i.reg = (m >> 3) & 7;
    i.rm = rm;
    if (mod !== 3) {
      let dispSize = mod === 1 ? 1 : 0;
      if (addrSize === 2) {
        if (mod === 2) dispSize = 2;
        if (rm === 6 && mod === 0) dispSize = 2;
        else {
          i.base = BASE16[rm];
          i.index = INDEX16[rm];
        }
      } else {
        if (mod === 2) dispSize = 4;
        if (rm === 4) {
          if (p >= end) return fail;
          const sib = code[p++];
          rm = sib & 7;
          const index = (sib >> 3) & 7;
          i.sibIndex = index;
          i.scale = sib >> 6;
          if (index !== 4) i.index = index;
        }
        if (rm === 5 && mod === 0) dispSize = 4;
        else i.base = rm;
      }
      if (i.base === 4 || i.base === 5) segment = SS;
      if (dispSize === 1) {
        if (p >= end) return fail;
        i.disp = code[p++] << 24 >> 24;
      } else if (dispSize === 2) {
        if (p + 2 > end) return fail;
        i.disp = (code[p] | (code[p + 1] << 8)) << 16 >> 16;
        p += 2;
      } else if (dispSize === 4) {
        if (p + 4 > end) return fail;
        i.dispAt = p - start;
        i.disp = code[p] | (code[p + 1] << 8) | (code[p + 2] << 16) |
          (code[p + 3] << 24);
        p += 4;
      }
    }
  }
  i.segment = i.override >= 0 ? i.override : segment;
  const row = ROWS[
    rowOf(
      (map << 8) | op,
      i.rep === 0xf3 ? 2 : i.rep === 0xf2 ? 3 : i.has66,
      i.mod,
      i.reg,
      i.rm,
    )
  ];
  i.row = row;
  switch (row.imm) {
    case IMM_NONE:
      break;
    case IMM_B:
      if (p >= end) return fail;
      i.imm = code[p++];
      break;
    case IMM_BS:
      if (p >= end) return fail;
      i.imm = code[p++] << 24 >> 24;
      break;
    case IMM_W:
    case IMM_WB:
      if (p + 2 > end) return fail;
      i.imm = code[p] | (code[p + 1] << 8);
      p += 2;
      if (row.imm === IMM_WB) {
        if (p >= end) return fail;
        i.imm2 = code[p++];
      }
      break;
    case IMM_Z:
    case IMM_AP:
      if (opSize === 2) {
        if (p + 2 > end) return fail;
        i.imm = code[p] | (code[p + 1] << 8);
        if (row.imm === IMM_Z) i.imm = i.imm << 16 >> 16;
        p += 2;
      } else {
        if (p + 4 > end) return fail;
        i.imm = code[p] | (code[p + 1] << 8) | (code[p + 2] << 16) |
          (code[p + 3] << 24);
        p += 4;
      }
      if (row.imm === IMM_AP) {
        if (p + 2 > end) return fail;
        i.imm2 = code[p] | (code[p + 1] << 8);
        p += 2;
      }
      break;
    case IMM_O:
      if (addrSize === 2) {
        if (p + 2 > end) return fail;
        i.disp = code[p] | (code[p + 1] << 8);
        p += 2;
      } else {
        if (p + 4 > end) return fail;
        i.disp = code[p] | (code[p + 1] << 8) | (code[p + 2] << 16) |
          (code[p + 3] << 24);
        p += 4;
      }
      i.mod = 0;
      break;
  }
  i.length = p - start;
  if (i.vex) {
    if (!legal || i.vvvv !== 0 && !row.usesVvvv) i.row = ROWS[UD_ROW];
    i.vvvv &= REGISTERS - 1;
    i.immRegister = (i.imm >> 4) & (REGISTERS - 1);
  }
  // LOCK is legal only on a memory destination of the instructions that allow it.
  if (i.lock && (!row.lock || i.mod === 3)) i.row = ROWS[UD_ROW];
  return DECODE_OK;
}
