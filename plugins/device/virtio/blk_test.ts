import { assert, assertEquals } from "@std/assert";
import { FakeBlock, settled } from "../../../tests/devices/ide_bench.ts";
import {
  DISCARD,
  Feature,
  FLUSH,
  GET_ID,
  IN,
  mmioDisk,
  NEEDS_RESET,
  OUT,
  WRITE_ZEROES,
} from "../../../tests/devices/virtio_bench.ts";
import { WRITE } from "../../../tests/devices/virtio_driver.ts";

const OK = 0;
const IOERR = 1;
const UNSUPP = 2;
const SECTORS = 4096;

async function disk(options: { readOnly?: boolean; without?: number[] } = {}) {
  const block = new FakeBlock(SECTORS * 512, options.readOnly);
  const made = await mmioDisk(block, { serial: "SN-1234" });
  made.driver.start(options.without);
  return { ...made, block };
}

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i * 13 + (i >> 8));
}

/** Ranges of a discard or zeroing request. */
function ranges(
  ...list: [sector: number, sectors: number, flags?: number][]
): Uint8Array {
  const bytes = new Uint8Array(16 * list.length);
  const view = new DataView(bytes.buffer);
  list.forEach(([sector, sectors, flags = 0], i) => {
    view.setBigUint64(16 * i, BigInt(sector), true);
    view.setUint32(16 * i + 8, sectors, true);
    view.setUint32(16 * i + 12, flags, true);
  });
  return bytes;
}

Deno.test("virtio-blk: reads and writes sectors", async () => {
  const { driver, block } = await disk();
  const read = await driver.ask(IN, 3, 1024);
  assertEquals([read.status, read.length], [OK, 1025]);
  assertEquals(read.data, block.bytes.slice(3 * 512, 5 * 512));
  const bytes = pattern(1536);
  const write = await driver.ask(OUT, 7, bytes);
  assertEquals([write.status, write.length], [OK, 1]);
  assertEquals(block.bytes.slice(7 * 512, 10 * 512), bytes);
  const last = await driver.ask(IN, SECTORS - 1, 512);
  assertEquals(last.data, block.bytes.slice(-512));
});

Deno.test("virtio-blk: a request may be divided in any way", async () => {
  const { driver, block } = await disk();
  const bytes = pattern(512);
  const { descriptors, status } = driver.request(OUT, 1, bytes);
  const [head, data, end] = descriptors;
  const [queue] = driver.queues;
  // Three parts of the head, the last with data, then the rest.
  const joined = driver.alloc(512 + 8);
  driver.ram.bytes.copyWithin(joined, head.address + 8, head.address + 16);
  driver.ram.bytes.set(bytes, joined + 8);
  queue.offer(queue.chain([
    { address: head.address, length: 1 },
    { address: head.address + 1, length: 7 },
    { address: joined, length: 100 },
    { address: data.address, length: 0 },
    { address: joined + 100, length: 420 },
    end,
  ]));
  driver.port.notify(0);
  await settled();
  assertEquals(driver.ram.bytes[status], OK);
  assertEquals(block.bytes.slice(512, 1024), bytes);
  // Data and status in one descriptor.
  const read = driver.request(IN, 1, 513);
  queue.offer(queue.chain(read.descriptors.slice(0, 2)));
  driver.port.notify(0);
  await settled();
  assertEquals(driver.ram.bytes.slice(read.data, read.data + 512), bytes);
  assertEquals(driver.ram.bytes[read.data + 512], OK);
});

Deno.test("virtio-blk: what lies outside the disk is an error", async () => {
  const { driver, block } = await disk();
  for (
    const [type, sector, data] of [
      [IN, SECTORS, 512],
      [IN, SECTORS - 1, 1024],
      [IN, 2 ** 53, 512],
      [IN, 0, 511],
      [OUT, SECTORS, pattern(512)],
      [OUT, SECTORS - 1, pattern(1024)],
      [OUT, 0, pattern(100)],
    ] as const
  ) {
    const { status, length } = await driver.ask(type, sector, data);
    assertEquals(status, IOERR, `${type} ${sector}`);
    assertEquals(length, type === IN ? 0 : 1);
  }
  assertEquals(block.log, []);
  assertEquals((await driver.ask(77, 0)).status, UNSUPP);
  assertEquals((await driver.ask(2, 0, 512)).status, UNSUPP, "SCSI");
});

