/**
 * Hostile drivers of a virtio network card, on a hostile network: rings,
 * descriptors, headers and commands made at random, frames with offloads that
 * lie, between random accesses to the registers. Nothing throws, nothing runs
 * for ever, no frame that goes out says what it does not bear out, and after a
 * reset the card works.
 *
 * `RHEA_SEED=n` runs a seed again, `RHEA_CASES=n` sets how many there are.
 */

import { assert, assertEquals } from "@std/assert";
import type { SentFrame } from "../../core/backend/memory_net.ts";
import type { FrameOffload } from "../../core/backend/net.ts";
import { settled } from "../devices/ide_bench.ts";
import { FEATURES_OK, NEEDS_RESET } from "../devices/virtio_bench.ts";
import { INDIRECT, NEXT, WRITE } from "../devices/virtio_driver.ts";
import {
  card,
  CTRL,
  header,
  type NetBench,
  RX,
  SIZES,
  TX,
} from "../devices/virtio_net_bench.ts";
import { forSeeds, Random } from "../random.ts";

const CASES = 60;
const STEPS = 80;
/** Accesses to memory that one step may cause at the most. */
const MOST_ACCESSES = 300_000;
/** Frames that one step may send at the most. */
const MOST_FRAMES = 100_000;
const MOST_BYTES = 65536 + 22;
const DATA = 0x10000;

