/**
 * Machines that firmware starts, and disks that the guest writes: replayed, and
 * gone over to and fro.
 */

import { assert, assertEquals } from "@std/assert";
import {
  assembleDisk,
  FIRMWARES,
  firmwareTest,
  NASM,
  PATIENCE,
  PC,
} from "../boot/firmware.ts";
import { Machine } from "../../machines/machine.ts";
import { within } from "../limit.ts";
import { type Place, placeOf, WRITER } from "./guests.ts";

for (const { name, firmware, needs } of FIRMWARES) {
  firmwareTest(
    `a guest that ${name} starts is replayed, its disk to and fro`,
    [...needs, NASM],
    async (folder) => {
      const source = `${folder}/writer.asm`;
      const disk = `${folder}/disk.img`;
      const log = `${folder}/log`;
      await Deno.writeTextFile(source, WRITER);
      await assembleDisk(source, disk, 1 << 20);
      const before = await Deno.readFile(disk);
      const machine = await Machine.load(PC, {
        firmware,
        memory: "16M",
        drives: [{ file: disk }],
        record: log,
      });
      const run = machine.run();
      const screen = machine.screen();
      await screen.expect("Hello", PATIENCE);
      for (const typed of ["a", "ab", "abc"]) {
        await screen.type(typed.at(-1)!);
        await screen.expect(`Hello ${typed}`, PATIENCE);
      }
      const { instructions } = machine.cpu;
      machine.quit();
      assertEquals((await within("the end of the run", run)).reason, "quit");
      const shown = await machine.screenshot().png();
      const last = machine.cpu.instructions;
      const end = placeOf(machine);
      const text = screen.text;
      await machine.stop();
      assertEquals(await Deno.readFile(disk), before);
      assert(!text.includes("!") && text.includes("Hello abc"), text);
      const again = await Machine.replay(log);
      assertEquals(
        (await within("the end of the run", again.run())).reason,
        "stop",
      );
      assertEquals(placeOf(again), end);
      assertEquals(await again.screenshot().png(), shown);
      await again.stop();
      // Back, over what was written, and forward to a state that is known.
      const visit = async (parts: readonly number[]) => {
        const replayed = await Machine.replay(log);
        const replayer = await replayed.replayer();
        const places = new Map<number, Place>();
        for (const part of parts) {
          const count = Math.floor(instructions * part);
          await replayer.seek(count);
          const place = placeOf(replayed);
          assertEquals(places.get(count) ?? place, place, `${part}`);
          places.set(count, place);
        }
        await replayer.seek(last);
        assertEquals(placeOf(replayed), end);
        await replayed.stop();
        return places;
      };
      const parts = [0.97, 0.05, 0.9, 0.3, 0.97, 0.05, 0.6];
      const jumping = await visit(parts);
      const straight = await visit(parts.toSorted((a, b) => a - b));
      assertEquals(jumping, straight);
    },
  );
}
