import { assertEquals } from "@std/assert";
import {
  FakeBlock,
  IdeBench,
  settled,
} from "../../../tests/devices/ide_bench.ts";

const MIB = 1 << 20;
/** Sectors of the disk here. */
const TOTAL = MIB / 512;

async function disk(
  readOnly = false,
): Promise<{ ide: IdeBench; block: FakeBlock }> {
  const block = new FakeBlock(MIB, readOnly);
  return { ide: await IdeBench.create({ disk0: block }), block };
}

/** The words of IDENTIFY DEVICE. */
async function identify(ide: IdeBench): Promise<Uint16Array> {
  await ide.command(0xec, { 6: 0xa0 });
  return new Uint16Array(ide.data(512).buffer);
}

function text(words: Uint16Array, first: number, count: number): string {
  return Array.from(
    words.subarray(first, first + count),
    (word) => String.fromCharCode(word >> 8, word & 255),
  ).join("").trimEnd();
}

Deno.test("ata: signature after power-on, SRST and diagnosis", async () => {
  const { ide } = await disk();
  const signature = [0x01, 0x01, 0x00, 0x00, 0xa0];
  assertEquals([ide.alternate, ...ide.address], [0x50, ...signature]);
  ide.out(3, 0x77);
  ide.out(6, 0xf0);
  ide.control(0x04);
  assertEquals(ide.alternate, 0x80);
  ide.out(3, 0x55);
  ide.control(0x00);
  assertEquals([ide.alternate, ...ide.address], [0x50, ...signature]);
  assertEquals([ide.in(1), ide.irq], [0x01, false]);
  await ide.command(0x90, { 6: 0xb0 });
  assertEquals([ide.irq, ide.in(1), ...ide.address], [true, 1, ...signature]);
});

Deno.test("ata: a channel without drives, and an absent one of two", async () => {
  const none = await IdeBench.create({});
  none.out(3, 0x55);
  assertEquals([none.in(7), none.alternate, none.in(3)], [0, 0, 0]);
  await none.command(0xec);
  assertEquals([none.in(7), none.irq], [0, false]);
  assertEquals(none.data(2), new Uint8Array(2));
  const { ide } = await disk();
  ide.out(3, 0x12);
  ide.out(6, 0xb0);
  assertEquals([ide.in(7), ide.alternate, ide.in(3)], [0, 0, 0x12]);
  await ide.command(0xec);
  assertEquals([ide.in(7), ide.irq], [0, false]);
  ide.out(6, 0xa0);
  assertEquals(ide.in(7), 0x50);
  const second = await IdeBench.create({ disk1: new FakeBlock(MIB) });
  assertEquals(second.in(7), 0);
  second.out(6, 0xb0);
  assertEquals(second.in(7), 0x50);
});

Deno.test("ata: busy until the backend answers, then the interrupt", async () => {
  const { ide, block } = await disk();
  block.held = true;
  await ide.command(0x20, ide.lba(5, 2));
  assertEquals([ide.in(7), ide.irq], [0xc0, false]);
  // Nothing is taken meanwhile.
  ide.out(3, 0x99);
  await ide.command(0xec);
  assertEquals(ide.data(2), new Uint8Array(2));
  await block.release();
  assertEquals([ide.irq, ide.alternate, ide.irq], [true, 0x58, true]);
  assertEquals([ide.in(7), ide.irq], [0x58, false]);
  // The second block has been read with the first, and is there at once.
  assertEquals(ide.data(512, 4), block.bytes.slice(5 * 512, 6 * 512));
  assertEquals([ide.irq, ide.in(7), ide.irq], [true, 0x58, false]);
  assertEquals(ide.data(512), block.bytes.slice(6 * 512, 7 * 512));
  assertEquals([ide.in(7), ide.irq], [0x50, false]);
  assertEquals(block.log, ["read 2560+1024"]);
});

Deno.test("ata: a write is announced when the backend has it", async () => {
  const { ide, block } = await disk();
  const bytes = Uint8Array.from({ length: 1024 }, (_, i) => i * 5 + 1);
  await ide.command(0x30, ide.lba(9, 2));
  // The first block is asked for without an interrupt (PIO data-out).
  assertEquals([ide.in(7), ide.irq], [0x58, false]);
  block.held = true;
  await ide.put(bytes.subarray(0, 512));
  assertEquals([ide.irq, ide.in(7), ide.irq], [true, 0x58, false]);
  await ide.put(bytes.subarray(512), 4);
  assertEquals([ide.in(7), ide.irq], [0xc0, false]);
  await block.release();
  assertEquals([ide.irq, ide.in(7), ide.irq], [true, 0x50, false]);
  assertEquals(block.bytes.slice(9 * 512, 11 * 512), bytes);
  assertEquals(block.log, ["write 4608+1024"]);
});