/** Something that is nearly TCP, over IPv4 or IPv6, with tags or none. */
function packet(random: Random): Uint8Array {
  const ipv6 = random.below(3) === 0;
  const tags = random.of([0, 0, 0, 1, 2, 3]);
  const start = 14 + 4 * tags + (ipv6 ? 40 : 20);
  const length = random.of([
    ...[14, 18, start, start + 1, start + 19, start + 20, start + 21],
    ...[60, 1514, 3000, 20_000, 65_000, MOST_BYTES],
  ]);
  const bytes = new Uint8Array(Math.max(length, 120));
  bytes.set([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
  for (let i = 0; i < tags; i++) bytes.set([0x81, 0, 0, 5], 12 + 4 * i);
  bytes.set(ipv6 ? [0x86, 0xdd, 0x60] : [8, 0, 0x45], start - (ipv6 ? 42 : 22));
  bytes[start - (ipv6 ? 34 : 11)] = 6;
  bytes[start + 12] = 0x50;
  for (let i = random.below(4); i > 0; i--) {
    bytes[random.below(120)] = random.below(256);
  }
  return bytes.slice(0, length);
}

function lie(random: Random): Uint8Array {
  return header({
    flags: random.of([0, 1, 1, 1, 2, 255]),
    gso: random.of([0, 1, 1, 4, 3, 5, 0x81, 0x84, 255]),
    headers: random.of([0, 54, 0xffff]),
    size: random.of([0, 1, 7, 8, 536, 1448, 1448, 0xffff]),
    start: random.of([0, 13, 14, 34, 34, 34, 54, 38, 58, 1500, 0xffff]),
    offset: random.of([0, 6, 16, 16, 16, 0xffff]),
  });
}

function offload(random: Random): FrameOffload | undefined {
  const number = (): number =>
    random.of([-1, 0, 1, 14, 16, 34, 54, 74, 1448, 0xffff, 1e9, NaN]);
  switch (random.below(4)) {
    case 0:
      return undefined;
    case 1:
      return { checksum: { start: number(), offset: number() } };
    case 2:
      return {
        checksum: { start: random.of([34, 54]), offset: 16 },
        segments: {
          kind: random.of(["tcp4", "tcp6"] as const),
          bytes: random.of([1, 8, 536, 1448]),
          headers: random.of([54, 74]),
        },
      };
    default:
      return {
        ...random.below(2) === 0
          ? {}
          : { checksum: { start: number(), offset: number() } },
        segments: {
          kind: random.of(["tcp4", "tcp6"] as const),
          bytes: number(),
          headers: number(),
        },
      };
  }
}

/** Put a buffer in a queue, right ones and wrong ones. */
function offer(random: Random, { driver }: NetBench, index: number): void {
  const queue = driver.queues[index];
  const { ram } = driver;
  const parts: { address: number; length: number; flags: number }[] = [];
  const add = (bytes: Uint8Array): void => {
    const address = DATA + 16 * random.below(0x1000);
    ram.bytes.set(bytes, address);
    parts.push({ address, length: bytes.length, flags: 0 });
  };
  if (index === TX) {
    add(lie(random).slice(0, random.of([12, 12, 12, 12, 10, 5])));
    add(packet(random));
  } else if (index === CTRL) {
    add(Uint8Array.of(random.below(6), random.below(3)));
    add(
      Uint8Array.from(
        { length: random.of([0, 1, 2, 6, 8, 20, 500]) },
        () => random.of([0, 0, 0, 1, 2, 255]),
      ),
    );
  }
  if (index !== TX) {
    for (let i = random.below(4); i >= 0; i--) {
      const length = random.of([0, 1, 12, 60, 1526, 1526, 4096, 70_000]);
      const address = DATA + 16 * random.below(0x1000);
      parts.push({ address, length, flags: WRITE });
    }
  }
  if (random.below(10) === 0) {
    const part = random.of(parts);
    part.address = random.of([0xfffffff0, 2 ** 32, 2 ** 52, 0x1000]);
  }
  if (random.below(10) === 0) {
    const part = random.of(parts);
    part.length = random.of([0, 1, 0xffffffff, 0x20000]);
  }
  if (random.below(10) === 0) random.of(parts).flags ^= WRITE;
  const head = random.below(4) === 0
    ? queue.indirect(parts, 0x9000 + 16 * random.below(16))
    : queue.chain(parts);
  if (random.below(15) === 0) {
    queue.describe(random.below(queue.size), {
      address: DATA,
      length: random.of([16, 64, 1000]),
      flags: random.of([NEXT, INDIRECT, NEXT | WRITE]),
      next: random.below(queue.size),
    });
  }
  queue.offer(random.below(30) === 0 ? random.below(0x10000) : head);
}

/** One thing that happens. */
function step(random: Random, made: NetBench): void {
  const { bench, driver, net } = made;
  switch (random.below(16)) {
    case 0: {
      const name = random.of(Object.keys(bench.regions));
      const at = random.below(bench.regions[name].size);
      const width = random.of([1, 2, 4] as const);
      if (random.below(2) === 0) bench.read(name, at, width);
      else bench.write(name, at, random.below(2 ** 32), width);
      return;
    }
    case 1:
      return bench.device.load(bench.save());
    case 2:
      return bench.advance(random.below(20_000_000));
    case 3: {
      const queue = random.of(driver.queues);
      if (random.below(4) === 0) queue.showAvailable(random.below(0x10000));
      return;
    }
    case 4:
      driver.ram.bytes[0x1000 + random.below(0x9000)] = random.below(256);
      return;
    case 5:
      driver.port.acknowledge();
      return;
    case 6:
    case 7:
    case 8:
    case 9:
      net.receive(packet(random), offload(random));
      return;
    default: {
      const index = random.of([RX, RX, TX, TX, TX, CTRL]);
      for (let i = random.below(8); i >= 0; i--) offer(random, made, index);
      driver.port.notify(index);
    }
  }
}

/** What goes out is a frame, and what it leaves undone can be done. */
function examine({ bytes, offload }: SentFrame, mayOffload: boolean): void {
  const { length } = bytes;
  assert(length >= 14 && length <= MOST_BYTES, `${length} bytes`);
  if (offload === undefined) return;
  assert(mayOffload);
  const { checksum, segments } = offload;
  if (checksum === undefined) throw new Error("no checksum");
  const { start, offset } = checksum;
  assert(start >= 13 && start + offset + 2 <= length, "its checksum");
  if (segments === undefined) return;
  const { headers } = segments;
  assert(headers >= start + 20 && headers < length, "its headers");
  assert(segments.bytes >= 8, "its segments");
}

/** Run one case; gives back how often the device wanted a reset. */
async function hostile(
  way: "mmio" | "modern" | "legacy",
  seed: number,
  count: { frames: number },
): Promise<number> {
  const random = new Random(seed);
  const mayOffload = random.below(2) === 0;
  const made = await card(way, { offload: mayOffload });
  const { driver, net } = made;
  let frames = 0;
  net.onSend = (sent) => {
    frames++;
    examine(sent, mayOffload);
  };
  const without = (): number[] =>
    random.of([[], [15], [1], [7, 8], [29], [28], [0], [17, 18, 19, 21, 23]]);
  driver.start(without(), 3, SIZES);
  let broken = 0;
  for (let i = 0; i < STEPS; i++) {
    const before = driver.ram.count;
    const sent = frames;
    step(random, made);
    if (random.below(3) === 0) await settled();
    const accesses = driver.ram.count - before;
    assert(accesses < MOST_ACCESSES, `step ${i} takes ${accesses} accesses`);
    assert(frames - sent < MOST_FRAMES, `step ${i}: ${frames - sent} frames`);
    const status = driver.port.status;
    if ((status & NEEDS_RESET) !== 0) broken++;
    const isUsable = (status & (NEEDS_RESET | 4)) === 4 &&
      (way === "legacy" || (status & FEATURES_OK) !== 0);
    if (!isUsable && random.below(2) === 0) driver.start(without(), 3, SIZES);
  }
  count.frames += frames;
  // Whatever it did: a good driver can use the card afterwards.
  net.onSend = undefined;
  made.bench.device.reset();
  await settled();
  net.sent.length = 0;
  // A reset takes a PCI function's addresses away.
  const fresh = way === "mmio" && !mayOffload ? made : await card(way);
  fresh.driver.start([], 3, SIZES);
  fresh.bench.device.load(fresh.bench.save());
  await settled();
  const bytes = packet(new Random(1));
  assertEquals(fresh.driver.send(header(), bytes), 1);
  assertEquals(fresh.net.sent, [{ bytes }]);
  fresh.driver.give([70_000]);
  assert(fresh.net.receive(bytes));
  assertEquals((await fresh.driver.take()).map((p) => p.frame), [bytes]);
  return broken;
}

for (const way of ["mmio", "modern", "legacy"] as const) {
  Deno.test(`hostile drivers of a virtio network card, ${way}`, async () => {
    let broken = 0;
    const count = { frames: 0 };
    const { cases, again } = await forSeeds(CASES, async (seed) => {
      broken += await hostile(way, seed, count);
    });
    if (again) return;
    assert(broken > 0, "it breaks rules");
    assert(count.frames > cases, "and sends frames");
  });
}
