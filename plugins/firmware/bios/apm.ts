/**
 * INT 15h, 53h: advanced power management, as programs of real mode use it to
 * wait and to turn the machine off, and systems without ACPI by the entries for
 * protected mode, of which they are told when they connect.
 *
 * Source: Intel and Microsoft, "Advanced Power Management BIOS Interface
 * Specification" 1.2, section 4.6. What turns off: Intel 82371AB (PIIX4,
 * 290562), "PMCNTRL".
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { type Frame, Status } from "./frame.ts";
import { ROM_BYTES, ROM_SEGMENT } from "./layout.ts";
import { functions, hasPci, idOf, PIIX4_PM, PMBA, readConfig } from "./pci.ts";

/** Version 1.2, and "PM". */
const VERSION = 0x0102;
const SIGNATURE = 0x504d;
/** There are interfaces for protected mode of 16 and of 32 bits. */
const INTERFACES = 0x0003;
/** The most bytes of a segment of which a word can tell, whole paragraphs. */
const SEGMENT_BYTES = ROM_BYTES - 16;
/** All devices, and the whole system. */
const SYSTEM = 0x0001;
/** Power states: standby, suspended, off. */
const STATE_SUSPEND = 2;
const STATE_OFF = 3;
/** Errors: no such device; no such value; no such state; no event. */
const UNKNOWN_DEVICE = 0x09;
const OUT_OF_RANGE = 0x0a;
const CANNOT_ENTER = 0x60;
const NO_EVENTS = 0x80;
const UNSUPPORTED = 0x86;

/** PMBA: the address in it. */
const PMBA_BITS = 0xffc0;
/** PMCNTRL: the sleep type 0, which is off, and the bit that goes there. */
const PMCNTRL = 4;
const SUS_EN = 0x2000;

/** Return, with an error in AH or without one. */
function answer(frame: Frame, code = 0): Status {
  if (code !== 0) frame.ah = code;
  frame.carry = code !== 0;
  return Status.DONE;
}

/** Turn the machine off; false where nothing can. */
function turnOff({ guest }: Bios): boolean {
  if (!hasPci(guest)) return false;
  const found = functions(guest).find((devfn) =>
    idOf(guest, devfn) === PIIX4_PM
  );
  if (found === undefined) return false;
  const base = readConfig(guest, found, PMBA, 4) & PMBA_BITS;
  if (base === 0) return false;
  guest.out(base + PMCNTRL, 2, SUS_EN);
  return true;
}

/** INT 15h, 53h. */
export function powerManagement(bios: Bios, frame: Frame): Status {
  switch (frame.al) {
    case 0x00:
      if (frame.bx !== 0) return answer(frame, UNKNOWN_DEVICE);
      frame.ax = VERSION;
      frame.bx = SIGNATURE;
      // Nothing slows down.
      frame.cx = INTERFACES;
      frame.carry = false;
      return Status.DONE;
    case 0x02:
      frame.ax = frame.cx = ROM_SEGMENT;
      frame.bx = bios.entry("protected16");
      frame.si = frame.di = SEGMENT_BYTES;
      return answer(frame);
    case 0x03:
      // Code of 32 bits, of 16 bits, data; their lengths.
      frame.ax = frame.cx = frame.dx = ROM_SEGMENT;
      frame.ebx = bios.entry("protected32");
      frame.esi = (SEGMENT_BYTES << 16 | SEGMENT_BYTES) >>> 0;
      frame.di = SEGMENT_BYTES;
      return answer(frame);
    // Connect, disconnect, busy, enable, defaults, engage.
    case 0x01:
    case 0x04:
    case 0x06:
    case 0x08:
    case 0x09:
    case 0x0f:
      return answer(frame);
    case 0x05:
      // Idle: until the next interrupt.
      return frame.phase === 0 ? Status.WAIT : answer(frame);
    case 0x07:
      if (frame.bx !== SYSTEM) return answer(frame);
      if (frame.cx > STATE_OFF) return answer(frame, OUT_OF_RANGE);
      if (frame.cx <= STATE_SUSPEND) return answer(frame);
      return answer(frame, turnOff(bios) ? 0 : CANNOT_ENTER);
    case 0x0a:
      // On line, without a battery.
      frame.bx = 0x01ff;
      frame.cx = 0x80ff;
      frame.dx = 0xffff;
      frame.si = 0;
      return answer(frame);
    case 0x0b:
      return answer(frame, NO_EVENTS);
    case 0x0e:
      frame.ax = VERSION;
      frame.carry = false;
      return Status.DONE;
    case 0x10:
      frame.bl = 0;
      frame.cx = 0;
      return answer(frame);
    default:
      return answer(frame, UNSUPPORTED);
  }
}
