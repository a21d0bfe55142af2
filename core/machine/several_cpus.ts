/**
 * A machine definition describes one CPU and its interrupt controller; where
 * `cpu.count` says that there are more, each further CPU gets a controller that
 * is like the first one's but for its ID and the CPU that it drives.
 *
 * The CPUs are called `cpu`, `cpu1`, `cpu2`, the controllers of a `lapic`
 * likewise `lapic`, `lapic1`, `lapic2`.
 *
 * @module
 */

import { at, locate, type Located, merge, toJson } from "./document.ts";
import type { JsonObject, JsonValue } from "./schema_types.ts";

/** CPUs that a machine may have. */
export const MAX_CPUS = 8;
/** The contract of interrupt controllers of which each CPU has its own. */
export const PER_CPU = "local-interrupt-controller";

/** The name of a CPU, for wires and messages. */
export function cpuName(index: number): string {
  return index === 0 ? "cpu" : `cpu${index}`;
}

/** The name of a CPU's interrupt controller, given the first one's. */
export function controllerName(first: string, index: number): string {
  return index === 0 ? first : `${first}${index}`;
}

function asObject(value: JsonValue | undefined): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value
    : {};
}

/** Wires to the first CPU, made those of another. */
function rewire(wires: JsonValue | undefined, cpu: string): JsonObject {
  const one = (target: JsonValue): JsonValue =>
    typeof target === "string" ? target.replace(/^cpu\./, `${cpu}.`) : target;
  const out: JsonObject = {};
  for (const [output, target] of Object.entries(asObject(wires))) {
    out[output] = Array.isArray(target) ? target.map(one) : one(target!);
  }
  return out;
}

/**
 * The definition with an interrupt controller for each CPU. What it says of
 * one by name, as `lapic1`, is laid over that. Without a first one, what it was.
 */
export function giveEachItsController(document: Located): Located {
  const { cpu, devices } = asObject(toJson(document));
  const { count, intc } = asObject(cpu);
  if (typeof count !== "number" || typeof intc !== "string") return document;
  const all = asObject(devices);
  if (!Object.hasOwn(all, intc)) return document;
  const first = asObject(all[intc]);
  const { place } = at(document, ["devices", intc]);
  const more: JsonObject = {};
  for (let i = 1; i < count; i++) {
    more[controllerName(intc, i)] = {
      ...first,
      config: { ...asObject(first.config), id: i },
      wires: rewire(first.wires, cpuName(i)),
    };
  }
  // As a layer beneath the definition they would come first among the devices.
  const laid = merge(document, locate({ devices: more }, place));
  return merge(laid, document);
}
