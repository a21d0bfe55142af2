/**
 * The user network by frames made by hand: what is answered, what is reached,
 * and what is not.
 */

import { assert, assertEquals } from "@std/assert";
import {
  get16,
  get32,
  put16,
  put32,
} from "../../plugins/net/user/pdu/bytes.ts";
import { checksum, pseudoSum } from "../../plugins/net/user/pdu/checksum.ts";
import {
  Bench,
  DNS,
  echo,
  FakeSocket,
  GATEWAY,
  GUEST,
  ipFrame,
  tcpFrame,
  udpFrame,
} from "./frames.ts";
import { BAD, Capture, has, tshark } from "./judge.ts";
import { prng } from "./simulation.ts";

const judge = await has("tshark");
const ABROAD = 0xc0000207; // 192.0.2.7
const [FIN, SYN, RST, PSH, ACK] = [1, 2, 4, 8, 16];
const bytes = (text: string) => new TextEncoder().encode(text);

async function checked(bench: Bench): Promise<void> {
  if (judge) assertEquals(await tshark(bench.capture, BAD), []);
  await bench.net.close();
}

Deno.test("echo requests: own addresses answer, others may not be asked", async () => {
  const bench = new Bench();
  assertEquals(await bench.ask(echo(GATEWAY)), ["icmp 10.0.2.2 0 0"]);
  assertEquals(await bench.ask(echo(DNS)), ["icmp 10.0.2.3 0 0"]);
  assertEquals(await bench.ask(echo(ABROAD)), ["icmp 10.0.2.2 3 13"]);
  // A hop too many is told of; who is near needs none.
  assertEquals(await bench.ask(echo(ABROAD, 40, { ttl: 1 })), [
    "icmp 10.0.2.2 11 0",
  ]);
  assertEquals(await bench.ask(echo(GATEWAY, 40, { ttl: 1 })), [
    "icmp 10.0.2.2 0 0",
  ]);
  assertEquals(await bench.ask(ipFrame(99, GATEWAY, bytes("x"))), [
    "icmp 10.0.2.2 3 2",
  ]);
  // There are no errors about errors.
  const error = echo(ABROAD, 40, { ttl: 1 });
  error[34] = 11;
  error[36] -= 3;
  assertEquals(await bench.ask(error), []);
  await checked(bench);
});

Deno.test("fragments in any order are one packet, and the answer is cut too", async () => {
  const bench = new Bench();
  const whole = echo(GATEWAY, 4000);
  const payload = whole.subarray(34);
  const part = (from: number, to: number) =>
    ipFrame(1, GATEWAY, payload.slice(from, to), {
      fragment: from / 8 | (to < payload.length ? 0x2000 : 0),
    });
  const answer = await bench.ask(
    part(2960, payload.length),
    part(0, 1480),
    part(0, 1480),
    part(1480, 2960),
  );
  assertEquals(answer.length, 3);
  const back = bench.received.flatMap((frame) => [...frame.subarray(34)]);
  assertEquals(back.slice(8), [...payload.subarray(8)]);
  const identifications = (count: number): Set<number> =>
    new Set(bench.received.slice(-count).map((frame) => get16(frame, 18)));
  const first = identifications(3);
  assertEquals(first.size, 1);
  // The longest packet that there is.
  const longest = echo(GATEWAY, 65507).subarray(34);
  const parts = Array.from({ length: 45 }, (_, i) => {
    const from = i * 1480;
    const to = Math.min(from + 1480, longest.length);
    const more = to < longest.length ? 0x2000 : 0;
    return ipFrame(1, GATEWAY, longest.slice(from, to), {
      fragment: more | from / 8,
      id: 2,
    });
  });
  assertEquals((await bench.ask(...parts)).length, 45);
  const second = identifications(45);
  assertEquals([second.size, first.union(second).size], [1, 2]);
  // One that overlaps another is of no sender's making.
  assertEquals(
    await bench.ask(
      part(0, 1480),
      part(1472, 2960),
      part(2960, payload.length),
    ),
    [],
  );
  await checked(bench);
});

