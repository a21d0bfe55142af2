import { assert, assertEquals } from "@std/assert";
import type { InputEvent } from "../../../core/backend/input.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import i8042, { type I8042 } from "./i8042.ts";
import plugin, { type Ps2Mouse } from "./ps2_mouse.ts";

const ACK = 0xfa;
const SECOND = 1e9;

/** A mouse on a controller's auxiliary port. */
class Desk {
  readonly controller: DeviceBench<I8042>;
  readonly mouse: DeviceBench<Ps2Mouse>;
  readonly cmos: Uint8Array;

  private constructor(
    controller: DeviceBench<I8042>,
    mouse: DeviceBench<Ps2Mouse>,
    cmos: Uint8Array,
  ) {
    this.controller = controller;
    this.mouse = mouse;
    this.cmos = cmos;
  }

  static async create(): Promise<Desk> {
    const controller = await DeviceBench.create<I8042>(i8042);
    // The bits that are set in the CMOS.
    const cmos = new Uint8Array(0x80);
    const setup = {
      preset(index: number, mask: number, value: number): void {
        cmos[index] = cmos[index] & ~mask | value & mask;
      },
    };
    const mouse = await DeviceBench.create<Ps2Mouse>(plugin, {
      use: { controller: controller.device, setup },
    });
    return new Desk(controller, mouse, cmos);
  }

  /** What the guest can read now, all of it from the auxiliary port. */
  read(): number[] {
    const bytes: number[] = [];
    for (;;) {
      const status = this.controller.read("command", 0);
      if ((status & 1) === 0) return bytes;
      assertEquals(status & 0x20, 0x20);
      bytes.push(this.controller.read("data", 0));
      assert(bytes.length < 100);
    }
  }

  /** Send bytes to the mouse and read what it answers. */
  ask(...bytes: number[]): number[] {
    return bytes.flatMap((byte) => {
      this.controller.write("command", 0, 0xd4);
      this.controller.write("data", 0, byte);
      return this.read();
    });
  }

  event(event: InputEvent): void {
    this.mouse.device.event(event);
  }

  move(dx: number, dy: number, wheel = 0): void {
    this.event({ type: "motion", dx, dy, wheel });
  }

  press(button: number, down: boolean): void {
    this.event({ type: "button", button, down });
  }

  /** Packets, each after a period of 100 Hz. */
  packets(): number[][] {
    const all: number[][] = [];
    for (;;) {
      const bytes = this.read();
      if (bytes.length === 0) return all;
      all.push(bytes);
      this.mouse.advance(SECOND / 100);
      assert(all.length < 100);
    }
  }

  /** Become what the sample rates ask for. */
  knock(...rates: number[]): number {
    for (const rate of rates) {
      assertEquals(this.ask(0xf3, rate), [ACK, ACK]);
    }
    return this.ask(0xf2)[1];
  }
}

Deno.test("ps2-mouse: it is written down in the CMOS's equipment byte", async () => {
  const { cmos } = await Desk.create();
  assertEquals(cmos.findIndex((byte) => byte !== 0), 0x14);
  assertEquals(cmos[0x14], 0x04);
});

Deno.test("mouse: a standard mouse reports three bytes", async () => {
  const desk = await Desk.create();
  desk.move(5, 5);
  assertEquals(desk.packets(), []);
  assertEquals(desk.ask(0xf4), [ACK]);
  desk.move(3, -4, 1);
  assertEquals(desk.packets(), [[0x08, 3, 4]]);
  desk.move(-3, 4);
  assertEquals(desk.packets(), [[0x38, 0xfd, 0xfc]]);
  desk.press(0, true);
  desk.press(1, true);
  desk.press(2, true);
  assertEquals(desk.packets(), [[0x09, 0, 0], [0x0d, 0, 0], [0x0f, 0, 0]]);
  // It has no fourth button.
  desk.press(3, true);
  assertEquals(desk.packets(), []);
  assertEquals(desk.ask(0xe9), [ACK, 0x27, 2, 100]);
  assertEquals(desk.ask(0xf5), [ACK]);
  desk.move(1, 1);
  assertEquals(desk.packets(), []);
});

