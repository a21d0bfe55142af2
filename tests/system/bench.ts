/**
 * A bare machine for the directed system tests: a CPU, RAM, a debug console at
 * port 0xe9, an exit at 0xf4; port 0x50 raises INTR with the vector written,
 * 0x51 sends an NMI, 0x92 drives A20.
 *
 * @module
 */

import { AddressSpace } from "../../core/bus/address_space.ts";
import type { AccessWidth } from "../../core/bus/handler.ts";
import { Engine } from "../../core/exec/engine.ts";
import { GuestMemory } from "../../core/machine/memory.ts";
import { X86 } from "../../plugins/cpu/x86/cpu.ts";
import { createTranslator } from "../../plugins/cpu/x86/mod.ts";
import { MODELS } from "../../plugins/cpu/x86/models.ts";

/** RAM of the machine. */
const RAM = 16 << 20;
/** Where the images are loaded and start. */
const LOAD = 0x100000;
/** Instructions after which a test is said to hang. */
const LIMIT = 50_000_000;

/** Characters of output after which something is wrong. */
const FLOOD = 40_000;

/** How to run. */
export interface RunOptions {
  /** The executor. */
  readonly accel: "jit" | "interp";
  /** The CPU model. */
  readonly model?: string;
  /** Executions that make a block hot. */
  readonly threshold?: number;
  /** Stop exactly at the end of a budget. */
  readonly exact?: boolean;
}

/** The machine. */
export class Bench {
  /** What the guest has printed. */
  output = "";
  /** Written to the exit port, or -1. */
  status = -1;
  /** The CPU. */
  readonly cpu: X86;
  /** Its engine. */
  readonly engine: Engine;
  /** Vector that the next acknowledge cycle gives. */
  vector = 0x20;
  /** The memory. */
  readonly memory: GuestMemory;
  /** Host offset of RAM. */
  readonly ram: number;

  /** Makes the machine. */
  constructor(options: RunOptions) {
    const memory = new GuestMemory({
      guestBytes: RAM,
      arenaBytes: 4 << 20,
    });
    this.memory = memory;
    this.ram = memory.alloc(RAM);
    const space = new AddressSpace("memory", 2 ** 32, memory);
    space.add({
      name: "ram",
      base: 0,
      size: RAM,
      kind: "ram",
      hostOffset: this.ram,
    });
    const ports = new AddressSpace("ports", 65536);
    ports.add({
      name: "all",
      base: 0,
      size: 65536,
      kind: "io",
      handler: {
        widths: [1, 2, 4],
        read: (port, width) => this.#in(port, width),
        write: (port, _width, value) => {
          if (port === 0xe9) this.output += String.fromCharCode(value & 0xff);
          else if (port === 0xf4) {
            this.status = value;
            this.engine.requestStop();
          } else if (port === 0x50) {
            this.vector = value & 0xff;
            this.engine.setIrq(true);
          } else if (port === 0x51) this.engine.nmi();
          else if (port === 0x92) {
            this.engine.setInput("a20", (value & 2) !== 0);
          }
        },
      },
    });
    const model = MODELS[options.model ?? "pentium3"];
    this.cpu = new X86({
      model,
      ports,
      acknowledge: () => {
        this.cpu.setIrq(false);
        return this.vector;
      },
      translator: () => createTranslator(model),
    });
    this.engine = new Engine(this.cpu, {
      memory,
      space,
      accel: options.accel,
      threshold: options.threshold,
      exact: options.exact,
    });
  }

  #in(port: number, width: AccessWidth): number {
    // A port that gives its own number.
    return port === 0xe9 ? 0xe9 : width === 1 ? port & 0xff : port;
  }

  /** Runs until the guest ends; gives back its output and how it ended. */
  run(): string {
    const { engine } = this;
    while (this.status < 0) {
      const exit = engine.run(1_000_000);
      if (this.status >= 0) break;
      if (this.output.length > FLOOD) return `${this.output}<flood>\n`;
      if (exit === "budget" || exit === "stop") {
        if (engine.instructions < LIMIT) continue;
        return `${this.output}<hang at ${engine.describe()}>\n`;
      }
      return `${this.output}<${exit}>\n`;
    }
    return this.output;
  }
}

/** Runs an image; gives back what it printed, and how it ended if not by itself. */
export function runImage(image: Uint8Array, options: RunOptions): string {
  const bench = new Bench(options);
  bench.memory.u8.set(image, bench.ram + LOAD);
  const state: Record<string, number> = { cr0: 0x11, eflags: 2 };
  for (const s of ["cs", "ds", "es", "fs", "gs", "ss"]) {
    state[`${s}.selector`] = s === "cs" ? 8 : 0x10;
    state[`${s}.base`] = 0;
    state[`${s}.limit`] = -1;
    state[`${s}.flags`] = s === "cs" ? 0xc09b : 0xc093;
  }
  // The entry point is the multiboot header's last field.
  state.eip = new DataView(image.buffer, image.byteOffset).getInt32(28, true);
  bench.engine.enter(state);
  return bench.run();
}

/** Assembles a source of this folder; undefined where there is no nasm. */
export async function assemble(
  name: string,
  defines: readonly string[] = [],
): Promise<Uint8Array | undefined> {
  const folder = new URL(".", import.meta.url).pathname;
  const out = await Deno.makeTempFile({ suffix: ".bin" });
  try {
    const { success, stderr } = await new Deno.Command("nasm", {
      args: [
        "-f",
        "bin",
        ...defines.map((d) => `-D${d}`),
        `-I${folder}`,
        "-o",
        out,
        `${folder}${name}.asm`,
      ],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return await Deno.readFile(out);
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return undefined;
    throw e;
  } finally {
    // nasm removes its output after an error.
    await Deno.remove(out).catch(() => {});
  }
}

if (import.meta.main) {
  const [name, accel = "interp", model, threshold] = Deno.args;
  const image = await assemble(name);
  if (image === undefined) throw new Error("there is no nasm");
  console.log(runImage(image, {
    accel: accel as "jit" | "interp",
    model,
    threshold: threshold === undefined ? undefined : Number(threshold),
  }));
}
