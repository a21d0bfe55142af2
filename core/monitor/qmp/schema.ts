/**
 * Introspection: the list that `query-qmp-schema` gives, made from the same
 * descriptions that check what clients send.
 *
 * @module
 */

import { type Command, EMPTY, type EventType } from "./command.ts";
import {
  any,
  bool,
  list,
  memberOf,
  oneOf,
  optional,
  str,
  struct,
  type StructType,
  type Type,
  union,
} from "./types.ts";

const JSON_TYPES = [
  "string",
  "number",
  "int",
  "boolean",
  "null",
  "object",
  "array",
  "value",
] as const;

const META_TYPES = [
  "builtin",
  "enum",
  "array",
  "object",
  "alternate",
  "command",
  "event",
] as const;

const EnumMember = struct("SchemaInfoEnumMember", {
  name: str,
  features: optional(list(str)),
});

const ObjectMember = struct("SchemaInfoObjectMember", {
  name: str,
  type: str,
  default: optional(any),
  features: optional(list(str)),
});

/** An entry of the schema: `qapi/introspect.json`. */
export const SchemaInfo: StructType<SchemaEntry> = union(
  "SchemaInfo",
  {
    name: str,
    "meta-type": oneOf("SchemaMetaType", META_TYPES),
    features: optional(list(str)),
  },
  "meta-type",
  {
    builtin: struct("SchemaInfoBuiltin", {
      "json-type": oneOf("JSONType", JSON_TYPES),
    }),
    enum: struct("SchemaInfoEnum", {
      members: list(EnumMember),
      values: list(str),
    }),
    array: struct("SchemaInfoArray", { "element-type": str }),
    object: struct("SchemaInfoObject", {
      members: list(ObjectMember),
      tag: optional(str),
      variants: optional(
        list(struct("SchemaInfoObjectVariant", { case: str, type: str })),
      ),
    }),
    alternate: struct("SchemaInfoAlternate", {
      members: list(struct("SchemaInfoAlternateMember", { type: str })),
    }),
    command: struct("SchemaInfoCommand", {
      "arg-type": str,
      "ret-type": str,
      "allow-oob": optional(bool),
    }),
    event: struct("SchemaInfoEvent", { "arg-type": str }),
  },
);

/** An entry of the schema. */
export interface SchemaEntry {
  /** The name of a command, event or builtin type; of others one by which they are referred to. */
  readonly name: string;
  /** What is described. */
  readonly "meta-type": typeof META_TYPES[number];
  /** What the kind of thing has besides. */
  readonly [key: string]: unknown;
}

const JSON_TYPE_OF = {
  str: "string",
  int: "int",
  number: "number",
  bool: "boolean",
  null: "null",
  any: "value",
} as const;

/** The schema of commands and events, with all types that they need. */
export function schemaOf(
  commands: Iterable<Command>,
  events: Iterable<EventType>,
): SchemaEntry[] {
  const entries: SchemaEntry[] = [];
  const described = new Map<string, Type>();
  const waiting: Type[] = [];
  /** The type's name; its own entry follows. */
  const refer = (type: Type): string => {
    const name = type.kind === "array" ? `[${refer(type.of)}]` : type.name;
    const known = described.get(name);
    if (known === undefined) {
      described.set(name, type);
      waiting.push(type);
    } else if (type.kind !== "array" && known !== type) {
      throw new Error(`two types are called "${name}"`);
    }
    return name;
  };
  for (const { name, arguments: members, returns } of commands) {
    entries.push({
      name,
      "meta-type": "command",
      "arg-type": refer(members),
      "ret-type": refer(returns ?? EMPTY),
    });
  }
  for (const { name, data } of events) {
    entries.push({ name, "meta-type": "event", "arg-type": refer(data) });
  }
  for (const type of waiting) entries.push(typeEntry(type, refer));
  return entries;
}

function typeEntry(type: Type, refer: (type: Type) => string): SchemaEntry {
  switch (type.kind) {
    case "builtin":
      return {
        name: type.name,
        "meta-type": "builtin",
        "json-type": JSON_TYPE_OF[type.name],
      };
    case "array":
      return {
        name: `[${refer(type.of)}]`,
        "meta-type": "array",
        "element-type": refer(type.of),
      };
    case "enum":
      return {
        name: type.name,
        "meta-type": "enum",
        members: type.values.map((name) => ({ name })),
        values: [...type.values],
      };
    case "alternate":
      return {
        name: type.name,
        "meta-type": "alternate",
        members: type.of.map((one) => ({ type: refer(one) })),
      };
    case "object":
      return {
        name: type.name,
        "meta-type": "object",
        members: Object.entries(type.members).map(([name, described]) => {
          const member = memberOf(described);
          return {
            name,
            type: refer(member.type),
            default: member.isOptional ? null : undefined,
            features: member.isDeprecated ? ["deprecated"] : undefined,
          };
        }),
        ...variantsOf(type, refer),
      };
  }
}

/**
 * Every value of the tag has a variant. What may be there besides is not told:
 * of such a type neither are the variants.
 */
function variantsOf(
  { members, tag, variants = {}, isOpen = false }: StructType,
  refer: (type: Type) => string,
): Record<string, unknown> {
  if (tag === undefined || isOpen) return {};
  const { type } = memberOf(members[tag]);
  const values = type.kind === "enum" ? type.values : [];
  return {
    tag,
    variants: values.map((name) => ({
      case: name,
      type: refer(variants[name] ?? EMPTY),
    })),
  };
}
