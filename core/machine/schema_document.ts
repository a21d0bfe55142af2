/**
 * The JSON Schema of machine definitions, assembled from every plugin's own,
 * so that editors complete and check third-party devices too.
 *
 * @module
 */

import { MACHINE_SCHEMA } from "./definition.ts";
import { BACKEND_TYPES } from "./plan_types.ts";
import type {
  BackendPlugin,
  CpuPlugin,
  DevicePlugin,
  LoaderPlugin,
  Plugin,
} from "./plugin.ts";
import { loadPlugin, type PluginTable, type PluginType } from "./registry.ts";
import type { ConfigSchema, JsonObject, JsonValue } from "./schema_types.ts";

const ADDRESS: JsonObject = {
  anyOf: [
    { type: "integer", minimum: 0 },
    {
      type: "string",
      pattern:
        "^(0x[0-9a-fA-F]+|[0-9]+(\\.[0-9]+)?)\\s*([KMGTkmgt]([iI]?[bB])?)?$",
    },
  ],
};

/** A configuration schema as standard JSON Schema. */
export function toJsonSchema(schema: ConfigSchema): JsonObject {
  const out: JsonObject = {};
  if (schema.description !== undefined) out.description = schema.description;
  if (schema.default !== undefined) out.default = schema.default;
  if (schema.format === "size" || schema.format === "address") {
    return { ...out, ...ADDRESS };
  }
  if (schema.format === "memory-size") {
    // Any string: it may be a memory's name.
    return { ...out, type: ["integer", "string"] };
  }
  if (schema.type === "integer" || schema.type === "number") {
    const number: JsonObject = { type: schema.type };
    if (schema.minimum !== undefined) number.minimum = schema.minimum;
    if (schema.maximum !== undefined) number.maximum = schema.maximum;
    const hexadecimal = { type: "string", pattern: "^0x[0-9a-fA-F]+$" };
    return { ...out, anyOf: [number, hexadecimal] };
  }
  if (schema.type !== undefined) out.type = schema.type;
  if (schema.enum !== undefined) out.enum = [...schema.enum];
  if (schema.items !== undefined) out.items = toJsonSchema(schema.items);
  if (schema.type === "object") {
    const properties: JsonObject = {};
    for (const [key, inner] of Object.entries(schema.properties ?? {})) {
      properties[key] = nullable(toJsonSchema(inner));
    }
    out.properties = properties;
    out.additionalProperties = schema.additionalProperties === undefined
      ? false
      : nullable(toJsonSchema(schema.additionalProperties));
    // No "required": a definition that extends another may leave out anything.
  }
  return out;
}

/** The value, or null, which deletes a key of the extended definition. */
function nullable(schema: JsonObject): JsonObject {
  if (Object.keys(schema).length === 0) return schema;
  return { anyOf: [schema, { type: "null" }] };
}

/** One branch: when `plugin` is this, the rest looks so. */
function branch(plugin: string, properties: JsonObject): JsonObject {
  return {
    if: { properties: { plugin: { const: plugin } }, required: ["plugin"] },
    then: { properties },
  };
}

function configOf(plugin: { readonly config?: ConfigSchema }): JsonObject {
  return toJsonSchema(plugin.config ?? { type: "object" });
}

