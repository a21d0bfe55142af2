import { assert, assertEquals } from "@std/assert";
import { MemoryNet } from "../../../core/backend/memory_net.ts";
import { PciBenchBus } from "../../../core/bus/pci_testing.ts";
import type { Device } from "../../../core/machine/plugin.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { frameTo, MAC, onNet } from "../../../tests/devices/nic_bench.ts";
import neIsa from "./ne2k_isa.ts";
import nePci from "./ne2k_pci.ts";

const BROADCAST = [255, 255, 255, 255, 255, 255];
const DATA = 0x10;
const RESET = 0x1f;
/** Command: stop, start, transmit, remote read, write, none; pages. */
const STP = 0x01, STA = 0x02, TXP = 0x04;
const READ = 0x08, WRITE = 0x10, NONE = 0x20;
const PAGE1 = 0x40, PAGE2 = 0x80, PAGE3 = 0xc0;
const PRX = 0x01, PTX = 0x02, CNT = 0x20, RDC = 0x40, RST = 0x80;
/** The driver's ring and transmit buffer, in pages. */
const TX = 0x40, START = 0x46, STOP = 0x60;

/** A card as a driver sees it. */
class Ne2k {
  readonly bench: DeviceBench;
  readonly net: MemoryNet;
  readonly #pin: () => boolean;

  constructor(bench: DeviceBench, net: MemoryNet, pin: () => boolean) {
    this.bench = bench;
    this.net = net;
    this.#pin = pin;
  }

  static async create(isPci: boolean): Promise<Ne2k> {
    const net = new MemoryNet();
    if (!isPci) {
      const bench = await DeviceBench.create(onNet(neIsa, () => net));
      bench.device.reset();
      return new Ne2k(bench, net, () => bench.level("irq"));
    }
    const bus = new PciBenchBus();
    const bench = await DeviceBench.create<Device>(onNet(nePci, () => net), {
      use: { bus },
    });
    bench.device.reset();
    return new Ne2k(bench, net, () => bus.pins[0]);
  }

  get pin(): boolean {
    return this.#pin();
  }

  /** The levels that the ISA card's line took since the last call. */
  lines(): boolean[] {
    return this.bench.takeEdges("irq");
  }

  out(register: number, value: number, width: 1 | 2 | 4 = 1): void {
    this.bench.write("io", register, value, width);
  }

  in(register: number, width: 1 | 2 | 4 = 1): number {
    return this.bench.read("io", register, width);
  }

  /** Registers of a page, while the chip runs. */
  page(page: number, registers: readonly number[]): number[] {
    this.out(0, page | NONE | STA);
    const values = registers.map((register) => this.in(register));
    this.out(0, NONE | STA);
    return values;
  }

  #remote(
    command: number,
    address: number,
    length: number,
    width: number,
  ): void {
    this.out(0, NONE | STA);
    this.out(0x0e, width === 1 ? 0x48 : 0x49);
    this.out(0x07, RDC);
    this.out(0x08, address & 255);
    this.out(0x09, address >> 8);
    this.out(0x0a, length & 255);
    this.out(0x0b, length >> 8);
    this.out(0, command | STA);
  }

  read(address: number, length: number, width: 1 | 2 | 4 = 1): Uint8Array {
    this.#remote(READ, address, length, width);
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < length; i += width) {
      const value = this.in(DATA, width);
      if (width === 1) bytes[i] = value;
      else if (width === 2) view.setUint16(i, value, true);
      else view.setUint32(i, value, true);
    }
    assertEquals(this.in(0x07) & RDC, RDC);
    return bytes;
  }

  write(address: number, bytes: Uint8Array, width: 1 | 2 | 4 = 1): void {
    this.#remote(WRITE, address, bytes.length, width);
    for (let i = 0; i < bytes.length; i += width) {
      let value = 0;
      for (let n = width - 1; n >= 0; n--) value = value * 256 + bytes[i + n];
      this.out(DATA, value, width);
    }
    assertEquals(this.in(0x07) & RDC, RDC);
  }

  /** Set the chip up as a driver does, and start it. */
  start(rcr = 0x04): void {
    this.out(0, NONE | STP);
    this.out(0x0e, 0x49);
    this.out(0x0c, rcr);
    this.out(0x0d, 0);
    this.out(0x01, START);
    this.out(0x02, STOP);
    this.out(0x03, START);
    this.out(0x07, 0xff);
    this.out(0x0f, 0x3f);
    this.out(0, PAGE1 | NONE | STP);
    MAC.forEach((byte, i) => this.out(1 + i, byte));
    this.out(7, START + 1);
    this.out(0, NONE | STA);
  }

  send(frame: Uint8Array): void {
    this.write(TX * 256, frame);
    this.out(0x04, TX);
    this.out(0x05, frame.length & 255);
    this.out(0x06, frame.length >> 8);
    this.out(0, NONE | TXP | STA);
  }

  /** The next frame in the ring, which is given back; its status. */
  take(): { status: number; frame: Uint8Array } | undefined {
    const [curr] = this.page(PAGE1, [7]);
    let page = this.in(0x03) + 1;
    if (page === STOP) page = START;
    if (page === curr) return undefined;
    const [status, next, low, high] = this.read(page * 256, 4);
    const length = (low | high << 8) - 4;
    const frame = this.read(page * 256 + 4, length);
    this.out(0x03, next === START ? STOP - 1 : next - 1);
    return { status, frame };
  }
}

