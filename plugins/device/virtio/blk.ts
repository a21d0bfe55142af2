/**
 * The block device: VIRTIO 1.2, 5.2. Requests go to the backend as they come
 * and are done in any order; a flush covers the writes that were done before
 * it came (5.2.6.2), which is what the backend promises too.
 *
 * A request holds at most `PIECE` bytes of the host's memory at a time, and no
 * more requests are taken while those under way hold `HELD_BYTES`; some large
 * reads have buffers that are kept (`BlockBackend.read`). After a
 * reset what was asked of the backend is forgotten, and requests of after it
 * wait for its end: a write of before cannot overtake one of after. A request
 * under way when the state is saved is begun anew after the load.
 *
 * @module
 */

import type { DeviceEvent } from "../../../core/machine/device_events.ts";
import {
  type BlockBackend,
  SECTOR_BYTES,
} from "../../../core/backend/block.ts";
import type { AccessWidth } from "../../../core/bus/handler.ts";
import type { BootDrive } from "../../../core/machine/boot_drive.ts";
import type { Logger } from "../../../core/machine/plugin.ts";
import type { Clock } from "../../../core/time/clock.ts";
import { VirtioDevice, type VirtioType } from "./device.ts";
import {
  type DescriptorChain,
  type Virtqueue,
  VirtqueueError,
} from "./virtqueue.ts";

/** Features (5.2.3). */
const F_SIZE_MAX = 1n << 1n;
const F_SEG_MAX = 1n << 2n;
const F_RO = 1n << 5n;
const F_BLK_SIZE = 1n << 6n;
const F_FLUSH = 1n << 9n;
const F_TOPOLOGY = 1n << 10n;
const F_CONFIG_WCE = 1n << 11n;
const F_MQ = 1n << 12n;
const F_DISCARD = 1n << 13n;
const F_WRITE_ZEROES = 1n << 14n;
const COMMON_FEATURES = F_SIZE_MAX | F_SEG_MAX | F_BLK_SIZE | F_FLUSH |
  F_TOPOLOGY;
const WRITE_FEATURES = F_CONFIG_WCE | F_DISCARD | F_WRITE_ZEROES;

/** Request types (5.2.6). */
const T_IN = 0;
const T_OUT = 1;
const T_FLUSH = 4;
const T_GET_ID = 8;
const T_DISCARD = 11;
const T_WRITE_ZEROES = 13;
/** Status of a request. */
const S_OK = 0;
const S_IOERR = 1;
const S_UNSUPP = 2;
/** Bytes of a request's head: type, reserved, sector. */
const HEAD_BYTES = 16;
/** Bytes of the ID string. */
const ID_BYTES = 20;
/** Bytes of a range to discard or zero, and the flag in its last word. */
const RANGE_BYTES = 16;
const RANGE_UNMAP = 1;

/** Offsets in the configuration space (5.2.4). */
const CAPACITY = 0;
const SIZE_MAX = 8;
const SEG_MAX = 12;
const BLK_SIZE = 20;
const OPT_IO_SIZE = 28;
const MIN_IO_SIZE = 26;
const PHYSICAL_BLOCK_EXP = 24;
const WRITEBACK = 32;
const NUM_QUEUES = 34;
const MAX_DISCARD_SECTORS = 36;
const MAX_DISCARD_SEG = 40;
const DISCARD_SECTOR_ALIGNMENT = 44;
const MAX_WRITE_ZEROES_SECTORS = 48;
const MAX_WRITE_ZEROES_SEG = 52;
const WRITE_ZEROES_MAY_UNMAP = 56;
const CONFIG_BYTES = 60;

/** The greatest size of each queue; two descriptors are head and status. */
const QUEUE_SIZE = 256;
const MAX_SEGMENTS = QUEUE_SIZE - 2;
const MAX_SEGMENT_BYTES = 1 << 20;
/** The most sectors of a range to discard or zero, and ranges of a request. */
const MAX_RANGE_SECTORS = 1 << 22;
const MAX_RANGES = 32;
/** Sectors of a page of the host, in which images are best written. */
const PAGE_EXP = 3;
/** The most bytes that go to the backend at once. */
const PIECE = 1 << 20;
/**
 * Reads from so many bytes on go to buffers of `PIECE` that are kept: Linux's
 * `dd` of a raw image takes 0.9 of its time, and 0.85 of the CPU time.
 */
const ROOM_BYTES = 64 << 10;
/** How many are kept. */
const ROOMS = 4;
/** The most bytes that are under way at once, rounded up by one request. */
const HELD_BYTES = 8 << 20;

