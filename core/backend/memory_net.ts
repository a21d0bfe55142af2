/**
 * A network that is only in memory: it keeps the frames that the card sends and
 * hands it those that a program gives. For tests and for programs that talk to
 * a guest themselves.
 *
 * @module
 */

import type { FrameOffload, NetBackend, NetCard } from "./net.ts";

/** A frame as it was sent. */
export interface SentFrame {
  /** Its bytes: a copy. */
  readonly bytes: Uint8Array;
  /** What was left undone. */
  readonly offload?: FrameOffload;
}

/** The network. */
export class MemoryNet implements NetBackend {
  /** Whether the card may leave work to the network. */
  readonly offload: boolean;
  /** What the card has sent, oldest first; whoever looks takes it out. */
  readonly sent: SentFrame[] = [];
  /** Called for each frame that is sent, in place of keeping it. */
  onSend: ((frame: SentFrame) => void) | undefined;
  /** How often the card has said that it has room again. */
  readyCount = 0;
  readonly #waiting: SentFrame[] = [];
  #card: NetCard | undefined;

  /** A network without frames. */
  constructor(options: { offload?: boolean } = {}) {
    this.offload = options.offload ?? false;
  }

  /** The card that stands on it, when it was made. */
  get card(): NetCard | undefined {
    return this.#card;
  }

  /** How many frames wait until the card has room. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** See `NetBackend.attach`. */
  attach(card: NetCard): void {
    this.#card = card;
  }

  /** See `NetBackend.send`. */
  send(frame: Uint8Array, offload?: FrameOffload): void {
    const sent = offload === undefined
      ? { bytes: frame.slice() }
      : { bytes: frame.slice(), offload };
    if (this.onSend === undefined) this.sent.push(sent);
    else this.onSend(sent);
  }

  /** See `NetBackend.ready`: what waits is handed over later. */
  ready(): void {
    this.readyCount++;
    if (this.#waiting.length > 0) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined) return;
      if (this.#card?.receive(next.bytes, next.offload) !== true) return;
      this.#waiting.shift();
    }
  }

  /** A frame for the card now; false when it had no room, and it is lost. */
  receive(frame: Uint8Array, offload?: FrameOffload): boolean {
    return this.#card?.receive(frame, offload) ?? false;
  }

  /** A frame for the card, in order, as soon as it has room. */
  inject(frame: Uint8Array, offload?: FrameOffload): void {
    const bytes = frame.slice();
    this.#waiting.push(offload === undefined ? { bytes } : { bytes, offload });
    this.#flush();
  }

  /** See `NetBackend.close`. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
