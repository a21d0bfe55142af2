/** Runs that are recorded from a snapshot on. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ReplayError } from "../../core/replay/error.ts";
import { Machine } from "../../machines/machine.ts";
import { PC } from "../boot/firmware.ts";
import { within } from "../limit.ts";
import {
  endOf,
  ISAPC,
  type Place,
  placeOf,
  withFolder,
  withKernel,
} from "./guests.ts";

for (
  const [what, machine, time] of [
    ["", ISAPC, {}],
    [" with icount", ISAPC, { icount: true }],
    [" of two CPUs", PC, { smp: 2 }],
  ] as const
) {
  Deno.test(
    `a run from a snapshot${what} is replayed, to and fro`,
    () =>
      withFolder((folder) =>
        withKernel(folder, async (kernel) => {
          const options = {
            kernel,
            memory: "16M",
            noReboot: true,
            display: "none",
          };
          const file = `${folder}/ready.rhea`;
          const log = `${folder}/log`;
          const first = await Machine.load(machine, { ...options, ...time });
          void first.run();
          await first.serial(0).expect("ready");
          await first.saveSnapshot(file);
          await first.stop();
          const recording = await Machine.restore(file, { record: log });
          const begin = recording.cpu.instructions;
          const run = recording.run();
          const serial = recording.serial(0);
          for (const key of "abc") {
            void serial.write(key);
            await serial.expect(
              new RegExp(`^s${key.charCodeAt(0).toString(16)}`, "mi"),
            );
          }
          void recording.screen().press("KeyA");
          await serial.expect(/^k/m);
          void serial.write("q");
          assertEquals(
            (await within("the end of the run", run)).reason,
            "exit",
          );
          const end = endOf(recording);
          await recording.stop();
          assertMatch(end.output, /^s/m);
          const again = await Machine.replay(log);
          assertEquals(
            (await within("the end of the run", again.run())).reason,
            "exit",
          );
          assertEquals(endOf(again), end);
          await again.stop();
          // Its beginning is the snapshot.
          await using back = await Machine.replay(log);
          const replayer = await back.replayer();
          assertEquals(replayer.count, begin);
          await assertRejects(
            () => replayer.seek(begin - 1),
            RangeError,
            `begins after ${begin} instructions`,
          );
          assertEquals((await replayer.step(0)).kind, "beginning");
          const places = new Map<number, Place>();
          const half = Math.floor((begin + end.instructions) / 2);
          for (const at of [begin, half, end.instructions, half, begin, half]) {
            await replayer.seek(at);
            const place = placeOf(back);
            assertEquals(places.get(at) ?? place, place);
            places.set(at, place);
          }
          assertEquals((await replayer.resume()).kind, "beginning");
          assertEquals(replayer.count, begin);
          // It is that snapshot, or none.
          const other = await Machine.load(machine, {
            ...options,
            ...time,
            icount: true,
          });
          await other.saveSnapshot(file);
          await other.stop();
          await assertRejects(
            () => Machine.replay(log),
            ReplayError,
            `the snapshot "${file}" is not what it was`,
          );
          await Deno.remove(file);
          await assertRejects(
            () => Machine.replay(log),
            ReplayError,
            `the snapshot "${file}" is not there any more`,
          );
        })
      ),
  );
}
