/**
 * A machine: built from a plan, run, asked, stopped.
 *
 * @module
 */

import { basename } from "@std/path";
import type { BlockBackend } from "../backend/block.ts";
import type { CharBackend } from "../backend/char.ts";
import type { DisplayBackend } from "../backend/display.ts";
import type { InputBackend } from "../backend/input.ts";
import { MemoryChar } from "../backend/memory_char.ts";
import type { ExpectOptions } from "../backend/memory_char.ts";
import type { NetBackend } from "../backend/net.ts";
import { NULL_CHAR } from "../backend/null_char.ts";
import { AddressSpace } from "../bus/address_space.ts";
import { IrqLine, type LineSink, OrGate } from "../bus/irq_line.ts";
import { StateError, type StateRecord } from "../state/state.ts";
import { HostTime, InstructionTime } from "../time/time_source.ts";
import { VirtualClock } from "../time/virtual_clock.ts";
import type { CpuCore, InterruptController } from "./cpu.ts";
import { createLogger, type LogSink } from "./logger.ts";
import { GuestMemory, PAGE_BYTES } from "./memory.ts";
import { planDefinition } from "./options.ts";
import type { LoadOptions } from "./options.ts";
import type { MachinePlan, PlannedDevice } from "./plan.ts";
import {
  type BootFile,
  type Device,
  type DeviceContext,
  type DmaPort,
  type LoaderPlugin,
  LoadError,
  type RamRange,
} from "./plugin.ts";
import { RunLoop } from "./run_loop.ts";
import type { JsonObject } from "./schema_types.ts";

/** How a run ended. */
export interface RunResult {
  /**
   * `exit`: the guest gave a status (debug exit). `poweroff`: it switched the
   * machine off. `reset`: it wanted a reset and resets end the run. `halt`: it
   * halted with interrupts off. `shutdown`: the CPU shut down (on x86, a
   * triple fault). `quit`: the user left at a backend. `stop`: `stop` was
   * called.
   */
  readonly reason:
    | "exit"
    | "poweroff"
    | "reset"
    | "halt"
    | "shutdown"
    | "quit"
    | "stop";
  /** The exit status that the command line ends with. */
  readonly status: number;
  /** For `halt` and `shutdown`: where the CPU was. */
  readonly where?: string;
}

/** A serial port whose other end is the program. */
export interface SerialPort {
  /** What the guest has written. */
  readonly output: string;
  /** Type to the guest; resolves when the guest's chip took it all. */
  write(data: string | Uint8Array): Promise<void>;
  /**
   * Wait until the guest's output after the last match contains `pattern`;
   * gives back the output up to and including the match.
   */
  expect(pattern: RegExp | string, options?: ExpectOptions): Promise<string>;
}

interface Parts {
  readonly plan: MachinePlan;
  readonly options: LoadOptions;
  readonly memory: GuestMemory;
  readonly spaces: ReadonlyMap<string, AddressSpace>;
  readonly clock: VirtualClock;
  readonly time: HostTime | InstructionTime;
  readonly cpu: CpuCore;
  readonly devices: ReadonlyMap<string, Device>;
  readonly backends: ReadonlyMap<string, AnyBackend>;
  readonly boot: BootImages | undefined;
  readonly requests: Requests;
}

type AnyBackend =
  | CharBackend
  | BlockBackend
  | NetBackend
  | DisplayBackend
  | InputBackend;

interface BootImages {
  readonly loader: LoaderPlugin;
  readonly kernel: BootFile;
  readonly initrd: BootFile | undefined;
  readonly modules: readonly BootFile[];
}

/** What devices and backends asked the machine for. */
interface Requests {
  reset: boolean;
  cpuReset: boolean;
  end: RunResult | undefined;
  /** Makes the run loop look. */
  notify: () => void;
  /** The CPU's interrupt line rose: an idle CPU goes on. */
  wake: () => void;
}

/** A machine. */
export class Machine {
  /** The plan it was built from. */
  readonly plan: MachinePlan;
  /** Its one memory. */
  readonly memory: GuestMemory;
  readonly #parts: Parts;
  readonly #loop: RunLoop;
  #running: Promise<RunResult> | undefined;
  #result: RunResult | undefined;
  #closed: Promise<void> | undefined;

