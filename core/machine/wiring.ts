/**
 * The interrupt lines of a machine: the outputs of devices and the CPU, the
 * inputs that listen, and the wires between them.
 *
 * @module
 */

import { IrqLine, type LineSink, OrGate } from "../bus/irq_line.ts";

/** What an owner's outputs drive. */
export interface Wires {
  /** The device, or `cpu`. */
  readonly name: string;
  /** `device.input`, by output. */
  readonly wires: ReadonlyMap<string, readonly string[]>;
}

/** Outputs and inputs by `owner.name`. */
export class Wiring {
  readonly #outputs = new Map<string, IrqLine>();
  readonly #inputs = new Map<string, LineSink>();

  /** There is such an output; nothing is connected to it yet. */
  declare(owner: string, output: string): void {
    this.#outputs.set(`${owner}.${output}`, new IrqLine());
  }

  /** An output that was declared. */
  output(owner: string, output: string): IrqLine | undefined {
    return this.#outputs.get(`${owner}.${output}`);
  }

  /** What an input does with its level. */
  listen(owner: string, input: string, sink: LineSink): void {
    this.#inputs.set(`${owner}.${input}`, sink);
  }

  /**
   * Connect outputs that were declared to what they drive; `lines` says which
   * inputs have several drivers, and how they join.
   */
  connect(
    sources: readonly Wires[],
    lines: Readonly<Record<string, "or">>,
  ): void {
    const gates = new Map<string, OrGate>();
    for (const { name, wires } of sources) {
      for (const [output, targets] of wires) {
        const line = this.#outputs.get(`${name}.${output}`)!;
        for (const target of targets) {
          // A declared input that its device does not listen to.
          const sink = this.#inputs.get(target) ?? (() => {});
          if (lines[target] === "or") {
            let gate = gates.get(target);
            if (gate === undefined) gates.set(target, gate = new OrGate(sink));
            line.connect(gate.input());
          } else {
            line.connect(sink);
          }
        }
      }
    }
  }
}
