import { assertEquals } from "@std/assert";
import { PciBenchBus } from "../../../core/bus/pci_testing.ts";
import type { BlockBackend } from "../../../core/backend/block.ts";
import type { DevicePlugin } from "../../../core/machine/plugin.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { FakeBlock, settled } from "../../../tests/devices/ide_bench.ts";
import plugin, { type Piix3Ide } from "./piix3_ide.ts";

const MIB = 1 << 20;
/** PCICMD: ports, bus mastering. */
const IOSE = 1;
const BME = 4;

/** The function with these disks, at 1000h where its bus masters are. */
async function system(
  disks: Readonly<Record<string, BlockBackend>>,
  config: Record<string, unknown> = {},
) {
  const bus = new PciBenchBus();
  const withDisks: DevicePlugin = {
    ...plugin,
    create: (values, context) =>
      plugin.create(values, { ...context, block: (name) => disks[name] }),
  };
  const bench = await DeviceBench.create<Piix3Ide>(withDisks, {
    use: { bus },
    config,
  });
  bench.device.reset();
  const { space } = bus;
  const out = (register: number, value: number): void =>
    bench.write("command0", register, value);
  return { bench, space, out };
}

Deno.test("piix3-ide: identity, reset values and what can be written", async () => {
  const { space } = await system({});
  const registers = [0x00, 0x04, 0x08, 0x0c, 0x10, 0x20, 0x3c, 0x40, 0x44];
  const read = (): number[] => registers.map((r) => space.readConfig(r, 4));
  assertEquals(
    read(),
    [0x70108086, 0x02800000, 0x01018000, 0, 0, 1, 0, 0, 0],
  );
  for (const r of registers) space.writeConfig(r, 4, 0xffffffff);
  assertEquals(
    read(),
    // The datasheet's reserved bits stay 0.
    [
      ...[0x70108086, 0x02800005, 0x01018000, 0x0000f000, 0, 0xfffffff1, 0],
      ...[0xf3fff3ff, 0xff],
    ],
  );
});

Deno.test("piix3-ide: ports answer when PCICMD and IDETIM say so", async () => {
  const { bench, space } = await system({
    disk0: new FakeBlock(MIB),
    disk2: new FakeBlock(MIB),
  });
  const status = (): number[] => [
    bench.read("command0", 7),
    bench.read("control0", 0),
    bench.read("command1", 7),
    bench.read("control1", 0),
  ];
  assertEquals(status(), [0xff, 0xff, 0xff, 0xff]);
  space.writeConfig(0x04, 2, IOSE);
  assertEquals(status(), [0xff, 0xff, 0xff, 0xff]);
  space.writeConfig(0x40, 2, 0x8000);
  assertEquals(status(), [0x50, 0x50, 0xff, 0xff]);
  // What is written to ports that nobody decodes is lost.
  bench.write("command1", 2, 0x55);
  space.writeConfig(0x40, 4, 0x80000000);
  assertEquals(status(), [0xff, 0xff, 0x50, 0x50]);
  assertEquals(bench.read("command1", 2), 0x01);
  space.writeConfig(0x04, 2, 0);
  assertEquals(status(), [0xff, 0xff, 0xff, 0xff]);

  const open = await system({ disk0: new FakeBlock(MIB) }, { decode: true });
  assertEquals(open.bench.read("command0", 7), 0x50);
  assertEquals(
    [open.space.readConfig(4, 2), open.space.readConfig(0x40, 4)],
    [IOSE, 0x80008000],
  );
  open.space.writeConfig(0x40, 4, 0);
  open.bench.device.reset();
  assertEquals(open.bench.read("command0", 7), 0x50);
});

Deno.test("piix3-ide: BMIBA places the registers of both bus masters", async () => {
  const { bench: { ports }, space } = await system({});
  space.writeConfig(0x20, 4, 0x1000);
  assertEquals(ports.read(0x1002, 1), 0xff);
  space.writeConfig(0x04, 2, IOSE);
  ports.write(0x1004, 4, 0x12345670);
  ports.write(0x100c, 4, 0xabcdef04);
  assertEquals(
    [0x1000, 0x1004, 0x1008, 0x100c].map((port) => ports.read(port, 4)),
    [0, 0x12345670, 0, 0xabcdef04],
  );
  space.writeConfig(0x20, 4, 0x2000);
  assertEquals(
    [ports.read(0x1004, 4), ports.read(0x200c, 4)],
    [0xffffffff, 0xabcdef04],
  );
});

/** READ DMA of two sectors to 4000h on the primary channel, not started yet. */
async function readDma(block: FakeBlock) {
  const made = await system({ disk1: block }, { decode: true });
  const { bench, space, out } = made;
  const view = new DataView(bench.ram.buffer);
  view.setUint32(0x3000, 0x4000, true);
  view.setUint32(0x3004, 0x80000400, true);
  space.writeConfig(0x20, 4, 0x1000);
  bench.ports.write(0x1004, 4, 0x3000);
  [2, 5, 0, 0, 0xf0, 0xc8].forEach((value, i) => out(2 + i, value));
  await settled();
  return made;
}

Deno.test("piix3-ide: DMA waits for bus mastering, and its interrupt is IRQ 14", async () => {
  const block = new FakeBlock(MIB);
  const { bench, space, out } = await readDma(block);
  bench.ports.write(0x1000, 1, 0x09);
  assertEquals([bench.ports.read(0x1002, 1), bench.level("irq0")], [1, false]);
  assertEquals(bench.ram[0x4000], 0);
  space.writeConfig(0x04, 2, IOSE | BME);
  assertEquals([bench.ports.read(0x1002, 1), bench.level("irq0")], [4, true]);
  assertEquals(
    bench.ram.slice(0x4000, 0x4400),
    block.bytes.slice(5 * 512, 7 * 512),
  );
  assertEquals(bench.level("irq1"), false);
  out(6, 0xa0);
  assertEquals(bench.level("irq0"), false, "device 1 has it");
});

Deno.test("piix3-ide: a transfer is saved and goes on elsewhere", async () => {
  const block = new FakeBlock(MIB);
  const { bench } = await readDma(block);
  bench.ports.write(0x1000, 1, 0x09);
  const saved = bench.save();
  const other = await system({ disk1: block }, { decode: true });
  new Uint8Array(other.bench.ram.buffer).set(bench.ram);
  other.bench.device.load(saved);
  assertEquals(other.bench.save(), saved);
  other.space.writeConfig(0x04, 2, IOSE | BME);
  assertEquals(other.bench.level("irq0"), true);
  assertEquals(
    other.bench.ram.slice(0x4000, 0x4400),
    block.bytes.slice(5 * 512, 7 * 512),
  );
});
