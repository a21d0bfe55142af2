/**
 * State records as bytes: a compact encoding that describes itself and keeps
 * every type apart (0 and -0, numbers and bigints, bytes and lists), so that a
 * decoded record equals the encoded one.
 *
 * A value is a byte that says its kind, and what follows:
 *
 * | kind | follows |
 * |---|---|
 * | 0 null, 1 false, 2 true | nothing |
 * | 3 integer | its magnitude as a varint, with the sign in the lowest bit |
 * | 4 number | eight bytes, IEEE 754, little-endian |
 * | 5 bigint | sign, count and bytes of its magnitude, little-endian |
 * | 6 string | count and bytes of UTF-8 |
 * | 7 bytes | count and bytes |
 * | 8 list | count and values |
 * | 9 record | count, and a key (as of a string) and a value each |
 *
 * Counts are varints: seven bits a byte from the lowest, the high bit says that
 * another follows. Decoding never allocates more than a small multiple of the
 * bytes there are, whatever they say.
 *
 * @module
 */

import type { StateRecord, StateValue } from "./state.ts";

/** Bytes that are no encoded record. */
export class RecordError extends Error {
  /** The name of the error's class. */
  override readonly name = "RecordError";
}

const NULL = 0, FALSE = 1, TRUE = 2, INTEGER = 3, NUMBER = 4;
const BIGINT = 5, STRING = 6, BYTES = 7, LIST = 8, RECORD = 9;
/** Records within records: a device's have two or three. */
const MAX_DEPTH = 64;
/** Least room when it grows. */
const FIRST_BYTES = 4096;
/** Integers up to here have a varint, the sign included. */
const MAX_INTEGER = 2 ** 52;

class Encoder {
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #text = new TextEncoder();

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  value(value: StateValue, depth: number): void {
    if (depth > MAX_DEPTH) throw new TypeError("a record is too deep");
    switch (typeof value) {
      case "boolean":
        return this.#byte(value ? TRUE : FALSE);
      case "number":
        return this.#number(value);
      case "bigint":
        return this.#bigint(value);
      case "string":
        this.#byte(STRING);
        return this.#string(value);
      case "object":
        break;
      default:
        throw new TypeError(`a ${typeof value} is no state`);
    }
    if (value === null) return this.#byte(NULL);
    if (value instanceof Uint8Array) {
      this.#byte(BYTES);
      return this.#raw(value);
    }
    if (ArrayBuffer.isView(value)) {
      throw new TypeError("of typed arrays, only Uint8Array is state");
    }
    if (Array.isArray(value)) {
      this.#byte(LIST);
      this.#count(value.length);
      for (const item of value) this.value(item, depth + 1);
      return;
    }
    const entries = Object.entries(value as StateRecord);
    this.#byte(RECORD);
    this.#count(entries.length);
    for (const [key, inner] of entries) {
      this.#string(key);
      this.value(inner, depth + 1);
    }
  }

  #number(value: number): void {
    const isShort = Number.isInteger(value) && !Object.is(value, -0) &&
      Math.abs(value) < MAX_INTEGER;
    if (isShort) {
      this.#byte(INTEGER);
      return this.#count(Math.abs(value) * 2 + (value < 0 ? 1 : 0));
    }
    this.#byte(NUMBER);
    this.#room(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  #bigint(value: bigint): void {
    this.#byte(BIGINT);
    this.#byte(value < 0n ? 1 : 0);
    let rest = value < 0n ? -value : value;
    const bytes: number[] = [];
    for (; rest > 0n; rest >>= 8n) bytes.push(Number(rest & 0xffn));
    this.#raw(new Uint8Array(bytes));
  }

  #string(text: string): void {
    this.#raw(this.#text.encode(text));
  }

  #raw(bytes: Uint8Array): void {
    this.#count(bytes.length);
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #count(value: number): void {
    while (value >= 0x80) {
      this.#byte(value % 0x80 | 0x80);
      value = Math.floor(value / 0x80);
    }
    this.#byte(value);
  }

  #byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Records up to this size are decoded as one text, of which theirs are parts. */
