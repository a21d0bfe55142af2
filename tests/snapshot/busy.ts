/**
 * Keeps the devices of a machine busy from outside of its CPUs, at random and
 * the same for each seed: registers are written and read as drivers do and as
 * none does.
 *
 * @module
 */

import type { MachineInstance } from "../../mod.ts";
import { Random } from "../random.ts";

/** Ports that are written at random: first, how many, how wide. */
const PORTS: readonly (readonly [number, number, 1 | 2 | 4])[] = [
  ...[[0x00, 16, 1], [0x20, 2, 1], [0x40, 4, 1], [0x60, 2, 1]] as const,
  ...[[0x80, 16, 1], [0xa0, 2, 1], [0xc0, 32, 1], [0x170, 8, 1]] as const,
  ...[[0x1f0, 8, 1], [0x280, 32, 1], [0x2f8, 8, 1], [0x300, 32, 1]] as const,
  ...[[0x320, 32, 1], [0x340, 32, 1], [0x376, 1, 1], [0x3b4, 8, 1]] as const,
  ...[[0x3c0, 32, 1], [0x3f0, 8, 1], [0x3f8, 8, 1], [0x4d0, 2, 1]] as const,
  ...[[0x1ce, 2, 2], [0x510, 2, 1], [0xe9, 1, 1], [0xf0, 1, 1]] as const,
];
/** Memory that is written at random, where there is such a device. */
const MEMORY: readonly (readonly [number, number])[] = [
  ...[[0xfec00000, 0x14], [0xfed00000, 0x160], [0xfee00000, 0x3f0]] as const,
  ...[[0xfeb00000, 0x200], [0xfeb00200, 0x200], [0xfeb00400, 0x200]] as const,
  ...[[0xfeb00600, 0x200], [0xa0000, 0x20000]] as const,
];
/** Where rings, frames and sectors go: nothing else is there. */
const ROOM = 0x400000;
const ROOM_BYTES = 0x100000;
/** Where CPUs begin that are started, and what they do: `lock inc; jmp`. */
const START = 0x8000;
const COUNTS = [0xf0, 0x66, 0xff, 0x06, 0x00, 0x01, 0xeb, 0xf7];

/** What drivers do, port by port: a value, or how many random ones. */
type Access = readonly [port: number, value: number, width?: 1 | 2 | 4];

const ask = (device: number, sector: number, command: number): Access[] => [
  [0x1f6, 0xe0 | device << 4],
  [0x1f2, 5],
  [0x1f3, sector],
  [0x1f4, 1],
  [0x1f5, 0],
  [0x1f7, command],
];
const packet = (...bytes: number[]): Access[] => [
  ...[[0x176, 0xa0], [0x174, 0xff], [0x175, 0x0f], [0x177, 0xa0]] as const,
  ...Array.from({ length: 6 }, (_, i): Access => [
    0x170,
    (bytes[2 * i] ?? 0) | (bytes[2 * i + 1] ?? 0) << 8,
    2,
  ]),
];
const floppy = (...bytes: number[]): Access[] => [
  [0x3f2, 0x1c],
  // Channel 2 to the room.
  ...[[0x0a, 6], [0x0c, 0], [0x04, 0], [0x04, 0], [0x81, 0x40]] as const,
  ...[[0x05, 0xff], [0x05, 0x3f], [0x0b, 0x46], [0x0a, 2]] as const,
  ...bytes.map((byte): Access => [0x3f5, byte]),
];
const ne2k = (base: number): Access[] =>
  [
    ...[[0, 0x22], [1, 0x46], [2, 0x80], [3, 0x50], [0xf, 0xff]] as const,
    ...[[4, 0x40], [5, 0x40], [6, 0], [0xd, 2], [0xc, 4], [0, 0x26]] as const,
  ].map(([at, value]): Access => [base + at, value]);

