/**
 * A seeded generator of pseudo-random numbers (sfc32), so that a failing test
 * can be run again from the seed it printed.
 *
 * @module
 */

/** A source of reproducible randomness. */
export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** Starts a sequence that depends on the seed alone. */
  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = 0x9e3779b9 | 0;
    this.#c = 0x243f6a88;
    this.#d = 1;
    for (let i = 0; i < 12; i++) this.u32();
  }

  /** 32 random bits, unsigned. */
  u32(): number {
    const t = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t | 0;
    return t >>> 0;
  }

  /** An integer from 0 to `n - 1`. */
  below(n: number): number {
    return Math.floor(this.u32() / 4294967296 * n);
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  /** One of the elements. */
  pick<T>(list: ArrayLike<T>): T {
    return list[this.below(list.length)];
  }
}

/** The seed to use: `RHEA_SEED` if set, else the given one. */
export function seedFrom(fallback: number): number {
  const text = Deno.env.get("RHEA_SEED");
  return text === undefined ? fallback : Number(text) >>> 0;
}

let fresh: number | undefined;

/**
 * The seed of a run that is to look where none has looked before: `RHEA_SEED`
 * if set, else a new one, which is printed. One for all tests of a file.
 * `inCi`: a seed instead of that where the environment has `CI`.
 */
export function freshSeed(inCi?: number): number {
  if (fresh === undefined) {
    const isFixed = inCi !== undefined && Deno.env.has("CI");
    const some = crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
    fresh = seedFrom(isFixed ? inCi : some);
    console.log(`RHEA_SEED=${fresh}`);
  }
  return fresh;
}

/** How many cases to run: `RHEA_CASES` if set, else the given number. */
export function casesFrom(fallback: number): number {
  const text = Deno.env.get("RHEA_CASES");
  return text === undefined ? fallback : Number(text);
}
