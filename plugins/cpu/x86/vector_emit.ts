/**
 * Vectors and loops for WebAssembly written with float80_emit.ts.
 *
 * @module
 */

import { asm, type Code, type Instruction } from "./float80_emit.ts";

/** Value type v128. */
export const V128 = 0x7b;

/** An instruction by its opcode. */
export const plain = (code: number): Instruction => (...operands) => () => {
  for (const operand of operands) operand();
  asm.e.u8(code);
};

/** A vector instruction by its opcode. */
export const simd = (code: number): Instruction => (...operands) => () => {
  for (const operand of operands) operand();
  asm.e.u8(0xfd);
  asm.e.u32(code);
};

/** A load of or to a vector, by its opcode: `v128.load` and its kin. */
export const simdLoad =
  (code: number) => (at: Code, offset = 0): Code => () => {
    at();
    asm.e.simdMem(code, offset);
  };

/** `v128.load` */
export const v128Load: (at: Code, offset?: number) => Code = simdLoad(0x00);

/** `v128.store` */
export const v128Store = (at: Code, v: Code, offset = 0): void => {
  at();
  v();
  asm.e.simdMem(0x0b, offset);
};

/** A vector constant. */
export const v128Const = (bytes: readonly number[]): Code => () =>
  asm.e.v128Const(Uint8Array.from(bytes));

/** Bytes of two vectors, chosen by indices. */
export const byteShuffle =
  (x: Code, y: Code, indices: readonly number[]): Code => () => {
    x();
    y();
    asm.e.u8(0xfd);
    asm.e.u8(0x0d);
    asm.e.raw(Uint8Array.from(indices));
  };

/** Repeats `body` as long as `condition` holds after it; inside neither is another loop left. */
export function repeatWhile(body: () => void, condition: Code): void {
  asm.e.u8(0x03);
  asm.e.u8(0x40);
  body();
  condition();
  asm.e.u8(0x0d);
  asm.e.u32(0);
  asm.e.u8(0x0b);
}
