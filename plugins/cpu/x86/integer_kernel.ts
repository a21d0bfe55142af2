/**
 * Integer helpers in WebAssembly: what is called so often that a call out to
 * TypeScript shows. Each does the plain case and leaves the rest to the
 * helper's TypeScript, which can do everything.
 *
 * @module
 */

import { ModuleBuilder } from "../../../core/wasm/module.ts";
import {
  add,
  addL,
  and,
  andL,
  asm,
  call,
  type Code,
  eq,
  eqL,
  eqz,
  eqzL,
  extend,
  get,
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
  ltUL,
  ne,
  or,
  select,
  set,
  shl,
  shlL,
  shrU,
  store,
  sub,
  subL,
  TOP_BIT,
  when,
  wrap,
  xor,
  xorL,
} from "./float80_emit.ts";
import type { X86 } from "./cpu.ts";
import type { HelperOptions } from "./helpers.ts";
import type { Feature } from "./models.ts";
import { V128 } from "./vector_emit.ts";
import {
  AF,
  ARITH_FLAGS,
  CC_ADC,
  CC_ADD,
  CC_DEC,
  CC_IMUL,
  CC_INC,
  CC_LOGIC,
  CC_MUL,
  CC_OVERRIDE,
  CC_ROL,
  CC_ROR,
  CC_SAR,
  CC_SBB,
  CC_SHL,
  CC_SUB,
  CF,
  OF,
  OFF_CC_DST,
  OFF_CC_OP,
  OFF_CC_OVER,
  OFF_CC_SRC,
  OFF_CC_SRC2,
  OFF_INTR,
  OFF_SEG,
  SEG_ATTR,
  SEG_LIMIT,
  SF,
  ZF,
} from "./state.ts";

/** `i32.mul` */
export const mul = (a: Code, b: Code): Code => () => {
  a();
  b();
  asm.e.u8(0x6c);
};

/** `i32.popcnt` */
const popcnt = (a: Code): Code => () => {
  a();
  asm.e.u8(0x69);
};

/** Makes the WebAssembly form of a helper for one CPU. */
export type Native = NonNullable<HelperOptions["native"]>;

/** What the body of a function is written with. */
export interface Frame {
  /** A word of the state. */
  word(offset: number): Code;
  /** Writes a word of the state. */
  setWord(offset: number, v: Code): void;
  /** 64 bits of the state. */
  long(offset: number): Code;
  /** A new i32 local. */
  local(): number;
  /** A new i64 local. */
  local64(): number;
  /** A new v128 local. */
  vector(): number;
  /** Leaves with what the next form of the helper gives: the rest, or the TypeScript. */
  slow(): void;
  /** Address of the CPU's area. */
  readonly base: number;
}

/**
 * A helper whose arguments are the first locals: the body leaves, or ends where
 * the TypeScript helper is to go on. With `rest` a second function goes on there
 * first: what is common then needs few registers. `longs`: see `Helper.longs`.
 */
export function native(
  body: (f: Frame) => void,
  args = 1,
  rest?: (f: Frame) => void,
  longs = false,
): Native {
  return () => (memory, base, slow) => {
    const module = new ModuleBuilder(memory.buffer.byteLength / 65536);
    const types = longs ? [I64, I64, I32] : new Array(args).fill(I32);
    const type = module.type(types, [I32]);
    const slowIndex = module.importFunction("env", "slow", type);
    const add = (
      body: (f: Frame) => void,
      next: number,
      name?: string,
    ): void => {
      const frame: Frame = {
        word: (offset) => load(i32(0), base + offset),
        setWord: (offset, v) => store(i32(0), base + offset, v),
        long: (offset) => loadL(i32(0), base + offset),
        local: () => asm.local(args, I32),
        local64: () => asm.local(args, I64),
        vector: () => asm.local(args, V128),
        slow: () => leave(call(next, ...[0, 1, 2].slice(0, args).map(get))),
        base,
      };
      body(frame);
      frame.slow();
      module.addFunction(type, asm.take(), -1, name);
    };
    if (rest === undefined) add(body, slowIndex, "run");
    else {
      add(rest, slowIndex);
      add(body, slowIndex + 1, "run");
    }
    const instance = new WebAssembly.Instance(
      new WebAssembly.Module(module.build()),
      {
        env: {
          memory,
          table: new WebAssembly.Table({ element: "anyfunc", initial: 1 }),
          slow,
        },
      },
    );
    return instance.exports.run as (
      a: number,
      b: number,
      c: number,
    ) => number;
  };
}

