/**
 * Linux finds the keyboard and the mouse and complains of nothing; it gets what
 * a VNC viewer types, keys that are held repeat, and its lights reach the
 * viewer.
 */

import { assertEquals, assertMatch } from "@std/assert";
import type { WireViewer } from "../../vnc/wire_viewer.ts";
import { PATIENCE } from "../guest.ts";
import { eventNode, inputTest, PRINT_EVENTS } from "../input.ts";

/** X11's keysyms. */
const A = 0x61;
const UP = 0xff52;
const SHIFT = 0xffe1;
const CAPS_LOCK = 0xffe5;
/** More of them, and what Linux calls the keys (linux/input-event-codes.h). */
const KEYS: readonly (readonly [keysym: number, code: number])[] = [
  [0xff1b, 1],
  [0xff61, 99],
  [0xff13, 119],
  [0xffae, 83],
  [0xffaf, 98],
  [0xff8d, 96],
  [0xffe4, 97],
  [0xffea, 100],
  [0xffeb, 125],
  [0xff67, 127],
  [0xffbd, 117],
  [0x1008ff12, 113],
  [0x1008ff11, 114],
  [0x1008ff13, 115],
  [0x1008ff14, 164],
  [0x1008ff17, 163],
  [0x1008ff2a, 116],
  [0x1008ff2f, 142],
  [0x1008ff1d, 140],
  [0x1008ff26, 158],
];
const KEY_A = 30;
const KEY_UP = 103;
const KEY_LEFTSHIFT = 42;

/** What encodings a viewer knows: pixels, and the lights. */
const RAW = 0;
const LIGHTS = -261 >>> 0;

/** Prints what the keyboard gives, a line each, and does what it is told. */
const SCRIPT = `dmesg | grep -iE 'i8042|atkbd|psmouse|serio' | sed 's/^/log: /'
exec 3< /dev/input/${eventNode("AT Trans")}
${PRINT_EVENTS} <&3 &
echo ready
while read -r line; do eval "$line"; done`;

/** The rest of an update up to the lights, which are asked for until told. */
async function lights(viewer: WireViewer): Promise<number> {
  for (;;) {
    await viewer.request(true, { x: 0, y: 0, width: 1, height: 1 });
    const head = await viewer.reader.take(4);
    assertEquals(head.getUint8(0), 0);
    let told = -1;
    for (let n = head.getUint16(2); n > 0; n--) {
      const rectangle = await viewer.reader.take(12);
      if (rectangle.getUint32(8) === LIGHTS) {
        told = (await viewer.reader.take(1)).getUint8(0);
      } else {
        assertEquals(rectangle.getUint32(8), RAW);
        await viewer.reader.take(
          rectangle.getUint16(4) * rectangle.getUint16(6) * 4,
        );
      }
    }
    if (told >= 0) return told;
  }
}

inputTest(
  "Linux and its keyboard",
  SCRIPT,
  async ({ serial, found, viewer }) => {
    const log = found.match(/^log: .*$/gm)!.join("\n");
    assertMatch(log, /serio: i8042 KBD port at 0x60,0x64 irq 1/);
    assertMatch(log, /serio: i8042 AUX port at 0x60,0x64 irq 12/);
    assertEquals(
      /unknown|fail|warn|error|timeout|lost|spurious|can't|unable/i.exec(log),
      null,
    );
    await viewer.message(
      ...[["u8", 2], ["u8", 0], ["u16", 2], ["u32", RAW], ["u32", LIGHTS]] as [
        "u8",
        number,
      ][],
    );
    assertEquals(await lights(viewer), 0);
    const key = (keysym: number, down: boolean) =>
      viewer.message(
        ...[["u8", 4], ["u8", down ? 1 : 0], ["u16", 0]] as ["u8", number][],
        ["u32", keysym],
      );
    /** The next event of a key's. */
    const event = async (): Promise<string> => {
      const line = await serial.expect(/^event \d+ \d+ 1 .*\r\n/m, PATIENCE);
      return /event \d+ \d+ 1 (\d+ \d+)\r\n$/.exec(line)![1];
    };
    for (const [keysym, code] of KEYS) {
      await key(keysym, true);
      await key(keysym, false);
      assertEquals(await event(), `${code} 1`);
      assertEquals(await event(), `${code} 0`);
    }
    // A key that is held repeats, until it is released.
    await key(A, true);
    assertEquals(await event(), `${KEY_A} 1`);
    for (let n = 0; n < 20; n++) assertEquals(await event(), `${KEY_A} 2`);
    await key(A, false);
    for (;;) {
      const what = await event();
      if (what === `${KEY_A} 0`) break;
      assertEquals(what, `${KEY_A} 2`);
    }
    // The Shifts that a grey key pretends are none for Linux.
    await key(SHIFT, true);
    await key(UP, true);
    await key(UP, false);
    await key(SHIFT, false);
    const codes: string[] = [];
    while (codes.at(-1) !== `${KEY_LEFTSHIFT} 0`) {
      codes.push(await event());
    }
    assertEquals(
      codes.filter((text) => !text.endsWith("2")),
      [
        `${KEY_LEFTSHIFT} 1`,
        ...[`${KEY_UP} 1`, `${KEY_UP} 0`, `${KEY_LEFTSHIFT} 0`],
      ],
    );
    // Lights by the console's caps lock, and by the driver's interface.
    await key(CAPS_LOCK, true);
    await key(CAPS_LOCK, false);
    assertEquals(await lights(viewer), 4);
    await serial.write(
      "for f in /sys/class/leds/*numlock/brightness; " +
        "do echo 1 > $f; done\n",
    );
    assertEquals(await lights(viewer), 6);
    await serial.write(
      "for f in /sys/class/leds/*lock/brightness; " +
        "do echo 0 > $f; done\n",
    );
    let now = 6;
    while (now !== 0) now = await lights(viewer);
  },
);
