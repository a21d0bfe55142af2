/**
 * Numbers for fuzz tests that are the same in each run, and the runs: a failing
 * one is told with its seed.
 *
 * `RHEA_SEED=n` runs a seed again, `RHEA_CASES=n` sets how many there are.
 *
 * @module
 */

/** A generator of numbers that are the same in each run (xorshift32). */
export class Random {
  #x: number;

  /** A sequence of its own for each seed. */
  constructor(seed: number) {
    this.#x = Math.imul(seed, 0x9e3779b9) | 1;
  }

  /** A number from 0 to `limit` - 1. */
  below(limit: number): number {
    let x = this.#x;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#x = x;
    return (x >>> 0) % limit;
  }

  /** One of these. */
  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }
}

/** `Random.below` of a new generator. */
export function randomBelow(seed: number): (limit: number) => number {
  const random = new Random(seed);
  return (limit) => random.below(limit);
}

/** How many seeds there are, and whether it is one that was asked for. */
export interface Runs {
  /** Seeds that were run. */
  readonly cases: number;
  /** It was one seed again: of that alone no more is expected. */
  readonly again: boolean;
}

/** Run with each seed, from 1 to `cases` unless the environment has others. */
export async function forSeeds(
  cases: number,
  run: (seed: number) => Promise<void>,
): Promise<Runs> {
  const wanted = Deno.env.get("RHEA_SEED");
  const count = Number(Deno.env.get("RHEA_CASES") ?? cases);
  const seeds = wanted === undefined
    ? Array.from({ length: count }, (_, i) => i + 1)
    : [Number(wanted)];
  for (const seed of seeds) {
    try {
      await run(seed);
    } catch (error) {
      throw new Error(`RHEA_SEED=${seed}: ${error}`, { cause: error });
    }
  }
  return { cases: seeds.length, again: wanted !== undefined };
}
