/**
 * System instructions: flags, interrupts, MSRs, and what else asks for privilege.
 * Descriptors, control registers and ports have files of their own.
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
import { sysenter, sysexit } from "./control.ts";
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
import { CR4_TSD } from "./models.ts";
import { readMsr, writeMsr } from "./msr.ts";
import {
  AC,
  CC_DST,
  CC_OP,
  CC_SRC,
  CC_SRC2,
  DF,
  FLAGS,
  GPR,
  ID,
  IF,
  IOPL_MASK,
  KEY_IOPL_OK,
  KEY_TF,
  NT,
  OFF_FLAGS,
  RF,
  SCRATCH32,
  TF,
  VM,
} from "./state.ts";
import { sysenterLong, sysexitLong } from "./syscall.ts";
import type { Translate, Translator } from "./translate.ts";
import { CONTROL_REGISTERS } from "./translate_control_registers.ts";
import { DESCRIPTORS } from "./translate_descriptors.ts";
import { LONG } from "./translate_long.ts";
import { exchangesR8 } from "./translate_move.ts";
import { PORTS } from "./translate_ports.ts";
import {
  goOn,
  goWith,
  lowWord,
  needLevel0,
  next,
  pushWord,
  setNext,
  transfer,
} from "./translate_privilege.ts";
import { TRANSFERS } from "./translate_transfers.ts";

/** Flags as globals: what a helper that writes EFLAGS writes. */
const WRITES_FLAGS = [FLAGS, CC_OP, CC_SRC, CC_DST, CC_SRC2];

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
  // A step's trap ends the halt before it begins (SDM volume 2, HLT).
  t.exit((t.key & KEY_TF) !== 0 ? EXIT_LOOKUP : EXIT_HALT);
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
/** What the local APIC asks for at that, a deadline that has passed, is taken before the next instruction. */
const WRMSR = transfer("wrmsr", 1, (cpu, at) => {
  writeMsr(cpu, cpu.reg32(1), cpu.reg32(0), cpu.reg32(2));
  cpu.leaveIfChanged(cpu.key(), at);
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
  ...DESCRIPTORS,
  ...CONTROL_REGISTERS,
  ...PORTS,
  ...LONG,
  invd: (t) => void needLevel0(t),
  wbinvd: (t) => void needLevel0(t),
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
    t.b.call(WRMSR, next(t));
    t.forgetFlags();
  },
  rdpmc: (t) => t.raise(EXC_GP, 0),
  cpuid: (t) => void t.b.call(CPUID),
  sysenter: (t) => goWith(t, SYSENTER),
  sysexit: (t, i) => goWith(t, SYSEXIT, t.imm(i.opSize === 8 ? 1 : 0)),
  rsm: (t) => t.ud(),
};
