/**
 * What devices, firmware and loaders have in common about describing a machine
 * to its guest: items that firmware asks for by name, and tables that stand in
 * memory (ACPI's, SMBIOS') with the links between them.
 *
 * Tables are kept unplaced, as blobs with pointers and checksums that follow
 * when it is known where the blobs are. Either the guest's firmware places them
 * (by `etc/table-loader`, QEMU's `hw/acpi/bios-linker-loader.c`), or
 * `FirmwareTables.placeTables` does, where no firmware runs or the built-in one
 * does.
 *
 * @module
 */

/** A piece of memory with tables. */
export interface TableBlob {
  /** Its name among all blobs, as `etc/acpi/tables`; 55 bytes at most. */
  readonly name: string;
  /** Its bytes, with 0 for what links fill in. */
  readonly bytes: Uint8Array;
  /** A power of two that its address is a multiple of. */
  readonly align: number;
  /**
   * `entry`: guests search for it at multiples of 16 in F0000h to FFFFFh;
   * `table`: anywhere in RAM below 4 GiB.
   */
  readonly zone: "entry" | "table";
}

/** An address within a blob: the target's address is added to what is there. */
export interface TablePointer {
  /** What it is. */
  readonly kind: "pointer";
  /** The blob that it is in. */
  readonly blob: string;
  /** Where in it. */
  readonly offset: number;
  /** Its size in bytes. */
  readonly size: 4 | 8;
  /** The blob it points into. */
  readonly target: string;
}

/** A byte that makes the bytes of a range 0 in sum, modulo 256. */
export interface TableChecksum {
  /** What it is. */
  readonly kind: "checksum";
  /** The blob. */
  readonly blob: string;
  /** Where in it the byte is, which is 0 before. */
  readonly offset: number;
  /** Where the range starts. */
  readonly start: number;
  /** How long it is. */
  readonly length: number;
}

/** Tables that are placed together. */
export interface TableSet {
  /** Their memory. */
  readonly blobs: readonly TableBlob[];
  /** What is filled in when they have been placed, in this order. */
  readonly links: readonly (TablePointer | TableChecksum)[];
  /**
   * Whether the guest's firmware follows `links`; without it the firmware knows
   * by the blobs' names what they are.
   */
  readonly linked: boolean;
  /** Set the hardware up as firmware does that places such tables. */
  prepare?(): void;
}

/** The contract `firmware-config`: what firmware can ask for (`fw_cfg`). */
export interface FirmwareConfig {
  /**
   * Give a file; the function is called at each reset, after all devices have
   * been made. Throws an `Error` when there is a file of this name already.
   */
  addFile(name: string, bytes: () => Uint8Array): void;
  /**
   * Give an item without a name, by its selector key below 20h or from 8000h
   * on; it takes the place of what was there.
   */
  addItem(key: number, bytes: () => Uint8Array): void;
  /**
   * Give tables, in the same way: each blob is a file. The function is called
   * again when firmware selects one, for firmware may have set up by then what
   * they describe; a blob's size stays.
   */
  addTables(tables: () => TableSet): void;
}

/** Where tables go. */
export interface TablePlace {
  /** Tables end here, in RAM below 4 GiB. */
  readonly end: number;
  /**
   * A page of 4 KiB from F0000h to FF000h at which the entry points can be
   * read until the machine is reset, whatever else is there.
   */
  readonly entries: number;
}

/** Tables in memory. */
export interface PlacedTables {
  /**
   * What lies from here up to `TablePlace.end` belongs to them; just this when
   * there are no tables.
   */
  readonly base: number;
  /** Addresses of the blobs, by name; `etc/acpi/rsdp` is ACPI's root. */
  readonly addresses: ReadonlyMap<string, number>;
}

/** The contract `firmware-tables`: places what was given as tables. */
export interface FirmwareTables {
  /**
   * Place all tables and set up what they describe, as firmware does. Throws
   * a `RangeError` when the entry points do not fit in their page.
   */
  placeTables(place: TablePlace): PlacedTables;
}

/** The contract `acpi-pm`: the registers of ACPI's fixed hardware. */
export interface AcpiPm {
  /** Where among the ports they answer; undefined while they do not. */
  readonly pmBase: number | undefined;
  /** Let them answer at this base among the ports, as firmware does. */
  placePm(base: number): void;
}

/** The contract `edge-level-control`: which interrupts are level-triggered. */
export interface EdgeLevelControl {
  /** Make an ISA interrupt, 0 to 15, one, where the hardware can. */
  setLevelTriggered(irq: number): void;
}

/** The contract `power-button`. */
export interface PowerButton {
  /** Press it and let it go. */
  pressPowerButton(): void;
}
