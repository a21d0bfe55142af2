/**
 * The text of a function, from the bytes of its module, with line by line what
 * it was made for.
 *
 * The printer is wabt, the reference implementation; it is loaded when the
 * first text is asked for. It says of no line where it came from, so it prints a
 * copy of the module that has a `nop`, which the compilers here never emit, at
 * each place that something is known of. The copy also has names for functions
 * and locals.
 *
 * @module
 */

import { Emitter } from "./emitter.ts";

/** What is known of a module with one function of its own. */
export interface FunctionNotes {
  /** The name of an imported function. */
  importName(module: string, name: string): string;
  /** The function's name. */
  readonly name: string;
  /** The names of its locals. */
  readonly locals: readonly (string | undefined)[];
  /** Pairs in ascending order: an offset in the function's body, and a number that holds for the code from there. */
  readonly marks: readonly number[];
}

/** One line of a function's text. */
export interface TextLine {
  /** The last mark before it; undefined before the first. */
  readonly mark: number | undefined;
  /** How deep it is in blocks, from 0. */
  readonly depth: number;
  /** The instruction. */
  readonly text: string;
}

/** A function's text. */
export interface FunctionText {
  /** Its type and locals. */
  readonly head: readonly string[];
  /** Its instructions, a line each. */
  readonly lines: readonly TextLine[];
}

const HEADER_BYTES = 8;
/** Sections. */
const CUSTOM = 0, IMPORTS = 2, CODE = 10;
/** Kinds of imports. */
const FUNCTION = 0, TABLE = 1, MEMORY = 2, GLOBAL = 3;
/** Subsections of the name section. */
const FUNCTION_NAMES = 1, LOCAL_NAMES = 2;
const NOP = 0x01;
const HINTS = "metadata.code.branch_hint";
/** Not a mark: a branch here is hardly ever taken. */
const UNLIKELY = Symbol("unlikely");

/** Reads a module's bytes. */
class Reader {
  readonly #bytes: Uint8Array;
  at: number;
  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }
  get atEnd(): boolean {
    return this.at >= this.#bytes.length;
  }
  u8(): number {
    return this.#bytes[this.at++];
  }
  u32(): number {
    let value = 0;
    for (let shift = 0;; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }
  name(): string {
    const length = this.u32();
    this.at += length;
    return new TextDecoder().decode(
      this.#bytes.subarray(this.at - length, this.at),
    );
  }
  /** A table's or memory's size. */
  limits(): void {
    const hasMaximum = (this.u8() & 1) !== 0;
    this.u32();
    if (hasMaximum) this.u32();
  }
}

/** The names of the imported functions, in order. */
function importedFunctions(
  reader: Reader,
  nameOf: FunctionNotes["importName"],
): string[] {
  const names: string[] = [];
  for (let n = reader.u32(); n > 0; n--) {
    const module = reader.name();
    const name = reader.name();
    const kind = reader.u8();
    switch (kind) {
      case FUNCTION:
        reader.u32();
        names.push(nameOf(module, name));
        break;
      case TABLE:
        reader.u8();
        reader.limits();
        break;
      case MEMORY:
        reader.limits();
        break;
      case GLOBAL:
        reader.u8();
        reader.u8();
        break;
      default:
        throw new Error(`an import is of the unknown kind ${kind}`);
    }
  }
  return names;
}

/** The offsets of the branch hints of the only function that has any. */
function hintOffsets(reader: Reader): number[] {
  const offsets: number[] = [];
  if (reader.u32() === 0) return offsets;
  reader.u32();
  for (let n = reader.u32(); n > 0; n--) {
    offsets.push(reader.u32());
    const length = reader.u32();
    reader.at += length;
  }
  return offsets;
}

/** A section or subsection. */
function section(id: number, fill: (body: Emitter) => void): Uint8Array {
  const body = new Emitter();
  fill(body);
  const whole = new Emitter(body.length + 8);
  whole.u8(id);
  whole.u32(body.length);
  whole.raw(body.bytes, 0, body.length);
  return whole.bytes.subarray(0, whole.length);
}

type Place = readonly [offset: number, what: number | typeof UNLIKELY];

