/**
 * What comes from outside a machine, at definite places of its run.
 *
 * Everything that a guest can notice passes through a channel. While a run is
 * recorded what comes waits until the guest stands between two instructions of
 * a slice's end; it is written down with that position, and handed over. While
 * it is replayed the recording says what comes, and what the host has is
 * dropped.
 *
 * The run loop asks at one definite point of its round (`take`), with the
 * timers run that are due by then. So the order of everything at one position is
 * the same, too.
 *
 * @module
 */

import type { StateRecord } from "../state/state.ts";
import { ReplayError } from "./error.ts";
import { hash32, hashRecord } from "./hash.ts";
import type { Digest, Position } from "./log.ts";

/** A kind of thing that comes from outside. */
export interface ChannelSpec<T> {
  /** Its name in the recording: there is one of each. */
  readonly name: string;
  /** What is written down of it. */
  encode(value: T): Uint8Array;
  /** The reverse; throws a `ReplayError` for what `encode` does not give. */
  decode(bytes: Uint8Array): T;
  /**
   * Hand it over. False: there is no room, and it is handed over again after
   * `Channel.unblock`. A promise settles when the sender may go on; with `waits`
   * the guest stands still until then.
   */
  deliver(value: T): boolean | void | Promise<void>;
  /** See `deliver`. */
  readonly waits?: boolean;
}

/** The way in for one kind of thing. */
export interface Channel<T> {
  /** Something has come; settles when it was handed over and taken, if it ever is. */
  submit(value: T): Promise<void>;
  /** There is room again for what was refused. */
  unblock(): void;
  /** How much waits. */
  readonly waiting: number;
}

/** The machine that the inputs are for. */
export interface Subject {
  /** Where it is. */
  position(): Position;
  /** CPUs and devices. */
  save(): StateRecord;
  /** RAM, ROM and video memory. */
  readonly memory: Uint8Array;
  /** Whether a device waits for a disk. */
  readonly awaitsDisk: boolean;
  /** Whether a debugger has stopped it within a slice. */
  readonly isCut: boolean;
  /** Forget what CPUs know of page tables: what is forgotten is found anew. */
  forgetMappings(): void;
  /** Let virtual time go forward. */
  skipTo(time: number): void;
  /** End the run. */
  stop(): void;
  /** Look for inputs soon, also while the CPU waits. */
  wake(): void;
}

/** The run loop's sleep: until `wake`, or for so many milliseconds. */
export type Sleep = (milliseconds: number) => Promise<unknown>;

/** Output that a host has not taken yet, in bytes, from which on the guest stands still. */
const MOST_UNSENT = 2 ** 20;
/** Each check has such a part of memory. */
const MEMORY_PARTS = 64;

/** What comes from outside: `Recorder` or `Player`. */
export abstract class TimedInputs {
  /** The channels' names, by number. */
  readonly channels: string[] = [];
  /** Whether what the guest sends reaches anybody but terminals and screens. */
  abstract readonly isLive: boolean;
  /**
   * Why a debugger may not write. What it wrote at a breakpoint would stand
   * before or after an interrupt at the same count of instructions, and rr and
   * QEMU record no such thing either.
   */
  abstract readonly refusal: string;
  protected subject!: Subject;
  #disks = 0;
  #sent = 0x811c9dc5;
  #unsent = 0;
  #onSent: (() => void) | undefined;
  #checks = 0;

  /** The machine, once it is built. */
  attach(subject: Subject): void {
    this.subject = subject;
  }

  /** Where the machine is. */
  get position(): Position {
    return this.subject.position();
  }

  /** Throws a `ReplayError` in a replay: nothing reaches it. */
  mustListen(): void {
    if (this.isLive) return;
    throw new ReplayError(
      "unsupported",
      "A replay has what was recorded, and nothing else reaches it",
    );
  }

  /** Throws a `ReplayError`: the machine is to become another one. */
  mustStay(): void {
    throw new ReplayError(
      "unsupported",
      "A run that is recorded or replayed does not become another one",
    );
  }

  /** A new channel. */
  channel<T>(spec: ChannelSpec<T>): Channel<T> {
    if (this.channels.includes(spec.name)) {
      throw new Error(`there is a channel "${spec.name}" already`);
    }
    this.channels.push(spec.name);
    return this.open(spec as ChannelSpec<unknown>) as Channel<T>;
  }

  /** A channel whose number is the last of `channels`. */
  protected abstract open(spec: ChannelSpec<unknown>): Channel<unknown>;

  /** Whether there is something to hand over to a guest that stands still. */
  abstract readonly isAwaited: boolean;

  /** Instructions until the guest must stand still for what comes then: at least 1. */
  abstract readonly budget: number;

  /**
   * The guest stands at the end of a slice: what comes here is handed over. A
   * promise: something was, or the guest must wait, and when it settles the
   * loop begins its round again. `stands`: it is not followed by a slice.
   */
  abstract take(stands?: boolean): Promise<void> | undefined;

  /** All CPUs wait, and the next timer is due at `deadline`: let time go on. */
  abstract idle(deadline: number, sleep: Sleep): Promise<void>;

  /** All CPUs wait, and are about to stand still: not for what is due at `deadline`. */
  stand(_deadline: number): void {}

  /** The guest has ended the run. */
  abstract end(): void;

  /** The machine is stopped. */
  abstract close(): void;

  /** The guest has read this from a disk. */
  disk(bytes: Uint8Array): void {
    this.#disks = hash32(bytes, this.#disks);
  }

  /**
   * The guest sends this. `taken` settles when the host has taken it: devices
   * do not see how slow the host is, the guest stands still instead.
   */
  sent(bytes: Uint8Array, taken?: void | Promise<void>): void {
    // Byte by byte (FNV-1a): how a stream is cut into pieces is no matter.
    let sum = this.#sent;
    for (let i = 0; i < bytes.length; i++) {
      sum = Math.imul(sum ^ bytes[i], 0x01000193);
    }
    this.#sent = sum >>> 0;
    if (taken === undefined) return;
    const { length } = bytes;
    this.#unsent += length;
    const done = (): void => {
      this.#unsent -= length;
      if (this.#unsent < MOST_UNSENT) this.#onSent?.();
    };
    taken.then(done, done);
  }

  /** Whoever waits for the host is to look again: the run may end without it. */
  lookAgain(): void {
    this.#onSent?.();
  }

  /** Settles when the host has taken enough, or early; undefined when it has. */
  protected unsent(): Promise<void> | undefined {
    if (this.#unsent < MOST_UNSENT) return undefined;
    return new Promise((resolve) => this.#onSent = resolve);
  }

  /** Hashes of the machine as it is: of all its memory, or of the next part. */
  protected digest(all: boolean): Digest {
    const { memory } = this.subject;
    const part = Math.ceil(memory.length / MEMORY_PARTS / 4) * 4;
    const from = all ? 0 : (this.#checks++ % MEMORY_PARTS) * part;
    const to = all ? memory.length : from + part;
    return {
      state: hashRecord(this.subject.save()),
      memory: hash32(memory.subarray(from, to)),
      disks: this.#disks,
      sent: this.#sent,
    };
  }

  /** What a later `restoreSums` needs. */
  protected get sums(): readonly number[] {
    return [this.#disks, this.#sent, this.#checks];
  }

  /** The run is at another position now. */
  protected restoreSums([disks, sent, checks]: readonly number[]): void {
    [this.#disks, this.#sent, this.#checks] = [disks, sent, checks];
  }
}
