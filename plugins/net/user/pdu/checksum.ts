/**
 * The Internet checksum (RFC 1071).
 *
 * Sums are kept unfolded while parts are added. A range sums to at most
 * 32,768 * 65,535, so one of 64 KiB fits in 31 bits; `fold` comes between more.
 *
 * @module
 */

/** The sum folded to 16 bits. */
export function fold(sum: number): number {
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

/** The sum of bytes `from` to `to`, at most 65,536 of them, not folded. */
export function sumBytes(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0;
  const pairs = to - ((to - from) & 7);
  let i = from;
  for (; i < pairs; i += 8) {
    sum += (bytes[i] << 8) + bytes[i + 1] + (bytes[i + 2] << 8) +
      bytes[i + 3] + (bytes[i + 4] << 8) + bytes[i + 5] +
      (bytes[i + 6] << 8) + bytes[i + 7];
  }
  for (; i + 1 < to; i += 2) sum += (bytes[i] << 8) + bytes[i + 1];
  if (i < to) sum += bytes[i] << 8;
  return sum;
}

/** The sum of the pseudo header of TCP and UDP (RFC 9293, 3.1), folded. */
export function pseudoSum(
  source: number,
  target: number,
  protocol: number,
  length: number,
): number {
  return fold(
    (source >>> 16) + (source & 0xffff) + (target >>> 16) +
      (target & 0xffff) + protocol + length,
  );
}

/** The checksum of bytes, to be stored where they were zero. */
export function checksum(
  bytes: Uint8Array,
  from: number,
  to: number,
  sum = 0,
): number {
  return ~fold(fold(sumBytes(bytes, from, to)) + sum) & 0xffff;
}
