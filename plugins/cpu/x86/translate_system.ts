/**
 * System instructions: descriptor tables, control and debug registers, flags,
 * ports, and what else asks for privilege.
 *
 * Most of them are helpers. Those that may change the static mode key end
 * their block (`jumpState`), or where they seldom do (loading a data segment,
 * POPF), leave it by `cpu.leaveIfChanged` only if it did change or an event is
 * due.
 *
 * @module
 */

import { EXIT_HALT } from "../../../core/cpu/frontend.ts";
import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import {
  clearTs,
  loadMsw,
  readCr8,
  readDebug,
  sysenter,
  sysexit,
  writeControl,
  writeDebug,
} from "./control.ts";
import { cpuid } from "./cpuid.ts";
import type { Insn } from "./decode.ts";
import { EXC_GP } from "./exceptions.ts";
import { define } from "./helpers.ts";
import { NO_INTERRUPT } from "./integer_kernel.ts";
import {
  checkPopf,
  popf,
  pushfImage,
  virtualCli,
  virtualSti,
} from "./interrupts.ts";
import { addressAt, isCanonical } from "./long_mode.ts";
import { CR4_TSD } from "./models.ts";
import { readMsr, writeMsr } from "./msr.ts";
import {
  checkPort,
  portIn,
  portOut,
  portString,
  REPEAT_LIMIT,
} from "./ports.ts";
import {
  limitOf,
  loadLdt,
  loadTr,
  queryDescriptor,
  verify,
} from "./segments.ts";
import { sysenterLong, sysexitLong } from "./syscall.ts";
import {
  AC,
  BASE,
  BASE64,
  CC_DST,
  CC_OP,
  CC_SRC,
  CC_SRC2,
  CR,
  CR64,
  DF,
  DS,
  FLAGS,
  FS,
  GPR,
  GPR64,
  GS,
  ID,
  IF,
  IOPL_MASK,
  KEY_IOPL_OK,
  LDTR,
  NT,
  OFF_FLAGS,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  RF,
  SCRATCH,
  SCRATCH32,
  SELECTOR,
  TF,
  TR,
  VM,
  ZF,
} from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import { exchangesR8 } from "./translate_move.ts";
import {
  checkUmip,
  goOn,
  goWith,
  highWord,
  lowWord,
  needLevel0,
  needProtected,
  next,
  pushWord,
  setNext,
  transfer,
  zeroExtended,
} from "./translate_privilege.ts";
import { LONG } from "./translate_long.ts";
import { TRANSFERS } from "./translate_transfers.ts";

const LD16 = Op["ld16u"], LD64 = Op["ld64"];
const ST16 = Op["st16"], ST32 = Op["st32"], ST64 = Op["st64"];
/** Flags as globals: what a helper that writes EFLAGS writes. */
const WRITES_FLAGS = [FLAGS, CC_OP, CC_SRC, CC_DST, CC_SRC2];
// Descriptor tables.

