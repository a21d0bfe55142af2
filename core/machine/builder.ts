/**
 * Builds the parts of a machine from a plan: memory, spaces, backends, devices,
 * the CPU, and the wires between them.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";
import type { CharBackend } from "../backend/char.ts";
import type { DisplayBackend } from "../backend/display.ts";
import type { InputBackend } from "../backend/input.ts";
import type { NetBackend } from "../backend/net.ts";
import { NULL_CHAR } from "../backend/null_char.ts";
import { AddressSpace } from "../bus/address_space.ts";
import { onesOf } from "../bus/range.ts";
import { IrqLine, type LineSink, OrGate } from "../bus/irq_line.ts";
import { MovablePriorities, MovableRegion } from "../bus/movable_region.ts";
import { HostTime, InstructionTime } from "../time/time_source.ts";
import { VirtualClock } from "../time/virtual_clock.ts";
import type { CpuCore, InterruptController } from "./cpu.ts";
import { BlockRequests } from "./block_requests.ts";
import { at, DefinitionError } from "./document.ts";
import { createLogger, type LogSink } from "./logger.ts";
import { GuestMemory, PAGE_BYTES } from "./memory.ts";
import { NetTraffic } from "./net_traffic.ts";
import type { LoadOptions } from "./options.ts";
import { basename } from "./path.ts";
import type { MachinePlan, PlannedDevice } from "./plan_types.ts";
import type { PowerButton } from "./firmware.ts";
import {
  type BootFile,
  type ConsoleContext,
  type Device,
  type DeviceContext,
  type DmaPort,
  type LoaderPlugin,
  LoadError,
  type Logger,
  type PortAccess,
} from "./plugin.ts";
import type { RunResult } from "./machine.ts";
import type { DocumentPath } from "./schema.ts";
import { surveyMachine } from "./survey.ts";

/** The parts of a machine. */
export interface Parts {
  /** The plan. */
  readonly plan: MachinePlan;
  /** What the program said. */
  readonly options: LoadOptions;
  /** The one memory. */
  readonly memory: GuestMemory;
  /** Address spaces by name. */
  readonly spaces: ReadonlyMap<string, AddressSpace>;
  /** Virtual time. */
  readonly clock: VirtualClock;
  /** What virtual time follows. */
  readonly time: HostTime | InstructionTime;
  /** The CPU. */
  readonly cpu: CpuCore;
  /** Devices by name. */
  readonly devices: ReadonlyMap<string, Device>;
  /** What block backends are doing for devices. */
  readonly blocks: BlockRequests;
  /** What passes on its networks. */
  readonly traffic: NetTraffic;
  /** Backends by name. */
  readonly backends: Map<string, AnyBackend>;
  /** What is loaded at every reset, when there is a kernel. */
  readonly boot: BootImages | undefined;
  /** What was asked for. */
  readonly requests: Requests;
}

/** A backend of any type. */
export type AnyBackend =
  | CharBackend
  | BlockBackend
  | NetBackend
  | DisplayBackend
  | InputBackend;

/** What is loaded at every reset. */
export interface BootImages {
  /** Who knows the kernel's kind. */
  readonly loader: LoaderPlugin;
  /** The kernel. */
  readonly kernel: BootFile;
  /** The initial RAM disk. */
  readonly initrd: BootFile | undefined;
  /** Modules, the initial RAM disk first. */
  readonly modules: readonly BootFile[];
}

/** What devices and backends asked the machine for. */
export interface Requests {
  /** Reset the machine. */
  reset: boolean;
  /** Reset the CPU alone. */
  cpuReset: boolean;
  /** End the run so. */
  end: RunResult | undefined;
  /** Makes the run loop look. */
  notify: () => void;
  /** The CPU's interrupt line rose: an idle CPU goes on. */
  wake: () => void;
  /** Resolves when the machine has been reset and input may come. */
  readonly ready: PromiseWithResolvers<void>;
  /** Whether it has. */
  isReady: boolean;
}

