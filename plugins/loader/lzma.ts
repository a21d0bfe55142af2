/**
 * LZMA2, as in xz files: the decoder. Source: Igor Pavlov's LZMA specification
 * (lzma-specification.txt of the LZMA SDK), and "The .xz File Format", 5.3.1.
 *
 * @module
 */

/** The data are damaged. */
export class LzmaError extends Error {
  /** The name of the error's class. */
  override readonly name = "LzmaError";
}

/** Probabilities have 11 bits and adapt by a 32nd. */
const HALF = 1024;
const PROBABILITY_BITS = 11;
const PROBABILITY_ONE = 1 << PROBABILITY_BITS;
const ADAPT = 5;
/** Below this the range gets another byte. */
const TOP = 2 ** 24;

const STATES = 12;
const POSITION_STATES = 16;
const LENGTH_STATES = 4;
/** The least length of a match. */
const MIN_MATCH = 2;
/** From here on a call copies bytes faster than a loop. */
const LONG_MATCH = 48;
/** Distance slots from here on have bits that are not modelled. */
const FIRST_DIRECT = 14;
const ALIGN_BITS = 4;

/** Where each model's probabilities begin in one array. */
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POSITION_STATES;
const IS_REP0 = IS_REP + STATES;
const IS_REP1 = IS_REP0 + STATES;
const IS_REP2 = IS_REP1 + STATES;
const IS_REP0_LONG = IS_REP2 + STATES;
const SLOTS = IS_REP0_LONG + STATES * POSITION_STATES;
const SPECIAL = SLOTS + LENGTH_STATES * 64;
const ALIGN = SPECIAL + 128;
/** Of a length coder: choice, choice 2, low, middle, high. */
const CHOICE = 0;
const CHOICE2 = 1;
const LOW = 2;
const MIDDLE = LOW + POSITION_STATES * 8;
const HIGH = MIDDLE + POSITION_STATES * 8;
const LENGTH_CODER = HIGH + 256;
const MATCH_LENGTH = ALIGN + 16;
const REP_LENGTH = MATCH_LENGTH + LENGTH_CODER;
const LITERAL = REP_LENGTH + LENGTH_CODER;
const LITERAL_CODER = 0x300;

/** Chunks of LZMA2. */
const END = 0;
const RAW_RESET = 1;
const RAW = 2;
const COMPRESSED = 0x80;
/** What a compressed chunk resets: state, properties, dictionary. */
const RESET_STATE = 1;
const RESET_PROPERTIES = 2;
const RESET_DICTIONARY = 3;

/** A decoder of LZMA2 chunks into one buffer, which is the dictionary too. */
export class Lzma2Decoder {
  readonly #in: Uint8Array;
  readonly #out: Uint8Array;
  #at: number;
  #outAt: number;
  /** Where the dictionary begins in the output. */
  #start: number;
  #probabilities = new Uint16Array(0);
  #lc = 0;
  #literalMask = 0;
  #positionMask = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  /** Range and code: a typed array keeps such numbers without boxes. */
  readonly #coder = new Uint32Array(2);

  /** A decoder of `input` from `at` on, to `output` from `outAt` on. */
  constructor(
    input: Uint8Array,
    at: number,
    output: Uint8Array,
    outAt: number,
  ) {
    this.#in = input;
    this.#at = at;
    this.#out = output;
    this.#outAt = outAt;
    this.#start = outAt;
  }

  /** Where the input goes on. */
  get position(): number {
    return this.#at;
  }

  /** Where the output ends. */
  get end(): number {
    return this.#outAt;
  }

