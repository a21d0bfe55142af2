/**
 * JSON as QMP has it: integers of 64 bits, numbers with a point apart from
 * them, objects whose keys are anything.
 *
 * @module
 */

/** A number that was written with a point or an exponent: no integer, whatever its value. */
export class JsonFloat {
  /** The number. */
  readonly value: number;

  /** A number. */
  constructor(value: number) {
    this.value = value;
  }
}

/** A value that was read. Integers beyond 2^53 are `bigint`s. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | JsonFloat
  | readonly JsonValue[]
  | JsonMap;

/** An object that was read, its members in their order. */
export type JsonMap = ReadonlyMap<string, JsonValue>;

/** A value that is sent. */
export type JsonOutput =
  | JsonValue
  | undefined
  | readonly JsonOutput[]
  | { readonly [key: string]: JsonOutput };

/** What QEMU escapes: what is not printable ASCII, and the quotation mark and the backslash. */
const ESCAPED = /[^\x20\x21\x23-\x5b\x5d-\x7e]/g;
const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** A string as JSON in ASCII. */
function quote(text: string): string {
  const escape = (unit: string): string =>
    SHORT[unit] ??
      `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  return `"${text.replaceAll(ESCAPED, escape)}"`;
}

function member(key: string, value: JsonOutput): string {
  return `${quote(key)}: ${jsonText(value)}`;
}

/**
 * A value as one line of ASCII, spaced as QEMU does it. Members that are
 * undefined are left out. A number that is not finite is null.
 */
export function jsonText(value: JsonOutput): string {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "number":
      return Number.isFinite(value) ? String(value) : "null";
    case "boolean":
    case "bigint":
      return String(value);
    case "undefined":
      return "null";
  }
  if (value === null) return "null";
  if (value instanceof JsonFloat) return jsonText(value.value);
  if (value instanceof Map) {
    const members = Array.from(value, ([key, item]) => member(key, item));
    return `{${members.join(", ")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(jsonText).join(", ")}]`;
  const members = Object.entries(value as Record<string, JsonOutput>)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) => member(key, item));
  return `{${members.join(", ")}}`;
}
