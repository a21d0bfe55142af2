/**
 * Whether there is traffic on a machine's networks, as the run loop sees it.
 *
 * What a network has for the guest comes by the host's event loop. While frames
 * pass, the loop gives it its turn as often as while a disk has a request, and
 * an idle guest does not keep the host from its events: a TCP connection whose
 * next frame waits for a slice of 2 ms to end is idle most of the time.
 *
 * @module
 */

import type { NetBackend } from "../backend/net.ts";

/** Traffic is what passed so long ago at most. */
const RECENT_MS = 5;

/** Notes the frames of all networks of a machine, and its monitors' commands. */
export class NetTraffic {
  readonly #now: () => number;
  #until = -Infinity;
  /** Called when a frame passes and none had for a while. */
  onBegin: () => void = () => {};

  /** `now` gives the host's time in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether a frame has passed lately. */
  get isRecent(): boolean {
    return this.#now() < this.#until;
  }

  /**
   * A frame passes, or somebody outside waits for an answer: for so many
   * milliseconds that is recent.
   */
  note(milliseconds: number = RECENT_MS): void {
    const now = this.#now();
    const begins = now >= this.#until;
    this.#until = Math.max(this.#until, now + milliseconds);
    if (begins) this.onBegin();
  }

  /** The network as its card sees it. */
  on(backend: NetBackend): NetBackend {
    return {
      get offload(): boolean {
        return backend.offload;
      },
      attach: (card) =>
        backend.attach({
          get offload(): boolean {
            return card.offload;
          },
          receive: (frame, offload) => {
            this.note();
            return card.receive(frame, offload);
          },
        }),
      send: (frame, offload) => {
        this.note();
        backend.send(frame, offload);
      },
      ready: () => backend.ready(),
      close: () => backend.close(),
    };
  }
}
