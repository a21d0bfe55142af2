import { assertEquals } from "@std/assert";
import { casesFrom, Prng, seedFrom } from "../../../tests/differential/prng.ts";
import {
  OFF_TLB,
  TLB_BYTES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  TLB_READ,
  TLB_WRITE,
} from "../../../core/exec/layout.ts";
import type { X86 } from "./cpu.ts";
import { arithFlags } from "./flags.ts";
import { CC_SUB } from "./state.ts";
import {
  CMPS,
  MAX_ELEMENTS,
  MOVS,
  REP_DOWN,
  REP_FLAGS_SHIFT,
  REP_LOG_SHIFT,
  REP_NOT_EQUAL,
  REP_SLOW,
  REP_USER,
  SCAS,
  STOS,
} from "./string_kernel.ts";

const BASE = 0x10000;
const memory = new WebAssembly.Memory({
  initial: 16,
  maximum: 16,
  shared: true,
});
const i32 = new Int32Array(memory.buffer);
const u8 = new Uint8Array(memory.buffer);
const noCpu = undefined as unknown as X86;

/** Guest pages at host pages that are not in order. The last is read-only. */
const PAGES: readonly [number, number][] = [
  [0x3000, 0x60000],
  [0x4000, 0x50000],
  [0x5000, 0x70000],
  [0x6000, 0x61000],
];
for (const [page, host] of PAGES) {
  const e = (BASE + OFF_TLB + TLB_BYTES + (page >> 12) * TLB_ENTRY_BYTES) >> 2;
  i32[e + (TLB_READ >> 2)] = page;
  i32[e + (TLB_WRITE >> 2)] = page === 0x6000 ? 0 : page;
  i32[e + ((TLB_READ + TLB_HOST) >> 2)] = host;
  i32[e + ((TLB_WRITE + TLB_HOST) >> 2)] = host;
}

/** The host address of an element, or -1 if the function must stop at it. */
function hostOf(address: number, size: number, write: boolean): number {
  const found = PAGES.find(([page]) => page === (address & ~4095));
  if (found === undefined || (address & 4095) + size > 4096) return -1;
  if (write && found[0] === 0x6000) return -1;
  return found[1] + (address & 4095);
}
const load = (at: number, size: number): number => {
  let v = 0;
  for (let k = size - 1; k >= 0; k--) v = v * 256 + u8[at + k];
  return v;
};
const store = (at: number, size: number, v: number): void => {
  for (let k = 0; k < size; k++) u8[at + k] = Math.floor(v / 256 ** k);
};

const KERNELS = { movs: MOVS, stos: STOS, cmps: CMPS, scas: SCAS };
type Name = keyof typeof KERNELS;

interface Case {
  name: Name;
  size: number;
  count: number;
  down: boolean;
  repne: boolean;
  /** Or EAX. */
  source: number;
  target: number;
}

/** What a function must give, element by element; changes memory. */
function expected(c: Case): number {
  const { name, size, count } = c;
  const step = c.down ? -size : size;
  const inSource = name === "movs" || name === "cmps";
  const compares = name === "cmps" || name === "scas";
  if (compares && (count === 0 || c.down)) return REP_SLOW;
  let flags = 0;
  const eax = (c.source >>> 0) % 2 ** (8 * size);
  for (let n = 0; n < count; n++) {
    const target = hostOf(c.target + n * step, size, !compares);
    const source = inSource ? hostOf(c.source + n * step, size, false) : 0;
    if (target < 0 || source < 0) return n | REP_SLOW;
    const x = inSource ? load(source, size) : eax;
    if (!compares) {
      store(target, size, x);
      continue;
    }
    const y = load(target, size);
    flags = arithFlags(CC_SUB + (size >> 1), x - y, y, 0, 0);
    if ((x === y) === c.repne) return n + 1 | (flags << REP_FLAGS_SHIFT);
  }
  return count | (flags << REP_FLAGS_SHIFT);
}

Deno.test("string runs do what their elements would, and stop where they must", () => {
  const random = new Prng(seedFrom(7));
  const run = Object.fromEntries(
    Object.entries(KERNELS).map(([name, native]) => [
      name,
      native(noCpu)!(memory, BASE, () => REP_SLOW),
    ]),
  );
  const names = Object.keys(KERNELS) as Name[];
  const cases = casesFrom(3000);
  let plain = 0;
  for (let n = 0; n < cases; n++) {
    const name = names[random.below(4)];
    const size = 1 << random.below(3);
    const place = (): number => 0x2ff0 + random.below(0x4020);
    const target = place();
    const near = target + random.below(80) - 40;
    const inSource = name === "movs" || name === "cmps";
    const c: Case = {
      name,
      size,
      count: random.oneIn(3) ? random.below(1400) : random.below(24),
      down: random.oneIn(4),
      repne: random.oneIn(2),
      source: inSource
        ? random.oneIn(2) ? near : place()
        : random.oneIn(2)
        ? 0x55555555
        : 0x12345678,
      target,
    };
    if (name === "stos" && random.oneIn(8)) c.count = MAX_ELEMENTS;
    if (n % 64 === 0) {
      for (const [, host] of PAGES) {
        for (let k = 0; k < 4096; k++) {
          u8[host + k] = random.oneIn(50) ? random.below(256) : 0x55;
        }
      }
    }
    const before = u8.slice(0x50000, 0x71000);
    const want = expected(c);
    const after = u8.slice(0x50000, 0x71000);
    u8.set(before, 0x50000);
    const what = c.count | (size >> 1 << REP_LOG_SHIFT) | REP_USER |
      (c.down ? REP_DOWN : 0) | (c.repne ? REP_NOT_EQUAL : 0);
    const got = run[name](c.source, c.target, what);
    const text = `case ${n}: ${JSON.stringify(c)}`;
    assertEquals(got, want, text);
    const differs = after.findIndex((v, k) => v !== u8[0x50000 + k]);
    assertEquals(differs, -1, text);
    if (want >= 0) plain++;
  }
  assertEquals(plain > cases / 3, true, `${plain} of ${cases}`);
});
