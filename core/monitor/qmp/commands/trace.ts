/**
 * Commands about events of devices that are written to the log: QEMU's
 * `qapi/trace.json`, with the names that `info trace-events` has.
 *
 * @module
 */

import {
  setTraceEvents,
  traceEventNames,
  tracesEvent,
} from "../../trace_events.ts";
import type { Parts } from "../../../machine/parts.ts";
import { action, type Command, query } from "../command.ts";
import { GenericError } from "../error.ts";
import { bool, int, list, oneOf, optional, str, struct } from "../types.ts";

/** The events that a name stands for, or a pattern, which may be none. */
function eventsNamed(
  parts: Parts,
  name: string,
  vcpu: number | undefined,
): string[] {
  const names = traceEventNames(parts, name);
  if (names.length === 0 && !name.includes("*")) {
    throw new GenericError(`unknown event "${name}"`);
  }
  if (vcpu !== undefined && names.length > 0) {
    throw new GenericError(
      `event "${names[0]}" is not vCPU-specific`,
    );
  }
  return names;
}

/** The commands. */
export const TRACE: readonly Command[] = [
  query(
    "trace-event-get-state",
    { name: str, vcpu: optional(int) },
    list(struct("TraceEventInfo", {
      name: str,
      state: oneOf("TraceEventState", ["disabled", "enabled"]),
      vcpu: bool,
    })),
    ({ parts }, { name, vcpu }) =>
      eventsNamed(parts, name, vcpu).map((event) => ({
        name: event,
        state: tracesEvent(parts, event) ? "enabled" : "disabled",
        vcpu: false,
      })),
  ),
  action(
    "trace-event-set-state",
    {
      name: str,
      enable: bool,
      "ignore-unavailable": optional(bool),
      vcpu: optional(int),
    },
    ({ parts }, { name, enable, vcpu }) =>
      setTraceEvents(parts, eventsNamed(parts, name, vcpu), enable),
  ),
];
