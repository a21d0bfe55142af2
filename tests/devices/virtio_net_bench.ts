/**
 * A virtio network card on the bench, on a network in memory, with its driver.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { MemoryNet } from "../../core/backend/memory_net.ts";
import type { NetBackend } from "../../core/backend/net.ts";
import type { DevicePlugin } from "../../core/machine/plugin.ts";
import netMmio from "../../plugins/device/virtio/net_mmio.ts";
import netPci from "../../plugins/device/virtio/net_pci.ts";
import { settled } from "./ide_bench.ts";
import { Driver, overMmio, overPci, type VirtioBench } from "./virtio_bench.ts";
import { type Descriptor, GuestRam, WRITE } from "./virtio_driver.ts";

/** Features by bit. */
export const NetFeature = {
  CSUM: 0,
  GUEST_CSUM: 1,
  MTU: 3,
  MAC: 5,
  GUEST_TSO4: 7,
  GUEST_TSO6: 8,
  HOST_TSO4: 11,
  HOST_TSO6: 12,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_VLAN: 19,
  GUEST_ANNOUNCE: 21,
  CTRL_MAC_ADDR: 23,
  INDIRECT_DESC: 28,
  EVENT_IDX: 29,
  VERSION_1: 32,
  SPEED_DUPLEX: 63,
} as const;

/** Queues. */
export const RX = 0;
export const TX = 1;
export const CTRL = 2;
/** Their sizes when a driver does not choose them. */
export const SIZES = [256, 256, 64];

/** The plugin on this network, in this guest memory. */
export function onNet(
  plugin: DevicePlugin,
  net: () => NetBackend | undefined,
  ram?: GuestRam,
): DevicePlugin {
  return {
    ...plugin,
    create: (config, context) =>
      plugin.create(config, { ...context, dma: ram ?? context.dma, net }),
  };
}

/** A packet as the driver finds it. */
export interface Packet {
  readonly header: Uint8Array;
  readonly frame: Uint8Array;
  /** Bytes of each buffer that it is in. */
  readonly lengths: readonly number[];
}

/** A header; fields that are not given are 0. */
export function header(
  fields: {
    readonly flags?: number;
    readonly gso?: number;
    readonly headers?: number;
    readonly size?: number;
    readonly start?: number;
    readonly offset?: number;
  } = {},
  length = 12,
): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, fields.flags ?? 0);
  view.setUint8(1, fields.gso ?? 0);
  view.setUint16(2, fields.headers ?? 0, true);
  view.setUint16(4, fields.size ?? 0, true);
  view.setUint16(6, fields.start ?? 0, true);
  view.setUint16(8, fields.offset ?? 0, true);
  return bytes;
}

/** A network card's driver. */
export class NetDriver extends Driver {
  /** Where the receive buffers are, by head. */
  readonly #buffers = new Map<number, Descriptor[]>();

  /** Bytes in guest memory. */
  place(bytes: Uint8Array): Descriptor {
    const address = this.alloc(bytes.length);
    this.ram.bytes.set(bytes, address);
    return { address, length: bytes.length };
  }

  /** Put a packet in the ring, in descriptors of these parts. */
  offer(...parts: readonly Uint8Array[]): number {
    const head = this.queues[TX].chain(parts.map((part) => this.place(part)));
    this.queues[TX].offer(head);
    return head;
  }

  /** Send a packet; gives back how many were used. */
  send(...parts: readonly Uint8Array[]): number {
    this.offer(...parts);
    this.port.notify(TX);
    return this.queues[TX].take().length;
  }

  /** Make buffers available, each of descriptors of these lengths. */
  give(...buffers: readonly (readonly number[])[]): void {
    const queue = this.queues[RX];
    for (const lengths of buffers) {
      const descriptors = lengths.map((length) => ({
        address: this.alloc(length),
        length,
        flags: WRITE,
      }));
      const head = queue.chain(descriptors);
      this.#buffers.set(head, descriptors);
      queue.offer(head);
    }
    this.port.notify(RX);
  }

  /** The packets that have come; headers have so many bytes. */
  async take(headerBytes = 12): Promise<Packet[]> {
    await settled();
    const packets: Packet[] = [];
    const used = this.queues[RX].take();
    while (used.length > 0) {
      const parts: number[] = [];
      const lengths: number[] = [];
      let count = 1;
      for (let i = 0; i < count; i++) {
        const { id, length } = used.shift()!;
        lengths.push(length);
        let left = length;
        for (const { address, length } of this.#buffers.get(id)!) {
          const n = Math.min(left, length);
          parts.push(...this.ram.bytes.subarray(address, address + n));
          left -= n;
        }
        assertEquals(left, 0);
        if (i === 0 && headerBytes === 12) count = parts[10] | parts[11] << 8;
      }
      packets.push({
        header: Uint8Array.from(parts.slice(0, headerBytes)),
        frame: Uint8Array.from(parts.slice(headerBytes)),
        lengths,
      });
    }
    return packets;
  }

  /** Give a command; gives back the answer. */
  command(kind: number, command: number, ...data: readonly number[]): number {
    const queue = this.queues[CTRL];
    const answer = this.alloc(1);
    this.ram.bytes[answer] = 0xee;
    queue.offer(queue.chain([
      this.place(Uint8Array.of(kind, command)),
      this.place(Uint8Array.from(data)),
      { address: answer, length: 1, flags: WRITE },
    ]));
    this.port.notify(CTRL);
    assertEquals(queue.take().map(({ length }) => length), [1]);
    return this.ram.bytes[answer];
  }
}

/** A card on the bench. */
export type NetBench = VirtioBench<NetDriver> & { readonly net: MemoryNet };

/** A card that is reached in one of the ways. */
export async function card(
  way: "mmio" | "modern" | "legacy",
  options: {
    readonly offload?: boolean;
    readonly config?: Record<string, unknown>;
    readonly ram?: GuestRam;
  } = {},
): Promise<NetBench> {
  const { offload, config = {} } = options;
  const ram = options.ram ?? new GuestRam(new Uint8Array(16 << 20));
  const net = new MemoryNet({ offload });
  const drive = (port: Driver["port"]): NetDriver => new NetDriver(ram, port);
  const made = way === "mmio"
    ? await overMmio(onNet(netMmio, () => net, ram), config, drive)
    : await overPci(way, onNet(netPci, () => net, ram), config, drive);
  return Object.assign(made, { net });
}

/** A card over MMIO whose driver has started, without these features. */
export async function started(
  options: Parameters<typeof card>[1] & { without?: readonly number[] } = {},
): Promise<NetBench> {
  const made = await card("mmio", options);
  made.driver.start(options.without, 3, SIZES);
  return made;
}
