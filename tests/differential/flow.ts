/**
 * Random programs of many small procedures on a few pages, whose page tables
 * change while they run.
 *
 * The code stands twice in physical memory: both versions have the same
 * layout but other values, so that wherever a page is switched from one to the
 * other, the program goes on, and what it computes tells which one it ran. The
 * supervisor (`native/flow_supervisor.asm`) changes the page tables by a ring
 * of operations, one at each INT 0x80 and each interrupt. Every operation ends
 * with a flush that the architecture asks for, so that the outcome is defined.
 *
 * @module
 */

import { FlowCode, word } from "./flow_code.ts";
import {
  A,
  ALIAS,
  CODE,
  D,
  DATA,
  DATA_AT,
  DIRECTORIES,
  type FlowProgram,
  G,
  KERNEL,
  KERNEL_TABLE,
  OTHER_CODE,
  P,
  PAGE,
  PAGE_TABLES,
  PAGES,
  PS,
  RW,
  SLOTS,
  STACK,
  SWITCH_VERSION,
  SYSTEM,
  TABLE_PAGES,
  TABLES,
  THIRD_VIEW,
  US,
  VERSION_AT,
  WINDOW,
} from "./flow_layout.ts";
import type { Prng } from "./prng.ts";

const EBX = 3, ESI = 6, EDI = 7;
/** What procedures compute with. EDX is a random number, EAX and ECX are scratch. */
const VALUES = [EBX, ESI, EDI];

/** Makes programs. */
class Maker extends FlowCode {
  /** Offsets of immediates of one byte whose value is anybody's. */
  readonly #bytes: number[] = [];
  readonly #pointers: { at: number; procedure: number }[] = [];
  /** The same in the code: of both versions. */
  readonly #addresses: { at: number; procedure: number }[] = [];
  readonly #stores: number[] = [];

  constructor(p: Prng, readonly base: number) {
    super(p, 8 + p.below(7), { pages: PAGES, tables: TABLES });
  }

  /** Six bytes of arithmetic. */
  protected override arithmetic(): void {
    const { p } = this;
    const r = p.pick(VALUES);
    const modrm = (): number => 0xc0 | p.below(8) << 3 | r;
    this.emit(0x81);
    this.modrm(modrm);
    this.value();
  }

