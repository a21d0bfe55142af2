/**
 * What a device is given of its machine: exactly what it declares, and an error
 * for everything else.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";
import type { CharBackend } from "../backend/char.ts";
import type { DisplayBackend } from "../backend/display.ts";
import type { InputBackend } from "../backend/input.ts";
import type { InputQueue } from "../backend/input_queue.ts";
import type { NetBackend } from "../backend/net.ts";
import { NULL_CHAR } from "../backend/null_char.ts";
import type { AddressSpace } from "../bus/address_space.ts";
import {
  type MovablePriorities,
  MovableRegion,
} from "../bus/movable_region.ts";
import type { DiskUndo } from "../replay/disk_undo.ts";
import type { TimedInputs } from "../replay/inputs.ts";
import type { VirtualClock } from "../time/virtual_clock.ts";
import type { BlockRequests } from "./block_requests.ts";
import { type BusMasters, dmaPort } from "./bus_masters.ts";
import type { CpuCore } from "./cpu.ts";
import {
  COMMON_EVENTS,
  type CommonData,
  type DeviceEvent,
  type DeviceEvents,
  type EventChannel,
  type EventData,
} from "./device_events.ts";
import type { MachineEvents } from "./events.ts";
import { createLogger, type LogSink } from "./logger.ts";
import type { RunResult } from "./run_result.ts";
import type { GuestMemory } from "./memory.ts";
import type { NetTraffic } from "./net_traffic.ts";
import type { AnyBackend, Requests } from "./parts.ts";
import type { MachinePlan, PlannedDevice } from "./plan_types.ts";
import type { Device, DeviceContext } from "./plugin.ts";
import { surveyMachine } from "./survey.ts";
import { toldBlock, toldChar, toldNet } from "./told_backends.ts";
import type { Wiring } from "./wiring.ts";

/** What there is of a machine while its devices are made. */
export interface Building {
  /** The plan. */
  readonly plan: MachinePlan;
  /** Takes the log's lines. */
  readonly log: LogSink;
  /** The one memory. */
  readonly memory: GuestMemory;
  /** Virtual time. */
  readonly clock: VirtualClock;
  /** Address spaces by name. */
  readonly spaces: ReadonlyMap<string, AddressSpace>;
  /** Priorities of the regions that guests move. */
  readonly movable: MovablePriorities;
  /** Interrupt lines. */
  readonly wiring: Wiring;
  /** Backends by name. */
  readonly backends: ReadonlyMap<string, AnyBackend>;
  /** The devices so far, by name. */
  readonly devices: ReadonlyMap<string, Device>;
  /** What block backends do for devices. */
  readonly blocks: BlockRequests;
  /** What passes on networks. */
  readonly traffic: NetTraffic;
  /** What was asked of the machine. */
  readonly requests: Requests;
  /** What monitors type. */
  readonly input: InputQueue;
  /** Of a run that is recorded or replayed: what comes from outside. */
  readonly inputs: TimedInputs | undefined;
  /** In a replay: what the guest has written to its disks. */
  readonly undo: DiskUndo | undefined;
  /** And how it reaches devices. */
  readonly timed: typeof import("../replay/channels.ts") | undefined;
  /** Tells monitors what happens. */
  readonly events: MachineEvents;
  /** What devices tell of. */
  readonly deviceEvents: DeviceEvents;
  /** Who accesses memory and ports. */
  readonly masters: BusMasters;
  /** End the run. */
  end(result: RunResult): void;
  /** The CPU, or all of them as one, which is made after all devices. */
  cpu: CpuCore | undefined;
  /** See `DeviceContext.runningCpu`. */
  runningCpu(): number;
}

