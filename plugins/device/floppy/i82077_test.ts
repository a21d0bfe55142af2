/** Registers, seeks and settings: Intel 82077AA (290166). */

import { assertEquals, assertRejects } from "@std/assert";
import {
  FLOPPY_BYTES,
  FloppyBench,
} from "../../../tests/devices/floppy_bench.ts";
import { FakeBlock, settled } from "../../../tests/devices/ide_bench.ts";
import { driveFor, formatOf } from "./media.ts";

const disk = () => new FakeBlock(FLOPPY_BYTES);
const one = async () =>
  await (await FloppyBench.create({ drive0: disk() })).start();

Deno.test("i82077: out of reset come four interrupts to be sensed, on one edge", async () => {
  const fdc = await FloppyBench.create({ drive0: disk() });
  assertEquals([fdc.in(2), fdc.msr, fdc.irq], [0, 0, false]);
  fdc.out(2, 0x0c);
  assertEquals([fdc.msr, fdc.irq], [0, false]);
  await fdc.wait();
  assertEquals([fdc.msr, fdc.irq, fdc.in(0) & 0x80], [0x80, true, 0x80]);
  for (let unit = 0; unit < 4; unit++) {
    assertEquals(await fdc.command(0x08), [0xc0 | unit, 0]);
    assertEquals(fdc.irq, false);
  }
  assertEquals(await fdc.command(0x08), [0x80]);
  // By the data rate select register, whose bit clears itself.
  fdc.out(4, 0x80);
  assertEquals(fdc.msr, 0);
  await fdc.wait();
  assertEquals([fdc.msr, fdc.irq], [0x80, true]);
  assertEquals(await fdc.command(0x08), [0xc0, 0]);
  // Held in reset it takes nothing.
  fdc.out(2, 0x08);
  fdc.send(0x10);
  assertEquals([fdc.msr, fdc.irq, fdc.in(5)], [0, false, 0]);
});

Deno.test("i82077: INT is driven while DMAGATE is set", async () => {
  const fdc = await FloppyBench.create({ drive0: disk() });
  fdc.out(2, 0x04);
  await fdc.wait();
  assertEquals(fdc.irq, false);
  fdc.out(2, 0x0c);
  assertEquals(fdc.irq, true);
});

Deno.test("i82077: seek and recalibrate", async () => {
  const fdc = await one();
  assertEquals(await fdc.seek(0x0f, 0x04, 40), [0x20, 40]);
  assertEquals(await fdc.command(0x04, 0x04), [0x2c]);
  assertEquals(await fdc.seek(0x07, 0), [0x20, 0]);
  assertEquals(await fdc.command(0x04, 0), [0x38]);
  // A drive that is not there never finds track 0.
  assertEquals(await fdc.seek(0x07, 1), [0x71, 0]);
  assertEquals(await fdc.command(0x04, 1), [0x29]);
  // 79 steps do not bring a head back from beyond the last track.
  assertEquals(await fdc.seek(0x0f, 0, 82), [0x20, 82]);
  assertEquals(await fdc.seek(0x07, 0), [0x70, 0]);
  assertEquals(await fdc.seek(0x07, 0), [0x20, 0]);
});

Deno.test("i82077: seeks overlap, and the shorter ends first", async () => {
  const fdc = await FloppyBench.create({ drive0: disk(), drive1: disk() });
  await fdc.start();
  fdc.send(0x0f, 0, 79);
  fdc.send(0x0f, 1, 2);
  assertEquals([fdc.msr, fdc.irq], [0x83, false]);
  fdc.bench.takeEdges("irq");
  fdc.bench.advance(100_000);
  assertEquals([fdc.msr, fdc.irq], [0x81, true]);
  fdc.bench.advance(10_000_000);
  // The second end is an edge of its own.
  assertEquals(fdc.bench.takeEdges("irq"), [true, false, true]);
  assertEquals(await fdc.command(0x08), [0x20, 79]);
  assertEquals(fdc.irq, true);
  assertEquals(await fdc.command(0x08), [0x21, 2]);
  assertEquals([fdc.irq, fdc.msr], [false, 0x80]);
});

