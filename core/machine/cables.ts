/**
 * The cables of a machine's network cards, which a monitor pulls out and puts
 * in.
 *
 * @module
 */

import type { Parts } from "./parts.ts";
import type { Device } from "./plugin.ts";

/** A network card. */
export interface CabledCard {
  /** The device's name. */
  readonly name: string;
  /** The name of the network that it is on; undefined: it is on none. */
  readonly network: string | undefined;
  /** The device. */
  readonly card: Device;
}

/** All cards that have a cable. */
export function cabledCards({ plan, devices }: Parts): CabledCard[] {
  return plan.devices.flatMap(({ name, plugin, backends }) => {
    const card = devices.get(name)!;
    if (card.cable === undefined) return [];
    const role = [...backends.keys()].find((key) =>
      plugin.backends?.[key]?.type === "net"
    );
    return [{ name, network: role && backends.get(role), card }];
  });
}

/**
 * Put in or pull out the cable of a card, or of all cards on a network: false
 * where there is neither of that name.
 */
export function setCable(parts: Parts, name: string, isIn: boolean): boolean {
  const found = cabledCards(parts).filter((one) =>
    one.name === name || one.network === name
  );
  for (const { network, card } of found) {
    // A card without a network has nothing at the other end.
    card.cable = isIn && network !== undefined;
  }
  // An idle guest has something to wait for now.
  parts.traffic.note();
  return found.length > 0;
}
