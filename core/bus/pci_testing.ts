/**
 * PCI devices on a bench: a bus for one device, and a device whose
 * configuration space is a region, so that the conformance kit reaches it.
 *
 * @module
 */

import type { DevicePlugin } from "../machine/plugin.ts";
import type { LineSink } from "./irq_line.ts";
import type { PciConfigSpace, PciHost } from "./pci.ts";

/** A bus that keeps what is attached to it, and the levels of the pins. */
export class PciBenchBus implements PciHost {
  /** The pins, INTA# first. */
  readonly pins: boolean[] = [false, false, false, false];
  #space: PciConfigSpace | undefined;

  /** What is attached. */
  get space(): PciConfigSpace {
    if (this.#space === undefined) throw new Error("nothing is attached");
    return this.#space;
  }

  /** See `PciHost.attach`. */
  attach(
    _name: string,
    _place: unknown,
    space: PciConfigSpace,
  ): (pin: number) => LineSink {
    this.#space = space;
    return (pin) => (level) => this.pins[pin] = level;
  }
}

/**
 * The plugin with a region `config` more, which is its configuration space,
 * and a bus of its own as the collaborator `bus`.
 */
export function withConfigRegion<C>(plugin: DevicePlugin<C>): DevicePlugin<C> {
  const { declare } = plugin;
  const withConfig = (regions: DevicePlugin["regions"]) => ({
    ...regions,
    config: { space: "ports", size: 256 } as const,
  });
  return {
    ...plugin,
    regions: withConfig(plugin.regions),
    declare: declare && ((config) => {
      const declared = declare(config);
      const regions = withConfig(declared.regions ?? plugin.regions);
      return { ...declared, regions };
    }),
    create(config, context) {
      const bus = new PciBenchBus();
      const made = plugin.create(config, {
        ...context,
        collaborator: <T>(name: string): T =>
          name === "bus" ? bus as T : context.collaborator(name),
      });
      context.io("config", {
        read: (offset, width) => bus.space.readConfig(offset, width),
        write: (offset, width, value) =>
          bus.space.writeConfig(offset, width, value),
      });
      return made;
    },
  };
}
