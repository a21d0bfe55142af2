/**
 * Rewrite rules applied as operations are added: constant folding and
 * algebraic identities. Each rule is directional (its result is simpler),
 * keeps the type, and is an identity of WebAssembly's integer arithmetic, so
 * both executors agree with it. Floating point is never folded: its result may
 * depend on NaN payloads.
 *
 * @module
 */

import type { Value } from "../block.ts";
import { Op, OPS } from "../ops.ts";

/** What the rules need of the builder. */
export interface Folder {
  /** Whether a temp is an i32 constant. */
  isConst(v: Value): boolean;
  /** The value of an i32 constant. */
  constOf(v: Value): number;
  /** Whether a temp is an i64 constant. */
  isConst64(v: Value): boolean;
  /** The high half of an i64 constant; `constOf` gives the low one. */
  highOf(v: Value): number;
  /** The operation that defined a temp. */
  opOf(v: Value): number;
  /** An i32 constant. */
  i32(v: number): Value;
  /** An i64 constant. */
  i64(lo: number, hi: number): Value;
  /** Appends an operation, folded. */
  op(op: number, a: Value, b?: Value, c?: Value): Value;
  /** Appends an operation as it is. */
  emit(op: number, a: Value, b: Value, c: Value, lo: number, hi: number): Value;
  /** The block under construction. */
  readonly block: {
    readonly valueDef: Int32Array;
    readonly a: Int32Array;
    readonly b: Int32Array;
  };
}

const ADD = Op["i32.add"];
const SUB = Op["i32.sub"];
const MUL = Op["i32.mul"];
const AND = Op["i32.and"];
const OR = Op["i32.or"];
const XOR = Op["i32.xor"];
const SHL = Op["i32.shl"];
const SHR_S = Op["i32.shr_s"];
const SHR_U = Op["i32.shr_u"];
const ROTL = Op["i32.rotl"];
const ROTR = Op["i32.rotr"];
const EQ = Op["i32.eq"];
const NE = Op["i32.ne"];
const EQZ = Op["i32.eqz"];
const LT_U = Op["i32.lt_u"];
const LE_U = Op["i32.le_u"];
const EXT8 = Op["i32.extend8_s"];
const EXT16 = Op["i32.extend16_s"];
const LD8U = Op["ld8u"];
const LD16U = Op["ld16u"];
const SELECT = Op["i32.select"];
const SELECT64 = Op["i64.select"];
const SELECT128 = Op["v128.select"];
const WRAP = Op["i32.wrap_i64"];
const EXTEND_S = Op["i64.extend_i32_s"];
const EXTEND_U = Op["i64.extend_i32_u"];
const MUL64 = Op["i64.mul"];
const ADD64 = Op["i64.add"];
const SUB64 = Op["i64.sub"];
const AND64 = Op["i64.and"];
const OR64 = Op["i64.or"];
const XOR64 = Op["i64.xor"];
const SHL64 = Op["i64.shl"];
const SHR_S64 = Op["i64.shr_s"];
const SHR_U64 = Op["i64.shr_u"];
const ROTL64 = Op["i64.rotl"];
const ROTR64 = Op["i64.rotr"];
const EQ64 = Op["i64.eq"];
const NE64 = Op["i64.ne"];
const EQZ64 = Op["i64.eqz"];
/** Operations whose result is 0 or 1: 1. */
const BOOLEAN: Uint8Array = Uint8Array.from(
  OPS,
  ({ name }) => /^[if]\d+\.(eqz?|ne|lt|gt|le|ge)(_[su])?$/.test(name) ? 1 : 0,
);
// The op table's entries, each fetched alone: most questions need one of them.
const FOLD = OPS.map((o) => o.fold);
const ARGC: Uint8Array = Uint8Array.from(OPS, (o) => o.args.length);
const COMMUTATIVE: Uint8Array = Uint8Array.from(
  OPS,
  (o) => o.commutative ? 1 : 0,
);
/** Operations with a rule: 1. The others are of vectors and floating point. */
const HAS_RULE: Uint8Array = Uint8Array.from(
  OPS,
  ({ name, id, fold }) =>
    fold !== undefined || name.startsWith("i64.") || id === WRAP ||
      id === SELECT || id === SELECT128
      ? 1
      : 0,
);

