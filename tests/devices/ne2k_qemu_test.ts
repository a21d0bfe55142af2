/**
 * The ne2k-pci beside QEMU's: the same accesses and frames give the same
 * registers, packet memory and frames on the wire.
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MemoryCard } from "../../core/backend/memory_card.ts";
import { MemoryNet } from "../../core/backend/memory_net.ts";
import { PciBenchBus } from "../../core/bus/pci_testing.ts";
import { DeviceBench } from "../../core/machine/testing.ts";
import { applySchema } from "../../core/machine/schema.ts";
import nePci from "../../plugins/device/net/ne2k_pci.ts";
import socket, { openSocketNet } from "../../plugins/net/socket.ts";
import type { StreamLink } from "../../plugins/net/socket_link.ts";
import { frameTo, MAC, onNet } from "./nic_bench.ts";
import { onBoth, qemuTest, Qtest } from "./qtest.ts";

const PORTS = 0xc000;
const STP = 0x01, STA = 0x02, TXP = 0x04;
const READ = 0x08, WRITE = 0x10, NONE = 0x20;
const PAGE1 = 0x40;
const DATA = 0x10;
const MEMORY = 0x4000;
const BROADCAST = [255, 255, 255, 255, 255, 255];

type Width = 1 | 2 | 4;

/** A card, its ports and its cable. */
interface Card {
  in(register: number, width?: Width): Promise<number>;
  out(register: number, value: number, width?: Width): Promise<void>;
  /** A frame comes; it was received or dropped when this is done. */
  receive(frame: Uint8Array): Promise<void>;
  /** All frames on the wire, in both directions; the card is gone then. */
  end(): Promise<Uint8Array[]>;
}

async function rhea(): Promise<Card> {
  const net = new MemoryNet();
  const wire: Uint8Array[] = [];
  net.onSend = ({ bytes }) => wire.push(bytes);
  const bench = await DeviceBench.create(onNet(nePci, () => net), {
    use: { bus: new PciBenchBus() },
  });
  bench.device.reset();
  return {
    in: (register, width = 1) =>
      Promise.resolve(bench.read("io", register, width)),
    out: (register, value, width = 1) =>
      Promise.resolve(bench.write("io", register, value, width)),
    receive(frame) {
      wire.push(frame);
      net.receive(frame);
      return Promise.resolve();
    },
    end: () => Promise.resolve(wire),
  };
}

/** A link that QEMU comes to, and what comes out of it. */
async function link(
  folder: string,
  name: string,
): Promise<{ net: StreamLink; card: MemoryCard; args: string[] }> {
  const unix = join(folder, name);
  const net = await openSocketNet(
    applySchema(socket.config, { unix, server: true }),
    { log: { guest: () => {}, warn: () => {} } },
  ) as StreamLink;
  const card = new MemoryCard();
  net.attach(card);
  const args = [
    ...["-netdev"],
    `stream,id=${name},server=off,addr.type=unix,addr.path=${unix}`,
    ...["-netdev", `hubport,id=h${name},hubid=0,netdev=${name}`],
  ];
  return { net, card, args };
}

/**
 * QEMU's, at a hub with two links: what goes in by one has been at the card
 * when it comes out of the other.
 */
