import { assertEquals } from "@std/assert";
import { PciBenchBus } from "../../../core/bus/pci_testing.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import plugin, { type Piix4Pm } from "./piix4_pm.ts";

const SECOND = 1_000_000_000;
const BASE = 0x600;

/** A bench with the registers at 600h. */
async function pm(): Promise<{ bench: DeviceBench; bus: PciBenchBus }> {
  const bus = new PciBenchBus();
  const bench = await DeviceBench.create(plugin, { use: { bus } });
  bench.device.reset();
  bus.space.writeConfig(0x40, 4, BASE | 1);
  bus.space.writeConfig(0x80, 1, 1);
  return { bench, bus };
}

Deno.test("piix4-pm: identity; the registers are where PMBA says", async () => {
  const { bench: { ports, device }, bus: { space } } = await pm();
  assertEquals(
    [0, 4, 8, 0x3c, 0x40, 0x90].map((r) => space.readConfig(r, 4)),
    [0x71138086, 0x02800000, 0x06800003, 0x100, BASE | 1, 1],
  );
  // DEVACTB says that system management mode needs no setting up.
  assertEquals(
    [0x54, 0x58, 0x5c].map((r) => space.readConfig(r, 4)),
    [0, 0x02000000, 0],
  );
  ports.write(BASE + 2, 2, 0xffff);
  assertEquals(ports.read(BASE + 2, 2), 0x0521);
  space.writeConfig(0x40, 2, 0xb03f);
  assertEquals(space.readConfig(0x40, 4), 0xb001);
  assertEquals([BASE + 2, 0xb002].map((p) => ports.read(p, 2)), [
    0xffff,
    0x0521,
  ]);
  space.writeConfig(0x80, 1, 0);
  assertEquals(ports.read(0xb002, 2), 0xffff);
  device.reset();
  assertEquals(space.readConfig(0x40, 4), 1);
});

Deno.test("piix4-pm: the timer runs at 3.579545 MHz, 24 bits wide", async () => {
  const { bench } = await pm();
  const timer = (): number => bench.ports.read(BASE + 8, 4);
  assertEquals(timer(), 0);
  bench.advance(SECOND);
  assertEquals(timer(), 3_579_545);
  bench.advance(9 * SECOND);
  assertEquals(timer(), 35_795_450 % 2 ** 24);
  assertEquals(bench.ports.read(BASE + 9, 1), 35_795_450 >> 8 & 0xff);
  bench.ports.write(BASE + 8, 4, 0);
  assertEquals(timer(), 35_795_450 % 2 ** 24, "it cannot be written");
  // A year: exact still.
  bench.advance(31_536_000 * SECOND);
  const ticks = 31_536_010n * 3_579_545n;
  assertEquals(timer(), Number(ticks % (1n << 24n)));
});

Deno.test("piix4-pm: the timer's overflow interrupts when it may", async () => {
  const { bench } = await pm();
  const { ports, clock } = bench;
  const sci = (): boolean => bench.level("sci");
  assertEquals(clock.nextDeadline(), Infinity);
  bench.advance(3 * SECOND);
  assertEquals([ports.read(BASE, 2), sci()], [1, false]);
  ports.write(BASE + 2, 2, 1);
  assertEquals([sci(), clock.nextDeadline()], [false, Infinity]);
  bench.write("apm", 0, 0xf1);
  assertEquals([ports.read(BASE + 4, 2), sci()], [1, true]);
  ports.write(BASE, 2, 1);
  assertEquals([ports.read(BASE, 2), sci()], [0, false]);
  // Bit 23 falls at 2^24 ticks.
  const falls = Math.ceil(2 ** 24 * SECOND / 3_579_545);
  assertEquals(clock.nextDeadline(), falls);
  bench.advance(falls - clock.now() - 1);
  assertEquals(sci(), false);
  bench.advance(1);
  assertEquals([sci(), ports.read(BASE + 8, 4)], [true, 0]);
  assertEquals(clock.nextDeadline(), Infinity, "the next would say no more");
  const saved = bench.save();
  bench.device.reset();
  assertEquals(sci(), false);
  bench.device.load(saved);
  assertEquals(sci(), true);
  bench.write("apm", 0, 0xf0);
  assertEquals([ports.read(BASE + 4, 2), sci()], [0, false]);
  bench.write("apm", 1, 0x42);
  assertEquals([bench.read("apm", 0), bench.read("apm", 1)], [0xf0, 0x42]);
});

