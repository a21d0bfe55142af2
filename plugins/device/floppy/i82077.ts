/**
 * The floppy controller of a PC: an Intel 82077AA with two drives.
 *
 * Datasheet: Intel 82077AA (290166). The registers are those of AT mode (DIR
 * has DSKCHG alone, TDR the tape bits), with status registers A and B as in
 * PS/2 mode, where an AT has nothing.
 *
 * Differences from the real thing: time (`timing.ts`); what an image can hold
 * (`drive.ts`): WRITE DELETED DATA writes data without its mark, and FORMAT
 * TRACK makes the sectors that the medium's format has and no others; where no
 * index hole passes (no disk, the motor off) a command ends with ST1's MA after
 * a while, as on an empty track, and does not wait for ever. Perpendicular
 * mode, head loading and write precompensation change nothing.
 *
 * @module
 */

import type { BlockBackend } from "../../../core/backend/block.ts";
import type {
  ConfigSchema,
  DevicePlugin,
  Logger,
} from "../../../core/machine/plugin.ts";
import type { SetupMemory } from "../../../core/machine/setup_memory.ts";
import { FloppyController } from "./controller.ts";
import { FloppyDrive } from "./drive.ts";
import { DRIVE_KINDS, type DriveType } from "./media.ts";

/** Ports of the registers, and of DIR and CCR, which lie apart. */
const REGISTER_PORTS = 6;
const CONTROL_PORTS = 1;
/** CMOS (AT Technical Reference): types of the drives, the first one high. */
const CMOS_DRIVES = 0x10;
/** CMOS: equipment; whether there are drives, and how many less one. */
const CMOS_EQUIPMENT = 0x14;
const EQUIPMENT_MASK = 0xc1;

/** Configuration of one drive. */
export interface FloppyUnitConfig {
  /**
   * Which drive it is. By `auto` it is there when it has a backend, and made
   * for its medium.
   */
  readonly type?: DriveType | "auto" | "none";
}

/** Configuration of the controller. */
export interface I82077Config {
  /** The channel of the DMA controllers. */
  readonly channel: number;
  /** Drive A. */
  readonly drive0?: FloppyUnitConfig;
  /** Drive B. */
  readonly drive1?: FloppyUnitConfig;
}

/** Write the drives down for firmware. */
function describe(
  drives: readonly (FloppyDrive | undefined)[],
  setup: SetupMemory,
): void {
  const [a, b] = drives.map((drive) => drive?.kind.cmos ?? 0);
  const count = drives.filter((drive) => drive !== undefined).length;
  setup.preset(CMOS_DRIVES, 0xff, a << 4 | b);
  const equipment = count === 0 ? 0 : count - 1 << 6 | 1;
  setup.preset(CMOS_EQUIPMENT, EQUIPMENT_MASK, equipment);
}

/** A drive as configured; none by `auto` without a backend. */
function createDrive(
  config: FloppyUnitConfig | undefined,
  medium: BlockBackend | undefined,
  log: Logger,
): FloppyDrive | undefined {
  const type = config?.type ?? "auto";
  if (type === "none" || type === "auto" && medium === undefined) {
    return undefined;
  }
  return new FloppyDrive(type === "auto" ? undefined : type, medium, log);
}

const UNIT_SCHEMA: ConfigSchema = {
  type: "object",
  properties: {
    type: {
      type: "string",
      description: "The drive; by auto it is there when it has a backend",
      enum: ["auto", "none", ...Object.keys(DRIVE_KINDS)],
      default: "auto",
    },
  },
};

/** The `i82077` plugin. */
const plugin: DevicePlugin<I82077Config> = {
  type: "device",
  name: "i82077",
  version: "1.1.0",
  description: "The 82077AA floppy controller with two drives",
  config: {
    type: "object",
    properties: {
      channel: {
        type: "integer",
        description: "The channel of the DMA controllers",
        minimum: 0,
        maximum: 3,
        default: 2,
      },
      drive0: UNIT_SCHEMA,
      drive1: UNIT_SCHEMA,
    },
  },
  regions: {
    registers: { space: "ports", size: REGISTER_PORTS, at: 0x3f0 },
    control: { space: "ports", size: CONTROL_PORTS, at: 0x3f7 },
  },
  outputs: ["irq"],
  events: {
    command: {
      description:
        "A command begins: its name in the datasheet, and its bytes with their parameters",
      data: { name: "string", bytes: "bytes" },
    },
  },
  backends: {
    drive0: { type: "block", optional: true },
    drive1: { type: "block", optional: true },
  },
  provides: ["boot-drives", "removable-media"],
  uses: { dma: "isa-dma", setup: "setup-memory" },
  create(config, context) {
    const { log } = context;
    const drives = [
      createDrive(config.drive0, context.block("drive0"), log),
      createDrive(config.drive1, context.block("drive1"), log),
    ] as const;
    describe(drives, context.collaborator("setup"));
    return new FloppyController(drives, config.channel, context);
  },
};
export default plugin;
