/**
 * Watched memory: ranges of linear or physical addresses whose accesses are
 * told of. The TLB and the permissions of code without paging refuse the pages
 * of such a range, so that all accesses to them come to the softMMU, which asks
 * here. Where nothing is watched there is no guard, and nothing to ask.
 *
 * What is told is an instruction that has been executed. So an access by a
 * block of several instructions is refused at first, as if it faulted; the
 * engine then runs the instruction alone, and the access is noted.
 *
 * @module
 */

import { REFUSES_READ, REFUSES_WRITE } from "./tlb.ts";

const PAGE = 4096;

/** A range that is watched. */
export interface GuardedRange {
  /** Which addresses. */
  readonly space: "linear" | "physical";
  /** The first one. */
  readonly address: number;
  /** Bytes. */
  readonly size: number;
  /** Loads are told. */
  readonly reads: boolean;
  /** Stores are told. */
  readonly writes: boolean;
}

/** An instruction's access to a range: all bytes of it that follow each other, however it has come to them. */
export interface GuardHit<R extends GuardedRange = GuardedRange> {
  /** The range. */
  readonly range: R;
  /** The first of its addresses that was accessed. */
  readonly address: number;
  /** How many bytes of it were. */
  readonly size: number;
  /** Whether it was a store. */
  readonly isWrite: boolean;
  /** The linear address of the instruction. */
  readonly pc: number;
}

/** Hits of one instruction at most. */
const MAX_HITS = 1024;

/** The guard of one CPU's memory accesses. */
export class AccessGuard<R extends GuardedRange = GuardedRange> {
  readonly #ranges: readonly R[];
  readonly #mustRunAlone: () => boolean;
  readonly #pc: () => number;
  #hits: GuardHit<R>[] = [];
  /** There are ranges of physical addresses. */
  readonly hasPhysical: boolean;

  /**
   * Guards ranges. `mustRunAlone`: an instruction that is not run alone
   * accesses memory; `pc`: the address of one that is.
   */
  constructor(
    ranges: readonly R[],
    mustRunAlone: () => boolean,
    pc: () => number,
  ) {
    this.#ranges = ranges;
    this.#mustRunAlone = mustRunAlone;
    this.#pc = pc;
    this.hasPhysical = ranges.some(({ space }) => space === "physical");
  }

  /** What is refused (`REFUSES_*`) of the page of a linear address that stands on a physical page. */
  refuses(linear: number, physicalPage: number): number {
    let refuses = 0;
    const start = Math.floor(linear / PAGE) * PAGE;
    for (const { space, address, size, reads, writes } of this.#ranges) {
      const page = space === "linear" ? start : physicalPage * PAGE;
      if (address >= page + PAGE || address + size <= page) continue;
      if (reads) refuses |= REFUSES_READ | REFUSES_WRITE;
      if (writes) refuses |= REFUSES_WRITE;
    }
    return refuses;
  }

  /** The pages of all ranges, as addresses without paging: the first page and how many. */
  pages(): { page: number; pages: number }[] {
    return this.#ranges.map(({ address, size }) => {
      const page = Math.floor(address / PAGE);
      return { page, pages: Math.ceil((address + size) / PAGE) - page };
    });
  }

  /** Whether a helper that makes sure of these bytes must be run alone. */
  refusesProbe(linear: number, physical: number, size: number): boolean {
    return this.#reaches(linear, physical, size) && this.#mustRunAlone();
  }

  #reaches(linear: number, physical: number, width: number): boolean {
    for (const { space, address, size } of this.#ranges) {
      const at = space === "linear" ? linear : physical;
      if (at < address + size && address < at + width) return true;
    }
    return false;
  }

  /**
   * Bytes on one page are about to be accessed, which have a linear and a
   * physical address (-1: nobody has asked). False: not yet, the instruction is
   * to be run alone.
   */
  allows(
    linear: number,
    physical: number,
    width: number,
    isWrite: boolean,
  ): boolean {
    if (!this.#reaches(linear, physical, width)) return true;
    if (this.#mustRunAlone()) return false;
    for (const range of this.#ranges) {
      if (!(isWrite ? range.writes : range.reads)) continue;
      const at = range.space === "linear" ? linear : physical;
      const first = Math.max(at, range.address);
      const end = Math.min(at + width, range.address + range.size);
      if (first < end) this.#note(range, first, end, isWrite);
    }
    return true;
  }

  /** Notes a hit; what goes on where the last of its kind ended, or ends where that began, is the same one. */
  #note(range: R, first: number, end: number, isWrite: boolean): void {
    const hits = this.#hits;
    const last = hits.findLastIndex((hit) =>
      hit.range === range && hit.isWrite === isWrite
    );
    if (last >= 0) {
      const hit = hits[last];
      const hitEnd = hit.address + hit.size;
      if (first === hitEnd || end === hit.address) {
        const address = Math.min(first, hit.address);
        hits[last] = { ...hit, address, size: hit.size + end - first };
        return;
      }
    }
    if (hits.length >= MAX_HITS) return;
    hits.push({
      range,
      address: first,
      size: end - first,
      isWrite,
      pc: this.#pc(),
    });
  }

  /** Whether something was accessed that nobody has asked for yet. */
  get isHit(): boolean {
    return this.#hits.length > 0;
  }

  /** The instruction faulted: it has not accessed anything. */
  drop(): void {
    if (this.#hits.length > 0) this.#hits = [];
  }

  /** What was accessed since this was last asked. */
  take(): readonly GuardHit<R>[] {
    const hits = this.#hits;
    if (hits.length > 0) this.#hits = [];
    return hits;
  }
}
