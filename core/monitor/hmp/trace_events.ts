/**
 * Events of devices for people: `trace-event` writes them to the machine's log
 * as they happen, `info trace-events` lists them.
 *
 * @module
 */

import type { EventValue, ToldEvent } from "../../machine/device_events.ts";
import type { Parts } from "../../machine/parts.ts";
import { type Command, lines } from "./command.ts";
import { MonitorError } from "./error.ts";

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

/** The command. */
export const TRACE_EVENT: Command = {
  name: "trace-event",
  args: "name:s,option:b",
  params: "name on|off",
  help: "write the events of a device, 'device.event' (with '*' for any), to " +
    "the log, or do not",
  run({ parts }, args) {
    const name = args.text("name")!;
    const names = traceEventNames(parts, name);
    if (names.length === 0) {
      throw new MonitorError(`there is no event "${name}"`);
    }
    setTraceEvents(parts, names, args.isOn("option")!);
  },
  words: ({ parts }) => traceEventNames(parts),
};

/** `info trace-events`. */
export const INFO_TRACE_EVENTS: Command = {
  name: "trace-events",
  args: "name:s?",
  params: "[name]",
  help: "show the events of devices and whether they are written to the log",
  run({ parts }, args) {
    return lines(
      traceEventNames(parts, args.text("name")).map((name) => {
        const dot = name.lastIndexOf(".");
        const channel = parts.deviceEvents.find(
          name.slice(0, dot),
          name.slice(dot + 1),
        )!;
        const state = tracesEvent(parts, name) ? 1 : 0;
        return `${name} : state ${state} : ${channel.spec.description}`;
      }),
    );
  },
};
