/**
 * Monitors' commands that change a guest, while its run is recorded or
 * replayed.
 *
 * Most come through a channel and are recorded. An access to a port is none of
 * those: it is answered at once, where the guest stands, and what comes from
 * outside is not handed over there. A replay has what was recorded, and what a
 * monitor wants beside it would make it another run: rr gives a debugger a copy
 * of the process to spoil for that, which a machine with its disks and devices
 * is too large for.
 *
 * @module
 */

import { ReplayError } from "./error.ts";
import type { TimedInputs } from "./inputs.ts";

/** Commands that reach a device at once. */
const AT_ONCE = new Set(["i", "o", "set-action", "set_link"]);

/** Commands of the human monitor and of QMP that the guest notices. */
const NOTICED = new Set([
  ...AT_ONCE,
  "blockdev-change-medium",
  "blockdev-close-tray",
  "blockdev-insert-medium",
  "blockdev-open-tray",
  "blockdev-remove-medium",
  "change",
  "eject",
  "inject-nmi",
  "input-send-event",
  "mouse_button",
  "mouse_move",
  "nmi",
  "send-key",
  "sendkey",
  "system_powerdown",
  "system_reset",
]);

/** Throws a `ReplayError` if a run's monitors cannot have a command done. */
export function checkCommand(
  inputs: TimedInputs | undefined,
  name: string,
): void {
  if (inputs === undefined) return;
  if (!inputs.isLive && NOTICED.has(name)) {
    throw new ReplayError(
      "unsupported",
      `"${name}" is not for a replay, which has what was recorded`,
    );
  }
  if (AT_ONCE.has(name)) {
    throw new ReplayError(
      "unsupported",
      `"${name}" is not for a run that is recorded: it would not be in the ` +
        "recording",
    );
  }
}
