import { assertEquals } from "@std/assert";
import type { TextScreen, TextSource } from "../../core/backend/display.ts";
import type { InputEvent } from "../../core/backend/input.ts";
import { AnsiScreen, type TerminalSize } from "./ansi_screen.ts";
import { terminalStrokes } from "./terminal_keys.ts";
import { type ScreenTerminal, TextDisplay } from "./text.ts";

const E = "\x1b";

/** A screen with these rows, grey on black where `colours` says nothing. */
function screenOf(
  rows: readonly string[],
  more: Partial<TextScreen> = {},
): TextScreen {
  const columns = Math.max(...rows.map((row) => row.length));
  const text = rows.map((row) => row.padEnd(columns)).join("");
  return {
    columns,
    rows: rows.length,
    cellHeight: 16,
    characters: Uint16Array.from(text, (c) => c.charCodeAt(0)),
    colours: new Uint8Array(text.length).fill(0x07),
    cursor: undefined,
    start: 0,
    ...more,
  };
}

const LARGE = { columns: 80, rows: 25 };

Deno.test("a screen is drawn, and then what has changed", () => {
  const ansi = new AnsiScreen();
  const cursor = { row: 1, column: 2, top: 13, bottom: 14 };
  assertEquals(
    ansi.draw(screenOf(["ab", "c"], { cursor }), LARGE),
    `${E}[?25l${E}[0m${E}[2J${E}[1;1H${E}[37;40mab${E}[2;1Hc ${E}[?25l`,
  );
  assertEquals(ansi.draw(screenOf(["ab", "c"]), LARGE), "");
  const there = { ...cursor, column: 1 };
  assertEquals(
    ansi.draw(screenOf(["ab", "c"], { cursor: there }), LARGE),
    `${E}[2;2H${E}[?25h`,
  );
  assertEquals(
    ansi.draw(screenOf(["ab", "░"], { cursor: there }), LARGE),
    `${E}[?25l${E}[2;1H${E}[37;40m░${E}[2;2H${E}[?25h`,
  );
  assertEquals(
    ansi.draw(undefined, LARGE),
    `${E}[?25l${E}[0m${E}[2J${E}[?25l`,
  );
  assertEquals(ansi.draw(undefined, LARGE), "");
});

Deno.test("the sixteen colours in a terminal's order", () => {
  const ansi = new AnsiScreen();
  const colours = Uint8Array.from({ length: 16 }, (_, i) => i | (15 - i) << 4);
  const drawn = ansi.draw(screenOf(["x".repeat(16)], { colours }), LARGE);
  // deno-lint-ignore no-control-regex
  const codes = [...drawn.matchAll(/\x1b\[(\d+);(\d+)m/g)];
  assertEquals(
    codes.map(([, foreground]) => Number(foreground)),
    [30, 34, 32, 36, 31, 35, 33, 37, 90, 94, 92, 96, 91, 95, 93, 97],
  );
  assertEquals(
    codes.map(([, , background]) => Number(background)).reverse(),
    [40, 44, 42, 46, 41, 45, 43, 47, 100, 104, 102, 106, 101, 105, 103, 107],
  );
});

Deno.test("a small terminal shows the row with the cursor", () => {
  const ansi = new AnsiScreen();
  const small = { columns: 2, rows: 2 };
  const cursor = { row: 2, column: 0, top: 0, bottom: 15 };
  assertEquals(
    ansi.draw(screenOf(["one", "two", "thr"], { cursor }), small),
    `${E}[?25l${E}[0m${E}[2J${E}[1;1H${E}[37;40mtw${E}[2;1Hth` +
      `${E}[2;1H${E}[?25h`,
  );
});

function strokes(text: string): string[] {
  return terminalStrokes(new TextEncoder().encode(text)).map((stroke) =>
    [
      stroke.control ? "Ctrl" : "",
      stroke.alt ? "Alt" : "",
      stroke.shift ? "Shift" : "",
      stroke.code,
    ].filter((part) => part !== "").join("-")
  );
}

Deno.test("what terminals send for keys", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["a", "KeyA"],
    ["A~", "Shift-KeyA Shift-Backquote"],
    ["\r", "Enter"],
    ["\n", "Ctrl-KeyJ"],
    ["\t\x7f\b", "Tab Backspace Backspace"],
    ["\x03\x1a", "Ctrl-KeyC Ctrl-KeyZ"],
    [
      "\x00\x1c\x1d\x1e\x1f",
      "Ctrl-Space Ctrl-Backslash Ctrl-BracketRight " +
      "Ctrl-Shift-Digit6 Ctrl-Shift-Minus",
    ],
    [E, "Escape"],
    [`${E}${E}`, "Escape Escape"],
    [`${E}x`, "Alt-KeyX"],
    [`${E}\x03`, "Ctrl-Alt-KeyC"],
    [`${E}[A${E}[B${E}[C${E}[D`, "ArrowUp ArrowDown ArrowRight ArrowLeft"],
    [`${E}OA${E}OH${E}OF`, "ArrowUp Home End"],
    [`${E}OP${E}[[B${E}[13~${E}[24~`, "F1 F2 F3 F12"],
    [`${E}[1;2P${E}[1;5C${E}[3;3~`, "Shift-F1 Ctrl-ArrowRight Alt-Delete"],
    [`${E}[1~${E}[4~${E}[5~${E}[6~`, "Home End PageUp PageDown"],
    [`${E}[Z`, "Shift-Tab"],
    // No key: a character that is not on the keyboard, a report, a colour.
    ["é", ""],
    [`${E}[12;40R`, "Ctrl-Alt-Shift-F3"],
    [`${E}[38;5;1mb`, "KeyB"],
    // What a terminal says of itself, a click, Ctrl-A as some encode it.
    [`${E}[?1;2cb${E}[>0;1 qb`, "KeyB KeyB"],
    [`${E}[<0;10;5Mb${E}[27;5;97~b${E}[97;5ub`, "KeyB KeyB KeyB"],
    // rxvt's.
    [`${E}[3^${E}[5$${E}[11@`, "Ctrl-Delete Shift-PageUp Ctrl-Shift-F1"],
  ];
  for (const [typed, keys] of cases) {
    assertEquals(strokes(typed).join(" "), keys, JSON.stringify(typed));
  }
});

