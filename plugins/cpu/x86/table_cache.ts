/**
 * What a CPU remembers of the upper levels of page tables: the paging-structure
 * caches of SDM volume 3, section 4.10.3. A walk then reads one entry, not four.
 *
 * Whatever makes the TLB forget something makes this forget all, which is more
 * than a processor has to: INVLPG, loads of CR3, page faults of present pages.
 * As there, an entry that was not present is never remembered.
 *
 * [measured] A boot of Linux, 500 forks and a search of files: two walks in
 * three; switches of address spaces 0.89 of the CPU time.
 *
 * @module
 */

const ENTRIES = 64;
/** Addresses that one table of the last level has. */
const REACH = 2 ** 21;

/** Tables of the last level, by the 2 MiB of addresses that they are for. */
export class TableCache {
  /** Number of the 2 MiB; by its low bits. */
  readonly #tags = new Float64Array(ENTRIES);
  /** In which generation an entry was made: others are stale. */
  readonly #generations = new Int32Array(ENTRIES);
  readonly #tables = new Float64Array(ENTRIES);
  readonly #rights = new Int32Array(ENTRIES);
  readonly #highs = new Int32Array(ENTRIES);
  #generation = 1;

  /** Forgets all. */
  forget(): void {
    this.#generation = this.#generation + 1 | 0;
  }

  /** The number of the entry for an address, or -1. */
  find(address: number): number {
    const tag = Math.floor(address / REACH);
    const entry = tag & (ENTRIES - 1);
    return this.#generations[entry] === this.#generation &&
        this.#tags[entry] === tag
      ? entry
      : -1;
  }

  /**
   * Remembers the physical address of the table for an address, and of the
   * entries on the way there what the low words have in common and the high
   * ones together.
   */
  enter(address: number, table: number, rights: number, high: number): void {
    const tag = Math.floor(address / REACH);
    const entry = tag & (ENTRIES - 1);
    this.#generations[entry] = this.#generation;
    this.#tags[entry] = tag;
    this.#tables[entry] = table;
    this.#rights[entry] = rights;
    this.#highs[entry] = high;
  }

  /** Of an entry, the table's physical address. */
  table(entry: number): number {
    return this.#tables[entry];
  }

  /** Of an entry, what the low words of the way's entries have in common. */
  rights(entry: number): number {
    return this.#rights[entry];
  }

  /** Of an entry, the high words of the way's entries. */
  high(entry: number): number {
    return this.#highs[entry];
  }
}
