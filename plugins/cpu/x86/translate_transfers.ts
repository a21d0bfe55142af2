/**
 * Far transfers, interrupts and segment registers.
 *
 * Loading DS or ES seldom changes the static mode key: it leaves its block by
 * `cpu.leaveIfChanged` only if it did. FS and GS do change it at each of
 * Linux's system calls: their loads end the block, and control goes on through
 * the jump cache.
 *
 * @module
 */

import { EXIT_LOOKUP } from "../../../core/cpu/frontend.ts";
import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import type { X86 } from "./cpu.ts";
import type { Insn } from "./decode.ts";
import { EXC_BR } from "./exceptions.ts";
import { define } from "./helpers.ts";
import {
  interrupt1,
  interruptReturn,
  softwareException,
  softwareInterrupt,
} from "./interrupts.ts";
import { farCallLong, farJumpLong } from "./long_transfers.ts";
import { LOAD_DATA, POP_DATA } from "./segment_kernel.ts";
import { loadSegment } from "./segments.ts";
import {
  BASE,
  DS,
  ES,
  FS,
  GPR,
  GPR64,
  GS,
  KEY_LIMIT_64K,
  OF,
  SCRATCH32,
  SELECTOR,
  SHADOW,
  SHADOW_STACK,
  SS,
} from "./state.ts";
import { farCall, farJump, farReturn } from "./transfers.ts";
import type { Translate, Translator } from "./translate.ts";
import {
  goOn,
  goWith,
  highWord,
  lowWord,
  next,
  pushWord,
  SEGMENTS,
  setNext,
  transfer,
} from "./translate_privilege.ts";

const LD16 = Op["ld16u"], LD16S = Op["ld16s"], LD32 = Op["ld32"];
const LD64 = Op["ld64"];
const ST16 = Op["st16"];

// Far transfers. Operand sizes ride above the selector.

const FAR_JUMP = transfer("far_jump", 3, farJump);
const FAR_CALL = transfer("far_call", 3, (cpu, what, offset, next) => {
  farCall(cpu, what & 0xffff, offset, what >>> 16, next);
});
const FAR_RETURN = transfer("far_return", 2, farReturn);
const IRET = transfer("iret", 2, interruptReturn);

/** The same in 64-bit mode: the offset as two words; RIP is in the state. */
const FAR_JUMP_LONG = transfer("far_jump_long", 3, farJumpLong);
const FAR_CALL_LONG = transfer("far_call_long", 3, (cpu, what, lo, hi) => {
  farCallLong(cpu, what & 0xffff, lo, hi, what >>> 16, 0);
});

function farPointer(t: Translator, i: Insn): { sel: Value; off: Value } {
  const size = i.opSize;
  const at = t.ea(i, size + 2, false);
  // As pointers, by table 6-7 in volume 3 of the SDM; 80 bits as an EPYC does.
  t.checkAligned(at, Math.min(size, 4));
  const off = size === 8
    ? t.b.load(LD64, at, 0, t.mmu)
    : t.loadLinear(size, at);
  const sel = t.loadLinear(2, at, size);
  return { sel, off };
}

function farJumpTo(t: Translator, sel: Value, off: Value): void {
  if (t.long) {
    setNext(t);
    goWith(t, FAR_JUMP_LONG, sel, lowWord(t, off), highWord(t, off));
  } else goWith(t, FAR_JUMP, sel, off, t.pc(t.nextEip));
}

function farCallTo(t: Translator, i: Insn, sel: Value, off: Value): void {
  const what = t.b.or(sel, t.imm(i.opSize << 16));
  if (t.long) {
    setNext(t);
    goWith(t, FAR_CALL_LONG, what, lowWord(t, off), highWord(t, off));
  } else goWith(t, FAR_CALL, what, off, t.pc(t.nextEip));
}

// Interrupts.

const INT = transfer("int", 2, softwareInterrupt);
const INT3 = transfer("int3", 1, (cpu, next) => {
  softwareException(cpu, 3, next);
});
const INT1 = transfer("int1", 1, interrupt1);
const INTO = transfer("into", 1, (cpu, next) => {
  if ((cpu.arithFlags() & OF) !== 0) softwareException(cpu, 4, next);
  else cpu.eip = next;
});

