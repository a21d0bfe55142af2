/**
 * A toy ISA for tests of the executors: 16 registers, 4-byte instructions
 * `op, d, a, b`, no paging. It is small enough that a test can predict every
 * state, and it exercises each way of leaving a block.
 *
 * @module
 */

import {
  type Access,
  type CpuEngine,
  EXIT_HALT,
  type Frontend,
  PERM_EXECUTE,
  PERM_READ,
  PERM_WRITE,
  type TranslateContext,
} from "../../cpu/frontend.ts";
import type { Helper } from "../../ir/builder.ts";
import { Op } from "../../ir/ops.ts";
import { type Global, I32 } from "../../ir/types.ts";

/** Opcodes of the toy ISA. */
export const TOY = {
  /** d = a + b */
  add: 0,
  /** d = a - b */
  sub: 1,
  /** d = signed immediate in a (low), b (high) */
  li: 2,
  /** d = a + signed b */
  addi: 3,
  /** d = word at a + signed b */
  lw: 4,
  /** word at a + signed b = d */
  sw: 5,
  /** to pc + 4 * signed b if d != a */
  bne: 6,
  /** to register a; d = return address */
  jalr: 7,
  /** halt */
  halt: 8,
  /** trap 7 if d is 0 */
  trapz: 9,
  /** d = helper(a) = a * 3 */
  triple: 10,
  /** byte at a + signed b = d */
  sb: 11,
  /** d = a * b */
  mul: 12,
  /** d = a ^ b */
  xor: 13,
} as const;

const REG0 = 0x100;
const PC = 0x180;

/** The toy ISA. */
export class ToyFrontend implements Frontend {
  readonly name = "toy";
  readonly globals: readonly Global[] = Array.from(
    { length: 16 },
    (_, i) => ({ index: i, name: "r" + i, type: I32, offset: REG0 + 8 * i }),
  );
  readonly helpers: readonly Helper[] = [
    {
      index: 0,
      name: "triple",
      args: 1,
      faults: false,
      reads: [],
      writes: [],
      fn: (a) => Math.imul(a, 3),
    },
  ];
  readonly pageWalk = { physical: 0, permissions: 0 };
  /** Physical addresses from here fault. */
  limit = 0x100000;
  /** Faults and traps delivered: [pc, what]. */
  readonly events: [number, string][] = [];
  /** Whether the maskable interrupt line is up. */
  irq = false;
  #engine!: CpuEngine;
  #pending = "";

  attach(engine: CpuEngine): void {
    this.#engine = engine;
  }
  /** Value of a register. */
  reg(i: number): number {
    return this.#engine.i32[(this.#engine.base + REG0 + 8 * i) >> 2];
  }
  /** Sets a register. */
  setReg(i: number, v: number): void {
    this.#engine.i32[(this.#engine.base + REG0 + 8 * i) >> 2] = v;
  }
  reset(): void {
    for (let i = 0; i < 16; i++) this.setReg(i, 0);
    this.setPc(0, 0);
  }
  pcLo(): number {
    return this.#engine.i32[(this.#engine.base + PC) >> 2];
  }
  pcHi(): number {
    return 0;
  }
  setPc(lo: number, _hi: number): void {
    this.#engine.i32[(this.#engine.base + PC) >> 2] = lo;
  }
  key(): number {
    return 0;
  }
  relocatable(): boolean {
    return false;
  }

  flat(): boolean {
    return false;
  }
  linear(lo: number, _hi: number): number {
    return lo;
  }
  wide(): boolean {
    return false;
  }
  fetchMmu(): number {
    return 0;
  }
  restore(pcLo: number, _pcHi: number, _aux: number): void {
    this.setPc(pcLo, 0);
  }
  trap(code: number): void {
    this.#pending = "trap " + code;
  }
  deliver(): boolean {
    this.events.push([this.pcLo(), this.#pending]);
    this.setPc(this.pcLo() + 4, 0);
    return this.events.length < 1000;
  }
  interruptible(): boolean {
    return this.irq;
  }
  interrupt(): boolean {
    this.irq = false;
    this.events.push([this.pcLo(), "irq"]);
    return true;
  }
  wakes(): boolean {
    return this.irq;
  }
  wakeable(): boolean {
    return false;
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
  walk(
    address: number,
    _access: Access,
    _mmu: number,
    probe: boolean,
  ): boolean {
    if (address >= this.limit) {
      if (!probe) this.#pending = "fault " + address.toString(16);
      return false;
    }
    this.pageWalk.physical = address & ~0xfff;
    this.pageWalk.permissions = PERM_READ | PERM_WRITE | PERM_EXECUTE;
    return true;
  }
  describe(): string {
    return "pc " + this.pcLo();
  }
  save(): Record<string, unknown> {
    return {};
  }
  load(): void {}

  translate(c: TranslateContext): void {
    const b = c.builder;
    const g = this.globals;
    let at = c.start;
    let pc = c.pcLo;
    for (let n = 0; n < c.maxInsns && !b.ended && at + 4 <= c.limit; n++) {
      const op = c.code[at];
      const [d, ra, rb] = [
        g[c.code[at + 1] & 15],
        g[c.code[at + 2] & 15],
        g[c.code[at + 3] & 15],
      ];
      const imm = c.code[at + 3] << 24 >> 24;
      b.insn(pc, 0);
      switch (op) {
        case TOY.add:
          b.set(d, b.add(b.get(ra), b.get(rb)));
          break;
        case TOY.sub:
          b.set(d, b.sub(b.get(ra), b.get(rb)));
          break;
        case TOY.mul:
          b.set(d, b.mul(b.get(ra), b.get(rb)));
          break;
        case TOY.xor:
          b.set(d, b.xor(b.get(ra), b.get(rb)));
          break;
        case TOY.li:
          b.set(d, b.i32(c.code[at + 2] | (imm << 8)));
          break;
        case TOY.addi:
          b.set(d, b.add(b.get(ra), b.i32(imm)));
          break;
        case TOY.lw:
          b.set(d, b.load(Op["ld32"], b.get(ra), imm, 0));
          break;
        case TOY.sw:
          b.store(Op["st32"], b.get(ra), imm, b.get(d), 0);
          break;
        case TOY.sb:
          b.store(Op["st8"], b.get(ra), imm, b.get(d), 0);
          break;
        case TOY.bne:
          b.branch(b.ne(b.get(d), b.get(ra)), pc + 4 * imm, pc + 4);
          break;
        case TOY.jalr: {
          const target = b.get(ra);
          b.set(d, b.i32(pc + 4));
          b.jumpIndirect(target);
          break;
        }
        case TOY.trapz:
          b.trap(b.eqz(b.get(d)), 7);
          break;
        case TOY.triple:
          b.set(d, b.call(this.helpers[0], b.get(ra)));
          break;
        default:
          b.exit(EXIT_HALT);
      }
      at += 4;
      pc += 4;
    }
    if (!b.ended) b.jump(pc);
    b.block.byteLength = at - c.start;
  }
}
