/**
 * A lock that many may share or one may have alone, first come first served.
 *
 * @module
 */

interface Waiter {
  readonly shared: boolean;
  readonly start: () => void;
}

/** The lock. */
export class RwLock {
  /** How many share it; -1 when one has it alone. */
  #holders = 0;
  #queue: Waiter[] = [];

  /** Run together with others that share it. */
  shared<T>(action: () => Promise<T>): Promise<T> {
    return this.#run(true, action);
  }

  /** Run alone. */
  exclusive<T>(action: () => Promise<T>): Promise<T> {
    return this.#run(false, action);
  }

  async #run<T>(shared: boolean, action: () => Promise<T>): Promise<T> {
    if (this.#queue.length === 0 && this.#free(shared)) this.#take(shared);
    else {
      await new Promise<void>((start) => this.#queue.push({ shared, start }));
    }
    try {
      return await action();
    } finally {
      this.#holders = shared ? this.#holders - 1 : 0;
      while (
        this.#queue.length > 0 && this.#free(this.#queue[0].shared)
      ) {
        const next = this.#queue.shift()!;
        this.#take(next.shared);
        next.start();
      }
    }
  }

  #free(shared: boolean): boolean {
    return shared ? this.#holders >= 0 : this.#holders === 0;
  }

  #take(shared: boolean): void {
    this.#holders = shared ? this.#holders + 1 : -1;
  }
}
