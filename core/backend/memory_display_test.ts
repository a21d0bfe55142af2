import { assertEquals, assertRejects } from "@std/assert";
import type { TextScreen, TextSource } from "./display.ts";
import type { InputEvent } from "./input.ts";
import { ExpectError } from "./memory_char.ts";
import { MemoryDisplay } from "./memory_display.ts";

class Source implements TextSource {
  rows = ["", ""];
  #changed: (() => void) | undefined;
  text(): TextScreen {
    const text = this.rows.map((row) => row.padEnd(10)).join("");
    return {
      columns: 10,
      rows: this.rows.length,
      cellHeight: 16,
      characters: Uint16Array.from(text, (c) => c.charCodeAt(0)),
      colours: new Uint8Array(text.length),
      cursor: undefined,
      start: 0,
    };
  }
  watch(changed: () => void): void {
    this.#changed = changed;
  }
  show(row: number, text: string): void {
    this.rows[row] = text;
    const changed = this.#changed;
    this.#changed = undefined;
    changed?.();
  }
}

Deno.test("display: a program waits for text", async () => {
  const display = new MemoryDisplay();
  assertEquals(display.content, "");
  const source = new Source();
  display.text(source);
  const both = Promise.all([display.expect("two"), display.expect(/^one\n/)]);
  source.show(1, "two");
  source.show(0, "one");
  assertEquals(await both, ["one\ntwo\n", "one\ntwo\n"]);
  assertEquals(await display.expect(/two$/m), "one\ntwo\n");
  await assertRejects(
    () => display.expect("three", { timeout: 5 }),
    ExpectError,
    'no "three" on the screen within 5 ms; it shows "one\\ntwo"',
  );
  const waiting = display.expect(/four/);
  await display.close();
  await assertRejects(() => waiting, ExpectError, "the machine has stopped");
});

Deno.test("display: a program types, one key after the other", async () => {
  const display = new MemoryDisplay();
  const events: string[] = [];
  let take = (): void => {};
  display.input.onEvent((event: InputEvent) => {
    if (event.type === "key") {
      events.push(`${event.down ? "+" : "-"}${event.code}`);
    }
    return new Promise((resolve) => take = resolve);
  });
  const typed = display.type("a!\n");
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  await turn();
  assertEquals(events, ["+KeyA"], "the guest has not taken it");
  const taking = setInterval(() => take());
  await typed;
  assertEquals(
    events.join(" "),
    "+KeyA -KeyA +ShiftLeft +Digit1 -Digit1 -ShiftLeft +Enter -Enter",
  );
  events.length = 0;
  await display.press("ControlLeft", "KeyC");
  assertEquals(events.join(" "), "+ControlLeft +KeyC -KeyC -ControlLeft");
  clearInterval(taking);
  await assertRejects(() => display.type("é"), RangeError, 'no key types "é"');
  await display.close();
});

Deno.test("display: typing ends with the machine", async () => {
  const display = new MemoryDisplay();
  let taken = 0;
  // The guest switches off as the key goes down: nothing takes its release.
  display.input.onEvent(() => new Promise(() => taken++));
  const typed = display.type("\n");
  const later = display.press("KeyA");
  await Promise.resolve();
  display.end("the machine ended (poweroff)");
  await typed;
  await later;
  await display.type("a");
  assertEquals(taken, 1);
});
