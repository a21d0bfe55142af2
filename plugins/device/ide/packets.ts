/**
 * Codes of the packet commands and of sense data.
 *
 * @module
 */

/** Operation codes (MMC-5, SPC-3). */
export const Operation = {
  TEST_UNIT_READY: 0x00,
  REQUEST_SENSE: 0x03,
  INQUIRY: 0x12,
  START_STOP_UNIT: 0x1b,
  PREVENT_ALLOW: 0x1e,
  READ_CAPACITY: 0x25,
  READ_10: 0x28,
  SEEK_10: 0x2b,
  READ_TOC: 0x43,
  GET_CONFIGURATION: 0x46,
  GET_EVENT_STATUS: 0x4a,
  READ_DISC_INFORMATION: 0x51,
  MODE_SENSE_10: 0x5a,
  READ_12: 0xa8,
  SET_CD_SPEED: 0xbb,
  MECHANISM_STATUS: 0xbd,
  READ_CD: 0xbe,
} as const;

/** Sense keys (SPC-3). */
export const SenseKey = {
  NOT_READY: 2,
  MEDIUM_ERROR: 3,
  ILLEGAL_REQUEST: 5,
  UNIT_ATTENTION: 6,
} as const;

/** Additional sense codes (SPC-3). */
export const Asc = {
  READ_ERROR: 0x11,
  INVALID_OPCODE: 0x20,
  OUT_OF_RANGE: 0x21,
  INVALID_FIELD: 0x24,
  MEDIUM_CHANGED: 0x28,
  SAVING_NOT_SUPPORTED: 0x39,
  NO_MEDIUM: 0x3a,
  REMOVAL_PREVENTED: 0x53,
  /** Illegal mode for this track. */
  ILLEGAL_MODE: 0x64,
} as const;

/** Events of the media class of GET EVENT STATUS NOTIFICATION (MMC-5). */
export const MediaEvent = {
  NONE: 0,
  EJECT_REQUEST: 1,
  NEW_MEDIA: 2,
  REMOVAL: 3,
} as const;
