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
