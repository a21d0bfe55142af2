/**
 * What the loaders for PCs share: the memory map that firmware would tell, and
 * flat protected mode.
 *
 * @module
 */

import type { EntryState } from "../../core/machine/cpu.ts";
import {
  type DmaPort,
  type LoaderContext,
  LoadError,
  type RamRange,
} from "../../core/machine/plugin.ts";

/** Where memory that a program may use ends below 1 MiB: the EBDA begins. */
export const EBDA = 0x9fc00;
/** Where adapters' memory begins. */
const ADAPTERS = 0xa0000;
/** Where the firmware's ROM begins. */
const FIRMWARE = 0xf0000;
/** 1 MiB: where extended memory begins. */
export const EXTENDED = 0x100000;
/** A page. */
export const PAGE = 4096;

/** Memory that may be used, as firmware's call E820h numbers it. */
export const USABLE = 1;
/** Memory that may not. */
export const RESERVED = 2;

/** One range of the memory map. */
export interface MemoryRange extends RamRange {
  /** `USABLE` or `RESERVED`. */
  readonly type: number;
}

/** The memory map of a PC with such RAM, in ascending order. */
export function memoryMap(ram: readonly RamRange[]): MemoryRange[] {
  const map: MemoryRange[] = [];
  const usable = (base: number, end: number): void => {
    if (end > base) map.push({ base, size: end - base, type: USABLE });
  };
  for (const { base, size } of ram) usable(base, Math.min(base + size, EBDA));
  map.push({ base: EBDA, size: ADAPTERS - EBDA, type: RESERVED });
  map.push({ base: FIRMWARE, size: EXTENDED - FIRMWARE, type: RESERVED });
  for (const { base, size } of ram) {
    usable(Math.max(base, EXTENDED), base + size);
  }
  return map;
}

/** The end of the usable range that `address` is in; the address if none. */
export function usableEnd(
  map: readonly MemoryRange[],
  address: number,
): number {
  for (const { base, size, type } of map) {
    if (type === USABLE && address >= base && address < base + size) {
      return base + size;
    }
  }
  return address;
}

/** Where guests search for tables' entry points: the firmware's ROM. */
const ENTRIES = FIRMWARE;
/** With less memory above 1 MiB the tables would be in a kernel's way. */
const TABLES_ROOM = 0x100000;

/** Memory with what firmware leaves in it. */
export interface SystemMemory {
  /** The memory map, in ascending order. */
  readonly map: readonly MemoryRange[];
  /** The address of ACPI's root pointer, where there is one. */
  readonly rsdp?: number;
}

/** The BIOS data area: the EBDA's segment, and the KiB below it. */
const BDA_EBDA = 0x40e;
const BDA_BASE_MEMORY = 0x413;

/**
 * Tell in the BIOS data area where memory below 1 MiB ends, where there is so
 * much: what starts other CPUs or calls real mode puts code below that (Xen).
 */
function writeDataArea(dma: DmaPort, map: readonly MemoryRange[]): void {
  if (usableEnd(map, 0) !== EBDA) return;
  const word = (address: number, value: number): void =>
    dma.write(address, Uint8Array.of(value & 0xff, value >> 8));
  word(BDA_EBDA, EBDA >> 4);
  word(BDA_BASE_MEMORY, EBDA >> 10);
  // Its size in KiB is its first byte.
  dma.write(EBDA, Uint8Array.of((ADAPTERS - EBDA) >> 10));
}

/**
 * Leave in memory what firmware leaves there: the data area's account of it,
 * and at the end the machine's tables, if it has any.
 */
export function systemMemory(
  { ram, tables, dma }: LoaderContext,
): SystemMemory {
  const map = memoryMap(ram);
  writeDataArea(dma, map);
  const end = usableEnd(map, EXTENDED);
  if (tables === undefined || end < EXTENDED + TABLES_ROOM) return { map };
  const { base, addresses } = tables.placeTables({ end, entries: ENTRIES });
  if (base === end) return { map };
  return {
    map: map.flatMap((range) =>
      range.base + range.size === end
        ? [
          { ...range, size: base - range.base },
          { base, size: end - base, type: RESERVED },
        ]
        : [range]
    ),
    rsdp: addresses.get("etc/acpi/rsdp"),
  };
}

/** Selectors of `writeGdt`'s segments, Linux' `__BOOT_CS` and `__BOOT_DS`. */
export const CODE_SELECTOR = 0x10;
const DATA_SELECTOR = 0x18;
/** Bytes of `writeGdt`'s table. */
export const GDT_BYTES = 32;
/** High words of flat descriptors: 4 GiB, 32 bits, ring 0, accessed. */
const CODE_DESCRIPTOR = 0x00cf9b00;
const DATA_DESCRIPTOR = 0x00cf9300;
/** Their attributes without the limit's upper bits, as a CPU caches them. */
const ATTRIBUTES = 0x00f0ff00;

/** CR0: protected mode, and the 387's protocol. */
const CR0_PE_ET = 0x11;
/** EFLAGS with everything off. */
const EFLAGS_FIXED = 0x02;

/** A table with the flat segments, and with this high word for that of code. */
export function gdtBytes(code: number = CODE_DESCRIPTOR): Uint8Array {
  const table = new Uint8Array(GDT_BYTES);
  const view = new DataView(table.buffer);
  view.setUint32(CODE_SELECTOR, 0xffff, true);
  view.setUint32(CODE_SELECTOR + 4, code, true);
  view.setUint32(DATA_SELECTOR, 0xffff, true);
  view.setUint32(DATA_SELECTOR + 4, DATA_DESCRIPTOR, true);
  return table;
}

/** Put a table with the flat segments in memory. */
export function writeGdt(dma: DmaPort, address: number): void {
  dma.write(address, gdtBytes());
}

/**
 * The registers of a CPU in flat protected mode without paging, interrupts
 * off, with the table of `writeGdt` at `gdt`.
 */
export function flatEntry(
  gdt: number,
  registers: EntryState,
): EntryState {
  const state: Record<string, number> = {
    eax: 0,
    ebx: 0,
    ecx: 0,
    edx: 0,
    esi: 0,
    edi: 0,
    ebp: 0,
    esp: 0,
    eflags: EFLAGS_FIXED,
    cr0: CR0_PE_ET,
    "gdtr.base": gdt,
    "gdtr.limit": GDT_BYTES - 1,
    "idtr.base": 0,
    "idtr.limit": 0,
  };
  for (const segment of ["cs", "ds", "es", "fs", "gs", "ss"]) {
    const code = segment === "cs";
    state[`${segment}.selector`] = code ? CODE_SELECTOR : DATA_SELECTOR;
    state[`${segment}.base`] = 0;
    state[`${segment}.limit`] = 0xffffffff;
    state[`${segment}.flags`] =
      ((code ? CODE_DESCRIPTOR : DATA_DESCRIPTOR) & ATTRIBUTES) >> 8;
  }
  return { ...state, ...registers };
}

/** A file that cannot be loaded, and why. */
export function loadError(path: string, reason: string): LoadError {
  return new LoadError(`Cannot load kernel "${path}": ${reason}`);
}

/** Bytes of text with a zero at the end, as UTF-8. */
export function zeroTerminated(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

/** A view of bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
