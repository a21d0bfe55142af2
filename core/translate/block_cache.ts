/**
 * The block cache: every translated block, where its record, bytecode and link
 * cells stand in the arena, and what invalidates it.
 *
 * A block is known by its physical address, its program counter (which its IR
 * has built in) and its static mode key. Control reaches it through its
 * *record*, a few words in the arena; a link cell or a jump cache entry holds
 * the record's address. To forget a block is to have its record lead nowhere:
 * whoever is linked to it comes back to the dispatcher, so nobody has to
 * remember who links to whom. Arena space is only taken back all at once, when
 * the arena is full.
 *
 * @module
 */

import {
  CELL_BLOCK,
  CELL_BYTES,
  CELL_PC_HI,
  CELL_PC_LO,
  CELL_RECORD,
  INDEX_BYTES,
  PROFILE_BYTES,
  PROFILE_TARGETS,
  REC_BLOCK,
  REC_BYTECODE,
  REC_COUNT,
  REC_INSNS,
  REC_KEY,
  REC_NEXT,
  REC_PC_HI,
  REC_PC_LO,
  REC_PHYSICAL,
  REC_SELF,
  REC_TABLE,
  RECORD_BYTES,
  runningTag,
  TABLE_FAR,
  TABLE_FAR_WIDE,
  TABLE_INTERPRETER,
  TABLE_UNLINKED,
} from "../exec/layout.ts";
import { indexHash } from "../exec/jump_cache.ts";
import { CodePages } from "./code_pages.ts";

/** Bytes of a word that is only a value. */
const WORD = 4;
const NO_WORDS: number[] = [];
/** The regions of a block that is in none: most are. */
const NO_REGIONS: Region[] = [];

/** A translated block. */
export class Block {
  /** Its number: its index in the cache. */
  id = 0;
  /** Physical address of its first byte. */
  physical = 0;
  /** Bytes of guest code. */
  byteLength = 0;
  /** Physical address of the second page, for a block across two; else -1. */
  secondPage = -1;
  /** Low half of the program counter; the physical address if the code is relocatable. */
  pcLo = 0;
  /** High half of the program counter. */
  pcHi = 0;
  /** The linear address at which it was first translated: for observers. */
  address = 0;
  /** Static mode key. */
  key = 0;
  /** Guest instructions. */
  insns = 0;
  /** Offset of its record. */
  record = 0;
  /** Offset of its bytecode. */
  bytecode = 0;
  /** Offset of its instruction table (3 words an instruction), after the bytecode. */
  insnTable = 0;
  /** Offset of what its bytecode and the like may take if it is replaced. */
  room = 0;
  /** The end of that. */
  end = 0;
  /** Offset of its two link cells. */
  cells = 0;
  /** Offset of the targets that its computed jump had of late; 0 if it does not end with one. */
  profile = 0;
  /** How it ends: `IrBlock.term`. */
  term = 0;
  /** What its jump is to the program: `IrBlock.flow`. */
  flow = 0;
  /** False after its bytes were changed. */
  valid = true;
  /** The region that starts with it, or undefined. */
  region: Region | undefined = undefined;
  /** Regions that contain it, as often as they do. */
  regions: Region[] = NO_REGIONS;
  /** The next block that starts in the same granule: see `CodePages`. */
  nextNear: Block | undefined = undefined;
  /** The next block across two pages at the same physical address. */
  next: Block | undefined = undefined;
  /** How regions that start with it look accesses up (`region_accesses.ts`). */
  lookups: 0 | 1 | 2 = 0;
  /** Executions that were asked of it beyond the threshold (`BlockCache.wait`). */
  waited = 0;
  /** Guest instructions that were executed when it was last asked for executions. */
  asked = 0;
  /** How many regions that started with it have died. */
  deaths = 0;
  /** How often it, or what stood in its place before, was forgotten. */
  kills = 0;

  /** Whether a program counter, relative as `pcLo` is, stands on the block's page, which is its only one. */
  isNear(lo: number, hi: number): boolean {
    // The page offset is that of the physical address, whatever the segment's
    // base is: the same distance lies between the addresses.
    const at = (this.physical % PAGE) + ((lo - this.pcLo) | 0);
    return at >= 0 && at < PAGE && (hi | 0) === (this.pcHi | 0) &&
      this.secondPage < 0;
  }
  /** Of a block with a copy: where words stand in it that are nothing but values. */
  words: number[] = NO_WORDS;
  /** Those of them that it reads when it runs: stores to them change nothing. */
  mutable: number[] = NO_WORDS;
  /** Offset of a copy of its bytes as they were translated; 0 if there is none. */
  copy = 0;
}

