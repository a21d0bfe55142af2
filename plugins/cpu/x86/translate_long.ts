/**
 * Instructions that came with IA-32e mode: its system calls, SWAPGS, the bases
 * of FS and GS, SMAP's and PCIDs' instructions.
 *
 * @module
 */

import { Op } from "../../../core/ir/ops.ts";
import { invalidatePcid } from "./control.ts";
import type { Insn } from "./decode.ts";
import { EXC_GP } from "./exceptions.ts";
import { define } from "./helpers.ts";
import { BASE64, FLAGS, FS, GS, KERNEL_GS_BASE, SCRATCH } from "./state.ts";
import { needFsgsbase, setUserAccess, syscall, sysret } from "./syscall.ts";
import type { Translate, Translator } from "./translate.ts";
import {
  goOn,
  goWith,
  lowWord,
  needLevel0,
  setNext,
  transfer,
  zeroExtended,
} from "./translate_privilege.ts";

const LD64 = Op["ld64"];

const SYSCALL = transfer("syscall", 0, syscall);
const SYSRET = transfer("sysret", 1, (cpu, wide) => sysret(cpu, wide !== 0));
const NEED_FSGSBASE = define(
  "need_fsgsbase",
  0,
  { faults: true, reads: [], writes: [] },
  (cpu) => () => {
    needFsgsbase(cpu);
    return 0;
  },
);
/** STAC (1) and CLAC: a helper, because a page walk looks at AC in the state. */
const SET_USER_ACCESS = define(
  "set_user_access",
  1,
  { reads: [FLAGS], writes: [FLAGS] },
  (cpu) => (allowed) => {
    setUserAccess(cpu, allowed !== 0);
    return 0;
  },
);
/** The descriptor in the first two scratch words, the type in the third. */
const INVPCID = transfer("invpcid", 0, (cpu) => {
  invalidatePcid(cpu, SCRATCH[0].offset >> 2);
});

/** RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE. */
function segmentBase(seg: number, write: boolean): Translate {
  return (t, i) => {
    if (!t.long) return t.ud();
    const b = t.b;
    b.call(NEED_FSGSBASE);
    if (!write) {
      const base = b.get(BASE64[seg]);
      t.setReg(i.opSize, i.rm, i.opSize === 8 ? base : lowWord(t, base));
      return;
    }
    const v = zeroExtended(t, t.reg(i.opSize, i.rm));
    if (i.opSize === 8) {
      t.trap(t.notCanonical(v), EXC_GP, 0);
    }
    b.set(BASE64[seg], v);
  };
}

/** STAC and CLAC. */
function userAccess(allowed: boolean): Translate {
  return (t) => {
    if (t.cpl !== 0) return t.ud();
    t.b.call(SET_USER_ACCESS, t.imm(allowed ? 1 : 0));
  };
}

function invpcid(t: Translator, i: Insn): void {
  if (needLevel0(t)) return;
  const b = t.b;
  const at = t.ea(i, 16, false);
  b.set(SCRATCH[0], b.load(LD64, at, 0, t.mmu));
  b.set(SCRATCH[1], b.load(LD64, at, 8, t.mmu));
  b.set(SCRATCH[2], zeroExtended(t, t.reg(t.long ? 8 : 4, i.reg)));
  t.syncFlags();
  b.call(INVPCID);
  t.forgetFlags();
  goOn(t);
}

/** The functions, by the names that the instruction table uses. */
export const LONG: Readonly<Record<string, Translate>> = {
  syscall: (t) => {
    if (!t.long) return t.ud();
    setNext(t);
    goWith(t, SYSCALL);
  },
  sysret: (t, i) => {
    if (!t.long) return t.ud();
    goWith(t, SYSRET, t.imm(i.opSize === 8 ? 1 : 0));
  },
  swapgs: (t) => {
    if (!t.long) return t.ud();
    if (needLevel0(t)) return;
    const b = t.b;
    const base = b.get(BASE64[GS]);
    b.set(BASE64[GS], b.get(KERNEL_GS_BASE));
    b.set(KERNEL_GS_BASE, base);
  },
  rdfsbase: segmentBase(FS, false),
  rdgsbase: segmentBase(GS, false),
  wrfsbase: segmentBase(FS, true),
  wrgsbase: segmentBase(GS, true),
  stac: userAccess(true),
  clac: userAccess(false),
  invpcid,
};
