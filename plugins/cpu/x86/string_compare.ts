/**
 * Repeated CMPS and SCAS in WebAssembly: see string_kernel.ts.
 *
 * @module
 */

import { TLB_READ } from "../../../core/exec/layout.ts";
import {
  add,
  and,
  type Code,
  eq,
  eqL,
  eqz,
  eqzL,
  get,
  i32,
  i64,
  type Instruction,
  leave,
  leS,
  ltU,
  ltUL,
  or,
  select,
  set,
  shl,
  shrL,
  shrU,
  sub,
  subL,
  when,
  wrap,
  xor,
  xorL,
} from "./float80_emit.ts";
import type { Native } from "./integer_kernel.ts";
import {
  bump,
  loadOf,
  min,
  PAGE,
  type Pointer,
  type StringFrame,
  stringNative,
} from "./string_frame.ts";
import {
  REP_DOWN,
  REP_FLAGS_SHIFT,
  REP_LOG_SHIFT,
  REP_NOT_EQUAL,
  REP_SLOW,
} from "./string_what.ts";
import { plain, repeatWhile, simd, v128Load } from "./vector_emit.ts";

/** Bytes that comparisons look at together: bits of a word. */
const CHUNK = 32;

const bitmask8 = simd(0x64), ctz = plain(0x68), popcnt = plain(0x69);
/** `splat` and `eq` of 8, 16, 32 and 64 bits. */
const SPLAT = [simd(0x0f), simd(0x10), simd(0x11), simd(0x12)];
const EQUAL = [simd(0x23), simd(0x2d), simd(0x37), simd(0xd6)];

/** Operations on elements of up to 32 bits, and on those of 64. */
interface Operations {
  readonly sub: Instruction;
  readonly xor: Instruction;
  readonly eq: Instruction;
  readonly ltU: Instruction;
  readonly eqz: Instruction;
  /** The low word. */
  readonly low: (v: Code) => Code;
  /** The word that has the sign bit of an element of 64 bits at its top, or of any other where it is. */
  readonly top: (v: Code) => Code;
}

const NARROW: Operations = {
  sub,
  xor,
  eq,
  ltU,
  eqz,
  low: (v) => v,
  top: (v) => v,
};
const WIDE: Operations = {
  sub: subL,
  xor: xorL,
  eq: eqL,
  ltU: ltUL,
  eqz: eqzL,
  low: wrap,
  top: (v) => wrap(shrL(v, i64(32))),
};
const operations = (log: number): Operations => log === 3 ? WIDE : NARROW;

/** In a result: the flags of a comparison of what is equal (ZF, PF). */
const EQUAL_FLAGS = 0x44 << REP_FLAGS_SHIFT;

/** Locals for two elements of one size and their difference. */
interface Elements {
  readonly x: number;
  readonly y: number;
  readonly difference: number;
}

/**
 * The flags of x - y, of 1 << log bytes and zero-extended, where they stand in
 * EFLAGS; `differ`: x and y are known to.
 */
function flagsOf(
  log: number,
  { x, y, difference }: Elements,
  differ = false,
): Code {
  const o = operations(log);
  const sign = Math.min(8 << log, 32) - 1;
  const d = get(difference);
  /** Moves the operand's sign bit to bit `to`. */
  const signTo = (v: Code, to: number): Code =>
    and(
      sign > to ? shrU(v, i32(sign - to)) : shl(v, i32(to - sign)),
      i32(1 << to),
    );
  const unlike = o.xor(get(x), get(y));
  const odd = and(popcnt(and(o.low(d), i32(0xff))), i32(1));
  const overflow = and(o.top(unlike), o.top(o.xor(get(x), d)));
  const flags = [
    o.ltU(get(x), get(y)), // CF
    shl(xor(odd, i32(1)), i32(2)), // PF
    and(o.low(o.xor(unlike, d)), i32(0x10)), // AF
    ...(differ ? [] : [shl(o.eqz(d), i32(6))]),
    signTo(o.top(d), 7),
    signTo(overflow, 11), // OF
  ];
  set(difference, o.sub(get(x), get(y)));
  return flags.reduce((a, b) => or(a, b));
}