const WORK: readonly (readonly Access[])[] = [
  ask(0, 9, 0x20),
  ask(0, 9, 0x30),
  ask(0, 0, 0xec),
  ask(0, 3, 0xc8),
  Array.from({ length: 200 }, (): Access => [0x1f0, 0x1234, 2]),
  packet(0x28, 0, 0, 0, 0, 3, 0, 0, 4),
  packet(0x25),
  packet(0x1b, 0, 0, 0, 2),
  packet(0x43, 2, 0, 0, 0, 0, 0, 0, 12),
  floppy(7, 0),
  floppy(0x0f, 0, 33),
  floppy(0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff),
  floppy(0xc5, 0, 0, 0, 1, 2, 18, 0x1b, 0xff),
  floppy(8),
  // Timers.
  [[0x43, 0x34], [0x40, 0], [0x40, 9], [0x43, 0xb6], [0x42, 7], [0x42, 1]],
  [[0x61, 3], [0x43, 0x70], [0x41, 1], [0x41, 2]],
  [[0x70, 0x0a], [0x71, 0x26], [0x70, 0x0b], [0x71, 0x72]],
  [[0x70, 0x0c], [0x70, 5], [0x71, 0xc0], [0x70, 1], [0x71, 0xc0]],
  // Characters.
  [[0x3fb, 0x83], [0x3f8, 1], [0x3f9, 0], [0x3fb, 3], [0x3fa, 0xc7]],
  [
    [0x3f9, 0xf],
    ..."busy".split("").map((c): Access => [
      0x3f8,
      c.charCodeAt(0),
    ]),
  ],
  // The keyboard and the mouse.
  [[0x60, 0xed], [0x60, 2], [0x60, 0xf3], [0x60, 0x20], [0x60, 0xff]],
  [[0x64, 0xd4], [0x60, 0xf4], [0x64, 0xd4], [0x60, 0xeb]],
  [[0x64, 0xd2], [0x60, 0x1e], [0x64, 0x20]],
  ne2k(0x300),
  ne2k(0x320),
  // Windows 640 by 480 at 32 bits.
  [[0x1ce, 4, 2], [0x1cf, 0, 2], [0x1ce, 1, 2], [0x1cf, 640, 2]],
  [[0x1ce, 2, 2], [0x1cf, 480, 2], [0x1ce, 3, 2], [0x1cf, 32, 2]],
  [[0x1ce, 4, 2], [0x1cf, 0x41, 2]],
];

/** A register of a PCI function that drivers set, beside any others. */
interface Card {
  readonly id: number;
  readonly io: number;
  readonly memory: number;
  readonly bytes: number;
}

/** Keeps a machine busy; two with the same seed do the same to theirs. */
export class Busy {
  readonly #machine: MachineInstance;
  readonly #random: Random;
  readonly #cards: readonly Card[];

  /** Busy with this machine, whose firmware has set up what it has. */
  constructor(machine: MachineInstance, seed: number) {
    this.#machine = machine;
    this.#random = new Random(seed);
    this.#cards = this.#findCards();
  }

