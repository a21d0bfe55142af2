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
 * Most runs of real programs are a few bytes. Up to `SHORT` bytes go by one or
 * two moves of the largest size that fits, which overlap when the run is no
 * multiple of it, and by 16 bytes at a time beyond; V8 calls out to C for
 * `memory.copy` and `memory.fill`, which costs more than that.
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
  extend,
  geS,
  get,
  i32,
  I64,
  i64,
  type Instruction,
  leave,
  leS,
  load,
  loadL,
  ltU,
  mulL,
  or,
  select,
  set,
  shl,
  shrU,
  store,
  storeL,
  sub,
  when,
  xor,
} from "./float80_emit.ts";
import { type Frame, mul, type Native, native } from "./integer_kernel.ts";

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

/**
 * In the result: the helper is to go on. Otherwise the low half of the result is
 * the number of elements done, and above it stand the flags of the last
 * comparison (CMPS, SCAS).
 */
export const REP_SLOW: number = 0x80000000 | 0;
/** Where the flags stand in the result. */
export const REP_FLAGS_SHIFT = 16;

/** Bytes up to which 16 are moved at a time. */
const SHORT = 256;
const PAGE = 4096;

const V128 = 0x7b;

const simd = (code: number): Instruction => (...operands) => () => {
  for (const operand of operands) operand();
  asm.e.u8(0xfd);
  asm.e.u32(code);
};
const v128Load = (at: Code): Code => () => {
  at();
  asm.e.simdMem(0x00, 0);
};
const v128Store = (at: Code, v: Code): void => {
  at();
  v();
  asm.e.simdMem(0x0b, 0);
};
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

