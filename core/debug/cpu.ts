/**
 * A CPU as a debugger sees it: registers by the frontend, memory by its page
 * tables.
 *
 * @module
 */

import type { DebugPort } from "../exec/debug_port.ts";
import type { DebugCpu, DebugRegisters } from "./contract.ts";

const PAGE = 4096;

/** Physical memory for debuggers. */
export interface DebugMemory {
  /** Reads RAM and ROM; how many bytes from the first there are. */
  read(address: number, into: Uint8Array): number;
  /** Writes RAM, and lets the CPUs know; how many bytes from the first there are. */
  write(address: number, bytes: Uint8Array): number;
}

/** The registers of a CPU that has none for debuggers. */
export const NO_REGISTERS: DebugRegisters = {
  architecture: "",
  features: [],
  read: (name) => {
    throw new RangeError(`there is no register "${name}"`);
  },
  write: (name) => {
    throw new RangeError(`there is no register "${name}"`);
  },
};

/** One CPU of a machine under a debugger. */
export class DebuggedCpu implements DebugCpu {
  readonly index: number;
  readonly registers: DebugRegisters;
  readonly #port: DebugPort;
  readonly #memory: DebugMemory;

  /** A CPU by its number. */
  constructor(
    index: number,
    port: DebugPort,
    registers: DebugRegisters,
    memory: DebugMemory,
  ) {
    this.index = index;
    this.registers = registers;
    this.#port = port;
    this.#memory = memory;
  }

  get pc(): number {
    return this.#port.pc;
  }

  get isWaiting(): boolean {
    return this.#port.isWaiting;
  }

  translate(linear: number): number | undefined {
    const physical = this.#port.translate(linear);
    return physical < 0 ? undefined : physical;
  }

  read(linear: number, into: Uint8Array): number {
    return this.#each(
      linear,
      into,
      (at, part) => this.#memory.read(at, part),
    );
  }

  write(linear: number, bytes: Uint8Array): number {
    return this.#each(
      linear,
      bytes,
      (at, part) => this.#memory.write(at, part),
    );
  }

  /** Page by page, as far as there is memory. */
  #each(
    linear: number,
    bytes: Uint8Array,
    access: (physical: number, part: Uint8Array) => number,
  ): number {
    let done = 0;
    while (done < bytes.length) {
      const at = linear + done;
      const left = PAGE - (((at % PAGE) + PAGE) % PAGE);
      const length = Math.min(left, bytes.length - done);
      const physical = this.#port.translate(at);
      if (physical < 0) break;
      const n = access(physical, bytes.subarray(done, done + length));
      done += n;
      if (n < length) break;
    }
    return done;
  }
}