  /** For `Machine.build`. */
  private constructor(parts: Parts) {
    this.#parts = parts;
    this.plan = parts.plan;
    this.memory = parts.memory;
    const { requests, cpu, clock, time } = parts;
    this.#loop = new RunLoop({
      cpu,
      clock,
      time,
      between: () => this.#between(),
    });
    requests.notify = () => this.#loop.interrupt();
    requests.wake = () => this.#loop.wake();
  }

  /**
   * Read a machine definition (a path, or the definition itself), check it,
   * and build the machine. Throws a `DefinitionError` for what is wrong in the
   * definition and a `LoadError` for a kernel that cannot be loaded.
   */
  static async load(
    definition: string | JsonObject,
    options: LoadOptions,
  ): Promise<Machine> {
    return await Machine.build(
      await planDefinition(definition, options),
      options,
    );
  }

  /** Build a machine from a plan, in its reset state. */
  static async build(
    plan: MachinePlan,
    options: LoadOptions,
  ): Promise<Machine> {
    const builder = new Builder(plan, options);
    try {
      const machine = new Machine(await builder.build());
      machine.#reset();
      return machine;
    } catch (error) {
      await builder.abandon();
      throw error;
    }
  }

  /** The CPU. */
  get cpu(): CpuCore {
    return this.#parts.cpu;
  }

  /** Virtual time. */
  get clock(): VirtualClock {
    return this.#parts.clock;
  }

  /** An address space by its name in the definition. */
  space(name: string): AddressSpace {
    const space = this.#parts.spaces.get(name);
    if (space === undefined) {
      throw new RangeError(`there is no space "${name}"`);
    }
    return space;
  }

  /** A device by its name in the definition. */
  device(name: string): Device {
    const device = this.#parts.devices.get(name);
    if (device === undefined) {
      throw new RangeError(`there is no device "${name}"`);
    }
    return device;
  }

  /** Whether the machine is running now. */
  get running(): boolean {
    return this.#running !== undefined;
  }

  /** Start to run, if it does not run yet; `wait` tells when it ends. */
  start(): void {
    if (this.#closed !== undefined) throw new Error("the machine is stopped");
    this.#running ??= this.#run();
    // A failure is reported by `wait` and `stop`; here it is only not lost to
    // the runtime before one of them is called.
    this.#running.catch(() => {});
  }

  /** Run until the guest or `stop` ends the run. */
  run(): Promise<RunResult> {
    this.start();
    return this.wait();
  }

  /** The result of the current or last run. */
  wait(): Promise<RunResult> {
    if (this.#running !== undefined) return this.#running;
    if (this.#result !== undefined) return Promise.resolve(this.#result);
    return Promise.reject(new Error("the machine was not started"));
  }

  /** Stop running but keep everything: `start` goes on. */
  async pause(): Promise<void> {
    if (this.#running === undefined) return;
    this.#loop.stop();
    await this.#running;
  }

  /** End the run and close the backends. Gives back how it ended. */
  async stop(): Promise<RunResult> {
    try {
      await this.pause();
    } finally {
      await this.#close();
    }
    return this.#result ?? { reason: "stop", status: 0 };
  }

  /** `stop`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Press the reset button. */
  reset(): void {
    this.#parts.requests.reset = true;
    this.#loop.interrupt();
  }

  /**
   * Serial port number `n`: the backend `serial<n>`, which must be in memory
   * (it is, unless the options say otherwise).
   */
  serial(n: number): SerialPort {
    const char = this.#parts.backends.get(`serial${n}`);
    if (char === undefined) {
      throw new RangeError(`the machine has no backend "serial${n}"`);
    }
    if (!(char instanceof MemoryChar)) {
      throw new TypeError(
        `the backend "serial${n}" is not in memory: load the machine with ` +
          `serial: ["memory"]`,
      );
    }
    return {
      get output(): string {
        return char.output;
      },
      write: (data) => char.send(data),
      expect: (pattern, options) => {
        this.start();
        return char.expect(pattern, options);
      },
    };
  }

  /** Counters by name: the CPU's and the machine's. */
  stats(): Record<string, number> {
    const stats: Record<string, number> = { ...this.#parts.cpu.stats() };
    stats["instructions"] = this.#parts.cpu.instructions;
    stats["virtual time ms"] = this.#parts.clock.now() / 1e6;
    stats["slept ms"] = this.#loop.sleptMs;
    stats["slices"] = this.#loop.slices;
    for (const [name, space] of this.#parts.spaces) {
      stats[`unassigned reads in ${name}`] = space.unassigned.reads;
      stats[`unassigned writes in ${name}`] = space.unassigned.writes;
    }
    return stats;
  }

  /**
   * The state of CPU, devices and time as one record, memory not included.
   * The machine must not be running.
   */
  save(): StateRecord {
    this.#mustRest();
    const devices: Record<string, StateRecord> = {};
    for (const { name, plugin } of this.plan.devices) {
      devices[name] = {
        plugin: plugin.name,
        version: plugin.version,
        state: this.device(name).save(),
      };
    }
    return {
      version: 1,
      time: this.clock.now(),
      cpu: this.cpu.save(),
      devices,
    };
  }

  /** Restore what `save` gave. The machine must not be running. */
  load(record: StateRecord): void {
    this.#mustRest();
    const { version, time, cpu, devices } = record;
    if (version !== 1) {
      throw new StateError("version", `it is ${version}, expected 1`);
    }
    if (typeof time !== "number") {
      throw new StateError("time", "expected a number");
    }
    this.#parts.time.set(time);
    this.cpu.load(asRecord(cpu, "cpu"));
    const all = asRecord(devices, "devices");
    for (const { name, plugin } of this.plan.devices) {
      const path = `devices.${name}`;
      const saved = asRecord(all[name] ?? null, path);
      if (saved.plugin !== plugin.name || saved.version !== plugin.version) {
        throw new StateError(
          path,
          `it is of ${saved.plugin} ${saved.version}, expected ` +
            `${plugin.name} ${plugin.version}`,
        );
      }
      this.device(name).load(asRecord(saved.state, path));
    }
  }

  #mustRest(): void {
    if (this.#running !== undefined) {
      throw new Error("the machine is running; pause it first");
    }
  }

  async #run(): Promise<RunResult> {
    const { requests } = this.#parts;
    try {
      let result: RunResult;
      const end = await this.#loop.run();
      if (end === "stop") {
        result = requests.end ?? { reason: "stop", status: 0 };
        requests.end = undefined;
      } else {
        result = {
          reason: end === "dead" ? "halt" : "shutdown",
          status: end === "dead" ? 0 : 1,
          where: this.cpu.describe(),
        };
      }
      this.#result = result;
      // A waiting `expect` will not be answered any more.
      if (result.reason !== "stop") this.#endSerial(result);
      return result;
    } finally {
      this.#running = undefined;
    }
  }

  #endSerial(result: RunResult): void {
    for (const backend of this.#parts.backends.values()) {
      if (backend instanceof MemoryChar) {
        backend.end(`the machine ended (${result.reason})`);
      }
    }
  }

  /** Between slices: do what was requested. Says whether the CPU was reset. */
  #between(): boolean {
    const { requests, options } = this.#parts;
    if (requests.end !== undefined) {
      this.#loop.stop();
      return false;
    }
    if (requests.reset) {
      requests.reset = false;
      requests.cpuReset = false;
      if (options.noReboot) {
        requests.end = { reason: "reset", status: 0 };
        this.#loop.stop();
        return false;
      }
      this.#reset();
      return true;
    }
    if (requests.cpuReset) {
      requests.cpuReset = false;
      this.cpu.reset();
      return true;
    }
    return false;
  }

  /** Reset everything and load the kernel anew, if there is one. */
  #reset(): void {
    const { requests, boot, plan } = this.#parts;
    for (const { name } of plan.devices) this.device(name).reset();
    this.cpu.reset();
    // Reset pulses that devices gave while they were reset mean nothing.
    requests.reset = false;
    requests.cpuReset = false;
    if (boot === undefined) return;
    const entry = boot.loader.load({
      kernel: boot.kernel,
      initrd: boot.initrd,
      modules: boot.modules,
      append: plan.definition.boot.append ?? "",
      ram: ramRanges(plan),
      dma: dmaPort(this.space(plan.definition.cpu.physical), this.cpu),
      log: createLogger(
        boot.loader.name,
        this.#parts.options.log ?? (() => {}),
      ),
    });
    this.cpu.enter(entry);
  }

  #close(): Promise<void> {
    return this.#closed ??= closeAll(this.#parts.backends);
  }
}

