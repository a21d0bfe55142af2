/**
 * The contract between an ISA frontend (a CPU plugin) and the core that
 * executes what it translates. Nothing here knows an ISA.
 *
 * @module
 */

import type { DebugRegisters } from "../debug/contract.ts";
import type { Helper, IrBuilder } from "../ir/builder.ts";
import type { Global } from "../ir/types.ts";
import type { CpuInspector, PhysicalReader } from "./inspector.ts";

/** What an access wants to do with guest memory. */
export type Access = 0 | 1 | 2;
/** Read data. */
export const ACCESS_READ = 0;
/** Write data. */
export const ACCESS_WRITE = 1;
/** Fetch an instruction. */
export const ACCESS_EXECUTE = 2;

/** Permission bits of a {@linkcode PageWalk}. */
export const PERM_READ = 1;
/** Data may be written without another walk (for x86: dirty bit already set). */
export const PERM_WRITE = 2;
/** Instructions may be fetched. */
export const PERM_EXECUTE = 4;
/** The translation survives a flush of the non-global ones. */
export const PERM_GLOBAL = 8;

/**
 * Thrown by helpers (and by the MMU on their behalf) when the guest faults:
 * the frontend has recorded the exception in its state. One object, so that
 * throwing costs no stack trace.
 */
export const GUEST_FAULT: { readonly name: string } = { name: "GuestFault" };

/**
 * Thrown by the MMU out of a helper when its store would change the code that
 * is running: the engine runs the instruction again, alone. A helper treats it
 * like a fault at that store.
 */
export const GUEST_MODIFIED: { readonly name: string } = {
  name: "GuestModified",
};

/** Reasons for which translated code comes back to the dispatcher. */
export type ExitReason = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;
/** The budget is used up, or a stop was requested. */
export const EXIT_BUDGET = 0;
/** A link cell leads nowhere yet. */
export const EXIT_UNLINKED = 1;
/** An indirect jump missed the jump cache. */
export const EXIT_INDIRECT = 2;
/** A guest fault; the frontend holds the pending exception. */
export const EXIT_FAULT = 3;
/** A block reached its execution threshold. */
export const EXIT_HOT = 4;
/** A `trap` operation fired. */
export const EXIT_TRAP = 5;
/** A store is about to change the code that is running: run this instruction alone. */
export const EXIT_MODIFIED = 6;
/** The frontend asked to be looked up again (mode changed); the program counter is in the state. */
export const EXIT_LOOKUP = 7;
/** The guest halted; the program counter is in the state. */
export const EXIT_HALT = 8;
/** A region wants a permission for an access without paging, near the address at `OFF_TARGET`. */
export const EXIT_FORBIDDEN = 9;

/** The engine as a frontend's helpers see it. */
export interface CpuEngine {
  /** Byte offset of the CPU's state in the shared memory. */
  readonly base: number;
  /** The shared memory, as bytes. */
  readonly u8: Uint8Array;
  /** The shared memory, as 16-bit units. */
  readonly u16: Uint16Array;
  /** The shared memory, as signed words. */
  readonly i32: Int32Array;
  /** The shared memory, as doubles. */
  readonly f64: Float64Array;
  /** Guest memory through the TLBs; throws {@linkcode GUEST_FAULT} after the frontend recorded the fault. */
  readonly mmu: Mmu;
  /** Instructions executed since reset. */
  readonly instructions: number;
  /** Makes running code return to the dispatcher at the next block boundary, where events are looked at. */
  attention(): void;
  /**
   * For `Frontend.deliver`: the CPU waits for an event where it is, as after
   * {@linkcode EXIT_HALT}.
   */
  halt(): void;
  /**
   * Ends the wait of a CPU that is not running: it goes on at the program
   * counter that the frontend has written into the state.
   */
  resume(): void;
  /** Ends the present `run` at the next block boundary: another CPU may have its turn. */
  requestStop(): void;
  /**
   * Whether an instruction that is about to reach a device is to fault instead
   * (throw `GUEST_FAULT` and record nothing), as it will be begun again alone.
   */
  defers(): boolean;
  /** Tells the engine that the frontend's `key()` has changed. */
  keyChanged(): void;
}

