/**
 * AVX and AVX2: the forms with a VEX prefix of SSE instructions. What they
 * compute is what the instruction without the prefix does, on each half.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op, type OpName } from "../../../core/ir/ops.ts";
import { YMMH } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import { AES } from "./translate_aes.ts";
import { AVX } from "./translate_avx.ts";
import { BMI } from "./translate_bmi.ts";
import { F16C } from "./translate_f16c.ts";
import { FMA } from "./translate_fma.ts";
import { GATHER } from "./translate_gather.ts";
import { MMX, shiftBytes, shiftImmediate, SHIFTS } from "./translate_mmx.ts";
import { STRING_COMPARE } from "./translate_pcmpstr.ts";
import {
  type Binary,
  binaryOf,
  lanes,
  lowLow,
  readW,
  readWq,
  shuffle,
  zero,
} from "./translate_simd.ts";
import { PACKED, type Packed, SSE } from "./translate_sse.ts";
import { readPart, SSE4 } from "./translate_sse4.ts";
import { SSE4_FLOAT, SSE4_PACKED } from "./translate_sse4_float.ts";
import { SSSE3 } from "./translate_ssse3.ts";
import { X87 } from "./translate_x87.ts";
import {
  narrow,
  readAligned,
  readWide,
  register,
  setRegister,
  type Wide,
  writeAligned,
  writeWide,
} from "./vex_operands.ts";

const LEGACY: Readonly<Record<string, Translate>> = {
  ...AES,
  ...MMX,
  ...SSE,
  ...SSE4,
  ...SSE4_FLOAT,
  ...SSSE3,
  ...STRING_COMPARE,
};

/** Where the halves of 256 bits take their lanes by different bits of the immediate: how many bits each has. */
const IMMEDIATE_BITS: Readonly<Record<string, number>> = {
  shufpd: 2,
  blendps: 4,
  blendpd: 2,
  mpsadbw: 3,
};

/** `op Vx,Hx,Wx` from the operation on 128 bits. */
function binary(f: Binary, bits = 0): Translate {
  return (t, i) => {
    const b = t.b;
    const y = readWide(t, i);
    const x = register(t, i, i.vvvv);
    const lo = f(b, x.lo, y.lo, i.imm);
    const hi = i.vexL === 0 ? 0 : f(b, x.hi, y.hi, i.imm >> bits);
    setRegister(t, i.reg, { lo, hi });
  };
}

/** Packed floating point: exceptions of both halves come together. */
function packed(f: Packed): Translate {
  return (t, i) => {
    const y = readWide(t, i);
    const x = register(t, i, i.vvvv);
    const lo = f(t, x.lo, y.lo, i.vexL !== 0);
    const hi = i.vexL === 0 ? 0 : f(t, x.hi, y.hi, false);
    setRegister(t, i.reg, { lo, hi });
  };
}

function mapped<T>(
  from: Readonly<Record<string, T>>,
  make: (value: T, name: string) => Translate | undefined,
): Record<string, Translate> {
  const out: Record<string, Translate> = {};
  for (const [name, value] of Object.entries(from)) {
    const f = make(value, name);
    if (f !== undefined) out["v" + name] = f;
  }
  return out;
}

/** `op Vx,Hx,Wo`: a shift of lanes by one count; `op Hx,Ux,Ib`: by the immediate. */
function shift(name: keyof typeof SHIFTS): Translate {
  const f = binaryOf(LEGACY[name])!;
  const s = SHIFTS[name];
  return (t, i) => {
    const b = t.b;
    if (i.opcode < 0x80) {
      const x = register(t, i, i.rm);
      const of = (v: Value): Value => shiftImmediate(b, s, v, i.imm);
      const hi = i.vexL === 0 ? 0 : of(x.hi);
      return setRegister(t, i.vvvv, { lo: of(x.lo), hi });
    }
    const y = readW(t, i);
    const x = register(t, i, i.vvvv);
    const hi = i.vexL === 0 ? 0 : f(b, x.hi, y, 0);
    setRegister(t, i.reg, { lo: f(b, x.lo, y, 0), hi });
  };
}

/** `op Hx,Ux,Ib`: shifts of 128 bits by bytes. */
function shiftHalves(f: Binary): Translate {
  return (t, i) => {
    const b = t.b;
    const x = register(t, i, i.rm);
    const of = (v: Value): Value => f(b, v, v, i.imm);
    const hi = i.vexL === 0 ? 0 : of(x.hi);
    setRegister(t, i.vvvv, { lo: of(x.lo), hi });
  };
}

