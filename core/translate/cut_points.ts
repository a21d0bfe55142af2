/**
 * Where translated code must stop and ask: the instructions that have a
 * breakpoint. No block starts at one or goes on past one, so that control comes
 * to the dispatcher before it; all other code is as it would be.
 *
 * Breakpoints are linear addresses, blocks are known by physical ones. Which
 * pages stand behind the breakpoints' is learned from instruction fetches:
 * the MMU tells of each translation that it enters.
 *
 * @module
 */

import type { IrBlock } from "../ir/block.ts";
import { Op } from "../ir/ops.ts";

const PAGE = 4096;
const INSN = Op["insn"];

/** The cut points of one CPU. */
export class CutPoints {
  /** The linear addresses, by the number of their page. */
  #wanted = new Map<number, Set<number>>();
  /** The code pages that were fetched as those, by number. */
  readonly #learned = new Map<number, Set<number>>();
  /** Offsets in code pages, by their number. */
  #offsets = new Map<number, Set<number>>();

  /** Whether there are none. */
  get isEmpty(): boolean {
    return this.#wanted.size === 0;
  }

  /** Whether a breakpoint stands at a linear address. */
  isWanted(linear: number): boolean {
    return this.#wanted.get(Math.floor(linear / PAGE))?.has(linear) ?? false;
  }

  /**
   * Breakpoints stand at these linear addresses from now on. Gives back an
   * address of each page that had none before: it is to be fetched anew.
   * `forget` is called with each code address whose translations must go.
   */
  set(
    addresses: Iterable<number>,
    forget: (code: number) => void,
  ): number[] {
    const before = this.#offsets;
    this.#wanted = new Map();
    for (const linear of addresses) {
      const page = Math.floor(linear / PAGE);
      const set = this.#wanted.get(page);
      if (set === undefined) this.#wanted.set(page, new Set([linear]));
      else set.add(linear);
    }
    for (const page of this.#learned.keys()) {
      if (!this.#wanted.has(page)) this.#learned.delete(page);
    }
    this.#offsets = new Map();
    for (const [page, codes] of this.#learned) {
      for (const code of codes) this.#enter(page, code);
    }
    for (const [page, offsets] of this.#offsets) {
      for (const offset of offsets) {
        if (before.get(page)?.has(offset) !== true) {
          forget(page * PAGE + offset);
        }
      }
    }
    return [...this.#wanted.keys()].filter((page) => !this.#learned.has(page))
      .map((page) => page * PAGE);
  }

  /** A linear address was translated for a fetch, to a code page; `forget` as for `set`. */
  fetched(
    linear: number,
    codePage: number,
    forget: (code: number) => void,
  ): void {
    const page = Math.floor(linear / PAGE);
    const wanted = this.#wanted.get(page);
    if (wanted === undefined) return;
    const codes = this.#learned.get(page);
    if (codes?.has(codePage) === true) return;
    if (codes === undefined) this.#learned.set(page, new Set([codePage]));
    else codes.add(codePage);
    const known = new Set(this.#offsets.get(codePage));
    this.#enter(page, codePage);
    for (const address of wanted) {
      const offset = address - page * PAGE;
      if (!known.has(offset)) forget(codePage * PAGE + offset);
    }
  }

  #enter(page: number, codePage: number): void {
    let offsets = this.#offsets.get(codePage);
    if (offsets === undefined) {
      this.#offsets.set(codePage, offsets = new Set());
    }
    for (const linear of this.#wanted.get(page)!) {
      offsets.add(linear - page * PAGE);
    }
  }

  /** Whether no block may start at a code address. */
  has(code: number): boolean {
    return this.#offsets.get(Math.floor(code / PAGE))?.has(code % PAGE) ??
      false;
  }

  /** Whether one of these bytes but the first is a cut point. */
  isWithin(code: number, length: number): boolean {
    const offsets = this.#offsets.get(Math.floor(code / PAGE));
    if (offsets === undefined) return false;
    const start = code % PAGE;
    for (const offset of offsets) {
      if (offset > start && offset < start + length) return true;
    }
    return false;
  }

  /** How many instructions of a block whose code starts at `code` come before the first cut point behind its start. */
  insnsBefore(k: IrBlock, code: number): number {
    const offsets = this.#offsets.get(Math.floor(code / PAGE));
    if (offsets === undefined) return k.insns;
    const start = code % PAGE;
    let insns = 0;
    for (let i = 0; i < k.length; i++) {
      if (k.op[i] !== INSN) continue;
      if (insns > 0 && offsets.has(start + (k.lo[i] - k.pcLo | 0))) {
        return insns;
      }
      insns++;
    }
    return k.insns;
  }
}
