/**
 * What devices have asked of a block backend, counted.
 *
 * @module
 */

/** Requests of one kind. */
export interface RequestCounts {
  /** How many were answered. */
  done: number;
  /** How many failed. */
  failed: number;
  /** The bytes of those that were answered. */
  bytes: number;
  /** How long all of them took, in nanoseconds of the host's time. */
  nanoseconds: number;
}

/** The kinds that are counted: writing zeroes is writing. */
export type RequestKind = "read" | "write" | "flush" | "discard";

/** The requests to one backend. */
export interface BlockStatistics
  extends Readonly<Record<RequestKind, RequestCounts>> {
  /** Where the last byte was written, plus one. */
  highestWrite: number;
}

/** Counters that have counted nothing. */
export function freshStatistics(): BlockStatistics {
  const counts = (): RequestCounts => ({
    done: 0,
    failed: 0,
    bytes: 0,
    nanoseconds: 0,
  });
  return {
    read: counts(),
    write: counts(),
    flush: counts(),
    discard: counts(),
    highestWrite: 0,
  };
}
