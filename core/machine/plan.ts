/**
 * From a machine definition to a plan: every check that can be made before any
 * guest code runs is made here. A plan holds plugins, complete configurations
 * and resolved places; `machine.ts` builds it.
 *
 * @module
 */

import { MACHINE_SCHEMA, type MachineDefinition } from "./definition.ts";
import {
  at,
  DefinitionError,
  type Located,
  merge,
  toJson,
} from "./document.ts";
import { displayProblem } from "./displays.ts";
import { bootOrderProblem, driveProblem } from "./drives.ts";
import { suggest } from "./nearest.ts";
import { nicProblem } from "./nics.ts";
import { formatSize, parseAddress } from "./numbers.ts";
import { resolve } from "./path.ts";
import {
  inheritConfig,
  objectAt,
  pathOfFile,
  type PlannedFile,
} from "./plan_device.ts";
import {
  checkCaptures,
  checkInterrupts,
  checkLines,
  checkShared,
  checkSpaces,
  checkUses,
  orderDevices,
  type PlanReport,
} from "./plan_checks.ts";
import {
  BACKEND_TYPES,
  type MachinePlan,
  type PlannedBackend,
  type PlannedDevice,
  type PlannedMemory,
  type PlannedMemoryRegion,
  type PlannedRegion,
} from "./plan_types.ts";
import {
  type BackendPlugin,
  type BackendSpec,
  ConfigError,
  type CpuPlugin,
  type DeviceDeclaration,
  type DevicePlugin,
  type LoaderPlugin,
  type Plugin,
  type RegionSpec,
} from "./plugin.ts";
import {
  loadPlugin,
  PluginError,
  type PluginTable,
  type PluginType,
} from "./registry.ts";
import { checkSchema, type DocumentPath } from "./schema.ts";
import type { ConfigSchema } from "./schema_types.ts";

/** How to plan. */
export interface PlanOptions {
  /** The plugins that have names. */
  readonly plugins: PluginTable;
  /** Documents laid over the definition, in this order. */
  readonly overlays?: readonly Located[];
  /** Do not look whether files exist; for `schema` and `resolve`. */
  readonly skipFiles?: boolean;
}

/** Check a definition; throws a `DefinitionError` for the first mistake. */
export function planMachine(
  document: Located,
  options: PlanOptions,
): Promise<MachinePlan> {
  let merged = document;
  for (const overlay of options.overlays ?? []) merged = merge(merged, overlay);
  return new Planner(merged, options).plan();
}

class Planner implements PlanReport {
  /** The definition as it was written. */
  document: Located;
  readonly #options: PlanOptions;
  /** Where values of devices' configurations were written, if elsewhere. */
  readonly #origins = new Map<string, ReadonlyMap<string, DocumentPath>>();
  /** Set by `plan` before anything reads it. */
  #definition!: MachineDefinition;
  /** Sizes of memories by name, once they are planned. */
  #memorySizes: ReadonlyMap<string, number> = new Map();

  constructor(document: Located, options: PlanOptions) {
    this.document = document;
    this.#options = options;
  }

  /** See `PlanReport`. */
  error(path: DocumentPath, message: string): DefinitionError {
    const { place } = at(this.document, path);
    const [top, device, config, key, ...rest] = path;
    const origin = top === "devices" && config === "config"
      ? this.#origins.get(String(device))?.get(String(key))
      : undefined;
    const written = origin === undefined ? path : [...origin, ...rest];
    return new DefinitionError(place, written, message);
  }

