/**
 * One TCP connection with the guest (RFC 9293), without congestion control: the
 * only link that it crosses is the guest's network card.
 *
 * What the guest sent stands in a ring until it is taken (`received`, `consume`),
 * what is to be sent in another until it is acknowledged (`room`, `produced`).
 * Whether a byte of either kind was sent follows from sequence numbers alone:
 * the outgoing ring begins at `#ringSequence`, and FIN has the number after its
 * last byte. Segments are made by `output` when the link has room, never before:
 * nothing waits as a frame.
 *
 * @module
 */

import { ACK, FIN, PSH, RST, SYN, type TcpSegment } from "../pdu/tcp.ts";
import { ByteRing } from "./byte_ring.ts";
import type {
  TcpApplication,
  TcpEnding,
  TcpEnds,
  TcpLink,
  TcpPhase,
} from "./contract.ts";
import { GuestWindow } from "./guest_window.ts";
import { Receiver } from "./receiver.ts";
import { Recovery } from "./recovery.ts";
import { RoundTrip } from "./round_trip.ts";

/** Payload of a segment on Ethernet. */
export const ETHERNET_MSS = 1460;
/** The least payload that a guest may ask for: less is only a lot of work. */
const MIN_MSS = 64;
/** Transmissions of a SYN before it is given up: about a minute. */
const SYN_RETRIES = 5;
/** Transmissions of anything else: some minutes. */
const RETRIES = 12;
/** How long the end of a closed connection answers: the link is short. In ms. */
const TIME_WAIT = 1000;
/** Longest time between two probes of a window, in ms. */
const MAX_PROBE = 5000;
/** Bytes sent before other connections have their turn. */
const TURN = 256 * 1024;
/** Acknowledgements of one kind that wait: more say nothing new. */
const MAX_ACKS = 64;

/** A connection. */
export class TcpConnection {
  /** Who is connected. */
  readonly ends: TcpEnds;
  /** What is to be sent or acknowledged. */
  readonly outgoing: ByteRing;
  /** Where it stands in a list that the stack keeps. */
  next: TcpConnection | undefined;
  /** Whether the stack has it in its queue. */
  queued = false;
  /** When something is due, in ms; `Infinity` when nothing is. */
  deadline: number = Infinity;
  /** When the guest was last heard of, in ms. */
  heard: number;
  readonly #link: TcpLink;
  readonly #receiver: Receiver;
  readonly #roundTrip = new RoundTrip();
  #application: TcpApplication | undefined;
  #phase: TcpPhase = "connecting";

  // What is sent.
  #ringSequence: number;
  #unacknowledged: number;
  #nextSequence: number;
  /** Beyond the last that was ever sent. */
  #maxSequence: number;
  readonly #window = new GuestWindow();
  #mss = ETHERNET_MSS;
  #finQueued = false;
  #finAcknowledged = false;
  #activeClose = false;
  readonly #recovery: Recovery;
  #failed = false;
  #probe = false;
  #retries = 0;

  // What is received.
  #acks = 0;

  /** A connection that is not made yet. */
  constructor(link: TcpLink, ends: TcpEnds, initialSequence: number) {
    this.#link = link;
    this.ends = ends;
    this.outgoing = new ByteRing(link.budget);
    this.#receiver = new Receiver(link.budget);
    this.heard = link.now();
    const sequence = initialSequence | 0;
    this.#unacknowledged = sequence;
    this.#nextSequence = sequence;
    this.#maxSequence = sequence;
    this.#recovery = new Recovery(sequence);
    this.#ringSequence = sequence + 1 | 0;
  }

  /** Its state. */
  get phase(): TcpPhase {
    return this.#phase;
  }

  /** The payload of a segment. */
  get mss(): number {
    return this.#mss;
  }

  /** The next sequence number expected of the guest. */
  get expected(): number {
    return this.#receiver.expected;
  }

  /** The shift to offer in a SYN, -1 for none. */
  get offeredShift(): number {
    const { shift } = this.#receiver;
    return shift === 0 ? -1 : shift;
  }

  /** The guest has said that it has no more to send, and all that came is taken. */
  get finished(): boolean {
    return this.#receiver.finReceived && this.#receiver.ring.length === 0;
  }

  /** The guest has begun: remember its SYN until `accept`. */
  take(syn: TcpSegment): void {
    this.#receiver.begin(syn.sequence);
    this.#handshake(syn);
  }

