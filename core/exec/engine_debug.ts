/**
 * An engine's part of debugging: where its dispatcher stops, goes on and tells.
 *
 * Control comes to the dispatcher before each instruction with a breakpoint,
 * because no block holds one (`CutPoints`); it then asks `turn` what to do. An
 * instruction at a breakpoint that the guest goes on from is run alone, as is
 * one at the same physical address that is another linear one. A step is such
 * an instruction, an exception or an interrupt. What is watched is told of in
 * `turn` as well, behind the instruction.
 *
 * @module
 */

import {
  EXIT_BUDGET,
  EXIT_FAULT,
  EXIT_TRAP,
  type Frontend,
} from "../cpu/frontend.ts";
import type { EventObserver } from "../cpu/frontend.ts";
import type { DebugRegisters } from "../debug/contract.ts";
import type { CpuExit } from "../machine/cpu.ts";
import { AccessGuard } from "../mmu/access_guard.ts";
import type { SoftMmu } from "../mmu/soft_mmu.ts";
import type { Block, BlockCache } from "../translate/block_cache.ts";
import type { BlockTranslator } from "../translate/block_translator.ts";
import { CutPoints } from "../translate/cut_points.ts";
import type {
  BlockObserver,
  CpuStop,
  DebugPort,
  ExecutedBlock,
  WatchedRange,
} from "./debug_port.ts";

/** What an engine lets its debugging part have. */
export interface EngineDebugParts {
  /** The ISA. */
  readonly frontend: Frontend;
  /** The CPU's MMU. */
  readonly mmu: SoftMmu;
  /** Its blocks. */
  readonly cache: BlockCache;
  /** Makes them. */
  readonly translator: BlockTranslator;
  /** Counters. */
  readonly counts: { interrupts: number };
  /** Whether the run may go on: nobody stops it, and there is budget. */
  mayRun(): boolean;
  /** Whether the run is to end, whatever it may still execute. */
  isAskedToStop(): boolean;
  /** Whether translated code runs that is not an instruction alone. */
  mustRunAlone(): boolean;
  /** Runs one instruction or, stepping, one element of a repeated one; why it was left, -1: the CPU shuts down. */
  runAlone(stepping: boolean): number;
  /** Takes back that the last instruction is counted: it goes on. */
  uncount(): void;
  /** If the CPU waits and nothing wakes it: how the run ends. */
  halted(): CpuExit | undefined;
  /** Whether it waits. */
  isHalted(): boolean;
  /** Forgets all translated code. */
  dropTranslations(): void;
  /** Has instructions that reach devices be run alone, or with others. */
  runOutwardAlone(isOn: boolean): void;
  /** Makes running code come back at the next block boundary. */
  attention(): void;
}

const NOWHERE = NaN;

/** The debugging part of one CPU's engine. */
export class EngineDebug implements DebugPort {
  readonly #parts: EngineDebugParts;
  readonly #cuts = new CutPoints();
  /** The breakpoint that the guest goes on from. */
  #skip = NOWHERE;
  /** It was gone over, and is a repeated instruction that goes on. */
  #isRepeated = false;
  #stepping = false;
  /** The step takes no interrupt. */
  #holdsInterrupts = false;
  /** The step is done. */
  #stepped = false;
  /** Where a repeated instruction is in the midst of what is one execution otherwise. */
  #amidst = NOWHERE;
  #elements = 0;
  #observer: BlockObserver | undefined;
  #offsets = new WeakMap<Block, readonly number[]>();
  #entered: ExecutedBlock | undefined;
  /** An interrupt has led to a breakpoint: no other comes before it. */
  #hasEntered = false;
  stop: CpuStop | undefined;
  reached: ((pc: number) => boolean) | undefined;

  /** That of an engine, with nothing to do. */
  constructor(parts: EngineDebugParts) {
    this.#parts = parts;
  }

  get pc(): number {
    const f = this.#parts.frontend;
    const linear = f.linear(f.pcLo(), f.pcHi());
    return f.wide(f.key()) ? linear : linear >>> 0;
  }

  get isWaiting(): boolean {
    return this.#parts.isHalted();
  }

