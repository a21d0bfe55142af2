/**
 * What a machine definition places, for a device that describes the machine to
 * its guest: firmware tables name each port and interrupt that a device has.
 * Taken from the definition, so that the description cannot differ from it.
 *
 * @module
 */

import type { MachinePlan, PlannedDevice } from "./plan_types.ts";
import type { MachineSurvey, RamRange, SurveyedDevice } from "./plugin.ts";

/** What a plan places. */
export function surveyMachine(plan: MachinePlan): MachineSurvey {
  return {
    ram: ramRanges(plan),
    devices: plan.devices.map(surveyDevice),
  };
}

/** A planned device, without what only the machine uses. */
export function surveyDevice(device: PlannedDevice): SurveyedDevice {
  const { name, plugin, config, regions, wires, backends } = device;
  const places = [...regions].map(([key, { space, base, size }]) =>
    [key, { space, base, size }] as const
  );
  return {
    name,
    plugin: plugin.name,
    config,
    regions: new Map(places),
    wires,
    backends,
  };
}

/** RAM in the CPU's physical space, ascending, adjacent ranges joined. */
export function ramRanges(plan: MachinePlan): RamRange[] {
  const ranges: { base: number; size: number }[] = [];
  const regions = plan.regions
    .filter((region) =>
      region.space === plan.definition.cpu.physical &&
      plan.memories.find((m) => m.name === region.memory)!.kind === "ram"
    )
    .sort((a, b) => a.base - b.base);
  for (const { base, size } of regions) {
    const last = ranges.at(-1);
    if (last !== undefined && last.base + last.size === base) last.size += size;
    else ranges.push({ base, size });
  }
  return ranges;
}
