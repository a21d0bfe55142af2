/**
 * The `user` network: what a guest sends is read here and given to whom it is
 * for. Whatever is not as it should be is dropped, as by any station.
 *
 * @module
 */

import { formatAddress } from "./addresses.ts";
import type {
  FrameOffload,
  NetBackend,
  NetCard,
} from "../../../core/backend/net.ts";
import { AcceptLoop } from "../../../core/backend/accept_loop.ts";
import type { HostClock } from "./clock.ts";
import {
  type HostForward,
  readHostForward,
  readHostPort,
  type UserNetSettings,
} from "./config.ts";
import { DhcpServer } from "./dhcp.ts";
import { DnsServer } from "./dns.ts";
import { DnsStream } from "./dns_stream.ts";
import {
  failureOf,
  type HostFailure,
  type HostNetwork,
  type HostSocket,
} from "./host.ts";
import { HostStream } from "./host_stream.ts";
import { IpOutput, quote } from "./ip.ts";
import { GuestLink } from "./link.ts";
import { Neighbours } from "./neighbours.ts";
import { get16 } from "./pdu/bytes.ts";
import { checksum } from "./pdu/checksum.ts";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from "./pdu/dhcp.ts";
import { DNS_PORT } from "./pdu/dns.ts";
import {
  BROADCAST_MAC,
  ETHERNET_HEADER,
  getMac,
  ownMac,
  TYPE_ARP,
  TYPE_IPV4,
} from "./pdu/ethernet.ts";
import {
  ECHO_REPLY,
  ECHO_REQUEST,
  ICMP_HEADER,
  isIcmpError,
  putIcmpChecksum,
  TIME_EXCEEDED,
  UNREACHABLE,
  UnreachableCode,
} from "./pdu/icmp.ts";
import {
  FRAGMENT_OFFSET,
  Ipv4Packet,
  MORE_FRAGMENTS,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from "./pdu/ipv4.ts";
import { UDP_HEADER, udpDatagram, udpLength } from "./pdu/udp.ts";
import { Reassembly } from "./reassembly.ts";
import { Routes } from "./routes.ts";
import { TcpStack } from "./tcp/stack.ts";
import type { TcpConnection } from "./tcp/connection.ts";
import { type Peer, UdpNat } from "./udp.ts";

/** The longest frame that is taken: 64 KiB of packet. */
const MAX_FRAME = ETHERNET_HEADER + 65535;
/** Connections to hosts that are being made; the guest tries others again. */
const MAX_ATTEMPTS = 2048;
/** The address of all hosts. */
const ALL = 0xffff_ffff;

/** What the network stands on. */
export interface UserNetParts {
  /** The host's network. */
  readonly host: HostNetwork;
  /** Time and chance. */
  readonly clock: HostClock;
  /** Hears of the guest's attempts that Deno's permissions do not allow. */
  readonly refused: (target: string) => void;
}

/** What leads to the guest, and where it does from. */
interface LiveForward {
  readonly forward: HostForward;
  readonly port: number;
  /** Lets nobody come any more. */
  end(): void | Promise<void>;
}

/** A forward's port that cannot be had. */
export class ForwardError extends Error {
  /** The name of the error's class. */
  override readonly name = "ForwardError";
}

/** The network. */
export class UserNet implements NetBackend {
  /** Frames of 64 KiB and partial checksums are taken. */
  readonly offload = true;
  readonly #settings: UserNetSettings;
  readonly #host: HostNetwork;
  readonly #link: GuestLink;
  readonly #neighbours: Neighbours;
  readonly #output: IpOutput;
  readonly #reassembly: Reassembly;
  readonly #routes: Routes;
  readonly #dhcp: DhcpServer;
  readonly #dns: DnsServer;
  readonly #udp: UdpNat;
  readonly #tcp: TcpStack;
  readonly #ownMacs: ReadonlySet<number>;
  readonly #packet = new Ipv4Packet();
  readonly #forwards: LiveForward[] = [];
  #attempts = 0;
  #closed = false;

  /** A network without forwards from the host: see `open`. */
  constructor(settings: UserNetSettings, parts: UserNetParts) {
    const { host, clock, refused } = parts;
    const { network, own, gateway, dns, restrict } = settings;
    this.#settings = settings;
    this.#host = host;
    this.#link = new GuestLink(clock);
    this.#neighbours = new Neighbours(network, own, this.#link, clock);
    this.#output = new IpOutput(this.#link, this.#neighbours);
    this.#reassembly = new Reassembly(clock);
    this.#routes = new Routes(settings, host, refused);
    this.#dhcp = new DhcpServer({
      network,
      server: gateway,
      first: settings.firstGuest,
      own,
      // A guest that is to reach nothing is told of no way to it.
      ...(restrict ? {} : { router: gateway, dns }),
      hostName: settings.hostName,
      domainName: settings.domainName,
    }, clock);
    this.#dns = new DnsServer(host, settings, refused);
    this.#udp = new UdpNat(settings, host, clock, this.#routes, this.#output);
    this.#tcp = new TcpStack(
      this.#link,
      clock,
      this.#neighbours,
      (connection, packet) => this.#begin(connection, packet),
    );
    this.#ownMacs = new Set([...own].map(ownMac));
    this.#link.onRoom = () => this.#tcp.flush();
    this.#neighbours.onResolved = (guest) => this.#tcp.resolved(guest);
  }

  /** A network; throws a `ForwardError` when the host has not a port free. */
  static async open(
    settings: UserNetSettings,
    parts: UserNetParts,
  ): Promise<UserNet> {
    const net = new UserNet(settings, parts);
    for (const forward of settings.hostForwards) {
      try {
        await net.#lead(forward);
      } catch (error) {
        await net.close();
        throw error;
      }
    }
    return net;
  }

  /** Lead a port of the host's to the guest; throws a `ForwardError`. */
  async #lead(forward: HostForward): Promise<void> {
    const { protocol, listen: { hostname, port } } = forward;
    try {
      if (protocol === "udp") {
        const socket = await this.#udp.forward(forward);
        const end = (): void => this.#udp.endForward(socket);
        this.#forwards.push({ forward, port: socket.port, end });
      } else {
        this.#forwards.push(this.#forwardStreams(forward));
      }
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ForwardError(
        `Cannot listen on ${protocol} ${hostname}:${port}: ${reason}`,
        { cause },
      );
    }
  }

  /** See `NetBackend`. */
  async addForward(text: string): Promise<void> {
    if (this.#closed) throw new ForwardError("The network is closed");
    const forward = readHostForward(text, this.#settings);
    const { hostname, port } = forward.listen;
    // Nobody is asked for it in the midst of a run.
    if (!this.#host.granted(hostname, port)) {
      throw new ForwardError(
        `Deno's permissions do not allow ${hostname}:${port} (--allow-net)`,
      );
    }
    await this.#lead(forward);
  }

  /** See `NetBackend`. */
  removeForward(text: string): boolean {
    const { protocol, listen: { hostname, port } } = readHostPort(text);
    const at = this.#forwards.findIndex((live) =>
      live.forward.protocol === protocol && live.port === port &&
      live.forward.listen.hostname === hostname
    );
    if (at < 0) return false;
    void this.#forwards.splice(at, 1)[0].end();
    return true;
  }

  /** The host's ports that lead to the guest: TCP's, then UDP's. */
  get ports(): readonly number[] {
    const isUdp = ({ forward }: LiveForward): boolean =>
      forward.protocol === "udp";
    return [
      ...this.#forwards.filter((one) => !isUdp(one)),
      ...this.#forwards.filter(isUdp),
    ].map(({ port }) => port);
  }

  /** TCP connections that there are. */
  get connections(): number {
    return this.#tcp.count;
  }

  /** See `NetBackend`. */
  attach(card: NetCard): void {
    this.#link.attach(card);
  }

  /** See `NetBackend`. */
  ready(): void {
    this.#link.ready();
  }

  /** In the layout of QEMU's `info usernet`. */
  *describe(): Generator<string> {
    yield "  Protocol[State]        Source Address  Port    Dest. Address  Port " +
      "SendQ";
    const line = (what: string, from: Peer, to: Peer, queue: number): string =>
      `  ${what.padEnd(20)} ${formatAddress(from.address).padStart(16)} ` +
      `${`${from.port}`.padStart(5)} ${
        formatAddress(to.address).padStart(16)
      } ${`${to.port}`.padStart(5)} ${`${queue}`.padStart(5)}`;
    for (const { ends, phase, outgoing } of this.#tcp.connections()) {
      const guest = { address: ends.guest, port: ends.guestPort };
      const peer = { address: ends.peer, port: ends.peerPort };
      yield line(`TCP[${phase}]`, guest, peer, outgoing.length);
    }
    for (const [guest, peer] of this.#udp.ends()) {
      yield line("UDP", guest, peer, 0);
    }
  }

  /** What the guest sends on a connection is answered by a reset from now on. */
  guestReplaced(): void {
    this.#tcp.forget();
  }

  /** See `NetBackend`. */
  async close(): Promise<void> {
    this.#closed = true;
    const ended = this.#forwards.splice(0).map((forward) => forward.end());
    this.#tcp.close();
    this.#udp.close();
    this.#link.close();
    await Promise.all(ended);
  }

  /** See `NetBackend`. */
  send(frame: Uint8Array, offload?: FrameOffload): void {
    if (
      this.#closed || frame.length < ETHERNET_HEADER ||
      frame.length > MAX_FRAME
    ) return;
    const target = getMac(frame, 0);
    const broadcast = target === BROADCAST_MAC;
    // Between guests on one hub there is more than what is for this.
    if (!broadcast && !this.#ownMacs.has(target)) return;
    switch (get16(frame, 12)) {
      case TYPE_ARP:
        return this.#neighbours.input(frame);
      case TYPE_IPV4: {
        const cut = offload?.segments !== undefined;
        const packet = this.#packet;
        if (!packet.read(frame, ETHERNET_HEADER, cut)) return;
        const { fragment, source } = packet;
        this.#neighbours.learn(source, getMac(frame, 6));
        const summed = offload?.checksum !== undefined;
        if ((fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) !== 0) {
          // What is not summed yet cannot be a part.
          if (!summed) this.#part(packet, broadcast);
        } else this.#input(packet, summed, broadcast);
      }
    }
  }

  /** A fragment, maybe the last one of its packet. */
  #part(packet: Ipv4Packet, broadcast: boolean): void {
    if (!this.#neighbours.isGuest(packet.source)) return;
    const whole = this.#reassembly.add(packet);
    if (whole === undefined || !packet.read(whole, 0, false)) return;
    this.#input(packet, false, broadcast);
  }

  /** A whole packet. */
  #input(packet: Ipv4Packet, summed: boolean, broadcast: boolean): void {
    const { source, target, protocol } = packet;
    if (protocol === PROTOCOL_UDP && this.#dhcpInput(packet, summed)) return;
    // Nobody answers a broadcast, nor who is not on the network.
    if (broadcast || !this.#neighbours.isGuest(source)) return;
    if (packet.ttl === 0) return;
    if (packet.ttl === 1 && !this.#settings.own.has(target)) {
      this.#error(packet, TIME_EXCEEDED, 0, this.#settings.gateway);
      return;
    }
    switch (protocol) {
      case PROTOCOL_TCP:
        return this.#tcp.input(packet, summed);
      case PROTOCOL_UDP:
        return this.#udpInput(packet, summed);
      case PROTOCOL_ICMP:
        return this.#icmpInput(packet);
      default:
        this.#error(packet, UNREACHABLE, UnreachableCode.protocol);
    }
  }

  /** Tell the guest, from the target's address when it is one of this. */
  #error(
    packet: Ipv4Packet,
    type: number,
    code: number,
    from = this.#settings.own.has(packet.target)
      ? packet.target
      : this.#settings.gateway,
  ): void {
    // Never about groups, nor about what is such a message (RFC 1122, 3.2.2).
    if (packet.target >>> 28 >= 14) return;
    if (packet.protocol === PROTOCOL_ICMP) {
      const { bytes, payload, end } = packet;
      if (payload === end || isIcmpError(bytes[payload])) return;
    }
    this.#output.error(type, code, from, packet.source, quote(packet));
  }

  /** Whether a datagram is for the DHCP server, which then has it. */
  #dhcpInput(packet: Ipv4Packet, summed: boolean): boolean {
    const { bytes, payload, end, target } = packet;
    const { gateway } = this.#settings;
    if (
      end - payload < UDP_HEADER ||
      get16(bytes, payload + 2) !== DHCP_SERVER_PORT ||
      (target !== ALL && target !== gateway)
    ) return false;
    const length = udpLength(packet, summed);
    if (length === 0) return true;
    const answer = this.#dhcp.answer(
      bytes.subarray(payload + UDP_HEADER, payload + length),
    );
    if (answer === undefined) return true;
    const { target: to, mac, message } = answer;
    const datagram = udpDatagram(
      gateway,
      DHCP_SERVER_PORT,
      to,
      DHCP_CLIENT_PORT,
      message,
    );
    this.#output.send(gateway, to, PROTOCOL_UDP, datagram, mac);
    return true;
  }

  #udpInput(packet: Ipv4Packet, summed: boolean): void {
    const length = udpLength(packet, summed);
    if (length === 0) return;
    const { bytes, payload: at, source, target } = packet;
    const sourcePort = get16(bytes, at);
    const targetPort = get16(bytes, at + 2);
    const payload = bytes.subarray(at + UDP_HEADER, at + length);
    if (target === this.#settings.dns && targetPort === DNS_PORT) {
      void this.#answerDns(source, sourcePort, payload.slice());
      return;
    }
    // The frame is the guest's again when an answer comes.
    const quoted = quote(packet);
    const failed = (failure: HostFailure): void => {
      if (!this.#closed) this.#unreachable(target, source, failure, quoted);
    };
    this.#udp.send(packet, sourcePort, targetPort, payload, failed);
  }

  async #answerDns(
    guest: number,
    port: number,
    message: Uint8Array,
  ): Promise<void> {
    const answer = await this.#dns.answer(message, false);
    if (answer === undefined || this.#closed) return;
    const { dns } = this.#settings;
    const datagram = udpDatagram(dns, DNS_PORT, guest, port, answer);
    this.#output.send(dns, guest, PROTOCOL_UDP, datagram);
  }

  /**
   * Echo requests to this network's own addresses are answered. Others cannot
   * leave the host without privileges: the guest is told that they may not.
   */
  #icmpInput(packet: Ipv4Packet): void {
    const { bytes, payload, end, source, target } = packet;
    if (
      end - payload < ICMP_HEADER || checksum(bytes, payload, end) !== 0 ||
      bytes[payload] !== ECHO_REQUEST || bytes[payload + 1] !== 0
    ) return;
    if (!this.#settings.own.has(target)) {
      this.#error(packet, UNREACHABLE, UnreachableCode.prohibited);
      return;
    }
    const reply = bytes.slice(payload, end);
    reply[0] = ECHO_REPLY;
    putIcmpChecksum(reply, 0, reply.length);
    this.#output.send(target, source, PROTOCOL_ICMP, reply);
  }

  /** Tell a guest why its datagram or connection did not reach a target. */
  #unreachable(
    target: number,
    guest: number,
    failure: HostFailure,
    quoted: Uint8Array,
  ): void {
    if (target >>> 28 >= 14) return;
    const { own, gateway } = this.#settings;
    const code = failure === "refused"
      ? UnreachableCode.port
      : UnreachableCode[failure];
    const from = own.has(target) ? target : gateway;
    this.#output.error(UNREACHABLE, code, from, guest, quoted);
  }

  /** A guest begins a connection. */
  #begin(connection: TcpConnection, packet: Ipv4Packet): void {
    const { peer, peerPort } = connection.ends;
    if (peer === this.#settings.dns && peerPort === DNS_PORT) {
      connection.accept(new DnsStream(this.#dns, connection));
      return;
    }
    const endpoint = this.#routes.find("tcp", peer, peerPort);
    if (typeof endpoint === "string") {
      this.#refuse(connection, endpoint, quote(packet));
      return;
    }
    // A guest that gives one up does not end the host's attempt.
    if (this.#attempts >= MAX_ATTEMPTS) return connection.drop();
    this.#attempts++;
    const quoted = quote(packet);
    const { hostname, port } = endpoint;
    this.#host.connect(hostname, port).then((socket) => {
      this.#attempts--;
      if (connection.phase !== "connecting") return socket.close();
      const stream = new HostStream(socket);
      stream.start(connection);
      connection.accept(stream);
    }, (error) => {
      this.#attempts--;
      if (connection.phase !== "connecting") return;
      this.#refuse(connection, failureOf(error), quoted);
    });
  }

  /**
   * A connection was not made: who refused it, or may not be reached, resets it;
   * who is not there does not.
   */
  #refuse(
    connection: TcpConnection,
    failure: HostFailure,
    quoted: Uint8Array,
  ): void {
    if (failure === "refused" || failure === "prohibited") connection.abort();
    else {
      const { peer, guest } = connection.ends;
      connection.drop();
      this.#unreachable(peer, guest, failure, quoted);
    }
  }

  /** Lead a TCP port of the host's to the guest. */
  #forwardStreams(forward: HostForward): LiveForward {
    const { listen: { hostname, port }, guest, guestPort } = forward;
    const listener = this.#host.listen(hostname, port);
    const accepting = new AcceptLoop<HostSocket>(listener, {
      serve: (socket) => this.#toGuest(socket, guest, guestPort),
    });
    const end = (): Promise<void> => accepting.close();
    return { forward, port: listener.port, end };
  }

  #toGuest(socket: HostSocket, guest: number, guestPort: number): void {
    const stream = new HostStream(socket);
    const { gateway } = this.#settings;
    const connection = this.#tcp.connect(guest, guestPort, gateway, stream);
    if (connection === undefined) socket.close();
    else stream.start(connection);
  }
}
