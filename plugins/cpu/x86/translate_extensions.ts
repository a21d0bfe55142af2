/**
 * Instructions on general registers that came after the Pentium 4: counts of
 * bits, CRC32, MOVBE, the two additions with carry of ADX, random numbers,
 * RDTSCP.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import { CRC32 } from "./crc32_kernel.ts";
import { define } from "./helpers.ts";
import { CR4_TSD } from "./models.ts";
import { msrWord, TSC_AUX } from "./msr_storage.ts";
import { CC_BITS, CF, GPR, ZF } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import { BIT } from "./translate_bit.ts";
import { pair, swapBytes } from "./translate_move.ts";

// Counts. What the manual leaves undefined of the flags is clear.

const popcnt: Translate = (t) => {
  const b = t.b;
  const v = t.read(1);
  t.write(0, b.typed(Op["i32.popcnt"], v));
  t.setArithFlags(b.mul(b.eqz(v), b.i32(ZF)));
};

/** LZCNT, TZCNT: CF if the operand is 0, ZF if the count is. */
function count(
  scan: (t: Translator, size: number, v: Value) => Value,
): Translate {
  return (t) => {
    const b = t.b;
    const v = t.read(1);
    const n = scan(t, t.size(1), v);
    t.write(0, n);
    t.setArithFlags(
      b.or(b.mul(b.eqz(v), b.i32(CF)), b.mul(b.eqz(n), b.i32(ZF))),
    );
  };
}

const countLeading = count((t, size, v) => {
  const n = t.b.typed(Op["i32.clz"], v);
  return size === 8 ? n : t.b.sub(n, t.b.i32(32 - 8 * size));
});
const countTrailing = count((t, size, v) =>
  // A bit behind a narrow operand ends the search there.
  t.b.typed(Op["i32.ctz"], size === 2 ? t.b.or(v, t.b.i32(0x10000)) : v)
);

/** Without the feature their prefix means nothing: they are BSR and BSF. */
const ifFeature =
  (feature: string, f: Translate, other: Translate): Translate => (t, i) =>
    (t.options.features.has(feature) ? f : other)(t, i);

// Bytes the other way round.

const movbe: Translate = (t) => {
  const b = t.b;
  const v = t.read(1);
  if (t.size(1) === 2) {
    return t.write(0, b.or(b.shl(v, b.i32(8)), b.shrU(v, b.i32(8))));
  }
  t.write(0, swapBytes(t, v));
};

const crc32: Translate = (t) => {
  const b = t.b;
  const v = t.read(1);
  const size = t.size(1);
  const from = b.low(t.read(0));
  if (size !== 8) {
    const r = b.call(CRC32, from, v, b.i32(size));
    return t.write(0, t.resize(t.size(0), r));
  }
  const half = b.call(CRC32, from, b.low(v), b.i32(4));
  const high = b.low(b.shrU(v, b.i64(32)));
  t.write(0, b.zext32(b.call(CRC32, half, high, b.i32(4))));
};

// ADX: one carry each, the other flags stay.

function addWith(flag: "carry" | "overflow"): Translate {
  return (t) => {
    const b = t.b;
    const x = t.read(0), y = t.read(1);
    const carry = t.carry(), overflow = t.conditionBool(0);
    const sum = b.add(x, y);
    const bit = flag === "carry" ? carry : overflow;
    const r = b.add(sum, t.resize(t.size(0), bit));
    const out = b.or(b.ltU(sum, x), b.ltU(r, sum));
    t.write(0, r);
    const [c, o] = flag === "carry" ? [out, overflow] : [carry, out];
    t.override(CC_BITS, b.or(c, b.shl(o, b.i32(11))));
  };
}

// Random numbers.

const RANDOM = define(
  "random",
  0,
  { reads: [], writes: [] },
  (cpu) => () => cpu.random(),
);

/** RDRAND, RDSEED: there always is a number, which CF says. */
const random: Translate = (t) => {
  const b = t.b;
  const low = b.call(RANDOM);
  t.write(0, t.size(0) === 8 ? pair(t, low, b.call(RANDOM)) : low);
  t.setArithFlags(t.b.i32(CF));
};

// The time stamp counter, and which CPU it is of.

const W_TSC_AUX = msrWord(TSC_AUX);

const RDTSCP = define(
  "rdtscp",
  0,
  { faults: true, writes: [GPR[0], GPR[1], GPR[2]] },
  (cpu) => () => {
    if ((cpu.cr4 & CR4_TSD) !== 0 && cpu.cpl !== 0) cpu.gp();
    const v = cpu.tsc.read();
    cpu.setReg32(0, v | 0);
    cpu.setReg32(2, Math.floor(v / 0x1_0000_0000) | 0);
    cpu.setReg32(1, cpu.state[W_TSC_AUX]);
    return 0;
  },
);

const rdtscp: Translate = (t) => {
  t.syncFlags();
  t.b.call(RDTSCP);
};

/** Later instructions on general registers, by mnemonic. */
export const EXTENSIONS: Readonly<Record<string, Translate>> = {
  popcnt,
  lzcnt: ifFeature("abm", countLeading, BIT.bsr),
  tzcnt: ifFeature("bmi1", countTrailing, BIT.bsf),
  movbe,
  crc32,
  adcx: addWith("carry"),
  adox: addWith("overflow"),
  rdrand: random,
  rdseed: random,
  rdtscp,
};