/**
 * Guest memory as helpers use it. Addresses are linear (virtual): unsigned or
 * signed 32-bit ones or, while they are wide (`setWide`), the signed numbers
 * from -2^47 to 2^47 - 1 that canonical addresses of 48 bits are. Values are
 * unsigned.
 */
export interface Mmu {
  /** Reads a byte through TLB `mmu`. */
  read8(address: number, mmu: number): number;
  /** Reads 16 bits. */
  read16(address: number, mmu: number): number;
  /** Reads 32 bits, signed. */
  read32(address: number, mmu: number): number;
  /** Reads 64 bits, as one access: low and high half. */
  read64(address: number, to: Int32Array, mmu: number): void;
  /** Writes a byte. */
  write8(address: number, value: number, mmu: number): void;
  /** Writes 16 bits. */
  write16(address: number, value: number, mmu: number): void;
  /** Writes 32 bits. */
  write32(address: number, value: number, mmu: number): void;
  /** Writes 64 bits, as one access: low and high half. */
  write64(address: number, from: Int32Array, mmu: number): void;
  /**
   * Makes sure that `size` bytes can be read (or written) without a fault, or
   * faults; for helpers that must not fault halfway.
   */
  probe(address: number, size: number, access: Access, mmu: number): void;
  /**
   * Host offset of a guest address when its page is plain memory that may be
   * accessed directly (for writing: no code in it, dirty), else -1. Never
   * faults: walks if needed, but answers -1 when the walk fails.
   */
  direct(address: number, access: Access, mmu: number): number;
  /**
   * As `direct` for a store of `length` bytes on one page that will follow:
   * what was translated from them is forgotten, unless they are already what
   * stands at host offset `from` (if that is not -1). Throws `GUEST_MODIFIED`
   * if that hits the block that is running.
   */
  directStore(
    address: number,
    length: number,
    mmu: number,
    from: number,
  ): number;
  /** Reads physical memory, 32 bits signed (page tables). */
  readPhysical32(physical: number): number;
  /** Writes physical memory, 32 bits (page tables' accessed and dirty bits). */
  writePhysical32(physical: number, value: number): void;
  /** Forgets all translations, or all but the global ones. */
  flush(keepGlobal: boolean): void;
  /** Forgets the translation of one page. */
  flushPage(address: number): void;
  /**
   * Forgets what is known of the 4 KiB page of an address, but not of the rest
   * of a large one: cheap where nothing is known.
   */
  forgetPage(address: number): void;
  /**
   * For a page walk: its result is one that holds for the supervisor (TLB 0)
   * only until {@linkcode Mmu.endConditional}.
   */
  noteConditional(address: number): void;
  /** The condition under which such translations hold has ended. */
  endConditional(): void;
  /** It begins again, and nothing else has changed. Says whether there is anything that it has to end for. */
  beginConditional(): boolean;
  /**
   * Linear addresses are wider than 32 bits from now on (x86: IA-32e mode), or
   * are not any more: see {@linkcode Mmu}. Forgets all translations.
   */
  setWide(wide: boolean): void;
  /** The physical address mask changed (x86: the A20 gate). */
  setPhysicalMask(mask: number): void;
}

/** The outcome of a page walk, filled in by {@linkcode Frontend.walk}. */
export interface PageWalk {
  /** Physical address of the 4 KiB page (may exceed 32 bits). */
  physical: number;
  /** `PERM_*` bits that the TLB may grant this MMU index without asking again. */
  permissions: number;
  /** The page is larger than 4 KiB, up to 4 MiB: forgetting any part of it forgets all of it. */
  large?: boolean;
  /** The page has 1 GiB. */
  huge?: boolean;
}

