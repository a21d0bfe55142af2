import { assertEquals } from "@std/assert";
import { Canvas } from "./canvas.ts";

/** Draws each line in the colour that `colour` says, one pixel at a time. */
function draw(
  canvas: Canvas,
  width: number,
  height: number,
  colour: (x: number, y: number) => number,
): void {
  canvas.begin(width, height);
  const line = new Uint32Array(width + 1);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) line[x + 1] = colour(x, y);
    canvas.put(y, line, 1);
  }
  canvas.end();
}

Deno.test("canvas: what has changed since any generation is told", () => {
  const canvas = new Canvas(200, 50);
  const whole = [{ x: 0, y: 0, width: 200, height: 50 }];
  const first = canvas.picture(0);
  assertEquals([first.generation, first.changed], [1, whole]);
  draw(canvas, 200, 50, () => 0);
  assertEquals(canvas.picture(1).changed, [], "nothing has");
  // Over the first two rows of tiles, and in the last tile, which is cut.
  draw(
    canvas,
    200,
    50,
    (x, y) =>
      x === 70 && y > 10 && y < 20 || x === 199 && y === 49 ? 0x123456 : 0,
  );
  const second = canvas.picture(1);
  assertEquals(second.generation, 2);
  assertEquals(second.changed, [
    { x: 64, y: 0, width: 64, height: 32 },
    { x: 192, y: 48, width: 8, height: 2 },
  ]);
  assertEquals(
    [...second.pixels.subarray(4 * (200 * 11 + 70), 4 * (200 * 11 + 71))],
    [0x56, 0x34, 0x12, 0],
  );
  draw(canvas, 200, 50, () => 0);
  assertEquals(canvas.picture(2).changed, second.changed);
  assertEquals(canvas.picture(1).changed, second.changed);
  assertEquals(canvas.picture(3).changed, []);
  assertEquals(canvas.picture(99).changed, whole, "that was another one");
  draw(canvas, 100, 20, () => 0);
  assertEquals(canvas.picture(3).changed, [
    { x: 0, y: 0, width: 100, height: 20 },
  ]);
});
