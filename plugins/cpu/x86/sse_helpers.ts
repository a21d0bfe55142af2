/**
 * The helpers of SSE floating point, by mnemonic: each computes a whole
 * instruction, in any mode of MXCSR, from the operand vectors in the scratch
 * area. The arithmetic is SoftFloat's.
 *
 * @module
 */

import type { Helper } from "../../../core/ir/builder.ts";
import type { X86 } from "./cpu.ts";
import { EXC_UD, EXC_XM } from "./exceptions.ts";
import { define, type HelperOptions } from "./helpers.ts";
import { type Predicate, settle, SoftFloat } from "./softfloat.ts";
import {
  CR,
  MXCSR,
  OFF_CR,
  OFF_MXCSR,
  OFF_SCRATCH,
  SCRATCH128,
  SCRATCH32,
} from "./state.ts";

const W_MXCSR = OFF_MXCSR >> 2;
const W_CR4 = (OFF_CR >> 2) + 8;
const CR4_OSXMMEXCPT = 0x400;
/** The six exceptions, and PE among them. */
const EXCEPTIONS = 0x3f, PE = 0x20;
/** COMISS gives back ZF, PF and CF shifted by this. */
const FLAGS_SHIFT = 8;

/** Byte offsets in the state: result, destination, source and third operand. */
export const RESULT: number = OFF_SCRATCH + 64,
  X: number = RESULT + 16,
  Y: number = RESULT + 32,
  Z: number = RESULT + 48;
const RESULT32 = OFF_SCRATCH + 32;
/** Word of the predicate of CMPPS and its kin, and of other immediates (SCRATCH32[1]). */
export const W_PREDICATE: number = (RESULT32 >> 2) + 1;

/** The two helpers of an instruction. */
export interface Computation {
  /** For the default mode of MXCSR: never faults. */
  readonly masked: Helper;
  /** For any mode: may raise #XM. */
  readonly unmasked: Helper;
  /** As `unmasked` for the first half of 256 bits: leaves its exceptions to the second. */
  readonly first: Helper;
  /** The result is a vector (SCRATCH128[0]), not a word (SCRATCH32[0]). */
  readonly isVector: boolean;
}

/** What the helpers of one CPU share. */
export class Unit {
  /** The CPU. */
  readonly cpu: X86;
  /** The state, as words. */
  s: Int32Array = new Int32Array(0);
  /** Arithmetic over the buffer that the state is in. */
  f!: SoftFloat;
  /** Byte offset of the state in that buffer. */
  base = 0;
  /** Exceptions of the first half of 256 bits, within one instruction. */
  pending = 0;

  /** Makes the helpers' common part. */
  constructor(cpu: X86) {
    this.cpu = cpu;
  }

  /** Starts an instruction; gives back MXCSR. */
  begin(): number {
    const s = this.cpu.state;
    if (this.s !== s) {
      this.s = s;
      this.base = s.byteOffset;
      this.f = new SoftFloat(s.buffer);
    }
    return s[W_MXCSR];
  }

  /** Ends an instruction with these exceptions: flags, and #XM for unmasked ones. */
  end(raised: number): void {
    const s = this.s, old = s[W_MXCSR];
    const all = raised | this.pending;
    this.pending = 0;
    const flags = settle(all, old), masks = (old >> 7) & EXCEPTIONS;
    if ((flags & ~(old & masks)) === 0) return;
    s[W_MXCSR] = old | flags;
    if ((flags & ~old & PE) !== 0 && masks === EXCEPTIONS) {
      // PE is in the mode key. Code of the old mode is right, only slower, so
      // the block may go on.
      this.cpu.updateKey();
      this.cpu.engine?.attention();
    }
    if ((flags & ~masks) !== 0) {
      const on = (s[W_CR4] & CR4_OSXMMEXCPT) !== 0;
      this.cpu.raise(on ? EXC_XM : EXC_UD);
    }
  }

  /** The result is this operand where nothing else is written. */
  keep(): void {
    const s = this.s;
    for (let k = 0; k < 16; k += 4) s[(RESULT + k) >> 2] = s[(X + k) >> 2];
  }
}

