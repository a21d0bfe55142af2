/**
 * Reads QMP's stream of JSON values: back to back, in chunks of any size.
 *
 * The language, the texts of its errors, the limits and where reading goes on
 * after an error are QEMU's (`qobject/json-lexer.c`, `json-streamer.c`,
 * `json-parser.c`; `docs/interop/qmp-spec.txt`): RFC 8259 with strings in
 * single quotes and the escape `\'` besides. A value is built while its bytes
 * come, so that the end of a great one takes no longer than that of a small
 * one: the guest shares the thread.
 *
 * A value with a syntax error is reported where its brackets balance; a byte
 * that begins or continues no token is reported at once, and what follows it
 * is skipped to the next bracket, comma, colon or control character.
 *
 * @module
 */

import { JsonFloat, type JsonValue } from "./json_value.ts";
import { decodeString } from "./json_string.ts";

/** Bytes of a token, and of the tokens of a value. */
const MAX_TOKEN_SIZE = 64 << 20;
/** Tokens of a value. */
const MAX_TOKEN_COUNT = 2 << 20;
/** Brackets and braces that are open. */
const MAX_NESTING = 1 << 10;
/** What a token of a value takes in memory, beside its bytes, about. */
const TOKEN_COST = 48;
/** Bytes of a token that are kept without more room than that. */
const ROOM_BYTES = 256;
/** A stray token is shown up to here. */
const SHOWN_BYTES = 1024;

/** A value, or why there is none. */
export type JsonMessage =
  | { readonly value: JsonValue }
  | { readonly error: string };

/** What the lexer is in the midst of. */
const START = 0;
const RECOVERY = 1;
const DOUBLE = 2;
const DOUBLE_ESCAPE = 3;
const SINGLE = 4;
const SINGLE_ESCAPE = 5;
const ZERO = 6;
const DIGITS = 7;
const SIGN = 8;
const MANTISSA = 9;
const MANTISSA_DIGITS = 10;
const EXPONENT = 11;
const EXPONENT_SIGN = 12;
const EXPONENT_DIGITS = 13;
const KEYWORD = 14;
/** No token has this byte there. */
const ERROR = 15;
/** The token ended before this byte. */
const END = 16;
/** The string ended with it. */
const STRING_END = 17;

const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const BACKSLASH = 0x5c;
const POINT = 0x2e;
const MINUS = 0x2d;
const PLUS = 0x2b;

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isExponent = (byte: number): boolean => (byte | 0x20) === 0x65;
const isLetter = (byte: number): boolean => byte >= 0x61 && byte <= 0x7a;
/** Bytes that strings may not have. */
const isForbidden = (byte: number): boolean => byte < 0x20 || byte > 0xfd;
/** `[ ] { } : ,` */
const isStructural = (byte: number): boolean =>
  byte === 0x5b || byte === 0x5d || byte === 0x7b || byte === 0x7d ||
  byte === 0x3a || byte === 0x2c;

/** What a byte that begins a token leads to; structural ones are not asked for. */
function first(byte: number): number {
  if (byte === QUOTE) return DOUBLE;
  if (byte === APOSTROPHE) return SINGLE;
  if (byte === 0x30) return ZERO;
  if (isDigit(byte)) return DIGITS;
  if (byte === MINUS) return SIGN;
  return isLetter(byte) ? KEYWORD : ERROR;
}

/** What a further byte leads to. */
function next(state: number, byte: number): number {
  switch (state) {
    case DOUBLE:
      if (byte === QUOTE) return STRING_END;
      if (byte === BACKSLASH) return DOUBLE_ESCAPE;
      return isForbidden(byte) ? ERROR : DOUBLE;
    case SINGLE:
      if (byte === APOSTROPHE) return STRING_END;
      if (byte === BACKSLASH) return SINGLE_ESCAPE;
      return isForbidden(byte) ? ERROR : SINGLE;
    case DOUBLE_ESCAPE:
      return isForbidden(byte) ? ERROR : DOUBLE;
    case SINGLE_ESCAPE:
      return isForbidden(byte) ? ERROR : SINGLE;
    case ZERO:
      if (byte === POINT) return MANTISSA;
      return isDigit(byte) ? ERROR : END;
    case DIGITS:
      if (isDigit(byte)) return DIGITS;
      if (byte === POINT) return MANTISSA;
      return isExponent(byte) ? EXPONENT : END;
    case SIGN:
      if (byte === 0x30) return ZERO;
      return isDigit(byte) ? DIGITS : ERROR;
    case MANTISSA:
      return isDigit(byte) ? MANTISSA_DIGITS : ERROR;
    case MANTISSA_DIGITS:
      if (isDigit(byte)) return MANTISSA_DIGITS;
      return isExponent(byte) ? EXPONENT : END;
    case EXPONENT:
      if (byte === MINUS || byte === PLUS) return EXPONENT_SIGN;
      return isDigit(byte) ? EXPONENT_DIGITS : ERROR;
    case EXPONENT_SIGN:
      return isDigit(byte) ? EXPONENT_DIGITS : ERROR;
    case EXPONENT_DIGITS:
      return isDigit(byte) ? EXPONENT_DIGITS : END;
    default:
      return isLetter(byte) ? KEYWORD : END;
  }
}

