/**
 * Checks of a machine's parts against each other.
 *
 * @module
 */

import { cpuName } from "./several_cpus.ts";
import { AddressSpace, RegionError } from "../bus/address_space.ts";
import type { MachineDefinition } from "./definition.ts";
import { at, type DefinitionError, type Located } from "./document.ts";
import type {
  PlannedBackend,
  PlannedDevice,
  PlannedMemoryRegion,
  PlannedRegion,
} from "./plan_types.ts";
import type { CpuPlugin } from "./plugin.ts";
import type { DocumentPath } from "./schema.ts";

/** Lines of the machine itself that devices may drive. */
const MACHINE_LINES = ["reset", "poweroff"];
/** Lines that every CPU receives. */
const CPU_LINES = ["intr", "nmi", "reset", "init"];

/** What checks say mistakes with. */
export interface PlanReport {
  /** The definition as it was written. */
  readonly document: Located;
  /** The error of a mistake at a path. */
  error(path: DocumentPath, message: string): DefinitionError;
  /** Throws unless `name`, which says `what`, is among `names`. */
  known(
    path: DocumentPath,
    what: string,
    name: string,
    names: Iterable<string>,
  ): void;
}

/** Collaborators that are there and provide what is asked of them. */
export function checkUses(
  report: PlanReport,
  device: PlannedDevice,
  all: readonly PlannedDevice[],
): void {
  for (const [role, name] of device.use) {
    const path = ["devices", device.name, "use", role];
    report.known(path, "device", name, all.map((d) => d.name));
    const contract = device.plugin.uses![role];
    const other = all.find((d) => d.name === name)!;
    if (!other.plugin.provides?.includes(contract)) {
      throw report.error(
        path,
        `device "${name}" (${other.plugin.name}) does not provide ` +
          `"${contract}"`,
      );
    }
  }
}

/** A backend stands behind one device; of an input each gets all events. */
export function checkShared(
  report: PlanReport,
  devices: readonly PlannedDevice[],
): void {
  const taken = new Map<string, string>();
  for (const { name: device, plugin, backends } of devices) {
    for (const [role, name] of backends) {
      if (plugin.backends![role].type === "input") continue;
      const other = taken.get(name);
      if (other !== undefined) {
        throw report.error(
          ["devices", device, "backends", role],
          `backend "${name}" also stands behind device "${other}"`,
        );
      }
      taken.set(name, device);
    }
  }
}

/** Captures are of networks, each in a file of its own. */
export function checkCaptures(
  report: PlanReport,
  backends: readonly PlannedBackend[],
): void {
  const taken = new Map<string, string>();
  for (const { name, plugin, pcap } of backends) {
    if (pcap === undefined) continue;
    const path = ["backends", name, "pcap"];
    if (plugin.type !== "net") {
      throw report.error(
        path,
        `backend "${name}" is a ${plugin.type} backend: only the frames of a ` +
          `network can be captured`,
      );
    }
    const other = taken.get(pcap);
    if (other !== undefined) {
      throw report.error(
        path,
        `the frames of "${other}" are already captured to "${pcap}"`,
      );
    }
    taken.set(pcap, name);
  }
}

/** A backend that draws on the whole terminal has it alone. */
export function checkTerminal(
  report: PlanReport,
  backends: readonly PlannedBackend[],
): void {
  const screen = backends.find((b) => b.plugin.terminal === "screen");
  if (screen === undefined) return;
  for (const { name, plugin } of backends) {
    if (plugin.terminal === undefined || name === screen.name) continue;
    throw report.error(
      ["backends", name],
      `backends "${screen.name}" (${screen.plugin.name}) and "${name}" ` +
        `(${plugin.name}) both want this terminal: connect one of them ` +
        `elsewhere` +
        (/^serial\d+$/.test(name) ? ", as with --serial null" : ""),
    );
  }
}

/** Devices in an order in which each comes after those it uses. */
export function orderDevices(
  report: PlanReport,
  devices: readonly PlannedDevice[],
): PlannedDevice[] {
  const done = new Set<PlannedDevice>();
  const visit = (device: PlannedDevice, from: readonly string[]): void => {
    if (done.has(device)) return;
    if (from.includes(device.name)) {
      throw report.error(
        ["devices", device.name, "use"],
        `devices use each other: ${[...from, device.name].join(" -> ")}`,
      );
    }
    for (const name of device.use.values()) {
      visit(devices.find((d) => d.name === name)!, [...from, device.name]);
    }
    done.add(device);
  };
  for (const device of devices) visit(device, []);
  return [...done];
}

