/**
 * The helpers of x87 instructions: each calls the unit (x87.ts, x87_images.ts),
 * or what the WebAssembly kernel has of it.
 *
 * @module
 */

import type { Helper } from "../../../core/ir/builder.ts";
import type { Global } from "../../../core/ir/types.ts";
import type { X86 } from "./cpu.ts";
import { KernelLink, type KernelName } from "./float80_kernel.ts";
import { define, type HelperOptions } from "./helpers.ts";
import {
  CR,
  FCS,
  FCW,
  FDP,
  FDS,
  FIP,
  FOP,
  FSW,
  FTAG,
  FTOP,
  MM,
  MXCSR,
  XMM,
} from "./state.ts";
import { FORMAT_BCD, FORMAT_F80, FORMAT_I32, FORMAT_I64 } from "./x87.ts";
import { type X87Images, x87Of } from "./x87_images.ts";

const WRITES: readonly Global[] = [FTOP, FTAG, FSW, ...MM];
const READS: readonly Global[] = [...WRITES, FCW, CR[0]];
/** The unit's pointers: opcode, and the instruction's and the operand's address. */
export const POINTERS: readonly Global[] = [FOP, FIP, FCS, FDP, FDS];

const kernels = new WeakMap<X86, KernelLink>();

/** What a helper that the kernel has is defined with. */
function inKernel(
  name: KernelName | undefined,
): Pick<HelperOptions, "native" | "isNativeLate"> {
  if (name === undefined) return {};
  return {
    native: (cpu) => {
      let link = kernels.get(cpu);
      if (link === undefined) kernels.set(cpu, link = new KernelLink());
      return (memory, base, slow) => link.bind(name, memory, base, slow);
    },
    isNativeLate: true,
  };
}

/** Defines a helper that neither faults nor has a result. */
function helper(
  name: string,
  args: 0 | 1 | 2 | 3,
  run: (u: X87Images, a: number, b: number, c: number) => void,
  kernel?: KernelName,
): Helper {
  const form = inKernel(kernel);
  return define(
    name,
    args,
    { reads: READS, writes: WRITES, ...form },
    (cpu) => {
      const unit = x87Of(cpu);
      return (a, b, c) => {
        run(unit.ready(), a, b, c);
        return 0;
      };
    },
  );
}

/** Defines a helper that accesses memory. */
function memoryHelper(
  name: string,
  writes: readonly Global[],
  run: (u: X87Images, address: number, what: number, mmu: number) => void,
  kernel?: KernelName,
): Helper {
  const form = inKernel(kernel);
  return define(name, 3, { faults: true, writes, ...form }, (cpu) => {
    const unit = x87Of(cpu);
    return (address, what, mmu) => {
      run(unit.ready(), cpu.addressArgument(address), what, mmu);
      return 0;
    };
  });
}

const ALL: readonly Global[] = [...WRITES, FCW, ...POINTERS];

