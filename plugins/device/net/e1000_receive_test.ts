import { assert, assertEquals } from "@std/assert";
import { internetSum } from "../../../core/backend/net_offload.ts";
import { E1000Bench, frameTo, MAC } from "../../../tests/devices/nic_bench.ts";
import {
  BROADCAST,
  packet,
  pseudo,
  put16,
} from "../../../tests/devices/nic_packets.ts";
import {
  ICR,
  ICR_RXDMT0,
  ICR_RXO,
  ICR_RXT0,
  ICR_SRPD,
  ICR_TXD_LOW,
  ICR_TXDW,
  ICR_TXQE,
  MDIC,
  MTA,
  RAH0,
  RAL0,
  RCTL,
  RDH,
  RDT,
  RSRPD,
  RXCSUM,
  Stat,
  TXDCTL,
} from "./e1000_registers.ts";

const EN = 0x02;
const UPE = 0x08;
const MPE = 0x10;
const LPE = 0x20;
const BAM = 0x8000;
const SECRC = 1 << 26;
const GROUP = [0x01, 0x00, 0x5e, 0x00, 0x12, 0x34];

Deno.test("e1000: what is received: addresses, groups, all", async () => {
  const card = await E1000Bench.create();
  const OTHER = [0x52, 0x54, 0, 0x12, 0x34, 0x57];
  /** Which of ours, another's, a group's and all's come in. */
  const passes = (rctl: number): string => {
    card.write(RCTL, rctl);
    let letters = "";
    const frames = { m: MAC, o: OTHER, g: GROUP, b: BROADCAST };
    for (const [letter, to] of Object.entries(frames)) {
      assert(card.net.receive(frameTo(to)));
      if (card.received().length === 1) letters += letter;
      card.refill();
    }
    return letters;
  };
  card.start();
  assertEquals(passes(0), "");
  assertEquals(passes(EN), "m");
  assertEquals(passes(EN | BAM), "mb");
  assertEquals(passes(EN | UPE), "mo");
  assertEquals(passes(EN | MPE), "mgb");
  assertEquals(passes(EN | UPE | MPE | BAM), "mogb");
  card.write(RAL0 + 8, 0x12005452);
  card.write(RAH0 + 8, 0x5734);
  assertEquals(passes(EN), "m");
  card.write(RAH0 + 8, 0x80005734);
  assertEquals(passes(EN), "mo");
  // By the source address.
  card.write(RAL0 + 8, 0x00000002);
  card.write(RAH0 + 8, 0x80010100);
  assertEquals(passes(EN), "mogb");
  card.write(RAH0 + 8, 0);
  // MO chooses 12 bits of the address' last 16, 3412h.
  for (const [mo, shift] of [[0, 4], [1, 3], [2, 2], [3, 0]]) {
    const index = 0x3412 >> shift & 0xfff;
    card.write(MTA + 4 * (index >> 5), 1 << (index & 31));
    assertEquals(passes(EN | mo << 12), "mg", `MO ${mo}`);
    card.write(MTA + 4 * (index >> 5), 0);
    assertEquals(passes(EN | mo << 12), "m");
  }
});

Deno.test("e1000: lengths: padding, the check sequence, long frames", async () => {
  const card = await E1000Bench.create();
  card.start();
  card.net.receive(frameTo(BROADCAST, 20));
  const short = card.one();
  assertEquals([short.length, short.status], [64, 7]);
  assertEquals([...short.bytes.subarray(20, 60)], Array(40).fill(0));
  card.write(RCTL, EN | BAM | SECRC);
  card.net.receive(frameTo(BROADCAST, 1518));
  assertEquals(card.one().length, 1518);
  assert(card.net.receive(frameTo(BROADCAST, 1519)));
  assertEquals([card.received(), card.read(Stat.ROC)], [[], 1]);
  card.write(RCTL, EN | BAM | LPE);
  card.net.receive(frameTo(BROADCAST, 9000));
  const parts = card.received();
  assertEquals(parts.map(({ length }) => length), [
    ...[2048, 2048, 2048, 2048, 812],
  ]);
  assertEquals(parts.map(({ status }) => status & 2), [0, 0, 0, 0, 2]);
  const bytes = parts.flatMap((part) => [...part.bytes]);
  assertEquals(
    Uint8Array.from(bytes).subarray(0, 9000),
    frameTo(BROADCAST, 9000),
  );
  card.refill();
  assert(card.net.receive(frameTo(BROADCAST, 16381)));
  assertEquals(card.received(), []);
});

