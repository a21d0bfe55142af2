/**
 * A small encoder of x86 instructions for the code in the ROM: the few forms
 * that it needs, with labels. Intel SDM, volume 2; the default operand size is
 * 16 bits unless a section says 32.
 *
 * @module
 */

/** General registers by their number in an instruction. */
export const Reg = {
  AX: 0,
  CX: 1,
  DX: 2,
  BX: 3,
  SP: 4,
  BP: 5,
  SI: 6,
  DI: 7,
} as const;

/** A general register. */
export type Register = (typeof Reg)[keyof typeof Reg];

/** Segment registers by their number. */
export const Seg = { ES: 0, CS: 1, SS: 2, DS: 3 } as const;

/** A segment register. */
export type SegmentRegister = (typeof Seg)[keyof typeof Seg];

/** Conditions of short jumps by their opcode. */
const CONDITIONS = { b: 0x72, e: 0x74, ne: 0x75 } as const;

/** Writes code and data into an image, from any offset on. */
export class Assembler {
  readonly #image: Uint8Array;
  readonly #labels = new Map<string, number>();
  readonly #fixups: { at: number; label: string; size: 1 | 2 | 4 }[] = [];
  #at = 0;
  #code32 = false;

  /** An assembler that writes into `image`, which is one segment. */
  constructor(image: Uint8Array) {
    this.#image = image;
  }

  /** Where the next byte goes. */
  get offset(): number {
    return this.#at;
  }

  /** Go on at this offset. */
  org(offset: number): this {
    this.#at = offset;
    return this;
  }

  /** Whether the code that follows is for a 32-bit segment. */
  bits(bits: 16 | 32): this {
    this.#code32 = bits === 32;
    return this;
  }

  /** Give this place a name. */
  label(name: string): this {
    if (this.#labels.has(name)) throw new Error(`label "${name}" twice`);
    this.#labels.set(name, this.#at);
    return this;
  }

  /** Where a label is. */
  address(name: string): number {
    const address = this.#labels.get(name);
    if (address === undefined) throw new Error(`no label "${name}"`);
    return address;
  }

  /** Bytes as they are. */
  bytes(...bytes: readonly number[]): this {
    for (const byte of bytes) this.#image[this.#at++] = byte;
    return this;
  }

  /** ASCII text. */
  text(text: string): this {
    return this.bytes(...new TextEncoder().encode(text));
  }

  /** A 16-bit word. */
  word(value: number): this {
    return this.bytes(value & 0xff, value >> 8 & 0xff);
  }

  /** A 32-bit word. */
  dword(value: number): this {
    return this.word(value & 0xffff).word(value >>> 16);
  }

  /** The prefix when an operand is not of the section's size. */
  #size(bits: 16 | 32): this {
    return bits === (this.#code32 ? 32 : 16) ? this : this.bytes(0x66);
  }

  #target(label: string, size: 1 | 2 | 4): this {
    this.#fixups.push({ at: this.#at, label, size });
    this.#at += size;
    return this;
  }

  /** CLI, STI, CLD, STC, HLT, NOP, IRET, RETF. */
  op(
    name: "cli" | "sti" | "cld" | "stc" | "hlt" | "nop" | "iret" | "retf",
  ): this {
    const opcodes = {
      cli: 0xfa,
      sti: 0xfb,
      cld: 0xfc,
      stc: 0xf9,
      hlt: 0xf4,
      nop: 0x90,
      iret: 0xcf,
      retf: 0xcb,
    };
    return this.bytes(opcodes[name]);
  }

  /** PUSHAD, POPAD. */
  pushad(): this {
    return this.#size(32).bytes(0x60);
  }

  /** POPAD. */
  popad(): this {
    return this.#size(32).bytes(0x61);
  }

  /** PUSH of a segment register. */
  pushSegment(segment: SegmentRegister): this {
    return this.bytes(0x06 | segment << 3);
  }

  /** POP of a segment register. */
  popSegment(segment: SegmentRegister): this {
    return this.bytes(0x07 | segment << 3);
  }

  /** PUSH of a register of the section's size. */
  push(register: Register): this {
    return this.bytes(0x50 | register);
  }

