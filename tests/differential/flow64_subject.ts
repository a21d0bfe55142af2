/**
 * The bare CPU that runs random programs of `flow64.ts`.
 *
 * @module
 */

import { Engine } from "../../core/exec/engine.ts";
import { INDEX_BYTES } from "../../core/exec/layout.ts";
import { SharedCode } from "../../core/exec/shared_code.ts";
import { GuestMemory } from "../../core/machine/memory.ts";
import type { PhysicalSpace } from "../../core/mmu/physical_access.ts";
import { SCRATCH_BYTES } from "../../core/translate/block_translator.ts";
import { X86 } from "../../plugins/cpu/x86/cpu.ts";
import { updateLma } from "../../plugins/cpu/x86/long_mode.ts";
import { createTranslator } from "../../plugins/cpu/x86/mod.ts";
import { MODELS } from "../../plugins/cpu/x86/models.ts";
import {
  CS,
  DS,
  ES,
  FS,
  GS,
  LDTR,
  OFF_CPL,
  OFF_CR,
  OFF_EFER,
  OFF_EIP,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_GPR,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  SS,
  TR,
} from "../../plugins/cpu/x86/state.ts";
import {
  BANKS,
  CODE_IN_BANK,
  COUNT,
  DATA_IN_BANK,
  DEVICE,
  ENTRIES,
  EVENTS,
  type FlowProgram64,
  IRQ_VECTOR,
  KERNEL,
  LOG,
  OP_POSITION,
  OPS,
  PAGE,
  START,
  SYSTEM,
  SYSTEM_PAGES,
  TABLE_PAGES,
  TABLES_AT,
  TABLES_END,
} from "./flow64_layout.ts";
import { HAS_ERROR } from "./rhea.ts";

/** `native/flow64_supervisor.asm`, assembled. */
const SUPERVISOR =
  "5051525348bb0000e0d5bc9affff488b8b08400000488d410148898308400000" +
  "0fb6c9c1e105488d8c19006000008b44242089018b542428895104488b542430" +
  "48895108488b542448488951100f20d24889511883f80e743783f82074683d80" +
  "0000007461488b83104000004889442430488b83184000004889442448488164" +
  "2440d50e00035b5a59584883c41048cf0f20d0483b8328400000488983284000" +
  "0074c28b8b20400000488b84cbf89f0000830807816004ffffff7fffc975eae8" +
  "7c000000ebc0488b8300400000488d480148898b0040000083e03fc1e005488d" +
  "8c1800500000488b014885c0740e488b104823510848335110488910488b5118" +
  "4883fa0174144883fa0274294883fa0474120f013ae96cffffffe821000000e9" +
  "62ffffff0f20d84835001000000f22d8e951ffffff0f20d80f22d8e946ffffff" +
  "0f20e04889c24881f2800000000f22e20f22e0c3";

const TSS = KERNEL + 0x400n;
/** The top of the stack of interrupts: under the operations' ring. */
const STACK_TOP = KERNEL + 0x4000n;
const DATA_BYTES = 4 * 2 * TABLE_PAGES * PAGE;

function isDevice(physical: number): boolean {
  return physical >= DEVICE && physical < DEVICE + TABLE_PAGES * PAGE;
}

/** How the CPUs run. */
export interface FlowOptions64 {
  /**
   * `plain`: they look into the page tables for each instruction, and know
   * nothing of the ones before.
   */
  readonly accel: "plain" | "interp" | "jit";
  /** Executions that make a block hot; 1 when absent. */
  readonly threshold?: number;
  /** There is room for few blocks and few regions. */
  readonly cramped?: boolean;
  /** How regions look accesses up at first. */
  readonly lookups?: 0 | 1 | 2;
  /** Each run begins with the state saved and loaded. */
  readonly saves?: boolean;
  /** How many CPUs: each with the first bank to itself; 1 when absent. */
  readonly cpus?: number;
}

/** The CPUs that run such programs. */
export class FlowSystem64 {
  /** The CPUs. */
  readonly cpus: readonly FlowSubject64[];
  readonly #u8: Uint8Array;
  /** Host offsets of the banks but the first. */
  readonly #hosts: readonly number[];

