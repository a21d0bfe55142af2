/**
 * What makes the code of the flow tests' random programs, of 32 and of 64 bits:
 * procedures on a few pages, each in two versions of the same layout, and the
 * calls between them.
 *
 * @module
 */

import type { Prng } from "./prng.ts";

/** Bytes of a page. */
const PAGE = 4096;

/** The bytes of a word. */
export function word(v: number): number[] {
  return [v & 0xff, v >>> 8 & 0xff, v >>> 16 & 0xff, v >>> 24 & 0xff];
}

/** A call of a procedure that is not placed yet. */
interface Call {
  /** Where the distance goes. */
  readonly at: number;
  readonly versions: readonly number[];
  readonly procedure: number;
}

/** Where the code and the tables are. */
export interface FlowPlaces {
  /** Pages of code. */
  readonly pages: number;
  /** Address of the page of tables and counters. */
  readonly tables: number;
}

/** Makes the code of a program. */
export abstract class FlowCode {
  /** Both versions. */
  readonly code: [Uint8Array, Uint8Array];
  /** The page of tables and counters. */
  readonly tables: Uint8Array<ArrayBuffer> = new Uint8Array(PAGE);
  /** Offset of the next byte of code. */
  at = 0;
  /** Offsets of immediates of 32 bits whose value is anybody's. */
  readonly values: number[] = [];
  /** Offsets of procedures. */
  protected readonly starts: number[] = [];
  /** Arguments that each procedure takes from the stack. */
  protected readonly arguments: readonly number[];
  /** How many procedures there are. */
  protected readonly count: number;
  /** The one that is being made; -1: the main program. */
  protected procedure: number = -1;
  readonly #calls: Call[] = [];
  readonly #places: FlowPlaces;
  #tableNext = 0x400;
  #counterNext = 0;

  /** Code of so many procedures. */
  constructor(readonly p: Prng, count: number, places: FlowPlaces) {
    this.count = count;
    this.#places = places;
    const bytes = (places.pages + 1) * PAGE;
    this.code = [
      new Uint8Array(bytes).fill(0xcc),
      new Uint8Array(bytes).fill(0xcc),
    ];
    this.arguments = Array.from(
      { length: count },
      () => p.oneIn(4) ? 1 + p.below(3) : 0,
    );
  }

  /** What runs first, and round and round. */
  protected abstract main(): void;
  /** A procedure. */
  protected abstract body(i: number): void;
  /** Arithmetic with an immediate that differs between the versions. */
  protected abstract arithmetic(): void;
  /** Fills in what was not known yet. */
  protected abstract resolve(): void;

  /** Makes all of it. */
  make(): void {
    const { p } = this;
    const { pages } = this.#places;
    this.main();
    for (let i = 0; i < this.count; i++) {
      const page = Math.floor(this.at / PAGE);
      const end = (page + 1) * PAGE;
      if (page < pages - 1 && p.oneIn(2)) {
        // Somewhere before the end of the page, so that it lies across it.
        this.at = Math.max(this.at, end - 1 - p.below(60));
      } else this.at += p.below(24);
      this.starts.push(this.at);
      this.procedure = i;
      this.body(i);
    }
    if (this.at > pages * PAGE) throw new Error("the program is too long");
    for (const { at, versions, procedure } of this.#calls) {
      const distance = word(this.starts[procedure] - at - 4);
      for (const v of versions) this.code[v].set(distance, at);
    }
    this.resolve();
  }

  /** Bytes of both versions. */
  protected emit(...bytes: number[]): void {
    for (const code of this.code) code.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** An immediate of 32 bits, which differs in the second version, half of the time. */
  protected value(): void {
    const { p } = this;
    this.values.push(this.at);
    const value = p.oneIn(2) ? p.below(100) : p.u32();
    const other = p.oneIn(2) ? value : p.u32();
    this.code[0].set(word(value), this.at);
    this.code[1].set(word(other), this.at);
    this.at += 4;
  }

  /** A ModRM byte, which differs in the second version now and then. */
  protected modrm(make: () => number): void {
    const first = make();
    this.code[0][this.at] = first;
    this.code[1][this.at] = this.p.oneIn(3) ? make() : first;
    this.at++;
  }

  /** EDX becomes the next random number. */
  protected random(): void {
    this.emit(0x69, 0xd2, ...word(1103515245));
    this.emit(0x81, 0xc2);
    this.value();
  }

  /** A near branch on a condition to a place that `then` emits code up to. */
  protected unless(condition: number, then: () => void): void {
    this.emit(0x0f, 0x80 | condition, 0, 0, 0, 0);
    const from = this.at;
    then();
    this.jumpsTo(from, this.at);
  }

  /** The jump that ends at `from` goes to `to`. */
  protected jumpsTo(from: number, to: number): void {
    for (const code of this.code) code.set(word(to - from), from - 4);
  }

  /** `then`, once in about 2 to the power of `bits` times. */
  protected seldom(bits: number, then: () => void): void {
    const shift = 8 + this.p.below(20 - bits);
    this.random();
    this.emit(0xf7, 0xc2, ...word(((1 << bits) - 1) << shift)); // TEST EDX
    this.unless(5, then); // JNZ
  }

  /** The address of a counter; there are 256 in turn. */
  protected counter(): number {
    this.#counterNext = (this.#counterNext + 4) % 0x400;
    return this.#places.tables + this.#counterNext;
  }

  /** Room in the page of tables: its offset. */
  protected room(bytes: number): number {
    const at = this.#tableNext;
    this.#tableNext += bytes;
    if (this.#tableNext > PAGE) throw new Error("the tables are too long");
    return at;
  }

  /** A later procedure. */
  protected callee(): number {
    const { p } = this;
    return Math.min(this.procedure + 1 + p.below(4), this.count - 1);
  }

  /** A later procedure, most likely one without arguments. */
  protected plainCallee(): number {
    let to = this.callee();
    for (let tries = 0; tries < 4 && this.arguments[to] > 0; tries++) {
      to = this.callee();
    }
    return to;
  }

  /** CALL; behind each stands arithmetic that the callee may skip. */
  protected call(to: number): void {
    const { p } = this;
    for (let n = 0; n < this.arguments[to]; n++) this.emit(0x68, ...word(n));
    this.emit(0xe8, 0, 0, 0, 0);
    const at = this.at - 4;
    // What lies across two pages may be of two versions.
    const across = (at % PAGE) > PAGE - 4;
    const other = this.callee();
    if (
      !across && p.oneIn(3) && this.arguments[other] === this.arguments[to] &&
      to !== this.procedure
    ) {
      this.#calls.push({ at, versions: [0], procedure: to });
      this.#calls.push({ at, versions: [1], procedure: other });
    } else this.#calls.push({ at, versions: [0, 1], procedure: to });
    this.arithmetic();
  }

  /** An index in EAX, below a power of two. */
  protected index(power: number): void {
    this.random();
    this.emit(0x89, 0xd0); // MOV EAX, EDX
    this.emit(0xc1, 0xe8, 16 + this.p.below(8)); // SHR EAX
    this.emit(0x83, 0xe0, power - 1); // AND EAX
  }

  /** For a store at `store`: most places in code that runs soon. */
  protected near(store: number): (at: number) => boolean {
    const far = this.p.oneIn(3);
    return (at) => {
      const distance = at - store;
      return far || distance > -200 && distance < 800;
    };
  }
}
