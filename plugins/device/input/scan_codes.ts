/**
 * Scan codes of the keys in the three sets.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and
 * 102-key)", scan code tables; Microsoft, "Keyboard scan code specification",
 * appendix C, for the keys that came later.
 *
 * @module
 */

/** A key's codes. */
export interface ScanCodes {
  /** Set 1: the make code; E0xx has the prefix E0h. */
  readonly set1: number;
  /** Set 2: the make code; E0xx has the prefix E0h. */
  readonly set2: number;
  /** Set 3: the make code, a byte that no other key has; 0 where there is none. */
  readonly set3: number;
}

/** `KeyboardEvent.code` and the codes in set 1, 2 and 3. */
const TABLE = `
Escape 01 76 08, F1 3b 05 07, F2 3c 06 0f, F3 3d 04 17, F4 3e 0c 1f,
F5 3f 03 27, F6 40 0b 2f, F7 41 83 37, F8 42 0a 3f, F9 43 01 47, F10 44 09 4f,
F11 57 78 56, F12 58 07 5e, ScrollLock 46 7e 5f,
Backquote 29 0e 0e, Digit1 02 16 16, Digit2 03 1e 1e, Digit3 04 26 26,
Digit4 05 25 25, Digit5 06 2e 2e, Digit6 07 36 36, Digit7 08 3d 3d,
Digit8 09 3e 3e, Digit9 0a 46 46, Digit0 0b 45 45, Minus 0c 4e 4e,
Equal 0d 55 55, Backspace 0e 66 66, Tab 0f 0d 0d, KeyQ 10 15 15, KeyW 11 1d 1d,
KeyE 12 24 24, KeyR 13 2d 2d, KeyT 14 2c 2c, KeyY 15 35 35, KeyU 16 3c 3c,
KeyI 17 43 43, KeyO 18 44 44, KeyP 19 4d 4d, BracketLeft 1a 54 54,
BracketRight 1b 5b 5b, Enter 1c 5a 5a, CapsLock 3a 58 14, KeyA 1e 1c 1c,
KeyS 1f 1b 1b, KeyD 20 23 23, KeyF 21 2b 2b, KeyG 22 34 34, KeyH 23 33 33,
KeyJ 24 3b 3b, KeyK 25 42 42, KeyL 26 4b 4b, Semicolon 27 4c 4c, Quote 28 52 52,
Backslash 2b 5d 5c, IntlBackslash 56 61 13, ShiftLeft 2a 12 12, KeyZ 2c 1a 1a,
KeyX 2d 22 22, KeyC 2e 21 21, KeyV 2f 2a 2a, KeyB 30 32 32, KeyN 31 31 31,
KeyM 32 3a 3a, Comma 33 41 41, Period 34 49 49, Slash 35 4a 4a,
ShiftRight 36 59 59, ControlLeft 1d 14 11, AltLeft 38 11 19, Space 39 29 29,
AltRight e038 e011 39, ControlRight e01d e014 58, MetaLeft e05b e01f 8b,
MetaRight e05c e027 8c, ContextMenu e05d e02f 8d, Insert e052 e070 67,
Delete e053 e071 64, Home e047 e06c 6e, End e04f e069 65, PageUp e049 e07d 6f,
PageDown e051 e07a 6d, ArrowUp e048 e075 63, ArrowLeft e04b e06b 61,
ArrowDown e050 e072 60, ArrowRight e04d e074 6a, NumLock 45 77 76,
NumpadDivide e035 e04a 77, NumpadMultiply 37 7c 7e, NumpadSubtract 4a 7b 84,
NumpadAdd 4e 79 7c, NumpadEnter e01c e05a 79, NumpadDecimal 53 71 71,
Numpad0 52 70 70, Numpad1 4f 69 69, Numpad2 50 72 72, Numpad3 51 7a 7a,
Numpad4 4b 6b 6b, Numpad5 4c 73 73, Numpad6 4d 74 74, Numpad7 47 6c 6c,
Numpad8 48 75 75, Numpad9 49 7d 7d, IntlRo 73 51 51, KanaMode 70 13 87,
Convert 79 64 86, NonConvert 7b 67 85, IntlYen 7d 6a 5d,
F13 64 08 00, F14 65 10 00, F15 66 18 00, F16 67 20 00, F17 68 28 00,
F18 69 30 00, F19 6a 38 00, F20 6b 40 00, F21 6c 48 00, F22 6d 50 00,
F23 6e 57 00, F24 76 5f 00, NumpadEqual 59 0f 00, NumpadComma 7e 6d 00,
Lang1 f2 f2 00, Lang2 f1 f1 00, Lang3 78 63 00, Lang4 77 62 00,
Power e05e e037 00, Sleep e05f e03f 00, WakeUp e063 e05e 00,
MediaTrackNext e019 e04d 93, MediaTrackPrevious e010 e015 94,
MediaStop e024 e03b 98, MediaPlayPause e022 e034 00, MediaSelect e06d e050 00,
AudioVolumeMute e020 e023 9c, AudioVolumeUp e030 e032 95,
AudioVolumeDown e02e e021 9d, LaunchMail e06c e048 00, LaunchApp1 e06b e040 00,
LaunchApp2 e021 e02b a3, BrowserSearch e065 e010 00, BrowserHome e032 e03a 97,
BrowserBack e06a e038 00, BrowserForward e069 e030 00, BrowserStop e068 e028 00,
BrowserRefresh e067 e020 00, BrowserFavorites e066 e018 00`;

