/**
 * The memory that there is, by the bytes that the CMOS has of it, and the map
 * that INT 15h E820h tells.
 *
 * Sources: IBM PC/AT Technical Reference, "Real-time clock/CMOS RAM"; bytes
 * 34h, 35h and 5Bh to 5Dh as QEMU documents them; ACPI 6.5, section 15.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { EBDA, ROM_BASE, TABLE_ENTRIES } from "./layout.ts";

/** CMOS: extended memory in KiB; above 16 MiB and above 4 GiB in 64 KiB. */
const EXTENDED_LOW = 0x30;
const EXTENDED_HIGH = 0x31;
const ABOVE_16M_LOW = 0x34;
const ABOVE_16M_HIGH = 0x35;
const ABOVE_4G = 0x5b;

const KIB = 1024;
const MIB = 1024 * KIB;
const UNIT = 64 * KIB;
/** Where adapters' memory begins. */
const ADAPTERS = 0xa0000;
/** The ROM at the end of the 32-bit space, with room for greater ones. */
const TOP_ROM = 0xfffc0000;
const FOUR_GIB = 2 ** 32;

/** Types of ranges. */
const USABLE = 1;
const RESERVED = 2;

/** Memory beyond the first MiB, in bytes. */
export interface MemorySizes {
  /** From 1 MiB on. */
  readonly extended: number;
  /** From 4 GiB on. */
  readonly high: number;
}

/** How much memory there is. */
export function memorySizes(bios: Bios): MemorySizes {
  const { guest } = bios;
  const above = guest.cmos(ABOVE_16M_LOW) | guest.cmos(ABOVE_16M_HIGH) << 8;
  const kib = guest.cmos(EXTENDED_LOW) | guest.cmos(EXTENDED_HIGH) << 8;
  const high = guest.cmos(ABOVE_4G) | guest.cmos(ABOVE_4G + 1) << 8 |
    guest.cmos(ABOVE_4G + 2) << 16;
  return {
    extended: above > 0 ? 15 * MIB + above * UNIT : kib * KIB,
    high: high * UNIT,
  };
}

/** With less memory above 1 MiB the tables would be in a guest's way. */
const TABLES_ROOM = MIB;

/** Let the machine's tables be placed at the end of its RAM. */
export function placeTables(bios: Bios): void {
  const { extended } = memorySizes(bios);
  const [tables] = bios.tables();
  if (tables === undefined || extended < TABLES_ROOM) return;
  try {
    const { base } = tables.placeTables({
      end: MIB + extended,
      entries: TABLE_ENTRIES,
    });
    bios.state.tables = base;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    bios.log("tables", error.message);
  }
}

/** Memory from 1 MiB on that guests may use, in bytes. */
export function usableExtended(bios: Bios): number {
  const { tables } = bios.state;
  return tables > 0 ? tables - MIB : memorySizes(bios).extended;
}

/** A range of the memory map. */
export interface MapEntry {
  /** Its first address. */
  readonly base: number;
  /** Its size. */
  readonly size: number;
  /** 1: usable; 2: reserved. */
  readonly type: number;
}

/** The memory map, in ascending order. */
export function memoryMap(bios: Bios): readonly MapEntry[] {
  const { extended, high } = memorySizes(bios);
  const map: MapEntry[] = [
    { base: 0, size: EBDA, type: USABLE },
    { base: EBDA, size: ADAPTERS - EBDA, type: RESERVED },
    { base: ROM_BASE, size: MIB - ROM_BASE, type: RESERVED },
  ];
  const end = MIB + extended;
  const usable = bios.state.tables || end;
  if (usable > MIB) {
    map.push({ base: MIB, size: usable - MIB, type: USABLE });
  }
  if (usable < end) {
    map.push({ base: usable, size: end - usable, type: RESERVED });
  }
  map.push({ base: TOP_ROM, size: FOUR_GIB - TOP_ROM, type: RESERVED });
  if (high > 0) map.push({ base: FOUR_GIB, size: high, type: USABLE });
  return map;
}
