/**
 * A viewer's pointer.
 *
 * RFC 6143, 7.5.5 "PointerEvent": a position, and buttons of which 4 and 5 are
 * the wheel's directions. By habit 6 and 7 are a wheel sideways, 8 is "back".
 * With "QEMU Pointer Motion Change" of the community version, a pointer tells
 * its motion: where 7FFFh is none. The guest has a mouse, which knows nothing
 * else, so that such a pointer and the guest's do not drift apart.
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

/** What no motion is: a viewer that still tells positions, which are small. */
const ABSURD = -0x4000;
/** No motion, of a relative pointer. */
const STILL = 0x7fff;

/** What a viewer says of its pointer. */
export interface PointerEvent {
  /** The buttons that are down. */
  readonly mask: number;
  /** Its column; of a relative pointer, the way to the right. */
  readonly x: number;
  /** Its row; of a relative pointer, the way down. */
  readonly y: number;
}

/** One viewer's pointer. */
export class ViewerPointer {
  /** It tells how far it moves, not where it is. */
  isRelative = false;
  #mask = 0;
  #x = -1;
  #y = -1;

  /** A message's numbers as what they mean. */
  understand(event: PointerEvent): PointerEvent {
    if (!this.isRelative) return event;
    const [x, y] = [event.x - STILL, event.y - STILL];
    const isMotion = x > ABSURD && y > ABSURD;
    return isMotion ? { ...event, x, y } : { ...event, x: 0, y: 0 };
  }

  /** Two events, of which the first has not been sent, as one. */
  merge(before: PointerEvent | undefined, now: PointerEvent): PointerEvent {
    if (!this.isRelative || before === undefined) return now;
    return { ...now, x: before.x + now.x, y: before.y + now.y };
  }

  /** Whether an event with this mask says more than motion. */
  changesButtons(mask: number): boolean {
    return mask !== this.#mask;
  }

  /** What an event means to the guest, on a screen of this size. */
  event(
    { mask, x, y }: PointerEvent,
    screen: { readonly width: number; readonly height: number },
  ): InputEvent[] {
    const events: InputEvent[] = [];
    const [dx, dy] = this.isRelative ? [x, y] : [0, 0];
    if (!this.isRelative && (x !== this.#x || y !== this.#y)) {
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
    if (dx !== 0 || dy !== 0 || wheel !== 0) {
      events.push({ type: "motion", dx, dy, wheel });
    }
    this.#mask = mask;
    return events;
  }

  /** The viewer goes: no button is held any more. */
  releaseAll(): InputEvent[] {
    const [x, y] = this.isRelative ? [0, 0] : [this.#x, this.#y];
    return this.event({ mask: 0, x, y }, { width: 1, height: 1 });
  }
}

function position(at: number, size: number): number {
  const last = Math.max(1, size - 1);
  return Math.round(Math.min(at, last) * POSITIONS / last);
}
