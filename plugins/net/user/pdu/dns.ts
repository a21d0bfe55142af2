/**
 * DNS messages (RFC 1035; SRV: RFC 2782; EDNS: RFC 6891).
 *
 * @module
 */

import { get16 } from "./bytes.ts";

/** The port of a name server. */
export const DNS_PORT = 53;
/** The longest answer over UDP to who does not say otherwise. */
const UDP_LENGTH = 512;
/** The longest over UDP in any case. */
const MAX_UDP_LENGTH = 4096;
const HEADER = 12;
const CLASS_IN = 1;
const TYPE_OPT = 41;
const POINTER_TO_QUESTION = 0xc000 | HEADER;
const FLAG_RESPONSE = 0x8000;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSION_AVAILABLE = 0x0080;
/** Opcode and "recursion desired": what an answer repeats. */
const REPEATED_FLAGS = 0x7900;

/** Record types that can be asked for, by number. */
export const DNS_TYPES: ReadonlyMap<number, DnsType> = new Map([
  [1, "A"],
  [2, "NS"],
  [5, "CNAME"],
  [12, "PTR"],
  [15, "MX"],
  [16, "TXT"],
  [28, "AAAA"],
  [33, "SRV"],
]);

/** The name of a record type that can be asked for. */
export type DnsType =
  | "A"
  | "AAAA"
  | "CNAME"
  | "MX"
  | "NS"
  | "PTR"
  | "SRV"
  | "TXT";

/** Response codes. */
export const DnsCode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
} as const;

/** One question. */
export interface DnsQuestion {
  /** What the answer repeats. */
  readonly id: number;
  /** The flags of the header. */
  readonly flags: number;
  /** The question's bytes. */
  readonly question: Uint8Array;
  /** The name, without a dot at its end. */
  readonly name: string;
  /** The type's number. */
  readonly type: number;
  /** Whether it is of the Internet. */
  readonly internet: boolean;
  /** The longest answer that it takes over UDP. */
  readonly longest: number;
  /** It was asked with EDNS. */
  readonly extended: boolean;
}

/**
 * The question in a message. A number is the response code for a message that
 * cannot be answered otherwise; undefined: there must be no answer at all.
 */
export function readDns(
  message: Uint8Array,
): DnsQuestion | number | undefined {
  if (message.length < HEADER) return undefined;
  const flags = get16(message, 2);
  if ((flags & FLAG_RESPONSE) !== 0) return undefined;
  if ((flags & 0x7800) !== 0) return DnsCode.notImplemented;
  if (get16(message, 4) !== 1) return DnsCode.formatError;
  const labels: string[] = [];
  let at = HEADER;
  for (;;) {
    const length = message[at++];
    if (length === 0) break;
    // A question's name is the first: there is nothing to point to.
    if (length === undefined || length > 63 || at + length > message.length) {
      return DnsCode.formatError;
    }
    let label = "";
    for (const end = at + length; at < end; at++) {
      const byte = message[at];
      // What text could not say without escapes is in no host's name.
      if (byte <= 0x20 || byte >= 0x7f || byte === 0x2e || byte === 0x5c) {
        return DnsCode.nameError;
      }
      label += String.fromCharCode(byte);
    }
    labels.push(label);
    if (at - HEADER > 254) return DnsCode.formatError;
  }
  if (at + 4 > message.length) return DnsCode.formatError;
  const question = message.slice(HEADER, at + 4);
  const type = get16(message, at);
  const internet = get16(message, at + 2) === CLASS_IN;
  at += 4;
  const extended = get16(message, 6) === 0 && get16(message, 8) === 0 &&
    get16(message, 10) > 0 && at + 11 <= message.length &&
    message[at] === 0 && get16(message, at + 1) === TYPE_OPT;
  const longest = extended
    ? Math.min(Math.max(get16(message, at + 3), UDP_LENGTH), MAX_UDP_LENGTH)
    : UDP_LENGTH;
  const name = labels.join(".");
  const id = get16(message, 0);
  return { id, flags, question, name, type, internet, longest, extended };
}

/** What answers a message with nothing but a response code. */
export function dnsError(message: Uint8Array, code: number): Uint8Array {
  const answer = new Uint8Array(HEADER);
  answer.set(message.subarray(0, 2));
  const flags = FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE |
    (get16(message, 2) & REPEATED_FLAGS) | code;
  answer[2] = flags >>> 8;
  answer[3] = flags;
  return answer;
}

/**
 * The answer to a question: records of the type asked for, by their data. What
 * is longer than `longest` is cut to nothing and says so.
 */
export function dnsAnswer(
  question: DnsQuestion,
  code: number,
  records: readonly Uint8Array[],
  seconds: number,
  longest: number,
): Uint8Array {
  const tail = question.extended ? 11 : 0;
  const head = HEADER + question.question.length;
  let length = head + tail;
  for (const data of records) length += 12 + data.length;
  const truncated = length > longest;
  if (truncated) {
    records = [];
    length = head + tail;
  }
  const message = new Uint8Array(length);
  let at = 0;
  const put = (value: number): void => {
    message[at++] = value >>> 8;
    message[at++] = value;
  };
  put(question.id);
  put(
    FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE |
      (question.flags & REPEATED_FLAGS) |
      (truncated ? FLAG_TRUNCATED : 0) | code,
  );
  put(1);
  put(records.length);
  put(0);
  put(question.extended ? 1 : 0);
  message.set(question.question, at);
  at = head;
  for (const data of records) {
    put(POINTER_TO_QUESTION);
    put(question.type);
    put(CLASS_IN);
    put(seconds >>> 16);
    put(seconds & 0xffff);
    put(data.length);
    message.set(data, at);
    at += data.length;
  }
  if (question.extended) {
    message[at++] = 0;
    put(TYPE_OPT);
    put(MAX_UDP_LENGTH);
  }
  return message;
}

/** A name as messages have it; undefined when it is none. */
export function encodeName(name: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (const label of name.replace(/\.$/, "").split(".")) {
    const encoded = new TextEncoder().encode(label);
    if (encoded.length === 0) {
      if (name === "." || name === "") break;
      return undefined;
    }
    if (encoded.length > 63) return undefined;
    bytes.push(encoded.length, ...encoded);
  }
  bytes.push(0);
  return bytes.length <= 255 ? new Uint8Array(bytes) : undefined;
}

/** An IPv6 address's 16 bytes; undefined for other text. */
export function encodeIpv6(text: string): Uint8Array | undefined {
  const [head, tail, ...rest] = text.split("::");
  const words = (part: string | undefined): number[] | undefined => {
    if (part === undefined || part === "") return [];
    const found: number[] = [];
    for (const word of part.split(":")) {
      const dotted = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(word);
      if (dotted !== null) {
        const [a, b, c, d] = dotted.slice(1).map(Number);
        found.push(a << 8 | b, c << 8 | d);
      } else if (/^[0-9a-f]{1,4}$/i.test(word)) found.push(parseInt(word, 16));
      else return undefined;
    }
    return found;
  };
  const first = words(head);
  const last = words(tail);
  if (first === undefined || last === undefined || rest.length > 0) {
    return undefined;
  }
  const missing = 8 - first.length - last.length;
  if (missing < 0 || (tail === undefined && missing !== 0)) return undefined;
  const all = [...first, ...new Array<number>(missing).fill(0), ...last];
  return new Uint8Array(all.flatMap((word) => [word >>> 8, word & 255]));
}