/** Arithmetic of two registers: operation, ST(i), how (`TO_OPERAND`, `POP`). */
export const H_REGISTERS: Helper = helper(
  "x87_registers",
  3,
  (u, op, i, how) => u.registers(op, i, how),
  "registers",
);
/** Arithmetic with an f32: operation, bits. */
export const H_F32: Helper = helper(
  "x87_f32",
  2,
  (u, op, bits) => u.operandF32(op, bits),
  "operandF32",
);
/** Arithmetic with an f64: operation, low half, high half. */
export const H_F64: Helper = helper(
  "x87_f64",
  3,
  (u, op, lo, hi) => u.operandF64(op, lo, hi),
  "operandF64",
);
/** Arithmetic with an integer: operation, the integer. */
export const H_INTEGER: Helper = helper(
  "x87_integer",
  2,
  (u, op, v) => u.operandInteger(op, v),
  "operandInteger",
);
/** FCOM, FUCOM: ST(i), how many pops, quiet. */
export const H_COMPARE: Helper = helper(
  "x87_compare",
  3,
  (u, i, pops, quiet) => u.compare(i, pops, quiet !== 0),
  "compare",
);
/** FTST. */
export const H_TEST: Helper = helper("x87_test", 0, (u) => u.test());
/** FXAM. */
export const H_EXAMINE: Helper = helper("x87_examine", 0, (u) => u.examine());
/** FLD of 32 bits. */
export const H_LOAD_F32: Helper = helper(
  "x87_load_f32",
  1,
  (u, bits) => u.loadF32(bits),
  "loadF32",
);
/** FLD of 64 bits: low half, high half. */
export const H_LOAD_F64: Helper = helper(
  "x87_load_f64",
  2,
  (u, lo, hi) => u.loadF64(lo, hi),
  "loadF64",
);
/** FLD of 80 bits: three words. */
export const H_LOAD_F80: Helper = helper(
  "x87_load_f80",
  3,
  (u, a, b, c) => u.load(FORMAT_F80, a, b, c),
  "loadF80",
);
/** FBLD: three words. */
export const H_LOAD_BCD: Helper = helper(
  "x87_load_bcd",
  3,
  (u, a, b, c) => u.load(FORMAT_BCD, a, b, c),
);
/** FILD of up to 32 bits, sign-extended. */
export const H_LOAD_I32: Helper = helper(
  "x87_load_i32",
  1,
  (u, v) => u.load(FORMAT_I32, v, 0, 0),
  "loadI32",
);
/** FILD of 64 bits: low half, high half. */
export const H_LOAD_I64: Helper = helper(
  "x87_load_i64",
  2,
  (u, lo, hi) => u.load(FORMAT_I64, lo, hi, 0),
  "loadI64",
);
/** FLD ST(i). */
export const H_LOAD_REGISTER: Helper = helper(
  "x87_load_register",
  1,
  (u, i) => u.loadRegister(i),
  "loadRegister",
);
/** FLD1 to FLDZ: the constant's number. */
export const H_CONSTANT: Helper = helper(
  "x87_constant",
  1,
  (u, n) => u.loadConstant(n),
  "loadConstant",
);
/** FST ST(i): i, pop. */
export const H_STORE_REGISTER: Helper = helper(
  "x87_store_register",
  2,
  (u, i, pop) => u.storeRegister(i, pop !== 0),
  "storeRegister",
);
/** FSTPNCE: ST(i). */
export const H_MOVE_REGISTER: Helper = helper(
  "x87_move_register",
  1,
  (u, i) => u.moveRegister(i),
);
/** FXCH: ST(i). */
export const H_EXCHANGE: Helper = helper(
  "x87_exchange",
  1,
  (u, i) => u.exchange(i),
  "exchange",
);
/** FCMOVcc: ST(i), whether the condition holds. */
export const H_MOVE_IF: Helper = helper(
  "x87_move_if",
  2,
  (u, i, c) => u.moveIf(i, c !== 0),
  "moveIf",
);
/** What has no operand but the stack: which (`SQRT` and its kin). */
export const H_COMPUTE: Helper = helper(
  "x87_compute",
  1,
  (u, what) => u.compute(what),
  "compute",
);
/** FNCLEX. */
export const H_CLEAR: Helper = helper(
  "x87_clear",
  0,
  (u) => u.clearExceptions(),
);
/** FST, FIST, FBSTP to memory: address, format and how, TLB. */
export const H_STORE: Helper = memoryHelper(
  "x87_store",
  WRITES,
  (u, address, what, mmu) => u.store(address, what, mmu),
  "store",
);
/** The same in 64-bit mode, whose addresses the function in WebAssembly does not know. */
export const H_STORE_LONG: Helper = memoryHelper(
  "x87_store_long",
  WRITES,
  (u, address, what, mmu) => u.store(address, what, mmu),
);
/** FNSTENV: address, form of the image, TLB. */
export const H_STORE_ENV: Helper = memoryHelper(
  "x87_fstenv",
  ALL,
  (u, address, form, mmu) => u.storeEnvironment(address, form, mmu),
);
/** FLDENV: address, form of the image, TLB. */
export const H_LOAD_ENV: Helper = memoryHelper(
  "x87_fldenv",
  ALL,
  (u, address, form, mmu) => u.loadEnvironment(address, form, mmu),
);
/** FNSAVE: address, form of the image, TLB. */
export const H_SAVE: Helper = memoryHelper(
  "x87_fsave",
  ALL,
  (u, address, form, mmu) => u.save(address, form, mmu),
);
/** FRSTOR: address, form of the image, TLB. */
export const H_RESTORE: Helper = memoryHelper(
  "x87_frstor",
  ALL,
  (u, address, form, mmu) => u.restore(address, form, mmu),
);
/** FXSAVE: address, whether the pointers have 64 bits, TLB. */
export const H_FXSAVE: Helper = memoryHelper(
  "fxsave",
  [],
  (u, address, wide, mmu) => u.fxsave(address, wide !== 0, mmu),
);
/** FXRSTOR: address, whether the pointers have 64 bits, TLB. */
export const H_FXRSTOR: Helper = memoryHelper(
  "fxrstor",
  [...ALL, MXCSR, ...XMM],
  (u, address, wide, mmu) => u.fxrstor(address, wide !== 0, mmu),
);
/** LDMXCSR: the new value; #GP(0) if it has bits that there are not. */
export const H_LDMXCSR: Helper = define("ldmxcsr", 1, {
  faults: true,
  writes: [MXCSR],
}, (
  cpu,
) => {
  const unit = x87Of(cpu);
  return (value) => {
    unit.ready().loadMxcsr(value);
    return 0;
  };
});
/** FLDCW: the new control word. */
export const H_SET_CONTROL: Helper = define(
  "x87_fldcw",
  1,
  { reads: [FSW, CR[0]], writes: [FCW, FSW] },
  (cpu) => {
    const unit = x87Of(cpu);
    return (value) => {
      unit.ready().setControl(value);
      return 0;
    };
  },
);
/** FNINIT. */
export const H_INITIALIZE: Helper = define(
  "x87_fninit",
  0,
  { reads: [CR[0]], writes: [FTOP, FTAG, FSW, FCW, ...POINTERS] },
  (cpu) => {
    const unit = x87Of(cpu);
    return () => {
      unit.ready().initialize();
      return 0;
    };
  },
);
/** FCOMI: arguments ST(i), pop, quiet; gives back the arithmetic flags. */
export const H_COMPARE_FLAGS: Helper = define(
  "x87_compare_flags",
  3,
  {
    reads: READS,
    writes: [FTOP, FTAG, FSW],
    ...inKernel("compareFlags"),
  },
  (cpu) => {
    const unit = x87Of(cpu);
    return (i, pop, quiet) =>
      unit.ready().compareFlags(i, pop !== 0, quiet !== 0);
  },
);
