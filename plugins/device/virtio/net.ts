/**
 * The network card: VIRTIO 1.2, 5.1, with one pair of queues and a control
 * queue. Offloads that the driver leaves to the card go on to the network, and
 * the network's to the driver, where both take them; elsewhere they are done
 * here in software.
 *
 * A packet to send is passed on as soon as the driver notifies of it, and its
 * buffer is given back at once. A frame for the guest that finds no room is not
 * taken: the network hears when the driver has made buffers available. Neither
 * queue has anything under way when the state is saved.
 *
 * In another network the guest is asked to announce itself (5.1.6.5.4): the network
 * may not know yet where it is.
 *
 * @module
 */

import type {
  FrameOffload,
  NetBackend,
  NetCard,
} from "../../../core/backend/net.ts";
import {
  applyChecksum,
  segment,
  segmentsOf,
} from "../../../core/backend/net_offload.ts";
import type { AccessWidth } from "../../../core/bus/handler.ts";
import { MAC_SCHEMA, macAddress } from "../../../core/backend/mac_address.ts";
import type { Logger } from "../../../core/machine/plugin.ts";
import type { Clock } from "../../../core/time/clock.ts";
import { STATUS_DRIVER_OK, VirtioDevice, type VirtioType } from "./device.ts";
import { type NetState, obey } from "./net_control.ts";
import { freshFilter, MAC_BYTES, takes } from "./net_filter.ts";
import {
  canTell,
  clearHeader,
  HEADER_BYTES,
  type HeaderFeatures,
  putLength,
  readHeader,
  setBuffers,
  SHORT_HEADER_BYTES,
  tellsLength,
  writeHeader,
} from "./net_header.ts";
import {
  type DescriptorChain,
  type Virtqueue,
  VirtqueueError,
} from "./virtqueue.ts";

/** Features (5.1.3). */
const F_CSUM = 1n << 0n;
const F_GUEST_CSUM = 1n << 1n;
const F_MTU = 1n << 3n;
const F_MAC = 1n << 5n;
const F_GUEST_TSO4 = 1n << 7n;
const F_GUEST_TSO6 = 1n << 8n;
const F_HOST_TSO4 = 1n << 11n;
const F_HOST_TSO6 = 1n << 12n;
const F_MRG_RXBUF = 1n << 15n;
const F_STATUS = 1n << 16n;
const F_CTRL_VQ = 1n << 17n;
const F_CTRL_RX = 1n << 18n;
const F_CTRL_VLAN = 1n << 19n;
const F_GUEST_ANNOUNCE = 1n << 21n;
const F_CTRL_MAC_ADDR = 1n << 23n;
const F_SPEED_DUPLEX = 1n << 63n;
const FEATURES = F_CSUM | F_GUEST_CSUM | F_MTU | F_MAC | F_GUEST_TSO4 |
  F_GUEST_TSO6 | F_HOST_TSO4 | F_HOST_TSO6 | F_MRG_RXBUF | F_STATUS |
  F_CTRL_VQ | F_CTRL_RX | F_CTRL_VLAN | F_GUEST_ANNOUNCE | F_CTRL_MAC_ADDR |
  F_SPEED_DUPLEX;

/** Offsets in the configuration space (5.1.4). */
const MAC = 0;
const STATUS = 6;
const MAX_VIRTQUEUE_PAIRS = 8;
const MTU = 10;
const SPEED = 12;
const DUPLEX = 16;
const CONFIG_BYTES = 17;
/** Bits of its status. */
const S_LINK_UP = 1;
const S_ANNOUNCE = 2;
/** Megabits in a second, and full duplex. */
const SPEED_MBIT = 10_000;
const DUPLEX_FULL = 1;

/** The queues, and their greatest size. */
const RX = 0;
const TX = 1;
const CTRL = 2;
const QUEUE_SIZE = 256;
const CTRL_QUEUE_SIZE = 64;

/** The answers to commands. */
const ACK_OK = 0;
const ACK_ERR = 1;

/** Bytes of Ethernet's header, less than which no frame has. */
const ETHERNET_BYTES = 14;
/** The longest frame: 64 KiB of IP behind Ethernet's header and two tags. */
const FRAME_BYTES = 65536 + ETHERNET_BYTES + 8;
/** So many segments that are cut in software take the time of a chain. */
const SEGMENTS_A_CHAIN = 8;

