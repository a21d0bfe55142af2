/**
 * A bench for a single device, as a unit test or a conformance suite needs it:
 * a clock that the test sets, lines that it reads and drives, and its regions.
 *
 * @module
 */

import { NULL_CHAR } from "../backend/null_char.ts";
import type { CharBackend } from "../backend/char.ts";
import type { DisplayBackend } from "../backend/display.ts";
import type { InputBackend } from "../backend/input.ts";
import { AddressSpace } from "../bus/address_space.ts";
import type { AccessWidth } from "../bus/handler.ts";
import { IrqLine, type LineSink } from "../bus/irq_line.ts";
import { MovablePriorities, MovableRegion } from "../bus/movable_region.ts";
import { ManualTime } from "../time/time_source.ts";
import { VirtualClock } from "../time/virtual_clock.ts";
import type { StateRecord } from "../state/state.ts";
import {
  COMMON_EVENTS,
  type DeviceEvent,
  type DeviceEventSpec,
  type EventData,
  eventFault,
} from "./device_events.ts";
import { createLogger } from "./logger.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
  MachineSurvey,
  RegionSpec,
} from "./plugin.ts";
import { applySchema } from "./schema.ts";

/** What a test gives a device. */
export interface BenchOptions {
  /** The configuration; checked and completed by the plugin's schema. */
  readonly config?: Record<string, unknown>;
  /** Char backends by name. */
  readonly char?: Readonly<Record<string, CharBackend>>;
  /** Display backends by name. */
  readonly display?: Readonly<Record<string, DisplayBackend>>;
  /** Input backends by name. */
  readonly inputs?: Readonly<Record<string, InputBackend>>;
  /** Collaborators by name. */
  readonly use?: Readonly<Record<string, unknown>>;
  /** The host's files by name. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** Devices by the contract that they provide. */
  readonly providers?: Readonly<Record<string, readonly unknown[]>>;
  /** Size of the RAM that DMA reaches; 1 MiB when absent. */
  readonly ram?: number;
  /** Which CPU executes an instruction; 0 when absent. */
  readonly runningCpu?: () => number;
  /** What the machine has; nothing when absent. */
  readonly survey?: MachineSurvey;
  /** The date at virtual time 0, in milliseconds since 1970; 0 when absent. */
  readonly epoch?: number;
}

/** An event that a device on the bench told. */
export interface BenchEvent {
  /** Its name. */
  readonly event: string;
  /** Its values: those that are declared. */
  readonly data: EventData;
}

/** A device on the bench. */
export class DeviceBench<D extends Device = Device> {
  /** The device. */
  readonly device: D;
  /** Its regions' specifications, by name. */
  readonly regions: Readonly<Record<string, RegionSpec>>;
  /** RAM that DMA reaches. */
  readonly ram: Uint8Array;
  /** Lines of log. */
  readonly log: readonly string[];
  /** Statuses given to `exit`. */
  readonly exits: readonly number[];
  /** Events that the device told. */
  readonly events: readonly BenchEvent[];
  /** The clock. */
  readonly clock: VirtualClock;
  /** The space of 4 GiB in which movable regions are. */
  readonly memory: AddressSpace;
  /** The ports among which movable regions are. */
  readonly ports: AddressSpace;
  /** The bytes of all regions of memory. */
  readonly backing: Uint8Array;
  readonly #ear: { isOpen: boolean };
  readonly #touch: (region: string) => void;
  readonly #time: ManualTime;
  readonly #spaces: ReadonlyMap<string, AddressSpace>;
  readonly #outputs: ReadonlyMap<string, IrqLine>;
  readonly #edges: ReadonlyMap<string, boolean[]>;
  readonly #inputs: ReadonlyMap<string, LineSink>;

