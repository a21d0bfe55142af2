/**
 * The state of the floppy controller.
 *
 * @module
 */

import { CONFIG_EFIFO } from "./registers.ts";

/** A time that never comes. */
export const NEVER: number = -1;
/** Nothing to tell by SENSE INTERRUPT STATUS. */
export const NOTHING: number = -1;
/** Drives that the controller can tell apart. */
export const UNITS = 4;

/** What the controller does. */
export type Phase =
  /** Held in reset, or on its way out of it. */
  | "reset"
  /** It takes a command's bytes. */
  | "command"
  /** The drive or its backend works. */
  | "busy"
  /** The host moves data. */
  | "data"
  /** The host reads the result. */
  | "result";

/** What a command with data does. */
export type Task =
  | ""
  | "read"
  | "read-deleted"
  | "read-track"
  | "read-id"
  | "write"
  | "verify"
  | "format";

/** What belongs to one drive. */
export interface UnitState {
  /** Steps of the head from track 0. */
  head: number;
  /** The present cylinder number, as the controller counts it. */
  pcn: number;
  /** The sector that passed the head last. */
  sector: number;
  /** DSKCHG: the disk was changed since the last step. */
  changed: boolean;
  /** When the seek under way ends, or `NEVER`. */
  seeking: number;
  /** ST0 of that seek. */
  outcome: number;
  /** ST0 for SENSE INTERRUPT STATUS, or `NOTHING`. */
  ended: number;
}

/** A command with data under way. */
export interface TransferState {
  /** Which one. */
  task: Task;
  /** The drive. */
  unit: number;
  /** The side: HDSEL. */
  side: number;
  /** Address of the next sector. */
  c: number;
  h: number;
  r: number;
  n: number;
  /** The last sector of a track, as the command says. */
  eot: number;
  /** The command goes on with side 1. */
  multiTrack: boolean;
  /** The recording is MFM. */
  mfm: boolean;
  /** Sectors with the other mark are left out. */
  skip: boolean;
  /** Sectors still to go, or -1 where the terminal count decides. */
  left: number;
  /** What FORMAT TRACK fills with. */
  fill: number;
  /** Bits of the result. */
  st0: number;
  st1: number;
  st2: number;
  /** The result is abnormal once the drive has looked. */
  failing: boolean;
  /** The terminal count has come. */
  last: boolean;
  /** Sectors that are read or written together. */
  count: number;
  /** Where on the medium they begin, in bytes. */
  offset: number;
  /** Their data, or what FORMAT TRACK gets. */
  buffer: Uint8Array;
  /** The next byte in it. */
  position: number;
  /** When the drive is done, or `NEVER`. */
  due: number;
  /** What the backend does. */
  request: "" | "read" | "write" | "format";
}

/** The state of the controller. */
export interface FdcState {
  /** The digital output register. */
  dor: number;
  /** The tape drive register. */
  tdr: number;
  /** The data rate select register. */
  dsr: number;
  /** What it does. */
  phase: Phase;
  /** A result or a byte of data waits for the host. */
  ready: boolean;
  /** A seek's end or a reset waits for SENSE INTERRUPT STATUS. */
  attention: boolean;
  /** The bytes of the command, then of the result. */
  fifo: Uint8Array;
  /** Bytes of the command or result, 0 before a command. */
  length: number;
  /** The next one. */
  position: number;
  /** SPECIFY: step rate and head unload time, head load time and ND. */
  specify: number[];
  /** CONFIGURE: its second and third byte. */
  config: number;
  pretrk: number;
  /** LOCK: a software reset leaves FIFO, threshold and PRETRK. */
  locked: boolean;
  /** PERPENDICULAR MODE. */
  perpendicular: number;
  /** SC of the last FORMAT TRACK, EOT of the last read or write. */
  lastSector: number;
  /** The last steps went inwards. */
  inwards: boolean;
  /** When the controller comes out of reset, or `NEVER`. */
  resetting: number;
  /** The drives. */
  units: UnitState[];
}

/** No command. */
export function freshTransfer(): TransferState {
  return {
    task: "",
    unit: 0,
    side: 0,
    c: 0,
    h: 0,
    r: 0,
    n: 0,
    eot: 0,
    multiTrack: false,
    mfm: false,
    skip: false,
    left: -1,
    fill: 0,
    st0: 0,
    st1: 0,
    st2: 0,
    failing: false,
    last: false,
    count: 0,
    offset: 0,
    buffer: new Uint8Array(0),
    position: 0,
    due: NEVER,
    request: "",
  };
}

/** A state after the RESET pin, with all disks just put in. */
export function freshState(): FdcState {
  return {
    dor: 0,
    tdr: 0,
    dsr: 2,
    phase: "reset",
    ready: false,
    attention: false,
    fifo: new Uint8Array(16),
    length: 0,
    position: 0,
    specify: [0, 0],
    config: CONFIG_EFIFO,
    pretrk: 0,
    locked: false,
    perpendicular: 0,
    lastSector: 0,
    inwards: false,
    resetting: NEVER,
    units: Array.from({ length: UNITS }, () => ({
      head: 0,
      pcn: 0,
      sector: 1,
      changed: true,
      seeking: NEVER,
      outcome: 0,
      ended: NOTHING,
    })),
  };
}
