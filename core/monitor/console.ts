/**
 * What a backend at which a human sits and the human monitor know of each
 * other.
 *
 * @module
 */

/** Where a human sits at the monitor. */
export interface MonitorConsole {
  /** Show text. */
  write(text: string): void;
  /**
   * Whether it is a terminal in raw mode: what is typed is shown and edited by
   * the monitor, and a line's end needs a carriage return.
   */
  readonly isTerminal: boolean;
  /** How wide it is, in columns. */
  columns(): number;
  /** The human wants to leave the monitor (Ctrl-D). */
  leave(): void;
}

/** A human at the monitor. */
export interface MonitorSession {
  /** What was typed. */
  input(bytes: Uint8Array): void;
  /** Show the prompt, and what was typed of a line: the monitor is seen again. */
  show(): void;
  /**
   * What takes the line that is being typed from the terminal, so that
   * something else can be written; empty while a command runs.
   */
  readonly erased: string;
  /** What shows that line again. */
  readonly drawn: string;
  /** Resolves when what was typed until now has been done. */
  done(): Promise<void>;
}

/** Begins a session of the machine's monitor. */
export type OpenMonitor = (console: MonitorConsole) => Promise<MonitorSession>;
