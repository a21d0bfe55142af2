/**
 * The state of a machine without its memory, as one record: CPUs, devices,
 * time, and what waits for its time.
 *
 * Timers that are due at the same time fire in the order in which they were
 * armed, and devices arm theirs in another order when they are loaded: so the
 * order is part of the state. Requests to disks are made again by devices; with
 * `icount` they are answered when they would have been.
 *
 * @module
 */

import type { Parts } from "../machine/parts.ts";
import {
  StateError,
  type StateRecord,
  type StateValue,
} from "../state/state.ts";

/** The state; memory is not included. */
export function saveMachine(parts: Parts): StateRecord {
  const { plan, devices, clock, time, cpu, blocks } = parts;
  // The same for all of it, though the host's time goes on as it is read.
  const now = clock.now();
  time.hold(now);
  try {
    const states: Record<string, StateRecord> = {};
    for (const { name, plugin } of plan.devices) {
      states[name] = {
        plugin: plugin.name,
        version: plugin.version,
        state: devices.get(name)!.save(),
      };
    }
    return {
      version: 1,
      time: now,
      // With the host's time a clock chip has the date of whenever it goes on.
      epoch: plan.definition.time.mode === "icount" ? clock.epoch : null,
      cpu: cpu.save(),
      devices: states,
      timers: clock.firingOrder(),
      requests: blocks.save(),
    };
  } finally {
    time.release();
  }
}

/**
 * Restore what `saveMachine` gave, with the memory of then in place. Throws a
 * `StateError` when it does not fit; the machine is to be reset then.
 */
export function loadMachine(parts: Parts, record: StateRecord): void {
  const { plan, time, clock, cpu, blocks, requests } = parts;
  const { version, time: now, devices, timers = [] } = record;
  if (version !== 1) {
    throw new StateError("version", `it is ${version}, expected 1`);
  }
  const isTime = typeof now === "number" && now >= 0 &&
    now <= Number.MAX_SAFE_INTEGER;
  if (!isTime) throw new StateError("time", "expected a number");
  const order = numbers(timers, "timers");
  const deadlines = new Map(
    Object.entries(asRecord(record.requests ?? {}, "requests")).map(
      ([name, list]) => [name, numbers(list, `requests.${name}`)],
    ),
  );
  const { mode } = plan.definition.time;
  if (mode === "icount") {
    if (typeof record.epoch === "number") clock.epoch = record.epoch;
  } else clock.epoch = Math.floor(Date.now() - now / 1e6);
  // The time of then, whatever the count of instructions is meanwhile.
  time.hold(now);
  blocks.expect(deadlines);
  try {
    cpu.load(asRecord(record.cpu, "cpu"));
    const all = asRecord(devices, "devices");
    const again: (() => void)[] = [];
    for (const { name, plugin } of plan.devices) {
      const path = `devices.${name}`;
      const saved = asRecord(all[name] ?? null, path);
      if (saved.plugin !== plugin.name || saved.version !== plugin.version) {
        throw new StateError(
          path,
          `it is of ${saved.plugin} ${saved.version}, expected ` +
            `${plugin.name} ${plugin.version}`,
        );
      }
      const device = parts.devices.get(name)!;
      const state = asRecord(saved.state, path);
      device.load(state);
      if (device.latchesEdges === true) again.push(() => device.load(state));
    }
    for (const load of again) load();
    clock.reorder(order);
  } finally {
    // Some devices make their requests in a microtask of their own.
    queueMicrotask(() => blocks.expect());
    time.set(now);
  }
  // What was asked of the machine that was here before.
  requests.reset = false;
  requests.cpuReset = requests.cpuInit = 0;
}

/** More timers or requests than any machine has at a time. */
const MAX_NUMBERS = 65536;

function numbers(value: StateValue, path: string): number[] {
  const isList = Array.isArray(value) &&
    value.length <= MAX_NUMBERS &&
    value.every((item) => typeof item === "number" && !Number.isNaN(item));
  if (!isList) throw new StateError(path, "expected numbers");
  return value as number[];
}

/** A value that must be a record. Throws a `StateError`. */
export function asRecord(value: unknown, path: string): StateRecord {
  const isRecord = typeof value === "object" && value !== null &&
    !Array.isArray(value) && !(value instanceof Uint8Array);
  if (!isRecord) throw new StateError(path, "expected a record");
  return value as StateRecord;
}
