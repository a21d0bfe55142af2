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

/**
 * An estimate of the round-trip time, and the timeout that follows from it. One
 * segment is timed at once, and none that is sent twice (Karn).
 */
export class RoundTrip {
  #smoothed = -1;
  #variation = 0;
  #rto = FIRST_RTO;
  #backoff = 0;
  #isTiming = false;
  #sequence = 0;
  #since = 0;

  /** The timeout, in ms. */
  get timeout(): number {
    return Math.min(this.#rto * 2 ** this.#backoff, MAX_RTO);
  }

  /** A segment with this sequence number is sent for the first time. */
  begin(sequence: number, now: number): void {
    if (this.#isTiming) return;
    this.#isTiming = true;
    this.#sequence = sequence;
    this.#since = now;
  }

  /** Everything before `acknowledgement` has come, and something new. */
  end(acknowledgement: number, now: number): void {
    if (this.#isTiming && (acknowledgement - this.#sequence | 0) > 0) {
      this.#isTiming = false;
      this.sample(now - this.#since);
    }
    this.#backoff = 0;
  }

  /** What is timed may be sent again. */
  cancel(): void {
    this.#isTiming = false;
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

  /** Nothing came in time: wait twice as long; all is sent again. */
  back(): void {
    if (this.#backoff < 16) this.#backoff++;
    this.#isTiming = false;
  }
}
