/**
 * What the host does meanwhile: its disk is full, snapshots are made, images
 * have snapshots of their own.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ReplayError } from "../../core/replay/error.ts";
import { SnapshotError } from "../../core/snapshot/error.ts";
import { Machine } from "../../machines/machine.ts";
import {
  assembleDisk,
  firmwareTest,
  NASM,
  PATIENCE,
  PC,
} from "../boot/firmware.ts";
import { within } from "../limit.ts";
import { ISAPC, placeOf, withFolder, withKernel, WRITER } from "./guests.ts";

const run = async (program: string, ...args: string[]): Promise<void> => {
  const { success, stderr } = await new Deno.Command(program, { args })
    .output();
  assert(success, new TextDecoder().decode(stderr));
};

Deno.test({
  name: "a recording for which there is no room ends the run, and says why",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withFolder((folder) =>
      withKernel(folder, async (kernel) => {
        const options = { kernel, memory: "16M", display: "none" };
        await assertRejects(
          () => Machine.load(ISAPC, { ...options, record: "/dev/full" }),
          ReplayError,
          "Cannot record: No space left on device",
        );
        await assertRejects(
          () => Machine.load(ISAPC, { ...options, record: folder }),
          ReplayError,
          `Cannot record to "${folder}": Is a directory`,
        );
        // The host takes the beginning, and then no more.
        const log = `${folder}/log`;
        await run("mkfifo", log);
        const taken = new Deno.Command("sh", {
          args: ["-c", `head -c 100 <${log}`],
          stdout: "null",
        }).spawn();
        const machine = await Machine.load(ISAPC, { ...options, record: log });
        await within("the reader's end", taken.status);
        const serial = machine.serial(0);
        const end = machine.run();
        const written = (async () => {
          for (let i = 0; i < 100_000; i++) await serial.write("x");
        })();
        await assertRejects(
          () => within("the end of the run", end),
          ReplayError,
          "Cannot record: Broken pipe",
        );
        // Nobody waits for ever for what the guest will not have.
        await machine.stop();
        await within("the guest's input", written);
      })
    ),
});

const IMAGES = { what: "qemu-img", in: "qemu-utils" };

firmwareTest(
  "an image with snapshots, and snapshots of a run that is recorded or replayed",
  [NASM, IMAGES],
  async (folder) => {
    const [source, raw] = [`${folder}/writer.asm`, `${folder}/disk.img`];
    const [disk, log] = [`${folder}/disk.qcow2`, `${folder}/log`];
    await Deno.writeTextFile(source, WRITER);
    await assembleDisk(source, raw, 1 << 20);
    await run(IMAGES.what, "convert", "-O", "qcow2", raw, disk);
    await run(IMAGES.what, "snapshot", "-c", "before", disk);
    const before = await Deno.readFile(disk);
    const refuses = (machine: Machine): Promise<unknown> =>
      assertRejects(
        () => machine.loadSnapshot(`${folder}/first.rhea`),
        SnapshotError,
        "A run that is recorded or replayed does not become another one",
      );
    const machine = await Machine.load(PC, {
      firmware: "builtin",
      memory: "16M",
      drives: [{ file: disk }],
      record: log,
    });
    const ended = machine.run();
    const screen = machine.screen();
    await screen.expect("Hello", PATIENCE);
    await screen.type("a");
    await screen.expect("Hello a", PATIENCE);
    await machine.saveSnapshot(`${folder}/first.rhea`);
    await refuses(machine);
    await screen.type("b");
    await screen.expect("Hello ab", PATIENCE);
    machine.quit();
    await within("the end of the run", ended);
    const end = placeOf(machine);
    const { instructions } = machine.cpu;
    await machine.stop();
    assertEquals(await Deno.readFile(disk), before);
    const again = await Machine.replay(log);
    const replayer = await again.replayer();
    await replayer.seek(instructions - 1000);
    await again.saveSnapshot(`${folder}/second.rhea`);
    await refuses(again);
    await replayer.seek(instructions);
    assertEquals(placeOf(again), end);
    await again.stop();
    assertEquals(await Deno.readFile(disk), before);
    // They are snapshots like others: a run goes on from them.
    for (const name of ["first", "second"]) {
      const restored = await Machine.restore(`${folder}/${name}.rhea`);
      restored.start();
      const shown = restored.screen();
      await shown.type("c");
      const text = name === "first" ? "Hello ac" : "Hello abc";
      await shown.expect(text, PATIENCE);
      await restored.stop();
    }
    // And to another image the recording does not belong.
    await run(IMAGES.what, "snapshot", "-d", "before", disk);
    await run("qemu-io", "-c", "write -P 7 0 512", disk);
    await assertRejects(
      () => Machine.replay(log),
      ReplayError,
      'Cannot replay: the disk "',
    );
  },
);
