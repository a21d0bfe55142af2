/**
 * A floppy controller on the bench with real DMA controllers, as a driver sees
 * it: the commands' bytes in, the result's bytes out.
 *
 * @module
 */

import type { BlockBackend } from "../../core/backend/block.ts";
import type { DevicePlugin } from "../../core/machine/plugin.ts";
import { DeviceBench } from "../../core/machine/testing.ts";
import i8237, { type I8237 } from "../../plugins/device/dma/i8237.ts";
import type { FloppyController } from "../../plugins/device/floppy/controller.ts";
import i82077 from "../../plugins/device/floppy/i82077.ts";
import { FakeBlock, settled } from "./ide_bench.ts";

/** Bytes of a medium of 1.44 MB. */
export const FLOPPY_BYTES = 1_474_560;
/** Where DMA goes. */
export const DMA_ADDRESS = 0x4000;
/** More than any command takes: 20 ms. */
const LONG = 20_000_000;

/** The plugin with these backends, whatever the bench gives. */
export function floppyOn(
  backends: Readonly<Record<string, BlockBackend | undefined>>,
): DevicePlugin {
  return {
    ...i82077,
    create: (config, context) =>
      i82077.create(config, { ...context, block: (name) => backends[name] }),
  };
}

/** The plugin with two disks, new ones for each device. */
export function floppyWithDisks(): DevicePlugin {
  return {
    ...i82077,
    name: "i82077 with disks",
    create: (config, context) =>
      i82077.create(config, {
        ...context,
        block: (name) => new FakeBlock(FLOPPY_BYTES, name === "drive1"),
      }),
  };
}

/** What is written down for firmware. */
export class FakeSetup {
  readonly bytes = new Uint8Array(128);

  preset(index: number, mask: number, value: number): void {
    this.bytes[index] = this.bytes[index] & ~mask | value & mask;
  }
}

/** A controller on the bench, out of reset, with the words of a driver. */
export class FloppyBench {
  readonly bench: DeviceBench<FloppyController>;
  readonly dma: DeviceBench<I8237>;
  readonly setup: FakeSetup;

  private constructor(
    bench: DeviceBench<FloppyController>,
    dma: DeviceBench<I8237>,
    setup: FakeSetup,
  ) {
    this.bench = bench;
    this.dma = dma;
    this.setup = setup;
  }

  static async create(
    backends: Readonly<Record<string, BlockBackend | undefined>>,
    config: Record<string, unknown> = {},
  ): Promise<FloppyBench> {
    const dma = await DeviceBench.create<I8237>(i8237);
    const setup = new FakeSetup();
    const bench = await DeviceBench.create<FloppyController>(
      floppyOn(backends),
      { config, use: { dma: dma.device, setup } },
    );
    dma.device.reset();
    bench.device.reset();
    return new FloppyBench(bench, dma, setup);
  }

  /** Out of reset with a motor on, the rate of 500 kbit/s, all sensed. */
  async start(motors = 0x30): Promise<this> {
    this.out(2, motors | 0x0c);
    this.bench.write("control", 0, 0);
    await this.wait();
    for (let i = 0; i < 4; i++) await this.command(0x08);
    await this.command(0x03, 0xdf, 0x02);
    return this;
  }

  in(register: number): number {
    return this.bench.read("registers", register);
  }

  out(register: number, value: number): void {
    this.bench.write("registers", register, value);
  }

  /** The main status register. */
  get msr(): number {
    return this.in(4);
  }

  get irq(): boolean {
    return this.bench.level("irq");
  }

  /** DIR's bit DSKCHG. */
  get changed(): boolean {
    return (this.bench.read("control", 0) & 0x80) !== 0;
  }

  /** Let everything that is under way come to its end. */
  async wait(): Promise<void> {
    for (let i = 0; i < 6; i++) {
      await settled();
      this.bench.advance(LONG);
    }
    await settled();
  }

  /** Write a command's bytes. */
  send(...bytes: number[]): void {
    for (const byte of bytes) this.out(5, byte);
  }

  /** Read the result, if there is one now. */
  result(): number[] {
    const bytes: number[] = [];
    while ((this.msr & 0xf0) === 0xd0) bytes.push(this.in(5));
    return bytes;
  }

  /** A whole command; gives back its result. */
  async command(...bytes: number[]): Promise<number[]> {
    this.send(...bytes);
    await this.wait();
    return this.result();
  }

  /** SEEK or another one that is sensed; gives back ST0 and PCN. */
  async seek(...bytes: number[]): Promise<number[]> {
    await this.command(...bytes);
    return await this.command(0x08);
  }

  /** Program channel 2: 44h to memory, 48h from memory. */
  program(mode: number, length: number): void {
    const { dma } = this;
    dma.write("dma1", 10, 6);
    dma.write("dma1", 12, 0);
    dma.write("dma1", 11, mode | 2);
    dma.write("dma1", 4, DMA_ADDRESS & 255);
    dma.write("dma1", 4, DMA_ADDRESS >> 8);
    dma.write("dma1", 5, length - 1 & 255);
    dma.write("dma1", 5, length - 1 >> 8);
    dma.write("page", 1, 0);
    dma.write("dma1", 10, 2);
  }

  /** Memory where DMA goes. */
  memory(length: number): Uint8Array {
    return this.dma.ram.slice(DMA_ADDRESS, DMA_ADDRESS + length);
  }

  /** Fill that memory with a pattern. */
  fill(length: number, seed = 1): Uint8Array {
    const bytes = Uint8Array.from(
      { length },
      (_, i) => i * 5 + (i >> 8) + seed,
    );
    this.dma.ram.set(bytes, DMA_ADDRESS);
    return bytes;
  }
}