/** What one device is given. */
export function deviceContext(
  building: Building,
  planned: PlannedDevice,
  files: ReadonlyMap<string, Uint8Array>,
): DeviceContext {
  const { name, plugin, declared } = planned;
  const fail = (message: string): never => {
    throw new Error(`device "${name}" (${plugin.name}): ${message}`);
  };
  const { plan, memory, clock, spaces, wiring, requests } = building;
  const physical = spaces.get(plan.definition.cpu.physical)!;
  const { ports: portSpace } = plan.definition.cpu;
  const ports = portSpace === undefined ? undefined : spaces.get(portSpace);
  const outputs = declared.outputs ?? [];
  for (const output of outputs) wiring.declare(name, output);
  const { deviceEvents, masters } = building;
  const common = <E extends keyof typeof COMMON_EVENTS>(
    event: E,
  ): EventChannel<CommonData<E>> =>
    (deviceEvents.find(name, event) as EventChannel<CommonData<E>>) ??
      deviceEvents.common(name, event);
  for (const [event, spec] of Object.entries(plugin.events ?? {})) {
    if (Object.hasOwn(COMMON_EVENTS, event)) {
      fail(`its event "${event}" has the name of one that all devices have`);
    }
    deviceEvents.declare(name, event, spec);
  }
  if (outputs.length > 0) {
    const changed = common("line");
    changed.onHeard = (isHeard) => {
      for (const output of outputs) {
        wiring.output(name, output)!.observe(
          isHeard ? (level) => changed.tell({ output, level }) : undefined,
        );
      }
    };
  }
  const region = (regionName: string) => {
    const spec = declared.regions?.[regionName] ??
      fail(`it declares no region "${regionName}"`);
    return { spec, place: planned.regions.get(regionName) };
  };
  const movers = new Map<string, MovableRegion>();
  for (const [key, spec] of Object.entries(declared.regions ?? {})) {
    if (!spec.movable) continue;
    const mover = new MovableRegion(spaces.get(spec.space)!, {
      name: `${name}.${key}`,
      size: spec.size,
      kind: spec.kind ?? "io",
      priority: building.movable.next(spec.shadows === true),
      width: spec.width,
    });
    movers.set(key, mover);
  }
  const backend = <B>(role: string, type: string): B | undefined => {
    if (plugin.backends?.[role]?.type !== type) {
      fail(`it declares no ${type} backend "${role}"`);
    }
    const backendName = planned.backends.get(role);
    return backendName === undefined
      ? undefined
      : building.backends.get(backendName) as B;
  };
  return {
    name,
    clock,
    log: createLogger(name, building.log),
    event: <T extends EventData>(event: string): DeviceEvent<T> => {
      const told = Object.hasOwn(COMMON_EVENTS, event)
        ? common(event as keyof typeof COMMON_EVENTS)
        : deviceEvents.find(name, event);
      return (told ?? fail(`it declares no event "${event}"`)) as DeviceEvent<
        T
      >;
    },
    dma: masters.dma(
      name,
      dmaPort(physical, () => building.cpu),
      common("dma"),
    ),
    ports: plugin.usesPorts === true ? masters.ports(name, ports) : {
      read: () => fail("it does not declare that it uses ports"),
      write: () => fail("it does not declare that it uses ports"),
    },
    io: (regionName, handler) => {
      const { spec, place } = region(regionName);
      movers.get(regionName)?.answer(handler);
      if (place === undefined) return;
      spaces.get(place.space)!.add({
        ...place,
        kind: "io",
        handler,
        width: spec.width,
      });
    },
    memory: (regionName) => {
      const { spec, place } = region(regionName);
      if (spec.kind !== "ram" && spec.kind !== "rom") {
        return fail(`its region "${regionName}" is not memory`);
      }
      const offset = memory.alloc(spec.size);
      movers.get(regionName)?.back(offset);
      if (place !== undefined) {
        spaces.get(place.space)!.add({
          ...place,
          kind: spec.kind,
          hostOffset: offset,
        });
      }
      const bytes = memory.u8.subarray(offset, offset + spec.size);
      return {
        offset,
        bytes,
        write: (at, from) => {
          bytes.set(from, at);
          const base = place?.base ?? movers.get(regionName)?.base;
          if (base !== undefined) {
            building.cpu?.invalidate(base + at, from.length);
          }
        },
        watch: (changed) => {
          const cpu = building.cpu;
          if (cpu?.watchWrites === undefined) return false;
          // Where it is nowhere nothing reaches it.
          const base = place?.base ?? movers.get(regionName)?.base;
          if (base !== undefined) cpu.watchWrites(base, spec.size, changed);
          return true;
        },
      };
    },
    mover: (regionName) =>
      movers.get(regionName) ??
        fail(`it declares no movable region "${regionName}"`),
    output: (output) =>
      wiring.output(name, output) ??
        fail(`it declares no output "${output}"`),
    input: (input, sink) => {
      if (!declared.inputs?.includes(input)) {
        fail(`it declares no input "${input}"`);
      }
      wiring.listen(name, input, sink);
    },
    collaborator: <T>(role: string): T => {
      const other = planned.use.get(role) ??
        fail(`it declares no collaborator "${role}"`);
      return building.devices.get(other) as T;
    },
    runningCpu: () => building.runningCpu(),
    file: (file) =>
      planned.files.has(file)
        ? files.get(file)
        : fail(`it declares no file "${file}"`),
    providers: <T>(contract: string): readonly T[] => {
      if (plugin.collects?.includes(contract) !== true) {
        fail(`it does not declare that it collects "${contract}"`);
      }
      return Object.keys(plan.definition.devices)
        .filter((other) =>
          plan.devices.find((d) => d.name === other)!.plugin.provides
            ?.includes(contract)
        )
        .map((other) => building.devices.get(other) as T);
    },
    char: (role) => {
      const char = backend<CharBackend>(role, "char");
      if (char === undefined) return NULL_CHAR;
      const { timed, inputs } = building;
      const own = timed === undefined
        ? gatedChar(char, requests)
        : timed.timedChar(inputs!, `${name}.${role}`, char);
      return toldChar(own, role, common("bytes"));
    },
    block: (role) => {
      const block = backend<BlockBackend>(role, "block");
      const { undo, blocks } = building;
      const noted = block && (undo?.noting(block) ?? block);
      if (noted === undefined) return undefined;
      const asked = blocks.behind(noted, planned.backends.get(role));
      return toldBlock(asked, role, common("disk"));
    },
    net: (role) => {
      const net = backend<NetBackend>(role, "net");
      const on = net && building.traffic.on(net);
      const { timed, inputs } = building;
      const own = on && timed
        ? timed.timedNet(inputs!, `${name}.${role}`, on)
        : on;
      return own && toldNet(own, common("frame"));
    },
    display: (role) => backend<DisplayBackend>(role, "display"),
    inputs: (role) => {
      const made = backend<InputBackend | DisplayBackend>(role, "input");
      const input = made && ("onEvent" in made ? made : made.input);
      const joined = joinedInput(building.input, input);
      const { timed, inputs } = building;
      return timed === undefined
        ? gatedInput(joined, requests)
        : timed.timedInput(inputs!, `${name}.${role}`, joined);
    },
    dateSet: (offset) =>
      building.events.emit({ type: "rtc", device: name, offset }),
    exit: (status) => {
      if (plugin.exits !== true) fail("it does not declare that it exits");
      building.end({ reason: "exit", status: status & 0xff });
    },
    survey: () =>
      plugin.surveys === true
        ? surveyMachine(plan)
        : fail("it does not declare that it surveys"),
  };
}

