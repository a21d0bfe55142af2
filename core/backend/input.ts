/**
 * Input backends: keyboards and pointers at the host side.
 *
 * @module
 */

/** One event of a human's input. */
export type InputEvent =
  /** A key by its W3C `KeyboardEvent.code` name, as `KeyA`. */
  | { readonly type: "key"; readonly code: string; readonly down: boolean }
  /** Relative motion of a mouse, right and down, and its wheel, towards its user. */
  | {
    readonly type: "motion";
    readonly dx: number;
    readonly dy: number;
    readonly wheel: number;
  }
  /** A position on the screen, from 0 to 65535 on both axes. */
  | { readonly type: "position"; readonly x: number; readonly y: number }
  /** A button: 0 left, 1 middle, 2 right, 3 back, 4 forward. */
  | {
    readonly type: "button";
    readonly button: number;
    readonly down: boolean;
  };

/**
 * Takes events. A promise that it gives back settles when the guest has taken
 * what the event gave: who types faster than a human waits for it.
 */
export type InputReceiver = (event: InputEvent) => void | Promise<void>;

/** A source of input events. */
export interface InputBackend {
  /**
   * Where events go; called from the host's event loop, between slices. Each
   * receiver gets every event: a keyboard and a mouse stand on one backend.
   */
  onEvent(receiver: InputReceiver): void;
  /**
   * The guest sets the keyboard's lights: bit 0 scroll lock, 1 num lock, 2 caps
   * lock. Called within the guest's access: it returns at once.
   */
  leds?(lights: number): void;
  /**
   * Call once so many milliseconds of the host's time have passed, between
   * slices as for events; what it gives back cancels that. Virtual time that
   * catches up, or is the instruction count, is no measure of how long a human
   * holds a key.
   */
  after?(milliseconds: number, call: () => void): () => void;
  /** Let no more events come. */
  close(): Promise<void>;
}
