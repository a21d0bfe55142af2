/**
 * The value types of the IR: those of WebAssembly.
 *
 * @module
 */

/** A value type: {@linkcode I32}, {@linkcode I64}, {@linkcode F32}, {@linkcode F64} or {@linkcode V128}. */
export type Type = 0 | 1 | 2 | 3 | 4;

/** 32-bit integer. */
export const I32 = 0;
/** 64-bit integer. */
export const I64 = 1;
/** IEEE 754 single precision. */
export const F32 = 2;
/** IEEE 754 double precision. */
export const F64 = 3;
/** 128-bit vector. */
export const V128 = 4;

/** The name of each type, indexed by {@linkcode Type}. */
export const TYPE_NAMES: readonly string[] = [
  "i32",
  "i64",
  "f32",
  "f64",
  "v128",
];

/** The WebAssembly encoding of each value type, indexed by {@linkcode Type}. */
export const WASM_TYPES: readonly number[] = [0x7f, 0x7e, 0x7d, 0x7c, 0x7b];

/**
 * A guest register or another typed slot of the CPU state that translated
 * code keeps in a local while it runs.
 */
export interface Global {
  /** Index in its layout, dense from 0. */
  readonly index: number;
  /** The name the ISA's manual uses; printed by the IR printer. */
  readonly name: string;
  /** The type of the value. */
  readonly type: Type;
  /** Byte offset from the CPU state's base, aligned to the type's size. */
  readonly offset: number;
}
