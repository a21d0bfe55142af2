/**
 * The timer and the clock: INT 08h, INT 70h and INT 1Ah.
 *
 * Sources: Phoenix, "System BIOS for IBM PCs", chapters 12 and 15; Motorola
 * MC146818A for the clock's registers.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { type Frame, Status } from "./frame.ts";
import { Bda, Pic } from "./layout.ts";

/** Ticks of a day: 1193182 Hz / 65536 for 86400 seconds. */
const TICKS_PER_DAY = 0x1800b0;
/** INT 1Ch: the user's timer tick; INT 4Ah: his alarm. */
const USER_TICK = 0x1c;
const USER_ALARM = 0x4a;

/** Registers of the clock. */
const SECONDS = 0x00;
const SECONDS_ALARM = 0x01;
const MINUTES = 0x02;
const MINUTES_ALARM = 0x03;
const HOURS = 0x04;
const HOURS_ALARM = 0x05;
const DAY = 0x07;
const MONTH = 0x08;
const YEAR = 0x09;
const REGISTER_B = 0x0b;
const REGISTER_C = 0x0c;
const CENTURY = 0x32;
/** Register B: updates stop; alarm and periodic interrupts; daylight saving. */
const SET = 0x80;
const PIE = 0x40;
const AIE = 0x20;
const B_24_AND_DSE = 0x03;
/** Register C's flags. */
const PF = 0x40;
const AF = 0x20;
/** A tick of the periodic interrupt at 1024 Hz, in microseconds. */
const PERIOD_US = 977;
/** IRQ 8 at the slave. */
const IRQ_8 = 1 << 0;

/** Whether a vector still leads to the ROM's own handler. */
export function isOwn(bios: Bios, vector: number, label: string): boolean {
  return bios.guest.u32(vector * 4) ===
    (0xf0000000 | bios.entry(label)) >>> 0;
}

/** INT 08h: count, stop the floppy's motor, let the user count. */
export function timerInterrupt(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  if (frame.phase === 0) {
    const ticks = guest.u32(Bda.TICKS) + 1;
    if (ticks >= TICKS_PER_DAY) guest.set8(Bda.MIDNIGHT, 1);
    guest.set32(Bda.TICKS, ticks >= TICKS_PER_DAY ? 0 : ticks);
    const left = guest.u8(Bda.FLOPPY_TIMEOUT);
    if (left > 0) guest.set8(Bda.FLOPPY_TIMEOUT, left - 1);
    if (!isOwn(bios, USER_TICK, "return")) return bios.call(USER_TICK);
  }
  guest.out8(Pic.MASTER, Pic.EOI);
  return Status.DONE;
}

/** INT 70h: the clock's interrupt. */
export function clockInterrupt(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  if (frame.phase === 0) {
    const enabled = guest.cmos(REGISTER_B);
    const flags = guest.cmos(REGISTER_C) & enabled;
    if ((flags & PF) !== 0) eventTick(bios, enabled);
    if ((flags & AF) !== 0 && !isOwn(bios, USER_ALARM, "return")) {
      return bios.call(USER_ALARM);
    }
  }
  guest.out8(Pic.SLAVE, Pic.EOI);
  guest.out8(Pic.MASTER, Pic.EOI);
  return Status.DONE;
}

/** INT 15h, 83h: the time that was asked for goes by. */
function eventTick(bios: Bios, enabled: number): void {
  const { guest } = bios;
  const left = guest.u32(Bda.WAIT_COUNT);
  if ((guest.u8(Bda.WAIT_FLAG) & 1) === 0) return;
  if (left > PERIOD_US) {
    guest.set32(Bda.WAIT_COUNT, left - PERIOD_US);
    return;
  }
  const pointer = guest.u32(Bda.WAIT_POINTER);
  const at = (pointer >>> 16) * 16 + (pointer & 0xffff);
  guest.set8(at, guest.u8(at) | 0x80);
  guest.set8(Bda.WAIT_FLAG, 0);
  guest.setCmos(REGISTER_B, enabled & ~PIE);
}

/** INT 15h, 83h: set a bit after so many microseconds. */
export function startEvent(bios: Bios, at: number, microseconds: number): void {
  const { guest } = bios;
  guest.set8(Bda.WAIT_FLAG, 1);
  guest.set32(Bda.WAIT_COUNT, microseconds);
  guest.set32(Bda.WAIT_POINTER, at);
  guest.setCmos(REGISTER_B, guest.cmos(REGISTER_B) | PIE);
  unmaskClock(bios);
}

