/**
 * Repeated string instructions in WebAssembly: the plain case, which is flat
 * segments and pages that the TLB serves. Here are MOVS and STOS;
 * string_compare.ts has the others.
 *
 * These functions are pure in the registers: they take pointers and a count,
 * work on guest memory and say how many elements they did; IR moves the
 * registers on. So a short run costs neither spills nor reloads. They never
 * fault: where they meet a miss, a device, a page with code or an element
 * across two pages they stop, and the helper in strings.ts or long_strings.ts
 * goes on from there.
 *
 * Most runs of real programs are a few bytes. So each kernel has two functions:
 * one for a run on one page and of up to `SHORT` bytes (for comparisons: that
 * ends within `CHUNK` bytes), which does without loops over pages, and one for
 * all other runs. Short copies are a few moves that may overlap, because
 * `memory.copy` and `memory.fill` take 6 ns whatever the length (64 bytes by
 * vectors: 2 ns). A round of the benchmark `rep_short`, five REPs of some 20
 * elements in all: 365 ns by helpers with all registers in the state, 95 by
 * functions over registers, 85 with those for short runs of their own (TCG: 74).
 * Branches that are taken at random cost most of what is left: without those for
 * no elements it is another eighth less.
 *
 * @module
 */

import { TLB_READ, TLB_WRITE } from "../../../core/exec/layout.ts";
import {
  add,
  and,
  asm,
  type Code,
  eq,
  eqz,
  geS,
  get,
  i32,
  i64,
  leave,
  leS,
  ltU,
  or,
  select,
  set,
  shl,
  shrL,
  shrU,
  sub,
  when,
  wrap,
} from "./float80_emit.ts";
import { type Frame, mul, type Native } from "./integer_kernel.ts";
import {
  bump,
  loadOf,
  min,
  storeOf,
  type StringFrame,
  stringNative,
} from "./string_frame.ts";
import { OFF_SCRATCH } from "./state.ts";
import { REP_DOWN, REP_LOG_SHIFT } from "./string_what.ts";
import {
  plain,
  repeatWhile,
  simd,
  v128Load,
  v128Store,
} from "./vector_emit.ts";

/** Bytes up to which 16 are moved at a time. */
const SHORT = 128;
/**
 * Bytes of one `memory.copy`: somewhat above, V8 copies shared memory byte by
 * byte if source and target are not aligned alike (4096 bytes in 1.2 us instead
 * of 0.05).
 */
const BULK = 2048;

const rotl = plain(0x77), splat32 = simd(0x11), splat64 = simd(0x12);

/** Sets `count` and `bytes` to what is asked for. */
function takeCount(s: StringFrame, count: number, bytes: number): void {
  set(count, s.count);
  set(bytes, shl(get(count), s.log));
}

/**
 * Fills or copies up to `SHORT` bytes by moves at distances that overlap when
 * the run is no multiple of their size. There are few cases, because which one
 * it is cannot be predicted: 1 to 3 bytes, 4 to 16, and more.
 */
function shortRun(
  s: StringFrame,
  bytes: number,
  parts: {
    readonly bytes: (distances: readonly Code[]) => void;
    readonly words: (distances: readonly Code[]) => void;
    readonly vectors: (distances: readonly Code[]) => void;
  },
): void {
  const at = s.f.local();
  const last = (n: number): Code => sub(get(bytes), i32(n));
  // Elements of 4 bytes are none of the smallest, even if there are none.
  const isSmall = eqz(s.has(2 << REP_LOG_SHIFT));
  when(
    ltU(get(bytes), i32(17)),
    () =>
      when(
        and(ltU(get(bytes), i32(4)), isSmall),
        () => {
          // The first, the middle and the last are all there is.
          const middle = shrU(get(bytes), i32(1));
          parts.bytes([i32(0), middle, last(1)]);
        },
        () => {
          set(at, shl(ltU(i32(7), get(bytes)), i32(2)));
          const fourth = sub(last(4), get(at));
          parts.words([i32(0), get(at), fourth, last(4)]);
        },
      ),
    () => {
      set(at, i32(0));
      when(ltU(i32(32), get(bytes)), () =>
        repeatWhile(() => {
          parts.vectors([get(at)]);
          bump(at, i32(16));
        }, ltU(get(at), last(32))));
      parts.vectors([get(at), last(16)]);
    },
  );
}

/**
 * Has a run of no bytes, for which the moves of the smallest ones access up to 4
 * bytes to either side, go where nothing stands: a branch for it would be taken
 * at random. (Behind the last page of RAM there may be no memory to read.)
 */
