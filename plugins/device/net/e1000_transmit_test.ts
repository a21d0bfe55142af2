import { assert, assertEquals } from "@std/assert";
import {
  Command,
  E1000Bench,
  frameTo,
  MAC,
} from "../../../tests/devices/nic_bench.ts";
import {
  BROADCAST,
  packet,
  pseudo,
  put16,
  sums,
} from "../../../tests/devices/nic_packets.ts";
import {
  CTRL,
  CTRL_RST,
  CTRL_SLU,
  CTRL_VME,
  ICR,
  ICR_TXDW,
  ICR_TXQE,
  RCTL,
  RDBAH,
  RDLEN,
  RDT,
  Stat,
  TCTL,
  TDBAH,
  TDBAL,
  TDH,
  TDLEN,
  TDT,
  VFTA,
} from "./e1000_registers.ts";

const EN = 0x02;
const MPE = 0x10;
const BAM = 0x8000;
const VFE = 1 << 18;
const GROUP = [0x01, 0x00, 0x5e, 0x00, 0x12, 0x34];
const { EOP, IFCS, IC, TSE, RS, VLE } = Command;
const TX = EOP | IFCS | RS;
/** TUCMD: TCP over IPv4. */
const TCP4 = 3;
const TCP6 = 1;
const UDP4 = 2;
const IXSM = 1;
const TXSM = 2;

Deno.test("e1000: legacy descriptors: one frame from one or several", async () => {
  const card = await E1000Bench.create();
  card.start();
  const frame = frameTo(BROADCAST, 200);
  card.send(frame);
  assertEquals(card.sent(), [frame]);
  assertEquals(card.transmitStatus(0), 1);
  assertEquals(card.read(ICR), ICR_TXDW | ICR_TXQE);
  card.send(frame.subarray(0, 100), RS);
  assertEquals([card.sent(), card.read(TDH)], [[], 2]);
  card.send(frame.subarray(100), EOP);
  assertEquals(card.sent(), [frame]);
  // Without RS nothing is written back.
  assertEquals(card.transmitStatus(2), 0);
  for (let i = 0; i < 40; i++) card.send(frame);
  assertEquals([card.sent().length, card.read(TDH)], [40, (3 + 40) % 16]);
  // PSP pads; without it a frame is as long as it is.
  card.send(frame.subarray(0, 20));
  card.write(TCTL, 0x02);
  card.send(frame.subarray(0, 20));
  const [padded, short] = card.sent();
  assertEquals([padded.length, short.length], [60, 20]);
  assertEquals([...padded.subarray(20)], Array(40).fill(0));
  // Less than a header is no frame.
  card.send(frame.subarray(0, 13));
  assertEquals(card.sent(), []);
});

Deno.test("e1000: a legacy descriptor's checksum", async () => {
  const card = await E1000Bench.create();
  card.start();
  const { frame, transport } = packet("udp4", 33);
  put16(frame, transport + 6, pseudo(frame, frame.length - transport));
  card.send(frame, TX | IC, { css: transport, cso: transport + 6 });
  assertEquals(sums(card.sent()[0], transport)[1], 0xffff);
  // Places that are not in the frame change nothing.
  card.send(frame, TX | IC, { css: 200, cso: 40 });
  card.send(frame, TX | IC, { css: 14, cso: 74 });
  assertEquals(card.sent(), [frame, frame]);
  // A sum of zero is sent as its other form: zero would be none.
  const zero = new Uint8Array(60);
  zero.set([0xff, 0xff], 20);
  card.send(zero, TX | IC, { css: 20, cso: 30 });
  assertEquals([...card.sent()[0].subarray(30, 32)], [0xff, 0xff]);
});

Deno.test("e1000: a packet that is longer than the buffer is lost", async () => {
  const card = await E1000Bench.create();
  card.start();
  const half = frameTo(BROADCAST, 8192);
  card.send(half, RS);
  card.send(half, TX);
  assertEquals(card.sent().map(({ length }) => length), [16384]);
  card.send(half, RS);
  card.send(half.subarray(0, 8191), RS);
  card.send(half.subarray(0, 2), TX);
  assertEquals(card.sent(), []);
  card.send(half.subarray(0, 60));
  assertEquals(card.sent().length, 1, "the next one is not");
});

