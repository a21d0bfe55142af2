/**
 * Guests that execute garbage: random bytes and system instructions under
 * random (plausible) descriptor tables, page tables and modes. Nothing may
 * throw or hang, and where a guest ends by itself, both executors must have
 * brought it to the same end.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Bench } from "./bench.ts";

/** Guests of a run; a failure names the seed of the guest. */
const GUESTS = 30;
const SEED = 20261121;
const CODE = 0x8000, CODE_END = 0xf000;
const GDT = 0x1000, IDT = 0x2000, TSS = 0x4000, STACK = 0x7000;
const DIRECTORY = 0x10000, TABLE = 0x11000;
/** What is compared of memory. */
const COMPARED = 0x100000;
const MODELS = ["486", "pentium", "pentium3", "pentium4", "max"];

/** First bytes of system instructions; what follows is random. */
const SYSTEM = [
  [0x0f, 0x00],
  [0x0f, 0x01],
  [0x0f, 0x02],
  [0x0f, 0x03],
  [0x0f, 0x05],
  [0x0f, 0x06],
  [0x0f, 0x07],
  [0x0f, 0x09],
  [0x0f, 0x20],
  [0x0f, 0x21],
  [0x0f, 0x22],
  [0x0f, 0x23],
  [0x0f, 0x30],
  [0x0f, 0x32],
  [0x0f, 0x34],
  [0x0f, 0x35],
  [0x0f, 0xa1],
  [0x0f, 0xae],
  [0x0f, 0xb2],
  [0x07],
  [0x17],
  [0x48, 0x0f, 0x07],
  [0x48, 0x0f, 0x35],
  [0x48, 0xcb],
  [0x48, 0xcf],
  [0x48, 0xff],
  [0x0f, 0x01, 0xf8],
  [0xf3, 0x0f, 0xae],
  [0x66, 0x0f, 0x38, 0x82],
  [0x1f],
  [0x62],
  [0x63],
  [0x6c],
  [0x6e],
  [0xf3, 0x6d],
  [0xf3, 0x6f],
  [0x8c],
  [0x8e],
  [0x9a],
  [0x9c],
  [0x9d],
  [0xc4],
  [0xc5],
  [0xca],
  [0xcb],
  [0xcc],
  [0xcd],
  [0xce],
  [0xcf],
  [0xe4],
  [0xe6],
  [0xea],
  [0xec],
  [0xee],
  [0xf1],
  [0xf4],
  [0xfa],
  [0xfb],
  [0xff],
];
/** Access bytes of the GDT: code, data, TSS, LDT, gates. */
const ACCESS = [
  0x9b,
  0x93,
  0xfb,
  0xf3,
  0x89,
  0x82,
  0xec,
  0xe5,
  0x9f,
  0x81,
  0xe4,
  0x96,
];
const GATES = [0x8e, 0xee, 0x8f, 0xef, 0x86, 0xe6, 0xe5, 0x85];

class Random {
  state: number;
  constructor(seed: number) {
    this.state = seed >>> 0;
  }
  word(): number {
    // Numerical Recipes' constants; the low bits are poor, so they are not used.
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return this.state;
  }
  bits(n: number): number {
    return this.word() >>> (32 - n);
  }
  pick<T>(list: readonly T[]): T {
    return list[(this.word() >>> 8) % list.length];
  }
}

