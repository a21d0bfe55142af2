/**
 * The CPU for people who look at it: registers in the layout of QEMU's monitor
 * (target/i386/cpu-dump.c), by name for its expressions, page tables and code.
 *
 * @module
 */

import type {
  CpuInspector,
  InstructionLister,
  PhysicalReader,
} from "../../../core/cpu/inspector.ts";
import { OFF_HALTED } from "../../../core/exec/layout.ts";
import { descriptorFlags, X86CoreFormat } from "./core_notes.ts";
import type { X86 } from "./cpu.ts";
import { TableListing } from "./table_listing.ts";
import {
  CS,
  DS,
  ES,
  FS,
  GPR64,
  GS,
  KEY_CODE32,
  LDTR,
  OFF_CR,
  OFF_DR,
  OFF_EFER,
  OFF_EIP,
  OFF_FCW,
  OFF_FPR,
  OFF_FSW,
  OFF_FTAG,
  OFF_FTOP,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_GPR,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  OFF_MXCSR,
  OFF_SEG,
  OFF_SHADOW,
  OFF_XCR0,
  OFF_XMM,
  OFF_YMMH,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS,
  TR,
} from "./state.ts";

/** Bytes of the longest instruction (SDM volume 2, section 2.3.11). */
const LONGEST = 15;
const CR0_PE = 1;
/** Segment registers, in the order in which they are printed. */
const SEGMENTS: readonly (readonly [name: string, seg: number])[] = [
  ["ES ", ES],
  ["CS ", CS],
  ["SS ", SS],
  ["DS ", DS],
  ["FS ", FS],
  ["GS ", GS],
  ["LDT", LDTR],
  ["TR ", TR],
];
/** EFLAGS' letters, from DF down to CF. */
const FLAGS: readonly (readonly [bit: number, letter: string])[] = [
  [0x400, "D"],
  [0x800, "O"],
  [0x80, "S"],
  [0x40, "Z"],
  [0x10, "A"],
  [0x04, "P"],
  [0x01, "C"],
];
// Bits of a segment's attributes.
const S = 0x1000, CODE = 0x800, PRESENT = 0x8000, L = 0x200000, DB = 0x400000;
/** Names of system segments, by type: outside IA-32e mode, and in it. */
const SYSTEM_TYPES: readonly (readonly string[])[] = [
  ("Reserved TSS16-avl LDT TSS16-busy CallGate16 TaskGate IntGate16 " +
    "TrapGate16 Reserved TSS32-avl Reserved TSS32-busy CallGate32 Reserved " +
    "IntGate32 TrapGate32").split(" "),
  ("<hiword> Reserved LDT Reserved Reserved Reserved Reserved Reserved " +
    "Reserved TSS64-avl Reserved TSS64-busy CallGate64 Reserved IntGate64 " +
    "TrapGate64").split(" "),
];
/** XCR0: the SSE and AVX states. */
const XCR0_AVX = 6;

function hex(value: number | bigint, digits: number): string {
  return BigInt.asUintN(4 * digits, BigInt(value)).toString(16)
    .padStart(digits, "0");
}

/** One CPU, looked at. */
export class X86Inspector implements CpuInspector {
  /** Bytes of the longest instruction. */
  readonly longestInstruction = LONGEST;
  readonly #cpu: X86;
  readonly #tables: TableListing;

  /** For core files. */
  readonly core: X86CoreFormat;

  /** A look at a CPU whose page tables are in `memory`. */
  constructor(cpu: X86, memory: PhysicalReader) {
    this.#cpu = cpu;
    this.core = new X86CoreFormat(cpu);
    this.#tables = new TableListing(cpu, memory);
  }

  /** 64 for a model that has 64-bit mode. */
  get addressBits(): 32 | 64 {
    return this.#cpu.model.features.has("lm") ? 64 : 32;
  }

  /** RIP, or EIP plus CS's base. */
  get pc(): bigint {
    const cpu = this.#cpu;
    if (cpu.long) return this.#u64(OFF_EIP);
    return BigInt((cpu.eip + cpu.segBase(CS)) >>> 0);
  }

  /** Whether HLT waits. */
  get isHalted(): boolean {
    return this.#u32(OFF_HALTED) !== 0;
  }

