/**
 * System instructions: far transfers, interrupts, segment, control and debug
 * registers, flags, ports, and what else asks for privilege.
 *
 * Most of them are helpers. Those that may change the static mode key end
 * their block (`jumpState`), or where they seldom do (loading a data segment,
 * POPF), leave it by `cpu.leaveIfChanged` only if it did change or an event is
 * due.
 *
 * @module
 */

import { EXIT_HALT, EXIT_LOOKUP } from "../../../core/cpu/frontend.ts";
import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import {
  clearTs,
  loadMsw,
  readDebug,
  sysenter,
  sysexit,
  writeControl,
  writeDebug,
} from "./control.ts";
import type { X86 } from "./cpu.ts";
import { cpuid } from "./cpuid.ts";
import type { Insn } from "./decode.ts";
import { define } from "./helpers.ts";
import {
  checkPopf,
  interrupt1,
  interruptReturn,
  popf,
  pushfImage,
  softwareException,
  softwareInterrupt,
  virtualCli,
  virtualSti,
} from "./interrupts.ts";
import { CR4_TSD } from "./models.ts";
import { readMsr, writeMsr } from "./msr.ts";
import { checkPort, portIn, portOut, portString } from "./ports.ts";
import {
  limitOf,
  loadLdt,
  loadSegment,
  loadTr,
  queryDescriptor,
  verify,
} from "./segments.ts";
import {
  AC,
  ATTR,
  BASE,
  CC_DST,
  CC_OP,
  CC_SRC,
  CC_SRC2,
  CR,
  DF,
  DS,
  EIP,
  ES,
  FLAGS,
  FS,
  GPR,
  GS,
  ID,
  IF,
  IOPL_MASK,
  KEY_IOPL_OK,
  KEY_LIMIT_64K,
  LDTR,
  LIMIT,
  NT,
  OF,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  RF,
  SCRATCH32,
  SELECTOR,
  SHADOW,
  SS,
  TF,
  TR,
  VM,
  ZF,
} from "./state.ts";
import { farCall, farJump, farReturn } from "./transfers.ts";
import type { Translate, Translator } from "./translate.ts";

const EXC_BR = 5, EXC_GP = 13;
const LD16 = Op["ld16u"], LD16S = Op["ld16s"], LD32 = Op["ld32"];
const ST16 = Op["st16"], ST32 = Op["st32"];
/** Flags as globals: what a helper that writes EFLAGS writes. */
const WRITES_FLAGS = [FLAGS, CC_OP, CC_SRC, CC_DST, CC_SRC2];
const SEGMENTS = [...SELECTOR, ...BASE, ...LIMIT, ...ATTR];

/** A helper that may fault and end its block: it may read and write everything. */
function transfer(
  name: string,
  args: 0 | 1 | 2 | 3,
  run: (cpu: X86, a: number, b: number, c: number) => void,
): Helper {
  return define(name, args, { faults: true }, (cpu) => (a, b, c) => {
    run(cpu, a, b, c);
    return 0;
  });
}

/** Calls a helper that has put CS:EIP into the state, and ends the block. */
function goWith(
  t: Translator,
  helper: Helper,
  a: Value = 0,
  b: Value = 0,
  c: Value = 0,
): void {
  t.syncFlags();
  t.b.call(helper, a, b, c);
  t.forgetFlags();
  t.jumpState();
}

/** Ends the block after an instruction that may have changed the mode key. */
function goOn(t: Translator): void {
  t.syncFlags();
  t.b.set(EIP, t.imm(t.nextEip));
  t.jumpState();
}

/** Raises #GP(0) unless CPL is 0; true if it does so always. */
function needLevel0(t: Translator): boolean {
  if (t.cpl === 0) return false;
  t.raise(EXC_GP, 0);
  return true;
}

/** Raises #UD outside protected mode proper; true if it does. */
function needProtected(t: Translator): boolean {
  if (t.protected) return false;
  t.ud();
  return true;
}

