/**
 * The e1000 beside QEMU's: the same descriptors give the same frames on the
 * wire, and the same frames the same receive descriptors and buffers, by the
 * PHY's loopback. QEMU runs no guest: its CPU halts at once, and this process
 * does what a driver would (qtest).
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { internetSum } from "../../core/backend/net_offload.ts";
import {
  CTRL,
  CTRL_SLU,
  CTRL_VME,
  EERD,
  ICR,
  ICS,
  IMC,
  IMS,
  MDIC,
  MTA,
  RAH0,
  RAL0,
  RCTL,
  RDBAL,
  RDH,
  RDLEN,
  RDT,
  Stat,
  TCTL,
  TDBAL,
  TDH,
  TDLEN,
  TDT,
  VET,
  VFTA,
} from "../../plugins/device/net/e1000_registers.ts";
import { readPcap } from "../net/pcap.ts";
import { Command, E1000Bench, frameTo, MAC } from "./nic_bench.ts";
import { onBoth, qemuTest, Qtest } from "./qtest.ts";

const BAR = 0xe0000000;
/** QEMU takes no frame for a second after RCTL was written; and some more. */
const RCTL_MS = 1050;
const TX_RING = 0x1000;
const RX_RING = 0x2000;
const TX_BUFFERS = 0x10000;
const RX_BUFFERS = 0x40000;
const RX_BUFFER_BYTES = 2048;
const DESCRIPTORS = 16;
const BROADCAST = [255, 255, 255, 255, 255, 255];
const { EOP, IFCS, RS, DEXT, TSE, VLE } = Command;
const TX = EOP | IFCS | RS;

/** A card and the memory around it. */
interface Card {
  read(register: number): Promise<number>;
  write(register: number, value: number): Promise<void>;
  store(address: number, bytes: Uint8Array): Promise<void>;
  load(address: number, length: number): Promise<Uint8Array>;
  /** Let time pass after the receiver was switched on. */
  settle(): Promise<void>;
  /** Frames on the wire, all of them; the card is gone then. */
  end(): Promise<Uint8Array[]>;
}

/** Rhea's. */
async function rhea(): Promise<Card> {
  const card = await E1000Bench.create();
  return {
    read: (register) => Promise.resolve(card.read(register)),
    write: (register, value) => Promise.resolve(card.write(register, value)),
    store: (at, bytes) => Promise.resolve(card.bench.ram.set(bytes, at)),
    load: (at, length) =>
      Promise.resolve(card.bench.ram.slice(at, at + length)),
    settle: () => Promise.resolve(),
    end: () => Promise.resolve(card.sent()),
  };
}

/** QEMU's. */
async function qemu(folder: string): Promise<Card> {
  const capture = join(folder, "wire.pcap");
  const machine = await Qtest.start(folder, [
    ...["-netdev", "hubport,id=n0,hubid=0"],
    ...["-device", "e1000,addr=3,netdev=n0,mac=52:54:00:12:34:56"],
    ...["-object", `filter-dump,id=d0,netdev=n0,file=${capture}`],
  ]);
  await machine.config(3, 0x10, BAR);
  await machine.config(3, 0x04, 7);
  return {
    read: async (register) =>
      Number(await machine.ask(`readl ${BAR + register}`)),
    write: async (register, value) => {
      await machine.ask(`writel ${BAR + register} ${value >>> 0}`);
    },
    store: (at, bytes) => machine.store(at, bytes),
    load: (at, length) => machine.load(at, length),
    settle: async () => {
      await new Promise((resolve) => setTimeout(resolve, RCTL_MS));
      // Timers run after what came with them.
      await machine.ask(`readl ${BAR}`);
    },
    end: async () => {
      await machine.end();
      const { packets } = await readPcap(capture);
      return packets.map(({ bytes }) => bytes);
    },
  };
}

/** What the registers read. */
async function readAll(
  card: Card,
  registers: readonly number[],
): Promise<string[]> {
  const values: string[] = [];
  for (const register of registers) {
    const value = await card.read(register);
    values.push(`${register.toString(16)}: ${value.toString(16)}`);
  }
  return values;
}

/** Rings and both sides on. */
async function start(card: Card, rctl: number): Promise<void> {
  const ring = new Uint8Array(16 * DESCRIPTORS);
  const view = new DataView(ring.buffer);
  for (let i = 0; i < DESCRIPTORS; i++) {
    view.setUint32(16 * i, RX_BUFFERS + i * RX_BUFFER_BYTES, true);
  }
  await card.store(RX_RING, ring);
  const values: [number, number][] = [
    ...[[TDBAL, TX_RING], [TDLEN, 16 * DESCRIPTORS], [TCTL, 0x0a]],
    ...[[RDBAL, RX_RING], [RDLEN, 16 * DESCRIPTORS], [RDT, 15], [RCTL, rctl]],
  ] as [number, number][];
  for (const [register, value] of values) await card.write(register, value);
  await card.settle();
}

