/**
 * Who has the guest stand still within its run, and what monitors are told of
 * it: a monitor that has stopped it, a debugger, and work such as a snapshot's.
 *
 * @module
 */

import type { DebugControl } from "../debug/control.ts";
import type { MachineEvents } from "./events.ts";
import type { RunLoop } from "./run_loop.ts";
import type { RunState } from "./run_result.ts";

/** What a guest stands still for that is being saved or restored. */
export type StillWork = "save-vm" | "restore-vm";

/** The machine whose guest it is. */
export interface StandstillParts {
  /** What runs it. */
  readonly loop: Pick<RunLoop, "standStill">;
  /** What monitors hear. */
  readonly events: MachineEvents;
  /** Whether it is in a run. */
  isRunning(): boolean;
  /** Whether it has executed an instruction. */
  hasBegun(): boolean;
  /** Debuggers' control of it, when there is one. */
  debugging(): DebugControl | undefined;
  /** Begins a run, if there is none. */
  start(): void;
}

/** The standstill of one machine's guest. */
export class Standstill {
  readonly #of: StandstillParts;
  /** Lets the guest go on that a monitor has stopped. */
  #release: (() => void) | undefined;
  /** What it stands still for, one after another: several may have begun. */
  readonly #works: StillWork[] = [];
  /** What monitors were told last: that the guest stands still. */
  #isTold = false;

  /** Nobody has it stand still. */
  constructor(parts: StandstillParts) {
    this.#of = parts;
  }

  /** Whether somebody has it stand still. */
  get isHeld(): boolean {
    return this.#release !== undefined || this.#works.length > 0 ||
      this.#of.debugging()?.standing !== undefined;
  }

  /** How it is in a run. */
  get state(): RunState {
    if (this.#works.length > 0) return this.#works[0];
    if (!this.isHeld) return "running";
    const standing = this.#of.debugging()?.standing;
    if (this.#release === undefined && standing === "debug") return "debug";
    return this.#of.hasBegun() ? "paused" : "prelaunch";
  }

  /** See `Machine.stopGuest`. */
  stop(): void {
    const isRunning = this.#of.isRunning();
    const debugging = this.#of.debugging();
    // Work ends by itself, and the guest would go on behind it.
    const isStopped = this.#release !== undefined ||
      debugging?.standing !== undefined;
    if (isRunning && isStopped) return;
    // Its debugger's continue is then as good as a monitor's.
    if (debugging?.isAwaited === true) debugging.pause();
    else this.#release ??= this.#of.loop.standStill();
    if (isRunning) this.tell();
    else this.#isTold = true;
  }

  /** See `Machine.continueGuest`. */
  goOn(): void {
    const isNew = !this.#of.isRunning() && !this.#isTold;
    this.letGo();
    this.#of.debugging()?.goOn();
    this.#of.start();
    this.tell();
    if (isNew) this.#of.events.emit({ type: "resume" });
  }

  /** Let it go on that a monitor has stopped. */
  letGo(): void {
    this.#release?.();
    this.#release = undefined;
  }

  /** Tell monitors that it stands still or goes on, if they do not know. */
  tell(): void {
    if (this.isHeld === this.#isTold) return;
    this.#isTold = this.isHeld;
    this.#of.events.emit({ type: this.isHeld ? "stop" : "resume" });
  }

  /** Do some work for which it stands still, of which monitors hear in a run. */
  async during<T>(work: StillWork, action: () => Promise<T>): Promise<T> {
    if (!this.#of.isRunning()) return await action();
    this.#works.push(work);
    this.tell();
    try {
      return await action();
    } finally {
      this.#works.splice(this.#works.indexOf(work), 1);
      this.tell();
    }
  }
}