  /** POP of a register of the section's size. */
  pop(register: Register): this {
    return this.bytes(0x58 | register);
  }

  /** PUSHF of the section's size. */
  pushf(): this {
    return this.bytes(0x9c);
  }

  /** POPF of the section's size. */
  popf(): this {
    return this.bytes(0x9d);
  }

  /** PUSH imm16, in a 16-bit section. */
  pushWord(value: number): this {
    return this.bytes(0x68).word(value);
  }

  /** PUSH imm16 of a label, in a 16-bit section. */
  pushLabel(label: string): this {
    return this.bytes(0x68).#fixed(label);
  }

  #fixed(label: string): this {
    this.#absolute.push({ at: this.#at, label });
    this.#at += 2;
    return this;
  }

  readonly #absolute: { at: number; label: string }[] = [];

  /** MOV r8, imm8 of the low half: AL, CL, DL, BL. */
  movLow(register: Register, value: number): this {
    return this.bytes(0xb0 | register, value);
  }

  /** MOV r16, imm16. */
  movWord(register: Register, value: number): this {
    return this.#size(16).bytes(0xb8 | register).word(value);
  }

  /** MOV r32, imm32. */
  movDword(register: Register, value: number): this {
    return this.#size(32).bytes(0xb8 | register).dword(value);
  }

  /** MOV between registers of this size. */
  mov(bits: 16 | 32, to: Register, from: Register): this {
    return this.#size(bits).bytes(0x89, 0xc0 | from << 3 | to);
  }

  /** MOV r16, segment register. */
  fromSegment(to: Register, from: SegmentRegister): this {
    return this.bytes(0x8c, 0xc0 | from << 3 | to);
  }

  /** MOV segment register, r16. */
  toSegment(to: SegmentRegister, from: Register): this {
    return this.bytes(0x8e, 0xc0 | to << 3 | from);
  }

  /** XOR r16, itself. */
  clear(register: Register): this {
    return this.#size(16).bytes(0x31, 0xc0 | register << 3 | register);
  }

  /** SHL r32, imm8. */
  shl(register: Register, count: number): this {
    return this.#size(32).bytes(0xc1, 0xe0 | register, count);
  }

  /** ADD r16, imm8 (sign-extended). */
  add(register: Register, value: number): this {
    return this.#size(16).bytes(0x83, 0xc0 | register, value & 0xff);
  }

  /** CMP AL, imm8. */
  compareLow(value: number): this {
    return this.bytes(0x3c, value);
  }

  /** CMP EAX, imm32. */
  compareDword(value: number): this {
    return this.#size(32).bytes(0x3d).dword(value);
  }

  /** Short jump on a condition. */
  jump(condition: keyof typeof CONDITIONS, label: string): this {
    return this.bytes(CONDITIONS[condition]).#target(label, 1);
  }

  /** Near jump. */
  jmp(label: string): this {
    return this.bytes(0xe9).#target(label, this.#code32 ? 4 : 2);
  }

  /** Far jump to an address of real mode. */
  jumpFar(segment: number, offset: number): this {
    return this.bytes(0xea).word(offset).word(segment);
  }

  /** CALL FAR [BX]. */
  callFarAtBx(): this {
    return this.bytes(0xff, 0x1f);
  }

  /** OUT DX from AL, AX or EAX. */
  out(bits: 8 | 16 | 32): this {
    return bits === 8 ? this.bytes(0xee) : this.#size(bits).bytes(0xef);
  }

  /** IN from DX to AL, AX or EAX. */
  in(bits: 8 | 16 | 32): this {
    return bits === 8 ? this.bytes(0xec) : this.#size(bits).bytes(0xed);
  }

  /** Fill in the labels' addresses. */
  finish(): void {
    for (const { at, label, size } of this.#fixups) {
      const distance = this.address(label) - (at + size);
      if (size === 1 && (distance < -128 || distance > 127)) {
        throw new Error(`label "${label}" is too far for a short jump`);
      }
      for (let i = 0; i < size; i++) this.#image[at + i] = distance >> 8 * i;
    }
    for (const { at, label } of this.#absolute) {
      const address = this.address(label);
      this.#image[at] = address;
      this.#image[at + 1] = address >> 8;
    }
  }
}
