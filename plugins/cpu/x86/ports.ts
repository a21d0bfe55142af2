/**
 * Port I/O: permission, breakpoints and the string forms.
 *
 * @module
 */

import { GUEST_FAULT } from "../../../core/cpu/frontend.ts";
import type { X86 } from "./cpu.ts";
import { matchIo } from "./debug.ts";
import { segmentAddress } from "./segments.ts";
import { DF, ES, KEY_IOPL_OK, KEY_V86, OFF_DR, OFF_FLAGS } from "./state.ts";
import { checkIoMap } from "./tasks.ts";

const W_DR7 = (OFF_DR >> 2) + 14;
const W_FLAGS = OFF_FLAGS >> 2;
/** Elements that one execution of a repeated INS or OUTS moves at most: then interrupts get a chance. */
export const REPEAT_LIMIT = 256;
const PAGE = 4096;

type Width = 1 | 2 | 4;

/**
 * Raises #GP(0) where neither IOPL nor the I/O permission map allows the access.
 * While ports are observed, the instruction may have to be run alone.
 */
export function checkPort(cpu: X86, port: number, size: number): void {
  // In virtual-8086 mode IOPL does not matter: the map decides.
  if ((cpu.key() & (KEY_IOPL_OK | KEY_V86)) !== KEY_IOPL_OK) {
    checkIoMap(cpu, port, size);
  }
  if (cpu.tellsPorts && cpu.engine.defers()) throw GUEST_FAULT;
}

function watch(cpu: X86, port: number, size: number): void {
  if ((cpu.state[W_DR7] & 0xff) === 0) return;
  const hits = matchIo(cpu, port, size);
  if (hits !== 0) cpu.debugTrap(hits);
}

/** IN, allowed: the value, zero-extended. */
export function portIn(cpu: X86, port: number, size: number): number {
  watch(cpu, port, size);
  return cpu.ports.read(port, size as Width) | 0;
}

/** OUT, allowed. */
export function portOut(
  cpu: X86,
  port: number,
  size: number,
  value: number,
): void {
  watch(cpu, port, size);
  const v = size === 4
    ? value >>> 0
    : size === 2
    ? value & 0xffff
    : value & 0xff;
  cpu.ports.write(port, size as Width, v);
}

/** Adds to a register as an address of 64-bit, `wide` (32-bit) or 16-bit size. */
function advance(
  cpu: X86,
  r: number,
  wide: boolean,
  long: boolean,
  by: number,
): void {
  if (long) cpu.addReg64(r, by);
  else if (wide) cpu.setReg32(r, (cpu.reg32(r) + by) | 0);
  else cpu.setReg16(r, cpu.reg16(r) + by);
}

/**
 * Makes sure that a store goes through: what is read from a port must be lost
 * neither to a page fault nor to an instruction that runs again because it
 * stores over translated code.
 */
function prepareStore(cpu: X86, at: number, size: number): void {
  const memory = cpu.mmu;
  const mmu = cpu.dataMmu;
  memory.probe(at, size, 1, mmu);
  const here = Math.min(size, PAGE - (at & (PAGE - 1)));
  memory.directStore(at, here, mmu, -1);
  if (here < size) memory.directStore(at + here, size - here, mmu, -1);
}

/**
 * INS and OUTS, one (`most` 0) or, repeated, up to so many. `wide`: 32-bit addresses; `long` with
 * it: 64-bit ones. Registers are right after each element, so that a fault or an interrupt restarts it.
 */
export function portString(
  cpu: X86,
  out: boolean,
  size: number,
  wide: boolean,
  most: number,
  seg: number,
  long: boolean,
): void {
  const port = cpu.reg16(2);
  // What is not allowed is so with a count of 0, too: on an EPYC and in QEMU.
  checkPort(cpu, port, size);
  const step = (cpu.state[W_FLAGS] & DF) !== 0 ? -size : size;
  const index = out ? 6 : 7;
  const mmu = cpu.dataMmu;
  const memory = cpu.mmu;
  const repeated = most > 0;
  for (let n = 0; n < Math.max(most, 1); n++) {
    if (repeated && (wide ? cpu.reg32(1) : cpu.reg16(1)) === 0) {
      if (!long || cpu.reg64(1) === 0) return;
    }
    checkPort(cpu, port, size);
    // In 64-bit mode offsets of 32 bits are zero-extended.
    const offset = long
      ? cpu.reg64(index)
      : wide
      ? cpu.long ? cpu.reg32(index) >>> 0 : cpu.reg32(index)
      : cpu.reg16(index);
    const at = segmentAddress(cpu, out ? seg : ES, offset, size, !out);
    if (out) {
      const v = size === 1
        ? memory.read8(at, mmu)
        : size === 2
        ? memory.read16(at, mmu)
        : memory.read32(at, mmu);
      portOut(cpu, port, size, v);
    } else {
      prepareStore(cpu, at, size);
      const v = portIn(cpu, port, size);
      if (size === 1) memory.write8(at, v & 0xff, mmu);
      else if (size === 2) memory.write16(at, v & 0xffff, mmu);
      else memory.write32(at, v, mmu);
    }
    advance(cpu, index, wide, long, step);
    if (!repeated) return;
    advance(cpu, 1, wide, long, -1);
  }
}
