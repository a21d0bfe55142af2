import { assertEquals, assertRejects } from "@std/assert";
import { PciBenchBus } from "../../../core/bus/pci_testing.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { FakeBlock, settled } from "../../../tests/devices/ide_bench.ts";
import {
  BARS,
  Feature,
  IN,
  type LegacyPort,
  NEEDS_RESET,
  on,
  OUT,
  pciDisk,
  structures,
} from "../../../tests/devices/virtio_bench.ts";
import { BLK } from "./blk.ts";
import plugin from "./blk_pci.ts";
import { pciPlugin } from "./pci_plugin.ts";

const WAYS = ["modern", "window", "legacy"] as const;
const SECTORS = 2048;
const image = (): FakeBlock => new FakeBlock(SECTORS * 512);

for (const way of WAYS) {
  Deno.test(`virtio-pci, ${way}: a disk is read and written`, async () => {
    const block = image();
    const made = await pciDisk(way, block, { serial: "X" });
    const { driver } = made;
    driver.start([], 1, 256);
    assertEquals(driver.port.config(0), SECTORS);
    assertEquals(driver.port.config(34, 2), 1);
    const read = await driver.ask(IN, 2, 1024);
    assertEquals([read.status, read.length], [0, 1025]);
    assertEquals(read.data, block.bytes.slice(1024, 2048));
    assertEquals(made.irq, true);
    assertEquals(driver.port.acknowledge(), 1);
    assertEquals(made.irq, false);
    assertEquals(driver.port.acknowledge(), 0);
    const bytes = new Uint8Array(512).fill(0x77);
    assertEquals((await driver.ask(OUT, 2, bytes)).status, 0);
    assertEquals(block.bytes.slice(1024, 1536), bytes);
    driver.queues[0].offer(5000);
    driver.port.notify(0);
    assertEquals(driver.port.status & NEEDS_RESET, NEEDS_RESET);
    assertEquals(driver.port.acknowledge() & 2, 2);
    driver.start([], 1, 256);
    assertEquals((await driver.ask(IN, 0, 512)).status, 0);
  });

  Deno.test(`virtio-pci, ${way}: goes on after a load`, async () => {
    const block = image();
    const first = await pciDisk(way, block);
    first.driver.start([], 1, 256);
    block.held = true;
    const { driver } = first;
    const [queue] = driver.queues;
    const request = driver.request(IN, 1, 512);
    queue.offer(queue.chain(request.descriptors));
    driver.port.notify(0);
    await settled();
    const saved = first.bench.save();
    const other = image();
    const bus = new PciBenchBus();
    const bench = await DeviceBench.create(
      on(plugin, () => other, driver.ram),
      {
        use: { bus },
      },
    );
    bench.device.load(saved);
    assertEquals(bench.save(), saved);
    await settled();
    assertEquals(driver.ram.bytes[request.status], 0);
    assertEquals(queue.take().length, 1);
    assertEquals(bus.pins[0], true);
  });
}

Deno.test("virtio-pci: identity of a transitional and of a modern device", async () => {
  // The IDs, class and subsystem of VIRTIO 1.2, 4.1.2.
  for (
    const [config, id, revision, subsystem, bar0] of [
      [{}, 0x10011af4, 0x01000000, 0x00021af4, 1],
      [{ legacy: false }, 0x10421af4, 0x01000001, 0x00421af4, 0],
    ] as const
  ) {
    const { bus } = await pciDisk("modern", image(), config);
    const get = (at: number): number => bus.space.readConfig(at, 4);
    assertEquals([get(0), get(8), get(0x2c)], [id, revision, subsystem]);
    assertEquals(get(0x10) & 1, bar0);
    const found = structures(bus);
    assertEquals([...found.keys()].sort(), [1, 2, 3, 4, 5]);
    const all = [...found.values()].filter(({ length }) => length > 0)
      .sort((a, b) => a.offset - b.offset);
    assertEquals(all.length, 4);
    all.forEach(({ offset, length }, i) => {
      assertEquals(offset + length <= (all[i + 1]?.offset ?? 0x4000), true);
    });
  }
});

Deno.test("virtio-pci: a type without a legacy interface refuses it", async () => {
  const modern = pciPlugin({ ...BLK, transitionalId: undefined });
  const make = (config: Record<string, unknown>) =>
    DeviceBench.create(on(modern, image), {
      config,
      use: { bus: new PciBenchBus() },
    });
  await make({});
  await assertRejects(() => make({ legacy: true }), Error, "no legacy");
});

Deno.test("virtio-pci: registers read back; none is for a queue that is not", async () => {
  const { bench } = await pciDisk("modern", image());
  const base = BARS[4];
  const read = (offset: number, width: 1 | 2 | 4): number =>
    bench.memory.read(base + offset, width);
  const write = (offset: number, width: 1 | 2 | 4, value: number): void =>
    bench.memory.write(base + offset, width, value);
  write(0x00, 4, 7);
  assertEquals([read(0x00, 4), read(0x04, 4)], [7, 0]);
  for (const at of [0x20, 0x24, 0x28, 0x2c, 0x30, 0x34]) {
    write(at, 4, 0x01020304 * at);
    assertEquals(read(at, 4), (0x01020304 * at) % 2 ** 32);
  }
  assertEquals([read(0x12, 2), read(0x18, 2)], [1, 256]);
  write(0x18, 2, 100);
  assertEquals(read(0x18, 2), 256, "not a power of two");
  // Two registers at once, a part of one, and both from one byte each.
  write(0x18, 4, 0x0001_0040);
  assertEquals([read(0x18, 2), read(0x1a, 2)], [64, 1]);
  assertEquals([read(0x18, 4), read(0x19, 1)], [0x0001_0040, 0]);
  write(0x18, 1, 1);
  assertEquals(read(0x18, 2), 64);
  write(0x1c, 2, 1);
  write(0x1c, 2, 0);
  assertEquals(read(0x1c, 2), 1, "only a reset disables it");
  write(0x16, 2, 9);
  assertEquals(
    [0x18, 0x1a, 0x1c, 0x1e].map((at) => read(at, 2)),
    [0, 0xffff, 0, 0],
  );
  write(0x20, 4, 1);
  assertEquals(read(0x20, 4), 0);
  write(0x14, 1, 0);
  assertEquals([read(0x16, 2), read(0x18, 2), read(0x1c, 2)], [0, 256, 0]);
  // Features are accepted until they are settled: VERSION_1 is bit 32.
  write(0x08, 4, 1);
  write(0x0c, 4, 1);
  write(0x14, 1, 0x0b);
  assertEquals([read(0x0c, 4), read(0x14, 1)], [1, 0x0b]);
  write(0x0c, 4, 0);
  assertEquals(read(0x0c, 4), 1);
});

