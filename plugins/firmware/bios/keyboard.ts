/**
 * The keyboard: INT 09h, which fills the type-ahead buffer, and INT 16h, which
 * empties it.
 *
 * Sources: IBM PC/AT Technical Reference, BIOS "Keyboard"; Phoenix, "System
 * BIOS for IBM PCs", chapter 8; Ralf Brown's interrupt list for the buffer's
 * words (E0h, F0h).
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { type Frame, Status } from "./frame.ts";
import {
  ALT_GREY,
  EXTENDED_KEYS,
  GREY,
  KEYPAD_CODES,
  KEYS,
  type KeyWords,
} from "./keys.ts";
import { Bda, Kbc, Pic } from "./layout.ts";
import { isOwn } from "./time.ts";

/** Shift flags (417h). */
const RIGHT_SHIFT = 0x01;
const LEFT_SHIFT = 0x02;
const CTRL = 0x04;
const ALT = 0x08;
const SCROLL_LOCK = 0x10;
const NUM_LOCK = 0x20;
const CAPS_LOCK = 0x40;
const INSERT = 0x80;
/** Shift flags 2 (418h). */
const LEFT_CTRL = 0x01;
const LEFT_ALT = 0x02;
const PAUSED = 0x08;
/** Keyboard flags (496h): an enhanced keyboard; right keys; prefixes. */
const ENHANCED = 0x10;
const RIGHT_CTRL = 0x04;
const RIGHT_ALT = 0x08;
const PREFIX_E0 = 0x02;
const PREFIX_E1 = 0x01;

/** Codes of set 1. */
const RELEASED = 0x80;
const CODE_CTRL = 0x1d;
const CODE_LEFT_SHIFT = 0x2a;
const CODE_RIGHT_SHIFT = 0x36;
const CODE_ALT = 0x38;
const CODE_CAPS = 0x3a;
const CODE_NUM = 0x45;
const CODE_SCROLL = 0x46;
const CODE_INSERT = 0x52;
const CODE_DELETE = 0x53;
const CODE_SYSREQ = 0x54;
const CODE_PRINT = 0x37;

/** ABh 83h of an enhanced keyboard, as the controller translates it. */
const KEYBOARD_ID = 0x41ab;
/** Interrupts that keys call. */
const PRINT_SCREEN = 0x05;
const SYSTEM = 0x15;
const BREAK = 0x1b;
/** INT 15h, 4Fh: the keyboard intercept; 85h: SysReq. */
const INTERCEPT = 0x4f00;
const SYSREQ = 0x8500;
/** Warm start. */
const WARM = 0x1234;
/** The keyboard controller's command that resets the machine. */
const RESET = 0xfe;
const BDA_SEGMENT_BASE = 0x400;
/** After the first call, INT 09h is at an end. */
const LAST_PHASE = 2;
/** Words that a buffer has at most, however the guest has set its bounds. */
const BUFFER_WORDS = 128;

/** INT 09h: the keyboard has a code. */
export function keyboardInterrupt(bios: Bios, frame: Frame): Status {
  const { guest, state } = bios;
  if (frame.phase === 0) {
    const code = guest.in8(Kbc.DATA);
    if (!isOwn(bios, SYSTEM, "int15")) {
      return bios.call(SYSTEM, INTERCEPT | code);
    }
    state.returnedAx = INTERCEPT | code;
    state.returnedFlags = 1;
  }
  let called: Status | undefined;
  if (frame.phase < LAST_PHASE && (state.returnedFlags & 1) !== 0) {
    called = scan(bios, state.returnedAx & 0xff);
  }
  if (called !== undefined) {
    // What comes after the call is the end.
    frame.phase = LAST_PHASE - 1;
    state.returnedFlags = 0;
    guest.out8(Pic.MASTER, Pic.EOI);
    return called;
  }
  if (frame.phase < LAST_PHASE) guest.out8(Pic.MASTER, Pic.EOI);
  return Status.DONE;
}

