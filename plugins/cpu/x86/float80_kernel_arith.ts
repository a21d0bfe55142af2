/**
 * The arithmetic of the x87 kernel, on unpacked numbers.
 * @module
 */

import {
  add,
  addL,
  and,
  andL,
  asm,
  clzL,
  type Code,
  divL,
  eq,
  eqL,
  eqz,
  eqzL,
  extend,
  geS,
  geSL,
  get,
  gtUL,
  I32,
  i32,
  I64,
  i64,
  leave,
  leS,
  LOW_HALF,
  ltS,
  ltSL,
  ltU,
  ltUL,
  mulL,
  ne,
  neL,
  or,
  orL,
  select,
  set,
  shl,
  shlL,
  shrL,
  shrU,
  storeL,
  sub,
  subL,
  TOP_BIT,
  when,
  wrap,
  xor,
} from "./float80_emit.ts";

const PE = 0x20, C1 = 0x200, C3 = 0x4000, C0 = 0x100;
const BIAS = 0x3fff;

/** Is an exponent that of a normal number? */
export const isNormal = (e: Code): Code => ltU(sub(e, i32(1)), i32(0x7ffe));
/** Is a number zero? */
export const isZero = (m: Code, e: Code): Code => and(eqzL(m), eqz(e));
// Arithmetic on unpacked numbers: (dst, ma, sa, mb, sb, cw), the significands
// as i64, sign and exponent as i32; gives PE and C1, or -1 with nothing done.

const DST = 0, MA = 1, SA = 2, MB = 3, SB = 4, CW = 5, PARAMS = 6;

/** Locals that all arithmetic functions have. */
class Frame {
  /** Bits below the significand, the lowest sticky. */
  readonly x: number = asm.local(PARAMS, I64);
  /** Sign, 0 or 0x8000. */
  readonly sign: number = asm.local(PARAMS, I32);
  /** Exponents. */
  readonly ea: number = asm.local(PARAMS, I32);
  readonly eb: number = asm.local(PARAMS, I32);
  readonly up: number = asm.local(PARAMS, I32);
  readonly unit: number = asm.local(PARAMS, I64);
  /** Rounding control. */
  readonly rc: number = asm.local(PARAMS, I32);

  constructor() {
    set(this.ea, and(get(SA), i32(0x7fff)));
    set(this.eb, and(get(SB), i32(0x7fff)));
  }

  /** Are both operands normal? */
  bothNormal(): Code {
    return and(
      and(isNormal(get(this.ea)), isNormal(get(this.eb))),
      ltSL(andL(get(MA), get(MB)), i64(0)),
    );
  }

  /** Writes a zero of this sign and returns. */
  putZero(sign: Code): void {
    storeL(get(DST), 0, i64(0));
    storeL(get(DST), 8, extend(sign));
    leave(i32(0));
  }

  /** Rounds MA and x with exponent ea and sign, writes and returns. */
  round(): void {
    const { x, sign, ea, up, unit, rc } = this;
    when(leS(get(ea), i32(0)), () => leave(i32(-1)));
    set(unit, i64(1));
    // Precision control: the bits cut off join x.
    when(ne(and(get(CW), i32(0x300)), i32(0x300)), () => {
      const cut = (bits: number, lo: number, hi: number): void => {
        const sticky = extend(neL(get(x), i64(0)));
        set(x, orL(shlL(get(MA), i64(64 - bits)), sticky));
        set(MA, andL(get(MA), subL(i64(0), i64(lo, hi))));
        set(unit, i64(lo, hi));
      };
      when(
        eq(and(get(CW), i32(0x300)), i32(0x200)),
        () => cut(11, 0x800, 0),
        () => when(eqz(and(get(CW), i32(0x300))), () => cut(40, 0, 0x100)),
      );
    });
    const exact = eqzL(get(x));
    when(exact, () => set(up, i32(0)), () => {
      set(rc, and(get(CW), i32(0xc00)));
      when(
        eqz(get(rc)),
        () => {
          // Above half, or at half and odd.
          const odd = extend(neL(andL(get(MA), get(unit)), i64(0)));
          set(up, gtUL(get(x), subL(TOP_BIT, odd)));
        },
        () =>
          set(
            up,
            eq(get(rc), select(i32(0x400), i32(0x800), get(sign))),
          ),
      );
      when(get(up), () => {
        set(MA, addL(get(MA), get(unit)));
        when(eqzL(get(MA)), () => {
          set(MA, TOP_BIT);
          set(ea, add(get(ea), i32(1)));
        });
      });
    });
    when(geS(get(ea), i32(0x7fff)), () => leave(i32(-1)));
    storeL(get(DST), 0, get(MA));
    storeL(get(DST), 8, extend(or(get(sign), get(ea))));
    leave(select(
      i32(0),
      or(i32(PE), select(i32(C1), i32(0), get(up))),
      eqzL(get(x)),
    ));
  }
}