/** The i32 of which a temp is the extension, or 0. */
function narrow(f: Folder, v: Value): Value {
  const op = f.opOf(v);
  return op === EXTEND_S || op === EXTEND_U
    ? f.block.a[f.block.valueDef[v]]
    : 0;
}

/**
 * Whether a temp is `x & mask`, by the operation `and`, and has none of the
 * bits `k` of its low word: ((x & mask) | y) & k = y & k. So a byte of a
 * register is read that has just been written.
 */
function isClear(f: Folder, and: number, v: Value, k: number): boolean {
  if (f.opOf(v) !== and) return false;
  const mask = f.block.b[f.block.valueDef[v]];
  const isConst = and === AND ? f.isConst(mask) : f.isConst64(mask);
  return isConst && (f.constOf(mask) & k) === 0;
}

/**
 * The temp that the operation simplifies to, or 0 if it has to be emitted.
 * (Without functions inside: for those, memory is taken at each call.)
 */
export function fold(
  f: Folder,
  op: number,
  a: Value,
  b: Value,
  c: Value,
): Value {
  if (HAS_RULE[op] === 0) return 0;
  if (op === SELECT || op === SELECT64 || op === SELECT128) {
    if (f.isConst(c)) return f.constOf(c) !== 0 ? a : b;
    return a === b ? a : 0;
  }
  if (op === WRAP) {
    const def = f.block.valueDef[a];
    const inner = f.opOf(a);
    if (inner === EXTEND_S || inner === EXTEND_U) return f.block.a[def];
    if (inner === MUL64) {
      // The low half of a product does not depend on how its factors were
      // extended; the high half of IMUL is mostly dead.
      const x = narrow(f, f.block.a[def]);
      const y = narrow(f, f.block.b[def]);
      if (x !== 0 && y !== 0) return f.op(MUL, x, y);
    }
    if (f.isConst64(a)) return f.i32(f.constOf(a));
    return 0;
  }
  const compute = FOLD[op];
  if (compute === undefined) return fold64(f, op, a, b);
  if (ARGC[op] === 1) {
    if (f.isConst(a)) return f.i32(compute(f.constOf(a), 0));
    if (op === EQZ && f.opOf(a) === NE) {
      const def = f.block.valueDef[a];
      return f.op(EQ, f.block.a[def], f.block.b[def]);
    }
    if (op === EQZ && f.opOf(a) === EQ) {
      const def = f.block.valueDef[a];
      return f.op(NE, f.block.a[def], f.block.b[def]);
    }
    return 0;
  }
  if (f.isConst(a)) {
    if (f.isConst(b)) return f.i32(compute(f.constOf(a), f.constOf(b)));
    if (COMMUTATIVE[op] !== 0) return f.op(op, b, a);
  }
  if (a === b) {
    switch (op) {
      case SUB:
      case XOR:
      case NE:
      case LT_U:
        return f.i32(0);
      case AND:
      case OR:
        return a;
      case EQ:
      case LE_U:
        return f.i32(1);
    }
  }
  if (op === SUB && f.opOf(a) === ADD) {
    // (x + y) - y = x
    const def = f.block.valueDef[a];
    if (f.block.b[def] === b) return f.block.a[def];
    if (f.block.a[def] === b) return f.block.b[def];
  }
  if (op === ADD && f.opOf(a) === SUB && f.block.b[f.block.valueDef[a]] === b) {
    return f.block.a[f.block.valueDef[a]]; // (x - y) + y = x
  }
  if (!f.isConst(b)) return 0;
  const k = f.constOf(b);
  switch (op) {
    case ADD: {
      if (k === 0) return a;
      if (f.opOf(a) === ADD) {
        const def = f.block.valueDef[a];
        const inner = f.block.b[def];
        if (f.isConst(inner)) {
          return f.op(ADD, f.block.a[def], f.i32(f.constOf(inner) + k));
        }
      }
      return 0;
    }
    case SUB:
      return f.op(ADD, a, f.i32(-k));
    case MUL:
      if (k === 0) return b;
      if (k === 1) return a;
      return k > 0 && (k & (k - 1)) === 0
        ? f.op(SHL, a, f.i32(31 - Math.clz32(k)))
        : 0;
    case AND: {
      if (k === 0) return b;
      if (k === -1) return a;
      if (k === 1 && BOOLEAN[f.opOf(a)] !== 0) return a;
      if ((k & 0xff) === 0xff && f.opOf(a) === LD8U) return a;
      if ((k & 0xffff) === 0xffff && f.opOf(a) === LD16U) return a;
      if (f.opOf(a) === AND) {
        const def = f.block.valueDef[a];
        const inner = f.block.b[def];
        if (f.isConst(inner)) {
          const both = f.constOf(inner) & k;
          if (both === f.constOf(inner)) return a;
          return f.op(AND, f.block.a[def], f.i32(both));
        }
      }
      if (f.opOf(a) === OR) {
        // (x | k1) & k2 = x & k2 when the masks do not meet
        const def = f.block.valueDef[a];
        const inner = f.block.b[def];
        if (f.isConst(inner) && (f.constOf(inner) & k) === 0) {
          return f.op(AND, f.block.a[def], b);
        }
        if (isClear(f, AND, f.block.a[def], k)) return f.op(AND, inner, b);
      }
      if (f.opOf(a) === WRAP) {
        const wide = f.block.a[f.block.valueDef[a]];
        const def = f.block.valueDef[wide];
        if (f.opOf(wide) === OR64 && isClear(f, AND64, f.block.a[def], k)) {
          return f.op(AND, f.op(WRAP, f.block.b[def]), b);
        }
      }
      return 0;
    }
    case OR:
      if (k === 0) return a;
      return k === -1 ? b : 0;
    case XOR:
      return k === 0 ? a : 0;
    case SHL:
    case SHR_S:
    case SHR_U:
    case ROTL:
    case ROTR:
      return (k & 31) === 0 ? a : 0;
    case EQ:
      if (k === 0) return f.op(EQZ, a);
      return k === 1 && BOOLEAN[f.opOf(a)] !== 0 ? a : 0;
    case NE:
      if (k === 0 && BOOLEAN[f.opOf(a)] !== 0) return a;
      return k === 1 && BOOLEAN[f.opOf(a)] !== 0 ? f.op(EQZ, a) : 0;
    case LT_U:
      return k === 0 ? b : 0;
  }
  if (op === EXT8 || op === EXT16) return 0;
  return 0;
}

