/**
 * Errors that a client is answered.
 *
 * @module
 */

/** The classes of errors that clients may act on; the text is for humans. */
export type ErrorClass =
  | "GenericError"
  | "CommandNotFound"
  | "DeviceNotActive"
  | "DeviceNotFound";

/** A command has failed. */
export class QmpError extends Error {
  /** The name of the error's class. */
  override readonly name: string = "QmpError";
  /** The class in the answer. */
  readonly errorClass: ErrorClass;

  /** An error of a class. */
  constructor(errorClass: ErrorClass, message: string, options?: ErrorOptions) {
    super(message, options);
    this.errorClass = errorClass;
  }
}

/** A command has failed, and clients need not know how. */
export class GenericError extends QmpError {
  /** The name of the error's class. */
  override readonly name = "GenericError";

  /** An error with a text. */
  constructor(message: string, options?: ErrorOptions) {
    super("GenericError", message, options);
  }
}

/** There is no such device. */
export function noDevice(name: string): QmpError {
  return new QmpError("DeviceNotFound", `Device '${name}' not found`);
}

/**
 * QMP cannot listen: the place cannot be understood, or be had. One line that
 * says why.
 */
export class QmpServerError extends Error {
  /** The name of the error's class. */
  override readonly name = "QmpServerError";
}