/** Several blocks compiled into one function. */
export interface Region {
  /** Number, from 1. */
  readonly id: number;
  /** Its blocks; the first is the entry. */
  readonly blocks: readonly Block[];
  /** Bytes of its function's WebAssembly. */
  readonly codeBytes: number;
  /** Index of its function in the table. */
  readonly tableIndex: number;
  /** How it looks accesses up. */
  readonly lookups: 0 | 1 | 2;
  /** For each fault index: index in `blocks`, instruction's index in that block, program counter less `OFF_PC_BASE` at the region's entry, auxiliary word. */
  readonly faults: Int32Array;
  /** False after one of its blocks was invalidated. */
  valid: boolean;
}

const PAGE = 4096;
/** Versions of the code at one address that are kept for when they come back. */
const MAX_VERSIONS = 4;
const NO_VERSIONS: Block[] = [];

/** {@linkcode BlockCache.invalidate}: blocks were forgotten. */
export const HIT_BLOCK = 1;
/** {@linkcode BlockCache.invalidate}: regions were, one of which may be running. */
export const HIT_REGION = 2;
/** {@linkcode BlockCache.invalidate}: the block that is running was. */
export const HIT_RUNNING = 4;

/** Whether the bytes from `start` to `end` belong to one word that a block reads when it runs. */
function isValue(b: Block, start: number, end: number): boolean {
  for (const w of b.mutable) {
    const at = b.physical + w;
    if (start >= at && end <= at + WORD) return true;
  }
  return false;
}

/** Takes one element out of a short array. */
function dropFrom(blocks: Block[], i: number): void {
  for (; i + 1 < blocks.length; i++) blocks[i] = blocks[i + 1];
  blocks.pop();
}

/** The arena is full: flush and translate again. */
export class ArenaFull extends Error {}

/** All translated blocks of one CPU. */
export class BlockCache {
  /** Blocks made since the machine started. */
  translated = 0;
  /** Blocks forgotten because their bytes were written. */
  invalidated = 0;
  /** Blocks that were forgotten and came back with their bytes. */
  revived = 0;
  /** Times that the whole arena was flushed. */
  flushes = 0;
  /** Offset of the record that leads to no block: to enter it is `EXIT_UNLINKED`. */
  readonly unlinked: number;
  /** Offset of the record that makes a link cell a lookup of its program counter. */
  readonly far: number;
  /** The same where program counters have 64 bits. */
  readonly farWide: number;

  readonly #i32: Int32Array;
  readonly #u8: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  #next: number;
  #blocks: Block[] = [];
  /** The blocks across two pages, which the block index does not hold. */
  readonly #across = new Map<number, Block>();
  readonly #pages: CodePages;
  /** What `invalidate` found. */
  readonly #touched: Block[] = [];
  /**
   * By physical address: blocks that were forgotten, newest last. A program
   * that writes code often writes what stood there before (a kernel that
   * switches a feature on and off, code that is generated again).
   */
  #versions = new Map<number, Block[]>();
  /** The oldest version, whose number, record and place the next block takes. */
  #spare: Block | undefined;
  /** What is left of its room. */
  #spareNext = 0;
  readonly #onRegionDead: (region: Region) => void;

  /**
   * A cache whose arena is `bytes` from offset `start` of the shared memory;
   * the masks of its code pages stand at offset `masks`.
   */
  constructor(
    i32: Int32Array,
    start: number,
    bytes: number,
    masks: number,
    onRegionDead: (region: Region) => void,
  ) {
    this.#i32 = i32;
    this.#u8 = new Uint8Array(i32.buffer);
    this.#pages = new CodePages(i32, masks);
    this.#start = start;
    this.#end = start + bytes;
    this.#onRegionDead = onRegionDead;
    this.unlinked = start + INDEX_BYTES;
    this.far = this.unlinked + RECORD_BYTES;
    this.farWide = this.far + RECORD_BYTES;
    this.#next = 0;
    this.#init();
  }

