/**
 * The keyboard controller with a keyboard and a mouse, of Rhea and of QEMU, to
 * do the same with both. QEMU runs no guest: its CPU halts at once, and this
 * process does what a driver would (qtest); who types does it by QMP.
 *
 * @module
 */

import { assert } from "@std/assert";
import { join } from "@std/path";
import type { InputEvent } from "../../core/backend/input.ts";
import { DeviceBench } from "../../core/machine/testing.ts";
import i8042, { type I8042 } from "../../plugins/device/input/i8042.ts";
import ps2Keyboard, {
  type Ps2Keyboard,
} from "../../plugins/device/input/ps2_keyboard.ts";
import ps2Mouse, {
  type Ps2Mouse,
} from "../../plugins/device/input/ps2_mouse.ts";
import { QEMU } from "../qemu.ts";
import { FakeSetup } from "./floppy_bench.ts";

/** The controller's ports. */
export const DATA = 0x60;
/** See `DATA`. */
export const STATUS = 0x64;
const HLT = 0xf4;
/** Longer than between two packets of any sample rate, in nanoseconds. */
const PACKET_NS = 100_000_000;

/** A keyboard controller with what is on its ports, and who types. */
export interface Desk {
  /** Read a port. */
  read(port: number): Promise<number>;
  /** Write to a port. */
  write(port: number, value: number): Promise<void>;
  /** The interrupts now: bit 0 the keyboard's, bit 1 the mouse's. */
  interrupts(): Promise<number>;
  /** A human does something. */
  input(events: readonly InputEvent[]): Promise<void>;
  /** It is not used any more. */
  end(): Promise<void>;
}

/** Rhea's. */
export async function rhea(): Promise<Desk> {
  const controller = await DeviceBench.create<I8042>(i8042);
  const use = { controller: controller.device, setup: new FakeSetup() };
  const keyboard = await DeviceBench.create<Ps2Keyboard>(ps2Keyboard, { use });
  const mouse = await DeviceBench.create<Ps2Mouse>(ps2Mouse, { use });
  const region = (port: number) => port === DATA ? "data" : "command";
  return {
    read(port) {
      // A packet comes when it is time.
      if (port === STATUS) mouse.advance(PACKET_NS);
      return Promise.resolve(controller.read(region(port), 0));
    },
    write(port, value) {
      return Promise.resolve(controller.write(region(port), 0, value));
    },
    interrupts: () =>
      Promise.resolve(
        (controller.level("kbd") ? 1 : 0) | (controller.level("aux") ? 2 : 0),
      ),
    input(events) {
      for (const event of events) {
        if (event.type === "key") keyboard.device.key(event.code, event.down);
        else mouse.device.event(event);
      }
      return Promise.resolve();
    },
    end: () => Promise.resolve(),
  };
}

/** Lines of text from a stream. */
function lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    async next(): Promise<string> {
      while (!text.includes("\n")) {
        const { value, done } = await reader.read();
        if (done) throw new Error("QEMU has ended");
        text += value;
      }
      const end = text.indexOf("\n");
      const first = text.slice(0, end);
      text = text.slice(end + 1);
      return first;
    },
    cancel: () => reader.cancel(),
  };
}

/** QEMU's names of keys, where they are not as in `qemuKey`. */
export const NAMES: Readonly<Record<string, string>> = {
  ...{ Escape: "esc", ScrollLock: "scroll_lock", Backquote: "grave_accent" },
  ...{ Minus: "minus", Equal: "equal", Backspace: "backspace", Tab: "tab" },
  ...{ BracketLeft: "bracket_left", BracketRight: "bracket_right" },
  ...{ Enter: "ret", CapsLock: "caps_lock", Semicolon: "semicolon" },
  ...{ Quote: "apostrophe", Backslash: "backslash", IntlBackslash: "less" },
  ...{
    ShiftLeft: "shift",
    ShiftRight: "shift_r",
    Comma: "comma",
    Period: "dot",
  },
  ...{ Slash: "slash", ControlLeft: "ctrl", ControlRight: "ctrl_r" },
  ...{
    AltLeft: "alt",
    AltRight: "alt_r",
    MetaLeft: "meta_l",
    MetaRight: "meta_r",
  },
  ...{
    Space: "spc",
    ContextMenu: "compose",
    Insert: "insert",
    Delete: "delete",
  },
  ...{ Home: "home", End: "end", PageUp: "pgup", PageDown: "pgdn" },
  ...{
    ArrowUp: "up",
    ArrowLeft: "left",
    ArrowDown: "down",
    ArrowRight: "right",
  },
  ...{ NumLock: "num_lock", NumpadDivide: "kp_divide" },
  ...{ NumpadMultiply: "kp_multiply", NumpadSubtract: "kp_subtract" },
  ...{
    NumpadAdd: "kp_add",
    NumpadEnter: "kp_enter",
    NumpadDecimal: "kp_decimal",
  },
  ...{ NumpadEqual: "kp_equals", NumpadComma: "kp_comma", IntlRo: "ro" },
  ...{ IntlYen: "yen", KanaMode: "katakanahiragana", Convert: "henkan" },
  ...{ NonConvert: "muhenkan", Lang1: "lang1", Lang2: "lang2" },
  ...{ Power: "power", Sleep: "sleep" },
  ...{ WakeUp: "wake", MediaTrackNext: "audionext", MediaStop: "audiostop" },
  ...{ MediaTrackPrevious: "audioprev", MediaPlayPause: "audioplay" },
  ...{ MediaSelect: "mediaselect", AudioVolumeMute: "audiomute" },
  ...{ AudioVolumeUp: "volumeup", AudioVolumeDown: "volumedown" },
  ...{ LaunchMail: "mail", LaunchApp1: "computer", LaunchApp2: "calculator" },
  ...{ BrowserHome: "ac_home", BrowserBack: "ac_back" },
  ...{ BrowserForward: "ac_forward", BrowserStop: "stop" },
  ...{ BrowserRefresh: "ac_refresh", BrowserFavorites: "ac_bookmarks" },
  ...{ Pause: "pause", PrintScreen: "print" },
};

