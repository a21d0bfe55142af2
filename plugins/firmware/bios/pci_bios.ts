/**
 * INT 1Ah, B1h: the PCI BIOS, for real mode and behind the 32-bit entry.
 *
 * Source: PCI BIOS Specification 2.1, section 4.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { type Frame, Status } from "./frame.ts";
import { linear } from "./guest.ts";
import {
  classOf,
  EXCLUSIVE,
  functions,
  hasPci,
  idOf,
  readConfig,
  routingEntries,
  writeConfig,
} from "./pci.ts";
import { signature } from "./rom.ts";

/** Return codes. */
const SUCCESSFUL = 0x00;
const FUNC_NOT_SUPPORTED = 0x81;
const BAD_VENDOR_ID = 0x83;
const DEVICE_NOT_FOUND = 0x86;
const BAD_REGISTER_NUMBER = 0x87;
const BUFFER_TOO_SMALL = 0x89;

/** Version 2.1, configuration mechanism 1. */
const VERSION = 0x0210;
const MECHANISM_1 = 0x01;
/** Widths of the functions 08h to 0Dh. */
const WIDTHS = [1, 2, 4] as const;

function answer(frame: Frame, code: number): Status {
  frame.ah = code;
  frame.carry = code !== SUCCESSFUL;
  return Status.DONE;
}

/** Find the function with an index among those that fit. */
function find(
  bios: Bios,
  frame: Frame,
  fits: (devfn: number) => boolean,
): Status {
  const found = functions(bios.guest).filter(fits)[frame.si];
  if (found === undefined) return answer(frame, DEVICE_NOT_FOUND);
  frame.bx = found;
  return answer(frame, SUCCESSFUL);
}

/** INT 1Ah, B1h; `segment` is that of a buffer, ES, or undefined in flat mode. */
export function pciBios(
  bios: Bios,
  frame: Frame,
  segment: number | undefined = frame.es,
): Status {
  const { guest } = bios;
  if (!hasPci(guest)) return answer(frame, FUNC_NOT_SUPPORTED);
  switch (frame.al & 0x7f) {
    case 0x01:
      frame.al = MECHANISM_1;
      frame.bx = VERSION;
      // The last bus.
      frame.cl = 0;
      frame.edx = signature("PCI ");
      return answer(frame, SUCCESSFUL);
    case 0x02: {
      if (frame.dx === 0xffff) return answer(frame, BAD_VENDOR_ID);
      const id = (frame.cx << 16 | frame.dx) >>> 0;
      return find(bios, frame, (devfn) => idOf(guest, devfn) === id);
    }
    case 0x03: {
      const wanted = frame.ecx & 0xffffff;
      return find(bios, frame, (devfn) => classOf(guest, devfn) === wanted);
    }
    case 0x08:
    case 0x09:
    case 0x0a:
    case 0x0b:
    case 0x0c:
    case 0x0d:
      return access(bios, frame);
    case 0x0e:
      if (segment === undefined) break;
      return routing(bios, frame, segment);
  }
  return answer(frame, FUNC_NOT_SUPPORTED);
}

/** Read or write configuration space. */
function access(bios: Bios, frame: Frame): Status {
  const what = (frame.al & 0x7f) - 0x08;
  const width = WIDTHS[what % 3];
  const register = frame.di;
  if (register > 0xff || register % width !== 0) {
    return answer(frame, BAD_REGISTER_NUMBER);
  }
  const bus = frame.bh;
  if (what >= 3) {
    if (bus === 0) {
      writeConfig(bios.guest, frame.bl, register, width, frame.ecx);
    }
    return answer(frame, SUCCESSFUL);
  }
  const value = bus === 0
    ? readConfig(bios.guest, frame.bl, register, width)
    : 0xffffffff;
  if (width === 1) frame.cl = value;
  else if (width === 2) frame.cx = value;
  else frame.ecx = value;
  return answer(frame, SUCCESSFUL);
}

/** 0Eh: the interrupt routing table, into the caller's buffer. */
function routing(bios: Bios, frame: Frame, segment: number): Status {
  const { guest } = bios;
  const at = linear(segment, frame.di);
  const entries = routingEntries(functions(guest));
  const room = guest.u16(at);
  guest.set16(at, entries.length);
  if (room < entries.length) return answer(frame, BUFFER_TOO_SMALL);
  const buffer = linear(guest.u16(at + 4), guest.u16(at + 2));
  guest.write(buffer, Uint8Array.from(entries));
  frame.bx = EXCLUSIVE;
  return answer(frame, SUCCESSFUL);
}