/** The copy of a module that is printed, and what each of its `nop`s stands for. */
function annotate(
  module: Uint8Array,
  notes: FunctionNotes,
): { copy: Uint8Array<ArrayBuffer>; places: readonly Place[] } {
  const places: Place[] = [];
  for (let i = 0; i < notes.marks.length; i += 2) {
    places.push([notes.marks[i], notes.marks[i + 1]]);
  }
  let names: string[] = [];
  const out = new Emitter(module.length + 4096);
  out.raw(module, 0, HEADER_BYTES);
  const reader = new Reader(module, HEADER_BYTES);
  while (!reader.atEnd) {
    const start = reader.at;
    const id = reader.u8();
    const end = reader.u32() + reader.at;
    if (id === IMPORTS) names = importedFunctions(reader, notes.importName);
    if (id === CUSTOM && reader.name() === HINTS) {
      for (const at of hintOffsets(reader)) places.push([at, UNLIKELY]);
      places.sort(([a], [b]) => a - b);
    } else if (id === CODE) {
      if (reader.u32() !== 1) throw new Error("expected one function");
      reader.u32();
      out.raw(section(CODE, (code) => {
        code.u32(1);
        code.u32(end - reader.at + places.length);
        let done = 0;
        for (const [offset] of places) {
          code.raw(module, reader.at + done, offset - done);
          code.u8(NOP);
          done = offset;
        }
        code.raw(module, reader.at + done, end - reader.at - done);
      }));
    } else if (id !== CUSTOM) {
      out.raw(module, start, end - start);
    }
    reader.at = end;
  }
  out.raw(section(CUSTOM, (body) => {
    body.name("name");
    body.raw(section(FUNCTION_NAMES, (functions) => {
      functions.u32(names.length + 1);
      [...names, notes.name].forEach((name, i) => {
        functions.u32(i);
        functions.name(name);
      });
    }));
    body.raw(section(LOCAL_NAMES, (functions) => {
      functions.u32(1);
      functions.u32(names.length);
      const locals = [...notes.locals.entries()]
        .filter(([, name]) => name !== undefined);
      functions.u32(locals.length);
      for (const [i, name] of locals) {
        functions.u32(i);
        functions.name(name!);
      }
    }));
  }));
  return { copy: out.bytes.slice(0, out.length), places };
}

/** What is used of wabt. */
type Wabt = Pick<Awaited<ReturnType<typeof import("wabt")>>, "readWasm">;

/** Prints functions. */
export class FunctionPrinter {
  readonly #wabt: Wabt;

  /** For {@linkcode FunctionPrinter.load}. */
  private constructor(wabt: Wabt) {
    this.#wabt = wabt;
  }

  /** Loads the printer. */
  static async load(): Promise<FunctionPrinter> {
    const { default: load } = await import("wabt");
    return new FunctionPrinter(await load());
  }

  /** The text of the only function in a module. */
  print(module: Uint8Array, notes: FunctionNotes): FunctionText {
    const { copy, places } = annotate(module, notes);
    const parsed = this.#wabt.readWasm(copy, {
      readDebugNames: true,
      simd: true,
      tail_call: true,
      threads: true,
    });
    let text: string;
    try {
      parsed.applyNames();
      text = parsed.toText({ foldExprs: false, inlineExport: false });
    } finally {
      parsed.destroy();
    }
    return readText(text, places);
  }
}

/** The function in a module's text. */
function readText(text: string, places: readonly Place[]): FunctionText {
  const all = text.trimEnd().split("\n");
  // Indented by 2 are the parts of the module, by 4 the instructions.
  const first = all.findIndex((line) => line.startsWith("  (func "));
  let end = first + 1;
  while (end < all.length && /^ {4}/.test(all[end])) end++;
  const body = all.slice(first, end);
  // The last line also closes the function, and the module if nothing follows.
  const closing = end === all.length ? 2 : 1;
  body.push(body.pop()!.slice(0, -closing));
  const heads = body.findIndex((line, i) => i > 0 && !/^ {4}\(/.test(line));
  const lines: TextLine[] = [];
  let mark: number | undefined;
  let next = 0;
  let comment = "";
  for (const line of body.slice(heads)) {
    const instruction = line.trim();
    if (instruction === "nop") {
      const [, what] = places[next++];
      if (what === UNLIKELY) comment = "  ;; unlikely";
      else mark = what;
      continue;
    }
    const depth = (line.length - line.trimStart().length - 4) / 2;
    lines.push({ mark, depth, text: instruction + comment });
    comment = "";
  }
  if (next !== places.length) {
    throw new Error(`found ${next} marks in the text, not ${places.length}`);
  }
  return { head: body.slice(0, heads).map((line) => line.trim()), lines };
}
