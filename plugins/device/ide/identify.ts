/**
 * What IDENTIFY DEVICE and IDENTIFY PACKET DEVICE answer (ATA/ATAPI-6,
 * T13/1410D; the words of TRIM: ATA/ATAPI Command Set - 2, T13/2015-D).
 *
 * @module
 */

import { SECTOR } from "./registers.ts";

/** The greatest number of sectors in one DRQ block of READ MULTIPLE. */
export const MAX_MULTIPLE = 16;
/** The most sectors of ranges in one DATA SET MANAGEMENT. */
export const MAX_TRIM = 1;
/** The most sectors that 28 bits address. */
export const MAX_LBA28 = 0x0fffffff;
/** Cylinders and sectors that CHS addressing reaches at most. */
const MAX_CYLINDERS = 16383;
const DEFAULT_HEADS = 16;
const DEFAULT_SECTORS = 63;

/** What a drive says of itself. */
export interface Identity {
  /** The model, up to 40 ASCII characters. */
  readonly model: string;
  /** The serial number, up to 20. */
  readonly serial: string;
  /** The firmware's revision, up to 8. */
  readonly firmware: string;
}

/** A division of a disk in cylinders, heads and sectors. */
export interface Geometry {
  /** Cylinders. */
  readonly cylinders: number;
  /** Heads: 1 to 16. */
  readonly heads: number;
  /** Sectors of a track: 1 to 255. */
  readonly sectors: number;
}

/** The geometry that a disk of so many sectors has by default. */
export function defaultGeometry(total: number): Geometry {
  const [heads, sectors] = [DEFAULT_HEADS, DEFAULT_SECTORS];
  const cylinders = Math.floor(total / (heads * sectors));
  return {
    cylinders: Math.min(Math.max(cylinders, 1), MAX_CYLINDERS),
    heads,
    sectors,
  };
}

/** What INITIALIZE DEVICE PARAMETERS makes of a disk. */
export function translated(
  total: number,
  heads: number,
  sectors: number,
): Geometry {
  const reach = Math.min(
    total,
    MAX_CYLINDERS * DEFAULT_HEADS * DEFAULT_SECTORS,
  );
  const cylinders = Math.floor(reach / (heads * sectors));
  return { cylinders: Math.min(Math.max(cylinders, 1), 65535), heads, sectors };
}

/** The 256 words. */
class Words {
  readonly bytes = new Uint8Array(SECTOR);
  readonly #view = new DataView(this.bytes.buffer);

  set(word: number, ...values: number[]): void {
    values.forEach((value, i) =>
      this.#view.setUint16(2 * (word + i), value & 0xffff, true)
    );
  }

  /** Two ASCII characters a word, the first in its high byte. */
  text(word: number, words: number, text: string): void {
    for (let i = 0; i < 2 * words; i++) {
      const code = i < text.length ? text.charCodeAt(i) : 0x20;
      const printable = code >= 0x20 && code < 0x7f;
      this.bytes[2 * word + (i ^ 1)] = printable ? code : 0x20;
    }
  }

  identity(identity: Identity): void {
    this.text(10, 10, identity.serial);
    // A dual-ported buffer of one sector with look-ahead, of the old days.
    this.set(20, 3, 512, 4);
    this.text(23, 4, identity.firmware);
    this.text(27, 20, identity.model);
  }

  /** Words 53, 63 to 68 and 88: what modes there are and which is chosen. */
  modes(mode: number): void {
    const chosen = (kind: number): number =>
      mode >> 3 === kind ? 1 << 8 + (mode & 7) : 0;
    // Words 54 to 58, 64 to 70 and 88 are valid.
    this.set(53, 7);
    // Multiword DMA 0 to 2, PIO 3 and 4, cycle times in ns.
    this.set(63, 7 | chosen(4), 3, 120, 120, 120, 120);
    // Ultra DMA 0 to 5.
    this.set(88, 0x3f | chosen(8));
  }
}

/** What a disk's settings are. */
export interface DiskSettings {
  /** All sectors. */
  readonly total: number;
  /** The geometry in force. */
  readonly current: Geometry;
  /** Sectors of a DRQ block of READ MULTIPLE; 0: not set. */
  readonly multiple: number;
  /** The transfer mode as SET FEATURES wrote it. */
  readonly mode: number;
  /** The write cache is on. */
  readonly writeCache: boolean;
  /** Read look-ahead is on. */
  readonly lookAhead: boolean;
  /** SMART is on. */
  readonly smart: boolean;
  /** It takes the TRIM of DATA SET MANAGEMENT. */
  readonly trim: boolean;
}

/** The 512 bytes of a disk. */
export function identifyDisk(
  identity: Identity,
  settings: DiskSettings,
): Uint8Array {
  const words = new Words();
  const { total, current, multiple } = settings;
  const geometry = defaultGeometry(total);
  // A fixed disk.
  words.set(0, 0x0040, geometry.cylinders, 0, geometry.heads);
  words.set(4, SECTOR * geometry.sectors, SECTOR, geometry.sectors);
  words.identity(identity);
  words.set(47, 0x8000 | MAX_MULTIPLE);
  // 32-bit data port accesses, as old drivers ask; IORDY, LBA, DMA.
  words.set(48, 1, 0x0b00);
  words.set(51, 0x0200, 0x0200);
  const { cylinders, heads, sectors } = current;
  const capacity = cylinders * heads * sectors;
  words.set(54, cylinders, heads, sectors, capacity, capacity >>> 16);
  words.set(59, multiple === 0 ? 0 : 0x0100 | multiple);
  const lba28 = Math.min(total, MAX_LBA28);
  words.set(60, lba28, lba28 >>> 16);
  words.modes(settings.mode);
  // ATA-4 to ATA-7, by T13/1532D revision 4a: TRIM is younger, but Linux asks
  // none of its disks for it that are not of ATA-7.
  words.set(80, 0x00f0, 0x0021);
  // SMART, power management, write cache, look-ahead, NOP; 48 bits, both
  // flushes; SMART's error log and self-tests.
  words.set(82, 0x4069, 0x7400, 0x4003);
  const enabled = 0x4008 | (settings.writeCache ? 0x20 : 0) |
    (settings.lookAhead ? 0x40 : 0) | Number(settings.smart);
  words.set(85, enabled, 0x3400, 0x4003);
  // The result of the hardware reset: device 0, an 80-conductor cable.
  words.set(93, 0x6001);
  words.set(100, total, total / 2 ** 16, total / 2 ** 32, 0);
  if (settings.trim) {
    // What was trimmed reads the same each time, though not always as zeroes.
    words.set(69, 0x4000);
    words.set(105, MAX_TRIM);
    words.set(169, 1);
  }
  return words.bytes;
}

/** The 512 bytes of a CD-ROM drive. */
export function identifyCdrom(identity: Identity, mode: number): Uint8Array {
  const words = new Words();
  // A removable CD-ROM, packets of 12 bytes, DRQ within 50 us.
  words.set(0, 0x85c0);
  words.identity(identity);
  words.set(48, 1, 0x0b00);
  words.modes(mode);
  words.set(71, 30, 30);
  words.set(80, 0x0070, 0x0019);
  // PACKET, DEVICE RESET, power management, NOP.
  words.set(82, 0x4218, 0x4000, 0x4000);
  words.set(85, 0x4218, 0x0000, 0x4000);
  words.set(93, 0x6001);
  return words.bytes;
}
