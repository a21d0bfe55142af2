/**
 * Waiting that ends: who waits for what another program does, or for what a
 * message leads to, says what it is that did not come, in place of a hang.
 *
 * @module
 */

/** Generous, for busy hosts: it turns a hang into a failure and measures nothing. */
const LIMIT_MS = 120_000;

function tooLate(what: string): Error {
  return new Error(`${what}: nothing for ${LIMIT_MS / 1000} s`);
}

/**
 * What a promise gives. Throws an error that says what was waited for if it
 * does not settle within two minutes.
 */
export async function within<T>(
  what: string,
  promise: PromiseLike<T>,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooLate(what)), LIMIT_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** How often it is looked whether something has come, in ms. */
const LOOK_MS = 20;

/** Wait until something is so; throws an error if it is not in two minutes. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!await isSo()) {
    if (performance.now() > end) throw tooLate(what);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/**
 * An object whose methods' promises have a limit, and its error tells which
 * call it was. So have those of the objects that it has or gives, but for plain
 * ones.
 */
export function limited<T extends object>(name: string, object: T): T {
  return new Proxy(object, {
    get(target, key) {
      const value = Reflect.get(target, key, target);
      const what = `${name}.${String(key)}`;
      if (typeof value !== "function") return limitedValue(what, value);
      return (...args: unknown[]) =>
        limitedValue(
          `${what}(${args.map(inShort).join(", ")})`,
          Reflect.apply(value, target, args),
        );
    },
  });
}

function limitedValue(what: string, value: unknown): unknown {
  if (value instanceof Promise) return within(what, value);
  if (typeof value !== "object" || value === null) return value;
  const isPlain = Array.isArray(value) ||
    [Object.prototype, null].includes(Object.getPrototypeOf(value));
  return isPlain ? value : limited(what, value);
}

function inShort(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : "...";
}
