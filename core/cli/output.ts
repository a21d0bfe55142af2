/**
 * What the command line says, and to whom.
 *
 * @module
 */

import type { ProgressDisplay } from "../progress/progress.ts";

/** Where the command line's text goes. */
export interface Output {
  /** Results. */
  out(text: string): void;
  /** Messages, a line each. */
  message(line: string): void;
  /** Traces, in whole lines. */
  trace(text: string): void;
  /** Shows how far a long work is; `standard`: on standard error. */
  readonly progress?: ProgressDisplay | "standard";
}
