import { assertEquals } from "@std/assert";
import { IrqLine } from "../../../core/bus/irq_line.ts";
import type { DmaPort } from "../../../core/machine/plugin.ts";
import { FakeBlock, settled } from "../../../tests/devices/ide_bench.ts";
import { AtaDisk } from "./ata.ts";
import { AtapiCdrom } from "./atapi.ts";
import { BusMaster } from "./bus_master.ts";
import { Channel } from "./channel.ts";

/** Memory that counts what is out of its reach instead of throwing. */
class Memory implements DmaPort {
  readonly bytes = new Uint8Array(0x40000);
  readonly outside: string[] = [];
  reads = 0;

  #inside(address: number, length: number): boolean {
    if (!(address >= 0) || address + length > 2 ** 32) {
      throw new RangeError(`${address}+${length} is beyond 4 GiB`);
    }
    if (address + length <= this.bytes.length) return true;
    this.outside.push(`${address.toString(16)}+${length.toString(16)}`);
    return false;
  }

  read(address: number, into: Uint8Array): void {
    this.reads++;
    if (!this.#inside(address, into.length)) into.fill(0xff);
    else into.set(this.bytes.subarray(address, address + into.length));
  }

  write(address: number, bytes: Uint8Array): void {
    if (this.#inside(address, bytes.length)) this.bytes.set(bytes, address);
  }

  /** Write a table of regions. */
  table(
    at: number,
    ...entries: [address: number, count: number, end: boolean][]
  ): void {
    const view = new DataView(this.bytes.buffer);
    entries.forEach(([address, count, end], i) => {
      view.setUint32(at + 8 * i, address, true);
      view.setUint32(at + 8 * i + 4, (count | (end ? 1 << 31 : 0)) >>> 0, true);
    });
  }
}

function engine(): { master: BusMaster; memory: Memory } {
  const memory = new Memory();
  return { master: new BusMaster(memory), memory };
}

function pointTo(master: BusMaster, table: number): void {
  for (let i = 0; i < 4; i++) {
    master.io.write(4 + i, 1, table >>> 8 * i & 0xff);
  }
}

Deno.test("bus master: registers", () => {
  const { master } = engine();
  pointTo(master, 0x12345677);
  const table = [4, 5, 6, 7].map((offset) => master.io.read(offset, 1));
  assertEquals(table, [0x74, 0x56, 0x34, 0x12]);
  master.io.write(0, 1, 0xff);
  assertEquals([master.io.read(0, 1), master.io.read(2, 1)], [0x09, 0x01]);
  master.interrupt();
  master.io.write(2, 1, 0x60);
  assertEquals(master.io.read(2, 1), 0x65, "ones clear, and activity stays");
  master.io.write(2, 1, 0x04);
  assertEquals(master.io.read(2, 1), 0x01);
  master.io.write(0, 1, 0);
  assertEquals(master.io.read(2, 1), 0x00);
});

Deno.test("bus master: regions are filled one after another", () => {
  const { master, memory } = engine();
  // Bit 0 of addresses and counts does not exist.
  memory.table(0x1000, [0x2001, 5, false], [0x3000, 6, true]);
  pointTo(master, 0x1000);
  const data = Uint8Array.from({ length: 12 }, (_, i) => i + 1);
  assertEquals(master.transfer(data, true), 0, "not started");
  master.io.write(0, 1, 0x09);
  assertEquals(master.transfer(data.subarray(0, 3), true), 3);
  assertEquals(master.io.read(2, 1), 1);
  assertEquals(master.transfer(data.subarray(3), true), 7, "the table ends");
  assertEquals(master.io.read(2, 1), 0);
  assertEquals([...memory.bytes.subarray(0x2000, 0x2006)], [1, 2, 3, 4, 0, 0]);
  assertEquals([...memory.bytes.subarray(0x3000, 0x3006)], [5, 6, 7, 8, 9, 10]);
});

Deno.test("bus master: a count of 0 is 64 KiB, and the end of memory", () => {
  const { master, memory } = engine();
  memory.table(0x1000, [0x10000, 0, false], [0xffffff00, 0, true]);
  pointTo(master, 0x1000);
  master.io.write(0, 1, 0x09);
  const data = new Uint8Array(0x20000).fill(7);
  assertEquals(master.transfer(data, true), 0x20000);
  assertEquals(
    memory.bytes.subarray(0x10000, 0x20000).every((b) => b === 7),
    true,
  );
  // What leaves the top goes on at address 0: nothing is out of reach.
  assertEquals(memory.outside, ["ffffff00+100"]);
  assertEquals(master.io.read(2, 1), 0);
});

Deno.test("bus master: a table without an end is walked as far as there are data", () => {
  const { master, memory } = engine();
  // What follows the only entry is no memory: FFFEh bytes and the end mark.
  memory.table(0x3fff8, [0x2000, 2, false]);
  pointTo(master, 0x3fff8);
  master.io.write(0, 1, 0x09);
  assertEquals(master.transfer(new Uint8Array(0x20000), true), 0x10000);
  assertEquals(master.io.read(2, 1), 0);
  const other = engine();
  for (let at = 0; at < 0x40000; at += 8) {
    other.memory.table(at, [0xfffffffe, 2, false]);
  }
  pointTo(other.master, 0);
  other.master.io.write(0, 1, 0x09);
  assertEquals(other.master.transfer(new Uint8Array(0x10000), true), 0x10000);
  assertEquals(other.memory.reads, 0x8000);
  assertEquals(other.master.io.read(2, 1), 1);
});

/** A disk and a CD-ROM drive whose channel has a bus master. */
function system() {
  const { master, memory } = engine();
  const block = new FakeBlock(1 << 20);
  const disc = new FakeBlock(1 << 20);
  const irq = new IrqLine();
  const identity = { model: "m", serial: "s", firmware: "f" };
  const channel = new Channel({
    irq,
    drives: [new AtaDisk(block, identity), new AtapiCdrom(disc, identity)],
    dma: master,
  });
  master.onStart(() => channel.dmaReady());
  const command = async (
    code: number,
    lba: number,
    count: number,
  ): Promise<void> => {
    [count, lba & 255, lba >> 8, 0, 0xe0, code].forEach((value, i) =>
      channel.command.write(2 + i, 1, value)
    );
    await settled();
  };
  return { master, memory, block, disc, irq, channel, command };
}

Deno.test("bus master: READ DMA, started after and before the command", async () => {
  for (const early of [false, true]) {
    const { master, memory, block, irq, channel, command } = system();
    memory.table(0x1000, [0x2000, 0x300, false], [0x8000, 0x500, true]);
    pointTo(master, 0x1000);
    if (early) master.io.write(0, 1, 0x09);
    await command(0xc8, 3, 4);
    if (!early) {
      assertEquals([channel.control.read(0, 1), irq.level], [0x58, false]);
      master.io.write(0, 1, 0x09);
    }
    assertEquals([irq.level, master.io.read(2, 1)], [true, 0x04]);
    assertEquals(channel.command.read(7, 1), 0x50);
    const got = new Uint8Array(0x800);
    got.set(memory.bytes.subarray(0x2000, 0x2300));
    got.set(memory.bytes.subarray(0x8000, 0x8500), 0x300);
    assertEquals(got, block.bytes.slice(3 * 512, 7 * 512));
  }
});

Deno.test("bus master: WRITE DMA of more than one block, saved in the middle", async () => {
  const { master, memory, block, irq, channel, command } = system();
  memory.bytes.fill(0x3c, 0x10000, 0x30000);
  memory.table(0x1000, [0x10000, 0, false], [0x20000, 0, true]);
  pointTo(master, 0x1000);
  block.held = true;
  await command(0xca, 8, 0);
  master.io.write(0, 1, 0x01);
  await settled();
  assertEquals([block.log, irq.level], [["write 4096+131072"], false]);
  const other = system();
  other.master.restore(structuredClone(master.saved));
  other.channel.restore(structuredClone(channel.saved));
  await settled();
  assertEquals(other.irq.level, true);
  assertEquals(other.channel.command.read(7, 1), 0x50);
  assertEquals(
    other.block.bytes.subarray(4096, 4096 + 0x20000).every((b) => b === 0x3c),
    true,
  );
  assertEquals(other.block.bytes[4096 + 0x20000] === 0x3c, false);
});

Deno.test("bus master: TRIM, its ranges and what it refuses", async () => {
  const { master, memory, block, irq, channel, command } = system();
  const view = new DataView(memory.bytes.buffer);
  /** DATA SET MANAGEMENT with these ranges; gives status and error. */
  const trim = async (
    ranges: readonly (readonly [lba: number, sectors: number])[],
    { features = 1, count = 1 } = {},
  ): Promise<number[]> => {
    block.log.length = 0;
    memory.bytes.fill(0, 0x2000, 0x2200);
    ranges.forEach(([lba, sectors], i) => {
      view.setBigUint64(0x2000 + 8 * i, BigInt(lba), true);
      view.setUint16(0x2006 + 8 * i, sectors, true);
    });
    memory.table(0x1000, [0x2000, 0x200, true]);
    pointTo(master, 0x1000);
    master.io.write(0, 1, 0);
    channel.command.write(2, 1, count >> 8);
    channel.command.write(1, 1, features);
    await command(0x06, 0, count & 0xff);
    master.io.write(0, 1, 0x01);
    await settled();
    assertEquals(irq.level, true);
    return [channel.command.read(7, 1), channel.command.read(1, 1)];
  };
  assertEquals(await trim([[8, 8], [0, 0], [2047, 1]]), [0x50, 0]);
  assertEquals(block.log, ["discard 4096+4096", "discard 1048064+512"]);
  // Those that follow each other are one.
  assertEquals(await trim([[3, 5], [8, 8], [17, 1]]), [0x50, 0]);
  assertEquals(block.log, ["discard 1536+6656", "discard 8704+512"]);
  assertEquals(await trim([]), [0x50, 0]);
  assertEquals(block.log, []);
  // A range beyond the end, near it and far: none of them is trimmed.
  assertEquals(await trim([[8, 8], [2047, 2]]), [0x41, 0x10]);
  assertEquals(await trim([[2 ** 48 - 1, 1]]), [0x41, 0x10]);
  // No TRIM; no ranges, and more sectors of them than are taken.
  assertEquals(await trim([[8, 8]], { features: 0 }), [0x41, 0x04]);
  assertEquals(await trim([[8, 8]], { count: 0 }), [0x41, 0x04]);
  assertEquals(await trim([[8, 8]], { count: 0x0101 }), [0x41, 0x04]);
  assertEquals(block.log, []);
  // IDENTIFY DEVICE says what there is.
  await command(0xec, 0, 0);
  const words = Array.from({ length: 256 }, () => channel.command.read(0, 2));
  assertEquals([words[69], words[105], words[169]], [0x4000, 1, 1]);
  // It is under way: a copy of the drive makes the request again.
  block.held = true;
  block.log.length = 0;
  channel.command.write(1, 1, 1);
  channel.command.write(2, 1, 0);
  view.setBigUint64(0x2000, 8n | 8n << 48n, true);
  master.io.write(0, 1, 0);
  pointTo(master, 0x1000);
  await command(0x06, 0, 1);
  master.io.write(0, 1, 0x01);
  await settled();
  const other = system();
  other.channel.restore(structuredClone(channel.saved));
  await settled();
  assertEquals(other.block.log.slice(0, 1), block.log.slice(0, 1));
  assertEquals(other.channel.command.read(7, 1), 0x50);
});

Deno.test("bus master: a table shorter than the transfer leaves the disk waiting", async () => {
  const { master, memory, irq, channel, command } = system();
  memory.table(0x1000, [0x2000, 512, true]);
  pointTo(master, 0x1000);
  master.io.write(0, 1, 0x09);
  await command(0xc8, 0, 2);
  // SFF-8038i: neither active nor interrupted.
  assertEquals([master.io.read(2, 1), irq.level], [0, false]);
  assertEquals(channel.control.read(0, 1), 0x58);
  channel.control.write(0, 1, 4);
  channel.control.write(0, 1, 0);
  assertEquals(channel.control.read(0, 1), 0x50);
});

/** Send a packet to the CD-ROM drive, its data by DMA. */
async function packet(
  channel: Channel,
  bytes: readonly number[],
): Promise<void> {
  channel.command.write(6, 1, 0xb0);
  channel.command.write(1, 1, 1);
  channel.command.write(7, 1, 0xa0);
  for (let i = 0; i < 12; i += 2) {
    channel.command.write(0, 2, (bytes[i] ?? 0) | (bytes[i + 1] ?? 0) << 8);
  }
  await settled();
}

Deno.test("bus master: a packet's data, of several requests", async () => {
  const { master, memory, disc, irq, channel } = system();
  memory.table(0x1000, [0x10000, 0, false], [0x20000, 0, false], [
    0x30000,
    0x2000,
    true,
  ]);
  pointTo(master, 0x1000);
  master.io.write(0, 1, 0x09);
  await packet(channel, [0x28, 0, 0, 0, 0, 9, 0, 0, 68]);
  assertEquals([irq.level, master.io.read(2, 1)], [true, 0x04]);
  assertEquals(channel.command.read(2, 1), 3);
  assertEquals(channel.command.read(7, 1), 0x50);
  assertEquals(
    memory.bytes.slice(0x10000, 0x32000),
    disc.bytes.slice(9 * 2048, 77 * 2048),
  );
  // A region longer than the answer leaves the engine active.
  memory.table(0x1000, [0x2000, 0x100, true]);
  master.io.write(0, 1, 0);
  master.io.write(2, 1, 0x06);
  master.io.write(0, 1, 0x09);
  await packet(channel, [0x25]);
  assertEquals(master.io.read(2, 1), 0x05);
  const capacity = [...memory.bytes.slice(0x2000, 0x2009)];
  assertEquals(capacity, [0, 0, 1, 0xff, 0, 0, 8, 0, 0]);
});

Deno.test("bus master: random tables and registers", async () => {
  let x = 0x2545f491;
  const below = (limit: number): number => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % limit;
  };
  let moved = 0;
  for (let run = 0; run < 20; run++) {
    const { master, memory, channel, command } = system();
    for (let at = 0; at < 0x1000; at += 8) {
      const address = below(8) === 0 ? below(2 ** 32) : below(0x40000);
      memory.table(at, [address, below(0x10000), below(8) === 0]);
    }
    for (let step = 0; step < 60; step++) {
      master.io.write(0, 1, 0);
      pointTo(master, below(8) === 0 ? below(2 ** 32) : below(0x1000));
      for (let i = 0; i < 4; i++) master.io.write(below(8), 1, below(256));
      master.io.write(0, 1, below(256));
      if (below(2) === 0) {
        await command(below(2) === 0 ? 0xc8 : 0xca, below(2000), below(256));
      } else {
        await packet(channel, [0x28, 0, 0, 0, 0, below(256), 0, 0, below(99)]);
      }
      if ((channel.command.read(7, 1) & 0x89) === 0) moved++;
      if (below(4) !== 0) continue;
      channel.control.write(0, 1, 4);
      channel.control.write(0, 1, 0);
    }
  }
  assertEquals(moved > 100, true, `${moved} transfers were done`);
});

Deno.test("bus master: a TRIM that fails ends with the last of its ranges", async () => {
  const { master, memory, block, channel, command } = system();
  const view = new DataView(memory.bytes.buffer);
  view.setBigUint64(0x2000, 8n | 8n << 48n, true);
  view.setBigUint64(0x2008, 32n | 8n << 48n, true);
  memory.table(0x1000, [0x2000, 0x200, true]);
  pointTo(master, 0x1000);
  const second = Promise.withResolvers<void>();
  block.discard = (offset) =>
    offset === 4096 ? Promise.reject(new Error("no")) : second.promise;
  master.io.write(0, 1, 0);
  channel.command.write(1, 1, 1);
  channel.command.write(2, 1, 0);
  await command(0x06, 0, 1);
  master.io.write(0, 1, 0x01);
  await settled();
  // Who writes to the second now would lose it.
  assertEquals([7, 1].map((at) => channel.command.read(at, 1)), [0xc0, 0]);
  second.resolve();
  await settled();
  assertEquals([7, 1].map((at) => channel.command.read(at, 1)), [0x61, 0x04]);
});
