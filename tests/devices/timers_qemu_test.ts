/**
 * The I/O APIC and the HPET beside QEMU's, by their registers alone: random
 * writes and what reads give, while nothing interrupts and no time counts.
 */

import { assertEquals } from "@std/assert";
import type { AccessWidth } from "../../core/bus/handler.ts";
import { DeviceBench } from "../../core/machine/testing.ts";
import type { DevicePlugin } from "../../core/machine/plugin.ts";
import ioapic from "../../plugins/device/intc/ioapic.ts";
import hpet from "../../plugins/device/timer/hpet.ts";
import { withFolder } from "../block/oracle.ts";
import { Random } from "../random.ts";
import { qemuTest, Qtest } from "./qtest.ts";

const IOAPIC = 0xfec00000;
const HPET = 0xfed00000;
const PAGE = 0x1000;
/** The PIT's pin in the redirection table, and a bit there. */
const PIT_PIN = 0x14, REMOTE_IRR = 0x4000;
/** Lines before a difference that a message has. */
const CONTEXT = 12;

/** What a driver does. */
interface Registers {
  read(address: number, width?: AccessWidth): Promise<number>;
  write(address: number, value: number, width?: AccessWidth): Promise<unknown>;
}

const LETTERS = { 1: "b", 2: "w", 4: "l" } as const;

function theirs(qemu: Qtest): Registers {
  return {
    read: async (address, width = 4) =>
      Number(await qemu.ask(`read${LETTERS[width]} ${address}`)),
    write: (address, value, width = 4) =>
      qemu.ask(`write${LETTERS[width]} ${address} ${value}`),
  };
}

async function ours(plugin: DevicePlugin<never>): Promise<Registers> {
  const bus = {
    attach() {},
    listen() {},
    receiver: () => undefined,
    send: () => true,
    end() {},
    take() {},
  };
  const bench = await DeviceBench.create(plugin, { use: { bus } });
  bench.device.reset();
  // Both fill their pages from the start on.
  const at = (address: number): number => address % PAGE;
  return {
    read: (address, width = 4) =>
      Promise.resolve(bench.read("registers", at(address), width)),
    write: (address, value, width = 4) =>
      Promise.resolve(bench.write("registers", at(address), value, width)),
  };
}

/** What a run sees, on both; each says a line for what it does or reads. */
function compare(
  name: string,
  plugin: DevicePlugin<never>,
  run: (on: Registers, random: Random, seen: string[]) => Promise<void>,
): void {
  for (const seed of [1, 2, 3]) {
    qemuTest(`${name} beside QEMU's, seed ${seed}`, async () => {
      const expected: string[] = [];
      await withFolder(async (folder) => {
        const qemu = await Qtest.start(folder, ["-global", "hpet.msi=on"]);
        try {
          await run(theirs(qemu), new Random(seed), expected);
        } finally {
          await qemu.end();
        }
      });
      const found: string[] = [];
      await run(await ours(plugin), new Random(seed), found);
      const first = expected.findIndex((line, i) => line !== found[i]);
      const from = Math.max(first - CONTEXT, 0);
      assertEquals(
        found.slice(from, first + 1),
        expected.slice(from, first + 1),
      );
      assertEquals(found.length, expected.length);
    });
  }
}

/** A number of 32 bits. */
function word(random: Random): number {
  return random.below(2 ** 16) * 2 ** 16 + random.below(2 ** 16);
}

compare("I/O APIC: registers", ioapic, async (on, random, seen) => {
  const look = async (index: number): Promise<void> => {
    await on.write(IOAPIC, index);
    // QEMU keeps what is written to reserved bits of the table.
    let bits = index < 0x10 ? -1 : (index & 1) === 0 ? 0x1ffff : 0xff000000;
    // QEMU's PIT runs, and is on pin 2: its remote IRR is now set and now not.
    if (index === PIT_PIN) bits &= ~REMOTE_IRR;
    const value = (await on.read(IOAPIC + 0x10) & bits) >>> 0;
    seen.push(`${index.toString(16)}: ${value.toString(16)}`);
  };
  // Register 1 has the version, which is the 82093AA's here.
  const indices = [0, 2, ...Array.from({ length: 0x36 }, (_, i) => i + 0x0a)];
  for (const index of indices) await look(index);
  for (let step = 0; step < 600; step++) {
    const index = random.of(indices);
    let value = word(random);
    // Its pins are low, so that nothing is pending and nobody interrupts.
    if (random.below(4) === 0) value &= 0x1ffff;
    const width = random.of([1, 2, 4, 4, 4, 4] as const);
    const part = width === 4 ? 0 : random.below(4 / width) * width;
    await on.write(IOAPIC, index);
    seen.push(`write ${index} ${value} ${width} ${part}`);
    await on.write(IOAPIC + 0x10 + part, value, width);
    await look(index);
    await look(random.of(indices));
  }
  for (const index of indices) await look(index);
});

// Registers of the HPET.
const GEN_CONF = 0x10,
  STATUS = 0x20,
  COUNTER = 0xf0,
  CONF = 0x100,
  COMPARATOR = 0x108,
  MESSAGE = 0x110,
  TIMER = 0x20;
/** Of a timer: periodic, 32 bits. */
const PERIODIC = 0x08,
  MODE32 = 0x100;
/** A timer's interrupt route, of those that are here. */
const ROUTE = 20 << 9;

compare("HPET: registers while it is off", hpet, async (on, random, seen) => {
  const look = async (offset: number): Promise<void> => {
    const value = await on.read(HPET + offset);
    seen.push(`${offset.toString(16)}: ${value.toString(16)}`);
  };
  const all = [0, 4, 8, 0x0c, GEN_CONF, 0x14, STATUS, COUNTER, COUNTER + 4];
  for (let n = 0; n < 3; n++) {
    // The routes that are possible are the board's.
    for (const register of [0, 8, 0x0c, 0x10, 0x14]) {
      all.push(CONF + n * TIMER + register);
    }
  }
  for (const offset of all) await look(offset);
  for (let step = 0; step < 500; step++) {
    const timer = random.below(3) * TIMER;
    const put = async (offset: number, value: number): Promise<void> => {
      seen.push(`write ${offset.toString(16)} ${value.toString(16)}`);
      await on.write(HPET + offset, value >>> 0);
    };
    switch (random.below(7)) {
      case 0:
        await put(GEN_CONF, word(random) & ~1);
        break;
      case 1:
        await put(random.of([COUNTER, COUNTER + 4]), word(random));
        break;
      case 2:
        await put(MESSAGE + timer + random.of([0, 4]), word(random));
        break;
      case 3:
        await put(random.of([0, 4, 8, 0x14, STATUS, 0x104]), word(random));
        break;
      case 4:
        await put(CONF + timer, word(random) & ~0x3e00 | ROUTE);
        break;
      default: {
        const conf = await on.read(HPET + CONF + timer);
        await put(COMPARATOR + timer, word(random));
        // QEMU takes the high word for that of a period, and has one of 32
        // bits too.
        if ((conf & (PERIODIC | MODE32)) === 0) {
          await put(COMPARATOR + 4 + timer, word(random));
        }
      }
    }
    await look(random.of(all));
    for (let n = 0; n < 3; n++) {
      for (const register of [0, 8, 0x0c]) {
        await look(CONF + n * TIMER + register);
      }
    }
  }
});
