/**
 * Hostile drivers of a virtio disk: rings, descriptors and requests made at
 * random, with every rule broken now and then, between random accesses to the
 * registers. Nothing throws, nothing runs for ever, nothing but the guest's
 * memory is touched, and after a reset the device works.
 *
 * `RHEA_SEED=n` runs a seed again, `RHEA_CASES=n` sets how many there are.
 */

import { assert, assertEquals } from "@std/assert";
import { FakeBlock, settled } from "../devices/ide_bench.ts";
import {
  type DiskBench,
  type DiskDriver,
  FEATURES_OK,
  GET_ID,
  IN,
  mmioDisk,
  pciDisk,
} from "../devices/virtio_bench.ts";
import {
  type DriverQueue,
  GuestRam,
  INDIRECT,
  NEXT,
  WRITE,
} from "../devices/virtio_driver.ts";
import { forSeeds, Random } from "../random.ts";

const CASES = 60;
const STEPS = 60;
/** Accesses to memory that one step may cause at the most. */
const MOST_ACCESSES = 300_000;
const SECTORS = 64;

/** An address: mostly RAM, often at its edges, sometimes nowhere. */
function address(random: Random, driver: DiskDriver): number {
  const { length } = driver.ram.bytes;
  switch (random.below(8)) {
    case 0:
      return random.below(2 ** 31) * 2 + random.below(2);
    case 1:
      return length - random.below(64);
    case 2:
      return random.of([0xfffffff0, 2 ** 32, 2 ** 52 - 4, 2 ** 52, 2 ** 63]);
    case 3:
      // The rings themselves.
      return 0x1000 + random.below(0x3000);
    default:
      return 0x10000 + random.below(0x10000);
  }
}

function length(random: Random): number {
  switch (random.below(6)) {
    case 0:
      return 0;
    case 1:
      return random.of([1, 15, 16, 17, 511, 512, 513, 0x10000]);
    case 2:
      return random.of([0xffffffff, 0x80000000, 0x100000]);
    default:
      return 512 * random.below(4) + random.below(2);
  }
}

/** A head that makes sense, now and then. */
function head(random: Random, driver: DiskDriver): number {
  const at = 0x10000 + 16 * random.below(0x1000);
  const type = random.of([0, 1, 4, 8, 11, 13, 2, 0xffffffff]);
  driver.ram.view.setUint32(at, type, true);
  const sector = random.of([0, 1, SECTORS - 1, SECTORS, 2 ** 53]);
  driver.ram.view.setBigUint64(at + 8, BigInt(sector), true);
  return at;
}

/** Write descriptors, right ones and wrong ones. */
function describe(
  random: Random,
  driver: DiskDriver,
  queue: DriverQueue,
): void {
  const count = 1 + random.below(6);
  const table = random.below(3) === 0
    ? 0x8000 + 16 * random.below(64)
    : queue.place.desc;
  const first = random.below(queue.size);
  const writable = random.below(count + 1);
  for (let i = 0; i < count; i++) {
    const isLast = i === count - 1;
    const wild = random.below(12) === 0;
    queue.describe((first + i) % queue.size, {
      address: i === 0 ? head(random, driver) : address(random, driver),
      length: i === 0
        ? random.of([16, 16, 16, 8])
        : isLast && random.below(2) === 0
        ? 1
        : length(random),
      flags: wild
        ? random.below(0x10000)
        : (isLast ? 0 : NEXT) | (i >= writable && i > 0 ? WRITE : 0),
      next: wild ? random.below(0x10000) : (first + i + 1) % queue.size,
    }, table);
  }
  if (table !== queue.place.desc) {
    queue.describe(first, {
      address: table + 16 * random.below(2) * first,
      length: random.of([16, 16 * count, 16 * queue.size, 0, 24, 0xfffffff0]),
      flags: INDIRECT | random.of([0, 0, 0, WRITE, NEXT]),
      next: random.below(queue.size),
    });
  }
  queue.offer(random.below(20) === 0 ? random.below(0x10000) : first);
}

/** One thing that a hostile driver does. */
function step(
  random: Random,
  { bench, driver }: DiskBench,
  block: FakeBlock,
): void {
  const [queue] = driver.queues;
  switch (random.below(14)) {
    case 0: {
      // Any access to any register.
      const name = random.of(Object.keys(bench.regions));
      const offset = random.below(bench.regions[name].size);
      const width = random.of([1, 2, 4] as const);
      if (random.below(2) === 0) bench.read(name, offset, width);
      else bench.write(name, offset, random.below(2 ** 32), width);
      return;
    }
    case 1:
      driver.port.acknowledge();
      return;
    case 2:
      block.held = random.below(2) === 0;
      return;
    case 3:
      if (random.below(4) === 0) queue.showAvailable(random.below(0x10000));
      return;
    case 4:
      if (random.below(4) > 0) return;
      driver.port.setQueue(0, random.of([1, 2, 64, 256, 0, 3]), {
        desc: random.of([queue.place.desc, address(random, driver) % 2 ** 32]),
        driver: random.of([queue.place.driver, 0x7fffff0]),
        device: random.of([queue.place.device, 0xfffffffc]),
      });
      return;
    case 5:
      bench.device.load(bench.save());
      return;
    case 6:
      driver.ram.bytes[0x1000 + random.below(0x3000)] = random.below(256);
      return;
    default:
      describe(random, driver, queue);
      driver.port.notify(0);
  }
}

