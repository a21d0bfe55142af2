/**
 * The x86 CPU as the engine drives it: a frontend over the state that
 * registers.ts and faults.ts give to helpers. It adds what the CPU is wired to
 * and how it sees memory.
 *
 * Everything here is called between blocks or from helpers. A helper that
 * raises a fault throws `GUEST_FAULT` out of `raise`; the engine then restores
 * the program counter and calls `deliver`.
 *
 * @module
 */

import type { LocalApic } from "../../../core/bus/apic.ts";
import type {
  Access,
  CpuEngine,
  EventObserver,
  Frontend,
  Mmu,
  PageWalk,
  TranslateContext,
} from "../../../core/cpu/frontend.ts";
import type {
  CpuInspector,
  PhysicalReader,
} from "../../../core/cpu/inspector.ts";
import type { DebugRegisters } from "../../../core/debug/contract.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import type { Global } from "../../../core/ir/types.ts";
import { WatchingMmu } from "./debug.ts";
import { CompatMmu } from "./mmu_layers.ts";
import { EXC_NONE, EXC_WAIT } from "./exceptions.ts";
import { Faults } from "./faults.ts";
import { bindHelpers } from "./helpers.ts";
import { deliverException, takeEvent } from "./interrupts.ts";
import { EFER_LMA, isCanonicalAddress, updateLma, WORD } from "./long_mode.ts";
import { modeKey } from "./mode_key.ts";
import type { Model } from "./models.ts";
import { describeCpu, setRegister } from "./named_registers.ts";
import type { BlockTranslator, PortBus, X86Options } from "./options.ts";
import { loadPdptes, usesPdptes, walkPage } from "./paging.ts";
import { denyUserTable } from "./paging_long.ts";
import { initCpu, resetCpu } from "./reset.ts";
import { loadCpu, saveCpu } from "./saved_state.ts";
import {
  AC,
  ARITH_FLAGS,
  CS,
  GLOBALS,
  IF,
  IOPL_MASK,
  isRelocatable,
  KEY_DEBUG,
  KEY_LONG,
  KEY_UNPAGED,
  OFF_APIC,
  OFF_CPL,
  OFF_CR,
  OFF_DR,
  OFF_EFER,
  OFF_EIP,
  OFF_EXC_VECTOR,
  OFF_FLAGS,
  OFF_FSW,
  OFF_SHADOW,
  RF,
  SHADOW_STACK,
  TF,
  VM,
} from "./state.ts";
import { TableCache } from "./table_cache.ts";
import { createStamps, scramble, TimeStampCounter } from "./time_stamp.ts";

// Word indices into `X86.state`, as constants of this file: they are hot.

const W_EIP = OFF_EIP >> 2;
const W_FLAGS = OFF_FLAGS >> 2;
const W_SHADOW = OFF_SHADOW >> 2;
const W_CR0 = OFF_CR >> 2;
const W_DR = OFF_DR >> 2;
const W_CPL = OFF_CPL >> 2;
const W_VECTOR = OFF_EXC_VECTOR >> 2;
const W_EFER = OFF_EFER >> 2;

// CR0 bits.
const CR0_PE = 1, CR0_NE = 0x20;
/** FSW: an unmasked exception is pending. */
const FSW_ES = 0x80;

const NO_PORTS: PortBus = { read: () => -1, write: () => {} };

/** The CPU. */
export class X86 extends Faults implements Frontend {
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

  /** Guest memory for operands of helpers; watches for data breakpoints when there are any. */
  mmu!: Mmu;
  /** The same for what the CPU itself accesses: descriptors, gates, TSS, inner stacks. */
  tables!: Mmu;
  /** The time stamp counter. */
  readonly tsc: TimeStampCounter;

  /** Where the last tables are that walks of IA-32e mode ended in. */
  readonly tableCache: TableCache = new TableCache();

  /** 32 random bits, signed. */
  readonly random: () => number;

  readonly #translator: BlockTranslator | undefined;
  /** For compatibility mode, in front of `tables`. */
  #compat: CompatMmu | undefined;
  /** Is told of exceptions and interrupts. */
  observer: EventObserver | undefined;
  /** Somebody observes accesses to ports. */
  tellsPorts = false;

  /** Makes a CPU in its reset state; `attach` gives it an engine. */
  constructor(options: X86Options) {
    super();
    this.model = options.model;
    this.ports = options.ports ?? NO_PORTS;
    this.ferr = options.ferr;
    this.ignne = options.ferr === undefined;
    this.acknowledge = options.acknowledge ?? ((): number => 0xff);
    this.apic = options.apic;
    this.count = options.count ?? 1;
    this.tsc = new TimeStampCounter(
      this,
      options.timestamp ?? ((): number => this.engine?.instructions ?? 0),
      options.stamps ?? createStamps(),
      options.apic,
    );
    this.random = options.random ?? ((): number => scramble(this.tsc.read()));
    this.a20 = true;
    this.helpers = bindHelpers(this);
    this.#translator = options.translator?.(this);
    this.reset();
  }

  /** Gives the frontend its engine. */
  attach(engine: CpuEngine): void {
    this.engine = engine;
    this.mmu = this.tables = engine.mmu;
    this.moveState(engine.u8.buffer, engine.base);
    this.apic?.storeIn(engine.u8.buffer, engine.base + OFF_APIC);
    this.#applyA20();
    engine.mmu.setWide(this.lma);
    this.chooseMmu();
    engine.keyChanged();
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
    if ((this.presentKey & KEY_LONG) !== 0) return hi * WORD + (lo >>> 0);
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

  /** Computes the mode key anew; call after any change of what is in it. */
  updateKey(): void {
    this.setKey(modeKey(this.state));
  }

  /** Sets the mode key to what {@linkcode X86.updateKey} would compute. */
  setKey(key: number): void {
    const changed = key ^ this.presentKey;
    if (changed === 0) return;
    this.presentKey = key;
    if ((changed & KEY_LONG) !== 0) this.chooseMmu();
    this.engine?.keyChanged();
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

  // Exceptions and events.

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

  /** Takes the event that {@linkcode Faults.interruptible} saw. */
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
    const s = this.state;
    const shadow = s[W_SHADOW];
    if (shadow === 0) return false;
    s[W_SHADOW] = 0;
    if (shadow === SHADOW_STACK && (this.presentKey & KEY_DEBUG) !== 0) {
      s[W_FLAGS] |= RF; // until its breakpoint has been looked for
    }
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

  /** See {@linkcode Frontend.observePorts}. */
  observePorts(isObserved: boolean): void {
    this.tellsPorts = isObserved;
    if (this.#translator !== undefined) {
      this.#translator.tellsPorts = isObserved;
    }
  }

  /** Walks the page tables. */
  walk(address: number, access: Access, mmu: number, probe: boolean): boolean {
    return walkPage(this, address, access, mmu, probe);
  }

  /** See {@linkcode Frontend.forgetTables}. */
  forgetTables(): void {
    this.tableCache.forget();
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
        this.a20 = level;
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

  #applyA20(): void {
    this.engine?.mmu.setPhysicalMask(this.a20 ? -1 : ~(1 << 20));
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
