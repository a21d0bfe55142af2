/**
 * Which instructions of the guest were executed, and how often.
 *
 * @module
 */

import type { BlockObserver, ExecutedBlock } from "../exec/debug_port.ts";
import type { AddressFilter } from "./events.ts";

/** What to count. */
export interface CoverageOptions {
  /** Only instructions at these addresses. */
  readonly range?: Required<AddressFilter>;
  /**
   * By which addresses instructions are known; `linear` when absent. Programs
   * that have the same linear addresses, each in an address space of its own, are
   * counted together by these and apart by `physical` ones, by which in turn a
   * library that several programs map is counted once, and two programs that
   * had the same page one after the other together.
   */
  readonly space?: "linear" | "physical";
  /** Only those that this CPU executes; all CPUs' when absent. */
  readonly cpu?: number;
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
export class Coverage implements Disposable {
  readonly #range: Required<AddressFilter> | undefined;
  readonly #isPhysical: boolean;
  readonly #cpu: number | undefined;
  readonly #end: () => void;
  /** By the address of a block: those that had other instructions are apart. */
  readonly #blocks = new Map<number, Count[]>();
  /** Counts up when all is forgotten. */
  #generation = 0;

  /** Counts what it is told; `end` is called when it is to be told no more. */
  constructor(
    { range, space, cpu }: CoverageOptions,
    end: () => void,
  ) {
    this.#range = range;
    this.#isPhysical = space === "physical";
    this.#cpu = cpu;
    this.#end = end;
  }

  /** What a CPU is to tell. */
  of(cpu: number): BlockObserver {
    if (this.#cpu !== undefined && cpu !== this.#cpu) {
      return { begins: () => {}, leaves: () => {} };
    }
    let last: Count | undefined;
    let generation = 0;
    return {
      begins: (block) => {
        last = this.#count(block);
        last.times++;
        generation = this.#generation;
      },
      leaves: (left) => {
        if (last === undefined || left <= 0) return;
        if (generation !== this.#generation) return;
        const { length } = last.offsets;
        last.left ??= new Array(length).fill(0);
        last.left[length - left]++;
      },
    };
  }

  #count({ address, offsets, physical }: ExecutedBlock): Count {
    const at = this.#isPhysical ? physical : address;
    let counts = this.#blocks.get(at);
    if (counts === undefined) this.#blocks.set(at, counts = []);
    let count = counts.find((c) => isSame(c.offsets, offsets));
    if (count === undefined) {
      counts.push(count = { offsets, times: 0, left: undefined });
    }
    return count;
  }

  /** How often the instruction at each address was executed. */
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
    this.#generation++;
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