  registers(): Promise<DebugRegisters | undefined> {
    return this.#parts.frontend.debugRegisters?.() ??
      Promise.resolve(undefined);
  }

  translate(linear: number): number {
    return this.#parts.mmu.peek(linear);
  }

  setBreakpoints(addresses: ReadonlySet<number>): void {
    const { mmu, translator } = this.#parts;
    const cuts = this.#cuts;
    const forget = (code: number): void => this.#forget(code);
    const pages = cuts.set(addresses, forget);
    const isUsed = !cuts.isEmpty;
    translator.cuts = isUsed ? cuts : undefined;
    mmu.onFetch = isUsed
      ? (address, codePage) => cuts.fetched(address, codePage, forget)
      : undefined;
    for (const page of pages) mmu.flushPage(page);
  }

  /** Blocks with this byte of code are to end before it. */
  #forget(code: number): void {
    // A region that is running may come to it.
    if (this.#parts.cache.forget(code)) this.#parts.attention();
  }

  setWatches(ranges: readonly WatchedRange[]): void {
    const { mmu, mustRunAlone } = this.#parts;
    mmu.guard = ranges.length === 0
      ? undefined
      : new AccessGuard(ranges, mustRunAlone, () => this.pc);
  }

  arm(what: "run" | "step", holdsInterrupts = false): void {
    this.stop = undefined;
    const { pc } = this;
    this.#skip = this.#cuts.isWanted(pc) ? pc : NOWHERE;
    this.#isRepeated = false;
    this.#stepping = what === "step";
    this.#holdsInterrupts = holdsInterrupts;
    this.#stepped = false;
  }

  disarm(): void {
    this.stop = undefined;
    this.#stepping = false;
  }

  observeBlocks(observer: BlockObserver | undefined): void {
    this.#observer = observer;
    this.#parts.translator.isObserved = observer !== undefined;
    this.#parts.dropTranslations();
  }

  observeEvents(observer: EventObserver | undefined): boolean {
    const { frontend } = this.#parts;
    if (frontend.observeEvents === undefined) return false;
    frontend.observeEvents(observer);
    return true;
  }

  observeDevices(isObserved: boolean): void {
    const { dropTranslations, frontend, runOutwardAlone } = this.#parts;
    runOutwardAlone(isObserved);
    if (frontend.observePorts === undefined) return;
    frontend.observePorts(isObserved);
    dropTranslations();
  }

  /** A block, at the present program counter, is about to be executed: says whether somebody observes that. */
  enters(block: Block): boolean {
    const observer = this.#observer;
    if (observer === undefined) return false;
    let offsets = this.#offsets.get(block);
    if (
      offsets === undefined ||
      block.record === this.#parts.translator.singleBlock.record
    ) {
      offsets = this.#parts.translator.offsetsOf(block);
      this.#offsets.set(block, offsets);
    }
    this.#entered = {
      address: this.pc,
      physical: this.#parts.mmu.physicalOf(block.physical),
      bytes: block.byteLength,
      offsets,
    };
    observer.begins(this.#entered);
    return true;
  }

