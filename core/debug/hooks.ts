/**
 * Hooks of library users: who hears of what, and what the machine is told to
 * tell for it.
 *
 * @module
 */

import type { AddressSpace } from "../bus/address_space.ts";
import type { AccessObserver } from "../bus/overlay.ts";
import type { BlockObserver } from "../exec/debug_port.ts";
import type { BusMasters } from "../machine/bus_masters.ts";
import type { DeviceEvents, DeviceFilter } from "../machine/device_events.ts";
import type { MachineEvents } from "../machine/events.ts";
import { suggest } from "../machine/nearest.ts";
import { checkAddress } from "./addresses.ts";
import { type DebugControl, DebugError } from "./control.ts";
import { Coverage, type CoverageOptions } from "./coverage.ts";
import type {
  Accessor,
  BlockEvent,
  BlockFilter,
  BusAccessEvent,
  BusFilter,
  ExceptionEvent,
  Hook,
  HookEvents,
  HookFilter,
  HookListener,
  InterruptEvent,
  MemoryWatch,
  SoftwareInterruptEvent,
  VectorFilter,
  WatchedAccess,
} from "./events.ts";
import type { HookError } from "./hook_error.ts";
import { call, hook, type ListenerHost, Listeners } from "./listeners.ts";
import { watchMemory } from "./memory_hooks.ts";

/** What hooks need of their machine. */
export interface HookedMachine {
  /** Its debugging. */
  readonly control: DebugControl;
  /** Tells what happens to it as a whole. */
  readonly events: MachineEvents;
  /** Tells what its devices do. */
  readonly devices: DeviceEvents;
  /** Which device accesses memory or a port just now. */
  readonly masters: BusMasters;
  /** Physical memory. */
  readonly mmio: AddressSpace;
  /** Ports, if there are any. */
  readonly port: AddressSpace | undefined;
  /** A listener has failed: the run is to end with this error. */
  failed(error: HookError): void;
}

const VECTORS = ["vector", "cpu"];
const ACCESSES = ["address", "size", "access", "cpu"];

/** What there is to hear, and what it is filtered by: for programs without types. */
const FILTERS: Readonly<Record<keyof HookEvents, readonly string[]>> = {
  exception: VECTORS,
  interrupt: VECTORS,
  "software-interrupt": VECTORS,
  port: ACCESSES,
  mmio: ACCESSES,
  block: ["address", "size", "cpu"],
  device: ["device", "event"],
  reset: [],
  shutdown: [],
  pause: [],
  resume: [],
  powerdown: [],
  tray: [],
  "block-error": [],
  viewer: [],
  rtc: [],
};

/** What filters of all kinds have. */
interface AnyFilter {
  readonly address?: number;
  readonly size?: number;
  readonly cpu?: number;
  readonly access?: string;
  readonly vector?: number | readonly number[];
}

/** All hooks of one machine. */
export class Hooks {
  readonly #machine: HookedMachine;
  readonly #control: DebugControl;
  readonly #host: ListenerHost;
  readonly #exceptions: Listeners<ExceptionEvent>;
  readonly #interrupts: Listeners<InterruptEvent>;
  readonly #software: Listeners<SoftwareInterruptEvent>;
  readonly #mmio: Listeners<BusAccessEvent>;
  readonly #ports: Listeners<BusAccessEvent>;
  /** Kinds of the CPUs' events that are heard. */
  readonly #heard = new Set<unknown>();
  /** Spaces whose devices are observed. */
  readonly #observed = new Set<AddressSpace>();
  readonly #blocks = new Set<(cpu: number) => BlockObserver>();

