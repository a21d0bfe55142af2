/**
 * Gathers (SDM volume 2, VPGATHERDD and its kin): loads of up to eight elements
 * whose addresses come from a vector of indices. An element that is there has
 * its mask cleared, so that the instruction goes on where it faulted. Alignment
 * is never checked.
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { define } from "./helpers.ts";
import { addressOf, isCanonical } from "./long_mode.ts";
import {
  FS,
  KEY_LONG,
  OFF_SCRATCH,
  OFF_XMM,
  OFF_YMMH,
  XMM,
  YMMH,
} from "./state.ts";
import type { Translate } from "./translate.ts";
import { elementAddress } from "./vex_operands.ts";

// The second argument: destination, index and mask register (5 bits each, as
// below), scale, and these.
const INDEX_SHIFT = 5, MASK_SHIFT = 10, SCALE_SHIFT = 15, SEGMENT_SHIFT = 17;
const QWORD_INDICES = 1 << 20,
  QWORD_DATA = 1 << 21,
  LONG = 1 << 22,
  ADDRESS32 = 1 << 23;

/** Word of the state where dword `n` of a vector register stands. */
function word(register: number, n: number): number {
  const base = n < 4 ? OFF_XMM : OFF_YMMH;
  return ((base + 16 * register) >> 2) + (n & 3);
}

/** The sum, in 64 bits, of an address and an index shifted left, each as two words. */
function sum(
  baseLow: number,
  baseHigh: number,
  low: number,
  high: number,
  scale: number,
): number {
  const base = addressOf(baseLow, baseHigh), index = addressOf(low, high);
  if (isCanonical(baseHigh) && isCanonical(high)) {
    return base + index * 2 ** scale;
  }
  // It may go round.
  const words = (lo: number, hi: number): bigint =>
    BigInt(hi) << 32n | BigInt(lo >>> 0);
  return Number(BigInt.asIntN(
    64,
    words(baseLow, baseHigh) + (words(low, high) << BigInt(scale)),
  ));
}

/** An element of 8 bytes on its way. */
const element = new Int32Array(2);

function gather(cpu: X86, low: number, what: number, mmu: number): void {
  const s = cpu.state;
  const wide = (cpu.key() & KEY_LONG) !== 0;
  const base = cpu.addressArgument(low);
  const [baseLow, baseHigh] = [s[OFF_SCRATCH >> 2], s[(OFF_SCRATCH >> 2) + 1]];
  const to = what & 31,
    from = (what >> INDEX_SHIFT) & 31,
    mask = (what >> MASK_SHIFT) & 31;
  const scale = (what >> SCALE_SHIFT) & 3;
  const segment = (what >> SEGMENT_SHIFT) & 7;
  const segmentBase = segment >= FS ? cpu.longBase(segment) : 0;
  const index = (what & QWORD_INDICES) !== 0 ? 2 : 1;
  const data = (what & QWORD_DATA) !== 0 ? 2 : 1;
  const long = (what & LONG) !== 0;
  const count = (long ? 8 : 4) / Math.max(index, data);
  for (let n = 0; n < count; n++) {
    const at = n * data;
    if (s[word(mask, at + data - 1)] < 0) {
      const part = s[word(from, n * index)];
      const high = index === 1 ? part >> 31 : s[word(from, n * index + 1)];
      const address = wide
        ? (what & ADDRESS32) !== 0
          ? segmentBase + ((base + (part << scale)) >>> 0)
          : sum(baseLow, baseHigh, part, high, scale)
        : elementAddress(
          cpu,
          segment,
          (base + (part << scale)) | 0,
          4 * data,
          false,
        );
      if (data === 1) s[word(to, at)] = cpu.mmu.read32(address, mmu);
      else {
        cpu.mmu.read64(address, element, mmu);
        s[word(to, at)] = element[0];
        s[word(to, at + 1)] = element[1];
      }
    }
    // Done, or not wanted.
    for (let k = 0; k < data; k++) s[word(mask, at + k)] = 0;
  }
  for (let n = 0; n < 8; n++) {
    s[word(mask, n)] = 0;
    if (n >= count * data) s[word(to, n)] = 0;
  }
}

const GATHER_LANES = define(
  "gather",
  3,
  { faults: true, writes: [...XMM, ...YMMH] },
  (cpu) => (base, what, mmu) => {
    gather(cpu, base, what, mmu);
    return 0;
  },
);

/** A gather with indices and data of this many dwords. */
function lanes(index: 1 | 2, data: 1 | 2): Translate {
  return (t, i) => {
    const b = t.b;
    const from = i.sibIndex;
    const clash = from === i.reg || from === i.vvvv || i.reg === i.vvvv;
    if (from < 0 || clash) return t.ud();
    i.index = -1; // it names a vector register
    const what = i.reg | from << INDEX_SHIFT | i.vvvv << MASK_SHIFT |
      i.scale << SCALE_SHIFT | i.segment << SEGMENT_SHIFT |
      (index === 2 ? QWORD_INDICES : 0) | (data === 2 ? QWORD_DATA : 0) |
      (i.vexL !== 0 ? LONG : 0);
    const form = t.long && i.addrSize === 4 ? ADDRESS32 : 0;
    const base = t.long && form === 0 ? t.ea(i, 1, false) : t.offset(i);
    const at = t.addressArgument(base);
    b.call(GATHER_LANES, at, b.i32(what | form), b.i32(t.mmu));
  };
}

/** The functions, by the names that the instruction table uses. */
export const GATHER: Readonly<Record<string, Translate>> = {
  vpgatherdd: lanes(1, 1),
  vpgatherqd: lanes(2, 1),
  vpgatherdq: lanes(1, 2),
  vpgatherqq: lanes(2, 2),
  vgatherdps: lanes(1, 1),
  vgatherqps: lanes(2, 1),
  vgatherdpd: lanes(1, 2),
  vgatherqpd: lanes(2, 2),
};
