/**
 * A disassembler, from the same table as everything else. Intel's syntax.
 *
 * @module
 */

import { decode, DECODE_OK, Insn } from "./decode.ts";
import {
  KIND_A,
  KIND_B,
  KIND_C,
  KIND_D,
  KIND_E,
  KIND_G,
  KIND_H,
  KIND_I,
  KIND_J,
  KIND_L,
  KIND_M,
  KIND_N,
  KIND_O,
  KIND_ONE,
  KIND_P,
  KIND_Q,
  KIND_R,
  KIND_REG,
  KIND_S,
  KIND_SREG,
  KIND_ST,
  KIND_STI,
  KIND_U,
  KIND_V,
  KIND_W,
  KIND_X,
  KIND_Y,
  KIND_Z,
  SIZE_Y,
} from "./rows.ts";
import { DS, SS } from "./state.ts";

/** One disassembled instruction. */
export interface Disassembled {
  /** Its length in bytes; 1 if it is no instruction. */
  readonly length: number;
  /** Its text. */
  readonly text: string;
}

const R8 = ["al", "cl", "dl", "bl", "ah", "ch", "dh", "bh"];
const R16 = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
const SEGMENTS = ["es", "cs", "ss", "ds", "fs", "gs", "?", "?"];
const SIZE_NAMES: Readonly<Record<number, string>> = {
  1: "byte ptr ",
  2: "word ptr ",
  4: "dword ptr ",
  8: "qword ptr ",
  10: "tbyte ptr ",
  16: "xmmword ptr ",
  32: "ymmword ptr ",
};
/** Mnemonics that change with the operand size: 16, 32, 64 bits. */
const BY_SIZE: Readonly<Record<string, readonly [string, string, string]>> = {
  cbw: ["cbw", "cwde", "cdqe"],
  cwd: ["cwd", "cdq", "cqo"],
  cmpxchg8b: ["cmpxchg8b", "cmpxchg8b", "cmpxchg16b"],
};
/** String instructions, which take the size as a suffix. */
const STRINGS = new Set("movs cmps stos lods scas ins outs".split(" "));
const COMPARING = new Set(["cmps", "scas"]);

function hex(v: number): string {
  return "0x" + (v >>> 0).toString(16);
}

/** A number of two halves. */
function hexOf(low: number, high: number): string {
  if (high === 0) return hex(low);
  return hex(high) + (low >>> 0).toString(16).padStart(8, "0");
}

function signed(v: number): string {
  return v < 0 ? `-0x${(-v).toString(16)}` : `+0x${v.toString(16)}`;
}

/** The name of a register; `rex`: the prefix, which makes SPL to DIL of AH to BH. */
function register(size: number, n: number, rex = 0): string {
  if (n >= 8) return `r${n}` + ({ 1: "b", 2: "w", 4: "d" }[size] ?? "");
  if (size === 1) return rex !== 0 && n >= 4 ? `${R16[n]}l` : R8[n];
  return (size === 8 ? "r" : size === 4 ? "e" : "") + R16[n];
}

/** The kind of register that has the indices of a gather. */
function indexVector(i: Insn): string {
  // With indices of 32 bits for data of 64 the registers are half as many bits.
  const half = (i.opcode & 1) === 0 && i.vexW !== 0;
  return i.vexL !== 0 && !half ? "ymm" : "xmm";
}

function address(i: Insn): string {
  const parts: string[] = [];
  if (i.ripRelative) parts.push(i.addrSize === 4 ? "eip" : "rip");
  if (i.base >= 0) parts.push(register(i.addrSize, i.base));
  const vsib = i.row.handler.includes("gather");
  if (i.index >= 0 || vsib) {
    const index = vsib
      ? `${indexVector(i)}${i.sibIndex}`
      : register(i.addrSize, i.index);
    parts.push(index + (i.scale === 0 ? "" : `*${1 << i.scale}`));
  }
  const natural = i.base === 4 || i.base === 5 ? SS : DS;
  const segment = i.addrSize !== 8 && i.segment !== natural || i.override >= 0
    ? SEGMENTS[i.segment] + ":"
    : "";
  if (parts.length === 0) {
    const at = i.addrSize === 2 ? i.disp & 0xffff : i.disp;
    return `${SEGMENTS[i.segment]}:${hexOf(at, i.dispHi)}`;
  }
  return `${segment}[${parts.join("+")}${i.disp === 0 ? "" : signed(i.disp)}]`;
}

