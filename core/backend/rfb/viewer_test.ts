import { assertEquals } from "@std/assert";
import type { InputEvent } from "../input.ts";
import { ViewerKeys } from "./keys.ts";
import { ViewerPointer } from "./pointer.ts";
import { Region } from "./surface.ts";

/** Events in short: `+KeyA -KeyA`. */
function short(events: readonly InputEvent[]): string {
  return events.map((event) => {
    if (event.type === "key") return (event.down ? "+" : "-") + event.code;
    if (event.type === "button") return (event.down ? "+" : "-") + event.button;
    if (event.type === "motion") return `wheel ${event.wheel}`;
    return `${event.x},${event.y}`;
  }).join(" ");
}

const SHIFT = 0xffe1;
const CONTROL = 0xffe3;
const CAPS_LOCK = 0xffe5;

Deno.test("vnc keys: Shift where the layouts differ", () => {
  const keys = new ViewerKeys();
  const key = (keysym: number | string, down: boolean): string =>
    short(keys.key(
      typeof keysym === "string" ? keysym.charCodeAt(0) : keysym,
      down,
    ));
  assertEquals(key("a", true), "+KeyA");
  assertEquals(key("a", false), "-KeyA");
  assertEquals(key("a", false), "");
  // A program that types without Shift.
  assertEquals(key("A", true), "+ShiftLeft +KeyA -ShiftLeft");
  assertEquals(key("A", false), "-KeyA");
  // A German keyboard: Shift-7 is a slash, Shift-2 a double quote.
  assertEquals(key(SHIFT, true), "+ShiftLeft");
  assertEquals(key("/", true), "-ShiftLeft +Slash +ShiftLeft");
  assertEquals(key("/", false), "-Slash");
  assertEquals(key('"', true), "+Quote");
  // It may be another character by the time it goes up.
  assertEquals(key(SHIFT, false), "-ShiftLeft");
  assertEquals(key("'", false), "-Quote");
  // One that no key of a US keyboard types (Shift-sharp s), or that another
  // key does (Shift-2): nothing that typed stays down.
  assertEquals(key("?", true), "+ShiftLeft +Slash -ShiftLeft");
  assertEquals(key("x", true), "+KeyX");
  assertEquals(key("x", false), "-KeyX");
  assertEquals(key(0xfe03, false), "");
  assertEquals(key("\xdf", false), "-Slash");
  assertEquals(key('"', true), "+ShiftLeft +Quote -ShiftLeft");
  assertEquals(key(CONTROL, true), "+ControlLeft");
  assertEquals(key("2", false), "-Quote");
  assertEquals(key(CONTROL, false), "-ControlLeft");
  assertEquals(key("2", false), "");
  // Caps lock is the guest's too.
  assertEquals(key(CAPS_LOCK, true), "+CapsLock");
  assertEquals(key(CAPS_LOCK, false), "-CapsLock");
  assertEquals(key("A", true), "+KeyA");
  assertEquals(key("1", true), "+Digit1");
  assertEquals(key(CAPS_LOCK, true), "+CapsLock");
  assertEquals(key(CONTROL, true), "+ControlLeft");
  assertEquals(key("C", true), "+KeyC");
  assertEquals(
    short(keys.releaseAll()),
    "-KeyA -Digit1 -CapsLock -ControlLeft -KeyC",
  );
  // Unicode's keysyms, the keypad, and keys that no US keyboard has.
  assertEquals(key(0x01000040, true), "+ShiftLeft +Digit2 -ShiftLeft");
  assertEquals(key(0xffb7, true), "+Numpad7");
  assertEquals(key(0xff95, true), "+Numpad7");
  assertEquals(key(0xe4, true), "");
  assertEquals(key(0xfe03, true), "");
});

Deno.test("vnc keys: scan codes are keys, whatever their characters", () => {
  const keys = new ViewerKeys();
  const scan = (code: number) => short(keys.scanCode(code, true));
  assertEquals(
    [0x01, 0x1e, 0x2c, 0x56, 0x9d, 0xc8, 0xdb, 0x73, 0xb7].map(scan).join(" "),
    "+Escape +KeyA +KeyZ +IntlBackslash +ControlRight +ArrowUp +MetaLeft " +
      "+IntlRo +PrintScreen",
  );
  assertEquals(scan(0xff), "");
});

Deno.test("vnc pointer: positions, buttons and the wheel", () => {
  const pointer = new ViewerPointer();
  const screen = { width: 101, height: 51 };
  const event = (mask: number, x: number, y: number) =>
    short(pointer.event({ mask, x, y }, screen));
  assertEquals(event(0, 0, 50), "0,65535");
  assertEquals(event(1, 50, 50), "32768,65535 +0");
  assertEquals(event(0x10 | 1, 50, 50), "wheel 1");
  assertEquals(event(1, 50, 50), "");
  assertEquals(event(0x86, 50, 50), "-0 +1 +2 +3");
  assertEquals(event(0x86, 5000, 5000), "65535,65535");
  assertEquals(short(pointer.releaseAll()), "-1 -2 -3");
});

Deno.test("vnc: a region is its rectangles, whatever was added and taken", () => {
  const SIZE = 24;
  let x = 1;
  const random = (limit: number): number => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % limit;
  };
  const region = new Region();
  const expected = new Uint8Array(SIZE * SIZE);
  const whole = { x: 0, y: 0, width: SIZE, height: SIZE };
  for (let step = 0; step < 500; step++) {
    const area = { x: random(SIZE), y: random(SIZE), width: 0, height: 0 };
    area.width = random(SIZE - area.x + 1);
    area.height = random(SIZE - area.y + 1);
    const add = random(2) === 0;
    if (add) region.add(area);
    else region.remove(area);
    for (let row = area.y; row < area.y + area.height; row++) {
      const at = row * SIZE + area.x;
      expected.fill(add ? 1 : 0, at, at + area.width);
    }
    const found = new Uint8Array(SIZE * SIZE);
    for (const part of region.within(whole)) {
      for (let row = part.y; row < part.y + part.height; row++) {
        for (let at = part.x; at < part.x + part.width; at++) {
          found[row * SIZE + at]++;
        }
      }
    }
    // Rectangles never overlap; what is in it may only be too much.
    for (const [i, times] of found.entries()) {
      if (times > 1 || times < expected[i]) {
        throw new Error(`step ${step}: pixel ${i} is there ${times} times`);
      }
      expected[i] = times;
    }
  }
});
