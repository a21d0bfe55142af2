/**
 * Lines take their levels one by one while a machine is loaded, and devices see
 * edges then that have never been: none of it stays.
 */

import { assertEquals, assertNotEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../mod.ts";
import { withFolder } from "../block/oracle.ts";
import { runTo, stateDifferences, stateOf } from "./exact.ts";

const PC = fromFileUrl(new URL("../../machines/pc.json", import.meta.url));
const MS = 1_000_000;
/** The 8259A's mask. */
const MASK = 0x21;
/** The I/O APIC's index and data; the timer's pin. */
const [INDEX, DATA, TIMER_PIN] = [0xfec00000, 0xfec00010, 2];
const MASKED = 0x10000;

/** What the guest may do with its ticks, all but taking them. */
const WAYS: Readonly<Record<string, (machine: Machine) => void>> = {
  "ticks are taken": () => {},
  "the 8259A masks ticks": (machine) =>
    machine.space("ports").write(MASK, 1, 0xff),
  "the I/O APIC has them": (machine) => {
    machine.space("ports").write(MASK, 1, 0xff);
    machine.space("memory").write(INDEX, 4, 0x10 + 2 * TIMER_PIN);
    machine.space("memory").write(DATA, 4, 0x30);
  },
  "both mask them": (machine) => {
    machine.space("ports").write(MASK, 1, 0xff);
    machine.space("memory").write(INDEX, 4, 0x10 + 2 * TIMER_PIN);
    machine.space("memory").write(DATA, 4, MASKED | 0x30);
  },
};

Deno.test("a loaded timer knows when ticks were taken, whatever lines did meanwhile", () =>
  withFolder(async (folder) => {
    await using machine = await Machine.load(PC, {
      icount: true,
      memory: "8M",
      snapshots: folder,
    });
    // The firmware has found nothing to start, and halts between ticks.
    await runTo(machine, 3000 * MS);
    await machine.saveSnapshot("start");
    for (const [way, prepare] of Object.entries(WAYS)) {
      await machine.loadSnapshot("start");
      prepare(machine);
      await runTo(machine, 3127.3 * MS);
      const saved = stateOf(machine);
      await machine.saveSnapshot("here");
      await using restored = await Machine.restore("here", {
        snapshots: folder,
      });
      assertEquals(stateDifferences(saved, stateOf(restored)), [], way);
      await runTo(restored, 4000 * MS);
      const later = stateOf(restored);
      // Over another state, whose lines are at other levels.
      for (const [other, change] of Object.entries(WAYS)) {
        change(machine);
        await runTo(machine, 3900 * MS);
        assertNotEquals(stateOf(machine), saved);
        await machine.loadSnapshot("here");
        const say = `${way}, after ${other}`;
        assertEquals(stateDifferences(saved, stateOf(machine)), [], say);
        await runTo(machine, 4000 * MS);
        assertEquals(stateDifferences(later, stateOf(machine)), [], say);
        await machine.loadSnapshot("here");
      }
    }
  }));
