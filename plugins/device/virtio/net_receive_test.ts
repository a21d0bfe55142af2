import { assert, assertEquals } from "@std/assert";
import type { FrameOffload } from "../../../core/backend/net.ts";
import { settled } from "../../../tests/devices/ide_bench.ts";
import { NEEDS_RESET } from "../../../tests/devices/virtio_bench.ts";
import {
  card,
  header,
  NetFeature as F,
  RX,
  SIZES,
  started,
} from "../../../tests/devices/virtio_net_bench.ts";
import {
  frame,
  isSummed,
  NEEDS_CSUM,
  tcp,
  TCPV4,
  TCPV6,
} from "../../../tests/devices/virtio_net_frames.ts";

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

Deno.test("virtio-net: without a driver frames are lost", async () => {
  const { driver, net } = await card("mmio");
  assert(net.receive(frame()));
  driver.start([], 3, SIZES);
  assertEquals(net.receive(frame()), false);
  driver.port.status = 0;
  assertEquals(net.readyCount, 1, "nobody waits for a driver");
  assert(net.receive(frame()));
});