  /** Those of a machine, of which there are none yet. */
  constructor(machine: HookedMachine) {
    this.#machine = machine;
    const { control } = machine;
    this.#control = control;
    const host: ListenerHost = {
      outsideSlice: (action) => control.outsideSlice(action),
      failed: (error) => machine.failed(error),
    };
    this.#host = host;
    const used = (kind: string) => (isUsed: boolean): void =>
      this.#observe(kind, isUsed);
    this.#exceptions = new Listeners("exception", host, used("exception"));
    this.#interrupts = new Listeners("interrupt", host, used("interrupt"));
    this.#software = new Listeners("software-interrupt", host, used("int"));
    this.#mmio = new Listeners(
      "mmio",
      host,
      (isUsed) => this.#observeSpace(machine.mmio, this.#mmio, isUsed),
    );
    this.#ports = new Listeners(
      "port",
      host,
      (isUsed) => this.#observeSpace(machine.port, this.#ports, isUsed),
    );
  }

  /** See `Machine.on`. */
  on<E extends keyof HookEvents>(
    event: E,
    listener: HookListener<E>,
    filter?: HookFilter<E>,
  ): Hook {
    if (!Object.hasOwn(FILTERS, event)) {
      throw new RangeError(
        `there is no event "${event}"${suggest(event, Object.keys(FILTERS))}`,
      );
    }
    checkListener(listener);
    if (filter !== undefined) this.#checkFilter(event, filter);
    switch (event) {
      case "exception":
        return this.#exceptions.add(vectors(
          listener as HookListener<"exception">,
          filter as VectorFilter | undefined,
        ));
      case "interrupt":
        return this.#interrupts.add(vectors(
          listener as HookListener<"interrupt">,
          filter as VectorFilter | undefined,
        ));
      case "software-interrupt":
        return this.#software.add(vectors(
          listener as HookListener<"software-interrupt">,
          filter as VectorFilter | undefined,
        ));
      case "port":
      case "mmio":
        return (event === "port" ? this.#ports : this.#mmio).add(accesses(
          listener as HookListener<"port">,
          filter as BusFilter | undefined,
        ));
      case "block":
        return this.#onBlock(
          listener as HookListener<"block">,
          filter as BlockFilter | undefined,
        );
      case "device":
        return this.#onDevice(
          listener as HookListener<"device">,
          filter as DeviceFilter | undefined,
        );
    }
    const type = event === "pause" ? "stop" : event;
    const end = this.#machine.events.on((happened) => {
      if (happened.type !== type) return;
      const told = happened as unknown as HookEvents[E];
      call(this.#host, event, listener, told);
    });
    return hook(end);
  }

  /** Throws a `RangeError` for a filter that is none, or would let nothing through. */
  #checkFilter(event: keyof HookEvents, filter: unknown): void {
    if (typeof filter !== "object" || filter === null) {
      throw new RangeError(`a filter is ${filter}, expected an object`);
    }
    const known = FILTERS[event];
    for (const name of Object.keys(filter)) {
      if (known.includes(name)) continue;
      throw new RangeError(
        `"${event}" is not filtered by "${name}"${suggest(name, known)}`,
      );
    }
    const { address, size, cpu, access, vector } = filter as AnyFilter;
    if (access !== undefined) checkAccess(access, WATCHED);
    for (const one of [vector ?? []].flat()) {
      if (Number.isInteger(one)) continue;
      throw new RangeError(`a filter's vector is ${one}, expected a number`);
    }
    if (address !== undefined) checkAddress(address);
    else if (size !== undefined) {
      throw new RangeError("a filter with a size needs an address");
    }
    if (size !== undefined && !(size >= 1)) {
      throw new RangeError(`a filter's size is ${size}, expected 1 or more`);
    }
    if (cpu !== undefined && this.#control.cpus[cpu] === undefined) {
      throw new RangeError(`there is no CPU ${cpu}`);
    }
  }

  /** See `Machine.watch`. */
  watch(
    watched: MemoryWatch,
    listener: (access: WatchedAccess) => void,
  ): Hook {
    checkListener(listener);
    checkAccess(watched.access, [...WATCHED, "execute"]);
    return watchMemory(
      { control: this.#control, devices: this.#machine.devices },
      watched,
      (access) => call(this.#host, "watch", listener, access),
    );
  }

  /** See `Machine.coverage`. */
  coverage(options: CoverageOptions): Coverage {
    const coverage = new Coverage(options, () => end());
    const end = this.#observeBlocks((cpu) => coverage.of(cpu));
    return coverage;
  }

  /** Has the CPUs tell of events as long as somebody hears one kind. */
  #observe(kind: string, isUsed: boolean): void {
    const before = this.#heard.size;
    if (isUsed) this.#heard.add(kind);
    else this.#heard.delete(kind);
    if (before > 0 && this.#heard.size > 0) return;
    for (const [cpu, port] of this.#control.ports.entries()) {
      const told = port.observeEvents(
        this.#heard.size === 0 ? undefined : {
          exception: (vector, error, address, next) => {
            const pc = next ?? port.pc;
            this.#exceptions.tell({ cpu, vector, error, address, pc });
          },
          interrupt: (vector) =>
            this.#interrupts.tell({ cpu, vector, pc: port.pc }),
          software: (vector, next) =>
            this.#software.tell({ cpu, vector, pc: next }),
        },
      );
      if (!told) {
        this.#heard.delete(kind);
        throw new DebugError(`CPU ${cpu} does not tell of its events`);
      }
    }
  }

  #observeSpace(
    space: AddressSpace | undefined,
    listeners: Listeners<BusAccessEvent>,
    isUsed: boolean,
  ): void {
    if (space === undefined) return;
    const observer: AccessObserver = (
      region,
      address,
      width,
      value,
      isWrite,
    ) => {
      const access = isWrite ? "write" : "read";
      const who = this.#accessor();
      listeners.tell({ region, address, width, value, access, ...who });
    };
    space.observe(isUsed ? observer : undefined);
    const before = this.#observed.size;
    if (isUsed) this.#observed.add(space);
    else this.#observed.delete(space);
    if (before > 0 === this.#observed.size > 0) return;
    for (const port of this.#control.ports) port.observeDevices(isUsed);
  }

  /** Who accesses a device just now. */
  #accessor(): Accessor {
    const device = this.#machine.masters.current;
    const cpu = device === undefined ? this.#control.runningCpu : undefined;
    const pc = cpu === undefined ? undefined : this.#control.ports[cpu].pc;
    return { cpu, pc, device };
  }

  #onDevice(listener: HookListener<"device">, filter?: DeviceFilter): Hook {
    let isOn = true;
    const end = this.#machine.devices.hear(filter ?? {}, (event) => {
      if (isOn) call(this.#host, "device", listener, event);
    });
    return hook(() => {
      isOn = false;
      end();
    });
  }

  #onBlock(listener: HookListener<"block">, filter?: BlockFilter): Hook {
    const isWanted = within(filter);
    const only = filter?.cpu;
    const end = this.#observeBlocks((cpu) => ({
      begins: ({ address, bytes, offsets, physical }) => {
        if (!isWanted(address)) return;
        if (only !== undefined && only !== cpu) return;
        const event: BlockEvent = {
          cpu,
          address,
          physical,
          instructions: offsets.length,
          bytes,
        };
        call(this.#host, "block", listener, event);
      },
      leaves: () => {},
    }));
    return hook(end);
  }

  /** Tells one more observer of blocks; what it gives back ends that. */
  #observeBlocks(of: (cpu: number) => BlockObserver): () => void {
    const all = this.#blocks;
    let isOn = true;
    const own = (cpu: number): BlockObserver => {
      const observer = of(cpu);
      return {
        begins: (block) => {
          if (isOn) observer.begins(block);
        },
        leaves: (left) => {
          if (isOn) observer.leaves(left);
        },
      };
    };
    all.add(own);
    this.#tellBlocks();
    return () => {
      isOn = false;
      if (all.delete(own)) {
        this.#control.outsideSlice(() => this.#tellBlocks());
      }
    };
  }

  #tellBlocks(): void {
    const told = [...this.#blocks];
    for (const [cpu, port] of this.#control.ports.entries()) {
      const observers = told.map((of) => of(cpu));
      port.observeBlocks(
        observers.length === 0 ? undefined : {
          begins: (block) => {
            for (const observer of observers) observer.begins(block);
          },
          leaves: (left) => {
            for (const observer of observers) observer.leaves(left);
          },
        },
      );
    }
  }
}