/** Fills memory below 128 KB; gives back the registers. */
function generate(
  random: Random,
  bench: Bench,
  long: boolean,
): Record<string, number> {
  const m = bench.memory.u8.subarray(bench.ram, bench.ram + 0x20000);
  const view = new DataView(m.buffer, m.byteOffset, m.length);
  for (let i = 0; i < DIRECTORY; i++) m[i] = random.bits(8);
  for (let p = CODE; p < CODE_END;) {
    if (random.bits(4) < 7) {
      for (const x of random.pick(SYSTEM)) m[p++] = x;
    } else m[p++] = random.bits(8);
  }
  for (let i = 0; i < 64; i++) {
    const access = random.pick(ACCESS);
    const at = GDT + 8 * i;
    const type = access & 0x1f;
    const gate = type === 12 || type === 4 || type === 5;
    if (gate) {
      const offset = CODE + random.bits(14);
      view.setUint32(at, offset | (random.bits(8) & 0xf8) << 16, true);
      view.setUint32(at + 4, access << 8, true);
    } else if (type === 9 || type === 1) {
      view.setUint32(at, TSS << 16 | 0xff, true);
      view.setUint32(at + 4, access << 8, true);
    } else {
      const size = random.bits(1) !== 0 ? 0xcf : 0x0f | random.bits(8) & 0xc0;
      view.setUint32(at, 0xffff, true);
      view.setUint32(at + 4, size << 16 | access << 8, true);
    }
  }
  for (let i = 0; i < 256; i++) {
    const selector = random.bits(8) & 0xfb | random.bits(1) << 8;
    view.setUint32(IDT + 8 * i, selector << 16 | CODE + random.bits(14), true);
    view.setUint32(IDT + 8 * i + 4, random.pick(GATES) << 8, true);
  }
  for (let i = 0; i < 1024; i++) {
    const entry = i < 4 || random.bits(4) !== 0 ? TABLE | 7 : random.word();
    view.setUint32(DIRECTORY + 4 * i, entry, true);
    view.setUint32(TABLE + 4 * i, (i * 0x1000 & 0xfff000) | 7, true);
  }
  const prot = random.bits(2) !== 0;
  const paging = prot && random.bits(1) === 0;
  const cpl = prot ? random.bits(2) : 0;
  let eflags = 2 | random.word() & 0x1b7fd5;
  if (!prot) eflags &= ~0x20000;
  const state: Record<string, number> = {
    cr0: (prot ? 0x11 : 0x10) | (paging ? 0x80000000 : 0) |
      random.word() & 0x5002e,
    cr3: DIRECTORY,
    cr4: bench.cpu.model.cr4Mask & random.word() & ~0x20,
    eip: CODE,
    esp: STACK,
    eflags,
    "gdtr.base": GDT,
    "gdtr.limit": 0x1ff,
    "idtr.base": prot ? IDT : 0,
    "idtr.limit": prot ? 0x7ff : 0x3ff,
    "tr.selector": 0x20,
    "tr.base": TSS,
    "tr.limit": 0xff,
    "tr.flags": 0x8b,
    "ldtr.selector": 0x28,
    "ldtr.base": GDT,
    "ldtr.limit": 0x1ff,
    "ldtr.flags": 0x82,
  };
  for (const s of ["cs", "ds", "es", "fs", "gs", "ss"]) {
    state[`${s}.selector`] = prot ? 8 * (1 + random.bits(5)) | cpl : 0;
    state[`${s}.base`] = 0;
    state[`${s}.limit`] = prot && random.bits(1) !== 0 ? -1 : 0xffff;
    state[`${s}.flags`] = (prot && random.bits(1) !== 0 ? 0xc000 : 0) |
      (s === "cs" ? 0x9b : 0x93) | cpl << 5;
  }
  if (long) enterLong(random, view, state);
  return state;
}