const units = new WeakMap<X86, Unit>();

function unitOf(cpu: X86): Unit {
  let unit = units.get(cpu);
  if (unit === undefined) {
    unit = new Unit(cpu);
    units.set(cpu, unit);
  }
  return unit;
}

/** Computes an instruction; gives back the exceptions of all its lanes. */
export type Run = (u: Unit, mxcsr: number) => number;

/** The helpers of an instruction; `ternary`: it has a third operand; `native`: for the default mode. */
export function computation(
  name: string,
  run: Run,
  isVector = true,
  ternary = false,
  native?: HelperOptions["native"],
): Computation {
  const reads = [
    ...(ternary ? [SCRATCH128[3]] : []),
    SCRATCH32[1],
    SCRATCH128[1],
    SCRATCH128[2],
    MXCSR,
    CR[4],
  ];
  const writes = [isVector ? SCRATCH128[0] : SCRATCH32[0], MXCSR];
  const make = (faults: boolean): Helper =>
    define(
      faults ? name + "_x" : name,
      0,
      { faults, reads, writes, native: faults ? undefined : native },
      (cpu) => {
        const unit = unitOf(cpu);
        return () => {
          const mxcsr = unit.begin();
          unit.end(run(unit, mxcsr));
          return 0;
        };
      },
    );
  const first = define(
    name + "_1",
    0,
    { faults: false, reads, writes },
    (cpu) => {
      const unit = unitOf(cpu);
      return () => {
        unit.pending = run(unit, unit.begin());
        return 0;
      };
    },
  );
  return { masked: make(false), unmasked: make(true), first, isVector };
}

/** One lane: byte offsets in the buffer of result and operands. */
type Lane = (
  f: SoftFloat,
  to: number,
  x: number,
  y: number,
  mxcsr: number,
) => number;

/** An operation in both formats. */
type Pair = readonly [single: Lane, double: Lane];

const ADD: Pair = [
  (f, to, x, y, m) => f.add32(to, x, y, m),
  (f, to, x, y, m) => f.add64(to, x, y, m),
];
const SUB: Pair = [
  (f, to, x, y, m) => f.sub32(to, x, y, m),
  (f, to, x, y, m) => f.sub64(to, x, y, m),
];
const MUL: Pair = [
  (f, to, x, y, m) => f.mul32(to, x, y, m),
  (f, to, x, y, m) => f.mul64(to, x, y, m),
];
const DIV: Pair = [
  (f, to, x, y, m) => f.div32(to, x, y, m),
  (f, to, x, y, m) => f.div64(to, x, y, m),
];
const SQRT: Pair = [
  (f, to, _x, y, m) => f.sqrt32(to, y, m),
  (f, to, _x, y, m) => f.sqrt64(to, y, m),
];
const MIN: Pair = [
  (f, to, x, y, m) => f.min32(to, x, y, m),
  (f, to, x, y, m) => f.min64(to, x, y, m),
];
const MAX: Pair = [
  (f, to, x, y, m) => f.max32(to, x, y, m),
  (f, to, x, y, m) => f.max64(to, x, y, m),
];

/** The lanes of both operands against each other. */
function lanewise(lane: Lane, width: number, scalar: boolean): Run {
  const end = scalar ? width : 16;
  return (u, mxcsr) => {
    const { f, base } = u;
    let raised = 0;
    if (scalar) u.keep();
    for (let k = 0; k < end; k += width) {
      raised |= lane(f, base + RESULT + k, base + X + k, base + Y + k, mxcsr);
    }
    return raised;
  };
}

/** CMPPS and its kin. */
function compare(width: number, scalar: boolean): Run {
  const end = scalar ? width : 16;
  return (u, mxcsr) => {
    const { f, base } = u;
    const predicate = u.s[W_PREDICATE] as Predicate;
    let raised = 0;
    if (scalar) u.keep();
    for (let k = 0; k < end; k += width) {
      const to = base + RESULT + k, x = base + X + k, y = base + Y + k;
      raised |= width === 4
        ? f.cmp32(to, x, y, predicate, mxcsr)
        : f.cmp64(to, x, y, predicate, mxcsr);
    }
    return raised;
  };
}

