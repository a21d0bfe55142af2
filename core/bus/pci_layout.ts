/**
 * What a PCI function's configuration space is made of: reset values, and
 * which bits a guest can write or clear.
 *
 * Source: PCI Local Bus Specification 3.0, 6.1 to 6.8.
 *
 * @module
 */

/** Offset of the command register (6.2.2). */
export const COMMAND = 0x04;
/** Command: answer accesses to ports. */
export const COMMAND_IO = 0x01;
/** Command: answer accesses to memory. */
export const COMMAND_MEMORY = 0x02;
/** Command: be a bus master. */
export const COMMAND_MASTER = 0x04;
/** Command, second byte: do not use the interrupt pin. */
export const COMMAND_INTX_DISABLE = 0x04;
/** Offset of the status register (6.2.3). */
export const STATUS = 0x06;
/** Status: the device asks for its interrupt pin. */
export const STATUS_INTERRUPT = 0x08;
/** Status: there is a list of capabilities. */
const STATUS_CAPABILITIES = 0x10;
/** Offset of the first base address register (6.2.5.1). */
export const BAR0 = 0x10;
/** Offset of the expansion ROM's base address register (6.2.5.2). */
export const ROM_BAR = 0x30;
/** Expansion ROM: answer, when memory is on too. */
export const ROM_ENABLE = 0x01;
/** MSI (6.8.1), byte 2: enabled. */
export const MSI_ENABLE = 0x01;
/** Offset of the mask bits in the MSI capability with 64-bit addresses. */
export const MSI_MASK = 16;
/** Offset of its pending bits. */
export const MSI_PENDING = 20;
/** MSI-X (6.8.2), byte 3: enabled. */
export const MSIX_ENABLE = 0x80;
/** MSI-X, byte 3: all vectors are masked. */
export const MSIX_FUNCTION_MASK = 0x40;

/** A base address register. */
export interface PciBarSpec {
  /** Its number, 0 to 5; one of 64 bits takes the next too. */
  readonly index: number;
  /** What it places. */
  readonly kind: "io" | "memory" | "memory64";
  /** Reads have no side effects. */
  readonly prefetchable?: boolean;
  /** The device's movable region. */
  readonly region: string;
  /** The region's size: a power of two, at least 4, of memory 16. */
  readonly size: number;
}

/** Message-signalled interrupts, with 64-bit addresses and mask bits. */
export interface PciMsiSpec {
  /** Where the capability's 24 bytes are, 40h or above. */
  readonly offset: number;
  /** How many: a power of two up to 32. */
  readonly vectors: number;
}

/** MSI-X. */
export interface PciMsixSpec {
  /** Where the capability's 12 bytes are, 40h or above. */
  readonly offset: number;
  /** How many, up to 2048. */
  readonly vectors: number;
  /** Where the table is: which base address register, and how far in. */
  readonly table: { readonly bar: number; readonly offset: number };
  /** Where the pending bits are. */
  readonly pending: { readonly bar: number; readonly offset: number };
}

/** Registers of the device's own. */
export interface PciRegisterSpec {
  /** The offset of the first byte. */
  readonly offset: number;
  /** The bytes after reset. */
  readonly reset: readonly number[];
  /** Bits that can be written, byte by byte; none when absent. */
  readonly writable?: readonly number[];
  /** Bits that writing ones clears, byte by byte; none when absent. */
  readonly cleared?: readonly number[];
}

/** A capability of the device's own (6.7). */
export interface PciCapabilitySpec {
  /** Where it is, 40h or above; what follows ID and link are `registers`. */
  readonly offset: number;
  /** Its ID (appendix H). */
  readonly id: number;
}

/** What a function is. */
export interface PciFunctionSpec {
  /** Vendor ID. */
  readonly vendor: number;
  /** Device ID. */
  readonly device: number;
  /** Revision ID; 0 when absent. */
  readonly revision?: number;
  /** Class code: 24 bits, the base class highest. */
  readonly classCode: number;
  /** Subsystem vendor ID; 0 when absent. */
  readonly subsystemVendor?: number;
  /** Subsystem ID; 0 when absent. */
  readonly subsystem?: number;
  /** Interrupt pin: 1 is INTA#; none when absent or 0. */
  readonly interruptPin?: number;
  /** There are more functions in the slot. */
  readonly multifunction?: boolean;
  /** Base address registers. */
  readonly bars?: readonly PciBarSpec[];
  /** The expansion ROM: a movable region, its size a power of two from 2 KiB. */
  readonly rom?: { readonly region: string; readonly size: number };
  /** Message-signalled interrupts. */
  readonly msi?: PciMsiSpec;
  /** MSI-X. */
  readonly msix?: PciMsixSpec;
  /** Capabilities beside these. */
  readonly capabilities?: readonly PciCapabilitySpec[];
  /** Registers beside the standard ones, or in their place. */
  readonly registers?: readonly PciRegisterSpec[];
}

