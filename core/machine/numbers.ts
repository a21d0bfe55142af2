/**
 * Numbers as machine definitions write them.
 *
 * @module
 */

const SUFFIXES: Readonly<Record<string, number>> = {
  "": 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/**
 * A size: a number, or a string with a suffix K, M, G or T (binary), decimal or
 * hexadecimal. Gives back undefined when it is none.
 */
export function parseSize(value: unknown): number | undefined {
  if (typeof value === "number") {
    return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  }
  if (typeof value !== "string") return undefined;
  const match = /^(0x[0-9a-f]+|\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(
    value,
  );
  if (match === null) return undefined;
  const size = Number(match[1]) * SUFFIXES[match[2].toUpperCase()];
  return Number.isSafeInteger(size) ? size : undefined;
}

/**
 * An address: a number, or a string in hexadecimal or decimal, or a size.
 * Gives back undefined when it is none.
 */
export function parseAddress(value: unknown): number | undefined {
  return parseSize(value);
}

/** A size for humans: `128M`, `640K`, `17`. */
export function formatSize(size: number): string {
  for (const suffix of ["T", "G", "M", "K"]) {
    const unit = SUFFIXES[suffix];
    if (size >= unit && size % unit === 0) return `${size / unit}${suffix}`;
  }
  return `${size}`;
}
