/**
 * INIT: a reset that leaves a CPU its floating-point and vector registers, the
 * time stamp counter and most model-specific registers (SDM volume 3, table
 * 10-1; QEMU 7.2 and it agree that EFER is cleared).
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import {
  OFF_CR,
  OFF_FPR,
  OFF_KERNEL_GS_BASE,
  OFF_SCRATCH,
  OFF_SYSENTER,
  OFF_XSS,
  OFF_YMMH,
  STATE_END,
} from "./state.ts";

/** What stays, of the state's bytes: from an offset to before another one. */
const KEPT: readonly (readonly [number, number])[] = [
  [OFF_SYSENTER, OFF_SYSENTER + 24],
  [OFF_FPR, OFF_SCRATCH],
  [OFF_YMMH, OFF_XSS + 8],
  [OFF_KERNEL_GS_BASE, STATE_END],
];
/** CR0.CD and NW. */
const CACHES = 0x60000000;

/** Has a CPU start again after an INIT, or wait for a start-up message. */
export function initCpu(cpu: X86): void {
  const { msrs, state, tscOffset } = cpu;
  const kept = KEPT.map(([from, to]) => cpu.state8.slice(from, to));
  const caches = state[OFF_CR >> 2] & CACHES;
  cpu.reset();
  KEPT.forEach(([from], i) => cpu.state8.set(kept[i], from));
  state[OFF_CR >> 2] = state[OFF_CR >> 2] & ~CACHES | caches;
  cpu.msrs = msrs;
  cpu.tscOffset = tscOffset;
  cpu.driveFerr();
  cpu.updateKey();
}
