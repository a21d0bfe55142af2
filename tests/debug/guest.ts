/**
 * Small guests for the debugger's tests: multiboot kernels in assembly.
 *
 * @module
 */

import {
  type Machine,
  Machine as MachineMaker,
  type MachineOptions,
} from "../../machines/machine.ts";
import { assemble, multiboot } from "../faults/guest.ts";

/**
 * A kernel that loops, faults twice, is interrupted by the PIT three times and
 * waits for it with HLT once more, copies a string and moves 128 bits, and ends
 * with status 1.
 */
export const EVENTS = `
start:
  mov esp, 0x200000
  lgdt [gdtr]
  jmp 8:flat
flat:
  mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
  lidt [idtr]
  mov ecx, 300
again:
  mov [0x180000], ecx
  inc dword [0x180004]
  dec ecx
  jnz again
  xor edx, edx
divide:
  div edx               ; #DE, whose handler goes on behind it
divided:
  nop
invalid:
  ud2
go_on:
  mov al, 0x11          ; the PIC: vectors from 32 on, only the PIT
  out 0x20, al
  mov al, 0x20
  out 0x21, al
  mov al, 4
  out 0x21, al
  mov al, 1
  out 0x21, al
  mov al, 0xfe
  out 0x21, al
  mov al, 0x34
  out 0x43, al
  mov al, 0x00
  out 0x40, al
  mov al, 0x10
  out 0x40, al
  sti
ticking:
  cmp dword [ticks], 3
  jb ticking
  cli
shadow:
  sti
halt:
  hlt
  cli
  mov esi, 0x180010
  mov edi, 0x181ff0
  mov ecx, 32
  mov dword [0x181ffc], 1
copy:
  rep movsb             ; over the end of a page
wide:
  mov eax, cr4
  or ah, 2
  mov cr4, eax
  movups xmm0, [0x181ff8]
  movups [0x181ffa], xmm0
  xor eax, eax
  out 0xf4, al
  hlt
on_divide:
  add dword [esp], 2
  iret
on_invalid:
  add dword [esp], 2
  iret
on_tick:
  push eax
  inc dword [ticks]
  mov al, 0x20
  out 0x20, al
  pop eax
  iret
align 8
ticks: dd 0
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr: dw 23
  dd gdt
%macro gate 1
  dw (%1 - $$ + 0x20) & 0xffff, 8, 0x8e00, (0x100020 + %1 - $$) >> 16
%endmacro
idt: gate on_divide
  times 5 dq 0
  gate on_invalid
  times 25 dq 0
  gate on_tick
idtr: dw 33 * 8 - 1
  dd idt
`;

/** Where the code starts. */
export const START = 0x100020;

/** A kernel's addresses, by the labels of its source. */
export interface Guest {
  /** The file. */
  readonly kernel: string;
  /** Where a label is. */
  at(label: string): number;
  /** Remove it. */
  remove(): Promise<void>;
}

/**
 * Assembles a kernel, whose labels `x:` at the beginning of a line are known
 * afterwards; undefined where there is no nasm.
 */
export async function guest(source: string): Promise<Guest | undefined> {
  const labels = [...source.matchAll(/^(\w+):/gm)].map(([, name]) => name);
  // The addresses stand behind the code.
  const code = await assemble(
    `${source}\nalign 4\n${labels.map((l) => `dd ${l}`).join("\n")}\n`,
  );
  if (code === undefined) return undefined;
  const view = new DataView(code.buffer, code.length - 4 * labels.length);
  const places = new Map(
    labels.map((l, i) => [l, view.getUint32(4 * i, true)]),
  );
  const kernel = await Deno.makeTempFile({ suffix: ".elf" });
  await Deno.writeFile(kernel, multiboot(code));
  return {
    kernel,
    at: (label) => {
      const place = places.get(label);
      if (place === undefined) throw new RangeError(`no label "${label}"`);
      return place;
    },
    remove: () => Deno.remove(kernel),
  };
}

/** A machine with the guest, under the instruction count unless the options say otherwise. */
export async function load(
  { kernel }: Guest,
  { threshold = 5, definition = "isapc.json", ...options }:
    & MachineOptions
    & {
      /** Executions that make a block hot. */
      readonly threshold?: number;
      /** The machine's definition; `isapc.json` when absent. */
      readonly definition?: string;
    } = {},
): Promise<Machine> {
  const path = new URL(`../../machines/${definition}`, import.meta.url);
  return await MachineMaker.load(path.pathname, {
    kernel,
    icount: true,
    noReboot: true,
    memory: "16M",
    cpu: "max",
    ...options,
    set: [`cpu.config.threshold=${threshold}`, ...options.set ?? []],
  });
}
