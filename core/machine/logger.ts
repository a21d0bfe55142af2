/**
 * The log of a machine: lines for humans, each site of a guest's mistake once.
 *
 * @module
 */

import type { Logger } from "./plugin.ts";

/** Takes a finished line. */
export type LogSink = (line: string) => void;

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
