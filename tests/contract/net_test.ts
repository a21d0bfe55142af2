/**
 * What every link between two cards promises, whatever it is made of: the
 * `hub` and all kinds of `socket`, bare and captured.
 */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MemoryCard } from "../../core/backend/memory_card.ts";
import type { NetBackend, NetCard } from "../../core/backend/net.ts";
import { CapturedNet, PcapWriter } from "../../core/backend/net_capture.ts";
import type { NetPlugin } from "../../core/machine/plugin.ts";
import { applySchema } from "../../core/machine/schema.ts";
import hub from "../../plugins/net/hub.ts";
import socket from "../../plugins/net/socket.ts";
import { withFolder } from "../block/oracle.ts";
import { readPcap } from "../net/pcap.ts";
import { freePort } from "../vnc/free_port.ts";

/** What a link that is asked for has at its ends. */
type Ends = readonly [NetBackend, NetBackend];

/** How a link is made, within a folder of its own. */
interface Kind {
  readonly name: string;
  /** Datagrams may be lost when many come at once. */
  readonly lossy?: boolean;
  make(folder: string): Promise<Ends>;
}

async function open(
  plugin: NetPlugin,
  config: Record<string, unknown>,
): Promise<NetBackend> {
  return await plugin.create(applySchema(plugin.config, config), {
    name: "net",
    log: { guest: () => {}, warn: () => {} },
    quit: () => {},
  });
}

async function captured(net: NetBackend, file: string): Promise<NetBackend> {
  return new CapturedNet(net, await PcapWriter.create(file, () => {}));
}

const KINDS: readonly Kind[] = [
  {
    name: "hub",
    async make() {
      const id = crypto.randomUUID();
      return [await open(hub, { id }), await open(hub, { id })];
    },
  },
  {
    name: "socket over TCP",
    async make() {
      const address = `:${freePort()}`;
      return [
        await open(socket, { listen: address }),
        await open(socket, { connect: address, reconnect: 5 }),
      ];
    },
  },
  {
    name: "socket over a unix socket",
    async make(folder) {
      const unix = join(folder, "link");
      return [
        await open(socket, { unix, server: true }),
        await open(socket, { unix, reconnect: 5 }),
      ];
    },
  },
  {
    name: "socket over UDP",
    lossy: true,
    async make() {
      const [a, b] = [`:${freePort()}`, `:${freePort()}`];
      return [
        await open(socket, { udp: a, localaddr: b }),
        await open(socket, { udp: b, localaddr: a }),
      ];
    },
  },
  {
    name: "captured hub",
    async make(folder) {
      const id = crypto.randomUUID();
      const [a, b] = [await open(hub, { id }), await open(hub, { id })];
      return [await captured(a, join(folder, "a")), b];
    },
  },
];

/** A frame that says its number. */
function numbered(n: number, length: number): Uint8Array {
  const frame = new Uint8Array(length).fill(n & 0xff);
  new DataView(frame.buffer).setUint32(6, n);
  return frame;
}

const numberOf = (frame: Uint8Array): number =>
  new DataView(frame.buffer).getUint32(6);

/** A frame of the handshake by which the ends find each other. */
const HELLO = 0xffff_ffff;

/** Both ends with cards, when each hears the other. */
async function meet(ends: Ends): Promise<MemoryCard[]> {
  const cards = ends.map((end) => {
    const card = new MemoryCard();
    end.attach(card);
    return card;
  });
  const hello = numbered(HELLO, 60);
  const timer = setInterval(() => ends.forEach((end) => end.send(hello)), 2);
  await Promise.all(cards.map((card) => card.has(1)));
  clearInterval(timer);
  // Those that are still on their way are ahead of what comes next.
  return cards;
}

const received = (card: MemoryCard): Uint8Array[] =>
  card.frames.filter((frame) => numberOf(frame) !== HELLO);

const LENGTHS = [14, 60, 61, 590, 1513, 1514, 1518, 9014, 60_000];

function contract(
  title: string,
  run: (kind: Kind, ends: Ends) => Promise<void>,
) {
  for (const kind of KINDS) {
    Deno.test(`net: ${kind.name}: ${title}`, () =>
      withFolder(async (folder) => {
        const ends = await kind.make(folder);
        try {
          await run(kind, ends);
        } finally {
          await Promise.all(ends.map((end) => end.close()));
        }
      }));
  }
}

