/** Snapshots where the host takes no more. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { SnapshotError } from "../../mod.ts";
import { oracleTest, qemuImg, run, withFolder } from "../block/oracle.ts";
import { DISK_BYTES, disksOf, imagesIn, machineIn } from "./kill_machine.ts";

const CHILD = fromFileUrl(new URL("full_child.ts", import.meta.url));
/** The largest file that the child may make, in KiB: not that of its memory. */
const LIMIT = DISK_BYTES / 1024 + 512;

async function makeImages(folder: string): Promise<void> {
  const { raw, qcow2 } = imagesIn(folder);
  await Deno.writeFile(raw, new Uint8Array(DISK_BYTES));
  await qemuImg("create", "-f", "qcow2", qcow2, `${DISK_BYTES}`);
}

oracleTest(
  "a snapshot that has no room leaves nothing, and the guest goes on",
  () =>
    withFolder(async (folder) => {
      await makeImages(folder);
      const { code, out } = await run(
        "bash",
        "-c",
        // Without the trap the signal ends the process.
        `trap '' XFSZ; ulimit -f ${LIMIT}; exec "$@"`,
        "-",
        ...[Deno.execPath(), "run", "-A", "--no-check", CHILD, folder],
      );
      assertEquals(code, 0, out);
      const { message, left, values } = JSON.parse(out);
      assertMatch(message, /^Cannot write ".*large\.rhea": File too large/);
      const images = ["a.img", "a.img.rhea-undo", "b.qcow2"];
      assertEquals(left, [...images, "small.rhea"]);
      assertEquals(values, [[1, 0, 3], [1, 0, 3]]);
      // The disks have let go of it as well.
      const list = await qemuImg("snapshot", "-l", imagesIn(folder).qcow2);
      assertEquals([...list.matchAll(/ (small|large) /g)].length, 1);
      await using machine = await machineIn(folder);
      await machine.deleteSnapshot("small");
      const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
      assertEquals(names.sort(), ["a.img", "b.qcow2"]);
    }),
);

oracleTest(
  "a folder that takes no snapshots is said, and nothing is kept",
  () =>
    withFolder(async (folder) => {
      await makeImages(folder);
      const { raw } = imagesIn(folder);
      for (const snapshots of [join(folder, "none"), raw, "/proc"]) {
        await using machine = await machineIn(folder, { snapshots });
        const error = await assertRejects(
          () => machine.saveSnapshot("here"),
          SnapshotError,
          `Cannot write "${join(snapshots, "here.rhea")}"`,
        );
        assertEquals(error.kind, "io");
      }
      const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
      assertEquals(names.sort(), ["a.img", "b.qcow2"]);
    }),
);

for (const runs of [false, true]) {
  const what = runs ? "runs" : "does not run";
  oracleTest(
    `a machine that ${what} and is stopped while it is saved is saved`,
    () =>
      withFolder(async (folder) => {
        await makeImages(folder);
        for (const part of [0, 0.5]) {
          {
            await using machine = await machineIn(folder, { memory: "64M" });
            const { u8, guestStart: start } = machine.memory;
            // To write that takes longer than to close the disks.
            for (let at = start; at < start + (48 << 20); at += 65536) {
              crypto.getRandomValues(u8.subarray(at, at + 65536));
            }
            for (const disk of disksOf(machine)) {
              await disk.write!(0, new Uint8Array(512).fill(1));
            }
            if (runs) machine.start();
            let stopped: Promise<unknown> | undefined;
            const saved = machine.saveSnapshot("here", {
              onProgress: (done, total) => {
                if (done >= part * total) stopped ??= machine.stop();
              },
            });
            let isSaved = false;
            void saved.then(() => isSaved = true);
            while (stopped === undefined) {
              await new Promise((done) => setTimeout(done));
            }
            await stopped;
            assertEquals(isSaved, true);
          }
          await using machine = await machineIn(folder, { memory: "64M" });
          await machine.loadSnapshot("here");
          for (const disk of disksOf(machine)) {
            assertEquals((await disk.read(0, 1))[0], 1);
          }
          await machine.deleteSnapshot("here");
          const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
          assertEquals(names.sort(), ["a.img", "b.qcow2"]);
        }
      }),
  );
}
