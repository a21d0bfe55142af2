/**
 * The contract between PCI functions and their bus, and the bus.
 *
 * A device declares `uses: { bus: "pci-bus" }`, makes a `PciFunction`
 * (`pci_function.ts`) and attaches it to that collaborator, a `PciHost`, at the
 * slot that its configuration says.
 *
 * Source: PCI Local Bus Specification 3.0.
 *
 * @module
 */

import type { ConfigSchema } from "../machine/schema_types.ts";
import type { AccessWidth } from "./handler.ts";
import { type LineSink, OrGate } from "./irq_line.ts";

/** Slots of a bus. */
const PCI_SLOTS = 32;
/** Functions of a device. */
const FUNCTIONS = 8;

/** Where on its bus a function is. */
export interface PciPlace {
  /** The slot (the specification's device number), 0 to 31. */
  readonly slot: number;
  /** The function of the device there, 0 to 7. */
  readonly function: number;
}

/** The properties of `PciPlace` for a plugin's schema. */
export function pciPlaceSchema(
  slot: number,
  func: number,
): Record<string, ConfigSchema> {
  return {
    slot: {
      description: "The slot on the PCI bus",
      type: "integer",
      minimum: 0,
      maximum: PCI_SLOTS - 1,
      default: slot,
    },
    function: {
      description: "The function in the slot",
      type: "integer",
      minimum: 0,
      maximum: FUNCTIONS - 1,
      default: func,
    },
  };
}

/** A base address register as it is set now. */
export interface PciBar {
  /** Its number; 6 is the expansion ROM's. */
  readonly index: number;
  /** What it places. */
  readonly kind: "io" | "memory" | "memory64";
  /** Bytes. */
  readonly size: number;
  /** Whether reads have no side effects. */
  readonly prefetchable: boolean;
  /** The address in it; undefined for a ROM that is switched off. */
  readonly address: number | undefined;
}

/** A function of a bus, for who lists them. */
export interface ListedFunction {
  /** Where it is. */
  readonly place: PciPlace;
  /** The device's name in the machine definition. */
  readonly name: string;
  /** Its configuration space. */
  readonly space: PciConfigSpace;
}

/** What the bus needs of a function: its configuration space. */
export interface PciConfigSpace {
  /** Read `width` bytes at an aligned offset below 256. */
  readConfig(offset: number, width: AccessWidth): number;
  /** Write `width` bytes at an aligned offset below 256. */
  writeConfig(offset: number, width: AccessWidth, value: number): void;
  /** Its base address registers, for who lists them. */
  bars?(): readonly PciBar[];
}

/** The contract `pci-bus`. */
export interface PciHost {
  /**
   * Put a function on the bus. Gives back its interrupt pins' receiver: pin 0
   * is INTA#. Throws an `Error` that names both devices when the place is
   * taken; `name` is the device's name in the machine definition.
   */
  attach(
    name: string,
    place: PciPlace,
    space: PciConfigSpace,
  ): (pin: number) => LineSink;
  /** All functions, by slot and function. */
  functions?(): Iterable<ListedFunction>;
}

interface Attached {
  readonly name: string;
  readonly space: PciConfigSpace;
}

/** A bus: what a host bridge owns. */
export class PciBus implements PciHost {
  readonly #functions = new Map<number, Attached>();
  readonly #gates: readonly OrGate[];
  readonly #route: (slot: number, pin: number) => number;

  /**
   * A bus whose device in `slot` drives with `pin` the line `route(slot, pin)`
   * of `lines`, each the receiver of all that drive it.
   */
  constructor(
    lines: readonly LineSink[],
    route: (slot: number, pin: number) => number,
  ) {
    this.#gates = lines.map((line) => new OrGate(line));
    this.#route = route;
  }

  /** See `PciHost.attach`. */
  attach(
    name: string,
    place: PciPlace,
    space: PciConfigSpace,
  ): (pin: number) => LineSink {
    const { slot, function: func } = place;
    const key = slot * FUNCTIONS + func;
    const other = this.#functions.get(key);
    if (other !== undefined) {
      throw new Error(
        `devices "${other.name}" and "${name}" are both at slot ${slot}, ` +
          `function ${func} of the PCI bus`,
      );
    }
    this.#functions.set(key, { name, space });
    return (pin) => this.#gates[this.#route(slot, pin)].input();
  }

  /** See `PciHost.functions`. */
  *functions(): Generator<ListedFunction> {
    const keys = [...this.#functions.keys()].sort((a, b) => a - b);
    for (const key of keys) {
      const func = key % FUNCTIONS;
      const place = { slot: (key - func) / FUNCTIONS, function: func };
      yield { place, ...this.#functions.get(key)! };
    }
  }

  /**
   * Read `width` bytes at an aligned `offset` of a function's configuration
   * space; all ones where nothing is.
   */
  read(place: PciPlace, offset: number, width: AccessWidth): number {
    return this.#at(place)?.readConfig(offset, width) ?? 0xffffffff;
  }

  /** Write `width` bytes at an aligned `offset`. */
  write(
    place: PciPlace,
    offset: number,
    width: AccessWidth,
    value: number,
  ): void {
    this.#at(place)?.writeConfig(offset, width, value);
  }

  #at({ slot, function: func }: PciPlace): PciConfigSpace | undefined {
    return this.#functions.get(slot * FUNCTIONS + func)?.space;
  }
}
