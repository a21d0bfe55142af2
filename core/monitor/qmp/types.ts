/**
 * The types of QMP's arguments and results: one description of each serves the
 * check of what a client sends, the introspection (`query-qmp-schema`) and
 * TypeScript. As QEMU's QAPI has them (`docs/devel/qapi-code-gen.rst`).
 *
 * @module
 */

import { JsonFloat, type JsonValue } from "./json_value.ts";
import { GenericError } from "./error.ts";

/** QAPI's types that are there already. */
export type BuiltinName = "str" | "int" | "number" | "bool" | "null" | "any";

/** A type whose values are `T` in TypeScript. */
export type Type<T = unknown> =
  & (
    | { readonly kind: "builtin"; readonly name: BuiltinName }
    | { readonly kind: "array"; readonly of: Type }
    | {
      readonly kind: "enum";
      readonly name: string;
      readonly values: readonly string[];
    }
    | {
      readonly kind: "alternate";
      readonly name: string;
      readonly of: readonly Type[];
    }
    | StructType
  )
  & {
    /** Only for the compiler. */
    readonly value?: T;
  };

/** A type of objects, with variants by the value of one member if it is a union. */
export interface StructType<T = unknown> {
  /** What kind of type this is. */
  readonly kind: "object";
  /** The name, as QEMU has it. */
  readonly name: string;
  /** The members; a union's are those that all variants have. */
  readonly members: Members;
  /** Which member says the variant. */
  readonly tag?: string;
  /** What is there besides, by the tag's value; nothing where a value is not named. */
  readonly variants?: Readonly<Record<string, StructType>>;
  /** Whether there may be more members, of any type. */
  readonly isOpen?: boolean;
  /** Only for the compiler. */
  readonly value?: T;
}

/** A member of an object. */
export interface Member<T = unknown, O extends boolean = boolean> {
  /** Its type. */
  readonly type: Type<T>;
  /** Whether it may be absent. */
  readonly isOptional: O;
  /** Whether QEMU discourages it. */
  readonly isDeprecated?: boolean;
}

/** Members by name: a type alone is a member that must be there. */
export type Members = Readonly<Record<string, Type | Member>>;

/** The values of a type. */
export type ValueOf<T> = T extends { readonly value?: infer V } ? V : never;

type TypeOf<M> = M extends Member<infer T> ? T : ValueOf<M>;
type OptionalKeys<M> = {
  [K in keyof M]: M[K] extends Member<unknown, true> ? K : never;
}[keyof M];

/** The values of objects with such members. */
export type Values<M> =
  & { -readonly [K in Exclude<keyof M, OptionalKeys<M>>]: TypeOf<M[K]> }
  & { -readonly [K in OptionalKeys<M>]?: TypeOf<M[K]> };

function builtin<T>(name: BuiltinName): Type<T> {
  return { kind: "builtin", name };
}

/** A string. */
export const str: Type<string> = builtin("str");
/** An integer of 64 bits; beyond 2^53 it is not exact. */
export const int: Type<number> = builtin("int");
/** A number. */
export const number: Type<number> = builtin("number");
/** A truth value. */
export const bool: Type<boolean> = builtin("bool");
/** Anything. */
// deno-lint-ignore no-explicit-any
export const any: Type<any> = builtin("any");

/** A list. */
export function list<T>(of: Type<T>): Type<T[]> {
  return { kind: "array", of };
}

/** One of some strings. */
export function oneOf<const V extends string>(
  name: string,
  values: readonly V[],
): Type<V> {
  return { kind: "enum", name, values };
}

/** A value of one of some types, which JSON tells apart. */
export function alternate<T>(
  name: string,
  of: readonly Type[],
): Type<T> {
  return { kind: "alternate", name, of };
}

/** An object. */
export function struct<const M extends Members>(
  name: string,
  members: M,
): StructType<Values<M>> {
  return { kind: "object", name, members };
}

/** Objects with further members, which are not looked at. */
export function open<T>(type: StructType<T>): StructType<T> {
  return { ...type, isOpen: true };
}

/** A member that may be absent. */
export function optional<T>(type: Type<T>): Member<T, true> {
  return { type, isOptional: true };
}

/** A member that may be absent, and better is. */
export function deprecated<T>(type: Type<T>): Member<T, true> {
  return { type, isOptional: true, isDeprecated: true };
}

