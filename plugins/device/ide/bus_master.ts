/**
 * The bus master of one IDE channel: SFF-8038i, as in the 82371SB (PIIX3,
 * 290550, bus master IDE registers). Eight ports, and a table of physical regions in guest
 * memory that it walks as the device moves data.
 *
 * @module
 */

import type { IoHandler } from "../../../core/bus/handler.ts";
import type { DmaPort } from "../../../core/machine/plugin.ts";
import type { DmaEngine } from "./drive.ts";

/** Bytes of one channel's registers. */
export const BUS_MASTER_PORTS = 8;

/** Offsets: BMICX, BMISX; BMIDTPX from 4 on. */
const COMMAND = 0;
const STATUS = 2;
const TABLE = 4;
/** Command: start. */
const SSBM = 0x01;
/** Command: to memory; the device knows which way its data go. */
const RWCON = 0x08;
/** Status: active; cleared when the last region is done. */
const BMIDEA = 0x01;
/** Status: an error of the transfer, cleared by writing 1. */
const ERROR = 0x02;
/** Status: the device has interrupted, cleared by writing 1. */
const IDEINTS = 0x04;
/** Status: drives 0 and 1 can do DMA, for software to keep. */
const CAPABLE = 0x60;

/** An entry of the table: address, count and end mark. */
const PRD_BYTES = 8;
/** End of table, in an entry's second half. */
const EOT = 0x80000000;
const MEMORY_END = 2 ** 32;

/** The state of a bus master, part of its device's. */
export interface BusMasterState {
  /** BMICX. */
  command: number;
  /** BMISX. */
  status: number;
  /** The table's address as written. */
  table: number;
  /** The address of the next entry. */
  entry: number;
  /** The next byte of the region under way. */
  address: number;
  /** Bytes left of it. */
  left: number;
  /** It is the last one. */
  last: boolean;
}

function fresh(): BusMasterState {
  return {
    command: 0,
    status: 0,
    table: 0,
    entry: 0,
    address: 0,
    left: 0,
    last: false,
  };
}

/** The bus master of a channel. */
export class BusMaster implements DmaEngine {
  /** Its registers. */
  readonly io: IoHandler = {
    widths: [1],
    read: (offset) => this.#read(offset),
    write: (offset, _width, value) => this.#write(offset, value),
  };
  #state: BusMasterState = fresh();
  readonly #dma: DmaPort;
  readonly #isMaster: () => boolean;
  readonly #region = new Uint8Array(PRD_BYTES);
  readonly #view = new DataView(this.#region.buffer);
  #ready: () => void = () => {};

  /**
   * A bus master that reaches memory by `dma`, and waits while `isMaster` says
   * that it may not.
   */
  constructor(dma: DmaPort, isMaster: () => boolean = () => true) {
    this.#dma = dma;
    this.#isMaster = isMaster;
  }

  /** Call `ready` when software starts the engine. */
  onStart(ready: () => void): void {
    this.#ready = ready;
  }

  #read(offset: number): number {
    const { command, status, table } = this.#state;
    switch (offset) {
      case COMMAND:
        return command;
      case STATUS:
        return status;
      case 1:
      case 3:
        return 0;
      default:
        return table >>> 8 * (offset - TABLE) & 0xff;
    }
  }

  #write(offset: number, value: number): void {
    const state = this.#state;
    switch (offset) {
      case COMMAND: {
        const started = (state.command & SSBM) === 0 && (value & SSBM) !== 0;
        state.command = value & (SSBM | RWCON);
        if ((value & SSBM) === 0) state.status &= ~BMIDEA;
        if (!started) return;
        state.status |= BMIDEA;
        state.entry = state.table;
        state.left = 0;
        state.last = false;
        return this.#ready();
      }
      case STATUS:
        state.status = value & CAPABLE | state.status & BMIDEA |
          state.status & ~value & (ERROR | IDEINTS);
        return;
      case 1:
      case 3:
        return;
      default: {
        const shift = 8 * (offset - TABLE);
        const merged = state.table & ~(0xff << shift) | value << shift;
        state.table = (merged & ~3) >>> 0;
      }
    }
  }

  /** Fetch the next entry of the table. */
  #fetch(): void {
    const state = this.#state;
    this.#dma.read(state.entry, this.#region);
    const control = this.#view.getUint32(4, true);
    // Regions begin at even addresses and have an even count; 0 is 64 KiB.
    state.address = (this.#view.getUint32(0, true) & ~1) >>> 0;
    state.left = (control & 0xfffe) || 0x10000;
    state.last = (control & EOT) !== 0;
    // An aligned entry does not cross the end of memory.
    state.entry = (state.entry + PRD_BYTES) % MEMORY_END;
  }

  /** See `DmaEngine`: each entry moves two bytes at least, so it ends. */
  transfer(bytes: Uint8Array, toMemory: boolean): number {
    if (!this.#isMaster()) return 0;
    const state = this.#state;
    let moved = 0;
    while (moved < bytes.length && (state.status & BMIDEA) !== 0) {
      if (state.left === 0) this.#fetch();
      const length = Math.min(
        state.left,
        bytes.length - moved,
        MEMORY_END - state.address,
      );
      const part = bytes.subarray(moved, moved + length);
      if (toMemory) this.#dma.write(state.address, part);
      else this.#dma.read(state.address, part);
      moved += length;
      state.address = (state.address + length) % MEMORY_END;
      state.left -= length;
      if (state.left === 0 && state.last) state.status &= ~BMIDEA;
    }
    return moved;
  }

  /** See `DmaEngine`. */
  interrupt(): void {
    this.#state.status |= IDEINTS;
  }

  /** Assign a state as after power-on. */
  reset(): void {
    this.#state = fresh();
  }

  /** The registers and where the table is walked, to be saved. */
  get saved(): BusMasterState {
    return this.#state;
  }

  /** A record to load into. */
  template(): BusMasterState {
    return fresh();
  }

  /** Go on from a loaded record. */
  restore(record: BusMasterState): void {
    this.#state = record;
  }
}
