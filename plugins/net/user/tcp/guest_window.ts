/**
 * The window that the guest gives for what is sent to it (RFC 9293, 3.10.7.4;
 * its shift: RFC 7323, 2).
 *
 * @module
 */

import { SYN, type TcpSegment } from "../pdu/tcp.ts";

/** A window. */
export class GuestWindow {
  /** Bytes that may follow what was acknowledged. */
  size = 0;
  /** The most that there ever were. */
  greatest = 0;
  #shift = 0;
  /** The sequence number of the segment that said so last. */
  #sequence = 0;

  /** What the guest's SYN says. */
  begin(syn: TcpSegment): void {
    this.size = syn.window;
    this.greatest = syn.window;
    this.#sequence = syn.sequence;
    this.#shift = Math.max(syn.shift, 0);
  }

  /**
   * What a segment says that acknowledges `fresh` bytes more, unless it is older
   * than what is known. Gives back the window in it.
   */
  update(segment: TcpSegment, fresh: number): number {
    // The window of a SYN is not shifted.
    const window = (segment.flags & SYN) !== 0
      ? segment.window
      : segment.window << this.#shift;
    const later = segment.sequence - this.#sequence | 0;
    if (
      fresh > 0 ||
      (fresh === 0 && (later > 0 || (later === 0 && window > this.size)))
    ) {
      this.size = window;
      this.#sequence = segment.sequence;
      if (window > this.greatest) this.greatest = window;
    }
    return window;
  }
}
