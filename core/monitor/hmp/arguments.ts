/**
 * The arguments of a command, as its declaration says: QEMU's notation
 * (`args_type` in its hmp-commands.hx), of which a command here uses:
 *
 * | type | what |
 * |---|---|
 * | `s` | a word, or a text in double quotes |
 * | `F` | a file's name, `B` a drive's: as `s` |
 * | `S` | the rest of the line |
 * | `l` | an expression, `i` one of 32 bits |
 * | `/` | a format as `/4xw` |
 * | `b` | `on` or `off` |
 * | `-f` | a flag, `-fs` one with a word behind it |
 *
 * A `?` behind the type means that it may be absent.
 *
 * @module
 */

import { MonitorError, SyntaxProblem } from "./error.ts";
import { evaluate, type RegisterReader } from "./expression.ts";
import type { DumpFormat } from "./format.ts";
import type { FormatDefaults } from "./format_defaults.ts";

/** What was given for a command's arguments. */
export class Arguments {
  readonly #values = new Map<string, string | bigint | boolean | DumpFormat>();

  /** Set an argument. */
  set(name: string, value: string | bigint | boolean | DumpFormat): void {
    this.#values.set(name, value);
  }

  /** Whether an argument or a flag is there. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** A text; undefined when it was not given. */
  text(name: string): string | undefined {
    return this.#values.get(name) as string | undefined;
  }

  /** An integer; undefined when it was not given. */
  integer(name: string): bigint | undefined {
    return this.#values.get(name) as bigint | undefined;
  }

  /** `on` or `off`; undefined when it was not given. */
  isOn(name: string): boolean | undefined {
    return this.#values.get(name) as boolean | undefined;
  }

  /** A format. */
  format(name: string): DumpFormat {
    return this.#values.get(name) as DumpFormat;
  }
}

/** What the arguments are read with. */
export interface ReadingOptions {
  /** The command, for messages. */
  readonly command: string;
  /** The values of registers in expressions. */
  readonly registers: RegisterReader;
  /** The formats given last, which are changed. */
  readonly defaults: FormatDefaults;
}

/** One argument of a declaration. */
interface Declared {
  readonly name: string;
  readonly type: string;
  readonly isOptional: boolean;
}

/** The arguments that a declaration has. */
export function declaredArguments(declaration: string): readonly Declared[] {
  if (declaration === "") return [];
  return declaration.split(",").map((part) => {
    const [name, kind] = part.split(":");
    const isOptional = kind.endsWith("?");
    return { name, type: isOptional ? kind.slice(0, -1) : kind, isOptional };
  });
}

const SIZES = { b: 1, h: 2, w: 4, g: 8, L: 8 } as const;
/** More values than this are a slip of the hand. */
const MAX_COUNT = 65536;

/** What a word of each type is called when it is missing. */
const EXPECTED: Readonly<Record<string, string>> = {
  F: "filename expected",
  B: "block device name expected",
  s: "string expected",
};

/** Read arguments. Throws a `SyntaxProblem` for what is wrong in them. */
export function readArguments(
  declaration: string,
  text: string,
  options: ReadingOptions,
): Arguments {
  const reader = new Reader(text, options);
  const declared = declaredArguments(declaration);
  for (const [i, { name, type, isOptional }] of declared.entries()) {
    if (type.startsWith("-")) {
      const flags = declared.slice(i).filter((one) => one.type[0] === "-");
      reader.flag(name, type, flags.map((one) => one.type[1]));
    } else reader.read(name, type, isOptional);
  }
  reader.end();
  return reader.found;
}

class Reader {
  readonly found = new Arguments();
  readonly #text: string;
  readonly #options: ReadingOptions;
  #at = 0;

  constructor(text: string, options: ReadingOptions) {
    this.#text = text;
    this.#options = options;
  }

