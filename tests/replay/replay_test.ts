/** A recorded run is replayed bit for bit. */

import { assertEquals, assertMatch } from "@std/assert";
import { hash32, hashRecord } from "../../core/replay/hash.ts";
import { Machine } from "../../machines/machine.ts";
import { listener } from "./guests.ts";

const ISAPC = new URL("../../machines/isapc.json", import.meta.url).pathname;

interface End {
  readonly instructions: number;
  readonly time: number;
  readonly state: number;
  readonly memory: number;
  readonly output: string;
}

/** Everything that must be the same. */
function endOf(machine: Machine): End {
  const { arenaOffset, arenaBytes, u8 } = machine.memory;
  return {
    instructions: machine.cpu.instructions,
    time: machine.clock.now(),
    state: hashRecord(machine.save()),
    memory: hash32(u8.subarray(arenaOffset + arenaBytes)),
    output: machine.serial(0).output,
  };
}

async function withFolder(
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Record the listener, with keys and bytes at times of the host's. */
async function record(kernel: string, log: string): Promise<End> {
  const machine = await Machine.load(ISAPC, {
    kernel,
    memory: "16M",
    noReboot: true,
    display: "none",
    record: log,
  });
  const serial = machine.serial(0);
  const end = machine.run();
  await serial.expect("ready");
  for (let i = 0; i < 10; i++) {
    await pause(Math.random() * 20);
    void serial.write(String.fromCharCode(97 + i));
    await pause(Math.random() * 20);
    void machine.screen().press("KeyA");
  }
  await pause(50);
  void serial.write("q");
  assertEquals((await end).reason, "exit");
  const result = endOf(machine);
  await machine.stop();
  return result;
}

async function replay(
  log: string,
  accel?: "jit" | "interp",
): Promise<End> {
  const machine = await Machine.replay(log, { accel });
  assertEquals((await machine.run()).reason, "exit");
  const result = endOf(machine);
  await machine.stop();
  return result;
}

Deno.test("a run with keys and serial bytes is replayed bit for bit", () =>
  withFolder(async (folder) => {
    const code = await listener();
    if (code === undefined) return;
    const kernel = `${folder}/kernel`;
    await Deno.writeFile(kernel, code);
    const log = `${folder}/log`;
    const recorded = await record(kernel, log);
    for (const what of "tks") {
      assertMatch(recorded.output, new RegExp(`^${what}`, "m"));
    }
    assertEquals(await replay(log), recorded);
    assertEquals(await replay(log), recorded);
    assertEquals(await replay(log, "interp"), recorded);
  }));

/** What the machine is at a number of instructions, whatever led there. */
interface Place {
  readonly time: number;
  readonly state: number;
  readonly memory: number;
}

function placeOf(machine: Machine): Place {
  const { arenaOffset, arenaBytes, u8 } = machine.memory;
  return {
    time: machine.clock.now(),
    state: hashRecord(machine.save()),
    memory: hash32(u8.subarray(arenaOffset + arenaBytes)),
  };
}

Deno.test("a replay goes to any instruction, from anywhere", () =>
  withFolder(async (folder) => {
    const code = await listener();
    if (code === undefined) return;
    const kernel = `${folder}/kernel`;
    await Deno.writeFile(kernel, code);
    const log = `${folder}/log`;
    const { instructions, output } = await record(kernel, log);
    const counts = Array.from(
      { length: 12 },
      () => Math.floor(Math.random() * instructions),
    );
    const sorted = counts.toSorted((a, b) => a - b);
    const visit = async (
      order: readonly number[],
      accel: "jit" | "interp",
    ): Promise<Map<number, Place>> => {
      const machine = await Machine.replay(log, { accel });
      const replayer = await machine.replayer();
      const places = new Map<number, Place>();
      for (const count of order) {
        await replayer.seek(count);
        assertEquals(replayer.count, count);
        const place = placeOf(machine);
        // Seen before: the same.
        assertEquals(places.get(count) ?? place, place);
        places.set(count, place);
      }
      // And it goes on to the end.
      assertEquals((await machine.run()).reason, "exit");
      assertEquals(replayer.count, instructions);
      const shown = machine.serial(0).output;
      if (order === sorted) assertEquals(shown, output);
      await machine.stop();
      return places;
    };
    const straight = await visit(sorted, "jit");
    const jumping = await visit([...counts, ...counts.toReversed()], "jit");
    const interpreted = await visit(counts, "interp");
    for (const count of counts) {
      assertEquals(jumping.get(count), straight.get(count));
      assertEquals(interpreted.get(count), straight.get(count));
    }
  }));
