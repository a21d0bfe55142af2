/**
 * The x87 kernel against x87.ts: the same instructions on the same random
 * register files must leave the same state.
 */

import { assert, assertEquals } from "@std/assert";
import {
  OFF_TLB,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  TLB_WRITE,
} from "../../../core/exec/layout.ts";
import type { X86 } from "./cpu.ts";
import {
  type KernelFunction,
  type KernelName,
  makeKernel,
} from "./float80_kernel.ts";
import {
  OFF_FCW,
  OFF_FPR,
  OFF_FSW,
  OFF_FTAG,
  OFF_FTOP,
  OFF_X87_TEMP,
} from "./state.ts";
import { X87 } from "./x87.ts";

const STATE = 0x800;
const OFF_SCRATCH_WORD = OFF_X87_TEMP >> 2;

/** The slow path of a kernel: the unit's methods as helpers call them. */
function slowPaths(unit: X87): Record<KernelName, KernelFunction> {
  const zero =
    (run: (a: number, b: number, c: number) => void) =>
    (a: number, b: number, c: number): number => {
      run(a, b, c);
      return 0;
    };
  return {
    registers: zero((op, i, how) => unit.registers(op, i, how)),
    operandF32: zero((op, bits) => unit.operandF32(op, bits)),
    operandF64: zero((op, lo, hi) => unit.operandF64(op, lo, hi)),
    operandInteger: zero((op, v) => unit.operandInteger(op, v)),
    loadF32: zero((bits) => unit.loadF32(bits)),
    loadF64: zero((lo, hi) => unit.loadF64(lo, hi)),
    loadI32: zero((v) => unit.load(4, v, 0, 0)),
    loadI64: zero((lo, hi) => unit.load(5, lo, hi, 0)),
    loadF80: zero((a, b, c) => unit.load(2, a, b, c)),
    moveIf: zero((i, condition) => unit.moveIf(i, condition !== 0)),
    loadRegister: zero((i) => unit.loadRegister(i)),
    loadConstant: zero((n) => unit.loadConstant(n)),
    storeRegister: zero((i, pop) => unit.storeRegister(i, pop !== 0)),
    exchange: zero((i) => unit.exchange(i)),
    compare: zero((i, pops, quiet) => unit.compare(i, pops, quiet !== 0)),
    compareFlags: (i, pop, quiet) =>
      unit.compareFlags(i, pop !== 0, quiet !== 0),
    compute: zero((what) => unit.compute(what)),
    store: zero((address, what, mmu) => unit.store(address, what, mmu)),
  };
}

/** Guest page that the TLB of MMU index 1 maps, and where it lies. */
const GUEST = 0x7654_3000, HOST = 0x3_0000;

/** A unit over its own memory. */
function makeUnit(memory: WebAssembly.Memory): [X87, Int32Array] {
  const state = new Int32Array(memory.buffer, STATE, 0x200);
  const view = new DataView(memory.buffer, HOST);
  const mmu = {
    probe: (): void => {},
    write16: (a: number, v: number): void => view.setInt16(a - GUEST, v, true),
    write32: (a: number, v: number): void => view.setInt32(a - GUEST, v, true),
  };
  const index = (GUEST >>> 12) & (TLB_ENTRIES - 1);
  const entry = STATE + OFF_TLB + TLB_BYTES + index * TLB_ENTRY_BYTES;
  const words = new Int32Array(memory.buffer);
  words[(entry + TLB_WRITE) >> 2] = GUEST;
  words[(entry + TLB_WRITE + TLB_HOST) >> 2] = HOST;
  const cpu = { state, engine: { mmu } } as unknown as X86;
  return [new X87(cpu).ready(), state];
}

const pages = { initial: 4, maximum: 4, shared: true };

let seed = 0x2545f491;
function random(): number {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return seed >>> 0;
}
function pick<T>(list: readonly T[]): T {
  return list[random() % list.length];
}

