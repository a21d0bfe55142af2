import { assert, assertEquals, assertThrows } from "@std/assert";
import type { FrameOffload } from "../../../core/backend/net.ts";
import { internetChecksum } from "../../../core/backend/net_offload.ts";
import { settled } from "../../../tests/devices/ide_bench.ts";
import { NEEDS_RESET } from "../../../tests/devices/virtio_bench.ts";
import {
  card,
  CTRL,
  header,
  type NetBench,
  NetFeature as F,
  RX,
  SIZES,
  TX,
} from "../../../tests/devices/virtio_net_bench.ts";
import { NET } from "./net.ts";

const OK = 0;
const ERR = 1;
const MAC = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const NEEDS_CSUM = 1;
const TCPV4 = 1;
const TCPV6 = 4;
const ECN = 0x80;

async function started(
  options: Parameters<typeof card>[1] & { without?: readonly number[] } = {},
): Promise<NetBench> {
  const made = await card("mmio", options);
  made.driver.start(options.without, 3, SIZES);
  return made;
}

/** A frame to an address, with a body that is like no other's. */
function frame(
  { to = MAC, length = 60, type = [8, 0], seed = 1 }: {
    readonly to?: readonly number[];
    readonly length?: number;
    readonly type?: readonly number[];
    readonly seed?: number;
  } = {},
): Uint8Array {
  const bytes = Uint8Array.from(
    { length },
    (_, i) => i * 7 + (i >> 8) * 3 + seed,
  );
  bytes.set([...to, 2, 0, 0, 0, 0, 9, ...type]);
  return bytes;
}

/** TCP with so much payload, and where it begins. */
function tcp(
  payload: number,
  { ipv6 = false, length = true } = {},
): { bytes: Uint8Array; start: number; headers: number } {
  const start = 14 + (ipv6 ? 40 : 20);
  const headers = start + 20;
  const bytes = frame({
    length: headers + payload,
    type: ipv6 ? [0x86, 0xdd] : [8, 0],
  });
  const view = new DataView(bytes.buffer);
  bytes.fill(0, 14, headers);
  if (ipv6) {
    bytes[14] = 0x60;
    if (length) view.setUint16(18, 20 + payload);
    bytes[20] = 6;
    bytes.fill(7, 22, 54);
  } else {
    bytes.set([0x45, 0], 14);
    if (length) view.setUint16(16, 40 + payload);
    bytes.set([64, 6], 22);
    bytes.fill(7, 26, 34);
    view.setUint16(24, internetChecksum(bytes, 14, 34));
  }
  view.setUint32(start + 4, 1000);
  bytes[start + 12] = 0x50;
  bytes[start + 13] = 0x18;
  // The pseudo header's sum.
  const addresses = ipv6 ? 16 * 0x0707 : 4 * 0x0707;
  view.setUint16(start + 16, (addresses + 6 + 20 + payload) % 0xffff);
  return { bytes, start, headers };
}

/** Whether the checksum of TCP in a frame is right, whatever its length. */
function isSummed(bytes: Uint8Array, start: number, ipv6 = false): boolean {
  const addresses = ipv6 ? 16 * 0x0707 : 4 * 0x0707;
  const pseudo = addresses + 6 + bytes.length - start;
  return internetChecksum(bytes, start, bytes.length, pseudo) === 0;
}

Deno.test("virtio-net: the configuration space", async () => {
  const { driver: { port } } = await started({
    config: { mac: "02:00:00:00:00:2a", mtu: 9000 },
  });
  assertEquals(port.config(0), 0x00000002);
  assertEquals(port.config(4, 2), 0x2a00);
  assertEquals([port.config(6, 2), port.config(8, 2)], [1, 1]);
  assertEquals(port.config(10, 2), 9000);
  assertEquals([port.config(12), port.config(16, 1)], [10_000, 1]);
  const offered = [port.features(0), port.features(1)];
  for (const [name, bit] of Object.entries(F)) {
    assertEquals(offered[bit >> 5] >>> (bit & 31) & 1, 1, name);
  }
  port.writeConfig(0, 0xff, 1);
  assertEquals(port.config(0), 2, "it is read-only");
});

