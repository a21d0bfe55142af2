/**
 * Which instructions of the guest were executed, and how often.
 *
 * @module
 */

import type { BlockObserver, ExecutedBlock } from "../exec/debug_port.ts";
import type { AddressFilter } from "./events.ts";

/** What to count. */
export interface CoverageOptions {
  /** Only instructions at these linear addresses. */
  readonly range?: Required<AddressFilter>;
}

/** How often a block, as it stands at an address, was executed. */
interface Count {
  readonly offsets: readonly number[];
  /** Times that it was begun. */
  times: number;
  /** Of each instruction: how often the block was left before it, and not before one further up. */
  left: number[] | undefined;
}

/** Counts executed instructions. */
export class Coverage implements BlockObserver, Disposable {
  readonly #range: Required<AddressFilter> | undefined;
  readonly #end: () => void;
  /** By the address of a block: those that had other instructions are apart. */
  readonly #blocks = new Map<number, Count[]>();
  #last: Count | undefined;

  /** Counts what it is told; `end` is called when it is to be told no more. */
  constructor(options: CoverageOptions, end: () => void) {
    this.#range = options.range;
    this.#end = end;
  }

  /** For the CPU: a block is executed. */
  begins({ address, offsets }: ExecutedBlock): void {
    let counts = this.#blocks.get(address);
    if (counts === undefined) this.#blocks.set(address, counts = []);
    let count = counts.find((c) => isSame(c.offsets, offsets));
    if (count === undefined) {
      counts.push(count = { offsets, times: 0, left: undefined });
    }
    count.times++;
    this.#last = count;
  }

  /** For the CPU: the last `left` instructions of that block were not executed. */
  leaves(left: number): void {
    const last = this.#last;
    if (last === undefined || left <= 0) return;
    const { length } = last.offsets;
    last.left ??= new Array(length).fill(0);
    last.left[length - left]++;
  }

  /** How often the instruction at each linear address was executed. */
  counts(): Map<number, number> {
    const all = new Map<number, number>();
    for (const [start, counts] of this.#blocks) {
      for (const { offsets, times, left } of counts) {
        let n = times;
        offsets.forEach((offset, i) => {
          n -= left?.[i] ?? 0;
          const at = start + offset;
          if (n > 0 && this.#has(at)) all.set(at, (all.get(at) ?? 0) + n);
        });
      }
    }
    return all;
  }

  #has(address: number): boolean {
    const range = this.#range;
    return range === undefined ||
      address >= range.address && address < range.address + range.size;
  }

  /** Count from nothing again. */
  clear(): void {
    this.#blocks.clear();
    this.#last = undefined;
  }

  /** Count no more; the guest is as fast as ever. */
  stop(): void {
    this.#end();
  }

  /** `stop`, for `using`. */
  [Symbol.dispose](): void {
    this.stop();
  }
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a === b || a.length === b.length && a.every((x, i) => x === b[i]);
}
