/**
 * A floppy drive: the medium in it and where its head is.
 *
 * An image holds the data of sectors that all have the addresses which DOS
 * gives them, and nothing else: no deleted marks, no other sector sizes or
 * numbers. An image that is shorter than its medium reads as zero beyond its
 * end.
 *
 * @module
 */

import { type BlockBackend, BlockError } from "../../../core/backend/block.ts";
import type { Logger } from "../../../core/machine/plugin.ts";
import {
  DRIVE_KINDS,
  driveFor,
  type DriveKind,
  type DriveType,
  type Format,
  formatOf,
  SECTOR,
} from "./media.ts";

/** Cylinders beyond the last one at which the head stops. */
const BEYOND = 3;

/** A drive. */
export class FloppyDrive {
  /** Which drive it is. */
  readonly type: DriveType;
  /** What such a drive is. */
  readonly kind: DriveKind;
  /** Counts the media that were put in or taken out. */
  changes = 0;
  readonly #log: Logger;
  #medium: BlockBackend | undefined;
  #format: Format | undefined;
  #written = false;

  /**
   * A drive of a type, or the one that the medium is made for. Throws an
   * `Error` when the medium does not fit.
   */
  constructor(
    type: DriveType | undefined,
    medium: BlockBackend | undefined,
    log: Logger,
  ) {
    this.type = type ??
      (medium === undefined ? "1.44M" : driveFor(formatOf(medium.size)));
    this.kind = DRIVE_KINDS[this.type];
    this.#log = log;
    this.insert(medium);
    this.changes = 0;
  }

  /**
   * Put in a disk, or take out the one that is in. Whoever gave the old
   * backend closes it. Throws an `Error` when the disk does not fit.
   */
  insert(medium: BlockBackend | undefined): void {
    const format = medium === undefined ? undefined : formatOf(medium.size);
    if (
      format !== undefined && this.kind.rates[format.density] === undefined
    ) {
      throw new Error(
        `Cannot put an image of ${medium!.size} bytes in a drive of ` +
          `${this.type}: expected a medium that such a drive reads`,
      );
    }
    this.#medium = medium;
    this.#format = format;
    this.#written = false;
    this.changes++;
  }

  /** The image; undefined while there is no disk. */
  get medium(): BlockBackend | undefined {
    return this.#medium;
  }

  /** The medium's format; undefined while there is none. */
  get format(): Format | undefined {
    return this.#format;
  }

  /** Whether nothing can be written: without a medium, too. */
  get writeProtected(): boolean {
    return this.#medium?.readOnly ?? true;
  }

  /** The last place that the head reaches. */
  get lastStop(): number {
    return this.kind.cylinders - 1 + BEYOND;
  }

  /** The rate at which the medium is read in this drive, or -1. */
  get rate(): number {
    return this.#format === undefined
      ? -1
      : this.kind.rates[this.#format.density]!;
  }

  /**
   * The medium's cylinder under a head that is `steps` from track 0, or -1:
   * tracks of a medium of 40 are twice as far apart in a drive of 80.
   */
  cylinderAt(steps: number): number {
    if (this.#format === undefined) return -1;
    const { cylinders } = this.#format;
    const pitch = cylinders * 2 <= this.kind.cylinders ? 2 : 1;
    const cylinder = steps / pitch;
    return Number.isInteger(cylinder) && cylinder < cylinders ? cylinder : -1;
  }

  /** Read whole sectors at a byte offset of the medium. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const medium = this.#medium;
    if (medium === undefined) {
      throw new BlockError("io", "Cannot read: there is no disk in the drive");
    }
    const there = Math.max(0, Math.min(length, medium.size - offset));
    if (there === length) return await medium.read(offset, length);
    const bytes = new Uint8Array(length);
    if (there > 0) bytes.set(await medium.read(offset, there));
    return bytes;
  }

  /** Write whole sectors at a byte offset of the medium. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const medium = this.#medium;
    if (medium === undefined) {
      throw new BlockError("io", "Cannot write: there is no disk in the drive");
    }
    if (medium.readOnly) {
      throw new BlockError("read-only", "Cannot write: the disk is protected");
    }
    if (offset + bytes.length > medium.size) {
      this.#log.warn(
        `the image has ${
          medium.size / SECTOR
        } sectors, less than its format: ` +
          "what is written beyond is lost",
      );
      throw new BlockError("range", "Cannot write beyond the image's end");
    }
    await medium.write(offset, bytes);
    this.#written = true;
  }

  /** The motor stops: what was written is to last. */
  stopped(): void {
    if (!this.#written) return;
    this.#written = false;
    this.#medium?.flush().catch((error) =>
      this.#log.warn(`cannot flush: ${error}`)
    );
  }
}
