import { assert, assertEquals } from "@std/assert";
import { InputQueue } from "../../../core/backend/input_queue.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import i8042, { type I8042 } from "./i8042.ts";
import plugin, { type Ps2Keyboard } from "./ps2_keyboard.ts";
import {
  NEVER_BREAK,
  pauseSequence,
  printScreenSequence,
  SCAN_CODES,
  sequence,
} from "./scan_codes.ts";

/** The host's input, whose time passes when the test says so. */
class HostInput extends InputQueue {
  /** What waits for the host's time. */
  waits: (() => void)[] = [];
  /** The host's time stands still. */
  stands = false;

  override after(_milliseconds: number, call: () => void): () => void {
    if (this.stands) this.waits.push(call);
    else call();
    return () => this.waits = this.waits.filter((one) => one !== call);
  }
}

/** A keyboard on a controller, and the host's input. */
class Desk {
  readonly input = new HostInput();
  readonly controller: DeviceBench<I8042>;
  #keyboard: DeviceBench<Ps2Keyboard> | undefined;

  private constructor(controller: DeviceBench<I8042>) {
    this.controller = controller;
  }

  static async create(typematic = true): Promise<Desk> {
    const desk = new Desk(await DeviceBench.create<I8042>(i8042));
    desk.#keyboard = await DeviceBench.create<Ps2Keyboard>(plugin, {
      config: { typematic },
      use: { controller: desk.controller.device },
      inputs: { input: desk.input },
    });
    return desk;
  }

  get keyboard(): Ps2Keyboard {
    return this.#keyboard!.device;
  }

  /** Let time pass: what the guest reads meanwhile, by the millisecond. */
  pass(milliseconds: number): [at: number, ...codes: number[]][] {
    const all: [number, ...number[]][] = [];
    for (let at = 1; at <= milliseconds; at++) {
      this.#keyboard!.advance(1e6);
      const codes = this.read();
      if (codes.length > 0) all.push([at, ...codes]);
    }
    return all;
  }

  /** Let time pass while the guest reads nothing. */
  advance(milliseconds: number): void {
    this.#keyboard!.advance(milliseconds * 1e6);
  }

  /** Whether a timer is armed. */
  get waits(): boolean {
    return this.#keyboard!.clock.nextDeadline() !== Infinity;
  }

  /** The keyboard's state, saved and loaded into a new one. */
  async copy(): Promise<Desk> {
    const desk = await Desk.create();
    desk.#keyboard!.advance(this.#keyboard!.clock.now());
    desk.controller.device.load(this.controller.save());
    desk.keyboard.load(this.keyboard.save());
    return desk;
  }

  /** Whether the controller translates to set 1. */
  translate(on: boolean): void {
    this.controller.write("command", 0, 0x60);
    this.controller.write("data", 0, on ? 0x45 : 0x05);
  }

  /** Everything that the guest can read now. */
  read(): number[] {
    const bytes: number[] = [];
    while ((this.controller.read("command", 0) & 1) !== 0) {
      bytes.push(this.controller.read("data", 0));
      assert(bytes.length < 100);
    }
    return bytes;
  }

  /** Send bytes to the keyboard and read what it answers. */
  ask(...bytes: number[]): number[] {
    return bytes.flatMap((byte) => {
      this.controller.write("data", 0, byte);
      return this.read();
    });
  }

  /** What a key gives. */
  key(code: string, down: boolean): number[] {
    this.keyboard.key(code, down);
    return this.read();
  }
}

Deno.test("keyboard: the controller makes set 1 of set 2, for each key", async () => {
  const translated = await Desk.create();
  const native = await Desk.create();
  native.translate(false);
  for (const [code, { set1, set2 }] of SCAN_CODES) {
    for (const down of [true, false]) {
      const silent = NEVER_BREAK.has(code) && !down;
      const codes = (set: 1 | 2, make: number) =>
        silent ? [] : sequence(set, make, down);
      assertEquals(translated.key(code, down), codes(1, set1), code);
      assertEquals(native.key(code, down), codes(2, set2), code);
    }
  }
  const pressed = (desk: Desk, held: string | undefined, code: string) => {
    if (held !== undefined) desk.key(held, true);
    const codes = [...desk.key(code, true), ...desk.key(code, false)];
    if (held !== undefined) desk.key(held, false);
    return codes;
  };
  for (const held of [undefined, "ControlLeft", "AltRight", "ShiftRight"]) {
    const form = held === undefined
      ? "shifted"
      : held === "AltRight"
      ? "sysrq"
      : "alone";
    for (const [desk, set] of [[translated, 1], [native, 2]] as const) {
      assertEquals(pressed(desk, held, "PrintScreen"), [
        ...printScreenSequence(set, form, true),
        ...printScreenSequence(set, form, false),
      ]);
      assertEquals(
        pressed(desk, held, "Pause"),
        pauseSequence(set, held === "ControlLeft"),
      );
    }
  }
});