Deno.test("ata: what comes before a bad sector is transferred", async () => {
  const { ide, block } = await disk();
  block.bad = 12 * 512;
  await ide.command(0xc6, { 2: 2 });
  await ide.command(0xc4, ide.lba(8, 8));
  for (const first of [8, 10]) {
    assertEquals(ide.in(7), 0x58);
    const expected = block.bytes.slice(first * 512, (first + 2) * 512);
    assertEquals(ide.data(1024), expected);
    await settled();
  }
  assertEquals([ide.in(7), ide.in(1), ide.in(3)], [0x41, 0x40, 12]);

  const before = block.bytes.slice();
  const bytes = Uint8Array.from({ length: 4096 }, (_, i) => i * 7 + 1);
  await ide.command(0x30, ide.lba(10, 8));
  await ide.put(bytes);
  assertEquals([ide.in(7), ide.in(1), ide.in(3)], [0x61, 0x04, 12]);
  before.set(bytes.subarray(0, 1024), 10 * 512);
  assertEquals(block.bytes, before);

  await ide.command(0x40, ide.lba(9, 8));
  assertEquals([ide.in(7), ide.in(1), ide.in(3)], [0x41, 0x40, 12]);
  // The next command asks for all at once again.
  block.log.length = 0;
  await ide.command(0x40, ide.lba(20, 100));
  assertEquals([ide.in(7), block.log], [0x50, ["read 10240+51200"]]);
});

Deno.test("ata: blocks up to the end of the disk, and no further", async () => {
  const { ide, block } = await disk();
  await ide.command(0xc6, { 2: 2 });
  await ide.command(0xc4, ide.lba(TOTAL - 5, 8));
  for (const first of [TOTAL - 5, TOTAL - 3]) {
    const expected = block.bytes.slice(first * 512, (first + 2) * 512);
    assertEquals(ide.data(1024), expected);
    await settled();
  }
  // The third block is there in part.
  assertEquals([ide.in(7), ide.in(1)], [0x41, 0x10]);
  await ide.command(0x30, ide.lba(TOTAL - 2, 4));
  await ide.put(new Uint8Array(1024).fill(9));
  assertEquals([ide.in(7), ide.in(1)], [0x41, 0x10]);
  assertEquals(block.bytes.subarray(-1024), new Uint8Array(1024).fill(9));
});

Deno.test("ata: more than a request's sectors; a forgotten write keeps its bytes", async () => {
  const block = new FakeBlock(4 * MIB);
  const ide = await IdeBench.create({ disk0: block });
  ide.lba48(100, 5000);
  await ide.command(0x42);
  assertEquals(ide.in(7), 0x50);
  assertEquals(block.log, [
    "read 51200+524288",
    "read 575488+524288",
    "read 1099776+524288",
    "read 1624064+524288",
    "read 2148352+462848",
  ]);
  block.held = true;
  await ide.command(0x30, ide.lba(1, 1));
  await ide.put(new Uint8Array(512).fill(1));
  ide.control(4);
  ide.control(0);
  await ide.command(0x30, ide.lba(2, 1));
  await ide.put(new Uint8Array(512).fill(2));
  block.held = false;
  await block.release();
  assertEquals(block.bytes.subarray(512, 1024), new Uint8Array(512).fill(1));
  assertEquals(block.bytes.subarray(1024, 1536), new Uint8Array(512).fill(2));
});

