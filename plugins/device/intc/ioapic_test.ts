import { assertEquals } from "@std/assert";
import type { EoiListener } from "../../../core/bus/apic.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import plugin, { type IoApic } from "./ioapic.ts";

/** An I/O APIC on a bus that keeps what is sent, and accepts or not. */
class Board {
  /** Messages: mode, vector, level, destination, logical. */
  readonly sent: unknown[][] = [];
  accepts = true;
  listener: EoiListener | undefined;
  bench!: DeviceBench<IoApic>;

  static async create(): Promise<Board> {
    const board = new Board();
    const bus = {
      listen: (listener: EoiListener) => board.listener = listener,
      send: (...message: unknown[]) => {
        board.sent.push(message);
        return board.accepts;
      },
    };
    board.bench = await DeviceBench.create<IoApic>(plugin, { use: { bus } });
    board.bench.device.reset();
    return board;
  }

  take(): unknown[][] {
    return this.sent.splice(0);
  }

  get(index: number): number {
    this.bench.write("registers", 0, index, 4);
    return this.bench.read("registers", 0x10, 4);
  }

  put(index: number, value: number): void {
    this.bench.write("registers", 0, index, 4);
    this.bench.write("registers", 0x10, value, 4);
  }

  /** Write an entry of the redirection table. */
  entry(pin: number, low: number, high = 0): void {
    this.put(0x11 + 2 * pin, high);
    this.put(0x10 + 2 * pin, low);
  }

  low(pin: number): number {
    return this.get(0x10 + 2 * pin);
  }
}

Deno.test("ioapic: identification, and entries after reset", async () => {
  const board = await Board.create();
  assertEquals(board.get(1), 0x00170011); // 82093AA: 24 entries, version 11h
  board.put(0, 0xffffffff);
  assertEquals([board.get(0), board.get(2)], [0x0f000000, 0x0f000000]);
  for (let pin = 0; pin < 24; pin++) assertEquals(board.low(pin), 0x10000);
  assertEquals(board.get(0x40), 0);
});

Deno.test("ioapic: an edge is sent once, and lost while it is masked", async () => {
  const board = await Board.create();
  board.entry(4, 0x10041);
  board.bench.drive("irq4", true);
  board.entry(4, 0x41, 0x03000000);
  assertEquals(board.take(), []);
  board.bench.drive("irq4", false);
  board.bench.drive("irq4", true);
  board.bench.drive("irq4", true);
  assertEquals(board.take(), [[0, 0x41, false, 3, false]]);
  board.entry(4, 0x941, 0x0f000000);
  board.bench.drive("irq4", false);
  board.bench.drive("irq4", true);
  assertEquals(board.take(), [[1, 0x41, false, 15, true]]);
});

Deno.test("ioapic: a level is sent again after each end", async () => {
  const board = await Board.create();
  board.bench.drive("irq9", true);
  board.entry(9, 0x8051);
  assertEquals([board.take().length, board.low(9)], [1, 0xc051]);
  board.listener!.ended(0x50);
  assertEquals(board.take(), []);
  board.listener!.ended(0x51);
  assertEquals([board.take().length, board.low(9)], [1, 0xc051]);
  board.bench.drive("irq9", false);
  board.listener!.ended(0x51);
  assertEquals([board.take(), board.low(9)], [[], 0x8051]);
  board.bench.drive("irq9", true);
  board.bench.drive("irq9", false);
  board.bench.drive("irq9", true);
  assertEquals(board.take(), [[0, 0x51, true, 0, false]]);
  // Software ends it by making an edge of it.
  board.entry(9, 0x10051);
  assertEquals(board.low(9), 0x10051);
  // And one that nobody has accepted is not waited for.
  board.accepts = false;
  board.entry(9, 0x8051);
  assertEquals([board.take().length, board.low(9)], [1, 0x8051]);
});

Deno.test("ioapic: NMI, INIT and ExtINT are edges", async () => {
  const board = await Board.create();
  for (const mode of [4, 5, 7]) {
    board.entry(7, 0x8000 | mode << 8);
    board.bench.drive("irq7", true);
    board.bench.drive("irq7", false);
    assertEquals(board.take(), [[mode, 0, false, 0, false]]);
    assertEquals(board.low(7), 0x8000 | mode << 8);
  }
});

Deno.test("ioapic: tells the timer what becomes of its ticks", async () => {
  const board = await Board.create();
  const { bench } = board;
  const told = () => [bench.level("pending"), bench.level("masked")];
  // The 8259A alone.
  bench.drive("pending0", true);
  assertEquals(told(), [true, false]);
  bench.drive("masked0", true);
  assertEquals(told(), [true, true], "it waits while both mask it");
  board.entry(2, 0x41);
  assertEquals(told(), [false, false], "the 8259A's does not count");
  bench.drive("irq2", true);
  assertEquals(told(), [true, false]);
  board.listener!.taken(0x31);
  assertEquals(told(), [true, false]);
  board.listener!.taken(0x41);
  assertEquals(told(), [false, false]);
  bench.drive("irq2", false);
  bench.drive("irq2", true);
  board.listener!.taken(-1);
  assertEquals(told(), [false, false], "the local APIC has forgotten it");
  bench.drive("irq2", false);
  bench.drive("irq2", true);
  board.entry(2, 0x42);
  assertEquals(told(), [false, false], "its vector is not used any more");
  board.accepts = false;
  bench.drive("irq2", false);
  bench.drive("irq2", true);
  assertEquals(told(), [false, false], "nobody has it");
});

Deno.test("ioapic: the window has 32 bits, the select register eight", async () => {
  const board = await Board.create();
  const { bench } = board;
  board.put(0x10, 0x10456);
  bench.write("registers", 0x10, 0xff, 1);
  bench.write("registers", 0x12, 0, 2);
  assertEquals(board.low(0), 0x10456);
  bench.write("registers", 0, 1, 1);
  assertEquals(bench.read("registers", 0x12, 2), 0x17);
  bench.write("registers", 1, 1, 1); // reserved
  assertEquals(bench.read("registers", 0, 4), 1);
});
