import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { TableSet } from "../../../core/machine/firmware.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import plugin, { type FwCfg } from "./fw_cfg.ts";

type Bench = DeviceBench<FwCfg>;

const RAM = 1024 * 1024;
const ascii = new TextEncoder();

async function made(config: Record<string, unknown> = {}): Promise<Bench> {
  const bench = await DeviceBench.create<FwCfg>(plugin, {
    config: { memory: RAM, ...config },
    ram: RAM,
  });
  bench.device.reset();
  return bench;
}

/** `length` bytes of an item, by the data register. */
function item(bench: Bench, key: number, length: number): Uint8Array {
  bench.write("registers", 0, key, 2);
  return Uint8Array.from({ length }, () => bench.read("registers", 1));
}

/** The directory: keys and sizes by name. */
function directory(bench: Bench): Map<string, { key: number; size: number }> {
  const count = new DataView(item(bench, 0x19, 4).buffer).getUint32(0);
  const bytes = item(bench, 0x19, 4 + 64 * count);
  const view = new DataView(bytes.buffer);
  return new Map(Array.from({ length: count }, (_, i) => {
    const at = 4 + 64 * i;
    const name = new TextDecoder().decode(bytes.subarray(at + 8, at + 64));
    return [name.replace(/\0+$/, ""), {
      key: view.getUint16(at + 4),
      size: view.getUint32(at),
    }];
  }));
}

function file(bench: Bench, name: string): Uint8Array {
  const { key, size } = directory(bench).get(name)!;
  return item(bench, key, size);
}

/** Run a DMA descriptor at `at`; gives back its control word afterwards. */
function transfer(
  bench: Bench,
  control: number,
  length: number,
  target: number,
  at = 0x100,
): number {
  const view = new DataView(bench.ram.buffer);
  view.setUint32(at, control);
  view.setUint32(at + 4, length);
  view.setBigUint64(at + 8, BigInt(target));
  start(bench, at);
  return view.getUint32(at);
}

function start(bench: Bench, address: number): void {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigUint64(0, BigInt(address));
  bench.write("dma", 0, bytes.getUint32(0, true), 4);
  bench.write("dma", 4, bytes.getUint32(4, true), 4);
}

Deno.test("fw_cfg: signature, ID, and the directory in order of names", async () => {
  const bench = await made({ files: { "opt/b": { text: "two" } } });
  bench.device.addFile("opt/a", () => ascii.encode("one"));
  bench.device.addItem(2, () => Uint8Array.of(1, 2));
  bench.device.reset();
  assertEquals(item(bench, 0, 6), ascii.encode("QEMU\0\0"));
  assertEquals(item(bench, 1, 4), Uint8Array.of(3, 0, 0, 0));
  assertEquals(item(bench, 2, 3), Uint8Array.of(1, 2, 0));
  assertEquals([...directory(bench)], [
    ["etc/boot-menu-wait", { key: 0x20, size: 2 }],
    ["etc/e820", { key: 0x21, size: 20 }],
    ["opt/a", { key: 0x22, size: 3 }],
    ["opt/b", { key: 0x23, size: 3 }],
  ]);
  assertEquals(file(bench, "opt/a"), ascii.encode("one"));
  assertEquals(file(bench, "opt/b"), ascii.encode("two"));
  assertEquals(item(bench, 0x7fff, 2), new Uint8Array(2), "no such item");
  bench.write("registers", 0, 0, 2);
  bench.write("registers", 0, 0x7f);
  bench.write("registers", 1, 0x7f);
  assertEquals(bench.read("registers", 1), 0x51, "bytes select nothing");
  assertEquals(bench.read("registers", 0, 2), 0x4d45);
});

Deno.test("fw_cfg: DMA reads, skips and selects, and refuses to write", async () => {
  const bench = await made({ files: { x: { text: "0123456789" } } });
  const { key } = directory(bench).get("x")!;
  const read = (at: number, length: number): string =>
    new TextDecoder().decode(bench.ram.subarray(at, at + length));
  assertEquals(bench.read("dma", 0, 4), 0x554d4551);
  assertEquals(bench.read("dma", 4, 4), 0x47464320);
  assertEquals(bench.read("dma", 3), 0x55);

  const select = key * 65536 + 8;
  bench.ram.fill(0xff, 0x200, 0x220);
  assertEquals(transfer(bench, select + 2, 4, 0x200), 0);
  assertEquals(read(0x200, 4), "0123");
  assertEquals(transfer(bench, 4, 2, 0), 0);
  assertEquals(bench.read("registers", 1), "6".charCodeAt(0), "both go on");
  assertEquals(transfer(bench, 2, 6, 0x210), 0);
  assertEquals(read(0x210, 6), "789\0\0\0");
  assertEquals(bench.ram[0x216], 0xff);
  assertEquals(transfer(bench, select + 0x10, 4, 0x200), 1, "read-only");
  assertEquals(transfer(bench, select + 4, 0xffffffff, 0), 0);
  assertEquals(bench.read("registers", 1), 0, "skipped to the end");
  assertEquals(transfer(bench, select, 9, 0x200), 0);
  assertEquals(bench.read("registers", 1), "0".charCodeAt(0), "only selected");
});

