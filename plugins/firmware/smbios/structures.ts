/**
 * SMBIOS' structures and its entry point, as bytes.
 *
 * DMTF DSP0134, System Management BIOS Reference Specification 2.8: 5.2.1 "SMBIOS
 * Structure Table Entry Point", chapter 7 "Structure definitions", whose names
 * the fields have. What a virtual machine cannot know is "unknown" there.
 *
 * @module
 */

/** What the structures say. */
export interface SystemFacts {
  /** Of the firmware, type 0. */
  readonly bios: {
    /** Who made it. */
    readonly vendor: string;
    /** Its version. */
    readonly version: string;
    /** Its date, as `MM/DD/YYYY`. */
    readonly date: string;
  };
  /** Of the system, type 1. */
  readonly system: {
    /** Who made it. */
    readonly manufacturer: string;
    /** What it is called. */
    readonly product: string;
    /** Its version. */
    readonly version: string;
    /** Its serial number. */
    readonly serial: string;
    /** What identifies its configuration for sale. */
    readonly sku: string;
    /** What family of systems it belongs to. */
    readonly family: string;
    /** Its UUID, 16 bytes in network order. */
    readonly uuid: Uint8Array;
  };
  /** The number of CPUs. */
  readonly cpus: number;
  /** RAM in bytes. */
  readonly memory: number;
  /** How much of it is from 4 GiB on; the rest is from address 0 on. */
  readonly above4G: number;
}

/** Handles, by type as QEMU's are: type 1 has 0100h. */
const handle = (type: number, index = 0): number => type << 8 | index;

const NO_HANDLE = 0xffff;
const NO_ERROR_INFORMATION = 0xfffe;
const KIB = 1024;
const MIB = 1024 * 1024;
/** Sizes from here on are in the extended fields. */
const EXTENDED_CAPACITY = 0x80000000;
const EXTENDED_SIZE = 0x7fff;

/** A field: a number of so many bytes, or a string of the structure. */
type Field = readonly [value: number | bigint, bytes: number] | string;

/** A structure, its strings and the zeros that end it. */
function structure(
  type: number,
  index: number,
  fields: readonly Field[],
): Uint8Array {
  const strings: string[] = [];
  const body: number[] = [];
  for (const field of fields) {
    if (typeof field === "string") {
      // An empty string is none at all: number 0.
      body.push(field === "" ? 0 : strings.push(field));
      continue;
    }
    const [value, bytes] = field;
    for (let i = 0; i < bytes; i++) {
      body.push(Number(BigInt(value) >> BigInt(8 * i) & 0xffn));
    }
  }
  const at = handle(type, index);
  const text = strings.map((string) => `${string}\0`).join("");
  return Uint8Array.from([
    type,
    4 + body.length,
    at & 0xff,
    at >> 8,
    ...body,
    ...new TextEncoder().encode(text === "" ? "\0\0" : `${text}\0`),
  ]);
}

