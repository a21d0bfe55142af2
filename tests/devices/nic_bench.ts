/**
 * Network cards on the bench, on a network in memory; and the e1000 as its
 * driver sees it.
 *
 * @module
 */

import { assert } from "@std/assert";
import { MemoryNet } from "../../core/backend/memory_net.ts";
import { PciBenchBus } from "../../core/bus/pci_testing.ts";
import type { DevicePlugin } from "../../core/machine/plugin.ts";
import { DeviceBench } from "../../core/machine/testing.ts";
import e1000, { type E1000 } from "../../plugins/device/net/e1000.ts";
import {
  RCTL,
  RDBAH,
  RDBAL,
  RDH,
  RDLEN,
  RDT,
  TCTL,
  TDBAH,
  TDBAL,
  TDH,
  TDLEN,
  TDT,
} from "../../plugins/device/net/e1000_registers.ts";

/** The plugin with this network as its backend. */
export function onNet<C>(
  plugin: DevicePlugin<C>,
  net: () => MemoryNet | undefined,
): DevicePlugin<C> {
  return {
    ...plugin,
    create: (config, context) =>
      plugin.create(config, { ...context, net: () => net() }),
  };
}

/**
 * The plugin with a network whose frames come by writes to a region `network`:
 * the conformance kit's guest is at both ends of the cable.
 */
export function withFrames<C>(plugin: DevicePlugin<C>): DevicePlugin<C> {
  return {
    ...plugin,
    name: `${plugin.name} with a network`,
    declare: undefined,
    regions: { ...plugin.regions, network: { space: "ports", size: 4 } },
    create(config, context) {
      const net = new MemoryNet();
      const device = plugin.create(config, { ...context, net: () => net });
      context.io("network", {
        read() {
          net.sent.length = 0;
          return 0;
        },
        write(_offset, _width, value) {
          const to = (value & 1) === 0 ? MAC : MAC.map(() => 0xff);
          net.receive(frameTo(to, value >>> 1 & 0x7ff));
        },
      });
      return device;
    },
  };
}

/** The address of a card that is not configured otherwise. */
export const MAC = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);

/** A frame to an address, with a type and so many bytes in all. */
export function frameTo(
  to: readonly number[] | Uint8Array,
  length = 60,
  type = 0x88b5,
): Uint8Array {
  const frame = new Uint8Array(Math.max(length, 14));
  for (let i = 14; i < length; i++) frame[i] = i * 7;
  frame.set(to);
  frame.set([0x02, 0, 0, 0, 0, 1], 6);
  frame.set([type >> 8, type & 255], 12);
  return frame.subarray(0, length);
}

/** Transmit commands in a descriptor's byte 11. */
export const Command = {
  EOP: 0x01,
  IFCS: 0x02,
  IC: 0x04,
  TSE: 0x04,
  RS: 0x08,
  DEXT: 0x20,
  VLE: 0x40,
  IDE: 0x80,
} as const;

/** Where the driver has its rings and buffers. */
const TX_RING = 0x1000;
const RX_RING = 0x2000;
const TX_BUFFERS = 0x10000;
const RX_BUFFERS = 0x80000;
const DESCRIPTORS = 16;

/** What the card wrote to a receive descriptor. */
export interface ReceivedDescriptor {
  readonly length: number;
  readonly checksum: number;
  readonly status: number;
  readonly errors: number;
  readonly special: number;
  readonly bytes: Uint8Array;
}

/** The card and its driver. */
export class E1000Bench {
  readonly bench: DeviceBench<E1000>;
  readonly net: MemoryNet;
  readonly bus: PciBenchBus;
  readonly #view: DataView;
  #buffer = TX_BUFFERS;
  #taken = 0;
  readonly #bufferBytes: number;

  private constructor(
    bench: DeviceBench<E1000>,
    net: MemoryNet,
    bus: PciBenchBus,
    bufferBytes: number,
  ) {
    this.bench = bench;
    this.net = net;
    this.bus = bus;
    this.#view = new DataView(bench.ram.buffer);
    this.#bufferBytes = bufferBytes;
  }

  /** A card that answers and is a bus master; rings are `start`'s. */
  static async create(
    options: {
      offload?: boolean;
      config?: Record<string, unknown>;
      bufferBytes?: number;
    } = {},
  ): Promise<E1000Bench> {
    const net = new MemoryNet({ offload: options.offload });
    const bus = new PciBenchBus();
    const bench = await DeviceBench.create<E1000>(onNet(e1000, () => net), {
      use: { bus },
      config: options.config,
    });
    bench.device.reset();
    bus.space.writeConfig(4, 2, 7);
    return new E1000Bench(bench, net, bus, options.bufferBytes ?? 2048);
  }

  read(register: number): number {
    return this.bench.read("registers", register, 4);
  }

  write(register: number, value: number): void {
    this.bench.write("registers", register, value >>> 0, 4);
  }

  get pin(): boolean {
    return this.bus.pins[0];
  }

