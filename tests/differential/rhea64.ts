/**
 * Runs test cases of 64-bit mode in Rhea: what `rhea.ts` is for 32-bit code,
 * with four levels of page tables and a process as 64-bit Linux has it.
 *
 * @module
 */

import { Engine } from "../../core/exec/engine.ts";
import {
  CPU_AREA_BYTES,
  GUARD_BYTES,
  GuestMemory,
} from "../../core/machine/memory.ts";
import type { PhysicalSpace } from "../../core/mmu/physical_access.ts";
import { X86 } from "../../plugins/cpu/x86/cpu.ts";
import { updateLma } from "../../plugins/cpu/x86/long_mode.ts";
import { createTranslator } from "../../plugins/cpu/x86/mod.ts";
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
  OFF_EFER,
  OFF_EIP,
  OFF_FCW,
  OFF_FPR,
  OFF_FSW,
  OFF_FTAG,
  OFF_FTOP,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_GPR,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  OFF_MXCSR,
  OFF_XCR0,
  OFF_XMM,
  OFF_YMMH,
  SS,
  TR,
} from "../../plugins/cpu/x86/state.ts";
import { CODE, DATA, PAGES, TIMEOUT_VECTOR } from "./record.ts";
import {
  type CaseRecord64,
  CODE64_BYTES,
  FS_BASE,
  GS_BASE,
  HIGH_CODE,
  HIGH_DATA,
} from "./record64.ts";
import { HAS_ERROR } from "./rhea.ts";

const RAM = 0x40000;
// Physical addresses. Page tables stand from PML4 on, one after the other.
const PML4 = 0x1000;
const CODE_AT = 0x10000;
/** The last pages of RAM. */
const DATA_AT = RAM - PAGES;
const SYSTEM = 0x20000;
/** Where the supervisor's pages stand: where no case has reason to go. */
const KERNEL = 0xffff9abc_d5e00000n;
const TSS = KERNEL + 0x400n;
const IDT = KERNEL + 0x1000n;
const HANDLERS = KERNEL + 0x2000n;
const STACK_TOP = KERNEL + 0x4000n;
const SYSTEM_PAGES = 4;

const USER_PAGE = 0x67n; // present, writable, user, accessed, dirty
const SYSTEM_PAGE = 0x63n;
const LIMIT = 200_000;
/** Selectors as 64-bit Linux has them. */
const USER_CS = 0x33, USER_SS = 0x2b, KERNEL_CS = 0x10;

/** A CPU that runs cases. */
export class RheaSubject64 {
  /** The CPU. */
  readonly cpu: X86;
  /** Its engine. */
  readonly engine: Engine;
  readonly #ram: Uint8Array;
  readonly #view: DataView;
  #tables = 1;

