/**
 * DHCP messages (RFC 2131) and their options (RFC 2132).
 *
 * @module
 */

import { get16, get32, put16, put32 } from "./bytes.ts";

/** The port of the server. */
export const DHCP_SERVER_PORT = 67;
/** The port of the client. */
export const DHCP_CLIENT_PORT = 68;

/** Types of message (option 53). */
export const DhcpType = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

/** Numbers of options. */
export const DhcpOption = {
  mask: 1,
  router: 3,
  dns: 6,
  hostName: 12,
  domainName: 15,
  broadcast: 28,
  requestedAddress: 50,
  leaseTime: 51,
  messageType: 53,
  server: 54,
  renewal: 58,
  rebinding: 59,
  clientId: 61,
} as const;

const OPTION_PAD = 0;
const OPTION_END = 255;
const REQUEST_OP = 1;
const REPLY_OP = 2;
const COOKIE = 0x63825363;
const OPTIONS_START = 240;
/** The least that a BOOTP client expects (RFC 1542, 2.1). */
const MIN_LENGTH = 300;

/** A client's message. */
export interface DhcpRequest {
  /** A `DhcpType`. */
  readonly type: number;
  /** What the answer must repeat. */
  readonly transaction: number;
  /** The flags; the highest bit asks for a broadcast. */
  readonly flags: number;
  /** The address that the client has, or 0. */
  readonly clientAddress: number;
  /** The relay that it came through, or 0. */
  readonly relay: number;
  /** The client's hardware address: 16 bytes, of which 6 count. */
  readonly hardware: Uint8Array;
  /** The options by number. */
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** A client's message; undefined when it is not one, or not over Ethernet. */
export function readDhcp(bytes: Uint8Array): DhcpRequest | undefined {
  if (
    bytes.length < OPTIONS_START || bytes[0] !== REQUEST_OP ||
    bytes[1] !== 1 || bytes[2] !== 6 || get32(bytes, 236) !== COOKIE
  ) return undefined;
  const options = new Map<number, Uint8Array>();
  for (let at = OPTIONS_START; at < bytes.length;) {
    const code = bytes[at++];
    if (code === OPTION_PAD) continue;
    if (code === OPTION_END) break;
    const length = bytes[at++];
    if (length === undefined || at + length > bytes.length) return undefined;
    options.set(code, bytes.slice(at, at + length));
    at += length;
  }
  const type = options.get(DhcpOption.messageType);
  if (type?.length !== 1) return undefined;
  return {
    type: type[0],
    transaction: get32(bytes, 4),
    flags: get16(bytes, 10),
    clientAddress: get32(bytes, 12),
    relay: get32(bytes, 24),
    hardware: bytes.slice(28, 44),
    options,
  };
}

/** An answer to a client's message. */
export function dhcpReply(
  request: DhcpRequest,
  type: number,
  address: number,
  server: number,
  options: readonly (readonly [number, Uint8Array])[],
): Uint8Array {
  const bytes: number[] = new Array(OPTIONS_START).fill(0);
  const add = (code: number, value: Iterable<number>): void => {
    const content = [...value].slice(0, 255);
    bytes.push(code, content.length, ...content);
  };
  add(DhcpOption.messageType, [type]);
  add(DhcpOption.server, addressBytes(server));
  for (const [code, value] of options) add(code, value);
  bytes.push(OPTION_END);
  while (bytes.length < MIN_LENGTH) bytes.push(OPTION_PAD);
  const message = new Uint8Array(bytes);
  message[0] = REPLY_OP;
  message[1] = 1;
  message[2] = 6;
  put32(message, 4, request.transaction);
  put16(message, 10, request.flags & 0x8000);
  if (type !== DhcpType.nak) {
    put32(message, 12, request.clientAddress);
    put32(message, 16, address);
    put32(message, 20, server);
  }
  message.set(request.hardware, 28);
  put32(message, 236, COOKIE);
  return message;
}

/** A number of 32 bits, or an address, as an option has it. */
export function addressBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  put32(bytes, 0, value);
  return bytes;
}
