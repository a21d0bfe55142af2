/**
 * What a command prints when it fails.
 *
 * @module
 */

/** A command cannot be done: a line that says why. */
export class MonitorError extends Error {
  /** The name of the error's class. */
  override readonly name = "MonitorError";
}

/** A line is wrong before its command is called: the command's help helps. */
export class SyntaxProblem extends MonitorError {}
