/**
 * The link to the guest: one network card, which may have no room.
 *
 * Nothing is sent while the card is calling: `schedule` has it done soon. What
 * was built as a frame waits in a short queue and is lost when that is full, as
 * on any network; TCP makes its segments when there is room.
 *
 * @module
 */

import type { FrameOffload, NetCard } from "../../../core/backend/net.ts";
import type { HostClock } from "./clock.ts";

/** Frames that wait. */
const QUEUE_FRAMES = 512;
/** Their bytes. */
const QUEUE_BYTES = 1024 * 1024;

/** The link. */
export class GuestLink {
  /** Called when there is room, after what was queued. */
  onRoom: () => void = () => {};
  readonly #clock: Pick<HostClock, "soon">;
  #card: NetCard | undefined;
  #room = false;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #scheduled = false;
  #closed = false;

  /** A link without a card. */
  constructor(clock: Pick<HostClock, "soon">) {
    this.#clock = clock;
  }

  /** The card that is there now. */
  attach(card: NetCard): void {
    this.#card = card;
    this.ready();
  }

  /** Whether the card takes frames with an offload. */
  get offload(): boolean {
    return this.#card?.offload ?? false;
  }

  /** Whether the card has no room. */
  get blocked(): boolean {
    return !this.#room;
  }

  /** The card has room again. */
  ready(): void {
    this.#room = true;
    this.schedule();
  }

  /** Send what there is, soon. */
  schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    this.#clock.soon(this.#flush);
  }

  /** Queue a frame; it is the link's from now on. */
  post(frame: Uint8Array): void {
    if (
      this.#queue.length >= QUEUE_FRAMES ||
      this.#queued + frame.length > QUEUE_BYTES
    ) return;
    this.#queue.push(frame);
    this.#queued += frame.length;
    this.schedule();
  }

  /**
   * Hand a frame to the card: false when there is no room. Only within `onRoom`;
   * the bytes are the caller's again afterwards.
   */
  transmit(frame: Uint8Array, offload?: FrameOffload): boolean {
    if (!this.#room || this.#card === undefined) return false;
    this.#room = this.#card.receive(frame, offload);
    return this.#room;
  }

  /** Send nothing any more. */
  close(): void {
    this.#closed = true;
    this.#room = false;
    this.#queue = [];
    this.#queued = 0;
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#closed) return;
    let sent = 0;
    while (sent < this.#queue.length) {
      const frame = this.#queue[sent];
      if (!this.transmit(frame)) break;
      this.#queued -= frame.length;
      sent++;
    }
    this.#queue.splice(0, sent);
    if (this.#room) this.onRoom();
  };
}