const SET_TABLE = define("set_table", 3, { writes: [] }, (cpu) => {
  return (which, limit, base) => {
    const idt = which !== 0;
    cpu.state[(idt ? OFF_IDT_BASE : OFF_GDT_BASE) >> 2] = base;
    cpu.state[((idt ? OFF_IDT_BASE : OFF_GDT_BASE) >> 2) + 1] = 0;
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

/** The same with a base of 64 bits in the scratch: #GP(0) if it is not canonical. */
const SET_TABLE_LONG = define(
  "set_table_long",
  2,
  { faults: true, reads: [SCRATCH[0]], writes: [] },
  (cpu) => (which, limit) => {
    const s = cpu.state;
    const at = SCRATCH[0].offset >> 2;
    if (!isCanonical(s[at + 1])) cpu.gp();
    const base = (which !== 0 ? OFF_IDT_BASE : OFF_GDT_BASE) >> 2;
    s[base] = s[at];
    s[base + 1] = s[at + 1];
    s[(which !== 0 ? OFF_IDT_LIMIT : OFF_GDT_LIMIT) >> 2] = limit & 0xffff;
    return 0;
  },
);

function loadTable(which: number): Translate {
  return (t, i) => {
    if (!t.isMemory) return t.ud();
    if (needLevel0(t)) return;
    const b = t.b;
    if (t.long) {
      const at = t.ea(i, 10, false);
      const limit = t.loadLinear(2, at);
      b.set(SCRATCH[0], b.load(LD64, at, 2, t.mmu));
      b.call(SET_TABLE_LONG, t.imm(which), limit);
      return;
    }
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
    checkUmip(t);
    const b = t.b;
    const at = t.ea(i, t.long ? 10 : 6, true);
    // A word, and an aligned double word behind it (SDM volume 3, 3.5.1).
    t.checkAligned(b.add(at, b.like(at, 2)), 4);
    b.store(ST16, at, 0, b.call(GET_TABLE, t.imm(limitAt)), t.mmu);
    const lo = b.call(GET_TABLE, t.imm(baseAt));
    if (!t.long) return b.store(ST32, at, 2, lo, t.mmu);
    const hi = b.call(GET_TABLE, t.imm(baseAt + 4));
    const base = b.op(
      Op["i64.or"],
      zeroExtended(t, lo),
      b.op(Op["i64.shl"], zeroExtended(t, hi), b.i64(32)),
    );
    b.store(ST64, at, 2, base, t.mmu);
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
    checkUmip(t);
    storeWord(t, i, t.b.get(SELECTOR[seg]));
  };
}

/** A 16-bit result: to memory as 16 bits, to a register zero-extended. */
function storeWord(t: Translator, i: Insn, v: Value): void {
  if (t.isMemory) t.store(ST16, i, v);
  else t.setReg(Math.min(i.opSize, 4), i.rm, v);
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
    const found = b.get(SCRATCH32[1]);
    if (t.long && i.opSize !== 2) {
      // All of the register stays if nothing is found.
      const v = zeroExtended(t, b.get(SCRATCH32[0]));
      const old = t.reg(8, i.reg);
      t.setReg(8, i.reg, b.op(Op["i64.select"], v, old, found));
      return;
    }
    const old = t.reg(i.opSize, i.reg);
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

const SET_CONTROL = transfer("set_control", 3, writeControl);
/** CR8. */
const GET_CR8 = define(
  "get_cr8",
  0,
  { reads: [], writes: [] },
  (cpu) => () => readCr8(cpu),
);
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
const SET_DEBUG = transfer("set_debug", 3, writeDebug);
const GET_DEBUG = transfer("get_debug", 1, (cpu, n) => {
  const s = cpu.state;
  const from = readDebug(cpu, n);
  const at = SCRATCH[0].offset >> 2;
  s[at] = s[from];
  s[at + 1] = s[from + 1];
});
const INVLPG = define("invlpg", 1, { reads: [], writes: [] }, (cpu) => {
  return (address) => {
    cpu.engine.mmu.flushPage(cpu.lma ? address >>> 0 : address);
    return 0;
  };
});
/** The same for an address in the scratch; nothing for one that is not canonical. */
const INVLPG_LONG = define(
  "invlpg_long",
  0,
  { reads: [SCRATCH[0]], writes: [] },
  (cpu) => () => {
    const at = SCRATCH[0].offset >> 2;
    if (!isCanonical(cpu.state[at + 1])) return 0;
    cpu.engine.mmu.flushPage(addressAt(cpu.state, at));
    return 0;
  },
);

/** Whether there is no such control register in this mode. */
function isNoControl(t: Translator, n: number): boolean {
  return n === 1 || n > 4 && !(n === 8 && t.long);
}

/** MOV to and from control and debug registers has all bits of a register. */
function fullReg(t: Translator, r: number): Value {
  return t.reg(t.long ? 8 : 4, r);
}

function movToControl(t: Translator, i: Insn): void {
  if (isNoControl(t, i.reg)) return t.ud();
  if (needLevel0(t)) return;
  const v = fullReg(t, i.rm);
  t.syncFlags();
  t.b.call(SET_CONTROL, t.imm(i.reg), lowWord(t, v), highWord(t, v));
  t.forgetFlags();
  goOn(t);
}

function movFromControl(t: Translator, i: Insn): void {
  if (isNoControl(t, i.reg)) return t.ud();
  if (needLevel0(t)) return;
  const b = t.b;
  if (!t.long) return t.setReg(4, i.rm, b.get(CR[i.reg]));
  t.setReg(8, i.rm, control64(t, i.reg));
}

/** A control register in 64-bit mode. */
function control64(t: Translator, n: number): Value {
  if (n === 2 || n === 3) return t.b.get(CR64[n]);
  return zeroExtended(t, n === 8 ? t.b.call(GET_CR8) : t.b.get(CR[n]));
}

function movToDebug(t: Translator, i: Insn): void {
  if (i.reg > 7) return t.ud();
  if (needLevel0(t)) return;
  const v = fullReg(t, i.rm);
  t.syncFlags();
  t.b.call(SET_DEBUG, t.imm(i.reg), lowWord(t, v), highWord(t, v));
  t.forgetFlags();
  goOn(t);
}

function movFromDebug(t: Translator, i: Insn): void {
  if (i.reg > 7) return t.ud();
  if (needLevel0(t)) return;
  t.syncFlags();
  t.b.call(GET_DEBUG, t.imm(i.reg));
  t.forgetFlags();
  const v = t.b.get(SCRATCH[0]);
  if (t.long) t.setReg(8, i.rm, v);
  else t.setReg(4, i.rm, lowWord(t, v));
}

// Flags and interrupts.

const CHECK_INTERRUPT = define(
  "check_interrupt",
  0,
  { reads: [FLAGS], writes: [], native: NO_INTERRUPT },
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
    if ((cpu.state[OFF_FLAGS >> 2] & AC) === 0) cpu.userAccessEnded();
    cpu.updateKey();
    cpu.leaveIfChanged(key, cpu.eip);
    return 0;
  },
);
/** IF has been set: an interrupt that waits is taken before the next instruction. */
const INTERRUPTS_OPEN = define(
  "interrupts_open",
  0,
  { faults: true, writes: [], native: NO_INTERRUPT },
  (cpu) => () => {
    cpu.leaveIfChanged(cpu.key(), cpu.eip);
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
  pushWord(t, i.opSize, image);
}

function popFlags(t: Translator, i: Insn): void {
  const b = t.b;
  const image = lowWord(t, t.peek(i.opSize));
  if (t.v86) {
    t.syncFlags();
    const what = i.opSize | (t.stack32 ? 0x100 : 0);
    b.call(POPF, image, t.imm(what), t.pc(t.nextEip));
    t.forgetFlags();
    return;
  }
  let mask = TF | DF | NT;
  if (i.opSize >= 4) mask |= AC | ID;
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
  setNext(t);
  const changed = b.xor(old, flags);
  // Seldom: flags that are in the mode key.
  b.callIf(b.and(changed, t.imm(TF | AC | IOPL_MASK)), FLAGS_CHANGED);
  // Often, in a kernel: IF, for which something may wait.
  b.callIf(b.and(b.and(changed, flags), t.imm(IF)), INTERRUPTS_OPEN);
}

function halt(t: Translator): void {
  if (needLevel0(t)) return;
  setNext(t);
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
  { faults: true, writes: [...GPR, ...GPR64] },
  (cpu) => (what) => {
    portString(
      cpu,
      (what & 0x10) !== 0,
      what & 15,
      (what & 0x20) !== 0,
      (what & 0x40) === 0 ? 0 : (what & 0x800) === 0 ? REPEAT_LIMIT : 1,
      (what >> 8) & 7,
      (what & 0x80) !== 0,
    );
    return 0;
  },
);

function checkedPort(t: Translator, port: Value, size: number): void {
  if (t.v86 || (t.key & KEY_IOPL_OK) === 0 || t.tellsPorts) {
    t.b.call(CHECK_PORT, port, t.imm(size));
  }
}

/** The port of IN and OUT: an immediate or DX. */
function portOf(t: Translator, i: Insn): Value {
  return (i.opcode & 8) !== 0 ? t.reg(2, 2) : t.imm(i.imm & 0xff);
}

/** The width of IN, OUT, INS and OUTS. */
function portSize(i: Insn): number {
  return (i.opcode & 1) === 0 ? 1 : Math.min(i.opSize, 4);
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
  t.b.call(PORT_OUT, what, t.reg(size, 0), next(t));
}

function portStrings(out: boolean): Translate {
  return (t, i) => {
    const wide = i.addrSize >= 4;
    const repeated = i.rep !== 0;
    const seg = i.override >= 0 ? i.override : DS;
    const what = portSize(i) | (out ? 0x10 : 0) | (wide ? 0x20 : 0) |
      (repeated ? 0x40 : 0) | (i.addrSize === 8 ? 0x80 : 0) | (seg << 8) |
      (t.isSingleElement ? 0x800 : 0);
    if (repeated) t.elements = REPEAT_LIMIT;
    t.syncFlags();
    t.b.call(PORT_STRING, t.imm(what));
    if (!repeated) return;
    const count = t.reg(wide ? i.addrSize : 2, 1);
    const more = i.addrSize === 8
      ? t.b.op(Op["i64.ne"], count, t.b.i64(0))
      : count;
    t.branch(more, t.eip, t.nextEip);
  };
}

const PAUSE = define(
  "pause",
  0,
  { reads: [], writes: [] },
  (cpu) => () => {
    cpu.engine.requestStop();
    return 0;
  },
);

// Counters, identification, MSRs.

const RDTSC = define(
  "rdtsc",
  0,
  { faults: true, writes: [GPR[0], GPR[2]] },
  (cpu) => () => {
    if ((cpu.cr4 & CR4_TSD) !== 0 && cpu.cpl !== 0) cpu.gp();
    const v = cpu.tsc.read();
    cpu.setReg32(0, v | 0);
    cpu.setReg32(2, Math.floor(v / 0x1_0000_0000) | 0);
    return 0;
  },
);
const CPUID = define(
  "cpuid",
  0,
  { reads: GPR.slice(0, 2), writes: GPR.slice(0, 4) },
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
const SYSENTER = transfer("sysenter", 0, (cpu) => {
  if (cpu.lma) sysenterLong(cpu);
  else sysenter(cpu);
});
const SYSEXIT = transfer("sysexit", 1, (cpu, wide) => {
  if (cpu.lma) sysexitLong(cpu, wide !== 0);
  else sysexit(cpu);
});

/** The functions, by the names that the instruction table uses. */
export const SYSTEM: Readonly<Record<string, Translate>> = {
  ...TRANSFERS,
  ...LONG,
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
  smsw: (t, i) => {
    checkUmip(t);
    storeWord(t, i, t.b.get(CR[0]));
  },
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
    t.b.call(CLTS, next(t));
  },
  invlpg: (t, i) => {
    if (!t.isMemory) return t.ud();
    if (needLevel0(t)) return;
    const b = t.b;
    const { segment } = i;
    const offset = t.offset(i);
    if (t.long) {
      const address = segment === FS || segment === GS
        ? b.op(Op["i64.add"], b.get(BASE64[segment]), offset)
        : offset;
      b.set(SCRATCH[0], address);
      b.call(INVLPG_LONG);
    } else {
      const base = t.isFlat(segment) ? t.imm(0) : b.get(BASE[segment]);
      b.call(INVLPG, b.add(base, offset));
    }
    // The page may be the one that this code is on.
    goOn(t);
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
  pause: (t, i) => {
    if (exchangesR8(t, i)) return;
    if (!t.yields) return;
    t.b.call(PAUSE);
    // What follows may be what another CPU waits for.
    goOn(t);
  },
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
  sysexit: (t, i) => goWith(t, SYSEXIT, t.imm(i.opSize === 8 ? 1 : 0)),
  rsm: (t) => t.ud(),
};
