/**
 * The ROM: 64 KiB with what must be code on the CPU. Each service's entry
 * pushes the registers, tells the trap port where they are, and does what it
 * says: return, halt until the next interrupt and ask again, or call another
 * interrupt's handler. Everything else is TypeScript behind that port.
 *
 * Old programs jump to entries at the addresses that they have in IBM's ROMs,
 * so these are there too (IBM PC/AT Technical Reference, "Compatibility").
 *
 * @module
 */

import { Assembler, Reg, Seg } from "./assembler.ts";
import {
  Bda,
  BOOT_ADDRESS,
  EBDA_SEGMENT,
  Mouse,
  ROM_BASE,
  ROM_BYTES,
  ROM_SEGMENT,
  TRAP_CALL,
  TRAP_CALL_AX,
  TRAP_FRAME,
  TRAP_PORT,
  TRAP_SERVE,
  TRAP_WINDOW,
} from "./layout.ts";
import { GLYPHS_14, GLYPHS_16, GLYPHS_8 } from "./video_glyphs.ts";

/** What the ROM asks for beside interrupts: they stand in the vector's place. */
export const Service = {
  /** After a reset. */
  POST: 0xff,
} as const;

/** The stack after a reset, as the AT has it: in vectors that nobody uses. */
const POST_STACK = { segment: 0x0030, pointer: 0x0100 } as const;

/** Entries at the addresses of IBM's ROMs. */
const COMPATIBLE: readonly (readonly [offset: number, label: string])[] = [
  [0xe05b, "post"],
  [0xe2c3, "return"],
  [0xe3fe, "int13"],
  [0xe6f2, "int19"],
  [0xe739, "int14"],
  [0xe82e, "int16"],
  [0xe987, "int09"],
  [0xec59, "int13"],
  [0xef57, "int0e"],
  [0xefd2, "int17"],
  [0xf065, "int10"],
  [0xf841, "int12"],
  [0xf84d, "int11"],
  [0xf859, "int15"],
  [0xfe6e, "int1a"],
  [0xfea5, "int08"],
  [0xff53, "return"],
];

/** Interrupts that are services; each has the entry `intNN`. */
export const SERVICES: readonly number[] = [
  ...[0x05, 0x08, 0x09, 0x0e, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17],
  ...[0x1a, 0x70, 0x74, 0x76],
];

/** Where data stand that vectors or callers are told of. */
export const Table = {
  /** The system configuration table (INT 15h, C0h). */
  CONFIGURATION: 0xe6f5,
  /** The floppy parameters (INT 1Eh). */
  FLOPPY: 0xefc7,
  /** Video parameters (INT 1Dh), of which nothing is told. */
  VIDEO: 0xf0a4,
  /** The fonts of 8, 14 and 16 scan lines. */
  FONT_8: 0x8000,
  FONT_14: 0x8800,
  FONT_16: 0x9600,
  /** No glyphs that are other ones in cells of 9 dots. */
  NO_GLYPHS: 0xa600,
  /** What the VGA's BIOS can do (INT 10h, 1Bh). */
  VIDEO_STATE: 0xa610,
  /** VBE's name, and the numbers of its modes. */
  VBE_NAME: 0xa620,
  VBE_LIST: 0xa630,
  /** The first half of the font of 8 lines, where old programs look. */
  FONT_8_OLD: 0xfa6e,
  /** The PCI interrupt routing table, when there is a PCI bus. */
  PCI_ROUTING: 0xc000,
} as const;

/** Model and submodel: an AT with a second controller. */
const MODEL = 0xfc;
const SUBMODEL = 0x01;
/** Features: RTC, second 8259, keyboard intercept, and an EBDA is there. */
const FEATURES = [0x74, 0x00, 0x00, 0x00, 0x00] as const;
/** 1.44 MB: step rate and head times, motor times, 18 sectors, gaps. */
const FLOPPY_PARAMETERS = [
  ...[0xaf, 0x02, 0x25, 0x02, 18, 0x1b, 0xff, 0x6c, 0xf6, 0x0f, 0x08],
] as const;
/**
 * Modes 0 to 13h; 200, 350 and 400 lines; 8 fonts, 2 at once; all that the VGA
 * has but for 12h/35h: display switching.
 */
