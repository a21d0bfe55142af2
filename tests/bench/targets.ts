/**
 * What the guests run on: for each target, the command that runs a bare-metal
 * guest and the one that boots Linux.
 *
 * @module
 */

import { fromFileUrl, join, resolve } from "@std/path";
import type { Guest } from "./guests.ts";

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

/** Rhea, this checkout or another one. */
function rhea(accel: string, checkout = ROOT): Target {
  const machine = (kernel: string, megabytes: number): string[] => [
    ...["run", "-P", "--no-prompt", `--config=${join(checkout, "deno.json")}`],
    ...[join(checkout, "mod.ts"), join(checkout, "machines/isapc.json")],
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
      ...["--initrd", initrd, "--append", append],
    ]],
  };
}

function v86(...args: string[]): Command {
  const runner = `${ROOT}tests/bench/v86_runner.ts`;
  return [Deno.execPath(), ["run", "-A", "--no-prompt", runner, ...args]];
}

function qemu(megabytes: number, ...args: string[]): Command {
  return ["qemu-system-i386", [
    ...["-M", "pc", "-accel", "tcg", "-m", `${megabytes}`],
    ...["-display", "none", "-serial", "stdio", "-no-reboot", ...args],
  ]];
}

const OTHERS: Readonly<Record<string, Target>> = {
  v86: {
    bare: ({ kernel }) => v86(`${BARE_MEGABYTES}`, kernel),
    linux: ({ kernel, initrd, append }) =>
      v86(`${LINUX_MEGABYTES}`, kernel, initrd, append),
  },
  tcg: {
    bare: ({ kernel }) =>
      // Without the device that ends it: its CPU time can be read at leisure.
      qemu(BARE_MEGABYTES, "-kernel", kernel),
    linux: ({ kernel, initrd, append }) =>
      qemu(
        LINUX_MEGABYTES,
        ...["-cpu", "pentium3"],
        ...["-kernel", kernel, "-initrd", initrd, "-append", append],
      ),
  },
  native: {
    bare: ({ native }) => native === undefined ? undefined : [native, []],
  },
};

/** How targets may be named. */
export const TARGET_NAMES =
  "jit, interp, v86, tcg, native, and jit@FOLDER or " +
  "interp@FOLDER for another checkout of Rhea";

/** What is measured if nothing else is asked for. */
export const DEFAULT_TARGETS = ["jit", "v86", "tcg", "native"] as const;

/** A target by its name; undefined if there is none. */
export function findTarget(name: string): Target | undefined {
  if (Object.hasOwn(OTHERS, name)) return OTHERS[name];
  const match = /^(jit|interp)(?:@(.+))?$/.exec(name);
  if (match === null) return undefined;
  const [, accel, checkout] = match;
  return rhea(accel, checkout === undefined ? ROOT : resolve(checkout));
}
