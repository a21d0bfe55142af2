/**
 * State records: what devices and CPUs save and load.
 *
 * A device keeps its whole state in one plain typed object; reset assigns a
 * fresh one, `save` is `saveState(this.state)` and `load` is
 * `this.state = loadState(freshState(), record, "i8254")`. The fresh object is
 * the template: a loaded record must have exactly its fields and types.
 *
 * @module
 */

/** What a state record may hold. */
export type StateValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly StateValue[]
  | StateRecord;

/** A plain record of state: names to values. */
export interface StateRecord {
  /** One field. */
  readonly [name: string]: StateValue;
}

/** A record that does not fit what is to be restored. */
export class StateError extends Error {
  /** The name of the error's class. */
  override readonly name = "StateError";
  /** The path of the field that does not fit, as in `pic.master.irr`. */
  readonly path: string;

  /** An error at `path` that says what is wrong. */
  constructor(path: string, message: string) {
    super(`Cannot load state "${path}": ${message}`);
    this.path = path;
  }
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const proto = Object.getPrototypeOf(value);
  return proto === Object.prototype || proto === null;
}

function copy(value: unknown, path: string): StateValue {
  switch (typeof value) {
    case "boolean":
    case "number":
    case "bigint":
    case "string":
      return value;
    case "object":
      if (value === null) return null;
      if (value instanceof Uint8Array) return value.slice();
      if (Array.isArray(value)) {
        return value.map((item, i) => copy(item, `${path}[${i}]`));
      }
      if (isPlain(value)) {
        const out: Record<string, StateValue> = {};
        for (const key of Object.keys(value)) {
          out[key] = copy(value[key], path === "" ? key : `${path}.${key}`);
        }
        return out;
      }
  }
  throw new TypeError(
    `State field "${path}" is neither a plain value nor a plain record`,
  );
}

/** A deep copy of a device's state, as a record. */
export function saveState(state: object): StateRecord {
  return copy(state, "") as StateRecord;
}

function kind(value: unknown): string {
  if (value === null) return "null";
  if (value instanceof Uint8Array) return "bytes";
  if (Array.isArray(value)) return "list";
  return typeof value === "object" ? "record" : typeof value;
}

function restore(template: unknown, value: unknown, path: string): unknown {
  const expected = kind(template);
  const found = kind(value);
  // A null in the template stands for a field that is absent until set.
  if (expected === "null" || found === "null" && template === null) {
    return copy(value, path);
  }
  if (expected !== found) {
    throw new StateError(path, `it is a ${found}, expected a ${expected}`);
  }
  if (template instanceof Uint8Array) {
    const bytes = value as Uint8Array;
    if (template.length !== 0 && bytes.length !== template.length) {
      throw new StateError(
        path,
        `it has ${bytes.length} bytes, expected ${template.length}`,
      );
    }
    return bytes.slice();
  }
  if (Array.isArray(template)) {
    const list = value as unknown[];
    // An empty template list says nothing of its items: a queue, for example.
    if (template.length === 0) return copy(list, path);
    if (list.length !== template.length) {
      throw new StateError(
        path,
        `it has ${list.length} items, expected ${template.length}`,
      );
    }
    return list.map((item, i) => restore(template[i], item, `${path}[${i}]`));
  }
  if (expected === "record") {
    const fields = template as Record<string, unknown>;
    const record = value as Record<string, unknown>;
    for (const key of Object.keys(record)) {
      if (!Object.hasOwn(fields, key)) {
        throw new StateError(`${path}.${key}`, "there is no such field");
      }
    }
    const out: Record<string, unknown> = {};
    for (const key of Object.keys(fields)) {
      if (!Object.hasOwn(record, key)) {
        throw new StateError(`${path}.${key}`, "the field is missing");
      }
      out[key] = restore(fields[key], record[key], `${path}.${key}`);
    }
    return out;
  }
  return value;
}

/**
 * A fresh state of the template's type with the record's values; the record is
 * not kept. Bytes and lists must have the template's length unless that is 0,
 * and a `null` in the template takes anything.
 */
export function loadState<T extends object>(
  template: T,
  record: StateRecord,
  path: string,
): T {
  return restore(template, record, path) as T;
}

/**
 * The items of a list that is empty in its template, which then says nothing of
 * them: at most so many, each as this one. Throws a `StateError`.
 */
export function loadItems<T>(
  template: T,
  list: readonly unknown[],
  path: string,
  most: number,
): T[] {
  if (list.length > most) {
    throw new StateError(path, `it has ${list.length} items, at most ${most}`);
  }
  return list.map((item, i) => restore(template, item, `${path}[${i}]`) as T);
}
