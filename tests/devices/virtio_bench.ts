/**
 * A virtio device on the bench, as a driver sees it: over MMIO and over PCI by
 * each of its ways; and a disk of these, on an image in memory.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { BlockBackend } from "../../core/backend/block.ts";
import { PciBenchBus } from "../../core/bus/pci_testing.ts";
import type { DevicePlugin } from "../../core/machine/plugin.ts";
import { DeviceBench } from "../../core/machine/testing.ts";
import blkMmio from "../../plugins/device/virtio/blk_mmio.ts";
import blkPci from "../../plugins/device/virtio/blk_pci.ts";
import { settled } from "./ide_bench.ts";
import {
  type Descriptor,
  DriverQueue,
  GuestRam,
  type QueuePlace,
  WRITE,
} from "./virtio_driver.ts";

/** Features by bit. */
export const Feature = {
  RO: 5,
  FLUSH: 9,
  CONFIG_WCE: 11,
  MQ: 12,
  DISCARD: 13,
  WRITE_ZEROES: 14,
  INDIRECT_DESC: 28,
  EVENT_IDX: 29,
  VERSION_1: 32,
} as const;

/** Status bits. */
export const ACKNOWLEDGE = 1;
export const DRIVER = 2;
export const DRIVER_OK = 4;
export const FEATURES_OK = 8;
export const NEEDS_RESET = 0x40;

/** Request types. */
export const IN = 0;
export const OUT = 1;
export const FLUSH = 4;
export const GET_ID = 8;
export const DISCARD = 11;
export const WRITE_ZEROES = 13;

/** The plugin on this backend, in this guest memory. */
export function on(
  plugin: DevicePlugin,
  backend: () => BlockBackend | undefined,
  ram?: GuestRam,
): DevicePlugin {
  return {
    ...plugin,
    create: (config, context) =>
      plugin.create(config, {
        ...context,
        dma: ram ?? context.dma,
        block: backend,
      }),
  };
}

/** What a driver does to any transport. */
export interface Port {
  /** A word of the features offered. */
  features(word: number): number;
  /** Accept a word of features. */
  accept(word: number, value: number): void;
  status: number;
  /** Place and enable a queue. */
  setQueue(index: number, size: number, place: QueuePlace): void;
  notify(index: number): void;
  /** Read the device's configuration. */
  config(offset: number, width?: 1 | 2 | 4): number;
  writeConfig(offset: number, value: number, width?: 1 | 2 | 4): void;
  /** Take the causes of the interrupt. */
  acknowledge(): number;
}

/** A driver of any device. */
export class Driver {
  readonly ram: GuestRam;
  readonly port: Port;
  queues: DriverQueue[] = [];
  #next = 0x20000;

  constructor(ram: GuestRam, port: Port) {
    this.ram = ram;
    this.port = port;
  }

  /** Initialise the device: all features but these. */
  start(
    without: readonly number[] = [],
    queues = 1,
    size: number | readonly number[] = 64,
  ): void {
    const { port } = this;
    port.status = 0;
    port.status = ACKNOWLEDGE | DRIVER;
    const isLegacy = (port.features(1) & 1) === 0;
    for (const word of [0, 1]) {
      let value = port.features(word);
      for (const bit of without) {
        if (bit >> 5 === word) value &= ~(1 << (bit & 31));
      }
      port.accept(word, value >>> 0);
    }
    const ready = ACKNOWLEDGE | DRIVER | (isLegacy ? 0 : FEATURES_OK);
    port.status = ready;
    assertEquals(port.status, ready);
    this.queues = Array.from({ length: queues }, (_, i) => {
      const base = 0x1000 + i * 0x3000;
      this.ram.bytes.fill(0, base, base + 0x3000);
      const own = typeof size === "number" ? size : size[i];
      const queue = new DriverQueue(this.ram.bytes, own, base);
      port.setQueue(i, own, queue.place);
      return queue;
    });
    port.status = ready | DRIVER_OK;
  }

  /** Memory that nothing else uses. */
  alloc(length: number): number {
    const at = this.#next;
    this.#next += (length + 15) & ~15;
    if (this.#next > this.ram.bytes.length) throw new RangeError("no RAM left");
    return at;
  }
}

/** A disk's driver. */
export class DiskDriver extends Driver {
  /** A request: where its data and status are, and its descriptors. */
  request(
    type: number,
    sector: number,
    data: Uint8Array | number = 0,
  ): { data: number; status: number; descriptors: Descriptor[] } {
    const head = this.alloc(16);
    this.ram.view.setUint32(head, type, true);
    this.ram.view.setBigUint64(head + 8, BigInt(sector), true);
    const isRead = typeof data === "number";
    const length = isRead ? data : data.length;
    const at = this.alloc(length);
    if (!isRead) this.ram.bytes.set(data, at);
    const status = this.alloc(1);
    this.ram.bytes[status] = 0xee;
    return {
      data: at,
      status,
      descriptors: [
        { address: head, length: 16 },
        ...length === 0
          ? []
          : [{ address: at, length, flags: isRead ? WRITE : 0 }],
        { address: status, length: 1, flags: WRITE },
      ],
    };
  }

