/**
 * What devices tell of: named events with a few values, for programs
 * (`Machine.on("device")`) and monitors (`trace-event`). Who tells asks first
 * whether somebody hears it, which is one load; nothing is computed otherwise.
 *
 * A plugin declares its events; some are those of every device that has what
 * they tell of, and the machine tells them ({@linkcode COMMON_EVENTS}).
 *
 * @module
 */

import { suggest } from "./nearest.ts";

/** A value in an event. */
export type EventValue = number | string | boolean | Uint8Array;

/** The values of an event, by name. */
export type EventData = Readonly<Record<string, EventValue>>;

/** What a value is. */
export type EventValueType = "number" | "string" | "boolean" | "bytes";

/** An event that a plugin declares. */
export interface DeviceEventSpec {
  /** When it is told and what its values are, in one line. */
  readonly description: string;
  /** Its values; none when absent. Each event has all of them. */
  readonly data?: Readonly<Record<string, EventValueType>>;
}

/** An event, as the device that tells it has it. */
export interface DeviceEvent<T extends EventData = EventData> {
  /** Whether somebody hears it now: ask before anything is computed for it. */
  readonly isHeard: boolean;
  /**
   * It has happened. Who hears of it is called at once, in the midst of the
   * device's work. Bytes must be a copy if they change afterwards.
   */
  tell(data: T): void;
}

/** An event of a device, as who hears it gets it. */
export interface ToldEvent {
  /** The device's name in the machine definition. */
  readonly device: string;
  /** The event's name. */
  readonly event: string;
  /** Virtual time in nanoseconds. */
  readonly time: number;
  /** Its values, as the device's plugin declares them. */
  readonly data: EventData;
}

/** Which events of devices. */
export interface DeviceFilter {
  /** Only those of the device with this name in the machine definition. */
  readonly device?: string;
  /** Only those with this name. */
  readonly event?: string;
}

/** The events that the machine tells for every device that has what they tell of. */
export const COMMON_EVENTS = {
  line: {
    description: "An output line has changed; `level`: whether it is high",
    data: { output: "string", level: "boolean" },
  },
  dma: {
    description:
      "As a bus master it has read or written (`write`) so many bytes of guest memory",
    data: { address: "number", size: "number", write: "boolean" },
  },
  bytes: {
    description:
      "Bytes have passed between it and its char backend `backend`; `sent`: to the host",
    data: { backend: "string", sent: "boolean", bytes: "bytes" },
  },
  frame: {
    description:
      "An Ethernet frame has passed; `sent`: to the network; `offload`: sums and segments are left to the receiver",
    data: { sent: "boolean", offload: "boolean", bytes: "bytes" },
  },
  disk: {
    description:
      "It has asked its disk for something: `read`, `write`, `discard`, `flush`; `offset` and `size` in bytes",
    data: {
      backend: "string",
      request: "string",
      offset: "number",
      size: "number",
    },
  },
  config: {
    description:
      "So many bytes of its PCI configuration space were written (`width`), at `offset`",
    data: { offset: "number", width: "number", value: "number" },
  },
  map: {
    description:
      "The guest has moved its region `region` to `address`, or (-1) switched it off",
    data: { region: "string", address: "number" },
  },
} as const satisfies Readonly<Record<string, DeviceEventSpec>>;

/** The values of a common event. */
export type CommonData<E extends keyof typeof COMMON_EVENTS> = {
  readonly [K in keyof (typeof COMMON_EVENTS)[E]["data"]]: ValueOf<
    (typeof COMMON_EVENTS)[E]["data"][K]
  >;
};

/** The type of a value, by its name in a declaration. */
export type ValueOf<T> = T extends "number" ? number
  : T extends "string" ? string
  : T extends "boolean" ? boolean
  : Uint8Array;

/** What is wrong with an event's values by its declaration; undefined when nothing is. */
export function eventFault(
  { data: declared = {} }: DeviceEventSpec,
  data: EventData,
): string | undefined {
  for (const [name, type] of Object.entries(declared)) {
    const value = data[name];
    const is = value instanceof Uint8Array ? "bytes" : typeof value;
    if (is !== type) return `"${name}" is ${is}, expected ${type}`;
    if (type === "number" && Number.isNaN(value)) return `"${name}" is NaN`;
  }
  for (const name of Object.keys(data)) {
    if (!Object.hasOwn(declared, name)) return `"${name}" is not declared`;
  }
  return undefined;
}

