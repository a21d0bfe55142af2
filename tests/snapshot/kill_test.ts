/**
 * A process that saves, loads and deletes snapshots of a machine with disks is
 * killed at any moment: what it had written is there, and each snapshot is one
 * whose disks and memory agree, or is not there. `RHEA_KILLS` says how often.
 */

import { crc32 } from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../mod.ts";
import { killed } from "../block/kill.ts";
import {
  checkImage,
  oracleTest,
  qemuImg,
  run,
  withFolder,
} from "../block/oracle.ts";
import {
  contentsOf,
  DISK_BYTES,
  disksOf,
  Expected,
  imagesIn,
  machineIn,
  noted,
  type Step,
  steps,
} from "./kill_machine.ts";

const KILLS = Number(Deno.env.get("RHEA_KILLS") ?? 24);
const CHILD = fromFileUrl(new URL("kill_child.ts", import.meta.url));
/** The longest that it may work, in milliseconds. */
const LONGEST = 700;

/** What is to be there after so many steps, and the step that was under way. */
function expectedAfter(seed: number, count: number): [Expected, Step] {
  const expected = new Expected();
  for (const step of steps(seed)) {
    if (expected.step === count) return [expected, step];
    expected.take(step);
  }
  throw new Error("there is always a next step");
}

/**
 * An image has no worse than what QEMU's own `savevm` leaves when it is killed:
 * clusters that count more than they are used, and flags that do not say what
 * the counts do. `tests/block/power_cut_test.ts` has why that is no harm.
 */
async function checkQcow2(image: string, say: string): Promise<void> {
  const { out } = await checkImage(image);
  const errors = out.split("\n").filter((line) => line.startsWith("ERROR"));
  const others = errors.filter((line) => !line.includes("OFLAG_COPIED"));
  assertEquals(others, [], say);
  const copy = `${image}.copy`;
  await Deno.copyFile(image, copy);
  await run("qemu-img", "check", "-q", "-r", "all", copy);
  const { clean, out: again } = await checkImage(copy);
  assert(clean, `${say}: ${again}`);
  await Deno.remove(copy);
}

/** Each snapshot that may be there is what it was, and each that must be is. */
async function checkSnapshots(
  folder: string,
  [before, step]: [Expected, Step],
  say: string,
): Promise<void> {
  const { name: current } = { name: "", ...step };
  const names = new Set([...before.snapshots.keys(), current]);
  names.delete("");
  for (const name of names) {
    const wanted = before.snapshots.get(name);
    const isThere = await Deno.stat(`${folder}/${name}.rhea`)
      .then(() => true, () => false);
    if (name !== current || step.kind === "load") {
      assert(isThere, `${say}: "${name}" is gone`);
    }
    if (!isThere) continue;
    await using machine = await Machine.restore(name, { snapshots: folder });
    const { step: at, sum } = noted(machine);
    const isNew = name === current && step.kind === "save" &&
      at === before.step + 1;
    if (!isNew) assertEquals(at, wanted?.step, `${say}: "${name}"`);
    const disks = disksOf(machine);
    assertEquals(disks.length, 2);
    for (const [i, disk] of disks.entries()) {
      const found = crc32(await contentsOf(disk));
      assertEquals(found, sum, `${say}: "${name}", disk ${i}`);
    }
  }
}

oracleTest(`snapshots: ${KILLS} kills`, async () => {
  for (let i = 0; i < KILLS; i++) {
    await withFolder(async (folder) => {
      const seed = 1 + i;
      const { raw, qcow2 } = imagesIn(folder);
      await Deno.writeFile(raw, new Uint8Array(DISK_BYTES));
      await qemuImg("create", "-f", "qcow2", qcow2, `${DISK_BYTES}`);
      const count = await killed(
        [CHILD, folder, `${seed}`],
        Math.random() * LONGEST,
      );
      const [before, step] = expectedAfter(seed, count);
      const say = `seed ${seed}, ${count} steps, then ${JSON.stringify(step)}`;
      const [after] = expectedAfter(seed, count + 1);
      {
        await using machine = await machineIn(folder);
        const [found, other] = await Promise.all(
          disksOf(machine).map(contentsOf),
        );
        const isOne = [before, after].some(({ disk }) =>
          crc32(disk) === crc32(found)
        );
        assert(isOne, `${say}: the raw disk is another`);
        // A qcow2 image may be as of before what it was not flushed after.
        const sums = [before, after].map(({ disk }) => crc32(disk));
        const isLoaded = step.kind === "load" && sums[0] !== sums[1] &&
          crc32(found) === sums[1];
        if (isLoaded) assertEquals(crc32(other), sums[1], `${say}: to one`);
      }
      await checkQcow2(qcow2, say);
      await checkSnapshots(folder, [before, step], say);
      // All go, and nothing of them stays.
      {
        await using machine = await machineIn(folder);
        await machine.saveSnapshot("name" in step ? step.name : "s0");
        for (const { name } of await machine.snapshots()) {
          await machine.deleteSnapshot(name);
        }
      }
      const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
      assertEquals(left.sort(), ["a.img", "b.qcow2"], say);
      const list = await qemuImg("snapshot", "-l", qcow2);
      assert(!list.includes("rhea-load"), `${say}: ${list}`);
    });
  }
});
