/**
 * The memory against a model of one bit at a time, written from the same
 * documentation, on random registers and accesses.
 */

import { assertEquals } from "@std/assert";
import { readVram, writeVram } from "./vga_memory.ts";
import { mode3State, type VgaState, videoMemory } from "./vga_state.ts";

const bit = (value: number, n: number): number => value >> n & 1;

/** Four planes of bits behind the same registers. */
class Model {
  readonly planes = Array.from({ length: 4 }, () => new Uint8Array(0x10000));
  latches = [0, 0, 0, 0];
  readonly #s: VgaState;

  constructor(state: VgaState, bytes: Uint8Array) {
    this.#s = state;
    for (let i = 0; i < 0x40000; i++) this.planes[i & 3][i >> 2] = bytes[i];
  }

  #decode(
    offset: number,
    oddEven: boolean,
  ): { at: number; only: number[] } | undefined {
    const { misc, gfx, seq } = this.#s;
    const [low, high] = [
      [0xa0000, 0xbffff],
      [0xa0000, 0xaffff],
      [0xb0000, 0xb7fff],
      [0xb8000, 0xbffff],
    ][gfx[6] >> 2 & 3];
    const cpu = 0xa0000 + offset;
    if (bit(misc, 1) === 0 || cpu < low || cpu > high) return undefined;
    const a = cpu - low;
    const a16 = bit(a, 16);
    if (bit(seq[4], 3)) {
      return { at: (a & 0xfffc) + a16, only: [a & 3] };
    }
    if (oddEven) {
      return { at: (a & 0xfffe) + a16, only: a & 1 ? [1, 3] : [0, 2] };
    }
    return { at: a & 0xffff, only: [0, 1, 2, 3] };
  }

  read(offset: number): number {
    const { gfx } = this.#s;
    const where = this.#decode(offset, bit(gfx[5], 4) === 1);
    if (where === undefined) return 0xff;
    this.latches = this.planes.map((plane) => plane[where.at]);
    if (bit(gfx[5], 3)) {
      let result = 0;
      for (let n = 0; n < 8; n++) {
        const same = [0, 1, 2, 3].every((p) =>
          bit(gfx[7], p) === 0 || bit(this.latches[p], n) === bit(gfx[2], p)
        );
        if (same) result |= 1 << n;
      }
      return result;
    }
    // Of the planes that the address leaves, the one that GR4 selects.
    const selected = gfx[4] & 3;
    const plane = where.only.length === 4
      ? selected
      : where.only.length === 2
      ? where.only[selected >> 1]
      : where.only[0];
    return this.latches[plane];
  }

  write(offset: number, value: number): void {
    const { gfx, seq } = this.#s;
    const where = this.#decode(offset, bit(seq[4], 2) === 0);
    if (where === undefined) return;
    const mode = gfx[5] & 3;
    const count = gfx[3] & 7;
    for (const p of where.only) {
      if (bit(seq[2], p) === 0) continue;
      let result = 0;
      for (let n = 0; n < 8; n++) {
        const latch = bit(this.latches[p], n);
        const rotated = bit(value, (n + count) % 8);
        let source = rotated;
        let pass = bit(gfx[8], n);
        if (mode === 0 && bit(gfx[1], p)) source = bit(gfx[0], p);
        if (mode === 2) source = bit(value, p);
        if (mode === 3) {
          source = bit(gfx[0], p);
          pass &= rotated;
        }
        const combined =
          [source, source & latch, source | latch, source ^ latch][
            gfx[3] >> 3 & 3
          ];
        const out = mode === 1 ? latch : pass ? combined : latch;
        result |= out << n;
      }
      this.planes[p][where.at] = result;
    }
  }
}

Deno.test("vga: memory is as a model of single bits has it", () => {
  const state = mode3State();
  const memory = videoMemory(new Uint8Array(0x40000));
  const model = new Model(state, memory.bytes);
  let x = 12345;
  const random = (limit: number): number => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % limit;
  };
  const seen = new Set<string>();
  for (let round = 0; round < 1500; round++) {
    state.misc = random(8) === 0 ? 0x65 : 0x67;
    state.seq[2] = random(2) === 0 ? 15 : random(16);
    state.seq[4] = random(8) << 1;
    for (let i = 0; i < 8; i++) state.gfx[i] = random(256);
    state.gfx[8] = random(2) === 0 ? 0xff : random(256);
    seen.add(
      `${state.gfx[5] & 0x1b} ${state.seq[4] >> 2} ${state.gfx[6] & 12}`,
    );
    // Few addresses, so that what was written is read again.
    const base = random(0x20000 - 64);
    for (let step = 0; step < 40; step++) {
      const offset = base + random(64);
      if (random(2) === 0) {
        const value = random(256);
        writeVram(state, memory, offset, value);
        model.write(offset, value);
      } else {
        assertEquals(
          readVram(state, memory, offset),
          model.read(offset),
          `round ${round}: read ${offset.toString(16)}`,
        );
      }
    }
  }
  // Write and read modes, addressing and maps in most combinations.
  assertEquals(seen.size > 200, true, `${seen.size}`);
  const planes = model.planes.map((plane, p) =>
    plane.every((byte, at) => memory.bytes[4 * at + p] === byte)
  );
  assertEquals(planes, [true, true, true, true]);
});