Deno.test("virtio-net: an address that is none is refused", () => {
  for (const mac of ["", "52:54:00:12:34", "01:00:00:00:00:00", "x"]) {
    assertThrows(() => NET.check!({ mac, mtu: 1500 }), Error, "MAC");
  }
  NET.check!({ mac: "52:54:00:ab:CD:ef", mtu: 1500 });
});

Deno.test("virtio-net: packets are sent, however they are divided", async () => {
  const { driver, net } = await started();
  const bytes = frame({ length: 1514 });
  assertEquals(driver.send(header(), bytes), 1);
  const whole = new Uint8Array([...header(), ...bytes]);
  driver.send(whole);
  driver.send(whole.slice(0, 5), whole.slice(5, 20), whole.slice(20));
  const [{ address }] = [driver.place(whole)];
  const queue = driver.queues[TX];
  const table = driver.alloc(64);
  queue.offer(queue.indirect([
    { address, length: 12 },
    { address: address + 12, length: 1514 },
  ], table));
  driver.port.notify(TX);
  assertEquals(queue.take().map(({ length }) => length), [0]);
  assertEquals(net.sent, Array(4).fill({ bytes }));
});

Deno.test("virtio-net: packets of all sizes, and what is no frame", async () => {
  const { driver, net } = await started();
  for (const length of [14, 60, 65536 + 22]) {
    assertEquals(driver.send(header(), frame({ length })), 1);
    assertEquals(net.sent.pop()!.bytes.length, length);
  }
  for (const length of [0, 13, 65536 + 23]) {
    const bytes = new Uint8Array(length);
    assertEquals(driver.send(header(), bytes), 1);
  }
  assertEquals(net.sent, []);
  assertEquals(driver.port.status & NEEDS_RESET, 0);
  driver.send(header().slice(0, 11));
  assertEquals(driver.port.status & NEEDS_RESET, NEEDS_RESET);
});

Deno.test("virtio-net: many packets by one notification, with one interrupt", async () => {
  const { driver, net, bench } = await started();
  const queue = driver.queues[TX];
  const frames = Array.from(
    { length: 100 },
    (_, i) => frame({ seed: i, length: 100 + i }),
  );
  for (const bytes of frames) driver.offer(header(), bytes);
  queue.setUsedEvent(50);
  bench.takeEdges("irq");
  driver.port.notify(TX);
  assertEquals(net.sent.map(({ bytes }) => bytes), frames);
  assertEquals(queue.take().length, 100);
  assertEquals(bench.takeEdges("irq"), [true]);
  assertEquals(queue.availableEvent, 100);
});

Deno.test("virtio-net: what a driver leaves undone goes to the network", async () => {
  const { driver, net } = await started({ offload: true });
  const { bytes, start, headers } = tcp(5000);
  const checksum = { start, offset: 16 };
  driver.send(header({ flags: NEEDS_CSUM, start, offset: 16 }), bytes);
  const fields = { flags: NEEDS_CSUM, start, offset: 16, size: 1000 };
  // The hint is not looked at.
  for (const hint of [0, headers, 0xffff]) {
    driver.send(header({ ...fields, gso: TCPV4, headers: hint }), bytes);
  }
  driver.send(header({ ...fields, gso: TCPV4 | ECN }), bytes);
  const six = tcp(3000, { ipv6: true });
  driver.send(
    header({ ...fields, gso: TCPV6, start: six.start }),
    six.bytes,
  );
  const segments = { kind: "tcp4", bytes: 1000, headers } as const;
  assertEquals(net.sent, [
    { bytes, offload: { checksum } },
    ...Array(4).fill({ bytes, offload: { checksum, segments } }),
    {
      bytes: six.bytes,
      offload: {
        checksum: { start: six.start, offset: 16 },
        segments: { kind: "tcp6", bytes: 1000, headers: six.headers },
      },
    },
  ]);
});

