/**
 * The keyboard controller, the keyboard and the mouse beside QEMU's: the same
 * commands by the same ports get the same answers and interrupts, and the same
 * events of a human the same codes and packets.
 */

import { assert, assertEquals } from "@std/assert";
import type { InputEvent } from "../../core/backend/input.ts";
import { DATA, type Desk, NAMES, qemu, rhea, STATUS } from "./ps2_desks.ts";
import { asRhea, type Difference, QEMU } from "../qemu.ts";

/** Of the status: the output buffer is full; from the mouse; a timeout. */
const FULL = 0x01;
const AUX = 0x20;

/** Everything that can be read now; from the mouse with 100h. */
async function drain(desk: Desk): Promise<number[]> {
  const all: number[] = [];
  for (;;) {
    const status = await desk.read(STATUS);
    if ((status & FULL) === 0) return all;
    const byte = await desk.read(DATA);
    all.push(byte | ((status & AUX) !== 0 ? 0x100 : 0));
    assert(all.length < 200);
  }
}

/** A command to the controller, with its data. */
async function command(desk: Desk, ...bytes: number[]): Promise<number[]> {
  await desk.write(STATUS, bytes[0]);
  for (const byte of bytes.slice(1)) await desk.write(DATA, byte);
  return await drain(desk);
}

/** Bytes to the keyboard. */
async function keyboard(desk: Desk, ...bytes: number[]): Promise<number[]> {
  const all: number[] = [];
  for (const byte of bytes) {
    await desk.write(DATA, byte);
    all.push(...await drain(desk));
  }
  return all;
}

/** Bytes to the mouse. */
async function mouse(desk: Desk, ...bytes: number[]): Promise<number[]> {
  const all: number[] = [];
  for (const byte of bytes) all.push(...await command(desk, 0xd4, byte));
  return all;
}