/** Configuration of a network card. */
export interface VirtioNetConfig {
  /** The MAC address; one by the device's name when absent. */
  readonly mac?: string;
  /** The greatest length of a packet of IP, in bytes. */
  readonly mtu: number;
}

const NOTHING: HeaderFeatures = { checksum: false, tso4: false, tso6: false };

/** A network card. */
export class VirtioNet extends VirtioDevice<NetState> implements NetCard {
  /** See `NetCard`: what the driver does not take is done here. */
  readonly offload = true;
  /** See `VirtioDevice`. */
  protected override readonly config = new Uint8Array(CONFIG_BYTES);
  readonly #backend: NetBackend;
  readonly #log: Logger;
  readonly #mac: Uint8Array;
  #state: NetState;
  /** A packet that is sent, with its header. */
  readonly #packet = new Uint8Array(HEADER_BYTES + FRAME_BYTES);
  readonly #packetView = new DataView(this.#packet.buffer);
  /** A header for the guest. */
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);
  /** What the driver accepted: bytes of a header, and in which direction. */
  #headerBytes = HEADER_BYTES;
  #isMergeable = false;
  #filtersVlans = false;
  #sends = NOTHING;
  #receives = NOTHING;
  /** A frame was not taken, and the backend waits to hear of room. */
  #isFull = false;
  /** The chains that a frame goes to. */
  readonly #chains: DescriptorChain[] = [];
  readonly #emit = (frame: Uint8Array): void => this.#backend.send(frame);
  readonly #keep = (frame: Uint8Array): void => void this.#store(frame);

  /** A card on a network. */
  constructor(
    backend: NetBackend,
    { mac, mtu }: VirtioNetConfig,
    { name, clock, log }: {
      readonly name: string;
      readonly clock: Clock;
      readonly log: Logger;
    },
  ) {
    super({
      features: FEATURES,
      queues: [QUEUE_SIZE, QUEUE_SIZE, CTRL_QUEUE_SIZE],
      clock,
      log,
    });
    this.#backend = backend;
    this.#log = log;
    this.#mac = macAddress(mac, name);
    this.#state = this.#fresh(true);
    const view = new DataView(this.config.buffer);
    view.setUint16(MAX_VIRTQUEUE_PAIRS, 1, true);
    view.setUint16(MTU, mtu, true);
    view.setUint32(SPEED, SPEED_MBIT, true);
    view.setUint8(DUPLEX, DUPLEX_FULL);
    this.reset();
    backend.attach(this);
  }

  /** See `VirtioDevice`. */
  protected override freshDevice(): NetState {
    return this.#fresh(this.#state.cable);
  }

  #fresh(cable: boolean): NetState {
    return { ...freshFilter(this.#mac), announce: false, cable };
  }

  /** See `VirtioDevice`. */
  protected override get deviceState(): NetState {
    return this.#state;
  }

  /** See `VirtioDevice`. */
  protected override adoptDevice(state: NetState): void {
    this.#state = state;
    this.#showConfig();
    this.negotiated();
    // Whatever it waited for, there is no reason to any more.
    this.#hasRoom();
  }

  #showConfig(): void {
    const { mac, announce, cable } = this.#state;
    this.config.set(mac, MAC);
    this.config[STATUS] = (cable ? S_LINK_UP : 0) |
      (announce ? S_ANNOUNCE : 0);
  }

  /** See `VirtioDevice`. */
  protected override negotiated(): void {
    this.#isMergeable = this.has(F_MRG_RXBUF);
    this.#headerBytes = this.isLegacy && !this.#isMergeable
      ? SHORT_HEADER_BYTES
      : HEADER_BYTES;
    this.#filtersVlans = this.has(F_CTRL_VLAN);
    this.#sends = {
      checksum: this.has(F_CSUM),
      tso4: this.has(F_HOST_TSO4),
      tso6: this.has(F_HOST_TSO6),
    };
    this.#receives = {
      checksum: this.has(F_GUEST_CSUM),
      tso4: this.has(F_GUEST_TSO4),
      tso6: this.has(F_GUEST_TSO6),
    };
  }

  /** Frames may wait that had no room in the state of before. */
  protected override restored(): void {
    this.#hasRoom();
  }

  /** See `Device.announce`. */
  override announce(): void {
    if (!this.has(F_GUEST_ANNOUNCE) || !this.has(F_CTRL_VQ)) return;
    if (!this.#isDriven) return;
    this.#state.announce = true;
    this.#showConfig();
    this.configChanged();
  }

  /** See `Device.cable`. */
  override get cable(): boolean {
    return this.#state.cable;
  }
  override set cable(isIn: boolean) {
    if (this.#state.cable === isIn) return;
    this.#state.cable = isIn;
    this.#showConfig();
    this.configChanged();
    // What waits for room is lost without a cable.
    this.#hasRoom();
  }

  /** A legacy driver sets the address so (5.1.4). */
  protected override configWritten(
    offset: number,
    width: AccessWidth,
    value: number,
  ): void {
    if (!this.isLegacy || offset + width > MAC + MAC_BYTES) return;
    for (let i = 0; i < width; i++) {
      this.#state.mac[offset - MAC + i] = value >>> 8 * i;
    }
    this.#showConfig();
  }

  /** Whether there is a driver that is done with its preparations. */
  get #isDriven(): boolean {
    return this.isLive && (this.status & STATUS_DRIVER_OK) !== 0;
  }

  /** See `VirtioDevice`. */
  protected override process(queue: Virtqueue): void {
    if (queue === this.queues[RX]) return this.#hasRoom();
    if ((this.status & STATUS_DRIVER_OK) === 0) return;
    // One time more, to find it empty.
    const most = queue.state.size + 1;
    for (let i = 0; i < most && this.hasTime; i++) {
      const chain = queue.pop();
      if (chain === undefined) return;
      this.resume(queue, chain);
    }
  }

  /** See `VirtioDevice`. */
  protected override resume(queue: Virtqueue, chain: DescriptorChain): void {
    const written = queue === this.queues[TX]
      ? this.#transmit(chain)
      : queue === this.queues[CTRL]
      ? this.#command(chain)
      : 0;
    this.complete(queue, chain, written);
  }

  // From the guest.

  #transmit(chain: DescriptorChain): number {
    const bytes = this.#headerBytes;
    const { readable } = chain;
    if (!this.#state.cable) return 0;
    if (readable < bytes) throw new VirtqueueError("a packet without a header");
    if (readable < bytes + ETHERNET_BYTES || readable > bytes + FRAME_BYTES) {
      this.#log.guest("packet", "too short or too long");
      return 0;
    }
    chain.read(0, this.#packet.subarray(0, readable));
    const frame = this.#packet.subarray(bytes, readable);
    const offload = readHeader(this.#packetView, frame, this.#sends);
    if (typeof offload === "string") this.#log.guest("header", offload);
    else if (offload === undefined) this.#backend.send(frame);
    else this.#send(frame, offload);
    return 0;
  }

  #send(frame: Uint8Array, offload: FrameOffload): void {
    if (this.#backend.offload) return this.#backend.send(frame, offload);
    this.spend(Math.floor(segmentsOf(frame, offload) / SEGMENTS_A_CHAIN));
    const isDone = segment(frame, offload, this.#emit);
    if (!isDone) this.#log.guest("header", "segments of no TCP");
  }

  // To the guest.

  /** See `NetCard`: without a driver a frame is lost. */
  receive(frame: Uint8Array, offload?: FrameOffload): boolean {
    const { length } = frame;
    if (!this.#state.cable || !this.#isDriven) return true;
    if (!this.queues[RX].state.ready) return true;
    if (length < ETHERNET_BYTES || length > FRAME_BYTES) return true;
    if (!takes(this.#state, frame, this.#filtersVlans)) return true;
    try {
      clearHeader(this.#headerView);
      if (offload === undefined) return this.#store(frame);
      if (canTell(offload, this.#receives)) return this.#tell(frame, offload);
      return this.#finish(frame, offload);
    } catch (error) {
      this.fail(error);
      return true;
    }
  }

  /** Store a frame with an offload that the driver takes. */
  #tell(frame: Uint8Array, offload: FrameOffload): boolean {
    if (!writeHeader(this.#headerView, frame, offload)) return true;
    const kind = offload.segments?.kind;
    if (kind === undefined || tellsLength(frame, kind)) {
      return this.#store(frame);
    }
    const copy = frame.slice();
    return putLength(copy, kind) ? this.#store(copy) : true;
  }

  /** Do what an offload leaves undone, and store what comes of it. */
  #finish(frame: Uint8Array, offload: FrameOffload): boolean {
    if (offload.segments === undefined) {
      const copy = frame.slice();
      return applyChecksum(copy, offload) ? this.#store(copy) : true;
    }
    // All segments or none: each has at least one chain.
    const [queue] = this.queues;
    const count = segmentsOf(frame, offload);
    if (!(count <= queue.state.size)) return true;
    if (queue.available() < count && queue.listen() < count) {
      this.#isFull = true;
      return false;
    }
    segment(frame, offload, this.#keep);
    return true;
  }

  /**
   * Store a frame behind the header, in one chain or in as many as it takes.
   * False when there are too few.
   */
  #store(frame: Uint8Array): boolean {
    const [queue] = this.queues;
    const chains = this.#chains;
    const total = this.#headerBytes + frame.length;
    let room = 0;
    chains.length = 0;
    while (room < total) {
      // A frame for which the whole queue is too small will never have room.
      const isHopeless = chains.length > 0 &&
        (!this.#isMergeable || chains.length >= queue.state.size);
      const chain = isHopeless ? undefined : queue.pop();
      if (chain === undefined) {
        while (chains.length > 0) queue.untake(chains.pop()!);
        if (isHopeless) this.#log.guest("buffer", "too small for a frame");
        else this.#isFull = true;
        return isHopeless;
      }
      const least = chains.length === 0 ? this.#headerBytes : 1;
      if (chain.writable < least) {
        throw new VirtqueueError("a receive buffer without room");
      }
      chains.push(chain);
      room += chain.writable;
    }
    if (this.#headerBytes === HEADER_BYTES) {
      setBuffers(this.#headerView, chains.length);
    }
    this.#fill(queue, frame);
    return true;
  }

  /** Write header and frame to the chains, and give them back. */
  #fill(queue: Virtqueue, frame: Uint8Array): void {
    const chains = this.#chains;
    const bytes = this.#headerBytes;
    const isShort = bytes === SHORT_HEADER_BYTES;
    chains[0].write(
      0,
      isShort ? this.#header.subarray(0, bytes) : this.#header,
    );
    let done = 0;
    for (let i = 0; i < chains.length; i++) {
      const chain = chains[i];
      const before = i === 0 ? bytes : 0;
      const size = Math.min(frame.length - done, chain.writable - before);
      const isWhole = size === frame.length;
      chain.write(
        before,
        isWhole ? frame : frame.subarray(done, done + size),
      );
      done += size;
      this.complete(queue, chain, before + size);
    }
    chains.length = 0;
  }

  #hasRoom(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#backend.ready();
  }

  /** Carry a command out; gives back how many bytes the answer has. */
  #command(chain: DescriptorChain): number {
    const isDone = obey(chain, this.#state, {
      rx: this.has(F_CTRL_RX),
      vlan: this.has(F_CTRL_VLAN),
      mac: this.has(F_CTRL_MAC_ADDR),
    });
    this.#showConfig();
    return chain.write(0, Uint8Array.of(isDone ? ACK_OK : ACK_ERR));
  }
}

/** Network cards, for a transport. */
export const NET: VirtioType<VirtioNetConfig> = {
  name: "net",
  version: "1.1.0",
  description: "a network card",
  id: 1,
  transitionalId: 0x1000,
  pciClass: 0x020000,
  config: {
    mac: MAC_SCHEMA,
    mtu: {
      type: "integer",
      description: "The greatest length of a packet of IP, in bytes",
      minimum: 68,
      maximum: 65535,
      default: 1500,
    },
  },
  backends: { net: { type: "net" } },
  check: ({ mac }) => void macAddress(mac, ""),
  create(config, context) {
    const backend = context.net("net");
    return backend && new VirtioNet(backend, config, context);
  },
};
