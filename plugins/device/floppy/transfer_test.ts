/** Commands with data: Intel 82077AA (290166), "Data transfer commands". */

import { assertEquals } from "@std/assert";
import {
  DMA_ADDRESS,
  FLOPPY_BYTES,
  FloppyBench,
} from "../../../tests/devices/floppy_bench.ts";
import { FakeBlock, settled } from "../../../tests/devices/ide_bench.ts";

const TO_MEMORY = 0x44;
const FROM_MEMORY = 0x48;
/** GPL and DTL, which change nothing with sectors of 512 bytes. */
const GAPS = [0x1b, 0xff];

/** A drive with a disk of 1.44 MB. */
async function floppy(
  image = new FakeBlock(FLOPPY_BYTES),
): Promise<[FloppyBench, FakeBlock]> {
  const fdc = await FloppyBench.create({ drive0: image });
  return [await fdc.start(), image];
}

/** Bytes of sectors of a disk of 1.44 MB. */
function sectors(
  image: FakeBlock,
  [c, h, r]: readonly [number, number, number],
  count: number,
): Uint8Array {
  const at = ((c * 2 + h) * 18 + r - 1) * 512;
  return image.bytes.slice(at, at + count * 512);
}

Deno.test("82077: READ DATA, and table 5-6 when the terminal count ends it", async () => {
  // MT, head, final sector; C, H and R in the result, from C = 5.
  const rows: [number, number, number, number[]][] = [
    [0, 0, 17, [5, 0, 18]],
    [0, 0, 18, [6, 0, 1]],
    [0, 1, 17, [5, 1, 18]],
    [0, 1, 18, [6, 1, 1]],
    [1, 0, 17, [5, 0, 18]],
    [1, 0, 18, [5, 1, 1]],
    [1, 1, 17, [5, 1, 18]],
    [1, 1, 18, [6, 0, 1]],
  ];
  const [fdc, image] = await floppy();
  await fdc.seek(0x0f, 0, 5);
  for (const [mt, h, final, address] of rows) {
    const length = (final - 15 + 1) * 512;
    fdc.program(TO_MEMORY, length);
    const result = await fdc.command(
      ...[0x46 | mt << 7, h << 2, 5, h, 15, 2, 18],
      ...GAPS,
    );
    const [st0, st1, st2, ...rest] = result;
    assertEquals([st0 & 0xfb, st1, st2], [0, 0, 0]);
    assertEquals(rest, [...address, 2]);
    assertEquals(
      fdc.memory(length),
      sectors(image, [5, h, 15], length / 512),
    );
  }
});

Deno.test("82077: READ DATA over a track's end with MT", async () => {
  const [fdc, image] = await floppy();
  fdc.program(TO_MEMORY, 10 * 512);
  fdc.send(0xc6, 0, 0, 0, 14, 2, 18, ...GAPS);
  assertEquals([fdc.msr, fdc.irq], [0x10, false]);
  await fdc.wait();
  assertEquals([fdc.msr, fdc.irq], [0xd0, true]);
  assertEquals(fdc.in(5), 0x04);
  assertEquals(fdc.irq, false);
  assertEquals(fdc.result(), [0, 0, 0, 1, 6, 2]);
  // Sectors of side 1 follow those of side 0 in the image.
  assertEquals(fdc.memory(10 * 512), sectors(image, [0, 0, 14], 10));
});

Deno.test("82077: the end of the cylinder comes before the terminal count", async () => {
  const [fdc, image] = await floppy();
  fdc.program(TO_MEMORY, 0x8000);
  const result = await fdc.command(0x46, 0, 0, 0, 17, 2, 18, ...GAPS);
  assertEquals(result, [0x40, 0x80, 0, 1, 0, 1, 2]);
  assertEquals(fdc.memory(1024), sectors(image, [0, 0, 17], 2));
  // A cylinder, both sides, and no further.
  fdc.program(TO_MEMORY, 0xf000);
  const whole = await fdc.command(0xc6, 0, 0, 0, 1, 2, 18, ...GAPS);
  assertEquals(whole, [0x40, 0x80, 0, 1, 0, 1, 2]);
  assertEquals(fdc.memory(36 * 512), sectors(image, [0, 0, 1], 36));
  // EOT beyond the last sector: the next one is not found.
  fdc.program(TO_MEMORY, 0x8000);
  const beyond = await fdc.command(0x46, 0, 0, 0, 18, 2, 20, ...GAPS);
  assertEquals(beyond, [0x40, 0x04, 0, 0, 0, 19, 2]);
});

