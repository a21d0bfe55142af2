/**
 * The `stdio` char backend: the guest on this terminal.
 *
 * A terminal is put into raw mode, so that every key reaches the guest, and is
 * restored when the backend closes and when the process ends in any way that
 * a program can see. Ctrl-A is the way out: see `HELP`.
 *
 * @module
 */

import type { ByteSink, CharBackend } from "../../core/backend/char.ts";
import { MonitorSwitch } from "../../core/backend/monitor_switch.ts";
import {
  EscapeFilter,
  HOST_TERMINAL,
  RawMode,
  type Terminal,
} from "../../core/backend/terminal.ts";
import type { CharPlugin, ConsoleContext } from "../../core/machine/plugin.ts";
import { ByteWriter, InputGate } from "./byte_writer.ts";

/** What Ctrl-A h shows. */
const HELP = "\r\n" +
  "Ctrl-A h       this help\r\n" +
  "Ctrl-A c       switch between the guest and the monitor\r\n" +
  "Ctrl-A x       end the machine\r\n" +
  "Ctrl-A Ctrl-A  send Ctrl-A\r\n";
/** Bytes of one read. */
const READ_SIZE = 4096;
/** What a terminal may type ahead of a guest that does not read. */
const TYPE_AHEAD = 65536;

/** Configuration of the backend. */
export interface StdioConfig {
  /** Whether Ctrl-A begins a command to Rhea. */
  readonly escape: boolean;
}

/** What the backend needs of its context. */
export type StdioContext = Pick<ConsoleContext, "log" | "quit" | "monitor">;

/** A char backend on a terminal. */
export class StdioChar implements CharBackend {
  readonly #terminal: Terminal;
  readonly #context: StdioContext;
  readonly #writer: ByteWriter;
  readonly #gate = new InputGate();
  readonly #filter: EscapeFilter | undefined;
  readonly #raw: RawMode;
  readonly #monitor: MonitorSwitch;
  #closed = false;
  #ahead = 0;
  #order: Promise<void> = Promise.resolve();

  /** Take the terminal; begins to read. */
  constructor(
    config: StdioConfig,
    context: StdioContext,
    terminal: Terminal,
  ) {
    this.#terminal = terminal;
    this.#context = context;
    this.#writer = new ByteWriter(
      (bytes) => terminal.write(bytes),
      // Nobody sees the guest any more, as with `| head`.
      (error) => {
        if (!(error instanceof Deno.errors.BrokenPipe)) {
          context.log.warn(`cannot write to the terminal: ${error}`);
        }
        context.quit();
      },
    );
    this.#monitor = new MonitorSwitch(context.monitor, {
      write: (text) => void this.#writer.push(new TextEncoder().encode(text)),
      isTerminal: terminal.isTerminal(),
      columns: () => terminal.width(),
    });
    if (config.escape) this.#filter = new EscapeFilter((key) => this.#do(key));
    this.#raw = new RawMode(
      (raw) => terminal.setRaw(raw),
      () => context.quit(),
    );
    if (terminal.isTerminal()) this.#raw.hold();
    void this.#readAll();
  }

  #do(key: string): void {
    if (key === "x") this.#context.quit();
    else if (key === "c") this.#monitor.toggle();
    else if (key === "h" || key === "?") {
      void this.#writer.push(new TextEncoder().encode(HELP));
    }
  }

  async #readAll(): Promise<void> {
    const terminal = this.#terminal.isTerminal();
    while (!this.#closed) {
      const buffer = new Uint8Array(READ_SIZE);
      let length: number | null;
      try {
        length = await this.#terminal.read(buffer);
      } catch (error) {
        if (!this.#closed) {
          this.#context.log.warn(`cannot read from the terminal: ${error}`);
        }
        return;
      }
      // At the end of a pipe the guest runs on: it has output to give.
      if (length === null || this.#closed) return;
      const waits: Promise<void>[] = [];
      const take = (bytes: Uint8Array): void => {
        const wait = this.#take(bytes, terminal);
        if (wait !== undefined) waits.push(wait);
      };
      const typed = buffer.subarray(0, length);
      if (this.#filter === undefined) take(typed);
      else this.#filter.pass(typed, take);
      await Promise.all(waits);
    }
  }

  /** Bytes for the monitor or the guest; what a pipe has waits for the guest. */
  #take(bytes: Uint8Array, terminal: boolean): Promise<void> | undefined {
    if (this.#monitor.isOpen) this.#monitor.input(bytes);
    else if (!terminal) return this.#gate.pass(bytes);
    else if (this.#ahead + bytes.length <= TYPE_AHEAD) {
      // Ctrl-A x must be seen even when the guest does not read.
      this.#ahead += bytes.length;
      this.#order = this.#order.then(async () => {
        await this.#gate.pass(bytes);
        this.#ahead -= bytes.length;
      });
    }
    return undefined;
  }

  /** Show the guest's bytes. */
  readonly write: ByteSink = (bytes) =>
    this.#writer.push(this.#monitor.output(bytes));

  /** Say where typed bytes go. */
  onInput(receiver: ByteSink): void {
    this.#gate.open(receiver);
  }

  /** Resolves when everything is shown. */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /** Restore the terminal. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#gate.close();
    // What comes next on the terminal does not stand behind the prompt.
    if (this.#monitor.isOpen) void this.#writer.push(Uint8Array.of(13, 10));
    try {
      await this.flush();
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    } finally {
      this.#raw.release();
    }
  }
}

/** The `stdio` plugin. */
const plugin: CharPlugin<StdioConfig> = {
  type: "char",
  name: "stdio",
  version: "1.0.0",
  description: "This terminal; Ctrl-A h shows the keys",
  terminal: "stream",
  config: {
    type: "object",
    properties: {
      escape: {
        type: "boolean",
        description: "Whether Ctrl-A begins a command to Rhea",
        default: true,
      },
    },
  },
  create: (config, context) => new StdioChar(config, context, HOST_TERMINAL),
};
export default plugin;
