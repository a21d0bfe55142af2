/**
 * The hot x87 instructions as WebAssembly: 64-bit integers make 80-bit
 * arithmetic three to five times as fast as in TypeScript, and translated code
 * calls them without leaving WebAssembly.
 *
 * Each function does the everyday case (registers neither empty nor full where
 * they must not be, normal numbers and zeros, a result in range, a masked
 * precision exception) on the CPU's state, or else has changed nothing and
 * calls its counterpart of the same name and arguments, the slow path in
 * x87.ts. float80_core.ts says what the arithmetic must give; a test runs both
 * on the same operands.
 *
 * Measured (Deno 2.9.6, an AMD EPYC shared with other work), ns an instruction
 * called from WebAssembly, against x87.ts over Float80 behind the same call:
 * FADD 11 (33), FMUL 12 (50), FDIV 20 (60), FXCH 4, FCOM 9; FLD m64, FMUL m64
 * and FADDP together, the inner step of a matrix product, 31 (95).
 * @module
 */

import { emitHost, emitLookup } from "../../../core/exec/access.ts";
import { OFF_TLB, TLB_BYTES } from "../../../core/exec/layout.ts";
import {
  add,
  addL,
  and,
  andL,
  asm,
  call,
  clz,
  clzL,
  type Code,
  eq,
  eqz,
  eqzL,
  extend,
  get,
  gtS,
  gtUL,
  I32,
  i32,
  I64,
  i64,
  leave,
  leS,
  load,
  loadL,
  ltS,
  ltSL,
  ltU,
  neL,
  or,
  orL,
  select,
  set,
  shl,
  shlL,
  shrL,
  shrU,
  store,
  storeL,
  sub,
  subL,
  TOP_BIT,
  when,
  wrap,
  xor,
} from "./float80_emit.ts";
import {
  emitAdd,
  emitCompare,
  emitDiv,
  emitMul,
  isZero,
} from "./float80_kernel_arith.ts";
import { ModuleBuilder } from "../../../core/wasm/module.ts";
import { OFF_FCW, OFF_FPR, OFF_FSW, OFF_FTAG, OFF_FTOP } from "./state.ts";
import {
  FORMAT_F32,
  FORMAT_F64,
  FORMAT_F80,
  FORMAT_I16,
  FORMAT_I32,
  FORMAT_I64,
  STORE_POP,
  STORE_TRUNCATE,
} from "./x87.ts";

/** A function of the kernel: up to three arguments, as helpers have. */
export type KernelFunction = (a: number, b: number, c: number) => number;

/** What the kernel has: names of slow paths and of what it exports. */
export const KERNEL_FUNCTIONS = [
  "registers",
  "operandF32",
  "operandF64",
  "operandInteger",
  "loadF32",
  "loadF64",
  "loadI32",
  "loadI64",
  "loadF80",
  "loadRegister",
  "loadConstant",
  "storeRegister",
  "exchange",
  "moveIf",
  "compare",
  "compareFlags",
  "compute",
  "store",
] as const;

/** Names of the kernel's functions. */
export type KernelName = typeof KERNEL_FUNCTIONS[number];

const ARGUMENTS: Record<KernelName, number> = {
  registers: 3,
  operandF32: 2,
  operandF64: 3,
  operandInteger: 2,
  loadF32: 1,
  loadF64: 2,
  loadI32: 1,
  loadI64: 2,
  loadF80: 3,
  loadRegister: 1,
  loadConstant: 1,
  storeRegister: 2,
  exchange: 1,
  moveIf: 2,
  compare: 3,
  compareFlags: 3,
  compute: 1,
  store: 3,
};

const PE = 0x20, C1 = 0x200, CODES = 0x4700;
const BIAS = 0x3fff;