Deno.test("all that a terminal can send ends", () => {
  let x = 1;
  for (let i = 0; i < 2000; i++) {
    const bytes = Uint8Array.from({ length: 8 }, () => {
      x = Math.imul(x, 1664525) + 1013904223 >>> 0;
      const pick = x >>> 24;
      return pick < 80 ? 0x1b : pick < 120 ? 0x5b : pick;
    });
    for (const { code } of terminalStrokes(bytes)) {
      assertEquals(typeof code, "string");
    }
  }
});

class FakeTerminal implements ScreenTerminal {
  written = "";
  readonly modes: boolean[] = [];
  #typed: Uint8Array[] = [];
  #reader = Promise.withResolvers<void>();
  #onWrite: (() => void) | undefined;

  type(text: string): void {
    this.#typed.push(new TextEncoder().encode(text));
    this.#reader.resolve();
  }
  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#typed.length === 0) {
      await this.#reader.promise;
      this.#reader = Promise.withResolvers();
    }
    const bytes = this.#typed.shift()!;
    buffer.set(bytes);
    return bytes.length;
  }
  /** Takes a few bytes at a time, as a slow terminal does. */
  write(bytes: Uint8Array): Promise<number> {
    const part = bytes.subarray(0, 7);
    this.written += new TextDecoder().decode(part);
    this.#onWrite?.();
    return Promise.resolve(part.length);
  }
  writeNow(text: string): void {
    this.written += text;
  }
  columns: number | undefined;
  /** Tells of another size. */
  resized: (() => void) | undefined;

  size(): TerminalSize | undefined {
    return this.columns === undefined
      ? undefined
      : { columns: this.columns, rows: 25 };
  }
  watchSize(changed: () => void): () => void {
    this.resized = changed;
    return () => this.resized = undefined;
  }
  isTerminal(): boolean {
    return true;
  }
  setRaw(raw: boolean): void {
    this.modes.push(raw);
  }
  width(): number {
    return 80;
  }
  /** Wait until this has been written. */
  async shows(text: string): Promise<void> {
    while (!this.written.includes(text)) {
      await new Promise<void>((resolve) => this.#onWrite = resolve);
    }
  }
}

class FakeSource implements TextSource {
  screen = screenOf(["first"]);
  changed: (() => void) | undefined;
  text(): TextScreen {
    return this.screen;
  }
  watch(changed: () => void): void {
    this.changed = changed;
  }
}

Deno.test("a display draws changes, gives keys, and restores the terminal", async () => {
  const terminal = new FakeTerminal();
  const { promise: quit, resolve } = Promise.withResolvers<void>();
  const log = { guest() {}, warn() {} };
  const display = new TextDisplay({ log, quit: resolve }, terminal);
  const events: InputEvent[] = [];
  // A guest that takes nothing.
  display.input.onEvent((event) => {
    events.push(event);
    return new Promise(() => {});
  });
  const source = new FakeSource();
  display.text(source);
  await terminal.shows("first");
  source.screen = screenOf(["fi-st"]);
  source.changed?.();
  await terminal.shows(`${E}[1;3H${E}[37;40m-`);
  // A larger terminal may have lost what it showed.
  terminal.columns = 200;
  terminal.written = terminal.written.slice(0, 20);
  terminal.resized!();
  await terminal.shows("fi-st");
  terminal.type("a");
  terminal.type("bc\x01");
  terminal.type("x");
  await quit;
  assertEquals(events, [{ type: "key", code: "KeyA", down: true }]);
  await display.close();
  assertEquals(terminal.resized, undefined);
  assertEquals(terminal.modes, [true, false]);
  assertEquals(terminal.written.startsWith(`${E}[?1049h`), true);
  assertEquals(terminal.written.endsWith(`${E}[?1049l`), true);
});
