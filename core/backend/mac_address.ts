/**
 * The Ethernet address in a network card's configuration.
 *
 * @module
 */

import { ConfigError } from "../machine/plugin.ts";
import type { ConfigSchema } from "../machine/schema_types.ts";

/** Bytes of an Ethernet address. */
export const MAC_BYTES = 6;
/** The first card's address where none is configured: QEMU's. */
const FIRST = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

/** The property `mac` of a card's configuration. */
export const MAC_SCHEMA: ConfigSchema = {
  type: "string",
  description: "The Ethernet address, as 52:54:00:12:34:56; " +
    "by default this, counted on by the number in the device's name",
};

/**
 * The address in a configuration's `mac`; for none, one that follows from the
 * device's name: `net0` has 52:54:00:12:34:56 and `net1` the next. Throws a
 * `ConfigError` for what is not the address of one card.
 */
export function macAddress(mac: string | undefined, name: string): Uint8Array {
  if (mac === undefined) {
    const bytes = Uint8Array.from(FIRST);
    const ordinal = Number(/(?<![0-9])[0-9]{1,3}$/.exec(name)?.[0] ?? 0);
    const low = (bytes[4] << 8 | bytes[5]) + ordinal;
    bytes[4] = low >> 8;
    bytes[5] = low;
    return bytes;
  }
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(mac)) {
    throw new ConfigError(
      "mac",
      `"${mac}" is no Ethernet address, expected one as 52:54:00:12:34:56`,
    );
  }
  const bytes = Uint8Array.from(
    mac.split(/[:-]/),
    (byte) => Number.parseInt(byte, 16),
  );
  if ((bytes[0] & 1) !== 0) {
    throw new ConfigError("mac", `"${mac}" is the address of a group`);
  }
  if (bytes.every((byte) => byte === 0)) {
    throw new ConfigError("mac", `"${mac}" is nobody's address`);
  }
  return bytes;
}
