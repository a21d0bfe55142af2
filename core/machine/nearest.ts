/**
 * The nearest valid name, for error messages.
 *
 * @module
 */

/** Edits (insert, delete, replace, swap neighbours) between two words. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(
        row[j - 1] + 1,
        previous[j] + 1,
        previous[j - 1] + cost,
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j], before[j - 2] + 1);
      }
    }
    before = previous;
    previous = row;
  }
  return previous[b.length];
}

/** The name that was probably meant, or undefined when none is near. */
export function nearest(
  word: string,
  names: Iterable<string>,
): string | undefined {
  // Nothing was meant, a comma too many, say.
  if (word === "") return undefined;
  let best: string | undefined;
  let bestDistance = Infinity;
  const lower = word.toLowerCase();
  for (const name of names) {
    const other = name.toLowerCase();
    let distance = editDistance(lower, other);
    if (other.startsWith(lower) || lower.startsWith(other)) {
      distance = Math.min(distance, 2);
    }
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  const limit = Math.max(2, Math.floor(word.length / 3));
  return bestDistance <= limit ? best : undefined;
}

/**
 * The end of a message about an unknown name: `; did you mean "x"?` where one
 * is near, else the valid names.
 */
export function suggest(word: string, names: readonly string[]): string {
  const near = nearest(word, names);
  if (near !== undefined) return `; did you mean "${near}"?`;
  if (names.length === 0) return "; there is none";
  return `; expected ${listNames(names)}`;
}

/** `"a", "b" or "c"`. */
export function listNames(names: readonly string[]): string {
  const quoted = names.map((name) => `"${name}"`);
  if (quoted.length < 2) return quoted.join("");
  return `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}
