/**
 * `info` of devices: `devices`, `device`, `qtree`, `pci`, `pic`, `lapic`,
 * `ioapic`, `irq`, `mice`.
 *
 * @module
 */

import type { PciHost } from "../../bus/pci.ts";
import type { PlannedDevice } from "../../machine/plan_types.ts";
import type { Device } from "../../machine/plugin.ts";
import type { Arguments } from "./arguments.ts";
import { type Command, lines } from "./command.ts";
import type { MonitorContext } from "./context.ts";
import { MonitorError } from "./error.ts";
import { pciLines } from "./pci_text.ts";
import { stateLines, valueAt } from "./state_text.ts";

/** The devices of a plugin, with what they say of themselves. */
function* described(
  { machine }: MonitorContext,
  plugin: string,
): Generator<string> {
  for (const { name, plugin: made } of machine.plan.devices) {
    if (made.name !== plugin) continue;
    yield* machine.device(name).describe?.() ?? [];
  }
}

function* devices({ machine }: MonitorContext): Generator<string> {
  const all = machine.plan.devices;
  const width = Math.max(0, ...all.map(({ name }) => name.length));
  for (const { name, plugin } of all) {
    yield `${name.padEnd(width)}  ${plugin.name} ${plugin.version}` +
      (plugin.description === undefined ? "" : `  ${plugin.description}`);
  }
}

/** A device's state, or a part of it. */
function state({ machine }: MonitorContext, args: Arguments): string {
  const path = args.text("path")!;
  const [name, ...keys] = path.split(".");
  const planned = machine.plan.devices.find((one) => one.name === name);
  if (planned === undefined) {
    throw new MonitorError(`there is no device "${name}"`);
  }
  const value = valueAt(machine.device(name).save(), keys);
  if (value === undefined) {
    throw new MonitorError(`there is no "${keys.join(".")}" in "${name}"`);
  }
  return lines(stateLines(path, value));
}

/** What may follow `info device`: names, and the paths of their records. */
function* statePaths({ machine }: MonitorContext): Generator<string> {
  for (const { name } of machine.plan.devices) {
    yield name;
    for (const key of Object.keys(machine.device(name).save())) {
      yield `${name}.${key}`;
    }
  }
}

/** A device with what it stands on, is wired to and where it is. */
function* deviceTree(
  device: PlannedDevice,
  all: readonly PlannedDevice[],
  depth: number,
): Generator<string> {
  const indent = "  ".repeat(depth);
  yield `${indent}dev: ${device.plugin.name}, id "${device.name}"`;
  const config = device.config;
  if (typeof config === "object" && config !== null) {
    for (const [key, value] of Object.entries(config)) {
      yield `${indent}  ${key} = ${JSON.stringify(value)}`;
    }
  }
  for (const [role, name] of device.use) {
    if (role !== "bus") yield `${indent}  ${role}: ${name}`;
  }
  for (const [role, name] of device.backends) {
    yield `${indent}  ${role}: ${name}`;
  }
  for (const [output, inputs] of device.wires) {
    yield `${indent}  ${output} -> ${inputs.join(", ")}`;
  }
  for (const [name, { space, base, size }] of device.regions) {
    const digits = space === "ports" ? 4 : 8;
    yield `${indent}  ${name}: ${space} ${
      base.toString(16).padStart(digits, "0")
    }/${size.toString(16).padStart(digits, "0")}`;
  }
  const children = all.filter(({ use }) => use.get("bus") === device.name);
  if (children.length === 0) return;
  yield `${indent}  bus: ${device.name}.0`;
  for (const child of children) yield* deviceTree(child, all, depth + 2);
}

function* tree({ machine }: MonitorContext): Generator<string> {
  const all = machine.plan.devices;
  yield "bus: main-system-bus";
  for (const device of all) {
    if (!device.use.has("bus")) yield* deviceTree(device, all, 1);
  }
}

/** The functions on all PCI buses. */
function* pci({ machine }: MonitorContext): Generator<string> {
  for (const { name, plugin } of machine.plan.devices) {
    if (!plugin.provides?.includes("pci-bus")) continue;
    const host = machine.device(name) as Device & PciHost;
    for (const listed of host.functions?.() ?? []) yield* pciLines(listed);
  }
}

/** How often each line has risen. */
function* interrupts({ machine }: MonitorContext): Generator<string> {
  for (const { name, plugin } of machine.plan.devices) {
    const counts = machine.device(name).interruptCounts?.();
    if (counts === undefined) continue;
    yield `IRQ statistics for ${plugin.name}:`;
    for (const [line, count] of counts.entries()) {
      if (count > 0) yield `${`${line}`.padStart(2)}: ${count}`;
    }
  }
}

function* mice({ machine }: MonitorContext): Generator<string> {
  let number = 0;
  for (const { plugin, name } of machine.plan.devices) {
    if (!/mouse|tablet/.test(plugin.name)) continue;
    yield `${number === 0 ? "*" : " "} Mouse #${number++}: ${
      plugin.description ?? plugin.name
    } (${name})`;
  }
  if (number === 0) yield "No mouse devices connected";
}

/** The local APIC of a CPU: the chosen one's, unless an ID is given. */
function localApic(context: MonitorContext, args: Arguments): string {
  const all = context.machine.plan.devices.filter(({ plugin }) =>
    plugin.name === "lapic"
  );
  const id = Number(args.integer("apic-id") ?? BigInt(context.cpu));
  const planned = all[id];
  if (planned === undefined) {
    throw new MonitorError(
      all.length === 0
        ? "the machine has no local APIC"
        : `there is no local APIC ${id}`,
    );
  }
  const text = lines(context.machine.device(planned.name).describe?.() ?? []);
  return `dumping local APIC state for CPU ${id} \n\n${text}`;
}

/** `info` of devices. */
export const INFO_DEVICES: readonly Command[] = [
  {
    name: "devices",
    help: "show the devices, by their names in the machine's definition",
    run: (context) => lines(devices(context)),
  },
  {
    name: "device",
    args: "path:s",
    params: "name[.path]",
    help: "show the state of a device, or a part of it, as 'info device " +
      "pic.master.IMR'",
    run: state,
    words: statePaths,
  },
  {
    name: "qtree",
    help: "show device tree",
    run: (context) => lines(tree(context)),
  },
  {
    name: "pci",
    help: "show PCI info",
    run: (context) => lines(pci(context)),
  },
  {
    name: "pic",
    help: "show PIC state",
    run: (context) =>
      lines([...described(context, "ioapic"), ...described(context, "i8259")]),
  },
  {
    name: "ioapic",
    help: "show I/O APIC state",
    run: (context) => lines(described(context, "ioapic")),
  },
  {
    name: "lapic",
    args: "apic-id:i?",
    params: "[apic-id]",
    help: "show local apic state (apic-id: local apic to read, default is " +
      "which of current CPU)",
    run: localApic,
  },
  {
    name: "irq",
    help: "show the interrupts statistics (if available)",
    run: (context) => lines(interrupts(context)),
  },
  {
    name: "mice",
    help: "show which guest mouse is receiving events",
    run: (context) => lines(mice(context)),
  },
];