// Moves.

/** Loads and stores of whole registers; the store is the opcode. */
function move(
  read: typeof readWide,
  write: typeof writeWide,
  ...stores: number[]
): Translate {
  return (t, i) =>
    stores.includes(i.opcode)
      ? write(t, i, register(t, i, i.reg))
      : setRegister(t, i.reg, read(t, i));
}
const unaligned = move(readWide, writeWide, 0x11, 0x7f);
const aligned = move(readAligned, writeAligned, 0x29, 0x7f, 0x2b, 0xe7);

/** MOVSS, MOVSD: the form that stores a register changes the register of rm. */
const moveScalar = (name: string): Translate => {
  const legacy = LEGACY[name];
  return (t, i) => {
    legacy(t, i);
    if (i.opcode === 0x10) t.b.set(YMMH[i.reg], zero(t.b));
    else if (i.mod === 3) t.b.set(YMMH[i.rm], zero(t.b));
  };
};

/** Moves that have one opcode to load and another to store. */
function moveEither(name: string, store: number): Translate {
  const legacy = LEGACY[name];
  return (t, i) => {
    legacy(t, i);
    if (i.opcode !== store) t.b.set(YMMH[i.reg], zero(t.b));
    else if (name === "movq" && i.mod === 3) {
      t.b.set(YMMH[i.rm], zero(t.b));
    }
  };
}

const movddup128 = narrow(SSE.movddup);
const vmovddup: Translate = (t, i) => {
  if (i.vexL === 0) return movddup128(t, i);
  const { lo, hi } = readWide(t, i);
  const b = t.b;
  setRegister(t, i.reg, { lo: lowLow(b, lo, lo), hi: lowLow(b, hi, hi) });
};

/** Sign bits of all lanes. */
function movmsk(op: OpName, lanesInHalf: number): Translate {
  return (t, i) => {
    const b = t.b;
    const { lo, hi } = register(t, i, i.rm);
    let r = b.op(Op[op], lo);
    if (hi !== 0) r = b.or(r, b.shl(b.op(Op[op], hi), b.i32(lanesInHalf)));
    t.setReg(4, i.reg, r);
  };
}

/** Vector registers of the mode. */
const count = (t: Translator): number => t.long ? 16 : 8;

const vzeroupper: Translate = (t) => {
  for (let n = 0; n < count(t); n++) t.b.set(YMMH[n], zero(t.b));
};
const vzeroall: Translate = (t) => {
  for (let n = 0; n < count(t); n++) {
    setRegister(t, n, { lo: zero(t.b), hi: 0 });
  }
};

// Conversions that change the width of lanes.

/** One that makes lanes twice as wide: the source is half as long as the result. */
function toWider(
  f: (t: Translator, v: Value, isFirst: boolean) => Value,
): Translate {
  return (t, i) => {
    const b = t.b;
    if (i.vexL === 0) {
      const y = readWq(t, i);
      return setRegister(t, i.reg, { lo: f(t, y, false), hi: 0 });
    }
    const y = readW(t, i);
    const lo = f(t, y, true);
    const hi = f(t, shuffle(b, y, y, HIGH_HIGH), false);
    setRegister(t, i.reg, { lo, hi });
  };
}
const HIGH_HIGH = lanes(8, [1, 1]);

/** PMOVSX, PMOVZX: 256 bits come from twice as many bytes as 128. */
function extend(name: string): Translate {
  const f = binaryOf(LEGACY[name])!;
  return (t, i) => {
    const b = t.b;
    const y = i.vexL !== 0 && t.size(1) === 16 ? readW(t, i) : readPart(t, i);
    const lo = f(b, y, y, 0);
    if (i.vexL === 0) return setRegister(t, i.reg, { lo, hi: 0 });
    // The operand's size is that of both halves.
    const from = t.size(1) / 2;
    const up = shuffle(b, y, y, BYTES.map((k) => (k + from) & 15));
    setRegister(t, i.reg, { lo, hi: f(b, up, up, 0) });
  };
}
const BYTES = Array.from({ length: 16 }, (_, k) => k);
const EXTENSIONS = ["bw", "bd", "bq", "wd", "wq", "dq"].flatMap((
  how,
) => ["pmovsx" + how, "pmovzx" + how]);

