import { assertEquals } from "@std/assert";
import { DeviceBench } from "../../../core/machine/testing.ts";
import plugin, { type I8259Pair } from "./i8259.ts";

type Bench = DeviceBench<I8259Pair>;

/** A pair as a PC's firmware leaves it: vectors 20h and 28h, all unmasked. */
async function pair(icw1 = 0x11, icw4 = 0x01): Promise<Bench> {
  const bench = await DeviceBench.create<I8259Pair>(plugin);
  for (const [chip, base, icw3] of [["master", 0x20, 4], ["slave", 0x28, 2]]) {
    bench.write(chip as string, 0, icw1);
    bench.write(chip as string, 1, base as number);
    if ((icw1 & 2) === 0) bench.write(chip as string, 1, icw3 as number);
    if ((icw1 & 1) !== 0) bench.write(chip as string, 1, icw4);
  }
  return bench;
}

function isr(bench: Bench, chip = "master"): number {
  bench.write(chip, 0, 0x0b);
  return bench.read(chip, 0);
}

function irr(bench: Bench, chip = "master"): number {
  bench.write(chip, 0, 0x0a);
  return bench.read(chip, 0);
}

Deno.test("i8259: an edge is requested, acknowledged and ended", async () => {
  const bench = await pair();
  bench.drive("irq4", true);
  assertEquals(bench.level("int"), true);
  assertEquals(irr(bench), 0x10);
  assertEquals(bench.device.acknowledge(), 0x24);
  assertEquals(bench.level("int"), false);
  assertEquals([irr(bench), isr(bench)], [0, 0x10]);
  bench.write("master", 0, 0x20);
  assertEquals(isr(bench), 0);
  // The line is still high: an edge counts once.
  assertEquals(bench.level("int"), false);
  bench.drive("irq4", false);
  bench.drive("irq4", true);
  assertEquals(bench.level("int"), true);
});

Deno.test("i8259: nothing is requested before initialization ends", async () => {
  const bench = await DeviceBench.create<I8259Pair>(plugin);
  bench.drive("irq0", true);
  assertEquals(bench.level("int"), false);
  bench.write("master", 1, 0x5a);
  assertEquals(bench.read("master", 1), 0x5a);
});

Deno.test("i8259: IMR masks, and unmasking shows what waits", async () => {
  const bench = await pair();
  bench.write("master", 1, 0x10);
  bench.drive("irq4", true);
  assertEquals(bench.level("int"), false);
  bench.write("master", 1, 0);
  assertEquals(bench.level("int"), true);
});

Deno.test("i8259: fully nested, only a higher level interrupts", async () => {
  const bench = await pair();
  bench.drive("irq4", true);
  bench.device.acknowledge();
  bench.drive("irq5", true);
  assertEquals(bench.level("int"), false);
  bench.drive("irq1", true);
  assertEquals(bench.level("int"), true);
  assertEquals(bench.device.acknowledge(), 0x21);
  assertEquals(isr(bench), 0x12);
  // A non-specific EOI ends the highest.
  bench.write("master", 0, 0x20);
  assertEquals(isr(bench), 0x10);
  bench.write("master", 0, 0x64); // specific, IR4
  assertEquals(bench.device.acknowledge(), 0x25);
});

Deno.test("i8259: the slave's vector, and both need an EOI", async () => {
  const bench = await pair();
  bench.drive("irq14", true);
  assertEquals(bench.device.acknowledge(), 0x2e);
  assertEquals([isr(bench), isr(bench, "slave")], [0x04, 0x40]);
  bench.drive("irq8", true);
  // Without the special fully nested mode, IR2 in service blocks the slave.
  assertEquals(bench.level("int"), false);
  bench.write("slave", 0, 0x20);
  bench.write("master", 0, 0x20);
  assertEquals(bench.device.acknowledge(), 0x28);
});

Deno.test("i8259: special fully nested mode lets the slave nest", async () => {
  const bench = await pair(0x11, 0x11);
  bench.drive("irq14", true);
  bench.device.acknowledge();
  bench.drive("irq8", true);
  assertEquals(bench.level("int"), true);
  assertEquals(bench.device.acknowledge(), 0x28);
});

Deno.test("i8259: a line that falls too early is IR7 or IR15", async () => {
  const bench = await pair();
  bench.drive("irq5", true);
  bench.drive("irq5", false);
  assertEquals(bench.level("int"), false);
  assertEquals(bench.device.acknowledge(), 0x27);
  assertEquals(isr(bench), 0, "the spurious IRQ 7 sets no ISR bit");
  bench.drive("irq10", true);
  // The slave takes its request back after the first INTA: not seen here, so
  // its mask does.
  bench.write("slave", 1, 0xff);
  assertEquals(bench.level("int"), false);
});

Deno.test("i8259: level triggering asks until the line falls", async () => {
  for (const byElcr of [false, true]) {
    const bench = await pair(byElcr ? 0x11 : 0x19);
    if (byElcr) {
      bench.write("elcr", 0, 0xff);
      assertEquals(bench.read("elcr", 0), 0xf8);
      bench.write("elcr", 1, 0xff);
      assertEquals(bench.read("elcr", 1), 0xde);
    }
    bench.drive("irq5", true);
    assertEquals(bench.device.acknowledge(), 0x25);
    bench.write("master", 0, 0x20);
    assertEquals(bench.level("int"), true);
    bench.drive("irq5", false);
    assertEquals(bench.level("int"), false);
  }
});

