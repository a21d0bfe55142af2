/**
 * What all virtio devices have in common, whatever they are and whatever they
 * are reached by: device status, feature negotiation, queues, the two causes
 * of an interrupt. VIRTIO 1.2, chapters 2 and 3.
 *
 * A kind of device is a subclass and a `VirtioType`; a transport
 * (`virtio_mmio.ts`, `virtio_pci.ts`) makes a plugin of the type.
 *
 * @module
 */

import type { DeviceEventSpec } from "../../../core/machine/device_events.ts";
import type {
  BootDrive,
  BootDrives,
} from "../../../core/machine/boot_drive.ts";
import type { AccessWidth } from "../../../core/bus/handler.ts";
import type {
  BackendSpec,
  ConfigSchema,
  DeviceContext,
  DmaPort,
  Logger,
} from "../../../core/machine/plugin.ts";
import {
  type Clock,
  MILLISECOND,
  type Timer,
} from "../../../core/time/clock.ts";
import {
  type DescriptorChain,
  freshQueue,
  type QueueState,
  Virtqueue,
  VirtqueueError,
} from "./virtqueue.ts";

/** Status (2.1): the driver drives the device. */
export const STATUS_DRIVER_OK = 0x04;
/** Status: the features are negotiated. */
export const STATUS_FEATURES_OK = 0x08;
/** Status: the device cannot go on. */
export const STATUS_NEEDS_RESET = 0x40;

/** Legacy feature: any division of requests into descriptors (6.3). */
const F_ANY_LAYOUT = 1n << 27n;
/** Feature: tables of descriptors (6). */
const F_INDIRECT_DESC = 1n << 28n;
/** Feature: used_event and avail_event. */
const F_EVENT_IDX = 1n << 29n;
/** Feature: this is not a legacy driver. */
const F_VERSION_1 = 1n << 32n;
const RESERVED_FEATURES = F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1;
const WORD = 0xffffffffn;

/** Interrupt status (4.1.4.5, 4.2.2): a queue has used buffers. */
export const INTERRUPT_QUEUE = 1;
/** Interrupt status: the configuration, or that a reset is needed. */
export const INTERRUPT_CONFIG = 2;

/**
 * So many notifications and chains there are in `PACE` at the most; what comes
 * then waits until it is over. Another device's bus master may notify once for
 * each entry of a table that the guest has made, all within one command.
 */
const MOST_WORK = 2048;
const PACE = 10 * MILLISECOND;

/** What a device is reached by. */
export interface VirtioTransport {
  /** Guest memory. */
  readonly memory: DmaPort;
  /** Whether the device may reach it now. */
  readonly reachable: boolean;
  /** Interrupt for a queue; for the configuration when undefined. */
  interrupt(queue: Virtqueue | undefined): void;
}

/** The part of the state that all devices have. */
interface CommonState {
  /** Device status. */
  status: number;
  /** The features that the driver has accepted. */
  features: bigint;
  /** Counts changes of the configuration. */
  generation: number;
  /** The queues. */
  queues: QueueState[];
}

/** The whole state. */
interface VirtioState<S extends object> extends CommonState {
  /** Notifications and chains since the timer was armed. */
  work: number;
  /** When it fires; never, when it is not armed. */
  paceEnds: number;
  /** What only this kind of device has. */
  device: S;
}

/** What a device is. */
export interface VirtioParts {
  /** The features of this kind of device that it offers: 0 to 23, from 50 on. */
  readonly features: bigint;
  /** The greatest sizes of its queues, powers of two. */
  readonly queues: readonly number[];
  /** Virtual time. */
  readonly clock: Clock;
  /** The log. */
  readonly log: Logger;
}

