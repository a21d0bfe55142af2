/**
 * What block backends are doing for devices, as the run loop sees it.
 *
 * With the host's clock it only counts: while a request is under way the loop
 * looks at the host's events often. With the instruction count as time (`icount`)
 * an answer comes at a virtual time that the request alone decides, as if all
 * disks were alike: a timer is armed for it, and where the host is not done by
 * then the guest waits. So two runs are the same, however fast the host is.
 *
 * A backend may answer without the host's event loop (what it has in memory, a
 * hole in an image), and a device asks again at once. So that a guest cannot
 * keep the host from its events by one great command, an answer in so many
 * waits for a turn of that loop.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";
import { type Clock, MICROSECOND, type Timer } from "../time/clock.ts";

/** With `icount`, how long any request takes. */
const REQUEST_NS = 100 * MICROSECOND;
/** And each byte: 100 MB a second. */
const BYTE_NS = 10;
/** With the host's clock: of so many requests one waits for the event loop. */
const TURN_EVERY = 16;

/** The requests that devices have made and that have not been answered. */
export class BlockRequests {
  readonly #clock: Clock | undefined;
  #outstanding = 0;
  /** Requests since one waited for a turn of the event loop. */
  #streak = 0;
  /** Answers that are due, of which some may not have come. */
  #due: Promise<void> | undefined;
  /**
   * Set while devices are made: no time passes, and a device that needs what
   * its image has is answered at once.
   */
  building = false;
  /** With `icount`: requests whose answer's time has not come. */
  #awaited = 0;
  /** Counts the calls of `forget`. */
  #generation = 0;
  /** The timers of those. */
  readonly #timers = new Set<Timer>();
  /** Takes what devices read, in the order in which they hear of it. */
  onRead: ((bytes: Uint8Array) => void) | undefined;
  /** Called when a request is made and none was outstanding. */
  onRequest: () => void = () => {};

  /** With a clock, answers come at its times. */
  constructor(clock?: Clock) {
    this.#clock = clock;
  }

  /** Whether the host has something to answer, however long that takes. */
  get outstanding(): boolean {
    return this.#outstanding > 0;
  }

  /** With `icount`: whether a device waits for an answer, whatever the host has done. */
  get isAwaited(): boolean {
    return this.#awaited > 0;
  }

  /**
   * Settles when what is due by now has been answered; undefined when nothing
   * is. The devices hear of it in the microtasks that follow.
   */
  get due(): Promise<void> | undefined {
    return this.#due;
  }

  /** With `icount`: nobody waits for anything any more. */
  forget(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#generation++;
    this.#awaited = 0;
    this.#due = undefined;
  }

  /** The backend as devices see it. */
  behind(backend: BlockBackend): BlockBackend {
    return {
      get size(): number {
        return backend.size;
      },
      get readOnly(): boolean {
        return backend.readOnly;
      },
      read: (offset, length, room) =>
        this.#read(this.#made(length, backend.read(offset, length, room))),
      write: (offset, bytes) =>
        this.#made(bytes.length, backend.write(offset, bytes)),
      discard: (offset, length) =>
        this.#made(0, backend.discard(offset, length)),
      writeZeroes: (offset, length) =>
        this.#made(0, backend.writeZeroes(offset, length)),
      flush: () => this.#made(0, backend.flush()),
      close: () => backend.close(),
    };
  }

  #read(answer: Promise<Uint8Array>): Promise<Uint8Array> {
    const { onRead } = this;
    if (onRead === undefined) return answer;
    return answer.then((bytes) => {
      onRead(bytes);
      return bytes;
    });
  }

  /** A request about so many bytes has been made. */
  #made<T>(bytes: number, answer: Promise<T>): Promise<T> {
    const clock = this.#clock;
    if (this.#outstanding++ === 0) this.onRequest();
    const done = (): void => {
      this.#outstanding--;
    };
    if (clock === undefined || this.building) {
      const given = this.#paced(answer);
      given.then(done, done);
      return given;
    }
    answer.then(done, done);
    this.#awaited++;
    const { promise, resolve } = Promise.withResolvers<T>();
    const timer = clock.timer(() => {
      this.#timers.delete(timer);
      this.#wait(answer, () => resolve(answer));
    });
    this.#timers.add(timer);
    timer.arm(clock.now() + REQUEST_NS + bytes * BYTE_NS);
    return promise;
  }

  /** The answer, at times behind a turn of the event loop. */
  #paced<T>(answer: Promise<T>): Promise<T> {
    if (++this.#streak < TURN_EVERY) return answer;
    this.#streak = 0;
    const turn = new Promise<void>((resolve) => setImmediate(() => resolve()));
    return Promise.all([answer, turn]).then(([value]) => value);
  }

  /** Answers are given in the order in which they are due. */
  #wait(answer: Promise<unknown>, give: () => void): void {
    const generation = this.#generation;
    const due = Promise.all([this.#due, answer.then(() => {}, () => {})])
      .then(() => {
        if (generation !== this.#generation) return;
        this.#awaited--;
        give();
        if (this.#due === due) this.#due = undefined;
      });
    this.#due = due;
  }
}