Deno.test("virtio-net: or is done in software", async () => {
  const { driver, net } = await started();
  for (const ipv6 of [false, true]) {
    const { bytes, start, headers } = tcp(5000, { ipv6 });
    const gso = ipv6 ? TCPV6 : TCPV4;
    const fields = { flags: NEEDS_CSUM, start, offset: 16 };
    driver.send(header({ ...fields, gso, size: 1448 }), bytes);
    const sent = net.sent.splice(0);
    assertEquals(
      sent.map(({ bytes }) => bytes.length - headers),
      [1448, 1448, 1448, 656],
    );
    assert(sent.every((s) => isSummed(s.bytes, start, ipv6)));
    assert(sent.every((s) => s.offload === undefined));
    const payload = sent.flatMap(({ bytes }) => [...bytes.slice(headers)]);
    assertEquals(Uint8Array.from(payload), bytes.slice(headers));
    driver.send(header(fields), bytes);
    assert(isSummed(net.sent.pop()!.bytes, start, ipv6));
  }
});

Deno.test("virtio-net: lying headers are not believed", async () => {
  for (const offload of [false, true]) {
    const { driver, net } = await started({ offload });
    const { bytes, start } = tcp(5000);
    const good = {
      flags: NEEDS_CSUM,
      gso: TCPV4,
      size: 1000,
      start,
      offset: 16,
    };
    const six = tcp(100, { ipv6: true }).bytes;
    const udp = bytes.slice();
    udp[23] = 17;
    const short = bytes.slice(0, start + 19);
    const wide = bytes.slice();
    wide[start + 12] = 0xf0;
    const narrow = bytes.slice();
    narrow[start + 12] = 0x40;
    const options = bytes.slice();
    options[14] = 0x4f;
    for (
      const [fields, data] of [
        [{ ...good, flags: 0 }, bytes],
        [{ ...good, start: 0 }, bytes],
        [{ ...good, start: 0xffff }, bytes],
        [{ ...good, offset: 0xffff }, bytes],
        [{ ...good, offset: 6 }, bytes],
        [{ ...good, start: start + 4 }, bytes],
        [{ ...good, size: 0 }, bytes],
        [{ ...good, size: 7 }, bytes],
        [{ ...good, gso: 2 }, bytes],
        [{ ...good, gso: 3 }, bytes],
        [{ ...good, gso: TCPV6 }, bytes],
        [good, six],
        [good, udp],
        [good, short],
        [good, wide.slice(0, start + 60)],
        [good, narrow],
        [good, options],
        [good, bytes.slice(0, 14)],
        [good, frame({ length: 300, type: [0x81, 0] })],
        [{ flags: NEEDS_CSUM, start: 14, offset: 5000 + 40 }, bytes],
        [{ flags: NEEDS_CSUM, start: 12, offset: 0 }, bytes],
      ] as const
    ) {
      assertEquals(driver.send(header(fields), data), 1);
      assertEquals(net.sent, [], JSON.stringify(fields));
    }
    assertEquals(driver.port.status & NEEDS_RESET, 0);
    driver.send(header({ ...good, size: 0xffff }), bytes);
    assertEquals(net.sent.length, 1);
  }
});

Deno.test("virtio-net: nothing is left undone that was not negotiated", async () => {
  const { bytes, start } = tcp(3000);
  const fields = { flags: NEEDS_CSUM, start, offset: 16 };
  const plain = await started({ without: [F.CSUM], offload: true });
  plain.driver.send(header(fields), bytes);
  assertEquals(plain.net.sent, []);
  const whole = await started({ without: [F.HOST_TSO4], offload: true });
  whole.driver.send(header({ ...fields, gso: TCPV4, size: 1000 }), bytes);
  assertEquals(whole.net.sent, []);
  whole.driver.send(header(fields), bytes);
  assertEquals(whole.net.sent.length, 1);
});

Deno.test("virtio-net: tiny segments take the guest's time, not the host's", async () => {
  const { driver, net, bench } = await started();
  const { bytes, start } = tcp(60_000);
  const lie = { flags: NEEDS_CSUM, gso: TCPV4, size: 8, start, offset: 16 };
  const packet = driver.place(new Uint8Array([...header(lie), ...bytes]));
  const queue = driver.queues[TX];
  for (let i = 0; i < 200; i++) queue.offer(queue.chain([packet]));
  let count = 0;
  net.onSend = () => count++;
  driver.port.notify(TX);
  const first = count;
  assert(first >= 7500 && first < 40_000, `${first} at once`);
  for (let i = 0; i < 200; i++) bench.advance(10_000_000);
  assertEquals([count, queue.take().length], [200 * 7500, 200]);
});

