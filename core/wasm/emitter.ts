/**
 * A cursor into a growing byte buffer, with the encodings of the WebAssembly
 * binary format (core specification, section 5.2).
 *
 * @module
 */

import {
  I32_CONST,
  I64_CONST,
  LOCAL_GET,
  LOCAL_SET,
  LOCAL_TEE,
  SIMD_PREFIX,
  V128_CONST,
} from "./opcodes.ts";

const encoder = new TextEncoder();

/** Appends WebAssembly encodings to a byte buffer that it grows and reuses. */
export class Emitter {
  /** The bytes; only the first {@linkcode Emitter.length} are meaningful. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Bytes written. */
  length = 0;

  /** Makes an emitter with room for `capacity` bytes before it grows. */
  constructor(capacity = 4096) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Forgets what was written; keeps the buffer. */
  clear(): void {
    this.length = 0;
  }

  /** Makes room for `n` more bytes. */
  reserve(n: number): void {
    if (this.length + n <= this.bytes.length) return;
    const grown = new Uint8Array(
      Math.max(this.bytes.length * 2, this.length + n),
    );
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** Appends one byte. */
  u8(v: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length++] = v;
  }

  /** Appends an unsigned LEB128 of up to 32 bits. */
  u32(v: number): void {
    if (v >>> 7 === 0) return this.u8(v);
    this.reserve(5);
    const b = this.bytes;
    let p = this.length;
    v >>>= 0;
    while (v >= 0x80) {
      b[p++] = (v & 0x7f) | 0x80;
      v >>>= 7;
    }
    b[p++] = v;
    this.length = p;
  }

  /** Appends a signed LEB128 of 32 bits. */
  s32(v: number): void {
    if (v >= -64 && v <= 63) return this.u8(v & 0x7f);
    this.reserve(5);
    const b = this.bytes;
    let p = this.length;
    v |= 0;
    while (v < -64 || v > 63) {
      b[p++] = (v & 0x7f) | 0x80;
      v >>= 7;
    }
    b[p++] = v & 0x7f;
    this.length = p;
  }

  /** Appends a signed LEB128 of 64 bits given as two halves. */
  s64(lo: number, hi: number): void {
    lo |= 0;
    hi |= 0;
    // A sign-extended 32-bit value has the shorter encoding of s32.
    if (hi === lo >> 31) return this.s32(lo);
    this.reserve(10);
    const b = this.bytes;
    let p = this.length;
    while (hi !== lo >> 31 || lo < -64 || lo > 63) {
      b[p++] = (lo & 0x7f) | 0x80;
      lo = (lo >>> 7) | (hi << 25);
      hi >>= 7;
    }
    b[p++] = lo & 0x7f;
    this.length = p;
  }

  /** Appends `n` bytes of `src` from `start`. */
  raw(src: Uint8Array, start = 0, n: number = src.length - start): void {
    this.reserve(n);
    this.bytes.set(src.subarray(start, start + n), this.length);
    this.length += n;
  }

  /** Appends a name: its length and its UTF-8 bytes. */
  name(s: string): void {
    const bytes = encoder.encode(s);
    this.u32(bytes.length);
    this.raw(bytes);
  }

  /** Appends `i32.const v`. */
  i32Const(v: number): void {
    this.u8(I32_CONST);
    this.s32(v);
  }

  /** Appends `i64.const` of two halves. */
  i64Const(lo: number, hi: number): void {
    this.u8(I64_CONST);
    this.s64(lo, hi);
  }

  /** Appends `v128.const` of 16 bytes. */
  v128Const(bytes: Uint8Array): void {
    this.u8(SIMD_PREFIX);
    this.u32(V128_CONST);
    this.raw(bytes, 0, 16);
  }

  /** Appends `local.get i`. */
  localGet(i: number): void {
    this.u8(LOCAL_GET);
    this.u32(i);
  }

  /** Appends `local.set i`. */
  localSet(i: number): void {
    this.u8(LOCAL_SET);
    this.u32(i);
  }

  /** Appends `local.tee i`. */
  localTee(i: number): void {
    this.u8(LOCAL_TEE);
    this.u32(i);
  }

  /** Appends the memory instruction `op` with its alignment exponent and constant offset. */
  mem(op: number, offset: number, align = 0): void {
    this.u8(op);
    this.u32(align);
    this.u32(offset);
  }

  /** Appends the vector memory instruction `op` (after the SIMD prefix). */
  simdMem(op: number, offset: number): void {
    this.u8(SIMD_PREFIX);
    this.u32(op);
    this.u32(0);
    this.u32(offset);
  }
}
