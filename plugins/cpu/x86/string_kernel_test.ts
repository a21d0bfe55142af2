import { assertEquals } from "@std/assert";
import { casesFrom, Prng, seedFrom } from "../../../tests/differential/prng.ts";
import {
  OFF_TLB,
  OFF_WIDE_TLB,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  TLB_READ,
  TLB_WRITE,
  WIDE_ENTRY_BYTES,
  WIDE_HOST,
  WIDE_TLB_BYTES,
} from "../../../core/exec/layout.ts";
import type { X86 } from "./cpu.ts";
import { LONG_CMPS, LONG_SCAS } from "./string_compare.ts";
import { CMPS, SCAS } from "./string_compare.ts";
import { LONG_MOVS, LONG_STOS, MOVS, STOS } from "./string_kernel.ts";
import {
  MAX_ELEMENTS,
  REP_ADDR32,
  REP_DOWN,
  REP_FLAGS_SHIFT,
  REP_LOG_SHIFT,
  REP_NOT_EQUAL,
  REP_SLOW,
  REP_USER,
} from "./string_what.ts";
import type { Run } from "./strings.ts";

const BASE = 0x10000;
const memory = new WebAssembly.Memory({
  initial: 64,
  maximum: 64,
  shared: true,
});
const view = new DataView(memory.buffer);
const u8 = new Uint8Array(memory.buffer);
const noCpu = undefined as unknown as X86;
const FIRST_HOST = 0x300000, END_HOST = 0x321000;
const READ_ONLY = 0x311000;

/** Four pages in a row at host pages that are not, of which the last is read-only, and the last and the first page of an address space. */
const HOSTS: readonly [number, number][] = [
  [3, 0x310000],
  [4, 0x300000],
  [5, 0x320000],
  [6, READ_ONLY],
  [-1, 0x302000],
  [0, 0x314000],
];

/** What addresses a function has. */
interface Mode {
  name: string;
  isWide: boolean;
  /** Bits of an address. */
  bits: number;
  /** What the pages' addresses, but those at the ends, begin with. */
  prefix: bigint;
}

const MODES: readonly Mode[] = [
  { name: "32 bits", isWide: false, bits: 32, prefix: 0n },
  { name: "64 bits, low", isWide: true, bits: 64, prefix: 0n },
  { name: "64 bits", isWide: true, bits: 64, prefix: 0xffffc90000000000n },
  { name: "32 bits in 64-bit mode", isWide: true, bits: 32, prefix: 0n },
];

const KERNELS = {
  movs: [MOVS, LONG_MOVS],
  stos: [STOS, LONG_STOS],
  cmps: [CMPS, LONG_CMPS],
  scas: [SCAS, LONG_SCAS],
};
type Name = keyof typeof KERNELS;
const NAMES = Object.keys(KERNELS) as Name[];

const pageOf = ({ bits, prefix }: Mode, page: number): bigint =>
  BigInt.asUintN(bits, (page > 0 ? prefix : 0n) + BigInt(page * 4096));

/** Fills the TLB. */
function mapPages(mode: Mode, hosts = HOSTS): void {
  for (const [page, host] of hosts) {
    const address = pageOf(mode, page);
    const index = Number(address >> 12n) & (TLB_ENTRIES - 1);
    const written = host === READ_ONLY ? 0n : address;
    if (mode.isWide) {
      const at = BASE + OFF_WIDE_TLB + WIDE_TLB_BYTES +
        index * WIDE_ENTRY_BYTES;
      view.setBigUint64(at + TLB_READ, address, true);
      view.setBigUint64(at + TLB_WRITE, written, true);
      view.setUint32(at + WIDE_HOST, host, true);
    } else {
      const at = BASE + OFF_TLB + TLB_BYTES + index * TLB_ENTRY_BYTES;
      view.setUint32(at + TLB_READ, Number(address), true);
      view.setUint32(at + TLB_WRITE, Number(written), true);
      view.setUint32(at + TLB_READ + TLB_HOST, host, true);
      view.setUint32(at + TLB_WRITE + TLB_HOST, host, true);
    }
  }
}

