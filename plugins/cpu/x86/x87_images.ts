/**
 * The images of the x87 unit in memory: environment (FSTENV, FLDENV), state
 * (FSAVE, FRSTOR; SDM volume 1, chapter 8.1.10) and the FXSAVE area (chapter
 * 10.5).
 *
 * @module
 */

import {
  type Access,
  ACCESS_READ,
  ACCESS_WRITE,
} from "../../../core/cpu/frontend.ts";
import type { X86 } from "./cpu.ts";
import { classify, NORMAL, ZERO } from "./float80_core.ts";
import {
  OFF_CR,
  OFF_FCS,
  OFF_FCW,
  OFF_FDP,
  OFF_FDS,
  OFF_FIP,
  OFF_FOP,
  OFF_FPR,
  OFF_FSW,
  OFF_FTAG,
  OFF_FTOP,
  OFF_MXCSR,
  OFF_XMM,
} from "./state.ts";
import { X87 } from "./x87.ts";

const FCW = OFF_FCW >> 2,
  FSW = OFF_FSW >> 2,
  TOP = OFF_FTOP >> 2,
  TAG = OFF_FTAG >> 2,
  FPR = OFF_FPR >> 2,
  FOP = OFF_FOP >> 2,
  FIP = OFF_FIP >> 2,
  FCS = OFF_FCS >> 2,
  FDP = OFF_FDP >> 2,
  FDS = OFF_FDS >> 2,
  XMM = OFF_XMM >> 2,
  MXCSR = OFF_MXCSR >> 2,
  CR4 = (OFF_CR >> 2) + 8;
const CR4_OSFXSR = 0x200;
const HIGH = 0xffff_0000 | 0;

/** Image form: 32-bit operand size. */
export const IMAGE_32 = 1;
/** Image form: protected mode (selectors instead of linear addresses). */
export const IMAGE_PROTECTED = 2;

/** Bytes of the FXSAVE area. */
export const FXSAVE_SIZE = 512;
/** Bytes of it before the XMM registers; the area's end is left alone. */
const FXSAVE_XMM = 160;

/** The x87 unit with its memory images. */
export class X87Images extends X87 {
  readonly #area = new Int32Array(FXSAVE_SIZE >> 2);

  /** Power-up state of FNINIT. */
  initialize(): void {
    const s = this.s;
    s[FCW] = 0x37f;
    s[FSW] = 0;
    s[TOP] = 0;
    s[TAG] = 0;
    s[FOP] = 0;
    s[FIP] = 0;
    s[FCS] = 0;
    s[FDP] = 0;
    s[FDS] = 0;
    this.summarize();
  }

  /** FSW with TOP. */
  get status(): number {
    return this.s[FSW] | (this.s[TOP] << 11);
  }

  /** The tag word with two bits a register. */
  get tagWord(): number {
    const s = this.s;
    let tags = 0;
    for (let n = 7; n >= 0; n--) {
      let tag = 3;
      if (((s[TAG] >> n) & 1) !== 0) {
        const w = FPR + 4 * n;
        const c = classify(s[w + 1], s[w], s[w + 2] & 0xffff);
        tag = c === NORMAL ? 0 : c === ZERO ? 1 : 2;
      }
      tags = (tags << 2) | tag;
    }
    return tags;
  }

