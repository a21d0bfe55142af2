/**
 * Repeated string instructions of 64-bit mode: helpers over RCX, RSI and RDI.
 *
 * A call does up to `MAX_ELEMENTS` elements, in runs within one page of each
 * pointer where those are plain memory, else one by one. The instruction then
 * jumps to itself until RCX is 0, so that interrupts are taken.
 *
 * @module
 */

import { ACCESS_READ, ACCESS_WRITE } from "../../../core/cpu/frontend.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import type { X86 } from "./cpu.ts";
import { stateFlags, wideFlags } from "./flags.ts";
import { define } from "./helpers.ts";
import { isCanonicalAddress } from "./long_mode.ts";
import { AC } from "./operands.ts";
import {
  CC_SRC,
  CC_SUB,
  DF,
  FS,
  GPR,
  KEY_ALIGN,
  KEY_DEBUG,
  OFF_CC_SRC,
  OFF_FLAGS,
  OFF_GPR,
  OFF_SEG,
  SEG_BASE,
} from "./state.ts";
import {
  MAX_ELEMENTS,
  REP_ADDR16,
  REP_LOG_SHIFT,
  REP_NOT_EQUAL,
  REP_SEGMENT_SHIFT,
  REP_SINGLE,
} from "./string_kernel.ts";
import { copyRun, REP_WHAT } from "./strings.ts";

const RAX = 0, RCX = 1, RSI = 6, RDI = 7;
const PAGE = 4096;
const HIGH = 0x1_0000_0000;
const W_GPR = OFF_GPR >> 2,
  W_FLAGS = OFF_FLAGS >> 2,
  W_CC_SRC = OFF_CC_SRC >> 2,
  W_WHAT = REP_WHAT.offset >> 2;
/** In `REP_WHAT`: 32-bit addresses, where others have 16. */
const REP_ADDR32 = REP_ADDR16;

/** One string pointer. */
class Pointer {
  readonly #cpu: X86;
  readonly #word: number;
  readonly #isWritten: boolean;
  #base = 0;
  #size = 0;
  #step = 0;
  #isShort = false;
  /** Host offset of the lowest byte of the run. */
  host = 0;

  constructor(cpu: X86, register: number, isWritten: boolean) {
    this.#cpu = cpu;
    this.#word = W_GPR + 2 * register;
    this.#isWritten = isWritten;
  }

  /** Takes the mode of one call. */
  start(size: number, segment: number, step: number, isShort: boolean): void {
    const w = (OFF_SEG + SEG_BASE + 32 * segment) >> 2;
    const s = this.#cpu.state;
    this.#base = segment >= FS ? s[w + 1] * HIGH + (s[w] >>> 0) : 0;
    this.#size = size;
    this.#step = step;
    this.#isShort = isShort;
  }

