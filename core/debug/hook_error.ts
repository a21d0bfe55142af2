/**
 * A listener of a program's has thrown.
 *
 * @module
 */

/**
 * A listener has thrown, or the promise that it gave back was rejected: the
 * run is paused by it as soon as the instruction is done, and `run` and `wait`
 * reject with this. `cause` is what it has thrown.
 */
export class HookError extends Error {
  /** The name of the error's class. */
  override readonly name = "HookError";
  /** What it listens to: an event's name, or `watch`. */
  readonly event: string;

  /** A listener to an event has thrown something. */
  constructor(event: string, cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause);
    super(`A listener to "${event}" failed: ${what}`, { cause });
    this.event = event;
  }
}
