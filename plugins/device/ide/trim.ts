/**
 * The ranges of DATA SET MANAGEMENT's TRIM: sectors that the host needs no
 * more.
 *
 * ATA/ATAPI Command Set - 2 (T13/2015-D), "DATA SET MANAGEMENT" and "LBA Range
 * Entries".
 *
 * @module
 */

/** Bytes of a range: six of its first sector, two of how many. */
const ENTRY_BYTES = 8;
/** FEATURES: these are ranges to be trimmed. */
export const TRIM = 0x01;

/** Sectors that follow each other. */
export interface TrimRange {
  /** The first. */
  readonly lba: number;
  /** How many. */
  readonly sectors: number;
}

/**
 * The ranges in a buffer; those without sectors are padding. Those that follow
 * each other are one: an image lets go of whole clusters, and the ends of what a
 * host has divided need not be theirs.
 */
export function trimRanges(bytes: Uint8Array): TrimRange[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const ranges: TrimRange[] = [];
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const lba = view.getUint32(at, true) +
      view.getUint16(at + 4, true) * 2 ** 32;
    const sectors = view.getUint16(at + 6, true);
    const last = ranges.at(-1);
    if (sectors === 0) continue;
    if (last === undefined || last.lba + last.sectors !== lba) {
      ranges.push({ lba, sectors });
    } else {
      ranges[ranges.length - 1] = {
        lba: last.lba,
        sectors: last.sectors + sectors,
      };
    }
  }
  return ranges;
}
