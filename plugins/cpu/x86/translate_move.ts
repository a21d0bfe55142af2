/**
 * Moves, the stack, conversions, exchanges, single flags.
 *
 * @module
 */

import { ACCESS_WRITE } from "../../../core/cpu/frontend.ts";
import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import type { Insn } from "./decode.ts";
import { I64 } from "../../../core/ir/types.ts";
import { define } from "./helpers.ts";
import {
  AF,
  CC_ADD,
  CC_BITS,
  CC_SUB,
  CF,
  DF,
  FLAGS,
  GPR64,
  PF,
  SCRATCH,
  SCRATCH32,
  SF,
  SS,
  ZF,
} from "./state.ts";
import type { Translate, Translator } from "./translate.ts";

const ESP = 4, EBP = 5;
/** What ENTER copies. */
const COPIED = SCRATCH32.slice(0, 2);

const mov: Translate = (t) => t.write(0, t.read(1));

const movzx: Translate = (t) => t.write(0, t.resize(t.size(0), t.read(1)));

const movsx: Translate = (t) => {
  const v = t.sext(t.size(1), t.read(1));
  t.write(0, t.size(0) === 8 ? t.b.sext32(v) : v);
};

const lea: Translate = (t, i) => t.write(0, t.resize(t.size(0), t.offset(i)));

const cmovcc: Translate = (t, i) => {
  const v = t.read(1);
  t.write(0, t.b.select(t.condition(i.opcode & 15), v, t.read(0)));
};

const setcc: Translate = (t, i) => t.write(0, t.conditionBool(i.opcode & 15));

const xchg: Translate = (t) => {
  const x = t.read(0), y = t.read(1);
  t.write(0, y);
  t.write(1, x);
};

/** 90 with REX.B, be it NOP or PAUSE otherwise: the exchange with R8 that the opcode's row has. */
export function exchangesR8(t: Translator, i: Insn): boolean {
  if ((i.rex & 1) === 0) return false;
  const size = i.opSize;
  const x = t.reg(size, 0), y = t.reg(size, i.rm);
  t.setReg(size, 0, y);
  t.setReg(size, i.rm, x);
  return true;
}

const cmpxchg: Translate = (t, i) => {
  const b = t.b;
  const size = t.size(0);
  const old = t.read(0), accumulator = t.reg(size, 0), v = t.read(1);
  const equal = b.eq(accumulator, old);
  let store = (): void => t.write(0, b.select(equal, v, old));
  let load = (): void => t.setReg(size, 0, b.select(equal, accumulator, old));
  if (t.long && size === 4) {
    // A register that keeps its value keeps all of it (AMD; undocumented).
    const put = (n: number, isKept: boolean, v: Value): void => {
      const whole = b.get(GPR64[n]), wide = b.zext32(v);
      b.set(
        GPR64[n],
        isKept ? b.select(equal, whole, wide) : b.select(equal, wide, whole),
      );
    };
    load = () => put(0, true, old);
    if (!t.isMemory) store = () => put(i.rm, false, v);
  }
  // The store may fault; but if the destination is the accumulator it wins.
  if (t.isMemory) {
    store();
    load();
  } else {
    load();
    store();
  }
  t.setFlags(CC_SUB, size, b.sub(accumulator, old), old, 0, accumulator);
};

const xadd: Translate = (t) => {
  const size = t.size(0);
  const x = t.read(0), y = t.read(1);
  const r = t.b.add(x, y);
  if (t.isMemory) {
    t.write(0, r);
    t.write(1, x);
  } else {
    t.write(1, x);
    t.write(0, r);
  }
  t.setFlags(CC_ADD, size, r, y, 0, x);
};

/** The i64 with these halves. */
export function pair(t: Translator, low: Value, high: Value): Value {
  const b = t.b;
  return b.op(
    Op["i64.or"],
    b.op(Op["i64.extend_i32_u"], low),
    b.op(Op["i64.shl"], b.op(Op["i64.extend_i32_u"], high), b.i64(32)),
  );
}

