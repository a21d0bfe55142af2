/**
 * The breakpoints and watchpoints that a client has set: packets `Z` and `z`.
 *
 * @module
 */

import type {
  DebugPoint,
  MachineDebugger,
  StopEvent,
  WatchAccess,
} from "../contract.ts";

/** What stands after `Z`: software and hardware breakpoints, watchpoints. */
export type PointType = 0 | 1 | 2 | 3 | 4;

/** Points at once: a client that sets more has lost count. */
const MAX_POINTS = 4096;
/** What a watchpoint may cover. */
const MAX_WATCHED = 1 << 20;

/** How the types of watchpoints are called in a stop reply. */
const WATCH_NAMES: Readonly<Record<number, string>> = {
  2: "watch",
  3: "rwatch",
  4: "awatch",
};
const WATCH_ACCESS: Readonly<Record<number, WatchAccess>> = {
  2: "write",
  3: "read",
  4: "access",
};

interface SetPoint {
  readonly type: PointType;
  readonly address: number;
  readonly size: number;
  readonly point: DebugPoint;
}

/** All points of a client. */
export class Points {
  readonly #debugger: MachineDebugger;
  readonly #points = new Map<string, SetPoint>();

  /** No points. */
  constructor(machine: MachineDebugger) {
    this.#debugger = machine;
  }

  /** Set one; what is set stays. Throws a `RangeError` for what cannot be. */
  set(type: PointType, address: number, size: number): void {
    const key = `${type},${address},${size}`;
    if (this.#points.has(key)) return;
    if (this.#points.size >= MAX_POINTS) {
      throw new RangeError(`there are ${MAX_POINTS} points already`);
    }
    const isWatch = type >= 2;
    if (isWatch && (size < 1 || size > MAX_WATCHED)) {
      throw new RangeError(`cannot watch ${size} bytes`);
    }
    const point = isWatch
      ? this.#debugger.setWatchpoint({
        address,
        size,
        access: WATCH_ACCESS[type],
      })
      : this.#debugger.setBreakpoint(address);
    this.#points.set(key, { type, address, size, point });
  }

  /** Take one away, if it is there. */
  remove(type: PointType, address: number, size: number): void {
    const key = `${type},${address},${size}`;
    this.#points.get(key)?.point.remove();
    this.#points.delete(key);
  }

  /** Take all away. */
  clear(): void {
    for (const { point } of this.#points.values()) point.remove();
    this.#points.clear();
  }

  /** The type of the breakpoint at an address, the software one first. */
  breakpointAt(address: number): PointType | undefined {
    let found: PointType | undefined;
    for (const point of this.#points.values()) {
      if (point.type >= 2 || point.address !== address) continue;
      if (point.type === 0) return 0;
      found = point.type;
    }
    return found;
  }

  /**
   * What a stop reply says of an access: the kind of the watchpoint that saw
   * it, and the address.
   */
  watchAt(
    event: StopEvent & { kind: "watchpoint" },
  ): { name: string; address: number } {
    let best: SetPoint | undefined;
    for (const point of this.#points.values()) {
      const { type, address, size } = point;
      if (
        type < 2 || event.address < address || event.address >= address + size
      ) continue;
      const isExact = WATCH_ACCESS[type] === event.access;
      if (best === undefined || isExact) best = point;
    }
    const type = best?.type ?? (event.access === "read" ? 3 : 2);
    return { name: WATCH_NAMES[type], address: event.address };
  }
}
