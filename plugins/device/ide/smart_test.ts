import { assertEquals } from "@std/assert";
import { FakeBlock, IdeBench } from "../../../tests/devices/ide_bench.ts";

const MIB = 1 << 20;
const KEY = { 4: 0x4f, 5: 0xc2, 6: 0xa0 };

/** A SMART command; gives back status, error and what the host is given. */
async function smart(
  ide: IdeBench,
  features: number,
  count = 0,
  low = 0,
): Promise<{ end: number[]; bytes: Uint8Array }> {
  await ide.command(0xb0, { ...KEY, 1: features, 2: count, 3: low });
  const bytes = ide.data((ide.alternate & 0x08) === 0 ? 0 : 512);
  return { end: [ide.in(7), ide.in(1)], bytes };
}

/** The word of IDENTIFY DEVICE. */
async function identify(ide: IdeBench, word: number): Promise<number> {
  await ide.command(0xec, { 6: 0xa0 });
  return new Uint16Array(ide.data(512).buffer)[word];
}

function sum(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum + byte & 0xff, 0);
}

const DONE = [0x50, 0];
const ABORTED = [0x41, 4];

Deno.test("smart: every attribute has a threshold that it is above", async () => {
  const ide = await IdeBench.create({ disk0: new FakeBlock(MIB) });
  const data = await smart(ide, 0xd0, 1);
  const thresholds = await smart(ide, 0xd1, 1);
  assertEquals([data.end, thresholds.end], [DONE, DONE]);
  assertEquals([sum(data.bytes), sum(thresholds.bytes)], [0, 0]);
  const ids: number[] = [];
  for (let at = 2; data.bytes[at] !== 0; at += 12) {
    ids.push(data.bytes[at]);
    assertEquals(thresholds.bytes[at], data.bytes[at]);
    assertEquals(data.bytes[at + 3] > thresholds.bytes[at + 1], true);
  }
  assertEquals(ids, [1, 3, 4, 5, 9, 12, 190]);
});

Deno.test("smart: self-tests are in the log, the last 21 of them", async () => {
  const ide = await IdeBench.create({ disk0: new FakeBlock(MIB) });
  const log = async (): Promise<Uint8Array> =>
    (await smart(ide, 0xd5, 1, 6))
      .bytes;
  assertEquals((await log())[508], 0);
  assertEquals((await smart(ide, 0xd4, 0, 2)).end, DONE);
  let bytes = await log();
  assertEquals([bytes[508], bytes[2], bytes[3], sum(bytes)], [1, 2, 0, 0]);
  for (let i = 0; i < 21; i++) await smart(ide, 0xd4, 0, 1);
  bytes = await log();
  assertEquals([bytes[508], bytes[2], bytes[2 + 20 * 24]], [1, 1, 1]);
  // Neither a test nor a log; no sector of one.
  assertEquals((await smart(ide, 0xd4, 0, 3)).end, ABORTED);
  assertEquals((await smart(ide, 0xd5, 1, 9)).end, ABORTED);
  assertEquals((await smart(ide, 0xd5, 0, 6)).end, ABORTED);
  // The directory says how long they are.
  const directory = (await smart(ide, 0xd5, 1, 0)).bytes;
  assertEquals([directory[2], directory[12], directory[14]], [1, 1, 0]);
});

Deno.test("smart: off and on, and IDENTIFY DEVICE says so", async () => {
  const ide = await IdeBench.create({ disk0: new FakeBlock(MIB) });
  assertEquals([await identify(ide, 82) & 1, await identify(ide, 85) & 1], [
    1,
    1,
  ]);
  assertEquals((await smart(ide, 0xd9)).end, DONE);
  assertEquals(await identify(ide, 85) & 1, 0);
  assertEquals((await smart(ide, 0xd0)).end, ABORTED);
  assertEquals((await smart(ide, 0xd8)).end, DONE);
  assertEquals((await smart(ide, 0xda)).end, DONE);
  // No threshold is exceeded.
  assertEquals([ide.in(4), ide.in(5)], [0x4f, 0xc2]);
});
