/**
 * What happens to a machine as a whole, told to its monitors: it is reset,
 * switched off, stopped; a disk fails, a tray moves, a viewer comes.
 *
 * @module
 */

import type { PeerAddress, ViewerState } from "../backend/display.ts";

/**
 * Who wanted a reset or an end, by the names that QEMU has in
 * `qapi/run-state.json`, `ShutdownCause`.
 */
export type Cause =
  /** A monitor's `quit`. */
  | "host-qmp-quit"
  /** A monitor's `system_reset`. */
  | "host-qmp-system-reset"
  /** The process was asked to go. */
  | "host-signal"
  /** A human at a display or a terminal, or the program. */
  | "host-ui"
  /** The guest switched the machine off. */
  | "guest-shutdown"
  /** The guest reset it, or its CPU shut down. */
  | "guest-reset"
  /** A snapshot was loaded. */
  | "snapshot-load";

/** Whether it was the guest. */
export function isGuests(cause: Cause): boolean {
  return cause.startsWith("guest-");
}

/** Something that has happened. */
export type MachineEvent =
  /** The machine was reset. */
  | { readonly type: "reset"; readonly cause: Cause }
  /** The run has ended, or is about to. */
  | { readonly type: "shutdown"; readonly cause: Cause }
  /** The guest stands still. */
  | { readonly type: "stop" }
  /** It goes on. */
  | { readonly type: "resume" }
  /** The power button was pressed. */
  | { readonly type: "powerdown" }
  /** The tray of a drive, by its name in `Media.drives`, has opened or closed. */
  | { readonly type: "tray"; readonly drive: string; readonly open: boolean }
  /** A disk, by its backend's name, has failed a request. */
  | {
    readonly type: "block-error";
    readonly backend: string;
    readonly operation: "read" | "write";
    readonly error: Error;
  }
  /** A viewer of a display backend has come, got in, or gone. */
  | {
    readonly type: "viewer";
    readonly backend: string;
    readonly state: ViewerState;
    readonly server: PeerAddress;
    readonly client: PeerAddress;
  }
  /** A job of a monitor's has come to a state. */
  | { readonly type: "job"; readonly id: string; readonly status: string }
  /** A dump of the guest's memory has ended: bytes that are written, of how many. */
  | {
    readonly type: "dump";
    readonly state: {
      readonly status: string;
      readonly completed: number;
      readonly total: number;
    };
    readonly error: Error | undefined;
  }
  /** The guest has set the clock, by its device's name: seconds ahead of virtual time. */
  | { readonly type: "rtc"; readonly device: string; readonly offset: number };

/** Takes events. It is called at once: it should only note them. */
export type EventListener = (event: MachineEvent) => void;

/** Tells monitors what happens. */
export class MachineEvents {
  readonly #listeners = new Set<EventListener>();

  /** Hear of everything from now on; what it gives back ends that. */
  on(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tell everybody. */
  emit(event: MachineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
