/**
 * Guests that raise exceptions and interrupts at random, and whose handlers
 * write down each one that comes to them.
 *
 * @module
 */

import type { Prng } from "../differential/prng.ts";

/** A CPU's mode. */
export type Mode = "real" | "virtual-8086" | "protected" | "long";

/** Where the handlers write. */
export const LOG = 0x200000;
/** Where, in real mode; the first entry has where the next one comes. */
export const LOG_LOW = 0x20000;
/** Bytes of an entry: vector, error code (-1: none), CR2, EIP; 8 bytes each in long mode. */
export const ENTRY = 16;
/** Vectors of INT n. */
const SOFTWARE = [0x40, 0x41, 0x42];
/** The PIT's. */
export const TICK = 32;
/** Vectors whose exceptions push an error code. */
const WITH_ERROR = [8, 10, 11, 12, 13, 14, 17];
const ROUNDS = 12;

/** What raises something; the handler goes on at the label in (e/r)bx. */
function pieces(mode: Mode, p: Prng): readonly string[] {
  const bad = "0x" + (0x1000000 + p.below(0x800000)).toString(16);
  const int = `int ${SOFTWARE[p.below(SOFTWARE.length)]}`;
  const common = [
    "xor edx, edx\n  div edx",
    "ud2",
    "int3",
    int,
    "mov ecx, 3\n  mov eax, [0x90000]\n  inc eax",
    "mov ecx, 3000\nwait@: dec ecx\n  jnz wait@",
  ];
  switch (mode) {
    case "real":
    case "virtual-8086":
      return common.map((piece) => piece.replace("[0x90000]", "[0x9000]"));
    case "protected":
      return [
        ...common,
        "mov al, 0x7f\n  inc al\n  into",
        "mov eax, 9\n  bound eax, [bounds]",
        "mov eax, 0x20\n  mov fs, ax",
        `mov eax, 0x${(0x1000 + p.below(0xe000)).toString(16)}\n  mov ds, ax`,
        `mov eax, [${bad}]`,
        `inc dword [${bad}]`,
        `push dword [${bad}]`,
      ];
    case "long":
      return [
        ...common,
        "mov eax, 0x20\n  mov fs, ax",
        `mov eax, [${bad}]`,
        `mov rax, 0xffff800000000000 + ${bad}\n  inc qword [rax]`,
        "mov rax, 0x8000000000000000\n  mov rax, [rax]",
      ];
  }
}

/** The body of a program: what is raised, some rounds of it. Each piece is there, once at least. */
function body(mode: Mode, p: Prng, count: number): string {
  const register = mode === "long" ? "rbx" : "ebx";
  let text = "";
  for (let i = 0; i < count; i++) {
    const all = pieces(mode, p);
    const piece = all[i < all.length ? i : p.below(all.length)];
    text += `  mov ${register}, next${i}\n  ${
      piece.replaceAll("@", `${i}`)
    }\nnext${i}:\n`;
  }
  return text;
}

const PIC = `
  mov al, 0x11
  out 0x20, al
  mov al, ${TICK}
  out 0x21, al
  mov al, 4
  out 0x21, al
  mov al, 1
  out 0x21, al
  mov al, 0xfe
  out 0x21, al
  mov al, 0x34
  out 0x43, al
  mov al, 0x40
  out 0x40, al
  mov al, 0
  out 0x40, al
`;

/** Entries of handlers for all vectors. */
function entries(pushes: boolean): string {
  let text = "";
  for (let v = 0; v < 0x43; v++) {
    const error = pushes && WITH_ERROR.includes(v) ? "" : "  push byte -1\n";
    text += `handler${v}:\n${error}  push byte ${v}\n  jmp handle\n`;
  }
  return text;
}

const FLAT = `
start:
  mov esp, 0x1f0000
  lgdt [gdtr]
  jmp 8:flat
flat:
  mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
`;
const GDT = `
align 8
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00af9a000000ffff
  dq 0x00cf12000000ffff, 0x0000891c00002070
gdtr: dw 47
  dd gdt
bounds: dd 1, 5
`;
/** What ends a program. */
const END = `
  cli
  xor eax, eax
  out 0xf4, al
  hlt
`;

/** 4 MiB pages of the first 16 MiB; from there on there are none. */
const PROTECTED = (run: string): string => `
${FLAT}
  mov dword [0x1e0000], 0x87
  mov dword [0x1e0004], 0x400087
  mov dword [0x1e0008], 0x800087
  mov dword [0x1e000c], 0xc00087
  mov eax, 0x1e0000
  mov cr3, eax
  mov eax, cr4
  or eax, 0x10
  mov cr4, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  lidt [idtr]
${PIC}
  mov dword [0x1d0000], ${LOG}
  mov ebp, ${ROUNDS}
${run}
handle:
  pushad
  mov eax, 16
  mov ds, eax
  mov edi, [0x1d0000]
  mov eax, [esp + 32]
  mov [edi], eax
  mov edx, [esp + 36]
  mov [edi + 4], edx
  mov edx, cr2
  mov [edi + 8], edx
  mov edx, [esp + 40]
  mov [edi + 12], edx
  add dword [0x1d0000], ${ENTRY}
  cmp eax, ${TICK}
  je tick
  mov [esp + 40], ebx
  popad
  add esp, 8
  iret
tick:
  mov al, 0x20
  out 0x20, al
  popad
  add esp, 8
  iret
${entries(true)}
${GDT}
%assign v 0
align 8
idt:
%rep 0x43
  dw (handler%+v - $$ + 0x20) & 0xffff, 8, 0xee00, (0x100020 + handler%+v - $$) >> 16
%assign v v + 1
%endrep
idtr: dw 0x43 * 8 - 1
  dd idt
`;

