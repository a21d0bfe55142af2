/**
 * The tables of Intel's MultiProcessor Specification, version 1.4, chapter 4:
 * what operating systems without ACPI, or told not to use it, find the CPUs and
 * the I/O APIC by. SeaBIOS makes its own; these are for a guest that starts
 * without it. OVMF has none.
 *
 * They say what `tables.ts` says in the MADT, and in place of the DSDT's
 * routes: the lines of PCI are at I/O APIC pins of their own.
 *
 * @module
 */

import type { PciPlace } from "../../../core/bus/pci.ts";
import type {
  FirmwareConfig,
  TableSet,
} from "../../../core/machine/firmware.ts";
import type {
  DeviceContext,
  DevicePlugin,
  MachineSurvey,
  SurveyedDevice,
} from "../../../core/machine/plugin.ts";
import { StatelessDevice } from "../../../core/machine/stateless_device.ts";

/** The blobs' names; no firmware asks for them. */
const POINTER = "etc/mp/pointer";
const TABLE = "etc/mp/table";

/** The floating pointer, 4.1: where the table's address and the checksum are. */
const POINTER_BYTES = 16;
const POINTER_ADDRESS = 4;
const POINTER_CHECKSUM = 10;
/** The configuration table's header, 4.2. */
const HEADER_BYTES = 44;
const HEADER_CHECKSUM = 7;
/** In units of 16 bytes, and as the fourth revision of version 1. */
const POINTER_LENGTH = 1;
const SPECIFICATION = 4;

// Entries, 4.3.
const PROCESSOR = 0,
  BUS = 1,
  IO_APIC = 2,
  IO_INTERRUPT = 3,
  LOCAL_INTERRUPT = 4;
/** A processor's flags: usable, and the first one. */
const ENABLED = 1;
const BOOTSTRAP = 2;
const IO_APIC_VERSION = 0x11;
const LOCAL_APIC_VERSION = 0x14;
/** A Pentium Pro, of which its FPU and APIC are told: table 4-5. */
const SIGNATURE = 0x600;
const FEATURES = 0x201;
/** Interrupt types: by vector, NMI, by an 8259A. */
const INT = 0,
  NMI = 1,
  EXTINT = 3;
/** Polarity and trigger: as the bus has it. */
const CONFORMS = 0;
/** All local APICs. */
const ALL = 0xff;
/** Bus IDs: that of a PCI bus is its number. */
const PCI_BUS = 0;
const ISA_BUS = 1;

const LOCAL_APIC = 0xfee00000;
const ISA_IRQS = 16;
/** The ISA interrupt that is the 8259As' own, and the I/O APIC pin of IRQ 0. */
const CASCADE = 2;
const TIMER_PIN = 2;
/** Pins of a PCI slot, and what they are led to. */
const PCI_PINS = ["pirqa", "pirqb", "pirqc", "pirqd"];

const ascii = new TextEncoder();

function word(value: number): number[] {
  return [value, value >>> 8, value >>> 16, value >>> 24].map((b) => b & 255);
}

/** The entries of the configuration table; undefined without APICs. */
function entries({ devices }: MachineSurvey): number[][] | undefined {
  const of = (plugin: string): SurveyedDevice | undefined =>
    devices.find((device) => device.plugin === plugin);
  const idOf = ({ config }: SurveyedDevice): number =>
    (config as { id?: number }).id ?? 0;
  const local = devices.filter(({ plugin }) => plugin === "lapic").map(idOf);
  const ioapic = of("ioapic");
  if (ioapic === undefined || local.length === 0) return undefined;
  const ioId = idOf(ioapic);
  const [registers] = ioapic.regions.values();
  const found = local.map((id, i) => [
    ...[PROCESSOR, id, LOCAL_APIC_VERSION],
    ENABLED | (i === 0 ? BOOTSTRAP : 0),
    ...[...word(SIGNATURE), ...word(FEATURES), ...word(0), ...word(0)],
  ]);
  const bridge = of("i440fx");
  if (bridge !== undefined) {
    found.push([BUS, PCI_BUS, ...ascii.encode("PCI   ")]);
  }
  found.push([BUS, ISA_BUS, ...ascii.encode("ISA   ")]);
  found.push([IO_APIC, ioId, IO_APIC_VERSION, 1, ...word(registers.base)]);
  const interrupt = (
    entry: number,
    type: number,
    bus: number,
    irq: number,
    apic: number,
    pin: number,
  ) => found.push([entry, type, CONFORMS, 0, bus, irq, apic, pin]);
  for (let irq = 0; irq < ISA_IRQS; irq++) {
    if (irq === CASCADE) continue;
    const pin = irq === 0 ? TIMER_PIN : irq;
    interrupt(IO_INTERRUPT, INT, ISA_BUS, irq, ioId, pin);
  }
  for (const slot of slots(devices, of("piix3"))) {
    PCI_PINS.forEach((_, pin) => {
      // As the DSDT has it: PIRQA is INTA# of slot 1, each slot one further.
      const line = PCI_PINS[(slot - 1 + pin) % PCI_PINS.length];
      const to = pinOf(bridge?.wires.get(line) ?? [], ioapic.name);
      if (to === undefined) return;
      interrupt(IO_INTERRUPT, INT, PCI_BUS, slot << 2 | pin, ioId, to);
    });
  }
  interrupt(LOCAL_INTERRUPT, EXTINT, ISA_BUS, 0, local[0], 0);
  interrupt(LOCAL_INTERRUPT, NMI, ISA_BUS, 0, ALL, 1);
  return found;
}

