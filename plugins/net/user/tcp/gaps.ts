/**
 * Which bytes have come out of order: ranges of sequence numbers, in order and
 * apart from each other, as few as a sender that loses some makes.
 *
 * @module
 */

/** The most ranges that are kept: what would make more is sent again. */
const RANGES = 64;

/** Ranges of sequence numbers beyond the next one that is expected. */
export class Gaps {
  readonly #from: number[] = [];
  readonly #to: number[] = [];

  /** Whether nothing has come out of order. */
  get empty(): boolean {
    return this.#from.length === 0;
  }

  /** Add the range from `from` to before `to`; false when there are too many. */
  add(from: number, to: number): boolean {
    const starts = this.#from;
    const ends = this.#to;
    let first = 0;
    while (first < starts.length && (ends[first] - from | 0) < 0) first++;
    let last = first;
    while (last < starts.length && (starts[last] - to | 0) <= 0) {
      if ((starts[last] - from | 0) < 0) from = starts[last];
      if ((ends[last] - to | 0) > 0) to = ends[last];
      last++;
    }
    if (first === last && starts.length >= RANGES) return false;
    starts.splice(first, last - first, from);
    ends.splice(first, last - first, to);
    return true;
  }

  /** The next number expected, now that all before `next` are there. */
  advance(next: number): number {
    const starts = this.#from;
    while (starts.length > 0 && (starts[0] - next | 0) <= 0) {
      if ((this.#to[0] - next | 0) > 0) next = this.#to[0];
      starts.shift();
      this.#to.shift();
    }
    return next;
  }
}