function checkListener(listener: unknown): void {
  if (typeof listener === "function") return;
  throw new TypeError(`a listener is ${listener}, expected a function`);
}

/** The accesses to memory and devices. */
const WATCHED: readonly string[] = ["read", "write", "access"];

function checkAccess(access: string, known: readonly string[]): void {
  if (known.includes(access)) return;
  throw new RangeError(
    `there is no access "${access}"${suggest(access, known)}`,
  );
}

/** Whether an address is among those that a filter wants. */
function within(
  filter: { address?: number; size?: number } | undefined,
): (address: number) => boolean {
  if (filter?.address === undefined) return () => true;
  const { address: first, size = 1 } = filter;
  return (address) => address >= first && address < first + size;
}

/** A listener to accesses that a filter lets through. */
function accesses(
  listener: (event: BusAccessEvent) => unknown,
  filter: BusFilter | undefined,
): (event: BusAccessEvent) => unknown {
  const { address: first, size = 1, access = "access", cpu } = filter ?? {};
  return (event) => {
    const { address, width } = event;
    const wanted = (first === undefined ||
      address < first + size && first < address + width) &&
      (cpu === undefined || cpu === event.cpu) &&
      (access === "access" || access === event.access);
    return wanted ? listener(event) : undefined;
  };
}

/** A listener to vectors that a filter lets through. */
function vectors<T extends { readonly vector: number; readonly cpu: number }>(
  listener: (event: T) => unknown,
  filter: VectorFilter | undefined,
): (event: T) => unknown {
  if (filter === undefined) return listener;
  const { vector, cpu } = filter;
  const list = typeof vector === "number" ? [vector] : vector;
  return (event) => {
    const wanted = (list === undefined || list.includes(event.vector)) &&
      (cpu === undefined || cpu === event.cpu);
    return wanted ? listener(event) : undefined;
  };
}
