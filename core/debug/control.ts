/**
 * What all debuggers of one machine have in common: its CPUs, who waits for it
 * to stop, and all their breakpoints and watchpoints.
 *
 * The guest stands still within its run (`RunLoop.hold`), so that whoever runs
 * the machine goes on waiting. A change of the points takes effect when the
 * guest goes on: a debugger that takes its breakpoints away at each stop and
 * puts them back costs no translation.
 *
 * @module
 */

import type { DebugPort } from "../exec/debug_port.ts";
import type { GuardedRange, GuardHit } from "../mmu/access_guard.ts";
import type { CpuCore } from "../machine/cpu.ts";
import type { RunResult } from "../machine/run_result.ts";
import type { RunLoop } from "../machine/run_loop.ts";
import type {
  DebugPoint,
  DebugRegisters,
  MachineDebugger,
  StopEvent,
  WatchAccess,
  WatchSpec,
} from "./contract.ts";
import { checkAddress } from "./addresses.ts";
import { DebuggedCpu, type DebugMemory, NO_REGISTERS } from "./cpu.ts";
import { Session } from "./session.ts";

/** What a machine gives its debuggers. */
export interface DebuggedMachine {
  /** The CPU, or all of them as one. */
  readonly cpu: CpuCore & {
    only?: number | undefined;
    readonly turn?: number;
    readonly running?: number;
  };
  /** The CPUs. */
  readonly cpus: readonly CpuCore[];
  /** The run loop. */
  readonly loop: RunLoop;
  /** Physical memory. */
  readonly memory: DebugMemory;
  /** The order in which CPUs execute may not be changed: the others run while one steps. */
  readonly keepsOrder: boolean;
  /** Why debuggers may not write registers and memory. */
  readonly refusal?: string;
  /** Whether it was started and has not ended. */
  isStarted(): boolean;
  /** Starts it. */
  start(): void;
  /** What {@linkcode DebugControl.standing} says may have changed. */
  notify(): void;
  /** A debugger lets it go on: nobody else is to hold it. */
  goes(): void;
  /** The end of the run. */
  wait(): Promise<RunResult>;
}

/** A machine whose CPUs have nothing for debuggers. */
export class DebugError extends Error {
  /** The name of the error's class. */
  override readonly name = "DebugError";
}

function refuse(why: string): never {
  throw new DebugError(why);
}

/** The machine, with memory that is not written where that is refused. */
function unchanged(machine: DebuggedMachine): DebuggedMachine {
  const { refusal, memory } = machine;
  if (refusal === undefined) return machine;
  return {
    ...machine,
    memory: {
      read: (address, into) => memory.read(address, into),
      write: () => refuse(refusal),
    },
  };
}

/** The largest watchpoint. */
export const MAX_WATCH: number = 2 ** 20;

/** Memory that somebody watches, whichever CPU accesses it. */
export interface MachineWatch extends GuardedRange {
  /** Called after an instruction that accessed it. Whether the guest is to stand still. */
  hit(hit: GuardHit, cpu: number): boolean;
}

/** Instructions that somebody wants to hear of, whichever CPU executes them. */
export interface ReachedRange {
  /** The linear address of the first. */
  readonly address: number;
  /** How many addresses. */
  readonly size: number;
  /** Called before a CPU executes an instruction that begins in the range. */
  reached(pc: number, cpu: number): void;
}

/** What a CPU met, for the event. */
interface WatchHit {
  readonly address: number;
  readonly access: WatchAccess;
}

/** The debugging of one machine. */
export class DebugControl {
  readonly #machine: DebuggedMachine;
  readonly #ports: readonly DebugPort[];
  readonly cpus: readonly DebuggedCpu[];
  /** How many want each breakpoint. */
  readonly #breakpoints = new Map<number, number>();
  readonly #watches = new Set<MachineWatch>();
  readonly #reached = new Set<ReachedRange>();
  #pointsChanged = false;
  #watchesChanged = false;
  #release: (() => void) | undefined;
  #stands = false;
  /** Why it is about to stand. */
  #reason: StopEvent | undefined;
  #hit: WatchHit | undefined;
  #waiting: PromiseWithResolvers<StopEvent> | undefined;
  /** The run whose end is awaited. */
  #run: Promise<RunResult> | undefined;
  /** The CPU that stopped last. */
  #current = 0;
  /** How many `asOne` are under way. */
  #runs = 0;
  /** The next step of one is not to be made. */
  #isEnding = false;

