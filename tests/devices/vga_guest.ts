/**
 * A guest that shows one VGA mode after another, by registers, and says so on
 * the serial port; a byte sent there lets it go on.
 *
 * @module
 */

/** The registers of a mode, in hexadecimal. */
export interface Registers {
  /** Miscellaneous output. */
  readonly misc: number;
  /** SR0 to SR4. */
  readonly seq: string;
  /** CR00 to CR18. */
  readonly crtc: string;
  /** GR0 to GR8. */
  readonly gfx: string;
  /** AR00 to AR14. */
  readonly attr: string;
}

/** Registers by index that a picture has otherwise. */
export type Changes = Readonly<
  Partial<
    Record<
      "seq" | "crtc" | "gfx" | "attr",
      Readonly<Record<number, number>>
    >
  >
>;

/** The same registers with changes. */
export function changed(registers: Registers, changes: Changes): Registers {
  const result: Record<string, string | number> = { ...registers };
  for (const [group, values] of Object.entries(changes)) {
    const bytes = (result[group] as string).match(/../g)!;
    for (const [index, value] of Object.entries(values)) {
      bytes[Number(index)] = value.toString(16).padStart(2, "0");
    }
    result[group] = bytes.join("");
  }
  return result as unknown as Registers;
}

const SIXTEEN = "000102030405060708090a0b0c0d0e0f";
/** Graphics of four planes. */
const COLOURS_16 = {
  gfx: "000000000000050fff",
  attr: `${SIXTEEN}01000f0000`,
};
/** Graphics of a byte a pixel. */
const COLOURS_256 = {
  gfx: "000000000040050fff",
  attr: `${SIXTEEN}41000f0000`,
};

/** Text, 80 columns of 9 dots, 25 rows of 16 lines; no cursor, no blinking. */
export const TEXT: Registers = {
  misc: 0x67,
  seq: "0300030002",
  crtc: "5f4f50825581bf1f004f2000000000009c8e8f281f96b9a3ff",
  gfx: "0000000000100e00ff",
  attr: `${SIXTEEN}04000f0800`,
};
/** Mode 12h: 640x480, 16 colours. */
export const PLANES: Registers = {
  misc: 0xe3,
  seq: "03010f0006",
  crtc: "5f4f508254800b3e0040000000000000ea8cdf2800e704e3ff",
  ...COLOURS_16,
};
/** Mode 13h: 320x200, 256 colours. */
export const CHAINED: Registers = {
  misc: 0x63,
  seq: "03010f000e",
  crtc: "5f4f50825480bf1f00410000000000009c8e8f284096b9a3ff",
  ...COLOURS_256,
};
/** Mode X: 320x240, 256 colours, planes. */
export const UNCHAINED: Registers = {
  misc: 0xe3,
  seq: "03010f0006",
  crtc: "5f4f508254800d3e0041000000000000eaacdf2800e706e3ff",
  ...COLOURS_256,
};
/** Mode 4: the CGA's 320x200 with four colours. */
export const CGA4: Registers = {
  misc: 0x63,
  seq: "0309030002",
  crtc: "2d2728902b80bf1f00c10000000000009c8e8f140096b9a2ff",
  gfx: "0000000000300f00ff",
  attr: `00131517020406071011121314151617` + `0100030000`,
};
/** Mode 6: the CGA's 640x200 with two. */
export const CGA6: Registers = {
  misc: 0x63,
  seq: "0301010006",
  crtc: "5f4f50825480bf1f00c10000000000009c8e8f280096b9c2ff",
  gfx: "0000000000000d00ff",
  attr: `00171717171717171717171717171717` + `0100010000`,
};
/** Mode 0Dh: 320x200, 16 colours. */
export const PLANES_320: Registers = {
  misc: 0x63,
  seq: "03090f0006",
  crtc: "2d2728902b80bf1f00c00000000000009c8e8f140096b9e3ff",
  ...COLOURS_16,
};

/** A mode of the Bochs VBE. */
export interface VbeMode {
  /** Pixels of a line. */
  readonly width: number;
  /** Lines. */
  readonly height: number;
  /** Bits of a pixel. */
  readonly depth: number;
  /** Pixels of a line in memory. */
  readonly virtual?: number;
  /** Colours have 8 bits, not 6. */
  readonly wideDac?: boolean;
  /** What is in the memory before stays there. */
  readonly keeps?: boolean;
  /** Pixels and lines that are skipped. */
  readonly offset?: readonly [number, number];
}

