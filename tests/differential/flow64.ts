/**
 * Random 64-bit programs of many small procedures on a few pages, whose page
 * tables change while they run: `flow.ts` for long mode.
 *
 * The code stands in four places of physical memory (below 4 GiB, above it, and
 * where code has no room in the translator's addresses), in two versions of the
 * same layout with other values. It runs at several linear addresses, and
 * stores to itself by others. Every change of a page table ends with a flush
 * that the architecture asks for, so that the outcome is defined.
 *
 * @module
 */

import {
  A,
  BANKS,
  D,
  DATA,
  DATA_BASE,
  DATA_IN_BANK,
  DEVICE,
  type FlowProgram64,
  FRAME,
  G,
  KERNEL,
  P,
  PAGE,
  PAGES,
  PS,
  RW,
  STACK,
  STACK_OFFSET,
  SYSTEM,
  SYSTEM_PAGES,
  TABLE_PAGES,
  TABLES,
  TABLES_AT,
  TABLES_END,
  US,
  VERSION_AT,
  VIEWS,
  WINDOW,
  XD,
} from "./flow64_layout.ts";
import { makeFlowProgram } from "./flow.ts";
import { FlowCode, word } from "./flow_code.ts";
import { ALIAS, CODE, DATA as DATA32, THIRD_VIEW } from "./flow_layout.ts";
import type { Prng } from "./prng.ts";

const RBX = 3, RSI = 6, RDI = 7, R8 = 8, R12 = 12;
/** What procedures compute with. EDX is a random number, RAX and RCX are scratch. */
const VALUES = [RBX, RSI, RDI, R8];
const ALL = BigInt.asUintN(64, -1n);

function quad(v: bigint): number[] {
  const w = BigInt.asUintN(64, v);
  return [
    ...word(Number(w & 0xffffffffn)),
    ...word(Number(w >> 32n)),
  ];
}

/** A store to code: the distance or offset at `at`, of 1, 4 or 8 bytes; `end`: relative to there. */
interface Store {
  readonly at: number;
  readonly bytes: number;
  readonly end: number;
}

/** Makes programs. */
class Maker extends FlowCode {
  readonly #view = new DataView(this.tables.buffer);
  readonly #pointers: { at: number; procedure: number }[] = [];
  readonly #addresses: { at: number; procedure: number }[] = [];
  readonly #stores: Store[] = [];

  constructor(p: Prng) {
    super(p, 8 + p.below(6), { pages: PAGES, tables: TABLES });
  }

  /** Seven bytes of arithmetic, of 32 or 64 bits. */
  protected override arithmetic(): void {
    const { p } = this;
    const r = p.pick(VALUES);
    const modrm = (): number => 0xc0 | p.below(8) << 3 | r & 7;
    this.emit(0x40 | p.below(2) << 3 | r >> 3, 0x81);
    this.modrm(modrm);
    this.value();
  }

