/**
 * The host's terminal, as backends that take it share it: raw mode with its
 * restoring, and the commands to Rhea in what is typed.
 *
 * @module
 */

import { hostColumns } from "./terminal_size.ts";

/** Ctrl-A. */
const ESCAPE = 0x01;

const SIGNALS: readonly Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** The host's terminal, or what stands in for it in a test. */
export interface Terminal {
  /** Read some bytes; null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Write some of the bytes. */
  write(bytes: Uint8Array): Promise<number>;
  /** Whether input is a terminal. */
  isTerminal(): boolean;
  /** Switch raw mode. */
  setRaw(raw: boolean): void;
  /** How wide it is, in columns. */
  width(): number;
}

/** This process's terminal. */
export const HOST_TERMINAL: Terminal = {
  read: (buffer) => Deno.stdin.read(buffer),
  write: (bytes) => Deno.stdout.write(bytes),
  isTerminal: () => Deno.stdin.isTerminal(),
  setRaw: (raw) => Deno.stdin.setRaw(raw),
  width: hostColumns,
};

/** Takes the commands out of what is typed. */
export class EscapeFilter {
  readonly #command: (key: string) => void;
  #escaped = false;

  /** `command` gets the key that followed a Ctrl-A, in lower case. */
  constructor(command: (key: string) => void) {
    this.#command = command;
  }

  /**
   * Give the bytes that are no commands to `take`, in pieces: what was typed
   * before a command comes before it.
   */
  pass(bytes: Uint8Array, take: (bytes: Uint8Array) => void): void {
    if (!this.#escaped && !bytes.includes(ESCAPE)) return take(bytes);
    let out: number[] = [];
    const give = (): void => {
      if (out.length > 0) take(Uint8Array.from(out));
      out = [];
    };
    for (const byte of bytes) {
      if (!this.#escaped) {
        if (byte === ESCAPE) this.#escaped = true;
        else out.push(byte);
        continue;
      }
      this.#escaped = false;
      if (byte === ESCAPE) {
        out.push(byte);
        continue;
      }
      give();
      this.#command(String.fromCharCode(byte).toLowerCase());
    }
    give();
  }
}

/**
 * Raw mode, and everything that ends it: `release`, the end of the process in
 * any way that a program can see, and signals, of which the first only asks
 * the machine to end.
 */
export class RawMode {
  readonly #set: (raw: boolean) => void;
  readonly #quit: () => void;
  readonly #restore = () => this.#setRaw(false);
  readonly #onSignal = () => {
    // The next signal does what it does to any program.
    this.release();
    this.#quit();
  };
  readonly #onContinue = () => this.#setRaw(true);
  #held = false;

  /**
   * `set` switches the terminal's mode; `quit` is called when a signal asks
   * for the end.
   */
  constructor(set: (raw: boolean) => void, quit: () => void) {
    this.#set = set;
    this.#quit = quit;
  }

  /** Switch to raw mode. */
  hold(): void {
    this.#held = true;
    this.#setRaw(true);
    globalThis.addEventListener("unload", this.#restore);
    globalThis.addEventListener("error", this.#restore);
    globalThis.addEventListener("unhandledrejection", this.#restore);
    for (const signal of SIGNALS) {
      Deno.addSignalListener(signal, this.#onSignal);
    }
    Deno.addSignalListener("SIGCONT", this.#onContinue);
  }

  /** Switch back, once. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#setRaw(false);
    globalThis.removeEventListener("unload", this.#restore);
    globalThis.removeEventListener("error", this.#restore);
    globalThis.removeEventListener("unhandledrejection", this.#restore);
    for (const signal of SIGNALS) {
      Deno.removeSignalListener(signal, this.#onSignal);
    }
    Deno.removeSignalListener("SIGCONT", this.#onContinue);
  }

  #setRaw(raw: boolean): void {
    try {
      this.#set(raw);
    } catch (error) {
      // A terminal that has gone away needs no restoring.
      if (raw) throw error;
    }
  }
}