function hex(bytes: readonly number[]): string {
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** What is done on both, and told by lines. */
type Story = (
  desk: Desk,
  tell: (name: string, bytes: readonly number[]) => void,
) => Promise<void>;

const KEYS = Object.keys(NAMES).concat(
  Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ", (letter) => `Key${letter}`),
  Array.from("0123456789", (digit) => `Digit${digit}`),
  Array.from("0123456789", (digit) => `Numpad${digit}`),
  Array.from({ length: 12 }, (_, n) => `F${n + 1}`),
);

/** What a key gives that goes down and up, with others held. */
async function tap(
  desk: Desk,
  code: string,
  ...held: string[]
): Promise<number[]> {
  const send = (code: string, down: boolean) =>
    desk.input([{ type: "key", code, down }]);
  for (const one of held) await send(one, true);
  await drain(desk);
  await send(code, true);
  await send(code, false);
  const codes = await drain(desk);
  for (const one of held) await send(one, false);
  await drain(desk);
  return codes;
}

const STORIES: Readonly<Record<string, Story>> = {
  async controller(desk, tell) {
    // Without the system flag, which firmware sets and QEMU keeps apart from
    // the command byte, and without that of commands, which QEMU never clears.
    const status = async (name: string) =>
      tell(`${name}: status, interrupts`, [
        await desk.read(STATUS) & ~0x0c,
        await desk.interrupts(),
      ]);
    await status("at first");
    tell("self test", await command(desk, 0xaa));
    await status("after it");
    tell("interfaces", [
      ...await command(desk, 0xab),
      ...await command(desk, 0xa9),
    ]);
    await command(desk, 0x60, 0x03);
    tell("command byte", await command(desk, 0x20));
    await desk.write(STATUS, 0x20);
    await status("it waits");
    await drain(desk);
    await status("it is read");
    await desk.write(STATUS, 0xd2);
    await desk.write(DATA, 0x55);
    await status("keyboard's buffer");
    tell("it", await drain(desk));
    await desk.write(STATUS, 0xd3);
    await desk.write(DATA, 0xaa);
    await status("mouse's buffer");
    tell("it", await drain(desk));
    await command(desk, 0x60, 0x00);
    await desk.write(STATUS, 0xd3);
    await desk.write(DATA, 0x11);
    await status("without interrupts");
    await drain(desk);
    for (const bits of [0xa7, 0xad, 0xa8, 0xae]) {
      await command(desk, bits);
      tell(
        `command byte after ${bits.toString(16)}`,
        await command(desk, 0x20),
      );
    }
    await command(desk, 0xa7);
    tell("a command to a mouse that is off", await mouse(desk, 0xf2));
    tell("command byte", await command(desk, 0x20));
    await command(desk, 0xad);
    tell("and to such a keyboard", await keyboard(desk, 0xf2));
    tell("command byte", await command(desk, 0x20));
    tell("input port", await command(desk, 0xc0));
    tell("output port", await command(desk, 0xd0));
    await command(desk, 0xdd);
    tell("A20 off", await command(desk, 0xd0));
    await command(desk, 0xdf);
    tell("A20 on", await command(desk, 0xd0));
    await command(desk, 0xd1, 0xdd);
    tell("A20 off by the port", await command(desk, 0xd0));
    await command(desk, 0xd1, 0xdf);
    tell("A20 on by the port", await command(desk, 0xd0));
    tell("no pulse", await command(desk, 0xff));
    tell("no command", await command(desk, 0x77));
    // The version, a dump, the input port in the status register: other
    // controllers have these, and nobody answers.
    for (const unknown of [0xa1, 0xac, 0xc1, 0xc2]) {
      const name = unknown.toString(16);
      tell(name, await command(desk, unknown));
      await status(`after ${name}`);
      tell(`data after ${name}`, await keyboard(desk, 0xee));
      tell(`command byte after ${name}`, await command(desk, 0x20));
    }
    // A command forgets that the last one wants data.
    await desk.write(STATUS, 0x60);
    tell("a command instead of data", await command(desk, 0x20));
    await desk.write(STATUS, 0xd4);
    tell("and after D4", await command(desk, 0x20));
    tell("data for the keyboard then", await keyboard(desk, 0xee));
    await status("at last");
  },
  async "commands of the keyboard"(desk, tell) {
    await command(desk, 0x60, 0x03);
    tell("reset", await keyboard(desk, 0xff));
    tell("echo", await keyboard(desk, 0xee));
    tell("ID", await keyboard(desk, 0xf2));
    tell("lights", await keyboard(desk, 0xed, 7));
    tell("rate", await keyboard(desk, 0xf3, 0x20));
    tell("disable", await keyboard(desk, 0xf5));
    tell("enable", await keyboard(desk, 0xf4));
    tell("defaults", await keyboard(desk, 0xf6));
    tell("set", await keyboard(desk, 0xf0, 0));
    for (const set of [1, 3, 2]) {
      tell(`set ${set}`, await keyboard(desk, 0xf0, set, 0xf0, 0));
    }
    for (let all = 0xf7; all <= 0xfa; all++) {
      tell(all.toString(16), await keyboard(desk, all));
    }
    tell("keys that repeat", await keyboard(desk, 0xfb, 0x1c, 0xee));
    tell("unknown", await keyboard(desk, 0x05));
    tell("no such set", await keyboard(desk, 0xf0, 9, 0xee));
    tell("a command for a parameter", await keyboard(desk, 0xed, 0xf2, 0xee));
    await command(desk, 0x60, 0x43);
    tell("ID, translated", await keyboard(desk, 0xf2));
    tell("set, translated", await keyboard(desk, 0xf0, 0));
  },
  async keys(desk, tell) {
    for (const [name, ctr] of [["set 1", 0x43], ["set 2", 0x03]] as const) {
      await command(desk, 0x60, ctr);
      await keyboard(desk, 0xf0, 2);
      for (const code of KEYS) {
        tell(`${name} ${code}`, await tap(desk, code));
      }
      for (const code of ["PrintScreen", "Pause", "ArrowUp", "KeyA"]) {
        for (const held of ["ControlLeft", "AltRight", "ShiftLeft"]) {
          tell(`${name} ${held} ${code}`, await tap(desk, code, held));
        }
      }
    }
    // The types at first are IBM's here; QEMU's repeat and break, all of them.
    await keyboard(desk, 0xf0, 3, 0xf8);
    for (const code of KEYS) tell(`set 3 ${code}`, await tap(desk, code));
    await keyboard(desk, 0xf0, 2, 0xf5);
    tell("disabled", await tap(desk, "KeyA"));
    await keyboard(desk, 0xf4);
    tell("enabled", await tap(desk, "KeyA"));
    // The host's repetitions pass in QEMU.
    for (let n = 0; n < 3; n++) {
      await desk.input([{ type: "key", code: "KeyA", down: true }]);
    }
    tell("repeated by the host", await drain(desk));
  },
  async "what is queued"(desk, tell) {
    const press = async (code: string): Promise<void> => {
      for (const down of [true, false]) {
        await desk.input([{ type: "key", code, down }]);
      }
    };
    await command(desk, 0x60, 0x43);
    await press("KeyA");
    await desk.write(STATUS, 0xad);
    tell("interface off", await drain(desk));
    tell("interface on", await command(desk, 0xae));
    await press("KeyB");
    tell("F5", await keyboard(desk, 0xf5));
    tell("F4", await keyboard(desk, 0xf4));
    await press("KeyC");
    await desk.write(DATA, 0xee);
    tell("an answer before what waits", await drain(desk));
    await press("KeyD");
    await desk.write(STATUS, 0x60);
    await desk.write(DATA, 0x03);
    tell("translation goes off", await drain(desk));
    await press("KeyE");
    await desk.write(STATUS, 0x60);
    await desk.write(DATA, 0x43);
    tell("translation comes on", await drain(desk));
    await keyboard(desk, 0xf0, 1);
    tell("set 1, translated", await tap(desk, "ArrowUp"));
    await command(desk, 0x60, 0x03);
    tell("set 1", await tap(desk, "ArrowUp"));
    await keyboard(desk, 0xf0, 2);
    for (let n = 0; n < 9; n++) await press("ArrowUp");
    tell("too many", await drain(desk));
    tell("after that", await tap(desk, "KeyF"));
    await mouse(desk, 0xf4);
    await press("KeyG");
    await desk.input([{ type: "motion", dx: 3, dy: 0, wheel: 0 }]);
    tell("the mouse after the keyboard", await drain(desk));
    await press("KeyH");
    await desk.write(STATUS, 0xaa);
    tell("self test", await drain(desk));
    await press("KeyI");
    tell("reset", await keyboard(desk, 0xff));
  },
  async mouse(desk, tell) {
    await command(desk, 0x60, 0x03);
    tell("reset", await mouse(desk, 0xff));
    tell("ID", await mouse(desk, 0xf2));
    tell("status", await mouse(desk, 0xe9));
    const move = async (
      name: string,
      dx: number,
      dy: number,
      wheel = 0,
      ...buttons: readonly [button: number, down: boolean][]
    ) => {
      const list: InputEvent[] = buttons.map(([button, down]) => ({
        type: "button",
        button,
        down,
      }));
      if (dx !== 0) list.push({ type: "motion", dx, dy: 0, wheel: 0 });
      if (dy !== 0) list.push({ type: "motion", dx: 0, dy, wheel: 0 });
      if (wheel !== 0) list.push({ type: "motion", dx: 0, dy: 0, wheel });
      const bytes: number[] = [];
      for (const event of list) {
        await desk.input([event]);
        bytes.push(...await drain(desk));
      }
      tell(name, bytes);
    };
    await move("disabled", 3, 4);
    tell("enable", await mouse(desk, 0xf4));
    await move("right", 5, 0);
    await move("left", -5, 0);
    await move("up", 0, -100);
    await move("down", 0, 100);
    await move("fast", 200, 0);
    await move("buttons down", 0, 0, 0, [0, true], [1, true], [2, true]);
    tell("status with buttons", await mouse(desk, 0xe9));
    await move("buttons up", 0, 0, 0, [0, false], [1, false], [2, false]);
    await move("wheel of a mouse without one", 0, 0, 1);
    for (const rate of [10, 20, 40, 60, 80, 100, 200]) {
      tell(`rate ${rate}`, await mouse(desk, 0xf3, rate, 0xe9));
    }
    for (const resolution of [0, 1, 2, 3]) {
      tell(
        `resolution ${resolution}`,
        await mouse(desk, 0xe8, resolution, 0xe9),
      );
    }
    tell("scaling", await mouse(desk, 0xe7, 0xe9));
    tell("no scaling", await mouse(desk, 0xe6, 0xe9));
    tell("wrap", await mouse(desk, 0xee, 0xe9, 0x12, 0xf4));
    tell("no wrap", await mouse(desk, 0xec));
    tell("remote", await mouse(desk, 0xf0, 0xe9));
    await move("in remote mode", 3, -4);
    tell("read", await mouse(desk, 0xeb));
    tell("read again", await mouse(desk, 0xeb));
    tell("stream", await mouse(desk, 0xea, 0xe9));
    const knock = async (...rates: number[]) => {
      for (const rate of rates) await mouse(desk, 0xf3, rate);
      tell(`after ${rates.join()}`, await mouse(desk, 0xf2));
    };
    await knock(200, 100, 60);
    await knock(200, 100, 80);
    await move("IntelliMouse: wheel", 0, 0, 1);
    await move("IntelliMouse: wheel back", 0, 0, -1);
    await move("IntelliMouse: way", 7, -8, 0);
    await move("IntelliMouse: side button", 0, 0, 0, [3, true], [3, false]);
    await knock(200, 200, 80);
    await move("Explorer: wheel", 0, 0, 1);
    await move("Explorer: wheel back", 0, 0, -1);
    await move("side buttons down", 0, 0, 0, [3, true], [4, true]);
    await move("way with them", 1, 1);
    await move("side buttons up", 0, 0, 0, [3, false], [4, false]);
    tell("disable", await mouse(desk, 0xf5, 0xe9));
    tell("defaults", await mouse(desk, 0xf6, 0xe9, 0xf2));
    tell("reset", await mouse(desk, 0xff, 0xf2, 0xe9));
    tell("a wrong rate", await mouse(desk, 0xf3, 33, 0xe9));
    tell("no command", await mouse(desk, 0xe1));
    tell("resend", await mouse(desk, 0xf2, 0xfe));
  },
};

const ARROWS = "e0 75 e0 f0 75 e0 75 e0 f0 75 e0 75 e0 f0 75 e0";

/** What of QEMU is not so here, by the stories. */
const DIFFERENCES: Readonly<Record<string, readonly Difference[]>> = {
  controller: [
    // QEMU keeps what was written for the interrupts' bits.
    ["A20 off by the port: ", "dd", "cd"],
    ["A20 on by the port: ", "df", "cf"],
    // A new command forgets that the last one wants data.
    ["data for the keyboard then: ", "1fa", "ee"],
  ],
  "what is queued": [
    // The controller has a buffer of its own: what is there is not taken back,
    // and nothing overtakes it. QEMU has a queue for it and the keyboard.
    ["F5: ", "fa", "30 fa"],
    ["an answer before what waits: ", "ee 2e ae", "2e ee ae"],
    ["self test: ", "33 55 f0 33", "55 f0 33"],
    ["reset: ", "fa aa", "43 fa aa"],
    // It translates what it takes; QEMU's keyboard does when a key is pressed.
    ["translation goes off: ", "20 a0", "20 f0 23"],
    ["translation comes on: ", "24 f0 24", "24 92"],
    // QEMU's ends in the midst of a code.
    ["too many: ", `${ARROWS}\n`, `${ARROWS} 75 00\n`],
    // QEMU asks the two devices by turns.
    ["the mouse after the keyboard: ", "34 108 f0 103 34", "34 f0 34 108 103"],
  ],
  "commands of the keyboard": [
    // QEMU knows types of keys in set 3 only; IBM's "affect" no other set.
    ...["f7: ", "f8: ", "f9: "].map((line) => [line, "fe", "fa"] as const),
    ["keys that repeat: ", "fe fe ee", "fa fa ee"],
    // "A command in place of a parameter ends the command before it."
    ["a command for a parameter: ", "fa fa ee", "fa fa ab 83 ee"],
  ],
  keys: [
    // QEMU 7.2 has not got the names of these.
    ...["set 1 ", "set 2 "].flatMap((set) =>
      [["Lang1: ", "f2"], ["Lang2: ", "f1"]].map(([line, code]) =>
        [`${set}${line}`, "\n", `${code}\n`] as const
      )
    ),
    // Alt is released around SysRq, which IBM's tables do not have.
    ["set 1 AltRight PrintScreen: ", "e0 b8 e0 38 54 d4 e0 b8 e0 38", "54 d4"],
    [
      "set 2 AltRight PrintScreen: ",
      "e0 f0 11 e0 11 84 f0 84 e0 f0 11 e0 11",
      "84 f0 84",
    ],
    // QEMU's grey keys pretend no Shifts.
    ["set 1 ShiftLeft ArrowUp: ", "e0 48 e0 c8", "e0 aa e0 48 e0 c8 e0 2a"],
    [
      "set 2 ShiftLeft ArrowUp: ",
      "e0 75 e0 f0 75",
      "e0 f0 12 e0 75 e0 f0 75 e0 12",
    ],
    // Set 3 has codes of their own for these (IBM's keys 95 and 105), and QEMU
    // none for the key beside the right Shift.
    ["set 3 NumpadDivide: ", "4a f0 4a", "77 f0 77"],
    ["set 3 NumpadSubtract: ", "4e f0 4e", "84 f0 84"],
    ["set 3 IntlRo: ", "\n", "51 f0 51\n"],
    ["set 3 BrowserStop: ", "0a f0 0a", ""],
    // The keyboard repeats by itself.
    ["repeated by the host: ", "1c 1c 1c", "1c"],
  ],
  mouse: [
    // An axis has nine bits.
    ["fast: ", "108 17f 100 108 149 100", "108 1c8 100"],
    // QEMU's does not tell buttons.
    ["status with buttons: ", "1fa 120", "1fa 127"],
    // Nothing has happened that these mice know.
    ["wheel of a mouse without one: ", "108 100 100\n", "\n"],
    [
      "IntelliMouse: side button: ",
      "108 100 100 100 108 100 100 100",
      "",
    ],
    // QEMU takes any rate, and does not answer what it does not know.
    ["a wrong rate: ", "1fa 1fa 1fa 100 102 121", "1fa 1fe 1fa 100 102 164"],
    ["no command: ", "\n", "1fe\n"],
    ["resend: ", "1fa 100", "1fa 100 1fa 100"],
  ],
};

for (const [name, story] of Object.entries(STORIES)) {
  Deno.test(`ps/2 as QEMU has it: ${name}`, async () => {
    const run = async (desk: Desk): Promise<string> => {
      let told = "";
      try {
        await story(desk, (name, bytes) => {
          told += `${name}: ${hex(bytes)}\n`;
        });
      } finally {
        await desk.end();
      }
      return told;
    };
    const ours = await run(await rhea());
    const folder = await Deno.makeTempDir();
    try {
      const theirs = await run(await qemu(folder));
      assertEquals(ours, asRhea(theirs, DIFFERENCES[name]));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      console.log(`skipped: ${QEMU} is not installed`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
