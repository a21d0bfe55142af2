/** Whatever is drawn and asked for: a viewer that keeps up has the screen. */

import { assert, assertEquals } from "@std/assert";
import type { Rectangle } from "../../core/backend/display.ts";
import { FakeScreen, PATTERNS } from "./fake_screen.ts";
import { Server } from "./server.ts";
import { WireViewer } from "./wire_viewer.ts";

const RAW = 0;
const COPY_RECT = 1;
const DESKTOP_SIZE = -223;

/** A viewer that has the screen: it takes raw pixels and moves what it has. */
class ScreenViewer {
  readonly wire: WireViewer;
  width: number;
  height: number;
  words: Uint32Array;
  /** Rectangles that were copied. */
  copies = 0;

  constructor(wire: WireViewer) {
    this.wire = wire;
    this.width = wire.width;
    this.height = wire.height;
    this.words = new Uint32Array(this.width * this.height);
  }

  /** Take an update. */
  async update(): Promise<void> {
    const { reader } = this.wire;
    const count = (await reader.take(4)).getUint16(2);
    for (let n = 0; n < count; n++) {
      const head = await reader.take(12);
      const [x, y, width, height] = [0, 2, 4, 6].map((at) =>
        head.getUint16(at)
      );
      switch (head.getInt32(8)) {
        case RAW:
          await this.#pixels({ x, y, width, height });
          break;
        case COPY_RECT: {
          const from = await reader.take(4);
          this.#copy({ x, y, width, height }, {
            x: from.getUint16(0),
            y: from.getUint16(2),
          });
          break;
        }
        case DESKTOP_SIZE:
          this.width = width;
          this.height = height;
          this.words = new Uint32Array(width * height);
          break;
        default:
          throw new Error("nobody has asked for that");
      }
    }
  }

  async #pixels({ x, y, width, height }: Rectangle): Promise<void> {
    for (let row = y; row < y + height; row++) {
      const view = await this.wire.reader.take(4 * width);
      for (let i = 0; i < width; i++) {
        this.words[row * this.width + x + i] = view.getUint32(4 * i, true);
      }
    }
  }

  #copy(to: Rectangle, from: { x: number; y: number }): void {
    const before = this.words.slice();
    for (let row = 0; row < to.height; row++) {
      const at = (from.y + row) * this.width + from.x;
      this.words.set(
        before.subarray(at, at + to.width),
        (to.y + row) * this.width + to.x,
      );
    }
    this.copies++;
  }

  /** Look until the screen is the server's, whose first pixel is a new one. */
  async follow({ words, width, height }: FakeScreen): Promise<void> {
    do {
      const whole = { x: 0, y: 0, width: this.width, height: this.height };
      await this.wire.request(true, whole);
      await this.update();
    } while (
      this.width !== width || this.height !== height ||
      this.words[0] !== words[0]
    );
  }
}

Deno.test("vnc: two viewers have the screen, whatever is drawn and asked for", async () => {
  let x = 20261122;
  const random = (limit: number): number => {
    x = Math.imul(x, 1664525) + 1013904223 >>> 0;
    return (x >>> 8) % limit;
  };
  const screen = new FakeScreen(200, 150);
  const server = new Server(screen);
  const patterns = Object.values(PATTERNS);
  const someArea = (): Rectangle => {
    const [left, top] = [random(screen.width), random(screen.height)];
    return {
      x: left,
      y: top,
      width: 1 + random(screen.width - left),
      height: 1 + random(screen.height - top),
    };
  };
  const viewers: ScreenViewer[] = [];
  for (let n = 0; n < 2; n++) {
    const wire = await WireViewer.begin(server.port);
    viewers.push(new ScreenViewer(wire));
    // SetEncodings: Raw, CopyRect, DesktopSize.
    const list = [RAW, COPY_RECT, DESKTOP_SIZE];
    await wire.message(
      ["u16", 0x0200],
      ["u16", list.length],
      ...list.map((number) => ["u32", number] as ["u32", number]),
    );
  }
  let count = 0;
  for (let round = 0; round < 60; round++) {
    for (let n = random(4); n >= 0; n--) {
      const shift = random(1000);
      const draw = patterns[random(patterns.length)];
      const colour = (x: number, y: number) => draw(x + shift, y);
      switch (random(8)) {
        case 0:
          screen.resize(128 + random(100), 128 + random(100));
          break;
        case 1:
        case 2:
        case 3:
          screen.scroll(1 + random(40), colour);
          break;
        case 4:
          screen.draw({
            ...{ x: 0, y: 0, width: screen.width, height: screen.height },
          }, PATTERNS.noise);
          break;
        default:
          screen.draw(someArea(), colour);
      }
      const { wire } = viewers[random(2)];
      if (random(2) === 0) await wire.request(random(2) === 0, someArea());
    }
    // The first request may be one with those for parts; the second is not.
    for (let n = 0; n < 2; n++) {
      const pixel = { x: 0, y: 0, width: 1, height: 1 };
      screen.draw(pixel, () => 0x800000 + ++count);
      await Promise.all(viewers.map((viewer) => viewer.follow(screen)));
    }
    for (const { words } of viewers) {
      const wrong = screen.words.findIndex((word, i) => word !== words[i]);
      assertEquals(wrong, -1, `pixel in round ${round}`);
    }
  }
  assert(viewers.every(({ copies }) => copies > 3));
  for (const { wire } of viewers) wire.close();
  await server.close();
});