/** CMPXCHG8B and, of 64-bit mode, CMPXCHG16B. */
const cmpxchg8b: Translate = (t, i) => {
  const b = t.b;
  const isWide = i.opSize === 8;
  if (isWide && !t.options.features.has("cx16")) return t.ud();
  let low: Value, high: Value, equal: Value;
  const size = isWide ? 8 : 4;
  const isSame = (): Value =>
    b.and(b.eq(low, t.reg(size, 0)), b.eq(high, t.reg(size, 2)));
  if (isWide) {
    t.alignEa(i, 16, true);
    const old = t.load(Op["ld128"], i);
    low = b.op(Op["i64x2.extract_lane.0"], old);
    high = b.op(Op["i64x2.extract_lane.1"], old);
    equal = isSame();
    const v = b.op(
      Op["i64x2.replace_lane.1"],
      b.op(Op["i64x2.splat"], t.reg(8, 3)),
      t.reg(8, 1),
    );
    t.store(Op["st128"], i, b.op(Op["v128.select"], v, old, equal));
  } else {
    const old = t.load(Op["ld64"], i);
    low = b.op(Op["i32.wrap_i64"], old);
    high = b.op(Op["i32.wrap_i64"], b.op(Op["i64.shr_u"], old, b.i64(32)));
    equal = isSame();
    const v = pair(t, t.reg(4, 3), t.reg(4, 1));
    t.store(Op["st64"], i, b.op(Op["i64.select"], v, old, equal));
  }
  const flags = t.arithFlags();
  // In 64-bit mode a register that keeps its value keeps all of it.
  const put = (n: number, v: Value): void => {
    if (!t.long || isWide) return t.setReg(size, n, v);
    b.set(GPR64[n], b.select(equal, b.get(GPR64[n]), b.zext32(v)));
  };
  put(0, low);
  put(2, high);
  t.setArithFlags(b.or(b.and(flags, b.i32(~ZF)), b.shl(equal, b.i32(6))));
};

/** The bytes of an i32 or i64 the other way round. */
export function swapBytes(t: Translator, v: Value): Value {
  const b = t.b;
  if (b.typeOf(v) === I64) {
    const high = swapBytes(t, b.low(b.shrU(v, b.i64(32))));
    return pair(t, high, swapBytes(t, b.low(v)));
  }
  return b.or(
    b.and(b.op(Op["i32.rotl"], v, b.i32(8)), b.i32(0x00ff00ff)),
    b.and(b.op(Op["i32.rotl"], v, b.i32(24)), b.i32(0xff00ff00)),
  );
}

const bswap: Translate = (t) => {
  // With a 16-bit operand the result is undefined: CPUs give 0.
  if (t.insn.opSize === 2) return t.write(0, t.b.i32(0));
  t.write(0, swapBytes(t, t.read(0)));
};

const push: Translate = (t, i) => t.push(i.opSize, t.read(0));

const pop: Translate = (t, i) => {
  const size = i.opSize;
  const v = t.peek(size);
  const pointer = t.stackPointer(size);
  if (t.isMemory && i.map === 0 && i.opcode === 0x8f) {
    t.espBias = size; // ESP as a base counts after the increment
    t.write(0, v);
    return t.setStackPointer(pointer);
  }
  t.setStackPointer(pointer);
  t.write(0, v);
};

const pusha: Translate = (t, i) => {
  const size = i.opSize;
  for (let n = 0; n < 8; n++) {
    t.storeLinear(
      size,
      t.stackAddress(-size * (n + 1), size, true),
      t.reg(4, n),
    );
  }
  t.setStackPointer(t.stackPointer(-8 * size));
};

const popa: Translate = (t, i) => {
  const size = i.opSize;
  const values: Value[] = [];
  for (let n = 7; n >= 0; n--) {
    values[n] = n === 4 ? 0 : t.peek(size, size * (7 - n));
  }
  const pointer = t.stackPointer(8 * size);
  for (let n = 0; n < 8; n++) if (n !== 4) t.setReg(size, n, values[n]);
  t.setStackPointer(pointer);
};

