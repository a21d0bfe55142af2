/**
 * Integer helpers in WebAssembly: what is called so often that a call out to
 * TypeScript shows. Each does the plain case and leaves the rest to the
 * helper's TypeScript, which can do everything.
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
import { ModuleBuilder } from "../../../core/wasm/module.ts";
import {
  add,
  and,
  asm,
  call,
  type Code,
  eq,
  eqz,
  get,
  I32,
  i32,
  leave,
  leS,
  load,
  ltS,
  ltU,
  or,
  select,
  set,
  shl,
  shrU,
  store,
  sub,
  when,
  xor,
} from "./float80_emit.ts";
import type { HelperOptions } from "./helpers.ts";
import {
  CC_ADD,
  CC_INC,
  CC_LOGIC,
  CC_OVERRIDE,
  CC_ROR,
  CC_SUB,
  DF,
  OFF_CC_DST,
  OFF_CC_OP,
  OFF_CC_OVER,
  OFF_CC_SRC,
  OFF_FLAGS,
  OFF_GPR,
  OFF_SEG,
  SEG_ATTR,
  SEG_LIMIT,
} from "./state.ts";

/** Bytes that one call of a repeated string instruction moves at most. */
export const MAX_RUN = 65536;
/** Argument of the string helpers: flat segments, 32-bit addresses, nothing to watch. */
export const REP_FLAT = 0x800;
/** Argument of the string helpers: accesses go through TLB 1. */
export const REP_USER = 0x1000;

const mul = (a: Code, b: Code): Code => () => {
  a();
  b();
  asm.e.u8(0x6c);
};

type Native = NonNullable<HelperOptions["native"]>;

/** What the body of a function is written with. */
interface Frame {
  /** A word of the state. */
  word(offset: number): Code;
  /** Writes a word of the state. */
  setWord(offset: number, v: Code): void;
  /** A new i32 local. */
  local(): number;
  /** Leaves with what the TypeScript helper gives. */
  slow(): void;
  /** Address of the CPU's area. */
  readonly base: number;
}

/** A helper whose arguments are the first locals: the body leaves, or ends where the TypeScript helper is to go on. */
function native(body: (f: Frame) => void, args = 1): Native {
  return () => (memory, base, slow) => {
    const module = new ModuleBuilder(memory.buffer.byteLength / 65536);
    const type = module.type(new Array(args).fill(I32), [I32]);
    const slowIndex = module.importFunction("env", "slow", type);
    const frame: Frame = {
      word: (offset) => load(i32(0), base + offset),
      setWord: (offset, v) => store(i32(0), base + offset, v),
      local: () => asm.local(args, I32),
      slow: () => leave(call(slowIndex, ...[get(0), get(1)].slice(0, args))),
      base,
    };
    body(frame);
    frame.slow();
    module.addFunction(type, asm.take(), -1, "run");
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
    return instance.exports.run as (a: number, b: number) => number;
  };
}

// Bits of EFLAGS that conditions O B Z BE S P test (BE: and ZF), as shifts.
const SHIFTS_LOW = 11 | (6 << 16), SHIFTS_HIGH = 7 | (2 << 8);

/** `cc_condition`: see flags.ts for what each condition is. */
export const CONDITION: Native = native((f) => {
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
});

/** Emits a loop; the body goes on with `again` and falls through to leave it. */
function loop(body: (again: () => void) => void): void {
  asm.e.u8(0x03);
  asm.e.u8(0x40);
  body(() => {
    asm.e.u8(0x0c);
    asm.e.u32(0);
  });
  asm.e.u8(0x0b);
}

const EAX = OFF_GPR, ECX = OFF_GPR + 8, ESI = OFF_GPR + 48, EDI = OFF_GPR + 56;