  #check(schema: ConfigSchema, value: unknown, path: DocumentPath): unknown {
    const { value: result, issues } = checkSchema(schema, value, path, {
      resolvePath: (relative, where) =>
        resolve(at(this.document, where).place.directory, relative),
      // Values from the command line have no line.
      memories: this.#memorySizes,
      isUnquoted: (where) => at(this.document, where).place.line === undefined,
    });
    if (issues.length > 0) {
      // The first in the file, so that mistakes are met in reading order.
      const [first] = issues.map((issue) => ({
        issue,
        line: at(this.document, issue.path).place.line ?? 0,
      })).sort((a, b) => a.line - b.line);
      throw this.error(first.issue.path, first.issue.message);
    }
    return result;
  }

  /** See `PlanReport`. */
  known(
    path: DocumentPath,
    what: string,
    name: string,
    names: Iterable<string>,
  ): void {
    const known = [...names];
    if (known.includes(name)) return;
    throw this.error(
      path,
      `there is no ${what} "${name}"${suggest(name, known)}`,
    );
  }

  async #plugin<P extends Plugin>(
    types: readonly PluginType[],
    name: string,
    path: DocumentPath,
  ): Promise<P> {
    const { directory } = at(this.document, path).place;
    try {
      const table = this.#options.plugins;
      return await loadPlugin(types, name, directory, table) as P;
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      throw this.error(path, error.message);
    }
  }

  async #needFile(file: string, path: DocumentPath): Promise<number> {
    if (this.#options.skipFiles) return 0;
    let info: Deno.FileInfo;
    try {
      info = await Deno.stat(file);
    } catch (error) {
      const reason = error instanceof Deno.errors.NotFound
        ? "there is no such file"
        : error instanceof Error
        ? error.message
        : String(error);
      throw this.error(path, `cannot read "${file}": ${reason}`);
    }
    if (info.isDirectory) {
      throw this.error(path, `"${file}" is a directory, expected a file`);
    }
    return info.size;
  }

  async #isThere(file: string): Promise<boolean> {
    try {
      await Deno.stat(file);
      return true;
    } catch (error) {
      // What else is wrong is said where the file is needed.
      return !(error instanceof Deno.errors.NotFound);
    }
  }

  async plan(): Promise<MachinePlan> {
    this.#definition = this.#check(
      MACHINE_SCHEMA,
      toJson(this.document),
      [],
    ) as MachineDefinition;
    const { cpu, cpuConfig } = await this.#planCpu();
    const memories = await this.#planMemories();
    this.#memorySizes = new Map(memories.map((m) => [m.name, m.size]));
    const regions = this.#planRegions(memories);
    const backends = await this.#planBackends();
    const devices = orderDevices(this, await this.#planDevices(backends));
    this.#checkShortForms(devices);
    checkSpaces(this, this.#definition, regions, devices);
    checkInterrupts(this, this.#definition, devices);
    const cpuWires = this.#wires(
      ["cpu"],
      this.#definition.cpu.wires,
      cpu.outputs ?? [],
    );
    checkLines(this, this.#definition, devices, cpu, cpuWires);
    const loaders = await this.#planBoot();
    return {
      definition: this.#definition,
      document: this.document,
      cpu,
      cpuConfig,
      cpuWires,
      memories,
      regions,
      devices,
      backends,
      loaders,
    };
  }

  async #planCpu(): Promise<{ cpu: CpuPlugin; cpuConfig: { model: string } }> {
    const spec = this.#definition.cpu;
    const cpu = await this.#plugin<CpuPlugin>(
      ["cpu"],
      spec.plugin,
      ["cpu", "plugin"],
    );
    const model = spec.model ?? cpu.models[0];
    this.known(["cpu", "model"], "CPU model", model, cpu.models);
    const config = this.#check(
      cpu.config ?? { type: "object" },
      spec.config ?? {},
      ["cpu", "config"],
    ) as Record<string, unknown>;
    const spaces = Object.keys(this.#definition.spaces);
    this.known(["cpu", "physical"], "space", spec.physical, spaces);
    if (spec.ports !== undefined) {
      this.known(["cpu", "ports"], "space", spec.ports, spaces);
    }
    return { cpu, cpuConfig: { ...config, model } };
  }

  async #planMemories(): Promise<PlannedMemory[]> {
    const planned: PlannedMemory[] = [];
    for (const [name, spec] of Object.entries(this.#definition.memories)) {
      const path = ["memories", name];
      let size = spec.size;
      if (spec.file !== undefined) {
        const bytes = await this.#needFile(spec.file, [...path, "file"]);
        size ??= bytes;
        if (bytes > size) {
          throw this.error(
            [...path, "file"],
            `"${spec.file}" has ${bytes} bytes, more than the memory's ${size}`,
          );
        }
      }
      if (size === undefined) {
        throw this.error(path, 'the key "size" is missing');
      }
      if (size === 0 && !this.#options.skipFiles) {
        throw this.error([...path, "size"], `memory "${name}" is empty`);
      }
      planned.push({ name, kind: spec.kind, size, file: spec.file });
    }
    return planned;
  }

  #planRegions(memories: readonly PlannedMemory[]): PlannedMemoryRegion[] {
    const planned: PlannedMemoryRegion[] = [];
    for (const [space, spec] of Object.entries(this.#definition.spaces)) {
      for (const [name, region] of Object.entries(spec.regions)) {
        const path = ["spaces", space, "regions", name];
        const memory = memories.find((m) => m.name === region.memory);
        if (memory === undefined) {
          const names = memories.map((m) => m.name);
          this.known([...path, "memory"], "memory", region.memory, names);
          continue;
        }
        let size = region.size;
        if (size === undefined) {
          // "The rest" of a memory that ends before is no region at all.
          if (memory.size <= region.offset) continue;
          size = memory.size - region.offset;
        }
        if (region.offset + size > memory.size) {
          throw this.error(
            path,
            `region "${name}" needs ${formatSize(region.offset + size)} of ` +
              `memory "${memory.name}", which has ${formatSize(memory.size)}`,
          );
        }
        planned.push({
          name,
          space,
          base: region.at,
          size,
          priority: region.priority,
          memory: memory.name,
          offset: region.offset,
        });
      }
    }
    return planned;
  }

  async #planBackends(): Promise<PlannedBackend[]> {
    const planned: PlannedBackend[] = [];
    for (const [name, spec] of Object.entries(this.#definition.backends)) {
      const path = ["backends", name];
      const plugin = await this.#plugin<BackendPlugin>(
        BACKEND_TYPES,
        spec.plugin,
        [...path, "plugin"],
      );
      const config = this.#check(
        plugin.config ?? { type: "object" },
        spec.config ?? {},
        [...path, "config"],
      );
      if (plugin.check !== undefined && !this.#options.skipFiles) {
        const [problem] = await plugin.check(config);
        if (problem !== undefined) {
          throw this.error([...path, "config"], problem);
        }
      }
      planned.push({ name, plugin, config, pcap: spec.pcap });
    }
    this.#checkTerminal(planned);
    checkCaptures(this, planned);
    return planned;
  }

  /** A backend that draws on the whole terminal has it alone. */
  #checkTerminal(backends: readonly PlannedBackend[]): void {
    const screen = backends.find((b) => b.plugin.terminal === "screen");
    if (screen === undefined) return;
    for (const { name, plugin } of backends) {
      if (plugin.terminal === undefined || name === screen.name) continue;
      throw this.error(
        ["backends", name],
        `backends "${screen.name}" (${screen.plugin.name}) and "${name}" ` +
          `(${plugin.name}) both want this terminal: connect one of them ` +
          `elsewhere` +
          (/^serial\d+$/.test(name) ? ", as with --serial null" : ""),
      );
    }
  }

  async #planDevices(
    backends: readonly PlannedBackend[],
  ): Promise<PlannedDevice[]> {
    const planned: PlannedDevice[] = [];
    const { devices } = this.#definition;
    for (const [name, spec] of Object.entries(devices)) {
      const path = ["devices", name];
      if (name === "cpu" || name === "machine" || name.includes(".")) {
        throw this.error(path, `a device cannot have the name "${name}"`);
      }
      const plugin = await this.#plugin<DevicePlugin>(
        ["device"],
        spec.plugin,
        [...path, "plugin"],
      );
      const config = this.#deviceConfig(name, plugin);
      const files = await this.#planFiles(name, plugin, config);
      const declared = this.#declare(path, plugin, config, files);
      planned.push({
        name,
        plugin,
        config,
        files,
        declared,
        regions: this.#place(path, name, spec.at, declared.regions ?? {}),
        wires: this.#wires(path, spec.wires, declared.outputs ?? []),
        use: this.#uses(path, spec.use, plugin.uses ?? {}),
        backends: this.#roles(
          path,
          spec.backends,
          plugin.backends ?? {},
          backends,
        ),
      });
    }
    for (const device of planned) checkUses(this, device, planned);
    checkShared(this, planned);
    return planned;
  }

  /** A device's configuration, with what it takes from the definition. */
  #deviceConfig(name: string, plugin: DevicePlugin): unknown {
    const path = ["devices", name, "config"];
    const inherited = inheritConfig(this.document, name, plugin.config);
    this.document = inherited.document;
    this.#origins.set(name, inherited.origins);
    return this.#check(
      plugin.config ?? { type: "object" },
      objectAt(this.document, path),
      path,
    );
  }

  async #planFiles(
    device: string,
    plugin: DevicePlugin,
    config: unknown,
  ): Promise<Map<string, PlannedFile>> {
    const planned = new Map<string, PlannedFile>();
    for (const [name, file] of Object.entries(plugin.files?.(config) ?? {})) {
      const { path } = file;
      let size: number | undefined;
      const isNeeded = !this.#options.skipFiles &&
        (!file.optional || await this.#isThere(path));
      if (isNeeded) {
        const where = pathOfFile(config, file);
        size = await this.#needFile(
          path,
          ["devices", device, "config", ...where],
        );
      }
      planned.set(name, { path, size });
    }
    return planned;
  }

  /** What a device declares; its refusal is an error in the definition. */
  #declare(
    path: DocumentPath,
    plugin: DevicePlugin,
    config: unknown,
    files: ReadonlyMap<string, PlannedFile>,
  ): DeviceDeclaration {
    const sizes: Record<string, number> = {};
    for (const [name, { size }] of files) {
      if (size !== undefined) sizes[name] = size;
    }
    const { regions, outputs, inputs } = plugin;
    try {
      const declared = plugin.declare?.(config, sizes);
      return { regions, outputs, inputs, ...declared };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw this.error([...path, "config", error.key], error.message);
    }
  }

  /** Where a device's regions sit. */
  #place(
    device: DocumentPath,
    name: string,
    spec: unknown,
    regions: Readonly<Record<string, RegionSpec>>,
  ): Map<string, PlannedRegion> {
    const path = [...device, "at"];
    const names = Object.keys(regions);
    let given: Record<string, unknown>;
    let single = false;
    if (spec === undefined) {
      given = {};
    } else if (typeof spec === "object" && spec !== null) {
      given = spec as Record<string, unknown>;
    } else {
      if (names.length !== 1) {
        throw this.error(
          path,
          names.length === 0
            ? "the device has no regions"
            : `the device has ${names.length} regions: expected an object ` +
              `with the keys ${names.map((n) => `"${n}"`).join(", ")}`,
        );
      }
      given = { [names[0]]: spec };
      single = true;
    }
    for (const key of Object.keys(given)) {
      this.known([...path, key], "region", key, names);
    }
    const placed = new Map<string, PlannedRegion>();
    for (const [region, declared] of Object.entries(regions)) {
      const where = single ? path : [...path, region];
      if (declared.movable) {
        if (given[region] !== undefined) {
          throw this.error(where, `region "${region}" is placed by the guest`);
        }
        const spaces = Object.keys(this.#definition.spaces);
        this.known(device, "space", declared.space, spaces);
        continue;
      }
      const value = given[region] ?? declared.at;
      if (value === undefined) {
        if (declared.optional) continue;
        throw this.error(
          spec === undefined ? device : path,
          `the address of region "${region}" is missing`,
        );
      }
      const long = typeof value === "object" && value !== null
        ? this.#check(LONG_PLACE, value, where) as {
          space?: string;
          base: number;
          priority: number;
        }
        : { base: parseAddress(value), priority: 0, space: undefined };
      if (long.base === undefined) {
        throw this.error(
          where,
          `expected an address such as 1016 or "0x3f8", not ` +
            JSON.stringify(value),
        );
      }
      const space = long.space ?? declared.space;
      this.known(
        long.space === undefined ? where : [...where, "space"],
        "space",
        space,
        Object.keys(this.#definition.spaces),
      );
      placed.set(region, {
        name: names.length === 1 ? name : `${name}.${region}`,
        space,
        base: long.base,
        size: declared.size,
        priority: long.priority,
      });
    }
    return placed;
  }

  #wires(
    owner: DocumentPath,
    spec: Readonly<Record<string, unknown>>,
    outputs: readonly string[],
  ): Map<string, string[]> {
    const wires = new Map<string, string[]>();
    for (const [output, value] of Object.entries(spec)) {
      const path = [...owner, "wires", output];
      this.known(path, "output", output, outputs);
      const targets = Array.isArray(value) ? value : [value];
      for (const target of targets) {
        if (typeof target !== "string" || !/^[^.]+\.[^.]+$/.test(target)) {
          throw this.error(
            path,
            `expected "device.input" or a list of them, not ` +
              JSON.stringify(target),
          );
        }
      }
      wires.set(output, targets as string[]);
    }
    return wires;
  }

  #uses(
    device: DocumentPath,
    spec: Readonly<Record<string, string>>,
    roles: Readonly<Record<string, string>>,
  ): Map<string, string> {
    for (const role of Object.keys(spec)) {
      this.known([...device, "use", role], "role", role, Object.keys(roles));
    }
    for (const role of Object.keys(roles)) {
      if (spec[role] === undefined) {
        throw this.error(
          device,
          `the collaborator "${role}" is missing in "use"`,
        );
      }
    }
    return new Map(Object.entries(spec));
  }

  #roles(
    device: DocumentPath,
    spec: Readonly<Record<string, string>>,
    roles: Readonly<Record<string, BackendSpec>>,
    backends: readonly PlannedBackend[],
  ): Map<string, string> {
    for (const [role, name] of Object.entries(spec)) {
      const path = [...device, "backends", role];
      this.known(path, "backend role", role, Object.keys(roles));
      this.known(path, "backend", name, backends.map((b) => b.name));
      const { plugin } = backends.find((b) => b.name === name)!;
      const { type } = roles[role];
      const isInput = type === "input" && plugin.type === "display";
      if (plugin.type !== type && !isInput) {
        throw this.error(
          path,
          `backend "${name}" is a ${plugin.type} backend, expected ` +
            `${type === "input" ? "an" : "a"} ${type} backend`,
        );
      }
    }
    for (const [role, { type, optional }] of Object.entries(roles)) {
      if (spec[role] === undefined && !optional && type !== "char") {
        throw this.error(
          device,
          `the ${type} backend "${role}" is missing in "backends"`,
        );
      }
    }
    return new Map(Object.entries(spec));
  }

  #checkShortForms(devices: readonly PlannedDevice[]): void {
    const roles = new Map(devices.map(({ name, plugin }) => {
      const all = Object.entries(plugin.backends ?? {});
      const block = all.filter(([, { type }]) => type === "block");
      return [name, block.map(([role]) => role)];
    }));
    const displays = Object.keys(this.#options.plugins.display ?? {});
    const problem = driveProblem(this.#definition, roles) ??
      nicProblem(this.#definition) ??
      displayProblem(this.#definition, displays);
    if (problem !== undefined) throw this.error(problem.path, problem.message);
  }

  async #planBoot(): Promise<LoaderPlugin[]> {
    const { boot } = this.#definition;
    const problem = boot.order === undefined
      ? undefined
      : bootOrderProblem(boot.order);
    if (problem !== undefined) throw this.error(["boot", "order"], problem);
    const loaders: LoaderPlugin[] = [];
    for (const [i, name] of boot.loaders.entries()) {
      const path = ["boot", "loaders", i];
      loaders.push(await this.#plugin<LoaderPlugin>(["loader"], name, path));
    }
    if (boot.kernel !== undefined) {
      await this.#needFile(boot.kernel, ["boot", "kernel"]);
    }
    if (boot.initrd !== undefined) {
      await this.#needFile(boot.initrd, ["boot", "initrd"]);
    }
    for (const [i, module] of (boot.modules ?? []).entries()) {
      await this.#needFile(module.file, ["boot", "modules", i, "file"]);
    }
    if (boot.kernel !== undefined && loaders.length === 0) {
      throw this.error(
        ["boot", "kernel"],
        'this machine has no "loaders" for a kernel',
      );
    }
    return loaders;
  }
}

/** The long form of a region's place. */
const LONG_PLACE: ConfigSchema = {
  type: "object",
  required: ["base"],
  properties: {
    space: { type: "string" },
    base: { format: "address" },
    priority: { type: "integer", default: 0 },
  },
};
