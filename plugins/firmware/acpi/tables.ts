/**
 * ACPI's tables as bytes, but for the DSDT's content. Addresses are not known
 * yet: see `core/machine/firmware.ts` for how they are linked.
 *
 * ACPI Specification 6.4, chapter 5 "ACPI Software Programming Model"; the
 * fields have its names. The tables are of ACPI 2.0, with what ACPI 1.0 has
 * in its place, so that both find what they know.
 *
 * @module
 */

/** Length of the header of a table. */
export const HEADER_BYTES = 36;
/** Where the checksum is in it. */
export const CHECKSUM = 9;

const ascii = new TextEncoder();
const OEM_ID = "RHEA  ";
const OEM_TABLE_ID = "RHEAPC  ";
const OEM_REVISION = 1;
const CREATOR_ID = "RHEA";
const CREATOR_REVISION = 1;

/** A table of this signature and revision around a body; checksum 0. */
export function table(
  signature: string,
  revision: number,
  body: Uint8Array,
): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES + body.length);
  const view = new DataView(out.buffer);
  out.set(ascii.encode(signature), 0);
  view.setUint32(4, out.length, true);
  out[8] = revision;
  out.set(ascii.encode(OEM_ID), 10);
  out.set(ascii.encode(OEM_TABLE_ID), 16);
  view.setUint32(24, OEM_REVISION, true);
  out.set(ascii.encode(CREATOR_ID), 28);
  view.setUint32(32, CREATOR_REVISION, true);
  out.set(body, HEADER_BYTES);
  return out;
}

/** The RSDP's fields that are linked. */
export const RSDP = {
  bytes: 36,
  checksum: 8,
  /** What the checksum covers: the part that ACPI 1.0 knows. */
  checked: 20,
  rsdtAddress: 16,
  xsdtAddress: 24,
  extendedChecksum: 32,
} as const;

/** The root system description pointer, 5.2.5. */
export function rsdp(): Uint8Array {
  const out = new Uint8Array(RSDP.bytes);
  out.set(ascii.encode("RSD PTR "), 0);
  out.set(ascii.encode(OEM_ID), 9);
  out[15] = 2; // Revision
  out[20] = RSDP.bytes; // Length
  return out;
}

/** The firmware ACPI control structure, 5.2.10; it has no checksum. */
export function facs(): Uint8Array {
  const out = new Uint8Array(64);
  out.set(ascii.encode("FACS"), 0);
  out[4] = out.length;
  out[32] = 1; // Version
  return out;
}

/** A generic address structure in ports, 5.2.3.2. */
function ports(
  view: DataView,
  at: number,
  address: number,
  bytes: number,
): void {
  view.setUint8(at, 1); // System I/O
  view.setUint8(at + 1, bytes * 8);
  // ACPI 2.0 has no access size here.
  view.setBigUint64(at + 4, BigInt(address), true);
}

/** The FADT's fields that are linked. */
export const FADT = {
  firmwareCtrl: 36,
  dsdt: 40,
  xDsdt: 140,
} as const;

/** What the FADT says of the machine. */
export interface FixedHardware {
  /** The base of the PIIX4's registers among the ports. */
  readonly pmBase: number;
  /** The interrupt that is the SCI. */
  readonly sci: number;
  /** There is a port that resets the machine. */
  readonly resetPort:
    | { readonly port: number; readonly value: number }
    | undefined;
  /** There is an 8042. */
  readonly has8042: boolean;
  /** There is a VGA. */
  readonly hasVga: boolean;
  /** There is a clock in CMOS with its century at this index. */
  readonly century: number | undefined;
}

/** SMI_CMD: the PIIX4's port APMC, and what turns ACPI on and off there. */
const APMC = 0xb2;
const ACPI_ENABLE = 0xf1;
const ACPI_DISABLE = 0xf0;
/** Registers of the PIIX4's power management, by offset. */
const PMSTS = 0x00;
const PMCNTRL = 0x04;
const PMTMR = 0x08;
const GPSTS = 0x0c;
/** P_LVL2_LAT and P_LVL3_LAT: there is neither state. */
const NO_LEVEL = 0xfff;
/** IAPC_BOOT_ARCH. */
const LEGACY_DEVICES = 1 << 0;
const HAS_8042 = 1 << 1;
const NO_VGA = 1 << 2;
const NO_CMOS_RTC = 1 << 5;
/** Flags: WBINVD works, C1 works, there is no sleep button, and there is a
 * reset register. */
const WBINVD = 1 << 0;
const PROC_C1 = 1 << 2;
const NO_SLP_BUTTON = 1 << 5;
const RESET_REG_SUP = 1 << 10;