/** Addition. */
export function emitAdd(): Uint8Array {
  const f = new Frame(), { x, sign, ea, eb } = f;
  const d = asm.local(PARAMS, I64), n = asm.local(PARAMS, I64);
  const t = asm.local(PARAMS, I64);
  set(sign, and(get(SA), i32(0x8000)));
  when(eqz(f.bothNormal()), () => {
    const normalA = and(isNormal(get(ea)), ltSL(get(MA), i64(0)));
    const normalB = and(isNormal(get(eb)), ltSL(get(MB), i64(0)));
    when(and(isZero(get(MB), get(eb)), normalA), () => f.round());
    when(and(isZero(get(MA), get(ea)), normalB), () => {
      set(MA, get(MB));
      set(ea, get(eb));
      set(sign, and(get(SB), i32(0x8000)));
      f.round();
    });
    leave(i32(-1));
  });
  when(ltS(get(ea), get(eb)), () => {
    set(t, get(MA));
    set(MA, get(MB));
    set(MB, get(t));
    set(n, extend(get(ea)));
    set(ea, get(eb));
    set(eb, wrap(get(n)));
    set(sign, and(get(SB), i32(0x8000)));
  });
  set(d, extend(sub(get(ea), get(eb))));
  // b >> d, what falls out into x.
  when(neL(get(d), i64(0)), () =>
    when(
      ltUL(get(d), i64(64)),
      () => {
        set(x, shlL(get(MB), subL(i64(64), get(d))));
        set(MB, shrL(get(MB), get(d)));
      },
      () => {
        set(x, i64(1));
        when(ltUL(get(d), i64(128)), () => {
          // Shift counts are modulo 64; at d = 64 nothing is lost.
          const lost = select(
            i64(0),
            shlL(get(MB), subL(i64(128), get(d))),
            eqL(get(d), i64(64)),
          );
          set(
            x,
            orL(
              shrL(get(MB), subL(get(d), i64(64))),
              extend(neL(lost, i64(0))),
            ),
          );
        });
        set(MB, i64(0));
      },
    ));
  when(
    eqz(and(xor(get(SA), get(SB)), i32(0x8000))),
    () => {
      set(t, addL(get(MA), get(MB)));
      when(ltUL(get(t), get(MA)), () => {
        set(
          x,
          orL(
            shlL(get(t), i64(63)),
            orL(shrL(get(x), i64(1)), andL(get(x), i64(1))),
          ),
        );
        set(t, orL(shrL(get(t), i64(1)), TOP_BIT));
        set(ea, add(get(ea), i32(1)));
      });
      set(MA, get(t));
    },
    () => {
      set(t, subL(get(MA), get(MB)));
      set(t, subL(get(t), extend(neL(get(x), i64(0)))));
      set(x, subL(i64(0), get(x)));
      when(ltUL(get(MA), get(MB)), () => { // only with d = 0
        set(t, subL(i64(0), get(t)));
        set(sign, xor(get(sign), i32(0x8000)));
      });
      set(MA, get(t));
      when(geSL(get(MA), i64(0)), () => {
        when(eqzL(get(MA)), () => {
          when(eqzL(get(x)), () => {
            const down = eq(and(get(CW), i32(0xc00)), i32(0x400));
            f.putZero(shl(down, i32(15)));
          });
          set(MA, get(x));
          set(x, i64(0));
          set(ea, sub(get(ea), i32(64)));
        });
        set(n, clzL(get(MA)));
        when(neL(get(n), i64(0)), () => {
          set(
            MA,
            orL(
              shlL(get(MA), get(n)),
              shrL(get(x), subL(i64(64), get(n))),
            ),
          );
          set(x, shlL(get(x), get(n)));
          set(ea, sub(get(ea), wrap(get(n))));
        });
      });
    },
  );
  f.round();
  leave(i32(-1));
  return asm.take();
}

/** Multiplication. */
export function emitMul(): Uint8Array {
  const f = new Frame(), { x, sign, ea, eb } = f;
  const al = asm.local(PARAMS, I64), ah = asm.local(PARAMS, I64);
  const bl = asm.local(PARAMS, I64), bh = asm.local(PARAMS, I64);
  const mid = asm.local(PARAMS, I64), low = asm.local(PARAMS, I64);
  set(sign, and(xor(get(SA), get(SB)), i32(0x8000)));
  when(eqz(f.bothNormal()), () => {
    const za = isZero(get(MA), get(ea)), zb = isZero(get(MB), get(eb));
    const okA = or(and(isNormal(get(ea)), ltSL(get(MA), i64(0))), za);
    const okB = or(and(isNormal(get(eb)), ltSL(get(MB), i64(0))), zb);
    when(and(and(okA, okB), or(za, zb)), () => f.putZero(get(sign)));
    leave(i32(-1));
  });
  set(ea, sub(add(get(ea), get(eb)), i32(BIAS - 1)));
  set(al, andL(get(MA), LOW_HALF));
  set(ah, shrL(get(MA), i64(32)));
  set(bl, andL(get(MB), LOW_HALF));
  set(bh, shrL(get(MB), i64(32)));
  set(low, mulL(get(al), get(bl)));
  set(MB, mulL(get(ah), get(bl)));
  set(MA, mulL(get(al), get(bh)));
  set(
    mid,
    addL(
      addL(shrL(get(low), i64(32)), andL(get(MA), LOW_HALF)),
      andL(get(MB), LOW_HALF),
    ),
  );
  set(x, orL(shlL(get(mid), i64(32)), andL(get(low), LOW_HALF)));
  set(
    MA,
    addL(
      addL(mulL(get(ah), get(bh)), shrL(get(mid), i64(32))),
      addL(shrL(get(MA), i64(32)), shrL(get(MB), i64(32))),
    ),
  );
  when(geSL(get(MA), i64(0)), () => {
    set(MA, orL(shlL(get(MA), i64(1)), shrL(get(x), i64(63))));
    set(x, shlL(get(x), i64(1)));
    set(ea, sub(get(ea), i32(1)));
  });
  f.round();
  leave(i32(-1));
  return asm.take();
}