for (const offload of [false, true]) {
  const how = offload ? "left to the network" : "by the card";
  Deno.test(`e1000: checksums of data descriptors, ${how}`, async () => {
    const card = await E1000Bench.create({ offload });
    card.start();
    const { frame, transport } = packet("udp4", 33);
    put16(frame, transport + 6, pseudo(frame, frame.length - transport));
    const context = {
      ip: [14, 24, 33],
      tu: [transport, transport + 6, 0],
      tucmd: UDP4,
    } as const;
    card.sendWith(frame, context, TX, IXSM | TXSM);
    const [{ bytes, offload: left }] = card.net.sent;
    assertEquals(sums(bytes, transport)[0], 0xffff);
    if (offload) {
      assertEquals(left, { checksum: { start: transport, offset: 6 } });
    } else assertEquals(sums(bytes, transport)[1], 0xffff);
    card.net.sent.length = 0;
    // The context stays.
    card.sendWith(frame, context, TX, 0);
    assertEquals(card.sent(), [frame]);
  });
}

for (const kind of ["tcp4", "tcp6", "udp4"] as const) {
  Deno.test(`e1000: segmentation of ${kind}`, async () => {
    const card = await E1000Bench.create();
    card.start();
    const { frame, transport, headers } = packet(kind, 2500);
    const sum = transport + (kind === "udp4" ? 6 : 16);
    put16(frame, sum, pseudo(frame));
    card.sendWith(
      frame,
      {
        ip: [14, 24, kind === "tcp6" ? 53 : 33],
        tu: [transport, sum, 0],
        tucmd: TSE | (kind === "tcp6" ? TCP6 : kind === "tcp4" ? TCP4 : UDP4),
        hdrlen: headers,
        mss: 1000,
      },
      TX,
      IXSM | TXSM,
    );
    const frames = card.sent();
    assertEquals(frames.map((f) => f.length - headers), [1000, 1000, 500]);
    for (const f of frames) assertEquals(sums(f, transport), [0xffff, 0xffff]);
    const payload = frames.flatMap((f) => [...f.subarray(headers)]);
    assertEquals(Uint8Array.from(payload), frame.subarray(headers));
    if (kind !== "udp4") {
      assertEquals(frames.map((f) => f[transport + 13]), [0x10, 0x10, 0x19]);
    }
    assertEquals(card.read(Stat.TSCTC), kind === "udp4" ? 0 : 1);
    assertEquals(card.read(Stat.GPTC), 3);
  });
}

for (const kind of ["tcp4", "tcp6"] as const) {
  Deno.test(`e1000: segmentation of ${kind} left to the network, with a tag`, async () => {
    const card = await E1000Bench.create({ offload: true });
    card.start();
    card.write(CTRL, CTRL_SLU | CTRL_VME);
    const { frame, transport, headers } = packet(kind, 2500);
    put16(frame, transport + 16, pseudo(frame));
    const context = {
      ip: [14, 24, kind === "tcp6" ? 53 : 33],
      tu: [transport, transport + 16, 0],
      tucmd: TSE | (kind === "tcp6" ? TCP6 : TCP4),
      hdrlen: headers,
      mss: 1000,
    } as const;
    card.sendWith(frame, context, TX, IXSM | TXSM);
    card.sendWith(frame, context, TX | VLE, IXSM | TXSM, 0x2005);
    const [plain, tagged] = card.net.sent.splice(0);
    const length = frame.length - transport;
    assertEquals(plain.offload, {
      checksum: { start: transport, offset: 16 },
      segments: { kind, bytes: 1000, headers },
    });
    assertEquals(plain.bytes.length, frame.length);
    assertEquals(sums(plain.bytes, transport)[0], 0xffff);
    const at = transport + 16;
    assertEquals(
      plain.bytes[at] << 8 | plain.bytes[at + 1],
      pseudo(frame, length),
    );
    assertEquals(tagged.offload, {
      checksum: { start: transport + 4, offset: 16 },
      segments: { kind, bytes: 1000, headers: headers + 4 },
    });
    assertEquals([...tagged.bytes.subarray(12, 16)], [0x81, 0, 0x20, 5]);
    assertEquals(tagged.bytes.subarray(16), plain.bytes.subarray(12));
    // Each of the frames that it becomes is counted, by its own size.
    assertEquals(card.read(Stat.GPTC), 6);
    const sizes = [0, 4, 8, 12, 16, 20].map((at) => card.read(Stat.PTC64 + at));
    assertEquals(sizes, [0, 0, 0, 0, 2, 4]);
    assertEquals(
      card.read(Stat.GOTCL),
      2 * (frame.length + 2 * headers + 3 * 4) + 3 * 4,
    );
    // A context that is not what the frame is: the card does what it says.
    card.sendWith(frame, { ...context, ip: [16, 26, 35] }, TX, IXSM | TXSM);
    assert(card.net.sent.every(({ offload }) => offload === undefined));
  });
}

