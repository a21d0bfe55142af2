/**
 * What a connection stands on, and what stands on it.
 *
 * @module
 */

import type { RingBudget } from "./byte_ring.ts";
import type { TcpConnection } from "./connection.ts";

/** The state of a connection; half-closed ones are `open`. */
export type TcpPhase =
  | "connecting"
  | "syn-sent"
  | "syn-received"
  | "open"
  | "time-wait"
  | "closed";

/** Why a connection is gone. */
export type TcpEnding = "closed" | "reset" | "timeout";

/** What stands behind a connection; called while a frame is taken. */
export interface TcpApplication {
  /** It is established. */
  opened(): void;
  /** The guest has sent bytes, or their end. */
  readable(): void;
  /** Bytes were acknowledged: there is more room for others. */
  writable(): void;
  /** It is gone. */
  ended(ending: TcpEnding): void;
}

/** What a connection stands on. */
export interface TcpLink {
  /** Milliseconds since some moment. */
  now(): number;
  /** Bytes that rings may have. */
  readonly budget: RingBudget;
  /** The most payload of a segment with this size of smaller ones. */
  maxPayload(mss: number): number;
  /** Whether the link has no room. */
  readonly blocked: boolean;
  /** Call `output` soon. */
  queue(connection: TcpConnection): void;
  /** Call `expire` at this time, or later when the time was moved. */
  arm(time: number): void;
  /** Send a segment; `offset` is its payload's in the ring. False: no room. */
  send(
    connection: TcpConnection,
    sequence: number,
    flags: number,
    offset: number,
    length: number,
  ): boolean;
  /** Reset the guest's end, as soon as there is room. */
  reset(connection: TcpConnection, sequence: number): void;
  /** The connection is closed. */
  remove(connection: TcpConnection): void;
}

/** A guest's address and port, and those that it talks to. */
export interface TcpEnds {
  /** The guest's address. */
  readonly guest: number;
  /** The guest's port. */
  readonly guestPort: number;
  /** The other address. */
  readonly peer: number;
  /** The other port. */
  readonly peerPort: number;
}