/** One picture. */
export interface Scene {
  /** Its name. */
  readonly name: string;
  /** The VGA's registers. */
  readonly registers: Registers;
  /** What the memory is filled with, and by which window. */
  readonly fill: "text" | "planes" | "window" | "cga" | "linear" | "banks";
  /** A mode of the VBE, which is set after the registers. */
  readonly vbe?: VbeMode;
}

const PRELUDE = `
  mov esp, 0x180000
  jmp main
seed: dd 12345
random:                   ; EAX: a number; its upper bits are the better ones
  mov eax, [seed]
  imul eax, eax, 1664525
  add eax, 1013904223
  mov [seed], eax
  shr eax, 16
  ret
%macro reg 3              ; port, index, value
  mov dx, %1
  mov ax, %2 | %3 << 8
  out dx, ax
%endmacro
%macro vbe 2
  mov dx, 0x1ce
  mov ax, %1
  out dx, ax
  inc dx
  mov ax, %2
  out dx, ax
%endmacro
indexed:                  ; ECX registers at port DX from ESI on
  xor ebx, ebx
.next:
  mov al, bl
  out dx, al
  inc edx
  lodsb
  out dx, al
  dec edx
  inc ebx
  loop .next
  ret
set_mode:                 ; the table at ESI
  vbe 4, 0
  mov dx, 0x3c2
  lodsb
  out dx, al
  reg 0x3c4, 0, 1
  mov ecx, 5
  mov dx, 0x3c4
  call indexed
  reg 0x3d4, 0x11, 0
  mov ecx, 25
  mov dx, 0x3d4
  call indexed
  mov ecx, 9
  mov dx, 0x3ce
  call indexed
  mov dx, 0x3da
  in al, dx
  mov dx, 0x3c0
  xor ebx, ebx
.attribute:
  mov al, bl
  out dx, al
  lodsb
  out dx, al
  inc ebx
  cmp ebx, 21
  jb .attribute
  mov al, 0x20
  out dx, al
  ret
set_colours:
  mov dx, 0x3c8
  xor eax, eax
  out dx, al
  inc edx
  mov ecx, 768
.next:
  call random
  and al, 0x3f
  out dx, al
  loop .next
  ret
fill_planes:              ; planes from EBP on, below ECX, by the window at A0000h
  mov [last_plane], ecx
  reg 0x3c4, 4, 6
  reg 0x3ce, 1, 0
  reg 0x3ce, 3, 0
  reg 0x3ce, 5, 0
  reg 0x3ce, 6, 5
  reg 0x3ce, 8, 255
.plane:
  mov eax, ebp
  mov ah, al
  mov al, 2
  mov dx, 0x3c4
  out dx, ax
  mov edi, 0xa0000
  mov ecx, 0x2800
  cmp ebp, 4
  jne .part
  mov ecx, 0x4000         ; with all fonts
.part:
  call fill
  shl ebp, 1
  cmp ebp, [last_plane]
  jb .plane
  ret
last_plane: dd 0
fill:                     ; ECX words at EDI
  call random
  mov ebx, eax
  call random
  shl eax, 16
  or eax, ebx
  stosd
  loop fill
  ret
fill_text:                ; cells; QEMU joins characters from B0h to BFh, too
  mov edi, 0xb8000
  mov ecx, 0x1800
.next:
  call random
  cmp al, 0xb0
  jb .cell
  cmp al, 0xc0
  jae .cell
  add al, 0x10
.cell:
  stosw
  loop .next
  ret
shown:                    ; say that it is, and wait
  mov dx, 0x3fd
  in al, dx
  test al, 0x20
  jz shown
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
%macro config 2           ; a register of slot 2's function 0
  mov dx, 0xcf8
  mov eax, 0x80001000 | %1
  out dx, eax
  mov dx, 0xcfc
  mov eax, %2
  out dx, eax
%endmacro
main:
  config 0x10, ${hex(0xe0000000)}
  config 0x04, 3
`;

/**
 * Words that are drawn at the frame buffer's beginning and end, and in each
 * bank: each takes QEMU 40 us.
 */
