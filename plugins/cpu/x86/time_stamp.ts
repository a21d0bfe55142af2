/**
 * The time stamp counter: a source that does not run backwards, and what this
 * CPU adds to it. No two readings are equal, on whichever CPU of a machine.
 *
 * @module
 */

import type { LocalApic } from "../../../core/bus/apic.ts";
import type { GuestMemory } from "../../../core/machine/memory.ts";
import type { Registers } from "./registers.ts";
import { OFF_STAMP, OFF_TSC_OFFSET } from "./state.ts";

/** Where the offset stands, in doubles. */
const OFFSET = OFF_TSC_OFFSET >> 3;

/** A word for {@linkcode TimeStampCounter.stamps}, of a CPU that is in no machine. */
export function createStamps(): Float64Array {
  return new Float64Array(1).fill(-1);
}

/** That of a machine, in the area of its first CPU: the first to be made. */
export function machineStamps(
  memory: GuestMemory,
  index: number,
): Float64Array {
  const at = memory.cpuArea(0) + OFF_STAMP;
  const stamps = new Float64Array(memory.memory.buffer, at, 1);
  return index === 0 ? stamps.fill(-1) : stamps;
}

/** The time stamp counter of a CPU. */
export class TimeStampCounter {
  /** The source's last reading: one word, which all CPUs of a machine have together. */
  readonly stamps: Float64Array;
  readonly #cpu: Registers;
  readonly #source: () => number;
  readonly #apic: LocalApic | undefined;

  /** A counter whose offset stands in this CPU's state. */
  constructor(
    cpu: Registers,
    source: () => number,
    stamps: Float64Array,
    apic: LocalApic | undefined,
  ) {
    this.#cpu = cpu;
    this.#source = source;
    this.stamps = stamps;
    this.#apic = apic;
  }

  /** Added to the source. */
  get offset(): number {
    return this.#cpu.stateF64[OFFSET];
  }

  set offset(value: number) {
    this.#cpu.stateF64[OFFSET] = value;
  }

  /** Reads the counter; no two readings are equal. */
  read(): number {
    const { stamps } = this;
    const t = Math.max(Math.floor(this.#source()), stamps[0] + 1);
    stamps[0] = t;
    return t + this.offset;
  }

  /** What the counter has, without reading it. */
  peek(): number {
    return Math.floor(this.#source()) + this.offset;
  }

  /** Whether the counter has come to a value, or the guest has read it. */
  hasReached(value: number): boolean {
    const now = Math.max(Math.floor(this.#source()), this.stamps[0]);
    return value <= now + this.offset;
  }

  /** Sets the counter. */
  write(value: number): void {
    const now = Math.floor(this.#source());
    const offset = value - now;
    const apic = this.#apic;
    if (apic !== undefined && apic.deadline !== 0) {
      // The local APIC waits for a value of the counter, not for a time.
      apic.deadline = Math.max(apic.deadline + this.offset - offset, 1);
    }
    this.offset = offset;
    this.stamps[0] = now - 1;
  }
}

/**
 * A number that looks random, from one that never comes twice: where two runs
 * have to be the same (MurmurHash3's finaliser).
 */
export function scramble(v: number): number {
  let h = (v | 0) ^ Math.floor(v / 0x1_0000_0000);
  h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
  return h ^ h >>> 16;
}
