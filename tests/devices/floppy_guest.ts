/**
 * A bare-metal driver of a floppy drive, that prints what it sees: the
 * interrupts and the result of each command, and checksums of data.
 *
 * @module
 */

import { interrupts, PRELUDE, PRINT } from "./asm.ts";

const ROUTINES = `
status:                   ; the main status register, once RQM is set
  mov ecx, 4000000
.wait:
  mov dx, 0x3f4
  in al, dx
  test al, 0x80
  jnz .end
  loop .wait
  say '(no RQM) '
.end: ret
send:                     ; a byte of a command: BL
  call status
  mov dx, 0x3f5
  mov al, bl
  out dx, al
  ret
%macro fdc 1-*
%rep %0
  mov bl, %1
  call send
%rotate 1
%endrep
%endmacro
result:                   ; the result phase
  call status
  and al, 0x50
  cmp al, 0x50
  jne .end
  mov dx, 0x3f5
  in al, dx
  call byte_
  jmp result
.end: jmp newline
irq:                      ; wait for an interrupt, and how many there were
  sti
  mov ecx, 4000000
.wait:
  mov dx, 0x3f4
  in al, dx
  cmp dword [taken], 0
  jne .end
  loop .wait
.end:
  cli
  mov al, [taken]
  call byte_
  mov dword [taken], 0
  ret
taken: dd 0
handler:
  push eax
  inc dword [taken]
  mov al, 0x20
  out 0x20, al
  pop eax
  iret
sense:
  fdc 0x08
  jmp result
%macro sought 1+          ; a seek, its interrupt and its end
  fdc %1
  call irq
  call sense
%endmacro
%macro executed 2+        ; a name and a command with an interrupt and a result
  say %1
  fdc %2
  call irq
  call result
%endmacro
%macro told 2+            ; a name and a command with a result alone
  say %1
  fdc %2
  call result
%endmacro
%macro dma 3              ; mode, address, bytes
  outb 0x0a, 6
  outb 0x0c, 0
  outb 0x0b, %1 | 2
  outb 0x04, (%2) & 0xff
  outb 0x04, (%2) >> 8 & 0xff
  outb 0x81, (%2) >> 16
  outb 0x05, ((%3) - 1) & 0xff
  outb 0x05, ((%3) - 1) >> 8
  outb 0x0a, 2
%endmacro
dma_state:                ; status, address and count of channel 2
  in al, 0x08
  and al, 0x44
  call byte_
  outb 0x0c, 0
  in al, 0x04
  call byte_
  in al, 0x04
  call byte_
  in al, 0x05
  call byte_
  in al, 0x05
  call byte_
  jmp newline
sum:                      ; of ECX bytes at ESI
  xor eax, eax
.next:
  rol eax, 5
  add al, [esi]
  inc esi
  loop .next
  call dword_
  jmp newline
pattern:                  ; ECX bytes at EDI, from EBP on
  imul ebp, ebp, 0x19660d
  add ebp, 0x3c6ef35f
  mov eax, ebp
  shr eax, 16
  stosb
  loop pattern
  ret
clear:                    ; the buffer
  mov edi, BUFFER
  mov ecx, 0x8000
  xor eax, eax
  rep stosb
  ret
BUFFER equ 0x30000
TO_MEMORY equ 0x44
FROM_MEMORY equ 0x48
%macro read 3+            ; a name, bytes and the command: state and checksum
  say %1
  call clear
  dma TO_MEMORY, BUFFER, %2
  fdc %3
  call irq
  call result
  call dma_state
  mov esi, BUFFER
  mov ecx, 0x8000
  call sum
%endmacro
%macro write 3+
  say %1
  mov edi, BUFFER
  mov ecx, %2
  call pattern
  dma FROM_MEMORY, BUFFER, %2
  fdc %3
  call irq
  call result
  call dma_state
%endmacro
dir:                      ; DSKCHG
  mov dx, 0x3f7
  in al, dx
  and al, 0x80
  call byte_
  jmp newline
main:
` + interrupts(0xbf, 0xff) + `
  gate 0x26, handler
  mov ebp, 1
  say 'change '
  call dir
  ; a reset, and what polling finds
  outb 0x3f2, 0x08
  mov ecx, 1000
.delay:
  in al, 0x80
  loop .delay
  outb 0x3f2, 0x1c
  say 'reset '
  call irq
  call sense
  call sense
  call sense
  call sense
  call sense
  outb 0x3f7, 0
  fdc 0x03, 0xaf, 0x02
`;

const END = `
  say 'END'
  call newline
  mov al, 0
  out 0xf4, al
  cli
  hlt
`;

/** GPL and DTL. */
const GAPS = "0x1b, 0xff";

