/**
 * Linux finds the mouse, by the driver that asks for a wheel and five buttons,
 * and gets what a VNC viewer's pointer does.
 */

import { assertEquals } from "@std/assert";
import { PATIENCE } from "../guest.ts";
import { eventNode, inputTest, PRINT_EVENTS } from "../input.ts";

/** Types and codes of Linux's input events. */
const EV_KEY = 1;
const EV_REL = 2;
const REL_WHEEL = 8;
const BTN_SIDE = 0x113;

/** Prints what the two devices give, a line each. */
const SCRIPT = `exec 3< /dev/input/mice 4< /dev/input/${eventNode("ImEx")}
while dd bs=3 count=1 2>/dev/null |
  hexdump -v -e '"mice" 3/1 " %02x" "\\n"'; do :; done <&3 &
${PRINT_EVENTS} <&4 &
echo ready
sleep 100000`;

/** Where the mouse is on its way over the screen, in its counts. */
function counts(at: number, size: number, way: number): number {
  const position = Math.round(at * 65535 / (size - 1));
  return Math.round(position * way / 65536);
}

function hex(...bytes: number[]): string {
  return bytes.map((byte) => (byte & 0xff).toString(16).padStart(2, "0"))
    .join(" ");
}

inputTest(
  "Linux finds an ImExPS/2 mouse, and a viewer moves it",
  SCRIPT,
  async ({ serial, viewer }) => {
    const { width, height } = viewer;
    // From where the pointer is first, nobody knows how it came there.
    let [x, y] = [100, 100];
    await viewer.pointer(x, y, 0);
    const move = async (toX: number, toY: number, mask: number) => {
      const dx = counts(toX, width, 1024) - counts(x, width, 1024);
      const dy = counts(y, height, 768) - counts(toY, height, 768);
      [x, y] = [toX, toY];
      await viewer.pointer(x, y, mask);
      return { dx, dy };
    };
    // Not more than a byte of mousedev's takes.
    for (const [toX, toY] of [[110, 95], [60, 120], [90, 60]]) {
      const { dx, dy } = await move(toX, toY, 0);
      const sign = (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0);
      const expected = hex(0x08 | sign, dx, dy);
      await serial.expect(`mice ${expected}\r\n`, PATIENCE);
    }
    for (const [mask, bits] of [[1, 1], [0, 0], [4, 2], [6, 6], [0, 0]]) {
      await move(x, y, mask);
      await serial.expect(`mice ${hex(0x08 | bits, 0, 0)}\r\n`, PATIENCE);
    }
    const event = async (mask: number, ...expected: number[]) => {
      await move(x, y, mask);
      const text = await serial.expect(
        new RegExp(`^event \\d+ \\d+ ${expected.join(" ")}\\r\\n`, "m"),
        PATIENCE,
      );
      return text;
    };
    // A turn towards the user is less for Linux.
    await event(0x08, EV_REL, REL_WHEEL, 1);
    await event(0x10, EV_REL, REL_WHEEL, -1);
    await event(0x80, EV_KEY, BTN_SIDE, 1);
    await event(0x00, EV_KEY, BTN_SIDE, 0);
    assertEquals(serial.output.match(/psmouse.*(lost|bad|reset)/), null);
  },
);