/** The fixed ACPI description table of ACPI 2.0, 5.2.9. */
export function fadt(hardware: FixedHardware): Uint8Array {
  const { pmBase, sci, resetPort, century } = hardware;
  const out = table("FACP", 3, new Uint8Array(244 - HEADER_BYTES));
  const view = new DataView(out.buffer);
  view.setUint16(46, sci, true); // SCI_INT
  view.setUint32(48, APMC, true); // SMI_CMD
  out[52] = ACPI_ENABLE;
  out[53] = ACPI_DISABLE;
  view.setUint32(56, pmBase + PMSTS, true); // PM1a_EVT_BLK
  view.setUint32(64, pmBase + PMCNTRL, true); // PM1a_CNT_BLK
  view.setUint32(76, pmBase + PMTMR, true); // PM_TMR_BLK
  view.setUint32(80, pmBase + GPSTS, true); // GPE0_BLK
  out[88] = 4; // PM1_EVT_LEN
  out[89] = 2; // PM1_CNT_LEN
  out[91] = 4; // PM_TMR_LEN
  out[92] = 4; // GPE0_BLK_LEN
  view.setUint16(96, NO_LEVEL, true); // P_LVL2_LAT
  view.setUint16(98, NO_LEVEL, true); // P_LVL3_LAT
  out[108] = century ?? 0;
  const architecture = LEGACY_DEVICES |
    (hardware.has8042 ? HAS_8042 : 0) | (hardware.hasVga ? 0 : NO_VGA) |
    (century === undefined ? NO_CMOS_RTC : 0);
  view.setUint16(109, architecture, true); // IAPC_BOOT_ARCH
  const flags = WBINVD | PROC_C1 | NO_SLP_BUTTON |
    (resetPort === undefined ? 0 : RESET_REG_SUP);
  view.setUint32(112, flags, true);
  if (resetPort !== undefined) {
    ports(view, 116, resetPort.port, 1); // RESET_REG
    out[128] = resetPort.value;
  }
  ports(view, 148, pmBase + PMSTS, 4); // X_PM1a_EVT_BLK
  ports(view, 172, pmBase + PMCNTRL, 2); // X_PM1a_CNT_BLK
  ports(view, 208, pmBase + PMTMR, 4); // X_PM_TMR_BLK
  ports(view, 220, pmBase + GPSTS, 4); // X_GPE0_BLK
  return out;
}

/** The APICs of a machine. */
export interface Apics {
  /** The address at which each CPU finds its local APIC. */
  readonly localAddress: number;
  /** The local APICs' IDs, the bootstrap processor's first. */
  readonly local: readonly number[];
  /** The I/O APIC. */
  readonly io: { readonly id: number; readonly address: number };
  /**
   * ISA interrupts that the I/O APIC gets in another way than as edges at the
   * input of the same number.
   */
  readonly overrides: readonly {
    /** The ISA interrupt. */
    readonly irq: number;
    /** The input. */
    readonly gsi: number;
    /** It is level-triggered, active high. */
    readonly level: boolean;
  }[];
}

/** MADT: there are 8259s too. */
const PCAT_COMPAT = 1;
/** Polarity and trigger of an override: as the bus has it; high and level. */
const CONFORMS = 0;
const HIGH_LEVEL = 0x0d;
/** The pin at which local APICs get NMI. */
const NMI_LINT = 1;
const ALL_PROCESSORS = 0xff;

/** The multiple APIC description table, 5.2.12. */
export function madt(apics: Apics): Uint8Array {
  const entries: number[][] = [];
  const word = (value: number): number[] => [
    value & 0xff,
    value >>> 8 & 0xff,
    value >>> 16 & 0xff,
    value >>> 24,
  ];
  apics.local.forEach((id, uid) => {
    entries.push([0, 8, uid, id, ...word(1)]); // enabled
  });
  const { io, overrides } = apics;
  entries.push([1, 12, io.id, 0, ...word(io.address), ...word(0)]);
  for (const { irq, gsi, level } of overrides) {
    const flags = level ? HIGH_LEVEL : CONFORMS;
    entries.push([2, 10, 0, irq, ...word(gsi), flags, 0]);
  }
  entries.push([4, 6, ALL_PROCESSORS, CONFORMS, 0, NMI_LINT]);
  const body = [...word(apics.localAddress), ...word(PCAT_COMPAT)];
  return table("APIC", 1, Uint8Array.from([...body, ...entries.flat()]));
}

/**
 * The IA-PC HPET description table (HPET specification 1.0a, 3.2.4): `id` is
 * the low half of the capabilities register at `address`.
 */
export function hpet(id: number, address: number): Uint8Array {
  const body = new Uint8Array(20);
  const view = new DataView(body.buffer);
  view.setUint32(0, id, true);
  // BASE_ADDRESS: system memory.
  view.setBigUint64(8, BigInt(address), true);
  return table("HPET", 1, body);
}
