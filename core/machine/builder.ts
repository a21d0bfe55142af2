/**
 * Builds the parts of a machine from a plan: memory, spaces, backends, devices,
 * the CPU, and the wires between them.
 *
 * @module
 */

import { InputQueue } from "../backend/input_queue.ts";
import type { NetBackend } from "../backend/net.ts";
import { NULL_CHAR } from "../backend/null_char.ts";
import { AddressSpace } from "../bus/address_space.ts";
import { MovablePriorities } from "../bus/movable_region.ts";
import type { TimedInputs } from "../replay/inputs.ts";
import { HostTime, InstructionTime } from "../time/time_source.ts";
import { VirtualClock } from "../time/virtual_clock.ts";
import { BlockRequests } from "./block_requests.ts";
import { BusMasters } from "./bus_masters.ts";
import { readBootImages } from "./boot_images.ts";
import { type CpuCore, initialize, type InterruptController } from "./cpu.ts";
import { CpuGroup } from "./cpu_group.ts";
import { type Building, deviceContext } from "./device_context.ts";
import { DeviceEvents } from "./device_events.ts";
import { at, DefinitionError } from "./document.ts";
import { MachineEvents } from "./events.ts";
import type { PowerButton } from "./firmware.ts";
import { createLogger, type LogSink, MachineLog } from "./logger.ts";
import type { RunResult } from "./run_result.ts";
import { GuestMemory } from "./memory.ts";
import { NetTraffic } from "./net_traffic.ts";
import type { LoadOptions } from "./options.ts";
import {
  type AnyBackend,
  closeAll,
  type MachineControl,
  type Parts,
  type Requests,
} from "./parts.ts";
import { memoryOptions } from "./plan_memory.ts";
import type { MachinePlan, PlannedDevice } from "./plan_types.ts";
import type {
  BackendPlugin,
  ConsoleContext,
  Device,
  Logger,
} from "./plugin.ts";
import type { DocumentPath } from "./schema.ts";
import { controllerName, cpuName } from "./several_cpus.ts";
import { Wiring } from "./wiring.ts";

/** A machine that gets its state from a snapshot, not by a reset. */
export interface BareMachine {
  /** Its memory, where there is one already, as `memoryOptions` says. */
  readonly memory: GuestMemory | undefined;
  /**
   * To be called when all devices are there: none writes to memory before it has
   * its state.
   */
  readonly onDevices: (memory: GuestMemory) => void;
}

