/**
 * The states that a replayed machine was in, to go back to: memory as what has
 * changed from one to the next.
 *
 * One whole copy of the memory is kept, that of the last state; each state has
 * the pages, as they were at the one before it, that differ there. When there
 * are too many states or pages some states are forgotten: those that stand
 * close to each other, the further back the rather.
 *
 * @module
 */

import type { MediaMark } from "../machine/media.ts";
import type { StateRecord } from "../state/state.ts";
import type { Position } from "./log.ts";
import type { Place } from "./player.ts";

const PAGE = 4096;
const WORDS = PAGE / 4;
/** States at most. */
const MOST_STATES = 200;
/** Bytes of pages at most. */
const MOST_BYTES = 512 * 2 ** 20;

/** A state without its memory. */
export interface Moment extends Position {
  /** CPUs and devices. */
  readonly record: StateRecord;
  /** Instructions of each CPU. */
  readonly counts: readonly number[];
  /** Where in the recording it is. */
  readonly place: Place;
  /** See `DiskUndo.mark`. */
  readonly disks: number;
  /** What is in the drives. */
  readonly media: MediaMark;
}

interface State {
  readonly moment: Moment;
  /** Pages by number, as they were at the state before. */
  pages: Map<number, Uint8Array>;
}

/** The states that a machine was in, in their order. */
export class History {
  readonly #memory: Uint8Array;
  readonly #words: Int32Array;
  readonly #last: Int32Array;
  readonly #states: State[] = [];
  #bytes = 0;

  /** Of a machine with this memory, a multiple of whole pages. */
  constructor(memory: Uint8Array) {
    this.#memory = memory;
    const words = memory.length / 4;
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, words);
    this.#last = new Int32Array(words);
  }

  /** How many there are. */
  get length(): number {
    return this.#states.length;
  }

  /** The first state, which is never forgotten. */
  get first(): Moment {
    return this.#states[0].moment;
  }

  /** The last state. */
  get last(): Moment | undefined {
    return this.#states.at(-1)?.moment;
  }

  /** The last state at or before an instruction. */
  before(count: number): Moment | undefined {
    return this.#states.findLast(({ moment }) => moment.count <= count)?.moment;
  }

  /** The machine is in this state, which comes after all others. */
  add(moment: Moment): void {
    const [now, last] = [this.#words, this.#last];
    const pages = new Map<number, Uint8Array>();
    for (let at = 0; at < now.length; at += WORDS) {
      const end = at + WORDS;
      let i = at;
      while (i < end && now[i] === last[i]) i++;
      if (i === end) continue;
      if (this.#states.length > 0) {
        const page = last.slice(at, end);
        pages.set(at / WORDS, new Uint8Array(page.buffer));
      }
      last.set(now.subarray(at, end), at);
    }
    this.#states.push({ moment, pages });
    this.#bytes += pages.size * PAGE;
    while (this.#states.length > 2 && this.#isTooMuch) this.#forgetOne();
  }

  get #isTooMuch(): boolean {
    return this.#states.length > MOST_STATES || this.#bytes > MOST_BYTES;
  }

  /** Forget the state that is missed least: never the first or the last. */
  #forgetOne(): void {
    const states = this.#states;
    const end = states.at(-1)!.moment.count;
    let least = Infinity;
    let chosen = 1;
    for (let i = 1; i < states.length - 1; i++) {
      const gap = states[i + 1].moment.count - states[i - 1].moment.count;
      const loss = gap / (end - states[i].moment.count);
      if (loss < least) [least, chosen] = [loss, i];
    }
    const [{ pages }] = states.splice(chosen, 1);
    const next = states[chosen];
    const before = pages.size + next.pages.size;
    for (const [page, bytes] of pages) next.pages.set(page, bytes);
    this.#bytes -= (before - next.pages.size) * PAGE;
  }

  /** Make the memory that of a state. */
  restore(moment: Moment): void {
    const last = new Uint8Array(this.#last.buffer);
    this.#memory.set(last);
    for (let i = this.#states.length - 1; i >= 0; i--) {
      if (this.#states[i].moment === moment) return;
      for (const [page, bytes] of this.#states[i].pages) {
        this.#memory.set(bytes, page * PAGE);
      }
    }
    throw new RangeError("there is no such state");
  }
}
