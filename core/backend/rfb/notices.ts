/**
 * Rectangles of an update, and those that are no pixels but tell a viewer
 * something.
 *
 * RFC 6143, 7.6.1 "FramebufferUpdate" and 7.8.2 "DesktopSize"; the RFB
 * protocol's community version, "ExtendedDesktopSize", "QEMU Extended Key
 * Event", "QEMU Pointer Motion Change" and "QEMU LED State" pseudo-encodings.
 *
 * @module
 */

import type { Rectangle } from "../display.ts";
import type { ByteSink } from "./byte_sink.ts";

/** What a viewer may know beside encodings of pixels, by its number. */
export const Extension = {
  copyRect: 1,
  desktopSize: -223,
  relativePointer: -257,
  extendedKeys: -258,
  lights: -261,
  extendedDesktopSize: -308,
} as const;

/** Numbers of `Extension`s. */
export type Extensions = ReadonlySet<number>;

const FRAMEBUFFER_UPDATE = 0;
/** What is told once to who knows it. */
const ONCE = [Extension.relativePointer, Extension.extendedKeys] as const;
/** Who wanted another size, and what became of it. */
const SIZE_BY_SERVER = 0;
const SIZE_BY_VIEWER = 1;
const SIZE_FORBIDDEN = 1;

/** A FramebufferUpdate of so many rectangles begins. */
export function addUpdate(sink: ByteSink, rectangles: number): void {
  sink.u8(FRAMEBUFFER_UPDATE);
  sink.u8(0);
  sink.u16(rectangles);
}

/** A rectangle's head. */
export function addRectangle(
  sink: ByteSink,
  area: Rectangle,
  encoding: number,
): void {
  sink.u16(area.x);
  sink.u16(area.y);
  sink.u16(area.width);
  sink.u16(area.height);
  sink.u32(encoding);
}

/** Says something, and is at no place. */
const NOWHERE: Rectangle = { x: 0, y: 0, width: 0, height: 0 };

/** What a viewer is yet to be told. */
export class Notices {
  readonly #lightsNow: () => number;
  /** The keyboard's lights as the viewer has them; undefined if it wants none. */
  #lights: number | undefined;
  readonly #told = new Set<number>();
  #known: Extensions = new Set();
  #size: number | undefined;

  /** A viewer knows nothing yet; `lights` are those that the keyboard has. */
  constructor(lights: () => number) {
    this.#lightsNow = lights;
  }

  /** The viewer says what it knows. */
  adopt(known: Extensions): void {
    const size = Extension.extendedDesktopSize;
    if (!known.has(size)) this.#size = undefined;
    else if (!this.#known.has(size)) this.#size = SIZE_BY_SERVER;
    // Who asks anew is told anew.
    if (!known.has(Extension.lights)) this.#lights = undefined;
    else this.#lights ??= -1;
    for (const number of ONCE) {
      if (!known.has(number)) this.#told.delete(number);
    }
    this.#known = known;
  }

  /** The viewer asks how large the screen is, if it knows such an answer. */
  askSize(): void {
    if (this.#known.has(Extension.extendedDesktopSize)) {
      this.#size ??= SIZE_BY_SERVER;
    }
  }

  /** The viewer wants another size: the guest alone chooses it. */
  refuseSize(): void {
    if (this.#known.has(Extension.extendedDesktopSize)) {
      this.#size = SIZE_BY_VIEWER;
    }
  }

  /** Whether the screen may have another size from one update to the next. */
  get canResize(): boolean {
    return this.#known.has(Extension.desktopSize) ||
      this.#known.has(Extension.extendedDesktopSize);
  }

  /** Whether it moves its pointer by so much, and not to somewhere. */
  get isPointerRelative(): boolean {
    return this.#told.has(Extension.relativePointer);
  }

  /** How many rectangles `add` makes. */
  get count(): number {
    return this.#pending().length + (this.#hasOtherLights() ? 1 : 0) +
      (this.#size === undefined ? 0 : 1);
  }

  #hasOtherLights(): boolean {
    return this.#lights !== undefined && this.#lights !== this.#lightsNow();
  }

  #pending(): number[] {
    return ONCE.filter((number) =>
      this.#known.has(number) && !this.#told.has(number)
    );
  }

  /** Tell what there is to tell, of a screen of this size. */
  add(sink: ByteSink, width: number, height: number): void {
    if (this.#hasOtherLights()) {
      this.#lights = this.#lightsNow();
      addRectangle(sink, NOWHERE, Extension.lights);
      sink.u8(this.#lights);
    }
    for (const number of this.#pending()) {
      // Of a relative pointer, x is 0; of an absolute one it would be 1.
      addRectangle(sink, NOWHERE, number);
      this.#told.add(number);
    }
    if (this.#size !== undefined) this.#addSize(sink, width, height);
  }

  /** The screen has this size from now on: an update of nothing else. */
  addResize(sink: ByteSink, width: number, height: number): void {
    addUpdate(sink, 1);
    if (this.#known.has(Extension.extendedDesktopSize)) {
      this.#size = SIZE_BY_SERVER;
      this.#addSize(sink, width, height);
    } else {
      addRectangle(sink, { x: 0, y: 0, width, height }, Extension.desktopSize);
    }
  }

  /** ExtendedDesktopSize: one screen. */
  #addSize(sink: ByteSink, width: number, height: number): void {
    const reason = this.#size!;
    this.#size = undefined;
    const status = reason === SIZE_BY_VIEWER ? SIZE_FORBIDDEN : 0;
    addRectangle(
      sink,
      { x: reason, y: status, width, height },
      Extension.extendedDesktopSize,
    );
    // One, with a number: 0 is none for some viewers.
    sink.u32(1 << 24);
    sink.u32(1);
    sink.u16(0);
    sink.u16(0);
    sink.u16(width);
    sink.u16(height);
    sink.u32(0);
  }
}