Deno.test("82077: an EOT counted on from side 0, as SeaBIOS gives it", async () => {
  const [fdc, image] = await floppy();
  fdc.program(TO_MEMORY, 3 * 512);
  const read = await fdc.command(0xe6, 0, 0, 0, 17, 2, 19, ...GAPS);
  assertEquals(read, [0x04, 0, 0, 0, 1, 2, 2]);
  assertEquals(fdc.memory(3 * 512), sectors(image, [0, 0, 17], 3));
  // A sector that is not there is not found all the same.
  const none = await fdc.command(0xe6, 0, 0, 0, 19, 2, 19, ...GAPS);
  assertEquals(none.slice(0, 3), [0x40, 0x04, 0]);
});

Deno.test("82077: a part of a sector", async () => {
  const [fdc, image] = await floppy();
  fdc.program(TO_MEMORY, 700);
  const result = await fdc.command(0x46, 0, 0, 0, 3, 2, 18, ...GAPS);
  assertEquals(result, [0, 0, 0, 0, 0, 5, 2]);
  assertEquals(fdc.memory(700), sectors(image, [0, 0, 3], 2).slice(0, 700));
  assertEquals(fdc.dma.ram[DMA_ADDRESS + 700], 0);
  // What is left of the data field is filled with zero ("WRITE DATA").
  const bytes = fdc.fill(700);
  fdc.program(FROM_MEMORY, 700);
  const written = await fdc.command(0x45, 0, 0, 0, 3, 2, 18, ...GAPS);
  assertEquals(written, [0, 0, 0, 0, 0, 5, 2]);
  const expected = new Uint8Array(1024);
  expected.set(bytes);
  assertEquals(sectors(image, [0, 0, 3], 2), expected);
});

Deno.test("82077: WRITE DATA over both sides", async () => {
  const [fdc, image] = await floppy();
  await fdc.seek(0x0f, 0, 30);
  const before = image.bytes.slice();
  const bytes = fdc.fill(5 * 512);
  fdc.program(FROM_MEMORY, 5 * 512);
  fdc.send(0xc5, 0, 30, 0, 17, 2, 18, ...GAPS);
  await fdc.wait();
  assertEquals(fdc.irq, true);
  assertEquals(fdc.result(), [0x04, 0, 0, 30, 1, 4, 2]);
  before.set(bytes, (60 * 18 + 16) * 512);
  assertEquals(image.bytes, before);
});

Deno.test("82077: what cannot be found", async () => {
  const [fdc] = await floppy();
  const read = async (...bytes: number[]): Promise<number[]> => {
    fdc.program(TO_MEMORY, 512);
    return (await fdc.command(...bytes, ...GAPS)).slice(0, 3);
  };
  await fdc.seek(0x0f, 0, 3);
  assertEquals(await read(0x46, 0, 4, 0, 1, 2, 18), [0x40, 0x04, 0x10]);
  assertEquals(await read(0x46, 0, 3, 1, 1, 2, 18), [0x40, 0x04, 0]);
  assertEquals(await read(0x46, 0, 3, 0, 19, 2, 18), [0x40, 0x04, 0]);
  assertEquals(await read(0x46, 0, 3, 0, 0, 2, 18), [0x40, 0x04, 0]);
  assertEquals(await read(0x46, 0, 3, 0, 1, 3, 18), [0x40, 0x04, 0]);
  // FM, another rate, beyond the last track, no such drive, the motor off.
  assertEquals(await read(0x06, 0, 3, 0, 1, 2, 18), [0x40, 0x01, 0]);
  fdc.bench.write("control", 0, 2);
  assertEquals(await read(0x46, 0, 3, 0, 1, 2, 18), [0x40, 0x01, 0]);
  assertEquals((await fdc.command(0x4a, 0)).slice(0, 3), [0x40, 0x01, 0]);
  fdc.bench.write("control", 0, 0);
  assertEquals(await read(0x46, 0, 3, 0, 1, 2, 18), [0, 0, 0]);
  await fdc.seek(0x0f, 0, 81);
  assertEquals(await read(0x46, 0, 81, 0, 1, 2, 18), [0x40, 0x01, 0]);
  assertEquals(await read(0x46, 1, 0, 0, 1, 2, 18), [0x41, 0x01, 0]);
  await fdc.seek(0x0f, 0, 3);
  fdc.out(2, 0x2c);
  assertEquals(await read(0x46, 0, 3, 0, 1, 2, 18), [0x40, 0x01, 0]);
});

