/**
 * Where a link goes at the host: `HOST:PORT`.
 *
 * @module
 */

/** A host and a port. */
export interface HostPort {
  /** A name or an address, an IPv6 one without brackets. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** Only this host: what is not said is not open to the network. */
const LOOPBACK = "127.0.0.1";

/**
 * An address such as `192.0.2.1:1234`, `[::1]:1234` or `:1234`, which is this
 * host's loopback; undefined for what is none.
 */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]*)):(\d{1,5})$/i.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65535) return undefined;
  return { hostname: match[1] ?? (match[2] || LOOPBACK), port };
}

/** The address as it is written. */
export function formatHostPort({ hostname, port }: HostPort): string {
  return hostname.includes(":")
    ? `[${hostname}]:${port}`
    : `${hostname}:${port}`;
}
