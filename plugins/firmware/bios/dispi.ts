/**
 * Bochs' display interface: registers behind an index and a data port, and the
 * PCI function that has the frame buffer.
 *
 * Sources: Bochs, "Bochs VBE display API"; QEMU, "QEMU Standard VGA", for the
 * PCI function and its second region, where the EDID is.
 *
 * @module
 */

import {
  Dispi,
  DISPI_BANK_BYTES,
  DispiEnable,
  DispiId,
} from "../../../core/bus/dispi.ts";
import type { Bios } from "./context.ts";
import type { Guest } from "./guest.ts";
import { functions, idOf, readConfig } from "./pci.ts";

const INDEX = 0x1ce;
const DATA = 0x1cf;
/** The function's ID. */
const PCI_ID = 0x11111234;
const BAR0 = 0x10;
const BAR2 = 0x18;
const EDID_BYTES = 128;
const EDID_HEAD = [0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00];

/** The registers that are a mode, in the order in which they are restored. */
const STATE: readonly number[] = [
  ...[Dispi.XRES, Dispi.YRES, Dispi.BPP, Dispi.ENABLE, Dispi.BANK],
  ...[Dispi.VIRT_WIDTH, Dispi.X_OFFSET, Dispi.Y_OFFSET],
];

/** The display of a machine. */
export class Display {
  readonly #guest: Guest;
  readonly #devfn: number;

  /** The one of this PCI function. */
  constructor(guest: Guest, devfn: number) {
    this.#guest = guest;
    this.#devfn = devfn;
  }

  /** Read a register. */
  read(register: number): number {
    this.#guest.out(INDEX, 2, register);
    return this.#guest.in(DATA, 2);
  }

  /** Write a register. */
  write(register: number, value: number): void {
    this.#guest.out(INDEX, 2, register);
    this.#guest.out(DATA, 2, value & 0xffff);
  }

  #base(register: number): number {
    return (readConfig(this.#guest, this.#devfn, register, 4) & ~0xf) >>> 0;
  }

  #capability(register: number): number {
    const enable = this.read(Dispi.ENABLE);
    this.write(Dispi.ENABLE, enable | DispiEnable.GET_CAPS);
    const value = this.read(register);
    this.write(Dispi.ENABLE, enable);
    return value;
  }

  /** The physical address of the frame buffer. */
  get frameBuffer(): number {
    return this.#base(BAR0);
  }

  /** Bytes of video memory. */
  get memory(): number {
    return this.read(Dispi.VIDEO_MEMORY_64K) * DISPI_BANK_BYTES;
  }

  /** The greatest width, in pixels. */
  get maxWidth(): number {
    return this.#capability(Dispi.XRES);
  }

  /** The greatest height. */
  get maxHeight(): number {
    return this.#capability(Dispi.YRES);
  }

  /** Whether colours have 8 bits in the DAC, or 6. */
  get wideDac(): boolean {
    return (this.read(Dispi.ENABLE) & DispiEnable.DAC_8) !== 0;
  }

  /** Switch the DAC. */
  setWideDac(wide: boolean): void {
    const enable = this.read(Dispi.ENABLE) & ~DispiEnable.DAC_8;
    this.write(Dispi.ENABLE, enable | (wide ? DispiEnable.DAC_8 : 0));
  }

  /** The monitor's description; undefined when there is none. */
  get edid(): Uint8Array | undefined {
    const base = this.#base(BAR2);
    if (base === 0) return undefined;
    const bytes = this.#guest.bytes(base, EDID_BYTES);
    return EDID_HEAD.every((byte, i) => bytes[i] === byte) ? bytes : undefined;
  }

  /** The registers, to be restored. */
  state(): number[] {
    return STATE.map((register) => this.read(register));
  }

  /** Write registers that were saved; gives the word behind them. */
  restore(words: Uint16Array): number {
    STATE.forEach((register, i) => {
      const keep = register === Dispi.ENABLE ? DispiEnable.NO_CLEAR : 0;
      this.write(register, words[i] | keep);
    });
    return words[STATE.length];
  }
}

/** Find the display: it needs the ports and the PCI function. */
export function findDisplay(guest: Guest): Display | undefined {
  guest.out(INDEX, 2, Dispi.ID);
  const id = guest.in(DATA, 2);
  if (id < DispiId.LINEAR || id > DispiId.LAST) return undefined;
  const devfn = functions(guest).find((each) => idOf(guest, each) === PCI_ID);
  return devfn === undefined ? undefined : new Display(guest, devfn);
}

/** Back to the VGA's own modes. */
export function leaveVbe(bios: Bios): void {
  bios.state.vbeMode = 0;
  findDisplay(bios.guest)?.write(Dispi.ENABLE, 0);
}