async function qemu(folder: string): Promise<Card> {
  const near = await link(folder, "near");
  const far = await link(folder, "far");
  const machine = await Qtest.start(folder, [
    ...near.args,
    ...far.args,
    ...["-netdev", "hubport,id=hn,hubid=0"],
    ...["-device", "ne2k_pci,addr=3,netdev=hn,mac=52:54:00:12:34:56"],
  ]);
  await machine.config(3, 0x10, PORTS);
  await machine.config(3, 0x04, 1);
  while (!near.net.connected || !far.net.connected) {
    await new Promise((next) => setTimeout(next, 1));
  }
  const letters = { 1: "b", 2: "w", 4: "l" };
  return {
    in: async (register, width = 1) =>
      Number(await machine.ask(`in${letters[width]} ${PORTS + register}`)),
    out: async (register, value, width = 1) => {
      const port = PORTS + register;
      await machine.ask(`out${letters[width]} ${port} ${value >>> 0}`);
    },
    async receive(frame) {
      // What the card has sent came before.
      await machine.ask(`inb ${PORTS}`);
      near.net.send(frame);
      await far.card.until(() => {
        const last = far.card.frames.at(-1);
        return last !== undefined && `${last}` === `${frame}`;
      });
    },
    async end() {
      await machine.end();
      await Promise.all([near.net.close(), far.net.close()]);
      return far.card.frames;
    },
  };
}

/** Set it up with this filter and ring. */
async function start(
  card: Card,
  rcr: number,
  [first, end]: readonly [number, number] = [0x46, 0x60],
  groups = 0,
): Promise<void> {
  const values = [
    ...[[0, NONE | STP], [0x0e, 0x49], [0x0c, rcr], [0x0d, 0], [1, first]],
    ...[[2, end], [3, first], [7, 0xff], [0x0f, 0x3f], [0, PAGE1 | NONE | STP]],
    ...Array.from(MAC, (byte, i) => [1 + i, byte]),
    ...Array.from({ length: 8 }, (_, i) => [8 + i, groups >> (i & 3) & 0xff]),
    ...[[7, first + 1], [0, NONE | STA]],
  ];
  for (const [register, value] of values) await card.out(register, value);
}

/** CR, BNRY, TSR, ISR, CRDA, RSR and CURR. */
async function state(card: Card): Promise<string> {
  const values: number[] = [];
  for (const register of [0, 3, 4, 7, 8, 9, 0x0c]) {
    values.push(await card.in(register));
  }
  await card.out(0, PAGE1 | NONE | STA);
  values.push(await card.in(7));
  await card.out(0, NONE | STA);
  return values.map((value) => value.toString(16)).join(" ");
}

/** Begin remote DMA. */
async function remote(
  card: Card,
  command: number,
  address: number,
  length: number,
): Promise<void> {
  await card.out(0, NONE | STA);
  for (const value of [address, length]) {
    const low = value === address ? 8 : 0x0a;
    await card.out(low, value & 255);
    await card.out(low + 1, value >> 8);
  }
  await card.out(0, command | STA);
}

/** What is at an address of packet memory. */
async function load(
  card: Card,
  address: number,
  length: number,
): Promise<number[]> {
  await remote(card, READ, address, length);
  const words: number[] = [];
  for (let i = 0; i < length; i += 4) words.push(await card.in(DATA, 4));
  return words;
}

/** Put a frame at an address and send so much from a page. */
async function send(card: Card, page: number, frame: Uint8Array) {
  await remote(card, WRITE, page * 256, frame.length + 1 & ~1);
  const view = new DataView(new Uint8Array([...frame, 0]).buffer);
  for (let i = 0; i < frame.length; i += 2) {
    await card.out(DATA, view.getUint16(i, true), 2);
  }
  await card.out(4, page);
  await card.out(5, frame.length & 255);
  await card.out(6, frame.length >> 8);
  await card.out(0, NONE | TXP | STA);
}

/** A test with QEMU beside it. */
function test(name: string, fn: () => Promise<void>): void {
  qemuTest(`ne2k-pci and QEMU's: ${name}`, fn);
}