/** The UUID as 7.2.1 has it: its first three fields are little-endian. */
function wireUuid(uuid: Uint8Array): Field[] {
  return [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
    .map((i) => [uuid[i], 1]);
}

/** BIOS characteristics: ISA, PCI, boots from CD, EDD. */
const CHARACTERISTICS = 1n << 4n | 1n << 7n | 1n << 15n | 1n << 19n;
/** Their first extension byte: ACPI. The second: a virtual machine. */
const HAS_ACPI = 0x01;
const VIRTUAL_MACHINE = 0x10;

function bios({ bios: { vendor, version, date } }: SystemFacts): Uint8Array {
  return structure(0, 0, [
    vendor,
    version,
    [0xf000, 2], // starting address segment
    date,
    [0, 1], // ROM size: 64 KiB
    [CHARACTERISTICS, 8],
    [HAS_ACPI, 1],
    [VIRTUAL_MACHINE, 1],
    ...[[0xff, 1], [0xff, 1], [0xff, 1], [0xff, 1]] as const, // no releases
  ]);
}

function system({ system: facts }: SystemFacts): Uint8Array {
  return structure(1, 0, [
    facts.manufacturer,
    facts.product,
    facts.version,
    facts.serial,
    ...wireUuid(facts.uuid),
    [6, 1], // wake-up type: power switch
    facts.sku,
    facts.family,
  ]);
}

function enclosure({ system: facts }: SystemFacts): Uint8Array {
  return structure(3, 0, [
    facts.manufacturer,
    [1, 1], // type: other
    facts.version,
    facts.serial,
    "",
    ...[[3, 1], [3, 1], [3, 1]] as const, // states: safe
    [2, 1], // security: unknown
    [0, 4],
    ...[[0, 1], [0, 1], [0, 1], [0, 1]] as const, // height, cords, contents
    facts.sku,
  ]);
}

function processor(facts: SystemFacts, index: number): Uint8Array {
  const unknown = 2;
  return structure(4, index, [
    `CPU ${index}`,
    [3, 1], // type: central processor
    [1, 1], // family: other
    facts.system.manufacturer,
    [0, 8], // ID
    facts.system.version,
    [0, 1], // voltage
    ...[[0, 2], [0, 2], [0, 2]] as const, // clocks: unknown
    [0x41, 1], // populated and enabled
    [1, 1], // upgrade: other
    ...[[NO_HANDLE, 2], [NO_HANDLE, 2], [NO_HANDLE, 2]] as const, // caches
    "",
    "",
    "",
    ...[[1, 1], [1, 1], [1, 1]] as const, // cores, enabled, threads
    [unknown, 2], // characteristics
    [1, 2], // family 2
  ]);
}

function memoryArray({ memory }: SystemFacts): Uint8Array {
  const kib = Math.ceil(memory / KIB);
  const isExtended = kib >= EXTENDED_CAPACITY;
  return structure(16, 0, [
    [1, 1], // location: other
    [3, 1], // use: system memory
    [3, 1], // error correction: none
    [isExtended ? EXTENDED_CAPACITY : kib, 4],
    [NO_ERROR_INFORMATION, 2],
    [1, 2], // number of devices
    [isExtended ? BigInt(memory) : 0, 8],
  ]);
}

function memoryDevice({ memory, system }: SystemFacts): Uint8Array {
  const mib = Math.ceil(memory / MIB);
  return structure(17, 0, [
    [handle(16), 2],
    [NO_ERROR_INFORMATION, 2],
    ...[[0xffff, 2], [0xffff, 2]] as const, // widths: unknown
    [Math.min(mib, EXTENDED_SIZE), 2],
    [9, 1], // form factor: DIMM
    [0, 1],
    "DIMM 0",
    "",
    [7, 1], // type: RAM
    [2, 2], // detail: other
    [0, 2], // speed: unknown
    system.manufacturer,
    "",
    "",
    "",
    [0, 1], // attributes
    [mib >= EXTENDED_SIZE ? mib : 0, 4],
    [0, 2], // configured clock
    ...[[0, 2], [0, 2], [0, 2]] as const, // voltages
  ]);
}

/** A range of addresses; its bounds are in KiB. */
function mappedAddress(index: number, base: number, size: number): Uint8Array {
  const last = Math.ceil((base + size) / KIB) - 1;
  return structure(19, index, [
    [base / KIB, 4],
    [last, 4],
    [handle(16), 2],
    [1, 1], // partition width
    [0, 8],
    [0, 8],
  ]);
}

function mappedAddresses({ memory, above4G }: SystemFacts): Uint8Array[] {
  const low = mappedAddress(0, 0, memory - above4G);
  return above4G === 0 ? [low] : [low, mappedAddress(1, 2 ** 32, above4G)];
}

/** All structures of a system, the end of the table included. */
export function structures(facts: SystemFacts): readonly Uint8Array[] {
  return [
    bios(facts),
    system(facts),
    enclosure(facts),
    ...Array.from({ length: facts.cpus }, (_, i) => processor(facts, i)),
    memoryArray(facts),
    memoryDevice(facts),
    ...mappedAddresses(facts),
    structure(32, 0, [[0, 6], [0, 1]]), // boot: no errors detected
    structure(127, 0, []),
  ];
}

/** The entry point's fields that are linked. */
export const ENTRY_POINT = {
  bytes: 0x1f,
  checksum: 0x04,
  /** "_DMI_" and what follows have a checksum of their own. */
  intermediate: 0x10,
  intermediateChecksum: 0x15,
  tableAddress: 0x18,
} as const;

/** The entry point to these structures, without address and checksums. */
export function entryPoint(all: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(ENTRY_POINT.bytes);
  const view = new DataView(out.buffer);
  const ascii = new TextEncoder();
  out.set(ascii.encode("_SM_"), 0);
  out[0x05] = ENTRY_POINT.bytes;
  out[0x06] = 2; // version 2.8
  out[0x07] = 8;
  view.setUint16(0x08, Math.max(...all.map((s) => s.length)), true);
  out.set(ascii.encode("_DMI_"), ENTRY_POINT.intermediate);
  view.setUint16(0x16, all.reduce((sum, s) => sum + s.length, 0), true);
  view.setUint16(0x1c, all.length, true);
  out[0x1e] = 0x28;
  return out;
}
