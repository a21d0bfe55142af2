/**
 * What people are used to ask QEMU's monitor of, and what is simple here: the
 * tree of objects, an address' translation, and what this machine has none of.
 *
 * @module
 */

import { dumpOf } from "../dump.ts";
import { cpuPath, cpuType } from "../qmp/machine_names.ts";
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

function setProperty(context: MonitorContext, args: Arguments): void {
  const { type, properties } = objectAt(context, args.text("path")!);
  const name = args.text("property")!;
  const what = properties.has(name) ? "is not writable" : "not found";
  throw new MonitorError(`Error: Property '${type}.${name}' ${what}`);
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
  {
    name: "qom-set",
    args: "json:-j,path:s,property:s,value:S",
    params: "[-j] path property value",
    help: "set QOM property",
    run: setProperty,
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

function* memoryBackends(
  { machine: { plan } }: MonitorContext,
): Generator<string> {
  for (const { name, kind, size } of plan.memories) {
    if (kind !== "ram") continue;
    yield `memory backend: ${name}`;
    yield `  size:  ${size}`;
    yield "  merge: false";
    yield "  dump: true";
    yield "  prealloc: false";
    yield "  share: true";
    yield "  reserve: true";
    yield "  policy: default";
    yield "  host nodes:";
  }
}

/** CPUs in QEMU's layout: none comes or goes. */
function* cpuPlaces(
  { parts, machine: { plan } }: MonitorContext,
): Generator<string> {
  yield "Hotpluggable CPUs:";
  for (const index of parts.cpus.keys()) {
    yield `  type: "${cpuType(plan, plan.cpuConfig.model)}"`;
    yield '  vcpus_count: "1"';
    yield `  qom_path: "${cpuPath(index)}"`;
    yield "  CPUInstance Properties:";
    yield '    socket-id: "0"';
    yield `    core-id: "${index}"`;
    yield '    thread-id: "0"';
  }
}

/** The plugins that a definition may name as a device. */
function* models({ parts, machine: { plan } }: MonitorContext): Generator<
  string
> {
  const names = new Set([
    ...Object.keys(parts.options.plugins.device ?? {}),
    ...plan.devices.map(({ plugin }) => plugin.name),
  ]);
  for (const name of [...names].sort()) yield `name "${name}"`;
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
  {
    name: "hotpluggable-cpus",
    help: "Show information about hotpluggable CPUs",
    run: (context) => lines(cpuPlaces(context)),
  },
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
  failing("balloon", "show balloon information", NO_BALLOON),
  { name: "capture", help: "show capture information", run: () => "" },
  {
    name: "memdev",
    help: "show memory backends",
    run: (context) => lines(memoryBackends(context)),
  },
  { name: "memory-devices", help: "show memory devices", run: () => "" },
  { name: "migrate", help: "show migration status", run: () => "" },
  {
    name: "qdm",
    help: "show qdev device model list",
    run: (context) => lines(models(context)),
  },
  failing("usb", "show guest USB devices", "USB support not enabled"),
  failing(
    "vm-generation-id",
    "Show Virtual Machine Generation ID",
    "VM Generation ID device not found",
  ),
];