/** That of a helper which CPUs without a feature never call: there, none has to be compiled. */
export function ifPresent(
  cpu: X86,
  feature: Feature,
  form: Native,
): ReturnType<Native> {
  return cpu.model.features.has(feature) ? form(cpu) : undefined;
}

// Bits of EFLAGS that conditions O B Z BE S P test (BE: and ZF), as shifts.
const SHIFTS_LOW = 11 | (6 << 16), SHIFTS_HIGH = 7 | (2 << 8);

/** `cc_condition` after an operation on 64 bits. */
function condition64(f: Frame): void {
  const op = f.local(),
    group = f.local(),
    kind = f.local(),
    d = f.local64(),
    s = f.local64(),
    a = f.local64();
  const give = (v: Code): void => leave(xor(v, and(get(0), i32(1))));
  const giveIf = (n: number, v: Code): void =>
    when(eq(get(kind), i32(n)), () => give(v));
  set(op, f.word(OFF_CC_OP));
  set(group, and(get(op), i32(0x3c)));
  set(kind, shrU(get(0), i32(1)));
  const isNarrow = ne(and(get(op), i32(3)), i32(3));
  when(or(isNarrow, eqz(get(group))), () => f.slow());
  set(d, f.long(OFF_CC_DST));
  set(s, f.long(OFF_CC_SRC));
  giveIf(2, eqzL(get(d)));
  giveIf(4, ltSL(get(d), i64(0)));
  when(and(get(op), i32(CC_OVERRIDE)), () => f.slow());
  when(eq(get(group), i32(CC_LOGIC)), () => {
    // As a comparison with 0.
    set(s, i64(0));
    set(group, i32(CC_SUB));
  });
  when(eq(get(group), i32(CC_SUB)), () => {
    set(a, addL(get(d), get(s)));
    giveIf(1, ltUL(get(a), get(s)));
    giveIf(3, eqz(gtUL(get(a), get(s))));
    giveIf(6, ltSL(get(a), get(s)));
    giveIf(7, eqz(ltSL(get(s), get(a))));
  });
  when(eq(get(kind), i32(1)), () => {
    when(eq(get(group), i32(CC_ADD)), () => give(ltUL(get(d), get(s))));
    // INC and DEC
    when(
      eq(and(get(group), i32(~4)), i32(CC_INC)),
      () => give(f.word(OFF_CC_SRC)),
    );
  });
}

/** `cc_condition`: see flags.ts for what each condition is. */
export const CONDITION: Native = native(
  (f) => {
    const op = f.local(),
      group = f.local(),
      kind = f.local(),
      shift = f.local(),
      d = f.local(),
      s = f.local(),
      a = f.local();
    const give = (v: Code): void => leave(xor(v, and(get(0), i32(1))));
    const giveIf = (n: number, v: Code): void =>
      when(eq(get(kind), i32(n)), () => give(v));
    const bit = (v: Code, n: Code): Code => and(shrU(v, n), i32(1));
    set(op, f.word(OFF_CC_OP));
    set(group, and(get(op), i32(~3)));
    set(kind, shrU(get(0), i32(1)));
    set(s, f.word(OFF_CC_SRC));
    when(and(get(op), i32(CC_OVERRIDE)), () => {
      const at = select(
        i32(31),
        i32(0),
        eq(and(get(op), i32(CC_OVERRIDE)), i32(CC_ROR)),
      );
      giveIf(1, bit(f.word(OFF_CC_OVER), at));
      f.slow();
    });
    when(eqz(get(group)), () => {
      const differ = xor(bit(get(s), i32(7)), bit(get(s), i32(11)));
      giveIf(3, or(bit(get(s), i32(0)), bit(get(s), i32(6))));
      giveIf(6, differ);
      giveIf(7, or(differ, bit(get(s), i32(6))));
      const table = select(
        i32(SHIFTS_LOW),
        i32(SHIFTS_HIGH),
        ltU(get(kind), i32(4)),
      );
      const at = shl(and(get(kind), i32(3)), i32(3));
      give(bit(get(s), and(shrU(table, at), i32(31))));
    });
    // Operands of 64 bits.
    when(eq(and(get(op), i32(3)), i32(3)), () => f.slow());
    // Operands at the top of their words compare as they are.
    set(
      shift,
      and(shrU(i32(0x1018), shl(and(get(op), i32(3)), i32(3))), i32(31)),
    );
    set(d, shl(f.word(OFF_CC_DST), get(shift)));
    giveIf(2, eqz(get(d)));
    giveIf(4, shrU(get(d), i32(31)));
    when(
      eq(get(group), i32(CC_LOGIC)),
      () => {
        // As a comparison with 0.
        set(s, i32(0));
        set(group, i32(CC_SUB));
      },
      () => set(s, shl(get(s), get(shift))),
    );
    when(eq(get(group), i32(CC_SUB)), () => {
      set(a, add(get(d), get(s)));
      giveIf(1, ltU(get(a), get(s)));
      giveIf(3, eqz(ltU(get(s), get(a))));
      giveIf(6, ltS(get(a), get(s)));
      giveIf(7, leS(get(a), get(s)));
    });
    when(eq(get(kind), i32(1)), () => {
      when(eq(get(group), i32(CC_ADD)), () => give(ltU(get(d), get(s))));
      // INC and DEC
      when(
        eq(and(get(group), i32(~4)), i32(CC_INC)),
        () => give(f.word(OFF_CC_SRC)),
      );
    });
  },
  1,
  condition64,
);

