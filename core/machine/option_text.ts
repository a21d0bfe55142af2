/**
 * What the short forms on the command line have in common: their text, their
 * errors, and the documents that they become.
 *
 * @module
 */

import { DefinitionError, type Located } from "./document.ts";

/** A mistake in an option. */
export function optionError(option: string, message: string): DefinitionError {
  return new DefinitionError(
    { file: option, directory: Deno.cwd() },
    [],
    message,
  );
}

/** `key=value` pairs; two commas stand for one in a value. */
export function pairsOf(
  text: string,
): [key: string, value: string | undefined][] {
  return text.replaceAll(",,", "\0").split(",").map((part) => {
    const whole = part.replaceAll("\0", ",");
    const equals = whole.indexOf("=");
    return equals < 0
      ? [whole, undefined]
      : [whole.slice(0, equals), whole.slice(equals + 1)];
  });
}

/** A document whose only value, at the end of these keys, is another. */
export function nested(value: Located, ...keys: string[]): Located {
  return keys.reduceRight<Located>(
    (inner, key) => ({
      kind: "object",
      place: inner.place,
      entries: new Map([[key, inner]]),
    }),
    value,
  );
}

/** A value of a document by its keys. */
export function childOf(
  document: Located,
  ...keys: string[]
): Located | undefined {
  let here: Located | undefined = document;
  for (const key of keys) {
    here = here?.kind === "object" ? here.entries.get(key) : undefined;
  }
  return here;
}