Deno.test("virtio-net: frames come to the guest", async () => {
  const { driver, net, bench } = await started();
  driver.give([1526], [12, 1514], [5, 3, 4, 100, 1500]);
  bench.takeEdges("irq");
  const frames = [60, 1514, 700].map((length) => frame({ length }));
  for (const bytes of frames) assert(net.receive(bytes));
  const packets = await driver.take();
  const expected = header();
  expected[10] = 1;
  assertEquals(packets.map((p) => p.header), Array(3).fill(expected));
  assertEquals(packets.map((p) => p.frame), frames);
  // Those of one turn come with one interrupt.
  assertEquals(bench.takeEdges("irq"), [true]);
});

Deno.test("virtio-net: a frame goes to as many buffers as it takes", async () => {
  const { driver, net } = await started();
  driver.give(...Array(20).fill([600, 400]));
  const bytes = frame({ length: 9000 });
  assert(net.receive(bytes));
  const exact = frame({ length: 2988, seed: 3 });
  assert(net.receive(exact));
  const [first, second] = await driver.take();
  assertEquals(first.lengths, [...Array(9).fill(1000), 12]);
  assertEquals([first.frame, first.header[10]], [bytes, 10]);
  assertEquals(second.lengths, [1000, 1000, 1000]);
  assertEquals([second.frame, second.header[10]], [exact, 3]);
});

Deno.test("virtio-net: without room a frame is not taken, and room is told of", async () => {
  for (const without of [[], [F.EVENT_IDX]]) {
    const { driver, net } = await started({ without });
    assertEquals(net.receive(frame()), false);
    driver.give([1000], [1000]);
    assertEquals(net.readyCount, 1);
    // One that needs three leaves the two as they were.
    net.inject(frame({ length: 2500 }));
    assertEquals([net.waiting, (await driver.take()).length], [1, 0]);
    if (without.length === 0) {
      assertEquals(driver.queues[RX].availableEvent, 2);
    }
    driver.give([1000]);
    const [packet] = await driver.take();
    assertEquals([packet.frame.length, net.waiting], [2500, 0]);
    assertEquals(net.readyCount, 2);
    driver.give([1526]);
    assertEquals(net.readyCount, 2, "nobody waits");
  }
});

Deno.test("virtio-net: buffers too small for a frame stay where they are", async () => {
  const { driver, net } = await started({ without: [F.MRG_RXBUF] });
  driver.give([100], [1526]);
  assert(net.receive(frame({ length: 200 })), "it is lost");
  assert(net.receive(frame({ length: 88 })));
  assert(net.receive(frame({ length: 200 })));
  const packets = await driver.take();
  assertEquals(packets.map((p) => p.frame.length), [88, 200]);
  const merged = await started();
  merged.driver.give(...Array(256).fill([13]));
  assert(merged.net.receive(frame({ length: 9000 })), "it is lost");
  assertEquals(merged.net.readyCount, 0);
  assert(merged.net.receive(frame({ length: 60 })));
  assertEquals((await merged.driver.take())[0].lengths.length, 6);
});

Deno.test("virtio-net: a receive buffer that nothing can be written to", async () => {
  const { driver, net } = await started();
  driver.give([11]);
  assert(net.receive(frame()));
  assertEquals(driver.port.status & NEEDS_RESET, NEEDS_RESET);
  assert(net.receive(frame()));
  driver.start([], 3, SIZES);
  driver.give([1526]);
  assert(net.receive(frame()));
  assertEquals((await driver.take()).length, 1);
});

