/**
 * Frames on their way to a card, one after the other: those that come while it
 * has no room wait until it says that it has.
 *
 * @module
 */

import type { NetCard } from "../../core/backend/net.ts";

/** A card at the end of a link. */
export class Delivery {
  #card: NetCard | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  #closed = false;

  /** The card is there. */
  attach(card: NetCard): void {
    this.#card = card;
    this.ready();
  }

  /** The card has room, or is worth another try. */
  ready(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.resolve();
  }

  /** Whether the card took a frame. A card that is not there takes none. */
  offer(frame: Uint8Array): boolean {
    return this.#card?.receive(frame) ?? false;
  }

  /** Resolves when the card may have room, or never will have. */
  get room(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return (this.#room ??= Promise.withResolvers()).promise;
  }

  /** No more frames will be offered. */
  close(): void {
    this.#closed = true;
    this.#card = undefined;
    this.ready();
  }
}