Deno.test("what is not for this network is left alone", async () => {
  const bench = new Bench();
  const other = { mac: 0x5254_0000_0001 };
  assertEquals(await bench.ask(echo(GATEWAY, 40, other)), []);
  assertEquals(await bench.ask(echo(GATEWAY, 40, { source: ABROAD })), []);
  assertEquals(await bench.ask(echo(GATEWAY, 40, { source: GATEWAY })), []);
  // Loopback, "this" host, groups and all hosts cannot be reached by it.
  const targets = [0x7f000001, 0, 0xe0000001, 0xffffffff, 0x0a0002ff];
  for (const target of targets) {
    const answers = await bench.ask(
      tcpFrame(target, 80, 1, 0, SYN),
      udpFrame(target, 80, bytes("x")),
    );
    assert(answers.every((answer) => answer.startsWith("icmp 10.0.2.2 3 ")));
  }
  assertEquals(bench.net.connections, 0);
  await checked(bench);
});

Deno.test("a connection: bytes, backpressure, half-close both ways", async () => {
  const socket = new FakeSocket();
  const asked: string[] = [];
  const bench = new Bench({}, {
    connect(hostname, port) {
      asked.push(`${hostname}:${port}`);
      return Promise.resolve(socket);
    },
  });
  assertEquals(await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN)), [
    "tcp 10.0.2.2:80 SYN ACK",
  ]);
  assertEquals(asked, ["127.0.0.1:80"]);
  const iss = get32(bench.received[0], 38);
  assertEquals(get32(bench.received[0], 42), 100);
  const next = iss + 1;
  const at = (sequence: number, ack: number, flags: number, text = "") =>
    tcpFrame(GATEWAY, 80, sequence, ack, flags, bytes(text));
  assertEquals(await bench.ask(at(100, next, ACK | PSH, "hello")), [
    "tcp 10.0.2.2:80 ACK",
  ]);
  assertEquals(socket.written, [...bytes("hello")]);
  // Out of order: said again what is expected, then all at once.
  assertEquals(await bench.ask(at(110, next, ACK, "third")), [
    "tcp 10.0.2.2:80 ACK",
  ]);
  assertEquals(get32(bench.received.at(-1)!, 42), 105);
  await bench.ask(at(105, next, ACK, "secon"));
  assertEquals(get32(bench.received.at(-1)!, 42), 115);
  assertEquals(socket.written, [...bytes("hellosecon" + "third")]);
  // The guest's end, while the host still speaks.
  await bench.ask(at(115, next, ACK | FIN));
  assert(socket.ended && !socket.closed);
  socket.give(bytes("answer"));
  await bench.settle();
  assertEquals([...bench.received.at(-1)!.subarray(54)], [...bytes("answer")]);
  socket.give(null);
  await bench.settle();
  await bench.ask(at(116, next + 7, ACK));
  assert(socket.closed);
  assertEquals(bench.net.connections, 0);
  await checked(bench);
});

Deno.test("bytes that come with the end are written before it", async () => {
  const socket = new FakeSocket();
  const bench = new Bench({}, { connect: () => Promise.resolve(socket) });
  await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN));
  const next = get32(bench.received[0], 38) + 1;
  await bench.ask(tcpFrame(GATEWAY, 80, 100, next, ACK));
  socket.give(null);
  await bench.settle();
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.stuck = promise;
  await bench.ask(
    tcpFrame(GATEWAY, 80, 100, next + 1, ACK, bytes("late")),
    tcpFrame(GATEWAY, 80, 104, next + 1, ACK | FIN),
  );
  assertEquals(socket.closed, false);
  resolve();
  await bench.settle();
  assertEquals(socket.written, [...bytes("late")]);
  assertEquals(socket.closed, true);
  await checked(bench);
});

Deno.test("a window that is shut is probed, and opens", async () => {
  const socket = new FakeSocket();
  const bench = new Bench({}, { connect: () => Promise.resolve(socket) });
  const shut = { window: 0 };
  await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN, undefined, shut));
  const next = get32(bench.received[0], 38) + 1;
  const none = new Uint8Array(0);
  await bench.ask(tcpFrame(GATEWAY, 80, 100, next, ACK, none, shut));
  socket.give(bytes("abcdef"));
  await bench.settle(10_000);
  const probes = bench.received.filter((frame) => frame.length === 55);
  assert(probes.length >= 2, "one byte at a time");
  await bench.ask(tcpFrame(GATEWAY, 80, 100, next + 1, ACK));
  assertEquals([...bench.received.at(-1)!.subarray(54)], [...bytes("bcdef")]);
  await checked(bench);
});

