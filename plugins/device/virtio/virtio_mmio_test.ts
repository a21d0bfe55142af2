import { assertEquals } from "@std/assert";
import { FakeBlock, settled } from "../../../tests/devices/ide_bench.ts";
import {
  ACKNOWLEDGE,
  DRIVER,
  DRIVER_OK,
  Feature,
  FEATURES_OK,
  IN,
  mmioDisk,
  NEEDS_RESET,
} from "../../../tests/devices/virtio_bench.ts";
import plugin from "./blk_mmio.ts";

async function slot() {
  return await mmioDisk(new FakeBlock(1 << 20));
}

Deno.test("virtio-mmio: identity", async () => {
  const { port } = await slot();
  assertEquals([0x000, 0x004, 0x008].map((r) => port.get(r)), [
    0x74726976,
    2,
    2,
  ]);
  assertEquals(port.get(0x034), 256);
  assertEquals(port.get(0x0fc), 0);
  assertEquals(port.get(0x0b0), 0xffffffff, "no shared memory");
  assertEquals(port.config(0), 2048);
  port.set(0x030, 1);
  assertEquals(port.get(0x034), 0, "there is one queue");
});

Deno.test("virtio-mmio: registers have 32 bits, the configuration any width", async () => {
  const { bench, port } = await slot();
  for (const width of [1, 2] as const) {
    assertEquals(bench.read("registers", 0, width), 0);
    bench.write("registers", 0x070, 1, width);
    assertEquals(port.status, 0);
  }
  const bytes = [0, 1, 2, 3].map((i) => port.config(12 + i, 1));
  assertEquals(bytes, [254, 0, 0, 0]);
  assertEquals(port.config(12, 2), 254);
  assertEquals(port.config(0xfc, 4), 0, "beyond its end");
});

Deno.test("virtio-mmio: a slot without a backend is empty", async () => {
  const { port, bench } = await mmioDisk(undefined);
  assertEquals([0, 4, 8].map((r) => port.get(r)), [0x74726976, 2, 0]);
  port.status = 1;
  port.notify(0);
  assertEquals([port.status, port.config(0), port.get(0x34)], [0, 0, 0]);
  bench.device.load(bench.save());
  bench.device.reset();
});

Deno.test("virtio-mmio: FEATURES_OK stands when the device can do with them", async () => {
  const { port } = await slot();
  const version = port.features(1);
  assertEquals(version, 1);
  assertEquals(port.features(2), 0);
  const negotiate = (low: number, high: number): boolean => {
    port.status = 0;
    port.status = ACKNOWLEDGE | DRIVER;
    port.accept(0, low);
    port.accept(1, high);
    port.accept(2, 0xffffffff);
    port.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    return (port.status & FEATURES_OK) !== 0;
  };
  const low = port.features(0);
  assertEquals(negotiate(low, 1), true);
  assertEquals(negotiate(0, 1), true);
  assertEquals(negotiate(low, 0), false, "VERSION_1 is needed");
  assertEquals(negotiate(0xffffffff, 1), false);
  assertEquals(negotiate(1 << Feature.RO, 1), false, "it was not offered");
  assertEquals(negotiate(0, 3), false);
  // After FEATURES_OK there is no changing them.
  assertEquals(negotiate(0, 1), true);
  port.accept(0, low);
  assertEquals(port.config(32, 1), 0, "FLUSH is not accepted");
});

Deno.test("virtio-mmio: nothing happens before DRIVER_OK", async () => {
  const { driver, port } = await slot();
  driver.start();
  const [queue] = driver.queues;
  const { status, descriptors } = driver.request(IN, 0, 512);
  queue.offer(queue.chain(descriptors));
  port.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
  port.notify(0);
  await settled();
  assertEquals(driver.ram.bytes[status], 0xee);
  // What is there already is taken then.
  port.status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
  await settled();
  assertEquals(driver.ram.bytes[status], 0);
});

Deno.test("virtio-mmio: the interrupt line, for receivers of levels and of edges", async () => {
  const { bench, driver, port } = await slot();
  driver.start([Feature.EVENT_IDX]);
  bench.takeEdges("irq");
  await driver.ask(IN, 0, 512);
  assertEquals([bench.takeEdges("irq"), port.get(0x060)], [[true], 1]);
  // More while it is high is another edge.
  await driver.ask(IN, 0, 512);
  assertEquals(bench.takeEdges("irq"), [false, true]);
  port.set(0x064, 1);
  assertEquals([bench.takeEdges("irq"), port.get(0x060)], [[false], 0]);
  // So is what is left when a part is acknowledged.
  await driver.ask(IN, 0, 512);
  driver.queues[0].showAvailable(0x4000);
  port.notify(0);
  assertEquals(port.get(0x060), 3);
  bench.takeEdges("irq");
  port.set(0x064, 1);
  assertEquals([bench.takeEdges("irq"), port.get(0x060)], [[false, true], 2]);
  port.status = 0;
  assertEquals([bench.level("irq"), port.get(0x060)], [false, 0]);
});

Deno.test("virtio-mmio: a broken queue wants a reset and does nothing more", async () => {
  const { driver, port } = await slot();
  driver.start();
  const [queue] = driver.queues;
  queue.offer(99);
  port.notify(0);
  const ok = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
  assertEquals(port.status, ok | NEEDS_RESET);
  port.status = ok;
  assertEquals(port.status, ok | NEEDS_RESET, "it is not the driver's");
  const { count } = driver.ram;
  port.notify(0);
  assertEquals(driver.ram.count, count);
  driver.start();
  assertEquals((await driver.ask(IN, 0, 512)).status, 0);
});

Deno.test("virtio-mmio: a queue in its own registers does not feed itself", async () => {
  const { bench, driver, port } = await slot();
  driver.start();
  const [queue] = driver.queues;
  // The used ring is where the registers are: 050h is QueueNotify.
  const { ram } = driver;
  const write = ram.write.bind(ram);
  let writes = 0;
  ram.write = (address, bytes) => {
    if (address < 0xfeb00000) return write(address, bytes);
    if (++writes > 100) throw new Error("it feeds itself");
    for (const [i, byte] of bytes.entries()) {
      bench.write("registers", (address + i) % 0x200, byte);
    }
    bench.write("registers", 0x050, 0, 4);
    bench.write("registers", 0x070, 0, 4);
  };
  port.setQueue(0, 64, { ...queue.place, device: 0xfeb00050 });
  for (let i = 0; i < 5; i++) {
    queue.offer(queue.chain(driver.request(IN, 0, 512).descriptors));
  }
  port.notify(0);
  await settled();
  assertEquals(port.status & DRIVER_OK, DRIVER_OK, "nor resets itself");
});

Deno.test("virtio-mmio: what tells Linux of a slot", () => {
  const tell = (
    backends: [string, string][],
    wires: [string, string[]][],
  ): string | undefined =>
    plugin.kernelParameter!({
      name: "disk0",
      plugin: plugin.name,
      config: {},
      regions: new Map([
        ["registers", { space: "memory", base: 0xfeb00200, size: 512 }],
      ]),
      wires: new Map(wires),
      backends: new Map(backends),
    });
  assertEquals(
    tell([["disk", "hd"]], [["irq", ["pic.irq11"]]]),
    "virtio_mmio.device=512@0xfeb00200:11",
  );
  assertEquals(tell([], [["irq", ["pic.irq11"]]]), undefined);
  assertEquals(tell([["disk", "hd"]], []), undefined);
  assertEquals(tell([["disk", "hd"]], [["irq", ["x.int"]]]), undefined);
});
