/**
 * Where the values of a region's block are while its code is emitted.
 *
 * Pure operations that are used once are emitted where they are used, as a
 * tree; others go to a local. A read of a global is no code at all: its uses
 * read the global's local, and only a write to the global while the old value
 * is still needed copies it first.
 *
 * @module
 */

import type { IrBlock, Value } from "../ir/block.ts";
import { Op, OPS } from "../ir/ops.ts";
import type { Global, Type } from "../ir/types.ts";
import type { FunctionBody } from "../wasm/function_body.ts";
import * as W from "../wasm/opcodes.ts";

const CONST32 = Op["const32"];
const CONST64 = Op["const64"];
const CONSTF64 = Op["constf64"];
const CONSTF32 = Op["constf32"];
const CONST128 = Op["const128"];
const SHUFFLE = Op["i8x16.shuffle"];

/** What is known at one place in a block. */
export interface ValuesSnapshot {
  readonly left: Int32Array;
  readonly local: Int32Array;
  readonly nextAlias: Int32Array;
  readonly aliases: Int32Array;
  readonly aliased: number[];
  readonly dirty: Uint8Array;
  readonly poolUsed: number[];
}

/** The values of the block that is being compiled. */
export class RegionValues {
  /** Local of each global that the function has. */
  readonly globalLocal: Int32Array;
  /** 1 for each global whose local may differ from what memory holds. */
  readonly dirty: Uint8Array;
  /** Uses left of each value. */
  left: Int32Array = new Int32Array(256);
  readonly #f: FunctionBody;
  readonly #globals: readonly Global[];
  #k!: IrBlock;
  /** Local of each value; 0: none. */
  #local: Int32Array = new Int32Array(256);
  /** Next value in the list of those that are in the same global's local. */
  #nextAlias: Int32Array = new Int32Array(256);
  /** First value in each global's local, or 0. */
  readonly #aliases: Int32Array;
  /** Globals with such values. */
  #aliased: number[] = [];
  /** Locals for values, by type, and how many the block uses. */
  #pool: number[][] = [[], [], [], [], []];
  #poolUsed: number[] = [0, 0, 0, 0, 0];

  /** Emits into `f`. */
  constructor(f: FunctionBody, globals: readonly Global[]) {
    this.#f = f;
    this.#globals = globals;
    this.globalLocal = new Int32Array(globals.length);
    this.#aliases = new Int32Array(globals.length);
    this.dirty = new Uint8Array(globals.length);
  }

  /** Starts a function that uses these globals: declares their locals. */
  startFunction(used: readonly number[]): void {
    this.#pool = [[], [], [], [], []];
    for (const g of used) {
      this.globalLocal[g] = this.#f.newLocal(this.#globals[g].type);
    }
  }

