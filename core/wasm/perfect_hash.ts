/**
 * A hash without collisions for a few known keys, for `br_table`.
 *
 * @module
 */

/**
 * A factor with which the top `bits` bits of the products of all keys differ;
 * `bits` grows until one is found. Keys are distinct.
 */
export function perfectHash(
  keys: readonly number[],
): { factor: number; bits: number } {
  for (let bits = 32 - Math.clz32(keys.length);; bits++) {
    // Odd factors from a fixed sequence: the same code for the same guest.
    let factor = 0x9e3779b1 | 0;
    for (let attempt = 0; attempt < 256; attempt++) {
      const slots = keys.map((key) => Math.imul(key, factor) >>> (32 - bits));
      if (new Set(slots).size === keys.length) return { factor, bits };
      factor = (Math.imul(factor, 0x915f77f5) + 2) | 1;
    }
  }
}
