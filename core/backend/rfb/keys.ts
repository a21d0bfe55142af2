/**
 * A viewer's keys: from X11 keysyms, or the scan codes that a viewer with
 * QEMU's extension adds, to the keys of a keyboard.
 *
 * RFC 6143, 7.5.4 "KeyEvent"; X11/keysymdef.h and XF86keysym.h; the RFB protocol's community
 * version, "QEMU Extended Key Event Message".
 *
 * @module
 */

import type { InputEvent } from "../input.ts";
import { strokeOf } from "../us_keyboard.ts";

/**
 * Keys that type nothing: the `KeyboardEvent.code`, the scan code of set 1 (with
 * bit 7 where it has the prefix E0h) and the keysyms, all in hexadecimal.
 */
const SPECIAL = `
Escape 01 ff1b, Backspace 0e ff08, Tab 0f ff09 fe20, Enter 1c ff0d ff0a,
ControlLeft 1d ffe3, ShiftLeft 2a ffe1, ShiftRight 36 ffe2, AltLeft 38 ffe9
ffe7, CapsLock 3a ffe5, F1 3b ffbe, F2 3c ffbf, F3 3d ffc0, F4 3e ffc1,
F5 3f ffc2, F6 40 ffc3, F7 41 ffc4, F8 42 ffc5, F9 43 ffc6, F10 44 ffc7,
F11 57 ffc8, F12 58 ffc9, NumLock 45 ff7f, ScrollLock 46 ff14, Pause c6 ff13
ff6b, PrintScreen b7 ff61, PrintScreen 54 ff15, ControlRight 9d ffe4,
AltRight b8 ffea ffe8, MetaLeft db ffeb, MetaRight dc ffec, ContextMenu dd ff67,
Insert d2 ff63, Delete d3 ffff, Home c7 ff50, End cf ff57, PageUp c9 ff55,
PageDown d1 ff56, ArrowUp c8 ff52, ArrowLeft cb ff51, ArrowDown d0 ff54,
ArrowRight cd ff53, NumpadMultiply 37 ffaa, NumpadSubtract 4a ffad,
NumpadAdd 4e ffab, NumpadDivide b5 ffaf, NumpadEnter 9c ff8d,
NumpadDecimal 53 ffae ff9f ffac, Numpad0 52 ffb0 ff9e, Numpad1 4f ffb1 ff9c,
Numpad2 50 ffb2 ff99, Numpad3 51 ffb3 ff9b, Numpad4 4b ffb4 ff96,
Numpad5 4c ffb5 ff9d, Numpad6 4d ffb6 ff98, Numpad7 47 ffb7 ff95,
Numpad8 48 ffb8 ff97, Numpad9 49 ffb9 ff9a, Convert 79 ff23, NonConvert 7b ff22,
KanaMode 70 ff27, IntlRo 73, IntlYen 7d, IntlBackslash 56,
F13 64 ffca, F14 65 ffcb, F15 66 ffcc, F16 67 ffcd, F17 68 ffce, F18 69 ffcf,
F19 6a ffd0, F20 6b ffd1, F21 6c ffd2, F22 6d ffd3, F23 6e ffd4, F24 76 ffd5,
NumpadEqual 59 ffbd, NumpadComma 7e, Lang1 72 ff31, Lang2 71 ff34, Lang3 78,
Lang4 77, Power de 1008ff2a, Sleep df 1008ff2f, WakeUp e3 1008ff2b,
MediaTrackNext 99 1008ff17, MediaTrackPrevious 90 1008ff16,
MediaStop a4 1008ff15, MediaPlayPause a2 1008ff14, MediaSelect ed 1008ff32,
AudioVolumeMute a0 1008ff12, AudioVolumeUp b0 1008ff13,
AudioVolumeDown ae 1008ff11, LaunchMail ec 1008ff19, LaunchApp1 eb 1008ff33,
LaunchApp2 a1 1008ff1d, BrowserSearch e5 1008ff1b, BrowserHome b2 1008ff18,
BrowserBack ea 1008ff26, BrowserForward e9 1008ff27, BrowserStop e8 1008ff28,
BrowserRefresh e7 1008ff29, BrowserFavorites e6 1008ff30`;

/** Keys that type characters, by their scan codes from 02h on. */
const TYPING: readonly (readonly [first: number, codes: string])[] = [
  [0x02, "Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9"],
  [0x0b, "Digit0 Minus Equal"],
  [0x10, "KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft"],
  [0x1b, "BracketRight"],
  [0x1e, "KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote"],
  [0x29, "Backquote"],
  [0x2b, "Backslash KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash"],
  [0x39, "Space"],
];