  /** Answer the guest's SYN: what it wanted to reach is there. */
  accept(application: TcpApplication): void {
    if (this.#phase !== "connecting") return;
    this.#application = application;
    this.#phase = "syn-received";
    this.#link.queue(this);
  }

  /** Connect to the guest. */
  connect(application: TcpApplication): void {
    this.#application = application;
    this.#phase = "syn-sent";
    this.#link.queue(this);
  }

  /** What the guest sent and was not taken, as much as lies together. */
  received(): Uint8Array {
    return this.#receiver.ring.head();
  }

  /** So many bytes of what was received are taken. */
  consume(length: number): void {
    if (this.#phase === "closed") return;
    this.#receiver.ring.drop(length);
    // Small openings are not worth a segment (9293, 3.8.6.2.2).
    if (this.#receiver.opening >= 2 * ETHERNET_MSS) this.#acknowledge();
    this.#checkEnd();
  }

  /** Room for bytes to send, as much as lies together; empty when it is full. */
  room(): Uint8Array {
    return this.outgoing.space();
  }

  /** So many bytes were stored in `room`. */
  produced(length: number): void {
    if (this.#phase === "closed" || length === 0) return;
    this.outgoing.extend(length);
    this.#link.queue(this);
  }

  /** There is nothing more to send after what is. */
  finish(): void {
    if (this.#finQueued || this.#phase === "closed") return;
    this.#finQueued = true;
    this.#activeClose = !this.#receiver.finReceived;
    this.#link.queue(this);
  }

  /**
   * The other side has failed: reset it behind what came from there before. On
   * a wire, too, the reader has that when it hears of the reset.
   */
  fail(): void {
    if (this.#phase !== "open" || this.outgoing.length === 0) this.abort();
    else this.#failed = true;
  }

  /** Reset it. */
  abort(): void {
    if (this.#phase === "closed") return;
    this.#link.reset(this, this.#nextSequence);
    this.#end("closed");
  }

  /** It is forgotten without a word. */
  drop(): void {
    this.#end("closed");
  }

  /** A segment of the guest's. */
  input(segment: TcpSegment): void {
    this.heard = this.#link.now();
    switch (this.#phase) {
      case "connecting":
        if ((segment.flags & RST) !== 0) this.#end("reset");
        return;
      case "syn-sent":
        return this.#synSent(segment);
      case "closed":
        return;
    }
    const { flags, sequence } = segment;
    const length = segment.length + (flags & SYN ? 1 : 0) +
      (flags & FIN ? 1 : 0);
    const end = sequence + length | 0;
    const { expected, edge } = this.#receiver;
    if (
      (end - expected | 0) < 0 || (sequence - edge | 0) > 0
    ) {
      // Old acknowledgements may just be late; a probe that is one is alive asks.
      const asks = length > 0 || (sequence + 1 | 0) === expected;
      if ((flags & RST) === 0 && asks) this.#acknowledgeAgain();
      return;
    }
    if ((flags & RST) !== 0) {
      // Only an exact one is believed (RFC 5961, 3.2).
      if (sequence === expected) this.#end("reset");
      else this.#acknowledgeAgain();
      return;
    }
    if ((flags & SYN) !== 0) {
      if (this.#phase === "syn-received") this.#restart();
      else this.#acknowledgeAgain();
      return;
    }
    if ((flags & ACK) === 0) return;
    if (!this.#acknowledged(segment)) return;
    this.#data(segment);
    this.#checkEnd();
  }

  /** The first answer to a SYN of ours (9293, 3.10.7.3). */
  #synSent(segment: TcpSegment): void {
    const { flags, acknowledgement } = segment;
    const acknowledges = (flags & ACK) !== 0;
    if (acknowledges && acknowledgement !== this.#ringSequence) return;
    if ((flags & RST) !== 0) {
      if (acknowledges) this.#end("reset");
      return;
    }
    if ((flags & SYN) === 0) return;
    this.take(segment);
    if (!acknowledges) {
      this.#phase = "syn-received";
      this.#restart();
      return;
    }
    this.#acknowledge();
    this.#acknowledged(segment);
  }

  /** What both sides say in their SYN. */
  #handshake(syn: TcpSegment): void {
    this.#mss = Math.min(Math.max(syn.mss, MIN_MSS), ETHERNET_MSS);
    if (syn.shift < 0) this.#receiver.shift = 0;
    this.#window.begin(syn);
  }

  /** The guest has an address now: begin again. */
  again(): void {
    if (this.#phase === "syn-sent") this.#restart();
  }

  /** Send the SYN again. */
  #restart(): void {
    this.#nextSequence = this.#unacknowledged;
    this.#link.queue(this);
  }

  /** What a segment says of what was sent; false: nothing more is to be read. */
  #acknowledged(segment: TcpSegment): boolean {
    const ack = segment.acknowledgement;
    if ((ack - this.#maxSequence | 0) > 0) {
      // What was never sent cannot have come.
      this.#acknowledgeAgain();
      return false;
    }
    const fresh = ack - this.#unacknowledged | 0;
    if (this.#phase === "syn-received" || this.#phase === "syn-sent") {
      if (fresh <= 0) return false;
      this.#phase = "open";
      this.#application?.opened();
    }
    const had = this.#window.size;
    const window = this.#window.update(segment, fresh);
    if (this.#window.size > had) this.#link.queue(this);
    if (fresh > 0) {
      this.#advance(ack);
      if (this.#failed && this.outgoing.length === 0) {
        this.abort();
        return false;
      }
    } else if (
      fresh === 0 && segment.length === 0 && window === had &&
      (segment.flags & FIN) === 0 && this.#outstanding > 0
    ) this.#duplicate();
    if (fresh >= 0) this.#retries = 0;
    return true;
  }

  /** Sequence numbers that were sent and not acknowledged. */
  get #outstanding(): number {
    return this.#nextSequence - this.#unacknowledged | 0;
  }

  /** The sequence number of FIN. */
  get #ringEnd(): number {
    return this.#ringSequence + this.outgoing.length | 0;
  }

  /** Everything before `ack` has come. */
  #advance(ack: number): void {
    this.#roundTrip.end(ack, this.#link.now());
    if (this.#finQueued && (ack - this.#ringEnd | 0) > 0) {
      this.#finAcknowledged = true;
    }
    const bytes = Math.min(ack - this.#ringSequence | 0, this.outgoing.length);
    if (bytes > 0) {
      this.outgoing.drop(bytes);
      this.#ringSequence = this.#ringSequence + bytes | 0;
      this.#application?.writable();
    }
    this.#unacknowledged = ack;
    if ((ack - this.#nextSequence | 0) > 0) this.#nextSequence = ack;
    this.#recovery.advance(ack);
    if (this.#outstanding > 0) this.#arm(this.#roundTrip.timeout);
    else this.deadline = Infinity;
    this.#link.queue(this);
  }

  /** The guest says again what it waits for. */
  #duplicate(): void {
    const isLoss = this.#recovery.duplicate(
      this.#unacknowledged,
      this.#maxSequence,
    );
    if (!isLoss) return;
    this.#roundTrip.cancel();
    this.#link.queue(this);
  }

  /** The bytes of a segment. */
  #data(segment: TcpSegment): void {
    if (segment.length === 0 && (segment.flags & FIN) === 0) return;
    if (this.#receiver.take(segment)) {
      this.#acknowledge();
      this.#application?.readable();
    } else this.#acknowledgeAgain();
  }

  /** Both directions may have ended, and all that came may have been taken. */
  #checkEnd(): void {
    if (
      !this.#finAcknowledged || !this.finished || this.#phase !== "open"
    ) return;
    // Who ends first may have to acknowledge the other's end again.
    if (!this.#activeClose) return this.#end("closed");
    this.#phase = "time-wait";
    this.#arm(TIME_WAIT);
    this.#application?.ended("closed");
    this.#application = undefined;
  }

  /** Acknowledge what came, once for all that comes together. */
  #acknowledge(): void {
    if (this.#acks === 0) this.#acks = 1;
    this.#link.queue(this);
  }

  /** Say what is expected, so that the guest counts it. */
  #acknowledgeAgain(): void {
    if (this.#acks < MAX_ACKS) this.#acks++;
    this.#link.queue(this);
  }

  /** The window for a segment's header. */
  windowField(syn: boolean): number {
    return this.#receiver.windowField(syn);
  }

  #arm(ms: number): void {
    this.deadline = this.#link.now() + ms;
    this.#link.arm(this.deadline);
  }

  /** Send a segment whose bytes, if any, are in the ring. */
  #send(sequence: number, flags: number, length: number): boolean {
    const offset = sequence - this.#ringSequence | 0;
    if (!this.#link.send(this, sequence, flags, offset, length)) return false;
    this.#acks = 0;
    const end = sequence + length + ((flags & (SYN | FIN)) !== 0 ? 1 : 0) | 0;
    if ((end - this.#maxSequence | 0) > 0) {
      this.#maxSequence = end;
      if (!this.#probe) this.#roundTrip.begin(sequence, this.#link.now());
    }
    return true;
  }

  /**
   * Send what can be sent: false when the link has no room. A connection that
   * has had its turn queues itself again.
   */
  output(): boolean {
    switch (this.#phase) {
      case "connecting":
      case "closed":
        return true;
      case "syn-sent":
      case "syn-received":
        return this.#sendSyn();
    }
    if (this.#recovery.resend && !this.#sendLost()) return false;
    if (!this.#sendBytes()) return false;
    while (this.#acks > 0) {
      const left = this.#acks - 1;
      if (!this.#send(this.#nextSequence, ACK, 0)) return false;
      this.#acks = left;
    }
    return true;
  }

  #sendSyn(): boolean {
    if (this.#nextSequence !== this.#unacknowledged) return true;
    const flags = this.#phase === "syn-sent" ? SYN : SYN | ACK;
    if (!this.#send(this.#nextSequence, flags, 0)) return false;
    this.#nextSequence = this.#ringSequence;
    this.#arm(this.#roundTrip.timeout);
    return true;
  }

  /** The first segment that was not acknowledged, again. */
  #sendLost(): boolean {
    const length = Math.min(
      this.outgoing.length,
      this.#mss,
      this.#nextSequence - this.#ringSequence | 0,
    );
    const sequence = this.#ringSequence;
    const fin = this.#finQueued && !this.#finAcknowledged &&
      (sequence + length | 0) === this.#ringEnd;
    const flags = ACK | (fin ? FIN : 0);
    if ((length > 0 || fin) && !this.#send(sequence, flags, length)) {
      return false;
    }
    this.#recovery.resend = false;
    return true;
  }

  #sendBytes(): boolean {
    const most = this.#link.maxPayload(this.#mss);
    const wasIdle = this.#outstanding === 0;
    let room = true;
    for (let turn = TURN; turn > 0;) {
      const end = this.#ringEnd;
      const sequence = this.#nextSequence;
      const unsent = end - sequence | 0;
      // FIN was sent.
      if (unsent < 0) break;
      const usable = (this.#unacknowledged + this.#window.size | 0) - sequence |
        0;
      let length = Math.min(unsent, most, Math.max(usable, 0));
      if (length > this.#mss && length < unsent) length -= length % this.#mss;
      // No small segment while a larger one can follow (9293, 3.8.6.2.1).
      const silly = length < this.#mss && length < unsent &&
        (length <= 0 || length * 2 < this.#window.greatest);
      if (silly) length = this.#probe ? Math.max(length, 1) : 0;
      const fin = this.#finQueued && !this.#finAcknowledged &&
        length === unsent;
      if (length <= 0 && !fin) break;
      const flags = ACK | (length === unsent ? PSH : 0) | (fin ? FIN : 0);
      room = this.#send(sequence, flags, length);
      if (!room) break;
      this.#probe = false;
      // A probe beyond the window may be refused: it counts as not sent.
      if (length > usable && length > 0) break;
      this.#nextSequence = sequence + length + (fin ? 1 : 0) | 0;
      if (fin) break;
      turn -= length;
      if (turn <= 0) this.#link.queue(this);
    }
    if (this.#outstanding > 0) {
      if (wasIdle) this.#arm(this.#roundTrip.timeout);
    } else if (this.outgoing.length > 0 && this.deadline === Infinity) {
      // The window is shut, and what opens it may get lost.
      this.#arm(Math.min(this.#roundTrip.timeout, MAX_PROBE));
    }
    return room;
  }

  /** Its deadline has come. */
  expire(): void {
    this.deadline = Infinity;
    if (this.#phase === "time-wait") return this.#end("closed");
    if (this.#link.blocked) {
      // Nobody can have answered: the guest does not take frames now.
      this.#arm(this.#roundTrip.timeout);
      return;
    }
    const syn = this.#phase === "syn-sent" || this.#phase === "syn-received";
    if (++this.#retries > (syn ? SYN_RETRIES : RETRIES)) {
      this.#end("timeout");
      return;
    }
    this.#roundTrip.back();
    if (this.#outstanding > 0) {
      this.#nextSequence = this.#unacknowledged;
      this.#recovery.timeout(this.#maxSequence);
    } else this.#probe = true;
    this.#link.queue(this);
  }

  #end(ending: TcpEnding): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.deadline = Infinity;
    this.#link.remove(this);
    this.outgoing.release();
    this.#receiver.ring.release();
    const application = this.#application;
    this.#application = undefined;
    application?.ended(ending);
  }
}
