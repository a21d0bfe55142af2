/**
 * Hooks of library users: who hears of what, and what the machine is told to
 * tell for it.
 *
 * @module
 */

import type { AddressSpace } from "../bus/address_space.ts";
import type { BlockObserver } from "../exec/debug_port.ts";
import type { MachineEvents } from "../machine/events.ts";
import { type DebugControl, DebugError, MAX_WATCH } from "./control.ts";
import { Coverage, type CoverageOptions } from "./coverage.ts";
import type {
  AddressFilter,
  BlockEvent,
  BusAccessEvent,
  BusFilter,
  ExceptionEvent,
  Hook,
  HookEvents,
  HookFilter,
  HookListener,
  InterruptEvent,
  MemoryWatch,
  VectorFilter,
  WatchedAccess,
} from "./events.ts";

/** The address spaces whose devices can be observed. */
export interface ObservedSpaces {
  /** Physical memory. */
  readonly mmio: AddressSpace;
  /** Ports, if there are any. */
  readonly port: AddressSpace | undefined;
}

/** Listeners of one kind. */
class Listeners<T> {
  readonly #all = new Set<(event: T) => void>();
  readonly #changed: (isUsed: boolean) => void;

  /** None; `changed` is called when there is a first one, and no more. */
  constructor(changed: (isUsed: boolean) => void) {
    this.#changed = changed;
  }