/** Makes a guest one of IA-32e mode: its tables and registers. */
function enterLong(
  random: Random,
  view: DataView,
  state: Record<string, number>,
): void {
  const cpl = random.bits(2);
  const flags = random.bits(1) !== 0 ? 0xa000 : 0xc000;
  // Pages of 1 GB, nearly all the first one.
  for (let at = DIRECTORY; at < TABLE; at += 8) {
    view.setBigUint64(at, 0n, true);
  }
  for (const slot of [0, 256, 511]) {
    view.setBigUint64(DIRECTORY + 8 * slot, BigInt(TABLE | 7), true);
  }
  for (let i = 0; i < 512; i++) {
    const entry = i < 4 || random.bits(3) !== 0 ? 0x87 : random.word();
    view.setUint32(TABLE + 8 * i, entry, true);
    view.setUint32(TABLE + 8 * i + 4, random.bits(5) === 0 ? -1 : 0, true);
  }
  for (let i = 2; i < 64; i += 2) {
    const at = GDT + 8 * i;
    // Code of both sizes; after system descriptors, their second halves.
    if (random.bits(1) !== 0) {
      const size = random.bits(1) !== 0 ? 0xaf : 0xcf;
      const access = random.pick([0x9b, 0x93, 0xfb, 0xf3]);
      view.setUint32(at, 0xffff, true);
      view.setUint32(at + 4, size << 16 | access << 8, true);
    } else view.setBigUint64(at + 8, 0n, true);
  }
  // Most handlers are 64-bit code of level 0 that is there.
  view.setBigUint64(GDT + 8, 0x00af9b000000ffffn, true);
  for (let i = 0; i < 128; i++) {
    const selector = random.bits(3) !== 0
      ? 8
      : random.bits(8) & 0xfb | random.bits(1) << 8;
    const at = IDT + 16 * i;
    view.setUint32(at, selector << 16 | CODE + random.bits(14), true);
    view.setUint32(at + 4, random.pick([0x8e, 0xee, 0x8f, 0x86]) << 8, true);
    if (random.bits(3) === 0) view.setUint8(at + 4, random.bits(3));
    view.setUint32(at + 8, random.bits(4) === 0 ? -0x8000 : 0, true);
  }
  state.cr0 = 0x80000011 | random.word() & 0x5002e;
  state.cr4 = state.cr4 | 0x20;
  state.efer = 0xd01;
  state.eflags &= ~0x24000;
  state["tr.flags"] = 0x8b;
  state["idtr.base"] = IDT;
  state["idtr.limit"] = 0x7ff;
  state.rsp = random.bits(4) === 0 ? -8 : STACK;
  for (const s of ["cs", "ds", "es", "fs", "gs", "ss"]) {
    state[`${s}.selector`] = 8 * (1 + random.bits(5)) | cpl;
    state[`${s}.limit`] = -1;
    state[`${s}.flags`] = (s === "cs" ? flags | 0x9b : 0xc093) | cpl << 5;
  }
}

/** Runs a guest; gives back how it ended and a digest of what it left. */
function run(
  bench: Bench,
  seed: number,
  long: boolean,
): { end: string; left: string } {
  bench.engine.reset();
  bench.status = -1;
  bench.output = "";
  bench.memory.u8.fill(0, bench.ram, bench.ram + COMPARED);
  bench.engine.enter(generate(new Random(seed), bench, long));
  // The counter follows instructions, which the executors count alike only with `exact`.
  bench.cpu.tsc.read = (): number => 12345;
  let end = "";
  for (let k = 0; k < 10; k++) {
    end = bench.engine.run(20_000);
    if (end !== "budget" && end !== "stop") break;
  }
  const words = new Int32Array(
    bench.memory.u8.buffer,
    bench.ram,
    COMPARED >> 2,
  );
  let digest = 0;
  for (let i = 0; i < words.length; i++) {
    digest = (Math.imul(digest, 31) + words[i]) | 0;
  }
  const registers = [0, 1, 2, 3, 5, 6, 7].map((r) => bench.cpu.reg32(r) >>> 0);
  return {
    end,
    left: `${end} ${bench.engine.describe()} ${registers} ${digest}`,
  };
}

for (const guest of [...MODELS, "max in IA-32e mode"]) {
  Deno.test(`garbage on ${guest}`, () => {
    const model = guest.split(" ")[0];
    const long = guest !== model;
    const interp = new Bench({ accel: "interp", model });
    const jit = new Bench({ accel: "jit", model, threshold: 3 });
    const random = new Random(SEED + MODELS.indexOf(model) + (long ? 1000 : 0));
    for (let n = 0; n < GUESTS / MODELS.length; n++) {
      const seed = random.word();
      const a = run(interp, seed, long);
      const b = run(jit, seed, long);
      // One that still runs has been stopped at different instructions.
      const running = (end: string): boolean =>
        end === "budget" || end === "stop";
      if (running(a.end) || running(b.end)) continue;
      assertEquals(b.left, a.left, `seed ${seed}`);
    }
  });
}