/** A union: its members beside those of `variants`, which the member `tag` chooses. */
export function union<
  const M extends Members,
  K extends keyof M & string,
  const V extends Readonly<Record<string, StructType>>,
>(
  name: string,
  members: M,
  tag: K,
  variants: V,
): StructType<
  & Omit<Values<M>, K>
  & { [C in keyof V]: { [T in K]: C } & ValueOf<V[C]> }[keyof V]
> {
  return { kind: "object", name, members, tag, variants };
}

/** A member in full. */
export function memberOf(member: Type | Member): Member {
  return "type" in member ? member : { type: member, isOptional: false };
}

/** What QEMU calls the types in its errors. */
const EXPECTED: Readonly<Record<BuiltinName, string>> = {
  str: "string",
  int: "integer",
  number: "number",
  bool: "boolean",
  null: "null",
  any: "",
};

/** The value of a builtin type; undefined where it is none. */
function builtinValue(name: BuiltinName, value: JsonValue): unknown {
  switch (name) {
    case "str":
      return typeof value === "string" ? value : undefined;
    case "bool":
      return typeof value === "boolean" ? value : undefined;
    case "null":
      return value === null ? value : undefined;
    case "any":
      return value;
    case "number":
      if (value instanceof JsonFloat) return value.value;
      break;
    case "int":
      if (typeof value === "bigint" && value >= 2n ** 63n) return undefined;
  }
  return typeof value === "number" || typeof value === "bigint"
    ? Number(value)
    : undefined;
}

/** Whether a value's kind in JSON is that of a type. */
function isKind(type: Type, value: JsonValue): boolean {
  switch (type.kind) {
    case "builtin":
      return builtinValue(type.name, value) !== undefined;
    case "enum":
      return typeof value === "string";
    case "array":
      return Array.isArray(value);
    case "object":
      return value instanceof Map;
    case "alternate":
      return type.of.some((one) => isKind(one, value));
  }
}

/**
 * The value that a client means, made of plain objects and arrays. Throws a
 * `QmpError` with QEMU's text where it is not of the type.
 *
 * @param path How QEMU calls the value in its errors: `keys[0].data`.
 */
export function parseValue<T>(
  type: Type<T>,
  value: JsonValue,
  path: string = "",
): T {
  const expected = (what: string): GenericError =>
    new GenericError(
      `Invalid parameter type for '${
        path || "<anonymous>"
      }', expected: ${what}`,
    );
  switch (type.kind) {
    case "builtin": {
      const parsed = builtinValue(type.name, value);
      if (parsed === undefined) throw expected(EXPECTED[type.name]);
      return parsed as T;
    }
    case "enum": {
      if (typeof value !== "string") throw expected("string");
      if (type.values.includes(value)) return value as T;
      // QEMU says the member's own name here.
      const name = /[^.\]]*$/.exec(path)![0] || "null";
      throw new GenericError(
        `Parameter '${name}' does not accept value '${value}'`,
      );
    }
    case "alternate": {
      const chosen = type.of.find((one) => isKind(one, value));
      if (chosen === undefined) throw expected(type.name);
      return parseValue(chosen, value, path) as T;
    }
    case "array":
      if (!Array.isArray(value)) throw expected("array");
      return value.map((item, i) =>
        parseValue(type.of, item, `${path}[${i}]`)
      ) as T;
    case "object": {
      if (!(value instanceof Map)) throw expected("object");
      const parsed: Record<string, unknown> = {};
      const left = new Set<string>(value.keys());
      const inner = (name: string): string =>
        path === "" ? name : `${path}.${name}`;
      const take = (members: Members): void => {
        for (const [name, described] of Object.entries(members)) {
          const { type, isOptional } = memberOf(described);
          const given = value.get(name);
          left.delete(name);
          if (given !== undefined) {
            parsed[name] = parseValue(type, given, inner(name));
          } else if (!isOptional) {
            throw new GenericError(`Parameter '${inner(name)}' is missing`);
          }
        }
      };
      take(type.members);
      if (type.tag !== undefined) {
        const variants = type.variants ?? {};
        const name = parsed[type.tag] as string;
        take(Object.hasOwn(variants, name) ? variants[name].members : {});
      }
      for (const name of type.isOpen === true ? [] : left) {
        throw new GenericError(`Parameter '${inner(name)}' is unexpected`);
      }
      return parsed as T;
    }
  }
}