  #init(): void {
    const i32 = this.#i32;
    this.#next = this.#start + INDEX_BYTES + 3 * RECORD_BYTES;
    i32.fill(0, this.#start >> 2, this.#next >> 2);
    i32[(this.unlinked + REC_TABLE) >> 2] = TABLE_UNLINKED;
    i32[(this.far + REC_TABLE) >> 2] = TABLE_FAR;
    i32[(this.farWide + REC_TABLE) >> 2] = TABLE_FAR_WIDE;
  }

  /** Bytes of the arena in use. */
  get used(): number {
    return this.#next - this.#start;
  }

  /** Blocks in the cache, valid or not, since the last flush. */
  get size(): number {
    return this.#blocks.length;
  }

  /** Forgets everything. Must not be called while translated code runs. */
  flush(): void {
    this.flushes++;
    const dead = new Set<Region>();
    for (const b of this.#blocks) {
      if (b.region !== undefined) dead.add(b.region);
    }
    for (const region of dead) {
      region.valid = false;
      this.#onRegionDead(region);
    }
    this.#blocks = [];
    this.#across.clear();
    this.#pages.clear();
    this.#versions.clear();
    this.#spare = undefined;
    this.#init();
  }

  /** The block with this number. */
  block(id: number): Block {
    return this.#blocks[id];
  }

