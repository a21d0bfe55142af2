/**
 * Keys by the names that QEMU's monitors have for them.
 *
 * Source: QEMU, "QEMU QMP Reference Manual", `QKeyCode`; its numbers of keys
 * are scan codes of set 1, with bit 7 where they have the prefix E0h.
 *
 * @module
 */

/** QEMU's name and the W3C `KeyboardEvent.code` of keys that have both. */
const NAMES = `
shift ShiftLeft, shift_r ShiftRight, alt AltLeft, alt_r AltRight,
ctrl ControlLeft, ctrl_r ControlRight, menu ContextMenu, esc Escape,
minus Minus, equal Equal, backspace Backspace, tab Tab,
bracket_left BracketLeft, bracket_right BracketRight, ret Enter,
semicolon Semicolon, apostrophe Quote, grave_accent Backquote,
backslash Backslash, comma Comma, dot Period, slash Slash,
asterisk NumpadMultiply, spc Space, caps_lock CapsLock, num_lock NumLock,
scroll_lock ScrollLock, kp_divide NumpadDivide, kp_multiply NumpadMultiply,
kp_subtract NumpadSubtract, kp_add NumpadAdd, kp_enter NumpadEnter,
kp_decimal NumpadDecimal, kp_equals NumpadEqual, kp_comma NumpadComma,
sysrq PrintScreen, print PrintScreen, pause Pause, less IntlBackslash,
home Home, pgup PageUp, pgdn PageDown, end End, left ArrowLeft, up ArrowUp,
down ArrowDown, right ArrowRight, insert Insert, delete Delete,
meta_l MetaLeft, meta_r MetaRight, compose ContextMenu, ro IntlRo, yen IntlYen,
henkan Convert, muhenkan NonConvert, hiragana Lang4, katakanahiragana KanaMode,
lang1 Lang1, lang2 Lang2, power Power, sleep Sleep, wake WakeUp,
audionext MediaTrackNext, audioprev MediaTrackPrevious, audiostop MediaStop,
audioplay MediaPlayPause, audiomute AudioVolumeMute, volumeup AudioVolumeUp,
volumedown AudioVolumeDown, mediaselect MediaSelect, mail LaunchMail,
calculator LaunchApp2, computer LaunchApp1, ac_home BrowserHome,
ac_back BrowserBack, ac_forward BrowserForward, ac_refresh BrowserRefresh,
ac_bookmarks BrowserFavorites`;

const BY_NAME = new Map<string, string>();
for (const entry of NAMES.split(",")) {
  const [name, code] = entry.trim().split(" ");
  BY_NAME.set(name, code);
}
for (const letter of "abcdefghijklmnopqrstuvwxyz") {
  BY_NAME.set(letter, `Key${letter.toUpperCase()}`);
}
for (const digit of "0123456789") {
  BY_NAME.set(digit, `Digit${digit}`);
  BY_NAME.set(`kp_${digit}`, `Numpad${digit}`);
}
for (let n = 1; n <= 24; n++) BY_NAME.set(`f${n}`, `F${n}`);

/** The W3C `KeyboardEvent.code` of a key by QEMU's name; undefined for a name that is none. */
export function codeOfKeyName(name: string): string | undefined {
  return BY_NAME.get(name);
}

/** QEMU's names of keys. */
export const KEY_NAMES: readonly string[] = [...BY_NAME.keys()];