function operand(i: Insn, k: number, eip: number): string {
  const row = i.row;
  const said = row.sizes[k];
  const size = said === SIZE_Y
    ? (i.opSize === 8 ? 8 : 4)
    : said !== 0
    ? said
    : i.opSize;
  const memory = (): string => {
    const plain = row.operands[k] === "M" || row.name === "lea";
    if (row.operands[k] === "Wx" || row.operands[k] === "Mx") {
      return SIZE_NAMES[16 << i.vexL] + address(i);
    }
    return (plain ? "" : SIZE_NAMES[size] ?? "") + address(i);
  };
  const vector = (n: number): string =>
    (row.operands[k][1] === "x" && i.vexL !== 0 ? "ymm" : "xmm") + n;
  switch (row.kinds[k]) {
    case KIND_E:
      return i.mod === 3 ? register(size, i.rm, i.rex) : memory();
    case KIND_M:
    case KIND_O:
      return memory();
    case KIND_G:
      return register(size, i.reg, i.rex);
    case KIND_R:
      return register(size, i.rm, i.rex);
    case KIND_Z:
      return register(size, i.rm, i.rex);
    case KIND_REG:
      return register(size, row.fixed[k]);
    case KIND_I: {
      const v = row.operands[k] === "Ib" && row.operands[0] === "Iw"
        ? i.imm2
        : i.imm;
      if (size === 8) return hexOf(v, i.immHi);
      return hex(size === 1 ? v & 0xff : size === 2 ? v & 0xffff : v);
    }
    case KIND_J: {
      const target = eip + i.length + i.imm;
      return hex(i.opSize === 2 ? target & 0xffff : target);
    }
    case KIND_A:
      return `${hex(i.imm2)}:${hex(i.imm)}`;
    case KIND_S:
      return SEGMENTS[i.reg & 7];
    case KIND_SREG:
      return SEGMENTS[row.fixed[k]];
    case KIND_C:
      return `cr${i.reg}`;
    case KIND_D:
      return `dr${i.reg}`;
    case KIND_P:
      return `mm${i.reg}`;
    case KIND_N:
      return `mm${i.rm}`;
    case KIND_Q:
      return i.mod === 3 ? `mm${i.rm}` : memory();
    case KIND_V:
      return vector(i.reg);
    case KIND_U:
      return vector(i.rm);
    case KIND_W:
      return i.mod === 3 ? vector(i.rm) : memory();
    case KIND_H:
      return vector(i.vvvv);
    case KIND_L:
      return vector(i.immRegister);
    case KIND_B:
      return register(size, i.vvvv);
    case KIND_ST:
      return "st";
    case KIND_STI:
      return `st(${i.rm})`;
    case KIND_ONE:
      return "1";
    case KIND_X:
      return `${SEGMENTS[i.segment]}:[${register(i.addrSize, 6)}]`;
    case KIND_Y:
      return `es:[${register(i.addrSize, 7)}]`;
  }
  throw new Error(`${row.key}: operand ${k} has no text`);
}

/**
 * Disassembles the instruction at `code[start]`, which stands at `eip`; `vex`:
 * there are VEX prefixes, as in protected mode; `long`: it is code of 64-bit
 * mode.
 */
export function disassemble(
  code: Uint8Array,
  start: number,
  eip: number,
  code32: boolean,
  vex = true,
  long = false,
): Disassembled {
  const i = new Insn();
  const outcome = decode(i, code, start, code.length, code32, long, vex);
  if (outcome !== DECODE_OK) return { length: 1, text: "(bad)" };
  const row = i.row;
  let name = row.name;
  const sized = BY_SIZE[name];
  if (sized !== undefined) name = sized[i.opSize >> 2];
  let prefix = i.lock ? "lock " : "";
  if (STRINGS.has(name)) {
    if (i.rep !== 0) {
      prefix += i.rep === 0xf2
        ? "repnz "
        : COMPARING.has(name)
        ? "repz "
        : "rep ";
    }
    const size = (i.opcode & 1) === 0 ? 1 : i.opSize;
    name += { 1: "b", 2: "w", 4: "d", 8: "q" }[size];
  }
  const operands = row.operands.map((_, k) => operand(i, k, eip));
  return {
    length: i.length,
    text: `${prefix}${name} ${operands.join(",")}`.trimEnd(),
  };
}
