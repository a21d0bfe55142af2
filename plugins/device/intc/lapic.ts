/**
 * The local APIC of a CPU, in xAPIC or x2APIC mode: takes interrupts from its own timer,
 * its two pins and the APIC bus, and gives them to the CPU by priority.
 *
 * It stands between the 8259A and the CPU: what LINT0 passes on as ExtINT has
 * its vector from the 8259A ("virtual wire"), and so has every interrupt while
 * the local APIC is disabled.
 *
 * Source: Intel SDM volume 3, chapter 10. The version is that of a Pentium 4.
 *
 * The registers' region leaves out the first 16 bytes, which are reserved:
 * while it lies over the bus's region for messages, a message to APIC ID 0
 * gets through there. No other message can be taken for a register access,
 * since bits 4 to 11 of a message's address are 0.
 *
 * @module
 */

import {
  APIC_BASE_BSP,
  APIC_BASE_ENABLE,
  APIC_BROADCAST,
  type ApicBus,
  type ApicReceiver,
  DELIVER_EXTINT,
  DELIVER_FIXED,
  DELIVER_NMI,
  LOCAL_APIC_BYTES,
  type LocalApic,
} from "../../../core/bus/apic.ts";
import type { IrqLine } from "../../../core/bus/irq_line.ts";
import type { RegionMover } from "../../../core/bus/movable_region.ts";
import type { InterruptController } from "../../../core/machine/cpu.ts";
import type { DeviceEvent } from "../../../core/machine/device_events.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import { localApicLines } from "./apic_text.ts";
import { DCR_BITS } from "./apic_timer.ts";
import {
  ICR_BITS,
  ICR_PENDING,
  isAddressed,
  isIllegalCommand,
  isX2Mode,
  logicalId,
  sendCommand,
} from "./interrupt_command.ts";
import {
  APR,
  CURRENT_COUNT,
  DCR,
  DFR,
  EOI,
  ESR,
  ICRH,
  ICRL,
  ID,
  INITIAL_COUNT,
  IRR,
  isMsr,
  ISR,
  isRegister,
  LDR,
  LVT,
  PPR,
  RRD,
  SELF_IPI,
  SVR,
  TMR,
  TPR,
  VER,
  VERSION,
} from "./lapic_registers.ts";
import { LocalApicState } from "./lapic_memory.ts";
import {
  APIC_DEFAULT_BASE,
  ESR_REGISTER,
  ESR_SEND_ILLEGAL,
  FIRST_VECTOR,
  freshLocalApic,
  type LocalApicRecord,
  LVT_LEVEL,
  LVT_LINT0,
  LVT_LINT1,
  LVT_MODE_SHIFT,
  LVT_READ_ONLY,
  SVR_BITS,
  SVR_ENABLE,
} from "./lapic_state.ts";
import { LocalInterrupts } from "./local_interrupts.ts";
import { highestVector } from "./vector_set.ts";

/** Bytes that are left out at the start of the registers' page. */
const RESERVED = 0x10;
/** Bytes of the registers. */
const SIZE = 0x1000 - RESERVED;
/** IA32_APIC_BASE: all but the flags. */
const BASE_MASK = 0xfff;
const PAGE = 0x1000;

/** Configuration. */
export interface LocalApicConfig {
  /** The APIC ID after reset; that of the bootstrap processor is 0. */
  readonly id: number;
  /** Whether LINT0 passes the 8259A on from the start, and after an INIT. */
  readonly virtualWire: boolean;
}

