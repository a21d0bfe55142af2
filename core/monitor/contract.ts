/**
 * What the monitors of a machine know of each other, and programs of them. The
 * human monitor takes one line of text and answers with text; QMP reaches it
 * through this interface and nothing else (`human-monitor-command`).
 *
 * @module
 */

/** The human monitor of one machine: the commands of QEMU's, a line at a time. */
export interface HumanMonitor {
  /**
   * Runs one command line, as if it were typed at the prompt. Commands of one
   * monitor run one after another.
   *
   * @param line The command and its arguments, without the line's end.
   * @returns What the command prints, each line ended by `\n`; empty when it
   *   prints nothing. A command that fails, or that does not exist, prints why:
   *   the promise is not rejected for what a line says.
   */
  run(line: string): Promise<string>;
}

/** A place at which QMP listens. */
export type QmpAddress =
  /** A unix socket. */
  | { readonly path: string }
  /** A TCP port. */
  | { readonly host: string; readonly port: number };

/** A server of QMP, QEMU's machine protocol. */
export interface QmpListener {
  /** Where it listens: the port that was free, when 0 was asked for. */
  readonly address: QmpAddress;
  /** How many clients are connected. */
  readonly clients: number;
  /** Give clients a moment to take what was sent, and hang up. */
  close(): Promise<void>;
}
