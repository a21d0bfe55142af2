/**
 * A line that is typed on a terminal, with the keys of readline that QEMU's
 * monitor has: the cursor keys, Home and End, history, kill to either end,
 * words, completion by Tab.
 *
 * @module
 */

/** What a key means to whoever has the editor. */
export type EditorEvent =
  /** A line is complete. */
  | { readonly kind: "line"; readonly line: string }
  /** Tab: the part of the line before the cursor is to be completed. */
  | { readonly kind: "complete"; readonly before: string }
  /** Ctrl-D on an empty line. */
  | { readonly kind: "leave" };

/** The longest line that can be typed. */
const MAX_LINE = 4096;
/** Lines that the history keeps. */
const MAX_HISTORY = 200;

/** Control sequences of keys, without their ESC. */
const SEQUENCES: Readonly<Record<string, string>> = {
  "[A": "up",
  "[B": "down",
  "[C": "right",
  "[D": "left",
  "[H": "home",
  "[F": "end",
  "[1~": "home",
  "[7~": "home",
  "[4~": "end",
  "[8~": "end",
  "[3~": "delete",
  "OA": "up",
  "OB": "down",
  "OC": "right",
  "OD": "left",
  "OH": "home",
  "OF": "end",
  "[1;5C": "forward-word",
  "[1;5D": "backward-word",
  f: "forward-word",
  b: "backward-word",
};

/** Control characters of keys. */
const CONTROLS: Readonly<Record<string, string>> = {
  "\x01": "home",
  "\x02": "left",
  "\x03": "abandon",
  "\x04": "end-of-file",
  "\x05": "end",
  "\x06": "right",
  "\x08": "backspace",
  "\t": "complete",
  "\n": "enter",
  "\x0b": "kill-end",
  "\x0c": "clear",
  "\r": "enter",
  "\x0e": "down",
  "\x10": "up",
  "\x15": "kill-start",
  "\x17": "kill-word",
  "\x7f": "backspace",
};

/** An unfinished control sequence. */
// deno-lint-ignore no-control-regex
const PARTIAL = /^\x1b(\[[0-9;]{0,32}|O)?$/;
// deno-lint-ignore no-control-regex
const SEQUENCE = /^\x1b(\[[0-9;]*[A-Za-z~]|O[A-Za-z]|[a-zA-NP-Z])/;

/** Edits one line after another. */
export class LineEditor {
  readonly #prompt: string;
  readonly #history: string[] = [];
  readonly #decoder = new TextDecoder();
  #line: string[] = [];
  #cursor = 0;
  /** Which line of the history is shown; its length: the one being typed. */
  #shown = 0;
  /** What was typed before the history was looked at. */
  #typed = "";
  #pending = "";
  /** The last character was a carriage return. */
  #returned = false;

  /** An editor that shows this prompt. */
  constructor(prompt: string) {
    this.#prompt = prompt;
  }

  /** Whether a line is begun. */
  get isEmpty(): boolean {
    return this.#line.length === 0;
  }

  /** Take what was typed: `next` gives what it means. */
  take(bytes: Uint8Array): void {
    this.#pending += this.#decoder.decode(bytes, { stream: true });
  }

  /** The next event in what was taken; undefined when there is none. */
  next(): EditorEvent | undefined {
    while (this.#pending !== "") {
      if (this.#pending[0] === "\x1b") {
        const sequence = SEQUENCE.exec(this.#pending);
        if (sequence !== null) {
          this.#pending = this.#pending.slice(sequence[0].length);
          this.#do(SEQUENCES[sequence[1]] ?? "");
        } else if (PARTIAL.test(this.#pending)) {
          return undefined;
        } else this.#pending = this.#pending.slice(1);
        continue;
      }
      const character = String.fromCodePoint(this.#pending.codePointAt(0)!);
      this.#pending = this.#pending.slice(character.length);
      const isSecond = character === "\n" && this.#returned;
      this.#returned = character === "\r";
      if (isSecond) continue;
      const action = CONTROLS[character];
      if (action !== undefined) {
        const event = this.#do(action);
        if (event !== undefined) return event;
      } else if (character >= " " && this.#line.length < MAX_LINE) {
        this.#line.splice(this.#cursor++, 0, character);
      }
    }
    return undefined;
  }

  /** Put text where the cursor is. */
  insert(text: string): void {
    const characters = [...text].slice(0, MAX_LINE - this.#line.length);
    this.#line.splice(this.#cursor, 0, ...characters);
    this.#cursor += characters.length;
  }

  /** What takes the line from the terminal. */
  get erased(): string {
    return "\r\x1b[K";
  }

  /**
   * What shows the line, on a terminal of so many columns: the part of it
   * around the cursor, where it is longer.
   */
  drawn(columns: number): string {
    const room = Math.max(columns - this.#prompt.length - 1, 1);
    const start = Math.max(this.#cursor - room, 0);
    const part = this.#line.slice(start, start + room);
    const back = start + part.length - this.#cursor;
    return `\r${this.#prompt}${part.join("")}\x1b[K` +
      (back > 0 ? `\x1b[${back}D` : "");
  }

  #do(action: string): EditorEvent | undefined {
    const line = this.#line;
    switch (action) {
      case "enter":
        return this.#enter();
      case "complete":
        return {
          kind: "complete",
          before: line.slice(0, this.#cursor).join(""),
        };
      case "end-of-file":
        if (this.isEmpty) return { kind: "leave" };
        line.splice(this.#cursor, 1);
        break;
      case "abandon":
        this.#set("");
        break;
      case "left":
        this.#cursor = Math.max(this.#cursor - 1, 0);
        break;
      case "right":
        this.#cursor = Math.min(this.#cursor + 1, line.length);
        break;
      case "home":
        this.#cursor = 0;
        break;
      case "end":
        this.#cursor = line.length;
        break;
      case "forward-word":
        while (line[this.#cursor] === " ") this.#cursor++;
        while ((line[this.#cursor] ?? " ") !== " ") this.#cursor++;
        break;
      case "backward-word":
        this.#cursor = this.#wordStart();
        break;
      case "backspace":
        if (this.#cursor > 0) line.splice(--this.#cursor, 1);
        break;
      case "delete":
        line.splice(this.#cursor, 1);
        break;
      case "kill-start":
        line.splice(0, this.#cursor);
        this.#cursor = 0;
        break;
      case "kill-end":
        line.splice(this.#cursor);
        break;
      case "kill-word": {
        const start = this.#wordStart();
        line.splice(start, this.#cursor - start);
        this.#cursor = start;
        break;
      }
      case "up":
        this.#recall(this.#shown - 1);
        break;
      case "down":
        this.#recall(this.#shown + 1);
        break;
    }
    return undefined;
  }

  #wordStart(): number {
    let at = this.#cursor;
    while (at > 0 && this.#line[at - 1] === " ") at--;
    while (at > 0 && this.#line[at - 1] !== " ") at--;
    return at;
  }

  #set(text: string): void {
    this.#line = [...text];
    this.#cursor = this.#line.length;
  }

  #recall(index: number): void {
    if (index < 0 || index > this.#history.length) return;
    if (this.#shown === this.#history.length) this.#typed = this.#line.join("");
    this.#shown = index;
    this.#set(this.#history[index] ?? this.#typed);
  }

  #enter(): EditorEvent {
    const line = this.#line.join("");
    if (line.trim() !== "" && line !== this.#history.at(-1)) {
      this.#history.push(line);
      if (this.#history.length > MAX_HISTORY) this.#history.shift();
    }
    this.#shown = this.#history.length;
    this.#typed = "";
    this.#set("");
    return { kind: "line", line };
  }
}
