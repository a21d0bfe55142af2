/**
 * Where virtio's structures are on a PCI function, and what is in them: VIRTIO
 * 1.2, 4.1.2 to 4.1.4.
 *
 * @module
 */

import type { PciFunctionSpec } from "../../../core/bus/pci_layout.ts";
import type { VirtioType } from "./device.ts";
import type { Field } from "./fields.ts";

/** Vendor ID (4.1.2). */
const VENDOR = 0x1af4;
/** Device IDs of modern devices begin here. */
const MODERN_ID = 0x1040;
/** Subsystem IDs of modern devices are not below (4.1.2.1). */
const MODERN_SUBSYSTEM = 0x40;

/** Bytes of BAR 1, where the MSI-X table is, and its pending bits. */
export const MSIX_BYTES = 0x1000;
/** Offset of the pending bits in BAR 1. */
export const MSIX_PENDING = 0x800;

/** Bytes of BAR 4. */
export const MODERN_BYTES = 0x4000;
/** The structures in it, each in a page of its own. */
export const MODERN = {
  common: 0x0000,
  isr: 0x1000,
  device: 0x2000,
  notify: 0x3000,
  /** notify_off_multiplier: each queue has a word to write to. */
  multiplier: 4,
} as const;
const PAGE = 0x1000;

/** Types of structures (4.1.4). */
const CAP_COMMON_CFG = 1;
const CAP_NOTIFY_CFG = 2;
const CAP_ISR_CFG = 3;
const CAP_DEVICE_CFG = 4;
const CAP_PCI_CFG = 5;
/** Capability IDs: vendor-specific. */
const VENDOR_CAPABILITY = 0x09;
/** Where the capabilities are in the configuration space. */
const AT_MSIX = 0x40;
const AT_COMMON = 0x50;
const AT_ISR = 0x60;
const AT_DEVICE = 0x70;
const AT_NOTIFY = 0x80;
const AT_WINDOW = 0x98;

/** The window to the base address regions: its bytes in configuration space. */
export const WINDOW = {
  bar: AT_WINDOW + 4,
  offset: AT_WINDOW + 8,
  length: AT_WINDOW + 12,
  data: AT_WINDOW + 16,
} as const;

/** The common configuration structure (4.1.4.3), by the specification's names. */
export const CommonField = {
  device_feature_select: 0x00,
  device_feature: 0x04,
  driver_feature_select: 0x08,
  driver_feature: 0x0c,
  config_msix_vector: 0x10,
  num_queues: 0x12,
  device_status: 0x14,
  config_generation: 0x15,
  queue_select: 0x16,
  queue_size: 0x18,
  queue_msix_vector: 0x1a,
  queue_enable: 0x1c,
  queue_notify_off: 0x1e,
  queue_desc: 0x20,
  queue_driver: 0x28,
  queue_device: 0x30,
} as const;

/** Its registers; those of 64 bits are two (4.1.3.1). */
export const COMMON_FIELDS: readonly Field[] = [
  ...[0x00, 0x04, 0x08, 0x0c].map((offset): Field => [offset, 4]),
  ...[0x10, 0x12, 0x16, 0x18, 0x1a, 0x1c, 0x1e]
    .map((offset): Field => [offset, 2]),
  [CommonField.device_status, 1],
  [CommonField.config_generation, 1],
  ...[0x20, 0x24, 0x28, 0x2c, 0x30, 0x34].map((offset): Field => [offset, 4]),
];

/** The legacy interface's header (4.1.4.8). */
export const LegacyField = {
  device_features: 0x00,
  guest_features: 0x04,
  queue_address: 0x08,
  queue_size: 0x0c,
  queue_select: 0x0e,
  queue_notify: 0x10,
  device_status: 0x12,
  isr_status: 0x13,
} as const;

