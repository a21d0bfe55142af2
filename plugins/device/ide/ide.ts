/**
 * An IDE channel on the ISA bus, PIO only, with disks and CD-ROM drives.
 * ATA/ATAPI-6 (T13/1410D). Two of them make the primary channel (1F0h, 3F6h,
 * IRQ 14) and the secondary one (170h, 376h, IRQ 15).
 *
 * @module
 */

import type {
  RemovableDrive,
  RemovableMedia,
} from "../../../core/backend/removable.ts";
import type {
  BootDrive,
  BootDrives,
} from "../../../core/machine/boot_drive.ts";
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
import {
  Channel,
  COMMAND_PORTS,
  CONTROL_PORTS,
  IDE_EVENTS,
} from "./channel.ts";
import type { Drive } from "./drive.ts";
import {
  bootDrivesOf,
  createDrive,
  removableDrives,
  UNIT_SCHEMA,
  type UnitConfig,
} from "./units.ts";

/** Configuration of a channel. */
export interface IdeConfig {
  /** Device 0. */
  readonly disk0?: UnitConfig;
  /** Device 1. */
  readonly disk1?: UnitConfig;
}

/** A channel on the ISA bus. */
export class IsaIde implements Device, RemovableMedia, BootDrives {
  /** Devices 0 and 1. */
  readonly drives: readonly [Drive | undefined, Drive | undefined];
  /** The CD-ROM drives. */
  readonly removable: ReadonlyMap<string, RemovableDrive>;
  readonly #name: string;
  readonly #channel: Channel;

  /** A channel with the drives that are configured. */
  constructor(config: IdeConfig, context: DeviceContext) {
    this.#name = context.name;
    this.drives = [
      createDrive(config.disk0, context.block("disk0"), 0),
      createDrive(config.disk1, context.block("disk1"), 1),
    ];
    this.removable = removableDrives(this.drives);
    this.#channel = new Channel({
      irq: context.output("irq"),
      drives: this.drives,
      command: context.event("command"),
      packet: context.event("packet"),
    });
    context.io("command", this.#channel.command);
    context.io("control", this.#channel.control);
  }

  /** See `BootDrives`. */
  bootDrives(): readonly BootDrive[] {
    return bootDrivesOf(this.drives);
  }

  /** The drives lose what they were doing; discs stay in. */
  reset(): void {
    this.#channel.reset();
  }

  /** The registers and those of the drives. */
  save(): StateRecord {
    return saveState(this.#channel.saved);
  }

  /** Go on; what was asked of a backend is asked again. */
  load(record: StateRecord): void {
    const template = this.#channel.template();
    this.#channel.restore(loadState(template, record, this.#name));
  }
}

/** The `ide` plugin. */
const plugin: DevicePlugin<IdeConfig> = {
  type: "device",
  name: "ide",
  version: "1.0.0",
  description: "An IDE channel on the ISA bus: disks and CD-ROM drives",
  config: {
    type: "object",
    properties: { disk0: UNIT_SCHEMA, disk1: UNIT_SCHEMA },
  },
  regions: {
    command: { space: "ports", size: COMMAND_PORTS },
    control: { space: "ports", size: CONTROL_PORTS },
  },
  outputs: ["irq"],
  events: IDE_EVENTS,
  provides: ["removable-media", "boot-drives"],
  backends: {
    disk0: { type: "block", optional: true },
    disk1: { type: "block", optional: true },
  },
  create: (config, context) => new IsaIde(config, context),
};
export default plugin;