  /** Make a request and wait until nothing more happens. */
  async ask(
    type: number,
    sector: number,
    data: Uint8Array | number = 0,
  ): Promise<{ status: number; length: number; data: Uint8Array }> {
    const [queue] = this.queues;
    const request = this.request(type, sector, data);
    queue.offer(queue.chain(request.descriptors));
    this.port.notify(0);
    await settled();
    const used = queue.take();
    assertEquals(used.length, 1, "it is used, once");
    const length = typeof data === "number" ? data : 0;
    return {
      status: this.ram.bytes[request.status],
      length: used[0].length,
      data: this.ram.bytes.slice(request.data, request.data + length),
    };
  }
}

/** A device on the bench with its driver. */
export interface VirtioBench<D extends Driver> {
  readonly bench: DeviceBench;
  readonly driver: D;
  /** Whether it interrupts now. */
  readonly irq: boolean;
}

/** A disk on the bench. */
export type DiskBench = VirtioBench<DiskDriver>;

/** Registers by MMIO. */
export class MmioPort implements Port {
  readonly #bench: DeviceBench;

  constructor(bench: DeviceBench) {
    this.#bench = bench;
  }

  get(offset: number): number {
    return this.#bench.read("registers", offset, 4);
  }

  set(offset: number, value: number): void {
    this.#bench.write("registers", offset, value, 4);
  }

  features(word: number): number {
    this.set(0x014, word);
    return this.get(0x010);
  }

  accept(word: number, value: number): void {
    this.set(0x024, word);
    this.set(0x020, value);
  }

  get status(): number {
    return this.get(0x070);
  }

  set status(value: number) {
    this.set(0x070, value);
  }

  setQueue(index: number, size: number, place: QueuePlace): void {
    this.set(0x030, index);
    this.set(0x038, size);
    this.set(0x080, place.desc);
    this.set(0x090, place.driver);
    this.set(0x0a0, place.device);
    this.set(0x044, 1);
  }

  notify(index: number): void {
    this.set(0x050, index);
  }

  config(offset: number, width: 1 | 2 | 4 = 4): number {
    return this.#bench.read("registers", 0x100 + offset, width);
  }

  writeConfig(offset: number, value: number, width: 1 | 2 | 4 = 4): void {
    this.#bench.write("registers", 0x100 + offset, value, width);
  }

  acknowledge(): number {
    const causes = this.get(0x060);
    this.set(0x064, causes);
    return causes;
  }
}

/** A disk over MMIO. */
export async function mmioDisk(
  backend: BlockBackend | undefined,
  config: Record<string, unknown> = {},
  ram = new GuestRam(new Uint8Array(8 << 20)),
): Promise<DiskBench & { port: MmioPort }> {
  const plugin = on(blkMmio, () => backend, ram);
  return await overMmio(plugin, config, (port) => new DiskDriver(ram, port));
}

/** A device over MMIO with what drives it. */
export async function overMmio<D extends Driver>(
  plugin: DevicePlugin,
  config: Record<string, unknown>,
  drive: (port: Port) => D,
): Promise<VirtioBench<D> & { port: MmioPort }> {
  const bench = await DeviceBench.create(plugin, { config });
  bench.device.reset();
  const port = new MmioPort(bench);
  return {
    bench,
    port,
    driver: drive(port),
    get irq(): boolean {
      return bench.level("irq");
    },
  };
}

/** A structure that a capability points to. */
interface Structure {
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
  /** Where the capability is. */
  readonly at: number;
}

/** The structures of a function by type, found as 4.1.4 says. */
export function structures({ space }: PciBenchBus): Map<number, Structure> {
  const found = new Map<number, Structure>();
  for (
    let at = space.readConfig(0x34, 1);
    at !== 0;
    at = space.readConfig(at + 1, 1)
  ) {
    if (space.readConfig(at, 1) !== 9) continue;
    found.set(space.readConfig(at + 3, 1), {
      bar: space.readConfig(at + 4, 1),
      offset: space.readConfig(at + 8, 4),
      length: space.readConfig(at + 12, 4),
      at,
    });
  }
  return found;
}

type Access = (
  structure: number,
  offset: number,
  width: 1 | 2 | 4,
  value?: number,
) => number;

/** Registers of a modern device, reached by `access`. */
export class ModernPort implements Port {
  readonly access: Access;
  readonly #multiplier: number;

  constructor(access: Access, multiplier: number) {
    this.access = access;
    this.#multiplier = multiplier;
  }

  features(word: number): number {
    this.access(1, 0, 4, word);
    return this.access(1, 4, 4);
  }

  accept(word: number, value: number): void {
    this.access(1, 8, 4, word);
    this.access(1, 12, 4, value);
  }