/** Set or clear bits of a byte of the data area. */
function change(bios: Bios, at: number, bits: number, set: boolean): void {
  const value = bios.guest.u8(at);
  bios.guest.set8(at, set ? value | bits : value & ~bits);
}

/** A code of set 1; gives what else is to be called for it. */
function scan(bios: Bios, code: number): Status | undefined {
  const { guest } = bios;
  const flags = guest.u8(Bda.KEYBOARD_FLAGS);
  if (code === 0xe0 || code === 0xe1) {
    const prefix = code === 0xe0 ? PREFIX_E0 : PREFIX_E1;
    guest.set8(Bda.KEYBOARD_FLAGS, flags | prefix);
    return undefined;
  }
  const key = code & ~RELEASED;
  const pressed = (code & RELEASED) === 0;
  if ((flags & PREFIX_E1) !== 0) {
    // Pause is E1 1D 45 E1 9D C5.
    if (key !== CODE_CTRL) {
      guest.set8(Bda.KEYBOARD_FLAGS, flags & ~PREFIX_E1);
    }
    return undefined;
  }
  const extended = (flags & PREFIX_E0) !== 0;
  if (extended) guest.set8(Bda.KEYBOARD_FLAGS, flags & ~PREFIX_E0);
  if (shift(bios, key, pressed, extended)) return undefined;
  const shifts = guest.u8(Bda.SHIFT);
  const both = (shifts & (CTRL | ALT)) === (CTRL | ALT);
  if (key === CODE_DELETE && both && pressed) {
    guest.set16(Bda.WARM_START, WARM);
    guest.out8(Kbc.COMMAND, RESET);
    return undefined;
  }
  if (key === CODE_SYSREQ) {
    return bios.call(SYSTEM, SYSREQ | (pressed ? 0 : 1));
  }
  if (!pressed) return undefined;
  if (extended && key === CODE_SCROLL) {
    // Ctrl-Break.
    guest.set8(Bda.BREAK, 0x80);
    const start = guest.u16(Bda.BUFFER_START);
    guest.set16(Bda.HEAD, start);
    guest.set16(Bda.TAIL, start);
    putKey(bios, 0);
    return bios.call(BREAK);
  }
  if (extended && key === CODE_PRINT) {
    if ((shifts & CTRL) === 0) return bios.call(PRINT_SCREEN);
    putKey(bios, 0x7200);
    return undefined;
  }
  const word = translate(bios, key, shifts, extended);
  if (word >= 0) putKey(bios, word);
  return undefined;
}

/** The keys that change the flags; whether it was one. */
function shift(
  bios: Bios,
  key: number,
  pressed: boolean,
  extended: boolean,
): boolean {
  const { guest } = bios;
  const toggle = (bit: number): void => {
    change(bios, Bda.SHIFT_2, bit, pressed);
    if (pressed) guest.set8(Bda.SHIFT, guest.u8(Bda.SHIFT) ^ bit);
  };
  switch (key) {
    case CODE_LEFT_SHIFT:
    case CODE_RIGHT_SHIFT: {
      // Behind E0 it is the keyboard's own, around the grey keys.
      const bit = key === CODE_LEFT_SHIFT ? LEFT_SHIFT : RIGHT_SHIFT;
      if (!extended) change(bios, Bda.SHIFT, bit, pressed);
      return true;
    }
    case CODE_CTRL:
    case CODE_ALT: {
      const ctrl = key === CODE_CTRL;
      const right = ctrl ? RIGHT_CTRL : RIGHT_ALT;
      const left = ctrl ? LEFT_CTRL : LEFT_ALT;
      if (extended) change(bios, Bda.KEYBOARD_FLAGS, right, pressed);
      else change(bios, Bda.SHIFT_2, left, pressed);
      const down = (guest.u8(Bda.KEYBOARD_FLAGS) & right) !== 0 ||
        (guest.u8(Bda.SHIFT_2) & left) !== 0;
      change(bios, Bda.SHIFT, ctrl ? CTRL : ALT, down);
      if (!ctrl && !down) typeNumber(bios);
      return true;
    }
    case CODE_CAPS:
      toggle(CAPS_LOCK);
      return true;
    case CODE_NUM:
      toggle(NUM_LOCK);
      return true;
    case CODE_SCROLL:
      if (extended) return false;
      toggle(SCROLL_LOCK);
      return true;
    case CODE_INSERT:
      if (isNumber(guest.u8(Bda.SHIFT)) && !extended) return false;
      toggle(INSERT);
      // It is in the buffer as well.
      return !pressed;
    default:
      return false;
  }
}

