/**
 * Why a snapshot cannot be saved or loaded.
 *
 * @module
 */

import { printable } from "../machine/printable.ts";

/**
 * What is wrong.
 *
 * - `missing`: there is no such snapshot.
 * - `damaged`: the file contradicts itself or its checksums.
 * - `version`: it is of a version that this one does not read.
 * - `machine`: it is of another machine.
 * - `disk`: a disk cannot be part of one, or is not what it was then.
 * - `name`: it cannot have this name.
 * - `io`: the host failed: no room, no permission.
 */
export type SnapshotErrorKind =
  | "missing"
  | "damaged"
  | "version"
  | "machine"
  | "disk"
  | "name"
  | "io";

/** The most that a message has: it may quote a file, which may say anything. */
const MAX_MESSAGE = 2000;

function oneLine(message: string): string {
  const line = printable(message).replaceAll("\n", "\\n");
  return line.length > MAX_MESSAGE ? line.slice(0, MAX_MESSAGE) + "…" : line;
}

/** A snapshot cannot be saved, loaded or deleted: one line that says why. */
export class SnapshotError extends Error {
  /** The name of the error's class. */
  override readonly name = "SnapshotError";
  /** What is wrong. */
  readonly kind: SnapshotErrorKind;

  /** An error of a kind, with a message for the user. */
  constructor(
    kind: SnapshotErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(oneLine(message), options);
    this.kind = kind;
  }
}