Deno.test("fw_cfg: DMA to wild addresses is an error and reaches nothing", async () => {
  const bench = await made({ files: { x: { text: "0123456789" } } });
  const { key } = directory(bench).get("x")!;
  const before = bench.ram.slice();
  const command = key * 65536 + 8 + 2;
  for (
    const [length, target] of [
      [1, RAM],
      [10, RAM - 9],
      [0xffffffff, 0],
      [10, 2 ** 32 - 5],
      [10, 2 ** 52],
      [10, 2 ** 63],
    ]
  ) {
    assertEquals(transfer(bench, command, length, target), 1, `${target}`);
    bench.ram.fill(0, 0x100, 0x110);
    assertEquals(bench.ram, before);
  }
  assertEquals(transfer(bench, command, 0, 2 ** 52), 0, "nothing is moved");
  // Descriptors where there is no RAM, or too little.
  for (const at of [RAM, RAM - 15, 2 ** 32 - 1, 2 ** 40]) start(bench, at);
  // An upper half counts for one transfer alone.
  bench.write("dma", 0, 0xffffffff, 4);
  bench.write("dma", 4, 0, 4);
  bench.ram.fill(0xff, 0x200);
  assertEquals(transfer(bench, command, RAM - 0x200, 0x200), 0);
  assertEquals(bench.ram.subarray(0x20a).every((byte) => byte === 0), true);
  // Another width starts nothing.
  bench.ram.fill(0xee, 0x200, 0x210);
  new DataView(bench.ram.buffer).setUint32(0x100, command);
  bench.write("dma", 6, 0x0001, 2);
  assertEquals(bench.ram[0x200], 0xee);
});

Deno.test("fw_cfg: a descriptor may lie in what it transfers", async () => {
  const bench = await made();
  assertEquals(transfer(bench, 0x0008 + 2, 64, 0x100), 0);
  assertEquals(bench.ram[0x104], 0);
});

const TABLES: TableSet = {
  linked: true,
  blobs: [
    {
      name: "etc/root",
      bytes: Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0),
      align: 16,
      zone: "entry",
    },
    {
      name: "etc/one",
      bytes: Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0, 0x55),
      align: 64,
      zone: "table",
    },
    { name: "etc/two", bytes: Uint8Array.of(7), align: 4096, zone: "table" },
  ],
  links: [
    { kind: "pointer", blob: "etc/one", offset: 0, size: 8, target: "etc/one" },
    {
      kind: "pointer",
      blob: "etc/root",
      offset: 2,
      size: 4,
      target: "etc/two",
    },
    { kind: "checksum", blob: "etc/root", offset: 7, start: 0, length: 8 },
  ],
};

Deno.test("fw_cfg: tables are placed with their links, or described", async () => {
  const bench = await made();
  let prepared = 0;
  bench.device.addTables(() => ({ ...TABLES, prepare: () => prepared++ }));
  bench.device.reset();
  const loader = new DataView(file(bench, "etc/table-loader").buffer);
  assertEquals(loader.byteLength, 6 * 128);
  const names = ["etc/one", "etc/root", "etc/table-loader", "etc/two"];
  assertEquals(
    [...directory(bench).keys()].filter((name) => name !== "etc/e820").slice(1),
    names,
  );
  // The commands' kinds, then an alignment and a zone.
  assertEquals(
    [0, 1, 2, 3, 4, 5].map((i) => loader.getUint32(128 * i, true)),
    [1, 1, 1, 2, 2, 3],
  );
  assertEquals([loader.getUint32(60, true), loader.getUint8(64)], [16, 2]);
  assertEquals(loader.getUint8(128 * 3 + 120), 8);

  const { base, addresses } = bench.device.placeTables({
    end: RAM - 100,
    entries: 0xf1000,
  });
  assertEquals(prepared, 1);
  const view = new DataView(bench.ram.buffer);
  const at = (name: string): number => addresses.get(`etc/${name}`)!;
  assert(base % 4096 === 0 && at("one") % 64 === 0 && at("two") % 4096 === 0);
  assert(base <= at("one") && at("one") + 9 <= at("two"));
  assert(at("two") < RAM - 100);
  assertEquals(Number(view.getBigUint64(at("one"), true)), at("one") + 8);
  assertEquals(at("root"), 0xf1000);
  const root = Array.from(
    { length: 8 },
    (_, i) => bench.memory.read(0xf1000 + i, 1),
  );
  assertEquals(root.reduce((a, b) => a + b) % 256, 0);
  assertEquals(bench.memory.read(0xf1002, 4), at("two"));
  const saved = bench.save();
  bench.device.reset();
  assertEquals(bench.memory.read(0xf1000, 1), 0xff, "reset hides them");
  bench.device.load(saved);
  assertEquals(bench.memory.read(0xf1000, 1), 1);
});