Deno.test("keyboard: the sets do not give a code twice", () => {
  const all = [...SCAN_CODES.values()];
  assertEquals(new Set(all.map((key) => key.set1)).size, all.length);
  assertEquals(new Set(all.map((key) => key.set2)).size, all.length);
  const set3 = all.map((key) => key.set3).filter((code) => code !== 0);
  assertEquals(new Set([0x57, 0x62, ...set3]).size, set3.length + 2);
});

Deno.test("keyboard: well-known codes", async () => {
  const desk = await Desk.create(false);
  desk.translate(false);
  assertEquals(desk.key("KeyA", true), [0x1c]);
  assertEquals(desk.key("KeyA", true), [0x1c], "the host repeats");
  assertEquals(desk.key("KeyA", false), [0xf0, 0x1c]);
  assertEquals(desk.key("KeyA", false), [], "it is up already");
  assertEquals(desk.key("ArrowUp", true), [0xe0, 0x75]);
  assertEquals(desk.key("ArrowUp", false), [0xe0, 0xf0, 0x75]);
  assertEquals(desk.key("PrintScreen", true), [0xe0, 0x12, 0xe0, 0x7c]);
  assertEquals(
    desk.key("PrintScreen", false),
    [0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12],
  );
  assertEquals(
    desk.key("Pause", true),
    [0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77],
  );
  assertEquals(desk.key("Pause", false), []);
  assertEquals(desk.key("Fn", true), []);
});

Deno.test("keyboard: PrintScreen goes up as it went down", async () => {
  const desk = await Desk.create();
  desk.translate(false);
  desk.key("AltLeft", true);
  assertEquals(desk.key("PrintScreen", true), [0x84]);
  desk.key("AltLeft", false);
  assertEquals(desk.key("PrintScreen", false), [0xf0, 0x84]);
});

Deno.test("keyboard: the commands", async () => {
  const desk = await Desk.create();
  desk.translate(false);
  assertEquals(desk.ask(0xf2), [0xfa, 0xab, 0x83]);
  assertEquals(desk.ask(0xee), [0xee]);
  assertEquals(desk.ask(0xed, 0x05), [0xfa, 0xfa]);
  assertEquals(desk.keyboard.leds, 5);
  assertEquals(desk.ask(0xf3, 0x20), [0xfa, 0xfa]);
  assertEquals(desk.ask(0xf0, 0x00), [0xfa, 0xfa, 0x02]);
  assertEquals(desk.ask(0xf0, 0x04), [0xfa, 0xfe]);
  // A command in the place of a parameter.
  assertEquals(desk.ask(0xed, 0xf2), [0xfa, 0xfa, 0xab, 0x83]);
  assertEquals(desk.keyboard.leds, 5);
  assertEquals(desk.ask(0xef), [0xfe]);
  assertEquals(desk.ask(0xee, 0xfe), [0xee, 0xee], "resend");
  assertEquals(desk.ask(0xf5), [0xfa]);
  assertEquals(desk.key("KeyA", true), [], "it does not scan");
  assertEquals(desk.ask(0xf4), [0xfa]);
  assertEquals(desk.key("KeyA", false), [0xf0, 0x1c]);
  assertEquals(desk.ask(0xf0, 0x01), [0xfa, 0xfa]);
  assertEquals(desk.key("KeyA", true), [0x1e]);
  assertEquals(desk.key("ArrowUp", true), [0xe0, 0x48]);
  assertEquals(desk.key("ArrowUp", false), [0xe0, 0xc8]);
  assertEquals(desk.ask(0xff), [0xfa, 0xaa]);
  assertEquals(desk.keyboard.leds, 0);
  assertEquals(desk.ask(0xf0, 0x00), [0xfa, 0xfa, 0x02]);
  assertEquals(desk.key("KeyA", false), [0xf0, 0x1c], "it was held meanwhile");
});