const VIDEO_STATE = [
  ...[0xff, 0xe0, 0x0f, 0, 0, 0, 0, 0x07],
  ...[0x08, 0x02, 0xe7, 0x0c, 0, 0, 0, 0],
] as const;
/** The date that old programs look for. */
const DATE = "11/22/26";

/** The image, and the entries' offsets by name. */
export interface Rom {
  /** 64 KiB. */
  readonly image: Uint8Array;
  /** The offset of an entry: `int13`, `master`, `return`. */
  entry(label: string): number;
}

/** Two digits. */
function hex(vector: number): string {
  return vector.toString(16).padStart(2, "0");
}

/** The entry's name of an interrupt that is a service. */
export function entryOf(vector: number): string {
  return `int${hex(vector)}`;
}

/** Call the service: the rest of every entry. */
function common(a: Assembler): void {
  a.label("common")
    .pushad().pushSegment(Seg.DS).pushSegment(Seg.ES).op("cld");
  // Nothing may come between the trap and its answer.
  a.label("again").op("cli")
    .fromSegment(Reg.AX, Seg.SS).shl(Reg.AX, 16).mov(16, Reg.AX, Reg.SP)
    .movWord(Reg.DX, TRAP_PORT + TRAP_FRAME).out(32).in(8)
    .compareLow(1).jump("b", "done").jump("e", "wait")
    .compareLow(3).jump("e", "call")
    .op("sti").op("nop").jmp("again");
  // An interrupt that waits already comes after HLT has begun.
  a.label("wait").op("sti").op("hlt").jmp("again");
  a.label("call").add(Reg.DX, TRAP_CALL).in(16).mov(16, Reg.BX, Reg.AX)
    .add(Reg.DX, TRAP_CALL_AX - TRAP_CALL).in(16)
    .clear(Reg.CX).toSegment(Seg.DS, Reg.CX)
    .op("stc").pushf().callFarAtBx()
    .pushf().pop(Reg.CX).op("cli")
    .movWord(Reg.DX, TRAP_PORT + TRAP_CALL).out(16)
    .mov(16, Reg.AX, Reg.CX).add(Reg.DX, TRAP_CALL_AX - TRAP_CALL).out(16)
    .jmp("again");
  a.label("done").popSegment(Seg.ES).popSegment(Seg.DS).popad()
    // The vector.
    .add(Reg.SP, 2).op("iret");
}

/** Entries that begin on a stack of their own, as if called by INT. */
function starts(a: Assembler): void {
  const enter = (vector: number): Assembler =>
    a.pushf().pushSegment(Seg.CS).pushLabel("return").pushWord(vector)
      .jmp("common");
  a.label("post").op("cli")
    .movWord(Reg.AX, POST_STACK.segment).toSegment(Seg.SS, Reg.AX)
    .movWord(Reg.SP, POST_STACK.pointer);
  enter(Service.POST);
  for (const vector of [0x18, 0x19]) {
    a.label(entryOf(vector)).op("cli")
      .clear(Reg.AX).toSegment(Seg.SS, Reg.AX)
      .movWord(Reg.SP, BOOT_ADDRESS);
    enter(vector);
  }
}

/** After a reset that a program has asked for: on from its stack at 0:0467h. */
function resumes(a: Assembler): void {
  for (const way of ["iret", "retf"] as const) {
    // LSS SP, [0467h].
    a.label(`resume${way}`).clear(Reg.AX).toSegment(Seg.DS, Reg.AX)
      .bytes(0x0f, 0xb2, 0x26).word(Bda.RESUME).op(way);
  }
}

/**
 * Call an option ROM, whose entry is at 0:0467h, on a stack with room: the
 * vectors' one is small. ES:DI is the Plug and Play header, and DX that of a card
 * that does not isolate itself.
 */
function romCall(a: Assembler): void {
  a.label("romcall").pushad().pushSegment(Seg.DS).pushSegment(Seg.ES)
    .fromSegment(Reg.CX, Seg.SS).mov(16, Reg.DX, Reg.SP)
    .clear(Reg.BX).toSegment(Seg.SS, Reg.BX).movWord(Reg.SP, BOOT_ADDRESS)
    .push(Reg.CX).push(Reg.DX)
    .pushLabel("pnp").pop(Reg.DI)
    .pushSegment(Seg.CS).popSegment(Seg.ES)
    .movWord(Reg.DX, 0xffff).movWord(Reg.BX, 0xffff)
    // CALL FAR [0467h].
    .bytes(0xff, 0x1e).word(Bda.RESUME).op("cli")
    .pop(Reg.DX).pop(Reg.CX)
    .toSegment(Seg.SS, Reg.CX).mov(16, Reg.SP, Reg.DX)
    .popSegment(Seg.ES).popSegment(Seg.DS).popad().op("iret");
}

