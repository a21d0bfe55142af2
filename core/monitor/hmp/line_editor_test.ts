import { assertEquals } from "@std/assert";
import { type EditorEvent, LineEditor } from "./line_editor.ts";

const encoder = new TextEncoder();

/** The events of what is typed, byte by byte or in one piece. */
function typed(editor: LineEditor, text: string, cut: boolean): EditorEvent[] {
  const bytes = encoder.encode(text);
  const pieces = cut ? Array.from(bytes, (b) => Uint8Array.of(b)) : [bytes];
  const events: EditorEvent[] = [];
  for (const piece of pieces) {
    editor.take(piece);
    for (let event; (event = editor.next()) !== undefined;) events.push(event);
  }
  return events;
}

/** The lines that come of what is typed. */
function lines(text: string, cut = false): string[] {
  return typed(new LineEditor("> "), text, cut).flatMap((event) =>
    event.kind === "line" ? [event.line] : []
  );
}

Deno.test("line editor: lines, whatever ends them, in any pieces", () => {
  for (const cut of [false, true]) {
    assertEquals(lines("one\rtwo\nthree\r\nfour", cut), [
      "one",
      "two",
      "three",
    ]);
    assertEquals(lines("grüße ☃ 𝄞\r", cut), ["grüße ☃ 𝄞"]);
  }
});

Deno.test("line editor: keys", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["ab\x7fc\r", "ac"],
    ["abc\x1b[D\x1b[DX\r", "aXbc"],
    ["abc\x1bOD\x1bOCd\r", "abcd"],
    ["abc\x01X\x05Y\r", "XabcY"],
    ["abc\x1b[HX\x1b[FY\r", "XabcY"],
    ["abc\x1b[1~\x1b[3~\r", "bc"],
    ["abc\x02\x15\r", "c"],
    ["abc\x02\x0b\r", "ab"],
    ["one two  \x17x\r", "one x"],
    ["one two\x1b[1;5D\x1b[1;5DX\r", "Xone two"],
    ["one\x03two\r", "two"],
    ["\x7f\x1b[D\x1b[3~\x17a\r", "a"],
    // Sequences that mean nothing, and an ESC before a control character.
    ["a\x1b[99;5ub\x1b\x01c\r", "cab"],
  ];
  for (const cut of [false, true]) {
    for (const [text, line] of cases) {
      assertEquals(lines(text, cut), [line], JSON.stringify(text));
    }
  }
});

Deno.test("line editor: the history", () => {
  const up = "\x1b[A", down = "\x1b[B";
  assertEquals(lines(`a\rb\r${up}${up}!\r`), ["a", "b", "a!"]);
  assertEquals(lines(`a\rb\rnew${up}${down}er\r`), ["a", "b", "newer"]);
  assertEquals(lines(`a\r${up}${up}${up}\r`), ["a", "a"]);
  assertEquals(lines(`a\r\x10\x0e\r`), ["a", ""]);
});

Deno.test("line editor: Tab and Ctrl-D", () => {
  const editor = new LineEditor("> ");
  assertEquals(typed(editor, "info s\t", false), [
    { kind: "complete", before: "info s" },
  ]);
  editor.insert("tatus");
  assertEquals(typed(editor, "\r\x04", false), [
    { kind: "line", line: "info status" },
    { kind: "leave" },
  ]);
});

Deno.test("line editor: what is shown is no wider than the terminal", () => {
  const editor = new LineEditor("> ");
  typed(editor, "x".repeat(300), false);
  for (const columns of [1, 3, 20, 80]) {
    const shown = editor.drawn(columns)
      // deno-lint-ignore no-control-regex
      .replaceAll(/\r|\x1b\[\d*[A-Z]/g, "");
    assertEquals(shown.length <= Math.max(columns - 1, 3), true, shown);
  }
});

Deno.test("line editor: no input grows it without bound", () => {
  const editor = new LineEditor("> ");
  for (let i = 0; i < 100; i++) typed(editor, "y".repeat(1000), false);
  const [event] = typed(editor, "\r", false);
  assertEquals(event.kind === "line" && event.line.length, 4096);
  typed(editor, `\x1b[${"1;".repeat(100_000)}`, false);
  assertEquals(typed(editor, "Aok\r", false).length, 1);
});
