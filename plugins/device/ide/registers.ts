/**
 * The registers' bits and the commands of ATA/ATAPI-6 (T13/1410D).
 *
 * @module
 */

/** Status: busy, the other bits and registers are not valid. */
export const BSY = 0x80;
/** Status: the device takes commands. */
export const DRDY = 0x40;
/** Status: device fault. */
export const DF = 0x20;
/** Status: seek complete (ATA-3); command dependent since. */
export const DSC = 0x10;
/** Status: data are to be transferred. */
export const DRQ = 0x08;
/** Status: an error, see the error register; CHK of a packet device. */
export const ERR = 0x01;

/** Error: uncorrectable data. */
export const UNC = 0x40;
/** Error: the address was not found. */
export const IDNF = 0x10;
/** Error: the command was aborted. */
export const ABRT = 0x04;

/** Device: bits 7 and 5 are obsolete and read as ones. */
export const DEVICE_ONES = 0xa0;
/** Device: the address is a logical block address. */
export const DEVICE_LBA = 0x40;
/** Device: which device is selected. */
export const DEVICE_DEV = 0x10;

/** Device control: read the previous content of the registers. */
export const CONTROL_HOB = 0x80;
/** Device control: software reset. */
export const CONTROL_SRST = 0x04;
/** Device control: INTRQ is off. */
export const CONTROL_NIEN = 0x02;

/** Interrupt reason of a packet device: command rather than data. */
export const REASON_CD = 0x01;
/** Interrupt reason: to the host. */
export const REASON_IO = 0x02;

/** Bytes of a disk's sector. */
export const SECTOR = 512;

/** Command codes; the old ones are of ATA-1 to ATA-3. */
export const Command = {
  NOP: 0x00,
  DEVICE_RESET: 0x08,
  RECALIBRATE: 0x10,
  DATA_SET_MANAGEMENT: 0x06,
  READ_SECTORS: 0x20,
  READ_SECTORS_NORETRY: 0x21,
  READ_SECTORS_EXT: 0x24,
  READ_DMA_EXT: 0x25,
  READ_NATIVE_MAX_EXT: 0x27,
  READ_MULTIPLE_EXT: 0x29,
  WRITE_SECTORS: 0x30,
  WRITE_SECTORS_NORETRY: 0x31,
  WRITE_SECTORS_EXT: 0x34,
  WRITE_DMA_EXT: 0x35,
  WRITE_MULTIPLE_EXT: 0x39,
  WRITE_VERIFY: 0x3c,
  READ_VERIFY: 0x40,
  READ_VERIFY_NORETRY: 0x41,
  READ_VERIFY_EXT: 0x42,
  SEEK: 0x70,
  EXECUTE_DEVICE_DIAGNOSTIC: 0x90,
  INITIALIZE_DEVICE_PARAMETERS: 0x91,
  STANDBY_IMMEDIATE_OLD: 0x94,
  IDLE_IMMEDIATE_OLD: 0x95,
  STANDBY_OLD: 0x96,
  IDLE_OLD: 0x97,
  CHECK_POWER_MODE_OLD: 0x98,
  SLEEP_OLD: 0x99,
  PACKET: 0xa0,
  IDENTIFY_PACKET_DEVICE: 0xa1,
  SMART: 0xb0,
  READ_MULTIPLE: 0xc4,
  WRITE_MULTIPLE: 0xc5,
  SET_MULTIPLE_MODE: 0xc6,
  READ_DMA: 0xc8,
  READ_DMA_NORETRY: 0xc9,
  WRITE_DMA: 0xca,
  WRITE_DMA_NORETRY: 0xcb,
  STANDBY_IMMEDIATE: 0xe0,
  IDLE_IMMEDIATE: 0xe1,
  STANDBY: 0xe2,
  IDLE: 0xe3,
  CHECK_POWER_MODE: 0xe5,
  SLEEP: 0xe6,
  FLUSH_CACHE: 0xe7,
  FLUSH_CACHE_EXT: 0xea,
  IDENTIFY_DEVICE: 0xec,
  SET_FEATURES: 0xef,
  READ_NATIVE_MAX: 0xf8,
} as const;
