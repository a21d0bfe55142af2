/**
 * The `text` display: the guest's text screen in this terminal, and its
 * keyboard.
 *
 * The terminal is in raw mode and on its alternate screen, and is restored when
 * the backend closes and when the process ends in any way that a program can
 * see. It is drawn when something has changed, at most `1000 / REFRESH_MS` times
 * a second; while nothing changes nothing happens. Ctrl-A is the way out, as on
 * the serial port's terminal.
 *
 * @module
 */

import type { DisplayBackend, TextSource } from "../../core/backend/display.ts";
import { InputQueue } from "../../core/backend/input_queue.ts";
import { MonitorSwitch } from "../../core/backend/monitor_switch.ts";
import {
  EscapeFilter,
  HOST_TERMINAL,
  RawMode,
  type Terminal,
} from "../../core/backend/terminal.ts";
import { strokeEvents } from "../../core/backend/us_keyboard.ts";
import type {
  ConsoleContext,
  DisplayPlugin,
} from "../../core/machine/plugin.ts";
import {
  AnsiScreen,
  ENTER_SCREEN,
  LEAVE_SCREEN,
  type TerminalSize,
} from "./ansi_screen.ts";
import { terminalStrokes } from "./terminal_keys.ts";

/** Milliseconds of the host from a change until it is drawn. */
const REFRESH_MS = 33;
/** Bytes of one read. */
const READ_SIZE = 4096;
/** Where the terminal does not tell its size. */
const DEFAULT_SIZE: TerminalSize = { columns: 80, rows: 25 };

/** A terminal that is drawn on, or what stands in for it in a test. */
export interface ScreenTerminal extends Terminal {
  /** Its size; undefined when output is no terminal. */
  size(): TerminalSize | undefined;
  /** Call `changed` when the size has, until what is given back is called. */
  watchSize(changed: () => void): () => void;
  /** Write all of the text now, for the end of the process. */
  writeNow(text: string): void;
}

/** What the display needs of its context. */
export type TextContext = Pick<ConsoleContext, "log" | "quit" | "monitor">;

