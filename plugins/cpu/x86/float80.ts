/**
 * The 80-bit arithmetic of the x87 unit, bit-exact with hardware; the
 * transcendental operations are nearly always correctly rounded.
 *
 * Operations take byte offsets of 16-byte slots in one buffer, of which the
 * destination may be an operand too, and the x87 control word. They give back
 * the exceptions raised and condition codes as they stand in the status word.
 * When NOT_WRITTEN is among them an unmasked exception has kept the
 * destination from being written. Stack faults are the caller's.
 *
 * @module
 */

import { Float80Transcendental } from "./float80_transcendental.ts";

export { Float80Transcendental } from "./float80_transcendental.ts";
export { Float80Remainder } from "./float80_remainder.ts";
export { Float80Convert } from "./float80_convert.ts";
export { Float80Arith } from "./float80_arith.ts";
export {
  C0,
  C1,
  C2,
  C3,
  DE,
  DENORMAL_OPERAND,
  Float80Core,
  IE,
  NOT_WRITTEN,
  OE,
  PE,
  UE,
  ZE,
} from "./float80_core.ts";

/** 80-bit floating point over a buffer. */
export class Float80 extends Float80Transcendental {}
