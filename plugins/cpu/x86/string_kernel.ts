/**
 * Repeated string instructions in WebAssembly: the plain case, which is flat
 * segments and pages that the TLB serves.
 *
 * These functions are pure in the registers: they take pointers and a count,
 * work on guest memory and say how many elements they did; IR moves the
 * registers on. So a short run costs neither spills nor reloads. They never
 * fault: where they meet a miss, a device, a page with code or an element
 * across two pages they stop, and the helper in strings.ts goes on from there.
 *
 * Most runs of real programs are a few bytes. So each kernel has two functions:
 * one for a run on one page and of up to `SHORT` bytes (for comparisons: that
 * ends within `CHUNK` bytes), which does without loops over pages, and one for
 * all other runs. Short copies are a few moves that may overlap, because
 * `memory.copy` and `memory.fill` take 6 ns whatever the length (64 bytes by
 * vectors: 2 ns). A round of the benchmark `rep_short`, five REPs of some 20
 * elements in all: 365 ns by helpers with all registers in the state, 95 by
 * functions over registers, 85 with those for short runs of their own (TCG: 74).
 *
 * @module
 */

import {
  OFF_TLB,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  TLB_READ,
  TLB_WRITE,
} from "../../../core/exec/layout.ts";
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
  I64,
  i64,
  leave,
  leS,
  loadL,
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
  xor,
} from "./float80_emit.ts";
import { type Frame, mul, type Native, native } from "./integer_kernel.ts";
import { repeatWhile, simd, V128, v128Load, v128Store } from "./vector_emit.ts";

/** Elements that one call of a repeated string instruction does at most. */
export const MAX_ELEMENTS = 0x4000;

// The argument that says what to do, for these functions and for the helpers:
// in the low half the number of elements, at most `MAX_ELEMENTS`; above it
// log2 of the element size in bits 16 and 17, the segment of the source in bits
// 20-22, and these.

/** Where the size stands. */
export const REP_LOG_SHIFT = 16;
/** Where the segment of the source stands. */
export const REP_SEGMENT_SHIFT = 20;
/** 16-bit addresses. */
export const REP_ADDR16 = 1 << 24;
/** REPNE instead of REPE (CMPS, SCAS). */
export const REP_NOT_EQUAL = 1 << 25;
/** One element only: single-stepping. */
export const REP_SINGLE = 1 << 26;
/** Accesses go through TLB 1. */
export const REP_USER = 1 << 27;
/** Downwards: DF is set. */
export const REP_DOWN = 1 << 28;
/** Flat segments, 32-bit addresses: what these functions can do. */
export const REP_FLAT = 1 << 29;

/**
 * In the result: the helper is to go on. Otherwise the low half of the result is
 * the number of elements done, and above it stand the flags of the last
 * comparison (CMPS, SCAS).
 */
export const REP_SLOW: number = 0x80000000 | 0;
/** Where the flags stand in the result. */
export const REP_FLAGS_SHIFT = 16;

/** Bytes that comparisons look at together: bits of a word. */
const CHUNK = 32;
/** Bytes up to which 16 are moved at a time. */
const SHORT = 128;
/**
 * Bytes of one `memory.copy`: somewhat above, V8 copies shared memory byte by
 * byte if source and target are not aligned alike (4096 bytes in 1.2 us instead
 * of 0.05).
 */
const BULK = 2048;
const PAGE = 4096;

const splat32 = simd(0x11);
const bitmask8 = simd(0x64);
/** `splat` and `eq` of 8, 16 and 32 bits. */
const SPLAT = [simd(0x0f), simd(0x10), splat32];
const EQUAL = [simd(0x23), simd(0x2d), simd(0x37)];

const one = (code: number) => (v: Code): Code => () => {
  v();
  asm.e.u8(code);
};
const ctz = one(0x68), popcnt = one(0x69);

/** Opcodes of unsigned loads and of stores of 1, 2 and 4 bytes. */
const LOADS = [0x2d, 0x2f, 0x28], STORES = [0x3a, 0x3b, 0x36];
const loadOf = (log: number, at: Code): Code => () => {
  at();
  asm.e.mem(LOADS[log], 0);
};
const storeOf = (log: number, at: Code, v: Code): void => {
  at();
  v();
  asm.e.mem(STORES[log], 0);
};