/**
 * The slots with PCI functions, in ascending order, but for the host bridge's
 * and those of the ISA bridge, whose functions interrupt as ISA devices do.
 */
function slots(
  devices: readonly SurveyedDevice[],
  isa: SurveyedDevice | undefined,
): number[] {
  const slotOf = ({ config }: SurveyedDevice): number =>
    (config as Partial<PciPlace>).slot ?? 0;
  const found = new Set(devices.map(slotOf));
  if (isa !== undefined) found.delete(slotOf(isa));
  found.delete(0);
  return [...found].sort((a, b) => a - b);
}

/** The pin of the I/O APIC among what a line drives. */
function pinOf(
  targets: readonly string[],
  ioapic: string,
): number | undefined {
  for (const target of targets) {
    const [name, input] = target.split(".");
    const pin = /^irq(\d+)$/.exec(input);
    if (name === ioapic && pin !== null) return Number(pin[1]);
  }
  return undefined;
}

/** The tables of a machine; none without APICs. */
export function mpTables(survey: MachineSurvey): TableSet {
  const found = entries(survey);
  if (found === undefined) return { linked: false, blobs: [], links: [] };
  const body = found.flat();
  const table = Uint8Array.from([
    ...ascii.encode("PCMP"),
    ...word(HEADER_BYTES + body.length | SPECIFICATION << 16),
    ...ascii.encode("RHEA    PC          "),
    ...word(0),
    ...word(found.length << 16),
    ...word(LOCAL_APIC),
    ...word(0),
    ...body,
  ]);
  const pointer = Uint8Array.from([
    ...ascii.encode("_MP_"),
    ...word(0),
    ...[POINTER_LENGTH, SPECIFICATION, 0],
    // There is a table, and the 8259As come by the virtual wire.
    ...[0, 0, ...word(0).slice(1)],
  ]);
  return {
    linked: false,
    blobs: [
      { name: POINTER, bytes: pointer, align: POINTER_BYTES, zone: "entry" },
      { name: TABLE, bytes: table, align: POINTER_BYTES, zone: "table" },
    ],
    links: [
      {
        kind: "pointer",
        blob: POINTER,
        offset: POINTER_ADDRESS,
        size: 4,
        target: TABLE,
      },
      {
        kind: "checksum",
        blob: POINTER,
        offset: POINTER_CHECKSUM,
        start: 0,
        length: POINTER_BYTES,
      },
      {
        kind: "checksum",
        blob: TABLE,
        offset: HEADER_CHECKSUM,
        start: 0,
        length: table.length,
      },
    ],
  };
}

/** The device that has the tables. */
export class MpTables extends StatelessDevice {
  /** The tables of the machine that the context surveys. */
  constructor(context: DeviceContext) {
    super(context.name);
    const tables = mpTables(context.survey());
    context.collaborator<FirmwareConfig>("config").addTables(() => tables);
  }
}

/** The `mp-tables` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "mp-tables",
  version: "1.0.0",
  description: "Intel's MultiProcessor tables, made from the definition",
  uses: { config: "firmware-config" },
  surveys: true,
  create: (_config, context) => new MpTables(context),
};
export default plugin;
