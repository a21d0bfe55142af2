/**
 * The configuration spaces of the 440FX, the PIIX3's ISA bridge and the PIIX4's
 * power management beside QEMU's: what they have after reset, and which bits of
 * the header a guest can write. QEMU's registers behind the header are plain
 * memory; there the datasheets count.
 */

import { assertEquals } from "@std/assert";
import { PciBenchBus } from "../../core/bus/pci_testing.ts";
import { DeviceBench } from "../../core/machine/testing.ts";
import type { DevicePlugin } from "../../core/machine/plugin.ts";
import i440fx from "../../plugins/device/pci/i440fx.ts";
import piix3 from "../../plugins/device/pci/piix3.ts";
import piix4Pm from "../../plugins/device/pci/piix4_pm.ts";
import { withFolder } from "../block/oracle.ts";
import { qemuTest, Qtest } from "./qtest.ts";

const ENABLE = 0x80000000;
const HEADER = 0x40;

/** Configuration space: registers of 32 bits. */
interface Space {
  read(register: number): Promise<number>;
  write(register: number, value: number): Promise<void>;
}

function theirs(qemu: Qtest, devfn: number): Space {
  const select = (register: number) =>
    qemu.ask(`outl 0xcf8 ${ENABLE + devfn * 0x100 + register}`);
  return {
    async read(register) {
      await select(register);
      return Number(await qemu.ask("inl 0xcfc"));
    },
    async write(register, value) {
      await select(register);
      await qemu.ask(`outl 0xcfc ${value}`);
    },
  };
}

/** The 440FX, by its ports. */
async function hostBridge(): Promise<Space> {
  const bench = await DeviceBench.create(i440fx);
  bench.device.reset();
  const select = (register: number) =>
    bench.write("address", 0, ENABLE + register, 4);
  return {
    read(register) {
      select(register);
      return Promise.resolve(bench.read("data", 0, 4));
    },
    write(register, value) {
      select(register);
      return Promise.resolve(bench.write("data", 0, value, 4));
    },
  };
}

/** A function, by the bus that it is on. */
async function onBus(plugin: DevicePlugin<never>): Promise<Space> {
  const bus = new PciBenchBus();
  const bench = await DeviceBench.create(plugin, { use: { bus } });
  bench.device.reset();
  return {
    read: (register) => Promise.resolve(bus.space.readConfig(register, 4)),
    write: (register, value) =>
      Promise.resolve(bus.space.writeConfig(register, 4, value)),
  };
}

/** The bytes after reset, and the bits of them that change when written. */
async function look(
  space: Space,
): Promise<{ reset: number[]; mask: number[] }> {
  const reset: number[] = [];
  const mask: number[] = [];
  const bytes = (word: number) => [0, 8, 16, 24].map((n) => word >>> n & 0xff);
  for (let register = 0; register < 0x100; register += 4) {
    reset.push(...bytes(await space.read(register)));
  }
  for (let register = 0; register < 0x100; register += 4) {
    const before = await space.read(register);
    await space.write(register, 0xffffffff);
    const ones = await space.read(register);
    await space.write(register, 0);
    const zeros = await space.read(register);
    await space.write(register, before);
    mask.push(...bytes((ones ^ zeros) >>> 0));
  }
  return { reset, mask };
}

/** `offset: theirs ours`, in hexadecimal, of the bytes that differ. */
function differences(theirs: number[], ours: number[]): string[] {
  const hex = (byte: number) => byte.toString(16).padStart(2, "0");
  return ours.flatMap((byte, at) =>
    byte === theirs[at] ? [] : [`${hex(at)}: ${hex(theirs[at])} ${hex(byte)}`]
  );
}

/**
 * A function, and where QEMU differs ("offset: QEMU's byte, Rhea's"): after
 * reset, and in the bits of the header that can be written.
 */
interface Function {
  readonly devfn: number;
  readonly rhea: () => Promise<Space>;
  readonly reset: readonly string[];
  readonly header: readonly string[];
  /** Registers that the chip has not: they read as 0 and stay so. */
  readonly reserved: readonly (readonly [first: number, last: number])[];
}

/** QEMU's own subsystem. These chips have none. */
const SUBSYSTEM = ["2c: f4 00", "2d: 1a 00", "2f: 11 00"];

const FUNCTIONS: Readonly<Record<string, Function>> = {
  i440fx: {
    devfn: 0,
    rhea: hostBridge,
    reset: [
      // Memory and bus mastering on, DEVSEL# and back-to-back: hard-wired.
      ...["04: 00 06", "06: 00 80", "07: 00 02"],
      ...SUBSYSTEM,
      // The strap of PMCCFG; DBC, DRAMC, DRAMT, DRB0 to DRB7, CLT.
      ...["51: 00 02", "53: 00 80", "57: 00 01", "58: 00 10"],
      ...["60: 00 01", "61: 00 01", "62: 00 01", "63: 00 01"],
      ...["64: 00 01", "65: 00 01", "66: 00 01", "67: 00 01"],
      "71: 00 10",
    ],
    header: ["04: 07 40", "05: 05 01", "0c: ff 00", "0d: 00 f8", "3c: ff 00"],
    reserved: [[0x40, 0x4f], [0x69, 0x6f], [0x73, 0x8f], [0x94, 0xff]],
  },
  piix3: {
    devfn: 8,
    rhea: () => onBus(piix3),
    reset: [
      "04: 00 07",
      ...SUBSYSTEM,
      // MBDMA: what the PIIX had, not the PIIX3.
      ...["76: 0c 04", "77: 0c 04"],
    ],
    header: ["04: 07 08", "05: 05 01", "0c: ff 00", "3c: ff 00"],
    reserved: [
      ...[[0x40, 0x4b], [0x64, 0x68], [0x6c, 0x6f], [0x71, 0x75]] as const,
      ...[[0x7a, 0x7f], [0x83, 0x9f], [0xaa, 0xab], [0xb0, 0xff]] as const,
    ],
  },
  piix4_pm: {
    devfn: 11,
    rhea: () => onBus(piix4Pm),
    reset: [
      ...SUBSYSTEM,
      // APMC_EN; and what QEMU's board tells by DEVRESA and DEVRESB of ports.
      ...["5b: 00 02", "5f: 10 00", "63: 60 00"],
      // QEMU's SMBus has been placed already.
      ...["91: b1 00", "d2: 09 00"],
    ],
    header: ["04: 07 01", "05: 05 00", "0c: ff 00"],
    reserved: [[0x81, 0x8f], [0x92, 0xd1], [0xd6, 0xff]],
  },
};

for (const [name, one] of Object.entries(FUNCTIONS)) {
  qemuTest(
    `${name}: configuration space as QEMU has it`,
    () =>
      withFolder(async (folder) => {
        const qemu = await Qtest.start(folder, []);
        try {
          const expected = await look(theirs(qemu, one.devfn));
          const ours = await look(await one.rhea());
          assertEquals(differences(expected.reset, ours.reset), one.reset);
          const header = (mask: number[]) => mask.slice(0, HEADER);
          assertEquals(
            differences(header(expected.mask), header(ours.mask)),
            one.header,
          );
          for (const [first, last] of one.reserved) {
            for (let at = first; at <= last; at++) {
              const found = [ours.reset[at], ours.mask[at]];
              assertEquals(found, [0, 0], at.toString(16));
            }
          }
        } finally {
          await qemu.end();
        }
      }),
  );
}