function asRecord(value: unknown, path: string): StateRecord {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new StateError(path, "expected a record");
  }
  return value as StateRecord;
}

/** Close every backend, even when one fails; throws the first failure. */
async function closeAll(
  backends: ReadonlyMap<string, AnyBackend>,
): Promise<void> {
  const results = await Promise.allSettled(
    [...backends.values()].map((backend) => backend.close()),
  );
  for (const result of results) {
    if (result.status === "rejected") throw result.reason;
  }
}

/** RAM in the CPU's physical space, ascending, adjacent ranges joined. */
function ramRanges(plan: MachinePlan): RamRange[] {
  const ranges: { base: number; size: number }[] = [];
  const regions = plan.regions
    .filter((region) =>
      region.space === plan.definition.cpu.physical &&
      plan.memories.find((m) => m.name === region.memory)!.kind === "ram"
    )
    .sort((a, b) => a.base - b.base);
  for (const { base, size } of regions) {
    const last = ranges.at(-1);
    if (last !== undefined && last.base + last.size === base) last.size += size;
    else ranges.push({ base, size });
  }
  return ranges;
}

function dmaPort(space: AddressSpace, cpu: CpuCore): DmaPort {
  return {
    read: (address, into) => space.readBytes(address, into),
    write: (address, bytes) => {
      space.writeBytes(address, bytes);
      cpu.invalidate(address, bytes.length);
    },
  };
}