/** The kernel of the CPU whose state lies at `base` of the memory. */
export function makeKernel(
  memory: WebAssembly.Memory,
  base: number,
  slow: Record<KernelName, KernelFunction>,
): Record<KernelName, KernelFunction> {
  const module = new ModuleBuilder(memory.buffer.byteLength / 65536);
  const type = (n: number): number =>
    module.type(new Array(n).fill(I32), [I32]);
  const slowIndex = new Map<KernelName, number>();
  for (const name of KERNEL_FUNCTIONS) {
    const index = module.importFunction("slow", name, type(ARGUMENTS[name]));
    slowIndex.set(name, index);
  }
  const first = KERNEL_FUNCTIONS.length;
  const arithmetic = module.type([I32, I64, I32, I64, I32, I32], [I32]);
  module.addFunction(arithmetic, emitAdd(), -1);
  module.addFunction(arithmetic, emitMul(), -1);
  module.addFunction(arithmetic, emitDiv(), -1);
  module.addFunction(
    module.type([I64, I32, I64, I32], [I32]),
    emitCompare(),
    -1,
  );
  const ADD = first, MUL = first + 1, DIV = first + 2, COMPARE = first + 3;

  const zero = i32(0);
  const FPR = base + OFF_FPR;
  const word = (offset: number): Code => load(zero, base + offset);
  const setWord = (offset: number, v: Code): void =>
    store(zero, base + offset, v);

  /** Emits one exported function. */
  const define = (name: KernelName, body: (b: Body) => void): void => {
    const b = new Body(ARGUMENTS[name], slowIndex.get(name)!);
    body(b);
    b.goSlow();
    module.addFunction(type(ARGUMENTS[name]), asm.take(), -1, name);
  };

  /** What the exported functions share: locals and accesses to the unit. */
  class Body {
    readonly top: number;
    readonly tag: number;
    readonly flags: number;
    readonly slot: number;
    readonly other: number;
    readonly m: number;
    readonly se: number;
    constructor(readonly params: number, readonly slowFunction: number) {
      this.top = asm.local(params, I32);
      this.tag = asm.local(params, I32);
      this.flags = asm.local(params, I32);
      this.slot = asm.local(params, I32);
      this.other = asm.local(params, I32);
      this.m = asm.local(params, I64);
      this.se = asm.local(params, I32);
      set(this.top, word(OFF_FTOP));
      set(this.tag, word(OFF_FTAG));
      set(this.slot, shl(get(this.top), i32(4)));
    }
    /** Returns what the slow path gives. */
    goSlow(): void {
      const args = [0, 1, 2].slice(0, this.params).map((k) => get(k));
      leave(call(this.slowFunction, ...args));
    }
    /** The slow path, if a condition holds. */
    unless(condition: Code): void {
      when(eqz(condition), () => this.goSlow());
    }
    /** Tag bit of the physical register `n`. */
    valid(n: Code): Code {
      return and(shrU(get(this.tag), n), i32(1));
    }
    /** Makes `other` the offset of ST(i), which must not be empty. */
    takeOther(i: Code): void {
      set(this.other, and(add(get(this.top), i), i32(7)));
      this.unless(and(this.valid(get(this.top)), this.valid(get(this.other))));
      set(this.other, shl(get(this.other), i32(4)));
    }
    /** Makes `slot` that of the register to be pushed, which must be empty. */
    takePushed(): void {
      set(this.top, and(sub(get(this.top), i32(1)), i32(7)));
      when(this.valid(get(this.top)), () => this.goSlow());
      set(this.slot, shl(get(this.top), i32(4)));
    }
    /** Ends a push. */
    pushed(): void {
      setWord(OFF_FTOP, get(this.top));
      setWord(OFF_FTAG, or(get(this.tag), shl(i32(1), get(this.top))));
      setWord(OFF_FSW, and(word(OFF_FSW), i32(~C1)));
      leave(i32(0));
    }
    /** Pops once. */
    pop(): void {
      set(
        this.tag,
        and(get(this.tag), xor(shl(i32(1), get(this.top)), i32(-1))),
      );
      set(this.top, and(add(get(this.top), i32(1)), i32(7)));
      setWord(OFF_FTAG, get(this.tag));
      setWord(OFF_FTOP, get(this.top));
    }
    /** Puts m and se into the slot at `at`. */
    put(at: number): void {
      storeL(get(at), FPR, get(this.m));
      storeL(get(at), FPR + 8, extend(get(this.se)));
    }
    /** Leaves a 32-bit integer in m and se. */
    widenInteger(v: Code): void {
      const { m, se, other } = this;
      when(
        v,
        () => {
          set(other, select(sub(i32(0), v), v, ltS(v, i32(0))));
          set(se, sub(i32(BIAS + 31), clz(get(other))));
          set(se, or(get(se), and(shrU(v, i32(16)), i32(0x8000))));
          set(
            m,
            shlL(extend(get(other)), extend(add(clz(get(other)), i32(32)))),
          );
        },
        () => {
          set(m, i64(0));
          set(se, i32(0));
        },
      );
    }
    /** Leaves a normal or zero binary32 in m and se, else goes slow. */
    widen32(v: Code): void {
      const { m, se } = this;
      set(se, and(shrU(v, i32(23)), i32(0xff)));
      when(
        ltU(sub(get(se), i32(1)), i32(0xfe)),
        () => {
          set(m, orL(shlL(extend(v), i64(40)), TOP_BIT));
          set(se, add(get(se), i32(BIAS - 127)));
        },
        () => {
          when(shl(v, i32(1)), () => this.goSlow());
          set(m, i64(0));
        },
      );
      set(se, or(get(se), and(shrU(v, i32(16)), i32(0x8000))));
    }
    /** Leaves a normal or zero binary64 in m and se, else goes slow. */
    widen64(lo: Code, hi: Code): void {
      const { m, se } = this;
      set(m, orL(shlL(extend(hi), i64(32)), extend(lo)));
      set(se, and(shrU(hi, i32(20)), i32(0x7ff)));
      when(
        ltU(sub(get(se), i32(1)), i32(0x7fe)),
        () => {
          set(m, orL(shlL(get(m), i64(11)), TOP_BIT));
          set(se, add(get(se), i32(BIAS - 1023)));
        },
        () => {
          when(
            neL(shlL(get(m), i64(1)), i64(0)),
            () => this.goSlow(),
          );
          set(m, i64(0));
        },
      );
      set(se, or(get(se), and(shrU(hi, i32(16)), i32(0x8000))));
    }
    /**
     * slot or `target` = ST(0) op (m, se) by ModRM's reg field; ends the
     * function or goes slow.
     */
    arithmetic(operation: Code, target: number, pop?: Code): void {
      const { m, se, slot, flags } = this;
      const cw = word(OFF_FCW);
      this.unless(and(cw, i32(PE)));
      const am = loadL(get(slot), FPR), ase = load(get(slot), FPR + 8);
      const dst = add(get(target), i32(FPR));
      const run = (f: number, swap: boolean, flip: boolean): void => {
        const b = flip && !swap ? xor(get(se), i32(0x8000)) : get(se);
        const a = flip && swap ? xor(ase, i32(0x8000)) : ase;
        set(
          flags,
          swap
            ? call(f, dst, get(m), b, am, a, cw)
            : call(f, dst, am, a, get(m), b, cw),
        );
      };
      // 0 add, 1 mul, 4 sub, 5 subr, 6 div, 7 divr
      const cases: [number, () => void][] = [
        [0, () => run(ADD, false, false)],
        [1, () => run(MUL, false, false)],
        [4, () => run(ADD, false, true)],
        [5, () => run(ADD, true, true)],
        [6, () => run(DIV, false, false)],
        [7, () => run(DIV, true, false)],
      ];
      const chain = (k: number): void => {
        if (k === cases.length) return this.goSlow();
        when(eq(operation, i32(cases[k][0])), cases[k][1], () => chain(k + 1));
      };
      chain(0);
      when(ltS(get(flags), i32(0)), () => this.goSlow());
      setWord(OFF_FSW, or(and(word(OFF_FSW), i32(~C1)), get(flags)));
      if (pop !== undefined) when(pop, () => this.pop());
      leave(i32(0));
    }
  }

  define("registers", (b) => {
    b.takeOther(get(1));
    set(b.m, loadL(get(b.other), FPR));
    set(b.se, load(get(b.other), FPR + 8));
    // The result goes to ST(i) or ST(0).
    set(b.other, select(get(b.other), get(b.slot), and(get(2), i32(1))));
    b.arithmetic(get(0), b.other, and(get(2), i32(2)));
  });
  const withMemory = (name: KernelName, widen: (b: Body) => void): void =>
    define(name, (b) => {
      b.unless(b.valid(get(b.top)));
      widen(b);
      // Comparisons
      when(eq(and(get(0), i32(6)), i32(2)), () => {
        const a = loadL(get(b.slot), FPR), ase = load(get(b.slot), FPR + 8);
        set(b.flags, call(COMPARE, a, ase, get(b.m), get(b.se)));
        when(ltS(get(b.flags), i32(0)), () => b.goSlow());
        setWord(OFF_FSW, or(and(word(OFF_FSW), i32(~CODES)), get(b.flags)));
        when(and(get(0), i32(1)), () => b.pop());
        leave(i32(0));
      });
      b.arithmetic(get(0), b.slot);
    });
  withMemory("operandF32", (b) => b.widen32(get(1)));
  withMemory("operandF64", (b) => b.widen64(get(1), get(2)));
  withMemory("operandInteger", (b) => b.widenInteger(get(1)));

  define("loadF32", (b) => {
    b.takePushed();
    b.widen32(get(0));
    b.put(b.slot);
    b.pushed();
  });
  define("loadF64", (b) => {
    b.takePushed();
    b.widen64(get(0), get(1));
    b.put(b.slot);
    b.pushed();
  });
  define("loadI32", (b) => {
    b.takePushed();
    b.widenInteger(get(0));
    b.put(b.slot);
    b.pushed();
  });
  define("loadI64", (b) => {
    const { m, se, slot } = b;
    const n = asm.local(2, I64);
    b.takePushed();
    set(m, orL(shlL(extend(get(1)), i64(32)), extend(get(0))));
    when(eqzL(get(m)), () => set(se, i32(0)), () => {
      set(se, and(shrU(get(1), i32(16)), i32(0x8000)));
      when(get(se), () => set(m, subL(i64(0), get(m))));
      set(n, clzL(get(m)));
      set(m, shlL(get(m), get(n)));
      set(se, or(get(se), sub(i32(BIAS + 63), wrap(get(n)))));
    });
    b.put(slot);
    b.pushed();
  });
  define("loadF80", (b) => {
    b.takePushed();
    set(b.m, orL(shlL(extend(get(1)), i64(32)), extend(get(0))));
    set(b.se, and(get(2), i32(0xffff)));
    b.put(b.slot);
    b.pushed();
  });
  define("loadRegister", (b) => {
    set(b.other, and(add(get(b.top), get(0)), i32(7)));
    b.unless(b.valid(get(b.other)));
    set(b.other, shl(get(b.other), i32(4)));
    b.takePushed();
    storeL(get(b.slot), FPR, loadL(get(b.other), FPR));
    storeL(get(b.slot), FPR + 8, loadL(get(b.other), FPR + 8));
    b.pushed();
  });
  define("loadConstant", (b) => {
    // FLD1 and FLDZ
    b.unless(or(eqz(get(0)), eq(get(0), i32(6))));
    b.takePushed();
    set(b.m, select(i64(0), TOP_BIT, get(0)));
    set(b.se, select(i32(0), i32(BIAS), get(0)));
    b.put(b.slot);
    b.pushed();
  });
  define("storeRegister", (b) => {
    b.unless(b.valid(get(b.top)));
    set(b.other, and(add(get(b.top), get(0)), i32(7)));
    set(b.tag, or(get(b.tag), shl(i32(1), get(b.other))));
    set(b.other, shl(get(b.other), i32(4)));
    storeL(get(b.other), FPR, loadL(get(b.slot), FPR));
    storeL(get(b.other), FPR + 8, loadL(get(b.slot), FPR + 8));
    setWord(OFF_FTAG, get(b.tag));
    setWord(OFF_FSW, and(word(OFF_FSW), i32(~C1)));
    when(get(1), () => b.pop());
    leave(i32(0));
  });
  define("exchange", (b) => {
    b.takeOther(get(0));
    set(b.m, loadL(get(b.slot), FPR));
    set(b.se, load(get(b.slot), FPR + 8));
    storeL(get(b.slot), FPR, loadL(get(b.other), FPR));
    storeL(get(b.slot), FPR + 8, loadL(get(b.other), FPR + 8));
    b.put(b.other);
    setWord(OFF_FSW, and(word(OFF_FSW), i32(~C1)));
    leave(i32(0));
  });
  // FCMOVcc
  define("moveIf", (b) => {
    b.takeOther(get(0));
    when(get(1), () => {
      storeL(get(b.slot), FPR, loadL(get(b.other), FPR));
      storeL(get(b.slot), FPR + 8, loadL(get(b.other), FPR + 8));
    });
    leave(i32(0));
  });
  /** Leaves the relation of ST(0) and ST(i) in flags. */
  const relate = (b: Body): void => {
    b.takeOther(get(0));
    set(
      b.flags,
      call(
        COMPARE,
        loadL(get(b.slot), FPR),
        load(get(b.slot), FPR + 8),
        loadL(get(b.other), FPR),
        load(get(b.other), FPR + 8),
      ),
    );
    when(ltS(get(b.flags), i32(0)), () => b.goSlow());
  };
  define("compare", (b) => {
    relate(b);
    setWord(OFF_FSW, or(and(word(OFF_FSW), i32(~CODES)), get(b.flags)));
    when(get(1), () => b.pop());
    when(gtS(get(1), i32(1)), () => b.pop());
    leave(i32(0));
  });
  define("compareFlags", (b) => {
    relate(b);
    when(get(1), () => b.pop());
    leave(shrU(get(b.flags), i32(8))); // CF and ZF
  });
  define("compute", (b) => {
    // FCHS and FABS
    b.unless(and(ltU(get(0), i32(2)), b.valid(get(b.top))));
    set(b.se, load(get(b.slot), FPR + 8));
    set(
      b.se,
      and(
        select(
          and(get(b.se), i32(0x7fff)),
          xor(get(b.se), i32(0x8000)),
          get(0),
        ),
        i32(0xffff),
      ),
    );
    storeL(get(b.slot), FPR + 8, extend(get(b.se)));
    setWord(OFF_FSW, and(word(OFF_FSW), i32(~C1)));
    leave(i32(0));
  });

  // FST, FSTP, FIST and FISTP: (address, format and how, MMU index).
  define("store", (b) => {
    const { m, se, flags, other } = b;
    const x = asm.local(3, I64), unit = asm.local(3, I64);
    const e = asm.local(3, I32), rc = asm.local(3, I32);
    const cpu = asm.local(3, I32), entry = asm.local(3, I32);
    const host = asm.local(3, I32);
    const format = (f: number): Code => eq(and(get(1), i32(7)), i32(f));
    b.unless(and(b.valid(get(b.top)), shrU(word(OFF_FCW), i32(5)))); // PE
    set(cpu, i32(base));
    set(m, loadL(get(b.slot), FPR));
    set(se, load(get(b.slot), FPR + 8));
    set(e, and(get(se), i32(0x7fff)));
    set(rc, and(word(OFF_FCW), i32(0xc00)));
    when(and(get(1), i32(STORE_TRUNCATE)), () => set(rc, i32(0xc00)));

    /** Rounds m by x; unit is one in the last place. */
    const round = (): void => {
      when(neL(get(x), i64(0)), () => {
        const odd = extend(neL(andL(get(m), get(unit)), i64(0)));
        const sign = and(get(se), i32(0x8000));
        set(
          flags,
          select(
            eq(get(rc), select(i32(0x400), i32(0x800), sign)),
            gtUL(get(x), subL(TOP_BIT, odd)),
            get(rc),
          ),
        );
        when(get(flags), () => {
          set(m, addL(get(m), get(unit)));
          set(flags, i32(C1));
        });
        set(flags, or(get(flags), i32(PE)));
      });
    };
    /** Stores `width` bytes through the TLB and ends. */
    const finish = (width: number, write: (host: Code) => void): void => {
      const locals = { cpu, address: 0, entry, host };
      emitLookup(asm.e, locals, width, true, OFF_TLB, () => {
        asm.e.localGet(2);
        asm.e.i32Const(TLB_BYTES);
        asm.e.u8(0x6c); // i32.mul
      });
      asm.e.u8(0x04);
      asm.e.u8(0x40);
      b.goSlow();
      asm.e.u8(0x0b);
      emitHost(asm.e, locals, OFF_TLB, true);
      asm.e.localSet(host);
      write(get(host));
      setWord(OFF_FSW, or(and(word(OFF_FSW), i32(~C1)), get(flags)));
      when(and(get(1), i32(STORE_POP)), () => b.pop());
      leave(i32(0));
    };
    /** Stores the low `width` bytes of m; they may lie anywhere. */
    const finishWith = (width: number): void =>
      finish(width, (at) => {
        at();
        asm.e.localGet(m);
        // i64.store16, store32, store
        asm.e.mem(width === 2 ? 0x3d : width === 4 ? 0x3e : 0x37, 0);
      });
    /** FST m32 and m64: `cut` low bits of the significand go. */
    const narrow = (cut: number, bias: number, width: number): void => {
      when(eqz(isZero(get(m), get(e))), () => {
        b.unless(ltSL(get(m), i64(0)));
        set(e, sub(get(e), i32(BIAS - bias)));
        b.unless(ltU(sub(get(e), i32(1)), i32(2 * bias)));
        set(x, shlL(get(m), i64(64 - cut)));
        set(m, shlL(shrL(get(m), i64(cut)), i64(cut)));
        set(unit, cut < 32 ? i64(1 << cut, 0) : i64(0, 1 << (cut - 32)));
        round();
        when(eqzL(get(m)), () => {
          set(m, TOP_BIT);
          set(e, add(get(e), i32(1)));
          b.unless(leS(get(e), i32(2 * bias)));
        });
        // Without the integer bit, and the exponent above it.
        set(m, shrL(shlL(get(m), i64(1)), i64(cut + 1)));
      });
      const sign = extend(shrU(and(get(se), i32(0x8000)), i32(15)));
      set(m, orL(get(m), shlL(extend(get(e)), i64(63 - cut))));
      set(m, orL(get(m), shlL(sign, i64(width * 8 - 1))));
      finishWith(width);
    };
    /** FIST: numbers below 2^(bits - 1). */
    const integer = (width: number): void => {
      when(eqz(isZero(get(m), get(e))), () => {
        b.unless(and(
          ltSL(get(m), i64(0)),
          ltU(sub(get(e), i32(1)), i32(BIAS + width * 8 - 2)),
        ));
        // 1 to 64 bits of fraction, or nothing but fraction.
        set(other, sub(i32(BIAS + 63), get(e)));
        set(unit, i64(1, 0));
        when(
          ltU(get(other), i32(64)),
          () => {
            set(x, shlL(get(m), subL(i64(64), extend(get(other)))));
            set(m, shrL(get(m), extend(get(other))));
          },
          () => {
            set(x, select(get(m), i64(1, 0), eq(get(other), i32(64))));
            set(m, i64(0));
          },
        );
        round();
        // Rounded up to the limit.
        when(
          neL(shrL(get(m), i64(width * 8 - 1)), i64(0)),
          () => b.goSlow(),
        );
        when(and(get(se), i32(0x8000)), () => set(m, subL(i64(0), get(m))));
      });
      finishWith(width);
    };
    when(format(FORMAT_F64), () => narrow(11, 1023, 8));
    when(format(FORMAT_F32), () => narrow(40, 127, 4));
    when(format(FORMAT_I32), () => integer(4));
    when(format(FORMAT_I64), () => integer(8));
    when(format(FORMAT_I16), () => integer(2));
    when(format(FORMAT_F80), () =>
      finish(10, (at) => {
        at();
        asm.e.localGet(m);
        asm.e.mem(0x37, 0);
        at();
        asm.e.localGet(se);
        asm.e.mem(0x3b, 8); // i32.store16
      }));
  });

  const instance = new WebAssembly.Instance(
    new WebAssembly.Module(module.build()),
    {
      env: {
        memory,
        table: new WebAssembly.Table({ element: "anyfunc", initial: 1 }),
      },
      slow,
    },
  );
  return instance.exports as unknown as Record<KernelName, KernelFunction>;
}

/** Makes the kernel of one CPU when the first helper is bound to it. */
export class KernelLink {
  readonly #slow: Partial<Record<KernelName, KernelFunction>> = {};
  #memory: WebAssembly.Memory | undefined;
  #base = 0;
  #kernel: Record<KernelName, KernelFunction> | undefined;

  /** The kernel's function, which calls `slow` for what it does not do. */
  bind(
    name: KernelName,
    memory: WebAssembly.Memory,
    base: number,
    slow: KernelFunction,
  ): KernelFunction {
    const paths = this.#slow;
    if (
      this.#kernel === undefined || this.#memory !== memory ||
      this.#base !== base
    ) {
      const call = (name: KernelName): KernelFunction => (a, b, c) => {
        const path = paths[name];
        if (path === undefined) throw new Error(`x87 kernel: no slow ${name}`);
        return path(a, b, c);
      };
      this.#memory = memory;
      this.#base = base;
      this.#kernel = makeKernel(
        memory,
        base,
        Object.fromEntries(
          KERNEL_FUNCTIONS.map((name) => [name, call(name)]),
        ) as Record<KernelName, KernelFunction>,
      );
    }
    paths[name] = slow;
    return this.#kernel[name];
  }
}