// Far transfers. Operand sizes ride above the selector.

const FAR_JUMP = transfer("far_jump", 3, farJump);
const FAR_CALL = transfer("far_call", 3, (cpu, what, offset, next) => {
  farCall(cpu, what & 0xffff, offset, what >>> 16, next);
});
const FAR_RETURN = transfer("far_return", 2, farReturn);
const IRET = transfer("iret", 2, interruptReturn);

function farPointer(t: Translator, i: Insn): { sel: Value; off: Value } {
  const wide = i.opSize === 4;
  const at = t.ea(i, wide ? 6 : 4, false);
  const off = t.loadLinear(wide ? 4 : 2, at);
  const sel = t.loadLinear(2, at, wide ? 4 : 2);
  return { sel, off };
}

function farJumpTo(t: Translator, sel: Value, off: Value): void {
  goWith(t, FAR_JUMP, sel, off, t.imm(t.nextEip));
}

function farCallTo(t: Translator, i: Insn, sel: Value, off: Value): void {
  const what = t.b.or(sel, t.imm(i.opSize << 16));
  goWith(t, FAR_CALL, what, off, t.imm(t.nextEip));
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
  { faults: true, writes: SEGMENTS },
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
  t.syncFlags();
  b.call(LOAD_SEGMENT, t.imm(seg), selector, t.imm(t.nextEip));
}

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
  t.b.set(SHADOW, t.imm(1));
  t.b.set(EIP, t.imm(t.nextEip));
  t.exit(EXIT_LOOKUP);
}

function movToSegment(t: Translator, i: Insn): void {
  const seg = i.reg;
  if (seg === 1 || seg > 5) return t.ud();
  const v = t.isMemory ? t.load(LD16, i) : t.reg(2, i.rm);
  if (seg === SS) {
    setStack(t, v);
    return endStack(t);
  }
  setSegment(t, seg, v);
}

function movFromSegment(t: Translator, i: Insn): void {
  if (i.reg > 5) return t.ud();
  const v = t.b.get(SELECTOR[i.reg]);
  if (t.isMemory) t.store(ST16, i, v);
  else t.setReg(i.opSize, i.rm, v);
}

/** The segment register in the opcode of PUSH and POP. */
function opcodeSegment(i: Insn): number {
  return (i.opcode >> 3) & 7;
}

function popSegment(t: Translator, i: Insn, seg: number): void {
  const v = t.peek(i.opSize);
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
  t.syncFlags();
  const what = seg | (i.opSize << 4) | (t.stack32 ? 0x100 : 0);
  t.b.call(POP_SEGMENT, t.imm(what), v, t.imm(t.nextEip));
}

/** POP of a data segment register: the load may leave the block, so it moves the stack pointer as well. */
const POP_SEGMENT = define(
  "pop_segment",
  3,
  { faults: true, writes: [...SEGMENTS, GPR[4]] },
  (cpu) => (what, selector, next) => {
    const key = cpu.key();
    loadSegment(cpu, what & 15, selector & 0xffff);
    const size = (what >> 4) & 15;
    if ((what & 0x100) !== 0) cpu.setReg32(4, (cpu.reg32(4) + size) | 0);
    else cpu.setReg16(4, cpu.reg16(4) + size);
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
    t.b.set(SCRATCH32[0], off);
    const what = seg | (i.opSize << 4) | (i.reg << 8);
    t.b.call(LOAD_POINTER, t.imm(what), sel, t.imm(t.nextEip));
  };
}

const LOAD_POINTER = define(
  "load_pointer",
  3,
  { faults: true, writes: [...SEGMENTS, ...GPR] },
  (cpu) => (what, selector, next) => {
    const key = cpu.key();
    const offset = cpu.state[SCRATCH32[0].offset >> 2];
    loadSegment(cpu, what & 15, selector & 0xffff);
    const r = (what >> 8) & 7;
    if (((what >> 4) & 15) === 4) cpu.setReg32(r, offset);
    else cpu.setReg16(r, offset);
    cpu.leaveIfChanged(key, next);
    return 0;
  },
);