  /** Makes them. */
  constructor(readonly title: string, options: FlowOptions64) {
    const count = options.cpus ?? 1;
    const [own, ...common] = BANKS;
    const memory = new GuestMemory({
      cpus: count,
      guestBytes: count * own.size +
        common.reduce((sum, { size }) => sum + size, 0),
      arenaBytes: count *
        (options.cramped ? INDEX_BYTES + SCRATCH_BYTES + 2 * 65536 : 4 << 20),
    });
    this.#u8 = memory.u8;
    this.#hosts = common.map(({ size }) => memory.alloc(size));
    const shared = count > 1 ? new SharedCode() : undefined;
    this.cpus = Array.from({ length: count }, (_, i) =>
      new FlowSubject64(
        memory,
        [memory.alloc(own.size), ...this.#hosts],
        options,
        i,
        shared,
      ));
  }

  /** Puts all CPUs at the start of their programs. */
  load(programs: readonly FlowProgram64[]): void {
    this.cpus.forEach((cpu, i) => cpu.load(programs[i]));
  }

  /** A device writes a byte to a bank that all have. */
  dma(bank: number, offset: number, byte: number): void {
    this.#u8[this.#hosts[bank - 1] + offset] = byte;
    for (const { engine } of this.cpus) {
      engine.invalidate(BANKS[bank].base + offset, 1);
    }
  }
}

/** One of them. */
export class FlowSubject64 {
  /** The CPU. */
  readonly cpu: X86;
  /** Its engine. */
  readonly engine: Engine;
  readonly #view: DataView;
  readonly #u8: Uint8Array;
  /** Host offset of each bank. */
  readonly #hosts: readonly number[];
  readonly #plain: boolean;
  readonly #saves: boolean;
  /** What a device has: each access to it changes that. */
  #device = 0;

  /** Makes a CPU that has each bank at one of these host offsets. */
  constructor(
    memory: GuestMemory,
    hosts: readonly number[],
    { accel, threshold = 1, cramped, lookups, saves, cpus = 1 }: FlowOptions64,
    index: number,
    shared: SharedCode | undefined,
  ) {
    this.#plain = accel === "plain";
    this.#saves = saves === true;
    const space: PhysicalSpace = {
      lookupPage: (page) => {
        const at = page * PAGE;
        const i = BANKS.findIndex((b) => at >= b.base && at < b.base + b.size);
        const kind = isDevice(at) ? "io" : "none";
        return i < 0 ? { kind, hostOffset: 0, writable: false } : {
          kind: "ram",
          hostOffset: hosts[i] + at - BANKS[i].base,
          writable: true,
        };
      },
      ramRuns: () =>
        BANKS.map(({ base, size }) => ({
          page: base / PAGE,
          pages: size / PAGE,
        })),
      read: (address, width) => {
        const ones = width === 4 ? 0xffffffff : (1 << 8 * width) - 1;
        if (!isDevice(address)) return ones;
        this.#device = Math.imul(this.#device ^ address ^ width, 0x01000193);
        return (this.#device ^ this.#device >>> 15) & ones;
      },
      write: (address, width, value) => {
        if (!isDevice(address)) return;
        this.#device ^= value;
        this.#device = Math.imul(this.#device ^ address ^ width, 0x01000193);
      },
    };
    this.cpu = new X86({
      model: MODELS["max"],
      acknowledge: () => {
        this.engine.setIrq(false);
        return IRQ_VECTOR;
      },
      translator: () => createTranslator(MODELS["max"], cpus > 1),
    });
    this.engine = new Engine(this.cpu, {
      memory,
      space,
      cpu: index,
      shared,
      accel: accel === "jit" ? "jit" : "interp",
      threshold,
      maxInsns: this.#plain ? 1 : undefined,
      maxRegions: cramped ? 12 : undefined,
      lookups,
      exact: true,
    });
    this.#hosts = hosts;
    this.#view = memory.view;
    this.#u8 = memory.u8;
  }

  /** The host offset of an address in the first bank. */
  #at(physical: number): number {
    return this.#hosts[0] + physical;
  }

  #put(physical: number, v: bigint): void {
    this.#view.setBigUint64(this.#at(physical), BigInt.asUintN(64, v), true);
  }