/** A configuration space, byte by byte. */
export interface ConfigLayout {
  /** Values after reset. */
  readonly reset: Uint8Array;
  /** Bits that can be written. */
  readonly writable: Uint8Array;
  /** Bits that writing ones clears. */
  readonly cleared: Uint8Array;
}

/** IDs of capabilities. */
const MSI_ID = 0x05;
const MSIX_ID = 0x11;

/** The configuration space of a function. */
export function configLayout(spec: PciFunctionSpec): ConfigLayout {
  const reset = new Uint8Array(256);
  const writable = new Uint8Array(256);
  const cleared = new Uint8Array(256);
  const values = new DataView(reset.buffer);
  const masks = new DataView(writable.buffer);
  values.setUint16(0x00, spec.vendor, true);
  values.setUint16(0x02, spec.device, true);
  // I/O, memory, master, parity errors, SERR#, INTx disable.
  masks.setUint16(COMMAND, 0x0547, true);
  // Errors and aborts, bits 8 and 11 to 15.
  cleared[STATUS + 1] = 0xf9;
  values.setUint32(0x08, spec.classCode * 256 + (spec.revision ?? 0), true);
  // Cache line size and latency timer.
  masks.setUint16(0x0c, 0xffff, true);
  reset[0x0e] = spec.multifunction ? 0x80 : 0;
  values.setUint16(0x2c, spec.subsystemVendor ?? 0, true);
  values.setUint16(0x2e, spec.subsystem ?? 0, true);
  // Interrupt line and pin.
  writable[0x3c] = 0xff;
  reset[0x3d] = spec.interruptPin ?? 0;
  for (const { index, kind, prefetchable, size } of spec.bars ?? []) {
    const at = BAR0 + 4 * index;
    reset[at] = kind === "io"
      ? 1
      : (kind === "memory64" ? 4 : 0) | (prefetchable ? 8 : 0);
    // A size of 4 GiB and more leaves no bit of the low word.
    const low = size >= 2 ** 32 ? 0 : -size & ~(kind === "io" ? 3 : 15);
    masks.setUint32(at, low, true);
    if (kind === "memory64") {
      masks.setUint32(at + 4, -Math.max(1, size / 2 ** 32), true);
    }
  }
  if (spec.rom !== undefined) {
    masks.setUint32(ROM_BAR, -spec.rom.size & ~0x7ff | ROM_ENABLE, true);
  }
  const capabilities = [...spec.capabilities ?? []];
  if (spec.msi !== undefined) {
    const { offset, vectors } = spec.msi;
    capabilities.push({ offset, id: MSI_ID });
    // 64-bit addresses, mask bits; the guest writes enable and the count.
    values.setUint16(offset + 2, 0x0180 | Math.log2(vectors) << 1, true);
    masks.setUint16(offset + 2, 0x0070 | MSI_ENABLE, true);
    masks.setUint32(offset + 4, 0xfffffffc, true);
    masks.setUint32(offset + 8, 0xffffffff, true);
    masks.setUint16(offset + 12, 0xffff, true);
    masks.setUint32(offset + MSI_MASK, 2 ** vectors - 1, true);
  }
  if (spec.msix !== undefined) {
    const { offset, vectors, table, pending } = spec.msix;
    capabilities.push({ offset, id: MSIX_ID });
    values.setUint16(offset + 2, vectors - 1, true);
    writable[offset + 3] = MSIX_ENABLE | MSIX_FUNCTION_MASK;
    values.setUint32(offset + 4, table.offset | table.bar, true);
    values.setUint32(offset + 8, pending.offset | pending.bar, true);
  }
  let link = 0x34;
  for (const { offset, id } of capabilities) {
    reset[STATUS] |= STATUS_CAPABILITIES;
    reset[link] = offset;
    reset[offset] = id;
    link = offset + 1;
  }
  for (const registers of spec.registers ?? []) {
    const { offset } = registers;
    reset.set(registers.reset, offset);
    writable.set(registers.writable ?? registers.reset.map(() => 0), offset);
    cleared.set(registers.cleared ?? registers.reset.map(() => 0), offset);
  }
  return { reset, writable, cleared };
}
