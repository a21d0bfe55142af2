/**
 * The configuration of the `user` network, with QEMU's names.
 *
 * @module
 */

import type {
  ConfigSchema,
  PermissionNeeds,
} from "../../../core/machine/plugin.ts";
import {
  broadcastOf,
  contains,
  type Network,
  parseAddress,
  parseNetwork,
} from "./addresses.ts";
import type { Endpoint } from "./routes.ts";

/** Configuration of the backend. */
export interface UserNetConfig {
  /** The network, as `10.0.2.0/24`. */
  readonly net: string;
  /** The address of the gateway, which is the host; the network's second. */
  readonly host?: string;
  /** The address of the name server; the network's third. */
  readonly dns?: string;
  /** The first address that DHCP lends; the network's fifteenth. */
  readonly dhcpstart?: string;
  /** The name that DHCP gives the guest. */
  readonly hostname?: string;
  /** The domain that DHCP gives the guest. */
  readonly domainname?: string;
  /** Nothing is reached but by forwards. */
  readonly restrict: boolean;
  /** Ports of the host that lead to the guest. */
  readonly hostfwd: readonly string[];
  /** Addresses of the network that lead to a host. */
  readonly guestfwd: readonly string[];
}

/** A port of the host that leads to the guest. */
export interface HostForward {
  /** The protocol. */
  readonly protocol: "tcp" | "udp";
  /** Where the host listens. */
  readonly listen: Endpoint;
  /** The guest's address. */
  readonly guest: number;
  /** The guest's port. */
  readonly guestPort: number;
}

/** An address and port of the network that lead to a host. */
export interface GuestForward {
  /** The protocol. */
  readonly protocol: "tcp" | "udp";
  /** The address that the guest sees. */
  readonly address: number;
  /** The port that it sees. */
  readonly port: number;
  /** What it reaches. */
  readonly target: Endpoint;
}

/** The configuration, understood. */
export interface UserNetSettings {
  /** The network. */
  readonly network: Network;
  /** The address of the gateway, which is the host. */
  readonly gateway: number;
  /** The address of the name server. */
  readonly dns: number;
  /** The first address that DHCP lends. */
  readonly firstGuest: number;
  /** The name that DHCP gives the guest. */
  readonly hostName?: string;
  /** The domain that DHCP gives the guest. */
  readonly domainName?: string;
  /** Nothing is reached but by forwards. */
  readonly restrict: boolean;
  /** Ports of the host that lead to the guest. */
  readonly hostForwards: readonly HostForward[];
  /** Addresses of the network that lead to a host. */
  readonly guestForwards: readonly GuestForward[];
  /** The addresses that the network has itself. */
  readonly own: ReadonlySet<number>;
}

/** A configuration that means nothing. */
export class UserNetError extends Error {
  /** The name of the error's class. */
  override readonly name = "UserNetError";
}

/** The schema of `UserNetConfig`. */
export const USER_NET_SCHEMA: ConfigSchema = {
  type: "object",
  properties: {
    net: {
      type: "string",
      description: "The network that the guest is in, as ADDRESS/BITS",
      default: "10.0.2.0/24",
    },
    host: {
      type: "string",
      description: "The gateway's address, at which the guest sees the host; " +
        "the network's second unless given",
    },
    dns: {
      type: "string",
      description:
        "The name server's address; the network's third unless given",
    },
    dhcpstart: {
      type: "string",
      description:
        "The first address that DHCP gives; the network's fifteenth unless given",
    },
    hostname: {
      type: "string",
      description: "The name that DHCP gives the guest",
    },
    domainname: {
      type: "string",
      description: "The domain that DHCP gives the guest",
    },
    restrict: {
      type: "boolean",
      description: "Let the guest reach nothing but by forwards",
      default: false,
    },
    hostfwd: {
      type: "array",
      items: { type: "string" },
      description: "Ports of the host that lead to the guest, as " +
        "tcp:[ADDRESS]:PORT-[GUEST]:PORT; the host listens on 127.0.0.1 " +
        "unless given",
      default: [],
    },
    guestfwd: {
      type: "array",
      items: { type: "string" },
      description: "Addresses in the guest's network that lead to a host, as " +
        "tcp:ADDRESS:PORT-HOST:PORT",
      default: [],
    },
  },
};