const bump = (local: number, by: Code): void => set(local, add(get(local), by));
const min = (a: Code, b: Code): Code => select(a, b, ltU(a, b));
const max = (a: Code, b: Code): Code => select(a, b, ltU(b, a));
const has = (flag: number): Code => and(get(WHAT), i32(flag));
/** What depends on the element size. */
const bySize = (log: number, body: (log: number) => void): void =>
  when(
    get(log),
    () => when(eq(get(log), i32(1)), () => body(1), () => body(2)),
    () => body(0),
  );

/** The parameters: for STOS and SCAS the first is EAX. */
const SOURCE = 0, TARGET = 1, WHAT = 2;

/** A pointer to guest memory. */
interface Pointer {
  /** Local with the linear address. */
  readonly address: number;
  /** `TLB_READ` or `TLB_WRITE`. */
  readonly tag: number;
  /** Local with the host address of the run's first byte in memory. */
  readonly host: number;
}

/** What a run is done with: locals. */
interface Run {
  /** log2 of the element size. */
  readonly log: number;
  /** Bytes of the run. */
  readonly bytes: number;
  /** Elements done in the runs before. */
  readonly done: number;
}

/** Sets a local to the address of the TLB. */
function findTlb(f: Frame, tlb: number): void {
  const second = shrU(has(REP_USER), i32(Math.log2(REP_USER / TLB_BYTES)));
  set(tlb, add(i32(f.base + OFF_TLB), second));
}

/** Sets `p.host` to what lies beyond 4095 at a miss, else to the offset in the page; `pair` gets what the TLB has. */
function lookUp(tlb: number, pair: number, p: Pointer): void {
  const entry = add(
    get(tlb),
    and(
      shrU(get(p.address), i32(12 - Math.log2(TLB_ENTRY_BYTES))),
      i32((TLB_ENTRIES - 1) * TLB_ENTRY_BYTES),
    ),
  );
  // Tag and host offset at once.
  set(pair, loadL(entry, p.tag));
  set(p.host, xor(get(p.address), wrap(get(pair))));
}

/** After a hit: adds the page's host offset. */
const toHost = (pair: number, p: Pointer): void =>
  bump(p.host, wrap(shrL(get(pair), i64(8 * TLB_HOST))));

const inPage = (p: Pointer): Code => and(get(p.address), i32(PAGE - 1));
const offsetsOf = (pointers: readonly Pointer[]): Code =>
  pointers.map(inPage).reduce((a, b) => max(a, b));

/**
 * The host addresses of pointers of which one is at most `PAGE - room` in its
 * page; else goes the slow way, as it does if `unfit`.
 */
function findHosts(
  f: Frame,
  pointers: readonly Pointer[],
  room: Code,
  unfit: Code,
): void {
  const tlb = f.local();
  const pairs = pointers.map(() => asm.local(3, I64));
  const leaves = ltU(i32(PAGE), add(offsetsOf(pointers), room));
  when(or(leaves, unfit), () => f.slow());
  findTlb(f, tlb);
  pointers.forEach((p, n) => lookUp(tlb, pairs[n], p));
  const misses = ltU(
    i32(PAGE - 1),
    pointers.map((p) => get(p.host)).reduce((a, b) => or(a, b)),
  );
  when(misses, () => f.slow());
  pointers.forEach((p, n) => toHost(pairs[n], p));
}