Deno.test("e1000: sizes of buffers", async () => {
  for (
    const [bsize, bsex, expected] of [
      ...[[0, 0, 2048], [1, 0, 1024], [2, 0, 512], [3, 0, 256]],
      ...[[1, 1, 16384], [2, 1, 8192], [3, 1, 4096]],
    ]
  ) {
    const card = await E1000Bench.create({ bufferBytes: 16384 });
    card.start(EN | BAM | LPE | SECRC | bsize << 16 | bsex << 25);
    card.net.receive(frameTo(BROADCAST, 3000));
    const lengths = card.received().map(({ length }) => length);
    const full = Math.floor(3000 / expected);
    assertEquals(lengths, [
      ...Array(full).fill(expected),
      ...[3000 - full * expected],
    ]);
  }
});

Deno.test("e1000: a descriptor without a buffer is used up, and takes nothing", async () => {
  const card = await E1000Bench.create();
  card.start(EN | BAM | SECRC);
  card.withoutBuffer(0);
  const frame = frameTo(BROADCAST, 100);
  card.net.receive(frame);
  const [none, whole] = card.received();
  assertEquals([none.length, none.status & 3], [0, 1]);
  assertEquals([whole.length, whole.status & 3], [100, 3]);
  assertEquals(whole.bytes, frame);
  assertEquals([...card.bench.ram.subarray(0, 100)], Array(100).fill(0));
  // All of them: the frame is lost.
  for (let n = 0; n < 16; n++) card.withoutBuffer(n);
  card.refill();
  card.read(ICR);
  assert(card.net.receive(frame));
  assertEquals(card.read(ICR) & ICR_RXO, ICR_RXO);
});

Deno.test("e1000: checksums of what is received", async () => {
  const card = await E1000Bench.create();
  card.start(EN | BAM | SECRC);
  const status = (frame: Uint8Array): number[] => {
    card.net.receive(frame);
    const { status, errors } = card.one();
    card.refill();
    return [status & 0x64, errors];
  };
  const sum = (frame: Uint8Array, at: number, from: number, start: number) =>
    put16(frame, at, ~internetSum(frame, from, frame.length, start) & 0xffff);
  const tcp = packet("tcp4", 100);
  put16(tcp.frame, 24, ~internetSum(tcp.frame, 14, 34) & 0xffff);
  sum(tcp.frame, 50, 34, pseudo(tcp.frame, 120));
  assertEquals(status(tcp.frame), [0x04, 0]);
  card.write(RXCSUM, 0x100);
  assertEquals(status(tcp.frame), [0x40, 0]);
  card.write(RXCSUM, 0x300);
  assertEquals(status(tcp.frame), [0x60, 0]);
  const changed = (at: number): Uint8Array => {
    const frame = tcp.frame.slice();
    frame[at] ^= 1;
    return frame;
  };
  assertEquals(status(changed(100)), [0x60, 0x20]);
  assertEquals(status(changed(22)), [0x60, 0x40]);
  // A fragment, something else, a length beyond the frame's end.
  assertEquals(status(changed(21)), [0x40, 0x40]);
  assertEquals(status(frameTo(BROADCAST)), [0x04, 0]);
  assertEquals(status(tcp.frame.subarray(0, 100)), [0x04, 0]);
  const udp = packet("udp4", 100);
  put16(udp.frame, 24, ~internetSum(udp.frame, 14, 34) & 0xffff);
  assertEquals(status(udp.frame), [0x40, 0], "no checksum");
  sum(udp.frame, 40, 34, pseudo(udp.frame, 108));
  assertEquals(status(udp.frame), [0x60, 0]);
  const six = packet("tcp6", 100);
  sum(six.frame, 70, 54, pseudo(six.frame, 120));
  assertEquals(status(six.frame), [0x20, 0]);
  // PCSS: where the packet checksum begins.
  card.write(RXCSUM, 34);
  card.net.receive(tcp.frame);
  assertEquals(card.one().checksum, internetSum(tcp.frame, 34, 154));
});