// Descriptor tables.

const SET_TABLE = define("set_table", 3, { writes: [] }, (cpu) => {
  return (which, limit, base) => {
    const idt = which !== 0;
    cpu.state[(idt ? OFF_IDT_BASE : OFF_GDT_BASE) >> 2] = base;
    cpu.state[(idt ? OFF_IDT_LIMIT : OFF_GDT_LIMIT) >> 2] = limit & 0xffff;
    return 0;
  };
});
const GET_TABLE = define(
  "get_table",
  1,
  { reads: [], writes: [] },
  (cpu) => (offset) => cpu.state[offset >> 2],
);

function loadTable(which: number): Translate {
  return (t, i) => {
    if (!t.isMemory) return t.ud();
    if (needLevel0(t)) return;
    const b = t.b;
    const at = t.ea(i, 6, false);
    const limit = t.loadLinear(2, at);
    let base = t.loadLinear(4, at, 2);
    if (i.opSize === 2) base = b.and(base, t.imm(0xffffff));
    b.call(SET_TABLE, t.imm(which), limit, base);
  };
}

function storeTable(limitAt: number, baseAt: number): Translate {
  return (t, i) => {
    if (!t.isMemory) return t.ud();
    const b = t.b;
    const at = t.ea(i, 6, true);
    b.store(ST16, at, 0, b.call(GET_TABLE, t.imm(limitAt)), t.mmu);
    b.store(ST32, at, 2, b.call(GET_TABLE, t.imm(baseAt)), t.mmu);
  };
}

const LLDT = transfer("lldt", 1, (cpu, sel) => loadLdt(cpu, sel & 0xffff));
const LTR = transfer("ltr", 1, (cpu, sel) => loadTr(cpu, sel & 0xffff));

function readSelector(t: Translator, i: Insn): Value {
  return t.isMemory ? t.load(LD16, i) : t.reg(2, i.rm);
}

function loadSystemSegment(helper: Helper): Translate {
  return (t, i) => {
    if (needProtected(t) || needLevel0(t)) return;
    const v = readSelector(t, i);
    t.syncFlags();
    t.b.call(helper, v);
    t.forgetFlags();
  };
}

function storeSystemSegment(seg: number): Translate {
  return (t, i) => {
    if (needProtected(t)) return;
    storeWord(t, i, t.b.get(SELECTOR[seg]));
  };
}

/** A 16-bit result: to memory as 16 bits, to a register zero-extended. */
function storeWord(t: Translator, i: Insn, v: Value): void {
  if (t.isMemory) t.store(ST16, i, v);
  else t.setReg(i.opSize, i.rm, v);
}

/** LAR, LSL: result in scratch word 0, found or not in 1, and ZF. */
const QUERY = transfer("query_descriptor", 2, (cpu, selector, lsl) => {
  const d = queryDescriptor(cpu, selector & 0xffff, lsl !== 0);
  const at = SCRATCH32[0].offset >> 2;
  cpu.state[at + 1] = d === null ? 0 : 1;
  cpu.state[at] = d === null
    ? 0
    : lsl !== 0
    ? limitOf(d.lo, d.hi)
    : d.hi & 0xf0ff00;
  cpu.setArithFlags(cpu.arithFlags() & ~ZF | (d === null ? 0 : ZF));
});

function query(lsl: number): Translate {
  return (t, i) => {
    if (needProtected(t)) return;
    const b = t.b;
    const selector = readSelector(t, i);
    t.syncFlags();
    b.call(QUERY, selector, t.imm(lsl));
    t.forgetFlags();
    const old = t.reg(i.opSize, i.reg);
    const found = b.get(SCRATCH32[1]);
    t.setReg(i.opSize, i.reg, b.select(found, b.get(SCRATCH32[0]), old));
  };
}

