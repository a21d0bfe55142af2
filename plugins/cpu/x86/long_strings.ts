/**
 * Repeated string instructions of 64-bit mode: helpers over RCX, RSI and RDI.
 *
 * As strings.ts does for other modes, they see to what the functions in
 * string_kernel.ts stop at, and let them go on. A call does a bounded amount;
 * the instruction then jumps to itself until RCX is 0, so that interrupts are
 * taken.
 *
 * @module
 */

import { ACCESS_READ } from "../../../core/cpu/frontend.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import type { X86 } from "./cpu.ts";
import { stateFlags, wideAt, wideFlags } from "./flags.ts";
import { define } from "./helpers.ts";
import { ifPresent, type Native } from "./integer_kernel.ts";
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
import { LONG_CMPS, LONG_SCAS } from "./string_compare.ts";
import { LONG_MOVS, LONG_STOS } from "./string_kernel.ts";
import {
  REP_ADDR32,
  REP_DOWN,
  REP_FLAGS_SHIFT,
  REP_FLAT,
  REP_LOG_SHIFT,
  REP_NOT_EQUAL,
  REP_SEGMENT_SHIFT,
  REP_SINGLE,
  REP_SLOW,
} from "./string_what.ts";
import {
  BURST,
  copyRun,
  MAX_SLOW,
  type Plain,
  plain,
  REP_WHAT,
  type Run,
} from "./strings.ts";

const RAX = 0, RCX = 1, RSI = 6, RDI = 7;
const PAGE = 4096;
const HIGH = 0x1_0000_0000;
const W_GPR = OFF_GPR >> 2,
  W_FLAGS = OFF_FLAGS >> 2,
  W_CC_SRC = OFF_CC_SRC >> 2,
  W_WHAT = REP_WHAT.offset >> 2;
/**
 * Elements of a comparison that are done here where the TLB missed, before the
 * function in WebAssembly is tried again.
 */