  get status(): number {
    return this.access(1, 0x14, 1);
  }

  set status(value: number) {
    this.access(1, 0x14, 1, value);
  }

  setQueue(index: number, size: number, place: QueuePlace): void {
    this.access(1, 0x16, 2, index);
    this.access(1, 0x18, 2, size);
    this.access(1, 0x20, 4, place.desc);
    this.access(1, 0x28, 4, place.driver);
    this.access(1, 0x30, 4, place.device);
    this.access(1, 0x1c, 2, 1);
  }

  notify(index: number): void {
    this.access(1, 0x16, 2, index);
    const offset = this.access(1, 0x1e, 2) * this.#multiplier;
    this.access(2, offset, 2, index);
  }

  config(offset: number, width: 1 | 2 | 4 = 4): number {
    return this.access(4, offset, width);
  }

  writeConfig(offset: number, value: number, width: 1 | 2 | 4 = 4): void {
    this.access(4, offset, width, value);
  }

  acknowledge(): number {
    return this.access(3, 0, 1);
  }
}

/** Registers of the legacy interface. */
export class LegacyPort implements Port {
  readonly #bench: DeviceBench;
  readonly base: number;
  /** Where the device's configuration is. */
  own = 0x14;

  constructor(bench: DeviceBench, base: number) {
    this.#bench = bench;
    this.base = base;
  }

  get(offset: number, width: 1 | 2 | 4): number {
    return this.#bench.ports.read(this.base + offset, width);
  }

  set(offset: number, width: 1 | 2 | 4, value: number): void {
    this.#bench.ports.write(this.base + offset, width, value);
  }

  features(word: number): number {
    return word === 0 ? this.get(0, 4) : 0;
  }

  accept(word: number, value: number): void {
    if (word === 0) this.set(4, 4, value);
  }

  get status(): number {
    return this.get(0x12, 1);
  }

  set status(value: number) {
    this.set(0x12, 1, value);
  }

  setQueue(index: number, _size: number, place: QueuePlace): void {
    this.set(0x0e, 2, index);
    this.set(0x08, 4, place.desc / 4096);
  }

  notify(index: number): void {
    this.set(0x10, 2, index);
  }

  config(offset: number, width: 1 | 2 | 4 = 4): number {
    return this.get(this.own + offset, width);
  }

  writeConfig(offset: number, value: number, width: 1 | 2 | 4 = 4): void {
    this.set(this.own + offset, width, value);
  }

  acknowledge(): number {
    return this.get(0x13, 1);
  }
}

/** Where the tests place a function's regions. */
export const BARS = [0xc000, 0xe0001000, 0, 0, 0xe0008000, 0] as const;

/** A disk over PCI, its regions placed, by one of its ways. */
export async function pciDisk(
  way: "modern" | "window" | "legacy",
  backend: BlockBackend,
  config: Record<string, unknown> = {},
): Promise<DiskBench & { bus: PciBenchBus }> {
  const ram = new GuestRam(new Uint8Array(8 << 20));
  const plugin = on(blkPci, () => backend, ram);
  return await overPci(
    way,
    plugin,
    config,
    (port) => new DiskDriver(ram, port),
  );
}

/** A device over PCI with what drives it. */
export async function overPci<D extends Driver>(
  way: "modern" | "window" | "legacy",
  plugin: DevicePlugin,
  config: Record<string, unknown>,
  drive: (port: Port) => D,
): Promise<VirtioBench<D> & { bus: PciBenchBus }> {
  const bus = new PciBenchBus();
  const bench = await DeviceBench.create(plugin, { config, use: { bus } });
  bench.device.reset();
  const { space } = bus;
  BARS.forEach((base, i) => space.writeConfig(0x10 + 4 * i, 4, base));
  // Old drivers leave bus mastering off.
  space.writeConfig(4, 2, way === "legacy" ? 3 : 7);
  const found = structures(bus);
  const direct: Access = (type, offset, width, value) => {
    const structure = found.get(type)!;
    const at = BARS[structure.bar] + structure.offset + offset;
    if (value === undefined) return bench.memory.read(at, width);
    bench.memory.write(at, width, value);
    return 0;
  };
  const window: Access = (type, offset, width, value) => {
    const structure = found.get(type)!;
    const { at } = found.get(5)!;
    space.writeConfig(at + 4, 1, structure.bar);
    space.writeConfig(at + 8, 4, structure.offset + offset);
    space.writeConfig(at + 12, 4, width);
    if (value === undefined) return space.readConfig(at + 16, width);
    space.writeConfig(at + 16, width, value);
    return 0;
  };
  const multiplier = space.readConfig(found.get(2)!.at + 16, 4);
  const port = way === "legacy"
    ? new LegacyPort(bench, BARS[0])
    : new ModernPort(way === "modern" ? direct : window, multiplier);
  return {
    bench,
    bus,
    driver: drive(port),
    get irq(): boolean {
      return bus.pins[0];
    },
  };
}
