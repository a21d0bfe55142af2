/**
 * Makes plugins of kinds of virtio devices, for a PCI bus.
 *
 * @module
 */

import { pciPlaceSchema } from "../../../core/bus/pci.ts";
import type { DevicePlugin, RegionSpec } from "../../../core/machine/plugin.ts";
import type { VirtioType } from "./device.ts";
import { MODERN_BYTES, MSIX_BYTES, pciLayout } from "./pci_layout.ts";
import {
  LEGACY_PORTS,
  type PciTransportConfig,
  VirtioPci,
} from "./virtio_pci.ts";

export type { PciTransportConfig } from "./virtio_pci.ts";

const LEGACY: Record<string, RegionSpec> = {
  legacy: { space: "ports", size: LEGACY_PORTS, movable: true },
};
const MSIX: Record<string, RegionSpec> = {
  msix: { space: "memory", size: MSIX_BYTES, movable: true },
};
const REGIONS: Record<string, RegionSpec> = {
  modern: { space: "memory", size: MODERN_BYTES, movable: true },
};

/** The plugin of a kind of device on a PCI bus. */
export function pciPlugin<C>(
  type: VirtioType<C>,
): DevicePlugin<C & PciTransportConfig> {
  const isTransitional = type.transitionalId !== undefined;
  return {
    type: "device",
    name: `virtio-${type.name}-pci`,
    version: type.version,
    description: `Virtio over PCI: ${type.description}`,
    config: {
      type: "object",
      properties: {
        ...pciPlaceSchema(4, 0),
        legacy: {
          type: "boolean",
          description: "Have the legacy interface too, for old drivers",
          default: isTransitional,
        },
        msix: {
          type: "boolean",
          description: "Have MSI-X, which needs an APIC",
          default: true,
        },
        ...type.config,
      },
    },
    declare(config) {
      type.check?.(config);
      const { legacy, msix } = config;
      return {
        regions: { ...legacy ? LEGACY : {}, ...msix ? MSIX : {}, ...REGIONS },
      };
    },
    backends: type.backends,
    uses: { bus: "pci-bus" },
    events: type.events,
    provides: type.provides,
    create(config, context) {
      if (config.legacy && !isTransitional) {
        throw new Error(`a virtio-${type.name} has no legacy interface`);
      }
      const device = type.create(config, context);
      if (device === undefined) throw new Error("its backend is missing");
      const legacy = config.legacy ? LEGACY_PORTS : 0;
      const vectors = config.msix ? device.queues.length + 1 : 0;
      const spec = pciLayout(type, vectors, legacy);
      return new VirtioPci(context, config, spec, device);
    },
  };
}
