/**
 * Display backends: what shows a guest's screen.
 *
 * @module
 */

/** A rectangle of a screen, in pixels. */
export interface Rectangle {
  /** Left edge. */
  readonly x: number;
  /** Top edge. */
  readonly y: number;
  /** Width. */
  readonly width: number;
  /** Height. */
  readonly height: number;
}

/** A screen at the host side. */
export interface DisplayBackend {
  /** The guest's screen has this size from now on. */
  resize(width: number, height: number): void;
  /**
   * New pixels for a rectangle, row by row, four bytes each: blue, green, red
   * and one that is ignored. The promise, when there is one, is backpressure.
   */
  update(area: Rectangle, pixels: Uint8Array): void | Promise<void>;
  /** Let go of the screen. */
  close(): Promise<void>;
}
