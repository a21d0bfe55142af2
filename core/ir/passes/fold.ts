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
  /** The operation that defined a temp. */
  opOf(v: Value): number;
  /** An i32 constant. */
  i32(v: number): Value;
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
/** Operations whose result is 0 or 1. */
const BOOLEAN = new Set<number>(
  OPS.filter((o) => /^[if]\d+\.(eqz?|ne|lt|gt|le|ge)(_[su])?$/.test(o.name))
    .map((o) => o.id),
);

/** The i32 of which a temp is the extension, or 0. */
function narrow(f: Folder, v: Value): Value {
  const op = f.opOf(v);
  return op === EXTEND_S || op === EXTEND_U
    ? f.block.a[f.block.valueDef[v]]
    : 0;
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
  const info = OPS[op];
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
    return 0;
  }
  if (info.fold === undefined) return 0;
  if (info.args.length === 1) {
    if (f.isConst(a)) return f.i32(info.fold(f.constOf(a), 0));
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
    if (f.isConst(b)) return f.i32(info.fold(f.constOf(a), f.constOf(b)));
    if (info.commutative) return f.op(op, b, a);
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
      if (k === 1 && BOOLEAN.has(f.opOf(a))) return a;
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
      return k === 1 && BOOLEAN.has(f.opOf(a)) ? a : 0;
    case NE:
      if (k === 0 && BOOLEAN.has(f.opOf(a))) return a;
      return k === 1 && BOOLEAN.has(f.opOf(a)) ? f.op(EQZ, a) : 0;
    case LT_U:
      return k === 0 ? b : 0;
  }
  if (op === EXT8 || op === EXT16) return 0;
  return 0;
}
