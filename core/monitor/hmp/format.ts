/**
 * Dumps of memory and of values, in the formats of `x`, `xp` and `print`.
 *
 * @module
 */

/** How values are written: hexadecimal, decimal, unsigned, octal, characters. */
export type ValueFormat = "x" | "d" | "u" | "o" | "c";

/** What `/20i` or `/4xw` says. */
export interface DumpFormat {
  /** How many values or instructions. */
  readonly count: number;
  /** How they are written; `i`: as instructions. */
  readonly format: ValueFormat | "i";
  /** Bytes of a value. */
  readonly size: 1 | 2 | 4 | 8;
}

/** A value in octal, decimal or hexadecimal digits, as `print` has it. */
export function formatValue(value: bigint, format: ValueFormat): string {
  const unsigned = BigInt.asUintN(64, value);
  switch (format) {
    case "o":
      return unsigned === 0n ? "0" : `0${unsigned.toString(8)}`;
    case "x":
      return unsigned === 0n ? "0" : `0x${unsigned.toString(16)}`;
    case "u":
      return unsigned.toString();
    case "d":
      return BigInt.asIntN(64, value).toString();
    case "c":
      return formatCharacter(Number(value & 0xffn));
  }
}

/** A byte as a character constant of C. */
export function formatCharacter(byte: number): string {
  const named: Readonly<Record<number, string>> = {
    0x27: "\\'",
    0x5c: "\\\\",
    0x0a: "\\n",
    0x0d: "\\r",
  };
  const text = named[byte] ??
    (byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`);
  return `'${text}'`;
}

/** The digits of a value of so many bytes. */
function digitsOf(format: ValueFormat, size: number): number {
  switch (format) {
    case "o":
      return Math.ceil(size * 8 / 3);
    case "x":
      return size * 2;
    default:
      return Math.ceil(size * 8 * 10 / 33);
  }
}

/** A value of a dump, as wide as the widest of its size. */
function dumpValue(
  value: bigint,
  format: ValueFormat,
  size: number,
): string {
  const width = digitsOf(format, size);
  switch (format) {
    case "o":
      return formatValue(value, "o").padStart(width);
    case "x":
      return `0x${value.toString(16).padStart(width, "0")}`;
    case "u":
      return value.toString().padStart(width);
    case "d":
      // As in QEMU, only what fills a register has a sign.
      return BigInt.asIntN(64, value).toString().padStart(width);
    case "c":
      return formatCharacter(Number(value & 0xffn));
  }
}

/** An address, as wide as those of its kind. */
export function hexAddress(address: bigint, digits: number): string {
  return BigInt.asUintN(4 * digits, address).toString(16).padStart(digits, "0");
}

/** Where a dump gets bytes from: how many of those asked for are there. */
export type ByteSource = (address: bigint, into: Uint8Array) => number;

/** What lies at an address that has no bytes to show. */
export interface DumpOptions {
  /** Hexadecimal digits of an address. */
  readonly digits: number;
  /** Reads bytes. */
  readonly read: ByteSource;
  /** Says of an address that cannot be read why. */
  readonly missing: (address: bigint) => string;
}

/** The lines of a dump of values. It ends where nothing can be read. */
export function* dumpLines(
  address: bigint,
  { count, format, size }: DumpFormat & { readonly format: ValueFormat },
  { digits, read, missing }: DumpOptions,
): Generator<string> {
  const width = format === "c" ? 1 : size;
  const line = size === 1 ? 8 : 16;
  let left = size * count;
  while (left > 0) {
    const bytes = new Uint8Array(Math.min(left, line));
    const head = `${hexAddress(address, digits)}:`;
    const got = read(address, bytes);
    if (got < bytes.length) {
      yield `${head} ${missing(address + BigInt(got))}`;
      return;
    }
    const values: string[] = [];
    for (let at = 0; at < bytes.length; at += width) {
      values.push(dumpValue(littleEndian(bytes, at, width), format, width));
    }
    yield `${head} ${values.join(" ")}`;
    address += BigInt(bytes.length);
    left -= bytes.length;
  }
}

/** The value of `size` bytes, the first the least. */
function littleEndian(bytes: Uint8Array, at: number, size: number): bigint {
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) {
    value = value << 8n | BigInt(bytes[at + i]);
  }
  return value;
}