const BY_SCAN_CODE = new Map<number, string>();
const BY_KEYSYM = new Map<number, string>();
for (const entry of SPECIAL.split(",")) {
  const [code, scanCode, ...keysyms] = entry.trim().split(/\s+/);
  BY_SCAN_CODE.set(parseInt(scanCode, 16), code);
  for (const keysym of keysyms) BY_KEYSYM.set(parseInt(keysym, 16), code);
}
for (const [first, codes] of TYPING) {
  for (const [n, code] of codes.split(" ").entries()) {
    BY_SCAN_CODE.set(first + n, code);
  }
}

/** The key with a scan code of set 1, E0h as its bit 7; undefined where there is none. */
export function codeOfScanCode(scanCode: number): string | undefined {
  return BY_SCAN_CODE.get(scanCode);
}

/** Keysyms of Unicode characters are these and more. */
const UNICODE_KEYSYMS = 0x01000000;
const LAST_UNICODE = 0x10ffff;

/** Keysyms of keys that type nothing: modifiers, dead keys, function keys. */
const FIRST_FUNCTION = 0xfd00;
const LAST_FUNCTION = 0xffff;

/** The character of a keysym, of those that a US keyboard may have. */
function characterOf(keysym: number): string | undefined {
  if (keysym >= FIRST_FUNCTION && keysym <= LAST_FUNCTION) return undefined;
  const point = keysym >= UNICODE_KEYSYMS ? keysym - UNICODE_KEYSYMS : keysym;
  if (point < 0x20 || point > LAST_UNICODE) return undefined;
  return String.fromCodePoint(point);
}

/** One viewer's keyboard. */
export class ViewerKeys {
  readonly #held = new Set<string>();
  /** Those of them that went down as characters. */
  readonly #typed = new Set<string>();
  #capsLock = false;

  /**
   * A key by its keysym. The viewer has a layout of its own, and the guest is
   * taken to have the US one: where they need Shift for different characters,
   * it goes down or up around the key.
   */
  key(keysym: number, down: boolean): InputEvent[] {
    const special = BY_KEYSYM.get(keysym);
    if (special !== undefined) return this.#press(special, down);
    const character = characterOf(keysym);
    if (character === undefined) return [];
    const stroke = strokeOf(character);
    if (!down) return this.#release(stroke?.code);
    if (stroke === undefined) return [];
    const { code } = stroke;
    this.#typed.add(code);
    let shift = stroke.shift === true;
    if (code.startsWith("Key")) {
      // Shortcuts are keys rather than characters.
      if (this.#holds("Control", "Alt", "Meta")) return this.#press(code, true);
      if (this.#capsLock) shift = !shift;
    }
    const shifts = ["ShiftLeft", "ShiftRight"].filter((one) =>
      this.#held.has(one)
    );
    if (shift === shifts.length > 0) return this.#press(code, true);
    const around = (shiftDown: boolean): InputEvent[] =>
      (shift ? ["ShiftLeft"] : shifts).map((one) => ({
        type: "key",
        code: one,
        down: shiftDown,
      }));
    return [...around(shift), ...this.#press(code, true), ...around(!shift)];
  }

  /**
   * A character goes up. It may be another one than went down, for a layout
   * has Shift or AltGr in between: then no key that typed one stays down.
   */
  #release(code: string | undefined): InputEvent[] {
    const codes = code !== undefined && this.#held.has(code)
      ? [code]
      : [...this.#typed];
    return codes.flatMap((one) => this.#press(one, false));
  }

  /** A key by its scan code, whatever the viewer's layout makes of it. */
  scanCode(scanCode: number, down: boolean): InputEvent[] {
    const code = codeOfScanCode(scanCode);
    return code === undefined ? [] : this.#press(code, down);
  }

  /** The viewer goes: nothing is held any more. */
  releaseAll(): InputEvent[] {
    return [...this.#held].flatMap((code) => this.#press(code, false));
  }

  #holds(...kinds: string[]): boolean {
    return kinds.some((kind) =>
      this.#held.has(`${kind}Left`) || this.#held.has(`${kind}Right`)
    );
  }

  #press(code: string, down: boolean): InputEvent[] {
    if (!down) {
      this.#typed.delete(code);
      return this.#held.delete(code) ? [{ type: "key", code, down }] : [];
    }
    if (code === "CapsLock" && !this.#held.has(code)) {
      this.#capsLock = !this.#capsLock;
    }
    this.#held.add(code);
    return [{ type: "key", code, down }];
  }
}
