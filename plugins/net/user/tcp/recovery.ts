/**
 * How a loss is noticed and mended without waiting for a timeout: by duplicate
 * acknowledgements (RFC 5681, 3.2) and, when more than one segment was lost, by
 * acknowledgements of a part (RFC 6582, 3.2).
 *
 * @module
 */

/** Duplicate acknowledgements that mean a loss (RFC 5681, 3.2). */
const DUPLICATES = 3;

/** What is known of losses. */
export class Recovery {
  /** The first segment that was not acknowledged is to be sent again. */
  resend = false;
  #duplicates = 0;
  #isRecovering = false;
  /** What was sent before this has nothing to say of a new loss. */
  #recover: number;

  /** No loss in what is sent from this sequence number on. */
  constructor(sequence: number) {
    this.#recover = sequence;
  }

  /** Everything before `ack` has come, and something new. */
  advance(ack: number): void {
    this.#duplicates = 0;
    if (!this.#isRecovering) {
      // It keeps up: 2 GiB behind it would be ahead.
      if ((ack - 1 - this.#recover | 0) > 0) this.#recover = ack - 1 | 0;
    } else if ((ack - this.#recover | 0) >= 0) this.#isRecovering = false;
    else this.resend = true;
  }

  /**
   * The receiver says again that it waits for `unacknowledged`; `end` is beyond
   * what was ever sent. Whether that says that there is a loss.
   */
  duplicate(unacknowledged: number, end: number): boolean {
    if (
      ++this.#duplicates !== DUPLICATES || this.#isRecovering ||
      (unacknowledged - this.#recover | 0) <= 0
    ) return false;
    this.#isRecovering = true;
    this.#recover = end;
    this.resend = true;
    return true;
  }

  /** Nothing came in time: all before `end` is sent again anyway. */
  timeout(end: number): void {
    this.#duplicates = 0;
    this.#isRecovering = false;
    this.#recover = end;
    this.resend = false;
  }
}