function divertNone(f: Frame, hosts: readonly number[], bytes: number): void {
  const nowhere = i32(f.base + OFF_SCRATCH + 4);
  for (const host of hosts) {
    set(host, select(get(host), nowhere, get(bytes)));
  }
}

/** Moves up to `SHORT` bytes of memory that do not overlap. */
function copyShort(
  s: StringFrame,
  from: number,
  to: number,
  bytes: number,
): void {
  const { f } = s;
  const parts = [f.local(), f.local(), f.local(), f.local()];
  const vectors = [f.vector(), f.vector()];
  const source = (distance: Code): Code => add(get(from), distance);
  const target = (distance: Code): Code => add(get(to), distance);
  shortRun(s, bytes, {
    bytes: (distances) => {
      distances.forEach((d, n) => set(parts[n], loadOf(0, source(d))));
      distances.forEach((d, n) => storeOf(0, target(d), get(parts[n])));
    },
    words: (distances) => {
      distances.forEach((d, n) => set(parts[n], loadOf(2, source(d))));
      distances.forEach((d, n) => storeOf(2, target(d), get(parts[n])));
    },
    vectors: (distances) => {
      distances.forEach((d, n) => set(vectors[n], v128Load(source(d))));
      distances.forEach((d, n) => v128Store(target(d), get(vectors[n])));
    },
  });
}

/** MOVS: source and target. */
const movs = (isWide: boolean): Native =>
  stringNative(
    isWide,
    (s) => {
      const { f } = s;
      const count = f.local(), bytes = f.local();
      const source = { address: s.source, tag: TLB_READ, host: f.local() };
      const target = { address: s.target, tag: TLB_WRITE, host: f.local() };
      takeCount(s, count, bytes);
      s.findHosts(
        [source, target],
        get(bytes),
        or(s.has(REP_DOWN), ltU(i32(SHORT), get(bytes))),
      );
      // Less than the run's length apart, or just that far below.
      const ahead = sub(get(target.host), get(source.host));
      when(
        ltU(add(ahead, get(bytes)), shl(get(bytes), i32(1))),
        () => f.slow(),
      );
      divertNone(f, [source.host, target.host], bytes);
      copyShort(s, source.host, target.host, bytes);
      leave(get(count));
    },
    (s) => {
      const { f } = s;
      when(eqz(s.count), () => leave(i32(0)));
      const isDown = s.has(REP_DOWN);
      const from = f.local(), to = f.local(), at = f.local();
      /** Element after element: what is written is read again. */
      const byElements = (log: number, bytes: number): void => {
        const size = i32(1 << log);
        const move = (): void =>
          storeOf(
            log,
            add(get(to), get(at)),
            loadOf(log, add(get(from), get(at))),
          );
        when(isDown, () => {
          set(at, get(bytes));
          repeatWhile(() => {
            set(at, sub(get(at), size));
            move();
          }, get(at));
        }, () => {
          set(at, i32(0));
          repeatWhile(() => {
            move();
            bump(at, size);
          }, ltU(get(at), get(bytes)));
        });
      };
      const copy = (distance: Code, bytes: Code): void => {
        add(get(to), distance)();
        add(get(from), distance)();
        bytes();
        asm.e.raw(Uint8Array.of(0xfc, 0x0a, 0, 0)); // memory.copy
      };
      const bulk = (bytes: number): void => {
        const low = (): void => copy(i32(0), min(get(bytes), i32(BULK)));
        const high = (): void =>
          when(
            ltU(i32(BULK), get(bytes)),
            () => copy(i32(BULK), sub(get(bytes), i32(BULK))),
          );
        when(isDown, high);
        low();
        when(eqz(isDown), high);
      };
      s.runs(
        [
          { address: s.source, tag: TLB_READ, host: from },
          { address: s.target, tag: TLB_WRITE, host: to },
        ],
        () => {},
        ({ bytes, log }) => {
          const ahead = sub(get(to), get(from));
          const apart = (v: Code): Code => eqz(ltU(v, get(bytes)));
          when(
            and(apart(ahead), apart(sub(get(from), get(to)))),
            () =>
              when(
                ltU(i32(SHORT), get(bytes)),
                () => bulk(bytes),
                () => copyShort(s, from, to, bytes),
              ),
            () =>
              when(
                select(geS(ahead, i32(0)), leS(ahead, i32(0)), isDown),
                () => bulk(bytes), // what is written has been read
                () => s.bySize(log, (n) => byElements(n, bytes)),
              ),
          );
        },
        ({ done }) => leave(get(done)),
      );
    },
  );

