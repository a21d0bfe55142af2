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
  IMM_V,
  IMM_W,
  IMM_WB,
  IMM_Z,
  LONG_ROWS,
  MODRM,
  OPCODES,
  type Row,
  rowOf,
  ROWS,
  UD_ROW,
} from "./rows.ts";
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
  /** Displacement, sign-extended; for moffs operands the offset's low half. */
  disp = 0;
  /** High half of a moffs operand's offset of 64 bits. */
  dispHi = 0;
  /** The displacement counts from the following instruction's address (64-bit mode). */
  ripRelative = false;
  /** Immediate, sign-extended as the operand's letters say (unsigned for Ib, Iw); a jump's displacement; a far pointer's offset. */
  imm = 0;
  /** High half of an immediate of 64 bits; of others the low half's sign. */
  immHi = 0;
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

/** Instruction length limit. */
const MAX_LENGTH = 15;
// Base and index of the 16-bit addressing forms by rm: SDM volume 2, table 2-1.
const BASE16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX16 = [6, 7, 6, 7, -1, -1, -1, -1];

/** Bytes that are prefixes, REX not among them. */
const IS_PREFIX = new Uint8Array(256);
for (
  const prefix of [
    0x26,
    0x2e,
    0x36,
    0x3e,
    0x64,
    0x65,
    0x66,
    0x67,
    0xf0,
    0xf2,
    0xf3,
  ]
) IS_PREFIX[prefix] = 1;

function wordAt(code: Uint8Array, p: number): number {
  return code[p] | (code[p + 1] << 8) | (code[p + 2] << 16) |
    (code[p + 3] << 24);
}

/**
 * Decodes the instruction at `code[start]` into `i`, using no byte at or past
 * `limit`. `code32`: the code segment's D bit; `long`: it is code of 64-bit
 * mode; `vex`: C4 and C5 may begin a VEX prefix, as they do in protected mode.
 */
