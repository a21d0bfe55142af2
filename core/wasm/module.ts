/**
 * Assembles a WebAssembly module from function bodies: types, imports,
 * functions, element segments and code (core specification, section 5.5).
 *
 * @module
 */

import { Emitter } from "./emitter.ts";
import { END } from "./opcodes.ts";

/** A function type: WebAssembly value type codes. */
export interface FunctionType {
  /** Parameter types. */
  readonly params: readonly number[];
  /** Result types. */
  readonly results: readonly number[];
}

interface ImportedFunction {
  readonly module: string;
  readonly name: string;
  readonly type: number;
}

interface FunctionBody {
  readonly type: number;
  readonly code: Uint8Array;
  readonly tableIndex: number;
  readonly exportName: string | undefined;
  readonly hints: readonly number[];
}

/** Builds one module. Import functions first, then add functions. */
export class ModuleBuilder {
  readonly #types: FunctionType[] = [];
  readonly #typeKeys = new Map<string, number>();
  readonly #imports: ImportedFunction[] = [];
  readonly #importKeys = new Map<string, number>();
  readonly #functions: FunctionBody[] = [];
  readonly #memoryPages: number;

  /** A module that imports a shared memory of exactly `memoryPages` pages as `env.memory` and a table as `env.table`. */
  constructor(memoryPages: number) {
    this.#memoryPages = memoryPages;
  }

  /** The index of a function type. */
  type(params: readonly number[], results: readonly number[]): number {
    const key = params.join() + ">" + results.join();
    const known = this.#typeKeys.get(key);
    if (known !== undefined) return known;
    this.#types.push({ params, results });
    this.#typeKeys.set(key, this.#types.length - 1);
    return this.#types.length - 1;
  }

  /** The index of an imported function. */
  importFunction(module: string, name: string, type: number): number {
    const key = module + "." + name;
    const known = this.#importKeys.get(key);
    if (known !== undefined) return known;
    this.#imports.push({ module, name, type });
    this.#importKeys.set(key, this.#imports.length - 1);
    return this.#imports.length - 1;
  }

  /** Index of the function that is added next, for calls; no import may be added after it was asked for. */
  get functionIndex(): number {
    return this.#imports.length + this.#functions.length;
  }

  /**
   * Adds a function: `code` is its locals and instructions without the last
   * `end`. It is put at `tableIndex` of the table, unless that is negative.
   * `unlikely` are the offsets in `code` of `if` and `br_if` instructions that
   * are hardly ever taken (the branch hinting proposal).
   */
  addFunction(
    type: number,
    code: Uint8Array,
    tableIndex: number,
    exportName?: string,
    unlikely: readonly number[] = [],
  ): void {
    this.#functions.push({
      type,
      code,
      tableIndex,
      exportName,
      hints: unlikely,
    });
  }

  /** The module's bytes. */
  build(): Uint8Array<ArrayBuffer> {
    const out = new Emitter(
      1024 + this.#functions.reduce((n, f) => n + f.code.length + 32, 0),
    );
    out.raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    const section = new Emitter(256);
    const put = (id: number): void => {
      out.u8(id);
      out.u32(section.length);
      out.raw(section.bytes, 0, section.length);
      section.clear();
    };
    section.u32(this.#types.length);
    for (const t of this.#types) {
      section.u8(0x60);
      section.u32(t.params.length);
      for (const p of t.params) section.u8(p);
      section.u32(t.results.length);
      for (const r of t.results) section.u8(r);
    }
    put(1);
    section.u32(this.#imports.length + 2);
    section.name("env");
    section.name("memory");
    section.u8(2);
    section.u8(3); // shared, with a maximum
    section.u32(this.#memoryPages);
    section.u32(this.#memoryPages);
    section.name("env");
    section.name("table");
    section.u8(1);
    section.u8(0x70);
    section.u8(0);
    section.u32(1);
    for (const i of this.#imports) {
      section.name(i.module);
      section.name(i.name);
      section.u8(0);
      section.u32(i.type);
    }
    put(2);
    section.u32(this.#functions.length);
    for (const f of this.#functions) section.u32(f.type);
    put(3);
    const exported = this.#functions.filter((f) => f.exportName !== undefined);
    if (exported.length > 0) {
      section.u32(exported.length);
      this.#functions.forEach((f, i) => {
        if (f.exportName === undefined) return;
        section.name(f.exportName);
        section.u8(0);
        section.u32(this.#imports.length + i);
      });
      put(7);
    }
    const placed = this.#functions.filter((f) => f.tableIndex >= 0);
    if (placed.length > 0) {
      section.u32(placed.length);
      this.#functions.forEach((f, i) => {
        if (f.tableIndex < 0) return;
        section.u8(0);
        section.i32Const(f.tableIndex);
        section.u8(END);
        section.u32(1);
        section.u32(this.#imports.length + i);
      });
      put(9);
    }
    const hinted = this.#functions.filter((f) => f.hints.length > 0);
    if (hinted.length > 0) {
      section.name("metadata.code.branch_hint");
      section.u32(hinted.length);
      this.#functions.forEach((f, i) => {
        if (f.hints.length === 0) return;
        section.u32(this.#imports.length + i);
        section.u32(f.hints.length);
        for (const offset of f.hints) {
          section.u32(offset);
          section.u8(1);
          section.u8(0); // unlikely
        }
      });
      put(0);
    }
    section.u32(this.#functions.length);
    for (const f of this.#functions) {
      section.u32(f.code.length + 1);
      section.raw(f.code);
      section.u8(END);
    }
    put(10);
    return out.bytes.slice(0, out.length);
  }
}
