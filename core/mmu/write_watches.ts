/**
 * Watches on stores to physical pages: a device whose memory the guest writes
 * without asking (a frame buffer) learns of the first store since it looked.
 *
 * While a watch is armed, the TLB entries of its pages refuse stores, and the
 * slow path tells. The first store disarms the whole watch: the next one to each
 * page fills its entry anew, and the others go at full speed again.
 *
 * @module
 */

const PAGE = 4096;

/** Pages that are watched together. */
export interface WriteWatch {
  /** The first page's number. */
  readonly first: number;
  /** One more than the last page's. */
  readonly end: number;
  /** To be called at the first store. */
  readonly changed: () => void;
}

/** The armed watches of one CPU. */
export class WriteWatches {
  #armed: WriteWatch[] = [];

  /** Whether none is armed. */
  get isEmpty(): boolean {
    return this.#armed.length === 0;
  }

  /** Arm a watch; it takes the place of one on the same pages. */
  arm(physical: number, length: number, changed: () => void): WriteWatch {
    const first = Math.floor(physical / PAGE);
    const end = Math.ceil((physical + length) / PAGE);
    const watch = { first, end, changed };
    this.#armed = this.#armed.filter((w) => w.first !== first || w.end !== end);
    this.#armed.push(watch);
    return watch;
  }

  /** Whether stores to a page are to be told of. */
  has(page: number): boolean {
    for (const { first, end } of this.#armed) {
      if (page >= first && page < end) return true;
    }
    return false;
  }

  /** Take away, and give back, the watches with any page from `first` to `last`. */
  take(first: number, last: number): readonly WriteWatch[] {
    const hit = this.#armed.filter((w) => first < w.end && last >= w.first);
    if (hit.length > 0) {
      this.#armed = this.#armed.filter((w) => !hit.includes(w));
    }
    return hit;
  }
}
