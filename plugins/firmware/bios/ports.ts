/**
 * INT 14h and 17h: serial ports and printers.
 *
 * Source: IBM PC/AT Technical Reference, BIOS "RS-232" and "Printer"; National
 * Semiconductor PC16550D for the registers.
 *
 * @module
 */

import { SECOND } from "../../../core/time/clock.ts";
import type { Bios } from "./context.ts";
import { type Frame, Status } from "./frame.ts";
import { Bda } from "./layout.ts";

/** Registers of a serial port. */
const IER = 1;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const LCR_DLAB = 0x80;
/** DTR and RTS. */
const MCR_ON = 0x03;
const LSR_DR = 0x01;
const LSR_THRE = 0x20;
/** AH: it took too long. */
const TIMEOUT = 0x80;
const PRINTER_TIMEOUT = 0x01;

/** Where serial ports may be. */
const PORTS: readonly number[] = [0x3f8, 0x2f8, 0x3e8, 0x2e8];
/** Divisors for the rates 110 to 9600. */
const DIVISORS: readonly number[] = [1047, 768, 384, 192, 96, 48, 24, 12];

/** Look which serial ports there are: gives how many. */
export function findSerialPorts(bios: Bios): number {
  const { guest } = bios;
  let found = 0;
  for (const port of PORTS) {
    const before = guest.in8(port + IER);
    guest.out8(port + IER, 0x02);
    const there = guest.in8(port + IER) === 0x02;
    guest.out8(port + IER, before);
    if (there) guest.set16(Bda.COM + 2 * found++, port);
  }
  for (let i = found; i < PORTS.length; i++) guest.set16(Bda.COM + 2 * i, 0);
  return found;
}

/** INT 14h. */
export function serial(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  const port = frame.dx < PORTS.length ? guest.u16(Bda.COM + 2 * frame.dx) : 0;
  if (port === 0) return Status.DONE;
  switch (frame.ah) {
    case 0x00: {
      const divisor = DIVISORS[frame.al >> 5];
      guest.out8(port + LCR, LCR_DLAB);
      guest.out8(port, divisor & 0xff);
      guest.out8(port + IER, divisor >> 8);
      guest.out8(port + LCR, frame.al & 0x1f);
      guest.out8(port + IER, 0);
      break;
    }
    case 0x01:
      guest.out8(port + MCR, guest.in8(port + MCR) | MCR_ON);
      if ((guest.in8(port + LSR) & LSR_THRE) === 0) {
        return waitOrFail(bios, frame);
      }
      guest.out8(port, frame.al);
      frame.ah = guest.in8(port + LSR);
      return Status.DONE;
    case 0x02: {
      guest.out8(port + MCR, guest.in8(port + MCR) | MCR_ON);
      const status = guest.in8(port + LSR);
      if ((status & LSR_DR) === 0) return waitOrFail(bios, frame);
      frame.al = guest.in8(port);
      frame.ah = status & 0x1e;
      return Status.DONE;
    }
    case 0x03:
      break;
    default:
      return Status.DONE;
  }
  frame.ah = guest.in8(port + LSR);
  frame.al = guest.in8(port + MSR);
  return Status.DONE;
}

/** Ask the port again and again for a second. */
function waitOrFail(bios: Bios, frame: Frame): Status {
  const status = bios.waitFor(frame, SECOND);
  if (status !== Status.DONE) return Status.SPIN;
  frame.ah = TIMEOUT;
  return Status.DONE;
}

/** INT 17h: there are no printers. */
export function printer(_bios: Bios, frame: Frame): Status {
  if (frame.ah <= 2) frame.ah = PRINTER_TIMEOUT;
  return Status.DONE;
}
