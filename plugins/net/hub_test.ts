import { assert, assertEquals } from "@std/assert";
import { MemoryCard } from "../../core/backend/memory_card.ts";
import { type HubPort, openHubPort } from "./hub.ts";

const frame = (n: number, length = 60): Uint8Array =>
  new Uint8Array(length).fill(n);

/** Ports of a hub of their own, with cards. */
function hub(count: number) {
  const id = crypto.randomUUID();
  const log: string[] = [];
  const ports = Array.from(
    { length: count },
    (): HubPort => openHubPort(id, { warn: (line) => log.push(line) }),
  );
  const cards = ports.map((port) => {
    const card = new MemoryCard();
    port.attach(card);
    return card;
  });
  return { ports, cards, log };
}

const firstBytes = (card: MemoryCard): number[] => card.frames.map((f) => f[0]);

Deno.test("hub: what one sends all others receive, later and in order", async () => {
  const { ports, cards } = hub(3);
  const sent = frame(1);
  ports[0].send(sent);
  ports[1].send(frame(2));
  ports[0].send(frame(3));
  sent.fill(9);
  assertEquals(cards.map((card) => card.frames.length), [0, 0, 0]);
  await Promise.all([1, 2, 3].map((count, i) => cards[i].has(count)));
  assertEquals(cards.map(firstBytes), [[2], [1, 3], [1, 2, 3]]);
  for (const port of ports) await port.close();
});

Deno.test("hub: names keep hubs apart, and a closed port hears nothing", async () => {
  const one = hub(2);
  const other = hub(2);
  one.ports[0].send(frame(1));
  await one.cards[1].has(1);
  assertEquals(other.cards.map(firstBytes), [[], []]);
  await one.ports[1].close();
  await one.ports[1].close();
  one.ports[0].send(frame(2));
  one.ports[1].send(frame(3));
  other.ports[0].send(frame(4));
  await other.cards[1].has(1);
  assertEquals(one.cards.map(firstBytes), [[], [1]]);
  for (const port of [...one.ports, ...other.ports]) await port.close();
});

Deno.test("hub: a card without room gets a bounded number of frames later, and others all", async () => {
  const { ports, cards } = hub(3);
  cards[1].room = 2;
  const count = 3000;
  for (let i = 0; i < count; i += 100) {
    for (let j = 0; j < 100; j++) ports[0].send(frame(i / 100, 1514));
    await cards[2].has(i + 100);
  }
  assertEquals(cards[1].frames.length, 2);
  cards[1].room = Infinity;
  ports[1].ready();
  // What is sent now comes after all that has waited.
  ports[2].send(frame(255));
  await cards[1].until(() => cards[1].frames.at(-1)?.[0] === 255);
  assert(cards[1].frames.length > 100 && cards[1].frames.length < 1100);
  assertEquals(cards[2].frames.length, count);
  for (const port of ports) await port.close();
});

Deno.test("hub: what is no frame is nobody's", async () => {
  const { ports, cards } = hub(2);
  for (const length of [0, 13, 65537]) ports[0].send(frame(1, length));
  for (const length of [14, 65536]) ports[0].send(frame(2, length));
  await cards[1].has(2);
  assertEquals(firstBytes(cards[1]), [2, 2]);
  for (const port of ports) await port.close();
});

Deno.test("hub: two cards with one address are told so once", async () => {
  const { ports, cards, log } = hub(3);
  for (let i = 0; i < 3; i++) {
    ports[0].send(frame(0x52));
    ports[1].send(frame(0x54));
    ports[2].send(frame(0x52));
  }
  await Promise.all(cards.map((card) => card.has(6)));
  assertEquals(
    log,
    Array(2).fill(
      "another card has the address 52:52:52:52:52:52 of this one: give it " +
        "another (mac=)",
    ),
  );
  for (const port of ports) await port.close();
});
