/**
 * The checks that far transfers of all modes share (SDM volume 3, section 5.8).
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { EXC_GP, EXC_NP } from "./exceptions.ts";
import { ATTR_LONG } from "./long_mode.ts";
import {
  ATTR_BIG,
  ATTR_CD,
  ATTR_CODE,
  ATTR_P,
  ATTR_S,
  type Descriptor,
  dplOf,
  needDescriptor,
} from "./segments.ts";
import { FS, OFF_SEG, SEG_ATTR, SEG_LIMIT, SEG_SELECTOR } from "./state.ts";

/** Checks a code segment as the target of a far jump or call without a gate. */
export function checkDirectCode(
  cpu: X86,
  selector: number,
  d: Descriptor,
): void {
  const error = selector & 0xfffc;
  const dpl = dplOf(d.hi);
  if ((d.hi & ATTR_CD) !== 0) {
    if (dpl > cpu.cpl) cpu.gp(error);
  } else if ((selector & 3) > cpu.cpl || dpl !== cpu.cpl) cpu.gp(error);
  checkCodeSize(cpu, selector, d);
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, error);
}

/** Raises #GP with the selector for code that IA-32e mode has not: with both L and D. */
function checkCodeSize(cpu: X86, selector: number, d: Descriptor): void {
  const both = ATTR_LONG | ATTR_BIG;
  if ((d.hi & both) === both && cpu.lma) cpu.gp(selector & 0xfffc);
}

/** Checks the code segment that a far return or IRET goes back to. */
export function checkReturnCode(cpu: X86, cs: number): Descriptor {
  if ((cs & 0xfffc) === 0) cpu.gp(0);
  const error = cs & 0xfffc;
  const d = needDescriptor(cpu, cs, EXC_GP, 0);
  const rpl = cs & 3;
  if ((d.hi & (ATTR_S | ATTR_CODE)) !== (ATTR_S | ATTR_CODE)) cpu.gp(error);
  if (rpl < cpu.cpl) cpu.gp(error);
  checkCodeSize(cpu, cs, d);
  const dpl = dplOf(d.hi);
  if ((d.hi & ATTR_CD) !== 0 ? dpl > rpl : dpl !== rpl) cpu.gp(error);
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, error);
  return d;
}

/**
 * Empties a data segment register that the outer level `cpl` may not have. The
 * base stays, which 64-bit code sees in FS and GS (so does a Coffee Lake: Bin Meng
 * on qemu-devel, 13 November 2020).
 */
export function dropInaccessible(cpu: X86, seg: number, cpl: number): void {
  const attr = cpu.segAttr(seg);
  if ((attr & (ATTR_CODE | ATTR_CD)) === (ATTR_CODE | ATTR_CD)) return;
  // In IA-32e mode FS and GS without a descriptor have their base from an MSR:
  // only the RPL goes (SDM volume 2, IRET; the same on an EPYC).
  if (seg >= FS && (cpu.selector(seg) & 0xfffc) === 0 && cpu.lma) {
    cpu.state[(OFF_SEG + 32 * seg + SEG_SELECTOR) >> 2] = 0;
    return;
  }
  if (dplOf(attr) >= cpl) return;
  const w = (OFF_SEG + 32 * seg) >> 2;
  cpu.state[w + (SEG_SELECTOR >> 2)] = 0;
  cpu.state[w + (SEG_LIMIT >> 2)] = 0;
  cpu.state[w + (SEG_ATTR >> 2)] = 0;
}
