/**
 * An IDE channel on the ISA bus, PIO only, with disks and CD-ROM drives.
 * ATA/ATAPI-6 (T13/1410D). Two of them make the primary channel (1F0h, 3F6h,
 * IRQ 14) and the secondary one (170h, 376h, IRQ 15).
 *
 * @module
 */

import type { BlockBackend } from "../../../core/backend/block.ts";
import type {
  BootDrive,
  BootDrives,
} from "../../../core/machine/boot_drive.ts";
import type {
  ConfigSchema,
  Device,
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import type { StateRecord } from "../../../core/state/state.ts";
import { AtaDisk } from "./ata.ts";
import { AtapiCdrom } from "./atapi.ts";
import { Channel, COMMAND_PORTS, CONTROL_PORTS } from "./channel.ts";
import type { Drive } from "./drive.ts";

/** The firmware's revision that all drives tell. */
const FIRMWARE = "1.0";

/** Configuration of one drive. */
export interface UnitConfig {
  /** A disk is there when it has a backend, a CD-ROM drive always. */
  readonly kind?: "disk" | "cdrom";
  /** The model that IDENTIFY tells, 40 characters at most. */
  readonly model?: string;
  /** The serial number, 20 characters at most. */
  readonly serial?: string;
}

/** Configuration of a channel. */
export interface IdeConfig {
  /** Device 0. */
  readonly disk0?: UnitConfig;
  /** Device 1. */
  readonly disk1?: UnitConfig;
}

/** What a drive's configuration may say. */
export const UNIT_SCHEMA: ConfigSchema = {
  type: "object",
  properties: {
    kind: {
      type: "string",
      description: "A disk, there when it has a backend, or a CD-ROM drive",
      enum: ["disk", "cdrom"],
      default: "disk",
    },
    model: {
      type: "string",
      description: "The model that the drive tells, 40 characters",
    },
    serial: {
      type: "string",
      description: "The serial number that the drive tells, 20 characters",
    },
  },
};

/** A drive as configured; none for a disk without a backend. */
export function createDrive(
  config: UnitConfig | undefined,
  backend: BlockBackend | undefined,
  unit: number,
): Drive | undefined {
  const serial = config?.serial ?? `RHEA${String(unit + 1).padStart(5, "0")}`;
  if (config?.kind === "cdrom") {
    const model = config.model ?? "RHEA DVD-ROM";
    return new AtapiCdrom(backend, { model, serial, firmware: FIRMWARE });
  }
  if (backend === undefined) return undefined;
  const model = config?.model ?? "RHEA HARDDISK";
  return new AtaDisk(backend, { model, serial, firmware: FIRMWARE });
}

/** A channel on the ISA bus. */
export class IsaIde implements Device, BootDrives {
  /** Devices 0 and 1. */
  readonly drives: readonly [Drive | undefined, Drive | undefined];
  readonly #channel: Channel;

  /** A channel with the drives that are configured. */
  constructor(config: IdeConfig, context: DeviceContext) {
    this.drives = [
      createDrive(config.disk0, context.block("disk0"), 0),
      createDrive(config.disk1, context.block("disk1"), 1),
    ];
    this.#channel = new Channel({
      name: context.name,
      irq: context.output("irq"),
      drives: this.drives,
    });
    context.io("command", this.#channel.command);
    context.io("control", this.#channel.control);
  }

  /** See `BootDrives`. */
  bootDrives(): readonly BootDrive[] {
    return this.drives.filter((drive) => drive !== undefined)
      .map((drive) => drive.bootDrive);
  }

  /** The drives lose what they were doing; discs stay in. */
  reset(): void {
    this.#channel.reset();
  }

  /** The registers and those of the drives. */
  save(): StateRecord {
    return this.#channel.save();
  }

  /** Go on; what was asked of a backend is asked again. */
  load(record: StateRecord): void {
    this.#channel.load(record);
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
  backends: {
    disk0: { type: "block", optional: true },
    disk1: { type: "block", optional: true },
  },
  provides: ["boot-drives"],
  create: (config, context) => new IsaIde(config, context),
};
export default plugin;
