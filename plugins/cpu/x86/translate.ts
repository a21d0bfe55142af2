/**
 * Translation of one block of x86 code to IR.
 *
 * {@linkcode Translator} holds what is known while a block is translated and
 * offers the vocabulary that instructions are written in: registers, operands
 * by the table's letters, effective addresses with their segment checks, the
 * stack (operands.ts), lazy flags (lazy_flags.ts) and terminators (here). The
 * instructions themselves stand in the `translate_*.ts` files, each of which
 * exports a record of {@linkcode Translate} functions that the instruction
 * table (insns.ts) names; handlers.ts joins the records.
 *
 * Rules for those functions:
 * - compute, access memory, then write registers and flags (restartability);
 * - end the block only by the translator's terminators (never the builder's),
 *   because a single-stepped instruction ends differently;
 * - call `syncFlags()` before a helper that reads flags from the state, and
 *   `forgetFlags()` after one that writes them;
 * - features, LOCK, and #NM and #UD of x87, MMX and SSE under CR0 and CR4 have
 *   been seen to before the function is called; #MF has not.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import {
  EXIT_LOOKUP,
  type ExitReason,
  type TranslateContext,
} from "../../../core/cpu/frontend.ts";
import { decode, DECODE_OK, DECODE_SHORT, type Insn } from "./decode.ts";
import {
  AUX_NOT_FLAT,
  AUX_NOT_MODIFIES,
  AUX_NOT_POP,
  AUX_NOT_PUSH,
  AUX_NOT_STACK,
  AUX_NOT_WIDE,
} from "./aux_word.ts";
import { LazyFlags } from "./lazy_flags.ts";
import { HANDLERS } from "./handlers.ts";
import { CLASS_AVX, CLASS_MMX, CLASS_SSE, CLASS_X87, ROWS } from "./rows.ts";
import { GP, NM, type TranslatorOptions, trapCode, UD } from "./operands.ts";
import { goOn } from "./translate_privilege.ts";
import {
  BASE,
  CS,
  EIP,
  FLAGS,
  KEY_AVX,
  KEY_DEBUG,
  KEY_EM,
  KEY_FLAT_CS,
  KEY_LIMIT_64K,
  KEY_MP,
  KEY_OSFXSR,
  KEY_TF,
  KEY_TS,
  LIMIT,
  RF,
  RIP,
  SHADOW,
  SHADOW_STI,
  SS,
} from "./state.ts";

export {
  type TranslatorOptions,
  trapCode,
  trapError,
  trapVector,
} from "./operands.ts";

/** Handlers of instructions on the stack that 64-bit mode does not have, or has as they are. */
const STACK: ReadonlySet<string> = new Set(
  ["push_sreg", "pop_sreg", "pusha", "popa", "retf", "iret"],
);

/** The bits of `aux` that say which accesses of an instruction are to the stack segment. */
function stackAccesses(i: Insn): number {
  if (i.mod === 3) {
    // PUSH and its kin, CALL and RET
    return i.row.default64 || i.row.force64 || STACK.has(i.row.handler)
      ? AUX_NOT_STACK
      : 0;
  }
  if (i.segment === SS) return AUX_NOT_STACK;
  switch (i.row.handler) {
    case "push":
    case "call_indirect":
      return AUX_NOT_PUSH;
    case "pop":
      return AUX_NOT_POP;
    default:
      return 0;
  }
}

/**
 * Handlers of instructions that look at the time or reach a device without an
 * access to memory.
 */
const OUTWARD: ReadonlySet<string> = new Set([
  "in",
  "out",
  "ins",
  "outs",
  "rdtsc",
  "rdtscp",
  "rdmsr",
  "wrmsr",
  "rdrand",
  "rdseed",
  // CR8 is the local APIC's.
  "mov_to_cr",
  "mov_from_cr",
]);

/** Translates one instruction. */
export type Translate = (t: Translator, i: Insn) => void;

/** Translates blocks for one CPU. */
export class Translator extends LazyFlags {
  /** Whether each row of the table exists in this model. */
  readonly #present: Uint8Array;
  /** Set by STI: interrupts stay off until the following instruction is done. */
  shadowNext = false;
  #single = false;
  #stepping = false;
  /** Where in the block the instruction begins. */
  #insnAt = 0;
  /** Elements that one execution of a repeated instruction does at most; 0: there is none in the block. */
  elements = 0;
  /** Somebody observes accesses to ports. */
  tellsPorts = false;
  /** PAUSE gives another CPU its turn. */
  readonly yields: boolean;
  /** What looks at the time, or at what stands around the CPU, ends its block. */
  readonly #precise: boolean;

