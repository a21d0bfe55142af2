/**
 * The BIOS's state: what services keep that is not in the guest's memory.
 *
 * @module
 */

import type { DriveGeometry } from "../../../core/machine/boot_drive.ts";
import {
  loadItems,
  loadState,
  StateError,
  type StateRecord,
} from "../../../core/state/state.ts";
import type { Emulation } from "./drives.ts";
import { Status } from "./frame.ts";
import type { OptionRom } from "./option_roms.ts";
import { MAX_REQUESTS, type RequestState } from "./requests.ts";

/** Registers that a 32-bit entry passes on. */
export const WINDOW = 7;

/** How far starting a system has got. */
export interface BootState {
  /** What comes next. */
  step: "prompt" | "menu" | "try" | "load" | "none";
  /** The drives that are left, by their numbers. */
  drives: number[];
  /** Until when the prompt waits, in nanoseconds. */
  until: number;
  /** Where the boot code was loaded. */
  segment: number;
  /** Its offset there. */
  offset: number;
  /** The drive that it is told. */
  drive: number;
}

/** Nothing has been tried. */
export function freshBoot(): BootState {
  return {
    step: "prompt",
    drives: [],
    until: 0,
    segment: 0,
    offset: 0,
    drive: 0,
  };
}

/** The BIOS's state; the rest is in the guest's memory. */
export interface BiosState {
  /** What the ROM does next. */
  status: number;
  /** The interrupt that it calls, and with what AX. */
  call: number;
  /** AX for that call. */
  callAx: number;
  /** AX and FLAGS as the last call returned them. */
  returnedAx: number;
  /** FLAGS. */
  returnedFlags: number;
  /** Registers of a 32-bit entry. */
  window: number[];
  /** Which of them is next. */
  windowAt: number;
  /** The wake-up call, IRQ 14, is given and was not taken. */
  wake: boolean;
  /** Callers that wait for drives. */
  requests: RequestState[];
  /** Callers that wait for a time: their frames and when, in ns. */
  waits: { frame: number; until: number }[];
  /** How far starting a system has got. */
  boot: BootState;
  /** Where the machine's tables begin, at the end of RAM; 0 for none. */
  tables: number;
  /** The drive that a disc emulates; null for none. */
  emulation: Emulation | null;
  /** Geometries by which disks were partitioned; null: unknown. */
  partitioned: (DriveGeometry | null)[];
  /** Option ROMs that are still to be called. */
  roms: OptionRom[];
  /** The mode of VBE that is set, with bit 14 when it is linear; 0: none. */
  vbeMode: number;
  /** How often media had been changed when a caller was last told. */
  changes: number[];
  /** What is started in place of what is configured; empty: that. A reset keeps it. */
  order: string;
}

/** As after power-on. */
export function freshState(): BiosState {
  return {
    status: Status.DONE,
    call: 0,
    callAx: 0,
    returnedAx: 0,
    returnedFlags: 0,
    window: new Array(WINDOW).fill(0),
    windowAt: 0,
    wake: false,
    requests: [],
    waits: [],
    boot: freshBoot(),
    tables: 0,
    emulation: null,
    partitioned: [],
    roms: [],
    vbeMode: 0,
    changes: [],
    order: "",
  };
}

/** More than there are of waits, drives or ROMs. */
const MAX_ITEMS = 256;
/** The most sectors of a request: all that its caller can say. */
const MAX_SECTORS = 65536;
const KINDS: readonly string[] = ["read", "write", "format", "boot"];

const REQUEST: RequestState = {
  frame: 0,
  kind: "read",
  drive: 0,
  sector: 0,
  count: 0,
  address: 0,
  done: false,
  status: 0,
};
const GEOMETRY: DriveGeometry = { cylinders: 0, heads: 0, sectors: 0 };
const EMULATION: Emulation = {
  cdrom: 0,
  media: 0,
  block: 0,
  drive: 0,
  segment: 0,
  sectors: 0,
  cylinders: 0,
  heads: 0,
  trackSectors: 0,
};

/** The state that was saved, whoever says so. Throws a `StateError`. */
export function loadBiosState(record: StateRecord, name: string): BiosState {
  const state = loadState(freshState(), record, name);
  const items = <T>(key: keyof BiosState, template: T, most = MAX_ITEMS): T[] =>
    loadItems(template, state[key] as unknown[], `${name}.${key}`, most);
  const requests = items("requests", REQUEST, MAX_REQUESTS);
  for (const [i, { kind, count, sector, address }] of requests.entries()) {
    const isOne = KINDS.includes(kind) && isCount(count) &&
      count <= MAX_SECTORS && isCount(sector) && isCount(address);
    if (!isOne) throw new StateError(`${name}.requests[${i}]`, "it is none");
  }
  const waits = items("waits", { frame: 0, until: 0 });
  if (waits.some(({ until }) => Number.isNaN(until))) {
    throw new StateError(`${name}.waits`, "one is for no time");
  }
  const known = state.partitioned.map((one) => one ?? GEOMETRY);
  loadItems(GEOMETRY, known, `${name}.partitioned`, MAX_ITEMS);
  const { emulation } = state;
  if (emulation !== null) {
    loadState(EMULATION, emulation as never, `${name}.emulation`);
  }
  loadItems(0, state.boot.drives, `${name}.boot.drives`, MAX_ITEMS);
  return {
    ...state,
    requests,
    waits,
    roms: items("roms", { segment: 0, ax: 0 }),
    changes: items("changes", 0),
  };
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
