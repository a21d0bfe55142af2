/**
 * What tests of the BIOS share: a guest's memory that nobody can fill with
 * anything that lasts, for accesses at random.
 *
 * @module
 */

import type { DevicePlugin, DmaPort } from "../../../core/machine/plugin.ts";
import { BIOS_PROPERTIES } from "./config.ts";
import { BiosDevice } from "./device.ts";
import { BIOS_REGIONS } from "./regions.ts";

/** The byte at an address: any, and always the same. */
function byteAt(address: number): number {
  let x = Math.imul(address ^ 0x5bd1e995, 0x9e3779b1);
  x ^= x >>> 15;
  x = Math.imul(x, 0x85ebca6b);
  return (x >>> 16) & 0xff;
}

/** Memory of random bytes that writes do not change. */
const RANDOM_MEMORY: DmaPort = {
  read(address, into) {
    for (let i = 0; i < into.length; i++) into[i] = byteAt(address + i);
  },
  write() {},
};

/** The BIOS alone as a plugin. */
export const builtinBios: DevicePlugin = {
  type: "device",
  name: "built-in BIOS",
  version: "1.0.0",
  config: { type: "object", properties: BIOS_PROPERTIES },
  regions: BIOS_REGIONS,
  outputs: ["irq"],
  collects: ["boot-drives", "firmware-tables"],
  usesPorts: true,
  create: (config, context) => new BiosDevice(config, context),
};

/**
 * The BIOS with such memory: each frame that a guest names asks for some
 * service with any registers.
 */
export const biosWithRandomMemory: DevicePlugin = {
  ...builtinBios,
  create: (config, context) =>
    new BiosDevice(config, { ...context, dma: RANDOM_MEMORY }),
};
