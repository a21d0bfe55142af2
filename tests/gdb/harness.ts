/**
 * A guest for gdb, and gdb with scripts, on Rhea and on QEMU.
 *
 * @module
 */

import { assert } from "@std/assert";
import { Machine, type RunResult } from "../../mod.ts";
import { QmpClient } from "../qmp/client.ts";

const HERE = new URL(".", import.meta.url).pathname;
const LINKER_SCRIPT = `${HERE}../bench/guests/kernel.ld`;
/** The machine. */
export const PC: string = `${HERE}../../machines/pc.json`;
/** Milliseconds for a script. */
const LIMIT_MS = 100_000;

/** How many bits the guest's registers have. */
export type Bits = 32 | 64;

function has(program: string): boolean {
  try {
    return new Deno.Command(program, {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** What of these is missing, for a test's name; empty when nothing is. */
export function missing(...programs: string[]): string {
  const absent = programs.filter((program) => !has(program));
  return absent.length === 0 ? "" : ` (skipped: no ${absent.join(", no ")})`;
}

/** What was built of `guest.c`, or of assembly. */
export interface Guest {
  readonly bits: Bits;
  /** What a machine loads. */
  readonly kernel: string;
  /** The same with symbols, for gdb. */
  readonly symbols: string;
  /** A folder of the test's. */
  readonly folder: string;
  /** Where a symbol is. */
  at(symbol: string): number;
}

async function build(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args })
    .output();
  assert(success, new TextDecoder().decode(stderr));
}

/** Give a test the guest. */
export async function withGuest(
  bits: Bits,
  use: (guest: Guest) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const symbols = `${folder}/guest.elf`, kernel = `${folder}/kernel.elf`;
    const long = bits === 64 ? ["-mno-red-zone", "-mcmodel=small"] : [];
    await build("gcc", [
      `-m${bits}`,
      ...long,
      ..."-O1 -g -ffreestanding -fno-stack-protector -fno-pic -no-pie".split(
        " ",
      ),
      ..."-nostdlib -static -fcf-protection=none -mno-avx".split(" "),
      "-fno-asynchronous-unwind-tables",
      `-Wl,-T,${LINKER_SCRIPT},--build-id=none,--no-warn-rwx-segments`,
      "-o",
      symbols,
      `${HERE}guest.c`,
    ]);
    await use(await guestOf(bits, folder, symbols, kernel));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Give a test a guest of an assembly file beside this one. */
export async function withAssembly(
  bits: Bits,
  file: string,
  use: (guest: Guest) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const object = `${folder}/guest.o`, symbols = `${folder}/guest.elf`;
    await build("nasm", ["-f", `elf${bits}`, "-o", object, `${HERE}${file}`]);
    await build("ld", [
      ...["-m", bits === 64 ? "elf_x86_64" : "elf_i386"],
      ...["-T", LINKER_SCRIPT, "--no-warn-rwx-segments"],
      ...["-o", symbols, object],
    ]);
    await use(await guestOf(bits, folder, symbols, `${folder}/kernel.elf`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function guestOf(
  bits: Bits,
  folder: string,
  symbols: string,
  kernel: string,
): Promise<Guest> {
  // Multiboot's ELF files have the 32-bit form, whatever the code is.
  await build("objcopy", ["-O", "elf32-i386", symbols, kernel]);
  const names = await new Deno.Command("nm", { args: [symbols] }).output();
  const list = new TextDecoder().decode(names.stdout);
  const at = (symbol: string): number =>
    parseInt(
      new RegExp(`^([0-9a-f]+) . ${symbol}$`, "m").exec(list)![1],
      16,
    );
  return { bits, kernel, symbols, folder, at };
}

/** A machine with the guest, which waits for gdb at a socket. */
export async function startRhea(
  guest: Guest,
  more: { accel?: "jit" | "interp"; smp?: number; wait?: boolean } = {},
): Promise<{ machine: Machine; remote: string }> {
  const { accel, smp = 2, wait = true } = more;
  const machine = await Machine.load(PC, {
    kernel: guest.kernel,
    cpu: guest.bits === 64 ? "max" : "pentium3",
    memory: "64M",
    smp,
    accel,
  });
  const server = await machine.serveGdb(`unix:${guest.folder}/rhea`, { wait });
  machine.start();
  return { machine, remote: server.address };
}

/** QEMU with the guest, which waits for gdb; kill it afterwards. */
export async function startQemu(
  guest: Guest,
): Promise<{ child: Deno.ChildProcess; remote: string }> {
  const remote = `${guest.folder}/qemu`;
  // AMD's CPUs have no SYSENTER in 64-bit mode.
  const model = guest.bits === 64 ? "max,vendor=GenuineIntel" : "pentium3";
  const child = new Deno.Command(
    guest.bits === 64 ? "qemu-system-x86_64" : "qemu-system-i386",
    {
      args: [
        ...`-cpu ${model} -m 64 -smp 2 -S -no-reboot -monitor none`.split(" "),
        ...`-display none -device isa-debug-exit,iobase=0xf4`.split(" "),
        ...["-kernel", guest.kernel],
        ...["-gdb", `unix:${remote},server=on,wait=off`],
        ...["-qmp", `unix:${remote}.qmp,server=on,wait=off`],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    },
  ).spawn();
  for (let i = 0; i < 200; i++) {
    try {
      // Its sockets are there before it listens; commands are done after all
      // that a start does.
      using client = await QmpClient.connect(`${remote}.qmp`);
      await client.execute("query-status");
      return { child, remote };
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  child.kill("SIGKILL");
  await child.status;
  throw new Error("QEMU did not start");
}

/**
 * What gdb prints when it does what the lines say, each of which it is shown
 * with. `$REMOTE` is where the machine is.
 */
export async function runGdb(
  { symbols }: Pick<Guest, "symbols">,
  remote: string,
  script: string,
  more: {
    /** Resolves when gdb is to get Ctrl-C. */
    readonly interrupt?: () => Promise<void>;
    /** Milliseconds for it all. */
    readonly limit?: number;
  } = {},
): Promise<string> {
  const lines = script.trim().split("\n").map((line) => line.trim());
  // Not in a file, where an error would end it.
  const commands = lines.flatMap((line) => [
    `echo (gdb) ${line.replaceAll("\\", "\\\\")}\\n`,
    line.replaceAll("$REMOTE", remote),
  ]);
  const settings = [
    "set pagination off",
    "set confirm off",
    "set width 0",
    "set debuginfod enabled off",
  ];
  const child = new Deno.Command("gdb", {
    args: [
      ...["-nx", "-batch"],
      ...[...settings, ...commands].flatMap((command) => ["-ex", command]),
      symbols,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C", TERM: "dumb" },
    signal: AbortSignal.timeout(more.limit ?? LIMIT_MS),
  }).spawn();
  void more.interrupt?.().then(() => child.kill("SIGINT"));
  const { stdout, stderr } = await child.output();
  const text = new TextDecoder().decode(stdout);
  const errors = new TextDecoder().decode(stderr);
  return errors === "" ? text : `${text}(gdb) errors\n${errors}`;
}

/** How the machine's run ended, if it does soon. */
export async function endOf(machine: Machine): Promise<RunResult> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new Error("the guest goes on");
    timer = setTimeout(() => reject(error), LIMIT_MS);
  });
  try {
    return await Promise.race([machine.wait(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What gdb printed after each command. */
export function answers(text: string): Map<string, string> {
  const all = new Map<string, string>();
  for (const part of text.split("(gdb) ").slice(1)) {
    const end = part.indexOf("\n");
    const command = part.slice(0, end);
    let key = command;
    for (let n = 2; all.has(key); n++) key = `${command} #${n}`;
    all.set(key, part.slice(end + 1));
  }
  return all;
}
