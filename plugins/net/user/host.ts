/**
 * The host's network, as this backend uses it: Deno's sockets and resolver.
 *
 * Every address is asked for before it is used: a guest must not make Deno ask
 * the user for a permission, which would also stop the machine meanwhile.
 *
 * @module
 */

import { createSocket } from "node:dgram";
import { DNS_PORT, type DnsType } from "./pdu/dns.ts";

/** A TCP connection of the host's. */
export interface HostSocket {
  /** Read some bytes; null at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Write some of the bytes. */
  write(bytes: Uint8Array): Promise<number>;
  /** There is nothing more to write. */
  closeWrite(): Promise<void>;
  /** Let go of it. */
  close(): void;
}

/** A TCP port of the host's. */
export interface HostListener {
  /** The port. */
  readonly port: number;
  /** The next connection. */
  accept(): Promise<HostSocket>;
  /** Listen no more. */
  close(): void;
}

/** A UDP port of the host's. */
export interface HostDatagrams {
  /** The port; 0 while there is none. */
  readonly port: number;
  /** Send bytes, which are the socket's from now on. */
  send(
    bytes: Uint8Array,
    address: string,
    port: number,
    done: (error: unknown) => void,
  ): void;
  /** Let go of it. */
  close(): void;
}

/** Takes a datagram. */
export type DatagramReceiver = (
  bytes: Uint8Array,
  address: string,
  port: number,
) => void;

/** A record that a resolver gives: what `Deno.resolveDns` has for its type. */
export type HostRecord =
  | string
  | string[]
  | { readonly preference: number; readonly exchange: string }
  | {
    readonly priority: number;
    readonly weight: number;
    readonly port: number;
    readonly target: string;
  };

/** The host's network. */
export interface HostNetwork {
  /** Whether a host and port may be used. */
  granted(hostname: string, port: number): boolean;
  /** Whether names may be resolved, whatever the host's name servers are. */
  resolves(): boolean;
  /** Connect. */
  connect(hostname: string, port: number): Promise<HostSocket>;
  /** Listen. */
  listen(hostname: string, port: number): HostListener;
  /**
   * Open a UDP port; port 0 is any, and then it is usable at once and resolved
   * when it has one.
   */
  datagrams(
    hostname: string,
    port: number,
    receive: DatagramReceiver,
  ): { readonly socket: HostDatagrams; readonly bound: Promise<void> };
  /** All records of a name; a `Deno.errors.NotFound` when there are none. */
  resolve(name: string, type: DnsType): Promise<HostRecord[]>;
}

/** What an attempt ended in, as a guest can be told. */
export type HostFailure = "refused" | "prohibited" | "net" | "host";

/** Put an error of the host's in words for the guest. */
export function failureOf(error: unknown): HostFailure {
  if (
    error instanceof Deno.errors.NotCapable ||
    error instanceof Deno.errors.PermissionDenied
  ) return "prohibited";
  const code = (error as { code?: unknown } | null)?.code;
  if (code === "ENETUNREACH") return "net";
  if (
    code === "EHOSTUNREACH" || code === "ETIMEDOUT" ||
    error instanceof Deno.errors.TimedOut
  ) return "host";
  return "refused";
}

function granted(hostname: string, port: number): boolean {
  const bracketed = hostname.includes(":") ? `[${hostname}]` : hostname;
  const host = `${bracketed}:${port}`;
  try {
    return Deno.permissions.querySync({ name: "net", host }).state ===
      "granted";
  } catch {
    return false;
  }
}

/** Deno's. */
export const DENO_NETWORK: HostNetwork = {
  granted,
  resolves() {
    if (Deno.permissions.querySync({ name: "net" }).state === "granted") {
      return true;
    }
    // All of IPv4, as `0.0.0.0/0`: its first and its last address.
    return granted("0.0.0.0", DNS_PORT) && granted("255.255.255.255", DNS_PORT);
  },
  async connect(hostname, port) {
    const socket = await Deno.connect({ hostname, port });
    socket.setNoDelay(true);
    return socket;
  },
  listen(hostname, port) {
    const listener = Deno.listen({ hostname, port });
    return {
      port: listener.addr.port,
      async accept() {
        const socket = await listener.accept();
        socket.setNoDelay(true);
        return socket;
      },
      close: () => listener.close(),
    };
  },
  datagrams(hostname, port, receive) {
    // Deno.listenDatagram needs a flag of its own in Deno 2.9.
    const socket = createSocket("udp4");
    const bound = Promise.withResolvers<void>();
    let boundPort = 0;
    let closed = false;
    socket.on("message", (bytes, from) => {
      receive(bytes, from.address, from.port);
    });
    socket.on("error", (error) => bound.reject(error));
    socket.bind({ address: hostname, port }, () => {
      if (!closed) boundPort = socket.address().port;
      bound.resolve();
    });
    return {
      bound: bound.promise,
      socket: {
        get port() {
          return boundPort;
        },
        send(bytes, address, to, done) {
          if (closed) return;
          try {
            socket.send(bytes, to, address, done);
          } catch (error) {
            done(error);
          }
        },
        close() {
          if (closed) return;
          closed = true;
          socket.close();
        },
      },
    };
  },
  resolve: (name, type) =>
    Deno.resolveDns(name, type as "A") as Promise<HostRecord[]>,
};
