/**
 * How the 82540EM receives: a frame goes into the buffers of one or several
 * descriptors.
 *
 * The bytes of the check sequence are counted where the driver has not had them
 * stripped, and keep what the buffer had: networks carry none.
 *
 * Source: the Software Developer's Manual (317453), 3.2.
 *
 * @module
 */

import type { DmaPort } from "../../../core/machine/plugin.ts";
import {
  accepts,
  checksumStatus,
  destination,
  isTagged,
  packetChecksum,
} from "./e1000_filter.ts";
import {
  count,
  countBytes,
  countSize,
  CTRL,
  CTRL_VME,
  ICR_RXDMT0,
  ICR_RXO,
  ICR_SRPD,
  RCTL,
  RDBAH,
  RDBAL,
  RDH,
  RDLEN,
  RDT,
  RSRPD,
  Stat,
} from "./e1000_registers.ts";

/** RCTL: enabled. */
const RCTL_EN = 1 << 1;
/** RCTL: long packets. */
const RCTL_LPE = 1 << 5;
const RCTL_RDMTS_SHIFT = 8;
const RCTL_BSIZE_SHIFT = 16;
/** RCTL: buffers are 16 times as large. */
const RCTL_BSEX = 1 << 25;
/** RCTL: strip the check sequence. */
const RCTL_SECRC = 1 << 26;

const DESCRIPTOR_BYTES = 16;
/** Status: done, end of packet, there was a VLAN's tag. */
const DD = 1 << 0;
const EOP = 1 << 1;
const VP = 1 << 3;

const MIN_FRAME = 60;
const CRC_BYTES = 4;
const TAG_AT = 12;
const TAG_BYTES = 4;
/** Lengths with the check sequence: of a frame with a tag, and with LPE. */
const MAX_PACKET = 1522;
const MAX_LONG_PACKET = 16384;

/** What became of a frame. */
export interface Received {
  /** It was taken, if only to be dropped; else there is no room. */
  readonly isTaken: boolean;
  /** Causes of interrupts beside the receive timer. */
  readonly causes: number;
  /** It is in the guest's memory. */
  readonly isStored: boolean;
}

const DROPPED: Received = { isTaken: true, causes: 0, isStored: false };
const NO_ROOM: Received = { isTaken: false, causes: 0, isStored: false };
const STORED: Received = { isTaken: true, causes: 0, isStored: true };
const LOST: Received = { isTaken: true, causes: ICR_RXO, isStored: false };

/** The receiver: all its state is in the registers. */
export class Receiver {
  readonly #memory: DmaPort;
  readonly #descriptor = new Uint8Array(DESCRIPTOR_BYTES);
  readonly #view = new DataView(this.#descriptor.buffer);
  readonly #short = new Uint8Array(MIN_FRAME);
  #untagged = new Uint8Array(2048);
  #regs: Uint32Array;

  /** A receiver with these registers. */
  constructor(regs: Uint32Array, memory: DmaPort) {
    this.#regs = regs;
    this.#memory = memory;
  }

  /** Go on with other registers. */
  adopt(regs: Uint32Array): void {
    this.#regs = regs;
  }

  /** Whether the driver has switched it on. */
  get isOn(): boolean {
    return (this.#regs[RCTL >> 2] & RCTL_EN) !== 0;
  }

  /** Descriptors in the ring. */
  get #ringSize(): number {
    return this.#regs[RDLEN >> 2] / DESCRIPTOR_BYTES;
  }

  /** Descriptors that the driver has given: the head reaches the tail. */
  get available(): number {
    const size = this.#ringSize;
    const ahead = this.#regs[RDT >> 2] - this.#regs[RDH >> 2];
    return Math.max(0, Math.min(ahead < 0 ? ahead + size : ahead, size));
  }

