/**
 * Repeated string instructions.
 *
 * One call does a bounded amount, so that interrupts are taken between calls:
 * runs within a page of plain memory by the host's own bulk operations, all
 * else element by element through the MMU. The registers in the state are
 * those of a whole number of elements whenever something can fault.
 *
 * In flat segments these helpers only see to what the functions in
 * string_kernel.ts stop at, and let them go on. How many elements an instruction does before
 * interrupts are looked at does not depend on what the TLB holds: `REP_WHAT`
 * has the number that is left.
 *
 * @module
 */

import { ACCESS_READ, type CpuEngine } from "../../../core/cpu/frontend.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import type { Global } from "../../../core/ir/types.ts";
import type { X86 } from "./cpu.ts";
import { define } from "./helpers.ts";
import { arithFlags, stateFlags } from "./flags.ts";
import type { Native } from "./integer_kernel.ts";
import { WORD } from "./long_mode.ts";
import { AC, GP, segmentAllows, SS_FAULT } from "./operands.ts";
import {
  CC_SRC,
  CC_SUB,
  DF,
  ES,
  GPR,
  KEY_ALIGN,
  KEY_DEBUG,
  OFF_CC_SRC,
  OFF_FLAGS,
  OFF_GPR,
  OFF_SEG,
  SCRATCH32,
  SEG_BASE,
  SS,
} from "./state.ts";
import { CMPS, SCAS } from "./string_compare.ts";
import { MOVS, STOS } from "./string_kernel.ts";
import {
  REP_ADDR16,
  REP_DOWN,
  REP_FLAGS_SHIFT,
  REP_FLAT,
  REP_LOG_SHIFT,
  REP_NOT_EQUAL,
  REP_SEGMENT_SHIFT,
  REP_SINGLE,
  REP_SLOW,
} from "./string_what.ts";

/** Elements that one call does one by one at most. */
export const MAX_SLOW = 512;
/** Elements done one by one where memory turned out not to be plain (a device). */
export const BURST = 64;

/**
 * What the helpers are to do: see string_what.ts.
 */
export const REP_WHAT: Global = SCRATCH32[2];

const EAX = OFF_GPR >> 2,
  ECX = EAX + 2,
  ESI = EAX + 12,
  EDI = EAX + 14,
  W_FLAGS = OFF_FLAGS >> 2,
  W_CC_SRC = OFF_CC_SRC >> 2,
  W_BASE = (OFF_SEG + SEG_BASE) >> 2,
  W_WHAT = REP_WHAT.offset >> 2;

/** One string pointer's run: how many elements can be done at once. */
class Pointer {
  readonly #cpu: X86;
  readonly #register: number;
  readonly #write: boolean;
  #segment = 0;
  #base = 0;
  #mask = 0;
  #size = 0;
  #step = 0;
  /** Host offset of the run's first byte in memory order. */
  host = 0;
  /** Linear address of the present element. */
  linear = 0;

  constructor(cpu: X86, register: number, write: boolean) {
    this.#cpu = cpu;
    this.#register = register;
    this.#write = write;
  }

  /** Takes the mode of one call. */
  start(size: number, mask: number, segment: number, step: number): void {
    this.#segment = segment;
    this.#base = this.#cpu.state[W_BASE + 8 * segment];
    this.#mask = mask;
    this.#size = size;
    this.#step = step;
  }

