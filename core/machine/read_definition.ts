/**
 * Reads machine files with all they extend.
 *
 * @module
 */

import {
  compose,
  DefinitionError,
  type Located,
  merge,
  parseDocument,
  withoutNulls,
} from "./document.ts";
import { childOf } from "./option_text.ts";
import { resolve } from "./path.ts";

/** Read a definition and all it extends; throws a `DefinitionError`. */
export async function readDefinition(
  file: string,
  from?: Located,
  seen: readonly string[] = [],
): Promise<Located> {
  const path = resolve(file);
  const blame = (message: string): DefinitionError =>
    new DefinitionError(
      from?.place ?? { file, directory: "." },
      from === undefined ? [] : ["extends"],
      message,
    );
  if (seen.includes(path)) throw blame(`"${file}" extends itself`);
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw blame(`there is no machine file "${file}"`);
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw blame(`cannot read the machine file "${file}": ${reason}`);
  }
  const document = parseDocument(text, file);
  if (document.kind !== "object") {
    throw new DefinitionError(document.place, [], "expected an object");
  }
  return await extendDefinition(document, [...seen, path]);
}

/** A definition merged with all it extends. */
export async function extendDefinition(
  document: Located,
  seen: readonly string[] = [],
): Promise<Located> {
  if (document.kind !== "object") return document;
  const parent = document.entries.get("extends");
  if (parent === undefined) {
    return withDeletions(withoutNulls(document), document);
  }
  if (parent.kind !== "value" || typeof parent.value !== "string") {
    throw new DefinitionError(parent.place, ["extends"], "expected a path");
  }
  const file = resolve(parent.place.directory, parent.value);
  const base = await readDefinition(file, parent, seen);
  const entries = new Map(document.entries);
  entries.delete("extends");
  const over = { ...document, entries };
  return withDeletions(merge(base, over), over, base);
}

/**
 * A definition whose displays' devices have the `null`s that `over` and `base`
 * give them: they delete when a display is asked for, and not before.
 */
function withDeletions(
  merged: Located,
  over: Located,
  base?: Located,
): Located {
  const displays = childOf(merged, "displays");
  if (merged.kind !== "object" || displays?.kind !== "object") return merged;
  const kept = new Map(displays.entries);
  for (const [plugin, display] of displays.entries) {
    const path = ["displays", plugin, "devices"];
    const devices = childOf(over, ...path);
    if (display.kind !== "object" || devices?.kind !== "object") continue;
    const before = base === undefined ? undefined : childOf(base, ...path);
    const entries = new Map(display.entries).set(
      "devices",
      before === undefined ? devices : compose(before, devices),
    );
    kept.set(plugin, { ...display, entries });
  }
  const entries = new Map(merged.entries);
  entries.set("displays", { ...displays, entries: kept });
  return { ...merged, entries };
}