const VERIFY = transfer("verify", 2, (cpu, selector, write) => {
  const ok = verify(cpu, selector & 0xffff, write !== 0);
  cpu.setArithFlags(cpu.arithFlags() & ~ZF | (ok ? ZF : 0));
});

function verifySegment(write: number): Translate {
  return (t, i) => {
    if (needProtected(t)) return;
    const selector = readSelector(t, i);
    t.syncFlags();
    t.b.call(VERIFY, selector, t.imm(write));
    t.forgetFlags();
  };
}

function arpl(t: Translator, i: Insn): void {
  if (needProtected(t)) return;
  const b = t.b;
  const dst = readSelector(t, i);
  const rpl = b.and(t.reg(2, i.reg), t.imm(3));
  const less = b.ltU(b.and(dst, t.imm(3)), rpl);
  const v = b.select(less, b.or(b.and(dst, t.imm(0xfffc)), rpl), dst);
  const flags = t.arithFlags();
  if (t.isMemory) t.store(ST16, i, v);
  else t.setReg(2, i.rm, v);
  t.setArithFlags(
    b.or(b.and(flags, t.imm(~ZF)), b.shl(less, t.imm(6))),
  );
}

// Control and debug registers.

const SET_CONTROL = transfer("set_control", 2, writeControl);
const LMSW = transfer("lmsw", 1, loadMsw);
const CLTS = define(
  "clts",
  1,
  { faults: true, writes: [CR[0]] },
  (cpu) => (next) => {
    const key = cpu.key();
    clearTs(cpu);
    cpu.leaveIfChanged(key, next);
    return 0;
  },
);
const SET_DEBUG = transfer("set_debug", 2, writeDebug);
const GET_DEBUG = transfer("get_debug", 1, (cpu, n) => {
  cpu.state[SCRATCH32[0].offset >> 2] = readDebug(cpu, n);
});
const INVLPG = define("invlpg", 1, { reads: [], writes: [] }, (cpu) => {
  return (address) => {
    cpu.engine.mmu.flushPage(address);
    return 0;
  };
});

function movToControl(t: Translator, i: Insn): void {
  if (i.reg === 1 || i.reg > 4) return t.ud();
  if (needLevel0(t)) return;
  t.syncFlags();
  t.b.call(SET_CONTROL, t.imm(i.reg), t.reg(4, i.rm));
  t.forgetFlags();
  goOn(t);
}

function movFromControl(t: Translator, i: Insn): void {
  if (i.reg === 1 || i.reg > 4) return t.ud();
  if (needLevel0(t)) return;
  t.setReg(4, i.rm, t.b.get(CR[i.reg]));
}

function movToDebug(t: Translator, i: Insn): void {
  if (needLevel0(t)) return;
  t.syncFlags();
  t.b.call(SET_DEBUG, t.imm(i.reg), t.reg(4, i.rm));
  t.forgetFlags();
  goOn(t);
}

function movFromDebug(t: Translator, i: Insn): void {
  if (needLevel0(t)) return;
  t.syncFlags();
  t.b.call(GET_DEBUG, t.imm(i.reg));
  t.forgetFlags();
  t.setReg(4, i.rm, t.b.get(SCRATCH32[0]));
}

// Flags and interrupts.