Deno.test("three duplicates bring the lost segment at once", async () => {
  const socket = new FakeSocket();
  const bench = new Bench({}, { connect: () => Promise.resolve(socket) });
  await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN));
  const next = get32(bench.received[0], 38) + 1;
  await bench.ask(tcpFrame(GATEWAY, 80, 100, next, ACK));
  socket.give(new Uint8Array(5000));
  await bench.settle(1);
  const ack = tcpFrame(GATEWAY, 80, 100, next, ACK);
  const before = bench.received.length;
  bench.send(ack);
  bench.send(ack);
  await bench.settle(1);
  assertEquals(bench.received.length, before);
  bench.send(ack);
  await bench.settle(1);
  assertEquals(bench.received.length, before + 1);
  assertEquals(get32(bench.received.at(-1)!, 38), next);
  await checked(bench);
});

Deno.test("resets: only an exact one ends a connection", async () => {
  const socket = new FakeSocket();
  const bench = new Bench({}, { connect: () => Promise.resolve(socket) });
  await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN));
  const next = get32(bench.received[0], 38) + 1;
  await bench.ask(tcpFrame(GATEWAY, 80, 100, next, ACK));
  // In the window: asked whether it is meant (RFC 5961).
  assertEquals(await bench.ask(tcpFrame(GATEWAY, 80, 150, next, RST)), [
    "tcp 10.0.2.2:80 ACK",
  ]);
  assertEquals(await bench.ask(tcpFrame(GATEWAY, 80, 300, 0, SYN)), [
    "tcp 10.0.2.2:80 ACK",
  ]);
  assertEquals(socket.closed, false);
  assertEquals(await bench.ask(tcpFrame(GATEWAY, 80, 100, next, RST)), []);
  assertEquals([socket.closed, bench.net.connections], [true, 0]);
  // Nobody is there any more.
  assertEquals(await bench.ask(tcpFrame(GATEWAY, 80, 100, next, ACK)), [
    "tcp 10.0.2.2:80 RST",
  ]);
  await checked(bench);
});

Deno.test("a guest that went back in time is told that its connections are gone", async () => {
  const socket = new FakeSocket();
  const bench = new Bench({}, { connect: () => Promise.resolve(socket) });
  await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN));
  const next = get32(bench.received[0], 38) + 1;
  await bench.ask(tcpFrame(GATEWAY, 80, 100, next, ACK));
  bench.net.guestReplaced();
  assertEquals([socket.closed, bench.net.connections], [true, 0]);
  assertEquals(await bench.ask(tcpFrame(GATEWAY, 80, 100, next, ACK)), [
    "tcp 10.0.2.2:80 RST",
  ]);
  // New ones are made as ever.
  assertEquals(await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN)), [
    "tcp 10.0.2.2:80 SYN ACK",
  ]);
  await checked(bench);
});

Deno.test("what came before the host failed is there before the reset", async () => {
  for (const failsToWrite of [false, true]) {
    const socket = new FakeSocket();
    const bench = new Bench({}, { connect: () => Promise.resolve(socket) });
    const small = { window: 1000 };
    await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN, undefined, small));
    const next = get32(bench.received[0], 38) + 1;
    let said = 100;
    const at = (ack: number, text = "") =>
      tcpFrame(GATEWAY, 80, said, ack, ACK, bytes(text), small);
    await bench.ask(at(next));
    socket.give(new Uint8Array(2500));
    if (failsToWrite) {
      // All has come, and its end; what the guest says then nobody reads.
      socket.give(null);
      socket.stuck = Promise.reject(new Deno.errors.BrokenPipe());
      await bench.ask(at(next, "more"));
      said += 4;
    } else {
      socket.give(new Deno.errors.ConnectionReset());
      await bench.settle();
    }
    assertEquals(bench.net.connections, 1);
    const came = (): number =>
      Math.max(
        ...bench.received.filter((frame) => frame.length > 54)
          .map((frame) => get32(frame, 38) + frame.length - 54 - next),
      );
    assert(came() < 2500, "there is more than the window has room for");
    let told: string[] = [];
    for (let i = 0; i < 5 && bench.net.connections > 0; i++) {
      told = await bench.ask(at(next + came()));
    }
    assertEquals([came(), told.at(-1)], [2500, "tcp 10.0.2.2:80 RST ACK"]);
    assertEquals([socket.closed, bench.net.connections], [true, 0]);
    await checked(bench);
  }
});