Deno.test("82077: a medium that is write protected, and none", async () => {
  const protectedImage = new FakeBlock(FLOPPY_BYTES, true);
  const [fdc] = await floppy(protectedImage);
  fdc.program(FROM_MEMORY, 512);
  const write = await fdc.command(0x45, 0, 0, 0, 1, 2, 18, ...GAPS);
  assertEquals(write, [0x40, 0x02, 0, 0, 0, 1, 2]);
  const format = await fdc.command(0x4d, 0, 2, 18, 0x1b, 0xf6);
  assertEquals(format.slice(0, 3), [0x40, 0x02, 0]);
  assertEquals(protectedImage.log, []);
  fdc.insert(0, undefined);
  const none = await fdc.command(0x45, 0, 0, 0, 1, 2, 18, ...GAPS);
  assertEquals(none.slice(0, 3), [0x40, 0x01, 0]);
  assertEquals((await fdc.command(0x4a, 0)).slice(0, 3), [0x40, 0x01, 0]);
});

Deno.test("82077: READ ID tells sector after sector", async () => {
  const [fdc] = await floppy();
  await fdc.seek(0x0f, 4, 7);
  const found: number[] = [];
  for (let i = 0; i < 36; i++) {
    const [st0, st1, st2, c, h, r, n] = await fdc.command(0x4a, 4);
    assertEquals([st0, st1, st2, c, h, n], [0x04, 0, 0, 7, 1, 2]);
    found.push(r);
  }
  for (let i = 1; i < found.length; i++) {
    assertEquals(found[i], found[i - 1] % 18 + 1);
  }
});

Deno.test("82077: READ TRACK takes sectors as they come", async () => {
  const [fdc, image] = await floppy();
  fdc.program(TO_MEMORY, 18 * 512);
  const result = await fdc.command(0x42, 0, 0, 0, 1, 2, 18, ...GAPS);
  assertEquals(result, [0, 0, 0, 1, 0, 1, 2]);
  assertEquals(fdc.memory(18 * 512), sectors(image, [0, 0, 1], 18));
  // An address that is not there: ND is set and the data are read.
  fdc.program(TO_MEMORY, 4 * 512);
  const other = await fdc.command(0x42, 4, 9, 1, 1, 2, 18, ...GAPS);
  assertEquals(other.slice(0, 3), [0x04, 0x04, 0]);
  assertEquals(fdc.memory(4 * 512), sectors(image, [0, 1, 1], 4));
});

Deno.test("82077: VERIFY, and table 5-7", async () => {
  const [fdc, image] = await floppy();
  const verify = async (
    mt: number,
    ec: number,
    r: number,
    eot: number,
    sc: number,
  ): Promise<number[]> => {
    image.log.length = 0;
    const result = await fdc.command(
      ...[0x56 | mt << 7, ec << 7, 0, 0, r, 2, eot, 0x1b, sc],
    );
    return result.slice(0, 2);
  };
  assertEquals(await verify(0, 0, 1, 18, 0xff), [0, 0]);
  assertEquals(image.log, ["read 0+9216"]);
  assertEquals(await verify(0, 0, 1, 19, 0xff), [0x40, 0x04]);
  assertEquals(await verify(0, 1, 5, 18, 14), [0, 0]);
  assertEquals(await verify(0, 1, 5, 18, 15), [0x40, 0x80]);
  assertEquals((await verify(1, 0, 1, 18, 0xff))[1], 0);
  assertEquals(image.log, ["read 0+9216", "read 9216+9216"]);
  assertEquals((await verify(1, 1, 1, 18, 36))[1], 0);
  assertEquals((await verify(1, 1, 1, 18, 37))[1], 0x80);
  assertEquals((await verify(1, 1, 1, 19, 36))[1], 0x04);
});