  /** Linear address of the present element. */
  get linear(): number {
    const s = this.#cpu.state;
    const low = s[this.#word] >>> 0;
    const offset = this.#isShort ? low : s[this.#word + 1] * HIGH + low;
    return this.#base + offset;
  }

  /**
   * The longest run of at most `count` elements, and its host offset; 0 if the
   * next one must be done by itself. If it is to be written, then with what
   * stands at host offset `from`, -1 if that is not known.
   */
  run(count: number, from: number): number {
    const { linear } = this;
    const size = this.#size;
    const inPage = linear & (PAGE - 1);
    if (inPage + size > PAGE || this.#isMisaligned(linear)) return 0;
    const fits = this.#step > 0
      ? Math.floor((PAGE - inPage) / size)
      : Math.floor(inPage / size) + 1;
    const n = Math.min(count, fits);
    const lowest = this.#step > 0 ? linear : linear - (n - 1) * size;
    const { mmu, dataMmu } = this.#cpu;
    this.host = this.#isWritten
      ? mmu.directStore(lowest, n * size, dataMmu, from)
      : mmu.direct(lowest, ACCESS_READ, dataMmu);
    return this.host < 0 ? 0 : n;
  }

  #isMisaligned(linear: number): boolean {
    return (linear & (this.#size - 1)) !== 0 &&
      (this.#cpu.key() & KEY_ALIGN) !== 0;
  }

  /** Linear address of the present element; #AC if it must be aligned and is not. */
  check(): number {
    const { linear } = this;
    if (this.#isMisaligned(linear) && isCanonicalAddress(linear)) {
      this.#cpu.raise(AC, 0);
    }
    return linear;
  }

  /** Moves on by `n` elements. */
  advance(n: number): void {
    add(this.#cpu.state, this.#word, n * this.#step, this.#isShort);
  }
}

/** Adds to a register of 64 bits, or makes it the sum of 32 bits. */
function add(s: Int32Array, word: number, n: number, isShort: boolean): void {
  const sum = (s[word] >>> 0) + n;
  s[word] = sum | 0;
  s[word + 1] = isShort ? 0 : s[word + 1] + Math.floor(sum / HIGH);
}

/** What one call does. */
class Repeat {
  readonly cpu: X86;
  readonly source: Pointer;
  readonly target: Pointer;
  size = 0;
  backwards = false;
  untilEqual = false;
  #isShort = false;
  #left = 0;
  #isSingle = false;

  constructor(cpu: X86, isWritten: boolean) {
    this.cpu = cpu;
    this.source = new Pointer(cpu, RSI, false);
    this.target = new Pointer(cpu, RDI, isWritten);
  }

  start(): void {
    const s = this.cpu.state;
    const what = s[W_WHAT];
    const size = this.size = 1 << ((what >> REP_LOG_SHIFT) & 3);
    this.backwards = (s[W_FLAGS] & DF) !== 0;
    this.untilEqual = (what & REP_NOT_EQUAL) !== 0;
    const isShort = this.#isShort = (what & REP_ADDR32) !== 0;
    const step = this.backwards ? -size : size;
    const segment = (what >> REP_SEGMENT_SHIFT) & 7;
    this.source.start(size, segment, step, isShort);
    this.target.start(size, 0, step, isShort);
    this.#isSingle = (what & REP_SINGLE) !== 0 ||
      (this.cpu.key() & KEY_DEBUG) !== 0;
    this.#left = (what & REP_SINGLE) !== 0 ? 1 : MAX_ELEMENTS;
  }

  /** Elements that this call may still do. */
  get quota(): number {
    const s = this.cpu.state;
    const w = W_GPR + 2 * RCX;
    const isMany = !this.#isShort && s[w + 1] !== 0;
    return isMany ? this.#left : Math.min(this.#left, s[w] >>> 0);
  }

  /** Elements of the next run of one or two pointers; 0 if the next is to be done by itself. */
  run(first: Pointer, second?: Pointer): number {
    if (this.#isSingle) return 0;
    const n = first.run(this.quota, -1);
    if (n === 0 || second === undefined) return n;
    // Backwards, a shorter run would begin at another byte.
    const m = second.run(n, this.backwards ? -1 : first.host);
    return m === n || m === 0 ? m : first.run(m, -1);
  }

  /** Counts elements that were done. */
  did(n: number): void {
    this.#left -= n;
    add(this.cpu.state, W_GPR + 2 * RCX, -n, this.#isShort);
  }
}

/** Reads an element of guest memory: low and high half, zero-extended. */
function read(cpu: X86, size: number, at: number, out: Int32Array): void {
  const m = cpu.dataMmu;
  out[1] = 0;
  if (size === 1) out[0] = cpu.mmu.read8(at, m);
  else if (size === 2) out[0] = cpu.mmu.read16(at, m);
  else {
    if (size === 8) {
      cpu.mmu.probe(at, 8, ACCESS_READ, m);
      out[1] = cpu.mmu.read32(at + 4, m);
    }
    out[0] = cpu.mmu.read32(at, m);
  }
}

/** Writes an element of guest memory. */
function write(cpu: X86, size: number, at: number, v: Int32Array): void {
  const m = cpu.dataMmu;
  if (size === 1) cpu.mmu.write8(at, v[0] & 0xff, m);
  else if (size === 2) cpu.mmu.write16(at, v[0] & 0xffff, m);
  else {
    if (size === 8) {
      cpu.mmu.probe(at, 8, ACCESS_WRITE, m);
      cpu.mmu.write32(at + 4, v[1], m);
    }
    cpu.mmu.write32(at, v[0], m);
  }
}

/** Reads an element of host memory. */
function readHost(u8: Uint8Array, size: number, at: number, out: Int32Array) {
  out[0] = out[1] = 0;
  for (let i = 0; i < size; i++) out[i >> 2] |= u8[at + i] << (8 * (i & 3));
}

const COUNTERS = [GPR[1], GPR[6], GPR[7]];

/** REP MOVS. */
export const LONG_REP_MOVS: Helper = define(
  "long_rep_movs",
  0,
  { faults: true, writes: COUNTERS },
  (cpu) => {
    const r = new Repeat(cpu, true);
    const { source, target } = r;
    const v = new Int32Array(2);
    return () => {
      r.start();
      while (r.quota > 0) {
        let n = r.run(source, target);
        if (n !== 0) {
          copyRun(cpu.engine, r.size, source.host, target.host, n, r.backwards);
        } else {
          n = 1;
          read(cpu, r.size, source.check(), v);
          write(cpu, r.size, target.check(), v);
        }
        source.advance(n);
        target.advance(n);
        r.did(n);
      }
      return 0;
    };
  },
);

/** REP STOS. */
export const LONG_REP_STOS: Helper = define(
  "long_rep_stos",
  0,
  { faults: true, writes: COUNTERS },
  (cpu) => {
    const r = new Repeat(cpu, true);
    const { target } = r;
    const v = new Int32Array(2);
    return () => {
      r.start();
      const { u8 } = cpu.engine;
      const w = W_GPR + 2 * RAX;
      v[0] = cpu.state[w];
      v[1] = cpu.state[w + 1];
      while (r.quota > 0) {
        let n = r.run(target);
        if (n !== 0) {
          const end = target.host + n * r.size;
          for (let i = 0; i < r.size; i++) {
            u8[target.host + i] = v[i >> 2] >> (8 * (i & 3));
          }
          // Double what is there.
          for (let done = r.size; target.host + done < end; done *= 2) {
            const to = target.host + done;
            u8.copyWithin(
              to,
              target.host,
              target.host + Math.min(done, end - to),
            );
          }
        } else {
          n = 1;
          write(cpu, r.size, target.check(), v);
        }
        target.advance(n);
        r.did(n);
      }
      return 0;
    };
  },
);

/** REP LODS: only the last element stays. */
export const LONG_REP_LODS: Helper = define(
  "long_rep_lods",
  0,
  { faults: true, writes: [GPR[0], ...COUNTERS] },
  (cpu) => {
    const r = new Repeat(cpu, false);
    const { source } = r;
    const v = new Int32Array(2);
    return () => {
      r.start();
      const w = W_GPR + 2 * RAX;
      const s = cpu.state;
      while (r.quota > 0) {
        read(cpu, r.size, source.check(), v);
        if (r.size >= 4) {
          s[w] = v[0];
          s[w + 1] = v[1];
        } else {
          const mask = r.size === 2 ? 0xffff : 0xff;
          s[w] = s[w] & ~mask | v[0];
        }
        source.advance(1);
        r.did(1);
      }
      return 0;
    };
  },
);

/**
 * REPE and REPNE of CMPS (with a source in memory) and SCAS (without). Leaves
 * the flags in CC_SRC, as CC_EFLAGS has them: those of the last comparison, or
 * the present ones if there is none.
 */
function compare(name: string, inMemory: boolean): Helper {
  return define(
    name,
    0,
    { faults: true, writes: [...COUNTERS, CC_SRC] },
    (cpu) => {
      const r = new Repeat(cpu, false);
      const { source, target } = r;
      const x = new Int32Array(2), y = new Int32Array(2);
      return () => {
        r.start();
        const s = cpu.state;
        let flags = stateFlags(s, 0);
        const { size, untilEqual } = r;
        const bits = 8 * size;
        x[0] = s[W_GPR + 2 * RAX] & (size >= 4 ? -1 : (1 << bits) - 1);
        x[1] = size === 8 ? s[W_GPR + 2 * RAX + 1] : 0;
        let hasCompared = false;
        for (let stop = false; !stop && r.quota > 0;) {
          const n = inMemory ? r.run(target, source) : r.run(target);
          const last = (n - 1) * size;
          let done = 0;
          do {
            if (n !== 0) {
              const at = r.backwards ? last - done * size : done * size;
              readHost(cpu.engine.u8, size, target.host + at, y);
              if (inMemory) {
                readHost(cpu.engine.u8, size, source.host + at, x);
              }
            } else {
              read(cpu, size, target.check(), y);
              if (inMemory) read(cpu, size, source.check(), x);
            }
            done++;
            stop = (x[0] === y[0] && x[1] === y[1]) === untilEqual;
          } while (!stop && done < n);
          hasCompared = true;
          target.advance(done);
          if (inMemory) source.advance(done);
          r.did(done);
        }
        if (hasCompared) {
          // At the top of 64 bits they compare as they are; AF is at the bottom.
          const wide = (v: Int32Array): bigint =>
            BigInt.asUintN(
              64,
              (BigInt(v[1]) << 32n | BigInt(v[0] >>> 0)) << BigInt(64 - bits),
            );
          const [a, b] = [wide(x), wide(y)];
          flags = wideFlags(CC_SUB >> 2, BigInt.asUintN(64, a - b), b, 0n);
          flags = lowFlags(flags, x[0], y[0]);
        }
        s[W_CC_SRC] = flags;
        s[W_CC_SRC + 1] = 0;
        return 0;
      };
    },
  );
}

/** PF and AF are those of the low bytes. */
function lowFlags(flags: number, x: number, y: number): number {
  const difference = (x - y) & 0xff;
  let parity = difference ^ (difference >> 4);
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return flags & ~0x14 | ((parity & 1) === 0 ? 4 : 0) |
    ((x ^ y ^ difference) & 0x10);
}

/** REPE and REPNE CMPS. */
export const LONG_REP_CMPS: Helper = compare("long_rep_cmps", true);
/** REPE and REPNE SCAS. */
export const LONG_REP_SCAS: Helper = compare("long_rep_scas", false);