/** Builds the parts of a machine. */
export class Builder {
  readonly #plan: MachinePlan;
  readonly #options: LoadOptions;
  readonly #log: LogSink;
  readonly #backends = new Map<string, AnyBackend>();
  readonly #devices = new Map<string, Device>();
  readonly #shared = new Map<string, unknown>();
  readonly #traffic = new NetTraffic();
  readonly #spaces = new Map<string, AddressSpace>();
  readonly #movable = new MovablePriorities();
  readonly #outputs = new Map<string, IrqLine>();
  readonly #inputs = new Map<string, LineSink>();
  readonly #requests: Requests = {
    reset: false,
    cpuReset: false,
    end: undefined,
    notify: () => {},
    wake: () => {},
    ready: Promise.withResolvers(),
    isReady: false,
  };
  #cpu: CpuCore | undefined;

  /** A builder for one machine. */
  constructor(plan: MachinePlan, options: LoadOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#log = options.log ?? (() => {});
  }

  /** Close what a failed build has opened. */
  async abandon(): Promise<void> {
    await closeAll(this.#backends);
  }

  #end(result: RunResult): void {
    this.#requests.end ??= result;
    this.#requests.notify();
  }

  /** Build; when it throws, `abandon` must be called. */
  async build(): Promise<Parts> {
    const plan = this.#plan;
    const { definition } = plan;
    const { time: timing } = definition;
    const memory = new GuestMemory({
      arenaBytes: definition.translator.arena,
      guestBytes: this.#guestBytes(),
    });
    const count = (): number => this.#cpu?.instructions ?? 0;
    const time = timing.mode === "icount"
      ? new InstructionTime(count, timing.nsPerInstruction)
      : new HostTime(count);
    const clock = new VirtualClock(
      time,
      timing.mode === "icount" ? timing.epoch : Date.now(),
    );
    const blocks = new BlockRequests(
      timing.mode === "icount" ? clock : undefined,
    );
    await this.#placeMemory(memory);
    for (const { name, plugin, config, pcap } of plan.backends) {
      const log = createLogger(name, this.#log);
      const backend: AnyBackend = await this.#created(
        ["backends", name],
        () => plugin.create(config, this.#backendContext(name, log)),
      );
      this.#backends.set(name, backend);
      if (pcap === undefined) continue;
      const captured = await this.#created(
        ["backends", name, "pcap"],
        () => captureNet(backend as NetBackend, pcap, log),
      );
      this.#backends.set(name, captured);
    }
    for (const device of plan.devices) {
      const files = await readFiles(device);
      const context = this.#deviceContext(device, files, memory, clock, blocks);
      const made = await this.#created(
        ["devices", device.name],
        () => device.plugin.create(device.config, context),
      );
      this.#devices.set(device.name, made);
    }
    const boot = await this.#readBoot();
    const cpu = await this.#createCpu(memory, clock);
    this.#wire(cpu);
    const physical = this.#spaces.get(definition.cpu.physical)!;
    physical.onChange(() => cpu.flushMapping());
    return {
      plan,
      options: this.#options,
      memory,
      spaces: this.#spaces,
      clock,
      time,
      cpu,
      devices: this.#devices,
      blocks,
      traffic: this.#traffic,
      backends: this.#backends,
      boot,
      requests: this.#requests,
    };
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

  #guestBytes(): number {
    const page = (bytes: number): number =>
      Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
    let bytes = 0;
    for (const memory of this.#plan.memories) bytes += page(memory.size);
    for (const { declared } of this.#plan.devices) {
      for (const { kind, size } of Object.values(declared.regions ?? {})) {
        if (kind === "ram" || kind === "rom") bytes += page(size);
      }
    }
    return bytes;
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
        reset: () => {
          this.#requests.reset = true;
          this.#requests.notify();
        },
        pressPowerButton: () => {
          const button = this.#plan.devices.find(({ plugin }) =>
            plugin.provides?.includes("power-button")
          );
          if (button === undefined) return quit();
          const device = this.#devices.get(button.name);
          (device as Device & PowerButton | undefined)?.pressPowerButton();
        },
      },
      shared: <T>(key: string, make: () => T): T => {
        if (!this.#shared.has(key)) this.#shared.set(key, make());
        return this.#shared.get(key) as T;
      },
    };
  }

  #deviceContext(
    planned: PlannedDevice,
    files: ReadonlyMap<string, Uint8Array>,
    memory: GuestMemory,
    clock: VirtualClock,
    blocks: BlockRequests,
  ): DeviceContext {
    const { name, plugin, declared } = planned;
    const fail = (message: string): never => {
      throw new Error(`device "${name}" (${plugin.name}): ${message}`);
    };
    for (const output of declared.outputs ?? []) {
      this.#outputs.set(`${name}.${output}`, new IrqLine());
    }
    const region = (regionName: string) => {
      const spec = declared.regions?.[regionName] ??
        fail(`it declares no region "${regionName}"`);
      return { spec, place: planned.regions.get(regionName) };
    };
    const movers = new Map<string, MovableRegion>();
    for (const [key, spec] of Object.entries(declared.regions ?? {})) {
      if (!spec.movable) continue;
      const mover = new MovableRegion(this.#spaces.get(spec.space)!, {
        name: `${name}.${key}`,
        size: spec.size,
        kind: spec.kind ?? "io",
        priority: this.#movable.next(spec.shadows === true),
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
        : this.#backends.get(backendName) as B;
    };
    return {
      name,
      clock,
      log: createLogger(name, this.#log),
      dma: {
        read: (address, into) => this.#physical().readBytes(address, into),
        write: (address, bytes) => {
          this.#physical().writeBytes(address, bytes);
          this.#cpu?.invalidate(address, bytes.length);
        },
      },
      ports: plugin.usesPorts === true ? this.#portAccess() : {
        read: () => fail("it does not declare that it uses ports"),
        write: () => fail("it does not declare that it uses ports"),
      },
      io: (regionName, handler) => {
        const { spec, place } = region(regionName);
        movers.get(regionName)?.answer(handler);
        if (place === undefined) return;
        this.#spaces.get(place.space)!.add({
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
          this.#spaces.get(place.space)!.add({
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
              this.#cpu?.invalidate(base + at, from.length);
            }
          },
          watch: (changed) => {
            const cpu = this.#cpu;
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
        this.#outputs.get(`${name}.${output}`) ??
          fail(`it declares no output "${output}"`),
      input: (input, sink) => {
        if (!declared.inputs?.includes(input)) {
          fail(`it declares no input "${input}"`);
        }
        this.#inputs.set(`${name}.${input}`, sink);
      },
      collaborator: <T>(role: string): T => {
        const other = planned.use.get(role) ??
          fail(`it declares no collaborator "${role}"`);
        return this.#devices.get(other) as T;
      },
      file: (file) =>
        planned.files.has(file)
          ? files.get(file)
          : fail(`it declares no file "${file}"`),
      providers: <T>(contract: string): readonly T[] => {
        if (plugin.collects?.includes(contract) !== true) {
          fail(`it does not declare that it collects "${contract}"`);
        }
        return Object.keys(this.#plan.definition.devices)
          .filter((other) =>
            this.#plan.devices.find((d) => d.name === other)!.plugin.provides
              ?.includes(contract)
          )
          .map((other) => this.#devices.get(other) as T);
      },
      char: (role) => {
        const char = backend<CharBackend>(role, "char");
        return char === undefined ? NULL_CHAR : this.#gated(char);
      },
      block: (role) => {
        const block = backend<BlockBackend>(role, "block");
        return block && blocks.behind(block);
      },
      net: (role) => {
        const net = backend<NetBackend>(role, "net");
        return net && this.#traffic.on(net);
      },
      display: (role) => backend<DisplayBackend>(role, "display"),
      inputs: (role) => {
        const made = backend<InputBackend | DisplayBackend>(role, "input");
        if (made === undefined) return undefined;
        const input = "onEvent" in made ? made : made.input;
        return input === undefined ? undefined : this.#gatedInput(input);
      },
      exit: (status) => {
        if (plugin.exits !== true) fail("it does not declare that it exits");
        this.#end({ reason: "exit", status: status & 0xff });
      },
      survey: () =>
        plugin.surveys === true
          ? surveyMachine(this.#plan)
          : fail("it does not declare that it surveys"),
    };
  }

  /**
   * A char backend whose input is held back until the machine has been reset:
   * the reset would lose it.
   */
  #gated(char: CharBackend): CharBackend {
    const requests = this.#requests;
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

  /** An input whose events are lost before the machine is switched on. */
  #gatedInput(input: InputBackend): InputBackend {
    const requests = this.#requests;
    return {
      onEvent: (receiver) =>
        input.onEvent((event) =>
          requests.isReady ? receiver(event) : undefined
        ),
      leds: (lights) => input.leds?.(lights),
      after: input.after?.bind(input),
      close: () => input.close(),
    };
  }

  /** The CPU's ports; a machine without them has none. */
  #portAccess(): PortAccess {
    const { ports } = this.#plan.definition.cpu;
    const space = ports === undefined ? undefined : this.#spaces.get(ports);
    return {
      read: (port, width) => space?.read(port, width) ?? onesOf(width),
      write: (port, width, value) => space?.write(port, width, value),
    };
  }

  #physical(): AddressSpace {
    return this.#spaces.get(this.#plan.definition.cpu.physical)!;
  }

  async #createCpu(
    memory: GuestMemory,
    clock: VirtualClock,
  ): Promise<CpuCore> {
    const { definition, cpu: plugin, cpuConfig } = this.#plan;
    const { intc, ports } = definition.cpu;
    const controller = intc === undefined
      ? undefined
      : this.#devices.get(intc) as Device & InterruptController;
    if (controller !== undefined && !("acknowledge" in controller)) {
      throw new Error(`device "${intc}" has no method "acknowledge"`);
    }
    for (const output of plugin.outputs ?? []) {
      this.#outputs.set(`cpu.${output}`, new IrqLine());
    }
    return this.#cpu = await plugin.create(cpuConfig, {
      name: "cpu",
      memory,
      index: 0,
      area: memory.cpuArea(0),
      physical: this.#physical(),
      ports: ports === undefined ? undefined : this.#spaces.get(ports),
      interrupts: controller,
      output: (name) => {
        const line = this.#outputs.get(`cpu.${name}`);
        if (line !== undefined) return line;
        throw new Error(
          `CPU (${plugin.name}): it declares no output "${name}"`,
        );
      },
      clock,
      log: createLogger("cpu", this.#log),
      accel: definition.translator.accel,
      icount: definition.time.mode === "icount",
    });
  }

  /** Connect every output to what it drives. */
  #wire(cpu: CpuCore): void {
    const requests = this.#requests;
    const request = (field: "reset" | "cpuReset"): LineSink => (level) => {
      if (!level) return;
      requests[field] = true;
      requests.notify();
    };
    this.#inputs.set("machine.reset", request("reset"));
    this.#inputs.set("machine.poweroff", (level) => {
      if (level) this.#end({ reason: "poweroff", status: 0 });
    });
    this.#inputs.set("cpu.reset", request("cpuReset"));
    this.#inputs.set("cpu.intr", (level) => {
      cpu.setIrq(level);
      if (level) requests.wake();
    });
    this.#inputs.set("cpu.nmi", (level) => {
      if (!level) return;
      cpu.nmi();
      requests.wake();
    });
    for (const input of this.#plan.cpu.inputs ?? []) {
      this.#inputs.set(`cpu.${input}`, (level) => cpu.setInput(input, level));
    }
    const gates = new Map<string, OrGate>();
    const sources = [
      { name: "cpu", wires: this.#plan.cpuWires },
      ...this.#plan.devices,
    ];
    for (const { name, wires } of sources) {
      for (const [output, targets] of wires) {
        const line = this.#outputs.get(`${name}.${output}`)!;
        for (const target of targets) {
          // A declared input that its device does not listen to.
          const sink = this.#inputs.get(target) ?? (() => {});
          if (this.#plan.definition.lines[target] === "or") {
            let gate = gates.get(target);
            if (gate === undefined) gates.set(target, gate = new OrGate(sink));
            line.connect(gate.input());
          } else {
            line.connect(sink);
          }
        }
      }
    }
  }

  /** Read the kernel and its companions and choose the loader. */
  async #readBoot(): Promise<BootImages | undefined> {
    const { boot } = this.#plan.definition;
    if (boot.kernel === undefined) return undefined;
    const read = async (path: string, append?: string): Promise<BootFile> => ({
      path,
      bytes: await Deno.readFile(path),
      append,
    });
    const kernel = await read(boot.kernel);
    const loader = this.#plan.loaders.find((l) => l.probe(kernel.bytes));
    if (loader === undefined) {
      const known = this.#plan.loaders.map((l) => l.description ?? l.name);
      throw new LoadError(
        `Cannot load kernel "${basename(boot.kernel)}": ` +
          `expected ${known.join(" or ")}`,
      );
    }
    const initrd = boot.initrd === undefined
      ? undefined
      : await read(boot.initrd);
    const modules: BootFile[] = [];
    if (initrd !== undefined) modules.push(initrd);
    for (const { file, append } of boot.modules ?? []) {
      modules.push(await read(file, append));
    }
    return { loader, kernel, initrd, modules };
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

/** Close every backend, even when one fails; throws the first failure. */
export async function closeAll(
  backends: ReadonlyMap<string, AnyBackend>,
): Promise<void> {
  const results = await Promise.allSettled(
    [...backends.values()].map((backend) => backend.close()),
  );
  for (const result of results) {
    if (result.status === "rejected") throw result.reason;
  }
}

/** Guest memory for a bus master, coherent with translated code. */
export function dmaPort(space: AddressSpace, cpu: CpuCore): DmaPort {
  return {
    read: (address, into) => space.readBytes(address, into),
    write: (address, bytes) => {
      space.writeBytes(address, bytes);
      cpu.invalidate(address, bytes.length);
    },
  };
}
