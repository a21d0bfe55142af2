/**
 * Drives and media: which medium an image is, which drive takes it, and at
 * what rate it is read there. The formats are those of DOS; drive types are
 * numbered as in CMOS byte 10h (IBM AT and PS/2 Technical Reference).
 *
 * @module
 */

/** The drives that there are, by the most that they hold. */
export type DriveType = "360K" | "1.2M" | "720K" | "1.44M" | "2.88M";

/** Bytes of a sector, and the size's code N in an address mark. */
export const SECTOR = 512;
/** The code N of 512 bytes: 128 shifted left by it. */
export const SIZE_CODE = 2;

/** How a medium is divided. */
export interface Format {
  /** Cylinders. */
  readonly cylinders: number;
  /** Sides. */
  readonly heads: number;
  /** Sectors of a track. */
  readonly sectors: number;
  /** What it is made of, which decides who can read it. */
  readonly density: Density;
}

/** Inches, and double, high or extra-high density. */
type Density = "5DD" | "5HD" | "3DD" | "3HD" | "3ED";

/** Data rates as DSR and CCR have them. */
const RATE_500K = 0;
const RATE_300K = 1;
const RATE_250K = 2;
const RATE_1M = 3;

/** A type of drive. */
export interface DriveKind {
  /** Its number in CMOS byte 10h. */
  readonly cmos: number;
  /** Cylinders that its head reaches. */
  readonly cylinders: number;
  /** Nanoseconds of a revolution. */
  readonly revolution: number;
  /** Media that it reads and at which rate. */
  readonly rates: Readonly<Partial<Record<Density, number>>>;
}

/** 300 revolutions a minute, and 360 of a drive of 1.2 MB. */
const RPM_300 = 200_000_000;
const RPM_360 = 166_666_667;

/** The drives: of those that read a medium the first is made for it. */
export const DRIVE_KINDS: Readonly<Record<DriveType, DriveKind>> = {
  "360K": {
    cmos: 1,
    cylinders: 40,
    revolution: RPM_300,
    rates: { "5DD": RATE_250K },
  },
  "1.2M": {
    cmos: 2,
    cylinders: 80,
    revolution: RPM_360,
    rates: { "5DD": RATE_300K, "5HD": RATE_500K },
  },
  "1.44M": {
    cmos: 4,
    cylinders: 80,
    revolution: RPM_300,
    rates: { "3DD": RATE_250K, "3HD": RATE_500K },
  },
  "2.88M": {
    cmos: 5,
    cylinders: 80,
    revolution: RPM_300,
    rates: { "3DD": RATE_250K, "3HD": RATE_500K, "3ED": RATE_1M },
  },
  "720K": {
    cmos: 3,
    cylinders: 80,
    revolution: RPM_300,
    rates: { "3DD": RATE_250K },
  },
};

const FORMATS: readonly Format[] = [
  { cylinders: 40, heads: 1, sectors: 8, density: "5DD" }, // 160K
  { cylinders: 40, heads: 1, sectors: 9, density: "5DD" }, // 180K
  { cylinders: 40, heads: 2, sectors: 8, density: "5DD" }, // 320K
  { cylinders: 40, heads: 2, sectors: 9, density: "5DD" }, // 360K
  { cylinders: 80, heads: 2, sectors: 9, density: "3DD" }, // 720K
  { cylinders: 80, heads: 2, sectors: 15, density: "5HD" }, // 1.2M
  { cylinders: 80, heads: 2, sectors: 18, density: "3HD" }, // 1.44M
  { cylinders: 80, heads: 2, sectors: 21, density: "3HD" }, // 1.68M
  { cylinders: 82, heads: 2, sectors: 21, density: "3HD" }, // 1.72M
  { cylinders: 80, heads: 2, sectors: 36, density: "3ED" }, // 2.88M
];
/** What images of no such size are the beginning of. */
const COMMON: readonly Format[] = FORMATS.filter(({ sectors }) =>
  sectors === 18 || sectors === 36
);

/** Bytes of a medium. */
export function bytesOf({ cylinders, heads, sectors }: Format): number {
  return cylinders * heads * sectors * SECTOR;
}

/**
 * The format of an image by its size. One of another size is the beginning of
 * a medium of 1.44 or 2.88 MB; throws an `Error` for one that is larger.
 */
export function formatOf(bytes: number): Format {
  const format = FORMATS.find((f) => bytesOf(f) === bytes) ??
    COMMON.find((f) => bytesOf(f) >= bytes);
  if (format !== undefined) return format;
  throw new Error(
    `Cannot put an image of ${bytes} bytes in a floppy drive: expected at ` +
      `most ${bytesOf(COMMON[COMMON.length - 1])}`,
  );
}

/** The drive that a medium is made for. */
export function driveFor({ density }: Format): DriveType {
  const names = Object.keys(DRIVE_KINDS) as DriveType[];
  return names.find((name) => DRIVE_KINDS[name].rates[density] !== undefined)!;
}
