/** What is fast does what the full path does: random states, both ways. */

import { assert, assertEquals } from "@std/assert";
import {
  type CpuEngine,
  GUEST_FAULT,
  type Mmu,
} from "../../../core/cpu/frontend.ts";
import {
  OFF_WIDE_TLB,
  TLB_COUNT,
  TLB_ENTRIES,
  TLB_READ,
  TLB_WRITE,
  WIDE_ENTRY_BYTES,
  WIDE_HOST,
  WIDE_TLB_BYTES,
} from "../../../core/exec/layout.ts";
import { X86 } from "./cpu.ts";
import {
  deliverException,
  interruptReturn,
  softwareInterrupt,
} from "./interrupts.ts";
import { MODELS } from "./models.ts";
import {
  AC,
  AREA_END,
  CC_ADD,
  CC_SUB,
  CS,
  OFF_CC_DST,
  OFF_CC_OP,
  OFF_CC_OVER,
  OFF_CC_SRC,
  OFF_CC_SRC2,
  OFF_EIP,
  OFF_EXC_VECTOR,
  OFF_FLAGS,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_GPR,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  OFF_SEG,
  SEG_BASE,
} from "./state.ts";

/** The guest's memory: 8 pages at this linear address. */
const AT = -0x7fff_ffff_0000;
const PAGES = 8;
/** And where it lies in the shared memory. */
const HOST = 0x300000;
const IDT = 0, GDT = 0x1000, TSS = 0x2000, STACKS = 0x3000;

