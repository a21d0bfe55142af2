/**
 * Address spaces: what lies at each physical address or port.
 *
 * A space is a set of regions. They may overlap only when their priorities
 * differ: then the higher one shadows the lower. From the regions the space
 * derives a sorted list of *ranges* that do not overlap, and answers accesses
 * from it; a small space (ports) also has a table with one entry an address,
 * so that dispatch is one load. Regions come, go and move at run time; each
 * change counts up `generation` and tells the listeners (the softMMU).
 *
 * @module
 */

import type { AccessWidth, IoHandler } from "./handler.ts";
import {
  type AccessObserver,
  type Beneath,
  exactly,
  observed,
  writeOnly,
  writesFrom,
} from "./overlay.ts";
import {
  ALL_WIDTHS,
  IO,
  NO_HANDLER,
  onesOf,
  RAM,
  type Range,
  readSplit,
  ROM,
  widthMask,
  writeSplit,
} from "./range.ts";

/** The memory behind `ram` and `rom` regions. */
export interface BackingMemory {
  /** The bytes. */
  readonly u8: Uint8Array;
  /** The same bytes for wide access. */
  readonly view: DataView;
}

/** A region to be added to a space. */
export interface RegionOptions {
  /** Its name, for messages. */
  readonly name: string;
  /** Its first address. */
  readonly base: number;
  /** Its size in bytes. */
  readonly size: number;
  /**
   * `ram` and `rom` are memory; writes to `rom` go to its handler, if it has
   * one (the commands of a flash chip), and are ignored else. `shadow` is
   * memory that takes writes alone: reads go to what lies beneath.
   */
  readonly kind: "ram" | "rom" | "shadow" | "io";
  /** Where a memory region starts in the backing memory. */
  readonly hostOffset?: number;
  /** Who answers an `io` region, or takes the writes to a `rom` region. */
  readonly handler?: IoHandler;
  /**
   * What the handler sees as the offset of the region's first byte; 0 when
   * absent. An alias is a second region with the same handler or memory.
   */
  readonly offset?: number;
  /** Shadows overlapping regions of a lower priority; 0 when absent. */
  readonly priority?: number;
  /**
   * An `io` region answers accesses of just this width, aligned; all others go
   * to what lies beneath.
   */
  readonly width?: AccessWidth;
}

/** A region of a space. */
export interface Region extends RegionOptions {
  /** Its first address now. */
  readonly base: number;
}

/** What a page is, for the softMMU. */
export interface PageMapping {
  /** `io` also stands for a page that is not all of one region. */
  readonly kind: "ram" | "rom" | "io" | "none";
  /** Offset of the page's first byte in the backing memory, for ram and rom. */
  readonly hostOffset: number;
  /** Whether stores may go straight to the backing memory. */
  readonly writable: boolean;
}

/** Pages one after another. */
export interface PageRun {
  /** Number of the first one: address / 4096. */
  readonly page: number;
  /** How many. */
  readonly pages: number;
}

/**
 * Counters of accesses that nothing answered. A CPU does not come here for each
 * read of a page on which nothing is at all.
 */
export interface UnassignedCount {
  /** Reads: they gave all ones. */
  readonly reads: number;
  /** Writes: they were ignored. */
  readonly writes: number;
}

/** Two regions overlap, or one does not fit; the message names them. */
export class RegionError extends Error {
  /** The name of the error's class. */
  override readonly name = "RegionError";
  /** The regions concerned, by name. */
  readonly regions: readonly string[];

  /** An error that concerns these regions. */
  constructor(message: string, regions: readonly string[]) {
    super(message);
    this.regions = regions;
  }
}

/** Spaces up to this size get a table with an entry for each address. */
const TABLE_LIMIT = 65536;
const PAGE = 4096;
/** So few bytes (a descriptor, an index) are copied one by one: a view costs more. */
const VIEW_BYTES = 32;

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** `0x20-0x21`, for messages. */
function span(region: { base: number; size: number }): string {
  return `${hex(region.base)}-${hex(region.base + region.size - 1)}`;
}

/** An address space. */
export class AddressSpace {
  /** Its name, for messages. */
  readonly name: string;
  /** One more than its last address. */
  readonly size: number;
  readonly #memory: BackingMemory | undefined;
  readonly #regions: Region[] = [];
  readonly #listeners: (() => void)[] = [];
  /** In ascending order; as of the last look at them when they are stale. */
  #known: Range[] = [];
  /** Whether the regions have changed since: many do before anybody looks. */
  #isStale = false;
  #table: Uint16Array | undefined;
  #generation = 0;
  #last: Range | undefined;
  #unassignedReads = 0;
  #unassignedWrites = 0;
  #observer: AccessObserver | undefined;