/** COMISS and its kin: ZF, PF and CF are the result. */
function compareFlags(
  relate: (f: SoftFloat, x: number, y: number, mxcsr: number) => number,
): Run {
  return (u, mxcsr) => {
    const r = relate(u.f, u.base + X, u.base + Y, mxcsr);
    u.s[RESULT32 >> 2] = r >> FLAGS_SHIFT;
    return r & EXCEPTIONS;
  };
}

/** HADD, HSUB: neighbours of the destination, then of the source. */
function horizontal(lane: Lane, width: number): Run {
  return (u, mxcsr) => {
    const { f, base } = u;
    let raised = 0;
    for (let k = 0; k < 8; k += width) {
      const x = base + X + 2 * k, y = base + Y + 2 * k, to = base + RESULT + k;
      raised |= lane(f, to, x, x + width, mxcsr);
      raised |= lane(f, to + 8, y, y + width, mxcsr);
    }
    return raised;
  };
}

/** ADDSUB: even lanes subtract. */
function addSub(add: Lane, sub: Lane, width: number): Run {
  return (u, mxcsr) => {
    const { f, base } = u;
    let raised = 0;
    for (let k = 0; k < 16; k += width) {
      const lane = (k & width) === 0 ? sub : add;
      raised |= lane(f, base + RESULT + k, base + X + k, base + Y + k, mxcsr);
    }
    return raised;
  };
}

/** A conversion of one number. */
type Convert = (
  f: SoftFloat,
  to: number,
  from: number,
  mxcsr: number,
) => number;

/** `n` lanes from `from` to `to` bytes wide; the rest of the result is zero, or the destination's. */
function convert(
  lane: Convert,
  from: number,
  to: number,
  n: number,
  keep: boolean,
): Run {
  return (u, mxcsr) => {
    const { f, base, s } = u;
    let raised = 0;
    if (keep) u.keep();
    else s.fill(0, RESULT >> 2, (RESULT + 16) >> 2);
    for (let k = 0; k < n; k++) {
      raised |= lane(f, base + RESULT + k * to, base + Y + k * from, mxcsr);
    }
    return raised;
  };
}

/** To a general register. */
function toGeneral(lane: Convert): Run {
  return (u, mxcsr) => lane(u.f, u.base + RESULT32, u.base + Y, mxcsr);
}

const f32ToI32: Convert = (f, to, from, m) => f.f32ToI32(to, from, m);
const f32ToI32Truncate: Convert = (f, to, from, m) =>
  f.f32ToI32Truncate(to, from, m);
const f64ToI32: Convert = (f, to, from, m) => f.f64ToI32(to, from, m);
const f64ToI32Truncate: Convert = (f, to, from, m) =>
  f.f64ToI32Truncate(to, from, m);
const f32ToI64: Convert = (f, to, from, m) => f.f32ToI64(to, from, m);
const f32ToI64Truncate: Convert = (f, to, from, m) =>
  f.f32ToI64Truncate(to, from, m);
const f64ToI64: Convert = (f, to, from, m) => f.f64ToI64(to, from, m);
const f64ToI64Truncate: Convert = (f, to, from, m) =>
  f.f64ToI64Truncate(to, from, m);
const i64ToF32: Convert = (f, to, from, m) => f.i64ToF32(to, from, m);
const i64ToF64: Convert = (f, to, from, m) => f.i64ToF64(to, from, m);
const i32ToF32: Convert = (f, to, from, m) => f.i32ToF32(to, from, m);
const f32ToF64: Convert = (f, to, from, m) => f.f32ToF64(to, from, m);
const f64ToF32: Convert = (f, to, from, m) => f.f64ToF32(to, from, m);

type Forms<N extends string> = Record<
  `${N}${"ps" | "pd" | "ss" | "sd"}`,
  Computation
>;