/** What follows it while MSI-X is on. */
export const LEGACY_VECTORS = { config: 0x14, queue: 0x16 } as const;
/** Where the device's own configuration is without MSI-X. */
export const LEGACY_DEVICE = 0x14;
/** And with it. */
export const LEGACY_DEVICE_MSIX = 0x18;

/** The header's registers. */
export const LEGACY_FIELDS: readonly Field[] = [
  [LegacyField.device_features, 4],
  [LegacyField.guest_features, 4],
  [LegacyField.queue_address, 4],
  [LegacyField.queue_size, 2],
  [LegacyField.queue_select, 2],
  [LegacyField.queue_notify, 2],
  [LegacyField.device_status, 1],
  [LegacyField.isr_status, 1],
  [LEGACY_VECTORS.config, 2],
  [LEGACY_VECTORS.queue, 2],
];

function words(...values: number[]): number[] {
  return values.flatMap((value) =>
    [0, 8, 16, 24].map((s) => value >>> s & 255)
  );
}

/** What a capability says behind its ID and link (4.1.4). */
function capability(
  type: number,
  bar: number,
  offset: number,
  length: number,
  ...more: number[]
): number[] {
  const bytes = 16 + more.length * 4;
  return [bytes, type, bar, 0, 0, 0, ...words(offset, length, ...more)];
}

/**
 * The function of a kind of device with so many MSI-X vectors and so many ports
 * of the legacy interface; 0 for none.
 */
export function pciLayout(
  type: VirtioType,
  vectors: number,
  legacyPorts: number,
): PciFunctionSpec {
  const isLegacy = legacyPorts > 0;
  const modern = (kind: number, offset: number, ...more: number[]): number[] =>
    capability(kind, 4, offset, PAGE, ...more);
  const structures: [offset: number, bytes: number[]][] = [
    [AT_COMMON, modern(CAP_COMMON_CFG, MODERN.common)],
    [AT_ISR, modern(CAP_ISR_CFG, MODERN.isr)],
    [AT_DEVICE, modern(CAP_DEVICE_CFG, MODERN.device)],
    [AT_NOTIFY, modern(CAP_NOTIFY_CFG, MODERN.notify, MODERN.multiplier)],
    [AT_WINDOW, capability(CAP_PCI_CFG, 0, 0, 0, 0)],
  ];
  const windowBits = structures[4][1].map((_, i) =>
    // The BAR, then offset, length and data.
    i === WINDOW.bar - AT_WINDOW - 2 || i >= WINDOW.offset - AT_WINDOW - 2
      ? 0xff
      : 0
  );
  return {
    vendor: VENDOR,
    device: isLegacy ? type.transitionalId! : MODERN_ID + type.id,
    revision: isLegacy ? 0 : 1,
    classCode: type.pciClass,
    subsystemVendor: VENDOR,
    subsystem: isLegacy ? type.id : MODERN_SUBSYSTEM + type.id,
    interruptPin: 1,
    bars: [
      ...isLegacy
        ? [
          {
            index: 0,
            kind: "io",
            region: "legacy",
            size: legacyPorts,
          } as const,
        ]
        : [],
      ...vectors > 0
        ? [
          {
            index: 1,
            kind: "memory",
            region: "msix",
            size: MSIX_BYTES,
          } as const,
        ]
        : [],
      {
        index: 4,
        kind: "memory64",
        prefetchable: true,
        region: "modern",
        size: MODERN_BYTES,
      },
    ],
    msix: vectors === 0 ? undefined : {
      offset: AT_MSIX,
      vectors,
      table: { bar: 1, offset: 0 },
      pending: { bar: 1, offset: MSIX_PENDING },
    },
    capabilities: structures.map(([offset]) => ({
      offset,
      id: VENDOR_CAPABILITY,
    })),
    registers: structures.map(([offset, reset]) => ({
      offset: offset + 2,
      reset,
      ...offset === AT_WINDOW ? { writable: windowBits } : {},
    })),
  };
}
