/**
 * Where a program sits at a machine: its serial ports, screens and keyboards
 * that are in memory.
 *
 * @module
 */

import type { Picture, PictureSource, TextScreen } from "../backend/display.ts";
import { type ExpectOptions, MemoryChar } from "../backend/memory_char.ts";
import { MemoryDisplay } from "../backend/memory_display.ts";
import type { AnyBackend } from "./parts.ts";

/** A serial port whose other end is the program. */
export interface SerialPort {
  /** What the guest has written, as UTF-8; of long runs, the last of it. */
  readonly output: string;
  /**
   * Type to the guest: text in UTF-8, or bytes. Resolves when the guest's chip
   * took it all, or the machine has ended; nothing starts it.
   */
  write(data: string | Uint8Array): Promise<void>;
  /**
   * Wait until the guest's output after the last match contains `pattern`, in
   * which `$` is the end of what it has written so far; gives back the output up
   * to and including the match. The machine is started if it does not run.
   * Rejects with an `ExpectError`, whose message has the end of the output, when
   * the match has not come in time or the machine ends.
   */
  expect(pattern: RegExp | string, options?: ExpectOptions): Promise<string>;
}

/** A screen and its keyboard at which the program sits. */
export interface ScreenPort {
  /**
   * The text on it, a line feed after each row, without the spaces at the
   * rows' ends; empty when it shows no text.
   */
  readonly text: string;
  /** Cells, colours and cursor; undefined when it shows no text. */
  readonly cells: TextScreen | undefined;
  /**
   * The screen as pixels, whatever it shows, and what has changed since a
   * generation; undefined without a device that has a picture.
   */
  look(since?: number): Picture | undefined;
  /** Call `changed` at the next change of the pixels, once. */
  watchPicture(changed: () => void): void;
  /**
   * Wait until the text on the screen contains `pattern`; gives back all of
   * the text. It is what stands there, and may have stood there before. The
   * machine is started if it does not run. Rejects with an `ExpectError` when it
   * has not come in time or the machine ends.
   */
  expect(pattern: RegExp | string, options?: ExpectOptions): Promise<string>;
  /**
   * Type on the US keyboard; resolves when the guest took it all. Rejects with
   * a `RangeError` for a character that no key types.
   */
  type(text: string): Promise<void>;
  /**
   * Press keys together, by their W3C `KeyboardEvent.code` names, and release
   * them: `press("ControlLeft", "KeyC")`.
   */
  press(...codes: string[]): Promise<void>;
}

/** What a screen showed. */
export interface Screenshot extends Picture {
  /** The same as a PNG file. */
  png(): Promise<Uint8Array>;
}

/**
 * The serial port number `n`; `start` starts the machine for who waits. Throws
 * a `RangeError` when there is none, and a `TypeError` when it is not in memory.
 */
export function serialPort(
  backends: ReadonlyMap<string, AnyBackend>,
  n: number,
  start: () => void,
): SerialPort {
  const char = backends.get(`serial${n}`);
  if (char === undefined) {
    throw new RangeError(`the machine has no backend "serial${n}"`);
  }
  if (!(char instanceof MemoryChar)) {
    throw new TypeError(
      `the backend "serial${n}" is not in memory: load the machine with ` +
        `serial: ["memory"]`,
    );
  }
  return {
    get output(): string {
      return char.output;
    },
    write: (data) => char.send(data),
    expect: (pattern, options) => {
      start();
      return char.expect(pattern, options);
    },
  };
}

/** The same for the screen and the keyboard. */
export function screenPort(
  backends: ReadonlyMap<string, AnyBackend>,
  start: () => void,
): ScreenPort {
  const display = backends.get("display");
  if (display === undefined) {
    throw new RangeError('the machine has no backend "display"');
  }
  if (!(display instanceof MemoryDisplay)) {
    throw new TypeError(
      'the backend "display" is not in memory: load the machine with ' +
        'display: "none"',
    );
  }
  return {
    get text(): string {
      return display.content;
    },
    get cells(): TextScreen | undefined {
      return display.screen;
    },
    look: (since) => display.look(since),
    watchPicture: (changed) => display.watchPicture(changed),
    expect: (pattern, options) => {
      start();
      return display.expect(pattern, options);
    },
    type: (text) => display.type(text),
    press: (...codes) => display.press(...codes),
  };
}

/** What a screen shows now. */
export function screenshotOf(source: PictureSource): Screenshot {
  const shown = source.look(0);
  const picture = { ...shown, pixels: shown.pixels.slice() };
  return {
    ...picture,
    png: async () => {
      const { encodePng } = await import("../backend/png.ts");
      return await encodePng(picture);
    },
  };
}