/** Builds the parts of a machine. */
class Builder {
  readonly #plan: MachinePlan;
  readonly #options: LoadOptions;
  readonly #log: LogSink;
  readonly #backends = new Map<string, AnyBackend>();
  readonly #devices = new Map<string, Device>();
  readonly #spaces = new Map<string, AddressSpace>();
  readonly #outputs = new Map<string, IrqLine>();
  readonly #inputs = new Map<string, LineSink>();
  readonly #requests: Requests = {
    reset: false,
    cpuReset: false,
    end: undefined,
    notify: () => {},
    wake: () => {},
  };
  #cpu: CpuCore | undefined;

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
    await this.#placeMemory(memory);
    for (const { name, plugin, config } of plan.backends) {
      const backend: AnyBackend = await plugin.create(config, {
        name,
        log: createLogger(name, this.#log),
        quit: () => this.#end({ reason: "quit", status: 0 }),
      });
      this.#backends.set(name, backend);
    }
    for (const device of plan.devices) {
      const context = this.#deviceContext(device, memory, clock);
      const made = await device.plugin.create(device.config, context);
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
      backends: this.#backends,
      boot,
      requests: this.#requests,
    };
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

  #deviceContext(
    planned: PlannedDevice,
    memory: GuestMemory,
    clock: VirtualClock,
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
      io: (regionName, handler) => {
        const { place } = region(regionName);
        if (place === undefined) return;
        this.#spaces.get(place.space)!.add({ ...place, kind: "io", handler });
      },
      memory: (regionName) => {
        const { spec, place } = region(regionName);
        if (spec.kind !== "ram" && spec.kind !== "rom") {
          return fail(`its region "${regionName}" is not memory`);
        }
        const offset = memory.alloc(spec.size);
        if (place !== undefined) {
          this.#spaces.get(place.space)!.add({
            ...place,
            kind: spec.kind,
            hostOffset: offset,
          });
        }
        const bytes = memory.u8.subarray(offset, offset + spec.size);
        return { offset, bytes };
      },
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
      char: (role) => backend<CharBackend>(role, "char") ?? NULL_CHAR,
      block: (role) => backend<BlockBackend>(role, "block"),
      net: (role) => backend<NetBackend>(role, "net"),
      display: (role) => backend<DisplayBackend>(role, "display"),
      inputs: (role) => backend<InputBackend>(role, "input"),
      exit: (status) => {
        if (plugin.exits !== true) fail("it does not declare that it exits");
        this.#end({ reason: "exit", status: status & 0xff });
      },
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
    return this.#cpu = await plugin.create(cpuConfig, {
      name: "cpu",
      memory,
      index: 0,
      area: memory.cpuArea(0),
      physical: this.#physical(),
      ports: ports === undefined ? undefined : this.#spaces.get(ports),
      interrupts: controller,
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
    for (const device of this.#plan.devices) {
      for (const [output, targets] of device.wires) {
        const line = this.#outputs.get(`${device.name}.${output}`)!;
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