/** A display backend on a terminal. */
export class TextDisplay implements DisplayBackend {
  /** What is typed. */
  readonly input: InputQueue = new InputQueue();
  readonly #terminal: ScreenTerminal;
  readonly #context: TextContext;
  readonly #raw: RawMode;
  readonly #filter = new EscapeFilter((key) => {
    if (key === "x") this.#context.quit();
    if (key === "c") this.#monitor.toggle();
    // What has disturbed the screen is drawn over.
    if (key === "l") this.#redraw();
  });
  readonly #screen = new AnsiScreen();
  readonly #monitor: MonitorSwitch;
  readonly #unwatchSize: () => void;
  #source: TextSource | undefined;
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #drawing: Promise<void> = Promise.resolve();
  #closed = false;

  /** Take the terminal; begins to read. */
  constructor(
    context: TextContext,
    terminal: ScreenTerminal,
  ) {
    this.#terminal = terminal;
    this.#context = context;
    this.#monitor = new MonitorSwitch(
      context.monitor,
      {
        write: (text) => this.#write(new TextEncoder().encode(text)),
        isTerminal: true,
        columns: () => (terminal.size() ?? DEFAULT_SIZE).columns,
      },
      // The monitor has the screen that was there before.
      (isOpen) => {
        this.#write(
          new TextEncoder().encode(isOpen ? LEAVE_SCREEN : ENTER_SCREEN),
        );
        if (!isOpen) this.#redraw();
      },
    );
    let raw = false;
    this.#raw = new RawMode((on) => {
      if (on !== raw) terminal.writeNow(on ? ENTER_SCREEN : LEAVE_SCREEN);
      raw = on;
      if (terminal.isTerminal()) terminal.setRaw(on);
      // After a stop (SIGCONT) the terminal shows something else.
      if (on) this.#redraw();
    }, () => context.quit());
    this.#raw.hold();
    // Then terminals cut off, move or forget what they show.
    this.#unwatchSize = terminal.watchSize(() => this.#redraw());
    void this.#readAll();
  }

  /** Show this text screen. */
  text(source: TextSource): void {
    this.#source = source;
    this.#soon();
  }

  #redraw(): void {
    this.#screen.forget();
    this.#soon();
  }

  #soon(): void {
    if (this.#closed) return;
    this.#refresh ??= setTimeout(() => {
      this.#refresh = undefined;
      this.#drawing = this.#drawing.then(() => this.#draw());
    }, REFRESH_MS);
  }

  /** Write after what is being drawn. */
  #write(bytes: Uint8Array): void {
    this.#drawing = this.#drawing.then(async () => {
      await this.#writeAll(bytes);
    });
  }

  /** Says whether there is still somebody to see it. */
  async #writeAll(bytes: Uint8Array): Promise<boolean> {
    try {
      for (let at = 0; at < bytes.length;) {
        at += await this.#terminal.write(bytes.subarray(at));
      }
      return true;
    } catch (error) {
      // Nobody sees the guest any more.
      if (!(error instanceof Deno.errors.BrokenPipe)) {
        this.#context.log.warn(`cannot write to the terminal: ${error}`);
      }
      this.#context.quit();
      return false;
    }
  }

  async #draw(): Promise<void> {
    const source = this.#source;
    if (source === undefined || this.#closed || this.#monitor.isOpen) return;
    const size = this.#terminal.size() ?? DEFAULT_SIZE;
    const bytes = new TextEncoder().encode(
      this.#screen.draw(source.text(), size),
    );
    if (!await this.#writeAll(bytes)) return;
    // Only now: a slow terminal gets fewer pictures. What has changed since
    // the picture was taken is not lost: it is compared with what is shown.
    if (this.#closed) return;
    source.watch(() => this.#soon());
    if (bytes.length > 0) this.#soon();
  }

  async #readAll(): Promise<void> {
    const buffer = new Uint8Array(READ_SIZE);
    while (!this.#closed) {
      let length: number | null;
      try {
        length = await this.#terminal.read(buffer);
      } catch (error) {
        if (!this.#closed) {
          this.#context.log.warn(`cannot read from the terminal: ${error}`);
        }
        return;
      }
      if (length === null || this.#closed) return;
      this.#filter.pass(buffer.subarray(0, length), (bytes) => {
        if (this.#monitor.isOpen) return this.#monitor.input(bytes);
        // Not awaited: Ctrl-A x must be seen even when the guest reads nothing.
        for (const stroke of terminalStrokes(bytes)) {
          void this.input.send(strokeEvents(stroke));
        }
      });
    }
  }

  /** Restore the terminal. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#refresh);
    this.#unwatchSize();
    await this.input.close();
    await this.#drawing;
    this.#raw.release();
  }
}

function hostSize(): TerminalSize | undefined {
  try {
    const size = Deno.consoleSize();
    // A terminal on a line or in a pipe may not know.
    return size.columns > 0 && size.rows > 0 ? size : undefined;
  } catch {
    // Output is no terminal.
    return undefined;
  }
}

const HOST: ScreenTerminal = {
  ...HOST_TERMINAL,
  size: hostSize,
  watchSize(changed) {
    Deno.addSignalListener("SIGWINCH", changed);
    return () => Deno.removeSignalListener("SIGWINCH", changed);
  },
  writeNow(text) {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) {
      at += Deno.stdout.writeSync(bytes.subarray(at));
    }
  },
};

/** The `text` plugin. */
const plugin: DisplayPlugin<Record<string, never>> = {
  type: "display",
  name: "text",
  version: "1.0.0",
  description:
    "The text screen in this terminal; Ctrl-A x ends, Ctrl-A c is the monitor",
  terminal: "screen",
  create: (_config, context) => new TextDisplay(context, HOST),
};
export default plugin;