/** Call the mouse's handler with a packet: four words, the status first. */
function mouseCall(a: Assembler): void {
  a.label("mousecall").pushad().pushSegment(Seg.DS).pushSegment(Seg.ES)
    .movWord(Reg.BX, EBDA_SEGMENT).toSegment(Seg.DS, Reg.BX).clear(Reg.AX);
  for (let i = 0; i < 4; i++) {
    // MOV AL, [packet + i].
    a.bytes(0xa0).word(Mouse.PACKET + i).push(Reg.AX);
  }
  // CALL FAR [handler].
  a.op("sti").bytes(0xff, 0x1e).word(Mouse.HANDLER).op("cli")
    .add(Reg.SP, 8)
    .popSegment(Seg.ES).popSegment(Seg.DS).popad().op("iret");
}

/** Hardware interrupts that nobody serves: only their end. */
function ends(a: Assembler): void {
  const out = (port: number): Assembler => a.bytes(0xe6, port);
  a.label("slave").push(Reg.AX).movLow(Reg.AX, 0x20);
  out(0xa0);
  out(0x20).pop(Reg.AX).op("iret");
  a.label("master").push(Reg.AX).movLow(Reg.AX, 0x20);
  out(0x20).pop(Reg.AX).op("iret");
  // IRQ 9 is the XT's IRQ 2: INT 0Ah ends it at the master.
  a.label("int71").push(Reg.AX).movLow(Reg.AX, 0x20);
  out(0xa0).pop(Reg.AX).bytes(0xcd, 0x0a).op("iret");
  // The coprocessor's error is the XT's NMI.
  a.label("int75").push(Reg.AX).clear(Reg.AX);
  out(0xf0).movLow(Reg.AX, 0x20);
  out(0xa0);
  out(0x20).pop(Reg.AX).bytes(0xcd, 0x02).op("iret");
  a.label("return").op("iret");
}

/** The BIOS32 directory: a far call. */
function bios32(a: Assembler): void {
  a.bits(32).label("bios32").compareDword(signature("$PCI"))
    .jump("ne", "bios32none")
    .clear(Reg.AX).movDword(Reg.BX, ROM_BASE).movDword(Reg.CX, ROM_BYTES)
    .movDword(Reg.DX, a.address("protected32")).op("retf");
  a.label("bios32none").movLow(Reg.AX, 0x80).op("retf").bits(16);
}

/**
 * The PCI BIOS and power management for protected mode: far calls from code of
 * this size. Nothing is read or written but the stack, and that by pushes.
 */
function protectedMode(a: Assembler, bits: 16 | 32): void {
  const CARRY = 1;
  const HALT = 2;
  // A whole register, whatever the section's size.
  const whole = (): Assembler => bits === 16 ? a.bytes(0x66) : a;
  a.bits(bits).label(`protected${bits}`).pushf().op("cli");
  whole().push(Reg.DX)
    .movWord(Reg.DX, TRAP_PORT + TRAP_WINDOW).out(32);
  for (const register of [Reg.BX, Reg.CX]) {
    a.mov(32, Reg.AX, register).out(32);
  }
  whole().pop(Reg.AX).out(32);
  for (const register of [Reg.SI, Reg.DI]) {
    a.mov(32, Reg.AX, register).out(32);
  }
  a.movWord(Reg.DX, TRAP_PORT + TRAP_SERVE).out(32).in(32)
    .movWord(Reg.DX, TRAP_PORT + TRAP_WINDOW);
  for (const register of [Reg.BX, Reg.CX, Reg.SI, Reg.DI]) {
    a.in(32).mov(32, register, Reg.AX);
  }
  // EDX and EAX, then the carry flag into the flags that are on the stack.
  a.in(32);
  whole().push(Reg.AX).in(32);
  whole().push(Reg.AX).in(32);
  if (bits === 32) {
    // AND byte [ESP+8], not CF; OR [ESP+8], AL. HALT's bit is always set there.
    a.bytes(0x80, 0x64, 0x24, 8, 0xff & ~CARRY).bytes(0x08, 0x44, 0x24, 8);
  } else {
    // The same with BP, which is pushed too.
    a.push(Reg.BP).mov(16, Reg.BP, Reg.SP)
      .bytes(0x80, 0x66, 10, 0xff & ~CARRY).bytes(0x08, 0x46, 10).pop(Reg.BP);
  }
  // TEST AL, HALT. An interrupt that waits already comes after HLT has begun.
  a.bytes(0xa8, HALT).jump("e", `served${bits}`)
    .op("sti").op("hlt").op("cli");
  a.label(`served${bits}`);
  whole().pop(Reg.AX);
  whole().pop(Reg.DX).popf().op("retf").bits(16);
}

