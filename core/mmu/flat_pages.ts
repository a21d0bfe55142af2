/**
 * What translated code may do with physical pages, for code whose addresses
 * are physical ones (x86: without paging).
 *
 * A lookup in the TLB makes each access wait for the entry's host offset. All
 * of a machine's RAM lies at one distance from its physical addresses, so that
 * such code needs no lookup but a permission: a byte for each page of 4 GiB.
 *
 * @module
 */

import type { PageRun } from "../bus/address_space.ts";
import { FLAT_READ, FLAT_WRITE, OFF_FLAT_PAGES } from "../exec/layout.ts";
import { FlatWindow } from "./flat_window.ts";
import { REFUSES_READ, REFUSES_WRITE } from "./tlb.ts";

const PAGE = 4096;
/** Pages of 4 GiB. */
const PAGES = 1 << 20;
/** Pages that are entered at once: to ask for one costs a trip out of translated code, 2 us. */
const AHEAD = 16;

/** What the pages are asked of. */
export interface FlatPagesSource {
  /** What a physical page is. */
  lookupPage(
    page: number,
  ): { kind: string; hostOffset: number; writable: boolean };
  /** The runs of pages that are RAM. */
  ramRuns(): readonly PageRun[];
  /** Whether it holds translated code. */
  hasCode(page: number): boolean;
  /** What is refused of it (`REFUSES_*`), as it is watched. */
  refuses(page: number): number;
  /** The runs of pages of which something is refused. */
  refusedRuns(): readonly PageRun[];
}

/** The permissions of one CPU, in its area of the shared memory. */
export class FlatPages {
  readonly #u8: Uint8Array;
  readonly #at: number;
  readonly #source: FlatPagesSource;
  readonly #window: FlatWindow;
  /** Pages that were entered: those to clear. */
  #entered: number[] = [];
  #delta: number | undefined;
  #suspended = false;

  /** No permissions; those of the CPU at `base`. */
  constructor(u8: Uint8Array, base: number, source: FlatPagesSource) {
    this.#u8 = u8;
    this.#at = base + OFF_FLAT_PAGES;
    this.#source = source;
    this.#window = new FlatWindow(u8, base);
  }

  /**
   * Host offset less physical address of all pages that have a permission: that
   * of page 0. It is the same until {@linkcode FlatPages.resume}. Undefined if
   * there is no memory at 0.
   */
  get delta(): number | undefined {
    if (this.#delta === undefined) {
      const { hostOffset, kind } = this.#source.lookupPage(0);
      if (kind === "ram") this.#delta = hostOffset;
    }
    return this.#delta;
  }

  /** Opens the window of RAM without code. */
  openWindow(): void {
    if (this.#suspended) return;
    this.#window.open(() =>
      without(
        this.#source.ramRuns().filter(({ page }) =>
          this.#source.lookupPage(page).hostOffset - page * PAGE === this.delta
        ),
        this.#source.refusedRuns(),
      )
    );
  }

  /** Enters a page that was asked for, and those after it; says whether there is a new permission. */
  allow(page: number): boolean {
    const before = this.#u8[this.#at + page];
    for (let p = page; p < page + AHEAD; p++) this.enter(p);
    return this.#u8[this.#at + page] > before;
  }

  /** Enters what may be done with a page. */
  enter(page: number): void {
    if (page >= PAGES - 1 || this.#suspended) return;
    const at = this.#at + page;
    if (this.#u8[at] >= FLAT_WRITE) return;
    const here = this.#permission(page);
    // The access may go on to the next page.
    const value = here === 0 ? 0 : Math.min(here, this.#permission(page + 1));
    if (value === 0) return;
    if (this.#u8[at] === 0) this.#entered.push(page);
    this.#u8[at] = value;
  }

  #permission(page: number): number {
    const { hostOffset, kind, writable } = this.#source.lookupPage(page);
    const isMemory = kind === "ram" || kind === "rom";
    if (!isMemory || hostOffset - page * PAGE !== this.delta) return 0;
    const refused = this.#source.refuses(page);
    if (refused !== 0) {
      if ((refused & REFUSES_READ) !== 0) return 0;
      if ((refused & REFUSES_WRITE) !== 0) return FLAT_READ;
    }
    return writable && !this.#source.hasCode(page) ? FLAT_WRITE : FLAT_READ;
  }

  /** A page has got translated code: it is not to be written any more. */
  protect(page: number): void {
    this.#window.protect(page);
    for (const p of [page - 1, page]) {
      if (p < 0 || p >= PAGES) continue;
      if (this.#u8[this.#at + p] > FLAT_READ) {
        this.#u8[this.#at + p] = FLAT_READ;
      }
    }
  }

  /** Takes all permissions away. */
  clear(): void {
    for (const page of this.#entered) this.#u8[this.#at + page] = 0;
    this.#entered = [];
    this.#window.close();
  }

  /** What is refused has changed: takes all permissions away. */
  refusalsChanged(): void {
    this.clear();
    this.#window.lookAgain();
  }

  /** Takes all away and gives none until {@linkcode FlatPages.resume}: pages are elsewhere. */
  suspend(): void {
    this.clear();
    this.#suspended = true;
  }

  /** No code knows {@linkcode FlatPages.delta} any more. */
  resume(): void {
    this.#suspended = false;
    this.#delta = undefined;
    this.clear();
    this.#window.forget();
  }
}

/** Runs without some of their pages. */
function without(
  runs: readonly PageRun[],
  cut: readonly PageRun[],
): readonly PageRun[] {
  for (const { page, pages } of cut) {
    runs = runs.flatMap((run) => {
      const end = run.page + run.pages;
      const parts = [
        { page: run.page, pages: Math.min(page, end) - run.page },
        {
          page: Math.max(page + pages, run.page),
          pages: end - Math.max(page + pages, run.page),
        },
      ];
      return page < end && page + pages > run.page
        ? parts.filter((part) => part.pages > 0)
        : [run];
    });
  }
  return runs;
}
