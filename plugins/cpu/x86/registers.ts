/**
 * The state of an x86 CPU as helpers read and write it. All of it is in the
 * shared memory (state.ts says where), so that it can be run from any thread;
 * the one field beside it, the mode key, is computed from it.
 *
 * @module
 */

import { stateFlags } from "./flags.ts";
import { addressAt, EFER_LMA, setAddressAt, WORD } from "./long_mode.ts";
import {
  AREA_END,
  ARITH_FLAGS,
  CC_EFLAGS,
  CS,
  IOPL_MASK,
  KEY_LONG,
  OFF_A20,
  OFF_CC_OP,
  OFF_CC_SRC,
  OFF_COMMITTED,
  OFF_CPL,
  OFF_CR,
  OFF_EFER,
  OFF_EIP,
  OFF_FLAGS,
  OFF_GPR,
  OFF_IGNNE,
  OFF_INTR,
  OFF_NMI_BLOCKED,
  OFF_NMI_PENDING,
  OFF_PDPTE,
  OFF_PENDING_DEBUG,
  OFF_SCRATCH,
  OFF_SEG,
  OFF_SUPPRESS_STEP,
  OFF_USER_ACCESS,
  OFF_WAITS_STARTUP,
  STATE_START,
  VM,
} from "./state.ts";

// Word indices into `Registers.state`, as constants of this file: they are hot.

const W_EIP = OFF_EIP >> 2;
const W_GPR = OFF_GPR >> 2;
const W_FLAGS = OFF_FLAGS >> 2;
const W_CC_OP = OFF_CC_OP >> 2;
const W_CC_SRC = OFF_CC_SRC >> 2;
const W_SEG = OFF_SEG >> 2;
const W_CR0 = OFF_CR >> 2;
const W_CR4 = (OFF_CR >> 2) + 8;
const W_CPL = OFF_CPL >> 2;
const W_INTR = OFF_INTR >> 2;
const W_EFER = OFF_EFER >> 2;
const W_PENDING_DEBUG = OFF_PENDING_DEBUG >> 2;
const W_NMI_PENDING = OFF_NMI_PENDING >> 2;
const W_NMI_BLOCKED = OFF_NMI_BLOCKED >> 2;
const W_WAITS_STARTUP = OFF_WAITS_STARTUP >> 2;
const W_COMMITTED = OFF_COMMITTED >> 2;
const W_SUPPRESS_STEP = OFF_SUPPRESS_STEP >> 2;
const W_USER_ACCESS = OFF_USER_ACCESS >> 2;
const W_A20 = OFF_A20 >> 2;
const W_IGNNE = OFF_IGNNE >> 2;

/** Words of a segment register in {@linkcode Registers.state}: index of segment 0's selector. */
const SEG_WORDS = 8;

/** CR0.PE. */
const CR0_PE = 1;

function pdptesOf(state: Int32Array): Int32Array {
  return state.subarray(OFF_PDPTE >> 2, (OFF_PDPTE >> 2) + 8);
}

/** The registers and modes of a CPU. */
export abstract class Registers {
  /** The state as words: word `OFF_x >> 2` (offsets of state.ts). */
  state: Int32Array = new Int32Array(AREA_END >> 2);
  /** The state as bytes. */
  state8: Uint8Array = new Uint8Array(this.state.buffer);
  /** The state as 16-bit units. */
  state16: Uint16Array = new Uint16Array(this.state.buffer);
  /** The state as singles. */
  stateF32: Float32Array = new Float32Array(this.state.buffer);
  /** The state as doubles. */
  stateF64: Float64Array = new Float64Array(this.state.buffer);

  /** The four page-directory-pointer entries, low and high halves, as loaded with CR3 (PAE). */
  pdpte: Int32Array = pdptesOf(this.state);
  /** The static mode key: what `modeKey` makes of the state. */
  protected presentKey: number = 0;

  /** Has the state stand in the shared memory, with what it has now. */
  protected moveState(buffer: ArrayBufferLike, base: number): void {
    const old = this.state8;
    this.state = new Int32Array(buffer, base, AREA_END >> 2);
    this.state8 = new Uint8Array(buffer, base, AREA_END);
    this.state16 = new Uint16Array(buffer, base, AREA_END >> 1);
    this.stateF32 = new Float32Array(buffer, base, AREA_END >> 2);
    this.stateF64 = new Float64Array(buffer, base, AREA_END >> 3);
    this.state8.set(old.subarray(STATE_START), STATE_START);
    this.pdpte = pdptesOf(this.state);
  }

  /** Level of the INTR line: in the state, where translated code looks at it. */
  get irqLevel(): boolean {
    return this.state[W_INTR] !== 0;
  }

  set irqLevel(level: boolean) {
    this.state[W_INTR] = level ? 1 : 0;
  }