Deno.test("piix4-pm: soft off, and nothing else, turns the machine off", async () => {
  const { bench } = await pm();
  const { ports } = bench;
  const offs = (): number => bench.takeEdges("poweroff").length / 2;
  ports.write(BASE + 4, 2, 0x1c01);
  assertEquals([offs(), ports.read(BASE + 4, 2)], [0, 0x1c01]);
  // Suspend to RAM and to disk.
  ports.write(BASE + 4, 2, 0x2401);
  ports.write(BASE + 4, 2, 0x2801);
  assertEquals(offs(), 0);
  ports.write(BASE + 4, 2, 0x0001);
  assertEquals(offs(), 0);
  ports.write(BASE + 4, 2, 0x2001);
  assertEquals([offs(), ports.read(BASE + 4, 2)], [1, 1]);
  ports.write(BASE + 5, 1, 0x20);
  assertEquals(offs(), 1);
});

Deno.test("piix4-pm: general purpose events have enables and no sources", async () => {
  const { bench: { ports } } = await pm();
  ports.write(BASE + 12, 4, 0x1234ffff);
  assertEquals(ports.read(BASE + 12, 4), 0x12340000);
});

Deno.test("piix4-pm: firmware places it, and the power button interrupts", async () => {
  const bus = new PciBenchBus();
  const bench = await DeviceBench.create<Piix4Pm>(plugin, { use: { bus } });
  const { device, ports } = bench;
  device.reset();
  device.placePm(BASE);
  assertEquals(bus.space.readConfig(0x40, 4), BASE | 1);
  assertEquals(bus.space.readConfig(0x80, 1), 1);
  device.pressPowerButton();
  assertEquals([ports.read(BASE, 2), bench.level("sci")], [0x100, false]);
  ports.write(BASE, 2, 0x100);
  ports.write(BASE + 2, 2, 0x100);
  bench.write("apm", 0, 0xf1);
  assertEquals(bench.level("sci"), false, "the press before is forgotten");
  device.pressPowerButton();
  assertEquals([ports.read(BASE, 2), bench.level("sci")], [0x100, true]);
  ports.write(BASE, 2, 0x100);
  assertEquals([ports.read(BASE, 2), bench.level("sci")], [0, false]);
});

Deno.test("piix4-pm: the RTC's interrupt is an event", async () => {
  const { bench } = await pm();
  const { ports } = bench;
  const now = () => [ports.read(BASE, 2), bench.level("sci")];
  bench.write("apm", 0, 0xf1);
  bench.drive("rtc", true);
  assertEquals(now(), [0x400, false]);
  ports.write(BASE + 2, 2, 0x400);
  assertEquals(now(), [0x400, true]);
  // It is the edge: cleared, it stays so while the line is high.
  ports.write(BASE, 2, 0x400);
  assertEquals(now(), [0, false]);
  bench.drive("rtc", false);
  assertEquals(now(), [0, false]);
  bench.drive("rtc", true);
  assertEquals(now(), [0x400, true]);
});

Deno.test("piix4-pm: what is saved is the timer's status of now", async () => {
  const first = await pm();
  // Bit 23 has changed, and nobody has looked.
  first.bench.advance(3 * SECOND);
  const saved = first.bench.save();
  const second = await pm();
  second.bench.advance(3 * SECOND);
  second.bench.device.load(saved);
  assertEquals(second.bench.save(), saved);
  assertEquals(second.bench.ports.read(BASE, 2) & 1, 1);
});