/** Whether the keypad gives digits. */
function isNumber(shifts: number): boolean {
  const shifted = (shifts & (LEFT_SHIFT | RIGHT_SHIFT)) !== 0;
  return ((shifts & NUM_LOCK) !== 0) !== shifted;
}

/** Alt is released: the number that was typed on the keypad. */
function typeNumber(bios: Bios): void {
  const number = bios.guest.u8(Bda.ALT_NUMBER);
  if (number === 0) return;
  bios.guest.set8(Bda.ALT_NUMBER, 0);
  putKey(bios, number);
}

/** The word for a key, or -1. */
function translate(
  bios: Bios,
  key: number,
  shifts: number,
  extended: boolean,
): number {
  const keypad = key >= KEYPAD_CODES[0] && key <= KEYPAD_CODES[1];
  if (extended && keypad) {
    if ((shifts & ALT) !== 0) return key + ALT_GREY << 8;
    const [alone, , ctrl] = KEYS.get(key)!;
    return ((shifts & CTRL) !== 0 ? ctrl : alone & 0xff00) | GREY;
  }
  const words = extended
    ? EXTENDED_KEYS.get(key) ?? KEYS.get(key)
    : KEYS.get(key);
  if (words === undefined) return -1;
  if ((shifts & ALT) !== 0) {
    const digit = keypad ? words[1] & 0xff : 0;
    if (digit >= 0x30 && digit <= 0x39) {
      const typed = bios.guest.u8(Bda.ALT_NUMBER);
      bios.guest.set8(Bda.ALT_NUMBER, typed * 10 + digit - 0x30);
      return -1;
    }
    return words[3];
  }
  if ((shifts & CTRL) !== 0) return words[2];
  return words[isShifted(words, keypad, shifts) ? 1 : 0];
}

function isShifted(words: KeyWords, keypad: boolean, shifts: number): boolean {
  if (keypad) return isNumber(shifts);
  const shifted = (shifts & (LEFT_SHIFT | RIGHT_SHIFT)) !== 0;
  const character = words[0] & 0xff;
  const letter = character >= 0x61 && character <= 0x7a;
  return letter && (shifts & CAPS_LOCK) !== 0 ? !shifted : shifted;
}

/** The offset behind another one in the buffer. */
function next(bios: Bios, offset: number): number {
  const { guest } = bios;
  const after = offset + 2;
  return after >= guest.u16(Bda.BUFFER_LIMIT)
    ? guest.u16(Bda.BUFFER_START)
    : after;
}

/** Put a word into the buffer; false when it is full. */
function putKey(bios: Bios, word: number): boolean {
  const { guest } = bios;
  const tail = guest.u16(Bda.TAIL);
  const after = next(bios, tail);
  if (after === guest.u16(Bda.HEAD)) return false;
  guest.set16(BDA_SEGMENT_BASE + tail, word);
  guest.set16(Bda.TAIL, after);
  return true;
}

/** The next word of the buffer, which stays in it; undefined when empty. */
function peekKey(bios: Bios): number | undefined {
  const { guest } = bios;
  const head = guest.u16(Bda.HEAD);
  return head === guest.u16(Bda.TAIL)
    ? undefined
    : guest.u16(BDA_SEGMENT_BASE + head);
}

