/**
 * Parses JSON with comments and trailing commas, and says where each value
 * was written.
 *
 * @module
 */

/** A value and the offset at which it was written. */
export type JsoncNode =
  | {
    readonly kind: "object";
    readonly offset: number;
    readonly properties: readonly JsoncProperty[];
  }
  | {
    readonly kind: "array";
    readonly offset: number;
    readonly items: readonly JsoncNode[];
  }
  | {
    readonly kind: "value";
    readonly offset: number;
    readonly value: null | boolean | number | string;
  };

/** A key of an object and its value. */
export interface JsoncProperty {
  /** The key. */
  readonly key: string;
  /** Where it was written. */
  readonly offset: number;
  /** Its value. */
  readonly value: JsoncNode;
}

/** The text is not JSON. */
export class JsoncError extends Error {
  /** The name of the error's class. */
  override readonly name = "JsoncError";

  /** An error at an offset. */
  constructor(readonly offset: number, message: string) {
    super(message);
  }
}

/** How deep values may be nested: far more than any document needs, and no risk for the stack. */
const MAX_DEPTH = 500;

const SPACE = /(?:[ \t\r\n\ufeff]+|\/\/[^\r\n]*|\/\*[^]*?\*\/)*/y;
// RFC 8259, sections 6 and 7. The escapes are left to JSON.parse.
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// deno-lint-ignore no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;
/** Literals, and whatever else looks like a word or a number. */
const WORD = /[\w.+-]+/y;
const LITERALS: ReadonlyMap<string, null | boolean> = new Map([
  ["null", null],
  ["true", true],
  ["false", false],
]);

/** Parses a text; throws a {@linkcode JsoncError}. */
export function parseJsonc(text: string): JsoncNode {
  const parser = new Parser(text);
  const value = parser.value();
  parser.end();
  return value;
}

class Parser {
  readonly #text: string;
  /** Where the next token starts: never on space or a comment. */
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#space();
  }

  value(): JsoncNode {
    const offset = this.#at;
    switch (this.#text[offset]) {
      case "{":
        return { kind: "object", offset, properties: this.#object() };
      case "[":
        return { kind: "array", offset, items: this.#array() };
      case '"':
        return { kind: "value", offset, value: this.#string() };
      default:
        return { kind: "value", offset, value: this.#scalar() };
    }
  }

  end(): void {
    if (this.#at < this.#text.length) this.#fail("end of file expected");
  }

  #object(): JsoncProperty[] {
    const properties: JsoncProperty[] = [];
    this.#list("}", "brace", () => {
      const offset = this.#at;
      if (this.#text[offset] !== '"') this.#fail("property name expected");
      const key = this.#string();
      if (!this.#take(":")) this.#fail("colon expected");
      properties.push({ key, offset, value: this.value() });
    });
    return properties;
  }

  #array(): JsoncNode[] {
    const items: JsoncNode[] = [];
    this.#list("]", "bracket", () => items.push(this.value()));
    return items;
  }

  /** From the opening bracket to the closing one; a comma may end the list. */
  #list(close: string, name: string, item: () => void): void {
    if (++this.#depth > MAX_DEPTH) this.#fail("nested too deeply");
    this.#skip(1);
    while (!this.#take(close)) {
      if (this.#at === this.#text.length) this.#fail(`close ${name} expected`);
      item();
      if (this.#take(",")) continue;
      if (this.#take(close)) break;
      this.#fail(
        this.#at === this.#text.length
          ? `close ${name} expected`
          : "comma expected",
      );
    }
    this.#depth--;
  }

  #string(): string {
    const token = this.#match(STRING);
    if (token === "") this.#fail("unexpected end of string");
    let value: string;
    try {
      value = JSON.parse(token);
    } catch {
      // Quotes and control characters are right: it is an escape.
      this.#fail("invalid escape character");
    }
    this.#skip(token.length);
    return value;
  }

  #scalar(): null | boolean | number {
    const word = this.#match(WORD);
    if (word === "") this.#fail("value expected");
    const literal = LITERALS.get(word);
    if (literal === undefined && this.#match(NUMBER) !== word) {
      this.#fail(
        /^[-\d]/.test(word) ? "invalid number format" : "invalid symbol",
      );
    }
    this.#skip(word.length);
    return literal === undefined ? Number(word) : literal;
  }

  /** What a pattern matches here, or nothing. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0] ?? "";
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#skip(1);
    return true;
  }

  #skip(length: number): void {
    this.#at += length;
    this.#space();
  }

  #space(): void {
    this.#at += this.#match(SPACE).length;
    if (this.#text.startsWith("/*", this.#at)) {
      this.#fail("unexpected end of comment");
    }
  }

  #fail(message: string): never {
    throw new JsoncError(this.#at, message);
  }
}