/** Configuration of a block device. */
export interface VirtioBlkConfig {
  /** The serial number, 20 characters at most. */
  readonly serial: string;
  /** How many queues. */
  readonly queues: number;
}

interface BlkState {
  /** The cache is one of writes too: a write is done before it is safe. */
  writeback: boolean;
}

/** What a request is. */
interface Request {
  readonly queue: Virtqueue;
  readonly chain: DescriptorChain;
  readonly type: number;
  /** The offset in the image, in bytes. */
  readonly offset: number;
  /** Bytes of data, head and status left out. */
  readonly length: number;
  /** When it was begun. */
  readonly epoch: number;
}

/** A request ends with this status. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number) {
    super();
    this.status = status;
  }
}

/** What a driver asks for. */
type BlkRequest = {
  readonly queue: number;
  readonly type: number;
  readonly sector: number;
  readonly size: number;
};

/** A block device. */
export class VirtioBlk extends VirtioDevice<BlkState> {
  /** See `VirtioDevice`. */
  protected override readonly config = new Uint8Array(CONFIG_BYTES);
  readonly #backend: BlockBackend;
  readonly #id = new Uint8Array(ID_BYTES);
  readonly #head = new Uint8Array(HEAD_BYTES);
  readonly #headView = new DataView(this.#head.buffer);
  readonly #status = new Uint8Array(1);
  #state: BlkState = { writeback: true };
  /** Bytes that requests under way hold. */
  #held = 0;
  /** Buffers for large reads that are free, and how many are taken. */
  readonly #rooms: Uint8Array[] = [];
  #taken = 0;
  /** Requests at the backend, those forgotten included. */
  #active = 0;
  readonly #told: DeviceEvent<BlkRequest> | undefined;
  /** Resolves when the backend has done what a reset made it forget. */
  #drained: PromiseWithResolvers<void> | undefined;

  /** A device on a backend. */
  constructor(
    backend: BlockBackend,
    config: VirtioBlkConfig,
    { clock, log }: { readonly clock: Clock; readonly log: Logger },
    told?: DeviceEvent<BlkRequest>,
  ) {
    const { serial, queues } = config;
    super({
      features: COMMON_FEATURES | (backend.readOnly ? F_RO : WRITE_FEATURES) |
        (queues > 1 ? F_MQ : 0n),
      queues: new Array(queues).fill(QUEUE_SIZE),
      clock,
      log,
    });
    this.#backend = backend;
    this.#told = told;
    this.#id.set(new TextEncoder().encode(serial).subarray(0, ID_BYTES));
    const view = new DataView(this.config.buffer);
    const sectors = Math.floor(backend.size / SECTOR_BYTES);
    view.setBigUint64(CAPACITY, BigInt(sectors), true);
    view.setUint32(SIZE_MAX, MAX_SEGMENT_BYTES, true);
    view.setUint32(SEG_MAX, MAX_SEGMENTS, true);
    view.setUint32(BLK_SIZE, SECTOR_BYTES, true);
    view.setUint8(PHYSICAL_BLOCK_EXP, PAGE_EXP);
    view.setUint16(MIN_IO_SIZE, 1 << PAGE_EXP, true);
    view.setUint32(OPT_IO_SIZE, PIECE / SECTOR_BYTES, true);
    view.setUint16(NUM_QUEUES, queues, true);
    if (!backend.readOnly) {
      view.setUint32(MAX_DISCARD_SECTORS, MAX_RANGE_SECTORS, true);
      view.setUint32(MAX_DISCARD_SEG, MAX_RANGES, true);
      view.setUint32(DISCARD_SECTOR_ALIGNMENT, 1 << PAGE_EXP, true);
      view.setUint32(MAX_WRITE_ZEROES_SECTORS, MAX_RANGE_SECTORS, true);
      view.setUint32(MAX_WRITE_ZEROES_SEG, MAX_RANGES, true);
      view.setUint8(WRITE_ZEROES_MAY_UNMAP, 1);
    }
    this.reset();
  }

  /** See `BootDrives`. */
  override bootDrives(): readonly BootDrive[] {
    const backend = this.#backend;
    const bytes = (sectors: number): number => sectors * SECTOR_BYTES;
    return [{
      name: "virtio disk",
      kind: "disk",
      sectorSize: SECTOR_BYTES,
      removable: false,
      sectors: Math.floor(backend.size / SECTOR_BYTES),
      readOnly: backend.readOnly,
      read: (sector, count) => backend.read(bytes(sector), bytes(count)),
      write: (sector, data) => backend.write(bytes(sector), data),
    }];
  }

  /** See `VirtioDevice`. */
  protected override freshDevice(): BlkState {
    return { writeback: true };
  }

