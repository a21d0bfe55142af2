/**
 * Char backends: what a serial port, a debug console or a monitor stands on
 * at the host side. A byte stream in both directions, with backpressure.
 *
 * @module
 */

/**
 * Takes bytes. A promise that it gives back is backpressure: the sender should
 * hold further bytes until it settles. The sink may keep `bytes`; the sender
 * must not change them afterwards.
 */
export type ByteSink = (bytes: Uint8Array) => void | Promise<void>;

/** A char backend, as its device sees it. */
export interface CharBackend {
  /** Bytes from the guest to the host. */
  readonly write: ByteSink;
  /**
   * Say where bytes from the host go: the device's receiver. It is called from
   * the host's event loop, between slices of guest execution. There is one
   * receiver; what arrives before it is set is kept.
   */
  onInput(receiver: ByteSink): void;
  /**
   * Resolves when everything written has reached the host. A write's error (a
   * full disk, a closed socket) rejects it.
   */
  flush(): Promise<void>;
  /** Flush, restore the terminal or close the file, and let no input come. */
  close(): Promise<void>;
}
