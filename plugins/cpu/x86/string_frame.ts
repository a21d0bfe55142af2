/**
 * What the functions of repeated string instructions in WebAssembly
 * (string_kernel.ts, string_compare.ts) are written with: their arguments, and
 * pointers into guest memory that the TLB serves. Each of those functions exists
 * twice, for addresses of 32 bits and for 64-bit mode.
 *
 * @module
 */

import {
  OFF_TLB,
  OFF_WIDE_TLB,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  WIDE_ENTRY_BYTES,
  WIDE_HOST,
  WIDE_TLB_BYTES,
} from "../../../core/exec/layout.ts";
import {
  add,
  addL,
  and,
  andL,
  asm,
  type Code,
  eq,
  eqz,
  extend,
  extendS,
  get,
  i32,
  i64,
  leave,
  load,
  loadL,
  LOW_HALF,
  ltU,
  ltUL,
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
  xorL,
} from "./float80_emit.ts";
import { type Frame, type Native, native } from "./integer_kernel.ts";
import {
  REP_ADDR32,
  REP_DOWN,
  REP_LOG_SHIFT,
  REP_SLOW,
  REP_USER,
} from "./string_what.ts";
import { repeatWhile } from "./vector_emit.ts";

/** Bytes of a page. */
export const PAGE = 4096;

/** Opcodes of unsigned loads and of stores of 1, 2, 4 and 8 bytes; those of 8 are of an i64. */
const LOADS = [0x2d, 0x2f, 0x28, 0x29], STORES = [0x3a, 0x3b, 0x36, 0x37];

/** Loads an element of 1 << `log` bytes of host memory. */
export const loadOf = (log: number, at: Code): Code => () => {
  at();
  asm.e.mem(LOADS[log], 0);
};

/** Stores one. */
export const storeOf = (log: number, at: Code, v: Code): void => {
  at();
  v();
  asm.e.mem(STORES[log], 0);
};

/** Adds to a local. */
export const bump = (local: number, by: Code): void =>
  set(local, add(get(local), by));
/** The smaller one, unsigned. */
export const min = (a: Code, b: Code): Code => select(a, b, ltU(a, b));
const max = (a: Code, b: Code): Code => select(a, b, ltU(b, a));

/** A pointer to guest memory. */
export interface Pointer {
  /** Local with the linear address: an i64 in 64-bit mode. */
  readonly address: number;
  /** `TLB_READ` or `TLB_WRITE`. */
  readonly tag: number;
  /** Local with the host address of the run's first byte in memory. */
  readonly host: number;
}

/** What a run is done with: locals. */
export interface Run {
  /** log2 of the element size. */
  readonly log: number;
  /** Bytes of the run. */
  readonly bytes: number;
  /** Elements done in the runs before. */
  readonly done: number;
}

/** One of these functions while it is written. */
export class StringFrame {
  /** What all functions have. */
  readonly f: Frame;
  /** For 64-bit mode: linear addresses, RAX and the largest elements have 64 bits. */
  readonly isWide: boolean;
  /** Local with the source's linear address, or the accumulator. */
  readonly source = 0;
  /** Local with the target's linear address. */
  readonly target = 1;
  readonly #what = 2;

  /** Of one function. */
  constructor(f: Frame, isWide: boolean) {
    this.f = f;
    this.isWide = isWide;
  }

