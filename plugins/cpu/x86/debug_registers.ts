/**
 * The CPU's registers for debuggers.
 *
 * What the CPU has hidden (lazy flags, the two halves of YMM registers, TOP) is
 * put together and taken apart; what has consequences (control registers,
 * segments, flags) is written with the checks and consequences that the
 * guest's own instructions have. A 64-bit CPU has 64-bit registers whatever its
 * mode, for gdb cannot change its mind: outside 64-bit mode their high halves
 * and R8 to R15 are zero, as in QEMU.
 *
 * @module
 */

import { GUEST_FAULT } from "../../../core/cpu/frontend.ts";
import type {
  DebugFeature,
  DebugRegisters,
} from "../../../core/debug/contract.ts";
import { readCr8, writeControl } from "./control.ts";
import type { X86 } from "./cpu.ts";
import { EXC_GP, EXC_NP } from "./exceptions.ts";
import {
  ATTR_LONG,
  highWord,
  isCanonical,
  setAddressAt,
  writeEfer,
} from "./long_mode.ts";
import { featuresOf, GENERAL_32, GENERAL_64 } from "./debug_register_types.ts";
import {
  applyCode,
  ATTR_BIG,
  ATTR_CD,
  ATTR_CODE,
  ATTR_P,
  ATTR_S,
  checkEip,
  dplOf,
  loadRealSegment,
  loadSegment,
  markAccessed,
  needDescriptor,
} from "./segments.ts";
import {
  AC,
  ARITH_FLAGS,
  CS,
  DF,
  DS,
  ES,
  FS,
  GS,
  ID,
  IF,
  IOPL_MASK,
  NT,
  OFF_CR,
  OFF_DR,
  OFF_EFER,
  OFF_EIP,
  OFF_FCS,
  OFF_FCW,
  OFF_FDP,
  OFF_FDS,
  OFF_FIP,
  OFF_FOP,
  OFF_FPR,
  OFF_FSW,
  OFF_FTAG,
  OFF_FTOP,
  OFF_GPR,
  OFF_KERNEL_GS_BASE,
  OFF_MXCSR,
  OFF_PENDING_DEBUG,
  OFF_SEG,
  OFF_XMM,
  OFF_YMMH,
  RF,
  SEG_BASE,
  SS,
  STATE_END,
  TF,
  VIF,
  VIP,
  VM,
} from "./state.ts";
import { x87Of } from "./x87_images.ts";

/** Where the x86 state begins: before it stands what the engine works with. */
const STATE_START = 0x100;
const W_EIP = OFF_EIP >> 2;
const W_CR0 = OFF_CR >> 2;
const W_DR7 = (OFF_DR >> 2) + 14;
const W_PENDING_DEBUG = OFF_PENDING_DEBUG >> 2;
const WORD_MASK = 0xffff_ffffn;

/** The encoding of the general registers in gdb's order. */
const ORDER_64 = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];
const SEGMENT_NUMBERS: Readonly<Record<string, number>> = {
  cs: CS,
  ss: SS,
  ds: DS,
  es: ES,
  fs: FS,
  gs: GS,
};

/** How a register is read and written; values are unsigned. */
interface Accessor {
  read(): bigint;
  write(value: bigint): void;
}

/** The registers of a CPU. */
export class X86DebugRegisters implements DebugRegisters {
  /** As QEMU says it: by what the CPU can, not by its mode. */
  readonly architecture: string;
  /** See {@linkcode DebugRegisters.features}. */
  readonly features: readonly DebugFeature[];
  readonly #cpu: X86;
  readonly #accessors = new Map<string, Accessor>();
  readonly #bytes = new Map<string, number>();

  /** The registers of this CPU. */
  constructor(cpu: X86) {
    this.#cpu = cpu;
    const isLong = cpu.model.features.has("lm");
    this.architecture = isLong ? "i386:x86-64" : "i386";
    this.features = featuresOf(cpu.model);
    for (const { registers } of this.features) {
      for (const { name, bits } of registers) this.#bytes.set(name, bits / 8);
    }
    this.#defineGeneral(isLong);
    this.#defineX87();
    this.#defineVectors();
    this.#defineSystem();
  }