  #u32(offset: number): number {
    return this.#cpu.state[offset >> 2] >>> 0;
  }

  #u64(offset: number): bigint {
    return BigInt(this.#u32(offset + 4)) << 32n | BigInt(this.#u32(offset));
  }

  /** As `info registers`. */
  *registers(): Generator<string> {
    yield* this.#general();
    for (const [name, seg] of SEGMENTS) yield this.#segment(name, seg);
    yield* this.#control();
    yield* this.#floating();
  }

  *#general(): Generator<string> {
    const cpu = this.#cpu;
    const flags = cpu.getEflags();
    const letters = FLAGS.map(([bit, letter]) =>
      (flags & bit) === 0 ? "-" : letter
    ).join("");
    const shadow = this.#u32(OFF_SHADOW) !== 0 ? 1 : 0;
    const inhibited = shadow | (cpu.nmiBlocked ? 4 : 0);
    const tail = `FL=${hex(flags, 8)} [${letters}] CPL=${cpu.cpl} ` +
      `II=${inhibited} A20=${cpu.a20 ? 1 : 0} SMM=0 ` +
      `HLT=${this.isHalted ? 1 : 0}`;
    if (cpu.long) {
      const order = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];
      for (let i = 0; i < order.length; i += 4) {
        yield order.slice(i, i + 4).map((r) =>
          `${GPR64[r].name.toUpperCase().padEnd(3)}=${
            hex(this.#u64(OFF_GPR + 8 * r), 16)
          }`
        ).join(" ");
      }
      yield `RIP=${hex(this.#u64(OFF_EIP), 16)} R${tail}`;
      return;
    }
    const register = (r: number, name: string): string =>
      `${name}=${hex(this.#u32(OFF_GPR + 8 * r), 8)}`;
    yield [
      register(0, "EAX"),
      register(3, "EBX"),
      register(1, "ECX"),
      register(2, "EDX"),
    ].join(" ");
    yield [
      register(6, "ESI"),
      register(7, "EDI"),
      register(5, "EBP"),
      register(4, "ESP"),
    ].join(" ");
    yield `EIP=${hex(cpu.eip, 8)} E${tail}`;
  }

  #segment(name: string, seg: number): string {
    const cpu = this.#cpu;
    const at = OFF_SEG + 32 * seg;
    const limit = this.#u32(at + SEG_LIMIT);
    const flags = descriptorFlags(cpu, seg);
    const base = cpu.long
      ? hex(this.#u64(at + SEG_BASE), 16)
      : hex(this.#u32(at + SEG_BASE), 8);
    const text = `${name}=${hex(this.#u32(at + SEG_SELECTOR), 4)} ${base} ` +
      `${hex(limit, 8)} ${hex(flags, 8)}`;
    if ((cpu.cr0 & CR0_PE) === 0 || cpu.v86 || (flags & PRESENT) === 0) {
      return text;
    }
    return `${text} DPL=${flags >> 13 & 3} ${this.#kind(flags)}`;
  }

  #kind(flags: number): string {
    const { lma } = this.#cpu;
    const type = flags >> 8 & 0xf;
    if ((flags & S) === 0) return SYSTEM_TYPES[lma ? 1 : 0][type];
    const bit = (value: number, letter: string): string =>
      (flags & value) === 0 ? "-" : letter;
    const isCode = (flags & CODE) !== 0;
    const kind = isCode
      ? (flags & L) !== 0 ? "CS64" : (flags & DB) !== 0 ? "CS32" : "CS16"
      : (flags & DB) !== 0 || lma
      ? "DS  "
      : "DS16";
    return `${kind} [${bit(0x400, isCode ? "C" : "E")}${
      bit(0x200, isCode ? "R" : "W")
    }${bit(0x100, "A")}]`;
  }

  *#control(): Generator<string> {
    const { lma } = this.#cpu;
    const value = (offset: number): string =>
      lma ? hex(this.#u64(offset), 16) : hex(this.#u32(offset), 8);
    yield `GDT=     ${value(OFF_GDT_BASE)} ${hex(this.#u32(OFF_GDT_LIMIT), 8)}`;
    yield `IDT=     ${value(OFF_IDT_BASE)} ${hex(this.#u32(OFF_IDT_LIMIT), 8)}`;
    yield `CR0=${hex(this.#u32(OFF_CR), 8)} CR2=${value(OFF_CR + 16)} ` +
      `CR3=${value(OFF_CR + 24)} CR4=${hex(this.#u32(OFF_CR + 32), 8)}`;
    const debug = (n: number): string =>
      `DR${n}=${hex(this.#u64(OFF_DR + 8 * n), this.addressBits / 4)}`;
    yield [0, 1, 2, 3].map((n) => `${debug(n)} `).join("");
    yield `${debug(6)} ${debug(7)}`;
    yield `EFER=${hex(this.#u64(OFF_EFER), 16)}`;
  }

  *#floating(): Generator<string> {
    const top = this.#u32(OFF_FTOP) & 7;
    const status = this.#u32(OFF_FSW) & ~0x3800 | top << 11;
    yield `FCW=${hex(this.#u32(OFF_FCW), 4)} FSW=${hex(status, 4)} ` +
      `[ST=${top}] FTW=${hex(this.#u32(OFF_FTAG) & 0xff, 2)} ` +
      `MXCSR=${hex(this.#u32(OFF_MXCSR), 8)}`;
    for (let i = 0; i < 8; i += 2) {
      yield [i, i + 1].map((n) => {
        const at = OFF_FPR + 16 * n;
        return `FPR${n}=${hex(this.#u64(at), 16)} ${hex(this.#u32(at + 8), 4)}`;
      }).join(" ");
    }
    const count = this.#cpu.long ? 16 : 8;
    const half = (offset: number): string =>
      `${hex(this.#u64(offset + 8), 16)} ${hex(this.#u64(offset), 16)}`;
    const number = (n: number): string => `${n}`.padStart(2, "0");
    if ((this.#u32(OFF_XCR0) & XCR0_AVX) === XCR0_AVX) {
      for (let n = 0; n < count; n++) {
        yield `YMM${number(n)}=${half(OFF_YMMH + 16 * n)} ${
          half(OFF_XMM + 16 * n)
        }`;
      }
      return;
    }
    for (let i = 0; i < count; i += 2) {
      yield [i, i + 1].map((n) => `XMM${number(n)}=${half(OFF_XMM + 16 * n)}`)
        .join(" ");
    }
  }

  /** The names of registers. */
  get registerNames(): readonly string[] {
    return [...this.#named().keys()];
  }

  /** A register by its name: `eax`, `rip`, `cs`, `cs.base`, `cr3`, `pc`. */
  register(name: string): bigint | undefined {
    return this.#named().get(name)?.();
  }

  #named(): Map<string, () => bigint> {
    const word = (offset: number) => (): bigint => BigInt(this.#u32(offset));
    const wide = (offset: number) => (): bigint => this.#u64(offset);
    const all = new Map<string, () => bigint>();
    const hasLong = this.addressBits === 64;
    // As in QEMU, the old names mean the whole register where it has 64 bits.
    const general = hasLong ? wide : word;
    const names = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
    for (const [r, global] of GPR64.entries()) {
      const at = OFF_GPR + 8 * r;
      if (r < names.length) all.set(names[r], general(at));
      if (hasLong) all.set(global.name, wide(at));
    }
    all.set("sp", general(OFF_GPR + 32));
    all.set("fp", general(OFF_GPR + 40));
    all.set("eflags", () => BigInt(this.#cpu.getEflags() >>> 0));
    all.set("eip", general(OFF_EIP));
    if (hasLong) all.set("rip", wide(OFF_EIP));
    all.set("pc", () => this.pc);
    for (const [name, seg] of SEGMENTS) {
      const at = OFF_SEG + 32 * seg;
      const lower = name.trim().toLowerCase();
      all.set(lower, word(at + SEG_SELECTOR));
      all.set(`${lower}.base`, (this.#cpu.lma ? wide : word)(at + SEG_BASE));
      all.set(`${lower}.limit`, word(at + SEG_LIMIT));
    }
    for (const n of [0, 2, 3, 4]) all.set(`cr${n}`, wide(OFF_CR + 8 * n));
    for (const n of [0, 1, 2, 3, 6, 7]) all.set(`dr${n}`, wide(OFF_DR + 8 * n));
    all.set("efer", wide(OFF_EFER));
    return all;
  }

  /** By the page tables, whatever the privilege. */
  translate(linear: bigint): bigint | undefined {
    const physical = this.#tables.translate(linear);
    if (physical === undefined || this.#cpu.a20) return physical;
    return physical & ~(1n << 20n);
  }

  /** As `info mem`. */
  mappings(): Iterable<string> {
    return this.#tables.mappings();
  }

  /** As `info tlb`. */
  pages(): Iterable<string> {
    return this.#tables.list();
  }

  /**
   * For the mode in which the CPU is now: Capstone, in the syntax of AT&T as in
   * QEMU, or where its file may not be read the listing of traces.
   */
  async lister(): Promise<InstructionLister> {
    const cpu = this.#cpu;
    const { long } = cpu;
    const code32 = (cpu.key() & KEY_CODE32) !== 0;
    const { openCapstone } = await import("./capstone.ts");
    const capstone = await openCapstone(long ? 64 : code32 ? 32 : 16);
    if (capstone !== undefined) return capstone;
    const { disassemble } = await import("./disassemble.ts");
    const isProtected = (cpu.cr0 & CR0_PE) !== 0 && !cpu.v86;
    return (code, address) => {
      const at = Number(BigInt.asIntN(64, address));
      return disassemble(code, 0, at, code32, isProtected, long);
    };
  }
}