  /** The valid block at a physical address with this program counter and key. */
  find(
    physical: number,
    pcLo: number,
    pcHi: number,
    key: number,
  ): Block | undefined {
    const i32 = this.#i32;
    let r = i32[this.#bucket(physical, pcLo, key)];
    while (r !== 0) {
      const w = r >> 2;
      if (
        i32[w + (REC_PHYSICAL >> 2)] === (physical | 0) &&
        i32[w + (REC_PC_LO >> 2)] === (pcLo | 0) &&
        i32[w + (REC_PC_HI >> 2)] === (pcHi | 0) &&
        i32[w + (REC_KEY >> 2)] === (key | 0)
      ) return this.#blocks[i32[w + (REC_BLOCK >> 2)]];
      r = i32[w + (REC_NEXT >> 2)];
    }
    let b = this.#across.get(physical);
    while (
      b !== undefined && (b.pcLo !== pcLo || b.key !== key || b.pcHi !== pcHi)
    ) b = b.next;
    return b;
  }

  /** Takes `bytes` of the arena, 16-byte aligned; throws {@linkcode ArenaFull}. */
  alloc(bytes: number): number {
    if (this.#spare !== undefined) {
      const at = (this.#spareNext + 15) & ~15;
      if (at + bytes <= this.#spare.end) {
        this.#spareNext = at + bytes;
        return at;
      }
    }
    const at = (this.#next + 15) & ~15;
    if (at + bytes > this.#end) throw new ArenaFull();
    this.#next = at + bytes;
    return at;
  }

  /** Makes a link cell lead nowhere, to a program counter. */
  initCell(cell: number, pcLo: number, pcHi: number, owner: number): void {
    const i32 = this.#i32;
    i32[(cell + CELL_RECORD) >> 2] = this.unlinked;
    i32[(cell + CELL_PC_LO) >> 2] = pcLo;
    i32[(cell + CELL_PC_HI) >> 2] = pcHi;
    i32[(cell + CELL_BLOCK) >> 2] = owner;
  }

  /** Takes the record and the two link cells for a block that is about to be lowered. */
  reserve(block: Block): void {
    // What leads to the record of another version may lead to this one, unless
    // this one depends on a second page.
    if (block.secondPage >= 0) this.#spare = undefined;
    const spare = this.#spare;
    if (spare !== undefined) this.#spareNext = spare.room;
    block.record = spare?.record ?? this.alloc(RECORD_BYTES + 2 * CELL_BYTES);
    block.cells = block.record + RECORD_BYTES;
    block.room = spare?.room ?? block.cells + 2 * CELL_BYTES;
  }

  /** Takes the profile of a block that ends with a computed jump. */
  reserveProfile(block: Block): void {
    block.profile = this.alloc(PROFILE_BYTES);
    const at = block.profile >> 2;
    this.#i32.fill(0, at, at + PROFILE_TARGETS);
  }

  /** Stores a block's bytecode and instruction table, and fills its record. `threshold` executions make it hot. */
  store(
    block: Block,
    words: Int32Array,
    length: number,
    table: Int32Array,
    insns: number,
    threshold: number,
  ): void {
    const i32 = this.#i32;
    let bytes = (length + 3 * insns) * 4;
    const spare = this.#spare;
    const fits = spare !== undefined &&
      ((this.#spareNext + 15) & ~15) + bytes <= spare.end;
    // A little more for a block that is going to be replaced.
    if (block.copy !== 0 && !fits) bytes += bytes >> 2;
    const at = this.alloc(bytes);
    if (spare !== undefined && !fits) block.room = at;
    block.end = fits ? spare.end : at + bytes;
    block.bytecode = at;
    block.insnTable = at + length * 4;
    block.insns = insns;
    // Some forty words and ten: `set` of a subarray takes longer.
    for (let i = 0, to = at >> 2; i < length; i++) i32[to + i] = words[i];
    const to = block.insnTable >> 2;
    for (let i = 0; i < 3 * insns; i++) i32[to + i] = table[i];
    this.#fillRecord(block, threshold);
  }

  #fillRecord(block: Block, threshold: number): void {
    const i32 = this.#i32;
    block.waited = 0;
    const r = block.record >> 2;
    i32[r + (REC_BYTECODE >> 2)] = block.bytecode;
    i32[r + (REC_TABLE >> 2)] = TABLE_INTERPRETER;
    i32[r + (REC_COUNT >> 2)] = threshold;
    i32[r + (REC_INSNS >> 2)] = block.insns;
    i32[r + (REC_PC_LO >> 2)] = block.pcLo;
    i32[r + (REC_PC_HI >> 2)] = block.pcHi;
    i32[r + (REC_BLOCK >> 2)] = block.id;
    i32[r + (REC_SELF >> 2)] = block.record;
  }

  /**
   * Enters a stored block into the cache. Returns the pages that hold code from
   * now on and did not before: only until the next block is entered.
   */
  insert(block: Block): readonly number[] {
    this.translated++;
    block.id = this.#spare?.id ?? this.#blocks.length;
    this.#i32[(block.record + REC_BLOCK) >> 2] = block.id;
    this.#i32[(block.cells + CELL_BLOCK) >> 2] = block.id;
    this.#i32[(block.cells + CELL_BYTES + CELL_BLOCK) >> 2] = block.id;
    this.#blocks[block.id] = block;
    this.#spare = undefined;
    return this.#enter(block);
  }

  #enter(block: Block): readonly number[] {
    if (block.secondPage < 0) this.#enterIndex(block);
    else {
      // Not to be found by its first page alone (`emitLookupFunction`): the
      // offset in the page is not that of its program counter.
      const at = (block.record + REC_PHYSICAL) >> 2;
      this.#i32[at] = block.physical ^ 1;
      block.next = this.#across.get(block.physical);
      this.#across.set(block.physical, block);
    }
    return this.#pages.add(block);
  }

  /** Whether stores to a physical page have to be looked at, because it holds translated code. */
  hasCode(page: number): boolean {
    return this.#pages.has(page);
  }

  /**
   * Forgets the blocks made from any of these bytes; `running` is the
   * `runningTag` of the block that writes them, 0 if that is not known. Returns
   * `HIT_*` bits.
   */
  invalidate(physical: number, length: number, running = 0): number {
    let hit = 0;
    const end = physical + length;
    for (let start = physical; start < end;) {
      const next = Math.min(start - start % PAGE + PAGE, end);
      const n = this.#pages.touched(start, next, this.#touched);
      for (let i = 0; i < n; i++) {
        const b = this.#touched[i];
        // Both pages of a block may be the same one.
        if (!b.valid) continue;
        if (b.mutable.length > 0 && isValue(b, physical, end)) continue;
        hit |= HIT_BLOCK;
        if (b.regions.length > 0) hit |= HIT_REGION;
        if (running === 0 || runningTag(b.id) === running) hit |= HIT_RUNNING;
        this.#kill(b);
      }
      start = next;
    }
    return hit;
  }

  /**
   * Forgets the blocks made from the byte at a physical address, though it is
   * not written: they are to be translated in another way. Says whether there
   * were any.
   */
  forget(physical: number): boolean {
    const n = this.#pages.touched(physical, physical + 1, this.#touched);
    for (let i = 0; i < n; i++) this.#kill(this.#touched[i], false);
    return n > 0;
  }

  /** Whether a block that starts at this physical address was forgotten: its code may come back. */
  wasForgotten(physical: number): boolean {
    return this.#versions.has(physical);
  }

  /** After `takeVersion` found none: words that the block had better read when it runs. */
  readonly mutable: number[] = [];

  /**
   * A forgotten block for a program counter and key whose bytes are again what
   * they were, the code standing at `host` of the shared memory. It is no
   * longer known as forgotten: `revive` has to follow. If there is none, but
   * one that differs in nothing but values, `mutable` says in which. The block
   * that is made now takes the place of the oldest one: a program that makes
   * code for ever does not fill the arena.
   */
  takeVersion(
    physical: number,
    host: number,
    pcLo: number,
    pcHi: number,
    key: number,
  ): Block | undefined {
    if (this.mutable.length > 0) this.mutable.length = 0;
    this.#spare = undefined;
    const versions = this.#versions.get(physical);
    if (versions === undefined) return undefined;
    for (let i = versions.length - 1; i >= 0; i--) {
      const b = versions[i];
      if (b.pcLo !== pcLo || b.key !== key || b.pcHi !== pcHi) continue;
      if (!this.#sameInstructions(b, host)) continue;
      dropFrom(versions, i);
      if (this.mutable.length === b.mutable.length) return b;
      // A better one will stand for it.
      this.#spare = b;
      return undefined;
    }
    this.mutable.length = 0;
    if (versions.length < MAX_VERSIONS) return undefined;
    const oldest = versions[0];
    if (
      oldest.pcLo === pcLo && oldest.key === key && oldest.pcHi === pcHi
    ) {
      this.#spare = oldest;
      dropFrom(versions, 0);
    }
    return undefined;
  }

  /**
   * Whether a block's instructions stand at `host`, but for some values:
   * `mutable` then has those that differ and those that it reads anyway.
   */
  #sameInstructions(b: Block, host: number): boolean {
    const u8 = this.#u8;
    const { copy, words, mutable } = b;
    this.mutable.length = 0;
    let w = 0;
    for (let i = 0; i < b.byteLength;) {
      if (w < words.length && words[w] === i) {
        let same = !mutable.includes(i);
        const end = i + WORD;
        for (; i < end; i++) {
          if (u8[copy + i] !== u8[host + i]) same = false;
        }
        if (!same) this.mutable.push(words[w]);
        w++;
      } else {
        if (u8[copy + i] !== u8[host + i]) return false;
        i++;
      }
    }
    return true;
  }

  /** Enters a forgotten block again: as `insert`. `threshold` executions make it hot. */
  revive(b: Block, threshold: number): readonly number[] {
    this.revived++;
    b.valid = true;
    b.waited = 0;
    const r = b.record >> 2;
    this.#i32[r + (REC_BYTECODE >> 2)] = b.bytecode;
    this.#i32[r + (REC_TABLE >> 2)] = TABLE_INTERPRETER;
    this.#i32[r + (REC_COUNT >> 2)] = threshold;
    return this.#enter(b);
  }

  /** Copies the bytes that a block was made from, so that it can come back. */
  keepCopy(b: Block, host: number): void {
    b.copy = this.alloc(b.byteLength);
    this.#u8.copyWithin(b.copy, host, host + b.byteLength);
    const versions = this.#versions.get(b.physical);
    const last = versions?.at(-1);
    b.kills = last === undefined ? 1 : last.kills;
  }

  #keepVersion(b: Block): void {
    let versions = this.#versions.get(b.physical);
    if (b.copy === 0) {
      if (versions === undefined) this.#versions.set(b.physical, NO_VERSIONS);
      return;
    }
    if (versions === undefined || versions === NO_VERSIONS) {
      this.#versions.set(b.physical, versions = []);
    }
    if (versions.length === MAX_VERSIONS) dropFrom(versions, 0);
    versions.push(b);
  }

  /** Word index of a bucket of the block index. */
  #bucket(physical: number, pcLo: number, key: number): number {
    return (this.#start + indexHash(physical, pcLo, key)) >> 2;
  }

  #enterIndex(b: Block): void {
    const i32 = this.#i32;
    const bucket = this.#bucket(b.physical, b.pcLo, b.key);
    const r = b.record >> 2;
    i32[r + (REC_PHYSICAL >> 2)] = b.physical;
    i32[r + (REC_KEY >> 2)] = b.key;
    i32[r + (REC_NEXT >> 2)] = i32[bucket];
    i32[bucket] = b.record;
  }

  #leaveAcross(b: Block): void {
    const head = this.#across.get(b.physical);
    if (head !== b) {
      let p = head;
      while (p !== undefined && p.next !== b) p = p.next;
      if (p !== undefined) p.next = b.next;
    } else if (b.next !== undefined) this.#across.set(b.physical, b.next);
    else this.#across.delete(b.physical);
  }

  #leaveIndex(b: Block): void {
    const i32 = this.#i32;
    let at = this.#bucket(b.physical, b.pcLo, b.key);
    while (i32[at] !== b.record) at = (i32[at] + REC_NEXT) >> 2;
    i32[at] = i32[(b.record + REC_NEXT) >> 2];
  }

