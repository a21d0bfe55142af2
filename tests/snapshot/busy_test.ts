/**
 * Machines with all that can be attached to them, saved in the midst of what
 * drivers and madmen do to their devices: two machines from the same file
 * become what the one becomes that was saved. `RHEA_ROUNDS` says how often.
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { Machine } from "../../mod.ts";
import { withFolder } from "../block/oracle.ts";
import { Random } from "../random.ts";
import { Busy } from "./busy.ts";
import { EVERYTHING, everything, otherNetworks } from "./everything.ts";
import { runTo, stateDifferences, stateOf } from "./exact.ts";

const MS = 1_000_000;
const ROUNDS = Number(Deno.env.get("RHEA_ROUNDS") ?? 6);
const SEED = Number(Deno.env.get("RHEA_SEED") ?? 1);

for (const kind of Object.keys(EVERYTHING)) {
  Deno.test(`${kind}: saved and restored with all devices busy`, () =>
    withFolder(async (folder) => {
      const random = new Random(SEED);
      await using machine = await everything(kind, folder);
      // Firmware is done with its own.
      await runTo(machine, 3000 * MS);
      const busy = new Busy(machine, SEED);
      for (let round = 0; round < ROUNDS; round++) {
        for (let i = 0; i < 3; i++) {
          busy.work();
          const step = random.below(3) === 0 ? 20_000 : 2 * MS;
          await runTo(machine, machine.clock.now() + random.below(step));
        }
        const say = `seed ${SEED}, round ${round}`;
        const seed = random.below(1e9);
        const path = join(folder, `${round}.rhea`);
        await machine.saveSnapshot(path);
        const saved = stateOf(machine);
        const ends = [1, 2, 3].map(() => random.below(3 * MS));
        const onwards = async (one: Machine) => {
          const states = [stateOf(one)];
          const again = new Busy(one, seed);
          for (const end of ends) {
            again.work();
            await runTo(one, one.clock.now() + end);
            states.push(stateOf(one));
          }
          return states;
        };
        const wanted = await onwards(machine);
        for (let i = 0; i < 2; i++) {
          const set = otherNetworks(EVERYTHING[kind].cards.length);
          await using restored = await Machine.restore(path, { set });
          const found = await onwards(restored);
          assertEquals(stateDifferences(saved, found[0]).slice(0, 20), [], say);
          for (const [i, state] of found.entries()) {
            const differences = stateDifferences(wanted[i], state);
            assertEquals(differences.slice(0, 20), [], `${say}, step ${i}`);
          }
        }
        await Deno.remove(path);
      }
    }));
}
