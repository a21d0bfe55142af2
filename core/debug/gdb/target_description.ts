/**
 * A CPU's registers as gdb numbers and describes them ("Debugging with GDB",
 * appendix G: target descriptions).
 *
 * @module
 */

import type { DebugRegister, DebugRegisters } from "../contract.ts";

/** A register with its place in the packet `g`. */
export interface PlacedRegister {
  /** The register. */
  readonly register: DebugRegister;
  /** Its number. */
  readonly number: number;
  /** Its first byte in what `g` gives. */
  readonly offset: number;
  /** Its bytes. */
  readonly size: number;
}

/** The registers of a CPU model in the order of their numbers. */
export class RegisterMap {
  /** The registers by number. */
  readonly registers: readonly PlacedRegister[];
  /** Bytes of all registers. */
  readonly size: number;
  /** The program counter. */
  readonly pc: PlacedRegister;
  /** The target description. */
  readonly xml: string;

  /** The map of these registers; one of them must be a `code_ptr`. */
  constructor(registers: DebugRegisters) {
    const all: PlacedRegister[] = [];
    let offset = 0;
    for (const feature of registers.features) {
      for (const register of feature.registers) {
        const size = register.bits / 8;
        all.push({ register, number: all.length, offset, size });
        offset += size;
      }
    }
    const pc = all.find(({ register }) => register.type === "code_ptr");
    if (pc === undefined) {
      throw new Error("the CPU describes no program counter");
    }
    this.registers = all;
    this.size = offset;
    this.pc = pc;
    this.xml = describe(registers);
  }
}

function describe(registers: DebugRegisters): string {
  let number = 0;
  const features = registers.features.map((feature) => {
    const lines = feature.registers.map(({ name, bits, type, group }) => {
      const last = group === undefined ? "" : ` group="${group}"`;
      return `    <reg name="${name}" bitsize="${bits}" type="${type}"` +
        ` regnum="${number++}"${last}/>`;
    });
    return [
      `  <feature name="${feature.name}">`,
      ...feature.types === undefined ? [] : [feature.types],
      ...lines,
      "  </feature>",
    ].join("\n");
  });
  return [
    '<?xml version="1.0"?>',
    '<!DOCTYPE target SYSTEM "gdb-target.dtd">',
    '<target version="1.0">',
    `  <architecture>${registers.architecture}</architecture>`,
    ...features,
    "</target>",
    "",
  ].join("\n");
}

/**
 * Linear addresses as gdb writes them: hexadecimal, in 32 or 64 bits. Here they
 * are what a `DebugCpu` takes: numbers from 0, or in 64 bits the signed ones
 * that canonical addresses are.
 */
export class AddressForm {
  readonly #bits: number;

  /** Addresses of a CPU whose program counter has this many bits. */
  constructor(bits: number) {
    this.#bits = bits;
  }

  /** The address that a text says; undefined where it says none that there can be. */
  parse(text: string): number | undefined {
    if (!/^[0-9a-fA-F]{1,16}$/.test(text)) return undefined;
    const value = BigInt(`0x${text}`);
    if (this.#bits <= 32) {
      // A 64-bit gdb may extend the sign of a 32-bit address.
      return Number(BigInt.asUintN(32, value));
    }
    const address = Number(BigInt.asIntN(64, value));
    return Number.isSafeInteger(address) ? address : undefined;
  }

  /** An address in hexadecimal. */
  format(address: number): string {
    return BigInt.asUintN(this.#bits, BigInt(address)).toString(16);
  }
}
