import { assert, assertEquals } from "@std/assert";
import { internetSum } from "../../../core/backend/net_offload.ts";
import {
  Command,
  E1000Bench,
  frameTo,
  MAC,
} from "../../../tests/devices/nic_bench.ts";
import {
  CTRL,
  CTRL_RST,
  CTRL_SLU,
  CTRL_VME,
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
  RDBAH,
  RDH,
  RDLEN,
  RDT,
  RSRPD,
  RXCSUM,
  Stat,
  TCTL,
  TDBAH,
  TDBAL,
  TDH,
  TDLEN,
  TDT,
  TXDCTL,
  VFTA,
} from "./e1000_registers.ts";

const BROADCAST = [255, 255, 255, 255, 255, 255];
const GROUP = [0x01, 0x00, 0x5e, 0x00, 0x12, 0x34];
const EN = 0x02;
const UPE = 0x08;
const MPE = 0x10;
const LPE = 0x20;
const BAM = 0x8000;
const VFE = 1 << 18;
const SECRC = 1 << 26;
const { EOP, IFCS, IC, TSE, RS, VLE } = Command;
const TX = EOP | IFCS | RS;
/** TUCMD: TCP over IPv4. */
const TCP4 = 3;
const TCP6 = 1;
const UDP4 = 2;
const IXSM = 1;
const TXSM = 2;

/** A frame of UDP or TCP, with headers but no checksums. */
function packet(
  kind: "tcp4" | "tcp6" | "udp4",
  payload: number,
): { frame: Uint8Array; transport: number; headers: number } {
  const isIpv6 = kind === "tcp6";
  const transport = isIpv6 ? 54 : 34;
  const headers = transport + (kind === "udp4" ? 8 : 20);
  const frame = frameTo(BROADCAST, headers + payload, isIpv6 ? 0x86dd : 0x800);
  const view = new DataView(frame.buffer);
  const protocol = kind === "udp4" ? 17 : 6;
  frame.fill(0, 14, headers);
  if (isIpv6) {
    frame[14] = 0x60;
    view.setUint16(18, frame.length - 54);
    frame[20] = protocol;
    for (let i = 22; i < 54; i++) frame[i] = i;
  } else {
    frame[14] = 0x45;
    view.setUint16(16, frame.length - 14);
    view.setUint16(18, 0x1234);
    frame.set([64, protocol], 22);
    frame.set([10, 0, 2, 15, 10, 0, 2, 2], 26);
  }
  frame.set([0x12, 0x34, 0, 80], transport);
  if (protocol === 6) {
    view.setUint32(transport + 4, 1000);
    frame.set([0x50, 0x19], transport + 12);
  } else view.setUint16(transport + 4, frame.length - transport);
  return { frame, transport, headers };
}

/** The pseudo header's sum, with the length where it is given. */
function pseudo(frame: Uint8Array, length = 0): number {
  const sum = frame[12] === 0x86
    ? internetSum(frame, 22, 54, frame[20])
    : internetSum(frame, 26, 34, frame[23]);
  return internetSum(frame, 0, 0, sum + length);
}

/** The sums of a frame: FFFFh each when its checksums are right. */
function sums(frame: Uint8Array, transport: number): number[] {
  const isIpv6 = frame[12] === 0x86;
  return [
    isIpv6 ? 0xffff : internetSum(frame, 14, 34),
    internetSum(
      frame,
      transport,
      frame.length,
      pseudo(frame, frame.length - transport),
    ),
  ];
}

const put16 = (frame: Uint8Array, at: number, value: number): void =>
  frame.set([value >> 8, value & 255], at);

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