Deno.test("virtio-net: what the network leaves undone goes to the driver", async () => {
  const { driver, net } = await started();
  driver.give(...Array(40).fill([4096]));
  for (const ipv6 of [false, true]) {
    const { bytes, start, headers } = tcp(40_000, { ipv6 });
    const checksum = { start, offset: 16 };
    const kind = ipv6 ? "tcp6" : "tcp4";
    const segments = { kind, bytes: 1448, headers } as const;
    assert(net.receive(bytes, { checksum, segments }));
    const gso = ipv6 ? TCPV6 : TCPV4;
    const expected = header({
      ...{ flags: NEEDS_CSUM, gso, headers, size: 1448, start, offset: 16 },
    });
    expected[10] = 10;
    const [packet] = await driver.take();
    assertEquals(packet, { ...packet, header: expected, frame: bytes });
    assert(net.receive(bytes, { checksum }));
    const [simple] = await driver.take();
    assertEquals(
      simple.header.slice(0, 10),
      header({
        ...{ flags: NEEDS_CSUM, start, offset: 16 },
      }).slice(0, 10),
    );
    // And the next one says nothing of it.
    assert(net.receive(frame()));
    const [next] = await driver.take();
    assertEquals(next.header.slice(0, 10), new Uint8Array(10));
    driver.give(...Array(21).fill([4096]));
  }
});

Deno.test("virtio-net: a wrong length of IP is made right for the guest", async () => {
  const { driver, net } = await started();
  driver.give(...Array(40).fill([4096]));
  for (const ipv6 of [false, true]) {
    const { bytes, start, headers } = tcp(20_000, { ipv6, length: false });
    const before = bytes.slice();
    const kind = ipv6 ? "tcp6" : "tcp4";
    assert(net.receive(bytes, {
      checksum: { start, offset: 16 },
      segments: { kind, bytes: 1448, headers },
    }));
    const [{ frame }] = await driver.take();
    assertEquals(frame, tcp(20_000, { ipv6 }).bytes);
    assertEquals(bytes, before, "the network's bytes stay");
  }
});

Deno.test("virtio-net: for a driver that does not take it, it is done in software", async () => {
  for (const without of [[F.GUEST_CSUM], [F.GUEST_TSO4], [F.MRG_RXBUF]]) {
    const { driver, net } = await started({ without });
    const { bytes, start, headers } = tcp(5000);
    const before = bytes.slice();
    const checksum = { start, offset: 16 };
    const segments = { kind: "tcp4", bytes: 1448, headers } as const;
    const isWhole = without[0] === F.MRG_RXBUF;
    net.inject(bytes, { checksum, segments });
    driver.give(...Array(3).fill([1600, 8000]));
    await settled();
    assertEquals(net.waiting, isWhole ? 0 : 1, "all segments or none");
    driver.give([1600, 8000]);
    const packets = await driver.take();
    if (isWhole) {
      assertEquals(packets.map((p) => p.frame), [bytes]);
      continue;
    }
    assertEquals(
      packets.map((p) => p.frame.length - headers),
      [1448, 1448, 1448, 656],
    );
    assert(packets.every((p) => isSummed(p.frame, start)));
    assert(packets.every((p) => p.header[0] === 0 && p.header[1] === 0));
    driver.give([8000]);
    net.receive(bytes, { checksum });
    const [packet] = await driver.take();
    const isTold = without[0] !== F.GUEST_CSUM;
    assertEquals(isSummed(packet.frame, start), !isTold);
    assertEquals(packet.header[0], isTold ? NEEDS_CSUM : 0);
    assertEquals(bytes, before, "the network's bytes stay");
  }
});

Deno.test("virtio-net: offloads that do not fit the frame are lost", async () => {
  for (const without of [[], [F.GUEST_CSUM]]) {
    const { driver, net } = await started({ without });
    driver.give(...Array(200).fill([2048]));
    const { bytes, start, headers } = tcp(2000);
    const checksum = { start, offset: 16 };
    const tcp4 = { kind: "tcp4", bytes: 1000, headers } as const;
    const offloads: FrameOffload[] = [
      { checksum: { start: 2000, offset: 3000 } },
      { checksum: { start: -5, offset: 6 } },
      { checksum: { start: 0x10000, offset: 0 } },
      { checksum, segments: { ...tcp4, kind: "tcp6" } },
      { checksum, segments: { ...tcp4, bytes: 0 } },
      { checksum, segments: { ...tcp4, bytes: -1 } },
      { checksum, segments: { ...tcp4, bytes: 2 } },
    ];
    for (const offload of offloads) {
      assert(net.receive(bytes, offload));
      assertEquals(await driver.take(), [], JSON.stringify(offload));
    }
    assert(net.receive(new Uint8Array(13)));
    assert(net.receive(new Uint8Array(70_000)));
    assertEquals(await driver.take(), []);
    assertEquals(driver.port.status & NEEDS_RESET, 0);
  }
});

