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
import type { StateRecord } from "../state/state.ts";
import {
  type BlockStatistics,
  freshStatistics,
  type RequestKind,
} from "./block_statistics.ts";
import { type Clock, MICROSECOND, type Timer } from "../time/clock.ts";

/** With `icount`, how long any request takes. */
const REQUEST_NS = 100 * MICROSECOND;
/** And each byte: 100 MB a second. */
const BYTE_NS = 10;
/** With the host's clock, what an answer takes that comes from its page cache. */
const HOST_NS_PER_BYTE = 0.5;
/** With the host's clock: of so many requests one waits for the event loop. */
const TURN_EVERY = 16;

/** With `icount`: a request whose answer waits for its time. */
interface Waiting {
  readonly backend: string;
  readonly deadline: number;
  readonly timer: Timer;
  /** The answer is due. */
  readonly due: () => void;
}

/** The requests that devices have made and that have not been answered. */
export class BlockRequests {
  readonly #clock: Clock | undefined;
  readonly #counts = new WeakMap<BlockBackend, BlockStatistics>();
  #outstanding = 0;
  /** What they are about, in bytes. */
  #bytes = 0;
  /** The host's time at which the first of them was made, or one was answered. */
  #since = 0;
  /** Requests since one waited for a turn of the event loop. */
  #streak = 0;
  /** Answers that are due, of which some may not have come. */
  #due: Promise<void> | undefined;
  /** Those whose time has not come, in the order in which they were made. */
  readonly #waiting = new Set<Waiting>();
  /** When requests that are about to be made again were to be answered. */
  #expected = new Map<string, number[]>();
  /** Answers come as soon as they are there, whatever the clock says. */
  #hurry = false;
  /**
   * Set while devices are made: no time passes, and a device that needs what
   * its image has is answered at once.
   */
  building = false;
  /** With `icount`: requests whose answer has not been given. */
  #awaited = 0;
  /** Takes what devices read, in the order in which they hear of it. */
  onRead: ((bytes: Uint8Array) => void) | undefined;
  /** Called when a backend has failed a request. */
  onError: (name: string, kind: RequestKind, error: Error) => void = () => {};
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

  /**
   * In how many nanoseconds it is worth while to look for an answer: what the
   * bytes take, or half of the time for which there has been none.
   */
  get nextLook(): number {
    const waited = (performance.now() - this.#since) * 1e6;
    return Math.max(this.#bytes * HOST_NS_PER_BYTE, waited / 2);
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

  /**
   * Wait until the host has answered all there is, as long as the guest stands
   * still. With the host's clock, or when `hurry` is set, devices have heard of
   * everything then; else of what was due, and the rest waits for its time.
   */
  async settle(hurry = false): Promise<void> {
    this.#hurry = hurry;
    for (;;) {
      if (hurry) { for (const one of this.#waiting) this.#hurryUp(one); }
      // What devices do with an answer comes in the microtasks that follow.
      await new Promise<void>((resolve) => setImmediate(() => resolve()));
      if (this.#due !== undefined) await this.#due;
      else if (!this.outstanding && (!hurry || this.#waiting.size === 0)) break;
    }
    this.#hurry = false;
  }

  #hurryUp(one: Waiting): void {
    one.timer.cancel();
    one.due();
  }

  /** What waits for its time: when each of a backend's requests is answered. */
  save(): StateRecord {
    const record: Record<string, number[]> = {};
    for (const { backend, deadline } of this.#waiting) {
      (record[backend] ??= []).push(deadline);
    }
    return record;
  }

  /**
   * Devices are about to make the requests again that were under way when they
   * were saved: what `save` gave says when those are answered. `save` must give
   * nothing now. Without an argument, devices have made them.
   */
  expect(deadlines: ReadonlyMap<string, readonly number[]> = new Map()): void {
    this.#expected = new Map(
      [...deadlines].map(([name, list]) => [name, [...list]]),
    );
  }

  /** What was asked of a backend since a device has had it. */
  counts(backend: BlockBackend): BlockStatistics | undefined {
    return this.#counts.get(backend);
  }

  /** The backend of this name as devices see it. */
  behind(backend: BlockBackend, name = ""): BlockBackend {
    const counts = freshStatistics();
    this.#counts.set(backend, counts);
    return {
      get size(): number {
        return backend.size;
      },
      get readOnly(): boolean {
        return backend.readOnly;
      },
      read: (offset, length, room) => {
        const answer = backend.read(offset, length, room);
        this.#count(name, counts, "read", length, answer);
        return this.#read(this.#made(name, length, answer));
      },
      write: (offset, bytes) => {
        const answer = backend.write(offset, bytes);
        this.#count(name, counts, "write", bytes.length, answer, offset);
        return this.#made(name, bytes.length, answer);
      },
      discard: (offset, length) => {
        const answer = backend.discard(offset, length);
        this.#count(name, counts, "discard", length, answer);
        return this.#made(name, 0, answer);
      },
      writeZeroes: (offset, length) => {
        const answer = backend.writeZeroes(offset, length);
        this.#count(name, counts, "write", length, answer, offset);
        return this.#made(name, 0, answer);
      },
      flush: () => {
        const answer = backend.flush();
        this.#count(name, counts, "flush", 0, answer);
        return this.#made(name, 0, answer);
      },
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

  /** Count a request to a backend when it is answered. */
  #count(
    name: string,
    counts: BlockStatistics,
    kind: RequestKind,
    bytes: number,
    answer: Promise<unknown>,
    writtenAt?: number,
  ): void {
    const kindCounts = counts[kind];
    const start = performance.now();
    const took = (): void => {
      kindCounts.nanoseconds += Math.round((performance.now() - start) * 1e6);
    };
    answer.then(() => {
      took();
      kindCounts.done++;
      kindCounts.bytes += bytes;
      if (writtenAt === undefined) return;
      const end = writtenAt + bytes;
      if (end > counts.highestWrite) counts.highestWrite = end;
    }, (error) => {
      took();
      kindCounts.failed++;
      this.onError(name, kind, error);
    });
  }

  /** A request about so many bytes has been made. */
  #made<T>(name: string, bytes: number, answer: Promise<T>): Promise<T> {
    const clock = this.#clock;
    if (this.#outstanding++ === 0) {
      this.#since = performance.now();
      this.onRequest();
    }
    this.#bytes += bytes;
    const done = (): void => {
      this.#outstanding--;
      this.#bytes -= bytes;
      this.#since = performance.now();
    };
    if (clock === undefined || this.building || this.#hurry) {
      const given = this.#paced(answer);
      given.then(done, done);
      return given;
    }
    answer.then(done, done);
    this.#awaited++;
    const { promise, resolve } = Promise.withResolvers<T>();
    const deadline = this.#expected.get(name)?.shift() ??
      clock.now() + REQUEST_NS + bytes * BYTE_NS;
    const due = (): void => {
      this.#waiting.delete(one);
      this.#wait(answer, () => resolve(answer));
    };
    const timer = clock.timer(due, "request");
    const one = { backend: name, deadline, timer, due };
    this.#waiting.add(one);
    one.timer.arm(deadline);
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
    const due = Promise.all([this.#due, answer.then(() => {}, () => {})])
      .then(() => {
        this.#awaited--;
        give();
        if (this.#due === due) this.#due = undefined;
      });
    this.#due = due;
  }
}
