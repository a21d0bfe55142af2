/**
 * How the 82540EM transmits: legacy, context and data descriptors, checksums,
 * segmentation, tags of VLANs.
 *
 * A driver may give a ring that is all work: so much is done in a period of
 * virtual time, and the rest in the next.
 *
 * Source: the Software Developer's Manual (317453), 3.3 to 3.5.
 *
 * @module
 */

import type { FrameOffload } from "../../../core/backend/net.ts";
import {
  cut,
  internetChecksum,
  segmentsOf,
} from "../../../core/backend/net_offload.ts";
import type { DmaPort } from "../../../core/machine/plugin.ts";
import {
  count,
  CTRL,
  CTRL_VME,
  Stat,
  TCTL,
  TDBAH,
  TDBAL,
  TDH,
  TDLEN,
  TDT,
  TXDCTL,
  VET,
} from "./e1000_registers.ts";

/** TCTL: enabled. */
const TCTL_EN = 1 << 1;
/** TCTL: pad short packets. */
const TCTL_PSP = 1 << 3;

const DESCRIPTOR_BYTES = 16;
/** DCMD, TUCMD and CMD: bits of the descriptor's eleventh byte. */
const EOP = 1 << 0;
/** Legacy: insert a checksum. */
const IC = 1 << 2;
/** Data and context: this is to be segmented. */
const TSE = 1 << 2;
const RS = 1 << 3;
const RPS = 1 << 4;
const DEXT = 1 << 5;
const VLE = 1 << 6;
const IDE = 1 << 7;
/** TUCMD: TCP, not UDP; IPv4, not IPv6. */
const TUCMD_TCP = 1 << 0;
const TUCMD_IP = 1 << 1;
/** POPTS: insert the checksum of IP; of TCP or UDP. */
const IXSM = 1 << 0;
const TXSM = 1 << 1;
/** STA: done. */
const DD = 1 << 0;

/** The least that is on the wire, without the check sequence. */
const MIN_FRAME = 60;
const ETHERNET_HEADER = 14;
const TAG_AT = 12;
const TAG_BYTES = 4;
/** The longest packet that is not segmented: what fits in the buffer. */
const MAX_FRAME = 16384;
/** The longest that is. */
const MAX_SEGMENTED = (256 << 10) + 256;
/** The longest frame that a network takes whole, to segment it itself. */
const MAX_WHOLE = 65535;
const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;

/**
 * Work that is done in a period, in bytes of guest memory; a descriptor and a
 * frame cost some more. Eight times what the wire could carry: but another
 * device's bus master may write the tail once for each entry of a table, all
 * within one access of the guest.
 */
const MOST_WORK = 1 << 20;
const DESCRIPTOR_WORK = 64;
const FRAME_WORK = 1024;

/** A context: where checksums are, how to segment. */
export interface TransmitContext {
  /** IP: start, where the sum goes, end (0: the packet's). */
  ipcss: number;
  /** See `ipcss`. */
  ipcso: number;
  /** See `ipcss`. */
  ipcse: number;
  /** TCP or UDP, likewise. */
  tucss: number;
  /** See `tucss`. */
  tucso: number;
  /** See `tucss`. */
  tucse: number;
  /** TUCMD. */
  tucmd: number;
  /** HDRLEN. */
  hdrlen: number;
  /** MSS. */
  mss: number;
}

/** The transmitter's state beside the registers. */
export interface TransmitState {
  /** The last context for packets that are not segmented. */
  plain: TransmitContext;
  /** The last context for those that are. */
  segmented: TransmitContext;
  /** What there is of a packet whose last descriptor has not come. */
  packet: Uint8Array;
  /** It is too long, and lost. */
  isLost: boolean;
  /** POPTS of its first descriptor. */
  popts: number;
  /** The tag to be inserted; -1: none. */
  tag: number;
  /** Work that was done in this period. */
  work: number;
}

const freshContext = (): TransmitContext => ({
  ipcss: 0,
  ipcso: 0,
  ipcse: 0,
  tucss: 0,
  tucso: 0,
  tucse: 0,
  tucmd: 0,
  hdrlen: 0,
  mss: 0,
});

/** The state after reset. */
export function freshTransmit(): TransmitState {
  return {
    plain: freshContext(),
    segmented: freshContext(),
    packet: new Uint8Array(0),
    isLost: false,
    popts: 0,
    tag: -1,
    work: 0,
  };
}

