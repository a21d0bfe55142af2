/**
 * Machines that are saved in the midst of what they do, restored, and compared
 * with the ones that went on: registers, devices, time and memory.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { assertEquals } from "@std/assert";
import {
  Machine,
  type MachineInstance,
  type MachineOptions,
  type StateRecord,
} from "../../mod.ts";
import type { StateValue } from "../../core/state/state.ts";

/** All that a guest can see of its machine, memory as a checksum. */
export function stateOf(machine: MachineInstance): StateRecord {
  const { memory } = machine;
  // Numbers of timers of requests depend on how many there were before.
  const { timers, ...state } = machine.save();
  return {
    ...state,
    armed: (timers as StateValue[]).length,
    instructions: machine.cpu.instructions,
    memory: crc32(memory.u8.slice(memory.guestStart, memory.guestEnd)),
  };
}

/** Where two states differ: paths with both values. */
export function stateDifferences(
  a: StateValue | undefined,
  b: StateValue | undefined,
  path = "",
): string[] {
  if (Object.is(a, b)) return [];
  if (
    typeof a === "object" && typeof b === "object" && a !== null && b !== null
  ) {
    const [x, y] = [a, b] as unknown as Record<string, StateValue>[];
    return [...new Set([...Object.keys(x), ...Object.keys(y)])].flatMap((key) =>
      stateDifferences(x[key], y[key], path === "" ? key : `${path}.${key}`)
    );
  }
  return [`${path}: ${String(a)} and ${String(b)}`];
}

/** Run until this virtual time, in nanoseconds, and then to the slice's end. */
export async function runTo(
  machine: MachineInstance,
  time: number,
): Promise<void> {
  const timer = machine.clock.timer(() => void machine.pause());
  timer.arm(time);
  try {
    await machine.run();
  } finally {
    timer.cancel();
  }
}

function same(a: StateRecord, b: StateRecord, what: string): void {
  // A message of a hundred thousand lines would take minutes to make.
  assertEquals(stateDifferences(a, b).slice(0, 20), [], what);
}

/** How a machine is taken through its paces. */
export interface Paces {
  /** What it must have printed before; from its start on when absent. */
  readonly after?: string;
  /** The times at which it is saved then, in nanoseconds. */
  readonly points: readonly number[];
  /** How long the restored one runs on, in nanoseconds. */
  readonly length: number;
  /** What the machines have that are restored. */
  readonly options?: MachineOptions;
}

/**
 * Save a machine at points of its run; restore each from its file and let it
 * run on. Each must become what the machine becomes that is not restored. Gives
 * back what the first machine has printed in the end.
 */
export async function comparesAtAllPoints(
  make: () => Promise<MachineInstance>,
  { after, points, length, options = {} }: Paces,
): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "rhea-exact-" });
  try {
    await using machine = await make();
    if (after !== undefined) {
      await machine.serial(0).expect(after, { timeout: 600_000 });
      await machine.pause();
    }
    const start = machine.clock.now();
    for (const [i, distance] of points.entries()) {
      const point = start + distance;
      await runTo(machine, point);
      const before = stateOf(machine);
      const path = `${folder}/${i}.rhea`;
      await machine.saveSnapshot(path);
      same(before, stateOf(machine), "saving");
      await using restored = await Machine.restore(path, options);
      const where = `point ${point}`;
      same(before, stateOf(restored), `${where}, restored`);
      await runTo(machine, point + length);
      await runTo(restored, point + length);
      same(stateOf(machine), stateOf(restored), `${where}, gone on`);
      await Deno.remove(path);
    }
    return machine.serial(0).output;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