/** CMPS (source and target) or SCAS (accumulator and target). */
function compare(inMemory: boolean, isWide: boolean): Native {
  /** The bits of 16 bytes that are equal; all bits of an element are alike. */
  const half = (
    log: number,
    from: Code,
    to: Code,
    key: number,
    distance: number,
  ): Code =>
    bitmask8(EQUAL[log](
      v128Load(to, distance),
      inMemory ? v128Load(from, distance) : get(key),
    ));
  /** Those of `CHUNK` bytes. */
  const equal = (log: number, from: Code, to: Code, key: number): Code =>
    or(
      half(log, from, to, key, 0),
      shl(half(log, from, to, key, 16), i32(16)),
    );
  /** All ones if an element that differs ends it (REPE), else 0. */
  const differs = (s: StringFrame): Code =>
    sub(i32(0), eqz(s.has(REP_NOT_EQUAL)));
  const pointers = (s: StringFrame, from: number, to: number): Pointer[] => {
    const target = { address: s.target, tag: TLB_READ, host: to };
    const source = { address: s.source, tag: TLB_READ, host: from };
    return inMemory ? [target, source] : [target];
  };
  return stringNative(
    isWide,
    (s) => {
      // Bytes of which the last is among the first ones.
      const { f } = s;
      const from = f.local(),
        to = f.local(),
        count = f.local(),
        at = f.local(),
        same = f.local(),
        key = f.vector();
      const e = { x: f.local(), y: f.local(), difference: f.local() };
      const here = (base: number): Code => add(get(base), get(at));
      set(count, s.count);
      // Of more than a byte, or none.
      const unfit = or(
        s.has(REP_DOWN | 3 << REP_LOG_SHIFT),
        eqz(get(count)),
      );
      s.findHosts(pointers(s, from, to), i32(CHUNK), unfit);
      if (!inMemory) set(key, SPLAT[0](s.eax));
      if (inMemory) {
        // What differs does so early.
        const part = (distance: number): Code =>
          half(0, get(from), get(to), key, distance);
        set(same, part(0));
        when(
          eqz(and(xor(get(same), differs(s)), i32(0xffff))),
          () => set(same, or(get(same), shl(part(16), i32(16)))),
        );
      } else set(same, equal(0, get(from), get(to), key));
      const end = ctz(xor(get(same), differs(s)));
      set(at, min(end, sub(get(count), i32(1))));
      when(eq(get(at), i32(CHUNK)), () => f.slow());
      // As a search ends: no need to look at what is equal.
      when(
        and(shrU(get(same), get(at)), i32(1)),
        () => leave(add(get(at), i32(EQUAL_FLAGS + 1))),
      );
      set(e.x, inMemory ? loadOf(0, here(from)) : and(s.eax, i32(0xff)));
      set(e.y, loadOf(0, here(to)));
      const flags = shl(flagsOf(0, e, true), i32(REP_FLAGS_SHIFT));
      leave(or(flags, add(get(at), i32(1))));
    },
    (s) => {
      const { f } = s;
      const from = f.local(),
        to = f.local(),
        at = f.local(),
        stop = f.local(),
        width = f.local(),
        inChunks = f.local(),
        key = f.vector();
      const small = { x: f.local(), y: f.local(), difference: f.local() };
      const large = isWide
        ? {
          x: inMemory ? f.local64() : s.source,
          y: f.local64(),
          difference: f.local64(),
        }
        : small;
      const sized = (log: number): Elements => log === 3 ? large : small;
      // Nothing compared: the helper sees to the flags. Downwards is rare.
      when(
        or(eqz(s.count), s.has(REP_DOWN)),
        () => leave(i32(REP_SLOW)),
      );
      const used = pointers(s, from, to);
      const here = (base: number): Code => add(get(base), get(at));
      /** Loads the elements at the present place. */
      const load = (log: number): void => {
        set(sized(log).y, loadOf(log, here(to)));
        if (inMemory) set(sized(log).x, loadOf(log, here(from)));
      };
      /** Leaves with the flags of the elements at the present place. */
      const finish = (log: number, done: Code): void =>
        s.bySize(log, (n) => {
          load(n);
          const flags = flagsOf(n, sized(n));
          leave(or(done, shl(flags, i32(REP_FLAGS_SHIFT))));
        });
      s.runs(
        used,
        ({ log }) => {
          if (inMemory) return;
          s.bySize(log, (n) => {
            const part = i32(n * 0xff00 | 0xff);
            set(key, SPLAT[n](n === 3 ? get(s.source) : s.eax));
            if (n === 3) return;
            set(small.x, n === 2 ? s.eax : and(s.eax, part));
          });
        },
        ({ log, bytes, done }) => {
          set(at, i32(0));
          // Chunks may reach beyond the run, but not beyond a page.
          set(inChunks, sub(i32(PAGE - CHUNK), s.offsetsOf(used)));
          repeatWhile(() => {
            when(leS(get(at), get(inChunks)), () => {
              set(width, i32(CHUNK));
              s.bySize(
                log,
                (n) => set(stop, equal(n, here(from), here(to), key)),
              );
              set(stop, xor(get(stop), differs(s)));
            }, () => {
              set(width, shl(i32(1), get(log)));
              s.bySize(log, (n) => {
                load(n);
                set(stop, operations(n).eq(get(sized(n).x), get(sized(n).y)));
              });
              set(stop, xor(get(stop), and(differs(s), i32(1))));
            });
            bump(at, select(ctz(get(stop)), get(width), get(stop)));
          }, and(eqz(get(stop)), ltU(get(at), get(bytes))));
          when(ltU(get(at), get(bytes)), () => {
            const now = add(shrU(get(at), get(log)), i32(1));
            finish(log, add(get(done), now));
          });
        },
        ({ log, bytes, done }) => {
          set(at, sub(get(bytes), shl(i32(1), get(log))));
          finish(log, get(done));
        },
      );
    },
  );
}

/** `rep_cmps_run`: source, target, what. */
export const CMPS: Native = compare(true, false);
/** `rep_scas_run`: EAX, target, what. */
export const SCAS: Native = compare(false, false);
/** `long_rep_cmps_run`: source, target, what. */
export const LONG_CMPS: Native = compare(true, true);
/** `long_rep_scas_run`: RAX, target, what. */
export const LONG_SCAS: Native = compare(false, true);
