/** Drives as firmware has them, beside the registers. */

import { assertEquals, assertRejects } from "@std/assert";
import { FakeBlock, IdeBench } from "../../../tests/devices/ide_bench.ts";

Deno.test("boot drives: a disk and a disc, in the order of the units", async () => {
  const disk = new FakeBlock(1 << 20);
  const disc = new FakeBlock(1 << 18);
  const ide = await IdeBench.create({ disk0: disk, disk1: disc }, {
    disk0: { model: "A DISK" },
    disk1: { kind: "cdrom" },
  });
  const [first, second] = ide.bench.device.bootDrives();
  assertEquals([first.name, first.kind, first.sectors], [
    "A DISK",
    "disk",
    2048,
  ]);
  // IDENTIFY tells the same: words 1, 3 and 6.
  await ide.command(0xec, { 6: 0xa0 });
  const identify = new DataView(ide.data(512).buffer);
  const word = (n: number) => identify.getUint16(2 * n, true);
  const { cylinders, heads, sectors } = first.geometry!;
  assertEquals([cylinders, heads, sectors], [word(1), word(3), word(6)]);
  assertEquals(await first.read(3, 2), disk.bytes.slice(3 * 512, 5 * 512));
  await first.write(7, new Uint8Array(512).fill(9));
  assertEquals(disk.bytes[7 * 512], 9);
  await assertRejects(() => first.read(2047, 2));

  assertEquals([second.kind, second.sectorSize, second.sectors], [
    "cdrom",
    2048,
    128,
  ]);
  assertEquals(await second.read(1, 1), disc.bytes.slice(2048, 4096));
  await assertRejects(() => second.write(0, new Uint8Array(2048)));
  await assertRejects(() => second.read(127, 2));
});

Deno.test("boot drives: an open tray has no medium", async () => {
  const ide = await IdeBench.create({ disk0: new FakeBlock(1 << 18) }, {
    disk0: { kind: "cdrom" },
  });
  const [drive] = ide.bench.device.bootDrives();
  // START STOP UNIT: eject.
  await ide.packet([0x1b, 0, 0, 0, 2]);
  assertEquals(drive.sectors, 0);
  await assertRejects(() => drive.read(0, 1));
});
