/**
 * Who may talk to the server.
 *
 * A browser lets any page send requests to the loopback interface and open
 * sockets there. A page elsewhere betrays itself by its `Origin`; one whose
 * name was made to resolve to this host (DNS rebinding) by its `Host`. What is
 * no browser can say what it likes in both: only a token keeps other users of
 * the host out.
 *
 * RFC 6455, section 10.2 (origin), RFC 9110, section 7.2 (host).
 *
 * @module
 */

import { isLoopbackName, urlHost } from "../../../core/backend/address.ts";
import type { JsonObject } from "../../../core/machine/plugin.ts";

/** Where the server listens and who is let in. */
export interface WebConfig {
  /** The address to listen on. */
  readonly address: string;
  /** The port; 0 for any that is free. */
  readonly port: number;
  /** What the page must present before it sees the machine; none when empty. */
  readonly token: string;
  /** Further names of this host that a browser may have used. */
  readonly hosts: readonly string[];
}

const ANY_ADDRESS: readonly string[] = ["0.0.0.0", "[::]"];
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const IPV6 = /^\[[0-9a-f:.]+\]$/;
/** Longer tokens are not even compared. */
const TOKEN_LIMIT = 1024;

/**
 * Whether a `Host` header names this server. An address cannot be rebound; of
 * names only those that are known may be used.
 */
export function isOwnHost(
  header: string | null,
  { address, hosts }: Pick<WebConfig, "address" | "hosts">,
  port: number,
): boolean {
  if (header === null) return false;
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(
    header.toLowerCase(),
  );
  if (match === null || Number(match[2] ?? 80) !== port) return false;
  const [, name] = match;
  const own = urlHost(address.toLowerCase());
  if (name === own || isLoopbackName(name)) return true;
  if (hosts.some((host) => host.toLowerCase() === name)) return true;
  return ANY_ADDRESS.includes(own) && (IPV4.test(name) || IPV6.test(name));
}

/** Whether an `Origin` header is that of the page at this (checked) host. */
export function isOwnOrigin(origin: string | null, host: string): boolean {
  return origin?.toLowerCase() === `http://${host.toLowerCase()}`;
}

/** Whether a token is the right one, in a time that does not tell how nearly. */
export async function isToken(
  given: string,
  expected: string,
): Promise<boolean> {
  if (expected === "") return true;
  if (given.length > TOKEN_LIMIT) return false;
  const digest = async (text: string): Promise<Uint8Array> =>
    new Uint8Array(
      await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)),
    );
  const [a, b] = await Promise.all([digest(given), digest(expected)]);
  return a.reduce((different, byte, i) => different | (byte ^ b[i]), 0) === 0;
}

/** The configuration that `--display web=VALUE` means. */
export function parseWeb(argument: string): JsonObject {
  const match = /^(?:(.+):)?(\d{1,5})(?:,token=(.+))?$/.exec(argument);
  if (match === null || Number(match[2]) > 65535) {
    throw new TypeError(
      `"${argument}" is not PORT or ADDRESS:PORT, with ",token=TEXT" or not`,
    );
  }
  const [, address, port, token] = match;
  return {
    ...(address === undefined
      ? {}
      : { address: address.replace(/^\[(.*)\]$/, "$1") }),
    port: Number(port),
    ...(token === undefined ? {} : { token }),
  };
}
