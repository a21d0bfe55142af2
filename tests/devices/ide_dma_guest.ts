/**
 * Bare-metal drivers of the PIIX3's bus masters, that print what they see: of a
 * disk on the primary channel and of a CD-ROM drive on the secondary one, the
 * other channel being empty.
 *
 * @module
 */

import { PRELUDE, PRINT } from "./asm.ts";
import { END, ROUTINES } from "./ide_guest.ts";

/** Where the guest puts the bus masters. */
const BM0 = 0xc000;
const BM1 = BM0 + 8;
/** Tables of regions, and the regions. */
const TABLE = 0x300000;

/** Code that the scripts call, and the start of both. */
const SETUP = `
%macro config 3           ; register, width, value: of function 1 in slot 1
  mov eax, 0x80000900 + ((%1) & ~3)
  mov edx, 0xcf8
  out dx, eax
  mov edx, 0xcfc + ((%1) & 3)
%if %2 == 2
  mov ax, %3
  out dx, ax
%else
  mov eax, %3
  out dx, eax
%endif
%endmacro
%macro show 1             ; a doubleword of configuration space
  mov eax, 0x80000900 + (%1)
  mov edx, 0xcf8
  out dx, eax
  mov edx, 0xcfc
  in eax, dx
  call dword_
%endmacro
%macro region 3           ; entry of the table, address, count and end mark
  mov dword [${TABLE} + 8 * (%1)], %2
  mov dword [${TABLE} + 8 * (%1) + 4], %3
%endmacro
%macro master 3           ; registers, offset, value
  outb (%1) + (%2), %3
%endmacro
%macro table 1            ; a bus master's table of regions
  mov edx, %1 + 4
  mov eax, ${TABLE}
  out dx, eax
%endmacro
%macro masters 1          ; command and status of a bus master, and its table
  mov edx, %1
  in al, dx
  call byte_
  mov edx, %1 + 2
  in al, dx
  call byte_
  mov edx, %1 + 4
  in eax, dx
  call dword_
%endmacro
%macro sum 2              ; the checksum of memory
  mov esi, %1
  mov edi, %1 + %2
  call sum_
%endmacro
sum_:
  xor eax, eax
.next: cmp esi, edi
  jae .end
  rol eax, 5
  add al, [esi]
  inc esi
  jmp .next
.end: jmp dword_
%macro await 1            ; until a bus master's interrupt bit is set
%%wait:
  mov edx, %1 + 2
  in al, dx
  test al, 4
  jz %%wait
%endmacro
probe:                    ; an empty channel, its registers at EBP
  lea edx, [ebp + 2]
  mov al, 0x55
  out dx, al
  inc edx
  mov al, 0xaa
  out dx, al
  lea edx, [ebp + 6]
  mov al, [device]
  out dx, al
  mov ebx, 1
.next:
  lea edx, [ebp + ebx]
  in al, dx
  call byte_
  inc ebx
  cmp ebx, 8
  jne .next
  mov edx, ebp
  in ax, dx
  call dword_
  lea edx, [ebp + 0x206]
  in al, dx
  call byte_
  lea edx, [ebp + 7]
  mov al, 0xec
  out dx, al
  in al, dx
  call byte_
  jmp newline
device: db 0xa0
`;

/** The function's identity, its registers, and an empty channel. */
function common(empty: number): string {
  return `
  config 0x04, 2, 0
  config 0x20, 4, 0xffffffff
  say 'configuration '
  show 0x00
  show 0x08
  show 0x0c
  show 0x20
  config 0x20, 4, ${BM0}
  config 0x40, 4, 0x80008000
  config 0x04, 2, 0x05
  show 0x04
  show 0x20
  call newline
  ; what firmware has left
  master ${BM0}, 2, 0x06
  master ${BM1}, 2, 0x06
  mov ebp, ${empty}
  say 'empty '
  call probe
  mov byte [device], 0xb0
  say 'empty '
  call probe
  say 'masters '
  table ${BM0}
  masters ${BM0}
  masters ${BM1}
  master ${BM1}, 2, 0x60
  masters ${BM1}
  call newline
`;
}

/** A read or write by DMA on the primary channel, and what comes of it. */
function transfer(name: string, command: number, direction: number): string {
  return `
  say '${name} '
  master ${BM0}, 0, ${direction}
  master ${BM0}, 2, 0x06
  outb 0x1f7, ${command}
  master ${BM0}, 0, ${direction | 1}
  await ${BM0}
  masters ${BM0}
  master ${BM0}, 0, ${direction}
  call irq
  call regs
  masters ${BM0}
  master ${BM0}, 2, 0x04
  masters ${BM0}
  call newline
`;
}