/** The four forms of an operation. */
function forms<N extends string>(
  name: N,
  make: (width: number, scalar: boolean) => Run,
): Forms<N> {
  return {
    [name + "ps"]: computation(name + "ps", make(4, false)),
    [name + "pd"]: computation(name + "pd", make(8, false)),
    [name + "ss"]: computation(name + "ss", make(4, true)),
    [name + "sd"]: computation(name + "sd", make(8, true)),
  } as Forms<N>;
}

function arithmetic<N extends string>(name: N, pair: Pair): Forms<N> {
  return forms(
    name,
    (width, scalar) => lanewise(pair[width === 4 ? 0 : 1], width, scalar),
  );
}

function named<N extends string>(
  runs: Record<N, Run>,
  isVector: boolean,
): Record<N, Computation> {
  return Object.fromEntries(
    Object.entries<Run>(runs).map(([name, run]) => [
      name,
      computation(name, run, isVector),
    ]),
  ) as Record<N, Computation>;
}

const table = {
  ...arithmetic("add", ADD),
  ...arithmetic("sub", SUB),
  ...arithmetic("mul", MUL),
  ...arithmetic("div", DIV),
  ...arithmetic("sqrt", SQRT),
  ...arithmetic("min", MIN),
  ...arithmetic("max", MAX),
  ...forms("cmp", compare),
  ...named({
    haddps: horizontal(ADD[0], 4),
    haddpd: horizontal(ADD[1], 8),
    hsubps: horizontal(SUB[0], 4),
    hsubpd: horizontal(SUB[1], 8),
    addsubps: addSub(ADD[0], SUB[0], 4),
    addsubpd: addSub(ADD[1], SUB[1], 8),
    cvtsi2ss: convert(i32ToF32, 4, 4, 1, true),
    cvtsi2ss64: convert(i64ToF32, 8, 4, 1, true),
    cvtsi2sd64: convert(i64ToF64, 8, 8, 1, true),
    cvtss2si64: convert(f32ToI64, 4, 8, 1, false),
    cvttss2si64: convert(f32ToI64Truncate, 4, 8, 1, false),
    cvtsd2si64: convert(f64ToI64, 8, 8, 1, false),
    cvttsd2si64: convert(f64ToI64Truncate, 8, 8, 1, false),
    cvtpi2ps: convert(i32ToF32, 4, 4, 2, true),
    cvtdq2ps: convert(i32ToF32, 4, 4, 4, false),
    cvtps2dq: convert(f32ToI32, 4, 4, 4, false),
    cvttps2dq: convert(f32ToI32Truncate, 4, 4, 4, false),
    cvtpd2dq: convert(f64ToI32, 8, 4, 2, false),
    cvttpd2dq: convert(f64ToI32Truncate, 8, 4, 2, false),
    cvtps2pi: convert(f32ToI32, 4, 4, 2, false),
    cvttps2pi: convert(f32ToI32Truncate, 4, 4, 2, false),
    cvtss2sd: convert(f32ToF64, 4, 8, 1, true),
    cvtsd2ss: convert(f64ToF32, 8, 4, 1, true),
    cvtps2pd: convert(f32ToF64, 4, 8, 2, false),
    cvtpd2ps: convert(f64ToF32, 8, 4, 2, false),
  }, true),
  ...named({
    comiss: compareFlags((f, x, y, m) => f.comi32(x, y, m)),
    comisd: compareFlags((f, x, y, m) => f.comi64(x, y, m)),
    ucomiss: compareFlags((f, x, y, m) => f.ucomi32(x, y, m)),
    ucomisd: compareFlags((f, x, y, m) => f.ucomi64(x, y, m)),
    cvtss2si: toGeneral(f32ToI32),
    cvttss2si: toGeneral(f32ToI32Truncate),
    cvtsd2si: toGeneral(f64ToI32),
    cvttsd2si: toGeneral(f64ToI32Truncate),
  }, false),
};

/** The name of an instruction that has helpers. */
export type SseName = keyof typeof table;

/** The helpers, by mnemonic. */
export const SSE_HELPERS: Readonly<Record<SseName, Computation>> = table;