/** Goes over runs, each within one page of every pointer. */
function runs(
  f: Frame,
  pointers: readonly Pointer[],
  start: (r: Run) => void,
  body: (r: Run) => void,
  end: (r: Run) => void,
): void {
  const left = f.local(),
    log = f.local(),
    done = f.local(),
    n = f.local(),
    bytes = f.local(),
    tlb = f.local(),
    pair = asm.local(3, I64),
    offset = f.local();
  const r: Run = { log, bytes, done };
  const slow = (): void => leave(or(get(done), i32(REP_SLOW)));
  set(left, and(get(WHAT), i32(0xffff)));
  set(log, and(shrU(get(WHAT), i32(REP_LOG_SHIFT)), i32(3)));
  findTlb(f, tlb);
  start(r);
  repeatWhile(() => {
    set(offset, offsetsOf(pointers));
    when(has(REP_DOWN), () => {
      when(
        ltU(
          i32(PAGE),
          add(get(offset), shl(i32(1), get(log))),
        ),
        slow,
      );
      set(
        n,
        add(
          shrU(pointers.map(inPage).reduce((a, b) => min(a, b)), get(log)),
          i32(1),
        ),
      );
    }, () => set(n, shrU(sub(i32(PAGE), get(offset)), get(log))));
    set(n, min(get(n), get(left)));
    when(eqz(get(n)), slow);
    set(bytes, shl(get(n), get(log)));
    for (const p of pointers) {
      lookUp(tlb, pair, p);
      when(ltU(i32(PAGE - 1), get(p.host)), slow);
      toHost(pair, p);
    }
    when(has(REP_DOWN), () => {
      const back = sub(shl(i32(1), get(log)), get(bytes));
      for (const { host } of pointers) bump(host, back);
    });
    body(r);
    const delta = select(sub(i32(0), get(bytes)), get(bytes), has(REP_DOWN));
    for (const { address } of pointers) bump(address, delta);
    bump(done, get(n));
    set(left, sub(get(left), get(n)));
  }, get(left));
  end(r);
}

const NO_ELEMENTS = eqz(and(get(WHAT), i32(0xffff)));

/** Sets `count` and `bytes` to what is asked for. */
function takeCount(count: number, bytes: number): void {
  set(count, and(get(WHAT), i32(0xffff)));
  set(bytes, shl(get(count), and(shrU(get(WHAT), i32(REP_LOG_SHIFT)), i32(3))));
}

/**
 * Fills or copies up to `SHORT` bytes by moves at distances that overlap when
 * the run is no multiple of their size. There are few cases, because which one
 * it is cannot be predicted: 1 to 3 bytes, 4 to 16, and more.
 */