/** Builds the parts of a machine. */
export class Builder {
  readonly #plan: MachinePlan;
  readonly #options: LoadOptions;
  readonly #machineLog: MachineLog;
  readonly #log: LogSink;
  readonly #backends = new Map<string, AnyBackend>();
  readonly #devices = new Map<string, Device>();
  readonly #shared = new Map<string, unknown>();
  readonly #spaces = new Map<string, AddressSpace>();
  readonly #wiring = new Wiring();
  readonly #requests: Requests = {
    reset: false,
    resetCause: "guest-reset",
    noReboot: false,
    cpuReset: 0,
    cpuInit: 0,
    end: undefined,
    endCause: undefined,
    notify: () => {},
    wake: () => {},
    openMonitor: () => Promise.reject(new Error("there is no machine yet")),
    ready: Promise.withResolvers(),
    isReady: false,
  };
  readonly #events = new MachineEvents();
  readonly #cpus: CpuCore[] = [];
  #control: MachineControl | undefined;
  #inputs: TimedInputs | undefined;
  readonly #input = new InputQueue();

  /** A builder for one machine. */
  constructor(plan: MachinePlan, options: LoadOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#requests.noReboot = options.noReboot ?? false;
    this.#machineLog = new MachineLog(options.log);
    this.#log = this.#machineLog.write;
  }

  /** Close what a failed build has opened. */
  async abandon(): Promise<void> {
    this.#inputs?.close();
    await closeAll(this.#backends);
  }

  #end(result: RunResult): void {
    this.#requests.end ??= result;
    this.#requests.notify();
  }

  /**
   * Build; when it throws, `abandon` must be called. With `bare` what a reset
   * loads is read when one comes.
   */
  async build(bare?: BareMachine): Promise<Parts> {
    const plan = this.#plan;
    const { definition } = plan;
    const { time: timing } = definition;
    const memory = bare?.memory ?? new GuestMemory(memoryOptions(plan));
    const { record, replay } = this.#options;
    if (record !== undefined || replay !== undefined) {
      // Not loaded without.
      const { openInputs } = await import("../replay/session.ts");
      this.#inputs = await openInputs(plan, this.#options);
    }
    const inputs = this.#inputs;
    const undo = replay &&
      new (await import("../replay/disk_undo.ts")).DiskUndo();
    this.#control = await this.#createControl();
    const count = (): number => building.cpu?.instructions ?? 0;
    const time = timing.mode === "icount"
      ? new InstructionTime(count, timing.nsPerInstruction)
      : new HostTime(count);
    const clock = new VirtualClock(
      time,
      timing.mode === "icount" ? timing.epoch : Date.now(),
    );
    const isCounted = timing.mode === "icount";
    const building: Building = {
      plan,
      log: this.#log,
      memory,
      clock,
      spaces: this.#spaces,
      movable: new MovablePriorities(),
      wiring: this.#wiring,
      backends: this.#backends,
      devices: this.#devices,
      blocks: new BlockRequests(isCounted ? clock : undefined),
      traffic: new NetTraffic(),
      requests: this.#requests,
      input: this.#input,
      timed: inputs && await import("../replay/channels.ts"),
      inputs,
      undo,
      events: this.#events,
      deviceEvents: new DeviceEvents(() => clock.now()),
      masters: new BusMasters(),
      end: (result) => this.#end(result),
      cpu: undefined,
      runningCpu: () => Math.max(group?.running ?? 0, 0),
    };
    let group: CpuGroup | undefined;
    await this.#placeMemory(memory);
    let hasSockets = false;
    for (const { name, plugin, config, pcap } of plan.backends) {
      if (plugin.type !== "block") {
        const { net = [] } = await plugin.permissions?.(config) ?? {};
        if (net.length > 0) hasSockets = true;
      }
      const log = createLogger(name, this.#log);
      const backend: AnyBackend = replay !== undefined &&
          await this.#replayed(name, plugin, replay.header.networks) ||
        await this.#created(
          ["backends", name],
          () => plugin.create(config, this.#backendContext(name, log)),
        );
      this.#backends.set(name, backend);
      if (pcap === undefined || replay !== undefined) continue;
      const captured = await this.#created(
        ["backends", name, "pcap"],
        () => captureNet(backend as NetBackend, pcap, log),
      );
      this.#backends.set(name, captured);
    }
    building.blocks.building = true;
    if (inputs !== undefined) {
      building.blocks.onRead = (bytes) => inputs.disk(bytes);
    }
    for (const device of plan.devices) {
      const files = await readFiles(device);
      const context = deviceContext(building, device, files);
      const made = await this.#created(
        ["devices", device.name],
        () => device.plugin.create(device.config, context),
      );
      this.#devices.set(device.name, made);
    }
    building.blocks.building = false;
    bare?.onDevices(memory);
    const boot = bare !== undefined ? undefined : await readBootImages(plan);
    const cpus = this.#cpus;
    for (let i = 0; i < definition.cpu.count; i++) {
      cpus.push(await this.#createCpu(memory, clock, i));
    }
    if (cpus.length > 1) {
      group = new CpuGroup(cpus, isCounted && timing.precise);
    }
    const cpu = building.cpu = group ?? cpus[0];
    this.#wire(cpus, group);
    this.#physical().onChange(() => cpu.flushMapping());
    return {
      plan,
      options: this.#options,
      memory,
      spaces: this.#spaces,
      clock,
      time,
      cpu,
      cpus,
      devices: this.#devices,
      blocks: building.blocks,
      traffic: building.traffic,
      hasSockets,
      backends: this.#backends,
      boot,
      requests: this.#requests,
      events: this.#events,
      deviceEvents: building.deviceEvents,
      masters: building.masters,
      input: this.#input,
      control: this.#control,
      inputs,
      undo,
      log: this.#machineLog,
    };
  }

  /** The buttons, and who presses them while a run is recorded or replayed. */
  async #createControl(): Promise<MachineControl> {
    const button = this.#plan.devices.find(({ plugin }) =>
      plugin.provides?.includes("power-button")
    );
    const control: MachineControl = {
      hasPowerButton: button !== undefined,
      reset: (cause) => {
        this.#requests.reset = true;
        this.#requests.resetCause = cause;
        this.#requests.notify();
      },
      pressPowerButton: () => {
        if (button === undefined) return false;
        this.#events.emit({ type: "powerdown" });
        const device = this.#devices.get(button.name);
        (device as Device & PowerButton | undefined)?.pressPowerButton();
        return true;
      },
      nmi: () => {
        for (const cpu of this.#cpus) cpu.nmi();
        this.#requests.wake();
      },
    };
    if (this.#inputs === undefined) return control;
    const { timedControl } = await import("../replay/channels.ts");
    return timedControl(this.#inputs, control);
  }

  /** What stands in a replay for what is not there; undefined for all else. */
  async #replayed(
    name: string,
    { type, permissions }: BackendPlugin,
    networks: Readonly<Record<string, boolean>>,
  ): Promise<AnyBackend | undefined> {
    // A file that was written, a port where somebody waited.
    if (type === "char" && permissions !== undefined) return NULL_CHAR;
    if (type !== "net") return undefined;
    const { SilentNet } = await import("../replay/channels.ts");
    return new SilentNet(networks[name] ?? false);
  }

  /** What a plugin makes; its refusal is an error in the definition. */
  async #created<T>(
    path: DocumentPath,
    create: () => T | Promise<T>,
  ): Promise<T> {
    try {
      return await create();
    } catch (cause) {
      // A bug is not what the user wrote in the definition.
      const isBug = cause instanceof TypeError ||
        cause instanceof ReferenceError;
      if (isBug || !(cause instanceof Error)) throw cause;
      const { place } = at(this.#plan.document, path);
      const [line] = cause.message.split("\n");
      throw new DefinitionError(place, path, line, { cause });
    }
  }

  async #placeMemory(memory: GuestMemory): Promise<void> {
    const { memories, regions, definition } = this.#plan;
    for (const [name, { size }] of Object.entries(definition.spaces)) {
      this.#spaces.set(name, new AddressSpace(name, size, memory));
    }
    const offsets = new Map<string, number>();
    for (const { name, size, file } of memories) {
      const offset = memory.alloc(size);
      offsets.set(name, offset);
      if (file !== undefined) memory.u8.set(await Deno.readFile(file), offset);
    }
    for (const region of regions) {
      this.#spaces.get(region.space)!.add({
        name: region.name,
        base: region.base,
        size: region.size,
        kind: memories.find((m) => m.name === region.memory)!.kind,
        hostOffset: offsets.get(region.memory)! + region.offset,
        priority: region.priority,
      });
    }
  }

  #backendContext(name: string, log: Logger): ConsoleContext {
    const quit = (): void => this.#end({ reason: "quit", status: 0 });
    return {
      name,
      log,
      quit,
      control: {
        reset: () => this.#control!.reset("host-ui"),
        pressPowerButton: () => {
          if (!this.#control!.pressPowerButton()) quit();
        },
      },
      monitor: this.#options.monitor === false
        ? undefined
        : (console) => this.#requests.openMonitor(console),
      shared: <T>(key: string, make: () => T): T => this.#sharedBy(key, make),
      viewer: (state, server, client) =>
        this.#events.emit({
          type: "viewer",
          backend: name,
          state,
          server,
          client,
        }),
    };
  }

  #sharedBy<T>(key: string, make: () => T): T {
    if (!this.#shared.has(key)) this.#shared.set(key, make());
    return this.#shared.get(key) as T;
  }

  #physical(): AddressSpace {
    return this.#spaces.get(this.#plan.definition.cpu.physical)!;
  }

  async #createCpu(
    memory: GuestMemory,
    clock: VirtualClock,
    index: number,
  ): Promise<CpuCore> {
    const { definition, cpu: plugin, cpuConfig } = this.#plan;
    const { count, intc, ports } = definition.cpu;
    const controller = intc === undefined
      ? undefined
      : this.#devices.get(controllerName(intc, index)) as
        & Device
        & InterruptController;
    if (controller !== undefined && !("acknowledge" in controller)) {
      throw new Error(`device "${intc}" has no method "acknowledge"`);
    }
    const name = cpuName(index);
    // The definition says what the first one's outputs drive.
    for (const output of plugin.outputs ?? []) {
      this.#wiring.declare(name, output);
    }
    return await plugin.create(cpuConfig, {
      name,
      memory,
      index,
      count,
      shared: (key, make) => this.#sharedBy("cpu " + key, make),
      area: memory.cpuArea(index),
      physical: this.#physical(),
      ports: ports === undefined ? undefined : this.#spaces.get(ports),
      interrupts: controller,
      output: (name) => {
        const line = this.#wiring.output(cpuName(index), name);
        if (line !== undefined) return line;
        throw new Error(
          `CPU (${plugin.name}): it declares no output "${name}"`,
        );
      },
      clock,
      log: createLogger(name, this.#log),
      accel: definition.translator.accel,
      icount: definition.time.mode === "icount",
      precise: definition.time.mode === "icount" && definition.time.precise,
    });
  }

  /** Connect every output to what it drives. */
  #wire(cpus: readonly CpuCore[], group: CpuGroup | undefined): void {
    const requests = this.#requests;
    const wiring = this.#wiring;
    wiring.listen("machine", "reset", (level) => {
      if (!level) return;
      requests.reset = true;
      requests.resetCause = "guest-reset";
      requests.notify();
    });
    wiring.listen("machine", "poweroff", (level) => {
      if (level) this.#end({ reason: "poweroff", status: 0 });
    });
    for (const [i, cpu] of cpus.entries()) {
      const name = cpuName(i);
      wiring.listen(name, "reset", (level) => {
        if (!level) return;
        // What follows, as a start-up message, is for a CPU that was reset.
        if (group !== undefined && group.running !== i) return cpu.reset();
        requests.cpuReset |= 1 << i;
        requests.notify();
      });
      wiring.listen(name, "init", (level) => {
        if (!level) return;
        if (group !== undefined && group.running !== i) return initialize(cpu);
        requests.cpuInit |= 1 << i;
        requests.notify();
      });
      wiring.listen(name, "intr", (level) => {
        cpu.setIrq(level);
        if (level) requests.wake();
      });
      wiring.listen(name, "nmi", (level) => {
        if (!level) return;
        cpu.nmi();
        requests.wake();
      });
    }
    const all = group ?? cpus[0];
    for (const input of this.#plan.cpu.inputs ?? []) {
      wiring.listen("cpu", input, (level) => all.setInput(input, level));
    }
    const { cpuWires, devices, definition } = this.#plan;
    wiring.connect(
      [{ name: "cpu", wires: cpuWires }, ...devices],
      definition.lines,
    );
  }
}

/** A network whose frames are captured. */
async function captureNet(
  net: NetBackend,
  file: string,
  log: Logger,
): Promise<NetBackend> {
  // Loaded when it is asked for.
  const { CapturedNet, PcapWriter } = await import("../backend/net_capture.ts");
  const warn = (message: string): void => log.warn(message);
  return new CapturedNet(net, await PcapWriter.create(file, warn));
}

/** The host's files that a device is given. */
async function readFiles(
  device: PlannedDevice,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const [name, { path, size }] of device.files) {
    if (size !== undefined) files.set(name, await Deno.readFile(path));
  }
  return files;
}