/** What the transmitter needs of its card. */
export interface TransmitParts {
  /** Guest memory. */
  readonly memory: DmaPort;
  /** Whether frames may leave work to who takes them. */
  readonly offload: () => boolean;
  /** A frame goes out. */
  readonly send: (frame: Uint8Array, offload?: FrameOffload) => void;
  /** A descriptor was written back; its interrupt may be delayed. */
  readonly done: (isDelayed: boolean) => void;
}

/** The transmitter. */
export class Transmitter {
  readonly #parts: TransmitParts;
  readonly #descriptor = new Uint8Array(DESCRIPTOR_BYTES);
  readonly #view = new DataView(this.#descriptor.buffer);
  /** Bytes 12 to 15, which are written back. */
  readonly #status = this.#descriptor.subarray(12);
  #buffer = new Uint8Array(4096);
  #size = 0;
  /** A frame with its tag. */
  #tagged = new Uint8Array(2048);
  #regs: Uint32Array;
  #state = freshTransmit();

  /** A transmitter; `adopt` gives the state. */
  constructor(regs: Uint32Array, parts: TransmitParts) {
    this.#regs = regs;
    this.#parts = parts;
  }

  /** Go on from this state. */
  adopt(regs: Uint32Array, state: TransmitState): void {
    this.#regs = regs;
    this.#state = state;
    const { packet } = state;
    this.#size = Math.min(packet.length, MAX_SEGMENTED);
    this.#reserve(this.#size);
    this.#buffer.set(packet.subarray(0, this.#size));
  }

