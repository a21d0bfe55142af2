/**
 * CRC32: a step of CRC-32C (polynomial 11EDC6F41h, reflected) over 1, 2 or 4
 * bytes, in WebAssembly with one look-up a byte (slicing).
 *
 * @module
 */

import type { Helper } from "../../../core/ir/builder.ts";
import {
  and,
  type Code,
  eq,
  get,
  i32,
  leave,
  load,
  set,
  shl,
  shrU,
  when,
  xor,
} from "./float80_emit.ts";
import { define } from "./helpers.ts";
import { ifPresent, type Native, native } from "./integer_kernel.ts";

/** The polynomial with the lowest power in the highest bit. */
const POLYNOMIAL = 0x82f63b78;
const TABLE_BYTES = 1024;

/** The remainder of 32 bits after 8 more. */
function step(crc: number): number {
  for (let k = 0; k < 8; k++) {
    crc = (crc & 1) !== 0 ? crc >>> 1 ^ POLYNOMIAL : crc >>> 1;
  }
  return crc;
}

/** The CRC after `size` (1, 2, 4) bytes of `value`. */
export function crc32c(crc: number, value: number, size: number): number {
  for (let k = 0; k < size; k++) {
    crc = step((crc ^ value >>> 8 * k & 0xff) >>> 0);
  }
  return crc | 0;
}

/** The tables, in a memory of their own: table n is for a byte with n bytes behind it. */
function tables(): WebAssembly.Memory {
  const memory = new WebAssembly.Memory({
    initial: 1,
    maximum: 1,
    shared: true,
  });
  const words = new Int32Array(memory.buffer);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let n = 0; n < 4; n++) words[256 * n + byte] = crc = step(crc >>> 0);
  }
  return memory;
}

const kernel = native((f) => {
  const x = f.local();
  const byte = (n: number): Code => and(shrU(get(x), i32(8 * n)), i32(0xff));
  const look = (table: number, n: number): Code =>
    load(shl(byte(n), i32(2)), TABLE_BYTES * table);
  set(x, xor(get(0), get(1)));
  when(
    eq(get(2), i32(4)),
    () => leave(xor(xor(look(3, 0), look(2, 1)), xor(look(1, 2), look(0, 3)))),
  );
  when(
    eq(get(2), i32(1)),
    () => leave(xor(look(0, 0), shrU(get(0), i32(8)))),
  );
  leave(xor(xor(look(1, 0), look(0, 1)), shrU(get(0), i32(16))));
}, 3);

const inTables: Native = (cpu) => (_memory, _base, slow) =>
  kernel(cpu)!(tables(), 0, slow);

/** CRC, value (zero-extended) and its size in bytes; gives the new CRC. */
export const CRC32: Helper = define(
  "crc32",
  3,
  {
    reads: [],
    writes: [],
    pure: true,
    native: (cpu) => ifPresent(cpu, "sse4_2", inTables),
    isNativeLate: true,
  },
  () => crc32c,
);
