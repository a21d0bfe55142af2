/**
 * A bare-metal driver of a disk on the primary IDE channel, that prints what
 * it sees: registers after each step and checksums of data.
 *
 * @module
 */

import { interrupts, PRELUDE, PRINT } from "./asm.ts";

/** The code that a script calls, behind `PRINT`. */
export const ROUTINES: string = `
ready:                    ; wait for BSY to clear, by alternate status
  mov dx, 0x3f6
.wait: in al, dx
  test al, 0x80
  jnz .wait
  ret
regs:                     ; alternate status, error, count, address, device
  call ready
  call byte_
  mov dx, 0x1f1
.next: in al, dx
  call byte_
  inc edx
  cmp edx, 0x1f7
  jne .next
  ret
irq:                      ; interrupts taken, and the status
  mov dword [taken], 0
  sti
  nop
  nop
  cli
  mov al, [taken]
  call byte_
  mov dx, 0x1f7
  in al, dx
  call byte_
  ret
taken: dd 0
handler:
  push eax
  inc dword [taken]
  mov al, 0x20
  out 0xa0, al
  out 0x20, al
  pop eax
  iret
delay:
  mov ecx, 20000
.next: mov dx, 0x80
  in al, dx
  loop .next
  ret
%macro task 6             ; features, count, low, mid, high, device
  outb 0x1f6, %6
  outb 0x1f1, %1
  outb 0x1f2, %2
  outb 0x1f3, %3
  outb 0x1f4, %4
  outb 0x1f5, %5
%endmacro
%macro task48 6           ; count, then the address from its low byte on
  outb 0x1f6, 0xe0
  outb 0x1f2, (%1) >> 8
  outb 0x1f3, %5
  outb 0x1f4, %6
  outb 0x1f5, 0
  outb 0x1f2, (%1) & 0xff
  outb 0x1f3, %2
  outb 0x1f4, %3
  outb 0x1f5, %4
%endmacro
%macro command 1
  outb 0x1f7, %1
  call ready
%endmacro
%macro report 1           ; a name, the interrupt and the registers
  say %1
  say ': '
  call ready
  call irq
  call regs
  call newline
%endmacro
%macro ask 8              ; a name and a command, then its task
  task %3, %4, %5, %6, %7, %8
  command %2
  report %1
%endmacro
%macro ask48 8
  task48 %3, %4, %5, %6, %7, %8
  command %2
  report %1
%endmacro
blocks:                   ; read DRQ blocks of EBX bytes while there are any
  call ready
  mov edi, 0x200000
.next:
  call ready
  test al, 8
  jz .end
  mov ecx, ebx
  shr ecx, 1
  mov dx, 0x1f0
  rep insw
  mov al, '.'
  call put
  jmp .next
.end:                     ; and their checksum
  mov esi, 0x200000
  xor eax, eax
.sum: cmp esi, edi
  jae .sum_end
  rol eax, 5
  add al, [esi]
  inc esi
  jmp .sum
.sum_end:
  call dword_
  mov eax, edi
  sub eax, 0x200000
  call dword_
  call newline
  ret
send:                     ; write DRQ blocks of EBX bytes of a pattern from EBP
  call ready
  test al, 8
  jz .end
  mov ecx, ebx
  shr ecx, 1
  mov dx, 0x1f0
.next:
  imul ebp, ebp, 0x19660d
  add ebp, 0x3c6ef35f
  mov eax, ebp
  shr eax, 8
  out dx, ax
  loop .next
  mov al, ','
  call put
  jmp send
.end: ret
main:
` + interrupts(0xfb, 0xbf) + `
  gate 0x2e, handler
`;

/** Words of IDENTIFY DEVICE that are the same on both machines. */
const WORDS = [1, 3, 6, 47, 49, 54, 55, 56, 57, 58, 60, 61, 63, 100, 101];

