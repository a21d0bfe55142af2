/**
 * A display backend in memory, for programs and tests: the guest's text screen
 * can be read and waited for, its picture looked at, and keys can be pressed.
 *
 * @module
 */

import type {
  DisplayBackend,
  Picture,
  PictureSource,
  TextScreen,
  TextSource,
} from "./display.ts";
import type { InputEvent } from "./input.ts";
import { InputQueue } from "./input_queue.ts";
import { ExpectError, type ExpectOptions } from "./memory_char.ts";
import { strokeEvents, strokeOf } from "./us_keyboard.ts";

/** Milliseconds of the host between two looks at a screen that changes. */
const REFRESH_MS = 20;

interface Waiter {
  readonly pattern: RegExp | string;
  readonly resolve: (text: string) => void;
  readonly reject: (error: Error) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/**
 * A screen as text: its rows with a line feed after each, without the spaces at
 * their ends.
 */
export function screenText(screen: TextScreen): string {
  let text = "";
  for (let row = 0; row < screen.rows; row++) {
    const at = row * screen.columns;
    const cells = screen.characters.subarray(at, at + screen.columns);
    text += String.fromCharCode(...cells).trimEnd() + "\n";
  }
  return text;
}

/** A display backend in memory. */
export class MemoryDisplay implements DisplayBackend {
  /** The keyboard in front of the screen. */
  readonly input: InputQueue = new InputQueue();
  #source: TextSource | undefined;
  #picture: PictureSource | undefined;
  #waiters: Waiter[] = [];
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #ended: string | undefined;

  /** Show a text screen. */
  text(source: TextSource): void {
    this.#source = source;
  }

  /** Show a picture. */
  picture(source: PictureSource): void {
    this.#picture = source;
  }

  /**
   * The guest's screen as pixels, and what has changed since a generation;
   * undefined without a device that has a picture.
   */
  look(since: number = 0): Picture | undefined {
    return this.#picture?.look(since);
  }

  /** Call `changed` at the next change of the picture, once. */
  watchPicture(changed: () => void): void {
    this.#picture?.watchPicture(changed);
  }

  /** What the guest's screen shows now; undefined when it shows no text. */
  get screen(): TextScreen | undefined {
    return this.#source?.text();
  }

  /** The screen as text (`screenText`); empty when it shows none. */
  get content(): string {
    const { screen } = this;
    return screen === undefined ? "" : screenText(screen);
  }

  /**
   * Type text on the US keyboard; resolves as `InputQueue.send` does. Throws a
   * `RangeError` for a character that no key has.
   */
  async type(text: string): Promise<void> {
    const events = Array.from(text, (character) => {
      const stroke = strokeOf(character);
      if (stroke !== undefined) return strokeEvents(stroke);
      throw new RangeError(`no key types ${JSON.stringify(character)}`);
    });
    await this.input.send(events.flat());
  }

  /** Press keys by their code names, and release them in reverse. */
  async press(...codes: string[]): Promise<void> {
    const event = (down: boolean) => (code: string): InputEvent => ({
      type: "key",
      code,
      down,
    });
    await this.input.send([
      ...codes.map(event(true)),
      ...codes.toReversed().map(event(false)),
    ]);
  }

  /**
   * Wait until the screen's text contains `pattern`; gives back the whole
   * text. Unlike a serial port's it is what stands there now, also what stood
   * there before.
   */
  expect(
    pattern: RegExp | string,
    options: ExpectOptions = {},
  ): Promise<string> {
    const timeout = options.timeout ?? 60_000;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const timer = setTimeout(() => {
      this.#waiters = this.#waiters.filter((other) => other.timer !== timer);
      reject(this.#failure(pattern, `within ${timeout} ms`));
    }, timeout);
    this.#waiters.push({ pattern, resolve, reject, timer });
    this.#look();
    return promise;
  }

  /**
   * Nothing more will be shown and no key taken: what is waited for fails with
   * `reason`.
   */
  end(reason: string): void {
    this.#ended = reason;
    this.input.end();
    this.#look();
  }

  /** The machine runs again after `end`. */
  begin(): void {
    this.#ended = undefined;
    this.input.begin();
  }

  #failure(pattern: RegExp | string, why: string): ExpectError {
    return new ExpectError(
      `no ${
        typeof pattern === "string" ? JSON.stringify(pattern) : pattern
      } on the screen ${why}; it shows ${
        JSON.stringify(this.content.trimEnd().slice(-200))
      }`,
    );
  }

  /** Serve the waiters, and look again when something has changed. */
  #look(): void {
    clearTimeout(this.#refresh);
    this.#refresh = undefined;
    if (this.#waiters.length === 0) return;
    const { content } = this;
    this.#waiters = this.#waiters.filter((waiter) => {
      const { pattern, timer } = waiter;
      const found = typeof pattern === "string"
        ? content.includes(pattern)
        : content.search(pattern) >= 0;
      if (!found && this.#ended === undefined) return true;
      clearTimeout(timer);
      if (found) waiter.resolve(content);
      else waiter.reject(this.#failure(pattern, `(${this.#ended})`));
      return false;
    });
    if (this.#waiters.length === 0) return;
    this.#source?.watch(() => {
      this.#refresh ??= setTimeout(() => this.#look(), REFRESH_MS);
    });
  }

  /** Let go of the screen. */
  async close(): Promise<void> {
    this.end("the machine has stopped");
    await this.input.close();
  }
}
