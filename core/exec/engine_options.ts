/**
 * How an engine is set up.
 *
 * @module
 */

import type { GuestMemory } from "../machine/memory.ts";
import type { PhysicalSpace } from "../mmu/physical_access.ts";
import type { Lookups } from "./region_accesses.ts";
import type { SharedCode } from "./shared_code.ts";

/** How an engine is set up. */
export interface EngineOptions {
  /** The machine's memory. */
  readonly memory: GuestMemory;
  /** The physical address space. */
  readonly space: PhysicalSpace;
  /** Number of the CPU; 0 when absent. */
  readonly cpu?: number;
  /** Where there are several CPUs: what their engines know together. */
  readonly shared?: SharedCode;
  /** `jit` compiles hot blocks, `interp` never does. */
  readonly accel?: "jit" | "interp";
  /** Executions that make a block hot; when absent, `DEFAULT_THRESHOLD` at a pace. */
  readonly threshold?: number;
  /** Guest instructions in a block at most. */
  readonly maxInsns?: number;
  /** Stop exactly at the end of a budget (for `icount`). */
  readonly exact?: boolean;
  /**
   * What an instruction that reaches a device sees and leads to does not depend
   * on where blocks begin and end: it is the last one of its block. So a run
   * may be cut anywhere (to look at it, for a breakpoint) and stays the same.
   */
  readonly precise?: boolean;
  /** Compiled regions alive at most: beyond that, all translations are forgotten. */
  readonly maxRegions?: number;
  /** How regions look accesses up at first; for tests. */
  readonly lookups?: Lookups;
  /** Tags of the jump cache before they start again; for tests. */
  readonly maxJumpTags?: number;
}
