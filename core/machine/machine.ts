/**
 * A machine: built from a plan, run, asked, stopped.
 *
 * @module
 */

import type { PictureSource } from "../backend/display.ts";
import { MemoryChar } from "../backend/memory_char.ts";
import { MemoryDisplay } from "../backend/memory_display.ts";
import type { InputQueue } from "../backend/input_queue.ts";
import type { MachineDebugger } from "../debug/contract.ts";
import type { Coverage, CoverageOptions } from "../debug/coverage.ts";
import type { GdbOptions, GdbServer } from "../debug/gdb/server.ts";
import type {
  Hook,
  HookEvents,
  HookFilter,
  HookListener,
  MemoryWatch,
  WatchedAccess,
} from "../debug/events.ts";
import type { AddressSpace } from "../bus/address_space.ts";
import type { Subject } from "../replay/inputs.ts";
import type { ReplayDebugger } from "../replay/reverse.ts";
import type { InstructionTime } from "../time/time_source.ts";
import type { MonitorConsole, MonitorSession } from "../monitor/console.ts";
import type { HumanMonitor, QmpListener } from "../monitor/contract.ts";
import { loadMachine, saveMachine } from "../snapshot/machine_state.ts";
import type { SavedSnapshot, SaveOptions } from "../snapshot/save.ts";
import type { SnapshotInfo } from "../snapshot/folder.ts";
import type { BareSteps, RestoreOptions } from "../snapshot/load.ts";
import type { StateRecord } from "../state/state.ts";
import type { VirtualClock } from "../time/virtual_clock.ts";
import { providerOf } from "./boot.ts";
import type { CpuCore } from "./cpu.ts";
import type { Cause, MachineEvents } from "./events.ts";
import { Media } from "./media.ts";
import type { GuestMemory } from "./memory.ts";
import { suggest } from "./nearest.ts";
import { planDefinition } from "./options.ts";
import type { LoadOptions } from "./options.ts";
import { Builder } from "./builder.ts";
import { Observers } from "./observers.ts";
import { closeAll, type Parts } from "./parts.ts";
import {
  type ScreenPort,
  screenPort,
  type Screenshot,
  screenshotOf,
  type SerialPort,
  serialPort,
} from "./ports.ts";
import type { MachinePlan } from "./plan_types.ts";
import type { Device } from "./plugin.ts";
import { RequestHandler } from "./request_handler.ts";
import { RunLoop } from "./run_loop.ts";
import type { RunResult, RunState } from "./run_result.ts";
import type { JsonObject } from "./schema_types.ts";
import { Standstill } from "./standstill.ts";
import type { Trace, TraceOptions } from "./trace.ts";

export type { RunResult, RunState };

/** A machine. */
export class Machine {
  /** The plan it was built from. */
  readonly plan: MachinePlan;
  /** Its one memory. */
  readonly memory: GuestMemory;
  /** Its drives whose media can be changed. */
  readonly media: Media;
  /** What happens to it, for monitors. */
  readonly events: MachineEvents;
  readonly #parts: Parts;
  readonly #loop: RunLoop;
  readonly #handler: RequestHandler;
  #running: Promise<RunResult> | undefined;
  #result: RunResult | undefined;
  #closed: Promise<void> | undefined;
  #hasShutDown = false;
  /** In a replay: instructions of each CPU up to here, less those that it counts. */
  readonly #earlier: number[];
  readonly #observers: Observers;
  readonly #standstill: Standstill;

