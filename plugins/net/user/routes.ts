/**
 * What a guest reaches where: the one place that says what is allowed.
 *
 * @module
 */

import { contains, formatAddress, isUnicast } from "./addresses.ts";
import type { UserNetSettings } from "./config.ts";
import type { HostFailure, HostNetwork } from "./host.ts";

/** A host and port. */
export interface Endpoint {
  /** Name or address. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** The host as the gateway's address means it. */
const LOOPBACK = "127.0.0.1";

/** The way out. */
export class Routes {
  readonly #settings: UserNetSettings;
  readonly #host: Pick<HostNetwork, "granted">;
  readonly #refused: (target: string) => void;

  /** The way out; `refused` hears of what Deno's permissions do not allow. */
  constructor(
    settings: UserNetSettings,
    host: Pick<HostNetwork, "granted">,
    refused: (target: string) => void,
  ) {
    this.#settings = settings;
    this.#host = host;
    this.#refused = refused;
  }

  /** What a guest reaches at an address and port, or why it does not. */
  find(
    protocol: "tcp" | "udp",
    address: number,
    port: number,
  ): Endpoint | HostFailure {
    const endpoint = this.#endpoint(protocol, address, port);
    if (typeof endpoint === "string") return endpoint;
    if (this.#host.granted(endpoint.hostname, endpoint.port)) return endpoint;
    this.#refused(`${protocol} ${endpoint.hostname}:${endpoint.port}`);
    return "prohibited";
  }

  #endpoint(
    protocol: "tcp" | "udp",
    address: number,
    port: number,
  ): Endpoint | HostFailure {
    const { network, gateway, restrict, guestForwards, own } = this.#settings;
    for (const forward of guestForwards) {
      if (
        forward.protocol === protocol && forward.address === address &&
        forward.port === port
      ) return forward.target;
    }
    if (address !== gateway) {
      if (own.has(address)) return "refused";
      if (contains(network, address) || !isUnicast(address)) return "host";
    }
    if (restrict) return "prohibited";
    if (port === 0) return "refused";
    return {
      hostname: address === gateway ? LOOPBACK : formatAddress(address),
      port,
    };
  }
}