/** Take the next word from the buffer; undefined when it is empty. */
export function takeKey(bios: Bios): number | undefined {
  const { guest } = bios;
  const word = peekKey(bios);
  if (word === undefined) return undefined;
  guest.set16(Bda.HEAD, next(bios, guest.u16(Bda.HEAD)));
  return word;
}

/**
 * A word as programs that know 84 keys get it: undefined for keys that these do
 * not have, and grey keys as those of the keypad.
 */
function oldWord(word: number): number | undefined {
  const [code, character] = [word >> 8, word & 0xff];
  if (code === 0xe0) return character === 0x2f ? 0x352f : 0x1c00 | character;
  if (code > 0x84 || character === 0xf0) return undefined;
  return character === GREY && code !== 0 ? code << 8 : word;
}

/** As programs that know 101 keys get it. */
function newWord(word: number): number {
  return (word & 0xff) === 0xf0 && word >> 8 !== 0 ? word & 0xff00 : word;
}

/** INT 16h. */
export function keyboardService(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  switch (frame.ah) {
    case 0x00:
    case 0x10:
      for (let i = 0; i < BUFFER_WORDS; i++) {
        const word = takeKey(bios);
        if (word === undefined) return Status.WAIT;
        const given = frame.ah === 0 ? oldWord(word) : newWord(word);
        if (given === undefined) continue;
        frame.ax = given;
        return Status.DONE;
      }
      return Status.WAIT;
    case 0x01:
    case 0x11:
      for (let i = 0; i < BUFFER_WORDS; i++) {
        const word = peekKey(bios);
        frame.zero = word === undefined;
        if (word === undefined) return Status.DONE;
        const given = frame.ah === 1 ? oldWord(word) : newWord(word);
        if (given === undefined) {
          takeKey(bios);
          continue;
        }
        frame.ax = given;
        return Status.DONE;
      }
      frame.zero = true;
      return Status.DONE;
    case 0x02:
      frame.al = guest.u8(Bda.SHIFT);
      return Status.DONE;
    case 0x03:
      // The keyboard's rate stays.
      return Status.DONE;
    case 0x05:
      frame.al = putKey(bios, frame.cx) ? 0 : 1;
      return Status.DONE;
    case 0x09:
      // Rates cannot be set; 0Ah and 10h to 12h are there.
      frame.al = 0x30;
      return Status.DONE;
    case 0x0a:
      frame.bx = KEYBOARD_ID;
      return Status.DONE;
    case 0x12: {
      const second = guest.u8(Bda.SHIFT_2);
      const right = guest.u8(Bda.KEYBOARD_FLAGS) & (RIGHT_CTRL | RIGHT_ALT);
      frame.al = guest.u8(Bda.SHIFT);
      // SysReq goes from bit 2 to bit 7.
      frame.ah = second & ~0x8c | (second & 4) << 5 | right;
      return Status.DONE;
    }
    case 0x92:
      frame.ah = 0x80;
      return Status.DONE;
    case 0xa2:
      return Status.DONE;
    default:
      return Status.DONE;
  }
}

/** The buffer is empty and no key is down. */
export function resetKeyboard(bios: Bios): void {
  const { guest } = bios;
  const [start, end] = [Bda.BUFFER, Bda.BUFFER_END];
  guest.set16(Bda.HEAD, start - BDA_SEGMENT_BASE);
  guest.set16(Bda.TAIL, start - BDA_SEGMENT_BASE);
  guest.set16(Bda.BUFFER_START, start - BDA_SEGMENT_BASE);
  guest.set16(Bda.BUFFER_LIMIT, end - BDA_SEGMENT_BASE);
  guest.set8(Bda.KEYBOARD_FLAGS, ENHANCED);
  change(bios, Bda.SHIFT_2, PAUSED, false);
}