/** What a frontend translates from. */
export interface TranslateContext {
  /** Where the IR goes. `builder.start` has been called. */
  builder: IrBuilder;
  /** Bytes that hold the guest code. */
  code: Uint8Array;
  /** Index in `code` of the block's first byte. */
  start: number;
  /** Index past the last byte that may be used without {@linkcode TranslateContext.cross}. */
  limit: number;
  /**
   * Low half of the block's program counter. In relocatable modes less the word
   * at `OFF_PC_BASE`, like all the program counters that the frontend gives to
   * the builder; what the guest sees is the sum.
   */
  pcLo: number;
  /** High half. */
  pcHi: number;
  /** The frontend's static mode key. */
  key: number;
  /** Guest instructions to translate at most (at least 1). */
  maxInsns: number;
  /**
   * What is known at the block's start beyond the key, as all its predecessors
   * gave it in `exitFacts`; -1 when nothing is (x86: the lazy flags' operation).
   */
  entryFacts: number;
  /** Set by the frontend: what is known at the block's end, or -1. */
  exitFacts: number;
  /** Set by the frontend when better entry facts would have made better IR. */
  wantsFacts: boolean;
  /** The IR is to be compiled with its neighbours: facts that agree with theirs are worth an operation. */
  compiled: boolean;
  /** A debugger steps: a repeated instruction (x86: REP MOVS) is to do one element and, unless that was the last, jump to itself. */
  stepping: boolean;
  /** Set by the frontend: how many elements one execution of a repeated instruction in the block does at most if nobody steps; 0: there is none. */
  elements: number;
  /**
   * For a word of four bytes at `code[at]` that is part of an instruction, but
   * only as a value (x86: a 32-bit immediate or displacement). A host offset:
   * the program writes that word often, and the IR is to read it from there
   * (`IrBuilder.code32`) whenever the block runs. -1: it is a constant. A
   * frontend need not ask.
   */
  mutableWord(at: number): number;
  /**
   * Called when the block's *first* instruction runs past `limit`: replaces
   * `code`, `start` and `limit` by a copy that goes on with the next page.
   * Throws {@linkcode GUEST_FAULT} if that page faults (raised at the fetch).
   */
  cross(): void;
}

/** Is told what a CPU delivers. */
export interface EventObserver {
  /**
   * An exception is about to be delivered, at the program counter in the
   * state, or (`next`) an instruction that raises one as a trap has done so and
   * its handler returns to that linear address. `error` is its error code, if
   * it pushes one; `address` the linear address that could not be accessed, if
   * the CPU tells it.
   */
  exception(
    vector: number,
    error: number | undefined,
    address: number | undefined,
    next?: number,
  ): void;
  /** An interrupt from outside is taken, before the instruction at the program counter in the state. */
  interrupt(vector: number): void;
  /** An instruction has called a handler (x86: INT n), which returns to the linear address `next`. */
  software(vector: number, next: number): void;
}