Deno.test("virtio-blk: an ID string of 20 bytes", async () => {
  const { driver } = await disk();
  const text = (bytes: Uint8Array): string =>
    new TextDecoder().decode(bytes).replace(/\0+$/, "");
  const id = await driver.ask(GET_ID, 0, 20);
  assertEquals([id.status, id.length, text(id.data)], [OK, 21, "SN-1234"]);
  const short = await driver.ask(GET_ID, 0, 4);
  assertEquals([short.status, text(short.data)], [OK, "SN-1"]);
  const long = await driver.ask(GET_ID, 0, 40);
  assertEquals([long.status, long.length], [OK, 20]);
  const full = await mmioDisk(new FakeBlock(512), {
    serial: "0123456789abcdefghijKLM",
  });
  full.driver.start();
  const cut = await full.driver.ask(GET_ID, 0, 20);
  assertEquals(text(cut.data), "0123456789abcdefghij");
});

Deno.test("virtio-blk: a read-only disk says so and takes no writes", async () => {
  const { driver, block } = await disk({ readOnly: true });
  const word = driver.port.features(0);
  const has = (bit: number): boolean => (word >>> bit & 1) === 1;
  assert(has(Feature.RO) && has(Feature.FLUSH));
  for (const bit of ["CONFIG_WCE", "DISCARD", "WRITE_ZEROES"] as const) {
    assert(!has(Feature[bit]), bit);
  }
  assertEquals((await driver.ask(OUT, 0, pattern(512))).status, IOERR);
  assertEquals((await driver.ask(DISCARD, 0, ranges([0, 1]))).status, IOERR);
  assertEquals(
    (await driver.ask(WRITE_ZEROES, 0, ranges([0, 1]))).status,
    IOERR,
  );
  assertEquals(block.log, []);
  assertEquals((await driver.ask(IN, 0, 512)).status, OK);
});

Deno.test("virtio-blk: ranges are discarded and zeroed", async () => {
  const { driver, block } = await disk();
  block.log.length = 0;
  const before = block.bytes.slice();
  assertEquals(
    (await driver.ask(DISCARD, 0, ranges([8, 8], [100, 1]))).status,
    OK,
  );
  assertEquals(block.log, ["discard 4096+4096", "discard 51200+512"]);
  const zeroed = ranges([1, 2], [10, 1, 1]);
  assertEquals((await driver.ask(WRITE_ZEROES, 0, zeroed)).status, OK);
  before.fill(0, 512, 1536).fill(0, 5120, 5632);
  assertEquals(block.bytes, before);
  for (
    const [type, data, expected] of [
      [DISCARD, ranges([0, 1, 1]), UNSUPP],
      [DISCARD, ranges([0, 1, 2]), UNSUPP],
      [WRITE_ZEROES, ranges([0, 1, 2]), UNSUPP],
      [WRITE_ZEROES, ranges([0, 1], [0, 1, 4]), UNSUPP],
      [DISCARD, ranges([SECTORS, 1]), IOERR],
      [WRITE_ZEROES, ranges([SECTORS - 1, 2]), IOERR],
      [DISCARD, ranges([0, 0xffffffff]), IOERR],
      [DISCARD, new Uint8Array(8), IOERR],
      [DISCARD, new Uint8Array(0), IOERR],
      [DISCARD, ranges(...Array(33).fill([0, 1])), IOERR],
    ] as const
  ) {
    assertEquals((await driver.ask(type, 0, data)).status, expected);
  }
  assertEquals(block.bytes, before);
});

Deno.test("virtio-blk: a failing image is an I/O error", async () => {
  const { driver, block } = await disk();
  for (
    const [type, data, failing] of [
      [IN, 512, "read"],
      [OUT, pattern(512), "write"],
      [FLUSH, 0, "flush"],
      [WRITE_ZEROES, ranges([0, 1]), "write"],
    ] as const
  ) {
    block.failing = failing;
    assertEquals((await driver.ask(type, 0, data)).status, IOERR);
    block.failing = "";
    assertEquals((await driver.ask(type, 0, data)).status, OK);
  }
});

Deno.test("virtio-blk: without a flush of the driver's each write is safe", async () => {
  for (
    const [without, flushes] of [
      [[], 0],
      [[Feature.FLUSH], 1],
      [[Feature.CONFIG_WCE], 0],
      [[Feature.CONFIG_WCE, Feature.FLUSH], 1],
    ] as const
  ) {
    const { driver, block, port } = await disk({ without: [...without] });
    assertEquals(port.config(32, 1), 1 - flushes);
    await driver.ask(OUT, 0, pattern(512));
    await driver.ask(WRITE_ZEROES, 0, ranges([0, 1]));
    const word = block.log.filter((line) => line === "flush");
    assertEquals(word.length, 2 * flushes);
  }
});