Deno.test("82077: deleted data", async () => {
  const [fdc, image] = await floppy();
  // No sector has the mark: one is read, or all are left out.
  fdc.program(TO_MEMORY, 1024);
  const read = await fdc.command(0x4c, 0, 0, 0, 2, 2, 18, ...GAPS);
  assertEquals(read, [0, 0, 0x40, 0, 0, 2, 2]);
  assertEquals(fdc.memory(512), sectors(image, [0, 0, 2], 1));
  const skipped = await fdc.command(0x6c, 0, 0, 0, 2, 2, 18, ...GAPS);
  assertEquals(skipped.slice(0, 3), [0x40, 0x80, 0x40]);
  const bytes = fdc.fill(512, 99);
  fdc.program(FROM_MEMORY, 512);
  const written = await fdc.command(0x49, 0, 0, 0, 2, 2, 18, ...GAPS);
  assertEquals(written.slice(0, 3), [0, 0, 0]);
  assertEquals(sectors(image, [0, 0, 2], 1), bytes);
  assertEquals(fdc.bench.log.length, 1);
});

Deno.test("82077: FORMAT TRACK fills the sectors of which it gets addresses", async () => {
  const [fdc, image] = await floppy();
  await fdc.seek(0x0f, 0, 2);
  const before = image.bytes.slice();
  const ids: number[] = [];
  // Interleaved, without sector 18, and one that the image cannot hold.
  for (let i = 0; i < 17; i++) ids.push(2, 1, i * 2 % 17 + 1, 2);
  ids.push(2, 1, 77, 2);
  fdc.dma.ram.set(ids, DMA_ADDRESS);
  fdc.program(FROM_MEMORY, ids.length);
  const result = await fdc.command(0x4d, 4, 2, 18, 0x1b, 0xa5);
  assertEquals(result.slice(0, 3), [0x04, 0, 0]);
  const track = (2 * 2 + 1) * 18 * 512;
  before.fill(0xa5, track, track + 17 * 512);
  assertEquals(image.bytes, before);
  assertEquals(fdc.bench.log.length, 1);
  // DUMPREG tells SC.
  assertEquals((await fdc.command(0x0e))[6], 18);
});

Deno.test("82077: without DMA the host moves bytes", async () => {
  const [fdc, image] = await floppy();
  await fdc.command(0x03, 0xdf, 0x03);
  fdc.send(0x46, 0, 0, 0, 18, 2, 18, ...GAPS);
  assertEquals(fdc.msr, 0x10);
  await fdc.wait();
  assertEquals([fdc.msr, fdc.irq], [0xf0, true]);
  fdc.bench.takeEdges("irq");
  const bytes = new Uint8Array(512);
  for (let i = 0; i < 512; i++) {
    assertEquals(fdc.msr, 0xf0);
    bytes[i] = fdc.in(5);
  }
  assertEquals(bytes, sectors(image, [0, 0, 18], 1));
  // The FIFO is off: an interrupt a byte, and one for the result.
  assertEquals(fdc.bench.takeEdges("irq").filter((up) => up).length, 512);
  assertEquals(fdc.result(), [0x40, 0x80, 0, 1, 0, 1, 2]);
  await fdc.command(0x13, 0, 0x07, 0);
  fdc.bench.takeEdges("irq");
  fdc.send(0x45, 0, 0, 0, 17, 2, 18, ...GAPS);
  await fdc.wait();
  for (let i = 0; i < 1024; i++) {
    assertEquals(fdc.msr, 0xb0);
    fdc.send(i >> 3);
  }
  await fdc.wait();
  // Threshold 8: the FIFO asks for 9 bytes at a time.
  const edges = fdc.bench.takeEdges("irq").filter((up) => up).length;
  assertEquals(edges, Math.ceil(1024 / 9) + 1);
  assertEquals(fdc.result(), [0x40, 0x80, 0, 1, 0, 1, 2]);
  const expected = Uint8Array.from({ length: 1024 }, (_, i) => i >> 3);
  assertEquals(sectors(image, [0, 0, 17], 2), expected);
});

