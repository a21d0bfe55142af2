/**
 * What the machine and its CPUs are called by QEMU's conventions.
 *
 * @module
 */

import type { MachinePlan } from "../../machine/plan_types.ts";

/** QEMU's names of guest architectures: `SysEmuTarget`. */
export const TARGETS = [
  "aarch64",
  "arm",
  "i386",
  "m68k",
  "mips",
  "mips64",
  "ppc",
  "ppc64",
  "riscv32",
  "riscv64",
  "s390x",
  "sparc",
  "sparc64",
  "x86_64",
] as const;

/** An architecture. */
export type Target = typeof TARGETS[number];

/**
 * The architecture that the CPU's plugin is for. That of x86 has 64-bit models
 * beside others, as `qemu-system-x86_64` has.
 */
export function targetOf({ cpu }: MachinePlan): Target {
  return TARGETS.find((name) => name === cpu.name) ?? "x86_64";
}

/** The type of a CPU of a model. */
export function cpuType(plan: MachinePlan, model: string): string {
  return `${model}-${targetOf(plan)}-cpu`;
}

/** Where a CPU is in the tree of objects. */
export function cpuPath(index: number): string {
  return `/machine/unattached/device[${index}]`;
}
