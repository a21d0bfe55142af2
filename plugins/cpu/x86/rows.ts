/**
 * The instruction table (insns.ts, insns_vex.ts), read: a {@linkcode Row} for
 * each line, and which row an opcode has.
 *
 * @module
 */

import { INSNS } from "./insns.ts";
import { linesOf, vexLines } from "./insns_vex.ts";

/** Kinds of operands. */
export const KIND_NONE = 0,
  KIND_E = 1,
  KIND_G = 2,
  KIND_M = 3,
  KIND_I = 4,
  KIND_J = 5,
  KIND_O = 6,
  KIND_Z = 7,
  KIND_REG = 8,
  KIND_S = 9,
  KIND_C = 10,
  KIND_D = 11,
  KIND_R = 12,
  KIND_P = 13,
  KIND_Q = 14,
  KIND_N = 15,
  KIND_V = 16,
  KIND_W = 17,
  KIND_U = 18,
  KIND_A = 19,
  KIND_SREG = 20,
  KIND_ST = 21,
  KIND_STI = 22,
  KIND_ONE = 23,
  KIND_X = 24,
  KIND_Y = 25,
  KIND_H = 26,
  KIND_B = 27,
  KIND_L = 28;

/** Immediates: none; byte; byte sign-extended; word; word and byte; by operand size; far pointer; offset by address size. */
export const IMM_NONE = 0,
  IMM_B = 1,
  IMM_BS = 2,
  IMM_W = 3,
  IMM_WB = 4,
  IMM_Z = 5,
  IMM_AP = 6,
  IMM_O = 7,
  IMM_V = 8;

/** Classes of instructions: none; x87; WAIT; MMX; SSE; AVX. */
export const CLASS_NONE = 0,
  CLASS_X87 = 1,
  CLASS_WAIT = 2,
  CLASS_MMX = 3,
  CLASS_SSE = 4,
  CLASS_AVX = 5;

/** In {@linkcode Row.sizes}: 4, or 8 with REX.W. */
export const SIZE_Y = 12;

/** One line of the table. */
export interface Row {
  /** Its place in {@linkcode ROWS}. */
  readonly index: number;
  /** The key. */
  readonly key: string;
  /** The mnemonic. */
  readonly name: string;
  /** The operands as written. */
  readonly operands: readonly string[];
  /** Name of the translate function. */
  readonly handler: string;
  /** Kind of each operand: one of the `KIND_` constants. */
  readonly kinds: readonly number[];
  /** Size of each operand in bytes; 0: the operand size. */
  readonly sizes: readonly number[];
  /** Register number of each operand that is a fixed register. */
  readonly fixed: readonly number[];
  /** Immediates: one of the `IMM_` constants. */
  readonly imm: number;
  /** LOCK is allowed. */
  readonly lock: boolean;
  /** Reads and writes operand 0: a page fault of the read is reported as one of a write. */
  readonly modifies: boolean;
  /** Operand size 64 by default in 64-bit mode. */
  readonly default64: boolean;
  /** Operand size 64 in 64-bit mode, whatever the prefixes. */
  readonly force64: boolean;
  /** Undefined in 64-bit mode. */
  readonly invalid64: boolean;
  /** Defined in 64-bit mode only, in place of what else the opcode is. */
  readonly only64: boolean;
  /** The feature that it needs, or "". */
  readonly feature: string;
  /** One of the `CLASS_` constants. */
  readonly class: number;
  /** One of its operands stands in the VEX prefix. */
  readonly usesVvvv: boolean;
}

