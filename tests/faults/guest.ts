/**
 * Small hostile guests for the fault tests.
 *
 * @module
 */

import { Machine } from "../../machines/machine.ts";
import type { RunResult } from "../../core/machine/machine.ts";

const ISAPC = new URL("../../machines/isapc.json", import.meta.url).pathname;
/** Where a payload is loaded. */
export const LOAD_ADDRESS = 0x100000;

/** A multiboot kernel (with the address fields instead of ELF) that enters at its payload's start. */
export function multiboot(payload: Uint8Array): Uint8Array {
  const header = 0x20;
  const out = new Uint8Array(header + payload.length);
  const v = new DataView(out.buffer);
  const flags = 0x10000;
  [
    0x1badb002,
    flags,
    -(0x1badb002 + flags),
    LOAD_ADDRESS, // header_addr
    LOAD_ADDRESS, // load_addr
    0, // load_end_addr: the whole file
    0, // bss_end_addr
    LOAD_ADDRESS + header, // entry_addr
  ].forEach((x, i) => v.setUint32(4 * i, x >>> 0, true));
  out.set(payload, header);
  return out;
}

/** Assembles 32-bit code with nasm; undefined where nasm is absent. */
export async function assemble(
  source: string,
): Promise<Uint8Array | undefined> {
  const directory = await Deno.makeTempDir();
  try {
    const [input, output] = [`${directory}/a.asm`, `${directory}/a.bin`];
    await Deno.writeTextFile(
      input,
      `bits 32\norg 0x${(LOAD_ADDRESS + 0x20).toString(16)}\n${source}\n`,
    );
    const r = await new Deno.Command("nasm", {
      args: ["-f", "bin", "-o", output, input],
      stdin: "null",
    }).output();
    if (!r.success) throw new Error(new TextDecoder().decode(r.stderr));
    return await Deno.readFile(output);
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return undefined;
    throw e;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** How to run a kernel. */
export interface RunOptions {
  /** The executor. */
  readonly accel: "jit" | "interp";
  /** Stop it after this time. */
  readonly milliseconds: number;
  /** Called every 250 ms with the machine's counters; true ends the run. */
  readonly watch?: (stats: Record<string, number>) => boolean;
}

/** Runs a kernel on the ISA PC until it ends or the time is up; throws what loading it throws. */
export async function run(
  kernel: Uint8Array,
  options: RunOptions,
): Promise<{ result: RunResult; output: string; instructions: number }> {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/kernel`;
    await Deno.writeFile(path, kernel);
    const machine = await Machine.load(ISAPC, {
      kernel: path,
      memory: "16M",
      cpu: "max",
      accel: options.accel,
      noReboot: true,
    });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const time = new Promise<void>((done) => {
      timer = setTimeout(done, options.milliseconds);
    });
    const end = machine.run();
    let look: ReturnType<typeof setInterval> | undefined;
    const seen = new Promise<void>((done) => {
      look = setInterval(() => options.watch?.(machine.stats()) && done(), 250);
    });
    await Promise.race([end, time, seen]);
    clearTimeout(timer);
    clearInterval(look);
    const result = await machine.stop();
    // Whatever the guest did, the run loop must have come back.
    await end;
    return {
      result,
      output: machine.serial(0).output,
      instructions: machine.cpu.instructions,
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