Deno.test("keyboard: set 3 and its types of keys", async () => {
  const desk = await Desk.create(false);
  desk.translate(false);
  desk.ask(0xf0, 0x03);
  const tap = (code: string) => [
    ...desk.key(code, true),
    ...desk.key(code, true),
    ...desk.key(code, false),
  ];
  assertEquals(tap("KeyA"), [0x1c, 0x1c]);
  assertEquals(tap("ShiftLeft"), [0x12, 0xf0, 0x12]);
  assertEquals(tap("F1"), [0x07]);
  assertEquals(tap("Pause"), [0x62]);
  assertEquals(tap("PrintScreen"), [0x57]);
  assertEquals(desk.ask(0xfa), [0xfa]);
  assertEquals(tap("F1"), [0x07, 0x07, 0xf0, 0x07]);
  assertEquals(desk.ask(0xf8), [0xfa]);
  assertEquals(tap("KeyA"), [0x1c, 0xf0, 0x1c]);
  assertEquals(desk.ask(0xf9), [0xfa]);
  assertEquals(tap("KeyA"), [0x1c]);
  assertEquals(desk.ask(0xf7), [0xfa]);
  assertEquals(tap("F1"), [0x07, 0x07]);
  // Single keys, as many as follow.
  assertEquals(desk.ask(0xfc, 0x07, 0x1c, 0xee), [0xfa, 0xfa, 0xfa, 0xee]);
  assertEquals([tap("F1"), tap("KeyA")], [[7, 0xf0, 7], [0x1c, 0xf0, 0x1c]]);
  assertEquals(desk.ask(0xfd, 0x07), [0xfa, 0xfa]);
  assertEquals(desk.ask(0xfb, 0x1c), [0xfa, 0xfa]);
  assertEquals([tap("F1"), tap("KeyA")], [[7], [0x1c, 0x1c]]);
  assertEquals(desk.ask(0xf6), [0xfa], "back to set 2");
  assertEquals(tap("F1"), [0x05, 0x05, 0xf0, 0x05]);
});

Deno.test("keyboard: a full buffer ends with the overrun code", async () => {
  const desk = await Desk.create(false);
  desk.translate(false);
  for (let i = 0; i < 40; i++) desk.keyboard.key("KeyA", true);
  // One is in the controller's output buffer.
  assertEquals(desk.read(), [...new Array(17).fill(0x1c), 0x00]);
  assertEquals(desk.key("KeyB", true), [0x32]);
  // Sequences are whole or not there.
  for (let i = 0; i < 8; i++) desk.keyboard.key("Pause", i % 2 === 0);
  const pause = pauseSequence(2, false);
  assertEquals(desk.read(), [...pause, ...pause, 0x00, 0x00]);
  desk.ask(0xf0, 0x01);
  for (let i = 0; i < 40; i++) desk.keyboard.key("KeyA", true);
  assertEquals(desk.read().at(-1), 0xff);
  // The answer to a command comes before codes, which the command forgets.
  for (let i = 0; i < 4; i++) desk.keyboard.key("KeyA", true);
  assertEquals(desk.ask(0xf4), [0x1e, 0xfa]);
});

Deno.test("keyboard: who types waits for the guest", async () => {
  const desk = await Desk.create();
  const letters = Array.from("KeyA ".repeat(50).trim().split(" "));
  let done = false;
  const sent = desk.input.send(
    letters.flatMap((code) => [
      { type: "key", code, down: true } as const,
      { type: "key", code, down: false } as const,
    ]),
  ).then(() => done = true);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(done, false);
  const read: number[] = [];
  for (let i = 0; i < 500 && !done; i++) {
    read.push(...desk.read());
    await new Promise((resolve) => setTimeout(resolve));
  }
  await sent;
  read.push(...desk.read());
  assertEquals(read, letters.flatMap(() => [0x1e, 0x9e]));
});

Deno.test("keyboard: any bytes from the guest are answered, within bounds", async () => {
  const desk = await Desk.create();
  const codes = [...SCAN_CODES.keys(), "Pause", "PrintScreen"];
  let x = 3;
  const random = (limit: number): number => {
    x = Math.imul(x, 1664525) + 1013904223 >>> 0;
    return Math.floor(x / 2 ** 32 * limit);
  };
  for (let i = 0; i < 5000; i++) {
    const kind = random(3);
    if (kind === 0) desk.controller.write("data", 0, random(256));
    else if (kind === 1) {
      desk.keyboard.key(codes[random(codes.length)], random(2) === 1);
    } else if (random(8) === 0) desk.read();
    const { buffer, answers } = desk.keyboard.save() as Record<
      string,
      unknown[]
    >;
    assert(buffer.length <= 17 && answers.length <= 16);
  }
});