/** QEMU's name of a key. */
function qemuKey(code: string): string {
  const named = NAMES[code];
  if (named !== undefined) return named;
  const [, kind, rest] = /^(Key|Digit|Numpad|F)(.+)$/.exec(code)!;
  if (kind === "Numpad") return `kp_${rest}`;
  return kind === "F" ? `f${rest}` : rest.toLowerCase();
}

const BUTTONS = ["left", "middle", "right", "side", "extra"];

/** An event as QMP's `input-send-event` takes it. */
function qemuEvents(event: InputEvent): unknown[] {
  switch (event.type) {
    case "key":
      return [{
        type: "key",
        data: {
          down: event.down,
          key: { type: "qcode", data: qemuKey(event.code) },
        },
      }];
    case "button":
      return [{
        type: "btn",
        data: { down: event.down, button: BUTTONS[event.button] },
      }];
    case "position":
      throw new Error("there is no tablet");
    case "motion": {
      const wheel = event.wheel < 0 ? "wheel-up" : "wheel-down";
      return [
        ...event.dx === 0
          ? []
          : [{ type: "rel", data: { axis: "x", value: event.dx } }],
        ...event.dy === 0
          ? []
          : [{ type: "rel", data: { axis: "y", value: event.dy } }],
        ...Array.from({ length: Math.abs(event.wheel) }, () => [
          { type: "btn", data: { down: true, button: wheel } },
          { type: "btn", data: { down: false, button: wheel } },
        ]).flat(),
      ];
    }
  }
}

/** QEMU's; throws `NotFound` where it is not installed. */
export async function qemu(folder: string): Promise<Desk> {
  const bios = join(folder, "bios.bin");
  await Deno.writeFile(bios, new Uint8Array(65536).fill(HLT));
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const command = new Deno.Command(QEMU, {
    args: [
      ...["-M", "pc", "-m", "4", "-accel", "tcg", "-nodefaults"],
      ...["-bios", bios, "-display", "none"],
      ...["-qtest", "stdio", "-qtest-log", "none"],
      ...["-qmp", `tcp:127.0.0.1:${listener.addr.port}`],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  });
  let child: Deno.ChildProcess;
  let qmp: Deno.TcpConn;
  try {
    child = command.spawn();
    qmp = await listener.accept();
  } finally {
    listener.close();
  }
  const monitor = lines(qmp.readable);
  const output = lines(child.stdout);
  const input = child.stdin.getWriter();
  const encoder = new TextEncoder();
  let levels = 0;
  const ask = async (command: string): Promise<string> => {
    await input.write(encoder.encode(`${command}\n`));
    let answer = await output.next();
    for (;;) {
      const irq = /^IRQ (raise|lower) (\d+)/.exec(answer);
      if (irq === null) break;
      const bit = irq[2] === "1" ? 1 : irq[2] === "12" ? 2 : 0;
      levels = irq[1] === "raise" ? levels | bit : levels & ~bit;
      answer = await output.next();
    }
    assert(answer.startsWith("OK"), `${command}: ${answer}`);
    return answer.slice(3);
  };
  const order = async (execute: string, args: object = {}): Promise<void> => {
    await qmp.write(
      encoder.encode(`${JSON.stringify({ execute, arguments: args })}\n`),
    );
    for (;;) {
      const answer = JSON.parse(await monitor.next());
      assert(answer.error === undefined, JSON.stringify([args, answer.error]));
      if (answer.return !== undefined) return;
    }
  };
  await monitor.next();
  await order("qmp_capabilities");
  const byte = async (port: number): Promise<number> =>
    Number(await ask(`inb ${port}`));
  await ask("irq_intercept_in ioapic");
  return {
    read: byte,
    write: async (port, value) => void await ask(`outb ${port} ${value}`),
    async interrupts() {
      // What was said before the answer is known then.
      await ask(`inb ${STATUS}`);
      return levels;
    },
    async input(events) {
      for (const event of events) {
        await order("input-send-event", { events: qemuEvents(event) });
      }
    },
    async end() {
      await input.close();
      qmp.close();
      child.kill("SIGTERM");
      await output.cancel();
      await child.status;
    },
  };
}
