/**
 * Messages of message-signalled interrupts: PCI Local Bus Specification 3.0,
 * 6.8.
 *
 * @module
 */

import { MSI_MASK, type PciMsiSpec } from "./pci_layout.ts";

/** A write to memory that interrupts. */
export interface PciMessage {
  /** Where: aligned to 4. */
  readonly address: number;
  /** What. */
  readonly data: number;
}

/** Offset of the message address in the MSI capability. */
const MSI_ADDRESS = 4;
/** Offset of the message data. */
const MSI_DATA = 12;

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The MSI message of a vector, and how many vectors the guest has allowed. */
export function messageAt(
  config: Uint8Array,
  msi: PciMsiSpec,
  vector: number,
): PciMessage & { readonly count: number } {
  const v = view(config);
  // Multiple Message Enable, the logarithm of the count.
  const enabled = 2 ** Math.min(config[msi.offset + 2] >> 4 & 7, 5);
  const count = Math.min(enabled, msi.vectors);
  const data = v.getUint16(msi.offset + MSI_DATA, true);
  return {
    address: v.getUint32(msi.offset + MSI_ADDRESS, true) +
      v.getUint32(msi.offset + MSI_ADDRESS + 4, true) * 2 ** 32,
    data: data & ~(count - 1) | vector & (count - 1),
    count,
  };
}

/** Whether the mask bit of an MSI vector is set. */
export function isMessageMasked(
  config: Uint8Array,
  msi: PciMsiSpec,
  vector: number,
): boolean {
  const byte = config[msi.offset + MSI_MASK + (vector >> 3)];
  return (byte & 1 << (vector & 7)) !== 0;
}

/** The message of a vector in an MSI-X table. */
export function tableMessage(table: Uint8Array, vector: number): PciMessage {
  const v = view(table);
  const low = v.getUint32(vector * 16, true);
  return {
    address: low - (low & 3) + v.getUint32(vector * 16 + 4, true) * 2 ** 32,
    data: v.getUint32(vector * 16 + 8, true),
  };
}