  /** See `VirtioDevice`. */
  protected override get deviceState(): BlkState {
    return this.#state;
  }

  /** See `VirtioDevice`. */
  protected override adoptDevice(state: BlkState): void {
    this.#setWriteback(this.#state = state, state.writeback);
    this.#held = 0;
    if (this.#active > 0) this.#drained ??= Promise.withResolvers();
  }

  #setWriteback(state: BlkState, on: boolean): void {
    state.writeback = on;
    this.config[WRITEBACK] = on ? 1 : 0;
  }

  /** Without FLUSH a driver cannot make writes safe: each is (5.2.5). */
  protected override negotiated(): void {
    // A legacy driver may have chosen before.
    if (this.isLegacy && this.has(F_CONFIG_WCE)) return;
    this.#setWriteback(this.#state, this.has(F_FLUSH));
  }

  /** CONFIG_WCE lets the driver choose (5.2.5). */
  protected override configWritten(
    offset: number,
    _width: AccessWidth,
    value: number,
  ): void {
    if (offset !== WRITEBACK || !this.has(F_CONFIG_WCE)) return;
    this.#setWriteback(this.#state, (value & 1) !== 0);
  }

  /** See `VirtioDevice`. */
  protected override process(queue: Virtqueue): void {
    // One time more, to find it empty.
    const most = queue.state.size + 1;
    for (let i = 0; i < most && this.#held < HELD_BYTES; i++) {
      const chain = queue.pop();
      if (chain === undefined) return;
      this.resume(queue, chain);
    }
  }

  /** See `VirtioDevice`. */
  protected override resume(queue: Virtqueue, chain: DescriptorChain): void {
    if (chain.readable < HEAD_BYTES || chain.writable < 1) {
      throw new VirtqueueError("a request without head or status");
    }
    chain.read(0, this.#head);
    const type = this.#headView.getUint32(0, true);
    const request: Request = {
      queue,
      chain,
      type,
      offset: SECTOR_BYTES * (this.#headView.getUint32(8, true) +
        this.#headView.getUint32(12, true) * 2 ** 32),
      length: type === T_IN || type === T_GET_ID
        ? chain.writable - 1
        : chain.readable - HEAD_BYTES,
      epoch: this.epoch,
    };
    if (this.#told?.isHeard === true) {
      const { offset, length } = request;
      const sector = offset / SECTOR_BYTES;
      this.#told.tell({
        queue: this.queues.indexOf(queue),
        type,
        sector,
        size: length,
      });
    }
    const refusal = this.#check(request);
    if (refusal !== S_OK) return this.#answer(request, refusal, 0);
    if (type === T_GET_ID) {
      const id = this.#id.subarray(0, request.length);
      return this.#answer(request, S_OK, chain.write(0, id));
    }
    void this.#run(request);
  }

