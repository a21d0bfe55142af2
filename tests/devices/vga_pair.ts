/**
 * Scenes of the VGA as Rhea and as QEMU show them to whoever takes a screendump.
 *
 * @module
 */

import { assert } from "@std/assert";
import { Machine, type MachineOptions } from "../../machines/machine.ts";
import { assemble, multiboot } from "../faults/guest.ts";
import { PCI_VGA } from "../pci_vga.ts";
import { parsePpm, type Pixels, pixelsOf } from "../pixels.ts";
import { QEMU } from "../qemu.ts";
import { type Scene, vgaGuest } from "./vga_guest.ts";

/** The machine that shows them. */
export const PC = new URL("../../machines/pc.json", import.meta.url).pathname;
/** When a guest or QEMU has failed, in milliseconds. */
export const LIMIT_MS = 240_000;

/**
 * What QEMU, with these arguments, shows after each "!" of the guest; undefined
 * without QEMU.
 */
export async function inQemu(
  boot: readonly string[],
  count: number,
): Promise<Pixels[] | undefined> {
  const folder = await Deno.makeTempDir();
  try {
    const socket = `${folder}/monitor`;
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(QEMU, {
        args: [
          ...["-M", "pc", "-accel", "tcg", "-m", "32M", "-vga", "std"],
          ...["-display", "none", "-no-reboot", "-serial", "stdio"],
          ...["-monitor", `unix:${socket},server=on,wait=on`],
          ...["-device", "isa-debug-exit,iobase=0xf4", ...boot],
        ],
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
    const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
    try {
      return await talk(child, socket, folder, count);
    } finally {
      clearTimeout(limit);
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await child.status;
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function talk(
  child: Deno.ChildProcess,
  socket: string,
  folder: string,
  count: number,
): Promise<Pixels[]> {
  const monitor = await connect(socket);
  const output = child.stdout.getReader();
  const input = child.stdin.getWriter();
  const result: Pixels[] = [];
  await prompt(monitor);
  for (let i = 0; i < count; i++) {
    for (let text = ""; !text.includes("!");) {
      const { value, done } = await output.read();
      assert(!done, "QEMU ended");
      text += new TextDecoder().decode(value);
    }
    const file = `${folder}/${i}.ppm`;
    await monitor.write(new TextEncoder().encode(`screendump ${file}\n`));
    await prompt(monitor);
    result.push(parsePpm(await Deno.readFile(file)));
    await input.write(new Uint8Array([10]));
  }
  monitor.close();
  input.releaseLock();
  await child.stdin.close();
  output.releaseLock();
  await child.stdout.cancel();
  return result;
}

/** QEMU waits for it before it starts. */
async function connect(path: string): Promise<Deno.Conn> {
  const end = Date.now() + LIMIT_MS;
  while (true) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Read up to the monitor's next prompt: the last command is done. */
async function prompt(monitor: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(4096);
  for (let text = ""; !text.endsWith("(qemu) ");) {
    const count = await monitor.read(buffer);
    if (count === null) throw new Error("QEMU's monitor ended");
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
}

/** What Rhea shows, with these options. */
export async function here(
  boot: MachineOptions,
  count: number,
): Promise<Pixels[]> {
  await using machine = await Machine.load(PC, {
    ...boot,
    memory: "32M",
    set: PCI_VGA,
  });
  const serial = machine.serial(0);
  const result: Pixels[] = [];
  for (let n = 0; n < count; n++) {
    await serial.expect("!", { timeout: LIMIT_MS });
    result.push(pixelsOf(machine.screenshot()));
    await serial.write("\n");
  }
  return result;
}

/** What both show of the scenes; undefined, and said, without a tool. */
export async function both(
  scenes: readonly Scene[],
): Promise<[ours: Pixels[], qemu: Pixels[]] | undefined> {
  const payload = await assemble(vgaGuest(scenes));
  if (payload === undefined) return void console.log("skipped: no nasm");
  const kernel = await Deno.makeTempFile();
  try {
    await Deno.writeFile(kernel, multiboot(payload));

    const qemu = await inQemu(["-kernel", kernel], scenes.length);
    if (qemu === undefined) return void console.log("skipped: no QEMU");
    return [await here({ kernel }, scenes.length), qemu];
  } finally {
    await Deno.remove(kernel);
  }
}