/** Put transmit descriptors at the tail and move it. */
async function transmit(card: Card, list: readonly number[][]): Promise<void> {
  const tail = await card.read(TDT);
  for (const [i, words] of list.entries()) {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    words.forEach((word, n) => view.setUint32(4 * n, word >>> 0, true));
    await card.store(TX_RING + 16 * ((tail + i) % DESCRIPTORS), bytes);
  }
  await card.write(TDT, (tail + list.length) % DESCRIPTORS);
}

/** A packet of IPv4 with the pseudo header's sum where the checksum goes. */
function packet(isTcp: boolean, payload: number, isWhole: boolean) {
  const headers = isTcp ? 54 : 42;
  const frame = frameTo(BROADCAST, headers + payload, 0x0800);
  const view = new DataView(frame.buffer);
  frame.fill(0, 14, headers);
  frame[14] = 0x45;
  view.setUint16(16, isWhole ? frame.length - 14 : 0);
  view.setUint16(18, 0xfffe);
  frame.set([64, isTcp ? 6 : 17], 22);
  frame.set([10, 0, 2, 15, 10, 0, 2, 2], 26);
  view.setUint32(34, 0x12340050);
  if (isTcp) {
    view.setUint32(38, 0xfffffff0);
    frame.set([0x50, 0x19], 46);
  } else if (isWhole) view.setUint16(38, frame.length - 34);
  const length = isWhole ? frame.length - 34 : 0;
  const sum = internetSum(frame, 26, 34, (isTcp ? 6 : 17) + length);
  view.setUint16(isTcp ? 50 : 40, sum);
  return { frame, headers, sum: isTcp ? 50 : 40 };
}

/** A test with QEMU beside it. */
function test(name: string, fn: () => Promise<void>): void {
  qemuTest(`e1000 and QEMU's: ${name}`, fn);
}

test("the same frames from the same descriptors", async () => {
  const wire = await onBoth(qemu, rhea, async (card) => {
    await start(card, 0);
    const seen: unknown[] = [];
    const send = async (list: number[][]): Promise<void> => {
      await transmit(card, list);
      seen.push(await readAll(card, [TDH, ICR]));
    };
    const legacy = frameTo(BROADCAST, 333);
    await card.store(TX_BUFFERS, legacy);
    await send([[TX_BUFFERS, 0, 333 | TX << 24, 0]]);
    await send([
      [TX_BUFFERS, 0, 100 | RS << 24, 0],
      [TX_BUFFERS + 100, 0, 133, 0],
      [TX_BUFFERS + 233, 0, 100 | EOP << 24, 0],
    ]);
    // A tag, with VME and without.
    await send([[TX_BUFFERS, 0, 333 | (TX | VLE) << 24, 0x6123 << 16]]);
    await card.write(VET, 0x8100);
    await card.write(CTRL, CTRL_SLU | CTRL_VME);
    await send([[TX_BUFFERS, 0, 333 | (TX | VLE) << 24, 0x6123 << 16]]);
    for (const isTcp of [true, false]) {
      // Checksums alone, then segments, with a tag, and in several parts.
      const { frame, headers, sum } = packet(isTcp, 900, true);
      const tucmd = 2 | (isTcp ? 1 : 0) | DEXT;
      await card.store(TX_BUFFERS, frame);
      const context = [14 | 24 << 8 | 33 << 16, 34 | sum << 8];
      await send([
        [...context, tucmd << 24, 0],
        [
          TX_BUFFERS,
          0,
          frame.length | 1 << 20 | (TX | DEXT) << 24,
          3 << 8,
        ],
      ]);
      const large = packet(isTcp, 5000, false).frame;
      await card.store(TX_BUFFERS, large);
      const data = 1 << 20 | (DEXT | TSE | IFCS) << 24;
      await send([
        [
          ...context,
          5000 | (tucmd | TSE) << 24,
          headers << 8 | 1448 << 16,
        ],
        [TX_BUFFERS, 0, headers | data, 3 << 8],
        [TX_BUFFERS + headers, 0, 2000 | data, 3 << 8],
        [
          TX_BUFFERS + headers + 2000,
          0,
          3000 | data | (EOP | RS) << 24,
          3 << 8,
        ],
      ]);
      await send([
        [
          TX_BUFFERS,
          0,
          large.length | data | (EOP | RS | VLE) << 24,
          3 << 8 | 0x0fff << 16,
        ],
      ]);
    }
    seen.push(await card.load(TX_RING, 16 * DESCRIPTORS));
    seen.push(
      await readAll(card, [
        ...[Stat.TPT, Stat.GPTC, Stat.BPTC, Stat.MPTC, Stat.TSCTC],
        ...[Stat.PTC64, Stat.PTC64 + 4, Stat.PTC64 + 8, Stat.PTC64 + 12],
        ...[Stat.PTC64 + 16, Stat.PTC64 + 20],
      ]),
    );
    return seen;
  });
  assertEquals(wire.length, 4 + 2 * (1 + 4 + 4));
});

