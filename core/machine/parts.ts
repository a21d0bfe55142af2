/**
 * The parts of a machine that has been built.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";
import type { CharBackend } from "../backend/char.ts";
import type { DisplayBackend } from "../backend/display.ts";
import type { InputBackend } from "../backend/input.ts";
import type { InputQueue } from "../backend/input_queue.ts";
import type { NetBackend } from "../backend/net.ts";
import type { DiskUndo } from "../replay/disk_undo.ts";
import type { TimedInputs } from "../replay/inputs.ts";
import type { OpenMonitor } from "../monitor/console.ts";
import type { AddressSpace } from "../bus/address_space.ts";
import type { HostTime, InstructionTime } from "../time/time_source.ts";
import type { VirtualClock } from "../time/virtual_clock.ts";
import type { BlockRequests } from "./block_requests.ts";
import type { BootImages } from "./boot_images.ts";
import type { BusMasters } from "./bus_masters.ts";
import type { CpuCore } from "./cpu.ts";
import type { DeviceEvents } from "./device_events.ts";
import type { Cause, MachineEvents } from "./events.ts";
import type { MachineLog } from "./logger.ts";
import type { RunResult } from "./run_result.ts";
import type { GuestMemory } from "./memory.ts";
import type { NetTraffic } from "./net_traffic.ts";
import type { LoadOptions } from "./options.ts";
import type { MachinePlan } from "./plan_types.ts";
import type { Device } from "./plugin.ts";

/** The parts of a machine. */
export interface Parts {
  /** The plan. */
  readonly plan: MachinePlan;
  /** What the program said. */
  readonly options: LoadOptions;
  /** The one memory. */
  readonly memory: GuestMemory;
  /** Address spaces by name. */
  readonly spaces: ReadonlyMap<string, AddressSpace>;
  /** Virtual time. */
  readonly clock: VirtualClock;
  /** What virtual time follows. */
  readonly time: HostTime | InstructionTime;
  /** The CPU, or all of them as one. */
  readonly cpu: CpuCore;
  /** The CPUs, the one that starts first. */
  readonly cpus: readonly CpuCore[];
  /** Devices by name. */
  readonly devices: ReadonlyMap<string, Device>;
  /** What block backends are doing for devices. */
  readonly blocks: BlockRequests;
  /** What passes on its networks. */
  readonly traffic: NetTraffic;
  /** Whether one of its backends has sockets. */
  readonly hasSockets: boolean;
  /** Backends by name. */
  readonly backends: Map<string, AnyBackend>;
  /**
   * What is loaded at every reset, when there is a kernel; in a machine of a
   * snapshot not before the first reset.
   */
  boot: BootImages | undefined;
  /** What was asked for. */
  readonly requests: Requests;
  /** Tells monitors what happens. */
  readonly events: MachineEvents;
  /** What devices tell of. */
  readonly deviceEvents: DeviceEvents;
  /** Which of them accesses memory or ports. */
  readonly masters: BusMasters;
  /** What monitors type, beside the displays. */
  readonly input: InputQueue;
  /** The buttons of the machine's case. */
  readonly control: MachineControl;
  /** Of a run that is recorded or replayed: what comes from outside. */
  readonly inputs: TimedInputs | undefined;
  /** In a replay: what the guest has written to its disks. */
  readonly undo: DiskUndo | undefined;
  /** The log. */
  readonly log: MachineLog;
}

/** The buttons of a machine's case. */
export interface MachineControl {
  /** Press the reset button. */
  reset(cause: Cause): void;
  /** Whether there is a power button. */
  readonly hasPowerButton: boolean;
  /** Press the power button; false: there is none. */
  pressPowerButton(): boolean;
  /** Give all CPUs a non-maskable interrupt. */
  nmi(): void;
}

/** A backend of any type. */
export type AnyBackend =
  | CharBackend
  | BlockBackend
  | NetBackend
  | DisplayBackend
  | InputBackend;

/** What devices and backends asked the machine for. */
export interface Requests {
  /** Reset the machine. */
  reset: boolean;
  /** Who wants that. */
  resetCause: Cause;
  /** What a reset by the guest or a monitor does: anew, or it ends the run. */
  noReboot: boolean;
  /** Reset these CPUs alone: a bit each. */
  cpuReset: number;
  /** The same for the line `init`. */
  cpuInit: number;
  /** End the run so. */
  end: RunResult | undefined;
  /** Who wants that, where the result does not say it. */
  endCause: Cause | undefined;
  /** Makes the run loop look. */
  notify: () => void;
  /** The CPU's interrupt line rose: an idle CPU goes on. */
  wake: () => void;
  /** Begins a session of the machine's monitor. */
  openMonitor: OpenMonitor;
  /** Resolves when the machine has been reset and input may come. */
  readonly ready: PromiseWithResolvers<void>;
  /** Whether it has. */
  isReady: boolean;
}

/** Close every backend, even when one fails; throws the first failure. */
export async function closeAll(
  backends: ReadonlyMap<string, AnyBackend>,
): Promise<void> {
  const results = await Promise.allSettled(
    [...backends.values()].map((backend) => backend.close()),
  );
  for (const result of results) {
    if (result.status === "rejected") throw result.reason;
  }
}
