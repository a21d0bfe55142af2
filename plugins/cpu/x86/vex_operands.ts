/**
 * Operands of instructions with a VEX prefix. A register of 256 bits is two
 * vectors, its halves; what writes 128 bits clears the upper one.
 *
 * @module
 */

import { ACCESS_WRITE } from "../../../core/cpu/frontend.ts";
import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import type { X86 } from "./cpu.ts";
import type { Insn } from "./decode.ts";
import { EXC_GP, EXC_SS } from "./exceptions.ts";
import { define } from "./helpers.ts";
import { AC, segmentAllows } from "./operands.ts";
import {
  KEY_ALIGN,
  KEY_LONG,
  SCRATCH,
  SCRATCH32,
  SS,
  XMM,
  YMMH,
} from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import {
  checkAlignment as checkHalfAlignment,
  zero,
} from "./translate_simd.ts";

/** A vector of 128 or 256 bits. */
export interface Wide {
  /** The lower 128 bits. */
  readonly lo: Value;
  /** The upper 128 bits; 0: there are none. */
  readonly hi: Value;
}

/** Register `n`, as long as the instruction's vectors are. */
export function register(t: Translator, i: Insn, n: number): Wide {
  const b = t.b;
  return { lo: b.get(XMM[n]), hi: i.vexL === 0 ? 0 : b.get(YMMH[n]) };
}

/** Writes a register; without an upper half that becomes 0. */
export function setRegister(t: Translator, n: number, { lo, hi }: Wide): void {
  const b = t.b;
  b.set(XMM[n], lo);
  b.set(YMMH[n], hi === 0 ? zero(b) : hi);
}

/** #AC for an operand that need not be aligned, where alignment is checked. */
function checkAlignment(t: Translator, i: Insn, write: boolean): void {
  const address = t.ea(i, 16 << i.vexL, write);
  if ((t.key & KEY_ALIGN) === 0) return;
  // To 16 bytes for 32 as well (Zen 4).
  t.trap(t.misaligned(address, 16, 16 << i.vexL), AC, 0);
}

/** Loads the memory operand, 16 or 32 bytes. */
function loadWide(t: Translator, i: Insn): Wide {
  const lo = t.load(Op["ld128"], i);
  if (i.vexL === 0) return { lo, hi: 0 };
  t.noteWide();
  return { lo, hi: t.load(Op["ld128"], i, 16) };
}

/** Source operand Wx at any address. */
export function readWide(t: Translator, i: Insn): Wide {
  if (i.mod === 3) return register(t, i, i.rm);
  checkAlignment(t, i, false);
  return loadWide(t, i);
}

/** Source operand Wx, aligned to its size. */
export function readAligned(t: Translator, i: Insn): Wide {
  if (i.mod === 3) return register(t, i, i.rm);
  t.alignEa(i, 16 << i.vexL, false);
  return loadWide(t, i);
}

/**
 * Linear address of one element of a masked operand: its segment is checked for
 * it alone. In 64-bit mode `offset` is linear already. Helpers only.
 */
export function elementAddress(
  cpu: X86,
  segment: number,
  offset: number,
  size: number,
  write: boolean,
): number {
  if ((cpu.key() & KEY_LONG) !== 0) return offset;
  const first = offset >>> 0;
  if (!segmentAllows(cpu, segment, first, first + size - 1, write)) {
    cpu.raise(segment === SS ? EXC_SS : EXC_GP, 0);
  }
  return (cpu.segBase(segment) + offset) | 0;
}

/** Raises what a store would. Arguments: address, size, MMU index. */
const PROBE_STORE = define(
  "probe_store",
  3,
  { faults: true, reads: [SCRATCH[0]], writes: [] },
  (cpu) => (low, size, mmu) => {
    const address = cpu.addressArgument(low);
    cpu.engine.mmu.probe(address, size, ACCESS_WRITE, mmu);
    return 0;
  },
);

/** Has the store of an operand of `size` bytes fault now, before anything else is done. */
export function probeStore(t: Translator, i: Insn, size: number): void {
  const b = t.b;
  const address = t.addressArgument(t.ea(i, size, true));
  b.call(PROBE_STORE, address, b.i32(size), b.i32(t.mmu));
}

/** Raises what a store of 32 bytes at the address in the scratch word would. */
const PROBE = define(
  "probe_store32",
  0,
  { faults: true, reads: [SCRATCH[0], SCRATCH32[0]], writes: [] },
  (cpu) => () => {
    const address = cpu.addressArgument(
      cpu.state[SCRATCH32[0].offset >> 2],
    );
    cpu.engine.mmu.probe(address, 32, ACCESS_WRITE, cpu.dataMmu);
    return 0;
  },
);

/** Stores 16 or 32 bytes; nothing if part of it faults. */
function storeWide(t: Translator, i: Insn, { lo, hi }: Wide): void {
  const b = t.b;
  if (hi !== 0) {
    const address = t.addressArgument(t.ea(i, 32, true));
    const end = b.and(b.add(address, b.i32(31)), b.i32(0xfff));
    b.set(SCRATCH32[0], address);
    b.callIf(b.ltU(end, b.i32(31)), PROBE);
    t.noteWide();
  }
  t.store(Op["st128"], i, lo);
  if (hi !== 0) t.store(Op["st128"], i, hi, 16);
}

/** Destination operand Wo in memory at any address. */
export function store128(t: Translator, i: Insn, v: Value): void {
  checkHalfAlignment(t, i, true);
  t.store(Op["st128"], i, v);
}

/** Destination operand Wx at any address. */
export function writeWide(t: Translator, i: Insn, v: Wide): void {
  if (i.mod === 3) return setRegister(t, i.rm, v);
  checkAlignment(t, i, true);
  storeWide(t, i, v);
}

/** Destination operand Wx, aligned to its size. */
export function writeAligned(t: Translator, i: Insn, v: Wide): void {
  if (i.mod === 3) return setRegister(t, i.rm, v);
  t.alignEa(i, 16 << i.vexL, true);
  storeWide(t, i, v);
}

/** An instruction on 128 bits that knows of VEX.vvvv; the rest of the destination becomes 0. */
export function narrow(instruction: Translate): Translate {
  return (t, i) => {
    instruction(t, i);
    t.b.set(YMMH[i.reg], zero(t.b));
  };
}