/** Division. */
export function emitDiv(): Uint8Array {
  const f = new Frame(), { x, sign, ea, eb } = f;
  const n0 = asm.local(PARAMS, I64), bh = asm.local(PARAMS, I64);
  const bl = asm.local(PARAMS, I64), r = asm.local(PARAMS, I64);
  const q = asm.local(PARAMS, I64), high = asm.local(PARAMS, I64);
  set(sign, and(xor(get(SA), get(SB)), i32(0x8000)));
  when(eqz(f.bothNormal()), () => {
    const normalB = and(isNormal(get(eb)), ltSL(get(MB), i64(0)));
    when(
      and(isZero(get(MA), get(ea)), normalB),
      () => f.putZero(get(sign)),
    );
    leave(i32(-1));
  });
  set(ea, add(sub(get(ea), get(eb)), i32(BIAS - 1)));
  // Numerator MA:n0 below b * 2^64.
  when(eqz(ltUL(get(MA), get(MB))), () => {
    set(ea, add(get(ea), i32(1)));
    set(n0, shlL(get(MA), i64(63)));
    set(MA, shrL(get(MA), i64(1)));
  });
  set(bh, shrL(get(MB), i64(32)));
  set(bl, andL(get(MB), LOW_HALF));
  // Two digits of 32 bits (Knuth's algorithm D, as in Hacker's Delight 9-5).
  const digit = (next: Code): void => {
    set(q, divL(get(MA), get(bh)));
    set(r, subL(get(MA), mulL(get(q), get(bh))));
    for (let k = 0; k < 2; k++) {
      const tooBig = or(
        gtUL(get(q), LOW_HALF),
        gtUL(mulL(get(q), get(bl)), orL(shlL(get(r), i64(32)), next)),
      );
      const correct = (): void => {
        set(q, subL(get(q), i64(1)));
        set(r, addL(get(r), get(bh)));
      };
      if (k === 0) when(tooBig, correct);
      else when(and(eqzL(shrL(get(r), i64(32))), tooBig), correct);
    }
    set(
      MA,
      subL(orL(shlL(get(MA), i64(32)), next), mulL(get(q), get(MB))),
    );
  };
  digit(shrL(get(n0), i64(32)));
  set(high, shlL(get(q), i64(32)));
  digit(andL(get(n0), LOW_HALF));
  // The rest against half the divisor; a tie cannot be.
  set(
    x,
    select(
      i64(0),
      select(
        orL(TOP_BIT, i64(1)),
        i64(1),
        gtUL(get(MA), subL(get(MB), get(MA))),
      ),
      eqzL(get(MA)),
    ),
  );
  set(MA, orL(get(high), get(q)));
  f.round();
  leave(i32(-1));
  return asm.take();
}

/**
 * Compares (ma, sa, mb, sb): C0, C3 or 0, or -1 unless both are normal or
 * zero.
 */
export function emitCompare(): Uint8Array {
  const ma = 0, sa = 1, mb = 2, sb = 3;
  const ea = asm.local(4, I32),
    eb = asm.local(4, I32),
    less = asm.local(4, I32);
  set(ea, and(get(sa), i32(0x7fff)));
  set(eb, and(get(sb), i32(0x7fff)));
  const za = isZero(get(ma), get(ea)), zb = isZero(get(mb), get(eb));
  const okA = or(and(isNormal(get(ea)), ltSL(get(ma), i64(0))), za);
  const okB = or(and(isNormal(get(eb)), ltSL(get(mb), i64(0))), zb);
  when(eqz(and(okA, okB)), () => leave(i32(-1)));
  when(and(za, zb), () => leave(i32(C3)));
  // Zeros have the lowest exponent, so that only signs need care.
  when(
    and(xor(get(sa), get(sb)), i32(0x8000)),
    () => leave(select(i32(C0), i32(0), and(get(sa), i32(0x8000)))),
  );
  when(
    and(eq(get(ea), get(eb)), eqL(get(ma), get(mb))),
    () => leave(i32(C3)),
  );
  set(
    less,
    select(
      ltUL(get(ma), get(mb)),
      ltS(get(ea), get(eb)),
      eq(get(ea), get(eb)),
    ),
  );
  set(less, xor(get(less), shrU(and(get(sa), i32(0x8000)), i32(15))));
  leave(shl(get(less), i32(8)));
  return asm.take();
}
