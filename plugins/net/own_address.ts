/**
 * Notices that the card at the other end of a link has the same address as the
 * one at this end: all machines begin with the same one, and no frame arrives
 * where two have it.
 *
 * @module
 */

import { formatMac, MAC_BYTES } from "../../core/backend/mac_address.ts";

/** Where the sender's address is in a frame. */
const SOURCE = 6;

/** The address of a card, as the frames say that it sends. */
export class OwnAddress {
  readonly #warn: (message: string) => void;
  #high = -1;
  #low = -1;
  #warned = false;

  /** `warn` is told once. */
  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** The card sends a frame. */
  sends(frame: Uint8Array): void {
    this.#high = highOf(frame);
    this.#low = lowOf(frame);
  }

  /** A frame comes for the card. */
  hears(frame: Uint8Array): void {
    if (this.#warned || lowOf(frame) !== this.#low) return;
    if (highOf(frame) !== this.#high) return;
    this.#warned = true;
    const mac = formatMac(frame.subarray(SOURCE, SOURCE + MAC_BYTES));
    this.#warn(
      `another card has the address ${mac} of this one: give it another (mac=)`,
    );
  }
}

function highOf(frame: Uint8Array): number {
  return frame[SOURCE] << 16 | frame[SOURCE + 1] << 8 | frame[SOURCE + 2];
}

function lowOf(frame: Uint8Array): number {
  return frame[SOURCE + 3] << 16 | frame[SOURCE + 4] << 8 | frame[SOURCE + 5];
}
