/**
 * The virtual clock: timers over a time source.
 *
 * Timers live in a binary heap in the order of their deadlines; those with the
 * same deadline fire in the order in which they were armed, so that a run with
 * `icount` is reproducible.
 *
 * @module
 */

import type { Clock, Timer, TimerCallback, TimerKind } from "./clock.ts";
import type { TimeSource } from "./time_source.ts";

/** Where a timer is when it is not in the heap. */
const NOWHERE = -1;
/** The numbers of timers that are no device's. */
const NUMBERS = { request: -1, viewers: -2 } as const;

/** What a timer needs of its clock. */
interface TimerQueue {
  schedule(timer: HeapTimer, deadline: number): void;
  unschedule(timer: HeapTimer): void;
}

class HeapTimer implements Timer {
  deadline = Infinity;
  slack = 0;
  order = 0;
  index = NOWHERE;
  /** The call of `runDue` in which it fired last. */
  round = 0;
  readonly callback: TimerCallback;
  /** How many timers of devices the clock had made before, or its kind's number. */
  readonly number: number;
  readonly #queue: TimerQueue;

  constructor(
    queue: TimerQueue,
    callback: TimerCallback,
    number: number,
  ) {
    this.#queue = queue;
    this.callback = callback;
    this.number = number;
  }

  arm(deadline: number, slack = 0): void {
    if (Number.isNaN(deadline)) {
      throw new RangeError("deadline is not a number");
    }
    if (deadline === Infinity) return this.cancel();
    this.slack = slack;
    this.#queue.schedule(this, deadline);
  }

  cancel(): void {
    this.#queue.unschedule(this);
  }
}

/** A clock with timers. */
export class VirtualClock implements Clock {
  #epoch: number;
  readonly #source: TimeSource;
  readonly #heap: HeapTimer[] = [];
  readonly #queue: TimerQueue = {
    schedule: (timer, deadline) => this.#schedule(timer, deadline),
    unschedule: (timer) => this.#unschedule(timer),
  };
  #order = 0;
  #round = 0;
  /** Timers of devices made so far. */
  #made = 0;
  /**
   * Called when a timer is armed that is due before every other: a slice in
   * progress or a sleep is too long then.
   */
  onEarlier: (deadline: number) => void = () => {};

  /** A clock over `source`. */
  constructor(source: TimeSource, epoch: number) {
    this.#source = source;
    this.#epoch = epoch;
  }

  /** See `Clock.epoch`. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Set the wall-clock time of virtual time 0, in ms: after a snapshot. */
  set epoch(milliseconds: number) {
    this.#epoch = milliseconds;
  }

  /** Nanoseconds of virtual time. */
  now(): number {
    return this.#source.now();
  }

  /** A new timer, not armed. */
  timer(callback: TimerCallback, kind: TimerKind = "device"): Timer {
    const number = kind === "device" ? this.#made++ : NUMBERS[kind];
    return new HeapTimer(this.#queue, callback, number);
  }

  /**
   * The numbers of all armed timers that the guest may notice in the order in
   * which they will fire: for `reorder`, when a snapshot has been loaded. A
   * machine's devices make their timers in the same order each time.
   */
  firingOrder(): number[] {
    return this.#heap.filter(({ number }) => number !== NUMBERS.viewers)
      .sort((a, b) => isBefore(a, b) ? -1 : 1)
      .map(({ number }) => number);
  }

  /**
   * Of timers that are armed for the same time, fire those first that come
   * first in this list of numbers.
   */
  reorder(numbers: readonly number[]): void {
    const places = new Map(numbers.map((number, i) => [number, i]));
    const timers = this.#heap.splice(0);
    const place = ({ number }: HeapTimer): number =>
      places.get(number) ?? Infinity;
    timers.sort((a, b) => {
      const [x, y] = [place(a), place(b)];
      return x === y ? a.order - b.order : x - y;
    });
    for (const timer of timers) {
      timer.order = ++this.#order;
      this.#insert(timer);
    }
  }

  /** The earliest deadline, or `Infinity`. */
  nextDeadline(): number {
    return this.#heap.length === 0 ? Infinity : this.#heap[0].deadline;
  }

  /** The time until which nothing need fire for a guest that is idle, or `Infinity`. */
  latestDeadline(): number {
    let latest = Infinity;
    for (const { deadline, slack } of this.#heap) {
      latest = Math.min(latest, deadline + slack);
    }
    return latest;
  }

  /**
   * Fire what is due, each timer at most once: a periodic one that is behind
   * by several periods fires again at the next call, so that the guest runs
   * in between and sees every tick. Says whether anything fired.
   */
  runDue(): boolean {
    const now = this.now();
    const round = ++this.#round;
    let fired = false;
    let held: HeapTimer[] | undefined;
    while (this.#heap.length > 0 && this.#heap[0].deadline <= now) {
      const timer = this.#heap[0];
      if (timer.round === round) {
        this.#remove(timer);
        (held ??= []).push(timer);
        continue;
      }
      const deadline = timer.deadline;
      this.#remove(timer);
      timer.deadline = Infinity;
      timer.round = round;
      fired = true;
      timer.callback(deadline);
    }
    // A held timer may have been armed anew or cancelled by a later callback.
    if (held === undefined) return fired;
    for (const timer of held) {
      if (timer.index === NOWHERE && timer.deadline !== Infinity) {
        this.#insert(timer);
      }
    }
    return fired;
  }

  #schedule(timer: HeapTimer, deadline: number): void {
    const before = this.nextDeadline();
    if (timer.index !== NOWHERE) this.#remove(timer);
    timer.deadline = deadline;
    timer.order = ++this.#order;
    this.#insert(timer);
    if (deadline < before) this.onEarlier(deadline);
  }

  #unschedule(timer: HeapTimer): void {
    if (timer.index !== NOWHERE) this.#remove(timer);
    timer.deadline = Infinity;
  }

  #insert(timer: HeapTimer): void {
    this.#heap.push(timer);
    this.#up(timer, this.#heap.length - 1);
  }

  #remove(timer: HeapTimer): void {
    const heap = this.#heap;
    const hole = timer.index;
    const last = heap.pop()!;
    timer.index = NOWHERE;
    if (last === timer) return;
    this.#up(last, hole);
    this.#down(last, last.index);
  }

  #up(timer: HeapTimer, from: number): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const other = heap[parent];
      if (!isBefore(timer, other)) break;
      heap[at] = other;
      other.index = at;
      at = parent;
    }
    heap[at] = timer;
    timer.index = at;
  }

  #down(timer: HeapTimer, from: number): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) {
        child++;
      }
      if (!isBefore(heap[child], timer)) break;
      heap[at] = heap[child];
      heap[at].index = at;
      at = child;
    }
    heap[at] = timer;
    timer.index = at;
  }
}

function isBefore(a: HeapTimer, b: HeapTimer): boolean {
  return a.deadline < b.deadline ||
    a.deadline === b.deadline && a.order < b.order;
}
