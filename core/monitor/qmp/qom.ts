/**
 * The machine as a tree of objects with properties, as QEMU's object model
 * shows one: `/machine/peripheral/NAME` is the device of that name in the
 * definition, `/machine/unattached/device[N]` a CPU, `/chardevs/NAME` a char
 * backend. A device's properties are its configuration.
 *
 * @module
 */

import type { ConfigSchema } from "../../machine/schema_types.ts";
import type { Monitor } from "./command.ts";
import type { JsonOutput } from "./json_value.ts";
import { cpuType } from "./machine_names.ts";

/** A property. */
export interface Property {
  /** Its type, by QEMU's names: `string`, `child<container>`. */
  readonly type: string;
  /** Its value. */
  readonly value: JsonOutput;
  /** What it means. */
  readonly description?: string;
  /** The object that it has, if it has one. */
  readonly child?: () => Node;
}

/** An object. */
export interface Node {
  /** Its type. */
  readonly type: string;
  /** Its properties by name. */
  readonly properties: ReadonlyMap<string, Property>;
}

/** QEMU's name of a JSON type. */
export function propertyType({ type, format }: ConfigSchema): string {
  if (format === "size" || format === "memory-size") return "size";
  if (format === "address") return "uint64";
  switch (type) {
    case "boolean":
      return "bool";
    case "integer":
      return "int64";
    case "number":
      return "number";
    case "string":
      return "str";
    default:
      return "any";
  }
}

/** An object's children by name. */
type Children = Readonly<Record<string, () => Node>>;

function node(
  type: string,
  children: Children,
  properties: Readonly<Record<string, Property>> = {},
  path = "",
): Node {
  const all = new Map<string, Property>();
  all.set("type", { type: "string", value: type });
  for (const [name, property] of Object.entries(properties)) {
    all.set(name, property);
  }
  for (const [name, child] of Object.entries(children)) {
    all.set(name, {
      type: `child<${child().type}>`,
      value: `${path}/${name}`,
      child,
    });
  }
  return { type, properties: all };
}

/** A value of the configuration; what is no JSON is left out. */
function plain(value: unknown): JsonOutput {
  const text = JSON.stringify(
    value,
    (_key, item) => typeof item === "bigint" ? item.toString() : item,
  );
  return text === undefined ? null : JSON.parse(text);
}

function configuration(
  schema: ConfigSchema | undefined,
  config: unknown,
): Record<string, Property> {
  const values = config as Record<string, unknown> ?? {};
  const properties: Record<string, Property> = {};
  for (const [name, described] of Object.entries(schema?.properties ?? {})) {
    if (name === "type" || name === "realized") continue;
    properties[name] = {
      type: propertyType(described),
      value: plain(Object.hasOwn(values, name) ? values[name] : null),
      description: described.description,
    };
  }
  return properties;
}

/** A device is where it was built. */
const PLACED: Readonly<Record<string, Property>> = {
  realized: { type: "bool", value: true },
  hotplugged: { type: "bool", value: false },
  hotpluggable: { type: "bool", value: false },
};

/** The whole tree. */
export function objectTree(
  { machine: { plan }, parts }: Pick<Monitor, "machine" | "parts">,
): Node {
  const { definition, cpuConfig } = plan;
  const peripheral: Children = Object.fromEntries(
    plan.devices.map((
      { name, plugin, config },
    ) => [name, () =>
      node(plugin.name, {}, {
        ...PLACED,
        ...configuration(plugin.config, config),
      })]
    ),
  );
  const cpus: Children = Object.fromEntries(
    parts.cpus.map((
      _cpu,
      i,
    ) => [`device[${i}]`, () =>
      node(cpuType(plan, cpuConfig.model), {}, {
        ...PLACED,
        // Every model is what it is on any host.
        "unavailable-features": { type: "strList", value: [] },
        ...configuration(plan.cpu.config, cpuConfig),
      })]
    ),
  );
  const chardevs: Children = Object.fromEntries(
    plan.backends.filter(({ plugin }) => plugin.type === "char")
      .map((
        { name, plugin, config },
      ) => [
        name,
        () =>
          node(
            `chardev-${plugin.name}`,
            {},
            configuration(plugin.config, config),
          ),
      ]),
  );
  const container = (children: Children, path: string) => (): Node =>
    node("container", children, {}, path);
  const machine = (): Node =>
    node(`${definition.name}-machine`, {
      peripheral: container(peripheral, "/machine/peripheral"),
      "peripheral-anon": container({}, "/machine/peripheral-anon"),
      unattached: container(cpus, "/machine/unattached"),
    }, {
      kernel: { type: "string", value: definition.boot.kernel ?? "" },
      initrd: { type: "string", value: definition.boot.initrd ?? "" },
      append: { type: "string", value: definition.boot.append ?? "" },
      firmware: { type: "string", value: definition.boot.firmware ?? "" },
    }, "/machine");
  return node("container", {
    machine,
    objects: container({}, "/objects"),
    chardevs: container(chardevs, "/chardevs"),
  });
}

/**
 * The object at a path: from the root with a slash before it, or any object
 * below whose path ends so. Undefined where there is none, or more than one.
 */
export function resolvePath(
  root: Node,
  path: string,
): Node | "ambiguous" | undefined {
  const parts = path.split("/").filter((part) => part !== "");
  if (path.startsWith("/")) return descend(root, parts);
  const found: Node[] = [];
  const search = (from: Node): void => {
    const hit = descend(from, parts);
    if (hit !== undefined) found.push(hit);
    for (const { child } of from.properties.values()) {
      if (child !== undefined) search(child());
    }
  };
  search(root);
  return found.length > 1 ? "ambiguous" : found[0];
}

function descend(from: Node, parts: readonly string[]): Node | undefined {
  let at: Node | undefined = from;
  for (const part of parts) {
    at = at.properties.get(part)?.child?.();
    if (at === undefined) return undefined;
  }
  return at;
}