  /** Starts a block, whose values have these uses; the globals that the function writes may all be dirty. */
  startBlock(k: IrBlock, uses: Int32Array, written: readonly number[]): void {
    this.#k = k;
    const n = k.values;
    if (this.left.length < n) {
      this.left = new Int32Array(k.valueType.length);
      this.#local = new Int32Array(k.valueType.length);
      this.#nextAlias = new Int32Array(k.valueType.length);
    }
    this.left.set(uses.subarray(0, n));
    this.#local.fill(0, 0, n);
    this.#poolUsed.fill(0);
    for (const g of this.#aliased) this.#aliases[g] = 0;
    this.#aliased = [];
    for (const g of written) this.dirty[g] = 1;
  }

  /** What is known here. */
  snapshot(): ValuesSnapshot {
    const n = this.#k.values;
    return {
      left: this.left.slice(0, n),
      local: this.#local.slice(0, n),
      nextAlias: this.#nextAlias.slice(0, n),
      aliases: this.#aliases.slice(),
      aliased: this.#aliased.slice(),
      dirty: this.dirty.slice(),
      poolUsed: this.#poolUsed.slice(),
    };
  }

  /** Goes back to what was known; what is emitted from here on is another way to go on from there. */
  restore(s: ValuesSnapshot): void {
    this.left.set(s.left);
    this.#local.set(s.local);
    this.#nextAlias.set(s.nextAlias);
    this.#aliases.set(s.aliases);
    this.#aliased = s.aliased;
    this.dirty.set(s.dirty);
    this.#poolUsed = s.poolUsed;
  }

  /** Whether a value is in a local. */
  isKept(v: Value): boolean {
    return this.#local[v] !== 0;
  }

  /** The value on the stack goes to a local of its own. */
  keep(v: Value): void {
    const local = this.#tempLocal(this.#k.typeOf(v));
    this.#local[v] = local;
    this.#f.e.localSet(local);
  }

  #tempLocal(type: Type): number {
    const pool = this.#pool[type];
    const i = this.#poolUsed[type]++;
    if (i === pool.length) pool.push(this.#f.newLocal(type));
    return pool[i];
  }

  /** A value is what a global holds now. */
  alias(v: Value, g: number): void {
    this.#local[v] = this.globalLocal[g];
    if (this.#aliases[g] === 0) this.#aliased.push(g);
    this.#nextAlias[v] = this.#aliases[g];
    this.#aliases[g] = v;
  }

  /** A global's local is about to change: saves the values that are still needed. */
  evict(g: number): void {
    const e = this.#f.e;
    let saved = 0;
    for (let v = this.#aliases[g]; v !== 0; v = this.#nextAlias[v]) {
      if (this.left[v] === 0) continue;
      if (saved === 0) {
        saved = this.#tempLocal(this.#globals[g].type);
        e.localGet(this.globalLocal[g]);
        e.localSet(saved);
      }
      this.#local[v] = saved;
    }
    this.#aliases[g] = 0;
  }

  /** Emits a write of a value to a global. */
  set(v: Value, g: number): void {
    // The value is computed before the old one is given up: both may be in it.
    this.push(v);
    this.evict(g);
    this.#f.e.localSet(this.globalLocal[g]);
    this.dirty[g] = 1;
  }

  /** Pushes a value: one of its uses. */
  push(v: Value): void {
    const e = this.#f.e;
    const k = this.#k;
    this.left[v]--;
    if (this.#local[v] !== 0) {
      e.localGet(this.#local[v]);
      return;
    }
    const def = k.valueDef[v];
    switch (k.op[def]) {
      case CONST32:
        return e.i32Const(k.lo[def]);
      case CONST64:
        return e.i64Const(k.lo[def], k.hi[def]);
      case CONSTF64:
        // By its bits: the payload of a NaN must survive.
        e.u8(W.F64_CONST);
        for (const half of [k.lo[def], k.hi[def]]) {
          for (let i = 0; i < 32; i += 8) e.u8((half >>> i) & 0xff);
        }
        return;
      case CONSTF32:
        e.u8(W.F32_CONST);
        for (let i = 0; i < 32; i += 8) e.u8((k.lo[def] >>> i) & 0xff);
        return;
      case CONST128:
        return e.v128Const(k.pool[k.lo[def]]);
      default:
        return this.pushResult(def);
    }
  }

  /** Pushes the result of a pure operation. */
  pushResult(i: number): void {
    const e = this.#f.e;
    const k = this.#k;
    const op = k.op[i];
    this.push(k.a[i]);
    if (op === SHUFFLE) {
      this.push(k.b[i]);
      this.left[k.c[i]]--;
      e.u8(W.SIMD_PREFIX);
      e.u32(W.I8X16_SHUFFLE);
      e.raw(k.pool[k.lo[k.valueDef[k.c[i]]]], 0, 16);
      return;
    }
    if (k.b[i] !== 0) this.push(k.b[i]);
    if (k.c[i] !== 0) this.push(k.c[i]);
    const bytes = OPS[op].wasm;
    for (let j = 0; j < bytes.length; j++) e.u8(bytes[j]);
  }
}
