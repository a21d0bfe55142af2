/**
 * How helpers raise exceptions. What is pending stands in the state; a helper
 * that faults throws `GUEST_FAULT` out of `raise`, the engine restores the
 * program counter and has the exception delivered (interrupts.ts).
 *
 * @module
 */

import { type CpuEngine, GUEST_FAULT } from "../../../core/cpu/frontend.ts";
import {
  EXC_DB,
  EXC_GP,
  EXC_NONE,
  EXC_NOT_CANONICAL,
  EXC_PAST_END,
  EXC_PF,
  EXC_SS,
  EXC_UD,
  EXC_WAIT,
} from "./exceptions.ts";
import {
  AUX_CC_OP,
  AUX_NOT_FLAT,
  AUX_NOT_MODIFIES,
  AUX_NOT_POP,
  AUX_NOT_PUSH,
  AUX_NOT_STACK,
  AUX_NOT_WIDE,
} from "./aux_word.ts";
import { addressAt, CANONICAL_END, highWord, WORD } from "./long_mode.ts";
import { Registers } from "./registers.ts";
import {
  IF,
  KEY_LONG,
  KEY_TF,
  OFF_CC_OP,
  OFF_EIP,
  OFF_EXC_ADDRESS,
  OFF_EXC_ADDRESS64,
  OFF_EXC_ERROR,
  OFF_EXC_HAS_ERROR,
  OFF_EXC_VECTOR,
  OFF_FLAGS,
} from "./state.ts";

const W_EIP = OFF_EIP >> 2;
const W_FLAGS = OFF_FLAGS >> 2;
const W_CC_OP = OFF_CC_OP >> 2;
const W_VECTOR = OFF_EXC_VECTOR >> 2;
const W_FAULT = OFF_EXC_ADDRESS64 >> 2;

/** Error code of a page fault: a write. */
const ERR_W = 2;
/** DR6: single step. */
const DR6_BS = 0x4000;

/** A CPU whose helpers can fault. */
export abstract class Faults extends Registers {
  /** The engine, once attached. */
  engine!: CpuEngine;

  /** Records an exception without throwing. */
  record(vector: number, error: number, hasError: boolean): void {
    const s = this.state;
    s[W_VECTOR] = vector;
    s[OFF_EXC_ERROR >> 2] = error;
    s[OFF_EXC_HAS_ERROR >> 2] = hasError ? 1 : 0;
  }

  /** Raises an exception, with an error code unless that is -1. */
  raise(vector: number, error: number = -1): never {
    if (error === -1) this.record(vector, 0, false);
    else this.record(vector, error, true);
    throw GUEST_FAULT;
  }

  /** Raises #GP with an error code, 0 by default. */
  gp(error: number = 0): never {
    this.raise(EXC_GP, error);
  }

  /** Raises #UD. */
  ud(): never {
    this.raise(EXC_UD);
  }

  /** Raises #DB as a fault, with these bits in DR6. */
  raiseDebug(dr6: number): never {
    this.pendingDebug |= dr6;
    this.raise(EXC_DB);
  }

  /** Has #DB delivered after the present instruction, with these bits in DR6. */
  debugTrap(dr6: number): void {
    this.pendingDebug |= dr6;
    this.engine?.attention();
  }

  /**
   * Leaves the block after a helper if it has changed the mode key or an event
   * is due: for instructions that seldom do and should not end their block.
   * The state must be complete but for EIP, which becomes `next` (in 64-bit
   * mode the block has written RIP instead); `key` is the key before. Faulting
   * helpers only.
   */
  leaveIfChanged(key: number, next: number): void {
    if (this.presentKey === key && !this.interruptible()) return;
    if ((key & KEY_TF) !== 0) this.debugTrap(DR6_BS);
    if ((key & KEY_LONG) === 0) this.state[W_EIP] = next;
    this.committed = true;
    this.record(EXC_NONE, 0, false);
    throw GUEST_FAULT;
  }

  /** Makes the state that of the start of an instruction. */
  restore(pcLo: number, pcHi: number, aux: number): void {
    // A task switch that faulted after its commit point faults in the new task.
    if (this.committed) {
      this.committed = false;
      return;
    }
    this.setPc(pcLo, pcHi);
    const op = aux & AUX_CC_OP;
    if (op !== AUX_CC_OP) this.state[W_CC_OP] = op;
    this.#checkEnd(aux);
    if (this.state[W_VECTOR] === EXC_NOT_CANONICAL) {
      const isStore = this.state[OFF_EXC_ERROR >> 2] !== 0;
      const bits = AUX_NOT_STACK | (isStore ? AUX_NOT_PUSH : AUX_NOT_POP);
      this.record((aux & bits) === bits ? EXC_GP : EXC_SS, 0, true);
    }
    if ((aux & AUX_NOT_MODIFIES) === 0 && this.state[W_VECTOR] === EXC_PF) {
      this.state[OFF_EXC_ERROR >> 2] |= 2; // W/R
    }
  }

  /** Records the exception of a fired `trap`. */
  trap(code: number): void {
    this.record(code & 0xff, code >>> 16, (code & 0x100) !== 0);
  }

  /** Whether a debug trap, an NMI or an interrupt can be taken now. */
  interruptible(): boolean {
    if (this.pendingDebug !== 0) return true;
    if (this.nmiPending && !this.nmiBlocked) return true;
    return this.irqLevel && (this.state[W_FLAGS] & IF) !== 0;
  }

  /** Records the fault of a load or store at an address that is not canonical. */
  recordNotCanonical(isStore: boolean): void {
    this.record(EXC_NOT_CANONICAL, isStore ? 1 : 0, true);
  }

  /** Whether operands end where this page begins: see {@linkcode Frontend.isEnd}. */
  isEnd(address: number): boolean {
    return (this.presentKey & KEY_LONG) !== 0
      ? address === CANONICAL_END
      : (address | 0) === 0;
  }

  /** See {@linkcode Frontend.recordEnd}. */
  recordEnd(isStore: boolean): void {
    if ((this.presentKey & KEY_LONG) !== 0) this.recordNotCanonical(isStore);
    else this.state[W_VECTOR] = EXC_PAST_END;
  }

  /**
   * Makes a page fault of an operand that is past the end of addresses into
   * what the check of that end, which comes first, raises.
   */
  #checkEnd(aux: number): void {
    const s = this.state;
    const vector = s[W_VECTOR];
    if (vector !== EXC_PF && vector !== EXC_PAST_END) return;
    const isStore = (s[OFF_EXC_ERROR >> 2] & ERR_W) !== 0;
    const isLong = (this.presentKey & KEY_LONG) !== 0;
    const isWide = (aux & AUX_NOT_WIDE) === 0 &&
      addressAt(s, W_FAULT) + 32 > (isLong ? CANONICAL_END : WORD);
    const isBased = !isLong && (aux & AUX_NOT_FLAT) !== 0;
    if ((vector === EXC_PF && !isWide) || isBased) s[W_VECTOR] = EXC_PF;
    else this.recordNotCanonical(isStore);
  }

  /** Records a page fault. */
  recordPageFault(address: number, error: number): void {
    this.record(EXC_PF, error, true);
    const s = this.state;
    s[OFF_EXC_ADDRESS >> 2] = address;
    s[W_FAULT] = address;
    s[W_FAULT + 1] = this.lma ? highWord(address) : 0;
  }

  /**
   * Has the present instruction wait: it begins anew after the next interrupt.
   * Faulting helpers only.
   */
  waitForEvent(): never {
    this.record(EXC_WAIT, 0, false);
    throw GUEST_FAULT;
  }
}