  private constructor(
    machine: DebuggedMachine,
    ports: readonly DebugPort[],
    cpus: readonly DebuggedCpu[],
  ) {
    this.#machine = machine;
    this.#ports = ports;
    this.cpus = cpus;
    machine.loop.onDebug = () => this.#stopped();
    machine.loop.onStand = () => this.#stand();
  }

  /** That of a machine; throws a `DebugError` if one of its CPUs has nothing for debuggers. */
  static async of(given: DebuggedMachine): Promise<DebugControl> {
    const ports: DebugPort[] = [];
    const cpus: DebuggedCpu[] = [];
    const machine = unchanged(given);
    const { refusal } = machine;
    for (const [i, cpu] of machine.cpus.entries()) {
      const port = await cpu.debug?.();
      if (port === undefined) {
        throw new DebugError(`CPU ${i} has nothing for debuggers`);
      }
      const all = await port.registers() ?? NO_REGISTERS;
      const registers: DebugRegisters = refusal === undefined ? all : {
        architecture: all.architecture,
        features: all.features,
        read: (name) => all.read(name),
        write: () => refuse(refusal),
      };
      ports.push(port);
      cpus.push(new DebuggedCpu(i, port, registers, machine.memory));
    }
    return new DebugControl(machine, ports, cpus);
  }