  /** For `Machine.build`. */
  private constructor(parts: Parts) {
    this.#parts = parts;
    this.plan = parts.plan;
    this.memory = parts.memory;
    this.media = new Media(parts);
    this.events = parts.events;
    this.#earlier = parts.cpus.map(() => 0);
    parts.blocks.onError = (backend, kind, error) =>
      parts.events.emit({
        type: "block-error",
        backend,
        operation: kind === "read" ? "read" : "write",
        error,
      });
    const { requests, cpu, clock, time, blocks, traffic } = parts;
    const handler = new RequestHandler(parts, () => this.#loop);
    this.#handler = handler;
    this.#loop = new RunLoop({
      cpu,
      clock,
      time,
      blocks,
      traffic,
      inputs: parts.inputs,
      between: () => handler.between(),
      resetsAtShutdown: () => {
        if (!handler.resetsAtShutdown) return false;
        requests.resetCause = "guest-reset";
        return requests.reset = true;
      },
    });
    this.#loop.hasSockets = parts.hasSockets;
    requests.notify = () => this.#loop.interrupt();
    requests.wake = () => this.#loop.wake();
    requests.openMonitor = (console) => this.openMonitor(console);
    const subject = this.#subject();
    parts.inputs?.attach(subject);
    this.#observers = new Observers({
      machine: this,
      parts,
      loop: this.#loop,
      memory: subject.memory,
      earlier: this.#earlier,
      hasEnded: () => this.#result !== undefined,
      letGo: () => this.#standstill.letGo(),
      tellHeld: () => this.#standstill.tell(),
    });
    this.#standstill = new Standstill({
      loop: this.#loop,
      events: this.events,
      isRunning: () => this.running,
      hasBegun: () => this.cpu.instructions !== 0,
      debugging: () => this.#observers.debugging,
      start: () => this.start(),
    });
  }

  /** The machine as what comes from outside sees it. */
  #subject(): Subject {
    const { cpu, clock, time, blocks, memory } = this.#parts;
    const { arenaOffset, arenaBytes, u8 } = memory;
    const loop = (): RunLoop => this.#loop;
    return {
      position: () => ({
        count: this.#earlier.reduce((sum, n) => sum + n, cpu.instructions),
        time: clock.now(),
      }),
      save: () => saveMachine(this.#parts),
      memory: u8.subarray(arenaOffset + arenaBytes),
      get awaitsDisk(): boolean {
        return blocks.isAwaited;
      },
      get isCut(): boolean {
        return loop().isCut;
      },
      forgetMappings: () => cpu.forgetMappings?.(),
      skipTo: (to) => (time as InstructionTime).skipTo(to),
      stop: () => this.#loop.stop(),
      wake: () => this.#loop.wake(),
    };
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

  /**
   * Build the machine of a recording, which then runs as it did when
   * `LoadOptions.record` was set: what it sends is not sent, and what the host
   * has for it is dropped. The run ends where the recording does. Throws a
   * `ReplayError` for a recording that cannot be replayed; `run` does when the
   * run turns out to be another one.
   */
  static async replay(path: string, options: LoadOptions): Promise<Machine> {
    const { openRecording } = await import("../replay/session.ts");
    const replay = await openRecording(path);
    const { definition, noReboot } = replay.header;
    const all = { ...options, noReboot, replay };
    return await Machine.build(await planDefinition(definition, all), all);
  }

  /** Build a machine from a plan, in its reset state. */
  static async build(
    plan: MachinePlan,
    options: LoadOptions,
  ): Promise<Machine> {
    const snapshot = options.replay?.header.snapshot;
    if (snapshot === undefined) {
      return await Machine.#build(
        plan,
        options,
        (machine) => machine.#handler.reset(),
      );
    }
    const { checkSnapshot } = await import("../replay/session.ts");
    await checkSnapshot(snapshot);
    return await Machine.restore(snapshot.path, options, { plan });
  }

  /**
   * A machine from a snapshot file alone, as it was when it was saved and not
   * running. The options are laid over the definition that is in the file: they
   * say where serial ports, screens and networks are now, and may change nothing
   * that the guest sees. Throws a `SnapshotError`, and a `DefinitionError` for
   * what is wrong in the options.
   */
  static async restore(
    nameOrPath: string,
    options: LoadOptions,
    into: RestoreOptions = {},
  ): Promise<Machine> {
    const { restoreSnapshot } = await import("../snapshot/load.ts");
    return await restoreSnapshot(
      nameOrPath,
      options,
      into,
      (plan, steps) =>
        Machine.#build(
          plan,
          options,
          (machine) => steps.fill(machine.#parts, machine.media),
          steps,
        ),
    );
  }

  /**
   * Build a machine, and give it its first state: that of a snapshot, if there
   * is one.
   */
  static async #build(
    plan: MachinePlan,
    options: LoadOptions,
    begin: (machine: Machine) => void | Promise<void>,
    snapshot?: BareSteps,
  ): Promise<Machine> {
    const builder = new Builder(plan, options);
    try {
      const parts = await builder.build(snapshot);
      const machine = new Machine(parts);
      // What a guest reads of its disks is compared from its first state on.
      if (snapshot !== undefined) await begin(machine);
      if (parts.inputs !== undefined) {
        const { beginSession } = await import("../replay/session.ts");
        await beginSession(parts, parts.inputs, snapshot?.path);
      }
      if (snapshot === undefined) await begin(machine);
      const { requests } = machine.#parts;
      requests.isReady = true;
      requests.ready.resolve();
      return machine;
    } catch (error) {
      await builder.abandon();
      throw error;
    }
  }

  /** The CPU; where there are several, all of them as one. */
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
      const near = suggest(name, [...this.#parts.spaces.keys()]);
      throw new RangeError(`there is no space "${name}"${near}`);
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
    if (this.#running === undefined) {
      this.#loop.begin();
      // Not within this call: a timer of the first slice may already pause it.
      this.#running = Promise.resolve().then(() => this.#run());
    }
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

  /**
   * Let the guest stand still within its run, as a monitor's `stop` does:
   * `run` and `wait` go on waiting. A debugger that waits for the guest to stop
   * hears of it. Nothing happens if it stands still already.
   */
  stopGuest(): void {
    this.#standstill.stop();
  }

  /** Let it go on, or start, whoever has stopped it. */
  continueGuest(): void {
    this.#standstill.goOn();
  }

  /** Do some work while the guest stands still between instructions, as for a snapshot. */
  async whileStill<T>(work: () => Promise<T>): Promise<T> {
    this.#mustBeOpen();
    return await this.#standstill.during(
      "save-vm",
      () => this.#loop.hold(work),
    );
  }

  /** Whether the guest runs, and why not, as QEMU's `RunState` has it. */
  get runState(): RunState {
    if (this.running) return this.#standstill.state;
    if (this.#result === undefined) return "prelaunch";
    return this.#result.reason === "stop" ? "paused" : "shutdown";
  }

  /** End the run, as when the user leaves at a backend. */
  quit(cause: Cause = "host-ui"): void {
    const { requests } = this.#parts;
    requests.end ??= { reason: "quit", status: 0 };
    requests.endCause ??= cause;
    this.#loop.interrupt();
  }

  /** What monitors type and point at, beside the displays. */
  get input(): InputQueue {
    return this.#parts.input;
  }

  /** End the run and close the backends. Gives back how it ended. */
  async stop(): Promise<RunResult> {
    try {
      await this.pause();
      this.#shutDown("host-ui");
    } finally {
      await this.#close();
    }
    this.#observers.throwHookError();
    return this.#result ?? { reason: "stop", status: 0 };
  }

  /** `stop`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Press the reset button. Throws a `ReplayError` in a replay. */
  reset(cause: Cause = "host-ui"): void {
    this.#parts.inputs?.mustListen();
    this.#parts.control.reset(cause);
  }

  /**
   * Press the power button: the guest is asked to switch itself off. Throws a
   * `RangeError` when the machine has none, and a `ReplayError` in a replay.
   */
  pressPowerButton(): void {
    this.#parts.inputs?.mustListen();
    if (!this.#parts.control.pressPowerButton()) {
      throw new RangeError("the machine has no power button");
    }
  }

  /**
   * Serial port number `n`: the backend `serial<n>`, which must be in memory
   * (it is, unless the options say otherwise).
   */
  serial(n: number): SerialPort {
    return serialPort(this.#parts.backends, n, () => this.start());
  }

  /**
   * The screen and the keyboard: the backend `display`, which must be the
   * display `none` (in `isapc.json` it is, unless the options say otherwise).
   */
  screen(): ScreenPort {
    return screenPort(this.#parts.backends, () => this.start());
  }

  /**
   * What the first screen among the devices shows now, running or not. Throws
   * a `RangeError` when the machine has none.
   */
  screenshot(): Screenshot {
    const source = providerOf<PictureSource>(this.#parts, "picture-source");
    if (source === undefined) throw new RangeError("the machine has no screen");
    return screenshotOf(source);
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
   * Write what the translator does from now on: a line for each block and
   * region, or whole regions with guest assembly, IR and WebAssembly text. A
   * second trace takes the place of the first.
   *
   * ```ts ignore
   * const machine = await Machine.load("machines/isapc.json", { kernel });
   * const trace = await machine.trace({
   *   blocks: true,
   *   regions: [0xc0101234],
   *   write: (text) => Deno.stderr.writeSync(new TextEncoder().encode(text)),
   * });
   * await machine.run();
   * console.log(trace.missing); // what no compiled region held
   * ```
   */
  async trace(options: TraceOptions): Promise<Trace> {
    const { startTrace } = await import("./trace.ts");
    return await startTrace(this.#parts.cpus, this.plan.cpu, options);
  }

  /** The human monitor, in which QEMU's commands are known. */
  async monitor(): Promise<HumanMonitor> {
    return await this.#observers.monitor();
  }

  /**
   * Begin a session with somebody at a console. He has a human monitor of his
   * own: which CPU another looks at, and in which format, stays the other's.
   */
  openMonitor(console: MonitorConsole): Promise<MonitorSession> {
    return this.#observers.openMonitor(console);
  }

  /**
   * A debugger: breakpoints, watchpoints, steps, registers and memory. To have
   * one costs the guest nothing. Throws a `DebugError` if a CPU plugin has
   * nothing for debuggers.
   *
   * ```ts ignore
   * const machine = await Machine.load("machines/isapc.json", { kernel });
   * const debug = await machine.debug();
   * const point = debug.setBreakpoint(0xc0100000);
   * const stop = await debug.resume(); // { kind: "breakpoint", cpu: 0 }
   * console.log(stop.kind, debug.cpus[stop.cpu].pc.toString(16));
   * point.remove();
   * debug.detach(); // the guest goes on
   * await machine.wait();
   * ```
   */
  debug(): Promise<MachineDebugger> {
    return this.#observers.debug();
  }

  /**
   * Let gdb debug the guest (`target remote`) at `tcp::PORT`, `tcp:HOST:PORT` or
   * `unix:PATH`, until the machine is stopped. Throws a `GdbError` where it
   * cannot listen. With `wait` the guest stands before its first instruction
   * until gdb lets it go.
   *
   * ```ts ignore
   * const server = await machine.serveGdb("tcp::1234", { wait: true });
   * console.log(`gdb -ex "target remote ${server.address}"`);
   * await machine.run();
   * ```
   */
  serveGdb(
    where: string = "tcp::1234",
    options: GdbOptions = {},
  ): Promise<GdbServer> {
    return this.#observers.serveGdb(where, options);
  }

  /**
   * After the end of a run: resolves when no gdb looks at where the guest died
   * any more, or the user wants to leave.
   */
  gdbLeaves(result: RunResult): Promise<void> {
    return this.#observers.gdbLeaves(result);
  }

  /**
   * Goes to and fro in the run of a machine that `Machine.replay` has made: to
   * be asked for before the machine is started. Throws a `ReplayError` when it
   * is not a replay, or has been started.
   *
   * ```ts ignore
   * const machine = await Machine.replay("run.log");
   * const replayer = await machine.replayer();
   * const debug = await machine.debug();
   * await replayer.seek(1_000_000);
   * console.log(debug.cpus[0].pc.toString(16));
   * debug.setWatchpoint({ address: 0x200000, size: 4, access: "write" });
   * await replayer.resume(); // back to the last write before
   * ```
   */
  replayer(): Promise<ReplayDebugger> {
    return this.#observers.replayer();
  }

  /**
   * Call `listener` whenever something happens, from when the promise resolves
   * until what it gives is disposed of or removed: exceptions, interrupts,
   * accesses to devices, what devices do, executed blocks, resets and the like.
   * Nobody pays for what is not asked for; executed blocks make the guest many
   * times slower. What a listener throws ends the run with a `HookError`.
   * Throws a `DebugError` if a CPU plugin cannot tell, and a `RangeError` for an
   * event, a device, a device's event or a CPU that there is not. Its module's
   * documentation (`HookEvents`) says what listeners may do.
   *
   * ```ts ignore
   * using hook = await machine.on(
   *   "exception",
   *   ({ vector, pc }) => console.log(vector, pc.toString(16)),
   *   { vector: 14 },
   * );
   * ```
   */
  async on<E extends keyof HookEvents>(
    event: E,
    listener: HookListener<E>,
    filter?: HookFilter<E>,
  ): Promise<Hook> {
    return await this.#observers.hook((hooks) =>
      hooks.on(event, listener, filter)
    );
  }

  /**
   * Call `listener` after each instruction, and each transfer of a device, that
   * accesses memory in a range, or before each instruction there that is
   * executed, while the guest runs on. Pages without watched memory are as fast
   * as ever. Throws a `RangeError` for what cannot be watched.
   *
   * ```ts ignore
   * await machine.watch(
   *   { address: 0x7c00, size: 512, access: "write", space: "physical" },
   *   ({ device, pc }) => console.log(device ?? pc),
   * );
   * ```
   */
  async watch(
    options: MemoryWatch,
    listener: (access: WatchedAccess) => void,
  ): Promise<Hook> {
    return await this.#observers.hook((hooks) =>
      hooks.watch(options, listener)
    );
  }

  /** Count how often each instruction of the guest is executed, from now on. */
  async coverage(options: CoverageOptions = {}): Promise<Coverage> {
    return await this.#observers.hook((hooks) => hooks.coverage(options));
  }

  /**
   * The state of CPU, devices and time as one record, memory not included.
   * The machine must not be running.
   */
  save(): StateRecord {
    this.#mustRest();
    return saveMachine(this.#parts);
  }

  /**
   * Restore what `save` gave. The machine must not be running. Throws a
   * `ReplayError` if its run is recorded or replayed.
   */
  load(record: StateRecord): void {
    this.#mustRest();
    this.#parts.inputs?.mustStay();
    loadMachine(this.#parts, record);
  }

  /**
   * Save the machine to a file: as `NAME.rhea` in the folder of snapshots, or at
   * a path. A machine that runs stands still meanwhile; the run does not end by
   * it. Throws a `SnapshotError`, and nothing has changed then.
   */
  async saveSnapshot(
    nameOrPath: string,
    options: SaveOptions = {},
  ): Promise<SavedSnapshot> {
    this.#mustBeOpen();
    // It stands still first: a hook may have asked for what is now.
    return await this.#standstill.during(
      "save-vm",
      () =>
        this.#loop.hold(async () => {
          const { saveSnapshot } = await import("../snapshot/save.ts");
          const { media } = this;
          return media.alone(() =>
            saveSnapshot(this.#parts, media, nameOrPath, options)
          );
        }),
    );
  }

  /**
   * Become what was saved under a name or at a path by a machine with the same
   * definition; runs on if it runs. Throws a `SnapshotError`: then nothing has
   * changed, or, when the file's state contradicts itself, the machine is reset
   * before it goes on.
   */
  async loadSnapshot(nameOrPath: string): Promise<void> {
    this.#mustBeOpen();
    if (this.#parts.inputs !== undefined) {
      const { SnapshotError } = await import("../snapshot/error.ts");
      throw new SnapshotError(
        "machine",
        "A run that is recorded or replayed does not become another one",
      );
    }
    const { loadSnapshot } = await import("../snapshot/load.ts");
    await this.#standstill.during("restore-vm", async () => {
      await this.#loop.hold(() =>
        this.media.alone(() =>
          loadSnapshot(this.#parts, this.media, nameOrPath, () => {
            this.#parts.requests.reset = true;
          })
        )
      );
      this.events.emit({ type: "reset", cause: "snapshot-load" });
    });
  }

  /** The snapshots in the folder of this machine's. Throws a `SnapshotError`. */
  async snapshots(): Promise<SnapshotInfo[]> {
    const { listSnapshots } = await import("../snapshot/folder.ts");
    return await listSnapshots(this.#parts.options.snapshots ?? ".");
  }

  /**
   * Delete a snapshot, and what this machine's disks keep for it. Throws a
   * `SnapshotError`.
   */
  async deleteSnapshot(nameOrPath: string): Promise<void> {
    this.#mustBeOpen();
    const { deleteSnapshot } = await import("../snapshot/load.ts");
    await this.#loop.hold(() => deleteSnapshot(this.#parts, nameOrPath));
  }

  /**
   * Listen for programs that control the machine by QMP, QEMU's machine
   * protocol, at `unix:PATH` or `tcp:HOST:PORT`, until the machine is stopped.
   * Whoever gets there can do everything with it. Throws a `QmpServerError`.
   *
   * ```ts ignore
   * const machine = await Machine.load("machines/pc.json", { kernel });
   * await machine.serveQmp("unix:/run/rhea.sock");
   * await machine.run();
   * ```
   */
  async serveQmp(place: string): Promise<QmpListener> {
    this.#mustBeOpen();
    return await this.#observers.serveQmp(place);
  }

  #mustBeOpen(): void {
    if (this.#closed !== undefined) throw new Error("the machine is stopped");
  }

  #mustRest(): void {
    if (this.#running !== undefined) {
      throw new Error("the machine is running; pause it first");
    }
  }

  async #run(): Promise<RunResult> {
    const { requests } = this.#parts;
    // It may have ended, and become again what it was before.
    if (this.#result !== undefined) {
      for (const backend of this.#ownBackends()) backend.begin();
    }
    try {
      let result: RunResult;
      this.#observers.throwHookError();
      const end = await this.#loop.run();
      if (end === "stop") {
        result = requests.end ?? { reason: "stop", status: 0 };
        requests.end = undefined;
        if (result.reason !== "stop") this.#shutDown(this.#causeOf(result));
      } else {
        result = {
          reason: end === "dead" ? "halt" : "shutdown",
          status: end === "dead" ? 0 : 1,
          where: this.cpu.describe(),
        };
        this.#shutDown("guest-shutdown");
      }
      const { reason } = result;
      const { inputs } = this.#parts;
      if (inputs !== undefined && reason !== "stop" && reason !== "quit") {
        // What devices have put off comes first.
        await new Promise<void>((resolve) => setImmediate(() => resolve()));
        inputs.end();
      }
      this.#result = result;
      // A waiting `expect` will not be answered any more.
      if (result.reason !== "stop") this.#endWaits(result);
      this.#observers.throwHookError();
      return result;
    } finally {
      this.#running = undefined;
    }
  }

  #causeOf({ reason }: RunResult): Cause {
    const { requests } = this.#parts;
    if (reason === "reset") return requests.resetCause;
    if (reason !== "quit") return "guest-shutdown";
    return requests.endCause ?? "host-ui";
  }

  /** Tells monitors of the end, once. */
  #shutDown(cause: Cause): void {
    if (this.#hasShutDown) return;
    this.#hasShutDown = true;
    this.events.emit({ type: "shutdown", cause });
  }

  #endWaits(result: RunResult): void {
    for (const backend of this.#ownBackends()) {
      backend.end(`the machine ended (${result.reason})`);
    }
  }

  /** The backends that a program reads. */
  *#ownBackends(): Generator<MemoryChar | MemoryDisplay> {
    for (const backend of this.#parts.backends.values()) {
      const isOwn = backend instanceof MemoryChar ||
        backend instanceof MemoryDisplay;
      if (isOwn) yield backend;
    }
  }

  async #closeAll(): Promise<void> {
    // What is being saved is complete first, with its disks.
    await this.#loop.released();
    try {
      await this.#observers.close(this.#result?.status);
    } finally {
      this.#parts.undo?.close();
      await this.media.closeKept();
      await closeAll(this.#parts.backends);
    }
  }

  #close(): Promise<void> {
    this.media.close();
    this.input.end();
    if (this.#closed === undefined) this.#parts.inputs?.close();
    return this.#closed ??= this.#closeAll();
  }
}