export function decode(
  i: Insn,
  code: Uint8Array,
  start: number,
  limit: number,
  code32: boolean,
  long: boolean,
  vex = true,
): 0 | 1 | 2 {
  const longest = start + MAX_LENGTH;
  const end = limit < longest ? limit : longest;
  const fail = limit < longest ? DECODE_SHORT : DECODE_LONG;
  let p = start;
  let opSize = code32 || long ? 4 : 2;
  let addrSize = long ? 8 : opSize;
  let rex = 0;
  i.has66 = 0;
  i.rep = 0;
  i.lock = false;
  i.vex = false;
  i.override = -1;
  i.mod = 3;
  i.base = -1;
  i.index = -1;
  i.sibIndex = -1;
  i.scale = 0;
  i.disp = 0;
  i.dispHi = 0;
  i.ripRelative = false;
  i.dispAt = -1;
  i.imm = 0;
  i.imm2 = 0;
  let op = 0;
  prefixes: for (;;) {
    if (p >= end) return fail;
    op = code[p++];
    if (long) {
      // A REX prefix that does not come last means nothing.
      if ((op & 0xf0) === 0x40) {
        rex = op;
        continue;
      }
      if (IS_PREFIX[op] === 0) break;
      rex = 0;
    }
    switch (op) {
      // In 64-bit mode these four mean nothing.
      case 0x26:
        if (!long) i.override = ES;
        break;
      case 0x2e:
        if (!long) i.override = CS;
        break;
      case 0x36:
        if (!long) i.override = SS;
        break;
      case 0x3e:
        if (!long) i.override = DS;
        break;
      case 0x64:
        i.override = FS;
        break;
      case 0x65:
        i.override = GS;
        break;
      case 0x66:
        i.has66 = 1;
        opSize = code32 || long ? 2 : 4;
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
  let legal = true, vexMap = 0;
  if (vex && isVex(op, code, p, end, long)) {
    const bytes = op === 0xc4 ? 2 : 1;
    if (p + bytes >= end) return fail;
    // After LOCK, 66, F2, F3 and REX it is undefined.
    legal = !i.lock && (i.has66 | i.rep | rex) === 0;
    vexMap = decodeVex(i, op, code, p);
    p += bytes;
    op = code[p++];
    opSize = 4;
    rex = long ? i.rex : 0;
  }
  if ((rex & 8) !== 0) opSize = 8;
  i.rex = rex;
  const rexB = (rex & 1) << 3;
  let map = vexMap;
  if (map === 0 && op === 0x0f) {
    if (p >= end) return fail;
    op = code[p++];
    map = 1;
    if (op === 0x38 || op === 0x3a) {
      map = op === 0x38 ? 2 : 3;
      if (p >= end) return fail;
      op = code[p++];
    }
  }
  i.map = map;
  i.opcode = op;
  i.addrSize = addrSize;
  i.reg = 0;
  i.rm = op & 7 | rexB;
  let segment: number = DS;
  if (MODRM[(map << 8) | op] !== 0) {
    if (p >= end) return fail;
    const m = code[p++];
    // MOV to and from control and debug registers ignore mod.
    const mod = map === 1 && (op & 0xfc) === 0x20 ? 3 : m >> 6;
    let rm = m & 7;
    i.mod = mod;
    // x87 registers are eight.
    const isX87 = map === 0 && (op & 0xf8) === 0xd8;
    i.reg = (m >> 3) & 7 | (isX87 ? 0 : (rex & 4) << 1);
    i.rm = isX87 ? rm : rm | rexB;
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
          const index = (sib >> 3) & 7 | (rex & 2) << 2;
          i.sibIndex = index;
          i.scale = sib >> 6;
          if (index !== 4) i.index = index;
        }
        if (rm === 5 && mod === 0) {
          dispSize = 4;
          i.ripRelative = long && (m & 7) === 5;
        } else i.base = rm | rexB;
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
        i.disp = wordAt(code, p);
        p += 4;
      }
    }
  }
  i.segment = i.override >= 0 ? i.override : segment;
  const opcode = (map << 8) | op;
  const prefix = i.rep === 0xf3 ? 2 : i.rep === 0xf2 ? 3 : i.has66;
  let row = ROWS[rowOf(opcode, prefix, i.mod, i.reg & 7, i.rm & 7)];
  if (long) {
    const other = LONG_ROWS[prefix * OPCODES + opcode];
    if (other >= 0) row = ROWS[other];
    else if (row.invalid64) row = ROWS[UD_ROW];
    if (row.force64 || row.default64 && opSize === 4) opSize = 8;
  }
  i.opSize = opSize;
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
    case IMM_V:
    case IMM_Z:
    case IMM_AP:
      if (opSize === 2) {
        if (p + 2 > end) return fail;
        i.imm = code[p] | (code[p + 1] << 8);
        if (row.imm !== IMM_AP) i.imm = i.imm << 16 >> 16;
        p += 2;
      } else {
        if (p + 4 > end) return fail;
        i.imm = wordAt(code, p);
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
        if (p + addrSize > end) return fail;
        i.disp = wordAt(code, p);
        if (addrSize === 8) i.dispHi = wordAt(code, p + 4);
        p += addrSize;
      }
      i.mod = 0;
      break;
  }
  if (row.imm === IMM_V && opSize === 8) {
    if (p + 4 > end) return fail;
    i.immHi = wordAt(code, p);
    p += 4;
  } else i.immHi = i.imm >> 31;
  i.length = p - start;
  if (i.vex) {
    if (!legal || i.vvvv !== 0 && !row.usesVvvv) i.row = ROWS[UD_ROW];
    const registers = long ? 16 : 8;
    i.vvvv &= registers - 1;
    i.immRegister = (i.imm >> 4) & (registers - 1);
  }
  // LOCK is legal only on a memory destination of the instructions that allow it.
  if (i.lock && (!row.lock || i.mod === 3)) i.row = ROWS[UD_ROW];
  return DECODE_OK;
}
