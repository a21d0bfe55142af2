/**
 * The contract between an address space and a device's registers.
 *
 * A device is address-free: it sees offsets from the start of its region. The
 * space has already cut the access to a width that the device implements.
 *
 * @module
 */

/** The widths, in bytes, of one access on a bus. */
export type AccessWidth = 1 | 2 | 4;

/**
 * What stands behind an `io` region.
 *
 * Values are unsigned: `read` gives back a number from 0 to 2^(8*width)-1 (the
 * space masks it), and `write` gets one. An implementation must not throw on
 * any offset of its region at any of its widths: what the hardware does with
 * an undefined register (usually all ones or zero, write ignored) is right.
 */
export interface IoHandler {
  /**
   * The widths that the device implements, smallest first; all when absent.
   * A wider or misaligned access is split; a narrower read is cut from an
   * aligned wide one, and a narrower write is merged with what is read there.
   * A byte-wide ISA chip says `[1]`.
   */
  readonly widths?: readonly AccessWidth[];
  /** Read `width` bytes at `offset`, little-endian. */
  read(offset: number, width: AccessWidth): number;
  /** Write the low `width` bytes of `value` at `offset`, little-endian. */
  write(offset: number, width: AccessWidth, value: number): void;
}
