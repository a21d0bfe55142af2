/**
 * The contract `boot-order`: firmware that can be told anew what to start.
 *
 * @module
 */

/** The contract `boot-order`. */
export interface BootOrder {
  /**
   * Start these from the next reset on: letters of `acdn`, as in a definition's
   * `boot.order`. Absent where no firmware starts the machine.
   */
  setBootOrder?(order: string): void;
}