/** Whose word a memory's size is, for messages, if it is an option's. */
export function sizeOption(document: Located, memory: string): string {
  const { place } = at(document, ["memories", memory, "size"]);
  return place.file.startsWith("--") ? `, by ${place.file}` : "";
}

/** Regions that are empty, do not fit or overlap. */
export function checkSpaces(
  report: PlanReport,
  definition: MachineDefinition,
  memory: readonly PlannedMemoryRegion[],
  devices: readonly PlannedDevice[],
): void {
  const trial = new Map<string, AddressSpace>();
  for (const [name, { size }] of Object.entries(definition.spaces)) {
    if (!(size > 0)) {
      throw report.error(["spaces", name, "size"], `space "${name}" is empty`);
    }
    trial.set(name, new AddressSpace(name, size));
  }
  const paths = new Map<string, DocumentPath>();
  const place = (region: PlannedRegion, path: DocumentPath): void => {
    paths.set(`${region.space} ${region.name}`, path);
    try {
      trial.get(region.space)!.add({ ...region, kind: "io" });
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
      const other = error.regions[1];
      const otherPath = paths.get(`${region.space} ${other}`);
      const line = otherPath && at(report.document, otherPath).place.line;
      const where = line === undefined ? "" : ` (line ${line})`;
      const by = memory.find(({ space, name }) =>
        space === region.space && error.regions.includes(name)
      );
      const option = by === undefined
        ? ""
        : sizeOption(report.document, by.memory);
      throw report.error(path, `${error.message}${where}${option}`);
    }
  };
  for (const region of memory) {
    place(region, ["spaces", region.space, "regions", region.name]);
  }
  for (const device of devices) {
    for (const [name, region] of device.regions) {
      place(region, ["devices", device.name, "at", name]);
    }
  }
}

/** The device that gives interrupt vectors can. */
export function checkInterrupts(
  report: PlanReport,
  { cpu }: MachineDefinition,
  devices: readonly PlannedDevice[],
): void {
  const { intc } = cpu;
  if (intc === undefined) return;
  const path = ["cpu", "intc"];
  report.known(path, "device", intc, devices.map((d) => d.name));
  const { plugin } = devices.find((d) => d.name === intc)!;
  if (!plugin.provides?.includes("interrupt-controller")) {
    throw report.error(
      path,
      `device "${intc}" (${plugin.name}) is no interrupt controller`,
    );
  }
}

/** Wires that lead nowhere, and lines with two drivers. */
export function checkLines(
  report: PlanReport,
  definition: MachineDefinition,
  devices: readonly PlannedDevice[],
  cpu: CpuPlugin,
  cpuWires: ReadonlyMap<string, readonly string[]>,
): void {
  const inputs = new Map<string, readonly string[]>([
    ["machine", MACHINE_LINES],
    ["cpu", [...CPU_LINES, ...cpu.inputs ?? []]],
  ]);
  for (let i = 1; i < definition.cpu.count; i++) {
    inputs.set(cpuName(i), inputs.get("cpu")!);
  }
  for (const device of devices) {
    inputs.set(device.name, device.declared.inputs ?? []);
  }
  const drivers = new Map<string, string>();
  const sources = [
    { name: "cpu", path: ["cpu"], wires: cpuWires },
    ...devices.map(({ name, wires }) => ({
      name,
      path: ["devices", name],
      wires,
    })),
  ];
  for (const source of sources) {
    for (const [output, targets] of source.wires) {
      const path = [...source.path, "wires", output];
      for (const target of targets) {
        const [owner, input] = target.split(".");
        report.known(path, "device", owner, inputs.keys());
        report.known(path, `input of "${owner}"`, input, inputs.get(owner)!);
        const driver = `${source.name}.${output}`;
        const other = drivers.get(target);
        if (other !== undefined && !definition.lines[target]) {
          throw report.error(
            path,
            `"${target}" has two drivers, "${other}" and "${driver}": wire ` +
              `one of them, or join them by "lines": {"${target}": "or"}`,
          );
        }
        drivers.set(target, driver);
      }
    }
  }
  for (const target of Object.keys(definition.lines)) {
    report.known(["lines", target], "driven line", target, drivers.keys());
  }
}
