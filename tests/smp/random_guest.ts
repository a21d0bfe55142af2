/**
 * A kernel for two CPUs, both of which do at random what changes registers of
 * all kinds: general, x87, SSE and debug registers, MSRs, those of the local
 * APIC and its timer. They interrupt each other, and the first one starts the
 * other anew. It never ends.
 *
 * @module
 */

import { Random } from "../random.ts";

/** Actions of each CPU, before it begins again. */
const ACTIONS = 400;
const REGISTERS = ["eax", "ecx", "edx", "ebx", "esi", "edi", "ebp"];
/** Vectors whose handlers end them, and those that are left in service. */
const VECTORS = [0x35, 0x41, 0x42, 0x53, 0x71, 0x92];
const HELD = [0x34, 0x62, 0xa1];

/** Registers of a local APIC, by offset / 16. */
const TPR = 0x08,
  EOI = 0x0b,
  SVR = 0x0f,
  ESR = 0x28,
  LVT = 0x32,
  INITIAL = 0x38,
  DIVIDE = 0x3e;
const LVT_TIMER = LVT, LVT_LINT0 = LVT + 3, LVT_LINT1 = LVT + 4;
const TSC = 0x10, TSC_DEADLINE = 0x6e0;

const FRAME = `
PATIENCE equ 1000
TURNS equ 500
%include "smp.inc"

%macro WRMSR 3              ; address, high, low
        mov ecx, %1
        mov edx, %2
        mov eax, %3
        wrmsr
%endmacro
%macro APIC 2               ; register, value
%ifdef X2APIC
        WRMSR 0x800 + %1, 0, %2
%else
        mov dword [LAPIC + %1 * 16], %2
%endif
%endmacro
%macro SEND 2               ; destination, low half
%ifdef X2APIC
        WRMSR 0x830, %1, %2
%else
        IPI %1, %2
%endif
%endmacro
; The other CPU, until it can take an NMI again.
%macro START_OTHER 0
        mov dword [ready], 0
        SEND 1, 0x4500
        call delay
        SEND 1, 0x4600 | START >> 12
%%wait: pause
        cmp dword [ready], 1
        jne %%wait
%endmacro
%macro BEGIN_CPU 0
%ifdef X2APIC
        mov ecx, 0x1b
        rdmsr
        or eax, 0xc00
        wrmsr
%endif
        mov eax, cr4
        or eax, 0x600       ; OSFXSR, OSXMMEXCPT
        mov cr4, eax
        mov eax, cr0
        and eax, ~4         ; EM
        or eax, 0x22        ; MP, NE
        mov cr0, eax
        fninit
        APIC ${SVR}, 0x1ef
%endmacro

bits 16
trampoline:
        cli
        mov ax, cs
        mov ds, ax
        o32 lgdt [tramp_gdtr - trampoline]
        mov eax, cr0
        or al, 1
        and eax, 0x9fffffff
        mov cr0, eax
        jmp dword 8:other
tramp_gdtr:
        dw 23
        dd gdt
trampoline_end:
bits 32

ended:  pushad
        APIC ${EOI}, 0
        popad
held:   iret

main:
        FLAT
        mov edi, START
        mov esi, trampoline
        mov ecx, trampoline_end - trampoline
        rep movsb
        mov edi, idt
        mov edx, ended
        mov ecx, 256
.gates: call gate
        loop .gates
        mov edx, held
        mov edi, idt
        mov ecx, 32
.exceptions: call gate
        loop .exceptions
${
  HELD.map((vector) =>
    `        mov edi, idt + ${vector} * 8\n        call gate`
  )
    .join("\n")
}
        lidt [idtr]
        BEGIN_CPU
        START_OTHER
        sti
`;

const OTHER = `
other:
        mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, stacks + 8192
        lidt [idtr]
        BEGIN_CPU
        mov dword [ready], 1
        sti
`;

const END = `
align 16
data:   dq 0x3ff123456789abcd, 0x4005bf0a8b145769
image_end:
absolute image_end
bss:
idt:    resb 256 * 8
stacks: resb 2 * 4096
ready:  resd 1
words:  resb 1024
bss_end:
`;

