/**
 * What the gdb server needs of a machine.
 *
 * @module
 */

import type { MachineDebugger } from "../contract.ts";
import type { GdbMonitor } from "./monitor.ts";
import type { ReverseDebugger } from "./reverse.ts";

/** A machine for gdb. */
export interface GdbTarget {
  /** Take the machine under a debugger. */
  debug(): Promise<MachineDebugger> | MachineDebugger;
  /** Press the reset button. */
  reset(): void;
  /** End the machine's run: gdb's `kill`. */
  kill(): void;
  /** Whether the guest still waits for its start when the server ends. */
  keep?(): boolean;
  /** A client lets the guest go on. */
  goes?(): void;
  /** Does gdb's `monitor` commands; a few there always are. */
  readonly monitor?: GdbMonitor;
  /** Goes backwards. */
  readonly reverse?: ReverseDebugger;
}
