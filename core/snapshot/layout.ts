/**
 * How the memory of a snapshot's machine is laid out: known before the machine
 * is, so that it is filled meanwhile.
 *
 * @module
 */

import type { GuestMemoryOptions } from "../machine/memory.ts";
import { memoryOptions, untouchedBytes } from "../machine/plan_memory.ts";
import type { MachinePlan } from "../machine/plan_types.ts";
import type { StateValue } from "../state/state.ts";

/** How a memory is laid out. */
export interface MemoryLayout extends Required<GuestMemoryOptions> {
  /** Bytes at its guest's start that nobody writes while the machine is built. */
  readonly untouched: number;
}

/** The names of all that is in one. */
export const LAYOUT = [
  "cpus",
  "arenaBytes",
  "guestBytes",
  "untouched",
] as const;

/** That of a machine. */
export function layoutOf(plan: MachinePlan): MemoryLayout {
  return { ...memoryOptions(plan), untouched: untouchedBytes(plan) };
}

/** What a file says; undefined when it says none. */
export function decodeLayout(
  value: StateValue | undefined,
): MemoryLayout | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const numbers = new Map(Object.entries(value));
  const sizeOf = (key: string): number | undefined => {
    const size = numbers.get(key);
    const isSize = typeof size === "number" && Number.isSafeInteger(size) &&
      size >= 0;
    return isSize ? size : undefined;
  };
  const [cpus, arenaBytes, guestBytes, untouched] = LAYOUT.map(sizeOf);
  if (
    cpus === undefined || arenaBytes === undefined ||
    guestBytes === undefined || untouched === undefined
  ) return undefined;
  return { cpus, arenaBytes, guestBytes, untouched };
}