  add(listener: (event: T) => void): Hook {
    if (this.#all.size === 0) this.#changed(true);
    const own = (event: T): void => listener(event);
    this.#all.add(own);
    return hook(() => {
      if (this.#all.delete(own) && this.#all.size === 0) this.#changed(false);
    });
  }

  tell(event: T): void {
    for (const listener of this.#all) {
      try {
        listener(event);
      } catch (error) {
        // It must not pass through translated code.
        reportError(error);
      }
    }
  }
}

function hook(remove: () => void): Hook {
  return { remove, [Symbol.dispose]: remove };
}

/** All hooks of one machine. */
export class Hooks {
  readonly #control: DebugControl;
  readonly #events: MachineEvents;
  readonly #spaces: ObservedSpaces;
  /** How many kinds of the CPUs' events are heard. */
  #heard = 0;
  readonly #exceptions = new Listeners<ExceptionEvent>((isUsed) =>
    this.#observe(isUsed)
  );
  readonly #interrupts = new Listeners<InterruptEvent>((isUsed) =>
    this.#observe(isUsed)
  );
  readonly #mmio = new Listeners<BusAccessEvent>((isUsed) =>
    this.#observeSpace(this.#spaces.mmio, this.#mmio, isUsed)
  );
  readonly #ports = new Listeners<BusAccessEvent>((isUsed) =>
    this.#observeSpace(this.#spaces.port, this.#ports, isUsed)
  );
  readonly #blocks = new Set<(cpu: number) => BlockObserver>();

  /** Those of a machine, of which there are none yet. */
  constructor(
    control: DebugControl,
    events: MachineEvents,
    spaces: ObservedSpaces,
  ) {
    this.#control = control;
    this.#events = events;
    this.#spaces = spaces;
  }

  /** See `Machine.on`. */
  on<E extends keyof HookEvents>(
    event: E,
    listener: HookListener<E>,
    filter?: HookFilter<E>,
  ): Hook {
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
      case "port":
      case "mmio":
        return (event === "port" ? this.#ports : this.#mmio).add(accesses(
          listener as HookListener<"port">,
          filter as BusFilter | undefined,
        ));
      case "block":
        return this.#onBlock(
          listener as HookListener<"block">,
          filter as AddressFilter | undefined,
        );
    }
    const type = event === "pause" ? "stop" : event;
    const end = this.#events.on((happened) => {
      if (happened.type !== type) return;
      try {
        (listener as (event: unknown) => void)(happened);
      } catch (error) {
        reportError(error);
      }
    });
    return hook(end);
  }

  /** See `Machine.watch`. */
  watch(
    { address, size, access, space = "linear" }: MemoryWatch,
    listener: (access: WatchedAccess) => void,
  ): Hook {
    if (!Number.isSafeInteger(address)) {
      throw new RangeError(`${address} is no address`);
    }
    if (!Number.isInteger(size) || size < 1 || size > MAX_WATCH) {
      throw new RangeError(`what is watched has 1 to ${MAX_WATCH} bytes`);
    }
    const point = this.#control.watch({
      space,
      address,
      size,
      reads: access !== "write",
      writes: access !== "read",
      hit: ({ address, size, isWrite, pc }, cpu) => {
        const access = isWrite ? "write" : "read";
        try {
          listener({ cpu, address, size, access, pc });
        } catch (error) {
          reportError(error);
        }
        return false;
      },
    });
    return hook(() => point.remove());
  }

  /** See `Machine.coverage`. */
  coverage(options: CoverageOptions): Coverage {
    const coverage = new Coverage(options, () => end());
    const end = this.#observeBlocks(() => coverage);
    return coverage;
  }

  /** Has the CPUs tell of events as long as somebody hears one kind. */
  #observe(isUsed: boolean): void {
    const before = this.#heard;
    this.#heard += isUsed ? 1 : -1;
    if (before > 0 && this.#heard > 0) return;
    for (const [cpu, port] of this.#control.ports.entries()) {
      const told = port.observeEvents(
        this.#heard === 0 ? undefined : {
          exception: (vector, error) =>
            this.#exceptions.tell({ cpu, vector, error, pc: port.pc }),
          interrupt: (vector) =>
            this.#interrupts.tell({ cpu, vector, pc: port.pc }),
        },
      );
      if (!told) {
        this.#heard = before;
        throw new DebugError(`CPU ${cpu} does not tell of its events`);
      }
    }
  }

  #observeSpace(
    space: AddressSpace | undefined,
    listeners: Listeners<BusAccessEvent>,
    isUsed: boolean,
  ): void {
    space?.observe(
      isUsed
        ? (region, address, width, value, isWrite) => {
          const access = isWrite ? "write" : "read";
          listeners.tell({ region, address, width, value, access });
        }
        : undefined,
    );
  }

  #onBlock(listener: HookListener<"block">, filter?: AddressFilter): Hook {
    const isWanted = within(filter);
    const end = this.#observeBlocks((cpu) => ({
      begins: ({ address, bytes, offsets }) => {
        if (!isWanted(address)) return;
        const event: BlockEvent = {
          cpu,
          address,
          instructions: offsets.length,
          bytes,
        };
        try {
          listener(event);
        } catch (error) {
          reportError(error);
        }
      },
      leaves: () => {},
    }));
    return hook(end);
  }

  /** Tells one more observer of blocks; what it gives back ends that. */
  #observeBlocks(of: (cpu: number) => BlockObserver): () => void {
    const all = this.#blocks;
    all.add(of);
    this.#tellBlocks();
    return () => {
      if (all.delete(of)) this.#tellBlocks();
    };
  }

  #tellBlocks(): void {
    for (const [cpu, port] of this.#control.ports.entries()) {
      const observers = [...this.#blocks].map((of) => of(cpu));
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

/** Whether an address is among those that a filter wants. */
function within(
  filter: AddressFilter | undefined,
): (address: number) => boolean {
  if (filter === undefined) return () => true;
  const { address: first, size = 1 } = filter;
  return (address) => address >= first && address < first + size;
}

/** A listener to accesses that a filter lets through. */
function accesses(
  listener: HookListener<"port">,
  filter: BusFilter | undefined,
): HookListener<"port"> {
  const isWanted = within(filter);
  const wanted = filter?.access ?? "access";
  return (event) => {
    if (!isWanted(event.address)) return;
    if (wanted === "access" || wanted === event.access) listener(event);
  };
}

/** A listener to vectors that a filter lets through. */
function vectors<T extends { readonly vector: number; readonly cpu: number }>(
  listener: (event: T) => void,
  filter: VectorFilter | undefined,
): (event: T) => void {
  if (filter === undefined) return listener;
  const { vector, cpu } = filter;
  const list = typeof vector === "number" ? [vector] : vector;
  return (event) => {
    if (list !== undefined && !list.includes(event.vector)) return;
    if (cpu === undefined || cpu === event.cpu) listener(event);
  };
}
