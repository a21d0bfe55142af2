import { assertEquals } from "@std/assert";
import {
  FakeBlock,
  IdeBench,
  settled,
} from "../../../tests/devices/ide_bench.ts";
import type { AtapiCdrom } from "./atapi.ts";

const BLOCKS = 300;

async function drive(
  block: FakeBlock | undefined = new FakeBlock(BLOCKS * 2048),
): Promise<{ ide: IdeBench; block: FakeBlock; cdrom: AtapiCdrom }> {
  const ide = await IdeBench.create({ disk0: block }, {
    disk0: { kind: "cdrom", model: "A drive" },
  });
  const cdrom = ide.bench.device.drives[0] as AtapiCdrom;
  return { ide, block, cdrom };
}

async function empty(): Promise<{ ide: IdeBench; cdrom: AtapiCdrom }> {
  const ide = await IdeBench.create({}, { disk0: { kind: "cdrom" } });
  return { ide, cdrom: ide.bench.device.drives[0] as AtapiCdrom };
}

/** Sense key and additional sense code of the last command. */
async function sense(ide: IdeBench): Promise<number[]> {
  await ide.packet([0x03, 0, 0, 0, 18]);
  const data = await ide.answer();
  return [data[2], data[12]];
}

/** Send a packet without data; gives back status and sense. */
async function check(
  ide: IdeBench,
  ...packet: number[]
): Promise<[status: number, ...sense: number[]]> {
  await ide.packet(packet);
  return [ide.in(7), ...await sense(ide)];
}

Deno.test("atapi: signature, DEVICE RESET, disk commands", async () => {
  const { ide } = await drive();
  const signature = [1, 1, 0x14, 0xeb, 0xa0];
  assertEquals([ide.in(7), ...ide.address], [0x00, ...signature]);
  for (const command of [0xec, 0x20]) {
    ide.out(4, 0);
    await ide.command(command);
    assertEquals([ide.in(7), ide.in(1)], [0x41, 0x04]);
    assertEquals(ide.address, signature);
  }
  // DEVICE RESET is taken in the middle of a packet, without an interrupt.
  await ide.command(0xa0);
  assertEquals(ide.in(7), 0x58);
  await ide.command(0x08);
  assertEquals([ide.in(7), ide.irq, ...ide.address], [0, false, ...signature]);
  await ide.command(0xa1);
  assertEquals([ide.irq, ide.in(7)], [true, 0x58]);
  const words = new Uint16Array(ide.data(512).buffer);
  assertEquals([words[0], words[27]], [0x85c0, 0x4120]);
  assertEquals(ide.in(7), 0x50);
});

Deno.test("atapi: the phases of a packet with data", async () => {
  const { ide, block } = await drive();
  block.held = true;
  await ide.command(0xa0, { 1: 0, 4: 0x00, 5: 0x06, 6: 0xa0 });
  assertEquals([ide.in(2), ide.in(7), ide.irq], [1, 0x58, false]);
  const read = new Uint8Array(12);
  read.set([0x28, 0, 0, 0, 0, 10, 0, 0, 1]);
  await ide.put(read);
  assertEquals([ide.in(7), ide.irq], [0xc0, false]);
  await block.release();
  const data = new Uint8Array(2048);
  // 2048 bytes in blocks of 1536 at most.
  assertEquals([ide.irq, ide.in(2), ide.in(7)], [true, 2, 0x58]);
  assertEquals([ide.in(4), ide.in(5)], [0x00, 0x06]);
  data.set(ide.data(1536));
  assertEquals([ide.irq, ide.in(2), ide.in(7)], [true, 2, 0x58]);
  assertEquals([ide.in(4), ide.in(5)], [0x00, 0x02]);
  data.set(ide.data(512, 4), 1536);
  assertEquals([ide.irq, ide.in(2), ide.in(7)], [true, 3, 0x50]);
  assertEquals(data, block.bytes.slice(10 * 2048, 11 * 2048));
});

Deno.test("atapi: reads of more than one request, READ(12) and READ CD", async () => {
  const { ide, block } = await drive();
  await ide.packet([0xa8, 0, 0, 0, 0, 5, 0, 0, 0, 200]);
  assertEquals(await ide.answer(), block.bytes.slice(5 * 2048, 205 * 2048));
  await ide.packet([0xbe, 0, 0, 0, 0, 16, 0, 0, 2, 0x10]);
  assertEquals(await ide.answer(), block.bytes.slice(16 * 2048, 18 * 2048));
  await ide.packet([0xbe, 0, 0, 0, 0, 16, 0, 0, 2, 0xf8]);
  const raw = await ide.answer();
  assertEquals(raw.length, 2 * 2352);
  // Block 17 is at 00:02:17, mode 1.
  assertEquals([...raw.slice(2352 + 10, 2352 + 16)], [255, 0, 0, 2, 0x17, 1]);
  assertEquals(
    raw.slice(2352 + 16, 2352 + 16 + 2048),
    block.bytes.slice(17 * 2048, 18 * 2048),
  );
});

