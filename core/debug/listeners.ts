/**
 * Who hears of one kind of event.
 *
 * @module
 */

import type { Hook } from "./events.ts";
import { HookError } from "./hook_error.ts";

/** What listeners share with their machine. */
export interface ListenerHost {
  /** Do what must not be done in the midst of an instruction, now or soon. */
  outsideSlice(action: () => void): void;
  /** A listener has failed: the run is to end with this error. */
  failed(error: HookError): void;
}

/** What a program is given to end something with. */
export function hook(remove: () => void): Hook {
  return { remove, [Symbol.dispose]: remove };
}

/** Calls a listener; what it throws, now or later, is the machine's error. */
export function call<T>(
  host: ListenerHost,
  event: string,
  listener: (event: T) => unknown,
  told: T,
): void {
  const failed = (cause: unknown): void =>
    host.failed(new HookError(event, cause));
  try {
    const result = listener(told);
    if (result instanceof Promise) result.catch(failed);
  } catch (cause) {
    // It must not pass through translated code.
    failed(cause);
  }
}

/**
 * The listeners of one kind. One that is removed hears no more at once, even of
 * what others are being told; one that is added hears of what comes after.
 */
export class Listeners<T> {
  readonly #event: string;
  readonly #host: ListenerHost;
  readonly #used: (isUsed: boolean) => void;
  #isUsed = false;
  #all: readonly { listener: (event: T) => unknown; isOn: boolean }[] = [];

  /**
   * None. `used` is called, when no instruction is being executed, as there is
   * a first one and as there is none any more.
   */
  constructor(
    event: string,
    host: ListenerHost,
    used: (isUsed: boolean) => void,
  ) {
    this.#event = event;
    this.#host = host;
    this.#used = used;
  }

  /** One more, until what this gives back is removed. */
  add(listener: (event: T) => unknown): Hook {
    const own = { listener, isOn: true };
    this.#all = [...this.#all, own];
    try {
      this.#update();
    } catch (error) {
      this.#all = this.#all.filter((one) => one !== own);
      throw error;
    }
    return hook(() => {
      if (!own.isOn) return;
      own.isOn = false;
      this.#all = this.#all.filter((one) => one !== own);
      if (this.#all.length === 0) {
        this.#host.outsideSlice(() => this.#update());
      }
    });
  }

  #update(): void {
    const isUsed = this.#all.length > 0;
    if (isUsed === this.#isUsed) return;
    this.#used(isUsed);
    this.#isUsed = isUsed;
  }

  /** Tell all of them. */
  tell(event: T): void {
    for (const one of this.#all) {
      if (one.isOn) call(this.#host, this.#event, one.listener, event);
    }
  }
}
