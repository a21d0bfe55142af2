/**
 * The guest's memory and ports in the widths that services use them.
 *
 * @module
 */

import type { DmaPort, PortAccess } from "../../../core/machine/plugin.ts";

/** CMOS memory: the index and the data port. */
const CMOS_INDEX = 0x70;
const CMOS_DATA = 0x71;
/** Index: NMI is masked. */
const NMI_OFF = 0x80;

/** A physical address of real mode. */
export function linear(segment: number, offset: number): number {
  return segment * 16 + offset;
}

/** Memory and ports. */
export class Guest {
  readonly #dma: DmaPort;
  readonly #ports: PortAccess;
  readonly #scratch = new Uint8Array(4);
  readonly #views = [1, 2, 4].map((n) => this.#scratch.subarray(0, n));
  readonly #view = new DataView(this.#scratch.buffer);

  /** Over a device's way to memory and ports. */
  constructor(dma: DmaPort, ports: PortAccess) {
    this.#dma = dma;
    this.#ports = ports;
  }

  /** A byte of memory. */
  u8(address: number): number {
    this.#dma.read(address, this.#views[0]);
    return this.#scratch[0];
  }

  /** A 16-bit word of memory. */
  u16(address: number): number {
    this.#dma.read(address, this.#views[1]);
    return this.#view.getUint16(0, true);
  }

  /** A 32-bit word of memory. */
  u32(address: number): number {
    this.#dma.read(address, this.#views[2]);
    return this.#view.getUint32(0, true);
  }

  /** Write a byte. */
  set8(address: number, value: number): void {
    this.#scratch[0] = value;
    this.#dma.write(address, this.#views[0]);
  }

  /** Write a 16-bit word. */
  set16(address: number, value: number): void {
    this.#view.setUint16(0, value, true);
    this.#dma.write(address, this.#views[1]);
  }

  /** Write a 32-bit word. */
  set32(address: number, value: number): void {
    this.#view.setUint32(0, value, true);
    this.#dma.write(address, this.#views[2]);
  }

  /** Fill `into` from memory. */
  read(address: number, into: Uint8Array): void {
    this.#dma.read(address, into);
  }

  /** So many bytes of memory. */
  bytes(address: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#dma.read(address, bytes);
    return bytes;
  }

  /** Write bytes. */
  write(address: number, bytes: Uint8Array): void {
    this.#dma.write(address, bytes);
  }

  /** Read an 8-bit port. */
  in8(port: number): number {
    return this.#ports.read(port, 1);
  }

  /** Read a port of this width. */
  in(port: number, width: 1 | 2 | 4): number {
    return this.#ports.read(port, width);
  }

  /** Write an 8-bit port. */
  out8(port: number, value: number): void {
    this.#ports.write(port, 1, value & 0xff);
  }

  /** Write a port of this width. */
  out(port: number, width: 1 | 2 | 4, value: number): void {
    this.#ports.write(port, width, value);
  }

  /** Write an indexed register: the index port, then the one behind it. */
  outIndexed(port: number, index: number, value: number): void {
    this.out8(port, index);
    this.out8(port + 1, value);
  }

  /** Read a byte of CMOS memory. */
  cmos(index: number): number {
    this.out8(CMOS_INDEX, index | NMI_OFF);
    const value = this.in8(CMOS_DATA);
    this.out8(CMOS_INDEX, 0x0d);
    return value;
  }

  /** Write a byte of CMOS memory. */
  setCmos(index: number, value: number): void {
    this.out8(CMOS_INDEX, index | NMI_OFF);
    this.out8(CMOS_DATA, value);
    this.out8(CMOS_INDEX, 0x0d);
  }
}