function shortRun(
  bytes: number,
  at: number,
  parts: {
    readonly bytes: (distances: readonly Code[]) => void;
    readonly words: (distances: readonly Code[]) => void;
    readonly vectors: (distances: readonly Code[]) => void;
  },
): void {
  const last = (n: number): Code => sub(get(bytes), i32(n));
  when(
    ltU(get(bytes), i32(17)),
    () =>
      when(
        ltU(get(bytes), i32(4)),
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

/** Moves up to `SHORT` bytes of memory that do not overlap. */
function copyShort(f: Frame, from: number, to: number, bytes: number): void {
  const parts = [f.local(), f.local(), f.local(), f.local()];
  const vectors = [asm.local(3, V128), asm.local(3, V128)];
  const source = (distance: Code): Code => add(get(from), distance);
  const target = (distance: Code): Code => add(get(to), distance);
  shortRun(bytes, f.local(), {
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

/** `rep_movs_run`: source, target, what. Here what is short and on one page. */
export const MOVS: Native = native(
  (f) => {
    const count = f.local(), bytes = f.local();
    const source = { address: SOURCE, tag: TLB_READ, host: f.local() };
    const target = { address: TARGET, tag: TLB_WRITE, host: f.local() };
    takeCount(count, bytes);
    when(eqz(get(count)), () => leave(i32(0)));
    findHosts(
      f,
      [source, target],
      get(bytes),
      or(has(REP_DOWN), ltU(i32(SHORT), get(bytes))),
    );
    // Less than the run's length apart, in either direction.
    const ahead = sub(get(target.host), get(source.host));
    const reach = sub(get(bytes), i32(1));
    when(
      ltU(add(ahead, reach), add(reach, get(bytes))),
      () => f.slow(),
    );
    copyShort(f, source.host, target.host, bytes);
    leave(get(count));
  },
  3,
  (f) => {
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
      when(has(REP_DOWN), () => {
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
      when(has(REP_DOWN), high);
      low();
      when(eqz(has(REP_DOWN)), high);
    };
    runs(
      f,
      [
        { address: SOURCE, tag: TLB_READ, host: from },
        { address: TARGET, tag: TLB_WRITE, host: to },
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
              () => copyShort(f, from, to, bytes),
            ),
          () =>
            when(
              select(geS(ahead, i32(0)), leS(ahead, i32(0)), has(REP_DOWN)),
              () => bulk(bytes), // what is written has been read
              () => bySize(log, (n) => byElements(n, bytes)),
            ),
        );
      },
      ({ done }) => leave(get(done)),
    );
  },
);

/** An element as often as it goes into 4 and 16 bytes: locals. */
interface Pattern {
  readonly word: number;
  readonly vector: number;
}

/** The pattern of EAX. */
function patternOf(f: Frame): Pattern {
  const word = f.local(), vector = asm.local(3, V128);
  const log = and(get(WHAT), i32(3 << REP_LOG_SHIFT));
  const whole = get(SOURCE);
  set(word, whole);
  when(
    eqz(log),
    () => set(word, mul(and(whole, i32(0xff)), i32(0x01010101))),
  );
  when(
    eq(log, i32(1 << REP_LOG_SHIFT)),
    () => set(word, mul(and(whole, i32(0xffff)), i32(0x00010001))),
  );
  set(vector, splat32(get(word)));
  return { word, vector };
}

/** Fills up to `SHORT` bytes. */
function fillShort(f: Frame, to: number, bytes: number, p: Pattern): void {
  const target = (distance: Code): Code => add(get(to), distance);
  shortRun(bytes, f.local(), {
    bytes: (distances) => {
      // One 16-bit element, or equal bytes.
      const high = shrU(get(p.word), i32(8));
      distances.forEach((d, n) =>
        storeOf(0, target(d), n === 0 ? get(p.word) : high)
      );
    },
    words: (distances) =>
      distances.forEach((d) => storeOf(2, target(d), get(p.word))),
    vectors: (distances) =>
      distances.forEach((d) => v128Store(target(d), get(p.vector))),
  });
}

/** `rep_stos_run`: EAX, target, what. */
export const STOS: Native = native(
  (f) => {
    const count = f.local(), bytes = f.local();
    const target = { address: TARGET, tag: TLB_WRITE, host: f.local() };
    takeCount(count, bytes);
    when(eqz(get(count)), () => leave(i32(0)));
    findHosts(
      f,
      [target],
      get(bytes),
      or(has(REP_DOWN), ltU(i32(SHORT), get(bytes))),
    );
    fillShort(f, target.host, bytes, patternOf(f));
    leave(get(count));
  },
  3,
  (f) => {
    const to = f.local(), at = f.local();
    let pattern: Pattern;
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
    runs(
      f,
      [{ address: TARGET, tag: TLB_WRITE, host: to }],
      () => pattern = patternOf(f),
      ({ bytes }) =>
        when(
          ltU(i32(SHORT), get(bytes)),
          () =>
            when(
              eq(get(pattern.word), rotl(get(pattern.word), i32(8))),
              () => fill(bytes),
              () => byVectors(bytes),
            ),
          () => fillShort(f, to, bytes, pattern),
        ),
      ({ done }) => leave(get(done)),
    );
  },
);

/** The flags of x - y, of 1 << log bytes and zero-extended, where they stand in EFLAGS; `difference` is a local for it. */
function flagsOf(log: number, x: number, y: number, difference: number): Code {
  const sign = (8 << log) - 1;
  const d = get(difference);
  /** Moves the operand's sign bit to bit `to`. */
  const signTo = (v: Code, to: number): Code =>
    shl(and(shrU(v, i32(sign)), i32(1)), i32(to));
  const unlike = xor(get(x), get(y));
  const parity = eqz(and(popcnt(and(d, i32(0xff))), i32(1)));
  const flags = [
    ltU(get(x), get(y)), // CF
    shl(parity, i32(2)),
    and(xor(unlike, d), i32(0x10)), // AF
    shl(eqz(d), i32(6)),
    signTo(d, 7),
    signTo(and(unlike, xor(get(x), d)), 11), // OF
  ];
  set(difference, sub(get(x), get(y)));
  return flags.reduce((a, b) => or(a, b));
}

/** CMPS (source, target, what) or SCAS (EAX, target, what). */
function compare(inMemory: boolean): Native {
  /** The bits of `CHUNK` bytes that are equal; all bits of an element are alike. */
  const equal = (log: number, from: Code, to: Code, key: number): Code => {
    const half = (distance: number): Code =>
      bitmask8(EQUAL[log](
        v128Load(to, distance),
        inMemory ? v128Load(from, distance) : get(key),
      ));
    return or(half(0), shl(half(16), i32(16)));
  };
  /** All ones if an element that differs ends it (REPE), else 0. */
  const differs = sub(i32(0), eqz(has(REP_NOT_EQUAL)));
  const isSize = (log: number): Code =>
    eq(and(get(WHAT), i32(3 << REP_LOG_SHIFT)), i32(log << REP_LOG_SHIFT));
  const pointers = (from: number, to: number): Pointer[] => {
    const target = { address: TARGET, tag: TLB_READ, host: to };
    const source = { address: SOURCE, tag: TLB_READ, host: from };
    return inMemory ? [target, source] : [target];
  };
  return native(
    (f) => {
      // Bytes of which the last is among the first ones.
      const from = f.local(),
        to = f.local(),
        count = f.local(),
        at = f.local(),
        x = f.local(),
        y = f.local(),
        difference = f.local(),
        key = asm.local(3, V128);
      const here = (base: number): Code => add(get(base), get(at));
      const unfit = or(has(REP_DOWN), or(NO_ELEMENTS, eqz(isSize(0))));
      findHosts(f, pointers(from, to), i32(CHUNK), unfit);
      set(count, and(get(WHAT), i32(0xffff)));
      if (!inMemory) set(key, SPLAT[0](get(SOURCE)));
      set(at, ctz(xor(equal(0, get(from), get(to), key), differs)));
      when(
        and(eq(get(at), i32(CHUNK)), ltU(i32(CHUNK), get(count))),
        () => f.slow(),
      );
      set(at, min(get(at), sub(get(count), i32(1))));
      set(x, inMemory ? loadOf(0, here(from)) : and(get(SOURCE), i32(0xff)));
      set(y, loadOf(0, here(to)));
      const flags = shl(flagsOf(0, x, y, difference), i32(REP_FLAGS_SHIFT));
      leave(or(flags, add(get(at), i32(1))));
    },
    3,
    (f) => {
      const from = f.local(),
        to = f.local(),
        at = f.local(),
        stop = f.local(),
        width = f.local(),
        inChunks = f.local(),
        x = f.local(),
        y = f.local(),
        key = asm.local(3, V128);
      // Nothing compared: the helper sees to the flags. Downwards is rare.
      when(or(NO_ELEMENTS, has(REP_DOWN)), () => leave(i32(REP_SLOW)));
      const used = pointers(from, to);
      const here = (base: number): Code => add(get(base), get(at));
      /** Loads the elements at the present place. */
      const elements = (log: number): void => {
        set(y, loadOf(log, here(to)));
        if (inMemory) set(x, loadOf(log, here(from)));
      };
      /** Leaves with the flags of the elements at the present place. */
      const finish = (log: number, done: Code): void =>
        bySize(log, (n) => {
          elements(n);
          const flags = flagsOf(n, x, y, width);
          leave(or(done, shl(flags, i32(REP_FLAGS_SHIFT))));
        });
      runs(
        f,
        used,
        ({ log }) => {
          if (inMemory) return;
          bySize(log, (n) => {
            const part = i32(n * 0xff00 | 0xff);
            set(key, SPLAT[n](get(SOURCE)));
            set(x, n === 2 ? get(SOURCE) : and(get(SOURCE), part));
          });
        },
        ({ log, bytes, done }) => {
          set(at, i32(0));
          // Chunks may reach beyond the run, but not beyond a page.
          set(inChunks, sub(i32(PAGE - CHUNK), offsetsOf(used)));
          repeatWhile(() => {
            when(leS(get(at), get(inChunks)), () => {
              set(width, i32(CHUNK));
              bySize(
                log,
                (n) => set(stop, equal(n, here(from), here(to), key)),
              );
              set(stop, xor(get(stop), differs));
            }, () => {
              set(width, shl(i32(1), get(log)));
              bySize(log, elements);
              set(stop, xor(eq(get(x), get(y)), and(differs, i32(1))));
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
export const CMPS: Native = compare(true);
/** `rep_scas_run`: EAX, target, what. */
export const SCAS: Native = compare(false);

function rotl(v: Code, n: Code): Code {
  return () => {
    v();
    n();
    asm.e.u8(0x77);
  };
}