/** Repeats `body` as long as `condition` holds after it; inside neither is another loop left. */
function repeatWhile(body: () => void, condition: Code): void {
  asm.e.u8(0x03);
  asm.e.u8(0x40);
  body();
  condition();
  asm.e.u8(0x0d);
  asm.e.u32(0);
  asm.e.u8(0x0b);
}

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
    entry = f.local(),
    offset = f.local();
  const r: Run = { log, bytes, done };
  const slow = (): void => leave(or(get(done), i32(REP_SLOW)));
  const inPage = (p: Pointer): Code => and(get(p.address), i32(PAGE - 1));
  set(left, and(get(WHAT), i32(0xffff)));
  set(log, and(shrU(get(WHAT), i32(REP_LOG_SHIFT)), i32(3)));
  set(
    tlb,
    select(
      i32(f.base + OFF_TLB + TLB_BYTES),
      i32(f.base + OFF_TLB),
      has(REP_USER),
    ),
  );
  start(r);
  repeatWhile(() => {
    const offsets = pointers.map(inPage);
    set(offset, offsets.reduce((a, b) => max(a, b)));
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
          shrU(offsets.reduce((a, b) => min(a, b)), get(log)),
          i32(1),
        ),
      );
    }, () => set(n, shrU(sub(i32(PAGE), get(offset)), get(log))));
    set(n, min(get(n), get(left)));
    when(eqz(get(n)), slow);
    set(bytes, shl(get(n), get(log)));
    for (const { address, tag, host } of pointers) {
      set(
        entry,
        add(
          get(tlb),
          and(
            shrU(get(address), i32(12 - Math.log2(TLB_ENTRY_BYTES))),
            i32((TLB_ENTRIES - 1) * TLB_ENTRY_BYTES),
          ),
        ),
      );
      set(host, xor(get(address), load(get(entry), tag)));
      when(ltU(i32(PAGE - 1), get(host)), slow);
      bump(host, load(get(entry), tag + TLB_HOST));
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

/** Leaves at once if there is nothing to do. */
const leaveIfNone = (v: number): void =>
  when(eqz(and(get(WHAT), i32(0xffff))), () => leave(i32(v)));

/**
 * Fills or copies up to `SHORT` bytes: by two moves, the second of which ends
 * where the run ends, up to 32 bytes, and by a loop and such a last one beyond.
 * `part` reads what goes to a distance, `put` writes it.
 */
function shortRun(
  bytes: number,
  at: number,
  parts: {
    /** 1 to 3 bytes. */
    few: () => void;
    four: (first: Code, last: Code) => void;
    eight: (first: Code, last: Code) => void;
    sixteen: (first: Code, last: Code) => void;
    chunk: (at: Code) => void;
  },
): void {
  const last = (n: number): Code => sub(get(bytes), i32(n));
  const zero = i32(0);
  when(
    ltU(get(bytes), i32(8)),
    () =>
      when(
        ltU(get(bytes), i32(4)),
        parts.few,
        () => parts.four(zero, last(4)),
      ),
    () =>
      when(
        ltU(get(bytes), i32(17)),
        () => parts.eight(zero, last(8)),
        () => {
          set(at, i32(0));
          when(ltU(i32(32), get(bytes)), () =>
            repeatWhile(() => {
              parts.chunk(get(at));
              bump(at, i32(16));
            }, ltU(get(at), last(32))));
          parts.sixteen(get(at), last(16));
        },
      ),
  );
}

/** `rep_movs_run`: source, target, what. */
export const MOVS: Native = native((f) => {
  const from = f.local(),
    to = f.local(),
    at = f.local(),
    a = f.local(),
    b = f.local(),
    c = f.local(),
    wideA = asm.local(3, I64),
    wideB = asm.local(3, I64),
    v = asm.local(3, V128),
    w = asm.local(3, V128);
  leaveIfNone(0);
  const source = (distance: Code): Code => add(get(from), distance);
  const target = (distance: Code): Code => add(get(to), distance);
  /** Element after element: what is written is read again. */
  const byElements = (log: number, bytes: number): void => {
    const size = i32(1 << log);
    const move = (): void =>
      storeOf(log, target(get(at)), loadOf(log, source(get(at))));
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
  const bulk = (bytes: number): void => {
    get(to)();
    get(from)();
    get(bytes)();
    asm.e.raw(Uint8Array.of(0xfc, 0x0a, 0, 0)); // memory.copy
  };
  const short = (bytes: number): void =>
    shortRun(bytes, at, {
      few: () => {
        // First, middle and last are all there is.
        set(a, loadOf(0, get(from)));
        set(b, loadOf(0, source(shrU(get(bytes), i32(1)))));
        set(c, loadOf(0, source(sub(get(bytes), i32(1)))));
        storeOf(0, get(to), get(a));
        storeOf(0, target(shrU(get(bytes), i32(1))), get(b));
        storeOf(0, target(sub(get(bytes), i32(1))), get(c));
      },
      four: (first, last) => {
        set(a, loadOf(2, source(first)));
        set(b, loadOf(2, source(last)));
        storeOf(2, target(first), get(a));
        storeOf(2, target(last), get(b));
      },
      eight: (first, last) => {
        set(wideA, loadL(source(first), 0));
        set(wideB, loadL(source(last), 0));
        storeL(target(first), 0, get(wideA));
        storeL(target(last), 0, get(wideB));
      },
      sixteen: (first, last) => {
        set(v, v128Load(source(first)));
        set(w, v128Load(source(last)));
        v128Store(target(first), get(v));
        v128Store(target(last), get(w));
      },
      chunk: (x) => v128Store(target(x), v128Load(source(x))),
    });
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
            () => short(bytes),
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
}, 3);

/** `rep_stos_run`: EAX, target, what. */
export const STOS: Native = native((f) => {
  const EAX = SOURCE;
  const to = f.local(),
    at = f.local(),
    word = f.local(),
    wide = asm.local(3, I64),
    v = asm.local(3, V128);
  leaveIfNone(0);
  const target = (distance: Code): Code => add(get(to), distance);
  const loop16 = (bytes: number): void => {
    set(at, i32(0));
    repeatWhile(() => {
      v128Store(target(get(at)), get(v));
      bump(at, i32(16));
    }, ltU(get(at), sub(get(bytes), i32(16))));
    v128Store(target(sub(get(bytes), i32(16))), get(v));
  };
  runs(
    f,
    [{ address: TARGET, tag: TLB_WRITE, host: to }],
    ({ log }) => {
      // The element as often as it goes into 4, 8 and 16 bytes.
      set(word, get(EAX));
      when(
        eqz(get(log)),
        () => set(word, mul(and(get(EAX), i32(0xff)), i32(0x01010101))),
      );
      when(
        eq(get(log), i32(1)),
        () => set(word, mul(and(get(EAX), i32(0xffff)), i32(0x00010001))),
      );
      set(wide, mulL(extend(get(word)), i64(1, 1)));
      set(v, splat32(get(word)));
    },
    ({ bytes }) => {
      when(
        ltU(i32(SHORT), get(bytes)),
        () =>
          when(
            eq(get(word), rotl(get(word), i32(8))),
            () => {
              get(to)();
              get(word)();
              get(bytes)();
              asm.e.raw(Uint8Array.of(0xfc, 0x0b, 0)); // memory.fill
            },
            () => loop16(bytes),
          ),
        () =>
          shortRun(bytes, at, {
            few: () => {
              // One word, or one to three equal bytes.
              const high = shrU(get(word), i32(8));
              storeOf(0, get(to), get(word));
              storeOf(0, target(shrU(get(bytes), i32(1))), high);
              storeOf(0, target(sub(get(bytes), i32(1))), high);
            },
            four: (first, last) => {
              store(target(first), 0, get(word));
              store(target(last), 0, get(word));
            },
            eight: (first, last) => {
              storeL(target(first), 0, get(wide));
              storeL(target(last), 0, get(wide));
            },
            sixteen: (first, last) => {
              v128Store(target(first), get(v));
              v128Store(target(last), get(v));
            },
            chunk: (x) => v128Store(target(x), get(v)),
          }),
      );
    },
    ({ done }) => leave(get(done)),
  );
}, 3);

/** CMPS (source, target, what) or SCAS (EAX, target, what). */
function compare(inMemory: boolean): Native {
  return native((f) => {
    const from = f.local(),
      to = f.local(),
      at = f.local(),
      stop = f.local(),
      width = f.local(),
      differ = f.local(),
      vector = f.local(),
      x = f.local(),
      y = f.local(),
      up = f.local(),
      key = asm.local(3, V128);
    // Nothing compared: the helper sees to the flags. Downwards is rare.
    when(eqz(and(get(WHAT), i32(0xffff))), () => leave(i32(REP_SLOW)));
    when(has(REP_DOWN), () => leave(i32(REP_SLOW)));
    const target: Pointer = { address: TARGET, tag: TLB_READ, host: to };
    const source: Pointer = { address: SOURCE, tag: TLB_READ, host: from };
    const pointers = inMemory ? [target, source] : [target];
    const here = (base: number): Code => add(get(base), get(at));
    /** Loads the elements at the present place. */
    const elements = (n: number): void => {
      set(y, loadOf(n, here(to)));
      if (inMemory) set(x, loadOf(n, here(from)));
    };
    /** Leaves with the flags of x - y. */
    const finish = (log: number, done: Code): void => {
      const shift = sub(i32(32), shl(i32(8), get(log)));
      const top = (v: Code): Code => shl(v, shift);
      const xs = top(get(x)), ys = top(get(y)), difference = get(width);
      set(width, sub(get(x), get(y)));
      const d = top(difference);
      const sign = (v: Code): Code => shrU(v, i32(31));
      const parity = and(popcnt(and(difference, i32(0xff))), i32(1));
      const bits: readonly [Code, number][] = [
        [ltU(xs, ys), 0],
        [eqz(parity), 2],
        [and(xor(xor(get(x), get(y)), difference), i32(0x10)), 0],
        [eqz(d), 6],
        [sign(d), 7],
        [sign(and(xor(xs, ys), xor(xs, d))), 11],
      ];
      const flags = bits.map(([v, n]) => shl(v, i32(n)));
      leave(
        or(done, shl(flags.reduce((a, b) => or(a, b)), i32(REP_FLAGS_SHIFT))),
      );
    };
    runs(
      f,
      pointers,
      ({ log }) => {
        set(differ, sub(i32(0), eqz(has(REP_NOT_EQUAL))));
        if (inMemory) return;
        bySize(log, (n) => {
          set(key, SPLAT[n](get(SOURCE)));
          set(
            x,
            n === 2 ? get(SOURCE) : and(get(SOURCE), i32(n * 0xff00 | 0xff)),
          );
        });
      },
      ({ log, bytes, done }) => {
        set(at, i32(0));
        // 16 bytes are looked at together where they do not leave a page.
        set(
          vector,
          sub(
            i32(PAGE - 16),
            pointers.map((p) => and(get(p.address), i32(PAGE - 1)))
              .reduce((a, b) => max(a, b)),
          ),
        );
        repeatWhile(() => {
          when(leS(get(at), get(vector)), () => {
            set(width, i32(16));
            bySize(log, (n) =>
              set(
                stop,
                bitmask8(EQUAL[n](
                  v128Load(here(to)),
                  inMemory ? v128Load(here(from)) : get(key),
                )),
              ));
            set(stop, xor(get(stop), and(get(differ), i32(0xffff))));
          }, () => {
            set(width, shl(i32(1), get(log)));
            bySize(log, elements);
            set(stop, xor(eq(get(x), get(y)), and(get(differ), i32(1))));
          });
          bump(at, select(ctz(get(stop)), get(width), get(stop)));
        }, and(eqz(get(stop)), ltU(get(at), get(bytes))));
        when(ltU(get(at), get(bytes)), () => {
          bySize(log, elements);
          set(up, add(shrU(get(at), get(log)), i32(1)));
          finish(log, add(get(done), get(up)));
        });
      },
      ({ log, bytes, done }) => {
        set(at, sub(get(bytes), shl(i32(1), get(log))));
        bySize(log, elements);
        finish(log, get(done));
      },
    );
  }, 3);
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
