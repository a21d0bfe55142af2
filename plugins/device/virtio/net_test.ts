import { assert, assertEquals, assertThrows } from "@std/assert";
import { NEEDS_RESET } from "../../../tests/devices/virtio_bench.ts";
import {
  card,
  header,
  NetFeature as F,
  SIZES,
  started,
  TX,
} from "../../../tests/devices/virtio_net_bench.ts";
import {
  frame,
  isSummed,
  NEEDS_CSUM,
  tcp,
  TCPV4,
  TCPV6,
} from "../../../tests/devices/virtio_net_frames.ts";
import { NET } from "./net.ts";

const ECN = 0x80;

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
  const four = await started({ without: [F.HOST_TSO6], offload: true });
  const six = tcp(3000, { ipv6: true });
  const segments = { ...fields, start: six.start, gso: TCPV6, size: 1000 };
  four.driver.send(header(segments), six.bytes);
  assertEquals(four.net.sent, []);
  whole.driver.send(header(segments), six.bytes);
  assertEquals(whole.net.sent.length, 2);
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
