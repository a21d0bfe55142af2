/**
 * Waiting that ends.
 *
 * @module
 */

/** Generous, for busy hosts: it turns a hang into a failure and measures nothing. */
const LIMIT_MS = 120_000;

/**
 * What a promise gives. Throws an error that says what was waited for if it
 * does not settle within two minutes.
 */
export async function within<T>(
  what: string,
  promise: PromiseLike<T>,
  milliseconds: number = LIMIT_MS,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`${what}: nothing for ${milliseconds / 1000} s`)),
    milliseconds,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