/** Understand a configuration; throws a `UserNetError`. */
export function readConfig(config: UserNetConfig): UserNetSettings {
  const network = parseNetwork(config.net);
  if (network === undefined) {
    throw new UserNetError(
      `Network "${config.net}" is not ADDRESS/BITS with 8 to 28 bits`,
    );
  }
  const inside = (name: string, text: string | undefined, index: number) => {
    const address = text === undefined
      ? network.base + index
      : parseAddress(text);
    if (address === undefined || !isHost(network, address)) {
      throw new UserNetError(
        `The address ${name} "${text}" is not one of a host in ${config.net}`,
      );
    }
    return address;
  };
  const gateway = inside("host", config.host, 2);
  const dns = inside("dns", config.dns, 3);
  // The smallest network has 14 addresses.
  const usual = broadcastOf(network) - network.base > 15 ? 15 : 4;
  const firstGuest = inside("dhcpstart", config.dhcpstart, usual);
  if (gateway === dns || gateway === firstGuest || dns === firstGuest) {
    throw new UserNetError(
      `The addresses host, dns and dhcpstart must differ in ${config.net}`,
    );
  }
  const guestForwards = config.guestfwd.map((text): GuestForward => {
    const { protocol, from, to } = readForward("guestfwd", text);
    const address = inside("of guestfwd", from.hostname, 0);
    if (address === firstGuest || to.hostname === "") {
      throw new UserNetError(
        `The guestfwd "${text}" is not tcp:ADDRESS:PORT-HOST:PORT`,
      );
    }
    return { protocol, address, port: from.port, target: to };
  });
  const own = new Set([
    gateway,
    dns,
    ...guestForwards.map(({ address }) => address),
  ]);
  const hostForwards = config.hostfwd.map((text) =>
    readHostForward(text, { network, firstGuest, own })
  );
  return {
    network,
    gateway,
    dns,
    firstGuest,
    hostName: config.hostname,
    domainName: config.domainname,
    restrict: config.restrict,
    hostForwards,
    guestForwards,
    own,
  };
}

/** Read a `hostfwd`; throws a `UserNetError`. */
export function readHostForward(
  text: string,
  { network, firstGuest, own }: Pick<
    UserNetSettings,
    "network" | "firstGuest" | "own"
  >,
): HostForward {
  const { protocol, from, to } = readForward("hostfwd", text);
  const guest = to.hostname === "" ? firstGuest : parseAddress(to.hostname);
  if (guest === undefined || !isHost(network, guest)) {
    throw new UserNetError(
      `The address of hostfwd "${to.hostname}" is not one of a host in the ` +
        "network",
    );
  }
  if (own.has(guest)) {
    throw new UserNetError(
      `The hostfwd "${text}" leads to an address of the network's own`,
    );
  }
  const hostname = from.hostname === "" ? "127.0.0.1" : from.hostname;
  return {
    protocol,
    listen: { hostname, port: from.port },
    guest,
    guestPort: to.port,
  };
}

/** Read `tcp:HOST:PORT`, where a `hostfwd` listens; throws a `UserNetError`. */
export function readHostPort(
  text: string,
): Pick<HostForward, "protocol" | "listen"> {
  try {
    // Where it leads does not matter.
    const { protocol, from } = readForward("hostfwd", `${text}-:1`);
    const hostname = from.hostname === "" ? "127.0.0.1" : from.hostname;
    return { protocol, listen: { hostname, port: from.port } };
  } catch (cause) {
    if (!(cause instanceof UserNetError)) throw cause;
    throw new UserNetError(`The port "${text}" is not [tcp|udp]:HOST:PORT`);
  }
}

/** Whether an address may be that of a host in a network. */
function isHost(network: Network, address: number): boolean {
  return contains(network, address) && address !== network.base &&
    address !== broadcastOf(network);
}

/** Read `tcp:HOST:PORT-HOST:PORT`; without a protocol it is tcp. */
function readForward(
  key: string,
  text: string,
): { protocol: "tcp" | "udp"; from: Endpoint; to: Endpoint } {
  const match =
    /^(?:(tcp|udp)?:)?([^:]*|\[[^\]]*\]):(\d+)-([^:]*|\[[^\]]*\]):(\d+)$/
      .exec(text);
  const ports = [Number(match?.[3]), Number(match?.[5])];
  // The host may choose a port for itself.
  if (match === null || !ports.every((p) => p <= 65535) || ports[1] === 0) {
    throw new UserNetError(
      `The ${key} "${text}" is not [tcp|udp]:HOST:PORT-HOST:PORT`,
    );
  }
  const bare = (host: string): string => host.replace(/^\[(.*)\]$/, "$1");
  return {
    protocol: match[1] === "udp" ? "udp" : "tcp",
    from: { hostname: bare(match[2]), port: ports[0] },
    to: { hostname: bare(match[4]), port: ports[1] },
  };
}

/** The permissions of a configuration. */
export function userNetPermissions(config: UserNetConfig): PermissionNeeds {
  const settings = readConfig(config);
  const net = new Set<string>();
  // A guest reaches any address of IPv4, and so do the host's name servers.
  if (!settings.restrict) net.add("0.0.0.0/0");
  const name = ({ hostname, port }: Endpoint): string =>
    `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  for (const { protocol, listen } of settings.hostForwards) {
    net.add(name(listen));
    // Whoever sent something is answered at a port of its own.
    if (protocol === "udp") {
      net.add(/^127\./.test(listen.hostname) ? listen.hostname : "0.0.0.0/0");
    }
  }
  for (const { target } of settings.guestForwards) net.add(name(target));
  if (settings.guestForwards.some(({ protocol }) => protocol === "udp")) {
    net.add("0.0.0.0:0");
  }
  return { net: [...net] };
}