const LINEAR_WORDS = 0x1000;

/** Where the guest puts the frame buffer. */
const FRAMEBUFFER = 0xe0000000;

/** The registers for the assembler. */
function bytesOf({ misc, seq, crtc, gfx, attr }: Registers): string {
  const table = [misc.toString(16), seq, crtc, gfx, attr].join("");
  return table.match(/../g)!.map((byte) => `0x${byte}`).join(",");
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/**
 * A guest that shows a mode of 640x480x32 and then draws a line of 100 pixels
 * into the frame buffer each time that it may go on, from line 100 on.
 */
export const DRAWING_GUEST: string = `${PRELUDE}
  jmp start
table: db ${bytesOf(CHAINED)}
start:
  mov esi, table
  call set_mode
  ${setVbe({ width: 640, height: 480, depth: 32 }, "linear")}
  mov edi, ${hex(FRAMEBUFFER + 4 * 640 * 100)}
.line:
  call shown
  mov ecx, 100
.pixel:
  mov dword [edi + 4 * ecx - 4], 0x00123456
  loop .pixel
  add edi, 4 * 640
  jmp .line
`;

/** The guest's program in assembly. */
export function vgaGuest(scenes: readonly Scene[]): string {
  const parts = scenes.map(({ registers, fill, vbe }, i) => {
    return `
  jmp scene${i}
table${i}: db ${bytesOf(registers)}
scene${i}:
  mov dword [seed], 12345
  mov esi, table${i}
  call set_mode
  call set_colours
  ${vbe === undefined || vbe.keeps ? FILLS[fill] : ""}
  ${vbe === undefined ? "" : setVbe(vbe, fill)}
  call shown
`;
  });
  return `${PRELUDE}${parts.join("")}
stop:
  mov al, 0
  out 0xf4, al
  hlt
  jmp stop
`;
}

const AGAIN = (i: string): string => `
  mov esi, ${i}
  call set_mode`;

const FILLS: Readonly<Record<Scene["fill"], string>> = {
  // The plane of the fonts, and then the mode once more, for its addressing.
  text: `push esi
  mov ebp, 4
  mov ecx, 8
  call fill_planes
  pop esi
  sub esi, 61${AGAIN("esi")}
  call fill_text`,
  planes: `push esi
  mov ebp, 1
  mov ecx, 16
  call fill_planes
  pop esi
  sub esi, 61${AGAIN("esi")}`,
  window: `mov edi, 0xa0000
  mov ecx, 0x4000
  call fill`,
  cga: `mov edi, 0xb8000
  mov ecx, 0x1000
  call fill`,
  linear: "",
  banks: "",
};

function linearFill(address: number): string {
  return `
  mov edi, ${hex(address)}
  mov ecx, ${hex(LINEAR_WORDS)}
  call fill`;
}

/** Other colours, with all bits. */
const WIDE_COLOURS = `
  mov dx, 0x3c8
  xor eax, eax
  out dx, al
  inc edx
  mov ecx, 768
.wide:
  call random
  out dx, al
  loop .wide`;

function setVbe(mode: VbeMode, fill: Scene["fill"]): string {
  const { width, height, depth, virtual = width, offset = [0, 0] } = mode;
  const bits = depth === 15 ? 16 : depth;
  const bytes = virtual * bits / 8 * (height + offset[1] + 1);
  const banks = Math.ceil(bytes / 0x10000);
  return `
  vbe 1, ${width}
  vbe 2, ${height}
  vbe 3, ${depth}
  vbe 4, ${0x41 | (mode.wideDac ? 0x20 : 0) | (mode.keeps ? 0x80 : 0)}
  ${mode.wideDac ? WIDE_COLOURS : ""}
  vbe 6, ${virtual}
  vbe 8, ${offset[0]}
  vbe 9, ${offset[1]}
  ${
    mode.keeps ? "" : fill === "linear"
      ? linearFill(FRAMEBUFFER) +
        linearFill(FRAMEBUFFER + (bytes & ~3) - 4 * LINEAR_WORDS)
      : Array.from({ length: banks }, (_, bank) => `
  vbe 5, ${bank}
  mov edi, 0xa0000
  mov ecx, ${hex(LINEAR_WORDS)}
  call fill`).join("")
  }`;
}
