/**
 * A client's seat at a machine: it outlives a client that is lost without a
 * word. The guest is then left as it is, as by QEMU: one that stands still does
 * so, one that goes on still meets the points that were set. The next client
 * takes the seat, or a monitor lets the guest go on.
 *
 * @module
 */

import type { MachineDebugger } from "../contract.ts";
import { Execution } from "./execution.ts";
import { Points } from "./points.ts";
import { AddressForm, RegisterMap } from "./target_description.ts";
import type { GdbTarget } from "./target.ts";

/** What a machine that is under a debugger has here. */
export interface Attached {
  /** The machine. */
  readonly machine: MachineDebugger;
  /** The points that were set. */
  readonly points: Points;
  /** Lets the guest go on. */
  readonly execution: Execution;
  /** The registers by number. */
  readonly map: RegisterMap;
  /** How addresses are written. */
  readonly addresses: AddressForm;
}

/** Where one client at a time sits. */
export class Seat {
  /** What the seat is at. */
  readonly target: GdbTarget;
  #attached: Attached | undefined;
  /** The guest goes on, to and fro, for whom the seat was. */
  #going: Promise<unknown> | undefined;

  /** A seat at this machine, which does not hear of it before `attach`. */
  constructor(target: GdbTarget) {
    this.target = target;
  }

  /** The machine, if it is under the debugger. */
  get attached(): Attached | undefined {
    return this.#attached;
  }

  /** Take the machine under the debugger, if it is not; a guest that runs goes on. */
  async attach(): Promise<Attached> {
    if (this.#attached !== undefined) return this.#attached;
    const machine = await this.target.debug();
    const points = new Points(machine);
    const map = new RegisterMap(machine.cpus[0].registers);
    if (!machine.isRunning) machine.pause();
    return this.#attached = {
      machine,
      points,
      execution: new Execution(machine, points),
      map,
      addresses: new AddressForm(map.pc.register.bits),
    };
  }

  /** Remember that the guest goes on until this resolves. */
  async goOn<T>(going: Promise<T>): Promise<T> {
    this.#going = going;
    try {
      return await going;
    } finally {
      if (this.#going === going) this.#going = undefined;
    }
  }

  /** End what still goes on for a client that was lost. */
  async settle(): Promise<void> {
    if (this.#going === undefined) return;
    this.target.reverse?.pause();
    this.#attached?.execution.interrupt();
    // How it ended was for who is gone.
    await this.#going.catch(() => {});
  }

  /** Take all points away, and let the guest go on. */
  detach(): void {
    const attached = this.#attached;
    this.#attached = undefined;
    if (attached === undefined) return;
    attached.points.clear();
    this.target.goes?.();
    attached.machine.detach();
  }

  /** There will be no more clients: a guest goes on that does not wait for its start. */
  close(): void {
    if (this.target.keep?.() !== true) return this.detach();
    this.#attached?.points.clear();
    this.#attached = undefined;
  }
}
