/**
 * An ISA made for testing the executors: each 4-byte instruction word is a
 * seed from which its IR is made at random, out of every operation of the op
 * table. Code can change itself (a store to the code changes the seeds), jump
 * anywhere, fault, call helpers and change the mode key.
 *
 * Two freedoms of WebAssembly are kept out, because they are no freedoms of
 * the executors: the payloads of NaNs (results are made 0 where they are NaN)
 * and the operations whose undefined results trap the host (operands are
 * masked).
 *
 * @module
 */

import {
  type Access,
  ACCESS_EXECUTE,
  type CpuEngine,
  EXIT_HALT,
  EXIT_LOOKUP,
  type Frontend,
  GUEST_FAULT,
  PERM_EXECUTE,
  PERM_READ,
  PERM_WRITE,
  type TranslateContext,
} from "../../core/cpu/frontend.ts";
import type { Helper, IrBuilder } from "../../core/ir/builder.ts";
import {
  CALLS,
  FAULTS,
  LOADS,
  Op,
  OPS,
  SPECIAL,
  STORES,
} from "../../core/ir/ops.ts";
import {
  F32,
  F64,
  type Global,
  I32,
  I64,
  type Type,
  V128,
} from "../../core/ir/types.ts";
import { Prng } from "./prng.ts";

/** Bytes of code, from address 0. */
export const CODE_BYTES = 0x2000;
/** First byte of data. */
export const DATA_START = 0x4000;
/** End of data; from here on accesses fault. */
export const DATA_END = 0x8000;
/** A page of device memory. */
export const IO_START = 0x10000;

const STATE = 0x100;
const PC = 0x300;
const KEY = 0x308;

const globals: Global[] = [];
let offset = STATE;
for (
  const [count, type] of [[6, I32], [4, I64], [3, F32], [3, F64], [
    4,
    V128,
  ]] as [number, Type][]
) {
  for (let i = 0; i < count; i++) {
    if (type === V128) offset = (offset + 15) & ~15;
    globals.push({
      index: globals.length,
      name: `${"iIfdv"[type]}${i}`,
      type,
      offset,
    });
    offset += type === V128 ? 16 : 8;
  }
}
/** Bytes of the state that hold random globals. */
export const STATE_BYTES: number = offset - STATE;

/** The program counter: written where a block ends by `exit`. */
const PC_GLOBAL: Global = {
  index: globals.length,
  name: "pc",
  type: I32,
  offset: PC,
};

const OF_TYPE: readonly (readonly Global[])[] = [0, 1, 2, 3, 4].map((t) =>
  globals.filter((g) => g.type === t)
);
/** Counts the jumps back. */
const COUNTER: Global = OF_TYPE[I32][5];
/** Points into data, mostly: what is pushed and popped. */
const STACK: Global = OF_TYPE[I32][4];

const PURE_OPS = OPS.filter((o) =>
  o.effects === 0 && o.args.length > 0 && o.result >= 0
);
const ACCESSES = OPS.filter((o) => o.args[0] === I32);
const LOAD_OPS = ACCESSES.filter((o) => (o.effects & LOADS) !== 0);
const STORE_OPS = ACCESSES.filter((o) => (o.effects & STORES) !== 0);
/** Operations that can make a NaN, whose payload WebAssembly leaves open. */
const MAKES_NAN =
  /^f(32|64|32x4|64x2)\.(add|sub|mul|div|sqrt|nearest|trunc|demote|promote)/;

/** Every operation that the random IR can hold, by name: for a test of completeness. */
export function coveredOps(): Set<string> {
  const names = new Set<string>();
  for (const o of PURE_OPS) names.add(o.name);
  for (const { name } of [...LOAD_OPS, ...STORE_OPS]) {
    names.add(name).add(`${name}.64`);
  }
  for (const o of OPS) {
    if ((o.effects & (SPECIAL | CALLS | FAULTS)) !== 0) names.add(o.name);
    if (o.name.startsWith("const")) names.add(o.name);
  }
  return names;
}