/**
 * `cc_flags`: see `stateFlags` in flags.ts, which has IMUL. Operands of all
 * sizes stand at the top of 64 bits, where they carry and overflow as they do
 * in their own size.
 *
 * The kernel's `pushfq` at each lock comes here: in TypeScript, with its
 * BigInts, 5 % of the CPU time of a guest that writes to a disk.
 */
export const ARITHMETIC_FLAGS: Native = native(
  (f) => {
    const op = f.local(),
      group = f.local(),
      flags = f.local(),
      low = f.local(),
      over = f.local(),
      shift = f.local64(),
      d = f.local64(),
      s = f.local64(),
      a = f.local64(),
      carry = f.local64();
    const setIf = (bit: number, condition: Code): void =>
      set(flags, or(get(flags), mul(condition, i32(bit))));
    const inGroups = (first: number, second: number): Code =>
      or(eq(get(group), i32(first)), eq(get(group), i32(second)));
    set(op, f.word(OFF_CC_OP));
    set(group, and(get(op), i32(0x3c)));
    set(low, f.word(OFF_CC_SRC));
    when(
      eqz(get(group)),
      () => set(flags, and(get(low), i32(ARITH_FLAGS))),
      () => {
        when(eq(get(group), i32(CC_IMUL)), () => f.slow());
        // 56, 48, 32 and 0.
        set(
          shift,
          extend(
            and(
              shrU(i32(0x00203038), shl(and(get(op), i32(3)), i32(3))),
              i32(63),
            ),
          ),
        );
        set(d, shlL(f.long(OFF_CC_DST), get(shift)));
        set(s, shlL(f.long(OFF_CC_SRC), get(shift)));
        set(
          flags,
          shl(
            eqz(and(popcnt(and(f.word(OFF_CC_DST), i32(0xff))), i32(1))),
            i32(2),
          ),
        );
        setIf(ZF, eqzL(get(d)));
        setIf(SF, ltSL(get(d), i64(0)));
        // What AF comes from, in the low bits: result and source.
        set(over, xor(f.word(OFF_CC_DST), get(low)));
        when(inGroups(CC_ADD, CC_ADC), () => {
          set(carry, i64(0));
          when(
            eq(get(group), i32(CC_ADC)),
            () => set(carry, andL(f.long(OFF_CC_SRC2), i64(1))),
          );
          set(a, subL(subL(get(d), get(s)), shlL(get(carry), get(shift))));
          setIf(
            CF,
            or(
              ltUL(get(d), get(s)),
              and(wrap(get(carry)), eqL(get(d), get(s))),
            ),
          );
          setIf(
            OF,
            ltSL(andL(xorL(get(d), get(a)), xorL(get(d), get(s))), i64(0)),
          );
          setIf(
            1,
            and(
              xor(
                get(over),
                sub(sub(f.word(OFF_CC_DST), get(low)), wrap(get(carry))),
              ),
              i32(AF),
            ),
          );
        });
        when(inGroups(CC_SUB, CC_SBB), () => {
          set(carry, i64(0));
          when(
            eq(get(group), i32(CC_SBB)),
            () => set(carry, andL(f.long(OFF_CC_SRC2), i64(1))),
          );
          set(a, addL(addL(get(d), get(s)), shlL(get(carry), get(shift))));
          setIf(
            CF,
            or(
              ltUL(get(a), get(s)),
              and(wrap(get(carry)), eqL(get(a), get(s))),
            ),
          );
          setIf(
            OF,
            ltSL(andL(xorL(get(a), get(s)), xorL(get(a), get(d))), i64(0)),
          );
          setIf(
            1,
            and(
              xor(
                get(over),
                add(add(f.word(OFF_CC_DST), get(low)), wrap(get(carry))),
              ),
              i32(AF),
            ),
          );
        });
        when(inGroups(CC_INC, CC_DEC), () => {
          set(over, and(f.word(OFF_CC_DST), i32(15)));
          setIf(CF, and(get(low), i32(1)));
          when(eq(get(group), i32(CC_INC)), () => {
            setIf(AF, eqz(get(over)));
            setIf(OF, eqL(get(d), TOP_BIT));
          }, () => {
            setIf(AF, eq(get(over), i32(15)));
            setIf(OF, eqL(addL(get(d), shlL(i64(1), get(shift))), TOP_BIT));
          });
        });
        when(inGroups(CC_SHL, CC_SAR), () => {
          setIf(OF, ltSL(xorL(get(s), get(d)), i64(0)));
          when(
            eq(get(group), i32(CC_SHL)),
            () => setIf(CF, ltSL(get(s), i64(0))),
            () => setIf(CF, and(get(low), i32(1))),
          );
        });
        when(
          eq(get(group), i32(CC_MUL)),
          () => setIf(CF | OF, eqz(eqzL(get(s)))),
        );
      },
    );
    when(and(get(op), i32(CC_OVERRIDE)), () => {
      set(over, f.word(OFF_CC_OVER));
      set(op, and(get(op), i32(CC_OVERRIDE)));
      set(flags, and(get(flags), i32(~(CF | OF))));
      // CC_ROL: CF is bit 0, OF bit 31 against it; CC_ROR: bit 31, and against bit 30.
      when(eq(get(op), i32(CC_ROL)), () => {
        setIf(CF, and(get(over), i32(1)));
        setIf(OF, xor(shrU(get(over), i32(31)), and(get(over), i32(1))));
      }, () =>
        when(eq(get(op), i32(CC_ROR)), () => {
          setIf(CF, shrU(get(over), i32(31)));
          setIf(
            OF,
            xor(
              shrU(get(over), i32(31)),
              and(shrU(get(over), i32(30)), i32(1)),
            ),
          );
        }, () => set(flags, or(get(flags), and(get(over), i32(CF | OF))))));
    });
    leave(get(flags));
  },
  0,
);