  /** The CPU that is executing an instruction just now; undefined when none is. */
  get runningCpu(): number | undefined {
    if (!this.#machine.loop.inSlice) return undefined;
    const running = this.#machine.cpu.running ?? 0;
    return running < 0 ? undefined : running;
  }

  /** Do what must not be done in the midst of an instruction, now or soon. */
  outsideSlice(action: () => void): void {
    this.#machine.loop.outsideSlice(action);
  }

  /** What the CPUs have for observers. */
  get ports(): readonly DebugPort[] {
    return this.#ports;
  }

  /** A debugger of this machine. */
  attach(): MachineDebugger {
    return new Session(this, this.#machine.memory);
  }

  /** Whether the guest is running now: not from a pause on, as no slice begins any more. */
  get isRunning(): boolean {
    return this.#machine.isStarted() && this.#release === undefined;
  }

  /**
   * Whether the guest stands still for a debugger, or is about to, and as what
   * QEMU knows it: at a point or after a step, or because somebody wanted it.
   */
  get standing(): "debug" | "paused" | undefined {
    if (this.#release === undefined || this.#runs > 0) return undefined;
    return this.#reason === undefined || this.#reason.kind === "pause"
      ? "paused"
      : "debug";
  }

  /** Whether somebody waits for the guest to stand still. */
  get isAwaited(): boolean {
    return this.#waiting !== undefined || this.#runs > 0;
  }

  /** See `MachineDebugger.setBreakpoint`. */
  setBreakpoint(address: number): DebugPoint {
    checkAddress(address);
    const all = this.#breakpoints;
    all.set(address, (all.get(address) ?? 0) + 1);
    this.#changed();
    let isSet = true;
    return {
      remove: () => {
        if (!isSet) return;
        isSet = false;
        const count = all.get(address)! - 1;
        if (count === 0) all.delete(address);
        else all.set(address, count);
        this.#changed();
      },
    };
  }

  /** See `MachineDebugger.setWatchpoint`. */
  setWatchpoint({ address, size, access }: WatchSpec): DebugPoint {
    checkAddress(address);
    if (!Number.isInteger(size) || size < 1 || size > MAX_WATCH) {
      throw new RangeError(`a watchpoint has 1 to ${MAX_WATCH} bytes`);
    }
    return this.watch({
      space: "linear",
      address,
      size,
      reads: access !== "write",
      writes: access !== "read",
      hit: (hit) => {
        // Of two accesses of one instruction the first is told.
        this.#hit ??= { address: hit.address, access };
        return true;
      },
    });
  }

  /** Watch memory of all CPUs. */
  watch(range: MachineWatch): DebugPoint {
    this.#watches.add(range);
    this.#watchesChanged = true;
    this.#changed();
    return {
      remove: () => {
        if (!this.#watches.delete(range)) return;
        this.#watchesChanged = true;
        this.#changed();
      },
    };
  }

  /** Hear of instructions that are executed. */
  onReached(range: ReachedRange): DebugPoint {
    this.#reached.add(range);
    this.#changed();
    return {
      remove: () => {
        if (this.#reached.delete(range)) this.#changed();
      },
    };
  }

  #changed(): void {
    this.#pointsChanged = true;
    // Where the guest stands still, what is taken away may come back.
    if (!this.#stands) this.#machine.loop.outsideSlice(() => this.#apply());
  }

  #apply(): void {
    if (!this.#pointsChanged) return;
    this.#pointsChanged = false;
    const addresses = new Set(this.#breakpoints.keys());
    for (const { address, size } of this.#reached) {
      for (let i = 0; i < size; i++) addresses.add(address + i);
    }
    for (const [i, port] of this.#ports.entries()) {
      port.reached = this.#reached.size === 0
        ? undefined
        : (pc) => this.#reaches(pc, i);
      port.setBreakpoints(addresses);
    }
    if (!this.#watchesChanged) return;
    this.#watchesChanged = false;
    for (const [i, port] of this.#ports.entries()) {
      port.setWatches([...this.#watches].map((range) => ({
        ...range,
        hit: (hit: GuardHit) => range.hit(hit, i),
      })));
    }
  }

  /** A CPU is about to execute an instruction: tells of it; whether it is to stop. */
  #reaches(pc: number, cpu: number): boolean {
    for (const range of this.#reached) {
      const { address, size } = range;
      if (pc >= address && pc < address + size) range.reached(pc, cpu);
    }
    return this.#breakpoints.has(pc);
  }

  /** See `MachineDebugger.resume`. */
  resume(): Promise<StopEvent> {
    const { promise } = this.#waiting ??= Promise.withResolvers();
    if (!this.isRunning) {
      this.#ports[this.#current].arm("run");
      this.#go();
    }
    this.#awaitEnd();
    return promise;
  }

  /** See `MachineDebugger.step`. */
  step(cpu: number, holdsInterrupts = false): Promise<StopEvent> {
    if (this.isRunning) throw new DebugError("the guest is running");
    const port = this.#ports[cpu];
    if (port === undefined) throw new RangeError(`there is no CPU ${cpu}`);
    if (this.#isEnding) {
      this.#isEnding = false;
      this.#reason = { kind: "pause", cpu };
      return Promise.resolve(this.#reason);
    }
    this.#current = cpu;
    port.arm("step", holdsInterrupts);
    if (this.#ports.length > 1 && !this.#machine.keepsOrder) {
      this.#machine.cpu.only = cpu;
    }
    const { promise } = this.#waiting ??= Promise.withResolvers();
    this.#go();
    this.#awaitEnd();
    return promise;
  }

  /** See `MachineDebugger.keepsOrder`. */
  get keepsOrder(): boolean {
    return this.#machine.keepsOrder;
  }

  /** See `MachineDebugger.asOne`. */
  async asOne<T>(steps: () => Promise<T>): Promise<T> {
    if (this.#runs++ === 0) this.#machine.goes();
    try {
      return await steps();
    } finally {
      if (--this.#runs === 0) this.#isEnding = false;
      this.#machine.notify();
    }
  }

  /** See `MachineDebugger.pause`. */
  pause(): void {
    if (this.#release !== undefined) {
      this.#isEnding = this.#runs > 0;
      return;
    }
    const cpu = this.#machine.cpu.turn ?? 0;
    this.#reason ??= { kind: "pause", cpu };
    this.#release = this.#machine.loop.standStill();
  }

  /**
   * Lets the guest go on that stands still for a debugger which has not asked
   * for it, as a monitor's `cont` does. Points remain.
   */
  goOn(): void {
    if (this.#release === undefined) return;
    this.#ports[this.#current].arm("run");
    this.#go();
  }

  /** Lets the guest go on if it stands still for a debugger. */
  release(): void {
    this.#apply();
    if (this.#release === undefined) return;
    if (this.#machine.isStarted()) this.#ports[this.#current].arm("run");
    this.#letGo();
  }

  #letGo(): void {
    this.#stands = false;
    this.#reason = undefined;
    const release = this.#release;
    this.#release = undefined;
    if (this.#runs === 0) this.#machine.goes();
    release?.();
  }

  /** Whoever waits is to hear of the run's end as well. */
  #awaitEnd(): void {
    const run = this.#machine.wait();
    if (run === this.#run) return;
    this.#run = run;
    run.then((result) => this.#ended(result), (e) => this.#failed(e));
  }

  #go(): void {
    this.#apply();
    this.#hit = undefined;
    this.#letGo();
    this.#machine.start();
  }

  /** A CPU has stopped: the loop is to stand. */
  #stopped(): void {
    this.#reason = this.#stopOf();
    this.#release ??= this.#machine.loop.standStill();
  }

  /** Why a CPU has stopped. */
  #stopOf(): StopEvent {
    const cpu = this.#ports.findIndex(({ stop }) => stop !== undefined);
    const { stop } = this.#ports[cpu];
    const hit = this.#hit;
    if (stop!.kind === "watch" && hit !== undefined) {
      return { kind: "watchpoint", cpu, ...hit };
    }
    return {
      kind: stop!.kind === "breakpoint" ? "breakpoint" : "step",
      cpu,
    };
  }

  /**
   * While the guest stands still, lets `run` run it from place to place, as a
   * replay does: without points, or with them, of which `stopped` is told and
   * the guest goes on; or for one step.
   */
  async search(
    run: () => Promise<void>,
    stopped?: (event: StopEvent) => void,
    isStep = false,
  ): Promise<void> {
    const { loop } = this.#machine;
    const { onDebug, onStand } = loop;
    this.#pointsChanged = this.#watchesChanged = true;
    if (stopped !== undefined && !isStep) this.#apply();
    else {
      for (const port of this.#ports) {
        port.setBreakpoints(new Set());
        port.setWatches([]);
      }
    }
    this.#hit = undefined;
    const turn = this.#machine.cpu.turn ?? 0;
    this.#ports.forEach((port, i) =>
      port.arm(isStep && i === turn ? "step" : "run")
    );
    loop.onStand = () => {};
    loop.onDebug = () => {
      const event = this.#stopOf();
      this.#hit = undefined;
      this.#ports[event.cpu].arm("run");
      stopped?.(event);
    };
    try {
      await run();
    } finally {
      loop.onDebug = onDebug;
      loop.onStand = onStand;
      this.#pointsChanged = this.#watchesChanged = true;
    }
  }

  /** The guest stands still now. */
  #stand(): void {
    // (A monitor holds it as well.)
    if (this.#release === undefined || this.#stands) return;
    this.#stands = true;
    this.#machine.notify();
    this.#tell(this.#reason!);
  }

  #tell(event: StopEvent): void {
    this.#current = event.cpu;
    for (const port of this.#ports) port.disarm();
    if (this.#ports.length > 1) this.#machine.cpu.only = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(event);
  }

  #ended(result: RunResult): void {
    this.#run = undefined;
    this.#tell({ kind: "end", cpu: this.#machine.cpu.turn ?? 0, result });
  }

  #failed(error: unknown): void {
    this.#run = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }
}