Deno.test("e1000: without descriptors frames wait; the network hears of room", async () => {
  const card = await E1000Bench.create();
  card.start(EN | BAM | SECRC);
  const frame = (n: number) => frameTo(BROADCAST, 60 + n);
  for (let n = 0; n < 15; n++) assert(card.net.receive(frame(n)));
  assert(!card.net.receive(frame(15)));
  assertEquals([card.net.readyCount, card.read(Stat.RNBC)], [0, 1]);
  for (let n = 15; n < 20; n++) card.net.inject(frame(n));
  assertEquals(card.net.waiting, 5);
  assertEquals(card.received().length, 15);
  card.refill();
  assertEquals(card.net.readyCount, 1);
  await Promise.resolve();
  assertEquals(card.net.waiting, 0);
  assertEquals(card.received().map(({ length }) => length), [
    ...[75, 76, 77, 78, 79],
  ]);
  // A frame that is longer than all buffers together is lost.
  card.write(RCTL, EN | BAM | LPE | 3 << 16);
  card.refill();
  card.read(ICR);
  assert(card.net.receive(frameTo(BROADCAST, 4000)));
  assertEquals([card.read(ICR), card.read(Stat.MPC)], [ICR_RXO, 1]);
  // Who switches the receiver off has room for all.
  card.write(RDT, card.read(RDH));
  assert(!card.net.receive(frame(0)));
  card.write(RCTL, 0);
  assertEquals(card.net.readyCount, 2);
  assert(card.net.receive(frame(0)));
  // A reset ends the wait, too.
  card.start(EN | BAM);
  card.write(RDT, 0);
  assert(!card.net.receive(frame(0)));
  card.bench.device.reset();
  assertEquals(card.net.readyCount, 3);
});

Deno.test("e1000: interrupts for few descriptors and small frames", async () => {
  const card = await E1000Bench.create();
  // RDMTS: a quarter of 16.
  card.start(EN | BAM | 1 << 8);
  card.read(ICR);
  const causes = Array.from({ length: 15 }, () => {
    card.net.receive(frameTo(BROADCAST));
    return card.read(ICR);
  });
  assertEquals(
    causes,
    causes.map((_, i) => i === 10 ? ICR_RXT0 | ICR_RXDMT0 : ICR_RXT0),
  );
  card.received();
  card.refill();
  card.write(RSRPD, 64);
  card.net.receive(frameTo(BROADCAST, 60));
  assertEquals(card.read(ICR), ICR_RXT0 | ICR_SRPD);
  card.net.receive(frameTo(BROADCAST, 61));
  assertEquals(card.read(ICR), ICR_RXT0);
  // LWTHRESH, in units of eight descriptors.
  card.write(TXDCTL, 1 << 25);
  card.send(frameTo(BROADCAST));
  assertEquals(card.read(ICR), ICR_TXDW | ICR_TXQE | ICR_TXD_LOW);
});

Deno.test("e1000: loopback by the PHY and by the MAC", async () => {
  const card = await E1000Bench.create();
  card.start(EN | BAM | SECRC);
  const frame = frameTo(BROADCAST, 99);
  card.write(MDIC, 1 << 26 | 1 << 21 | 0x4140);
  card.send(frame);
  assertEquals([card.sent(), card.one().bytes], [[], frame]);
  // What is on the wire does not come in.
  assert(card.net.receive(frame));
  assertEquals(card.received(), []);
  card.write(MDIC, 1 << 26 | 1 << 21 | 0x1140);
  card.write(RCTL, EN | BAM | SECRC | 1 << 6);
  card.send(frame);
  assertEquals([card.sent(), card.one().bytes], [[], frame]);
  // Without descriptors it is lost.
  card.write(RDT, card.read(RDH));
  card.read(ICR);
  card.send(frame);
  assertEquals(card.read(ICR) & ICR_RXO, ICR_RXO);
});
