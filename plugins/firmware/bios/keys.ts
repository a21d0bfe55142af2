/**
 * What keys give: ASCII and scan code by the codes of set 1.
 *
 * Source: IBM PC/AT Technical Reference, "Keyboard encoding and usage"; for
 * the keys of the 101-key keyboard Phoenix, "System BIOS for IBM PCs", chapter
 * 8, "Scan codes returned by INT 16h".
 *
 * @module
 */

/**
 * A key's words (scan code in the high byte) alone, with Shift, Ctrl and Alt;
 * -1 when it gives none.
 */
export type KeyWords = readonly [
  alone: number,
  shift: number,
  ctrl: number,
  alt: number,
];

const NONE = -1;

/** The characters of the codes from 02h on; a blank for keys without one. */
const PLAIN = "1234567890-=\b\tqwertyuiop[]\r asdfghjkl;'` \\zxcvbnm,./";
const SHIFTED = '!@#$%^&*()_+\b QWERTYUIOP{}\r ASDFGHJKL:"~ |ZXCVBNM<>?';

/** Alt with the digits, minus and equals. */
const ALT_DIGIT = 0x76;
/** F1 to F10: the codes with Shift, Ctrl, Alt begin here. */
const F1 = 0x3b;
const SHIFT_F1 = 0x54;
const CTRL_F1 = 0x5e;
const ALT_F1 = 0x68;
/** F11 and F12, and with Shift, Ctrl, Alt. */
const F11 = 0x57;
const F11_WORDS: readonly number[] = [0x8500, 0x8700, 0x8900, 0x8b00];

/** Keys of the keypad from 47h on: their digits, and with Ctrl. */
const KEYPAD = 0x47;
const KEYPAD_CHARACTERS = "789-456+1230.";
const KEYPAD_CTRL: readonly number[] = [
  ...[0x7700, 0x8d00, 0x8400, 0x8e00, 0x7300, 0x8f00, 0x7400],
  ...[0x9000, 0x7500, 0x9100, 0x7600, 0x9200, 0x9300],
];

function build(): Map<number, KeyWords> {
  const keys = new Map<number, KeyWords>();
  for (let i = 0; i < PLAIN.length; i++) {
    const code = 2 + i;
    const [plain, shifted] = [PLAIN.charCodeAt(i), SHIFTED.charCodeAt(i)];
    if (plain === 0x20) continue;
    const at = code << 8;
    // Ctrl clears the upper bits of letters and [ \ ].
    const letter = plain >= 0x61 && plain <= 0x7a;
    const control = letter || (plain >= 0x5b && plain <= 0x5d)
      ? at | plain & 0x1f
      : NONE;
    const digit = code <= 0x0d;
    const alt = digit ? ALT_DIGIT + code << 8 : at;
    keys.set(code, [at | plain, at | shifted, control, alt]);
  }
  keys.set(0x01, [0x011b, 0x011b, 0x011b, 0x0100]); // Esc
  keys.set(0x03, [0x0332, 0x0340, 0x0300, 0x7900]); // 2 and Ctrl-@
  keys.set(0x07, [0x0736, 0x075e, 0x071e, 0x7d00]); // 6 and Ctrl-^
  keys.set(0x0c, [0x0c2d, 0x0c5f, 0x0c1f, 0x8200]); // - and Ctrl-_
  keys.set(0x0e, [0x0e08, 0x0e08, 0x0e7f, 0x0e00]); // Backspace
  keys.set(0x0f, [0x0f09, 0x0f00, 0x9400, 0xa500]); // Tab
  keys.set(0x1c, [0x1c0d, 0x1c0d, 0x1c0a, 0x1c00]); // Enter
  keys.set(0x37, [0x372a, 0x372a, 0x9600, 0x3700]); // keypad *
  keys.set(0x39, [0x3920, 0x3920, 0x3920, 0x3920]); // space
  keys.set(0x56, [0x565c, 0x567c, NONE, NONE]); // the key beside left Shift
  for (let i = 0; i < 10; i++) {
    keys.set(F1 + i, [
      F1 + i << 8,
      SHIFT_F1 + i << 8,
      CTRL_F1 + i << 8,
      ALT_F1 + i << 8,
    ]);
  }
  for (let i = 0; i < 2; i++) {
    const [plain, shift, ctrl, alt] = F11_WORDS;
    const more = i << 8;
    keys.set(F11 + i, [plain + more, shift + more, ctrl + more, alt + more]);
  }
  for (let i = 0; i < KEYPAD_CHARACTERS.length; i++) {
    const code = KEYPAD + i;
    const character = code << 8 | KEYPAD_CHARACTERS.charCodeAt(i);
    // Minus and plus are no cursor keys; the middle one has a code alone.
    const sign = i === 3 || i === 7;
    const alone = sign ? character : code << 8;
    keys.set(code, [alone, character, KEYPAD_CTRL[i], sign ? code << 8 : NONE]);
  }
  return keys;
}

/** Keys by their codes of set 1. */
export const KEYS: ReadonlyMap<number, KeyWords> = build();

/** Keys behind the prefix E0h that are not those of the keypad. */
export const EXTENDED_KEYS: ReadonlyMap<number, KeyWords> = new Map<
  number,
  KeyWords
>([
  [0x1c, [0xe00d, 0xe00d, 0xe00a, 0xa600]], // keypad Enter
  [0x35, [0xe02f, 0xe02f, 0x9500, 0xa400]], // keypad /
]);

/** With Alt, the grey cursor keys give their code and 50h. */
export const ALT_GREY = 0x50;
/** The ASCII byte of a grey key's word. */
export const GREY = 0xe0;
/** Codes of the keypad: from, to. */
export const KEYPAD_CODES: readonly [from: number, to: number] = [
  KEYPAD,
  KEYPAD + KEYPAD_CHARACTERS.length - 1,
];
