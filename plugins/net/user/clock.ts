/**
 * The host's time and chance, as this backend uses them: tests have their own.
 *
 * @module
 */

/** Time and chance. */
export interface HostClock {
  /** Milliseconds since some moment; never goes back. */
  now(): number;
  /** Call back after some milliseconds; gives back what cancels it. */
  after(milliseconds: number, callback: () => void): () => void;
  /** Call back soon, when who is calling now has returned. */
  soon(callback: () => void): void;
  /** A random number of 32 bits. */
  random(): number;
}

/** The host's own. */
export const HOST_CLOCK: HostClock = {
  now: () => performance.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
  soon: (callback) => queueMicrotask(callback),
  random: () => crypto.getRandomValues(new Uint32Array(1))[0],
};
