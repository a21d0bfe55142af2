/**
 * Small guests for the debugger's tests: multiboot kernels in assembly.
 *
 * @module
 */

import {
  type Machine,
  Machine as MachineMaker,
  type MachineOptions,
} from "../../machines/machine.ts";
import { assemble, multiboot } from "../faults/guest.ts";

/** Where the code starts. */
export const START = 0x100020;

/** A kernel's addresses, by the labels of its source. */
export interface Guest {
  /** The file. */
  readonly kernel: string;
  /** Where a label is. */
  at(label: string): number;
  /** Remove it. */
  remove(): Promise<void>;
}

/**
 * Assembles a kernel, whose labels `x:` at the beginning of a line are known
 * afterwards; undefined where there is no nasm.
 */
export async function guest(source: string): Promise<Guest | undefined> {
  const labels = [...source.matchAll(/^(\w+):/gm)].map(([, name]) => name);
  // The addresses stand behind the code.
  const code = await assemble(
    `${source}\nalign 4\n${labels.map((l) => `dd ${l}`).join("\n")}\n`,
  );
  if (code === undefined) return undefined;
  const view = new DataView(code.buffer, code.length - 4 * labels.length);
  const places = new Map(
    labels.map((l, i) => [l, view.getUint32(4 * i, true)]),
  );
  const kernel = await Deno.makeTempFile({ suffix: ".elf" });
  await Deno.writeFile(kernel, multiboot(code));
  return {
    kernel,
    at: (label) => {
      const place = places.get(label);
      if (place === undefined) throw new RangeError(`no label "${label}"`);
      return place;
    },
    remove: () => Deno.remove(kernel),
  };
}

/** A machine with the guest, under the instruction count unless the options say otherwise. */
export async function load(
  { kernel }: Guest,
  { threshold = 5, definition = "isapc.json", ...options }:
    & MachineOptions
    & {
      /** Executions that make a block hot. */
      readonly threshold?: number;
      /** The machine's definition; `isapc.json` when absent. */
      readonly definition?: string;
    } = {},
): Promise<Machine> {
  const path = new URL(`../../machines/${definition}`, import.meta.url);
  return await MachineMaker.load(path.pathname, {
    kernel,
    icount: true,
    noReboot: true,
    memory: "16M",
    ...options,
    set: [`cpu.config.threshold=${threshold}`, ...options.set ?? []],
  });
}