const EDGES = [
  0,
  1,
  -1,
  2,
  31,
  32,
  127,
  128,
  255,
  0x7fff,
  0x8000,
  0xffff,
  0x7fffffff,
  -0x80000000,
];

/** How instructions are translated. */
export interface RandomIsaOptions {
  /** Use the builder's folding; without it each operation stands as it is. */
  readonly fold: boolean;
  /** Say that addresses are physical, as they are. */
  readonly flat?: boolean;
  /** Program counters and some addresses have 64 bits; code is at {@linkcode WIDE_PC_HI}. */
  readonly wide?: boolean;
}

/** High half of the program counters of a wide mode. */
const WIDE_PC_HI = 0xffff8123 | 0;

/** The random ISA. */
export class RandomIsa implements Frontend {
  readonly name = "random";
  readonly globals: readonly Global[] = [...globals, PC_GLOBAL];
  readonly helpers: readonly Helper[];
  readonly pageWalk = { physical: 0, permissions: 0 };
  /** What was delivered: a running hash and a count. */
  events = 0;
  /** Hash of all events. */
  eventHash = 0;
  /** The maskable interrupt line. */
  irq = false;
  #engine!: CpuEngine;
  #pending = 0;
  readonly #fold: boolean;
  readonly #flat: boolean;
  readonly #wide: boolean;

  /** Makes the frontend. */
  constructor(options: RandomIsaOptions) {
    this.#fold = options.fold;
    this.#flat = options.flat ?? false;
    this.#wide = options.wide ?? false;
    const [i0, i1, i2] = OF_TYPE[I32];
    const list: Helper[] = [];
    const define = (
      name: string,
      args: 0 | 1 | 2 | 3,
      faults: boolean,
      reads: readonly Global[] | "all",
      writes: readonly Global[] | "all",
      fn: (a: number, b: number, c: number) => number,
    ): void => {
      list.push({ index: list.length, name, args, faults, reads, writes, fn });
    };
    define("mix", 3, false, [], [], (a, b, c) => Math.imul(a ^ b, 77) + c | 0);
    define("swap", 1, false, [i0, i1], [i0, i1], (a) => {
      const x = this.#get(i0);
      this.#put(i0, this.#get(i1));
      this.#put(i1, x ^ a);
      return x;
    });
    define("sum", 0, false, "all", [i2], () => {
      const s = this.#stateHash();
      this.#put(i2, s);
      return s;
    });
    define("fault", 2, true, [], "all", (a, b) => {
      if ((a & 7) === 0) {
        this.#pending = 0x1000 | (b & 0xff);
        throw GUEST_FAULT;
      }
      this.#put(i0, Math.imul(a, b));
      return 0;
    });
    define("poke", 2, true, [], [], (a, b) => {
      const address = this.#address(a);
      this.#engine.mmu.write32(address, b, 0);
      return 0;
    });
    define("mode", 1, false, "all", [], (a) => {
      const e = this.#engine;
      e.i32[(e.base + KEY) >> 2] = a & 1;
      e.keyChanged();
      return 0;
    });
    define("touch", 0, false, [i0], [i1], () => {
      this.#put(i1, this.#get(i0) + 1);
      return 0;
    });
    this.helpers = list;
  }

