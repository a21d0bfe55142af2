/**
 * Breakpoints of the debug registers (SDM volume 3, section 17.2): which of
 * them an access matches, and an MMU that looks while helpers access memory.
 *
 * Translated code asks by helpers while KEY_DEBUG is in the mode key; nobody
 * pays anything while DR7 enables nothing.
 *
 * @module
 */

import type { Access, Mmu } from "../../../core/cpu/frontend.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import type { X86 } from "./cpu.ts";
import { define } from "./helpers.ts";
import { addressAt, WORD } from "./long_mode.ts";
import { MmuLayer } from "./mmu_layers.ts";
import {
  FLAGS,
  OFF_DR,
  OFF_FLAGS,
  OFF_SHADOW,
  RF,
  SCRATCH,
  SHADOW,
  SHADOW_STACK,
} from "./state.ts";

const W_DR = OFF_DR >> 2;
const W_FLAGS = OFF_FLAGS >> 2;
const W_SHADOW = OFF_SHADOW >> 2;
/** DR6: single step. */
const DR6_BS = 0x4000;

// R/W field of DR7.
const RW_EXECUTE = 0;
const RW_WRITE = 1;
const RW_IO = 2;
const RW_ACCESS = 3;

/** Bytes watched by each value of DR7's LEN field; 2 is 8 bytes on later CPUs. */
const LENGTHS = [1, 2, 8, 4];

function matching(
  cpu: X86,
  address: number,
  size: number,
  wants: (rw: number) => boolean,
): number {
  const dr7 = cpu.state[W_DR + 14];
  const { lma } = cpu;
  let hits = 0;
  for (let n = 0; n < 4; n++) {
    if (((dr7 >> (2 * n)) & 3) === 0) continue;
    const control = (dr7 >> (16 + 4 * n)) & 15;
    if (!wants(control & 3)) continue;
    const length = LENGTHS[control >> 2];
    const at = W_DR + 2 * n;
    const low = (cpu.state[at] & ~(length - 1)) >>> 0;
    const start = lma ? cpu.state[at + 1] * WORD + low : low;
    const from = lma ? address : address >>> 0;
    if (from < start + length && start < from + size) hits |= 1 << n;
  }
  return hits;
}

/** DR6 bits of the enabled data breakpoints that an access hits. */
function matchData(
  cpu: X86,
  address: number,
  size: number,
  write: boolean,
): number {
  return matching(
    cpu,
    address,
    size,
    (rw) => rw === RW_ACCESS || rw === RW_WRITE && write,
  );
}

/** DR6 bits of the enabled I/O breakpoints that a port access hits (CR4.DE). */
export function matchIo(cpu: X86, port: number, size: number): number {
  if ((cpu.cr4 & 8) === 0) return 0;
  return matching(cpu, port, size, (rw) => rw === RW_IO);
}

/** DR6 bits of the enabled instruction breakpoints at a linear address. */
function matchInstruction(cpu: X86, linear: number): number {
  return matching(cpu, linear, 1, (rw) => rw === RW_EXECUTE);
}

/** Guest memory for helpers, watched by the data breakpoints. */
export class WatchingMmu extends MmuLayer implements Mmu {
  readonly #cpu: X86;

  /** Watches the engine's MMU of this CPU. */
  constructor(cpu: X86) {
    super(cpu.engine.mmu);
    this.#cpu = cpu;
  }

  #watch(address: number, size: number, write: boolean): void {
    const hits = matchData(this.#cpu, address, size, write);
    if (hits !== 0) this.#cpu.debugTrap(hits);
  }

  /** Reads a byte. */
  read8(address: number, mmu: number): number {
    const v = this.mmu.read8(address, mmu);
    this.#watch(address, 1, false);
    return v;
  }
  /** Reads 16 bits. */
  read16(address: number, mmu: number): number {
    const v = this.mmu.read16(address, mmu);
    this.#watch(address, 2, false);
    return v;
  }
  /** Reads 32 bits, signed. */
  read32(address: number, mmu: number): number {
    const v = this.mmu.read32(address, mmu);
    this.#watch(address, 4, false);
    return v;
  }
  /** Reads 64 bits. */
  read64(address: number, to: Int32Array, mmu: number): void {
    this.mmu.read64(address, to, mmu);
    this.#watch(address, 8, false);
  }
  /** Writes a byte. */
  write8(address: number, value: number, mmu: number): void {
    this.mmu.write8(address, value, mmu);
    this.#watch(address, 1, true);
  }
  /** Writes 16 bits. */
  write16(address: number, value: number, mmu: number): void {
    this.mmu.write16(address, value, mmu);
    this.#watch(address, 2, true);
  }
  /** Writes 32 bits. */
  write32(address: number, value: number, mmu: number): void {
    this.mmu.write32(address, value, mmu);
    this.#watch(address, 4, true);
  }
  /** Writes 64 bits. */
  write64(address: number, from: Int32Array, mmu: number): void {
    this.mmu.write64(address, from, mmu);
    this.#watch(address, 8, true);
  }
  /** Never direct, so that string operations are watched. */
  direct(_address: number, _access: Access, _mmu: number): number {
    return -1;
  }
  /** Never direct either. */
  directStore(): number {
    return -1;
  }
}

/** Instruction breakpoints, before the instruction at EIP `a`; RF lets one pass. */
export const DEBUG_FETCH: Helper = define(
  "debug_fetch",
  1,
  { faults: true, reads: [FLAGS], writes: [FLAGS] },
  (cpu) => (eip) => {
    if ((cpu.state[W_FLAGS] & RF) !== 0) {
      cpu.state[W_FLAGS] &= ~RF;
      return 0;
    }
    const hits = matchInstruction(cpu, cpu.linear(eip, cpu.pcHi()));
    if (hits !== 0) cpu.raiseDebug(hits);
    return 0;
  },
);

/** Data breakpoints: linear address (in 64-bit mode in the first scratch word), and size | write << 8. The trap follows the instruction. */
export const DEBUG_DATA: Helper = define(
  "debug_data",
  2,
  { reads: [SCRATCH[0]], writes: [] },
  (cpu) => (address, what) => {
    const at = cpu.long
      ? addressAt(cpu.state, SCRATCH[0].offset >> 2)
      : cpu.lma
      ? address >>> 0
      : address;
    const hits = matchData(cpu, at, what & 0xff, (what & 0x100) !== 0);
    if (hits !== 0) cpu.debugTrap(hits);
    return 0;
  },
);

/** The end of an instruction under TF (`a` not 0) or with breakpoints enabled. */
export const DEBUG_TRAP: Helper = define(
  "debug_trap",
  1,
  { reads: [SHADOW], writes: [SHADOW] },
  (cpu) => (stepping) => {
    const suppressed = cpu.suppressStep;
    cpu.suppressStep = false;
    if (stepping === 0 || suppressed) return 0;
    // Behind MOV SS it is lost; that behind STI comes at once.
    if (cpu.state[W_SHADOW] === SHADOW_STACK) return 0;
    cpu.state[W_SHADOW] = 0;
    cpu.debugTrap(DR6_BS);
    return 0;
  },
);
