/**
 * Machines with the built-in BIOS and drives, and the same on QEMU, which has
 * SeaBIOS.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import { Machine } from "../../machines/machine.ts";

const MACHINES = fromFileUrl(new URL("../../machines/", import.meta.url));
/** No guest here takes so long. */
const LIMIT_MS = 60_000;

/** A drive on the first IDE channel. */
export interface DriveOptions {
  /** Its image. */
  readonly file: string;
  /** What it is; a disk when absent. */
  readonly kind?: "disk" | "cdrom";
}

/** What a machine has. */
export interface BiosOptions {
  /** Which definition: `isapc` when absent. */
  readonly machine?: "isapc" | "pc";
  /** Drives, devices 0 and 1. */
  readonly drives?: readonly DriveOptions[];
  /** The image of a floppy in the first drive. */
  readonly floppy?: string;
  /** The BIOS's configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** What else it has, as `--set` takes it. */
  readonly set?: readonly string[];
  /** RAM; 32 MiB when absent. */
  readonly memory?: string;
}

/** The device of the first IDE channel. */
const IDE = { isapc: "ide0", pc: "ide" } as const;

/** A machine that starts with the built-in BIOS. */
export async function biosMachine(
  options: BiosOptions,
): Promise<Machine> {
  const { machine = "isapc", drives = [], floppy } = options;
  const { config = {}, memory = "32M", set = [] } = options;
  const ide = IDE[machine];
  return await Machine.load(`${MACHINES}${machine}.json`, {
    memory,
    set: [
      ...set,
      ...Object.entries(config).map(([key, value]) =>
        `devices.firmware.config.${key}=${JSON.stringify(value)}`
      ),
      ...floppy === undefined ? [] : [
        `backends.floppy={"plugin":"raw","config":` +
        `{"file":${JSON.stringify(floppy)}}}`,
        "devices.floppy.backends.drive0=floppy",
      ],
      ...drives.flatMap(({ file, kind = "disk" }, i) => [
        `backends.image${i}={"plugin":"raw","config":` +
        `{"file":${JSON.stringify(file)}}}`,
        `devices.${ide}.config.disk${i}={"kind":"${kind}"}`,
        `devices.${ide}.backends.disk${i}=image${i}`,
      ]),
    ],
  });
}

/** Run such a machine to its end; what it wrote on COM1. */
export async function runBios(options: BiosOptions): Promise<string> {
  return await outputOf(await biosMachine(options));
}

/** Run a machine to its end; what it wrote on COM1. */
async function outputOf(started: Machine): Promise<string> {
  await using machine = started;
  const limit = setTimeout(() => void machine.stop(), LIMIT_MS);
  await machine.run();
  clearTimeout(limit);
  return machine.serial(0).output;
}

/** Debian's SeaBIOS, which finds its VGA BIOS beside it. */
const SEABIOS = {
  isapc: "/usr/share/seabios/bios.bin",
  pc: "/usr/share/seabios/bios-256k.bin",
} as const;

/**
 * A PC with SeaBIOS and a disk; undefined, and the reason on the console, where
 * SeaBIOS is not installed.
 */
export async function seabiosMachine(
  file: string,
  machine: "isapc" | "pc" = "isapc",
  set: readonly string[] = [],
): Promise<Machine | undefined> {
  try {
    await Deno.stat(SEABIOS[machine]);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("skipped in part: seabios is not installed");
    return undefined;
  }
  return await Machine.load(`${MACHINES}${machine}.json`, {
    firmware: SEABIOS[machine],
    memory: "32M",
    drives: [{ file }],
    set,
  });
}

/** Run it; what it wrote on COM1. */
export async function runSeabios(
  file: string,
  machine: "isapc" | "pc" = "isapc",
): Promise<string | undefined> {
  const started = await seabiosMachine(file, machine);
  return started && await outputOf(started);
}

/** QEMU's PCs but for the board, without drives. */
const QEMU_COMMON: readonly string[] = [
  ...["-accel", "tcg", "-m", "32", "-nodefaults"],
  ...["-vga", "std", "-display", "none", "-no-reboot"],
  ...["-device", "isa-debug-exit,iobase=0xf4,iosize=1"],
];
/** QEMU's ISA PC with SeaBIOS, without drives. */
export const QEMU_ARGS: readonly string[] = ["-M", "isapc", ...QEMU_COMMON];

/** Run a PC of QEMU's with SeaBIOS; undefined where it is not installed. */
export async function runQemu(
  drives: readonly DriveOptions[],
  machine: "isapc" | "pc" = "isapc",
  floppy?: string,
  mebibytes = 32,
): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command("qemu-system-i386", {
      args: [
        ...["-M", machine, ...QEMU_COMMON, "-m", `${mebibytes}`],
        ...["-serial", "stdio", "-serial", "null", "-monitor", "none"],
        ...drives.flatMap(({ file, kind = "disk" }, i) => [
          "-drive",
          `if=ide,format=raw,file=${file},index=${i},media=${kind}`,
        ]),
        ...floppy === undefined
          ? []
          : ["-drive", `if=floppy,format=raw,file=${floppy}`],
      ],
      stdin: "null",
      stderr: "null",
      signal: AbortSignal.timeout(LIMIT_MS),
    }).output();
    return new TextDecoder().decode(stdout);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/**
 * Run a program; false, and the reason on the console, when one is missing
 * that a test needs.
 */
export async function tool(
  program: string,
  ...args: readonly string[]
): Promise<boolean> {
  try {
    const { success, stderr } = await new Deno.Command(program, {
      args: [...args],
      stdin: "null",
      stdout: "null",
    }).output();
    if (!success) {
      throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
    }
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log(`skipped: ${program} is not installed`);
    return false;
  }
}

/** A folder for a test's files, gone at its end. */
export async function inFolder(
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