/** A kind of device, of which a transport makes a plugin. */
// deno-lint-ignore no-explicit-any
export interface VirtioType<C = any> {
  /** The name, as in `virtio-blk-pci`. */
  readonly name: string;
  /** The version of its state, as plugins have it. */
  readonly version: string;
  /** What it is, in the middle of a sentence. */
  readonly description: string;
  /** The device ID (5). */
  readonly id: number;
  /** The device ID of a transitional PCI device; none when absent (4.1.2.1). */
  readonly transitionalId?: number;
  /** The PCI class code. */
  readonly pciClass: number;
  /** The properties of its configuration. */
  readonly config?: Readonly<Record<string, ConfigSchema>>;
  /** The backends that it stands on. */
  readonly backends?: Readonly<Record<string, BackendSpec>>;
  /** What it tells of: see `DevicePlugin`. */
  readonly events?: Readonly<Record<string, DeviceEventSpec>>;
  /** The contracts that it fulfils beside `Device`: see `DevicePlugin`. */
  readonly provides?: readonly string[];
  /** Throws a `ConfigError` for what its schema cannot see. */
  check?(config: C): void;
  /** Make one; none where its backend is missing. */
  create(config: C, context: DeviceContext): VirtioDevice | undefined;
}

/** A device without its transport. */
export abstract class VirtioDevice<S extends object = object>
  implements BootDrives {
  /** The features that the device offers. */
  readonly offered: bigint;
  /** The queues. */
  readonly queues: readonly Virtqueue[];
  /** The device configuration space, as it is read. */
  protected abstract readonly config: Uint8Array;
  readonly #log: Logger;
  readonly #negotiated = { indirect: false, eventIndex: false };
  #common: CommonState;
  #transport: VirtioTransport | undefined;
  /** Notifications and chains since the timer was armed. */
  #work = 0;
  readonly #pace: Timer;
  readonly #clock: Clock;
  #isBusy = false;
  #isPolling = false;
  #willPublish = false;
  #epoch = 0;

  /** A device in its reset state but for what is the subclass' own. */
  constructor({ features, queues, clock, log }: VirtioParts) {
    this.offered = features | RESERVED_FEATURES;
    this.#log = log;
    this.#clock = clock;
    this.#pace = clock.timer(() => {
      const waits = this.#work >= MOST_WORK;
      this.#work = 0;
      if (waits) { for (const queue of this.queues) this.poll(queue); }
    });
    const memory: DmaPort = {
      read: (address, into) => {
        const before = this.#enter();
        this.#transport?.memory.read(address, into);
        this.#isBusy = before;
      },
      write: (address, bytes) => {
        const before = this.#enter();
        this.#transport?.memory.write(address, bytes);
        this.#isBusy = before;
      },
    };
    this.queues = queues.map((size) =>
      new Virtqueue(size, memory, this.#negotiated)
    );
    this.#common = this.#fresh();
  }

  /** See `BootDrives`: for a type that provides `boot-drives`. */
  bootDrives(): readonly BootDrive[] {
    return [];
  }

  /** What only this kind of device has, as after reset. */
  protected abstract freshDevice(): S;
  /** That state, to be saved. */
  protected abstract get deviceState(): S;
  /** Go on from that state; what is under way is forgotten. */
  protected abstract adoptDevice(state: S): void;
  /**
   * Take chains from a queue and sooner or later give them back by `complete`:
   * no more at once than the queue's size. The driver stands still meanwhile,
   * but a ring may lie in the counter of another device and never be empty.
   * May throw what the queue throws.
   */
  protected abstract process(queue: Virtqueue): void;
  /** Go on with a chain that was taken before the state was saved. */
  protected abstract resume(queue: Virtqueue, chain: DescriptorChain): void;
  /** A state was loaded, and what the device had to do is under way again. */
  protected restored(): void {}
  /** See `Device.announce`. */
  announce(): void {}

  /** See `Device.cable`. */
  get cable(): boolean | undefined {
    return undefined;
  }
  set cable(_isIn: boolean) {}
  /**
   * The features are settled: at FEATURES_OK, and at DRIVER_OK by a driver of
   * the legacy interface.
   */
  protected negotiated(): void {}
  /** The driver writes to the device configuration space. */
  protected configWritten(
    _offset: number,
    _width: AccessWidth,
    _value: number,
  ): void {}

  /** Reach guest memory and the driver by a transport. */
  connect(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  /**
   * The device is in guest memory or interrupts. Its registers do not answer
   * then: a queue that lies in them would have no end.
   */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Counts resets and loads: what was begun before one is forgotten. */
  protected get epoch(): number {
    return this.#epoch;
  }

  /** Be busy; gives back whether it was. */
  #enter(): boolean {
    const before = this.#isBusy;
    this.#isBusy = true;
    return before;
  }

  #interrupt(queue: Virtqueue | undefined): void {
    const before = this.#enter();
    this.#transport?.interrupt(queue);
    this.#isBusy = before;
  }

  #fresh(): CommonState {
    return {
      status: 0,
      features: 0n,
      generation: 0,
      queues: this.queues.map((queue) => freshQueue(queue.maxSize)),
    };
  }

  /** Device status (2.1). */
  get status(): number {
    return this.#common.status;
  }

  /** Write device status: 0 resets the device. */
  setStatus(value: number): void {
    if (value === 0) return this.reset();
    const before = this.#common.status;
    let status = value & ~STATUS_NEEDS_RESET | before & STATUS_NEEDS_RESET;
    const set = status & ~before;
    if ((set & STATUS_FEATURES_OK) !== 0) {
      const { features } = this.#common;
      const isValid = (features & ~this.offered) === 0n &&
        (features & F_VERSION_1) !== 0n;
      if (isValid) this.#settle();
      else status &= ~STATUS_FEATURES_OK;
    }
    this.#common.status = status;
    if ((set & STATUS_DRIVER_OK) === 0) return;
    if (this.isLegacy) this.#settle();
    for (const queue of this.queues) this.poll(queue);
  }

  /** Whether the driver uses the legacy interface, or has not said yet. */
  protected get isLegacy(): boolean {
    return !this.has(F_VERSION_1);
  }

  #settle(): void {
    this.#readFeatures();
    this.negotiated();
  }

  #readFeatures(): void {
    this.#negotiated.indirect = this.has(F_INDIRECT_DESC);
    this.#negotiated.eventIndex = this.has(F_EVENT_IDX);
  }

  /** Whether the driver has accepted a feature. */
  has(feature: bigint): boolean {
    return (this.#common.features & feature) !== 0n;
  }

  /** A word of the features that are offered. */
  offeredWord(word: number): number {
    return word < 2 ? Number(this.offered >> BigInt(32 * word) & WORD) : 0;
  }

  /** A word of the features that are accepted. */
  acceptedWord(word: number): number {
    const { features } = this.#common;
    return word < 2 ? Number(features >> BigInt(32 * word) & WORD) : 0;
  }

  /** The driver accepts a word of features; not after FEATURES_OK. */
  accept(word: number, value: number): void {
    const common = this.#common;
    if (word >= 2 || (common.status & STATUS_FEATURES_OK) !== 0) return;
    const shift = BigInt(32 * word);
    common.features = common.features & ~(WORD << shift) |
      BigInt(value) << shift;
  }

  /** The features as the legacy interface offers them. */
  get legacyFeatures(): number {
    return Number((this.offered | F_ANY_LAYOUT) & WORD);
  }

  /** The driver accepts features by the legacy interface, of those offered. */
  acceptLegacy(value: number): void {
    this.accept(0, (value & this.legacyFeatures) >>> 0);
    this.accept(1, 0);
    this.#readFeatures();
  }

  /** Counts changes of the configuration, 8 bits (2.5). */
  get generation(): number {
    return this.#common.generation;
  }

  /** Read the device configuration space; zero beyond its end. */
  readConfig(offset: number, width: AccessWidth): number {
    let value = 0;
    for (let i = 0; i < width; i++) {
      value += (this.config[offset + i] ?? 0) * 2 ** (8 * i);
    }
    return value;
  }

  /** Write the device configuration space. */
  writeConfig(offset: number, width: AccessWidth, value: number): void {
    this.configWritten(offset, width, value);
  }

  /** The device has changed its configuration. */
  protected configChanged(): void {
    this.#common.generation = (this.#common.generation + 1) & 0xff;
    this.#interruptConfig();
  }

  #interruptConfig(): void {
    if ((this.#common.status & STATUS_DRIVER_OK) === 0) return;
    this.#interrupt(undefined);
  }

  /** Whether the device may look at its queues. */
  protected get isLive(): boolean {
    const { status } = this.#common;
    // Legacy drivers use the queues before DRIVER_OK (3.1.2).
    return (status & STATUS_NEEDS_RESET) === 0 &&
      ((status & STATUS_DRIVER_OK) !== 0 || this.isLegacy) &&
      this.#transport?.reachable === true;
  }

  /** The driver has made buffers available in the queue with this number. */
  notify(index: number): void {
    const queue = this.queues[index];
    if (queue !== undefined) this.poll(queue);
  }

  /** Let `process` take what is available, now or when there is time for it. */
  protected poll(queue: Virtqueue): void {
    if (!this.hasTime) return;
    const before = queue.state.next;
    this.#attempt(() => this.process(queue));
    this.spend(1 + ((queue.state.next - before) & 0xffff));
  }

  /**
   * Whether there is time for another chain now; when not, `process` may leave
   * the others, and is called again when there is.
   */
  protected get hasTime(): boolean {
    return this.#work < MOST_WORK;
  }

  /** Something takes as much work as so many chains. */
  protected spend(chains: number): void {
    if (this.#work === 0) this.#pace.arm(this.#clock.now() + PACE, PACE);
    this.#work += chains;
  }

  /**
   * What was done outside of `process` has thrown this: the device cannot go on
   * after an error of the queue. Throws any other.
   */
  protected fail(error: unknown): void {
    if (!(error instanceof VirtqueueError)) throw error;
    this.#log.guest("virtqueue", error.message);
    this.#common.status |= STATUS_NEEDS_RESET;
    this.#interruptConfig();
  }

  #attempt(action: () => void): void {
    if (!this.isLive) return;
    this.#isPolling = true;
    try {
      action();
    } catch (error) {
      this.fail(error);
    } finally {
      this.#isPolling = false;
    }
    this.#publish();
  }

  /**
   * Give a chain back of which the first `written` writable bytes were
   * written. Those of one turn of the event loop are shown to the driver
   * together, with one interrupt.
   */
  protected complete(
    queue: Virtqueue,
    chain: DescriptorChain,
    written: number,
  ): void {
    queue.push(chain, written);
    if (this.#isPolling || this.#willPublish) return;
    this.#willPublish = true;
    queueMicrotask(() => this.#publish());
  }

  #publish(): void {
    this.#willPublish = false;
    if (this.#transport?.reachable !== true) return;
    for (const queue of this.queues) {
      if (queue.publish()) this.#interrupt(queue);
    }
  }

  /** As after power-on. */
  reset(): void {
    this.#adopt(this.#freshState());
  }

  #freshState(): VirtioState<S> {
    return {
      ...this.#fresh(),
      work: 0,
      paceEnds: Infinity,
      device: this.freshDevice(),
    };
  }

  #adopt({ device, work, paceEnds, ...common }: VirtioState<S>): void {
    this.#epoch++;
    this.#work = work;
    this.#pace.arm(paceEnds);
    this.#common = common;
    common.queues.forEach((state, i) => this.queues[i].adopt(state));
    this.#readFeatures();
    this.adoptDevice(device);
  }

  /** A state to load into. */
  template(): object {
    return this.#freshState();
  }

  /** The state, to be saved. */
  get saved(): object {
    return {
      ...this.#common,
      work: this.#work,
      paceEnds: this.#pace.deadline,
      device: this.deviceState,
    };
  }

  /**
   * Go on from a loaded state. The chains that the device had are walked again
   * and their requests begun anew, as soon as everything else is loaded: what
   * a request does can be done twice. What the driver has made available since
   * is taken when the device would have looked.
   */
  restore(state: object): void {
    this.#adopt(state as VirtioState<S>);
    const epoch = this.#epoch;
    queueMicrotask(() => {
      if (epoch !== this.#epoch) return;
      this.#attempt(() => this.#resumeAll());
      this.restored();
    });
  }

  #resumeAll(): void {
    for (const queue of this.queues) {
      for (const head of [...queue.state.inFlight]) {
        this.resume(queue, queue.walk(head));
      }
    }
  }
}