Deno.test("atapi: READ CD gives what was expected, or nothing", async () => {
  const { ide, block } = await drive();
  const readCd = (type: number, what: number, channels: number) => [
    ...[0xbe, type << 2, 0, 0, 0, 16, 0, 0, 1, what, channels],
  ];
  await ide.packet(readCd(2, 0x10, 0));
  assertEquals(await ide.answer(), block.bytes.slice(16 * 2048, 17 * 2048));
  // Audio, mode 2; C2 error flags; a sub-channel.
  for (
    const [cdb, asc] of [
      [readCd(1, 0xf8, 0), 0x64],
      [readCd(3, 0x10, 0), 0x64],
      [readCd(0, 0xfa, 0), 0x24],
      [readCd(0, 0xfc, 0), 0x24],
      [readCd(0, 0xf8, 1), 0x24],
    ] as const
  ) {
    assertEquals(await check(ide, ...cdb), [0x41, 5, asc]);
  }
});

Deno.test("atapi: errors and their sense data", async () => {
  const { ide, block } = await drive();
  assertEquals(await check(ide, 0x00), [0x50, 0, 0]);
  assertEquals(await check(ide, 0x99), [0x41, 5, 0x20]);
  // Past the end, and a length that is not there.
  assertEquals(await check(ide, 0x28, 0, 0, 0, 1, 0x2c, 0, 0, 1), [
    0x41,
    5,
    0x21,
  ]);
  assertEquals(
    await check(ide, 0xa8, 0, 255, 255, 255, 255, 255, 255, 255, 255),
    [0x41, 5, 0x21],
  );
  assertEquals(await check(ide, 0x5a, 0, 0x33, 0, 0, 0, 0, 0, 255), [
    0x41,
    5,
    0x24,
  ]);
  assertEquals(await check(ide, 0x5a, 0, 0xea, 0, 0, 0, 0, 0, 255), [
    0x41,
    5,
    0x39,
  ]);
  block.failing = "read";
  await ide.packet([0x28, 0, 0, 0, 0, 0, 0, 0, 1]);
  assertEquals([ide.in(7), ide.in(1), ide.in(2)], [0x41, 0x30, 3]);
  assertEquals(await sense(ide), [3, 0x11]);
  assertEquals(await sense(ide), [0, 0], "told once");
  // No bytes at all is a mistake in PIO.
  block.failing = "";
  await ide.packet([0x28, 0, 0, 0, 0, 0, 0, 0, 1], 0);
  assertEquals([ide.in(7), ide.in(1)], [0x41, 0x04]);
  // This channel has no DMA.
  await ide.command(0xa0, { 1: 1 });
  assertEquals([ide.in(7), ide.in(1)], [0x41, 0x04]);
});

Deno.test("atapi: a disc is put in, changed and taken out", async () => {
  const { ide, cdrom } = await empty();
  assertEquals(await check(ide, 0x00), [0x41, 2, 0x3a]);
  const disc = new FakeBlock(4 * 2048);
  cdrom.insert(disc);
  // INQUIRY does not tell of the change, the first other command does.
  await ide.packet([0x12, 0, 0, 0, 36]);
  assertEquals((await ide.answer())[0], 5);
  assertEquals(await check(ide, 0x00), [0x41, 6, 0x28]);
  assertEquals(await check(ide, 0x00), [0x50, 0, 0]);
  const event = async (): Promise<number[]> => {
    await ide.packet([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]);
    return [...(await ide.answer()).subarray(4, 6)];
  };
  assertEquals([await event(), await event()], [[2, 2], [0, 2]]);
  // The drive's own tray, prevented and allowed.
  assertEquals(await check(ide, 0x1e, 0, 0, 0, 1), [0x50, 0, 0]);
  assertEquals(await check(ide, 0x1b, 0, 0, 0, 2), [0x41, 5, 0x53]);
  assertEquals([cdrom.eject(), await event()], [false, [1, 2]]);
  await check(ide, 0x1e, 0, 0, 0, 0);
  assertEquals(await check(ide, 0x1b, 0, 0, 0, 2), [0x50, 0, 0]);
  assertEquals([cdrom.open, await event()], [true, [3, 1]]);
  assertEquals(await check(ide, 0x25), [0x41, 2, 0x3a]);
  assertEquals(await check(ide, 0x1b, 0, 0, 0, 3), [0x50, 6, 0x28]);
  await ide.packet([0x25]);
  assertEquals([...await ide.answer()], [0, 0, 0, 3, 0, 0, 8, 0]);
  cdrom.insert(undefined);
  assertEquals(await check(ide, 0x00), [0x41, 2, 0x3a]);
});

Deno.test("atapi: a disc that goes while it is read", async () => {
  for (const how of ["eject", "insert"] as const) {
    const { ide, block, cdrom } = await drive();
    block.held = true;
    await ide.packet([0x28, 0, 0, 0, 0, 0, 0, 0, 1]);
    assertEquals(ide.in(7), 0xc0);
    if (how === "eject") cdrom.eject(true);
    else cdrom.insert(undefined);
    assertEquals([ide.irq, ide.in(7)], [true, 0x41]);
    await block.release();
    assertEquals(ide.in(7), 0x41);
    assertEquals(await sense(ide), [2, 0x3a]);
  }
});

Deno.test("atapi: a read under way is saved", async () => {
  const { ide, block } = await drive();
  block.held = true;
  await ide.packet([0x28, 0, 0, 0, 0, 7, 0, 0, 1]);
  const saved = ide.bench.save();
  const other = await drive();
  other.ide.bench.device.load(saved);
  await settled();
  assertEquals(other.ide.irq, true);
  assertEquals(
    await other.ide.answer(),
    block.bytes.slice(7 * 2048, 8 * 2048),
  );
});