  /** See {@linkcode DebugRegisters.read}. */
  read(name: string): Uint8Array {
    const { accessor, size } = this.#find(name);
    const bytes = new Uint8Array(size);
    let value = accessor.read();
    for (let i = 0; i < size; i++) {
      bytes[i] = Number(value & 0xffn);
      value >>= 8n;
    }
    return bytes;
  }

  /** See {@linkcode DebugRegisters.write}. */
  write(name: string, bytes: Uint8Array): void {
    const { accessor, size } = this.#find(name);
    if (bytes.length !== size) {
      throw new RangeError(`${name} has ${size} bytes, not ${bytes.length}`);
    }
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = value << 8n | BigInt(bytes[i]);
    // A debugger writes back what it has read, whether that can be written or not.
    if (value === accessor.read()) return;
    this.#attempt(name, value, () => accessor.write(value));
  }

  #find(name: string): { accessor: Accessor; size: number } {
    const size = this.#bytes.get(name);
    const accessor = this.#accessors.get(name);
    if (size === undefined || accessor === undefined) {
      throw new RangeError(`there is no register ${name}`);
    }
    return { accessor, size };
  }

  /** Do what may raise an exception, which then changes nothing and is the debugger's. */
  #attempt(name: string, value: bigint, write: () => void): void {
    const cpu = this.#cpu;
    const before = cpu.state8.slice(STATE_START, STATE_END);
    const debug = cpu.pendingDebug;
    const undo = (): void => {
      cpu.state8.set(before, STATE_START);
      cpu.updateKey();
    };
    try {
      write();
    } catch (error) {
      undo();
      if (error !== GUEST_FAULT) throw error;
      throw new RangeError(
        `the CPU does not take 0x${value.toString(16)} for ${name} now`,
      );
    }
    // Descriptors that were read are no business of the guest's breakpoints.
    cpu.state[W_PENDING_DEBUG] = debug;
  }

  #define(name: string, read: () => bigint, write: Accessor["write"]): void {
    this.#accessors.set(name, { read, write });
  }

  // The state.

  #word(w: number): bigint {
    return BigInt(this.#cpu.state[w] >>> 0);
  }

  #setWord(w: number, value: bigint): void {
    this.#cpu.state[w] = Number(BigInt.asIntN(32, value));
  }

  #pair(w: number): bigint {
    return this.#word(w + 1) << 32n | this.#word(w);
  }

  #setPair(w: number, value: bigint): void {
    this.#setWord(w, value);
    this.#setWord(w + 1, value >> 32n);
  }

  /** 64 bits in 64-bit mode, else 32. */
  #wide(w: number): bigint {
    return this.#cpu.long ? this.#pair(w) : this.#word(w);
  }

  #vector(offset: number): bigint {
    const w = offset >> 2;
    return this.#pair(w + 2) << 64n | this.#pair(w);
  }

  #setVector(offset: number, value: bigint): void {
    const w = offset >> 2;
    this.#setPair(w, value);
    this.#setPair(w + 2, value >> 64n);
  }

  /** A register of one word of which some bits exist. */
  #defineWord(name: string, offset: number, mask: bigint): void {
    const w = offset >> 2;
    this.#define(
      name,
      () => this.#word(w) & mask,
      (value) => this.#setWord(w, value & mask),
    );
  }

  // The core.

  #defineGeneral(isLong: boolean): void {
    const cpu = this.#cpu;
    const names = isLong ? GENERAL_64 : GENERAL_32;
    names.forEach((name, i) => {
      const r = isLong ? ORDER_64[i] : i;
      const w = (OFF_GPR >> 2) + 2 * r;
      this.#define(
        name,
        () => r < 8 || cpu.long ? this.#wide(w) : 0n,
        (value) => {
          if (r >= 8 && !cpu.long) {
            throw new RangeError(`${name} is there in 64-bit mode only`);
          }
          this.#setPair(w, cpu.long ? value : value & WORD_MASK);
        },
      );
    });
    this.#define(
      isLong ? "rip" : "eip",
      () => this.#wide(W_EIP),
      (value) => this.#writePc(value),
    );
    this.#define(
      "eflags",
      () => BigInt(cpu.getEflags() >>> 0),
      (value) => this.#writeFlags(Number(BigInt.asIntN(32, value))),
    );
    for (const [name, seg] of Object.entries(SEGMENT_NUMBERS)) {
      this.#define(
        name,
        () => BigInt(cpu.selector(seg) & 0xffff),
        (value) => this.#writeSegment(name, seg, value),
      );
    }
  }

  #writePc(value: bigint): void {
    const cpu = this.#cpu;
    const isThere = cpu.long
      ? isCanonical(Number(BigInt.asIntN(32, value >> 32n)))
      : value <= BigInt(cpu.segLimit(CS));
    if (!isThere) {
      throw new RangeError(`no code can be at 0x${value.toString(16)}`);
    }
    if (cpu.long) this.#setPair(W_EIP, value);
    else this.#setWord(W_EIP, value);
    // It does not wait there, as it did where it was.
    if (!cpu.waitsForStartup) cpu.engine.resume();
  }

  /** As by IRET at level 0; reserved bits stay as they are. */
  #writeFlags(value: number): void {
    const cpu = this.#cpu;
    if (((value ^ cpu.getEflags()) & VM) !== 0) {
      throw new RangeError("EFLAGS.VM changes with a task or by IRET only");
    }
    const has = cpu.model.features;
    let mask = ARITH_FLAGS | TF | IF | DF | IOPL_MASK | NT | AC;
    if (has.has("cpuid")) mask |= ID;
    if (has.has("vme")) mask |= VIF | VIP;
    // Without breakpoints nothing would ever clear it.
    if ((cpu.state[W_DR7] & 0xff) !== 0) mask |= RF;
    cpu.setEflags(value, mask);
  }

  #writeSegment(name: string, seg: number, value: bigint): void {
    if (value > 0xffffn) {
      throw new RangeError(`${name} has 16 bits, not 0x${value.toString(16)}`);
    }
    const selector = Number(value);
    if (seg === CS) this.#writeCode(selector);
    else loadSegment(this.#cpu, seg, selector);
    this.#cpu.updateKey();
  }

  /** As by a far jump within the privilege level, to where the program counter is. */
  #writeCode(selector: number): void {
    const cpu = this.#cpu;
    if (!cpu.protectedMode || cpu.v86) {
      return loadRealSegment(cpu, CS, selector);
    }
    if ((selector & 0xfffc) === 0) cpu.gp();
    const { cpl } = cpu;
    const d = needDescriptor(cpu, selector, EXC_GP, 0);
    const isCode = (d.hi & (ATTR_S | ATTR_CODE)) === (ATTR_S | ATTR_CODE);
    const isConforming = (d.hi & ATTR_CD) !== 0;
    const isAllowed = isConforming
      ? dplOf(d.hi) <= cpl
      : dplOf(d.hi) === cpl && (selector & 3) <= cpl;
    if (!isCode || !isAllowed) cpu.gp(selector & 0xfffc);
    if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, selector & 0xfffc);
    const isLong = cpu.lma && (d.hi & ATTR_LONG) !== 0;
    if (isLong && (d.hi & ATTR_BIG) !== 0) cpu.gp(selector & 0xfffc);
    if (!isLong) {
      if (cpu.long && cpu.state[W_EIP + 1] !== 0) cpu.gp();
      checkEip(cpu, d, cpu.eip);
    }
    markAccessed(cpu, d);
    applyCode(cpu, selector, d, cpl, cpu.eip);
  }

  // The x87 unit.

  #defineX87(): void {
    const cpu = this.#cpu;
    for (let i = 0; i < 8; i++) {
      const at = (): number =>
        OFF_FPR + 16 * ((cpu.state[OFF_FTOP >> 2] + i) & 7);
      this.#define(
        `st${i}`,
        () => this.#vector(at()) & (1n << 80n) - 1n,
        (value) => this.#setVector(at(), value),
      );
    }
    this.#define(
      "fctrl",
      () => this.#word(OFF_FCW >> 2),
      (value) => x87Of(cpu).ready().setControl(Number(value & 0xffffn)),
    );
    this.#define(
      "fstat",
      () => BigInt(x87Of(cpu).ready().status),
      (value) => {
        this.#setWord(OFF_FSW >> 2, value & 0xc7ffn);
        this.#setWord(OFF_FTOP >> 2, value >> 11n & 7n);
        // What the exceptions now mean.
        x87Of(cpu).ready().setControl(cpu.state[OFF_FCW >> 2]);
      },
    );
    this.#define(
      "ftag",
      () => BigInt(x87Of(cpu).ready().tagWord),
      (value) => {
        let tags = 0n;
        for (let n = 0n; n < 8n; n++) {
          if ((value >> 2n * n & 3n) !== 3n) tags |= 1n << n;
        }
        this.#setWord(OFF_FTAG >> 2, tags);
      },
    );
    // In 64-bit mode the pointers' high halves stand in the selectors' place, as
    // in the 64-bit form of FXSAVE.
    const pointer = (segment: string, offset: string, s: number, o: number) => {
      this.#define(
        segment,
        () =>
          cpu.long ? this.#word((o >> 2) + 1) : this.#word(s >> 2) & 0xffffn,
        (value) => {
          if (cpu.long) this.#setWord((o >> 2) + 1, value);
          else this.#setWord(s >> 2, value & 0xffffn);
        },
      );
      this.#defineWord(offset, o, WORD_MASK);
    };
    pointer("fiseg", "fioff", OFF_FCS, OFF_FIP);
    pointer("foseg", "fooff", OFF_FDS, OFF_FDP);
    this.#defineWord("fop", OFF_FOP, 0x7ffn);
  }

  // Vectors.

  #defineVectors(): void {
    const cpu = this.#cpu;
    for (let n = 0; n < 16; n++) {
      const low = OFF_XMM + 16 * n, high = OFF_YMMH + 16 * n;
      this.#define(
        `xmm${n}`,
        () => this.#vector(low),
        (value) => this.#setVector(low, value),
      );
      this.#define(
        `ymm${n}h`,
        () => this.#vector(high),
        (value) => this.#setVector(high, value),
      );
    }
    this.#define(
      "mxcsr",
      () => this.#word(OFF_MXCSR >> 2),
      (value) => x87Of(cpu).ready().loadMxcsr(Number(BigInt.asIntN(32, value))),
    );
  }

  // The system.

  #defineSystem(): void {
    const cpu = this.#cpu;
    const address = (name: string, offset: number): void =>
      this.#define(
        name,
        () => this.#wide(offset >> 2),
        (value) => this.#writeBase(name, offset, value),
      );
    address("fs_base", OFF_SEG + 32 * FS + SEG_BASE);
    address("gs_base", OFF_SEG + 32 * GS + SEG_BASE);
    address("k_gs_base", OFF_KERNEL_GS_BASE);
    for (const n of [0, 2, 3, 4]) {
      this.#define(
        `cr${n}`,
        () => this.#wide(W_CR0 + 2 * n),
        (value) => this.#writeControl(n, value),
      );
    }
    this.#define(
      "cr8",
      () => BigInt(readCr8(cpu)),
      (value) => {
        if (cpu.apic === undefined) {
          throw new RangeError("there is no local APIC that CR8 is in");
        }
        this.#writeControl(8, value);
      },
    );
    this.#define(
      "efer",
      () => this.#word(OFF_EFER >> 2),
      (value) => writeEfer(cpu, ...words(value)),
    );
  }

  #writeBase(name: string, offset: number, value: bigint): void {
    const cpu = this.#cpu;
    const signed = BigInt.asIntN(cpu.long ? 64 : 32, value);
    const base = Number(signed);
    if (cpu.long && !isCanonical(highWord(base))) {
      throw new RangeError(`no segment of ${name} can be there`);
    }
    if (cpu.long) setAddressAt(cpu.state, offset >> 2, base);
    else this.#setPair(offset >> 2, value & WORD_MASK);
    cpu.updateKey();
  }

  #writeControl(n: number, value: bigint): void {
    const cpu = this.#cpu;
    const [lo, hi] = words(value);
    writeControl(cpu, n, lo, cpu.long || n !== 2 ? hi : 0);
  }
}

/** The low and the high word of a value. */
function words(value: bigint): [number, number] {
  return [
    Number(BigInt.asIntN(32, value)),
    Number(BigInt.asIntN(32, value >> 32n)),
  ];
}
