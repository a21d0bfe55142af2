/**
 * Replays a recorded run.
 *
 * @module
 */

import { ReplayError } from "./error.ts";
import { type Channel, type ChannelSpec, TimedInputs } from "./inputs.ts";
import {
  CHECK,
  CUT_END,
  type Digest,
  type Entries,
  type Entry,
  INPUTS,
  type LoggedEvent,
  OWN_END,
  type Position,
} from "./log.ts";

/** What a digest's parts are of, for messages. */
const PARTS: Readonly<Record<keyof Digest, string>> = {
  disks: "what the guest read from its disks",
  sent: "what the guest sent",
  state: "the state of CPUs and devices",
  memory: "the memory",
};

/** Where a player is in the recording: for `Player.restore`. */
export interface Place {
  /** The entry that comes next. */
  readonly next: number;
  /** By channel, what was refused last. */
  readonly refused: readonly (Uint8Array | undefined)[];
  /** See `TimedInputs.sums`. */
  readonly sums: readonly number[];
}

interface PlayedChannel {
  readonly spec: ChannelSpec<unknown>;
  refused: Uint8Array | undefined;
}

/** Hands over what was recorded. */
export class Player extends TimedInputs {
  override readonly isLive = false;
  override readonly refusal = "The run is replayed: it is what was recorded, " +
    "and nothing that is written from outside";
  readonly #entries: Entries;
  readonly #channels: PlayedChannel[] = [];
  #next = 0;
  #isAtEnd = false;
  /** Do not go beyond so many instructions. */
  limit = Infinity;
  /** Called at the end of the recording: whether the run goes on to stand there. */
  onEnd: () => boolean = () => false;
  /** Called when the limit or the end of the recording ends the run. */
  onStop: () => void = () => {};
  /** Called at a check, at which the machine may be saved. */
  onCheck: (position: Position) => void = () => {};

  /** Plays these. */
  constructor(entries: Entries) {
    super();
    this.#entries = entries;
  }

  /** Whether all that was recorded has been replayed. */
  get isAtEnd(): boolean {
    return this.#isAtEnd;
  }

  /** Throws a `ReplayError` if an input is for a channel that there is not. */
  checkChannels(): void {
    if (this.#entries.channels > this.#channels.length) {
      throw new ReplayError("damaged", "an input is for nothing that there is");
    }
  }

  /** See {@linkcode TimedInputs.open}: what the host has is dropped. */
  protected override open(spec: ChannelSpec<unknown>): Channel<unknown> {
    this.#channels.push({ spec, refused: undefined });
    return {
      submit: () => Promise.resolve(),
      unblock: () => {},
      waiting: 0,
    };
  }

  /** Nobody waits for what was recorded. */
  override get isAwaited(): boolean {
    return false;
  }

  /** Up to the next input, or the limit. */
  override get budget(): number {
    const entry = this.#entries.at(this.#next);
    const isOwn = entry === undefined || entry.type === OWN_END;
    const next = isOwn ? this.limit : Math.min(entry.count, this.limit);
    return Math.max(next - this.position.count, 1);
  }

  /** See {@linkcode TimedInputs.take}. */
  override take(): Promise<void> | undefined {
    const position = this.subject.position();
    const entry = this.#entries.at(this.#next);
    if (entry === undefined) return this.#end();
    if (position.count >= this.limit) {
      return this.stop(), undefined;
    }
    if (
      position.count < entry.count ||
      // What the guest does then comes in the slice.
      position.count === entry.count && entry.type === OWN_END ||
      position.count === entry.count && position.time < entry.time
    ) return this.unsent();
    if (position.count !== entry.count || position.time !== entry.time) {
      throw this.#diverged(`the next input is for instruction ${entry.count}`);
    }
    this.#next++;
    if (entry.type === INPUTS) return this.#deliver(entry.events);
    if (entry.type !== CUT_END) this.#check(entry, entry.digest);
    if (this.#next === this.#entries.length) return this.#end();
    return this.#isMore(entry) ? Promise.resolve() : this.unsent();
  }

  /** Whether the recorded guest waited here for the host, and then something came. */
  #isMore({ count, time }: Position): boolean {
    const next = this.#entries.at(this.#next);
    return next !== undefined && next.type !== OWN_END &&
      next.count === count && next.time === time;
  }

  /** All CPUs wait. */
  override idle(deadline: number): Promise<void> {
    const next = this.#entries.at(this.#next);
    if (next === undefined) return this.#end() ?? Promise.resolve();
    const isNow = next.count === this.position.count && next.type !== OWN_END;
    const target = isNow ? Math.min(deadline, next.time) : deadline;
    if (target === Infinity) {
      return Promise.reject(
        this.#diverged("the guest waits for what does not come"),
      );
    }
    this.subject.skipTo(target);
    return Promise.resolve();
  }

  #end(): Promise<void> | undefined {
    this.#isAtEnd = true;
    if (this.onEnd()) return Promise.resolve();
    this.stop();
    return undefined;
  }

  /** End the run. */
  stop(): void {
    this.onStop();
    this.subject.stop();
  }

  #deliver(events: readonly LoggedEvent[]): Promise<void> {
    const waits: Promise<void>[] = [];
    for (const { channel: number, again, bytes } of events) {
      const channel = this.#channels[number];
      const { spec } = channel;
      const value = again ? channel.refused : bytes;
      if (value === undefined) {
        throw new ReplayError("damaged", "nothing was refused before");
      }
      const result = spec.deliver(spec.decode(value));
      channel.refused = result === false ? value : undefined;
      if (result instanceof Promise) {
        // What cannot be done could not when it was recorded; nobody waits
        // for it here.
        const done = result.catch((error) => {
          if (error instanceof ReplayError) throw error;
        });
        if (spec.waits) waits.push(done);
        else done.catch(() => {});
      }
    }
    return Promise.all(waits).then(() => {});
  }

  /** The guest has ended the run: as it did? */
  override end(): void {
    const entry = this.#entries.at(this.#next);
    const { count, time } = this.position;
    // Without the end nobody knows how it went on.
    if (entry === undefined) return;
    if (
      entry.type !== OWN_END || entry.count !== count || entry.time !== time
    ) throw this.#diverged("the guest ends the run");
    this.#check(entry, entry.digest);
  }

  #check(entry: Entry, recorded: Digest): void {
    const { type } = entry;
    if (type === CHECK) this.subject.forgetMappings();
    const now = this.digest(type !== CHECK);
    for (const [part, what] of Object.entries(PARTS)) {
      const key = part as keyof Digest;
      if (now[key] !== recorded[key]) throw this.#diverged(`${what} differs`);
    }
    if (type === CHECK) this.onCheck(entry);
  }

  #diverged(what: string): ReplayError {
    const { count, time } = this.subject.position();
    return new ReplayError(
      "diverged",
      `The replay is not what was recorded after ${count} instructions, at ` +
        `${(time / 1e9).toFixed(6)} s: ${what}`,
    );
  }

  /** Where it is. */
  get place(): Place {
    return {
      next: this.#next,
      refused: this.#channels.map(({ refused }) => refused),
      sums: this.sums,
    };
  }

  /** The machine is where `place` was asked for. */
  restore({ next, refused, sums }: Place): void {
    this.#next = next;
    this.#isAtEnd = false;
    this.#channels.forEach((channel, i) => channel.refused = refused[i]);
    this.restoreSums(sums);
  }

  /** The machine is stopped. */
  override close(): void {
    this.#entries.close();
  }
}
