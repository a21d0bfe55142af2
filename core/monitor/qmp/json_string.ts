/**
 * Strings of QMP's JSON: escapes and UTF-8, as `parse_string` of QEMU's
 * `qobject/json-parser.c` has them.
 *
 * @module
 */

const BACKSLASH = 0x5c;
const SMALL_U = 0x75;

/** What follows the backslash, but `u`. */
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** Noncharacters and surrogates are no characters. */
function isCharacter(code: number): boolean {
  return code >= 0 && code <= 0x10ffff && (code & 0xfffe) !== 0xfffe &&
    !(code >= 0xfdd0 && code <= 0xfdef) && !(code >= 0xd800 && code <= 0xdfff);
}

/** Four hexadecimal digits, or -1. */
function hex(bytes: Uint8Array, at: number): number {
  const text = String.fromCharCode(...bytes.subarray(at, at + 4));
  return /^[0-9a-f]{4}$/i.test(text) ? parseInt(text, 16) : -1;
}

/**
 * The value of a string with its quotes, which no byte below 20h and none
 * beyond FDh is in; or what is wrong with it.
 */
export function decodeString(
  bytes: Uint8Array,
): { value: string } | { error: string } {
  const end = bytes.length - 1;
  let text = "";
  for (let i = 1; i < end;) {
    // What needs no look at its single bytes.
    let plain = i;
    while (plain < end && bytes[plain] !== BACKSLASH) plain++;
    if (plain > i) {
      const decoded = decodeUtf8(bytes.subarray(i, plain));
      if (decoded === undefined) {
        return { error: "invalid UTF-8 sequence in string" };
      }
      text += decoded;
      i = plain;
      continue;
    }
    if (bytes[i + 1] !== SMALL_U) {
      const value = ESCAPES[String.fromCharCode(bytes[i + 1])];
      if (value === undefined) {
        return { error: "invalid escape sequence in string" };
      }
      text += value;
      i += 2;
      continue;
    }
    const start = i;
    let code = hex(bytes, i + 2);
    i += 6;
    const isPair = code >= 0xd800 && code <= 0xdbff &&
      bytes[i] === BACKSLASH && bytes[i + 1] === SMALL_U;
    if (isPair) {
      const low = hex(bytes, i + 2);
      if (low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + ((code & 0x3ff) << 10 | low & 0x3ff);
        i += 6;
      } else code = -1;
    }
    if (!isCharacter(code)) {
      const shown = new TextDecoder().decode(
        bytes.subarray(start, Math.min(i, bytes.length)),
      );
      return { error: `${shown} is not a valid Unicode character` };
    }
    text += String.fromCodePoint(code);
  }
  return { value: text };
}

const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
// deno-lint-ignore no-control-regex
const ASCII = /^[\x00-\x7f]*$/;

/** Modified UTF-8: U+0000 may be C0h 80h. Undefined for what is none. */
function decodeUtf8(bytes: Uint8Array): string | undefined {
  const parts: string[] = [];
  try {
    for (let start = 0; start <= bytes.length;) {
      let zero = bytes.indexOf(0xc0, start);
      if (zero < 0 || bytes[zero + 1] !== 0x80) zero = bytes.length;
      parts.push(STRICT.decode(bytes.subarray(start, zero)));
      start = zero + 2;
    }
  } catch {
    return undefined;
  }
  const text = parts.join("\0");
  if (ASCII.test(text)) return text;
  for (const character of text) {
    if (!isCharacter(character.codePointAt(0)!)) return undefined;
  }
  return text;
}
