import { assertEquals } from "@std/assert";
import type { InputEvent } from "./input.ts";
import { InputQueue } from "./input_queue.ts";

const key = (down: boolean): InputEvent => ({
  type: "key",
  code: "KeyA",
  down,
});

Deno.test("input queue: each event when the one before it was taken", async () => {
  const queue = new InputQueue();
  const taken: InputEvent[] = [];
  let take = (): void => {};
  queue.onEvent((event) => {
    taken.push(event);
    return new Promise((resolve) => take = resolve);
  });
  const sent = queue.send([key(true), key(false)]);
  await Promise.resolve();
  assertEquals(taken, [key(true)]);
  // Nothing waits for nobody: who sends it often would fill the memory.
  await queue.send([]);
  take();
  while (taken.length < 2) await new Promise((resolve) => setTimeout(resolve));
  take();
  await sent;
  await queue.close();
});

Deno.test("input queue: for a guest that takes nothing, what waits is bounded", async () => {
  const queue = new InputQueue();
  let taken = 0;
  queue.onEvent(() => {
    taken++;
    return new Promise(() => {});
  });
  const many = Array.from({ length: 65_000 }, () => key(true));
  void queue.send(many);
  void queue.send(many.slice(0, 500));
  // It is lost as a whole, and who sends it does not wait.
  await queue.send(many.slice(0, 60));
  await queue.close();
  assertEquals(taken, 1);
});

Deno.test("input queue: lights are told of when they change", () => {
  const queue = new InputQueue();
  const seen: number[] = [];
  queue.watchLights(() => seen.push(queue.lights));
  for (const lights of [0, 2, 2, 6, 6, 0]) queue.leds(lights);
  assertEquals(seen, [2, 6, 0]);
});
