/**
 * Guests of IA-32e mode that execute garbage under random page tables,
 * descriptor tables, gates and control registers: random bytes among
 * instructions that change the mode, the level, the tables and the breakpoints.
 * Nothing may throw or hang, and the interpreter and the compiler must leave
 * the same machine behind, after the same number of instructions.
 *
 * `RHEA_CASES` is the number of guests and `RHEA_SEED` their first seed; a
 * failure names the seed of its guest.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  OFF_CR,
  OFF_DR,
  OFF_EFER,
  OFF_GPR,
  OFF_IDT_BASE,
  OFF_KERNEL_GS_BASE,
  OFF_MXCSR,
  OFF_SEG,
  OFF_XCR0,
  OFF_XMM,
} from "../../plugins/cpu/x86/state.ts";
import { Bench } from "./bench.ts";

const GUESTS = Number(Deno.env.get("RHEA_CASES") ?? 25);
const FIRST_SEED = Number(Deno.env.get("RHEA_SEED") ?? 20261123);
/** Instructions that a guest executes at most. */
const INSTRUCTIONS = 10_000;

// Where things are, in physical and, mostly, in linear memory.
const GDT = 0x1000, IDT = 0x2000, TSS = 0x4000, LDT = 0x5000, STACK = 0x7f00;
const CODE = 0x8000, CODE_END = 0x10000;
const PML4 = 0x10000, PDPT = 0x11000, PD = 0x12000, PT = 0x13000;
const DATA = 0x14000;
/** What is filled, and what is compared. */
const FILLED = 0x20000;
const COMPARED = 0x200000;
/** Descriptors of the GDT. */
const DESCRIPTORS = 64;
const CODE64 = 8, CODE64_3 = 0x23, DATA_3 = 0x1b, MAIN_TSS = 0x30;