Deno.test("ata: a read that is forgotten, or fails, touches nothing of later ones", async () => {
  const { ide, block } = await disk();
  // So that there is a buffer that could be used again.
  await ide.command(0x20, ide.lba(5, 1));
  assertEquals(ide.data(512), block.bytes.slice(5 * 512, 6 * 512));
  block.held = true;
  await ide.command(0x20, ide.lba(6, 1));
  ide.control(4);
  ide.control(0);
  block.held = false;
  await ide.command(0x30, ide.lba(7, 1));
  await ide.put(new Uint8Array(512).fill(0x5a));
  await block.release();
  assertEquals(
    block.bytes.slice(7 * 512, 4096),
    new Uint8Array(512).fill(0x5a),
  );
  let left: Uint8Array | undefined;
  const read = block.read.bind(block);
  block.read = (_offset, _length, room) => {
    left = room;
    return Promise.reject(new Error("it fails"));
  };
  await ide.command(0x20, ide.lba(8, 1));
  assertEquals([ide.in(7), ide.in(1)], [0x41, 0x40]);
  block.read = async (offset, length, room) => {
    const bytes = await read(offset, length, room);
    left!.fill(0xee);
    return bytes;
  };
  await ide.command(0x20, ide.lba(9, 1));
  assertEquals(ide.data(512), block.bytes.slice(9 * 512, 10 * 512));
});

Deno.test("ata: flush, and the write cache", async () => {
  const { ide, block } = await disk();
  block.held = true;
  await ide.command(0xe7);
  assertEquals([ide.in(7), block.log], [0xc0, ["flush"]]);
  await block.release();
  assertEquals([ide.irq, ide.in(7)], [true, 0x50]);
  block.held = false;
  await ide.command(0xef, { 1: 0x82 });
  assertEquals((await identify(ide))[85] & 0x20, 0);
  block.log.length = 0;
  await ide.command(0x30, ide.lba(0, 1));
  await ide.put(new Uint8Array(512));
  assertEquals(block.log, ["write 0+512", "flush"]);
  assertEquals(ide.in(7), 0x50);
});

Deno.test("ata: what the backend refuses", async () => {
  const { ide, block } = await disk();
  block.failing = "read";
  await ide.command(0x20, ide.lba(7, 1));
  assertEquals([ide.irq, ide.in(7), ide.in(1)], [true, 0x41, 0x40]);
  await ide.command(0x40, ide.lba(7, 1));
  assertEquals([ide.in(7), ide.in(1), ide.in(3)], [0x41, 0x40, 7]);
  block.failing = "write";
  await ide.command(0x30, ide.lba(7, 1));
  await ide.put(new Uint8Array(512));
  assertEquals([ide.irq, ide.in(7), ide.in(1)], [true, 0x61, 0x04]);
  block.failing = "flush";
  await ide.command(0xe7);
  assertEquals([ide.in(7), ide.in(1)], [0x61, 0x04]);
  block.failing = "";
  await ide.command(0xe7);
  assertEquals([ide.in(7), ide.in(1)], [0x50, 0x00]);
  const locked = (await disk(true)).ide;
  await locked.command(0x30, locked.lba(0, 1));
  assertEquals([locked.in(7), locked.in(1)], [0x41, 0x04]);
});

Deno.test("ata: a reset forgets a request, and later ones wait for it", async () => {
  const { ide, block } = await disk();
  block.held = true;
  await ide.command(0x30, ide.lba(1, 1));
  await ide.put(new Uint8Array(512).fill(0xaa));
  ide.control(0x04);
  ide.control(0x00);
  assertEquals([ide.in(7), ide.irq], [0x50, false]);
  await ide.command(0x30, ide.lba(1, 1));
  await ide.put(new Uint8Array(512).fill(0xbb));
  assertEquals(block.log, ["write 512+512"], "the second one waits");
  await block.release();
  assertEquals([ide.in(7), ide.irq], [0xc0, false]);
  await block.release();
  assertEquals([ide.irq, ide.in(7)], [true, 0x50]);
  assertEquals(block.bytes.slice(512, 1024), new Uint8Array(512).fill(0xbb));
});

Deno.test("ata: a request under way is asked again after a load", async () => {
  const { ide, block } = await disk();
  block.held = true;
  await ide.command(0x20, ide.lba(3, 1));
  const reading = ide.bench.save();
  const other = await disk();
  other.ide.bench.device.load(reading);
  assertEquals(other.ide.in(7), 0xc0);
  await settled();
  assertEquals([other.ide.irq, other.ide.in(7)], [true, 0x58]);
  assertEquals(other.ide.data(512), block.bytes.slice(3 * 512, 4 * 512));
  ide.bench.device.reset();
  await block.release();
  await ide.command(0x30, ide.lba(4, 1));
  await ide.put(new Uint8Array(512).fill(0x5a));
  const writing = ide.bench.save();
  other.ide.bench.device.load(writing);
  await settled();
  assertEquals(other.ide.in(7), 0x50);
  assertEquals(other.block.bytes[4 * 512 + 511], 0x5a);
});