  #skip(): string {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
    return this.#text[this.#at] ?? "";
  }

  end(): void {
    if (this.#skip() === "") return;
    throw new SyntaxProblem(
      `${this.#options.command}: extraneous characters at the end of line`,
    );
  }

  /** A flag, if it is next; `possible` are the letters of those that may be. */
  flag(name: string, type: string, possible: readonly string[]): void {
    if (this.#skip() !== "-") return;
    const { command } = this.#options;
    const [, letter] = /^-(\S)(?!\S)/.exec(this.#text.slice(this.#at)) ?? [];
    if (letter !== undefined && !possible.includes(letter)) {
      throw new SyntaxProblem(`${command}: unsupported option -${letter}`);
    }
    if (letter !== type[1]) return;
    this.#at += 2;
    if (type.length === 2) {
      this.found.set(name, true);
      return;
    }
    const word = this.#word(this.#skip());
    if (word === undefined) {
      throw new SyntaxProblem(`${command}: value expected for -${letter}`);
    }
    this.found.set(name, word);
  }

  read(name: string, type: string, isOptional: boolean): void {
    const next = this.#skip();
    const { command, registers } = this.#options;
    if (type === "/") {
      this.found.set(name, this.#format(next));
      return;
    }
    if (next === "" && isOptional) return;
    switch (type) {
      case "s":
      case "F":
      case "B": {
        const word = this.#word(next);
        if (word === undefined) {
          throw new SyntaxProblem(`${command}: ${EXPECTED[type]}`);
        }
        this.found.set(name, word);
        return;
      }
      case "S": {
        const rest = this.#text.slice(this.#at).trimEnd();
        if (rest === "") {
          throw new SyntaxProblem(`${command}: string expected`);
        }
        this.found.set(name, rest);
        this.#at = this.#text.length;
        return;
      }
      case "b": {
        const word = this.#word(next) ?? "";
        if (word !== "on" && word !== "off") {
          throw new SyntaxProblem("Expected 'on' or 'off'");
        }
        this.found.set(name, word === "on");
        return;
      }
      case "l":
      case "i": {
        const { value, end } = evaluate(this.#text, this.#at, registers);
        if (type === "i" && BigInt.asIntN(32, value) !== value) {
          throw new SyntaxProblem(
            `'${command}' has failed: integer is for 32-bit values`,
          );
        }
        this.#at = end;
        this.found.set(name, value);
        return;
      }
      default:
        throw new Error(`an argument has the type "${type}"`);
    }
  }

  /** A word, or what stands in quotes; undefined at the end. */
  #word(next: string): string | undefined {
    if (next === "") return undefined;
    if (next !== '"') {
      const [word] = /^\S+/.exec(this.#text.slice(this.#at))!;
      this.#at += word.length;
      return word;
    }
    let word = "";
    for (let i = this.#at + 1; i < this.#text.length; i++) {
      let c = this.#text[i];
      if (c === '"') {
        this.#at = i + 1;
        return word;
      }
      if (c === "\\") {
        const escaped = this.#text[++i] ?? "";
        const meaning = ({
          n: "\n",
          r: "\r",
          "\\": "\\",
          "'": "'",
          '"': '"',
        } as Record<string, string>)[escaped];
        if (meaning === undefined) {
          throw new SyntaxProblem(`unsupported escape code: '\\${escaped}'`);
        }
        c = meaning;
      }
      word += c;
    }
    throw new SyntaxProblem("unterminated string");
  }

  #format(next: string): DumpFormat {
    const { defaults } = this.#options;
    let { format, size } = defaults;
    if (next !== "/") return { count: 1, format, size };
    const [text, count, letters] = /^\/(\d*)([odxuicbhwgL]*)/.exec(
      this.#text.slice(this.#at),
    )!;
    this.#at += text.length;
    const after = this.#text[this.#at] ?? " ";
    if (!/\s/.test(after)) {
      throw new SyntaxProblem(`invalid char in format: '${after}'`);
    }
    for (const letter of letters) {
      if (letter in SIZES) size = SIZES[letter as keyof typeof SIZES];
      else format = letter as DumpFormat["format"];
    }
    defaults.format = format;
    if (format !== "i") defaults.size = size;
    const values = count === "" ? 1 : Number(count);
    if (values > MAX_COUNT) {
      throw new MonitorError(
        `${values} values are too many: ${MAX_COUNT} at once at most`,
      );
    }
    return { count: values, format, size };
  }
}
