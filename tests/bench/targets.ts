/**
 * What the guests run on: for each target, the command that runs a bare-metal
 * guest and the one that boots Linux.
 *
 * @module
 */

import { fromFileUrl, join, resolve } from "@std/path";
import type { Bits, Guest } from "./guests.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** RAM of a bare-metal guest, in MiB. */
export const BARE_MEGABYTES = 64;
/** RAM of Linux, in MiB. */
export const LINUX_MEGABYTES = 256;

/** A program and its arguments. */
export type Command = readonly [program: string, args: readonly string[]];

/** What boots Linux. */
export interface Linux {
  /** The kernel, a bzImage. */
  readonly kernel: string;
  /** Its initial RAM disk. */
  readonly initrd: string;
  /** Its command line. */
  readonly append: string;
}

/** Something that runs guests. */
export interface Target {
  /** How to run a bare-metal guest; undefined if that cannot be done. */
  bare(guest: Guest): Command | undefined;
  /** How to boot Linux, with the serial port on standard input and output. */
  linux?(linux: Linux): Command;
}

/** Targets by name, in the order in which they take their turns. */
export type TargetMap = ReadonlyMap<string, Target>;

/** The machine that guests run on, and the CPU that Linux has there. */
const MACHINE: Readonly<Record<Bits, readonly [string, string]>> = {
  32: ["isapc.json", "pentium3"],
  64: ["pc.json", "max"],
};

/** Rhea, this checkout or another one. */
function rhea(accel: string, bits: Bits, checkout = ROOT): Target {
  const [file, cpu] = MACHINE[bits];
  const machine = (kernel: string, megabytes: number): string[] => [
    ...["run", "-P", "--no-prompt", `--config=${join(checkout, "deno.json")}`],
    ...[join(checkout, "mod.ts"), join(checkout, "machines", file)],
    ...["--kernel", kernel, "--memory", `${megabytes}M`],
    ...["--serial", "stdio", "--accel", accel],
  ];
  return {
    bare: ({ kernel }) => [
      Deno.execPath(),
      [...machine(kernel, BARE_MEGABYTES), "--cpu", "max"],
    ],
    linux: ({ kernel, initrd, append }) => [Deno.execPath(), [
      ...machine(kernel, LINUX_MEGABYTES),
      ...["--initrd", initrd, "--append", append, "--cpu", cpu],
    ]],
  };
}

function v86(...args: string[]): Command {
  const runner = `${ROOT}tests/bench/v86_runner.ts`;
  return [Deno.execPath(), ["run", "-A", "--no-prompt", runner, ...args]];
}

function qemu(bits: Bits, megabytes: number, ...args: string[]): Command {
  return [bits === 64 ? "qemu-system-x86_64" : "qemu-system-i386", [
    ...["-M", "pc", "-accel", "tcg", "-m", `${megabytes}`],
    ...["-display", "none", "-serial", "stdio", "-no-reboot", ...args],
  ]];
}

const V86: Target = {
  bare: ({ kernel }) => v86(`${BARE_MEGABYTES}`, kernel),
  linux: ({ kernel, initrd, append }) =>
    v86(`${LINUX_MEGABYTES}`, kernel, initrd, append),
};

function tcg(bits: Bits): Target {
  const [, cpu] = MACHINE[bits];
  return {
    bare: ({ kernel }) =>
      // Without the device that ends it: its CPU time can be read at leisure.
      qemu(
        bits,
        BARE_MEGABYTES,
        ...bits === 64 ? ["-cpu", cpu] : [],
        ...["-kernel", kernel],
      ),
    linux: ({ kernel, initrd, append }) =>
      qemu(
        bits,
        LINUX_MEGABYTES,
        ...["-cpu", cpu],
        ...["-kernel", kernel, "-initrd", initrd, "-append", append],
      ),
  };
}

const NATIVE: Target = {
  bare: ({ native }) => native === undefined ? undefined : [native, []],
};

/** How targets may be named. */
export const TARGET_NAMES =
  "jit, interp, v86, tcg, native, and jit@FOLDER or " +
  "interp@FOLDER for another checkout of Rhea";

/** What is measured if nothing else is asked for. */
export const DEFAULT_TARGETS: Readonly<Record<Bits, readonly string[]>> = {
  32: ["jit", "v86", "tcg", "native"],
  // v86 has no 64-bit mode.
  64: ["jit", "tcg", "native"],
};

/** A target by its name; undefined if there is none. */
export function findTarget(name: string, bits: Bits = 32): Target | undefined {
  if (name === "v86" && bits === 32) return V86;
  if (name === "tcg") return tcg(bits);
  if (name === "native") return NATIVE;
  const match = /^(jit|interp)(?:@(.+))?$/.exec(name);
  if (match === null) return undefined;
  const [, accel, checkout] = match;
  return rhea(accel, bits, checkout === undefined ? ROOT : resolve(checkout));
}
