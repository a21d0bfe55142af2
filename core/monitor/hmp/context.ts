/**
 * What commands work on: the machine, and what the person at the monitor has
 * chosen.
 *
 * @module
 */

import type { CpuInspector } from "../../cpu/inspector.ts";
import type { Machine } from "../../machine/machine.ts";
import type { Parts } from "../../machine/parts.ts";
import type { ProgressDisplay } from "../../progress/progress.ts";
import type { Command } from "./command.ts";
import { MonitorError } from "./error.ts";
import type { FormatDefaults } from "./format_defaults.ts";

/** Lines that `info history` keeps. */
const MAX_HISTORY = 64;

/** The context of a monitor's commands. */
export class MonitorContext {
  /** The machine. */
  readonly machine: Machine;
  /** What it is made of. */
  readonly parts: Parts;
  /** All commands. */
  readonly commands: readonly Command[];
  /** Those of `info`. */
  readonly infos: readonly Command[];
  /** The CPU that commands are about. */
  cpu = 0;
  /** What a format means that is not given. */
  readonly defaults: FormatDefaults = { format: "x", size: 4 };
  /** The buttons of the mouse that the monitor holds down: a bit each. */
  buttons = 0;
  /** Shows how far a long command is, where there is somebody to see it. */
  progress: ProgressDisplay | undefined;
  /** The lines that were typed, the last one last. */
  readonly history: string[] = [];
  readonly #inspectors = new Map<number, Promise<CpuInspector>>();

  /** A context for a machine. */
  constructor(
    machine: Machine,
    parts: Parts,
    commands: readonly Command[],
    infos: readonly Command[],
  ) {
    this.machine = machine;
    this.parts = parts;
    this.commands = commands;
    this.infos = infos;
  }

  /** A line was typed. */
  remember(line: string): void {
    if (line === "") return;
    const again = this.history.indexOf(line);
    if (again >= 0) this.history.splice(again, 1);
    this.history.push(line);
    if (this.history.length > MAX_HISTORY) this.history.shift();
  }

  /** A look at a CPU: the chosen one, unless another is named. */
  async inspect(cpu: number = this.cpu): Promise<CpuInspector> {
    const core = this.parts.cpus[cpu];
    if (core === undefined) throw new MonitorError(`CPU#${cpu} not available`);
    let inspector = this.#inspectors.get(cpu);
    if (inspector === undefined) {
      inspector = core.inspect?.((at, into) => this.peek(at, into));
      if (inspector === undefined) {
        throw new MonitorError("this CPU cannot be looked at");
      }
      this.#inspectors.set(cpu, inspector);
    }
    return await inspector;
  }

  /**
   * Read physical memory as far as it is RAM and ROM: devices are not
   * disturbed. Gives back how many bytes there were.
   */
  peek(address: number, into: Uint8Array): number {
    const { physical } = this.machine.plan.definition.cpu;
    return this.machine.space(physical).peek(address, into);
  }

  /** Read linear memory of a CPU, page by page, as {@linkcode peek} does. */
  peekLinear(
    inspector: CpuInspector,
    address: bigint,
    into: Uint8Array,
  ): number {
    let done = 0;
    while (done < into.length) {
      const at = address + BigInt(done);
      const physical = inspector.translate(at);
      if (physical === undefined) break;
      const room = PAGE - Number(at & BigInt(PAGE - 1));
      const part = into.subarray(done, done + room);
      const got = this.peek(Number(physical), part);
      done += got;
      if (got < part.length) break;
    }
    return done;
  }
}

/** Bytes in which linear addresses that are next to each other stay so. */
const PAGE = 4096;