  /** An instruction with a memory operand at a base register or, of a negative one, at an address. */
  #memory(
    opcode: readonly number[],
    reg: number,
    base: number,
    displacement: number,
    wide: number,
  ): void {
    this.emit(0x40 | wide << 3 | reg >> 3 << 2 | (base < 0 ? 0 : base >> 3));
    const r = (reg & 7) << 3;
    if (base < 0) this.emit(...opcode, r | 4, 0x25);
    else if ((base & 7) === 4) this.emit(...opcode, 0x84 | r, 0x24);
    else this.emit(...opcode, 0x80 | r | base & 7);
    this.emit(...word(displacement));
  }

  /** The same with one of the counters. */
  #onCounter(opcode: number, reg: number, counter: number): void {
    this.#memory([opcode], reg, DATA_BASE[0], counter, 0);
  }

  /** A base and a displacement of data. */
  #operand(): [base: number, displacement: number] {
    const { p } = this;
    const slot = p.below(4);
    // The fourth page of the first part has the tables.
    const pages = slot === 0 ? 3 : 4;
    const offset = p.oneIn(4)
      ? (1 + p.below(pages - 1)) * PAGE - 1 - p.below(7) // across two pages
      : p.below(pages) * PAGE + 16 * p.below(8) + p.below(4);
    const base = DATA_BASE[slot];
    return [base, base < 0 ? Number(DATA[slot]) + offset : offset];
  }

  /** The linear address of the code, in one of the views. */
  #target(): bigint {
    const { p } = this;
    return p.oneIn(2) ? VIEWS[0] : p.pick(VIEWS);
  }

  /** CALL (`reg` 2) or JMP (4) to [R15 + RAX * 8 + table]. */
  #byTable(reg: number, table: number): void {
    this.emit(0x41, 0xff, 0x84 | reg << 3, 0xc7, ...word(TABLES + table));
  }

  #indirectCall(): void {
    const { p } = this;
    if (p.oneIn(3)) { // MOV RCX; CALL RCX
      this.emit(0x48, 0xb9, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xd1);
      const procedure = this.plainCallee();
      this.#addresses.push({ at: this.at - 10, procedure });
      return this.arithmetic();
    }
    const power = p.pick([2, 4, 8]);
    const table = this.room(8 * power);
    for (let i = 0; i < power; i++) {
      const procedure = this.plainCallee();
      this.#pointers.push({ at: table + 8 * i, procedure });
    }
    this.index(power);
    if (p.oneIn(2)) this.#byTable(2, table);
    else { // MOV RCX; CALL RCX
      this.emit(0x49, 0x8b, 0x8c, 0xc7, ...word(TABLES + table));
      this.emit(0xff, 0xd1);
    }
    this.arithmetic();
  }

  #switch(): void {
    const { p } = this;
    const cases = 2 + p.below(11);
    this.index(p.pick([cases > 8 ? 16 : 8, 16]));
    this.emit(0x83, 0xf8, cases); // CMP EAX
    this.unless(3, () => { // JAE
      const starts: number[] = [];
      const ends: number[] = [];
      const isRelative = p.oneIn(2);
      let table = 0;
      if (isRelative) {
        this.emit(0x48, 0x8d, 0x0d, ...word(9)); // LEA RCX, [RIP + 9]
        this.emit(0x48, 0x63, 0x04, 0x81); // MOVSXD RAX, [RCX + RAX * 4]
        this.emit(0x48, 0x01, 0xc8, 0xff, 0xe0); // ADD RAX, RCX; JMP RAX
        table = this.at;
        this.at += 4 * cases;
      } else this.#byTable(4, table = this.room(8 * cases));
      for (let i = 0; i < cases; i++) {
        starts.push(this.at);
        this.arithmetic();
        this.emit(0xe9, 0, 0, 0, 0);
        ends.push(this.at);
      }
      for (const from of ends) this.jumpsTo(from, this.at);
      const base = this.#target();
      starts.forEach((start, i) => {
        if (isRelative) {
          for (const c of this.code) c.set(word(start - table), table + 4 * i);
        } else {
          this.#view.setBigInt64(table + 8 * i, base + BigInt(start), true);
        }
      });
    });
  }

  /** Times round: by a counter in memory. */
  #loop(depth: number): void {
    const { p } = this;
    const counter = this.counter();
    const start = this.at;
    for (let n = 1 + p.below(3); n > 0; n--) this.#statement(depth + 1);
    this.#onCounter(0xff, 1, counter); // DEC
    this.#onCounter(0xf6, 0, counter); // TEST
    this.emit(p.pick([3, 7, 15]));
    this.emit(0x0f, 0x85, ...word(start - this.at - 6)); // JNZ
  }

  /** A store to code by another view of it. */
  #toCode(opcode: number, reg: number, wide: number, bytes: number): void {
    this.#memory([opcode], reg, R12, 0, wide);
    this.#stores.push({ at: this.at - 4, bytes, end: 0 });
  }

  #storeToCode(): void {
    const { p } = this;
    if (p.oneIn(2)) {
      // Always, but another value only every 2, 4... times, so that it is hot
      // code that changes code.
      const counter = this.counter();
      this.#onCounter(0xff, 0, counter); // INC
      this.#onCounter(0x8b, 0, counter); // MOV EAX
      this.emit(0xc1, 0xe8, 1 + p.below(6)); // SHR EAX
      this.#toCode(0x88, 0, 0, 1); // MOV [code], AL
    } else {
      this.seldom(p.below(3), () => {
        switch (p.below(5)) {
          case 0: // MOV
            this.#toCode(0xc6, 0, 0, 1);
            return this.emit(p.below(256));
          case 1: // ADD, XOR
            this.#toCode(0x80, p.pick([0, 6]), 0, 1);
            return this.emit(p.pick([1, 0x80, 0xff]));
          case 2:
            return this.#toCode(0x89, 2, 0, 4); // MOV EDX
          case 3: // MOV byte [RIP + distance]
            this.emit(0xc6, 0x05, 0, 0, 0, 0, p.below(256));
            this.#stores.push({ at: this.at - 5, bytes: 1, end: this.at });
            return;
          default: // MOV EDX to [RIP + distance]
            this.emit(0x89, 0x15, 0, 0, 0, 0);
            this.#stores.push({ at: this.at - 4, bytes: 4, end: this.at });
        }
      });
    }
    if (p.oneIn(3)) {
      const store = this.#stores.pop()!;
      this.arithmetic();
      this.#patchStore(store, (at) => at > store.at);
    }
  }

  #patchStore(
    { at, bytes, end }: Store,
    wanted: (at: number) => boolean,
  ): void {
    const { p } = this;
    const some = this.values.filter(wanted);
    const target = p.pick(some.length > 0 ? some : this.values) +
      (bytes === 1 ? p.below(4) : 0);
    for (const code of this.code) code.set(word(target - end), at);
  }

  #statement(depth: number): void {
    const { p } = this;
    const last = this.procedure === this.count - 1;
    switch (p.below(depth > 1 ? 13 : 23)) {
      case 0:
      case 1:
        return this.arithmetic();
      case 2: { // with registers
        const op = p.pick([0x01, 0x29, 0x31, 0x11, 0x19, 0x39]);
        const r = p.pick([0, 1, 2, ...VALUES]);
        const to = p.pick(VALUES);
        return this.emit(
          0x40 | p.below(2) << 3 | r >> 3 << 2 | to >> 3,
          op,
          0xc0 | (r & 7) << 3 | to & 7,
        );
      }
      case 3: // ADD, MOV, XOR, ADC with memory
        return this.#memory(
          [p.pick([0x01, 0x03, 0x89, 0x8b, 0x31, 0x13])],
          p.pick(VALUES),
          ...this.#operand(),
          p.below(2),
        );
      case 4: { // the same page by one base
        const slot = p.below(3);
        const offset = p.below(3) * PAGE + PAGE - 8 - 8 * p.below(20);
        for (let n = 2 + p.below(3); n > 0; n--) {
          this.#memory(
            [p.pick([0x01, 0x03, 0x89, 0x8b])],
            p.pick(VALUES),
            DATA_BASE[slot],
            Math.min(offset + p.below(100), 3 * PAGE - 8),
            p.below(2),
          );
        }
        return;
      }
      case 5: // SETcc
        return this.emit(0x0f, 0x90 | p.below(16), 0xc0 | p.pick([0, 1, 3]));
      case 6: { // CMOVcc
        const to = p.pick(VALUES), from = p.pick(VALUES);
        return this.emit(
          0x40 | p.below(2) << 3 | to >> 3 << 2 | from >> 3,
          0x0f,
          0x40 | p.below(16),
          0xc0 | (to & 7) << 3 | from & 7,
        );
      }
      case 7: // Jcc on whatever flags there are
        return this.unless(p.below(16), () => {
          for (let n = p.below(3); n >= 0; n--) this.#statement(depth + 1);
        });
      case 8: // a change of a page table
      case 9:
        return this.seldom(1 + p.below(3), () => this.emit(0xcd, 0x80));
      case 10:
      case 11:
        return last ? this.arithmetic() : this.#storeToCode();
      case 12: // an address of its own: LEA RAX, [RIP + ...]; ADD
        this.emit(0x48, 0x8d, 0x05, ...word(p.below(64) - 32));
        return this.emit(0x48, 0x01, 0xc0 | p.pick([RBX, RSI, RDI]));
      case 13:
      case 14:
        return last ? this.arithmetic() : this.call(this.callee());
      case 15:
        return last ? this.arithmetic() : this.#indirectCall();
      case 16:
        return this.#switch();
      case 17:
      case 18:
        return this.#loop(depth);
      case 19: { // recursion
        const counter = this.counter();
        this.#onCounter(0xff, 0, counter); // INC
        this.#onCounter(0xf6, 0, counter); // TEST
        this.emit(p.pick([3, 7]));
        return this.unless(4, () => this.call(this.procedure)); // JZ
      }
      case 20: { // LEA or MOV RAX: a place further on; PUSH RAX; RET
        const isNear = p.oneIn(2);
        if (isNear) this.emit(0x48, 0x8d, 0x05, 0, 0, 0, 0, 0x50, 0xc3);
        else this.emit(0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0xc3);
        const from = this.at;
        for (let n = p.below(3); n > 0; n--) this.arithmetic();
        const to = isNear
          ? word(this.at - from + 2)
          : quad(this.#target() + BigInt(this.at));
        for (const code of this.code) code.set(to, from - 2 - to.length);
        return;
      }
      case 21: // CALL of what follows; POP RAX
        this.emit(0xe8, 0, 0, 0, 0, 0x58);
        return this.emit(0x48, 0x01, 0xc0 | p.pick([RBX, RSI, RDI])); // ADD, RAX
      case 22: // stores go by another view
        return this.seldom(2, () => this.#setRegister(R12, this.#target()));
    }
  }

  #setRegister(r: number, value: bigint): void {
    this.emit(0x48 | r >> 3, 0xb8 | r & 7, ...quad(value));
  }

  protected override body(i: number): void {
    const { p } = this;
    for (let n = 2 + p.below(6); n > 0; n--) this.#statement(0);
    const bytes = 8 * this.arguments[i];
    if (p.oneIn(3)) { // another return address, over the seven bytes
      this.seldom(1 + p.below(2), () => this.emit(0x48, 0x83, 4, 0x24, 7));
    }
    if (p.oneIn(6)) { // to the caller's caller
      this.seldom(3, () => this.emit(0x48, 0x83, 0xc4, bytes + 8, 0xc3));
    }
    if (bytes > 0) this.emit(0xc2, bytes, 0); // RET n
    else if (p.oneIn(4)) this.emit(0x59, 0xff, 0xe1); // POP RCX; JMP RCX
    else this.emit(0xc3);
  }

  protected override main(): void {
    const { p } = this;
    this.#setRegister(4, STACK);
    this.#setRegister(R12, this.#target());
    DATA_BASE.forEach((r, i) => r >= 0 && this.#setRegister(r, DATA[i]));
    for (let n = 3 + p.below(3); n > 0; n--) this.call(p.below(4));
    this.#statement(0);
    this.seldom(1, () => this.emit(0xcd, 0x80));
    if (p.oneIn(2)) this.emit(0xe9, ...word(-this.at - 5)); // JMP
    else { // round the views of the code
      const table = this.room(64);
      for (let i = 0; i < 64; i += 8) {
        this.#view.setBigInt64(table + i, this.#target(), true);
      }
      this.index(8);
      this.#byTable(4, table);
    }
  }

  protected override resolve(): void {
    const address = (procedure: number): bigint =>
      this.#target() + BigInt(this.starts[procedure]);
    for (const { at, procedure } of this.#pointers) {
      this.#view.setBigInt64(at, address(procedure), true);
    }
    for (const { at, procedure } of this.#addresses) {
      const bytes = quad(address(procedure));
      for (const code of this.code) code.set(bytes, at);
    }
    for (const store of this.#stores) {
      this.#patchStore(store, this.near(store.at));
    }
  }
}