contract(
  "frames arrive whole and in order, both ways at once",
  async (_, ends) => {
    const cards = await meet(ends);
    for (let round = 0; round < 5; round++) {
      // As many as a datagram socket takes at once.
      for (const [i, end] of ends.entries()) {
        for (const [n, length] of LENGTHS.slice(0, -1).entries()) {
          const frame = numbered(round * 100 + n * 2 + i, length);
          end.send(frame);
          // It has been copied.
          frame.fill(0xee);
        }
      }
      const count = (round + 1) * (LENGTHS.length - 1);
      for (const card of cards) {
        await card.until(() => received(card).length === count);
      }
    }
    for (const [i, card] of cards.entries()) {
      const expected: Uint8Array[] = [];
      for (let round = 0; round < 5; round++) {
        for (const [n, length] of LENGTHS.slice(0, -1).entries()) {
          expected.push(numbered(round * 100 + n * 2 + (1 - i), length));
        }
      }
      assertEquals(received(card), expected);
    }
  },
);

contract("neither side is called within its own call", async (_, ends) => {
  let within = false;
  let heard = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const guard = (call: () => void): void => {
    assertEquals(within, false);
    within = true;
    call();
    within = false;
  };
  let room = true;
  const cards: NetCard[] = ends.map((end) => ({
    offload: false,
    receive() {
      assertEquals(within, false);
      // Every second frame is refused once.
      room = !room;
      heard++;
      if (heard > 20) resolve();
      if (!room) queueMicrotask(() => guard(() => end.ready()));
      return room;
    },
  }));
  ends.forEach((end, i) => guard(() => end.attach(cards[i])));
  const timer = setInterval(() => {
    for (const end of ends) guard(() => end.send(numbered(1, 60)));
  }, 2);
  await promise;
  clearInterval(timer);
});

contract(
  "a card without room stops nobody, and gets more when it has room",
  async (kind, ends) => {
    const cards = await meet(ends);
    cards[1].room = 0;
    for (let n = 0; n < 50; n++) ends[0].send(numbered(n, 1000));
    ends[1].send(numbered(7, 60));
    await cards[0].until(() => received(cards[0]).length === 1);
    await cards[1].until(() => cards[1].refused > 0);
    cards[1].room = Infinity;
    ends[1].ready();
    if (kind.lossy) {
      const timer = setInterval(() => ends[0].send(numbered(49, 60)), 2);
      await cards[1].until(() => numberOf(cards[1].frames.at(-1)!) === 49);
      clearInterval(timer);
    } else {
      await cards[1].until(() => received(cards[1]).length === 50);
      assertEquals(received(cards[1]).map(numberOf), [...Array(50).keys()]);
    }
  },
);

contract("a flood that nobody takes is bounded", async (_, ends) => {
  const cards = await meet(ends);
  cards[1].room = 0;
  const count = 100_000;
  const frame = numbered(1, 1514);
  for (let n = 0; n < count; n++) {
    ends[0].send(frame);
    if (n % 1000 === 0) await new Promise((next) => setImmediate(next));
  }
  cards[1].room = Infinity;
  ends[1].ready();
  const last = numbered(2, 60);
  const timer = setInterval(() => ends[0].send(last), 2);
  await cards[1].until(() => numberOf(cards[1].frames.at(-1)!) === 2);
  clearInterval(timer);
  const kept = received(cards[1]).length;
  assert(kept < count / 4, `${kept} frames were kept`);
});

contract("what is no frame does no harm", async (_, ends) => {
  const cards = await meet(ends);
  for (const length of [0, 1, 13, 65_537, 70_000, 300_000]) {
    ends[0].send(new Uint8Array(length));
  }
  ends[0].send(numbered(5, 60));
  await cards[1].until(() => received(cards[1]).length === 1);
  assertEquals(received(cards[1]), [numbered(5, 60)]);
});

contract(
  "after the end nothing is heard and nothing fails",
  async (_, ends) => {
    const cards = await meet(ends);
    await ends[0].close();
    const { length } = cards[0].frames;
    for (const end of ends) end.send(numbered(1, 60));
    ends[0].ready();
    await ends[0].close();
    await new Promise((next) => setTimeout(next, 5));
    assertEquals(cards[0].frames.length, length);
  },
);

Deno.test("net: a capture has what the other end of the link has", () =>
  withFolder(async (folder) => {
    for (const kind of KINDS.filter(({ lossy }) => !lossy)) {
      const ends = await kind.make(folder);
      const files = [join(folder, "x"), join(folder, "y")];
      const both = await Promise.all(
        ends.map((end, i) => captured(end, files[i])),
      );
      const cards = await meet([both[0], both[1]]);
      for (const [n, length] of LENGTHS.entries()) {
        both[n % 2].send(numbered(n, length));
        const card = cards[1 - n % 2];
        await card.until(() => received(card).some((f) => numberOf(f) === n));
      }
      await Promise.all(both.map((end) => end.close()));
      for (const file of files) {
        const { packets } = await readPcap(file);
        const seen = packets.map(({ bytes }) => bytes)
          .filter((frame) => numberOf(frame) !== HELLO);
        assertEquals(seen, LENGTHS.map((length, n) => numbered(n, length)));
      }
    }
  }));
