/**
 * The `socket` net backend: a link to another machine, also one of QEMU's
 * (`-netdev stream`, `-netdev socket`, `-netdev dgram`).
 *
 * @module
 */

import type { NetBackend } from "../../core/backend/net.ts";
import type {
  BackendContext,
  NetPlugin,
  PermissionNeeds,
} from "../../core/machine/plugin.ts";
import { formatHostPort, type HostPort, parseHostPort } from "./address.ts";
import { SocketNetError, StreamLink, type StreamPlace } from "./socket_link.ts";

/** Configuration of the backend: one of the first four, and what goes with it. */
export interface SocketNetConfig {
  /** Wait for the peer at this `HOST:PORT`. */
  readonly listen?: string;
  /** Go to the peer at this `HOST:PORT`. */
  readonly connect?: string;
  /** Go to the peer at this unix socket. */
  readonly unix?: string;
  /** Send datagrams to this `HOST:PORT`. */
  readonly udp?: string;
  /** With `unix`: wait for the peer there. */
  readonly server?: boolean;
  /** With `udp`: the `HOST:PORT` where datagrams come in. */
  readonly localaddr?: string;
  /** Milliseconds until the next try to connect; 0: there is none. */
  readonly reconnect: number;
}

const PLACES = ["listen", "connect", "unix", "udp"] as const;

/** What is wrong with a configuration that its schema allows, or undefined. */
function problemOf(config: SocketNetConfig): string | undefined {
  const [place, other] = PLACES.filter((key) => config[key] !== undefined);
  if (place === undefined) {
    return 'one of "listen", "connect", "unix" and "udp" is missing';
  }
  if (other !== undefined) {
    return `"${place}" and "${other}" exclude each other`;
  }
  if (config.server !== undefined && place !== "unix") {
    return '"server" goes with "unix" only';
  }
  if ((config.localaddr !== undefined) !== (place === "udp")) {
    return '"udp" and "localaddr" go together';
  }
  for (const key of ["listen", "connect", "udp", "localaddr"] as const) {
    const text = config[key];
    if (text !== undefined && parseHostPort(text) === undefined) {
      return `${key}: expected HOST:PORT, not "${text}"`;
    }
  }
  return undefined;
}

function hostPort(text: string): HostPort {
  const place = parseHostPort(text);
  if (place !== undefined) return place;
  throw new SocketNetError(`expected HOST:PORT, not "${text}"`);
}

/** Open a link. Rejects with a `SocketNetError`. */
export async function openSocketNet(
  config: SocketNetConfig,
  context: Pick<BackendContext, "log">,
): Promise<NetBackend> {
  const problem = problemOf(config);
  if (problem !== undefined) throw new SocketNetError(problem);
  const { log } = context;
  const { listen, connect, unix, udp, localaddr, reconnect } = config;
  if (udp !== undefined) {
    // Loaded when it is asked for: Deno's Node modules take time.
    const { DatagramLink } = await import("./datagram_link.ts");
    return await DatagramLink.open({
      remote: hostPort(udp),
      local: hostPort(localaddr!),
      log,
    });
  }
  const place: StreamPlace = unix === undefined
    ? hostPort((listen ?? connect)!)
    : { path: unix };
  const waits = listen !== undefined || config.server === true;
  return await StreamLink.open({ place, listen: waits, reconnect, log });
}

function permissionsOf(config: SocketNetConfig): PermissionNeeds {
  const { unix } = config;
  if (unix !== undefined) {
    return { read: [unix], write: [unix], net: [`unix:${unix}`] };
  }
  const places = [config.listen, config.connect, config.udp, config.localaddr];
  const net: string[] = [];
  for (const text of places) {
    const place = text === undefined ? undefined : parseHostPort(text);
    if (place !== undefined) net.push(formatHostPort(place));
  }
  return { net };
}

/** The `socket` plugin. */
const plugin: NetPlugin<SocketNetConfig> = {
  type: "net",
  name: "socket",
  version: "1.0.0",
  description: "A link to another machine over TCP, a unix socket or UDP",
  config: {
    type: "object",
    properties: {
      listen: {
        type: "string",
        description: "HOST:PORT where the peer is waited for",
      },
      connect: {
        type: "string",
        description: "HOST:PORT where the peer waits",
      },
      unix: {
        type: "string",
        format: "path",
        description: "The unix socket where the peer waits",
      },
      server: {
        type: "boolean",
        description: "With unix: the peer is waited for there",
      },
      udp: {
        type: "string",
        description: "HOST:PORT to which each frame goes as a datagram",
      },
      localaddr: {
        type: "string",
        description: "With udp: HOST:PORT where datagrams come in",
      },
      reconnect: {
        type: "integer",
        minimum: 0,
        maximum: 3_600_000,
        default: 1000,
        description:
          "Milliseconds until the next try to connect; 0: there is none",
      },
    },
  },
  check(config) {
    const problem = problemOf(config);
    return problem === undefined ? [] : [problem];
  },
  permissions: permissionsOf,
  create: openSocketNet,
};
export default plugin;