const LETTERS: Readonly<Record<string, number>> = {
  E: KIND_E,
  G: KIND_G,
  M: KIND_M,
  I: KIND_I,
  J: KIND_J,
  O: KIND_O,
  Z: KIND_Z,
  S: KIND_S,
  C: KIND_C,
  D: KIND_D,
  R: KIND_R,
  P: KIND_P,
  Q: KIND_Q,
  N: KIND_N,
  V: KIND_V,
  W: KIND_W,
  U: KIND_U,
  A: KIND_A,
  X: KIND_X,
  Y: KIND_Y,
  H: KIND_H,
  B: KIND_B,
  L: KIND_L,
};
const SIZES: Readonly<Record<string, number>> = {
  b: 1,
  w: 2,
  d: 4,
  q: 8,
  t: 10,
  x: 16,
  o: 16,
  y: SIZE_Y,
};
const FIXED: Readonly<Record<string, readonly [number, number, number]>> = {
  // kind, size, number
  AL: [KIND_REG, 1, 0],
  CL: [KIND_REG, 1, 1],
  AX: [KIND_REG, 2, 0],
  DX: [KIND_REG, 2, 2],
  eAX: [KIND_REG, 0, 0],
  rAX: [KIND_REG, 0, 0],
  ES: [KIND_SREG, 2, 0],
  CS: [KIND_SREG, 2, 1],
  SS: [KIND_SREG, 2, 2],
  DS: [KIND_SREG, 2, 3],
  FS: [KIND_SREG, 2, 4],
  GS: [KIND_SREG, 2, 5],
  ST: [KIND_ST, 10, 0],
  STi: [KIND_STI, 10, 0],
  "1": [KIND_ONE, 1, 0],
};
const CLASSES: Readonly<Record<string, number>> = {
  x87: CLASS_X87,
  x87w: CLASS_WAIT,
  mmx: CLASS_MMX,
  sse: CLASS_SSE,
  avx: CLASS_AVX,
};

/** Instructions that lock or modify their first operand. */
const MODIFIES = new Set(
  "add or adc sbb and sub xor inc dec neg not rol ror rcl rcr shl shr sar shld shrd xchg cmpxchg xadd cmpxchg8b bts btr btc"
    .split(" "),
);

function immediateOf(operands: readonly string[]): number {
  if (operands[0] === "Iw") return operands[1] === "Ib" ? IMM_WB : IMM_W;
  for (const o of operands) {
    if (o === "Ib" || o[0] === "L") return IMM_B;
    if (o === "Ibs" || o === "Jb") return IMM_BS;
    if (o === "Iv") return IMM_V;
    if (o === "Iz" || o === "Jz") return IMM_Z;
    if (o === "Ap") return IMM_AP;
    if (o[0] === "O") return IMM_O;
  }
  return IMM_NONE;
}

type Operands = Pick<Row, "operands" | "kinds" | "sizes" | "fixed" | "imm">;
type Attributes =
  & Pick<
    Row,
    | "lock"
    | "default64"
    | "force64"
    | "invalid64"
    | "only64"
    | "feature"
    | "class"
  >
  & {
    /** The translate function, or "". */
    readonly handler: string;
  };

function parseOperands(list: string): Operands {
  const operands = list === "-" ? [] : list.split(",");
  const kinds = [0, 0, 0, 0], sizes = [0, 0, 0, 0], fixed = [0, 0, 0, 0];
  operands.forEach((o, k) => {
    const f = FIXED[o];
    if (f !== undefined) {
      [kinds[k], sizes[k], fixed[k]] = f;
      return;
    }
    const kind = LETTERS[o[0]];
    if (kind === undefined) throw new Error(`bad operand ${o} in ${list}`);
    kinds[k] = kind;
    sizes[k] = o === "Ibs" ? 0 : SIZES[o.slice(1)] ?? 0;
  });
  return { operands, kinds, sizes, fixed, imm: immediateOf(operands) };
}

function parseAttributes(text: string): Attributes {
  const attributes = text === "" ? [] : text.split(" ");
  let handler = "", feature = "", cls = CLASS_NONE;
  for (const a of attributes) {
    if (a[0] === "=") handler = a.slice(1);
    else if (a[0] === "+") feature = a.slice(1);
    else if (a in CLASSES) cls = CLASSES[a];
    else if (!/^(lock|[dfio]64)$/.test(a)) {
      throw new Error(`bad attribute ${a} in ${text}`);
    }
  }
  return {
    handler,
    lock: attributes.includes("lock"),
    default64: attributes.includes("d64"),
    force64: attributes.includes("f64"),
    invalid64: attributes.includes("i64"),
    only64: attributes.includes("o64"),
    feature,
    class: cls,
  };
}

/** Parses each text once: many lines have the same operands and attributes. */
function memo<T>(parse: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    let value = known.get(text);
    if (value === undefined) known.set(text, value = parse(text));
    return value;
  };
}

