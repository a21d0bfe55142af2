/**
 * From the bytes that a terminal sends to keys.
 *
 * ECMA-48 for the form of control sequences; XTerm Control Sequences, "PC-Style
 * Function Keys" and "VT220-Style Function Keys", for their meaning, which
 * other terminals share. What no key of a US keyboard types is dropped.
 *
 * @module
 */

import { type KeyStroke, strokeOf } from "../../core/backend/us_keyboard.ts";

/** The last letter of `ESC [ 1 ; m X` and `ESC O X`. */
const BY_LETTER: Readonly<Record<string, string>> = {
  A: "ArrowUp",
  B: "ArrowDown",
  C: "ArrowRight",
  D: "ArrowLeft",
  F: "End",
  H: "Home",
  P: "F1",
  Q: "F2",
  R: "F3",
  S: "F4",
};

/** The number of `ESC [ n ~`. */
const BY_NUMBER: Readonly<Record<string, string>> = {
  1: "Home",
  2: "Insert",
  3: "Delete",
  4: "End",
  5: "PageUp",
  6: "PageDown",
  7: "Home",
  8: "End",
  11: "F1",
  12: "F2",
  13: "F3",
  14: "F4",
  15: "F5",
  17: "F6",
  18: "F7",
  19: "F8",
  20: "F9",
  21: "F10",
  23: "F11",
  24: "F12",
};

/** The console's own F1 to F5: `ESC [ [ A` to `E`. */
// deno-lint-ignore no-control-regex
const LINUX_FUNCTION_KEY = /^\x1b\[\[([A-E])/;
// deno-lint-ignore no-control-regex
const CONTROL_SEQUENCE = /^\x1b\[([0-?]*)[ -#%-/]*([$@-~])/;
// deno-lint-ignore no-control-regex
const SINGLE_SHIFT = /^\x1bO([0-9;]*)([A-Za-z])/;
/** What rxvt ends a key's sequence with, in place of `~` and a modifier. */
const RXVT_MODIFIERS: Readonly<Record<string, string>> = {
  "$": "2",
  "^": "5",
  "@": "6",
};
const CONTROL_CHARACTERS: Readonly<Record<string, KeyStroke>> = {
  "\x00": { code: "Space", control: true },
  "\x1c": { code: "Backslash", control: true },
  "\x1d": { code: "BracketRight", control: true },
  "\x1e": { code: "Digit6", control: true, shift: true },
  "\x1f": { code: "Minus", control: true, shift: true },
};

/** The key of a control sequence; undefined for those of no key. */
function sequenceStroke(
  parameters: string,
  final: string,
): KeyStroke | undefined {
  if (final === "Z") return { code: "Tab", shift: true };
  const rxvt = RXVT_MODIFIERS[final];
  const [number, modifiers = rxvt] = parameters.split(";");
  const isNumbered = final === "~" || rxvt !== undefined;
  const code = isNumbered ? BY_NUMBER[number] : BY_LETTER[final];
  if (code === undefined) return undefined;
  // 1 and a sum of 1 for Shift, 2 for Alt, 4 for Ctrl.
  const held = Math.max(Number(modifiers ?? 1) - 1, 0);
  return {
    code,
    shift: (held & 1) !== 0,
    alt: (held & 2) !== 0,
    control: (held & 4) !== 0,
  };
}

/** The key of one character. */
function characterStroke(character: string): KeyStroke | undefined {
  const stroke = strokeOf(character) ?? CONTROL_CHARACTERS[character];
  if (stroke !== undefined && character !== "\n") return stroke;
  const code = character.charCodeAt(0);
  // Ctrl-A to Ctrl-Z, without those that are keys of their own.
  if (code < 1 || code > 26) return undefined;
  return { code: `Key${String.fromCharCode(0x40 + code)}`, control: true };
}

/**
 * The keys that a piece of a terminal's input stands for. A terminal sends a
 * sequence in one piece, so an escape at the end is the key.
 */
export function terminalStrokes(bytes: Uint8Array): KeyStroke[] {
  let rest = new TextDecoder().decode(bytes);
  const strokes: KeyStroke[] = [];
  const take = (length: number, stroke: KeyStroke | undefined): void => {
    rest = rest.slice(length);
    if (stroke !== undefined) strokes.push(stroke);
  };
  while (rest !== "") {
    const [linux, letter] = LINUX_FUNCTION_KEY.exec(rest) ?? [];
    if (linux !== undefined) {
      const number = letter.charCodeAt(0) - 0x40;
      take(linux.length, { code: `F${number}` });
      continue;
    }
    const [sequence, parameters, final] = CONTROL_SEQUENCE.exec(rest) ??
      SINGLE_SHIFT.exec(rest) ?? [];
    if (sequence !== undefined) {
      take(sequence.length, sequenceStroke(parameters, final));
    } else if (rest[0] === "\x1b" && rest.length > 1 && rest[1] !== "\x1b") {
      const stroke = characterStroke(rest[1]);
      take(2, stroke && { ...stroke, alt: true });
    } else {
      take(1, characterStroke(rest[0]));
    }
  }
  return strokes;
}
