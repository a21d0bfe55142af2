/**
 * All that a CPU is, its local APIC included, can be read from the machine's
 * shared memory alone, as a CPU in a thread of its own will have to be: other
 * objects over that memory have the same records as those that ran the guest.
 */

import { assert, assertEquals } from "@std/assert";
import { OFF_HALTED, OFF_INSTRUCTIONS } from "../../core/exec/layout.ts";
import type { GuestMemory } from "../../core/machine/memory.ts";
import type { StateRecord } from "../../core/state/state.ts";
import { Machine } from "../../mod.ts";
import { X86 } from "../../plugins/cpu/x86/cpu.ts";
import { MODELS } from "../../plugins/cpu/x86/models.ts";
import { AREA_END, OFF_APIC } from "../../plugins/cpu/x86/state.ts";
import { machineStamps } from "../../plugins/cpu/x86/time_stamp.ts";
import { LocalApicState } from "../../plugins/device/intc/lapic_memory.ts";
import { freshLocalApic } from "../../plugins/device/intc/lapic_state.ts";
import { forSeeds, Random } from "../random.ts";
import { NASM, PC, withSource } from "./kernels.ts";
import { randomGuest } from "./random_guest.ts";

const CPUS = 2;
/** How often a guest is looked at. */
const LOOKS = 60;
/** Nanoseconds, and instructions, between two looks at most. */
const BETWEEN = 20_000;

/** Registers that guests change. */
const ALL = [
  ..."TPR SVR ISR IRR ESR ICRL LVT".split(" "),
  ..."initial DCR count since deadline".split(" "),
];

/** The record of a CPU, of what is in the memory; `now`: the virtual time. */
function cpuFrom(memory: GuestMemory, index: number, now: number): unknown {
  const area = memory.cpuArea(index);
  const cpu = new X86({
    model: MODELS.max,
    timestamp: () => now,
    stamps: machineStamps(memory, 1),
  });
  cpu.state8.set(memory.u8.subarray(area, area + AREA_END));
  cpu.updateKey();
  return {
    ...cpu.save(),
    halted: memory.i32[(area + OFF_HALTED) >> 2] !== 0,
    instructions: memory.f64[(area + OFF_INSTRUCTIONS) >> 3],
  };
}

/** The record of a CPU's local APIC, of what is in the memory. */
function apicFrom(memory: GuestMemory, index: number): StateRecord {
  const at = memory.cpuArea(index) + OFF_APIC;
  const state = new LocalApicState(memory.memory.buffer, at);
  return state.record() as unknown as StateRecord;
}

/** The names of what is not as after power-up. */
function changed(now: StateRecord, fresh: StateRecord): string[] {
  return Object.keys(now).flatMap((name) => {
    const [value, before] = [now[name], fresh[name]];
    if (name === "timer") {
      return changed(value as StateRecord, before as StateRecord);
    }
    return JSON.stringify(value) === JSON.stringify(before) ? [] : [name];
  });
}

/** What a guest has done that is more than to stand still. */
interface Seen {
  /** Registers of local APICs that had another value than after power-up. */
  readonly changed: Set<string>;
  /** Instructions of each CPU. */
  readonly instructions: number[];
  /** How often one of them waited. */
  waits: number;
}

/** Runs a guest, and compares what stands in the memory at many times. */
async function compare(
  kernel: string,
  accel: "jit" | "interp",
  seed: number,
  seen: Seen,
): Promise<void> {
  await using machine = await Machine.load(PC, {
    kernel,
    accel,
    smp: CPUS,
    cpu: "max",
    memory: "64M",
    icount: true,
  });
  const { clock, memory } = machine;
  const look = clock.timer(() => void machine.pause());
  const random = new Random(seed);
  for (let i = 0; i < LOOKS; i++) {
    look.arm(clock.now() + 1 + random.below(BETWEEN));
    const { reason } = await machine.run();
    assertEquals(reason, "stop");
    const { cpu, devices } = machine.save() as {
      cpu: Record<string, StateRecord>;
      devices: Record<string, { state: StateRecord }>;
    };
    for (let n = 0; n < CPUS; n++) {
      const own = cpu[`cpu${n}`];
      assertEquals(cpuFrom(memory, n, clock.now()), own);
      const apic = apicFrom(memory, n);
      assertEquals(apic, devices[n === 0 ? "lapic" : `lapic${n}`].state);
      const fresh = freshLocalApic(0xfee00800, n);
      for (const name of changed(apic, fresh as unknown as StateRecord)) {
        seen.changed.add(name);
      }
      if (own.halted || own.waitsForStartup) seen.waits++;
      seen.instructions[n] = own.instructions as number;
    }
  }
}

for (const accel of ["jit", "interp"] as const) {
  for (const mode of ["XAPIC", "X2APIC"]) {
    Deno.test({
      name: `CPUs and local APICs are in the shared memory, ${accel}, ${mode}${
        NASM ? "" : " (skipped: there is no nasm)"
      }`,
      ignore: !NASM,
      fn: async () => {
        const seen: Seen = { changed: new Set(), instructions: [], waits: 0 };
        const { again } = await forSeeds(2, (seed) =>
          withSource(
            randomGuest(seed),
            [mode],
            (kernel) => compare(kernel, accel, seed, seen),
          ));
        if (again) return;
        // It was not about nothing.
        for (const name of ALL) {
          assert(seen.changed.has(name), `${name} never changed`);
        }
        assert(seen.waits > 0, "no CPU ever waited");
        for (const count of seen.instructions) assert(count > 10_000);
      },
    });
  }
}