  #offset(): number {
    return this.#cpu.state[this.#register] & this.#mask;
  }

  /**
   * The longest run of at most `count` elements, 0 if the next must be done by
   * itself, -1 if more must. If it is to be written, then with what stands at
   * host offset `from`, -1 if that is not known.
   */
  run(count: number, from: number): number {
    const cpu = this.#cpu;
    const size = this.#size;
    const offset = this.#offset() >>> 0;
    const linear = (this.#base + offset) >>> 0;
    const inPage = linear & 0xfff;
    if (inPage + size > 0x1000) return 0;
    if ((linear & (size - 1)) !== 0 && (cpu.key() & KEY_ALIGN) !== 0) return 0;
    const top = this.#mask === -1 ? 0x100000000 : 0x10000;
    if (offset + size > top) return 0;
    let n = this.#step > 0
      ? Math.min(
        (0x1000 - inPage) / size | 0,
        Math.floor((top - offset) / size),
      )
      : Math.min((inPage / size | 0) + 1, Math.floor(offset / size) + 1);
    if (n > count) n = count;
    const back = this.#step > 0 ? 0 : (n - 1) * size;
    const first = offset - back;
    if (
      !segmentAllows(
        cpu,
        this.#segment,
        first,
        first + n * size - 1,
        this.#write,
      )
    ) return 0;
    const lowest = (linear - back) | 0;
    const host = this.#write
      ? cpu.mmu.directStore(lowest, n * size, cpu.dataMmu, from)
      : cpu.mmu.direct(lowest, ACCESS_READ, cpu.dataMmu);
    if (host < 0) return -1;
    this.host = host;
    return n;
  }

  /** Checks the present element's segment and sets its linear address. */
  check(): void {
    const offset = this.#offset() >>> 0;
    if (
      !segmentAllows(
        this.#cpu,
        this.#segment,
        offset,
        offset + this.#size - 1,
        this.#write,
      )
    ) this.#cpu.raise(this.#segment === SS ? SS_FAULT : GP, 0);
    this.linear = this.#base + offset | 0;
    if (
      (this.linear & (this.#size - 1)) !== 0 &&
      (this.linear >>> 0) + this.#size <= WORD &&
      (this.#cpu.key() & KEY_ALIGN) !== 0
    ) this.#cpu.raise(AC, 0);
  }

  /** Moves on by `n` elements. */
  advance(n: number): void {
    const s = this.#cpu.state;
    const old = s[this.#register];
    const v = old + n * this.#step;
    s[this.#register] = (old & ~this.#mask) | (v & this.#mask);
  }
}

/** Reads an element of guest memory. */
function read(cpu: X86, size: number, address: number): number {
  const m = cpu.dataMmu;
  return size === 1
    ? cpu.mmu.read8(address, m)
    : size === 2
    ? cpu.mmu.read16(address, m)
    : cpu.mmu.read32(address, m);
}

/** Writes an element of guest memory. */
function write(cpu: X86, size: number, address: number, v: number): void {
  const m = cpu.dataMmu;
  if (size === 1) cpu.mmu.write8(address, v & 0xff, m);
  else if (size === 2) cpu.mmu.write16(address, v & 0xffff, m);
  else cpu.mmu.write32(address, v, m);
}

/** Reads an element of host memory, zero-extended but for 32 bits. */
function hostRead(u8: Uint8Array, size: number, at: number): number {
  if (size === 1) return u8[at];
  const low = u8[at] | (u8[at + 1] << 8);
  return size === 2 ? low : low | (u8[at + 2] << 16) | (u8[at + 3] << 24);
}

function hostWrite(u8: Uint8Array, size: number, at: number, v: number): void {
  u8[at] = v;
  if (size === 1) return;
  u8[at + 1] = v >> 8;
  if (size === 2) return;
  u8[at + 2] = v >> 16;
  u8[at + 3] = v >> 24;
}

/** What all repeated instructions share: counting. */
class Repeat {
  readonly cpu: X86;
  readonly source: Pointer;
  readonly target: Pointer;
  size = 0;
  backwards = false;
  /** REPNE. */
  untilEqual = false;
  #what = 0;
  #mask = 0;
  #single = false;
  /** Elements that this call may still do. */
  #left = 0;
  /** Elements that it may still do one by one. */
  #slow = 0;
  /** Elements to do one by one before a run is tried again. */
  #burst = 0;

  constructor(cpu: X86, targetIsWritten: boolean) {
    this.cpu = cpu;
    this.source = new Pointer(cpu, ESI, false);
    this.target = new Pointer(cpu, EDI, targetIsWritten);
  }

  start(): void {
    const cpu = this.cpu;
    const what = this.#what = cpu.state[W_WHAT];
    const size = 1 << ((what >> REP_LOG_SHIFT) & 3);
    const mask = (what & REP_ADDR16) !== 0 ? 0xffff : -1;
    this.size = size;
    this.backwards = (cpu.state[W_FLAGS] & DF) !== 0;
    this.untilEqual = (what & REP_NOT_EQUAL) !== 0;
    const step = this.backwards ? -size : size;
    this.#mask = mask;
    this.#single = (what & REP_SINGLE) !== 0;
    this.source.start(size, mask, (what >> REP_SEGMENT_SHIFT) & 7, step);
    this.target.start(size, mask, ES, step);
    this.#left = what & 0xffff;
    this.#slow = MAX_SLOW;
    this.#burst = 0;
  }

  /** Elements left of the instruction. */
  get count(): number {
    return (this.cpu.state[ECX] & this.#mask) >>> 0;
  }

  /**
   * Lets a function of string_kernel.ts do what it can; `first` is its first
   * argument. Gives its result.
   */
  plain(run: Run, first: number, inSource: boolean): number {
    if (this.#burst > 0 || (this.#what & REP_FLAT) === 0) return REP_SLOW;
    const result = run(
      first,
      this.cpu.state[EDI],
      this.#what & ~(0xffff | REP_DOWN) | Math.min(this.count, this.#left) |
        (this.backwards ? REP_DOWN : 0),
    );
    const done = result & 0xffff;
    if (inSource) this.source.advance(done);
    this.target.advance(done);
    this.#countDown(done);
    return result;
  }

  /** Elements that may be tried as a run; 0 when runs are no good. */
  #quota(): number {
    if (this.#burst > 0 || this.#single) return 0;
    if ((this.cpu.key() & KEY_DEBUG) !== 0) return 0;
    return Math.min(this.count, this.#left);
  }

  /** Elements of the next run of one or two pointers, whose host offsets are then set; 0 if the next is to be done by itself. */
  run(first: Pointer, second?: Pointer): number {
    let n = this.#quota();
    if (n !== 0) n = first.run(n, -1);
    if (n > 0 && second !== undefined) {
      // Backwards, a shorter run would begin at another byte.
      const m = second.run(n, this.backwards ? -1 : first.host);
      if (m < n) n = m <= 0 ? m : first.run(m, -1);
    }
    if (n >= 0) return n;
    this.#burst = BURST;
    return 0;
  }

  /** Whether this call may go on. */
  get goesOn(): boolean {
    return this.#left > 0 && this.#slow > 0 && this.count !== 0;
  }

  /** Counts `n` elements done as a run. */
  ran(n: number): void {
    this.#countDown(n);
  }

  /** Counts one element done by itself. */
  did(): void {
    this.#slow = this.#single ? 0 : this.#slow - 1;
    this.#burst--;
    this.#countDown(1);
  }

  #countDown(n: number): void {
    this.#left -= n;
    const s = this.cpu.state;
    const old = s[ECX];
    s[ECX] = (old & ~this.#mask) | ((old - n) & this.#mask);
  }
}

function copyElement(
  u8: Uint8Array,
  size: number,
  to: number,
  from: number,
): void {
  if (size < 8) return hostWrite(u8, size, to, hostRead(u8, size, from));
  // All of it is read before any of it is written.
  const [low, high] = [hostRead(u8, 4, from), hostRead(u8, 4, from + 4)];
  hostWrite(u8, 4, to, low);
  hostWrite(u8, 4, to + 4, high);
}

/** Copies a run as element after element would, overlapping or not. */
export function copyRun(
  engine: CpuEngine,
  size: number,
  from: number,
  to: number,
  n: number,
  backwards: boolean,
): void {
  const u8 = engine.u8;
  const bytes = n * size;
  const distance = backwards ? from - to : to - from;
  if (distance <= 0 || distance >= bytes) {
    if (bytes <= 32 && distance >= bytes) {
      for (let k = 0; k < bytes; k++) u8[to + k] = u8[from + k];
    } else u8.copyWithin(to, from, from + bytes);
  } else if (!backwards) {
    for (let k = 0; k < bytes; k += size) {
      copyElement(u8, size, to + k, from + k);
    }
  } else {
    for (let k = bytes - size; k >= 0; k -= size) {
      copyElement(u8, size, to + k, from + k);
    }
  }
}

/** Fills a run with an element. */
function fillRun(
  u8: Uint8Array,
  size: number,
  to: number,
  n: number,
  v: number,
): void {
  const end = to + n * size;
  const byte = v & 0xff;
  const repeated = size === 1 ||
    (size === 2
      ? (v & 0xffff) === byte * 0x101
      : (v | 0) === (byte * 0x01010101 | 0));
  if (repeated) {
    u8.fill(byte, to, end);
    return;
  }
  hostWrite(u8, size, to, v);
  // Double what is there.
  for (let done = size; to + done < end; done *= 2) {
    u8.copyWithin(to + done, to, Math.min(to + done, end - done));
  }
}

/** A function of string_kernel.ts for one CPU. */
export type Run<Address = number> = (
  source: Address,
  target: Address,
  what: number,
) => number;

/** A helper by a function of string_kernel.ts. */
export interface Plain<Address = number> {
  /** What translated code calls. */
  readonly helper: Helper;
  /** The function, for the helpers in TypeScript. */
  readonly of: (cpu: X86) => Run<Address>;
}

/** Makes a function of string_kernel.ts a helper. */
export function plain<Address = number>(
  name: string,
  native: Native,
  longs = false,
): Plain<Address> {
  const bound = new WeakMap<X86, Run<Address>>();
  const helper = define(
    name,
    3,
    {
      reads: [],
      writes: [],
      longs,
      native: (cpu) => {
        const make = native(cpu);
        if (make === undefined) return;
        return (...where) => {
          const run = make(...where);
          bound.set(cpu, run as unknown as Run<Address>);
          return run;
        };
      },
    },
    // Without the function all is left to the helpers.
    () => () => REP_SLOW,
  );
  return { helper, of: (cpu) => bound.get(cpu) ?? (() => REP_SLOW) };
}

const PLAIN_MOVS = plain("rep_movs_run", MOVS);
const PLAIN_STOS = plain("rep_stos_run", STOS);
const PLAIN_CMPS = plain("rep_cmps_run", CMPS);
const PLAIN_SCAS = plain("rep_scas_run", SCAS);

/** REP MOVS, the plain case. */
export const MOVS_RUN: Helper = PLAIN_MOVS.helper;
/** REP STOS, the plain case. */
export const STOS_RUN: Helper = PLAIN_STOS.helper;
/** REPE and REPNE CMPS, the plain case. */
export const CMPS_RUN: Helper = PLAIN_CMPS.helper;
/** REPE and REPNE SCAS, the plain case. */
export const SCAS_RUN: Helper = PLAIN_SCAS.helper;

const COUNTERS = [GPR[1], GPR[6], GPR[7]];

/** REP MOVS. */
export const REP_MOVS: Helper = define(
  "rep_movs",
  0,
  { faults: true, writes: COUNTERS },
  (cpu) => {
    const r = new Repeat(cpu, true);
    const { source, target } = r;
    let run: Run | undefined;
    return () => {
      run ??= PLAIN_MOVS.of(cpu);
      r.start();
      while (r.goesOn) {
        if (r.plain(run, cpu.state[ESI], true) >= 0) break;
        const n = r.run(source, target);
        if (n !== 0) {
          copyRun(cpu.engine, r.size, source.host, target.host, n, r.backwards);
          source.advance(n);
          target.advance(n);
          r.ran(n);
          continue;
        }
        source.check();
        const v = read(cpu, r.size, source.linear);
        target.check();
        write(cpu, r.size, target.linear, v);
        source.advance(1);
        target.advance(1);
        r.did();
      }
      return 0;
    };
  },
);

/** REP STOS. */
export const REP_STOS: Helper = define(
  "rep_stos",
  0,
  { faults: true, writes: COUNTERS },
  (cpu) => {
    const r = new Repeat(cpu, true);
    const target = r.target;
    let run: Run | undefined;
    return () => {
      run ??= PLAIN_STOS.of(cpu);
      r.start();
      const v = cpu.state[EAX];
      while (r.goesOn) {
        if (r.plain(run, v, false) >= 0) break;
        const n = r.run(target);
        if (n !== 0) {
          // The TLB has the page now: the function fills it in half the time.
          const rest = r.plain(run, v, false);
          if (rest >= 0) break;
          if (rest !== REP_SLOW) continue;
          fillRun(cpu.engine.u8, r.size, target.host, n, v);
          target.advance(n);
          r.ran(n);
          continue;
        }
        target.check();
        write(cpu, r.size, target.linear, v);
        target.advance(1);
        r.did();
      }
      return 0;
    };
  },
);

/** REP LODS: only the last element stays. */
export const REP_LODS: Helper = define(
  "rep_lods",
  0,
  { faults: true, writes: [GPR[0], ...COUNTERS] },
  (cpu) => {
    const r = new Repeat(cpu, false);
    const source = r.source;
    return () => {
      r.start();
      const mask = r.size === 4 ? -1 : r.size === 2 ? 0xffff : 0xff;
      while (r.goesOn) {
        source.check();
        const v = read(cpu, r.size, source.linear);
        cpu.state[EAX] = (cpu.state[EAX] & ~mask) | (v & mask);
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
function compare(name: string, inMemory: boolean, plain: Plain): Helper {
  return define(
    name,
    0,
    { faults: true, writes: [...COUNTERS, CC_SRC] },
    (cpu) => {
      const r = new Repeat(cpu, false);
      const { source, target } = r;
      let run: Run | undefined;
      return () => {
        run ??= plain.of(cpu);
        r.start();
        const s = cpu.state;
        if (r.count === 0) {
          s[W_CC_SRC] = stateFlags(s, 0);
          return 0;
        }
        const { size, untilEqual } = r;
        const mask = size === 4 ? -1 : size === 2 ? 0xffff : 0xff;
        let x = s[EAX] & mask, y = 0;
        let stop = false;
        while (!stop && r.goesOn) {
          const result = r.plain(run, s[inMemory ? ESI : EAX], inMemory);
          if (result >= 0) {
            s[W_CC_SRC] = result >> REP_FLAGS_SHIFT;
            return 0;
          }
          const n = inMemory ? r.run(target, source) : r.run(target);
          if (n !== 0) {
            const u8 = cpu.engine.u8;
            let done = 0;
            const last = (n - 1) * size;
            while (done < n) {
              const at = r.backwards ? last - done * size : done * size;
              y = hostRead(u8, size, target.host + at);
              if (inMemory) x = hostRead(u8, size, source.host + at);
              done++;
              if ((x === y) === untilEqual) {
                stop = true;
                break;
              }
            }
            target.advance(done);
            if (inMemory) source.advance(done);
            r.ran(done);
            continue;
          }
          if (inMemory) {
            source.check();
            x = read(cpu, size, source.linear);
          }
          target.check();
          y = read(cpu, size, target.linear);
          target.advance(1);
          if (inMemory) source.advance(1);
          r.did();
          stop = (x === y) === untilEqual;
        }
        s[W_CC_SRC] = arithFlags(CC_SUB + (size >> 1), x - y, y, 0, 0);
        return 0;
      };
    },
  );
}

/** REPE and REPNE CMPS. */
export const REP_CMPS: Helper = compare("rep_cmps", true, PLAIN_CMPS);
/** REPE and REPNE SCAS. */
export const REP_SCAS: Helper = compare("rep_scas", false, PLAIN_SCAS);