/** Which of these frames arrive. */
async function arrive(
  { driver, net }: NetBench,
  frames: Readonly<Record<string, Uint8Array>>,
): Promise<string[]> {
  const found: string[] = [];
  for (const [name, bytes] of Object.entries(frames)) {
    driver.give([1526]);
    assert(net.receive(bytes));
    if ((await driver.take()).length > 0) found.push(name);
  }
  return found;
}

const KINDS = {
  own: frame(),
  other: frame({ to: [2, 0, 0, 0, 0, 1] }),
  another: frame({ to: [2, 0, 0, 0, 0, 2] }),
  broadcast: frame({ to: [255, 255, 255, 255, 255, 255] }),
  group: frame({ to: [1, 0, 0x5e, 0, 0, 1] }),
  groups: frame({ to: [1, 0, 0x5e, 0, 0, 2] }),
};

Deno.test("virtio-net: the driver says which frames it wants", async () => {
  const made = await started();
  const { driver } = made;
  assertEquals(await arrive(made, KINDS), Object.keys(KINDS));
  assertEquals(driver.command(0, 0, 0), OK);
  assertEquals(await arrive(made, KINDS), ["own", "broadcast"]);
  assertEquals(driver.command(0, 1, 1), OK);
  const groups = ["own", "broadcast", "group", "groups"];
  assertEquals(await arrive(made, KINDS), groups);
  assertEquals(driver.command(0, 1, 0), OK);
  const tables = [
    ...[1, 0, 0, 0, 2, 0, 0, 0, 0, 1],
    ...[1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1],
  ];
  assertEquals(driver.command(1, 0, ...tables), OK);
  const listed = ["own", "other", "broadcast", "group"];
  assertEquals(await arrive(made, KINDS), listed);
  // Too many of one kind: all of it.
  const many = [65, 0, 0, 0, ...Array(65 * 6).fill(4), 0, 0, 0, 0];
  assertEquals(driver.command(1, 0, ...many), OK);
  const unicast = ["own", "other", "another", "broadcast"];
  assertEquals(await arrive(made, KINDS), unicast);
  assertEquals(driver.command(1, 1, 2, 0, 0, 0, 0, 2), OK);
  assertEquals(driver.command(1, 0, 0, 0, 0, 0, 0, 0, 0, 0), OK);
  assertEquals(await arrive(made, KINDS), ["another", "broadcast"]);
  assertEquals(driver.port.config(0), 2);
  // After a reset all is as it was.
  driver.start([], 3, SIZES);
  assertEquals(await arrive(made, KINDS), Object.keys(KINDS));
  assertEquals(driver.port.config(0), 0x12005452);
});

Deno.test("virtio-net: VLANs", async () => {
  const tagged = (id: number): Uint8Array => {
    const bytes = frame({ type: [0x81, 0] });
    bytes.set([id >> 8 | 0x60, id & 255], 14);
    return bytes;
  };
  const frames = {
    none: frame(),
    five: tagged(5),
    last: tagged(4095),
    others: tagged(6),
  };
  const made = await started();
  const { driver } = made;
  driver.command(0, 0, 0);
  assertEquals(await arrive(made, frames), ["none"]);
  assertEquals(driver.command(2, 0, 5, 0), OK);
  assertEquals(driver.command(2, 0, 0xff, 0x0f), OK);
  assertEquals(await arrive(made, frames), ["none", "five", "last"]);
  assertEquals(driver.command(2, 1, 5, 0), OK);
  assertEquals(await arrive(made, frames), ["none", "last"]);
  assertEquals(driver.command(2, 0, 0, 0x10), ERR, "4096");
  const without = await started({ without: [F.CTRL_VLAN] });
  without.driver.command(0, 0, 0);
  assertEquals(await arrive(without, frames), Object.keys(frames));
});