const FEW = 32;

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
   * next one must be done by itself, -1 if more must. If it is to be written,
   * then with what stands at host offset `from`, -1 if that is not known.
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
    return this.host < 0 ? -1 : n;
  }

  #isMisaligned(linear: number): boolean {
    return (linear & (this.#size - 1)) !== 0 &&
      (this.#cpu.key() & KEY_ALIGN) !== 0;
  }

  /** Linear address of the present element; #AC if it must be aligned and is not. */
  check(): number {
    const { linear } = this;
    if (
      this.#isMisaligned(linear) && isCanonicalAddress(linear) &&
      isCanonicalAddress(linear + this.#size - 1)
    ) {
      this.#cpu.raise(AC, 0);
    }
    return linear;
  }

  /** Moves on by `n` elements. */
  advance(n: number): void {
    add(this.#cpu.state, this.#word, n * this.#step, this.#isShort);
  }
}

/** Adds to a register of 64 bits, or makes it the sum of 32 bits; by 0 it stays. */
function add(s: Int32Array, word: number, n: number, isShort: boolean): void {
  if (n === 0) return;
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
  /** REPNE. */
  untilEqual = false;
  #what = 0;
  #isShort = false;
  #isSingle = false;
  /** Elements that this call may still do. */
  #left = 0;
  /** Elements that it may still do one by one. */
  #slow = 0;
  /** Elements to do one by one before a run is tried again. */
  #burst = 0;

  constructor(cpu: X86, isWritten: boolean) {
    this.cpu = cpu;
    this.source = new Pointer(cpu, RSI, false);
    this.target = new Pointer(cpu, RDI, isWritten);
  }

  start(): void {
    const s = this.cpu.state;
    const what = this.#what = s[W_WHAT];
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
    this.#left = what & 0xffff;
    this.#slow = (what & REP_SINGLE) !== 0 ? 1 : MAX_SLOW;
    this.#burst = 0;
  }

  /** Elements that this call may still do. */
  get #quota(): number {
    const s = this.cpu.state;
    const w = W_GPR + 2 * RCX;
    const isMany = !this.#isShort && s[w + 1] !== 0;
    return isMany ? this.#left : Math.min(this.#left, s[w] >>> 0);
  }

  /** Whether this call may go on. */
  get goesOn(): boolean {
    return this.#slow > 0 && this.#quota > 0;
  }

  /** Elements of which a few are enough, because a function of string_kernel.ts takes the others. */
  few(n: number): number {
    const isPlain = (this.#what & REP_FLAT) !== 0 && !this.backwards;
    return isPlain ? Math.min(n, FEW) : n;
  }

  /**
   * Lets a function of string_kernel.ts do what it can. Gives its result.
   */
  plain(run: Run<bigint>, inSource: boolean): number {
    if (!this.goesOn || this.#burst > 0) return REP_SLOW;
    if ((this.#what & REP_FLAT) === 0) return REP_SLOW;
    const n = this.#quota;
    const how = this.#what & ~(0xffff | REP_DOWN);
    const result = run(
      inSource
        ? BigInt(this.source.linear)
        : wideAt(this.cpu.state, W_GPR + 2 * RAX),
      BigInt(this.target.linear),
      how | n | (this.backwards ? REP_DOWN : 0),
    );
    const done = result & 0xffff;
    if (inSource) this.source.advance(done);
    this.target.advance(done);
    this.#countDown(done);
    return result;
  }

  /**
   * Elements of the next run of one or two pointers, whose host offsets are then
   * set; 0 if the next is to be done by itself.
   */
  run(first: Pointer, second?: Pointer): number {
    if (this.#isSingle || this.#burst > 0) return 0;
    let n = first.run(this.#quota, -1);
    if (n > 0 && second !== undefined) {
      // Backwards, a shorter run would begin at another byte.
      const m = second.run(n, this.backwards ? -1 : first.host);
      if (m < n) n = m <= 0 ? m : first.run(m, -1);
    }
    if (n >= 0) return n;
    this.#burst = BURST;
    return 0;
  }

  /** Counts `n` elements done as a run. */
  ran(n: number): void {
    this.#countDown(n);
  }

  /** Counts one element done by itself. */
  did(): void {
    this.#slow--;
    this.#burst--;
    this.#countDown(1);
  }

  #countDown(n: number): void {
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
  else if (size === 4) out[0] = cpu.mmu.read32(at, m);
  else cpu.mmu.read64(at, out, m);
}

/** Writes an element of guest memory. */
function write(cpu: X86, size: number, at: number, v: Int32Array): void {
  const m = cpu.dataMmu;
  if (size === 1) cpu.mmu.write8(at, v[0] & 0xff, m);
  else if (size === 2) cpu.mmu.write16(at, v[0] & 0xffff, m);
  else if (size === 4) cpu.mmu.write32(at, v[0], m);
  else cpu.mmu.write64(at, v, m);
}

/** Reads an element of host memory. */
function readHost(u8: Uint8Array, size: number, at: number, out: Int32Array) {
  out[0] = out[1] = 0;
  for (let i = 0; i < size; i++) out[i >> 2] |= u8[at + i] << (8 * (i & 3));
}

/** A function of string_kernel.ts; CPUs without 64-bit mode have none. */
const longPlain = (name: string, form: Native): Plain<bigint> =>
  plain(name, (cpu) => ifPresent(cpu, "lm", form), true);

const PLAIN_MOVS = longPlain("long_rep_movs_run", LONG_MOVS);
const PLAIN_STOS = longPlain("long_rep_stos_run", LONG_STOS);
const PLAIN_CMPS = longPlain("long_rep_cmps_run", LONG_CMPS);
const PLAIN_SCAS = longPlain("long_rep_scas_run", LONG_SCAS);

/** REP MOVS, the plain case. */
export const LONG_MOVS_RUN: Helper = PLAIN_MOVS.helper;
/** REP STOS, the plain case. */
export const LONG_STOS_RUN: Helper = PLAIN_STOS.helper;
/** REPE and REPNE CMPS, the plain case. */
export const LONG_CMPS_RUN: Helper = PLAIN_CMPS.helper;
/** REPE and REPNE SCAS, the plain case. */
export const LONG_SCAS_RUN: Helper = PLAIN_SCAS.helper;

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
    let run: Run<bigint> | undefined;
    return () => {
      run ??= PLAIN_MOVS.of(cpu);
      r.start();
      while (r.goesOn) {
        const n = r.run(source, target);
        if (n !== 0) {
          copyRun(cpu.engine, r.size, source.host, target.host, n, r.backwards);
          source.advance(n);
          target.advance(n);
          r.ran(n);
        } else {
          read(cpu, r.size, source.check(), v);
          write(cpu, r.size, target.check(), v);
          source.advance(1);
          target.advance(1);
          r.did();
        }
        if (r.plain(run, true) >= 0) break;
      }
      return 0;
    };
  },
);

/** Fills a run with an element. */
function fillRun(
  u8: Uint8Array,
  size: number,
  to: number,
  n: number,
  v: Int32Array,
): void {
  const end = to + n * size;
  for (let i = 0; i < size; i++) u8[to + i] = v[i >> 2] >> (8 * (i & 3));
  // Double what is there.
  for (let done = size; to + done < end; done *= 2) {
    u8.copyWithin(to + done, to, Math.min(to + done, end - done));
  }
}

/** REP STOS. */
export const LONG_REP_STOS: Helper = define(
  "long_rep_stos",
  0,
  { faults: true, writes: COUNTERS },
  (cpu) => {
    const r = new Repeat(cpu, true);
    const { target } = r;
    const v = new Int32Array(2);
    let run: Run<bigint> | undefined;
    return () => {
      run ??= PLAIN_STOS.of(cpu);
      r.start();
      const w = W_GPR + 2 * RAX;
      v[0] = cpu.state[w];
      v[1] = cpu.state[w + 1];
      while (r.goesOn) {
        const n = r.run(target);
        // The TLB has the page now: the function fills it in half the time.
        let rest = n === 0 ? REP_SLOW : r.plain(run, false);
        if (rest === REP_SLOW) {
          if (n !== 0) {
            fillRun(cpu.engine.u8, r.size, target.host, n, v);
            target.advance(n);
            r.ran(n);
          } else {
            write(cpu, r.size, target.check(), v);
            target.advance(1);
            r.did();
          }
          rest = r.plain(run, false);
        }
        if (rest >= 0) break;
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
      while (r.goesOn) {
        read(cpu, r.size, source.check(), v);
        if (r.size >= 4) {
          s[w] = v[0];
          s[w + 1] = v[1];
        } else {
          const mask = r.size === 2 ? 0xffff : 0xff;
          s[w] = s[w] & ~mask | v[0];
        }
        source.advance(1);
        r.did();
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
function compare(
  name: string,
  inMemory: boolean,
  plain: Plain<bigint>,
): Helper {
  return define(
    name,
    0,
    { faults: true, writes: [...COUNTERS, CC_SRC] },
    (cpu) => {
      const r = new Repeat(cpu, false);
      const { source, target } = r;
      const x = new Int32Array(2), y = new Int32Array(2);
      let run: Run<bigint> | undefined;
      return () => {
        run ??= plain.of(cpu);
        r.start();
        const s = cpu.state;
        const finish = (flags: number): number => {
          s[W_CC_SRC] = flags;
          s[W_CC_SRC + 1] = 0;
          return 0;
        };
        if (!r.goesOn) return finish(stateFlags(s, 0));
        const { size, untilEqual } = r;
        const bits = 8 * size;
        x[0] = s[W_GPR + 2 * RAX] & (size >= 4 ? -1 : (1 << bits) - 1);
        x[1] = size === 8 ? s[W_GPR + 2 * RAX + 1] : 0;
        for (let stop = false; !stop && r.goesOn;) {
          const n = r.few(inMemory ? r.run(target, source) : r.run(target));
          let done = 0;
          if (n === 0) {
            if (inMemory) read(cpu, size, source.check(), x);
            read(cpu, size, target.check(), y);
            stop = isEqual(x, y) === untilEqual;
          }
          // Downwards, the host offsets are those of the last element.
          const last = (n - 1) * size;
          while (done < n && !stop) {
            const at = r.backwards ? last - done * size : done * size;
            readHost(cpu.engine.u8, size, target.host + at, y);
            if (inMemory) readHost(cpu.engine.u8, size, source.host + at, x);
            done++;
            stop = isEqual(x, y) === untilEqual;
          }
          target.advance(Math.max(done, 1));
          if (inMemory) source.advance(Math.max(done, 1));
          if (n === 0) r.did();
          else r.ran(done);
          if (stop) break;
          const result = r.plain(run, inMemory);
          if (result >= 0) return finish(result >> REP_FLAGS_SHIFT);
        }
        return finish(flagsOf(x, y, bits));
      };
    },
  );
}

const isEqual = (x: Int32Array, y: Int32Array): boolean =>
  x[0] === y[0] && x[1] === y[1];

/** The flags of the comparison of two elements. */
function flagsOf(x: Int32Array, y: Int32Array, bits: number): number {
  // At the top of 64 bits they compare as they are; AF is at the bottom.
  const wide = (v: Int32Array): bigint =>
    BigInt.asUintN(
      64,
      (BigInt(v[1]) << 32n | BigInt(v[0] >>> 0)) << BigInt(64 - bits),
    );
  const [a, b] = [wide(x), wide(y)];
  const flags = wideFlags(CC_SUB >> 2, BigInt.asUintN(64, a - b), b, 0n);
  return lowFlags(flags, x[0], y[0]);
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
export const LONG_REP_CMPS: Helper = compare(
  "long_rep_cmps",
  true,
  PLAIN_CMPS,
);
/** REPE and REPNE SCAS. */
export const LONG_REP_SCAS: Helper = compare(
  "long_rep_scas",
  false,
  PLAIN_SCAS,
);