Deno.test("ata: nIEN keeps INTRQ down, and gives it back", async () => {
  const { ide } = await disk();
  ide.control(0x02);
  await ide.command(0xe5);
  assertEquals(ide.irq, false);
  ide.control(0x00);
  assertEquals(ide.irq, true);
  // Only the selected drive's interrupt shows.
  ide.out(6, 0xb0);
  assertEquals(ide.irq, false);
  ide.out(6, 0xa0);
  assertEquals([ide.irq, ide.in(7), ide.irq], [true, 0x50, false]);
});

Deno.test("ata: addresses beyond the disk, and CHS that does not exist", async () => {
  const { ide, block } = await disk();
  await ide.command(0x20, ide.lba(TOTAL - 1, 2));
  ide.data(512);
  await settled();
  assertEquals([ide.in(7), ide.in(1)], [0x41, 0x10]);
  await ide.command(0x30, ide.lba(TOTAL, 1));
  assertEquals([ide.in(7), ide.in(1)], [0x41, 0x10]);
  ide.lba48(2 ** 40, 1);
  await ide.command(0x24);
  assertEquals([ide.in(7), ide.in(1)], [0x41, 0x10]);
  block.log.length = 0;
  for (
    const registers of [
      { 2: 1, 3: 0, 4: 0, 5: 0, 6: 0xa0 },
      { 2: 1, 3: 64, 4: 0, 5: 0, 6: 0xa0 },
      { 2: 1, 3: 1, 4: 0xff, 5: 0xff, 6: 0xa0 },
    ]
  ) {
    await ide.command(0x20, registers);
    assertEquals([ide.in(7), ide.in(1)], [0x41, 0x10]);
  }
  assertEquals(block.log, []);
});

Deno.test("ata: IDENTIFY DEVICE tells strings and settings", async () => {
  const ide = await IdeBench.create({ disk0: new FakeBlock(MIB) }, {
    disk0: { model: "A disk", serial: "S-1" },
  });
  const words = await identify(ide);
  assertEquals(text(words, 27, 20), "A disk");
  assertEquals(text(words, 10, 10), "S-1");
  assertEquals(words[60], TOTAL);
  assertEquals([words[63] >> 8, words[88] >> 8, words[59]], [0, 0, 0]);
  await ide.command(0xef, { 1: 3, 2: 0x45 });
  await ide.command(0xc6, { 2: 8 });
  await ide.command(0x91, { 2: 17, 6: 0xa3 });
  const set = await identify(ide);
  assertEquals([set[63] >> 8, set[88] >> 8, set[59]], [0, 0x20, 0x0108]);
  assertEquals([...set.subarray(54, 57)], [Math.floor(TOTAL / 68), 4, 17]);
  // Modes that there are not.
  for (const mode of [0x0d, 0x23, 0x46, 0x10]) {
    await ide.command(0xef, { 1: 3, 2: mode });
    assertEquals(ide.in(7), 0x41);
  }
});

Deno.test("ata: power modes; a sleeping disk wakes by a reset", async () => {
  const { ide } = await disk();
  const mode = async (): Promise<number> => {
    await ide.command(0xe5);
    return ide.in(2);
  };
  assertEquals(await mode(), 0xff);
  await ide.command(0xe2);
  assertEquals(await mode(), 0x00);
  await ide.command(0xe1);
  assertEquals(await mode(), 0x80);
  await ide.command(0x20, ide.lba(0, 1));
  ide.data(512);
  assertEquals(await mode(), 0xff);
  await ide.command(0xe6);
  assertEquals(ide.in(7), 0x50);
  await ide.command(0xe5);
  assertEquals(ide.irq, false);
  ide.control(4);
  ide.control(0);
  assertEquals(await mode(), 0xff);
});

Deno.test("ata: 48-bit counts, and commands that a PIO channel refuses", async () => {
  const { ide, block } = await disk();
  ide.lba48(16, 300);
  ide.control(0x80);
  assertEquals(ide.in(2), 300 >> 8);
  await ide.command(0x42);
  assertEquals(block.log, ["read 8192+153600"]);
  assertEquals([ide.in(7), ide.in(3)], [0x50, 316 & 255]);
  await ide.command(0xc8, ide.lba(0, 1));
  assertEquals([ide.in(7), ide.in(1)], [0x41, 0x04]);
});
