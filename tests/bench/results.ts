/**
 * What was measured, and its medians.
 *
 * @module
 */

/** The sets that are reported and judged on their own. */
export type Group = "start" | "bare" | "boot" | "linux";

/** One measurement. */
export interface Sample {
  /** Wall time in milliseconds. */
  readonly wall: number;
  /** CPU time of the target's busiest thread in milliseconds, or NaN. */
  readonly cpu: number;
  /** The most memory that the target had resident until then, in bytes. */
  readonly peak: number;
  /** What the guest computed, if it says. */
  readonly checksum?: string;
}

/** All samples of one benchmark. */
export class Result {
  readonly #samples = new Map<string, Sample[]>();
  readonly #errors = new Map<string, string>();

  /** The group that it belongs to, its name, and the guest's RAM. */
  constructor(
    readonly group: Group,
    readonly name: string,
    readonly ramBytes: number,
  ) {}

  /** Add a target's sample. */
  add(target: string, sample: Sample): void {
    const list = this.#samples.get(target);
    if (list === undefined) this.#samples.set(target, [sample]);
    else list.push(sample);
  }

  /** A target failed: it takes no further part. */
  fail(target: string, message: string): void {
    this.#errors.set(target, message);
  }

  /** Whether a target has failed. */
  failed(target: string): boolean {
    return this.#errors.has(target);
  }

  /** What failed, by target. */
  get errors(): ReadonlyMap<string, string> {
    return this.#errors;
  }

  /** A target's samples. */
  samples(target: string): readonly Sample[] {
    return this.#samples.get(target) ?? [];
  }

  /** The median of a target's wall times in milliseconds, or NaN. */
  median(target: string): number {
    return median(this.samples(target).map(({ wall }) => wall));
  }

  /** The median of a target's CPU times in milliseconds, or NaN. */
  cpuMedian(target: string): number {
    return median(this.samples(target).map(({ cpu }) => cpu));
  }

  /** The ratio of two targets' medians, or NaN. */
  ratio(target: string, yardstick: string): number {
    return this.median(target) / this.median(yardstick);
  }

  /** The ratio of two targets' median CPU times, or NaN. */
  cpuRatio(target: string, yardstick: string): number {
    return this.cpuMedian(target) / this.cpuMedian(yardstick);
  }

  /** The most memory over the guest's RAM that a target had, or NaN. */
  overhead(target: string): number {
    const peaks = this.samples(target).map(({ peak }) => peak);
    return peaks.length === 0 ? NaN : Math.max(...peaks) - this.ramBytes;
  }

  /** The different checksums and who gave them; one if all agree. */
  checksums(): ReadonlyMap<string, readonly string[]> {
    const sums = new Map<string, string[]>();
    for (const [target, samples] of this.#samples) {
      for (const { checksum } of samples) {
        if (checksum === undefined) continue;
        const who = sums.get(checksum) ?? [];
        if (!who.includes(target)) who.push(target);
        sums.set(checksum, who);
      }
    }
    return sums;
  }

  /** Whether all targets did it and agree. */
  get good(): boolean {
    return this.#errors.size === 0 && this.checksums().size <= 1;
  }
}

/** The median, or NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[half]
    : (sorted[half - 1] + sorted[half]) / 2;
}

/** The geometric mean, or NaN of nothing. */
export function geometricMean(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + Math.log(value), 0);
  return Math.exp(sum / values.length);
}