Deno.test("virtio-pci: MSI-X messages for the queue and the configuration", async () => {
  const { bench, bus, driver } = await pciDisk("modern", image());
  const { memory } = bench;
  const [table, common] = [BARS[1], BARS[4]];
  const control = 0x42;
  assertEquals(bus.space.readConfig(control, 2), 1, "two vectors");
  for (const vector of [0, 1]) {
    memory.write(table + 16 * vector, 4, 0x9000 + 4 * vector);
    memory.write(table + 16 * vector + 8, 4, 0xaa00 + vector);
    memory.write(table + 16 * vector + 12, 4, 0);
  }
  bus.space.writeConfig(control, 2, 0x8000);
  const messages = (): number[] => {
    const at = (i: number): number => driver.ram.view.getUint32(i, true);
    const seen = [at(0x9000), at(0x9004)];
    driver.ram.bytes.fill(0, 0x9000, 0x9008);
    return seen;
  };
  driver.start([Feature.EVENT_IDX]);
  memory.write(common + 0x10, 2, 0);
  memory.write(common + 0x1a, 2, 5);
  assertEquals(memory.read(common + 0x1a, 2), 0xffff, "there is no vector 5");
  await driver.ask(IN, 0, 512);
  assertEquals(messages(), [0, 0], "no vector, no interrupt");
  memory.write(common + 0x1a, 2, 1);
  await driver.ask(IN, 0, 512);
  assertEquals(messages(), [0, 0xaa01]);
  // A masked vector waits.
  memory.write(table + 16 + 12, 4, 1);
  await driver.ask(IN, 0, 512);
  assertEquals([messages(), memory.read(table + 0x800, 4)], [[0, 0], 2]);
  memory.write(table + 16 + 12, 4, 0);
  assertEquals([messages(), memory.read(table + 0x800, 4)], [[0, 0xaa01], 0]);
  driver.queues[0].showAvailable(0x7000);
  driver.port.notify(0);
  assertEquals(messages(), [0xaa00, 0]);
  assertEquals([bus.pins[0], driver.port.acknowledge()], [false, 0]);
});

Deno.test("virtio-pci: the legacy header has vectors while MSI-X is on", async () => {
  const { bus, driver } = await pciDisk("legacy", image());
  const port = driver.port as LegacyPort;
  assertEquals(port.get(0x14, 4), SECTORS);
  assertEquals(port.get(0x0c, 2), 256, "the driver cannot choose the size");
  port.set(0x0c, 2, 64);
  assertEquals(port.get(0x0c, 2), 256);
  bus.space.writeConfig(0x42, 2, 0x8000);
  assertEquals([port.get(0x14, 2), port.get(0x16, 2)], [0xffff, 0xffff]);
  assertEquals(port.get(0x18, 4), SECTORS);
  port.set(0x14, 2, 0);
  port.set(0x16, 2, 1);
  assertEquals([port.get(0x14, 2), port.get(0x16, 2)], [0, 1]);
  port.set(0x16, 2, 2);
  assertEquals(port.get(0x16, 2), 0xffff);
});

Deno.test("virtio-pci: without bus mastering it touches no memory", async () => {
  const { bus, driver } = await pciDisk("modern", image());
  driver.start();
  bus.space.writeConfig(4, 2, 3);
  const [queue] = driver.queues;
  const { count } = driver.ram;
  const { status, descriptors } = driver.request(IN, 0, 512);
  queue.offer(queue.chain(descriptors));
  driver.port.notify(0);
  await settled();
  assertEquals(driver.ram.count, count);
  bus.space.writeConfig(4, 2, 7);
  driver.port.notify(0);
  await settled();
  assertEquals(driver.ram.bytes[status], 0);
});

Deno.test("virtio-pci: the window reaches nothing but the regions", async () => {
  const { bus } = await pciDisk("modern", image());
  const { at } = structures(bus).get(5)!;
  const look = (bar: number, offset: number, length: number): number => {
    bus.space.writeConfig(at + 4, 1, bar);
    bus.space.writeConfig(at + 8, 4, offset);
    bus.space.writeConfig(at + 12, 4, length);
    bus.space.writeConfig(at + 16, 4, 0x12345678);
    return bus.space.readConfig(at + 16, 4);
  };
  for (
    const [bar, offset, length] of [
      [2, 0, 4],
      [255, 0, 4],
      [4, 0x4000, 4],
      [4, 0x3ffe, 4],
      [4, 0xfffffffc, 4],
      [4, 2, 4],
      [4, 0, 3],
      [4, 0, 0],
      [0, 128, 1],
    ]
  ) {
    assertEquals(look(bar, offset, length), 0x12345678, "it only keeps it");
  }
  assertEquals(look(0, 0x0c, 2), 256, "the legacy queue size");
});