/** INT 15h, 83h: forget it. */
export function cancelEvent(bios: Bios): void {
  bios.guest.set8(Bda.WAIT_FLAG, 0);
  bios.guest.setCmos(REGISTER_B, bios.guest.cmos(REGISTER_B) & ~PIE);
}

function unmaskClock(bios: Bios): void {
  const { guest } = bios;
  guest.out8(Pic.SLAVE_MASK, guest.in8(Pic.SLAVE_MASK) & ~IRQ_8);
}

/** BCD of two digits in binary. */
function binary(bcd: number): number {
  return (bcd >> 4) * 10 + (bcd & 15);
}

/** The ticks of the clock's time of day. */
export function ticksOfDay(bios: Bios): number {
  const { guest } = bios;
  const seconds = binary(guest.cmos(SECONDS)) +
    60 * binary(guest.cmos(MINUTES)) + 3600 * binary(guest.cmos(HOURS));
  return Math.floor(seconds * TICKS_PER_DAY / 86400) % TICKS_PER_DAY;
}

/** Registers of one moment: the first of them changes with each other. */
function stable(bios: Bios, ...registers: readonly number[]): number[] {
  const read = (): number[] => registers.map((r) => bios.guest.cmos(r));
  const values = read();
  // A second goes by in the midst of it once at most.
  return bios.guest.cmos(registers[0]) === values[0] ? values : read();
}

/** Let the clock go on with 24 hours and this daylight saving. */
function setMode(bios: Bios, daylight: number): void {
  const { guest } = bios;
  const mode = guest.cmos(REGISTER_B) & ~(SET | 1) | 2 | daylight & 1;
  guest.setCmos(REGISTER_B, mode);
}

/** Hold the clock while it is set. */
function hold(bios: Bios): void {
  bios.guest.setCmos(REGISTER_B, bios.guest.cmos(REGISTER_B) | SET);
}

/** INT 1Ah but for the PCI BIOS. */
export function clockService(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  switch (frame.ah) {
    case 0x00: {
      const ticks = guest.u32(Bda.TICKS);
      frame.cx = ticks >>> 16;
      frame.dx = ticks & 0xffff;
      frame.al = guest.u8(Bda.MIDNIGHT);
      guest.set8(Bda.MIDNIGHT, 0);
      frame.ah = 0;
      break;
    }
    case 0x01:
      guest.set32(Bda.TICKS, (frame.cx << 16 | frame.dx) >>> 0);
      guest.set8(Bda.MIDNIGHT, 0);
      frame.ah = 0;
      break;
    case 0x02:
      [frame.dh, frame.cl, frame.ch] = stable(bios, SECONDS, MINUTES, HOURS);
      frame.dl = guest.cmos(REGISTER_B) & 1;
      frame.ah = 0;
      frame.al = frame.ch;
      break;
    case 0x03:
      hold(bios);
      guest.setCmos(SECONDS, frame.dh);
      guest.setCmos(MINUTES, frame.cl);
      guest.setCmos(HOURS, frame.ch);
      setMode(bios, frame.dl);
      frame.ah = 0;
      frame.al = guest.cmos(REGISTER_B) & B_24_AND_DSE;
      break;
    case 0x04:
      [frame.dl, frame.dh, frame.cl, frame.ch] = stable(
        bios,
        DAY,
        MONTH,
        YEAR,
        CENTURY,
      );
      frame.ah = 0;
      frame.al = frame.ch;
      break;
    case 0x05:
      hold(bios);
      guest.setCmos(YEAR, frame.cl);
      guest.setCmos(MONTH, frame.dh);
      guest.setCmos(DAY, frame.dl);
      guest.setCmos(CENTURY, frame.ch);
      setMode(bios, guest.cmos(REGISTER_B));
      frame.ah = 0;
      break;
    case 0x06:
      if ((guest.cmos(REGISTER_B) & AIE) !== 0) return fail(frame);
      guest.setCmos(SECONDS_ALARM, frame.dh);
      guest.setCmos(MINUTES_ALARM, frame.cl);
      guest.setCmos(HOURS_ALARM, frame.ch);
      unmaskClock(bios);
      guest.setCmos(REGISTER_B, guest.cmos(REGISTER_B) & ~SET | AIE);
      break;
    case 0x07:
      guest.setCmos(REGISTER_B, guest.cmos(REGISTER_B) & ~AIE);
      frame.ah = 0;
      break;
    default:
      return fail(frame);
  }
  frame.carry = false;
  return Status.DONE;
}

function fail(frame: Frame): Status {
  frame.carry = true;
  return Status.DONE;
}
