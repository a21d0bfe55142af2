/**
 * A test case or its result, in the layout that `native/oracle.c` reads and
 * writes.
 *
 * @module
 */

/** Where the code pages stand (read, write, execute). */
export const CODE = 0x10000000;
/** Where the data pages stand (read, write; unmapped on both sides). */
export const DATA = 0x20000000;
/** The data pages again, below 64 KiB, for 16-bit addressing. */
export const LOW = 0x4000;
/** Bytes of the code, and of the data. */
export const PAGES = 0x2000;
/** Bytes of code that a record holds at most. */
export const CODE_BYTES = 448;
/** The pseudo vector of a case that did not end. */
export const TIMEOUT_VECTOR = 0xff;

const MAGIC = 0x61656872;
const FX = 64;
const YMMH = FX + 512;
const CODE_AT = YMMH + 128;
const DATA_AT = CODE_AT + CODE_BYTES;

/** Bytes of a record. */
export const RECORD_BYTES: number = DATA_AT + PAGES;

/** Registers in encoding order. */
export const GPR_NAMES = [
  "eax",
  "ecx",
  "edx",
  "ebx",
  "esp",
  "ebp",
  "esi",
  "edi",
] as const;

/** One record, as a view over its bytes. */
export class CaseRecord {
  /** All bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  /** A view over existing bytes, or a fresh record. */
  constructor(bytes?: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes ?? new Uint8Array(RECORD_BYTES);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset);
    if (bytes === undefined) {
      this.#view.setUint32(0, MAGIC, true);
      this.setFxDefaults();
      this.eflags = 0x202;
    }
  }

  /** A copy. */
  clone(): CaseRecord {
    return new CaseRecord(this.bytes.slice());
  }

  /** x87, SSE and AVX as FNINIT and reset leave them. */
  setFxDefaults(): void {
    this.fx.fill(0);
    this.bytes.fill(0, YMMH, CODE_AT);
    this.fcw = 0x37f;
    this.mxcsr = 0x1f80;
  }

  #get(offset: number): number {
    return this.#view.getUint32(offset, true);
  }
  #set(offset: number, value: number): void {
    this.#view.setUint32(offset, value >>> 0, true);
  }

  /** Case: offset of the code in the code pages. */
  get codeOffset(): number {
    return this.#get(4);
  }
  set codeOffset(v: number) {
    this.#set(4, v);
  }
  /** Case: bytes of code. */
  get codeLength(): number {
    return this.#get(8);
  }
  set codeLength(v: number) {
    this.#set(8, v);
  }
  /** Result: the exception that ended the test. */
  get vector(): number {
    return this.#get(4);
  }
  set vector(v: number) {
    this.#set(4, v);
  }
  /** Result: its error code, 0 if it has none. */
  get error(): number {
    return this.#get(8);
  }
  set error(v: number) {
    this.#set(8, v);
  }
  /** Result: address of a page fault, else 0. */
  get address(): number {
    return this.#get(12);
  }
  set address(v: number) {
    this.#set(12, v);
  }
  /** A general register. */
  gpr(n: number): number {
    return this.#get(16 + 4 * n);
  }
  /** Sets a general register. */
  setGpr(n: number, v: number): void {
    this.#set(16 + 4 * n, v);
  }
  /** Result: where the exception says it was. */
  get eip(): number {
    return this.#get(48);
  }
  set eip(v: number) {
    this.#set(48, v);
  }
  /** EFLAGS. */
  get eflags(): number {
    return this.#get(52);
  }
  set eflags(v: number) {
    this.#set(52, v);
  }
  /** The FXSAVE image. */
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
    return this.#get(FX + 24);
  }
  set mxcsr(v: number) {
    this.#set(FX + 24, v);
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
    return this.bytes.subarray(CODE_AT, CODE_AT + CODE_BYTES);
  }
  /** The data pages. */
  get data(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(DATA_AT, DATA_AT + PAGES);
  }
}