/** `check_interrupt`, `interrupts_open`: nothing waits. */
export const NO_INTERRUPT: Native = native((f) => {
  when(eqz(f.word(OFF_INTR)), () => leave(i32(0)));
}, 0);

// Attributes of a segment register: P, S, code, expand-down, readable or writable.
const ATTR_P = 0x8000,
  ATTR_S = 0x1000,
  ATTR_CODE = 0x800,
  ATTR_DOWN = 0x400,
  ATTR_RW = 0x200;

/** `check_segment`: writable expand-up data, and reads of readable code. */
export const SEGMENT: Native = native((f) => {
  const at = f.local(), attr = f.local(), last = f.local(), code = f.local();
  set(
    at,
    add(i32(f.base + OFF_SEG), shl(and(get(1), i32(15)), i32(5))),
  );
  set(attr, load(get(at), SEG_ATTR));
  set(
    last,
    sub(
      add(get(0), and(shrU(get(1), i32(4)), i32(0xff))),
      i32(1),
    ),
  );
  const fixed = ATTR_P | ATTR_S | ATTR_RW;
  set(
    code,
    and(
      eq(
        and(get(attr), i32(fixed | ATTR_CODE)),
        i32(fixed | ATTR_CODE),
      ),
      eqz(and(get(1), i32(0x1000))),
    ),
  );
  const data = eq(
    and(get(attr), i32(fixed | ATTR_CODE | ATTR_DOWN)),
    i32(fixed),
  );
  const within = and(
    eqz(ltU(get(last), get(0))),
    eqz(ltU(load(get(at), SEG_LIMIT), get(last))),
  );
  when(and(or(data, get(code)), within), () => leave(i32(0)));
}, 2);
