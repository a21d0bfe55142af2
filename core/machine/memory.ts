/**
 * The machine's one shared memory.
 *
 * | from | what |
 * |---|---|
 * | 0 | 64 KiB that nothing uses: an offset of 0 is nobody's |
 * | 64 KiB | one area of `CPU_AREA_BYTES` for each CPU: registers, budget, TLBs |
 * | then | the translator's arena: bytecode and link cells, a part for each CPU |
 * | then | guest RAM, ROM and video memory, each aligned to a page |
 *
 * Everything is reserved when the machine is made: `initial` equals `maximum`,
 * so that views stay valid for as long as the machine lives.
 *
 * @module
 */

/** Bytes of one WebAssembly page. */
const WASM_PAGE = 65536;
/** Bytes at the bottom that stay unused. */
export const GUARD_BYTES = 65536;
/** WebAssembly's limit with 32-bit offsets. */
const MAX_BYTES = 65536 * WASM_PAGE;

/** Bytes of guest memory's page, the unit of alignment and of the softMMU. */
export const PAGE_BYTES = 4096;
/** Bytes reserved for each CPU's state and TLBs. */
export const CPU_AREA_BYTES: number = 4 * 1024 * 1024;
/** Bytes of the translator's arena unless a machine says otherwise. */
export const DEFAULT_ARENA_BYTES: number = 64 * 1024 * 1024;

/** How much to reserve. */
export interface GuestMemoryOptions {
  /** Number of CPUs; 1 when absent. */
  readonly cpus?: number;
  /** Size of the translator's arena in bytes, for all CPUs together. */
  readonly arenaBytes?: number;
  /** Bytes that will be asked of `alloc`, each rounded up to a page. */
  readonly guestBytes: number;
}

/** The memory that a machine needs cannot be had. */
export class MemoryError extends Error {
  /** The name of the error's class. */
  override readonly name = "MemoryError";
}

/** The machine's memory, its views and its allocator. */
export class GuestMemory {
  /** The memory itself, to be imported by WebAssembly modules. */
  readonly memory: WebAssembly.Memory;
  /** The whole memory as bytes. */
  readonly u8: Uint8Array;
  /** The whole memory as unsigned 16-bit words. */
  readonly u16: Uint16Array;
  /** The whole memory as signed 32-bit words. */
  readonly i32: Int32Array;
  /** The whole memory as unsigned 32-bit words. */
  readonly u32: Uint32Array;
  /** The whole memory as 32-bit floats. */
  readonly f32: Float32Array;
  /** The whole memory as 64-bit floats. */
  readonly f64: Float64Array;
  /** The whole memory as unsigned 64-bit words. */
  readonly u64: BigUint64Array;
  /** The whole memory for unaligned access. */
  readonly view: DataView;
  /** Offset of the translator's arena. */
  readonly arenaOffset: number;
  /** Size of the translator's arena. */
  readonly arenaBytes: number;
  /** Size of the whole memory. */
  readonly bytes: number;
  readonly #cpus: number;
  #next: number;

  /** Reserve a memory; throws a `MemoryError` when it cannot be had. */
  constructor(options: GuestMemoryOptions) {
    this.#cpus = options.cpus ?? 1;
    this.arenaOffset = GUARD_BYTES + this.#cpus * CPU_AREA_BYTES;
    this.arenaBytes = roundUp(
      options.arenaBytes ?? DEFAULT_ARENA_BYTES,
      WASM_PAGE,
    );
    this.#next = this.arenaOffset + this.arenaBytes;
    const wanted = this.#next + roundUp(options.guestBytes, PAGE_BYTES);
    const pages = Math.ceil(wanted / WASM_PAGE);
    this.bytes = pages * WASM_PAGE;
    if (this.bytes > MAX_BYTES) {
      throw new MemoryError(
        `Cannot reserve ${mib(this.bytes)} MiB for the machine: the limit is ` +
          `${mib(MAX_BYTES)} MiB, what one WebAssembly memory holds, ` +
          `${Math.floor((MAX_BYTES - this.#next) / 2 ** 20)} MiB of it for ` +
          `the guest's RAM, ROM and video memory`,
      );
    }
    try {
      this.memory = new WebAssembly.Memory({
        initial: pages,
        maximum: pages,
        shared: true,
      });
    } catch (cause) {
      throw new MemoryError(
        `Cannot reserve ${mib(this.bytes)} MiB for the machine`,
        { cause },
      );
    }
    const buffer = this.memory.buffer;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.view = new DataView(buffer);
  }

  /** Where guest RAM, ROM and video memory start. */
  get guestStart(): number {
    return this.arenaOffset + this.arenaBytes;
  }

  /** Where what has been taken of them ends. */
  get guestEnd(): number {
    return this.#next;
  }

  /** Offset of the area of CPU number `index`. */
  cpuArea(index: number): number {
    if (index < 0 || index >= this.#cpus) {
      throw new RangeError(`there is no CPU ${index}`);
    }
    return GUARD_BYTES + index * CPU_AREA_BYTES;
  }

  /** Offset of the part of the arena that CPU number `index` has. */
  cpuArena(index: number): number {
    return this.arenaOffset + index * this.cpuArenaBytes;
  }

  /** Bytes of each CPU's part of the arena. */
  get cpuArenaBytes(): number {
    const bytes = this.arenaBytes / this.#cpus;
    return bytes - bytes % WASM_PAGE;
  }

  /** Take `bytes` for guest RAM, ROM or video memory: its offset. */
  alloc(bytes: number, align: number = PAGE_BYTES): number {
    const offset = roundUp(this.#next, align);
    if (offset + bytes > this.bytes) {
      throw new RangeError(
        `the machine reserved ${this.bytes} bytes, too few for ${bytes} more`,
      );
    }
    this.#next = offset + roundUp(bytes, PAGE_BYTES);
    return offset;
  }
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function mib(bytes: number): number {
  return Math.ceil(bytes / (1024 * 1024));
}
