/**
 * The name server of the network: it answers as the host's resolver does, hosts
 * file included. Deno's resolver tells no times to live and only that there are
 * no records, not whether there is such a name: that is found by looking for
 * addresses.
 *
 * `localhost` is the guest itself (RFC 6761, 6.3). Any other name that the host
 * has for its own loopback address means the host, which the guest reaches at
 * the gateway's.
 *
 * @module
 */

import { parseAddress } from "./addresses.ts";
import type { HostNetwork, HostRecord } from "./host.ts";
import {
  DNS_TYPES,
  dnsAnswer,
  DnsCode,
  dnsError,
  type DnsQuestion,
  type DnsType,
  encodeIpv6,
  encodeName,
  readDns,
} from "./pdu/dns.ts";
import { addressBytes } from "./pdu/dhcp.ts";

/** Questions that wait for the host's resolver; more are not heard. */
const MAX_QUESTIONS = 256;
/** How long a guest may keep an answer, in seconds. */
const TIME_TO_LIVE = 30;
/** The longest message over TCP. */
export const DNS_TCP_LENGTH = 65535;

/** The name server. */
export class DnsServer {
  readonly #host: Pick<HostNetwork, "resolve" | "resolves">;
  readonly #gateway: number;
  readonly #restrict: boolean;
  readonly #refused: (target: string) => void;
  #asked = 0;

  /** A name server; `refused` hears when Deno's permissions do not allow it. */
  constructor(
    host: Pick<HostNetwork, "resolve" | "resolves">,
    settings: { readonly gateway: number; readonly restrict: boolean },
    refused: (target: string) => void,
  ) {
    this.#host = host;
    this.#gateway = settings.gateway;
    this.#restrict = settings.restrict;
    this.#refused = refused;
  }

  /** The answer to a message; undefined when there is none. */
  async answer(
    message: Uint8Array,
    overTcp: boolean,
  ): Promise<Uint8Array | undefined> {
    const question = readDns(message);
    if (question === undefined) return undefined;
    if (typeof question === "number") return dnsError(message, question);
    const longest = overTcp ? DNS_TCP_LENGTH : question.longest;
    const reply = (code: number, records: readonly Uint8Array[] = []) =>
      dnsAnswer(question, code, records, TIME_TO_LIVE, longest);
    const type = DNS_TYPES.get(question.type);
    if (!question.internet) return reply(DnsCode.notImplemented);
    const own = localhost(question);
    if (own !== undefined) return reply(DnsCode.noError, own);
    if (this.#restrict) return reply(DnsCode.refused);
    if (!this.#host.resolves()) {
      this.#refused("dns");
      return reply(DnsCode.refused);
    }
    // Other types are not there: better than no answer, for what asks for more
    // than it needs.
    if (type === undefined) return reply(DnsCode.noError);
    if (this.#asked >= MAX_QUESTIONS) return undefined;
    this.#asked++;
    try {
      const records = await this.#resolve(question.name, type);
      if (records !== undefined) return reply(DnsCode.noError, records);
      const other = type === "A" ? "AAAA" : "A";
      return reply(
        await this.#resolve(question.name, other) === undefined
          ? DnsCode.nameError
          : DnsCode.noError,
      );
    } catch {
      return reply(DnsCode.serverFailure);
    } finally {
      this.#asked--;
    }
  }

  /** The records' data; undefined when there are none. */
  async #resolve(
    name: string,
    type: DnsType,
  ): Promise<Uint8Array[] | undefined> {
    if (name === "") return undefined;
    try {
      const records = await this.#host.resolve(name, type);
      return records.map((record) => this.#encode(type, record))
        .filter((data) => data !== undefined);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** A record's data; undefined for what is none. */
  #encode(type: DnsType, record: HostRecord): Uint8Array | undefined {
    if (type === "A" && typeof record === "string") {
      const address = parseAddress(record);
      if (address === undefined) return undefined;
      return addressBytes(address >>> 24 === 127 ? this.#gateway : address);
    }
    return encodeRecord(type, record);
  }
}

/** The data of a record that is the same everywhere. */
function encodeRecord(
  type: DnsType,
  record: HostRecord,
): Uint8Array | undefined {
  if (typeof record === "string") {
    if (type !== "AAAA") return encodeName(record);
    const address = encodeIpv6(record);
    // The host's loopback address is not the guest's.
    const loopback = address?.at(15) === 1 &&
      address.subarray(0, 15).every((byte) => byte === 0);
    return loopback ? undefined : address;
  }
  const words = (...values: number[]): number[] =>
    values.flatMap((value) => [value >>> 8 & 255, value & 255]);
  if (Array.isArray(record)) {
    const bytes = record.flatMap((text) => {
      const encoded = [...new TextEncoder().encode(text)].slice(0, 255);
      return [encoded.length, ...encoded];
    });
    return bytes.length > 0 && bytes.length < 0x8000
      ? new Uint8Array(bytes)
      : undefined;
  }
  if ("exchange" in record) {
    const name = encodeName(record.exchange);
    return name && new Uint8Array([...words(record.preference), ...name]);
  }
  const name = encodeName(record.target);
  const { priority, weight, port } = record;
  return name && new Uint8Array([...words(priority, weight, port), ...name]);
}

/** What `localhost` and names in it have. */
function localhost(question: DnsQuestion): Uint8Array[] | undefined {
  if (!/(^|\.)localhost$/i.test(question.name)) return undefined;
  switch (DNS_TYPES.get(question.type)) {
    case "A":
      return [addressBytes(0x7f000001)];
    case "AAAA":
      return [encodeIpv6("::1")!];
    default:
      return [];
  }
}