Deno.test("i82077: SPECIFY and the data rate say how long a step takes", async () => {
  const fdc = await one();
  const time = async (srt: number, rate: number): Promise<number> => {
    await fdc.command(0x03, srt << 4, 0);
    fdc.bench.write("control", 0, rate);
    await fdc.seek(0x07, 0);
    const start = fdc.bench.clock.now();
    fdc.send(0x0f, 0, 50);
    const due = fdc.bench.clock.nextDeadline();
    await fdc.wait();
    await fdc.command(0x08);
    return due - start;
  };
  // Table 5-10: 8 ms at 1 Mbit/s with SRT 0, 1 ms at 500 kbit/s with SRT 15.
  const slow = await time(0, 3);
  const fast = await time(15, 0);
  const overhead = 10_000;
  assertEquals((slow - overhead) / (fast - overhead), 8);
});

Deno.test("i82077: RELATIVE SEEK goes in and out, and not beyond track 0", async () => {
  const fdc = await one();
  assertEquals(await fdc.seek(0xcf, 0, 10), [0x20, 10]);
  assertEquals(fdc.in(0) & 0x11, 0x11);
  assertEquals(await fdc.seek(0x8f, 0, 3), [0x20, 7]);
  assertEquals(fdc.in(0) & 0x11, 0x10);
  assertEquals(await fdc.seek(0x8f, 0, 9), [0x70, 254]);
  assertEquals(await fdc.command(0x04, 0), [0x38]);
});

Deno.test("i82077: DSKCHG stands until a step with a disk", async () => {
  const fdc = await FloppyBench.create({ drive0: disk() }, {
    drive1: { type: "1.44M" },
  });
  await fdc.start();
  assertEquals(fdc.changed, true);
  await fdc.seek(0x07, 0);
  assertEquals(fdc.changed, true);
  await fdc.seek(0x0f, 0, 1);
  assertEquals(fdc.changed, false);
  fdc.bench.device.insert(0, undefined);
  await fdc.seek(0x0f, 0, 2);
  assertEquals(fdc.changed, true);
  fdc.bench.device.insert(0, disk());
  assertEquals(fdc.changed, true);
  await fdc.seek(0x0f, 0, 3);
  assertEquals(fdc.changed, false);
  // The selected drive's: B has no disk, C is not there.
  fdc.out(2, 0x3d);
  assertEquals(fdc.changed, true);
  fdc.out(2, 0x3e);
  assertEquals(fdc.changed, false);
});

Deno.test("i82077: ST3 and SRA tell write protection", async () => {
  const fdc = await FloppyBench.create({
    drive0: new FakeBlock(FLOPPY_BYTES, true),
    drive1: disk(),
  });
  await fdc.start();
  assertEquals(await fdc.command(0x04, 0), [0x78]);
  assertEquals(await fdc.command(0x04, 5), [0x3d]);
  assertEquals(fdc.in(0) & 0x42, 0);
  fdc.out(2, 0x1d);
  assertEquals([fdc.in(0) & 0x42, fdc.in(1)], [0x02, 0xe1]);
});

Deno.test("i82077: VERSION, invalid commands, and bytes that nobody waits for", async () => {
  const fdc = await one();
  assertEquals(await fdc.command(0x10), [0x90]);
  // 82078's PART ID, SCAN EQUAL, MT with SEEK, nothing at all.
  for (const invalid of [0x18, 0x11, 0x8e, 0x00, 0x1f]) {
    assertEquals(await fdc.command(invalid), [0x80]);
  }
  assertEquals(fdc.irq, false);
  assertEquals(fdc.in(5), 0);
  fdc.send(0x10);
  assertEquals(fdc.msr, 0xd0);
  fdc.send(0x10); // not now
  assertEquals(fdc.result(), [0x90]);
  fdc.send(0x0f);
  assertEquals([fdc.msr, fdc.in(5)], [0x90, 0]);
});

