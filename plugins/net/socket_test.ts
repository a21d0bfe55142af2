import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemoryCard } from "../../core/backend/memory_card.ts";
import type { NetBackend } from "../../core/backend/net.ts";
import { DatagramLink } from "./datagram_link.ts";
import { FrameReader } from "./frames.ts";
import plugin, { openSocketNet, type SocketNetConfig } from "./socket.ts";
import { SocketNetError, StreamLink } from "./socket_link.ts";

const LOCAL = { hostname: "127.0.0.1", port: 0 };

const frame = (n: number, length = 60): Uint8Array =>
  new Uint8Array(length).fill(n);

/** A log that a test reads. */
function logger(): { lines: string[]; warn: (line: string) => void } {
  const lines: string[] = [];
  return { lines, warn: (line) => lines.push(line) };
}

function cardOn(net: NetBackend): MemoryCard {
  const card = new MemoryCard();
  net.attach(card);
  return card;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((next) => setTimeout(next, 1));
}

/** A link that waits for its peer. */
function waiting(log = logger()): Promise<StreamLink> {
  return StreamLink.open({ place: LOCAL, listen: true, reconnect: 0, log });
}

/** A link that goes to a port. */
function going(port: number, log = logger()): Promise<StreamLink> {
  const place = { ...LOCAL, port };
  return StreamLink.open({ place, listen: false, reconnect: 5, log });
}

Deno.test("socket: a peer that goes is waited for again, and gone to again", async () => {
  const log = logger();
  const a = await waiting(log);
  const cardA = cardOn(a);
  for (let round = 1; round <= 3; round++) {
    const b = await going(a.port!);
    const cardB = cardOn(b);
    await until(() => a.connected && b.connected);
    a.send(frame(round));
    b.send(frame(round + 10));
    await Promise.all([cardA.has(round), cardB.has(1)]);
    assertEquals(cardA.frames.at(-1), frame(round + 10));
    assertEquals(cardB.frames, [frame(round)]);
    await b.close();
    await until(() => !a.connected);
  }
  const { port } = a;
  const peerLog = logger();
  const c = await going(port!, peerLog);
  await until(() => c.connected);
  await a.close();
  await until(() => !c.connected && peerLog.lines.length > 0);
  assertMatch(
    peerLog.lines[0],
    /^cannot connect to 127\.0\.0\.1:\d+: .*; it is tried again$/,
  );
  const place = { ...LOCAL, port: port! };
  const d = await StreamLink.open({
    ...{ place, listen: true, reconnect: 0, log },
  });
  await until(() => c.connected && d.connected);
  await Promise.all([c.close(), d.close()]);
  // However often it was tried, it was said once.
  assertEquals([peerLog.lines.length, log.lines], [1, []]);
});

