/**
 * The WebAssembly opcodes that the translator emits by hand (control flow,
 * locals, memory). The arithmetic opcodes stand in the op table of `core/ir`.
 * Source: WebAssembly core specification 2.0, section 5.4, and the tail call
 * and threads proposals.
 *
 * @module
 */

/** `unreachable` */
export const UNREACHABLE = 0x00;
/** `block` */
export const BLOCK = 0x02;
/** `loop` */
export const LOOP = 0x03;
/** `if` */
export const IF = 0x04;
/** `else` */
export const ELSE = 0x05;
/** `end` */
export const END = 0x0b;
/** `br` */
export const BR = 0x0c;
/** `br_if` */
export const BR_IF = 0x0d;
/** `br_table` */
export const BR_TABLE = 0x0e;
/** `return` */
export const RETURN = 0x0f;
/** `call` */
export const CALL = 0x10;
/** `call_indirect` */
export const CALL_INDIRECT = 0x11;
/** `return_call_indirect` */
export const RETURN_CALL_INDIRECT = 0x13;
/** `drop` */
export const DROP = 0x1a;
/** `select` (untyped) */
export const SELECT = 0x1b;
/** `local.get` */
export const LOCAL_GET = 0x20;
/** `local.set` */
export const LOCAL_SET = 0x21;
/** `local.tee` */
export const LOCAL_TEE = 0x22;
/** `i32.load` */
export const I32_LOAD = 0x28;
/** `i64.load` */
export const I64_LOAD = 0x29;
/** `f32.load` */
export const F32_LOAD = 0x2a;
/** `f64.load` */
export const F64_LOAD = 0x2b;
/** `i32.load8_u` */
export const I32_LOAD8_U = 0x2d;
/** `i32.load16_u` */
export const I32_LOAD16_U = 0x2f;
/** `i32.store` */
export const I32_STORE = 0x36;
/** `i64.store` */
export const I64_STORE = 0x37;
/** `f32.store` */
export const F32_STORE = 0x38;
/** `f64.store` */
export const F64_STORE = 0x39;
/** `i32.const` */
export const I32_CONST = 0x41;
/** `i64.const` */
export const I64_CONST = 0x42;
/** `f32.const` */
export const F32_CONST = 0x43;
/** `f64.const` */
export const F64_CONST = 0x44;
/** `i32.eqz` */
export const I32_EQZ = 0x45;
/** `i32.eq` */
export const I32_EQ = 0x46;
/** `i32.ne` */
export const I32_NE = 0x47;
/** `i32.lt_s` */
export const I32_LT_S = 0x48;
/** `i32.lt_u` */
export const I32_LT_U = 0x49;
/** `i32.gt_u` */
export const I32_GT_U = 0x4b;
/** `i32.ge_u` */
export const I32_GE_U = 0x4f;
/** `i64.eq` */
export const I64_EQ = 0x51;
/** `i64.ne` */
export const I64_NE = 0x52;
/** `i32.add` */
export const I32_ADD = 0x6a;
/** `i32.sub` */
export const I32_SUB = 0x6b;
/** `i32.and` */
export const I32_AND = 0x71;
/** `i32.or` */
export const I32_OR = 0x72;
/** `i32.xor` */
export const I32_XOR = 0x73;
/** `i32.shl` */
export const I32_SHL = 0x74;
/** `i32.shr_u` */
export const I32_SHR_U = 0x76;
/** `i64.extend_i32_u` */
export const I64_EXTEND_I32_U = 0xad;
/** Prefix of the vector instructions. */
export const SIMD_PREFIX = 0xfd;
/** `v128.load` after {@linkcode SIMD_PREFIX}. */
export const V128_LOAD = 0x00;
/** `v128.store` after {@linkcode SIMD_PREFIX}. */
export const V128_STORE = 0x0b;
/** `v128.const` after {@linkcode SIMD_PREFIX}. */
export const V128_CONST = 0x0c;
/** `i8x16.shuffle` after {@linkcode SIMD_PREFIX}. */
export const I8X16_SHUFFLE = 0x0d;
/** The empty block type. */
export const VOID = 0x40;
