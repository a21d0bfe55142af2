/**
 * Discs and floppies that are changed while a run is recorded, with snapshots
 * in between.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { SnapshotError } from "../../core/snapshot/error.ts";
import { Machine } from "../../machines/machine.ts";
import { guest } from "../debug/guest.ts";
import { within } from "../limit.ts";
import { PC } from "../smp/kernels.ts";
import {
  assembleDisk,
  firmwareTest,
  NASM,
  PATIENCE,
} from "../boot/firmware.ts";
import {
  endOf,
  type Place,
  placeOf,
  WATCHER,
  withFolder,
  WRITER,
} from "./guests.ts";

const raw = (file: string) => ({
  plugin: "raw",
  config: { file, readOnly: true },
});

/** A disc in a folder. */
async function disc(path: string, blocks: number): Promise<string> {
  await Deno.writeFile(path, new Uint8Array(blocks * 2048).fill(blocks));
  return path;
}

Deno.test("discs: a run from a snapshot with another disc is replayed, with that disc", () =>
  withFolder(async (folder) => {
    const made = await guest(WATCHER);
    if (made === undefined) return;
    const [first, second, third] = [
      await disc(`${folder}/first`, 10),
      await disc(`${folder}/second`, 20),
      await disc(`${folder}/third`, 30),
    ];
    const [snapshot, log] = [`${folder}/snapshot.rhea`, `${folder}/log`];
    const machine = await Machine.load(PC, {
      kernel: made.kernel,
      memory: "16M",
      cdrom: first,
    });
    machine.start();
    const serial = machine.serial(0);
    await serial.expect("00000009");
    await machine.media.insert("ide.disk2", raw(second));
    await serial.expect("00000013");
    await machine.saveSnapshot(snapshot);
    await machine.stop();
    // Recorded from there on, with a snapshot in the midst.
    const recorded = await Machine.restore(snapshot, { record: log });
    const run = recorded.run();
    const shown = recorded.serial(0);
    await recorded.media.eject("ide.disk2");
    await shown.expect("e\n");
    await recorded.media.insert("ide.disk2", raw(third));
    await shown.expect("0000001d");
    await recorded.saveSnapshot(`${folder}/midst.rhea`);
    await recorded.media.insert("ide.disk2", raw(second));
    await shown.expect("00000013");
    recorded.quit();
    await within("the end of the run", run);
    const end = endOf(recorded);
    await recorded.stop();
    const again = await Machine.replay(log);
    await within("the end of the run", again.run());
    assertEquals(endOf(again), end);
    await again.stop();
    const back = await Machine.replay(log);
    const replayer = await back.replayer();
    const begin = replayer.count;
    const places = new Map<number, Place>();
    for (const part of [0.2, 0.5, 0.8, 1, 0.5, 0.2, 0.8, 0, 1]) {
      const count = Math.floor(begin + (end.instructions - begin) * part);
      await replayer.seek(count);
      const place = placeOf(back);
      assertEquals(places.get(count) ?? place, place);
      places.set(count, place);
    }
    await back.stop();
    // The snapshot in the midst is one like others.
    const midst = await Machine.restore(`${folder}/midst.rhea`);
    midst.start();
    await midst.media.eject("ide.disk2");
    await midst.serial(0).expect("e\n");
    await midst.stop();
    // Another disc is not that of the recording.
    await Deno.writeFile(second, new Uint8Array(20 * 2048).fill(21));
    await assertRejects(
      () => Machine.replay(log),
      SnapshotError,
      'the disk "ide2" has changed since',
    );
    await made.remove();
  }));

firmwareTest(
  "floppies: what a guest writes to one that was put in is replayed, and is nowhere else",
  [NASM],
  async (folder) => {
    const source = `${folder}/writer.asm`;
    const [first, second] = [`${folder}/first.img`, `${folder}/second.img`];
    await Deno.writeTextFile(source, WRITER);
    for (const file of [first, second]) {
      await assembleDisk(source, file, 1440 * 1024);
    }
    const before = await Deno.readFile(second);
    const log = `${folder}/log`;
    const machine = await Machine.load(PC, {
      firmware: "builtin",
      memory: "16M",
      floppy: [first],
      record: log,
    });
    const ended = machine.run();
    const screen = machine.screen();
    await screen.expect("Hello", PATIENCE);
    await screen.type("a");
    await screen.expect("Hello a", PATIENCE);
    const drive = "floppy.drive0";
    const { readOnly: _, ...config } = raw(second).config;
    await machine.media.insert(drive, { plugin: "raw", config });
    await screen.type("b");
    await screen.expect("Hello ab", PATIENCE);
    await screen.type("c");
    await screen.expect("Hello abc", PATIENCE);
    await machine.saveSnapshot(`${folder}/midst.rhea`);
    await machine.media.eject(drive);
    await screen.type("d");
    await screen.expect(/bc!+d/, PATIENCE);
    await machine.media.insert(drive, { plugin: "raw", config });
    await screen.type("ef");
    await screen.expect(/d!*ef/, PATIENCE);
    machine.quit();
    await within("the end of the run", ended);
    const end = placeOf(machine);
    const { instructions } = machine.cpu;
    await machine.stop();
    assertEquals(await Deno.readFile(first), before);
    assertEquals(await Deno.readFile(second), before);
    const again = await Machine.replay(log);
    const replayer = await again.replayer();
    const places = new Map<number, Place>();
    for (const part of [0.3, 0.6, 0.9, 0.6, 0.3, 0.9]) {
      const count = Math.floor(instructions * part);
      await replayer.seek(count);
      const place = placeOf(again);
      assertEquals(places.get(count) ?? place, place);
      places.set(count, place);
    }
    await within("the end of the run", again.run());
    assertEquals(placeOf(again), end);
    await again.stop();
    assertEquals(await Deno.readFile(second), before);
  },
);
