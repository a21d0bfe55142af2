/**
 * Where things are in the guest's memory and ports: the BIOS data area (IBM
 * PC/AT Technical Reference, "ROM BIOS data areas"; Phoenix, "System BIOS for
 * IBM PCs, compatibles and EISA computers", chapter 3) and the machine's ports.
 *
 * @module
 */

/** The segment that the ROM is in, and its physical address. */
export const ROM_SEGMENT = 0xf000;
/** Where the ROM's segment begins. */
export const ROM_BASE = 0xf0000;
/** Bytes of the ROM. */
export const ROM_BYTES = 0x10000;

/**
 * The trap ports. The ROM's code names them, so a machine definition must
 * leave them here.
 */
export const TRAP_PORT = 0x0d00;
/** How many. */
export const TRAP_PORTS = 16;
/** Written with SS:SP (32 bits): serve that frame. Read: what to do next. */
export const TRAP_FRAME = 0;
/** Read: the vector to be called, times 4. Written: AX as it returned. */
export const TRAP_CALL = 4;
/** Read: AX for that call. Written: FLAGS as they returned. */
export const TRAP_CALL_AX = 6;
/** 32-bit entries: registers one after the other. */
export const TRAP_WINDOW = 8;
/** 32-bit entries: written to serve; read to begin with the first register. */
export const TRAP_SERVE = 12;

/** The extended BIOS data area: the last KiB of base memory. */
export const EBDA_SEGMENT = 0x9fc0;
/** Its physical address, which is where usable memory ends. */
export const EBDA = 0x9fc00;
/** The fixed disk parameter tables of drives 80h and 81h in it. */
export const EBDA_FIXED_DISKS: readonly number[] = [EBDA + 0x3d, EBDA + 0x4d];

/** Fields of the pointing device in it, by their offsets. */
export const Mouse = {
  /** The program's handler, a far pointer. */
  HANDLER: 0x22,
  /** Which byte of a packet is next. */
  INDEX: 0x26,
  /** Packets' size, and whether there is a handler. */
  SIZE: 0x27,
  /** The packet. */
  PACKET: 0x28,
} as const;

/** The page in which entry points of tables are seen, in the ROM's place. */
export const TABLE_ENTRIES = 0xfb000;

/** Where a boot sector is loaded. */
export const BOOT_ADDRESS = 0x7c00;

