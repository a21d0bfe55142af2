/**
 * The log of a machine: lines for humans, each site of a guest's mistake once.
 *
 * @module
 */

import type { Logger } from "./plugin.ts";

/** Takes a finished line. */
export type LogSink = (line: string) => void;

/** Lines that a log keeps. */
const RECENT_LINES = 200;

/** A machine's log: goes to a sink while it is on, and keeps the last lines. */
export class MachineLog {
  readonly #sink: LogSink;
  readonly #recent: string[] = [];
  /** Whether lines go to the sink. */
  isOn = true;

  /** A log that goes to `sink`. */
  constructor(sink: LogSink = () => {}) {
    this.#sink = sink;
  }

  /** The last lines, on or off. */
  get recent(): readonly string[] {
    return this.#recent;
  }

  /** Takes a line. */
  readonly write: LogSink = (line) => {
    this.#recent.push(line);
    if (this.#recent.length > RECENT_LINES) this.#recent.shift();
    if (this.isOn) this.#sink(line);
  };
}

/** A logger for the component `name`. */
export function createLogger(name: string, sink: LogSink): Logger {
  const seen = new Set<string>();
  return {
    guest(site: string, details?: string): void {
      if (seen.has(site)) return;
      seen.add(site);
      sink(`${name}: ${site}${details === undefined ? "" : `: ${details}`}`);
    },
    warn(message: string): void {
      sink(`${name}: ${message}`);
    },
  };
}