/** The whole stack pointer register once it has moved by `delta`, as a value of `size` bytes. */
function wholeEsp(t: Translator, size: number, delta: number): Value {
  const b = t.b;
  const pointer = t.stackPointer(delta);
  if (t.long) return t.resize(size, pointer);
  return t.stack32
    ? pointer
    : b.or(b.and(t.reg(4, ESP), b.i32(0xffff0000)), pointer);
}

/** Linear address of `size` bytes at EBP or RBP plus `delta`. */
function frameAddress(t: Translator, size: number, delta: number): Value {
  const b = t.b;
  const ebp = t.reg(t.long ? 8 : 4, EBP);
  const at = b.add(ebp, b.like(ebp, delta));
  const cut = t.long || t.stack32 ? at : b.zext16(at);
  return t.linear(SS, cut, size, false);
}

/** A page fault unless so many bytes at a linear address can be written. */
const PROBE_WRITE = define(
  "probe_write",
  3,
  { faults: true, writes: [] },
  (cpu) => (address, size, mmu) => {
    const at = cpu.addressArgument(address);
    cpu.engine.mmu.probe(at, size, ACCESS_WRITE, mmu);
    return 0;
  },
);

// A compiled region may be left for the interpreter in the middle of an
// instruction, which then begins once more. ENTER may read what it has written:
// so nothing of it may be of that kind but its first store.
/** Loads 2, 4 or 8 bytes into the scratch words. */
const LOAD_FRAME = define(
  "load_frame",
  3,
  { faults: true, reads: [SCRATCH[0]], writes: COPIED },
  (cpu) => (low, size, mmu) => {
    const at = cpu.addressArgument(low), { state } = cpu;
    const word = COPIED[0].offset >> 2;
    state[word] = size === 2
      ? cpu.mmu.read16(at, mmu)
      : cpu.mmu.read32(at, mmu);
    if (size === 8) state[word + 1] = cpu.mmu.read32(at + 4, mmu);
    return 0;
  },
);
/** Stores 2, 4 or 8 bytes of the scratch words. */
const STORE_FRAME = define(
  "store_frame",
  3,
  { faults: true, reads: [SCRATCH[0], ...COPIED], writes: [] },
  (cpu) => (low, size, mmu) => {
    const at = cpu.addressArgument(low), { state } = cpu;
    const word = COPIED[0].offset >> 2;
    // Nothing is stored if part of it faults.
    cpu.engine.mmu.probe(at, size, ACCESS_WRITE, mmu);
    if (size === 2) cpu.mmu.write16(at, state[word] & 0xffff, mmu);
    else cpu.mmu.write32(at, state[word], mmu);
    if (size === 8) cpu.mmu.write32(at + 4, state[word + 1], mmu);
    return 0;
  },
);

/** The pointers to the outer frames and the one to the new frame, `level` in all, below the first word of it. */
function pushFrames(
  t: Translator,
  size: number,
  level: number,
  frame: Value,
): void {
  const b = t.b;
  const store = (k: number): void => {
    const to = t.addressArgument(t.stackAddress(-size * (k + 1), size, true));
    b.call(STORE_FRAME, to, b.i32(size), b.i32(t.mmu));
  };
  for (let k = 1; k < level; k++) {
    const from = t.addressArgument(frameAddress(t, size, -size * k));
    b.call(LOAD_FRAME, from, b.i32(size), b.i32(t.mmu));
    store(k);
  }
  b.set(COPIED[0], b.low(frame));
  if (size === 8) {
    b.set(COPIED[1], b.low(b.op(Op["i64.shr_u"], frame, b.i64(32))));
  }
  store(level);
}

const enter: Translate = (t, i) => {
  const b = t.b;
  const size = i.opSize;
  const level = i.imm2 & 31;
  const ebp = t.reg(size === 8 ? 8 : 4, EBP);
  t.storeLinear(size, t.stackAddress(-size, size, true), ebp);
  const frame = wholeEsp(t, size, -size);
  if (level > 0) pushFrames(t, size, level, frame);
  const pointer = t.stackPointer(-size * (level + 1) - i.imm);
  // A write to the new top of the stack must be possible; none is made.
  const top = t.linear(SS, pointer, size, true);
  b.call(PROBE_WRITE, t.addressArgument(top), b.i32(size), b.i32(t.mmu));
  t.setReg(size, EBP, frame);
  t.setStackPointer(pointer);
};