  /** Make rings and switch both sides on; broadcasts are received. */
  start(rctl = 0x8002, tctl = 0x0a): void {
    this.write(TDBAL, TX_RING);
    this.write(TDBAH, 0);
    this.write(TDLEN, DESCRIPTORS * 16);
    this.write(TDH, 0);
    this.write(TDT, 0);
    this.write(TCTL, tctl);
    this.write(RDBAL, RX_RING);
    this.write(RDBAH, 0);
    this.write(RDLEN, DESCRIPTORS * 16);
    this.write(RDH, 0);
    for (let i = 0; i < DESCRIPTORS; i++) {
      const at = RX_RING + 16 * i;
      this.bench.ram.fill(0, at, at + 16);
      this.#view.setUint32(at, RX_BUFFERS + i * this.#bufferBytes, true);
    }
    this.write(RDT, DESCRIPTORS - 1);
    this.write(RCTL, rctl);
  }

  /** Put bytes somewhere; gives back where. */
  place(bytes: Uint8Array): number {
    const at = this.#buffer;
    this.bench.ram.set(bytes, at);
    this.#buffer = TX_BUFFERS + (at - TX_BUFFERS + bytes.length) % 0x60000;
    return at;
  }

  /** Write a transmit descriptor at the tail; the tail stays. */
  describe(words: readonly [number, number, number, number], n = 0): void {
    const at = TX_RING + 16 * ((this.read(TDT) + n) % DESCRIPTORS);
    words.forEach((word, i) =>
      this.#view.setUint32(at + 4 * i, word >>> 0, true)
    );
  }

  /** Move the tail by so many descriptors. */
  kick(count: number): void {
    this.write(TDT, (this.read(TDT) + count) % DESCRIPTORS);
  }

  /** Send a frame by a legacy descriptor. */
  send(
    frame: Uint8Array,
    command = Command.EOP | Command.IFCS | Command.RS,
    options: { cso?: number; css?: number; special?: number } = {},
  ): void {
    const { cso = 0, css = 0, special = 0 } = options;
    this.describe([
      this.place(frame),
      0,
      frame.length | cso << 16 | command << 24,
      css << 8 | special << 16,
    ]);
    this.kick(1);
  }

  /** Send by a context and a data descriptor. */
  sendWith(
    frame: Uint8Array,
    context: {
      ip: readonly [number, number, number];
      tu: readonly [number, number, number];
      tucmd: number;
      hdrlen?: number;
      mss?: number;
    },
    command: number,
    popts: number,
    special = 0,
  ): void {
    const { ip, tu, tucmd, hdrlen = 0, mss = 0 } = context;
    const segmented = tucmd & Command.TSE;
    this.describe([
      ip[0] | ip[1] << 8 | ip[2] << 16,
      tu[0] | tu[1] << 8 | tu[2] << 16,
      (frame.length - hdrlen) & 0xfffff | (tucmd | Command.DEXT) << 24,
      hdrlen << 8 | mss << 16,
    ]);
    const flags = command | segmented | Command.DEXT | Command.EOP;
    this.describe([
      this.place(frame),
      0,
      frame.length | 1 << 20 | flags << 24,
      popts << 8 | special << 16,
    ], 1);
    this.kick(2);
  }

  /** Frames that were sent, since the last call. */
  sent(): Uint8Array[] {
    return this.net.sent.splice(0).map(({ bytes }) => bytes);
  }

  /** Status byte of the descriptor with this number. */
  transmitStatus(n: number): number {
    return this.bench.ram[TX_RING + 16 * n + 12];
  }

  /** Receive descriptors that are done, since the last call. */
  received(): ReceivedDescriptor[] {
    const found: ReceivedDescriptor[] = [];
    for (;;) {
      const at = RX_RING + 16 * this.#taken;
      const status = this.bench.ram[at + 12];
      if ((status & 1) === 0 || found.length === DESCRIPTORS) return found;
      const length = this.#view.getUint16(at + 8, true);
      const buffer = this.#view.getUint32(at, true);
      found.push({
        length,
        checksum: this.#view.getUint16(at + 10, true),
        status,
        errors: this.bench.ram[at + 13],
        special: this.#view.getUint16(at + 14, true),
        bytes: this.bench.ram.slice(buffer, buffer + length),
      });
      this.bench.ram[at + 12] = 0;
      this.#taken = (this.#taken + 1) % DESCRIPTORS;
    }
  }

  /** Give all descriptors back but one. */
  refill(): void {
    this.write(RDT, (this.#taken + DESCRIPTORS - 1) % DESCRIPTORS);
  }

  /** Let the receive descriptor with this number have no buffer. */
  withoutBuffer(n: number): void {
    const at = RX_RING + 16 * n;
    this.bench.ram.fill(0, at, at + 8);
  }

  /** The one frame that was received. */
  one(): ReceivedDescriptor {
    const found = this.received();
    assert(found.length === 1, `${found.length} descriptors are done`);
    return found[0];
  }
}