Deno.test("what the host fails at, the guest hears", async () => {
  let failure: Error = new Deno.errors.ConnectionRefused();
  const bench = new Bench({}, { connect: () => Promise.reject(failure) });
  const attempt = () => bench.ask(tcpFrame(ABROAD, 80, 99, 0, SYN));
  assertEquals(await attempt(), ["tcp 192.0.2.7:80 RST ACK"]);
  failure = Object.assign(new Error(), { code: "EHOSTUNREACH" });
  assertEquals(await attempt(), ["icmp 10.0.2.2 3 1"]);
  failure = Object.assign(new Error(), { code: "ENETUNREACH" });
  assertEquals(await attempt(), ["icmp 10.0.2.2 3 0"]);
  failure = new Deno.errors.NotCapable();
  assertEquals(await attempt(), ["tcp 192.0.2.7:80 RST ACK"]);
  assertEquals(bench.net.connections, 0);
  await checked(bench);
});

Deno.test("without permission nothing is tried", async () => {
  const never = () => {
    throw new Error("tried");
  };
  const bench = new Bench({}, {
    granted: () => false,
    resolves: () => false,
    connect: never,
    datagrams: never,
    resolve: never,
  });
  assertEquals(await bench.ask(tcpFrame(ABROAD, 80, 99, 0, SYN)), [
    "tcp 192.0.2.7:80 RST ACK",
  ]);
  assertEquals(await bench.ask(udpFrame(ABROAD, 9, bytes("x"))), [
    "icmp 10.0.2.2 3 13",
  ]);
  const query = new Uint8Array([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const question = new Uint8Array([1, 97, 0, 0, 1, 0, 1]);
  assertEquals(
    await bench.ask(udpFrame(DNS, 53, new Uint8Array([...query, ...question]))),
    ["udp 10.0.2.3:53"],
  );
  assertEquals(bench.received.at(-1)![45] & 15, 5);
  assertEquals(bench.refused, ["tcp 192.0.2.7:80", "udp 192.0.2.7:9", "dns"]);
  await checked(bench);
});

Deno.test("restricted: forwards, DHCP and the gateway's echo, nothing else", async () => {
  const reached: string[] = [];
  const bench = new Bench({
    restrict: true,
    guestfwd: ["tcp:10.0.2.100:80-127.0.0.1:8080"],
  }, {
    connect(hostname, port) {
      reached.push(`${hostname}:${port}`);
      return Promise.reject(new Deno.errors.ConnectionRefused());
    },
    datagrams: () => {
      throw new Error("tried");
    },
  });
  for (const target of [GATEWAY, ABROAD, 0x0a000264]) {
    assertEquals(
      (await bench.ask(tcpFrame(target, 81, 99, 0, SYN)))[0].slice(-7),
      "RST ACK",
    );
  }
  assertEquals(await bench.ask(udpFrame(ABROAD, 9, bytes("x"))), [
    "icmp 10.0.2.2 3 13",
  ]);
  assertEquals(await bench.ask(echo(GATEWAY)), ["icmp 10.0.2.2 0 0"]);
  assertEquals(reached, []);
  await bench.ask(tcpFrame(0x0a000264, 80, 99, 0, SYN));
  assertEquals(reached, ["127.0.0.1:8080"]);
  await checked(bench);
});

Deno.test("a card without room gets it all later", async () => {
  const bench = new Bench();
  bench.room = false;
  assertEquals(await bench.ask(echo(GATEWAY), echo(DNS)), []);
  bench.room = true;
  bench.net.ready();
  await bench.settle();
  assertEquals(bench.received.length, 2);
  // What waits is bounded.
  bench.room = false;
  for (let i = 0; i < 5000; i++) bench.send(echo(GATEWAY));
  await bench.settle();
  bench.room = true;
  bench.net.ready();
  await bench.settle();
  assert(bench.received.length < 1000);
  await checked(bench);
});

Deno.test("offloads: large segments both ways, with sums that are begun", async () => {
  const socket = new FakeSocket();
  const bench = new Bench({}, { connect: () => Promise.resolve(socket) }, true);
  await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN));
  const next = get32(bench.received[0], 38) + 1;
  const large = new Uint8Array(60_000).map((_, i) => i);
  const frame = tcpFrame(GATEWAY, 80, 100, next, ACK, large);
  // The length may be wrong, and the checksum is still to be made.
  put16(frame, 16, 1500);
  put16(frame, 50, 0x1234);
  bench.send(frame, {
    checksum: { start: 34, offset: 16 },
    segments: { kind: "tcp4", bytes: 1460, headers: 54 },
  });
  await bench.settle();
  assertEquals(socket.written, [...large]);
  socket.give(large.subarray(0, 16_000));
  await bench.settle(1);
  const at = bench.received.findIndex((f) => f.length > 1514);
  const sent = bench.received[at];
  // A guest that names no size takes 536 bytes a segment.
  assertEquals(bench.offloads[at]?.segments, {
    kind: "tcp4",
    bytes: 536,
    headers: 54,
  });
  assertEquals([...sent.subarray(54)], [...large.subarray(0, 16_000)]);
  // The sum of the rest over what stands there is the checksum.
  put16(sent, 50, checksum(sent, 34, sent.length));
  const pseudo = new Uint8Array(12);
  put32(pseudo, 0, GATEWAY);
  put32(pseudo, 4, GUEST);
  pseudo[9] = 6;
  put16(pseudo, 10, sent.length - 34);
  const summed = new Uint8Array([...pseudo, ...sent.subarray(34)]);
  assertEquals(checksum(summed, 0, summed.length), 0);
  await bench.net.close();
});