Deno.test("virtio-blk: the driver chooses how writes are cached", async () => {
  const { driver, block, port } = await disk();
  port.writeConfig(32, 0, 1);
  assertEquals(port.config(32, 1), 0);
  await driver.ask(OUT, 0, pattern(512));
  assertEquals(block.log, ["write 0+512", "flush"]);
  port.writeConfig(32, 1, 1);
  await driver.ask(OUT, 0, pattern(512));
  assertEquals(block.log.length, 3);
  const other = await disk({ without: [Feature.CONFIG_WCE] });
  other.port.writeConfig(32, 0, 1);
  assertEquals(other.port.config(32, 1), 1, "it was not negotiated");
  for (let i = 0; i < 60; i++) {
    if (i !== 32) port.writeConfig(i, 0xff, 1);
  }
  assertEquals(port.config(0), SECTORS, "the rest is read-only");
});

Deno.test("virtio-blk: many requests are under way, and end in any order", async () => {
  const { bench, driver, block, port } = await disk({
    without: [Feature.EVENT_IDX],
  });
  const [queue] = driver.queues;
  const waiting: (() => void)[] = [];
  block.read = (offset, length) =>
    new Promise((resolve) =>
      waiting.push(() => resolve(block.bytes.slice(offset, offset + length)))
    );
  const requests = Array.from({ length: 12 }, (_, i) => {
    const request = driver.request(IN, i, 512);
    return { ...request, head: queue.chain(request.descriptors) };
  });
  queue.offer(...requests.map((r) => r.head));
  port.notify(0);
  await settled();
  assertEquals([waiting.length, queue.take().length], [12, 0]);
  bench.takeEdges("irq");
  for (const i of [7, 2, 11]) waiting[i]();
  await settled();
  // Those of one turn come together, with one interrupt.
  assertEquals(
    queue.take().map((u) => u.id),
    [7, 2, 11].map((i) => requests[i].head),
  );
  assertEquals(bench.takeEdges("irq"), [true]);
  assertEquals(port.acknowledge(), 1);
  for (const i of [0, 1, 3, 4, 5, 6, 8, 9, 10]) waiting[i]();
  await settled();
  assertEquals(queue.take().length, 9);
  for (const [i, { data }] of requests.entries()) {
    assertEquals(
      driver.ram.bytes.slice(data, data + 512),
      block.bytes.slice(i * 512, i * 512 + 512),
    );
  }
});

Deno.test("virtio-blk: large reads under way each have bytes of their own", async () => {
  const { driver, block, port } = await disk();
  const [queue] = driver.queues;
  const length = 64 << 10;
  block.held = true;
  for (let round = 0; round < 2; round++) {
    const requests = Array.from(
      { length: 7 },
      (_, i) => driver.request(IN, 128 * i + round, length),
    );
    queue.offer(...requests.map((r) => queue.chain(r.descriptors)));
    port.notify(0);
    await settled();
    await block.release();
    assertEquals(queue.take().length, 7);
    for (const [i, { data }] of requests.entries()) {
      const at = (128 * i + round) * 512;
      assertEquals(
        driver.ram.bytes.slice(data, data + length),
        block.bytes.slice(at, at + length),
      );
    }
  }
  block.held = false;
  // An image may write to the bytes of a read that failed.
  let left: Uint8Array | undefined;
  const read = block.read.bind(block);
  block.read = (_offset, _length, room) => {
    left = room;
    return Promise.reject(new Error("it fails"));
  };
  assertEquals((await driver.ask(IN, 0, length)).status, IOERR);
  assert(left !== undefined);
  block.read = async (offset, length, room) => {
    const bytes = await read(offset, length, room);
    left!.fill(0xee);
    return bytes;
  };
  const { status, data } = await driver.ask(IN, 0, length);
  assertEquals([status, data], [OK, block.bytes.slice(0, length)]);
});

Deno.test("virtio-blk: requests hold a limited part of the host's memory", async () => {
  const block = new FakeBlock(64 << 20);
  const { driver, port } = await mmioDisk(block);
  driver.start();
  const [queue] = driver.queues;
  block.held = true;
  let held = 0;
  let most = 0;
  const write = block.write.bind(block);
  block.write = async (offset, bytes) => {
    held += bytes.length;
    most = Math.max(most, held);
    await write(offset, bytes);
    held -= bytes.length;
  };
  // Twenty writes of 3 MiB, all from the same bytes.
  const status: number[] = [];
  for (let i = 0; i < 20; i++) {
    const request = driver.request(OUT, i * 6144);
    const [head, end] = request.descriptors;
    status.push(request.status);
    queue.offer(
      queue.chain([head, { address: 0x100000, length: 3 << 20 }, end]),
    );
  }
  port.notify(0);
  let used = 0;
  for (let i = 0; i < 200 && used < 20; i++) {
    await block.release();
    used += queue.take().length;
  }
  assertEquals(used, 20);
  assert(most <= 9 << 20, `${most} bytes`);
  for (const at of status) assertEquals(driver.ram.bytes[at], OK);
  const expected = driver.ram.bytes.slice(0x100000, 0x400000);
  for (let i = 0; i < 20; i++) {
    const at = i * (3 << 20);
    assertEquals(
      Deno.inspect(block.bytes.subarray(at, at + (3 << 20))),
      Deno.inspect(expected),
    );
  }
});

