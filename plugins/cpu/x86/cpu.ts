/**
 * The x86 CPU: its state, seen by helpers, and the frontend that the engine
 * drives. The state itself is in the shared memory (see state.ts); this class
 * adds what translated code never looks at: MSRs, pending events, ports.
 *
 * Everything here is called between blocks or from helpers. A helper that
 * raises a fault throws `GUEST_FAULT` out of `raise`; the engine then restores
 * the program counter and calls `deliver`.
 *
 * @module
 */

import type { LocalApic } from "../../../core/bus/apic.ts";
import {
  type Access,
  type CpuEngine,
  type EventObserver,
  type Frontend,
  GUEST_FAULT,
  type Mmu,
  type PageWalk,
  type TranslateContext,
} from "../../../core/cpu/frontend.ts";
import type {
  CpuInspector,
  PhysicalReader,
} from "../../../core/cpu/inspector.ts";
import type { DebugRegisters } from "../../../core/debug/contract.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import type { Global } from "../../../core/ir/types.ts";
import { CompatMmu } from "./compat_mmu.ts";
import { WatchingMmu } from "./debug.ts";
import {
  AUX_CC_OP,
  AUX_NOT_MODIFIES,
  AUX_NOT_POP,
  AUX_NOT_PUSH,
  AUX_NOT_STACK,
  stateFlags,
} from "./flags.ts";
import {
  EXC_DB,
  EXC_GP,
  EXC_NOT_CANONICAL,
  EXC_PF,
  EXC_SS,
  EXC_UD,
} from "./exceptions.ts";
import { bindHelpers } from "./helpers.ts";
import { deliverException, takeEvent } from "./interrupts.ts";
import {
  addressAt,
  EFER_LMA,
  highWord,
  isCanonicalAddress,
  setAddressAt,
  updateLma,
  WORD,
} from "./long_mode.ts";
import type { Model } from "./models.ts";
import { type Msrs, resetMsrs } from "./msr.ts";
import { loadPdptes, usesPdptes, walkPage } from "./paging.ts";
import { denyUserTable } from "./paging_long.ts";
import { TableCache } from "./table_cache.ts";
import { modeKey } from "./mode_key.ts";
import { describeCpu, setRegister } from "./named_registers.ts";
import type { BlockTranslator, PortBus, X86Options } from "./options.ts";
import { initCpu, resetCpu } from "./reset.ts";
import { loadCpu, saveCpu } from "./saved_state.ts";
import {
  AC,
  ARITH_FLAGS,
  CC_EFLAGS,
  CS,
  GLOBALS,
  IF,
  IOPL_MASK,
  isRelocatable,
  KEY_LONG,
  KEY_TF,
  KEY_UNPAGED,
  OFF_CC_OP,
  OFF_CC_SRC,
  OFF_CPL,
  OFF_CR,
  OFF_DR,
  OFF_EFER,
  OFF_EIP,
  OFF_EXC_ADDRESS,
  OFF_EXC_ADDRESS64,
  OFF_EXC_ERROR,
  OFF_EXC_HAS_ERROR,
  OFF_EXC_VECTOR,
  OFF_FLAGS,
  OFF_FSW,
  OFF_GPR,
  OFF_INTR,
  OFF_NMI_BLOCKED,
  OFF_NMI_PENDING,
  OFF_PDPTE,
  OFF_PENDING_DEBUG,
  OFF_SCRATCH,
  OFF_SEG,
  OFF_SHADOW,
  OFF_TSC_OFFSET,
  OFF_WAITS_STARTUP,
  STATE_END,
  TF,
  VM,
} from "./state.ts";

// Word indices into `X86.state`, as constants of this file: they are hot.

const W_EIP = OFF_EIP >> 2;
const W_GPR = OFF_GPR >> 2;
const W_FLAGS = OFF_FLAGS >> 2;
const W_SHADOW = OFF_SHADOW >> 2;
const W_CC_OP = OFF_CC_OP >> 2;
const W_CC_SRC = OFF_CC_SRC >> 2;
const W_SEG = OFF_SEG >> 2;
const W_CR0 = OFF_CR >> 2;
const W_CR4 = (OFF_CR >> 2) + 8;
const W_DR = OFF_DR >> 2;
const W_CPL = OFF_CPL >> 2;
const W_INTR = OFF_INTR >> 2;
const W_VECTOR = OFF_EXC_VECTOR >> 2;
const W_EFER = OFF_EFER >> 2;
const W_FAULT = OFF_EXC_ADDRESS64 >> 2;
const W_PENDING_DEBUG = OFF_PENDING_DEBUG >> 2;
const W_NMI_PENDING = OFF_NMI_PENDING >> 2;
const W_NMI_BLOCKED = OFF_NMI_BLOCKED >> 2;
const W_WAITS_STARTUP = OFF_WAITS_STARTUP >> 2;