/** An ISA. */
export interface Frontend {
  /** Name of the ISA. */
  readonly name: string;
  /** Globals, in index order. Offsets below 0x100 belong to the engine, and the state ends below 0x1000. */
  readonly globals: readonly Global[];
  /** Helpers, in index order. */
  readonly helpers: readonly Helper[];
  /** The page walk's result. */
  readonly pageWalk: PageWalk;
  /** Gives the frontend its engine; called once. */
  attach(engine: CpuEngine): void;
  /** Power-on or hardware reset. */
  reset(): void;
  /** What a CPU does that others tell to start again, where that is less than `reset` (x86: INIT). */
  init?(): void;
  /** Low half of the current program counter. */
  pcLo(): number;
  /** High half (x86 below 64-bit mode: the base of the code segment). */
  pcHi(): number;
  /** Writes the program counter into the state. */
  setPc(lo: number, hi: number): void;
  /** The static mode key: everything beside the program counter that translation depends on. */
  key(): number;
  /**
   * Whether a translation of code of this mode may serve at other program
   * counters: the frontend adds the word at `OFF_PC_BASE` (a global that it
   * declares there) to each that the guest sees, and neither a program counter's
   * high half nor its wrapping around matters.
   */
  relocatable(key: number): boolean;
  /**
   * Whether all accesses of this mode's code are to physical addresses below
   * 4 GiB that may be read and written if the bus lets them.
   */
  flat(key: number): boolean;
  /**
   * The linear address of a program counter: the sum of its halves, modulo
   * 2^32; in a wide mode the signed number that the two halves are.
   */
  linear(lo: number, hi: number): number;
  /**
   * Whether code of this mode has addresses of 64 bits: the IR of its accesses
   * and computed jumps, and program counters. Its linear addresses are wide.
   */
  wide(key: number): boolean;
  /** The MMU index of instruction fetch in the present mode. */
  fetchMmu(): number;
  /** Translates one block. At a guest fault on fetch of the first instruction throws {@linkcode GUEST_FAULT}. */
  translate(context: TranslateContext): void;
  /**
   * Whether no operand goes on at `address`, the start of a page, as seen from
   * the page before (x86: the end of 4 GiB, or of the canonical addresses).
   */
  isEnd?(address: number): boolean;
  /**
   * A load or store across such an end has faulted: that it does so is to be
   * known before what its pages say. Records another fault, if need be.
   */
  recordEnd?(isStore: boolean): void;
  /** Makes the state that of the start of an instruction: its program counter and auxiliary word of `insn`. */
  restore(pcLo: number, pcHi: number, aux: number): void;
  /** Records the exception of a fired `trap`. The state has been restored. */
  trap(code: number): void;
  /**
   * Delivers the recorded exception: the state has been restored to the
   * faulting instruction. Returns false when the CPU shuts down (x86: triple fault).
   */
  deliver(): boolean;
  /** Whether an interrupt can be taken now; called at block boundaries with the program counter in the state. */
  interruptible(): boolean;
  /** Takes the pending interrupt. Returns false when the CPU shuts down. */
  interrupt(): boolean;
  /** Whether an event (interrupt, NMI) would wake a halted CPU now. */
  wakes(): boolean;
  /** Whether a halted CPU can be woken by the maskable interrupt at all (x86: IF is set). */
  wakeable(): boolean;
  /** The level of the maskable interrupt line. */
  setIrq(level: boolean): void;
  /** An edge on the non-maskable interrupt line. */
  nmi(): void;
  /** The level of another input line, by name (x86: `a20`). */
  setInput(name: string, level: boolean): void;
  /** Sets registers by name, after `reset`: how a loader starts the CPU. */
  enter(state: Readonly<Record<string, number>>): void;
  /** Whether the next block must be a single instruction (interrupt shadow); clears the condition. */
  takeSingle(): boolean;
  /** The same without clearing it: for debuggers. */
  isSingle?(): boolean;
  /** The registers for debuggers, loaded when one asks. */
  debugRegisters?(): Promise<DebugRegisters>;
  /** Tells somebody of exceptions and interrupts from now on; nobody when it is undefined. */
  observeEvents?(observer: EventObserver | undefined): void;
  /**
   * Whether an instruction that accesses a port asks `CpuEngine.defers` before: what
   * was translated is forgotten then.
   */
  observePorts?(isObserved: boolean): void;
  /** Walks the page tables; on success fills `pageWalk`; on failure records the fault and returns false. `probe`: record nothing, change nothing. */
  walk(address: number, access: Access, mmu: number, probe: boolean): boolean;
  /** Translations were forgotten, of one page or of all: what the frontend remembers of the page tables must go as well. */
  forgetTables?(): void;
  /** A short description of where the CPU stands, for messages. */
  describe(): string;
  /** For people who look at the CPU; see `CpuCore.inspect`. */
  inspect?(memory: PhysicalReader): Promise<CpuInspector>;
  /** The registers for the state record. */
  save(): Record<string, unknown>;
  /** The reverse of `save`. */
  load(record: Record<string, unknown>): void;
}