  /**
   * The block that was entered last is left before its end, so many
   * instructions from it; the state is that of the first of them, or of what
   * comes next if that one was executed nevertheless.
   */
  leaves(left: number): void {
    const block = this.#entered;
    if (this.#observer === undefined || block === undefined) return;
    const { address, offsets } = block;
    const at = address + offsets[offsets.length - left];
    this.#observer.leaves(this.pc === at ? left : left - 1);
  }

  /**
   * What the dispatcher is to do before it looks for the next block: nothing
   * special, ask again, or end the run.
   */
  turn(): CpuExit | "again" | undefined {
    const { frontend: f, mmu } = this.#parts;
    if (mmu.guard !== undefined && this.#tell()) {
      return this.#stop({ kind: "watch" });
    }
    if (this.#stepping) return this.#step();
    // (Where the slice ends, timers and what they lead to come first.)
    if (this.#cuts.isEmpty || !this.#parts.mayRun()) return undefined;
    const { pc } = this;
    if (pc === this.#skip) {
      return this.#isRepeated && f.interruptible()
        ? undefined
        : this.#goOver(pc);
    }
    this.#skip = NOWHERE;
    let isWanted = this.#cuts.isWanted(pc);
    if (!isWanted && !this.#isCut(pc)) return undefined;
    // An interrupt that is due comes first.
    const takes = !this.#hasEntered && f.isSingle?.() !== true;
    if (takes && f.interruptible()) return undefined;
    this.#hasEntered = false;
    if (isWanted && this.reached !== undefined && !this.reached(pc)) {
      isWanted = false;
      this.#skip = pc;
    }
    return isWanted ? this.#stop({ kind: "breakpoint" }) : this.#goOver(pc);
  }

  /** What the dispatcher is to do after an interrupt was taken: as for `turn`. */
  entered(): CpuExit | "again" | undefined {
    if (this.#parts.mmu.guard !== undefined && this.#tell()) {
      return this.#stop({ kind: "watch" });
    }
    if (this.#cuts.isEmpty) return undefined;
    const { pc } = this;
    this.#hasEntered = this.#cuts.isWanted(pc) || this.#isCut(pc);
    return this.#hasEntered ? "again" : undefined;
  }

  #stop(stop: CpuStop): CpuExit {
    this.stop = stop;
    this.#stepping = false;
    return "debug";
  }

  /** Whether a breakpoint of another linear address cuts the code here. */
  #isCut(pc: number): boolean {
    const { frontend, mmu } = this.#parts;
    const code = mmu.peekFetch(pc, frontend.fetchMmu());
    return code >= 0 && this.#cuts.has(code);
  }

  /** Tells of accesses; whether the guest is to stand still. */
  #tell(): boolean {
    const guard = this.#parts.mmu.guard as AccessGuard<WatchedRange>;
    let stands = false;
    for (const hit of guard.take()) {
      if (hit.range.hit(hit)) stands = true;
    }
    return stands;
  }

  /** Executes the instruction at a breakpoint. */
  #goOver(pc: number): CpuExit | "again" | undefined {
    const { frontend, runAlone, translator } = this.#parts;
    frontend.takeSingle();
    const reason = runAlone(false);
    if (reason < 0) return "shutdown";
    // A repeated instruction goes on; a loop of one instruction comes anew.
    this.#isRepeated = translator.elements > 0 && this.pc === pc &&
      pc === this.#skip;
    if (!this.#isRepeated && reason !== EXIT_BUDGET) this.#skip = NOWHERE;
    return this.#parts.halted() ?? "again";
  }

  #step(): CpuExit | "again" | undefined {
    const { counts, frontend: f, mayRun, runAlone, translator } = this.#parts;
    // What it did may end the turn (PAUSE), as it does without a debugger.
    if (this.#stepped && !this.#parts.isAskedToStop()) {
      return this.#stop({ kind: "step" });
    }
    if (this.#stepped || !mayRun()) return undefined;
    const { pc } = this;
    if (pc !== this.#amidst) this.#elements = 0;
    const takes = !f.takeSingle() && this.#elements === 0 &&
      !this.#holdsInterrupts;
    if (takes && f.interruptible()) {
      counts.interrupts++;
      this.#stepped = true;
      return f.interrupt() ? "again" : "shutdown";
    }
    // (Who only hears of it hears of a step as well.)
    if (this.#elements === 0 && this.#cuts.isWanted(pc)) this.reached?.(pc);
    const reason = runAlone(true);
    if (reason < 0) return "shutdown";
    this.#countElement(pc, reason, translator.elements);
    const exit = this.#parts.halted();
    if (exit !== undefined) {
      // It ends with the interrupt that wakes the CPU, taken or not.
      this.#stepped = this.#holdsInterrupts;
      return exit;
    }
    // (What halted and is woken at once has its interrupt to take.)
    this.#stepped = reason !== EXIT_BUDGET;
    return "again";
  }

  #countElement(pc: number, reason: number, most: number): void {
    const goesOn = most > 0 && this.pc === pc && reason !== EXIT_FAULT &&
      reason !== EXIT_TRAP;
    this.#elements = goesOn ? (this.#elements + 1) % most : 0;
    this.#amidst = pc;
    if (this.#elements > 0) this.#parts.uncount();
  }
}
