/**
 * The BIOS as its services see it.
 *
 * @module
 */

import type { DriveGeometry } from "../../../core/machine/boot_drive.ts";
import type { FirmwareTables } from "../../../core/machine/firmware.ts";
import type { Clock } from "../../../core/time/clock.ts";
import type { BiosConfig } from "./config.ts";
import type { DriveMap, Emulation } from "./drives.ts";
import type { Frame, Status } from "./frame.ts";
import type { Guest } from "./guest.ts";
import type { Requests } from "./requests.ts";
import type { BiosState } from "./state.ts";

/** The BIOS of one machine, for its services. */
export interface Bios {
  /** The configuration. */
  readonly config: BiosConfig;
  /** The guest's memory and ports. */
  readonly guest: Guest;
  /** Virtual time. */
  readonly clock: Clock;
  /** The drives by their numbers. */
  readonly drives: DriveMap;
  /** Requests to drives. */
  readonly requests: Requests;
  /** The state. */
  readonly state: BiosState;
  /** The offset of an entry in the ROM. */
  entry(label: string): number;
  /** The machine's tables, by who places them. */
  tables(): readonly FirmwareTables[];
  /** Write a table into the ROM's segment. */
  writeRom(offset: number, bytes: Uint8Array): void;
  /** The guest asks for what there is not: told once a site. */
  log(site: string, details?: string): void;
  /** Let the wake-up call through, as an AT's disk service does. */
  unmaskWake(): void;
  /** From now on a disc emulates this drive, or none. */
  setEmulation(emulation: Emulation | null): void;
  /** From now on these are the geometries by which disks were partitioned. */
  setPartitioned(geometries: (DriveGeometry | null)[]): void;
  /** Call an interrupt's handler before the service is asked again. */
  call(vector: number, ax?: number): Status;
  /** The same with code of the ROM that returns as a handler does. */
  callRom(label: string, ax?: number): Status;
  /** Wait for so many nanoseconds: asked again and again until DONE. */
  waitFor(frame: Frame, nanoseconds: number): Status;
}
