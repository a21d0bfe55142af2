/**
 * Commands about whether the machine runs: QEMU's `qapi/run-state.json` and
 * `qapi/misc.json`.
 *
 * @module
 */

import { action, type Command, query } from "../command.ts";
import { GenericError } from "../error.ts";
import { bool, int, list, oneOf, optional, str, struct } from "../types.ts";

const RunState = oneOf("RunState", [
  "debug",
  "paused",
  "prelaunch",
  "restore-vm",
  "running",
  "save-vm",
  "shutdown",
]);

const WatchdogAction = oneOf("WatchdogAction", [
  "reset",
  "shutdown",
  "poweroff",
  "pause",
  "debug",
  "none",
  "inject-nmi",
]);

/** What has no number in particular. */
const NO_UUID = "00000000-0000-0000-0000-000000000000";

/** The commands. */
export const RUN_STATE: readonly Command[] = [
  query(
    "query-status",
    {},
    struct("StatusInfo", { running: bool, singlestep: bool, status: RunState }),
    ({ machine: { runState } }) => ({
      running: runState === "running",
      singlestep: false,
      status: runState,
    }),
  ),
  action("stop", {}, ({ machine }) => machine.stopGuest()),
  action("cont", {}, ({ machine }) => {
    if (machine.runState === "shutdown") {
      throw new GenericError("Resetting the Virtual Machine is required");
    }
    machine.continueGuest();
  }),
  action(
    "system_reset",
    {},
    ({ machine }) => machine.reset("host-qmp-system-reset"),
  ),
  action("system_powerdown", {}, ({ machine }) => {
    try {
      machine.pressPowerButton();
    } catch (error) {
      // There is a button, but no wires: as on QEMU's machines without ACPI.
      if (!(error instanceof RangeError)) throw error;
      machine.events.emit({ type: "powerdown" });
    }
  }),
  action("system_wakeup", {}, () => {
    throw new GenericError(
      "Unable to wake up: guest is not in suspended state",
    );
  }),
  query(
    "query-name",
    {},
    struct("NameInfo", { name: optional(str) }),
    ({ machine }) => ({ name: machine.plan.definition.name }),
  ),
  query(
    "query-uuid",
    {},
    struct("UuidInfo", { UUID: str }),
    () => ({ UUID: NO_UUID }),
  ),
  query(
    "query-kvm",
    {},
    struct("KvmInfo", { enabled: bool, present: bool }),
    () => ({ enabled: false, present: false }),
  ),
  query(
    "query-iothreads",
    {},
    list(struct("IOThreadInfo", {
      id: str,
      "thread-id": int,
      "poll-max-ns": int,
      "poll-grow": int,
      "poll-shrink": int,
      "aio-max-batch": int,
    })),
    () => [],
  ),
  action(
    "set-action",
    {
      reboot: optional(oneOf("RebootAction", ["reset", "shutdown"])),
      shutdown: optional(oneOf("ShutdownAction", ["poweroff", "pause"])),
      panic: optional(oneOf("PanicAction", [
        "pause",
        "shutdown",
        "exit-failure",
        "none",
      ])),
      watchdog: optional(WatchdogAction),
    },
    ({ parts: { requests } }, { reboot, shutdown }) => {
      if (shutdown === "pause") {
        throw new GenericError("A machine that is off does not stay");
      }
      if (reboot !== undefined) requests.noReboot = reboot === "shutdown";
    },
  ),
  // No machine has a watchdog.
  action("watchdog-set-action", { action: WatchdogAction }, () => {}),
  action("inject-nmi", {}, ({ parts }) => parts.control.nmi()),
  query(
    "human-monitor-command",
    { "command-line": str, "cpu-index": optional(int) },
    str,
    async ({ human }, { "command-line": line, "cpu-index": cpu }) => {
      if (human === undefined) {
        throw new GenericError("there is no human monitor");
      }
      const monitor = await human();
      if (cpu !== undefined && await monitor.run(`cpu ${cpu}`) !== "") {
        throw invalid("cpu-index", "a CPU number");
      }
      const text = await monitor.run(line);
      // Each command begins with the first CPU.
      await monitor.run("cpu 0");
      return text.replaceAll("\n", "\r\n");
    },
  ),
];

/** A parameter's value is none that there is. */
export function invalid(name: string, expected: string): GenericError {
  return new GenericError(`Parameter '${name}' expects ${expected}`);
}
