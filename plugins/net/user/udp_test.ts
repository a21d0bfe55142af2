import { assertEquals } from "@std/assert";
import { formatAddress } from "./addresses.ts";
import type { HostForward, UserNetSettings } from "./config.ts";
import type { DatagramReceiver, HostDatagrams, HostNetwork } from "./host.ts";
import type { IpOutput } from "./ip.ts";
import { get16 } from "./pdu/bytes.ts";
import type { Ipv4Packet } from "./pdu/ipv4.ts";
import type { Routes } from "./routes.ts";
import { UdpNat } from "./udp.ts";

const GATEWAY = 0x0a000202, GUEST = 0x0a00020f;
const PEER = 0xc0000207; // 192.0.2.7

/** A socket of the host's, which takes a datagram when the test says so. */
class FakeDatagrams implements HostDatagrams {
  readonly port = 1234;
  /** Whom datagrams went to. */
  readonly sent: string[] = [];
  /** Ends what is being sent. */
  readonly taken: (() => void)[] = [];
  closed = false;
  readonly receive: DatagramReceiver;

  constructor(receive: DatagramReceiver) {
    this.receive = receive;
  }

  send(
    _bytes: Uint8Array,
    address: string,
    port: number,
    done: (error: unknown) => void,
  ): void {
    this.sent.push(`${address}:${port}`);
    this.taken.push(() => done(undefined));
  }

  close(): void {
    this.closed = true;
  }
}

/** UDP of a guest whose datagrams all have a way. */
class Bench {
  now = 0;
  readonly sockets: FakeDatagrams[] = [];
  /** Whom the guest has heard: the sender's address and port, its own port. */
  readonly heard: string[] = [];
  readonly udp: UdpNat;
  #timer: { readonly at: number; readonly call: () => void } | undefined;

  constructor() {
    const host = {
      granted: () => true,
      datagrams: (_host: string, _port: number, receive: DatagramReceiver) => {
        const socket = new FakeDatagrams(receive);
        this.sockets.push(socket);
        return { socket, bound: Promise.resolve() };
      },
    };
    const clock = {
      now: () => this.now,
      after: (milliseconds: number, call: () => void) => {
        this.#timer = { at: this.now + milliseconds, call };
        return () => this.#timer = undefined;
      },
    };
    const routes = {
      find: (_protocol: string, target: number, port: number) => ({
        hostname: formatAddress(target),
        port,
      }),
    };
    const output = {
      send: (
        source: number,
        _target: number,
        _protocol: number,
        datagram: Uint8Array,
      ) =>
        this.heard.push(
          `${formatAddress(source)}:${get16(datagram, 0)} ${
            get16(datagram, 2)
          }`,
        ),
    };
    this.udp = new UdpNat(
      { gateway: GATEWAY } as UserNetSettings,
      host as unknown as HostNetwork,
      clock as ConstructorParameters<typeof UdpNat>[2],
      routes as unknown as Routes,
      output as unknown as IpOutput,
    );
  }

  /** The guest sends a datagram. */
  send(target: number, port: number, sourcePort = 5000): void {
    const packet = { source: GUEST, target } as Ipv4Packet;
    this.udp.send(packet, sourcePort, port, new Uint8Array(1), () => {});
  }

  /** Milliseconds pass. */
  pass(milliseconds: number): void {
    const end = this.now + milliseconds;
    while (this.#timer !== undefined && this.#timer.at <= end) {
      const { at, call } = this.#timer;
      this.#timer = undefined;
      this.now = at;
      call();
    }
    this.now = end;
  }
}

Deno.test("udp: the guest hears those that it has written to", () => {
  const bench = new Bench();
  bench.send(PEER, 7);
  const [socket] = bench.sockets;
  for (
    const [address, port] of [
      ["192.0.2.7", 7],
      ["192.0.2.7", 8],
      ["192.0.2.8", 7],
    ] as const
  ) socket.receive(new Uint8Array(1), address, port);
  assertEquals(bench.heard, ["192.0.2.7:7 5000"]);
});

Deno.test("udp: a host that does not take them is given 64 at once", () => {
  const bench = new Bench();
  for (let i = 0; i < 100; i++) bench.send(PEER, 7);
  const [socket] = bench.sockets;
  assertEquals(socket.sent.length, 64);
  socket.taken[0]();
  for (let i = 0; i < 100; i++) bench.send(PEER, 7);
  assertEquals(socket.sent.length, 65);
});

Deno.test("udp: a port that is idle for two minutes has no socket any more", () => {
  const bench = new Bench();
  bench.send(PEER, 7);
  bench.send(PEER, 7, 5001);
  bench.pass(100_000);
  bench.sockets[1].receive(new Uint8Array(1), "192.0.2.7", 7);
  bench.pass(80_000);
  assertEquals(bench.sockets.map(({ closed }) => closed), [true, false]);
  assertEquals(bench.udp.flows, 1);
  bench.pass(100_000);
  assertEquals([bench.sockets[1].closed, bench.udp.flows], [true, 0]);
});

Deno.test("udp: ports of a guest that tries all are bounded, the idlest goes", () => {
  const bench = new Bench();
  for (let i = 0; i < 600; i++) {
    bench.send(PEER, 7, 1000 + i);
    if (i > 0) bench.send(PEER, 7, 1000);
  }
  assertEquals(bench.udp.flows, 512);
  const closed = bench.sockets.flatMap(({ closed }, i) => closed ? [i] : []);
  assertEquals(closed, Array.from({ length: 88 }, (_, i) => i + 1));
});

/** A forward of the host's port to the guest's 53. */
const FORWARD = { listen: {}, guest: GUEST, guestPort: 53 } as HostForward;

Deno.test("udp: who comes by a forward is answered from the port that he wanted", async () => {
  const bench = new Bench();
  await bench.udp.forward(FORWARD);
  const [listener] = bench.sockets;
  listener.receive(new Uint8Array(1), "192.0.2.9", 4000);
  listener.receive(new Uint8Array(1), "192.0.2.9", 4001);
  listener.receive(new Uint8Array(1), "192.0.2.9", 4000);
  assertEquals(bench.heard, [
    "10.0.2.2:49152 53",
    "10.0.2.2:49153 53",
    "10.0.2.2:49152 53",
  ]);
  bench.send(GATEWAY, 49153, 53);
  assertEquals(listener.sent, ["192.0.2.9:4001"]);
  // From another port it is a datagram to the host.
  bench.send(GATEWAY, 49153, 54);
  assertEquals(listener.sent.length, 1);
  assertEquals(bench.sockets[1].sent, ["10.0.2.2:49153"]);
});

Deno.test("udp: clients of a forward are bounded, the oldest goes", async () => {
  const bench = new Bench();
  await bench.udp.forward(FORWARD);
  const [listener] = bench.sockets;
  for (let i = 0; i < 513; i++) {
    listener.receive(new Uint8Array(1), "192.0.2.9", 1000 + i);
  }
  bench.send(GATEWAY, 49152, 53);
  assertEquals([listener.sent, bench.sockets.length], [[], 2]);
  bench.send(GATEWAY, 49153, 53);
  assertEquals(listener.sent, ["192.0.2.9:1001"]);
});