const leave: Translate = (t, i) => {
  const b = t.b;
  const size = i.opSize;
  const ebp = t.reg(t.long ? 8 : 4, EBP);
  const v = t.loadLinear(size, frameAddress(t, size, 0));
  t.setStackPointer(b.add(ebp, b.like(ebp, size)));
  t.setReg(size, EBP, v);
};

/** CBW, CWDE and CDQE. */
const cbw: Translate = (t, i) => {
  const half = i.opSize >> 1;
  const v = t.sext(half, t.reg(half, 0));
  t.setReg(i.opSize, 0, i.opSize === 8 ? t.b.sext32(v) : v);
};

/** CWD, CDQ and CQO. */
const cwd: Translate = (t, i) => {
  const v = t.sext(i.opSize, t.reg(i.opSize, 0));
  t.setReg(i.opSize, 2, t.b.shrS(v, t.b.i32(i.opSize === 8 ? 63 : 31)));
};

const xlat: Translate = (t, i) => {
  const b = t.b;
  const size = i.addrSize;
  const at = b.add(t.reg(size, 3), t.resize(size, t.reg(1, 0)));
  const offset = t.long ? t.resize(8, t.zext(size, at)) : t.zext(size, at);
  t.setReg(1, 0, t.loadLinear(1, t.linear(i.segment, offset, 1, false)));
};

const LOW_FLAGS = SF | ZF | AF | PF | CF;

const sahf: Translate = (t) => {
  const b = t.b;
  const old = b.shl(t.conditionBool(0), b.i32(11));
  const ah = b.and(b.shrU(t.reg(4, 0), b.i32(8)), b.i32(LOW_FLAGS));
  t.setArithFlags(b.or(old, ah));
};

const lahf: Translate = (t, i) => {
  const b = t.b;
  // Bit 1 of the flags is always set.
  const v = b.or(b.and(t.arithFlags(), b.i32(LOW_FLAGS)), b.i32(2));
  // With REX, register 4 is SPL.
  if (i.rex === 0) return t.setReg(1, 4, v);
  t.setReg(2, 0, b.or(t.zext(1, t.reg(4, 0)), b.shl(v, b.i32(8))));
};

const salc: Translate = (t) => t.setReg(1, 0, t.b.sub(t.b.i32(0), t.carry()));

/** CLC, STC, CMC: OF stays. */
function carryFlag(carry: (t: Translator) => Value): Translate {
  return (t) => {
    const b = t.b;
    const overflow = b.shl(t.conditionBool(0), b.i32(11));
    t.override(CC_BITS, b.or(overflow, carry(t)));
  };
}

const nothing: Translate = () => {};

/** Moves and their kin. */
export const MOVE: Readonly<Record<string, Translate>> = {
  mov,
  movzx,
  movsx,
  movsxd: movsx,
  lea,
  cmovcc,
  setcc,
  xchg,
  cmpxchg,
  xadd,
  cmpxchg8b,
  bswap,
  push,
  pop,
  pusha,
  popa,
  enter,
  leave,
  cbw,
  cwd,
  xlat,
  sahf,
  lahf,
  salc,
  clc: carryFlag((t) => t.b.i32(0)),
  stc: carryFlag((t) => t.b.i32(1)),
  cmc: carryFlag((t) => t.conditionBool(3)),
  cld: (t) => t.b.set(FLAGS, t.b.and(t.b.get(FLAGS), t.b.i32(~DF))),
  std: (t) => t.b.set(FLAGS, t.b.or(t.b.get(FLAGS), t.b.i32(DF))),
  nop: (t, i) => {
    exchangesR8(t, i);
  },
  nop_modrm: nothing,
  ud: (t) => t.ud(),
};