  private constructor(parts: {
    device: D;
    regions: Readonly<Record<string, RegionSpec>>;
    ram: Uint8Array;
    log: string[];
    exits: number[];
    events: BenchEvent[];
    ear: { isOpen: boolean };
    clock: VirtualClock;
    memory: AddressSpace;
    ports: AddressSpace;
    time: ManualTime;
    spaces: Map<string, AddressSpace>;
    outputs: Map<string, IrqLine>;
    edges: Map<string, boolean[]>;
    inputs: Map<string, LineSink>;
    backing: Uint8Array;
    touch: (region: string) => void;
  }) {
    this.device = parts.device;
    this.regions = parts.regions;
    this.ram = parts.ram;
    this.log = parts.log;
    this.exits = parts.exits;
    this.events = parts.events;
    this.#ear = parts.ear;
    this.clock = parts.clock;
    this.memory = parts.memory;
    this.ports = parts.ports;
    this.#time = parts.time;
    this.#spaces = parts.spaces;
    this.#outputs = parts.outputs;
    this.#edges = parts.edges;
    this.#inputs = parts.inputs;
    this.backing = parts.backing;
    this.#touch = parts.touch;
  }

  /** Make a device of `plugin` on a bench of its own. */
  static async create<D extends Device = Device>(
    plugin: DevicePlugin,
    options: BenchOptions = {},
  ): Promise<DeviceBench<D>> {
    const config = applySchema(plugin.config, options.config ?? {});
    const fileSizes: Record<string, number> = {};
    for (const [name, bytes] of Object.entries(options.files ?? {})) {
      fileSizes[name] = bytes.length;
    }
    const declared = { ...plugin, ...plugin.declare?.(config, fileSizes) };
    const regions = declared.regions ?? {};
    const ram = new Uint8Array(options.ram ?? 1024 * 1024);
    const time = new ManualTime();
    const clock = new VirtualClock(time, options.epoch ?? 0);
    const log: string[] = [];
    const exits: number[] = [];
    const events: BenchEvent[] = [];
    const ear = { isOpen: false };
    const spaces = new Map<string, AddressSpace>();
    const outputs = new Map<string, IrqLine>();
    const edges = new Map<string, boolean[]>();
    for (const name of declared.outputs ?? []) {
      const seen: boolean[] = [];
      edges.set(name, seen);
      outputs.set(name, new IrqLine((level) => seen.push(level)));
    }
    const inputs = new Map<string, LineSink>();
    const sizes = Object.values(regions).map((r) => r.size);
    const u8 = new Uint8Array(sizes.reduce((a, b) => a + b, 0));
    const backing = { u8, view: new DataView(u8.buffer) };
    let allocated = 0;
    const memory = new AddressSpace("memory", 2 ** 32, backing);
    const ports = new AddressSpace("ports", 65536);
    const priorities = new MovablePriorities();
    const movers = new Map<string, MovableRegion>();
    for (const [name, spec] of Object.entries(regions)) {
      if (!spec.movable) continue;
      const mover = new MovableRegion(
        spec.space === "memory" ? memory : ports,
        {
          name,
          size: spec.size,
          kind: spec.kind ?? "io",
          priority: priorities.next(spec.shadows === true),
          width: spec.width,
        },
      );
      movers.set(name, mover);
    }
    const watchers = new Map<string, () => void>();
    const touch = (name: string): void => {
      const changed = watchers.get(name);
      watchers.delete(name);
      changed?.();
    };
    const region = (name: string): RegionSpec => {
      const spec = regions[name];
      if (spec === undefined) throw new Error(`no region "${name}" declared`);
      return spec;
    };
    const context: DeviceContext = {
      name: plugin.name,
      clock,
      log: createLogger(plugin.name, (line) => log.push(line)),
      event<T extends EventData>(event: string): DeviceEvent<T> {
        const spec = plugin.events?.[event] ??
          (COMMON_EVENTS as Record<string, DeviceEventSpec>)[event];
        if (spec === undefined) throw new Error(`no event "${event}" declared`);
        return {
          get isHeard(): boolean {
            return ear.isOpen;
          },
          tell: (data) => {
            const fault = eventFault(spec, data);
            if (fault !== undefined) {
              throw new Error(`event "${event}": ${fault}`);
            }
            events.push({ event, data });
          },
        };
      },
      dma: {
        read(address, into) {
          into.set(ram.subarray(address, address + into.length));
        },
        write(address, bytes) {
          // Beyond its RAM there is nothing.
          if (address < ram.length) {
            ram.set(bytes.subarray(0, ram.length - address), address);
          }
        },
      },
      io(name, handler) {
        const { size } = region(name);
        movers.get(name)?.answer(handler);
        const space = new AddressSpace(name, size);
        space.add({ name, base: 0, size, kind: "io", handler });
        spaces.set(name, space);
      },
      memory(name) {
        const { size, kind } = region(name);
        const offset = allocated;
        allocated += size;
        movers.get(name)?.back(offset);
        const space = new AddressSpace(name, size, backing);
        space.add({
          name,
          base: 0,
          size,
          kind: kind === "rom" ? "rom" : "ram",
          hostOffset: offset,
        });
        spaces.set(name, space);
        const bytes = u8.subarray(offset, offset + size);
        return {
          offset,
          bytes,
          write: (at, from) => {
            bytes.set(from, at);
            touch(name);
          },
          watch: (changed) => {
            watchers.set(name, changed);
            return true;
          },
        };
      },
      mover(name) {
        const mover = movers.get(name);
        if (mover === undefined) {
          throw new Error(`no movable region "${name}" declared`);
        }
        return mover;
      },
      output(name) {
        const line = outputs.get(name);
        if (line === undefined) throw new Error(`no output "${name}" declared`);
        return line;
      },
      input(name, sink) {
        if (!declared.inputs?.includes(name)) {
          throw new Error(`no input "${name}" declared`);
        }
        inputs.set(name, sink);
      },
      collaborator<T>(name: string): T {
        return options.use?.[name] as T;
      },
      file: (name) => options.files?.[name],
      ports: {
        read: (port, width) => ports.read(port, width),
        write: (port, width, value) => ports.write(port, width, value),
      },
      providers<T>(contract: string): readonly T[] {
        return (options.providers?.[contract] ?? []) as readonly T[];
      },
      char: (name) => options.char?.[name] ?? NULL_CHAR,
      block: () => undefined,
      net: () => undefined,
      display: (name) => options.display?.[name],
      inputs: (name) => options.inputs?.[name],
      exit(status) {
        if (plugin.exits !== true) throw new Error("exits is not declared");
        exits.push(status);
      },
      runningCpu: () => options.runningCpu?.() ?? 0,
      survey() {
        if (plugin.surveys !== true) throw new Error("surveys is not declared");
        return options.survey ?? { ram: [], devices: [] };
      },
    };
    const device = await plugin.create(config, context) as D;
    return new DeviceBench<D>({
      device,
      regions,
      ram,
      log,
      exits,
      events,
      ear,
      clock,
      memory,
      ports,
      time,
      spaces,
      outputs,
      edges,
      inputs,
      backing: u8,
      touch,
    });
  }

