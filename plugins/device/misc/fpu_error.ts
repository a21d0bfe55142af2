/**
 * The PC/AT's logic around the floating point unit's error pin: FERR# becomes
 * IRQ 13, and port F0h makes the processor go on.
 *
 * Intel SDM volume 1, D.2.1 ("MS-DOS compatibility sub-mode"), and the
 * datasheet of the 82371SB (290550), "Coprocessor error register": FERR# is
 * latched and drives the interrupt; a write to F0h clears the latch and, if
 * FERR# is still active, asserts IGNNE# until it no longer is.
 *
 * All lines are true when active, whatever their polarity on the board.
 *
 * @module
 */

import type { IrqLine } from "../../../core/bus/irq_line.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";

/** Clears the latch, whatever is written. */
const CLEAR_BUSY = 0;
// Port F1h reset the AT's 80287. Chips that have the FPU inside ignore it.

interface FpuErrorState {
  /** Level of FERR#. */
  ferr: boolean;
  /** FERR# has become active since the latch was cleared. */
  latched: boolean;
  /** Level of IGNNE#. */
  ignne: boolean;
}

const freshState = (): FpuErrorState => ({
  ferr: false,
  latched: false,
  ignne: false,
});

/** The error logic. */
export class FpuError implements Device {
  #state = freshState();
  readonly #name: string;
  readonly #irq: IrqLine;
  readonly #ignne: IrqLine;

  /** The logic with nothing latched. */
  constructor(context: DeviceContext) {
    this.#name = context.name;
    this.#irq = context.output("irq");
    this.#ignne = context.output("ignne");
    context.input("ferr", (level) => this.#ferr(level));
    context.io("ports", {
      widths: [1],
      read: () => 0xff,
      write: (offset) => {
        if (offset === CLEAR_BUSY) this.#clear();
      },
    });
  }

  #ferr(level: boolean): void {
    const state = this.#state;
    if (level && !state.ferr) state.latched = true;
    if (!level) state.ignne = false;
    state.ferr = level;
    this.#drive();
  }

  #clear(): void {
    this.#state.latched = false;
    this.#state.ignne = this.#state.ferr;
    this.#drive();
  }

  #drive(): void {
    this.#irq.set(this.#state.latched);
    this.#ignne.set(this.#state.ignne);
  }

  /** Nothing is latched; the CPU, reset as well, does not assert FERR#. */
  reset(): void {
    this.#state = freshState();
    this.#drive();
  }

  /** The latch and the lines. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The latch and the lines. */
  load(record: StateRecord): void {
    this.#state = loadState(freshState(), record, this.#name);
    this.#drive();
  }
}

/** The `fpu-error` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "fpu-error",
  version: "1.0.0",
  description: "IRQ 13 and IGNNE# of the floating point unit, as in a PC/AT",
  regions: { ports: { space: "ports", size: 2, at: 0xf0 } },
  inputs: ["ferr"],
  outputs: ["irq", "ignne"],
  create: (_config, context) => new FpuError(context),
};
export default plugin;