  #get(g: Global): number {
    return this.#engine.i32[(this.#engine.base + g.offset) >> 2];
  }
  #put(g: Global, v: number): void {
    this.#engine.i32[(this.#engine.base + g.offset) >> 2] = v;
  }
  /** Where helpers store: data, at times unmapped or code. */
  #address(a: number): number {
    if ((a & 0xf000) === 0xf000) return DATA_END + (a & 0xfff);
    if ((a & 0xf000) === 0xe000) return a & (CODE_BYTES - 1);
    return DATA_START + (a & (DATA_END - DATA_START - 1));
  }

  attach(engine: CpuEngine): void {
    this.#engine = engine;
  }
  reset(): void {
    this.#engine.i32[(this.#engine.base + KEY) >> 2] = 1;
    this.events = this.eventHash = 0;
    this.irq = false;
    this.setPc(0, 0);
  }
  pcLo(): number {
    return this.#engine.i32[(this.#engine.base + PC) >> 2];
  }
  pcHi(): number {
    return this.#wide ? WIDE_PC_HI : 0;
  }
  setPc(lo: number, _hi: number): void {
    this.#engine.i32[(this.#engine.base + PC) >> 2] = lo;
  }
  key(): number {
    return this.#engine.i32[(this.#engine.base + KEY) >> 2];
  }
  relocatable(): boolean {
    return false;
  }

  flat(): boolean {
    return this.#flat;
  }
  linear(lo: number, hi: number): number {
    return this.#wide ? hi * 0x1_0000_0000 + (lo >>> 0) : lo;
  }
  wide(): boolean {
    return this.#wide;
  }
  fetchMmu(): number {
    return 0;
  }
  restore(pcLo: number, _pcHi: number, aux: number): void {
    this.setPc(pcLo, 0);
    if (aux !== (pcLo ^ 0x5555)) throw new Error("wrong auxiliary word");
  }
  trap(code: number): void {
    this.#pending = 0x2000 | code;
  }
  #event(what: number): void {
    this.events++;
    this.eventHash = Math.imul(this.eventHash ^ what, 0x01000193) ^ this.pcLo();
  }
  /** A hash of all globals. */
  #stateHash(): number {
    const { i32, base } = this.#engine;
    let s = 0;
    for (let i = 0; i < STATE_BYTES; i += 4) {
      s = Math.imul(s ^ i32[(base + STATE + i) >> 2], 0x01000193) + 1 | 0;
    }
    return s;
  }
  deliver(): boolean {
    // A fault shows the whole state; an interrupt may find what is dead at its
    // block's start not written.
    this.#event(this.#pending ^ this.#stateHash());
    // A fault goes on behind the instruction, or at times elsewhere.
    const next = (this.eventHash & 7) === 0
      ? this.eventHash >>> 8
      : this.pcLo() + 4;
    this.setPc(next & (CODE_BYTES - 4), 0);
    return true;
  }
  interruptible(): boolean {
    return this.irq;
  }
  interrupt(): boolean {
    this.irq = false;
    // It goes on where it was, as an interrupt's handler returns: what is dead
    // there may be missing from the state now.
    this.#event(0x4000);
    return true;
  }
  wakes(): boolean {
    return this.irq;
  }
  wakeable(): boolean {
    return true;
  }
  setIrq(level: boolean): void {
    this.irq = level;
  }
  nmi(): void {}
  setInput(): void {}
  enter(): void {}
  takeSingle(): boolean {
    return false;
  }
  walk(address: number, access: Access, _mmu: number, probe: boolean): boolean {
    const high = Math.floor(address / 0x1_0000_0000);
    const wanted = this.#wide && access === ACCESS_EXECUTE ? WIDE_PC_HI : 0;
    const isBeyond = high !== wanted && (this.#wide || high !== -1);
    address >>>= 0;
    const io = address >= IO_START && address < IO_START + 0x1000;
    if (
      isBeyond || address >= DATA_END && !io ||
      address >= CODE_BYTES && address < DATA_START
    ) {
      if (!probe) this.#pending = 0x8000 | access << 16 | (address & 0xfff);
      return false;
    }
    this.pageWalk.physical = address & ~0xfff;
    this.pageWalk.permissions = PERM_READ | PERM_WRITE | PERM_EXECUTE;
    return true;
  }
  describe(): string {
    return `pc ${this.pcLo().toString(16)}`;
  }
  save(): Record<string, unknown> {
    return {};
  }
  load(): void {}

  translate(c: TranslateContext): void {
    const b = c.builder;
    let at = c.start;
    let pc = c.pcLo;
    for (let n = 0; n < c.maxInsns && !b.ended && at + 4 <= c.limit; n++) {
      const word = c.code[at] | c.code[at + 1] << 8 | c.code[at + 2] << 16 |
        c.code[at + 3] << 24;
      b.insn(pc, pc ^ 0x5555);
      new Insn(
        b,
        new Prng(word ^ Math.imul(c.key, 0x51ed27)),
        this.helpers,
        this.#fold,
        pc,
        this.#wide,
      ).translate();
      at += 4;
      pc += 4;
    }
    if (!b.ended) b.jump(pc & (CODE_BYTES - 4));
    b.block.byteLength = at - c.start;
  }
}

