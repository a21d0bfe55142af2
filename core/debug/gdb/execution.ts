/**
 * How a guest goes on for gdb: all CPUs at once, one instruction, a range of
 * them, or some CPUs while others stand still.
 *
 * The machine runs all CPUs or steps one of them. Where gdb wants one CPU to
 * step while the others go on, these do one instruction for each of its; where
 * only some are to go on, they do it by single steps.
 *
 * @module
 */

import type { MachineDebugger, StopEvent } from "../contract.ts";
import type { Points } from "./points.ts";
import type { Actions } from "./threads.ts";

/**
 * Milliseconds of single steps after which the client is listened to: it may
 * want to stop them.
 */
const LISTEN_MS = 8;

/** Lets a guest go on. */
export class Execution {
  readonly #debugger: MachineDebugger;
  readonly #points: Points;
  #isInterrupted = false;
  #isActive = false;
  /** Steps take no interrupts. */
  holdsInterrupts = false;

  /** Whether the guest goes on. */
  get isActive(): boolean {
    return this.#isActive;
  }

  /** Of this machine, which has these points. */
  constructor(machine: MachineDebugger, points: Points) {
    this.#debugger = machine;
    this.#points = points;
  }

  /** Stop the guest, if it goes on. */
  interrupt(): void {
    if (!this.#isActive) return;
    this.#isInterrupted = true;
    if (this.#debugger.isRunning) this.#debugger.pause();
  }

  /**
   * Have the CPUs do what they are to; `current` is the one that gdb looks at.
   * Resolves when there is a reason to stop.
   */
  async run(actions: Actions, current: number): Promise<StopEvent> {
    this.#isInterrupted = false;
    this.#isActive = true;
    try {
      return await this.#run(actions, current);
    } finally {
      this.#isActive = false;
    }
  }

  async #run(actions: Actions, current: number): Promise<StopEvent> {
    if (actions.every((action) => action?.kind === "continue")) {
      return await this.#debugger.resume();
    }
    const stepping = (cpu: number): boolean =>
      actions[cpu] !== undefined && actions[cpu].kind !== "continue";
    const leader = stepping(current)
      ? current
      : actions.findIndex((_, cpu) => stepping(cpu));
    // Of a single step there may be many, when others go on.
    return await this.#debugger.asOne(() => this.#step(actions, leader));
  }

  /** By single steps, until the CPU `leader` has done its; -1 for none. */
  async #step(actions: Actions, leader: number): Promise<StopEvent> {
    const { cpus, keepsOrder = false } = this.#debugger;
    let heard = performance.now();
    for (;;) {
      if (leader >= 0) {
        const event = await this.#debugger.step(
          leader,
          this.holdsInterrupts,
        );
        if (event.kind !== "step") return event;
      }
      // (To step those would let the leader go on, too.)
      const others = leader >= 0 && keepsOrder ? [] : cpus;
      for (const { index, isWaiting } of others) {
        if (actions[index]?.kind !== "continue") continue;
        if (isWaiting && leader >= 0) continue;
        const event = await this.#debugger.step(
          index,
          this.holdsInterrupts,
        );
        if (event.kind !== "step") return event;
        const { pc } = cpus[index];
        if (this.#points.breakpointAt(pc) !== undefined) {
          return { kind: "breakpoint", cpu: index };
        }
      }
      if (leader >= 0) {
        const action = actions[leader]!;
        const { pc } = cpus[leader];
        const isOver = action.kind !== "range" || pc < action.start ||
          pc >= action.end || this.#points.breakpointAt(pc) !== undefined;
        if (isOver) return { kind: "step", cpu: leader };
      }
      if (performance.now() - heard > LISTEN_MS) {
        await new Promise((resolve) => setTimeout(resolve));
        heard = performance.now();
      }
      if (this.#isInterrupted) {
        return { kind: "pause", cpu: Math.max(leader, 0) };
      }
    }
  }
}
