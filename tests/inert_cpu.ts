/**
 * A CPU for tests of what drives one: it does nothing but what a test has it do.
 *
 * @module
 */

import type { CpuCore, CpuExit } from "../core/machine/cpu.ts";

/** Of a CPU all that the tests do not look at. */
export abstract class InertCpu implements CpuCore {
  instructions = 0;
  abstract run(budget: number): CpuExit;
  reset(): void {}
  enter(): void {}
  requestStop(): void {}
  setIrq(_level: boolean): void {}
  nmi(): void {}
  setInput(): void {}
  invalidate(): void {}
  flushMapping(): void {}
  save(): Record<string, never> {
    return {};
  }
  load(): void {}
  stats(): Record<string, number> {
    return {};
  }
  describe(): string {
    return "fake";
  }
}
