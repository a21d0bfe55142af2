/**
 * What an ELF core file says of an x86 CPU: a thread's registers as Linux has
 * them (`NT_PRSTATUS`), for gdb and crash; and all that they have no place for,
 * as QEMU's own note (`target/i386/arch_dump.c`, `QEMUCPUState`).
 *
 * @module
 */

import type { CoreFormat, CoreNote } from "../../../core/cpu/inspector.ts";
import type { X86 } from "./cpu.ts";
import {
  CS,
  DS,
  ES,
  FS,
  GS,
  LDTR,
  OFF_CR,
  OFF_EIP,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_GPR,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  OFF_KERNEL_GS_BASE,
  OFF_SEG,
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS,
  TR,
} from "./state.ts";

/** ELF's numbers of the machines. */
const EM_386 = 3, EM_X86_64 = 62;
const NT_PRSTATUS = 1;
/** Bytes of `struct elf_prstatus`, and where the process and the registers are. */
const PRSTATUS = {
  32: { size: 144, pid: 24, registers: 72 },
  64: { size: 336, pid: 32, registers: 112 },
} as const;
/** Bytes of QEMU's note, and its version. */
const QEMU_SIZE = 440, QEMU_VERSION = 1;
/** The encoding of the general registers in the order of each. */
const ORDER_32 = [3, 1, 2, 6, 7, 5, 0];
const ORDER_64 = [15, 14, 13, 12, 5, 3, 11, 10, 9, 8, 0, 1, 2, 6, 7];
const ORDER_QEMU = [0, 3, 1, 2, 6, 7, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];
const ESP = 4;
/** A limit is in pages. */
const G = 0x800000;

/** The high word of a segment's descriptor, without its base. */
export function descriptorFlags(cpu: X86, seg: number): number {
  const at = OFF_SEG + 32 * seg >> 2;
  const limit = cpu.state[at + (SEG_LIMIT >> 2)] >>> 0;
  const attributes = cpu.state[at + (SEG_ATTR >> 2)];
  const nibble = (attributes & G) !== 0 ? limit >>> 28 : limit >>> 16 & 0xf;
  return attributes & 0xf0ff00 | nibble << 16;
}

/** Puts words into a note. */
class Writer {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Where the next word goes. */
  seek(at: number): void {
    this.#at = at;
  }

  word(value: number): void {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  wide(value: bigint): void {
    this.#view.setBigUint64(this.#at, value, true);
    this.#at += 8;
  }
}

/** Core files of x86 CPUs. */
export class X86CoreFormat implements CoreFormat {
  readonly #cpu: X86;

  /** Those of this CPU. */
  constructor(cpu: X86) {
    this.#cpu = cpu;
  }

  /** 64 from when its system is one of 64 bits: IA-32e mode. */
  get bits(): 32 | 64 {
    return this.#cpu.lma ? 64 : 32;
  }

  /** See {@linkcode CoreFormat.machine}. */
  machine(bits: 32 | 64): number {
    return bits === 64 ? EM_X86_64 : EM_386;
  }

  /** See {@linkcode CoreFormat.notes}. */
  notes(cpu: number, bits: 32 | 64): readonly CoreNote[] {
    return [
      {
        name: "CORE",
        type: NT_PRSTATUS,
        data: bits === 64 ? this.#thread64(cpu) : this.#thread32(cpu),
      },
      { name: "QEMU", type: 0, data: this.#system() },
    ];
  }

  #word(offset: number): number {
    return this.#cpu.state[offset >> 2] >>> 0;
  }

  #wide(offset: number): bigint {
    const low = BigInt(this.#word(offset));
    return this.#cpu.lma ? BigInt(this.#word(offset + 4)) << 32n | low : low;
  }

  #general(n: number): bigint {
    // Outside 64-bit mode nobody sees the high halves.
    const at = OFF_GPR + 8 * n;
    return this.#cpu.long ? this.#wide(at) : BigInt(n < 8 ? this.#word(at) : 0);
  }

  #selector(seg: number): number {
    return this.#word(OFF_SEG + 32 * seg + SEG_SELECTOR) & 0xffff;
  }

  #thread32(cpu: number): Uint8Array {
    const { size, pid, registers } = PRSTATUS[32];
    const out = new Writer(size);
    out.seek(pid);
    out.word(cpu + 1);
    out.seek(registers);
    for (const n of ORDER_32) out.word(Number(this.#general(n)));
    for (const seg of [DS, ES, FS, GS]) out.word(this.#selector(seg));
    // What Linux has of a system call.
    out.word(0);
    out.word(this.#word(OFF_EIP));
    out.word(this.#selector(CS));
    out.word(this.#cpu.getEflags());
    out.word(Number(this.#general(ESP)));
    out.word(this.#selector(SS));
    return out.bytes;
  }

  #thread64(cpu: number): Uint8Array {
    const { size, pid, registers } = PRSTATUS[64];
    const out = new Writer(size);
    out.seek(pid);
    out.word(cpu + 1);
    out.seek(registers);
    for (const n of ORDER_64) out.wide(this.#general(n));
    out.wide(0n);
    out.wide(this.#wide(OFF_EIP));
    out.wide(BigInt(this.#selector(CS)));
    out.wide(BigInt(this.#cpu.getEflags() >>> 0));
    out.wide(this.#general(ESP));
    out.wide(BigInt(this.#selector(SS)));
    for (const seg of [FS, GS]) {
      out.wide(this.#wide(OFF_SEG + 32 * seg + SEG_BASE));
    }
    for (const seg of [DS, ES, FS, GS]) {
      out.wide(BigInt(this.#selector(seg)));
    }
    return out.bytes;
  }

  #system(): Uint8Array {
    const out = new Writer(QEMU_SIZE);
    out.word(QEMU_VERSION);
    out.word(QEMU_SIZE);
    for (const n of ORDER_QEMU) out.wide(this.#general(n));
    out.wide(this.#wide(OFF_EIP));
    out.wide(BigInt(this.#cpu.getEflags() >>> 0));
    for (const seg of [CS, DS, ES, FS, GS, SS, LDTR, TR]) {
      const at = OFF_SEG + 32 * seg;
      out.word(this.#selector(seg));
      out.word(this.#word(at + SEG_LIMIT));
      out.word(descriptorFlags(this.#cpu, seg));
      out.word(0);
      out.wide(this.#wide(at + SEG_BASE));
    }
    const table = (base: number, limit: number): void => {
      out.word(0);
      out.word(this.#word(limit));
      out.wide(0n);
      out.wide(this.#wide(base));
    };
    table(OFF_GDT_BASE, OFF_GDT_LIMIT);
    table(OFF_IDT_BASE, OFF_IDT_LIMIT);
    for (let n = 0; n <= 4; n++) out.wide(this.#wide(OFF_CR + 8 * n));
    out.wide(this.#wide(OFF_KERNEL_GS_BASE));
    return out.bytes;
  }
}