/** What an open object or array expects. */
const EXPECTS_FIRST = 0;
const EXPECTS_ITEM = 1;
const EXPECTS_SEPARATOR = 2;
const EXPECTS_COLON = 3;
const EXPECTS_VALUE = 4;

/** An open object or array. */
interface Open {
  /** What it has so far. */
  readonly list: JsonValue[] | undefined;
  readonly map: Map<string, JsonValue> | undefined;
  /** What it expects. An object's item is its key. */
  expects: number;
  key: string;
}

/** What was expected where a value was not. */
const NO_VALUE = "expecting value";

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

/** An integer of 64 bits with or without a sign; what is beyond is a float. */
function integer(text: string): JsonValue {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value + 0;
  if (text.length > UINT64_MAX.toString().length) return new JsonFloat(value);
  const exact = BigInt(text);
  return exact < INT64_MIN || exact > UINT64_MAX ? new JsonFloat(value) : exact;
}

/** Reads a stream of JSON values. */
export class JsonReader {
  readonly #emit: (message: JsonMessage) => void;
  /** The lexer's state, and the bytes of its token from earlier chunks. */
  #state = START;
  #room = new Uint8Array(ROOM_BYTES);
  #kept = 0;
  /** The value that is being read. */
  #braces = 0;
  #brackets = 0;
  #tokens = 0;
  #bytes = 0;
  #open: Open[] = [];
  #value: JsonValue | undefined;
  #error: string | undefined;

  /** `emit` is called with each value and error, in order. */
  constructor(emit: (message: JsonMessage) => void) {
    this.#emit = emit;
  }

  /** Bytes of memory that a value which has not ended takes, about. */
  get held(): number {
    const kept = this.#room.length > ROOM_BYTES ? this.#room.length : 0;
    // What there was of a wrong value has been let go.
    if (this.#error !== undefined) return kept;
    return kept + this.#bytes + TOKEN_COST * this.#tokens;
  }

  /** Read on. The chunk is not kept. */
  feed(chunk: Uint8Array): void {
    let start = 0;
    for (let i = 0; i < chunk.length;) {
      const byte = chunk[i];
      if (this.#state === START) {
        start = i;
        if (byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d) {
          i++;
        } else if (isStructural(byte)) {
          i++;
          this.#structural(byte);
        } else {
          this.#state = first(byte);
          i++;
          if (this.#state === ERROR) this.#stray(chunk.subarray(start, i));
        }
        continue;
      }
      if (this.#state === RECOVERY) {
        const ends = isStructural(byte) || byte > 0xfd ||
          byte < 0x20 && byte !== 0x09;
        // The byte that ends it is looked at again.
        if (ends) this.#state = START;
        else i++;
        continue;
      }
      const state = next(this.#state, byte);
      if (state === END) {
        this.#scalar(chunk.subarray(start, i));
        continue;
      }
      i++;
      if (state === STRING_END) this.#scalar(chunk.subarray(start, i));
      else if (state === ERROR) this.#stray(chunk.subarray(start, i));
      else {
        this.#state = state;
        if (this.#kept + (i - start) > MAX_TOKEN_SIZE) {
          this.#forget();
          this.#fail("JSON token size limit exceeded");
        }
      }
    }
    if (this.#state > RECOVERY) this.#keep(chunk.subarray(start));
  }

  /** The bytes of the token whose last ones these are; valid until more are read. */
  #take(last: Uint8Array): Uint8Array {
    if (this.#kept === 0) {
      this.#state = START;
      return last;
    }
    this.#keep(last);
    const bytes = this.#room.subarray(0, this.#kept);
    this.#forget();
    return bytes;
  }

  /** Keep bytes of a token that goes on in the next chunk. */
  #keep(bytes: Uint8Array): void {
    const length = this.#kept + bytes.length;
    if (length > this.#room.length) {
      const room = new Uint8Array(Math.max(length, 2 * this.#room.length));
      room.set(this.#room.subarray(0, this.#kept));
      this.#room = room;
    }
    this.#room.set(bytes, this.#kept);
    this.#kept = length;
  }

  /** The token ends here. */
  #forget(): void {
    this.#state = START;
    this.#kept = 0;
    if (this.#room.length > ROOM_BYTES) this.#room = new Uint8Array(ROOM_BYTES);
  }

  /** A byte that no token has there. */
  #stray(last: Uint8Array): void {
    const bytes = this.#take(last);
    const end = bytes.indexOf(0);
    const shown = bytes.subarray(
      0,
      Math.min(end < 0 ? bytes.length : end, SHOWN_BYTES),
    );
    this.#fail(`JSON parse error, stray '${new TextDecoder().decode(shown)}'`);
    this.#state = RECOVERY;
  }

  /** A bracket, brace, comma or colon. */
  #structural(byte: number): void {
    switch (byte) {
      case 0x7b:
        this.#braces++;
        break;
      case 0x7d:
        this.#braces--;
        break;
      case 0x5b:
        this.#brackets++;
        break;
      case 0x5d:
        this.#brackets--;
    }
    if (!this.#count(1)) return;
    if (this.#error === undefined) this.#mark(byte);
    this.#finish();
  }

  /** A string, number or keyword. */
  #scalar(last: Uint8Array): void {
    const state = this.#state;
    const bytes = this.#take(last);
    if (!this.#count(bytes.length)) return;
    if (this.#error === undefined) {
      const misplaced = this.#misplaced();
      const { value, error } = misplaced === undefined
        ? scalarOf(state, bytes)
        : { error: misplaced };
      if (error !== undefined) this.#wrong(error);
      else this.#item(value!);
    }
    this.#finish();
  }

  /** A token of the value: whether that does not go beyond a limit. */
  #count(bytes: number): boolean {
    if (this.#bytes + bytes + 1 > MAX_TOKEN_SIZE) {
      this.#fail("JSON token size limit exceeded");
    } else if (this.#tokens + 1 > MAX_TOKEN_COUNT) {
      this.#fail("JSON token count limit exceeded");
    } else if (this.#braces + this.#brackets > MAX_NESTING) {
      this.#fail("JSON nesting depth limit exceeded");
    } else {
      this.#bytes += bytes;
      this.#tokens++;
      return true;
    }
    return false;
  }

  /** If brackets and braces balance, or never will, that was the value. */
  #finish(): void {
    const isOpen = this.#braces > 0 || this.#brackets > 0;
    if (isOpen && this.#braces >= 0 && this.#brackets >= 0) return;
    const error = this.#error;
    const value = this.#value;
    this.#clear();
    this.#emit(
      error === undefined
        ? { value: value! }
        : { error: `JSON parse error, ${error}` },
    );
  }

  #fail(error: string): void {
    this.#clear();
    this.#emit({ error });
  }

  #clear(): void {
    this.#braces =
      this.#brackets =
      this.#tokens =
      this.#bytes =
        0;
    this.#open = [];
    this.#value = this.#error = undefined;
  }

  /** The first error in a value counts. What there was of it is let go. */
  #wrong(error: string): void {
    this.#error ??= error;
    this.#open = [];
  }

