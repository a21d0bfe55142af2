/**
 * Interrupt lines, and every other one-bit wire between devices (reset, A20).
 *
 * A line has a level. Whether the receiver looks at the level or at its edges
 * is the receiver's affair: a sink is called only when the level changes.
 *
 * @module
 */

/** What a line drives: called with the new level when it changes. */
export type LineSink = (level: boolean) => void;

/** One driver's end of a line. */
export class IrqLine {
  #level = false;
  #sinks: readonly LineSink[];
  #observer: LineSink | undefined;

  /** A line that drives the given sinks. */
  constructor(...sinks: LineSink[]) {
    this.#sinks = sinks;
  }

  /** The level that the driver last set. */
  get level(): boolean {
    return this.#level;
  }

  /** Whether anything listens: a driver may spare what nobody hears. */
  get connected(): boolean {
    return this.#sinks.length > (this.#observer === undefined ? 0 : 1);
  }

  /**
   * Tell somebody of each change, before those whom it drives; nobody when it
   * is undefined. For the driver the line is what it was.
   */
  observe(observer: LineSink | undefined): void {
    const sinks = this.#sinks.filter((sink) => sink !== this.#observer);
    this.#observer = observer;
    this.#sinks = observer === undefined ? sinks : [observer, ...sinks];
  }

  /** Set the level; sinks hear of it only when it changes. */
  set(level: boolean): void {
    if (level === this.#level) return;
    this.#level = level;
    const sinks = this.#sinks;
    for (let i = 0; i < sinks.length; i++) sinks[i](level);
  }

  /** Set the level to true. */
  raise(): void {
    this.set(true);
  }

  /** Set the level to false. */
  lower(): void {
    this.set(false);
  }

  /** Raise the line and lower it again: one edge. */
  pulse(): void {
    this.set(true);
    this.set(false);
  }

  /** Add a sink; it is told the current level at once when that is high. */
  connect(sink: LineSink): void {
    this.#sinks = [...this.#sinks, sink];
    if (this.#level) sink(true);
  }
}

/** Joins several drivers into one sink: high while any of them is high. */
export class OrGate {
  readonly #sink: LineSink;
  #high = 0;

  /** A gate in front of `sink`. */
  constructor(sink: LineSink) {
    this.#sink = sink;
  }

  /** A new input of the gate, to be connected to one driver's line. */
  input(): LineSink {
    let last = false;
    return (level) => {
      if (level === last) return;
      last = level;
      this.#high += level ? 1 : -1;
      if (this.#high === (level ? 1 : 0)) this.#sink(level);
    };
  }
}
