/**
 * Commands about the tree of objects and the types of devices: QEMU's
 * `qapi/qom.json` and `qdev.json`.
 *
 * @module
 */

import type { DevicePlugin } from "../../../machine/plugin.ts";
import { loadPlugin, PluginError } from "../../../machine/registry.ts";
import { action, type Command, type Monitor, query } from "../command.ts";
import { GenericError, noDevice, QmpError } from "../error.ts";
import { cpuType } from "../machine_names.ts";
import { type Node, objectTree, propertyType, resolvePath } from "../qom.ts";
import {
  any,
  bool,
  list,
  optional,
  str,
  struct,
  type ValueOf,
} from "../types.ts";
import { invalid } from "./run_state.ts";

const PropertyInfo = struct("ObjectPropertyInfo", {
  name: str,
  type: str,
  description: optional(str),
  "default-value": optional(any),
});

const TypeInfo = struct("ObjectTypeInfo", {
  name: str,
  abstract: optional(bool),
  parent: optional(str),
});

/** Types that are only there to be parents. */
const ABSTRACT: Readonly<Record<string, string | undefined>> = {
  object: undefined,
  device: "object",
  cpu: "device",
  machine: "object",
  chardev: "object",
};

function objectAt(monitor: Monitor, path: string): Node {
  const found = resolvePath(objectTree(monitor), path);
  if (found === "ambiguous") {
    throw new GenericError(`Path '${path}' is ambiguous`);
  }
  if (found === undefined) throw noDevice(path);
  return found;
}

/** All types, each with its parent. */
function typesOf({ machine: { plan }, parts }: Monitor): ValueOf<
  typeof TypeInfo
>[] {
  const { plugins } = parts.options;
  const devices = new Set([
    ...Object.keys(plugins.device ?? {}),
    ...plan.devices.map(({ plugin }) => plugin.name),
  ]);
  return [
    ...Object.entries(ABSTRACT).map(([name, parent]) => ({
      name,
      abstract: true,
      parent,
    })),
    { name: "container", parent: "object" },
    { name: `${plan.definition.name}-machine`, parent: "machine" },
    ...plan.cpu.models.map((model) => ({
      name: cpuType(plan, model),
      parent: "cpu",
    })),
    ...Object.keys(plugins.char ?? {}).map((name) => ({
      name: `chardev-${name}`,
      parent: "chardev",
    })),
    ...Array.from(devices, (name) => ({ name, parent: "device" })),
  ];
}

/** Whether a type is another one, or comes from it. */
function descends(
  name: string,
  from: string,
  parents: ReadonlyMap<string, string | undefined>,
): boolean {
  for (
    let at: string | undefined = name;
    at !== undefined;
    at = parents.get(at)
  ) {
    if (at === from) return true;
  }
  return false;
}

/** The plugin of a device's type, which is loaded for it. */
async function devicePlugin(
  { machine: { plan }, parts }: Monitor,
  name: string,
): Promise<DevicePlugin | undefined> {
  const used = plan.devices.find(({ plugin }) => plugin.name === name);
  if (used !== undefined) return used.plugin;
  const { plugins } = parts.options;
  // Names of modules to import are not a client's to give.
  if (!Object.hasOwn(plugins.device ?? {}, name)) return undefined;
  try {
    const place = { directory: "." };
    return await loadPlugin(["device"], name, place, plugins) as DevicePlugin;
  } catch (error) {
    if (error instanceof PluginError) throw new GenericError(error.message);
    throw error;
  }
}

async function deviceProperties(
  monitor: Monitor,
  typename: string,
): Promise<ValueOf<typeof PropertyInfo>[]> {
  const plugin = await devicePlugin(monitor, typename);
  if (plugin === undefined) {
    if (typesOf(monitor).some(({ name }) => name === typename)) {
      throw invalid("typename", "a non-abstract device type");
    }
    throw noDevice(typename);
  }
  const { properties = {} } = plugin.config ?? {};
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    type: propertyType(schema),
    description: schema.description,
    "default-value": schema.default,
  }));
}

/** The commands. */
export const OBJECTS: readonly Command[] = [
  query(
    "qom-list",
    { path: str },
    list(PropertyInfo),
    (monitor, { path }) =>
      Array.from(
        objectAt(monitor, path).properties,
        ([name, { type, description }]) => ({ name, type, description }),
      ),
  ),
  query(
    "qom-get",
    { path: str, property: str },
    any,
    (monitor, { path, property }) => {
      const { type, properties } = objectAt(monitor, path);
      const found = properties.get(property);
      if (found !== undefined) return found.value;
      throw new GenericError(`Property '${type}.${property}' not found`);
    },
  ),
  action(
    "qom-set",
    { path: str, property: str, value: any },
    (monitor, { path, property }) => {
      const { type, properties } = objectAt(monitor, path);
      throw new GenericError(
        properties.has(property)
          ? `Property '${type}.${property}' is not writable`
          : `Property '${type}.${property}' not found`,
      );
    },
  ),
  query(
    "qom-list-types",
    { implements: optional(str), abstract: optional(bool) },
    list(TypeInfo),
    (monitor, { implements: from, abstract = false }) => {
      const types = typesOf(monitor);
      const parents = new Map(types.map(({ name, parent }) => [name, parent]));
      return types.filter((type) =>
        (abstract || type.abstract !== true) &&
        (from === undefined || descends(type.name, from, parents))
      );
    },
  ),
  query(
    "device-list-properties",
    { typename: str },
    list(PropertyInfo),
    (monitor, { typename }) => deviceProperties(monitor, typename),
  ),
  query(
    "qom-list-properties",
    { typename: str },
    list(PropertyInfo),
    async (monitor, { typename }) => {
      const known = typesOf(monitor).some(({ name }) => name === typename);
      if (!known) {
        throw new QmpError("DeviceNotFound", `Class '${typename}' not found`);
      }
      const type = { name: "type", type: "string" };
      const plugin = await devicePlugin(monitor, typename);
      if (plugin === undefined) return [type];
      return [type, ...await deviceProperties(monitor, typename)];
    },
  ),
];
