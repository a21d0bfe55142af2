/**
 * What goes wrong with recordings.
 *
 * @module
 */

/**
 * Why.
 *
 * - `damaged`: the file is no recording, or not what was written.
 * - `version`: it was made by another version.
 * - `mismatch`: a file or plugin that the run needs is not the one it was.
 * - `diverged`: the replayed run is not the recorded one.
 * - `io`: the host cannot write or read it.
 * - `unsupported`: it cannot be recorded or replayed.
 */
export type ReplayErrorKind =
  | "damaged"
  | "version"
  | "mismatch"
  | "diverged"
  | "io"
  | "unsupported";

/** A run cannot be recorded, or a recording not be replayed. */
export class ReplayError extends Error {
  /** The name of the error's class. */
  override readonly name = "ReplayError";
  /** Why. */
  readonly kind: ReplayErrorKind;

  /** An error of a kind, with a message for the user. */
  constructor(kind: ReplayErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
