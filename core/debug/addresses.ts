/**
 * Addresses as programs have them: numbers, of which those of the upper half of
 * 64 bits are negative.
 *
 * @module
 */

/** Linear addresses of 64-bit mode have so many bits that count (Intel SDM volume 1, 3.3.7.1). */
const CANONICAL = 2 ** 47;

/**
 * A linear address for hooks and debuggers from hexadecimal text, as `nm` and
 * `System.map` have it (`ffffffff81000000`, or with `0x`), or from a `bigint`.
 * Throws a `RangeError` for what is no canonical address.
 */
export function linearAddress(address: string | bigint): number {
  if (typeof address === "string") {
    const digits = address.replace(/^0x/i, "");
    if (!/^[0-9a-f]{1,16}$/i.test(digits)) {
      throw new RangeError(`"${address}" is no hexadecimal address`);
    }
    return linearAddress(BigInt(`0x${digits}`));
  }
  const signed = Number(BigInt.asIntN(64, address));
  if (
    signed >= CANONICAL || signed < -CANONICAL ||
    BigInt.asUintN(64, address) !== address &&
      BigInt.asIntN(64, address) !== address
  ) {
    throw new RangeError(`0x${address.toString(16)} is not canonical`);
  }
  return signed;
}

/** An address as people write it: `0x` and its digits, of 64 bits where it is negative. */
export function addressText(address: number): string {
  const unsigned = address < 0 ? BigInt.asUintN(64, BigInt(address)) : address;
  return `0x${unsigned.toString(16)}`;
}

/** Throws a `RangeError` for a number that is no address. */
export function checkAddress(address: number): void {
  if (Number.isSafeInteger(address)) return;
  const what = address >= 2 ** 63
    ? ": one of the upper half of 64 bits is negative here, see linearAddress"
    : "";
  throw new RangeError(`${address} is no address${what}`);
}