/** An i64 constant as a signed number. */
function bigOf(f: Folder, v: Value): bigint {
  return BigInt(f.highOf(v)) << 32n | BigInt(f.constOf(v) >>> 0);
}

/**
 * The result of an operation on two i64 constants, or 0 if it is not computed.
 * By halves: with BigInts, of which V8 allocates some ten here, this was 3 % of
 * what compiling the code of a 64-bit kernel takes.
 */
function computed64(f: Folder, op: number, a: Value, b: Value): Value {
  const lo = f.constOf(a), hi = f.highOf(a);
  const low = f.constOf(b), high = f.highOf(b);
  const n = low & 63;
  switch (op) {
    case ADD64: {
      const sum = (lo + low) | 0;
      const carry = sum >>> 0 < lo >>> 0 ? 1 : 0;
      return f.i64(sum, (hi + high + carry) | 0);
    }
    case SUB64: {
      const borrow = lo >>> 0 < low >>> 0 ? 1 : 0;
      return f.i64((lo - low) | 0, (hi - high - borrow) | 0);
    }
    case MUL64: {
      const product = BigInt.asIntN(64, bigOf(f, a) * bigOf(f, b));
      const half = Number(BigInt.asIntN(32, product));
      return f.i64(half, Number(product >> 32n));
    }
    case AND64:
      return f.i64(lo & low, hi & high);
    case OR64:
      return f.i64(lo | low, hi | high);
    case XOR64:
      return f.i64(lo ^ low, hi ^ high);
    // Numbers are shifted by their low five bits: n = 0 and n >= 32 apart.
    case SHL64:
      if (n === 0) return a;
      return n >= 32
        ? f.i64(0, lo << n)
        : f.i64(lo << n, hi << n | lo >>> (32 - n));
    case SHR_U64:
      if (n === 0) return a;
      return n >= 32
        ? f.i64(hi >>> n | 0, 0)
        : f.i64(lo >>> n | hi << (32 - n), hi >>> n | 0);
    case SHR_S64:
      if (n === 0) return a;
      return n >= 32
        ? f.i64(hi >> n, hi >> 31)
        : f.i64(lo >>> n | hi << (32 - n), hi >> n);
  }
  return 0;
}

