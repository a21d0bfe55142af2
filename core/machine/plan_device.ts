/**
 * What a device's configuration takes from elsewhere: values from other places
 * of the definition, and files of the host.
 *
 * @module
 */

import { at, type Located, toJson } from "./document.ts";
import type { FileSpec } from "./plugin.ts";
import type { DocumentPath } from "./schema.ts";
import type { ConfigSchema, JsonValue } from "./schema_types.ts";

/** A file that a device is given. */
export interface PlannedFile {
  /** Its path. */
  readonly path: string;
  /**
   * Its size in bytes; undefined for an optional one that is not there, and
   * when nothing is looked at.
   */
  readonly size: number | undefined;
}

/** A value in the document, when there is one at exactly this path. */
function valueAt(document: Located, path: DocumentPath): Located | undefined {
  const parent = at(document, path.slice(0, -1));
  if (parent.kind !== "object") return undefined;
  const found = parent.entries.get(String(path.at(-1)));
  return found !== undefined && at(document, path) === found
    ? found
    : undefined;
}

/** The object at a path as plain JSON; empty when there is none. */
export function objectAt(document: Located, path: DocumentPath): JsonValue {
  const found = valueAt(document, path);
  return found === undefined ? {} : toJson(found);
}

/** The document with a value at a path; what is there keeps its places. */
function insert(
  document: Located,
  [key, ...rest]: readonly string[],
  value: Located,
): Located {
  if (key === undefined) return value;
  const { place } = document;
  const entries = new Map(document.kind === "object" ? document.entries : []);
  const inner = entries.get(key) ??
    { kind: "object", place, entries: new Map() };
  entries.set(key, insert(inner, rest, value));
  return { kind: "object", place, entries };
}

/** What a device's configuration takes from other places of the definition. */
export interface Inheritance {
  /** The document with that in it: each value keeps its place of writing. */
  readonly document: Located;
  /** The paths from which it was taken, by key of the configuration. */
  readonly origins: ReadonlyMap<string, DocumentPath>;
}

/** Take what the schema says is `from` other places. */
export function inheritConfig(
  document: Located,
  device: string,
  schema: ConfigSchema | undefined,
): Inheritance {
  let result = document;
  const origins = new Map<string, DocumentPath>();
  for (const [key, { from }] of Object.entries(schema?.properties ?? {})) {
    if (from === undefined) continue;
    const path = ["devices", device, "config", key];
    const origin = from.split(".");
    const value = valueAt(document, origin);
    if (value === undefined || valueAt(document, path) !== undefined) continue;
    result = insert(result, path, value);
    origins.set(key, origin);
  }
  return { document: result, origins };
}

/** Where a file's path stands in a configuration; the empty path if nowhere. */
export function pathOfFile(config: unknown, file: FileSpec): DocumentPath {
  if (typeof config !== "object" || config === null) return [];
  for (const [key, value] of Object.entries(config)) {
    if (value === file.path) return [key];
    const inner = pathOfFile(value, file);
    if (inner.length > 0) return [key, ...inner];
  }
  return [];
}