/** The local APIC. */
export class LocalApicDevice implements Device, LocalApic, ApicReceiver {
  /** The ID after reset. */
  readonly initialId: number;
  /** See `LocalApic.onStartup`. */
  onStartup: (page: number) => void = () => {};
  /** Until a CPU has it stand in its own area, in shared memory all the same. */
  #state: LocalApicState = new LocalApicState(
    new SharedArrayBuffer(LOCAL_APIC_BYTES),
    0,
  );
  readonly #name: string;
  readonly #runningCpu: () => number;
  readonly #virtualWire: boolean;
  readonly #bus: ApicBus;
  readonly #registers: RegionMover;
  readonly #interrupts: LocalInterrupts;
  readonly #init: IrqLine;
  readonly #programmed: DeviceEvent<{ initial: number; divide: number }>;

  /** A local APIC in its reset state. */
  constructor(config: LocalApicConfig, context: DeviceContext) {
    this.initialId = config.id;
    this.#name = context.name;
    this.#runningCpu = () => context.runningCpu();
    this.#virtualWire = config.virtualWire;
    this.#bus = context.collaborator<ApicBus>("bus");
    this.#init = context.output("init");
    this.#programmed = context.event("timer");
    this.#registers = context.mover("registers");
    context.io("registers", {
      // Less than 32 bits is undefined (SDM 10.4.1): a part is read, nothing
      // is written, as in KVM.
      read: (offset) => {
        const own = this.#own();
        if (own === undefined) return 0xffffffff;
        const part = offset & 3;
        return own.#read(offset - part + RESERVED) >>> 8 * part;
      },
      write: (offset, width, value) => {
        const own = width === 4 ? this.#own() : undefined;
        if (own !== undefined) own.#write(offset + RESERVED, value);
      },
    });
    this.#state.assign(this.#fresh());
    this.#interrupts = new LocalInterrupts(this.#state, {
      clock: context.clock,
      log: context.log,
      bus: this.#bus,
      pic: context.collaborator<InterruptController>("pic"),
      intr: context.output("intr"),
      nmi: context.output("nmi"),
      init: () => this.#initialize(),
      startup: (page) => this.onStartup(page),
    });
    context.input("lint0", (level) => this.#interrupts.setPin(0, level));
    context.input("lint1", (level) => this.#interrupts.setPin(1, level));
    context.input("init", (level) => {
      if (level) this.#initialize();
    });
    this.#bus.attach(this);
    this.#follow();
  }

  /** The state after power-up, or as firmware leaves it. */
  #fresh(): LocalApicRecord {
    const flags = APIC_BASE_ENABLE |
      (this.initialId === 0 ? APIC_BASE_BSP : 0);
    const state = freshLocalApic(APIC_DEFAULT_BASE + flags, this.initialId);
    if (this.#virtualWire && this.initialId === 0) {
      state.SVR |= SVR_ENABLE;
      state.LVT[LVT_LINT0] = LVT_LEVEL | DELIVER_EXTINT << LVT_MODE_SHIFT;
      state.LVT[LVT_LINT1] = DELIVER_NMI << LVT_MODE_SHIFT;
    }
    return state;
  }

  /** See `LocalApic.apicBase`. */
  get apicBase(): number {
    return this.#state.base;
  }

  set apicBase(value: number) {
    const { base, lint } = this.#state;
    this.#state.base = value;
    // "Prior initialization may be lost" (SDM 10.4.3), and the ID with it.
    const flipped = ((value ^ base) & APIC_BASE_ENABLE) !== 0;
    if (flipped) {
      this.#adopt({ ...freshLocalApic(value, this.initialId), lint });
    } else {
      // The ID is that of the hardware again, and cannot be written.
      if (this.#isX2) this.#state.id = this.initialId;
      this.#follow();
    }
    if (flipped) this.#bus.take(-1);
  }

  /** Whether the registers are MSRs. */
  get #isX2(): boolean {
    return isX2Mode(this.#state);
  }

  /** See `LocalApic.hasDeadline`. */
  get hasDeadline(): boolean {
    return this.#interrupts.hasDeadline;
  }

  set hasDeadline(value: boolean) {
    this.#interrupts.hasDeadline = value;
  }

  /** See `LocalApic.deadline`. */
  get deadline(): number {
    return this.#interrupts.timer.deadline;
  }

  set deadline(time: number) {
    this.#interrupts.timer.deadline = time;
  }

  /** See `LocalApic.destination`. */
  get destination(): number {
    return this.#state.ICRH;
  }

  /** See `LocalApic.readMsr`. */
  readMsr(register: number): number {
    if (!this.#isX2 || !isMsr(register)) return -1;
    switch (register) {
      case ID:
        return this.#state.id;
      case LDR:
        return logicalId(this.#state.id);
      case EOI:
      case SELF_IPI:
        return -1;
    }
    return this.#read(register << 4) >>> 0;
  }

  /** See `LocalApic.writeMsr`. */
  writeMsr(register: number, low: number, high: number): boolean {
    if (!this.#isX2 || !isMsr(register)) return false;
    // Reserved bits raise #GP (SDM 10.12.1.3).
    if ((low & ~this.#writableMsr(register)) !== 0) return false;
    if (register === ICRL) {
      this.#state.ICRH = high;
      this.#write(ICRL << 4, low);
      return true;
    }
    if (high !== 0 || register >= ISR && register < ESR) return false;
    switch (register) {
      case ID:
      case VER:
      case PPR:
      case LDR:
      case CURRENT_COUNT:
        return false;
      case SELF_IPI:
        this.#sendSelf(low);
        return true;
    }
    this.#write(register << 4, low >>> 0);
    return true;
  }

  /** The bits of a register that software may set in x2APIC mode. */
  #writableMsr(register: number): number {
    switch (register) {
      case EOI:
      case ESR:
        return 0;
      case TPR:
      case SELF_IPI:
        return 0xff;
      case SVR:
        return SVR_BITS;
      case ICRL:
        // The delivery status is no longer there, but is taken.
        return ICR_BITS | ICR_PENDING;
      case DCR:
        return DCR_BITS;
    }
    return register >= LVT && register < INITIAL_COUNT
      ? this.#interrupts.writable(register - LVT) | LVT_READ_ONLY
      : -1;
  }

  /** See `LocalApic.taskPriority`. */
  get taskPriority(): number {
    return this.#state.TPR;
  }

  set taskPriority(value: number) {
    this.#write(TPR << 4, value);
  }

  /**
   * INIT: the CPU starts again, the APIC forgets all but its ID. What firmware
   * leaves that does not know of it stands again.
   */
  #initialize(): void {
    const { base, id, lint } = this.#state;
    this.#adopt({ ...this.#fresh(), base, id, lint });
    this.#bus.take(-1);
    this.#init.pulse();
  }

  /** The CPU takes an interrupt. */
  acknowledge(): number {
    return this.#interrupts.acknowledge();
  }

  // What the bus asks.

  /** See `ApicReceiver.isAddressed`. */
  isAddressed(destination: number, logical: boolean): boolean {
    return this.#interrupts.isEnabled &&
      isAddressed(this.#state, destination, logical);
  }

  /** See `ApicReceiver.priority`. */
  get priority(): number {
    return this.#interrupts.accepts ? this.#interrupts.priority : Infinity;
  }

  /** See `ApicReceiver.receive`. */
  receive(mode: number, vector: number, level: boolean): boolean {
    return this.#interrupts.receive(mode, vector, level);
  }

  // Registers.

  /**
   * The local APIC of the CPU that accesses the registers: all of them are at
   * the same address. Undefined if the CPU has moved or disabled its own.
   */
  #own(): LocalApicDevice | undefined {
    const cpu = this.#runningCpu();
    if (cpu === this.initialId) return this;
    const own = this.#bus.receiver(cpu);
    if (!(own instanceof LocalApicDevice)) return undefined;
    const { base } = own.#state;
    return (base & APIC_BASE_ENABLE) !== 0 && !own.#isX2 &&
        base - base % PAGE === this.#state.base - this.#state.base % PAGE
      ? own
      : undefined;
  }

  #read(offset: number): number {
    const s = this.#state;
    const register = offset >> 4;
    // What is between the registers is undefined.
    if ((offset & 15) !== 0) return 0;
    switch (register) {
      case ID:
        return s.id << 24;
      case VER:
        return VERSION;
      case TPR:
        return s.TPR;
      case APR:
        return this.#arbitration();
      case PPR:
        return this.#interrupts.priority;
      case EOI:
      case RRD:
        return 0;
      case LDR:
        return s.LDR << 24;
      case DFR:
        return s.DFR << 28 | 0x0fffffff;
      case SVR:
        return s.SVR;
      case ESR:
        return s.ESR;
      case ICRL:
        return s.ICRL;
      case ICRH:
        return s.ICRH;
      case INITIAL_COUNT:
        return this.#interrupts.timer.initial;
      case CURRENT_COUNT:
        return this.#interrupts.timer.current;
      case DCR:
        return this.#interrupts.timer.divide;
    }
    if (!isRegister(register)) {
      this.#interrupts.error(ESR_REGISTER);
      return 0;
    }
    if (register >= LVT) return s.LVT[register - LVT];
    if (register >= IRR) return s.IRR[register - IRR];
    return register >= TMR ? s.TMR[register - TMR] : s.ISR[register - ISR];
  }

  #write(offset: number, value: number): void {
    const s = this.#state;
    const register = offset >> 4;
    if ((offset & 15) !== 0) return;
    switch (register) {
      case TPR:
        s.TPR = value & 0xff;
        return this.#interrupts.update();
      case EOI:
        return this.#interrupts.end();
      case ICRL:
        s.ICRL = value & ICR_BITS;
        return this.#command();
      case ICRH:
        s.ICRH = value & 0xff000000;
        return;
      case INITIAL_COUNT:
        if (this.#programmed.isHeard) {
          const divide = this.#interrupts.timer.divide;
          this.#programmed.tell({ initial: value, divide });
        }
        return this.#interrupts.timer.start(value);
      case DCR:
        return this.#interrupts.timer.setDivide(value);
      case ID:
        s.id = value >>> 24;
        return;
      case LDR:
        s.LDR = value >>> 24;
        return;
      case DFR:
        s.DFR = value >>> 28;
        return;
      case SVR:
        s.SVR = value & SVR_BITS;
        if ((value & SVR_ENABLE) === 0) this.#interrupts.maskAll();
        return this.#interrupts.update();
      case ESR:
        s.ESR = s.errors;
        s.errors = 0;
        return;
    }
    if (register >= LVT && register < INITIAL_COUNT) {
      this.#interrupts.writeLvt(register - LVT, value);
    } else if (!isRegister(register)) {
      this.#interrupts.error(ESR_REGISTER);
    }
  }

  /** Arbitration priority (SDM 10.6.2.4), for the register alone. */
  #arbitration(): number {
    const { TPR, IRR, ISR } = this.#state;
    const requested = Math.max(highestVector(IRR), 0) >> 4;
    const inService = Math.max(highestVector(ISR), 0) >> 4;
    const task = TPR >> 4;
    if (task >= requested && task > inService) return TPR;
    return Math.max(task & inService, requested) << 4;
  }

  /** ICR: send an interprocessor interrupt. */
  #command(): void {
    if (isIllegalCommand(this.#state)) {
      this.#interrupts.error(ESR_SEND_ILLEGAL);
    }
    sendCommand(this.#state, this.#bus, this);
  }

  /** SELF IPI, the register of x2APIC mode. */
  #sendSelf(vector: number): void {
    if (vector < FIRST_VECTOR) this.#interrupts.error(ESR_SEND_ILLEGAL);
    this.receive(DELIVER_FIXED, vector, false);
  }

  // Life.

  /** Power-up; the pins keep the levels that their drivers give them. */
  reset(): void {
    const { lint } = this.#state;
    this.#adopt({ ...this.#fresh(), lint });
  }

  /** In the layout of QEMU's `info lapic`. */
  describe(): Iterable<string> {
    return localApicLines(this.#state, this.#interrupts.timer.current);
  }

  /** All registers. */
  save(): StateRecord {
    return saveState(this.#state.record());
  }

  /** All registers. */
  load(record: StateRecord): void {
    this.#adopt(loadState(this.#fresh(), record, this.#name));
  }

  /** See `LocalApic.storeIn`. */
  storeIn(memory: ArrayBufferLike, offset: number): void {
    const state = new LocalApicState(memory, offset);
    state.assign(this.#state.record());
    this.#state = state;
    this.#interrupts.adopt(state);
  }

  #adopt(record: LocalApicRecord): void {
    this.#state.assign(record);
    this.#interrupts.adopt(this.#state);
    this.#follow();
  }

  /** Bring the region and the output in line with the state. */
  #follow(): void {
    const { base } = this.#state;
    const flags = base % (BASE_MASK + 1);
    if ((base & APIC_BASE_ENABLE) !== 0 && !this.#isX2) {
      this.#registers.map(base - flags + RESERVED);
    } else this.#registers.unmap();
    this.#interrupts.update();
  }
}

/** The `lapic` plugin. */
const plugin: DevicePlugin<LocalApicConfig> = {
  type: "device",
  name: "lapic",
  version: "1.0.0",
  description: "The local APIC of a CPU, with an 8259A behind LINT0",
  config: {
    type: "object",
    properties: {
      id: {
        type: "integer",
        minimum: 0,
        maximum: APIC_BROADCAST - 1,
        default: 0,
        description: "The APIC ID; that of the bootstrap processor is 0",
      },
      virtualWire: {
        type: "boolean",
        default: false,
        description: "Begin with the 8259A passed on by LINT0 and NMI by " +
          "LINT1, as firmware leaves it, for a machine that may have none",
      },
    },
  },
  regions: {
    registers: { space: "memory", size: SIZE, movable: true, shadows: true },
  },
  outputs: ["intr", "nmi", "init"],
  events: {
    timer: {
      description:
        "The timer gets a new initial count (0 stops it); `divide` is the divide configuration register",
      data: { initial: "number", divide: "number" },
    },
  },
  inputs: ["lint0", "lint1", "init"],
  uses: { bus: "apic-bus", pic: "interrupt-controller" },
  provides: ["interrupt-controller", "local-interrupt-controller"],
  create: (config, context) => new LocalApicDevice(config, context),
};
export default plugin;
