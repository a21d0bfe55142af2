/**
 * A hostile guest of the PC, as its devices see it: random accesses to every
 * port, to configuration space and to the devices in memory, descriptors and
 * tables at random in RAM, the BIOS's trap ports with any frames. It goes on
 * while the machine runs what has become of its firmware. Nothing throws,
 * nothing hangs, and the machine stops when it is told to.
 *
 * `RHEA_SEED=n` runs a seed again, `RHEA_CASES=n` sets how many there are.
 */

import { cpuUsage } from "node:process";
import { assert } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { AddressSpace } from "../../core/bus/address_space.ts";
import { Machine } from "../../machines/machine.ts";
import { forSeeds, Random } from "../random.ts";

const PC = fromFileUrl(new URL("../../machines/pc.json", import.meta.url));
const CASES = 4;
const STEPS = 5000;
/** An access that takes so many milliseconds of the CPU hangs the guest. */
const HANG_MS = 2000;

/** Ports of the exit device, of PCI, fw_cfg's DMA and the BIOS's traps. */
const EXIT = 0xf4;
const CONFADD = 0xcf8;
const CONFDATA = 0xcfc;
const FW_CFG_DMA = 0x514;
const TRAP = 0xd00;
/** Where tables lie at random, and frames of the BIOS. */
const TABLES = 0x100000;
const TABLES_BYTES = 0x20000;
const FRAMES = 0x8000;
const HPET = 0xfed00000;
const LAPIC = 0xfee00000;
const DEVICES = [HPET, 0xfec00000, LAPIC, 0xe0000000, 0xa0000, 0xc0000];
/** Interrupts of the BIOS, and its start. */
const SERVICES = [0x08, 0x09, 0x10, 0x13, 0x14, 0x15, 0x16, 0x19, 0x1a, 0xff];
const WIDTHS = [1, 2, 4] as const;

/** A PC with a disk on each controller and RAM of 16 MiB. */
async function pc(directory: string): Promise<Machine> {
  const set: string[] = [];
  const put = (device: string, role: string, size: number): void => {
    const file = join(directory, `${device}-${role}`);
    Deno.writeFileSync(file, new Uint8Array(0));
    Deno.truncateSync(file, size);
    const image = { plugin: "raw", config: { file } };
    set.push(
      `backends.${device}-${role}=${JSON.stringify(image)}`,
      `devices.${device}.backends.${role}=${device}-${role}`,
    );
  };
  set.push(
    'devices.blk0={"plugin":"virtio-blk-pci","config":{"slot":4},' +
      '"use":{"bus":"pci"}}',
    'devices.ide.config.disk2={"kind":"cdrom"}',
  );
  put("blk0", "disk", 1 << 22);
  put("ide", "disk0", 1 << 22);
  put("ide", "disk2", 1 << 20);
  put("floppy", "drive0", 1474560);
  return await Machine.load(PC, { memory: "16M", set });
}

/** Numbers that mean something somewhere. */
function value(random: Random): number {
  return random.of([
    0,
    0xffffffff,
    random.below(0x100),
    random.below(0x10000),
    random.below(2 ** 32),
    TABLES + 4 * random.below(TABLES_BYTES / 4),
    LAPIC + 4 * random.below(0x400),
    HPET + 4 * random.below(0x100),
    0xe0000000 + 0x1000 * random.below(16),
  ]);
}

/** One access or transfer; gives what it was. */
function step(
  random: Random,
  memory: AddressSpace,
  ports: AddressSpace,
): string {
  const number = value(random);
  const width = random.of(WIDTHS);
  const access = (space: AddressSpace, at: number): string => {
    if (random.below(2) === 0) space.read(at, width);
    else space.write(at, width, number);
    return `${space.name} ${at.toString(16)} ${width} ${number.toString(16)}`;
  };
  switch (random.below(6)) {
    case 0: {
      const regions = ports.regions.filter(({ base }) => base !== EXIT);
      const { base, size } = random.of(regions);
      return access(ports, base + random.below(size));
    }
    case 1: {
      // Of the host bridge, the PIIX's functions and the virtio disk.
      const devfn = random.of([0x00, 0x08, 0x09, 0x0b, 0x20]);
      const address = 0x80000000 + devfn * 256 + 4 * random.below(64);
      ports.write(CONFADD, 4, address);
      return `${address.toString(16)} ${access(ports, CONFDATA)}`;
    }
    case 2:
      return access(memory, random.of(DEVICES) + random.below(0x400));
    case 3:
      for (let i = 0; i < 64; i++) {
        memory.write(TABLES + 4 * random.below(TABLES_BYTES / 4), 4, number);
      }
      return "tables";
    case 4: {
      // All in big-endian order: control, length, address.
      const at = TABLES + 0x10000;
      const bytes = new DataView(new ArrayBuffer(16));
      bytes.setUint32(0, random.of([0x02, 0x04, 0x0a, 0x10, 0x190008]));
      bytes.setUint32(4, number);
      bytes.setUint32(12, value(random));
      memory.writeBytes(at, new Uint8Array(bytes.buffer));
      bytes.setUint32(0, at);
      ports.write(FW_CFG_DMA, 4, 0);
      ports.write(FW_CFG_DMA + 4, 4, bytes.getUint32(0, true));
      return `fw_cfg ${number.toString(16)}`;
    }
    default: {
      const frame = FRAMES + 64 * random.below(4);
      for (let i = 0; i < 44; i++) {
        memory.write(frame + i, 1, random.below(256));
      }
      const service = random.of(SERVICES);
      const ah = random.below(random.of([0x20, 0x50, 0x100]));
      memory.write(frame + 33, 1, ah);
      memory.write(frame + 36, 1, service);
      memory.write(frame + 37, 1, random.below(3));
      memory.write(0x400 + random.below(0x100), 1, random.below(256));
      ports.write(TRAP, 4, frame / 16 << 16);
      return `INT ${service.toString(16)} AH=${ah.toString(16)}`;
    }
  }
}

async function hostile(seed: number): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await using machine = await pc(directory);
    const random = new Random(seed);
    const [memory, ports] = [machine.space("memory"), machine.space("ports")];
    let isOver = false;
    // It may switch itself off, and goes on all the same.
    const runs = (async () => {
      while (!isOver) {
        await machine.run();
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    for (let i = 0; i < STEPS; i++) {
      const start = cpuUsage();
      const what = step(random, memory, ports);
      const { user, system } = cpuUsage(start);
      const took = (user + system) / 1000;
      assert(took < HANG_MS, `step ${i}, ${what}: ${Math.round(took)} ms`);
      if (random.below(50) === 0) {
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }
    isOver = true;
    await machine.stop();
    await runs;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("hostile accesses to every device of the PC", async () => {
  await forSeeds(CASES, hostile);
});
