/**
 * Requests to drives, and waits: what a service has begun and its caller waits
 * for in the ROM, halted, while interrupts go on.
 *
 * A request is known by the address of its caller's frame. Everything that it
 * is stands in the state, so that a loaded machine asks its backend again.
 *
 * @module
 */

/** What a caller waits for. */
export interface RequestState {
  /** The address of the caller's frame. */
  frame: number;
  /** What is to be done. */
  kind: "read" | "write" | "format" | "boot";
  /** The drive's number as INT 13h has it. */
  drive: number;
  /** The first sector. */
  sector: number;
  /** Sectors. */
  count: number;
  /** The physical address of the data. */
  address: number;
  /** It has been done. */
  done: boolean;
  /** What came of it: 0, or a status of INT 13h. */
  status: number;
}

/** Callers that wait at the same time: one service within another. */
export const MAX_REQUESTS = 8;

/** The requests under way. */
export class Requests {
  #list: RequestState[] = [];
  readonly #perform: (request: RequestState) => Promise<number>;
  readonly #answered: () => void;
  /** Requests go one after another, as on a controller. */
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Carried out by `perform`, which gives a status; then `answered` is called,
   * to wake the caller.
   */
  constructor(
    perform: (request: RequestState) => Promise<number>,
    answered: () => void,
  ) {
    this.#perform = perform;
    this.#answered = answered;
  }

  /** What is under way, to be saved. */
  get list(): RequestState[] {
    return this.#list;
  }

  /** The request of the caller with this frame. */
  find(frame: number): RequestState | undefined {
    return this.#list.find((request) => request.frame === frame);
  }

  /** Whether somebody still waits for it: after a reset nobody does. */
  isCurrent(request: RequestState): boolean {
    return this.#list.includes(request);
  }

  /** Begin; one that a caller has left behind at the same place is forgotten. */
  start(request: Omit<RequestState, "done" | "status">): void {
    this.end(request.frame);
    if (this.#list.length === MAX_REQUESTS) this.#list.shift();
    const added = { ...request, done: false, status: 0 };
    this.#list.push(added);
    this.#issue(added);
  }

  /** The caller has its answer. */
  end(frame: number): void {
    const index = this.#list.findIndex((request) => request.frame === frame);
    if (index >= 0) this.#list.splice(index, 1);
  }

  /** Nobody waits any more, or these do. */
  adopt(list: RequestState[]): void {
    this.#list = list;
    for (const request of list) if (!request.done) this.#issue(request);
  }

  #issue(request: RequestState): void {
    const settle = (status: number): void => {
      if (!this.isCurrent(request)) return;
      request.done = true;
      request.status = status;
      this.#answered();
    };
    const run = async (): Promise<void> => {
      if (this.isCurrent(request)) settle(await this.#perform(request));
    };
    this.#last = this.#last.then(run, run);
  }
}