Deno.test("virtio-net: commands that are none change nothing", async () => {
  const made = await started();
  const { driver } = made;
  for (
    const command of [
      [0, 0],
      [0, 0, 0, 0],
      [0, 2, 1],
      [1, 0],
      [1, 0, 0, 0, 0, 0],
      [1, 0, 1, 0, 0, 0, 0, 0, 0, 0],
      [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      [1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
      [1, 1, 1, 2, 3],
      [1, 1, 1, 2, 3, 4, 5, 6, 7],
      [1, 2],
      [2, 0, 1],
      [2, 2, 1, 0],
      [3, 0],
      [4, 0, 1, 0],
      [5, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      [255, 255],
    ]
  ) {
    const [kind, number, ...data] = command;
    assertEquals(driver.command(kind, number, ...data), ERR, `${command}`);
  }
  assertEquals(await arrive(made, KINDS), Object.keys(KINDS));
  const none = await started({
    without: [F.CTRL_RX, F.CTRL_VLAN, F.CTRL_MAC_ADDR],
  });
  assertEquals(none.driver.command(0, 0, 0), ERR);
  assertEquals(none.driver.command(1, 1, 2, 0, 0, 0, 0, 2), ERR);
  assertEquals(none.driver.command(2, 0, 5, 0), ERR);
  const queue = driver.queues[CTRL];
  queue.offer(queue.chain([driver.place(Uint8Array.of(0, 0))]));
  driver.port.notify(CTRL);
  assertEquals(driver.port.status & NEEDS_RESET, NEEDS_RESET);
});

Deno.test("virtio-net: without a driver frames are lost", async () => {
  const { driver, net } = await card("mmio");
  assert(net.receive(frame()));
  driver.start([], 3, SIZES);
  assertEquals(net.receive(frame()), false);
  driver.port.status = 0;
  assertEquals(net.readyCount, 1, "nobody waits for a driver");
  assert(net.receive(frame()));
});

Deno.test("virtio-net: a driver of the legacy interface", async () => {
  const made = await card("legacy", { offload: true });
  const { driver, net } = made;
  driver.start([F.MRG_RXBUF], 3, SIZES);
  const { bytes, start } = tcp(3000);
  const fields = {
    flags: NEEDS_CSUM,
    gso: TCPV4,
    size: 999,
    start,
    offset: 16,
  };
  driver.send(header(fields, 10), bytes);
  assertEquals(net.sent.map((s) => s.offload?.segments?.bytes), [999]);
  assertEquals(net.sent[0].bytes, bytes);
  driver.give([10, 1514]);
  assert(net.receive(frame({ length: 100 })));
  const [packet] = await driver.take(10);
  assertEquals(packet.header, new Uint8Array(10));
  assertEquals(packet.frame, frame({ length: 100 }));
  assert(made.irq);
  // It may set the address in the configuration space.
  [2, 0, 0, 0, 0, 2].forEach((byte, i) => driver.port.writeConfig(i, byte, 1));
  driver.port.writeConfig(6, 0xff, 1);
  assertEquals([driver.port.config(0), driver.port.config(4)], [2, 0x10200]);
  driver.start([], 3, SIZES);
  driver.send(header(), frame());
  assertEquals(net.sent.at(-1)!.bytes, frame());
  driver.give([40], [1526]);
  assert(net.receive(frame({ length: 100 })));
  assertEquals((await driver.take())[0].lengths, [40, 72]);
});

Deno.test("virtio-net: after a load the guest is to announce itself", async () => {
  const first = await started();
  first.driver.command(0, 0, 0);
  const state = first.bench.save();
  const second = await card("mmio", { ram: first.driver.ram });
  second.bench.device.load(state);
  await settled();
  const port = second.driver.port;
  assertEquals(port.config(6, 2), 3);
  assertEquals(port.acknowledge() & 2, 2);
  second.driver.queues = first.driver.queues;
  assertEquals(second.driver.command(3, 0), OK);
  assertEquals(port.config(6, 2), 1);
  assertEquals(second.driver.command(3, 0), ERR);
  assertEquals(await arrive(second, KINDS), ["own", "broadcast"]);
  const other = await started({ without: [F.GUEST_ANNOUNCE] });
  other.bench.device.load(other.bench.save());
  await settled();
  assertEquals(other.driver.port.config(6, 2), 1);
});