/** Makes the IR of one instruction. */
class Insn {
  readonly #temps: number[][] = [[], [], [], [], []];

  constructor(
    private readonly b: IrBuilder,
    private readonly p: Prng,
    private readonly helpers: readonly Helper[],
    private readonly fold: boolean,
    private readonly pc: number,
    private readonly wide: boolean,
  ) {}

  translate(): void {
    const { b, p } = this;
    if (p.oneIn(3)) {
      // Some in a row, with nothing else between.
      this.#stack();
      return this.#end(this.pc);
    }
    for (let n = p.below(6); n > 0; n--) this.#pure();
    // What can fault comes before what a restart would notice.
    switch (p.below(12)) {
      case 0:
      case 1:
        this.#load(true);
        break;
      case 2:
      case 3:
        // A store that hits running code restarts the instruction, so that a
        // device would be read twice.
        this.#load(false);
        this.#store();
        break;
      case 4:
        b.trap(this.#rare(), p.below(16));
        break;
      case 5:
        this.#call(p.below(5));
        break;
      case 6:
        b.callIf(this.#rare(), this.helpers[6]);
        break;
    }
    for (let n = p.below(5); n > 0; n--) this.#pure();
    for (let n = 1 + p.below(3); n > 0; n--) {
      const g = p.pick(globals);
      if (g === COUNTER || g === STACK) continue;
      b.set(g, this.#value(g.type));
    }
    this.#end(this.pc);
  }

  /**
   * Ends the block, at times. Going back is limited by a counter, everything
   * else goes forward and wraps, so that all of the code runs again and again.
   */
  #end(pc: number): void {
    const { b, p } = this;
    const at = (n: number): number => (pc + 4 * n) & (CODE_BYTES - 4);
    const next = at(1);
    switch (p.below(40)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const left = b.add(b.get(COUNTER), b.i32(-1));
        b.set(COUNTER, left);
        return b.branch(
          b.and(left, b.i32(p.pick([3, 15, 31]))),
          at(-p.below(24)),
          next,
        );
      }
      case 4:
        return b.branch(this.#rare(), at(1 + p.below(16)), next);
      case 5:
        return b.branch(this.#value(I32), at(1 + p.below(16)), next);
      case 6:
        return b.jump(at(1 + p.below(100)));
      case 7: {
        const target = b.add(b.and(this.#value(I32), b.i32(0x1c)), b.i32(next));
        const within = b.and(target, b.i32(CODE_BYTES - 4));
        return b.jumpIndirect(this.wide ? this.#wideTarget(within) : within);
      }
      case 10: {
        const target = b.and(this.#value(I32), b.i32(0x3c));
        return b.jumpIndirect(
          this.#wideTarget(
            b.add(target, b.i32((pc | 0x3f) + 1 & (CODE_BYTES - 64))),
          ),
        );
      }
      case 8:
        if (!p.oneIn(4)) return;
        b.call(this.helpers[5], this.#value(I32)); // changes the key
        if (this.wide) {
          b.set(PC_GLOBAL, b.i32(next));
          b.exit(EXIT_LOOKUP);
        } else b.jumpIndirect(this.#wideTarget(b.i32(next)));
        return;
      case 9:
        if (!p.oneIn(12)) return;
        b.set(PC_GLOBAL, b.i32(next));
        b.exit(p.oneIn(2) ? EXIT_HALT : EXIT_LOOKUP);
        return;
    }
  }

  /** The program counter with a low half, as an i64. */
  #wideTarget(low: number): number {
    const { b } = this;
    const target = b.op(Op["i64.extend_i32_u"], low);
    return this.wide
      ? b.op(Op["i64.or"], target, b.i64(0, WIDE_PC_HI))
      : target;
  }

  /** A condition that seldom holds. */
  #rare(): number {
    const { b } = this;
    return b.eqz(b.and(this.#value(I32), b.i32(15)));
  }

  #op(op: number, x: number, y = 0, z = 0): number {
    return this.fold ? this.b.op(op, x, y, z) : this.b.emit(op, x, y, z, 0, 0);
  }

  #value(type: Type): number {
    const { b, p } = this;
    const temps = this.#temps[type];
    const kind = p.below(8);
    if (kind < 4 && temps.length > 0) return p.pick(temps);
    if (kind < 6 || type === V128 && kind === 6) {
      return b.get(p.pick(OF_TYPE[type]));
    }
    const word = (): number => p.oneIn(2) ? p.pick(EDGES) : p.u32() | 0;
    switch (type) {
      case I32:
        return b.i32(word());
      case I64:
        return b.i64(word(), word());
      case F32:
        return b.f32Bits(quiet32(p.u32()));
      case F64:
        return b.f64Bits(word(), quiet32(p.u32()));
      default: {
        const bytes = Array.from({ length: 16 }, () => p.below(256));
        return b.v128(bytes);
      }
    }
  }

  #keep(type: Type, v: number): number {
    this.#temps[type].push(v);
    return v;
  }

  #pure(): void {
    const { b, p } = this;
    const o = p.pick(PURE_OPS);
    let [x, y, z] = o.args.map((t) => this.#value(t));
    const division = /^i(32|64)\.(div|rem)_([su])$/.exec(o.name);
    if (division !== null) {
      // Odd, and not -1 when signed.
      if (division[1] === "32") {
        if (division[3] === "s") y = b.and(y, b.i32(0x7fffffff));
        y = b.or(y, b.i32(1));
      } else {
        if (division[3] === "s") {
          y = this.#op(Op["i64.and"], y, b.i64(-1, 0x7fffffff));
        }
        y = this.#op(Op["i64.or"], y, b.i64(1, 0));
      }
    }
    if (o.name === "i8x16.shuffle") {
      z = b.v128(Array.from({ length: 16 }, () => p.below(32)));
    }
    let v = this.#op(o.id, x, y, z);
    if (MAKES_NAN.test(o.name)) {
      v = this.#withoutNan(o.name, o.result as Type, v);
    }
    this.#keep(o.result as Type, v);
  }

  /** The value, or 0 where it is NaN. */
  #withoutNan(name: string, type: Type, v: number): number {
    const { b } = this;
    switch (type) {
      case F32:
        return this.#op(
          Op["f32.reinterpret_i32"],
          this.#op(
            Op["i32.select"],
            this.#op(Op["i32.reinterpret_f32"], v),
            b.i32(0),
            this.#op(Op["f32.eq"], v, v),
          ),
        );
      case F64:
        return this.#op(
          Op["f64.reinterpret_i64"],
          this.#op(
            Op["i64.select"],
            this.#op(Op["i64.reinterpret_f64"], v),
            b.i64(0, 0),
            this.#op(Op["f64.eq"], v, v),
          ),
        );
      default: {
        const single = /^f32x4/.test(name);
        const eq = single ? Op["f32x4.eq"] : Op["f64x2.eq"];
        return this.#op(Op["v128.and"], v, this.#op(eq, v, v));
      }
    }
  }

