/**
 * A viewer's pointer.
 *
 * RFC 6143, 7.5.5 "PointerEvent": a position, and buttons of which 4 and 5 are
 * the wheel's directions. By habit 6 and 7 are a wheel sideways, 8 is "back".
 *
 * @module
 */

import type { InputEvent } from "../input.ts";

/** The greatest position of an `InputEvent`. */
const POSITIONS = 65535;
/** Bits of the mask, and the buttons of an `InputEvent`. */
const BUTTONS: readonly (readonly [bit: number, button: number])[] = [
  [0x01, 0],
  [0x02, 1],
  [0x04, 2],
  [0x80, 3],
];
const WHEEL_UP = 0x08;
const WHEEL_DOWN = 0x10;

/** One viewer's pointer. */
export class ViewerPointer {
  #mask = 0;
  #x = -1;
  #y = -1;

  /** Whether an event with this mask says more than a new position. */
  changesButtons(mask: number): boolean {
    return mask !== this.#mask;
  }

  /** The pointer is at a place of a screen of this size. */
  event(
    mask: number,
    x: number,
    y: number,
    screen: { readonly width: number; readonly height: number },
  ): InputEvent[] {
    const events: InputEvent[] = [];
    if (x !== this.#x || y !== this.#y) {
      this.#x = x;
      this.#y = y;
      events.push({
        type: "position",
        x: position(x, screen.width),
        y: position(y, screen.height),
      });
    }
    const pressed = mask & ~this.#mask;
    for (const [bit, button] of BUTTONS) {
      if (((mask ^ this.#mask) & bit) === 0) continue;
      events.push({ type: "button", button, down: (mask & bit) !== 0 });
    }
    const wheel = ((pressed & WHEEL_DOWN) !== 0 ? 1 : 0) -
      ((pressed & WHEEL_UP) !== 0 ? 1 : 0);
    if (wheel !== 0) events.push({ type: "motion", dx: 0, dy: 0, wheel });
    this.#mask = mask;
    return events;
  }

  /** The viewer goes: no button is held any more. */
  releaseAll(): InputEvent[] {
    const screen = { width: 1, height: 1 };
    return this.event(0, this.#x, this.#y, screen);
  }
}

function position(at: number, size: number): number {
  const last = Math.max(1, size - 1);
  return Math.round(Math.min(at, last) * POSITIONS / last);
}