/** Hears an event. */
export type DeviceListener = (event: ToldEvent) => void;

/** An event of one device. */
export class EventChannel<T extends EventData = EventData>
  implements DeviceEvent<T> {
  isHeard = false;
  /** Called when somebody begins to hear it, and when nobody does any more. */
  onHeard: (isHeard: boolean) => void = () => {};
  /** Its declaration. */
  readonly spec: DeviceEventSpec;
  readonly #device: string;
  readonly #event: string;
  readonly #now: () => number;
  #listeners: readonly DeviceListener[] = [];

  /** An event that nobody hears; `now` gives virtual time. */
  constructor(
    device: string,
    event: string,
    spec: DeviceEventSpec,
    now: () => number,
  ) {
    this.#device = device;
    this.#event = event;
    this.spec = spec;
    this.#now = now;
  }

  tell(data: T): void {
    const listeners = this.#listeners;
    if (listeners.length === 0) return;
    const told = {
      device: this.#device,
      event: this.#event,
      time: this.#now(),
      data,
    };
    for (const listener of listeners) listener(told);
  }

  /** One more hears it; what this gives back ends that. */
  hear(listener: DeviceListener): () => void {
    const own: DeviceListener = (event) => listener(event);
    this.#set([...this.#listeners, own]);
    return () => this.#set(this.#listeners.filter((l) => l !== own));
  }

  #set(listeners: readonly DeviceListener[]): void {
    this.#listeners = listeners;
    const isHeard = listeners.length > 0;
    if (isHeard === this.isHeard) return;
    this.isHeard = isHeard;
    this.onHeard(isHeard);
  }
}

/** The events of all devices of a machine. */
export class DeviceEvents {
  readonly #devices = new Map<string, Map<string, EventChannel>>();
  readonly #now: () => number;

  /** None yet; `now` gives virtual time in nanoseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A device has an event. Throws an `Error` when it has one of that name. */
  declare<T extends EventData>(
    device: string,
    event: string,
    spec: DeviceEventSpec,
  ): EventChannel<T> {
    let events = this.#devices.get(device);
    if (events === undefined) this.#devices.set(device, events = new Map());
    if (events.has(event)) {
      throw new Error(`the device "${device}" has two events "${event}"`);
    }
    const channel = new EventChannel<T>(device, event, spec, this.#now);
    events.set(event, channel as EventChannel<EventData>);
    return channel;
  }

  /** Like `declare`, of one of the common events. */
  common<E extends keyof typeof COMMON_EVENTS>(
    device: string,
    event: E,
  ): EventChannel<CommonData<E>> {
    return this.declare(device, event, COMMON_EVENTS[event]);
  }

  /** An event that was declared. */
  find(device: string, event: string): EventChannel | undefined {
    return this.#devices.get(device)?.get(event);
  }

  /** All events there are: devices and their events. */
  get all(): ReadonlyMap<string, ReadonlyMap<string, EventChannel>> {
    return this.#devices;
  }

  /**
   * Hear of events until what this gives back is called. Throws a `RangeError`
   * for a device or an event that there is not.
   */
  hear({ device, event }: DeviceFilter, listener: DeviceListener): () => void {
    const ends: (() => void)[] = [];
    for (const [name, events] of this.#devices) {
      if (device !== undefined && device !== name) continue;
      for (const [eventName, channel] of events) {
        if (event !== undefined && event !== eventName) continue;
        ends.push(channel.hear(listener));
      }
    }
    if (ends.length === 0) throw new RangeError(this.#missing(device, event));
    return () => {
      for (const end of ends.splice(0)) end();
    };
  }

  /** What is wrong with a filter that lets nothing through. */
  #missing(device: string | undefined, event: string | undefined): string {
    const isKnown = device === undefined || this.#devices.has(device);
    if (!isKnown) {
      return unknown("device", device!, [...this.#devices.keys()]);
    }
    if (event === undefined) return "there are no events of devices";
    const events = device === undefined
      ? [...this.#devices.values()].flatMap((e) => [...e.keys()])
      : [...this.#devices.get(device)!.keys()];
    const where = device === undefined ? "" : ` of the device "${device}"`;
    return unknown("event", event, [...new Set(events)], where);
  }
}

function unknown(
  what: string,
  name: string,
  names: readonly string[],
  where = "",
): string {
  return `there is no ${what} "${name}"${where}${suggest(name, names)}`;
}
