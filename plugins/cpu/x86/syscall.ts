/**
 * The system calls of IA-32e mode and what their handlers begin with: SYSCALL,
 * SYSRET, SYSENTER, SYSEXIT, SWAPGS, and FS and GS bases (SDM volume 2;
 * volume 3, section 5.8.7).
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { longKey } from "./fast_long_transfers.ts";
import { ATTR_LONG, EFER_SCE, isCanonical } from "./long_mode.ts";
import { setPcHigh } from "./long_transfers.ts";
import { CR4_FSGSBASE } from "./models.ts";
import { ATTR_BIG } from "./segments.ts";
import {
  AC,
  ARITH_FLAGS,
  CC_EFLAGS,
  CS,
  IF,
  KEY_TF,
  OFF_CC_OP,
  OFF_CC_SRC,
  OFF_EFER,
  OFF_EIP,
  OFF_FLAGS,
  OFF_FMASK,
  OFF_GPR,
  OFF_LSTAR,
  OFF_STAR,
  OFF_SYSENTER,
  RF,
  SS,
  TF,
  VM,
} from "./state.ts";

const W_GPR = OFF_GPR >> 2;
const W_RCX = W_GPR + 2;
const W_RDX = W_GPR + 4;
const W_RSP = W_GPR + 8;
const W_R11 = W_GPR + 22;
const W_RIP = OFF_EIP >> 2;
const W_FLAGS = OFF_FLAGS >> 2;
const W_CC_OP = OFF_CC_OP >> 2;
const W_CC_SRC = OFF_CC_SRC >> 2;
const W_EFER = OFF_EFER >> 2;
const W_STAR = OFF_STAR >> 2;
const W_LSTAR = OFF_LSTAR >> 2;
const W_FMASK = OFF_FMASK >> 2;
const W_SYSENTER = OFF_SYSENTER >> 2;

/** Flat segments: present, accessed, 4 GiB; code and data. */
const CODE = 0x809b00, DATA = 0xc09300;
const LEVEL3 = 0x6000;
/** DR6: single step. */
const DR6_BS = 0x4000;
/** What SYSRET takes from R11. */
const SYSRET_FLAGS = 0x3c7fd7;

/** Loads CS and SS with flat segments, `code` being ATTR_LONG or ATTR_BIG. */
function setSegments(
  cpu: X86,
  cs: number,
  ss: number,
  cpl: number,
  code: number,
): void {
  const dpl = cpl === 3 ? LEVEL3 : 0;
  cpu.setSeg(CS, cs & 0xfffc | cpl, 0, -1, CODE | code | dpl);
  cpu.setSeg(SS, ss & 0xfffc | cpl, 0, -1, DATA | dpl);
  cpu.setCpl(cpl);
}

/** Raises #UD unless EFER.SCE is set and the CPU is in 64-bit mode. */
function needSce(cpu: X86): void {
  if (!cpu.long || (cpu.state[W_EFER] & EFER_SCE) === 0) cpu.ud();
}

/** SYSCALL; RIP in the state is that of the following instruction. */
export function syscall(cpu: X86): void {
  needSce(cpu);
  const s = cpu.state;
  const key = cpu.key();
  const flags = cpu.getEflags();
  s[W_RCX] = s[W_RIP];
  s[W_RCX + 1] = s[W_RIP + 1];
  s[W_R11] = flags & ~RF;
  s[W_R11 + 1] = 0;
  s[W_RIP] = s[W_LSTAR];
  s[W_RIP + 1] = s[W_LSTAR + 1];
  const star = s[W_STAR + 1];
  setSegments(cpu, star, star + 8, 0, ATTR_LONG);
  setFlags(cpu, flags & ~s[W_FMASK] & ~RF);
  longKey(cpu, key);
  stepAfter(cpu, key);
}

/**
 * Whether a single step traps behind SYSCALL and SYSRET is said by TF as they
 * leave it: a handler whose FMASK has TF is not entered with a trap, and one
 * that gives TF back has the trap before the next instruction of the program,
 * as if that had stepped over its SYSCALL. `key` is the key before.
 */
function stepAfter(cpu: X86, key: number): void {
  const isSet = (cpu.state[W_FLAGS] & TF) !== 0;
  const wasSet = (key & KEY_TF) !== 0;
  if (isSet && !wasSet) cpu.debugTrap(DR6_BS);
  if (wasSet && !isSet) cpu.suppressStep = true;
}

