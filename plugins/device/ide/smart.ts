/**
 * SMART of a disk: ATA/ATAPI-6 (T13/1410D), "SMART function set", and the
 * tables of attributes and thresholds of ATA-3 (X3T10/2008D), which the
 * standards since leave to vendors and all tools read. Nothing of the disk
 * wears: attributes stand at what a new disk has, and tests pass at once.
 *
 * @module
 */

import { SECTOR } from "./registers.ts";

/** What the features register says. */
const Sub = {
  READ_DATA: 0xd0,
  READ_THRESHOLDS: 0xd1,
  ATTRIBUTE_AUTOSAVE: 0xd2,
  EXECUTE_OFFLINE: 0xd4,
  READ_LOG: 0xd5,
  ENABLE: 0xd8,
  DISABLE: 0xd9,
  RETURN_STATUS: 0xda,
} as const;
/** LBA mid and high that a command needs; status: no threshold exceeded. */
const KEY_MID = 0x4f;
const KEY_HIGH = 0xc2;
/** ATTRIBUTE AUTOSAVE's count that turns it on. */
const AUTOSAVE_ON = 0xf1;

/** EXECUTE OFF-LINE IMMEDIATE: collect data, tests, and stop what is running. */
const COLLECT = 0x00;
const SELF_TESTS: readonly number[] = [0x01, 0x02, 0x81, 0x82];
const STOP = 0x7f;

/** Logs: the directory, summary of errors, self-tests. */
const LOG_DIRECTORY = 0x00;
const LOG_ERRORS = 0x01;
const LOG_SELF_TESTS = 0x06;
/** Self-test log: entries of so many bytes from byte 2 on. */
const ENTRIES = 21;
const ENTRY_BYTES = 24;
/** Self-test log: which entry is the last one made. */
const LAST_ENTRY = 508;

/** Revision of a structure's layout. */
const REVISION = 1;
/** Bytes of an attribute, and of a threshold. */
const ATTRIBUTE_BYTES = 12;
/** Attribute: a warning of failure when it falls to its threshold; on-line. */
const PREFAIL = 0x01;
const ONLINE = 0x02;

/** An attribute as vendors number them. */
interface Attribute {
  /** Its number. */
  readonly id: number;
  /** What it warns of, and when it is collected. */
  readonly flags: number;
  /** How good it is: 100 at most. */
  readonly value: number;
  /** The value that warns. */
  readonly threshold: number;
  /** What was counted. */
  readonly raw: number;
}
const ATTRIBUTES: readonly Attribute[] = [
  // Errors of reading, time to spin up, starts and stops.
  { id: 1, flags: PREFAIL | ONLINE, value: 100, threshold: 6, raw: 0 },
  { id: 3, flags: PREFAIL | ONLINE, value: 100, threshold: 0, raw: 0 },
  { id: 4, flags: ONLINE, value: 100, threshold: 20, raw: 1 },
  // Sectors put elsewhere, hours of power, power-ons.
  { id: 5, flags: PREFAIL | ONLINE, value: 100, threshold: 36, raw: 0 },
  { id: 9, flags: ONLINE, value: 100, threshold: 0, raw: 0 },
  { id: 12, flags: ONLINE, value: 100, threshold: 0, raw: 1 },
  // Degrees Celsius; the value is what is left to 100.
  { id: 190, flags: ONLINE, value: 69, threshold: 50, raw: 31 },
];

/** What SMART keeps. */
export interface SmartState {
  /** It is on. */
  enabled: boolean;
  /** Attributes are saved by themselves. */
  autosave: boolean;
  /** The tests of the log's entries; 0: none yet. */
  selfTests: Uint8Array;
  /** The entry last made, from 1 on; 0: none yet. */
  lastTest: number;
}

/** As after power-on. */
export function freshSmart(): SmartState {
  return {
    enabled: true,
    autosave: true,
    selfTests: new Uint8Array(ENTRIES),
    lastTest: 0,
  };
}

