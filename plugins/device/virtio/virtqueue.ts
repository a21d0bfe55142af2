/**
 * The device's side of a split virtqueue: VIRTIO 1.2, 2.7. Chains of
 * descriptors are taken from the available ring and given back in the used
 * ring, in any order.
 *
 * All that the driver writes is taken as hostile. Each walk has a bound, and
 * what no driver may do ends in a `VirtqueueError`, upon which the device wants
 * a reset: an index that jumps by more than the queue's size, a descriptor
 * beyond its table, a chain that loops, a table in a table, an address of more
 * than 52 bits, what is read behind what is written. A descriptor of length
 * zero is nothing, which is allowed.
 *
 * @module
 */

import type { DmaPort } from "../../../core/machine/plugin.ts";

/** Descriptor flags (2.7.5). */
const DESC_F_NEXT = 1;
const DESC_F_WRITE = 2;
const DESC_F_INDIRECT = 4;
/** Available ring flag (2.7.6): no interrupts, please. */
const AVAIL_F_NO_INTERRUPT = 1;
/** Bytes of a descriptor, and of an entry of the used ring. */
const DESC_BYTES = 16;
const USED_BYTES = 8;
/** Both rings begin with flags and index. */
const RING = 4;
/** The end of physical addresses, which a number holds exactly. */
const ADDRESS_END = 2 ** 52;
/** The end of the upper word of one. */
const HIGH_END = 2 ** 20;
/** No ring is longer: 32768 descriptors. */
const RING_BYTES = 2 ** 19;
/** The most bytes of a chain (2.7.5). */
const CHAIN_BYTES = 2 ** 32;
/** The legacy interface aligns the used ring so (2.7.2). */
export const LEGACY_ALIGN = 4096;

/** The three parts of a queue (2.7), each with an address. */
export type QueueArea = "desc" | "driver" | "device";

/** The state of a queue: part of its device's. */
export interface QueueState {
  /** Its size, a power of two. */
  size: number;
  /** Whether the driver has enabled it. */
  ready: boolean;
  /** The address of the descriptor table: its low and its high word. */
  desc: [number, number];
  /** The address of the available ring. */
  driver: [number, number];
  /** The address of the used ring. */
  device: [number, number];
  /** The MSI-X vector, FFFFh for none. */
  vector: number;
  /** The available index up to which chains were taken. */
  next: number;
  /** The used index up to which chains were given back. */
  used: number;
  /** The used index that the driver can see. */
  published: number;
  /** The heads of the chains that the device has. */
  inFlight: number[];
}

/** No MSI-X vector (4.1.5.1.2). */
export const NO_VECTOR = 0xffff;

/** The driver breaks the rules of the queue. */
export class VirtqueueError extends Error {
  /** The name of the error's class. */
  override readonly name = "VirtqueueError";
}

/** A queue after reset, of the greatest size. */
export function freshQueue(maxSize: number): QueueState {
  return {
    size: maxSize,
    ready: false,
    desc: [0, 0],
    driver: [0, 0],
    device: [0, 0],
    vector: NO_VECTOR,
    next: 0,
    used: 0,
    published: 0,
    inFlight: [],
  };
}

/**
 * A buffer of the driver's: bytes for the device to read, then bytes for it to
 * write, each scattered over guest memory. It belongs to the device from
 * `Virtqueue.pop` to `Virtqueue.push`.
 */
export class DescriptorChain {
  /** The index of its first descriptor. */
  head = 0;
  /** How many bytes there are to read. */
  readable = 0;
  /** How many bytes there are to write. */
  writable = 0;
  readonly #memory: DmaPort;
  readonly #addresses: number[] = [];
  readonly #lengths: number[] = [];
  #count = 0;
  /** The segments before are to be read, the others to be written. */
  #split = 0;

  /** A chain of no bytes. */
  constructor(memory: DmaPort) {
    this.#memory = memory;
  }

  /** Make it a chain of no bytes. */
  clear(head: number): void {
    this.head = head;
    this.readable = this.writable = 0;
    this.#count = this.#split = 0;
  }

  /** Append a segment. */
  append(address: number, length: number, write: boolean): void {
    if (address + length > ADDRESS_END) {
      throw new VirtqueueError("a descriptor with a wild address");
    }
    if (write) this.writable += length;
    else if (this.writable > 0 || this.#split < this.#count) {
      throw new VirtqueueError("a readable descriptor behind a writable one");
    } else {
      this.readable += length;
      this.#split++;
    }
    if (this.readable + this.writable > CHAIN_BYTES) {
      throw new VirtqueueError("a chain of more than 4 GiB");
    }
    this.#addresses[this.#count] = address;
    this.#lengths[this.#count++] = length;
  }

  /**
   * Fill `into` with what is to be read from byte `offset` on. Gives back how
   * many bytes there were.
   */
  read(offset: number, into: Uint8Array): number {
    return this.#move(0, this.#split, offset, into, false);
  }

