/**
 * Records a run.
 *
 * Virtual time goes on while the guest is idle as fast as the host's, so that
 * those whom the guest talks to need not keep up with one that skips its waits.
 *
 * @module
 */

import { ReplayError } from "./error.ts";
import {
  type Channel,
  type ChannelSpec,
  type Sleep,
  TimedInputs,
} from "./inputs.ts";
import {
  CHECK,
  CUT_END,
  END,
  type Entry,
  EntryWriter,
  INPUTS,
  type LoggedEvent,
  MAGIC,
  OWN_END,
  type Position,
  VERSION,
  writeHeader,
} from "./log.ts";

/** Instructions between two checks, about. */
const CHECK_EVERY = 16_777_216;
/** Shorter waits of an idle guest are skipped: timers of the host are no finer. */
const LEAST_WAIT_MS = 2;
/** How far virtual time may be behind the host's and catch up while the guest is idle. */
const MOST_LAG_MS = 20;
/** The most that a host timer takes. */
const MOST_WAIT_MS = 2 ** 31 - 1;
/** Bytes and milliseconds that wait to be written at most. */
const MOST_PENDING = 65536;
const PENDING_MS = 200;

/** Where a recording goes. */
export interface Sink {
  /** Append bytes; throws when the host cannot. */
  append(bytes: Uint8Array): void;
  /** No more will come. */
  close(): void;
}

/**
 * A file; throws a `ReplayError` when it cannot be made, or is there and no
 * recording: it may be a disk or the snapshot that the run begins with.
 */
export async function createLog(path: string): Promise<Sink> {
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(path, { write: true, create: true });
    const { isFile, size } = await file.stat();
    if (isFile && size > 0) {
      if (!await isRecording(path)) {
        throw new Error("it is there, and is no recording");
      }
      await file.truncate();
    }
  } catch (cause) {
    file?.close();
    if (!(cause instanceof Error)) throw cause;
    throw new ReplayError(
      "io",
      `Cannot record to "${path}": ${cause.message}`,
      { cause },
    );
  }
  const log = file;
  return {
    append: (bytes) => {
      for (let at = 0; at < bytes.length;) {
        at += log.writeSync(bytes.subarray(at));
      }
    },
    close: () => log.close(),
  };
}

/** Whether a file begins as recordings do, of whatever version. */
async function isRecording(path: string): Promise<boolean> {
  using file = await Deno.open(path);
  const magic = MAGIC.subarray(0, VERSION);
  const head = new Uint8Array(magic.length);
  await file.read(head);
  return head.every((byte, i) => byte === magic[i]);
}

interface Waiting {
  readonly channel: OpenChannel;
  readonly value: unknown;
  readonly taken: PromiseWithResolvers<void>;
  again: boolean;
}

interface OpenChannel {
  readonly number: number;
  readonly spec: ChannelSpec<unknown>;
  isBlocked: boolean;
  waiting: number;
}

/** Records what comes. */
export class Recorder extends TimedInputs {
  override readonly isLive = true;
  override readonly refusal =
    "The run is recorded: what a debugger writes would not be in the recording";
  readonly #sink: Sink;
  #writer: EntryWriter | undefined;
  #queue: Waiting[] = [];
  #looked: Position = { count: -1, time: -1 };
  /** Whether no slice has begun since. */
  #stood = false;
  #nextCheck = CHECK_EVERY;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #written = performance.now();
  /** When the last entry was made. */
  #noted = performance.now();
  #isClosed = false;
  /** Virtual time at a time of the host's, in ms. */
  #virtual = 0;
  #host = performance.now();

  /** Writes to a sink. */
  constructor(sink: Sink) {
    super();
    this.#sink = sink;
  }

  /** The machine stands before its first instruction, and this is known of it. */
  begin(header: object): void {
    this.#append(writeHeader(header));
    this.#flush();
    this.#writer = new EntryWriter({ count: 0, time: 0 });
  }

  /** See {@linkcode TimedInputs.open}. */
  protected override open(spec: ChannelSpec<unknown>): Channel<unknown> {
    const number = this.channels.length - 1;
    const channel: OpenChannel = { number, spec, isBlocked: false, waiting: 0 };
    return {
      submit: (value) => {
        if (this.#isClosed) return Promise.resolve();
        const taken = Promise.withResolvers<void>();
        this.#queue.push({ channel, value, taken, again: false });
        channel.waiting++;
        if (!channel.isBlocked) this.subject?.wake();
        return taken.promise;
      },
      unblock: () => {
        if (!channel.isBlocked) return;
        channel.isBlocked = false;
        this.subject?.wake();
      },
      get waiting(): number {
        return channel.waiting;
      },
    };
  }

  /** Whether something waits that there is room for, and may come here. */
  override get isAwaited(): boolean {
    return this.#hasInput && (this.#stood || this.#isNew(this.position));
  }

  /**
   * Each position has one batch, so that it is told from the next: after a
   * slice without an instruction it is the same position, and another place.
   */
  #isNew({ count, time }: Position): boolean {
    return count !== this.#looked.count || time !== this.#looked.time;
  }

  /** Nothing is foreseen. */
  override get budget(): number {
    return Infinity;
  }

