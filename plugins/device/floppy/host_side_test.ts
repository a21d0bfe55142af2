import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  FLOPPY_BYTES,
  FloppyBench,
} from "../../../tests/devices/floppy_bench.ts";
import { FakeBlock } from "../../../tests/devices/ide_bench.ts";

Deno.test("floppy: drives as firmware has them, beside the registers", async () => {
  const image = new FakeBlock(FLOPPY_BYTES);
  const fdc = await FloppyBench.create({ drive1: image });
  const [drive, ...others] = fdc.bench.device.bootDrives();
  assertEquals(others, []);
  assertEquals([drive.kind, drive.sectorSize, drive.removable], [
    "floppy",
    512,
    true,
  ]);
  const { cylinders, heads, sectors } = drive.geometry!;
  assertEquals([cylinders, heads, sectors], [80, 2, 18]);
  assertEquals([drive.sectors, drive.readOnly], [2880, false]);
  assertEquals(await drive.read(7, 2), image.bytes.slice(7 * 512, 9 * 512));
  await drive.write(9, new Uint8Array(512).fill(3));
  assertEquals(image.bytes[9 * 512], 3);
  await assertRejects(() => drive.read(2879, 2));
  await assertRejects(() => drive.write(2880, new Uint8Array(512)));
  // A disk is changed, which firmware tells the guest.
  const changes = drive.changes!;
  fdc.insert(1, new FakeBlock(720 * 1024, true));
  assertEquals([drive.sectors, drive.readOnly], [1440, true]);
  await assertRejects(() => drive.write(0, new Uint8Array(512)));
  fdc.insert(1, undefined);
  assertEquals([drive.sectors, drive.geometry], [0, undefined]);
  assertEquals(drive.changes, changes + 2);
  await assertRejects(() => drive.read(0, 1));
});

Deno.test("floppy: drives whose disk is changed, by the names of their backends", async () => {
  const image = new FakeBlock(FLOPPY_BYTES);
  const { bench } = await FloppyBench.create({ drive0: image }, {
    drive1: { type: "1.2M" },
  });
  const { removable } = bench.device;
  assertEquals([...removable.keys()], ["drive0", "drive1"]);
  const drive = removable.get("drive0")!;
  assertEquals([drive.medium, drive.open, drive.locked], [image, false, false]);
  assertEquals(drive.eject(), true);
  drive.insert(undefined);
  assertEquals(drive.medium, undefined);
  // What does not fit is refused, and nothing changes.
  assertThrows(
    () => removable.get("drive1")!.insert(image),
    Error,
    "Cannot put an image of 1474560 bytes in a drive of 1.2M",
  );
  assertEquals(removable.get("drive1")!.medium, undefined);
});
