/**
 * Checks values by an introspected schema, and one schema by another.
 *
 * Source: QEMU, "QAPI Code Generator", "Client JSON Protocol introspection".
 *
 * @module
 */

import type { Message } from "./client.ts";

/** A schema: its entries by name. */
export class Schema {
  readonly #entries: ReadonlyMap<string, Message>;

  /** What `query-qmp-schema` gave. */
  constructor(entries: readonly Message[]) {
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]));
  }

  /** An entry; throws when there is none. */
  entry(name: string): Message {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Error(`there is no entry "${name}"`);
    return entry;
  }

  /** The names of all entries of a kind. */
  names(metaType: string): string[] {
    return [...this.#entries.values()]
      .filter((entry) => entry["meta-type"] === metaType)
      .map(({ name }) => name);
  }

  /** What is wrong with a command's result, or an event's data. */
  problems(name: string, value: unknown): string[] {
    const entry = this.entry(name);
    const isCommand = entry["meta-type"] === "command";
    const type = entry[isCommand ? "ret-type" : "arg-type"];
    return this.#check(type, value, name);
  }

  /** What is wrong with a command's arguments. */
  argumentProblems(name: string, value: unknown): string[] {
    return this.#check(this.entry(name)["arg-type"], value, name);
  }

  #check(type: string, value: unknown, at: string): string[] {
    const entry = this.entry(type);
    const wrong = (what: string): string[] => [
      `${at}: ${JSON.stringify(value)?.slice(0, 80)} is no ${what}`,
    ];
    switch (entry["meta-type"]) {
      case "builtin": {
        const json = entry["json-type"];
        if (json === "value") return value === undefined ? wrong(json) : [];
        if (json === "int") return Number.isInteger(value) ? [] : wrong(json);
        if (json === "null") return value === null ? [] : wrong(json);
        const kind: string = typeof value;
        return kind === json ? [] : wrong(json);
      }
      case "enum":
        return entry.values.includes(value) ? [] : wrong(entry.values.join());
      case "array":
        if (!Array.isArray(value)) return wrong("array");
        return value.flatMap((item, i) =>
          this.#check(entry["element-type"], item, `${at}[${i}]`)
        );
      case "alternate": {
        const fits = entry.members.some(({ type }: Message) =>
          this.#check(type, value, at).length === 0
        );
        return fits ? [] : wrong("alternative");
      }
      default: {
        const isObject = typeof value === "object" && value !== null &&
          !Array.isArray(value);
        if (!isObject) return wrong("object");
        return this.#checkObject(entry, value as Message, at);
      }
    }
  }

  #checkObject(entry: Message, value: Message, at: string): string[] {
    const problems: string[] = [];
    const members: Message[] = [...entry.members];
    if (entry.tag !== undefined) {
      const variant = entry.variants
        .find((one: Message) => one.case === value[entry.tag]);
      if (variant !== undefined) {
        members.push(...this.entry(variant.type).members);
      }
    }
    for (const { name, type, ...rest } of members) {
      if (Object.hasOwn(value, name)) {
        problems.push(...this.#check(type, value[name], `${at}.${name}`));
      } else if (!("default" in rest)) problems.push(`${at}: no "${name}"`);
    }
    for (const name of Object.keys(value)) {
      if (!members.some((member) => member.name === name)) {
        problems.push(`${at}: "${name}" is unexpected`);
      }
    }
    return problems;
  }

  /**
   * Why clients who know `other` cannot use what is here: what they may send
   * (`isInput`) must be taken, what they get must be what they know.
   */
  unlike(other: Schema, name: string): string[] {
    const mine = this.entry(name);
    const theirs = other.entry(name);
    const problems = this.#unlike(
      other,
      mine["arg-type"],
      theirs["arg-type"],
      name,
      mine["meta-type"] === "command",
      new Set(),
    );
    if (mine["meta-type"] !== "command") return problems;
    return [
      ...problems,
      ...this.#unlike(
        other,
        mine["ret-type"],
        theirs["ret-type"],
        name,
        false,
        new Set(),
      ),
    ];
  }

  #unlike(
    other: Schema,
    mine: string,
    theirs: string,
    at: string,
    isInput: boolean,
    compared: Set<string>,
  ): string[] {
    const [a, b] = [this.entry(mine), other.entry(theirs)];
    const pair = `${mine} ${theirs} ${isInput}`;
    if (compared.has(pair)) return [];
    compared.add(pair);
    if (a["meta-type"] !== b["meta-type"]) {
      return [`${at}: ${a["meta-type"]} and ${b["meta-type"]}`];
    }
    switch (a["meta-type"]) {
      case "builtin":
        return a["json-type"] === b["json-type"]
          ? []
          : [`${at}: ${a["json-type"]} and ${b["json-type"]}`];
      case "array": {
        const [one, two] = [a["element-type"], b["element-type"]];
        return this.#unlike(other, one, two, `${at}[]`, isInput, compared);
      }
      case "enum": {
        const [from, to] = isInput ? [b, a] : [a, b];
        return from.values
          .filter((value: string) => !to.values.includes(value))
          .map((value: string) => `${at}: the value ${value}`);
      }
      case "alternate": {
        // An alternative is found again by its kind in JSON.
        const kinds = (types: readonly Message[], schema: Schema): string[][] =>
          types.map(({ type }) => {
            const entry = schema.entry(type);
            return [entry["json-type"] ?? entry["meta-type"], type];
          });
        const others = kinds(b.members, other);
        return kinds(a.members, this).flatMap(([kind, type]) => {
          const found = others.find(([one]) => one === kind);
          return found === undefined
            ? [`${at}: the alternative ${type}`]
            : this.#unlike(other, type, found[1], at, isInput, compared);
        });
      }
    }
    const problems: string[] = [];
    const theirMembers = new Map<string, Message>(
      b.members.map((member: Message) => [member.name, member]),
    );
    for (const { name, type, ...rest } of a.members) {
      const member = theirMembers.get(name);
      theirMembers.delete(name);
      const path = `${at}.${name}`;
      if (member === undefined) {
        problems.push(`${path} is not there`);
        continue;
      }
      problems.push(
        ...this.#unlike(other, type, member.type, path, isInput, compared),
      );
      const [needed, known] = isInput ? [rest, member] : [member, rest];
      if (!("default" in needed) && "default" in known) {
        problems.push(`${path}: one may leave it out, the other not`);
      }
    }
    for (const [name, member] of theirMembers) {
      // What nobody must send may be unknown to nobody; what is given may be less.
      if (isInput || !("default" in member)) {
        problems.push(`${at}.${name} is missing`);
      }
    }
    for (const variant of a.variants ?? []) {
      const found = b.variants
        ?.find((one: Message) => one.case === variant.case);
      if (found === undefined) continue;
      problems.push(
        ...this.#unlike(
          other,
          variant.type,
          found.type,
          `${at}(${variant.case})`,
          isInput,
          compared,
        ),
      );
    }
    return problems;
  }
}