  #system(program: FlowProgram64): void {
    const u8 = this.#u8;
    u8.fill(0, this.#at(SYSTEM), this.#at(SYSTEM + SYSTEM_PAGES * PAGE));
    this.#put(SYSTEM + 0x10, 0x00af9b000000ffffn); // code of level 0
    this.#put(SYSTEM + 0x28, 0x00cff3000000ffffn); // data of level 3
    this.#put(SYSTEM + 0x30, 0x00affb000000ffffn); // code of level 3
    const base = BigInt(program.base);
    this.#put(
      SYSTEM + 0x38, // 32-bit code of level 3
      0x00cffb000000ffffn | (base & 0xffffffn) << 16n | base >> 24n << 56n,
    );
    this.#put(SYSTEM + 0x400 + 0x04, STACK_TOP); // RSP0
    this.#put(SYSTEM + 0x400 + 0x24, STACK_TOP); // IST1
    const gate = program.ist ? 0x8e01n : 0x8e00n;
    for (let n = 0; n < 256; n++) {
      const entry = KERNEL + 0x1000n + BigInt(16 * n);
      const dpl = n === 0x80 ? 0x6000n : 0n;
      this.#put(
        SYSTEM + 0x8000 + 16 * n,
        entry & 0xffffn | 0x10n << 16n | (gate | dpl) << 32n |
          (entry >> 16n & 0xffffn) << 48n,
      );
      this.#put(SYSTEM + 0x8008 + 16 * n, entry >> 32n & 0xffffffffn);
      const start = this.#at(SYSTEM + 0x1000 + 16 * n);
      let i = start;
      if (!HAS_ERROR.has(n)) {
        u8.set([0x6a, 0x00], i); // PUSH 0
        i += 2;
      }
      u8[i] = 0x68; // PUSH n
      this.#view.setInt32(i + 1, n, true);
      u8[i + 5] = 0xe9; // JMP
      const next = 0x1000 + 16 * n + i + 10 - start;
      this.#view.setInt32(i + 6, 0x2000 - next, true);
    }
    for (let i = 0; i < SUPERVISOR.length; i += 2) {
      u8[this.#at(SYSTEM + 0x2000 + i / 2)] = parseInt(
        SUPERVISOR.slice(i, i + 2),
        16,
      );
    }
    this.#put(SYSTEM + START, program.start);
    this.#put(SYSTEM + START + 8, program.stack);
    this.#put(SYSTEM + COUNT, BigInt(program.repaired.length));
    program.ops.forEach((x, i) => this.#put(SYSTEM + OPS + 8 * i, x));
    program.repaired.forEach((x, i) => this.#put(SYSTEM + ENTRIES + 8 * i, x));
  }

  /** Puts the CPU at a program's start. */
  load(program: FlowProgram64): void {
    const u8 = this.#u8;
    this.#hosts.forEach((host, i) => {
      u8.fill(0, host + DATA_IN_BANK, host + DATA_IN_BANK + DATA_BYTES);
      u8.set(program.code[i & 1], host + CODE_IN_BANK);
    });
    u8.fill(0, this.#at(TABLES_AT), this.#at(TABLES_END));
    for (const [at, value] of program.entries) this.#put(at, value);
    u8.set(program.tables, this.#at(DATA_IN_BANK + 3 * PAGE));
    const { start, compatibility } = program;
    for (let at = 0; at < 64; at += 8) {
      const top = compatibility ? start | start << 32n : start;
      this.#put(DATA_IN_BANK + 5 * PAGE - 64 + at, top);
    }
    this.#device = 0;
    this.#system(program);
    const { cpu, engine } = this;
    engine.setIrq(false);
    engine.reset();
    const s = cpu.state;
    s[OFF_CR >> 2] = 0x80050033 | 0; // PG AM WP NE ET MP PE
    s[(OFF_CR >> 2) + 6] = TABLES_AT;
    s[(OFF_CR >> 2) + 8] = program.cr4;
    s[OFF_EFER >> 2] = 0x901; // NXE LME SCE
    updateLma(cpu);
    this.#set64(OFF_GDT_BASE, KERNEL);
    s[OFF_GDT_LIMIT >> 2] = 0x7f;
    this.#set64(OFF_IDT_BASE, KERNEL + 0x8000n);
    s[OFF_IDT_LIMIT >> 2] = 0xfff;
    const user = program.cpl === 3;
    cpu.setSeg(CS, user ? 0x33 : 0x10, 0, -1, user ? 0xaffb00 : 0xaf9b00);
    cpu.setSeg(SS, user ? 0x2b : 0, 0, -1, user ? 0xcff300 : 0);
    for (const seg of [DS, ES, FS, GS, LDTR]) cpu.setSeg(seg, 0, 0, 0, 0);
    if (compatibility) {
      cpu.setSeg(CS, 0x3b, program.base, -1, 0xcffb00);
      for (const seg of [DS, ES]) cpu.setSeg(seg, 0x2b, 0, -1, 0xcff300);
    }
    cpu.setSeg(TR, 0x40, Number(BigInt.asIntN(32, TSS)), 0x67, 0x8b00);
    cpu.setBaseHigh(TR, Number(BigInt.asIntN(32, TSS >> 32n)));
    s[OFF_CPL >> 2] = program.cpl;
    program.registers.forEach((x, i) =>
      this.#set64(OFF_GPR + 8 * i, BigInt(x))
    );
    this.#set64(OFF_EIP, start);
    cpu.setEflags(0x202, -1);
    cpu.updateKey();
    // Memory has changed behind the translator's back.
    engine.flushMapping();
    engine.keyChanged();
  }

  #set64(offset: number, v: bigint): void {
    const s = this.cpu.state;
    s[offset >> 2] = Number(BigInt.asIntN(32, v));
    s[(offset >> 2) + 1] = Number(BigInt.asIntN(32, v >> 32n));
  }

  #get64(offset: number): string {
    const s = this.cpu.state;
    return (BigInt(s[(offset >> 2) + 1] >>> 0) << 32n |
      BigInt(s[offset >> 2] >>> 0)).toString(16);
  }

  /** Executes exactly `budget` instructions. */
  run(budget: number): string {
    const { engine } = this;
    if (this.#saves) engine.load(engine.save());
    if (!this.#plain) return engine.run(budget);
    const end = engine.instructions + budget;
    let exit: string = "budget";
    while (engine.instructions < end && exit === "budget") {
      engine.mmu.flush(false);
      exit = engine.run(1);
    }
    return exit;
  }

  #word(physical: number): number {
    return this.#view.getUint32(this.#at(physical), true);
  }

  /** What can be seen. */
  state(): Record<string, unknown> {
    const { cpu, engine } = this;
    return {
      instructions: engine.instructions,
      events: this.#word(SYSTEM + EVENTS),
      operations: this.#word(SYSTEM + OP_POSITION),
      rip: this.#get64(OFF_EIP),
      cpl: cpu.cpl,
      cr2: this.#get64(OFF_CR + 16),
      eflags: cpu.getEflags().toString(16),
      registers: Array.from(
        { length: 16 },
        (_, i) => this.#get64(OFF_GPR + 8 * i),
      ),
      tables: this.#hash(this.#at(TABLES_AT), TABLES_END - TABLES_AT),
      device: this.#device,
      log: this.#hash(this.#at(SYSTEM + LOG), 256 * 32),
      data: this.#hosts.map((at) => this.#hash(at + DATA_IN_BANK, DATA_BYTES)),
      code: this.#hosts.map((at) =>
        this.#hash(at + CODE_IN_BANK, TABLE_PAGES * PAGE)
      ),
    };
  }

  #hash(from: number, bytes: number): number {
    let h = 0;
    for (let at = from; at < from + bytes; at += 4) {
      h = Math.imul(h ^ this.#view.getInt32(at, true), 0x01000193);
      h ^= h >>> 15;
    }
    return h;
  }

  /** The last events, newest first: vector, RIP, error code, RSP, CR2. */
  log(most: number): string[] {
    const lines: string[] = [];
    const n = this.#word(SYSTEM + EVENTS);
    for (let i = n - 1; i >= 0 && lines.length < most; i--) {
      const at = SYSTEM + LOG + (i & 255) * 32;
      const quad = (k: number): string =>
        this.#view.getBigUint64(this.#at(at + k), true).toString(16);
      lines.push(
        `vector ${this.#word(at)} at ${quad(8)}, error ${
          this.#word(at + 4)
        }, ` +
          `rsp ${quad(16)}, cr2 ${quad(24)}`,
      );
    }
    return lines;
  }
}
