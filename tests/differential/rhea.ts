/**
 * Runs test cases in Rhea: a bare CPU without a machine, in user mode with
 * paging on, laid out as `native/oracle.c` lays out its process. Every vector
 * leads to a HLT in supervisor mode; what the exception pushed there is the
 * result.
 *
 * @module
 */

import { Engine } from "../../core/exec/engine.ts";
import { GuestMemory } from "../../core/machine/memory.ts";
import type { PhysicalSpace } from "../../core/mmu/physical_access.ts";
import { X86 } from "../../plugins/cpu/x86/cpu.ts";
import { MODELS } from "../../plugins/cpu/x86/models.ts";
import {
  CS,
  DS,
  ES,
  FS,
  GS,
  LDTR,
  OFF_CPL,
  OFF_CR,
  OFF_FCW,
  OFF_FPR,
  OFF_FSW,
  OFF_FTAG,
  OFF_FTOP,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  OFF_MXCSR,
  OFF_XCR0,
  OFF_XMM,
  OFF_YMMH,
  SS,
  TR,
} from "../../plugins/cpu/x86/state.ts";
import { createTranslator } from "../../plugins/cpu/x86/mod.ts";
import {
  type CaseRecord,
  CODE,
  CODE_BYTES,
  DATA,
  LOW,
  PAGES,
  TIMEOUT_VECTOR,
} from "./record.ts";

const RAM = 0x40000;
// Physical addresses.
const DIRECTORY = 0x1000;
const LOW_TABLE = 0x2000;
const CODE_TABLE = 0x3000;
const DATA_TABLE = 0x4000;
const KERNEL_TABLE = 0x5000;
const SYSTEM = 0x20000;
const CODE_AT = 0x10000;
const DATA_AT = 0x12000;
// Linear addresses of the system pages, from SYSTEM on.
const KERNEL = 0x6b3c0000; // where no case has reason to go
const GDT = KERNEL;
const TSS = KERNEL + 0x400;
const IDT = KERNEL + 0x800;
/** Entry points of the handlers, 16 bytes each: one page. */
export const HANDLERS: number = KERNEL + 0x1000;
const STACK_TOP = KERNEL + 0x3000;
/** A page of supervisor code. */
export const SUPERVISOR_CODE: number = KERNEL + 0x3000;
/** Eight pages of supervisor data. */
export const SUPERVISOR_DATA: number = KERNEL + 0x4000;
const SYSTEM_PAGES = 12;

const PRESENT = 1, WRITABLE = 2, USER = 4, ACCESSED_DIRTY = 0x60;
const USER_PAGE = PRESENT | WRITABLE | USER | ACCESSED_DIRTY;
/** Vectors that push an error code. */
export const HAS_ERROR: ReadonlySet<number> = new Set([
  8,
  10,
  11,
  12,
  13,
  14,
  17,
]);
/** More instructions than any case executes. */
const LIMIT = 200_000;

/** Selectors as 32-bit Linux has them. */
const USER_CS = 0x23, USER_DS = 0x2b, KERNEL_CS = 0x10, KERNEL_DS = 0x18;

/** A CPU that runs cases. */
export class RheaSubject {
  /** The CPU. */
  readonly cpu: X86;
  /** Its engine. */
  readonly engine: Engine;
  readonly #ram: Uint8Array;
  readonly #view: DataView;

  /** Makes the CPU. */
  constructor(
    accel: "jit" | "interp",
    threshold = 1,
    exact = false,
    acknowledge?: () => number,
  ) {
    const memory = new GuestMemory({ guestBytes: RAM, arenaBytes: 4 << 20 });
    const host = memory.alloc(RAM);
    const space: PhysicalSpace = {
      lookupPage: (page) =>
        page < RAM >> 12
          ? { kind: "ram", hostOffset: host + page * 4096, writable: true }
          : { kind: "none", hostOffset: 0, writable: false },
      ramRuns: () => [{ page: 0, pages: RAM >> 12 }],
      read: (_, width) => width === 4 ? 0xffffffff : (1 << 8 * width) - 1,
      write: () => {},
    };
    this.cpu = new X86({
      model: MODELS["max"],
      acknowledge,
      translator: () => createTranslator(MODELS["max"]),
    });
    this.engine = new Engine(this.cpu, {
      memory,
      space,
      accel,
      threshold,
      exact,
    });
    this.#ram = memory.u8.subarray(host, host + RAM);
    this.#view = new DataView(memory.memory.buffer, host, RAM);
    this.#system();
  }