  /** An address: in data mostly, at times across a page, in code, a device's, or unmapped. */
  #place(width: number, store: boolean, device: boolean): [number, number] {
    const { b, p } = this;
    const v = this.#value(I32);
    const mask = DATA_END - DATA_START - 1;
    switch (p.below(16)) {
      case 0: // unmapped, at times
        return [
          b.add(b.and(v, b.i32(0x1fff)), b.i32(DATA_END - 0x1000)),
          0,
        ];
      case 1: // code
        if (store && !p.oneIn(4)) break;
        return p.oneIn(2)
          ? [b.and(v, b.i32(CODE_BYTES - 4)), 0]
          : [b.i32(this.pc + 4 * p.below(12) - 12 & (CODE_BYTES - 4)), 0];
      case 2: // a device
        if (width > 8 || !device) break;
        return [b.and(v, b.i32(0xff0)), IO_START];
      case 3: // constant
        return [b.i32(DATA_START + p.below(mask - 16)), 0];
      case 4: // across pages
        return [
          b.and(v, b.i32(0x2000)),
          DATA_START + 0x1000 - p.below(17),
        ];
      case 5: // anywhere
        if (p.oneIn(8)) return [v, p.below(256) - 128];
    }
    return [
      b.and(v, b.i32(p.oneIn(2) ? mask & ~0xf : mask - 0xf)),
      DATA_START + p.below(16) - (p.oneIn(40) ? 0x1000 : 0),
    ];
  }

  #load(device: boolean): void {
    const { b, p } = this;
    const o = p.pick(LOAD_OPS);
    const [address, disp] = this.#place(o.width, false, device);
    const v = b.load(o.id, this.#widened(address), disp, 0);
    this.#keep(o.result as Type, v);
  }

  #store(): void {
    const { b, p } = this;
    const o = p.pick(STORE_OPS);
    const [address, disp] = this.#place(o.width, true, true);
    const to = this.#widened(address);
    b.store(o.id, to, disp, this.#value(o.args[1]), 0);
  }

  /** At times an address as one of 64 bits: the same, or one beyond 4 GiB, where nothing is mapped. */
  #widened(address: number): number {
    const { b, p } = this;
    if (!this.wide || !p.oneIn(2)) return address;
    const wide = b.op(Op["i64.extend_i32_u"], address);
    return p.oneIn(16)
      ? b.op(Op["i64.add"], wide, b.i64(0, p.below(3) - 1))
      : wide;
  }

  /** A push, a pop, or a new stack pointer. */
  #stack(): void {
    const { b, p } = this;
    const at = b.get(STACK);
    const bytes = p.pick([4, 4, 4, 8, -4, p.pick([0x7f0, -0x7f0])]);
    switch (p.below(8)) {
      case 0:
        b.set(STACK, b.i32(DATA_START + 0x800 + 4 * p.below(0x800)));
        return;
      case 1:
      case 2:
      case 3: {
        const v = b.load(Op["ld32"], at, p.oneIn(4) ? 8 : 0, 0);
        const to = p.pick(OF_TYPE[I32]);
        if (p.oneIn(2)) b.set(STACK, b.add(at, b.i32(bytes)));
        if (to !== COUNTER) b.set(to, v);
        if (p.oneIn(2)) b.set(STACK, b.add(at, b.i32(bytes)));
        return;
      }
      default: {
        let v = p.oneIn(3)
          ? b.load(Op["ld32"], at, 4 * p.below(4), 0)
          : this.#value(I32);
        const to = b.add(at, b.i32(-bytes));
        if (p.oneIn(8)) v = to;
        b.store(Op["st32"], to, 0, v, 0);
        b.set(STACK, p.oneIn(8) ? at : to);
        // Somebody else may need the old one.
        if (p.oneIn(4)) b.set(OF_TYPE[I32][0], at);
      }
    }
  }

  #call(n: number): void {
    const { b } = this;
    const h = this.helpers[n];
    const [x, y, z] = [0, 1, 2].map((i) => i < h.args ? this.#value(I32) : 0);
    const v = b.call(h, x, y, z);
    if (!h.faults) this.#keep(I32, v);
  }
}

/** The bits of a single, or of a double's high word, never those of a signalling NaN. */
function quiet32(bits: number): number {
  return (bits & 0x7f800000) === 0x7f800000 ? bits & ~0x40000000 : bits;
}
