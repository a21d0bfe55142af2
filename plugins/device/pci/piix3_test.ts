import { assertEquals } from "@std/assert";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { PciBenchBus } from "../../../core/bus/pci_testing.ts";
import plugin from "./piix3.ts";

const IRQS = [3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15];

async function bridge(): Promise<{ bench: DeviceBench; bus: PciBenchBus }> {
  const bus = new PciBenchBus();
  const bench = await DeviceBench.create(plugin, { use: { bus } });
  bench.device.reset();
  return { bench, bus };
}

function high(bench: DeviceBench): number[] {
  return IRQS.filter((irq) => bench.level(`irq${irq}`));
}

Deno.test("piix3: identity and reset values", async () => {
  const { bus: { space } } = await bridge();
  assertEquals(
    [0, 4, 8, 0xc, 0x4c, 0x60].map((r) => space.readConfig(r, 4)),
    [0x70008086, 0x02000007, 0x06010000, 0x00800000, 0x0003004d, 0x80808080],
  );
});

Deno.test("piix3: PIRQ lines drive the interrupts they are routed to", async () => {
  const { bench, bus: { space } } = await bridge();
  bench.drive("pirqa", true);
  bench.drive("pirqc", true);
  assertEquals(high(bench), []);
  for (const irq of IRQS) {
    space.writeConfig(0x60, 1, irq);
    assertEquals(high(bench), [irq]);
  }
  for (const reserved of [0, 1, 2, 8, 13]) {
    space.writeConfig(0x60, 1, reserved);
    assertEquals(high(bench), []);
  }
  // Two lines share an interrupt.
  space.writeConfig(0x60, 4, 0x800b_800b);
  assertEquals(high(bench), [11]);
  bench.drive("pirqa", false);
  assertEquals(high(bench), [11]);
  bench.drive("pirqc", false);
  assertEquals(high(bench), []);
  bench.drive("pirqc", true);
  const saved = bench.save();
  bench.device.reset();
  assertEquals(high(bench), []);
  assertEquals(space.readConfig(0x60, 4), 0x80808080);
  // Who drives the line drives it still.
  space.writeConfig(0x62, 1, 5);
  assertEquals(high(bench), [5]);
  bench.device.load(saved);
  assertEquals(high(bench), [11]);
});

Deno.test("piix3: RCR resets the CPU or the machine when bit 2 rises", async () => {
  const { bench } = await bridge();
  const resets = (value: number): number[] => {
    bench.write("rcr", 0, value);
    return ["reset", "init"].map((line) => bench.takeEdges(line).length / 2);
  };
  assertEquals(resets(0x02), [0, 0]);
  assertEquals(resets(0x06), [1, 0]);
  assertEquals(resets(0x06), [0, 0], "it has to rise");
  assertEquals(bench.read("rcr", 0), 0x06);
  assertEquals(resets(0x00), [0, 0]);
  assertEquals(resets(0x04), [0, 1]);
});