/** The registers that say what to do. */
export interface SmartRegisters {
  /** Which function. */
  readonly features: number;
  /** Sectors of a log, or a setting. */
  readonly count: number;
  /** Which log or test. */
  readonly low: number;
  /** 4Fh. */
  readonly mid: number;
  /** C2h. */
  readonly high: number;
}

/**
 * Carry out a SMART command: gives back the sector for the host, an empty
 * array where there is none, undefined when the command is aborted.
 */
export function smart(
  state: SmartState,
  { features, count, low, mid, high }: SmartRegisters,
): Uint8Array | undefined {
  if (mid !== KEY_MID || high !== KEY_HIGH) return undefined;
  if (!state.enabled && features !== Sub.ENABLE) return undefined;
  const done = new Uint8Array(0);
  switch (features) {
    case Sub.READ_DATA:
      return data(state);
    case Sub.READ_THRESHOLDS:
      return thresholds();
    case Sub.ATTRIBUTE_AUTOSAVE:
      if (count !== 0 && count !== AUTOSAVE_ON) return undefined;
      state.autosave = count !== 0;
      return done;
    case Sub.EXECUTE_OFFLINE:
      if (SELF_TESTS.includes(low)) {
        state.lastTest = state.lastTest % ENTRIES + 1;
        state.selfTests[state.lastTest - 1] = low;
      } else if (low !== COLLECT && low !== STOP) return undefined;
      return done;
    case Sub.READ_LOG:
      return count === 1 ? log(state, low) : undefined;
    case Sub.ENABLE:
    case Sub.DISABLE:
      state.enabled = features === Sub.ENABLE;
      return done;
    case Sub.RETURN_STATUS:
      // No threshold is exceeded: LBA mid and high stay as they are.
      return done;
    default:
      return undefined;
  }
}

/** The last byte makes the sum of all 0. */
function withChecksum(bytes: Uint8Array): Uint8Array {
  bytes[SECTOR - 1] = -bytes.reduce((sum, byte) => sum + byte, 0);
  return bytes;
}

function data({ autosave }: SmartState): Uint8Array {
  const bytes = new Uint8Array(SECTOR);
  bytes[0] = REVISION;
  ATTRIBUTES.forEach(({ id, flags, value, raw }, i) =>
    bytes.set([id, flags, 0, value, value, raw], 2 + i * ATTRIBUTE_BYTES)
  );
  // Data were collected without an error; no test is under way.
  bytes[362] = autosave ? 0x82 : 0x02;
  // Collecting takes a second; it and tests start by command and are stopped
  // by another one.
  bytes[364] = 1;
  bytes[367] = 0x15;
  // Attributes are saved, with autosave; errors are logged.
  bytes[368] = 3;
  bytes[370] = 1;
  // Minutes of a short and an extended test.
  bytes.set([1, 1], 372);
  return withChecksum(bytes);
}

function thresholds(): Uint8Array {
  const bytes = new Uint8Array(SECTOR);
  bytes[0] = REVISION;
  ATTRIBUTES.forEach(({ id, threshold }, i) =>
    bytes.set([id, threshold], 2 + i * ATTRIBUTE_BYTES)
  );
  return withChecksum(bytes);
}

function log(
  { selfTests, lastTest }: SmartState,
  address: number,
): Uint8Array | undefined {
  const bytes = new Uint8Array(SECTOR);
  switch (address) {
    case LOG_DIRECTORY:
      // Sectors of each log; none has more than one.
      bytes[2 * LOG_ERRORS] = bytes[2 * LOG_SELF_TESTS] = 1;
      return bytes;
    case LOG_ERRORS:
      bytes[0] = REVISION;
      return withChecksum(bytes);
    case LOG_SELF_TESTS:
      bytes[0] = REVISION;
      selfTests.forEach((test, i) => {
        // Done without an error.
        bytes[2 + i * ENTRY_BYTES] = test;
      });
      bytes[LAST_ENTRY] = lastTest;
      return withChecksum(bytes);
    default:
      return undefined;
  }
}
