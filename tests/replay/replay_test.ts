/** A recorded run is replayed bit for bit. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ReplayError } from "../../core/replay/error.ts";
import { MediaError } from "../../mod.ts";
import { guest } from "../debug/guest.ts";
import { Machine } from "../../machines/machine.ts";
import { within } from "../limit.ts";
import { NASM, PC, withKernel } from "../smp/kernels.ts";
import {
  type End,
  endOf,
  type Place,
  placeOf,
  WATCHER,
  withFolder,
  withListener,
} from "./guests.ts";

async function replay(
  log: string,
  accel?: "jit" | "interp",
): Promise<End> {
  const machine = await Machine.replay(log, { accel });
  assertEquals(
    (await within("the end of the run", machine.run())).reason,
    "exit",
  );
  const result = endOf(machine);
  await machine.stop();
  return result;
}

Deno.test("a run with keys and serial bytes is replayed bit for bit", () =>
  withListener(10, async ({ log, recorded }) => {
    for (const what of "tks") {
      assertMatch(recorded.output, new RegExp(`^${what}`, "m"));
    }
    assertEquals(await replay(log), recorded);
    assertEquals(await replay(log), recorded);
    assertEquals(await replay(log, "interp"), recorded);
  }));

Deno.test("a replay goes to any instruction, from anywhere", () =>
  withListener(10, async ({ log, recorded }) => {
    const { instructions, output } = recorded;
    const counts = Array.from(
      { length: 5 },
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
      assertEquals(
        (await within("the end of the run", machine.run())).reason,
        "exit",
      );
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

Deno.test({
  name: `several CPUs are replayed, and cut anywhere${
    NASM ? "" : " (skipped: there is no nasm)"
  }`,
  ignore: !NASM,
  fn: () =>
    withKernel("smp", ["CPUS=4", "X2APIC"], async (kernel, folder) => {
      const log = `${folder}/log`;
      const options = { kernel, smp: 4, cpu: "max", memory: "64M" };
      const recording = await Machine.load(PC, { ...options, record: log });
      const { reason } = await within("the end of the run", recording.run());
      const end = endOf(recording);
      await recording.stop();
      // Its turns are others, but what it does is what it is without.
      assertMatch(end.output, /\n/);
      for (const accel of ["jit", "interp"] as const) {
        const straight = await Machine.replay(log, { accel });
        assertEquals(
          (await within("the end of the run", straight.run())).reason,
          reason,
        );
        assertEquals(endOf(straight), end);
        await straight.stop();
        const cut = await Machine.replay(log, { accel });
        const replayer = await cut.replayer();
        const places = new Map<number, Place>();
        const counts = Array.from(
          { length: 10 },
          () => Math.floor(Math.random() * end.instructions),
        );
        for (const count of [...counts.toSorted((a, b) => a - b), ...counts]) {
          await replayer.seek(count);
          const place = placeOf(cut);
          assertEquals(places.get(count) ?? place, place);
          places.set(count, place);
        }
        assertEquals(
          (await within("the end of the run", cut.run())).reason,
          reason,
        );
        const { time, state, memory } = end;
        assertEquals(placeOf(cut), { time, state, memory });
        assertEquals(replayer.count, end.instructions);
        await cut.stop();
      }
    }),
});

Deno.test("discs, resets and who leaves are replayed; another disc is refused", () =>
  withFolder(async (folder) => {
    const made = await guest(WATCHER);
    if (made === undefined) return;
    const disc = async (name: string, blocks: number): Promise<string> => {
      await Deno.writeFile(`${folder}/${name}`, new Uint8Array(blocks * 2048));
      return `${folder}/${name}`;
    };
    const [first, second] = [await disc("first", 10), await disc("second", 20)];
    const raw = (file: string) => ({ plugin: "raw", config: { file } });
    const log = `${folder}/log`;
    const machine = await Machine.load(PC, {
      kernel: made.kernel,
      memory: "16M",
      record: log,
      set: [
        `backends.cd=${JSON.stringify(raw(first))}`,
        "devices.ide.backends.disk2=cd",
        "devices.ide.config.disk2.kind=cdrom",
      ],
    });
    const run = machine.run();
    const serial = machine.serial(0);
    await serial.expect("00000009");
    await machine.media.insert("ide.disk2", raw(second));
    await serial.expect("00000013");
    await machine.media.eject("ide.disk2");
    await serial.expect("e\n");
    machine.reset();
    await serial.expect(/begin\ne\n/);
    await assertRejects(
      () => machine.media.insert("ide.disk9", raw(second)),
      MediaError,
    );
    await machine.media.insert("ide.disk2", raw(first));
    await serial.expect("00000009");
    machine.quit();
    assertEquals((await within("the end of the run", run)).reason, "quit");
    const end = endOf(machine);
    await machine.stop();
    for (const accel of ["jit", "interp"] as const) {
      const again = await Machine.replay(log, { accel });
      assertEquals(
        (await within("the end of the run", again.run())).reason,
        "stop",
      );
      assertEquals(endOf(again), end);
      await again.stop();
    }
    // To and fro over changes of discs and the reset.
    const counts = Array.from(
      { length: 5 },
      (_, i) => Math.floor(end.instructions * (i + 1) / 5),
    );
    const back = await Machine.replay(log);
    const replayer = await back.replayer();
    const places = new Map<number, Place>();
    for (const count of [...counts, ...counts.toReversed(), ...counts]) {
      await replayer.seek(count);
      const place = placeOf(back);
      assertEquals(places.get(count) ?? place, place);
      places.set(count, place);
    }
    const { time, state, memory } = end;
    assertEquals(placeOf(back), { time, state, memory });
    await back.stop();
    await disc("second", 21);
    const refused = await Machine.replay(log);
    await assertRejects(
      () => refused.run(),
      ReplayError,
      'the medium of "ide.disk2" is not what it was',
    );
    await refused.stop();
    await made.remove();
  }));
