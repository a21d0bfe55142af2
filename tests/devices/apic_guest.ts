/**
 * Bare-metal guests for the local APIC, that print what
 * they see: vectors in the order in which they come, and registers.
 *
 * @module
 */

import { BEGIN, END } from "./apic_asm.ts";

/** Registers, priorities and interrupts to itself, messages, the timer. */
export const LOCAL_APIC_GUEST = `${BEGIN}
  say "identity: "
  mov eax, 1
  cpuid
  shr ebx, 24
  and edx, 0x200
  push edx
  mov eax, ebx
  call dword_
  pop eax
  call dword_
  mov ecx, 0x1b
  rdmsr
  push edx
  call dword_
  pop eax
  call dword_
  call newline

  say "registers: "
  show 0x20
  show 0x30
  apic 0xd0, 0x01000000
  show 0xd0
  show 0xe0
  show 0xf0
  show 0x80
  show 0xa0
  apic 0x340, 0x10400
  show 0x340
  apic 0x3e0, 0xb
  show 0x3e0
  apic 0x380, 0
  show 0x390
  call newline

  say "priorities: "
  vector 0x41
  vector 0x45
  vector 0x55
  vector 0x63
  vector 0x71
  vector 0x81
  self 0x41
  self 0x63
  self 0x55
  self 0x45
  show 0x220
  show 0x230
  window
  show 0x220
  show 0x230
  call newline

  say "task priority: "
  apic 0x80, 0x60
  self 0x55
  self 0x63
  self 0x71
  window
  show 0xa0
  show 0x220
  show 0x230
  apic 0x80, 0x5f
  window
  apic 0x80, 0x4f
  window
  apic 0x80, 0
  show 0xa0
  call newline

  say "nested: "
  gate 0x61, nesting
  self 0x61
  window
  call newline
  jmp nested
nesting:
  pusha
  say "["
  show 0xa0
  show 0x130
  self 0x63               ; of the same class: later
  self 0x81
  self 0x41
  window
  apic 0xb0, 0
  say "] "
  window
  popa
  iret
nested:

  say "destinations: "
  apic 0x310, 0
  apic 0x300, 0x41        ; physical, ID 0
  window
  apic 0x310, 0x01000000
  apic 0x300, 0x45        ; nobody has ID 1
  window
  apic 0x300, 0x855       ; logical, a bit of the flat model
  window
  apic 0x310, 0xfe000000
  apic 0x300, 0x863       ; not one of its bits
  window
  apic 0x310, 0xff000000
  apic 0x300, 0x71        ; all
  window
  apic 0x300, 0x80041     ; all with self, by shorthand
  window
  apic 0x300, 0xc0045     ; all but self
  window
  apic 0x310, 0x01000000
  apic 0x300, 0x955       ; lowest priority
  window
  apic 0xe0, 0x0fffffff   ; the cluster model
  apic 0xd0, 0x21000000
  apic 0x310, 0x21000000
  apic 0x300, 0x863
  window
  apic 0x310, 0x31000000  ; another cluster
  apic 0x300, 0x871
  window
  apic 0x310, 0x22000000  ; another of the cluster
  apic 0x300, 0x871
  window
  apic 0xe0, 0xffffffff
  apic 0xd0, 0x01000000
  call newline

  say "messages: "
  mov dword [0xfee00000], 0x41
  window
  mov dword [0xfee01000], 0x45 ; nobody has ID 1
  window
  mov dword [0xfee0100c], 0x55 ; logical
  window
  mov dword [0xfee01004], 0x163 ; logical, lowest priority
  window
  mov dword [0xfeeff000], 0x71 ; all
  window
  mov dword [0xfee00000], 0xc081 ; level triggered
  show 0x1c0
  window
  show 0x1c0
  call newline

  say "non-maskable: "
  gate 2, nmi
  jmp maskable
nmi:
  pusha
  say "nmi "
  popa
  iret
maskable:
  apic 0x310, 0
  apic 0x300, 0x400       ; by ICR
  jmp .next
.next:
  mov dword [0xfee00000], 0x400 ; by a message
  jmp .last
.last:
  call newline

  say "timer: "
  mov dword [taken], 0
  apic 0x320, 0x45
  apic 0x3e0, 0xb
  apic 0x380, 1000000
  until 1
  show 0x390
  show 0x380
  apic 0x320, 0x20055     ; periodic
  apic 0x3e0, 0x3         ; divided by 16
  apic 0x380, 100000
  ticks 4, {apic 0x320, 0x30055}
  show 0x320
  apic 0x380, 0
  show 0x390
  apic 0x320, 0x41
  apic 0x380, 0xffffffff
  mov ebx, [0xfee00390]
  mov ecx, 10000
.spin: loop .spin
  cmp ebx, [0xfee00390]
  seta al
  call byte_              ; it counts down
  apic 0x380, 0
  call newline

  say "disabled: "
  apic 0x350, 0x700
  apic 0xf0, 0xef
  show 0x350
  apic 0x350, 0x700
  apic 0xf0, 0x1ef
  call newline
${END}`;

/** NMI by LINT1, which COM2's interrupt drives. */
export const LINT1_GUEST = `${BEGIN}
  gate 2, nmi
  jmp main2
nmi:
  pusha
  say "nmi "
  popa
  iret
main2:
  mov dx, 0x2fc
  mov al, 8
  out dx, al
%macro fire 0             ; COM2's line rises, and falls
  mov dx, 0x2f9
  mov al, 2
  out dx, al
  jmp %%up
%%up:
  xor eax, eax
  out dx, al
  jmp %%down
%%down:
%endmacro
  say "masked "
  fire
  apic 0x360, 0x400
  say "unmasked "
  fire
  say "by software "
  apic 0xf0, 0xef         ; masks it
  fire
  say "by hardware "
  mov ecx, 0x1b
  mov eax, 0xfee00100
  xor edx, edx
  wrmsr
  fire
  call newline
${END}`;

