/**
 * Guests that stand still in a known state, for what the monitor shows of them.
 *
 * @module
 */

import { assemble, multiboot } from "../faults/guest.ts";

/** How a guest's addresses are translated. */
export type PagingMode = "none" | "32" | "pae" | "long" | "loop";

/** Where `x` finds the guest's code. */
export const CODE = 0x100020;
/** Where it has bytes of every value. */
export const BYTES = 0x300000;

/** Registers with a value each, the interrupt controllers set up, then HLT. */
const SETTLE = `
  fninit
  fld1
  fldpi
  mov eax, cr4
  or eax, 0x600           ; OSFXSR, OSXMMEXCPT
  mov cr4, eax
  movaps xmm1, [numbers]
  movaps xmm7, [numbers + 16]
  mov edi, ${BYTES}
  xor eax, eax
.fill: mov [edi + eax], al
  inc eax
  cmp eax, 1024
  jb .fill
  mov al, 0x11
  out 0x20, al
  out 0xa0, al
  mov al, 0x20
  out 0x21, al
  mov al, 0x28
  out 0xa1, al
  mov al, 4
  out 0x21, al
  mov al, 2
  out 0xa1, al
  mov al, 1
  out 0x21, al
  out 0xa1, al
  mov al, 0xfb
  out 0x21, al
  mov al, 0xff
  out 0xa1, al
  mov al, 0x0b            ; read ISR from now on
  out 0xa0, al
`;

const REGISTERS = `
  mov eax, 0x11111111
  mov ebx, 0x22222222
  mov ecx, 0x33333333
  mov edx, 0x44444444
  mov esi, 0x55555555
  mov ebp, 0x77777777
  sub edi, edi
  stc
stand: sti
  hlt
  jmp stand
  times 8 nop
`;

const DATA = `
align 16
numbers: dd 1, 2, 3, 4, 0x80000000, 0xffffffff, 7, 8
gdt: dq 0
  dq 0x00cf9b000000ffff   ; 08: code, accessed: QEMU would not see that a jump sets it
  dq 0x00cf92000000ffff   ; 10: data
  dq 0x00af9b000000ffff   ; 18: code of 64-bit mode
  dq 0x0000f2000400ffff   ; 20: data, level 3, 16 bits
gdtr: dw $ - gdt - 1
  dd gdt
idtr: dw 0x7ff
  dd 0x1f0000
`;

const BEGIN = `
  cli
  mov esp, 0x180000
  lgdt [gdtr]
  lidt [idtr]
  jmp 8:.flat
.flat: mov eax, 0x10
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov fs, ax
  mov eax, 0x23
  mov gs, ax
  mov edi, 0x200000       ; tables
  mov ecx, 0x8000 / 4
  xor eax, eax
  rep stosd
`;

/** Tables for 32-bit paging: pages of every kind, large ones, a hole. */
const PAGING_32 = `
  mov edi, 0x201000
  mov eax, 7
.page: mov edx, eax
  cmp eax, 0x100000
  jb .put
  and edx, ~4             ; the supervisor's
  cmp eax, 0x280000
  jb .put
  or edx, 0x118           ; global, PCD, PWT
  cmp eax, 0x300000
  jb .put
  and edx, ~0x11a         ; read only
  cmp eax, 0x304000
  jb .put
  or edx, 2
.put: mov [edi], edx
  add edi, 4
  add eax, 0x1000
  cmp eax, 0x380000
  jb .page
  mov dword [0x200000], 0x201007
  mov dword [0x200004], 0x400083
  mov dword [0x200008], 0x800187
  mov dword [0x200c00], 0x000083
  mov dword [0x200ffc], 0x201003
  mov eax, cr4
  or eax, 0x90            ; PSE, PGE
  mov cr4, eax
  mov eax, 0x200000
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  mov byte [${BYTES + 0x10000}], 1
`;

/** A table of 4 KiB pages at 203000h, for the 2 MiB that it covers. */
const TABLE_64 = `
  mov edi, 0x203000
  mov eax, 7
.page: mov [edi], eax
  mov dword [edi + 4], 0
  cmp eax, 0x150000
  jb .next
  mov dword [edi + 4], 0x80000000
.next: add edi, 8
  add eax, 0x1000
  cmp eax, 0x1f0000
  jb .page
  mov ecx, 0xc0000080     ; EFER: NXE
  rdmsr
  or eax, 0x800
  wrmsr
  mov eax, cr4
  or eax, 0xa0            ; PAE, PGE
  mov cr4, eax
`;

const PAGING_PAE = `
  mov dword [0x200000], 0x202001
  mov dword [0x200018], 0x204001
  mov dword [0x202000], 0x203007
  mov dword [0x202008], 0x200083
  mov dword [0x202010], 0x400187
  mov dword [0x202014], 0x80000000
  mov dword [0x204ff8], 0x000081
${TABLE_64}
  mov eax, 0x200000
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
`;

const PAGING_LONG = `
  mov dword [0x200000], 0x201007
  mov dword [0x200ff8], 0x204003
  mov dword [0x201000], 0x202007
  mov dword [0x202000], 0x203007
  mov dword [0x202008], 0x200083
  mov dword [0x202010], 0x400187
  mov dword [0x202014], 0x80000000
  mov dword [0x204ff0], 0x202003
${TABLE_64}
  mov eax, 0x200000
  mov cr3, eax
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x100           ; LME
  wrmsr
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  jmp 0x18:.long
bits 64
.long:
  mov rax, .upper + 0xffffffff80000000 ; as kernels: where addresses have 64 bits
  jmp rax
.upper:
  mov r8, 0x8888888888888888
  mov r15, 0xffffffff12345678
`;

/** Each entry of the one table leads to the table itself, but for the first. */
const PAGING_LOOP = `
  mov edi, 0x200000
  mov ecx, 512
.entry: mov dword [edi], 0x200003
  mov dword [edi + 4], 0
  add edi, 8
  loop .entry
  mov dword [0x200000], 0x201003
  mov dword [0x201000], 0x202003
  mov dword [0x202000], 0x000083
  mov eax, cr4
  or eax, 0x20
  mov cr4, eax
  mov eax, 0x200000
  mov cr3, eax
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x100
  wrmsr
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
`;

/** A kernel that stands still at HLT; undefined where nasm is not installed. */
export async function standingGuest(
  mode: PagingMode,
): Promise<Uint8Array | undefined> {
  const paging = {
    none: "",
    "32": PAGING_32,
    pae: PAGING_PAE,
    long: PAGING_LONG,
    loop: PAGING_LOOP,
  }[mode];
  const code = await assemble(BEGIN + SETTLE + paging + REGISTERS + DATA);
  return code === undefined ? undefined : multiboot(code);
}