/** Words of a segment register in {@linkcode X86.state}: index of segment 0's selector. */
const SEG_WORDS = 8;

/** Recorded to leave a block without an exception: see {@linkcode X86.leaveIfChanged}. */
const EXC_NONE = -2;
/** Recorded to wait for an event where it is: see {@linkcode X86.waitForEvent}. */
const EXC_WAIT = -3;

// CR0 bits.
const CR0_PE = 1, CR0_NE = 0x20;
/** FSW: an unmasked exception is pending. */
const FSW_ES = 0x80;
/** DR6: single step. */
const DR6_BS = 0x4000;

/**
 * A number that looks random, from one that never comes twice: where two runs
 * have to be the same (MurmurHash3's finaliser).
 */
function scramble(v: number): number {
  let h = (v | 0) ^ Math.floor(v / 0x1_0000_0000);
  h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
  return h ^ h >>> 16;
}

function pdptesOf(state: Int32Array): Int32Array {
  return state.subarray(OFF_PDPTE >> 2, (OFF_PDPTE >> 2) + 8);
}

const NO_PORTS: PortBus = { read: () => -1, write: () => {} };

/** The CPU. */
export class X86 implements Frontend {
  /** Name of the ISA. */
  readonly name = "x86";
  /** The registers that translated code uses. */
  readonly globals: readonly Global[] = GLOBALS;
  /** All helpers, bound to this CPU. */
  readonly helpers: readonly Helper[];
  /** The page walk's result. */
  readonly pageWalk: PageWalk = {
    physical: 0,
    permissions: 0,
    large: false,
    huge: false,
  };
  /** The model. */
  readonly model: Model;
  /** The port space. */
  readonly ports: PortBus;
  /** The interrupt acknowledge cycle. */
  readonly acknowledge: () => number;
  /** The local APIC, if there is one. */
  readonly apic: LocalApic | undefined;
  /** How many CPUs the machine has. */
  readonly count: number;
  /** The level of FERR#, if somebody wants it. */
  readonly ferr: ((level: boolean) => void) | undefined;

  /**
   * The level of IGNNE#: x87 instructions go on in spite of a pending exception
   * while CR0.NE is clear. Where nobody has FERR#, it is tied to active.
   */
  ignne: boolean;

  /** The engine, once attached. */
  engine!: CpuEngine;
  /** Guest memory for operands of helpers; watches for data breakpoints when there are any. */
  mmu!: Mmu;
  /** The same for what the CPU itself accesses: descriptors, gates, TSS, inner stacks. */
  tables!: Mmu;
  /** The state as words: word `OFF_x >> 2` (offsets of state.ts). */
  state: Int32Array = new Int32Array(STATE_END >> 2);
  /** The state as bytes. */
  state8: Uint8Array = new Uint8Array(this.state.buffer);
  /** The state as 16-bit units. */
  state16: Uint16Array = new Uint16Array(this.state.buffer);
  /** The state as singles. */
  stateF32: Float32Array = new Float32Array(this.state.buffer);
  /** The state as doubles. */
  stateF64: Float64Array = new Float64Array(this.state.buffer);

  /** Model-specific registers. */
  msrs: Msrs;
  /** A task switch has already replaced the state: a fault must not restore the old program counter. */
  committed = false;
  /** The present instruction has entered a handler: no single-step trap after it. */
  suppressStep = false;
  /** The last reading of the timestamp source. */
  readonly stamps: { last: number };
  /** The four page-directory-pointer entries, low and high halves, as loaded with CR3 (PAE). */
  pdpte: Int32Array = pdptesOf(this.state);

  /** Where the last tables are that walks of IA-32e mode ended in. */
  readonly tableCache: TableCache = new TableCache();

  /** 32 random bits, signed. */
  readonly random: () => number;

  readonly #timestamp: () => number;
  readonly #translator: BlockTranslator | undefined;
  #key = 0;
  /** For compatibility mode, in front of `tables`. */
  #compat: CompatMmu | undefined;
  #a20 = true;
  /** Is told of exceptions and interrupts. */
  observer: EventObserver | undefined;
  /** Since AC was last clear, a supervisor may have accessed user pages. */
  userAccess = false;

