/**
 * XSAVE, its variants, XRSTOR and XCR0 (SDM volume 1, chapter 13).
 *
 * The components are x87 (bit 0), SSE (1) and AVX (2): the upper halves of the
 * YMM registers. The area begins as an FXSAVE area, a header of 64 bytes and
 * the AVX component follow; that is where the compacted format has it as well,
 * there being nothing before it.
 *
 * @module
 */

import { ACCESS_READ, ACCESS_WRITE } from "../../../core/cpu/frontend.ts";
import type { X86 } from "./cpu.ts";
import { EXC_NM } from "./exceptions.ts";
import { CR4_OSXSAVE } from "./models.ts";
import {
  KEY_LONG,
  OFF_FCW,
  OFF_FIP,
  OFF_FOP,
  OFF_FPR,
  OFF_FSW,
  OFF_FTAG,
  OFF_FTOP,
  OFF_MXCSR,
  OFF_XCR0,
  OFF_XMM,
  OFF_XSS,
  OFF_YMMH,
} from "./state.ts";
import { FXSAVE_SIZE, x87Of } from "./x87_images.ts";

/** State components, as bits. */
const X87 = 1, SSE = 2, AVX = 4;
/** What an area is aligned to, in bytes. */
const AREA_ALIGNMENT = 64;
/** Bytes of the legacy region and the header. */
const HEADER_END = FXSAVE_SIZE + 64;
/** Bytes of the AVX component: 16 registers. */
const AVX_BYTES = 256;
const AREA_BYTES = HEADER_END + AVX_BYTES;
/** Words of the area: the registers of the SSE component; the header; the AVX component. */
const A_XMM = 40, A_HEADER = FXSAVE_SIZE >> 2, A_AVX = HEADER_END >> 2;
/** Words of the mode's registers: outside 64-bit mode there are eight, and those of the others in memory are left alone. */
const registers = (cpu: X86): number => (cpu.key() & KEY_LONG) !== 0 ? 64 : 32;

const W_XCR0 = OFF_XCR0 >> 2,
  W_XSS = OFF_XSS >> 2,
  W_MXCSR = OFF_MXCSR >> 2,
  W_XMM = OFF_XMM >> 2,
  W_YMMH = OFF_YMMH >> 2;
const MXCSR_INITIAL = 0x1f80;
const CR0_TS = 8;

/** How the area is written. */
export const XSAVE = 0, XSAVEOPT = 1, XSAVEC = 2, XSAVES = 3;

/** #UD unless CR4.OSXSAVE is set. */
function needXsave(cpu: X86): void {
  if ((cpu.cr4 & CR4_OSXSAVE) === 0) cpu.ud();
}

/** Whether any of these words of the state is not 0. */
function isAny(s: Int32Array, from: number, count: number): boolean {
  for (let k = 0; k < count; k++) if (s[from + k] !== 0) return true;
  return false;
}

/** XINUSE: the components that are not in their initial state. */
export function inUse(cpu: X86): number {
  const s = cpu.state;
  let bits = 0;
  if (
    s[OFF_FCW >> 2] !== 0x37f ||
    (s[OFF_FSW >> 2] | s[OFF_FTOP >> 2] | s[OFF_FTAG >> 2]) !== 0 ||
    isAny(s, OFF_FPR >> 2, 32) || s[OFF_FOP >> 2] !== 0 ||
    isAny(s, OFF_FIP >> 2, 8)
  ) bits |= X87;
  if (isAny(s, W_XMM, registers(cpu))) bits |= SSE;
  if (isAny(s, W_YMMH, registers(cpu))) bits |= AVX;
  return bits;
}

/** XGETBV: the extended control register of that number, low word; the high one is 0. */
export function xgetbv(cpu: X86, n: number): number {
  needXsave(cpu);
  if (n === 0) return cpu.state[W_XCR0];
  if (n !== 1 || !cpu.model.features.has("xgetbv1")) cpu.gp();
  return cpu.state[W_XCR0] & inUse(cpu);
}

/** XSETBV. */
export function xsetbv(cpu: X86, n: number, lo: number, hi: number): void {
  needXsave(cpu);
  const bad = (lo & ~cpu.model.xcr0Mask) | hi;
  if (cpu.cpl !== 0 || n !== 0 || bad !== 0) cpu.gp();
  if ((lo & X87) === 0 || (lo & (SSE | AVX)) === AVX) cpu.gp();
  cpu.state[W_XCR0] = lo;
  cpu.updateKey();
}