  /**
   * Raises what an access to all of an image would. The CPU checks it part by
   * part: a page fault of the first one, of `part` bytes, comes before an end of
   * addresses behind that. (Zen 5.)
   */
  #probe(
    address: number,
    size: number,
    part: number,
    access: Access,
    mmu: number,
  ): void {
    const memory = this.cpu.engine.mmu;
    memory.probe(address, part, access, mmu);
    memory.probe(address, size, access, mmu);
  }

  /** FNSTENV; then all exceptions are masked. */
  storeEnvironment(address: number, form: number, mmu: number): void {
    const size = (form & IMAGE_32) !== 0 ? 28 : 14;
    this.#probe(address, size, size / 7, ACCESS_WRITE, mmu);
    this.#writeEnvironment(address, form, mmu);
    this.s[FCW] |= 0x3f;
    this.summarize();
  }

  #writeEnvironment(address: number, form: number, mmu: number): void {
    const s = this.s, memory = this.cpu.engine.mmu;
    const wide = (form & IMAGE_32) !== 0;
    const put = (n: number, v: number): void => {
      if (wide) memory.write32(address + 4 * n, v, mmu);
      else memory.write16(address + 2 * n, v & 0xffff, mmu);
    };
    put(0, s[FCW] | HIGH);
    put(1, this.status | HIGH);
    put(2, this.tagWord | HIGH);
    if ((form & IMAGE_PROTECTED) !== 0) {
      put(3, s[FIP]);
      put(4, (s[FCS] & 0xffff) | (s[FOP] << 16));
      put(5, s[FDP]);
      put(6, s[FDS] | HIGH);
    } else {
      const ip = (s[FIP] + (s[FCS] << 4)) | 0;
      const dp = (s[FDP] + (s[FDS] << 4)) | 0;
      if (wide) {
        put(3, (ip & 0xffff) | HIGH);
        put(4, ((ip >>> 16) << 12) | s[FOP]);
        put(5, (dp & 0xffff) | HIGH);
        put(6, (dp >>> 16) << 12);
      } else {
        put(3, ip);
        put(4, ((ip >>> 4) & 0xf000) | s[FOP]);
        put(5, dp);
        put(6, (dp >>> 4) & 0xf000);
      }
    }
  }

  /** FLDENV. */
  loadEnvironment(address: number, form: number, mmu: number): void {
    const size = (form & IMAGE_32) !== 0 ? 28 : 14;
    this.#probe(address, size, size / 7, ACCESS_READ, mmu);
    this.#readEnvironment(address, form, mmu);
  }

  #readEnvironment(address: number, form: number, mmu: number): void {
    const s = this.s, memory = this.cpu.engine.mmu;
    const wide = (form & IMAGE_32) !== 0;
    const get = (n: number): number =>
      wide
        ? memory.read32(address + 4 * n, mmu)
        : memory.read16(address + 2 * n, mmu);
    const cw = get(0), sw = get(1), tags = get(2);
    const ip = get(3), ipHigh = get(4), dp = get(5), dpHigh = get(6);
    this.#setStatus(sw);
    let tag = 0;
    for (let n = 0; n < 8; n++) {
      if (((tags >> (2 * n)) & 3) !== 3) tag |= 1 << n;
    }
    s[TAG] = tag;
    if ((form & IMAGE_PROTECTED) !== 0) {
      s[FIP] = ip;
      s[FCS] = ipHigh & 0xffff;
      if (wide) s[FOP] = (ipHigh >> 16) & 0x7ff;
      s[FDP] = dp;
      s[FDS] = dpHigh & 0xffff;
    } else {
      const up = (v: number): number =>
        wide ? ((v >>> 12) & 0xffff) << 16 : (v & 0xf000) << 4;
      s[FIP] = (ip & 0xffff) | up(ipHigh);
      s[FCS] = 0;
      s[FOP] = ipHigh & 0x7ff;
      s[FDP] = (dp & 0xffff) | up(dpHigh);
      s[FDS] = 0;
    }
    this.setControl(cw);
  }

  #setStatus(status: number): void {
    this.s[FSW] = status & 0xc7ff;
    this.s[TOP] = (status >> 11) & 7;
  }

  /** FNSAVE: stores everything, then initializes. */
  save(address: number, form: number, mmu: number): void {
    const s = this.s, memory = this.cpu.engine.mmu;
    const size = (form & IMAGE_32) !== 0 ? 28 : 14;
    this.#probe(address, size + 80, size / 7, ACCESS_WRITE, mmu);
    this.#writeEnvironment(address, form, mmu);
    for (let i = 0; i < 8; i++) {
      const w = FPR + (((s[TOP] + i) & 7) << 2);
      const at = address + size + 10 * i;
      memory.write32(at, s[w], mmu);
      memory.write32(at + 4, s[w + 1], mmu);
      memory.write16(at + 8, s[w + 2] & 0xffff, mmu);
    }
    this.initialize();
  }

  /** FRSTOR. */
  restore(address: number, form: number, mmu: number): void {
    const s = this.s, memory = this.cpu.engine.mmu;
    const size = (form & IMAGE_32) !== 0 ? 28 : 14;
    this.#probe(address, size + 80, size / 7, ACCESS_READ, mmu);
    this.#readEnvironment(address, form, mmu);
    for (let i = 0; i < 8; i++) {
      const w = FPR + (((s[TOP] + i) & 7) << 2);
      const at = address + size + 10 * i;
      s[w] = memory.read32(at, mmu);
      s[w + 1] = memory.read32(at + 4, mmu);
      s[w + 2] = memory.read16(at + 8, mmu);
      s[w + 3] = 0;
    }
  }

  /** Host offset of an FXSAVE area that lies in one page of plain memory, else -1. */
  #direct(address: number, access: Access, mmu: number): number {
    if ((address & 0xfff) > 0x1000 - FXSAVE_SIZE) return -1;
    return this.cpu.engine.mmu.direct(address, access, mmu);
  }

  /** Words of XMM registers in the area: of all 16 in 64-bit mode. */
  get #xmmWords(): number {
    return this.cpu.long ? 64 : 32;
  }

  /** Raises what an access to an FXSAVE area would: past the end of addresses to its last byte first (Zen 5). */
  #probeAll(address: number, access: Access, mmu: number): void {
    const memory = this.cpu.engine.mmu;
    const last = address + FXSAVE_SIZE - 1;
    const inPage = last & 0xfff;
    if (inPage < FXSAVE_SIZE - 1 && this.cpu.isEnd(last - inPage)) {
      memory.probe(last, 1, access, mmu);
    }
    memory.probe(address, FXSAVE_SIZE, access, mmu);
  }

  /** FXSAVE; `wide`: with REX.W, which makes the pointers 64 bits wide. */
  fxsave(address: number, wide: boolean, mmu: number): void {
    const s = this.s, a = this.#area, memory = this.cpu.engine.mmu;
    this.#probeAll(address, ACCESS_WRITE, mmu);
    this.packX87(a);
    const sse = (s[CR4] & CR4_OSFXSR) !== 0;
    if (sse) this.packMxcsr(a);
    if (wide) {
      a[3] = s[FIP + 1];
      a[5] = s[FDP + 1];
    }
    const words = this.#xmmWords;
    for (let k = 0; k < words; k++) a[40 + k] = s[XMM + k];
    const written = FXSAVE_XMM + 4 * words;
    const host = this.#direct(address, ACCESS_WRITE, mmu);
    if (sse && host >= 0) {
      this.cpu.engine.i32.set(a.subarray(0, written >> 2), host >>> 2);
      return;
    }
    // Without OSFXSR neither MXCSR nor the XMM registers are saved.
    const end = sse ? written : FXSAVE_XMM;
    for (let k = 0; k < end; k += 4) {
      if (!sse && k >= 24 && k < 32) continue;
      memory.write32(address + k, a[k >> 2], mmu);
    }
  }

  /** MXCSR and its mask as in an FXSAVE area. */
  packMxcsr(a: Int32Array): void {
    a[6] = this.s[MXCSR];
    a[7] = this.cpu.model.mxcsrMask;
  }

  /** The x87 part of an FXSAVE area: words 0 to 5 and 8 to 39. */
  packX87(a: Int32Array): void {
    const s = this.s;
    a[0] = s[FCW] | (this.status << 16);
    a[1] = (s[TAG] & 0xff) | (s[FOP] << 16);
    a[2] = s[FIP];
    a[3] = s[FCS] & 0xffff;
    a[4] = s[FDP];
    a[5] = s[FDS] & 0xffff;
    for (let i = 0; i < 8; i++) {
      const w = FPR + (((s[TOP] + i) & 7) << 2), at = 8 + 4 * i;
      a[at] = s[w];
      a[at + 1] = s[w + 1];
      a[at + 2] = s[w + 2] & 0xffff;
      a[at + 3] = 0;
    }
  }

  /** FXRSTOR. #GP(0) when MXCSR has reserved bits. */
  fxrstor(address: number, wide: boolean, mmu: number): void {
    const s = this.s, a = this.#area, memory = this.cpu.engine.mmu;
    this.#probeAll(address, ACCESS_READ, mmu);
    const words = this.#xmmWords;
    const bytes = FXSAVE_XMM + 4 * words;
    const host = this.#direct(address, ACCESS_READ, mmu);
    if (host >= 0) {
      const from = host >>> 2;
      a.set(this.cpu.engine.i32.subarray(from, from + (bytes >> 2)));
    } else {
      for (let k = 0; k < bytes; k += 4) {
        a[k >> 2] = memory.read32(address + k, mmu);
      }
    }
    const sse = (s[CR4] & CR4_OSFXSR) !== 0;
    if (sse) {
      if ((a[6] & ~this.cpu.model.mxcsrMask) !== 0) this.cpu.gp(0);
      s[MXCSR] = a[6];
      for (let k = 0; k < words; k++) s[XMM + k] = a[40 + k];
    }
    this.unpackX87(a);
    if (wide) {
      s[FIP + 1] = a[3];
      s[FDP + 1] = a[5];
      s[FCS] = s[FDS] = 0;
    }
    this.cpu.updateKey();
  }

  /** Takes the x87 part of an FXSAVE area. */
  unpackX87(a: Int32Array): void {
    const s = this.s;
    this.#setStatus(a[0] >>> 16);
    s[TAG] = a[1] & 0xff;
    s[FOP] = (a[1] >>> 16) & 0x7ff;
    s[FIP] = a[2];
    s[FIP + 1] = 0;
    s[FCS] = a[3] & 0xffff;
    s[FDP] = a[4];
    s[FDP + 1] = 0;
    s[FDS] = a[5] & 0xffff;
    for (let i = 0; i < 8; i++) {
      const w = FPR + (((s[TOP] + i) & 7) << 2), at = 8 + 4 * i;
      s[w] = a[at];
      s[w + 1] = a[at + 1];
      s[w + 2] = a[at + 2] & 0xffff;
      s[w + 3] = 0;
    }
    this.setControl(a[0] & 0xffff);
  }

  /** LDMXCSR. #GP(0) for reserved bits. */
  loadMxcsr(value: number): void {
    if ((value & ~this.cpu.model.mxcsrMask) !== 0) this.cpu.gp(0);
    this.s[MXCSR] = value;
    this.cpu.updateKey();
  }
}

const units = new WeakMap<X86, X87Images>();

/** The x87 unit of a CPU. */
export function x87Of(cpu: X86): X87Images {
  let unit = units.get(cpu);
  if (unit === undefined) {
    unit = new X87Images(cpu);
    units.set(cpu, unit);
  }
  return unit;
}
