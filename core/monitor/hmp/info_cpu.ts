/**
 * `info` of CPUs: `cpus`, `registers`, `mem`, `tlb`.
 *
 * @module
 */

import type { Arguments } from "./arguments.ts";
import { type Command, lines } from "./command.ts";
import type { MonitorContext } from "./context.ts";
import { MonitorError } from "./error.ts";

/** Lines that are shown at most of page tables, which are the guest's. */
const MAX_LINES = 200_000;

/** Lines, of which a guest may have made very many. */
function* bounded(all: Iterable<string>): Generator<string> {
  let left = MAX_LINES;
  for (const line of all) {
    if (left-- === 0) {
      yield `(and more than these ${MAX_LINES} lines)`;
      return;
    }
    yield line;
  }
}

async function cpus(context: MonitorContext): Promise<string> {
  const out: string[] = [];
  for (const index of context.parts.cpus.keys()) {
    const { pc, isHalted, addressBits } = await context.inspect(index);
    const at = pc.toString(16).padStart(addressBits / 4, "0");
    out.push(
      `${index === context.cpu ? "*" : " "} CPU #${index}: pc=0x${at}` +
        `${isHalted ? " (halted)" : ""} thread_id=${Deno.pid}`,
    );
  }
  return lines(out);
}

async function registers(
  context: MonitorContext,
  args: Arguments,
): Promise<string> {
  const wanted = args.integer("vcpu");
  const all = args.has("all")
    ? [...context.parts.cpus.keys()]
    : [wanted === undefined ? context.cpu : Number(wanted)];
  let text = "";
  for (const index of all) {
    if (context.parts.cpus[index] === undefined) {
      throw new MonitorError(`CPU#${index} not available`);
    }
    const inspector = await context.inspect(index);
    text += `\nCPU#${index}\n${lines(inspector.registers())}`;
  }
  return text;
}

/** `info` of CPUs. */
export const INFO_CPU: readonly Command[] = [
  {
    name: "cpus",
    help: "show infos for each CPU",
    run: cpus,
  },
  {
    name: "registers",
    args: "all:-a,vcpu:i?",
    params: "[-a|vcpu]",
    help: "show the cpu registers (-a: show register info for all cpus; " +
      "vcpu: specific vCPU to query; show the current CPU's registers if no " +
      "argument is specified)",
    run: registers,
  },
  {
    name: "mem",
    help: "show the active virtual memory mappings",
    run: async (context) =>
      lines(bounded((await context.inspect()).mappings())),
  },
  {
    name: "tlb",
    help: "show virtual to physical memory mappings",
    run: async (context) => lines(bounded((await context.inspect()).pages())),
  },
];
