/**
 * Going backwards: what a machine whose run was recorded can do for gdb.
 *
 * @module
 */

import type { StopEvent } from "../contract.ts";

/** Where going backwards ended. */
export type ReverseStop =
  | StopEvent
  /** The recording's beginning was reached. */
  | { readonly kind: "beginning"; readonly cpu: number };

/** Runs a machine backwards. */
export interface ReverseDebugger {
  /** Back to before the last instruction of a CPU. */
  step(cpu: number): Promise<ReverseStop>;
  /** Back to the last breakpoint or watchpoint that was passed. */
  resume(): Promise<ReverseStop>;
  /** Stop a `resume` in progress. */
  pause(): void;
}