  /** Makes the translator of one CPU. */
  constructor(options: TranslatorOptions) {
    super(options);
    this.yields = options.yields ?? false;
    this.#precise = options.precise ?? false;
    this.#present = Uint8Array.from(
      ROWS,
      (r) => r.feature === "" || options.features.has(r.feature) ? 1 : 0,
    );
  }

  /** Implements `Frontend.translate`. What is known across blocks is CC_OP. */
  translate(context: TranslateContext): void {
    this.compiled = context.compiled;
    this.#stepping = context.stepping;
    this.elements = 0;
    this.#block(context);
    context.elements = this.elements;
    context.exitFacts = this.ccOp;
    context.wantsFacts = this.wantsEntry;
  }

  #block(context: TranslateContext): void {
    const b = this.b = context.builder;
    this.setKey(context.key);
    this.startFlags(context.entryFacts);
    this.shadowNext = false;
    this.#single = (this.key & (KEY_TF | KEY_DEBUG)) !== 0;
    const checkFetch = (this.key & (KEY_FLAT_CS | KEY_DEBUG)) !== KEY_FLAT_CS;
    const i = this.insn;
    let eip = context.pcLo;
    this.ripHi = context.pcHi;
    let position = context.start;
    let left = this.#single ? 1 : context.maxInsns;
    let first = true;
    for (;;) {
      let outcome = decode(
        i,
        context.code,
        position,
        context.limit,
        this.code32,
        this.long,
        this.protected,
      );
      if (outcome === DECODE_SHORT) {
        if (!first) {
          this.#leave(eip);
          return;
        }
        context.cross();
        position = context.start;
        outcome = decode(
          i,
          context.code,
          position,
          context.limit,
          this.code32,
          this.long,
          this.protected,
        );
        left = 1;
        if (outcome === DECODE_SHORT) {
          throw new Error("instruction does not end within two pages");
        }
      }
      this.eip = eip;
      let aux = this.ccAux;
      if (outcome === DECODE_OK) {
        if (i.row.modifies && i.mod !== 3) aux &= ~AUX_NOT_MODIFIES;
        aux &= ~stackAccesses(i);
        if (this.isFlat(SS) && this.isFlat(i.segment)) aux &= ~AUX_NOT_FLAT;
      }
      this.#insnAt = b.block.length;
      b.insn(eip, aux);
      b.block.byteLength += outcome === DECODE_OK ? i.length : 15;
      if (outcome !== DECODE_OK) {
        this.raise(GP, 0);
        return;
      }
      const next = eip + i.length | 0;
      this.nextEip = next;
      this.startOperands(context, position);
      const shadow = this.shadowNext;
      if (checkFetch) this.#checkFetch();
      this.#instruction(i);
      if (b.ended) return;
      if (shadow) {
        this.shadowNext = false;
        left = 0;
      }
      // A block has one high half.
      const isBeyond = this.long && next >>> 0 < eip >>> 0;
      eip = next;
      position += i.length;
      first = false;
      if (--left <= 0 || position >= context.limit || isBeyond) {
        this.#leave(eip);
        return;
      }
    }
  }

  /** One instruction: the checks of its class, then its translation. */
  #instruction(i: Insn): void {
    const row = i.row;
    if (this.#present[row.index] === 0) return this.ud();
    const key = this.key;
    // WAIT is the one x87 instruction for which EM does not matter, but MP does.
    if (
      row.handler === "fwait" &&
      (key & (KEY_MP | KEY_TS)) === (KEY_MP | KEY_TS)
    ) return this.raise(NM);
    switch (row.class) {
      case CLASS_X87:
        if ((key & (KEY_EM | KEY_TS)) !== 0) return this.raise(NM);
        break;
      case CLASS_MMX:
        if ((key & KEY_EM) !== 0) return this.ud();
        if ((key & KEY_TS) !== 0) return this.raise(NM);
        break;
      case CLASS_SSE:
        if ((key & KEY_EM) !== 0 || (key & KEY_OSFXSR) === 0) return this.ud();
        if ((key & KEY_TS) !== 0) return this.raise(NM);
        break;
      case CLASS_AVX:
        if ((key & KEY_AVX) === 0) return this.ud();
        if ((key & KEY_TS) !== 0) return this.raise(NM);
        break;
    }
    HANDLERS[row.index](this, i);
    if (this.#precise && !this.b.ended && OUTWARD.has(row.handler)) {
      goOn(this);
    }
  }

  /** The instruction has an operand of 32 bytes, which two accesses make: the first one's fault is that of both. */
  noteWide(): void {
    this.b.block.hi[this.#insnAt] &= ~AUX_NOT_WIDE;
  }

  /** Whether a repeated instruction is to do one element: somebody steps, the guest or a debugger. */
  get isSingleElement(): boolean {
    return this.#single || this.#stepping;
  }

  /** Code segment limit and instruction breakpoints. */
  #checkFetch(): void {
    const b = this.b;
    const key = this.key;
    if ((key & KEY_DEBUG) !== 0) {
      b.call(this.options.debugFetch, b.low(this.pc(this.eip)));
    }
    if ((key & KEY_FLAT_CS) !== 0) return;
    const last = this.nextEip - 1 | 0;
    if ((key & KEY_LIMIT_64K) !== 0) {
      if (last >>> 0 > 0xffff) b.trap(b.i32(1), trapCode(GP, 0));
      return;
    }
    b.trap(b.ltU(b.get(LIMIT[CS]), b.i32(last)), trapCode(GP, 0));
  }

  /** Ends the block where nothing else does: straight on. */
  #leave(eip: number): void {
    if (this.shadowNext) {
      this.b.set(SHADOW, this.b.i32(SHADOW_STI));
      this.setPc(this.pc(eip));
      return this.exit(EXIT_LOOKUP);
    }
    this.jump(eip);
  }

  // Faults.

  /** Raises #UD; ends the block. */
  ud(): void {
    this.raise(UD);
  }

  /** Raises an exception, with an error code unless that is negative; ends the block. */
  raise(vector: number, error = -1): void {
    this.b.trap(this.b.i32(1), trapCode(vector, error));
    this.b.exit(EXIT_LOOKUP);
  }

  /** Raises an exception when `condition` is not 0. */
  trap(condition: Value, vector: number, error = -1): void {
    this.b.trap(condition, trapCode(vector, error));
  }

  // Terminators.

  /** Ends a single-stepped instruction, the program counter being in the state. */
  #step(): void {
    this.b.call(this.options.debugTrap, this.b.i32(this.key & KEY_TF));
    this.b.exit(EXIT_LOOKUP);
  }

  /** Writes EIP, or RIP. */
  setPc(v: Value): void {
    this.b.set(this.long ? RIP : EIP, v);
  }

  /** In 64-bit mode: the high half of a RIP near this instruction; else that of the block. */
  #highOf(eip: number): number {
    return this.long ? this.highOf(eip) : this.b.block.pcHi;
  }

  /** Goes on at a known EIP: in 64-bit mode the low half of a RIP less than 2 GiB away. */
  jump(eip: number): void {
    this.syncFlags();
    if (!this.#single) return this.b.jump(eip, this.#highOf(eip));
    this.setPc(this.long ? this.pc(eip) : this.b.i32(eip));
    this.#step();
  }

  /** Goes on at `taken` if `condition` is not 0, else at `other`. */
  branch(condition: Value, taken: number, other: number): void {
    const b = this.b;
    this.syncFlags();
    if (!this.#single) {
      const high = this.#highOf(taken);
      return b.branch(condition, taken, other, high, this.#highOf(other));
    }
    if (this.#repeats(taken)) {
      // It has met its breakpoint: RF stays until it is done (SDM volume 3, 17.3.1.1).
      const flag = b.select(condition, b.i32(RF), b.i32(0));
      b.set(FLAGS, b.or(b.get(FLAGS), flag));
    }
    const at = (eip: number): Value => this.long ? this.pc(eip) : b.i32(eip);
    this.setPc(b.select(condition, at(taken), at(other)));
    this.#step();
  }

  /** Whether a jump there, with breakpoints enabled, is a repeated instruction that goes on. */
  #repeats(taken: number): boolean {
    const { insn } = this;
    return (this.key & KEY_DEBUG) !== 0 && taken === this.eip &&
      insn.rep !== 0 && !insn.row.force64; // those are jumps proper
  }

  /** Goes on at a computed EIP or RIP in the same code segment and mode. */
  jumpIndirect(eip: Value): void {
    const b = this.b;
    this.syncFlags();
    if (!this.#single) {
      if (b.isConst64(eip) && !this.relocatable) {
        return b.jump(b.constOf(eip), b.highOf(eip));
      }
      return b.isConst(eip) && !this.relocatable
        ? b.jump(b.constOf(eip))
        : b.jumpIndirect(eip);
    }
    this.setPc(eip);
    this.#step();
  }

  /** Goes on where a helper has put EIP and the code segment, in whatever mode. */
  jumpState(): void {
    const b = this.b;
    this.syncFlags();
    if (this.#single) return this.#step();
    // (From 64-bit mode to code whose segment has a base, the helper leaves.)
    if (this.long) {
      b.jumpIndirect(b.get(RIP));
      return b.hintFar();
    }
    b.jumpIndirect(b.op(
      Op["i64.or"],
      b.op(Op["i64.extend_i32_u"], b.get(EIP)),
      b.op(
        Op["i64.shl"],
        b.op(Op["i64.extend_i32_u"], b.get(BASE[CS])),
        b.i64(32),
      ),
    ));
  }

  /** Back to the dispatcher; EIP has been set. */
  exit(reason: ExitReason): void {
    this.syncFlags();
    if (this.#single && reason === EXIT_LOOKUP) return this.#step();
    this.b.exit(reason);
  }
}
