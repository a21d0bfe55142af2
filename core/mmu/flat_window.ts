/**
 * The longest run of RAM without translated code, for code whose addresses are
 * physical ones. An address in it may be read and written, which two words in
 * the CPU's area tell; the permission of its page (`flat_pages.ts`) is one more
 * line of the host's cache for each page that is used.
 *
 * @module
 */

import type { PageRun } from "../bus/address_space.ts";
import { OFF_FLAT_WINDOW, OFF_FLAT_WINDOW_SIZE } from "../exec/layout.ts";

const PAGE = 4096;

/** Pages of 4 GiB: what addresses of 32 bits reach. */
const PAGES = 1 << 20;

/** The window of one CPU. */
export class FlatWindow {
  readonly #u32: Uint32Array;
  readonly #low: number;
  readonly #size: number;
  /** Pages that got code since {@linkcode FlatWindow.forget}. */
  readonly #code = new Set<number>();
  #isKnown = false;
  #isOpen = false;
  /** Its first page. */
  #first = 0;
  /** The page after its last. */
  #end = 0;

  /** A closed window of the CPU whose area is at `base`. */
  constructor(u8: Uint8Array, base: number) {
    this.#u32 = new Uint32Array(u8.buffer);
    this.#low = (base + OFF_FLAT_WINDOW) >> 2;
    this.#size = (base + OFF_FLAT_WINDOW_SIZE) >> 2;
  }

  /** Opens it; looks for it among runs of RAM, if it is not known. */
  open(runs: () => readonly PageRun[]): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    if (!this.#isKnown) this.#find(runs());
    this.#write();
  }

  /** Nothing is in it until it is opened. */
  close(): void {
    this.#isOpen = false;
    this.#u32[this.#size] = 0;
  }

  /** A page has got code. */
  protect(page: number): void {
    this.#code.add(page);
    if (page < this.#first || page >= this.#end) return;
    if (page - this.#first < this.#end - page) this.#first = page + 1;
    else this.#end = page;
    if (this.#isOpen) this.#write();
  }

  /** Pages are elsewhere, or there is no code any more: closes it, to be looked for anew. */
  forget(): void {
    this.lookAgain();
    this.#code.clear();
  }

  /** The runs are others: closes it, to be looked for anew. */
  lookAgain(): void {
    this.close();
    this.#isKnown = false;
    this.#first = this.#end = 0;
  }

  #find(runs: readonly PageRun[]): void {
    this.#isKnown = true;
    for (const { page, pages } of runs) {
      const end = Math.min(page + pages, PAGES);
      const code = [...this.#code].filter((p) => p >= page && p < end);
      let first = page;
      for (const p of [...code.sort((a, b) => a - b), end]) {
        if (p - first > this.#end - this.#first) {
          this.#first = first;
          this.#end = p;
        }
        first = p + 1;
      }
    }
  }

  /** What is asked of an address goes for 4 KiB from there: the last page is not in it. */
  #write(): void {
    this.#u32[this.#low] = this.#first * PAGE;
    this.#u32[this.#size] = Math.max(0, this.#end - this.#first - 1) * PAGE;
  }
}
