/**
 * What people are used to ask QEMU's monitor of, and what is simple here: the
 * tree of objects, an address' translation, and what this machine has none of.
 *
 * @module
 */

import { dumpOf } from "../dump.ts";
import { objectTree, resolvePath } from "../qmp/qom.ts";
import type { Node } from "../qmp/qom.ts";
import type { Arguments } from "./arguments.ts";
import { type Command, lines } from "./command.ts";
import type { MonitorContext } from "./context.ts";
import { MonitorError } from "./error.ts";

/** An object by its path. */
function objectAt(context: MonitorContext, path: string): Node {
  const found = resolvePath(objectTree(context), path);
  if (found === "ambiguous") {
    throw new MonitorError(`Error: Path '${path}' is ambiguous`);
  }
  if (found !== undefined) return found;
  throw new MonitorError(`Error: Device '${path}' not found`);
}

function listObject(context: MonitorContext, args: Arguments): string {
  const path = args.text("path");
  // As QEMU says where one may begin.
  if (path === undefined) return "/\n";
  return lines(Array.from(
    objectAt(context, path).properties,
    ([name, { type }]) => `${name} (${type})`,
  ));
}

function getProperty(context: MonitorContext, args: Arguments): string {
  const { type, properties } = objectAt(context, args.text("path")!);
  const name = args.text("property")!;
  const found = properties.get(name);
  if (found !== undefined) return `${JSON.stringify(found.value)}\n`;
  throw new MonitorError(`Error: Property '${type}.${name}' not found`);
}

async function translate(
  context: MonitorContext,
  args: Arguments,
): Promise<string> {
  const address = BigInt.asUintN(64, args.integer("addr")!);
  const physical = (await context.inspect()).translate(address);
  return physical === undefined
    ? "Unmapped\n"
    : `gpa: 0x${physical.toString(16)}\n`;
}

/** An object and what is in it, each in a line. */
function* treeLines(
  { type, properties }: Node,
  name: string,
  indent = "",
): Generator<string> {
  yield `${indent}/${name} (${type})`;
  const children = [...properties].filter(([, { child }]) => child);
  for (const [key, { child }] of children.sort(([a], [b]) => a < b ? -1 : 1)) {
    yield* treeLines(child!(), key, `${indent}  `);
  }
}

function objects(context: MonitorContext, args: Arguments): string {
  const path = args.text("path") ?? "/machine";
  const name = path.split("/").filter((part) => part !== "").at(-1) ?? "";
  return lines(treeLines(objectAt(context, path), name));
}

/** Commands that fail, each with its words. */
function failing(
  name: string,
  help: string,
  words: string,
  rest: Pick<Command, "args" | "params"> = {},
): Command {
  return {
    name,
    help,
    ...rest,
    run: () => {
      throw new MonitorError(`Error: ${words}`);
    },
  };
}

const NO_BALLOON = "No balloon device has been activated";

/** The commands. */
export const FIXED_COMMANDS: readonly Command[] = [
  {
    name: "gva2gpa",
    args: "addr:l",
    params: "addr",
    help: "print the guest physical address of a guest virtual address",
    run: translate,
  },
  {
    name: "qom-list",
    args: "path:s?",
    params: "path",
    help: "list QOM properties",
    run: listObject,
  },
  {
    name: "qom-get",
    args: "path:s,property:s",
    params: "path property",
    help: "print QOM property",
    run: getProperty,
  },
  failing(
    "system_wakeup",
    "wakeup guest from suspend",
    "Unable to wake up: guest is not in suspended state",
  ),
  failing(
    "balloon",
    "request VM to change its memory allocation (in MB)",
    NO_BALLOON,
    { args: "value:l", params: "target" },
  ),
];

function memory({ machine: { plan } }: MonitorContext): string {
  const size = plan.memories.filter(({ kind }) => kind === "ram")
    .reduce((sum, ram) => sum + ram.size, 0);
  return lines([`base memory: ${size}`, "plugged memory: 0"]);
}

function dumpStatus({ machine, parts }: MonitorContext): string {
  const { status, completed, total } = dumpOf(machine, parts).state;
  const done = (100 * completed / total).toFixed(2);
  return lines([
    `Status: ${status}`,
    ...status === "active" ? [`Finished: ${done} %`] : [],
  ]);
}

function replay({ machine, parts: { inputs } }: MonitorContext): string {
  if (inputs === undefined) return "Record/replay is not active\n";
  const verb = inputs.isLive ? "Recording" : "Replaying";
  return `${verb} execution: instruction count = ${machine.cpu.instructions}\n`;
}

/** `info` of the same. */
export const INFO_FIXED: readonly Command[] = [
  {
    name: "block-jobs",
    help: "show progress of ongoing block device operations",
    run: () => "No active jobs\n",
  },
  { name: "dump", help: "Display the latest dump status", run: dumpStatus },
  { name: "iothreads", help: "show iothreads", run: () => "" },
  {
    name: "memory_size_summary",
    help: "show the amount of initially allocated and present hotpluggable " +
      "(if enabled) memory in bytes",
    run: memory,
  },
  { name: "numa", help: "show NUMA information", run: () => "0 nodes\n" },
  {
    name: "replay",
    help: "show record/replay information",
    run: replay,
  },
  {
    name: "qom-tree",
    args: "path:s?",
    params: "[path]",
    help: "show QOM composition tree",
    run: objects,
  },
  {
    name: "spice",
    help: "show the spice server status",
    run: () => "Server: disabled\n",
  },
  { name: "tpm", help: "show the TPM device", run: () => "" },
];
