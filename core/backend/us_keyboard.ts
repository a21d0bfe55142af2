/**
 * The characters on the keys of a US keyboard: from what a terminal or a
 * program types to keys.
 *
 * @module
 */

import type { InputEvent } from "./input.ts";

/** A key with what is held while it is pressed. */
export interface KeyStroke {
  /** Its W3C `KeyboardEvent.code` name. */
  readonly code: string;
  /** Shift is held. */
  readonly shift?: boolean;
  /** Ctrl is held. */
  readonly control?: boolean;
  /** Alt is held. */
  readonly alt?: boolean;
}

/** Code names of keys, the character without and with Shift. */
const KEYS: readonly (readonly [code: string, characters: string])[] = [
  ["Backquote", "`~"],
  ["Minus", "-_"],
  ["Equal", "=+"],
  ["BracketLeft", "[{"],
  ["BracketRight", "]}"],
  ["Backslash", "\\|"],
  ["Semicolon", ";:"],
  ["Quote", "'\""],
  ["Comma", ",<"],
  ["Period", ".>"],
  ["Slash", "/?"],
  ["Space", " "],
  ["Enter", "\n"],
  ["Enter", "\r"],
  ["Tab", "\t"],
  ["Backspace", "\b"],
  ["Backspace", "\x7f"],
  ["Escape", "\x1b"],
  ...Array.from(
    "0)1!2@3#4$5%6^7&8*9(".match(/../g)!,
    (pair) => [`Digit${pair[0]}`, pair] as const,
  ),
  ...Array.from(
    "abcdefghijklmnopqrstuvwxyz",
    (c) => [`Key${c.toUpperCase()}`, c + c.toUpperCase()] as const,
  ),
];

const STROKES: ReadonlyMap<string, KeyStroke> = new Map(
  KEYS.flatMap(([code, characters]) =>
    Array.from(characters, (c, i) => [c, { code, shift: i === 1 }] as const)
  ),
);

/** The stroke that types a character; undefined when no key has it. */
export function strokeOf(character: string): KeyStroke | undefined {
  return STROKES.get(character);
}

/** The events of a stroke: modifiers and key down, and up in reverse. */
export function strokeEvents(stroke: KeyStroke): InputEvent[] {
  const codes: string[] = [];
  if (stroke.control) codes.push("ControlLeft");
  if (stroke.alt) codes.push("AltLeft");
  if (stroke.shift) codes.push("ShiftLeft");
  codes.push(stroke.code);
  const event = (down: boolean) => (code: string): InputEvent => ({
    type: "key",
    code,
    down,
  });
  return [...codes.map(event(true)), ...codes.reverse().map(event(false))];
}