Deno.test("mouse: knocking makes it an IntelliMouse or an Explorer", async () => {
  const desk = await Desk.create();
  assertEquals(desk.knock(200, 100, 60), 0);
  assertEquals(desk.knock(200, 100, 80), 3);
  desk.ask(0xf3, 100, 0xf4);
  desk.move(0, 0, 1);
  assertEquals(desk.packets(), [[0x08, 0, 0, 1]]);
  desk.move(0, 0, -10);
  assertEquals(desk.packets(), [[0x08, 0, 0, 0xf8], [0x08, 0, 0, 0xfe]]);
  assertEquals(desk.knock(200, 200, 80), 4);
  desk.ask(0xf3, 100);
  desk.press(3, true);
  desk.press(4, true);
  desk.move(1, 0, -1);
  assertEquals(desk.packets(), [[0x08, 0, 0, 0x10], [0x08, 1, 0, 0x3f]]);
  assertEquals(desk.ask(0xff), [ACK, 0xaa, 0]);
  assertEquals(desk.ask(0xf2), [ACK, 0]);
});

Deno.test("mouse: what one packet cannot hold comes with the next", async () => {
  const desk = await Desk.create();
  desk.ask(0xf4);
  desk.move(600, 300);
  assertEquals(desk.packets(), [
    [0x28, 255, 0],
    [0x28, 255, 0x100 - 44],
    [0x08, 90, 0],
  ]);
  // Beyond what it counts it says that something is lost.
  desk.move(1e9, 0);
  const [first, second] = desk.packets();
  assertEquals([first[0], second[0]], [0x48, 0x08]);
  desk.move(0, -1e9);
  const [up, further] = desk.packets();
  assertEquals([up[0], further[0]], [0x88, 0x08]);
  desk.move(NaN, Infinity);
  assertEquals(desk.packets(), []);
});

Deno.test("mouse: packets keep the sample rate, and clicks come through", async () => {
  const desk = await Desk.create();
  desk.ask(0xf3, 10, 0xf4);
  desk.move(1, 0);
  assertEquals(desk.read(), [0x08, 1, 0]);
  desk.move(1, 0);
  desk.press(0, true);
  desk.press(0, false);
  desk.move(2, 0);
  desk.mouse.advance(SECOND / 10 - 1);
  assertEquals(desk.read(), []);
  desk.mouse.advance(1);
  assertEquals(desk.read(), [0x08, 1, 0]);
  desk.mouse.advance(SECOND / 10);
  assertEquals(desk.read(), [0x09, 0, 0]);
  desk.mouse.advance(SECOND / 10);
  assertEquals(desk.read(), [0x08, 2, 0]);
  // Nothing more: an idle mouse has no timer.
  assertEquals(desk.mouse.clock.nextDeadline(), Infinity);
  // A storm of clicks that nobody reads is bounded.
  for (let n = 0; n < 1000; n++) desk.press(0, n % 2 === 0);
  desk.ask(0xf3, 100);
  assert(desk.packets().length < 40);
});

Deno.test("mouse: positions are motion from the last one", async () => {
  const desk = await Desk.create();
  desk.ask(0xf4);
  desk.event({ type: "position", x: 32768, y: 32768 });
  assertEquals(desk.packets(), []);
  desk.event({ type: "position", x: 32768 + 64 * 7, y: 32768 - 86 * 5 });
  assertEquals(desk.packets(), [[0x08, 7, 5]]);
  desk.event({ type: "position", x: 32768, y: 32768 });
  assertEquals(desk.packets(), [[0x38, 0xf9, 0xfb]]);
});