  /** An empty space of `size` addresses over the given memory. */
  constructor(name: string, size: number, memory?: BackingMemory) {
    this.name = name;
    this.size = size;
    this.#memory = memory;
    if (size <= TABLE_LIMIT) this.#table = new Uint16Array(size);
  }

  /** Counts the changes of the regions. */
  get generation(): number {
    return this.#generation;
  }

  /** The regions, in ascending order of their first address. */
  get regions(): readonly Region[] {
    return [...this.#regions].sort((a, b) => a.base - b.base);
  }

  /** How many accesses nothing answered. */
  get unassigned(): UnassignedCount {
    return { reads: this.#unassignedReads, writes: this.#unassignedWrites };
  }

  /** Call `listener` after every change of the regions. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Add a region; throws a `RegionError` when it is empty, does not fit, or
   * overlaps another of the same priority.
   */
  add(options: RegionOptions): Region {
    const region = { ...options };
    this.#check(region);
    this.#regions.push(region);
    this.#update();
    return region;
  }

  /** Remove a region that `add` or `move` gave back. */
  remove(region: Region): void {
    const index = this.#regions.indexOf(region);
    if (index < 0) {
      throw new RangeError(`region "${region.name}" is not in ${this.name}`);
    }
    this.#regions.splice(index, 1);
    this.#update();
  }

  /**
   * Move a region to a new base, or change its kind or size: gives back the
   * region as it is now.
   */
  move(
    region: Region,
    base: number,
    { kind, size }: Pick<RegionOptions, "kind" | "size"> = region,
  ): Region {
    const index = this.#regions.indexOf(region);
    if (index < 0) {
      throw new RangeError(`region "${region.name}" is not in ${this.name}`);
    }
    const moved = { ...region, base, kind, size };
    this.#regions.splice(index, 1);
    try {
      this.#check(moved);
    } catch (error) {
      this.#regions.splice(index, 0, region);
      throw error;
    }
    this.#regions.splice(index, 0, moved);
    this.#update();
    return moved;
  }

  #check(region: Region): void {
    const { name, base, size } = region;
    if (!(size > 0)) {
      throw new RegionError(`region "${name}" is empty`, [name]);
    }
    if (!(base >= 0) || base + size > this.size) {
      throw new RegionError(
        `region "${name}" (${span(region)}) does not fit in the ` +
          `${this.name} space (0x0-${hex(this.size - 1)})`,
        [name],
      );
    }
    for (const other of this.#regions) {
      if ((other.priority ?? 0) !== (region.priority ?? 0)) continue;
      if (base < other.base + other.size && other.base < base + size) {
        throw new RegionError(
          `region "${name}" (${span(region)}) overlaps ` +
            `region "${other.name}" (${span(other)})`,
          [name, other.name],
        );
      }
    }
  }

  /** The ranges are to be derived anew; tells the listeners. */
  #update(): void {
    this.#isStale = true;
    this.#generation++;
    for (const listener of this.#listeners) listener();
  }

  /** Tell somebody of each access that a device answers; nobody when it is undefined. */
  observe(observer: AccessObserver | undefined): void {
    this.#observer = observer;
    this.#isStale = true;
  }

  /** What the regions come to. */
  get #ranges(): Range[] {
    if (this.#isStale) this.#derive();
    return this.#known;
  }

  #derive(): void {
    this.#isStale = false;
    // Paint from the lowest priority up: a later one cuts what it covers.
    let ranges: Range[] = [];
    const order = [...this.#regions].sort((a, b) =>
      (a.priority ?? 0) - (b.priority ?? 0)
    );
    for (const region of order) {
      const start = region.base;
      const end = start + region.size;
      const next: Range[] = [];
      for (const range of ranges) {
        if (range.end <= start || range.start >= end) {
          next.push(range);
          continue;
        }
        if (range.start < start) next.push({ ...range, end: start });
        if (range.end > end) next.push({ ...range, start: end });
      }
      const shadow = region.kind === "shadow";
      const io = region.kind === "io" || shadow;
      const host = region.kind === "io" ? 0 : region.hostOffset ?? 0;
      let delta = (region.offset ?? 0) + host - start;
      const own = this.#handlerOf(region);
      let handler = own ?? NO_HANDLER;
      if (shadow || region.width !== undefined) {
        const beneath = this.#beneath(
          ranges.filter((r) => r.end > start && r.start < end),
        );
        handler = shadow
          ? writeOnly(this.#memory!.u8, delta, beneath)
          : exactly(region.width!, handler, delta, beneath);
        delta = 0;
      } else if (region.kind === "rom" && own !== undefined) {
        handler = writesFrom(region.hostOffset ?? 0, own);
      }
      next.push({
        start,
        end,
        kind: io ? IO : region.kind === "rom" ? ROM : RAM,
        delta,
        handler,
        widths: io || handler !== NO_HANDLER ? widthMask(handler) : ALL_WIDTHS,
      });
      ranges = next;
    }
    ranges.sort((a, b) => a.start - b.start);
    this.#known = ranges;
    this.#last = undefined;
    const table = this.#table;
    if (table !== undefined) {
      table.fill(0);
      ranges.forEach((range, i) => table.fill(i + 1, range.start, range.end));
    }
  }

