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

/** Fewer bytes than this are summed one by one. */
const FEW = 64;

/**
 * The buffer whose bytes were last summed, as 16-bit words: frames come from few
 * buffers, and a view costs more than a short sum. Empty before there was one.
 */
let lastBuffer: ArrayBufferLike = new ArrayBuffer(0);
let lastWords: Uint16Array = new Uint16Array(lastBuffer);

/** The sum of bytes `from` to `to`, at most 65,536 of them, not folded. */
function sumBytes(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0;
  let i = from;
  const start = bytes.byteOffset + from;
  if (to - from >= FEW && (start & 1) === 0) {
    if (bytes.buffer !== lastBuffer) {
      lastBuffer = bytes.buffer;
      lastWords = new Uint16Array(lastBuffer, 0, lastBuffer.byteLength >>> 1);
    }
    const words = lastWords;
    const first = start >>> 1;
    const count = (to - from >>> 1) & ~7;
    for (let w = first; w < first + count; w += 8) {
      sum += words[w] + words[w + 1] + words[w + 2] + words[w + 3] +
        words[w + 4] + words[w + 5] + words[w + 6] + words[w + 7];
    }
    // The host has the low byte first: the sum's bytes are swapped (1071, 2B).
    sum = fold(sum);
    sum = (sum & 0xff) << 8 | sum >>> 8;
    i += count * 2;
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
