/**
 * XSAVE, XRSTOR, XGETBV and XSETBV in IR: helpers, see xsave.ts.
 *
 * @module
 */

import type { Helper } from "../../../core/ir/builder.ts";
import { EXC_GP } from "./exceptions.ts";
import { define } from "./helpers.ts";
import { GPR } from "./state.ts";
import type { Translate } from "./translate.ts";
import {
  areaOf,
  xgetbv as readXcr,
  XSAVE as PLAIN,
  XSAVEC,
  XSAVEOPT,
  XSAVES,
  xsetbv as writeXcr,
} from "./xsave.ts";

/** Bytes at the area's start that a segment's limit is checked for: it is aligned to as many. */
const CHECKED = 64;

// Arguments: address, how, MMU index.
const SAVE = define(
  "xsave",
  3,
  { faults: true, writes: [] },
  (cpu) => (address, how, mmu) => {
    areaOf(cpu).save(cpu.addressArgument(address), how, mmu);
    return 0;
  },
);
const RESTORE = define(
  "xrstor",
  3,
  { faults: true },
  (cpu) => (address, supervisor, mmu) => {
    areaOf(cpu).restore(cpu.addressArgument(address), supervisor !== 0, mmu);
    return 0;
  },
);
const XGETBV = define(
  "xgetbv",
  0,
  { faults: true, writes: [GPR[0], GPR[2]] },
  (cpu) => () => {
    cpu.setReg32(0, readXcr(cpu, cpu.reg32(1)));
    cpu.setReg32(2, 0);
    return 0;
  },
);
const XSETBV = define(
  "xsetbv",
  0,
  { faults: true, writes: [] },
  (cpu) => () => {
    writeXcr(cpu, cpu.reg32(1), cpu.reg32(0), cpu.reg32(2));
    return 0;
  },
);

/** Calls a helper with the address of the area, whose first and last bytes the segment has. */
function withArea(
  helper: Helper,
  how: number,
  write: boolean,
  leave: boolean,
): Translate {
  return (t, i) => {
    const b = t.b;
    const address = t.ea(i, CHECKED, write);
    if (!t.long && !t.isFlat(i.segment)) {
      const last = b.add(t.offset(i), b.i32(512));
      t.linear(i.segment, last, CHECKED, write);
    }
    t.syncFlags();
    b.call(helper, t.addressArgument(address), b.i32(how), b.i32(t.mmu));
    if (!leave) return;
    // The mode key may have changed: on by way of the state.
    t.setPc(t.pc(t.nextEip));
    t.jumpState();
  };
}

/** The functions, by the names that the instruction table uses. */
export const XSAVE: Readonly<Record<string, Translate>> = {
  xsave: withArea(SAVE, PLAIN, true, false),
  xsaveopt: withArea(SAVE, XSAVEOPT, true, false),
  xsavec: withArea(SAVE, XSAVEC, true, false),
  xsaves: withArea(SAVE, XSAVES, true, false),
  xrstor: withArea(RESTORE, 0, false, true),
  xrstors: withArea(RESTORE, 1, false, true),
  xgetbv: (t) => void t.b.call(XGETBV),
  xsetbv: (t) => {
    if (t.v86) return t.raise(EXC_GP, 0);
    t.b.call(XSETBV);
    t.setPc(t.pc(t.nextEip));
    t.jumpState();
  },
};
