/**
 * The real-time clock's calendar beside QEMU's: it is set and read in all of its
 * modes, while it may count and while it stands still, within one moment.
 */

import { assertEquals } from "@std/assert";
import { DeviceBench } from "../../core/machine/testing.ts";
import rtc from "../../plugins/device/rtc/mc146818.ts";
import { withFolder } from "../block/oracle.ts";
import { Random } from "../random.ts";
import { qemuTest, Qtest } from "./qtest.ts";

const INDEX = 0x70, DATA = 0x71;
/**
 * Seconds, minutes, hours, day, month, year, century. The day of the week is the
 * guest's own on the chip; QEMU computes it.
 */
const CALENDAR = [0, 2, 4, 7, 8, 9, 0x32];
const B = 0x0b, D = 0x0d;
/** Of B: the calendar stands still, binary numbers, 24 hours. */
const SET = 0x80, DM = 0x04, HOURS24 = 0x02;
const PM = 0x80;
/** Lines before a difference that a message has. */
const CONTEXT = 12;

/** A clock that began at the same second as the other. */
interface Clock {
  read(register: number): Promise<number>;
  write(register: number, value: number): Promise<unknown>;
}

function theirs(qemu: Qtest): Clock {
  return {
    read: async (register) => {
      await qemu.ask(`outb ${INDEX} ${register}`);
      return Number(await qemu.ask(`inb ${DATA}`));
    },
    write: async (register, value) => {
      await qemu.ask(`outb ${INDEX} ${register}`);
      await qemu.ask(`outb ${DATA} ${value}`);
    },
  };
}

async function ours(): Promise<Clock> {
  const bench = await DeviceBench.create(rtc, {
    config: { memory: "4M" },
    epoch: Date.UTC(2000, 1, 28, 23, 59, 50),
  });
  return {
    read: (register) => {
      bench.write("ports", 0, register);
      return Promise.resolve(bench.read("ports", 1));
    },
    write: (register, value) => {
      bench.write("ports", 0, register);
      return Promise.resolve(bench.write("ports", 1, value));
    },
  };
}

/** A number as a register has it in a mode of B. */
function encode(value: number, mode: number): number {
  return (mode & DM) !== 0 ? value : Math.floor(value / 10) << 4 | value % 10;
}

function encodeHour(hour: number, mode: number): number {
  if ((mode & HOURS24) !== 0) return encode(hour, mode);
  return encode(hour % 12 || 12, mode) | (hour >= 12 ? PM : 0);
}

async function run(on: Clock, random: Random, seen: string[]): Promise<void> {
  let mode = HOURS24;
  const look = async (what: string): Promise<void> => {
    const values = [];
    for (const register of [...CALENDAR, B, D]) {
      values.push((await on.read(register)).toString(16).padStart(2, "0"));
    }
    seen.push(`${what}: ${values.join(" ")}`);
  };
  const date = (): number[] => [
    ...[encode(random.below(60), mode), encode(random.below(60), mode)],
    ...[encodeHour(random.below(24), mode), encode(1 + random.below(28), mode)],
    ...[encode(1 + random.below(12), mode), encode(random.below(100), mode)],
    encode(20 + random.below(2), mode),
  ];
  await look("start");
  for (let step = 0; step < 150; step++) {
    switch (random.below(4)) {
      case 0: {
        // The mode is changed before it stands still, then, or with it.
        if (random.below(2) === 0) await on.write(B, mode | SET);
        mode = random.of([0, DM, HOURS24, DM | HOURS24]);
        await on.write(B, mode | SET);
        await look("stands");
        for (const [i, value] of date().entries()) {
          await on.write(CALENDAR[i], value);
        }
        await look("set");
        await on.write(B, mode);
        await look(`runs in ${mode}`);
        break;
      }
      case 1:
        mode = random.of([0, DM, HOURS24, DM | HOURS24]);
        await on.write(B, mode);
        await look(`mode ${mode}`);
        break;
      default: {
        const i = random.below(CALENDAR.length);
        await on.write(CALENDAR[i], date()[i]);
        await look(`register ${CALENDAR[i]}`);
      }
    }
  }
}

for (const seed of [1, 2, 3]) {
  qemuTest(`RTC: its calendar beside QEMU's, seed ${seed}`, async () => {
    const expected: string[] = [];
    await withFolder(async (folder) => {
      const options = ["-S", "-rtc", "base=2000-02-28T23:59:50,clock=vm"];
      const qemu = await Qtest.start(folder, options);
      try {
        await run(theirs(qemu), new Random(seed), expected);
      } finally {
        await qemu.end();
      }
    });
    const found: string[] = [];
    await run(await ours(), new Random(seed), found);
    const first = expected.findIndex((line, i) => line !== found[i]);
    const from = Math.max(first - CONTEXT, 0);
    assertEquals(
      found.slice(from, first + 1),
      expected.slice(from, first + 1),
    );
    assertEquals(found.length, expected.length);
  });
}
