/**
 * What the translator does, for people to watch: the contract of an observer,
 * and the observer that writes a line for each block and region.
 *
 * Without an observer nothing is recorded: the engine asks once for each
 * translated block and compiled region, which both take far longer than that.
 *
 * @module
 */

import type { Disassembler } from "../cpu/disassembler.ts";
import type { Helper } from "../ir/builder.ts";
import type { IrBlock } from "../ir/block.ts";
import type { Block, Region } from "../translate/block_cache.ts";

/** A region that was just compiled. Its IR is only valid while the observer is called: its arrays are used again. */
export interface CompiledRegion {
  /** Its number. */
  readonly id: number;
  /** Its blocks; the first is the entry. A block may stand twice. */
  readonly blocks: readonly Block[];
  /** The IR of each block after the passes. */
  readonly ir: readonly IrBlock[];
  /** The helpers that the IR calls. */
  readonly helpers: readonly Helper[];
  /** Names of the function's locals; none where a local holds temporaries. */
  readonly locals: readonly (string | undefined)[];
  /** Which code is whose: see {@linkcode markOf}. */
  readonly marks: readonly number[];
  /** The WebAssembly module. */
  readonly module: Uint8Array;
  /** How long it took to form and compile it. */
  readonly milliseconds: number;
}

/** What an observer may ask of the engine while it is called. */
export interface TranslatorView {
  /** The linear address of a block's first byte. */
  address(block: Block): number;
  /** The low half of the program counter there. */
  pc(block: Block): number;
  /** The bytes of guest code that a block was made from. */
  code(block: Block): Uint8Array;
}

/** Is told what the translator does. Blocks that run once (the next instruction after a store to code) are not told. */
export interface TranslationObserver {
  /** A block was translated. */
  block(block: Block, view: TranslatorView): void;
  /** A region was compiled. */
  region(region: CompiledRegion, view: TranslatorView): void;
  /** A region died: its code was written to, or all translations were forgotten. */
  regionDied(region: Region, view: TranslatorView): void;
}

/** A CPU that translates and says so. */
export interface Traceable {
  /**
   * Tells an observer what the translator does from now on; nobody when it is
   * undefined.
   */
  observe(observer: TranslationObserver | undefined): void;
}

/** The mark of code that belongs to no block: what follows it leaves the region. */
export const MARK_EXITS = -1;

/**
 * Marks stand in pairs, the offset in the function's body and this number: from
 * there to the next mark the code is of the block with this index in the
 * region, and of its instruction number `insn`, from 1; 0 is the code before the
 * first. Code before the first mark loads registers.
 */
export function markOf(block: number, insn: number): number {
  return block << 16 | insn;
}

/** The block's index in a mark. */
export function markBlock(mark: number): number {
  return mark >> 16;
}

/** The instruction's number in a mark. */
export function markInsn(mark: number): number {
  return mark & 0xffff;
}

/** An address as a trace writes it. */
export function hexAddress(address: number): string {
  // A wide address below 0 is one of the upper half.
  const unsigned = address < 0 ? BigInt.asUintN(64, BigInt(address)) : address;
  return unsigned.toString(16).padStart(8, "0");
}

/** Writes a line for each block that is translated and each region that is compiled or dies. */
export class BlockTrace implements TranslationObserver {
  readonly #write: (line: string) => void;
  readonly #disassembler: Disassembler | undefined;

  /** Gives lines without a line feed to `write`; mode keys are words if there is a disassembler. */
  constructor(
    write: (line: string) => void,
    disassembler: Disassembler | undefined,
  ) {
    this.#write = write;
    this.#disassembler = disassembler;
  }

  block(block: Block, view: TranslatorView): void {
    this.#write(
      `block ${this.#where(block, view)} insns ${block.insns} ` +
        `bytes ${block.byteLength} mode ${this.#mode(block)}`,
    );
  }

  region(region: CompiledRegion, view: TranslatorView): void {
    const { blocks, id, milliseconds, module } = region;
    const insns = blocks.reduce((n, b) => n + b.insns, 0);
    this.#write(
      `region ${id} entry ${this.#where(blocks[0], view)} ` +
        `blocks ${blocks.length} insns ${insns} wasm ${module.length} ` +
        `ms ${milliseconds.toFixed(2)} mode ${this.#mode(blocks[0])}`,
    );
  }

  regionDied(region: Region, view: TranslatorView): void {
    const entry = this.#where(region.blocks[0], view);
    this.#write(`region ${region.id} entry ${entry} died`);
  }

  #where(block: Block, view: TranslatorView): string {
    return `${hexAddress(view.address(block))} ` +
      `physical ${hexAddress(block.physical)}`;
  }

  #mode(block: Block): string {
    return this.#disassembler?.mode(block.key) ??
      "0x" + (block.key >>> 0).toString(16);
  }
}
