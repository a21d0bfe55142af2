/**
 * Text of strangers on a terminal.
 *
 * @module
 */

/** What moves a terminal's cursor, colours it or turns its text around. */
const CONTROLS =
  // deno-lint-ignore no-control-regex
  /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * A text in which nothing does more than show itself: all but line feeds is
 * written as `\u001b`. What a file says may be in it.
 */
export function printable(text: string): string {
  return text.replace(
    CONTROLS,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
