/**
 * Events: what happens to the machine, in QEMU's words, at most as often as
 * QEMU tells it.
 *
 * @module
 */

import {
  type Cause,
  isGuests,
  type MachineEvent,
} from "../../machine/events.ts";
import type { Parts } from "../../machine/parts.ts";
import { event, type EventData, type EventType } from "./command.ts";
import { addressInfo, Family, vncServer } from "./commands/display.ts";
import { DumpResult } from "./commands/dump.ts";
import { JobStatus } from "./commands/snapshots.ts";
import { bool, int, oneOf, optional, str, struct } from "./types.ts";

const ShutdownCause = oneOf("ShutdownCause", [
  "host-qmp-quit",
  "host-qmp-system-reset",
  "host-signal",
  "host-ui",
  "guest-shutdown",
  "guest-reset",
]);

const BASIC = {
  host: str,
  service: str,
  family: Family,
  websocket: bool,
} as const;

const BasicInfo = struct("VncBasicInfo", BASIC);
const ServerInfo = struct("VncServerInfo", { ...BASIC, auth: optional(str) });
const ViewerInfo = struct("VncKnownClientInfo", BASIC);

/** The events. */
export const EVENTS: readonly EventType[] = [
  event("RESET", { guest: bool, reason: ShutdownCause }),
  event("SHUTDOWN", { guest: bool, reason: ShutdownCause }),
  event("STOP"),
  event("RESUME"),
  event("POWERDOWN"),
  event("BLOCK_IO_ERROR", {
    device: str,
    "node-name": optional(str),
    operation: oneOf("IoOperationType", ["read", "write"]),
    action: oneOf("BlockErrorAction", ["ignore", "report", "stop"]),
    nospace: optional(bool),
    reason: str,
  }),
  event("DEVICE_TRAY_MOVED", { device: str, id: str, "tray-open": bool }),
  event("VNC_CONNECTED", { server: ServerInfo, client: BasicInfo }),
  event("VNC_INITIALIZED", { server: ServerInfo, client: ViewerInfo }),
  event("VNC_DISCONNECTED", { server: ServerInfo, client: ViewerInfo }),
  event("RTC_CHANGE", { offset: int, "qom-path": str }),
  event("DUMP_COMPLETED", { result: DumpResult, error: optional(str) }),
  event("JOB_STATUS_CHANGE", { id: str, status: JobStatus }),
];

/** An event that is to be told. */
export interface Told {
  /** Its name. */
  readonly event: string;
  /** What it says. */
  readonly data?: EventData;
}

function caused(cause: Cause): EventData {
  return { guest: isGuests(cause), reason: cause };
}

/** What a client is told of what has happened, if anything. */
export function toldOf(
  happened: MachineEvent,
  parts: Parts,
): Told | undefined {
  switch (happened.type) {
    case "reset":
      // QEMU's schema: this cause "doesn't occur in QMP".
      if (happened.cause === "snapshot-load") return undefined;
      return { event: "RESET", data: caused(happened.cause) };
    case "shutdown":
      return { event: "SHUTDOWN", data: caused(happened.cause) };
    case "stop":
      return { event: "STOP" };
    case "resume":
      return { event: "RESUME" };
    case "powerdown":
      return { event: "POWERDOWN" };
    case "tray": {
      const { drive, open } = happened;
      return {
        event: "DEVICE_TRAY_MOVED",
        data: { device: drive, id: drive, "tray-open": open },
      };
    }
    case "block-error": {
      const { backend, operation, error } = happened;
      return {
        event: "BLOCK_IO_ERROR",
        data: {
          device: deviceOf(parts, backend),
          "node-name": backend,
          operation,
          action: "report",
          nospace: "kind" in error && error.kind === "no-space",
          reason: error.message,
        },
      };
    }
    case "viewer": {
      const { state, server, client } = happened;
      const auth = vncServer({ parts })?.screen.hasPassword ? "vnc" : "none";
      return {
        event: `VNC_${state.toUpperCase()}`,
        data: {
          server: { ...addressInfo(server), auth },
          client: addressInfo(client),
        },
      };
    }
    case "job": {
      const { id, status } = happened;
      return { event: "JOB_STATUS_CHANGE", data: { id, status } };
    }
    case "dump": {
      const { status, completed, total } = happened.state;
      return {
        event: "DUMP_COMPLETED",
        data: {
          result: { status, completed, total },
          ...happened.error && { error: happened.error.message },
        },
      };
    }
    case "rtc": {
      const { device, offset } = happened;
      const path = `/machine/peripheral/${device}`;
      return { event: "RTC_CHANGE", data: { offset, "qom-path": path } };
    }
  }
}

/** The drive that a backend is in. */
function deviceOf({ plan }: Parts, backend: string): string {
  for (const { name, backends } of plan.devices) {
    for (const [role, key] of backends) {
      if (key === backend) return `${name}.${role}`;
    }
  }
  return backend;
}

/** Milliseconds between two events of a kind that guests cause at will. */
const RATES: Readonly<Record<string, number>> = { RTC_CHANGE: 1000 };

/**
 * Lets events of a kind through at their rate: of those that come too soon the
 * last one comes when it is time.
 */
export class EventGate {
  readonly #emit: (told: Told) => void;
  /** Kinds that are not let through now, and the last one that was not. */
  readonly #waiting = new Map<
    string,
    { timer: ReturnType<typeof setTimeout>; last: Told | undefined }
  >();

  /** `emit` gets what is let through. */
  constructor(emit: (told: Told) => void) {
    this.#emit = emit;
  }

  /** Something has happened. */
  tell(told: Told): void {
    const rate = RATES[told.event];
    if (rate === undefined) return this.#emit(told);
    const waiting = this.#waiting.get(told.event);
    if (waiting !== undefined) {
      waiting.last = told;
      return;
    }
    this.#emit(told);
    this.#close(told.event, rate);
  }

  #close(name: string, rate: number): void {
    const timer = setTimeout(() => {
      const last = this.#waiting.get(name)?.last;
      this.#waiting.delete(name);
      if (last !== undefined) this.tell(last);
    }, rate);
    this.#waiting.set(name, { timer, last: undefined });
  }

  /** Nothing is told any more. */
  close(): void {
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
  }
}