/**
 * A char backend whose input is held back until the machine has been reset:
 * the reset would lose it.
 */
export function gatedChar(
  char: CharBackend,
  requests: Pick<Requests, "ready" | "isReady">,
): CharBackend {
  return {
    write: (bytes) => char.write(bytes),
    onInput: (receiver) =>
      char.onInput((bytes) =>
        requests.isReady
          ? receiver(bytes)
          : requests.ready.promise.then(() => receiver(bytes))
      ),
    flush: () => char.flush(),
    close: () => char.close(),
  };
}

/** What monitors type, and what comes from a device's own backend. */
function joinedInput(
  monitors: InputBackend,
  own: InputBackend | undefined,
): InputBackend {
  if (own === undefined) return monitors;
  return {
    onEvent: (receiver) => {
      monitors.onEvent(receiver);
      own.onEvent(receiver);
    },
    leds: (lights) => {
      monitors.leds?.(lights);
      own.leds?.(lights);
    },
    after: (own.after ?? monitors.after)?.bind(own.after ? own : monitors),
    close: () => own.close(),
  };
}

/** An input whose events are lost before the machine is switched on. */
export function gatedInput(
  input: InputBackend,
  requests: Pick<Requests, "isReady">,
): InputBackend {
  return {
    onEvent: (receiver) =>
      input.onEvent((event) => requests.isReady ? receiver(event) : undefined),
    leds: (lights) => input.leds?.(lights),
    after: input.after?.bind(input),
    close: () => input.close(),
  };
}
