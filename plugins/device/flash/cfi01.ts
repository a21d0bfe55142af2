/**
 * A flash chip with Intel's command set, as QEMU's `pflash_cfi01` with a bus of
 * 8 bits: the state of its command interface, and what commands do.
 *
 * Sources: Intel "Common Flash Memory Interface and Command Sets" (AP-646),
 * JEDEC JESD68.01 (the query), Intel 28F256J3 datasheet (290667), "Command
 * definitions". QEMU's chip differs from those, and guests know it: a cleared
 * status reads as 0 and not as "ready", by which OVMF tells it from RAM and ROM;
 * programming stores bytes as they are instead of only clearing bits; lock bits
 * are accepted and lock nothing; its identifiers are 0.
 *
 * @module
 */

import type { BlockBackend } from "../../../core/backend/block.ts";
import type { AccessWidth } from "../../../core/bus/handler.ts";

/** Bytes that are erased at once. */
export const SECTOR_BYTES = 4096;
/** Bytes of the write buffer, which programs an aligned block of as many. */
export const BUFFER_BYTES = 256;

/** Commands, as they are written in the first cycle. */
const READ_ARRAY = 0x00;
const PROGRAM_ALTERNATE = 0x10;
const BLOCK_ERASE = 0x20;
const PROGRAM = 0x40;
const CLEAR_STATUS = 0x50;
const LOCK = 0x60;
const READ_STATUS = 0x70;
const READ_IDENTIFIER = 0x90;
const QUERY = 0x98;
const WRITE_BUFFER = 0xe8;
const RESET = 0xff;
/** Second cycles. */
const CONFIRM = 0xd0;
const LOCK_SET = 0x01;

/** Status: ready; erasing failed, or the lock bits did; programming failed. */
const READY = 0x80;
const ERASE_FAILED = 0x20;
const PROGRAM_FAILED = 0x10;

/** The most writes that the backend is given before it has done any. */
const MAX_WRITING = 1024;

/** The state of a chip but for its bytes. */
export interface ChipState {
  /** The command whose cycles are under way, or that says what is read. */
  command: number;
  /** Which cycle comes next, from 0 on. */
  cycle: number;
  /** The status register. */
  status: number;
  /** Bytes that the write buffer still takes, less one. */
  count: number;
  /** Where the block begins that the write buffer programs; -1 without one. */
  block: number;
  /** The write buffer. */
  buffer: Uint8Array;
  /** Which of its bytes were given, a bit each. */
  given: Uint8Array;
}

/** A chip as after power-on: its bytes can be read. */
export function freshChip(): ChipState {
  return {
    command: READ_ARRAY,
    cycle: 0,
    status: READY,
    count: 0,
    block: -1,
    buffer: new Uint8Array(BUFFER_BYTES),
    given: new Uint8Array(BUFFER_BYTES / 8),
  };
}

/** The chip's answers to a query, from offset 0 on. */
function queryTable(size: number): Uint8Array {
  const table = new Uint8Array(0x40);
  const blocks = size / SECTOR_BYTES - 1;
  table.set([0x51, 0x52, 0x59], 0x10); // QRY
  table.set([0x01, 0x00, 0x31, 0x00], 0x13); // Intel's commands; PRI at 31h.
  // Supply of 4.5 to 5.5 V, no programming voltage.
  table.set([0x45, 0x55], 0x1b);
  // Typical times of a byte, a buffer, a sector, and the most: powers of two.
  table.set([0x07, 0x07, 0x0a, 0x00, 0x04, 0x04, 0x04, 0x00], 0x1f);
  table[0x27] = 31 - Math.clz32(size & -size);
  table.set([0x02, 0x00], 0x28); // 8 and 16 bits.
  table.set([Math.log2(BUFFER_BYTES), 0x00], 0x2a);
  table.set([1, blocks & 0xff, blocks >> 8], 0x2c);
  table.set([SECTOR_BYTES >> 8 & 0xff, SECTOR_BYTES >> 16], 0x2f);
  table.set([0x50, 0x52, 0x49, 0x31, 0x30], 0x31); // PRI, version 1.0.
  table[0x3f] = 1; // Protection register fields.
  return table;
}