Deno.test("socket: over a unix socket, in place of one that was left behind", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/link`;
  const open = (config: Partial<SocketNetConfig>) =>
    openSocketNet({ unix: path, reconnect: 5, ...config }, {
      log: { guest: () => {}, ...logger() },
    }) as Promise<StreamLink>;
  try {
    const left = Deno.listen({ transport: "unix", path });
    await assertRejects(
      () => open({ server: true }),
      SocketNetError,
      `Cannot listen at ${path}`,
    );
    // Its file stays when it is not where it was made.
    await Deno.rename(path, `${path}2`);
    left.close();
    await Deno.rename(`${path}2`, path);
    const a = await open({ server: true });
    const b = await open({});
    const card = cardOn(a);
    await until(() => b.connected);
    b.send(frame(1));
    await card.has(1);
    await Promise.all([a.close(), b.close()]);
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
    await Deno.writeTextFile(path, "mine");
    await assertRejects(() => open({ server: true }), SocketNetError);
    assertEquals(await Deno.readTextFile(path), "mine");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("socket: frames wait for a card that has no room, and none is lost", async () => {
  const a = await waiting();
  const b = await going(a.port!);
  const card = cardOn(a);
  card.room = 1;
  await until(() => b.connected);
  for (let i = 0; i < 20; i++) b.send(frame(i, 1514));
  await card.until(() => card.refused > 0);
  while (card.frames.length < 20) {
    card.room = 3;
    a.ready();
    const { length } = card.frames;
    await card.has(Math.min(20, length + 3));
  }
  assertEquals(card.frames.map((f) => f[0]), [...Array(20).keys()]);
  await Promise.all([a.close(), b.close()]);
});

Deno.test("socket: a peer that does not read loses frames, and the rest is whole", async () => {
  const a = await waiting();
  cardOn(a);
  const peer = await Deno.connect({ hostname: "127.0.0.1", port: a.port! });
  await until(() => a.connected);
  // More than all buffers on the way have room for.
  const count = 40_000;
  for (let i = 0; i < count; i++) {
    a.send(frame(i & 0xff, 1514));
    if (i % 500 === 0) await new Promise((next) => setImmediate(next));
  }
  // The peer begins to read, until one comes that was sent meanwhile.
  const reader = new FrameReader();
  const buffer = new Uint8Array(1 << 16);
  let frames = 0;
  let last = 0;
  while (last !== 14) {
    a.send(frame(7, 14));
    reader.feed(buffer.subarray(0, await peer.read(buffer) ?? 0));
    for (;;) {
      const got = reader.next();
      if (got === undefined) break;
      assert(got.every((byte) => byte === got[0]));
      last = got.length;
      frames++;
    }
  }
  assert(frames < count, `${frames} frames came`);
  peer.close();
  await a.close();
});

Deno.test("socket: peers that speak something else are hung up on, and said once", async () => {
  const log = logger();
  const a = await waiting(log);
  const card = cardOn(a);
  const noise = [
    new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    new Uint8Array(4).fill(255),
    Uint8Array.of(0, 1, 16, 1, 0),
  ];
  for (const bytes of noise) {
    const peer = await Deno.connect({ hostname: "127.0.0.1", port: a.port! });
    await peer.write(bytes);
    // It may say so by a reset.
    const end = await peer.read(new Uint8Array(9)).catch(() => null);
    assertEquals(end, null);
    peer.close();
  }
  // A random peer, which may end in the middle of a frame.
  for (let i = 0; i < 30; i++) {
    const peer = await Deno.connect({ hostname: "127.0.0.1", port: a.port! });
    const bytes = crypto.getRandomValues(new Uint8Array(1 + i * 37));
    if (i % 2 === 0) bytes.fill(0, 0, 3);
    await peer.write(bytes).catch(() => {});
    peer.close();
  }
  const before = card.frames.length;
  const b = await going(a.port!);
  const seen = (): boolean =>
    card.frames.some((f) => f.length === 99 && f.every((byte) => byte === 1));
  while (!seen()) {
    b.send(frame(1, 99));
    await new Promise((next) => setTimeout(next, 2));
  }
  assert(card.frames.length > before);
  await Promise.all([a.close(), b.close()]);
  const malformed = log.lines.filter((line) => /hung up/.test(line));
  assertEquals(malformed.length, 1);
  assertMatch(malformed[0], /a frame of 1195725856 bytes, expected 69632/);
});

Deno.test("socket: closing ends a link that waits, tries, or serves", async () => {
  const none = await going(1);
  await none.close();
  await none.close();
  none.send(frame(1));
  none.ready();
  const a = await waiting();
  const b = await going(a.port!);
  await until(() => a.connected);
  // Its card never has room.
  cardOn(a).room = 0;
  b.send(frame(1));
  await until(() => b.connected);
  await Promise.all([a.close(), b.close()]);
});

Deno.test("socket: the last frames arrive, unless the peer takes none", async () => {
  const a = await waiting();
  const b = await going(a.port!);
  const card = cardOn(a);
  await until(() => a.connected && b.connected);
  for (let i = 0; i < 300; i++) b.send(frame(i & 0xff, 1514));
  await b.close();
  await card.has(300);
  const peer = await Deno.connect({ hostname: "127.0.0.1", port: a.port! });
  await until(() => a.connected);
  // More than the host's kernel takes for a peer that does not read.
  for (let i = 0; i < 20_000; i++) {
    a.send(frame(1, 1514));
    if (i % 500 === 0) await new Promise((next) => setImmediate(next));
  }
  await a.close();
  peer.close();
});

Deno.test("socket: datagrams both ways, and what is none", async () => {
  const log = logger();
  const open = (port: number, remote: number) =>
    DatagramLink.open({
      local: { ...LOCAL, port },
      remote: { ...LOCAL, port: remote },
      log,
    });
  const first = await open(0, 1);
  const second = await open(0, 1);
  const ports = [first.port, second.port];
  await Promise.all([first.close(), second.close()]);
  const a = await open(ports[0], ports[1]);
  const b = await open(ports[1], ports[0]);
  const stranger = await open(0, ports[0]);
  stranger.send(frame(9));
  const cardA = cardOn(a);
  b.send(new Uint8Array(13));
  b.send(new Uint8Array(65508));
  const sent = frame(5, 1514);
  b.send(sent);
  sent.fill(0);
  await cardA.has(1);
  assertEquals(cardA.frames, [frame(5, 1514)]);
  await assertRejects(
    () =>
      DatagramLink.open({
        local: LOCAL,
        remote: { ...LOCAL, hostname: "x.invalid" },
        log,
      }),
    SocketNetError,
    "Cannot send to x.invalid:0",
  );
  await assertRejects(
    () => open(ports[0], ports[1]),
    SocketNetError,
    `Cannot open UDP port 127.0.0.1:${ports[0]}`,
  );
  cardA.room = 0;
  b.send(frame(6));
  await cardA.until(() => cardA.refused === 1);
  await Promise.all([b.close(), b.close()]);
  b.send(frame(1));
  // Nobody listens there: nothing happens.
  for (let i = 0; i < 10; i++) a.send(frame(1));
  await Promise.all([a.close(), stranger.close()]);
  assertEquals(log.lines, []);
});

Deno.test("socket: configurations that cannot be", async () => {
  const cases: [Partial<SocketNetConfig>, RegExp][] = [
    [{}, /^one of "listen", "connect", "unix" and "udp" is missing$/],
    [{ listen: ":1", connect: ":1" }, /"listen" and "connect" exclude/],
    [{ listen: ":1", server: true }, /"server" goes with "unix" only/],
    [{ udp: ":1" }, /"udp" and "localaddr" go together/],
    [{ listen: ":1", localaddr: ":1" }, /"udp" and "localaddr" go together/],
    [{ listen: "host" }, /listen: expected HOST:PORT, not "host"/],
    [{ connect: "host:65536" }, /connect: expected HOST:PORT/],
    [{ connect: "::1:1" }, /connect: expected HOST:PORT/],
    [{ udp: ":1", localaddr: "x" }, /localaddr: expected HOST:PORT/],
  ];
  for (const [config, message] of cases) {
    const [problem] = await plugin.check!({ reconnect: 0, ...config });
    assertMatch(problem, message);
  }
  const needs = async (config: Partial<SocketNetConfig>) =>
    await plugin.permissions!({ reconnect: 0, ...config });
  assertEquals(await needs({ listen: ":12" }), { net: ["127.0.0.1:12"] });
  assertEquals(await needs({ connect: "[::1]:12" }), { net: ["[::1]:12"] });
  assertEquals(await needs({ udp: "a.b:1", localaddr: "0.0.0.0:2" }), {
    net: ["a.b:1", "0.0.0.0:2"],
  });
  assertEquals(await needs({ unix: "/s" }), {
    read: ["/s"],
    write: ["/s"],
    net: ["unix:/s"],
  });
});