Deno.test("e1000: tags of VLANs go in and out", async () => {
  const card = await E1000Bench.create();
  card.start();
  const frame = frameTo(BROADCAST, 100);
  card.send(frame, TX | VLE, { special: 0x6123 });
  assertEquals(card.sent(), [frame]);
  card.write(CTRL, CTRL_SLU | CTRL_VME);
  card.send(frame, TX | VLE, { special: 0x6123 });
  const [tagged] = card.sent();
  assertEquals([...tagged.subarray(12, 16)], [0x81, 0, 0x61, 0x23]);
  assertEquals(tagged.subarray(16), frame.subarray(12));
  card.send(frame);
  assertEquals(card.sent(), [frame]);

  card.net.receive(tagged);
  const stripped = card.one();
  assertEquals([stripped.status & 8, stripped.special], [8, 0x6123]);
  assertEquals(stripped.length, 104);
  assertEquals(stripped.bytes.subarray(0, 100), frame);
  card.write(CTRL, CTRL_SLU);
  card.net.receive(tagged);
  const whole = card.one();
  assertEquals([whole.status & 8, whole.special], [0, 0]);
  assertEquals(whole.bytes.subarray(0, 104), tagged);
  // The table says which VLANs there are: this is 123h.
  card.write(RCTL, EN | BAM | VFE);
  card.net.receive(tagged);
  assertEquals(card.received(), []);
  card.write(VFTA + 4 * (0x123 >> 5), 1 << (0x123 & 31));
  card.net.receive(tagged);
  card.net.receive(frame);
  assertEquals(card.received().length, 2);
  // CFIEN: bit 12 of the tag must be CFI, here 0.
  card.write(RCTL, EN | BAM | 1 << 19);
  card.net.receive(tagged);
  card.write(RCTL, EN | BAM | 1 << 19 | 1 << 20);
  card.net.receive(tagged);
  assertEquals(card.received().length, 1);
});

Deno.test("e1000: statistics count frames and bytes, and are cleared by a read", async () => {
  const card = await E1000Bench.create();
  card.start(EN | BAM | MPE);
  for (const [to, length] of [[MAC, 60], [GROUP, 100], [BROADCAST, 1514]]) {
    const frame = frameTo(to as number[], length as number);
    card.net.receive(frame);
    card.send(frame);
  }
  const expected: [number, number][] = [
    [Stat.TPR, 3],
    [Stat.GPRC, 3],
    [Stat.BPRC, 1],
    [Stat.MPRC, 1],
    [Stat.PRC64, 1],
    [Stat.PRC64 + 4, 1],
    [Stat.PRC64 + 20, 1],
    [Stat.TPT, 3],
    [Stat.GPTC, 3],
    [Stat.BPTC, 1],
    [Stat.MPTC, 1],
    [Stat.PTC64, 1],
    [Stat.PTC64 + 4, 1],
    [Stat.PTC64 + 20, 1],
  ];
  for (const [register, value] of expected) {
    assertEquals(card.read(register), value, register.toString(16));
    assertEquals(card.read(register), 0);
  }
  for (const low of [Stat.GORCL, Stat.GOTCL, Stat.TORL, Stat.TOTL]) {
    const bytes = 60 + 100 + 1514 + 12;
    assertEquals([card.read(low), card.read(low)], [bytes, bytes]);
    // The upper half clears both.
    assertEquals([card.read(low + 4), card.read(low)], [0, 0]);
  }
});

Deno.test("e1000: rings that have no end, wild addresses, no bus master", async () => {
  const card = await E1000Bench.create();
  card.start();
  // A tail beyond the ring: once around, and no more until the next write.
  card.describe([0x10000, 0, 60 | TX << 24, 0]);
  card.write(TDT, 0xffff);
  assertEquals(card.sent().length, 1);
  card.bench.advance(10_000_000);
  assertEquals(card.read(TDH), 0);
  // A ring at an address that is nowhere, the longest that there is.
  card.write(TDBAH, 0xffffffff);
  card.write(TDBAL, 0xfffffff0);
  card.write(TDLEN, 0xffffffff);
  card.write(TDH, 0xffff);
  card.write(TDT, 5);
  card.write(RDBAH, 0xffffffff);
  card.write(RDLEN, 0xffffffff);
  card.write(RDT, 0xffff);
  assert(card.net.receive(frameTo(BROADCAST)));
  // A ring without descriptors.
  card.write(TDLEN, 0);
  card.write(TDT, 3);
  card.write(RDLEN, 0);
  card.net.receive(frameTo(BROADCAST));
  // Without bus mastering nothing is read; it goes on when there is.
  card.sent();
  card.start();
  card.bus.space.writeConfig(4, 2, 3);
  card.describe([0x10000, 0, 60 | TX << 24, 0]);
  card.kick(1);
  assertEquals([card.sent().length, card.read(TDH)], [0, 0]);
  assert(card.net.receive(frameTo(BROADCAST)));
  card.bus.space.writeConfig(4, 2, 7);
  assertEquals([card.sent().length, card.read(TDH)], [1, 1]);
});

