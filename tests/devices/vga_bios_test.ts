/**
 * The modes of a VGA's BIOS as it sets them, and what its services draw there,
 * dot by dot beside QEMU: SeaBIOS and its VGA BIOS on both.
 */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import {
  assembleDisk,
  firmwareTest,
  NASM,
  SEABIOS_256K,
  SEABIOS_PACKAGE,
} from "../boot/firmware.ts";
import { difference, type Pixels } from "../pixels.ts";
import { here, inQemu } from "./vga_pair.ts";

/**
 * Modes by their numbers, those of the VBE from 100h on. Mode 7 is the last,
 * after one of text: SeaBIOS writes the CRT controller's registers where that is
 * not, yet, when it goes from colours to none or back. Modes of the VBE with 4
 * bits are left out: QEMU keeps their map mask at 0.
 */
const MODES = [
  ...[0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12],
  ...[0x13, 0x100, 0x101, 0x103, 0x105, 0x10d, 0x10e],
  ...[0x10f, 0x110, 0x111, 0x112, 0x115, 0x118, 0x140, 0x147, 0x03, 0x07],
];
/** Mode 3 with what the video services change in it (AX, and BX). */
const CHANGED = [
  [0x1112, 0],
  [0x1114, 0],
  [0x1103, 0x24],
  [0x1003, 0],
  [0x1001, 0x0400],
  [0x101b, 0],
] as const;

const PROGRAM = `
  bits 16
  org 0x7c00
  jmp 0:start
start:
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  cld
  mov si, changes
.change:
  lodsw
  cmp ax, -1
  je .mode
  push ax
  mov ax, 3
  call set_mode
  pop ax
  mov bx, [si]
  add si, 2
  mov cx, 256
  xor dx, dx
  int 0x10
  call draw
  call shown
  jmp .change
.mode:
  lodsw
  cmp ax, -1
  je stop
  call set_mode
  call draw
  call shown
  jmp .mode
stop:
  hlt
  jmp stop
set_mode:
  mov bx, ax
  cmp ax, 0x100
  jb .old
  mov ax, 0x4f02
.old:
  int 0x10
  ret
draw:
  mov ax, 0x0100          ; the cursor blinks: none
  mov cx, 0x2000
  int 0x10
  mov di, 100
.pixel:
  mov ax, di
  mov ah, 0x0c
  xor bx, bx
  mov cx, di
  mov dx, di
  int 0x10
  dec di
  jnz .pixel
  mov di, 100
.text:
  mov ax, di
  and al, 0x7f
  or al, 0x20
  mov ah, 0x0e
  mov bx, di
  and bx, 0x0f
  int 0x10
  dec di
  jnz .text
  mov ax, 0x09db          ; a character and its colours
  mov bx, 0x005e
  mov cx, 7
  int 0x10
  mov ax, 0x0602          ; a part scrolls
  mov bh, 0x21
  mov cx, 0x0103
  mov dx, 0x0514
  int 0x10
  ret
shown:
  mov dx, 0x3f8
  mov al, '!'
  out dx, al
.wait:
  mov dx, 0x3fd
  in al, dx
  test al, 1
  jz .wait
  mov dx, 0x3f8
  in al, dx
  ret
changes: dw ${CHANGED.flat().join(",")}, -1
  dw ${MODES.join(",")}, -1
  times 510-($-$$) db 0
  dw 0xaa55
`;

/** The low bits that QEMU leaves clear in modes of 15 bits. */
function fiveBits({ pixels, ...size }: Pixels): Pixels {
  return { ...size, pixels: pixels.map((pixel) => pixel & 0xf8f8f8) };
}

/** 40 columns of 18 dots without the last two, which QEMU does not show. */
function cellsOf16(picture: Pixels): Pixels {
  const { width, height, pixels } = picture;
  if (width !== 720) return picture;
  const own = pixels.filter((_, i) => i % width % 18 < 16);
  return { width: 640, height, pixels: own };
}

firmwareTest(
  "vga: the modes of its BIOS as in QEMU",
  [SEABIOS_PACKAGE, NASM],
  async (folder) => {
    const [source, disk] = [join(folder, "a.asm"), join(folder, "a.img")];
    await Deno.writeTextFile(source, PROGRAM);
    await assembleDisk(source, disk, 1 << 20);
    const count = MODES.length + CHANGED.length;
    const drive = `file=${disk},format=raw,snapshot=on`;
    const qemu = await inQemu(["-drive", drive], count);
    if (qemu === undefined) return console.log("skipped: no QEMU");
    const ours = await here(
      { firmware: SEABIOS_256K, drives: [{ file: disk }] },
      count,
    );
    const names = [
      ...CHANGED.map(([ax]) => `mode 3, ${ax.toString(16)}`),
      ...MODES.map((mode) => `mode ${mode.toString(16)}`),
    ];
    const differ = names.flatMap((name, i) => {
      const own = qemu[i].width === 640 ? cellsOf16(ours[i]) : ours[i];
      const found = difference(fiveBits(own), fiveBits(qemu[i]));
      return found === undefined ? [] : [`${name}: ${found}`];
    });
    assertEquals(differ, []);
    // They were set, indeed.
    const sizes = new Set(
      ours.map(({ width, height }) => `${width}x${height}`),
    );
    assertEquals(sizes.size, 8);
  },
);