  #byte(): number {
    const byte = this.#in[this.#at++];
    if (byte === undefined) throw new LzmaError("the data end too early");
    return byte;
  }

  #word(): number {
    return this.#byte() << 8 | this.#byte();
  }

  /** Decode up to the end mark; throws an `LzmaError`. */
  decode(): void {
    for (let first = true;; first = false) {
      const control = this.#byte();
      if (control === END) return;
      const isRaw = control < COMPRESSED;
      const resets = control >> 5 & 3;
      const isFresh = isRaw
        ? control === RAW_RESET
        : resets === RESET_DICTIONARY;
      if (first && !isFresh || isRaw && control > RAW) {
        throw new LzmaError("a chunk of no known kind");
      }
      if (isFresh) this.#start = this.#outAt;
      if (isRaw) {
        this.#copy(this.#word() + 1);
        continue;
      }
      const size = (control & 0x1f) * 0x10000 + this.#word() + 1;
      const packed = this.#word() + 1;
      if (resets >= RESET_PROPERTIES) this.#setProperties(this.#byte());
      if (this.#probabilities.length === 0) {
        throw new LzmaError("a chunk without properties");
      }
      if (resets >= RESET_STATE) this.#reset();
      this.#chunk(size, packed);
    }
  }

  #copy(size: number): void {
    if (
      this.#at + size > this.#in.length || this.#outAt + size > this.#out.length
    ) {
      throw new LzmaError("a chunk that is too long");
    }
    const bytes = this.#in.subarray(this.#at, this.#at += size);
    this.#out.set(bytes, this.#outAt);
    this.#outAt += size;
  }

  #setProperties(byte: number): void {
    const lc = byte % 9;
    const lp = Math.floor(byte / 9) % 5;
    const pb = Math.floor(byte / 45);
    if (lc + lp > 4 || pb > 4) throw new LzmaError("invalid properties");
    this.#lc = lc;
    this.#literalMask = (1 << lp) - 1;
    this.#positionMask = (1 << pb) - 1;
    const count = LITERAL + (LITERAL_CODER << lc + lp);
    this.#probabilities = new Uint16Array(count);
  }

  #reset(): void {
    this.#probabilities.fill(HALF);
    this.#state = 0;
    this.#rep0 =
      this.#rep1 =
      this.#rep2 =
      this.#rep3 =
        0;
  }

  /** A bit by its model. */
  #bit(model: number): number {
    const coder = this.#coder;
    const probabilities = this.#probabilities;
    const p = probabilities[model];
    let range = coder[0];
    const bound = Math.imul(range >>> PROBABILITY_BITS, p) >>> 0;
    let bit = 0;
    if (coder[1] < bound) {
      range = bound;
      probabilities[model] = p + (PROBABILITY_ONE - p >> ADAPT);
    } else {
      range = (range - bound) >>> 0;
      coder[1] -= bound;
      probabilities[model] = p - (p >> ADAPT);
      bit = 1;
    }
    coder[0] = range;
    if (range < TOP) this.#shift();
    return bit;
  }

  #shift(): void {
    const coder = this.#coder;
    coder[0] = coder[0] << 8;
    coder[1] = coder[1] << 8 | this.#in[this.#at++];
  }

  /** Bits without a model. */
  #direct(count: number): number {
    const coder = this.#coder;
    let value = 0;
    for (let i = 0; i < count; i++) {
      coder[0] >>>= 1;
      const bit = coder[1] >= coder[0] ? 1 : 0;
      if (bit === 1) coder[1] -= coder[0];
      if (coder[0] < TOP) this.#shift();
      value = value * 2 + bit;
    }
    return value;
  }

  /** A number of so many bits, the highest first. */
  #tree(models: number, bits: number): number {
    return this.#node(models, 1 << bits) - (1 << bits);
  }

  /**
   * The node below `limit` to which a tree of bits leads: `bit` in a loop, with
   * range and code in variables. [measured] A kernel is unpacked in 0.65 of the
   * time.
   */
  #node(models: number, limit: number): number {
    const coder = this.#coder;
    const probabilities = this.#probabilities;
    let range = coder[0], code = coder[1];
    let node = 1;
    while (node < limit) {
      const p = probabilities[models + node];
      const bound = Math.imul(range >>> PROBABILITY_BITS, p) >>> 0;
      if (code < bound) {
        range = bound;
        probabilities[models + node] = p + (PROBABILITY_ONE - p >> ADAPT);
        node <<= 1;
      } else {
        range = (range - bound) >>> 0;
        code = (code - bound) >>> 0;
        probabilities[models + node] = p - (p >> ADAPT);
        node = node << 1 | 1;
      }
      if (range < TOP) {
        range = (range << 8) >>> 0;
        code = (code << 8 | this.#in[this.#at++]) >>> 0;
      }
    }
    coder[0] = range;
    coder[1] = code;
    return node;
  }

  /**
   * A byte's node beside the byte that would have gone on behind a match: as
   * long as the bits are its bits, the models are others.
   */
  #besideMatch(models: number, match: number): number {
    let node = 1;
    for (let offset = 0x100; node < 0x100;) {
      match <<= 1;
      const high = match & offset;
      const bit = this.#bit(models + offset + high + node);
      node = node << 1 | bit;
      offset &= bit === 1 ? match : ~match;
    }
    return node;
  }

  /** The same, the lowest bit first. */
  #reverse(models: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(models + node);
      node = node << 1 | bit;
      value |= bit << i;
    }
    return value;
  }

  #length(coder: number, position: number): number {
    if (this.#bit(coder + CHOICE) === 0) {
      return MIN_MATCH + this.#tree(coder + LOW + position * 8, 3);
    }
    if (this.#bit(coder + CHOICE2) === 0) {
      return MIN_MATCH + 8 + this.#tree(coder + MIDDLE + position * 8, 3);
    }
    return MIN_MATCH + 16 + this.#tree(coder + HIGH, 8);
  }

  #distance(length: number): number {
    const state = Math.min(length - MIN_MATCH, LENGTH_STATES - 1);
    const slot = this.#tree(SLOTS + state * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | slot & 1) * 2 ** bits;
    if (slot < FIRST_DIRECT) {
      return base + this.#reverse(SPECIAL + base - slot, bits);
    }
    return base + this.#direct(bits - ALIGN_BITS) * 16 +
      this.#reverse(ALIGN, ALIGN_BITS);
  }

  #literal(): void {
    const out = this.#out;
    const at = this.#outAt;
    const before = at > this.#start ? out[at - 1] : 0;
    const place = (at - this.#start & this.#literalMask) << this.#lc;
    const coder = LITERAL +
      LITERAL_CODER * (place + (before >> 8 - this.#lc));
    // Behind a match: by the bits of the byte that would have gone on.
    const symbol = this.#state >= 7
      ? this.#besideMatch(coder, out[at - this.#rep0 - 1])
      : this.#node(coder, 0x100);
    out[this.#outAt++] = symbol;
    const state = this.#state;
    this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }

  #repeat(limit: number, length: number): void {
    const out = this.#out;
    const distance = this.#rep0 + 1;
    let at = this.#outAt;
    if (distance > at - this.#start || at + length > limit) {
      throw new LzmaError("a match that is nowhere");
    }
    const end = at + length;
    if (length >= LONG_MATCH && distance === 1) {
      out.fill(out[at - 1], at, end);
    } else if (length >= LONG_MATCH && distance >= length) {
      out.copyWithin(at, at - distance, end - distance);
    } else for (; at < end; at++) out[at] = out[at - distance];
    this.#outAt = end;
  }

  #chunk(size: number, packed: number): void {
    const limit = this.#outAt + size;
    const end = this.#at + packed;
    if (limit > this.#out.length || end > this.#in.length || packed < 5) {
      throw new LzmaError("a chunk that is too long");
    }
    this.#at++;
    this.#coder[0] = 0xffffffff;
    this.#coder[1] = this.#word() << 16 | this.#word();
    while (this.#outAt < limit) {
      if (this.#at > end) throw new LzmaError("a chunk that is too short");
      const position = this.#outAt - this.#start & this.#positionMask;
      const index = this.#state * POSITION_STATES + position;
      if (this.#bit(IS_MATCH + index) === 0) this.#literal();
      else this.#match(index, position, limit);
    }
    if (this.#at !== end || this.#coder[1] !== 0) {
      throw new LzmaError("a chunk of another length than it says");
    }
  }

  #match(index: number, position: number, limit: number): void {
    const state = this.#state;
    const isAfterLiteral = state < 7;
    if (this.#bit(IS_REP + state) === 0) {
      const length = this.#length(MATCH_LENGTH, position);
      this.#rep3 = this.#rep2;
      this.#rep2 = this.#rep1;
      this.#rep1 = this.#rep0;
      this.#rep0 = this.#distance(length);
      this.#state = isAfterLiteral ? 7 : 10;
      return this.#repeat(limit, length);
    }
    if (this.#bit(IS_REP0 + state) === 0) {
      if (this.#bit(IS_REP0_LONG + index) === 0) {
        this.#state = isAfterLiteral ? 9 : 11;
        return this.#repeat(limit, 1);
      }
    } else {
      let distance = this.#rep1;
      if (this.#bit(IS_REP1 + state) === 1) {
        distance = this.#rep2;
        if (this.#bit(IS_REP2 + state) === 1) {
          distance = this.#rep3;
          this.#rep3 = this.#rep2;
        }
        this.#rep2 = this.#rep1;
      }
      this.#rep1 = this.#rep0;
      this.#rep0 = distance;
    }
    const length = this.#length(REP_LENGTH, position);
    this.#state = isAfterLiteral ? 8 : 11;
    this.#repeat(limit, length);
  }
}