Deno.test("mouse: remote mode, wrap mode and scaling", async () => {
  const desk = await Desk.create();
  assertEquals(desk.ask(0xf0), [ACK]);
  desk.move(3, 0);
  assertEquals(desk.read(), []);
  assertEquals(desk.ask(0xeb), [ACK, 0x08, 3, 0]);
  assertEquals(desk.ask(0xeb), [ACK, 0x08, 0, 0]);
  assertEquals(desk.ask(0xee, 0x12, 0xf4, 0xe9), [ACK, 0x12, 0xf4, 0xe9]);
  assertEquals(desk.ask(0xec), [ACK]);
  // What is asked for is not scaled.
  assertEquals(desk.ask(0xe7), [ACK]);
  desk.move(4, 0);
  assertEquals(desk.ask(0xeb), [ACK, 0x08, 4, 0]);
  assertEquals(desk.ask(0xea, 0xf4), [ACK, ACK]);
  assertEquals(desk.ask(0xe8, 3, 0xe9), [ACK, ACK, ACK, 0x30, 3, 100]);
  for (
    const [moved, sent] of [[1, 1], [2, 1], [3, 3], [4, 6], [5, 9], [6, 12]]
  ) {
    desk.move(moved, -moved);
    assertEquals(desk.packets(), [[0x08, sent, sent]]);
  }
  assertEquals(desk.ask(0xf6, 0xe9), [ACK, ACK, 0, 2, 100]);
});

Deno.test("mouse: what it does not understand, and resending", async () => {
  const desk = await Desk.create();
  assertEquals(desk.ask(0xe1), [0xfe]);
  assertEquals(desk.ask(0xe1), [0xfc]);
  assertEquals(desk.ask(0xf3, 33), [ACK, 0xfe]);
  // The parameter is still due.
  assertEquals(desk.ask(40), [ACK]);
  assertEquals(desk.ask(0xe9), [ACK, 0, 2, 40]);
  assertEquals(desk.ask(0xfe), [ACK, 0, 2, 40]);
  // A reset is one wherever it comes.
  assertEquals(desk.ask(0xf3, 0xff), [ACK, ACK, 0xaa, 0]);
  assertEquals(desk.ask(0xee, 0xff, 0xf2), [ACK, ACK, 0xaa, 0, ACK, 0]);
});

Deno.test("mouse: the status has the buttons in an order of its own", async () => {
  const desk = await Desk.create();
  // Left, middle, right.
  for (const [button, bit] of [[0, 4], [1, 2], [2, 1]]) {
    desk.press(button, true);
    assertEquals(desk.ask(0xe9), [ACK, bit, 2, 100]);
    desk.press(button, false);
  }
});

Deno.test("mouse: its interrupt is the auxiliary port's", async () => {
  const desk = await Desk.create();
  desk.ask(0xf4);
  desk.controller.write("command", 0, 0x60);
  desk.controller.write("data", 0, 0x47);
  desk.move(1, 0);
  assertEquals(desk.controller.takeEdges("aux"), [true]);
  desk.controller.read("data", 0);
  assertEquals(desk.controller.takeEdges("aux"), [false, true]);
  assert(!desk.controller.level("kbd"));
});

Deno.test("ps2-mouse: a loaded one looks when the saved one would have", async () => {
  const first = await Desk.create();
  first.ask(0xf4);
  const second = await Desk.create();
  second.mouse.device.load(first.mouse.save());
  assertEquals(first.mouse.clock.nextDeadline(), Infinity);
  assertEquals(second.mouse.clock.nextDeadline(), Infinity);
  assertEquals(second.mouse.save(), first.mouse.save());
  // A packet has gone, and what has come since waits for its time.
  first.move(1, 0);
  first.read();
  first.move(2, 0);
  second.mouse.device.load(first.mouse.save());
  assertEquals(second.mouse.clock.nextDeadline(), SECOND / 100);
  second.mouse.advance(SECOND / 100);
  assertEquals(second.read(), [0x08, 2, 0]);
});
