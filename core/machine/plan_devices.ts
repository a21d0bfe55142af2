/**
 * Devices: their configurations and files, what they declare, and what they are
 * wired to.
 *
 * @module
 */

import { planRoles } from "./plan_backends.ts";
import { checkShared, checkUses } from "./plan_checks.ts";
import type { PlanContext } from "./plan_context.ts";
import {
  inheritConfig,
  objectAt,
  pathOfFile,
  type PlannedFile,
} from "./plan_device.ts";
import { placeRegions } from "./plan_regions.ts";
import type { PlannedBackend, PlannedDevice } from "./plan_types.ts";
import {
  ConfigError,
  type DeviceDeclaration,
  type DevicePlugin,
} from "./plugin.ts";
import type { DocumentPath } from "./schema.ts";

/** Devices, in the order of the definition. */
export async function planDevices(
  context: PlanContext,
  backends: readonly PlannedBackend[],
): Promise<PlannedDevice[]> {
  const planned: PlannedDevice[] = [];
  const { devices } = context.definition;
  for (const [name, spec] of Object.entries(devices)) {
    const path = ["devices", name];
    if (/^cpu\d*$|^machine$|\./.test(name)) {
      throw context.error(path, `a device cannot have the name "${name}"`);
    }
    const plugin = await context.plugin<DevicePlugin>(
      ["device"],
      spec.plugin,
      [...path, "plugin"],
    );
    const config = deviceConfig(context, name, plugin);
    const files = await planFiles(context, name, plugin, config);
    const declared = declare(context, path, plugin, config, files);
    planned.push({
      name,
      plugin,
      config,
      files,
      declared,
      regions: placeRegions(
        context,
        path,
        name,
        spec.at,
        declared.regions ?? {},
      ),
      wires: planWires(context, path, spec.wires, declared.outputs ?? []),
      use: planUses(context, path, spec.use, plugin.uses ?? {}),
      backends: planRoles(
        context,
        path,
        spec.backends,
        plugin.backends ?? {},
        backends,
      ),
    });
  }
  for (const device of planned) checkUses(context, device, planned);
  checkShared(context, planned);
  return planned;
}

/** A device's configuration, with what it takes from the definition. */
function deviceConfig(
  context: PlanContext,
  name: string,
  plugin: DevicePlugin,
): unknown {
  const path = ["devices", name, "config"];
  const inherited = inheritConfig(context.document, name, plugin.config);
  context.document = inherited.document;
  context.origins.set(name, inherited.origins);
  return context.check(
    plugin.config ?? { type: "object" },
    objectAt(context.document, path),
    path,
  );
}

async function planFiles(
  context: PlanContext,
  device: string,
  plugin: DevicePlugin,
  config: unknown,
): Promise<Map<string, PlannedFile>> {
  const planned = new Map<string, PlannedFile>();
  for (const [name, file] of Object.entries(plugin.files?.(config) ?? {})) {
    const { path } = file;
    let size: number | undefined;
    const isNeeded = !context.options.skipFiles &&
      (!file.optional || await context.isThere(path));
    if (isNeeded) {
      const where = pathOfFile(config, file);
      size = await context.needFile(
        path,
        ["devices", device, "config", ...where],
      );
    }
    planned.set(name, { path, size });
  }
  return planned;
}

/** What a device declares; its refusal is an error in the definition. */
function declare(
  context: PlanContext,
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
    throw context.error([...path, "config", error.key], error.message);
  }
}

/** What outputs drive. */
export function planWires(
  context: PlanContext,
  owner: DocumentPath,
  spec: Readonly<Record<string, unknown>>,
  outputs: readonly string[],
): Map<string, string[]> {
  const wires = new Map<string, string[]>();
  for (const [output, value] of Object.entries(spec)) {
    const path = [...owner, "wires", output];
    context.known(path, "output", output, outputs);
    const targets = Array.isArray(value) ? value : [value];
    for (const target of targets) {
      if (typeof target !== "string" || !/^[^.]+\.[^.]+$/.test(target)) {
        throw context.error(
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

function planUses(
  context: PlanContext,
  device: DocumentPath,
  spec: Readonly<Record<string, string>>,
  roles: Readonly<Record<string, string>>,
): Map<string, string> {
  for (const role of Object.keys(spec)) {
    context.known([...device, "use", role], "role", role, Object.keys(roles));
  }
  for (const role of Object.keys(roles)) {
    if (spec[role] === undefined) {
      throw context.error(
        device,
        `the collaborator "${role}" is missing in "use"`,
      );
    }
  }
  return new Map(Object.entries(spec));
}