/** CPUID leaf 0Dh: EAX, EBX, ECX, EDX. */
export function xsaveLeaf(
  cpu: X86,
  subleaf: number,
): [number, number, number, number] {
  const { xcr0Mask: mask, leafD1Eax } = cpu.model;
  if (mask === 0) return [0, 0, 0, 0];
  const size = (components: number): number =>
    (components & AVX) !== 0 ? AREA_BYTES : HEADER_END;
  const now = size(cpu.state[W_XCR0]);
  switch (subleaf) {
    case 0:
      return [mask, now, size(mask), 0];
    case 1:
      return [leafD1Eax, (leafD1Eax & 2) !== 0 ? now : 0, 0, 0];
    case 2:
      return (mask & AVX) !== 0 ? [AVX_BYTES, HEADER_END, 0, 0] : [0, 0, 0, 0];
  }
  return [0, 0, 0, 0];
}

/** The area of one CPU: composed and taken apart here, so that faults come first. */
class Area {
  readonly #cpu: X86;
  readonly #a = new Int32Array(AREA_BYTES >> 2);

  constructor(cpu: X86) {
    this.#cpu = cpu;
  }

  /** Checks that all of these instructions make; gives back the components asked for. */
  #begin(address: number, allowed: number): number {
    const cpu = this.#cpu;
    needXsave(cpu);
    if ((cpu.cr0 & CR0_TS) !== 0) cpu.raise(EXC_NM);
    if (address % AREA_ALIGNMENT !== 0) cpu.gp();
    return cpu.reg32(0) & allowed;
  }

  /** Host word of the area if it lies in one page of plain memory, else -1. */
  #host(address: number, write: boolean, mmu: number): number {
    if (((address % 4096) + 4096) % 4096 > 0x1000 - AREA_BYTES) return -1;
    const access = write ? ACCESS_WRITE : ACCESS_READ;
    const host = this.#cpu.engine.mmu.direct(address, access, mmu);
    return host < 0 ? -1 : host >>> 2;
  }

  /** Writes words of the area from `from` on. */
  #put(
    address: number,
    host: number,
    from: number,
    count: number,
    mmu: number,
  ): void {
    const { engine } = this.#cpu, a = this.#a;
    for (let k = from; k < from + count; k++) {
      if (host >= 0) engine.i32[host + k] = a[k];
      else engine.mmu.write32(address + 4 * k, a[k], mmu);
    }
  }

  /** Reads words of the area from `from` on. */
  #get(
    address: number,
    host: number,
    from: number,
    count: number,
    mmu: number,
  ): void {
    const { engine } = this.#cpu, a = this.#a;
    for (let k = from; k < from + count; k++) {
      a[k] = host >= 0
        ? engine.i32[host + k]
        : engine.mmu.read32(address + 4 * k, mmu);
    }
  }

  /** XSAVE and its variants; `how` is one of their constants. */
  save(address: number, how: number, mmu: number): void {
    const cpu = this.#cpu, s = cpu.state, a = this.#a;
    const words = registers(cpu);
    const allowed = how === XSAVES ? s[W_XCR0] | s[W_XSS] : s[W_XCR0];
    const wanted = this.#begin(address, allowed);
    if (how === XSAVES && cpu.cpl !== 0) cpu.gp();
    const compact = how >= XSAVEC;
    const bytes = (wanted & AVX) !== 0 ? HEADER_END + 4 * words : HEADER_END;
    // Part by part: see the same in x87_images.ts.
    cpu.engine.mmu.probe(address, AREA_ALIGNMENT, ACCESS_WRITE, mmu);
    cpu.engine.mmu.probe(address, bytes, ACCESS_WRITE, mmu);
    const host = this.#host(address, true, mmu);
    const used = inUse(cpu);
    let written = how === XSAVE ? wanted : wanted & used;
    let present = wanted & used;
    if (compact && s[W_MXCSR] !== MXCSR_INITIAL) {
      written |= wanted & SSE;
      present |= wanted & SSE;
    }
    const unit = x87Of(cpu).ready();
    if ((written & X87) !== 0) {
      unit.packX87(a);
      this.#put(address, host, 0, 6, mmu);
      this.#put(address, host, 8, 32, mmu);
    }
    const control = compact ? written & SSE : wanted & (SSE | AVX);
    if (control !== 0) {
      unit.packMxcsr(a);
      this.#put(address, host, 6, 2, mmu);
    }
    if ((written & SSE) !== 0) {
      for (let k = 0; k < words; k++) a[A_XMM + k] = s[W_XMM + k];
      this.#put(address, host, A_XMM, words, mmu);
    }
    if ((written & AVX) !== 0) {
      for (let k = 0; k < words; k++) a[A_AVX + k] = s[W_YMMH + k];
      this.#put(address, host, A_AVX, words, mmu);
    }
    if (compact) {
      a[A_HEADER] = present;
      a[A_HEADER + 1] = 0;
      a[A_HEADER + 2] = wanted;
      a[A_HEADER + 3] = 1 << 31;
      this.#put(address, host, A_HEADER, 4, mmu);
    } else {
      // The bits of other components stay.
      this.#get(address, host, A_HEADER, 1, mmu);
      a[A_HEADER] = a[A_HEADER] & ~wanted | present;
      this.#put(address, host, A_HEADER, 1, mmu);
    }
  }

  /** #GP(0) unless the header is one of the two formats; gives back whether it is the compacted one. */
  #checkHeader(allowed: number, onlyCompact: boolean): boolean {
    const cpu = this.#cpu, a = this.#a, h = A_HEADER;
    const compact = a[h + 3] < 0;
    if (!compact) {
      if (onlyCompact) cpu.gp();
      if ((a[h] & ~allowed | a[h + 1] | a[h + 2] | a[h + 3]) !== 0) cpu.gp();
      if ((a[h + 4] | a[h + 5]) !== 0) cpu.gp();
      return false;
    }
    if ((a[h + 2] & ~allowed | a[h + 3] & 0x7fffffff) !== 0) cpu.gp();
    if ((a[h] & ~a[h + 2] | a[h + 1]) !== 0) cpu.gp();
    if (isAny(a, h + 4, 12)) cpu.gp();
    return true;
  }

  /** XRSTOR, XRSTORS. */
  restore(address: number, supervisor: boolean, mmu: number): void {
    const cpu = this.#cpu, s = cpu.state, a = this.#a;
    const words = registers(cpu);
    const allowed = supervisor ? s[W_XCR0] | s[W_XSS] : s[W_XCR0];
    const wanted = this.#begin(address, allowed);
    if (supervisor && cpu.cpl !== 0) cpu.gp();
    const host = this.#host(address, false, mmu);
    cpu.engine.mmu.probe(address, AREA_ALIGNMENT, ACCESS_READ, mmu);
    cpu.engine.mmu.probe(address, HEADER_END, ACCESS_READ, mmu);
    this.#get(address, host, 0, HEADER_END >> 2, mmu);
    const compact = this.#checkHeader(allowed, supervisor);
    const present = a[A_HEADER] & wanted;
    if ((present & AVX) !== 0) {
      this.#get(address, host, A_AVX, words, mmu);
    }
    const control = compact ? present & SSE : wanted & (SSE | AVX);
    if (control !== 0) {
      if ((a[6] & ~cpu.model.mxcsrMask) !== 0) cpu.gp();
      s[W_MXCSR] = a[6];
    } else if ((wanted & SSE) !== 0) s[W_MXCSR] = MXCSR_INITIAL;
    if ((wanted & X87) !== 0) {
      const unit = x87Of(cpu).ready();
      if ((present & X87) === 0) {
        a.fill(0, 0, 6);
        a.fill(0, 8, A_XMM);
        a[0] = 0x37f;
      }
      unit.unpackX87(a);
    }
    for (let k = 0; k < words; k++) {
      if ((wanted & SSE) !== 0) {
        s[W_XMM + k] = (present & SSE) !== 0 ? a[A_XMM + k] : 0;
      }
      if ((wanted & AVX) !== 0) {
        s[W_YMMH + k] = (present & AVX) !== 0 ? a[A_AVX + k] : 0;
      }
    }
    cpu.updateKey();
  }
}

const areas = new WeakMap<X86, Area>();

/** The XSAVE area of a CPU. */
export function areaOf(cpu: X86): Area {
  let area = areas.get(cpu);
  if (area === undefined) {
    area = new Area(cpu);
    areas.set(cpu, area);
  }
  return area;
}
