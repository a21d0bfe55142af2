/**
 * The configuration of the built-in BIOS.
 *
 * @module
 */

import type { ConfigSchema } from "../../../core/machine/schema_types.ts";

/** Configuration of the BIOS. */
export interface BiosConfig {
  /** What is started, in this order: letters of `acdn`. */
  readonly order: string;
  /** Whether it waits for a key that opens the boot menu. */
  readonly menu: boolean;
  /** How long, in milliseconds. */
  readonly menuWait: number;
  /** Which serial port gets all text too: 1 is COM1, 0 none. */
  readonly console: number;
}

/** The properties of `BiosConfig` but for `order`, for a plugin's schema. */
export const BIOS_PROPERTIES: Readonly<Record<string, ConfigSchema>> = {
  order: {
    type: "string",
    from: "boot.order",
    description:
      "What it boots, in this order: letters of acdn for floppy, disk, " +
      "CD-ROM and network, of which three count",
    default: "cad",
  },
  menu: {
    type: "boolean",
    from: "boot.menu",
    description: "Wait for F12 or Esc, which open the boot menu",
    default: false,
  },
  menuWait: {
    type: "integer",
    description: "How long, in milliseconds",
    minimum: 0,
    maximum: 60_000,
    default: 2500,
  },
  console: {
    type: "integer",
    description: "The serial port that gets all text of INT 10h too; 0: none",
    minimum: 0,
    maximum: 4,
    default: 0,
  },
};