const CHECK_INTERRUPT = define(
  "check_interrupt",
  0,
  { reads: [FLAGS], writes: [] },
  (cpu) => () => {
    cpu.checkInterrupt();
    return 0;
  },
);
const VIRTUAL_CLI = define(
  "virtual_cli",
  0,
  { faults: true, writes: WRITES_FLAGS },
  (cpu) => () => {
    virtualCli(cpu);
    return 0;
  },
);
const VIRTUAL_STI = define(
  "virtual_sti",
  0,
  { faults: true, writes: WRITES_FLAGS },
  (cpu) => () => {
    virtualSti(cpu);
    return 0;
  },
);
const PUSHF_IMAGE = transfer("pushf_image", 1, (cpu, size) => {
  cpu.state[SCRATCH32[0].offset >> 2] = pushfImage(cpu, size);
});
/** After POPF, EIP being set: the mode key, and interrupts that were kept waiting. */
const FLAGS_CHANGED = define(
  "flags_changed",
  0,
  { faults: true, writes: [] },
  (cpu) => () => {
    const key = cpu.key();
    cpu.updateKey();
    cpu.leaveIfChanged(key, cpu.eip);
    return 0;
  },
);
const POPF = define(
  "popf",
  3,
  { faults: true, writes: [...WRITES_FLAGS, GPR[4]] },
  (cpu) => (image, what, next) => {
    const key = cpu.key();
    const size = what & 15;
    checkPopf(cpu, size, image);
    if ((what & 0x100) !== 0) cpu.setReg32(4, (cpu.reg32(4) + size) | 0);
    else cpu.setReg16(4, cpu.reg16(4) + size);
    popf(cpu, size, image);
    cpu.leaveIfChanged(key, next);
    return 0;
  },
);

function cli(t: Translator): void {
  const b = t.b;
  if ((t.key & KEY_IOPL_OK) !== 0) {
    b.set(FLAGS, b.and(b.get(FLAGS), t.imm(~IF)));
    return;
  }
  t.syncFlags();
  b.call(VIRTUAL_CLI);
  t.forgetFlags();
}

function sti(t: Translator): void {
  const b = t.b;
  if ((t.key & KEY_IOPL_OK) !== 0) {
    b.set(FLAGS, b.or(b.get(FLAGS), t.imm(IF)));
    b.call(CHECK_INTERRUPT);
    t.shadowNext = true;
    return;
  }
  t.syncFlags();
  b.call(VIRTUAL_STI);
  t.forgetFlags();
}

function pushFlags(t: Translator, i: Insn): void {
  const b = t.b;
  let image: Value;
  if (t.v86 && (t.key & KEY_IOPL_OK) === 0) {
    t.syncFlags();
    b.call(PUSHF_IMAGE, t.imm(i.opSize));
    image = b.get(SCRATCH32[0]);
  } else {
    image = b.or(
      b.and(b.get(FLAGS), t.imm(~(RF | VM))),
      t.arithFlags(),
    );
  }
  t.push(i.opSize, image);
}

function popFlags(t: Translator, i: Insn): void {
  const b = t.b;
  const image = t.peek(i.opSize);
  if (t.v86) {
    t.syncFlags();
    const what = i.opSize | (t.stack32 ? 0x100 : 0);
    b.call(POPF, image, t.imm(what), t.imm(t.nextEip));
    t.forgetFlags();
    return;
  }
  let mask = TF | DF | NT;
  if (i.opSize === 4) mask |= AC | ID;
  if ((t.key & KEY_IOPL_OK) !== 0) mask |= IF;
  if (t.cpl === 0) mask |= IOPL_MASK;
  t.setStackPointer(t.stackPointer(i.opSize));
  const old = b.get(FLAGS);
  const flags = b.or(
    b.and(old, t.imm(~mask)),
    b.and(image, t.imm(mask)),
  );
  b.set(FLAGS, flags);
  t.setArithFlags(image);
  t.syncFlags();
  // Seldom: flags that are in the mode key, or IF, for which something may wait.
  b.set(EIP, t.imm(t.nextEip));
  b.callIf(
    b.and(b.xor(old, flags), t.imm(TF | AC | IOPL_MASK | IF)),
    FLAGS_CHANGED,
  );
}

function halt(t: Translator): void {
  if (needLevel0(t)) return;
  t.b.set(EIP, t.imm(t.nextEip));
  t.exit(EXIT_HALT);
}