  /**
   * Write bytes from byte `offset` of what is to be written on. Gives back how
   * many had room.
   */
  write(offset: number, bytes: Uint8Array): number {
    return this.#move(this.#split, this.#count, offset, bytes, true);
  }

  #move(
    from: number,
    to: number,
    offset: number,
    bytes: Uint8Array,
    write: boolean,
  ): number {
    let skip = offset;
    let done = 0;
    for (let i = from; i < to && done < bytes.length; i++) {
      const length = this.#lengths[i];
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const n = Math.min(length - skip, bytes.length - done);
      const part = n === bytes.length ? bytes : bytes.subarray(done, done + n);
      const address = this.#addresses[i] + skip;
      if (write) this.#memory.write(address, part);
      else this.#memory.read(address, part);
      done += n;
      skip = 0;
    }
    return done;
  }
}

/** What the driver has accepted, as far as it concerns queues. */
export interface QueueFeatures {
  /** VIRTIO_F_INDIRECT_DESC. */
  readonly indirect: boolean;
  /** VIRTIO_F_EVENT_IDX. */
  readonly eventIndex: boolean;
}

/** A queue. */
export class Virtqueue {
  /** The greatest size that the driver may choose. */
  readonly maxSize: number;
  #state: QueueState;
  readonly #memory: DmaPort;
  readonly #features: QueueFeatures;
  readonly #spare: DescriptorChain[] = [];
  readonly #bytes = new Uint8Array(DESC_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #word = new Uint8Array(2);
  readonly #entry = new Uint8Array(USED_BYTES);
  readonly #entryView = new DataView(this.#entry.buffer);
  #desc = 0;
  #driver = 0;
  #device = 0;
  #isWild = false;

  /** A queue as after reset; `features` is looked at when it matters. */
  constructor(maxSize: number, memory: DmaPort, features: QueueFeatures) {
    this.maxSize = maxSize;
    this.#memory = memory;
    this.#features = features;
    this.#state = freshQueue(maxSize);
  }

  /** The state; the addresses and the size are changed by methods. */
  get state(): QueueState {
    return this.#state;
  }

  /** Go on from this state. */
  adopt(state: QueueState): void {
    this.#state = state;
    this.#locate();
  }

  #locate(): void {
    const { desc, driver, device } = this.#state;
    this.#desc = join(desc);
    this.#driver = join(driver);
    this.#device = join(device);
    const last = Math.max(this.#desc, this.#driver, this.#device);
    this.#isWild = last > ADDRESS_END - RING_BYTES;
  }

  /** Set the size; one that is not allowed is ignored. */
  resize(size: number): void {
    const isPower = size > 0 && (size & (size - 1)) === 0;
    if (isPower && size <= this.maxSize) this.#state.size = size;
  }

  /** Set a word of an area's address. */
  setAddress(area: QueueArea, word: 0 | 1, value: number): void {
    this.#state[area][word] = value;
    this.#locate();
  }

  /** The page of the legacy interface: its number (2.7.2, 4.1.4.8). */
  get page(): number {
    return Math.floor(join(this.#state.desc) / LEGACY_ALIGN);
  }

  /**
   * Put the queue in the legacy interface's layout at the page with this
   * number. 0 disables it.
   */
  setPage(page: number): void {
    const { size } = this.#state;
    const desc = page * LEGACY_ALIGN;
    const driver = desc + DESC_BYTES * size;
    // Flags, index, ring and the event index behind it.
    const end = driver + RING + 2 * size + 2;
    const device = Math.ceil(end / LEGACY_ALIGN) * LEGACY_ALIGN;
    this.#state.desc = divide(desc);
    this.#state.driver = divide(driver);
    this.#state.device = divide(device);
    this.#state.ready = page !== 0;
    this.#locate();
  }

  #read16(address: number): number {
    this.#memory.read(address, this.#word);
    return this.#word[0] | this.#word[1] << 8;
  }

  #write16(address: number, value: number): void {
    this.#word[0] = value;
    this.#word[1] = value >> 8;
    this.#memory.write(address, this.#word);
  }

