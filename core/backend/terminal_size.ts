/**
 * How large the host's terminal is.
 *
 * @module
 */

/** Columns where a terminal does not tell. */
const DEFAULT_COLUMNS = 80;

/** The width of this process's terminal, in columns. */
export function hostColumns(): number {
  try {
    return Deno.consoleSize().columns || DEFAULT_COLUMNS;
  } catch {
    // Standard output is none, though standard error may be one.
    return DEFAULT_COLUMNS;
  }
}