/** One thing that a CPU does, in assembly. */
function action(random: Random, cpu: number): string {
  const word = (): number => random.below(0x1_0000_0000);
  const register = (): string => random.of(REGISTERS);
  const xmm = (): string => `xmm${random.below(8)}`;
  const vector = (): number => random.of([...VECTORS, ...HELD]);
  const at = (): string => `[words + ${4 * random.below(200)}]`;
  const entry = (bits: number): number =>
    vector() | random.of([0, 0x10000]) | word() & bits;
  switch (random.below(26)) {
    case 0:
    case 1:
      return `mov ${register()}, ${word()}`;
    case 2: {
      const operation = random.of(["add", "sub", "xor", "imul", "cmp"]);
      return `${operation} ${register()}, ${register()}`;
    }
    case 3:
      return `mov ${at()}, ${register()}`;
    case 4:
      return `movups ${xmm()}, ${at()}`;
    case 5:
      return `${random.of(["mulpd", "paddd", "pxor"])} ${xmm()}, ${xmm()}`;
    case 6:
      return `mov dword [words + 1000], ${0x1f80 | word() & 0x603f}
        ldmxcsr [words + 1000]`;
    case 7:
      return random.of(["fld1", "fldpi", "fld qword [data]", "fninit"]);
    case 8:
      return random.of(["fadd", "fmulp", "fdivrp", "fxch", "fsin", "fstp st2"]);
    case 9:
      return `mov dr${random.below(4)}, ${register()}`;
    case 10:
      return random.of(["std", "cld", "stc", "sti", "sti", "cli"]);
    case 11:
      return `WRMSR ${
        random.of([0x174, 0x175, 0x176, 0xc0000081, 0xc0000103])
      }, 0, ${word()}`;
    case 12:
      return `WRMSR 0x277, 0x0${random.of([0, 1, 4, 5, 6])}060504, 0x00070106`;
    case 13:
      return `WRMSR ${TSC}, ${random.below(100)}, ${word()}`;
    case 14:
      return `APIC ${TPR}, ${random.below(0x60)}`;
    case 15:
    case 16:
      return `APIC ${EOI}, 0`;
    case 17:
      return `APIC ${ESR}, 0`;
    case 18:
      return `APIC ${random.of([LVT_LINT0, LVT_LINT1])}, ${entry(0xa000)}`;
    case 19:
      return `APIC ${LVT_TIMER}, ${entry(0x20000)}
        APIC ${DIVIDE}, ${random.of([0, 1, 2, 3, 8, 9, 10, 11])}
        APIC ${INITIAL}, ${random.of([0, 2000, 30000, 0xffffffff])}`;
    case 20:
      return `APIC ${LVT_TIMER}, ${0x40000 | entry(0)}
        rdtsc
        add eax, ${random.below(50_000)}
        adc edx, 0
        mov ecx, ${TSC_DEADLINE}
        wrmsr`;
    case 21:
    case 22:
      return `SEND ${random.below(2)}, ${
        random.of([vector(), 0x400, random.below(16), 0x40000 | vector()])
      }`;
    case 23:
      // It is woken, whatever it has in service.
      return `APIC ${TPR}, 0
        %rep 16
        APIC ${EOI}, 0
        %endrep
        APIC ${LVT_TIMER}, ${VECTORS[2]}
        APIC ${DIVIDE}, 11
        APIC ${INITIAL}, ${random.below(5000)}
        sti
        hlt`;
    case 24:
      return `mov eax, ${word() & ~0xff | 0x400}\nmov dr7, eax`;
    default:
      return cpu !== 0 || random.below(8) !== 0 ? "pause" : "START_OTHER";
  }
}

/** The source of a kernel; with the symbol X2APIC, its CPUs are in that mode. */
export function randomGuest(seed: number): string {
  const random = new Random(seed);
  const actions = (cpu: number): string => {
    const all = Array.from({ length: ACTIONS }, () => action(random, cpu));
    return `again${cpu}:\n${all.join("\n")}\n        jmp again${cpu}\n`;
  };
  return FRAME + actions(0) + OTHER + actions(1) + END;
}
