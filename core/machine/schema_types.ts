/**
 * The part of JSON Schema in which plugins declare their configuration.
 *
 * Five formats are Rhea's own. The loader converts such a value before
 * `create` sees it: `size` and `address` accept a number or a string (`"640K"`,
 * `"0x3f8"`) and give a number; `memory-size` accepts a size, or the name of a
 * memory of the machine, whose size it then is; `path` is a string relative to
 * the machine file and gives an absolute path, unless it is one of
 * `words`; `location` is a path too, or an `http:` or `https:` URL, which stays
 * as it is.
 *
 * @module
 */

/** A JSON value. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | JsonValue[]
  | { [key: string]: JsonValue };

/** A JSON object. */
export type JsonObject = { [key: string]: JsonValue };

/** A schema of one value. */
export interface ConfigSchema {
  /** The JSON type. */
  readonly type?:
    | "object"
    | "array"
    | "string"
    | "number"
    | "integer"
    | "boolean";
  /** What the value means, shown by editors. */
  readonly description?: string;
  /** Conversion of a string or number, see above. */
  readonly format?: "size" | "address" | "memory-size" | "path" | "location";
  /** With the format `path`: strings that are no paths. */
  readonly words?: readonly string[];
  /**
   * For a property of a device's configuration: where in the machine
   * definition its value stands when the configuration has none, as
   * `boot.firmware`.
   */
  readonly from?: string;
  /** The only values allowed. */
  readonly enum?: readonly (string | number | boolean)[];
  /** The value when the key is absent. */
  readonly default?: JsonValue;
  /** The least number allowed. */
  readonly minimum?: number;
  /** The greatest number allowed. */
  readonly maximum?: number;
  /** The keys of an object; others are errors unless the next field is set. */
  readonly properties?: Readonly<Record<string, ConfigSchema>>;
  /** The schema of an object's keys that are not in `properties`. */
  readonly additionalProperties?: ConfigSchema;
  /** The keys that must be there. */
  readonly required?: readonly string[];
  /** The schema of an array's items. */
  readonly items?: ConfigSchema;
}
