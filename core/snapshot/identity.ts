/**
 * What makes two machines the same for a snapshot: CPU, memories, devices with
 * their configuration, places and wires. What devices stand on at the host, and
 * how guest code is executed, may differ.
 *
 * @module
 */

import type { MachinePlan } from "../machine/plan_types.ts";
import type { StateRecord, StateValue } from "../state/state.ts";

/** Differences that a message names. */
const MOST_DIFFERENCES = 4;
/** Differences that are looked for: a stranger's file may have any number. */
const MOST_FOUND = 1000;
/** Characters of a value that a message shows. */
const MAX_SHOWN = 200;

/** What must be the same. */
export function identityOf(plan: MachinePlan): StateRecord {
  const { definition, cpu, cpuConfig, cpuWires, memories, regions } = plan;
  const { time, spaces, lines } = definition;
  const devices = plan.devices.map((device) => {
    const { plugin, declared } = device;
    return [device.name, {
      plugin: plugin.name,
      version: plugin.version,
      config: device.config ?? {},
      declared: declared.regions ?? {},
      regions: Object.fromEntries(device.regions),
      wires: Object.fromEntries(device.wires),
      use: Object.fromEntries(device.use),
    }];
  });
  return plain({
    cpu: {
      plugin: cpu.name,
      version: cpu.version,
      count: definition.cpu.count,
      config: cpuConfig,
      wires: Object.fromEntries(cpuWires),
    },
    time: time.mode === "icount" ? time : { mode: time.mode },
    memories: Object.fromEntries(
      memories.map(({ name, kind, size }) => [name, { kind, size }]),
    ),
    spaces: Object.fromEntries(
      Object.entries(spaces).map(([name, { size }]) => [name, size]),
    ),
    regions: Object.fromEntries(
      regions.map((region) => [region.name, region]),
    ),
    lines,
    devices: Object.fromEntries(devices),
    // Memory is laid out in this order, and timers are made in it.
    order: plan.devices.map(({ name }) => name),
  });
}

/** Only what JSON has. */
function plain(value: unknown): StateRecord {
  return JSON.parse(JSON.stringify(value)) as StateRecord;
}

/**
 * In what the machine of a snapshot differs from this one, for a message;
 * undefined when it does not.
 */
export function differences(
  saved: StateRecord,
  here: StateRecord,
): string | undefined {
  const found = new Set<string>();
  const a = recordOf(saved.devices), b = recordOf(here.devices);
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  const common: string[] = [];
  for (const name of names) {
    const [x, y] = [recordOf(a[name]), recordOf(b[name])];
    if (!Object.hasOwn(b, name)) {
      found.add(
        `it has a device "${name}" (${excerpt(x.plugin)}), this one has none`,
      );
    } else if (!Object.hasOwn(a, name)) {
      found.add(`it has no device "${name}" (${y.plugin}), this one has`);
    } else if (x.plugin !== y.plugin) {
      found.add(
        `its device "${name}" is a ${excerpt(x.plugin)}, here a ${y.plugin}`,
      );
    } else if (x.version !== y.version) {
      found.add(
        `its device "${name}" is of ${y.plugin} ${excerpt(x.version)}, here ` +
          `of ${y.version}`,
      );
    } else common.push(name);
  }
  const { devices: _a, order: first, ...rest } = saved;
  const { devices: _b, order: second, ...here_ } = here;
  compare("", rest, here_, found);
  for (const name of common) {
    compare(`device "${name}": `, a[name], b[name], found);
  }
  if (found.size === 0) compare("", { order: first }, { order: second }, found);
  if (found.size === 0) return undefined;
  const shown = [...found].slice(0, MOST_DIFFERENCES);
  const more = found.size - shown.length;
  return shown.join("; ") + (more > 0 ? `; and ${more} more` : "");
}

function compare(
  where: string,
  saved: StateValue,
  here: StateValue,
  found: Set<string>,
  path = "",
): void {
  if (isRecord(saved) && isRecord(here)) {
    for (const key of new Set([...Object.keys(saved), ...Object.keys(here)])) {
      const inner = path === "" ? key : `${path}.${key}`;
      compare(where, saved[key], here[key], found, inner);
    }
    return;
  }
  const [x, y] = [text(saved), text(here)];
  if (x === y || found.size > MOST_FOUND) return;
  const [was, is] = [x, y].map((value) => excerpt(value));
  found.add(`${where}${path} was ${was}, here it is ${is}`);
}

function text(value: StateValue | undefined): string {
  if (value === undefined) return "absent";
  // Such are in none that was saved.
  return JSON.stringify(value, (_, inner) => {
    if (typeof inner === "bigint") return `${inner}n`;
    return inner instanceof Uint8Array ? `${inner.length} bytes` : inner;
  });
}

/** A value as a message shows it: a stranger's may be of any length. */
function excerpt(value: StateValue | undefined): string {
  const whole = typeof value === "string" ? value : text(value);
  return whole.length > MAX_SHOWN ? whole.slice(0, MAX_SHOWN) + "…" : whole;
}

function recordOf(value: StateValue | undefined): StateRecord {
  return isRecord(value) ? value : {};
}

function isRecord(value: StateValue | undefined): value is StateRecord {
  return typeof value === "object" && value !== null &&
    !Array.isArray(value) && !(value instanceof Uint8Array);
}