// All of this runs once in each process, in code that V8 has not seen before:
// patterns that take arrays and objects apart cost it most.

const operandsOf = memo(parseOperands);
const attributesOf = memo(parseAttributes);
/** A line whose columns are one space apart. */
function parse(line: string, index: number): Row {
  const key = line.slice(0, line.indexOf(" "));
  const nameAt = key.length + 1;
  const nameEnd = line.indexOf(" ", nameAt);
  if (nameEnd < 0) throw new Error(`bad line: ${line}`);
  const name = line.slice(nameAt, nameEnd);
  const operandsAt = nameEnd + 1;
  const space = line.indexOf(" ", operandsAt);
  const operandsEnd = space < 0 ? line.length : space;
  const o = operandsOf(line.slice(operandsAt, operandsEnd));
  const a = attributesOf(line.slice(operandsEnd + 1));
  const kinds = o.kinds;
  return {
    index,
    key,
    name,
    operands: o.operands,
    handler: a.handler === "" ? name : a.handler,
    kinds,
    sizes: o.sizes,
    fixed: o.fixed,
    imm: o.imm,
    modifies: MODIFIES.has(name) &&
      (kinds[0] === KIND_E || kinds[0] === KIND_M),
    lock: a.lock,
    default64: a.default64,
    force64: a.force64,
    invalid64: a.invalid64,
    only64: a.only64,
    feature: a.feature,
    class: a.class,
    usesVvvv: kinds.includes(KIND_H) || kinds.includes(KIND_B),
  };
}

/** The row of everything that is undefined. */
export const UD_ROW = 0;

/** The table. */
export const ROWS: readonly Row[] = [
  "- (bad) - =ud",
  ...linesOf(INSNS),
  ...vexLines(),
].map(parse);

/**
 * Maps: 0 to 3 without a VEX prefix; with one `MAP_VEX` + (0 for `0F`, 1 for
 * `0F 38`, 2 for `0F 3A`) + 3 * W + 6 * L; the last one is empty.
 */
export const MAP_VEX = 4, MAP_NONE = 16;
const MAP_COUNT = 17;

/** Whether an opcode (map << 8 | opcode) is followed by a ModRM byte. */
export const MODRM: Uint8Array = new Uint8Array(MAP_COUNT * 256);

// Finding a row: ROOT has the row of each opcode, or -1 - (its group). A group
// has a row for each prefix (none, 66, F3, F2), memory or register, reg and rm.
const ROOT = new Int16Array(MAP_COUNT * 256);
const groups: Int16Array[] = [];
const GROUP_ENTRIES = 4 * 2 * 8 * 8;

/** The number in {@linkcode ROWS} of an opcode (map << 8 | opcode), a prefix (0 none, 1 66, 2 F3, 3 F2) and the fields of ModRM. */
export function rowOf(
  opcode: number,
  prefix: number,
  mod: number,
  reg: number,
  rm: number,
): number {
  const root = ROOT[opcode];
  if (root >= 0) return root;
  return groups[-1 - root][
    (prefix << 7) | (mod === 3 ? 64 : 0) | (reg << 3) | rm
  ];
}

const KEY =
  /^(?:(v)(?:w([01]))?(?:l([01]))?\.)?(?:(np|66|f3|f2)\.)?(0f\.(?:38\.|3a\.)?)?([0-9a-f]{2})(?:\/([0-7]))?([mr])?(?::([0-7]))?$/;
const PREFIXES = ["np", "66", "f3", "f2"];
const MAPS: readonly (string | undefined)[] = [
  undefined,
  "0f.",
  "0f.38.",
  "0f.3a.",
];
const FORMS = ["m", "r"];
/** By kind, as bits: operands that stand in ModRM. */
const MODRM_KINDS = 1 << KIND_E | 1 << KIND_G | 1 << KIND_M | 1 << KIND_S |
  1 << KIND_C | 1 << KIND_D | 1 << KIND_R | 1 << KIND_P | 1 << KIND_Q |
  1 << KIND_N | 1 << KIND_V | 1 << KIND_W | 1 << KIND_U | 1 << KIND_H |
  1 << KIND_B | 1 << KIND_L;

