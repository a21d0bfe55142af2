/**
 * A machine's document as a state record: its values, and where each was
 * written, so that paths in it lead where they led and messages name the place.
 *
 * @module
 */

import type { Located, Place } from "../machine/document.ts";
import { resolve } from "../machine/path.ts";
import type { StateRecord, StateValue } from "../state/state.ts";

/** A document's record is none. */
export class DocumentRecordError extends Error {
  /** The name of the error's class. */
  override readonly name = "DocumentRecordError";
}

/** A document as a record. */
export function documentRecord(document: Located): StateRecord {
  const places: StateValue[] = [];
  const known = new Map<string, number>();
  const placeOf = ({ file, directory }: Place): number => {
    // Seen from another working directory it is the same.
    const absolute = resolve(directory);
    const key = JSON.stringify([file, absolute]);
    let index = known.get(key);
    if (index === undefined) {
      known.set(key, index = places.length);
      places.push([file, absolute]);
    }
    return index;
  };
  const node = (at: Located): StateValue => {
    const place = [placeOf(at.place), at.place.line ?? 0];
    switch (at.kind) {
      case "object":
        return [
          ...place,
          "object",
          ...[...at.entries].flatMap(([key, value]) => [key, node(value)]),
        ];
      case "array":
        return [...place, "array", ...at.items.map(node)];
      default:
        return [...place, "value", at.value];
    }
  };
  return { document: node(document), places };
}

/** The reverse; throws a `DocumentRecordError`. */
export function documentOf(record: StateRecord): Located {
  const bad = (): never => {
    throw new DocumentRecordError("it has no machine definition");
  };
  const { places } = record;
  if (!Array.isArray(places)) return bad();
  const placeAt = (index: StateValue, line: StateValue): Place => {
    const place = typeof index === "number" ? places[index] : undefined;
    if (!Array.isArray(place) || typeof line !== "number") return bad();
    const [file, directory] = place;
    if (typeof file !== "string" || typeof directory !== "string") return bad();
    return {
      file,
      line: line === 0 ? undefined : line,
      directory,
      origin: "snapshot",
    };
  };
  const node = (value: StateValue): Located => {
    if (!Array.isArray(value)) return bad();
    const [index, line, kind, ...rest] = value as StateValue[];
    const place = placeAt(index, line);
    if (kind === "array") return { kind, place, items: rest.map(node) };
    if (kind === "value") {
      const [plain] = rest;
      return plain === null || typeof plain === "boolean" ||
          typeof plain === "number" || typeof plain === "string"
        ? { kind, place, value: plain }
        : bad();
    }
    if (kind !== "object" || rest.length % 2 !== 0) return bad();
    const entries = new Map<string, Located>();
    for (let i = 0; i < rest.length; i += 2) {
      const key = rest[i];
      if (typeof key !== "string" || key === "__proto__") return bad();
      entries.set(key, node(rest[i + 1]));
    }
    return { kind, place, entries };
  };
  return node(record.document ?? null);
}