  /**
   * How many chains there are to take. Throws a `VirtqueueError` for an index
   * that no driver writes.
   */
  available(): number {
    const { ready, next, size } = this.#state;
    if (!ready) return 0;
    if (this.#isWild) throw new VirtqueueError("a queue with a wild address");
    const count = (this.#read16(this.#driver + 2) - next) & 0xffff;
    if (count > size) throw new VirtqueueError("an available index that jumps");
    return count;
  }

  /**
   * Let the driver notify of the next chain that it makes available. Gives back
   * how many there are before it: one may just have come. Throws a
   * `VirtqueueError`.
   */
  listen(): number {
    const count = this.available();
    const { ready, next, size } = this.#state;
    if (!ready || !this.#features.eventIndex) return count;
    // avail_event: behind the used ring (2.7.8).
    const event = this.#device + RING + USED_BYTES * size;
    this.#write16(event, next + count);
    return this.available();
  }

  /**
   * Take the next chain; undefined when there is none, and from then on the
   * driver notifies of the next. Throws a `VirtqueueError`.
   */
  pop(): DescriptorChain | undefined {
    const state = this.#state;
    const { size } = state;
    if (this.available() === 0 && this.listen() === 0) return undefined;
    if (state.inFlight.length >= size) {
      throw new VirtqueueError("more chains than the queue has descriptors");
    }
    const slot = state.next & (size - 1);
    const head = this.#read16(this.#driver + RING + 2 * slot);
    const chain = this.walk(head);
    state.next = (state.next + 1) & 0xffff;
    state.inFlight.push(head);
    return chain;
  }

  /**
   * Put the chain back that was taken last and of which nothing was used: it is
   * the next one again.
   */
  untake(chain: DescriptorChain): void {
    const state = this.#state;
    state.next = (state.next - 1) & 0xffff;
    state.inFlight.pop();
    this.#spare.push(chain);
  }

  /**
   * The chain that begins with this descriptor: that of a head in `inFlight`
   * after a load. Throws a `VirtqueueError`.
   */
  walk(head: number): DescriptorChain {
    if (this.#isWild) throw new VirtqueueError("a queue with a wild address");
    const chain = this.#spare.pop() ?? new DescriptorChain(this.#memory);
    chain.clear(head);
    let table = this.#desc;
    let entries = this.#state.size;
    let index = head;
    let isIndirect = false;
    // As many steps as the table has entries: more would be a loop.
    for (let steps = 0; steps < entries; steps++) {
      if (index >= entries) {
        throw new VirtqueueError("a descriptor beyond its table");
      }
      this.#memory.read(table + DESC_BYTES * index, this.#bytes);
      const high = this.#view.getUint32(4, true);
      const address = this.#view.getUint32(0, true) + high * 2 ** 32;
      const length = this.#view.getUint32(8, true);
      const flags = this.#view.getUint16(12, true);
      if (high >= HIGH_END) {
        throw new VirtqueueError("a descriptor with a wild address");
      }
      if ((flags & DESC_F_INDIRECT) !== 0) {
        this.#checkIndirect(isIndirect, flags, length);
        if (address + length > ADDRESS_END) {
          throw new VirtqueueError("a descriptor with a wild address");
        }
        isIndirect = true;
        table = address;
        entries = length / DESC_BYTES;
        index = 0;
        steps = -1;
        continue;
      }
      chain.append(address, length, (flags & DESC_F_WRITE) !== 0);
      if ((flags & DESC_F_NEXT) === 0) return chain;
      index = this.#view.getUint16(14, true);
    }
    throw new VirtqueueError("a chain that loops");
  }

  #checkIndirect(isIndirect: boolean, flags: number, length: number): void {
    if (!this.#features.indirect) {
      throw new VirtqueueError("an indirect descriptor that is not negotiated");
    }
    if (isIndirect) throw new VirtqueueError("a table within a table");
    if ((flags & DESC_F_NEXT) !== 0) {
      throw new VirtqueueError("an indirect descriptor with a next one");
    }
    // A chain may have as many descriptors as the largest queue (2.7.5.3.1).
    if (
      length === 0 || length % DESC_BYTES !== 0 ||
      length > this.maxSize * DESC_BYTES
    ) {
      throw new VirtqueueError("an indirect table of no valid length");
    }
  }

  /**
   * Give a chain back of which the first `written` writable bytes were
   * written. The driver sees it after `publish`.
   */
  push(chain: DescriptorChain, written: number): void {
    const state = this.#state;
    const slot = state.used & (state.size - 1);
    this.#entryView.setUint32(0, chain.head, true);
    this.#entryView.setUint32(4, written, true);
    const at = this.#device + RING + USED_BYTES * slot;
    // The driver may have moved the queue since.
    if (!this.#isWild) this.#memory.write(at, this.#entry);
    state.used = (state.used + 1) & 0xffff;
    const index = state.inFlight.indexOf(chain.head);
    if (index >= 0) state.inFlight.splice(index, 1);
    this.#spare.push(chain);
  }

  /**
   * Let the driver see what was given back. Says whether it wants to be
   * interrupted (2.7.7).
   */
  publish(): boolean {
    const state = this.#state;
    const { used, published, size } = state;
    if (used === published || this.#isWild) return false;
    this.#write16(this.#device + 2, used);
    state.published = used;
    if (!this.#features.eventIndex) {
      return (this.#read16(this.#driver) & AVAIL_F_NO_INTERRUPT) === 0;
    }
    // used_event: behind the available ring (2.7.6).
    const event = this.#read16(this.#driver + RING + 2 * size);
    return ((used - event - 1) & 0xffff) < ((used - published) & 0xffff);
  }
}

function join([low, high]: readonly [number, number]): number {
  return low + high * 2 ** 32;
}

function divide(address: number): [number, number] {
  return [address % 2 ** 32, Math.floor(address / 2 ** 32)];
}
