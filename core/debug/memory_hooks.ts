/**
 * Watched memory, for library users: by CPUs through their guards, by devices
 * through what they tell of their DMA, and executed instructions.
 *
 * @module
 */

import type { DeviceEvents, ToldEvent } from "../machine/device_events.ts";
import { checkAddress } from "./addresses.ts";
import { type DebugControl, MAX_WATCH } from "./control.ts";
import type { Hook, MemoryWatch, WatchedAccess } from "./events.ts";
import { hook } from "./listeners.ts";

/** The largest range of instructions. */
const MAX_EXECUTED = 2 ** 16;

/** What accesses memory. */
export interface WatchedMachine {
  /** Its CPUs. */
  readonly control: DebugControl;
  /** Its devices. */
  readonly devices: DeviceEvents;
}

/** Tells of accesses to a range. Throws a `RangeError` for one that cannot be watched. */
export function watchMemory(
  machine: WatchedMachine,
  watched: MemoryWatch,
  tell: (access: WatchedAccess) => void,
): Hook {
  const { address, size, access, space = "linear" } = watched;
  const isExecuted = access === "execute";
  const most = isExecuted ? MAX_EXECUTED : MAX_WATCH;
  checkAddress(address);
  if (!Number.isInteger(size) || size < 1 || size > most) {
    throw new RangeError(`what is watched has 1 to ${most} bytes`);
  }
  const by = watched.by ??
    (space === "physical" && !isExecuted ? "any" : "cpu");
  if (by !== "cpu" && space === "linear") {
    throw new RangeError("devices access physical memory, not linear");
  }
  if (isExecuted && (by !== "cpu" || space !== "linear")) {
    throw new RangeError("CPUs execute linear addresses, and devices nothing");
  }
  let isOn = true;
  const told = (access: WatchedAccess): void => {
    if (isOn) tell(access);
  };
  const ends: (() => void)[] = [];
  if (isExecuted) ends.push(watchExecuted(machine, watched, told));
  else {
    if (by !== "device") ends.push(watchCpus(machine, watched, told));
    if (by !== "cpu") ends.push(watchDevices(machine, watched, told));
  }
  return hook(() => {
    isOn = false;
    for (const end of ends.splice(0)) end();
  });
}

function watchExecuted(
  { control }: WatchedMachine,
  { address, size }: MemoryWatch,
  tell: (access: WatchedAccess) => void,
): () => void {
  const point = control.onReached({
    address,
    size,
    reached: (pc, cpu) =>
      tell({
        cpu,
        pc,
        device: undefined,
        address: pc,
        size: 1,
        access: "execute",
      }),
  });
  return () => point.remove();
}

function watchCpus(
  { control }: WatchedMachine,
  { address, size, access, space = "linear" }: MemoryWatch,
  tell: (access: WatchedAccess) => void,
): () => void {
  const point = control.watch({
    space,
    address,
    size,
    reads: access !== "write",
    writes: access !== "read",
    hit: ({ address, size, isWrite, pc }, cpu) => {
      const access = isWrite ? "write" : "read";
      tell({ cpu, pc, device: undefined, address, size, access });
      return false;
    },
  });
  return () => point.remove();
}

function watchDevices(
  { devices }: WatchedMachine,
  watched: MemoryWatch,
  tell: (access: WatchedAccess) => void,
): () => void {
  if (devices.all.size === 0) return () => {};
  return devices.hear({ event: "dma" }, ({ device, data }: ToldEvent) => {
    const access = data["write"] === true ? "write" : "read";
    if (watched.access !== "access" && watched.access !== access) return;
    const from = data["address"] as number;
    const end = Math.min(
      from + (data["size"] as number),
      watched.address + watched.size,
    );
    const address = Math.max(from, watched.address);
    if (address >= end) return;
    tell({
      cpu: undefined,
      pc: undefined,
      device,
      address,
      size: end - address,
      access,
    });
  });
}