// Ports.

const CHECK_PORT = define(
  "check_port",
  2,
  { faults: true, writes: [] },
  (cpu) => (port, size) => {
    checkPort(cpu, port, size);
    return 0;
  },
);
const PORT_IN = define(
  "port_in",
  2,
  { reads: [], writes: [] },
  (cpu) => (port, size) => portIn(cpu, port, size),
);
/** Port | size << 16, value, next EIP. What the device raises is taken before the next instruction. */
const PORT_OUT = define(
  "port_out",
  3,
  { faults: true, writes: [] },
  (cpu) => (what, value, next) => {
    portOut(cpu, what & 0xffff, what >> 16, value);
    cpu.leaveIfChanged(cpu.key(), next);
    return 0;
  },
);
const PORT_STRING = define(
  "port_string",
  1,
  { faults: true, writes: GPR },
  (cpu) => (what) => {
    portString(
      cpu,
      (what & 0x10) !== 0,
      what & 15,
      (what & 0x20) !== 0,
      (what & 0x40) !== 0,
      what >> 8,
    );
    return 0;
  },
);

function checkedPort(t: Translator, port: Value, size: number): void {
  if (t.v86 || (t.key & KEY_IOPL_OK) === 0) {
    t.b.call(CHECK_PORT, port, t.imm(size));
  }
}

/** The port of IN and OUT: an immediate or DX. */
function portOf(t: Translator, i: Insn): Value {
  return (i.opcode & 8) !== 0 ? t.reg(2, 2) : t.imm(i.imm & 0xff);
}

/** The width of IN, OUT, INS and OUTS. */
function portSize(i: Insn): number {
  return (i.opcode & 1) === 0 ? 1 : i.opSize;
}

function input(t: Translator, i: Insn): void {
  const size = portSize(i);
  const port = portOf(t, i);
  checkedPort(t, port, size);
  t.setReg(size, 0, t.b.call(PORT_IN, port, t.imm(size)));
}

function output(t: Translator, i: Insn): void {
  const size = portSize(i);
  const port = portOf(t, i);
  checkedPort(t, port, size);
  const what = t.b.or(port, t.imm(size << 16));
  t.syncFlags();
  t.b.call(PORT_OUT, what, t.reg(size, 0), t.imm(t.nextEip));
}

function portStrings(out: boolean): Translate {
  return (t, i) => {
    const wide = i.addrSize === 4;
    const repeated = i.rep !== 0;
    const seg = i.override >= 0 ? i.override : DS;
    const what = portSize(i) | (out ? 0x10 : 0) | (wide ? 0x20 : 0) |
      (repeated ? 0x40 : 0) | (seg << 8);
    t.syncFlags();
    t.b.call(PORT_STRING, t.imm(what));
    if (repeated) t.branch(t.reg(wide ? 4 : 2, 1), t.eip, t.nextEip);
  };
}

// Counters, identification, MSRs.

const RDTSC = define(
  "rdtsc",
  0,
  { faults: true, writes: [GPR[0], GPR[2]] },
  (cpu) => () => {
    if ((cpu.cr4 & CR4_TSD) !== 0 && cpu.cpl !== 0) cpu.gp();
    const v = cpu.readTsc();
    cpu.setReg32(0, v | 0);
    cpu.setReg32(2, Math.floor(v / 0x1_0000_0000) | 0);
    return 0;
  },
);
const CPUID = define(
  "cpuid",
  0,
  { reads: [GPR[0]], writes: GPR.slice(0, 4) },
  (cpu) => () => {
    cpuid(cpu);
    return 0;
  },
);
const RDMSR = define(
  "rdmsr",
  0,
  { faults: true, writes: [GPR[0], GPR[2]] },
  (cpu) => () => {
    readMsr(cpu, cpu.reg32(1));
    return 0;
  },
);
const WRMSR = transfer("wrmsr", 0, (cpu) => {
  writeMsr(cpu, cpu.reg32(1), cpu.reg32(0), cpu.reg32(2));
});
const SYSENTER = transfer("sysenter", 0, sysenter);
const SYSEXIT = transfer("sysexit", 0, sysexit);