  /** An NMI waits. */
  get nmiPending(): boolean {
    return this.state[W_NMI_PENDING] !== 0;
  }

  set nmiPending(value: boolean) {
    this.state[W_NMI_PENDING] = value ? 1 : 0;
  }

  /** NMIs are blocked (until IRET). */
  get nmiBlocked(): boolean {
    return this.state[W_NMI_BLOCKED] !== 0;
  }

  set nmiBlocked(value: boolean) {
    this.state[W_NMI_BLOCKED] = value ? 1 : 0;
  }

  /** No bootstrap processor, it waits for a start-up message (SDM volume 3, 8.4). */
  get waitsForStartup(): boolean {
    return this.state[W_WAITS_STARTUP] !== 0;
  }

  set waitsForStartup(value: boolean) {
    this.state[W_WAITS_STARTUP] = value ? 1 : 0;
  }

  /** DR6 bits of a debug trap to be delivered before the next instruction. */
  get pendingDebug(): number {
    return this.state[W_PENDING_DEBUG];
  }

  set pendingDebug(bits: number) {
    this.state[W_PENDING_DEBUG] = bits;
  }

  /** A task switch has already replaced the state: a fault must not restore the old program counter. */
  get committed(): boolean {
    return this.state[W_COMMITTED] !== 0;
  }

  set committed(value: boolean) {
    this.state[W_COMMITTED] = value ? 1 : 0;
  }

  /** The present instruction has entered a handler: no single-step trap after it. */
  get suppressStep(): boolean {
    return this.state[W_SUPPRESS_STEP] !== 0;
  }

  set suppressStep(value: boolean) {
    this.state[W_SUPPRESS_STEP] = value ? 1 : 0;
  }

  /** Since AC was last clear, a supervisor may have accessed user pages. */
  get userAccess(): boolean {
    return this.state[W_USER_ACCESS] !== 0;
  }

  set userAccess(value: boolean) {
    this.state[W_USER_ACCESS] = value ? 1 : 0;
  }

  /** The level of the A20 line. */
  get a20(): boolean {
    return this.state[W_A20] !== 0;
  }

  set a20(value: boolean) {
    this.state[W_A20] = value ? 1 : 0;
  }

  /**
   * The level of IGNNE#: x87 instructions go on in spite of a pending exception
   * while CR0.NE is clear. Where nobody has FERR#, it is tied to active.
   */
  get ignne(): boolean {
    return this.state[W_IGNNE] !== 0;
  }

  set ignne(value: boolean) {
    this.state[W_IGNNE] = value ? 1 : 0;
  }

  // The program counter and the mode.

  /** EIP. */
  pcLo(): number {
    return this.state[W_EIP];
  }

  /** CS's base; in 64-bit mode the high half of RIP. */
  pcHi(): number {
    return (this.presentKey & KEY_LONG) !== 0
      ? this.state[W_EIP + 1]
      : this.state[W_SEG + CS * SEG_WORDS + 2];
  }

  /** Writes EIP, or RIP. CS's base is where far transfers have put it. */
  setPc(lo: number, hi: number): void {
    this.state[W_EIP] = lo;
    if ((this.presentKey & KEY_LONG) !== 0) this.state[W_EIP + 1] = hi;
  }

  /** The static mode key. */
  key(): number {
    return this.presentKey;
  }

  /** Current privilege level. */
  get cpl(): number {
    return this.state[W_CPL];
  }

  /** CR0. */
  get cr0(): number {
    return this.state[W_CR0];
  }

  /** CR4. */
  get cr4(): number {
    return this.state[W_CR4];
  }

  /** Whether the CPU is in protected mode (V86 mode included). */
  get protectedMode(): boolean {
    return (this.state[W_CR0] & CR0_PE) !== 0;
  }

  /** Whether the CPU is in virtual-8086 mode. */
  get v86(): boolean {
    return (this.state[W_FLAGS] & VM) !== 0;
  }

  /** Whether IA-32e mode is active: 64-bit or compatibility mode. */
  get lma(): boolean {
    return (this.state[W_EFER] & EFER_LMA) !== 0;
  }

  /** Whether the CPU is in 64-bit mode. */
  get long(): boolean {
    return (this.presentKey & KEY_LONG) !== 0;
  }

  /** The program counter: RIP in 64-bit mode, else EIP, signed. */
  get pc(): number {
    const s = this.state;
    return (this.presentKey & KEY_LONG) !== 0
      ? s[W_EIP + 1] * WORD + (s[W_EIP] >>> 0)
      : s[W_EIP];
  }

  /** EFLAGS.IOPL. */
  get iopl(): number {
    return (this.state[W_FLAGS] & IOPL_MASK) >> 12;
  }

  /** The MMU index of data accesses in the present mode. */
  get dataMmu(): number {
    return this.state[W_CPL] === 3 ? 1 : 0;
  }