  #kill(b: Block, isWritten = true): void {
    b.valid = false;
    this.#pages.remove(b);
    if (isWritten) {
      this.invalidated++;
      b.kills++;
      if (b.secondPage < 0) this.#keepVersion(b);
    }
    const r = b.record >> 2;
    this.#i32[r + (REC_BYTECODE >> 2)] = 0;
    this.#i32[r + (REC_TABLE >> 2)] = TABLE_UNLINKED;
    if (b.secondPage < 0) this.#leaveIndex(b);
    else this.#leaveAcross(b);
    if (b.regions.length > 0) {
      for (const region of [...b.regions]) this.killRegion(region);
    }
  }

  /** Makes a region's entry go back to the interpreter. */
  killRegion(region: Region): void {
    if (!region.valid) return;
    region.valid = false;
    for (const b of region.blocks) {
      const i = b.regions.indexOf(region);
      if (i >= 0) b.regions.splice(i, 1);
    }
    const entry = region.blocks[0];
    if (entry.region === region) {
      entry.region = undefined;
      if (entry.valid) {
        const r = entry.record >> 2;
        this.#i32[r + (REC_BYTECODE >> 2)] = entry.bytecode;
        this.#i32[r + (REC_TABLE >> 2)] = TABLE_INTERPRETER;
      }
    }
    this.#onRegionDead(region);
  }

  /** Makes a region what its entry block's record leads to. */
  installRegion(region: Region): void {
    const entry = region.blocks[0];
    entry.region = region;
    for (const b of region.blocks) {
      if (b.regions === NO_REGIONS) b.regions = [region];
      else b.regions.push(region);
    }
    const r = entry.record >> 2;
    this.#i32[r + (REC_BYTECODE >> 2)] = 0;
    this.#i32[r + (REC_TABLE >> 2)] = region.tableIndex;
  }

  /**
   * Makes a region's entry a block that the interpreter runs, `executions` from
   * being hot. Gives what the region had left, for `resumeRegion`.
   */
  suspendRegion(region: Region, executions: number): number {
    const entry = region.blocks[0];
    const r = entry.record >> 2;
    const left = this.#i32[r + (REC_COUNT >> 2)];
    this.#i32[r + (REC_BYTECODE >> 2)] = entry.bytecode;
    this.#i32[r + (REC_TABLE >> 2)] = TABLE_INTERPRETER;
    this.setCount(entry, executions);
    return left;
  }

  /** Makes its entry lead to a region again, unless that has died. */
  resumeRegion(region: Region, left: number): void {
    if (!region.valid) return;
    const entry = region.blocks[0];
    const r = entry.record >> 2;
    this.#i32[r + (REC_BYTECODE >> 2)] = 0;
    this.#i32[r + (REC_TABLE >> 2)] = region.tableIndex;
    this.setCount(entry, left);
  }

  /** Sets how many executions make a block hot from now on. */
  setCount(block: Block, count: number): void {
    this.#i32[(block.record + REC_COUNT) >> 2] = count;
  }

  /** A block that became hot becomes so once more, after so many executions. */
  wait(block: Block, executions: number): void {
    block.waited += executions;
    this.setCount(block, executions);
  }
}