test("the same buffers from the same frames", async () => {
  const wire = await onBoth(qemu, rhea, async (card) => {
    const seen: unknown[] = [];
    await card.write(CTRL, CTRL_SLU | CTRL_VME);
    await card.write(VET, 0x8100);
    await card.write(RAL0, MAC[0] | MAC[1] << 8 | MAC[2] << 16 | MAC[3] << 24);
    await card.write(RAH0, (MAC[4] | MAC[5] << 8 | 0x80000000) >>> 0);
    await card.write(MTA + 4 * (0x341 >> 5), 1 << (0x341 & 31));
    await card.write(VFTA + 4 * (5 >> 5), 1 << 5);
    await card.write(MDIC, 1 << 26 | 1 << 21 | 0x4140);
    const frames = [
      frameTo(MAC, 60),
      frameTo([0x52, 0x54, 0, 1, 2, 3], 60),
      frameTo([1, 0, 0x5e, 0, 0x12, 0x34], 61),
      frameTo([1, 0, 0x5e, 0, 0x12, 0x35], 62),
      frameTo(BROADCAST, 1514),
    ];
    for (const id of [5, 6]) {
      const tagged = frameTo(BROADCAST, 100, 0x8100);
      tagged.set([0xa0, id], 14);
      frames.push(tagged);
    }
    // Modes: addresses and groups, VLANs, stripping, sizes of buffers.
    const modes = [0x8002, 0x0002, 0x000a, 0x0012, 0x8002 | 1 << 18];
    modes.push(0x04008002, 0x8002 | 2 << 16, 0x801a | 3 << 16 | 1 << 26);
    for (const rctl of modes) {
      await card.write(RCTL, 0);
      await card.write(RDH, 0);
      await start(card, rctl);
      for (const frame of frames) {
        await card.store(TX_BUFFERS, frame);
        await transmit(card, [[
          TX_BUFFERS,
          0,
          frame.length | TX << 24,
          0,
        ]]);
      }
      seen.push([rctl, await card.read(RDH)]);
      const ring = await card.load(RX_RING, 16 * DESCRIPTORS);
      const view = new DataView(ring.buffer);
      for (let i = 0; i < DESCRIPTORS; i++) {
        // QEMU computes no packet checksum.
        view.setUint16(16 * i + 10, 0);
        if ((ring[16 * i + 12] & 1) === 0) break;
        const length = view.getUint16(16 * i + 8, true);
        const buffer = RX_BUFFERS + i * RX_BUFFER_BYTES;
        // The check sequence is not there, in neither.
        const crc = (rctl & 1 << 26) === 0 ? 4 : 0;
        seen.push(await card.load(buffer, Math.max(0, length - crc)));
      }
      seen.push(ring);
      await card.read(ICR);
      seen.push(await readAll(card, [Stat.TPR, Stat.GPRC]));
      const counters = await readAll(card, [
        ...[Stat.BPRC, Stat.MPRC, Stat.PRC64, Stat.PRC64 + 4, Stat.PRC64 + 20],
      ]);
      // QEMU 7.2 takes broadcasts for groups' with MPE, and sizes without the
      // check sequence with SECRC.
      if ((rctl & (0x10 | 1 << 26)) === 0) seen.push(counters);
    }
    return seen;
  });
  assertEquals(wire, [], "nothing leaves the PHY");
});

test("the same registers: address, EEPROM's sum, PHY, causes and mask", async () => {
  const wire = await onBoth(qemu, rhea, async (card) => {
    const seen: unknown[] = [await readAll(card, [RAL0, RAH0, VET])];
    let sum = 0;
    for (let address = 0; address < 64; address++) {
      await card.write(EERD, address << 8 | 1);
      const value = await card.read(EERD);
      sum += value >>> 16;
      // QEMU's subsystem there is not that of the PCI function, as it is here.
      const isKnown = address < 3 || address === 0x0d || address === 0x0e;
      seen.push(isKnown ? value : value & 0xffff);
    }
    seen.push(sum & 0xffff);
    for (const register of [2, 3, 4, 9, 16, 17]) {
      await card.write(MDIC, 1 << 27 | 1 << 21 | register << 16);
      seen.push(await card.read(MDIC));
    }
    await card.write(ICS, 0x95);
    await card.write(IMS, 0x91);
    await card.write(IMC, 0x10);
    seen.push(await readAll(card, [ICS, IMS, ICR, ICR, ICS]));
    await card.write(ICS, 0xc5);
    await card.write(ICR, 0x41);
    seen.push(await readAll(card, [IMS, ICR]));
    return seen;
  });
  assertEquals(wire, []);
});
