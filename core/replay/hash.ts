/**
 * A fast 32-bit hash (MurmurHash3_x86_32, Appleby 2011) of bytes and of state
 * records: to notice damage and divergence, not to withstand malice.
 *
 * @module
 */

import type { StateRecord, StateValue } from "../state/state.ts";

const C1 = 0xcc9e2d51 | 0, C2 = 0x1b873593;

function mix(h: number, k: number): number {
  k = Math.imul(k, C1);
  k = Math.imul(k << 15 | k >>> 17, C2);
  h ^= k;
  h = h << 13 | h >>> 19;
  return Math.imul(h, 5) + 0xe6546b64 | 0;
}

/** The hash of bytes, from 0 to 2^32 - 1. */
export function hash32(bytes: Uint8Array, seed = 0): number {
  const { length, buffer, byteOffset } = bytes;
  let h = seed | 0;
  const words = length >>> 2;
  if ((byteOffset & 3) === 0) {
    const view = new Int32Array(buffer, byteOffset, words);
    for (let i = 0; i < words; i++) h = mix(h, view[i]);
  } else {
    const view = new DataView(buffer, byteOffset, length);
    for (let i = 0; i < words; i++) h = mix(h, view.getInt32(i * 4, true));
  }
  let rest = 0;
  for (let i = length - 1; i >= words * 4; i--) rest = rest << 8 | bytes[i];
  let k = Math.imul(rest, C1);
  k = Math.imul(k << 15 | k >>> 17, C2);
  h ^= k;
  h ^= length;
  h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
  return (h ^ h >>> 16) >>> 0;
}

const encoder = new TextEncoder();
const number = new Uint8Array(8);
const numberView = new DataView(number.buffer);

function hashValue(value: StateValue, h: number): number {
  if (value === null) return mix(h, 1);
  switch (typeof value) {
    case "boolean":
      return mix(h, value ? 2 : 3);
    case "number":
      if ((value | 0) === value) return mix(mix(h, 4), value);
      numberView.setFloat64(0, value);
      return hash32(number, mix(h, 5));
    case "bigint":
      return hash32(encoder.encode(value.toString(16)), mix(h, 6));
    case "string":
      return hash32(encoder.encode(value), mix(h, 7));
  }
  if (value instanceof Uint8Array) return hash32(value, mix(h, 8));
  if (Array.isArray(value)) {
    return value.reduce(
      (all: number, item: StateValue) => hashValue(item, all),
      mix(h, 9),
    );
  }
  return hashRecord(value as StateRecord, h);
}

/** The hash of a state record, whatever the order of its fields. */
export function hashRecord(record: StateRecord, seed = 0): number {
  let h = mix(seed, 10);
  for (const name of Object.keys(record).sort()) {
    h = hashValue(record[name], hash32(encoder.encode(name), h));
  }
  return h >>> 0;
}
