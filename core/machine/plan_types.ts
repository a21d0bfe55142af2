/**
 * A machine as it is to be built: what `planMachine` makes of a definition.
 *
 * @module
 */

import type { MachineDefinition } from "./definition.ts";
import type { Located } from "./document.ts";
import type { PlannedFile } from "./plan_device.ts";
import type {
  BackendPlugin,
  CpuPlugin,
  DeviceDeclaration,
  DevicePlugin,
  LoaderPlugin,
} from "./plugin.ts";

/** Backend plugins' types. */
export const BACKEND_TYPES: readonly BackendPlugin["type"][] = [
  "char",
  "block",
  "net",
  "display",
  "input",
];

/** A region of memory in a space. */
export interface PlannedRegion {
  /** Its full name, for messages. */
  readonly name: string;
  /** The space it is in. */
  readonly space: string;
  /** Its first address. */
  readonly base: number;
  /** Its size. */
  readonly size: number;
  /** A higher one shadows lower ones. */
  readonly priority: number;
}

/** Memory placed in a space. */
export interface PlannedMemoryRegion extends PlannedRegion {
  /** The memory's name. */
  readonly memory: string;
  /** Where in it the region starts. */
  readonly offset: number;
}

/** A RAM or ROM. */
export interface PlannedMemory {
  /** Its name. */
  readonly name: string;
  /** What it is. */
  readonly kind: "ram" | "rom";
  /** Its size. */
  readonly size: number;
  /** What it contains at first. */
  readonly file: string | undefined;
}

/** A device. */
export interface PlannedDevice {
  /** Its name. */
  readonly name: string;
  /** Its plugin. */
  readonly plugin: DevicePlugin;
  /** Its complete configuration. */
  readonly config: unknown;
  /** The host's files that it is given, by name. */
  readonly files: ReadonlyMap<string, PlannedFile>;
  /** What it declares. */
  readonly declared: DeviceDeclaration;
  /** Its regions that are placed, by name. */
  readonly regions: ReadonlyMap<string, PlannedRegion>;
  /** What its outputs drive: `device.input`, by output. */
  readonly wires: ReadonlyMap<string, readonly string[]>;
  /** Its collaborators' names, by role. */
  readonly use: ReadonlyMap<string, string>;
  /** Its backends' names, by role. */
  readonly backends: ReadonlyMap<string, string>;
}

/** A backend. */
export interface PlannedBackend {
  /** Its name. */
  readonly name: string;
  /** Its plugin. */
  readonly plugin: BackendPlugin;
  /** Its complete configuration. */
  readonly config: unknown;
  /** For a network: the file to which its frames are captured. */
  readonly pcap: string | undefined;
}

/** A machine that has passed all checks. */
export interface MachinePlan {
  /** The definition, complete. */
  readonly definition: MachineDefinition;
  /** The definition as it was written, merged. */
  readonly document: Located;
  /** The CPU's plugin. */
  readonly cpu: CpuPlugin;
  /** The CPU's complete configuration, the model included. */
  readonly cpuConfig: { readonly model: string };
  /** What the CPU's outputs drive: `device.input`, by output. */
  readonly cpuWires: ReadonlyMap<string, readonly string[]>;
  /** RAM and ROM. */
  readonly memories: readonly PlannedMemory[];
  /** Where they are placed. */
  readonly regions: readonly PlannedMemoryRegion[];
  /** Devices, each after those it uses. */
  readonly devices: readonly PlannedDevice[];
  /** Backends. */
  readonly backends: readonly PlannedBackend[];
  /** Loader plugins, in the order in which they are asked. */
  readonly loaders: readonly LoaderPlugin[];
}

/** Whether there is anything in ROM: a CPU starts there without a kernel. */
export function hasRom({ memories, devices }: MachinePlan): boolean {
  return memories.some(({ file }) => file !== undefined) ||
    devices.some(({ regions, declared }) =>
      [...regions.keys()].some((name) => declared.regions![name].kind === "rom")
    );
}

/** Whether a device has a picture. */
export function hasScreen({ devices }: MachinePlan): boolean {
  return devices.some(({ plugin }) =>
    plugin.provides?.includes("picture-source")
  );
}