/** A random register file, mostly of everyday numbers. */
function fill(state: Int32Array): void {
  for (let r = 0; r < 8; r++) {
    const w = (OFF_FPR >> 2) + r * 4, kind = random() % 12;
    let e = 0x3fff - 8 + random() % 16;
    let hi = random() | 0x80000000, lo = random();
    if (kind === 0) e = random() % 0x8000;
    if (kind === 1) e = 0x3fff - 70 + random() % 140;
    if (kind === 2) e = pick([0, 1, 0x7ffe, 0x7fff, 0x3fff]);
    if (kind === 3 || kind === 4) e = hi = lo = 0;
    if (kind < 6 && kind > 4) hi = random();
    if (kind > 6) lo &= pick([0, -1, 0xfffff800, 0x80000000]);
    if (kind > 9) hi &= pick([-1, 0xffffff00, 0x80000000]);
    state[w] = lo;
    state[w + 1] = hi;
    state[w + 2] = e | (random() & 0x8000);
    state[w + 3] = 0;
    if (r > 0 && random() % 8 === 0) state.copyWithin(w, w - 4, w);
  }
  state[OFF_FTOP >> 2] = random() & 7;
  state[OFF_FTAG >> 2] = random() & random() % 3 ? random() & 0xff : 0xfe;
  if (random() % 2) {
    state[OFF_FTAG >> 2] = 0xff & ~(1 << (state[OFF_FTOP >> 2] + 7 & 7));
  }
  state[OFF_FSW >> 2] = random() & 0x4700;
  const rc = random() % 2 ? 0 : random() & 0xc00;
  const pc = random() % 2 ? 0x300 : random() & 0x300;
  state[OFF_FCW >> 2] = 0x40 | rc | pc | (random() % 4 ? 0x3f : random() & 63);
}

/** Arguments that a helper may have. */
function args(name: KernelName): [number, number, number] {
  const op = random() % 8, i = random() % 8, bit = random() & 1;
  const f32 = pick([0, random(), random() & 0xffff0000, 0x3f800000]) | 0;
  const hi = pick([0, random(), 0x3ff00000, 0x40000000 | random() & 0xfffff]);
  const lo = pick([0, random()]) | 0;
  switch (name) {
    case "registers":
      return [pick([0, 1, 4, 5, 6, 7]), i, random() & 3];
    case "operandF32":
      return [op, f32, 0];
    case "operandF64":
      return [op, lo, hi | 0];
    case "operandInteger":
      return [op, pick([0, -1, random() | 0, -0x80000000, 7]), 0];
    case "loadF32":
      return [f32, 0, 0];
    case "loadF64":
      return [lo, hi | 0, 0];
    case "loadI32":
      return [pick([0, -1, random() | 0, -0x80000000]), 0, 0];
    case "loadI64":
      return [lo, pick([0, -1, random() | 0, -0x80000000]), 0];
    case "loadF80":
      return [random() | 0, random() | 0, random() & 0xffff];
    case "moveIf":
      return [i, bit, 0];
    case "loadConstant":
      return [random() % 7, 0, 0];
    case "storeRegister":
      return [i, bit, 0];
    case "compare":
      return [i, random() % 3, bit];
    case "compareFlags":
      return [i, bit, random() & 1];
    case "store":
      return [
        GUEST + random() % 40,
        random() % 6 | pick([0, 8, 24]),
        random() % 8 === 0 ? 0 : 1,
      ];
    case "compute":
      return [random() % 4, 0, 0];
  }
  return [i, 0, 0];
}

const memory = new WebAssembly.Memory(pages);
const [fast, state] = makeUnit(memory);
const other = new WebAssembly.Memory(pages);
const [reference, expected] = makeUnit(other);
const stored = new Int32Array(memory.buffer, HOST, 16);
const storedThere = new Int32Array(other.buffer, HOST, 16);
const referencePaths = slowPaths(reference);
let slowCalls = 0;
const slow = slowPaths(fast);
for (const name of Object.keys(slow) as KernelName[]) {
  const run = slow[name];
  slow[name] = (a, b, c) => {
    slowCalls++;
    return run(a, b, c);
  };
}
const kernel = makeKernel(memory, STATE, slow);

for (const name of Object.keys(referencePaths) as KernelName[]) {
  Deno.test(`x87 kernel: ${name}`, () => {
    slowCalls = 0;
    const cases = 20000;
    for (let n = 0; n < cases; n++) {
      fill(expected);
      state.set(expected);
      const before = expected.slice();
      const [a, b, c] = args(name);
      const want = referencePaths[name](a, b, c);
      const got = kernel[name](a, b, c);
      // The operand slot is the unit's own.
      expected.fill(0, OFF_SCRATCH_WORD);
      state.fill(0, OFF_SCRATCH_WORD);
      const same = want === got && expected.every((v, k) => v === state[k]) &&
        stored.every((v, k) => v === storedThere[k]);
      if (!same) {
        const dump = (s: Int32Array): string =>
          [...s.subarray(OFF_FPR >> 2, (OFF_FTAG >> 2) + 1)]
            .map((v) => (v >>> 0).toString(16)).join(" ");
        assertEquals(
          `${got} ${dump(state)} ${stored}`,
          `${want} ${dump(expected)} ${storedThere}`,
          `(${a}, ${b}, ${c}) on ${dump(before)}`,
        );
      }
    }
    assert(slowCalls < cases * 0.85, `${slowCalls} slow of ${cases}`);
  });
}