  /** A few dozen accesses. */
  work(): void {
    for (let i = 0; i < 20; i++) {
      const what = this.#random.below(8);
      if (what < 3) this.#accesses(this.#random.of(WORK));
      else if (what < 4) this.#port();
      else if (what < 5) this.#memory();
      else if (this.#cards.length > 0) this.#card(this.#random.of(this.#cards));
      else this.#memory();
    }
    if (this.#random.below(4) === 0) this.#startCpus();
    if (this.#random.below(2) === 0) this.#fillRoom();
  }

  #value(): number {
    const random = this.#random;
    switch (random.below(6)) {
      case 0:
        return random.below(256);
      case 1:
        return 2 ** random.below(32);
      case 2:
        return ROOM + random.below(ROOM_BYTES / 4096) * 4096;
      case 3:
        return random.below(65536);
      case 4:
        return random.below(8);
      default:
        return random.below(0xffffffff);
    }
  }

  #accesses(accesses: readonly Access[]): void {
    const ports = this.#machine.space("ports");
    for (const [port, value, width = 1] of accesses) {
      ports.write(port, width, value);
    }
    // Some of what waits for a reader is read.
    for (let i = this.#random.below(300); i > 0; i--) {
      ports.read(this.#random.of([0x1f0, 0x170, 0x3f5, 0x60, 0x3f8]), 1);
    }
  }

  #port(): void {
    const ports = this.#machine.space("ports");
    const [first, count, width] = this.#random.of(PORTS);
    const port = first + this.#random.below(count);
    const value = this.#value() % 2 ** (8 * width);
    // It would be reset again and again.
    if (port === 0x64 && value >= 0xf0) return;
    if (this.#random.below(3) === 0) ports.read(port, width);
    else ports.write(port, width, value);
  }

  #memory(): void {
    const memory = this.#machine.space("memory");
    const [first, bytes] = this.#random.of(MEMORY);
    const at = first + this.#random.below(bytes / 4) * 4;
    if (this.#random.below(3) === 0) memory.read(at, 4);
    else memory.write(at, 4, this.#value());
  }

  #card({ id, io, memory, bytes }: Card): void {
    const space = this.#machine.space("memory");
    const random = this.#random;
    if (id === 0x100e8086) {
      // Rings, a tail, and on: what is sent is what is in the room.
      const set: Record<number, number> = {
        0x400: 0x10400fa,
        0x3800: ROOM,
        0x3808: 0x1000,
        0x3818: random.below(256),
        0x100: 0x801e,
        0x2800: ROOM + 0x1000,
        0x2808: 0x1000,
        0x2818: random.below(256),
        0xd0: 0xffff,
        0xc4: random.below(2000),
        0x3820: random.below(2000),
      };
      for (const [at, value] of Object.entries(set)) {
        if (random.below(3) > 0) space.write(memory + Number(at), 4, value);
      }
    } else if (io !== 0 && random.below(2) === 0) {
      this.#accesses(ne2k(io));
    }
    for (let i = random.below(20); i > 0; i--) {
      if (memory !== 0) {
        const at = memory + random.below(Math.min(bytes, 0x4000) / 4) * 4;
        if (random.below(3) === 0) space.read(at, 4);
        else space.write(at, 4, this.#value());
      } else if (io !== 0) {
        const ports = this.#machine.space("ports");
        const port = io + random.below(32);
        if (random.below(3) === 0) ports.read(port, 1);
        else ports.write(port, 1, random.below(256));
      }
    }
  }

  #fillRoom(): void {
    const { u8, guestStart } = this.#machine.memory;
    for (let i = 0; i < 64; i++) {
      const at = ROOM + 16 * this.#random.below(1024);
      const view = new DataView(u8.buffer, guestStart + at, 16);
      view.setUint32(0, ROOM + 0x10000 + 4096 * this.#random.below(64), true);
      view.setUint32(8, 0x0b000000 | 60 + this.#random.below(1400), true);
    }
  }

  /** All other CPUs count. */
  #startCpus(): void {
    const { u8, guestStart } = this.#machine.memory;
    u8.set(COUNTS, guestStart + START);
    const memory = this.#machine.space("memory");
    memory.write(0xfee000f0, 4, 0x1ff);
    for (const command of [0xc4500, 0xc4608, 0xc4608]) {
      memory.write(0xfee00300, 4, command);
    }
    memory.write(0xfee00320, 4, 0x200f1);
    memory.write(0xfee003e0, 4, 3);
    memory.write(0xfee00380, 4, 10_000 + this.#random.below(1_000_000));
  }

  #findCards(): Card[] {
    const { plan } = this.#machine;
    if (!plan.devices.some(({ plugin }) => plugin.name === "i440fx")) return [];
    const ports = this.#machine.space("ports");
    const config = (slot: number, at: number): number => {
      ports.write(0xcf8, 4, 0x80000000 + slot * 0x800 + at);
      return ports.read(0xcfc, 4);
    };
    const cards: Card[] = [];
    for (let slot = 2; slot < 32; slot++) {
      const id = config(slot, 0);
      if (id === 0xffffffff) continue;
      // Bus mastering, memory and ports.
      ports.write(0xcf8, 4, 0x80000000 + slot * 0x800 + 4);
      ports.write(0xcfc, 2, 7);
      const bars = [0, 1, 2, 3, 4, 5].map((n) => config(slot, 0x10 + n * 4));
      const io = bars.find((bar) => (bar & 1) !== 0) ?? 0;
      const memory = bars.filter((bar) => bar !== 0 && (bar & 1) === 0).at(-1);
      cards.push({
        id,
        io: io & 0xfffc,
        memory: ((memory ?? 0) & 0xfffffff0) >>> 0,
        bytes: 0x1000,
      });
    }
    return cards;
  }
}
