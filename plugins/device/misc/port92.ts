/**
 * System control port A of the PS/2 (port 92h): fast A20 and fast reset.
 *
 * Datasheet: Intel 82371SB (PIIX3, 290550), "Port 92 register". There a board's
 * gate is open when this port or the keyboard controller says so. Firmware
 * leaves the gate open, and programs that close it know one of the two ways:
 * so both are ways to one gate here, as in QEMU.
 *
 * @module
 */

import type { A20Gate } from "../../../core/machine/a20_gate.ts";
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

/** Going from 0 to 1 resets the CPU. */
const FAST_INIT = 0x01;
/** Level of the A20 gate. */
const FAST_A20 = 0x02;

interface Port92State {
  /** The register. */
  control: number;
}

const freshState = (): Port92State => ({ control: 0 });

/** Port 92h. */
export class Port92 implements Device {
  #state = freshState();
  readonly #name: string;
  readonly #a20: IrqLine;
  readonly #reset: IrqLine;
  readonly #context: DeviceContext;
  /** The keyboard controller's gate; undefined where there is none. */
  #gate: A20Gate | undefined;

  /** The port in its reset state. */
  constructor(context: DeviceContext) {
    this.#context = context;
    this.#name = context.name;
    this.#a20 = context.output("a20");
    this.#reset = context.output("reset");
    context.io("control", {
      widths: [1],
      read: () => this.#read(),
      write: (_offset, _width, value) => this.#write(value),
    });
  }

  #read(): number {
    const { control } = this.#state;
    if (this.#gate === undefined) return control;
    return control & FAST_INIT | (this.#gate.a20 ? FAST_A20 : 0);
  }

  #write(value: number): void {
    const rising = value & ~this.#state.control & FAST_INIT;
    this.#state.control = value & (FAST_INIT | FAST_A20);
    const open = (value & FAST_A20) !== 0;
    if (this.#gate === undefined) this.#a20.set(open);
    else this.#gate.a20 = open;
    if (rising !== 0) this.#reset.pulse();
  }

  /** Both bits are 0: A20 is the keyboard controller's affair. */
  reset(): void {
    this.#gate = this.#context.providers<A20Gate>("a20-gate")[0];
    this.#state = freshState();
    this.#a20.lower();
    this.#reset.lower();
  }

  /** The register. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The register. */
  load(record: StateRecord): void {
    this.#state = loadState(freshState(), record, this.#name);
    if (this.#gate === undefined) {
      this.#a20.set((this.#state.control & FAST_A20) !== 0);
    }
  }
}

/** The `port92` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "port92",
  version: "1.0.0",
  description: "System control port A: fast A20 gate and fast reset",
  regions: { control: { space: "ports", size: 1, at: 0x92 } },
  outputs: ["a20", "reset"],
  collects: ["a20-gate"],
  create: (_config, context) => new Port92(context),
};
export default plugin;