  // Registers.

  /** General register `r`, signed. */
  reg32(r: number): number {
    return this.state[W_GPR + 2 * r];
  }

  /** Writes general register `r`; in 64-bit mode that clears the high half. */
  setReg32(r: number, value: number): void {
    this.state[W_GPR + 2 * r] = value;
    this.state[W_GPR + 2 * r + 1] = 0;
  }

  /** The i64 in the first scratch slot, as a number: a helper's argument of 64 bits that is an address. */
  scratchNumber(): number {
    const w = OFF_SCRATCH >> 2;
    return this.state[w + 1] * 0x1_0000_0000 + (this.state[w] >>> 0);
  }

  /**
   * A helper's argument that is a linear address: in 64-bit mode it is in the
   * first scratch slot, else `low`.
   */
  addressArgument(low: number): number {
    return (this.presentKey & KEY_LONG) !== 0
      ? this.scratchNumber()
      : low >>> 0;
  }

  /** Low 16 bits of general register `r`. */
  reg16(r: number): number {
    return this.state[W_GPR + 2 * r] & 0xffff;
  }

  /** Writes the low 16 bits of general register `r`. */
  setReg16(r: number, value: number): void {
    this.state16[(W_GPR + 2 * r) << 1] = value;
  }

  /** The words of general register `r` as an address; exact if it is canonical. */
  reg64(r: number): number {
    return addressAt(this.state, W_GPR + 2 * r);
  }

  /** Writes an address, sign-extended, to general register `r`. */
  setReg64(r: number, address: number): void {
    setAddressAt(this.state, W_GPR + 2 * r, address);
  }

  /** Adds to general register `r`, modulo 2^64. */
  addReg64(r: number, by: number): void {
    const s = this.state;
    const w = W_GPR + 2 * r;
    const sum = (s[w] >>> 0) + by;
    s[w] = sum;
    s[w + 1] += Math.floor(sum / WORD);
  }

  /** Writes RIP. */
  setRip(address: number): void {
    setAddressAt(this.state, W_EIP, address);
  }

  /** EIP, signed. */
  get eip(): number {
    return this.state[W_EIP];
  }

  /** Writes EIP. */
  set eip(value: number) {
    this.state[W_EIP] = value;
  }

  /** Selector of segment register `seg`. */
  selector(seg: number): number {
    return this.state[W_SEG + seg * SEG_WORDS];
  }

  /** Base of segment register `seg`. */
  segBase(seg: number): number {
    return this.state[W_SEG + seg * SEG_WORDS + 2];
  }

  /** Base of LDTR or TR (or FS or GS in 64-bit mode): 64 bits in IA-32e mode. */
  longBase(seg: number): number {
    return addressAt(this.state, W_SEG + seg * SEG_WORDS + 2);
  }

  /** Writes the high word of a segment's base. */
  setBaseHigh(seg: number, high: number): void {
    this.state[W_SEG + seg * SEG_WORDS + 3] = high;
  }

  /** Base of a table: of the GDT or IDT (`w`: its word in the state). */
  tableBase(w: number): number {
    return this.lma ? addressAt(this.state, w) : this.state[w];
  }

  /** Limit of segment register `seg`, unsigned. */
  segLimit(seg: number): number {
    return this.state[W_SEG + seg * SEG_WORDS + 4] >>> 0;
  }

  /** Attributes of segment register `seg`. */
  segAttr(seg: number): number {
    return this.state[W_SEG + seg * SEG_WORDS + 6];
  }

  /** Loads segment register `seg`, hidden part included. Call `updateKey` afterwards. */
  setSeg(
    seg: number,
    selector: number,
    base: number,
    limit: number,
    attr: number,
  ): void {
    const w = W_SEG + seg * SEG_WORDS;
    this.state[w] = selector;
    this.state[w + 2] = base;
    this.state[w + 3] = 0;
    this.state[w + 4] = limit;
    this.state[w + 6] = attr;
  }

  /** Sets the current privilege level. Call `updateKey` afterwards. */
  setCpl(cpl: number): void {
    this.state[W_CPL] = cpl;
  }

  /** EFLAGS, complete. CC_OP in the state must be right. */
  getEflags(): number {
    const s = this.state;
    return s[W_FLAGS] | this.arithFlags();
  }

  /** CF PF AF ZF SF OF from the lazy state. CC_OP in the state must be right. */
  arithFlags(): number {
    return stateFlags(this.state, 0);
  }

  /** Sets CF PF AF ZF SF OF; the lazy state becomes explicit. */
  setArithFlags(flags: number): void {
    const s = this.state;
    s[W_CC_OP] = CC_EFLAGS;
    s[W_CC_SRC] = flags & ARITH_FLAGS;
    s[W_CC_SRC + 1] = 0;
  }
}