/** `rep_movs_run`: source, target, what. Here what is short and on one page. */
export const MOVS: Native = movs(false);
/** `long_rep_movs_run`: source, target, what. */
export const LONG_MOVS: Native = movs(true);

/** An element as often as it goes into 8 and 16 bytes: locals. */
interface Pattern {
  /** The low word. */
  readonly word: number;
  /** The high word: not the same if elements have 8 bytes. */
  readonly high: number;
  readonly vector: number;
}

/** The pattern of the accumulator. */
function patternOf(s: StringFrame): Pattern {
  const { f } = s;
  const word = f.local(), vector = f.vector();
  const high = s.isWide ? f.local() : word;
  set(word, s.eax);
  when(
    s.isSize(0),
    () => set(word, mul(and(s.eax, i32(0xff)), i32(0x01010101))),
  );
  when(
    s.isSize(1),
    () => set(word, mul(and(s.eax, i32(0xffff)), i32(0x00010001))),
  );
  set(vector, splat32(get(word)));
  if (s.isWide) {
    set(high, get(word));
    when(s.isSize(3), () => {
      set(high, wrap(shrL(get(s.source), i64(32))));
      set(vector, splat64(get(s.source)));
    });
  }
  return { word, high, vector };
}

/** Fills up to `SHORT` bytes. */
function fillShort(
  s: StringFrame,
  to: number,
  bytes: number,
  p: Pattern,
): void {
  const target = (distance: Code): Code => add(get(to), distance);
  shortRun(s, bytes, {
    bytes: (distances) => {
      // One 16-bit element, or equal bytes.
      const high = shrU(get(p.word), i32(8));
      distances.forEach((d, n) =>
        storeOf(0, target(d), n === 0 ? get(p.word) : high)
      );
    },
    // Of one or two elements of 8 bytes every other word is a high one.
    words: (distances) =>
      distances.forEach((d, n) =>
        storeOf(2, target(d), get(n % 2 === 0 ? p.word : p.high))
      ),
    vectors: (distances) =>
      distances.forEach((d) => v128Store(target(d), get(p.vector))),
  });
}

/** STOS: the accumulator and the target. */
const stos = (isWide: boolean): Native =>
  stringNative(
    isWide,
    (s) => {
      const { f } = s;
      const count = f.local(), bytes = f.local();
      const target = { address: s.target, tag: TLB_WRITE, host: f.local() };
      takeCount(s, count, bytes);
      s.findHosts(
        [target],
        get(bytes),
        or(s.has(REP_DOWN), ltU(i32(SHORT), get(bytes))),
      );
      divertNone(f, [target.host], bytes);
      fillShort(s, target.host, bytes, patternOf(s));
      leave(get(count));
    },
    (s) => {
      const { f } = s;
      when(eqz(s.count), () => leave(i32(0)));
      const to = f.local(), at = f.local();
      let pattern: Pattern;
      const isOneByte = (p: Pattern): Code => {
        const same = eq(get(p.word), rotl(get(p.word), i32(8)));
        return s.isWide ? and(same, eq(get(p.word), get(p.high))) : same;
      };
      const fill = (bytes: number): void => {
        get(to)();
        get(pattern.word)();
        get(bytes)();
        asm.e.raw(Uint8Array.of(0xfc, 0x0b, 0)); // memory.fill
      };
      const byVectors = (bytes: number): void => {
        const last = sub(get(bytes), i32(16));
        const put = (distance: Code): void =>
          v128Store(add(get(to), distance), get(pattern.vector));
        set(at, i32(0));
        repeatWhile(() => {
          put(get(at));
          bump(at, i32(16));
        }, ltU(get(at), last));
        put(last);
      };
      s.runs(
        [{ address: s.target, tag: TLB_WRITE, host: to }],
        () => pattern = patternOf(s),
        ({ bytes }) =>
          when(
            ltU(i32(SHORT), get(bytes)),
            () =>
              when(
                isOneByte(pattern),
                () => fill(bytes),
                () => byVectors(bytes),
              ),
            () => fillShort(s, to, bytes, pattern),
          ),
        ({ done }) => leave(get(done)),
      );
    },
  );

/** `rep_stos_run`: EAX, target, what. */
export const STOS: Native = stos(false);
/** `long_rep_stos_run`: RAX, target, what. */
export const LONG_STOS: Native = stos(true);