Deno.test("i8259: ICW1 forgets edges, masks and what is in service", async () => {
  const bench = await pair();
  bench.drive("irq3", true);
  bench.device.acknowledge();
  bench.drive("irq4", true);
  bench.write("master", 1, 0xff);
  bench.write("master", 0, 0x11);
  bench.write("master", 1, 0x40);
  bench.write("master", 1, 0x04);
  bench.write("master", 1, 0x01);
  assertEquals([irr(bench), isr(bench)], [0, 0]);
  assertEquals(bench.read("master", 1), 0);
  bench.drive("irq4", false);
  bench.drive("irq4", true);
  assertEquals(bench.device.acknowledge(), 0x44);
});

Deno.test("i8259: automatic EOI, with and without rotation", async () => {
  const bench = await pair(0x11, 0x03);
  bench.drive("irq4", true);
  assertEquals(bench.device.acknowledge(), 0x24);
  assertEquals(isr(bench), 0);
  bench.write("master", 0, 0x80); // rotate on automatic EOI
  bench.drive("irq3", true);
  assertEquals(bench.device.acknowledge(), 0x23);
  // IR3 is now the lowest, IR4 the highest.
  for (const ir of [3, 4, 5]) {
    bench.drive(`irq${ir}`, false);
    bench.drive(`irq${ir}`, true);
  }
  assertEquals(bench.device.acknowledge(), 0x24);
});

Deno.test("i8259: rotation on EOI and set priority", async () => {
  const bench = await pair();
  bench.drive("irq4", true);
  bench.device.acknowledge();
  bench.write("master", 0, 0xa0); // rotate on non-specific EOI
  bench.drive("irq5", true);
  bench.drive("irq3", true);
  assertEquals(bench.device.acknowledge(), 0x25);
  bench.write("master", 0, 0xe5); // rotate on specific EOI
  bench.write("master", 0, 0xc2); // set priority: IR2 is the lowest
  bench.drive("irq1", true);
  assertEquals(bench.device.acknowledge(), 0x23);
});

Deno.test("i8259: special mask mode lets lower levels through", async () => {
  const bench = await pair();
  bench.drive("irq1", true);
  bench.device.acknowledge();
  bench.drive("irq6", true);
  assertEquals(bench.level("int"), false);
  bench.write("master", 1, 0x02);
  bench.write("master", 0, 0x68);
  assertEquals(bench.level("int"), true);
  // A non-specific EOI does not end the masked level.
  bench.device.acknowledge();
  bench.write("master", 0, 0x20);
  assertEquals(isr(bench), 0x02);
  bench.write("master", 0, 0x48);
  assertEquals(irr(bench), 0);
});

Deno.test("i8259: a poll acknowledges and says the level", async () => {
  const bench = await pair();
  bench.write("master", 0, 0x0c);
  assertEquals(bench.read("master", 0), 0);
  bench.drive("irq6", true);
  bench.write("master", 0, 0x0c);
  assertEquals(bench.read("master", 0), 0x86);
  assertEquals(isr(bench), 0x40);
  assertEquals(bench.level("int"), false);
});

Deno.test("i8259: pending0 shows whether the timer's tick is taken", async () => {
  const bench = await pair();
  bench.drive("irq0", true);
  assertEquals(bench.level("pending0"), true);
  // Linux masks the tick while it handles it.
  bench.write("master", 1, 0x01);
  assertEquals([bench.level("pending0"), bench.level("masked0")], [true, true]);
  bench.write("master", 1, 0x00);
  assertEquals(bench.level("masked0"), false);
  bench.device.acknowledge();
  assertEquals(bench.takeEdges("pending0"), [true, false]);
});

Deno.test("i8259: firmware makes interrupts level-triggered", async () => {
  const bench = await pair();
  bench.write("elcr", 1, 0x04);
  for (const irq of [0, 5, 8, 9, 13]) bench.device.setLevelTriggered(irq);
  assertEquals([0, 1].map((i) => bench.read("elcr", i)), [0x20, 0x06]);
  bench.drive("irq9", true);
  assertEquals(bench.device.acknowledge(), 0x29);
  bench.write("slave", 0, 0x20);
  bench.write("master", 0, 0x20);
  assertEquals(bench.level("int"), true, "it is still high");
});

Deno.test("i8259: the inputs go on to what else is on the lines", async () => {
  const bench = await pair();
  bench.write("master", 1, 0xff);
  bench.drive("irq4", true);
  bench.drive("irq12", true);
  const high = (of: Bench) =>
    Array.from({ length: 16 }, (_, ir) => ir)
      .filter((ir) => ir !== 2 && of.level(`irq${ir}`));
  assertEquals(high(bench), [4, 12]);
  const other = await pair();
  other.device.load(bench.save());
  assertEquals(high(other), [4, 12]);
  bench.drive("irq4", false);
  assertEquals(high(bench), [12]);
});