Deno.test("i82077: DUMPREG tells what was set; LOCK keeps it", async () => {
  const fdc = await one();
  await fdc.seek(0x0f, 0, 9);
  await fdc.seek(0x0f, 2, 7);
  await fdc.command(0x03, 0xaf, 0x42);
  await fdc.command(0x13, 0, 0x57, 0x33);
  await fdc.command(0x12, 0x8f);
  const dump = await fdc.command(0x0e);
  assertEquals(dump, [9, 0, 7, 0, 0xaf, 0x42, 0, 0x0f, 0x57, 0x33]);
  // PERPENDICULAR MODE without OW leaves the drives' bits.
  await fdc.command(0x12, 0x30);
  assertEquals((await fdc.command(0x0e))[7], 0x0c);
  assertEquals(await fdc.command(0x94), [0x10]);
  fdc.out(4, 0x80);
  await fdc.wait();
  const [, , , , , , , seventh, ...rest] = await fdc.command(0x0e);
  // EIS and POLL are not among what LOCK keeps.
  assertEquals([seventh, ...rest], [0x8c, 0x07, 0x33]);
  assertEquals(await fdc.command(0x14), [0]);
  fdc.out(4, 0x80);
  await fdc.wait();
  assertEquals((await fdc.command(0x0e)).slice(7), [0x0c, 0x20, 0]);
});

Deno.test("i82077: DOR, TDR and SRB", async () => {
  const fdc = await FloppyBench.create({});
  fdc.out(2, 0x35);
  assertEquals([fdc.in(2), fdc.in(1)], [0x35, 0xe3]);
  fdc.out(3, 0xff);
  assertEquals(fdc.in(3), 3);
});

Deno.test("media: the format, the drive for it and its rate, by size", () => {
  const found = [160, 180, 320, 360, 720, 1200, 1440, 2880].map((kib) => {
    const format = formatOf(kib * 1024);
    const { cylinders, heads, sectors } = format;
    return [kib, cylinders, heads, sectors, driveFor(format)];
  });
  // The formats of DOS (IBM DOS Technical Reference, "disk format").
  assertEquals(found, [
    [160, 40, 1, 8, "360K"],
    [180, 40, 1, 9, "360K"],
    [320, 40, 2, 8, "360K"],
    [360, 40, 2, 9, "360K"],
    [720, 80, 2, 9, "1.44M"],
    [1200, 80, 2, 15, "1.2M"],
    [1440, 80, 2, 18, "1.44M"],
    [2880, 80, 2, 36, "2.88M"],
  ]);
  assertEquals(formatOf(100 * 1024).sectors, 18);
  assertEquals(formatOf(2000 * 1024).sectors, 36);
});

Deno.test("i82077: drives are written down in the CMOS", async () => {
  const drives = async (
    backends: Record<string, FakeBlock>,
    config: Record<string, unknown> = {},
  ) => {
    const { setup } = await FloppyBench.create(backends, config);
    return [setup.bytes[0x10], setup.bytes[0x14]];
  };
  assertEquals(await drives({}), [0, 0]);
  assertEquals(await drives({ drive0: disk() }), [0x40, 0x01]);
  const ed = new FakeBlock(2880 * 1024);
  assertEquals(await drives({ drive0: disk(), drive1: ed }), [0x45, 0x41]);
  assertEquals(
    await drives({ drive0: disk() }, { drive0: { type: "none" } }),
    [0, 0],
  );
  const types = ["360K", "1.2M", "720K", "1.44M", "2.88M"];
  for (const [i, type] of types.entries()) {
    assertEquals(await drives({}, { drive0: { type } }), [i + 1 << 4, 1]);
  }
});

Deno.test("i82077: an image that does not fit is refused", async () => {
  await assertRejects(
    () => FloppyBench.create({ drive0: new FakeBlock(4 << 20) }),
    Error,
    "Cannot put an image of 4194304 bytes in a floppy drive: expected at most 2949120",
  );
  await assertRejects(
    () => FloppyBench.create({ drive0: disk() }, { drive0: { type: "1.2M" } }),
    Error,
    "Cannot put an image of 1474560 bytes in a drive of 1.2M",
  );
});

Deno.test("i82077: what was written is flushed when the motor stops", async () => {
  const image = disk();
  const fdc = await (await FloppyBench.create({ drive0: image })).start();
  fdc.out(2, 0x0c);
  await settled();
  assertEquals(image.log.includes("flush"), false);
  fdc.out(2, 0x1c);
  fdc.program(0x48, 512);
  await fdc.command(0x45, 0, 0, 0, 1, 2, 1, 0x1b, 0xff);
  fdc.out(2, 0x0c);
  await settled();
  assertEquals(image.log.filter((line) => line === "flush").length, 1);
});
