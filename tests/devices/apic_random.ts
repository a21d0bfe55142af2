/**
 * Bare-metal guests that do at random what software may do with a local APIC,
 * by its registers in memory or, in x2APIC mode, by MSRs, and print what they
 * see: registers, and vectors in the order in which they come. Nothing in them
 * depends on time.
 *
 * @module
 */

import type { Random } from "../random.ts";
import { BEGIN, END } from "./apic_asm.ts";

/** What a guest does. */
export interface ApicGuestOptions {
  /** The registers are MSRs. */
  readonly x2apic: boolean;
  /** Interrupts are taken, which nested virtualization may not bear. */
  readonly interrupts: boolean;
  /** Bits of task priorities: KVM may keep the upper four alone. */
  readonly priorities: number;
  /** Software turns the APIC off at times. */
  readonly disables: boolean;
  /** How many times it does something. */
  readonly steps: number;
}

/** Vectors whose handlers end them, and those that leave that to others. */
const ENDED = [0x31, 0x32, 0x41, 0x45, 0x63, 0x71, 0x81, 0x9f, 0xa0, 0xe1];
const HELD = [0x39, 0x69, 0xb9, 0xfe];

// Registers, by offset / 16: also the number of the MSR from 800h on.
const ID = 0x02,
  VERSION = 0x03,
  TPR = 0x08,
  PPR = 0x0a,
  EOI = 0x0b,
  LDR = 0x0d,
  DFR = 0x0e,
  SVR = 0x0f,
  ISR = 0x10,
  IRR = 0x20,
  ESR = 0x28,
  ICR = 0x30,
  ICR_HIGH = 0x31,
  LVT = 0x32,
  INITIAL = 0x38,
  DCR = 0x3e,
  SELF = 0x3f;
/** What may be written to an entry of the local vector table, but its mask. */
const LVT_BITS = [0x200ff, 0x007ff, 0x007ff, 0x0a7ff, 0x0a7ff, 0x000ff];
const MASKED = 0x10000;
/** Enabled, with vector EFh for spurious interrupts. */
const ENABLED = 0x1ef;

const ROUTINES = `
%macro wr 2               ; register, value
%if X2
  mov ecx, 0x800 + %1
  mov eax, %2
  xor edx, edx
  wrmsr
%else
  mov dword [0xfee00000 + 16 * %1], %2
%endif
%endmacro
%macro ipi 2              ; ICR, destination
%if X2
  mov ecx, 0x830
  mov eax, %1
  mov edx, %2
  wrmsr
%else
  wr 0x31, %2 << 24
  wr 0x30, %1
%endif
%endmacro
%macro rd 1
%if X2
  mov ecx, 0x800 + %1
  call rdmsr_
%else
  mov eax, [0xfee00000 + 16 * %1]
  call dword_
%endif
%endmacro
%macro base 1             ; IA32_APIC_BASE
  mov ecx, 0x1b
  mov eax, %1
  xor edx, edx
  wrmsr
  mov ecx, 0x1b
  call rdmsr_
%endmacro
%macro taker 2            ; vector, whether its handler ends it
  gate %1, %%handler
  jmp %%over
%%handler:
  pusha
  mov al, %1
  call byte_
%if %2
  wr 0x0b, 0
%endif
  popa
  iret
%%over:
%endmacro
  jmp main2
rdmsr_:                   ; EAX of the MSR ECX, or #GP
  mov eax, 0xdeadbeef
  rdmsr
  cmp eax, 0xdeadbeef
  je .none
  call dword_
.none:
  ret
fault:                    ; at RDMSR or WRMSR, which have two bytes
  push eax
  push ecx
  push esi
  say "#GP "
  pop esi
  pop ecx
  pop eax
  add esp, 4
  add dword [esp], 2
  pop dword [behind]      ; some KVMs have no IRET here
  add esp, 4
  popfd
  jmp [behind]
behind: dd 0
main2:
  gate 13, fault
`;