function bound(t: Translator, i: Insn): void {
  const b = t.b;
  const wide = i.opSize === 4;
  const at = t.ea(i, 2 * i.opSize, false);
  const op = wide ? LD32 : LD16S;
  const low = b.load(op, at, 0, t.mmu);
  const high = b.load(op, at, i.opSize, t.mmu);
  const index = t.sext(i.opSize, t.reg(i.opSize, i.reg));
  t.trap(b.or(b.ltS(index, low), b.ltS(high, index)), EXC_BR);
}

// Segment registers.

const LOAD_SEGMENT = define(
  "load_segment",
  3,
  { faults: true, writes: SEGMENTS, native: LOAD_DATA },
  (cpu) => (seg, selector, next) => {
    const key = cpu.key();
    loadSegment(cpu, seg, selector & 0xffff);
    cpu.leaveIfChanged(key, next);
    return 0;
  },
);
const LOAD_STACK_SEGMENT = define(
  "load_ss",
  1,
  { faults: true, writes: SEGMENTS },
  (cpu) => (selector) => {
    loadSegment(cpu, SS, selector & 0xffff);
    return 0;
  },
);

/**
 * Loads a data segment register; the instruction must be complete but for
 * that, for its block may be left here. SS is loaded by `setStack`.
 */
function setSegment(t: Translator, seg: number, selector: Value): void {
  const b = t.b;
  if ((t.key & KEY_LIMIT_64K) !== 0) {
    // All that real mode changes; nothing of it is in the key.
    const sel = b.zext16(selector);
    b.set(SELECTOR[seg], sel);
    b.set(BASE[seg], b.shl(sel, t.imm(4)));
    return;
  }
  if (seg >= FS && !t.long) {
    return goWith(t, LOAD_FAR, t.imm(seg), selector, next(t));
  }
  t.syncFlags();
  b.call(LOAD_SEGMENT, t.imm(seg), selector, next(t));
}

/** Loads FS or GS and puts `next` into EIP. */
const LOAD_FAR = transfer("load_fs_gs", 3, (cpu, seg, selector, next) => {
  loadSegment(cpu, seg, selector & 0xffff);
  cpu.eip = next;
});

/** Loads SS: the next instruction is shielded from interrupts. */
function setStack(t: Translator, selector: Value): void {
  const b = t.b;
  if ((t.key & KEY_LIMIT_64K) !== 0) {
    setSegment(t, SS, selector);
  } else {
    t.syncFlags();
    b.call(LOAD_STACK_SEGMENT, selector);
  }
}

/** Ends the block of an instruction that has loaded SS. */
function endStack(t: Translator): void {
  t.b.set(SHADOW, t.imm(SHADOW_STACK));
  setNext(t);
  t.exit(EXIT_LOOKUP);
}

function movToSegment(t: Translator, i: Insn): void {
  const seg = i.reg & 7; // REX.R means nothing
  if (seg === 1 || seg > 5) return t.ud();
  const v = t.isMemory ? t.load(LD16, i) : t.reg(2, i.rm);
  if (seg === SS) {
    setStack(t, v);
    return endStack(t);
  }
  setSegment(t, seg, v);
}

function movFromSegment(t: Translator, i: Insn): void {
  const seg = i.reg & 7;
  if (seg > 5) return t.ud();
  const v = t.b.get(SELECTOR[seg]);
  if (t.isMemory) t.store(ST16, i, v);
  else t.setReg(Math.min(i.opSize, 4), i.rm, v);
}

/** The segment register in the opcode of PUSH and POP. */
function opcodeSegment(i: Insn): number {
  return (i.opcode >> 3) & 7;
}

function popSegment(t: Translator, i: Insn, seg: number): void {
  const v = lowWord(t, t.peek(i.opSize));
  if (seg === SS) {
    setStack(t, v);
    t.setStackPointer(t.stackPointer(i.opSize));
    return endStack(t);
  }
  if ((t.key & KEY_LIMIT_64K) !== 0) {
    setSegment(t, seg, v);
    t.setStackPointer(t.stackPointer(i.opSize));
    return;
  }
  const what = seg | (i.opSize << 4) |
    (t.long ? 0x200 : t.stack32 ? 0x100 : 0);
  if (seg >= FS && !t.long) {
    return goWith(t, POP_FAR, t.imm(what), v, next(t));
  }
  t.syncFlags();
  t.b.call(POP_SEGMENT, t.imm(what), v, next(t));
}

