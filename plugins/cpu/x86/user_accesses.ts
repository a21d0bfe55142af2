/**
 * Accesses of a supervisor to user pages, which SMAP lets through while
 * EFLAGS.AC is set (SDM volume 3, section 4.6.1): the TLB knows the pages then,
 * and has to forget them.
 *
 * @module
 */

import type { Mmu } from "../../../core/cpu/frontend.ts";

/** Pages that are kept apart; with more, the TLB is flushed. */
const KEPT = 16;

/** Those of one CPU since it was last told that they are over. */
export class UserAccesses {
  #count = 0;
  /** Where the first ones were. */
  readonly #pages = new Float64Array(KEPT);

  /** A supervisor accesses a user page: the TLB will know it. */
  note(address: number): void {
    const n = this.#count++;
    if (n < KEPT) this.#pages[n] = address;
  }

  /**
   * EFLAGS.AC is clear, or the level has become 3: the TLB forgets the user
   * pages that a supervisor has accessed.
   */
  end(mmu: Mmu): void {
    const n = this.#count;
    if (n === 0) return;
    this.#count = 0;
    if (n > KEPT) return mmu.flush(false);
    for (let i = 0; i < n; i++) mmu.forgetPage(this.#pages[i]);
  }

  /** The TLB has forgotten everything. */
  forget(): void {
    this.#count = 0;
  }
}
