/**
 * How much memory a planned machine needs, and of what kinds.
 *
 * @module
 */

import { type GuestMemoryOptions, PAGE_BYTES } from "./memory.ts";
import type { MachinePlan } from "./plan_types.ts";

/** The memory of a machine. */
export function memoryOptions(
  { definition, memories, devices }: MachinePlan,
): Required<GuestMemoryOptions> {
  let guestBytes = 0;
  for (const { size } of memories) guestBytes += wholePages(size);
  for (const { declared } of devices) {
    for (const { kind, size } of Object.values(declared.regions ?? {})) {
      if (kind === "ram" || kind === "rom") guestBytes += wholePages(size);
    }
  }
  const { cpu: { count }, translator } = definition;
  return { cpus: count, arenaBytes: count * translator.arena, guestBytes };
}

/**
 * Bytes at the start of guest memory that nobody writes while the machine is
 * built: RAM without a file. ROMs and video memory come after it.
 */
export function untouchedBytes({ memories }: MachinePlan): number {
  let bytes = 0;
  for (const { kind, file, size } of memories) {
    if (kind !== "ram" || file !== undefined) break;
    bytes += wholePages(size);
  }
  return bytes;
}

/** Bytes that so many take in guest memory. */
export function wholePages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