/** The functions, by the names that the instruction table uses. */
export const SYSTEM: Readonly<Record<string, Translate>> = {
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
  iret: (t, i) => goWith(t, IRET, t.imm(i.opSize), t.imm(t.nextEip)),
  int: (t, i) => goWith(t, INT, t.imm(i.imm & 0xff), t.imm(t.nextEip)),
  int3: (t) => goWith(t, INT3, t.imm(t.nextEip)),
  int1: (t) => goWith(t, INT1, t.imm(t.nextEip)),
  into: (t) => goWith(t, INTO, t.imm(t.nextEip)),
  bound,
  mov_to_sreg: movToSegment,
  mov_from_sreg: movFromSegment,
  push_sreg: (t, i) => t.push(i.opSize, t.b.get(SELECTOR[opcodeSegment(i)])),
  pop_sreg: (t, i) => popSegment(t, i, opcodeSegment(i)),
  les: loadPointer(ES),
  lds: loadPointer(DS),
  lss: loadPointer(SS),
  lfs: loadPointer(FS),
  lgs: loadPointer(GS),
  lgdt: loadTable(0),
  lidt: loadTable(1),
  sgdt: storeTable(OFF_GDT_LIMIT, OFF_GDT_BASE),
  sidt: storeTable(OFF_IDT_LIMIT, OFF_IDT_BASE),
  lldt: loadSystemSegment(LLDT),
  ltr: loadSystemSegment(LTR),
  sldt: storeSystemSegment(LDTR),
  str: storeSystemSegment(TR),
  lar: query(0),
  lsl: query(1),
  verr: verifySegment(0),
  verw: verifySegment(1),
  arpl,
  smsw: (t, i) => storeWord(t, i, t.b.get(CR[0])),
  lmsw: (t, i) => {
    if (needLevel0(t)) return;
    const v = readSelector(t, i);
    t.syncFlags();
    t.b.call(LMSW, v);
    t.forgetFlags();
    goOn(t);
  },
  clts: (t) => {
    if (needLevel0(t)) return;
    t.syncFlags();
    t.b.call(CLTS, t.imm(t.nextEip));
  },
  invlpg: (t, i) => {
    if (!t.isMemory) return t.ud();
    if (needLevel0(t)) return;
    const b = t.b;
    const base = t.isFlat(i.segment) ? t.imm(0) : b.get(BASE[i.segment]);
    b.call(INVLPG, b.add(base, t.offset(i)));
  },
  invd: (t) => void needLevel0(t),
  wbinvd: (t) => void needLevel0(t),
  mov_to_cr: movToControl,
  mov_from_cr: movFromControl,
  mov_to_dr: movToDebug,
  mov_from_dr: movFromDebug,
  cli,
  sti,
  pushf: pushFlags,
  popf: popFlags,
  hlt: halt,
  in: input,
  out: output,
  ins: portStrings(false),
  outs: portStrings(true),
  rdtsc: (t) => {
    t.syncFlags();
    t.b.call(RDTSC);
  },
  rdmsr: (t) => {
    if (needLevel0(t)) return;
    t.syncFlags();
    t.b.call(RDMSR);
  },
  wrmsr: (t) => {
    if (needLevel0(t)) return;
    t.syncFlags();
    t.b.call(WRMSR);
    t.forgetFlags();
  },
  rdpmc: (t) => t.raise(EXC_GP, 0),
  cpuid: (t) => void t.b.call(CPUID),
  sysenter: (t) => goWith(t, SYSENTER),
  sysexit: (t) => goWith(t, SYSEXIT),
  rsm: (t) => t.ud(),
};