/** Fields of the data area at 400h, by physical address. */
export const Bda = {
  /** Ports of COM1 to COM4. */
  COM: 0x400,
  /** Ports of LPT1 to LPT3; the fourth is the EBDA's segment. */
  LPT: 0x408,
  /** The EBDA's segment. */
  EBDA: 0x40e,
  /** The equipment word. */
  EQUIPMENT: 0x410,
  /** Base memory in KiB. */
  BASE_MEMORY: 0x413,
  /** Keyboard shift flags. */
  SHIFT: 0x417,
  /** Keyboard shift flags 2. */
  SHIFT_2: 0x418,
  /** The number that Alt and the keypad are typing. */
  ALT_NUMBER: 0x419,
  /** The type-ahead buffer's head and tail, offsets in segment 40h. */
  HEAD: 0x41a,
  /** The tail. */
  TAIL: 0x41c,
  /** The buffer as it is at first. */
  BUFFER: 0x41e,
  /** One more than its last address. */
  BUFFER_END: 0x43e,
  /** Floppy: a drive was recalibrated; bit 7: it interrupted. */
  FLOPPY_SEEK: 0x43e,
  /** Floppy: motors that run. */
  FLOPPY_MOTOR: 0x43f,
  /** Floppy: ticks until the motor goes off. */
  FLOPPY_TIMEOUT: 0x440,
  /** Status of the last floppy operation. */
  FLOPPY_STATUS: 0x441,
  /** The video mode. */
  MODE: 0x449,
  /** Columns. */
  COLUMNS: 0x44a,
  /** Bytes of a page. */
  PAGE_BYTES: 0x44c,
  /** Where the active page begins in video memory. */
  PAGE_START: 0x44e,
  /** Cursor positions of eight pages: column, row. */
  CURSORS: 0x450,
  /** The cursor's shape: end line, start line. */
  CURSOR_SHAPE: 0x460,
  /** The active page. */
  PAGE: 0x462,
  /** The CRT controller's port. */
  CRTC: 0x463,
  /** The mode select register's value, of a CGA. */
  MODE_SELECT: 0x465,
  /** The palette register's value, of a CGA. */
  PALETTE: 0x466,
  /** Where a reset with shutdown code 5 or 0Ah goes; the stack of 0Bh, 0Ch. */
  RESUME: 0x467,
  /** Timer ticks since midnight. */
  TICKS: 0x46c,
  /** Midnight has passed. */
  MIDNIGHT: 0x470,
  /** Bit 7: Ctrl-Break was pressed. */
  BREAK: 0x471,
  /** 1234h: a warm start. */
  WARM_START: 0x472,
  /** Status of the last fixed disk operation. */
  DISK_STATUS: 0x474,
  /** Fixed disks. */
  DISKS: 0x475,
  /** Time-outs of printers and serial ports. */
  LPT_TIMEOUT: 0x478,
  /** Time-outs of serial ports. */
  COM_TIMEOUT: 0x47c,
  /** The buffer's bounds, offsets in segment 40h. */
  BUFFER_START: 0x480,
  /** Its end. */
  BUFFER_LIMIT: 0x482,
  /** The last row. */
  ROWS: 0x484,
  /** Scan lines of a character. */
  CHARACTER_HEIGHT: 0x485,
  /** EGA: options, switches. */
  VIDEO_CONTROL: 0x487,
  /** EGA: feature bits and switches. */
  VIDEO_SWITCHES: 0x488,
  /** VGA: mode set options. */
  VIDEO_FLAGS: 0x489,
  /** VGA: index into the display combination table. */
  DISPLAY_CODE: 0x48a,
  /** A fixed disk has interrupted: FFh. */
  DISK_INTERRUPT: 0x48e,
  /** Which keyboard: an enhanced one; E0h and E1h codes under way. */
  KEYBOARD_FLAGS: 0x496,
  /** Keyboard lights. */
  KEYBOARD_LEDS: 0x497,
  /** Reserved: where code of the ROM is that a service calls. */
  ROM_CALL: 0x4b0,
  /** INT 15h, 83h: where its flag is. */
  WAIT_POINTER: 0x498,
  /** INT 15h, 83h and 86h: microseconds left. */
  WAIT_COUNT: 0x49c,
  /** INT 15h, 83h and 86h: bit 0 while one is under way. */
  WAIT_FLAG: 0x4a0,
} as const;

/** Equipment: bits of the word. */
export const Equipment = {
  /** There is a floppy drive. */
  FLOPPY: 0x0001,
  /** All bits of floppy drives: that there are some, and how many. */
  FLOPPIES: 0x00c1,
  /** There is an FPU. */
  FPU: 0x0002,
  /** There is a pointing device. */
  POINTER: 0x0004,
  /** The video bits: 80 columns of colour at first. */
  COLOUR_80: 0x0020,
  /** The video bits: 80 columns, monochrome. */
  MONO: 0x0030,
  /** The video bits. */
  VIDEO: 0x0030,
} as const;

/** The interrupt controllers. */
export const Pic = {
  /** The master's command port; data follow. */
  MASTER: 0x20,
  /** Its mask. */
  MASTER_MASK: 0x21,
  /** The slave's command port. */
  SLAVE: 0xa0,
  /** Its mask. */
  SLAVE_MASK: 0xa1,
  /** Edge or level, IRQ 0 to 7; 8 to 15 follow. */
  ELCR: 0x4d0,
  /** OCW2: non-specific end of interrupt. */
  EOI: 0x20,
} as const;

/** The keyboard controller. */
export const Kbc = {
  /** Data. */
  DATA: 0x60,
  /** Commands and status. */
  COMMAND: 0x64,
} as const;

/** Port 92h, with the fast A20 gate in bit 1. */
export const PORT_92 = 0x92;