const WAYS: Record<
  string,
  [make: (block: FakeBlock) => Promise<DiskBench>, size: number]
> = {
  mmio: [(block) => mmioDisk(block, { queues: 2 }), 64],
  modern: [(block) => pciDisk("modern", block), 64],
  legacy: [(block) => pciDisk("legacy", block), 256],
};

/** Run one case; gives back how often the device wanted a reset. */
async function hostile(way: string, seed: number): Promise<number> {
  const random = new Random(seed);
  const block = new FakeBlock(SECTORS * 512);
  const [make, size] = WAYS[way];
  const made = await make(block);
  const { driver } = made;
  driver.start([], 1, size);
  let broken = 0;
  for (let i = 0; i < STEPS; i++) {
    const { count } = driver.ram;
    step(random, made, block);
    if (random.below(3) === 0) await settled();
    if (!block.held && random.below(3) === 0) await block.release();
    const accesses = driver.ram.count - count;
    assert(accesses < MOST_ACCESSES, `step ${i} takes ${accesses} accesses`);
    const status = driver.port.status;
    if ((status & 0x40) !== 0) broken++;
    // A driver that goes on: broken and reset devices would do nothing more.
    const isUsable = (status & 0x44) === 4 &&
      (way === "legacy" || (status & FEATURES_OK) !== 0);
    if (!isUsable && random.below(2) === 0) {
      driver.start([], 1, size);
    }
  }
  block.held = false;
  for (let i = 0; i < 4; i++) await block.release();
  // Whatever it did: a good driver can use the device afterwards.
  made.bench.device.reset();
  await settled();
  const fresh = await make(block);
  fresh.driver.start([], 1, size);
  const { status, data } = await fresh.driver.ask(IN, 1, 512);
  assertEquals(status, 0);
  assertEquals(data, block.bytes.slice(512, 1024));
  return broken;
}

for (const way of Object.keys(WAYS)) {
  Deno.test(`hostile drivers of a virtio disk, ${way}`, async () => {
    let broken = 0;
    const { again } = await forSeeds(CASES, async (seed) => {
      broken += await hostile(way, seed);
    });
    if (!again) assert(broken > 0, "it breaks rules");
  });
}

/** RAM in which one word is a counter that runs, as a timer's does. */
class CounterRam extends GuestRam {
  /** Where it is; nowhere at first. */
  counter = -1;

  override read(address: number, into: Uint8Array): void {
    if (this.count > MOST_ACCESSES) throw new Error("it runs for ever");
    if (address === this.counter) {
      const value = this.view.getUint16(address, true);
      this.view.setUint16(address, value + 1, true);
    }
    super.read(address, into);
  }
}

Deno.test("an available index that is a running counter does not keep the host", async () => {
  const ram = new CounterRam(new Uint8Array(8 << 20));
  const block = new FakeBlock(SECTORS * 512);
  const { driver } = await mmioDisk(block, {}, ram);
  driver.start();
  const [queue] = driver.queues;
  // What is answered at once, in every slot.
  const head = queue.chain(driver.request(GET_ID, 0, 20).descriptors);
  const ring = queue.place.driver;
  for (let i = 0; i < queue.size; i++) {
    ram.view.setUint16(ring + 4 + 2 * i, head, true);
  }
  ram.counter = ring + 2;
  driver.port.notify(0);
  ram.counter = -1;
  driver.start();
  assertEquals((await driver.ask(IN, 1, 512)).status, 0);
});

Deno.test("notifications without end do not keep the host, and the rest is done later", async () => {
  const block = new FakeBlock(SECTORS * 512);
  const { driver, bench } = await mmioDisk(block);
  driver.start();
  const { ram, queues: [queue] } = driver;
  const head = queue.chain(driver.request(GET_ID, 0, 20).descriptors);
  const ring = queue.place.driver;
  for (let i = 0; i < queue.size; i++) {
    ram.view.setUint16(ring + 4 + 2 * i, head, true);
  }
  const used = (): number => ram.view.getUint16(queue.place.device + 2, true);
  const { count } = ram;
  // As a bus master would: the available index, then the notification.
  for (let i = 1; i <= 1000; i++) {
    ram.view.setUint16(ring + 2, used() + queue.size, true);
    driver.port.notify(0);
  }
  assert(ram.count - count < MOST_ACCESSES, `${ram.count - count} accesses`);
  const before = used();
  bench.advance(10_000_000);
  assertEquals(used(), before + queue.size);
});
