/**
 * To and fro in a replayed run: what programs have of it.
 *
 * @module
 */

import type { ReverseDebugger } from "../debug/gdb/reverse.ts";

/** Goes to and fro in a replayed run. The guest must stand still for it. */
export interface ReplayDebugger extends ReverseDebugger {
  /** Instructions that all CPUs have executed. */
  readonly count: number;
  /**
   * Go to where so many instructions have been executed, backwards or
   * forwards. Throws a `RangeError` beyond the recording's end.
   */
  seek(count: number): Promise<void>;
}