  /** Bytes of a buffer. */
  get #bufferBytes(): number {
    const rctl = this.#regs[RCTL >> 2];
    const size = 2048 >> (rctl >>> RCTL_BSIZE_SHIFT & 3);
    // 0 is reserved with BSEX.
    return (rctl & RCTL_BSEX) === 0 || size === 2048 ? size : 16 * size;
  }

  /** Few descriptors are left: RDMTS. */
  get #threshold(): number {
    const shift = (this.#regs[RCTL >> 2] >>> RCTL_RDMTS_SHIFT & 3) + 1;
    return this.#ringSize >> Math.min(shift, 3);
  }

  /** A frame from the network. It keeps nothing of it. */
  receive(frame: Uint8Array): Received {
    const regs = this.#regs;
    if (!this.isOn) return DROPPED;
    const wire = Math.max(frame.length, MIN_FRAME) + CRC_BYTES;
    if (wire > MAX_LONG_PACKET) return DROPPED;
    if (wire > MAX_PACKET && (regs[RCTL >> 2] & RCTL_LPE) === 0) {
      count(regs, Stat.ROC);
      return DROPPED;
    }
    let bytes = frame;
    if (frame.length < MIN_FRAME) {
      bytes = this.#short;
      bytes.fill(0, frame.length);
      bytes.set(frame);
    }
    if (!accepts(regs, bytes)) return DROPPED;
    const tagged = isTagged(regs, bytes) &&
      (regs[CTRL >> 2] & CTRL_VME) !== 0;
    const crc = (regs[RCTL >> 2] & RCTL_SECRC) === 0 ? CRC_BYTES : 0;
    const total = bytes.length + crc - (tagged ? TAG_BYTES : 0);
    const needed = Math.ceil(total / this.#bufferBytes);
    if (needed > this.available) {
      // A frame for which there will never be room would stop the others.
      if (needed >= this.#ringSize) return this.lose();
      count(regs, Stat.RNBC);
      return NO_ROOM;
    }
    return this.#store(bytes, total, tagged);
  }

  /** A frame is lost. */
  lose(): Received {
    count(this.#regs, Stat.MPC);
    return LOST;
  }

  #store(frame: Uint8Array, total: number, isTagged: boolean): Received {
    const regs = this.#regs;
    const tag = isTagged ? frame[TAG_AT + 2] << 8 | frame[TAG_AT + 3] : 0;
    const status = checksumStatus(
      regs,
      frame,
      isTagged ? TAG_AT + TAG_BYTES : TAG_AT,
    ) | (isTagged ? VP : 0);
    const sum = packetChecksum(regs, frame);
    const data = isTagged ? this.#withoutTag(frame) : frame;
    const view = this.#view;
    const descriptor = this.#descriptor;
    const base = regs[RDBAH >> 2] * 2 ** 32 + regs[RDBAL >> 2];
    const size = this.#bufferBytes;
    const before = this.available;
    let left = before;
    let done = 0;
    while (done < total) {
      // Descriptors without a buffer may have used up the others.
      if (left-- === 0) return this.lose();
      const head = regs[RDH >> 2];
      const at = base + head * DESCRIPTOR_BYTES;
      this.#memory.read(at, descriptor);
      const address = view.getUint32(4, true) * 2 ** 32 +
        view.getUint32(0, true);
      const part = address === 0 ? 0 : Math.min(size, total - done);
      if (part > 0 && done < data.length) {
        const isWhole = done === 0 && part >= data.length;
        this.#memory.write(
          address,
          isWhole ? data : data.subarray(done, done + part),
        );
      }
      done += part;
      const isLast = done === total;
      view.setUint16(8, part, true);
      view.setUint16(10, isLast ? sum : 0, true);
      view.setUint16(12, DD | (isLast ? EOP | status : 0), true);
      view.setUint16(14, isLast ? tag : 0, true);
      this.#memory.write(at, descriptor);
      regs[RDH >> 2] = head + 1 >= this.#ringSize ? 0 : head + 1;
    }
    this.#count(frame);
    const threshold = this.#threshold;
    const isLow = before > threshold && left <= threshold;
    const isSmall = total <= regs[RSRPD >> 2];
    const causes = (isLow ? ICR_RXDMT0 : 0) | (isSmall ? ICR_SRPD : 0);
    return causes === 0 ? STORED : { ...STORED, causes };
  }

  #withoutTag(frame: Uint8Array): Uint8Array {
    const size = frame.length - TAG_BYTES;
    if (this.#untagged.length < size) this.#untagged = new Uint8Array(2 * size);
    const bytes = this.#untagged.subarray(0, size);
    bytes.set(frame.subarray(0, TAG_AT));
    bytes.set(frame.subarray(TAG_AT + TAG_BYTES), TAG_AT);
    return bytes;
  }

  #count(frame: Uint8Array): void {
    const regs = this.#regs;
    const bytes = frame.length + CRC_BYTES;
    count(regs, Stat.TPR);
    count(regs, Stat.GPRC);
    countBytes(regs, Stat.GORCL, bytes);
    countBytes(regs, Stat.TORL, bytes);
    countSize(regs, Stat.PRC64, bytes);
    const to = destination(frame);
    if (to === "all") count(regs, Stat.BPRC);
    if (to === "group") count(regs, Stat.MPRC);
  }
}
