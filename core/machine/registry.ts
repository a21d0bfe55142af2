/**
 * Finds and imports plugins.
 *
 * @module
 */

import type { Place } from "./document.ts";
import { listNames, suggest } from "./nearest.ts";
import { isAbsolute, resolve, toFileUrl } from "./path.ts";
import type { Plugin } from "./plugin.ts";

/** The types of plugins. */
export type PluginType = Plugin["type"];

/** The shipped plugins: by type and name, how to import them. */
export type PluginTable = Readonly<
  Partial<Record<PluginType, Readonly<Record<string, () => Promise<unknown>>>>>
>;

/** A plugin cannot be found or is none. */
export class PluginError extends Error {
  /** The name of the error's class. */
  override readonly name = "PluginError";
}

/** Where a plugin is named. */
export type PluginPlace = Pick<Place, "directory" | "origin">;

/** What each type of plugin must have beside the common fields. */
const FUNCTIONS: Readonly<Record<PluginType, readonly string[]>> = {
  device: ["create"],
  cpu: ["create"],
  char: ["create"],
  block: ["create"],
  net: ["create"],
  display: ["create"],
  input: ["create"],
  loader: ["probe", "load"],
};

/** Whether a plugin's name is a path. */
function isPath(name: string): boolean {
  return /^\.{0,2}\//.test(name) || isAbsolute(name);
}

/** Whether a plugin's name is a specifier to import rather than a name. */
function isSpecifier(name: string): boolean {
  return isPath(name) || /^[a-z][a-z0-9+.-]*:/i.test(name);
}

/** Throws a `PluginError` for a module that a stranger may have named. */
function checkOrigin(name: string, { origin }: PluginPlace): void {
  const says = `names a program, ${JSON.stringify(name)}, as a plugin, which`;
  if (origin === "snapshot") {
    throw new PluginError(
      `the snapshot ${says} only a machine's definition may: load the ` +
        "snapshot into the machine of that",
    );
  }
  const isFile = isPath(name) || /^file:/i.test(name);
  if (origin === "recording" && !isFile) {
    throw new PluginError(
      `the recording ${says} would come from elsewhere: replay it from a ` +
        "program that has it among its plugins",
    );
  }
}

function isPlugin(value: unknown, type: PluginType): value is Plugin {
  if (typeof value !== "object" || value === null) return false;
  const fields = value as Record<string, unknown>;
  return fields.type === type && typeof fields.name === "string" &&
    typeof fields.version === "string" &&
    FUNCTIONS[type].every((name) => typeof fields[name] === "function");
}

/**
 * The plugin of one of the given types that `name` stands for: a shipped one,
 * or a module to import, relative to its place. Throws a `PluginError`.
 */
export async function loadPlugin(
  types: readonly PluginType[],
  name: string,
  place: PluginPlace,
  table: PluginTable,
): Promise<Plugin> {
  let load: (() => Promise<unknown>) | undefined;
  for (const type of types) {
    const names = table[type];
    if (names !== undefined && Object.hasOwn(names, name)) load = names[name];
  }
  if (load === undefined && isSpecifier(name)) {
    checkOrigin(name, place);
    const url = isPath(name)
      ? toFileUrl(resolve(place.directory, name)).href
      : name;
    load = () => import(url);
  }
  if (load === undefined) {
    const known = types.flatMap((type) => Object.keys(table[type] ?? {}));
    throw new PluginError(
      `there is no ${types[0]} plugin "${name}"${suggest(name, known)}`,
    );
  }
  let module: Record<string, unknown>;
  try {
    module = await load() as Record<string, unknown>;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PluginError(
      `cannot import the plugin "${name}": ${reason.split("\n")[0]}`,
      { cause },
    );
  }
  for (const type of types) {
    for (const value of [module.default, module.plugin]) {
      if (isPlugin(value, type)) return value;
    }
  }
  const found = module.default ?? module.plugin;
  const type = (found as Record<string, unknown> | undefined)?.type;
  throw new PluginError(
    typeof type === "string" && !types.includes(type as PluginType)
      ? `"${name}" is a ${type} plugin, expected ${listNames(types)}`
      : `the module "${name}" exports no plugin: expected a default export ` +
        `with type ${listNames(types)}, name, version and ` +
        listNames(FUNCTIONS[types[0]]),
  );
}
