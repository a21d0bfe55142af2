/**
 * The table that shows an operating system the APICs of `machines/pc.json`
 * without ACPI: Intel MultiProcessor Specification 1.4, chapter 4.
 *
 * @module
 */

/** Where it lies: the last KiB of base memory, one of the places to look at. */
export const MP_TABLE = 0x9fc00;
const CONFIGURATION = MP_TABLE + 0x10;

/** Sources of PCI interrupts: slot and pin, and the I/O APIC's pin. */
export interface MpPciInterrupt {
  readonly slot: number;
  readonly pin: number;
  readonly ioapicPin: number;
}

function ascii(text: string): number[] {
  return [...text].map((c) => c.charCodeAt(0));
}

function word(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => value / 2 ** (8 * i) & 255);
}

/** The byte that makes the sum of all 0. */
function checksum(bytes: readonly number[]): number {
  return -bytes.reduce((a, b) => a + b, 0) & 255;
}

// Buses.
const ISA = 0, PCI = 1;
const IOAPIC_ID = 1;

/** The floating pointer and, behind it, the configuration table. */
export function mpTable(pci: readonly MpPciInterrupt[] = []): Uint8Array {
  const flags = 0x200 | 1;
  const entries: number[][] = [
    // The processor: APIC ID 0, enabled, bootstrap.
    [0, 0, 0x14, 3, ...word(0x68a, 4), ...word(flags, 4), ...word(0, 8)],
    [1, ISA, ...ascii("ISA   ")],
    [1, PCI, ...ascii("PCI   ")],
    [2, IOAPIC_ID, 0x11, 1, ...word(0xfec00000, 4)],
  ];
  const interrupt = (
    type: number,
    how: number,
    bus: number,
    source: number,
    id: number,
    pin: number,
  ) => entries.push([type, 0, ...word(how, 2), bus, source, id, pin]);
  for (let irq = 0; irq < 16; irq++) {
    if (irq === 2) continue;
    interrupt(3, 0, ISA, irq, IOAPIC_ID, irq === 0 ? 2 : irq);
  }
  for (const { slot, pin, ioapicPin } of pci) {
    // Active low, level triggered.
    interrupt(3, 0xf, PCI, slot << 2 | pin, IOAPIC_ID, ioapicPin);
  }
  // Local: the 8259A on LINT0, NMI on LINT1.
  entries.push([4, 3, ...word(0, 2), ISA, 0, 0xff, 0]);
  entries.push([4, 1, ...word(0, 2), ISA, 0, 0xff, 1]);
  const body = entries.flat();
  const table = [
    ...ascii("PCMP"),
    ...word(44 + body.length, 2),
    4,
    0,
    ...ascii("RHEA    PC          "),
    ...word(0, 4),
    ...word(0, 2),
    ...word(entries.length, 2),
    ...word(0xfee00000, 4),
    ...word(0, 4),
    ...body,
  ];
  table[7] = checksum(table);
  const pointer = [
    ...ascii("_MP_"),
    ...word(CONFIGURATION, 4),
    1,
    4,
    0,
    ...word(0, 5),
  ];
  pointer[10] = checksum(pointer);
  return new Uint8Array([...pointer, ...table]);
}
