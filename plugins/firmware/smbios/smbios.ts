/**
 * SMBIOS' tables: what the system is called, its memory and CPUs. Gives them to
 * fw_cfg, which hands them to firmware or places them itself.
 *
 * @module
 */

import type {
  FirmwareConfig,
  TableSet,
} from "../../../core/machine/firmware.ts";
import {
  type DeviceContext,
  type DevicePlugin,
  ramAbove4G,
} from "../../../core/machine/plugin.ts";
import type { ConfigSchema } from "../../../core/machine/schema_types.ts";
import { StatelessDevice } from "../../../core/machine/stateless_device.ts";
import {
  ENTRY_POINT,
  entryPoint,
  structures,
  type SystemFacts,
} from "./structures.ts";

/** The blobs' names; firmware knows by them what they are. */
const ANCHOR = "etc/smbios/smbios-anchor";
const TABLES = "etc/smbios/smbios-tables";
/** fw_cfg's item with the UUID. */
const FW_CFG_UUID = 0x02;

/** The plugin's configuration. */
export interface SmbiosConfig {
  /** See `SystemFacts.system`. */
  readonly manufacturer: string;
  /** See `SystemFacts.system`. */
  readonly product: string;
  /** See `SystemFacts.system`. */
  readonly version: string;
  /** See `SystemFacts.system`. */
  readonly serial: string;
  /** See `SystemFacts.system`. */
  readonly sku: string;
  /** See `SystemFacts.system`. */
  readonly family: string;
  /** As text. */
  readonly uuid: string;
  /** See `SystemFacts.bios`. */
  readonly bios: SystemFacts["bios"];
  /** RAM in bytes. */
  readonly memory: number;
  /** The number of CPUs. */
  readonly cpus: number;
}

/** The bytes of a UUID in network order. Throws an `Error` when it is none. */
export function parseUuid(text: string): Uint8Array {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new Error(
      `"${text}" is no UUID, expected 01234567-89ab-cdef-0123-456789abcdef`,
    );
  }
  const digits = text.replaceAll("-", "");
  return Uint8Array.from(
    { length: 16 },
    (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

/** The longest text: what a structure's users are sure to have room for. */
const TEXT_MAX = 255;

/** Every text in a configuration: a zero would end it in its structure. */
function checkTexts(value: object): void {
  for (const [key, text] of Object.entries(value)) {
    if (typeof text === "object") checkTexts(text);
    else if (typeof text !== "string") continue;
    else if (text.includes("\0") || text.length > TEXT_MAX) {
      throw new Error(
        `"${key}" has a zero in it or more than ${TEXT_MAX} characters`,
      );
    }
  }
}

/** The tables that a configuration means; `above4G` as in `SystemFacts`. */
export function smbiosTables(config: SmbiosConfig, above4G = 0): TableSet {
  const { bios, cpus, memory } = config;
  const system = { ...config, uuid: parseUuid(config.uuid) };
  const all = structures({ bios, system, cpus, memory, above4G });
  const { bytes, intermediate } = ENTRY_POINT;
  return {
    linked: false,
    blobs: [
      { name: ANCHOR, bytes: entryPoint(all), align: 16, zone: "entry" },
      {
        name: TABLES,
        bytes: Uint8Array.from(all.flatMap((part) => [...part])),
        align: 16,
        zone: "table",
      },
    ],
    links: [
      {
        kind: "pointer",
        blob: ANCHOR,
        offset: ENTRY_POINT.tableAddress,
        size: 4,
        target: TABLES,
      },
      {
        kind: "checksum",
        blob: ANCHOR,
        offset: ENTRY_POINT.intermediateChecksum,
        start: intermediate,
        length: bytes - intermediate,
      },
      {
        kind: "checksum",
        blob: ANCHOR,
        offset: ENTRY_POINT.checksum,
        start: 0,
        length: bytes,
      },
    ],
  };
}

/** The device that has the tables. */
export class Smbios extends StatelessDevice {
  /** The tables of a configuration. */
  constructor(config: SmbiosConfig, context: DeviceContext) {
    super(context.name);
    checkTexts(config);
    const above4G = Math.min(
      ramAbove4G(context.survey().ram),
      config.memory,
    );
    const tables = smbiosTables(config, above4G);
    const uuid = parseUuid(config.uuid);
    const firmware = context.collaborator<FirmwareConfig>("config");
    firmware.addTables(() => tables);
    firmware.addItem(FW_CFG_UUID, () => uuid);
  }
}

const text = (description: string, value: string): ConfigSchema => ({
  type: "string",
  description,
  default: value,
});

/** The `smbios` plugin. */
const plugin: DevicePlugin<SmbiosConfig> = {
  type: "device",
  name: "smbios",
  version: "1.0.0",
  description: "SMBIOS 2.8: what the system is called, its memory and CPUs",
  config: {
    type: "object",
    properties: {
      manufacturer: text("Who made the system", "Rhea"),
      product: text("What it is called", "PC"),
      version: text("Its version", "1.0"),
      serial: text("Its serial number", ""),
      sku: text("What identifies its configuration for sale", ""),
      family: text("What family of systems it belongs to", ""),
      uuid: text("Its UUID", "00000000-0000-0000-0000-000000000000"),
      bios: {
        type: "object",
        description: "The firmware",
        default: {},
        properties: {
          vendor: text("Who made it", "Rhea"),
          version: text("Its version", "1.0"),
          date: text("Its date, as MM/DD/YYYY", "01/01/2026"),
        },
      },
      memory: {
        format: "memory-size",
        description: "RAM from address 0 on: a size, or the memory's name",
        default: "16M",
      },
      cpus: {
        type: "integer",
        from: "cpu.count",
        description: "The number of CPUs",
        minimum: 1,
        maximum: 255,
        default: 1,
      },
    },
  },
  uses: { config: "firmware-config" },
  surveys: true,
  create: (config, context) => new Smbios(config, context),
};
export default plugin;