interface Case {
  mode: Mode;
  name: Name;
  size: number;
  count: number;
  down: boolean;
  repne: boolean;
  /** Or the accumulator. */
  source: bigint;
  target: bigint;
}

/** The host address of an element, or -1 if the function must stop at it. */
function hostOf(c: Case, address: bigint, write: boolean): number {
  const offset = Number(address & 4095n);
  const found = HOSTS.find(([page]) =>
    pageOf(c.mode, page) === address - BigInt(offset)
  );
  if (found === undefined || offset + c.size > 4096) return -1;
  return write && found[1] === READ_ONLY ? -1 : found[1] + offset;
}

function load(at: number, size: number): bigint {
  let v = 0n;
  for (let k = size - 1; k >= 0; k--) v = v << 8n | BigInt(u8[at + k]);
  return v;
}

function store(at: number, size: number, v: bigint): void {
  for (let k = 0; k < size; k++) u8[at + k] = Number(v >> BigInt(8 * k) & 255n);
}

/** CF, PF, AF, ZF, SF and OF of x - y, as the manuals define them. */
function flagsOf(x: bigint, y: bigint, size: number): number {
  const bits = 8 * size;
  const result = BigInt.asUintN(bits, x - y);
  const signed = BigInt.asIntN(bits, x) - BigInt.asIntN(bits, y);
  const ones = Number(result & 255n).toString(2).replaceAll("0", "").length;
  const flags = [
    [x < y, 0],
    [ones % 2 === 0, 2],
    [(x & 15n) < (y & 15n), 4],
    [result === 0n, 6],
    [BigInt.asIntN(bits, result) < 0n, 7],
    [BigInt.asIntN(bits, result) !== signed, 11],
  ] as const;
  return flags.reduce((sum, [on, bit]) => on ? sum | 1 << bit : sum, 0);
}

/** What a function must give, element by element; changes memory. */
function expected(c: Case): number {
  const { name, size, count, mode } = c;
  const step = c.down ? -size : size;
  const inSource = name === "movs" || name === "cmps";
  const compares = name === "cmps" || name === "scas";
  if (compares && (count === 0 || c.down)) return REP_SLOW;
  const at = (start: bigint, n: number): bigint =>
    BigInt.asUintN(mode.bits, start + BigInt(n * step));
  let flags = 0;
  const accumulator = BigInt.asUintN(8 * size, c.source);
  for (let n = 0; n < count; n++) {
    const target = hostOf(c, at(c.target, n), !compares);
    const source = inSource ? hostOf(c, at(c.source, n), false) : 0;
    if (target < 0 || source < 0) return n | REP_SLOW;
    const x = inSource ? load(source, size) : accumulator;
    if (!compares) {
      store(target, size, x);
      continue;
    }
    const y = load(target, size);
    flags = flagsOf(x, y, size);
    if ((x === y) === c.repne) return n + 1 | (flags << REP_FLAGS_SHIFT);
  }
  return count | (flags << REP_FLAGS_SHIFT);
}

/** A random case. */
function caseOf(random: Prng, mode: Mode): Case {
  const name = NAMES[random.below(4)];
  const { bits } = mode;
  const bytes = (v: bigint): bigint => BigInt.asUintN(bits, v);
  const isAtEnd = random.oneIn(4);
  const place = (): bigint =>
    isAtEnd
      ? bytes(BigInt(random.below(0x2020) - 0x1010))
      : mode.prefix + BigInt(0x2ff0 + random.below(0x4020));
  const target = place();
  const near = bytes(target + BigInt(random.below(80) - 40));
  const inSource = name === "movs" || name === "cmps";
  const accumulators = [
    0x5555555555555555n,
    0x1234567812345678n,
    0x123456789abcdef0n,
    0x5555555455555555n,
  ];
  const isLongest = name === "stos" && random.oneIn(8);
  const count = random.oneIn(3) ? random.below(1400) : random.below(24);
  return {
    mode,
    name,
    size: 1 << random.below(mode.isWide ? 4 : 3),
    count: isLongest ? MAX_ELEMENTS : count,
    down: random.oneIn(4),
    repne: random.oneIn(2),
    source: inSource
      ? random.oneIn(2) ? near : place()
      : accumulators[random.below(4)],
    target,
  };
}

