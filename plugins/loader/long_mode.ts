/**
 * The way from flat protected mode to a kernel that starts in 64-bit mode: what
 * Linux' boot protocol asks for there is an identity mapping, a table of
 * segments and interrupts off (Linux' Documentation/arch/x86/boot.rst, "64-bit
 * boot protocol"). The CPU goes that way by code of its own, because only it
 * knows whether it has the mode (Intel SDM volume 3, 10.8.5): one that has not
 * goes on as if there were no such kernel.
 *
 * @module
 */

import type { DmaPort } from "../../core/machine/plugin.ts";
import { CODE_SELECTOR, GDT_BYTES, gdtBytes, PAGE } from "./pc.ts";

/** Where things stand, from the block's start. */
const PDPT_AT = PAGE;
const DIRECTORIES_AT = 2 * PAGE;
/** A directory maps 1 GiB: those for the 4 GiB that 32 bits reach. */
const DIRECTORIES = 4;
const CODE_AT = DIRECTORIES_AT + DIRECTORIES * PAGE;
const GDT_AT = CODE_AT + 0x100;
const GDTR_AT = GDT_AT + GDT_BYTES;
/** Bytes of all of it. */
export const LONG_MODE_BYTES: number = GDTR_AT + 6;

const PRESENT_WRITABLE = 0x3;
const LARGE_PAGE = 0x80;
const LARGE_PAGE_BYTES = 2 << 20;
/** The high word of a flat descriptor for code of 64 bits: L, and not D. */
const CODE64_DESCRIPTOR = 0x00af9b00;

/** Where the CPU may go. */
export interface LongModeWays {
  /** The kernel's first instruction in 64-bit mode, below 4 GiB. */
  readonly entry: number;
  /** Where it goes on in 32 bits, as it started, if it has no such mode. */
  readonly fallback: number;
}

/**
 * Put it in memory, at an address whose page begins there; gives back where the
 * CPU starts, as at a kernel of 32 bits. ESI arrives as it is at either end;
 * eight bytes below ESP are used.
 */
export function writeLongMode(
  dma: DmaPort,
  address: number,
  { entry, fallback }: LongModeWays,
): number {
  const block = new Uint8Array(LONG_MODE_BYTES);
  const view = new DataView(block.buffer);
  view.setUint32(0, address + PDPT_AT | PRESENT_WRITABLE, true);
  for (let i = 0; i < DIRECTORIES; i++) {
    const at = address + DIRECTORIES_AT + i * PAGE;
    view.setUint32(PDPT_AT + 8 * i, at | PRESENT_WRITABLE, true);
  }
  for (let i = 0; i < DIRECTORIES * PAGE / 8; i++) {
    const page = i * LARGE_PAGE_BYTES | LARGE_PAGE | PRESENT_WRITABLE;
    view.setUint32(DIRECTORIES_AT + 8 * i, page >>> 0, true);
  }
  block.set(gdtBytes(CODE64_DESCRIPTOR), GDT_AT);
  view.setUint16(GDTR_AT, GDT_BYTES - 1, true);
  view.setUint32(GDTR_AT + 2, address + GDT_AT, true);
  const code = address + CODE_AT;
  block.set(
    codeBytes(code, {
      entry,
      fallback,
      tables: address,
      gdtr: address + GDTR_AT,
    }),
    CODE_AT,
  );
  dma.write(address, block);
  return code;
}

function word(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => value >>> shift & 0xff);
}

function codeBytes(
  at: number,
  { entry, fallback, tables, gdtr }: LongModeWays & {
    readonly tables: number;
    readonly gdtr: number;
  },
): Uint8Array {
  const wide = [
    ...[0x89, 0xf6], // mov esi, esi: the upper half is not defined
    ...[0xb8, ...word(entry)], // mov eax, entry
    ...[0xff, 0xe0], // jmp rax
  ];
  const without = [
    ...[0x31, 0xdb], // xor ebx, ebx: 0, as at the start
    ...[0xb8, ...word(fallback)], // mov eax, fallback
    ...[0xff, 0xe0], // jmp eax
  ];
  const enable = [
    ...[0x0f, 0x20, 0xe0], // mov eax, cr4
    ...[0x0c, 0x20], // or al, 20h: PAE
    ...[0x0f, 0x22, 0xe0], // mov cr4, eax
    ...[0xb8, ...word(tables)], // mov eax, tables
    ...[0x0f, 0x22, 0xd8], // mov cr3, eax
    ...[0xb9, ...word(0xc0000080)], // mov ecx, IA32_EFER
    ...[0x0f, 0x32], // rdmsr
    ...[0x80, 0xcc, 0x01], // or ah, 1: LME
    ...[0x0f, 0x30], // wrmsr
    ...[0x0f, 0x01, 0x15, ...word(gdtr)], // lgdt [gdtr]
    ...[0x0f, 0x20, 0xc0], // mov eax, cr0
    ...[0x0d, ...word(0x80000000)], // or eax, 80000000h: PG
    ...[0x0f, 0x22, 0xc0], // mov cr0, eax
  ];
  const far = 7;
  /** A jump of two bytes to `without`, with so many bytes between it and `enable`. */
  const unless = (opcode: number, between: number): number[] => [
    opcode,
    between + enable.length + far,
  ];
  const hasMode = [
    ...[0xb8, ...word(0x80000001)], // mov eax, 80000001h
    ...[0x0f, 0xa2], // cpuid
    ...[0x0f, 0xba, 0xe2, 29], // bt edx, 29: LM
    ...unless(0x73, 0), // jnc without
  ];
  const hasLeaf = [
    ...[0xb8, ...word(0x80000000)], // mov eax, 80000000h
    ...[0x0f, 0xa2], // cpuid
    ...[0x3d, ...word(0x80000001)], // cmp eax, 80000001h
    ...unless(0x72, hasMode.length), // jb without
  ];
  const hasCpuid = [
    ...[0x9c, 0x58], // pushfd; pop eax
    ...[0x89, 0xc2], // mov edx, eax
    ...[0x35, ...word(0x200000)], // xor eax, 200000h: ID
    ...[0x50, 0x9d], // push eax; popfd
    ...[0x9c, 0x58], // pushfd; pop eax
    ...[0x52, 0x9d], // push edx; popfd
    ...[0x31, 0xd0], // xor eax, edx
    ...[0xa9, ...word(0x200000)], // test eax, 200000h
    ...unless(0x74, hasLeaf.length + hasMode.length), // jz without
  ];
  const before = [...hasCpuid, ...hasLeaf, ...hasMode, ...enable];
  const target = at + before.length + far + without.length;
  return Uint8Array.of(
    ...before,
    ...[0xea, ...word(target), CODE_SELECTOR, 0], // jmp CODE_SELECTOR:wide
    ...without,
    ...wide,
  );
}
