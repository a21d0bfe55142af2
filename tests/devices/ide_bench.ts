/**
 * Drives for tests: a disk image in memory whose requests the test settles,
 * and an IDE channel on it, as a guest's driver sees it.
 *
 * @module
 */

import type { BlockBackend } from "../../core/backend/block.ts";
import type { DevicePlugin } from "../../core/machine/plugin.ts";
import { DeviceBench } from "../../core/machine/testing.ts";
import ide, { type IsaIde } from "../../plugins/device/ide/ide.ts";
import piix3Ide from "../../plugins/device/ide/piix3_ide.ts";

/** A disk image in memory. */
export class FakeBlock implements BlockBackend {
  /** The image. */
  readonly bytes: Uint8Array;
  readonly readOnly: boolean;
  /** What was asked, in words: `write 512+512`. */
  readonly log: string[] = [];
  /** Requests wait for `release` while this is set. */
  held = false;
  /** Requests take so many milliseconds of the host. */
  delay = 0;
  /** The next requests whose word is this fail. */
  failing = "";
  /** Requests for the sector at this offset fail. */
  bad = -1;
  #waiting: (() => void)[] = [];

  constructor(size: number, readOnly = false) {
    this.bytes = new Uint8Array(size);
    this.readOnly = readOnly;
    // Each sector is different and no byte stands still.
    for (let i = 0; i < size; i++) this.bytes[i] = (i >> 9) * 7 + i * 3;
  }

  get size(): number {
    return this.bytes.length;
  }

