/**
 * How long to wait for an acknowledgement (RFC 6298).
 *
 * @module
 */

/** The timeout before anything was measured, in ms. */
const FIRST_RTO = 1000;
/**
 * The least timeout, in ms. The guest is near, but it may be busy or its host
 * may be: a second transmission that is not needed costs more than it wins.
 */
const MIN_RTO = 200;
/** The greatest timeout, in ms. */
const MAX_RTO = 60_000;

/** An estimate of the round-trip time, and the timeout that follows from it. */
export class RoundTrip {
  #smoothed = -1;
  #variation = 0;
  #rto = FIRST_RTO;
  #backoff = 0;

  /** The timeout, in ms. */
  get timeout(): number {
    return Math.min(this.#rto * 2 ** this.#backoff, MAX_RTO);
  }

  /** A segment was acknowledged after so many ms. */
  sample(ms: number): void {
    if (this.#smoothed < 0) {
      this.#smoothed = ms;
      this.#variation = ms / 2;
    } else {
      this.#variation = this.#variation * 0.75 +
        Math.abs(this.#smoothed - ms) * 0.25;
      this.#smoothed = this.#smoothed * 0.875 + ms * 0.125;
    }
    this.#rto = Math.max(this.#smoothed + 4 * this.#variation, MIN_RTO);
    this.#backoff = 0;
  }

  /** Nothing came in time: wait twice as long. */
  back(): void {
    if (this.#backoff < 16) this.#backoff++;
  }

  /** Something came. */
  forth(): void {
    this.#backoff = 0;
  }
}