Deno.test("keyboard: the last key repeats at the rate that is set", async () => {
  const desk = await Desk.create();
  desk.translate(false);
  assertEquals(desk.key("KeyA", true), [0x1c]);
  assertEquals(desk.key("KeyA", true), [], "the host's repetition");
  // 10.9 a second after half a second: (8 + 3) * 2 * 1/240 s each.
  assertEquals(desk.pass(700), [[500, 0x1c], [592, 0x1c], [684, 0x1c]]);
  assertEquals(desk.key("ShiftLeft", true), [0x12]);
  assertEquals(desk.key("KeyB", true), [0x32]);
  assertEquals(desk.pass(510), [[500, 0x32]]);
  assertEquals(desk.key("KeyA", false), [0xf0, 0x1c]);
  assertEquals(desk.pass(92), [[82, 0x32]], "another's release is nothing");
  assertEquals(desk.key("KeyB", false), [0xf0, 0x32]);
  assertEquals(desk.pass(2000), [], "Shift does not begin again");
  assertEquals(desk.waits, false);
  // 30 a second after a quarter of one, and 2 after a whole one.
  assertEquals(desk.ask(0xf3, 0x00), [0xfa, 0xfa]);
  desk.key("ShiftLeft", false);
  assertEquals(desk.key("ArrowUp", true), [0xe0, 0x75]);
  assertEquals(desk.pass(290), [[250, 0xe0, 0x75], [284, 0xe0, 0x75]]);
  assertEquals(desk.ask(0xf3, 0x7f), [0xfa, 0xfa]);
  assertEquals(desk.key("Space", true), [0x29]);
  assertEquals(desk.pass(1600), [[1000, 0x29], [1500, 0x29]]);
  // A new start of scanning ends it.
  assertEquals(desk.ask(0xf4), [0xfa]);
  assertEquals(desk.pass(2000), []);
  // As does a disabled keyboard; the next key repeats as after power-on.
  assertEquals(desk.key("KeyC", true), [0x21]);
  assertEquals(desk.ask(0xf5), [0xfa]);
  assertEquals(desk.pass(2000), []);
  assertEquals(desk.ask(0xf4), [0xfa]);
  assertEquals(desk.key("KeyD", true), [0x23]);
  assertEquals(desk.pass(500), [[500, 0x23]]);
  // Of PrintScreen only its own code, of Pause nothing.
  desk.key("PrintScreen", true);
  assertEquals(desk.pass(500), [[500, 0xe0, 0x7c]]);
  desk.key("Pause", true);
  assertEquals(desk.pass(1000), []);
});

Deno.test("keyboard: set 3 repeats the keys whose type says so", async () => {
  const desk = await Desk.create();
  desk.translate(false);
  desk.ask(0xf0, 0x03);
  for (
    const [code, make, repeats] of [
      ["KeyA", 0x1c, true],
      ["F1", 0x07, false],
      ["ShiftLeft", 0x12, false],
      ["ArrowUp", 0x63, true],
    ] as const
  ) {
    assertEquals(desk.key(code, true), [make]);
    assertEquals(desk.pass(500), repeats ? [[500, make]] : [], code);
  }
  assertEquals(desk.ask(0xfb, 0x07, 0xf4), [0xfa, 0xfa, 0xfa]);
  desk.key("F1", false);
  assertEquals(desk.key("F1", true), [0x07]);
  assertEquals(desk.pass(500), [[500, 0x07]]);
  assertEquals(desk.key("Sleep", true), [], "set 3 has no such key");
  assertEquals(desk.pass(1000), []);
});

Deno.test("keyboard: repetition survives save and load, and waits for the guest", async () => {
  const desk = await Desk.create();
  desk.key("KeyA", true);
  desk.pass(400);
  const copy = await desk.copy();
  assertEquals(copy.pass(200), [[100, 0x1e], [192, 0x1e]]);
  assertEquals(copy.key("KeyA", false), [0x9e]);
  // A guest that takes nothing finds one repetition, not a full buffer.
  desk.controller.write("command", 0, 0xad);
  for (let i = 0; i < 5000; i++) desk.pass(1);
  desk.controller.write("command", 0, 0xae);
  assertEquals(desk.read(), [0x1e]);
  assertEquals(desk.key("KeyA", false), [0x9e]);
});

Deno.test("keyboard: a release that waits behind a slow guest is in time", async () => {
  const desk = await Desk.create();
  let done = false;
  const sent = desk.input.send(["KeyA", "ArrowUp"].flatMap((code) => [
    { type: "key", code, down: true } as const,
    { type: "key", code, down: false } as const,
  ])).then(() => done = true);
  const codes: number[] = [];
  // The guest looks once in two seconds.
  for (let i = 0; i < 100 && !done; i++) {
    await new Promise((resolve) => setTimeout(resolve));
    codes.push(desk.controller.read("data", 0));
    await new Promise((resolve) => setTimeout(resolve));
    desk.advance(2000);
  }
  await sent;
  codes.push(...desk.read());
  assertEquals(codes, [0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8]);
});