/** Page tables. */
export class Mapper {
  readonly entries = new Map<number, bigint>();
  #next = TABLES_AT + 2 * PAGE;

  /** The physical address of the entry for an address at a level: 12 for pages of 4 KiB, 21 for 2 MiB. */
  entry(linear: bigint, level: bigint, space = 0): number {
    let table = TABLES_AT + space * PAGE;
    for (let shift = 39n;; shift -= 9n) {
      const at = table + 8 * Number((linear >> shift) & 511n);
      if (shift === level) return at;
      let value = this.entries.get(at);
      if (value === undefined) {
        value = BigInt(this.#next) | P | RW | US | A;
        this.entries.set(at, value);
        this.#next += PAGE;
        if (this.#next > TABLES_END) throw new Error("too many page tables");
      }
      table = Number(value & FRAME);
    }
  }

  map(linear: bigint, value: bigint, level = 12n, space = 0): number {
    const at = this.entry(linear, level, space);
    this.entries.set(at, value);
    return at;
  }

  /** The second space has what the first has, but for one entry of the PML4. */
  share(except: bigint): void {
    for (let i = 0; i < 512; i++) {
      const value = this.entries.get(TABLES_AT + 8 * i);
      if (value === undefined || i === Number((except >> 39n) & 511n)) continue;
      this.entries.set(TABLES_AT + PAGE + 8 * i, value);
    }
  }
}

/** Where the supervisor sees an entry. */
export function windowOf(at: number): bigint {
  return WINDOW + BigInt(at - TABLES_AT);
}

/** Which changes of the mapping a program sees. */
type Layout = "small" | "large" | "mixed" | "two spaces";

/** A program without page tables, and where its parts are to be. */
interface Unmapped {
  readonly code: readonly [Uint8Array, Uint8Array];
  readonly tables: Uint8Array;
  readonly values: readonly number[];
  readonly views: readonly bigint[];
  readonly data: readonly bigint[];
  readonly compatibility: boolean;
  /** Base of CS. */
  readonly base: number;
}

function make64(p: Prng): Unmapped {
  const maker = new Maker(p);
  maker.make();
  const { code, tables, values } = maker;
  return {
    code,
    tables,
    values,
    views: VIEWS,
    data: DATA,
    compatibility: false,
    base: 0,
  };
}

/** A 32-bit one: of `flow.ts`. */
function make32(p: Prng): Unmapped {
  const { code, tables, base } = makeFlowProgram(p);
  return {
    code,
    tables,
    values: [],
    views: [CODE, ALIAS, ALIAS + THIRD_VIEW * PAGE].map(BigInt),
    data: [0, 1, 2].map((slot) => BigInt(DATA32 + slot * 0x1000000)),
    compatibility: true,
    base,
  };
}

/** A random program, of 64-bit mode or of compatibility mode. */
export function makeFlowProgram64(
  p: Prng,
  compatibility = false,
): FlowProgram64 {
  const { views, data, ...program } = compatibility ? make32(p) : make64(p);
  const layout: Layout = p.pick(["small", "large", "mixed", "two spaces"]);
  const mapper = new Mapper();
  const ops: bigint[] = [];
  const repaired: bigint[] = [];
  const flags = (): bigint =>
    P | RW | US | (p.oneIn(2) ? A : 0n) | (p.oneIn(2) ? D : 0n);
  const mayBeGlobal = p.oneIn(2);
  const changes: (() => void)[] = [];
  const flush = (isGlobal: boolean, linear: bigint): bigint => {
    const kinds = isGlobal
      ? [1n, linear]
      : layout === "two spaces"
      ? [1n, 2n, 4n, linear]
      : [1n, 2n, linear];
    return p.pick(kinds);
  };
  const op = (at: number, and: bigint, xor: bigint, how: bigint): void => {
    ops.push(at === 0 ? 0n : windowOf(at), and & ALL, xor, how);
  };
  const version = (): bigint => BigInt(VERSION_AT[p.oneIn(8) ? 3 : p.below(3)]);
  const frameOfData = (slot: number, page: number): bigint =>
    BigInt(
      p.oneIn(12)
        ? DEVICE + page * PAGE
        : BANKS[p.below(3)].base + DATA_IN_BANK +
          ((2 * slot + p.below(2)) * TABLE_PAGES + page) * PAGE,
    );
  /** All that may happen to the page at an address. */
  const addPage = (
    linear: bigint,
    frame: () => bigint,
    space: number,
    isCode: boolean,
  ): void => {
    const mayShare = layout !== "two spaces" || space === 0 &&
        linear >> 39n !== views[0] >> 39n;
    const isGlobal = mayBeGlobal && mayShare && p.oneIn(2);
    const value = frame() | flags() | (isGlobal ? G : 0n);
    const at = mapper.map(linear, value, 12n, space);
    repaired.push(windowOf(at));
    const where = (): bigint => flush(isGlobal, linear);
    const change = (and: bigint, xor = 0n) => (): void =>
      op(at, and, xor, where());
    const move = (): void => op(at, ~FRAME, frame(), where());
    changes.push(move, change(~P), change(~RW), change(~D), change(~(A | D)));
    if (isCode) changes.push(move, move, change(~US), change(-1n, XD));
    if (isGlobal) changes.push(() => op(at, -1n, G, 1n));
  };
  for (let space = 0; space < 2; space++) {
    for (let view = 0; view < (space === 0 ? views.length : 1); view++) {
      for (let i = 0; i < TABLE_PAGES; i++) {
        const offset = BigInt(i * PAGE);
        addPage(views[view] + offset, () => version() + offset, space, true);
      }
    }
  }
  data.forEach((linear, slot) => {
    for (let i = 0; i < TABLE_PAGES; i++) {
      const at = linear + BigInt(i * PAGE);
      if (slot > 0 || i < 3) addPage(at, () => frameOfData(slot, i), 0, false);
      else {
        const frame = BigInt(DATA_IN_BANK + i * PAGE);
        mapper.map(at, frame | P | RW | US | A | D);
      }
    }
  });
  // The second space's data is the first one's, below the same entry.
  for (const linear of data) {
    for (const level of [30n, 21n]) {
      const value = mapper.entries.get(mapper.entry(linear, level))!;
      if (linear >> level === views[0] >> level) continue;
      mapper.map(linear, value, level, 1);
      break;
    }
  }
  const small = mapper.entries.get(mapper.entry(views[0], 21n))!;
  const directory = mapper.entry(views[0], 21n);
  const isGlobal = mayBeGlobal && p.oneIn(2);
  const large = (): bigint =>
    version() | P | RW | US | A | D | PS | (isGlobal ? G : 0n);
  const part = (): bigint => views[0] + BigInt(p.below(PAGES) * PAGE);
  if (layout === "large") {
    mapper.entries.set(directory, large());
    repaired.push(windowOf(directory));
    const how = (): bigint => flush(isGlobal, part());
    for (let i = 0; i < 12; i++) {
      changes.push(() => op(directory, ~FRAME, version(), how()));
    }
    for (const bits of [P, US, RW, A | D]) {
      changes.push(() => op(directory, ~bits, 0n, how()));
    }
    changes.push(() => op(directory, -1n, XD, how()));
  } else if (layout === "mixed") {
    for (let i = 0; i < 8; i++) {
      changes.push(() => op(directory, 0n, p.oneIn(2) ? small : large(), 1n));
    }
  }
  const kernelFlags = P | RW | A | D | (p.oneIn(2) ? G : 0n);
  for (let i = 0; i < SYSTEM_PAGES; i++) {
    mapper.map(
      KERNEL + BigInt(i * PAGE),
      BigInt(SYSTEM + i * PAGE) | kernelFlags,
    );
  }
  for (let at = TABLES_AT; at < TABLES_END; at += PAGE) {
    mapper.map(windowOf(at), BigInt(at) | kernelFlags);
  }
  mapper.share(views[0]);
  while (ops.length < 256) {
    switch (p.below(8)) {
      case 0:
        op(0, -1n, 0n, p.pick(layout === "two spaces" ? [1n, 2n, 4n] : [1n]));
        break;
      case 1:
        op(0, -1n, 0n, p.pick(views) + BigInt(p.below(5) * PAGE));
        break;
      default:
        p.pick(changes)();
    }
  }
  const cpl = !compatibility && p.oneIn(2) ? 0 : 3;
  return {
    ...program,
    start: views[0] - BigInt(program.base),
    stack: data[0] + STACK_OFFSET,
    ops: BigUint64Array.from(ops, (x) => BigInt.asUintN(64, x)),
    entries: [...mapper.entries],
    repaired,
    cr4: 0x620 | (p.oneIn(4) ? 0 : 0x80),
    ist: cpl === 0 || p.oneIn(2),
    cpl,
    registers: Array.from({ length: 16 }, () => p.u32()),
  };
}
