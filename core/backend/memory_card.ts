/**
 * A network card that is only in memory: it keeps the frames that a network
 * hands it. For tests, and for programs that are in a network themselves.
 *
 * @module
 */

import type { FrameOffload, NetCard } from "./net.ts";

/** The card. */
export class MemoryCard implements NetCard {
  /** Whether it takes frames with work left to it. */
  readonly offload: boolean;
  /** What it was handed, oldest first: copies. Whoever looks takes it out. */
  readonly frames: Uint8Array[] = [];
  /** For so many frames it has room; then it takes none. */
  room: number = Infinity;
  /** How many frames it has refused. */
  refused = 0;
  #waiting: (() => void)[] = [];

  /** A card without frames. */
  constructor(options: { offload?: boolean } = {}) {
    this.offload = options.offload ?? false;
  }

  /** See `NetCard.receive`. */
  receive(frame: Uint8Array, _offload?: FrameOffload): boolean {
    const taken = this.room > 0;
    if (taken) {
      this.room--;
      this.frames.push(frame.slice());
    } else {
      this.refused++;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    return taken;
  }

  /** Resolves when a condition holds; it is looked at after each frame. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Resolves when it has so many frames. */
  has(count: number): Promise<void> {
    return this.until(() => this.frames.length >= count);
  }
}
