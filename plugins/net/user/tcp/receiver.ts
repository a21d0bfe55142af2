/**
 * What a connection receives (RFC 9293, 3.4 and 3.8.6): bytes in order or out of
 * it within the window that the guest was given, and the guest's FIN.
 *
 * @module
 */

import { FIN, type TcpSegment } from "../pdu/tcp.ts";
import { ByteRing, type RingBudget } from "./byte_ring.ts";
import { Gaps } from "./gaps.ts";

/** Shift of the windows that the guest is given: they are up to 1 MiB. */
const WINDOW_SHIFT = 5;

/** The receiving half of a connection. */
export class Receiver {
  /** What came in order and was not taken. */
  readonly ring: ByteRing;
  /** The guest has said that it has no more to send. */
  finReceived = false;
  /** The next sequence number expected. */
  expected = 0;
  /** The end of the window that the guest was given. */
  edge = 0;
  /** The shift of windows: 0 when the guest does not shift. */
  shift: number = WINDOW_SHIFT;
  readonly #gaps = new Gaps();
  #finSequence: number | undefined;

  /** Nothing received. */
  constructor(budget: RingBudget) {
    this.ring = new ByteRing(budget);
  }

  /** The guest's SYN has this sequence number. */
  begin(sequence: number): void {
    this.expected = sequence + 1 | 0;
    this.edge = this.expected;
  }

  /** Bytes by which the window could be larger than the guest knows. */
  get opening(): number {
    return (this.expected + this.#free() | 0) - this.edge | 0;
  }

  /** The window for a segment's header, which is then what the guest has. */
  windowField(syn: boolean): number {
    const shift = syn ? 0 : this.shift;
    // What was once allowed stays so.
    const window = Math.max(this.#free(), this.edge - this.expected | 0);
    const field = Math.min(window >>> shift, 0xffff);
    const edge = this.expected + (field << shift) | 0;
    if ((edge - this.edge | 0) > 0) this.edge = edge;
    return field;
  }

  /**
   * Take bytes and FIN of a segment of which some part is in the window; false
   * when there is nothing new in order.
   */
  take(segment: TcpSegment): boolean {
    if (this.finReceived) return false;
    const { bytes } = segment;
    let from = segment.payload;
    let { sequence, length } = segment;
    const fin = (segment.flags & FIN) !== 0;
    if (fin) this.#finSequence = sequence + length | 0;
    const known = this.expected - sequence | 0;
    if (known > 0) {
      from += known;
      sequence = this.expected;
      length -= known;
    }
    const beyond = (sequence + length | 0) - this.edge | 0;
    if (beyond > 0) {
      length -= beyond;
      if (fin) this.#finSequence = undefined;
    }
    const before = this.expected;
    if (length > 0 && !this.#store(bytes, from, sequence, length)) return false;
    if (this.#finSequence === this.expected) {
      this.finReceived = true;
      this.expected = this.expected + 1 | 0;
    }
    return this.expected !== before;
  }

  /** Store bytes, as many as there is memory for; false when for none. */
  #store(
    bytes: Uint8Array,
    from: number,
    sequence: number,
    length: number,
  ): boolean {
    const { ring, expected } = this;
    const offset = ring.length + (sequence - expected | 0);
    if (!ring.reserve(offset + length)) {
      // Others have the memory that there was when the window was given.
      length = ring.capacity - offset;
      if (length <= 0 || !ring.reserve(offset + length)) return false;
    }
    const end = sequence + length | 0;
    if (sequence === expected) {
      ring.put(offset, bytes, from, from + length);
      const next = this.#gaps.advance(end);
      ring.extend(next - expected | 0);
      this.expected = next;
    } else if (this.#gaps.add(sequence, end)) {
      ring.put(offset, bytes, from, from + length);
    }
    return true;
  }

  /** Bytes that there is room for. */
  #free(): number {
    const free = this.ring.limit - this.ring.length;
    return Math.max(0, Math.min(free, 0xffff << this.shift));
  }
}
