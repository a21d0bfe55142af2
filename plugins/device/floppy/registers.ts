/**
 * Bits of the 82077AA's registers and of its status bytes. Intel 82077AA
 * (290166), "Status, data and control registers" and "Status register
 * encoding".
 *
 * @module
 */

/** Ports 3F0h to 3F5h by offset. */
export const Register = {
  /** Status register A. */
  SRA: 0,
  /** Status register B. */
  SRB: 1,
  /** Digital output register. */
  DOR: 2,
  /** Tape drive register. */
  TDR: 3,
  /** Main status register, read; data rate select register, written. */
  MSR_DSR: 4,
  /** Data. */
  FIFO: 5,
} as const;

/** SRA: the interrupt is pending. */
export const SRA_INT_PENDING = 0x80;
/** SRA: there is no second drive. */
export const SRA_NOT_DRV2 = 0x40;
/** SRA: the head is not over track 0. */
export const SRA_NOT_TRK0 = 0x10;
/** SRA: the head of side 1 is selected. */
export const SRA_HDSEL = 0x08;
/** SRA: the index hole is not passing. */
export const SRA_NOT_INDX = 0x04;
/** SRA: the medium is not write protected. */
export const SRA_NOT_WP = 0x02;
/** SRA: the last steps went inwards. */
export const SRA_DIR = 0x01;

/** SRB: bits that are always 1. */
export const SRB_ONES = 0xc0;
/** SRB: drive 1 is selected. */
export const SRB_DRIVE_SEL_0 = 0x20;
/** SRB: motors, from drive 0 on. */
export const SRB_MOTORS = 0x03;

/** DOR: the selected drive. */
export const DOR_SELECT = 0x03;
/** DOR: not in reset. */
export const DOR_NOT_RESET = 0x04;
/** DOR: INT and DRQ are driven. */
export const DOR_DMAGATE = 0x08;
/** DOR: the motor of drive 0; the others follow. */
export const DOR_MOTOR_0 = 0x10;

/** TDR: the bits that are kept. */
export const TDR_TAPE = 0x03;

/** DSR and CCR: the data rate. */
export const DRATE = 0x03;
/** DSR: reset, which clears itself. */
export const DSR_RESET = 0x80;
/** DSR: power down, until the next access or reset. */
export const DSR_POWER_DOWN = 0x40;

/** MSR: the host may or must move a byte. */
export const MSR_RQM = 0x80;
/** MSR: to the host. */
export const MSR_DIO = 0x40;
/** MSR: a transfer without DMA is under way. */
export const MSR_NON_DMA = 0x20;
/** MSR: a command is under way. */
export const MSR_CMD_BUSY = 0x10;

/** DIR: the disk was changed. */
export const DIR_DSKCHG = 0x80;

/** ST0: what is wrong; 0 is a normal end. */
export const ST0_ABNORMAL = 0x40;
/** ST0: no such command. */
export const ST0_INVALID = 0x80;
/** ST0: polling after a reset. */
export const ST0_POLLING = 0xc0;
/** ST0: the head has moved. */
export const ST0_SE = 0x20;
/** ST0: track 0 was not found, or stepped beyond. */
export const ST0_EC = 0x10;

/** ST1: the end of the cylinder came before the terminal count. */
export const ST1_EN = 0x80;
/** ST1: a wrong checksum. */
export const ST1_DE = 0x20;
/** ST1: no such sector. */
export const ST1_ND = 0x04;
/** ST1: the medium is write protected. */
export const ST1_NW = 0x02;
/** ST1: no address mark. */
export const ST1_MA = 0x01;

/** ST2: the mark is of the other kind: deleted data, or not deleted. */
export const ST2_CM = 0x40;
/** ST2: the wrong checksum is that of data. */
export const ST2_DD = 0x20;
/** ST2: the cylinder in the address mark is another one. */
export const ST2_WC = 0x10;

/** ST3: write protected. */
export const ST3_WP = 0x40;
/** ST3: the head is over track 0. */
export const ST3_T0 = 0x10;
/** ST3: bits that are always 1. */
export const ST3_ONES = 0x28;

/** CONFIGURE: enable implied seeks. */
export const CONFIG_EIS = 0x40;
/** CONFIGURE: disable the FIFO. */
export const CONFIG_EFIFO = 0x20;
/** CONFIGURE: disable polling. */
export const CONFIG_POLL = 0x10;
/** CONFIGURE: the FIFO's threshold, less one. */
export const CONFIG_FIFOTHR = 0x0f;
