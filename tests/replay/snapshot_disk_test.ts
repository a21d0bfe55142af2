/** Runs that are recorded from a snapshot of a machine that writes to its disk. */

import { assertEquals, assertRejects } from "@std/assert";
import { SnapshotError } from "../../mod.ts";
import { Machine } from "../../machines/machine.ts";
import { run } from "../block/oracle.ts";
import {
  assembleDisk,
  firmwareTest,
  NASM,
  PATIENCE,
  PC,
} from "../boot/firmware.ts";
import { within } from "../limit.ts";
import { type Place, placeOf, WRITER } from "./guests.ts";

const FORMATS = [
  { format: "raw", needs: [] },
  { format: "qcow2", needs: [{ what: "qemu-img", in: "qemu-utils" }] },
];
/** Where the guest has the sector that it adds each key to. */
const SECTOR = 0x8000;

/** What the guest has made of its sector, which was zero. */
function sectorOf(machine: Machine): number {
  const bytes = new Uint8Array(1);
  machine.space("memory").readBytes(SECTOR, bytes);
  return bytes[0];
}

function sumOf(keys: string): number {
  return [...keys].reduce((sum, key) => sum + key.charCodeAt(0), 0) & 0xff;
}

/** Start a machine, type keys, and wait until all is done that they do. */
async function type(machine: Machine, keys: string, shown: string) {
  machine.start();
  const screen = machine.screen();
  await screen.expect(shown.trimEnd(), PATIENCE);
  for (const key of keys) {
    await screen.type(key);
    await screen.expect(shown += key, PATIENCE);
  }
  assertEquals(sectorOf(machine), sumOf(shown.slice("Hello ".length)));
}

for (const { format, needs } of FORMATS) {
  firmwareTest(
    `runs are recorded from a snapshot with a ${format} disk, as often as one likes`,
    [NASM, ...needs],
    async (folder) => {
      const [source, raw] = [`${folder}/writer.asm`, `${folder}/writer.img`];
      const [disk, snapshot] = [`${folder}/disk.img`, `${folder}/ready.rhea`];
      await Deno.writeTextFile(source, WRITER);
      await assembleDisk(source, raw, 1 << 20);
      if (format === "raw") await Deno.rename(raw, disk);
      else await run("qemu-img", "convert", "-O", format, raw, disk);
      const drives = [{ file: disk }];
      {
        const options = { firmware: "builtin", memory: "16M", drives };
        await using machine = await Machine.load(PC, options);
        await type(machine, "a", "Hello ");
        await machine.saveSnapshot(snapshot);
        // What is recorded then must not see this.
        await type(machine, "b", "Hello a");
      }
      const record = async (log: string, keys: string): Promise<Place> => {
        const before = await Deno.readFile(disk);
        await using machine = await Machine.restore(snapshot, { record: log });
        await type(machine, keys, "Hello a");
        machine.quit();
        await within("the end of the run", machine.wait());
        const end = placeOf(machine);
        await machine.stop();
        assertEquals(await Deno.readFile(disk), before);
        return end;
      };
      const keys = ["c", "dd"];
      const logs = keys.map((name) => `${folder}/${name}.log`);
      const ends = [await record(logs[0], keys[0])];
      {
        // The disk goes on, and the snapshot's is what it was.
        await using machine = await Machine.restore(snapshot);
        await type(machine, "e", "Hello a");
      }
      ends.push(await record(logs[1], keys[1]));
      const before = await Deno.readFile(disk);
      for (const [i, log] of logs.entries()) {
        await using straight = await Machine.replay(log);
        await within("the end of the run", straight.run());
        assertEquals(placeOf(straight), ends[i]);
        const shown = straight.cpu.instructions;
        await straight.stop();
        await using again = await Machine.replay(log);
        const replayer = await again.replayer();
        const begin = replayer.count;
        const places = new Map<number, Place>();
        for (const part of [1, 0.2, 0.7, 0, 0.2, 1, 0.7]) {
          const count = Math.floor(begin + (shown - begin) * part);
          await replayer.seek(count);
          const place = placeOf(again);
          assertEquals(places.get(count) ?? place, place, `${part}`);
          places.set(count, place);
        }
        assertEquals(places.get(shown), ends[i]);
      }
      assertEquals(await Deno.readFile(disk), before);
      // Without what the image keeps there is no such disk.
      if (format === "raw") await Deno.remove(`${disk}.rhea-undo`);
      else await run("qemu-img", "snapshot", "-d", "ready", disk);
      await assertRejects(
        () => Machine.replay(logs[0]),
        SnapshotError,
        format === "raw"
          ? `the disk "ide0" has no file "${disk}.rhea-undo" any more`
          : 'the disk "ide0" has no snapshot "ready" any more',
      );
    },
  );
}
