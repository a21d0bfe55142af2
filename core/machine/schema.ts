/**
 * Checks values against configuration schemas, fills in defaults and converts
 * sizes, addresses and paths.
 *
 * Written here rather than taken from a library: the part of JSON Schema that
 * a machine needs is small, and no library converts `"640K"` or names the
 * nearest valid key, which is what the errors of a machine file are about.
 *
 * @module
 */

import { listNames, suggest } from "./nearest.ts";
import { parseAddress, parseSize } from "./numbers.ts";
import type { ConfigSchema } from "./schema_types.ts";

/** Where a value is in a document. */
export type DocumentPath = readonly (string | number)[];

/** One thing wrong with a document. */
export interface Issue {
  /** Where. */
  readonly path: DocumentPath;
  /** What, with what was expected. */
  readonly message: string;
}

/** What checking found. */
export interface CheckResult {
  /** The value with defaults and conversions; partial when there are issues. */
  readonly value: unknown;
  /** Everything that is wrong. */
  readonly issues: readonly Issue[];
}

/** How to check. */
export interface CheckOptions {
  /** Makes a relative path absolute. */
  readonly resolvePath?: (path: string, at: DocumentPath) => string;
  /**
   * Whether a number at this place may stand for a string: on the command line
   * nobody writes quotes around a CPU model named 486.
   */
  readonly isUnquoted?: (at: DocumentPath) => boolean;
  /** The sizes of the machine's memories, by name. */
  readonly memories?: ReadonlyMap<string, number>;
}

/** Checks a value that is `at` a place in a document. */
export function checkSchema(
  schema: ConfigSchema,
  value: unknown,
  at: DocumentPath = [],
  options: CheckOptions = {},
): CheckResult {
  const issues: Issue[] = [];
  const result = check(schema, value, at, issues, options);
  return { value: result, issues };
}

/**
 * A value completed by a schema; throws a `TypeError` at the first issue. With
 * no schema only an empty object passes.
 */
export function applySchema(
  schema: ConfigSchema | undefined,
  value: unknown,
): // deno-lint-ignore no-explicit-any
any {
  const { value: result, issues } = checkSchema(
    schema ?? { type: "object" },
    value,
  );
  if (issues.length > 0) {
    const { path, message } = issues[0];
    throw new TypeError(`${path.join(".") || "configuration"}: ${message}`);
  }
  return result;
}

/** Whether a `location` is an `http:` or `https:` URL and not a path. */
export function isUrl(location: string): boolean {
  return /^https?:\/\//i.test(location);
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  switch (typeof value) {
    case "object":
      return "an object";
    case "string":
      return JSON.stringify(value);
    default:
      return `${value}`;
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  object: "an object",
  array: "a list",
  string: "a string",
  number: "a number",
  integer: "an integer",
  boolean: "true or false",
};

function hasType(value: unknown, type: string): boolean {
  switch (type) {
    case "object":
      return typeof value === "object" && value !== null &&
        !Array.isArray(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isSafeInteger(value);
    case "string":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
    default:
      return typeof value === "number";
  }
}

function check(
  schema: ConfigSchema,
  value: unknown,
  at: DocumentPath,
  issues: Issue[],
  options: CheckOptions,
): unknown {
  const issue = (message: string, path: DocumentPath = at): undefined => {
    issues.push({ path, message });
    return undefined;
  };
  let result = value;
  if (schema.format === "size" || schema.format === "address") {
    const parse = schema.format === "size" ? parseSize : parseAddress;
    result = parse(value);
    if (result === undefined) {
      return issue(
        schema.format === "size"
          ? `expected a size such as 4096 or "640K", not ${typeName(value)}`
          : `expected an address such as 1016 or "0x3f8", not ` +
            typeName(value),
      );
    }
  } else if (schema.format === "memory-size") {
    const { memories } = options;
    result = parseSize(value) ?? memories?.get(value as string);
    if (result === undefined) {
      return issue(
        `expected a size or the name of a memory, not ${typeName(value)}` +
          suggest(`${value}`, [...memories?.keys() ?? []]),
      );
    }
  } else if (schema.type !== undefined && !hasType(value, schema.type)) {
    // Numbers may always be written as hexadecimal strings.
    if (
      schema.type === "string" && typeof value === "number" &&
      options.isUnquoted?.(at)
    ) {
      return check(schema, `${value}`, at, issues, options);
    }
    const isNumber = schema.type === "integer" || schema.type === "number";
    const number = isNumber && typeof value === "string" &&
        /^0x[0-9a-f]+$/i.test(value)
      ? Number(value)
      : undefined;
    if (number === undefined) {
      return issue(`expected ${EXPECTED[schema.type]}, not ${typeName(value)}`);
    }
    result = number;
  }
  if (schema.enum !== undefined && !schema.enum.includes(result as string)) {
    const names = schema.enum.map(String);
    return issue(
      typeof result === "string"
        ? `there is no "${result}"${suggest(result, names)}`
        : `expected ${listNames(names)}, not ${typeName(result)}`,
    );
  }
  if (typeof result === "number") {
    if (schema.minimum !== undefined && result < schema.minimum) {
      return issue(`${result} is less than the least, ${schema.minimum}`);
    }
    if (schema.maximum !== undefined && result > schema.maximum) {
      return issue(`${result} is more than the most, ${schema.maximum}`);
    }
  }
  const isPath = schema.format === "path" || schema.format === "location";
  if (isPath && typeof result === "string") {
    if (schema.format === "location" && isUrl(result)) return result;
    if (schema.words?.includes(result)) return result;
    return options.resolvePath?.(result, at) ?? result;
  }
  if (schema.type === "array") {
    const { items } = schema;
    return items === undefined ? result : (result as unknown[]).map(
      (item, i) => check(items, item, [...at, i], issues, options),
    );
  }
  if (schema.type === "object") {
    return checkObject(
      schema,
      result as Record<string, unknown>,
      at,
      issues,
      options,
    );
  }
  return result;
}

function checkObject(
  schema: ConfigSchema,
  value: Record<string, unknown>,
  at: DocumentPath,
  issues: Issue[],
  options: CheckOptions,
): Record<string, unknown> {
  const properties = schema.properties ?? {};
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const inner = Object.hasOwn(properties, key)
      ? properties[key]
      : schema.additionalProperties;
    if (inner === undefined) {
      issues.push({
        path: [...at, key],
        message: `unknown key "${key}"${suggest(key, Object.keys(properties))}`,
      });
      continue;
    }
    out[key] = check(inner, value[key], [...at, key], issues, options);
  }
  for (const key of schema.required ?? []) {
    if (!Object.hasOwn(value, key)) {
      issues.push({ path: at, message: `the key "${key}" is missing` });
    }
  }
  for (const [key, inner] of Object.entries(properties)) {
    if (Object.hasOwn(value, key) || inner.default === undefined) continue;
    // A default is written as a user would write it: convert it too.
    out[key] = check(inner, inner.default, [...at, key], issues, options);
  }
  return out;
}