Deno.test("82077: an implied seek", async () => {
  const [fdc, image] = await floppy();
  await fdc.command(0x13, 0, 0x40, 0);
  fdc.program(TO_MEMORY, 512);
  const result = await fdc.command(0x46, 4, 44, 1, 1, 2, 18, ...GAPS);
  assertEquals(result, [0x24, 0, 0, 44, 1, 2, 2]);
  assertEquals(fdc.memory(512), sectors(image, [44, 1, 1], 1));
  assertEquals((await fdc.command(0x0e))[0], 44);
  fdc.program(TO_MEMORY, 512);
  const again = await fdc.command(0x46, 4, 44, 1, 2, 2, 18, ...GAPS);
  assertEquals(again[0], 0x04);
});

Deno.test("82077: a masked channel makes the disk wait", async () => {
  const [fdc, image] = await floppy();
  fdc.program(TO_MEMORY, 512);
  fdc.dma.write("dma1", 10, 6);
  fdc.send(0x46, 0, 0, 0, 1, 2, 18, ...GAPS);
  await fdc.wait();
  assertEquals([fdc.msr, fdc.dma.read("dma1", 8) & 0x40], [0x10, 0x40]);
  fdc.dma.write("dma1", 10, 2);
  assertEquals(fdc.result().slice(0, 3), [0, 0, 0]);
  assertEquals(fdc.dma.read("dma1", 8) & 0x40, 0);
  assertEquals(fdc.memory(512), sectors(image, [0, 0, 1], 1));
});

Deno.test("82077: the guest goes on while the host works, and a reset forgets", async () => {
  const [fdc, image] = await floppy();
  image.held = true;
  fdc.program(TO_MEMORY, 512);
  fdc.send(0x46, 0, 0, 0, 1, 2, 18, ...GAPS);
  await fdc.wait();
  assertEquals([fdc.msr, fdc.irq], [0x10, false]);
  fdc.out(4, 0x80);
  await fdc.wait();
  assertEquals([fdc.msr, fdc.irq], [0x80, true]);
  for (let i = 0; i < 4; i++) await fdc.command(0x08);
  // The next request waits for the last one, and nothing comes of that.
  const bytes = fdc.fill(512, 7);
  fdc.program(FROM_MEMORY, 512);
  fdc.send(0x45, 0, 0, 0, 2, 2, 18, ...GAPS);
  await fdc.wait();
  assertEquals(image.log, ["read 0+9216"]);
  image.held = false;
  await image.release();
  await fdc.wait();
  assertEquals(image.log, ["read 0+9216", "write 512+512"]);
  assertEquals(fdc.result(), [0, 0, 0, 0, 0, 3, 2]);
  assertEquals(sectors(image, [0, 0, 2], 1), bytes);
});

Deno.test("82077: a backend that fails is a data error", async () => {
  const [fdc, image] = await floppy();
  image.failing = "read";
  fdc.program(TO_MEMORY, 512);
  const read = await fdc.command(0x46, 0, 0, 0, 1, 2, 18, ...GAPS);
  assertEquals(read, [0x40, 0x20, 0x20, 0, 0, 1, 2]);
  image.failing = "write";
  fdc.program(FROM_MEMORY, 512);
  const write = await fdc.command(0x45, 0, 0, 0, 1, 2, 18, ...GAPS);
  assertEquals(write.slice(0, 3), [0x40, 0x20, 0x20]);
});

Deno.test("82077: a disk that is taken out under way", async () => {
  const [fdc, image] = await floppy();
  image.held = true;
  fdc.program(TO_MEMORY, 512);
  fdc.send(0x46, 0, 0, 0, 1, 2, 18, ...GAPS);
  await settled();
  const other = new FakeBlock(FLOPPY_BYTES);
  fdc.insert(0, other);
  await image.release();
  await fdc.wait();
  assertEquals(fdc.result().slice(0, 3), [0x40, 0x01, 0]);
  assertEquals(fdc.dma.ram[DMA_ADDRESS], 0);
});

