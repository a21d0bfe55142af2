/**
 * A human at the monitor: a prompt, lines, what they print. On a terminal the
 * line is edited there; elsewhere lines come whole.
 *
 * @module
 */

import { VERSION } from "../../version.ts";
import { progressOn } from "../../progress/progress.ts";
import type { MonitorConsole, MonitorSession } from "../console.ts";
import { LineEditor } from "./line_editor.ts";
import type { Monitor } from "./monitor.ts";

/** What stands before a line. */
const PROMPT = "(rhea) ";
/** The longest line that comes whole. */
const MAX_LINE = 65536;
/** Bytes that may wait for commands under way. */
const TYPE_AHEAD = 65536;
/** Columns between words of a list. */
const GAP = 2;

/** A session of a monitor. */
export class HmpSession implements MonitorSession {
  readonly #monitor: Monitor;
  readonly #console: MonitorConsole;
  readonly #editor = new LineEditor(PROMPT);
  readonly #decoder = new TextDecoder();
  #partial = "";
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #isBusy = false;
  #isGreeted = false;

  /** Begin a session. */
  constructor(monitor: Monitor, console: MonitorConsole) {
    this.#monitor = monitor;
    this.#console = console;
  }

  /** See `MonitorSession.erased`. */
  get erased(): string {
    return this.#isBusy ? "" : this.#editor.erased;
  }

  /** See `MonitorSession.drawn`. */
  get drawn(): string {
    return this.#isBusy ? "" : this.#editor.drawn(this.#console.columns());
  }

  /** See `MonitorSession.done`. */
  async done(): Promise<void> {
    await this.#last;
  }

  #print(text: string): void {
    if (text === "") return;
    const { isTerminal } = this.#console;
    this.#console.write(isTerminal ? text.replaceAll("\n", "\r\n") : text);
  }

  /** See `MonitorSession.show`. */
  show(): void {
    const { isTerminal } = this.#console;
    if (isTerminal) this.#console.write("\r\n");
    if (!this.#isGreeted) {
      this.#isGreeted = true;
      this.#print(
        `Rhea ${VERSION} monitor - type 'help' for more information\n`,
      );
    }
    this.#draw();
  }

  #draw(): void {
    if (this.#console.isTerminal) this.#console.write(this.drawn);
    else this.#console.write(PROMPT);
  }

  /** See `MonitorSession.input`. */
  input(bytes: Uint8Array): void {
    // What is typed during a command waits; a flood is lost.
    if (this.#waiting + bytes.length > TYPE_AHEAD) return;
    this.#waiting += bytes.length;
    this.#last = this.#last.then(async () => {
      this.#waiting -= bytes.length;
      if (this.#console.isTerminal) await this.#edit(bytes);
      else await this.#whole(bytes);
    });
  }

  async #edit(bytes: Uint8Array): Promise<void> {
    const editor = this.#editor;
    editor.take(bytes);
    for (let event; (event = editor.next()) !== undefined;) {
      if (event.kind === "leave") {
        this.#console.leave();
        return;
      }
      if (event.kind === "complete") await this.#complete(event.before);
      else {
        // The line as it was typed stays on the screen.
        this.#console.write(
          `\r${PROMPT}${event.line.slice(0, MAX_LINE)}\x1b[K\r\n`,
        );
        await this.#run(event.line);
      }
    }
    this.#draw();
  }

  async #whole(bytes: Uint8Array): Promise<void> {
    const text = this.#partial + this.#decoder.decode(bytes, { stream: true });
    const all = text.split(/\r\n|\r|\n/);
    // A line without an end is no line of anybody's.
    this.#partial = all.pop()!.slice(0, MAX_LINE);
    for (const line of all) {
      await this.#run(line);
      this.#draw();
    }
  }

  async #run(line: string): Promise<void> {
    this.#isBusy = true;
    const { context } = this.#monitor;
    context.progress = progressOn({
      write: (text) => this.#print(text),
      isTerminal: this.#console.isTerminal,
      columns: () => this.#console.columns(),
      now: () => performance.now(),
    });
    try {
      this.#print(await this.#monitor.run(line));
    } finally {
      context.progress = undefined;
      this.#isBusy = false;
    }
  }

  async #complete(before: string): Promise<void> {
    const word = /\S*$/.exec(before)![0];
    const all = await this.#monitor.completions(before);
    if (all.length === 0) return;
    const common = commonStart(all);
    this.#editor.insert(common.slice(word.length));
    if (all.length === 1) {
      this.#editor.insert(" ");
      return;
    }
    if (common.length > word.length) return;
    this.#console.write("\r\n");
    this.#print(columnsOf(all, this.#console.columns()));
  }
}

/** What all words begin with. */
function commonStart(words: readonly string[]): string {
  let common = words[0];
  for (const word of words) {
    while (!word.startsWith(common)) common = common.slice(0, -1);
  }
  return common;
}

/** Words in columns, by rows. */
function columnsOf(words: readonly string[], width: number): string {
  const cell = Math.max(...words.map((word) => word.length)) + GAP;
  const across = Math.max(Math.floor(width / cell), 1);
  let text = "";
  for (let at = 0; at < words.length; at += across) {
    const row = words.slice(at, at + across).map((word) => word.padEnd(cell));
    text += `${row.join("").trimEnd()}\n`;
  }
  return text;
}
