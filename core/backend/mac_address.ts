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

/** The address of the card with this number where none is configured. */
export function macOfCard(number: number): Uint8Array {
  const bytes = Uint8Array.from(FIRST);
  const low = (bytes[4] << 8 | bytes[5]) + number;
  bytes[4] = low >> 8;
  bytes[5] = low;
  return bytes;
}

/** The address of one card; undefined for text that is none. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) return undefined;
  const bytes = Uint8Array.fromHex(text.replaceAll(/[:-]/g, ""));
  // The lowest bit of the first byte is that of groups.
  const isGroup = (bytes[0] & 1) !== 0;
  return isGroup || bytes.every((byte) => byte === 0) ? undefined : bytes;
}

/** An address as text, as 52:54:00:12:34:56. */
export function formatMac(bytes: Uint8Array): string {
  return bytes.toHex().replaceAll(/..(?!$)/g, "$&:");
}

/**
 * The address in a configuration's `mac`; for none, one that follows from the
 * device's name: `net0` has 52:54:00:12:34:56 and `net1` the next. Throws a
 * `ConfigError` for what is not the address of one card.
 */
export function macAddress(mac: string | undefined, name: string): Uint8Array {
  if (mac === undefined) {
    return macOfCard(Number(/(?<![0-9])[0-9]{1,3}$/.exec(name)?.[0] ?? 0));
  }
  const bytes = parseMac(mac);
  if (bytes !== undefined) return bytes;
  throw new ConfigError(
    "mac",
    `"${mac}" is not the MAC address of one card, as 52:54:00:12:34:56`,
  );
}
