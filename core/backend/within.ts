/**
 * Waiting for somebody who may not come.
 *
 * @module
 */

/**
 * Resolves when a promise has resolved, or after so many milliseconds of the
 * host's time; rejects when it has rejected before.
 */
export async function within(
  milliseconds: number,
  promise: Promise<unknown>,
): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, milliseconds);
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
