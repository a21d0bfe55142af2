/**
 * IPv4 addresses and networks as text and as numbers.
 *
 * @module
 */

/** The address that four decimal numbers mean; undefined for other text. */
export function parseAddress(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (const part of match.slice(1)) {
    if (Number(part) > 255) return undefined;
    address = address * 256 + Number(part);
  }
  return address;
}

/** An address as text. */
export function formatAddress(address: number): string {
  return `${address >>> 24}.${address >>> 16 & 255}.${address >>> 8 & 255}.${
    address & 255
  }`;
}

/** An IPv4 network. */
export interface Network {
  /** Its first address. */
  readonly base: number;
  /** Its mask. */
  readonly mask: number;
}

/** The network that `10.0.2.0/24` means; undefined for other text. */
export function parseNetwork(text: string): Network | undefined {
  const [address, bits, ...rest] = text.split("/");
  const base = parseAddress(address);
  const length = /^\d{1,2}$/.test(bits ?? "") ? Number(bits) : -1;
  // A network needs room for a gateway, a DNS server and a guest.
  if (base === undefined || rest.length > 0 || length < 8 || length > 28) {
    return undefined;
  }
  const mask = (0xffff_ffff << (32 - length)) >>> 0;
  return { base: (base & mask) >>> 0, mask };
}

/** Whether an address is in a network, its broadcast address included. */
export function contains(network: Network, address: number): boolean {
  return ((address & network.mask) >>> 0) === network.base;
}

/** The address at which all of a network are reached. */
export function broadcastOf(network: Network): number {
  return (network.base | ~network.mask) >>> 0;
}

/**
 * Whether an address is one host's on the Internet or on a local network: not
 * "this network" (0/8), loopback, multicast, reserved or broadcast (RFC 6890).
 */
export function isUnicast(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}
