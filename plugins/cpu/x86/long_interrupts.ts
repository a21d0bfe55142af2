/**
 * Entry to handlers in IA-32e mode: gates of 16 bytes to 64-bit code, the
 * stacks of the TSS (SDM volume 3, section 6.14).
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { EXC_GP, EXC_NP } from "./exceptions.ts";
import { ATTR_LONG, highWord, isCanonical } from "./long_mode.ts";
import {
  enterCode,
  innerStackLong,
  presentFlat,
  tssStackLong,
} from "./long_transfers.ts";
import {
  ATTR_BIG,
  ATTR_CD,
  ATTR_CODE,
  ATTR_P,
  ATTR_S,
  dplOf,
  needDescriptor,
  TYPE_INTERRUPT32,
  TYPE_TRAP32,
} from "./segments.ts";
import {
  CS,
  IF,
  NT,
  OFF_GPR,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  RF,
  SS,
  TF,
  VM,
} from "./state.ts";

const W_RSP = (OFF_GPR >> 2) + 8;
const W_IDT_BASE = OFF_IDT_BASE >> 2;
const W_IDT_LIMIT = OFF_IDT_LIMIT >> 2;
/** IST1 in a TSS of IA-32e mode (SDM volume 3, figure 8-11). */
const TSS_IST = 36;
const FROM_INT = 2;

/**
 * Enters the handler of `vector`: see `enterHandler`. `next` is the program
 * counter to come back to.
 */
export function enterLong(
  cpu: X86,
  vector: number,
  source: 0 | 1 | 2,
  next: number,
  error: number,
  resume: boolean,
): void {
  const ext = source === FROM_INT ? 0 : 1;
  const at = vector * 16;
  const gateError = vector * 8 | 2 | ext;
  if (at + 15 > (cpu.state[W_IDT_LIMIT] >>> 0)) cpu.gp(gateError);
  const address = cpu.tableAddress(cpu.tableBase(W_IDT_BASE) + at);
  const gateLo = cpu.tables.read32(address, 0);
  const gateHi = cpu.tables.read32(cpu.tableAddress(address + 4), 0);
  const ripHi = cpu.tables.read32(cpu.tableAddress(address + 8), 0);
  const type = (gateHi >> 8) & 31;
  if (type !== TYPE_INTERRUPT32 && type !== TYPE_TRAP32) cpu.gp(gateError);
  if (source === FROM_INT && dplOf(gateHi) < cpu.cpl) cpu.gp(gateError);
  if ((gateHi & ATTR_P) === 0) cpu.raise(EXC_NP, gateError);

  const selector = gateLo >>> 16;
  if ((selector & 0xfffc) === 0) cpu.gp(ext);
  const code = selector & 0xfffc | ext;
  const d = needDescriptor(cpu, selector, EXC_GP, ext);
  const dpl = dplOf(d.hi);
  if (
    (d.hi & (ATTR_S | ATTR_CODE)) !== (ATTR_S | ATTR_CODE) || dpl > cpu.cpl ||
    (d.hi & (ATTR_LONG | ATTR_BIG)) !== ATTR_LONG
  ) cpu.gp(code);
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, code);
  const inner = (d.hi & ATTR_CD) === 0 && dpl < cpu.cpl;
  const cpl = inner ? dpl : cpu.cpl;

  const ist = istOf(gateHi);
  const stack = ist !== 0
    ? tssStackLong(cpu, TSS_IST + 8 * (ist - 1), cpl, ext)
    : inner
    ? innerStackLong(cpu, cpl, ext)
    : presentFlat(cpu);
  stack.error = ext;
  if (!isCanonical(ripHi)) cpu.gp(ext);
  const pc = cpu.long ? next : next >>> 0;
  const s = cpu.state;
  stack.rsp -= ((stack.rsp % 16) + 16) % 16;
  stack.push(8, cpu.selector(SS));
  stack.push(8, s[W_RSP], cpu.long ? s[W_RSP + 1] : 0);
  stack.push(8, resume ? cpu.getEflags() | RF : cpu.getEflags());
  stack.push(8, cpu.selector(CS));
  stack.push(8, pc | 0, highWord(pc));
  if (error !== -1) stack.push(8, error);
  enterCode(
    cpu,
    selector,
    d,
    cpl,
    gateLo & 0xffff | gateHi & 0xffff0000,
    ripHi,
  );
  if (inner) cpu.setSeg(SS, cpl, 0, 0, cpl << 13);
  stack.commit();
  cpu.setEflags(0, TF | NT | RF | VM | ((type & 1) === 0 ? IF : 0));
  cpu.updateKey();
}

/** The number of the interrupt stack that a gate asks for, or 0. */
function istOf(gateHi: number): number {
  return gateHi & 7;
}
