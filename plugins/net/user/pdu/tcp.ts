/**
 * TCP segments (RFC 9293; window scaling: RFC 7323).
 *
 * @module
 */

import { get16, get32, put16, put32 } from "./bytes.ts";
import { checksum, pseudoSum } from "./checksum.ts";
import { type Ipv4Packet, PROTOCOL_TCP } from "./ipv4.ts";

/** Bytes of a header without options. */
export const TCP_HEADER = 20;
/** Flag: the sender has no more to send. */
export const FIN = 0x01;
/** Flag: the first segment. */
export const SYN = 0x02;
/** Flag: the connection is reset. */
export const RST = 0x04;
/** Flag: to be given to the reader at once. */
export const PSH = 0x08;
/** Flag: the acknowledgement number is valid. */
export const ACK = 0x10;
/** Payload of a segment to who did not say how much it takes (3.7.1). */
export const DEFAULT_MSS = 536;
/** The greatest shift of the window (RFC 7323, 2.3). */
const MAX_SHIFT = 14;

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const OPTION_WINDOW_SCALE = 3;

/** A segment's header and where it lies: one object is filled again and again. */
export class TcpSegment {
  /** The bytes that it is in. */
  bytes: Uint8Array = new Uint8Array(0);
  /** Where the payload begins. */
  payload = 0;
  /** How long it is. */
  length = 0;
  /** Port of the sender. */
  sourcePort = 0;
  /** Port of the receiver. */
  targetPort = 0;
  /** Sequence number of the first byte. */
  sequence = 0;
  /** Next sequence number that the sender expects, when ACK is set. */
  acknowledgement = 0;
  /** The flags. */
  flags = 0;
  /** The window, as it stands in the header. */
  window = 0;
  /** How much payload the sender takes in a segment: of SYN only. */
  mss: number = DEFAULT_MSS;
  /** The shift of the sender's windows: of SYN only; -1 when it has none. */
  shift: number = -1;

  /**
   * Read the segment in a packet; false when any field is not right. `summed`:
   * the checksum was not computed yet and is not looked at.
   */
  read(packet: Ipv4Packet, summed: boolean): boolean {
    const { bytes, payload: at, end } = packet;
    if (end - at < TCP_HEADER) return false;
    const header = (bytes[at + 12] >>> 4) * 4;
    if (header < TCP_HEADER || at + header > end) return false;
    if (!summed) {
      const pseudo = pseudoSum(
        packet.source,
        packet.target,
        PROTOCOL_TCP,
        end - at,
      );
      if (checksum(bytes, at, end, pseudo) !== 0) return false;
    }
    this.bytes = bytes;
    this.payload = at + header;
    this.length = end - this.payload;
    this.sourcePort = get16(bytes, at);
    this.targetPort = get16(bytes, at + 2);
    this.sequence = get32(bytes, at + 4) | 0;
    this.acknowledgement = get32(bytes, at + 8) | 0;
    this.flags = bytes[at + 13];
    this.window = get16(bytes, at + 14);
    if ((this.flags & SYN) !== 0) this.#options(at + TCP_HEADER);
    return true;
  }

  /** Read the options that end where the payload begins. */
  #options(at: number): void {
    this.mss = DEFAULT_MSS;
    this.shift = -1;
    const { bytes, payload } = this;
    while (at < payload) {
      const kind = bytes[at];
      if (kind === OPTION_END) return;
      if (kind === OPTION_NOP) {
        at++;
        continue;
      }
      const length = at + 1 < payload ? bytes[at + 1] : 0;
      if (length < 2 || at + length > payload) return;
      if (kind === OPTION_MSS && length === 4) this.mss = get16(bytes, at + 2);
      else if (kind === OPTION_WINDOW_SCALE && length === 3) {
        this.shift = Math.min(bytes[at + 2], MAX_SHIFT);
      }
      at += length;
    }
  }
}

/** Store a header; the checksum is left zero. */
export function putTcp(
  bytes: Uint8Array,
  at: number,
  headerBytes: number,
  sourcePort: number,
  targetPort: number,
  sequence: number,
  acknowledgement: number,
  flags: number,
  window: number,
): void {
  put16(bytes, at, sourcePort);
  put16(bytes, at + 2, targetPort);
  put32(bytes, at + 4, sequence);
  put32(bytes, at + 8, acknowledgement);
  bytes[at + 12] = headerBytes << 2;
  bytes[at + 13] = flags;
  put16(bytes, at + 14, window);
  put32(bytes, at + 16, 0);
}

/**
 * Store the options of a SYN, the shift unless it is -1, and say how many bytes
 * they take.
 */
export function putSynOptions(
  bytes: Uint8Array,
  at: number,
  mss: number,
  shift: number,
): number {
  bytes[at] = OPTION_MSS;
  bytes[at + 1] = 4;
  put16(bytes, at + 2, mss);
  if (shift < 0) return 4;
  bytes[at + 4] = OPTION_NOP;
  bytes[at + 5] = OPTION_WINDOW_SCALE;
  bytes[at + 6] = 3;
  bytes[at + 7] = shift;
  return 8;
}
