/**
 * How a machine's run ended, and whether it runs.
 *
 * @module
 */

/** How a run ended. */
export interface RunResult {
  /**
   * `exit`: the guest gave a status (debug exit). `poweroff`: it switched the
   * machine off. `reset`: it wanted a reset and resets end the run. `halt`: it
   * halted with interrupts off. `shutdown`: the CPU shut down (on x86, a
   * triple fault). `quit`: the user left at a backend. `stop`: `stop` was
   * called. A machine that starts in ROM is reset instead of `shutdown`,
   * unless a reset ends the run.
   */
  readonly reason:
    | "exit"
    | "poweroff"
    | "reset"
    | "halt"
    | "shutdown"
    | "quit"
    | "stop";
  /** The exit status that the command line ends with. */
  readonly status: number;
  /** For `halt` and `shutdown`: where the CPU was. */
  readonly where?: string;
}

/** Whether a guest runs, or why it does not: of QEMU's `RunState` those that happen here. */
export type RunState =
  | "prelaunch"
  | "running"
  | "paused"
  | "debug"
  | "save-vm"
  | "restore-vm"
  | "shutdown";