for (const mode of MODES) {
  Deno.test(`string runs do what their elements would, and stop where they must: ${mode.name}`, () => {
    mapPages(mode);
    const random = new Prng(seedFrom(7));
    const run = Object.fromEntries(
      NAMES.map((name) => [
        name,
        KERNELS[name][Number(mode.isWide)](noCpu)!(
          memory,
          BASE,
          () => REP_SLOW,
        ),
      ]),
    );
    const cases = casesFrom(2000);
    let plain = 0;
    for (let n = 0; n < cases; n++) {
      const c = caseOf(random, mode);
      if (n % 64 === 0) {
        for (const [, host] of HOSTS) {
          for (let k = 0; k < 4096; k++) {
            u8[host + k] = random.oneIn(50) ? random.below(256) : 0x55;
          }
        }
      }
      const before = u8.slice(FIRST_HOST, END_HOST);
      const want = expected(c);
      const after = u8.slice(FIRST_HOST, END_HOST);
      u8.set(before, FIRST_HOST);
      const what = c.count | (Math.log2(c.size) << REP_LOG_SHIFT) | REP_USER |
        (c.down ? REP_DOWN : 0) | (c.repne ? REP_NOT_EQUAL : 0);
      let got: number;
      if (mode.isWide) {
        const call = run[c.name] as unknown as Run<bigint>;
        const short = mode.bits === 32 ? REP_ADDR32 : 0;
        got = call(c.source, c.target, what | short);
      } else {
        const narrow = (v: bigint): number => Number(BigInt.asIntN(32, v));
        got = run[c.name](narrow(c.source), narrow(c.target), what);
      }
      const text = `case ${n}: ${c.name} of ${c.size} bytes, ${c.count} from ${
        c.source.toString(16)
      } to ${c.target.toString(16)}, down ${c.down}, repne ${c.repne}`;
      assertEquals(got, want, text);
      let differs = 0;
      while (
        differs < after.length && after[differs] === u8[FIRST_HOST + differs]
      ) differs++;
      assertEquals(differs, after.length, text);
      if (want >= 0) plain++;
    }
    assertEquals(plain > cases / 3, true, `${plain} of ${cases}`);
  });
}

/** Host addresses before which and behind which there is no memory. */
const EDGES = [0, u8.length - 4096];

for (const mode of MODES) {
  Deno.test(`string runs of no elements touch nothing, wherever their pages are: ${mode.name}`, () => {
    const [from, to] = [3, 4].map((page) => pageOf(mode, page));
    for (const [name, forms] of Object.entries(KERNELS)) {
      const run = forms[Number(mode.isWide)](noCpu)!(
        memory,
        BASE,
        () => REP_SLOW,
      );
      for (const edge of EDGES) {
        mapPages(mode, [[3, edge], [4, edge]]);
        const before = u8.slice(edge, edge + 4096);
        for (let size = 0; size < (mode.isWide ? 4 : 3); size++) {
          for (const offset of [0n, 1n, 2n, 3n, 4093n, 4094n, 4095n]) {
            const what = size << REP_LOG_SHIFT | REP_USER;
            const done = mode.isWide
              ? (run as unknown as Run<bigint>)(from + offset, to, what)
              : run(Number(from + offset), Number(to + offset), what);
            assertEquals(done & ~REP_SLOW, 0, `${name} ${edge} ${offset}`);
          }
        }
        assertEquals(u8.slice(edge, edge + 4096), before);
      }
    }
  });
}