/** What the guest does, in order. */
const SCRIPT = `
  ; a software reset, and the signature
  outb 0x1f6, 0xa0
  outb 0x3f6, 0x04
  call delay
  outb 0x3f6, 0x00
  call delay
  say 'reset '
  call regs
  call newline
  ; device 1 is not there: its status is 0
  outb 0x1f6, 0xb0
  say 'absent '
  mov dx, 0x3f6
  in al, dx
  call byte_
  mov dx, 0x1f7
  in al, dx
  call byte_
  outb 0x1f7, 0xec
  mov dx, 0x3f6
  in al, dx
  call byte_
  call newline
  outb 0x1f6, 0xa0

  command 0xec
  report 'identify'
  mov edi, 0x200000
  mov ecx, 256
  mov dx, 0x1f0
  rep insw
  report 'identified'
${
  WORDS.map((word) => `
  say 'word ${word}: '
  movzx eax, word [0x200000 + ${2 * word}]
  call dword_
  call newline`).join("")
}
  ; CHS: cylinder 1, head 2, sector 3, and over the end of a track
  ask 'chs', 0x20, 0, 1, 3, 1, 0, 0xa2
  mov ebx, 512
  call blocks
  report 'chs done'
  task 0, 4, 62, 2, 0, 0xaf
  command 0x21
  call blocks
  report 'chs over'
  ; LBA28
  ask 'lba28', 0x20, 0, 3, 0x34, 0x12, 0, 0xe0
  call blocks
  report 'lba28 done'
  task 0, 0, 0x10, 0, 0, 0xe0
  command 0x20
  call blocks
  report '256 sectors'
  ; LBA48 and the previous content of the registers
  task48 3, 0x34, 0x12, 0, 0, 0
  outb 0x3f6, 0x80
  say 'hob '
  call regs
  outb 0x3f6, 0x00
  call newline
  command 0x24
  call blocks
  report 'lba48'
  task48 300, 0x00, 0x20, 0, 0, 0
  command 0x24
  call blocks
  report '300 sectors'
  ; 32 bits at a time
  task 0, 1, 5, 0, 0, 0xe0
  command 0x20
  mov edi, 0x200000
  mov ecx, 128
  mov dx, 0x1f0
  rep insd
  call blocks.end
  report '32 bits'
  ; READ MULTIPLE: off, refused, 4, with a part at the end
  ask 'multiple 0', 0xc6, 0, 0, 0, 0, 0, 0xe0
  ask 'read multiple off', 0xc4, 0, 5, 9, 0, 0, 0xe0
  ask 'multiple 3', 0xc6, 0, 3, 0, 0, 0, 0xe0
  ask 'multiple 32', 0xc6, 0, 32, 0, 0, 0, 0xe0
  ask 'multiple 4', 0xc6, 0, 4, 0, 0, 0, 0xe0
  task 0, 8, 9, 0, 0, 0xe0
  command 0xc4
  mov ebx, 2048
  call blocks
  report 'read multiple'
  task48 8, 9, 1, 0, 0, 0
  command 0x29
  call blocks
  report 'read multiple ext'
  ; writes, and what is read back
  mov ebp, 1
  mov ebx, 512
  ask 'write', 0x30, 0, 3, 0x50, 0x01, 0, 0xe0
  call send
  report 'written'
  task48 2, 0x53, 0x01, 0, 0, 0
  command 0x34
  call send
  report 'written ext'
  mov ebx, 2048
  task 0, 8, 0x60, 0x01, 0, 0xe0
  command 0xc5
  call send
  report 'written multiple'
  task48 8, 0x70, 0x01, 0, 0, 0
  command 0x39
  call send
  report 'written multiple ext'
  mov ebx, 512
  task 0, 2, 1, 9, 0, 0xa0
  command 0x31
  call send
  report 'written chs'
  task 0, 0x40, 0x4f, 0x01, 0, 0xe0
  command 0x20
  call blocks
  task 0, 3, 1, 9, 0, 0xa0
  command 0x20
  call blocks
  command 0xe7
  report 'flush'
  command 0xea
  report 'flush ext'
  ; without data
  ask 'verify', 0x40, 0, 2, 7, 0, 0, 0xe0
  ask 'recalibrate', 0x10, 0, 0, 0, 0, 0, 0xe0
  ask 'seek', 0x70, 0, 0, 9, 0, 0, 0xe0
  ask 'power', 0xe5, 0, 0, 0, 0, 0, 0xe0
  ask 'native max', 0xf8, 0, 0, 0, 0, 0, 0xe0
  ask 'native max chs', 0xf8, 0, 0, 0, 0, 0, 0xa0
  ask48 'native max ext', 0x27, 0, 0, 0, 0, 0, 0
  ask 'pio mode 4', 0xef, 0x03, 0x0c, 0, 0, 0, 0xe0
  ask 'mwdma mode 2', 0xef, 0x03, 0x22, 0, 0, 0, 0xe0
  ask 'write cache', 0xef, 0x02, 0, 0, 0, 0, 0xe0
  ask 'no such feature', 0xef, 0x77, 0, 0, 0, 0, 0xe0
  ; SMART: its key, thresholds, logs, self-tests; off and on
  ask 'smart status', 0xb0, 0xda, 0, 0, 0x4f, 0xc2, 0xe0
  ask 'smart without its key', 0xb0, 0xda, 0, 0, 0x4f, 0xc3, 0xe0
  task 0xd1, 1, 0, 0x4f, 0xc2, 0xe0
  command 0xb0
  mov ebx, 512
  call blocks
  report 'smart thresholds'
  task 0xd5, 1, 6, 0x4f, 0xc2, 0xe0
  command 0xb0
  call blocks
  report 'smart self-tests'
  ask 'no such log', 0xb0, 0xd5, 1, 0x77, 0x4f, 0xc2, 0xe0
  ask 'smart self-test', 0xb0, 0xd4, 0, 1, 0x4f, 0xc2, 0xe0
  ask 'smart autosave', 0xb0, 0xd2, 0xf1, 0, 0x4f, 0xc2, 0xe0
  ask 'smart autosave, no such', 0xb0, 0xd2, 0x11, 0, 0x4f, 0xc2, 0xe0
  ask 'smart off', 0xb0, 0xd9, 0, 0, 0x4f, 0xc2, 0xe0
  ask 'smart is off', 0xb0, 0xda, 0, 0, 0x4f, 0xc2, 0xe0
  ask 'smart on', 0xb0, 0xd8, 0, 0, 0x4f, 0xc2, 0xe0
  ask 'no such function', 0xb0, 0x66, 0, 0, 0x4f, 0xc2, 0xe0
  ; another geometry, and back
  ask 'geometry', 0x91, 0, 32, 0, 0, 0, 0xa7
  task 0, 2, 32, 3, 0, 0xa7
  command 0x20
  call blocks
  report 'chs 8x32'
  task 0, 63, 0, 0, 0, 0xaf
  command 0x91
  ; errors
  ask 'nop', 0x00, 0, 1, 0, 0, 0, 0xe0
  command 0x08
  report 'device reset'
  command 0xa1
  report 'identify packet'
  command 0xff
  report 'no command'
  task 0, 2, 0xff, 0x3f, 0, 0xe0
  command 0x20
  call blocks
  report 'beyond the end'
  ask 'far beyond', 0x20, 0, 1, 0, 0, 0, 0xef
  ask48 'far beyond ext', 0x24, 1, 0, 0, 0, 1, 0
  ; nIEN keeps the line down
  outb 0x3f6, 0x02
  task 0, 1, 0, 0, 0, 0xe0
  command 0x20
  call blocks
  report 'nIEN'
  outb 0x3f6, 0x00
  ; both control and command block take the diagnosis
  command 0x90
  report 'diagnostic'
`;

