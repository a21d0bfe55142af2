import { assertEquals, assertThrows } from "@std/assert";
import type { Device, DevicePlugin } from "../machine/plugin.ts";
import { DeviceBench } from "../machine/testing.ts";
import { loadState, saveState, type StateRecord } from "../state/state.ts";
import { PciBus, type PciConfigSpace } from "./pci.ts";
import { PciFunction, type PciState } from "./pci_function.ts";
import { PciBenchBus } from "./pci_testing.ts";

const TABLE = 0x800;

/** A device with one of everything. */
class Everything implements Device {
  readonly pci: PciFunction;
  #state: PciState;

  constructor(pci: PciFunction) {
    this.pci = pci;
    this.#state = pci.fresh();
    this.reset();
  }
  reset(): void {
    this.pci.adopt(this.#state = this.pci.fresh());
  }
  save(): StateRecord {
    return saveState(this.#state);
  }
  load(record: StateRecord): void {
    this.#state = loadState(this.pci.fresh(), record, "everything");
    this.pci.adopt(this.#state);
  }
}

const plugin: DevicePlugin = {
  type: "device",
  name: "everything",
  version: "1",
  regions: {
    io: { space: "ports", size: 0x20, movable: true },
    registers: { space: "memory", size: 0x1000, movable: true },
    vram: { space: "memory", size: 0x10000, kind: "ram", movable: true },
    rom: { space: "memory", size: 0x800, kind: "rom", movable: true },
  },
  uses: { bus: "pci-bus" },
  create(_config, context) {
    const pci = new PciFunction(context, { slot: 3, function: 0 }, {
      vendor: 0x1234,
      device: 0x5678,
      revision: 9,
      classCode: 0x030201,
      subsystemVendor: 0xabcd,
      subsystem: 0xef01,
      interruptPin: 2,
      bars: [
        { index: 0, kind: "io", region: "io", size: 0x20 },
        { index: 1, kind: "memory", region: "registers", size: 0x1000 },
        {
          index: 2,
          kind: "memory64",
          prefetchable: true,
          region: "vram",
          size: 0x10000,
        },
      ],
      rom: { region: "rom", size: 0x800 },
      msi: { offset: 0x50, vectors: 4 },
      msix: {
        offset: 0x70,
        vectors: 10,
        table: { bar: 1, offset: TABLE },
        pending: { bar: 1, offset: 0xc00 },
      },
    });
    context.io("io", { widths: [1], read: (o) => 0x80 | o, write() {} });
    context.io("registers", {
      read: (o, w) => pci.msixTable.read(o - TABLE, w),
      write: (o, w, v) => {
        if (o >= TABLE) pci.msixTable.write(o - TABLE, w, v);
      },
    });
    context.memory("vram").bytes[0] = 0x55;
    context.memory("rom").bytes[0] = 0xaa;
    return new Everything(pci);
  },
};

interface Rig {
  readonly bench: DeviceBench<Everything>;
  readonly bus: PciBenchBus;
  readonly config: PciConfigSpace;
}

async function rig(): Promise<Rig> {
  const bus = new PciBenchBus();
  const bench = await DeviceBench.create<Everything>(plugin, { use: { bus } });
  return { bench, bus, config: bus.space };
}

Deno.test("pci: the header and the capabilities", async () => {
  const { config } = await rig();
  assertEquals(
    [0, 8, 0xc, 0x2c, 0x34, 0x3c].map((r) => config.readConfig(r, 4)),
    [0x56781234, 0x03020109, 0, 0xef01abcd, 0x50, 0x0200],
  );
  assertEquals(config.readConfig(4, 4), 0x00100000);
  // MSI with four vectors, 64 bits and masks; then MSI-X, the last.
  assertEquals(config.readConfig(0x50, 4), 0x01847005);
  assertEquals(config.readConfig(0x70, 4), 0x00090011);
  assertEquals(config.readConfig(0x74, 4), 0x801);
  for (const r of [0, 8, 0x2c, 0x34]) config.writeConfig(r, 4, 0);
  assertEquals(config.readConfig(0, 4), 0x56781234);
  assertEquals(config.readConfig(0x2c, 4), 0xef01abcd);
});

Deno.test("pci: sizing writes", async () => {
  const { config } = await rig();
  const sized: number[] = [];
  for (const r of [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30]) {
    config.writeConfig(r, 4, 0xffffffff);
    sized.push(config.readConfig(r, 4));
  }
  assertEquals(sized, [
    0xffffffe1,
    0xfffff000,
    0xffff000c,
    0xffffffff,
    0,
    0,
    0xfffff801,
  ]);
});

Deno.test("pci: base address registers answer when the command says", async () => {
  const { bench: { memory, ports, device }, config } = await rig();
  config.writeConfig(0x10, 4, 0xc000);
  config.writeConfig(0x18, 4, 0xe0000000);
  config.writeConfig(0x30, 4, 0xf0000001);
  const seen = (): number[] => [
    ports.read(0xc003, 1),
    memory.read(0xe0000000, 1),
    memory.read(0xf0000000, 1),
  ];
  assertEquals(seen(), [0xff, 0xff, 0xff]);
  config.writeConfig(4, 2, 1);
  assertEquals(seen(), [0x83, 0xff, 0xff]);
  config.writeConfig(4, 2, 3);
  assertEquals(seen(), [0x83, 0x55, 0xaa]);
  config.writeConfig(4, 1, 2);
  assertEquals(seen(), [0xff, 0x55, 0xaa]);
  config.writeConfig(0x30, 1, 0);
  assertEquals(seen(), [0xff, 0x55, 0xff]);
  // Above 4 GiB there is nothing.
  config.writeConfig(0x1c, 4, 1);
  assertEquals(seen(), [0xff, 0xff, 0xff]);
  config.writeConfig(0x1c, 4, 0);
  memory.write(0xe0000004, 4, 0x01020304);
  config.writeConfig(0x18, 4, 0xd0000000);
  assertEquals(memory.read(0xd0000004, 4), 0x01020304);
  const saved = device.save();
  device.reset();
  assertEquals(memory.read(0xd0000000, 1), 0xff);
  device.load(saved);
  assertEquals(memory.read(0xd0000000, 1), 0x55);
});

Deno.test("pci: the pin, its status and its disable", async () => {
  const { bench: { device }, bus, config } = await rig();
  const pins = (): number[] => bus.pins.map(Number);
  device.pci.setIntx(true);
  assertEquals(pins(), [0, 1, 0, 0]);
  assertEquals(config.readConfig(6, 2), 0x18);
  config.writeConfig(4, 2, 0x400);
  assertEquals(pins(), [0, 0, 0, 0]);
  assertEquals(config.readConfig(6, 2), 0x18, "the status stays");
  config.writeConfig(4, 2, 0);
  assertEquals(pins(), [0, 1, 0, 0]);
  // With MSI the pin is quiet.
  config.writeConfig(0x52, 2, 1);
  assertEquals(pins(), [0, 0, 0, 0]);
  config.writeConfig(0x52, 2, 0);
  device.reset();
  assertEquals([pins(), config.readConfig(6, 2)], [[0, 0, 0, 0], 0x10]);
});

Deno.test("pci: errors in the status are cleared by ones", async () => {
  const { bench: { device }, config } = await rig();
  device.pci.setByte(7, 0xf9);
  config.writeConfig(6, 2, 0x8000);
  assertEquals(config.readConfig(7, 1), 0x79);
  config.writeConfig(4, 4, 0xffffffff);
  assertEquals(config.readConfig(4, 4), 0x00100547);
});

Deno.test("pci: no DMA without bus mastering", async () => {
  const { bench: { device, ram }, config } = await rig();
  const { dma } = device.pci;
  const bytes = new Uint8Array([1, 2]);
  dma.write(0x100, bytes);
  assertEquals(ram[0x101], 0);
  config.writeConfig(4, 2, 4);
  dma.write(0x100, bytes);
  assertEquals(ram[0x101], 2);
  config.writeConfig(4, 2, 0);
  ram[0x100] = 9;
  dma.read(0x100, bytes);
  assertEquals([...bytes], [1, 2]);
});

function word(ram: Uint8Array, at: number): number {
  return new DataView(ram.buffer).getUint32(at, true);
}

Deno.test("pci: MSI, its vectors and masks", async () => {
  const { bench: { device, ram }, config } = await rig();
  device.pci.notify(0);
  config.writeConfig(4, 2, 4);
  config.writeConfig(0x54, 4, 0x1003);
  config.writeConfig(0x5c, 2, 0x4041);
  config.writeConfig(0x52, 2, 0x0001);
  assertEquals([device.pci.interrupts, word(ram, 0x1000)], ["msi", 0]);
  device.pci.notify(3);
  assertEquals(word(ram, 0x1000), 0x4041, "one message stands for all");
  config.writeConfig(0x52, 2, 0x0021);
  device.pci.notify(3);
  assertEquals(word(ram, 0x1000), 0x4043);
  config.writeConfig(0x60, 4, 0b100);
  device.pci.notify(2);
  assertEquals(word(ram, 0x1000), 0x4043);
  assertEquals(config.readConfig(0x64, 4), 0b100);
  config.writeConfig(0x60, 4, 0);
  assertEquals(word(ram, 0x1000), 0x4042);
  assertEquals(config.readConfig(0x64, 4), 0);
  config.writeConfig(4, 2, 0);
  device.pci.notify(1);
  assertEquals(word(ram, 0x1000), 0x4042, "a message is a bus master's");
});

Deno.test("pci: MSI-X, its table and masks", async () => {
  const { bench: { device, ram, memory }, config } = await rig();
  config.writeConfig(0x14, 4, 0xe0000000);
  config.writeConfig(4, 2, 6);
  config.writeConfig(0x72, 2, 0xc000);
  const entry = 0xe0000000 + TABLE + 9 * 16;
  assertEquals(memory.read(entry + 12, 4), 1, "masked after reset");
  memory.write(entry, 4, 0x2000);
  memory.write(entry + 8, 4, 0x12345678);
  memory.write(entry + 12, 4, 0);
  device.pci.notify(9);
  device.pci.notify(99);
  assertEquals(word(ram, 0x2000), 0);
  assertEquals(device.pci.msixPending.read(0, 4), 1 << 9);
  config.writeConfig(0x72, 2, 0x8000);
  assertEquals(word(ram, 0x2000), 0x12345678);
  assertEquals(device.pci.msixPending.read(0, 4), 0);
  ram.fill(0);
  memory.write(entry + 12, 4, 1);
  device.pci.notify(9);
  assertEquals(word(ram, 0x2000), 0);
  memory.write(entry + 12, 4, 0);
  assertEquals(word(ram, 0x2000), 0x12345678);
});

Deno.test("pci: random configuration writes leave the address map whole", async () => {
  const { bench, config } = await rig();
  const { memory, ports, device } = bench;
  memory.add({ name: "ram", base: 0, size: 0x1000, kind: "ram" });
  let x = 1;
  const random = (): number => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
  for (let i = 0; i < 5000; i++) {
    const width = ([1, 2, 4] as const)[random() % 3];
    const offset = random() % 256 & -width;
    const value = random() >>> random() % 32;
    config.writeConfig(offset, width, value);
    if (i % 16 === 0) device.pci.notify(random() % 12);
    memory.write(random(), width, random());
    ports.read(random() % 65536, width);
    if (i % 64 === 0) device.load(device.save());
    assertEquals(config.readConfig(0, 4), 0x56781234);
  }
  assertEquals(memory.regions.some((r) => r.name === "ram"), true);
  device.reset();
  assertEquals(memory.regions.map((r) => r.name), ["ram"]);
  assertEquals(ports.regions, []);
});

Deno.test("pci: two functions at one place, pins joined and swizzled", () => {
  const levels = [false, false];
  const bus = new PciBus(
    levels.map((_, i) => (level) => levels[i] = level),
    (slot, pin) => (slot + pin) & 1,
  );
  const space: PciConfigSpace = { readConfig: () => 7, writeConfig() {} };
  const place = { slot: 4, function: 1 };
  const a = bus.attach("net", place, space)(0);
  const b = bus.attach("disk", { slot: 5, function: 0 }, space)(1);
  assertThrows(
    () => bus.attach("sound", place, space),
    Error,
    'devices "net" and "sound" are both at slot 4, function 1',
  );
  a(true);
  b(true);
  a(false);
  assertEquals(levels, [true, false]);
  b(false);
  assertEquals(levels, [false, false]);
  assertEquals(bus.read(place, 0, 4), 7);
  assertEquals(bus.read({ slot: 4, function: 0 }, 0, 4), 0xffffffff);
});