/** Writes all of EFLAGS but for the key; bit 1 stays set. */
function setFlags(cpu: X86, flags: number): void {
  const s = cpu.state;
  s[W_CC_OP] = CC_EFLAGS;
  s[W_CC_SRC] = flags & ARITH_FLAGS;
  s[W_CC_SRC + 1] = 0;
  s[W_FLAGS] = flags & ~ARITH_FLAGS | 2;
  if ((flags & AC) === 0 || cpu.cpl === 3) cpu.userAccessEnded();
}

/** SYSRET; `wide`: to 64-bit code, else to compatibility mode. */
export function sysret(cpu: X86, wide: boolean): void {
  needSce(cpu);
  if (cpu.cpl !== 0) cpu.gp();
  const s = cpu.state;
  if (wide && !isCanonical(s[W_RCX + 1])) cpu.gp();
  const key = cpu.key();
  const lo = s[W_RCX];
  const hi = wide ? s[W_RCX + 1] : 0;
  const flags = s[W_R11] & SYSRET_FLAGS & ~(RF | VM);
  const star = s[W_STAR + 1] >>> 16;
  if (!wide) leave64(cpu);
  setSegments(
    cpu,
    wide ? star + 16 : star,
    star + 8,
    3,
    wide ? ATTR_LONG : ATTR_BIG,
  );
  s[W_RIP] = lo;
  s[W_RIP + 1] = hi;
  setFlags(cpu, flags);
  if (wide) longKey(cpu, key);
  else cpu.updateKey();
  stepAfter(cpu, key);
  cpu.checkInterrupt();
}

/** Outside 64-bit mode there are no high halves of registers. */
function leave64(cpu: X86): void {
  for (let r = 0; r < 8; r++) cpu.state[W_GPR + 2 * r + 1] = 0;
}

/** SYSENTER in IA-32e mode. */
export function sysenterLong(cpu: X86): void {
  const s = cpu.state;
  const cs = s[W_SYSENTER] & 0xfffc;
  if (cs === 0) cpu.gp();
  cpu.setArithFlags(cpu.arithFlags());
  setSegments(cpu, cs, cs + 8, 0, ATTR_LONG);
  s[W_RSP] = s[W_SYSENTER + 2];
  s[W_RSP + 1] = s[W_SYSENTER + 3];
  s[W_RIP] = s[W_SYSENTER + 4];
  setPcHigh(cpu, true, s[W_SYSENTER + 5]);
  s[W_FLAGS] &= ~(VM | IF | RF);
  cpu.updateKey();
}

/** SYSEXIT in IA-32e mode; `wide`: to 64-bit code. */
export function sysexitLong(cpu: X86, wide: boolean): void {
  const s = cpu.state;
  const cs = s[W_SYSENTER] & 0xfffc;
  if (cs === 0 || cpu.cpl !== 0) cpu.gp();
  if (
    wide && (!isCanonical(s[W_RCX + 1]) || !isCanonical(s[W_RDX + 1]))
  ) cpu.gp();
  const spLo = s[W_RCX], spHi = wide ? s[W_RCX + 1] : 0;
  const lo = s[W_RDX], hi = wide ? s[W_RDX + 1] : 0;
  cpu.setArithFlags(cpu.arithFlags());
  if (!wide && cpu.long) leave64(cpu);
  if (wide) setSegments(cpu, cs + 32, cs + 40, 3, ATTR_LONG);
  else setSegments(cpu, cs + 16, cs + 24, 3, ATTR_BIG);
  s[W_RSP] = spLo;
  s[W_RSP + 1] = spHi;
  s[W_RIP] = lo;
  setPcHigh(cpu, wide, hi);
  cpu.userAccessEnded();
  cpu.updateKey();
}

/** Raises #UD unless CR4.FSGSBASE is set. */
export function needFsgsbase(cpu: X86): void {
  if ((cpu.cr4 & CR4_FSGSBASE) === 0) cpu.ud();
}

/** STAC and CLAC, at level 0, where AC means no alignment checks. */
export function setUserAccess(cpu: X86, allowed: boolean): void {
  if (allowed) {
    cpu.state[W_FLAGS] |= AC;
    cpu.userAccessBegins();
  } else {
    cpu.state[W_FLAGS] &= ~AC;
    cpu.userAccessEnded();
  }
}