  #space(region: string): AddressSpace {
    const space = this.#spaces.get(region);
    if (space === undefined) {
      throw new Error(`region "${region}" has no handler`);
    }
    return space;
  }

  /** Read from a region as the guest would. */
  read(region: string, offset: number, width: AccessWidth = 1): number {
    return this.#space(region).read(offset, width);
  }

  /** Write to a region as the guest would. */
  write(
    region: string,
    offset: number,
    value: number,
    width: AccessWidth = 1,
  ): void {
    this.#touch(region);
    this.#space(region).write(offset, width, value);
  }

  /** Hear the device's events from now on, or do not; not at first. */
  set hears(isOpen: boolean) {
    this.#ear.isOpen = isOpen;
  }

  /** The level of an output line. */
  level(output: string): boolean {
    return this.#outputs.get(output)!.level;
  }

  /** The levels that an output line took, since the last call. */
  takeEdges(output: string): boolean[] {
    return this.#edges.get(output)!.splice(0);
  }

  /** Drive an input line. */
  drive(input: string, level: boolean): void {
    const sink = this.#inputs.get(input);
    if (sink === undefined) throw new Error(`input "${input}" has no sink`);
    sink(level);
  }

  /** Let virtual time pass, firing timers at their deadlines. */
  advance(nanoseconds: number): void {
    const end = this.#time.now() + nanoseconds;
    while (this.clock.nextDeadline() <= end) {
      this.#time.set(this.clock.nextDeadline());
      this.clock.runDue();
    }
    this.#time.set(end);
  }

  /** The device's state. */
  save(): StateRecord {
    return this.device.save();
  }
}
