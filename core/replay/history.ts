/**
 * The states that a replayed machine was in, to go back to: memory as what has
 * changed from one to the next.
 *
 * One whole copy of the memory is kept, that of the state where one is: of the
 * last that was added or restored. Between neighbours there are the pages in
 * which they differ, as they are in the one that is further away from there; to
 * go to the neighbour is to exchange them with those of the copy. So states can
 * be added anywhere: who steps backwards in a wide gap finds it filled. When
 * there are too many states or pages some states are forgotten: those that stand
 * close to each other, the further away the rather.
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
  /** What `DiskUndo.keep` gave. */
  readonly disks: number;
  /** What is in the drives. */
  readonly media: MediaMark;
}

interface State {
  readonly moment: Moment;
  /**
   * Pages by number that differ from those of the state before it: up to where
   * one is as they are there, behind it as they are here.
   */
  readonly pages: Map<number, Uint8Array>;
}

/** How much is kept at most; for tests. */
export interface HistoryLimits {
  /** States. */
  readonly states?: number;
  /** Bytes of pages. */
  readonly bytes?: number;
}

/** The states that a machine was in, in their order. */
export class History {
  readonly #words: Int32Array;
  /** The memory of the state where one is, as bytes and as words. */
  readonly #copy: Uint8Array;
  readonly #copyWords: Int32Array;
  readonly #scratch = new Uint8Array(PAGE);
  readonly #mostStates: number;
  readonly #mostBytes: number;
  readonly #states: State[] = [];
  #here = 0;
  #bytes = 0;

  /** Of a machine with this memory, a multiple of whole pages. */
  constructor(
    memory: Uint8Array,
    { states = MOST_STATES, bytes = MOST_BYTES }: HistoryLimits = {},
  ) {
    const words = memory.length / 4;
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, words);
    this.#copyWords = new Int32Array(words);
    this.#copy = new Uint8Array(this.#copyWords.buffer);
    this.#mostStates = states;
    this.#mostBytes = bytes;
  }

  /** All of them, in their order. */
  get moments(): Moment[] {
    return this.#states.map(({ moment }) => moment);
  }

  /** The first state, which is never forgotten. */
  get first(): Moment {
    return this.#states[0].moment;
  }

  /** The last state, which is never forgotten. */
  get last(): Moment {
    return this.#states.at(-1)!.moment;
  }

  /** The last state at or before an instruction, of those that will do. */
  before(
    count: number,
    does: (moment: Moment) => boolean = () => true,
  ): Moment | undefined {
    return this.#states.findLast(({ moment }) =>
      moment.count <= count && does(moment)
    )?.moment;
  }

  /** The machine is in this state, at whose instruction there is none yet. */
  add(moment: Moment): void {
    const states = this.#states;
    if (states.length === 0) {
      copyChanges(this.#words, this.#copyWords);
      states.push({ moment, pages: new Map() });
      return;
    }
    const { count } = moment;
    const at = states.findLastIndex((state) => state.moment.count < count);
    if (at < 0 || states[at + 1]?.moment.count === count) {
      throw new RangeError(`there cannot be a state at ${count}`);
    }
    this.#goTo(at);
    const pages = this.#differences(states[at + 1]?.pages);
    states.splice(at + 1, 0, { moment, pages });
    this.#here = at + 1;
    while (this.#isTooMuch && this.forget());
  }

  /**
   * Make the copy what the memory is; gives back the pages of before. What comes
   * next differed from that, and is to differ from what is now.
   */
  #differences(
    next: Map<number, Uint8Array> | undefined,
  ): Map<number, Uint8Array> {
    const [now, copy] = [this.#words, this.#copyWords];
    const pages = new Map<number, Uint8Array>();
    const before = next?.size ?? 0;
    for (let at = 0; at < now.length; at += WORDS) {
      const end = at + WORDS;
      let i = at;
      while (i < end && now[i] === copy[i]) i++;
      if (i === end) continue;
      const page = at / WORDS;
      const old = this.#copy.slice(page * PAGE, (page + 1) * PAGE);
      pages.set(page, old);
      copy.set(now.subarray(at, end), at);
      if (next !== undefined && !next.has(page)) next.set(page, old.slice());
    }
    this.#bytes += (pages.size + (next?.size ?? 0) - before) * PAGE;
    return pages;
  }

  /** Make the copy that of another state. */
  #goTo(index: number): void {
    while (this.#here > index) this.#exchange(this.#here--);
    while (this.#here < index) this.#exchange(++this.#here);
  }

  /** Exchange what differs between a state and the one before it. */
  #exchange(index: number): void {
    const scratch = this.#scratch;
    for (const [page, bytes] of this.#states[index].pages) {
      const own = this.#copy.subarray(page * PAGE, (page + 1) * PAGE);
      scratch.set(own);
      own.set(bytes);
      bytes.set(scratch);
    }
  }

  get #isTooMuch(): boolean {
    return this.#states.length > this.#mostStates ||
      this.#bytes > this.#mostBytes;
  }

  /**
   * Forget the state that is missed least: never the first, the last, or the
   * one where one is. Says whether there was one.
   */
  forget(): boolean {
    const states = this.#states;
    const here = states[this.#here].moment.count;
    let least = Infinity;
    let chosen = 0;
    for (let i = 1; i < states.length - 1; i++) {
      if (i === this.#here) continue;
      const gap = states[i + 1].moment.count - states[i - 1].moment.count;
      const loss = gap / Math.abs(here - states[i].moment.count);
      if (loss < least) [least, chosen] = [loss, i];
    }
    if (chosen === 0) return false;
    const isBehind = chosen < this.#here;
    const [{ pages }] = states.splice(chosen, 1);
    if (isBehind) this.#here--;
    const next = states[chosen].pages;
    const before = pages.size + next.size;
    for (const [page, bytes] of pages) {
      if (isBehind || !next.has(page)) next.set(page, bytes);
    }
    this.#bytes -= (before - next.size) * PAGE;
    return true;
  }

  /** Make the memory that of a state. */
  restore(moment: Moment): void {
    const index = this.#states.findIndex((state) => state.moment === moment);
    if (index < 0) throw new RangeError("there is no such state");
    this.#goTo(index);
    copyChanges(this.#copyWords, this.#words);
  }
}

/**
 * Make one memory the other. What is the same is not written: pages that a
 * guest has never used are none of the host's either. A gigabyte takes 180 ms,
 * and 60 to copy when all of it is there.
 */
function copyChanges(from: Int32Array, to: Int32Array): void {
  for (let at = 0; at < from.length; at += WORDS) {
    const end = at + WORDS;
    let i = at;
    while (i < end && from[i] === to[i]) i++;
    if (i < end) to.set(from.subarray(at, end), at);
  }
}
