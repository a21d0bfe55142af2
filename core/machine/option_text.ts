/**
 * What the short forms on the command line have in common: their text, their
 * errors, and the documents that they become.
 *
 * @module
 */

import { at, DefinitionError, type Located, toJson } from "./document.ts";
import { loadPlugin, PluginError, type PluginTable } from "./registry.ts";
import { checkSchema } from "./schema.ts";
import type { ConfigSchema } from "./schema_types.ts";

/** A mistake in an option. */
export function optionError(option: string, message: string): DefinitionError {
  return new DefinitionError(
    { file: option, directory: Deno.cwd() },
    [],
    message,
  );
}

/** What a key says that is on or off: on when it stands alone. */
export function switchOf(
  key: string,
  value: string | undefined,
  fail: (message: string) => never,
): boolean {
  if (value === undefined || value === "on") return true;
  if (value === "off") return false;
  return fail(`${key}: expected "on" or "off", not "${value}"`);
}

/** `key=value` pairs; two commas stand for one in a value. */
export function pairsOf(
  text: string,
): [key: string, value: string | undefined][] {
  return text.replaceAll(",,", "\0").split(",").map((part) => {
    const whole = part.replaceAll("\0", ",");
    const equals = whole.indexOf("=");
    return equals < 0
      ? [whole, undefined]
      : [whole.slice(0, equals), whole.slice(equals + 1)];
  });
}

/** A document whose only value, at the end of these keys, is another. */
export function nested(value: Located, ...keys: string[]): Located {
  return keys.reduceRight<Located>(
    (inner, key) => ({
      kind: "object",
      place: inner.place,
      entries: new Map([[key, inner]]),
    }),
    value,
  );
}

/** A value of a document by its keys. */
export function childOf(
  document: Located,
  ...keys: string[]
): Located | undefined {
  let here: Located | undefined = document;
  for (const key of keys) {
    here = here?.kind === "object" ? here.entries.get(key) : undefined;
  }
  return here;
}

/**
 * One of a definition's top-level parts, checked before all of it is: what
 * short forms mean stands there. Throws a `DefinitionError`.
 */
export function checkedPart(
  document: Located,
  key: string,
  schema: ConfigSchema,
): unknown {
  const given = childOf(document, key);
  const json = given === undefined ? {} : toJson(given);
  const { value, issues: [issue] } = checkSchema(schema, json, [key]);
  if (issue === undefined) return value;
  const { place } = at(document, issue.path);
  throw new DefinitionError(place, issue.path, issue.message);
}

/** The names of a definition's backends of a type, in order. */
export async function backendsOf(
  type: "block" | "net",
  document: Located,
  plugins: PluginTable,
): Promise<string[]> {
  const names: string[] = [];
  const all = childOf(document, "backends");
  if (all?.kind !== "object") return names;
  for (const [name, node] of all.entries) {
    const plugin = childOf(node, "plugin");
    if (plugin?.kind !== "value" || typeof plugin.value !== "string") continue;
    try {
      await loadPlugin([type], plugin.value, plugin.place, plugins);
      names.push(name);
    } catch (error) {
      // Of another type, or wrong: then the planner says how.
      if (!(error instanceof PluginError)) throw error;
    }
  }
  return names;
}