/** The Park-Miller generator with Schrage's multiplier 48271. */
class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed % 0x7fffffff || 1;
  }
  /** A number from 0 to `n` - 1. */
  below(n: number): number {
    this.#state = this.#state * 48271 % 0x7fffffff;
    return this.#state % n;
  }
  /** Once in `n` times. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }
  /** A word. */
  word(): number {
    return this.below(0x10000) << 16 | this.below(0x10000);
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

/** Writes code. */
class Assembler {
  at = CODE;
  readonly #view: DataView;
  constructor(view: DataView) {
    this.#view = view;
  }
  bytes(...list: readonly number[]): void {
    for (const x of list) {
      if (this.at < CODE_END) this.#view.setUint8(this.at++, x);
    }
  }
  word(v: number): void {
    this.bytes(v & 255, v >> 8 & 255, v >> 16 & 255, v >>> 24);
  }
  /** MOV of 64 bits to a register. */
  mov64(r: number, v: bigint): void {
    this.bytes(0x48 | r >> 3, 0xb8 | r & 7);
    this.word(Number(v & 0xffffffffn) | 0);
    this.word(Number(v >> 32n & 0xffffffffn) | 0);
  }
  /** MOV of 32 bits to a register. */
  mov32(r: number, v: number): void {
    if (r > 7) this.bytes(0x41);
    this.bytes(0xb8 | r & 7);
    this.word(v);
  }
  push(v: number): void {
    this.bytes(0x68);
    this.word(v);
  }
}

/** Addresses that something begins or ends at. */
const ADDRESSES: readonly bigint[] = [
  0x7fffffffffffn,
  0x800000000000n,
  0xffff800000000000n,
  0xffffffffffffffffn,
  0xffff7ffffffffff8n,
  0x7ffffffffffcn,
  0xfffffffcn,
  0x100000000n,
  0x1ffffcn,
  0x3ffffffcn,
];
const MSRS = [
  0xc0000080,
  0xc0000081,
  0xc0000082,
  0xc0000083,
  0xc0000084,
  0xc0000100,
  0xc0000101,
  0xc0000102,
  0xc0000103,
  0x174,
  0x175,
  0x176,
  0x1b,
  0x277,
  0x2ff,
  0x6e0,
  0xda0,
  0x1d9,
];
/** Instructions as they stand; what follows some of them is random. */
const SYSTEM: readonly (readonly number[])[] = [
  [0x0f, 0x05],
  [0x48, 0x0f, 0x07],
  [0x0f, 0x07],
  [0x0f, 0x34],
  [0x48, 0x0f, 0x35],
  [0x0f, 0x35],
  [0x0f, 0x01, 0xf8],
  [0x48, 0xcf],
  [0xcf],
  [0x48, 0xcb],
  [0xcb],
  [0xca, 8, 0],
  [0xc3],
  [0xcc],
  [0xcd, 0x21],
  [0xf1],
  [0xf4],
  [0x9c],
  [0x9d],
  [0xfa],
  [0xfb],
  [0x0f, 0x06],
  [0x0f, 0x20],
  [0x0f, 0x22],
  [0x44, 0x0f, 0x22],
  [0x0f, 0x21],
  [0x0f, 0x23],
  [0x0f, 0x00],
  [0x0f, 0x01],
  [0x0f, 0x02],
  [0x0f, 0x03],
  [0x8e],
  [0x8c],
  [0x0f, 0xa1],
  [0x0f, 0xa9],
  [0x48, 0xff],
  [0xff],
  [0x0f, 0xae],
  [0x48, 0x0f, 0xae],
  [0xf3, 0x0f, 0xae],
  [0xf3, 0x48, 0x0f, 0xae],
  [0x0f, 0xc7],
  [0x48, 0x0f, 0xc7],
  [0x66, 0x0f, 0x38, 0x82],
  [0x0f, 0x01, 0xca],
  [0x0f, 0x01, 0xcb],
  [0x0f, 0x01, 0xd0],
  [0x0f, 0x01, 0xd1],
  [0x0f, 0x01, 0xf9],
  [0x0f, 0x30],
  [0x0f, 0x32],
  [0x0f, 0x31],
  [0xf3, 0x48, 0xa5],
  [0xf3, 0xaa],
  [0xf2, 0xae],
  [0xf3, 0x6c],
  [0x6f],
  [0xc8],
  [0xc9],
  [0x0f, 0xb2],
  [0x48, 0x0f, 0xb4],
  [0x0f, 0xb5],
  [0x67],
  [0xea],
  [0x9a],
  [0x8f],
  [0xd7],
  [0xe6],
  [0xec],
];
const ACCESS = [0x9b, 0x93, 0xfb, 0xf3, 0x89, 0x82, 0xec, 0x8c, 0x9f, 0x1b];

/** An address: of a table, the code, an alias, or a border. */
function address(random: Random): bigint {
  if (random.once(4)) return random.pick(ADDRESSES);
  const offset = BigInt(random.below(FILLED));
  const alias = random.pick([
    0n,
    0n,
    0n,
    0x200000n, // by a page of 2 MB
    0x40000000n, // by one of 1 GB
    0xffff800000000000n,
    0xffffff8000000000n,
    0x8000000000n,
  ]);
  return alias + offset;
}

function descriptor(random: Random, view: DataView, at: number): void {
  const access = random.pick(ACCESS);
  const type = access & 0x1f;
  if (type === 12) {
    view.setUint32(at, CODE64 << 16 | CODE + random.below(0x8000), true);
    view.setUint32(at + 4, access << 8, true);
  } else if (type === 9 || type === 2) {
    view.setUint32(at, (type === 9 ? TSS : LDT) << 16 | 0xff, true);
    view.setUint32(at + 4, access << 8, true);
  } else {
    view.setUint32(at, 0xffff, true);
    const size = random.pick([0xaf, 0xcf, 0xcf, 0x8f, 0x40]);
    view.setUint32(at + 4, size << 16 | access << 8, true);
  }
}

/** A page table entry that leads to `frame`, with rights and, seldom, more than that. */
function entry(random: Random, frame: number, bits: number): bigint {
  if (random.once(12)) return BigInt(random.word() >>> 0);
  let v = BigInt(frame | bits);
  if (random.once(6)) v &= ~2n;
  if (random.once(6)) v &= ~4n;
  if (random.once(10)) v |= 1n << 63n;
  if (random.once(30)) v |= 1n << BigInt(40 + random.below(12));
  if (random.once(8)) v |= 0x100n;
  return v;
}

function pageTables(random: Random, view: DataView): void {
  const put = (table: number, n: number, v: bigint): void =>
    view.setBigUint64(table + 8 * n, v, true);
  for (let n = 0; n < 2048; n++) view.setBigUint64(PML4 + 8 * n, 0n, true);
  put(PML4, 0, BigInt(PDPT | 7));
  for (const n of [1, 255, 256, 511]) put(PML4, n, entry(random, PDPT, 7));
  put(PDPT, 0, BigInt(PD | 7));
  for (const n of [1, 2, 3, 511]) put(PDPT, n, entry(random, 0, 0x87));
  put(PD, 0, BigInt(PT | 7));
  for (const n of [1, 2, 3, 511]) put(PD, n, entry(random, 0, 0x87));
  for (let n = 0; n < 512; n++) {
    // What the guest runs on is there, more often than not.
    const needed = n < DATA >> 12;
    const frame = (n & 0x1f) << 12;
    put(
      PT,
      n,
      needed && !random.once(300) ? BigInt(frame | 7) : entry(random, frame, 7),
    );
  }
}

function code(random: Random, view: DataView): void {
  const a = new Assembler(view);
  while (a.at < CODE_END) {
    switch (random.below(14)) {
      case 0:
      case 1:
        a.mov64(random.below(16), address(random));
        break;
      case 2:
        a.mov32(
          random.below(16),
          8 * random.below(DESCRIPTORS) | random.below(4),
        );
        break;
      case 3:
        a.mov32(1, random.pick(MSRS));
        if (random.once(2)) a.bytes(0x0f, 0x32); // RDMSR
        else a.mov32(0, Number(address(random) & 0xffffffffn) | 0);
        if (random.once(3)) {
          a.mov32(2, random.pick([0, 0, -1, 0xffff8000 | 0, 0x8000]));
        }
        a.bytes(0x0f, 0x30);
        break;
      case 4: { // a frame for IRET or RETF
        const inner = random.once(2);
        a.push(inner ? 0x10 : DATA_3);
        a.push(STACK - 0x100 * random.below(4));
        const flags = random.pick([
          2,
          2,
          0x102,
          0x10002,
          0x40002,
          0x3202,
          0x4002,
        ]);
        if (random.once(2)) a.push(flags);
        a.push(
          random.pick([
            CODE64,
            CODE64_3,
            0x28,
            0x2b,
            8 * random.below(DESCRIPTORS),
          ]),
        );
        a.push(CODE + random.below(0x8000));
        a.bytes(...random.pick([[0x48, 0xcf], [0x48, 0xcb], [0xcf]]));
        break;
      }
      case 5: { // a bit of a control register
        const n = random.pick([0, 3, 4, 4, 8]);
        a.bytes(...n === 8 ? [0x44] : [], 0x0f, 0x20, 0xc0 | (n & 7) << 3);
        a.bytes(0x48, 0x0f, 0xba, 0xf8, random.below(64)); // BTC RAX
        a.bytes(...n === 8 ? [0x44] : [], 0x0f, 0x22, 0xc0 | (n & 7) << 3);
        break;
      }
      case 6: { // a breakpoint
        a.mov64(0, address(random));
        a.bytes(0x0f, 0x23, 0xc0 | random.below(4) << 3);
        a.mov32(0, random.once(3) ? 0 : random.word() & 0xffff27ff);
        if (random.once(2)) a.bytes(0x0f, 0x23, 0xf8);
        break;
      }
      case 7: { // flags
        a.push(random.word() & 0x7ed7 & ~(random.once(4) ? 0 : 0x4100));
        a.bytes(0x9d);
        break;
      }
      case 8:
      case 9:
        a.bytes(...random.pick(SYSTEM));
        break;
      case 10: // with memory at a register
        if (random.once(2)) a.bytes(0x40 | random.below(16));
        a.bytes(random.pick([0x01, 0x03, 0x89, 0x8b, 0xff, 0x8f, 0x87, 0x0f]));
        a.bytes(random.below(256), random.below(256), random.below(256));
        break;
      case 11: // a jump somewhere else
        a.bytes(random.pick([0xe8, 0xe9]));
        a.word(CODE + random.below(0x8000) - (a.at + 4));
        break;
      case 12: // a loop
        a.mov32(1, random.below(20));
        a.bytes(0x48, 0xff, 0xc3, 0xe2, 0xfb);
        break;
      default:
        for (let n = random.below(6); n >= 0; n--) a.bytes(random.below(256));
    }
  }
}

/** Fills memory; gives back the registers. */
function generate(random: Random, bench: Bench): Record<string, number> {
  const m = bench.memory.u8.subarray(bench.ram, bench.ram + FILLED);
  const view = new DataView(m.buffer, m.byteOffset, m.length);
  for (let i = 0; i < FILLED; i += 4) view.setInt32(i, random.word(), true);
  for (const table of [GDT, LDT]) {
    for (let i = 0; i < DESCRIPTORS; i++) {
      descriptor(random, view, table + 8 * i);
    }
  }
  // What SYSCALL and most gates need.
  view.setBigUint64(GDT + CODE64, 0x00af9b000000ffffn, true);
  view.setBigUint64(GDT + 0x10, 0x00cf93000000ffffn, true);
  view.setBigUint64(GDT + 0x18, 0x00cff3000000ffffn, true);
  view.setBigUint64(GDT + 0x20, 0x00affb000000ffffn, true);
  view.setBigUint64(GDT + 0x28, 0x00cffb000000ffffn, true);
  view.setBigUint64(GDT + MAIN_TSS, 0x00008b004000_00ffn, true);
  view.setBigUint64(GDT + MAIN_TSS + 8, 0n, true);
  for (let i = 0; i < 256; i++) {
    const at = IDT + 16 * i;
    // Faults get to their handlers, more often than not.
    const odd = i >= 32 || random.once(12);
    const selector = odd && random.once(8)
      ? 8 * random.below(DESCRIPTORS)
      : CODE64;
    view.setUint32(at, selector << 16 | CODE + random.below(0x8000), true);
    const type = random.pick([0x8e, 0xee, 0xee, 0x8f, 0xef]);
    const access = odd && random.once(20) ? random.below(256) : type;
    view.setUint32(at + 4, access << 8 | (odd ? random.below(8) : 1), true);
    view.setUint32(at + 8, odd && random.once(30) ? 0x8000 : 0, true);
  }
  for (let n = 0; n < 13; n++) {
    // (IST1 is the fifth one.)
    const stack = n !== 4 && random.once(12)
      ? address(random)
      : BigInt(STACK - 64 * n);
    view.setBigUint64(TSS + 4 + 8 * n, stack, true);
  }
  view.setUint16(TSS + 0x66, 0x68, true);
  pageTables(random, view);
  code(random, view);
  // Handlers begin well, so that a guest that always faults comes to an end.
  for (let i = 0; i < 256; i++) {
    view.setUint8(CODE + (view.getUint16(IDT + 16 * i, true) & 0x7fff), 0x90);
  }
  const cpl = random.pick([0, 0, 3, 3, 1]);
  const long = !random.once(4);
  // The tables are in pages of users.
  const guards = random.once(4) ? 0 : 0x300000;
  const state: Record<string, number> = {
    cr0: 0x80000011 | random.word() & 0x5002e,
    cr3: PML4,
    cr4: bench.cpu.model.cr4Mask & random.word() & ~(0x20000 | guards) | 0x620,
    efer: 0xd01,
    eip: CODE,
    rsp: random.once(8) ? Number(BigInt.asIntN(64, address(random))) : STACK,
    eflags: 2 | random.word() & 0x40ed5,
    "gdtr.base": GDT,
    "gdtr.limit": DESCRIPTORS * 8 - 1,
    "idtr.base": IDT,
    "idtr.limit": 0xfff,
    "tr.selector": MAIN_TSS,
    "tr.base": TSS,
    "tr.limit": 0xff,
    "tr.flags": 0x8b,
    "ldtr.selector": 0x28,
    "ldtr.base": LDT,
    "ldtr.limit": DESCRIPTORS * 8 - 1,
    "ldtr.flags": 0x82,
  };
  for (const s of ["cs", "ds", "es", "fs", "gs", "ss"]) {
    const isCode = s === "cs";
    state[`${s}.selector`] = (isCode ? CODE64 : 0x10) | cpl;
    state[`${s}.limit`] = -1;
    state[`${s}.flags`] = (isCode ? 0x9b | (long ? 0xa000 : 0xc000) : 0xc093) |
      cpl << 5;
  }
  for (let r = 0; r < 16; r++) {
    if (r === 4) continue;
    const name = ["rax", "rcx", "rdx", "rbx", "", "rbp", "rsi", "rdi"][r] ??
      `r${r}`;
    state[name] = Number(BigInt.asIntN(64, address(random)));
  }
  return state;
}

/** The parts of the state that have one form only. */
const PARTS:
  readonly (readonly [name: string, offset: number, bytes: number])[] = [
    ["general registers and RIP", OFF_GPR, 0x88],
    ["segments", OFF_SEG, 0x100],
    ["control registers", OFF_CR, 0x28],
    ["debug registers and tables", OFF_DR, OFF_IDT_BASE + 0x10 - OFF_DR],
    ["EFER and SYSENTER", OFF_EFER, 0x20],
    ["MXCSR", OFF_MXCSR, 4],
    ["XMM", OFF_XMM, 0x100],
    ["XCR0", OFF_XCR0, 8],
    ["MSRs", OFF_KERNEL_GS_BASE, 0x28],
  ];

function hash(words: Int32Array): number {
  let digest = 0;
  for (let i = 0; i < words.length; i++) {
    digest = (Math.imul(digest, 31) + words[i]) | 0;
  }
  return digest >>> 0;
}

/** Runs a guest; gives back what it left. */
function run(bench: Bench, seed: number): Record<string, string> {
  const { engine, cpu, memory, ram } = bench;
  engine.reset();
  bench.status = -1;
  bench.output = "";
  memory.u8.fill(0, ram, ram + COMPARED);
  engine.enter(generate(new Random(seed), bench));
  cpu.tsc.read = (): number => 12345;
  const before = engine.instructions;
  let end = "";
  for (let k = 0; k < 30; k++) {
    const at = engine.instructions;
    const left = INSTRUCTIONS - (at - before);
    if (left <= 0) break;
    end = engine.run(left);
    if (end !== "budget" && end !== "stop") break;
    if (engine.instructions === at) {
      // It does nothing but fault. What is counted of that until a run ends is
      // each executor's own affair.
      return { end: `stuck after ${at - before}` };
    }
  }
  const left: Record<string, string> = {
    end: `${end} after ${engine.instructions - before}: ${engine.describe()}`,
    memory: `${hash(new Int32Array(memory.u8.buffer, ram, COMPARED >> 2))}`,
    output: bench.output,
  };
  for (const [name, offset, bytes] of PARTS) {
    const words = cpu.state.subarray(offset >> 2, offset + bytes >> 2);
    left[name] = Array.from(words, (w) => (w >>> 0).toString(16)).join(" ");
  }
  return left;
}

for (const model of ["max", "x86-64", "x86-64-v3"]) {
  Deno.test(`garbage in long mode on ${model}`, () => {
    const interp = new Bench({ accel: "interp", model, exact: true });
    const jit = new Bench({ accel: "jit", model, threshold: 3, exact: true });
    for (let n = 0; n < GUESTS; n++) {
      const seed = FIRST_SEED + n;
      assertEquals(run(jit, seed), run(interp, seed), `seed ${seed}`);
    }
  });
}