/** A guest by a generator of numbers. */
export function apicGuest(
  random: Random,
  { x2apic, interrupts, priorities, disables, steps }: ApicGuestOptions,
): string {
  const lines: string[] = [];
  const write = (register: number, value: number): void => {
    lines.push(`  wr ${register}, 0x${(value >>> 0).toString(16)}`);
  };
  const read = (...registers: number[]): void => {
    for (const register of registers) lines.push(`  rd ${register}`);
  };
  const row = (text: string): void => {
    lines.push("  call newline", `  say "${text}: "`);
  };
  const vector = (): number => random.of([...ENDED, ...HELD]);
  const bits = (mask: number): number =>
    random.below(2 ** 16) * 2 ** 16 + random.below(2 ** 16) & mask;
  const entry = (i: number): number =>
    LVT_BITS[i] & ~0xff & bits(-1) | MASKED | vector();
  if (x2apic) lines.push("  base 0xfee00d00");
  write(SVR, ENABLED);
  if (!x2apic) write(LDR, 0x01000000);
  // Firmware has started the other CPUs by it.
  lines.push("  ipi 0x4041, 1");
  if (x2apic) {
    row("each register");
    for (let register = 0; register < 0x50; register++) {
      // What is there depends on the CPU, or on time.
      if ([0x09, 0x0c, 0x2f, 0x39].includes(register)) continue;
      read(register);
    }
    row("the base");
    for (let i = 0; i < 24; i++) {
      // Off, in xAPIC mode, in x2APIC mode, and a mode that is none.
      const base = random.of([0xfee00100, 0xfee00900, 0xfee00d00, 0xfee00500]);
      lines.push(`  base 0x${base.toString(16)}`);
      read(VERSION, ID);
    }
    // There is a way from everywhere.
    for (const base of ["0xfee00100", "0xfee00900", "0xfee00d00"]) {
      lines.push(`  base ${base}`);
    }
    write(SVR, ENABLED);
  }
  for (let i = 0; i < LVT_BITS.length; i++) write(LVT + i, entry(i));
  let isEnabled = true;
  for (let step = 0; step < steps; step++) {
    switch (random.below(14)) {
      case 0:
      case 1:
      case 2:
        row("self");
        lines.push(`  ipi 0x${(0x44000 + vector()).toString(16)}, 0`);
        break;
      case 3:
        row("physical");
        lines.push(
          `  ipi 0x${(0x4000 + vector()).toString(16)}, ${random.below(3)}`,
        );
        break;
      case 4: {
        row("logical");
        const to = random.below(4);
        const mode = random.of([0x4800, 0x4900]);
        // Of the lowest priority nobody may be lower.
        if (mode === 0x4900 && (to & 1) === 0) break;
        lines.push(`  ipi 0x${(mode + vector()).toString(16)}, ${to}`);
        break;
      }
      case 5: {
        row("shorthand");
        const to = random.of([0x84000, 0xc4000]);
        lines.push(`  ipi 0x${(to + vector()).toString(16)}, 0`);
        break;
      }
      case 6:
        row("task priority");
        write(TPR, bits(0xff) & priorities);
        break;
      case 7:
        if (!interrupts) break;
        row("window");
        lines.push("  window");
        break;
      case 8:
        row("end");
        write(EOI, 0);
        break;
      case 9: {
        const i = random.below(LVT_BITS.length);
        row(`table ${i}`);
        write(LVT + i, entry(i));
        read(LVT + i);
        break;
      }
      case 10:
        row("divide");
        write(DCR, bits(0x0b));
        read(DCR);
        write(INITIAL, bits(-1));
        read(INITIAL);
        break;
      case 11:
        row("destinations");
        if (x2apic) lines.push(`  wr ${SELF}, ${vector()}`);
        else {
          write(LDR, bits(-1) | 0x01000000);
          write(DFR, random.of([0x0fffffff, 0xffffffff]));
          read(LDR, DFR);
          write(LDR, 0x01000000);
          write(DFR, 0xffffffff);
        }
        break;
      case 12:
        if (!disables) break;
        row("off and on");
        isEnabled = !isEnabled;
        write(SVR, isEnabled ? ENABLED : ENABLED & 0xff);
        read(SVR);
        for (let i = 0; i < LVT_BITS.length; i++) read(LVT + i);
        break;
      default:
        row("all");
        read(TPR, PPR, LDR, SVR, ICR);
        if (!x2apic) read(ICR_HIGH);
        for (let i = 0; i < 8; i++) read(ISR + i, IRR + i);
    }
  }
  row("the end");
  write(ESR, 0);
  read(ESR);
  lines.push("  call newline");
  const takers = [
    ...ENDED.map((v) => `  taker ${v}, 1`),
    ...HELD.map((v) => `  taker ${v}, 0`),
  ];
  return [
    `%define X2 ${x2apic ? 1 : 0}`,
    BEGIN,
    ROUTINES,
    ...takers,
    ...lines,
    END,
  ].join("\n");
}