/** What a chip is part of. */
export interface ChipPlace {
  /** Its bytes, as the guest sees them. */
  readonly bytes: Uint8Array;
  /** What keeps them. */
  readonly backend: BlockBackend;
  /** Change bytes where the guest may have run what was there. */
  write(offset: number, bytes: Uint8Array): void;
  /** The chip's bytes can be read now, or its registers can. */
  show(isArray: boolean): void;
  /** A command that the chip does not have. */
  unknown(command: number): void;
  /** The backend has failed. */
  failed(error: unknown): void;
}

/** A chip. */
export class FlashChip {
  /** The state. */
  #state = freshChip();
  readonly #place: ChipPlace;
  readonly #query: Uint8Array;
  /** The sector that changed last, while the backend does not have it. */
  #changed: number | undefined;
  /** Sectors that the backend gets when it has done what it was given. */
  readonly #late = new Set<number>();
  /** Writes that the backend has not done. */
  #writing = 0;
  /** Whether a flush has to follow, and whether one is under way. */
  #needsFlush = false;
  #isFlushing = false;
  readonly #byte = new Uint8Array(1);

  /** A chip of `place.bytes.length` bytes. */
  constructor(place: ChipPlace) {
    this.#place = place;
    this.#query = queryTable(place.bytes.length);
  }

  /** The state, which does not include the bytes. */
  get state(): ChipState {
    return this.#state;
  }

  /** Go on in this state. */
  adopt(state: ChipState): void {
    // What a record says is no address to trust.
    const { block } = state;
    const isBlock = Number.isInteger(block) && block % BUFFER_BYTES === 0 &&
      block >= 0 && block < this.#place.bytes.length;
    this.#state = isBlock ? state : { ...state, block: -1 };
    this.#place.show(state.command === READ_ARRAY);
  }

  /** What a read gives while the bytes are not shown, and when they are. */
  read(offset: number, width: AccessWidth): number {
    const { bytes } = this.#place;
    let value = 0;
    for (let i = 0; i < width; i++) {
      const at = offset + i;
      const byte = at < bytes.length ? this.#readByte(at) : 0xff;
      value += byte * 2 ** (8 * i);
    }
    return value;
  }

