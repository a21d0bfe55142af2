/**
 * The Bochs VBE's registers ("DISPI"), which a display has and firmware uses.
 *
 * Source: Bochs, `vbe_display_api.txt`, versions B0C0h to B0C5h.
 *
 * @module
 */

/** Registers by index. */
export const Dispi = {
  ID: 0,
  XRES: 1,
  YRES: 2,
  BPP: 3,
  ENABLE: 4,
  BANK: 5,
  VIRT_WIDTH: 6,
  VIRT_HEIGHT: 7,
  X_OFFSET: 8,
  Y_OFFSET: 9,
  VIDEO_MEMORY_64K: 10,
} as const;

/** Bits of ENABLE. */
export const DispiEnable = {
  /** The mode is on. */
  ENABLED: 0x01,
  /** XRES, YRES and BPP read as the greatest that are possible. */
  GET_CAPS: 0x02,
  /** The DAC's colours have 8 bits. */
  DAC_8: 0x20,
  /** The frame buffer is seen as a whole. */
  LINEAR: 0x40,
  /** The memory is not cleared. */
  NO_CLEAR: 0x80,
} as const;

/** Versions that ID tells: the first, the first with a linear frame buffer, the last. */
export const DispiId = { FIRST: 0xb0c0, LINEAR: 0xb0c2, LAST: 0xb0c5 } as const;
/** Bytes of a bank, and of a unit of VIDEO_MEMORY_64K. */
export const DISPI_BANK_BYTES = 0x10000;
