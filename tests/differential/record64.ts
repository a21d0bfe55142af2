/**
 * A test case or its result for 64-bit mode, in the layout that
 * `native/oracle64.c` reads and writes.
 *
 * @module
 */

import { CODE, PAGES } from "./record.ts";

/** The code pages again, above 4 GiB. */
export const HIGH_CODE = 0x7f1234567000;
/** The data pages again, above 4 GiB; within 2 GiB of the code there. */
export const HIGH_DATA = 0x7f123459b000;
/** Base of FS: in the data pages. */
export const FS_BASE: number = HIGH_DATA + 0x940;
/** Base of GS: before the low data pages. */
export const GS_BASE = 0x20000000 - 0x1230;
/** The first address above a process's, as Linux has it. */
export const USER_END = 0x7ffffffff000n;

/** Bytes of code that a record holds at most. */
export const CODE64_BYTES = 2048;

const MAGIC = 0x34366872;
const GPR = 48;
const FX = 176;
const YMMH = FX + 512;
const CODE_AT = YMMH + 256;
const DATA_AT = CODE_AT + CODE64_BYTES;

/** Bytes of a record. */
export const RECORD64_BYTES: number = DATA_AT + PAGES;

/** Registers in encoding order. */
export const GPR64_NAMES: readonly string[] = [
  ..."rax rcx rdx rbx rsp rbp rsi rdi".split(" "),
  ..."r8 r9 r10 r11 r12 r13 r14 r15".split(" "),
];

/** One record, as a view over its bytes. */
export class CaseRecord64 {
  /** All bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  /** A view over existing bytes, or a fresh record. */
  constructor(bytes?: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes ?? new Uint8Array(RECORD64_BYTES);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset);
    if (bytes === undefined) {
      this.#view.setUint32(0, MAGIC, true);
      this.setFxDefaults();
      this.rip = BigInt(CODE);
      this.eflags = 0x202;
    }
  }

  /** A copy. */
  clone(): CaseRecord64 {
    return new CaseRecord64(this.bytes.slice());
  }

  /** x87, SSE and AVX as FNINIT and reset leave them. */
  setFxDefaults(): void {
    this.fx.fill(0);
    this.bytes.fill(0, YMMH, CODE_AT);
    this.fcw = 0x37f;
    this.mxcsr = 0x1f80;
  }

  /** Case: offset of the code in the code pages. */
  get codeOffset(): number {
    return this.vector;
  }
  set codeOffset(v: number) {
    this.vector = v;
  }
  /** Case: bytes of code. */
  get codeLength(): number {
    return this.error;
  }
  set codeLength(v: number) {
    this.error = v;
  }
  /** Result: the exception that ended the test. */
  get vector(): number {
    return this.#view.getUint32(4, true);
  }
  set vector(v: number) {
    this.#view.setUint32(4, v, true);
  }
  /** Result: its error code, 0 if it has none. */
  get error(): number {
    return this.#view.getUint32(8, true);
  }
  set error(v: number) {
    this.#view.setUint32(8, v, true);
  }
  /** Result: address of a page fault, else 0. */
  get address(): bigint {
    return this.#view.getBigUint64(16, true);
  }
  set address(v: bigint) {
    this.#view.setBigUint64(16, v, true);
  }
  /** Case: where it starts. Result: where the exception says it was. */
  get rip(): bigint {
    return this.#view.getBigUint64(24, true);
  }
  set rip(v: bigint) {
    this.#view.setBigUint64(24, v, true);
  }
  /** RFLAGS; the upper half is 0. */
  get eflags(): number {
    return this.#view.getUint32(32, true);
  }
  set eflags(v: number) {
    this.#view.setUint32(32, v, true);
    this.#view.setUint32(36, 0, true);
  }
  /** A general register. */
  gpr(n: number): bigint {
    return this.#view.getBigUint64(GPR + 8 * n, true);
  }
  /** Sets a general register. */
  setGpr(n: number, v: bigint): void {
    this.#view.setBigUint64(GPR + 8 * n, v, true);
  }
  /** The FXSAVE64 image. */
  get fx(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(FX, FX + 512);
  }
  /** x87 control word. */
  get fcw(): number {
    return this.#view.getUint16(FX, true);
  }
  set fcw(v: number) {
    this.#view.setUint16(FX, v, true);
  }
  /** x87 status word. */
  get fsw(): number {
    return this.#view.getUint16(FX + 2, true);
  }
  set fsw(v: number) {
    this.#view.setUint16(FX + 2, v, true);
  }
  /** Abridged tag word: a bit for each physical register that is not empty. */
  get ftw(): number {
    return this.bytes[FX + 4];
  }
  set ftw(v: number) {
    this.bytes[FX + 4] = v;
  }
  /** MXCSR. */
  get mxcsr(): number {
    return this.#view.getUint32(FX + 24, true);
  }
  set mxcsr(v: number) {
    this.#view.setUint32(FX + 24, v, true);
  }
  /** The ten bytes of ST(n). */
  st(n: number): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(FX + 32 + 16 * n, FX + 42 + 16 * n);
  }
  /** The 16 bytes of XMMn. */
  xmm(n: number): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(FX + 160 + 16 * n, FX + 176 + 16 * n);
  }
  /** The upper 16 bytes of YMMn. */
  ymmh(n: number): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(YMMH + 16 * n, YMMH + 16 * n + 16);
  }
  /** Code from `codeOffset` on. */
  get code(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(CODE_AT, CODE_AT + CODE64_BYTES);
  }
  /** The data pages. */
  get data(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(DATA_AT, DATA_AT + PAGES);
  }
}