/** The memory, which counts what comes through it. */
class Memory implements Mmu {
  accesses = 0;
  /** Which pages are no devices, a bit each. */
  plain = -1;
  readonly view: DataView;
  constructor(shared: ArrayBuffer) {
    this.view = new DataView(shared, HOST, PAGES * 4096);
  }
  #at(address: number): number {
    this.accesses++;
    const at = address - AT;
    if (at < 0 || at + 4 > PAGES * 4096) {
      this.cpu.recordPageFault(address, 0);
      throw GUEST_FAULT;
    }
    return at;
  }
  cpu!: X86;
  read8(address: number): number {
    return this.view.getUint8(this.#at(address));
  }
  read16(address: number): number {
    return this.view.getUint16(this.#at(address), true);
  }
  read32(address: number): number {
    return this.view.getInt32(this.#at(address), true);
  }
  write8(address: number, value: number): void {
    this.view.setUint8(this.#at(address), value);
  }
  write16(address: number, value: number): void {
    this.view.setUint16(this.#at(address), value, true);
  }
  write32(address: number, value: number): void {
    this.view.setInt32(this.#at(address), value, true);
  }
  read64(address: number, to: Int32Array): void {
    to[0] = this.read32(address);
    to[1] = this.read32(address + 4);
  }
  write64(address: number, from: Int32Array): void {
    this.write32(address, from[0]);
    this.write32(address + 4, from[1]);
  }
  /** Fills the TLB, as the real one does. */
  probe(address: number, _size: number, _access: number, mmu: number): void {
    const page = Math.floor((address - AT) / 4096);
    if (page < 0 || page >= PAGES) {
      this.cpu.recordPageFault(address, 0);
      throw GUEST_FAULT;
    }
    if ((this.plain >> page & 1) !== 0) fillTlb(page, mmu, true);
  }
  direct(): number {
    return -1;
  }
  directStore(): number {
    return -1;
  }
  readPhysical32(): number {
    return 0;
  }
  writePhysical32(): void {}
  flush(): void {}
  flushPage(): void {}
  forgetPage(): void {}
  noteConditional(): void {}
  endConditional(): void {}
  beginConditional(): boolean {
    return false;
  }
  setWide(): void {}
  setPhysicalMask(): void {}
}

const shared = new ArrayBuffer(HOST + PAGES * 4096);
const i32 = new Int32Array(shared);
const memory = new Memory(shared);
const cpu = new X86({ model: MODELS.max });
memory.cpu = cpu;
const engine: CpuEngine = {
  base: 0,
  u8: new Uint8Array(shared),
  u16: new Uint16Array(shared),
  i32,
  f64: new Float64Array(shared),
  mmu: memory,
  instructions: 0,
  attention: () => {},
  halt: () => {},
  resume: () => {},
  requestStop: () => {},
  defers: () => false,
  keyChanged: () => {},
};
cpu.attach(engine);

/** Enters a page of the guest's memory into a TLB, or forgets it. */
function fillTlb(page: number, mmu: number, filled: boolean): void {
  const address = AT + page * 4096;
  const entry = OFF_WIDE_TLB + mmu * WIDE_TLB_BYTES +
    ((address >>> 12) & (TLB_ENTRIES - 1)) * WIDE_ENTRY_BYTES;
  for (const tag of [TLB_READ, TLB_WRITE]) {
    i32[(entry + tag) >> 2] = filled ? address | 0 : 1 << 12;
    i32[((entry + tag) >> 2) + 1] = Math.floor(address / 2 ** 32);
  }
  i32[(entry + WIDE_HOST) >> 2] = HOST + page * 4096;
}

/** Does so with all pages, each with this probability. */
function fillTlbs(probability: number): void {
  for (let mmu = 0; mmu < TLB_COUNT; mmu++) {
    for (let page = 0; page < PAGES; page++) {
      fillTlb(page, mmu, random(100) < 100 * probability);
    }
  }
}

/** xorshift32. */
let seed = 20261123;
function random(below: number): number {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return (seed >>> 0) % below;
}
function word(): number {
  return random(2 ** 32 - 1) | 0;
}
function pick<T>(...from: T[]): T {
  return from[random(from.length)];
}
/** Mostly the first. */
function mostly<T>(first: T, ...others: T[]): T {
  return random(12) === 0 ? pick(...others) : first;
}

function put64(at: number, lo: number, hi: number): void {
  memory.view.setInt32(at, lo, true);
  memory.view.setInt32(at + 4, hi, true);
}

/** A stack pointer, its low word; sometimes near a page's border. */
function stackPointer(): number {
  // Sometimes where nothing is.
  const page = STACKS + 4096 * mostly(random(4), PAGES + 2);
  const at = page + mostly(64 + 4 * random(950), random(4096), 0, 40, 4096);
  return AT + at | 0;
}
const HIGH_WORD = Math.floor(AT / 2 ** 32);

/** Tables and registers of 64-bit code at level 0 or 3. */
function randomise(): void {
  for (let at = 0; at < PAGES * 4096; at += 4) put64(at & ~7, word(), word());
  const cpl = pick(0, 3);
  const L = 0x00a00000, D = 0x00c00000;
  const kernel = mostly(0x9b00, 0x9a00, 0x9f00, 0x1b00, 0x9300) | 0xf0000;
  const user = mostly(0xfb00, 0xfa00, 0xff00, 0x7b00) | 0xf0000;
  const data = mostly(0xf300, 0xf200, 0xf100, 0xf700, 0x7300) | 0xf0000;
  const descriptors = [
    0,
    kernel | mostly(L, D, L | D),
    mostly(0x9300, 0x9200, 0x9700) | 0xf0000 | D,
    data | D,
    user | mostly(L, D),
  ];
  descriptors.forEach((hi, n) => {
    put64(GDT + 8 * n, mostly(0xffff, 0x12340fff), hi | mostly(0, 0x12000034));
  });
  put64(
    IDT + 16 * 0x40,
    8 << 16 | 0x1234,
    word() & ~0xffff | mostly(0x8e00, 0x8f00, 0x0e00, 0x8c00, 0x8500) |
      mostly(0x6000, 0) | mostly(0, 1, 2, 7),
  );
  put64(IDT + 16 * 0x40 + 8, mostly(-1, 0, 0x8000), word());
  put64(
    IDT + 16 * 14,
    8 << 16 | 0x1234,
    word() & ~0xffff | 0x8e00 | pick(0, 3),
  );
  put64(IDT + 16 * 14 + 8, -1, 0);
  for (const at of [4, 36, 44, 52, 84]) {
    put64(TSS + at, stackPointer(), mostly(HIGH_WORD, 0, 0x8000));
  }
  cpu.reset();
  const s = cpu.state;
  cpu.enter({
    cr0: 0x80050033 | 0,
    cr4: 0x620,
    efer: 0xd01,
    "cs.selector": cpl === 0 ? 8 : 0x23,
    "cs.flags": cpl === 0 ? 0xa09b : 0xa0fb,
    "cs.limit": -1,
    "ss.selector": cpl === 0 ? pick(0, 0x10) : 0x1b,
    "ss.flags": cpl === 0 ? 0xc093 : 0xc0f3,
    "ds.selector": pick(0, 0x10, 0x1b),
    "ds.flags": pick(0, 0xc093, 0xc0f3),
    "gs.selector": pick(0, 0x1b),
    "gs.flags": pick(0, 0xc0f3, 0xc093),
    "gs.base": word(),
    "tr.flags": 0x8b,
    "tr.limit": mostly(0x67, 0x10),
  });
  const set = (offset: number, lo: number, hi: number): void => {
    s[offset >> 2] = lo;
    s[(offset >> 2) + 1] = hi;
  };
  for (let r = 0; r < 16; r++) set(OFF_GPR + 8 * r, word(), word());
  set(OFF_GPR + 8 * 4, stackPointer(), HIGH_WORD);
  set(OFF_EIP, word(), pick(0, -1, 0x7fff));
  set(OFF_IDT_BASE, AT + IDT | 0, HIGH_WORD);
  set(OFF_GDT_BASE, AT + GDT | 0, HIGH_WORD);
  set(OFF_SEG + 32 * 7 + SEG_BASE, AT + TSS | 0, HIGH_WORD);
  s[OFF_IDT_LIMIT >> 2] = mostly(0xfff, 0x20);
  s[OFF_GDT_LIMIT >> 2] = mostly(0x27, 0xf);
  s[OFF_FLAGS >> 2] = 2 | word() & 0x200 | mostly(0, 0x3000) |
    mostly(0, 0x100, 0x4000, AC);
  // Flags that are not computed yet, of 64 bits.
  s[OFF_CC_OP >> 2] = pick(CC_ADD, CC_SUB) + 3;
  set(OFF_CC_SRC, word(), word());
  set(OFF_CC_DST, word(), word());
  // What IRETQ finds.
  const rsp = (s[(OFF_GPR >> 2) + 8] - (AT | 0)) | 0;
  if (rsp >= STACKS && rsp + 40 <= PAGES * 4096) {
    const to = mostly(cpl, 0, 3);
    put64(rsp, word(), mostly(0, -1, 0x7fff, 0x8000));
    put64(
      rsp + 8,
      mostly(to === 0 ? 8 : 0x23, 0x10, 0, 0x48, 0xb, 0x20),
      word(),
    );
    put64(rsp + 16, word() & mostly(0x240cd5, 0x3f7fd7, AC), 0);
    put64(rsp + 24, word(), word());
    put64(rsp + 32, mostly(to === 0 ? pick(0, 0x10) : 0x1b, 3, 8, 0x1f), 0);
  }
  cpu.updateKey();
}

/** All that counts afterwards; `run` says whether the CPU goes on. */
function outcome(run: () => boolean) {
  memory.accesses = 0;
  let fault = "none";
  try {
    if (!run()) fault = "shutdown";
  } catch (error) {
    if (error !== GUEST_FAULT) throw error;
    fault = `${cpu.state[OFF_EXC_VECTOR >> 2]}`;
  }
  const flags = cpu.getEflags();
  const state = cpu.state.slice();
  // Flags are kept in two ways, and 64-bit code has no base of CS.
  for (const at of [OFF_CC_OP, OFF_CC_DST, OFF_CC_SRC, OFF_CC_SRC2]) {
    state.fill(0, at >> 2, (at >> 2) + 2);
  }
  state.fill(0, OFF_CC_OVER >> 2, (OFF_CC_OVER >> 2) + 2);
  state[(OFF_SEG + 32 * CS + SEG_BASE) >> 2] = 0;
  const bytes = new Uint8Array(shared, HOST, PAGES * 4096).slice();
  return { fault, flags, key: cpu.key(), state, bytes };
}

/** Runs what `run` does in many states, fast where that is possible, and not. */
function compare(run: () => boolean): void {
  let fast = 0;
  const rounds = 3000;
  for (let round = 0; round < rounds; round++) {
    randomise();
    const parts = [cpu.state8, new Uint8Array(shared, HOST, PAGES * 4096)];
    const before = parts.map((bytes) => bytes.slice());
    const key = cpu.key();
    memory.plain = -1;
    fillTlbs(pick(0, 0.7, 1));
    const first = outcome(run);
    const wasFast = memory.accesses === 0;
    parts.forEach((bytes, n) => bytes.set(before[n]));
    cpu.setKey(key);
    memory.plain = 0;
    fillTlbs(0);
    const second = outcome(run);
    if (!wasFast) continue;
    if (first.fault === "none") {
      assert(memory.accesses > 0, `round ${round}: there is no full path`);
      fast++;
    }
    for (const what of ["fault", "flags", "key"] as const) {
      assertEquals(first[what], second[what], `round ${round}: ${what}`);
    }
    for (const what of ["state", "bytes"] as const) {
      const other = second[what];
      const at = first[what].findIndex((v: number, i: number) =>
        v !== other[i]
      );
      assertEquals(at, -1, `round ${round}: ${what}`);
    }
  }
  assert(fast > rounds / 6, `${fast} of ${rounds} were fast`);
  assert(fast < rounds, "not all of them can be");
}

Deno.test("INT n between 64-bit code: fast as by the full path", () => {
  assert(AREA_END < OFF_WIDE_TLB);
  compare(() => {
    softwareInterrupt(cpu, 0x40, 0);
    return true;
  });
});

Deno.test("a page fault between 64-bit code: fast as by the full path", () => {
  compare(() => {
    cpu.recordPageFault(-0x1234_5678, 6);
    return deliverException(cpu);
  });
});

Deno.test("IRETQ between 64-bit code: fast as by the full path", () => {
  compare(() => {
    interruptReturn(cpu, 8, 0);
    return true;
  });
});