/** The end of a script. */
export const END = `
  say 'END'
  call newline
  mov al, 0
  out 0xf4, al
  cli
  hlt
`;

/** The source of the disk's driver: 32-bit code for nasm. */
export const DISK_GUEST: string = PRELUDE + PRINT + ROUTINES + SCRIPT + END;

/** Packets with a name each, as a driver sends them one after another. */
const PACKETS: readonly [name: string, ...bytes: number[]][] = [
  ["sense after reset", 0x03, 0, 0, 0, 18],
  ["test unit ready", 0x00],
  ["inquiry", 0x12, 0, 0, 0, 8],
  ["capacity", 0x25],
  ["read 10", 0x28, 0, 0, 0, 0, 16, 0, 0, 3],
  ["read 12", 0xa8, 0, 0, 0, 1, 0, 0, 0, 0, 40],
  ["read none", 0x28],
  ["read cd", 0xbe, 0, 0, 0, 0, 5, 0, 0, 2, 0x10],
  ["read cd raw", 0xbe, 0, 0, 0, 0, 5, 0, 0, 1, 0xf8],
  ["read beyond", 0x28, 0, 0, 0, 0x80, 0, 0, 0, 1],
  ["its sense", 0x03, 0, 0, 0, 18],
  ["sense again", 0x03, 0, 0, 0, 18],
  ["toc", 0x43, 0, 0, 0, 0, 0, 0, 0, 60],
  ["toc in msf", 0x43, 2, 0, 0, 0, 0, 0, 0, 60],
  ["toc, lead-out", 0x43, 0, 0, 0, 0, 0, 0xaa, 0, 60],
  ["toc, header", 0x43, 0, 0, 0, 0, 0, 0, 0, 4],
  ["toc, track 2", 0x43, 0, 0, 0, 0, 0, 2, 0, 60],
  ["sessions", 0x43, 0, 0, 0, 0, 0, 0, 0, 60, 0x40],
  ["full toc", 0x43, 2, 0, 0, 0, 0, 0, 0, 60, 0x80],
  ["disc information", 0x51, 0, 0, 0, 0, 0, 0, 0, 60],
  ["configuration", 0x46, 0, 0, 0, 0, 0, 0, 0, 20],
  ["mode page 1", 0x5a, 0, 0x01, 0, 0, 0, 0, 0, 60],
  ["no mode page", 0x5a, 0, 0x3e, 0, 0, 0, 0, 0, 60],
  ["saved mode page", 0x5a, 0, 0xc1, 0, 0, 0, 0, 0, 60],
  ["its sense", 0x03, 0, 0, 0, 18],
  ["no events", 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8],
  ["asynchronous events", 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8],
  ["mechanism", 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8],
  ["seek", 0x2b, 0, 0, 0, 0, 9],
  ["prevent", 0x1e, 0, 0, 0, 1],
  ["eject", 0x1b, 0, 0, 0, 2],
  ["its sense", 0x03, 0, 0, 0, 18],
  ["allow", 0x1e],
  ["eject", 0x1b, 0, 0, 0, 2],
  ["open", 0x00],
  ["its sense", 0x03, 0, 0, 0, 18],
  ["mechanism", 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8],
  ["no such packet", 0xee],
  ["its sense", 0x03, 0, 0, 0, 18],
];

