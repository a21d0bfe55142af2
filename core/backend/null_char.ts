/**
 * The char backend that nothing is attached to.
 *
 * @module
 */

import type { CharBackend } from "./char.ts";

/** Takes everything, gives nothing. */
export const NULL_CHAR: CharBackend = {
  write() {},
  onInput() {},
  flush: () => Promise.resolve(),
  close: () => Promise.resolve(),
};