/** What runs in protected mode. */
const FLAT_PROGRAM = (program: string): string => `
  sti
round:
${program}
  dec ebp
  jnz near round
${END}
`;

/** What enters virtual-8086 mode, with IOPL 3 and all ports, at 8000h. */
const VIRTUAL = (program: string): string => `
  mov esi, low
  mov edi, 0x8000
  mov ecx, low_end - low
  rep movsb
  mov dword [0x1c0004], 0x1b0000
  mov dword [0x1c0008], 16
  mov word [0x1c0066], 0x68
  mov byte [0x1c2068], 0xff
  mov ax, 0x28
  ltr ax
  xor eax, eax
%rep 5
  push eax
%endrep
  push dword 0x7000
  push dword 0x23202
  push eax
  push dword 0x8000
  iretd
bits 16
low:
${program}
  dec ebp
  jnz near low
  xor ax, ax
  out 0xf4, al
  jmp $
low_end:
bits 32
`;

const LONG = (program: string): string => `
${FLAT}
  mov dword [0x1e0000], 0x1e1003
  mov dword [0x1e1000], 0x1e2003
  mov dword [0x1e2000], 0x83
  mov dword [0x1e2008], 0x200083
  mov eax, cr4
  or eax, 0x20
  mov cr4, eax
  mov eax, 0x1e0000
  mov cr3, eax
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x100
  wrmsr
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  jmp 0x18:entry64
bits 64
entry64:
  lidt [idtr]
${PIC}
  mov qword [0x1d0000], ${LOG}
  mov ebp, ${ROUNDS}
  sti
round:
${program}
  dec ebp
  jnz near round
${END}
handle:
  push rax
  push rdx
  push rdi
  mov rdi, [0x1d0000]
  mov rax, [rsp + 24]
  mov [rdi], rax
  mov rdx, [rsp + 32]
  mov [rdi + 8], rdx
  mov rdx, cr2
  mov [rdi + 16], rdx
  mov rdx, [rsp + 40]
  mov [rdi + 24], rdx
  add qword [0x1d0000], ${2 * ENTRY}
  cmp eax, ${TICK}
  je tick
  mov [rsp + 40], rbx
  jmp handled
tick:
  mov al, 0x20
  out 0x20, al
handled:
  pop rdi
  pop rdx
  pop rax
  add rsp, 16
  iretq
${entries(true)}
bits 32
${GDT}
%assign v 0
align 16
idt:
%rep 0x43
  dw (handler%+v - $$ + 0x20) & 0xffff, 0x18, 0x8e00, (0x100020 + handler%+v - $$) >> 16
  dd 0, 0
%assign v v + 1
%endrep
idtr: dw 0x43 * 16 - 1
  dd idt, 0
`;

/** Handlers of real mode, at 8000h, in segment 0. */
const LOW = (program: string): string => `
bits 16
low:
${program}
  dec ebp
  jnz near low
  cli
  xor ax, ax
  out 0xf4, al
  hlt
handle:
  push eax
  push ds
  push di
  push edx
  mov ax, ${LOG_LOW >> 4}
  mov ds, ax
  mov di, [0]
  push bp
  mov bp, sp
  mov ax, [bp + 14]
  movzx edx, ax
  mov [di], edx
  mov dword [di + 4], -1
  mov dword [di + 8], 0
  movzx edx, word [bp + 18]
  mov [di + 12], edx
  add word [0], ${ENTRY}
  cmp ax, ${TICK}
  je tick
  mov [bp + 18], bx
  jmp handled
tick:
  mov al, 0x20
  out 0x20, al
handled:
  pop bp
  pop edx
  pop di
  pop ds
  pop eax
  add sp, 4
  iret
${entries(false)}
low_end:
`;

/** A label of the code at 8000h, as it is there. */
const REAL = (program: string): string => `
${FLAT}
  mov esi, low
  mov edi, 0x8000
  mov ecx, low_end - low
  rep movsb
  mov dword [${LOG_LOW}], ${ENTRY}
%assign v 0
%rep 0x43
  mov dword [4 * v], 0x8000 + handler%+v - low
%assign v v + 1
%endrep
${PIC}
  mov ebp, ${ROUNDS}
  jmp 0x28:(0x8000 + down - low)
${
  LOW(program).replace(
    "handle:",
    `down:
  mov ax, 0x30
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov eax, cr0
  and al, 0xfe
  mov cr0, eax
  jmp 0:(0x8000 + really - low)
really:
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, 0x7000
  lidt [cs:0x8000 + ivt - low]
  sti
  jmp low
ivt: dw 0x3ff
  dd 0
handle:`,
  )
}
bits 32
align 8
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0, 0
  dq 0x00009a000000ffff, 0x000092000000ffff
gdtr: dw 55
  dd gdt
`;

/** A random program in a mode, in assembly. */
export function exceptionsGuest(mode: Mode, p: Prng, count = 40): string {
  const program = body(mode, p, count);
  const low = program.replace(
    /mov ebx, next(\d+)/g,
    "mov ebx, 0x8000 + next$1 - low",
  );
  switch (mode) {
    case "protected":
      return PROTECTED(FLAT_PROGRAM(program));
    case "virtual-8086":
      return PROTECTED(VIRTUAL(low));
    case "long":
      return LONG(program);
    case "real":
      return REAL(low);
  }
}
