/**
 * One debugger of a machine: its own points over what all have in common.
 *
 * @module
 */

import type {
  DebugCpu,
  DebugPoint,
  MachineDebugger,
  StopEvent,
  WatchSpec,
} from "./contract.ts";
import type { DebugControl } from "./control.ts";
import type { DebugMemory } from "./cpu.ts";

/** A debugger from `Machine.debug` to `detach`. */
export class Session implements MachineDebugger {
  readonly #control: DebugControl;
  readonly #memory: DebugMemory;
  readonly #points = new Set<DebugPoint>();

  /** A debugger without points. */
  constructor(control: DebugControl, memory: DebugMemory) {
    this.#control = control;
    this.#memory = memory;
  }

  get cpus(): readonly DebugCpu[] {
    return this.#control.cpus;
  }

  get isRunning(): boolean {
    return this.#control.isRunning;
  }

  setBreakpoint(address: number): DebugPoint {
    return this.#own(this.#control.setBreakpoint(address));
  }

  setWatchpoint(spec: WatchSpec): DebugPoint {
    return this.#own(this.#control.setWatchpoint(spec));
  }

  #own(point: DebugPoint): DebugPoint {
    this.#points.add(point);
    return {
      remove: () => {
        this.#points.delete(point);
        point.remove();
      },
    };
  }

  resume(): Promise<StopEvent> {
    return this.#control.resume();
  }

  step(cpu: number, holdsInterrupts = false): Promise<StopEvent> {
    return this.#control.step(cpu, holdsInterrupts);
  }

  get keepsOrder(): boolean {
    return this.#control.keepsOrder;
  }

  asOne<T>(steps: () => Promise<T>): Promise<T> {
    return this.#control.asOne(steps);
  }

  pause(): void {
    this.#control.pause();
  }

  readPhysical(address: number, into: Uint8Array): number {
    return this.#memory.read(address, into);
  }

  writePhysical(address: number, bytes: Uint8Array): number {
    return this.#memory.write(address, bytes);
  }

  detach(): void {
    for (const point of this.#points) point.remove();
    this.#points.clear();
    this.#control.release();
  }
}
