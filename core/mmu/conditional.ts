/**
 * Translations that hold only while a condition of the CPU's does (x86: a
 * supervisor may access users' pages while EFLAGS.AC is set, where there is
 * SMAP). They are taken out of the TLB when the condition ends, and the last of
 * them are put back when it begins again: a kernel sets it for each copy from
 * and to a program, mostly of the same pages.
 *
 * What is kept aside goes with anything that might change it: any flush, code on
 * any page for the first time.
 *
 * [measured] In Linux `dd bs=64 count=500000` from /dev/zero, which copies each
 * time: 1.2 s of CPU time without SMAP, 1.5 s with a walk for each copy, this
 * way 1.25 s.
 *
 * @module
 */

import { TAKEN_WORDS, type Tlb } from "./tlb.ts";

/** Translations whose addresses are known; with more, everything is forgotten. */
const KNOWN = 16;
/** Translations that are kept aside. */
const KEPT = 4;

/** The conditional translations of one CPU. */
export class ConditionalTranslations {
  /** Those that the TLB may have. */
  #count = 0;
  readonly #addresses = new Float64Array(KNOWN);
  /** Those that are aside. */
  #kept = 0;
  readonly #keptAddresses = new Float64Array(KEPT);
  readonly #words = new Int32Array(KEPT * TAKEN_WORDS);

  /** The TLB will have the translation of an address, which is conditional. */
  note(address: number): void {
    if (this.#count < KNOWN) this.#addresses[this.#count] = address;
    this.#count++;
  }

  /**
   * The condition has ended: the TLBs forget what depends on it; false if they
   * have to be flushed for that. `tlb` is the one in use, `other` the other.
   */
  end(tlb: Tlb, other: Tlb | undefined): boolean {
    const count = this.#count;
    this.#count = 0;
    this.#kept = 0;
    if (count > KNOWN) return false;
    for (let i = 0; i < count; i++) {
      const address = this.#addresses[i];
      if (
        count - i <= KEPT &&
        tlb.take(address, this.#words, this.#kept * TAKEN_WORDS)
      ) this.#keptAddresses[this.#kept++] = address;
      tlb.forget(address);
      other?.forget(address);
    }
    return true;
  }

  /** The condition begins: `tlb` has what was aside. Says whether there was anything. */
  begin(tlb: Tlb): boolean {
    const kept = this.#kept;
    if (kept === 0) return false;
    this.#kept = 0;
    let found = false;
    for (let i = 0; i < kept; i++) {
      const address = this.#keptAddresses[i];
      if (!tlb.putBack(address, this.#words, i * TAKEN_WORDS)) continue;
      this.note(address);
      found = true;
    }
    return found;
  }

  /** What is aside may not be right any more. */
  forget(): void {
    this.#kept = 0;
  }
}