/** The source of the CD-ROM drive's driver. */
export const CDROM_GUEST: string = PRELUDE + PRINT + ROUTINES + `
  jmp cdrom
packet:                   ; the packet at ESI, and what comes of it
  push esi
  task 0, 0, 0, 0, 8, 0xa0
  command 0xa0
  say ': '
  call regs
  pop esi
  mov ecx, 6
  mov dx, 0x1f0
  rep outsw
  mov edi, 0x200000
.next:
  call ready
  test al, 8
  jz .end
  mov dx, 0x1f2
  in al, dx
  call byte_
  mov dx, 0x1f5
  in al, dx
  mov cl, al
  call byte_
  mov dx, 0x1f4
  in al, dx
  call byte_
  mov ch, cl
  mov cl, al
  movzx ecx, cx
  shr ecx, 1
  mov dx, 0x1f0
  rep insw
  jmp .next
.end:
  call irq
  mov dx, 0x1f1
  in al, dx
  call byte_
  mov dx, 0x1f2
  in al, dx
  call byte_
  call newline
  mov ecx, edi
  sub ecx, 0x200000
  cmp ecx, 64
  ja blocks.end
  jecxz .none
  mov esi, 0x200000
.dump:
  lodsb
  call byte_
  loop .dump
  call newline
.none: ret
cdrom:
  outb 0x1f6, 0xa0
  outb 0x3f6, 0x04
  call delay
  outb 0x3f6, 0x00
  call delay
  say 'reset '
  call regs
  call newline
  command 0xec
  report 'identify'
  command 0x20
  report 'read sectors'
  command 0xa1
  report 'identify packet'
  mov edi, 0x200000
  mov ecx, 256
  mov dx, 0x1f0
  rep insw
  report 'identified'
  movzx eax, word [0x200000]
  call dword_
  call newline
` + PACKETS.map(([name, ...bytes], i) => `
  say '${name}'
  mov esi, packet${i}
  call packet
  jmp after${i}
packet${i}: db ${Array.from({ length: 12 }, (_, at) => bytes[at] ?? 0)}
after${i}:
`).join("") + END;
