/**
 * Accesses by physical address, for what no TLB entry serves: devices, parts of
 * an access across two pages, the page tables themselves.
 *
 * @module
 */

import type { PageRun } from "../bus/address_space.ts";

const PAGE = 4096;

/** What the MMU needs of the physical address space. */
export interface PhysicalSpace {
  /** What the 4 KiB page with this number is. */
  lookupPage(
    page: number,
  ): {
    kind: "ram" | "rom" | "io" | "none";
    hostOffset: number;
    writable: boolean;
  };
  /** The runs of pages that are RAM. */
  ramRuns(): readonly PageRun[];
  /** Reads `width` (1, 2, 4) bytes, unsigned. */
  read(address: number, width: 1 | 2 | 4): number;
  /** Writes `width` bytes. */
  write(address: number, width: 1 | 2 | 4, value: number): void;
}

/** Moves bytes between host offsets of one memory and physical addresses. */
export class PhysicalAccess {
  readonly #space: PhysicalSpace;
  readonly #u8: Uint8Array;
  readonly #i32: Int32Array;
  readonly #view: DataView;
  /**
   * The run of RAM in which the last address lay that was asked for, and its
   * distance from host offsets. Without it each word of a page table asks what
   * its page is: [measured] page faults 1.05 of the time.
   */
  #start = 0;
  #end = 0;
  #delta = 0;

  /** Accesses `space`, whose RAM and ROM lie in `memory`. */
  constructor(space: PhysicalSpace, memory: ArrayBufferLike) {
    this.#space = space;
    this.#u8 = new Uint8Array(memory);
    this.#i32 = new Int32Array(memory);
    this.#view = new DataView(memory);
  }

  /** Physical addresses mean something else. */
  forget(): void {
    this.#start = this.#end = 0;
  }

  /** Host offset of a byte of RAM; -1 if there is none at the address. */
  ramOf(physical: number): number {
    return physical >= this.#start && physical < this.#end
      ? physical + this.#delta
      : this.#findRam(physical);
  }

  #findRam(physical: number): number {
    const page = Math.floor(physical / PAGE);
    const { kind, hostOffset } = this.#space.lookupPage(page);
    if (kind !== "ram") return -1;
    const run = this.#space.ramRuns().find((r) =>
      page >= r.page && page < r.page + r.pages
    );
    if (run !== undefined) {
      this.#start = run.page * PAGE;
      this.#end = this.#start + run.pages * PAGE;
      this.#delta = hostOffset - page * PAGE;
    }
    return hostOffset + physical % PAGE;
  }

  /**
   * Reads `n` bytes, none of them across a page: of the memory page at `host`,
   * or byte by byte of a device if that is -1.
   */
  readBytes(host: number, physical: number, to: number, n: number): void {
    if (host >= 0) {
      const from = host + (physical % PAGE);
      for (let i = 0; i < n; i++) this.#u8[to + i] = this.#u8[from + i];
    } else {
      for (let i = 0; i < n; i++) {
        this.#u8[to + i] = this.#space.read(physical + i, 1);
      }
    }
  }

  /** Writes `n` bytes, none of them across a page. ROM stays what it is. */
  writeBytes(physical: number, from: number, n: number): void {
    const to = this.ramOf(physical);
    if (to >= 0) {
      for (let i = 0; i < n; i++) this.#u8[to + i] = this.#u8[from + i];
    } else {
      for (let i = 0; i < n; i++) {
        this.#space.write(physical + i, 1, this.#u8[from + i]);
      }
    }
  }

  /** Reads `width` bytes (1, 2 or a multiple of 4) of a device. */
  readIo(physical: number, to: number, width: number): void {
    const space = this.#space;
    switch (width) {
      case 1:
        this.#u8[to] = space.read(physical, 1);
        return;
      case 2:
        this.#view.setUint16(to, space.read(physical, 2), true);
        return;
      default:
        for (let i = 0; i < width; i += 4) {
          this.#view.setInt32(to + i, space.read(physical + i, 4), true);
        }
    }
  }

  /** Writes `width` bytes (1, 2 or a multiple of 4) to a device. */
  writeIo(physical: number, from: number, width: number): void {
    const space = this.#space;
    switch (width) {
      case 1:
        space.write(physical, 1, this.#u8[from]);
        return;
      case 2:
        space.write(physical, 2, this.#view.getUint16(from, true));
        return;
      default:
        for (let i = 0; i < width; i += 4) {
          space.write(physical + i, 4, this.#view.getUint32(from + i, true));
        }
    }
  }

  /** Reads an aligned word, signed. */
  read32(physical: number): number {
    const at = this.ramOf(physical);
    if (at >= 0) return this.#i32[at >>> 2];
    const host = this.hostOf(physical);
    return host >= 0
      ? this.#i32[(host + (physical % PAGE)) >>> 2]
      : this.#space.read(physical, 4) | 0;
  }

  /** Writes an aligned word. ROM stays what it is. */
  write32(physical: number, value: number): void {
    const at = this.ramOf(physical);
    if (at >= 0) {
      this.#i32[at >>> 2] = value;
    } else {
      this.#space.write(physical, 4, value >>> 0);
    }
  }

  /** One byte as the bus gives it. */
  read8(physical: number): number {
    return this.#space.read(physical, 1);
  }

  /** Host offset of the page of a physical address that is memory, or -1. */
  hostOf(physical: number): number {
    const mapping = this.#space.lookupPage(Math.floor(physical / PAGE));
    return mapping.kind === "ram" || mapping.kind === "rom"
      ? mapping.hostOffset
      : -1;
  }
}
