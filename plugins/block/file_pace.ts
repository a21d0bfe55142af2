/**
 * Whether a file's reads, or its writes, come back so quickly that to wait for
 * one takes less of the guest's thread than to have another thread do it.
 *
 * What the host's page cache has is there in 3 us, what it takes in 15; to hand
 * it over and to hear of it takes 10 us and more of this thread, and 16 to 89
 * until then (`byte_store.ts`). What the host has to fetch, and what it takes
 * when it has too much to write, takes from 100 us to a second and is nothing to
 * wait for. Nobody says beforehand which it is, so it goes by what the file did
 * lately: all is handed over until much in a row came back quickly. Then it is
 * waited for, and each time that is quick saves a little, which what is slow may
 * use up: with what takes longer than has been saved, all is handed over again,
 * until more than before came back quickly.
 *
 * Measured, 4 KiB in random order on a virtio disk, medians of 10,000: reads 95
 * us with all handed over, 61 with this; writes 150 and 80.
 *
 * @module
 */

/** What was handed over and took longer is no sign that the next is quick. */
const QUICK_MS = 0.3;
/** What was waited for and took longer was not quick. */
const SLOW_MS = 0.03;
/** What each byte may take besides: a MiB from the page cache takes 0.14 ms. */
const BYTE_MS = 0.4 / 2 ** 20;
/** What it saves if it was. */
const SAVED_MS = 0.01;
/** Savings when waiting begins (the first calls are slow), and the most there may be. */
const FIRST_SAVINGS_MS = 0.5;
const MOST_SAVINGS_MS = 2;
/** Quick ones in a row before one is waited for, at first and at most. */
const LEAST = 16;
const MOST = 1024;
/**
 * The most bytes of a read for which it is worth it. The guest's thread copies
 * them on to the guest, and what another core has just read it has to fetch
 * from that one: 1 MiB takes 195 us of it if it reads by itself, and otherwise
 * 520 until the guest has them, 300 of its own.
 */
export const MOST_READ = 1 << 20;
/** Of a write: beyond, another core copies meanwhile. */
export const MOST_WRITTEN = 32768;

/** What is known of the reads, or of the writes, of one file. */
export class FilePace {
  #row = 0;
  #asked = LEAST;
  #savings = FIRST_SAVINGS_MS;
  readonly #most: number;
  readonly #now: () => number;

  /**
   * For one file, to wait for so many bytes at most; `now` is a clock in
   * milliseconds.
   */
  constructor(most: number, now: () => number = () => performance.now()) {
    this.#most = most;
    this.#now = now;
  }

  /** Whether so many bytes may be waited for. */
  isQuick(bytes: number): boolean {
    return this.#row >= this.#asked && bytes <= this.#most;
  }

  /**
   * Wait for what this thread does with so many bytes. What fails is never
   * quick: a disk that cannot read a sector tries for seconds.
   */
  waitFor<T>(bytes: number, action: () => T): T {
    const start = this.#now();
    let milliseconds = Infinity;
    try {
      const result = action();
      milliseconds = this.#now() - start;
      return result;
    } finally {
      this.#waitedFor(milliseconds, bytes);
    }
  }

  /** Have another thread do it. */
  async handOver<T>(bytes: number, action: () => Promise<T>): Promise<T> {
    const start = this.#now();
    let milliseconds = Infinity;
    try {
      const result = await action();
      milliseconds = this.#now() - start;
      return result;
    } finally {
      this.#handedOver(milliseconds, bytes);
    }
  }

  /** What was handed over has taken so many milliseconds. */
  #handedOver(milliseconds: number, bytes: number): void {
    const isQuick = milliseconds < QUICK_MS + bytes * BYTE_MS;
    this.#row = isQuick ? this.#row + 1 : 0;
  }

  /** What was waited for has. */
  #waitedFor(milliseconds: number, bytes: number): void {
    const isQuick = milliseconds < SLOW_MS + bytes * BYTE_MS;
    this.#savings += isQuick ? SAVED_MS : -milliseconds;
    if (this.#savings >= MOST_SAVINGS_MS) {
      this.#savings = MOST_SAVINGS_MS;
      this.#asked = LEAST;
    } else if (this.#savings < 0) {
      this.#row = 0;
      this.#savings = FIRST_SAVINGS_MS;
      this.#asked = Math.min(2 * this.#asked, MOST);
    }
  }
}