Deno.test("e1000: a ring that is all work takes its time", async () => {
  const card = await E1000Bench.create();
  card.start();
  // 15 packets of 128 KiB in segments of 64 bytes: 30,720 frames.
  const { frame, transport, headers } = packet("tcp4", 30);
  const at = card.place(frame);
  const flags = EOP | TSE | Command.DEXT;
  card.describe([
    0,
    transport,
    (TSE | TCP4 | Command.DEXT) << 24,
    headers << 8,
  ]);
  card.kick(1);
  card.describe([
    14 | 24 << 8,
    transport | transport + 16 << 8,
    (TSE | TCP4 | Command.DEXT) << 24,
    headers << 8 | 64 << 16,
  ]);
  for (let i = 1; i < 14; i++) {
    card.describe([at, 0, 131072 | 1 << 20 | flags << 24, 3 << 8], i);
  }
  card.kick(14);
  const first = card.sent().length;
  const left = card.read(TDT) - card.read(TDH);
  assert(first > 0 && left > 0, `${first} frames, ${left} descriptors left`);
  card.bench.advance(50_000_000);
  assertEquals(card.read(TDH), card.read(TDT));
  assertEquals(first + card.sent().length, 13 * Math.ceil((131072 - 54) / 64));
  // A reset gives it no more time.
  card.write(TDH, 2);
  card.write(TDT, 15);
  assert(card.sent().length > 0);
  card.write(CTRL, CTRL_RST);
  card.start();
  card.send(frame);
  assertEquals(card.sent().length, 0);
  card.bench.advance(1_000_000);
  assertEquals(card.sent(), [frame]);
});

Deno.test("e1000: segments that are left to the network take their time, too", async () => {
  const card = await E1000Bench.create({ offload: true });
  card.start();
  const { frame, transport, headers } = packet("tcp4", 60_000);
  const at = card.place(frame);
  card.describe([
    14 | 24 << 8,
    transport | transport + 16 << 8,
    (TSE | TCP4 | Command.DEXT) << 24,
    headers << 8 | 1 << 16,
  ]);
  for (let i = 1; i < 15; i++) {
    const flags = EOP | TSE | Command.DEXT;
    card.describe([at, 0, frame.length | 1 << 20 | flags << 24, 3 << 8], i);
  }
  card.kick(15);
  assertEquals(card.sent().length, 1, "60,000 frames are enough");
  card.bench.advance(20_000_000);
  assertEquals(card.sent().length, 13);
});

Deno.test("e1000: a packet begun is part of the state", async () => {
  const card = await E1000Bench.create();
  card.start();
  const frame = frameTo(BROADCAST, 300);
  card.send(frame.subarray(0, 123), 0);
  const saved = card.bench.save();
  card.send(frame.subarray(123), EOP);
  assertEquals(card.sent(), [frame]);
  const second = await E1000Bench.create();
  second.start();
  second.bench.device.load(saved);
  // Whatever the network had for the card before, it may give it now.
  assertEquals(second.net.readyCount, 1);
  second.send(frame.subarray(123), EOP);
  assertEquals(second.sent(), [frame]);
});

Deno.test("e1000: its own registers do not answer its bus master", async () => {
  const card = await E1000Bench.create();
  const { bench } = card;
  card.start();
  let writes = 0;
  // The status of each descriptor is written to where TDT is: reads of the
  // bench's RAM stand for the bus.
  const ram = bench.ram;
  const set = ram.set.bind(ram);
  ram.set = (bytes, at) => {
    writes++;
    card.write(TDT, 9);
    assertEquals(card.read(TDT), 0xffffffff);
    set(bytes, at);
  };
  card.describe([0x10000, 0, 60 | TX << 24, 0]);
  card.write(TDT, 1);
  Reflect.deleteProperty(ram, "set");
  assertEquals([writes, card.read(TDT), card.sent().length], [1, 1, 1]);
});