const DISK = `
  ; two regions
  region 0, 0x400000, 0x300
  region 1, 0x410000, 0x80000500
  task 0, 4, 0x34, 0x12, 0, 0xe0
${transfer("read", 0xc8, 8)}
  sum 0x400000, 0x400
  sum 0x410000, 0x600
  call newline
  ; a count of 0 is 64 KiB
  region 0, 0x420000, 0
  region 1, 0x440000, 0x5800
  region 2, 0x450000, 0x80010000
  task48 299, 0x00, 0x20, 0, 0, 0
${transfer("read ext", 0x25, 8)}
  sum 0x420000, 0x10000
  sum 0x440000, 0x6000
  sum 0x450000, 0x10000
  call newline
  ; the rest of the last region is not moved
  region 0, 0x420000, 0x80010000
  task 0, 2, 0x07, 0, 0, 0xe0
${transfer("read less", 0xc8, 8)}
  ; the engine is started before the command
  region 0, 0x430000, 0x80000400
  task 0, 2, 0x09, 0, 0, 0xe0
  master ${BM0}, 2, 0x06
  master ${BM0}, 0, 9
  say 'early '
  masters ${BM0}
  outb 0x1f7, 0xc8
  await ${BM0}
  call irq
  call regs
  masters ${BM0}
  master ${BM0}, 0, 0
  sum 0x430000, 0x400
  call newline
  ; what was read is written elsewhere
  region 0, 0x420000, 0x6000
  region 1, 0x440000, 0x80005000
  task 0, 88, 0x00, 0x01, 0, 0xe0
${transfer("write", 0xca, 0)}
  region 0, 0x430000, 0x80000400
  task48 2, 0x80, 0x01, 0, 0, 0
${transfer("write ext", 0x35, 0)}
  region 0, 0x460000, 0x8000b000
  task 0, 88, 0x00, 0x01, 0, 0xe0
${transfer("read back", 0xc8, 8)}
  sum 0x460000, 0xb000
  call newline
  ; ports that are not decoded
  config 0x04, 2, 0x04
  say 'off '
  mov edx, ${BM0}
  in eax, dx
  call dword_
  config 0x04, 2, 0x05
  masters ${BM0}
  call newline
`;

const CDROM = `
  jmp packets
packet:                   ; send ESI's packet by DMA and wait for its end
  outb 0x176, 0xa0
  outb 0x171, 1
  outb 0x174, 0
  outb 0x175, 0
  master ${BM1}, 2, 0x66
  outb 0x177, 0xa0
  mov dx, 0x376
.wait: in al, dx
  test al, 0x80
  jnz .wait
  call byte_
  mov ecx, 6
  mov dx, 0x170
  rep outsw
  master ${BM1}, 0, 9
  await ${BM1}
  masters ${BM1}
  master ${BM1}, 0, 8
  mov ebx, 0x177
.next: mov edx, ebx
  in al, dx
  call byte_
  dec ebx
  cmp ebx, 0x171
  jae .next
  masters ${BM1}
  ret
packets:
  outb 0x176, 0xa0
  outb 0x376, 4
  call delay
  outb 0x376, 0
  call delay
  ; QEMU resets in another thread, which a busy host may hold up
  mov dx, 0x376
.busy: in al, dx
  test al, 0x80
  jnz .busy
  table ${BM1}
  region 0, 0x400000, 0x8000
  region 1, 0x420000, 0
  region 2, 0x430000, 0x8000f800
  say 'ready '
  mov esi, sense
  region 0, 0x400000, 0x80000012
  call packet
  call newline
  region 0, 0x400000, 0x8000
  say 'read '
  mov esi, read
  call packet
  call newline
  sum 0x400000, 0x8000
  sum 0x420000, 0x1f800
  call newline
  say 'capacity '
  region 0, 0x400000, 0x80000008
  mov esi, capacity
  call packet
  sum 0x400000, 8
  call newline
  jmp done
read: db 0x28, 0, 0, 0, 0, 16, 0, 0, 79, 0, 0, 0
capacity: db 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
sense: db 0x03, 0, 0, 0, 18, 0, 0, 0, 0, 0, 0, 0
done:
`;

const BEGIN = PRELUDE + PRINT + ROUTINES.replace("main:\n", `${SETUP}main:\n`);

/** The source of the disk's driver: 32-bit code for nasm. */
export const DISK_DMA_GUEST: string = BEGIN + common(0x170) + DISK + END;
/** The source of the CD-ROM drive's driver. */
export const CDROM_DMA_GUEST: string = BEGIN + common(0x1f0) + CDROM + END;
