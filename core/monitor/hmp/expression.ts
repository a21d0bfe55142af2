/**
 * Expressions in commands: 64-bit integers, registers and operators, by the
 * grammar of QEMU's monitor (`expr_sum` in its monitor/hmp.c), in which sums
 * bind less than `& | ^`, and those less than products.
 *
 * @module
 */

import { SyntaxProblem } from "./error.ts";

/** Gives a register's value by its name; undefined for a name that is none. */
export type RegisterReader = (name: string) => bigint | undefined;

/** An expression that was read from a text. */
export interface Evaluated {
  /** The value: 64 bits, signed. */
  readonly value: bigint;
  /** Where in the text it ended, the spaces after it included. */
  readonly end: number;
}

/** Parentheses and signs within each other at most: no line exhausts the stack. */
const MAX_DEPTH = 200;

/** Evaluate the expression at `text[start]`. Throws a `SyntaxProblem`. */
export function evaluate(
  text: string,
  start: number,
  registers: RegisterReader,
): Evaluated {
  const parser = new Parser(text, start, registers);
  const value = parser.sum();
  return { value, end: parser.at };
}

function int64(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

class Parser {
  at: number;
  readonly #text: string;
  readonly #registers: RegisterReader;
  #depth = 0;

  constructor(text: string, start: number, registers: RegisterReader) {
    this.#text = text;
    this.#registers = registers;
    this.at = start;
    this.#skip();
  }

  get #next(): string {
    return this.#text[this.at] ?? "";
  }

  #skip(): void {
    while (/\s/.test(this.#next)) this.at++;
  }

  /** The operator that is next, of these. */
  #operator(operators: string): string | undefined {
    const next = this.#next;
    if (next === "" || !operators.includes(next)) return undefined;
    this.at++;
    this.#skip();
    return next;
  }

  sum(): bigint {
    let value = this.#logic();
    for (let op; (op = this.#operator("+-")) !== undefined;) {
      const right = this.#logic();
      value = int64(op === "+" ? value + right : value - right);
    }
    return value;
  }

  #logic(): bigint {
    let value = this.#product();
    for (let op; (op = this.#operator("&|^")) !== undefined;) {
      const right = this.#product();
      value = op === "&"
        ? value & right
        : op === "|"
        ? value | right
        : value ^ right;
    }
    return value;
  }

  #product(): bigint {
    let value = this.#unary();
    for (let op; (op = this.#operator("*/%")) !== undefined;) {
      const right = this.#unary();
      if (op !== "*" && right === 0n) {
        throw new SyntaxProblem("division by zero");
      }
      value = int64(
        op === "*" ? value * right : op === "/" ? value / right : value % right,
      );
    }
    return value;
  }

  #unary(): bigint {
    if (++this.#depth > MAX_DEPTH) {
      throw new SyntaxProblem("the expression is nested too deeply");
    }
    try {
      const op = this.#operator("+-~");
      if (op === "-") return int64(-this.#unary());
      if (op === "~") return ~this.#unary();
      if (op === "+") return this.#unary();
      return this.#primary();
    } finally {
      this.#depth--;
    }
  }

  #primary(): bigint {
    if (this.#operator("(") !== undefined) {
      const value = this.sum();
      if (this.#operator(")") === undefined) {
        throw new SyntaxProblem("')' expected");
      }
      return value;
    }
    const rest = this.#text.slice(this.at, this.at + 128);
    if (rest.startsWith("'")) {
      if (rest.length < 2) {
        throw new SyntaxProblem("character constant expected");
      }
      if (rest[2] !== "'") {
        throw new SyntaxProblem("missing terminating ' character");
      }
      this.#take(3);
      return BigInt(rest.charCodeAt(1) & 0xff);
    }
    if (rest.startsWith("$")) {
      const [name] = /^[\w.]*/.exec(rest.slice(1))!;
      const value = this.#registers(name.toLowerCase());
      if (value === undefined) throw new SyntaxProblem("unknown register");
      this.#take(1 + name.length);
      return int64(value);
    }
    if (rest === "") throw new SyntaxProblem("unexpected end of expression");
    return this.#number(rest);
  }

  /** As C's `strtoull` with base 0 reads it. */
  #number(rest: string): bigint {
    const hex = /^0x[0-9a-f]+/i.exec(rest)?.[0];
    const octal = /^0[0-7]*/.exec(rest)?.[0];
    const digits = hex ?? octal ?? /^\d+/.exec(rest)?.[0];
    if (digits === undefined) {
      throw new SyntaxProblem(`invalid char '${rest[0]}' in expression`);
    }
    this.#take(digits.length);
    const value = BigInt(
      hex === undefined && octal !== undefined
        ? `0o${octal.slice(1) || "0"}`
        : digits,
    );
    if (value >= 2n ** 64n) throw new SyntaxProblem("number too large");
    return int64(value);
  }

  #take(length: number): void {
    this.at += length;
    this.#skip();
  }
}