Deno.test("keyboard: grey keys pretend Shifts", async () => {
  const desk = await Desk.create();
  const tap = (
    code: string,
  ) => [...desk.key(code, true), ...desk.key(code, false)];
  const up = [0xe0, 0x48, 0xe0, 0xc8];
  assertEquals(tap("ArrowUp"), up);
  desk.key("ShiftLeft", true);
  assertEquals(tap("ArrowUp"), [0xe0, 0xaa, ...up, 0xe0, 0x2a]);
  desk.key("ShiftRight", true);
  assertEquals(
    tap("Delete"),
    [0xe0, 0xaa, 0xe0, 0xb6, 0xe0, 0x53, 0xe0, 0xd3, 0xe0, 0x2a, 0xe0, 0x36],
  );
  desk.key("ShiftLeft", false);
  assertEquals(
    tap("NumpadDivide"),
    [0xe0, 0xb6, 0xe0, 0x35, 0xe0, 0xb5, 0xe0, 0x36],
  );
  assertEquals(tap("NumpadEnter"), [0xe0, 0x1c, 0xe0, 0x9c]);
  assertEquals(desk.ask(0xed, 0x02), [0xfa, 0xfa]);
  assertEquals(tap("ArrowUp"), up, "Shift and num lock");
  desk.key("ShiftRight", false);
  assertEquals(tap("ArrowUp"), [0xe0, 0x2a, ...up, 0xe0, 0xaa]);
  assertEquals(tap("NumpadDivide"), [0xe0, 0x35, 0xe0, 0xb5]);
  desk.translate(false);
  assertEquals(
    tap("Home"),
    [0xe0, 0x12, 0xe0, 0x6c, 0xe0, 0xf0, 0x6c, 0xe0, 0xf0, 0x12],
  );
  // It repeats alone.
  desk.key("Home", true);
  assertEquals(desk.pass(500), [[500, 0xe0, 0x6c]]);
});

Deno.test("keyboard: the host sees the lights", async () => {
  const desk = await Desk.create();
  const seen: number[] = [];
  desk.input.watchLights(() => seen.push(desk.input.lights));
  assertEquals(desk.ask(0xed, 0x04), [0xfa, 0xfa]);
  assertEquals(desk.ask(0xed, 0xff), [0xfa, 0xfa, 0xaa], "a reset");
  assertEquals(desk.ask(0xed, 0x03, 0xed, 0x03), [0xfa, 0xfa, 0xfa, 0xfa]);
  desk.keyboard.reset();
  assertEquals(seen, [4, 0, 3, 0]);
  desk.ask(0xed, 0x01);
  const copy = await desk.copy();
  assertEquals([copy.keyboard.leds, copy.input.lights], [1, 1]);
});

Deno.test("keyboard: a key repeats when the host's time has passed, too", async () => {
  const desk = await Desk.create();
  desk.input.stands = true;
  desk.key("KeyA", true);
  assertEquals(desk.pass(5000), [], "virtual time flies");
  for (const call of desk.input.waits.splice(0)) call();
  assertEquals(desk.read(), [0x1e], "it was due");
  assertEquals(desk.pass(5000), []);
  assertEquals(desk.key("KeyA", false), [0x9e]);
  assertEquals(desk.input.waits, [], "nothing is left behind");
  // The host's time alone is not enough.
  desk.key("KeyB", true);
  for (const call of desk.input.waits.splice(0)) call();
  assertEquals(desk.read(), []);
  assertEquals(desk.pass(500), [[500, 0x30]]);
});

Deno.test("keyboard: a key repeats from when it was taken, not from when the sender heard", async () => {
  const desk = await Desk.create();
  const sent = desk.input.send(
    ["KeyB", "KeyA"].map((code) => ({ type: "key", code, down: true })),
  );
  // The controller has the first one's code, the second waits for the guest.
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(desk.read(), [0x30, 0x1e]);
  // The slice goes on: nothing of the host's happens.
  desk.advance(40);
  await sent;
  assertEquals(desk.pass(460), [[460, 0x1e]]);
});

Deno.test("input queue: the host's time, cancelled and at the end", async () => {
  const input = new InputQueue();
  const called: string[] = [];
  const cancel = input.after(1, () => called.push("cancelled"));
  cancel();
  await new Promise<void>((resolve) => {
    input.after(2, () => {
      called.push("called");
      resolve();
    });
  });
  assertEquals(called, ["called"]);
  // The test's sanitizer sees a timer that is left.
  input.after(60_000, () => called.push("late"));
  await input.close();
  input.after(60_000, () => called.push("later"));
});