/** The keys but Pause and PrintScreen, by `KeyboardEvent.code`. */
export const SCAN_CODES: ReadonlyMap<string, ScanCodes> = new Map(
  TABLE.split(",").map((entry) => {
    const [code, ...codes] = entry.trim().split(" ");
    const [set1, set2, set3] = codes.map((text) => parseInt(text, 16));
    return [code, { set1, set2, set3 }];
  }),
);

/** All keys: a key's place here is its number in the keyboard's state. */
export const KEYS: readonly string[] = [
  ...SCAN_CODES.keys(),
  ...["Pause", "PrintScreen"],
];

/** Keys of Korean keyboards, which send their make code and no other. */
export const NEVER_BREAK: ReadonlySet<string> = new Set(["Lang1", "Lang2"]);

/** The keys between the letters and the keypad, which the keypad has, too. */
const GREY_KEYS: ReadonlySet<string> = new Set([
  ...["Insert", "Delete", "Home", "End", "PageUp", "PageDown"],
  ...["ArrowUp", "ArrowLeft", "ArrowDown", "ArrowRight"],
]);
/** The codes behind E0h of a left and a right Shift that nobody presses. */
const FAKE_SHIFTS = { left: [0x2a, 0x12], right: [0x36, 0x59] } as const;

/** Set 3's codes of the two keys that the other sets treat apart. */
export const SET3_PRINT_SCREEN = 0x57;
/** See `SET3_PRINT_SCREEN`. */
export const SET3_PAUSE = 0x62;

/** Set 3, after power-on: keys that send make and break codes, once each. */
export const SET3_MAKE_BREAK: readonly string[] = [
  ...["CapsLock", "ShiftLeft", "ShiftRight", "ControlLeft", "AltLeft"],
];

/** Set 3, after power-on: keys that send their make code once, and no other. */
export const SET3_MAKE_ONLY: readonly string[] = [
  ...["Escape", "F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10"],
  ...["F11", "F12", "ScrollLock", "ControlRight", "AltRight", "Insert"],
  ...["Home", "End", "PageUp", "PageDown", "NumLock", "NumpadDivide"],
  ...["NumpadMultiply", "NumpadSubtract", "NumpadEnter", "NumpadDecimal"],
  ...["Numpad0", "Numpad1", "Numpad2", "Numpad3", "Numpad4", "Numpad5"],
  ...["Numpad6", "Numpad7", "Numpad8", "Numpad9"],
];

/** A key's make or break code in set 1 or 2, which have the same prefix. */
export function sequence(set: 1 | 2, make: number, down: boolean): number[] {
  const prefix = make > 0xff ? [make >> 8] : [];
  const code = make & 0xff;
  if (down) return [...prefix, code];
  return set === 1 ? [...prefix, code | 0x80] : [...prefix, 0xf0, code];
}

/** What stands around the code of a grey key. */
export interface Shifts {
  /** The left Shift key is down. */
  readonly left: boolean;
  /** The right Shift key is down. */
  readonly right: boolean;
  /** The light of num lock is on. */
  readonly numLock: boolean;
}

/**
 * The Shifts that a keyboard pretends around a grey key, so that systems which
 * know only the keypad take it for the keypad's without digits: with num lock a
 * Shift is pressed, without it those that are down are released, and after the
 * key all is undone. The keypad's slash does the second in any case.
 */
export function fakeShifts(
  code: string,
  set: 1 | 2,
  down: boolean,
  { left, right, numLock }: Shifts,
): number[] {
  const slash = code === "NumpadDivide";
  if (!slash && !GREY_KEYS.has(code)) return [];
  const fake = (side: "left" | "right", pressed: boolean): number[] =>
    sequence(set, 0xe000 | FAKE_SHIFTS[side][set - 1], pressed);
  if (numLock && !slash) return left || right ? [] : fake("left", down);
  return [
    ...left ? fake("left", !down) : [],
    ...right ? fake("right", !down) : [],
  ];
}

/** Pause sends all of it when it goes down; Ctrl-Pause is Break. */
export function pauseSequence(set: 1 | 2, control: boolean): number[] {
  if (control) {
    return set === 1
      ? [0xe0, 0x46, 0xe0, 0xc6]
      : [0xe0, 0x7e, 0xe0, 0xf0, 0x7e];
  }
  return set === 1
    ? [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]
    : [0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77];
}

/**
 * How PrintScreen sends: as SysRq with Alt, alone with Shift or Ctrl, and else
 * with a Shift that nobody presses.
 */
export type PrintScreenForm = "sysrq" | "alone" | "shifted";

/** PrintScreen's make or break codes; only the key's own when it repeats. */
export function printScreenSequence(
  set: 1 | 2,
  form: PrintScreenForm,
  down: boolean,
  repeated = false,
): number[] {
  const code = (set1: number, set2: number) =>
    sequence(set, set === 1 ? set1 : set2, down);
  if (form === "sysrq") return code(0x54, 0x84);
  const key = code(0xe037, 0xe07c);
  if (form === "alone" || repeated) return key;
  const shift = code(0xe02a, 0xe012);
  return down ? [...shift, ...key] : [...key, ...shift];
}
