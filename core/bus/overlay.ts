/**
 * Regions that answer only some accesses; the others go to what lies beneath
 * them: memory that takes writes alone (the PAM registers of a 440FX), and a
 * register of one width among those of another device (CONFADD over CF9h). And
 * memory for reads alone, whose writes are commands (flash chips).
 *
 * @module
 */

import type { AccessWidth, IoHandler } from "./handler.ts";

/** What lies beneath a region, byte by byte. */
export interface Beneath {
  /** Read the byte at an address. */
  read(address: number): number;
  /** Write the byte at an address. */
  write(address: number, value: number): void;
}

/** Memory for writes alone, at `address + delta`; it is handed addresses. */
export function writeOnly(
  memory: Uint8Array,
  delta: number,
  beneath: Beneath,
): IoHandler {
  return {
    widths: [1],
    read: (address) => beneath.read(address),
    write: (address, _width, value) => {
      memory[address + delta] = value;
    },
  };
}

/** Passes on accesses of one width alone; it is handed addresses. */
export function exactly(
  only: AccessWidth,
  handler: IoHandler,
  delta: number,
  beneath: Beneath,
): IoHandler {
  return {
    read: (address, width) => {
      if (width === only) return handler.read(address + delta, width);
      let value = 0;
      for (let i = 0; i < width; i++) {
        value += beneath.read(address + i) * 2 ** (8 * i);
      }
      return value;
    },
    write: (address, width, value) => {
      if (width === only) return handler.write(address + delta, width, value);
      for (let i = 0; i < width; i++) {
        beneath.write(address + i, value >>> 8 * i & 0xff);
      }
    },
  };
}

/** Passes writes on; it is handed offsets in the backing memory. */
export function writesFrom(hostOffset: number, handler: IoHandler): IoHandler {
  return {
    widths: handler.widths,
    read: (offset, width) => handler.read(offset - hostOffset, width),
    write: (offset, width, value) =>
      handler.write(offset - hostOffset, width, value),
  };
}

/** Is told of an access that a device answered: its region's name, the address, and the value. */
export type AccessObserver = (
  region: string,
  address: number,
  width: AccessWidth,
  value: number,
  isWrite: boolean,
) => void;

/** A region's handler, whose offset 0 is at address `origin`, for one who observes it. */
export function observed(
  handler: IoHandler,
  region: string,
  origin: number,
  observer: AccessObserver,
): IoHandler {
  return {
    widths: handler.widths,
    read: (offset, width) => {
      const value = handler.read(offset, width);
      const unsigned = (value & (2 ** (8 * width) - 1)) >>> 0;
      observer(region, origin + offset, width, unsigned, false);
      return value;
    },
    write: (offset, width, value) => {
      observer(region, origin + offset, width, value, true);
      handler.write(offset, width, value);
    },
  };
}