  /** Who answers a region, or takes its writes. */
  #handlerOf(
    { name, base, handler, offset = 0 }: Region,
  ): IoHandler | undefined {
    const observer = this.#observer;
    return observer === undefined || handler === undefined
      ? handler
      : observed(handler, name, base - offset, observer);
  }

  /** What ranges answer that another region covers, byte by byte. */
  #beneath(covered: readonly Range[]): Beneath {
    const find = (address: number): Range | undefined =>
      covered.find((r) => address >= r.start && address < r.end);
    return {
      read: (address) => {
        const range = find(address);
        if (range === undefined) return this.#readAcross(range, address, 1);
        const offset = address + range.delta;
        return range.kind === IO
          ? readSplit(range, offset, 1)
          : this.#memory!.u8[offset];
      },
      write: (address, value) => {
        const range = find(address);
        if (range === undefined) {
          return this.#writeAcross(range, address, 1, value);
        }
        const offset = address + range.delta;
        if (range.kind === IO) writeSplit(range, offset, 1, value);
        else if (range.kind === RAM) this.#memory!.u8[offset] = value;
      },
    };
  }

  #find(address: number): Range | undefined {
    if (this.#isStale) this.#derive();
    const table = this.#table;
    if (table !== undefined) {
      const index = address < this.size ? table[address] : 0;
      return index === 0 ? undefined : this.#known[index - 1];
    }
    const last = this.#last;
    if (last !== undefined && address >= last.start && address < last.end) {
      return last;
    }
    const ranges = this.#known;
    let low = 0;
    let high = ranges.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const range = ranges[middle];
      if (address < range.start) high = middle - 1;
      else if (address >= range.end) low = middle + 1;
      else return this.#last = range;
    }
    return undefined;
  }

  /** Read `width` bytes at any address: an unsigned number. */
  read(address: number, width: AccessWidth): number {
    const range = this.#find(address);
    if (range === undefined || address + width > range.end) {
      return this.#readAcross(range, address, width);
    }
    const offset = address + range.delta;
    if (range.kind === IO) {
      if ((range.widths >> width & 1) !== 0 && (offset & (width - 1)) === 0) {
        const value = range.handler.read(offset, width);
        return width === 4
          ? value >>> 0
          : value & (width === 1 ? 0xff : 0xffff);
      }
      return readSplit(range, offset, width);
    }
    const memory = this.#memory!;
    switch (width) {
      case 1:
        return memory.u8[offset];
      case 2:
        return memory.view.getUint16(offset, true);
      default:
        return memory.view.getUint32(offset, true);
    }
  }

  /** Write the low `width` bytes of `value` at any address. */
  write(address: number, width: AccessWidth, value: number): void {
    const range = this.#find(address);
    if (range === undefined || address + width > range.end) {
      return this.#writeAcross(range, address, width, value);
    }
    const offset = address + range.delta;
    if (range.kind === IO) {
      if ((range.widths >> width & 1) !== 0 && (offset & (width - 1)) === 0) {
        const masked = width === 4
          ? value >>> 0
          : value & (width === 1 ? 0xff : 0xffff);
        return range.handler.write(offset, width, masked);
      }
      return writeSplit(range, offset, width, value);
    }
    if (range.kind === ROM) {
      if (range.handler !== NO_HANDLER) {
        writeSplit(range, address + range.delta, width, value);
      }
      return;
    }
    const memory = this.#memory!;
    switch (width) {
      case 1:
        memory.u8[offset] = value;
        return;
      case 2:
        memory.view.setUint16(offset, value, true);
        return;
      default:
        memory.view.setUint32(offset, value, true);
    }
  }

  /** A read that nothing answers, or that leaves its range. */
  #readAcross(
    range: Range | undefined,
    address: number,
    width: AccessWidth,
  ): number {
    if (width === 1) {
      this.#unassignedReads++;
      return 0xff;
    }
    if (range === undefined) {
      // Count one access, not its bytes, when all of it is unassigned.
      let assigned = false;
      for (let i = 1; i < width; i++) {
        if (this.#find(address + i) !== undefined) assigned = true;
      }
      if (!assigned) {
        this.#unassignedReads++;
        return onesOf(width);
      }
    }
    let value = 0;
    for (let i = 0; i < width; i++) {
      value += this.read(address + i, 1) * 2 ** (8 * i);
    }
    return value;
  }

  #writeAcross(
    range: Range | undefined,
    address: number,
    width: AccessWidth,
    value: number,
  ): void {
    if (width === 1) {
      this.#unassignedWrites++;
      return;
    }
    if (range === undefined) {
      let assigned = false;
      for (let i = 1; i < width; i++) {
        if (this.#find(address + i) !== undefined) assigned = true;
      }
      if (!assigned) {
        this.#unassignedWrites++;
        return;
      }
    }
    for (let i = 0; i < width; i++) {
      this.write(address + i, 1, value >>> (8 * i) & 0xff);
    }
  }

  /** What the page with this number (address / 4096) is. */
  lookupPage(page: number): PageMapping {
    const start = page * PAGE;
    const range = this.#find(start);
    if (range !== undefined && start + PAGE <= range.end) {
      if (range.kind === IO) {
        return { kind: "io", hostOffset: 0, writable: false };
      }
      return {
        kind: range.kind === ROM ? "rom" : "ram",
        hostOffset: start + range.delta,
        writable: range.kind === RAM,
      };
    }
    const some = range !== undefined ||
      this.#ranges.some((r) => r.start < start + PAGE && r.end > start);
    return { kind: some ? "io" : "none", hostOffset: 0, writable: false };
  }

  /** The runs of pages that are RAM, by increasing page number. */
  ramRuns(): PageRun[] {
    return this.#ranges.filter((r) => r.kind === RAM).map((r) => {
      const page = Math.ceil(r.start / PAGE);
      return { page, pages: Math.floor(r.end / PAGE) - page };
    }).filter((r) => r.pages > 0);
  }

  /** Bytes from an address that nothing answers to the next that something does. */
  #gap(address: number): number {
    const next = this.#ranges.find((range) => range.start > address);
    return next === undefined ? Infinity : next.start - address;
  }

  /** Fill `into` from `address` on; devices are read by bytes. */
  readBytes(address: number, into: Uint8Array): void {
    let done = 0;
    while (done < into.length) {
      const at = address + done;
      const range = this.#find(at);
      if (range === undefined) {
        const length = Math.min(into.length - done, this.#gap(at));
        into.fill(0xff, done, done += length);
        this.#unassignedReads++;
        continue;
      }
      if (range.kind === IO) {
        into[done++] = this.read(at, 1);
        continue;
      }
      const length = Math.min(into.length - done, range.end - at);
      const offset = at + range.delta;
      const { u8 } = this.#memory!;
      if (length > VIEW_BYTES) {
        into.set(u8.subarray(offset, offset + length), done);
      } else for (let i = 0; i < length; i++) into[done + i] = u8[offset + i];
      done += length;
    }
  }

  /**
   * Read RAM and ROM from `address` on, and nothing that a device answers: for
   * who looks without being seen. Gives back how many bytes from the first
   * there are.
   */
  peek(address: number, into: Uint8Array): number {
    let done = 0;
    while (done < into.length) {
      const at = address + done;
      const range = this.#find(at);
      if (range === undefined || range.kind === IO) break;
      const length = Math.min(into.length - done, range.end - at);
      const offset = at + range.delta;
      into.set(this.#memory!.u8.subarray(offset, offset + length), done);
      done += length;
    }
    return done;
  }

  /**
   * Write bytes from `address` on, to devices in aligned words of 32 bits
   * where they fill one (a message-signalled interrupt is such a word). It
   * does not tell the CPUs: use a `DmaPort` for that.
   */
  writeBytes(address: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      const at = address + done;
      const range = this.#find(at);
      if (range === undefined) {
        done += Math.min(bytes.length - done, this.#gap(at));
        this.#unassignedWrites++;
        continue;
      }
      if (range.kind === IO) {
        if (at % 4 === 0 && bytes.length - done >= 4) {
          const word = bytes[done] | bytes[done + 1] << 8 |
            bytes[done + 2] << 16 | bytes[done + 3] << 24;
          this.write(at, 4, word >>> 0);
          done += 4;
        } else {
          this.write(at, 1, bytes[done++]);
        }
        continue;
      }
      const length = Math.min(bytes.length - done, range.end - at);
      if (range.kind === RAM) {
        const isWhole = length === bytes.length;
        const part = isWhole ? bytes : bytes.subarray(done, done + length);
        this.#memory!.u8.set(part, at + range.delta);
      }
      done += length;
    }
  }

  /**
   * Write RAM from `address` on, and nothing else; gives back how many bytes
   * from the first there are. It does not tell the CPUs either.
   */
  poke(address: number, bytes: Uint8Array): number {
    let done = 0;
    while (done < bytes.length) {
      const at = address + done;
      const range = this.#find(at);
      if (range === undefined || range.kind !== RAM) break;
      const length = Math.min(bytes.length - done, range.end - at);
      const part = bytes.subarray(done, done + length);
      this.#memory!.u8.set(part, at + range.delta);
      done += length;
    }
    return done;
  }
}
