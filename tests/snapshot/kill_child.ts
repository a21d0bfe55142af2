/**
 * Works with snapshots of a machine until it is killed. Prints how many steps
 * have been taken.
 *
 *     deno run -A kill_child.ts FOLDER SEED
 */

import { disksOf, Expected, machineIn, note, steps } from "./kill_machine.ts";

const [folder, seed] = Deno.args;
const machine = await machineIn(folder);
const disks = disksOf(machine);
const expected = new Expected();
const tell = (): void => {
  // Synchronous: it is out before anything else happens.
  Deno.stdout.writeSync(new TextEncoder().encode(`${expected.step}\n`));
};
tell();
for (const step of steps(Number(seed))) {
  expected.take(step);
  switch (step.kind) {
    case "write": {
      const bytes = new Uint8Array(512 * step.sectors).fill(step.value);
      await Promise.all(disks.map((disk) => disk.write!(step.sector, bytes)));
      break;
    }
    case "save":
      note(machine, expected.step, expected.disk);
      await machine.saveSnapshot(step.name);
      break;
    case "load":
      await machine.loadSnapshot(step.name);
      break;
    case "delete":
      await machine.deleteSnapshot(step.name);
      break;
  }
  tell();
}