const MAX_WHOLE = 65536;
const ASCII = /^[\0-\x7f]*$/;

class Decoder {
  /** A character for each byte, the same where that is ASCII; or "". */
  readonly #whole: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    // A text is an identifier nearly always. To decode each alone is a call of
    // the host: thousands for a machine's definition.
    this.#whole = bytes.length <= MAX_WHOLE
      ? new TextDecoder("latin1").decode(bytes)
      : "";
    this.#view = new DataView(
      bytes.buffer,
      bytes.byteOffset,
      bytes.byteLength,
    );
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): StateValue {
    if (depth > MAX_DEPTH) fail("it is too deep");
    const kind = this.#byte();
    switch (kind) {
      case NULL:
        return null;
      case FALSE:
        return false;
      case TRUE:
        return true;
      case INTEGER: {
        const word = this.#count();
        return word % 2 === 1 ? -(word - 1) / 2 : word / 2;
      }
      case NUMBER: {
        const value = this.#view.getFloat64(this.#take(8), true);
        return value;
      }
      case BIGINT:
        return this.#bigint();
      case STRING:
        return this.#string();
      case BYTES:
        return this.#raw().slice();
      case LIST: {
        // Each item has a byte at least.
        const count = this.#items(1);
        const list: StateValue[] = [];
        for (let i = 0; i < count; i++) list.push(this.value(depth + 1));
        return list;
      }
      case RECORD: {
        const count = this.#items(2);
        const record: Record<string, StateValue> = {};
        for (let i = 0; i < count; i++) {
          const key = this.#string();
          if (key === "__proto__" || Object.hasOwn(record, key)) {
            fail(`it has the key "${key}", or has it twice`);
          }
          record[key] = this.value(depth + 1);
        }
        return record;
      }
      default:
        return fail(`there is no kind ${kind} of value`);
    }
  }

  #bigint(): bigint {
    const sign = this.#byte();
    const bytes = this.#raw();
    // No register of any device is as long as that.
    if (sign > 1 || bytes.length > 1024) fail("a bigint is none");
    let hex = "0x0";
    for (let i = bytes.length - 1; i >= 0; i--) {
      hex += bytes[i].toString(16).padStart(2, "0");
    }
    return sign === 1 ? -BigInt(hex) : BigInt(hex);
  }

  #string(): string {
    const raw = this.#raw();
    if (this.#whole !== "") {
      const text = this.#whole.slice(this.#at - raw.length, this.#at);
      if (ASCII.test(text)) return text;
    }
    try {
      return this.#text.decode(raw);
    } catch (error) {
      if (error instanceof RecordError) throw error;
      return fail("a text is not UTF-8");
    }
  }

  #raw(): Uint8Array {
    const length = this.#count();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  #items(bytesEach: number): number {
    const count = this.#count();
    if (count * bytesEach > this.#bytes.length - this.#at) {
      fail("it ends too early");
    }
    return count;
  }

  #count(): number {
    let value = 0;
    for (let unit = 1;; unit *= 0x80) {
      const byte = this.#byte();
      value += (byte & 0x7f) * unit;
      if (value > Number.MAX_SAFE_INTEGER) fail("a number is too great");
      if (byte < 0x80) return value;
    }
  }

  #byte(): number {
    return this.#bytes[this.#take(1)];
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#bytes.length - at) fail("it ends too early");
    this.#at = at + bytes;
    return at;
  }
}

function fail(message: string): never {
  throw new RecordError(message);
}

/** A record as bytes. */
export function encodeRecord(record: StateRecord): Uint8Array<ArrayBuffer> {
  const encoder = new Encoder();
  encoder.value(record, 0);
  return encoder.bytes;
}

/** The record that these bytes are; throws a `RecordError`. */
export function decodeRecord(bytes: Uint8Array): StateRecord {
  const decoder = new Decoder(bytes);
  const value = decoder.value(0);
  if (!decoder.isAtEnd) fail("something follows it");
  const isRecord = typeof value === "object" && value !== null &&
    !Array.isArray(value) && !(value instanceof Uint8Array);
  return isRecord ? value as StateRecord : fail("it is no record");
}