  /** Three bytes of arithmetic. */
  #small(): void {
    const { p } = this;
    this.emit(0x83, 0xc0 | p.below(8) << 3 | p.pick(VALUES), p.below(256));
    this.#bytes.push(this.at - 1);
  }

  #address(): number {
    const { p } = this;
    const slot = p.below(3);
    // The fourth page of the first part has the tables.
    const pages = slot === 0 ? 3 : 4;
    const offset = p.oneIn(4)
      ? (1 + p.below(pages - 1)) * PAGE - 1 - p.below(3) // across two pages
      : p.below(pages) * PAGE + 16 * p.below(8) + p.below(4);
    return DATA + slot * 0x1000000 + offset;
  }

  /** The linear address of the code, in one of the views. */
  #view(): number {
    const { p } = this;
    return p.oneIn(2) ? CODE : p.pick([ALIAS, ALIAS + THIRD_VIEW * PAGE]);
  }

  /** The same as a program counter. */
  #target(): number {
    return this.#view() - this.base;
  }

  #indirectCall(): void {
    const { p } = this;
    if (p.oneIn(3)) { // a computed call that is none: MOV ECX; CALL ECX
      this.emit(0xb9, 0, 0, 0, 0, 0xff, 0xd1);
      const procedure = this.plainCallee();
      this.#addresses.push({ at: this.at - 6, procedure });
      return this.arithmetic();
    }
    const power = p.pick([2, 4, 8]);
    const table = this.room(4 * power);
    for (let i = 0; i < power; i++) {
      this.#pointers.push({
        at: table + 4 * i,
        procedure: this.plainCallee(),
      });
    }
    this.index(power);
    // CALL [EAX * 4 + table], or MOV ECX and CALL ECX
    if (p.oneIn(2)) this.emit(0xff, 0x14, 0x85, ...word(TABLES + table));
    else {
      this.emit(0x8b, 0x0c, 0x85, ...word(TABLES + table));
      this.emit(0xff, 0xd1);
    }
    this.arithmetic();
  }

  #switch(): void {
    const { p } = this;
    const cases = 2 + p.below(19);
    const table = this.room(4 * cases);
    this.index(p.pick([cases > 8 ? 32 : 8, 32]));
    this.emit(0x83, 0xf8, cases); // CMP EAX
    this.unless(3, () => { // JAE
      this.emit(0xff, 0x24, 0x85, ...word(TABLES + table)); // JMP
      const ends: number[] = [];
      const view = new DataView(this.tables.buffer);
      const base = this.#target();
      for (let i = 0; i < cases; i++) {
        view.setUint32(table + 4 * i, base + this.at, true);
        if (p.oneIn(3)) this.arithmetic();
        else this.emit(0x83, 0xc0 | p.pick(VALUES), p.below(256));
        this.emit(0xe9, 0, 0, 0, 0);
        ends.push(this.at);
      }
      for (const from of ends) this.jumpsTo(from, this.at);
    });
  }

  /** Times round: by a counter in memory. */
  #loop(depth: number): void {
    const { p } = this;
    const counter = this.counter();
    const start = this.at;
    for (let n = 1 + p.below(3); n > 0; n--) this.#statement(depth + 1);
    this.emit(0xff, 0x0d, ...word(counter)); // DEC
    this.emit(0xf6, 0x05, ...word(counter), p.pick([3, 7, 15]));
    this.emit(0x0f, 0x85, ...word(start - this.at - 6)); // JNZ
  }

  #storeToCode(): void {
    const { p } = this;
    const near = p.oneIn(3);
    if (p.oneIn(2)) {
      // Always, but another value only every 2, 4... times, so that it is hot
      // code that changes code.
      const counter = this.counter();
      this.emit(0xff, 0x05, ...word(counter)); // INC
      this.emit(0xa1, ...word(counter)); // MOV EAX
      this.emit(0xc1, 0xe8, 1 + p.below(6)); // SHR EAX
      this.emit(0xa2, 0, 0, 0, 0); // MOV [code], AL
      this.#stores.push(this.at - 4);
    } else {
      this.seldom(p.below(3), () => {
        switch (p.below(4)) {
          case 0: // MOV
            this.emit(0xc6, 0x05, 0, 0, 0, 0, p.below(256));
            this.#stores.push(this.at - 5);
            break;
          case 1: // ADD
            this.emit(0x80, 0x05, 0, 0, 0, 0, 1 + p.below(255));
            this.#stores.push(this.at - 5);
            break;
          case 2: // XOR
            this.emit(0x80, 0x35, 0, 0, 0, 0, p.pick([1, 0x80, 0xff]));
            this.#stores.push(this.at - 5);
            break;
          default: // MOV of 32 bits
            this.emit(0x89, 0x15, 0, 0, 0, 0);
            this.#stores.push(-(this.at - 4));
        }
      });
    }
    if (near) {
      const store = this.#stores.pop()!;
      if (store > 0 && p.oneIn(2)) this.#small();
      else this.arithmetic();
      this.#patchStore(store, (at) => at > Math.abs(store));
    }
  }

  /** The target of the store whose address stands at `store`: below 0, one of 32 bits. */
  #patchStore(store: number, wanted: (at: number) => boolean): void {
    const { p } = this;
    const at = Math.abs(store);
    const some = this.values.filter(wanted);
    const words = some.length > 0 ? some : this.values;
    const bytes = store > 0 ? this.#bytes.filter(wanted) : [];
    const target = bytes.length > 0 && p.oneIn(2)
      ? p.pick(bytes)
      : p.pick(words) + (store > 0 ? p.below(4) : 0);
    const address = word(this.#view() + target);
    for (const code of this.code) code.set(address, at);
  }

  #statement(depth: number): void {
    const { p } = this;
    const last = this.procedure === this.count - 1;
    switch (p.below(depth > 1 ? 12 : 22)) {
      case 0:
        return this.#small();
      case 1:
        return this.arithmetic();
      case 2: { // with registers
        const op = p.pick([0x01, 0x29, 0x31, 0x11, 0x19, 0x39]);
        const r = p.pick([0, 1, 2, ...VALUES]);
        return this.emit(op, 0xc0 | r << 3 | p.pick(VALUES));
      }
      case 3: // ADD, MOV, XOR, ADC with memory
        return this.emit(
          p.pick([0x01, 0x03, 0x89, 0x8b, 0x31, 0x13]),
          0x05 | p.pick(VALUES) << 3,
          ...word(this.#address()),
        );
      case 4: { // the same page by one base
        this.emit(0xb9, ...word(this.#address() & ~3)); // MOV ECX
        for (let n = 2 + p.below(3); n > 0; n--) {
          this.emit(
            p.pick([0x01, 0x03, 0x89, 0x8b]),
            0x41 | p.pick(VALUES) << 3,
            p.below(256),
          );
        }
        return;
      }
      case 5: // SETcc
        return this.emit(0x0f, 0x90 | p.below(16), 0xc0 | p.pick([0, 1, 3]));
      case 6: // CMOVcc
        return this.emit(
          0x0f,
          0x40 | p.below(16),
          0xc0 | p.pick(VALUES) << 3 | p.pick(VALUES),
        );
      case 7: // Jcc on whatever flags there are
        return this.unless(p.below(16), () => {
          for (let n = p.below(3); n >= 0; n--) this.#statement(depth + 1);
        });
      case 8: // a change of a page table
        return this.seldom(1 + p.below(3), () => this.emit(0xcd, 0x80));
      case 9: // the other privilege level
        return this.seldom(
          2 + p.below(3),
          () => this.emit(0xcd, this.base === 0 ? 0x81 : 0x80),
        );
      case 10:
      case 11:
        return last ? this.arithmetic() : this.#storeToCode();
      case 12:
      case 13:
        return last ? this.arithmetic() : this.call(this.callee());
      case 14:
        return last ? this.arithmetic() : this.#indirectCall();
      case 15:
      case 21:
        return this.#switch();
      case 16:
      case 17:
        return this.#loop(depth);
      case 18: { // recursion
        const counter = this.counter();
        this.emit(0xff, 0x05, ...word(counter)); // INC
        this.emit(0xf6, 0x05, ...word(counter), p.pick([3, 7]));
        return this.unless(4, () => this.call(this.procedure)); // JZ
      }
      case 19: { // PUSH a place further on; RET
        this.emit(0x68, 0, 0, 0, 0, 0xc3);
        const from = this.at;
        for (let n = p.below(3); n > 0; n--) this.arithmetic();
        const to = word(this.#target() + this.at);
        for (const code of this.code) code.set(to, from - 5);
        return;
      }
      case 20: // CALL of what follows; POP EAX
        this.emit(0xe8, 0, 0, 0, 0, 0x58);
        return this.emit(0x01, 0xc0 | p.pick(VALUES)); // ADD, EAX
    }
  }

  protected override body(i: number): void {
    const { p } = this;
    for (let n = 2 + p.below(6); n > 0; n--) this.#statement(0);
    const bytes = 4 * this.arguments[i];
    if (p.oneIn(3)) { // another return address, over the six bytes
      this.seldom(1 + p.below(2), () => this.emit(0x83, 0x04, 0x24, 6));
    }
    if (p.oneIn(6)) { // to the caller's caller
      this.seldom(3, () => this.emit(0x83, 0xc4, bytes + 4, 0xc3));
    }
    if (bytes > 0) this.emit(0xc2, bytes, 0); // RET n
    else if (p.oneIn(4)) this.emit(0x59, 0xff, 0xe1); // POP ECX; JMP ECX
    else this.emit(0xc3);
  }

  protected override main(): void {
    const { p } = this;
    this.emit(0xbc, ...word(STACK)); // MOV ESP
    for (let n = 3 + p.below(3); n > 0; n--) this.call(p.below(4));
    this.#statement(0);
    this.seldom(1, () => this.emit(0xcd, 0x80));
    if (p.oneIn(2)) this.emit(0xe9, ...word(-this.at - 5)); // JMP
    else { // round the views of the code
      const table = this.room(16);
      const view = new DataView(this.tables.buffer);
      for (let i = 0; i < 16; i += 4) {
        view.setUint32(table + i, this.#target(), true);
      }
      this.index(4);
      this.emit(0xff, 0x24, 0x85, ...word(TABLES + table)); // JMP
    }
  }

  protected override resolve(): void {
    const view = new DataView(this.tables.buffer);
    for (const { at, procedure } of this.#pointers) {
      view.setUint32(at, this.#target() + this.starts[procedure], true);
    }
    for (const { at, procedure } of this.#addresses) {
      const address = word(this.#target() + this.starts[procedure]);
      for (const code of this.code) code.set(address, at);
    }
    for (const store of this.#stores) {
      this.#patchStore(store, this.near(Math.abs(store)));
    }
  }
}

/** Which changes of the mapping a program sees. */
type Layout = "small" | "large" | "mixed" | "two spaces";

/** A random program. */
export function makeFlowProgram(p: Prng): FlowProgram {
  const base = p.oneIn(4) ? p.pick([0x10, 0x1000, 0x12345, 0xff0fff]) : 0;
  const maker = new Maker(p, base);
  maker.make();
  const layout: Layout = p.pick(["small", "large", "mixed", "two spaces"]);
  const entries: [number, number][] = [];
  const ops: number[] = [];
  const flags = (): number =>
    P | RW | US | (p.oneIn(2) ? A : 0) | (p.oneIn(2) ? D : 0);
  const mayBeGlobal = p.oneIn(2);
  /** Every change of an entry: where it is, which bits, what to flush. */
  const changes: (() => void)[] = [];
  const flush = (isGlobal: boolean, linear: number): number => {
    const kind = isGlobal
      ? p.pick([1, 3])
      : p.pick(layout === "two spaces" ? [1, 2, 3, 4] : [1, 2, 3]);
    return kind === 1 ? linear | 1 : kind;
  };
  const op = (
    entry: number,
    and: number,
    xor: number,
    flushed: number,
  ): void => {
    const window = entry === 0 ? 0 : WINDOW + entry - DIRECTORIES;
    ops.push(window, and >>> 0, xor >>> 0, flushed >>> 0);
  };
  for (let slot = 0; slot <= OTHER_CODE; slot++) {
    const linear = slot === OTHER_CODE ? CODE : CODE + slot * 0x1000000;
    const isCode = slot < 2 || slot === OTHER_CODE;
    const pages = Array.from({ length: TABLE_PAGES }, (_, i) => i);
    const more = slot === 1 ? pages.map((i) => THIRD_VIEW + i) : [];
    for (const n of [...pages, ...more]) {
      const i = n % THIRD_VIEW;
      const at = PAGE_TABLES + slot * PAGE + 4 * n;
      const isGlobal = mayBeGlobal && p.oneIn(2) &&
        !(layout === "two spaces" && (slot === 0 || slot === OTHER_CODE));
      const frame = isCode
        ? VERSION_AT[p.below(2)] + i * PAGE
        : DATA_AT + ((slot - 2) * 2 * TABLE_PAGES + i) * PAGE;
      entries.push([at, frame | flags() | (isGlobal ? G : 0)]);
      const where = linear + n * PAGE;
      const change = (and: number, xor: number) => (): void =>
        op(at, and, xor, flush(isGlobal, where));
      const isFixed = slot === 2 && i >= 3;
      if (i < PAGES && isCode) {
        const v = change(-1, SWITCH_VERSION);
        changes.push(v, v, v, change(~P, 0), change(~US, 0), change(~US, 0));
      } else if (i < PAGES && !isFixed) {
        const other = TABLE_PAGES * PAGE;
        // The frames of the second half follow those of the first.
        const a = DATA_AT + ((slot - 2) * 2 * TABLE_PAGES + i) * PAGE;
        changes.push(change(-1, a ^ (a + other)));
      }
      if (!isFixed) changes.push(change(~P, 0), change(~RW, 0));
      changes.push(change(~D, 0), change(~(A | D), 0));
      if (isGlobal) changes.push(() => op(at, -1, G, flush(true, where)));
    }
  }
  for (let space = 0; space < 2; space++) {
    for (let slot = 0; slot < SLOTS; slot++) {
      const table = slot === 0 && space === 1 ? OTHER_CODE : slot;
      entries.push([
        DIRECTORIES + space * PAGE + 4 * ((CODE >>> 22) + 4 * slot),
        // Accessed: a global translation outlives the switch to the other
        // directory, which then need not be read.
        PAGE_TABLES + table * PAGE | P | RW | US | A,
      ]);
    }
    entries.push([
      DIRECTORIES + space * PAGE + 4 * (KERNEL >>> 22),
      KERNEL_TABLE | P | RW | US | A,
    ]);
  }
  const directoryEntry = DIRECTORIES + 4 * (CODE >>> 22);
  const small = PAGE_TABLES | P | RW | US | A;
  const isGlobal = mayBeGlobal && p.oneIn(2);
  const large = VERSION_AT[0] | P | RW | US | A | D | PS | (isGlobal ? G : 0);
  const part = (): number => CODE + p.below(PAGES) * PAGE;
  if (layout === "large") {
    entries.push([directoryEntry, large]);
    for (let i = 0; i < 12; i++) {
      changes.push(() =>
        op(directoryEntry, -1, SWITCH_VERSION, flush(isGlobal, part()))
      );
    }
    changes.push(() => op(directoryEntry, ~P, 0, flush(isGlobal, part())));
    changes.push(() => op(directoryEntry, ~US, 0, flush(isGlobal, part())));
    changes.push(() => op(directoryEntry, ~RW, 0, flush(isGlobal, part())));
    changes.push(() =>
      op(directoryEntry, ~(A | D), 0, flush(isGlobal, part()))
    );
  } else if (layout === "mixed") {
    for (let i = 0; i < 8; i++) {
      changes.push(() => op(directoryEntry, -1, small ^ large, 3));
    }
  }
  const kernelFlags = P | RW | A | D | (p.oneIn(2) ? G : 0);
  for (let i = 0; i < 16; i++) {
    entries.push([KERNEL_TABLE + 4 * i, SYSTEM + i * PAGE | kernelFlags]);
  }
  for (let i = 0; i < 8; i++) {
    entries.push([
      KERNEL_TABLE + 4 * (16 + i),
      DIRECTORIES + i * PAGE | kernelFlags,
    ]);
  }
  while (ops.length < 256) {
    switch (p.below(8)) {
      case 0:
        op(0, -1, 0, p.below(layout === "two spaces" ? 5 : 4));
        break;
      case 1:
        op(
          0,
          -1,
          0,
          (CODE + p.below(SLOTS) * 0x1000000 + p.below(5) * PAGE) | 1,
        );
        break;
      default:
        p.pick(changes)();
    }
  }
  const pge = p.oneIn(4) ? 0 : 0x80;
  return {
    code: maker.code,
    tables: maker.tables,
    ops: Uint32Array.from(ops),
    entries,
    cr4: 0x10 | pge,
    base,
    cpl: base === 0 && p.oneIn(2) ? 0 : 3,
    registers: Array.from({ length: 8 }, () => p.u32()),
  };
}
