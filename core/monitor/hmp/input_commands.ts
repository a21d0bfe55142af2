/**
 * Commands that are hands and eyes at the machine: keys, the mouse, pictures
 * of the screen.
 *
 * @module
 */

import type { InputEvent } from "../../backend/input.ts";
import { codeOfScanCode } from "../../backend/rfb/keys.ts";
import { screendump } from "../qmp/screendump.ts";
import { codeOfKeyName, KEY_NAMES } from "../key_names.ts";
import type { Arguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import type { MonitorContext } from "./context.ts";
import { MonitorError } from "./error.ts";

/** How long keys are held in milliseconds, as in QEMU. */
const HOLD_MS = 100;
/** The longest, so that no key stays down for ever. */
const MAX_HOLD_MS = 60_000;
/** Keys that are pressed together at most, as in QEMU. */
const MAX_KEYS = 16;
/** The buttons, by the bits of `mouse_button`: left, middle, right. */
const BUTTONS = [0, 1, 2];

/** The keys of `ctrl-alt-f1`, by their codes. */
function keysOf(text: string): string[] {
  const names = text.split("-");
  if (names.length > MAX_KEYS) throw new MonitorError("too many keys");
  return names.map((name) => {
    // QEMU's other names of keys are their scan codes.
    const code = /^0x[0-9a-f]{1,4}$/i.test(name)
      ? codeOfScanCode(Number(name))
      : codeOfKeyName(name === "<" ? "less" : name);
    if (code === undefined) {
      throw new MonitorError(`invalid parameter: ${name}`);
    }
    return code;
  });
}

function sendKeys({ machine }: MonitorContext, args: Arguments): void {
  const codes = keysOf(args.text("keys")!);
  const hold = Number(args.integer("hold") ?? BigInt(HOLD_MS));
  if (hold < 0 || hold > MAX_HOLD_MS) {
    throw new MonitorError(`keys are held for 0 to ${MAX_HOLD_MS} ms`);
  }
  const events = (down: boolean) =>
    codes.map((code): InputEvent => ({ type: "key", code, down }));
  const { input } = machine;
  void input.send(events(true));
  input.after(hold, () => void input.send(events(false).reverse()));
}

function moveMouse({ machine }: MonitorContext, args: Arguments): void {
  const number = (name: string): number => {
    const text = args.text(name) ?? "0";
    if (!/^[+-]?(0x[0-9a-f]{1,8}|\d{1,9})$/i.test(text)) {
      throw new MonitorError(`"${text}" is no distance`);
    }
    const value = Number(text.replace(/^[+-]/, ""));
    return text.startsWith("-") ? -value : value;
  };
  const event = {
    type: "motion",
    dx: number("dx"),
    dy: number("dy"),
    wheel: number("dz"),
  } as const;
  void machine.input.send([event]);
}

function pressButtons(context: MonitorContext, args: Arguments): void {
  const state = Number(args.integer("state")!) & 7;
  const changed = BUTTONS.filter((button) =>
    ((state ^ context.buttons) >> button & 1) !== 0
  );
  context.buttons = state;
  void context.machine.input.send(changed.map((button) => ({
    type: "button",
    button,
    down: (state >> button & 1) !== 0,
  })));
}

async function dumpScreen(
  { machine }: MonitorContext,
  args: Arguments,
): Promise<void> {
  const format = args.text("format") ?? "ppm";
  if (format !== "ppm" && format !== "png") {
    throw new MonitorError(`Error: invalid parameter value: ${format}`);
  }
  await screendump(machine, {
    filename: args.text("filename")!,
    device: args.text("device"),
    head: args.has("head") ? Number(args.integer("head")) : undefined,
    format,
  });
}

/** The commands. */
export const INPUT_COMMANDS: readonly Command[] = [
  {
    name: "sendkey",
    args: "keys:s,hold:i?",
    params: "keys [hold_ms]",
    help: "send keys to the VM (e.g. 'sendkey ctrl-alt-f1', default hold " +
      "time=100 ms)",
    run: sendKeys,
    words(_context, typed) {
      const pressed = typed.slice(0, typed.lastIndexOf("-") + 1);
      return KEY_NAMES.map((key) => `${pressed}${key}`);
    },
  },
  {
    name: "mouse_move",
    args: "dx:s,dy:s,dz:s?",
    params: "dx dy [dz]",
    help: "send mouse move events",
    run: moveMouse,
  },
  {
    name: "mouse_button",
    args: "state:i",
    params: "state",
    help: "change mouse button state (1=L, 2=M, 4=R)",
    run: pressButtons,
  },
  {
    name: "screendump",
    args: "filename:F,format:-fs,device:s?,head:i?",
    params: "filename [-f format] [device [head]]",
    help: "save screen as image 'filename', in format 'png' or 'ppm'",
    run: dumpScreen,
  },
];