  /** What should be here in place of a value, if something should. */
  #misplaced(): string | undefined {
    const top = this.#open.at(-1);
    switch (top?.expects) {
      case EXPECTS_COLON:
        return "missing : in object pair";
      case EXPECTS_SEPARATOR:
        return `expected separator in ${top.list ? "list" : "dict"}`;
      default:
        return undefined;
    }
  }

  /** A structural token in its place. */
  #mark(byte: number): void {
    const top = this.#open.at(-1);
    if (top?.expects === EXPECTS_COLON && byte === 0x3a) {
      top.expects = EXPECTS_VALUE;
      return;
    }
    if (top?.expects === EXPECTS_SEPARATOR) {
      if (byte === 0x2c) {
        top.expects = EXPECTS_ITEM;
        return;
      }
      if (byte === (top.list === undefined ? 0x7d : 0x5d)) return this.#close();
    }
    const misplaced = this.#misplaced();
    if (misplaced !== undefined) return this.#wrong(misplaced);
    if (byte === 0x7b) {
      this.#push(undefined, new Map());
    } else if (byte === 0x5b) {
      this.#push([], undefined);
    } else if (
      top?.expects === EXPECTS_FIRST &&
      byte === (top.list === undefined ? 0x7d : 0x5d)
    ) {
      this.#close();
    } else this.#wrong(NO_VALUE);
  }

  #push(
    list: JsonValue[] | undefined,
    map: Map<string, JsonValue> | undefined,
  ): void {
    this.#open.push({ list, map, expects: EXPECTS_FIRST, key: "" });
  }

  #close(): void {
    const { list, map } = this.#open.pop()!;
    this.#item(list ?? map!);
  }

  /** A whole value in its place. */
  #item(value: JsonValue): void {
    const top = this.#open.at(-1);
    if (top === undefined) {
      this.#value = value;
      return;
    }
    const { map, list, expects, key } = top;
    if (list !== undefined) list.push(value);
    else if (expects !== EXPECTS_VALUE) {
      if (typeof value !== "string") {
        return this.#wrong("key is not a string in object");
      }
      top.key = value;
      top.expects = EXPECTS_COLON;
      return;
    } else {
      if (map!.has(key)) return this.#wrong("duplicate key");
      map!.set(key, value);
    }
    top.expects = EXPECTS_SEPARATOR;
  }
}

/** The value of a string, number or keyword; or what is wrong with it. */
function scalarOf(
  state: number,
  bytes: Uint8Array,
): { value?: JsonValue; error?: string } {
  if (state >= DOUBLE && state <= SINGLE_ESCAPE) return decodeString(bytes);
  const text = new TextDecoder().decode(bytes);
  switch (state) {
    case KEYWORD:
      if (text === "true") return { value: true };
      if (text === "false") return { value: false };
      if (text === "null") return { value: null };
      return { error: `invalid keyword '${text.slice(0, SHOWN_BYTES)}'` };
    case ZERO:
    case DIGITS:
      return { value: integer(text) };
    default:
      return { value: new JsonFloat(Number(text)) };
  }
}