  #readByte(offset: number): number {
    switch (this.#state.command) {
      case READ_ARRAY:
        return this.#place.bytes[offset];
      case READ_IDENTIFIER:
        return 0;
      case QUERY:
        return this.#query[offset & 0xff] ?? 0;
      default:
        return this.#state.status;
    }
  }

  /** A write: a command, or the next cycle of one. */
  write(offset: number, width: AccessWidth, value: number): void {
    if (offset + width > this.#place.bytes.length) return;
    const state = this.#state;
    const code = value & 0xff;
    switch (state.cycle) {
      case 0:
        this.#first(offset, code);
        break;
      case 1:
        this.#second(offset, width, value, code);
        break;
      case 2:
        this.#fill(offset, width, value);
        break;
      default:
        if (code === CONFIRM && (state.status & PROGRAM_FAILED) === 0) {
          this.#programBuffer();
          this.#done();
        } else this.#readArray();
    }
  }

  #first(offset: number, code: number): void {
    const state = this.#state;
    switch (code) {
      case READ_ARRAY:
      case RESET:
      // Who looks for a chip of AMD's.
      case 0xf0:
        return this.#readArray();
      case CLEAR_STATUS:
        state.status = 0;
        return this.#readArray();
      case READ_STATUS:
      case READ_IDENTIFIER:
        return this.#command(code, 0);
      case BLOCK_ERASE:
        this.#erase(offset - offset % SECTOR_BYTES);
        return this.#command(code, 1);
      case WRITE_BUFFER:
        state.status |= READY;
        return this.#command(code, 1);
      case PROGRAM:
      case PROGRAM_ALTERNATE:
      case LOCK:
      case QUERY:
        return this.#command(code, 1);
      default:
        this.#place.unknown(code);
        this.#readArray();
    }
  }

  #second(
    offset: number,
    width: AccessWidth,
    value: number,
    code: number,
  ): void {
    const state = this.#state;
    switch (state.command) {
      case PROGRAM:
      case PROGRAM_ALTERNATE:
        if (this.#place.backend.readOnly) state.status |= PROGRAM_FAILED;
        else this.#program(offset, width, value);
        return this.#done();
      case BLOCK_ERASE:
        if (code === CONFIRM) return this.#done();
        break;
      case WRITE_BUFFER:
        state.count = code;
        state.block = -1;
        state.given.fill(0);
        state.cycle = 2;
        return;
      case LOCK:
        if (code === CONFIRM || code === LOCK_SET) return this.#done();
        break;
      case QUERY:
        // Only this ends it.
        if (code !== RESET) return;
        break;
    }
    this.#readArray();
  }

  /** A byte for the write buffer, or several. */
  #fill(offset: number, width: AccessWidth, value: number): void {
    const state = this.#state;
    if (this.#place.backend.readOnly) state.status |= PROGRAM_FAILED;
    else {
      if (state.block < 0) state.block = offset - offset % BUFFER_BYTES;
      for (let i = 0; i < width; i++) {
        const at = offset + i - state.block;
        if (at < 0 || at >= BUFFER_BYTES) {
          state.status |= PROGRAM_FAILED;
          continue;
        }
        state.buffer[at] = value >>> 8 * i;
        state.given[at >> 3] |= 1 << (at & 7);
      }
    }
    state.status |= READY;
    if (state.count-- === 0) {
      state.count = 0;
      state.cycle = 3;
    }
  }

  #programBuffer(): void {
    const { block, buffer, given } = this.#state;
    if (block < 0) return;
    for (let i = 0; i < BUFFER_BYTES; i++) {
      if ((given[i >> 3] >> (i & 7) & 1) !== 0) {
        this.#program(block + i, 1, buffer[i]);
      }
    }
  }

  #program(offset: number, width: AccessWidth, value: number): void {
    for (let i = 0; i < width; i++) {
      this.#change(Math.floor((offset + i) / SECTOR_BYTES));
      this.#byte[0] = value >>> 8 * i;
      this.#place.write(offset + i, this.#byte);
    }
  }

  #erase(offset: number): void {
    const state = this.#state;
    if (this.#place.backend.readOnly) state.status |= ERASE_FAILED;
    else {
      this.#change(offset / SECTOR_BYTES);
      this.#place.write(offset, new Uint8Array(SECTOR_BYTES).fill(0xff));
    }
    state.status |= READY;
  }

  #command(command: number, cycle: number): void {
    const state = this.#state;
    if (state.command === READ_ARRAY) this.#place.show(false);
    state.command = command;
    state.cycle = cycle;
  }

  /** A command has all its cycles: the status can be read. */
  #done(): void {
    this.#state.cycle = 0;
    this.#state.status |= READY;
  }

  #readArray(): void {
    const state = this.#state;
    if (state.command !== READ_ARRAY) this.#place.show(true);
    state.command = READ_ARRAY;
    state.cycle = 0;
  }

  /**
   * A sector has changed. A guest programs byte by byte, so it is given to the
   * backend once when the guest's turn ends, or before another one changes: the
   * backend gets them in the guest's order, for UEFI's variables outlive a crash
   * at any point of a sequence of writes, but not one of its ends without the
   * beginning.
   */
  #change(sector: number): void {
    if (sector === this.#changed) return;
    if (this.#changed === undefined) queueMicrotask(() => this.#keep());
    else this.#keep();
    this.#changed = sector;
  }

  #keep(): void {
    const sector = this.#changed;
    if (sector === undefined) return;
    this.#changed = undefined;
    // A host that stands still: what it does not get in order is bounded.
    if (this.#late.size > 0 || this.#writing === MAX_WRITING) {
      this.#late.add(sector);
    } else this.#give(sector);
  }

  /** Give the backend a sector as it is now. */
  #give(sector: number): void {
    const { bytes, backend } = this.#place;
    const offset = sector * SECTOR_BYTES;
    this.#writing++;
    backend.write(offset, bytes.slice(offset, offset + SECTOR_BYTES))
      .catch((error) => this.#place.failed(error))
      .finally(() => this.#given());
  }

  /** A write is done. */
  #given(): void {
    this.#needsFlush = true;
    if (--this.#writing > 0) return;
    const late = [...this.#late];
    this.#late.clear();
    for (const sector of late) this.#give(sector);
    this.#flush();
  }

  #flush(): void {
    if (this.#isFlushing || !this.#needsFlush || this.#writing > 0) return;
    this.#needsFlush = false;
    this.#isFlushing = true;
    this.#place.backend.flush()
      .catch((error) => this.#place.failed(error))
      .finally(() => {
        this.#isFlushing = false;
        this.#flush();
      });
  }
}