  async #request<T>(
    word: string,
    offset: number,
    length: number,
    run: () => T,
  ): Promise<T> {
    this.log.push(length === 0 ? word : `${word} ${offset}+${length}`);
    if (this.held) await new Promise<void>((done) => this.#waiting.push(done));
    if (this.delay > 0) {
      await new Promise((done) => setTimeout(done, this.delay));
    }
    if (this.failing === word) throw new Error(`${word} fails`);
    if (this.bad >= offset && this.bad < offset + length) {
      throw new Error(`the sector at ${this.bad} is bad`);
    }
    return run();
  }

  /** Let what waits go on, and wait until it has. */
  async release(): Promise<void> {
    for (const done of this.#waiting.splice(0)) done();
    await settled();
  }

  #check(offset: number, length: number): void {
    if (!(offset >= 0) || offset + length > this.size) {
      throw new RangeError(`${offset}+${length} is beyond ${this.size}`);
    }
  }

  read(
    offset: number,
    length: number,
    room: Uint8Array = new Uint8Array(length),
  ): Promise<Uint8Array> {
    return this.#request("read", offset, length, () => {
      this.#check(offset, length);
      room.set(this.bytes.subarray(offset, offset + length));
      return room;
    });
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#request("write", offset, bytes.length, () => {
      this.#check(offset, bytes.length);
      this.bytes.set(bytes, offset);
    });
  }

  writeZeroes(offset: number, length: number): Promise<void> {
    return this.write(offset, new Uint8Array(length));
  }

  discard(offset: number, length: number): Promise<void> {
    return this.#request("discard", offset, length, () => {
      this.#check(offset, length);
    });
  }

  flush(): Promise<void> {
    return this.#request("flush", 0, 0, () => {});
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Wait until everything that can go on without a timer has. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

/** The plugin with these backends, whatever the bench gives. */
export function ideOn(
  backends: Readonly<Record<string, BlockBackend | undefined>>,
): DevicePlugin {
  return {
    ...ide,
    create: (config, context) =>
      ide.create(config, { ...context, block: (name) => backends[name] }),
  };
}

/** The plugin with a disk and a CD-ROM drive, new ones for each device. */
export function ideWithDrives(): DevicePlugin {
  return {
    ...ide,
    name: "ide with drives",
    create: (_config, context) =>
      ide.create({ disk1: { kind: "cdrom" } }, {
        ...context,
        block: () => new FakeBlock(1 << 20),
      }),
  };
}

/** The PIIX3's function with a drive of each kind on both channels. */
export function piix3IdeWithDrives(): DevicePlugin {
  return {
    ...piix3Ide,
    name: "piix3-ide with drives",
    create: (config, context) =>
      piix3Ide.create({
        ...config,
        decode: true,
        disk1: { kind: "cdrom" },
        disk2: { kind: "cdrom" },
      }, { ...context, block: () => new FakeBlock(1 << 20) }),
  };
}

/** A channel on the bench, with the words of a driver. */
export class IdeBench {
  readonly bench: DeviceBench<IsaIde>;

  private constructor(bench: DeviceBench<IsaIde>) {
    this.bench = bench;
  }

  static async create(
    backends: Readonly<Record<string, BlockBackend | undefined>>,
    config: Record<string, unknown> = {},
  ): Promise<IdeBench> {
    const bench = await DeviceBench.create<IsaIde>(ideOn(backends), { config });
    bench.device.reset();
    return new IdeBench(bench);
  }

  in(register: number): number {
    return this.bench.read("command", register);
  }

  out(register: number, value: number): void {
    this.bench.write("command", register, value);
  }

  /** Alternate status. */
  get alternate(): number {
    return this.bench.read("control", 0);
  }

  get irq(): boolean {
    return this.bench.level("irq");
  }

  control(value: number): void {
    this.bench.write("control", 0, value);
  }

  /** Registers 1 to 6 and the command; what they do is done at the end. */
  async command(
    command: number,
    registers: Readonly<Record<number, number>> = {},
  ): Promise<void> {
    for (const [register, value] of Object.entries(registers)) {
      this.out(Number(register), value);
    }
    this.out(7, command);
    await settled();
  }

  /** Registers of a 28-bit address. */
  lba(lba: number, count: number, unit = 0): Record<number, number> {
    return {
      2: count & 255,
      3: lba & 255,
      4: lba >> 8 & 255,
      5: lba >> 16 & 255,
      6: 0xe0 | unit << 4 | lba >> 24 & 15,
    };
  }

  /** Write the registers of a 48-bit address, the upper half first. */
  lba48(lba: number, count: number): void {
    const at = (i: number): number => Math.floor(lba / 2 ** (8 * i)) & 255;
    this.out(6, 0xe0);
    this.out(2, count >> 8);
    for (let i = 0; i < 3; i++) this.out(3 + i, at(3 + i));
    this.out(2, count & 255);
    for (let i = 0; i < 3; i++) this.out(3 + i, at(i));
  }

  /** Read bytes from the data register. */
  data(length: number, width: 2 | 4 = 2): Uint8Array {
    const out = new Uint8Array(length);
    const view = new DataView(out.buffer);
    for (let i = 0; i < length; i += width) {
      const value = this.bench.read("command", 0, width);
      if (width === 2) view.setUint16(i, value, true);
      else view.setUint32(i, value, true);
    }
    return out;
  }

  /** Write bytes to the data register. */
  async put(bytes: Uint8Array, width: 2 | 4 = 2): Promise<void> {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let i = 0; i < bytes.length; i += width) {
      const value = width === 2
        ? view.getUint16(i, true)
        : view.getUint32(i, true);
      this.bench.write("command", 0, value, width);
    }
    await settled();
  }

  /** The address registers, count first. */
  get address(): number[] {
    return [2, 3, 4, 5, 6].map((register) => this.in(register));
  }

  /** Send a packet. */
  async packet(
    bytes: readonly number[],
    limit = 0xfffe,
    unit = 0,
    features = 0,
  ): Promise<void> {
    await this.command(0xa0, {
      6: 0xa0 | unit << 4,
      1: features,
      4: limit & 255,
      5: limit >> 8,
    });
    const cdb = new Uint8Array(12);
    cdb.set(bytes);
    await this.put(cdb);
  }

  /** Read what a packet answers, block by block. */
  async answer(): Promise<Uint8Array> {
    const out: number[] = [];
    while ((this.in(7) & 0x08) !== 0) {
      const count = this.in(4) | this.in(5) << 8;
      out.push(...this.data(count + (count & 1)).subarray(0, count));
      await settled();
    }
    return new Uint8Array(out);
  }
}