  /** Writes page tables, descriptors and handlers. */
  #system(): void {
    const v = this.#view;
    const put = (at: number, x: number): void => v.setUint32(at, x >>> 0, true);
    const table = (
      linear: number,
      at: number,
      frames: number,
      n: number,
      bits: number,
    ): void => {
      put(DIRECTORY + (linear >>> 22) * 4, at | USER_PAGE);
      for (let i = 0; i < n; i++) {
        put(at + ((linear >>> 12 & 0x3ff) + i) * 4, (frames + i * 4096) | bits);
      }
    };
    table(LOW, LOW_TABLE, DATA_AT, PAGES / 4096, USER_PAGE);
    table(CODE, CODE_TABLE, CODE_AT, PAGES / 4096, USER_PAGE);
    table(DATA, DATA_TABLE, DATA_AT, PAGES / 4096, USER_PAGE);
    table(
      KERNEL,
      KERNEL_TABLE,
      SYSTEM,
      SYSTEM_PAGES,
      PRESENT | WRITABLE | ACCESSED_DIRTY,
    );
    const descriptor = (selector: number, lo: number, hi: number): void => {
      put(SYSTEM + (selector & ~7), lo);
      put(SYSTEM + (selector & ~7) + 4, hi);
    };
    descriptor(KERNEL_CS, 0x0000ffff, 0x00cf9b00);
    descriptor(KERNEL_DS, 0x0000ffff, 0x00cf9300);
    descriptor(USER_CS, 0x0000ffff, 0x00cffb00);
    descriptor(USER_DS, 0x0000ffff, 0x00cff300);
    put(SYSTEM + 0x400 + 4, STACK_TOP);
    put(SYSTEM + 0x400 + 8, KERNEL_DS);
    put(SYSTEM + 0x400 + 0x64, 0x68 << 16); // no I/O permission map
    for (let n = 0; n < 256; n++) {
      const handler = HANDLERS + 16 * n;
      const dpl = n === 3 || n === 4 ? 0x6000 : 0;
      put(SYSTEM + 0x800 + 8 * n, KERNEL_CS << 16 | handler & 0xffff);
      put(SYSTEM + 0x800 + 8 * n + 4, handler & 0xffff0000 | 0x8e00 | dpl);
      this.#ram[SYSTEM + 0x1000 + 16 * n] = 0xf4; // HLT
    }
  }

  /** Guest memory at a linear address of the supervisor's pages. */
  supervisor(linear: number, length: number): Uint8Array {
    const at = linear - KERNEL + SYSTEM;
    return this.#ram.subarray(at, at + length);
  }

  /** The code pages. */
  get code(): Uint8Array {
    return this.#ram.subarray(CODE_AT, CODE_AT + PAGES);
  }

  /** The data pages. */
  get data(): Uint8Array {
    return this.#ram.subarray(DATA_AT, DATA_AT + PAGES);
  }

  /** Puts the CPU at the start of a case, whose code is in place. */
  start(test: CaseRecord): void {
    this.engine.reset();
    this.#setState(test);
    this.engine.flushMapping();
    this.engine.keyChanged();
  }

  /** Runs one case. */
  run(test: CaseRecord): CaseRecord {
    const { engine } = this;
    const ram = this.#ram;
    this.code.fill(0xcc);
    this.code.set(test.code.subarray(0, test.codeLength), test.codeOffset);
    this.data.set(test.data);
    this.start(test);
    const exit = engine.run(LIMIT);
    const result = test.clone();
    this.#getState(result, exit);
    const readable = Math.min(CODE_BYTES, PAGES - test.codeOffset);
    result.code.set(
      ram.subarray(
        CODE_AT + test.codeOffset,
        CODE_AT + test.codeOffset + readable,
      ),
    );
    result.data.set(this.data);
    return result;
  }

  #setState(test: CaseRecord): void {
    const { cpu } = this;
    const s = cpu.state;
    s[OFF_CR >> 2] = 0x80050033 | 0; // PG AM WP NE ET MP PE
    s[(OFF_CR >> 2) + 6] = DIRECTORY;
    s[(OFF_CR >> 2) + 8] = 0x40600; // OSFXSR OSXMMEXCPT OSXSAVE
    s[OFF_XCR0 >> 2] = 7;
    s[OFF_GDT_BASE >> 2] = GDT | 0;
    s[OFF_GDT_LIMIT >> 2] = 0x7f;
    s[OFF_IDT_BASE >> 2] = IDT | 0;
    s[OFF_IDT_LIMIT >> 2] = 0x7ff;
    cpu.setSeg(CS, USER_CS, 0, -1, 0xcffb00);
    for (const seg of [DS, ES, SS]) cpu.setSeg(seg, USER_DS, 0, -1, 0xcff300);
    for (const seg of [FS, GS]) cpu.setSeg(seg, 0, 0, 0, 0);
    cpu.setSeg(LDTR, 0, 0, 0, 0);
    cpu.setSeg(TR, 0x40, TSS | 0, 0x67, 0x8b00);
    s[OFF_CPL >> 2] = 3;
    for (let i = 0; i < 8; i++) cpu.setReg32(i, test.gpr(i) | 0);
    cpu.eip = CODE + test.codeOffset;
    const top = test.fsw >> 11 & 7;
    s[OFF_FCW >> 2] = test.fcw;
    s[OFF_FSW >> 2] = test.fsw & ~0x3800;
    s[OFF_FTOP >> 2] = top;
    s[OFF_FTAG >> 2] = test.ftw;
    s[OFF_MXCSR >> 2] = test.mxcsr;
    for (let i = 0; i < 8; i++) {
      const at = OFF_FPR + 16 * (top + i & 7);
      cpu.state8.fill(0, at, at + 16);
      cpu.state8.set(test.st(i), at);
      cpu.state8.set(test.xmm(i), OFF_XMM + 16 * i);
      cpu.state8.set(test.ymmh(i), OFF_YMMH + 16 * i);
    }
    cpu.setEflags(test.eflags, 0x240fd5);
    cpu.updateKey();
  }

  #getState(result: CaseRecord, exit: string): void {
    const { cpu } = this;
    const s = cpu.state;
    for (let i = 0; i < 8; i++) result.setGpr(i, cpu.reg32(i));
    result.address = 0;
    if (exit !== "dead") {
      result.vector = TIMEOUT_VECTOR;
      result.error = 0;
      result.eip = cpu.eip;
      result.eflags = cpu.getEflags();
    } else {
      // At the HLT of a handler: EIP is behind it.
      const vector = (cpu.eip >>> 0) - HANDLERS >> 4;
      let at = (result.gpr(4) - KERNEL) + SYSTEM;
      const pop = (): number => {
        at += 4;
        return this.#view.getUint32(at - 4, true);
      };
      result.vector = vector;
      result.error = HAS_ERROR.has(vector) ? pop() : 0;
      result.eip = pop();
      pop();
      result.eflags = pop();
      result.setGpr(4, pop());
      if (vector === 14) result.address = s[(OFF_CR >> 2) + 4];
    }
    const top = s[OFF_FTOP >> 2] & 7;
    result.fcw = s[OFF_FCW >> 2];
    result.fsw = s[OFF_FSW >> 2] & ~0x3800 | top << 11;
    result.ftw = s[OFF_FTAG >> 2];
    result.mxcsr = s[OFF_MXCSR >> 2];
    for (let i = 0; i < 8; i++) {
      const at = OFF_FPR + 16 * (top + i & 7);
      result.st(i).set(cpu.state8.subarray(at, at + 10));
      result.xmm(i).set(
        cpu.state8.subarray(OFF_XMM + 16 * i, OFF_XMM + 16 * i + 16),
      );
      result.ymmh(i).set(
        cpu.state8.subarray(OFF_YMMH + 16 * i, OFF_YMMH + 16 * i + 16),
      );
    }
  }
}