Deno.test("1,000 connections at once, each to its own socket", async () => {
  const sockets: FakeSocket[] = [];
  const bench = new Bench({}, {
    connect() {
      sockets.push(new FakeSocket());
      return Promise.resolve(sockets.at(-1)!);
    },
  });
  for (let i = 0; i < 1000; i++) {
    const sourcePort = 10_000 + i;
    bench.send(tcpFrame(GATEWAY, 80, 1, 0, SYN, undefined, { sourcePort }));
  }
  await bench.settle();
  assertEquals([sockets.length, bench.net.connections], [1000, 1000]);
  await bench.net.close();
  assert(sockets.every(({ closed }) => closed));
});

Deno.test("a guest that begins connections and gives them up: the host's attempts are bounded", async () => {
  let attempts = 0;
  const answers: PromiseWithResolvers<FakeSocket>[] = [];
  const bench = new Bench({}, {
    connect() {
      attempts++;
      answers.push(Promise.withResolvers());
      return answers.at(-1)!.promise;
    },
  });
  for (let i = 0; i < 5000; i++) {
    const from = { sourcePort: 10_000 + i };
    bench.send(tcpFrame(GATEWAY, 80, 1, 0, SYN, undefined, from));
    bench.send(tcpFrame(GATEWAY, 80, 2, 0, RST, undefined, from));
  }
  await bench.settle();
  assertEquals([attempts, bench.net.connections], [2048, 0]);
  for (const { reject } of answers) reject(new Deno.errors.ConnectionRefused());
  await bench.settle();
  bench.send(tcpFrame(GATEWAY, 80, 1, 0, SYN));
  await bench.settle();
  assertEquals([attempts, bench.net.connections], [2049, 1]);
  await bench.net.close();
});

Deno.test("what a link has damaged is not taken", async () => {
  const socket = new FakeSocket();
  const came: Uint8Array[] = [];
  const bench = new Bench({}, {
    connect: () => Promise.resolve(socket),
    datagrams: () => ({
      socket: { port: 1, send: (bytes) => came.push(bytes), close() {} },
      bound: Promise.resolve(),
    }),
  });
  await bench.ask(tcpFrame(GATEWAY, 80, 99, 0, SYN));
  const next = get32(bench.received[0], 38) + 1;
  await bench.ask(tcpFrame(GATEWAY, 80, 100, next, ACK));
  // Of each header a field that nothing else depends on, and the last byte.
  const frames: [Uint8Array, () => number][] = [
    [echo(GATEWAY), () => bench.received.length],
    [udpFrame(ABROAD, 7, bytes("datagram")), () => came.length],
    [
      tcpFrame(GATEWAY, 80, 100, next, ACK, bytes("segment")),
      () => socket.written.length,
    ],
  ];
  for (const [frame, count] of frames) {
    for (const at of [18, 36, frame.length - 1]) {
      const damaged = frame.slice();
      damaged[at] ^= 0x10;
      const before = count();
      assertEquals(await bench.ask(damaged), []);
      assertEquals(count(), before);
    }
    const before = count();
    await bench.ask(frame);
    assert(count() > before, "it is taken as it was sent");
  }
  await bench.net.close();
});