/** IA32_APIC_BASE: moves, disables and enables. */
export const APIC_BASE_GUEST = `${BEGIN}
%macro base 1
  mov ecx, 0x1b
  mov eax, %1
  xor edx, edx
  wrmsr
%endmacro
%macro cpu 0              ; CPUID's bit
  mov eax, 1
  cpuid
  mov eax, edx
  and eax, 0x200
  call dword_
%endmacro
  gate 13, fault
  jmp main2
fault:                    ; at the WRMSR, which has two bytes
  push eax
  push ecx
  push esi
  say "#GP "
  pop esi
  pop ecx
  pop eax
  add esp, 4
  add dword [esp], 2
  iret
main2:
  say "moved: "
  apic 0x80, 0x20
  base 0xfef00900
  mov eax, [0xfef00030]
  call dword_
  mov eax, [0xfef00080]
  call dword_
  show 0x30
  mov ecx, 0x1b
  rdmsr
  call dword_
  vector 0x41
  mov dword [0xfef00080], 0
  mov dword [0xfee00000], 0x41 ; messages stay where they are
  sti
  nop
  cli
  mov eax, [0xfef00110]   ; it was not ended
  call dword_
  mov eax, [0xfef00120]
  call dword_
  mov dword [taken], 0
  base 0xfee00900
  apic 0xb0, 0
  call newline

  say "over RAM: "
  mov dword [0x400030], 0x12345678
  mov dword [0x400000], 0x9abcdef0
  base 0x400900
  mov eax, [0x400030]
  call dword_
  mov eax, [0x400000]     ; nothing of it is there
  call dword_
  base 0xfee00900
  mov eax, [0x400030]
  call dword_
  call newline

  say "reserved: "
  base 0xfee00d00
  base 0xfee00901
  call newline

  say "off: "
  cpu
  base 0xfee00100
  cpu
  show 0x30
  gate 0x20, wired
  jmp wire
wired:
  pusha
  mov al, 0x20
  call taking
  outb 0x20, 0x20
  popa
  iret
wire:
  outb 0x21, 0xfe
  pit
  ticks 2, {outb 0x21, 0xff}
  base 0xfee00900
  cpu
  show 0xf0
  show 0x350
  call newline
${END}`;

/** Waits for vector 41h, a line each. */
export const MESSAGE_GUEST = `${BEGIN}
  vector 0x41
  vector 0x45
  say "ready"
  call newline
  until 1
  call newline
  until 1
  call newline
${END}`;

/**
 * A PCI card in slot 3 whose register 70h drives INTA# (bit 0) and sends a
 * message (bit 1).
 */
export const CARD_GUEST = `${BEGIN}
%macro config 3           ; function and register, port, value
  mov eax, 0x80000000 + %1
  mov edx, 0xcf8
  out dx, eax
  mov edx, %2
  mov eax, %3
  out dx, eax
%endmacro
%macro card 1
  config 0x1870, 0xcfc, %1
%endmacro
%macro line 1             ; a handler that lowers the line the second time
  gate %1, %%handler
  jmp %%over
%%handler:
  pusha
  mov al, %1
  call taking
  cmp dword [taken], 2
  jb %%end
  card 0
%%end:
  apic 0xb0, 0
  popa
  iret
%%over:
%endmacro
  line 0x60
  line 0x61
  line 0x62
  line 0x63
  line 0x6b
  say "pins: "
  entry 16, 0xa060, 0
  entry 17, 0xa061, 0
  entry 18, 0xa062, 0
  entry 19, 0xa063, 0
  card 1
  window
  window
  window
  mov dword [taken], 0
  showio 0x34
  entry 18, 0x1a062, 0
  call newline

  say "routed: "
  config 0x0860, 0xcfc, 0x800b8080 ; PIRQC to IRQ 11
  entry 11, 0xa06b, 0
  card 1
  window
  window
  window
  entry 11, 0x1a06b, 0
  mov dword [taken], 0
  call newline

  say "messages: "
  vector 0x41
  config 0x1804, 0xcfc, 4 ; bus master
  config 0x1850, 0xcfc, 0x00010000 ; MSI on
  config 0x1854, 0xcfc, 0xfee00000
  config 0x185c, 0xcfc, 0x41
  card 2
  window
  card 1                  ; no line while there are messages
  window
  card 0
  config 0x1854, 0xcfc, 0xfee05000 ; to nobody
  card 2
  window
  config 0x1854, 0xcfc, 0xfeeff000 ; to all
  card 2
  window
  call newline
${END}`;

/**
 * A deadline is a value of the time stamp counter, whatever is written to that;
 * one that has passed interrupts before the next instruction.
 */
export const DEADLINE_GUEST = `${BEGIN}
%macro counter 1          ; the time stamp counter
  mov ecx, 0x10
  mov eax, %1
  xor edx, edx
  wrmsr
%endmacro
%macro deadline 0         ; whether it is what was written
  mov ecx, 0x6e0
  rdmsr
  cmp eax, ebp
  setne al
  call byte_
%endmacro
  vector 0x41
  apic 0x320, 0x40041
  counter 0
  mov ebp, 4000000000     ; of nanoseconds
  mov eax, ebp
  xor edx, edx
  mov ecx, 0x6e0
  wrmsr
  deadline
  counter 1000000000
  deadline
  counter 4000000000
  until 1
  mov ecx, 0x6e0
  rdmsr
  or eax, edx
  call dword_
  sti
  mov ecx, 0x10
  rdmsr
  mov ecx, 0x6e0
  wrmsr
  mov eax, [taken]
  cli
  call dword_
  call newline
${END}`;