Deno.test("82077: a disk that is taken out while its data wait", async () => {
  for (const nonDma of [0, 1]) {
    const [fdc] = await floppy();
    await fdc.command(0x03, 0xdf, 0x02 | nonDma);
    fdc.dma.write("dma1", 10, 6);
    fdc.send(0x46, 0, 0, 0, 1, 2, 18, ...GAPS);
    await fdc.wait();
    fdc.insert(0, undefined);
    assertEquals([fdc.msr, fdc.irq], [0x10, false]);
    fdc.program(TO_MEMORY, 512);
    assertEquals(fdc.dma.read("dma1", 8) & 0x40, 0);
    await fdc.wait();
    assertEquals(fdc.irq, true);
    assertEquals(fdc.result().slice(0, 3), [0x40, 0x01, 0]);
  }
});

Deno.test("82077: a saved transfer goes on in another controller", async () => {
  for (const hold of [true, false]) {
    const [fdc, image] = await floppy();
    image.held = hold;
    fdc.program(TO_MEMORY, 1024);
    fdc.send(0xc6, 0, 0, 0, 18, 2, 18, ...GAPS);
    await settled();
    const saved = [fdc.bench.save(), fdc.dma.save()];
    const other = await FloppyBench.create({
      drive0: new FakeBlock(FLOPPY_BYTES),
    });
    other.bench.advance(fdc.bench.clock.now());
    other.bench.device.load(saved[0]);
    other.dma.device.load(saved[1]);
    await other.wait();
    assertEquals(other.result(), [0x04, 0, 0, 0, 1, 2, 2]);
    assertEquals(other.memory(1024), sectors(image, [0, 0, 18], 2));
  }
});

Deno.test("82077: a disk of 40 tracks in a drive of 80 is stepped twice", async () => {
  const image = new FakeBlock(360 * 1024);
  const config = { drive0: { type: "1.2M" } };
  const fdc = await FloppyBench.create({ drive0: image }, config);
  await fdc.start();
  fdc.bench.write("control", 0, 1);
  const read = async (steps: number, c: number): Promise<number[]> => {
    await fdc.seek(0x0f, 0, steps);
    fdc.program(TO_MEMORY, 512);
    const result = await fdc.command(0x46, 0, c, 0, 1, 2, 9, ...GAPS);
    return result.slice(0, 3);
  };
  assertEquals(await read(14, 7), [0, 0, 0]);
  assertEquals(fdc.memory(512), image.bytes.slice(14 * 9 * 512).slice(0, 512));
  assertEquals(await read(7, 7), [0x40, 0x01, 0]);
  assertEquals(await read(78, 39), [0, 0, 0]);
});

Deno.test("82077: an image shorter than its medium", async () => {
  const image = new FakeBlock(20 * 512);
  const [fdc] = await floppy(image);
  fdc.dma.ram.fill(0xee);
  fdc.program(TO_MEMORY, 4 * 512);
  const read = await fdc.command(0x46, 4, 0, 1, 1, 2, 18, ...GAPS);
  assertEquals(read.slice(0, 3), [0x04, 0, 0]);
  const expected = new Uint8Array(4 * 512);
  expected.set(image.bytes.slice(18 * 512));
  assertEquals(fdc.memory(4 * 512), expected);
  fdc.program(FROM_MEMORY, 4 * 512);
  const write = await fdc.command(0x45, 4, 0, 1, 1, 2, 18, ...GAPS);
  assertEquals(write.slice(0, 3), [0x44, 0x20, 0x20]);
});

Deno.test("82077: the disk is asked at once, not when the guest's turn ends", async () => {
  const [fdc, image] = await floppy();
  const read = image.read.bind(image);
  let asked = 0;
  image.read = (...request) => {
    asked++;
    return read(...request);
  };
  for (const n of [1, 2]) {
    fdc.program(TO_MEMORY, 512);
    fdc.send(0x46, 0, 0, 0, 1, 2, 18, ...GAPS);
    assertEquals(asked, n);
    await fdc.wait();
    fdc.result();
  }
});
