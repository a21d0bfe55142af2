/**
 * Memories and the regions of address spaces: what lies where.
 *
 * @module
 */

import { formatSize, parseAddress } from "./numbers.ts";
import { sizeOption } from "./plan_checks.ts";
import type { PlanContext } from "./plan_context.ts";
import type {
  PlannedMemory,
  PlannedMemoryRegion,
  PlannedRegion,
} from "./plan_types.ts";
import type { RegionSpec } from "./plugin.ts";
import type { DocumentPath } from "./schema.ts";
import type { ConfigSchema } from "./schema_types.ts";

/** The long form of a region's place. */
const LONG_PLACE: ConfigSchema = {
  type: "object",
  required: ["base"],
  properties: {
    space: { type: "string" },
    base: { format: "address" },
    priority: { type: "integer", default: 0 },
  },
};

/** RAM and ROM. */
export async function planMemories(
  context: PlanContext,
): Promise<PlannedMemory[]> {
  const planned: PlannedMemory[] = [];
  for (const [name, spec] of Object.entries(context.definition.memories)) {
    const path = ["memories", name];
    let size = spec.size;
    if (spec.file !== undefined) {
      const bytes = await context.needFile(spec.file, [...path, "file"]);
      size ??= bytes;
      if (bytes > size) {
        throw context.error(
          [...path, "file"],
          `"${spec.file}" has ${bytes} bytes, more than the memory's ${size}`,
        );
      }
    }
    if (size === undefined) {
      throw context.error(path, 'the key "size" is missing');
    }
    if (size === 0 && !context.options.skipFiles) {
      throw context.error([...path, "size"], `memory "${name}" is empty`);
    }
    planned.push({ name, kind: spec.kind, size, file: spec.file });
  }
  return planned;
}

/** Where memories are placed. */
export function planMemoryRegions(
  context: PlanContext,
  memories: readonly PlannedMemory[],
): PlannedMemoryRegion[] {
  const planned: PlannedMemoryRegion[] = [];
  for (const [space, spec] of Object.entries(context.definition.spaces)) {
    for (const [name, region] of Object.entries(spec.regions)) {
      const path = ["spaces", space, "regions", name];
      const memory = memories.find((m) => m.name === region.memory);
      if (memory === undefined) {
        const names = memories.map((m) => m.name);
        context.known([...path, "memory"], "memory", region.memory, names);
        continue;
      }
      let size = region.size;
      if (size === undefined) {
        // "The rest" of a memory that ends before is no region at all.
        if (memory.size <= region.offset) continue;
        size = Math.min(
          memory.size - region.offset,
          region.maxSize ?? Infinity,
        );
      }
      if (region.offset + size > memory.size) {
        throw context.error(
          path,
          `region "${name}" needs ${formatSize(region.offset + size)} of ` +
            `memory "${memory.name}", which has ${formatSize(memory.size)}` +
            sizeOption(context.document, memory.name),
        );
      }
      planned.push({
        name,
        space,
        base: region.at,
        size,
        priority: region.priority,
        memory: memory.name,
        offset: region.offset,
      });
    }
  }
  return planned;
}

/** Where a device's regions sit. */
export function placeRegions(
  context: PlanContext,
  device: DocumentPath,
  name: string,
  spec: unknown,
  regions: Readonly<Record<string, RegionSpec>>,
): Map<string, PlannedRegion> {
  const path = [...device, "at"];
  const names = Object.keys(regions);
  let given: Record<string, unknown>;
  let single = false;
  if (spec === undefined) {
    given = {};
  } else if (typeof spec === "object" && spec !== null) {
    given = spec as Record<string, unknown>;
  } else {
    if (names.length !== 1) {
      throw context.error(
        path,
        names.length === 0
          ? "the device has no regions"
          : `the device has ${names.length} regions: expected an object ` +
            `with the keys ${names.map((n) => `"${n}"`).join(", ")}`,
      );
    }
    given = { [names[0]]: spec };
    single = true;
  }
  for (const key of Object.keys(given)) {
    context.known([...path, key], "region", key, names);
  }
  const placed = new Map<string, PlannedRegion>();
  for (const [region, declared] of Object.entries(regions)) {
    const where = single ? path : [...path, region];
    if (declared.movable) {
      if (given[region] !== undefined) {
        throw context.error(where, `region "${region}" is placed by the guest`);
      }
      const spaces = Object.keys(context.definition.spaces);
      context.known(device, "space", declared.space, spaces);
      continue;
    }
    const value = given[region] ?? declared.at;
    if (value === undefined) {
      if (declared.optional) continue;
      throw context.error(
        spec === undefined ? device : path,
        `the address of region "${region}" is missing`,
      );
    }
    const long = typeof value === "object" && value !== null
      ? context.check(LONG_PLACE, value, where) as {
        space?: string;
        base: number;
        priority: number;
      }
      : { base: parseAddress(value), priority: 0, space: undefined };
    if (long.base === undefined) {
      throw context.error(
        where,
        `expected an address such as 1016 or "0x3f8", not ` +
          JSON.stringify(value),
      );
    }
    const space = long.space ?? declared.space;
    context.known(
      long.space === undefined ? where : [...where, "space"],
      "space",
      space,
      Object.keys(context.definition.spaces),
    );
    placed.set(region, {
      name: names.length === 1 ? name : `${name}.${region}`,
      space,
      base: long.base,
      size: declared.size,
      priority: long.priority,
    });
  }
  return placed;
}