/** The parts that REP MOVS and REP STOS share. */
function repeat(
  f: Frame,
  body: (x: {
    /** Bytes of this run. */
    bytes: number;
    /** log2 of the element size. */
    log: number;
    /** Cuts the run at the end of the page of an address. */
    cut: (address: number) => void;
    /** Host address, by the TLB; goes the slow way at a miss. */
    host: (address: number, tag: number, result: number) => void;
  }) => void,
): void {
  const left = f.local(),
    log = f.local(),
    bytes = f.local(),
    limit = f.local(),
    tlb = f.local(),
    entry = f.local();
  when(eqz(and(get(0), i32(REP_FLAT))), () => f.slow());
  when(and(f.word(OFF_FLAGS), i32(DF)), () => f.slow());
  set(left, i32(MAX_RUN));
  set(log, and(shrU(get(0), i32(1)), i32(3)));
  set(
    tlb,
    add(
      i32(f.base + OFF_TLB),
      select(i32(TLB_BYTES), i32(0), and(get(0), i32(REP_USER))),
    ),
  );
  const min = (v: Code): void => {
    set(limit, v);
    set(bytes, select(get(limit), get(bytes), ltU(get(limit), get(bytes))));
  };
  loop((again) => {
    when(eqz(f.word(ECX)), () => leave(i32(0)));
    when(eqz(get(left)), () => leave(i32(0)));
    set(
      bytes,
      select(
        shl(f.word(ECX), get(log)),
        get(left),
        ltU(f.word(ECX), shrU(get(left), get(log))),
      ),
    );
    body({
      bytes,
      log,
      cut: (address) => min(sub(i32(4096), and(get(address), i32(4095)))),
      host: (address, tag, result) => {
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
        set(result, xor(get(address), load(get(entry), tag)));
        when(ltU(i32(4095), get(result)), () => f.slow());
        set(result, add(get(result), load(get(entry), tag + TLB_HOST)));
      },
    });
    f.setWord(ECX, sub(f.word(ECX), shrU(get(bytes), get(log))));
    f.setWord(EDI, add(f.word(EDI), get(bytes)));
    set(left, sub(get(left), get(bytes)));
    again();
  });
}

/** Makes the run whole elements; goes the slow way if there is none. */
function wholeElements(f: Frame, bytes: number, log: number): void {
  set(bytes, shl(shrU(get(bytes), get(log)), get(log)));
  when(eqz(get(bytes)), () => f.slow());
}

/** `rep_movs`. */
export const MOVS: Native = native((f) => {
  const source = f.local(), target = f.local(), from = f.local();
  const to = f.local();
  repeat(f, ({ bytes, log, cut, host }) => {
    set(source, f.word(ESI));
    set(target, f.word(EDI));
    cut(source);
    cut(target);
    wholeElements(f, bytes, log);
    host(source, TLB_READ, from);
    host(target, TLB_WRITE, to);
    // What is written would be read again.
    when(ltU(sub(get(to), get(from)), get(bytes)), () => f.slow());
    get(to)();
    get(from)();
    get(bytes)();
    asm.e.raw(Uint8Array.of(0xfc, 0x0a, 0, 0)); // memory.copy
    f.setWord(ESI, add(get(source), get(bytes)));
  });
});

/** `rep_stos`, where all bytes of the element are equal. */
export const STOS: Native = native((f) => {
  const target = f.local(), to = f.local(), v = f.local(), mask = f.local();
  // ff, ffff, ffffffff for 1, 2, 4 bytes
  set(mask, shrU(i32(-1), sub(i32(32), shl(and(get(0), i32(7)), i32(3)))));
  set(v, and(f.word(EAX), get(mask)));
  when(
    xor(
      get(v),
      and(mul(and(get(v), i32(0xff)), i32(0x01010101)), get(mask)),
    ),
    () => f.slow(),
  );
  repeat(f, ({ bytes, log, cut, host }) => {
    set(target, f.word(EDI));
    cut(target);
    wholeElements(f, bytes, log);
    host(target, TLB_WRITE, to);
    get(to)();
    get(v)();
    get(bytes)();
    asm.e.raw(Uint8Array.of(0xfc, 0x0b, 0)); // memory.fill
  });
});

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