for (const isPci of [false, true]) {
  const name = isPci ? "ne2k-pci" : "ne2k-isa";

  Deno.test(`${name}: reset, the address ROM, IDs`, async () => {
    const card = await Ne2k.create(isPci);
    assertEquals([card.in(0), card.in(7) & RST], [0x21, RST]);
    card.out(0, NONE | STA);
    assertEquals(card.in(7) & RST, 0);
    for (const width of [1, 2, 4] as const) {
      const rom = card.read(0, 32, width);
      const bytes = Array.from({ length: 16 }, (_, i) => rom[2 * i]);
      assertEquals(bytes, [...MAC, ...Array(8).fill(0), 0x57, 0x57]);
      for (let i = 0; i < 16; i++) assertEquals(rom[2 * i], rom[2 * i + 1]);
    }
    // With words, an access of a byte moves a word: how Linux reads the ROM.
    card.out(0x0e, 0x49);
    card.out(0x08, 0);
    card.out(0x09, 0);
    card.out(0x0a, 32);
    card.out(0, READ | STA);
    assertEquals(Array.from(MAC, () => card.in(DATA)), [...MAC]);
    assertEquals(card.page(0, [8]), [12]);
    // The ROM cannot be written.
    card.write(0, new Uint8Array(32));
    assertEquals(card.read(0, 1)[0], MAC[0]);
    assertEquals(card.page(0, [0x0a, 0x0b]), isPci ? [0x50, 0x43] : [0, 0]);
    assertEquals(card.page(PAGE3, [5, 6]), isPci ? [0x40, 0x40] : [0, 0]);
    card.out(0x0f, 0x7f);
    card.out(0x0d, 0x02);
    card.in(RESET);
    assertEquals([card.in(0), card.in(7), card.pin], [0x21, RST, false]);
    // The reset ends a loopback and sets LAS.
    assertEquals(card.page(PAGE2, [0x0d, 0x0e]), [0xe0, 0xcc]);
  });

  Deno.test(`${name}: registers of all pages`, async () => {
    const card = await Ne2k.create(isPci);
    card.start(0x3f);
    assertEquals(card.page(PAGE1, [1, 2, 3, 4, 5, 6, 7]), [...MAC, START + 1]);
    card.out(0, PAGE1 | NONE | STA);
    for (let i = 8; i < 16; i++) card.out(i, 0x10 * i + 1 & 255);
    assertEquals(
      card.page(PAGE1, [8, 15]),
      [0x81, 0xf1],
    );
    card.out(0x04, 0x44);
    card.out(0x0e, 0x49);
    assertEquals(
      card.page(PAGE2, [1, 2, 4, 0x0c, 0x0d, 0x0e, 0x0f]),
      [START, STOP, 0x44, 0xff, 0xe0, 0xc9, 0xbf],
    );
    assertEquals(card.page(0, [3]), [START]);
  });

  Deno.test(`${name}: remote DMA in bytes and words, around the ring`, async () => {
    const card = await Ne2k.create(isPci);
    card.start();
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => i + 1);
    for (const width of [1, 2, 4] as const) {
      card.write(0x4100, bytes, width);
      assertEquals(card.read(0x4100, 64, width), bytes);
      assertEquals(card.page(0, [8, 9]), [0x40, 0x41]);
    }
    // From the end of the ring it goes on at its start.
    card.write(STOP * 256 - 32, bytes);
    assertEquals(card.read(START * 256, 32), bytes.subarray(32));
    // Without a count there is nothing to move, and it is done.
    card.out(0x07, RDC);
    card.out(0, READ | STA);
    assertEquals([card.in(7) & RDC, card.in(DATA)], [RDC, 0xff]);
    // Nothing is where there is no memory.
    assertEquals([...card.read(0x2000, 2)], [0xff, 0xff]);
    card.write(0xf000, bytes);
    assertEquals([...card.read(0xf000, 2)], [0xff, 0xff]);
  });

  Deno.test(`${name}: transmits`, async () => {
    const card = await Ne2k.create(isPci);
    card.start();
    for (const length of [60, 61, 1514]) {
      const frame = frameTo(BROADCAST, length);
      card.send(frame);
      assertEquals(card.net.sent.splice(0), [{ bytes: frame }]);
      assertEquals([card.in(7) & PTX, card.in(4), card.pin], [PTX, 1, true]);
      assertEquals(card.in(0) & TXP, 0);
      card.out(7, PTX);
      assert(!card.pin);
    }
    // In loopback nothing leaves the chip.
    card.out(0x0d, 0x02);
    card.send(frameTo(BROADCAST));
    assertEquals([card.net.sent.length, card.in(7) & PTX], [0, PTX]);
    card.out(0x0d, 0);
    // A frame beyond the memory is none.
    card.out(0x04, 0xff);
    card.out(0, NONE | TXP | STA);
    assertEquals(card.net.sent.length, 0);
  });

  Deno.test(`${name}: without a cable frames go nowhere, and none come`, async () => {
    const card = await Ne2k.create(isPci);
    const { device } = card.bench;
    card.start();
    assertEquals(device.cable, true);
    device.cable = false;
    card.send(frameTo(BROADCAST));
    assert(card.net.receive(frameTo(MAC)), "it is lost");
    assertEquals([card.net.sent.length, card.take()], [0, undefined]);
    device.reset();
    assertEquals(device.cable, false);
    const other = await Ne2k.create(isPci);
    other.bench.device.load(card.bench.save());
    assertEquals(other.bench.device.cable, false);
    card.start();
    device.cable = true;
    card.send(frameTo(BROADCAST));
    assert(card.net.receive(frameTo(MAC)));
    assertEquals([card.net.sent.length, card.take()?.status], [1, 1]);
  });

  Deno.test(`${name}: receives, around the ring, until it is full`, async () => {
    const card = await Ne2k.create(isPci);
    card.start();
    for (let i = 0; i < 60; i++) {
      const frame = frameTo(BROADCAST, 60 + 97 * i % 1455);
      assert(card.net.receive(frame));
      assertEquals([card.in(7) & PRX, card.pin], [PRX, true]);
      card.out(7, PRX);
      assertEquals(card.take(), { status: 0x21, frame });
    }
    assertEquals(card.take(), undefined);
    // A page or more each: 24 pages of 25, for BNRY's stays free.
    const frames = Array.from(
      { length: 40 },
      (_, i) => frameTo(MAC, 100 + i),
    );
    for (const frame of frames) card.net.inject(frame);
    assertEquals(card.net.waiting, 40 - 24);
    assertEquals(card.net.readyCount, 0);
    for (const [i, frame] of frames.entries()) {
      assertEquals(card.take(), { status: 0x01, frame }, `frame ${i}`);
      await Promise.resolve();
    }
    assertEquals([card.take(), card.net.waiting], [undefined, 0]);
  });

  Deno.test(`${name}: which frames are received`, async () => {
    const card = await Ne2k.create(isPci);
    const OTHER = [0x52, 0x54, 0, 0x12, 0x34, 0x57];
    const GROUP = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x01];
    const passes = (): string => {
      let letters = "";
      const frames = { m: MAC, o: OTHER, g: GROUP, b: BROADCAST };
      for (const [letter, to] of Object.entries(frames)) {
        assert(card.net.receive(frameTo(to)));
        if (card.take() !== undefined) letters += letter;
      }
      return letters;
    };
    const groups = (bytes: readonly number[]): void => {
      card.out(0, PAGE1 | NONE | STA);
      bytes.forEach((byte, i) => card.out(8 + i, byte));
      card.out(0, NONE | STA);
    };
    card.start(0);
    assertEquals(passes(), "m");
    card.out(0x0c, 0x04);
    assertEquals(passes(), "mb");
    card.out(0x0c, 0x08);
    assertEquals(passes(), "m");
    groups([255, 255, 255, 255, 255, 255, 255, 255]);
    assertEquals(passes(), "mg");
    // The bit that Linux's ether_crc gives for all hosts' group is 31.
    groups([0, 0, 0, 0x80, 0, 0, 0, 0]);
    assertEquals(passes(), "mg");
    groups([255, 255, 255, 0x7f, 255, 255, 255, 255]);
    assertEquals(passes(), "m");
    card.out(0x0c, 0x10);
    assertEquals(passes(), "mogb");
    // The monitor looks, and counts what it would have taken.
    card.out(0x0c, 0x20);
    assertEquals([passes(), card.in(0x0f), card.in(0x0f)], ["", 1, 0]);
    for (let i = 0; i < 0x80; i++) card.net.receive(frameTo(MAC));
    assertEquals(card.in(7) & CNT, CNT);
    card.out(0x0c, 0);
    card.out(0, NONE | STP);
    assert(card.net.receive(frameTo(MAC)));
    card.out(0, NONE | STA);
    assertEquals(card.take(), undefined);
  });

  Deno.test(`${name}: rings that are none, frames that are none`, async () => {
    const card = await Ne2k.create(isPci);
    card.start();
    for (
      const [pstart, pstop, bnry, curr] of [
        ...[[0, 0, 0, 0], [0x46, 0x46, 0x46, 0x46], [0x60, 0x46, 0x46, 0x47]],
        ...[[0, 255, 3, 4], [0x46, 0xff, 0x46, 0xfe], [0x46, 0x60, 0, 0x60]],
        ...[[0x46, 0x47, 0x46, 0x46], [0x46, 0x60, 0xff, 0x5f]],
        ...[[0x46, 0x60, 0x00, 0x46], [0x7f, 0x80, 0x7f, 0x7f]],
      ]
    ) {
      card.out(1, pstart);
      card.out(2, pstop);
      card.out(3, bnry);
      card.out(0, PAGE1 | NONE | STA);
      card.out(7, curr);
      card.out(0, NONE | STA);
      for (const length of [0, 13, 14, 1514, 1518, 1519, 65536]) {
        card.net.receive(new Uint8Array(length).fill(0xff));
      }
    }
  });

  Deno.test(`${name}: PRX stays while a frame waits for room`, async () => {
    const card = await Ne2k.create(isPci);
    card.start();
    const frame = frameTo(MAC, 1000);
    while (card.net.receive(frame)) card.out(7, PRX);
    // The driver saw nothing of the last frames.
    assertEquals([card.in(7) & PRX, card.pin], [PRX, true]);
    card.out(7, PRX);
    assertEquals([card.in(7) & PRX, card.pin], [PRX, true]);
    while (card.take() !== undefined);
    assert(card.net.readyCount > 0);
    card.out(7, PRX);
    assertEquals([card.in(7) & PRX, card.pin], [0, false]);
  });

  Deno.test(`${name}: PRX comes again for frames that were not read`, async () => {
    const card = await Ne2k.create(isPci);
    card.start();
    for (let i = 0; i < 60; i++) {
      const frames = [100, 1000, 200].map((length) => frameTo(MAC, length));
      for (const frame of frames) assert(card.net.receive(frame));
      // As a driver that has read the first before the others came, or that
      // reads so many at a time.
      assertEquals(card.take()?.frame, frames[0]);
      if (!isPci) card.lines();
      card.out(7, PRX);
      assertEquals([card.in(7) & PRX, card.pin], [PRX, true]);
      if (!isPci) assertEquals(card.lines(), [false, true], "an edge");
      assertEquals(card.take()?.frame, frames[1]);
      assertEquals(card.take()?.frame, frames[2]);
      card.out(7, PRX);
      assertEquals([card.in(7) & PRX, card.pin], [0, false]);
    }
  });

  Deno.test(`${name}: what was not received is not told of again`, async () => {
    const card = await Ne2k.create(isPci);
    card.start();
    const point = (bnry: number, curr: number): void => {
      card.out(0x03, bnry);
      card.out(0, PAGE1 | NONE | STA);
      card.out(7, curr);
      card.out(0, NONE | STA);
    };
    // BNRY one page behind the next frame, at it, and as Linux has it.
    for (
      const [bnry, curr] of [
        [START + 4, START + 5],
        [START + 4, START + 4],
        [STOP - 1, START],
        [START - 1, START],
      ]
    ) {
      point(START, START + 1);
      assert(card.net.receive(frameTo(MAC)));
      point(bnry, curr);
      card.out(7, PRX);
      assertEquals([card.in(7) & PRX, card.pin], [0, false]);
    }
    // A chip that is stopped tells of nothing.
    for (let i = 0; i < 4; i++) assert(card.net.receive(frameTo(MAC)));
    card.out(0, NONE | STP);
    card.out(7, 0xff);
    assertEquals([card.in(7) & PRX, card.pin], [0, false]);
  });

  Deno.test(`${name}: a ring of few pages`, async () => {
    const card = await Ne2k.create(isPci);
    card.start();
    // Five pages: none of the longest frames, but three short ones.
    card.out(0x02, START + 5);
    card.out(0x03, START);
    assert(card.net.receive(frameTo(MAC, 1514)), "it is lost");
    assert(card.net.receive(frameTo(MAC, 1000)), "it is lost");
    assertEquals(card.in(7) & PRX, 0);
    const frame = frameTo(MAC);
    for (let i = 0; i < 3; i++) assert(card.net.receive(frame));
    assert(!card.net.receive(frame));
    card.out(0x03, START + 3);
    assertEquals(card.net.readyCount, 1);
    card.out(7, PRX);
    assertEquals([card.in(7) & PRX, card.pin], [0, false]);
    assert(card.net.receive(frame));
  });

  Deno.test(`${name}: the network waits over a load, and hears of a reset`, async () => {
    const card = await Ne2k.create(isPci);
    card.start();
    const frame = frameTo(MAC, 1000);
    while (card.net.receive(frame));
    assertEquals(card.net.readyCount, 0);
    const saved = card.bench.save();
    card.bench.device.reset();
    assertEquals(card.net.readyCount, 1);
    card.bench.device.load(saved);
    assertEquals([card.net.readyCount, card.pin], [1, true]);
    for (let i = 0; i < 4; i++) assertEquals(card.take()?.frame, frame);
    assertEquals(card.net.readyCount, 2);
  });
}

Deno.test("ne2k-pci: identity, and where its ports are", async () => {
  const bus = new PciBenchBus();
  const bench = await DeviceBench.create<Device>(nePci, { use: { bus } });
  bench.device.reset();
  assertEquals(
    [0x00, 0x08, 0x3c].map((r) => bus.space.readConfig(r, 4)),
    [0x802910ec, 0x02000000, 0x00000100],
  );
  bus.space.writeConfig(0x10, 4, 0xffffffff);
  assertEquals(bus.space.readConfig(0x10, 4), 0xffffff01);
  bus.space.writeConfig(0x10, 4, 0xc000);
  bus.space.writeConfig(4, 2, 1);
  assertEquals(bench.ports.read(0xc000, 1), 0x21);
  assertEquals(bench.ports.read(0xc020, 1), 0xff);
});