  /** The state, to be saved. */
  get saved(): TransmitState {
    return { ...this.#state, packet: this.#buffer.subarray(0, this.#size) };
  }

  #reserve(size: number): void {
    if (size <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(size, 2 * this.#buffer.length));
    larger.set(this.#buffer.subarray(0, this.#size));
    this.#buffer = larger;
  }

  /** Whether the transmitter is on and has descriptors. */
  get hasWork(): boolean {
    return (this.#regs[TCTL >> 2] & TCTL_EN) !== 0 &&
      this.#regs[TDH >> 2] !== this.#regs[TDT >> 2] &&
      this.#regs[TDLEN >> 2] !== 0;
  }

  /** How many descriptors the driver has made and the card has not taken. */
  get left(): number {
    const size = this.#regs[TDLEN >> 2] / DESCRIPTOR_BYTES;
    const ahead = this.#regs[TDT >> 2] - this.#regs[TDH >> 2];
    return ahead < 0 ? ahead + size : ahead;
  }

  /** Whether there are fewer descriptors than TXDCTL's LWTHRESH says. */
  get isLow(): boolean {
    const threshold = (this.#regs[TXDCTL >> 2] >>> 25) * 8;
    return this.left < threshold;
  }

  /** Whether nothing more can be done in this period. */
  get isTired(): boolean {
    return this.#state.work >= MOST_WORK;
  }

  /** Whether there was work in this period. */
  get wasBusy(): boolean {
    return this.#state.work > 0;
  }

  /** Another period begins. */
  rest(): void {
    this.#state.work = 0;
  }

  /** Take descriptors; gives back how many. */
  run(): number {
    const regs = this.#regs;
    const size = regs[TDLEN >> 2] / DESCRIPTOR_BYTES;
    const base = regs[TDBAH >> 2] * 2 ** 32 + regs[TDBAL >> 2];
    let n = 0;
    // A tail beyond the ring would never be reached: once around is enough.
    for (; n < size && this.hasWork && !this.isTired; n++) {
      this.#state.work += DESCRIPTOR_WORK;
      const head = regs[TDH >> 2];
      const at = base + head * DESCRIPTOR_BYTES;
      this.#parts.memory.read(at, this.#descriptor);
      this.#take();
      const next = head + 1;
      regs[TDH >> 2] = next >= size ? 0 : next;
      const command = this.#descriptor[11];
      if ((command & (RS | RPS)) === 0) continue;
      this.#descriptor[12] = this.#descriptor[12] & 0xf0 | DD;
      this.#parts.memory.write(at + 12, this.#status);
      this.#parts.done((command & IDE) !== 0);
    }
    return n;
  }

  #take(): void {
    const bytes = this.#descriptor;
    const view = this.#view;
    const command = bytes[11];
    const address = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
    if ((command & DEXT) === 0) {
      this.#append(address, view.getUint16(8, true), MAX_FRAME);
      this.#noteTag(command);
      if ((command & EOP) === 0) return;
      if ((command & IC) !== 0) this.#checksum(bytes[13], bytes[10], 0);
      return this.#finish();
    }
    if (bytes[10] >> 4 === 0) return this.#takeContext();
    // Other types than data are reserved.
    if (bytes[10] >> 4 !== 1) return;
    if (this.#size === 0) this.#state.popts = bytes[13];
    const isSegmented = (command & TSE) !== 0;
    const length = view.getUint32(8, true) & 0xfffff;
    this.#append(address, length, isSegmented ? MAX_SEGMENTED : MAX_FRAME);
    this.#noteTag(command);
    if ((command & EOP) === 0) return;
    if (isSegmented) this.#segment();
    else this.#finishData();
  }

  #takeContext(): void {
    const view = this.#view;
    const bytes = this.#descriptor;
    const isSegmented = (bytes[11] & TSE) !== 0;
    const context = isSegmented ? this.#state.segmented : this.#state.plain;
    context.ipcss = bytes[0];
    context.ipcso = bytes[1];
    context.ipcse = view.getUint16(2, true);
    context.tucss = bytes[4];
    context.tucso = bytes[5];
    context.tucse = view.getUint16(6, true);
    context.tucmd = bytes[11];
    context.hdrlen = bytes[13];
    context.mss = view.getUint16(14, true);
  }

  /** A tag is in the descriptor that has VLE. */
  #noteTag(command: number): void {
    if ((command & VLE) === 0) return;
    if ((this.#regs[CTRL >> 2] & CTRL_VME) === 0) return;
    this.#state.tag = this.#view.getUint16(14, true);
  }

  #append(address: number, length: number, most: number): void {
    if (this.#state.isLost || this.#size + length > most) {
      this.#state.isLost = true;
      return;
    }
    this.#reserve(this.#size + length);
    const end = this.#size + length;
    this.#parts.memory.read(address, this.#buffer.subarray(this.#size, end));
    this.#size = end;
    this.#state.work += length;
  }

  /** Sum bytes from `css` to `cse` (0: to the end) and store at `cso`. */
  #checksum(css: number, cso: number, cse: number): void {
    const end = cse === 0 ? this.#size : Math.min(cse + 1, this.#size);
    if (css >= end || cso + 2 > this.#size) return;
    const sum = internetChecksum(this.#buffer, css, end) || 0xffff;
    this.#buffer[cso] = sum >>> 8;
    this.#buffer[cso + 1] = sum;
  }

  /** The end of a packet that is not segmented. */
  #finishData(): void {
    const { popts, plain } = this.#state;
    if ((popts & IXSM) !== 0) {
      this.#checksum(plain.ipcss, plain.ipcso, plain.ipcse);
    }
    if ((popts & TXSM) === 0) return this.#finish();
    const { tucss, tucso, tucse } = plain;
    const isWhole = tucse === 0 && tucso >= tucss && tucso + 2 <= this.#size;
    if (isWhole && this.#size >= MIN_FRAME && this.#parts.offload()) {
      return this.#finish({
        checksum: { start: tucss, offset: tucso - tucss },
      });
    }
    this.#checksum(tucss, tucso, tucse);
    this.#finish();
  }

  #segment(): void {
    const { segmented: context, popts, isLost } = this.#state;
    const { ipcss, tucss, tucmd, hdrlen, mss } = context;
    const packet = this.#buffer.subarray(0, this.#size);
    const layout = {
      network: ipcss,
      isIpv6: (tucmd & TUCMD_IP) === 0,
      transport: tucss,
      isTcp: (tucmd & TUCMD_TCP) !== 0,
      headers: hdrlen,
      bytes: mss,
      keepsIpChecksum: (popts & IXSM) === 0,
      keepsChecksum: (popts & TXSM) === 0,
    };
    if (!isLost) {
      const isWhole = this.#size > hdrlen + mss && this.#isWhole(context);
      if (isWhole) this.#sendWhole(context);
      const isSent = isWhole ||
        cut(packet, layout, (frame) => this.#emit(frame));
      if (isSent && layout.isTcp) count(this.#regs, Stat.TSCTC);
    }
    this.#forget();
  }

  /** Whether who takes the frame can segment it. */
  #isWhole({ ipcss, tucss, tucso, tucmd, hdrlen, mss }: TransmitContext) {
    if (!this.#parts.offload() || (tucmd & TUCMD_TCP) === 0) return false;
    if ((this.#state.popts & (IXSM | TXSM)) !== (IXSM | TXSM)) return false;
    const bytes = this.#buffer;
    const isIpv4 = (tucmd & TUCMD_IP) !== 0;
    const type = bytes[ipcss - 2] << 8 | bytes[ipcss - 1];
    const ipHeader = isIpv4 ? (bytes[ipcss] & 15) * 4 : 40;
    return mss > 0 && ipcss === ETHERNET_HEADER &&
      type === (isIpv4 ? TYPE_IPV4 : TYPE_IPV6) &&
      bytes[ipcss] >> 4 === (isIpv4 ? 4 : 6) &&
      bytes[ipcss + (isIpv4 ? 9 : 6)] === 6 && ipHeader >= 20 &&
      tucss === ipcss + ipHeader && tucso === tucss + 16 &&
      hdrlen === tucss + (bytes[tucss + 12] >> 4) * 4 && hdrlen >= tucss + 20 &&
      this.#size - ipcss <= MAX_WHOLE;
  }

  /** Send a packet that is segmented later: its lengths are its own. */
  #sendWhole(context: TransmitContext): void {
    const { ipcss, tucss, tucso, hdrlen, mss, tucmd } = context;
    const bytes = this.#buffer;
    const isIpv4 = (tucmd & TUCMD_IP) !== 0;
    const put = (at: number, value: number): void => {
      bytes[at] = value >>> 8;
      bytes[at + 1] = value;
    };
    if (isIpv4) {
      put(ipcss + 2, this.#size - ipcss);
      put(ipcss + 10, 0);
      put(ipcss + 10, internetChecksum(bytes, ipcss, tucss));
    } else put(ipcss + 4, this.#size - ipcss - 40);
    // The driver has left the length out of the pseudo header.
    const sum = (bytes[tucso] << 8 | bytes[tucso + 1]) + this.#size - tucss;
    put(tucso, (sum & 0xffff) + (sum >>> 16));
    const segments = {
      kind: isIpv4 ? "tcp4" : "tcp6",
      bytes: mss,
      headers: hdrlen,
    } as const;
    const checksum = { start: tucss, offset: tucso - tucss };
    this.#emit(bytes.subarray(0, this.#size), { checksum, segments });
  }

  /** The end of a packet that is one frame. */
  #finish(offload?: FrameOffload): void {
    if (!this.#state.isLost && this.#size >= ETHERNET_HEADER) {
      const isShort = this.#size < MIN_FRAME &&
        (this.#regs[TCTL >> 2] & TCTL_PSP) !== 0;
      if (isShort) {
        this.#buffer.fill(0, this.#size, MIN_FRAME);
        this.#size = MIN_FRAME;
      }
      this.#emit(this.#buffer.subarray(0, this.#size), offload);
    }
    this.#forget();
  }

  #forget(): void {
    this.#size = 0;
    this.#state.isLost = false;
    this.#state.popts = 0;
    this.#state.tag = -1;
    // A buffer for the longest packet is not kept for ever.
    if (this.#buffer.length > 4 * MAX_WHOLE) {
      this.#buffer = new Uint8Array(4096);
    }
  }

  #emit(frame: Uint8Array, offload?: FrameOffload): void {
    this.#state.work += FRAME_WORK * segmentsOf(frame, offload);
    const { tag } = this.#state;
    if (tag < 0) return this.#parts.send(frame, offload);
    const size = frame.length + TAG_BYTES;
    if (this.#tagged.length < size) this.#tagged = new Uint8Array(2 * size);
    const tagged = this.#tagged.subarray(0, size);
    const type = this.#regs[VET >> 2];
    tagged.set(frame.subarray(0, TAG_AT));
    tagged[TAG_AT] = type >>> 8;
    tagged[TAG_AT + 1] = type;
    tagged[TAG_AT + 2] = tag >>> 8;
    tagged[TAG_AT + 3] = tag;
    tagged.set(frame.subarray(TAG_AT), TAG_AT + TAG_BYTES);
    this.#parts.send(tagged, offload && moved(offload));
  }
}

/** An offload for a frame into which a tag was inserted. */
function moved({ checksum, segments }: FrameOffload): FrameOffload {
  return {
    checksum: checksum &&
      { start: checksum.start + TAG_BYTES, offset: checksum.offset },
    segments: segments &&
      { ...segments, headers: segments.headers + TAG_BYTES },
  };
}
