/**
 * Addresses on which a backend listens.
 *
 * @module
 */

const LOOPBACK_NAMES: readonly string[] = ["127.0.0.1", "[::1]", "localhost"];

/** An address as it stands in a URL, and before a port: `[::1]` for `::1`. */
export function urlHost(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** Whether only this host can reach an address. */
export function isLoopback(address: string): boolean {
  return LOOPBACK_NAMES.includes(urlHost(address)) ||
    /^127(\.\d{1,3}){3}$/.test(address);
}

/** Whether a name in a URL is the loopback interface's on any host. */
export function isLoopbackName(name: string): boolean {
  return LOOPBACK_NAMES.includes(name);
}
