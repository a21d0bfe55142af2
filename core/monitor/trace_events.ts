/**
 * Events of devices that a machine's monitors have written to its log as they
 * happen.
 *
 * @module
 */

import type { EventValue, ToldEvent } from "../machine/device_events.ts";
import type { Parts } from "../machine/parts.ts";

/** Bytes of a frame or a packet that a line shows. */
const SHOWN_BYTES = 32;

/** What a machine's monitors have switched on, by `device.event`: ends it. */
const traced = new WeakMap<Parts, Map<string, () => void>>();

function valueText(value: EventValue): string {
  if (!(value instanceof Uint8Array)) return `${value}`;
  const hex = value.subarray(0, SHOWN_BYTES).toHex();
  return value.length > SHOWN_BYTES ? `${hex}... (${value.length} bytes)` : hex;
}

/** An event in a line: seconds of virtual time, its name, its values. */
function eventText({ device, event, time, data }: ToldEvent): string {
  const values = Object.entries(data).map(([name, value]) =>
    ` ${name}=${valueText(value)}`
  );
  return `${(time / 1e9).toFixed(6)} ${device}.${event}${values.join("")}`;
}

/** Whether a name is what a pattern stands for, in which `*` is any text. */
export function isNamed(name: string, pattern: string): boolean {
  const [first, ...rest] = pattern.split("*");
  if (rest.length === 0) return name === pattern;
  if (!name.startsWith(first)) return false;
  const last = rest.pop()!;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

/** All events by name, or those that a pattern stands for. */
export function traceEventNames(parts: Parts, pattern = "*"): string[] {
  return [...parts.deviceEvents.all].flatMap(([device, events]) =>
    [...events.keys()].map((event) => `${device}.${event}`)
  ).filter((name) => isNamed(name, pattern)).sort();
}

function onOf(parts: Parts): Map<string, () => void> {
  let on = traced.get(parts);
  if (on === undefined) traced.set(parts, on = new Map());
  return on;
}

/** Whether an event is written to the log. */
export function tracesEvent(parts: Parts, name: string): boolean {
  return traced.get(parts)?.has(name) === true;
}

/** Write events to the log, by their names, or do not. */
export function setTraceEvents(
  parts: Parts,
  names: readonly string[],
  isOn: boolean,
): void {
  const on = onOf(parts);
  for (const one of names) {
    on.get(one)?.();
    on.delete(one);
    if (!isOn) continue;
    const dot = one.lastIndexOf(".");
    const filter = { device: one.slice(0, dot), event: one.slice(dot + 1) };
    on.set(
      one,
      parts.deviceEvents.hear(
        filter,
        (event) => parts.log.write(eventText(event)),
      ),
    );
  }
}