/** What POP of a segment register does: loads it and moves the stack pointer. */
function popped(cpu: X86, what: number, selector: number): void {
  loadSegment(cpu, what & 15, selector & 0xffff);
  const size = (what >> 4) & 15;
  if ((what & 0x200) !== 0) cpu.addReg64(4, size);
  else if ((what & 0x100) !== 0) cpu.setReg32(4, (cpu.reg32(4) + size) | 0);
  else cpu.setReg16(4, cpu.reg16(4) + size);
}

/** POP of FS or GS. */
const POP_FAR = transfer("pop_fs_gs", 3, (cpu, what, selector, next) => {
  popped(cpu, what, selector);
  cpu.eip = next;
});

/** POP of a data segment register: the load may leave the block, so it moves the stack pointer as well. */
const POP_SEGMENT = define(
  "pop_segment",
  3,
  { faults: true, writes: [...SEGMENTS, GPR[4]], native: POP_DATA },
  (cpu) => (what, selector, next) => {
    const key = cpu.key();
    popped(cpu, what, selector);
    cpu.leaveIfChanged(key, next);
    return 0;
  },
);

/** LES, LDS, LFS, LGS, LSS. */
function loadPointer(seg: number): Translate {
  return (t, i) => {
    if (!t.isMemory) return t.ud();
    const { sel, off } = farPointer(t, i);
    if (seg === SS) {
      setStack(t, sel);
      t.setReg(i.opSize, i.reg, off);
      return goOn(t);
    }
    if ((t.key & KEY_LIMIT_64K) !== 0) {
      setSegment(t, seg, sel);
      t.setReg(i.opSize, i.reg, off);
      return;
    }
    t.syncFlags();
    t.b.set(SCRATCH32[0], lowWord(t, off));
    t.b.set(SCRATCH32[1], highWord(t, off));
    const what = seg | (i.opSize << 4) | (i.reg << 8);
    t.b.call(LOAD_POINTER, t.imm(what), sel, next(t));
  };
}

const LOAD_POINTER = define(
  "load_pointer",
  3,
  { faults: true, writes: [...SEGMENTS, ...GPR, ...GPR64] },
  (cpu) => (what, selector, next) => {
    const key = cpu.key();
    const offset = cpu.state[SCRATCH32[0].offset >> 2];
    const high = cpu.state[SCRATCH32[1].offset >> 2];
    loadSegment(cpu, what & 15, selector & 0xffff);
    const r = (what >> 8) & 15;
    switch ((what >> 4) & 15) {
      case 8:
        cpu.setReg32(r, offset);
        cpu.state[(GPR64[r].offset >> 2) + 1] = high;
        break;
      case 4:
        cpu.setReg32(r, offset);
        break;
      default:
        cpu.setReg16(r, offset);
    }
    cpu.leaveIfChanged(key, next);
    return 0;
  },
);
/** The functions, by the names that the instruction table uses. */
export const TRANSFERS: Readonly<Record<string, Translate>> = {
  jmpf: (t, i) => farJumpTo(t, t.imm(i.imm2), t.imm(i.imm)),
  jmpf_indirect: (t, i) => {
    if (!t.isMemory) return t.ud();
    const { sel, off } = farPointer(t, i);
    farJumpTo(t, sel, off);
  },
  callf: (t, i) => farCallTo(t, i, t.imm(i.imm2), t.imm(i.imm)),
  callf_indirect: (t, i) => {
    if (!t.isMemory) return t.ud();
    const { sel, off } = farPointer(t, i);
    farCallTo(t, i, sel, off);
  },
  retf: (t, i) => {
    const extra = i.opcode === 0xca ? i.imm & 0xffff : 0;
    goWith(t, FAR_RETURN, t.imm(i.opSize), t.imm(extra));
  },
  iret: (t, i) => goWith(t, IRET, t.imm(i.opSize), next(t)),
  int: (t, i) => goWith(t, INT, t.imm(i.imm & 0xff), next(t)),
  int3: (t) => goWith(t, INT3, next(t)),
  int1: (t) => goWith(t, INT1, next(t)),
  into: (t) => goWith(t, INTO, next(t)),
  bound,
  mov_to_sreg: movToSegment,
  mov_from_sreg: movFromSegment,
  push_sreg: (t, i) =>
    pushWord(t, i.opSize, t.b.get(SELECTOR[opcodeSegment(i)])),
  pop_sreg: (t, i) => popSegment(t, i, opcodeSegment(i)),
  les: loadPointer(ES),
  lds: loadPointer(DS),
  lss: loadPointer(SS),
  lfs: loadPointer(FS),
  lgs: loadPointer(GS),
};