/** What a key says; a field that it does not mention is -1. */
interface Place {
  readonly row: number;
  readonly opcode: number;
  readonly prefix: number;
  readonly form: number;
  readonly reg: number;
  readonly rm: number;
  /** How much it says: what says more wins over what says less. */
  readonly weight: number;
}

/** Weights are less than this. */
const WEIGHTS = 16;

/** The number that a part of a key is, or -1. */
function numberIn(part: string | undefined): number {
  return part === undefined ? -1 : Number(part);
}

/** Calls `each` with the places of a row in all maps that its line stands in. */
function placesOf(row: Row, each: (place: Place) => void): void {
  const m = KEY.exec(row.key);
  if (m === null) throw new Error(`bad key: ${row.key}`);
  const map = MAPS.indexOf(m[5]);
  if (m[1] === undefined) return each(placeOf(row, m, map));
  eachOf(numberIn(m[2]), 2, (wide) =>
    eachOf(
      numberIn(m[3]),
      2,
      (long) => each(placeOf(row, m, MAP_VEX + map - 1 + 3 * wide + 6 * long)),
    ));
}

function placeOf(row: Row, m: RegExpExecArray, map: number): Place {
  const kinds = row.kinds;
  const opcode = (map << 8) | parseInt(m[6], 16);
  const prefix = PREFIXES.indexOf(m[4]);
  const reg = numberIn(m[7]);
  const form = FORMS.indexOf(m[8]);
  const rm = numberIn(m[9]);
  let isInModrm = reg >= 0 || form >= 0;
  for (let i = 0; i < kinds.length; i++) {
    if ((MODRM_KINDS >> kinds[i] & 1) !== 0) isInModrm = true;
  }
  if (isInModrm) MODRM[opcode] = 1;
  const weight = (prefix >= 0 ? 8 : 0) | (reg >= 0 ? 4 : 0) |
    (form >= 0 ? 2 : 0) | (rm >= 0 ? 1 : 0);
  return { row: row.index, opcode, prefix, form, reg, rm, weight };
}

/** Calls `each` with the one number that is said, or with all below `count`. */
function eachOf(
  said: number,
  count: number,
  each: (value: number) => void,
): void {
  if (said >= 0) return each(said);
  for (let value = 0; value < count; value++) each(value);
}

/** Enters a place; those that say less must have been entered. */
function enter(p: Place): void {
  const root = ROOT[p.opcode];
  if (p.weight === 0) {
    ROOT[p.opcode] = p.row;
    return;
  }
  if (root >= 0) {
    ROOT[p.opcode] = -1 - groups.length;
    groups.push(new Int16Array(GROUP_ENTRIES).fill(root));
  }
  const group = groups[-1 - ROOT[p.opcode]];
  eachOf(p.prefix, 4, (prefix) =>
    eachOf(p.form, 2, (form) => {
      const part = (prefix << 7) | (form << 6);
      if (p.rm < 0) {
        // The entries of one reg are neighbours, and so are all regs.
        const from = part | (p.reg < 0 ? 0 : p.reg << 3);
        group.fill(p.row, from, from + (p.reg < 0 ? 64 : 8));
      } else {
        eachOf(p.reg, 8, (reg) => group[part | (reg << 3) | p.rm] = p.row);
      }
    }));
}

/** How many opcodes (map << 8 | opcode) there are. */
export const OPCODES: number = MAP_COUNT * 256;

/**
 * By prefix (0 none, 1 66, 2 F3, 3 F2) * {@linkcode OPCODES} + opcode: the row
 * that it has in 64-bit mode instead of its others, or -1.
 */
export const LONG_ROWS: Int16Array = new Int16Array(4 * OPCODES).fill(-1);

const byWeight: Place[][] = Array.from({ length: WEIGHTS }, () => []);
for (let i = UD_ROW + 1; i < ROWS.length; i++) {
  const row = ROWS[i];
  placesOf(row, (place) => {
    if (!row.only64) byWeight[place.weight].push(place);
    else {
      eachOf(place.prefix, 4, (prefix) => {
        LONG_ROWS[prefix * OPCODES + place.opcode] = row.index;
      });
    }
  });
}
for (const places of byWeight) places.forEach(enter);
