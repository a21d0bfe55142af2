/**
 * Events of devices for people: `trace-event` writes them to the machine's log
 * as they happen, `info trace-events` lists them.
 *
 * @module
 */

import {
  setTraceEvents,
  traceEventNames,
  tracesEvent,
} from "../trace_events.ts";
import { type Command, lines } from "./command.ts";
import { MonitorError } from "./error.ts";

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