/** VPCMPESTRM, VPCMPISTRM: the result is YMM0. */
const toFirst = (legacy: Translate): Translate => (t, i) => {
  legacy(t, i);
  t.b.set(YMMH[0], zero(t.b));
};

/** One that makes lanes half as wide. */
const toNarrower = (f: Packed): Translate => (t, i) => {
  const y: Wide = readWide(t, i);
  const lo = f(t, y.lo, y.lo, i.vexL !== 0);
  if (y.hi === 0) return setRegister(t, i.reg, { lo, hi: 0 });
  const hi = f(t, y.hi, y.hi, false);
  setRegister(t, i.reg, { lo: lowLow(t.b, lo, hi), hi: 0 });
};

/** Instructions of 128 bits or less that read VEX.vvvv or have no use for it, and write the register of reg. */
const NARROW =
  ("addss addsd subss subsd mulss mulsd divss divsd sqrtss sqrtsd minss minsd " +
    "maxss maxsd cmpss cmpsd cvtsi2ss cvtsi2sd cvtss2sd cvtsd2ss rcpss rsqrtss " +
    "movhlps movlhps pinsrw roundss roundsd pinsrb pinsrd insertps pclmulqdq " +
    "aeskeygenassist").split(" ");
/** Instructions that write no vector register. */
const SAME =
  ("comiss comisd ucomiss ucomisd cvtss2si cvtsd2si cvttss2si cvttsd2si pextrw " +
    "stmxcsr maskmovdqu pextrb pextrw4 pextrd extractps pcmpestri pcmpistri")
    .split(" ");

const pick = (
  names: readonly string[],
  from: Readonly<Record<string, Translate>>,
): Record<string, Translate> =>
  Object.fromEntries(names.map((name) => [name, from[name]]));

/** All instructions with a VEX prefix, by the names that the instruction table uses. */
export const VEX: Readonly<Record<string, Translate>> = {
  ...mapped(LEGACY, (legacy, name) => {
    const f = binaryOf(legacy);
    return f && binary(f, IMMEDIATE_BITS[name]);
  }),
  ...mapped(PACKED, packed),
  ...mapped(SSE4_PACKED, packed),
  ...mapped(pick(EXTENSIONS, LEGACY), (_, name) => extend(name)),
  ...mapped(SHIFTS, (_, name) => shift(name as keyof typeof SHIFTS)),
  ...mapped(pick(NARROW, LEGACY), narrow),
  ...mapped(pick(SAME, LEGACY), (legacy) => legacy),
  vpcmpestrm: toFirst(LEGACY.pcmpestrm),
  vpcmpistrm: toFirst(LEGACY.pcmpistrm),
  vldmxcsr: X87.ldmxcsr,
  vpsrldq: shiftHalves(shiftBytes(1)),
  vpslldq: shiftHalves(shiftBytes(-1)),
  vmovups: unaligned,
  vmovupd: unaligned,
  vmovdqu: unaligned,
  vlddqu: unaligned,
  vmovaps: aligned,
  vmovapd: aligned,
  vmovdqa: aligned,
  vmovntps: aligned,
  vmovntpd: aligned,
  vmovntdq: aligned,
  vmovntdqa: aligned,
  vmovss: moveScalar("movss"),
  vmovsd: moveScalar("movsd"),
  vmovlps: moveEither("movlps", 0x13),
  vmovlpd: moveEither("movlpd", 0x13),
  vmovhps: moveEither("movhps", 0x17),
  vmovhpd: moveEither("movhpd", 0x17),
  vmovd: moveEither("movd", 0x7e),
  vmovq: moveEither("movq", 0xd6),
  vmovddup,
  vmovmskps: movmsk("i32x4.bitmask", 4),
  vmovmskpd: movmsk("i64x2.bitmask", 2),
  vpmovmskb: movmsk("i8x16.bitmask", 16),
  vzeroupper,
  vzeroall,
  vcvtps2pd: toWider((t, v, isFirst) => PACKED.cvtps2pd(t, v, v, isFirst)),
  vcvtdq2pd: toWider((t, v) => t.b.op(Op["f64x2.convert_low_i32x4_s"], v)),
  vcvtpd2ps: toNarrower(PACKED.cvtpd2ps),
  vcvtpd2dq: toNarrower(PACKED.cvtpd2dq),
  vcvttpd2dq: toNarrower(PACKED.cvttpd2dq),
  ...AVX,
  ...BMI,
  ...F16C,
  ...FMA,
  ...GATHER,
};