/** Four characters as a little-endian word. */
export function signature(text: string): number {
  const [a, b, c, d] = new TextEncoder().encode(text);
  return (a | b << 8 | c << 16 | d << 24) >>> 0;
}

/** Bytes so that all of them add up to 0: the last argument's place gets it. */
export function withChecksum(bytes: number[], at: number): number[] {
  const sum = bytes.reduce((a, b) => a + b, 0);
  return bytes.with(at, bytes[at] - sum & 0xff);
}

function words(...values: readonly number[]): number[] {
  return values.flatMap((value) => [value & 0xff, value >> 8 & 0xff]);
}

function ascii(text: string): number[] {
  return [...new TextEncoder().encode(text)];
}

/** The headers that operating systems search in the ROM. */
function headers(a: Assembler): void {
  // BIOS32 service directory: the entry's address, revision 0, one paragraph.
  const align = (): Assembler => a.org(a.offset + 15 & ~15);
  align();
  const entry = ROM_BASE + a.address("bios32");
  a.bytes(...withChecksum(
    [
      ...ascii("_32_"),
      ...words(entry, entry >>> 16),
      ...[0, 1],
      ...words(0, 0, 0),
    ],
    10,
  ));
  // Plug and Play BIOS 1.0A: no event notification, calls are refused.
  align();
  a.label("pnp");
  const code = a.offset + 0x30;
  a.bytes(...withChecksum([
    ...ascii("$PnP"),
    ...[0x10, 0x21],
    ...words(0),
    0,
    ...words(0, 0),
    ...words(code, ROM_SEGMENT),
    ...words(code, ROM_BASE & 0xffff, ROM_BASE >>> 16),
    ...words(0, 0),
    ...words(ROM_SEGMENT, ROM_BASE & 0xffff, ROM_BASE >>> 16),
  ], 8));
  // FUNCTION_NOT_SUPPORTED; the same bytes in either mode.
  a.org(code).bits(32).bytes(0xb0, 0x82, 0xb4, 0x00).op("retf").bits(16);
}

/** The ROM. */
export function buildRom(): Rom {
  const image = new Uint8Array(ROM_BYTES);
  const a = new Assembler(image);
  a.org(0x100);
  common(a);
  starts(a);
  resumes(a);
  ends(a);
  romCall(a);
  mouseCall(a);
  for (const vector of SERVICES) {
    a.label(entryOf(vector)).pushWord(vector).jmp("common");
  }
  // VBE's window function: as 4F05h, by a far call.
  a.label("vbewindow").movWord(Reg.AX, 0x4f05).bytes(0xcd, 0x10).op("retf");
  protectedMode(a, 32);
  protectedMode(a, 16);
  bios32(a);
  headers(a);
  for (const [offset, label] of COMPATIBLE) a.org(offset).jmp(label);
  a.org(Table.CONFIGURATION)
    .word(8).bytes(MODEL, SUBMODEL, 0, ...FEATURES);
  a.org(Table.FONT_8).bytes(...GLYPHS_8);
  a.org(Table.FONT_14).bytes(...GLYPHS_14);
  a.org(Table.FONT_16).bytes(...GLYPHS_16);
  a.org(Table.FONT_8_OLD).bytes(...GLYPHS_8.subarray(0, 128 * 8));
  a.org(Table.VBE_NAME).text("Rhea VBE\0");
  a.org(Table.VIDEO_STATE).bytes(...VIDEO_STATE);
  a.org(Table.FLOPPY).bytes(...FLOPPY_PARAMETERS);
  a.org(0xfff0).jumpFar(ROM_SEGMENT, 0xe05b).text(DATE);
  a.org(0xfffe).bytes(MODEL, 0);
  a.finish();
  return { image, entry: (label) => a.address(label) };
}
