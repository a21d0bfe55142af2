/**
 * Resource descriptors: which ports, memory and interrupts a device has.
 *
 * ACPI Specification 6.4, section 6.4 "Resource Data Types for ACPI"; the
 * functions have the names of the macros in chapter 19.
 *
 * @module
 */

import { type Aml, buffer, join } from "./aml.ts";

/** Tags of small descriptors, their length included. */
const IRQ_NO_FLAGS = 0x22;
const DMA = 0x2a;
const IO_PORTS = 0x47;
const END = 0x79;
/** Tags of large descriptors. */
const MEMORY32_FIXED = 0x86;
const DWORD_ADDRESS = 0x87;
const WORD_ADDRESS = 0x88;
const EXTENDED_INTERRUPT = 0x89;

/** IO_PORTS: the device decodes 16 bits. */
const DECODE16 = 1;
/** EXTENDED_INTERRUPT: level, active high, shared, this device uses it. */
const CONSUMER = 0x01;
const SHARED = 0x08;
/** Where the interrupt's number is in an EXTENDED_INTERRUPT. */
export const INTERRUPT_NUMBER = 5;
/** Address spaces: what is decoded, and its range is fixed at both ends. */
const TYPE_MEMORY = 0;
const TYPE_IO = 1;
const TYPE_BUS = 2;
const MIN_MAX_FIXED = 0x0c;
/** TYPE_MEMORY: it can be written, it is not cached or it is. */
const READ_WRITE = 0x01;
const CACHEABLE = 0x02;
/** TYPE_IO: ISA addresses and all others. */
const ENTIRE_RANGE = 0x03;

/** The bytes of a list of numbers, each with its size in bytes. */
function bytesOf(...fields: (readonly [value: number, size: number])[]): Aml {
  return Uint8Array.from(
    fields.flatMap(([value, size]) =>
      Array.from({ length: size }, (_, i) => Math.floor(value / 2 ** (8 * i)))
    ),
  );
}

function large(tag: number, ...fields: (readonly [number, number])[]): Aml {
  const body = bytesOf(...fields);
  return join([bytesOf([tag, 1], [body.length, 2]), body]);
}

/** `IO (Decode16, base, base, 1, size)` */
export function io(base: number, size: number): Aml {
  return bytesOf(
    [IO_PORTS, 1],
    [DECODE16, 1],
    [base, 2],
    [base, 2],
    [1, 1],
    [size, 1],
  );
}

/** `IRQNoFlags () {irq}`: an edge of the ISA bus. */
export function irqNoFlags(irq: number): Aml {
  return bytesOf([IRQ_NO_FLAGS, 1], [1 << irq, 2]);
}

/** `DMA (Compatibility, NotBusMaster, Transfer8) {channel}` */
export function dma(channel: number): Aml {
  return bytesOf([DMA, 1], [1 << channel, 1], [0, 1]);
}

/** `Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {irqs}` */
export function interrupt(...irqs: number[]): Aml {
  return large(
    EXTENDED_INTERRUPT,
    [CONSUMER | SHARED, 1],
    [irqs.length, 1],
    ...irqs.map((irq) => [irq, 4] as const),
  );
}

/** `Memory32Fixed (ReadWrite, base, size)` */
export function memory32Fixed(base: number, size: number): Aml {
  return large(MEMORY32_FIXED, [READ_WRITE, 1], [base, 4], [size, 4]);
}

function window(
  tag: number,
  size: 2 | 4,
  type: number,
  flags: number,
  min: number,
  max: number,
): Aml {
  return large(
    tag,
    [type, 1],
    [MIN_MAX_FIXED, 1],
    [flags, 1],
    [0, size],
    [min, size],
    [max, size],
    [0, size],
    [max - min + 1, size],
  );
}

/** `WordBusNumber`: the buses that a bridge leads to. */
export function busNumbers(min: number, max: number): Aml {
  return window(WORD_ADDRESS, 2, TYPE_BUS, 0, min, max);
}

/** `WordIO`: the ports that a bridge leads to. */
export function ioWindow(min: number, max: number): Aml {
  return window(WORD_ADDRESS, 2, TYPE_IO, ENTIRE_RANGE, min, max);
}

/** `DWordMemory`: memory that a bridge leads to. */
export function memoryWindow(
  min: number,
  max: number,
  cacheable: boolean,
): Aml {
  const flags = READ_WRITE | (cacheable ? CACHEABLE : 0);
  return window(DWORD_ADDRESS, 4, TYPE_MEMORY, flags, min, max);
}

/** `ResourceTemplate () {descriptors}` */
export function resources(...descriptors: Aml[]): Aml {
  // A checksum of 0 is always right.
  return buffer(join([...descriptors, bytesOf([END, 1], [0, 1])]));
}
