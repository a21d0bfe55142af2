/**
 * Machine definitions as documents: JSON with comments whose every value knows
 * the file and line it comes from, through `extends` and `--set`.
 *
 * @module
 */

import { JsoncError, type JsoncNode, parseJsonc } from "./jsonc.ts";
import { dirname } from "./path.ts";
import type { DocumentPath } from "./schema.ts";
import type { JsonObject, JsonValue } from "./schema_types.ts";

/** Where a value was written. */
export interface Place {
  /** The file, or the command line option, for messages. */
  readonly file: string;
  /** The line in it, from 1; none for an option. */
  readonly line?: number;
  /** What relative paths are relative to. */
  readonly directory: string;
  /**
   * What has it, where that may be anybody's: no modules are imported for a
   * snapshot, and for a recording only files of this host.
   */
  readonly origin?: "snapshot" | "recording";
}

/** A JSON value that knows where it was written. */
export type Located =
  | {
    readonly kind: "object";
    readonly place: Place;
    readonly entries: Map<string, Located>;
  }
  | {
    readonly kind: "array";
    readonly place: Place;
    readonly items: readonly Located[];
  }
  | {
    readonly kind: "value";
    readonly place: Place;
    readonly value: null | boolean | number | string;
  };

/** A machine definition that cannot be used: one line that says why. */
export class DefinitionError extends Error {
  /** The name of the error's class. */
  override readonly name = "DefinitionError";
  /** Where the mistake was written. */
  readonly place: Place;
  /** Where in the document it is. */
  readonly path: DocumentPath;

  /** An error at a place and path. */
  constructor(
    place: Place,
    path: DocumentPath,
    message: string,
    options?: ErrorOptions,
  ) {
    const line = place.line === undefined ? "" : `:${place.line}`;
    const at = path.length === 0 ? "" : ` ${formatPath(path)}:`;
    super(`${place.file}${line}:${at} ${message}`, options);
    this.place = place;
    this.path = path;
  }
}

/** `devices.com1.at`, `boot.modules[0]`. */
export function formatPath(path: DocumentPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** Parse the text of a file; throws a `DefinitionError`. */
export function parseDocument(text: string, file: string): Located {
  const directory = dirname(file);
  const starts = [0];
  for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) {
    starts.push(i + 1);
  }
  const placeAt = (offset: number): Place => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return { file, line: low + 1, directory };
  };
  const convert = (node: JsoncNode, path: DocumentPath): Located => {
    const place = placeAt(node.offset);
    switch (node.kind) {
      case "object": {
        const entries = new Map<string, Located>();
        for (const { key, offset, value } of node.properties) {
          if (entries.has(key)) {
            throw new DefinitionError(
              placeAt(offset),
              [...path, key],
              "the key is there twice",
            );
          }
          entries.set(key, convert(value, [...path, key]));
        }
        return { kind: "object", place, entries };
      }
      case "array": {
        const items = node.items.map((item, i) => convert(item, [...path, i]));
        return { kind: "array", place, items };
      }
      default:
        return { kind: "value", place, value: node.value };
    }
  };
  try {
    return convert(parseJsonc(text), []);
  } catch (error) {
    if (!(error instanceof JsoncError)) throw error;
    const message = `not valid JSON: ${error.message}`;
    throw new DefinitionError(placeAt(error.offset), [], message);
  }
}

/** A plain value as a document, all of it written at one place. */
export function locate(value: JsonValue, place: Place): Located {
  if (Array.isArray(value)) {
    const items = value.map((item) => locate(item, place));
    return { kind: "array", place, items };
  }
  if (typeof value === "object" && value !== null) {
    const entries = new Map<string, Located>();
    for (const [key, inner] of Object.entries(value)) {
      if (inner !== undefined) entries.set(key, locate(inner, place));
    }
    return { kind: "object", place, entries };
  }
  return { kind: "value", place, value };
}

/** The plain value of a document. */
export function toJson(document: Located): JsonValue {
  switch (document.kind) {
    case "object": {
      const out: JsonObject = {};
      for (const [key, inner] of document.entries) out[key] = toJson(inner);
      return out;
    }
    case "array":
      return document.items.map(toJson);
    default:
      return document.value;
  }
}

/** The deepest value there is on the way along a path. */
export function at(document: Located, path: DocumentPath): Located {
  let here = document;
  for (const step of path) {
    const next = here.kind === "object"
      ? here.entries.get(String(step))
      : here.kind === "array"
      ? here.items[Number(step)]
      : undefined;
    if (next === undefined) break;
    here = next;
  }
  return here;
}

function isNull(node: Located): boolean {
  return node.kind === "value" && node.value === null;
}

/**
 * `over` laid upon `base`: objects are merged key by key, `null` deletes a
 * key, everything else replaces.
 */
export function merge(base: Located, over: Located): Located {
  if (base.kind !== "object" || over.kind !== "object") {
    return over.kind === "object" ? withoutNulls(over) : over;
  }
  const entries = new Map(base.entries);
  for (const [key, value] of over.entries) {
    const old = entries.get(key);
    if (isNull(value)) entries.delete(key);
    else if (old === undefined) entries.set(key, withoutNulls(value));
    else entries.set(key, merge(old, value));
  }
  // What an option adds a key to is still where it was written.
  const isOption = over.place.line === undefined;
  const place = isOption && base.place.line !== undefined
    ? base.place
    : over.place;
  return { kind: "object", place, entries };
}

/**
 * What laying `first` and then `then` over a document comes to: merged as ever,
 * but `null` stays, for what it deletes lies beneath both.
 */
export function compose(first: Located, then: Located): Located {
  if (first.kind !== "object" || then.kind !== "object") return then;
  const entries = new Map(first.entries);
  for (const [key, value] of then.entries) {
    const old = entries.get(key);
    entries.set(key, old === undefined ? value : compose(old, value));
  }
  return { ...then, entries };
}

/** A document without the keys whose value is null. */
export function withoutNulls(node: Located): Located {
  if (node.kind !== "object") return node;
  const entries = new Map<string, Located>();
  for (const [key, value] of node.entries) {
    if (!isNull(value)) entries.set(key, withoutNulls(value));
  }
  return { ...node, entries };
}

/**
 * The document that `--set path=value` lays over the definition. The value is
 * JSON where it parses, else a string.
 */
export function parseSet(assignment: string, directory: string): Located {
  const place: Place = { file: `--set ${assignment}`, directory };
  const equals = assignment.indexOf("=");
  const path = assignment.slice(0, Math.max(0, equals)).split(".");
  if (equals <= 0 || path.includes("")) {
    throw new DefinitionError(
      place,
      [],
      'expected path=value, as in "cpu.model=486"',
    );
  }
  const text = assignment.slice(equals + 1);
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch {
    // Not JSON: it is the string itself, so that no quotes are needed.
    value = text;
  }
  // An assignment of an object replaces what is there key by key, as a file
  // that extends another does.
  for (const key of path.reverse()) value = { [key]: value };
  return locate(value, place);
}
