import { assertEquals, assertRejects } from "@std/assert";
import { limited, until, within } from "./limit.ts";

/** Do something while the host's timers are at once due. */
async function hurried(action: () => Promise<void>): Promise<void> {
  const { setTimeout } = globalThis;
  globalThis.setTimeout =
    ((call: () => void) => setTimeout(call, 0)) as typeof setTimeout;
  try {
    await action();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
}

const never = new Promise<never>(() => {});

class Keyboard {
  #typed = "";
  press(key: string): Promise<string> {
    this.#typed += key;
    return Promise.resolve(this.#typed);
  }
  type(): Promise<void> {
    return never;
  }
}

class Page {
  readonly keyboard = new Keyboard();
  readonly size = { width: 3 };
  find(): Keyboard {
    return this.keyboard;
  }
  get title(): string {
    return "a page";
  }
}

Deno.test("limit: what does not come is an error that says what it was", () =>
  hurried(async () => {
    await assertRejects(
      () => within("the moon", never),
      Error,
      "the moon: nothing for 120 s",
    );
    const page = limited("page", new Page());
    await assertRejects(
      () => page.keyboard.type(),
      Error,
      "page.keyboard.type(): nothing",
    );
    await assertRejects(
      () => page.find().type(),
      Error,
      "page.find().type(): nothing",
    );
    const { now } = performance;
    let time = 0;
    performance.now = () => time += 1000;
    try {
      await assertRejects(
        () => until("a change", () => false),
        Error,
        "a change: nothing for 120 s",
      );
    } finally {
      performance.now = now;
    }
  }));

Deno.test("limit: what comes is what it is", async () => {
  assertEquals(await within("a number", Promise.resolve(5)), 5);
  await assertRejects(
    () => within("a number", Promise.reject(new RangeError("none"))),
    RangeError,
    "none",
  );
  let looks = 0;
  await until("the third look", () => ++looks === 3);
  assertEquals(looks, 3);
  const page = limited("page", new Page());
  assertEquals([page.title, page.size], ["a page", { width: 3 }]);
  await page.keyboard.press("a");
  assertEquals(await page.find().press("b"), "ab");
});