Deno.test("fw_cfg: where there are no tables nothing is placed or shown", async () => {
  const bench = await made();
  const end = RAM - 100;
  const { base } = bench.device.placeTables({ end, entries: 0xf0000 });
  assertEquals([base, bench.memory.read(0xf0000, 1)], [end, 0xff]);
  assertEquals(bench.ram.every((byte) => byte === 0), true);
});

Deno.test("fw_cfg: entry points that do not fit", async () => {
  const bench = await made();
  const blob = TABLES.blobs[0];
  bench.device.addTables(() => ({
    linked: true,
    blobs: [{ ...blob, bytes: new Uint8Array(4097) }],
    links: [],
  }));
  const place = { end: RAM, entries: 0xf0000 };
  assertThrows(() => bench.device.placeTables(place), RangeError);
});

Deno.test("fw_cfg: mistakes in the configuration", async () => {
  const cases: [Record<string, unknown>, string][] = [
    [{ files: { "a b": { text: "" } } }, 'cannot have the name "a b"'],
    [{ files: { [`${"x".repeat(56)}`]: { text: "" } } }, "up to 55"],
    [{ files: { x: {} } }, 'firmware file "x": expected "text" or "path"'],
    [{ files: { "etc/e820": { text: "" } } }, 'two firmware files "etc/e820"'],
  ];
  for (const [config, message] of cases) {
    await assertRejects(() => made(config), Error, message);
  }
});

Deno.test("fw_cfg: RAM from 4 GiB on is in the map, and DMA reaches it", async () => {
  const high = 64 * 1024 * 1024;
  const bench = await DeviceBench.create<FwCfg>(plugin, {
    config: { memory: RAM + high },
    ram: RAM,
    survey: {
      ram: [{ base: 0, size: RAM }, { base: 2 ** 32, size: high }],
      devices: [],
    },
  });
  bench.device.reset();
  const view = new DataView(file(bench, "etc/e820").buffer);
  const ranges = [0, 20].map((at) => [
    Number(view.getBigUint64(at, true)),
    Number(view.getBigUint64(at + 8, true)),
    view.getUint32(at + 16, true),
  ]);
  assertEquals(ranges, [[0, RAM, 1], [2 ** 32, high, 1]]);
  const read = 2;
  assertEquals(transfer(bench, read, 4, 2 ** 32 + high - 4), 0);
  assertEquals(transfer(bench, read, 4, 2 ** 32 + high - 3), 1);
  assertEquals(transfer(bench, read, 4, 2 ** 32 - 2), 1);
  assertEquals(transfer(bench, read, 4, RAM), 1);
});

Deno.test("fw_cfg: tables are what they are when firmware selects them", async () => {
  const bench = await made();
  let value = 1;
  const table = (bytes: Uint8Array): TableSet => ({
    linked: false,
    links: [],
    blobs: [{ name: "etc/table", bytes, align: 16, zone: "table" }],
  });
  bench.device.addTables(() => table(Uint8Array.of(value, 7)));
  bench.device.reset();
  assertEquals(file(bench, "etc/table"), Uint8Array.of(1, 7));
  value = 2;
  assertEquals(file(bench, "etc/table"), Uint8Array.of(2, 7));
});

Deno.test("fw_cfg: a device that is restored has the items, without a reset", async () => {
  const saved = await made({ menu: true });
  saved.write("registers", 0, 0x19, 2);
  saved.read("registers", 1);
  const bench = await DeviceBench.create<FwCfg>(plugin, {
    config: { memory: RAM, menu: true },
    ram: RAM,
  });
  bench.device.load(saved.device.save());
  for (let i = 0; i < 64; i++) {
    assertEquals(bench.read("registers", 1), saved.read("registers", 1));
  }
  assertEquals(directory(bench), directory(saved));
  assertEquals(item(bench, 0, 4), ascii.encode("QEMU"));
});