  /** Whether it can be carried out: the status otherwise. */
  #check({ type, offset, length }: Request): number {
    const { size, readOnly } = this.#backend;
    switch (type) {
      case T_FLUSH:
        return S_OK;
      case T_GET_ID:
        return S_OK;
      case T_IN:
      case T_OUT:
        if (type === T_OUT && readOnly) return S_IOERR;
        return length % SECTOR_BYTES === 0 && offset + length <= size
          ? S_OK
          : S_IOERR;
      case T_DISCARD:
      case T_WRITE_ZEROES:
        if (readOnly) return S_IOERR;
        return length % RANGE_BYTES === 0 && length > 0 &&
            length <= MAX_RANGES * RANGE_BYTES
          ? S_OK
          : S_IOERR;
      default:
        return S_UNSUPP;
    }
  }

  /** Bytes of the host's memory that it holds at a time. */
  #weight({ type, length }: Request): number {
    return type === T_IN || type === T_OUT ? Math.min(length, PIECE) : 0;
  }

  async #run(request: Request): Promise<void> {
    const weight = this.#weight(request);
    this.#held += weight;
    let status = S_OK;
    if (this.#drained !== undefined) {
      await this.#drained.promise;
      if (request.epoch !== this.epoch) return;
    }
    this.#active++;
    try {
      await this.#perform(request);
    } catch (error) {
      status = error instanceof Refusal ? error.status : S_IOERR;
    }
    if (--this.#active === 0) {
      this.#drained?.resolve();
      this.#drained = undefined;
    }
    if (request.epoch !== this.epoch) return;
    const isRead = request.type === T_IN && status === S_OK;
    this.#answer(request, status, isRead ? request.length : 0);
    const isFull = this.#held >= HELD_BYTES;
    this.#held -= weight;
    // The driver has notified of what was left in the queues then.
    if (isFull) { for (const queue of this.queues) this.poll(queue); }
  }

  /** Do at the backend what is asked; throws a `Refusal` or any other error. */
  async #perform(request: Request): Promise<void> {
    const { type } = request;
    if (type === T_FLUSH) return await this.#backend.flush();
    if (type === T_IN) return await this.#read(request);
    if (type === T_OUT) await this.#write(request);
    else await this.#clear(request);
    if (!this.#state.writeback) await this.#backend.flush();
  }

  async #read({ chain, offset, length, epoch }: Request): Promise<void> {
    for (let done = 0; done < length; done += PIECE) {
      const size = Math.min(PIECE, length - done);
      const room = this.#takeRoom(size);
      try {
        const bytes = await this.#backend.read(
          offset + done,
          size,
          room?.subarray(0, size),
        );
        // Not after a failure: the backend may still write to it.
        if (room !== undefined) this.#rooms.push(room);
        if (epoch !== this.epoch) return;
        chain.write(done, bytes);
      } finally {
        if (room !== undefined) this.#taken--;
      }
    }
  }

  /** A buffer for so many bytes, or none when that is as well. */
  #takeRoom(size: number): Uint8Array | undefined {
    if (size < ROOM_BYTES || this.#taken === ROOMS) return undefined;
    this.#taken++;
    return this.#rooms.pop() ?? new Uint8Array(PIECE);
  }

  async #write({ chain, offset, length, epoch }: Request): Promise<void> {
    for (let done = 0; done < length; done += PIECE) {
      if (epoch !== this.epoch) return;
      const size = Math.min(PIECE, length - done);
      const room = this.#takeRoom(size);
      const bytes = room?.subarray(0, size) ?? new Uint8Array(size);
      try {
        chain.read(HEAD_BYTES + done, bytes);
        await this.#backend.write(offset + done, bytes);
        // Not after a failure: the backend may still read from it.
        if (room !== undefined) this.#rooms.push(room);
      } finally {
        if (room !== undefined) this.#taken--;
      }
    }
  }

  /** DISCARD and WRITE_ZEROES: a list of ranges. */
  async #clear({ chain, type, length, epoch }: Request): Promise<void> {
    const bytes = new Uint8Array(length);
    chain.read(HEAD_BYTES, bytes);
    const view = new DataView(bytes.buffer);
    const isDiscard = type === T_DISCARD;
    const ranges: [offset: number, length: number][] = [];
    for (let i = 0; i < length; i += RANGE_BYTES) {
      const sector = view.getUint32(i, true) +
        view.getUint32(i + 4, true) * 2 ** 32;
      const sectors = view.getUint32(i + 8, true);
      const flags = view.getUint32(i + 12, true);
      const known = isDiscard ? 0 : RANGE_UNMAP;
      if ((flags & ~known) !== 0) throw new Refusal(S_UNSUPP);
      const end = (sector + sectors) * SECTOR_BYTES;
      if (sectors > MAX_RANGE_SECTORS || end > this.#backend.size) {
        throw new Refusal(S_IOERR);
      }
      ranges.push([sector * SECTOR_BYTES, sectors * SECTOR_BYTES]);
    }
    for (const [offset, size] of ranges) {
      if (epoch !== this.epoch) return;
      if (isDiscard) await this.#backend.discard(offset, size);
      else await this.#backend.writeZeroes(offset, size);
    }
  }

  /** Write the status behind the data and give the request back. */
  #answer({ queue, chain }: Request, status: number, written: number): void {
    this.#status[0] = status;
    const at = chain.writable - 1;
    chain.write(at, this.#status);
    // Only what was written without a gap counts (2.7.8.2).
    this.complete(queue, chain, written === at ? at + 1 : written);
  }
}

/** Block devices, for a transport. */
export const BLK: VirtioType<VirtioBlkConfig> = {
  name: "blk",
  version: "1.0.0",
  description: "a disk",
  id: 2,
  transitionalId: 0x1001,
  pciClass: 0x010000,
  provides: ["boot-drives"],
  config: {
    serial: {
      type: "string",
      description: "The serial number, 20 characters",
      default: "",
    },
    queues: {
      type: "integer",
      description: "How many queues",
      minimum: 1,
      maximum: 16,
      default: 1,
    },
  },
  events: {
    request: {
      description:
        "The driver asks for something: `type` by its number (5.2.6), `sector` of 512 bytes, `size` of the data in bytes",
      data: {
        queue: "number",
        type: "number",
        sector: "number",
        size: "number",
      },
    },
  },
  backends: { disk: { type: "block" } },
  create(config, context) {
    const backend = context.block("disk");
    return backend &&
      new VirtioBlk(backend, config, context, context.event("request"));
  },
};
