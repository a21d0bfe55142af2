/**
 * The command set. Intel 82077AA (290166), table 5-1.
 *
 * @module
 */

/** A command: which first bytes mean it and how many bytes it has in all. */
export interface Command {
  /** What the datasheet calls it. */
  readonly name: CommandName;
  /** Bits of the first byte that are not parameters. */
  readonly mask: number;
  /** Those bits. */
  readonly code: number;
  /** Bytes of the command phase. */
  readonly length: number;
}

/** The commands' names. */
export type CommandName =
  | "READ DATA"
  | "READ DELETED DATA"
  | "WRITE DATA"
  | "WRITE DELETED DATA"
  | "READ TRACK"
  | "VERIFY"
  | "VERSION"
  | "FORMAT TRACK"
  | "RECALIBRATE"
  | "SENSE INTERRUPT STATUS"
  | "SPECIFY"
  | "SENSE DRIVE STATUS"
  | "SEEK"
  | "CONFIGURE"
  | "RELATIVE SEEK"
  | "DUMPREG"
  | "READ ID"
  | "PERPENDICULAR MODE"
  | "LOCK";

/** First byte: both sides of the cylinder. */
export const MT = 0x80;
/** First byte: MFM rather than FM. */
export const MFM = 0x40;
/** First byte: leave out sectors with the other mark. */
export const SK = 0x20;
/** RELATIVE SEEK: inwards. */
export const DIR = 0x40;
/** VERIFY, second byte: the last byte is a count of sectors. */
export const EC = 0x80;

const TABLE: readonly Command[] = [
  { name: "READ DATA", mask: 0x1f, code: 0x06, length: 9 },
  { name: "READ DELETED DATA", mask: 0x1f, code: 0x0c, length: 9 },
  { name: "WRITE DATA", mask: 0x3f, code: 0x05, length: 9 },
  { name: "WRITE DELETED DATA", mask: 0x3f, code: 0x09, length: 9 },
  { name: "READ TRACK", mask: 0xbf, code: 0x02, length: 9 },
  { name: "VERIFY", mask: 0x1f, code: 0x16, length: 9 },
  { name: "VERSION", mask: 0xff, code: 0x10, length: 1 },
  { name: "FORMAT TRACK", mask: 0xbf, code: 0x0d, length: 6 },
  { name: "RECALIBRATE", mask: 0xff, code: 0x07, length: 2 },
  { name: "SENSE INTERRUPT STATUS", mask: 0xff, code: 0x08, length: 1 },
  { name: "SPECIFY", mask: 0xff, code: 0x03, length: 3 },
  { name: "SENSE DRIVE STATUS", mask: 0xff, code: 0x04, length: 2 },
  { name: "SEEK", mask: 0xff, code: 0x0f, length: 3 },
  { name: "CONFIGURE", mask: 0xff, code: 0x13, length: 4 },
  { name: "RELATIVE SEEK", mask: 0xbf, code: 0x8f, length: 3 },
  { name: "DUMPREG", mask: 0xff, code: 0x0e, length: 1 },
  { name: "READ ID", mask: 0xbf, code: 0x0a, length: 2 },
  { name: "PERPENDICULAR MODE", mask: 0xff, code: 0x12, length: 2 },
  { name: "LOCK", mask: 0x7f, code: 0x14, length: 1 },
];

const BY_CODE: readonly (Command | undefined)[] = Array.from(
  { length: 256 },
  (_, first) => TABLE.find(({ mask, code }) => (first & mask) === code),
);

/** The command that begins with a byte; undefined for an invalid one. */
export function commandOf(first: number): Command | undefined {
  return BY_CODE[first];
}
