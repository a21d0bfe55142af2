/**
 * ACPI's tables: gives them to fw_cfg, which hands them to firmware or places
 * them itself.
 *
 * What is in them is taken from the machine definition (`board.ts`) and not
 * configured: a serial port that a machine file adds, or an I/O APIC, is in the
 * tables because it is in the machine. The collaborators say what cannot be
 * read there: who takes the tables, and which hardware is to be as the FADT says
 * (the PM registers' base, the SCI's trigger) when no firmware sets it up.
 *
 * @module
 */

import type {
  AcpiPm,
  EdgeLevelControl,
  FirmwareConfig,
  TableBlob,
  TableChecksum,
  TablePointer,
  TableSet,
} from "../../../core/machine/firmware.ts";
import type {
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import { StatelessDevice } from "../../../core/machine/stateless_device.ts";
import { join } from "./aml.ts";
import { type Board, boardOf } from "./board.ts";
import { dsdt } from "./dsdt.ts";
import {
  CHECKSUM,
  facs,
  FADT,
  fadt,
  HEADER_BYTES,
  hpet,
  madt,
  RSDP,
  rsdp,
  table,
} from "./tables.ts";

/** The blobs' names, as QEMU has them. */
const TABLES = "etc/acpi/tables";
const ROOT = "etc/acpi/rsdp";
/** The FACS' alignment; QEMU's blob of all tables has it too. */
const ALIGN = 64;

/**
 * The tables of a machine, linked to each other. `hpetId` is the low half of
 * the HPET's capabilities register.
 */
export function acpiTables(board: Board, hpetId: number): TableSet {
  const links: (TablePointer | TableChecksum)[] = [];
  const parts: Uint8Array[] = [];
  let size = 0;
  const add = (bytes: Uint8Array): number => {
    const at = size;
    parts.push(bytes);
    size += bytes.length;
    return at;
  };
  const pointer = (
    blob: string,
    bytes: Uint8Array,
    start: number,
    offset: number,
    width: 4 | 8,
    target: number,
  ): void => {
    const view = new DataView(bytes.buffer);
    view.setUint32(offset, target, true);
    links.push({
      kind: "pointer",
      blob,
      offset: start + offset,
      size: width,
      target: TABLES,
    });
  };
  const sealed = (bytes: Uint8Array, at: number): number => {
    links.push({
      kind: "checksum",
      blob: TABLES,
      offset: at + CHECKSUM,
      start: at,
      length: bytes.length,
    });
    return at;
  };

  const facsAt = add(facs());
  const namespace = table("DSDT", 2, dsdt(board));
  const dsdtAt = sealed(namespace, add(namespace));
  const fixed = fadt(board.fixed);
  const fadtAt = add(fixed);
  pointer(TABLES, fixed, fadtAt, FADT.firmwareCtrl, 4, facsAt);
  pointer(TABLES, fixed, fadtAt, FADT.dsdt, 4, dsdtAt);
  pointer(TABLES, fixed, fadtAt, FADT.xDsdt, 8, dsdtAt);
  const described = [sealed(fixed, fadtAt)];
  const more = [
    ...(board.apics === undefined ? [] : [madt(board.apics)]),
    ...(board.hpet === undefined ? [] : [hpet(hpetId, board.hpet)]),
  ];
  for (const bytes of more) described.push(sealed(bytes, add(bytes)));

  const root = rsdp();
  const index = (signature: string, width: 4 | 8, field: number): void => {
    const bytes = table(
      signature,
      1,
      new Uint8Array(width * described.length),
    );
    const at = add(bytes);
    described.forEach((target, i) =>
      pointer(TABLES, bytes, at, HEADER_BYTES + width * i, width, target)
    );
    sealed(bytes, at);
    pointer(ROOT, root, 0, field, width, at);
  };
  index("RSDT", 4, RSDP.rsdtAddress);
  index("XSDT", 8, RSDP.xsdtAddress);
  const rootSum = (offset: number, length: number): TableChecksum => ({
    kind: "checksum",
    blob: ROOT,
    offset,
    start: 0,
    length,
  });
  links.push(
    rootSum(RSDP.checksum, RSDP.checked),
    rootSum(RSDP.extendedChecksum, RSDP.bytes),
  );
  const blobs: TableBlob[] = [
    { name: TABLES, bytes: join(parts), align: ALIGN, zone: "table" },
    { name: ROOT, bytes: root, align: 16, zone: "entry" },
  ];
  return { blobs, links, linked: true };
}

/** The device that has the tables. */
export class Acpi extends StatelessDevice {
  /** The tables of the machine that the context surveys. */
  constructor(context: DeviceContext) {
    super(context.name);
    const surveyed = boardOf(context.survey());
    const pm = context.collaborator<AcpiPm>("pm");
    const pic = context.collaborator<EdgeLevelControl>("pic");
    const id = new Uint8Array(4);
    context.collaborator<FirmwareConfig>("config").addTables(() => {
      // Firmware other than the built-in one has a place of its own for it.
      const pmBase = pm.pmBase ?? surveyed.fixed.pmBase;
      const board = { ...surveyed, fixed: { ...surveyed.fixed, pmBase } };
      // As firmware does: the timer itself knows best what it is.
      if (board.hpet !== undefined) context.dma.read(board.hpet, id);
      const hpetId = new DataView(id.buffer).getUint32(0, true);
      return {
        ...acpiTables(board, hpetId),
        prepare() {
          pm.placePm(board.fixed.pmBase);
          pic.setLevelTriggered(board.fixed.sci);
        },
      };
    });
  }
}

/** The `acpi` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "acpi",
  version: "1.0.0",
  description: "ACPI's tables of a PC with a 440FX, made from its definition",
  uses: {
    config: "firmware-config",
    pm: "acpi-pm",
    pic: "edge-level-control",
  },
  surveys: true,
  create: (_config, context) => new Acpi(context),
};
export default plugin;
