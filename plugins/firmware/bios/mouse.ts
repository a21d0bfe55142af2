/**
 * INT 15h, C2h: the pointing device on the auxiliary port, and IRQ 12, which
 * collects its packets and calls the program's handler with them.
 *
 * Sources: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 15h,
 * (AH) = C2h" and "Extended BIOS data area"; IBM PS/2 Hardware Interface
 * Technical Reference, "Keyboard and auxiliary device controller".
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { type Frame, Status } from "./frame.ts";
import type { Guest } from "./guest.ts";
import { Bda, EBDA, Equipment, Kbc, Mouse, Pic } from "./layout.ts";

/** The EBDA: the handler; the packet's next byte; its size; the packet. */
const HANDLER = EBDA + Mouse.HANDLER;
const INDEX = EBDA + Mouse.INDEX;
const SIZE = EBDA + Mouse.SIZE;
const PACKET = EBDA + Mouse.PACKET;
const PACKET_BYTES = 8;
/** Of the size: one less than it; a handler is there. */
const SIZE_BITS = 0x07;
const INSTALLED = 0x80;
/** The handler gets four bytes of a packet. */
const TOLD = 4;
/** Packets of a mouse without a wheel. */
const PLAIN = 3;

/** AH: there is no such function; a value; the device; no handler. */
const NO_FUNCTION = 0x01;
const BAD_INPUT = 0x02;
const INTERFACE = 0x03;
const NO_HANDLER = 0x05;

/** The controller's commands. */
const READ_COMMAND_BYTE = 0x20;
const WRITE_COMMAND_BYTE = 0x60;
const WRITE_KEYBOARD_BUFFER = 0xd2;
const WRITE_MOUSE = 0xd4;
/** The command byte: interrupts; ports that are off. */
const KEYBOARD_INTERRUPT = 0x01;
const MOUSE_INTERRUPT = 0x02;
const KEYBOARD_OFF = 0x10;
const MOUSE_OFF = 0x20;
/** The status register: there is a byte; it is the mouse's. */
const FULL = 0x01;
const FROM_MOUSE = 0x20;
/** Bytes that a controller and its devices have waiting at most. */
const WAITING = 32;
/** The interrupts' masks. */
const IRQ_12 = 1 << 12 - 8;
const CASCADE = 1 << 2;

/** The mouse's commands, and what it answers them. */
const RESET = 0xff;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const SET_RATE = 0xf3;
const READ_ID = 0xf2;
const SET_RESOLUTION = 0xe8;
const READ_STATUS = 0xe9;
const SCALING_1 = 0xe6;
const SCALING_2 = 0xe7;
const ACK = 0xfa;
const TEST_PASSED = 0xaa;
/** Samples a second by the number that callers have for it. */
const RATES: readonly number[] = [10, 20, 40, 60, 80, 100, 200];
const RESOLUTIONS = 4;

/** Take all that waits; gives what the keyboard has sent. */
function drain(guest: Guest): number[] {
  const keys: number[] = [];
  for (let i = 0; i < WAITING; i++) {
    const status = guest.in8(Kbc.COMMAND);
    if ((status & FULL) === 0) break;
    const byte = guest.in8(Kbc.DATA);
    if ((status & FROM_MOUSE) === 0) keys.push(byte);
  }
  return keys;
}

/** The next byte of the mouse; undefined when there is none. */
function receive(guest: Guest): number | undefined {
  const status = guest.in8(Kbc.COMMAND);
  const there = (status & (FULL | FROM_MOUSE)) === (FULL | FROM_MOUSE);
  return there ? guest.in8(Kbc.DATA) : undefined;
}

function setCommandByte(guest: Guest, value: number): void {
  guest.out8(Kbc.COMMAND, WRITE_COMMAND_BYTE);
  guest.out8(Kbc.DATA, value);
}

/**
 * Send a command to the mouse while the keyboard has to wait; gives so many
 * bytes that it answers, or nothing when it does not. `change` is what the
 * controller's command byte is afterwards.
 */
function command(
  bios: Bios,
  bytes: readonly number[],
  answers: number,
  change: (commandByte: number) => number = (value) => value,
): number[] | undefined {
  const { guest } = bios;
  const keys = drain(guest);
  guest.out8(Kbc.COMMAND, READ_COMMAND_BYTE);
  const before = guest.in8(Kbc.DATA);
  const quiet = before & ~(KEYBOARD_INTERRUPT | MOUSE_INTERRUPT | MOUSE_OFF);
  setCommandByte(guest, quiet | KEYBOARD_OFF);
  keys.push(...drain(guest));
  const result = exchange(guest, bytes, answers);
  setCommandByte(guest, result === undefined ? before : change(before));
  // As if they came only now.
  for (const key of keys) {
    guest.out8(Kbc.COMMAND, WRITE_KEYBOARD_BUFFER);
    guest.out8(Kbc.DATA, key);
  }
  return result;
}

