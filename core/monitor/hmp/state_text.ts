/**
 * State records in a form that people read.
 *
 * @module
 */

import type { StateRecord } from "../../state/state.ts";

/** Bytes in a line. */
const LINE_BYTES = 16;
/** Bytes that are shown of a long array. */
const MAX_BYTES = 4096;
/** Values in a line of an array. */
const LINE_VALUES = 8;

function isRecord(value: unknown): value is StateRecord {
  return typeof value === "object" && value !== null &&
    !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** A value of a record that is none itself, in words. */
function plainText(value: unknown): string {
  if (typeof value === "number" && Number.isInteger(value) && value > 9) {
    return `${value} (0x${value.toString(16)})`;
  }
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** The lines of bytes. */
function* byteLines(bytes: Uint8Array, indent: string): Generator<string> {
  const shown = Math.min(bytes.length, MAX_BYTES);
  for (let at = 0; at < shown; at += LINE_BYTES) {
    const part = [...bytes.subarray(at, Math.min(at + LINE_BYTES, shown))];
    const hex = part.map((byte) => byte.toString(16).padStart(2, "0"));
    yield `${indent}${at.toString(16).padStart(4, "0")}: ${hex.join(" ")}`;
  }
  if (shown < bytes.length) {
    yield `${indent}and ${bytes.length - shown} more bytes`;
  }
}

/** The lines of a value called `name`. */
export function* stateLines(
  name: string,
  value: unknown,
  indent = "",
): Generator<string> {
  const inner = `${indent}  `;
  if (value instanceof Uint8Array) {
    yield `${indent}${name}: ${value.length} bytes`;
    yield* byteLines(value, inner);
  } else if (Array.isArray(value)) {
    if (value.every((one) => typeof one === "number")) {
      yield `${indent}${name}: [${value.length}]`;
      for (let at = 0; at < value.length; at += LINE_VALUES) {
        const part = value.slice(at, at + LINE_VALUES);
        yield `${inner}${at}: ${
          part.map((one) => `0x${one.toString(16)}`).join(" ")
        }`;
      }
    } else {
      yield `${indent}${name}:`;
      for (const [i, one] of value.entries()) {
        yield* stateLines(`${i}`, one, inner);
      }
    }
  } else if (isRecord(value)) {
    yield `${indent}${name}:`;
    for (const [key, one] of Object.entries(value)) {
      yield* stateLines(key, one, inner);
    }
  } else yield `${indent}${name}: ${plainText(value)}`;
}

/** What a path of keys leads to in a record; undefined when it leads nowhere. */
export function valueAt(record: unknown, path: readonly string[]): unknown {
  let value = record;
  for (const key of path) {
    if (!isRecord(value) && !Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