  /** See {@linkcode TimedInputs.take}. */
  override take(stands = false): Promise<void> | undefined {
    const position = this.subject.position();
    const isNew = this.#isNew(position);
    const isPlace = isNew || stands && this.#stood;
    this.#looked = position;
    const taken = isPlace ? this.#takeAt(position, isNew) : this.unsent();
    // A guest that waits for what was taken may be told then to stand still.
    this.#stood = (isPlace || this.#stood) && (stands || taken !== undefined);
    return taken;
  }

  #takeAt(position: Position, isNew: boolean): Promise<void> | undefined {
    const { count, time } = position;
    if (this.#hasInput) {
      const delivered = this.#deliver(position);
      if (delivered !== undefined) return delivered;
    }
    if (count >= this.#nextCheck && !this.subject.awaitsDisk) {
      this.#nextCheck = count + CHECK_EVERY;
      this.subject.forgetMappings();
      this.#write({ type: CHECK, count, time, digest: this.digest(false) });
    } else if (isNew && performance.now() - this.#noted > PENDING_MS) {
      // Nothing came: who is killed has the run up to here all the same.
      this.#write({ type: INPUTS, count, time, events: [] });
    }
    if (performance.now() - this.#written > PENDING_MS) this.#flush();
    return this.unsent();
  }

  get #hasInput(): boolean {
    return this.#queue.some(({ channel }) => !channel.isBlocked);
  }

  /** Hand over what waits; undefined when it was nothing. */
  #deliver({ count, time }: Position): Promise<void> | undefined {
    const queue = this.#queue;
    this.#queue = [];
    const events: LoggedEvent[] = [];
    const kept: Waiting[] = [];
    const waits: Promise<void>[] = [];
    for (const waiting of queue) {
      const { channel, value, again, taken } = waiting;
      if (channel.isBlocked) {
        kept.push(waiting);
        continue;
      }
      const { spec, number } = channel;
      const bytes = again ? new Uint8Array() : spec.encode(value);
      events.push({ channel: number, again, bytes });
      const result = spec.deliver(value);
      if (result === false) {
        channel.isBlocked = true;
        waiting.again = true;
        kept.push(waiting);
        continue;
      }
      channel.waiting--;
      if (result instanceof Promise) {
        if (spec.waits) waits.push(result.catch(() => {}));
        result.then(taken.resolve, taken.reject);
      } else taken.resolve();
    }
    this.#queue = [...kept, ...this.#queue];
    if (events.length === 0) return undefined;
    this.#write({ type: INPUTS, count, time, events });
    return Promise.all(waits).then(() => {});
  }

  /** See {@linkcode TimedInputs.idle}. */
  override async idle(deadline: number, sleep: Sleep): Promise<void> {
    const { subject } = this;
    const { time } = subject.position();
    this.#keepPace(time);
    if (!this.#hasInput) {
      const wait = (deadline - this.#now) / 1e6;
      if (wait < LEAST_WAIT_MS) return subject.skipTo(deadline);
      this.#flush();
      await sleep(Math.min(wait, MOST_WAIT_MS));
    }
    // At least a nanosecond, so that what comes has a position of its own.
    const now = Math.floor(Math.max(this.#now, time + 1));
    subject.skipTo(Math.min(deadline, now));
  }

  /** See {@linkcode TimedInputs.stand}: what comes then has a position of its own. */
  override stand(deadline: number): void {
    const { subject } = this;
    subject.skipTo(Math.min(deadline, subject.position().time + 1));
  }

  /** What virtual time would be if it went on with the host's. */
  get #now(): number {
    return this.#virtual + (performance.now() - this.#host) * 1e6;
  }

  /** The guest begins to wait: it need not wait for what it was too slow for. */
  #keepPace(time: number): void {
    const now = Math.min(Math.max(this.#now, time), time + MOST_LAG_MS * 1e6);
    this.#virtual = now;
    this.#host = performance.now();
  }

  #write(entry: Entry): void {
    if (this.#isClosed) return;
    this.#noted = performance.now();
    this.#append(this.#writer!.write(entry));
    if (this.#pendingBytes >= MOST_PENDING) this.#flush();
  }

  #append(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
  }

  #flush(): void {
    this.#written = performance.now();
    const pending = this.#pending;
    if (pending.length === 0) return;
    this.#pending = [];
    this.#pendingBytes = 0;
    try {
      for (const bytes of pending) this.#sink.append(bytes);
    } catch (cause) {
      this.#letGo();
      if (!(cause instanceof Error)) throw cause;
      throw new ReplayError("io", `Cannot record: ${cause.message}`, { cause });
    }
  }

  /** Write the guest's own end down. */
  override end(): void {
    this.#end(OWN_END);
  }

  /** Write the end down. */
  override close(): void {
    this.#end(this.subject?.isCut ? CUT_END : END);
  }

  #end(type: typeof END | typeof OWN_END | typeof CUT_END): void {
    if (this.#isClosed) return;
    try {
      if (this.#writer !== undefined) {
        const digest = this.digest(true);
        this.#write({ type, ...this.subject.position(), digest });
      }
      this.#flush();
    } finally {
      this.#letGo();
    }
  }

  /** Nothing more is written, and nobody is to wait for it. */
  #letGo(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { taken } of this.#queue.splice(0)) taken.resolve();
    this.#sink.close();
  }
}
