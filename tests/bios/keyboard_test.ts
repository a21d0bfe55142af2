/**
 * What keys give to programs: a boot sector prints it, on Rhea's BIOS and on
 * QEMU's SeaBIOS.
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { biosMachine, inFolder, QEMU_ARGS, tool } from "./machine.ts";

const SOURCE = fromFileUrl(new URL("keys.asm", import.meta.url));
const LIMIT_MS = 60_000;

/** Keys by the names of W3C and of QEMU. */
const KEYS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [..."ABCXYZ"].map((letter) => [`Key${letter}`, letter.toLowerCase()]),
  ),
  ...Object.fromEntries(["1", "2", "6", "0"].map((d) => [`Digit${d}`, d])),
  ...{ Minus: "minus", Equal: "equal", BracketLeft: "bracket_left" },
  ...{ Backslash: "backslash", Semicolon: "semicolon", Quote: "apostrophe" },
  ...{ Backquote: "grave_accent", Comma: "comma", Slash: "slash" },
  ...{ Tab: "tab", Enter: "ret", Space: "spc", Backspace: "backspace" },
  ...{ Escape: "esc", F1: "f1", F10: "f10", F11: "f11" },
  ...{ ArrowUp: "up", ArrowLeft: "left", Home: "home", PageDown: "pgdn" },
  ...{ Insert: "insert", Delete: "delete" },
  ...{ NumpadEnter: "kp_enter", NumpadDivide: "kp_divide" },
  ...{ NumpadSubtract: "kp_subtract", NumpadMultiply: "asterisk" },
  ...{ Numpad7: "kp_7", Numpad5: "kp_5", NumpadDecimal: "kp_decimal" },
};
const SHIFTS: readonly (readonly [code: string, name: string] | undefined)[] = [
  undefined,
  ["ShiftLeft", "shift"],
  ["ControlLeft", "ctrl"],
  ["AltLeft", "alt"],
];

/**
 * A key that is none of these: what it prints says that the one before it,
 * which may print nothing, has been seen.
 */
const MARK = { ours: "F2", theirs: "f2", prints: "3C00" };

/** What is pressed, in W3C's and QEMU's names: keys with each shift, locks. */
function chords(): { ours: string[]; theirs: string }[] {
  const list: { ours: string[]; theirs: string }[] = [];
  for (const shift of SHIFTS) {
    for (const [code, name] of Object.entries(KEYS)) {
      // They would reset the machine, or type a number.
      if (shift?.[1] === "alt" && /^Numpad\d/.test(code)) continue;
      list.push({
        ours: shift === undefined ? [code] : [shift[0], code],
        theirs: shift === undefined ? name : `${shift[1]}-${name}`,
      });
    }
  }
  for (
    const [lock, name] of [["CapsLock", "caps_lock"], ["NumLock", "num_lock"]]
  ) {
    list.push({ ours: [lock], theirs: name });
    for (const code of ["KeyA", "Numpad7", "Digit1"]) {
      list.push({ ours: [code], theirs: KEYS[code] });
      list.push({ ours: ["ShiftLeft", code], theirs: `shift-${KEYS[code]}` });
    }
  }
  return list;
}

/** What the boot sector prints in QEMU; undefined where it is not installed. */
async function inQemu(file: string): Promise<string | undefined> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("qemu-system-i386", {
      args: [
        ...QEMU_ARGS,
        ...[
          "-serial",
          "stdio",
          "-monitor",
          `unix:${file}.monitor,server,nowait`,
        ],
        ...["-drive", `if=ide,format=raw,file=${file},index=0`],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      signal: AbortSignal.timeout(LIMIT_MS),
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  let output = "";
  let hasEnded = false;
  let printed = (): void => {};
  const reading = (async () => {
    for await (const bytes of child.stdout) {
      output += new TextDecoder().decode(bytes);
      printed();
    }
    hasEnded = true;
    printed();
  })();
  /** Wait until it has printed a line so often. */
  const said = async (line: string, times = 1): Promise<void> => {
    while (!hasEnded && output.split(`${line}\n`).length <= times) {
      await new Promise<void>((resolve) => printed = resolve);
    }
  };
  await said("BEGIN");
  const monitor = await Deno.connect({
    transport: "unix",
    path: `${file}.monitor`,
  });
  const drain = monitor.readable.pipeTo(new WritableStream()).catch(() => {});
  const writer = monitor.writable.getWriter();
  const send = (text: string): Promise<void> =>
    writer.write(new TextEncoder().encode(`sendkey ${text} 1\n`));
  let marks = 0;
  for (const { theirs } of chords()) {
    await send(theirs);
    await send(MARK.theirs);
    await said(MARK.prints, ++marks);
  }
  await send("f12");
  await reading;
  await child.status;
  await writer.close().catch(() => {});
  await drain;
  return output;
}

/** What it prints here. */
async function here(file: string): Promise<string> {
  await using machine = await biosMachine({ drives: [{ file }] });
  const run = machine.run();
  const serial = machine.serial(0);
  await serial.expect("BEGIN\n");
  for (const { ours } of chords()) {
    await machine.screen().press(...ours);
    await machine.screen().press(MARK.ours);
  }
  await machine.screen().press("F12");
  await run;
  return serial.output;
}

Deno.test("bios: keys give programs what SeaBIOS gives them", () =>
  inFolder(async (folder) => {
    const file = `${folder}/disk.img`;
    if (!await tool("nasm", "-f", "bin", "-o", file, SOURCE)) return;
    await Deno.truncate(file, 1 << 20);
    const copy = `${folder}/copy.img`;
    await Deno.copyFile(file, copy);
    const [ours, theirs] = await Promise.all([here(file), inQemu(copy)]);
    const words = (text: string): string[] =>
      text.slice(text.indexOf("BEGIN\n")).split("\n");
    assert(words(ours).length > 100);
    if (theirs === undefined) {
      return console.log("skipped in part: QEMU is not installed");
    }
    assertEquals(words(ours), words(theirs));
  }));