  /** Makes a CPU in its reset state; `attach` gives it an engine. */
  constructor(options: X86Options) {
    this.model = options.model;
    this.ports = options.ports ?? NO_PORTS;
    this.ferr = options.ferr;
    this.ignne = options.ferr === undefined;
    this.acknowledge = options.acknowledge ?? ((): number => 0xff);
    this.apic = options.apic;
    this.count = options.count ?? 1;
    this.#timestamp = options.timestamp ??
      ((): number => this.engine?.instructions ?? 0);
    this.random = options.random ?? ((): number => scramble(this.readTsc()));
    this.stamps = options.stamps ?? { last: -1 };
    this.msrs = resetMsrs();
    this.helpers = bindHelpers(this);
    this.#translator = options.translator?.(this);
    this.reset();
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

  /** Added to the timestamp source. */
  get tscOffset(): number {
    return this.stateF64[OFF_TSC_OFFSET >> 3];
  }

  set tscOffset(value: number) {
    this.stateF64[OFF_TSC_OFFSET >> 3] = value;
  }

  /** Gives the frontend its engine. */
  attach(engine: CpuEngine): void {
    const old = this.state8;
    this.engine = engine;
    this.mmu = this.tables = engine.mmu;
    const buffer = engine.u8.buffer;
    const base = engine.base;
    this.state = new Int32Array(buffer, base, STATE_END >> 2);
    this.state8 = new Uint8Array(buffer, base, STATE_END);
    this.state16 = new Uint16Array(buffer, base, STATE_END >> 1);
    this.stateF32 = new Float32Array(buffer, base, STATE_END >> 2);
    this.stateF64 = new Float64Array(buffer, base, STATE_END >> 3);
    this.state8.set(old.subarray(0x100), 0x100);
    this.pdpte = pdptesOf(this.state);
    this.#applyA20();
    engine.mmu.setWide(this.lma);
    this.chooseMmu();
    engine.keyChanged();
  }

  // The program counter and the mode.

  /** EIP. */
  pcLo(): number {
    return this.state[W_EIP];
  }

  /** CS's base; in 64-bit mode the high half of RIP. */
  pcHi(): number {
    return (this.#key & KEY_LONG) !== 0
      ? this.state[W_EIP + 1]
      : this.state[W_SEG + CS * SEG_WORDS + 2];
  }

  /** Writes EIP, or RIP. CS's base is where far transfers have put it. */
  setPc(lo: number, hi: number): void {
    this.state[W_EIP] = lo;
    if ((this.#key & KEY_LONG) !== 0) this.state[W_EIP + 1] = hi;
  }

  /** The static mode key. */
  key(): number {
    return this.#key;
  }

  /**
   * Programs: the kernel's code stays where it is, and its addresses being
   * constants is worth a little.
   */
  relocatable(key: number): boolean {
    return isRelocatable(key);
  }

  /** Without paging. */
  flat(key: number): boolean {
    return (key & KEY_UNPAGED) !== 0;
  }

  /** EIP plus CS's base, or RIP. */
  linear(lo: number, hi: number): number {
    if ((this.#key & KEY_LONG) !== 0) return hi * WORD + (lo >>> 0);
    return this.lma ? (lo + hi) >>> 0 : (lo + hi) | 0;
  }

  /** In 64-bit mode. */
  wide(key: number): boolean {
    return (key & KEY_LONG) !== 0;
  }

  /** 1 at CPL 3, else 0. */
  fetchMmu(): number {
    return this.state[W_CPL] === 3 ? 1 : 0;
  }

  /** Translates one block. */
  translate(context: TranslateContext): void {
    if (this.#translator === undefined) throw new Error("no translator");
    this.#translator.translate(context);
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
    return (this.#key & KEY_LONG) !== 0;
  }

  /** The program counter: RIP in 64-bit mode, else EIP, signed. */
  get pc(): number {
    const s = this.state;
    return (this.#key & KEY_LONG) !== 0
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

  /** Computes the mode key anew; call after any change of what is in it. */
  updateKey(): void {
    this.setKey(modeKey(this.state));
  }

  /** Sets the mode key to what {@linkcode X86.updateKey} would compute. */
  setKey(key: number): void {
    const changed = key ^ this.#key;
    if (changed === 0) return;
    this.#key = key;
    if ((changed & KEY_LONG) !== 0) this.chooseMmu();
    this.engine?.keyChanged();
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
    return (this.#key & KEY_LONG) !== 0 ? this.scratchNumber() : low >>> 0;
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

  /**
   * A linear address that the CPU itself computes for a table: 32 bits wrap,
   * in IA-32e mode one that is not canonical raises #GP(0).
   */
  tableAddress(address: number): number {
    if ((this.state[W_EFER] & EFER_LMA) === 0) return address | 0;
    if (!isCanonicalAddress(address)) this.gp();
    if ((this.state[W_FLAGS] & AC) !== 0) denyUserTable(this, address);
    return address;
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

  /**
   * Writes the bits of EFLAGS that are in `mask`; the rest stays. CC_OP in the
   * state must be right. Updates the key, and lets a pending interrupt in.
   */
  setEflags(value: number, mask: number): void {
    const s = this.state;
    if ((mask & ARITH_FLAGS) !== 0) {
      const keep = (mask & ARITH_FLAGS) === ARITH_FLAGS
        ? 0
        : this.arithFlags() & ~mask;
      this.setArithFlags(keep | value & mask);
    }
    const m = mask & ~ARITH_FLAGS;
    const before = s[W_FLAGS];
    const after = before & ~m | value & m | 2;
    s[W_FLAGS] = after;
    if (((before ^ after) & (TF | AC | VM | IOPL_MASK)) !== 0) {
      if ((after & AC) === 0) this.userAccessEnded();
      this.updateKey();
    }
    this.checkInterrupt();
  }

  /** With SMAP and EFLAGS.AC, a supervisor accesses a user page: the TLB will know it. */
  noteUserAccess(address: number): void {
    this.userAccess = true;
    this.engine.mmu.noteConditional(address);
  }

  /** STAC: the supervisor may access user pages. */
  userAccessBegins(): void {
    if (this.engine.mmu.beginConditional()) this.userAccess = true;
  }

  /**
   * EFLAGS.AC is clear, or the level has become 3: the TLB forgets the user
   * pages that a supervisor has accessed.
   */
  userAccessEnded(): void {
    if (!this.userAccess) return;
    this.userAccess = false;
    this.engine.mmu.endConditional();
  }

  /** Makes the engine look at a pending interrupt when IF lets it in. */
  checkInterrupt(): void {
    if (this.irqLevel && (this.state[W_FLAGS] & IF) !== 0) {
      this.engine?.attention();
    }
  }

  /** The time stamp counter; no two readings are equal. */
  readTsc(): number {
    const { stamps } = this;
    const t = Math.max(Math.floor(this.#timestamp()), stamps.last + 1);
    stamps.last = t;
    return t + this.tscOffset;
  }

  /** What the time stamp counter has, without reading it. */
  peekTsc(): number {
    return Math.floor(this.#timestamp()) + this.tscOffset;
  }

  /** Sets the time stamp counter. */
  writeTsc(value: number): void {
    const now = Math.floor(this.#timestamp());
    const offset = value - now;
    const { apic } = this;
    if (apic !== undefined && apic.deadline !== 0) {
      // The local APIC waits for a value of the counter, not for a time.
      apic.deadline = Math.max(apic.deadline + this.tscOffset - offset, 1);
    }
    this.tscOffset = offset;
    this.stamps.last = now - 1;
  }

  // Exceptions and events.

  /** Records an exception without throwing. */
  record(vector: number, error: number, hasError: boolean): void {
    const s = this.state;
    s[W_VECTOR] = vector;
    s[OFF_EXC_ERROR >> 2] = error;
    s[OFF_EXC_HAS_ERROR >> 2] = hasError ? 1 : 0;
  }

  /** Raises an exception, with an error code unless that is -1. */
  raise(vector: number, error: number = -1): never {
    if (error === -1) this.record(vector, 0, false);
    else this.record(vector, error, true);
    throw GUEST_FAULT;
  }

  /** Raises #GP with an error code, 0 by default. */
  gp(error: number = 0): never {
    this.raise(EXC_GP, error);
  }

  /** Raises #UD. */
  ud(): never {
    this.raise(EXC_UD);
  }

  /** Raises #DB as a fault, with these bits in DR6. */
  raiseDebug(dr6: number): never {
    this.pendingDebug |= dr6;
    this.raise(EXC_DB);
  }

  /** Has #DB delivered after the present instruction, with these bits in DR6. */
  debugTrap(dr6: number): void {
    this.pendingDebug |= dr6;
    this.engine?.attention();
  }

  /**
   * Leaves the block after a helper if it has changed the mode key or an event
   * is due: for instructions that seldom do and should not end their block.
   * The state must be complete but for EIP, which becomes `next` (in 64-bit
   * mode the block has written RIP instead); `key` is the key before. Faulting
   * helpers only.
   */
  leaveIfChanged(key: number, next: number): void {
    if (this.#key === key && !this.interruptible()) return;
    if ((key & KEY_TF) !== 0) this.debugTrap(DR6_BS);
    if ((key & KEY_LONG) === 0) this.state[W_EIP] = next;
    this.committed = true;
    this.record(EXC_NONE, 0, false);
    throw GUEST_FAULT;
  }

  /** Makes the state that of the start of an instruction. */
  restore(pcLo: number, pcHi: number, aux: number): void {
    // A task switch that faulted after its commit point faults in the new task.
    if (this.committed) {
      this.committed = false;
      return;
    }
    this.setPc(pcLo, pcHi);
    const op = aux & AUX_CC_OP;
    if (op !== AUX_CC_OP) this.state[W_CC_OP] = op;
    if (this.state[W_VECTOR] === EXC_NOT_CANONICAL) {
      const isStore = this.state[OFF_EXC_ERROR >> 2] !== 0;
      const bits = AUX_NOT_STACK | (isStore ? AUX_NOT_PUSH : AUX_NOT_POP);
      this.record((aux & bits) === bits ? EXC_GP : EXC_SS, 0, true);
    }
    if ((aux & AUX_NOT_MODIFIES) === 0 && this.state[W_VECTOR] === EXC_PF) {
      this.state[OFF_EXC_ERROR >> 2] |= 2; // W/R
    }
  }

  /** Records the exception of a fired `trap`. */
  trap(code: number): void {
    this.record(code & 0xff, code >>> 16, (code & 0x100) !== 0);
  }

  /** Delivers the recorded exception. */
  deliver(): boolean {
    this.committed = false;
    const s = this.state;
    s[W_SHADOW] = 0;
    if (s[W_VECTOR] === EXC_NONE) {
      s[W_VECTOR] = -1;
      return true;
    }
    if (s[W_VECTOR] === EXC_WAIT) {
      s[W_VECTOR] = -1;
      this.engine.halt();
      return true;
    }
    return deliverException(this);
  }

  /** Whether a debug trap, an NMI or an interrupt can be taken now. */
  interruptible(): boolean {
    if (this.pendingDebug !== 0) return true;
    if (this.nmiPending && !this.nmiBlocked) return true;
    return this.irqLevel && (this.state[W_FLAGS] & IF) !== 0;
  }

  /** Takes the event that {@linkcode interruptible} saw. */
  interrupt(): boolean {
    this.committed = false;
    return takeEvent(this);
  }

  /** Whether something would wake the CPU from HLT. */
  wakes(): boolean {
    return this.interruptible();
  }

  /** Whether the INTR line can wake the CPU from HLT. */
  wakeable(): boolean {
    return (this.state[W_FLAGS] & IF) !== 0;
  }

  /** Whether the next instruction is in an interrupt shadow; ends the shadow. */
  takeSingle(): boolean {
    if (this.state[W_SHADOW] === 0) return false;
    this.state[W_SHADOW] = 0;
    return true;
  }

  /** Whether the next instruction is in an interrupt shadow. */
  isSingle(): boolean {
    return this.state[W_SHADOW] !== 0;
  }

  /** See {@linkcode Frontend.observeEvents}. */
  observeEvents(observer: EventObserver | undefined): void {
    this.observer = observer;
  }

  /** Walks the page tables. */
  walk(address: number, access: Access, mmu: number, probe: boolean): boolean {
    return walkPage(this, address, access, mmu, probe);
  }

  /** See {@linkcode Frontend.forgetTables}. */
  forgetTables(): void {
    this.tableCache.forget();
  }

  /** Records the fault of a load or store at an address that is not canonical. */
  recordNotCanonical(isStore: boolean): void {
    this.record(EXC_NOT_CANONICAL, isStore ? 1 : 0, true);
  }

  /** Records a page fault. */
  recordPageFault(address: number, error: number): void {
    this.record(EXC_PF, error, true);
    const s = this.state;
    s[OFF_EXC_ADDRESS >> 2] = address;
    s[W_FAULT] = address;
    s[W_FAULT + 1] = this.lma ? highWord(address) : 0;
  }

  /**
   * Has the present instruction wait: it begins anew after the next interrupt.
   * Faulting helpers only.
   */
  waitForEvent(): never {
    this.record(EXC_WAIT, 0, false);
    throw GUEST_FAULT;
  }

  // Lines.

  /** The level of the INTR line. */
  setIrq(level: boolean): void {
    this.irqLevel = level;
    if (level) this.checkInterrupt();
  }

  /** An edge on the NMI line. */
  nmi(): void {
    if (this.waitsForStartup) return;
    this.nmiPending = true;
    this.engine?.attention();
  }

  /**
   * A start-up message has come: a CPU that waits for one starts in real mode
   * at the beginning of this page of 4 KiB.
   */
  startup(page: number): void {
    if (!this.waitsForStartup) return;
    this.waitsForStartup = false;
    this.setSeg(CS, page << 8, page << 12, 0xffff, 0x9b00);
    this.state[W_EIP] = 0;
    this.updateKey();
    this.engine.resume();
  }

  /** The level of another line: `a20`, `ignne` (true: active). */
  setInput(name: string, level: boolean): void {
    switch (name) {
      case "a20":
        this.#a20 = level;
        this.#applyA20();
        break;
      case "ignne":
        this.ignne = level;
        break;
      default:
        throw new Error(`there is no input line "${name}"`);
    }
  }

  /** Drives FERR# anew: after any change of CR0.NE, or of FSW as a whole. */
  driveFerr(): void {
    const s = this.state;
    this.ferr?.((s[OFF_FSW >> 2] & FSW_ES) !== 0 && (s[W_CR0] & CR0_NE) === 0);
  }

  /** The level of the A20 line. */
  get a20(): boolean {
    return this.#a20;
  }

  #applyA20(): void {
    this.engine?.mmu.setPhysicalMask(this.#a20 ? -1 : ~(1 << 20));
  }

  /** Chooses between plain and watching memory access after DR7 has changed; updates the key. */
  debugChanged(): void {
    if (this.engine !== undefined) {
      const dr7 = this.state[W_DR + 14];
      const data = (dr7 & 0xff) !== 0;
      this.tables = data ? new WatchingMmu(this) : this.engine.mmu;
      this.#compat = undefined;
    }
    this.updateKey();
    this.chooseMmu();
  }

  /** Chooses how helpers see memory: after a change of the mode. */
  chooseMmu(): void {
    if (this.engine === undefined) return;
    this.mmu = this.lma && !this.long
      ? this.#compat ??= new CompatMmu(this.tables)
      : this.tables;
  }

  // Reset, description, saving.

  /** Hardware reset. A20, IGNNE# and the INTR line are the machine's. */
  reset(): void {
    resetCpu(this);
  }

  /** See {@linkcode Frontend.init}. */
  init(): void {
    initCpu(this);
  }

  /** Where the CPU stands. */
  describe(): string {
    return describeCpu(this);
  }

  /** For people who look at it. */
  async inspect(memory: PhysicalReader): Promise<CpuInspector> {
    const { X86Inspector } = await import("./inspect.ts");
    return new X86Inspector(this, memory);
  }

  /**
   * Sets registers by name, after `reset`: see {@linkcode setRegister}. CPL
   * follows from CS, EFER.LMA from EFER and CR0.
   */
  enter(state: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(state)) {
      setRegister(this, name, value);
    }
    const real = (this.cr0 & CR0_PE) === 0;
    this.setCpl(this.v86 ? 3 : real ? 0 : this.selector(CS) & 3);
    updateLma(this);
    if (usesPdptes(this.cr0, this.cr4, this.state[W_EFER])) {
      loadPdptes(this, this.state[W_CR0 + 6]);
    }
    this.engine?.mmu.flush(false);
    this.debugChanged();
  }

  /** See {@linkcode Frontend.debugRegisters}. */
  async debugRegisters(): Promise<DebugRegisters> {
    const { X86DebugRegisters } = await import("./debug_registers.ts");
    return new X86DebugRegisters(this);
  }

  /** The registers for the state record. */
  save(): Record<string, unknown> {
    return saveCpu(this);
  }

  /** The reverse of `save`. */
  load(record: Record<string, unknown>): void {
    loadCpu(this, record);
  }
}
