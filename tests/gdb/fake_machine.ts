/**
 * A machine of two CPUs that count, for the gdb server's tests: each
 * instruction adds one to the program counter and writes a byte of memory.
 *
 * @module
 */

import type {
  DebugCpu,
  DebugPoint,
  DebugRegisters,
  MachineDebugger,
  StopEvent,
  WatchSpec,
} from "../../core/debug/contract.ts";

/** Bytes of its memory. */
const MEMORY = 0x10000;
/** Where each instruction writes. */
const COUNTER = 0x8000;
/** Instructions before the event loop has its turn. */
const SLICE = 1000;

class FakeRegisters implements DebugRegisters {
  readonly architecture = "fake";
  readonly features = [{
    name: "org.rhea.fake",
    registers: [
      { name: "a", bits: 32, type: "int32" },
      { name: "pc", bits: 32, type: "code_ptr" },
      { name: "wide", bits: 128, type: "uint128", group: "vector" },
    ],
  }];
  readonly values = new Map([
    ["a", new Uint8Array(4)],
    ["pc", new Uint8Array(4)],
    ["wide", new Uint8Array(16)],
  ]);

  read(name: string): Uint8Array {
    const value = this.values.get(name);
    if (value === undefined) throw new RangeError(`there is no ${name}`);
    return value.slice();
  }

  write(name: string, bytes: Uint8Array): void {
    if (name === "a" && bytes[3] === 0xff) throw new RangeError("a is small");
    this.values.get(name)!.set(bytes);
  }

  get pc(): number {
    return new DataView(this.values.get("pc")!.buffer).getUint32(0, true);
  }

  set pc(value: number) {
    new DataView(this.values.get("pc")!.buffer).setUint32(0, value, true);
  }
}

/** The machine. */
export class FakeMachine implements MachineDebugger {
  /** Its memory, whose linear addresses are the physical ones. */
  readonly memory: Uint8Array = new Uint8Array(MEMORY);
  /** See {@linkcode MachineDebugger.isRunning}. */
  isRunning = false;
  /** How often it was detached from. */
  detached = 0;
  /** Breakpoints by address, and how many there are of each. */
  readonly breakpoints: Map<number, number> = new Map();
  /** Watchpoints. */
  readonly watchpoints: Set<WatchSpec> = new Set();
  /** The run ends before this instruction. */
  end = Infinity;
  /** See {@linkcode MachineDebugger.cpus}. */
  readonly cpus: readonly DebugCpu[];
  readonly #registers = [new FakeRegisters(), new FakeRegisters()];
  #isPaused = false;

  /** A machine that stands still at 0. */
  constructor() {
    this.cpus = this.#registers.map((registers, index) => ({
      index,
      registers,
      get pc(): number {
        return registers.pc;
      },
      isWaiting: index === 1,
      translate: (linear: number) => linear < MEMORY ? linear : undefined,
      read: (linear: number, into: Uint8Array) =>
        this.readPhysical(linear, into),
      write: (linear: number, bytes: Uint8Array) =>
        this.writePhysical(linear, bytes),
    }));
  }

  /** See {@linkcode MachineDebugger.setBreakpoint}. */
  setBreakpoint(address: number): DebugPoint {
    const { breakpoints } = this;
    breakpoints.set(address, (breakpoints.get(address) ?? 0) + 1);
    return {
      remove: () => {
        const left = breakpoints.get(address)! - 1;
        if (left === 0) breakpoints.delete(address);
        else breakpoints.set(address, left);
      },
    };
  }

  /** See {@linkcode MachineDebugger.setWatchpoint}. */
  setWatchpoint(spec: WatchSpec): DebugPoint {
    this.watchpoints.add(spec);
    return { remove: () => void this.watchpoints.delete(spec) };
  }

  /** See {@linkcode MachineDebugger.resume}. */
  async resume(): Promise<StopEvent> {
    this.isRunning = true;
    this.#isPaused = false;
    try {
      for (let n = 1;; n++) {
        const event = this.#execute(0);
        if (event.kind !== "step") return event;
        const { pc } = this.#registers[0];
        if (this.breakpoints.has(pc)) return { kind: "breakpoint", cpu: 0 };
        if (n % SLICE !== 0) continue;
        await new Promise((resolve) => setTimeout(resolve));
        if (this.#isPaused) return { kind: "pause", cpu: 0 };
      }
    } finally {
      this.isRunning = false;
    }
  }

  /** See {@linkcode MachineDebugger.step}. */
  step(cpu: number): Promise<StopEvent> {
    return Promise.resolve(this.#execute(cpu));
  }

  /** See {@linkcode MachineDebugger.asOne}. */
  asOne<T>(steps: () => Promise<T>): Promise<T> {
    return steps();
  }

  #execute(cpu: number): StopEvent {
    const registers = this.#registers[cpu];
    if (registers.pc >= this.end) {
      return { kind: "end", cpu, result: { reason: "poweroff", status: 3 } };
    }
    registers.pc++;
    this.memory[COUNTER]++;
    for (const { address, size, access } of this.watchpoints) {
      const isHit = access !== "read" && address <= COUNTER &&
        COUNTER < address + size;
      if (isHit) {
        return { kind: "watchpoint", cpu, address: COUNTER, access: "write" };
      }
    }
    return { kind: "step", cpu };
  }

  /** See {@linkcode MachineDebugger.pause}. */
  pause(): void {
    this.#isPaused = true;
    this.isRunning = false;
  }

  /** See {@linkcode MachineDebugger.readPhysical}. */
  readPhysical(address: number, into: Uint8Array): number {
    const bytes = this.memory.subarray(address, address + into.length);
    into.set(bytes);
    return bytes.length;
  }

  /** See {@linkcode MachineDebugger.writePhysical}. */
  writePhysical(address: number, bytes: Uint8Array): number {
    const room = Math.max(Math.min(bytes.length, MEMORY - address), 0);
    this.memory.set(bytes.subarray(0, room), address);
    return room;
  }

  /** See {@linkcode MachineDebugger.detach}. */
  detach(): void {
    this.detached++;
  }
}
