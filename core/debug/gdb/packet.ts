/**
 * The packets of gdb's remote protocol: `$` data `#` checksum, with escapes
 * ("Debugging with GDB", appendix E.1). Data are strings of characters 0 to
 * 255, a byte each.
 *
 * @module
 */

/** Bytes of a packet's data at most, both ways. */
export const PACKET_SIZE = 0x10000;

const DOLLAR = 0x24, HASH = 0x23, ESCAPE = 0x7d, STAR = 0x2a;
const PLUS = 0x2b, MINUS = 0x2d;
/** What Ctrl-C in gdb sends. */
const INTERRUPT = 3;
/** What an escaped byte is changed by. */
const FLIP = 0x20;

/** What a client sends. */
export type ClientEvent =
  | { readonly kind: "packet"; readonly data: string }
  /** A packet whose checksum is wrong, or that is too long. */
  | { readonly kind: "damaged" }
  /** Stop the guest. */
  | { readonly kind: "interrupt" }
  /** Send the last packet again. */
  | { readonly kind: "again" };

/** Takes the bytes of a client apart, however they are split. */
export class PacketReader {
  readonly #data = new Uint8Array(PACKET_SIZE);
  #length = 0;
  #sum = 0;
  #state: "between" | "data" | "escaped" | "high" | "low" = "between";
  #checksum = 0;

  /** Bytes that have come; gives back what they complete. */
  push(bytes: Uint8Array): ClientEvent[] {
    const events: ClientEvent[] = [];
    for (const byte of bytes) {
      switch (this.#state) {
        case "between":
          this.#between(byte, events);
          break;
        case "data":
        case "escaped":
          this.#take(byte);
          break;
        case "high":
          this.#checksum = hexDigit(byte) << 4;
          this.#state = "low";
          break;
        case "low":
          this.#checksum |= hexDigit(byte);
          this.#state = "between";
          events.push(this.#finish());
      }
    }
    return events;
  }

  #between(byte: number, events: ClientEvent[]): void {
    if (byte === DOLLAR) this.#begin();
    else if (byte === INTERRUPT) events.push({ kind: "interrupt" });
    else if (byte === MINUS) events.push({ kind: "again" });
    // An acknowledgement (+) needs no answer; the rest is noise.
  }

  #begin(): void {
    this.#state = "data";
    this.#length = 0;
    this.#sum = 0;
  }

  #take(byte: number): void {
    // Within a packet it stands escaped only: the end of the last one was lost.
    if (byte === DOLLAR) return this.#begin();
    if (byte === HASH) {
      // What was escaped is missing.
      if (this.#state === "escaped") this.#length = PACKET_SIZE + 1;
      this.#state = "high";
      return;
    }
    this.#sum = (this.#sum + byte) & 0xff;
    if (this.#state === "data" && byte === ESCAPE) {
      this.#state = "escaped";
      return;
    }
    const value = this.#state === "escaped" ? byte ^ FLIP : byte;
    this.#state = "data";
    // One too many says that it is too long.
    if (this.#length < PACKET_SIZE) this.#data[this.#length] = value;
    if (this.#length <= PACKET_SIZE) this.#length++;
  }

  #finish(): ClientEvent {
    if (this.#length > PACKET_SIZE || this.#checksum !== this.#sum) {
      return { kind: "damaged" };
    }
    return {
      kind: "packet",
      data: fromBytes(this.#data.subarray(0, this.#length)),
    };
  }
}

/** The digit's value; what is none makes every checksum wrong. */
function hexDigit(byte: number): number {
  const digit = parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(digit) ? 0x1000 : digit;
}

/** The acknowledgement of a packet, and its opposite. */
export const ACK: Uint8Array = Uint8Array.of(PLUS);
/** See {@linkcode ACK}. */
export const NACK: Uint8Array = Uint8Array.of(MINUS);

/** A packet as it is sent. */
export function encodePacket(data: string): Uint8Array {
  // Each byte may become two.
  const out = new Uint8Array(2 * data.length + 4);
  let at = 0;
  let sum = 0;
  const put = (byte: number): void => {
    out[at++] = byte;
    sum += byte;
  };
  out[at++] = DOLLAR;
  for (let i = 0; i < data.length; i++) {
    const byte = data.charCodeAt(i);
    if (
      byte === DOLLAR || byte === HASH || byte === ESCAPE || byte === STAR
    ) {
      put(ESCAPE);
      put(byte ^ FLIP);
    } else put(byte);
  }
  out[at++] = HASH;
  const checksum = (sum & 0xff).toString(16).padStart(2, "0");
  out[at++] = checksum.charCodeAt(0);
  out[at++] = checksum.charCodeAt(1);
  return out.subarray(0, at);
}

/** Bytes as a string of characters 0 to 255. */
export function fromBytes(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x2000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x2000));
  }
  return text;
}

/** The bytes of a string of characters 0 to 255. */
export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Bytes in hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** The bytes that hexadecimal text says; undefined if it does not. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 2 !== 0 || /[^0-9a-fA-F]/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}

/** Text as the bytes of UTF-8, in hexadecimal. */
export function textToHex(text: string): string {
  return toHex(new TextEncoder().encode(text));
}