Deno.test("virtio-blk: a reset forgets requests, and what comes waits for them", async () => {
  const { driver, block, port } = await disk();
  block.held = true;
  const ask = (type: number, data: Uint8Array | number) => {
    const request = driver.request(type, 9, data);
    const [queue] = driver.queues;
    queue.offer(queue.chain(request.descriptors));
    port.notify(0);
    return request;
  };
  const read = ask(IN, 512);
  const write = ask(OUT, pattern(512));
  await settled();
  const asked = ["read 4608+512", "write 4608+512"];
  assertEquals(block.log, asked);
  driver.start();
  const again = ask(OUT, new Uint8Array(512));
  await settled();
  assertEquals(block.log, asked, "the new write waits");
  await block.release();
  assertEquals(block.log, [...asked, "write 4608+512"]);
  await block.release();
  assertEquals(block.bytes.slice(4608, 5120), new Uint8Array(512));
  const { bytes } = driver.ram;
  assertEquals(bytes.slice(read.data, read.data + 512), new Uint8Array(512));
  const status = [read, write, again].map((request) => bytes[request.status]);
  assertEquals(status, [0xee, 0xee, OK], "only the last is answered");
  assertEquals(driver.queues[0].take().length, 1);
});

Deno.test("virtio-blk: requests under way go on after a load", async () => {
  const first = await disk();
  const [queue] = first.driver.queues;
  first.block.held = true;
  const read = first.driver.request(IN, 5, 512);
  const write = first.driver.request(OUT, 6, pattern(512));
  queue.offer(queue.chain(read.descriptors), queue.chain(write.descriptors));
  first.port.notify(0);
  await settled();
  const saved = first.bench.save();
  const block = new FakeBlock(SECTORS * 512);
  const second = await mmioDisk(block, {}, first.driver.ram);
  second.bench.device.load(saved);
  assertEquals(second.bench.save(), saved);
  await settled();
  const used = queue.take();
  assertEquals(used.map((u) => u.length), [513, 1]);
  assertEquals(
    first.driver.ram.bytes.slice(read.data, read.data + 512),
    block.bytes.slice(5 * 512, 6 * 512),
  );
  assertEquals(block.bytes.slice(6 * 512, 7 * 512), pattern(512));
  assertEquals(second.irq, true);
});

Deno.test("virtio-blk: what the driver has not told of yet is not taken by a load", async () => {
  const first = await disk();
  const [queue] = first.driver.queues;
  const read = first.driver.request(IN, 5, 512);
  queue.offer(queue.chain(read.descriptors));
  const second = await mmioDisk(
    new FakeBlock(SECTORS * 512),
    {},
    first.driver.ram,
  );
  second.bench.device.load(first.bench.save());
  await settled();
  assertEquals([queue.take(), second.irq], [[], false]);
  second.port.notify(0);
  await settled();
  assertEquals(queue.take().length, 1);
});

Deno.test("virtio-blk: a request without head or status breaks the queue", async () => {
  for (
    const descriptors of [
      [{ address: 0x20000, length: 15 }, {
        address: 0x20100,
        length: 1,
        flags: WRITE,
      }],
      [{ address: 0x20000, length: 16 }],
      [{ address: 0x20100, length: 1, flags: WRITE }],
    ]
  ) {
    const { driver, port, bench } = await disk();
    const [queue] = driver.queues;
    queue.offer(queue.chain(descriptors));
    port.notify(0);
    await settled();
    assertEquals(port.status & NEEDS_RESET, NEEDS_RESET);
    assertEquals(port.acknowledge(), 2, "the driver is told");
    assertEquals(bench.log.length, 1);
    // It goes on after a reset.
    driver.start();
    assertEquals((await driver.ask(IN, 0, 512)).status, OK);
  }
});

Deno.test("virtio-blk: several queues", async () => {
  const block = new FakeBlock(SECTORS * 512);
  const { driver, port } = await mmioDisk(block, { queues: 3 });
  assertEquals(port.features(0) >>> Feature.MQ & 1, 1);
  assertEquals(port.config(34, 2), 3);
  driver.start([], 3);
  for (const [i, queue] of driver.queues.entries()) {
    const request = driver.request(IN, i, 512);
    queue.offer(queue.chain(request.descriptors));
    port.notify(i);
    await settled();
    assertEquals(queue.take().length, 1);
    assertEquals(driver.ram.bytes[request.status], OK);
  }
  port.notify(3);
  port.notify(0xffffffff);
});