  /**
   * Makes the CPU. `full`: its memory is the largest that there is, and ends
   * with the data.
   */
  constructor(accel: "jit" | "interp", threshold = 1, full = false) {
    const arenaBytes = 4 << 20;
    const used = GUARD_BYTES + CPU_AREA_BYTES + arenaBytes;
    const guestBytes = full ? 2 ** 32 - used : RAM;
    const memory = new GuestMemory({ guestBytes, arenaBytes });
    if (full) memory.alloc(guestBytes - RAM);
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
      translator: () => createTranslator(MODELS["max"]),
    });
    this.engine = new Engine(this.cpu, { memory, space, accel, threshold });
    this.#ram = memory.u8.subarray(host, host + RAM);
    this.#view = new DataView(memory.memory.buffer, host, RAM);
    this.#system();
  }

  #put(at: number, v: bigint): void {
    this.#view.setBigUint64(at, BigInt.asUintN(64, v), true);
  }

  /** Maps a page, with the tables above it. */
  #map(linear: bigint, frame: number, bits: bigint): void {
    let table = PML4;
    for (let shift = 39n; shift > 12n; shift -= 9n) {
      const at = table + 8 * Number((linear >> shift) & 511n);
      if (this.#view.getUint32(at, true) === 0) {
        this.#put(at, BigInt(PML4 + 4096 * this.#tables++) | USER_PAGE);
      }
      table = this.#view.getUint32(at, true) & ~0xfff;
    }
    this.#put(
      table + 8 * Number((linear >> 12n) & 511n),
      BigInt(frame) | bits,
    );
  }

  /** Writes page tables, descriptors and handlers. */
  #system(): void {
    for (let i = 0; i < PAGES; i += 4096) {
      for (const at of [CODE, HIGH_CODE]) {
        this.#map(BigInt(at + i), CODE_AT + i, USER_PAGE);
      }
      for (const at of [DATA, HIGH_DATA]) {
        this.#map(BigInt(at + i), DATA_AT + i, USER_PAGE);
      }
    }
    for (let i = 0; i < SYSTEM_PAGES; i++) {
      this.#map(
        KERNEL + BigInt(i * 4096),
        SYSTEM + i * 4096,
        SYSTEM_PAGE,
      );
    }
    this.#put(SYSTEM + KERNEL_CS, 0x00af9b000000ffffn);
    this.#put(SYSTEM + (USER_SS & ~7), 0x00cff3000000ffffn);
    this.#put(SYSTEM + (USER_CS & ~7), 0x00affb000000ffffn);
    this.#put(SYSTEM + 0x400 + 4, STACK_TOP);
    this.#view.setUint16(SYSTEM + 0x400 + 0x66, 0x68, true); // no I/O map
    for (let n = 0; n < 256; n++) {
      const handler = HANDLERS + BigInt(16 * n);
      const dpl = n === 3 || n === 4 ? 0x6000n : 0n;
      this.#put(
        SYSTEM + 0x1000 + 16 * n,
        handler & 0xffffn | BigInt(KERNEL_CS) << 16n |
          (0x8e00n | dpl) << 32n | (handler >> 16n & 0xffffn) << 48n,
      );
      this.#put(SYSTEM + 0x1008 + 16 * n, handler >> 32n);
      this.#ram[SYSTEM + 0x2000 + 16 * n] = 0xf4; // HLT
    }
  }

  /** Puts the CPU at the start of a case. */
  start(test: CaseRecord64): void {
    const { engine } = this;
    const code = this.#ram.subarray(CODE_AT, CODE_AT + PAGES);
    code.fill(0xcc);
    code.set(test.code.subarray(0, test.codeLength), test.codeOffset);
    this.#ram.set(test.data, DATA_AT);
    engine.reset();
    this.#setState(test);
    engine.flushMapping();
    engine.keyChanged();
  }

  /** The exception whose handler it stopped in. */
  vector(): number {
    return Number(this.#get64(OFF_EIP) - HANDLERS) >> 4;
  }

  /** Runs one case. */
  run(test: CaseRecord64): CaseRecord64 {
    this.start(test);
    const exit = this.engine.run(LIMIT);
    const result = test.clone();
    this.#getState(result, exit);
    const at = CODE_AT + test.codeOffset;
    const readable = Math.min(CODE64_BYTES, PAGES - test.codeOffset);
    result.code.set(this.#ram.subarray(at, at + readable));
    result.data.set(this.#ram.subarray(DATA_AT, DATA_AT + PAGES));
    return result;
  }

  #set64(offset: number, v: bigint): void {
    const s = this.cpu.state;
    s[offset >> 2] = Number(BigInt.asIntN(32, v));
    s[(offset >> 2) + 1] = Number(BigInt.asIntN(32, v >> 32n));
  }

  #get64(offset: number): bigint {
    const s = this.cpu.state;
    return BigInt(s[(offset >> 2) + 1] >>> 0) << 32n |
      BigInt(s[offset >> 2] >>> 0);
  }

  #setBase(seg: number, selector: number, base: bigint, attr: number): void {
    const { cpu } = this;
    cpu.setSeg(
      seg,
      selector,
      Number(BigInt.asIntN(32, base)),
      seg === TR ? 0x67 : 0,
      attr,
    );
    cpu.setBaseHigh(seg, Number(BigInt.asIntN(32, base >> 32n)));
  }

  #setState(test: CaseRecord64): void {
    const { cpu } = this;
    const s = cpu.state;
    s[OFF_CR >> 2] = 0x80050033 | 0; // PG AM WP NE ET MP PE
    s[(OFF_CR >> 2) + 6] = PML4;
    s[(OFF_CR >> 2) + 8] = 0x50620; // PAE OSFXSR OSXMMEXCPT FSGSBASE OSXSAVE
    s[OFF_XCR0 >> 2] = 7;
    s[OFF_EFER >> 2] = 0x901; // NXE LME SCE
    updateLma(cpu);
    this.#set64(OFF_GDT_BASE, KERNEL);
    s[OFF_GDT_LIMIT >> 2] = 0x7f;
    this.#set64(OFF_IDT_BASE, IDT);
    s[OFF_IDT_LIMIT >> 2] = 0xfff;
    cpu.setSeg(CS, USER_CS, 0, -1, 0xaffb00);
    cpu.setSeg(SS, USER_SS, 0, -1, 0xcff300);
    for (const seg of [DS, ES, LDTR]) cpu.setSeg(seg, 0, 0, 0, 0);
    this.#setBase(FS, 0, BigInt(FS_BASE), 0);
    this.#setBase(GS, 0, BigInt(GS_BASE), 0);
    this.#setBase(TR, 0x40, TSS, 0x8b00);
    s[OFF_CPL >> 2] = 3;
    for (let i = 0; i < 16; i++) this.#set64(OFF_GPR + 8 * i, test.gpr(i));
    this.#set64(OFF_EIP, test.rip);
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
    }
    for (let i = 0; i < 16; i++) {
      cpu.state8.set(test.xmm(i), OFF_XMM + 16 * i);
      cpu.state8.set(test.ymmh(i), OFF_YMMH + 16 * i);
    }
    cpu.setEflags(test.eflags, 0x240fd5);
    cpu.updateKey();
  }

  #getState(result: CaseRecord64, exit: string): void {
    const { cpu } = this;
    const s = cpu.state;
    for (let i = 0; i < 16; i++) {
      result.setGpr(i, this.#get64(OFF_GPR + 8 * i));
    }
    result.address = 0n;
    result.rip = this.#get64(OFF_EIP);
    if (exit !== "dead") {
      result.vector = TIMEOUT_VECTOR;
      result.error = 0;
      result.eflags = cpu.getEflags();
    } else {
      // At the HLT of a handler: RIP is behind it.
      const vector = this.vector();
      let at = Number(result.gpr(4) - KERNEL) + SYSTEM;
      const pop = (): bigint => {
        at += 8;
        return this.#view.getBigUint64(at - 8, true);
      };
      result.vector = vector;
      result.error = HAS_ERROR.has(vector) ? Number(pop()) : 0;
      result.rip = pop();
      pop();
      result.eflags = Number(pop());
      result.setGpr(4, pop());
      if (vector === 14) result.address = this.#get64(OFF_CR + 16);
    }
    const top = s[OFF_FTOP >> 2] & 7;
    result.fcw = s[OFF_FCW >> 2];
    result.fsw = s[OFF_FSW >> 2] & ~0x3800 | top << 11;
    result.ftw = s[OFF_FTAG >> 2];
    result.mxcsr = s[OFF_MXCSR >> 2];
    for (let i = 0; i < 8; i++) {
      const at = OFF_FPR + 16 * (top + i & 7);
      result.st(i).set(cpu.state8.subarray(at, at + 10));
    }
    for (let i = 0; i < 16; i++) {
      const at = OFF_XMM + 16 * i, high = OFF_YMMH + 16 * i;
      result.xmm(i).set(cpu.state8.subarray(at, at + 16));
      result.ymmh(i).set(cpu.state8.subarray(high, high + 16));
    }
  }
}
