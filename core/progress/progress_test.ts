import { assert, assertEquals } from "@std/assert";
import { barText, byteText, progressOn, timeText } from "./progress.ts";

/** An output that keeps what is written, with a clock that the test sets. */
function output(isTerminal: boolean, columns = 80) {
  const out = { text: "", time: 0 };
  const display = progressOn({
    write: (text) => out.text += text,
    isTerminal,
    columns: () => columns,
    now: () => out.time,
  });
  return { out, display };
}

Deno.test("progress: a bar with percent, rate and the time that is left", () => {
  const state = {
    title: "copy",
    done: 25 << 20,
    total: 100 << 20,
    elapsed: 5000,
    bytes: true,
  };
  assertEquals(
    barText(state, 60),
    "copy [=====>                    ]  25%  5.00 MiB/s  eta 0:15",
  );
});

Deno.test("progress: no line is wider than the terminal", () => {
  for (let columns = 1; columns < 200; columns++) {
    for (const done of [0, 1, 50, 99, 100, 1000]) {
      for (const total of [0, 100]) {
        for (const elapsed of [0, 1, 1e9]) {
          const state = {
            title: "some work",
            done,
            total,
            elapsed,
            bytes: true,
          };
          const text = barText(state, columns);
          assert(text.length <= columns, `${columns}: ${text}`);
        }
      }
    }
  }
});

Deno.test("progress: a narrow terminal still shows how far it is", () => {
  const state = {
    title: "converting disk.qcow2",
    done: 1,
    total: 4,
    elapsed: 0,
    bytes: true,
  };
  assert(barText(state, 26).endsWith(" 25%"));
  assert(barText(state, 8).endsWith(" 25%"));
});

Deno.test("progress: without a total, what is done; at first the title", () => {
  const state = { title: "unpacking", total: 0, elapsed: 1000, bytes: true };
  assertEquals(barText({ ...state, done: 0 }, 80), "unpacking");
  assertEquals(
    barText({ ...state, done: 1 << 20 }, 80),
    "unpacking 1.00 MiB  1.00 MiB/s",
  );
});

Deno.test("progress: on a terminal one line, which is gone in the end", () => {
  const { out, display } = output(true);
  const bar = display("copy");
  for (let i = 0; i <= 1000; i++) {
    out.time = i;
    bar.update(i, 1000);
  }
  // Not a picture for each update.
  const pictures = out.text.split("\r\x1b[K").length - 1;
  assertEquals(pictures, 11);
  assertEquals(out.text.includes("\n"), false);
  bar.end();
  assert(out.text.endsWith("\r\x1b[K"));
});

Deno.test("progress: elsewhere a line for each step, no control characters", () => {
  const { out, display } = output(false);
  for (const step of ["fetching", "unpacking"]) {
    const bar = display(step);
    for (let i = 0; i < 1000; i++) bar.update(i, 1000);
    bar.end();
  }
  assertEquals(out.text, "rhea: fetching\nrhea: unpacking\n");
});

Deno.test("progress: sizes and times", () => {
  const sizes = [0, 999, 1000, 1536, 20 << 20, 5 * 2 ** 40].map(byteText);
  assertEquals(sizes, [
    "0 B",
    "999 B",
    "0.98 KiB",
    "1.50 KiB",
    "20.0 MiB",
    "5.00 TiB",
  ]);
  assertEquals([0, 61_000, 3_661_000].map(timeText), [
    "0:00",
    "1:01",
    "1:01:01",
  ]);
});