function exchange(
  guest: Guest,
  bytes: readonly number[],
  answers: number,
): number[] | undefined {
  for (const byte of bytes) {
    guest.out8(Kbc.COMMAND, WRITE_MOUSE);
    guest.out8(Kbc.DATA, byte);
    // What is left of a packet comes before the answer.
    let answer = receive(guest);
    for (let i = 0; i < WAITING && answer !== undefined; i++) {
      if (answer === ACK) break;
      answer = receive(guest);
    }
    if (answer !== ACK) return undefined;
  }
  const got: number[] = [];
  while (got.length < answers) {
    const byte = receive(guest);
    if (byte === undefined) return undefined;
    got.push(byte);
  }
  return got;
}

/** After a reset: whether there is a mouse. */
export function findMouse(bios: Bios): void {
  const { guest } = bios;
  const answer = command(bios, [RESET], 2);
  if (answer === undefined || answer[0] !== TEST_PASSED) return;
  guest.set16(Bda.EQUIPMENT, guest.u16(Bda.EQUIPMENT) | Equipment.POINTER);
}

/** C2h. */
export function pointingDevice(bios: Bios, frame: Frame): Status {
  const error = serve(bios, frame);
  frame.ah = error;
  frame.carry = error !== 0;
  return Status.DONE;
}

/** What AL asks for; gives AH. */
function serve(bios: Bios, frame: Frame): number {
  const { guest } = bios;
  const { bh } = frame;
  const send = (...bytes: readonly number[]): number =>
    command(bios, bytes, 0) === undefined ? INTERFACE : 0;
  switch (frame.al) {
    case 0x00:
      if (bh > 1) return NO_FUNCTION;
      return enable(bios, bh === 1);
    case 0x01:
      return reset(bios, frame);
    case 0x02:
      return bh < RATES.length ? send(SET_RATE, RATES[bh]) : BAD_INPUT;
    case 0x03:
      return bh < RESOLUTIONS ? send(SET_RESOLUTION, bh) : BAD_INPUT;
    case 0x04: {
      const answer = command(bios, [READ_ID], 1);
      if (answer === undefined) return INTERFACE;
      frame.bh = answer[0];
      return 0;
    }
    case 0x05:
      if (bh < 1 || bh > PACKET_BYTES) return BAD_INPUT;
      guest.set8(SIZE, guest.u8(SIZE) & ~SIZE_BITS | bh - 1);
      return reset(bios, frame);
    case 0x06: {
      if (bh === 1) return send(SCALING_1);
      if (bh === 2) return send(SCALING_2);
      if (bh !== 0) return NO_FUNCTION;
      const answer = command(bios, [READ_STATUS], 3);
      if (answer === undefined) return INTERFACE;
      [frame.bl, frame.cl, frame.dl] = answer;
      return 0;
    }
    case 0x07: {
      const none = frame.es === 0 && frame.bx === 0;
      guest.set16(HANDLER, frame.bx);
      guest.set16(HANDLER + 2, frame.es);
      const size = guest.u8(SIZE) & ~INSTALLED;
      guest.set8(SIZE, size | (none ? 0 : INSTALLED));
      return 0;
    }
    default:
      return NO_FUNCTION;
  }
}

/** C200h: packets come, or not. */
function enable(bios: Bios, on: boolean): number {
  const { guest } = bios;
  if (on && (guest.u8(SIZE) & INSTALLED) === 0) return NO_HANDLER;
  guest.set8(INDEX, 0);
  const answer = command(
    bios,
    [on ? ENABLE : DISABLE],
    0,
    (value) =>
      on ? value & ~MOUSE_OFF | MOUSE_INTERRUPT : value & ~MOUSE_INTERRUPT,
  );
  if (answer === undefined) return INTERFACE;
  if (on) {
    guest.out8(Pic.SLAVE_MASK, guest.in8(Pic.SLAVE_MASK) & ~IRQ_12);
    guest.out8(Pic.MASTER_MASK, guest.in8(Pic.MASTER_MASK) & ~CASCADE);
  }
  return 0;
}

/** C201h: the mouse's self-test, and what it is. */
function reset(bios: Bios, frame: Frame): number {
  const answer = command(bios, [RESET], 2);
  if (answer === undefined) return INTERFACE;
  bios.guest.set8(INDEX, 0);
  [frame.bl, frame.bh] = answer;
  return 0;
}

/** IRQ 12: a byte of a packet; the handler gets those that are whole. */
export function mouseInterrupt(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  if (frame.phase === 0) {
    const byte = receive(guest);
    if (byte !== undefined && collect(guest, byte)) {
      return bios.callRom("mousecall");
    }
  }
  guest.out8(Pic.SLAVE, Pic.EOI);
  guest.out8(Pic.MASTER, Pic.EOI);
  return Status.DONE;
}

/** Put a byte into the packet; says whether the handler is to be called. */
function collect(guest: Guest, byte: number): boolean {
  const size = guest.u8(SIZE);
  if ((size & INSTALLED) === 0) return false;
  const bytes = (size & SIZE_BITS) + 1;
  const index = guest.u8(INDEX) & SIZE_BITS;
  guest.set8(PACKET + index, byte);
  const whole = index + 1 >= bytes;
  guest.set8(INDEX, whole ? 0 : index + 1);
  if (whole && bytes <= PLAIN) {
    guest.write(PACKET + bytes, new Uint8Array(TOLD - bytes));
  }
  return whole;
}
