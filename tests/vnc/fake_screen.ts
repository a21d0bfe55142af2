/**
 * A screen that a test draws on.
 *
 * @module
 */

import type {
  Picture,
  PictureSource,
  Rectangle,
} from "../../core/backend/display.ts";

/** A source of pictures; remembers every change. */
export class FakeScreen implements PictureSource {
  width: number;
  height: number;
  #words: Uint32Array;
  #generation = 1;
  #changes: { generation: number; area: Rectangle }[] = [];
  #watchers: (() => void)[] = [];
  /** How often somebody has looked. */
  looks = 0;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.#words = new Uint32Array(width * height);
  }

  /** The pixels: blue, green and red from bit 0 on. */
  get words(): Uint32Array {
    return this.#words;
  }

  /** How many wait for a change. */
  get watchers(): number {
    return this.#watchers.length;
  }

  look(since: number): Picture {
    this.looks++;
    const whole = { x: 0, y: 0, width: this.width, height: this.height };
    return {
      width: this.width,
      height: this.height,
      pixels: new Uint8Array(this.#words.buffer),
      generation: this.#generation,
      changed: since === 0
        ? [whole]
        : this.#changes.filter(({ generation }) => generation > since)
          .map(({ area }) => area),
    };
  }

  watchPicture(changed: () => void): void {
    this.#watchers.push(changed);
  }

  /** Draw each pixel of an area. */
  draw(area: Rectangle, colour: (x: number, y: number) => number): void {
    for (let y = area.y; y < area.y + area.height; y++) {
      for (let x = area.x; x < area.x + area.width; x++) {
        this.#words[y * this.width + x] = colour(x, y);
      }
    }
    this.#changed(area);
  }

  /** Everything moves up, and the last rows get a colour. */
  scroll(rows: number, colour: (x: number, y: number) => number): void {
    this.#words.copyWithin(0, rows * this.width);
    const y = this.height - rows;
    this.draw({ x: 0, y, width: this.width, height: rows }, colour);
    this.#changed({ x: 0, y: 0, width: this.width, height: this.height });
  }

  /** Another mode. */
  resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.#words = new Uint32Array(width * height);
    this.#changes = [];
    this.#changed({ x: 0, y: 0, width, height });
  }

  #changed(area: Rectangle): void {
    this.#changes.push({ generation: ++this.#generation, area });
    for (const watcher of this.#watchers.splice(0)) watcher();
  }
}

/** Pictures that use each kind of tile that ZRLE has. */
export const PATTERNS: Readonly<
  Record<string, (x: number, y: number) => number>
> = {
  solid: () => 0x123456,
  twoColours: (x, y) => (x >> 3 ^ y >> 2) % 2 === 0 ? 0xffffff : 0x0000aa,
  sixteen: (x, y) => (x * 7 + y * 3) % 13 * 0x0f1e2d,
  runs: (_x, y) => y * 0x010307 & 0xffffff,
  manyRuns: (x, y) => (x >> 2) * 0x030507 + y * 0x20406 & 0xffffff,
  noise: (x, y) => Math.imul(x * 65599 + y, 0x9e3779b1) >>> 8,
};
