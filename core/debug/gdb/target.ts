/**
 * What the gdb server needs of a machine.
 *
 * @module
 */

import type { MachineDebugger } from "../contract.ts";
import type { Monitor } from "./monitor.ts";
import type { ReverseDebugger } from "./reverse.ts";

/** A machine for gdb. */
export interface GdbTarget {
  /** Take the machine under a debugger. */
  debug(): Promise<MachineDebugger> | MachineDebugger;
  /** Press the reset button. */
  reset(): void;
  /** End the machine's run: gdb's `kill`. */
  kill(): void;
  /** Does gdb's `monitor` commands; a few there always are. */
  readonly monitor?: Monitor;
  /** Goes backwards. */
  readonly reverse?: ReverseDebugger;
}