test("the same ring from the same frames", async () => {
  const wire = await onBoth(qemu, rhea, async (card) => {
    const seen: unknown[] = [];
    for (const ring of [[0x46, 0x60], [0x4c, 0x80]] as const) {
      await start(card, 0x04, ring);
      // Lengths about the ends of pages, and several times around.
      const lengths = [
        14,
        59,
        60,
        61,
        247,
        248,
        249,
        503,
        504,
        505,
        1513,
        1514,
      ];
      for (let i = 0; i < 40; i++) {
        const length = lengths[i % lengths.length];
        const to = i % 3 === 0 ? BROADCAST : MAC;
        const frame = frameTo(to, length);
        frame[13] = i;
        await card.receive(frame);
        const after = await state(card);
        const curr = parseInt(after.split(" ").at(-1)!, 16);
        const page = await card.in(3) + 1;
        const at = page === ring[1] ? ring[0] : page;
        // Not the check sequence, which is not there.
        const bytes = 4 + (Math.max(60, length) & ~3);
        seen.push(after, await load(card, at * 256, bytes));
        await card.out(3, curr === ring[0] ? ring[1] - 1 : curr - 1);
        await card.out(7, 0x41);
      }
    }
    return seen;
  });
  assertEquals(wire.length, 80);
});

test("the same frames pass the filters", async () => {
  const wire = await onBoth(qemu, rhea, async (card) => {
    const seen: unknown[] = [];
    const destinations = [
      ...[[...MAC], BROADCAST, [0x52, 0x54, 0, 0x12, 0x34, 0x57]],
      ...Array.from({ length: 24 }, (_, i) => [1, 0, 0x5e, i, i * 7, i * 31]),
    ];
    for (const rcr of [0x00, 0x04, 0x08, 0x0c, 0x10, 0x1c]) {
      await start(card, rcr, [0x46, 0x60], 0x3a7 * (rcr + 1));
      const passes: string[] = [];
      for (const [i, to] of destinations.entries()) {
        const frame = frameTo(to);
        frame[13] = i;
        frame[14] = rcr;
        await card.receive(frame);
        const after = await state(card);
        passes.push(after);
        await card.out(3, parseInt(after.split(" ").at(-1)!, 16) - 1);
        await card.out(7, 1);
        if (i % 12 === 11) await start(card, rcr, [0x46, 0x60], 0x3a7);
      }
      seen.push([rcr, passes]);
    }
    return seen;
  });
  assertEquals(wire.length, 6 * 27);
});

test("the same memory by remote DMA, and the same frames out of it", async () => {
  const wire = await onBoth(qemu, rhea, async (card) => {
    await start(card, 0x04);
    const seen: unknown[] = [];
    for (
      const [dcr, width, address] of [
        ...[[0x48, 1, MEMORY], [0x49, 1, MEMORY + 64], [0x49, 2, 0x4101]],
        ...[[0x49, 4, 0x5ff8], [0x48, 1, 0x5ffc], [0x49, 2, 0xbffc]],
        ...[[0x49, 2, 0x3ffc]],
      ] as [number, Width, number][]
    ) {
      await card.out(0x0e, dcr);
      await remote(card, WRITE, address, 16);
      // With words, one of a byte moves two.
      const unit = dcr === 0x49 && width === 1 ? 2 : width;
      for (let i = 0; i < 16; i += unit) {
        const value = 0x04030201 * (i + 1 & 7) & (2 ** (8 * width) - 1);
        await card.out(DATA, width === 4 ? value : value & 0xffff, width);
      }
      seen.push(await state(card));
      await remote(card, READ, address, 16);
      for (let i = 0; i < 16; i += unit) {
        seen.push(await card.in(DATA, width));
      }
      seen.push(await state(card));
      await card.out(0x0e, 0x49);
      seen.push(await load(card, address & ~3, 16));
    }
    for (const length of [14, 60, 61, 1513, 1514]) {
      for (const page of [0x40, 0x45]) {
        await send(card, page, frameTo(BROADCAST, length));
        seen.push(await state(card));
        await card.out(7, 2);
      }
    }
    // Without a count there is nothing to move.
    await card.out(7, 0x40);
    await remote(card, READ, 0, 0);
    seen.push(await state(card));
    // The last frame has come out when this one does.
    await card.receive(frameTo(MAC, 99));
    return seen;
  });
  assertEquals(wire.length, 11);
});
