/**
 * Input events in order, each when the guest has taken the one before it.
 *
 * @module
 */

import type { InputBackend, InputEvent, InputReceiver } from "./input.ts";

/** Events that may wait for a guest that takes none. */
const LIMIT = 65536;

/** An input backend that a program feeds. */
export class InputQueue implements InputBackend {
  readonly #receivers: InputReceiver[] = [];
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #closed = false;
  #lights = 0;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #watchers: (() => void)[] = [];
  /** Waits no more for the guest to take the event under way. */
  #release: () => void = () => {};

  /** Say where events go. */
  onEvent(receiver: InputReceiver): void {
    this.#receivers.push(receiver);
  }

  /** The keyboard's lights, as `InputBackend.leds` has them. */
  get lights(): number {
    return this.#lights;
  }

  /** `changed` is called, within the guest's access, when the lights change. */
  watchLights(changed: () => void): void {
    this.#watchers.push(changed);
  }

  /** The guest sets the lights. */
  leds(lights: number): void {
    if (lights === this.#lights) return;
    this.#lights = lights;
    for (const changed of this.#watchers) changed();
  }

  /** Call after so many milliseconds of the host's, unless it is cancelled. */
  after(milliseconds: number, call: () => void): () => void {
    if (this.#closed) return () => {};
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      call();
    }, milliseconds);
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
      clearTimeout(timer);
    };
  }

  /**
   * Send events; resolves when the guest has taken them, or when nobody will:
   * too many wait already, or the machine has ended (the key that switches it
   * off is hardly ever released before).
   */
  send(events: readonly InputEvent[]): Promise<void> {
    // What is nothing takes no place: otherwise it would wait without bound.
    if (events.length === 0) return Promise.resolve();
    if (this.#waiting + events.length > LIMIT) return Promise.resolve();
    this.#waiting += events.length;
    this.#last = this.#last.then(async () => {
      for (const event of events) {
        this.#waiting--;
        if (this.#closed) continue;
        await this.#deliver(event);
      }
    });
    return this.#last;
  }

  #deliver(event: InputEvent): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#release = resolve;
      Promise.all(this.#receivers.map((receive) => receive(event)))
        .then(() => resolve(), reject);
    });
  }

  /** No event will be taken any more: those that wait are lost. */
  end(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#release();
  }

  /** Events are taken again after `end`. */
  begin(): void {
    this.#closed = false;
  }

  /** Let no more events come. */
  close(): Promise<void> {
    this.end();
    return Promise.resolve();
  }
}