Deno.test("segments are as long as the guest says, within bounds", async () => {
  for (
    const [mss, longest] of [
      ...[[undefined, 536], [0, 64], [1, 64], [700, 700], [1460, 1460]],
      [9000, 1460],
    ]
  ) {
    const socket = new FakeSocket();
    const bench = new Bench({}, { connect: () => Promise.resolve(socket) });
    const options = mss === undefined
      ? bytes("")
      : Uint8Array.of(2, 4, mss >> 8, mss & 255);
    const syn = tcpFrame(GATEWAY, 80, 99, 0, SYN, options);
    syn[46] = (20 + options.length) << 2;
    put16(syn, 50, 0);
    const pseudo = pseudoSum(GUEST, GATEWAY, 6, syn.length - 34);
    put16(syn, 50, checksum(syn, 34, syn.length, pseudo));
    await bench.ask(syn);
    const next = get32(bench.received[0], 38) + 1;
    await bench.ask(tcpFrame(GATEWAY, 80, 100, next, ACK));
    socket.give(new Uint8Array(4000));
    await bench.settle(1);
    const lengths = bench.received.slice(1).map((frame) => frame.length - 54);
    assertEquals(Math.max(...lengths), longest, `${mss}`);
    await checked(bench);
  }
});

Deno.test("frames with any field wrong do no harm", async () => {
  const random = prng(Number(Deno.env.get("RHEA_SEED") ?? 1));
  const cases = Number(Deno.env.get("RHEA_CASES") ?? 20_000);
  const sockets: FakeSocket[] = [];
  const bench = new Bench({}, {
    connect() {
      if (random() % 3 === 0) return Promise.reject(new Error());
      sockets.push(new FakeSocket());
      return Promise.resolve(sockets.at(-1)!);
    },
    datagrams: () => ({
      socket: { port: 1, send: (_b, _a, _p, done) => done(null), close() {} },
      bound: Promise.resolve(),
    }),
    resolve: () => Promise.reject(new Deno.errors.NotFound()),
  });
  const answers = new Capture();
  const dhcp = new Uint8Array(300);
  dhcp.set([1, 1, 6]);
  put32(dhcp, 236, 0x63825363);
  dhcp.set([53, 1, 1, 50, 4, 10, 0, 2, 16, 255], 240);
  const dns = new Uint8Array([
    0,
    1,
    1,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    1,
    97,
    0,
    0,
    1,
    0,
    1,
  ]);
  const templates = [
    () => echo(random() % 2 ? GATEWAY : ABROAD, random() % 100),
    () => udpFrame(GATEWAY, 67, dhcp, 68),
    () => udpFrame(DNS, 53, dns),
    () => udpFrame(ABROAD, random() & 0xffff, dns, random() & 0xff),
    () =>
      ipFrame(random() & 255, GATEWAY, dhcp, { fragment: random() & 0x3fff }),
    () =>
      tcpFrame(
        GATEWAY,
        80,
        random() % 5000,
        random() % 2 ? random() : lastAck(),
        random() & 31,
        dhcp.subarray(0, random() % 300),
        { sourcePort: 5000 + random() % 8, window: random() & 0xffff },
      ),
  ];
  const lastAck = () => {
    const last = bench.received.findLast((frame) => frame[23] === 6);
    return last === undefined ? 0 : get32(last, 38) + 1;
  };
  for (let i = 0; i < cases; i++) {
    let frame = templates[random() % templates.length]();
    if (random() % 4 !== 0) {
      for (let n = random() % 4; n >= 0; n--) {
        frame[random() % frame.length] = random();
      }
      // Sums that are right let the rest be looked at.
      const header = (frame[14] & 15) * 4;
      if (random() % 4 !== 0 && header >= 20 && frame.length >= 14 + header) {
        put16(frame, 24, 0);
        put16(frame, 24, checksum(frame, 14, 14 + header));
      }
    }
    if (random() % 8 === 0) frame = frame.slice(0, random() % frame.length);
    const offload = random() % 4 === 0
      ? {
        checksum: { start: random() % 100, offset: random() % 100 },
        ...(random() % 2 === 0
          ? {
            segments: {
              kind: "tcp4" as const,
              bytes: random() % 3000,
              headers: random() % 100,
            },
          }
          : {}),
      }
      : undefined;
    bench.send(frame, offload);
    if (i % 100 === 0) await bench.settle(random() % 3000);
    while (bench.received.length > 500) answers.add(bench.received.shift()!);
  }
  await bench.settle();
  assert(bench.net.connections <= 4096);
  // It still works.
  assertEquals((await bench.ask(echo(GATEWAY))).at(-1), "icmp 10.0.2.2 0 0");
  // Errors quote what was wrong.
  const filter = `${BAD} && !(icmp.type == 3 || icmp.type == 11)`;
  if (judge) assertEquals(await tshark(answers, filter), []);
  await bench.net.close();
  assert(sockets.every(({ closed }) => closed));
});
