/**
 * The EEPROM of the 82540EM: 64 words on a Microwire bus, which the driver
 * reads by EERD or by moving the wires in EECD. It is write protected.
 *
 * Source: the Software Developer's Manual (317453), 5 and 13.4.3, 13.4.4.
 *
 * @module
 */

/** EECD: clock. */
const SK = 1 << 0;
/** EECD: chip select. */
const CS = 1 << 1;
/** EECD: data in. */
const DI = 1 << 2;
/** EECD: data out. */
const DO = 1 << 3;
/** EECD: flash writes. */
const FWE = 3 << 4;
/** EECD: the driver wants the wires. */
const REQ = 1 << 6;
/** EECD: it has them. */
const GNT = 1 << 7;
/** EECD: there is an EEPROM. */
const PRES = 1 << 8;

/** EERD: start. */
const START = 1 << 0;
/** EERD: done. */
const DONE = 1 << 4;

const WORDS = 64;
/** A start bit, two bits of opcode, six of address. */
const COMMAND_BITS = 9;
const READ = 0b110;
/** All words together are this (5.6.35). */
const CHECKSUM = 0xbaba;
/** Words that are not blank, beside the address and the checksum (5.6). */
const CONTENTS: Readonly<Record<number, number>> = {
  // Compatibility; no port is special.
  0x03: 0x0000,
  // The number of the board's assembly.
  0x08: 0x5268,
  0x09: 0x6561,
  // Initialization control 1: valid, load the IDs.
  0x0a: 0x4403,
  // Subsystem, device and vendor.
  0x0b: 0x1100,
  0x0c: 0x1af4,
  0x0d: 0x100e,
  0x0e: 0x8086,
  0x0f: 0x3040,
  // LEDs.
  0x2f: 0x0602,
};

/** State of the bus. */
export interface EepromState {
  /** The wires as the driver drives them, and REQ. */
  wires: number;
  /** Bits of the command. */
  bits: number;
  /** The command so far. */
  command: number;
  /** The next bit to be read, counted from the first word; -1: none. */
  next: number;
  /** What the EEPROM drives. */
  out: boolean;
}

/** The state after reset. */
export function freshEeprom(): EepromState {
  return { wires: 0, bits: 0, command: 0, next: -1, out: true };
}

/** The words of an EEPROM with this Ethernet address. */
export function eepromWords(mac: Uint8Array): Uint16Array {
  const words = new Uint16Array(WORDS).fill(0xffff);
  for (let i = 0; i < 3; i++) words[i] = mac[2 * i] | mac[2 * i + 1] << 8;
  for (const [at, word] of Object.entries(CONTENTS)) words[Number(at)] = word;
  words[WORDS - 1] = 0;
  words[WORDS - 1] = CHECKSUM - words.reduce((sum, word) => sum + word, 0);
  return words;
}

/** Read EECD. */
export function readEecd(state: EepromState): number {
  return state.wires | PRES | ((state.wires & REQ) !== 0 ? GNT : 0) |
    (state.out ? DO : 0);
}

/** Write EECD: the EEPROM looks at data in when the clock rises. */
export function writeEecd(
  state: EepromState,
  words: Uint16Array,
  value: number,
): void {
  const before = state.wires;
  state.wires = value & (SK | CS | DI | FWE | REQ);
  if ((value & CS) === 0) {
    Object.assign(state, freshEeprom(), { wires: state.wires });
    return;
  }
  if ((value & SK) === 0 || (before & SK) !== 0) return;
  if (state.next >= 0) {
    // Words follow each other as long as the clock runs.
    const word = words[state.next >> 4];
    state.out = (word >> (15 - (state.next & 15)) & 1) !== 0;
    state.next = (state.next + 1) % (WORDS * 16);
    return;
  }
  const bit = (value & DI) !== 0 ? 1 : 0;
  // Zeroes before the start bit are no command.
  if (state.bits === COMMAND_BITS || state.bits === 0 && bit === 0) return;
  state.command = state.command << 1 | bit;
  state.bits++;
  if (state.bits < COMMAND_BITS) return;
  if (state.command >> 6 !== READ) return;
  state.next = (state.command & WORDS - 1) * 16;
  // A zero goes before the word.
  state.out = false;
}

/** What EERD reads after `value` was written to it. */
export function eerd(words: Uint16Array, value: number): number {
  if ((value & START) === 0) return value & 0xff00;
  const address = value >>> 8 & 0xff;
  // An address has six bits.
  return (words[address & WORDS - 1] << 16 | address << 8 | DONE) >>> 0;
}
