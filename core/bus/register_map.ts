/**
 * Declared register maps, for devices whose registers are not hot: names,
 * offsets, reset values and what reading and writing does, as a table.
 *
 * @module
 */

import type { AccessWidth, IoHandler } from "./handler.ts";

/**
 * What the bits of a field do when the guest touches them.
 *
 * - `rw`: read and written
 * - `ro`: writes are ignored
 * - `wo`: written; reads as zero
 * - `w1c`: writing ones clears those bits
 * - `w1s`: writing ones sets those bits
 * - `rc`: reading clears; writes are ignored
 * - `const`: always the reset value
 */
export type FieldMode = "rw" | "ro" | "wo" | "w1c" | "w1s" | "rc" | "const";

/** A field of a register. */
export interface FieldSpec {
  /** Its bits, as a mask. */
  readonly mask: number;
  /** What they do. */
  readonly mode: FieldMode;
}

/** A register. */
export interface RegisterSpec {
  /** Its offset in the region. */
  readonly offset: number;
  /** Its width in bytes; 4 when absent. */
  readonly width?: AccessWidth;
  /** Its value after reset; 0 when absent. */
  readonly reset?: number;
  /** What all bits do that no field names; `rw` when absent. */
  readonly mode?: FieldMode;
  /** Its fields, by name. */
  readonly fields?: Readonly<Record<string, FieldSpec>>;
  /** Gives the stored value before a read: for counters and status. */
  readonly onRead?: () => number;
  /**
   * Called after a guest's write with the new stored value and the bits as
   * they were written.
   */
  readonly onWrite?: (value: number, written: number) => void;
}

/** The values of a map's registers, by name: the part to save and load. */
export type RegisterValues<N extends string> = Record<N, number>;

interface Register {
  readonly name: string;
  readonly spec: RegisterSpec;
  readonly width: AccessWidth;
  readonly masks: Readonly<Record<FieldMode, number>>;
}

const MODES = ["rw", "ro", "wo", "w1c", "w1s", "rc", "const"] as const;

function onesOf(width: number): number {
  return width === 4 ? 0xffffffff : (1 << width * 8) - 1;
}

function compile(name: string, spec: RegisterSpec): Register {
  const width = spec.width ?? 4;
  const masks = Object.fromEntries(
    MODES.map((mode) => [mode, 0]),
  ) as Record<FieldMode, number>;
  let named = 0;
  for (const [field, { mask, mode }] of Object.entries(spec.fields ?? {})) {
    if ((named & mask) !== 0 || (mask & ~onesOf(width)) !== 0) {
      throw new TypeError(
        `field "${field}" of register "${name}" overlaps another or is wider ` +
          `than the register`,
      );
    }
    named |= mask;
    masks[mode] |= mask;
  }
  masks[spec.mode ?? "rw"] |= ~named & onesOf(width);
  return { name, spec, width, masks };
}

/** A region's registers as an `IoHandler`. */
export class RegisterMap<N extends string = string> implements IoHandler {
  /** The widths of the map's registers. */
  readonly widths: readonly AccessWidth[];
  /** The registers' values. Assign it to load a state. */
  values: RegisterValues<N>;
  readonly #byOffset = new Map<number, Register>();
  readonly #registers: Register[] = [];

  /** A map of the given registers, in their reset state. */
  constructor(specs: Readonly<Record<N, RegisterSpec>>) {
    for (const name of Object.keys(specs) as N[]) {
      const register = compile(name, specs[name]);
      for (let i = 0; i < register.width; i++) {
        const other = this.#byOffset.get(register.spec.offset + i);
        if (other !== undefined) {
          throw new TypeError(
            `registers "${name}" and "${other.name}" overlap`,
          );
        }
        this.#byOffset.set(register.spec.offset + i, register);
      }
      if (register.spec.offset % register.width !== 0) {
        throw new TypeError(`register "${name}" is not aligned to its width`);
      }
      this.#registers.push(register);
    }
    const widths = new Set(this.#registers.map((r) => r.width));
    this.widths = [...widths].sort((a, b) => a - b);
    this.values = this.#fresh();
  }

  #fresh(): RegisterValues<N> {
    const values: Record<string, number> = {};
    for (const { name, spec } of this.#registers) {
      values[name] = spec.reset ?? 0;
    }
    return values as RegisterValues<N>;
  }

  /** Give every register its reset value. */
  reset(): void {
    this.values = this.#fresh();
  }

  /** Answer a read; what is no register reads as zero. */
  read(offset: number, width: AccessWidth): number {
    const whole = this.#byOffset.get(offset);
    if (whole?.spec.offset === offset && whole.width === width) {
      return this.#readRegister(whole);
    }
    // In a map of mixed widths: gather the bytes of every register touched.
    let value = 0;
    for (let i = 0; i < width;) {
      const register = this.#byOffset.get(offset + i);
      if (register === undefined) {
        i++;
        continue;
      }
      const skip = offset + i - register.spec.offset;
      const bytes = Math.min(register.width - skip, width - i);
      const part = this.#readRegister(register) >>> (8 * skip) & onesOf(bytes);
      value |= part << (8 * i);
      i += bytes;
    }
    return value >>> 0;
  }

  /** Answer a write; what is no register ignores it. */
  write(offset: number, width: AccessWidth, value: number): void {
    const whole = this.#byOffset.get(offset);
    if (whole?.spec.offset === offset && whole.width === width) {
      return this.#writeRegister(whole, value, onesOf(width));
    }
    for (let i = 0; i < width;) {
      const register = this.#byOffset.get(offset + i);
      if (register === undefined) {
        i++;
        continue;
      }
      const skip = offset + i - register.spec.offset;
      const bytes = Math.min(register.width - skip, width - i);
      const part = value >>> (8 * i) & onesOf(bytes);
      this.#writeRegister(
        register,
        part << 8 * skip,
        onesOf(bytes) << 8 * skip,
      );
      i += bytes;
    }
  }

  #readRegister({ name, spec, masks }: Register): number {
    const values = this.values as Record<string, number>;
    if (spec.onRead !== undefined) values[name] = spec.onRead() >>> 0;
    const value = values[name];
    if (masks.rc !== 0) values[name] = (value & ~masks.rc) >>> 0;
    return (value & ~masks.wo) >>> 0;
  }

  #writeRegister(register: Register, value: number, enable: number): void {
    const { name, spec, masks } = register;
    const values = this.values as Record<string, number>;
    const old = values[name];
    const stored = (masks.rw | masks.wo) & enable;
    let next = old & ~stored | value & stored;
    next &= ~(value & masks.w1c & enable);
    next |= value & masks.w1s & enable;
    values[name] = next >>> 0;
    spec.onWrite?.(next >>> 0, (value & enable) >>> 0);
  }
}