function deviceBranch(name: string, plugin: DevicePlugin): JsonObject {
  const closed = (
    keys: readonly string[],
    value: JsonObject,
  ): JsonObject => ({
    type: "object",
    properties: Object.fromEntries(keys.map((key) => [key, value])),
    additionalProperties: false,
  });
  const place: JsonObject = {
    anyOf: [ADDRESS, {
      type: "object",
      properties: {
        space: { type: "string" },
        base: ADDRESS,
        priority: { type: "integer" },
      },
      required: ["base"],
      additionalProperties: false,
    }],
  };
  const wire: JsonObject = {
    anyOf: [
      { type: "string", pattern: "^[^.]+\\.[^.]+$" },
      { type: "array", items: { type: "string" } },
      { type: "null" },
    ],
  };
  const properties: JsonObject = { config: configOf(plugin) };
  // What depends on the configuration is left to the loader.
  if (plugin.declare === undefined) {
    const regions = Object.keys(plugin.regions ?? {});
    properties.at = regions.length === 1
      ? { anyOf: [ADDRESS, closed(regions, place)] }
      : closed(regions, place);
    properties.wires = closed(plugin.outputs ?? [], wire);
  }
  const text = { type: ["string", "null"] };
  properties.use = closed(Object.keys(plugin.uses ?? {}), text);
  properties.backends = closed(Object.keys(plugin.backends ?? {}), text);
  return branch(name, properties);
}

/** Where a plugin's own schema goes. */
interface Assembly {
  readonly names: JsonValue[];
  readonly branches: JsonValue[];
}

/** A further plugin, by the name under which a definition uses it. */
export interface NamedPlugin {
  /** The name or specifier. */
  readonly name: string;
  /** The plugin. */
  readonly plugin: Plugin;
}

/**
 * The schema, with every plugin of the table and further ones, which a machine
 * definition names by specifier.
 */
export async function machineSchema(
  table: PluginTable,
  further: readonly NamedPlugin[] = [],
): Promise<JsonObject> {
  const all: NamedPlugin[] = [];
  const place = { directory: "." };
  for (const type of Object.keys(table) as PluginType[]) {
    for (const name of Object.keys(table[type] ?? {})) {
      all.push({ name, plugin: await loadPlugin([type], name, place, table) });
    }
  }
  for (const named of further) {
    const known = all.some((other) =>
      other.name === named.name && other.plugin.type === named.plugin.type
    );
    if (!known) all.push(named);
  }
  const fresh = (): Assembly => ({ names: [], branches: [] });
  const cpus = fresh();
  const devices = fresh();
  const backends = fresh();
  const loaders: JsonValue[] = [];
  for (const { name, plugin } of all) {
    const entry: JsonObject = { const: name };
    if (plugin.description !== undefined) {
      entry.description = plugin.description;
    }
    switch (plugin.type) {
      case "cpu":
        cpus.names.push(entry);
        cpus.branches.push(branch(name, {
          model: { enum: [...(plugin as CpuPlugin).models] },
          config: configOf(plugin),
        }));
        break;
      case "device":
        devices.names.push(entry);
        devices.branches.push(deviceBranch(name, plugin as DevicePlugin));
        break;
      case "loader":
        loaders.push({ const: (plugin as LoaderPlugin).name });
        break;
      default:
        if (BACKEND_TYPES.includes((plugin as BackendPlugin).type)) {
          backends.names.push(entry);
          backends.branches.push(branch(name, { config: configOf(plugin) }));
        }
    }
  }
  const schema = toJsonSchema(MACHINE_SCHEMA);
  const extend = (of: JsonObject, assembly: Assembly): void => {
    const properties = of.properties as JsonObject;
    properties.plugin = {
      description: "A shipped plugin's name, or a specifier to import",
      anyOf: [...assembly.names, { type: "string" }],
    };
    of.allOf = assembly.branches;
  };
  const inner = (key: string): JsonObject =>
    ((schema.properties as JsonObject)[key] as { anyOf: JsonObject[] })
      .anyOf[0];
  const entries = (key: string): JsonObject =>
    (inner(key).additionalProperties as { anyOf: JsonObject[] }).anyOf[0];
  extend(inner("cpu"), cpus);
  extend(entries("devices"), devices);
  extend(entries("backends"), backends);
  const boot = inner("boot").properties as JsonObject;
  boot.loaders = {
    type: "array",
    items: { anyOf: [...loaders, { type: "string" }] },
  };
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Rhea machine definition",
    ...schema,
  };
}