const DISK_SCRIPT = `
  told 'version ', 0x10
  told 'part id ', 0x18
  told 'invalid ', 0x00
  told 'lock ', 0x94
  told 'unlock ', 0x14
  fdc 0x13, 0, 0x1a, 0
  fdc 0x12, 0x00
  told 'dumpreg ', 0x0e
  say 'recalibrate '
  sought 0x07, 0
  say 'change '
  call dir
  say 'seek '
  sought 0x0f, 0, 10
  say 'change '
  call dir
  say 'seek head 1 '
  sought 0x0f, 4, 12
  say 'relative in '
  sought 0xcf, 0, 3
  say 'relative out '
  sought 0x8f, 0, 5
  told 'drive ', 0x04, 0
  told 'drive head 1 ', 0x04, 4
  told 'sense without ', 0x08
  say 'recalibrate '
  sought 0x07, 0
  told 'drive track 0 ', 0x04, 0
  executed 'id ', 0x4a, 0
  executed 'id ', 0x4a, 0
  say 'seek '
  sought 0x0f, 0, 10
  executed 'id ', 0x4a, 4

  read 'one ', 512, 0x46, 0, 10, 0, 1, 2, 18, ${GAPS}
  read 'last ', 512, 0x46, 0, 10, 0, 18, 2, 18, ${GAPS}
  read 'head 1 ', 512, 0x46, 4, 10, 1, 9, 2, 18, ${GAPS}
  read 'some ', 2048, 0xe6, 0, 10, 0, 3, 2, 18, ${GAPS}
  read 'over ', 5120, 0xc6, 0, 10, 0, 14, 2, 18, ${GAPS}
  read 'cylinder ', 18432, 0xc6, 0, 10, 0, 1, 2, 18, ${GAPS}
  read 'side ', 9216, 0x46, 4, 10, 1, 1, 2, 18, ${GAPS}
  read 'cut off ', 700, 0x46, 0, 10, 0, 2, 2, 18, ${GAPS}
  read 'no count ', 4096, 0x46, 0, 10, 0, 17, 2, 18, ${GAPS}
  read 'no sector ', 512, 0x46, 0, 10, 0, 19, 2, 19, ${GAPS}
  outb 0x3f7, 2
  read 'rate ', 512, 0x46, 0, 10, 0, 1, 2, 18, ${GAPS}
  executed 'id rate ', 0x4a, 0
  outb 0x3f7, 0
  read 'track ', 9216, 0x42, 0, 10, 0, 1, 2, 18, ${GAPS}
  ; verify transfers of the DMA controller, and VERIFY
  say 'verified '
  call clear
  dma 0x40, BUFFER, 1024
  fdc 0x46, 0, 10, 0, 5, 2, 18, ${GAPS}
  call irq
  call result
  call dma_state
  mov esi, BUFFER
  mov ecx, 0x8000
  call sum
  executed 'verify ', 0x56, 0, 10, 0, 1, 2, 18, ${GAPS}

  say 'seek '
  sought 0x0f, 0, 33
  write 'write ', 512, 0x45, 0, 33, 0, 1, 2, 18, ${GAPS}
  write 'write over ', 4096, 0xc5, 0, 33, 0, 16, 2, 18, ${GAPS}
  write 'write head 1 ', 1024, 0x45, 4, 33, 1, 7, 2, 18, ${GAPS}
  read 'back ', 18432, 0xc6, 0, 33, 0, 1, 2, 18, ${GAPS}

  ; a track is formatted and written
  say 'seek '
  sought 0x0f, 0, 50
  mov edi, BUFFER
  mov ecx, 18
  mov eax, 0x02010032
.ids:
  stosd
  add eax, 0x10000
  loop .ids
  dma FROM_MEMORY, BUFFER, 72
  say 'format '
  fdc 0x4d, 0, 2, 18, 0x1b, 0xf6
  call irq
  call result
  write 'write it ', 9216, 0x45, 0, 50, 0, 1, 2, 18, ${GAPS}
  read 'read it ', 9216, 0x46, 0, 50, 0, 1, 2, 18, ${GAPS}

  ; byte by byte
  say 'by hand '
  sought 0x0f, 0, 60
  fdc 0x03, 0xaf, 0x03
  fdc 0x46, 0, 60, 0, 4, 2, 4, ${GAPS}
  mov edi, BUFFER
  mov ecx, 512
.in:
  push ecx
  call status
  and al, 0x70
  cmp al, 0x70
  jne .in_end
  pop ecx
  mov dx, 0x3f5
  in al, dx
  stosb
  loop .in
  push ecx
.in_end:
  pop eax
  call dword_
  call result
  mov esi, BUFFER
  mov ecx, 512
  call sum
  say 'written by hand '
  fdc 0xc5, 0, 60, 0, 5, 2, 5, ${GAPS}
  mov ecx, 6 * 512
.out:
  push ecx
  call status
  and al, 0x70
  cmp al, 0x30
  jne .out_end
  pop ecx
  mov dx, 0x3f5
  mov al, cl
  out dx, al
  loop .out
  push ecx
.out_end:
  pop eax
  call dword_
  call result
  fdc 0x03, 0xaf, 0x02
  read 'and read ', 18432, 0xc6, 0, 60, 0, 1, 2, 18, ${GAPS}
  ; by the data rate select register
  sti
  outb 0x3f4, 0x80
  say 'reset '
  call irq
  call sense
`;

const PROTECTED_SCRIPT = `
  say 'recalibrate '
  sought 0x07, 0
  told 'drive ', 0x04, 0
  read 'read ', 512, 0x46, 0, 0, 0, 1, 2, 18, ${GAPS}
  write 'write ', 512, 0x45, 0, 0, 0, 1, 2, 18, ${GAPS}
  read 'again ', 512, 0x46, 0, 0, 0, 1, 2, 18, ${GAPS}
`;

const EMPTY_SCRIPT = `
  say 'recalibrate '
  sought 0x07, 0
  say 'seek '
  sought 0x0f, 0, 5
  say 'change '
  call dir
  told 'drive ', 0x04, 0
  executed 'id ', 0x4a, 0
  read 'read ', 512, 0x46, 0, 5, 0, 1, 2, 18, ${GAPS}
`;

const BEGIN = PRELUDE + PRINT + ROUTINES;

/** Sources of the driver for a disk, one that is write protected, and none. */
export const FLOPPY_GUESTS: Readonly<
  Record<"disk" | "protected" | "empty", string>
> = {
  disk: BEGIN + DISK_SCRIPT + END,
  protected: BEGIN + PROTECTED_SCRIPT + END,
  empty: BEGIN + EMPTY_SCRIPT + END,
};