function isZero(f: Folder, v: Value): boolean {
  return f.constOf(v) === 0 && f.highOf(v) === 0;
}

/** The same for operations on i64. */
function fold64(f: Folder, op: number, a: Value, b: Value): Value {
  if (op === EXTEND_S || op === EXTEND_U) {
    if (!f.isConst(a)) return 0;
    const lo = f.constOf(a);
    return f.i64(lo, op === EXTEND_S ? lo >> 31 : 0);
  }
  if (op === EQZ64) {
    const short = narrow(f, a);
    if (short !== 0) return f.op(EQZ, short);
    return f.isConst64(a) ? f.i32(isZero(f, a) ? 1 : 0) : 0;
  }
  if (b === 0) return 0;
  if (f.isConst64(a)) {
    if (f.isConst64(b)) {
      const value = computed64(f, op, a, b);
      if (value !== 0) return value;
    } else if (COMMUTATIVE[op] !== 0) return f.op(op, b, a);
  }
  if (a === b) {
    if (op === SUB64 || op === XOR64) return f.i64(0, 0);
    if (op === AND64 || op === OR64) return a;
    if (op === EQ64) return f.i32(1);
    if (op === NE64) return f.i32(0);
  }
  if (op === SUB64 && f.opOf(a) === ADD64) {
    // (x + y) - y = x
    const def = f.block.valueDef[a];
    if (f.block.b[def] === b) return f.block.a[def];
    if (f.block.a[def] === b) return f.block.b[def];
  }
  if (
    op === ADD64 && f.opOf(a) === SUB64 && f.block.b[f.block.valueDef[a]] === b
  ) return f.block.a[f.block.valueDef[a]]; // (x - y) + y = x
  if (!f.isConst64(b)) return 0;
  const zero = isZero(f, b);
  switch (op) {
    case ADD64: {
      if (zero) return a;
      if (f.opOf(a) !== ADD64) return 0;
      const def = f.block.valueDef[a];
      const inner = f.block.b[def];
      if (!f.isConst64(inner)) return 0;
      return f.op(ADD64, f.block.a[def], f.op(ADD64, inner, b));
    }
    case SUB64:
      return f.op(ADD64, a, f.op(SUB64, f.i64(0, 0), b));
    case OR64:
    case XOR64:
    case SHL64:
    case SHR_S64:
    case SHR_U64:
    case ROTL64:
    case ROTR64:
      return zero ? a : 0;
    case AND64: {
      if (zero) return b;
      const lo = f.constOf(b), hi = f.highOf(b);
      if (lo === -1 && hi === -1) return a;
      // An extension has no bits above its 32.
      if (f.opOf(a) === EXTEND_U) {
        const inner = f.block.a[f.block.valueDef[a]];
        return f.op(EXTEND_U, f.op(AND, inner, f.i32(lo)));
      }
      return lo === -1 && hi === 0 ? f.op(EXTEND_U, f.op(WRAP, a)) : 0;
    }
    case EQ64:
      return zero ? f.op(EQZ64, a) : 0;
  }
  return 0;
}
