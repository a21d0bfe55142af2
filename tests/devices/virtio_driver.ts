/**
 * The driver's side of a split virtqueue, for tests: it lays out the rings in
 * a guest memory, and breaks the rules when it is told to.
 *
 * @module
 */

import type { DmaPort } from "../../core/machine/plugin.ts";

/** Flags of a descriptor. */
export const NEXT = 1;
export const WRITE = 2;
export const INDIRECT = 4;

/** RAM, and nothing beyond it: what is out of its reach is counted. */
export class GuestRam implements DmaPort {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Accesses that are not in RAM. */
  outside = 0;
  /** All accesses. */
  count = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  #isInside(address: number, length: number): boolean {
    this.count++;
    if (!(address >= 0 && address + length <= 2 ** 52)) {
      throw new RangeError(`${address}+${length} is no physical address`);
    }
    if (address + length <= this.bytes.length) return true;
    this.outside++;
    return false;
  }

  read(address: number, into: Uint8Array): void {
    if (!this.#isInside(address, into.length)) into.fill(0xff);
    else into.set(this.bytes.subarray(address, address + into.length));
  }

  write(address: number, bytes: Uint8Array): void {
    if (this.#isInside(address, bytes.length)) this.bytes.set(bytes, address);
  }
}

/** A descriptor. */
export interface Descriptor {
  readonly address: number;
  readonly length: number;
  readonly flags?: number;
  readonly next?: number;
}

/** A used element. */
export interface Used {
  readonly id: number;
  readonly length: number;
}

/** Where the parts of a queue are. */
export interface QueuePlace {
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
}

/** A queue as its driver has it. */
export class DriverQueue {
  readonly size: number;
  readonly place: QueuePlace;
  /** The available index. */
  available = 0;
  /** The used index up to which `take` has looked. */
  used = 0;
  readonly #view: DataView;
  #free: number;

  /** A queue of zeroes whose parts begin at `base`. */
  constructor(
    bytes: Uint8Array,
    size: number,
    base: number,
    place: QueuePlace = {
      desc: base,
      driver: base + 16 * size,
      // Aligned as the legacy interface has it.
      device: Math.ceil((base + 18 * size + 6) / 4096) * 4096,
    },
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.size = size;
    this.place = place;
    this.#free = 0;
  }

  /** Write a descriptor into a table. */
  describe(
    index: number,
    { address, length, flags = 0, next = 0 }: Descriptor,
    table = this.place.desc,
  ): void {
    const at = table + 16 * index;
    this.#view.setBigUint64(at, BigInt(address), true);
    this.#view.setUint32(at + 8, length, true);
    this.#view.setUint16(at + 12, flags, true);
    this.#view.setUint16(at + 14, next, true);
  }

  /** Link descriptors from the next free index on; gives back the first. */
  chain(descriptors: readonly Descriptor[]): number {
    const head = this.#free;
    descriptors.forEach((descriptor, i) => {
      const next = (this.#free + 1) % this.size;
      const isLast = i === descriptors.length - 1;
      const flags = (descriptor.flags ?? 0) | (isLast ? 0 : NEXT);
      this.describe(this.#free, { ...descriptor, flags, next });
      this.#free = next;
    });
    return head;
  }

  /** The same in a table of its own, at `table`. */
  indirect(descriptors: readonly Descriptor[], table: number): number {
    descriptors.forEach((descriptor, i) => {
      const isLast = i === descriptors.length - 1;
      const flags = (descriptor.flags ?? 0) | (isLast ? 0 : NEXT);
      this.describe(i, { ...descriptor, flags, next: i + 1 }, table);
    });
    const length = 16 * descriptors.length;
    return this.chain([{ address: table, length, flags: INDIRECT }]);
  }

  /** Put heads into the available ring, and then show them. */
  offer(...heads: number[]): void {
    for (const head of heads) {
      const slot = this.available % this.size;
      this.#view.setUint16(this.place.driver + 4 + 2 * slot, head, true);
      this.available = (this.available + 1) & 0xffff;
    }
    this.showAvailable(this.available);
  }

  /** Write the available index. */
  showAvailable(index: number): void {
    this.#view.setUint16(this.place.driver + 2, index, true);
  }

  /** Write the flags of the available ring. */
  setFlags(flags: number): void {
    this.#view.setUint16(this.place.driver, flags, true);
  }

  /** Write used_event. */
  setUsedEvent(index: number): void {
    this.#view.setUint16(this.place.driver + 4 + 2 * this.size, index, true);
  }

  /** avail_event. */
  get availableEvent(): number {
    return this.#view.getUint16(this.place.device + 4 + 8 * this.size, true);
  }

  /** The used index. */
  get usedIndex(): number {
    return this.#view.getUint16(this.place.device + 2, true);
  }

  /** What has been used since the last call. */
  take(): Used[] {
    const taken: Used[] = [];
    while (this.used !== this.usedIndex) {
      const at = this.place.device + 4 + 8 * (this.used % this.size);
      taken.push({
        id: this.#view.getUint32(at, true),
        length: this.#view.getUint32(at + 4, true),
      });
      this.used = (this.used + 1) & 0xffff;
    }
    return taken;
  }
}