  /** Not 0 if a flag is set in what to do. */
  has(flag: number): Code {
    return and(get(this.#what), i32(flag));
  }

  /** EAX, where the source is the accumulator. */
  get eax(): Code {
    return this.#low(this.source);
  }

  /** Elements that are asked for. */
  get count(): Code {
    return this.has(0xffff);
  }

  /** log2 of the element size. */
  get log(): Code {
    return and(shrU(get(this.#what), i32(REP_LOG_SHIFT)), i32(3));
  }

  /** Whether an element has 1 << `log` bytes. */
  isSize(log: number): Code {
    return eq(this.has(3 << REP_LOG_SHIFT), i32(log << REP_LOG_SHIFT));
  }

  /** Emits what depends on the element size, whose log2 is in a local. */
  bySize(log: number, body: (log: number) => void): void {
    const large = (): void =>
      this.isWide
        ? when(eq(get(log), i32(2)), () => body(2), () => body(3))
        : body(2);
    when(
      get(log),
      () => when(eq(get(log), i32(1)), () => body(1), large),
      () => body(0),
    );
  }

  #low(local: number): Code {
    return this.isWide ? wrap(get(local)) : get(local);
  }

  #inPage(p: Pointer): Code {
    return and(this.#low(p.address), i32(PAGE - 1));
  }

  /** The largest offset in its page of any pointer. */
  offsetsOf(pointers: readonly Pointer[]): Code {
    return pointers.map((p) => this.#inPage(p)).reduce((a, b) => max(a, b));
  }

  /** Sets a local to the address of the TLB. */
  #findTlb(tlb: number): void {
    const [offset, bytes] = this.isWide
      ? [OFF_WIDE_TLB, WIDE_TLB_BYTES]
      : [OFF_TLB, TLB_BYTES];
    const second = shrU(this.has(REP_USER), i32(Math.log2(REP_USER / bytes)));
    set(tlb, add(i32(this.f.base + offset), second));
  }

  /**
   * Sets `p.host` to the offset in the page, or to what lies beyond; of a wide
   * address it is `pair` that is set so, and `p.host` to the host address.
   */
  #lookUp(tlb: number, entry: number, pair: number, p: Pointer): void {
    const bytes = this.isWide ? WIDE_ENTRY_BYTES : TLB_ENTRY_BYTES;
    const index = shrU(this.#low(p.address), i32(12 - Math.log2(bytes)));
    const inTlb = and(index, i32((TLB_ENTRIES - 1) * bytes));
    set(entry, add(get(tlb), inTlb));
    // Of the narrow ones: tag and host offset at once.
    set(pair, loadL(get(entry), p.tag));
    if (this.isWide) {
      set(pair, xorL(get(pair), get(p.address)));
      set(p.host, add(wrap(get(pair)), load(get(entry), WIDE_HOST)));
    } else set(p.host, xor(get(p.address), wrap(get(pair))));
  }

  /** After a lookup: whether the TLB has not the page, or the offset is above a limit. */
  #isBeyond(limit: Code, pair: number, p: Pointer): Code {
    return this.isWide
      ? ltUL(extend(limit), get(pair))
      : ltU(limit, get(p.host));
  }

  /** After a hit in a narrow TLB: adds the page's host offset. */
  #toHost(pair: number, p: Pointer): void {
    if (!this.isWide) bump(p.host, wrap(shrL(get(pair), i64(8 * TLB_HOST))));
  }

  /**
   * The host addresses of pointers that are at most `PAGE - room` in their
   * pages; else goes the slow way, as it does if `unfit`. A room above a page is
   * unfit.
   */
  findHosts(pointers: readonly Pointer[], room: Code, unfit: Code): void {
    const { f } = this;
    const tlb = f.local(), entry = f.local();
    const pairs = pointers.map(() => f.local64());
    this.#findTlb(tlb);
    pointers.forEach((p, n) => this.#lookUp(tlb, entry, pairs[n], p));
    const limit = sub(i32(PAGE), room);
    const beyond = pointers.map((p, n) => this.#isBeyond(limit, pairs[n], p));
    when(beyond.reduce((a, b) => or(a, b), unfit), () => f.slow());
    pointers.forEach((p, n) => this.#toHost(pairs[n], p));
  }

  /** Goes over runs, each within one page of every pointer. */
  runs(
    pointers: readonly Pointer[],
    start: (r: Run) => void,
    body: (r: Run) => void,
    end: (r: Run) => void,
  ): void {
    const { f } = this;
    const left = f.local(),
      log = f.local(),
      done = f.local(),
      n = f.local(),
      bytes = f.local(),
      tlb = f.local(),
      entry = f.local(),
      pair = f.local64(),
      offset = f.local();
    const r: Run = { log, bytes, done };
    const slow = (): void => leave(or(get(done), i32(REP_SLOW)));
    const size = shl(i32(1), get(log));
    set(left, this.count);
    set(log, this.log);
    this.#findTlb(tlb);
    start(r);
    repeatWhile(() => {
      set(offset, this.offsetsOf(pointers));
      when(this.has(REP_DOWN), () => {
        when(ltU(i32(PAGE), add(get(offset), size)), slow);
        const room = pointers.map((p) => this.#inPage(p)).reduce(min);
        set(n, add(shrU(room, get(log)), i32(1)));
      }, () => set(n, shrU(sub(i32(PAGE), get(offset)), get(log))));
      set(n, min(get(n), get(left)));
      when(eqz(get(n)), slow);
      set(bytes, shl(get(n), get(log)));
      for (const p of pointers) {
        this.#lookUp(tlb, entry, pair, p);
        when(this.#isBeyond(i32(PAGE - 1), pair, p), slow);
        this.#toHost(pair, p);
      }
      when(this.has(REP_DOWN), () => {
        const back = sub(size, get(bytes));
        for (const { host } of pointers) bump(host, back);
      });
      body(r);
      this.#advance(pointers, bytes);
      bump(done, get(n));
      set(left, sub(get(left), get(n)));
    }, get(left));
    end(r);
  }

  /** Moves the linear addresses beyond a run. */
  #advance(pointers: readonly Pointer[], bytes: number): void {
    const back = sub(i32(0), get(bytes));
    const delta = select(back, get(bytes), this.has(REP_DOWN));
    for (const { address } of pointers) {
      if (this.isWide) set(address, addL(get(address), extendS(delta)));
      else bump(address, delta);
    }
    if (!this.isWide) return;
    when(this.has(REP_ADDR32), () => {
      for (const { address } of pointers) {
        set(address, andL(get(address), LOW_HALF));
      }
    });
  }
}

/**
 * A function of source, target and what to do, with addresses of 32 or of 64
 * bits. `plain` does what is short and on one page, `rest` all else; they leave with
 * a result.
 */
export function stringNative(
  isWide: boolean,
  plain: (f: StringFrame) => void,
  rest: (f: StringFrame) => void,
): Native {
  return native(
    (f) => plain(new StringFrame(f, isWide)),
    3,
    (f) => rest(new StringFrame(f, isWide)),
    isWide,
  );
}
